/* report.c - `surge report`: runs as a page and figures. */
#include "src/report/report.h"

#include "src/cli/cli.h"

surge_status cli_report(int argc, char **argv) {
  cli_options o;
  char page[SURGE_PATH];
  SURGE_TRY(cli_parse(&o, argc, argv, "out against no-eval set device threads",
                      1, CLI_MAX));
  surge_report_options options = {.path = o.positional,
                                  .paths = o.positionals,
                                  .out = o.out,
                                  .against = o.against,
                                  .overrides = o.overrides,
                                  .no_eval = o.no_eval};
  SURGE_TRY(surge_report(&options, page));
  printf("%s\n", page);
  return SURGE_OK;
}
