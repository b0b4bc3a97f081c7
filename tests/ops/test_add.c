/* test_add.c - is the reference of the sum right, does a backend compute it,
 * and does it give the same bits with every number of threads?
 *
 * Finite differences prove tests/ref64/add.c, through the norm; sums forward are
 * then compared to the bit, gradients within derived bounds, and to the bit
 * where they are of integers. Inputs are posed as the neuron's are. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/ref64/add.h"
#include "tests/ref64/norm.h"
#include "tests/support/neuron_problem.h"
#include "tests/support/pairwise.h"
#include "tests/support/refused.h"
#include "tests/support/values.h"

#define BEFORE .375f /* what a gradient holds before it is added to */

/* --- a case ---------------------------------------------------------------- */

/* The inputs, modes and dy (its gs) are a neuron's problem. */
typedef struct sum_case {
  problem p;
  bool want_sums[2];
  bool da_is_dy[2];
} sum_case;

static bool stands(const problem *p, int which) {
  return p->input[which].is_static && !p->input[which].per_step;
}

static bool is_static(const problem *p) {
  return stands(p, 0) && (p->inputs == 1 || stands(p, 1));
}

static size_t steps_of(const problem *p) {
  return is_static(p) ? 1 : (size_t)p->T;
}

/* Is da a sum over steps? */
static bool is_summed(const problem *p, int which) {
  return p->input[which].is_static && !is_static(p);
}

/* feed1 < 0: one input. */
static sum_case case_create(surge_map map, int32_t T, int32_t N, int feed0,
                            int feed1, uint64_t seed) {
  surge_neuron_spec spec = default_spec();
  sum_case c = {.p = problem_create(&spec, map, T, N, 1 + (feed1 >= 0), feed0,
                                    feed1, seed),
                .want_sums = {true, true}};
  problem *p = &c.p;
  snprintf(p->name, sizeof p->name, "T %d, [%d, %d, %d, %d], feeds %d %d", T, N,
           map.h, map.w, map.c, feed0, feed1);
  for (int k = 0; k < p->inputs; k++)
    test_round(p->input[k].z,
               (p->input[k].is_static ? 1 : (size_t)T) * problem_neurons(p),
               p->map.type);
  test_round(p->gs, steps_of(p) * problem_neurons(p), p->map.type);
  return c;
}

/* --- on the backend ---------------------------------------------------------- */

enum { Y, DA0, DA1, SUMS0, SUMS1, DY, OUTPUTS };
static const char *const output_name[OUTPUTS] = {"y",     "da0",   "da1",
                                                 "sums0", "sums1", "dy"};

typedef struct outcome {
  surge_context *context;
  test_buffer out[OUTPUTS]; /* those not asked for are empty                 */
} outcome;

typedef struct run {
  outcome r;
  test_buffer in[12];
  int ins;
} run;

static const float *given(run *r, const float *host, size_t count,
                          surge_dtype type) {
  if (!host) return NULL;
  r->in[r->ins] = test_copied_as(r->r.context, host, count, type);
  return r->in[r->ins++].device;
}

static surge_neuron_input given_input(run *r, const problem *p, int which) {
  const problem_input *in = &p->input[which];
  size_t C = (size_t)p->map.c, T = (size_t)p->T, Tk = in->per_step ? T : 1;
  size_t steps = in->is_static ? 1 : T;
  return (surge_neuron_input){
      .z = given(r, in->z, steps * problem_neurons(p), p->map.type),
      .scale = given(r, in->scale, Tk * C, SURGE_F32),
      .shift = given(r, in->shift, Tk * C, SURGE_F32),
      .mean = given(r, in->mean, C, SURGE_F32),
      .rstd = given(r, in->rstd, C, SURGE_F32),
      .step_scale = given(r, in->step_scale, T, SURGE_F32),
      .is_static = in->is_static,
      .per_step = in->per_step};
}

