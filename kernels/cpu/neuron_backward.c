/* neuron_backward.c - the adjoint of a layer over all T, one pass over memory.
 *
 * A tile's membranes are rebuilt from z - exactly the forward's, as the same
 * roundings run in the same order - then time is walked downward. gs may lie
 * where da goes: a tile reads gs[t] before it writes da[t]. */
#include <math.h>
#include <string.h>

#include "kernels/cpu/neuron_tile.h"
#include "kernels/shared/neuron.h"
#include "kernels/shared/pda.h"
#include "src/backend/checks.h"

#define INLINE static inline __attribute__((always_inline))

/* Rows of a tile while it walks through time. */
typedef struct walk {
  surge_neuron_tile tile;
  const surge_neuron_backward *a;
  const surge_neuron_tiling *tiling;
  float *u;                       /* [T, E] */
  float x[SURGE_TILE];            /* the current of a step */
  float gv[SURGE_TILE];           /* dL/dv of the step before */
  float gu[SURGE_TILE];           /* dL/du, then dL/d(x) */
  float q[SURGE_TILE];            /* PDA's term; 0 without */
  float width[SURGE_TILE];        /* sum over t of -delta x h */
  float decay[SURGE_TILE];        /* sum over t of dL/dd */
  float sum0[2][SURGE_TILE], sum1[2][SURGE_TILE]; /* sum da, sum da zhat */
  float still[2][SURGE_TILE];     /* da of a static input: sum over t */
  float mean[2][SURGE_TILE], rstd[2][SURGE_TILE]; /* of normalised inputs */
  float pda_m[SURGE_TILE], pda_c0[SURGE_TILE], pda_c1[SURGE_TILE];
  float decay_factor, gain;
} walk;

/* --- membranes again ------------------------------------------------------ */

/* v of the step whose membrane is u: the reset, with spike or soft spike. */
INLINE void reset_row(float *v, const float *u, const float *inv_w, size_t length,
                      const surge_neuron_spec *s, surge_family family, bool soft) {
  for (size_t i = 0; i < length; i++) {
    float spike = surge_fire(family, soft, u[i], s->v_threshold, inv_w[i]);
    v[i] = surge_reset_membrane(s->reset, u[i], spike, s->v_threshold, s->v_reset);
  }
}

