/* neuron_forward.c - current -> LIF over all steps -> spikes, in one pass.
 *
 * What is reduced beside the spikes (PDA, statistics, the histogram) is
 * reduced from u while it is in the cache: a partial result a group of pieces,
 * combined in order at the end. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "kernels/cpu/neuron.h"
#include "kernels/shared/fault.h"
#include "kernels/shared/pda.h"
#include "kernels/shared/statistics.h"
#include "src/backend/checks.h"

/* --- workspace ----------------------------------------------------------- */

typedef struct forward_work {
  surge_moments *moments; /* [groups, P] of u, for PDA                        */
  double *distance;       /* [groups] sum of D, quantization kind             */
  surge_neuron_statistics *statistics; /* [groups, T]                         */
  surge_histogram *histogram;          /* [groups]                            */
  float *u; /* [threads, T, row]                                */
} forward_work;

static size_t bind(forward_work *work, void *base, surge_context *context,
                   const surge_cpu_neuron *call) {
  surge_cpu_scratch scratch = {base, 0};
  size_t groups = call->in.groups, T = (size_t)call->a->T;
  size_t parts = surge_cpu_parts(call->a, call->a->spec.pda_granularity);
  work->moments =
      surge_cpu_take(&scratch, groups * parts * sizeof *work->moments);
  work->distance = surge_cpu_take(&scratch, groups * sizeof *work->distance);
  work->statistics =
      surge_cpu_take(&scratch, groups * T * sizeof *work->statistics);
  work->histogram = surge_cpu_take(&scratch, groups * sizeof *work->histogram);
  work->u = surge_cpu_take(
      &scratch, (size_t)context->threads * T * call->in.row * sizeof *work->u);
  return scratch.used;
}

size_t surge_cpu_neuron_forward_workspace(surge_context *context,
                                          const surge_neuron *a) {
  surge_cpu_neuron call = surge_cpu_neuron_call(a);
  forward_work work;
  return bind(&work, NULL, context, &call);
}

/* --- moments ------------------------------------------------------------- */

/* sum[i] += u[i] over `count` rows, a constant. */
static inline __attribute__((always_inline)) void sum_rows(
    float *restrict sum, const float *restrict u, size_t stride, size_t length,
    size_t count) {
  for (size_t i = 0; i < length; i++) {
    float total = sum[i];
#pragma GCC unroll 4
    for (size_t k = 0; k < count; k++) total += u[k * stride + i];
    sum[i] = total;
  }
}

/* The same of the deviations from a centre, and of their squares. */
static inline __attribute__((always_inline)) void deviate_rows(
    float *restrict sum, float *restrict squares, const float *restrict u,
    const float *restrict centre, size_t stride, size_t length, size_t count) {
  for (size_t i = 0; i < length; i++) {
    float total = sum[i], square = squares[i];
#pragma GCC unroll 4
    for (size_t k = 0; k < count; k++) {
      float apart = u[k * stride + i] - centre[i];
      total += apart;
      square += apart * apart;
    }
    sum[i] = total;
    squares[i] = square;
  }
}

/* centre[i] = mean of the piece's part that element i belongs to. */
static void find_centre(float *restrict centre, const float *u, size_t stride,
                        size_t steps, size_t length, size_t lanes) {
  size_t t = 0;
  memset(centre, 0, length * sizeof *centre);
  for (; t + SURGE_STRIDE <= steps; t += SURGE_STRIDE)
    sum_rows(centre, u + t * stride, stride, length, SURGE_STRIDE);
  for (; t < steps; t++) sum_rows(centre, u + t * stride, stride, length, 1);
  surge_cpu_fold(centre, length, lanes);
  for (size_t l = 0; l < lanes; l++)
    centre[l] /= (float)(steps * (length / lanes));
}

/* Merges the moments of u over `steps` rows of a piece, a part (channel) or
 * all in one: float sums of the deviations from a centre, the rest in double.
 * The centre is the mean of the pieces before - that a piece's own mean lies
 * elsewhere is variance of the whole, so the sums stay as accurate as it - and
 * for the first piece its own. */
