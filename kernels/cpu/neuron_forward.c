/* neuron_forward.c - current to spikes over all T, one pass over memory.
 *
 * A tile's steps run in the first cache; what reaches memory is z in and s out.
 * The membrane of every step is kept in the tile's scratch only where moments
 * or statistics ask for it. */
#include <math.h>
#include <string.h>

#include "kernels/cpu/neuron_tile.h"
#include "kernels/shared/fault.h"
#include "kernels/shared/neuron.h"
#include "kernels/shared/pda.h"
#include "src/backend/checks.h"

#define INLINE static inline __attribute__((always_inline))

/* --- one step of a tile --------------------------------------------------- */

typedef struct step_row {
  size_t length;
  float *restrict u, *restrict s, *restrict v;
  const float *restrict x;     /* the current, gain included */
  const float *restrict inv_w;
  float decay, theta, v_reset;
} step_row;

/* Whether a membrane was not finite. Constants select the instance. */
INLINE int fire_row(const step_row *r, surge_family family, bool soft,
                    surge_reset reset) {
  int bad = 0;
  for (size_t i = 0; i < r->length; i++) {
    float u = surge_membrane(r->decay, r->v[i], r->x[i]);
    float s = surge_fire(family, soft, u, r->theta, r->inv_w[i]);
    r->u[i] = u;
    r->s[i] = s;
    r->v[i] = surge_reset_membrane(reset, u, s, r->theta, r->v_reset);
    bad |= !(surge_absf(u) < INFINITY);
  }
  return bad;
}

INLINE int fire_family(const step_row *r, surge_family family,
                       surge_reset reset) {
  return reset == SURGE_RESET_HARD ? fire_row(r, family, true, SURGE_RESET_HARD)
                                   : fire_row(r, family, true, SURGE_RESET_SOFT);
}

