/* neuron.c - what the two directions of the neuron op share (see neuron.h). */
#include "kernels/cpu/neuron.h"

#include <string.h>

/* --- a call, and its parts ----------------------------------------------- */

/* Elements of u over all steps that should stay near: 64 KiB of the
 * second-level cache. A row below 64 elements would cost more than it saves. */
#define CACHED 16384
#define SHORTEST_ROW 64

static size_t row_elements(int32_t T) {
  size_t row = CACHED / (size_t)T / 8 * 8;
  if (row < SHORTEST_ROW) return SHORTEST_ROW;
  return row < SURGE_ROW ? row : SURGE_ROW;
}

surge_cpu_neuron surge_cpu_neuron_call(const surge_neuron *a) {
  return (surge_cpu_neuron){
      .a = a,
      .in = surge_cpu_inputs_of(a->input, a->inputs, &a->map, a->T, a->N,
                                row_elements(a->T))};
}

size_t surge_cpu_neuron_workspace(surge_context *context,
                                  const surge_neuron *a) {
  size_t forward = surge_cpu_neuron_forward_workspace(context, a);
  size_t backward = surge_cpu_neuron_backward_workspace(context, a);
  return forward > backward ? forward : backward;
}

/* --- rows ---------------------------------------------------------------- */

static void fill_widths(surge_cpu_rows *rows, const surge_neuron *a,
                        const surge_cpu_piece *piece) {
  size_t parts = surge_cpu_parts(a, a->spec.granularity);
  for (size_t later = 0; later < 2; later++) {
    float *width = rows->width[later], *inverse = rows->inverse[later];
    surge_cpu_spread(width, piece, a->width + later * parts, parts);
    for (size_t i = 0; i < piece->length; i++) inverse[i] = 1.0f / width[i];
  }
}

void surge_cpu_rows_start(surge_cpu_rows *rows, const surge_cpu_neuron *call) {
  const surge_cpu_piece any = {.length = SURGE_ROW};
  rows->affine.filled = (surge_cpu_piece){0}; /* as good as no piece */
  if (call->a->spec.granularity == SURGE_PER_LAYER)
    fill_widths(rows, call->a, &any);
}

bool surge_cpu_rows_fill(surge_cpu_rows *rows, const surge_cpu_neuron *call,
                         const surge_cpu_piece *piece) {
  if (!surge_cpu_affine_fill(&rows->affine, &call->in, piece)) return false;
  if (call->a->spec.granularity == SURGE_PER_CHANNEL)
    fill_widths(rows, call->a, piece);
  return true;
}

/* --- one step of a piece -------------------------------------------------- */

void surge_cpu_start_row(float *row, const float *from,
                         const surge_cpu_piece *piece) {
  size_t bytes = piece->length * sizeof *row;
  if (from)
    memcpy(row, from + piece->offset, bytes);
  else
    memset(row, 0, bytes);
}

void surge_cpu_neuron_start(surge_cpu_state *state,
                            const surge_cpu_neuron *call,
                            const surge_cpu_piece *piece) {
  surge_cpu_start_row(state->v, call->a->v_in, piece);
  if (surge_neuron_synaptic(&call->a->spec))
    surge_cpu_start_row(state->i, call->a->i_in, piece);
}

/* The arrays of a few steps: z is affine's argument where there is a scale,
 * else the sum of the inputs, or what a synapse has made of it. */
typedef struct step_rows {
  surge_cpu_steps u, s;
  float *v;
  const float *z, *scale, *shift, *inverse;
  size_t z_stride, length;
  float gain; /* that z is still to be scaled by */
} step_rows;

/* What a loop is compiled for; a constant where the loop is called. */
typedef struct step_case {
  size_t count;
  bool affine, write_u, write_s, soft;
  surge_reset reset;
  surge_family family; /* of a soft spike                                     */
} step_case;

static inline __attribute__((always_inline)) bool step_loop(
    const step_rows *r, const surge_neuron *a, const step_case is) {
  const float d = a->scalars[SURGE_SCALAR_DECAY];
  const float theta = a->spec.v_threshold, v_reset = a->spec.v_reset;
  const step_rows row = *r;
  uint32_t faults = 0;
#pragma GCC ivdep
  for (size_t i = 0; i < row.length; i++) {
    float v = row.v[i];
#pragma GCC unroll 4
    for (size_t k = 0; k < is.count; k++) {
      float z = row.z[k * row.z_stride + i];
      float x = is.affine ? surge_affine(row.scale[i], z, row.shift[i]) : z;
      float u = surge_membrane(d, v, row.gain * x);
      float s = is.soft ? surge_soft_spike(is.family, u - theta, row.inverse[i])
                        : surge_fire(u, theta);
      if (is.write_s) faults |= surge_fault_bits(u);
      if (is.write_u) row.u.first[k * row.u.stride + i] = u;
      if (is.write_s) row.s.first[k * row.s.stride + i] = s;
      v = is.soft ? surge_after_soft_spike(is.reset, u, s, theta, v_reset)
                  : surge_after_spike(is.reset, u, s, theta, v_reset);
    }
    row.v[i] = v;
  }
  return faults == 0;
}