static void add_moments(surge_moments *total, size_t parts, const float *u,
                        size_t stride, size_t steps,
                        const surge_cpu_piece *piece) {
  _Alignas(64) surge_row centre, sum = {0}, squares = {0};
  size_t length = piece->length, lanes = surge_cpu_lanes(piece, parts), t = 0;
  surge_moments *own = total + (parts == 1 ? 0 : piece->channel);
  double n = (double)(steps * (length / lanes));
  if (own->n == 0) find_centre(centre, u, stride, steps, length, lanes);
  for (size_t l = 0; own->n > 0 && l < lanes; l++)
    centre[l] = (float)own[l].mean;
  surge_cpu_repeat(centre, lanes, length);
  for (; t + SURGE_STRIDE <= steps; t += SURGE_STRIDE)
    deviate_rows(sum, squares, u + t * stride, centre, stride, length,
                 SURGE_STRIDE);
  for (; t < steps; t++)
    deviate_rows(sum, squares, u + t * stride, centre, stride, length, 1);
  surge_cpu_fold(sum, length, lanes);
  surge_cpu_fold(squares, length, lanes);
  for (size_t l = 0; l < lanes; l++)
    own[l] = surge_moments_merge(
        own[l], surge_moments_about((double)centre[l], n, (double)sum[l],
                                    (double)squares[l]));
}

/* --- PDA, quantization kind ---------------------------------------------- */

static inline __attribute__((always_inline)) void quantization_loop(
    float *restrict sum, const float *restrict u, const float *restrict inverse,
    size_t length, float theta, surge_pda_clip clip, surge_family family) {
  for (size_t i = 0; i < length; i++) {
    float p = surge_soft_spike(family, u[i] - theta, inverse[i]);
    sum[i] += surge_pda_quantization(p, u[i] >= theta, clip);
  }
}

