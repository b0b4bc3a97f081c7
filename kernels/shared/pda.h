/* pda.h - membrane potential distribution adjustment: D and its gradient.
 *
 * D = 1/2 [KL(P||Q) + KL(Q||P)] between the membrane u before firing and its
 * target, in two readings. `moment`: P and Q are Gaussians, P from the moments
 * of u over a layer or channel; D and coefficients in double, once. And
 * `quantization`: P is the soft spike and Q the spike, an element each. */
#ifndef SURGE_SHARED_PDA_H
#define SURGE_SHARED_PDA_H

#include <surge/backend.h>

#include "kernels/shared/math.h"
#include "kernels/shared/moments.h"

/* Of one layer or channel with the moments of u, target N(mu0, s0^2), e = m -
 * mu0, s^2 = variance + 1e-5 theta^2 (a silent layer has variance 0):
 *     D = 1/4 [(s^2 + e^2)/s0^2 + (s0^2 + e^2)/s^2 - 2]
 *     dD/du = 1/n [(e/2)(1/s0^2 + 1/s^2)
 *                  + 1/2 (1/s0^2 - (s0^2 + e^2)/s^4)(u - m)]
 * Returns D; the coefficients of dD/du are multiplied by `scale`. */
SURGE_INLINE double surge_pda_moment(surge_pda_coefficients *q, surge_moments u,
                                     double mu0, double s0, double theta,
                                     double scale) {
  double target = s0 * s0, variance = u.m2 / u.n + 1e-5 * theta * theta;
  double e = u.mean - mu0;
  q->m = (float)u.mean;
  q->c0 = (float)(scale / u.n * (e / 2) * (1 / target + 1 / variance));
  q->c1 = (float)(scale / u.n / 2 *
                  (1 / target - (target + e * e) / (variance * variance)));
  return ((variance + e * e) / target + (target + e * e) / variance - 2) / 4;
}

/* dL/du of the moment kind. */
SURGE_INLINE float surge_pda_moment_gradient(float u, float m, float c0,
                                             float c1) {
  return c0 + c1 * (u - m);
}

/* The clip of the quantization kind: [eps, 1 - eps] and logit(1 - eps). */
typedef struct surge_pda_clip {
  float low, high, logit;
} surge_pda_clip;

SURGE_INLINE surge_pda_clip surge_pda_clip_of(float epsilon) {
  double low = (double)epsilon;
  surge_pda_clip clip = {epsilon, (float)(1 - low),
                         (float)log((1 - low) / low)};
  return clip;
}

/* logit p - logit q, for p within the clip and the clipped decision q. */
SURGE_INLINE float surge_pda_logits(float p, bool fired, surge_pda_clip clip) {
  return surge_logf(p / (1.0f - p)) - (fired ? clip.logit : -clip.logit);
}

/* D of one element: (p - q)/2 (logit p - logit q), soft spike p. */
SURGE_INLINE float surge_pda_quantization(float p, bool fired,
                                          surge_pda_clip clip) {
  p = surge_clamp(p, clip.low, clip.high);
  float apart = p - (fired ? clip.high : clip.low);
  return 0.5f * apart * surge_pda_logits(p, fired, clip);
}

/* dD/du = h/2 [(logit p - logit q) + (p - q)/(p (1-p))], 0 where p is clipped;
 * q and the width are detached. */
SURGE_INLINE float surge_pda_quantization_gradient(float p, bool fired, float h,
                                                   surge_pda_clip clip) {
  bool inside = p >= clip.low && p <= clip.high;
  p = surge_clamp(p, clip.low, clip.high);
  float apart = p - (fired ? clip.high : clip.low);
  float slope = surge_pda_logits(p, fired, clip) + apart / (p * (1.0f - p));
  return inside ? 0.5f * h * slope : 0.0f;
}

#endif
