/* neuron_backward.c - dL/ds of all steps -> dL/dz's share, in one pass.
 *
 * A piece first rebuilds u of all steps from z, which gives exactly the
 * forward's spikes, then walks t downward. The channel sums of the norm and
 * the gradients of width and decays are first rows of float sums, a few terms a
 * place; folded by halves they join a group's partial sums, in double. */
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
  double *dsynapse; /* [groups] dL/dd_s                                       */
  float *u; /* [threads, T, row]                                       */
  float *v; /* [threads, T, row] v[t-1], where the decay is learned    */
  float *i; /* [threads, T, row] i[t-1], where the synapse's is        */
} backward_work;

static size_t bind(backward_work *work, void *base, surge_context *context,
                   const surge_cpu_neuron *call) {
  surge_cpu_scratch scratch = {base, 0};
  const surge_neuron *a = call->a;
  size_t groups = call->in.groups;
  size_t parts = surge_cpu_parts(a, a->spec.granularity);
  size_t rows = (size_t)context->threads * (size_t)a->T * call->in.row;
  for (int which = 0; which < a->inputs; which++)
    work->sums[which] =
        surge_cpu_take(&scratch, surge_cpu_partial_bytes(&call->in, which));
  work->drho = surge_cpu_take(&scratch, groups * parts * sizeof(double));
  work->ddecay = surge_cpu_take(&scratch, groups * sizeof(double));
  work->dsynapse = surge_cpu_take(&scratch, groups * sizeof(double));
  work->u = surge_cpu_take(&scratch, rows * sizeof *work->u);
  work->v = work->i = NULL;
  if (a->spec.decay_learned)
    work->v = surge_cpu_take(&scratch, rows * sizeof *work->v);
  if (a->spec.synapse_learned)
    work->i = surge_cpu_take(&scratch, rows * sizeof *work->i);
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
  surge_cpu_receiver to[2];
} backward_call;

/* One thread's rows: of the channels, and of the piece at hand. */
typedef struct backward_rows {
  surge_cpu_rows channel;
  _Alignas(64) surge_row pda_m, pda_c0, pda_c1;
  _Alignas(64) surge_row gv, q[SURGE_STRIDE]; /* dL/dv; PDA's dL/du */
  _Alignas(64) surge_row gi;                  /* d_s dL/di of the step after */
  _Alignas(64) surge_row g[SURGE_STRIDE];     /* dL/du, dL/di, then da */
  surge_cpu_received received[2];
  float *u, *v, *i; /* [T, row] */

  _Alignas(64) surge_row drho, ddecay, dsynapse; /* sums over t and some */
  surge_cpu_chain chain;                         /* pieces: those */
} backward_rows;

static void fill_channel_rows(backward_rows *rows, const backward_call *b,
                              const surge_cpu_piece *piece) {
  const surge_neuron_backward *a = b->a;
  const surge_neuron *common = &a->common;
  if (!surge_cpu_rows_fill(&rows->channel, &b->call, piece)) return;
  if (!a->pda) return;
  size_t parts = surge_cpu_parts(common, common->spec.pda_granularity);
  size_t lanes = surge_cpu_lanes(piece, parts);
  for (size_t l = 0; l < lanes; l++) {
    surge_pda_coefficients own =
        a->pda[parts == 1 ? 0 : (size_t)piece->channel + l];
    rows->pda_m[l] = own.m;
    rows->pda_c0[l] = own.c0;
    rows->pda_c1[l] = own.c1;
  }
  surge_cpu_repeat(rows->pda_m, lanes, piece->length);
  surge_cpu_repeat(rows->pda_c0, lanes, piece->length);
  surge_cpu_repeat(rows->pda_c1, lanes, piece->length);
}

/* Is something to be done at each step, between others? */
static bool step_by_step(const surge_neuron_backward *a) {
  return a->ddecay_logit || a->dsynapse_logit || a->common.spec.soft_forward;
}

/* u of all steps, and v and i before each where a decay's gradient needs it. */
static void rebuild(backward_rows *rows, const backward_call *b,
                    const surge_cpu_piece *piece) {
  surge_cpu_state state;
  const surge_neuron_backward *a = b->a;
  size_t T = (size_t)a->common.T, row = b->call.in.row, count;
  size_t bytes = piece->length * sizeof(float);
  surge_cpu_neuron_start(&state, &b->call, piece);
  for (size_t t = 0; t < T; t += count) {
    surge_cpu_steps u = {rows->u + t * row, row}, none = {NULL, 0};
    count = step_by_step(a) ? 1 : surge_cpu_stride(&a->common, T - t);
    if (a->ddecay_logit) memcpy(rows->v + t * row, state.v, bytes);
    if (a->dsynapse_logit) memcpy(rows->i + t * row, state.i, bytes);
    /* A fault was reported by the forward. */
    (void)surge_cpu_neuron_step(u, none, &state, &rows->channel, &b->call,
                                piece, t, count);
  }
}

