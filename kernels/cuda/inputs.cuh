/* inputs.cuh - one or two inputs that are added up, forward and back: what the
 * neuron op and the sum share on the device.
 *
 * A row is one pixel of one image: C neighbouring channels. A thread owns V
 * neighbouring channels of a few rows and takes them through all T steps, M
 * elements apart; everything in between stays in its registers. Its channels
 * never change, so what belongs to a channel is read once, and what is summed
 * a channel is first summed in the thread: at most max(T, 32) terms in fp32.
 * From there on everything is double: a tree over the block, a partial result
 * a block in the workspace, and one block a column that combines those.
 *
 * Partial results are written and read: 32 bytes a channel and block, whatever
 * the steps, or with a scale a step (TEBN) 32 a channel, block and step: divide
 * by the block's rows, deep*each below. */
#ifndef SURGE_KERNELS_CUDA_INPUTS_CUH
#define SURGE_KERNELS_CUDA_INPUTS_CUH

#include "kernels/cuda/launch.h"
#include "kernels/cuda/vector.h"
#include "kernels/shared/moments.h"
#include "kernels/shared/neuron.h"
#include "kernels/shared/statistics.h"

/* What an instance can do; each does what stands above it as well. */
enum neuron_level {
  NEURON_ONE,  /* one input, no option that works at every step              */
  NEURON_TWO,  /* two inputs                                                 */
  NEURON_MORE, /* PDA, scales a step, a learned decay, a current's gradient  */
  NEURON_ALL   /* statistics, histogram, the smooth twin, a synapse          */
};

/* Inputs that an instance has to look for. */
static __host__ __device__ constexpr int neuron_inputs(int level) {
  return level < NEURON_TWO ? 1 : 2;
}

/* Has the call (a surge_neuron or a surge_add: their inputs have the same names)
 * this one? It always has the first. */
template <class A>
static __device__ __forceinline__ bool has_input(const A &a, int which) {
  return which == 0 || a.inputs == 2;
}

/* --- V elements ---------------------------------------------------------- */

template <int V>
using pack = surge_values<V>;

#define EACH_LANE _Pragma("unroll") for (int l = 0; l < V; l++)

template <int V>
static __device__ __forceinline__ pack<V> repeat(float value) {
  pack<V> p;
  EACH_LANE p.v[l] = value;
  return p;
}

/* --- how the work is cut: by sizes alone --------------------------------- */

#define NEURON_THREADS 128 /* of a block, at most  */
#define NEURON_TERMS 32    /* of a sum in fp32, or T */
#define NEURON_BLOCKS 1024 /* wanted before a thread takes several rows */

struct neuron_cut {
  size_t rows, M;   /* N*H*W, and elements of a step                       */
  int32_t channels; /* C                                                   */
  unsigned columns; /* threads side by side, V channels each               */
  unsigned deep;    /* threads below each other, a row each                */
  unsigned tiles;   /* blocks that one row needs                           */
  unsigned blocks;  /* blocks along the rows                               */
  unsigned each;    /* rows of a thread                                    */
};

template <class A>
static neuron_cut neuron_cut_of(const A *a, int V) {
  neuron_cut cut;
  unsigned groups = (unsigned)(a->map.c / V);
  cut.channels = a->map.c;
  cut.M = (size_t)a->N * surge_map_elements(&a->map);
  cut.rows = cut.M / (size_t)a->map.c;
  cut.tiles = surge_cuda_blocks(groups, SURGE_WARP);
  cut.columns = surge_cuda_blocks(groups, cut.tiles);
  cut.deep = NEURON_THREADS / cut.columns;
  size_t spare = cut.rows * cut.tiles / ((size_t)cut.deep * NEURON_BLOCKS);
  size_t most = a->T < NEURON_TERMS ? (size_t)(NEURON_TERMS / a->T) : 1;
  cut.each = (unsigned)(spare < 1 ? 1 : spare < most ? spare : most);
  cut.blocks = surge_cuda_blocks(cut.rows, cut.deep * cut.each);
  return cut;
}

/* First of this thread's channels; C or more: it has none. */
template <int V>
static __device__ __forceinline__ int32_t neuron_channel() {
  return (int32_t)((blockIdx.y * blockDim.x + threadIdx.x) * V);
}

