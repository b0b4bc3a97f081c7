/* test_norm.c - is the norm's mathematics right, and does a backend compute it?
 *
 * Finite differences prove tests/ref64/norm.c; the ops are then compared with
 * it within derived bounds, to the bit where sums are of integers, and with
 * themselves under other thread counts. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ref64/norm.h"
#include "tests/support/support.h"
#include "tests/support/values.h"

/* Longest chain of float additions behind a moment, on the CPU: 16 fours of a
 * lane's 64 elements, 2 within a four, 3 rows that fill no four, 6 foldings; and
 * the rounding of a deviation. A device adds trees of 8, depth 3, about a centre
 * within the values' range, at most 3^.5 deviations off: (3 + 3)*4 roundings of
 * a variance. */
#define DEPTH 28

typedef struct norm_case {
  const char *name;
  surge_map map;
  int32_t T, N;
  bool is_static, tebn;
  float centre; /* z is uniform within 1 of it: deviation .58 */
} norm_case;

static const norm_case cases[] = {
    {"one element", {1, 1, 1, SURGE_CHANNELS_LAST}, 1, 1, false, false, 0},
    {"one a channel", {1, 1, 5, SURGE_CHANNELS_LAST}, 1, 1, false, false, 2},
    {"static, one a channel", {1, 1, 8, SURGE_BLOCKED8}, 3, 1, true, true, 1},
    {"one channel", {28, 28, 1, SURGE_CHANNELS_LAST}, 2, 7, false, false, .1f},
    {"three channels", {31, 29, 3, SURGE_CHANNELS_LAST}, 3, 50, false, true, 0},
    {"odd", {3, 5, 7, SURGE_CHANNELS_LAST}, 5, 3, false, false, 1},
    {"blocked", {4, 4, 16, SURGE_BLOCKED8}, 4, 5, false, false, -1},
    {"blocked, tebn", {7, 7, 24, SURGE_BLOCKED8}, 3, 2, false, true, 0},
    {"blocked, odd pieces", {37, 31, 8, SURGE_BLOCKED8}, 2, 3, false, false, 0},
    {"blocked, no plane", {1, 1, 16, SURGE_BLOCKED8}, 3, 11, false, true, 0},
    {"static", {9, 7, 8, SURGE_BLOCKED8}, 4, 3, true, false, .5f},
    {"static, tebn", {9, 7, 6, SURGE_CHANNELS_LAST}, 4, 3, true, true, .5f},
    {"wide", {1, 1, 301, SURGE_CHANNELS_LAST}, 2, 211, false, false, 0},
    {"wider", {2, 1, 1024, SURGE_CHANNELS_LAST}, 2, 13, false, true, 3},
    {"widest", {1, 1, 5003, SURGE_CHANNELS_LAST}, 2, 3, false, false, 0},
    {"far mean", {13, 11, 8, SURGE_BLOCKED8}, 2, 9, false, false, 288},
    {"far mean, odd",
     {13, 11, 5, SURGE_CHANNELS_LAST},
     2,
     9,
     false,
     false,
     288},
};
#define CASES (sizeof cases / sizeof *cases)

/* --- one case's inputs, in float and in double ----------------------------- */

typedef struct problem {
  const norm_case *c;
  ref_norm ref;
  size_t C, Tk, elements; /* of z */
  float *z, *gamma, *beta, *step_scale, *running_mean, *running_var;
  double *wide_z, *wide_mean, *wide_var; /* z and the running estimates */
} problem;

static problem problem_create_as(const norm_case *c, surge_dtype type) {
  size_t C = (size_t)c->map.c;
  problem p = {.c = c, .C = C};
  p.ref = (ref_norm){.map = test_map(c->map),
                     .T = c->T,
                     .N = c->N,
                     .is_static = c->is_static,
                     .alpha_theta = (double)0.7f,
                     .eps = (double)1e-5f,
                     .momentum = (double)0.1f};
  p.ref.map.type = type;
  p.elements = ref_norm_elements(&p.ref);
  p.z = test_random(1, p.elements, c->centre - 1, c->centre + 1);
  test_round(p.z, p.elements, type);
  p.gamma = test_random(2, C, .5f, 1.5f);
  p.beta = test_random(3, C, -1, 1);
  p.step_scale = test_random(4, (size_t)c->T, .5f, 1.5f);
  p.running_mean = test_random(5, C, -1, 1);
  p.running_var = test_random(6, C, .5f, 2);
  p.wide_z = test_widened(p.z, p.elements);
  p.wide_mean = test_widened(p.running_mean, C);
  p.wide_var = test_widened(p.running_var, C);
  p.ref.gamma = test_widened(p.gamma, C);
  p.ref.beta = test_widened(p.beta, C);
  if (c->tebn) p.ref.step_scale = test_widened(p.step_scale, (size_t)c->T);
  p.Tk = ref_norm_steps(&p.ref);
  return p;
}

