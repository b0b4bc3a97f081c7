/* neuron.c - the neuron op in double, one element after the other. */
#include "tests/ref64/neuron.h"

#include <math.h>
#include <stdlib.h>

static double square(double x) { return x * x; }

static double clamp(double x, double low, double high) {
  return fmin(fmax(x, low), high);
}

static double *zeros(size_t count) { return calloc(count, sizeof(double)); }

static double rounded_if(bool rounded, double x) {
  return rounded ? (double)(float)x : x;
}

/* What a state [M] is before the first step (or a gradient after the last). */
static double state_at(const double *state, size_t i) {
  return state ? state[i] : 0;
}

/* ======================================================================== *
 *  Families: method, section 2
 * ======================================================================== */

/* S(y) of width 1. */
static double unit_soft_spike(surge_family family, double y) {
  switch (family) {
    case SURGE_RECTANGULAR: return clamp(y + 0.5, 0, 1);
    case SURGE_TRIANGULAR: {
      double tail = 0.5 * square(fmax(0, 1 - fabs(y)));
      return y < 0 ? tail : 1 - tail;
    }
    case SURGE_ARCTAN: return atan(M_PI * y / 2) / M_PI + 0.5;
    case SURGE_SIGMOID: return 1 / (1 + exp(-y));
    case SURGE_GAUSSIAN: return 0.5 * erfc(-y / M_SQRT2);
    case SURGE_FAST_SIGMOID: return y / (2 * (1 + fabs(y))) + 0.5;
  }
  return NAN;
}

/* f(y) = S'(y). */
static double unit_density(surge_family family, double y) {
  switch (family) {
    case SURGE_RECTANGULAR: return fabs(y) < 0.5 ? 1 : 0;
    case SURGE_TRIANGULAR: return fmax(0, 1 - fabs(y));
    case SURGE_ARCTAN: return 0.5 / (1 + square(M_PI * y / 2));
    case SURGE_SIGMOID: /* s(1-s), without 1 - s */
      return exp(-fabs(y)) / square(1 + exp(-fabs(y)));
    case SURGE_GAUSSIAN: return exp(-square(y) / 2) / sqrt(2 * M_PI);
    case SURGE_FAST_SIGMOID: return 0.5 / square(1 + fabs(y));
  }
  return NAN;
}

/* f'(y), one-sided at a kink. */
static double unit_slope(surge_family family, double y) {
  double f = unit_density(family, y), sign = y < 0 ? -1 : 1;
  switch (family) {
    case SURGE_RECTANGULAR: return 0;
    case SURGE_TRIANGULAR: return fabs(y) < 1 ? -sign : 0;
    case SURGE_ARCTAN: return -square(f) * square(M_PI) * y;
    case SURGE_SIGMOID: return f * (1 - 2 * unit_soft_spike(SURGE_SIGMOID, y));
    case SURGE_GAUSSIAN: return -y * f;
    case SURGE_FAST_SIGMOID: return -sign / pow(1 + fabs(y), 3);
  }
  return NAN;
}

double ref_soft_spike(surge_family family, double x, double w) {
  return unit_soft_spike(family, x / w);
}

double ref_surrogate(surge_family family, double x, double w) {
  return unit_density(family, x / w) / w;
}

double ref_surrogate_slope(surge_family family, double x, double w) {
  return unit_slope(family, x / w) / square(w);
}

static double central_half(surge_family family) {
  switch (family) {
#define HALF(NAME, word, half)                                                 \
  case SURGE_##NAME: return half;
    SURGE_FAMILY_LIST(HALF)
#undef HALF
  }
  return NAN;
}

double ref_window(surge_family family, double w) {
  if (family == SURGE_RECTANGULAR) return w / 2;
  if (family == SURGE_TRIANGULAR) return w;
  return central_half(family) * w;
}

/* ======================================================================== *
 *  Scalars
 * ======================================================================== */

