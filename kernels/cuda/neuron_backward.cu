/* neuron_backward.cu - dL/ds of all steps -> dL/dz's share, in one pass; see
 * backend.h, and neuron.cuh for how it is laid out.
 *
 * A thread loads z and dL/ds of B steps, rebuilds u of them from z, which gives
 * exactly the forward's spikes, and walks them downward: z, dL/ds and u of V*B
 * <= 16 elements are what its registers hold. More than 16 steps are taken in
 * chunks: a walk upward first leaves v, and a synapse's current, at the start of
 * each in the workspace. */
#include "kernels/cuda/neuron.cuh"

#define MAX_STEPS 16 /* of a chunk */

/* --- workspace ------------------------------------------------------------ */

struct backward_work {
  double *sums[2]; /* [blocks, Tk, 2, C] of each input                        */
  double *drho;    /* [blocks, P]                                             */
  double *ddecay;  /* [blocks] dL/dd                                          */
  double *dsynapse; /* [blocks] dL/dd_s                                       */
  float *start;   /* [chunks - 1, M] v before the second chunk, third, ...   */
  float *start_i; /* likewise a synapse's current                            */
};

/* The smooth twin, made for proofs and not for speed, and synapses, made for many
 * steps, have the one instance for those: in the others the branch would cost
 * registers that all pay for. */
static bool has_every_option(const surge_neuron *a) {
  return a->spec.soft_forward || surge_neuron_synaptic(&a->spec);
}

/* Channels of a thread: the more steps, the fewer. */
static int backward_vector(const surge_neuron *a) {
  int V = a->T <= 4 ? 4 : a->T <= 8 ? 2 : 1;
  return a->map.c % V == 0 && !has_every_option(a) ? V : 1;
}

static size_t bind(backward_work *work, void *base, const surge_neuron *a,
                   const neuron_cut &cut) {
  neuron_scratch scratch = {(uint8_t *)base, 0};
  surge_granularity by = a->spec.granularity;
  size_t chunks = ((size_t)a->T + MAX_STEPS - 1) / MAX_STEPS;
  for (int which = 0; which < a->inputs; which++)
    work->sums[which] = take<double>(&scratch, partial_sums(*a, cut, which));
  work->drho =
      take<double>(&scratch, neuron_sharers(cut, by) * neuron_parts(a, by));
  work->ddecay = take<double>(&scratch, neuron_sharers(cut, SURGE_PER_LAYER));
  work->start = take<float>(&scratch, (chunks - 1) * cut.M);
  bool synaptic = surge_neuron_synaptic(&a->spec);
  work->dsynapse = take<double>(
      &scratch, synaptic ? neuron_sharers(cut, SURGE_PER_LAYER) : 0);
  work->start_i = take<float>(&scratch, synaptic ? (chunks - 1) * cut.M : 0);
  return scratch.used;
}

size_t surge_cuda_neuron_backward_workspace(const surge_neuron *a) {
  backward_work work;
  return bind(&work, NULL, a, neuron_cut_of(a, backward_vector(a)));
}

/* --- what a thread keeps --------------------------------------------------- */

template <int V>
struct adjoint {
  pack<V> gv;           /* dL/dv                                          */
  pack<V> gi;           /* d_s dL/di of the step after                    */
  receiver<V> input[2]; /* da, and what is summed of it                   */
  pack<V> drho, ddecay, dsynapse; /* sums over steps and rows              */
  neuron_width<V> width; /* at t > 0                                       */
  pack<V> pda_m, pda_c0, pda_c1;
};

template <int V, int level>
static __device__ __forceinline__ adjoint<V> adjoint_at(
    const surge_neuron_backward &a, int32_t channel) {
  adjoint<V> own = {};
  own.width = width_at<V>(a.common, channel, true);
#pragma unroll
  for (int which = 0; which < neuron_inputs(level); which++)
    if (has_input(a.common, which) && a.sums[which])
      own.input[which].mean =
          surge_load<V>(a.common.input[which].mean + channel);
  if (level < NEURON_MORE || !a.pda) return own;
  bool layer = a.common.spec.pda_granularity == SURGE_PER_LAYER;
  EACH_LANE {
    surge_pda_coefficients q = a.pda[layer ? 0 : channel + l];
    own.pda_m.v[l] = q.m;
    own.pda_c0.v[l] = q.c0;
    own.pda_c1.v[l] = q.c1;
  }
  return own;
}