static problem problem_create(const norm_case *c) {
  return problem_create_as(c, SURGE_F32);
}

/* Case i of CASES a type. */
static problem problem_at(size_t i) {
  return problem_create_as(&cases[i % CASES], test_type[i / CASES]);
}

static void problem_free(problem *p) {
  float *narrow[] = {p->z,          p->gamma,        p->beta,
                     p->step_scale, p->running_mean, p->running_var};
  for (size_t i = 0; i < 6; i++) free(narrow[i]);
  free(p->wide_z);
  free(p->wide_mean);
  free(p->wide_var);
  free((void *)(uintptr_t)p->ref.gamma);
  free((void *)(uintptr_t)p->ref.beta);
  free((void *)(uintptr_t)p->ref.step_scale);
}

/* --- forward --------------------------------------------------------------- */

enum { SCALE, SHIFT, MEAN, RSTD, RUNNING_MEAN, RUNNING_VAR, FAULT, OUTPUTS };
static const char *const output_name[OUTPUTS] = {
    "scale", "shift", "mean", "rstd", "running_mean", "running_var", "fault"};

typedef struct forward {
  surge_context *context;
  test_buffer out[OUTPUTS];
} forward;

/* Runs the op on poisoned outputs; `fault` is what stood there before. */
static forward run_forward(const problem *p, int threads, bool training,
                           surge_fault fault) {
  const surge_backend *backend = test_backend();
  surge_context *context = test_context(threads);
  size_t C = p->C;
  test_buffer z = test_copied_as(context, p->z, p->elements, p->ref.map.type);
  test_buffer gamma = test_copied(context, p->gamma, C);
  test_buffer beta = test_copied(context, p->beta, C);
  test_buffer k = test_copied(context, p->step_scale, (size_t)p->c->T);
  forward f = {
      context,
      {test_poisoned(context, p->Tk * C), test_poisoned(context, p->Tk * C),
       test_poisoned(context, C), test_poisoned(context, C),
       test_copied(context, p->running_mean, C),
       test_copied(context, p->running_var, C),
       test_object(context, &fault, sizeof fault)}};
  surge_norm_forward a = {.scale = f.out[SCALE].device,
                          .shift = f.out[SHIFT].device,
                          .mean = f.out[MEAN].device,
                          .rstd = f.out[RSTD].device,
                          .running_mean = f.out[RUNNING_MEAN].device,
                          .running_var = f.out[RUNNING_VAR].device,
                          .z = training ? z.device : NULL,
                          .gamma = gamma.device,
                          .beta = beta.device,
                          .step_scale = p->c->tebn ? k.device : NULL,
                          .fault = TEST_AS(f.out[FAULT], surge_fault),
                          .map = p->ref.map,
                          .T = p->c->T,
                          .N = p->c->N,
                          .layer = 7,
                          .is_static = p->c->is_static,
                          .training = training,
                          .alpha_theta = (float)p->ref.alpha_theta,
                          .eps = 1e-5f,
                          .momentum = .1f};
  size_t bytes = backend->norm_workspace(context, &a);
  test_buffer workspace = test_poisoned(context, bytes / sizeof(float));
  a.workspace = training ? workspace.device : NULL;
  cr_assert_eq(backend->norm_forward(context, &a), SURGE_OK, "%s",
               surge_last_error());
  free(test_download(&workspace, "workspace"));
  test_release(&workspace);
  test_release(&z);
  test_release(&gamma);
  test_release(&beta);
  test_release(&k);
  return f;
}

static void forward_free(forward *f) {
  for (size_t i = 0; i < OUTPUTS; i++) test_release(&f->out[i]);
  test_backend()->close(f->context);
}

/* Bounds of one channel, from the errors of mean and variance (method: the
 * variance comes from deviations, so its error knows nothing of the mean). */
