/* element.h - elements of maps as floats: fp32 as they are, bf16 rounded to
 * nearest even. bf16 is the upper half of a float's bits. */
#ifndef SURGE_SHARED_ELEMENT_H
#define SURGE_SHARED_ELEMENT_H

#include "kernels/shared/math.h"

#ifdef __CUDACC__
#include <cuda_bf16.h>
#endif

SURGE_INLINE float surge_bf16_to_float(uint16_t bits) {
  return surge_float_of((uint32_t)bits << 16);
}

/* NaN stays NaN: on the host its quiet bit is set before the lower half is
 * dropped, the device's instruction makes all of them 0x7FFF. */
SURGE_INLINE uint16_t surge_float_to_bf16(float x) {
#ifdef __CUDA_ARCH__
  return __bfloat16_as_ushort(__float2bfloat16_rn(x));
#else
  uint32_t bits = surge_bits_of(x);
  if (x != x) return (uint16_t)(bits >> 16 | 0x40u);
  uint32_t even = bits >> 16 & 1u;
  return (uint16_t)((bits + 0x7FFFu + even) >> 16);
#endif
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

#ifdef __cplusplus
/* A bf16 element as a type, for kernels templated on the element: (float)e
 * widens, (surge_bf16)x rounds. */
struct surge_bf16 {
  uint16_t bits;
  surge_bf16() = default;
  __host__ __device__ explicit surge_bf16(float x)
      : bits(surge_float_to_bf16(x)) {}
  __host__ __device__ explicit operator float() const {
    return surge_bf16_to_float(bits);
  }
};
#endif

#endif