/* --- rebuilding u ---------------------------------------------------------- */

/* u of steps t .. t+count-1 from their inputs, and the synapse's current before
 * each; the state is handed on. */
template <int level, class E, int V, int B>
static __device__ __forceinline__ void rebuild(
    pack<V> (&u)[B], pack<V> (&i)[B], neuron_state<V> &state,
    const neuron_steps<E, V, B> &steps, neuron_lanes<V> &lanes,
    const surge_neuron &n, int32_t t, int32_t count) {
  const float d = n.scalars[SURGE_SCALAR_DECAY];
  const float gain = n.scalars[SURGE_SCALAR_GAIN];
  const float kept = synapse_decay<level>(n);
#pragma unroll
  for (int k = 0; k < B; k++)
    if (k < count) {
      pack<V> x = input_sum<level>(steps, k, lanes, n, t + k);
      EACH_LANE x.v[l] = gain * x.v[l];
      i[k] = state.i;
      x = through_synapse<V, level>(n, state, x, kept);
      EACH_LANE u[k].v[l] = surge_membrane(d, state.v.v[l], x.v[l]);
      pack<V> s = spikes_at<V, level>(n, lanes, u[k], t + k);
      state.v = after_spikes<V, level>(n.spec, u[k], s);
    }
}

/* The state before chunk 1, 2, ...: to or from the workspace. */
template <int V, int level>
static __device__ __forceinline__ void leave_start(const backward_work &work,
                                                   const surge_neuron &n,
                                                   const neuron_state<V> &state,
                                                   size_t at) {
  surge_store(work.start + at, state.v);
  if (has_synapse<level>(n)) surge_store(work.start_i + at, state.i);
}

template <int V, int level>
static __device__ __forceinline__ neuron_state<V> load_start(
    const backward_work &work, const surge_neuron &n, size_t at) {
  neuron_state<V> state = {};
  state.v = surge_load<V>(work.start + at);
  if (has_synapse<level>(n)) state.i = surge_load<V>(work.start_i + at);
  return state;
}

/* Leaves the state before each chunk but the first in the workspace. */
template <class E, int V, int B, int level>
static __device__ __forceinline__ void leave_starts(const backward_work &work,
                                                    neuron_lanes<V> &lanes,
                                                    const surge_neuron &n,
                                                    size_t M, size_t at,
                                                    neuron_state<V> state) {
  size_t to = at;
  for (int32_t t = 0; t + B < n.T; t += B, to += M) {
    neuron_steps<E, V, B> steps;
    pack<V> u[B], i[B];
    load_inputs<level>(steps, n, M, at, t, B);
    rebuild<level>(u, i, state, steps, lanes, n, t, B);
    leave_start<V, level>(work, n, state, to);
  }
}

/* --- one step back ---------------------------------------------------------- */

/* dD/du of PDA, times lambda. */
template <int V>
static __device__ __forceinline__ pack<V> pda_gradient(
    const adjoint<V> &own, const surge_neuron_spec &spec, const pack<V> &u,
    const pack<V> &h, const pack<V> &inverse, surge_pda_clip clip) {
  pack<V> q;
  if (spec.pda == SURGE_PDA_MOMENT) {
    EACH_LANE q.v[l] = surge_pda_moment_gradient(
        u.v[l], own.pda_m.v[l], own.pda_c0.v[l], own.pda_c1.v[l]);
    return q;
  }
  pack<V> p = soft_spikes(spec, u, inverse);
  EACH_LANE q.v[l] =
      own.pda_c0.v[l] * surge_pda_quantization_gradient(
                            p.v[l], u.v[l] >= spec.v_threshold, h.v[l], clip);
  return q;
}