/* Width of channel c at step 0 (later = 0) or after it (later = 1). */
static double width_of(const surge_neuron_spec *spec, double d, double rho,
                       double g, double progress, int later) {
  double start = (double)spec->width, end = (double)spec->width_end;
  double theta = (double)spec->v_threshold;
  double from_rectangular = 0.25 / central_half(spec->family);
  switch (spec->width_rule) {
    case SURGE_WIDTH_FIXED: return start;
    case SURGE_WIDTH_LEARNED: return exp(rho);
    case SURGE_WIDTH_DECAY:
      return 2 * theta * sqrt(1 + d * d) * from_rectangular;
    case SURGE_WIDTH_NORM:
      return 2 * g * theta * (later ? sqrt(1 + d * d) : 1) * from_rectangular;
    case SURGE_WIDTH_SCHEDULE: return start * pow(end / start, progress);
  }
  return NAN;
}

/* g of the norms that are there: the root of their mean square. */
static double gamma_of(const double *const gamma[2], int32_t C) {
  double squares = 0;
  int norms = 0;
  for (; norms < 2 && gamma[norms]; norms++) {
    double g = 0;
    for (int32_t c = 0; c < C; c++) g += gamma[norms][c] / C;
    squares += square(fmax(g, 1e-3));
  }
  return sqrt(squares / norms);
}

void ref_neuron_scalars(double scalars[SURGE_SCALAR_COUNT], double *width,
                        const surge_neuron_spec *spec, const double *rho,
                        const double *p, const double *p_s,
                        const double *const gamma[2], double progress,
                        int32_t C) {
  double d = p ? 1 / (1 + exp(-p[0])) : (double)spec->decay;
  double theta = (double)spec->v_threshold;
  double g = gamma ? gamma_of(gamma, C) : 0;
  scalars[SURGE_SCALAR_DECAY] = d;
  scalars[SURGE_SCALAR_GAIN] = spec->decay_input ? 1 - d : 1;
  scalars[SURGE_SCALAR_SYNAPSE] =
      p_s ? 1 / (1 + exp(-p_s[0])) : (double)spec->synapse_decay;
  scalars[SURGE_SCALAR_PDA_MEAN] = (double)spec->pda_mean;
  scalars[SURGE_SCALAR_PDA_STD] =
      spec->pda_std > 0 ? (double)spec->pda_std : theta * sqrt(1 + d * d);
  int32_t P = spec->granularity == SURGE_PER_CHANNEL ? C : 1;
  for (int later = 0; later < 2; later++)
    for (int32_t c = 0; c < P; c++)
      width[later * P + c] =
          width_of(spec, d, rho ? rho[c] : 0, g, progress, later);
}

/* ======================================================================== *
 *  Forward: method, section 1
 * ======================================================================== */

size_t ref_neurons(const ref_neuron *n) {
  return (size_t)n->N * surge_map_elements(&n->map);
}

int32_t ref_channel(const ref_neuron *n, size_t i) {
  return surge_channel_of(&n->map, i % surge_map_elements(&n->map));
}

double ref_width_at(const ref_neuron *n, int32_t t, size_t i) {
  if (n->spec.granularity == SURGE_PER_LAYER) return n->width[t > 0];
  return n->width[(t > 0) * n->map.c + ref_channel(n, i)];
}

/* a = scale*z + shift, or z. */
static double input_at(const ref_neuron *n, const ref_input *in, int32_t t,
                       size_t i) {
  double z = in->z[(in->is_static ? 0 : (size_t)t * ref_neurons(n)) + i];
  if (!in->scale) return z;
  int32_t k = (in->per_step ? t : 0) * n->map.c + ref_channel(n, i);
  double product = rounded_if(n->rounded, in->scale[k] * z);
  return rounded_if(n->rounded, product + in->shift[k]);
}

/* Step t of element i; v and current are what step t-1 left. */
static void step(const ref_neuron *n, ref_trace *trace, int32_t t, size_t i,
                 double v, double current) {
  const surge_neuron_spec *spec = &n->spec;
  double theta = (double)spec->v_threshold, rest = (double)spec->v_reset;
  size_t k = (size_t)t * ref_neurons(n) + i;
  double x = input_at(n, &n->input[0], t, i);
  if (n->inputs == 2)
    x = rounded_if(n->rounded, x + input_at(n, &n->input[1], t, i));
  double a = rounded_if(n->rounded, n->scalars[SURGE_SCALAR_GAIN] * x);
  double kept =
      rounded_if(n->rounded, n->scalars[SURGE_SCALAR_SYNAPSE] * current);
  current = rounded_if(n->rounded, kept + a);
  double leak = rounded_if(n->rounded, n->scalars[SURGE_SCALAR_DECAY] * v);
  double u = rounded_if(n->rounded, leak + current);
  double s = u >= theta;
  if (spec->soft_forward)
    s = rounded_if(n->rounded, ref_soft_spike(spec->family, u - theta,
                                              ref_width_at(n, t, i)));
  double r = n->frozen_reset ? n->frozen_reset[k] : s;
  trace->x[k] = x;
  trace->a[k] = a;
  trace->i[k] = current;
  trace->u[k] = u;
  trace->s[k] = s;
  trace->v[k] = rounded_if(n->rounded, spec->reset == SURGE_RESET_HARD
                                           ? u * (1 - r) + rest * r
                                           : u - theta * r);
}