/* Outputs of input `which`: poisoned, or as they are before they are added to. */
static void open_outputs(const sum_case *c, run *r, int which) {
  const problem *p = &c->p;
  const problem_input *in = &p->input[which];
  size_t M = problem_neurons(p), T = (size_t)p->T;
  size_t steps = in->is_static ? 1 : T, Tk = in->per_step ? T : 1;
  test_buffer *out = r->r.out;
  if (p->want_da[which] && !c->da_is_dy[which])
    out[DA0 + which] =
        test_filled_as(r->r.context, steps * M,
                       p->mode[which] == SURGE_ADD ? BEFORE : NAN, p->map.type);
  if (in->scale && c->want_sums[which])
    out[SUMS0 + which] = test_poisoned(r->r.context, Tk * 2 * (size_t)p->map.c);
}

static surge_add args_of(const sum_case *c, run *r) {
  const problem *p = &c->p;
  size_t count = steps_of(p) * problem_neurons(p);
  test_buffer *out = r->r.out;
  surge_add a = {.map = p->map, .T = p->T, .N = p->N, .inputs = p->inputs};
  out[Y] = test_poisoned_as(r->r.context, count, p->map.type);
  out[DY] = test_copied_as(r->r.context, p->gs, count, p->map.type);
  a.y = out[Y].device;
  a.dy = out[DY].device;
  for (int which = 0; which < p->inputs; which++) {
    open_outputs(c, r, which);
    a.input[which] = given_input(r, p, which);
    a.mode[which] = p->mode[which];
    a.sums[which] = out[SUMS0 + which].device;
    a.da[which] = c->da_is_dy[which] ? out[DY].device : out[DA0 + which].device;
  }
  return a;
}

/* Workspace as it is booked: before there are arrays. */
static test_buffer workspace_of(const surge_add *a, surge_context *context) {
  surge_add planned = {
      .map = a->map, .T = a->T, .N = a->N, .inputs = a->inputs};
  for (int which = 0; which < a->inputs; which++)
    planned.input[which] =
        (surge_neuron_input){.is_static = a->input[which].is_static,
                             .per_step = a->input[which].per_step};
  return test_poisoned(
      context,
      test_backend()->add_workspace(context, &planned) / sizeof(float));
}

/* Forward without gradients, backward without y. */
static outcome run_case(const sum_case *c, int threads) {
  const surge_backend *b = test_backend();
  run r = {.r = {.context = test_context(threads)}};
  surge_add a = args_of(c, &r), forward = a;
  test_buffer workspace = workspace_of(&a, r.r.context);
  forward.dy = forward.da[0] = forward.da[1] = NULL;
  forward.sums[0] = forward.sums[1] = NULL;
  a.y = NULL;
  a.workspace = workspace.device;
  cr_assert_eq(b->add_forward(r.r.context, &forward), SURGE_OK, "%s: %s",
               c->p.name, surge_last_error());
  cr_assert_eq(b->add_backward(r.r.context, &a), SURGE_OK, "%s: %s", c->p.name,
               surge_last_error());
  free(test_download(&workspace, "workspace"));
  test_release(&workspace);
  for (int k = 0; k < r.ins; k++) {
    free(test_download(&r.in[k], c->p.name));
    test_release(&r.in[k]);
  }
  return r.r;
}

static void outcome_free(outcome *r) {
  for (int k = 0; k < OUTPUTS; k++)
    if (r->out[k].block) test_release(&r->out[k]);
  test_backend()->close(r->context);
}

/* --- against the reference ---------------------------------------------------- */

#define OWNED 16
typedef struct reference {
  ref_add n;
  double *owned[OWNED];
  int owned_count;
} reference;

static const double *widened(reference *ref, const float *values,
                             size_t count) {
  if (!values) return NULL;
  cr_assert_lt(ref->owned_count, OWNED);
  return ref->owned[ref->owned_count++] = test_widened(values, count);
}