/* Its k-th row. */
static __device__ __forceinline__ size_t neuron_row(const neuron_cut &cut,
                                                    unsigned k) {
  return (blockIdx.x * (size_t)cut.each + k) * blockDim.y + threadIdx.y;
}

/* --- reductions ---------------------------------------------------------- */

static __device__ __forceinline__ void merge(double &a, double b) { a += b; }

static __device__ __forceinline__ void merge(surge_moments &a,
                                             const surge_moments &b) {
  if (b.n > 0) a = surge_moments_merge(a, b);
}

static __device__ __forceinline__ void merge(surge_neuron_statistics &a,
                                             const surge_neuron_statistics &b) {
  surge_statistics_add(&a, &b);
}

/* Threads of a block stand in `rows` rows of `columns`: the merger of each
 * column's values, as the threads of its first row get it. */
template <class P, int threads>
static __device__ __forceinline__ P combine(P mine, unsigned rows,
                                            unsigned columns) {
  SURGE_SHARED P all[threads];
  unsigned at = threadIdx.y * blockDim.x + threadIdx.x, row = at / columns;
  all[at] = mine;
  __syncthreads();
  for (unsigned left = rows, half; left > 1; left = half) {
    half = (left + 1) / 2;
    if (row + half < left) merge(all[at], all[at + half * columns]);
    __syncthreads();
  }
  P total = all[at];
  __syncthreads(); /* `all` may be written again */
  return total;
}

/* A block's share of each channel: into the row `slots` [C]. The first share
 * overwrites, later ones of the same block join it. */
template <class P, int V>
static __device__ __forceinline__ void share_channels(P *slots,
                                                      const P (&mine)[V],
                                                      const neuron_cut &cut,
                                                      bool first) {
  int32_t channel = neuron_channel<V>();
  EACH_LANE {
    P total = combine<P, NEURON_THREADS>(mine[l], blockDim.y, blockDim.x);
    if (threadIdx.y > 0 || channel >= cut.channels) continue;
    P sum = first ? P{} : slots[channel + l];
    merge(sum, total);
    slots[channel + l] = sum;
  }
}

/* A block's share of the layer, likewise into one slot. */
template <class P>
static __device__ __forceinline__ void share_layer(P *slot, P mine,
                                                   bool first) {
  P total = combine<P, NEURON_THREADS>(mine, blockDim.x * blockDim.y, 1);
  if (threadIdx.x + threadIdx.y > 0) return;
  P sum = first ? P{} : *slot;
  merge(sum, total);
  *slot = sum;
}

/* Blocks count through the grid: the slot of this one. */
static __device__ __forceinline__ size_t block_number() {
  return blockIdx.y * (size_t)gridDim.x + blockIdx.x;
}

/* The last stage: column c of `partial` [groups, columns], merged in an order
 * of its own, is handed to finish(c, total). */
#define NEURON_FINISHERS 512

template <class P, class Finish>
__global__ void finish_columns(const P *partial, size_t groups, size_t columns,
                               Finish finish) {
  size_t column = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
  P mine = {};
  for (size_t g = threadIdx.y; column < columns && g < groups; g += blockDim.y)
    merge(mine, partial[g * columns + column]);
  mine = combine<P, NEURON_FINISHERS>(mine, blockDim.y, blockDim.x);
  if (threadIdx.y == 0 && column < columns) finish(column, mine);
}

template <class P, class Finish>
static void launch_finish(surge_context *context, const P *partial,
                          size_t groups, size_t columns, Finish finish) {
  unsigned wide = columns < SURGE_WARP ? (unsigned)columns : SURGE_WARP;
  SURGE_LAUNCH((finish_columns<P, Finish>), surge_cuda_blocks(columns, wide),
               dim3(wide, NEURON_FINISHERS / wide), 0, context->stream, partial,
               groups, columns, finish);
}

/* --- workspace ----------------------------------------------------------- */

/* Handed out in order; without a base it only counts. */
struct neuron_scratch {
  uint8_t *base;
  size_t used;
};

