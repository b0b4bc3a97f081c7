/* neuron_backward.c - dL/ds of all steps -> dL/dz's share, in one pass.
 *
 * A piece first rebuilds u of all steps from z, which gives exactly the
 * forward's spikes, then walks t downward. The channel sums of the norm, the
 * gradients of width and decay are partial results a group of pieces; within a
 * piece they are float sums of T elements a place of the row, then folded. */
#include <omp.h>
#include <string.h>

#include "kernels/cpu/neuron.h"
#include "kernels/shared/pda.h"
#include "src/backend/checks.h"

/* --- workspace ----------------------------------------------------------- */

typedef struct backward_work {
  double *sums[2]; /* [groups, Tk, 2, C] of each input                        */
  double *drho;    /* [groups, P]                                             */
  double *ddecay;  /* [groups] dL/dd                                          */
  float *u;        /* [threads, T, row]                                       */
  float *v;        /* [threads, T, row] v[t-1], where the decay is learned    */
} backward_work;

static size_t steps_of(const surge_neuron *a, int which) {
  return a->input[which].per_step ? (size_t)a->T : 1;
}

static size_t bind(backward_work *work, void *base, surge_context *context,
                   const surge_cpu_neuron *call) {
  surge_cpu_scratch scratch = {base, 0};
  const surge_neuron *a = call->a;
  size_t groups = call->groups, C = (size_t)a->map.c;
  size_t parts = surge_cpu_parts(a, a->spec.granularity);
  size_t u_bytes = (size_t)context->threads * (size_t)a->T * call->row *
                   sizeof *work->u;
  for (int which = 0; which < a->inputs; which++)
    work->sums[which] = surge_cpu_take(
        &scratch, groups * steps_of(a, which) * 2 * C * sizeof(double));
  work->drho = surge_cpu_take(&scratch, groups * parts * sizeof(double));
  work->ddecay = surge_cpu_take(&scratch, groups * sizeof(double));
  work->u = surge_cpu_take(&scratch, u_bytes);
  work->v = surge_cpu_take(&scratch, a->spec.decay_learned ? u_bytes : 0);
  return scratch.used;
}

size_t surge_cpu_neuron_backward_workspace(surge_context *context,
                                           const surge_neuron *a) {
  surge_cpu_neuron call = surge_cpu_neuron_call(a);
  backward_work work;
  return bind(&work, NULL, context, &call);
}

/* --- a piece in the making ------------------------------------------------ */

typedef struct backward_call {
  const surge_neuron_backward *a;
  surge_cpu_neuron call;
  backward_work work;
} backward_call;

/* One thread's rows: of the channels, and of the piece at hand. */
typedef struct backward_rows {
  surge_cpu_rows channel;
  _Alignas(64) surge_row mean[2];              /* of a normalised input      */
  _Alignas(64) surge_row pda_m, pda_c0, pda_c1;
  _Alignas(64) surge_row gv, g, q;             /* dL/dv; dL/du, then da; PDA */
  _Alignas(64) surge_row drho, ddecay;         /* sums over t                */
  _Alignas(64) surge_row sum0[2], sum1[2];     /* of da and da*(z - mean)    */
  _Alignas(64) surge_row da[2];                /* of a static input          */
  float *u, *v;                                /* [T, row]                   */
} backward_rows;

static void fill_channel_rows(backward_rows *rows, const backward_call *b,
                              const surge_cpu_piece *piece) {
  const surge_neuron_backward *a = b->a;
  const surge_neuron *common = &a->common;
  surge_cpu_rows_fill(&rows->channel, &b->call, piece);
  for (int which = 0; which < common->inputs; which++)
    if (a->sums[which])
      surge_cpu_spread(rows->mean[which], piece, common->input[which].mean,
                       (size_t)common->map.c);
  if (!a->pda) return;
  size_t parts = surge_cpu_parts(common, common->spec.pda_granularity);
  size_t lanes = surge_cpu_lanes(piece, parts);
  for (size_t l = 0; l < lanes; l++) {
    surge_pda_coefficients own = a->pda[parts == 1 ? 0 : (size_t)piece->channel + l];
    rows->pda_m[l] = own.m;
    rows->pda_c0[l] = own.c0;
    rows->pda_c1[l] = own.c1;
  }
  surge_cpu_repeat(rows->pda_m, lanes, piece->length);
  surge_cpu_repeat(rows->pda_c0, lanes, piece->length);
  surge_cpu_repeat(rows->pda_c1, lanes, piece->length);
}

