/* nmnist.c - N-MNIST's and N-Caltech101's .bin (Orchard 2015): 5 bytes an event,
 * x, y, then 24 bits, big-endian: polarity, and 23 bits of time in us.
 *
 * y = 240 is no event: from it on, all times are later by 2^13 us (eventvision.py
 * of the data set's author, tonic.io.read_mnist_file). Without such marks a clock
 * of 23 bits wraps. There is no header and no sensor's size, and nothing is
 * checked against one; events out of order stay so. A file is taken for one of
 * these where its size is a multiple of 5 and the times at its start do not step
 * back: so one that is cut off is of no known format. */
#include "src/events/record.h"

enum { RECORD = 5, MARK = 240, MARK_US = 1 << 13, RANGE_US = 1 << 23 };

typedef struct nmnist_clocks {
  surge_clock wraps;
  int64_t marks; /* us */
} nmnist_clocks;

/* Of a record that is no mark. */
static inline int64_t time_of(nmnist_clocks *clocks, const uint8_t *e) {
  uint32_t counter = (uint32_t)(e[2] & 0x7f) << 16 | (uint32_t)e[3] << 8 | e[4];
  return clocks->marks + surge_clock_unwrap(&clocks->wraps, RANGE_US, counter);
}

static bool recognise(const surge_bytes *bytes) {
  size_t count = bytes->size / RECORD;
  if (bytes->total % RECORD != 0) return false;
  nmnist_clocks clocks = {0};
  int64_t last = 0;
  for (size_t i = 0; i < count; i++) {
    const uint8_t *e = bytes->at + i * RECORD;
    if (e[1] == MARK) {
      clocks.marks += MARK_US;
      continue;
    }
    int64_t t = time_of(&clocks, e);
    if (t < last) return false;
    last = t;
  }
  return count > 0;
}

static surge_status open(surge_events_file *file) {
  return surge_events_new_state(file, sizeof(nmnist_clocks));
}

static void decode(surge_events_file *file, const uint8_t *at, size_t count,
                   surge_events *chunk) {
  nmnist_clocks clocks = *(nmnist_clocks *)file->state;
  surge_events out = *chunk;
  for (const uint8_t *e = at, *end = at + count * RECORD; e < end;
       e += RECORD) {
    if (e[1] == MARK) {
      clocks.marks += MARK_US;
      continue;
    }
    out.t[out.count] = time_of(&clocks, e);
    out.x[out.count] = e[0];
    out.y[out.count] = e[1];
    out.p[out.count++] = e[2] >> 7;
  }
  *(nmnist_clocks *)file->state = clocks;
  chunk->count = out.count;
}

static surge_status next(surge_events_file *file, surge_events *chunk) {
  return surge_events_records(file, chunk, RECORD, decode);
}

const surge_events_format surge_events_nmnist = {
    .name = "nmnist", .recognise = recognise, .open = open, .next = next};