ref_trace ref_neuron_forward(const ref_neuron *n) {
  size_t M = ref_neurons(n), count = (size_t)n->T * M;
  ref_trace trace = {.x = zeros(count),
                     .a = zeros(count),
                     .i = zeros(count),
                     .u = zeros(count),
                     .s = zeros(count),
                     .v = zeros(count)};
  for (int32_t t = 0; t < n->T; t++)
    for (size_t i = 0; i < M; i++) {
      size_t before = (size_t)(t - 1) * M + i;
      step(n, &trace, t, i, t ? trace.v[before] : state_at(n->v_in, i),
           t ? trace.i[before] : state_at(n->i_in, i));
    }
  return trace;
}

void ref_trace_free(ref_trace *trace) {
  free(trace->x);
  free(trace->a);
  free(trace->i);
  free(trace->u);
  free(trace->s);
  free(trace->v);
  *trace = (ref_trace){0};
}

/* ======================================================================== *
 *  PDA: method, section 3
 * ======================================================================== */

static double logit(double p) { return log(p / (1 - p)); }

static int32_t pda_index(const ref_neuron *n, size_t i) {
  return n->spec.pda_granularity == SURGE_PER_CHANNEL ? ref_channel(n, i) : 0;
}

/* The quantization kind's D of one element; q is the hard decision. */
static double quantization_of(const ref_neuron *n, int32_t t, size_t i,
                              double u) {
  double eps = (double)n->spec.pda_epsilon, theta = (double)n->spec.v_threshold;
  double p =
      clamp(ref_soft_spike(n->spec.family, u - theta, ref_width_at(n, t, i)),
            eps, 1 - eps);
  double q = u >= theta ? 1 - eps : eps;
  return (p - q) / 2 * (logit(p) - logit(q));
}

static void moment_of(ref_pda *pda, const ref_neuron *n, double elements,
                      double scale) {
  double mu0 = n->scalars[SURGE_SCALAR_PDA_MEAN];
  double v0 = square(n->scalars[SURGE_SCALAR_PDA_STD]);
  double e = pda->m - mu0;
  double v = pda->variance + 1e-5 * square((double)n->spec.v_threshold);
  pda->D = ((v + e * e) / v0 + (v0 + e * e) / v - 2) / 4;
  pda->c0 = scale / elements * e / 2 * (1 / v0 + 1 / v);
  pda->c1 = scale / elements / 2 * (1 / v0 - (v0 + e * e) / (v * v));
}

double ref_neuron_pda(ref_pda *pda, const ref_neuron *n, const ref_trace *trace,
                      double scale) {
  size_t M = ref_neurons(n);
  int32_t P = n->spec.pda_granularity == SURGE_PER_CHANNEL ? n->map.c : 1;
  double elements = (double)n->T * (double)M, each = elements / P, D = 0;
  bool moment = n->spec.pda == SURGE_PDA_MOMENT;
  for (int32_t p = 0; p < P; p++) pda[p] = (ref_pda){0};
  for (size_t k = 0; k < (size_t)n->T * M; k++) {
    ref_pda *own = &pda[pda_index(n, k % M)];
    if (moment)
      own->m += trace->u[k] / each;
    else
      own->D += quantization_of(n, (int32_t)(k / M), k % M, trace->u[k]) / each;
  }
  for (size_t k = 0; moment && k < (size_t)n->T * M; k++) {
    ref_pda *own = &pda[pda_index(n, k % M)];
    own->variance += square(trace->u[k] - own->m) / each;
  }
  for (int32_t p = 0; p < P; p++) {
    if (moment)
      moment_of(&pda[p], n, elements, scale);
    else
      pda[p].c0 = scale / elements;
    D += pda[p].D / P;
  }
  return D;
}

