/* test_optimizer.c - gradient norm, SGD, Adam, and counting: ten steps against
 * the reference, exact sums of integers, and when nothing may change. */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ref64/train.h"
#include "tests/support/values.h"

static const size_t sizes[] = {1, 3, 17, 4096, 4099, 100003};
#define SIZES (sizeof sizes / sizeof *sizes)

/* Of reductions whose answer is exact: about a block, and many blocks. */
static const size_t sums[] = {1, 511, 512, 513, 1 << 20, (1 << 21) + 5};
#define SUMS (sizeof sums / sizeof *sums)

/* --- gradient norm ----------------------------------------------------------- */

typedef struct norm_outcome {
  float norm, clip;
  surge_fault fault;
  uint64_t since;
} norm_outcome;

/* Of `count` elements behind the first `skip`. */
static norm_outcome run_norm_behind(const float *g, size_t skip, size_t count,
                                    float max_norm, int threads,
                                    surge_fault fault, uint64_t since) {
  const surge_backend *backend = test_backend();
  surge_context *context = test_context(threads);
  test_buffer gradient = test_copied(context, g, skip + count);
  test_buffer out = test_poisoned(context, 2);
  test_buffer state = test_object(context, &fault, sizeof fault);
  test_buffer seen = test_object(context, &since, sizeof since);
  surge_step step = test_step(1, 0);
  step.number = 40;
  test_buffer now = test_object(context, &step, sizeof step);
  size_t bytes = backend->gradient_norm_workspace(count);
  test_buffer workspace = test_poisoned(context, bytes / sizeof(float));
  surge_gradient_norm a = {.norm = out.device,
                           .clip = out.device + 1,
                           .fault = TEST_AS(state, surge_fault),
                           .fault_step = TEST_AS(seen, uint64_t),
                           .step = TEST_AS(now, surge_step),
                           .g = gradient.device + skip,
                           .count = count,
                           .max_norm = max_norm,
                           .layer = 6,
                           .workspace = workspace.device};
  cr_assert_eq(backend->gradient_norm(context, &a), SURGE_OK, "%s",
               surge_last_error());
  norm_outcome o;
  float *values = test_download(&out, "norm");
  o.norm = values[0];
  o.clip = values[1];
  free(values);
  free(test_download(&workspace, "workspace"));
  test_object_back(&state, &o.fault, "fault");
  test_object_back(&seen, &o.since, "fault_step");
  test_release(&gradient);
  test_release(&out);
  test_release(&state);
  test_release(&seen);
  test_release(&now);
  test_release(&workspace);
  backend->close(context);
  return o;
}

static norm_outcome run_norm(const float *g, size_t count, float max_norm,
                             int threads, surge_fault fault) {
  return run_norm_behind(g, 0, count, max_norm, threads, fault, 0);
}

Test(gradient_norm, gives_the_reference_with_any_threads) {
  static const float limits[] = {0, .01f, 1e6f};
  for (size_t i = 0; i < SIZES; i++) {
    float *g = test_random(21, sizes[i], -1, 1);
    double *wide = test_widened(g, sizes[i]);
    for (size_t k = 0; k < 3; k++) {
      double clip,
          norm = ref_gradient_norm(wide, sizes[i], (double)limits[k], &clip);
      norm_outcome one = run_norm(g, sizes[i], limits[k], 1, 0);
      norm_outcome two = run_norm(g, sizes[i], limits[k], 2, 0);
      cr_expect(!memcmp(&one, &two, sizeof one), "%zu: other bits", sizes[i]);
      /* The sum is in double: a rounding of the norm; three of the clip. */
      cr_expect_float_eq((double)two.norm, norm, 0x1.01p-24 * norm,
                         "%zu: wanted %.9g, found %.9g", sizes[i], norm,
                         (double)two.norm);
      cr_expect_float_eq((double)two.clip, clip, 3.01 * 0x1p-24 * clip,
                         "%zu: clip: wanted %.9g, found %.9g", sizes[i], clip,
                         (double)two.clip);
      cr_expect(two.fault == 0 && two.since == 0);
    }
    free(g);
    free(wide);
  }
}

/* Integers: each element counts once, also where none is aligned to 16 bytes
 * (`skip` elements behind the start, which are NaN). */
