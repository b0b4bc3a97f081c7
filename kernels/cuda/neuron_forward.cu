/* neuron_forward.cu - current -> LIF over all steps -> spikes, in one pass; see
 * backend.h, and neuron.cuh for how it is laid out.
 *
 * A thread takes its elements B steps at a time: the loads of those steps are
 * on their way together, and only v is handed on. What is reduced beside the
 * spikes is reduced from u while it is in registers, by instances of their own,
 * used only when asked for. */
#include "kernels/cuda/fault.h"
#include "kernels/cuda/neuron.cuh"

/* --- workspace ------------------------------------------------------------ */

struct forward_work {
  surge_moments *moments; /* [blocks, P] of u                                 */
  double *distance;       /* sum of D: [blocks] by elements, [P] by moments   */
  surge_neuron_statistics *statistics; /* [blocks, T]                         */
};

/* Channels of a thread: 16 bytes of a map, where they divide. */
static int forward_vector(const surge_neuron *a) {
  int V =
      a->map.type == SURGE_BF16 ? surge_wide<surge_bf16> : surge_wide<float>;
  return a->map.c % V == 0 ? V : 1;
}

static size_t bind(forward_work *work, void *base, const surge_neuron *a,
                   const neuron_cut &cut) {
  neuron_scratch scratch = {(uint8_t *)base, 0};
  surge_granularity by = a->spec.pda_granularity;
  size_t parts = neuron_parts(a, by), blocks = cut.blocks * (size_t)cut.tiles;
  bool moments = a->spec.pda == SURGE_PDA_MOMENT;
  work->moments = take<surge_moments>(
      &scratch, moments ? neuron_sharers(cut, by) * parts : 0);
  work->distance = take<double>(&scratch, blocks > parts ? blocks : parts);
  work->statistics =
      take<surge_neuron_statistics>(&scratch, blocks * (size_t)a->T);
  return scratch.used;
}

size_t surge_cuda_neuron_forward_workspace(const surge_neuron *a) {
  forward_work work;
  return bind(&work, NULL, a, neuron_cut_of(a, forward_vector(a)));
}

size_t surge_cuda_neuron_workspace(surge_context *context,
                                   const surge_neuron *a) {
  (void)context;
  size_t forward = surge_cuda_neuron_forward_workspace(a);
  size_t backward = surge_cuda_neuron_backward_workspace(a);
  return forward > backward ? forward : backward;
}

/* --- PDA ------------------------------------------------------------------ */

/* What a thread saw of u, a channel each: sums of deviations from a centre, the
 * mean of the first steps seen (see moments.h); or `sum` of D an element. */
template <int V>
struct watch {
  pack<V> centre, sum, squares;
  int32_t n;
};

template <int V, int B>
static __device__ __forceinline__ void watch_moments(watch<V> &w,
                                                     const pack<V> (&u)[B],
                                                     int32_t count) {
  if (w.n == 0) {
    pack<V> sum = {};
#pragma unroll
    for (int k = 0; k < B; k++)
      if (k < count) EACH_LANE sum.v[l] += u[k].v[l];
    EACH_LANE w.centre.v[l] = sum.v[l] / (float)count;
  }
#pragma unroll
  for (int k = 0; k < B; k++)
    if (k < count) EACH_LANE {
        float apart = u[k].v[l] - w.centre.v[l];
        w.sum.v[l] += apart;
        w.squares.v[l] += apart * apart;
      }
  w.n += count;
}

template <int V, int B>
static __device__ __forceinline__ void watch_quantization(
    watch<V> &w, const pack<V> (&u)[B], const surge_neuron &a, int32_t channel,
    int32_t t, int32_t count, surge_pda_clip clip) {
#pragma unroll
  for (int k = 0; k < B; k++)
    if (k < count) {
      pack<V> inverse = width_at<V>(a, channel, t + k > 0).inverse;
      pack<V> p = soft_spikes(a.spec, u[k], inverse);
      EACH_LANE w.sum.v[l] +=
          surge_pda_quantization(p.v[l], u[k].v[l] >= a.spec.v_threshold, clip);
    }
}

