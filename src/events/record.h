/* record.h - what formats share: integers out of bytes, clocks that wrap,
 * records of one size, lines of a header. */
#ifndef SURGE_EVENTS_RECORD_H
#define SURGE_EVENTS_RECORD_H

#include "src/events/format.h"

static inline uint32_t surge_u16_little(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static inline uint32_t surge_u32_little(const uint8_t *at) {
  return surge_u16_little(at) | surge_u16_little(at + 2) << 16;
}

static inline uint32_t surge_u32_big(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 |
         at[3];
}

/* A counter of `range` values, at most 2^32, that starts again at 0. A step back
 * by more than half of them is a wrap; a step forward by more than half, after
 * one, is an event from before it that comes late. Smaller steps back are events
 * out of order and stay what they are. */
typedef struct surge_clock {
  int64_t base, last; /* wraps so far, in ticks; the counter's last value */
} surge_clock;

static inline int64_t surge_clock_unwrap(surge_clock *clock, int64_t range,
                                         uint32_t counter) {
  int64_t step = counter - clock->last;
  if (step < -range / 2)
    clock->base += range;
  else if (step > range / 2 && clock->base > 0)
    clock->base -= range;
  clock->last = counter;
  return clock->base + counter;
}

#define SURGE_CLOCK_32 ((int64_t)1 << 32)

/* Appends the events of `count` records, at most one a record, to a chunk that
 * has room for them. */
typedef void surge_events_decode(surge_events_file *file, const uint8_t *at,
                                 size_t count, surge_events *chunk);

/* `next` of a format whose records all have `record` bytes. */
surge_status surge_events_records(surge_events_file *file, surge_events *chunk,
                                  size_t record, surge_events_decode *decode);

/* Room for the reader's own `bytes`, zeros. */
surge_status surge_events_new_state(surge_events_file *file, size_t bytes);

/* Takes the next line of a header, which begins with `mark` and holds no control
 * character but tabs, without its end into `line` (what is longer is cut).
 * False: there is none. */
enum { SURGE_EVENTS_LINE = 256 };
bool surge_events_header_line(surge_bytes *bytes, char mark,
                              char line[SURGE_EVENTS_LINE]);

/* Sets the size that one of the sensors that people record with has, where
 * `text` names it in any case: DVS128, DAVIS240, DAVIS346. */
bool surge_events_sensor(surge_events_info *info, const char *text);

#endif
