/* neuron_compare.h - what a backend made of a problem, against the reference.
 */
#ifndef SURGE_TESTS_NEURON_COMPARE_H
#define SURGE_TESTS_NEURON_COMPARE_H

#include "tests/ref64/neuron_bound.h"
#include "tests/support/neuron_problem.h"

/* The reference of a problem, on the scalars, widths and PDA coefficients that
 * the backend computed. */
typedef struct reference {
  ref_neuron n;
  ref_trace trace;
  ref_upstream up;
  ref_gradient g;
  ref_bound bound;
  double D;
  ref_pda *pda; /* [P], the reference's own */
  double *owned[32];
  int owned_count;
} reference;
reference problem_reference(const problem *p, const result *r);
void reference_free(reference *ref);

/* Longest chain of fp32 additions in the op's reductions. */
double problem_depth(const problem *p);

/* |got - wanted| <= bound + half a unit of the fp32 that holds it. */
void expect_near(const float *got, const double *wanted, const double *bound,
                 size_t count, const char *name, const char *what);

/* The same of elements of `type`: what was computed in fp32 is rounded once. */
void expect_near_as(surge_dtype type, const float *got, const double *wanted,
                    const double *bound, size_t count, const char *name,
                    const char *what);

void problem_expect(const problem *p, const result *r);

/* Are the bounds of this problem's gradients small beside them? */
void problem_expect_meaningful(const problem *p, const result *r);

/* Is everything that forward and backward wrote finite, and no fault set? */
void problem_expect_finite(const problem *p, const result *r);

/* Runs, compares (problem_expect) and frees a problem. */
void problem_check(problem *p);

#endif
