/* dat.c - Prophesee's and ATIS's .dat: the header of prophesee.h, 2 bytes (event
 * type, bytes an event), then 8 bytes an event, little-endian: u32 time in us, u32
 * place and polarity, in version 2 x in bits 0-13, y 14-27, p 28, in version 1 x
 * 0-8, y 9-16, p 17 (load_atis_data.m). A header without a version is of version 2,
 * as Prophesee's own reader takes it.
 *
 * The clock wraps after 2^32 us; events out of order stay so; places are not
 * checked against the header's size; a record that is cut off fails. */
#include "src/events/prophesee.h"

enum { RECORD = 8, TD = 0x00, CD = 0x0c /* types of events of change */ };

typedef struct dat_layout {
  surge_clock clock;
  uint32_t x_mask, y_shift, y_mask, p_shift;
} dat_layout;

static bool recognise(const surge_bytes *bytes) {
  surge_prophesee_header header;
  return surge_prophesee_header_peek(bytes, &header) && !header.encoding[0];
}

static surge_status open(surge_events_file *file) {
  surge_bytes *bytes = &file->bytes;
  surge_prophesee_header header;
  surge_prophesee_header_take(bytes, &header);
  file->info.width = header.width;
  file->info.height = header.height;
  SURGE_TRY(surge_bytes_want(bytes, 2));
  if (bytes->size < 2) return surge_events_cut_off(bytes, 2);
  if ((bytes->at[0] != TD && bytes->at[0] != CD) || bytes->at[1] != RECORD)
    return SURGE_EVENTS_FAIL(
        bytes,
        "wanted event type 0 or 12 and 8 bytes an event, found %u and %u",
        bytes->at[0], bytes->at[1]);
  if (header.version < 0 || header.version > 2)
    return SURGE_EVENTS_FAIL(bytes, "wanted version 1 or 2 before it, found %d",
                             header.version);
  surge_bytes_take(bytes, 2);
  SURGE_TRY(surge_events_new_state(file, sizeof(dat_layout)));
  *(dat_layout *)file->state = header.version == 2
                                   ? (dat_layout){{0}, 0x3fff, 14, 0x3fff, 28}
                                   : (dat_layout){{0}, 0x1ff, 9, 0xff, 17};
  return SURGE_OK;
}

static void decode(surge_events_file *file, const uint8_t *at, size_t count,
                   surge_events *chunk) {
  dat_layout layout = *(dat_layout *)file->state;
  size_t k = chunk->count;
  int64_t *t = chunk->t + k;
  uint16_t *restrict x = chunk->x + k, *restrict y = chunk->y + k;
  uint8_t *restrict p = chunk->p + k;
  for (size_t i = 0; i < count; i++)
    t[i] = surge_clock_unwrap(&layout.clock, SURGE_CLOCK_32,
                              surge_u32_little(at + i * RECORD));
  for (size_t i = 0; i < count; i++) { /* in vectors: no clock in it */
    uint32_t place = surge_u32_little(at + i * RECORD + 4);
    x[i] = (uint16_t)(place & layout.x_mask);
    y[i] = (uint16_t)(place >> layout.y_shift & layout.y_mask);
    p[i] = (uint8_t)(place >> layout.p_shift & 1);
  }
  *(dat_layout *)file->state = layout;
  chunk->count += count;
}

static surge_status next(surge_events_file *file, surge_events *chunk) {
  return surge_events_records(file, chunk, RECORD, decode);
}

const surge_events_format surge_events_dat = {
    .name = "dat", .recognise = recognise, .open = open, .next = next};
