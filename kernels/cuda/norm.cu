/* norm.cu - channel statistics, and the norm's share of the backward pass; see
 * backend.h.
 *
 * z is R rows of C channels. A block takes a tile of neighbouring channels and
 * a slab of rows: its threads lie V channels each along x, rows along y, and
 * keep their channels. Slabs depend on R and C alone.
 * Bytes, b those of an element, S <= 512 slabs:
 *   statistics  reads b R C + 4 rows a slab again (from the cache), writes
 *               24 S C
 *   finish      reads 24 S C, and a few floats a channel
 *   backward    reads 2b R C, writes b R C; each block reads its channels'
 *               sums, 8 Tk a channel, from the cache */
#include "kernels/cuda/check.h"
#include "kernels/cuda/fault.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/reduce.h"
#include "kernels/cuda/vector.h"
#include "kernels/shared/norm.h"

#define TILE 32           /* threads along the channels, at most              */
#define STATISTICS 512    /* blocks in all: one wave of a large device        */
#define SLAB 8192         /* elements that are worth a block of their own     */
#define DEPTH 8           /* rows of a float sum; the rest is in double       */
#define FINISH_CHANNELS 8 /* of a block of the last stage,                    */
#define FINISH_LANES 32   /* and threads that share a channel's slabs         */

/* A division of rows and channels into blocks. */
typedef struct norm_cut {
  size_t rows, slab; /* rows in all; rows a block                            */
  unsigned slabs, tiles;
  dim3 block;
} norm_cut;

/* Threads of a block and tiles of a row for V channels a thread: no tile is
 * much narrower than another. */
template <int V>
static void cut_channels(norm_cut *cut, size_t C) {
  unsigned columns = (unsigned)(C / V);
  cut->tiles = surge_cuda_blocks(columns, TILE);
  cut->block.x = surge_cuda_blocks(columns, cut->tiles);
  cut->block.y = SURGE_CUDA_BLOCK / cut->block.x;
}

/* Slabs of `slab` rows. */
static void cut_rows(norm_cut *cut, size_t rows, size_t slab) {
  cut->rows = rows;
  cut->slab = slab;
  cut->slabs = (unsigned)((rows + slab - 1) / slab);
}

/* This thread's first channel; at least C: none. */
template <int V>
static __device__ size_t tile_channel(void) {
  return V * (blockIdx.y * (size_t)blockDim.x + threadIdx.x);
}

static __device__ size_t slab_end(const norm_cut &cut) {
  size_t end = (blockIdx.x + (size_t)1) * cut.slab;
  return end < cut.rows ? end : cut.rows;
}

/* --- statistics ---------------------------------------------------------- */

static norm_cut statistics_cut(const surge_norm_forward *a) {
  size_t C = (size_t)a->map.c;
  size_t rows = (size_t)a->N * (size_t)a->map.h * (size_t)a->map.w *
                (a->is_static ? 1 : (size_t)a->T);
  size_t tile = TILE * (16 / surge_dtype_bytes(a->map.type));
  size_t tiles = (C + tile - 1) / tile;
  size_t most = tiles < STATISTICS ? STATISTICS / tiles : 1;
  size_t fewest = (SLAB + C - 1) / C, slab = (rows + most - 1) / most;
  slab = slab > fewest ? slab : fewest;
  norm_cut cut;
  cut_rows(&cut, rows, (slab + DEPTH - 1) / DEPTH * DEPTH);
  return cut;
}

size_t surge_cuda_norm_workspace(surge_context *context,
                                 const surge_norm_forward *a) {
  (void)context;
  if (!a->training) return 0;
  return statistics_cut(a).slabs * (size_t)a->map.c * sizeof(surge_moments);
}

/* A point amid V channels' values: the mean of four of the slab's rows. Near
 * the slab's mean, so that squares about it keep the variance's digits; the
 * same for all threads of a channel, so that their sums can be added. */
template <int V, typename E>
static __device__ surge_values<V> centre_of(const E *z, size_t C, size_t first,
                                            size_t end) {
  surge_values<V> centre = {};
#pragma unroll
  for (int k = 0; k < 4; k++) {
    size_t row = first + (end - first) * (size_t)k / 4;
    surge_values<V> x = surge_load<V>(z + row * C);
#pragma unroll
    for (int v = 0; v < V; v++) centre.v[v] += x.v[v];
  }
#pragma unroll
  for (int v = 0; v < V; v++) centre.v[v] *= 0.25f;
  return centre;
}

/* Sums of V channels' deviations from their centre, and of the squares. */
template <int V>
struct deviations {
  double sum[V], squares[V];
};