static void expect_forward(const problem *p, const forward *f,
                           const ref_norm_result *r, bool training) {
  size_t C = p->C;
  double *bound[OUTPUTS], u = 0x1p-24;
  for (size_t i = 0; i < FAULT; i++)
    bound[i] = calloc(p->Tk * C, sizeof(double));
  for (size_t c = 0; c < C; c++) {
    double var = r->var[c], mean = fabs(r->mean[c]);
    /* The centre is off by its own rounding; what that leaves is summed. */
    double off = training ? test_bound(DEPTH, r->mean_abs[c]) : 0;
    double mean_error = training ? test_bound(DEPTH, sqrt(var) + off) : 0;
    double var_error =
        training ? test_bound(DEPTH + 2, var + 2 * off * off) : 0;
    double rstd_share = var_error / (var + p->ref.eps) / 2 + u;
    bound[MEAN][c] = mean_error + u * mean;
    bound[RSTD][c] = rstd_share * r->rstd[c];
    bound[RUNNING_MEAN][c] = mean_error + u * (fabs(r->running_mean[c]) + mean);
    bound[RUNNING_VAR][c] = 2 * var_error + u * r->running_var[c];
    for (size_t i = c; i < p->Tk * C; i += C) {
      double scale = fabs(r->scale[i]);
      bound[SCALE][i] = rstd_share * scale + u * scale;
      bound[SHIFT][i] =
          scale * (mean_error + rstd_share * mean) + u * fabs(r->shift[i]);
    }
  }
  const double *wanted[] = {r->scale, r->shift,        r->mean,
                            r->rstd,  r->running_mean, r->running_var};
  for (size_t i = 0; i < FAULT; i++) {
    test_expect_near(p->c->name, output_name[i], &f->out[i], wanted[i],
                     bound[i]);
    free(bound[i]);
  }
  surge_fault fault;
  test_object_back(&f->out[FAULT], &fault, "fault");
  cr_expect_eq(fault, 0, "%s: a fault where all is finite", p->c->name);
}

Test(norm, forward_gives_the_reference) {
  for (size_t i = 0; i < CASES * (size_t)test_types(); i++) {
    problem p = problem_at(i);
    for (int training = 0; training < 2; training++) {
      forward f = run_forward(&p, 2, training, 0);
      ref_norm_result r = ref_norm_forward(&p.ref, training ? p.wide_z : NULL,
                                           p.wide_mean, p.wide_var);
      expect_forward(&p, &f, &r, training);
      ref_norm_result_free(&r);
      forward_free(&f);
    }
    problem_free(&p);
  }
}

Test(norm, forward_has_the_same_bits_with_one_thread_and_again) {
  for (size_t i = 0; i < CASES * (size_t)test_types(); i++) {
    problem p = problem_at(i);
    forward one = run_forward(&p, 1, true, 0),
            two = run_forward(&p, 2, true, 0);
    forward again = run_forward(&p, 2, true, 0);
    for (size_t k = 0; k < OUTPUTS; k++) {
      test_expect_same(p.c->name, output_name[k], &one.out[k], &two.out[k]);
      test_expect_same(p.c->name, output_name[k], &two.out[k], &again.out[k]);
    }
    forward_free(&one);
    forward_free(&two);
    forward_free(&again);
    problem_free(&p);
  }
}

/* A piece lost, counted twice or given to a neighbour cannot hide behind a
 * bound: z = m +- k by turns with integers m, k of the channel, in maps whose
 * pieces hold as many of each, has mean m and variance k^2 exactly. */
Test(norm, integer_moments_are_exact) {
  static const norm_case whole[] = {
      {"blocked", {64, 32, 16, SURGE_BLOCKED8}, 3, 5, false, false, 0},
      {"blocked, static", {6, 6, 64, SURGE_BLOCKED8}, 3, 70, true, false, 0},
      {"pixels", {16, 16, 32, SURGE_CHANNELS_LAST}, 3, 5, false, false, 0},
      {"wide", {2, 1, 2048, SURGE_CHANNELS_LAST}, 3, 64, false, false, 0}};
  for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
    problem p = problem_create(&whole[i]);
    size_t map = surge_map_elements(&p.ref.map),
           *seen = calloc(p.C, sizeof *seen);
    for (size_t e = 0; e < p.elements; e++) {
      int32_t c = surge_channel_of(&p.ref.map, e % map);
      float k = (float)(1 + c % 3), m = (float)(c % 16 - 4);
      p.z[e] = seen[c]++ % 2 ? m + k : m - k;
    }
    free(seen);
    forward f = run_forward(&p, 2, true, 0);
    float *mean = test_download(&f.out[MEAN], "mean");
    float *var = test_download(&f.out[RUNNING_VAR], "running_var");
    double n =
        (double)whole[i].T * (double)whole[i].N * (double)map / (double)p.C;
    for (size_t c = 0; c < p.C; c++) {
      double k = (double)(1 + c % 3), old = p.wide_var[c];
      double rate = (double).1f, unbiased = k * k * (n / (n - 1));
      cr_expect_eq(mean[c], (float)(c % 16) - 4, "%s: mean[%zu] = %.9g",
                   p.c->name, c, (double)mean[c]);
      cr_expect_eq(var[c], (float)(old + rate * (unbiased - old)),
                   "%s: running_var[%zu] = %.9g", p.c->name, c, (double)var[c]);
    }
    free(mean);
    free(var);
    forward_free(&f);
    problem_free(&p);
  }
}

