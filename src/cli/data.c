/* data.c - `surge data`: a recipe's images, without its network. */
#include <string.h>

#include "src/cli/cli.h"

static surge_status print_line(void *user, const char *line) {
  (void)user;
  printf("%s\n", line);
  return SURGE_OK;
}

static surge_status preview(const cli_options *o) {
  surge_recipe recipe;
  int count = o->count == CLI_UNSET ? 8 : o->count;
  if (!o->out)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "surge data preview: wanted --out FILE.png, found none");
  if (count < 1 || count > 256)
    return SURGE_FAIL(SURGE_ERROR_RECIPE, "--count: wanted 1 to 256, found %d",
                      count);
  surge_status status =
      surge_recipe_read(&recipe, o->positional[1], o->overrides);
  if (status == SURGE_OK)
    status = surge_preview(&recipe, count, o->out, print_line, NULL);
  surge_recipe_free(&recipe);
  if (status == SURGE_OK) printf("%s\n", o->out);
  return status;
}

surge_status cli_data(int argc, char **argv) {
  cli_options o;
  SURGE_TRY(cli_parse(&o, argc, argv, "set out count seed threads", 2, 2));
  if (!strcmp(o.positional[0], "preview")) return preview(&o);
  return SURGE_FAIL(SURGE_ERROR_RECIPE, "surge data: wanted preview, found %s",
                    o.positional[0]);
}
