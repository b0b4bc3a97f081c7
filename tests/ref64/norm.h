/* norm.h - the norm in double, plain loops: what the kernels must give.
 *
 * Written from include/surge/backend.h and method section 4, not from the
 * kernels; tests/ops/test_norm.c proves the gradients by finite differences.
 * Arrays of a result are calloc'ed. */
#ifndef SURGE_TESTS_REF64_NORM_H
#define SURGE_TESTS_REF64_NORM_H

#include <surge/backend.h>

typedef struct ref_norm {
  surge_map map;
  int32_t T, N;
  bool is_static;
  double alpha_theta, eps, momentum;
  const double *gamma, *beta; /* [C]                                         */
  const double *step_scale;   /* [T], or NULL                                */
} ref_norm;

size_t ref_norm_steps(const ref_norm *n);    /* Tk                           */
size_t ref_norm_elements(const ref_norm *n); /* of z                         */

typedef struct ref_norm_result {
  double *scale, *shift;              /* [Tk, C]                     */
  double *mean, *var, *rstd;          /* [C], var biased             */
  double *mean_abs;                   /* [C] mean of |z|: for bounds */
  double *running_mean, *running_var; /* [C] after the call          */
} ref_norm_result;

/* In training z is read; in evaluation (z NULL) the running estimates are. */
ref_norm_result ref_norm_forward(const ref_norm *n, const double *z,
                                 const double *running_mean,
                                 const double *running_var);
void ref_norm_result_free(ref_norm_result *r);

/* What neuron_backward delivers for dL/da [T, N] of map (every step, also
 * where z is static): sums [Tk, 2, C], and da as norm_backward reads it. */
void ref_norm_upstream(const ref_norm *n, const double *z, const double *mean,
                       const double *rstd, const double *step_da, double *sums,
                       double *da);

typedef struct ref_norm_gradient {
  double *dz;             /* as z                                            */
  double *dz_abs;         /* sum of the absolute terms of dz: for bounds     */
  double *dgamma, *dbeta; /* [C], not accumulated                            */
  double *dstep_scale;    /* [T], zero without step_scale                    */
} ref_norm_gradient;

ref_norm_gradient ref_norm_backward(const ref_norm *n, const double *z,
                                    const double *mean, const double *rstd,
                                    const double *sums, const double *da);
void ref_norm_gradient_free(ref_norm_gradient *g);

#endif
