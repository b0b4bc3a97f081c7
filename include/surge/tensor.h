/* tensor.h - the shape and physical layout of one feature map.
 *
 * Activations are [T, N, H, W, C]: time outermost, channels innermost. A
 * surge_map describes the inner three; T and N are arguments of every op.
 * A backend may store a map channels-last or, where C % 8 == 0, in blocks of
 * eight channels, [C/8, H, W, 8] (on CPUs the convolutions of oneDNN run 5 to
 * 35 % faster on it). Dumps, checkpoints and tests see the logical order;
 * surge_channel_of and surge_offset_of are the only translation. */
#ifndef SURGE_TENSOR_H
#define SURGE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__
#define SURGE_INLINE static __host__ __device__ __forceinline__
#else
#define SURGE_INLINE static inline
#endif

/*      type  safetensors' word  bytes */
#define SURGE_DTYPE_LIST(X)                                                    \
  X(F32, 4)                                                                    \
  X(F64, 8) X(I32, 4) X(I64, 8) X(U8, 1) X(U32, 4) X(U64, 8) X(BF16, 2)
typedef enum surge_dtype {
#define SURGE_DTYPE_ENUM(NAME, bytes) SURGE_##NAME,
  SURGE_DTYPE_LIST(SURGE_DTYPE_ENUM)
#undef SURGE_DTYPE_ENUM
} surge_dtype;

/* Bytes of one element. */
SURGE_INLINE size_t surge_dtype_bytes(surge_dtype type) {
  switch (type) {
#define SURGE_DTYPE_CASE(NAME, bytes)                                          \
  case SURGE_##NAME: return bytes;
    SURGE_DTYPE_LIST(SURGE_DTYPE_CASE)
#undef SURGE_DTYPE_CASE
  }
  return 0;
}

typedef enum surge_layout {
  SURGE_CHANNELS_LAST, /* offset = (y*W + x)*C + c                         */
  SURGE_BLOCKED8       /* offset = ((c/8*H + y)*W + x)*8 + c%8, C % 8 == 0 */
} surge_layout;

typedef struct surge_map {
  int32_t h, w, c; /* height, width, channels; at least 1 each */
  surge_layout layout;
  surge_dtype type; /* SURGE_F32 (0) or, where the backend has it, SURGE_BF16 */
} surge_map;

/* Elements of one map: H*W*C. */
SURGE_INLINE size_t surge_map_elements(const surge_map *map) {
  return (size_t)map->h * (size_t)map->w * (size_t)map->c;
}

/* Channel of the element at physical index i of one map, 0 <= i < H*W*C. */
SURGE_INLINE int32_t surge_channel_of(const surge_map *map, size_t i) {
  if (map->layout == SURGE_CHANNELS_LAST) return (int32_t)(i % (size_t)map->c);
  size_t block = 8 * (size_t)map->h * (size_t)map->w;
  return (int32_t)(i / block * 8 + i % 8);
}

/* Physical index of element (y, x, c) within one map. */
SURGE_INLINE size_t surge_offset_of(const surge_map *map, int32_t y, int32_t x,
                                    int32_t c) {
  size_t h = (size_t)map->h, w = (size_t)map->w, ch = (size_t)c;
  if (map->layout == SURGE_CHANNELS_LAST)
    return ((size_t)y * w + (size_t)x) * (size_t)map->c + ch;
  return ((ch / 8 * h + (size_t)y) * w + (size_t)x) * 8 + ch % 8;
}

#endif
