/* test_loss.c - losses: finite differences prove the reference, the op is
 * compared with it, and with cases whose answer is plain. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ref64/train.h"
#include "tests/support/values.h"

typedef struct loss_case {
  const char *name;
  surge_loss_kind kind;
  int32_t T, N, classes, vote;
  float smoothing, spread; /* logits within +- spread                         */
  float share;             /* of a sample's own label; 0: not mixed           */
} loss_case;

static const loss_case cases[] = {
    {"mean, one of all", SURGE_LOSS_MEAN, 1, 1, 1, 1, 0, 2},
    {"mean", SURGE_LOSS_MEAN, 4, 7, 10, 1, 0, 3},
    {"mean, smoothed", SURGE_LOSS_MEAN, 3, 5, 10, 1, .1f, 3},
    {"mean, votes", SURGE_LOSS_MEAN, 5, 3, 11, 10, .1f, 3},
    {"mean, many samples", SURGE_LOSS_MEAN, 2, 131, 10, 1, 0, 3},
    {"mean, far logits", SURGE_LOSS_MEAN, 2, 9, 10, 1, 0, 1e4f},
    {"tet", SURGE_LOSS_TET, 4, 7, 10, 1, 0, 3},
    {"tet, one step", SURGE_LOSS_TET, 1, 7, 3, 1, 0, 3},
    {"tet, votes, smoothed", SURGE_LOSS_TET, 3, 67, 5, 3, .2f, 3},
    {"mse", SURGE_LOSS_MSE, 4, 7, 10, 1, 0, 2},
    {"mse, votes, smoothed", SURGE_LOSS_MSE, 3, 5, 7, 2, .1f, 2},
    {"mean, mixed", SURGE_LOSS_MEAN, 4, 7, 10, 1, 0, 3, .625f},
    {"mean, mixed, the other's", SURGE_LOSS_MEAN, 2, 300, 3, 1, 0, 3, .3f},
    {"mean, mixed in halves, smoothed", SURGE_LOSS_MEAN, 2, 33, 4, 1, .1f, 3,
     .5f},
    {"mean, mixed with itself", SURGE_LOSS_MEAN, 2, 1, 4, 1, .1f, 3, .7f},
    {"mean, mixed by nothing", SURGE_LOSS_MEAN, 2, 5, 4, 1, .1f, 3, 1},
    {"tet, mixed, votes, smoothed", SURGE_LOSS_TET, 3, 19, 5, 3, .2f, 3, .8f},
    {"mse, mixed, smoothed", SURGE_LOSS_MSE, 3, 5, 7, 2, .1f, 2, .1f},
};
#define CASES (sizeof cases / sizeof *cases)

typedef struct problem {
  const loss_case *c;
  surge_dtype type;
  ref_loss ref;
  size_t count; /* logits */
  float *logits;
  int32_t *labels;
} problem;

static problem problem_create_as(const loss_case *c, surge_dtype type) {
  problem p = {.c = c,
               .type = type,
               .count = (size_t)(c->T * c->N * c->classes * c->vote)};
  p.logits = test_random(11, p.count, -c->spread, c->spread);
  test_round(p.logits, p.count, type);
  p.labels = malloc((size_t)c->N * sizeof *p.labels);
  for (int32_t n = 0; n < c->N; n++)
    p.labels[n] = (int32_t)test_uniform(12, (size_t)n, 0, (float)c->classes);
  p.ref = (ref_loss){c->T,
                     c->N,
                     c->classes,
                     c->vote,
                     c->kind,
                     (double)c->smoothing,
                     (double).05f,
                     1,
                     .5,
                     p.labels,
                     c->share > 0 ? (double)c->share : 1};
  return p;
}

static problem problem_create(const loss_case *c) {
  return problem_create_as(c, SURGE_F32);
}

static void problem_free(problem *p) {
  free(p->logits);
  free(p->labels);
}

typedef struct outcome {
  surge_context *context;
  test_buffer dlogits, scores, metrics, fault;
} outcome;

static const surge_metrics before = {2.5, 7, 3, 5}; /* in the accumulators */

/* With `gather` the labels lie scattered in those of a whole set, whose others
 * are of no class. */