Test(gradient_norm, sums_of_integers_are_exact) {
  for (size_t i = 0; i < SUMS; i++)
    for (size_t skip = 0; skip < 2; skip++) {
      float *g = malloc((sums[i] + skip) * sizeof *g);
      double squares = 0;
      g[0] = NAN;
      for (size_t k = 0; k < sums[i]; k++) {
        g[skip + k] = (float)(k % 7) - 3;
        squares += pow((double)g[skip + k], 2);
      }
      norm_outcome o = run_norm_behind(g, skip, sums[i], 0, 2, 0, 0);
      cr_expect_eq(o.norm, (float)sqrt(squares), "%zu + %zu: norm %.9g", skip,
                   sums[i], (double)o.norm);
      free(g);
    }
}

/* An arena may have no parameter of a group. */
Test(gradient_norm, of_nothing_is_zero) {
  float g[1] = {NAN};
  norm_outcome o = run_norm_behind(g, 1, 0, 1, 2, 0, 0);
  cr_expect(o.norm == 0 && o.clip == 1 && o.fault == 0, "norm %g, clip %g",
            (double)o.norm, (double)o.clip);
}

/* Huge and tiny squares stay in range. */
Test(gradient_norm, plain_answers_are_exact) {
  float *g = test_random(0, 65536 * 4, 0, 1);
  for (size_t i = 0; i < 65536 * 4; i++) g[i] = i % 2 ? 3 : -3;
  cr_expect_eq(run_norm(g, 65536 * 4, 0, 2, 0).norm, 3 * 512);
  for (size_t i = 0; i < 64; i++) g[i] = 3e30f;
  cr_expect_eq(run_norm(g, 64, 0, 2, 0).norm, 8 * 3e30f);
  for (size_t i = 0; i < 64; i++) g[i] = 3e-30f;
  cr_expect_eq(run_norm(g, 64, 1, 2, 0).norm, 8 * 3e-30f);
  cr_expect_eq(run_norm(g, 64, 1, 2, 0).clip, 1);
  free(g);
}

Test(gradient_norm, what_is_not_finite_sets_the_fault) {
  static const struct {
    float value;
    surge_fault before, after;
    uint64_t since, found;
  } faults[] = {{NAN, 0, 7, 0, 40},     {INFINITY, 0, 7, 0, 40},
                {FLT_MAX, 0, 7, 0, 40}, {NAN, 3, 3, 0, 40},
                {NAN, 9, 7, 0, 40},     {NAN, 3, 3, 39, 39},
                {1, 3, 3, 0, 40},       {1, 0, 0, 0, 0}};
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    float *g = test_random(22, 9001, -1, 1);
    g[8999] = g[1] = faults[i].value;
    norm_outcome o =
        run_norm_behind(g, 0, 9001, 1, 2, faults[i].before, faults[i].since);
    cr_expect_eq(o.fault, faults[i].after, "%zu: found %u", i, o.fault);
    cr_expect_eq(o.since, faults[i].found, "%zu: found step %llu", i,
                 (unsigned long long)o.since);
    free(g);
  }
}

/* --- updates ------------------------------------------------------------------ */

typedef struct update_case {
  const char *name;
  surge_optimizer kind;
  bool nesterov, bounded;
  bool rounded; /* weights in bf16 are wanted, else NULL is handed over */
  float clip;   /* 0: NULL is handed over */
  float momentum, weight_decay;
} update_case;

static const update_case updates[] = {
    {"sgd, bare", SURGE_SGD, false, false, false, 0, 0, 0},
    {"sgd", SURGE_SGD, false, false, true, .3f, .9f, 5e-4f},
    {"sgd, nesterov", SURGE_SGD, true, false, false, .3f, .9f, 5e-4f},
    {"adam", SURGE_ADAM, false, false, true, 0, 0, 0},
    {"adam, decay", SURGE_ADAM, false, false, false, .3f, 0, .01f},
    {"adamw", SURGE_ADAMW, false, false, true, .3f, 0, .01f},
    {"adam, bounds", SURGE_ADAM, false, true, false, 0, 0, 0},
};
#define UPDATES (sizeof updates / sizeof *updates)
#define STEPS 10
#define LR .05f
#define GROUP SURGE_GROUP_NORM /* not the first: the rates are read by group */

typedef struct update_state {
  const update_case *c;
  test_buffer w, m, v, rounded, g, clip;
  size_t skip; /* elements before the group, which must stay as they are     */
} update_state;

static update_state state_create(surge_context *context, const update_case *c,
                                 size_t count) {
  float *w = test_random(31, count, -1, 1);
  update_state s = {.c = c,
                    .w = test_copied(context, w, count),
                    .m = test_filled(context, count, 0),
                    .v = test_filled(context, count, 0),
                    .rounded = test_poisoned_as(context, count, SURGE_BF16),
                    .g = test_poisoned(context, count),
                    .clip = test_filled(context, 1, c->clip)};
  free(w);
  return s;
}

