/* aedat4.c - AEDAT 4 (iniVation's dv-runtime and dv-processing, .aedat4).
 *
 *     "#!AER-DAT4.0\r\n", u32 bytes of the header, the header; then packets:
 *     i32 stream, i32 bytes, that many bytes in LZ4 or Zstandard frames
 *
 * up to the data table, an index that is not needed here. The header is a
 * FlatBuffer "IOHE": compression, place of the data table (-1: the recording
 * was not closed, packets go on to the file's end), and the streams as XML. An
 * unpacked packet is u32 bytes and a FlatBuffer: "EVTS" has a vector of events
 * of 16 bytes, i64 t in us, i16 x, i16 y, u8 p. Other streams are passed over.
 *
 * A packet is unpacked as a whole, so memory is bounded by the largest one: as
 * it lies in the file, and SURGE_UNPACKED_MOST. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/events/flatbuffer.h"
#include "src/events/format.h"
#include "src/events/inflate.h"
#include "src/events/record.h"

#define MAGIC "#!AER-DAT4.0\r\n"

enum {
  MAGIC_BYTES = sizeof MAGIC - 1,
  HEADER_MOST =
      1 << 24, /* bytes: a header of a few streams has a few thousand */
  PACKET_HEAD = 8,
  EVENT = 16,
  SIDE_MOST = 1 << 16, /* of a sensor whose places are 16 bits */
};

typedef struct aedat4 {
  surge_packing packing;
  uint64_t end;    /* where packets do                            */
  uint32_t stream; /* the first of events                        */
  surge_inflate inflate;
  const uint8_t *events; /* of the packet that were not yet given */
  size_t count;
} aedat4;

static bool recognise(const surge_bytes *bytes) {
  return bytes->size >= MAGIC_BYTES && !memcmp(bytes->at, MAGIC, MAGIC_BYTES);
}

/* --- the streams, in XML -------------------------------------------------- */

/* <node name="outInfo"> holds <node name="ID"> for each stream; that holds
 * <attr key="typeIdentifier">EVTS</attr> and <node name="info">, which has the
 * sensor's sizeX and sizeY. One tag after the other, by depth. */
typedef struct xml {
  const char *at, *end;
  int depth;             /* of nodes: 1 outInfo, 2 a stream, 3 its info */
  uint32_t stream;       /* whose node this is                           */
  int32_t width, height; /* that its info says                        */
  bool events;           /* is it a stream of events?                    */
} xml;

/* Is `text` what stands at x->at? */
static bool starts(const xml *x, const char *text) {
  size_t length = strlen(text);
  return (size_t)(x->end - x->at) >= length && !memcmp(x->at, text, length);
}

/* The number at `at`, 0 where there is none; one with more digits than a sensor
 * or a stream has is none. */
static int32_t number_at(const char *at, const char *end) {
  int32_t value = 0;
  for (int i = 0; at < end && *at >= '0' && *at <= '9'; at++, i++) {
    if (i == 9) return 0;
    value = 10 * value + (*at - '0');
  }
  return value;
}

/* An <attr ...>value; x->at is behind its key's quote. */
static void take_attr(xml *x) {
  const char *value = memchr(x->at, '>', (size_t)(x->end - x->at));
  if (!value) return;
  int32_t number = number_at(value + 1, x->end);
  bool side = x->depth == 3 && number <= SIDE_MOST;
  if (side && starts(x, "sizeX\"")) x->width = number;
  if (side && starts(x, "sizeY\"")) x->height = number;
  if (x->depth == 2 && starts(x, "typeIdentifier\""))
    x->events = x->end - value > 4 && !memcmp(value + 1, "EVTS", 4);
}

/* Moves behind the next tag's "<"; false: there is none. */
static bool next_tag(xml *x) {
  const char *tag = memchr(x->at, '<', (size_t)(x->end - x->at));
  if (tag) x->at = tag + 1;
  return tag != NULL;
}

/* Is the tag at x->at all there is of its node, <node .../>? */
static bool is_empty(const xml *x) {
  const char *close = memchr(x->at, '>', (size_t)(x->end - x->at));
  return close && close > x->at && close[-1] == '/';
}