static outcome run_labels(const problem *p, int threads, bool training,
                          surge_fault fault, bool gather) {
  surge_context *context = test_context(threads);
  const loss_case *c = p->c;
  outcome o = {context, test_poisoned_as(context, p->count, p->type),
               test_poisoned(context, (size_t)(c->N * c->classes)),
               test_object(context, &before, sizeof before),
               test_object(context, &fault, sizeof fault)};
  test_buffer logits = test_copied_as(context, p->logits, p->count, p->type);
  size_t N = (size_t)c->N, set = 3 * N + 2;
  uint32_t *sample = malloc(N * sizeof *sample);
  int32_t *all = malloc(set * sizeof *all);
  for (size_t i = 0; i < set; i++) all[i] = -1;
  for (size_t n = 0; n < N; n++) {
    sample[n] = (uint32_t)(3 * (N - n) - 1);
    all[sample[n]] = p->labels[n];
  }
  surge_step step = test_step(1, 0);
  step.mix.share = c->share;
  test_buffer block = test_object(context, &step, sizeof step);
  test_buffer samples = test_object(context, sample, N * sizeof *sample);
  test_buffer labels = gather
                           ? test_object(context, all, set * sizeof *all)
                           : test_object(context, p->labels, N * sizeof *all);
  surge_loss a = {.dlogits = training ? o.dlogits.device : NULL,
                  .scores = o.scores.device,
                  .metrics = TEST_AS(o.metrics, surge_metrics),
                  .fault = TEST_AS(o.fault, surge_fault),
                  .logits = logits.device,
                  .type = p->type,
                  .labels = TEST_AS(labels, int32_t),
                  .T = c->T,
                  .N = c->N,
                  .classes = c->classes,
                  .vote = c->vote,
                  .kind = c->kind,
                  .label_smoothing = c->smoothing,
                  .tet_lambda = .05f,
                  .tet_target = 1,
                  .gradient_scale = .5f,
                  .layer = 4,
                  .sample = gather ? TEST_AS(samples, uint32_t) : NULL,
                  .step = c->share > 0 ? TEST_AS(block, surge_step) : NULL};
  cr_assert_eq(test_backend()->loss(context, &a), SURGE_OK, "%s",
               surge_last_error());
  free(sample);
  free(all);
  test_release(&block);
  test_release(&logits);
  test_release(&samples);
  test_release(&labels);
  return o;
}

static outcome run_loss(const problem *p, int threads, bool training,
                        surge_fault fault) {
  return run_labels(p, threads, training, fault, false);
}

static void outcome_free(outcome *o) {
  test_release(&o->dlogits);
  test_release(&o->scores);
  test_release(&o->metrics);
  test_release(&o->fault);
  test_backend()->close(o->context);
}

/* --- against the reference ------------------------------------------------- */

/* The op works in double and rounds once: u of the result, and what exp and
 * log lose in double, which is u/16 of the terms by a wide margin. */
static void expect_outcome(const problem *p, const outcome *o, bool training) {
  const loss_case *c = p->c;
  size_t scores = (size_t)(c->N * c->classes);
  double *logits = test_widened(p->logits, p->count);
  double *d = calloc(p->count, sizeof *d),
         *d_bound = calloc(p->count, sizeof(double));
  double *score = calloc(scores, sizeof(double)),
         *s_bound = calloc(scores, sizeof(double));
  uint64_t correct;
  double loss = ref_loss_run(&p->ref, logits, d, d_bound, score, &correct);
  for (size_t i = 0; i < p->count; i++)
    d_bound[i] = 0x1p-24 * fabs(d[i]) + 0x1p-28 * d_bound[i] + 0x1p-149;
  for (size_t i = 0; i < scores; i++)
    s_bound[i] = 0x1p-24 * fabs(score[i]) + 0x1p-28 * (double)c->spread;
  test_expect_near(c->name, "scores", &o->scores, score, s_bound);
  if (training) test_expect_near(c->name, "dlogits", &o->dlogits, d, d_bound);
  surge_metrics m;
  test_object_back(&o->metrics, &m, "metrics");
  cr_expect_float_eq(m.loss, before.loss + loss, 1e-12 * (1 + loss),
                     "%s: loss: wanted %.15g, found %.15g", c->name,
                     before.loss + loss, m.loss);
  cr_expect_eq(m.pda, before.pda, "%s: pda", c->name);
  cr_expect_eq(m.correct, before.correct + correct, "%s: correct", c->name);
  cr_expect_eq(m.samples, before.samples + (uint64_t)c->N, "%s: samples",
               c->name);
  surge_fault fault;
  test_object_back(&o->fault, &fault, "fault");
  cr_expect_eq(fault, 0, "%s: fault", c->name);
  free(logits);
  free(d);
  free(d_bound);
  free(score);
  free(s_bound);
}

