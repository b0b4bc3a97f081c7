/* add.h - the sum of one or two inputs outside a neuron, in double, plain loops:
 * what the kernels must give.
 *
 * Written from include/surge/backend.h, not from the kernels; tests/ops/
 * test_add.c proves the gradients by finite differences, through ref64/norm.c.
 * Arrays of a result are calloc'ed; element i of a step is in the map's own
 * layout, and a step has M of them. */
#ifndef SURGE_TESTS_REF64_ADD_H
#define SURGE_TESTS_REF64_ADD_H

#include "tests/ref64/layers.h"
#include "tests/ref64/neuron.h"

typedef struct ref_add {
  surge_map map;
  int32_t T, N, inputs;
  ref_input input[2];
  bool rounded; /* every operation is rounded to fp32: then it is fp32's bits */
} ref_add;

size_t ref_add_elements(const ref_add *n); /* M                              */
size_t ref_add_steps(const ref_add *n);    /* of y: 1 where all is static    */

/* y [steps, M]. */
double *ref_add_forward(const ref_add *n);

/* What each input receives of dy [steps, M], and the sums of the terms'
 * absolute values; sums are empty where the input is plain. */
typedef struct ref_add_gradient {
  ref_sum da[2];   /* [T or 1, M]                                            */
  ref_sum sums[2]; /* [Tk, 2, C]                                             */
} ref_add_gradient;

ref_add_gradient ref_add_backward(const ref_add *n, const double *dy);
void ref_add_gradient_free(ref_add_gradient *g);

#endif
