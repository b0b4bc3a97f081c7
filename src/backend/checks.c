/* checks.c - the checks that every op's checks are made of. */
#include "src/backend/checks.h"

surge_status surge_check_pointer(const char *op, const char *argument,
                                 const void *pointer) {
  if (pointer) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_INTERNAL, "%s: %s: wanted an array, found NULL",
                    op, argument);
}

surge_status surge_check_positive(const char *op, const char *argument,
                                  int64_t value) {
  if (value >= 1) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                    "%s: %s: wanted at least 1, found %lld", op, argument,
                    (long long)value);
}

surge_status surge_check_map(const char *op, const surge_map *map) {
  if (map->h < 1 || map->w < 1 || map->c < 1)
    return SURGE_FAIL(
        SURGE_ERROR_INTERNAL,
        "%s: map: wanted h, w, c of at least 1, found %d x %d x %d", op, map->h,
        map->w, map->c);
  if (map->layout == SURGE_BLOCKED8 && map->c % 8)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                      "%s: map: wanted c %% 8 == 0 in the blocked layout, "
                      "found %d channels",
                      op, map->c);
  if (map->type != SURGE_F32 && map->type != SURGE_BF16)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                      "%s: map: wanted elements of fp32 or bf16, found type %d",
                      op, (int)map->type);
  return SURGE_OK;
}