static void state_free(update_state *s) {
  test_buffer *all[] = {&s->w, &s->m, &s->v, &s->rounded, &s->g, &s->clip};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) test_release(all[i]);
}

static float *gradient_of(int t, size_t count) {
  return test_random(40 + (uint64_t)t, count, -1, 1);
}

static surge_update update_of(const update_state *s) {
  const update_case *c = s->c;
  uint16_t *rounded = TEST_AS(s->rounded, uint16_t);
  return (surge_update){
      .kind = c->kind,
      .count = s->w.count - s->skip,
      .w = s->w.device + s->skip,
      .m = s->m.device + s->skip,
      .v = c->kind == SURGE_SGD ? NULL : s->v.device + s->skip,
      .rounded = c->rounded ? rounded + s->skip : NULL,
      .g = s->g.device + s->skip,
      .clip = c->clip > 0 ? s->clip.device : NULL,
      .weight_decay = c->weight_decay,
      .momentum = c->momentum,
      .nesterov = c->nesterov,
      .beta1 = .9f,
      .beta2 = .999f,
      .eps = 1e-8f,
      .w_min = c->bounded ? -.5f : -INFINITY,
      .w_max = c->bounded ? .25f : INFINITY};
}

/* Step t = 1, 2, ... of one state a group, NULL where there is none. Each group
 * has numbers of its own; GROUP has those of the reference. */
static void run_updates(surge_context *context,
                        update_state *const s[SURGE_GROUP_COUNT], int t,
                        surge_fault fault) {
  surge_step step = test_step(1, 0);
  test_buffer state = test_object(context, &fault, sizeof fault);
  surge_optimize a = {.fault = TEST_AS(state, surge_fault)};
  for (int group = 0; group < SURGE_GROUP_COUNT; group++) {
    float other = (float)(1 + abs(group - (int)GROUP));
    step.learning_rate[group] = other * LR;
    step.adam_scale1[group] = other * (float)(1 / (1 - pow((double).9f, t)));
    step.adam_scale2[group] = other * (float)(1 / (1 - pow((double).999f, t)));
    if (!s[group]) continue;
    size_t count = s[group]->g.count;
    float *g = gradient_of(t, count);
    cr_assert_eq(test_backend()->upload(context, s[group]->g.device, g,
                                        count * sizeof *g),
                 SURGE_OK);
    free(g);
    a.update[group] = update_of(s[group]);
  }
  test_buffer block = test_object(context, &step, sizeof step);
  a.step = TEST_AS(block, surge_step);
  cr_assert_eq(test_backend()->optimize(context, &a), SURGE_OK, "%s",
               surge_last_error());
  test_release(&state);
  test_release(&block);
}

static void run_update(surge_context *context, update_state *s, int t,
                       surge_fault fault) {
  update_state *groups[SURGE_GROUP_COUNT] = {[GROUP] = s};
  run_updates(context, groups, t, fault);
}

static void expect_same_state(const update_state *a, const update_state *b) {
  test_expect_same(a->c->name, "w", &a->w, &b->w);
  test_expect_same(a->c->name, "m", &a->m, &b->m);
  test_expect_same(a->c->name, "v", &a->v, &b->v);
  test_expect_same(a->c->name, "rounded", &a->rounded, &b->rounded);
}

/* What float may lose of one parameter's step t. Adam's step is at most
 * lr (1-b1)/sqrt(1-b2) = 3.2 lr, SGD's lr |g|/(1 - momentum); each is a chain
 * of at most 12 roundings. Where the gradient is small beside its two terms
 * (clip*g and wd*w), their rounding `noise` moves m/root by up to
 * (1 + 3.2) noise/root: averages of noise are at most its maximum. */
static double step_bound(const update_case *c, int t, double w, double v,
                         double noise) {
  double lr = (double)LR, u = 0x1p-24;
  if (c->kind == SURGE_SGD)
    return u * (2 * fabs(w) + 12 * lr * 1.1 / (1 - (double)c->momentum));
  double root = sqrt(v / (1 - pow((double).999f, t))) + 1e-8;
  return u * (2 * fabs(w) + 12 * lr * 3.2) + lr * 4.2 * noise / root;
}

