/* layers.h - convolution, linear layers and pooling in double, plain loops.
 *
 * Written from include/surge/backend.h, not from the kernels. Activations lie
 * as their surge_map says, weights in logical order. Each function overwrites;
 * beside each result it gives the sum of its terms' absolute values, of which a
 * bound is made. */
#ifndef SURGE_TESTS_REF64_LAYERS_H
#define SURGE_TESTS_REF64_LAYERS_H

#include "tests/support/support.h"

/* A result and the sum of |terms| of each element, calloc'ed. */
typedef struct ref_sum {
  double *value, *abs;
  size_t count;
} ref_sum;

ref_sum ref_sum_create(size_t count);
void ref_sum_free(ref_sum *sum);

/* sum of a[i]*b[i]: an adjoint is proved by equal inner products. */
double ref_inner(const double *a, const double *b, size_t count);

/* How a result is compared: sums of `terms` terms, added to what was there
 * before; exact where all values are small integers. With `part` the result but
 * for a summand of up to so much was rounded to bf16 on the way. */
typedef struct ref_tolerance {
  double terms;
  float before;
  bool exact;
  float part;
} ref_tolerance;

/* Fails, naming case and array, where `got` is outside its bound. A library's
 * order of summation is not known, so its depth is the number of terms. */
void ref_expect(const char *name, const char *what, const test_buffer *got,
                const ref_sum *wanted, ref_tolerance tolerance);

/* count values in [-1, 1), or integers from -3 to 3; malloc'ed. */
float *ref_values(uint64_t seed, size_t count, bool integers);

/* Elements of a convolution's weights. */
size_t ref_conv2d_weights(const surge_conv2d_shape *shape);

/* y; b may be NULL. */
ref_sum ref_conv2d_forward(const surge_conv2d_shape *shape, size_t images,
                           const double *x, const double *w, const double *b);
/* dx */
ref_sum ref_conv2d_backward_data(const surge_conv2d_shape *shape, size_t images,
                                 const double *dy, const double *w);
/* dw */
ref_sum ref_conv2d_backward_weights(const surge_conv2d_shape *shape,
                                    size_t images, const double *dy,
                                    const double *x);
/* db [C]: the sum of dy a channel; also of a linear layer, whose y is a map of
 * one pixel. */
ref_sum ref_bias(const surge_map *out, size_t images, const double *dy);

ref_sum ref_linear_forward(const surge_map *in, int32_t out, size_t images,
                           const double *x, const double *w, const double *b);
ref_sum ref_linear_backward_data(const surge_map *in, int32_t out,
                                 size_t images, const double *dy,
                                 const double *w);
ref_sum ref_linear_backward_weights(const surge_map *in, int32_t out,
                                    size_t images, const double *dy,
                                    const double *x);

/* Geometry of a pool; the arrays of `pool` are not read. */
ref_sum ref_avgpool_forward(const surge_pool *pool, const double *x);
ref_sum ref_avgpool_backward(const surge_pool *pool, const double *dy);
ref_sum ref_maxpool_forward(const surge_pool *pool, const double *x);
ref_sum ref_maxpool_backward(const surge_pool *pool, const double *dy,
                             const double *x);

#endif
