/* aedat3.c - cAER's AEDAT 3.1 (DVS128 Gesture): lines that begin with '#' up to
 * "#!END-HEADER", then packets: a header of 28 bytes, little-endian (i16 type, i16
 * source, i32 size of an event, i32 place of its time, i32 overflows of 2^31 us,
 * i32 capacity, i32 number, i32 valid), and `capacity` events.
 *
 * Packets of polarity events (type 1) are read: u32 (bit 0 valid, 1 polarity, 2-16
 * y, 17-31 x, from the top left), i32 time in us. Events that are not valid, those
 * past `number` and all packets of other types are passed over. Time comes from
 * the packet's overflows, so events and packets out of order stay so; a place
 * outside of the sensor that the line "#Source" names stays as it is. A packet
 * that is cut off or says what cannot be fails; so does a format but RAW. */
#include <string.h>

#include "src/events/record.h"

enum { HEADER = 28, POLARITY = 1, RECORD = 8, TIME_AT = 4 };

typedef struct aedat3_packet {
  int64_t overflows;       /* us                                         */
  uint64_t events, passed; /* still to read; bytes behind them to pass over */
} aedat3_packet;

static bool recognise(const surge_bytes *bytes) {
  return bytes->size >= 10 && !memcmp(bytes->at, "#!AER-DAT3", 10);
}

static surge_status open(surge_events_file *file) {
  surge_bytes *bytes = &file->bytes;
  char line[SURGE_EVENTS_LINE] = "";
  if (!surge_events_header_line(bytes, '#', line) ||
      strcmp(line, "#!AER-DAT3.1") != 0)
    return SURGE_EVENTS_FAIL(
        bytes, "wanted the line #!AER-DAT3.1, found \"%s\"", line);
  while (surge_events_header_line(bytes, '#', line)) {
    if (!strcmp(line, "#!END-HEADER"))
      return surge_events_new_state(file, sizeof(aedat3_packet));
    if (!strncmp(line, "#Format:", 8) && !strstr(line, "RAW"))
      return SURGE_EVENTS_FAIL(
          bytes, "wanted a line \"#Format: RAW\" before it, found \"%s\"",
          line);
    if (!strncmp(line, "#Source", 7)) surge_events_sensor(&file->info, line);
  }
  return SURGE_EVENTS_FAIL(bytes, "wanted the line %s, found the header's end",
                           "#!END-HEADER");
}

static surge_status next_packet(surge_bytes *bytes, aedat3_packet *packet) {
  SURGE_TRY(surge_bytes_want(bytes, HEADER));
  if (bytes->size < HEADER) return surge_events_cut_off(bytes, HEADER);
  const uint8_t *at = bytes->at;
  uint32_t type = surge_u16_little(at), size = surge_u32_little(at + 4);
  uint32_t time_at = surge_u32_little(at + 8);
  uint32_t overflows = surge_u32_little(at + 12);
  uint32_t capacity = surge_u32_little(at + 16);
  uint32_t number = surge_u32_little(at + 20);
  if ((size | overflows | capacity) >> 31 || number > capacity || type >> 15)
    return SURGE_EVENTS_FAIL(
        bytes,
        "wanted a packet, found one of type %u, %u bytes an event, %u overflows, "
        "room for %u events and %u of them",
        type, size, overflows, capacity, number);
  if (type == POLARITY && (size != RECORD || time_at != TIME_AT))
    return SURGE_EVENTS_FAIL(
        bytes,
        "wanted polarity events of %d bytes with time at %d, "
        "found %u bytes and %u",
        RECORD, TIME_AT, size, time_at);
  packet->overflows = (int64_t)overflows << 31;
  packet->events = type == POLARITY ? number : 0;
  packet->passed = (uint64_t)size * (capacity - packet->events);
  surge_bytes_take(bytes, HEADER);
  return SURGE_OK;
}

static void decode(const aedat3_packet *packet, const uint8_t *at, size_t count,
                   surge_events *chunk) {
  surge_events out = *chunk;
  int64_t overflows = packet->overflows;
  for (size_t i = 0; i < count; i++) {
    uint32_t event = surge_u32_little(at + i * RECORD);
    uint32_t t = surge_u32_little(at + i * RECORD + TIME_AT);
    out.t[out.count] = overflows + (t & 0x7fffffff);
    out.x[out.count] = (uint16_t)(event >> 17);
    out.y[out.count] = (uint16_t)(event >> 2 & 0x7fff);
    out.p[out.count] = (uint8_t)(event >> 1 & 1);
    out.count += event & 1;
  }
  chunk->count = out.count;
}

static surge_status next(surge_events_file *file, surge_events *chunk) {
  surge_bytes *bytes = &file->bytes;
  aedat3_packet *packet = file->state;
  while (chunk->count < chunk->capacity) {
    if (packet->events == 0) {
      SURGE_TRY(surge_events_pass(bytes, packet->passed));
      packet->passed = 0;
      SURGE_TRY(surge_bytes_want(bytes, 1));
      if (bytes->size == 0) return SURGE_OK;
      SURGE_TRY(next_packet(bytes, packet));
      continue;
    }
    SURGE_TRY(surge_bytes_want(bytes, RECORD));
    size_t count = bytes->size / RECORD, room = chunk->capacity - chunk->count;
    if (count == 0) return surge_events_cut_off(bytes, RECORD);
    if (count > room) count = room;
    if (count > packet->events) count = (size_t)packet->events;
    decode(packet, bytes->at, count, chunk);
    surge_bytes_take(bytes, count * RECORD);
    packet->events -= count;
  }
  return SURGE_OK;
}

const surge_events_format surge_events_aedat3 = {
    .name = "aedat3", .recognise = recognise, .open = open, .next = next};