/* Rows of integers, from one to many blocks: the answer is a quotient, each
 * statistic one rounding from it, so that one row more or less would show. */
Test(norm, sums_of_integer_rows_lose_none) {
  static const int32_t rows[] = {1, 511, 512, 513, 1 << 20};
  for (size_t i = 0; i < 10; i++) {
    norm_case c = {"rows", {1, 1, i % 2 ? 3 : 4, SURGE_CHANNELS_LAST},
                   1,      rows[i / 2],
                   false,  false,
                   0};
    problem p = problem_create(&c);
    for (size_t e = 0; e < p.elements; e++)
      p.z[e] = (float)(1 + (e / p.C * 5 + e % p.C) % 7);
    double *z = test_widened(p.z, p.elements);
    forward f = run_forward(&p, 2, true, 0);
    ref_norm_result r = ref_norm_forward(&p.ref, z, p.wide_mean, p.wide_var);
    double *wanted[] = {r.mean, r.rstd, r.running_var};
    const int output[] = {MEAN, RSTD, RUNNING_VAR};
    for (size_t k = 0; k < 3; k++) {
      double bound[4];
      for (size_t j = 0; j < p.C; j++) bound[j] = 0x1.001p-24 * wanted[k][j];
      test_expect_near(c.name, output_name[output[k]], &f.out[output[k]],
                       wanted[k], bound);
    }
    free(z);
    ref_norm_result_free(&r);
    forward_free(&f);
    problem_free(&p);
  }
}

/* Mean/deviation 500, where E[x^2] - m^2 in float is 1 % off. */
Test(norm, moments_keep_their_digits_far_from_zero) {
  for (size_t i = 0; i < CASES; i++) {
    if (cases[i].centre < 100) continue;
    problem p = problem_create(&cases[i]);
    forward f = run_forward(&p, 2, true, 0);
    ref_norm_result r =
        ref_norm_forward(&p.ref, p.wide_z, p.wide_mean, p.wide_var);
    float *mean = test_download(&f.out[MEAN], "mean");
    float *rstd = test_download(&f.out[RSTD], "rstd");
    for (size_t c = 0; c < p.C; c++) {
      double var = pow((double)rstd[c], -2) - p.ref.eps;
      cr_expect_float_eq(var, r.var[c], 1e-6 * r.var[c], "%s: variance[%zu]",
                         p.c->name, c);
      cr_expect_float_eq((double)mean[c], r.mean[c], 1e-6 * fabs(r.mean[c]),
                         "%s: mean[%zu]", p.c->name, c);
    }
    free(mean);
    free(rstd);
    ref_norm_result_free(&r);
    forward_free(&f);
    problem_free(&p);
  }
}

/* Rounding must neither invent a variance nor push it below 0. */
Test(norm, constant_channels_have_variance_zero) {
  static const norm_case flat = {
      "constant", {13, 11, 64, SURGE_BLOCKED8}, 2, 9, false, false, 0};
  problem p = problem_create(&flat);
  float *level = test_random(7, p.C, -2000, 2000);
  for (size_t c = 0; c < p.C; c++) p.running_var[c] = 0;
  for (size_t e = 0; e < p.elements; e++)
    p.z[e] = level[surge_channel_of(&p.ref.map, e % (13 * 11 * 64))];
  forward f = run_forward(&p, 2, true, 0);
  float *mean = test_download(&f.out[MEAN], "mean");
  float *var = test_download(&f.out[RUNNING_VAR], "running_var");
  float *rstd = test_download(&f.out[RSTD], "rstd");
  for (size_t c = 0; c < p.C; c++) {
    cr_expect_eq(mean[c], level[c], "mean[%zu] = %.9g", c, (double)mean[c]);
    cr_expect(var[c] >= 0 && var[c] <= 1e-10f, "var[%zu] = %g", c,
              (double)var[c]);
    cr_expect_float_eq((double)rstd[c], 1 / sqrt(1e-5), 1e-2, "rstd[%zu]", c);
  }
  free(level);
  free(mean);
  free(var);
  free(rstd);
  forward_free(&f);
  problem_free(&p);
}

