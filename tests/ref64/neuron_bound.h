/* neuron_bound.h - how far the neuron op in fp32 may be from the reference.
 *
 * A running error analysis to first order (Higham, Accuracy and Stability of
 * Numerical Algorithms, section 3.3) along the reference's own trace: each
 * line of the adjoint is followed by the error of its operands times the
 * derivative, plus u = 2^-24 a rounding. So a bound follows from formula and
 * data, nothing is tuned, and where a decision of the surrogate (inside the
 * window or not) is within rounding, the bound is as large as the jump. */
#ifndef SURGE_TESTS_REF64_NEURON_BOUND_H
#define SURGE_TESTS_REF64_NEURON_BOUND_H

#include "tests/ref64/neuron.h"

/* |fp32 - reference| of everything the two ops deliver; shapes as there. The
 * trace must be `rounded`: with hard spikes u, s and v then have no error, and i
 * never has one. */
typedef struct ref_bound {
  double *u, *s, *v; /* [T, M]: zero with hard spikes */
  double *da;        /* [T, M] */
  double *input[2], *sums[2], *dv_in, *di_in, *drho;
  double decay_logit, synapse_logit;
} ref_bound;

/* `depth` of the longest chain of fp32 additions in a reduction. */
ref_bound ref_neuron_bound(const ref_neuron *n, const ref_trace *trace,
                           const ref_upstream *up, const ref_gradient *g,
                           double depth);
void ref_bound_free(ref_bound *bound);

#endif
