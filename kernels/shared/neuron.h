/* neuron.h - one neuron, one step: the formulas of include/surge/neuron.h.
 *
 * Every product and sum is rounded by itself (nothing is fused), in the order
 * written here, so that equal currents give equal spikes on every backend. */
#ifndef SURGE_SHARED_NEURON_H
#define SURGE_SHARED_NEURON_H

#include <surge/backend.h>

#include "kernels/shared/surrogate.h"

/* Membrane before firing. */
SURGE_INLINE float surge_membrane(float decay, float v, float current) {
  float leaked = decay * v;
  return leaked + current;
}

/* Spike, or soft spike: u = theta fires. */
SURGE_INLINE float surge_fire(surge_family family, bool soft, float u,
                              float theta, float inv_w) {
  if (soft) return surge_soft_spike(family, (u - theta) * inv_w);
  return u >= theta ? 1.0f : 0.0f;
}

/* Membrane after firing. With a spike of 0 or 1 both forms are exact. */
SURGE_INLINE float surge_reset_membrane(surge_reset reset, float u, float s,
                                        float theta, float v_reset) {
  if (reset == SURGE_RESET_SOFT) return u - theta * s;
  return u * (1.0f - s) + v_reset * s;
}

/* The adjoint of one step (method: delta, gu). */
typedef struct surge_adjoint {
  float gu;    /* dL/du                                   */
  float width; /* dL/drho of this step: -delta x h        */
} surge_adjoint;

SURGE_INLINE surge_adjoint surge_neuron_adjoint(surge_family family,
                                                surge_reset reset, bool detach,
                                                float u, float s, float theta,
                                                float v_reset, float inv_w,
                                                float gs, float gv, float q) {
  bool hard = reset == SURGE_RESET_HARD;
  float x = u - theta;
  float h = surge_surrogate(family, x * inv_w, inv_w);
  float delta = gs;
  if (!detach) delta = delta + (hard ? gv * (v_reset - u) : -theta * gv);
  float dh = delta * h;
  surge_adjoint a;
  a.gu = (dh + (hard ? gv * (1.0f - s) : gv)) + q;
  a.width = -x * dh;
  return a;
}

#endif