static reference reference_of(const problem *p) {
  size_t M = problem_neurons(p), C = (size_t)p->map.c, T = (size_t)p->T;
  reference ref = {.n = {.map = p->map,
                         .T = p->T,
                         .N = p->N,
                         .inputs = p->inputs,
                         .rounded = true}};
  for (int k = 0; k < p->inputs; k++) {
    const problem_input *in = &p->input[k];
    size_t Tk = in->per_step ? T : 1;
    ref.n.input[k] =
        (ref_input){.z = widened(&ref, in->z, (in->is_static ? 1 : T) * M),
                    .scale = widened(&ref, in->scale, Tk * C),
                    .shift = widened(&ref, in->shift, Tk * C),
                    .mean = widened(&ref, in->mean, C),
                    .rstd = widened(&ref, in->rstd, C),
                    .step_scale = widened(&ref, in->step_scale, T),
                    .is_static = in->is_static,
                    .per_step = in->per_step};
  }
  return ref;
}

/* In fp32 T steps are added one after the other, up to 32 terms where pieces
 * share them, then the elements of a piece, 256 at most, in a tree; a term of
 * the second sum is a difference, a product and, at the end, times rstd. */
static double depth_of(const problem *p) { return fmax(p->T, 32) + 9 + 3; }

static void expect_input(const sum_case *c, const outcome *r, int which,
                         const ref_add_gradient *g, bool integers) {
  const problem *p = &c->p;
  bool summed = is_summed(p, which), add = p->mode[which] == SURGE_ADD;
  ref_tolerance da = {.terms = summed ? 2 * p->T : 1,
                      .before = add ? BEFORE : 0,
                      .exact = integers || (!summed && !add)};
  ref_tolerance sums = {.terms = depth_of(p), .exact = integers};
  if (r->out[DA0 + which].block)
    ref_expect(p->name, output_name[DA0 + which], &r->out[DA0 + which],
               &g->da[which], da);
  if (r->out[SUMS0 + which].block)
    ref_expect(p->name, output_name[SUMS0 + which], &r->out[SUMS0 + which],
               &g->sums[which], sums);
}

/* y to the bit; dy is read, also where a da is dy. */
static void expect_case(const sum_case *c, const outcome *r, bool integers) {
  const problem *p = &c->p;
  size_t count = steps_of(p) * problem_neurons(p);
  reference ref = reference_of(p);
  double *y = ref_add_forward(&ref.n), *dy = test_widened(p->gs, count);
  double *none = calloc(count, sizeof *none);
  ref_add_gradient g = ref_add_backward(&ref.n, dy);
  test_expect_near(p->name, "y", &r->out[Y], y, none);
  test_expect_near(p->name, "dy", &r->out[DY], dy, none);
  for (int k = 0; k < p->inputs; k++) expect_input(c, r, k, &g, integers);
  ref_add_gradient_free(&g);
  free(y);
  free(dy);
  free(none);
  for (int k = 0; k < ref.owned_count; k++) free(ref.owned[k]);
}

static void check(sum_case *c, bool integers) {
  outcome r = run_case(c, 2);
  expect_case(c, &r, integers);
  outcome_free(&r);
  problem_free(&c->p);
}

/* --- the pairwise table of flags ----------------------------------------------- */

enum {
  BY_FEED0,
  BY_FEED1, /* 0: one input */
  BY_WANT,
  BY_MODE,
  BY_SUMS,
  BY_ALIAS,
  BY_STEPS,
  BY_MAP,
  FACTORS
};
static const int levels[FACTORS] = {6, 7, 4, 4, 4, 4, 6, 7};
static const int32_t step_levels[] = {1, 2, 5, 16, 17, 33};
static const problem_size map_levels[] = {
    {{1, 1, 1, SURGE_CHANNELS_LAST}, 1},  {{3, 5, 7, SURGE_CHANNELS_LAST}, 2},
    {{2, 3, 8, SURGE_BLOCKED8}, 3},       {{3, 2, 24, SURGE_BLOCKED8}, 2},
    {{1, 1, 13, SURGE_CHANNELS_LAST}, 5}, {{1, 1, 16, SURGE_BLOCKED8}, 3},
    {{7, 11, 9, SURGE_CHANNELS_LAST}, 1}};

