/* column.c - see column.h. */
#include "src/events/column.h"

#include <inttypes.h>

const char *const surge_column_names[SURGE_COLUMNS] = {"t", "x", "y", "p"};

size_t surge_columns_begin(surge_columns *columns, uint64_t total) {
  columns->first += columns->count;
  uint64_t left = total - columns->first;
  columns->given = 0;
  columns->count =
      left < SURGE_COLUMN_PIECE ? (size_t)left : SURGE_COLUMN_PIECE;
  return columns->count;
}

surge_status surge_columns_give(surge_columns *columns, surge_events *chunk,
                                const char *path) {
  const int64_t *t = columns->of[0], *x = columns->of[1], *y = columns->of[2],
                *p = columns->of[3];
  size_t i = columns->given, k = chunk->count;
  for (; i < columns->count && k < chunk->capacity; i++, k++) {
    if ((uint64_t)x[i] > UINT16_MAX || (uint64_t)y[i] > UINT16_MAX) break;
    chunk->t[k] = t[i];
    chunk->x[k] = (uint16_t)x[i];
    chunk->y[k] = (uint16_t)y[i];
    chunk->p[k] = p[i] > 0;
  }
  columns->given = i;
  chunk->count = k;
  if (i == columns->count || k == chunk->capacity) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: event %" PRIu64
                    ": wanted x and y from 0 to 65535, "
                    "found %" PRId64 ", %" PRId64,
                    path, columns->first + i, x[i], y[i]);
}
