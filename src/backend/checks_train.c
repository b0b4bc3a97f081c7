/* checks_train.c - checks of the norm, the inputs, the loss, the optimisers, of
 * packing. */
#include <math.h>

#include "src/backend/checks.h"

/* The common shapes of a check, for the op called `op` with arguments `a`. */
#define WANT_ARRAY(field) SURGE_TRY(surge_check_pointer(op, #field, a->field))
#define WANT_POSITIVE(field)                                                   \
  SURGE_TRY(surge_check_positive(op, #field, a->field))

/* A number for which a condition does not hold; NaN fails any comparison. */
#define WANT(field, condition, wanted)                                         \
  do {                                                                         \
    if (!(condition))                                                          \
      return SURGE_FAIL(SURGE_ERROR_INTERNAL, "%s: %s: wanted %s, found %g",   \
                        op, #field, wanted, (double)a->field);                 \
  } while (0)

/* An array that goes with another: both or neither. */
#define WANT_TOGETHER(field, other)                                            \
  do {                                                                         \
    if ((a->field == NULL) != (a->other == NULL))                              \
      return SURGE_FAIL(SURGE_ERROR_INTERNAL,                                  \
                        "%s: %s: wanted %s as %s, found %s", op, #field,       \
                        a->other ? "an array" : "NULL", #other,                \
                        a->field ? "an array" : "NULL");                       \
  } while (0)

/* --- norm ---------------------------------------------------------------- */

surge_status surge_check_norm_forward(const surge_norm_forward *a) {
  const char *op = "norm_forward";
  SURGE_TRY(surge_check_map(op, &a->map));
  WANT_POSITIVE(T);
  WANT_POSITIVE(N);
  WANT_ARRAY(scale);
  WANT_ARRAY(shift);
  WANT_ARRAY(mean);
  WANT_ARRAY(rstd);
  WANT_ARRAY(running_mean);
  WANT_ARRAY(running_var);
  WANT_ARRAY(gamma);
  WANT_ARRAY(beta);
  WANT_ARRAY(fault);
  WANT(eps, a->eps > 0, "more than 0");
  WANT(momentum, a->momentum >= 0 && a->momentum <= 1, "0 to 1");
  WANT(alpha_theta, isfinite(a->alpha_theta), "a finite number");
  if (!a->training) return SURGE_OK;
  WANT_ARRAY(z);
  WANT_ARRAY(workspace);
  return SURGE_OK;
}

surge_status surge_check_norm_backward(const surge_norm_backward *a) {
  const char *op = "norm_backward";
  SURGE_TRY(surge_check_map(op, &a->map));
  WANT_POSITIVE(T);
  WANT_POSITIVE(N);
  WANT_ARRAY(dz);
  WANT_ARRAY(dgamma);
  WANT_ARRAY(dbeta);
  WANT_TOGETHER(dstep_scale, step_scale);
  WANT_ARRAY(da);
  WANT_ARRAY(z);
  WANT_ARRAY(mean);
  WANT_ARRAY(rstd);
  WANT_ARRAY(gamma);
  WANT_ARRAY(beta);
  WANT_ARRAY(sums);
  WANT(alpha_theta, isfinite(a->alpha_theta), "a finite number");
  return SURGE_OK;
}

/* --- input --------------------------------------------------------------- */

surge_status surge_check_augment(const surge_augment *a) {
  const char *op = "augment";
  SURGE_TRY(surge_check_map(op, &a->map));
  WANT_POSITIVE(T);
  WANT_POSITIVE(N);
  WANT_ARRAY(x);
  WANT_ARRAY(images);
  WANT(unit, a->unit > 0, "more than 0");
  WANT_ARRAY(mean);
  WANT_ARRAY(std);
  for (int32_t c = 0; c < a->map.c; c++)
    WANT(std[c], a->std[c] > 0, "more than 0");
  WANT(crop_pad, a->crop_pad >= 0, "at least 0");
  WANT(cutout, a->cutout >= 0, "at least 0");
  WANT(random_erasing, a->random_erasing >= 0 && a->random_erasing <= 1,
       "0 to 1");
  if (a->training || a->gather) WANT_ARRAY(sample);
  if (a->training || a->mix) WANT_ARRAY(step);
  WANT(mix, !a->mix || a->training, "false in an evaluation");
  return SURGE_OK;
}

surge_status surge_check_poisson(const surge_poisson *a) {
  const char *op = "poisson";
  SURGE_TRY(surge_check_map(op, &a->map));
  WANT_POSITIVE(T);
  WANT_POSITIVE(N);
  WANT_ARRAY(s);
  WANT_ARRAY(x);
  WANT_ARRAY(sample);
  WANT_ARRAY(step);
  return SURGE_OK;
}

surge_status surge_check_dropout(const surge_dropout *a) {
  const char *op = "dropout";
  SURGE_TRY(surge_check_map(op, &a->map));
  WANT_POSITIVE(T);
  WANT_POSITIVE(N);
  WANT_ARRAY(y);
  WANT_ARRAY(x);
  WANT_ARRAY(sample);
  WANT_ARRAY(step);
  WANT(p, a->p >= 0 && a->p < 1, "at least 0 and less than 1");
  return SURGE_OK;
}

/* --- loss ---------------------------------------------------------------- */

surge_status surge_check_loss(const surge_loss *a) {
  const char *op = "loss";
  WANT_POSITIVE(T);
  WANT_POSITIVE(N);
  WANT_POSITIVE(classes);
  WANT_POSITIVE(vote);
  WANT_ARRAY(scores);
  WANT_ARRAY(metrics);
  WANT_ARRAY(fault);
  WANT_ARRAY(logits);
  WANT_ARRAY(labels);
  WANT(kind, a->kind <= SURGE_LOSS_MSE, "mean, tet or mse");
  WANT(label_smoothing, a->label_smoothing >= 0 && a->label_smoothing < 1,
       "at least 0 and less than 1");
  WANT(gradient_scale, isfinite(a->gradient_scale), "a finite number");
  if (a->kind != SURGE_LOSS_TET) return SURGE_OK;
  WANT(tet_lambda, a->tet_lambda >= 0 && a->tet_lambda <= 1, "0 to 1");
  WANT(tet_target, isfinite(a->tet_target), "a finite number");
  return SURGE_OK;
}

/* --- optimisers; a group of a parameter arena may be empty ------------------ */

surge_status surge_check_gradient_norm(const surge_gradient_norm *a) {
  const char *op = "gradient_norm";
  WANT_ARRAY(norm);
  WANT_ARRAY(clip);
  WANT_ARRAY(fault);
  WANT_ARRAY(fault_step);
  WANT_ARRAY(step);
  WANT_ARRAY(g);
  WANT_ARRAY(workspace);
  WANT(max_norm, a->max_norm >= 0, "at least 0");
  return SURGE_OK;
}

static surge_status check_update(const char *op, const surge_update *a) {
  WANT(kind, a->kind <= SURGE_ADAMW, "sgd, adam or adamw");
  WANT_ARRAY(w);
  WANT_ARRAY(m);
  WANT_ARRAY(g);
  WANT(weight_decay, a->weight_decay >= 0, "at least 0");
  if (a->kind == SURGE_SGD) {
    WANT(momentum, a->momentum >= 0 && a->momentum < 1,
         "at least 0 and less than 1");
    return SURGE_OK;
  }
  WANT_ARRAY(v);
  WANT(beta1, a->beta1 >= 0 && a->beta1 < 1, "at least 0 and less than 1");
  WANT(beta2, a->beta2 >= 0 && a->beta2 < 1, "at least 0 and less than 1");
  WANT(eps, a->eps >= 0, "at least 0");
  WANT(w_min, a->w_min <= a->w_max, "at most w_max");
  return SURGE_OK;
}

surge_status surge_check_optimize(const surge_optimize *a) {
  static const char *const groups[SURGE_GROUP_COUNT] = {
      [SURGE_GROUP_WEIGHT] = "optimize: weights",
      [SURGE_GROUP_NORM] = "optimize: norms",
      [SURGE_GROUP_WIDTH] = "optimize: widths",
      [SURGE_GROUP_DECAY] = "optimize: decays"};
  const char *op = "optimize";
  WANT_ARRAY(step);
  WANT_ARRAY(fault);
  for (int group = 0; group < SURGE_GROUP_COUNT; group++)
    if (a->update[group].count > 0)
      SURGE_TRY(check_update(groups[group], &a->update[group]));
  return SURGE_OK;
}

surge_status surge_check_average(const surge_average *a) {
  const char *op = "average";
  WANT_ARRAY(e);
  WANT_ARRAY(w);
  WANT_ARRAY(fault);
  WANT(decay, a->decay >= 0 && a->decay < 1, "at least 0 and less than 1");
  return SURGE_OK;
}

surge_status surge_check_cast(const surge_cast *a) {
  const char *op = "cast";
  WANT_ARRAY(to);
  WANT_ARRAY(from);
  return SURGE_OK;
}

surge_status surge_check_count_nonzero(const surge_count_nonzero *a) {
  const char *op = "count_nonzero";
  WANT_ARRAY(nonzero);
  WANT_ARRAY(x);
  return SURGE_OK;
}

/* --- memory -------------------------------------------------------------- */

surge_status surge_check_pack(const char *op, const surge_pack *a) {
  WANT_ARRAY(packed);
  WANT_ARRAY(x);
  WANT(type, a->type == SURGE_F32 || a->type == SURGE_BF16, "fp32 or bf16");
  WANT(bits, a->bits == 1 || a->bits == 8, "1 or 8");
  SURGE_TRY(surge_check_positive(op, "count", (int64_t)a->count));
  if (a->bits == 1) return SURGE_OK;
  WANT(scale, a->scale >= 0x1p-100f && a->scale <= 0x1p100f, "2^-100 to 2^100");
  return SURGE_OK;
}
