/* nmnist.c - N-MNIST's and N-Caltech101's .bin (Orchard 2015): 5 bytes an event,
 * x, y, then 24 bits, big-endian: polarity, and 23 bits of time in us.
 *
 * There is no header: a file is taken for one where its size is a multiple of 5
 * and the times at its start never step back by less than a wrap. */
#include "src/events/format.h"

enum { RECORD = 5, TIME_BITS = 23 };

static uint32_t time_of(const uint8_t *e) {
  return (uint32_t)(e[2] & 0x7f) << 16 | (uint32_t)e[3] << 8 | e[4];
}

static bool recognise(const surge_bytes *bytes) {
  size_t count = bytes->size / RECORD;
  if (bytes->total % RECORD != 0 || count == 0) return false;
  for (size_t i = 1; i < count; i++)
    if (time_of(bytes->at + i * RECORD) < time_of(bytes->at + (i - 1) * RECORD))
      return false;
  return true;
}

static surge_status next(surge_events_file *file, surge_events *chunk) {
  surge_bytes *bytes = &file->bytes;
  while (chunk->count < chunk->capacity) {
    SURGE_TRY(surge_bytes_want(bytes, RECORD));
    if (bytes->size == 0) return SURGE_OK;
    size_t count = bytes->size / RECORD, room = chunk->capacity - chunk->count;
    if (count == 0) return surge_events_cut_off(bytes, RECORD);
    if (count > room) count = room;
    for (size_t i = 0; i < count; i++) {
      const uint8_t *e = bytes->at + i * RECORD;
      size_t k = chunk->count + i;
      chunk->x[k] = e[0];
      chunk->y[k] = e[1];
      chunk->p[k] = e[2] >> 7;
      chunk->t[k] = time_of(e);
    }
    chunk->count += count;
    surge_bytes_take(bytes, count * RECORD);
  }
  return SURGE_OK;
}

const surge_events_format surge_events_nmnist = {
    .name = "nmnist", .recognise = recognise, .next = next};