/* gu = dL/du of step t from dL/ds; gv becomes dL/dv of step t-1. */
template <int level, class E, int V>
static __device__ __forceinline__ pack<V> step_back(
    adjoint<V> &own, const surge_neuron_backward &a,
    const neuron_lanes<V> &lanes, const pack<V> &u,
    const surge_packed<E, V> &gs, int32_t t, surge_pda_clip clip) {
  const surge_neuron_spec &spec = a.common.spec;
  const float d = a.common.scalars[SURGE_SCALAR_DECAY];
  const float theta = spec.v_threshold, v_reset = spec.v_reset;
  const bool soft = level >= NEURON_ALL && spec.soft_forward;
  neuron_width<V> width = own.width;
  if (t == 0) width = width_at<V>(a.common, lanes.channel, false);
  pack<V> h = surrogates(spec, u, width), q = {}, gu;
  pack<V> s = spikes_at<V, level>(a.common, lanes, u, t);
  if (level >= NEURON_MORE && a.pda)
    q = pda_gradient(own, spec, u, h, width.inverse, clip);
  EACH_LANE {
    float gv = own.gv.v[l], delta = (float)gs.v[l];
    if (!spec.detach_reset)
      delta += gv * surge_reset_slope(spec.reset, u.v[l], theta, v_reset);
    float carried = soft ? surge_carry_soft_spike(spec.reset, gv, s.v[l])
                         : surge_carry_spike(spec.reset, gv, s.v[l]);
    gu.v[l] = surge_adjoint(delta, h.v[l], q.v[l], carried);
    own.drho.v[l] -= delta * ((u.v[l] - theta) * h.v[l]);
    own.gv.v[l] = d * gu.v[l];
  }
  return gu;
}

/* dL/di of a step from its dL/du, and dL/dd_s, which leaks i of the step
 * before. */
template <int V>
static __device__ __forceinline__ pack<V> step_synapse(adjoint<V> &own,
                                                       const surge_neuron &n,
                                                       const pack<V> &g,
                                                       const pack<V> &before) {
  const float kept = n.scalars[SURGE_SCALAR_SYNAPSE];
  pack<V> gi;
  EACH_LANE {
    gi.v[l] = g.v[l] + own.gi.v[l];
    own.dsynapse.v[l] += gi.v[l] * before.v[l];
    own.gi.v[l] = kept * gi.v[l];
  }
  return gi;
}

/* dL/dd of step t: d leaks v[t-1] and, with decay_input, scales the input by
 * 1 - d. `g` is dL/du, `total` what arrives at the current. */
template <int V>
static __device__ __forceinline__ void step_decay(
    adjoint<V> &own, const surge_neuron_spec &spec, const pack<V> &before,
    const pack<V> &g, const pack<V> &total, const pack<V> &x) {
  EACH_LANE {
    own.ddecay.v[l] += g.v[l] * before.v[l];
    if (spec.decay_input) own.ddecay.v[l] -= total.v[l] * x.v[l];
  }
}

/* --- after the steps --------------------------------------------------------- */

/* dL/dv_in, and the gradients of static inputs. */
template <class E, int V, int level>
static __device__ __forceinline__ void deliver_row(
    const adjoint<V> &own, const surge_neuron_backward &a, size_t at) {
  if (a.dv_in) surge_store(a.dv_in + at, own.gv);
  if (level >= NEURON_ALL && a.di_in) surge_store(a.di_in + at, own.gi);
#pragma unroll
  for (int which = 0; which < neuron_inputs(level); which++)
    if (has_input(a.common, which))
      receive_row<E>(own.input[which], a.common.input[which], a.da[which],
                     a.mode[which], at);
}

/* The sums of step t, of inputs with a scale a step. */
template <int V>
static __device__ __forceinline__ void share_step_sums(
    adjoint<V> &own, const surge_neuron_backward &a, const neuron_cut &cut,
    const backward_work &work, int32_t t, bool first) {
#pragma unroll
  for (int which = 0; which < 2; which++)
    if (has_input(a.common, which) && a.sums[which] &&
        a.common.input[which].per_step)
      share_sums(own.input[which], work.sums[which], (size_t)a.common.T, t, cut,
                 first);
}

/* What all rows of the block have come to. */
template <int V, int level>
static __device__ __forceinline__ void share_all(adjoint<V> &own,
                                                 const surge_neuron_backward &a,
                                                 const neuron_cut &cut,
                                                 const backward_work &work) {
  double part[V];
#pragma unroll
  for (int which = 0; which < neuron_inputs(level); which++)
    if (has_input(a.common, which) && a.sums[which] &&
        !a.common.input[which].per_step)
      share_sums(own.input[which], work.sums[which], 1, 0, cut, true);
  if (a.drho) {
    EACH_LANE part[l] = (double)own.drho.v[l];
    share_parts(work.drho, part, cut, a.common.spec.granularity);
  }
  if (level >= NEURON_MORE && a.ddecay_logit) {
    EACH_LANE part[l] = (double)own.ddecay.v[l];
    share_parts(work.ddecay, part, cut, SURGE_PER_LAYER);
  }
  if (level >= NEURON_ALL && a.dsynapse_logit) {
    EACH_LANE part[l] = (double)own.dsynapse.v[l];
    share_parts(work.dsynapse, part, cut, SURGE_PER_LAYER);
  }
}

