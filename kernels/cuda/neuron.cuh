/* neuron.cuh - what the two directions of the neuron op share on the device.
 *
 * A row is one pixel of one image: C neighbouring channels. A thread owns V
 * neighbouring channels of a few rows and takes them through all T steps, M
 * elements apart; everything in between stays in its registers. Its channels
 * never change, so what belongs to a channel is read once, and what is summed
 * a channel is first summed in the thread: at most max(T, 32) terms in fp32.
 * From there on everything is double: a tree over the block, a partial result
 * a block in the workspace, and one block a column that combines those.
 *
 * Bytes that an instance moves, an element and a step; E is 4 for maps of fp32
 * and 2 for those of bf16 (all arithmetic is in fp32, see backend.h):
 *     forward    z E + s E; a second input E, `current` 4
 *     backward   z E + gs E + da E; a second input E, its own da E, mode add E
 *                an input, g_current 4
 *     either     E/T instead of E for z and da of a static input; 4/T for each
 *                of v_in, v_out, gv_out, dv_in; per_step scales come from cache
 *     backward   with T > 16: z E once more and 8/16 for v where chunks start
 * PDA and statistics move nothing more. Partial results are written and read:
 * 32 a channel and block, whatever the steps, or with a scale a step (TEBN) 32 a
 * channel, block and step: divide by the block's rows, deep*each below. */
#ifndef SURGE_KERNELS_CUDA_NEURON_CUH
#define SURGE_KERNELS_CUDA_NEURON_CUH

#include "kernels/cuda/launch.h"
#include "kernels/cuda/vector.h"
#include "kernels/shared/moments.h"
#include "kernels/shared/neuron.h"
#include "kernels/shared/pda.h"
#include "kernels/shared/statistics.h"

/* What an instance can do; each does what stands above it as well. */
enum neuron_level {
  NEURON_ONE,  /* one input, no option that works at every step              */
  NEURON_TWO,  /* two inputs                                                 */
  NEURON_MORE, /* PDA, scales a step, a learned decay, a current's gradient  */
  NEURON_ALL   /* statistics, histogram, the smooth twin                     */
};

/* Inputs that an instance has to look for. */
static __host__ __device__ constexpr int neuron_inputs(int level) {
  return level < NEURON_TWO ? 1 : 2;
}