template <int V>
static __device__ __forceinline__ void share_watch(const watch<V> &w,
                                                   const surge_neuron &a,
                                                   const neuron_cut &cut,
                                                   const forward_work &work) {
  if (a.spec.pda == SURGE_PDA_MOMENT) {
    surge_moments m[V] = {};
    if (w.n > 0)
      EACH_LANE m[l] =
          surge_moments_about((double)w.centre.v[l], (double)w.n,
                              (double)w.sum.v[l], (double)w.squares.v[l]);
    share_parts(work.moments, m, cut, a.spec.pda_granularity);
    return;
  }
  double sum[V];
  EACH_LANE sum[l] = (double)w.sum.v[l];
  share_parts(work.distance, sum, cut, SURGE_PER_LAYER);
}

/* Coefficients and D of each part. */
struct finish_moments {
  surge_pda_coefficients *pda;
  double *distance;
  const float *scalars;
  double theta, scale;
  __device__ void operator()(size_t part, const surge_moments &m) const {
    distance[part] =
        surge_pda_moment(&pda[part], m, (double)scalars[SURGE_SCALAR_PDA_MEAN],
                         (double)scalars[SURGE_SCALAR_PDA_STD], theta, scale);
  }
};

/* metrics->pda += N times the sum of D over what it is the mean of. */
struct finish_distance {
  surge_metrics *metrics;
  double N, count;
  __device__ void operator()(size_t, double sum) const {
    metrics->pda += N * (sum / count);
  }
};

__global__ void fill_coefficients(surge_pda_coefficients *pda, size_t parts,
                                  float c0) {
  size_t part = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
  if (part < parts) pda[part] = surge_pda_coefficients{0, c0, 0};
}

static void finish_pda(surge_context *context, const surge_neuron_forward *a,
                       const neuron_cut &cut, const forward_work &work) {
  const surge_neuron *common = &a->common;
  const surge_neuron_spec *spec = &common->spec;
  surge_granularity by = spec->pda_granularity;
  size_t parts = neuron_parts(common, by);
  double N = common->N, elements = (double)cut.M * common->T;
  if (spec->pda == SURGE_PDA_MOMENT) {
    finish_moments moments = {a->pda, work.distance, common->scalars,
                              (double)spec->v_threshold,
                              (double)a->pda_scale / (double)parts};
    finish_distance distance = {a->metrics, N, (double)parts};
    launch_finish(context, work.moments, neuron_sharers(cut, by), parts,
                  moments);
    launch_finish(context, work.distance, parts, 1, distance);
    return;
  }
  finish_distance distance = {a->metrics, N, elements};
  launch_finish(context, work.distance, neuron_sharers(cut, SURGE_PER_LAYER), 1,
                distance);
  SURGE_LAUNCH((fill_coefficients), surge_cuda_blocks(parts, SURGE_CUDA_BLOCK),
               SURGE_CUDA_BLOCK, 0, context->stream, a->pda, parts,
               (float)((double)a->pda_scale / elements));
}

/* --- statistics ----------------------------------------------------------- */

#define HISTOGRAM_PLACES (SURGE_HISTOGRAM_BINS + 2)

/* The block's own histogram. */
static __device__ __forceinline__ uint32_t *block_bins() {
  SURGE_SHARED uint32_t bins[HISTOGRAM_PLACES];
  return bins;
}

static __device__ __forceinline__ void clear_bins() {
  unsigned at = threadIdx.y * blockDim.x + threadIdx.x;
  for (; at < HISTOGRAM_PLACES; at += blockDim.x * blockDim.y)
    block_bins()[at] = 0;
  __syncthreads();
}

/* Whole numbers: their order does not matter. */
static __device__ __forceinline__ void share_bins(surge_histogram *histogram) {
  unsigned at = threadIdx.y * blockDim.x + threadIdx.x;
  __syncthreads();
  for (; at < HISTOGRAM_PLACES; at += blockDim.x * blockDim.y)
    atomicAdd((unsigned long long *)&(*histogram)[at],
              (unsigned long long)block_bins()[at]);
}