/* u of all steps, and v before each where the decay's gradient needs it. */
static void rebuild(backward_rows *rows, const backward_call *b,
                    const surge_cpu_piece *piece) {
  _Alignas(64) surge_row v, s;
  size_t row = b->call.row;
  surge_cpu_neuron_start(v, &b->call, piece);
  for (size_t t = 0; t < (size_t)b->a->common.T; t++) {
    if (b->a->ddecay_logit)
      memcpy(rows->v + t * row, v, piece->length * sizeof *v);
    /* A fault was reported by the forward. */
    (void)surge_cpu_neuron_step(rows->u + t * row, s, v, &rows->channel,
                                &b->call, piece, t);
  }
}

/* --- PDA ----------------------------------------------------------------- */

static void moment_row(backward_rows *rows, const float *restrict u,
                       size_t length) {
  for (size_t i = 0; i < length; i++)
    rows->q[i] = surge_pda_moment_gradient(u[i], rows->pda_m[i],
                                           rows->pda_c0[i], rows->pda_c1[i]);
}

static inline __attribute__((always_inline)) void quantization_loop(
    backward_rows *rows, const float *restrict u, const float *restrict width,
    const float *restrict inverse, size_t length, float theta,
    surge_pda_clip clip, surge_family family) {
  for (size_t i = 0; i < length; i++) {
    float x = u[i] - theta;
    float p = surge_soft_spike(family, x, inverse[i]);
    float h = surge_surrogate(family, x, width[i], inverse[i]);
    rows->q[i] = rows->pda_c0[i] * surge_pda_quantization_gradient(
                                       p, u[i] >= theta, h, clip);
  }
}

