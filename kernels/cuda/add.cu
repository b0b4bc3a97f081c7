/* add.cu - the sum of one or two inputs outside a neuron, and what they receive;
 * see backend.h, and inputs.cuh for how it is laid out.
 *
 * Bytes that an instance moves, an element and step, b those of an element:
 *     forward    z b an input, y b
 *     backward   dy b, z b an input with sums, da b an input, mode add b more
 * and b/T instead of b for z and da of a static input of a moving sum. */
#include "kernels/cuda/check.h"
#include "kernels/cuda/inputs.cuh"
#include "kernels/shared/add.h"

/* Channels of a thread where they divide, else 1: forward 16 bytes of a map;
 * backward fewer of bf16, for their sums are in registers. */
static constexpr int backward_wide = 4;

/* Steps taken together: V of them hold both inputs of V*B elements at once. */
static constexpr int steps_together(int V) { return V < 8 ? 4 : 2; }

struct add_work {
  double *sums[2]; /* [blocks, Tk, 2, C] of each input                        */
};

static size_t bind(add_work *work, void *base, const surge_add &a,
                   const neuron_cut &cut) {
  neuron_scratch scratch = {(uint8_t *)base, 0};
  for (int which = 0; which < a.inputs; which++)
    work->sums[which] = take<double>(&scratch, partial_sums(a, cut, which));
  return scratch.used;
}

/* The cut of a backward call. */
static neuron_cut backward_cut(const surge_add &a) {
  constexpr int V = backward_wide;
  return neuron_cut_of(&a, a.map.c % V == 0 ? V : 1);
}

size_t surge_cuda_add_workspace(surge_context *context, const surge_add *a) {
  (void)context;
  surge_add sum = surge_add_in_steps(a);
  add_work work;
  return bind(&work, NULL, sum, backward_cut(sum));
}

/* --- forward ---------------------------------------------------------------- */

template <class E, int V, int B>
__global__ void __launch_bounds__(NEURON_THREADS, 6)
    add_forward_kernel(const surge_add a, const neuron_cut cut) {
  int32_t channel = neuron_channel<V>();
  if (channel >= cut.channels) return;
  neuron_lanes<V> lanes = lanes_at<V, NEURON_MORE>(a, channel);
  for (unsigned r = 0; r < cut.each; r++) {
    size_t row = neuron_row(cut, r);
    if (row >= cut.rows) return;
    size_t at = row * (size_t)cut.channels + (size_t)channel;
    for (int32_t t = 0; t < a.T; t += B) {
      neuron_steps<E, V, B> steps = {};
      load_inputs<NEURON_MORE>(steps, a, cut.M, at, t, a.T - t);
#pragma unroll
      for (int k = 0; k < B; k++)
        if (t + k < a.T)
          surge_store((E *)a.y + (size_t)(t + k) * cut.M + at,
                      input_sum<NEURON_MORE>(steps, k, lanes, a, t + k));
    }
  }
}

/* --- backward --------------------------------------------------------------- */

/* The block's sums so far of inputs with a scale a step (of step t, asked for
 * after it) or of the others (asked for at the end). */
template <int V>
static __device__ __forceinline__ void share_inputs(
    receiver<V> (&own)[2], const surge_add &a, const neuron_cut &cut,
    const add_work &work, bool per_step, int32_t t, bool first) {
#pragma unroll
  for (int which = 0; which < 2; which++)
    if (has_input(a, which) && a.sums[which] &&
        a.input[which].per_step == per_step)
      share_sums(own[which], work.sums[which], steps_of(a, which), t, cut,
                 first);
}