template <class P>
static P *take(neuron_scratch *scratch, size_t count) {
  uint8_t *part = scratch->base ? scratch->base + scratch->used : NULL;
  scratch->used += (count * sizeof(P) + 63) / 64 * 64;
  return reinterpret_cast<P *>(part);
}

/* --- what a thread reads -------------------------------------------------- */

/* The affine map of an input at a step. A plain input's is 1*z + (-0): the same
 * bits as z, also of zeros. */
template <int V>
struct neuron_affine {
  pack<V> scale, shift;
};

template <int V>
static __device__ __forceinline__ neuron_affine<V> affine_at(
    const surge_neuron_input &input, int32_t C, int32_t channel, int32_t t) {
  neuron_affine<V> map = {repeat<V>(1.0f), repeat<V>(-0.0f)};
  if (!input.scale) return map;
  size_t at = (input.per_step ? (size_t)t * (size_t)C : 0) + (size_t)channel;
  map.scale = surge_load<V>(input.scale + at);
  map.shift = surge_load<V>(input.shift + at);
  return map;
}

/* A thread's channels. */
template <int V>
struct neuron_lanes {
  int32_t channel;
  neuron_affine<V> affine[2];
};

template <int V, int level, class A>
static __device__ __forceinline__ neuron_lanes<V> lanes_at(const A &a,
                                                           int32_t channel) {
  neuron_lanes<V> lanes;
  lanes.channel = channel;
#pragma unroll
  for (int which = 0; which < neuron_inputs(level); which++)
    if (has_input(a, which))
      lanes.affine[which] = affine_at<V>(a.input[which], a.map.c, channel, 0);
  return lanes;
}

/* Elements of B steps of both inputs. */
template <class E, int V, int B>
struct neuron_steps {
  surge_packed<E, V> z[2][B];
};

/* Loads steps 0 .. count-1 of at most B, `stride` apart: nothing waits for
 * anything here, so that all are on their way at once. */
template <class E, int V, int B>
static __device__ __forceinline__ void load_steps(
    surge_packed<E, V> (&steps)[B], const E *from, size_t stride,
    int32_t count) {
#pragma unroll
  for (int k = 0; k < B; k++)
    if (k < count) steps[k] = surge_fetch<V>(from + (size_t)k * stride);
}

/* Loads steps t .. t+count-1 of input `which` at element `at`. */
template <class A, class E, int V, int B>
static __device__ __forceinline__ void load_input(neuron_steps<E, V, B> &steps,
                                                  const A &a, int which,
                                                  size_t M, size_t at,
                                                  int32_t t, int32_t count) {
  size_t stride = a.input[which].is_static ? 0 : M;
  const E *z = (const E *)a.input[which].z + (size_t)t * stride + at;
  load_steps(steps.z[which], z, stride, count);
}

/* The same of all inputs. */
template <int level, class A, class E, int V, int B>
static __device__ __forceinline__ void load_inputs(neuron_steps<E, V, B> &steps,
                                                   const A &a, size_t M,
                                                   size_t at, int32_t t,
                                                   int32_t count) {
#pragma unroll
  for (int which = 0; which < neuron_inputs(level); which++)
    if (has_input(a, which)) load_input(steps, a, which, M, at, t, count);
}

/* The sum of the inputs, before the gain: k-th of the loaded steps, step t. */
template <int level, class A, class E, int V, int B>
static __device__ __forceinline__ pack<V> input_sum(
    const neuron_steps<E, V, B> &steps, int k, neuron_lanes<V> &lanes,
    const A &a, int32_t t) {
  pack<V> x;
#pragma unroll
  for (int which = 0; which < neuron_inputs(level); which++) {
    if (!has_input(a, which)) continue;
    const surge_neuron_input &input = a.input[which];
    neuron_affine<V> &map = lanes.affine[which];
    if (level >= NEURON_MORE && input.per_step)
      map = affine_at<V>(input, a.map.c, lanes.channel, t);
    EACH_LANE {
      float z = (float)steps.z[which][k].v[l];
      float own = surge_affine(map.scale.v[l], z, map.shift.v[l]);
      x.v[l] = which == 0 ? own : x.v[l] + own;
    }
  }
  return x;
}

