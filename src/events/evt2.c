/* evt2.c - Prophesee's EVT 2.0: the header of prophesee.h, then u32 words,
 * little-endian, type in bits 28-31:
 *
 *   0 OFF, 1 ON   t's low 6 bits in 22-27, x in 11-21, y in 0-10
 *   8 TIME_HIGH   t's upper 28 bits
 *
 * Other words (triggers, the system's own) are passed over; so are events before
 * the first TIME_HIGH, which have no time yet, as in Prophesee's own decoder. The
 * clock wraps after 2^34 us; events out of order stay so; places are not checked
 * against the header's size; a word that is cut off fails. */
#include <string.h>

#include "src/events/prophesee.h"

enum { RECORD = 4, OFF = 0, ON = 1, TIME_HIGH = 8 };

#define HIGH_RANGE ((int64_t)1 << 28)

typedef struct evt2_state {
  surge_clock clock; /* of TIME_HIGH            */
  int64_t high;      /* us; -1: none so far     */
} evt2_state;

/* Of any EVT but 3, so that `open` can say which it is. */
static bool recognise(const surge_bytes *bytes) {
  surge_prophesee_header header;
  return surge_prophesee_header_peek(bytes, &header) && header.encoding[0] &&
         strcmp(header.encoding, "3") != 0 &&
         strcmp(header.encoding, "3.0") != 0;
}

static surge_status open(surge_events_file *file) {
  surge_prophesee_header header;
  surge_prophesee_header_take(&file->bytes, &header);
  file->info.width = header.width;
  file->info.height = header.height;
  if (strcmp(header.encoding, "2") != 0 && strcmp(header.encoding, "2.0") != 0)
    return SURGE_EVENTS_FAIL(&file->bytes,
                             "wanted EVT 2.0 or 3.0 in the header, found %s",
                             header.encoding);
  SURGE_TRY(surge_events_new_state(file, sizeof(evt2_state)));
  ((evt2_state *)file->state)->high = -1;
  return SURGE_OK;
}

static void decode(surge_events_file *file, const uint8_t *at, size_t count,
                   surge_events *chunk) {
  evt2_state state = *(evt2_state *)file->state;
  surge_events out = *chunk;
  for (size_t i = 0; i < count; i++) {
    uint32_t word = surge_u32_little(at + i * RECORD), type = word >> 28;
    if (type <= ON && state.high >= 0) {
      out.t[out.count] = state.high | (word >> 22 & 63);
      out.x[out.count] = (uint16_t)(word >> 11 & 0x7ff);
      out.y[out.count] = (uint16_t)(word & 0x7ff);
      out.p[out.count++] = (uint8_t)type;
    } else if (type == TIME_HIGH) {
      state.high = surge_clock_unwrap(&state.clock, HIGH_RANGE,
                                      word & (HIGH_RANGE - 1)) *
                   64;
    }
  }
  *(evt2_state *)file->state = state;
  chunk->count = out.count;
}

static surge_status next(surge_events_file *file, surge_events *chunk) {
  return surge_events_records(file, chunk, RECORD, decode);
}

const surge_events_format surge_events_evt2 = {
    .name = "evt2", .recognise = recognise, .open = open, .next = next};