static sum_case pairwise_sum(const int *level, size_t number) {
  const problem_size *size = &map_levels[level[BY_MAP]];
  int second = level[BY_FEED1];
  sum_case c =
      case_create(size->map, step_levels[level[BY_STEPS]], size->N,
                  problem_feeds[level[BY_FEED0]],
                  second ? problem_feeds[second - 1] : -1, 1000 * number);
  for (int k = 0; k < c.p.inputs; k++) {
    c.p.want_da[k] = level[BY_WANT] >> k & 1;
    c.p.mode[k] = level[BY_MODE] >> k & 1 ? SURGE_ADD : SURGE_WRITE;
    c.want_sums[k] = !(level[BY_SUMS] >> k & 1);
    c.da_is_dy[k] = level[BY_ALIAS] >> k & 1 && c.p.want_da[k] &&
                    c.p.mode[k] == SURGE_WRITE && !is_summed(&c.p, k);
  }
  return c;
}

NEURON_TEST(add, equals_the_reference_for_every_pair_of_flags) {
  size_t count;
  pairwise_case *cases = pairwise_table(levels, FACTORS, 120, &count);
  for (size_t k = 0; k < count; k++) {
    sum_case c = pairwise_sum(cases[k].level, k);
    check(&c, false);
  }
  free(cases);
}

NEURON_TEST(add, threads_and_repetition_change_no_bit) {
  const int threads[] = {2, 2, 3};
  size_t count;
  pairwise_case *cases = pairwise_table(levels, FACTORS, 0, &count);
  for (size_t k = 0; k < count + PROBLEM_SIZES; k++) {
    sum_case c = k < count ? pairwise_sum(cases[k].level, k)
                           : case_create(problem_sizes[k - count].map, 3,
                                         20 * problem_sizes[k - count].N,
                                         FEED_NORMALISED, FEED_PER_STEP, k);
    outcome one = run_case(&c, 1);
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
      outcome other = run_case(&c, threads[i]);
      for (int o = 0; o < OUTPUTS; o++)
        if (one.out[o].block)
          test_expect_same(c.p.name, output_name[o], &one.out[o],
                           &other.out[o]);
      outcome_free(&other);
    }
    outcome_free(&one);
    problem_free(&c.p);
  }
  free(cases);
}

/* --- sizes ---------------------------------------------------------------------- */

NEURON_TEST(add, every_size) {
  for (size_t k = 0; k < PROBLEM_SIZES; k++) {
    sum_case c = case_create(problem_sizes[k].map, 3, problem_sizes[k].N,
                             FEED_NORMALISED, FEED_PER_STEP, 100 * k);
    check(&c, false);
  }
}

/* Many pieces for each group of a reduction, and so many rows that a device's
 * thread takes several, one channel of each or several. */
NEURON_TEST(add, many_rows) {
  static const problem_size sizes[] = {{{32, 32, 16, SURGE_BLOCKED8}, 5},
                                       {{29, 29, 129, SURGE_CHANNELS_LAST}, 2},
                                       {{59, 59, 260, SURGE_CHANNELS_LAST}, 1}};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
    sum_case c = case_create(sizes[k].map, 2, sizes[k].N, FEED_NORMALISED,
                             FEED_PER_STEP | FEED_STATIC, 100 * k);
    check(&c, false);
  }
}

/* Integers; then no order of summation matters, and no rounding is left. */
static void make_integers(problem *p) {
  size_t M = problem_neurons(p), C = (size_t)p->map.c;
  for (size_t i = 0; i < steps_of(p) * M; i++) p->gs[i] = floorf(3 * p->gs[i]);
  for (int k = 0; k < p->inputs; k++) {
    problem_input *in = &p->input[k];
    size_t steps = in->is_static ? 1 : (size_t)p->T;
    for (size_t i = 0; i < steps * M; i++) in->z[i] = floorf(4 * in->z[i]);
    for (size_t i = 0; in->step_scale && i < (size_t)p->T; i++)
      in->step_scale[i] = (float)(1 + i % 2);
    for (size_t c = 0; in->scale && c < C; c++) {
      in->mean[c] = (float)(c % 3) - 1;
      in->rstd[c] = 2;
    }
  }
}

/* A bound of many roundings would hide a lost element or one that is counted
 * twice: rows from one to many blocks. */
