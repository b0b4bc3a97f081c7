/* loss.h - losses of one sample and their gradient, in double.
 *
 * Every kind is a weighted sum over parts of
 *
 *     entropy * CE(softmax(o), target) + square * mean_c (o_c - r_c)^2
 *
 * where o are the logits averaged over the votes of a class and the steps of a
 * part. `mean` and `mse` have one part, all steps; `tet` (Deng 2022) has a part
 * a step. A batch has few logits, so they are averaged anew where needed and
 * nothing is stored. The target of a mixed sample has two classes. */
#ifndef SURGE_SHARED_LOSS_H
#define SURGE_SHARED_LOSS_H

#include <math.h>
#include <surge/backend.h>

#include "kernels/shared/element.h"
#include "kernels/shared/mix.h"

/* The logits' place of vote v of class c. */
SURGE_INLINE size_t surge_loss_index(const surge_loss *a, int32_t t, int32_t n,
                                     int32_t c, int32_t v) {
  size_t row = (size_t)t * (size_t)a->N + (size_t)n;
  return (row * (size_t)a->classes + (size_t)c) * (size_t)a->vote + (size_t)v;
}

/* Class of sample n of the batch. */
SURGE_INLINE int32_t surge_loss_label(const surge_loss *a, int32_t n) {
  return a->labels[a->sample ? a->sample[n] : (uint32_t)n];
}

/* A sample's class, and that of the one that it is mixed with. */
typedef struct surge_labels {
  int32_t own, other;
  double share; /* of its own; 1: not mixed */
} surge_labels;

SURGE_INLINE surge_labels surge_loss_labels(const surge_loss *a, int32_t n) {
  int32_t own = surge_loss_label(a, n);
  surge_labels labels = {own, own, 1};
  if (!a->step) return labels;
  size_t partner = surge_mix_partner((size_t)n, (size_t)a->N);
  labels.other = surge_loss_label(a, (int32_t)partner);
  labels.share = (double)a->step->mix.share;
  return labels;
}

/* The target of class c before smoothing. */
SURGE_INLINE double surge_labels_hot(const surge_labels *labels, int32_t c) {
  return (c == labels->own ? labels->share : 0) +
         (c == labels->other ? 1 - labels->share : 0);
}

/* o_c: mean over the votes of class c and `steps` steps from `first`. */
SURGE_INLINE double surge_loss_output(const surge_loss *a, int32_t n, int32_t c,
                                      int32_t first, int32_t steps) {
  double sum = 0;
  for (int32_t t = first; t < first + steps; t++)
    for (int32_t v = 0; v < a->vote; v++)
      sum += (double)surge_load(a->logits, a->type,
                                surge_loss_index(a, t, n, c, v));
  return sum / ((double)steps * a->vote);
}

/* ln sum_c exp(o_c), taken about the largest output: no overflow. */
SURGE_INLINE double surge_loss_partition(const surge_loss *a, int32_t n,
                                         int32_t first, int32_t steps) {
  double top = surge_loss_output(a, n, 0, first, steps), sum = 0;
  for (int32_t c = 1; c < a->classes; c++) {
    double o = surge_loss_output(a, n, c, first, steps);
    if (o > top) top = o;
  }
  for (int32_t c = 0; c < a->classes; c++)
    sum += exp(surge_loss_output(a, n, c, first, steps) - top);
  return top + log(sum);
}

/* Loss of one part of sample n; its share of dlogits is written. */
SURGE_INLINE double surge_loss_part(const surge_loss *a, int32_t n,
                                    int32_t first, int32_t steps) {
  double square = a->kind == SURGE_LOSS_MSE   ? 1
                  : a->kind == SURGE_LOSS_TET ? (double)a->tet_lambda
                                              : 0;
  double entropy = 1 - square, e = (double)a->label_smoothing;
  double partition = surge_loss_partition(a, n, first, steps), loss = 0;
  surge_labels labels = surge_loss_labels(a, n);
  /* A logit is one of T*vote in its class, whatever the parts. */
  double share = (double)a->gradient_scale /
                 ((double)a->N * (double)a->T * (double)a->vote);
  for (int32_t c = 0; c < a->classes; c++) {
    double o = surge_loss_output(a, n, c, first, steps);
    double target = (1 - e) * surge_labels_hot(&labels, c) + e / a->classes;
    double wanted = a->kind == SURGE_LOSS_TET ? (double)a->tet_target : target;
    double off = o - wanted;
    loss +=
        entropy * target * (partition - o) + square * off * off / a->classes;
    if (!a->dlogits) continue;
    double gradient =
        entropy * (exp(o - partition) - target) + square * 2 * off / a->classes;
    for (int32_t t = first; t < first + steps; t++)
      for (int32_t v = 0; v < a->vote; v++)
        surge_store(a->dlogits, a->type, surge_loss_index(a, t, n, c, v),
                    (float)(share * gradient));
  }
  return loss;
}

/* Loss of sample n; writes its scores and its gradient. */
SURGE_INLINE double surge_loss_sample(const surge_loss *a, int32_t n,
                                      bool *correct) {
  float *scores = a->scores + (size_t)n * (size_t)a->classes;
  int32_t best = 0;
  for (int32_t c = 0; c < a->classes; c++) {
    scores[c] = (float)surge_loss_output(a, n, c, 0, a->T);
    if (scores[c] > scores[best]) best = c;
  }
  surge_labels labels = surge_loss_labels(a, n);
  *correct = best == (labels.share < 0.5 ? labels.other : labels.own);
  if (a->kind != SURGE_LOSS_TET) return surge_loss_part(a, n, 0, a->T);
  double loss = 0;
  for (int32_t t = 0; t < a->T; t++) loss += surge_loss_part(a, n, t, 1);
  return loss / a->T;
}

#endif
