/* vector.h - V neighbouring elements in one access.
 *
 * Kernels that are bound by memory take 16 bytes a thread, V = surge_wide<E>
 * elements, where the channels and the pointers allow it, and V = 1 elsewhere.
 * Arithmetic is in float whatever the element type E of memory is: float, or
 * surge_bf16, rounded where it is stored. */
#ifndef SURGE_KERNELS_CUDA_VECTOR_H
#define SURGE_KERNELS_CUDA_VECTOR_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/shared/element.h"

/* function<E>(...) with the element type E of maps of `type`. */
#define SURGE_BY_TYPE(type, function, ...)                                     \
  ((type) == SURGE_BF16 ? function<surge_bf16>(__VA_ARGS__)                    \
                        : function<float>(__VA_ARGS__))

/* Elements of 16 bytes. */
template <typename E>
constexpr int surge_wide = 16 / (int)sizeof(E);

/* V values in registers. */
template <int V>
struct surge_values {
  float v[V];
};

/* V elements as they lie in memory: the alignment makes it one access, and kept
 * so they take no more registers than bytes. */
template <typename E, int V>
struct alignas(sizeof(E) * V) surge_packed {
  E v[V];
};

template <int V, typename E>
static __device__ __forceinline__ surge_packed<E, V> surge_fetch(
    const E *from) {
  return *(const surge_packed<E, V> *)(const void *)from;
}

template <int V, typename E>
static __device__ __forceinline__ surge_values<V> surge_load(const E *from) {
  surge_packed<E, V> memory = surge_fetch<V>(from);
  surge_values<V> values;
#pragma unroll
  for (int i = 0; i < V; i++) values.v[i] = (float)memory.v[i];
  return values;
}

template <int V, typename E>
static __device__ __forceinline__ void surge_store(E *to,
                                                   surge_values<V> values) {
  surge_packed<E, V> memory;
#pragma unroll
  for (int i = 0; i < V; i++) memory.v[i] = (E)values.v[i];
  *(surge_packed<E, V> *)(void *)to = memory;
}

/* Whether 16 bytes at a time may be read at `pointer`; NULL is. */
static inline bool surge_aligned(const void *pointer) {
  return (uintptr_t)pointer % 16 == 0;
}

#endif
