/* check.h - pictures of `surge data check` (see events.h). */
#ifndef SURGE_DATA_CHECK_H
#define SURGE_DATA_CHECK_H

#include "src/events/summary.h"

/* A sheet with a row a file: the rate, and the events of each pixel. */
typedef struct surge_check_sheet {
  uint8_t *rgb; /* [h, w, 3]; owned */
  int32_t h;
  int rows;
} surge_check_sheet;

/* Adds a row. SURGE_ERROR_DEVICE: there is no memory for it. */
surge_status surge_check_paint(surge_check_sheet *sheet,
                               const surge_summary *summary);
surge_status surge_check_write(const surge_check_sheet *sheet,
                               const char *path);

#endif
