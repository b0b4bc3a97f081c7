/* neuron_bound.c - running error analysis of the neuron op (neuron_bound.h). */
#include "tests/ref64/neuron_bound.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#define ROUND 0x1p-24 /* unit roundoff of fp32 */
/* Roundings within one S_w or h_w: argument, exp or atan or erf to a few
 * units in the last place, and the arithmetic around them. */
#define FUNCTION 16

static double *zeros(size_t count) { return calloc(count, sizeof(double)); }

/* Error of the argument x = u - theta, as S_w and h_w see it. */
static double reach(double x, double eu) { return eu + 4 * ROUND * fabs(x); }

static double surrogate_error(surge_family family, double x, double w,
                              double eu) {
  double h = ref_surrogate(family, x, w), near = reach(x, eu);
  double slope = fabs(ref_surrogate_slope(family, x, w));
  double size = h;
  if (family == SURGE_RECTANGULAR && fabs(fabs(x) - w / 2) <= near)
    return 1 / w;
  if (family == SURGE_TRIANGULAR && fabs(x) < w + near) slope = 1 / (w * w);
  if (family == SURGE_SIGMOID) size = 1 / (4 * w); /* s(1-s) cancels */
  return slope * near + FUNCTION * ROUND * size + (double)FLT_MIN / w;
}

/* One element's way through time. */
typedef struct walk {
  const ref_neuron *n;
  const ref_trace *trace;
  const ref_upstream *up;
  const ref_gradient *g;
  ref_bound *bound;
  double depth;
} walk;

/* Errors of u, s and v at step t, from that of v[t-1]; soft spikes alone:
 * dv/du = (hard ? 1-S + (v_reset-u) h : 1 - theta h). */
static void soft_step(const walk *k, int32_t t, size_t i) {
  const ref_neuron *n = k->n;
  size_t M = ref_neurons(n), at = (size_t)t * M + i;
  double theta = (double)n->spec.v_threshold, rest = (double)n->spec.v_reset;
  double d = n->scalars[SURGE_SCALAR_DECAY], w = ref_width_at(n, t, i);
  double u = k->trace->u[at], s = k->trace->s[at], x = u - theta;
  double before = t ? k->trace->v[at - M] : 0, h = 0, eh = 0;
  bool hard = n->spec.reset == SURGE_RESET_HARD;

  double eu = t ? d * k->bound->v[at - M] : 0;
  eu += 4 * ROUND * (fabs(d * before) + fabs(u));
  h = ref_surrogate(n->spec.family, x, w);
  eh = surrogate_error(n->spec.family, x, w, eu);
  double own = (h + eh) * reach(x, 0) + FUNCTION * ROUND;
  double jump = hard ? rest - u : -theta;
  double slope = hard ? 1 - s + jump * h : 1 + jump * h;
  k->bound->u[at] = eu;
  k->bound->s[at] = (h + eh) * eu + own;
  k->bound->v[at] = (fabs(slope) + fabs(jump) * eh) * eu + fabs(jump) * own +
                    6 * ROUND * (fabs(u) + fabs(rest) + theta);
}

static double logit(double p) { return log(p / (1 - p)); }