template <class E, int V, int B>
__global__ void __launch_bounds__(NEURON_THREADS, 4)
    add_backward_kernel(const surge_add a, const neuron_cut cut,
                        const add_work work) {
  int32_t channel = neuron_channel<V>();
  bool has_channels = channel < cut.channels;
  receiver<V> own[2] = {};
#pragma unroll
  for (int which = 0; which < 2; which++)
    if (has_channels && has_input(a, which) && a.sums[which])
      own[which].mean = surge_load<V>(a.input[which].mean + channel);

  for (unsigned r = 0; r < cut.each; r++) {
    size_t row = neuron_row(cut, r);
    /* Where steps are summed apart, the whole block has to come along. */
    bool mine = has_channels && row < cut.rows;
    size_t at = row * (size_t)cut.channels + (size_t)channel;
    own[0].da = own[1].da = repeat<V>(0.0f);
    for (int32_t t = 0; t < a.T; t += B) {
      neuron_steps<E, V, B> steps = {};
      surge_packed<E, V> dy[B] = {};
      int32_t owned = mine ? a.T - t : 0;
      load_steps(dy, (const E *)a.dy + (size_t)t * cut.M + at, cut.M, owned);
#pragma unroll
      for (int which = 0; which < 2; which++)
        if (has_input(a, which) && a.sums[which])
          load_input(steps, a, which, cut.M, at, t, owned);
#pragma unroll
      for (int k = 0; k < B; k++) {
        if (t + k >= a.T) continue;
        pack<V> g;
        EACH_LANE g.v[l] = (float)dy[k].v[l];
#pragma unroll
        for (int which = 0; which < 2; which++)
          if (mine && has_input(a, which))
            receive(own[which], a.input[which], a.da[which], a.mode[which], g,
                    steps.z[which][k], t + k, cut.M, at);
        share_inputs(own, a, cut, work, true, t + k, r == 0);
      }
    }
#pragma unroll
    for (int which = 0; which < 2; which++)
      if (mine && has_input(a, which))
        receive_row<E>(own[which], a.input[which], a.da[which], a.mode[which],
                       at);
  }
  share_inputs(own, a, cut, work, false, 0, true);
}

/* --- launches ---------------------------------------------------------------- */

template <class E, int V>
static void launch_forward(surge_context *context, const surge_add &a) {
  neuron_cut cut = neuron_cut_of(&a, V);
  SURGE_LAUNCH((add_forward_kernel<E, V, steps_together(V)>),
               dim3(cut.blocks, cut.tiles), dim3(cut.columns, cut.deep), 0,
               context->stream, a, cut);
}

template <class E>
static void forward_for(surge_context *context, const surge_add &a) {
  if (a.map.c % surge_wide<E> == 0)
    launch_forward<E, surge_wide<E>>(context, a);
  else
    launch_forward<E, 1>(context, a);
}

surge_status surge_cuda_add_forward(surge_context *context,
                                    const surge_add *a) {
  SURGE_TRY(surge_check_add_forward(a));
  SURGE_TRY(surge_cuda_check_layout("add_forward", &a->map));
  SURGE_BY_TYPE(a->map.type, forward_for, context, surge_add_in_steps(a));
  return surge_cuda_launched(context, "add_forward");
}

template <class E, int V>
static void launch_backward(surge_context *context, const surge_add &a,
                            const neuron_cut &cut, const add_work &work) {
  SURGE_LAUNCH((add_backward_kernel<E, V, steps_together(V)>),
               dim3(cut.blocks, cut.tiles), dim3(cut.columns, cut.deep), 0,
               context->stream, a, cut, work);
}

template <class E>
static void backward_for(surge_context *context, const surge_add &a,
                         const neuron_cut &cut, const add_work &work) {
  if (a.map.c % backward_wide == 0)
    launch_backward<E, backward_wide>(context, a, cut, work);
  else
    launch_backward<E, 1>(context, a, cut, work);
}

surge_status surge_cuda_add_backward(surge_context *context,
                                     const surge_add *a) {
  SURGE_TRY(surge_check_add_backward(a));
  SURGE_TRY(surge_cuda_check_layout("add_backward", &a->map));
  surge_add sum = surge_add_in_steps(a);
  neuron_cut cut = backward_cut(sum);
  add_work work;
  bind(&work, a->workspace, sum, cut);
  SURGE_BY_TYPE(a->map.type, backward_for, context, sum, cut, work);
  for (int which = 0; which < a->inputs; which++)
    launch_finish_sums(context, sum, which, work.sums[which], a->sums[which],
                       cut);
  return surge_cuda_launched(context, "add_backward");
}
