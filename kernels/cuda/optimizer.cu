/* optimizer.cu - the gradient's norm, and the updates of all groups in one
 * launch; one element's step stands in kernels/shared/optimizer.h.
 *
 * Bytes, for P parameters:
 *   gradient_norm   reads 4 P
 *   optimize, SGD   reads 12 P (w, m, g), writes 8 P
 *   ... Adam        reads 16 P (w, m, v, g), writes 12 P
 *   ... rounded     writes 2 P more; a pass of its own would read 4 P too */
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
  if (threadIdx.x != 0) return;
  if (!surge_gradient_norm_finish(&a, sum)) surge_cuda_fault(a.fault, a.layer);
  *a.fault_step = surge_fault_since(*a.fault, *a.fault_step, a.step->number);
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

template <int V>
static __device__ void store_weights(const surge_update &u, size_t i,
                                     surge_values<V> w) {
  surge_store(u.w + i, w);
  if (u.rounded) surge_store((surge_bf16 *)u.rounded + i, w);
}

/* V parameters from i on. */
template <int V>
static __device__ void update(const surge_update &u, const surge_sgd_scalars &k,
                              size_t i) {
  surge_values<V> w = surge_load<V>(u.w + i), m = surge_load<V>(u.m + i);
  surge_values<V> g = surge_load<V>(u.g + i);
#pragma unroll
  for (int v = 0; v < V; v++) surge_sgd_update(&w.v[v], &m.v[v], g.v[v], k);
  store_weights(u, i, w);
  surge_store(u.m + i, m);
}

template <int V>
static __device__ void update(const surge_update &u,
                              const surge_adam_scalars &k, size_t i) {
  surge_values<V> w = surge_load<V>(u.w + i), m = surge_load<V>(u.m + i);
  surge_values<V> s = surge_load<V>(u.v + i), g = surge_load<V>(u.g + i);
#pragma unroll
  for (int v = 0; v < V; v++)
    surge_adam_update(&w.v[v], &m.v[v], &s.v[v], g.v[v], k);
  store_weights(u, i, w);
  surge_store(u.m + i, m);
  surge_store(u.v + i, s);
}

/* The V parameters of this thread in a group's block number `block`; the last
 * may be fewer. */
template <int V, typename K>
static __device__ void update_own(const surge_update &u, const K &k,
                                  unsigned block) {
  size_t first = V * (block * (size_t)blockDim.x + threadIdx.x);
  if (first + V <= u.count)
    update<V>(u, k, first);
  else
    for (size_t i = first; i < u.count; i++) update<1>(u, k, i);
}

/* The blocks of the groups lie one behind the other; each group's end. */
struct group_blocks {
  unsigned end[SURGE_GROUP_COUNT];
};

template <int V>
__global__ void optimize_kernel(surge_optimize a, group_blocks blocks) {
  if (*a.fault != 0) return;
  int group = 0;
  while (blockIdx.x >= blocks.end[group]) group++;
  unsigned block = blockIdx.x - (group > 0 ? blocks.end[group - 1] : 0);
  if (a.update[group].kind == SURGE_SGD)
    update_own<V>(a.update[group], surge_sgd_prepare(&a, group), block);
  else
    update_own<V>(a.update[group], surge_adam_prepare(&a, group), block);
}

static bool aligned(const surge_update *u) {
  return u->count == 0 ||
         (surge_aligned(u->w) && surge_aligned(u->m) && surge_aligned(u->v) &&
          surge_aligned(u->g) && surge_aligned(u->rounded));
}

surge_status surge_cuda_optimize(surge_context *context,
                                 const surge_optimize *a) {
  SURGE_TRY(surge_check_optimize(a));
  bool wide = true;
  for (int group = 0; group < SURGE_GROUP_COUNT; group++)
    wide = wide && aligned(&a->update[group]);
  group_blocks blocks;
  unsigned share = SURGE_CUDA_BLOCK * (wide ? 4 : 1), count = 0;
  for (int group = 0; group < SURGE_GROUP_COUNT; group++) {
    count += surge_cuda_blocks(a->update[group].count, share);
    blocks.end[group] = count;
  }
  if (count == 0) return SURGE_OK;
  SURGE_LAUNCH((wide ? optimize_kernel<4> : optimize_kernel<1>), count,
               SURGE_CUDA_BLOCK, 0, context->stream, *a, blocks);
  return surge_cuda_launched(context, "optimize");
}
