/* test_anytime.c - accuracy after each step is that of a network with so many
 * steps, and an exit is taken at the first step that is sure enough. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "src/train/session.h"
#include "tests/support/run.h"
#include "tests/support/support.h"

#define T_MOST 4
#define IMAGES 40
#define CLASSES 10

/* Batches of 16: the last of 40 images is smaller. Few epochs at a high rate:
 * some images are told at once, some late, some never. */
static const char yaml[] =
    "T: 4\n"
    "data: {set: fashion_mnist, limit: 256, test_limit: 40}\n"
    "model: {arch: convnet, channels: [8], pool: [true], vote: 3}\n"
    "train: {epochs: 4, batch: 16}\n";

static void open_trained(surge_session *s, const surge_recipe *recipe,
                         const char *folder, int32_t T) {
  char path[128];
  snprintf(path, sizeof path, "%s/run/checkpoint_last.safetensors", folder);
  surge_net_options options = {.T = T};
  cr_assert_eq(surge_session_open(s, recipe, &options), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(surge_session_restore(s, path, false), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(surge_session_open_test(s), SURGE_OK);
}

/* Logits of the whole test set, [image, step, class], and labels. */
typedef struct outputs {
  float logits[IMAGES][T_MOST][CLASSES];
  int32_t label[IMAGES];
} outputs;

static surge_status keep_logits(void *user, surge_net *net,
                                const surge_batch *batch) {
  static float logits[T_MOST * IMAGES * CLASSES];
  outputs *o = user;
  cr_assert_eq(surge_net_steps(net), T_MOST);
  SURGE_TRY(surge_net_logits(net, logits));
  for (int32_t t = 0; t < T_MOST; t++)
    for (int32_t n = 0; n < batch->n; n++) {
      uint32_t sample = batch->sample[n];
      memcpy(o->logits[sample][t], logits + (t * batch->n + n) * CLASSES,
             sizeof o->logits[sample][t]);
      o->label[sample] = batch->set->labels[sample];
    }
  return SURGE_OK;
}

/* The step, from 1, at which image `i` leaves, and whether it is right then. */
static uint64_t leaves(const outputs *o, int i, double threshold, bool *right) {
  for (int t = 1;; t++) {
    double mean[CLASSES] = {0}, total = 0;
    int best = 0;
    for (int c = 0; c < CLASSES; c++) {
      for (int k = 0; k < t; k++) mean[c] += (double)o->logits[i][k][c] / t;
      if (mean[c] > mean[best]) best = c;
      total += exp(mean[c]);
    }
    *right = best == o->label[i];
    if (t == T_MOST || exp(mean[best]) / total >= threshold) return (uint64_t)t;
  }
}

static void check_exits(const surge_anytime *a, const outputs *o) {
  uint64_t least = 0, most = 0;
  for (int e = 0; e < SURGE_EXITS; e++) {
    uint64_t steps = 0, correct = 0;
    for (int i = 0; i < IMAGES; i++) {
      bool right;
      steps += leaves(o, i, a->exit[e].threshold, &right);
      correct += right;
    }
    cr_expect_eq(a->exit[e].steps, steps, "%g", a->exit[e].threshold);
    cr_expect_eq(a->exit[e].correct, correct, "%g", a->exit[e].threshold);
    if (e == 0) least = steps;
    most = steps;
  }
  cr_expect_lt(least, most, "wanted exits of several lengths");
}

Test(anytime, every_step_and_exit) {
  char folder[64];
  outputs o;
  surge_anytime a;
  surge_evaluation result;
  surge_session s;
  const surge_step step = {.seed = 1, .schedule = 1};
  run_needs_data();
  run_make_folder(folder);
  surge_recipe recipe = run_recipe(yaml, NULL);
  cr_assert_eq(run_train(&recipe, folder, "run", false, NULL), SURGE_OK, "%s",
               surge_last_error());
  open_trained(&s, &recipe, folder, T_MOST);
  cr_assert_eq(surge_evaluate_anytime(s.net, s.test_loader, &step, &result, &a),
               SURGE_OK, "%s", surge_last_error());
  cr_expect(a.T == T_MOST && a.samples == IMAGES);
  cr_assert_eq(surge_evaluate_each(s.net, s.test_loader, &step, keep_logits, &o,
                                   &result),
               SURGE_OK);
  surge_session_close(&s);
  check_exits(&a, &o);
  for (int32_t T = 1; T <= T_MOST; T++) {
    open_trained(&s, &recipe, folder, T);
    cr_assert_eq(surge_evaluate(s.net, s.test_loader, &step, &result),
                 SURGE_OK);
    cr_expect_eq((double)a.correct[T - 1] / IMAGES, result.accuracy, "T = %d",
                 T);
    surge_session_close(&s);
  }
  surge_recipe_free(&recipe);
  run_remove_folder(folder);
}
