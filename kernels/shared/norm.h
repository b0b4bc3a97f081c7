/* norm.h - the norm a channel at a time, in double: statistics become the affine
 * map, channel sums become gradients. See backend.h for the formulas. */
#ifndef SURGE_SHARED_NORM_H
#define SURGE_SHARED_NORM_H

#include <math.h>
#include <surge/backend.h>

#include "kernels/shared/moments.h"

/* --- forward --------------------------------------------------------------- */

/* The running estimates of channel c move towards mean and biased variance,
 * m.mean and m.m2. A channel that is not finite leaves them alone, so that what
 * a diverged run saves is still the last good state. */
SURGE_INLINE void surge_norm_run(const surge_norm_forward *a, size_t c,
                                 surge_moments m) {
  if (!isfinite(m.mean) || !isfinite(m.m2)) return;
  double count = a->is_static ? m.n * a->T : m.n, rate = (double)a->momentum;
  double unbiased = count > 1 ? m.m2 * (count / (count - 1)) : m.m2;
  double mean = (double)a->running_mean[c], var = (double)a->running_var[c];
  a->running_mean[c] = (float)(mean + rate * (m.mean - mean));
  a->running_var[c] = (float)(var + rate * (unbiased - var));
}

/* All outputs of channel c, in training from its moments; false where its
 * statistics are not finite. */
SURGE_INLINE bool surge_norm_finish(const surge_norm_forward *a, size_t c,
                                    surge_moments m) {
  size_t C = (size_t)a->map.c, steps = a->step_scale ? (size_t)a->T : 1;
  if (a->training) {
    m.m2 /= m.n;
    surge_norm_run(a, c, m);
  } else {
    m.mean = (double)a->running_mean[c];
    m.m2 = (double)a->running_var[c];
  }
  double rstd = 1 / sqrt(m.m2 + (double)a->eps);
  double gain = (double)a->alpha_theta * (double)a->gamma[c] * rstd;
  for (size_t k = 0; k < steps; k++) {
    double p = a->step_scale ? (double)a->step_scale[k] : 1;
    a->scale[k * C + c] = (float)(gain * p);
    a->shift[k * C + c] = (float)(((double)a->beta[c] - gain * m.mean) * p);
  }
  a->mean[c] = (float)m.mean;
  a->rstd[c] = (float)rstd;
  return isfinite(m.mean) && isfinite(m.m2);
}

/* --- backward -------------------------------------------------------------- */

SURGE_INLINE double surge_norm_step_scale(const surge_norm_backward *a,
                                          size_t t) {
  return a->step_scale ? (double)a->step_scale[t] : 1;
}

/* B of channel c: sum_k p[k] S[k], which = 0 for sum da, 1 for sum da*zhat. */
SURGE_INLINE double surge_norm_channel_sum(const surge_norm_backward *a,
                                           size_t c, size_t which) {
  size_t C = (size_t)a->map.c, steps = a->step_scale ? (size_t)a->T : 1;
  double sum = 0;
  for (size_t k = 0; k < steps; k++)
    sum +=
        surge_norm_step_scale(a, k) * (double)a->sums[(2 * k + which) * C + c];
  return sum;
}

/* dgamma and dbeta of channel c. */
SURGE_INLINE void surge_norm_add_channel(const surge_norm_backward *a,
                                         size_t c) {
  a->dgamma[c] +=
      (float)((double)a->alpha_theta * surge_norm_channel_sum(a, c, 1));
  a->dbeta[c] += (float)surge_norm_channel_sum(a, c, 0);
}

/* Channel c's share of TEBN's dp[t]. */
SURGE_INLINE double surge_norm_step_share(const surge_norm_backward *a,
                                          size_t t, size_t c) {
  size_t C = (size_t)a->map.c;
  const float *s0 = a->sums + 2 * t * C, *s1 = s0 + C;
  return (double)a->alpha_theta * (double)a->gamma[c] * (double)s1[c] +
         (double)a->beta[c] * (double)s0[c];
}

/* dz = gain*da - offset - (z - mean)*slope. */
typedef struct surge_norm_line {
  float gain, offset, mean, slope;
} surge_norm_line;

/* The line of channel c at step t. A static z has a T-th of the elements, but
 * its mean terms count T times. */
SURGE_INLINE surge_norm_line surge_norm_line_of(const surge_norm_backward *a,
                                                size_t t, size_t c) {
  double n = (double)a->N * a->map.h * a->map.w * (a->is_static ? 1 : a->T);
  double p = a->is_static ? 1 : surge_norm_step_scale(a, t);
  double rstd = (double)a->rstd[c];
  double gain = (double)a->alpha_theta * (double)a->gamma[c] * rstd;
  surge_norm_line line = {
      (float)(gain * p), (float)(gain * surge_norm_channel_sum(a, c, 0) / n),
      a->mean[c], (float)(gain * surge_norm_channel_sum(a, c, 1) / n * rstd)};
  return line;
}

SURGE_INLINE float surge_norm_gradient(surge_norm_line k, float da, float z) {
  return k.gain * da - k.offset - (z - k.mean) * k.slope;
}

#endif
