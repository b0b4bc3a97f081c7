/* neuron_scalars.c - decay, gain, PDA's target and the widths of a layer:
 * once a step, in double, rounded once. */
#include "kernels/cpu/cpu.h"
#include "kernels/shared/neuron.h"
#include "src/backend/checks.h"

static double mean_of(const float *values, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += (double)values[i];
  return sum / (double)count;
}

static double gamma_of(const surge_neuron_scalars *a) {
  size_t C = (size_t)a->C;
  double first = mean_of(a->gamma[0], C);
  return surge_joint_gamma(first,
                           a->gamma[1] ? mean_of(a->gamma[1], C) : first);
}

static void fill_widths(const surge_neuron_scalars *a, double d) {
  const surge_neuron_spec *spec = &a->spec;
  size_t C = (size_t)a->C;
  size_t parts = spec->granularity == SURGE_PER_CHANNEL ? C : 1;
  bool learned = spec->width_rule == SURGE_WIDTH_LEARNED;
  bool norm = spec->width_rule == SURGE_WIDTH_NORM;
  bool schedule = spec->width_rule == SURGE_WIDTH_SCHEDULE;
  double g = norm ? gamma_of(a) : 1;
  double progress = schedule ? (double)a->step->schedule : 0;
  for (size_t later = 0; later < 2; later++) {
    double shared = surge_width(spec, d, g, progress, later);
    for (size_t p = 0; p < parts; p++)
      a->width[later * parts + p] =
          (float)(learned ? exp((double)a->rho[p]) : shared);
  }
}

surge_status surge_cpu_neuron_scalars(surge_context *context,
                                      const surge_neuron_scalars *a) {
  (void)context;
  SURGE_TRY(surge_check_neuron_scalars(a));
  const surge_neuron_spec *spec = &a->spec;
  double d = surge_decay_factor(spec, a->decay_logit);
  a->scalars[SURGE_SCALAR_DECAY] = (float)d;
  a->scalars[SURGE_SCALAR_GAIN] = spec->decay_input ? (float)(1 - d) : 1.0f;
  a->scalars[SURGE_SCALAR_PDA_MEAN] = spec->pda_mean;
  a->scalars[SURGE_SCALAR_PDA_STD] =
      spec->pda_std > 0 ? spec->pda_std : (float)surge_target_spread(spec, d);
  if (surge_neuron_synaptic(spec))
    a->scalars[SURGE_SCALAR_SYNAPSE] =
        (float)surge_synapse_factor(spec, a->synapse_logit);
  fill_widths(a, d);
  return SURGE_OK;
}