/* Has the call this one? It always has the first. */
static __device__ __forceinline__ bool has_input(const surge_neuron &a,
                                                 int which) {
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

static inline neuron_cut neuron_cut_of(const surge_neuron *a, int V) {
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

/* A parameter's share, a channel or a layer: into [blocks, C] or [blocks]. */
template <class P, int V>
static __device__ __forceinline__ void share_parts(P *slots, const P (&mine)[V],
                                                   const neuron_cut &cut,
                                                   surge_granularity by) {
  if (by == SURGE_PER_CHANNEL) {
    share_channels(slots + blockIdx.x * (size_t)cut.channels, mine, cut, true);
    return;
  }
  P own = mine[0];
#pragma unroll
  for (int l = 1; l < V; l++) merge(own, mine[l]);
  share_layer(slots + block_number(), own, true);
}

/* Blocks that share a part of the given granularity, and its parts. */
static inline size_t neuron_sharers(const neuron_cut &cut,
                                    surge_granularity by) {
  return by == SURGE_PER_CHANNEL ? cut.blocks : cut.blocks * (size_t)cut.tiles;
}

static inline size_t neuron_parts(const surge_neuron *a, surge_granularity by) {
  return by == SURGE_PER_CHANNEL ? (size_t)a->map.c : 1;
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

size_t surge_cuda_neuron_forward_workspace(const surge_neuron *a);
size_t surge_cuda_neuron_backward_workspace(const surge_neuron *a);

/* What the device refuses of a call that the shared checks passed. */
static inline surge_status neuron_check_layout(const char *op,
                                               const surge_neuron *a) {
  if (a->map.layout == SURGE_CHANNELS_LAST) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                    "%s: cuda: wanted channels last, found layout %d", op,
                    (int)a->map.layout);
}

/* The clip of the quantization kind, computed on the host for all threads. */
static inline surge_pda_clip neuron_clip(const surge_neuron_spec *spec) {
  if (spec->pda == SURGE_PDA_QUANTIZATION)
    return surge_pda_clip_of(spec->pda_epsilon);
  return surge_pda_clip{0, 0, 0};
}

/* --- what a thread reads -------------------------------------------------- */

template <int V>
static __device__ __forceinline__ pack<V> load_parts(const float *values,
                                                     surge_granularity by,
                                                     int32_t channel) {
  return by == SURGE_PER_CHANNEL ? surge_load<V>(values + channel)
                                 : repeat<V>(*values);
}

/* w and 1/w of step t. */
template <int V>
struct neuron_width {
  pack<V> w, inverse;
};

template <int V>
static __device__ __forceinline__ neuron_width<V> width_at(
    const surge_neuron &a, int32_t channel, bool later) {
  surge_granularity by = a.spec.granularity;
  int32_t parts = by == SURGE_PER_CHANNEL ? a.map.c : 1;
  neuron_width<V> width;
  width.w = load_parts<V>(a.width + (later ? parts : 0), by, channel);
  EACH_LANE width.inverse.v[l] = 1.0f / width.w.v[l];
  return width;
}

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

template <int V, int level>
static __device__ __forceinline__ neuron_lanes<V> lanes_at(
    const surge_neuron &a, int32_t channel) {
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

/* Loads the inputs of steps t .. t+count-1 at element `at`. */
template <int level, class E, int V, int B>
static __device__ __forceinline__ void load_inputs(neuron_steps<E, V, B> &steps,
                                                   const surge_neuron &a,
                                                   size_t M, size_t at,
                                                   int32_t t, int32_t count) {
#pragma unroll
  for (int which = 0; which < neuron_inputs(level); which++) {
    if (!has_input(a, which)) continue;
    size_t stride = a.input[which].is_static ? 0 : M;
    const E *z = (const E *)a.input[which].z + (size_t)t * stride + at;
    load_steps(steps.z[which], z, stride, count);
  }
}

/* --- one step ------------------------------------------------------------- */

/* The sum of the inputs, before the gain: k-th of the loaded steps, step t. */
template <int level, class E, int V, int B>
static __device__ __forceinline__ pack<V> input_sum(
    const neuron_steps<E, V, B> &steps, int k, neuron_lanes<V> &lanes,
    const surge_neuron &a, int32_t t) {
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

/* S_w(u - theta) and h_w(u - theta): the family is the same for all. */
template <int V>
static __device__ __forceinline__ pack<V> soft_spikes(
    const surge_neuron_spec &spec, const pack<V> &u, const pack<V> &inverse) {
  pack<V> s = {};
  switch (spec.family) {
#define SPIKES(NAME, word, half)                                               \
  case SURGE_##NAME:                                                           \
    EACH_LANE s.v[l] =                                                         \
        surge_spike_##word(u.v[l] - spec.v_threshold, inverse.v[l]);           \
    break;
    SURGE_FAMILY_LIST(SPIKES)
#undef SPIKES
  }
  return s;
}

template <int V>
static __device__ __forceinline__ pack<V> surrogates(
    const surge_neuron_spec &spec, const pack<V> &u,
    const neuron_width<V> &width) {
  pack<V> h = {};
  switch (spec.family) {
#define SURROGATES(NAME, word, half)                                           \
  case SURGE_##NAME:                                                           \
    EACH_LANE h.v[l] = surge_surrogate_##word(                                 \
        u.v[l] - spec.v_threshold, width.w.v[l], width.inverse.v[l]);          \
    break;
    SURGE_FAMILY_LIST(SURROGATES)
#undef SURROGATES
  }
  return h;
}

/* s of step t. */
template <int V, int level>
static __device__ __forceinline__ pack<V> spikes_at(
    const surge_neuron &a, const neuron_lanes<V> &lanes, const pack<V> &u,
    int32_t t) {
  if (level >= NEURON_ALL && a.spec.soft_forward)
    return soft_spikes(a.spec, u, width_at<V>(a, lanes.channel, t > 0).inverse);
  pack<V> s;
  EACH_LANE s.v[l] = surge_fire(u.v[l], a.spec.v_threshold);
  return s;
}

/* v after it. */
template <int V, int level>
static __device__ __forceinline__ pack<V> after_spikes(
    const surge_neuron_spec &spec, const pack<V> &u, const pack<V> &s) {
  pack<V> v;
  bool soft = level >= NEURON_ALL && spec.soft_forward;
  EACH_LANE v.v[l] =
      soft ? surge_after_soft_spike(spec.reset, u.v[l], s.v[l],
                                    spec.v_threshold, spec.v_reset)
           : surge_after_spike(spec.reset, u.v[l], s.v[l], spec.v_threshold,
                               spec.v_reset);
  return v;
}

#endif