static void quantization_row(backward_rows *rows, const float *u,
                             size_t length, const surge_neuron_spec *spec,
                             bool later) {
  const float *width = rows->channel.width[later];
  const float *inverse = rows->channel.inverse[later];
  surge_pda_clip clip = surge_pda_clip_of(spec->pda_epsilon);
  switch (spec->family) {
#define QUANTIZATION(NAME, word, half)                                         \
  case SURGE_##NAME:                                                           \
    quantization_loop(rows, u, width, inverse, length, spec->v_threshold,      \
                      clip, SURGE_##NAME);                                     \
    break;
    SURGE_FAMILY_LIST(QUANTIZATION)
#undef QUANTIZATION
  }
}

/* --- the adjoint of one step ---------------------------------------------- */

/* g = dL/du of step t; gv of step t becomes that of t-1. The family and
 * whether s is soft and the width learned are constants where it is called. */
static inline __attribute__((always_inline)) void adjoint_loop(
    backward_rows *rows, const surge_neuron *a, const float *restrict u_row,
    const float *restrict gs, size_t length, bool later, bool learned,
    bool soft, surge_family family) {
  float d = a->scalars[SURGE_SCALAR_DECAY], theta = a->spec.v_threshold;
  surge_reset_terms terms = surge_reset_terms_of(&a->spec);
  const float *restrict width = rows->channel.width[later];
  const float *restrict inverse = rows->channel.inverse[later];
  const float *restrict q = rows->q;
  float *restrict gv = rows->gv, *restrict g = rows->g;
  float *restrict drho = rows->drho;
  for (size_t i = 0; i < length; i++) {
    float u = u_row[i], x = u - theta;
    float h = surge_surrogate(family, x, width[i], inverse[i]);
    float s = soft ? surge_soft_spike(family, x, inverse[i])
                   : surge_fire(u, theta);
    float delta = surge_adjoint_spike(gs[i], gv[i], u, terms);
    float gu = surge_adjoint_membrane(delta, h, gv[i], s, q[i], terms);
    if (learned) drho[i] -= delta * (x * h);
    g[i] = gu;
    gv[i] = d * gu;
  }
}

static inline __attribute__((always_inline)) void adjoint_of_family(
    backward_rows *rows, const backward_call *b, const float *u,
    const float *gs, size_t length, bool later, surge_family family) {
  const surge_neuron *a = &b->a->common;
  if (a->spec.soft_forward)
    adjoint_loop(rows, a, u, gs, length, later, true, true, family);
  else if (b->a->drho)
    adjoint_loop(rows, a, u, gs, length, later, true, false, family);
  else
    adjoint_loop(rows, a, u, gs, length, later, false, false, family);
}

static void adjoint_row(backward_rows *rows, const backward_call *b,
                        const float *u, const float *gs, size_t length,
                        bool later) {
  switch (b->a->common.spec.family) {
#define ADJOINT(NAME, word, half)                                              \
  case SURGE_##NAME:                                                           \
    adjoint_of_family(rows, b, u, gs, length, later, SURGE_##NAME);            \
    break;
    SURGE_FAMILY_LIST(ADJOINT)
#undef ADJOINT
  }
}

/* dL/dd of step t: d leaks v[t-1] and, with decay_input, scales the input by
 * 1 - d. g still is dL/du; where there is one, `extra` is dL/dcurrent. */
static void decay_row(backward_rows *rows, const backward_call *b,
                      const surge_cpu_piece *piece, const float *extra,
                      size_t t) {
  _Alignas(64) surge_row sum;
  const float *v = rows->v + t * b->call.row, *g = rows->g;
  float *restrict ddecay = rows->ddecay;
  for (size_t i = 0; i < piece->length; i++) ddecay[i] += g[i] * v[i];
  if (!b->a->common.spec.decay_input) return;
  const float *x =
      surge_cpu_neuron_input(sum, &rows->channel, &b->call, piece, t);
  for (size_t i = 0; i < piece->length; i++)
    ddecay[i] -= (extra ? g[i] + extra[i] : g[i]) * x[i];
}

/* da = gain*(gu + g_current), in place. */
static void current_row(float *restrict g, const float *restrict extra,
                        float gain, size_t length) {
  if (extra)
    for (size_t i = 0; i < length; i++) g[i] = gain * (g[i] + extra[i]);
  else if (gain != 1.0f)
    for (size_t i = 0; i < length; i++) g[i] *= gain;
}

/* --- what an input receives ----------------------------------------------- */

static void sum_row(float *restrict sum0, float *restrict sum1,
                    const float *restrict da, const float *restrict z,
                    const float *restrict mean, size_t length) {
  for (size_t i = 0; i < length; i++) {
    sum0[i] += da[i];
    sum1[i] += da[i] * (z[i] - mean[i]);
  }
}

/* Moves the sums of a piece into its group's, of step k; then they are zero. */
static void flush_sums(backward_rows *rows, const backward_call *b, size_t g,
                       const surge_cpu_piece *piece, int which, size_t k) {
  size_t C = (size_t)b->a->common.map.c, bytes = piece->length * sizeof(float);
  size_t steps = steps_of(&b->a->common, which);
  double *total = b->work.sums[which] + (g * steps + k) * 2 * C;
  surge_cpu_fold_into(total, rows->sum0[which], piece, C);
  surge_cpu_fold_into(total + C, rows->sum1[which], piece, C);
  memset(rows->sum0[which], 0, bytes);
  memset(rows->sum1[which], 0, bytes);
}

static void deliver_step(backward_rows *rows, const backward_call *b, size_t g,
                         const surge_cpu_piece *piece, int which, size_t t) {
  const surge_neuron_backward *a = b->a;
  const surge_neuron_input *input = &a->common.input[which];
  size_t length = piece->length;
  if (a->sums[which]) {
    sum_row(rows->sum0[which], rows->sum1[which], rows->g,
            surge_cpu_input_at(&b->call, which, t, piece->offset),
            rows->mean[which], length);
    if (input->per_step) flush_sums(rows, b, g, piece, which, t);
  }
  if (!a->da[which]) return;
  if (input->is_static) {
    float p = input->step_scale ? input->step_scale[t] : 1.0f;
    for (size_t i = 0; i < length; i++) rows->da[which][i] += p * rows->g[i];
  } else {
    surge_cpu_deliver(a->da[which] + t * b->call.M + piece->offset, rows->g,
                      length, a->mode[which]);
  }
}

static void deliver_piece(backward_rows *rows, const backward_call *b,
                          size_t g, const surge_cpu_piece *piece, int which) {
  const surge_neuron_backward *a = b->a;
  const surge_neuron_input *input = &a->common.input[which];
  if (a->sums[which] && !input->per_step)
    flush_sums(rows, b, g, piece, which, 0);
  if (a->da[which] && input->is_static)
    surge_cpu_deliver(a->da[which] + piece->offset, rows->da[which],
                      piece->length, a->mode[which]);
}

/* --- pieces and groups --------------------------------------------------- */

static void start_piece(backward_rows *rows, const backward_call *b,
                        const surge_cpu_piece *piece) {
  const surge_neuron_backward *a = b->a;
  size_t bytes = piece->length * sizeof(float);
  if (!surge_cpu_same_channels(&rows->channel.filled, piece))
    fill_channel_rows(rows, b, piece);
  rebuild(rows, b, piece);
  if (a->gv_out)
    memcpy(rows->gv, a->gv_out + piece->offset, bytes);
  else
    memset(rows->gv, 0, bytes);
  memset(rows->q, 0, bytes);
  memset(rows->drho, 0, bytes);
  memset(rows->ddecay, 0, bytes);
  for (int which = 0; which < a->common.inputs; which++) {
    memset(rows->sum0[which], 0, bytes);
    memset(rows->sum1[which], 0, bytes);
    memset(rows->da[which], 0, bytes);
  }
}

static void backward_step(backward_rows *rows, const backward_call *b,
                          size_t g, const surge_cpu_piece *piece, size_t t) {
  const surge_neuron_backward *a = b->a;
  const surge_neuron_spec *spec = &a->common.spec;
  const float *u = rows->u + t * b->call.row;
  size_t at = t * b->call.M + piece->offset, length = piece->length;
  const float *extra = a->g_current ? a->g_current + at : NULL;
  if (a->pda && spec->pda == SURGE_PDA_MOMENT) moment_row(rows, u, length);
  if (a->pda && spec->pda == SURGE_PDA_QUANTIZATION)
    quantization_row(rows, u, length, spec, t > 0);
  adjoint_row(rows, b, u, a->gs + at, length, t > 0);
  if (a->ddecay_logit) decay_row(rows, b, piece, extra, t);
  current_row(rows->g, extra, a->common.scalars[SURGE_SCALAR_GAIN], length);
  for (int which = 0; which < a->common.inputs; which++)
    deliver_step(rows, b, g, piece, which, t);
}

static void backward_piece(backward_rows *rows, const backward_call *b,
                           size_t g, const surge_cpu_piece *piece) {
  const surge_neuron_backward *a = b->a;
  size_t parts = surge_cpu_parts(&a->common, a->common.spec.granularity);
  start_piece(rows, b, piece);
  for (size_t t = (size_t)a->common.T; t-- > 0;)
    backward_step(rows, b, g, piece, t);
  for (int which = 0; which < a->common.inputs; which++)
    deliver_piece(rows, b, g, piece, which);
  if (a->dv_in)
    memcpy(a->dv_in + piece->offset, rows->gv, piece->length * sizeof(float));
  if (a->drho)
    surge_cpu_fold_into(b->work.drho + g * parts, rows->drho, piece, parts);
  if (a->ddecay_logit)
    surge_cpu_fold_into(b->work.ddecay + g, rows->ddecay, piece, 1);
}

static void clear_group(const backward_call *b, size_t g) {
  const surge_neuron *common = &b->a->common;
  size_t parts = surge_cpu_parts(common, common->spec.granularity);
  for (int which = 0; which < common->inputs; which++) {
    size_t count = steps_of(common, which) * 2 * (size_t)common->map.c;
    memset(b->work.sums[which] + g * count, 0, count * sizeof(double));
  }
  memset(b->work.drho + g * parts, 0, parts * sizeof(double));
  b->work.ddecay[g] = 0;
}

static void backward_group(const backward_call *b, size_t g) {
  backward_rows rows;
  const surge_cpu_neuron *call = &b->call;
  size_t thread = (size_t)omp_get_thread_num();
  size_t own = thread * (size_t)b->a->common.T * call->row;
  rows.u = b->work.u + own;
  rows.v = b->work.v + own;
  rows.channel.filled.length = 0;
  clear_group(b, g);
  for (size_t p = surge_cpu_first(call->cut.count, call->groups, g);
       p < surge_cpu_first(call->cut.count, call->groups, g + 1); p++) {
    surge_cpu_piece piece = surge_cpu_piece_at(&call->cut, p);
    backward_piece(&rows, b, g, &piece);
  }
}

/* --- the last stage: over the groups, in order, in double ----------------- */

/* First row of `partial` [groups, count] becomes the sum of all. */
static void combine(double *partial, size_t groups, size_t count) {
  for (size_t g = 1; g < groups; g++)
    for (size_t i = 0; i < count; i++) partial[i] += partial[g * count + i];
}

static void finish_sums(const backward_call *b, int which) {
  const surge_neuron *common = &b->a->common;
  size_t C = (size_t)common->map.c, steps = steps_of(common, which);
  double *total = b->work.sums[which];
  combine(total, b->call.groups, steps * 2 * C);
  for (size_t k = 0; k < steps; k++)
    for (size_t c = 0; c < C; c++) {
      size_t at = 2 * k * C + c;
      double rstd = (double)common->input[which].rstd[c];
      b->a->sums[which][at] = (float)total[at];
      b->a->sums[which][at + C] = (float)(total[at + C] * rstd);
    }
}

static void finish(const backward_call *b) {
  const surge_neuron_backward *a = b->a;
  size_t parts = surge_cpu_parts(&a->common, a->common.spec.granularity);
  for (int which = 0; which < a->common.inputs; which++)
    if (a->sums[which]) finish_sums(b, which);
  if (a->drho) {
    combine(b->work.drho, b->call.groups, parts);
    for (size_t p = 0; p < parts; p++) a->drho[p] += (float)b->work.drho[p];
  }
  if (a->ddecay_logit) {
    double d = (double)a->common.scalars[SURGE_SCALAR_DECAY];
    combine(b->work.ddecay, b->call.groups, 1);
    *a->ddecay_logit += (float)(d * (1 - d) * *b->work.ddecay);
  }
}

surge_status surge_cpu_neuron_backward(surge_context *context,
                                       const surge_neuron_backward *a) {
  SURGE_TRY(surge_check_neuron_backward(a));
  backward_call b = {.a = a, .call = surge_cpu_neuron_call(&a->common)};
  bind(&b.work, a->common.workspace, context, &b.call);
#pragma omp parallel for num_threads(context->threads) schedule(dynamic)
  for (size_t g = 0; g < b.call.groups; g++) backward_group(&b, g);
  finish(&b);
  return SURGE_OK;
}