Test(loss, gives_the_reference) {
  for (size_t i = 0; i < CASES * (size_t)test_types(); i++) {
    problem p = problem_create_as(&cases[i % CASES], test_type[i / CASES]);
    for (int training = 0; training < 2; training++) {
      outcome o = run_loss(&p, 2, training, 0);
      expect_outcome(&p, &o, training);
      outcome_free(&o);
    }
    problem_free(&p);
  }
}

Test(loss, has_the_same_bits_with_one_thread_and_again) {
  for (size_t i = 0; i < CASES * (size_t)test_types(); i++) {
    problem p = problem_create_as(&cases[i % CASES], test_type[i / CASES]);
    outcome one = run_loss(&p, 1, true, 0), two = run_loss(&p, 2, true, 0);
    outcome again = run_loss(&p, 2, true, 0);
    const outcome *pairs[][2] = {{&one, &two}, {&two, &again}};
    for (size_t k = 0; k < 2; k++) {
      const outcome *a = pairs[k][0], *b = pairs[k][1];
      test_expect_same(p.c->name, "dlogits", &a->dlogits, &b->dlogits);
      test_expect_same(p.c->name, "scores", &a->scores, &b->scores);
      test_expect_same(p.c->name, "metrics", &a->metrics, &b->metrics);
    }
    outcome_free(&one);
    outcome_free(&two);
    outcome_free(&again);
    problem_free(&p);
  }
}

/* Labels read from the whole set's are those of the batch: the same bits. */
Test(loss, gathers_labels_from_the_whole_set) {
  for (size_t i = 0; i < CASES; i++) {
    problem p = problem_create(&cases[i]);
    outcome own = run_loss(&p, 2, true, 0);
    outcome set = run_labels(&p, 2, true, 0, true);
    test_expect_same(p.c->name, "dlogits", &own.dlogits, &set.dlogits);
    test_expect_same(p.c->name, "scores", &own.scores, &set.scores);
    test_expect_same(p.c->name, "metrics", &own.metrics, &set.metrics);
    outcome_free(&own);
    outcome_free(&set);
    problem_free(&p);
  }
}

/* --- plain answers ---------------------------------------------------------- */

/* Squares of integers: each sample counts once, however many there are. */
Test(loss, sums_of_integers_are_exact) {
  static const int32_t sizes[] = {1, 511, 512, 513, 1 << 20};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    loss_case c = {"integers", SURGE_LOSS_MSE, 1, sizes[i], 1, 1, 0, 3};
    problem p = problem_create(&c);
    double wanted = before.loss;
    for (int32_t n = 0; n < c.N; n++) {
      p.logits[n] = (float)(n % 7 - 2);
      wanted += (n % 7 - 3) * (n % 7 - 3); /* the target is 1 */
    }
    outcome o = run_loss(&p, 2, false, 0);
    surge_metrics m;
    test_object_back(&o.metrics, &m, "metrics");
    cr_expect_eq(m.loss, wanted, "%d: wanted %.17g, found %.17g", c.N, wanted,
                 m.loss);
    cr_expect_eq(m.correct, before.correct + (uint64_t)c.N, "%d", c.N);
    cr_expect_eq(m.samples, before.samples + (uint64_t)c.N, "%d", c.N);
    outcome_free(&o);
    problem_free(&p);
  }
}

/* Equal scores: the first class is the answer; equal logits cost ln classes. */
Test(loss, the_first_maximum_wins) {
  static const loss_case tie = {"tie", SURGE_LOSS_MEAN, 2, 4, 4, 1, 0, 1};
  problem p = problem_create(&tie);
  for (size_t i = 0; i < p.count; i++) p.logits[i] = 3;
  for (int32_t n = 0; n < tie.N; n++) p.labels[n] = n < 2 ? 0 : n;
  outcome o = run_loss(&p, 2, false, 0);
  surge_metrics m;
  test_object_back(&o.metrics, &m, "metrics");
  cr_expect_eq(m.correct, before.correct + 2);
  cr_expect_float_eq(m.loss, before.loss + 4 * log(4), 1e-12);
  outcome_free(&o);
  problem_free(&p);
}

