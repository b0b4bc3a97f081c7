/* norm.c - the norm in double (see norm.h). */
#include "tests/ref64/norm.h"

#include <math.h>
#include <stdlib.h>

static size_t step_elements(const ref_norm *n) {
  return (size_t)n->N * surge_map_elements(&n->map);
}

static size_t channel_at(const ref_norm *n, size_t i) {
  return (size_t)surge_channel_of(&n->map, i % surge_map_elements(&n->map));
}

static double p_at(const ref_norm *n, size_t t) {
  return n->step_scale ? n->step_scale[t] : 1;
}

static double *zeros(size_t count) { return calloc(count + 1, sizeof(double)); }

size_t ref_norm_steps(const ref_norm *n) {
  return n->step_scale ? (size_t)n->T : 1;
}

size_t ref_norm_elements(const ref_norm *n) {
  return step_elements(n) * (n->is_static ? 1 : (size_t)n->T);
}

/* Mean, biased variance and mean magnitude of each channel of z. */
static void channel_moments(const ref_norm *n, const double *z,
                            ref_norm_result *r) {
  size_t C = (size_t)n->map.c, elements = ref_norm_elements(n);
  double count = (double)(elements / C);
  for (size_t i = 0; i < elements; i++) {
    r->mean[channel_at(n, i)] += z[i] / count;
    r->mean_abs[channel_at(n, i)] += fabs(z[i]) / count;
  }
  for (size_t i = 0; i < elements; i++) {
    double deviation = z[i] - r->mean[channel_at(n, i)];
    r->var[channel_at(n, i)] += deviation * deviation / count;
  }
}

ref_norm_result ref_norm_forward(const ref_norm *n, const double *z,
                                 const double *running_mean,
                                 const double *running_var) {
  size_t C = (size_t)n->map.c, steps = ref_norm_steps(n);
  double count = (double)n->T * (double)step_elements(n) / (double)C;
  double unbiased = count > 1 ? count / (count - 1) : 1;
  ref_norm_result r = {zeros(steps * C), zeros(steps * C), zeros(C), zeros(C),
                       zeros(C),         zeros(C),         zeros(C), zeros(C)};
  if (z) channel_moments(n, z, &r);
  for (size_t c = 0; c < C; c++) {
    double rate = z ? n->momentum : 0;
    if (!z) {
      r.mean[c] = running_mean[c];
      r.var[c] = running_var[c];
    }
    r.running_mean[c] = (1 - rate) * running_mean[c] + rate * r.mean[c];
    r.running_var[c] = (1 - rate) * running_var[c] + rate * unbiased * r.var[c];
    r.rstd[c] = 1 / sqrt(r.var[c] + n->eps);
    double gain = n->alpha_theta * n->gamma[c] * r.rstd[c];
    for (size_t k = 0; k < steps; k++) {
      r.scale[k * C + c] = gain * p_at(n, k);
      r.shift[k * C + c] = (n->beta[c] - gain * r.mean[c]) * p_at(n, k);
    }
  }
  return r;
}

void ref_norm_result_free(ref_norm_result *r) {
  free(r->scale);
  free(r->shift);
  free(r->mean);
  free(r->var);
  free(r->rstd);
  free(r->mean_abs);
  free(r->running_mean);
  free(r->running_var);
}

void ref_norm_upstream(const ref_norm *n, const double *z, const double *mean,
                       const double *rstd, const double *step_da, double *sums,
                       double *da) {
  size_t C = (size_t)n->map.c, M = step_elements(n);
  for (size_t i = 0; i < ref_norm_steps(n) * 2 * C; i++) sums[i] = 0;
  for (size_t i = 0; i < ref_norm_elements(n); i++) da[i] = 0;
  for (size_t t = 0; t < (size_t)n->T; t++)
    for (size_t i = 0; i < M; i++) {
      size_t at = n->is_static ? i : t * M + i, c = channel_at(n, i);
      size_t k = n->step_scale ? t : 0;
      double gradient = step_da[t * M + i];
      sums[(2 * k) * C + c] += gradient;
      sums[(2 * k + 1) * C + c] += gradient * (z[at] - mean[c]) * rstd[c];
      da[at] += n->is_static ? p_at(n, t) * gradient : gradient;
    }
}

ref_norm_gradient ref_norm_backward(const ref_norm *n, const double *z,
                                    const double *mean, const double *rstd,
                                    const double *sums, const double *da) {
  size_t C = (size_t)n->map.c, M = step_elements(n);
  size_t elements = ref_norm_elements(n), steps = ref_norm_steps(n);
  ref_norm_gradient g = {zeros(elements), zeros(elements), zeros(C), zeros(C),
                         zeros((size_t)n->T)};
  double *B = zeros(2 * C), count = (double)n->T * (double)(M / C);
  for (size_t k = 0; k < steps; k++)
    for (size_t c = 0; c < C; c++) {
      double s0 = sums[2 * k * C + c], s1 = sums[(2 * k + 1) * C + c];
      B[c] += p_at(n, k) * s0;
      B[C + c] += p_at(n, k) * s1;
      if (n->step_scale)
        g.dstep_scale[k] += n->alpha_theta * n->gamma[c] * s1 + n->beta[c] * s0;
    }
  for (size_t c = 0; c < C; c++) {
    g.dgamma[c] = n->alpha_theta * B[C + c];
    g.dbeta[c] = B[c];
  }
  for (size_t i = 0; i < elements; i++) {
    size_t c = channel_at(n, i);
    double gain = n->alpha_theta * n->gamma[c] * rstd[c];
    double times = n->is_static ? n->T : 1;
    double p = n->is_static ? 1 : p_at(n, i / M);
    double zhat = (z[i] - mean[c]) * rstd[c];
    double even = times * B[c] / count, tilt = zhat * times * B[C + c] / count;
    g.dz[i] = gain * (p * da[i] - even - tilt);
    g.dz_abs[i] = fabs(gain) * (fabs(p * da[i]) + fabs(even) + fabs(tilt));
  }
  free(B);
  return g;
}

void ref_norm_gradient_free(ref_norm_gradient *g) {
  free(g->dz);
  free(g->dz_abs);
  free(g->dgamma);
  free(g->dbeta);
  free(g->dstep_scale);
}