/* --- PDA ----------------------------------------------------------------- */

static void moment_row(const backward_rows *rows, float *restrict q,
                       const float *restrict u, size_t length) {
  for (size_t i = 0; i < length; i++)
    q[i] = surge_pda_moment_gradient(u[i], rows->pda_m[i], rows->pda_c0[i],
                                     rows->pda_c1[i]);
}

static inline __attribute__((always_inline)) void quantization_loop(
    const backward_rows *rows, float *restrict q, const float *restrict u,
    const float *restrict width, const float *restrict inverse, size_t length,
    float theta, surge_pda_clip clip, surge_family family) {
  for (size_t i = 0; i < length; i++) {
    float x = u[i] - theta;
    float p = surge_soft_spike(family, x, inverse[i]);
    float h = surge_surrogate(family, x, width[i], inverse[i]);
    q[i] = rows->pda_c0[i] *
           surge_pda_quantization_gradient(p, u[i] >= theta, h, clip);
  }
}

static void quantization_row(const backward_rows *rows, float *q,
                             const float *u, size_t length,
                             const surge_neuron_spec *spec, bool later) {
  const float *width = rows->channel.width[later];
  const float *inverse = rows->channel.inverse[later];
  surge_pda_clip clip = surge_pda_clip_of(spec->pda_epsilon);
  switch (spec->family) {
#define QUANTIZATION(NAME, word, half)                                         \
  case SURGE_##NAME:                                                           \
    quantization_loop(rows, q, u, width, inverse, length, spec->v_threshold,   \
                      clip, SURGE_##NAME);                                     \
    break;
    SURGE_FAMILY_LIST(QUANTIZATION)
#undef QUANTIZATION
  }
}

/* --- the adjoint of a few steps ------------------------------------------- */

/* What a loop is compiled for; a constant where the loop is called. */
typedef struct adjoint_case {
  size_t count;
  bool soft, detach;
  surge_reset reset;
  surge_family family;
} adjoint_case;

/* g = dL/du of steps t .. t+count-1, last step first; gv becomes dL/dv[t-1].
 * w and 1/w of step t are rows->channel.width[t > 0]. */
static inline __attribute__((always_inline)) void adjoint_loop(
    backward_rows *rows, const backward_call *b, const float *restrict u_row,
    const float *restrict gs, size_t length, bool later, adjoint_case is) {
  const surge_neuron *a = &b->a->common;
  const float d = a->scalars[SURGE_SCALAR_DECAY];
  const float theta = a->spec.v_threshold, v_reset = a->spec.v_reset;
  const size_t M = b->call.in.M, stride = b->call.in.row;
  const float *width = rows->channel.width[later];
  const float *inverse = rows->channel.inverse[later];
#pragma GCC ivdep
  for (size_t i = 0; i < length; i++) {
    float gv = rows->gv[i], drho = rows->drho[i];
#pragma GCC unroll 4
    for (size_t k = is.count; k-- > 0;) {
      float w = k > 0 ? rows->channel.width[1][i] : width[i];
      float inv = k > 0 ? rows->channel.inverse[1][i] : inverse[i];
      float u = u_row[k * stride + i], x = u - theta;
      float h = surge_surrogate(is.family, x, w, inv);
      float s =
          is.soft ? surge_soft_spike(is.family, x, inv) : surge_fire(u, theta);
      float delta = gs[k * M + i];
      if (!is.detach)
        delta += gv * surge_reset_slope(is.reset, u, theta, v_reset);
      float carried = is.soft ? surge_carry_soft_spike(is.reset, gv, s)
                              : surge_carry_spike(is.reset, gv, s);
      float gu = surge_adjoint(delta, h, rows->q[k][i], carried);
      drho -= delta * (x * h);
      rows->g[k][i] = gu;
      gv = d * gu;
    }
    rows->gv[i] = gv;
    rows->drho[i] = drho;
  }
}

/* Each function below makes words of the case constants. */
static inline __attribute__((always_inline)) void adjoint_by_reset(
    backward_rows *rows, const backward_call *b, const float *u,
    const float *gs, size_t length, bool later, adjoint_case is) {
  const surge_neuron_spec *spec = &b->a->common.spec;
  adjoint_case soft = is, hard = is, soft_detached = is, hard_detached = is;
  hard.reset = hard_detached.reset = SURGE_RESET_HARD;
  soft.reset = soft_detached.reset = SURGE_RESET_SOFT;
  soft_detached.detach = hard_detached.detach = true;
  if (spec->reset == SURGE_RESET_HARD && spec->detach_reset)
    adjoint_loop(rows, b, u, gs, length, later, hard_detached);
  else if (spec->reset == SURGE_RESET_HARD)
    adjoint_loop(rows, b, u, gs, length, later, hard);
  else if (spec->detach_reset)
    adjoint_loop(rows, b, u, gs, length, later, soft_detached);
  else
    adjoint_loop(rows, b, u, gs, length, later, soft);
}

static inline __attribute__((always_inline)) void adjoint_by_count(
    backward_rows *rows, const backward_call *b, const float *u,
    const float *gs, size_t length, bool later, size_t count,
    surge_family family) {
  adjoint_case twin = {.count = 1, .soft = true, .family = family};
  adjoint_case one = {.count = 1, .family = family};
  adjoint_case several = {.count = SURGE_STRIDE, .family = family};
  if (b->a->common.spec.soft_forward)
    adjoint_by_reset(rows, b, u, gs, length, later, twin);
  else if (count == 1)
    adjoint_by_reset(rows, b, u, gs, length, later, one);
  else
    adjoint_by_reset(rows, b, u, gs, length, later, several);
}

static void adjoint_steps(backward_rows *rows, const backward_call *b,
                          const float *u, const float *gs, size_t length,
                          bool later, size_t count) {
  switch (b->a->common.spec.family) {
#define ADJOINT(NAME, word, half)                                              \
  case SURGE_##NAME:                                                           \
    adjoint_by_count(rows, b, u, gs, length, later, count, SURGE_##NAME);      \
    break;
    SURGE_FAMILY_LIST(ADJOINT)
#undef ADJOINT
  }
}

/* sum[i] += g[0][i]*before[i]: the gradient of a factor that `before` leaks
 * by. */
static void leak_row(float *restrict sum, const backward_rows *rows,
                     const float *before, size_t length) {
  const float *g = rows->g[0];
  for (size_t i = 0; i < length; i++) sum[i] += g[i] * before[i];
}

/* From g = dL/du of steps t .. t+count-1 to dL/di, in place, last step first. */
static void synapse_rows(backward_rows *rows, const surge_neuron *a,
                         size_t length, size_t count) {
  const float d = a->scalars[SURGE_SCALAR_SYNAPSE];
  float *restrict gi = rows->gi;
  for (size_t k = count; k-- > 0;) {
    float *restrict g = rows->g[k];
    for (size_t i = 0; i < length; i++) {
      g[i] += gi[i];
      gi[i] = d * g[i];
    }
  }
}

/* dL/dd of step t by the gain 1 - d that the input is scaled by. g[0] is dL/di
 * (without a synapse dL/du); `extra` is dL/dcurrent, or NULL. */
static void gain_row(backward_rows *rows, const backward_call *b,
                     const surge_cpu_piece *piece, const float *extra,
                     size_t t) {
  _Alignas(64) surge_row sum;
  const float *g = rows->g[0];
  float *restrict ddecay = rows->ddecay;
  const float *x =
      surge_cpu_input_sum(sum, &rows->channel.affine, &b->call.in, piece, t);
  for (size_t i = 0; i < piece->length; i++)
    ddecay[i] -= (extra ? g[i] + extra[i] : g[i]) * x[i];
}

/* From dL/du in g to what of it reaches the current, and the decays' gradients
 * on the way: those of one step. */
static void reach_current(backward_rows *rows, const backward_call *b,
                          const surge_cpu_piece *piece, const float *extra,
                          size_t t, size_t count) {
  const surge_neuron_backward *a = b->a;
  size_t before = t * b->call.in.row, length = piece->length;
  if (a->ddecay_logit) leak_row(rows->ddecay, rows, rows->v + before, length);
  if (surge_neuron_synaptic(&a->common.spec))
    synapse_rows(rows, &a->common, length, count);
  if (a->dsynapse_logit)
    leak_row(rows->dsynapse, rows, rows->i + before, length);
  if (a->ddecay_logit && a->common.spec.decay_input)
    gain_row(rows, b, piece, extra, t);
}

/* da = gain*(gi + g_current), in place. */
static void current_row(float *restrict g, const float *restrict extra,
                        float gain, size_t length) {
  if (extra)
    for (size_t i = 0; i < length; i++) g[i] = gain * (g[i] + extra[i]);
  else if (gain != 1.0f)
    for (size_t i = 0; i < length; i++) g[i] *= gain;
}

/* --- sums over pieces ---------------------------------------------------- */

/* Moves the rows of sums into the group's partial sums; then they are zero. */
static void settle_sums(backward_rows *rows, const backward_call *b, size_t g) {
  const surge_neuron_backward *a = b->a;
  const surge_cpu_piece *piece = &rows->chain.piece;
  size_t parts = surge_cpu_parts(&a->common, a->common.spec.granularity);
  for (int which = 0; which < b->call.in.count; which++)
    surge_cpu_receive_settle(&rows->received[which], &b->to[which], &b->call.in,
                             which, g, piece);
  if (a->drho)
    surge_cpu_fold_into(b->work.drho + g * parts, rows->drho, piece, parts);
  if (a->ddecay_logit)
    surge_cpu_fold_into(b->work.ddecay + g, rows->ddecay, piece, 1);
  if (a->dsynapse_logit)
    surge_cpu_fold_into(b->work.dsynapse + g, rows->dsynapse, piece, 1);
  rows->chain = (surge_cpu_chain){0};
}

/* Makes room for a piece in the rows of sums. */
static void join_sums(backward_rows *rows, const backward_call *b, size_t g,
                      const surge_cpu_piece *piece) {
  int32_t T = b->a->common.T;
  if (!surge_cpu_chain_takes(&rows->chain, piece, T)) settle_sums(rows, b, g);
  surge_cpu_chain_join(&rows->chain, piece, T);
}

/* --- pieces and groups --------------------------------------------------- */

static void start_piece(backward_rows *rows, const backward_call *b,
                        const surge_cpu_piece *piece) {
  const surge_neuron_backward *a = b->a;
  const surge_cpu_inputs *in = &b->call.in;
  fill_channel_rows(rows, b, piece);
  rebuild(rows, b, piece);
  surge_cpu_start_row(rows->gv, a->gv_out, piece);
  surge_cpu_start_row(rows->gi, a->gi_out, piece);
  for (int which = 0; which < in->count; which++)
    surge_cpu_receive_piece(&rows->received[which], &b->to[which], in, which,
                            piece);
}

/* PDA's q of step t into row k. */
static void pda_row(backward_rows *rows, const backward_call *b, size_t length,
                    size_t t, size_t k) {
  const surge_neuron_spec *spec = &b->a->common.spec;
  const float *u = rows->u + t * b->call.in.row;
  if (spec->pda == SURGE_PDA_MOMENT)
    moment_row(rows, rows->q[k], u, length);
  else
    quantization_row(rows, rows->q[k], u, length, spec, t > 0);
}

/* Steps at once when `left` remain: one where something is done step by
 * step. */
static size_t backward_stride(const backward_call *b, size_t left) {
  if (step_by_step(b->a)) return 1;
  return surge_cpu_receive_stride(&b->call.in, left);
}

static void backward_steps(backward_rows *rows, const backward_call *b,
                           size_t g, const surge_cpu_piece *piece, size_t t,
                           size_t count) {
  const surge_neuron_backward *a = b->a;
  const surge_cpu_inputs *in = &b->call.in;
  size_t M = in->M, at = t * M + piece->offset, length = piece->length;
  const float *extra = a->g_current ? a->g_current + at : NULL;
  float gain = a->common.scalars[SURGE_SCALAR_GAIN];
  for (size_t k = 0; a->pda && k < count; k++)
    pda_row(rows, b, length, t + k, k);
  adjoint_steps(rows, b, rows->u + t * in->row, surge_cpu_from(a->gs, at),
                length, t > 0, count);
  reach_current(rows, b, piece, extra, t, count);
  for (size_t k = 0; k < count; k++)
    current_row(rows->g[k], extra ? extra + k * M : NULL, gain, length);
  for (int which = 0; which < in->count; which++)
    surge_cpu_receive_steps(&rows->received[which], &b->to[which], in, which, g,
                            piece, rows->g[0], SURGE_ROW, t, count);
}

static void backward_piece(backward_rows *rows, const backward_call *b,
                           size_t g, const surge_cpu_piece *piece) {
  const surge_neuron_backward *a = b->a;
  join_sums(rows, b, g, piece);
  start_piece(rows, b, piece);
  for (size_t left = (size_t)a->common.T; left > 0;) {
    size_t count = backward_stride(b, left);
    left -= count;
    backward_steps(rows, b, g, piece, left, count);
  }
  for (int which = 0; which < b->call.in.count; which++)
    surge_cpu_receive_end(&rows->received[which], &b->to[which], &b->call.in,
                          which, piece);
  size_t bytes = piece->length * sizeof(float);
  if (a->dv_in) memcpy(a->dv_in + piece->offset, rows->gv, bytes);
  if (a->di_in) memcpy(a->di_in + piece->offset, rows->gi, bytes);
}

/* Before its first piece: rows of sums and partial sums are zero. */
static void start_group(backward_rows *rows, const backward_call *b, size_t g) {
  const surge_neuron *common = &b->a->common;
  size_t parts = surge_cpu_parts(common, common->spec.granularity);
  for (int which = 0; which < common->inputs; which++)
    surge_cpu_receive_group(&rows->received[which], &b->to[which], &b->call.in,
                            which, g);
  memset(rows->q, 0, sizeof rows->q); /* and so they stay without PDA */
  memset(rows->drho, 0, sizeof rows->drho);
  memset(rows->ddecay, 0, sizeof rows->ddecay);
  memset(rows->dsynapse, 0, sizeof rows->dsynapse);
  memset(b->work.drho + g * parts, 0, parts * sizeof(double));
  b->work.ddecay[g] = b->work.dsynapse[g] = 0;
  rows->chain = (surge_cpu_chain){0};
}

static void backward_group(const backward_call *b, size_t g) {
  backward_rows rows;
  const surge_cpu_inputs *in = &b->call.in;
  size_t thread = (size_t)omp_get_thread_num();
  size_t own = thread * (size_t)in->T * in->row;
  rows.u = b->work.u + own;
  rows.v = b->work.v ? b->work.v + own : NULL;
  rows.i = b->work.i ? b->work.i + own : NULL;
  surge_cpu_rows_start(&rows.channel, &b->call);
  start_group(&rows, b, g);
  for (size_t p = surge_cpu_first(in->cut.count, in->groups, g);
       p < surge_cpu_first(in->cut.count, in->groups, g + 1); p++) {
    surge_cpu_piece piece = surge_cpu_piece_at(&in->cut, p);
    backward_piece(&rows, b, g, &piece);
  }
  settle_sums(&rows, b, g);
}

/* --- the last stage: over the groups, in order, in double ----------------- */

/* The gradient of a decay's logit, from the groups' of the decay d. */
static void finish_decay(float *dlogit, double *groups_of, size_t groups,
                         double d) {
  if (!dlogit) return;
  surge_cpu_combine(groups_of, groups, 1);
  *dlogit += (float)(d * (1 - d) * *groups_of);
}

static void finish(const backward_call *b) {
  const surge_neuron_backward *a = b->a;
  size_t parts = surge_cpu_parts(&a->common, a->common.spec.granularity);
  size_t groups = b->call.in.groups;
  for (int which = 0; which < a->common.inputs; which++)
    surge_cpu_receive_finish(&b->to[which], &b->call.in, which);
  if (a->drho) {
    surge_cpu_combine(b->work.drho, groups, parts);
    for (size_t p = 0; p < parts; p++) a->drho[p] += (float)b->work.drho[p];
  }
  const float *scalars = a->common.scalars;
  finish_decay(a->ddecay_logit, b->work.ddecay, groups,
               (double)scalars[SURGE_SCALAR_DECAY]);
  if (a->dsynapse_logit)
    finish_decay(a->dsynapse_logit, b->work.dsynapse, groups,
                 (double)scalars[SURGE_SCALAR_SYNAPSE]);
}

surge_status surge_cpu_neuron_backward(surge_context *context,
                                       const surge_neuron_backward *a) {
  SURGE_TRY(surge_check_neuron_backward(a));
  backward_call b = {.a = a, .call = surge_cpu_neuron_call(&a->common)};
  bind(&b.work, a->common.workspace, context, &b.call);
  for (int which = 0; which < a->common.inputs; which++)
    b.to[which] = (surge_cpu_receiver){.da = a->da[which],
                                       .mode = a->mode[which],
                                       .sums = a->sums[which],
                                       .partial = b.work.sums[which]};
#pragma omp parallel for num_threads(context->threads) schedule(dynamic)
  for (size_t g = 0; g < b.call.in.groups; g++) backward_group(&b, g);
  finish(&b);
  return SURGE_OK;
}
