/* train.c - erased rectangles, losses, optimisers in double (see train.h). */
#include "tests/ref64/train.h"

#include <math.h>
#include <stdlib.h>

/* --- erased rectangles --------------------------------------------------- */

static int32_t clipped(int32_t x, int32_t high) {
  return x < 0 ? 0 : x > high ? high : x;
}

ref_rectangle ref_cutout(int32_t H, int32_t W, int32_t size, const double *u) {
  int32_t y = (int32_t)floor(u[0] * H), x = (int32_t)floor(u[1] * W);
  ref_rectangle r = {.top = clipped(y - size / 2, H),
                     .left = clipped(x - size / 2, W)};
  r.h = clipped(y - size / 2 + size, H) - r.top;
  r.w = clipped(x - size / 2 + size, W) - r.left;
  return r;
}

void ref_erasing_sides(int32_t H, int32_t W, double area, double ratio,
                       double *h, double *w) {
  double erase_area = H * W * (0.02 + area * (0.33 - 0.02));
  double aspect_ratio = exp(log(0.3) + ratio * (log(3.3) - log(0.3)));
  *h = sqrt(erase_area * aspect_ratio);
  *w = sqrt(erase_area / aspect_ratio);
}

ref_rectangle ref_erasing(int32_t H, int32_t W, double u[10][4], double *tie) {
  *tie = INFINITY;
  for (int i = 0; i < 10; i++) {
    double side[2];
    ref_erasing_sides(H, W, u[i][0], u[i][1], &side[0], &side[1]);
    for (int k = 0; k < 2; k++)
      *tie = fmin(*tie, fabs(side[k] - floor(side[k]) - .5) / side[k]);
    ref_rectangle r = {.h = (int32_t)rint(side[0]),
                       .w = (int32_t)rint(side[1])};
    if (r.h >= H || r.w >= W) continue;
    r.top = (int32_t)floor(u[i][2] * (H - r.h + 1));
    r.left = (int32_t)floor(u[i][3] * (W - r.w + 1));
    return r;
  }
  return (ref_rectangle){0};
}

/* --- losses -------------------------------------------------------------- */

static size_t logit_at(const ref_loss *a, int32_t t, int32_t n, int32_t j) {
  size_t width = (size_t)(a->classes * a->vote);
  return ((size_t)t * (size_t)a->N + (size_t)n) * width + (size_t)j;
}

/* o [T, classes]: each step's logits of sample n, averaged over the votes. */
static double *voted(const ref_loss *a, const double *logits, int32_t n) {
  double *o = calloc((size_t)(a->T * a->classes), sizeof *o);
  for (int32_t t = 0; t < a->T; t++)
    for (int32_t j = 0; j < a->classes * a->vote; j++)
      o[t * a->classes + j / a->vote] += logits[logit_at(a, t, n, j)] / a->vote;
  return o;
}

/* The label of the sample before: the batch rolled by one. */
static int32_t rolled_label(const ref_loss *a, int32_t n) {
  return a->labels[n > 0 ? n - 1 : a->N - 1];
}

static double target_of(const ref_loss *a, int32_t n, int32_t c) {
  double own = c == a->labels[n], rolled = c == rolled_label(a, n);
  double target = a->share * own + (1 - a->share) * rolled;
  return (1 - a->label_smoothing) * target + a->label_smoothing / a->classes;
}

/* Adds weight * CE(softmax(o), target) and its gradient. */
static double add_entropy(const ref_loss *a, int32_t n, const double *o,
                          double weight, double *d, double *d_abs) {
  double top = -INFINITY, sum = 0, loss = 0;
  for (int32_t c = 0; c < a->classes; c++) top = fmax(top, o[c]);
  for (int32_t c = 0; c < a->classes; c++) sum += exp(o[c] - top);
  for (int32_t c = 0; c < a->classes; c++) {
    double probability = exp(o[c] - top) / sum, target = target_of(a, n, c);
    loss -= weight * target * (o[c] - top - log(sum));
    d[c] += weight * (probability - target);
    d_abs[c] += weight * (probability + target);
  }
  return loss;
}

/* Adds weight * mean over classes of (o - wanted)^2, where wanted is `level`,
 * or the target where level is NaN. */