/* Ten steps of one parameter in double; *bound is what float may lose. */
static double expected_weight(const update_case *c, double w, float *const g[],
                              size_t i, double *bound) {
  double m = 0, v = 0, noise = 0, clip = c->clip > 0 ? (double)c->clip : 1;
  ref_sgd sgd = {(double)LR, (double)c->momentum, (double)c->weight_decay, clip,
                 c->nesterov};
  ref_adam adam = {(double)LR,
                   (double).9f,
                   (double).999f,
                   (double)1e-8f,
                   (double)c->weight_decay,
                   clip,
                   c->bounded ? -.5 : (double)-INFINITY,
                   c->bounded ? .25 : (double)INFINITY,
                   c->kind == SURGE_ADAMW};
  *bound = 0;
  for (int t = 1; t <= STEPS; t++) {
    double gradient = (double)g[t][i],
           decay = adam.decoupled ? 0 : adam.weight_decay;
    noise =
        fmax(noise, 3 * 0x1p-24 * (fabs(clip * gradient) + decay * fabs(w)) +
                        decay * *bound);
    if (c->kind == SURGE_SGD)
      ref_sgd_step(&sgd, &w, &m, gradient);
    else
      ref_adam_step(&adam, t, &w, &m, &v, gradient);
    *bound += step_bound(c, t, w, v, noise);
  }
  return w;
}

static void expect_update(const update_state *s) {
  const update_case *c = s->c;
  size_t count = s->w.count;
  float *start = test_random(31, count, -1, 1), *g[STEPS + 1] = {NULL};
  double *w = calloc(count, sizeof *w), *bound = calloc(count, sizeof *bound);
  for (int t = 1; t <= STEPS; t++) g[t] = gradient_of(t, count);
  for (size_t i = 0; i < count; i++)
    w[i] = expected_weight(c, (double)start[i], g, i, &bound[i]);
  test_expect_near(c->name, "w", &s->w, w, bound);
  for (int t = 1; t <= STEPS; t++) free(g[t]);
  free(start);
  free(w);
  free(bound);
}

/* Where they are wanted: the weights, rounded once; else untouched. */
static void expect_rounded(const update_state *s) {
  size_t count = s->w.count, wrong = 0;
  float *w = test_download(&s->w, "w"),
        *found = test_download(&s->rounded, "rounded");
  test_round(w, count, SURGE_BF16);
  for (size_t i = 0; i < count; i++)
    wrong += s->c->rounded ? found[i] != w[i] : !isnan(found[i]);
  cr_expect_eq(wrong, 0, "%s: %zu of %zu rounded weights are others",
               s->c->name, wrong, count);
  free(w);
  free(found);
}

Test(update, ten_steps_give_the_reference) {
  surge_context *context = test_context(2);
  for (size_t i = 0; i < UPDATES; i++)
    for (size_t k = 0; k < SIZES; k++) {
      update_state s = state_create(context, &updates[i], sizes[k]);
      for (int t = 1; t <= STEPS; t++) run_update(context, &s, t, 0);
      expect_update(&s);
      expect_rounded(&s);
      state_free(&s);
    }
  test_backend()->close(context);
}

Test(update, has_the_same_bits_with_one_thread) {
  surge_context *context[] = {test_context(1), test_context(2)};
  for (size_t i = 0; i < UPDATES; i++) {
    update_state s[2];
    for (int k = 0; k < 2; k++) {
      s[k] = state_create(context[k], &updates[i], 4099);
      run_update(context[k], &s[k], 1, 0);
    }
    expect_same_state(&s[0], &s[1]);
    for (int k = 0; k < 2; k++) state_free(&s[k]);
  }
  for (int k = 0; k < 2; k++) test_backend()->close(context[k]);
}

/* Whatever the others are, of any kind and size, each group's step is that of
 * the group alone. */
Test(update, all_groups_at_once_give_the_bits_of_each_alone) {
  static const size_t counts[] = {4099, 0, 1024, 3};
  surge_context *context = test_context(2);
  for (size_t i = 0; i < UPDATES; i++)
    for (size_t turn = 0; turn < SURGE_GROUP_COUNT; turn++) {
      update_state together[SURGE_GROUP_COUNT], alone[SURGE_GROUP_COUNT];
      update_state *all[SURGE_GROUP_COUNT] = {NULL};
      for (size_t group = 0; group < SURGE_GROUP_COUNT; group++) {
        size_t count = counts[(group + turn) % SURGE_GROUP_COUNT];
        if (count == 0) continue;
        const update_case *c = &updates[(i + group) % UPDATES];
        update_state *one[SURGE_GROUP_COUNT] = {NULL};
        together[group] = state_create(context, c, count);
        alone[group] = state_create(context, c, count);
        all[group] = &together[group];
        one[group] = &alone[group];
        run_updates(context, one, 1, 0);
      }
      run_updates(context, all, 1, 0);
      for (size_t group = 0; group < SURGE_GROUP_COUNT; group++) {
        if (!all[group]) continue;
        expect_same_state(&together[group], &alone[group]);
        state_free(&together[group]);
        state_free(&alone[group]);
      }
    }
  test_backend()->close(context);
}