/* Error of q = dD/du. */
static double pda_error(const walk *k, int32_t t, size_t i, double u,
                        double eu) {
  const ref_neuron *n = k->n;
  const surge_neuron_spec *spec = &n->spec;
  bool channel = spec->pda_granularity == SURGE_PER_CHANNEL;
  const ref_pda *pda = &k->up->pda[channel ? ref_channel(n, i) : 0];
  if (spec->pda == SURGE_PDA_MOMENT)
    return fabs(pda->c1) * eu +
           3 * ROUND *
               (fabs(pda->c0) + fabs(pda->c1) * (fabs(u) + fabs(pda->m)));
  double x = u - (double)spec->v_threshold, w = ref_width_at(n, t, i);
  double eps = (double)spec->pda_epsilon, q = x >= 0 ? 1 - eps : eps;
  double h = ref_surrogate(spec->family, x, w);
  double eh = surrogate_error(spec->family, x, w, eu);
  double p = ref_soft_spike(spec->family, x, w);
  double ep = (h + eh) * reach(x, eu) + FUNCTION * ROUND;
  bool clipped = p < eps || p > 1 - eps;
  bool near_clip = fabs(fmin(p, 1 - p) - eps) <= ep;
  if (clipped && !near_clip) return 0;
  double pp = p * (1 - p);
  double bracket = logit(p) - logit(q) + (p - q) / pp;
  double slope = 2 / pp + fabs(p - q) * fabs(1 - 2 * p) / (pp * pp);
  double size = fabs(logit(p)) + fabs(logit(q)) + fabs(p - q) / pp;
  double e = eh * fabs(bracket) + h * (slope * ep + FUNCTION * ROUND * size);
  if (near_clip) e += h * fabs(bracket);
  return fabs(pda->c0) / 2 * e;
}

/* Error of gi[t] = gu[t] + d_s*gi[t+1], whose second term's error di_in holds;
 * then that of step t-1. Without a synapse nothing is added. */
static double synapse_error(const walk *k, int32_t t, size_t i, double egu) {
  const ref_neuron *n = k->n;
  size_t M = ref_neurons(n), at = (size_t)t * M + i;
  double d = n->scalars[SURGE_SCALAR_SYNAPSE], gi = k->g->gi[at];
  if (!surge_neuron_synaptic(&n->spec)) return egu;
  double before = t ? k->trace->i[at - M] : n->i_in ? n->i_in[i] : 0;
  double egi = egu + k->bound->di_in[i] + 2 * ROUND * fabs(gi);
  k->bound->synapse_logit +=
      d * (1 - d) *
      (fabs(before) * egi + (8 + k->depth + 2) * ROUND * fabs(gi * before));
  k->bound->di_in[i] = d * egi + 2 * ROUND * fabs(d * gi);
  return egi;
}

/* Errors of step t of the adjoint; eg is that of gv[t]. Returns gv[t-1]'s. */
static double step_back(const walk *k, int32_t t, size_t i, double eg) {
  const ref_neuron *n = k->n;
  const surge_neuron_spec *spec = &n->spec;
  const ref_gradient *g = k->g;
  size_t M = ref_neurons(n), at = (size_t)t * M + i;
  double theta = (double)spec->v_threshold, rest = (double)spec->v_reset;
  double d = n->scalars[SURGE_SCALAR_DECAY], w = ref_width_at(n, t, i);
  double gain = n->scalars[SURGE_SCALAR_GAIN];
  double u = k->trace->u[at], x = u - theta, eu = k->bound->u[at];
  double before = t ? k->trace->v[at - M] : n->v_in ? n->v_in[i] : 0;
  double ev = t ? k->bound->v[at - M] : 0;
  double h = ref_surrogate(spec->family, x, w), gv = g->gv[at];
  double eh = surrogate_error(spec->family, x, w, eu), delta = g->delta[at];
  bool hard = spec->reset == SURGE_RESET_HARD;
  double carry = hard ? 1 - k->trace->s[at] : 1;
  double jump = spec->detach_reset ? 0 : hard ? rest - u : -theta;
  double ejump = hard && !spec->detach_reset ? eu + 2 * ROUND * fabs(jump) : 0;

  double edelta = fabs(jump) * eg + fabs(gv) * ejump +
                  2 * ROUND * (fabs(k->up->gs[at]) + fabs(gv * jump));
  double egu =
      h * edelta + fabs(delta) * eh + carry * eg +
      (hard ? fabs(gv) * k->bound->s[at] : 0) +
      (k->up->pda ? pda_error(k, t, i, u, eu) : 0) +
      4 * ROUND * (fabs(delta * h) + fabs(gv * carry) + fabs(g->q[at]));
  double extra = k->up->g_current ? k->up->g_current[at] : 0;
  double ga = g->gi[at] + extra, egi = synapse_error(k, t, i, egu);
  k->bound->da[at] = gain * (egi + 3 * ROUND * (fabs(g->gi[at]) + fabs(extra)));

  double term = delta * x * h, sum = (k->depth + 2) * ROUND;
  k->bound->drho[spec->granularity ? ref_channel(n, i) : 0] +=
      fabs(x) * h * edelta + fabs(delta) * h * reach(x, eu) +
      fabs(delta * x) * eh + (6 * ROUND + sum) * fabs(term);
  double input = spec->decay_input ? fabs(k->trace->x[at]) : 0;
  k->bound->decay_logit +=
      d * (1 - d) *
      (fabs(before) * egu + input * egi + fabs(g->gu[at]) * ev +
       (8 * ROUND + sum) * (fabs(g->gu[at] * before) + fabs(ga) * input));
  return d * egu + 2 * ROUND * fabs(d * g->gu[at]);
}

