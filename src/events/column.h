/* column.h - events of formats that keep each field in an array of its own
 * (.npz, HDF5): a piece of every array as integers, made events. */
#ifndef SURGE_EVENTS_COLUMN_H
#define SURGE_EVENTS_COLUMN_H

#include <stddef.h>
#include <stdint.h>
#include <surge/events.h>

enum { SURGE_COLUMNS = 4, SURGE_COLUMN_PIECE = 4096 };

extern const char *const surge_column_names[SURGE_COLUMNS]; /* t, x, y, p */

/* A piece of the file: `count` events, the first of which is number `first`; of
 * those `given` are in a chunk already. Pieces do not depend on the chunks, so
 * neither does what is read before a fault. */
typedef struct surge_columns {
  int64_t of[SURGE_COLUMNS][SURGE_COLUMN_PIECE];
  uint64_t first;
  size_t count, given;
} surge_columns;

/* Makes the next piece's size and place, of a file of `total` events; 0 events
 * at its end. The reader fills it. */
size_t surge_columns_begin(surge_columns *columns, uint64_t total);

/* Appends what is left of the piece, or fits. p > 0 is ON. SURGE_ERROR_DATA: x or
 * y does not fit in 16 bits; the events before it are appended. */
surge_status surge_columns_give(surge_columns *columns, surge_events *chunk,
                                const char *path);

#endif