/* A fault names the first layer, whichever found it first, and a channel that
 * is not finite leaves its running estimates alone. */
Test(norm, what_is_not_finite_sets_the_fault) {
  static const struct {
    const char *name;
    float value;
    surge_fault before, after;
  } faults[] = {{"NaN", NAN, 0, 8},
                {"infinity", INFINITY, 0, 8},
                {"an earlier layer's fault stays", NAN, 3, 3},
                {"a later layer's gives way", NAN, 12, 8},
                {"none", 1, 0, 0},
                {"none here", 1, 12, 12}};
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    problem p = problem_create(&cases[7]); /* blocked, tebn */
    p.z[p.elements / 2] = faults[i].value;
    forward f = run_forward(&p, 2, true, faults[i].before);
    surge_fault fault;
    test_object_back(&f.out[FAULT], &fault, "fault");
    cr_expect_eq(fault, faults[i].after, "%s: found %u", faults[i].name, fault);
    float *var = test_download(&f.out[RUNNING_VAR], "running_var");
    for (size_t c = 0; c < p.C; c++)
      cr_expect(isfinite(var[c]), "%s: running_var[%zu]", faults[i].name, c);
    free(var);
    forward_free(&f);
    problem_free(&p);
  }
}

/* --- backward -------------------------------------------------------------- */

enum { DZ, DGAMMA, DBETA, DSTEP_SCALE, GRADIENTS };
static const char *const gradient_name[GRADIENTS] = {"dz", "dgamma", "dbeta",
                                                     "dstep_scale"};
#define BEFORE .375f /* in the accumulators */

/* What a backward call reads: statistics and upstream, rounded to float. */
typedef struct upstream {
  float *mean, *rstd, *sums, *da;
  double *wide_mean, *wide_rstd, *wide_sums, *wide_da;
} upstream;

static float *narrowed(const double *values, size_t count) {
  float *narrow = malloc(count * sizeof *narrow + 1);
  for (size_t i = 0; i < count; i++) narrow[i] = (float)values[i];
  return narrow;
}

static upstream upstream_create(const problem *p) {
  size_t M = (size_t)p->c->N * surge_map_elements(&p->c->map);
  size_t all = (size_t)p->c->T * M, sums = p->Tk * 2 * p->C;
  ref_norm_result r =
      ref_norm_forward(&p->ref, p->wide_z, p->wide_mean, p->wide_var);
  float *step_da = test_random(8, all, -1, 2);
  double *wide = test_widened(step_da, all);
  double *exact_sums = calloc(sums, sizeof(double)),
         *exact_da = calloc(p->elements, sizeof(double));
  ref_norm_upstream(&p->ref, p->wide_z, r.mean, r.rstd, wide, exact_sums,
                    exact_da);
  upstream up = {.mean = narrowed(r.mean, p->C),
                 .rstd = narrowed(r.rstd, p->C),
                 .sums = narrowed(exact_sums, sums),
                 .da = narrowed(exact_da, p->elements)};
  test_round(up.da, p->elements, p->ref.map.type);
  up.wide_mean = test_widened(up.mean, p->C);
  up.wide_rstd = test_widened(up.rstd, p->C);
  up.wide_sums = test_widened(up.sums, sums);
  up.wide_da = test_widened(up.da, p->elements);
  ref_norm_result_free(&r);
  free(step_da);
  free(wide);
  free(exact_sums);
  free(exact_da);
  return up;
}

static void upstream_free(upstream *up) {
  float *narrow[] = {up->mean, up->rstd, up->sums, up->da};
  double *wide[] = {up->wide_mean, up->wide_rstd, up->wide_sums, up->wide_da};
  for (size_t i = 0; i < 4; i++) free(narrow[i]);
  for (size_t i = 0; i < 4; i++) free(wide[i]);
}

typedef struct backward {
  surge_context *context;
  test_buffer out[GRADIENTS];
} backward;

