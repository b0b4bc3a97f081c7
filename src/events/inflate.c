/* inflate.c - see inflate.h. */
#include "src/events/inflate.h"

#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define TEXT(value) #value
#define TEXT_OF(macro) TEXT(macro)
#define FIRST_CAPACITY ((size_t)1 << 16)

/* Room for at least one more byte: twice as much as there was. */
static const char *grow(surge_inflate *inflate) {
  if (inflate->size < inflate->capacity) return NULL;
  if (inflate->capacity >= SURGE_UNPACKED_MOST)
    return "wanted at most " TEXT_OF(
        SURGE_UNPACKED_MOST) " bytes unpacked, found more";
  size_t capacity = inflate->capacity ? 2 * inflate->capacity : FIRST_CAPACITY;
  uint8_t *larger = realloc(inflate->bytes, capacity);
  if (!larger) return "wanted memory to unpack it, found less";
  inflate->bytes = larger;
  inflate->capacity = capacity;
  return NULL;
}

/* One call of a decoder: takes from *packet and *size, appends to `inflate`.
 * *left: bytes that the frame still wants, 0 at its end. */
typedef const char *step(surge_inflate *inflate, const uint8_t **packet,
                         size_t *size, size_t *left);

static const char *step_lz4(surge_inflate *inflate, const uint8_t **packet,
                            size_t *size, size_t *left) {
  size_t taken = *size, given = inflate->capacity - inflate->size;
  *left = LZ4F_decompress(inflate->lz4, inflate->bytes + inflate->size, &given,
                          *packet, &taken, NULL);
  if (LZ4F_isError(*left)) return LZ4F_getErrorName(*left);
  *packet += taken;
  *size -= taken;
  inflate->size += given;
  return NULL;
}

static const char *step_zstd(surge_inflate *inflate, const uint8_t **packet,
                             size_t *size, size_t *left) {
  ZSTD_inBuffer in = {*packet, *size, 0};
  ZSTD_outBuffer out = {inflate->bytes, inflate->capacity, inflate->size};
  *left = ZSTD_decompressStream(inflate->zstd, &out, &in);
  if (ZSTD_isError(*left)) return ZSTD_getErrorName(*left);
  *packet += in.pos;
  *size -= in.pos;
  inflate->size = out.pos;
  return NULL;
}

static const char *step_copy(surge_inflate *inflate, const uint8_t **packet,
                             size_t *size, size_t *left) {
  size_t room = inflate->capacity - inflate->size;
  size_t count = *size < room ? *size : room;
  memcpy(inflate->bytes + inflate->size, *packet, count);
  inflate->size += count;
  *packet += count;
  *left = *size -= count;
  return NULL;
}

/* A decoder may hold output back until there is room, so the end is where the
 * frame says so, not where the packet's bytes are used up. */
static const char *unpack(surge_inflate *inflate, step *decode,
                          const uint8_t *packet, size_t size) {
  size_t left = 1;
  while (size > 0 || left > 0) {
    size_t before = inflate->size, rest = size;
    const char *fault = grow(inflate);
    if (!fault) fault = decode(inflate, &packet, &size, &left);
    if (fault) return fault;
    if (size == rest && inflate->size == before && left > 0)
      return "a whole frame was wanted, found one that is cut off";
  }
  return NULL;
}

/* Decoders start anew, also where a damaged frame left one in its middle. */
static step *prepare(surge_inflate *inflate, surge_packing packing) {
  if (packing == SURGE_PACKING_NONE) return step_copy;
  if (packing == SURGE_PACKING_ZSTD) {
    if (!inflate->zstd) inflate->zstd = ZSTD_createDStream();
    if (!inflate->zstd || ZSTD_isError(ZSTD_initDStream(inflate->zstd)))
      return NULL;
    return step_zstd;
  }
  LZ4F_dctx *context = inflate->lz4;
  if (!context &&
      LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
    return NULL;
  inflate->lz4 = context;
  LZ4F_resetDecompressionContext(context);
  return step_lz4;
}

const char *surge_inflate_packet(surge_inflate *inflate, surge_packing packing,
                                 const uint8_t *packet, size_t size) {
  step *decode = prepare(inflate, packing);
  inflate->size = 0;
  if (!decode) return "wanted memory for a decoder, found less";
  return unpack(inflate, decode, packet, size);
}

void surge_inflate_free(surge_inflate *inflate) {
  LZ4F_freeDecompressionContext(inflate->lz4);
  ZSTD_freeDStream(inflate->zstd);
  free(inflate->bytes);
  *inflate = (surge_inflate){0};
}
