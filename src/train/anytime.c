/* anytime.c - accuracy after each step, and with early exits. */
#include <math.h>
#include <stdlib.h>

#include "src/train/session.h"

static const double thresholds[SURGE_EXITS] = {0.4, 0.5,  0.6,  0.7,   0.8,
                                               0.9, 0.95, 0.99, 0.999, 0.9999};

typedef struct watch {
  surge_anytime *anytime;
  float *logits; /* [T, n, classes] of a batch */
  double *sum;   /* [classes] over the steps so far */
} watch;

/* --- one sample ----------------------------------------------------------- */

static int32_t largest(const double *x, int32_t count) {
  int32_t best = 0;
  for (int32_t i = 1; i < count; i++)
    if (x[i] > x[best]) best = i;
  return best;
}

/* Softmax of the mean of `steps` steps at the class whose sum is largest. */
static double confidence(const double *sum, int32_t classes, int32_t best,
                         int32_t steps) {
  double total = 0;
  for (int32_t c = 0; c < classes; c++)
    total += exp((sum[c] - sum[best]) / steps);
  return 1 / total;
}

/* `stride`: from a step's logits to the next one's. */
static void watch_sample(watch *w, const float *logits, size_t stride,
                         int32_t classes, int32_t label) {
  surge_anytime *a = w->anytime;
  int32_t open = 0; /* exits before it have been taken */
  for (int32_t c = 0; c < classes; c++) w->sum[c] = 0;
  for (int32_t t = 0; t < a->T; t++) {
    for (int32_t c = 0; c < classes; c++)
      w->sum[c] += (double)logits[(size_t)t * stride + (size_t)c];
    int32_t best = largest(w->sum, classes);
    double sure = confidence(w->sum, classes, best, t + 1);
    a->correct[t] += best == label;
    for (; open < SURGE_EXITS && (sure >= thresholds[open] || t + 1 == a->T);
         open++) {
      a->exit[open].correct += best == label;
      a->exit[open].steps += (uint64_t)t + 1;
    }
  }
  a->samples++;
}

/* --- the whole set -------------------------------------------------------- */

static surge_status watch_batch(void *user, surge_net *net,
                                const surge_batch *batch) {
  watch *w = user;
  int32_t classes = batch->set->info->classes;
  size_t stride = (size_t)batch->n * (size_t)classes;
  size_t count = (size_t)w->anytime->T * stride;
  free(w->logits);
  free(w->sum);
  w->logits = malloc(count * sizeof *w->logits);
  w->sum = malloc((size_t)classes * sizeof *w->sum);
  if (!w->logits || !w->sum)
    return SURGE_FAIL(SURGE_ERROR_DEVICE,
                      "wanted memory for %zu logits, found less", count);
  SURGE_TRY(surge_net_logits(net, w->logits));
  for (int32_t n = 0; n < batch->n; n++)
    watch_sample(w, w->logits + (size_t)n * (size_t)classes, stride, classes,
                 batch->set->labels[batch->sample[n]]);
  return SURGE_OK;
}

surge_status surge_evaluate_anytime(surge_net *net, surge_loader *loader,
                                    const surge_step *step,
                                    surge_evaluation *result,
                                    surge_anytime *anytime) {
  *anytime = (surge_anytime){.T = surge_net_steps(net)};
  for (int i = 0; i < SURGE_EXITS; i++)
    anytime->exit[i].threshold = thresholds[i];
  watch w = {.anytime = anytime};
  surge_status status =
      surge_evaluate_each(net, loader, step, watch_batch, &w, result);
  free(w.logits);
  free(w.sum);
  return status;
}
