/* element.h - elements of maps as floats: fp32 as they are, bf16 rounded to
 * nearest even. bf16 is the upper half of a float's bits. */
#ifndef SURGE_SHARED_ELEMENT_H
#define SURGE_SHARED_ELEMENT_H

#include "kernels/shared/math.h"

SURGE_INLINE float surge_bf16_to_float(uint16_t bits) {
  return surge_float_of((uint32_t)bits << 16);
}

/* NaN stays NaN: its quiet bit is set before the lower half is dropped. */
SURGE_INLINE uint16_t surge_float_to_bf16(float x) {
  uint32_t bits = surge_bits_of(x);
  if (x != x) return (uint16_t)(bits >> 16 | 0x40u);
  uint32_t even = bits >> 16 & 1u;
  return (uint16_t)((bits + 0x7FFFu + even) >> 16);
}

/* Element i of a map, for what is read too seldom to be worth a type. */
SURGE_INLINE float surge_load(const void *map, surge_dtype type, size_t i) {
  return type == SURGE_BF16 ? surge_bf16_to_float(((const uint16_t *)map)[i])
                            : ((const float *)map)[i];
}

SURGE_INLINE void surge_store(void *map, surge_dtype type, size_t i, float x) {
  if (type == SURGE_BF16)
    ((uint16_t *)map)[i] = surge_float_to_bf16(x);
  else
    ((float *)map)[i] = x;
}

#endif