static double add_square(const ref_loss *a, int32_t n, const double *o,
                         double weight, double level, double *d,
                         double *d_abs) {
  double loss = 0;
  for (int32_t c = 0; c < a->classes; c++) {
    double wanted = isnan(level) ? target_of(a, n, c) : level;
    loss += weight * (o[c] - wanted) * (o[c] - wanted) / a->classes;
    d[c] += weight * 2 * (o[c] - wanted) / a->classes;
    d_abs[c] += weight * 2 * (fabs(o[c]) + fabs(wanted)) / a->classes;
  }
  return loss;
}

/* Loss of one sample and d [T, classes] = dL/do. */
static double sample_loss(const ref_loss *a, int32_t n, const double *o,
                          const double *mean, double *d, double *d_abs) {
  double loss = 0;
  if (a->kind == SURGE_LOSS_TET) {
    double l = a->tet_lambda;
    for (int32_t t = 0; t < a->T; t++) {
      int32_t at = t * a->classes;
      loss += add_entropy(a, n, o + at, (1 - l) / a->T, d + at, d_abs + at);
      loss +=
          add_square(a, n, o + at, l / a->T, a->tet_target, d + at, d_abs + at);
    }
    return loss;
  }
  if (a->kind == SURGE_LOSS_MEAN)
    loss = add_entropy(a, n, mean, 1, d, d_abs);
  else
    loss = add_square(a, n, mean, 1, (double)NAN, d, d_abs);
  for (int32_t t = a->T - 1; t >= 0; t--) /* the mean's gradient to each step */
    for (int32_t c = 0; c < a->classes; c++) {
      d[t * a->classes + c] = d[c] / a->T;
      d_abs[t * a->classes + c] = d_abs[c] / a->T;
    }
  return loss;
}

double ref_loss_run(const ref_loss *a, const double *logits, double *dlogits,
                    double *dlogits_abs, double *scores, uint64_t *correct) {
  double loss = 0, scale = a->gradient_scale / a->N / a->vote;
  size_t classes = (size_t)a->classes, wide = (size_t)a->T * classes;
  *correct = 0;
  for (int32_t n = 0; n < a->N; n++) {
    double *o = voted(a, logits, n), *mean = calloc(classes, sizeof *mean);
    double *d = calloc(wide, sizeof *d), *d_abs = calloc(wide, sizeof *d_abs);
    for (size_t i = 0; i < wide; i++) mean[i % classes] += o[i] / a->T;
    size_t best = 0;
    for (size_t c = 0; c < classes; c++) {
      if (mean[c] > mean[best]) best = c;
      if (scores) scores[(size_t)n * classes + c] = mean[c];
    }
    bool rolled = a->share < 1 - a->share;
    *correct += best == (size_t)(rolled ? rolled_label(a, n) : a->labels[n]);
    loss += sample_loss(a, n, o, mean, d, d_abs);
    for (int32_t t = 0; dlogits && t < a->T; t++)
      for (int32_t j = 0; j < a->classes * a->vote; j++) {
        int32_t at = t * a->classes + j / a->vote;
        dlogits[logit_at(a, t, n, j)] = scale * d[at];
        dlogits_abs[logit_at(a, t, n, j)] = fabs(scale) * d_abs[at];
      }
    free(o);
    free(mean);
    free(d);
    free(d_abs);
  }
  return loss;
}

/* --- optimisers ---------------------------------------------------------- */

double ref_gradient_norm(const double *g, size_t count, double max_norm,
                         double *clip) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += g[i] * g[i];
  *clip = max_norm > 0 ? fmin(1, max_norm / (sqrt(sum) + 1e-6)) : 1;
  return sqrt(sum);
}

void ref_sgd_step(const ref_sgd *a, double *w, double *m, double g) {
  g = a->clip * g + a->weight_decay * *w;
  *m = a->momentum * *m + g;
  *w -= a->lr * (a->nesterov ? g + a->momentum * *m : *m);
}

void ref_adam_step(const ref_adam *a, int t, double *w, double *m, double *v,
                   double g) {
  g *= a->clip;
  if (a->decoupled)
    *w -= a->lr * a->weight_decay * *w;
  else
    g += a->weight_decay * *w;
  *m = a->beta1 * *m + (1 - a->beta1) * g;
  *v = a->beta2 * *v + (1 - a->beta2) * g * g;
  double first = *m / (1 - pow(a->beta1, t));
  double second = *v / (1 - pow(a->beta2, t));
  *w -= a->lr * first / (sqrt(second) + a->eps);
  *w = fmin(fmax(*w, a->w_min), a->w_max);
}

double ref_average_step(double decay, double e, double w) {
  return decay * e + (1 - decay) * w;
}
