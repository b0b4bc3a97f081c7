/* summary.h - what a file's events are like, in memory that does not grow with
 * them: counts, ranges, the rate over time, where on the sensor they lie. */
#ifndef SURGE_EVENTS_SUMMARY_H
#define SURGE_EVENTS_SUMMARY_H

#include <surge/events.h>

enum {
  SURGE_RATE_BINS = 64,
  SURGE_MAP_W = 640, /* cells */
  SURGE_MAP_H = 480,
};

/* Events in bins of 2^shift us, from bin `start` of that width since time 0 on.
 * Bins double where they no longer span the times seen, so that about half of
 * them or more are in use. */
typedef struct surge_rate {
  uint64_t counts[SURGE_RATE_BINS];
  int64_t start;
  unsigned shift;
} surge_rate;

/* Events a cell of 2^shift pixels a side, of the part of the sensor seen. */
typedef struct surge_map_counts {
  uint32_t counts[SURGE_MAP_H][SURGE_MAP_W];
  unsigned shift;
} surge_map_counts;

typedef struct surge_summary {
  surge_events_info info;
  uint64_t events, on;
  uint64_t outside;      /* of the sensor that the file states        */
  uint64_t back;         /* events earlier than the one before        */
  int64_t first, last;   /* us: the earliest and the latest      */
  int32_t width, height; /* seen: largest x and y, and 1         */
  uint64_t duration;     /* us: of all recordings, each its own  */
  surge_rate rate;
  surge_map_counts *map; /* NULL: not wanted; not owned          */
} surge_summary;

/* Reads all recordings of an open file into a summary; `map` may be NULL, and
 * is cleared. `chunk` is what events go through. */
surge_status surge_summary_read(surge_summary *summary, surge_map_counts *map,
                                surge_events_file *file, surge_events *chunk);

/* Bins in use: [*begin, *end); none without events. */
void surge_rate_range(const surge_rate *rate, int *begin, int *end);

#endif