/* Of a thread's elements at step t. */
template <int V>
static __device__ __forceinline__ surge_neuron_statistics
statistics_of(const pack<V> &u, const pack<V> &s, const surge_neuron &a,
              int32_t channel, int32_t t) {
  pack<V> width = width_at<V>(a, channel, t > 0).w;
  float half = surge_window_of_width(a.spec.family);
  surge_neuron_statistics own = {V, 0, 0, 0, 0, 0};
  EACH_LANE own.mean += (double)u.v[l] / V;
  EACH_LANE {
    double apart = (double)u.v[l] - own.mean;
    float error = u.v[l] - s.v[l];
    own.m2 += apart * apart;
    own.window += fabsf(u.v[l] - a.spec.v_threshold) < half * width.v[l];
    own.spikes += (double)s.v[l];
    own.quantization += (double)(error * error);
  }
  return own;
}

/* What is asked for of step t, by the whole block; `mine`: this thread has
 * elements. */
template <int V>
static __device__ __forceinline__ void log_step(
    const surge_neuron_forward &a, const forward_work &work, const pack<V> &u,
    const pack<V> &s, int32_t channel, int32_t t, bool mine, bool first) {
  if (a.histogram && mine)
    EACH_LANE atomicAdd(
        &block_bins()[surge_histogram_place(u.v[l], a.common.spec.v_threshold)],
        1u);
  if (!a.statistics) return;
  surge_neuron_statistics own = {};
  if (mine) own = statistics_of(u, s, a.common, channel, t);
  size_t slot = block_number() * (size_t)a.common.T + (size_t)t;
  share_layer(work.statistics + slot, own, first);
}

struct finish_statistics {
  surge_neuron_statistics *statistics;
  __device__ void operator()(size_t t, const surge_neuron_statistics &s) const {
    merge(statistics[t], s);
  }
};

/* --- the kernel ------------------------------------------------------------ */

/* Steps taken together: V of them hold z and u of V*B elements at once. */
static constexpr int most_steps(int V, int level) {
  return level == NEURON_ONE || V < 8 ? 4 : 2;
}

/* Blocks that have to fit a multiprocessor; no instance spills for it. */
static constexpr int blocks_wanted(int V, int level) {
  return level < NEURON_TWO ? 6 : level < NEURON_MORE ? (V < 8 ? 6 : 5) : 1;
}

template <class E, int V, int B, int level>
__global__ void __launch_bounds__(NEURON_THREADS, blocks_wanted(V, level))
    neuron_forward_kernel(const surge_neuron_forward a, const neuron_cut cut,
                          const forward_work work, const surge_pda_clip clip) {
  const surge_neuron &n = a.common;
  const float d = n.scalars[SURGE_SCALAR_DECAY];
  const float gain = n.scalars[SURGE_SCALAR_GAIN];
  const float kept = synapse_decay<level>(n);
  E *const s_out = (E *)a.s;
  int32_t channel = neuron_channel<V>();
  bool has_channels = channel < cut.channels;
  neuron_lanes<V> lanes = lanes_at<V, level>(n, has_channels ? channel : 0);
  watch<V> seen = {};
  uint32_t faults = 0;
  if (level >= NEURON_ALL && a.histogram) clear_bins();

  for (unsigned r = 0; r < cut.each; r++) {
    size_t row = neuron_row(cut, r);
    bool mine = has_channels && row < cut.rows;
    /* Where steps are reduced, the whole block has to come along. */
    if (level < NEURON_ALL && !mine) break;
    size_t at = row * (size_t)cut.channels + (size_t)channel;
    neuron_state<V> state = state_before<V, level>(n, at, mine);

    for (int32_t t = 0; t < n.T; t += B) {
      neuron_steps<E, V, B> steps = {};
      pack<V> u[B];
      int32_t count = mine ? n.T - t : 0;
      load_inputs<level>(steps, n, cut.M, at, t, count);
#pragma unroll
      for (int k = 0; k < B; k++) {
        if (t + k >= n.T) break;
        pack<V> x = input_sum<level>(steps, k, lanes, n, t + k);
        EACH_LANE x.v[l] = gain * x.v[l];
        pack<V> i = through_synapse<V, level>(n, state, x, kept);
        EACH_LANE {
          u[k].v[l] = surge_membrane(d, state.v.v[l], i.v[l]);
          if (mine) faults |= surge_fault_bits(u[k].v[l]);
        }
        pack<V> s = spikes_at<V, level>(n, lanes, u[k], t + k);
        state.v = after_spikes<V, level>(n.spec, u[k], s);
        size_t out = (size_t)(t + k) * cut.M + at;
        if (mine) surge_store(s_out + out, s);
        if (mine && a.current) surge_store(a.current + out, x);
        if (level >= NEURON_ALL)
          log_step(a, work, u[k], s, lanes.channel, t + k, mine, r == 0);
      }
      if (level < NEURON_MORE || !a.pda || !mine) continue;
      if (count > B) count = B;
      if (n.spec.pda == SURGE_PDA_MOMENT)
        watch_moments(seen, u, count);
      else
        watch_quantization(seen, u, n, lanes.channel, t, count, clip);
    }
    if (a.v_out && mine) surge_store(a.v_out + at, state.v);
    if (level >= NEURON_ALL && a.i_out && mine)
      surge_store(a.i_out + at, state.i);
  }

  if (faults) surge_cuda_fault(a.fault, n.layer);
  if (level >= NEURON_ALL && a.histogram) share_bins(a.histogram);
  if (level >= NEURON_MORE && a.pda) share_watch(seen, n, cut, work);
}

