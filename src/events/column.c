/* column.c - see column.h. */
#include "src/events/column.h"

#include <inttypes.h>

const char *const surge_column_names[SURGE_COLUMNS] = {"t", "x", "y", "p"};

size_t surge_column_piece(uint64_t left, size_t room) {
  size_t count = room < SURGE_COLUMN_PIECE ? room : SURGE_COLUMN_PIECE;
  return left < count ? (size_t)left : count;
}

surge_status surge_columns_append(const surge_columns *columns, uint64_t first,
                                  size_t count, surge_events *chunk,
                                  const char *path) {
  const int64_t *t = columns->of[0], *x = columns->of[1], *y = columns->of[2],
                *p = columns->of[3];
  for (size_t i = 0; i < count; i++) {
    size_t k = chunk->count;
    if ((uint64_t)x[i] > UINT16_MAX || (uint64_t)y[i] > UINT16_MAX)
      return SURGE_FAIL(SURGE_ERROR_DATA,
                        "%s: event %" PRIu64
                        ": wanted x and y from 0 to 65535, "
                        "found %" PRId64 ", %" PRId64,
                        path, first + i, x[i], y[i]);
    chunk->t[k] = t[i];
    chunk->x[k] = (uint16_t)x[i];
    chunk->y[k] = (uint16_t)y[i];
    chunk->p[k] = p[i] > 0;
    chunk->count++;
  }
  return SURGE_OK;
}