/* Adds DEPTH rows; their sums are trees in float. */
template <int V>
static __device__ void add_rows(deviations<V> *total,
                                const surge_values<V> x[DEPTH],
                                const surge_values<V> &centre) {
#pragma unroll
  for (int v = 0; v < V; v++) {
    float sum[DEPTH], squares[DEPTH];
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
      sum[k] = x[k].v[v] - centre.v[v];
      squares[k] = sum[k] * sum[k];
    }
#pragma unroll
    for (int half = DEPTH / 2; half > 0; half /= 2)
#pragma unroll
      for (int k = 0; k < half; k++) {
        sum[k] += sum[k + half];
        squares[k] += squares[k + half];
      }
    total->sum[v] += (double)sum[0];
    total->squares[v] += (double)squares[0];
  }
}

/* This thread's rows of a slab; z is at its first channel. All loads of a turn
 * are under way together; a row behind the end deviates by 0. */
template <int V, typename E>
static __device__ deviations<V> sum_slab(const E *z, size_t C, size_t first,
                                         size_t end,
                                         const surge_values<V> &centre) {
  deviations<V> total = {};
  for (size_t row = first + threadIdx.y; row < end; row += DEPTH * blockDim.y) {
    surge_values<V> x[DEPTH];
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
      size_t at = row + (size_t)k * blockDim.y;
      x[k] = at < end ? surge_load<V>(z + at * C) : centre;
    }
    add_rows(&total, x, centre);
  }
  return total;
}

/* A slab's moments of a tile's channels, into workspace [slabs, C]. */
template <typename E, int V>
__global__ void statistics_kernel(surge_norm_forward a, norm_cut cut) {
  SURGE_DYNAMIC_SHARED(double, slab_sums); /* [2][rows][channels] */
  size_t C = (size_t)a.map.c, c = tile_channel<V>();
  size_t first = blockIdx.x * cut.slab, end = slab_end(cut);
  unsigned channels = V * blockDim.x, all = channels * blockDim.y;
  surge_values<V> centre = {};
  if (c < C) {
    const E *z = (const E *)a.z + c;
    centre = centre_of<V>(z, C, first, end);
    deviations<V> own = sum_slab<V>(z, C, first, end, centre);
#pragma unroll
    for (int v = 0; v < V; v++) {
      unsigned at = threadIdx.y * channels + V * threadIdx.x + (unsigned)v;
      slab_sums[at] = own.sum[v];
      slab_sums[all + at] = own.squares[v];
    }
  }
  __syncthreads();
  if (threadIdx.y > 0 || c >= C) return;
  surge_moments *moments = (surge_moments *)a.workspace + blockIdx.x * C + c;
#pragma unroll
  for (int v = 0; v < V; v++) {
    double sum = 0, squares = 0;
    for (unsigned at = V * threadIdx.x + (unsigned)v; at < all;
         at += channels) {
      sum += slab_sums[at];
      squares += slab_sums[all + at];
    }
    moments[v] = surge_moments_about((double)centre.v[v], (double)(end - first),
                                     sum, squares);
  }
}

/* a may be empty, and b here too. */
static __device__ surge_moments merge(surge_moments a, surge_moments b) {
  return b.n > 0 ? surge_moments_merge(a, b) : a;
}

/* All slabs' moments into the outputs: lanes take turns, then meet by halves. */
__global__ void finish_kernel(surge_norm_forward a, unsigned slabs) {
  SURGE_SHARED surge_moments part[FINISH_LANES][FINISH_CHANNELS];
  size_t C = (size_t)a.map.c, lane = threadIdx.y;
  size_t c = blockIdx.x * (size_t)FINISH_CHANNELS + threadIdx.x;
  const surge_moments *moments = (const surge_moments *)a.workspace;
  surge_moments own = {0, 0, 0};
  for (size_t s = lane; c < C && s < slabs; s += FINISH_LANES)
    own = merge(own, moments[s * C + c]);
  part[lane][threadIdx.x] = own;
  for (size_t half = FINISH_LANES / 2; half > 0; half /= 2) {
    __syncthreads();
    if (lane < half)
      part[lane][threadIdx.x] =
          merge(part[lane][threadIdx.x], part[lane + half][threadIdx.x]);
  }
  if (lane == 0 && c < C && !surge_norm_finish(&a, c, part[0][threadIdx.x]))
    surge_cuda_fault(a.fault, a.layer);
}

template <typename E, int V>
static void queue_statistics(surge_context *context,
                             const surge_norm_forward *a, norm_cut cut) {
  cut_channels<V>(&cut, (size_t)a->map.c);
  size_t shared = (size_t)cut.block.x * cut.block.y * V * 2 * sizeof(double);
  SURGE_LAUNCH((statistics_kernel<E, V>), dim3(cut.slabs, cut.tiles), cut.block,
               shared, context->stream, *a, cut);
}

template <typename E>
static void queue_statistics(surge_context *context,
                             const surge_norm_forward *a, norm_cut cut) {
  if (a->map.c % surge_wide<E> == 0 && surge_aligned(a->z))
    queue_statistics<E, surge_wide<E>>(context, a, cut);
  else
    queue_statistics<E, 1>(context, a, cut);
}

