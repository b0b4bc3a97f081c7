/* checks_neuron.c - checks of the neuron op, its scalars, the integrator. */
#include "src/backend/checks.h"

#define WANT_ARRAY(field) SURGE_TRY(surge_check_pointer(op, #field, a->field))
#define WANT_POSITIVE(field)                                                   \
  SURGE_TRY(surge_check_positive(op, #field, a->field))

/* Refuses the call; the text says what was wanted and what was found. */
#define REFUSE(...) return SURGE_FAIL(SURGE_ERROR_INTERNAL, __VA_ARGS__)

surge_status surge_check_neuron_scalars(const surge_neuron_scalars *a) {
  const char *op = "neuron_scalars";
  WANT_ARRAY(scalars);
  WANT_ARRAY(width);
  WANT_POSITIVE(C);
  if (a->spec.decay_learned) WANT_ARRAY(decay_logit);
  if (a->spec.width_rule == SURGE_WIDTH_LEARNED) WANT_ARRAY(rho);
  if (a->spec.width_rule == SURGE_WIDTH_NORM) WANT_ARRAY(gamma);
  if (a->spec.width_rule == SURGE_WIDTH_SCHEDULE) WANT_ARRAY(step);
  return SURGE_OK;
}

static surge_status check_input(const char *op, const surge_neuron_input *a) {
  WANT_ARRAY(z);
  if ((a->scale == NULL) != (a->shift == NULL))
    REFUSE("%s: input: wanted scale and shift, or neither, found %s alone", op,
           a->scale ? "scale" : "shift");
  if (a->per_step && !a->scale)
    REFUSE("%s: input: wanted a scale for each step, found a plain input", op);
  return SURGE_OK;
}

static surge_status check_common(const char *op, const surge_neuron *a) {
  SURGE_TRY(surge_check_map(op, &a->map));
  WANT_POSITIVE(T);
  WANT_POSITIVE(N);
  WANT_ARRAY(scalars);
  WANT_ARRAY(width);
  WANT_ARRAY(workspace);
  if (a->inputs != 1 && a->inputs != 2)
    REFUSE("%s: inputs: wanted 1 or 2, found %d", op, a->inputs);
  for (int which = 0; which < a->inputs; which++)
    SURGE_TRY(check_input(op, &a->input[which]));
  if (!(a->spec.v_threshold > 0))
    REFUSE("%s: v_threshold: wanted more than 0, found %g", op,
           (double)a->spec.v_threshold);
  if ((unsigned)a->spec.family >= SURGE_FAMILY_COUNT)
    REFUSE("%s: family: wanted 0 to %d, found %u", op, SURGE_FAMILY_COUNT - 1,
           (unsigned)a->spec.family);
  return SURGE_OK;
}

/* PDA's coefficients are there only where the layer has a kind of PDA. */
static surge_status check_pda(const char *op, const surge_neuron_spec *spec,
                              const surge_pda_coefficients *pda) {
  if (!pda) return SURGE_OK;
  if (spec->pda == SURGE_PDA_OFF)
    REFUSE("%s: pda: wanted NULL where PDA is off, found an array", op);
  float eps = spec->pda_epsilon;
  if (spec->pda == SURGE_PDA_QUANTIZATION && !(eps > 0 && eps < 0.5f))
    REFUSE("%s: pda_epsilon: wanted more than 0, less than 0.5, found %g", op,
           (double)eps);
  return SURGE_OK;
}

surge_status surge_check_neuron_forward(const surge_neuron_forward *a) {
  const char *op = "neuron_forward";
  SURGE_TRY(check_common(op, &a->common));
  SURGE_TRY(check_pda(op, &a->common.spec, a->pda));
  WANT_ARRAY(s);
  WANT_ARRAY(fault);
  if (a->pda) WANT_ARRAY(metrics);
  return SURGE_OK;
}

static surge_status check_gradient(const char *op,
                                   const surge_neuron_backward *a, int which) {
  const surge_neuron_input *input = &a->common.input[which];
  if (a->mode[which] != SURGE_WRITE && a->mode[which] != SURGE_ADD)
    REFUSE("%s: mode[%d]: wanted write or add, found %d", op, which,
           (int)a->mode[which]);
  if (a->sums[which] && !input->scale)
    REFUSE("%s: sums[%d]: wanted NULL for a plain input, found an array", op,
           which);
  if (a->sums[which] && (!input->mean || !input->rstd))
    REFUSE("%s: input[%d]: wanted mean and rstd for its sums, found NULL", op,
           which);
  if (a->da[which] && input->is_static && input->per_step && !input->step_scale)
    REFUSE(
        "%s: input[%d]: wanted step_scale for a static input with a scale "
        "for each step, found NULL",
        op, which);
  return SURGE_OK;
}

surge_status surge_check_neuron_backward(const surge_neuron_backward *a) {
  const char *op = "neuron_backward";
  const surge_neuron_spec *spec = &a->common.spec;
  SURGE_TRY(check_common(op, &a->common));
  SURGE_TRY(check_pda(op, spec, a->pda));
  WANT_ARRAY(gs);
  for (int which = 0; which < a->common.inputs; which++)
    SURGE_TRY(check_gradient(op, a, which));
  if (a->drho && spec->width_rule != SURGE_WIDTH_LEARNED)
    REFUSE("%s: drho: wanted NULL unless the width is learned, found an array",
           op);
  if (a->ddecay_logit && !spec->decay_learned)
    REFUSE(
        "%s: ddecay_logit: wanted NULL unless the decay is learned, found "
        "an array",
        op);
  return SURGE_OK;
}

surge_status surge_check_integrator(const surge_integrator *a) {
  const char *op = "integrator";
  WANT_ARRAY(y);
  WANT_ARRAY(x);
  WANT_ARRAY(scalars);
  WANT_POSITIVE(T);
  if (a->M < 1) REFUSE("%s: M: wanted at least 1, found 0", op);
  return SURGE_OK;
}