Test(update, of_no_group_is_nothing) {
  update_state *none[SURGE_GROUP_COUNT] = {NULL};
  surge_context *context = test_context(2);
  run_updates(context, none, 1, 0);
  test_backend()->close(context);
}

/* The elements before `skip` are those of `before`, the others those of
 * `after`. */
static void expect_spliced(const char *name, const char *what, size_t skip,
                           const test_buffer *found, const test_buffer *before,
                           const test_buffer *after) {
  size_t bytes = skip * sizeof(float), rest = found->count * sizeof(float);
  float *x = test_download(found, what), *y = test_download(before, what),
        *z = test_download(after, what);
  cr_expect(!memcmp(x, y, bytes), "%s, %s, %zu: written before", name, what,
            skip);
  cr_expect(!memcmp(x + skip, z + skip, rest - bytes),
            "%s, %s, %zu: other bits", name, what, skip);
  free(x);
  free(y);
  free(z);
}

/* A group may begin anywhere in its arena: the same bits as aligned, and not
 * one before it. Nor need there be one parameter in it. */
Test(update, a_group_begins_and_ends_anywhere) {
  enum { COUNT = 4099 };
  surge_context *context = test_context(2);
  for (size_t i = 0; i < UPDATES; i++)
    for (size_t skip = 1; skip <= COUNT; skip += COUNT - 1) {
      const char *name = updates[i].name;
      update_state none = state_create(context, &updates[i], COUNT);
      update_state all = state_create(context, &updates[i], COUNT);
      update_state part = state_create(context, &updates[i], COUNT);
      part.skip = skip;
      run_update(context, &all, 1, 0);
      run_update(context, &part, 1, 0);
      expect_spliced(name, "w", skip, &part.w, &none.w, &all.w);
      expect_spliced(name, "m", skip, &part.m, &none.m, &all.m);
      expect_spliced(name, "v", skip, &part.v, &none.v, &all.v);
      expect_spliced(name, "rounded", skip, &part.rounded, &none.rounded,
                     &all.rounded);
      state_free(&none);
      state_free(&all);
      state_free(&part);
    }
  test_backend()->close(context);
}

Test(update, a_fault_leaves_everything_as_it_was) {
  surge_context *context = test_context(2);
  for (size_t i = 0; i < UPDATES; i++) {
    update_state still = state_create(context, &updates[i], 4099),
                 fresh = state_create(context, &updates[i], 4099);
    run_update(context, &still, 1, 3);
    expect_same_state(&still, &fresh);
    state_free(&still);
    state_free(&fresh);
  }
  test_backend()->close(context);
}

/* What a word is said for, in a call whose norms follow SGD and whose widths
 * follow Adam. */
