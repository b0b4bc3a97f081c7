/* optimizer.h - one element's step of SGD and Adam, in PyTorch's order, and of
 * the average that follows them.
 *
 * What is the same for all elements is computed once a call, in double, and
 * rounded once. 1 - beta is exact: it is the complement of the float that
 * beta is, so the scales of surge_step must come from that float too. */
#ifndef SURGE_SHARED_OPTIMIZER_H
#define SURGE_SHARED_OPTIMIZER_H

#include <math.h>
#include <surge/backend.h>

/* Norm and clip from the sum of squares; false where it is not finite. */
SURGE_INLINE bool surge_gradient_norm_finish(const surge_gradient_norm *a,
                                             double squares) {
  float norm = (float)sqrt(squares), clip = a->max_norm / (norm + 1e-6f);
  *a->norm = norm;
  *a->clip = a->max_norm > 0 && clip < 1 ? clip : 1;
  return isfinite(norm);
}

typedef struct surge_sgd_scalars {
  float clip, weight_decay, momentum, lr;
  float ahead, along; /* direction = ahead*g + along*m, without a branch     */
} surge_sgd_scalars;

SURGE_INLINE surge_sgd_scalars surge_sgd_prepare(const surge_optimize *a,
                                                 int group) {
  const surge_update *u = &a->update[group];
  surge_sgd_scalars k = {u->clip ? *u->clip : 1.0f,
                         u->weight_decay,
                         u->momentum,
                         a->step->learning_rate[group],
                         u->nesterov ? 1.0f : 0.0f,
                         u->nesterov ? u->momentum : 1.0f};
  return k;
}

/* torch.optim.SGD, dampening 0: its first step's m = g is 0*momentum + g. */
SURGE_INLINE void surge_sgd_update(float *w, float *m, float gradient,
                                   surge_sgd_scalars k) {
  float g = k.clip * gradient + k.weight_decay * *w;
  *m = k.momentum * *m + g;
  *w -= k.lr * (k.ahead * g + k.along * *m);
}

typedef struct surge_adam_scalars {
  float clip, coupled; /* weight decay that joins the gradient               */
  float keep;          /* 1 - lr*wd: what decoupled decay leaves of w        */
  float beta2, share1, share2; /* 1 - beta1, 1 - beta2                       */
  float lr, scale1, scale2, eps, w_min, w_max;
} surge_adam_scalars;

SURGE_INLINE surge_adam_scalars surge_adam_prepare(const surge_optimize *a,
                                                   int group) {
  const surge_update *u = &a->update[group];
  bool decoupled = u->kind == SURGE_ADAMW;
  float lr = a->step->learning_rate[group];
  double decay = (double)lr * (double)u->weight_decay;
  surge_adam_scalars k = {
      u->clip ? *u->clip : 1.0f,
      decoupled ? 0.0f : u->weight_decay,
      decoupled ? (float)(1 - decay) : 1.0f,
      u->beta2,
      1.0f - u->beta1,
      1.0f - u->beta2,
      lr,
      a->step->adam_scale1[group],
      a->step->adam_scale2[group],
      u->eps,
      u->w_min,
      u->w_max,
  };
  return k;
}

/* torch.optim.Adam (coupled) and AdamW, then the bounds. */
SURGE_INLINE void surge_adam_update(float *w, float *m, float *v,
                                    float gradient, surge_adam_scalars k) {
  float g = k.clip * gradient + k.coupled * *w;
  *m += k.share1 * (g - *m);
  *v = k.beta2 * *v + k.share2 * g * g;
  float root = sqrtf(*v * k.scale2);
  float next = *w * k.keep - k.lr * (*m * k.scale1) / (root + k.eps);
  next = next < k.w_min ? k.w_min : next;
  *w = next > k.w_max ? k.w_max : next;
}

/* share: 1 - decay, of the float that decay is. */
SURGE_INLINE float surge_average_update(float e, float w, float share) {
  return e + share * (w - e);
}

#endif