/* The next stream, complete; false: there are no more. */
static bool next_stream(xml *x) {
  while (next_tag(x)) {
    if (starts(x, "node name=\"") && !is_empty(x)) {
      x->at += strlen("node name=\"");
      if (++x->depth == 2) {
        x->stream = (uint32_t)number_at(x->at, x->end);
        x->width = x->height = 0;
        x->events = false;
      }
    } else if (starts(x, "attr key=\"")) {
      x->at += strlen("attr key=\"");
      take_attr(x);
    } else if (starts(x, "/node>") && x->depth-- == 2) {
      return true;
    }
  }
  return false;
}

static surge_status take_streams(surge_events_file *file, const uint8_t *text,
                                 size_t size) {
  aedat4 *a = file->state;
  xml x = {.at = (const char *)text, .end = (const char *)text + size};
  int others = 0;
  file->info.streams = 0;
  while (next_stream(&x)) {
    if (!x.events) others++;
    if (!x.events || file->info.streams++ > 0) continue;
    a->stream = x.stream;
    file->info.width = x.width;
    file->info.height = x.height;
  }
  if (file->info.streams > 0) return SURGE_OK;
  return SURGE_EVENTS_FAIL(&file->bytes,
                           "wanted a stream of events (EVTS), found %d streams "
                           "of other kinds",
                           others);
}

/* --- the header ----------------------------------------------------------- */

static surge_status take_packing(surge_events_file *file, int64_t compression) {
  static const surge_packing packings[] = {
      SURGE_PACKING_NONE, SURGE_PACKING_LZ4, SURGE_PACKING_LZ4,
      SURGE_PACKING_ZSTD, SURGE_PACKING_ZSTD};
  if (compression < 0 || compression > 4)
    return SURGE_EVENTS_FAIL(
        &file->bytes, "wanted compression 0 to 4, found %" PRId64, compression);
  ((aedat4 *)file->state)->packing = packings[compression];
  return SURGE_OK;
}

static surge_status take_header(surge_events_file *file,
                                const surge_flatbuffer *header) {
  surge_bytes *bytes = &file->bytes;
  aedat4 *a = file->state;
  int64_t compression = 0, table = -1;
  uint64_t first = bytes->offset + header->size; /* packet */
  const uint8_t *text;
  size_t root, size;
  if (header->size < 8 || memcmp(header->bytes + 4, "IOHE", 4) ||
      !surge_flatbuffer_root(header, &root))
    return SURGE_EVENTS_FAIL(bytes, "wanted a header %s, found none", "IOHE");
  surge_flatbuffer_scalar(header, root, 0, 4, &compression);
  surge_flatbuffer_scalar(header, root, 1, 8, &table);
  SURGE_TRY(take_packing(file, compression));
  if (table >= 0 && (uint64_t)table < first)
    return SURGE_EVENTS_FAIL(bytes,
                             "wanted a data table behind byte %" PRIu64
                             ", found one at %" PRId64,
                             first, table);
  a->end = table < 0 ? bytes->total : (uint64_t)table;
  if (!surge_flatbuffer_vector(header, root, 2, 1, &text, &size))
    return SURGE_EVENTS_FAIL(bytes, "wanted %s, found none in the header",
                             "a list of streams");
  return take_streams(file, text, size);
}

static surge_status open(surge_events_file *file) {
  surge_bytes *bytes = &file->bytes;
  file->state = calloc(1, sizeof(aedat4));
  if (!file->state)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory", file->path);
  SURGE_TRY(surge_bytes_want(bytes, MAGIC_BYTES)); /* recognise() saw it */
  surge_bytes_take(bytes, MAGIC_BYTES);
  SURGE_TRY(surge_bytes_want(bytes, 4));
  if (bytes->size < 4) return surge_events_cut_off(bytes, 4);
  size_t size = surge_u32_little(bytes->at);
  if (size > HEADER_MOST)
    return SURGE_EVENTS_FAIL(bytes,
                             "wanted a header of at most %d bytes, "
                             "found %zu",
                             HEADER_MOST, size);
  surge_bytes_take(bytes, 4);
  SURGE_TRY(surge_bytes_want(bytes, size));
  if (bytes->size < size) return surge_events_cut_off(bytes, size);
  SURGE_TRY(take_header(file, &(surge_flatbuffer){bytes->at, size}));
  surge_bytes_take(bytes, size);
  return SURGE_OK;
}

/* --- packets -------------------------------------------------------------- */

