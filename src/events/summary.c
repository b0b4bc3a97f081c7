/* summary.c - see summary.h. */
#include "src/events/summary.h"

#include <stdbool.h>
#include <string.h>

/* --- the rate ------------------------------------------------------------- */

/* Doubles the bins, two into one, until one span of them has both times. */
static void span(surge_rate *rate, int64_t low, int64_t high) {
  uint64_t old[SURGE_RATE_BINS];
  unsigned shift = rate->shift;
  while ((uint64_t)(high >> shift) - (uint64_t)(low >> shift) >=
         SURGE_RATE_BINS)
    shift++;
  int64_t start = low >> shift;
  memcpy(old, rate->counts, sizeof old);
  memset(rate->counts, 0, sizeof rate->counts);
  for (int i = 0; i < SURGE_RATE_BINS; i++)
    if (old[i] > 0)
      rate->counts[((rate->start + i) >> (shift - rate->shift)) - start] +=
          old[i];
  rate->start = start;
  rate->shift = shift;
}

static void add_time(surge_summary *s, int64_t t) {
  surge_rate *rate = &s->rate;
  if (s->events == 0) {
    s->first = s->last = rate->start = t;
  }
  if (t < s->first) s->first = t;
  if (t > s->last) s->last = t;
  uint64_t bin = (uint64_t)(t >> rate->shift) - (uint64_t)rate->start;
  if (bin >= SURGE_RATE_BINS) {
    span(rate, s->first, s->last);
    bin = (uint64_t)((t >> rate->shift) - rate->start);
  }
  rate->counts[bin]++;
}

void surge_rate_range(const surge_rate *rate, int *begin, int *end) {
  *begin = 0;
  *end = SURGE_RATE_BINS;
  while (*end > 0 && rate->counts[*end - 1] == 0) (*end)--;
  while (*begin < *end && rate->counts[*begin] == 0) (*begin)++;
}

/* --- the map -------------------------------------------------------------- */

/* Makes cells twice as wide and high. A cell goes to one that was read before,
 * so it happens in place. */
static void coarsen(surge_map_counts *map) {
  for (int y = 0; y < SURGE_MAP_H; y++)
    for (int x = 0; x < SURGE_MAP_W; x++) {
      uint32_t count = map->counts[y][x];
      map->counts[y][x] = 0;
      map->counts[y / 2][x / 2] += count;
    }
  map->shift++;
}

static void add_place(surge_map_counts *map, int x, int y) {
  while (x >> map->shift >= SURGE_MAP_W || y >> map->shift >= SURGE_MAP_H)
    coarsen(map);
  map->counts[y >> map->shift][x >> map->shift]++;
}

/* --- all of it ------------------------------------------------------------ */

static void add_event(surge_summary *s, int64_t t, int x, int y, int p) {
  bool outside = (s->info.width > 0 && x >= s->info.width) ||
                 (s->info.height > 0 && y >= s->info.height);
  add_time(s, t);
  s->events++;
  s->on += (uint64_t)p;
  s->outside += outside;
  if (x >= s->width) s->width = x + 1;
  if (y >= s->height) s->height = y + 1;
  if (s->map && !outside) add_place(s->map, x, y);
}

static surge_status add_recording(surge_summary *s, surge_events_file *file,
                                  surge_events *chunk) {
  int64_t first = INT64_MAX, last = INT64_MIN, before = INT64_MIN;
  for (;;) {
    SURGE_TRY(surge_events_next(file, chunk));
    if (chunk->count == 0) break;
    for (size_t i = 0; i < chunk->count; i++) {
      int64_t t = chunk->t[i];
      s->back += t < before;
      before = t;
      if (t < first) first = t;
      if (t > last) last = t;
      add_event(s, t, chunk->x[i], chunk->y[i], chunk->p[i]);
    }
  }
  if (first < last) s->duration += (uint64_t)last - (uint64_t)first;
  return SURGE_OK;
}

surge_status surge_summary_read(surge_summary *summary, surge_map_counts *map,
                                surge_events_file *file, surge_events *chunk) {
  *summary = (surge_summary){.info = *surge_events_file_info(file), .map = map};
  if (map) memset(map, 0, sizeof *map);
  for (size_t i = 0; i < summary->info.recordings; i++) {
    if (i > 0) SURGE_TRY(surge_events_select(file, i));
    SURGE_TRY(add_recording(summary, file, chunk));
  }
  return SURGE_OK;
}
