/* launch.h - what the .cu files share: the one macro through which every launch
 * goes, so that the same sources can be run by an emulator, and the words for
 * what the emulator has to see. */
#ifndef SURGE_KERNELS_CUDA_LAUNCH_H
#define SURGE_KERNELS_CUDA_LAUNCH_H

#include <cuda_runtime.h>

#include "kernels/cuda/cuda.h"
#include "src/backend/checks.h"

#define SURGE_CUDA_BLOCK 256 /* threads a block of the element kernels */
#define SURGE_WARP 32

/* SURGE_LAUNCH((kernel<T, true>), blocks, threads, shared bytes, stream,
 * arguments...): blocks and threads are unsigned or dim3. Shared memory is
 * declared with SURGE_SHARED (static) or SURGE_DYNAMIC_SHARED (the one array
 * whose bytes the launch names). */
#ifndef SURGE_EMULATOR
#define SURGE_LAUNCH(kernel, blocks, threads, shared, stream, ...)             \
  (kernel)<<<(blocks), (threads), (shared), (stream)>>>(__VA_ARGS__)
#define SURGE_SHARED __shared__
#define SURGE_DYNAMIC_SHARED(type, name) extern __shared__ type name[]
#else
#include "tests/emulator/emulator.h"
#endif

/* Blocks of `threads` that cover `count` items. */
static inline unsigned surge_cuda_blocks(size_t count, unsigned threads) {
  return (unsigned)((count + threads - 1) / threads);
}

#endif