NEURON_TEST(add, sums_of_integer_rows_lose_none) {
  static const int32_t rows[] = {1, 511, 512, 513};
  static const int32_t channels[] = {1, 3, 8};
  for (size_t k = 0; k < 4; k++)
    for (size_t c = 0; c < 3; c++)
      for (int feeds = 0; feeds < 3; feeds++) {
        surge_map map = map_of(1, 1, channels[c], SURGE_CHANNELS_LAST);
        sum_case own = case_create(
            map, 3, rows[k], FEED_NORMALISED | (feeds & 1 ? FEED_STATIC : 0),
            feeds & 2 ? FEED_NORMALISED | FEED_STATIC
                      : FEED_PER_STEP | FEED_STATIC * !(feeds & 1),
            10 * k + c);
        make_integers(&own.p);
        check(&own, true);
      }
}

/* Both layouts; bf16's share of it is in the rows above. */
Test(add, sums_of_a_million_integers_lose_none) {
  static const surge_map maps[] = {{1024, 512, 1, SURGE_CHANNELS_LAST},
                                   {256, 256, 8, SURGE_BLOCKED8}};
  for (size_t k = 0; k < 2; k++) {
    sum_case c = case_create(maps[k], 2, 1, FEED_NORMALISED, FEED_PER_STEP, k);
    make_integers(&c.p);
    check(&c, true);
  }
}

/* --- one array twice -------------------------------------------------------------- */

/* da[0] is written before da[1] is added to: z + z receives 2 dy. */
NEURON_TEST(add, one_gradient_may_serve_both) {
  static const int feeds[] = {FEED_PLAIN, FEED_PLAIN | FEED_STATIC,
                              FEED_NORMALISED};
  for (size_t k = 0; k < 3; k++) {
    sum_case c = case_create(map_of(3, 5, k ? 8 : 7, SURGE_CHANNELS_LAST), 5, 2,
                             feeds[k], feeds[k], 7);
    problem *p = &c.p;
    run r = {.r = {.context = test_context(2)}};
    p->want_da[0] = p->want_da[1] = true;
    p->mode[1] = SURGE_ADD;
    surge_add a = args_of(&c, &r);
    size_t count = r.r.out[DA0].count;
    test_buffer workspace = workspace_of(&a, r.r.context);
    a.workspace = workspace.device;
    a.da[1] = a.da[0];
    cr_assert_eq(test_backend()->add_backward(r.r.context, &a), SURGE_OK, "%s",
                 surge_last_error());
    double *twice = test_widened(p->gs, count);
    double *none = calloc(count, sizeof *none);
    for (size_t i = 0; i < count; i++) twice[i] *= 2;
    test_expect_near(p->name, "da", &r.r.out[DA0], twice, none);
    free(twice);
    free(none);
    test_release(&workspace);
    for (int i = 0; i < r.ins; i++) test_release(&r.in[i]);
    outcome_free(&r.r);
    problem_free(p);
  }
}

/* --- the reference ----------------------------------------------------------------- */

/* L = sum over all steps of weight*y, y = norm(z0) (+ z1), as a function of all
 * that goes in; a static y is seen at every step. */
typedef struct twin {
  ref_norm norm;
  ref_add add;
  double *z[2], *weight; /* [T or 1, M], [T, M]                              */
} twin;

static double *widened_random(uint64_t seed, size_t count, float low,
                              float high) {
  float *narrow = test_random(seed, count, low, high);
  double *wide = test_widened(narrow, count);
  free(narrow);
  return wide;
}

static size_t elements_of(const twin *w, int which) {
  size_t M = ref_add_elements(&w->add);
  return w->add.input[which].is_static ? M : (size_t)w->add.T * M;
}