/* sum[i] += D of element i. */
static void add_quantization(float *sum, const float *u, const float *inverse,
                             size_t length, const surge_neuron_spec *spec) {
  surge_pda_clip clip = surge_pda_clip_of(spec->pda_epsilon);
  switch (spec->family) {
#define QUANTIZATION(NAME, word, half)                                         \
  case SURGE_##NAME:                                                           \
    quantization_loop(sum, u, inverse, length, spec->v_threshold, clip,        \
                      SURGE_##NAME);                                           \
    break;
    SURGE_FAMILY_LIST(QUANTIZATION)
#undef QUANTIZATION
  }
}

/* --- statistics ---------------------------------------------------------- */

static double folded(float *x, size_t length) {
  surge_cpu_fold(x, length, 1);
  return (double)x[0];
}

/* One step of a piece. */
static surge_neuron_statistics statistics_of(const float *u, const float *s,
                                             const float *width,
                                             const surge_cpu_piece *piece,
                                             const surge_neuron_spec *spec) {
  _Alignas(64) surge_row window, spikes, square;
  float half = surge_window_of_width(spec->family), theta = spec->v_threshold;
  for (size_t i = 0; i < piece->length; i++) {
    float error = u[i] - s[i];
    window[i] = fabsf(u[i] - theta) < half * width[i] ? 1.0f : 0.0f;
    spikes[i] = s[i];
    square[i] = error * error;
  }
  surge_moments m = {0, 0, 0};
  add_moments(&m, 1, u, 0, 1, piece);
  return (surge_neuron_statistics){
      .count = m.n,
      .mean = m.mean,
      .m2 = m.m2,
      .window = folded(window, piece->length),
      .spikes = folded(spikes, piece->length),
      .quantization = folded(square, piece->length),
  };
}

static void add_histogram(uint64_t *bins, const float *u, size_t length,
                          float theta) {
  for (size_t i = 0; i < length; i++)
    bins[surge_histogram_place(u[i], theta)]++;
}

/* --- pieces and groups --------------------------------------------------- */

typedef struct forward_call {
  const surge_neuron_forward *a;
  surge_cpu_neuron call;
  forward_work work;
} forward_call;

/* The current of step t as an output: gain * the sum of the inputs. */
static void write_current(const forward_call *f, surge_cpu_rows *rows,
                          const surge_cpu_piece *piece, size_t t) {
  _Alignas(64) surge_row sum;
  const surge_neuron *common = &f->a->common;
  float gain = common->scalars[SURGE_SCALAR_GAIN];
  float *to = f->a->current + t * f->call.in.M + piece->offset;
  const float *x =
      surge_cpu_input_sum(sum, &rows->affine, &f->call.in, piece, t);
  for (size_t i = 0; i < piece->length; i++) to[i] = gain * x[i];
}

/* What is reduced from the u and s of step t. */
static void reduce_step(const forward_call *f, size_t g, const float *u,
                        const surge_cpu_rows *rows,
                        const surge_cpu_piece *piece, size_t t) {
  const surge_neuron_forward *a = f->a;
  const surge_neuron_spec *spec = &a->common.spec;
  if (a->statistics) {
    surge_neuron_statistics part =
        statistics_of(u, surge_cpu_from(a->s, t * f->call.in.M + piece->offset),
                      rows->width[t > 0], piece, spec);
    surge_statistics_add(&f->work.statistics[g * (size_t)a->common.T + t],
                         &part);
  }
  if (a->histogram)
    add_histogram(f->work.histogram[g], u, piece->length, spec->v_threshold);
}

/* What PDA needs of a piece, from its u of all steps. */
static void reduce_pda(const forward_call *f, size_t g, const float *u,
                       const surge_cpu_rows *rows,
                       const surge_cpu_piece *piece) {
  const surge_neuron_spec *spec = &f->a->common.spec;
  size_t T = (size_t)f->a->common.T, row = f->call.in.row;
  size_t parts = surge_cpu_parts(&f->a->common, spec->pda_granularity);
  if (spec->pda == SURGE_PDA_MOMENT) {
    add_moments(f->work.moments + g * parts, parts, u, row, T, piece);
    return;
  }
  _Alignas(64) surge_row sum = {0};
  for (size_t t = 0; t < T; t++)
    add_quantization(sum, u + t * row, rows->inverse[t > 0], piece->length,
                     spec);
  f->work.distance[g] += folded(sum, piece->length);
}

static bool forward_piece(const forward_call *f, size_t g, float *u_rows,
                          surge_cpu_rows *rows, const surge_cpu_piece *piece) {
  surge_cpu_state state;
  const surge_neuron_forward *a = f->a;
  size_t T = (size_t)a->common.T, row = f->call.in.row, M = f->call.in.M, count;
  bool logged = a->statistics || a->histogram, finite = true;
  bool needs_u = a->pda || logged; /* else it never leaves the registers */
  surge_cpu_neuron_start(&state, &f->call, piece);
  for (size_t t = 0; t < T; t += count) {
    surge_cpu_steps u = {needs_u ? u_rows + t * row : NULL, row};
    surge_cpu_steps s = {surge_cpu_to(a->s, t * M + piece->offset), M};
    count = surge_cpu_stride(&a->common, T - t);
    finite &=
        surge_cpu_neuron_step(u, s, &state, rows, &f->call, piece, t, count);
  }
  for (size_t t = 0; a->current && t < T; t++) write_current(f, rows, piece, t);
  for (size_t t = 0; logged && t < T; t++)
    reduce_step(f, g, u_rows + t * row, rows, piece, t);
  if (a->pda) reduce_pda(f, g, u_rows, rows, piece);
  size_t bytes = piece->length * sizeof(float);
  if (a->v_out) memcpy(a->v_out + piece->offset, state.v, bytes);
  if (a->i_out) memcpy(a->i_out + piece->offset, state.i, bytes);
  return finite;
}

static void clear_group(const forward_call *f, size_t g) {
  const surge_neuron *common = &f->a->common;
  size_t parts = surge_cpu_parts(common, common->spec.pda_granularity);
  size_t T = (size_t)common->T;
  const forward_work *work = &f->work;
  memset(work->moments + g * parts, 0, parts * sizeof *work->moments);
  memset(work->statistics + g * T, 0, T * sizeof *work->statistics);
  memset(work->histogram[g], 0, sizeof work->histogram[g]);
  work->distance[g] = 0;
}

static bool forward_group(const forward_call *f, size_t g) {
  surge_cpu_rows rows;
  const surge_cpu_neuron *call = &f->call;
  const surge_cpu_inputs *in = &call->in;
  float *u = f->work.u +
             (size_t)omp_get_thread_num() * (size_t)f->a->common.T * in->row;
  bool finite = true;
  surge_cpu_rows_start(&rows, call);
  clear_group(f, g);
  for (size_t p = surge_cpu_first(in->cut.count, in->groups, g);
       p < surge_cpu_first(in->cut.count, in->groups, g + 1); p++) {
    surge_cpu_piece piece = surge_cpu_piece_at(&in->cut, p);
    (void)surge_cpu_rows_fill(&rows, call, &piece);
    finite &= forward_piece(f, g, u, &rows, &piece);
  }
  return finite;
}

/* --- the last stage: over the groups, in order, in double ----------------- */

static double finish_moments(const forward_call *f) {
  const surge_neuron_forward *a = f->a;
  const float *scalars = a->common.scalars;
  const surge_neuron_spec *spec = &a->common.spec;
  size_t parts = surge_cpu_parts(&a->common, spec->pda_granularity);
  double distance = 0, scale = (double)a->pda_scale / (double)parts;
  for (size_t part = 0; part < parts; part++) {
    surge_moments m = {0, 0, 0};
    for (size_t g = 0; g < f->call.in.groups; g++) {
      const surge_moments *own = &f->work.moments[g * parts + part];
      if (own->n > 0) m = surge_moments_merge(m, *own);
    }
    distance += surge_pda_moment(&a->pda[part], m,
                                 (double)scalars[SURGE_SCALAR_PDA_MEAN],
                                 (double)scalars[SURGE_SCALAR_PDA_STD],
                                 (double)spec->v_threshold, scale);
  }
  return distance / (double)parts;
}

static double finish_quantization(const forward_call *f) {
  const surge_neuron_forward *a = f->a;
  size_t parts = surge_cpu_parts(&a->common, a->common.spec.pda_granularity);
  double elements = (double)f->call.in.M * a->common.T, distance = 0;
  for (size_t g = 0; g < f->call.in.groups; g++)
    distance += f->work.distance[g];
  for (size_t part = 0; part < parts; part++)
    a->pda[part] = (surge_pda_coefficients){
        .c0 = (float)((double)a->pda_scale / elements)};
  return distance / elements;
}

static void finish_statistics(const forward_call *f) {
  const surge_neuron_forward *a = f->a;
  size_t T = (size_t)a->common.T;
  for (size_t g = 0; g < f->call.in.groups; g++) {
    for (size_t t = 0; a->statistics && t < T; t++)
      surge_statistics_add(&a->statistics[t], &f->work.statistics[g * T + t]);
    for (size_t b = 0; a->histogram && b < SURGE_HISTOGRAM_BINS + 2; b++)
      (*a->histogram)[b] += f->work.histogram[g][b];
  }
}

surge_status surge_cpu_neuron_forward(surge_context *context,
                                      const surge_neuron_forward *a) {
  SURGE_TRY(surge_check_neuron_forward(a));
  forward_call f = {.a = a, .call = surge_cpu_neuron_call(&a->common)};
  bool finite = true;
  bind(&f.work, a->common.workspace, context, &f.call);
#pragma omp parallel for num_threads(context->threads) schedule(dynamic)       \
    reduction(&& : finite)
  for (size_t g = 0; g < f.call.in.groups; g++)
    finite = forward_group(&f, g) && finite;
  if (!finite) *a->fault = surge_fault_first(*a->fault, a->common.layer);
  if (a->pda) {
    bool moment = a->common.spec.pda == SURGE_PDA_MOMENT;
    double distance = moment ? finish_moments(&f) : finish_quantization(&f);
    a->metrics->pda += a->common.N * distance;
  }
  finish_statistics(&f);
  return SURGE_OK;
}
