/* surge.h - the whole public interface of libsurge.
 *
 *     #include <surge/surge.h>
 *     int main(void) {
 *       surge_recipe recipe;
 *       surge_train_options options = {.folder = "runs/mine"};
 *       surge_status status = surge_recipe_read(&recipe, "mine.yaml", NULL);
 *       if (status == SURGE_OK) status = surge_train(&recipe, &options);
 *       if (status != SURGE_OK) fprintf(stderr, "%s\n", surge_last_error());
 *       surge_recipe_free(&recipe);
 *       return surge_exit_code(status);
 *     }
 */
#ifndef SURGE_H
#define SURGE_H

#include <surge/backend.h>
#include <surge/checkpoint.h>
#include <surge/data.h>
#include <surge/events.h>
#include <surge/net.h>
#include <surge/neuron.h>
#include <surge/recipe.h>
#include <surge/status.h>
#include <surge/tensor.h>
#include <surge/train.h>

#endif