/* Logits of 1e30 overflow exp and not the loss; NaN and infinity are faults,
 * and the first layer's name stands. */
Test(loss, only_what_is_not_finite_is_a_fault) {
  static const loss_case c = {"fault", SURGE_LOSS_TET, 3, 70, 5, 2, 0, 2};
  static const struct {
    float value;
    surge_fault before, after;
  } faults[] = {{NAN, 0, 5}, {INFINITY, 0, 5}, {-INFINITY, 0, 5},
                {NAN, 2, 2}, {NAN, 9, 5},      {1e30f, 0, 0}};
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    problem p = problem_create(&c);
    p.logits[p.count / 2] = faults[i].value;
    outcome o = run_loss(&p, 2, true, faults[i].before);
    surge_fault fault;
    test_object_back(&o.fault, &fault, "fault");
    cr_expect_eq(fault, faults[i].after, "%g: found %u",
                 (double)faults[i].value, fault);
    outcome_free(&o);
    problem_free(&p);
  }
}

/* --- the reference ---------------------------------------------------------- */

Test(loss, reference_has_the_gradient_of_finite_differences) {
  for (size_t i = 0; i < CASES; i++) {
    if (cases[i].spread > 10 || cases[i].N > 20) continue;
    problem p = problem_create(&cases[i]);
    double *logits = test_widened(p.logits, p.count), h = 1e-5;
    double *d = calloc(p.count, sizeof(double)),
           *d_abs = calloc(p.count, sizeof(double));
    uint64_t correct;
    ref_loss_run(&p.ref, logits, d, d_abs, NULL, &correct);
    double scale = p.ref.gradient_scale / p.c->N;
    for (size_t k = 0; k < p.count; k++) {
      double at = logits[k];
      logits[k] = at + h;
      double above = ref_loss_run(&p.ref, logits, NULL, NULL, NULL, &correct);
      logits[k] = at - h;
      double below = ref_loss_run(&p.ref, logits, NULL, NULL, NULL, &correct);
      logits[k] = at;
      double slope = scale * (above - below) / (2 * h);
      cr_expect_float_eq(slope, d[k], 1e-6 * (fabs(d[k]) + 1e-3),
                         "%s: [%zu]: finite difference %.9g, reference %.9g",
                         p.c->name, k, slope, d[k]);
    }
    free(logits);
    free(d);
    free(d_abs);
    problem_free(&p);
  }
}

/* --- refused calls ----------------------------------------------------------- */

Test(loss, wrong_arguments_are_refused_by_name) {
  surge_context *context = test_context(1);
  float x[4] = {0};
  int32_t label = 0;
  surge_metrics metrics = before;
  surge_fault fault = 0;
  const surge_loss good = {.scores = x,
                           .metrics = &metrics,
                           .fault = &fault,
                           .logits = x,
                           .labels = &label,
                           .T = 1,
                           .N = 1,
                           .classes = 2,
                           .vote = 1,
                           .kind = SURGE_LOSS_TET,
                           .tet_lambda = .05f,
                           .gradient_scale = 1};
  surge_loss bad[5] = {good, good, good, good, good};
  bad[0].labels = NULL;
  bad[1].vote = 0;
  bad[2].label_smoothing = 1;
  bad[3].tet_lambda = NAN;
  bad[4].gradient_scale = INFINITY;
  const char *const word[] = {
      "labels:", "vote:", "label_smoothing:", "tet_lambda:", "gradient_scale:"};
  for (size_t i = 0; i < 5; i++) {
    cr_expect_eq(test_backend()->loss(context, &bad[i]), SURGE_ERROR_INTERNAL,
                 "%s", word[i]);
    cr_expect(strstr(surge_last_error(), word[i]), "%s: said '%s'", word[i],
              surge_last_error());
  }
  cr_expect_eq(metrics.samples, before.samples, "written before the checks");
  test_backend()->close(context);
}
