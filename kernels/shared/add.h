/* add.h - the steps of a sum. */
#ifndef SURGE_SHARED_ADD_H
#define SURGE_SHARED_ADD_H

#include <surge/backend.h>

/* Is a = scale*z + shift the same at every step? */
SURGE_INLINE bool surge_add_stands(const surge_neuron_input *input) {
  return input->is_static && !input->per_step;
}

/* Is y [1,N]? */
SURGE_INLINE bool surge_add_is_static(const surge_add *a) {
  return surge_add_stands(&a->input[0]) &&
         (a->inputs == 1 || surge_add_stands(&a->input[1]));
}

/* What kernels work on: a static sum is one of a single step, whose inputs
 * move; and a da that is dy holds what would be written. */
SURGE_INLINE surge_add surge_add_in_steps(const surge_add *a) {
  surge_add sum = *a;
  bool is_static = surge_add_is_static(a);
  if (is_static) sum.T = 1;
  for (int which = 0; which < a->inputs; which++) {
    if (is_static) sum.input[which].is_static = false;
    if (a->da[which] == a->dy) sum.da[which] = NULL;
  }
  return sum;
}

#endif
