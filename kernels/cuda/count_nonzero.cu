/* count_nonzero.cu - how many elements are not 0: the rate of spikes.
 *
 * Integers: the order in which blocks add changes nothing, so they add to the
 * result themselves. Bytes, b those of an element: reads b a element. */
#include "kernels/cuda/launch.h"
#include "kernels/cuda/vector.h"

#define BLOCKS 1024 /* at most: few additions to one address                  */
#define SHARE 4096  /* elements that are worth a block of their own           */

/* The last elements that fill no V go to the first threads, one each. */
template <typename E, int V>
__global__ void count_kernel(surge_count_nonzero a) {
  size_t thread = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
  size_t threads = gridDim.x * (size_t)blockDim.x, whole = a.count / V;
  unsigned long long nonzero = 0;
  const E *from = (const E *)a.x;
#pragma unroll 4
  for (size_t i = thread; i < whole; i += threads) {
    surge_values<V> x = surge_load<V>(from + V * i);
#pragma unroll
    for (int v = 0; v < V; v++) nonzero += x.v[v] != 0.0f;
  }
  size_t rest = V * whole + thread;
  if (rest < a.count) nonzero += (float)from[rest] != 0.0f;
  for (int step = SURGE_WARP / 2; step > 0; step /= 2)
    nonzero += __shfl_down_sync(0xffffffffu, nonzero, step);
  if (threadIdx.x % SURGE_WARP == 0)
    atomicAdd((unsigned long long *)a.nonzero, nonzero);
}

template <typename E>
static void queue(surge_context *context, const surge_count_nonzero *a) {
  size_t blocks = (a->count + SHARE - 1) / SHARE;
  SURGE_LAUNCH((surge_aligned(a->x) ? count_kernel<E, surge_wide<E>>
                                    : count_kernel<E, 1>),
               (unsigned)(blocks < BLOCKS ? blocks : BLOCKS), SURGE_CUDA_BLOCK,
               0, context->stream, *a);
}

surge_status surge_cuda_count_nonzero(surge_context *context,
                                      const surge_count_nonzero *a) {
  SURGE_TRY(surge_check_count_nonzero(a));
  if (a->count == 0) return SURGE_OK;
  SURGE_BY_TYPE(a->type, queue, context, a);
  return surge_cuda_launched(context, "count_nonzero");
}
