/* values.h - arrays in tests: of any type on the device, in double, compared
 * within bounds. */
#ifndef SURGE_TESTS_VALUES_H
#define SURGE_TESTS_VALUES_H

#include "tests/support/support.h"

/* A guarded copy of anything (labels, a surge_step, ...), a multiple of four
 * bytes, in a buffer of as many floats: hand `.block`'s user part over by
 * TEST_AS(buffer, type). */
test_buffer test_object(surge_context *context, const void *object,
                        size_t bytes);
#define TEST_AS(buffer, type) ((type *)(void *)(buffer).device)

/* Reads it back into object[bytes], canaries checked. */
void test_object_back(const test_buffer *buffer, void *object,
                      const char *what);

/* A surge_step of a seed and an epoch, all rates 0. */
surge_step test_step(uint64_t seed, uint32_t epoch);

/* The same values in double, malloc'ed. */
double *test_widened(const float *values, size_t count);

/* Frees `count` arrays and the same widened. */
void test_free(float *const *values, double *const *wide, size_t count);

/* Fails, naming case and array, at the element that is furthest outside its
 * bound; NaN is outside every bound. A buffer of bf16 may hold what a value
 * within the bound is rounded to. Checks the canaries. */
void test_expect_near(const char *name, const char *what,
                      const test_buffer *got, const double *wanted,
                      const double *bound);

/* Fails where two arrays differ in any bit. */
void test_expect_same(const char *name, const char *what, const test_buffer *a,
                      const test_buffer *b);

#endif
