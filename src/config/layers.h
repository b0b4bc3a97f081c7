/* layers.h - model.layers: a list of layers, each with all defaults filled. */
#ifndef SURGE_CONFIG_LAYERS_H
#define SURGE_CONFIG_LAYERS_H

#include "src/config/rules.h"

/* Reads what was given as model.layers into recipe.model.layers, after the
 * recipe's other keys are settled: they are the layers' defaults. On failure
 * the array is whole enough for surge_recipe_free. */
surge_status surge_read_layers(const surge_scope *scope);

#endif