/* Each function below makes one word of the case a constant. */
static inline __attribute__((always_inline)) bool step_by_reset(
    const step_rows *r, const surge_neuron *a, step_case is) {
  is.reset = SURGE_RESET_SOFT;
  if (a->spec.reset == SURGE_RESET_SOFT) return step_loop(r, a, is);
  is.reset = SURGE_RESET_HARD;
  return step_loop(r, a, is);
}

static inline __attribute__((always_inline)) bool step_by_output(
    const step_rows *r, const surge_neuron *a, step_case is) {
  is.write_u = is.write_s = true;
  if (r->u.first && r->s.first) return step_by_reset(r, a, is);
  is.write_u = false;
  if (r->s.first) return step_by_reset(r, a, is);
  is.write_u = true;
  is.write_s = false;
  return step_by_reset(r, a, is);
}

static bool step_affine(const step_rows *r, const surge_neuron *a,
                        size_t count) {
  if (count == 1)
    return step_by_output(r, a, (step_case){.count = 1, .affine = true});
  return step_by_output(r, a,
                        (step_case){.count = SURGE_STRIDE, .affine = true});
}

static bool step_plain(const step_rows *r, const surge_neuron *a,
                       size_t count) {
  if (count == 1) return step_by_output(r, a, (step_case){.count = 1});
  return step_by_output(r, a, (step_case){.count = SURGE_STRIDE});
}

static bool step_soft(const step_rows *r, const surge_neuron *a) {
  step_case is = {.count = 1, .write_u = true, .write_s = true, .soft = true};
  switch (a->spec.family) {
#define SOFT_STEP(NAME, word, half)                                            \
  case SURGE_##NAME: is.family = SURGE_##NAME; return step_by_reset(r, a, is);
    SURGE_FAMILY_LIST(SOFT_STEP)
#undef SOFT_STEP
  }
  return false;
}

/* The sums of the inputs as they are, or gathered in x. */
static void gather_inputs(step_rows *r, float *x, surge_cpu_rows *rows,
                          const surge_cpu_neuron *call,
                          const surge_cpu_piece *piece, size_t t,
                          size_t count) {
  r->z_stride = SURGE_ROW;
  for (size_t k = 0; k < count; k++) {
    const float *sum = surge_cpu_input_sum(x + k * SURGE_ROW, &rows->affine,
                                           &call->in, piece, t + k);
    if (k == 0) r->z = sum;
    if (k == 1 && sum != x + SURGE_ROW) r->z_stride = (size_t)(sum - r->z);
  }
}

/* The inputs' sums become the synapse's currents, in x; i is handed on. */
static void filter_inputs(step_rows *r, float *x, float *restrict i,
                          const surge_neuron *a, size_t count) {
  const float d = a->scalars[SURGE_SCALAR_SYNAPSE];
  for (size_t k = 0; k < count; k++) {
    const float *sum = r->z + k * r->z_stride;
    float *to = x + k * SURGE_ROW;
#pragma GCC ivdep
    for (size_t e = 0; e < r->length; e++)
      to[e] = i[e] = surge_membrane(d, i[e], r->gain * sum[e]);
  }
  r->z = x;
  r->z_stride = SURGE_ROW;
  r->gain = 1.0f;
}

bool surge_cpu_neuron_step(surge_cpu_steps u, surge_cpu_steps s,
                           surge_cpu_state *state, surge_cpu_rows *rows,
                           const surge_cpu_neuron *call,
                           const surge_cpu_piece *piece, size_t t,
                           size_t count) {
  const surge_neuron *a = call->a;
  const surge_neuron_input *input = &a->input[0];
  _Alignas(64) float x[SURGE_STRIDE * SURGE_ROW];
  _Alignas(64) surge_row spare;
  bool synaptic = surge_neuron_synaptic(&a->spec);
  step_rows r = {.u = u, .s = s, .v = state->v, .length = piece->length};
  r.inverse = rows->inverse[t > 0];
  r.gain = a->scalars[SURGE_SCALAR_GAIN];
  /* The usual case, one normalised input, is not stored in between. */
  if (a->inputs == 1 && input->scale && !input->per_step && !synaptic &&
      !a->spec.soft_forward) {
    r.z = surge_cpu_input_at(&call->in, 0, t, piece->offset);
    r.z_stride = input->is_static ? 0 : call->in.M;
    r.scale = rows->affine.scale[0];
    r.shift = rows->affine.shift[0];
    return step_affine(&r, a, count);
  }
  gather_inputs(&r, x, rows, call, piece, t, count);
  if (synaptic) filter_inputs(&r, x, state->i, a, count);
  if (!a->spec.soft_forward) return step_plain(&r, a, count);
  if (!u.first) r.u.first = spare;
  if (!s.first) r.s.first = spare;
  return step_soft(&r, a);
}
