/* element.h - what library calls read and write: floats, floats rounded to tf32,
 * and bf16. */
#ifndef SURGE_TESTS_EMULATOR_ELEMENT_H
#define SURGE_TESTS_EMULATOR_ELEMENT_H

#include <cuda_runtime.h>

#include "kernels/shared/element.h"

namespace surge_emulator {

enum class element { fp32, tf32, bf16 };

inline size_t bytes_of(element e) { return e == element::bf16 ? 2 : 4; }

/* A float's 23 bits of fraction rounded to tf32's 10, ties away from 0. */
inline float to_tf32(float x) {
  if (!isfinite(x)) return x;
  return surge_float_of((surge_bits_of(x) + 0x1000u) & ~0x1fffu);
}

/* Element i as it enters a product. */
inline float read(const void *from, element e, size_t i) {
  if (e == element::bf16) return (float)((const surge_bf16 *)from)[i];
  float x = ((const float *)from)[i];
  return e == element::tf32 ? to_tf32(x) : x;
}

/* to[i] = alpha * sum + beta * to[i] in float, rounded once to the element;
 * results are never rounded to tf32. */
inline void write(void *to, element e, size_t i, double sum, float alpha,
                  float beta) {
  element plain = e == element::bf16 ? e : element::fp32;
  float x = alpha * (float)sum;
  if (beta != 0.0f) x += beta * read(to, plain, i);
  if (e == element::bf16)
    ((surge_bf16 *)to)[i] = (surge_bf16)x;
  else
    ((float *)to)[i] = x;
}

} /* namespace surge_emulator */

#endif
