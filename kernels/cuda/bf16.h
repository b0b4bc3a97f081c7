/* bf16.h - an element of bf16 in the device's memory: read and written as the
 * float it stands for.
 *
 * Bits as kernels/shared/element.h has them, save that the device's conversion
 * makes one pattern of every NaN, where the host keeps sign and payload. */
#ifndef SURGE_KERNELS_CUDA_BF16_H
#define SURGE_KERNELS_CUDA_BF16_H

#include "kernels/shared/element.h"

struct surge_bf16 {
  uint16_t bits;

  surge_bf16() = default;

  explicit __device__ __forceinline__ surge_bf16(float x) {
#ifdef __CUDA_ARCH__
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
#else
    bits = surge_float_to_bf16(x);
#endif
  }

  explicit __device__ __forceinline__ operator float() const {
    return surge_bf16_to_float(bits);
  }
};

#endif
