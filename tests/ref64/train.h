/* train.h - erased rectangles, losses and optimisers in double, plain loops (see
 * norm.h). */
#ifndef SURGE_TESTS_REF64_TRAIN_H
#define SURGE_TESTS_REF64_TRAIN_H

#include <surge/backend.h>

/* Rows top .. top + h-1 and columns left .. left + w-1 of an image; none where h
 * or w is 0. */
typedef struct ref_rectangle {
  int32_t top, left, h, w;
} ref_rectangle;

/* Cutout (DeVries & Taylor 2017) of `size` pixels a side in an image of H x W,
 * cut off at its border; u [2] uniform in [0, 1): its centre. */
ref_rectangle ref_cutout(int32_t H, int32_t W, int32_t size, const double *u);

/* Sides of a try of random erasing, not rounded; area, ratio uniform in [0, 1). */
void ref_erasing_sides(int32_t H, int32_t W, double area, double ratio,
                       double *h, double *w);

/* torchvision.transforms.RandomErasing.get_params; u: area, ratio, row and
 * column of each of its tries, uniform in [0, 1). `tie` becomes the smallest
 * distance, over its size, of a side from where it would be rounded the other
 * way. */
ref_rectangle ref_erasing(int32_t H, int32_t W, double u[10][4], double *tie);

/* surge_loss in double; logits [T, N, classes*vote]. */
typedef struct ref_loss {
  int32_t T, N, classes, vote;
  surge_loss_kind kind;
  double label_smoothing, tet_lambda, tet_target, gradient_scale;
  const int32_t *labels; /* [N] */
  double share;          /* of a sample's own label; the rest is of the label */
                         /* before it (mixup, cutmix); 1: not mixed           */
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

/* One step of a value's average: decay of what it was, the rest from w. */
double ref_average_step(double decay, double e, double w);

#endif