static twin twin_create(int feed0, int feed1) {
  enum { C = 3, T = 4, N = 2 };
  twin w = {.add = {.map = {2, 1, C, SURGE_CHANNELS_LAST},
                    .T = T,
                    .N = N,
                    .inputs = 1 + (feed1 >= 0)}};
  ref_input *in = w.add.input;
  in[0].is_static = feed0 & FEED_STATIC;
  in[0].per_step = (feed0 & ~FEED_STATIC) == FEED_PER_STEP;
  in[1].is_static = feed1 >= 0 && feed1 & FEED_STATIC;
  for (int k = 0; k < w.add.inputs; k++)
    in[k].z = w.z[k] = widened_random((uint64_t)k, elements_of(&w, k), -1, 2);
  w.weight = widened_random(3, T * ref_add_elements(&w.add), -1, 1);
  w.norm = (ref_norm){.map = w.add.map,
                      .T = T,
                      .N = N,
                      .is_static = in[0].is_static,
                      .alpha_theta = .7,
                      .eps = 1e-5,
                      .gamma = widened_random(4, C, .5f, 1.5f),
                      .beta = widened_random(5, C, -1, 1)};
  if (in[0].per_step)
    in[0].step_scale = w.norm.step_scale = widened_random(6, T, .5f, 1.5f);
  return w;
}

static void twin_free(twin *w) {
  double *all[] = {w->z[0],
                   w->z[1],
                   w->weight,
                   (double *)(uintptr_t)w->norm.gamma,
                   (double *)(uintptr_t)w->norm.beta,
                   (double *)(uintptr_t)w->norm.step_scale};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
}

/* y [steps, M] and the statistics it comes from. */
static double *twin_forward(const twin *w, ref_norm_result *r) {
  const double zero[8] = {0};
  ref_add n = w->add;
  *r = ref_norm_forward(&w->norm, w->z[0], zero, zero);
  n.input[0].scale = r->scale;
  n.input[0].shift = r->shift;
  return ref_add_forward(&n);
}

static double twin_loss(const twin *w) {
  ref_norm_result r;
  size_t M = ref_add_elements(&w->add), steps = ref_add_steps(&w->add);
  double *y = twin_forward(w, &r), loss = 0;
  for (size_t i = 0; i < (size_t)w->add.T * M; i++)
    loss += w->weight[i] * y[i % (steps * M)];
  free(y);
  ref_norm_result_free(&r);
  return loss;
}

/* Central differences of L in x[count] against `wanted`. */
static void expect_slopes(const twin *w, const char *what, const double *x,
                          size_t count, const double *wanted) {
  double *in = (double *)(uintptr_t)x, h = 1e-5;
  for (size_t i = 0; i < count; i++) {
    double at = in[i];
    in[i] = at + h;
    double above = twin_loss(w);
    in[i] = at - h;
    double slope = (above - twin_loss(w)) / (2 * h);
    in[i] = at;
    cr_expect_float_eq(slope, wanted[i], 1e-6 * (1 + fabs(wanted[i])),
                       "feeds static %d, a step %d; static %d of %d: %s[%zu]: "
                       "finite difference %.9g, reference %.9g",
                       w->add.input[0].is_static, w->add.input[0].per_step,
                       w->add.input[1].is_static, w->add.inputs, what, i, slope,
                       wanted[i]);
  }
}

static void check_twin(twin *w) {
  ref_norm_result r;
  size_t M = ref_add_elements(&w->add), steps = ref_add_steps(&w->add);
  size_t C = (size_t)w->add.map.c, T = (size_t)w->add.T;
  double *y = twin_forward(w, &r);
  double *dy = calloc(steps * M, sizeof *dy);
  for (size_t i = 0; i < T * M; i++) dy[i % (steps * M)] += w->weight[i];
  ref_add n = w->add;
  n.input[0].scale = r.scale;
  n.input[0].mean = r.mean;
  n.input[0].rstd = r.rstd;
  ref_add_gradient g = ref_add_backward(&n, dy);
  ref_norm_gradient norm = ref_norm_backward(&w->norm, w->z[0], r.mean, r.rstd,
                                             g.sums[0].value, g.da[0].value);
  expect_slopes(w, "dz0", w->z[0], elements_of(w, 0), norm.dz);
  expect_slopes(w, "dgamma", w->norm.gamma, C, norm.dgamma);
  expect_slopes(w, "dbeta", w->norm.beta, C, norm.dbeta);
  if (w->norm.step_scale)
    expect_slopes(w, "dp", w->norm.step_scale, T, norm.dstep_scale);
  if (w->add.inputs == 2)
    expect_slopes(w, "dz1", w->z[1], elements_of(w, 1), g.da[1].value);
  free(y);
  free(dy);
  ref_norm_gradient_free(&norm);
  ref_norm_result_free(&r);
  ref_add_gradient_free(&g);
}

