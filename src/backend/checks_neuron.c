/* checks_neuron.c - what the neuron ops refuse. */
#include "src/backend/checks.h"

#define PRESENT(op, a, field) SURGE_TRY(surge_check_pointer(op, #field, (a)->field))

static surge_status refuse(const char *op, const char *argument,
                           const char *wanted, const char *found) {
  return SURGE_FAIL(SURGE_ERROR_INTERNAL, "%s: %s: wanted %s, found %s", op, argument,
                    wanted, found);
}

surge_status surge_check_neuron_scalars(const surge_neuron_scalars *a) {
  static const char op[] = "neuron_scalars";
  const surge_neuron_spec *s = &a->spec;
  PRESENT(op, a, scalars);
  PRESENT(op, a, width);
  SURGE_TRY(surge_check_positive(op, "C", a->C));
  if (s->width_rule == SURGE_WIDTH_LEARNED) PRESENT(op, a, rho);
  if (s->width_rule == SURGE_WIDTH_NORM) PRESENT(op, a, gamma);
  if (s->width_rule == SURGE_WIDTH_SCHEDULE) PRESENT(op, a, step);
  if (s->decay_learned) PRESENT(op, a, decay_logit);
  if (!(s->v_threshold > 0.0f))
    return SURGE_FAIL(SURGE_ERROR_INTERNAL, "%s: v_threshold: wanted more than 0, "
                      "found %g", op, (double)s->v_threshold);
  return SURGE_OK;
}

static surge_status check_input(const char *op, const surge_neuron *n, int32_t k) {
  const surge_neuron_input *in = &n->input[k];
  PRESENT(op, in, z);
  if ((in->scale == NULL) != (in->shift == NULL))
    return refuse(op, "input", "scale and shift together", "one of them");
  if (!in->scale && in->per_step)
    return refuse(op, "input", "a scale where it is per step", "none");
  return SURGE_OK;
}

static surge_status check_common(const char *op, const surge_neuron *n) {
  SURGE_TRY(surge_check_positive(op, "T", n->T));
  SURGE_TRY(surge_check_positive(op, "N", n->N));
  SURGE_TRY(surge_check_map(op, &n->map));
  PRESENT(op, n, scalars);
  PRESENT(op, n, width);
  PRESENT(op, n, workspace);
  if (n->inputs != 1 && n->inputs != 2)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL, "%s: inputs: wanted 1 or 2, found %d", op,
                      n->inputs);
  for (int32_t k = 0; k < n->inputs; k++) SURGE_TRY(check_input(op, n, k));
  return SURGE_OK;
}

surge_status surge_check_neuron_forward(const surge_neuron_forward *a) {
  static const char op[] = "neuron_forward";
  SURGE_TRY(check_common(op, &a->common));
  PRESENT(op, a, s);
  PRESENT(op, a, fault);
  bool pda = a->common.spec.pda != SURGE_PDA_OFF;
  if (pda != (a->pda != NULL))
    return refuse(op, "pda", pda ? "coefficients" : "NULL, as PDA is off",
                  pda ? "NULL" : "coefficients");
  if (pda) PRESENT(op, a, metrics);
  if (a->histogram && !a->statistics)
    return refuse(op, "histogram", "statistics with it", "NULL");
  return SURGE_OK;
}

static surge_status check_sums(const char *op, const surge_neuron_backward *a,
                               int32_t k) {
  const surge_neuron_input *in = &a->common.input[k];
  if (!a->sums[k]) return SURGE_OK;
  if (!in->scale) return refuse(op, "sums", "NULL, as the input is plain", "an array");
  PRESENT(op, in, mean);
  PRESENT(op, in, rstd);
  return SURGE_OK;
}

surge_status surge_check_neuron_backward(const surge_neuron_backward *a) {
  static const char op[] = "neuron_backward";
  const surge_neuron_spec *s = &a->common.spec;
  SURGE_TRY(check_common(op, &a->common));
  PRESENT(op, a, gs);
  if (s->pda != SURGE_PDA_OFF) PRESENT(op, a, pda);
  if (a->drho && s->width_rule != SURGE_WIDTH_LEARNED)
    return refuse(op, "drho", "NULL, as the width is not learned", "an array");
  if (a->ddecay_logit && !s->decay_learned)
    return refuse(op, "ddecay_logit", "NULL, as the decay is not learned", "an array");
  for (int32_t k = 0; k < a->common.inputs; k++) SURGE_TRY(check_sums(op, a, k));
  return SURGE_OK;
}

surge_status surge_check_integrator(const surge_integrator *a) {
  static const char op[] = "integrator";
  PRESENT(op, a, y);
  PRESENT(op, a, x);
  PRESENT(op, a, scalars);
  SURGE_TRY(surge_check_positive(op, "T", a->T));
  return surge_check_positive(op, "M", (int64_t)a->M);
}
