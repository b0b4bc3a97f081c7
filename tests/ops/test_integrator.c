/* test_integrator.c - the membrane readout against the reference, to the bit:
 * each step is one product and one sum, each correctly rounded. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ref64/neuron.h"
#include "tests/support/support.h"

typedef surge_status (*integrator)(surge_context *, const surge_integrator *);

/* One call on poisoned outputs, or in place. */
static float *run_as(integrator op, const float *x, float d, int32_t T,
                     size_t M, int threads, bool in_place, surge_dtype type) {
  surge_context *context = test_context(threads);
  size_t count = (size_t)T * M;
  float scalars[SURGE_SCALAR_COUNT] = {d, 7, 7,
                                       7}; /* the decay alone is read */
  test_buffer s = test_copied(context, scalars, SURGE_SCALAR_COUNT);
  test_buffer in = test_copied_as(context, x, count, type);
  test_buffer out = test_poisoned_as(context, count, type);
  surge_integrator a = {.y = in_place ? in.device : out.device,
                        .x = in.device,
                        .scalars = s.device,
                        .type = type,
                        .T = T,
                        .M = M};
  cr_assert_eq(op(context, &a), SURGE_OK, "%s", surge_last_error());
  free(test_download(&s, "scalars"));
  float *done = test_download(in_place ? &in : &out, "integrator");
  test_release(&s);
  test_release(&in);
  test_release(&out);
  test_backend()->close(context);
  return done;
}

static float *run(integrator op, const float *x, float d, int32_t T, size_t M,
                  int threads, bool in_place) {
  return run_as(op, x, d, T, M, threads, in_place, SURGE_F32);
}

static void expect_bits(const float *got, const double *wanted, size_t count,
                        const char *what, int32_t T, size_t M) {
  for (size_t k = 0; k < count; k++)
    if (!((double)got[k] >= wanted[k] && (double)got[k] <= wanted[k])) {
      cr_expect(false, "%s, T %d, M %zu: [%zu]: wanted %.9g, found %.9g", what,
                T, M, k, wanted[k], (double)got[k]);
      return;
    }
}

static void check(int32_t T, size_t M, float d) {
  size_t count = (size_t)T * M;
  float *x = test_random(17 * count + (size_t)T, count, -1, 1);
  double *wide = malloc(count * sizeof(double));
  double *forward = malloc(count * sizeof(double));
  double *backward = malloc(count * sizeof(double));
  for (size_t k = 0; k < count; k++) wide[k] = (double)x[k];
  ref_integrator_forward(forward, wide, (double)d, T, M, true);
  ref_integrator_backward(backward, wide, (double)d, T, M, true);
  for (int how = 0; how < 4; how++) { /* 1 or 2 threads, apart or in place */
    float *y = run(test_backend()->integrator_forward, x, d, T, M, 1 + how / 2,
                   how % 2);
    float *dx = run(test_backend()->integrator_backward, x, d, T, M,
                    1 + how / 2, how % 2);
    expect_bits(y, forward, count, "forward", T, M);
    expect_bits(dx, backward, count, "backward", T, M);
    free(y);
    free(dx);
  }
  free(x);
  free(wide);
  free(forward);
  free(backward);
}

Test(integrator, equals_the_reference_to_the_bit) {
  static const int32_t steps[] = {1, 2, 5, 16, 17, 33, 100, 250};
  static const size_t neurons[] = {1, 7, 64, 511, 512, 513, 1280, 5003};
  static const float decays[] = {0, 0.25f, 0.9f, 1};
  for (size_t t = 0; t < 8; t++)
    for (size_t m = 0; m < 8; m++)
      check(steps[t], neurons[m], decays[(t + m) % 4]);
}

/* The membrane is fp32: each output is the fp32 one's rounded, and what is lost
 * there does not reach the next step. */
Test(integrator, bf16_rounds_what_fp32_gives) {
  enum { T = 17, M = 513, ALL = T * M };
  if (!test_backend()->bf16) return;
  integrator ops[] = {test_backend()->integrator_forward,
                      test_backend()->integrator_backward};
  float *x = test_random(5, ALL, -1, 1);
  test_round(x, ALL, SURGE_BF16);
  for (int k = 0; k < 4; k++) { /* two directions, apart or in place */
    float *wanted = run(ops[k % 2], x, .9f, T, M, 1, false);
    float *found = run_as(ops[k % 2], x, .9f, T, M, 1, k / 2, SURGE_BF16);
    test_round(wanted, ALL, SURGE_BF16);
    cr_expect(!memcmp(found, wanted, ALL * sizeof *found), "run %d", k);
    free(wanted);
    free(found);
  }
  free(x);
}

Test(integrator, a_million_elements) { check(4, 1 << 18, 0.8f); }

Test(integrator, impulse_decays) {
  float x[4] = {1, 0, 0, 0};
  float *y = run(test_backend()->integrator_forward, x, 0.5f, 4, 1, 1, false);
  float *dx = run(test_backend()->integrator_backward, x, 0.5f, 4, 1, 1, false);
  for (int t = 0; t < 4; t++) {
    cr_expect(fabsf(y[t] - ldexpf(1, -t)) <= 0, "y[%d]", t);
    cr_expect(fabsf(dx[t] - x[t]) <= 0, "dx[%d]: y[0] depends on x[0] alone",
              t);
  }
  free(y);
  free(dx);
}

static void expect_refused(const surge_integrator *a, surge_context *context,
                           const char *what) {
  integrator ops[] = {test_backend()->integrator_forward,
                      test_backend()->integrator_backward};
  for (int k = 0; k < 2; k++) {
    cr_expect_eq(ops[k](context, a), SURGE_ERROR_INTERNAL, "%s", what);
    cr_expect(strstr(surge_last_error(), "integrator") &&
                  strstr(surge_last_error(), "wanted"),
              "%s: says '%s'", what, surge_last_error());
  }
}

Test(integrator, wrong_arguments_are_refused) {
  surge_context *context = test_context(1);
  test_buffer one = test_poisoned(context, 8);
  float *p = one.device;
  surge_integrator a = {.y = p, .x = p, .scalars = p, .T = 1, .M = 1};
  surge_integrator bad[5] = {a, a, a, a, a};
  static const char *const what[] = {"y", "x", "scalars", "T", "M"};
  bad[0].y = NULL;
  bad[1].x = NULL;
  bad[2].scalars = NULL;
  bad[3].T = 0;
  bad[4].M = 0;
  for (int k = 0; k < 5; k++) expect_refused(&bad[k], context, what[k]);
  float *untouched = test_download(&one, "arguments");
  for (int k = 0; k < 8; k++) cr_expect(isnan(untouched[k]));
  free(untouched);
  test_release(&one);
  test_backend()->close(context);
}