/* --- the kernel ------------------------------------------------------------ */

template <class E, int V, int B, int level>
__global__ void __launch_bounds__(NEURON_THREADS, level < NEURON_TWO    ? 4
                                                  : level < NEURON_MORE ? 3
                                                                        : 1)
    neuron_backward_kernel(const surge_neuron_backward a, const neuron_cut cut,
                           const backward_work work,
                           const surge_pda_clip clip) {
  const surge_neuron &n = a.common;
  const float gain = n.scalars[SURGE_SCALAR_GAIN];
  int32_t channel = neuron_channel<V>();
  bool has_channels = channel < cut.channels;
  neuron_lanes<V> lanes = lanes_at<V, level>(n, has_channels ? channel : 0);
  adjoint<V> own = adjoint_at<V, level>(a, lanes.channel);

  for (unsigned r = 0; r < cut.each; r++) {
    size_t row = neuron_row(cut, r);
    bool mine = has_channels && row < cut.rows;
    /* Where steps are summed apart, the whole block has to come along. */
    if (level < NEURON_MORE && !mine) break;
    size_t at = row * (size_t)cut.channels + (size_t)channel;
    own.gv = own.gi = own.input[0].da = own.input[1].da = repeat<V>(0.0f);
    const neuron_state<V> first = state_before<V, level>(n, at, mine);
    if (a.gv_out && mine) own.gv = surge_load<V>(a.gv_out + at);
    if (level >= NEURON_ALL && a.gi_out && mine)
      own.gi = surge_load<V>(a.gi_out + at);
    if (B == MAX_STEPS && n.T > B && mine)
      leave_starts<E, V, B, level>(work, lanes, n, cut.M, at, first);

    for (int32_t chunk = B < MAX_STEPS ? 0 : (n.T - 1) / B; chunk >= 0;
         chunk--) {
      neuron_steps<E, V, B> steps = {};
      surge_packed<E, V> gs[B] = {};
      pack<V> u[B] = {}, i[B] = {};
      int32_t t = chunk * B, count = n.T - t, owned = mine ? count : 0;
      load_inputs<level>(steps, n, cut.M, at, t, owned);
      load_steps(gs, (const E *)a.gs + (size_t)t * cut.M + at, cut.M, owned);
      neuron_state<V> start = first;
      if (B == MAX_STEPS && chunk > 0 && mine)
        start = load_start<V, level>(work, n, (size_t)(chunk - 1) * cut.M + at);
      neuron_state<V> state = start;
      rebuild<level>(u, i, state, steps, lanes, n, t, owned);

#pragma unroll
      for (int k = B - 1; k >= 0; k--) {
        if (k >= count) continue;
        if (mine) {
          pack<V> g = step_back<level>(own, a, lanes, u[k], gs[k], t + k, clip);
          pack<V> total = g;
          if (has_synapse<level>(n)) total = step_synapse(own, n, g, i[k]);
          if (level >= NEURON_MORE && a.g_current) {
            pack<V> extra =
                surge_load<V>(a.g_current + (size_t)(t + k) * cut.M + at);
            EACH_LANE total.v[l] = total.v[l] + extra.v[l];
          }
          if (level >= NEURON_MORE && a.ddecay_logit) {
            pack<V> before = start.v;
            if (k > 0)
              before = after_spikes<V, level>(
                  n.spec, u[k - 1],
                  spikes_at<V, level>(n, lanes, u[k - 1], t + k - 1));
            step_decay(own, n.spec, before, g, total,
                       input_sum<level>(steps, k, lanes, n, t + k));
          }
          EACH_LANE total.v[l] = gain * total.v[l];
#pragma unroll
          for (int which = 0; which < neuron_inputs(level); which++)
            if (has_input(n, which))
              receive(own.input[which], n.input[which], a.da[which],
                      a.mode[which], total, steps.z[which][k], t + k, cut.M,
                      at);
        }
        if (level >= NEURON_MORE)
          share_step_sums(own, a, cut, work, t + k, r == 0);
      }
    }
    if (mine) deliver_row<E, V, level>(own, a, at);
  }
  share_all<V, level>(own, a, cut, work);
}

/* --- the last stage --------------------------------------------------------- */

