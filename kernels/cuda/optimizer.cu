/* optimizer.cu - gradient norm and updates over a group of parameters; one
 * element's step stands in kernels/shared/optimizer.h.
 *
 * Bytes, for P parameters:
 *   gradient_norm  reads 4 P
 *   sgd            reads 12 P (w, m, g), writes 8 P
 *   adam           reads 16 P (w, m, v, g), writes 12 P */
#include "kernels/cuda/fault.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/reduce.h"
#include "kernels/cuda/vector.h"
#include "kernels/shared/optimizer.h"

/* --- gradient norm --------------------------------------------------------- */

#define PARTIALS 512 /* blocks at most: one wave of a large device            */
#define SHARE 4096   /* elements that are worth a block of their own          */

static unsigned partials_of(size_t count) {
  size_t blocks = (count + SHARE - 1) / SHARE;
  return (unsigned)(blocks < PARTIALS ? blocks : PARTIALS);
}

size_t surge_cuda_gradient_norm_workspace(size_t count) {
  (void)count; /* never 0: the workspace has to be an array */
  return PARTIALS * sizeof(double);
}

/* Sum of the squares of a block's share; the last elements that fill no V go
 * to the first threads, one each. */
template <int V>
__global__ void squares_kernel(surge_gradient_norm a) {
  size_t thread = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
  size_t threads = gridDim.x * (size_t)blockDim.x, whole = a.count / V;
  double sum = 0;
#pragma unroll 4
  for (size_t i = thread; i < whole; i += threads) {
    surge_values<V> g = surge_load<V>(a.g + V * i);
#pragma unroll
    for (int v = 0; v < V; v++) sum += (double)g.v[v] * (double)g.v[v];
  }
  size_t rest = V * whole + thread;
  if (rest < a.count) sum += (double)a.g[rest] * (double)a.g[rest];
  sum = surge_block_sum(sum);
  if (threadIdx.x == 0) ((double *)a.workspace)[blockIdx.x] = sum;
}

__global__ void finish_norm_kernel(surge_gradient_norm a, unsigned partials) {
  double sum = 0;
  for (unsigned i = threadIdx.x; i < partials; i += blockDim.x)
    sum += ((const double *)a.workspace)[i];
  sum = surge_block_sum(sum);
  if (threadIdx.x == 0 && !surge_gradient_norm_finish(&a, sum))
    surge_cuda_fault(a.fault, a.layer);
}

surge_status surge_cuda_gradient_norm(surge_context *context,
                                      const surge_gradient_norm *a) {
  SURGE_TRY(surge_check_gradient_norm(a));
  unsigned partials = partials_of(a->count);
  bool wide = surge_aligned(a->g);
  if (partials > 0)
    SURGE_LAUNCH((wide ? squares_kernel<4> : squares_kernel<1>), partials,
                 SURGE_CUDA_BLOCK, 0, context->stream, *a);
  SURGE_LAUNCH(finish_norm_kernel, 1u, SURGE_CUDA_BLOCK, 0, context->stream, *a,
               partials);
  return surge_cuda_launched(context, "gradient_norm");
}

/* --- updates --------------------------------------------------------------- */

/* V parameters from i on. */
template <int V>
static __device__ void update(const surge_sgd &a, const surge_sgd_scalars &k,
                              size_t i) {
  surge_values<V> w = surge_load<V>(a.w + i), m = surge_load<V>(a.m + i);
  surge_values<V> g = surge_load<V>(a.g + i);
#pragma unroll
  for (int v = 0; v < V; v++) surge_sgd_update(&w.v[v], &m.v[v], g.v[v], k);
  surge_store(a.w + i, w);
  surge_store(a.m + i, m);
}

template <int V>
static __device__ void update(const surge_adam &a, const surge_adam_scalars &k,
                              size_t i) {
  surge_values<V> w = surge_load<V>(a.w + i), m = surge_load<V>(a.m + i);
  surge_values<V> s = surge_load<V>(a.v + i), g = surge_load<V>(a.g + i);
#pragma unroll
  for (int v = 0; v < V; v++)
    surge_adam_update(&w.v[v], &m.v[v], &s.v[v], g.v[v], k);
  surge_store(a.w + i, w);
  surge_store(a.m + i, m);
  surge_store(a.v + i, s);
}

/* The V parameters of this thread; the last may be fewer. */
template <int V, typename A, typename K>
static __device__ void update_own(const A &a, const K &k) {
  size_t first = V * (blockIdx.x * (size_t)blockDim.x + threadIdx.x);
  if (first + V <= a.count)
    update<V>(a, k, first);
  else
    for (size_t i = first; i < a.count; i++) update<1>(a, k, i);
}

template <int V>
__global__ void sgd_kernel(surge_sgd a) {
  if (*a.fault == 0) update_own<V>(a, surge_sgd_prepare(&a));
}

template <int V>
__global__ void adam_kernel(surge_adam a) {
  if (*a.fault == 0) update_own<V>(a, surge_adam_prepare(&a));
}

/* Blocks of a call over `count` parameters, V a thread. */
static unsigned update_blocks(size_t count, size_t V) {
  return surge_cuda_blocks(count, (unsigned)(V * SURGE_CUDA_BLOCK));
}

surge_status surge_cuda_sgd(surge_context *context, const surge_sgd *a) {
  SURGE_TRY(surge_check_sgd(a));
  if (a->count == 0) return SURGE_OK;
  bool wide = surge_aligned(a->w) && surge_aligned(a->m) &&
              surge_aligned(a->g);
  SURGE_LAUNCH((wide ? sgd_kernel<4> : sgd_kernel<1>),
               update_blocks(a->count, wide ? 4 : 1), SURGE_CUDA_BLOCK, 0,
               context->stream, *a);
  return surge_cuda_launched(context, "sgd");
}

surge_status surge_cuda_adam(surge_context *context, const surge_adam *a) {
  SURGE_TRY(surge_check_adam(a));
  if (a->count == 0) return SURGE_OK;
  bool wide = surge_aligned(a->w) && surge_aligned(a->m) &&
              surge_aligned(a->v) && surge_aligned(a->g);
  SURGE_LAUNCH((wide ? adam_kernel<4> : adam_kernel<1>),
               update_blocks(a->count, wide ? 4 : 1), SURGE_CUDA_BLOCK, 0,
               context->stream, *a);
  return surge_cuda_launched(context, "adam");
}
