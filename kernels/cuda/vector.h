/* vector.h - V neighbouring elements in one access.
 *
 * Kernels that are bound by memory take V = 4 elements a thread, 16 bytes of
 * float, where the channels and the pointers allow it, and V = 1 elsewhere.
 * Arithmetic is in float whatever the element type E of memory is. */
#ifndef SURGE_KERNELS_CUDA_VECTOR_H
#define SURGE_KERNELS_CUDA_VECTOR_H

#include <stddef.h>
#include <stdint.h>

/* V values in registers. */
template <int V>
struct surge_values {
  float v[V];
};

/* V elements as they lie in memory: the alignment makes it one access. */
template <typename E, int V>
struct alignas(sizeof(E) * V) surge_packed {
  E e[V];
};

template <int V, typename E>
static __device__ __forceinline__ surge_values<V> surge_load(const E *from) {
  surge_packed<E, V> memory = *(const surge_packed<E, V> *)(const void *)from;
  surge_values<V> values;
#pragma unroll
  for (int i = 0; i < V; i++) values.v[i] = (float)memory.e[i];
  return values;
}

template <int V, typename E>
static __device__ __forceinline__ void surge_store(E *to,
                                                   surge_values<V> values) {
  surge_packed<E, V> memory;
#pragma unroll
  for (int i = 0; i < V; i++) memory.e[i] = (E)values.v[i];
  *(surge_packed<E, V> *)(void *)to = memory;
}

/* Whether V elements at a time may be read at `pointer`; NULL never is. */
template <int V, typename E>
static inline bool surge_aligned(const E *pointer) {
  return (uintptr_t)pointer % sizeof(surge_packed<E, V>) == 0;
}

#endif
