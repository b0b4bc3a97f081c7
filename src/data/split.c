/* split.c - which training images are trained on, and which are held out. */
#include <stdlib.h>
#include <string.h>

#include "src/data/order.h"
#include "src/data/readers.h"

static surge_status check_sizes(const surge_dataset *set,
                                const struct surge_data_recipe *recipe) {
  int64_t held = recipe->validation, limit = recipe->limit;
  if (held < 0 || limit < 0)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "data.validation, data.limit: wanted at least 0, found "
                      "%lld and %lld",
                      (long long)held, (long long)limit);
  /* limit 0 is all the rest, which must not be nothing */
  if (held + (limit ? limit : 1) <= set->count) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_RECIPE,
                    "data.validation + data.limit: wanted at most the %d "
                    "training images of %s, and one to train on, found "
                    "%lld + %lld",
                    (int)set->count, set->info->name, (long long)held,
                    (long long)limit);
}

/* A copy of order[0 .. count-1]; at least one element is allocated. */
static uint32_t *copy_order(const uint32_t *order, int32_t count) {
  size_t bytes = (size_t)count * sizeof *order;
  uint32_t *copy = malloc(bytes ? bytes : sizeof *order);
  if (copy) memcpy(copy, order, bytes);
  return copy;
}

/* One random order of the whole set: the first `validation` are held out, the
 * next `limit` are trained on. So the limit does not change which are held out,
 * and a larger validation set contains each smaller one. */
surge_status surge_dataset_split(const surge_dataset *set,
                                 const struct surge_data_recipe *recipe,
                                 uint64_t seed, uint32_t **train,
                                 int32_t *train_count, uint32_t **validation,
                                 int32_t *validation_count) {
  *train = *validation = NULL;
  *train_count = *validation_count = 0;
  SURGE_TRY(check_sizes(set, recipe));
  int32_t held = recipe->validation;
  int32_t rest = recipe->limit ? recipe->limit : set->count - held;

  uint32_t *order = malloc((size_t)set->count * sizeof *order);
  if (order) {
    for (int32_t i = 0; i < set->count; i++) order[i] = (uint32_t)i;
    surge_shuffle(order, set->count, seed, 0, SURGE_ORDER_SPLIT);
    *validation = copy_order(order, held);
    *train = copy_order(order + held, rest);
    free(order);
  }
  if (!*train || !*validation) {
    free(*train);
    free(*validation);
    *train = *validation = NULL;
    return SURGE_FAIL(SURGE_ERROR_DEVICE,
                      "split: wanted memory for the order of %d images, "
                      "found less",
                      (int)set->count);
  }
  *train_count = rest;
  *validation_count = held;
  return SURGE_OK;
}