static backward run_backward(const problem *p, const upstream *up, int threads,
                             bool in_place) {
  surge_context *context = test_context(threads);
  size_t C = p->C, T = (size_t)p->c->T;
  surge_dtype type = p->ref.map.type;
  test_buffer in[] = {test_copied_as(context, up->da, p->elements, type),
                      test_copied_as(context, p->z, p->elements, type),
                      test_copied(context, up->mean, C),
                      test_copied(context, up->rstd, C),
                      test_copied(context, p->gamma, C),
                      test_copied(context, p->beta, C),
                      test_copied(context, p->step_scale, T),
                      test_copied(context, up->sums, p->Tk * 2 * C)};
  backward b = {
      context,
      {in_place ? test_copied_as(context, up->da, p->elements, type)
                : test_poisoned_as(context, p->elements, type),
       test_filled(context, C, BEFORE), test_filled(context, C, BEFORE),
       test_filled(context, p->c->tebn ? T : 0, BEFORE)}};
  surge_norm_backward a = {
      .dz = b.out[DZ].device,
      .dgamma = b.out[DGAMMA].device,
      .dbeta = b.out[DBETA].device,
      .dstep_scale = p->c->tebn ? b.out[DSTEP_SCALE].device : NULL,
      .da = in_place ? b.out[DZ].device : in[0].device,
      .z = in[1].device,
      .mean = in[2].device,
      .rstd = in[3].device,
      .gamma = in[4].device,
      .beta = in[5].device,
      .step_scale = p->c->tebn ? in[6].device : NULL,
      .sums = in[7].device,
      .map = p->ref.map,
      .T = p->c->T,
      .N = p->c->N,
      .is_static = p->c->is_static,
      .alpha_theta = (float)p->ref.alpha_theta};
  cr_assert_eq(test_backend()->norm_backward(context, &a), SURGE_OK, "%s",
               surge_last_error());
  for (size_t i = 0; i < sizeof in / sizeof *in; i++) test_release(&in[i]);
  return b;
}

static void backward_free(backward *b) {
  for (size_t i = 0; i < GRADIENTS; i++) test_release(&b->out[i]);
  test_backend()->close(b->context);
}

/* Accumulators: one sum in double, rounded, and one addition in float. */
static void expect_accumulated(const problem *p, const char *what,
                               const test_buffer *got, const double *wanted) {
  double *sum = calloc(got->count + 1, sizeof(double)),
         *bound = calloc(got->count + 1, sizeof(double));
  for (size_t i = 0; i < got->count; i++) {
    sum[i] = (double)BEFORE + wanted[i];
    bound[i] = test_bound(0, (double)BEFORE + fabs(wanted[i]));
  }
  test_expect_near(p->c->name, what, got, sum, bound);
  free(sum);
  free(bound);
}

Test(norm, backward_gives_the_reference) {
  for (size_t i = 0; i < CASES * (size_t)test_types(); i++) {
    problem p = problem_at(i);
    upstream up = upstream_create(&p);
    ref_norm_gradient g = ref_norm_backward(
        &p.ref, p.wide_z, up.wide_mean, up.wide_rstd, up.wide_sums, up.wide_da);
    /* Each term of dz is a coefficient (1), the deviation (1), their product
     * (1) and at most two subtractions. */
    for (size_t e = 0; e < p.elements; e++)
      g.dz_abs[e] = test_bound(3, g.dz_abs[e]);
    for (int in_place = 0; in_place < 2; in_place++) {
      backward b = run_backward(&p, &up, 2, in_place);
      test_expect_near(p.c->name, "dz", &b.out[DZ], g.dz, g.dz_abs);
      expect_accumulated(&p, "dgamma", &b.out[DGAMMA], g.dgamma);
      expect_accumulated(&p, "dbeta", &b.out[DBETA], g.dbeta);
      expect_accumulated(&p, "dstep_scale", &b.out[DSTEP_SCALE], g.dstep_scale);
      backward_free(&b);
    }
    ref_norm_gradient_free(&g);
    upstream_free(&up);
    problem_free(&p);
  }
}

/* Overwrites with small integers, some of them 0. */
static void make_integers(float *values, double *wide, size_t count) {
  for (size_t i = 0; i < count; i++) {
    values[i] = (float)((i * 5 + i / 7) % 7) - 3;
    if (wide) wide[i] = (double)values[i];
  }
}