surge_status surge_cuda_norm_forward(surge_context *context,
                                     const surge_norm_forward *a) {
  SURGE_TRY(surge_check_norm_forward(a));
  SURGE_TRY(surge_cuda_check_layout("norm_forward", &a->map));
  norm_cut cut = statistics_cut(a);
  if (a->training)
    SURGE_BY_TYPE(a->map.type, queue_statistics, context, a, cut);
  SURGE_LAUNCH(finish_kernel,
               surge_cuda_blocks((size_t)a->map.c, FINISH_CHANNELS),
               dim3(FINISH_CHANNELS, FINISH_LANES), 0, context->stream, *a,
               a->training ? cut.slabs : 0u);
  return surge_cuda_launched(context, "norm_forward");
}

/* --- backward ------------------------------------------------------------ */

/* blockIdx.z is the step where steps differ: rows are then those of one. */
template <typename E, int V>
__global__ void backward_kernel(surge_norm_backward a, norm_cut cut) {
  SURGE_DYNAMIC_SHARED(surge_norm_line, lines); /* of the tile's channels */
  size_t C = (size_t)a.map.c, c = tile_channel<V>(), end = slab_end(cut);
  size_t tile = c - V * threadIdx.x, t = blockIdx.z;
  unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
  if (thread < V * blockDim.x && tile + thread < C)
    lines[thread] = surge_norm_line_of(&a, t, tile + thread);
  __syncthreads();
  if (c >= C) return;
  surge_norm_line line[V];
#pragma unroll
  for (int v = 0; v < V; v++) line[v] = lines[V * threadIdx.x + (unsigned)v];
#pragma unroll 4
  for (size_t row = blockIdx.x * cut.slab + threadIdx.y; row < end;
       row += blockDim.y) {
    size_t at = (t * cut.rows + row) * C + c;
    surge_values<V> da = surge_load<V>((const E *)a.da + at);
    surge_values<V> z = surge_load<V>((const E *)a.z + at);
#pragma unroll
    for (int v = 0; v < V; v++)
      da.v[v] = surge_norm_gradient(line[v], da.v[v], z.v[v]);
    surge_store((E *)a.dz + at, da);
  }
}

__global__ void add_channels_kernel(surge_norm_backward a) {
  size_t c = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
  if (c < (size_t)a.map.c) surge_norm_add_channel(&a, c);
}

/* dp of step blockIdx.x. */
__global__ void add_step_kernel(surge_norm_backward a) {
  double sum = 0;
  for (size_t c = threadIdx.x; c < (size_t)a.map.c; c += blockDim.x)
    sum += surge_norm_step_share(&a, blockIdx.x, c);
  sum = surge_block_sum(sum);
  if (threadIdx.x == 0) a.dstep_scale[blockIdx.x] += (float)sum;
}

template <typename E, int V>
static void queue_backward(surge_context *context,
                           const surge_norm_backward *a) {
  bool by_step = a->step_scale && !a->is_static;
  size_t rows = (size_t)a->N * (size_t)a->map.h * (size_t)a->map.w *
                (a->is_static || by_step ? 1 : (size_t)a->T);
  unsigned steps = by_step ? (unsigned)a->T : 1;
  norm_cut cut;
  cut_channels<V>(&cut, (size_t)a->map.c);
  cut_rows(&cut, rows, DEPTH * (size_t)cut.block.y);
  SURGE_LAUNCH((backward_kernel<E, V>), dim3(cut.slabs, cut.tiles, steps),
               cut.block, V * cut.block.x * sizeof(surge_norm_line),
               context->stream, *a, cut);
}

template <typename E>
static void queue_backward(surge_context *context,
                           const surge_norm_backward *a) {
  if (a->map.c % surge_wide<E> == 0 && surge_aligned(a->dz) &&
      surge_aligned(a->da) && surge_aligned(a->z))
    queue_backward<E, surge_wide<E>>(context, a);
  else
    queue_backward<E, 1>(context, a);
}

surge_status surge_cuda_norm_backward(surge_context *context,
                                      const surge_norm_backward *a) {
  SURGE_TRY(surge_check_norm_backward(a));
  SURGE_TRY(surge_cuda_check_layout("norm_backward", &a->map));
  SURGE_BY_TYPE(a->map.type, queue_backward, context, a);
  SURGE_LAUNCH(add_channels_kernel,
               surge_cuda_blocks((size_t)a->map.c, SURGE_CUDA_BLOCK),
               SURGE_CUDA_BLOCK, 0, context->stream, *a);
  if (a->step_scale)
    SURGE_LAUNCH(add_step_kernel, (unsigned)a->T, SURGE_CUDA_BLOCK, 0,
                 context->stream, *a);
  return surge_cuda_launched(context, "norm_backward");
}
