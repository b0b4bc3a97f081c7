/* values.c - arrays in tests (see values.h). */
#include "tests/support/values.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

test_buffer test_object(surge_context *context, const void *object,
                        size_t bytes) {
  float *copy = malloc(bytes);
  memcpy(copy, object, bytes);
  test_buffer buffer = test_copied(context, copy, bytes / sizeof(float));
  free(copy);
  return buffer;
}

void test_object_back(const test_buffer *buffer, void *object,
                      const char *what) {
  float *values = test_download(buffer, what);
  memcpy(object, values, buffer->count * sizeof(float));
  free(values);
}

surge_step test_step(uint64_t seed, uint32_t epoch) {
  surge_step step;
  memset(&step, 0, sizeof step);
  step.seed = seed;
  step.epoch = epoch;
  return step;
}

double *test_widened(const float *values, size_t count) {
  double *wide = malloc(count * sizeof *wide + 1);
  for (size_t i = 0; i < count; i++) wide[i] = (double)values[i];
  return wide;
}

void test_free(float *const *values, double *const *wide, size_t count) {
  for (size_t i = 0; i < count; i++) {
    free(values[i]);
    free(wide[i]);
  }
}

/* How far a value lies outside what is wanted; below 0: not. */
static double excess_of(double value, double wanted, double bound,
                        surge_dtype type) {
  double low = wanted - bound, high = wanted + bound;
  if (type == SURGE_BF16) { /* rounding is monotone */
    low = test_to_bf16(low);
    high = test_to_bf16(high);
  }
  double excess = fmax(low - value, value - high);
  if (isnan(value) || isnan(wanted) || isnan(bound)) return (double)INFINITY;
  return excess;
}

void test_expect_near(const char *name, const char *what,
                      const test_buffer *got, const double *wanted,
                      const double *bound) {
  float *values = test_download(got, what);
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < got->count; i++) {
    double excess =
        excess_of((double)values[i], wanted[i], bound[i], got->type);
    if (excess > worst) {
      worst = excess;
      at = i;
    }
  }
  cr_expect(worst <= 0, "%s: %s[%zu]: wanted %.9g within %.3g, found %.9g",
            name, what, at, wanted[at], bound[at], (double)values[at]);
  free(values);
}

void test_expect_same(const char *name, const char *what, const test_buffer *a,
                      const test_buffer *b) {
  float *x = test_download(a, what), *y = test_download(b, what);
  cr_expect(a->count == b->count && !memcmp(x, y, a->count * sizeof *x),
            "%s: %s: wanted the same bits, found others", name, what);
  free(x);
  free(y);
}