Test(update, wrong_arguments_are_refused_by_name) {
  static const char *const word[] = {
      "norms: kind:",    "norms: w:",        "norms: m:",
      "norms: g:",       "norms: momentum:", "norms: weight_decay:",
      "widths: v:",      "widths: beta1:",   "widths: beta2:",
      "widths: eps:",    "widths: w_min:",   "optimize: step:",
      "optimize: fault:"};
  enum { CASES = sizeof word / sizeof *word };
  surge_context *context = test_context(1);
  float x[1] = {0};
  surge_step step = test_step(1, 0);
  surge_fault fault = 0;
  surge_update norms = {.count = 1, .w = x, .m = x, .g = x}, widths = norms;
  widths.kind = SURGE_ADAM;
  widths.v = x;
  surge_optimize a[CASES];
  for (size_t i = 0; i < CASES; i++)
    a[i] = (surge_optimize){
        .update = {[SURGE_GROUP_NORM] = norms, [SURGE_GROUP_WIDTH] = widths},
        .step = &step,
        .fault = &fault};
  a[0].update[SURGE_GROUP_NORM].kind = (surge_optimizer)(SURGE_ADAMW + 1);
  a[1].update[SURGE_GROUP_NORM].w = NULL;
  a[2].update[SURGE_GROUP_NORM].m = NULL;
  a[3].update[SURGE_GROUP_NORM].g = NULL;
  a[4].update[SURGE_GROUP_NORM].momentum = 1;
  a[5].update[SURGE_GROUP_NORM].weight_decay = -1;
  a[6].update[SURGE_GROUP_WIDTH].v = NULL;
  a[7].update[SURGE_GROUP_WIDTH].beta1 = 1;
  a[8].update[SURGE_GROUP_WIDTH].beta2 = NAN;
  a[9].update[SURGE_GROUP_WIDTH].eps = -1;
  a[10].update[SURGE_GROUP_WIDTH].w_min = 2;
  a[11].step = NULL;
  a[12].fault = NULL;
  for (size_t i = 0; i < CASES; i++) {
    cr_expect_eq(test_backend()->optimize(context, &a[i]), SURGE_ERROR_INTERNAL,
                 "%s", word[i]);
    cr_expect(strstr(surge_last_error(), word[i]), "%s: said '%s'", word[i],
              surge_last_error());
  }
  test_backend()->close(context);
}

/* --- counting ------------------------------------------------------------------ */

Test(count_nonzero, counts_each_element_once) {
  for (size_t k = 0; k < (SIZES + SUMS) * (size_t)test_types(); k++)
    for (int threads = 1; threads <= 2; threads++) {
      size_t i = k % (SIZES + SUMS);
      size_t size = i < SIZES ? sizes[i] : sums[i - SIZES];
      surge_dtype type = test_type[k / (SIZES + SUMS)];
      surge_context *context = test_context(threads);
      float *x = test_random(51, size, -1, 1);
      uint64_t wanted = 1000, found = 1000;
      for (size_t e = 0; e < size; e++) {
        if (x[e] < .5f) x[e] = e % 2 ? 0.0f : -0.0f;
        wanted += x[e] != 0.0f;
      }
      if (size > 1) { /* NaN and subnormal numbers are not 0 */
        wanted += (uint64_t)(x[0] == 0.0f) + (x[1] == 0.0f);
        x[0] = NAN;
        x[1] = type == SURGE_BF16 ? 0x1p-133f : 0x1p-149f;
      }
      test_buffer values = test_copied_as(context, x, size, type);
      test_buffer count = test_object(context, &found, sizeof found);
      surge_count_nonzero a = {TEST_AS(count, uint64_t), values.device, type,
                               size};
      cr_assert_eq(test_backend()->count_nonzero(context, &a), SURGE_OK);
      test_object_back(&count, &found, "nonzero");
      cr_expect_eq(found, wanted, "%zu: wanted %llu, found %llu", size,
                   (unsigned long long)wanted, (unsigned long long)found);
      free(x);
      test_release(&values);
      test_release(&count);
      test_backend()->close(context);
    }
}

/* --- casting ------------------------------------------------------------------- */

/* Every bit: ties to even, subnormal numbers, infinity where fp32 is finite. */
Test(cast, rounds_to_the_nearest_even) {
  static const float edges[] = {
      0.0f,        -0.0f,      1.0f,        0x1.01p0f,    0x1.03p0f,
      0x1.0101p0f, 0x1.fep-5f, 0x1.ffp127f, -0x1.ffp127f, 0x1.fefffep127f,
      0x1p-126f,   0x1p-133f,  0x1.8p-133f, 0x1p-134f,    0x1.8p-134f,
      0x1p-149f,   INFINITY,   -INFINITY};
  enum { EDGES = sizeof edges / sizeof *edges };
  for (size_t i = 0; i < SIZES; i++) {
    surge_context *context = test_context(2);
    size_t size = sizes[i];
    float *x = test_random(52, size, -100, 100);
    for (size_t k = 0; k < EDGES && k < size; k++) x[k] = edges[k];
    test_buffer from = test_copied(context, x, size);
    test_buffer to = test_poisoned_as(context, size, SURGE_BF16);
    surge_cast a = {to.device, from.device, size};
    cr_assert_eq(test_backend()->cast(context, &a), SURGE_OK);
    float *found = test_download(&to, "to");
    test_round(x, size, SURGE_BF16); /* test_math.c proves it */
    cr_expect(!memcmp(found, x, size * sizeof *x), "%zu: other bits", size);
    free(x);
    free(found);
    test_release(&from);
    test_release(&to);
    test_backend()->close(context);
  }
}
