/* grad.c - `surge grad`. */
#include "src/cli/cli.h"

surge_status cli_grad(int argc, char **argv) {
  cli_options o;
  surge_recipe recipe;
  SURGE_TRY(cli_parse(&o, argc, argv, "set out from soft T seed threads device",
                      1, 1));
  if (!o.out)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "surge grad: wanted --out FILE, found "
                      "none");
  surge_status status =
      surge_recipe_read(&recipe, o.positional[0], o.overrides);
  if (status == SURGE_OK)
    status = surge_gradient_dump(&recipe, o.from, o.soft, o.out);
  surge_recipe_free(&recipe);
  return status;
}