/* --- launches ------------------------------------------------------------- */

template <class E, int V, int B, int level>
static void launch(surge_context *context, const surge_neuron_forward *a,
                   const neuron_cut &cut, const forward_work &work) {
  SURGE_LAUNCH((neuron_forward_kernel<E, V, B, level>),
               dim3(cut.blocks, cut.tiles), dim3(cut.columns, cut.deep), 0,
               context->stream, *a, cut, work, neuron_clip(&a->common.spec));
}

template <class E, int V, int level>
static void launch_by_steps(surge_context *context,
                            const surge_neuron_forward *a,
                            const neuron_cut &cut, const forward_work &work) {
  constexpr int most = most_steps(V, level);
  if (a->common.T == 1)
    launch<E, V, 1, level>(context, a, cut, work);
  else if (a->common.T == 2)
    launch<E, V, 2, level>(context, a, cut, work);
  else
    launch<E, V, most, level>(context, a, cut, work);
}

static neuron_level level_of(const surge_neuron_forward *a) {
  const surge_neuron *n = &a->common;
  if (a->statistics || a->histogram || n->spec.soft_forward ||
      surge_neuron_synaptic(&n->spec))
    return NEURON_ALL;
  if (a->pda) return NEURON_MORE;
  for (int which = 0; which < n->inputs; which++)
    if (n->input[which].per_step) return NEURON_MORE;
  return n->inputs == 2 ? NEURON_TWO : NEURON_ONE;
}

/* The instance for maps of E; odd numbers of channels have one for all. */
template <class E>
static void launch_for(surge_context *context, const surge_neuron_forward *a,
                       const neuron_cut &cut, const forward_work &work) {
  constexpr int V = surge_wide<E>;
  neuron_level level = level_of(a);
  if (forward_vector(&a->common) == 1)
    launch<E, 1, 4, NEURON_ALL>(context, a, cut, work);
  else if (level == NEURON_ONE)
    launch_by_steps<E, V, NEURON_ONE>(context, a, cut, work);
  else if (level == NEURON_TWO)
    launch_by_steps<E, V, NEURON_TWO>(context, a, cut, work);
  else if (level == NEURON_MORE)
    launch_by_steps<E, V, NEURON_MORE>(context, a, cut, work);
  else
    launch<E, V, most_steps(V, NEURON_ALL), NEURON_ALL>(context, a, cut, work);
}

surge_status surge_cuda_neuron_forward(surge_context *context,
                                       const surge_neuron_forward *a) {
  SURGE_TRY(surge_check_neuron_forward(a));
  SURGE_TRY(neuron_check_layout("neuron_forward", &a->common));
  neuron_cut cut = neuron_cut_of(&a->common, forward_vector(&a->common));
  forward_work work;
  bind(&work, a->common.workspace, &a->common, cut);
  SURGE_BY_TYPE(a->common.map.type, launch_for, context, a, cut, work);
  if (a->pda) finish_pda(context, a, cut, work);
  if (a->statistics)
    launch_finish(context, work.statistics,
                  neuron_sharers(cut, SURGE_PER_LAYER), (size_t)a->common.T,
                  finish_statistics{a->statistics});
  return surge_cuda_launched(context, "neuron_forward");
}
