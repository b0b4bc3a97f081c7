/* average.cu - weights and statistics averaged over the steps of training.
 *
 * Bytes, for P values: reads 8 P (e, w), writes 4 P. In optimize's own pass w
 * need not be read again, 4 P less of its 20 to 28; but that pass knows nothing
 * of running statistics, which are averaged by the same rule. */
#include "kernels/cuda/launch.h"
#include "kernels/cuda/vector.h"
#include "kernels/shared/optimizer.h"

template <int V>
static __device__ void average(const surge_average &a, float share, size_t i) {
  surge_values<V> e = surge_load<V>(a.e + i), w = surge_load<V>(a.w + i);
#pragma unroll
  for (int v = 0; v < V; v++)
    e.v[v] = surge_average_update(e.v[v], w.v[v], share);
  surge_store(a.e + i, e);
}

/* The V values of this thread; the last may be fewer. */
template <int V>
__global__ void average_kernel(surge_average a) {
  if (*a.fault != 0) return;
  size_t first = V * (blockIdx.x * (size_t)blockDim.x + threadIdx.x);
  float share = 1.0f - a.decay;
  if (first + V <= a.count)
    average<V>(a, share, first);
  else
    for (size_t i = first; i < a.count; i++) average<1>(a, share, i);
}

surge_status surge_cuda_average(surge_context *context,
                                const surge_average *a) {
  SURGE_TRY(surge_check_average(a));
  if (a->count == 0) return SURGE_OK;
  bool wide = surge_aligned(a->e) && surge_aligned(a->w);
  SURGE_LAUNCH((wide ? average_kernel<4> : average_kernel<1>),
               surge_cuda_blocks(a->count, SURGE_CUDA_BLOCK * (wide ? 4 : 1)),
               SURGE_CUDA_BLOCK, 0, context->stream, *a);
  return surge_cuda_launched(context, "average");
}
