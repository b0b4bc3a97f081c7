/* reduce.h - one sum of a block's threads, in an order that its size fixes. */
#ifndef SURGE_KERNELS_CUDA_REDUCE_H
#define SURGE_KERNELS_CUDA_REDUCE_H

#include "kernels/cuda/launch.h"

/* The sum of `value` over a block of whole warps along x; thread 0 has it. */
static __device__ __forceinline__ double surge_block_sum(double value) {
  SURGE_SHARED double warp[SURGE_WARP];
  for (int step = SURGE_WARP / 2; step > 0; step /= 2)
    value += __shfl_down_sync(0xffffffffu, value, step);
  __syncthreads(); /* who called before has read the last sums */
  if (threadIdx.x % SURGE_WARP == 0) warp[threadIdx.x / SURGE_WARP] = value;
  __syncthreads();
  for (unsigned w = 1; threadIdx.x == 0 && w < blockDim.x / SURGE_WARP; w++)
    value += warp[w];
  return value;
}

#endif
