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
  surge_cpu_neuron call = {.a = a, .row = row_elements(a->T)};
  call.cut = surge_cpu_cut_maps(&a->map, a->N, call.row);
  call.groups =
      call.cut.count < SURGE_CPU_GROUPS ? call.cut.count : SURGE_CPU_GROUPS;
  call.M = (size_t)a->N * surge_map_elements(&a->map);
  return call;
}

size_t surge_cpu_neuron_workspace(surge_context *context,
                                  const surge_neuron *a) {
  size_t forward = surge_cpu_neuron_forward_workspace(context, a);
  size_t backward = surge_cpu_neuron_backward_workspace(context, a);
  return forward > backward ? forward : backward;
}

/* --- rows ---------------------------------------------------------------- */

void surge_cpu_repeat(float *row, size_t lanes, size_t length) {
  for (size_t done = lanes; done < length; done *= 2) {
    size_t rest = length - done;
    memcpy(row + done, row, (rest < done ? rest : done) * sizeof *row);
  }
}

void surge_cpu_spread(float *restrict row, const surge_cpu_piece *piece,
                      const float *values, size_t parts) {
  size_t lanes = surge_cpu_lanes(piece, parts);
  memcpy(row, values + (parts == 1 ? 0 : piece->channel), lanes * sizeof *row);
  surge_cpu_repeat(row, lanes, piece->length);
}

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
  rows->filled = (surge_cpu_piece){0}; /* as good as no piece */
  if (call->a->spec.granularity == SURGE_PER_LAYER)
    fill_widths(rows, call->a, &any);
}

bool surge_cpu_rows_fill(surge_cpu_rows *rows, const surge_cpu_neuron *call,
                         const surge_cpu_piece *piece) {
  const surge_neuron *a = call->a;
  size_t C = (size_t)a->map.c;
  /* A shorter piece of the same channels needs the start of the same rows. */
  if (rows->filled.channel == piece->channel &&
      rows->filled.length >= piece->length)
    return false;
  rows->filled = *piece;
  if (a->spec.granularity == SURGE_PER_CHANNEL) fill_widths(rows, a, piece);
  for (int which = 0; which < a->inputs; which++) {
    const surge_neuron_input *input = &a->input[which];
    if (!input->scale || input->per_step) continue;
    surge_cpu_spread(rows->scale[which], piece, input->scale, C);
    surge_cpu_spread(rows->shift[which], piece, input->shift, C);
  }
  return true;
}

void surge_cpu_fold(float *x, size_t length, size_t lanes) {
  for (size_t count = length / lanes; count > 1;) {
    size_t half = (count + 1) / 2, moved = (count - half) * lanes;
    const float *second = x + half * lanes;
#pragma omp simd
    for (size_t i = 0; i < moved; i++) x[i] += second[i];
    count = half;
  }
}

void surge_cpu_fold_into(double *total, float *x, const surge_cpu_piece *piece,
                         size_t parts) {
  size_t lanes = surge_cpu_lanes(piece, parts);
  double *own = total + (parts == 1 ? 0 : piece->channel);
  surge_cpu_fold(x, piece->length, lanes);
  for (size_t l = 0; l < lanes; l++) own[l] += (double)x[l];
}

/* --- the current --------------------------------------------------------- */

/* TEBN's scale and shift differ by step: these rows are filled each time. */
static void fill_step(surge_cpu_rows *rows, const surge_cpu_neuron *call,
                      const surge_cpu_piece *piece, int which, size_t t) {
  const surge_neuron_input *input = &call->a->input[which];
  size_t C = (size_t)call->a->map.c;
  surge_cpu_spread(rows->scale[which], piece, input->scale + t * C, C);
  surge_cpu_spread(rows->shift[which], piece, input->shift + t * C, C);
}

static void affine_row(float *restrict x, const float *restrict z,
                       const float *restrict scale, const float *restrict shift,
                       size_t length) {
  for (size_t i = 0; i < length; i++)
    x[i] = surge_affine(scale[i], z[i], shift[i]);
}

static void add_affine_row(float *restrict x, const float *restrict z,
                           const float *restrict scale,
                           const float *restrict shift, size_t length) {
  for (size_t i = 0; i < length; i++)
    x[i] += surge_affine(scale[i], z[i], shift[i]);
}

static void add_row(float *restrict x, const float *restrict z, size_t length) {
  for (size_t i = 0; i < length; i++) x[i] += z[i];
}

const float *surge_cpu_neuron_input(float *row, surge_cpu_rows *rows,
                                    const surge_cpu_neuron *call,
                                    const surge_cpu_piece *piece, size_t t) {
  const surge_neuron *a = call->a;
  size_t length = piece->length;
  for (int which = 0; which < a->inputs; which++) {
    const float *z = surge_cpu_input_at(call, which, t, piece->offset);
    if (a->input[which].per_step) fill_step(rows, call, piece, which, t);
    if (!a->input[which].scale) {
      if (a->inputs == 1) return z;
      if (which == 0) memcpy(row, z, length * sizeof *row);
      if (which == 1) add_row(row, z, length);
    } else if (which == 0) {
      affine_row(row, z, rows->scale[0], rows->shift[0], length);
    } else {
      add_affine_row(row, z, rows->scale[1], rows->shift[1], length);
    }
  }
  return row;
}

/* --- one step of a piece -------------------------------------------------- */

void surge_cpu_neuron_start(float *v, const surge_cpu_neuron *call,
                            const surge_cpu_piece *piece) {
  size_t bytes = piece->length * sizeof *v;
  if (call->a->v_in)
    memcpy(v, call->a->v_in + piece->offset, bytes);
  else
    memset(v, 0, bytes);
}

/* The arrays of a few steps: z is affine's argument where there is a scale,
 * else the sum of the inputs. */
typedef struct step_rows {
  surge_cpu_steps u, s;
  float *v;
  const float *z, *scale, *shift, *inverse;
  size_t z_stride, length;
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
  const float gain = a->scalars[SURGE_SCALAR_GAIN];
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
      float u = surge_membrane(d, v, gain * x);
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
    const float *sum =
        surge_cpu_neuron_input(x + k * SURGE_ROW, rows, call, piece, t + k);
    if (k == 0) r->z = sum;
    if (k == 1 && sum != x + SURGE_ROW) r->z_stride = (size_t)(sum - r->z);
  }
}

bool surge_cpu_neuron_step(surge_cpu_steps u, surge_cpu_steps s,
                           float *restrict v, surge_cpu_rows *rows,
                           const surge_cpu_neuron *call,
                           const surge_cpu_piece *piece, size_t t,
                           size_t count) {
  const surge_neuron *a = call->a;
  const surge_neuron_input *input = &a->input[0];
  _Alignas(64) float x[SURGE_STRIDE * SURGE_ROW];
  _Alignas(64) surge_row spare;
  step_rows r = {.u = u, .s = s, .v = v, .length = piece->length};
  r.inverse = rows->inverse[t > 0];
  /* The usual case, one normalised input, is not stored in between. */
  if (a->inputs == 1 && input->scale && !input->per_step &&
      !a->spec.soft_forward) {
    r.z = surge_cpu_input_at(call, 0, t, piece->offset);
    r.z_stride = input->is_static ? 0 : call->M;
    r.scale = rows->scale[0];
    r.shift = rows->shift[0];
    return step_affine(&r, a, count);
  }
  gather_inputs(&r, x, rows, call, piece, t, count);
  if (!a->spec.soft_forward) return step_plain(&r, a, count);
  if (!u.first) r.u.first = spare;
  if (!s.first) r.s.first = spare;
  return step_soft(&r, a);
}
