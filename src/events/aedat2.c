/* aedat2.c - jAER's AEDAT 2.0: lines that begin with '#', then records of 8 bytes,
 * big-endian: u32 address, u32 time in us.
 *
 * The header ends behind "#End Of ASCII Header", else where a line does not begin
 * with '#' or holds a control character: a DAVIS record's first byte can be '#',
 * too. What the address means depends on the sensor: the one that a line AEChip or
 * HardwareInterface names; else, where the first records use bits 16 to 31, a
 * DAVIS, 240x180 unless their places ask for 346x260; else DVS128.
 *
 *   DVS128   bit 0: 1 = OFF; 1-7 x, 8-14 y; bit 15: no event of a pixel
 *   DAVIS    bit 11: 1 = ON; 12-21 x, 22-30 y; bit 31 or 10: no event of a pixel
 *
 * jAER counts x from the right and y from the bottom; both are turned, so that the
 * picture stands upright (tonic turns a DAVIS346 like this, a DVS128 not at all).
 * CIFAR10-DVS is DVS128 with the camera on its side: SpikingJelly reads it as x =
 * 127 - bits 8-14, y = 127 - bits 1-7, this reader's x and y swapped, which
 * data.set: cifar10_dvs does: no byte of a file says it.
 *
 * The clock wraps after 2^32 us; events out of order stay so; a place outside a
 * DAVIS comes out beyond its size, modulo 2^16; a record that is cut off fails. */
#include <string.h>

#include "src/events/record.h"

enum { RECORD = 8, LOOK = 1 << 15 /* records that tell the sensor */ };

static bool recognise(const surge_bytes *bytes) {
  return bytes->size >= 10 && !memcmp(bytes->at, "#!AER-DAT", 9) &&
         bytes->at[9] != '3' && bytes->at[9] != '4';
}

/* From the records, see above; the size of `info` is not set. */
static surge_status guess_sensor(surge_bytes *bytes, surge_events_info *info) {
  SURGE_TRY(surge_bytes_want(bytes, (size_t)LOOK * RECORD));
  uint32_t high = 0, x = 0, y = 0;
  for (size_t i = 0; i < LOOK && (i + 1) * RECORD <= bytes->size; i++) {
    uint32_t address = surge_u32_big(bytes->at + i * RECORD);
    high |= address >> 16;
    if (address >> 31) continue;
    if ((address >> 12 & 0x3ff) > x) x = address >> 12 & 0x3ff;
    if (address >> 22 > y) y = address >> 22;
  }
  surge_events_sensor(info, high == 0            ? "DVS128"
                            : x < 240 && y < 180 ? "DAVIS240"
                                                 : "DAVIS346");
  return SURGE_OK;
}

static surge_status open(surge_events_file *file) {
  surge_bytes *bytes = &file->bytes;
  char line[SURGE_EVENTS_LINE] = "";
  uint64_t start = bytes->offset;
  if (!surge_events_header_line(bytes, '#', line) ||
      strcmp(line, "#!AER-DAT2.0") != 0)
    return SURGE_FAIL(
        SURGE_ERROR_DATA,
        "%s: byte %llu: wanted the line #!AER-DAT2.0, found \"%s\"",
        bytes->path, (unsigned long long)start, line);
  while (surge_events_header_line(bytes, '#', line)) {
    if (strcasestr(line, "AEChip") || strcasestr(line, "HardwareInterface"))
      surge_events_sensor(&file->info, line);
    if (!strcasecmp(line, "#End Of ASCII Header")) break;
  }
  SURGE_TRY(surge_events_new_state(file, sizeof(surge_clock)));
  return file->info.width ? SURGE_OK : guess_sensor(bytes, &file->info);
}

static void decode_dvs128(surge_events_file *file, const uint8_t *at,
                          size_t count, surge_events *chunk) {
  surge_clock clock = *(surge_clock *)file->state;
  surge_events out = *chunk;
  for (size_t i = 0; i < count; i++) {
    uint32_t address = surge_u32_big(at + i * RECORD);
    out.t[out.count] = surge_clock_unwrap(&clock, SURGE_CLOCK_32,
                                          surge_u32_big(at + i * RECORD + 4));
    out.x[out.count] = (uint16_t)(127 - (address >> 1 & 127));
    out.y[out.count] = (uint16_t)(127 - (address >> 8 & 127));
    out.p[out.count] = (uint8_t)(~address & 1);
    out.count += ~address >> 15 & 1;
  }
  *(surge_clock *)file->state = clock;
  chunk->count = out.count;
}

static void decode_davis(surge_events_file *file, const uint8_t *at,
                         size_t count, surge_events *chunk) {
  surge_clock clock = *(surge_clock *)file->state;
  uint32_t right = (uint32_t)file->info.width - 1;
  uint32_t bottom = (uint32_t)file->info.height - 1;
  surge_events out = *chunk;
  for (size_t i = 0; i < count; i++) {
    uint32_t address = surge_u32_big(at + i * RECORD);
    out.t[out.count] = surge_clock_unwrap(&clock, SURGE_CLOCK_32,
                                          surge_u32_big(at + i * RECORD + 4));
    out.x[out.count] = (uint16_t)(right - (address >> 12 & 0x3ff));
    out.y[out.count] = (uint16_t)(bottom - (address >> 22 & 0x1ff));
    out.p[out.count] = (uint8_t)(address >> 11 & 1);
    out.count += !(address & (1u << 31 | 1u << 10));
  }
  *(surge_clock *)file->state = clock;
  chunk->count = out.count;
}

static surge_status next(surge_events_file *file, surge_events *chunk) {
  return surge_events_records(
      file, chunk, RECORD,
      file->info.width == 128 ? decode_dvs128 : decode_davis);
}

const surge_events_format surge_events_aedat2 = {
    .name = "aedat2", .recognise = recognise, .open = open, .next = next};