Test(add, reference_has_the_gradient_of_finite_differences) {
  static const int feed0[] = {FEED_NORMALISED, FEED_PER_STEP,
                              FEED_NORMALISED | FEED_STATIC,
                              FEED_PER_STEP | FEED_STATIC};
  static const int feed1[] = {-1, FEED_PLAIN, FEED_PLAIN | FEED_STATIC};
  for (size_t i = 0; i < 4; i++)
    for (size_t k = 0; k < 3; k++) {
      twin w = twin_create(feed0[i], feed1[k]);
      check_twin(&w);
      twin_free(&w);
    }
}

/* --- refusals ------------------------------------------------------------------------ */

/* A call that is right but for one argument. */
#define REFUSED(op, change, text)                                              \
  do {                                                                         \
    surge_add bad = good;                                                      \
    bad.change;                                                                \
    test_expect_refused(test_backend()->op(context, &bad), #op, text);         \
  } while (0)

Test(add, wrong_arguments_are_refused_by_name) {
  surge_context *context = test_context(1);
  test_buffer buffer = test_poisoned(context, 16);
  float *x = buffer.device, *other = x + 8;
  const surge_neuron_input normalised = {.z = other,
                                         .scale = x,
                                         .shift = x,
                                         .mean = x,
                                         .rstd = x,
                                         .step_scale = x};
  surge_neuron_input still = normalised, steps = normalised;
  still.is_static = steps.is_static = steps.per_step = true;
  surge_neuron_input unweighted = steps;
  unweighted.step_scale = NULL;
  surge_add good = {.y = x,
                    .da = {other},
                    .sums = {x},
                    .dy = x,
                    .map = {1, 1, 1, SURGE_CHANNELS_LAST},
                    .T = 2,
                    .N = 1,
                    .inputs = 2,
                    .input = {normalised, {.z = other}},
                    .workspace = x};
  REFUSED(add_forward, y = NULL, "y:");
  REFUSED(add_forward, y = other, "found z of input 0");
  REFUSED(add_forward, T = 0, "T:");
  REFUSED(add_forward, N = 0, "N:");
  REFUSED(add_forward, map.w = 0, "map:");
  REFUSED(add_forward, map.layout = (surge_layout)1, "map:");
  REFUSED(add_forward, inputs = 0, "inputs:");
  REFUSED(add_forward, inputs = 3, "inputs:");
  REFUSED(add_forward, input[1].z = NULL, "z:");
  REFUSED(add_forward, input[0].shift = NULL, "found scale alone");
  REFUSED(add_forward, input[1].per_step = true, "found a plain input");
  REFUSED(add_backward, dy = NULL, "dy:");
  REFUSED(add_backward, inputs = 3, "inputs:");
  REFUSED(add_backward, mode[1] = (surge_mode)2, "mode[1]:");
  REFUSED(add_backward, sums[1] = x, "sums[1]:");
  REFUSED(add_backward, input[0].rstd = NULL, "input[0]: wanted mean and rstd");
  REFUSED(add_backward, workspace = NULL, "workspace:");
  REFUSED(add_backward, da[1] = x; bad.mode[1] = SURGE_ADD, "da[1]:");
  REFUSED(add_backward, da[1] = other, "wanted add where da[0] is da[1]");
  REFUSED(add_backward, input[0] = still; bad.da[0] = x, "sum over steps");
  REFUSED(add_backward, input[0] = unweighted, "wanted step_scale");
  float *untouched = test_download(&buffer, "arguments");
  for (int k = 0; k < 16; k++)
    cr_expect(isnan(untouched[k]), "a refused call wrote");
  free(untouched);
  test_release(&buffer);
  test_backend()->close(context);
}
