/* es.c - Event Stream .es, version 2, type 1 (DVS): "Event Stream", 3 bytes of
 * version, 1 of type, u16 width and height, little-endian; then, of variable size,
 *
 *   0xff              time goes on by 127 us
 *   0xfe              reset of a transmission: nothing
 *   b, u16 x, u16 y   an event b >> 1 us after the one before, polarity b & 1
 *
 * y is counted from the bottom (the comments of sepia.hpp, the format's own
 * library, and the picture) and is turned here; event_stream of PyPI gives it as
 * it lies in the file. Time is a sum: it neither wraps nor steps back. A place
 * outside the sensor stays outside (y modulo 2^16). An event that is cut off fails,
 * and so do other versions, whose bytes mean something else, and other types. */
#include <string.h>

#include "src/events/record.h"

enum { HEADER = 20, EVENT = 5, DVS = 1, OVERFLOW = 0xff, RESET = 0xfe };

static const char *const types[] = {"generic", "DVS", "ATIS", "AMD", "color"};

static bool recognise(const surge_bytes *bytes) {
  return bytes->size >= 12 && !memcmp(bytes->at, "Event Stream", 12);
}

static surge_status open(surge_events_file *file) {
  surge_bytes *bytes = &file->bytes;
  SURGE_TRY(surge_bytes_want(bytes, HEADER));
  if (bytes->size < HEADER) return surge_events_cut_off(bytes, HEADER);
  const uint8_t *at = bytes->at;
  if (at[12] != 2)
    return SURGE_EVENTS_FAIL(bytes, "wanted Event Stream 2, found %u.%u.%u",
                             at[12], at[13], at[14]);
  if (at[15] != DVS)
    return SURGE_EVENTS_FAIL(
        bytes, "wanted events of type 1 (DVS), found type %u (%s)", at[15],
        at[15] < sizeof types / sizeof types[0] ? types[at[15]] : "unknown");
  file->info.width = (int32_t)surge_u16_little(at + 16);
  file->info.height = (int32_t)surge_u16_little(at + 18);
  surge_bytes_take(bytes, HEADER);
  return surge_events_new_state(file, sizeof(int64_t));
}

/* Events and marks that are whole, until the chunk is full; bytes taken. */
static size_t decode(int64_t *time, uint32_t bottom, const uint8_t *at,
                     size_t size, surge_events *chunk) {
  const uint8_t *e = at, *end = at + size;
  surge_events out = *chunk;
  int64_t t = *time;
  while (e < end && out.count < out.capacity) {
    if (*e >= RESET) {
      t += *e++ == OVERFLOW ? 127 : 0;
      continue;
    }
    if (end - e < EVENT) break;
    t += *e >> 1;
    out.t[out.count] = t;
    out.x[out.count] = (uint16_t)surge_u16_little(e + 1);
    out.y[out.count] = (uint16_t)(bottom - surge_u16_little(e + 3));
    out.p[out.count++] = *e & 1;
    e += EVENT;
  }
  *time = t;
  chunk->count = out.count;
  return (size_t)(e - at);
}

static surge_status next(surge_events_file *file, surge_events *chunk) {
  surge_bytes *bytes = &file->bytes;
  uint32_t bottom = (uint32_t)file->info.height - 1;
  while (chunk->count < chunk->capacity) {
    SURGE_TRY(surge_bytes_want(bytes, EVENT));
    if (bytes->size == 0) return SURGE_OK;
    size_t taken = decode(file->state, bottom, bytes->at, bytes->size, chunk);
    if (taken == 0) return surge_events_cut_off(bytes, EVENT);
    surge_bytes_take(bytes, taken);
  }
  return SURGE_OK;
}

const surge_events_format surge_events_es = {
    .name = "es", .recognise = recognise, .open = open, .next = next};
