/* evt3.c - Prophesee's EVT 3.0: the header of prophesee.h, then u16 words,
 * little-endian, type in bits 12-15, which change a state and emit events of it:
 *
 *   0 ADDR_Y       y in 0-10
 *   2 ADDR_X       x in 0-10, polarity in 11; one event
 *   3 VECT_BASE_X  the same, no event
 *   4 VECT_12      a mask, bit 0 first: an event at base + bit; the base moves on
 *   5 VECT_8       the same of 8 bits
 *   6 TIME_LOW     t's low 12 bits
 *   8 TIME_HIGH    t's upper 12 bits; the low ones are 0 until their word comes
 *
 * Other words are passed over; so are events before the first TIME_HIGH, which
 * have no time yet, as in Prophesee's own decoder. The clock wraps after 2^24 us,
 * seen by TIME_HIGH alone: TIME_LOW steps back by a few us in good files. Events
 * out of order stay so; places are not checked against the header's size (a base
 * that moves on past 2^16 starts again at 0); a word that is cut off fails. */
#include <string.h>

#include "src/events/prophesee.h"

enum {
  WORD = 2,
  ADDR_Y = 0,
  ADDR_X = 2,
  VECT_BASE_X = 3,
  VECT_12 = 4,
  VECT_8 = 5,
  TIME_LOW = 6,
  TIME_HIGH = 8,
  HIGH_RANGE = 1 << 12
};

typedef struct evt3_state {
  surge_clock clock; /* of TIME_HIGH                                 */
  int64_t high, low; /* us; high is -1 before the first TIME_HIGH     */
  uint32_t y, base;  /* of the next vector                           */
  uint32_t mask, x;  /* events of a vector that found no room, from x */
  uint8_t p;         /* of vectors                                   */
} evt3_state;

static bool recognise(const surge_bytes *bytes) {
  surge_prophesee_header header;
  return surge_prophesee_header_peek(bytes, &header) &&
         (!strcmp(header.encoding, "3") || !strcmp(header.encoding, "3.0"));
}

static surge_status open(surge_events_file *file) {
  surge_prophesee_header header;
  surge_prophesee_header_take(&file->bytes, &header);
  file->info.width = header.width;
  file->info.height = header.height;
  SURGE_TRY(surge_events_new_state(file, sizeof(evt3_state)));
  ((evt3_state *)file->state)->high = -1;
  return SURGE_OK;
}

/* Events of the mask, as many as there is room for. */
static inline void emit_mask(surge_events *out, evt3_state *s) {
  for (; s->mask && out->count < out->capacity; s->mask &= s->mask - 1) {
    out->t[out->count] = s->high | s->low;
    out->x[out->count] = (uint16_t)(s->x + (uint32_t)__builtin_ctz(s->mask));
    out->y[out->count] = (uint16_t)s->y;
    out->p[out->count++] = s->p;
  }
}

static inline void take_vector(evt3_state *s, uint32_t mask, uint32_t width) {
  s->mask = s->high < 0 ? 0 : mask;
  s->x = s->base;
  s->base += width;
}

static inline void take_time_high(evt3_state *s, uint32_t counter) {
  int64_t high =
      surge_clock_unwrap(&s->clock, HIGH_RANGE, counter) * HIGH_RANGE;
  if (high != s->high) s->low = 0;
  s->high = high;
}

/* ADDR_Y, ADDR_X and TIME_LOW, of which files are made where there are few
 * vectors, come in no order that a processor could guess: no branches. There is
 * room for an event. */
#define FREQUENT (1u << ADDR_Y | 1u << ADDR_X | 1u << TIME_LOW)

static inline void take_frequent(surge_events *out, evt3_state *s,
                                 uint32_t type, uint32_t word) {
  uint32_t place = word & 0x7ff;
  s->y = type == ADDR_Y ? place : s->y;
  s->low = type == TIME_LOW ? word & 0xfff : s->low;
  out->t[out->count] = s->high | s->low;
  out->x[out->count] = (uint16_t)place;
  out->y[out->count] = (uint16_t)s->y;
  out->p[out->count] = (uint8_t)(word >> 11 & 1);
  out->count += (type == ADDR_X) & (s->high >= 0);
}

static inline void take_other(evt3_state *s, uint32_t type, uint32_t word) {
  switch (type) {
    case VECT_BASE_X:
      s->p = (uint8_t)(word >> 11 & 1);
      s->base = word & 0x7ff;
      break;
    case VECT_12: take_vector(s, word & 0xfff, 12); break;
    case VECT_8: take_vector(s, word & 0xff, 8); break;
    case TIME_HIGH: take_time_high(s, word & 0xfff); break;
    default: break;
  }
}

/* Words until one finds no room for all of its events; how many. */
static size_t decode(evt3_state *kept, const uint8_t *at, size_t count,
                     surge_events *chunk) {
  evt3_state s = *kept;
  surge_events out = *chunk;
  size_t i = 0;
  emit_mask(&out, &s);
  for (; i < count && out.count < out.capacity; i++) {
    uint32_t word = surge_u16_little(at + i * WORD), type = word >> 12;
    if (FREQUENT >> type & 1) {
      take_frequent(&out, &s, type, word);
    } else {
      take_other(&s, type, word);
      emit_mask(&out, &s);
    }
  }
  *kept = s;
  chunk->count = out.count;
  return i;
}

static surge_status next(surge_events_file *file, surge_events *chunk) {
  surge_bytes *bytes = &file->bytes;
  evt3_state *s = file->state;
  while (chunk->count < chunk->capacity) {
    SURGE_TRY(surge_bytes_want(bytes, WORD));
    if (bytes->size == 0 && s->mask == 0) return SURGE_OK;
    if (bytes->size == 1 && s->mask == 0)
      return surge_events_cut_off(bytes, WORD);
    size_t words = decode(s, bytes->at, bytes->size / WORD, chunk);
    surge_bytes_take(bytes, words * WORD);
  }
  return SURGE_OK;
}

const surge_events_format surge_events_evt3 = {
    .name = "evt3", .recognise = recognise, .open = open, .next = next};
