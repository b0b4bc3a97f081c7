/* neuron_scalars.c - decay, gain, target and widths of a layer, once a step, in
 * double, rounded once: the same bits on every backend. */
#include <math.h>

#include "kernels/cpu/cpu.h"
#include "kernels/shared/surrogate.h"
#include "src/backend/checks.h"

/* g of MPD-AGL: mean over channels of gamma, at least 1e-3. */
static double mean_gamma(const float *gamma, int32_t C) {
  double sum = 0;
  for (int32_t c = 0; c < C; c++) sum += (double)gamma[c];
  return fmax(sum / C, 1e-3);
}

/* A rectangular width as this family's width with an equal central half. */
static double from_rectangular(surge_family family, double width) {
  return width * 0.25 / surge_half_mass(family);
}

/* w of entry p, at t = 0 (`first`) or after. */
static double width_of(const surge_neuron_scalars *a, int32_t p, double d,
                       bool first) {
  const surge_neuron_spec *s = &a->spec;
  double theta = (double)s->v_threshold, spread = sqrt(1 + d * d);
  switch (s->width_rule) {
    case SURGE_WIDTH_FIXED: return (double)s->width;
    case SURGE_WIDTH_LEARNED: return exp((double)a->rho[p]);
    case SURGE_WIDTH_DECAY:
      return from_rectangular(s->family, 2 * theta * spread);
    case SURGE_WIDTH_NORM:
      return from_rectangular(s->family, 2 * mean_gamma(a->gamma, a->C) * theta *
                                             (first ? 1 : spread));
    case SURGE_WIDTH_SCHEDULE: {
      double f = (double)a->step->schedule;
      return pow((double)s->width, 1 - f) * pow((double)s->width_end, f);
    }
  }
  return 1;
}

surge_status surge_cpu_neuron_scalars(surge_context *context,
                                      const surge_neuron_scalars *a) {
  (void)context;
  SURGE_TRY(surge_check_neuron_scalars(a));
  const surge_neuron_spec *s = &a->spec;
  double d = a->decay_logit ? 1 / (1 + exp(-(double)*a->decay_logit))
                            : (double)s->decay;
  int32_t P = s->granularity == SURGE_PER_CHANNEL ? a->C : 1;
  a->scalars[SURGE_SCALAR_DECAY] = (float)d;
  a->scalars[SURGE_SCALAR_GAIN] = s->decay_input ? (float)(1 - d) : 1.0f;
  a->scalars[SURGE_SCALAR_PDA_MEAN] = s->pda_mean;
  a->scalars[SURGE_SCALAR_PDA_STD] =
      s->pda_std > 0 ? s->pda_std
                     : (float)((double)s->v_threshold * sqrt(1 + d * d));
  for (int32_t p = 0; p < P; p++) {
    a->width[p] = (float)width_of(a, p, d, true);
    a->width[P + p] = (float)width_of(a, p, d, false);
  }
  return SURGE_OK;
}
