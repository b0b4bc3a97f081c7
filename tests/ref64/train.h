/* train.h - losses and optimisers in double, plain loops (see norm.h). */
#ifndef SURGE_TESTS_REF64_TRAIN_H
#define SURGE_TESTS_REF64_TRAIN_H

#include <surge/backend.h>

/* surge_loss in double; logits [T, N, classes*vote]. */
typedef struct ref_loss {
  int32_t T, N, classes, vote;
  surge_loss_kind kind;
  double label_smoothing, tet_lambda, tet_target, gradient_scale;
  const int32_t *labels; /* [N] */
} ref_loss;

/* Sum of the samples' losses. Writes where not NULL: dlogits, its bound's sum
 * of absolute terms, scores [N, classes]; counts the correct. */
double ref_loss_run(const ref_loss *a, const double *logits, double *dlogits,
                    double *dlogits_abs, double *scores, uint64_t *correct);

/* sqrt of the sum of squares, and torch's clip coefficient. */
double ref_gradient_norm(const double *g, size_t count, double max_norm,
                         double *clip);

/* torch.optim.SGD, one step of one parameter. */
typedef struct ref_sgd {
  double lr, momentum, weight_decay, clip;
  bool nesterov;
} ref_sgd;
void ref_sgd_step(const ref_sgd *a, double *w, double *m, double g);

/* torch.optim.Adam and AdamW: step t = 1, 2, ... of one parameter. */
typedef struct ref_adam {
  double lr, beta1, beta2, eps, weight_decay, clip, w_min, w_max;
  bool decoupled;
} ref_adam;
void ref_adam_step(const ref_adam *a, int t, double *w, double *m, double *v,
                   double g);

#endif
