/* philox.h - counter-based random numbers, the same on every backend.
 *
 * Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011). A draw is addressed by what it is for - (seed, epoch, use, sample,
 * index) - so it depends on no thread, order or earlier draw. */
#ifndef SURGE_SHARED_PHILOX_H
#define SURGE_SHARED_PHILOX_H

#include <surge/tensor.h>

typedef struct surge_philox4 {
  uint32_t x[4];
} surge_philox4;

/* The ten rounds on a counter and a key. */
SURGE_INLINE surge_philox4 surge_philox_rounds(surge_philox4 c, uint32_t k0,
                                               uint32_t k1) {
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53u * c.x[0];
    uint64_t p1 = (uint64_t)0xCD9E8D57u * c.x[2];
    surge_philox4 n = {{(uint32_t)(p1 >> 32) ^ c.x[1] ^ k0, (uint32_t)p1,
                        (uint32_t)(p0 >> 32) ^ c.x[3] ^ k1, (uint32_t)p0}};
    c = n;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

/* Four 32-bit numbers for block `index` of a stream. `use` is a
 * surge_random_use (plus a layer's number). */
SURGE_INLINE surge_philox4 surge_philox(uint64_t seed, uint32_t epoch,
                                        uint32_t use, uint32_t sample,
                                        uint32_t index) {
  surge_philox4 counter = {{index, sample, epoch, use}};
  return surge_philox_rounds(counter, (uint32_t)seed, (uint32_t)(seed >> 32));
}

/* Uniform in [0, 1): 24 bits, exact in float. */
SURGE_INLINE float surge_uniform(uint32_t bits) {
  return (float)(bits >> 8) * 0x1p-24f;
}

/* 32 bits onto 0..places-1, each equally likely: the high half of a product. */
SURGE_INLINE int32_t surge_place(uint32_t bits, uint32_t places) {
  return (int32_t)((uint64_t)bits * places >> 32);
}

#endif
