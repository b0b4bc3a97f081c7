/* neuron.cuh - what the two directions of the neuron op share on the device.
 *
 * How a thread takes its channels through the steps: inputs.cuh. Bytes that an
 * instance moves, an element and a step; E is 4 for maps of fp32 and 2 for those
 * of bf16 (all arithmetic is in fp32, see backend.h):
 *     forward    z E + s E; a second input E, `current` 4
 *     backward   z E + gs E + da E; a second input E, its own da E, mode add E
 *                an input, g_current 4
 *     either     E/T instead of E for z and da of a static input; 4/T for each
 *                of v_in, v_out, gv_out, dv_in, and of those of a synapse's
 *                current; per_step scales come from cache
 *     backward   with T > 16: z E once more and 8/16 for v where chunks start,
 *                8/16 for the synapse's current
 * PDA and statistics move nothing more but their partial results. */
#ifndef SURGE_KERNELS_CUDA_NEURON_CUH
#define SURGE_KERNELS_CUDA_NEURON_CUH

#include "kernels/cuda/inputs.cuh"
#include "kernels/shared/pda.h"

/* --- parameters' gradients -------------------------------------------------- */

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

/* --- what a call needs ------------------------------------------------------ */

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

/* --- one step ------------------------------------------------------------- */

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

/* What a step hands on to the next: the membrane, and a synapse's current. */
template <int V>
struct neuron_state {
  pack<V> v, i;
};

template <int level>
static __device__ __forceinline__ bool has_synapse(const surge_neuron &a) {
  return level >= NEURON_ALL && surge_neuron_synaptic(&a.spec);
}

/* Before the first step, at element `at`. */
template <int V, int level>
static __device__ __forceinline__ neuron_state<V> state_before(
    const surge_neuron &a, size_t at, bool mine) {
  neuron_state<V> state = {};
  if (a.v_in && mine) state.v = surge_load<V>(a.v_in + at);
  if (level >= NEURON_ALL && a.i_in && mine)
    state.i = surge_load<V>(a.i_in + at);
  return state;
}

/* d_s; 0 without a synapse. */
template <int level>
static __device__ __forceinline__ float synapse_decay(const surge_neuron &a) {
  return has_synapse<level>(a) ? a.scalars[SURGE_SCALAR_SYNAPSE] : 0.0f;
}

/* What the membrane reads of a step's current, which a synapse keeps of. */
template <int V, int level>
static __device__ __forceinline__ pack<V> through_synapse(
    const surge_neuron &a, neuron_state<V> &state, const pack<V> &current,
    float kept) {
  if (!has_synapse<level>(a)) return current;
  EACH_LANE state.i.v[l] = surge_membrane(kept, state.i.v[l], current.v[l]);
  return state.i;
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