/* --- what an input receives ------------------------------------------------ */

/* Its channels' sums, and the sum over steps that a static one is due. */
template <int V>
struct receiver {
  pack<V> mean, da;   /* of a normalised input; of a static one              */
  pack<V> sum0, sum1; /* of da and da*(z - mean), over steps and rows        */
};

/* Takes the gradient g at step t, and hands it on where there is a place `out`
 * for it. */
template <class E, int V>
static __device__ __forceinline__ void receive(receiver<V> &own,
                                               const surge_neuron_input &input,
                                               void *out, surge_mode mode,
                                               pack<V> g,
                                               const surge_packed<E, V> &z,
                                               int32_t t, size_t M, size_t at) {
  EACH_LANE {
    own.sum0.v[l] += g.v[l];
    own.sum1.v[l] += g.v[l] * ((float)z.v[l] - own.mean.v[l]);
  }
  if (!out) return;
  if (input.is_static) {
    float p = input.step_scale ? input.step_scale[t] : 1.0f;
    EACH_LANE own.da.v[l] += p * g.v[l];
    return;
  }
  E *to = (E *)out + (size_t)t * M + at;
  if (mode == SURGE_ADD) {
    pack<V> old = surge_load<V>(to);
    EACH_LANE g.v[l] += old.v[l];
  }
  surge_store(to, g);
}

/* After the last step of a row: a static input's gradient. */
template <class E, int V>
static __device__ __forceinline__ void receive_row(
    const receiver<V> &own, const surge_neuron_input &input, void *out,
    surge_mode mode, size_t at) {
  if (!out || !input.is_static) return;
  pack<V> da = own.da;
  E *to = (E *)out + at;
  if (mode == SURGE_ADD) {
    pack<V> old = surge_load<V>(to);
    EACH_LANE da.v[l] = old.v[l] + da.v[l];
  }
  surge_store(to, da);
}

/* Steps that are summed apart. */
template <class A>
static __host__ __device__ __forceinline__ size_t steps_of(const A &a,
                                                           int which) {
  return a.input[which].per_step ? (size_t)a.T : 1;
}

/* Doubles of the partial sums [blocks, Tk, 2, C] of input `which`: by sizes
 * alone, for it is asked before there are arrays. */
template <class A>
static size_t partial_sums(const A &a, const neuron_cut &cut, int which) {
  return cut.blocks * steps_of(a, which) * 2 * (size_t)a.map.c;
}

template <int V>
static __device__ __forceinline__ void share_sum(double *slots,
                                                 const pack<V> &sum,
                                                 const neuron_cut &cut,
                                                 bool first) {
  double own[V];
  EACH_LANE own[l] = (double)sum.v[l];
  share_channels(slots, own, cut, first);
}

/* The block's sums, of the k-th of Tk scales, into partial; then they are
 * zero. */
template <int V>
static __device__ __forceinline__ void share_sums(receiver<V> &own,
                                                  double *partial, size_t Tk,
                                                  int32_t k,
                                                  const neuron_cut &cut,
                                                  bool first) {
  size_t C = (size_t)cut.channels;
  double *slots = partial + (blockIdx.x * Tk + (size_t)k) * 2 * C;
  share_sum(slots, own.sum0, cut, first);
  share_sum(slots + C, own.sum1, cut, first);
  own.sum0 = own.sum1 = repeat<V>(0.0f);
}

/* [Tk, 2, C]: the second of two is rounded once more, by 1/sqrt(var). */
struct finish_sums {
  float *sums;
  const float *rstd;
  size_t C;
  __device__ void operator()(size_t at, double total) const {
    size_t place = at % (2 * C);
    sums[at] = (float)(place < C ? total : total * (double)rstd[place - C]);
  }
};

/* After all blocks: the sums of input `which`. */
template <class A>
static void launch_finish_sums(surge_context *context, const A &a, int which,
                               const double *partial, float *sums,
                               const neuron_cut &cut) {
  size_t C = (size_t)a.map.c;
  if (sums)
    launch_finish(context, partial, cut.blocks, steps_of(a, which) * 2 * C,
                  finish_sums{sums, a.input[which].rstd, C});
}

#endif