static void input_error(const walk *k, int which) {
  const ref_neuron *n = k->n;
  const ref_input *in = &n->input[which];
  size_t M = ref_neurons(n);
  int32_t C = n->map.c, steps = in->per_step ? n->T : 1;
  ref_bound *bound = k->bound;
  bound->input[which] = zeros((in->is_static ? 1 : (size_t)n->T) * M);
  if (in->scale) bound->sums[which] = zeros((size_t)(steps * 2 * C));
  for (int32_t t = 0; t < n->T; t++)
    for (size_t i = 0; i < M; i++) {
      size_t all = (size_t)t * M + i, at = in->is_static ? i : all;
      double da = fabs(k->g->da[all]), e = bound->da[all];
      double p = in->is_static && in->step_scale ? fabs(in->step_scale[t]) : 1;
      double chain = in->is_static ? (n->T + 2) * ROUND * da : 0;
      bound->input[which][at] += p * (e + chain);
      if (!in->scale) continue;
      int32_t c = ref_channel(n, i);
      double *sums = bound->sums[which] + (in->per_step ? t : 0) * 2 * C;
      double sum = (k->depth + 2) * ROUND, rstd = fabs(in->rstd[c]);
      double z = in->z[at], mean = in->mean[c];
      double zhat = fabs(z - mean) * rstd;
      sums[c] += e + sum * da;
      sums[C + c] += e * zhat + sum * da * zhat +
                     4 * ROUND * da * (fabs(z) + fabs(mean)) * rstd;
    }
}

ref_bound ref_neuron_bound(const ref_neuron *n, const ref_trace *trace,
                           const ref_upstream *up, const ref_gradient *g,
                           double depth) {
  size_t M = ref_neurons(n), count = (size_t)n->T * M;
  ref_bound bound = {.u = zeros(count),
                     .s = zeros(count),
                     .v = zeros(count),
                     .da = zeros(count),
                     .dv_in = zeros(M),
                     .di_in = zeros(M),
                     .drho = zeros((size_t)n->map.c)};
  walk k = {n, trace, up, g, &bound, depth};
  for (int32_t t = 0; n->spec.soft_forward && t < n->T; t++)
    for (size_t i = 0; i < M; i++) soft_step(&k, t, i);
  for (int32_t t = n->T - 1; t >= 0; t--)
    for (size_t i = 0; i < M; i++)
      bound.dv_in[i] = step_back(&k, t, i, bound.dv_in[i]);
  for (int which = 0; which < n->inputs; which++) input_error(&k, which);
  return bound;
}

void ref_bound_free(ref_bound *b) {
  double *all[] = {b->u,        b->s,       b->v,      b->da,
                   b->dv_in,    b->di_in,   b->drho,   b->input[0],
                   b->input[1], b->sums[0], b->sums[1]};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
  *b = (ref_bound){0};
}
