/* golden.h - the files that scripts/make_golden.py wrote, and what both golden
 * tests need around an op.
 *
 * The limits are running error bounds: each rounding of the op adds at most
 * UNIT times the size of its result, an error of an argument goes on times the
 * derivative, first order. A sum adds UNIT times (its number of terms + 2). */
#ifndef SURGE_TESTS_GOLDEN_H
#define SURGE_TESTS_GOLDEN_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <surge/checkpoint.h>

#include "tests/support/support.h"

static const double UNIT = 0x1p-24;

static inline surge_safetensors golden_open(const char *name) {
  char path[1024];
  surge_safetensors file;
  snprintf(path, sizeof path, "%s/tests/golden/%s.safetensors",
           SURGE_SOURCE_DIR, name);
  cr_assert_eq(surge_safetensors_read(&file, path), SURGE_OK, "%s",
               surge_last_error());
  return file;
}

/* Data of the tensor "<prefix><key>", which must be there with that type. */
static inline const void *golden_data(const surge_safetensors *file,
                                      surge_dtype dtype, const char *prefix,
                                      const char *key) {
  char name[128];
  snprintf(name, sizeof name, "%s%s", prefix, key);
  const surge_named_tensor *tensor = surge_safetensors_find(file, name);
  cr_assert(tensor && tensor->dtype == dtype, "golden file: no %s", name);
  return tensor->data;
}

static inline const double *golden(const surge_safetensors *file,
                                   const char *prefix, const char *key) {
  return golden_data(file, SURGE_F64, prefix, key);
}

static inline const float *golden_input(const surge_safetensors *file,
                                        const char *key) {
  return golden_data(file, SURGE_F32, "", key);
}

/* |got - want| <= bound for an op's float result of `count` elements. */
static inline void golden_compare(const char *name, const char *key,
                                  const test_buffer *got, const double *want,
                                  const double *bound) {
  float *values = test_download(got, name);
  for (size_t i = 0; i < got->count; i++)
    cr_expect(fabs((double)values[i] - want[i]) <= bound[i],
              "%s: %s[%zu]: wanted %.9g +- %.2g, found %.9g", name, key, i,
              want[i], bound[i], (double)values[i]);
  free(values);
}

/* A zeroed object on the device, and back. */
static inline void *golden_object(surge_context *context, size_t bytes) {
  void *memory;
  cr_assert_eq(test_backend()->allocate(context, &memory, bytes), SURGE_OK);
  cr_assert_eq(test_backend()->zero(context, memory, bytes), SURGE_OK);
  return memory;
}

static inline surge_metrics golden_metrics(surge_context *context, void *from) {
  surge_metrics metrics;
  cr_assert_eq(
      test_backend()->download(context, &metrics, from, sizeof metrics),
      SURGE_OK);
  return metrics;
}

#endif
