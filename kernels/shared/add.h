/* add.h - the steps of a sum. */
#ifndef SURGE_SHARED_ADD_H
#define SURGE_SHARED_ADD_H

#include <surge/backend.h>

/* Is y [1,N]? */
SURGE_INLINE bool surge_add_is_static(const surge_add *a) {
  return a->input[0].is_static && (a->inputs == 1 || a->input[1].is_static);
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