double ref_pda_gradient(const ref_neuron *n, const ref_pda *pda, int32_t t,
                        size_t i, double u) {
  const ref_pda *own = &pda[pda_index(n, i)];
  if (n->spec.pda == SURGE_PDA_MOMENT) return own->c0 + own->c1 * (u - own->m);
  double eps = (double)n->spec.pda_epsilon;
  double x = u - (double)n->spec.v_threshold, w = ref_width_at(n, t, i);
  double p = ref_soft_spike(n->spec.family, x, w), q = x >= 0 ? 1 - eps : eps;
  if (p < eps || p > 1 - eps) return 0;
  return own->c0 * ref_surrogate(n->spec.family, x, w) / 2 *
         (logit(p) - logit(q) + (p - q) / (p * (1 - p)));
}

/* ======================================================================== *
 *  Statistics
 * ======================================================================== */

void ref_neuron_statistics(surge_neuron_statistics *statistics,
                           const ref_neuron *n, const ref_trace *trace) {
  size_t M = ref_neurons(n);
  double theta = (double)n->spec.v_threshold;
  for (int32_t t = 0; t < n->T; t++) {
    const double *u = trace->u + (size_t)t * M, *s = trace->s + (size_t)t * M;
    surge_neuron_statistics own = {.count = (double)M};
    for (size_t i = 0; i < M; i++) own.mean += u[i] / (double)M;
    for (size_t i = 0; i < M; i++) {
      double half = ref_window(n->spec.family, ref_width_at(n, t, i));
      own.m2 += square(u[i] - own.mean);
      own.window += fabs(u[i] - theta) < half;
      own.spikes += s[i];
      own.quantization += square(u[i] - s[i]);
    }
    statistics[t] = own;
  }
}

void ref_neuron_histogram(uint64_t *bins, const ref_neuron *n,
                          const ref_trace *trace) {
  double theta = (double)n->spec.v_threshold;
  for (int b = 0; b < SURGE_HISTOGRAM_BINS + 2; b++) bins[b] = 0;
  for (size_t k = 0; k < (size_t)n->T * ref_neurons(n); k++) {
    double position = (trace->u[k] / theta + 4) / 8 * SURGE_HISTOGRAM_BINS;
    if (position < 0)
      bins[SURGE_HISTOGRAM_BINS]++;
    else if (position >= SURGE_HISTOGRAM_BINS)
      bins[SURGE_HISTOGRAM_BINS + 1]++;
    else
      bins[(int)position]++;
  }
}

/* ======================================================================== *
 *  Backward: the adjoint of section 1
 * ======================================================================== */

/* Step t of element i; dv_in and di_in of g hold dL/dv[t], and what of dL/di[t]
 * comes from the steps after; then those of t-1. */
static void step_back(const ref_neuron *n, const ref_trace *trace,
                      const ref_upstream *up, ref_gradient *g, int32_t t,
                      size_t i) {
  const surge_neuron_spec *spec = &n->spec;
  size_t M = ref_neurons(n), k = (size_t)t * M + i;
  double theta = (double)spec->v_threshold, rest = (double)spec->v_reset;
  double u = trace->u[k], s = trace->s[k], x = u - theta, gv = g->dv_in[i];
  double h = ref_surrogate(spec->family, x, ref_width_at(n, t, i));
  bool hard = spec->reset == SURGE_RESET_HARD;
  double delta = up->gs[k];
  if (!spec->detach_reset) delta += gv * (hard ? rest - u : -theta);
  double q = up->pda ? ref_pda_gradient(n, up->pda, t, i, u) : 0;
  double gu = delta * h + gv * (hard ? 1 - s : 1) + q;
  double gi = gu + g->di_in[i];
  double ga = gi + (up->g_current ? up->g_current[k] : 0);
  bool channel = spec->granularity == SURGE_PER_CHANNEL;

  g->delta[k] = delta;
  g->gv[k] = gv;
  g->q[k] = q;
  g->gu[k] = gu;
  g->gi[k] = gi;
  g->da[k] = n->scalars[SURGE_SCALAR_GAIN] * ga;
  g->drho[channel ? ref_channel(n, i) : 0] -= delta * x * h;
  g->decay += gu * (t ? trace->v[k - M] : state_at(n->v_in, i));
  g->synapse += gi * (t ? trace->i[k - M] : state_at(n->i_in, i));
  if (spec->decay_input) g->decay -= ga * trace->x[k]; /* gain = 1 - d */
  g->dv_in[i] = n->scalars[SURGE_SCALAR_DECAY] * gu;
  g->di_in[i] = n->scalars[SURGE_SCALAR_SYNAPSE] * gi;
}

