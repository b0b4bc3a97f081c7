/* inflate.h - a packet's LZ4 or Zstandard frames, unpacked.
 *
 * What a frame claims of its size is not believed: the buffer grows with what
 * has really come out of it, up to a limit. */
#ifndef SURGE_EVENTS_INFLATE_H
#define SURGE_EVENTS_INFLATE_H

#include <stddef.h>
#include <stdint.h>

/* A packet of more is refused: 16 million events. */
#define SURGE_UNPACKED_MOST 268435456

typedef enum surge_packing {
  SURGE_PACKING_NONE,
  SURGE_PACKING_LZ4,
  SURGE_PACKING_ZSTD,
} surge_packing;

typedef struct surge_inflate {
  uint8_t *bytes; /* of the packet unpacked last */
  size_t size, capacity;
  void *lz4, *zstd; /* their contexts; NULL until the first frame */
} surge_inflate;

/* Unpacks whole frames. NULL, or what is wrong with them. */
const char *surge_inflate_packet(surge_inflate *inflate, surge_packing packing,
                                 const uint8_t *packet, size_t size);
void surge_inflate_free(surge_inflate *inflate);

#endif
