/* cast.cu - weights rounded to bf16, and sums of what is rounded.
 *
 * Bytes, for W weights: a cast reads 4 W and writes 2 W, an addition reads 6 W
 * and writes 4 W. */
#include "kernels/cuda/cast.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/vector.h"

/* The V weights of this thread; the last may be fewer. */
template <int V>
__global__ void cast_kernel(surge_cast a) {
  size_t first = V * (blockIdx.x * (size_t)blockDim.x + threadIdx.x);
  surge_bf16 *to = (surge_bf16 *)a.to;
  if (first + V <= a.count)
    surge_store(to + first, surge_load<V>(a.from + first));
  else
    for (size_t i = first; i < a.count; i++) to[i] = (surge_bf16)a.from[i];
}

surge_status surge_cuda_cast(surge_context *context, const surge_cast *a) {
  SURGE_TRY(surge_check_cast(a));
  if (a->count == 0) return SURGE_OK;
  bool wide = surge_aligned(a->to) && surge_aligned(a->from);
  SURGE_LAUNCH((wide ? cast_kernel<4> : cast_kernel<1>),
               surge_cuda_blocks(a->count, SURGE_CUDA_BLOCK * (wide ? 4 : 1)),
               SURGE_CUDA_BLOCK, 0, context->stream, *a);
  return surge_cuda_launched(context, "cast");
}

__global__ void add_rounded_kernel(float *to, const surge_bf16 *rounded,
                                   size_t count) {
  size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
  if (i < count) to[i] += (float)rounded[i];
}

void surge_cuda_add_rounded(surge_context *context, float *to,
                            const void *rounded, size_t count) {
  SURGE_LAUNCH(add_rounded_kernel, surge_cuda_blocks(count, SURGE_CUDA_BLOCK),
               SURGE_CUDA_BLOCK, 0, context->stream, to,
               (const surge_bf16 *)rounded, count);
}