/* An input's own gradient and channel sums, from da of all steps. */
static void input_gradient(const ref_neuron *n, ref_gradient *g, int which) {
  const ref_input *in = &n->input[which];
  size_t M = ref_neurons(n);
  int32_t C = n->map.c, steps = in->per_step ? n->T : 1;
  g->input[which] = zeros((in->is_static ? 1 : (size_t)n->T) * M);
  if (in->scale) g->sums[which] = zeros((size_t)(steps * 2 * C));
  for (int32_t t = 0; t < n->T; t++)
    for (size_t i = 0; i < M; i++) {
      size_t at = (in->is_static ? 0 : (size_t)t * M) + i;
      double da = g->da[(size_t)t * M + i];
      bool weighted = in->is_static && in->step_scale;
      g->input[which][at] += weighted ? in->step_scale[t] * da : da;
      if (!in->scale) continue;
      int32_t c = ref_channel(n, i);
      double *sums = g->sums[which] + (in->per_step ? t : 0) * 2 * C;
      sums[c] += da;
      sums[C + c] += da * (in->z[at] - in->mean[c]) * in->rstd[c];
    }
}

ref_gradient ref_neuron_backward(const ref_neuron *n, const ref_trace *trace,
                                 const ref_upstream *up) {
  size_t M = ref_neurons(n), count = (size_t)n->T * M;
  ref_gradient g = {.delta = zeros(count),
                    .gv = zeros(count),
                    .q = zeros(count),
                    .gu = zeros(count),
                    .gi = zeros(count),
                    .da = zeros(count),
                    .dv_in = zeros(M),
                    .di_in = zeros(M),
                    .drho = zeros((size_t)n->map.c)};
  for (size_t i = 0; i < M; i++) {
    g.dv_in[i] = state_at(up->gv_out, i);
    g.di_in[i] = state_at(up->gi_out, i);
  }
  for (int32_t t = n->T - 1; t >= 0; t--)
    for (size_t i = 0; i < M; i++) step_back(n, trace, up, &g, t, i);
  double d = n->scalars[SURGE_SCALAR_DECAY];
  double d_s = n->scalars[SURGE_SCALAR_SYNAPSE];
  g.decay_logit = d * (1 - d) * g.decay;
  g.synapse_logit = d_s * (1 - d_s) * g.synapse;
  for (int which = 0; which < n->inputs; which++) input_gradient(n, &g, which);
  return g;
}

void ref_gradient_free(ref_gradient *g) {
  double *all[] = {g->delta,    g->gv,      g->q,      g->gu,   g->gi,
                   g->da,       g->dv_in,   g->di_in,  g->drho, g->input[0],
                   g->input[1], g->sums[0], g->sums[1]};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
  *g = (ref_gradient){0};
}

/* ======================================================================== *
 *  Integrator
 * ======================================================================== */

void ref_integrator_forward(double *y, const double *x, double d, int32_t T,
                            size_t M, bool rounded) {
  for (size_t k = 0; k < (size_t)T * M; k++) {
    double before = k < M ? 0 : y[k - M];
    y[k] = rounded_if(rounded, rounded_if(rounded, d * before) + x[k]);
  }
}

void ref_integrator_backward(double *dx, const double *dy, double d, int32_t T,
                             size_t M, bool rounded) {
  size_t count = (size_t)T * M;
  for (size_t k = count; k-- > 0;) {
    double after = k + M < count ? dx[k + M] : 0;
    dx[k] = rounded_if(rounded, rounded_if(rounded, d * after) + dy[k]);
  }
}