static surge_status take_events(surge_events_file *file) {
  aedat4 *a = file->state;
  const surge_inflate *unpacked = &a->inflate;
  size_t root,
      size = unpacked->size < 4 ? 0 : surge_u32_little(unpacked->bytes);
  if (unpacked->size < 12 || size < 8 || size > unpacked->size - 4)
    return SURGE_EVENTS_FAIL(&file->bytes,
                             "wanted a packet as long as it says, %zu bytes, "
                             "found %zu",
                             size, unpacked->size);
  surge_flatbuffer packet = {unpacked->bytes + 4, size};
  if (memcmp(packet.bytes + 4, "EVTS", 4) ||
      !surge_flatbuffer_root(&packet, &root))
    return SURGE_EVENTS_FAIL(&file->bytes, "wanted a packet %s, found none",
                             "EVTS");
  if (!surge_flatbuffer_vector(&packet, root, 0, EVENT, &a->events, &a->count))
    return SURGE_EVENTS_FAIL(&file->bytes,
                             "wanted events within the packet's %zu bytes, "
                             "found some outside",
                             size);
  return SURGE_OK;
}

/* Unpacks the packet of `size` bytes, its head among them. It stays in the
 * window, so that errors name its place. */
static surge_status unpack(surge_events_file *file, size_t size) {
  surge_bytes *bytes = &file->bytes;
  aedat4 *a = file->state;
  SURGE_TRY(surge_bytes_want(bytes, size));
  if (bytes->size < size) return surge_events_cut_off(bytes, size);
  const char *fault = surge_inflate_packet(
      &a->inflate, a->packing, bytes->at + PACKET_HEAD, size - PACKET_HEAD);
  if (fault) return SURGE_EVENTS_FAIL(bytes, "a packet: %s", fault);
  SURGE_TRY(take_events(file));
  surge_bytes_take(bytes, size);
  return SURGE_OK;
}

/* Takes one packet; *more: false at the end of them. What its head claims is
 * compared with the file before memory is asked for. */
static surge_status next_packet(surge_events_file *file, bool *more) {
  surge_bytes *bytes = &file->bytes;
  aedat4 *a = file->state;
  *more = bytes->offset != a->end;
  if (!*more) return SURGE_OK;
  SURGE_TRY(surge_bytes_want(bytes, PACKET_HEAD));
  if (bytes->size < PACKET_HEAD)
    return surge_events_cut_off(bytes, PACKET_HEAD);
  uint64_t size = PACKET_HEAD + (uint64_t)surge_u32_little(bytes->at + 4);
  if (size > bytes->total - bytes->offset)
    return SURGE_EVENTS_FAIL(bytes,
                             "wanted a packet of %" PRIu64
                             " bytes, found "
                             "%" PRIu64 " before the end of the file",
                             size, bytes->total - bytes->offset);
  if (size > a->end - bytes->offset)
    return SURGE_EVENTS_FAIL(bytes,
                             "wanted a packet that ends at byte %" PRIu64
                             " or before, found one of %" PRIu64 " bytes",
                             a->end, size);
  if (surge_u32_little(bytes->at) == a->stream)
    return unpack(file, (size_t)size);
  return surge_events_pass(bytes, size);
}

static surge_status next(surge_events_file *file, surge_events *chunk) {
  aedat4 *a = file->state;
  bool more = true;
  while (chunk->count < chunk->capacity && more) {
    if (a->count == 0) {
      SURGE_TRY(next_packet(file, &more));
      continue;
    }
    size_t room = chunk->capacity - chunk->count;
    size_t count = a->count < room ? a->count : room;
    for (size_t i = 0; i < count; i++) {
      const uint8_t *e = a->events + i * EVENT;
      size_t k = chunk->count + i;
      chunk->t[k] = (int64_t)((uint64_t)surge_u32_little(e + 4) << 32 |
                              surge_u32_little(e));
      chunk->x[k] = (uint16_t)(e[8] | e[9] << 8);
      chunk->y[k] = (uint16_t)(e[10] | e[11] << 8);
      chunk->p[k] = e[12] != 0;
    }
    chunk->count += count;
    a->events += count * EVENT;
    a->count -= count;
  }
  return SURGE_OK;
}

static void close(surge_events_file *file) {
  aedat4 *a = file->state;
  if (a) surge_inflate_free(&a->inflate);
  free(a);
}

const surge_events_format surge_events_aedat4 = {.name = "aedat4",
                                                 .recognise = recognise,
                                                 .open = open,
                                                 .next = next,
                                                 .close = close};
