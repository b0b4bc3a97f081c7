/* checks_neuron.c - checks of the neuron op, its scalars, the sum, the
 * integrator. */
#include "kernels/shared/add.h"
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
  if (a->spec.synapse_learned) WANT_ARRAY(synapse_logit);
  if (a->spec.width_rule == SURGE_WIDTH_LEARNED) WANT_ARRAY(rho);
  if (a->spec.width_rule == SURGE_WIDTH_NORM) WANT_ARRAY(gamma[0]);
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

static surge_status check_inputs(const char *op, int32_t inputs,
                                 const surge_neuron_input *input) {
  if (inputs != 1 && inputs != 2)
    REFUSE("%s: inputs: wanted 1 or 2, found %d", op, inputs);
  for (int32_t which = 0; which < inputs; which++)
    SURGE_TRY(check_input(op, &input[which]));
  return SURGE_OK;
}

/* Arrays of the synapse's current are there only where there is a synapse. */
static surge_status check_synapse(const char *op, const char *name,
                                  const surge_neuron_spec *spec,
                                  const float *array) {
  if (array && !surge_neuron_synaptic(spec))
    REFUSE("%s: %s: wanted NULL without a synapse, found an array", op, name);
  return SURGE_OK;
}

static surge_status check_common(const char *op, const surge_neuron *a) {
  SURGE_TRY(surge_check_map(op, &a->map));
  WANT_POSITIVE(T);
  WANT_POSITIVE(N);
  WANT_ARRAY(scalars);
  WANT_ARRAY(width);
  WANT_ARRAY(workspace);
  SURGE_TRY(check_inputs(op, a->inputs, a->input));
  if (!(a->spec.v_threshold > 0))
    REFUSE("%s: v_threshold: wanted more than 0, found %g", op,
           (double)a->spec.v_threshold);
  if ((unsigned)a->spec.family >= SURGE_FAMILY_COUNT)
    REFUSE("%s: family: wanted 0 to %d, found %u", op, SURGE_FAMILY_COUNT - 1,
           (unsigned)a->spec.family);
  return check_synapse(op, "i_in", &a->spec, a->i_in);
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
  SURGE_TRY(check_synapse(op, "i_out", &a->common.spec, a->i_out));
  WANT_ARRAY(s);
  WANT_ARRAY(fault);
  if (a->pda) WANT_ARRAY(metrics);
  return SURGE_OK;
}

/* What input `which` receives. */
static surge_status check_gradient(const char *op, int which,
                                   const surge_neuron_input *input,
                                   const void *da, surge_mode mode,
                                   const float *sums) {
  if (mode != SURGE_WRITE && mode != SURGE_ADD)
    REFUSE("%s: mode[%d]: wanted write or add, found %d", op, which, (int)mode);
  if (sums && !input->scale)
    REFUSE("%s: sums[%d]: wanted NULL for a plain input, found an array", op,
           which);
  if (sums && (!input->mean || !input->rstd))
    REFUSE("%s: input[%d]: wanted mean and rstd for its sums, found NULL", op,
           which);
  if (da && input->is_static && input->per_step && !input->step_scale)
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
  SURGE_TRY(check_synapse(op, "di_in", spec, a->di_in));
  SURGE_TRY(check_synapse(op, "gi_out", spec, a->gi_out));
  WANT_ARRAY(gs);
  for (int which = 0; which < a->common.inputs; which++)
    SURGE_TRY(check_gradient(op, which, &a->common.input[which], a->da[which],
                             a->mode[which], a->sums[which]));
  if (a->drho && spec->width_rule != SURGE_WIDTH_LEARNED)
    REFUSE("%s: drho: wanted NULL unless the width is learned, found an array",
           op);
  if (a->ddecay_logit && !spec->decay_learned)
    REFUSE(
        "%s: ddecay_logit: wanted NULL unless the decay is learned, found "
        "an array",
        op);
  if (a->dsynapse_logit && !spec->synapse_learned)
    REFUSE(
        "%s: dsynapse_logit: wanted NULL unless the synapse is learned, found "
        "an array",
        op);
  return SURGE_OK;
}

/* --- the sum --------------------------------------------------------------- */

static surge_status check_add(const char *op, const surge_add *a) {
  SURGE_TRY(surge_check_map(op, &a->map));
  WANT_POSITIVE(T);
  WANT_POSITIVE(N);
  return check_inputs(op, a->inputs, a->input);
}

surge_status surge_check_add_forward(const surge_add *a) {
  const char *op = "add_forward";
  SURGE_TRY(check_add(op, a));
  WANT_ARRAY(y);
  for (int which = 0; which < a->inputs; which++)
    if (a->y == a->input[which].z)
      REFUSE("%s: y: wanted an array of its own, found z of input %d", op,
             which);
  return SURGE_OK;
}

surge_status surge_check_add_backward(const surge_add *a) {
  const char *op = "add_backward";
  SURGE_TRY(check_add(op, a));
  WANT_ARRAY(dy);
  for (int which = 0; which < a->inputs; which++) {
    const surge_neuron_input *input = &a->input[which];
    bool summed = input->is_static && !surge_add_is_static(a);
    SURGE_TRY(check_gradient(op, which, input, a->da[which], a->mode[which],
                             a->sums[which]));
    if (a->da[which] == a->dy && (summed || a->mode[which] == SURGE_ADD))
      REFUSE("%s: da[%d]: wanted an array of its own %s, found dy", op, which,
             summed ? "for a sum over steps" : "to add to");
    if (a->sums[which]) WANT_ARRAY(workspace);
  }
  bool one_array = a->inputs == 2 && a->da[0] && a->da[0] == a->da[1];
  if (one_array && a->mode[1] == SURGE_WRITE)
    REFUSE("%s: mode[1]: wanted add where da[0] is da[1], found write", op);
  return SURGE_OK;
}

/* --- the membrane readout --------------------------------------------------- */

surge_status surge_check_integrator(const surge_integrator *a) {
  const char *op = "integrator";
  WANT_ARRAY(y);
  WANT_ARRAY(x);
  WANT_ARRAY(scalars);
  WANT_POSITIVE(T);
  if (a->M < 1) REFUSE("%s: M: wanted at least 1, found 0", op);
  return SURGE_OK;
}
