/* grad.c - `surge grad`. */
#include "src/cli/cli.h"

surge_status cli_grad(int argc, char **argv) {
  cli_options o;
  surge_recipe recipe;
  SURGE_TRY(cli_parse(&o, argc, argv,
                      "set out from soft steps T seed threads device", 1, 1));
  if (o.steps == CLI_UNSET) o.steps = 1;
  if (o.steps < 1)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "--steps: wanted at least 1, found %d", o.steps);
  if (!o.out)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "surge grad: wanted --out FILE, found "
                      "none");
  surge_status status =
      surge_recipe_read(&recipe, o.positional[0], o.overrides);
  if (status == SURGE_OK)
    status = surge_gradient_dump(&recipe, o.from, o.soft, o.steps, o.out);
  surge_recipe_free(&recipe);
  return status;
}
