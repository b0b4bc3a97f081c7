/* neuron.h - the formulas of the spiking neuron, one element and one step.
 *
 * Each product and each sum is rounded by itself (compile with
 * -ffp-contract=off, --fmad=false): equal currents then give equal spikes on
 * every backend. The method: <surge/neuron.h> and the neuron slots of
 * <surge/backend.h>. */
#ifndef SURGE_SHARED_NEURON_H
#define SURGE_SHARED_NEURON_H

#include <surge/backend.h>

#include "kernels/shared/surrogate.h"

/* --- forward ------------------------------------------------------------- */

/* The current of one normalised input. */
SURGE_INLINE float surge_affine(float scale, float z, float shift) {
  return scale * z + shift;
}

/* u[t] = d*v[t-1] + a[t]; of a synapse's current i[t] = d_s*i[t-1] + a[t]. */
SURGE_INLINE float surge_membrane(float d, float v, float a) {
  return d * v + a;
}

/* The hard decision; equality fires. */
SURGE_INLINE float surge_fire(float u, float theta) {
  return u >= theta ? 1.0f : 0.0f;
}

/* v[t] after a soft spike s in [0,1]. */
SURGE_INLINE float surge_after_soft_spike(surge_reset reset, float u, float s,
                                          float theta, float v_reset) {
  return reset == SURGE_RESET_HARD ? u * (1.0f - s) + v_reset * s
                                   : u - theta * s;
}

/* The same where s is 0 or 1. */
SURGE_INLINE float surge_after_spike(surge_reset reset, float u, float s,
                                     float theta, float v_reset) {
  float fired = reset == SURGE_RESET_HARD ? v_reset : u - theta;
  return s != 0.0f ? fired : u;
}

/* Bits that are all zero where u is finite. */
SURGE_INLINE uint32_t surge_fault_bits(float u) { return surge_bits_of(u - u); }

/* --- backward ------------------------------------------------------------ */

/* dv/ds of the reset. */
SURGE_INLINE float surge_reset_slope(surge_reset reset, float u, float theta,
                                     float v_reset) {
  return reset == SURGE_RESET_HARD ? v_reset - u : -theta;
}

/* gv*dv/du of the reset, a soft spike held. */
SURGE_INLINE float surge_carry_soft_spike(surge_reset reset, float gv,
                                          float s) {
  return reset == SURGE_RESET_HARD ? gv * (1.0f - s) : gv;
}

/* The same where s is 0 or 1. */
SURGE_INLINE float surge_carry_spike(surge_reset reset, float gv, float s) {
  return reset == SURGE_RESET_HARD && s != 0.0f ? 0.0f : gv;
}

/* gu = dL/du from delta = dL/ds, h, PDA's q, and what v carried. With a
 * detached reset only `carried` waits for the step after. */
SURGE_INLINE float surge_adjoint(float delta, float h, float q, float carried) {
  return (delta * h + q) + carried;
}

/* --- scalars of a layer, in double --------------------------------------- */

/* d; `logit` is read only where the decay is learned. */
SURGE_INLINE double surge_decay_factor(const surge_neuron_spec *spec,
                                       const float *logit) {
  return spec->decay_learned ? 1 / (1 + exp(-(double)*logit))
                             : (double)spec->decay;
}

/* d_s, likewise. */
SURGE_INLINE double surge_synapse_factor(const surge_neuron_spec *spec,
                                         const float *logit) {
  return spec->synapse_learned ? 1 / (1 + exp(-(double)*logit))
                               : (double)spec->synapse_decay;
}

/* theta sqrt(1 + d^2): the spread that threshold-dependent normalisation aims
 * at, from the second step on. */
SURGE_INLINE double surge_target_spread(const surge_neuron_spec *spec,
                                        double d) {
  return (double)spec->v_threshold * sqrt(1 + d * d);
}

/* A width of the rectangle as the width of `family` with the same central
 * half of the mass. */
SURGE_INLINE double surge_from_rectangular(surge_family family, double w) {
  return w *
         (surge_central_half(SURGE_RECTANGULAR) / surge_central_half(family));
}

/* g of the rule `norm` from the mean gammas of two norms; one norm is given
 * twice, for sqrt(g*g) is g to the bit. */
SURGE_INLINE double surge_joint_gamma(double first, double second) {
  double g0 = first < 1e-3 ? 1e-3 : first, g1 = second < 1e-3 ? 1e-3 : second;
  return sqrt((g0 * g0 + g1 * g1) / 2);
}

/* Width at t = 0 (later: t > 0) under every rule but `learned`. `g` is that of
 * the norms' gammas and `progress` that of the run; each for its rule alone. */
SURGE_INLINE double surge_width(const surge_neuron_spec *spec, double d,
                                double g, double progress, bool later) {
  double start = (double)spec->width, theta = (double)spec->v_threshold;
  double spread = surge_target_spread(spec, d);
  switch (spec->width_rule) {
    case SURGE_WIDTH_DECAY:
      return surge_from_rectangular(spec->family, 2 * spread);
    case SURGE_WIDTH_NORM:
      return surge_from_rectangular(spec->family,
                                    2 * g * (later ? spread : theta));
    case SURGE_WIDTH_SCHEDULE:
      return start * pow((double)spec->width_end / start, progress);
    case SURGE_WIDTH_FIXED:
    case SURGE_WIDTH_LEARNED: /* its caller takes exp(rho) */ break;
  }
  return start;
}

#endif
