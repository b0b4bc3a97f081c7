/* surrogate.h - the families: soft spike S_w(x) and surrogate h_w = dS_w/dx.
 *
 * A family is a distribution function F with density f; x = u - theta,
 * S_w(x) = F(x/w), h_w(x) = f(x/w)/w. So the area of h is 1 for every width,
 * and dS_w/dw = -(x/w) h_w(x) for every family. Finite for every finite x and
 * normal w.
 *
 * All take the width w and `inverse` = 1/w, rounded: the rectangle compares
 * with w/2 exactly, the others multiply. To add a family: a line in the list
 * of <surge/neuron.h>, and here the two functions that its word names. */
#ifndef SURGE_SHARED_SURROGATE_H
#define SURGE_SHARED_SURROGATE_H

#include <surge/neuron.h>

#include "kernels/shared/math.h"

#define SURGE_SPIKE(word)                                                      \
  SURGE_INLINE float surge_spike_##word(float x, float inverse)
#define SURGE_SURROGATE(word)                                                  \
  SURGE_INLINE float surge_surrogate_##word(float x, float w, float inverse)

/* S = clamp(x/w + 1/2, 0, 1); h = 1/w where |x| < w/2. */
SURGE_SPIKE(rectangular) { return surge_clamp(x * inverse + 0.5f, 0.0f, 1.0f); }
SURGE_SURROGATE(rectangular) { return fabsf(x) < 0.5f * w ? inverse : 0.0f; }

/* y = x/w: S = 1/2 + y - y|y|/2 and h = (1 - |y|)/w where |y| < 1. */
SURGE_SPIKE(triangular) {
  float y = surge_clamp(x * inverse, -1.0f, 1.0f);
  return 0.5f + (y - 0.5f * y * fabsf(y));
}
SURGE_SURROGATE(triangular) {
  (void)w;
  float rest = 1.0f - fabsf(x) * inverse;
  return rest > 0.0f ? rest * inverse : 0.0f;
}

/* y = pi x/(2w): S = atan(y)/pi + 1/2; h = 1/(2w) / (1 + y^2). */
SURGE_SPIKE(arctan) {
  return surge_atanf(1.57079637f * (x * inverse)) * 0.318309886f + 0.5f;
}
SURGE_SURROGATE(arctan) {
  (void)w;
  float y = 1.57079637f * (x * inverse);
  return 0.5f * inverse / (1.0f + y * y);
}

/* e = exp(-|x|/w), which cannot overflow: S = 1/(1+e) or e/(1+e);
 * h = S(1-S)/w = e/(1+e)^2/w. */
SURGE_SPIKE(sigmoid) {
  float e = surge_expf(-fabsf(x * inverse));
  return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}
SURGE_SURROGATE(sigmoid) {
  (void)w;
  float e = surge_expf(-fabsf(x * inverse)), below = 1.0f + e;
  return e / (below * below) * inverse;
}

/* S = Phi(x/w) = (1 + erf(x/(w sqrt 2)))/2; h = phi(x/w)/w. */
SURGE_SPIKE(gaussian) {
  return 0.5f + 0.5f * surge_erff(x * inverse * 0.707106781f);
}
SURGE_SURROGATE(gaussian) {
  (void)w;
  float y = x * inverse;
  return surge_expf(-0.5f * (y * y)) * 0.398942280f * inverse;
}

/* y = x/w: S = y/(2(1+|y|)) + 1/2; h = 1/(2w(1+|y|)^2). */
SURGE_SPIKE(fast_sigmoid) {
  float y = x * inverse;
  return 0.5f * (y / (1.0f + fabsf(y))) + 0.5f;
}
SURGE_SURROGATE(fast_sigmoid) {
  (void)w;
  float below = 1.0f + fabsf(x * inverse);
  return 0.5f * inverse / (below * below);
}

/* S_w(x). With a constant family the switch costs nothing. */
SURGE_INLINE float surge_soft_spike(surge_family family, float x,
                                    float inverse) {
  switch (family) {
#define SURGE_SPIKE_CASE(NAME, word, half)                                     \
  case SURGE_##NAME: return surge_spike_##word(x, inverse);
    SURGE_FAMILY_LIST(SURGE_SPIKE_CASE)
#undef SURGE_SPIKE_CASE
  }
  return 0.0f;
}

/* h_w(x). */
SURGE_INLINE float surge_surrogate(surge_family family, float x, float w,
                                   float inverse) {
  switch (family) {
#define SURGE_SURROGATE_CASE(NAME, word, half)                                 \
  case SURGE_##NAME: return surge_surrogate_##word(x, w, inverse);
    SURGE_FAMILY_LIST(SURGE_SURROGATE_CASE)
#undef SURGE_SURROGATE_CASE
  }
  return 0.0f;
}

/* c: the half-width that for w = 1 holds half of the mass. */
SURGE_INLINE double surge_central_half(surge_family family) {
  switch (family) {
#define SURGE_HALF_CASE(NAME, word, half)                                      \
  case SURGE_##NAME: return half;
    SURGE_FAMILY_LIST(SURGE_HALF_CASE)
#undef SURGE_HALF_CASE
  }
  return 0.0;
}

/* The window that statistics count is |x| < w times this: the support where
 * there is one, the central half of the mass elsewhere. */
SURGE_INLINE float surge_window_of_width(surge_family family) {
  if (family == SURGE_RECTANGULAR) return 0.5f;
  if (family == SURGE_TRIANGULAR) return 1.0f;
  return (float)surge_central_half(family);
}

#endif
