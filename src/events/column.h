/* column.h - events of formats that keep each field in an array of its own
 * (.npz, HDF5): a piece of every array as integers, made events. */
#ifndef SURGE_EVENTS_COLUMN_H
#define SURGE_EVENTS_COLUMN_H

#include <stddef.h>
#include <stdint.h>
#include <surge/events.h>

enum { SURGE_COLUMNS = 4, SURGE_COLUMN_PIECE = 4096 };

extern const char *const surge_column_names[SURGE_COLUMNS]; /* t, x, y, p */

typedef struct surge_columns {
  int64_t of[SURGE_COLUMNS][SURGE_COLUMN_PIECE];
} surge_columns;

/* How many events are read at a time where `left` are left, and `room` is
 * free. */
size_t surge_column_piece(uint64_t left, size_t room);

/* Appends `count` events, the first of which is number `first` of the file.
 * p > 0 is ON. SURGE_ERROR_DATA: x or y does not fit in 16 bits; the events
 * before it are appended. */
surge_status surge_columns_append(const surge_columns *columns, uint64_t first,
                                  size_t count, surge_events *chunk,
                                  const char *path);

#endif
