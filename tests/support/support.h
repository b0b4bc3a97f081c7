/* support.h - what the op tests share: guarded buffers, the table of backends
 * under test, and the derived error bound. */
#ifndef SURGE_TESTS_SUPPORT_H
#define SURGE_TESTS_SUPPORT_H

#include <stddef.h>
#include <stdint.h>
#include <surge/backend.h>

/* The backend under test and an open context of it (`threads` CPU threads). */
const surge_backend *test_backend(void);
surge_context *test_context(int threads);

/* The map as the backend under test can have it: blocks of channels are the
 * CPU's alone, a device takes the case channels last. */
surge_map test_map(surge_map map);

/* The types of map that the backend under test has: test_type[0] to
 * test_type[test_types() - 1], fp32 first. */
int test_types(void);
extern const surge_dtype test_type[2];

/* An array of elements on the device with canaries before and after. */
typedef struct test_buffer {
  float *device; /* hand this to the op, whatever the type */
  size_t count;  /* elements */
  surge_dtype type;
  void *block; /* the allocation */
  surge_context *context;
} test_buffer;

/* Filled with NaN (outputs), with a value (accumulators), or from host, of fp32
 * or of a type that the values are rounded to. */
test_buffer test_poisoned(surge_context *context, size_t count);
test_buffer test_filled(surge_context *context, size_t count, float value);
test_buffer test_copied(surge_context *context, const float *host,
                        size_t count);
test_buffer test_poisoned_as(surge_context *context, size_t count,
                             surge_dtype type);
test_buffer test_filled_as(surge_context *context, size_t count, float value,
                           surge_dtype type);
test_buffer test_copied_as(surge_context *context, const float *host,
                           size_t count, surge_dtype type);

/* Rounds values to what a map of `type` holds: what a reference computes from. */
void test_round(float *values, size_t count, surge_dtype type);

/* x rounded once to bf16, to nearest even, and half the distance of the bf16
 * numbers around x. */
double test_to_bf16(double x);
double test_half_ulp(double x);

/* Downloads into a malloc'ed array of floats after checking both canaries; the
 * test fails, naming `what`, where one was overwritten. */
float *test_download(const test_buffer *buffer, const char *what);
void test_release(test_buffer *buffer);

/* Uniform in [low, high), a function of (seed, i) alone. */
float test_uniform(uint64_t seed, size_t i, float low, float high);

/* count values as above, malloc'ed. */
float *test_random(uint64_t seed, size_t count, float low, float high);

/* The derived bound of a reduction: (depth + 2) * 2^-24 * sum of |terms|. */
double test_bound(double depth, double sum_abs);

#endif