struct finish_rho {
  float *drho;
  __device__ void operator()(size_t part, double total) const {
    drho[part] += (float)total;
  }
};

/* The gradient of a decay's logit from that of the decay. */
struct finish_decay {
  float *dlogit;
  const float *decay;
  __device__ void operator()(size_t, double total) const {
    double d = (double)*decay;
    *dlogit += (float)(d * (1 - d) * total);
  }
};

static void finish(surge_context *context, const surge_neuron_backward *a,
                   const neuron_cut &cut, const backward_work &work) {
  const surge_neuron *n = &a->common;
  surge_granularity by = n->spec.granularity;
  for (int which = 0; which < n->inputs; which++)
    launch_finish_sums(context, *n, which, work.sums[which], a->sums[which],
                       cut);
  if (a->drho)
    launch_finish(context, work.drho, neuron_sharers(cut, by),
                  neuron_parts(n, by), finish_rho{a->drho});
  if (a->ddecay_logit)
    launch_finish(
        context, work.ddecay, neuron_sharers(cut, SURGE_PER_LAYER), 1,
        finish_decay{a->ddecay_logit, n->scalars + SURGE_SCALAR_DECAY});
  if (a->dsynapse_logit)
    launch_finish(
        context, work.dsynapse, neuron_sharers(cut, SURGE_PER_LAYER), 1,
        finish_decay{a->dsynapse_logit, n->scalars + SURGE_SCALAR_SYNAPSE});
}

/* --- launches ---------------------------------------------------------------- */

template <class E, int V, int B, int level>
static void launch(surge_context *context, const surge_neuron_backward *a,
                   const neuron_cut &cut, const backward_work &work) {
  SURGE_LAUNCH((neuron_backward_kernel<E, V, B, level>),
               dim3(cut.blocks, cut.tiles), dim3(cut.columns, cut.deep), 0,
               context->stream, *a, cut, work, neuron_clip(&a->common.spec));
}

template <class E, int level>
static void launch_by_steps(surge_context *context,
                            const surge_neuron_backward *a,
                            const neuron_cut &cut, const backward_work &work) {
  int32_t T = a->common.T;
  int V = backward_vector(&a->common);
  if (V == 4 && T == 1)
    launch<E, 4, 1, level>(context, a, cut, work);
  else if (V == 4 && T == 2)
    launch<E, 4, 2, level>(context, a, cut, work);
  else if (V == 4)
    launch<E, 4, 4, level>(context, a, cut, work);
  else if (V == 2)
    launch<E, 2, 8, level>(context, a, cut, work);
  else
    launch<E, 1, MAX_STEPS, level>(context, a, cut, work);
}

static neuron_level level_of(const surge_neuron_backward *a) {
  const surge_neuron *n = &a->common;
  if (has_every_option(n)) return NEURON_ALL;
  if (a->pda || a->ddecay_logit || a->g_current) return NEURON_MORE;
  for (int which = 0; which < n->inputs; which++)
    if (n->input[which].per_step) return NEURON_MORE;
  return n->inputs == 2 ? NEURON_TWO : NEURON_ONE;
}

/* The instance for maps of E. */
template <class E>
static void launch_for(surge_context *context, const surge_neuron_backward *a,
                       const neuron_cut &cut, const backward_work &work) {
  switch (level_of(a)) {
    case NEURON_ONE:
      launch_by_steps<E, NEURON_ONE>(context, a, cut, work);
      break;
    case NEURON_TWO:
      launch_by_steps<E, NEURON_TWO>(context, a, cut, work);
      break;
    case NEURON_MORE:
      launch_by_steps<E, NEURON_MORE>(context, a, cut, work);
      break;
    case NEURON_ALL:
      launch<E, 1, MAX_STEPS, NEURON_ALL>(context, a, cut, work);
      break;
  }
}

surge_status surge_cuda_neuron_backward(surge_context *context,
                                        const surge_neuron_backward *a) {
  SURGE_TRY(surge_check_neuron_backward(a));
  SURGE_TRY(neuron_check_layout("neuron_backward", &a->common));
  neuron_cut cut = neuron_cut_of(&a->common, backward_vector(&a->common));
  backward_work work;
  bind(&work, a->common.workspace, &a->common, cut);
  SURGE_BY_TYPE(a->common.map.type, launch_for, context, a, cut, work);
  finish(context, a, cut, work);
  return surge_cuda_launched(context, "neuron_backward");
}
