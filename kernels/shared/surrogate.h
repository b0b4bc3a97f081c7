/* surrogate.h - the six surrogate families: soft spike, surrogate, window.
 *
 * A family is a distribution function F with density f. With q = x/w,
 *     soft spike   S_w(x) = F(q)
 *     surrogate    h_w(x) = dS/dx = f(q)/w        area 1 for every width w
 *     width        dS/dw  = -(x/w) h_w(x)         for every family
 * (Neftci 2019 for the idea; the families as SpikingJelly, snnTorch, TET and
 * STBP use them, scaled to area 1.) To add one: a line in SURGE_FAMILY_LIST and
 * a case in each of the two switches. All are finite for |q| up to 1e9. */
#ifndef SURGE_SHARED_SURROGATE_H
#define SURGE_SHARED_SURROGATE_H

#include <surge/neuron.h>

#include "kernels/shared/math.h"

/* S_w(x) of q = x/w. */
SURGE_INLINE float surge_soft_spike(surge_family family, float q) {
  switch (family) {
    case SURGE_RECTANGULAR: {
      float s = q + 0.5f;
      s = s < 0.0f ? 0.0f : s;
      return s > 1.0f ? 1.0f : s;
    }
    case SURGE_TRIANGULAR: {
      float r = 1.0f - surge_absf(q);
      r = r < 0.0f ? 0.0f : r;
      float tail = 0.5f * r * r;
      return q < 0.0f ? tail : 1.0f - tail;
    }
    case SURGE_ARCTAN:
      return surge_atanf(1.57079633f * q) * 0.318309886f + 0.5f;
    case SURGE_SIGMOID: {
      float e = surge_expf(-surge_absf(q)), s = 1.0f / (1.0f + e);
      return q < 0.0f ? e * s : s;
    }
    case SURGE_GAUSSIAN:
      return 0.5f * surge_erff(0.707106781f * q) + 0.5f;
    case SURGE_FAST_SIGMOID:
      return q / (2.0f + 2.0f * surge_absf(q)) + 0.5f;
  }
  return 0.0f;
}

/* h_w(x) of q = x/w and 1/w. */
SURGE_INLINE float surge_surrogate(surge_family family, float q, float inv_w) {
  switch (family) {
    case SURGE_RECTANGULAR:
      return surge_absf(q) < 0.5f ? inv_w : 0.0f;
    case SURGE_TRIANGULAR: {
      float r = 1.0f - surge_absf(q);
      return r > 0.0f ? r * inv_w : 0.0f;
    }
    case SURGE_ARCTAN: {
      float b = 1.57079633f * q;
      return 0.5f * inv_w / (1.0f + b * b);
    }
    case SURGE_SIGMOID: {
      float e = surge_expf(-surge_absf(q)), d = 1.0f + e;
      return e / (d * d) * inv_w;
    }
    case SURGE_GAUSSIAN:
      return 0.398942280f * surge_expf(-0.5f * (q * q)) * inv_w;
    case SURGE_FAST_SIGMOID: {
      float d = 1.0f + surge_absf(q);
      return 0.5f * inv_w / (d * d);
    }
  }
  return 0.0f;
}

/* Half-width, for w = 1, that holds half of the mass. */
SURGE_INLINE double surge_half_mass(surge_family family) {
  switch (family) {
#define HALF(NAME, word, half)                                                 \
  case SURGE_##NAME:                                                           \
    return half;
    SURGE_FAMILY_LIST(HALF)
#undef HALF
  }
  return 0.0;
}

/* Half-width, for w = 1, of the window that statistics count: the support of
 * the two families that have one, else the central half of the mass. */
SURGE_INLINE float surge_window(surge_family family) {
  if (family == SURGE_RECTANGULAR) return 0.5f;
  if (family == SURGE_TRIANGULAR) return 1.0f;
  return (float)surge_half_mass(family);
}

#endif