static void reset(float *v, const float *u, const float *inv_w, size_t length,
                  const surge_neuron_spec *s) {
  if (!s->soft_forward) {
    reset_row(v, u, inv_w, length, s, SURGE_RECTANGULAR, false);
    return;
  }
  switch (s->family) {
#define CASE(NAME, word, half)                                                 \
  case SURGE_##NAME:                                                           \
    reset_row(v, u, inv_w, length, s, SURGE_##NAME, true);                     \
    break;
    SURGE_FAMILY_LIST(CASE)
#undef CASE
  }
}

/* v[t-1] into `v`. */
static void membrane_before(const walk *w, size_t t, float *v) {
  const surge_neuron *n = &w->a->common;
  size_t length = w->tile.piece.length;
  if (t > 0)
    reset(v, w->u + (t - 1) * w->tiling->E, surge_neuron_inv_w(&w->tile, t - 1),
          length, &n->spec);
  else if (n->v_in)
    memcpy(v, n->v_in + w->tile.piece.offset, length * sizeof *v);
  else
    memset(v, 0, length * sizeof *v);
}

static void rebuild(walk *w) {
  float v[SURGE_TILE];
  size_t length = w->tile.piece.length;
  for (size_t t = 0; t < w->tiling->T; t++) {
    float *u = w->u + t * w->tiling->E;
    membrane_before(w, t, v);
    surge_neuron_current(&w->tile, t, w->x);
    for (size_t i = 0; i < length; i++)
      u[i] = surge_membrane(w->decay_factor, v[i], w->gain * w->x[i]);
  }
}

/* --- PDA's term ----------------------------------------------------------- */

INLINE void quantization_row(walk *w, const float *u, const float *inv_w,
                             const surge_neuron_spec *s, surge_family family,
                             float edge) {
  for (size_t i = 0; i < w->tile.piece.length; i++)
    w->q[i] = w->pda_c0[i] * surge_pda_quantization(family, u[i], s->v_threshold,
                                                    inv_w[i], s->pda_epsilon,
                                                    edge).slope;
}

static void pda_row(walk *w, const float *u, const float *inv_w) {
  const surge_neuron_spec *s = &w->a->common.spec;
  if (s->pda == SURGE_PDA_MOMENT) {
    for (size_t i = 0; i < w->tile.piece.length; i++)
      w->q[i] = w->pda_c0[i] + w->pda_c1[i] * (u[i] - w->pda_m[i]);
    return;
  }
  double eps = (double)s->pda_epsilon;
  float edge = (float)log((1 - eps) / eps);
  switch (s->family) {
#define CASE(NAME, word, half)                                                 \
  case SURGE_##NAME:                                                           \
    quantization_row(w, u, inv_w, s, SURGE_##NAME, edge);                      \
    break;
    SURGE_FAMILY_LIST(CASE)
#undef CASE
  }
}

/* --- the adjoint of one step ---------------------------------------------- */

INLINE void adjoint_row(walk *w, const float *restrict u,
                        const float *restrict inv_w, const float *restrict gs,
                        const surge_neuron_spec *s, surge_family family,
                        surge_reset reset_kind, bool detach, bool soft) {
  float *restrict gv = w->gv, *restrict gu = w->gu, *restrict width = w->width;
  const float *restrict q = w->q;
  float theta = s->v_threshold, v_reset = s->v_reset, d = w->decay_factor;
  size_t length = w->tile.piece.length;
  for (size_t i = 0; i < length; i++) {
    float spike = surge_fire(family, soft, u[i], theta, inv_w[i]);
    surge_adjoint a = surge_neuron_adjoint(family, reset_kind, detach, u[i], spike,
                                           theta, v_reset, inv_w[i], gs[i], gv[i],
                                           q[i]);
    gu[i] = a.gu;
    width[i] += a.width;
    gv[i] = d * a.gu;
  }
}

INLINE void adjoint_family(walk *w, const float *u, const float *inv_w,
                           const float *gs, const surge_neuron_spec *s,
                           surge_family family, bool soft) {
  const surge_reset hard = SURGE_RESET_HARD, by_theta = SURGE_RESET_SOFT;
  if (s->reset == SURGE_RESET_HARD && s->detach_reset)
    adjoint_row(w, u, inv_w, gs, s, family, hard, true, soft);
  else if (s->reset == SURGE_RESET_HARD)
    adjoint_row(w, u, inv_w, gs, s, family, hard, false, soft);
  else if (s->detach_reset)
    adjoint_row(w, u, inv_w, gs, s, family, by_theta, true, soft);
  else
    adjoint_row(w, u, inv_w, gs, s, family, by_theta, false, soft);
}

static void adjoint(walk *w, const float *u, const float *inv_w, const float *gs) {
  const surge_neuron_spec *s = &w->a->common.spec;
  switch (s->family) {
#define CASE(NAME, word, half)                                                 \
  case SURGE_##NAME:                                                           \
    if (s->soft_forward)                                                       \
      adjoint_family(w, u, inv_w, gs, s, SURGE_##NAME, true);                  \
    else                                                                       \
      adjoint_family(w, u, inv_w, gs, s, SURGE_##NAME, false);                 \
    break;
    SURGE_FAMILY_LIST(CASE)
#undef CASE
  }
}

/* dL/dd of step t: gu v[t-1], and where the gain is 1 - d also -ga x, with ga =
 * gu + g_current, the gradient of the current. */
static void add_decay_of_leak(walk *w, size_t t) {
  float v[SURGE_TILE];
  membrane_before(w, t, v);
  for (size_t i = 0; i < w->tile.piece.length; i++) w->decay[i] += w->gu[i] * v[i];
}

static void add_decay_of_gain(walk *w, size_t t) {
  surge_neuron_current(&w->tile, t, w->x);
  for (size_t i = 0; i < w->tile.piece.length; i++)
    w->decay[i] -= w->gu[i] * w->x[i];
}

/* --- gradients of the inputs ---------------------------------------------- */

static void deliver(float *to, const float *from, size_t length, surge_mode mode) {
  if (mode == SURGE_WRITE)
    memcpy(to, from, length * sizeof *to);
  else
    for (size_t i = 0; i < length; i++) to[i] = to[i] + from[i];
}

static void add_sums(walk *w, int32_t k, size_t t) {
  const float *restrict z = surge_neuron_z(&w->tile, k, t);
  const float *restrict da = w->gu, *restrict mean = w->mean[k],
              *restrict rstd = w->rstd[k];
  float *restrict sum0 = w->sum0[k], *restrict sum1 = w->sum1[k];
  for (size_t i = 0; i < w->tile.piece.length; i++) {
    sum0[i] += da[i];
    sum1[i] += da[i] * ((z[i] - mean[i]) * rstd[i]);
  }
}

/* The sums of a TEBN input are a step's own. */
static void flush_sums(walk *w, const surge_neuron_partials *partial, int32_t k,
                       size_t row) {
  const surge_cpu_piece *piece = &w->tile.piece;
  double *sums = partial->sums[k] + row * 2 * w->tiling->C;
  surge_neuron_reduce(sums, w->sum0[k], piece, true);
  surge_neuron_reduce(sums + w->tiling->C, w->sum1[k], piece, true);
  memset(w->sum0[k], 0, sizeof w->sum0[k]);
  memset(w->sum1[k], 0, sizeof w->sum1[k]);
}

static void input_gradient(walk *w, const surge_neuron_partials *partial,
                           int32_t k, size_t t) {
  const surge_neuron_backward *a = w->a;
  const surge_neuron_input *in = &a->common.input[k];
  size_t length = w->tile.piece.length;
  if (a->sums[k]) {
    add_sums(w, k, t);
    if (in->per_step) flush_sums(w, partial, k, t);
  }
  if (!a->da[k]) return;
  if (!in->is_static) {
    deliver(a->da[k] + t * w->tiling->M + w->tile.piece.offset, w->gu, length,
            a->mode[k]);
    return;
  }
  float weight = in->step_scale ? in->step_scale[t] : 1.0f;
  for (size_t i = 0; i < length; i++) w->still[k][i] += weight * w->gu[i];
}

/* --- a tile --------------------------------------------------------------- */

/* What does not change by step: zeros, statistics and coefficients. */
static void begin(walk *w, size_t p) {
  const surge_neuron_backward *a = w->a;
  const surge_neuron *n = &a->common;
  surge_neuron_tile_begin(&w->tile, n, w->tiling, p);
  const surge_cpu_piece *piece = &w->tile.piece;
  size_t bytes = piece->length * sizeof(float);
  if (a->gv_out)
    memcpy(w->gv, a->gv_out + piece->offset, bytes);
  else
    memset(w->gv, 0, bytes);
  memset(w->q, 0, bytes);
  memset(w->width, 0, bytes);
  memset(w->decay, 0, bytes);
  for (int32_t k = 0; k < n->inputs; k++) {
    memset(w->still[k], 0, bytes);
    if (!a->sums[k]) continue;
    memset(w->sum0[k], 0, bytes);
    memset(w->sum1[k], 0, bytes);
    surge_neuron_spread(w->mean[k], n->input[k].mean, piece);
    surge_neuron_spread(w->rstd[k], n->input[k].rstd, piece);
  }
  bool channels = n->spec.pda_granularity == SURGE_PER_CHANNEL;
  for (size_t i = 0; a->pda && i < piece->length; i++) {
    size_t c = channels ? (size_t)piece->channel + i % (size_t)piece->period : 0;
    w->pda_m[i] = a->pda[c].m;
    w->pda_c0[i] = a->pda[c].c0;
    w->pda_c1[i] = a->pda[c].c1;
  }
}

static void backward_step(walk *w, const surge_neuron_partials *partial, size_t t) {
  const surge_neuron_backward *a = w->a;
  size_t length = w->tile.piece.length, at = t * w->tiling->M + w->tile.piece.offset;
  const float *u = w->u + t * w->tiling->E, *inv_w = surge_neuron_inv_w(&w->tile, t);
  if (a->pda) pda_row(w, u, inv_w);
  adjoint(w, u, inv_w, a->gs + at);
  if (a->ddecay_logit) add_decay_of_leak(w, t);
  if (a->g_current)
    for (size_t i = 0; i < length; i++) w->gu[i] = w->gu[i] + a->g_current[at + i];
  if (a->ddecay_logit && a->common.spec.decay_input) add_decay_of_gain(w, t);
  for (size_t i = 0; i < length; i++) w->gu[i] = w->gain * w->gu[i];
  for (int32_t k = 0; k < a->common.inputs; k++) input_gradient(w, partial, k, t);
}

static void backward_tile(walk *w, const surge_neuron_partials *partial, size_t p) {
  const surge_neuron_backward *a = w->a;
  const surge_neuron *n = &a->common;
  begin(w, p);
  rebuild(w);
  for (size_t t = w->tiling->T; t-- > 0;) backward_step(w, partial, t);
  const surge_cpu_piece *piece = &w->tile.piece;
  for (int32_t k = 0; k < n->inputs; k++) {
    if (a->sums[k] && !n->input[k].per_step) flush_sums(w, partial, k, 0);
    if (a->da[k] && n->input[k].is_static)
      deliver(a->da[k] + piece->offset, w->still[k], piece->length, a->mode[k]);
  }
  if (a->dv_in) memcpy(a->dv_in + piece->offset, w->gv, piece->length * sizeof(float));
  if (a->drho)
    surge_neuron_reduce(partial->width, w->width, piece,
                        n->spec.granularity == SURGE_PER_CHANNEL);
  if (a->ddecay_logit) surge_neuron_reduce(partial->decay, w->decay, piece, false);
}

/* --- groups and the last stage -------------------------------------------- */

static size_t sum_count(const surge_neuron *n, int32_t k) {
  return 2 * (size_t)n->map.c * (n->input[k].per_step ? (size_t)n->T : 1);
}

static void backward_group(const surge_neuron_backward *a,
                           const surge_neuron_tiling *tiling, size_t g) {
  const surge_neuron *n = &a->common;
  surge_neuron_partials partial = surge_neuron_partials_of(n, tiling, g);
  walk w;
  w.a = a;
  w.tiling = tiling;
  w.u = partial.u;
  w.decay_factor = n->scalars[SURGE_SCALAR_DECAY];
  w.gain = n->scalars[SURGE_SCALAR_GAIN];
  *partial.decay = 0;
  memset(partial.width, 0, tiling->C * sizeof *partial.width);
  for (int32_t k = 0; k < n->inputs; k++)
    memset(partial.sums[k], 0, sum_count(n, k) * sizeof(double));
  size_t last = surge_cpu_first(tiling->cut.count, tiling->groups, g + 1);
  for (size_t p = surge_cpu_first(tiling->cut.count, tiling->groups, g); p < last; p++)
    backward_tile(&w, &partial, p);
}

static void finish_sums(const surge_neuron_backward *a,
                        const surge_neuron_tiling *tiling, int32_t k) {
  for (size_t i = 0; i < sum_count(&a->common, k); i++) {
    double sum = 0;
    for (size_t g = 0; g < tiling->groups; g++)
      sum += surge_neuron_partials_of(&a->common, tiling, g).sums[k][i];
    a->sums[k][i] = (float)sum;
  }
}

static void finish_scalars(const surge_neuron_backward *a,
                           const surge_neuron_tiling *tiling) {
  const surge_neuron *n = &a->common;
  size_t P = n->spec.granularity == SURGE_PER_CHANNEL ? tiling->C : 1;
  for (size_t p = 0; a->drho && p < P; p++) {
    double sum = 0;
    for (size_t g = 0; g < tiling->groups; g++)
      sum += surge_neuron_partials_of(n, tiling, g).width[p];
    a->drho[p] = (float)((double)a->drho[p] + sum);
  }
  if (!a->ddecay_logit) return;
  double d = (double)n->scalars[SURGE_SCALAR_DECAY], sum = 0;
  for (size_t g = 0; g < tiling->groups; g++)
    sum += *surge_neuron_partials_of(n, tiling, g).decay;
  *a->ddecay_logit = (float)((double)*a->ddecay_logit + d * (1 - d) * sum);
}

surge_status surge_cpu_neuron_backward(surge_context *context,
                                       const surge_neuron_backward *a) {
  SURGE_TRY(surge_check_neuron_backward(a));
  const surge_neuron_tiling tiling = surge_neuron_tiling_of(&a->common);
#pragma omp parallel for num_threads(context->threads) schedule(dynamic)
  for (size_t g = 0; g < tiling.groups; g++) backward_group(a, &tiling, g);
  for (int32_t k = 0; k < a->common.inputs; k++)
    if (a->sums[k]) finish_sums(a, &tiling, k);
  finish_scalars(a, &tiling);
  return SURGE_OK;
}