/* Integers: dp adds up all channels, dgamma and dbeta all steps, each once. */
static void expect_exact_sums(int32_t T, int32_t C) {
  norm_case c = {"integers", {1, 1, C, SURGE_CHANNELS_LAST}, T, 1, false, true,
                 0};
  problem p = problem_create(&c);
  upstream up = upstream_create(&p);
  p.ref.alpha_theta = 2; /* integers stay integers */
  make_integers(p.gamma, (double *)(uintptr_t)p.ref.gamma, p.C);
  make_integers(p.beta, (double *)(uintptr_t)p.ref.beta, p.C);
  make_integers(p.step_scale, (double *)(uintptr_t)p.ref.step_scale, (size_t)T);
  make_integers(up.sums, up.wide_sums, p.Tk * 2 * p.C);
  ref_norm_gradient g = ref_norm_backward(
      &p.ref, p.wide_z, up.wide_mean, up.wide_rstd, up.wide_sums, up.wide_da);
  backward b = run_backward(&p, &up, 2, false);
  double *wanted[] = {g.dgamma, g.dbeta, g.dstep_scale};
  for (int k = 0; k < 3; k++) {
    size_t count = b.out[DGAMMA + k].count;
    double *none = calloc(count, sizeof *none);
    for (size_t i = 0; i < count; i++)
      wanted[k][i] = (double)((float)wanted[k][i] + BEFORE);
    test_expect_near(c.name, gradient_name[DGAMMA + k], &b.out[DGAMMA + k],
                     wanted[k], none);
    free(none);
  }
  backward_free(&b);
  ref_norm_gradient_free(&g);
  upstream_free(&up);
  problem_free(&p);
}

Test(norm, gradients_of_integers_are_exact) {
  static const int32_t sizes[] = {1, 511, 512, 513, 1 << 20};
  for (size_t i = 0; i < 5; i++) expect_exact_sums(2, sizes[i]);
  for (size_t i = 0; i < 4; i++) expect_exact_sums(sizes[i], 5);
}

Test(norm, backward_has_the_same_bits_with_one_thread_and_again) {
  for (size_t i = 0; i < CASES * (size_t)test_types(); i++) {
    problem p = problem_at(i);
    upstream up = upstream_create(&p);
    backward one = run_backward(&p, &up, 1, false);
    backward two = run_backward(&p, &up, 2, true);
    for (size_t k = 0; k < GRADIENTS; k++)
      test_expect_same(p.c->name, gradient_name[k], &one.out[k], &two.out[k]);
    backward_free(&one);
    backward_free(&two);
    upstream_free(&up);
    problem_free(&p);
  }
}

/* --- the reference --------------------------------------------------------- */

/* L = sum over all steps of weight * a, as a function of everything. */
static double twin_loss(const ref_norm *n, const double *z,
                        const double *weight) {
  double zero[8] = {0}, loss = 0;
  ref_norm_result r = ref_norm_forward(n, z, zero, zero);
  size_t C = (size_t)n->map.c;
  size_t M = (size_t)n->N * surge_map_elements(&n->map);
  for (size_t t = 0; t < (size_t)n->T; t++)
    for (size_t i = 0; i < M; i++) {
      size_t c = (size_t)surge_channel_of(&n->map, i % (M / (size_t)n->N));
      size_t k = n->step_scale ? t * C : 0;
      loss +=
          weight[t * M + i] *
          (r.scale[k + c] * z[n->is_static ? i : t * M + i] + r.shift[k + c]);
    }
  ref_norm_result_free(&r);
  return loss;
}

/* Central difference of L in *x against `wanted`. */
static void expect_slope(const problem *p, const char *what, size_t i,
                         double *x, double wanted, const double *weight) {
  double h = 1e-5, at = *x;
  *x = at + h;
  double above = twin_loss(&p->ref, p->wide_z, weight);
  *x = at - h;
  double below = twin_loss(&p->ref, p->wide_z, weight);
  *x = at;
  double slope = (above - below) / (2 * h);
  cr_expect_float_eq(slope, wanted, 1e-6 * (1 + fabs(wanted)),
                     "%s: %s[%zu]: finite difference %.9g, reference %.9g",
                     p->c->name, what, i, slope, wanted);
}

