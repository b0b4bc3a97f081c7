/* pda.h - potential distribution adjustment: D, symmetric Kullback-Leibler
 * divergence, and its derivative in the membrane (SURGE's reading of Wang, Cheng,
 * Lim 2023; docs in include/surge/neuron.h).
 *
 *   moment        P = N(m, s^2), Q = N(mu0, s0^2), e = m - mu0,
 *                 s^2 = variance + 1e-5 theta^2:
 *     D = 1/4 [ (s^2 + e^2)/s0^2 + (s0^2 + e^2)/s^2 - 2 ]
 *     dD/du = (1/M) [ e/2 (1/s0^2 + 1/s^2)
 *                     + 1/2 (1/s0^2 - (s0^2 + e^2)/s^4) (u - m) ]
 *   quantization  p = S_w(x), q = spike, both held in [eps, 1 - eps]:
 *     D = (p - q)/2 (logit p - logit q), the mean over elements
 *     dD/du = h/2 [ logit p - logit q + (p - q)/(p (1 - p)) ], 0 where p is held */
#ifndef SURGE_SHARED_PDA_H
#define SURGE_SHARED_PDA_H

#include <surge/backend.h>

#include "kernels/shared/surrogate.h"

typedef struct surge_pda_target {
  double mean, variance; /* mu0, s0^2 */
} surge_pda_target;

/* D from a layer's (or channel's) moments. */
SURGE_INLINE double surge_pda_moment(double m, double variance, double theta,
                                     surge_pda_target target) {
  double s2 = variance + 1e-5 * theta * theta, e = m - target.mean;
  return 0.25 * ((s2 + e * e) / target.variance +
                 (target.variance + e * e) / s2 - 2);
}

/* Coefficients of dD/du, times `scale` (lambda / elements). */
SURGE_INLINE surge_pda_coefficients
surge_pda_moment_coefficients(double m, double variance, double theta,
                              surge_pda_target target, double scale) {
  double s2 = variance + 1e-5 * theta * theta, e = m - target.mean;
  double constant = 0.5 * e * (1 / target.variance + 1 / s2);
  double slope =
      0.5 * (1 / target.variance - (target.variance + e * e) / (s2 * s2));
  surge_pda_coefficients c = {(float)m, (float)(scale * constant),
                              (float)(scale * slope)};
  return c;
}

/* One element of the quantization kind; `edge` = logit(1 - eps). */
typedef struct surge_pda_element {
  float loss, slope; /* D; dD/du */
} surge_pda_element;

SURGE_INLINE surge_pda_element
surge_pda_quantization(surge_family family, float u, float theta, float inv_w,
                       float eps, float edge) {
  float x = (u - theta) * inv_w, p = surge_soft_spike(family, x);
  float held = p < eps ? eps : p;
  held = held > 1.0f - eps ? 1.0f - eps : held;
  float q = u >= theta ? 1.0f - eps : eps;
  float apart = surge_logf(held / (1.0f - held)) - (u >= theta ? edge : -edge);
  float slope = 0.5f * surge_surrogate(family, x, inv_w) *
                (apart + (held - q) / (held * (1.0f - held)));
  surge_pda_element element;
  element.loss = 0.5f * (held - q) * apart;
  element.slope = held == p ? slope : 0.0f;
  return element;
}

#endif
