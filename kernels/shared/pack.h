/* pack.h - a small sum of spikes as a byte: x = k/scale, k in 0..255. */
#ifndef SURGE_SHARED_PACK_H
#define SURGE_SHARED_PACK_H

#include "kernels/shared/math.h"

/* The last eight bits of the integer nearest to x*scale (below 2^22). */
SURGE_INLINE uint8_t surge_pack_level(float x, float scale) {
  const float magic = 0x1.8p23f; /* adding it rounds to an integer */
  return (uint8_t)surge_bits_of(x * scale + magic);
}

/* Divided as the average pool divides: by a reciprocal it would be rounded
 * twice. */
SURGE_INLINE float surge_unpack_level(uint8_t k, float scale) {
  return (float)k / scale;
}

#endif