Test(norm, reference_has_the_gradient_of_finite_differences) {
  static const norm_case small[] = {
      {"plain", {3, 2, 3, SURGE_CHANNELS_LAST}, 3, 2, false, false, 0},
      {"blocked, tebn", {2, 1, 8, SURGE_BLOCKED8}, 3, 2, false, true, 1},
      {"static", {2, 2, 3, SURGE_CHANNELS_LAST}, 4, 2, true, false, 0},
      {"static, tebn", {2, 2, 3, SURGE_CHANNELS_LAST}, 4, 2, true, true, 1}};
  for (size_t k = 0; k < sizeof small / sizeof *small; k++) {
    problem p = problem_create(&small[k]);
    size_t C = p.C, M = (size_t)p.c->N * surge_map_elements(&p.c->map);
    float *narrow = test_random(9, (size_t)p.c->T * M, -1, 1);
    double *weight = test_widened(narrow, (size_t)p.c->T * M);
    double *sums = calloc(p.Tk * 2 * C, sizeof(double)),
           *da = calloc(p.elements, sizeof(double));
    ref_norm_result r =
        ref_norm_forward(&p.ref, p.wide_z, p.wide_mean, p.wide_var);
    ref_norm_upstream(&p.ref, p.wide_z, r.mean, r.rstd, weight, sums, da);
    ref_norm_gradient g =
        ref_norm_backward(&p.ref, p.wide_z, r.mean, r.rstd, sums, da);
    double *gamma = (double *)(uintptr_t)p.ref.gamma;
    double *beta = (double *)(uintptr_t)p.ref.beta;
    double *scale = (double *)(uintptr_t)p.ref.step_scale;
    for (size_t i = 0; i < p.elements; i++)
      expect_slope(&p, "dz", i, &p.wide_z[i], g.dz[i], weight);
    for (size_t c = 0; c < C; c++) {
      expect_slope(&p, "dgamma", c, &gamma[c], g.dgamma[c], weight);
      expect_slope(&p, "dbeta", c, &beta[c], g.dbeta[c], weight);
    }
    for (size_t t = 0; scale && t < (size_t)p.c->T; t++)
      expect_slope(&p, "dp", t, &scale[t], g.dstep_scale[t], weight);
    ref_norm_gradient_free(&g);
    ref_norm_result_free(&r);
    free(narrow);
    free(weight);
    free(sums);
    free(da);
    problem_free(&p);
  }
}

/* --- refused calls --------------------------------------------------------- */

Test(norm, wrong_arguments_are_refused_by_name) {
  surge_context *context = test_context(1);
  float x[8] = {0};
  surge_fault fault = 0;
  const surge_norm_forward good = {.scale = x,
                                   .shift = x,
                                   .mean = x,
                                   .rstd = x,
                                   .running_mean = x,
                                   .running_var = x,
                                   .z = x,
                                   .gamma = x,
                                   .beta = x,
                                   .fault = &fault,
                                   .map = {1, 1, 1, SURGE_CHANNELS_LAST},
                                   .T = 1,
                                   .N = 1,
                                   .training = true,
                                   .alpha_theta = 1,
                                   .eps = 1e-5f,
                                   .momentum = .1f,
                                   .workspace = x};
  surge_norm_forward bad[6];
  for (size_t i = 0; i < 6; i++) bad[i] = good;
  bad[0].z = NULL;
  bad[1].eps = 0;
  bad[2].momentum = NAN;
  bad[3].T = 0;
  bad[4].map.layout = SURGE_BLOCKED8;
  bad[5].workspace = NULL;
  const char *const word[] = {
      "z:", "eps:", "momentum:", "T:", "map:", "workspace:"};
  for (size_t i = 0; i < 6; i++) {
    cr_expect_eq(test_backend()->norm_forward(context, &bad[i]),
                 SURGE_ERROR_INTERNAL, "%s", word[i]);
    cr_expect(strstr(surge_last_error(), word[i]), "%s: said '%s'", word[i],
              surge_last_error());
  }
  surge_norm_backward lonely = {.dz = x,
                                .dgamma = x,
                                .dbeta = x,
                                .da = x,
                                .z = x,
                                .mean = x,
                                .rstd = x,
                                .gamma = x,
                                .beta = x,
                                .step_scale = x,
                                .sums = x,
                                .map = {1, 1, 1, SURGE_CHANNELS_LAST},
                                .T = 1,
                                .N = 1,
                                .alpha_theta = 1};
  cr_expect_eq(test_backend()->norm_backward(context, &lonely),
               SURGE_ERROR_INTERNAL);
  cr_expect(strstr(surge_last_error(), "dstep_scale:"), "said '%s'",
            surge_last_error());
  test_backend()->close(context);
}