static int fire(const step_row *r, const surge_neuron_spec *spec) {
  if (!spec->soft_forward) /* no family has a say */
    return spec->reset == SURGE_RESET_HARD
               ? fire_row(r, SURGE_RECTANGULAR, false, SURGE_RESET_HARD)
               : fire_row(r, SURGE_RECTANGULAR, false, SURGE_RESET_SOFT);
  switch (spec->family) {
#define CASE(NAME, word, half)                                                 \
  case SURGE_##NAME:                                                           \
    return fire_family(r, SURGE_##NAME, spec->reset);
    SURGE_FAMILY_LIST(CASE)
#undef CASE
  }
  return 0;
}

/* --- moments of a tile's membranes (PDA) ---------------------------------- */

/* Adds the moments of u [T, E] to the layer's, or to each channel's. Two
 * passes: a centre, then the deviations from it. */
static void add_moments(surge_moments *total, const float *u,
                        const surge_neuron_tiling *tiling,
                        const surge_cpu_piece *piece, bool channels) {
  float centre[SURGE_TILE] = {0}, sum[SURGE_TILE] = {0}, squares[SURGE_TILE] = {0};
  size_t T = tiling->T, length = piece->length;
  for (size_t t = 0; t < T; t++)
    for (size_t i = 0; i < length; i++) centre[i] += u[t * tiling->E + i];
  size_t lanes = channels ? (size_t)piece->period : 1;
  lanes = lanes < length ? lanes : length;
  for (size_t l = 0; l < lanes; l++) { /* the mean of a lane's elements */
    double mean = 0, n = 0;
    for (size_t i = l; i < length; i += lanes, n++) mean += (double)centre[i];
    for (size_t i = l; i < length; i += lanes)
      centre[i] = (float)(mean / (n * (double)T));
  }
  for (size_t t = 0; t < T; t++)
    for (size_t i = 0; i < length; i++) {
      float d = u[t * tiling->E + i] - centre[i];
      sum[i] += d;
      squares[i] += d * d;
    }
  for (size_t l = 0; l < lanes; l++) {
    double n = 0, first = 0, second = 0;
    for (size_t i = l; i < length; i += lanes, n++) {
      first += (double)sum[i];
      second += (double)squares[i];
    }
    surge_moments *m = &total[channels ? (size_t)piece->channel + l : 0];
    *m = surge_moments_merge(*m, surge_moments_about((double)centre[l],
                                                     n * (double)T, first, second));
  }
}

/* --- quantization kind of PDA --------------------------------------------- */

INLINE void quantize_row(float *sum, const float *u, const float *inv_w,
                         size_t length, const surge_neuron_spec *s,
                         surge_family family, float edge) {
  for (size_t i = 0; i < length; i++)
    sum[i] += surge_pda_quantization(family, u[i], s->v_threshold, inv_w[i],
                                     s->pda_epsilon, edge).loss;
}

static void add_quantization(float *sum, const float *u, const float *inv_w,
                             size_t length, const surge_neuron_spec *s) {
  double eps = (double)s->pda_epsilon;
  float edge = (float)log((1 - eps) / eps);
  switch (s->family) {
#define CASE(NAME, word, half)                                                 \
  case SURGE_##NAME:                                                           \
    quantize_row(sum, u, inv_w, length, s, SURGE_##NAME, edge);                \
    break;
    SURGE_FAMILY_LIST(CASE)
#undef CASE
  }
}

/* --- statistics ----------------------------------------------------------- */

static void add_statistics(surge_neuron_statistics *total, uint64_t *histogram,
                           const float *u, const float *s, const float *inv_w,
                           size_t length, const surge_neuron_spec *spec) {
  double sum = 0, m2 = 0, window = 0, spikes = 0, quantization = 0;
  float theta = spec->v_threshold, half = surge_window(spec->family);
  for (size_t i = 0; i < length; i++) sum += (double)u[i];
  double mean = sum / (double)length;
  for (size_t i = 0; i < length; i++) {
    double d = (double)u[i] - mean, e = (double)u[i] - (double)s[i];
    m2 += d * d;
    quantization += e * e;
    window += surge_absf((u[i] - theta) * inv_w[i]) < half;
    spikes += u[i] >= theta;
  }
  surge_moments both = surge_moments_merge(
      (surge_moments){total->count, total->mean, total->m2},
      (surge_moments){(double)length, mean, m2});
  *total = (surge_neuron_statistics){both.n, both.mean, both.m2,
                                     total->window + window,
                                     total->spikes + spikes,
                                     total->quantization + quantization};
  if (!histogram) return;
  float per_bin = (float)SURGE_HISTOGRAM_BINS / (8.0f * theta);
  for (size_t i = 0; i < length; i++) {
    float bin = floorf((u[i] + 4.0f * theta) * per_bin);
    histogram[bin < 0                          ? SURGE_HISTOGRAM_BINS
              : bin >= SURGE_HISTOGRAM_BINS    ? SURGE_HISTOGRAM_BINS + 1
              : bin >= 0 ? (size_t)bin : SURGE_HISTOGRAM_BINS + 1]++;
  }
}

/* --- a tile --------------------------------------------------------------- */

static void start_membrane(float *v, const surge_neuron *n,
                           const surge_cpu_piece *piece) {
  if (n->v_in)
    memcpy(v, n->v_in + piece->offset, piece->length * sizeof *v);
  else
    memset(v, 0, piece->length * sizeof *v);
}

static void forward_tile(const surge_neuron_forward *a,
                         const surge_neuron_tiling *tiling,
                         surge_neuron_partials *partial, size_t p) {
  const surge_neuron *n = &a->common;
  const surge_neuron_spec *spec = &n->spec;
  surge_neuron_tile tile;
  float x[SURGE_TILE], v[SURGE_TILE], divergence[SURGE_TILE] = {0};
  bool moments = a->pda && spec->pda == SURGE_PDA_MOMENT;
  bool quantization = a->pda && spec->pda == SURGE_PDA_QUANTIZATION;
  surge_neuron_tile_begin(&tile, n, tiling, p);
  size_t length = tile.piece.length, offset = tile.piece.offset;
  float gain = n->scalars[SURGE_SCALAR_GAIN];
  step_row row = {.length = length, .v = v, .x = x,
                  .decay = n->scalars[SURGE_SCALAR_DECAY],
                  .theta = spec->v_threshold, .v_reset = spec->v_reset};
  start_membrane(v, n, &tile.piece);
  int bad = 0;
  for (size_t t = 0; t < tiling->T; t++) {
    surge_neuron_current(&tile, t, x);
    for (size_t i = 0; i < length; i++) x[i] = gain * x[i];
    if (a->current)
      memcpy(a->current + t * tiling->M + offset, x, length * sizeof *x);
    row.u = partial->u + (moments ? t * tiling->E : 0);
    row.s = a->s + t * tiling->M + offset;
    row.inv_w = surge_neuron_inv_w(&tile, t);
    bad |= fire(&row, spec);
    if (quantization) add_quantization(divergence, row.u, row.inv_w, length, spec);
    if (a->statistics)
      add_statistics(&partial->statistics[t], a->histogram ? partial->histogram : NULL,
                     row.u, row.s, row.inv_w, length, spec);
  }
  if (bad) *partial->fault = 1;
  if (a->v_out) memcpy(a->v_out + offset, v, length * sizeof *v);
  if (moments)
    add_moments(partial->moments, partial->u, tiling, &tile.piece,
                spec->pda_granularity == SURGE_PER_CHANNEL);
  if (quantization)
    surge_neuron_reduce(partial->pda, divergence, &tile.piece, false);
}

/* --- the last stage ------------------------------------------------------- */

/* The moment kind: coefficients of every entry; the mean of D over them. */
static double finish_moments(const surge_neuron_forward *a,
                             const surge_neuron_tiling *tiling,
                             const surge_moments *moments) {
  const surge_neuron *n = &a->common;
  bool channels = n->spec.pda_granularity == SURGE_PER_CHANNEL;
  size_t P = channels ? tiling->C : 1;
  double std = (double)n->scalars[SURGE_SCALAR_PDA_STD], sum = 0;
  surge_pda_target target = {(double)n->scalars[SURGE_SCALAR_PDA_MEAN], std * std};
  double theta = (double)n->spec.v_threshold;
  for (size_t p = 0; p < P; p++) {
    const surge_moments *m = &moments[p];
    double variance = m->m2 / m->n, scale = (double)a->pda_scale / (m->n * (double)P);
    sum += surge_pda_moment(m->mean, variance, theta, target);
    a->pda[p] = surge_pda_moment_coefficients(m->mean, variance, theta, target, scale);
  }
  return sum / (double)P;
}

static void finish_pda(const surge_neuron_forward *a,
                       const surge_neuron_tiling *tiling) {
  const surge_neuron *n = &a->common;
  bool channels = n->spec.pda_granularity == SURGE_PER_CHANNEL;
  size_t P = channels ? tiling->C : 1;
  double elements = (double)tiling->M * (double)tiling->T, D = 0;
  surge_moments *total = surge_neuron_partials_of(n, tiling, 0).moments;
  for (size_t g = 0; g < tiling->groups; g++) {
    surge_neuron_partials partial = surge_neuron_partials_of(n, tiling, g);
    D += *partial.pda;
    for (size_t p = 0; g > 0 && n->spec.pda == SURGE_PDA_MOMENT && p < P; p++)
      if (partial.moments[p].n > 0)
        total[p] = surge_moments_merge(total[p], partial.moments[p]);
  }
  if (n->spec.pda == SURGE_PDA_MOMENT) {
    D = finish_moments(a, tiling, total);
  } else {
    D /= elements;
    for (size_t p = 0; p < P; p++)
      a->pda[p] = (surge_pda_coefficients){
          0.0f, (float)((double)a->pda_scale / elements), 0.0f};
  }
  a->metrics->pda += (double)n->N * D;
}

static void finish_statistics(const surge_neuron_forward *a,
                              const surge_neuron_partials *partial, size_t T) {
  for (size_t t = 0; t < T; t++) {
    surge_neuron_statistics *to = &a->statistics[t], *from = &partial->statistics[t];
    surge_moments both =
        surge_moments_merge((surge_moments){to->count, to->mean, to->m2},
                            (surge_moments){from->count, from->mean, from->m2});
    *to = (surge_neuron_statistics){both.n, both.mean, both.m2,
                                    to->window + from->window,
                                    to->spikes + from->spikes,
                                    to->quantization + from->quantization};
  }
  for (size_t i = 0; a->histogram && i < SURGE_HISTOGRAM_BINS + 2; i++)
    (*a->histogram)[i] += partial->histogram[i];
}

static void forward_group(const surge_neuron_forward *a,
                          const surge_neuron_tiling *tiling, size_t g) {
  surge_neuron_partials partial = surge_neuron_partials_of(&a->common, tiling, g);
  *partial.pda = *partial.fault = 0;
  if (a->pda) memset(partial.moments, 0, tiling->C * sizeof *partial.moments);
  if (a->statistics) {
    memset(partial.statistics, 0, tiling->T * sizeof *partial.statistics);
    memset(partial.histogram, 0, sizeof(surge_histogram));
  }
  size_t last = surge_cpu_first(tiling->cut.count, tiling->groups, g + 1);
  for (size_t p = surge_cpu_first(tiling->cut.count, tiling->groups, g); p < last; p++)
    forward_tile(a, tiling, &partial, p);
}

surge_status surge_cpu_neuron_forward(surge_context *context,
                                      const surge_neuron_forward *a) {
  SURGE_TRY(surge_check_neuron_forward(a));
  const surge_neuron_tiling tiling = surge_neuron_tiling_of(&a->common);
#pragma omp parallel for num_threads(context->threads) schedule(dynamic)
  for (size_t g = 0; g < tiling.groups; g++) forward_group(a, &tiling, g);
  for (size_t g = 0; g < tiling.groups; g++) {
    surge_neuron_partials partial = surge_neuron_partials_of(&a->common, &tiling, g);
    if (*partial.fault > 0)
      *a->fault = surge_fault_first(*a->fault, a->common.layer);
    if (a->statistics) finish_statistics(a, &partial, tiling.T);
  }
  if (a->pda) finish_pda(a, &tiling);
  return SURGE_OK;
}
