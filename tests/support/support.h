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

/* A float array on the device with canaries before and after. */
typedef struct test_buffer {
  float *device;   /* hand this to the op */
  size_t count;
  void *block;     /* the allocation */
  surge_context *context;
} test_buffer;

/* Filled with NaN (outputs), with a value (accumulators), or from host. */
test_buffer test_poisoned(surge_context *context, size_t count);
test_buffer test_filled(surge_context *context, size_t count, float value);
test_buffer test_copied(surge_context *context, const float *host, size_t count);

/* Downloads into a malloc'ed array after checking both canaries; the test
 * fails, naming `what`, where one was overwritten. */
float *test_download(const test_buffer *buffer, const char *what);
void test_release(test_buffer *buffer);

/* Uniform in [low, high), a function of (seed, i) alone. */
float test_uniform(uint64_t seed, size_t i, float low, float high);

/* count values as above, malloc'ed. */
float *test_random(uint64_t seed, size_t count, float low, float high);

/* The derived bound of a reduction: (depth + 2) * 2^-24 * sum of |terms|. */
double test_bound(double depth, double sum_abs);

#endif
