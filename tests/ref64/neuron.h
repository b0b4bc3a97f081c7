/* neuron.h - the neuron op in double, plain loops: what the kernels must give.
 *
 * Written from the method (README, "The method") and include/surge/backend.h,
 * not from the kernels. tests/ops/test_reference_neuron.c proves it: golden
 * vectors, and finite differences of the smooth twin.
 *
 * Shapes as in backend.h: [T,N] of map is [T, M], M = N*H*W*C, element i of a
 * step in the map's own layout. All arrays a function returns are calloc'ed. */
#ifndef SURGE_TESTS_REF64_NEURON_H
#define SURGE_TESTS_REF64_NEURON_H

#include <surge/backend.h>

/* surge_neuron_input in double. */
typedef struct ref_input {
  const double *z;             /* [T or 1, M] */
  const double *scale, *shift; /* [Tk, C], or NULL: plain */
  const double *mean, *rstd;   /* [C] where normalised */
  const double *step_scale;    /* [T], or NULL */
  bool is_static, per_step;
} ref_input;

typedef struct ref_neuron {
  surge_neuron_spec spec;
  surge_map map;
  int32_t T, N, inputs;
  ref_input input[2];
  double scalars[SURGE_SCALAR_COUNT];
  const double *width;        /* [2, P] */
  const double *v_in, *i_in;  /* [M], or NULL: 0 */
  const double *frozen_reset; /* [T, M] spikes that the reset uses in place */
                              /* of its own, or NULL (a detached reset */
                              /* under finite differences) */
  bool rounded;               /* current, i, u, s and v are rounded to fp32 */
                              /* after each operation: then they are fp32's */
                              /* bits, as each operation is exact in double */
                              /* or so close that rounding twice is once */
} ref_neuron;

/* What forward leaves, each [T, M]. */
typedef struct ref_trace {
  double *x; /* sum of the inputs, before the gain */
  double *a; /* current: gain*x */
  double *i; /* what a synapse makes of it; without one a itself */
  double *u; /* membrane before firing */
  double *s; /* spikes (soft spikes) */
  double *v; /* membrane after the reset */
} ref_trace;

/* PDA of one layer or channel: moments, D, and q = c0 + c1 (u - m). */
typedef struct ref_pda {
  double m, variance, D, c0, c1;
} ref_pda;

/* Gradients that arrive. */
typedef struct ref_upstream {
  const double *gs;        /* [T, M] */
  const double *gv_out;    /* [M], or NULL */
  const double *gi_out;    /* [M], or NULL */
  const double *g_current; /* [T, M], or NULL */
  const ref_pda *pda;      /* [P], or NULL */
} ref_upstream;

typedef struct ref_gradient {
  double *delta, *gv, *q, *gu, *gi; /* [T, M]: the adjoint's own quantities; */
  /* gv is dL/dv[t], as it arrives at step t */
  double *da;                    /* [T, M] of the sum of the inputs */
  double *input[2];              /* [T or 1, M] as backend.h delivers it */
  double *sums[2];               /* [Tk, 2, C], or NULL where plain */
  double *dv_in, *di_in;         /* [M] */
  double *drho;                  /* [P] */
  double decay;                  /* dL/dd */
  double decay_logit;            /* d(1-d) dL/dd */
  double synapse, synapse_logit; /* the same of d_s */
} ref_gradient;

/* The family's soft spike S_w(x), its density h_w(x), and dh/dx. */
double ref_soft_spike(surge_family family, double x, double w);
double ref_surrogate(surge_family family, double x, double w);
double ref_surrogate_slope(surge_family family, double x, double w);
/* Half the width of the window that statistics count, for width w. */
double ref_window(surge_family family, double w);

/* As the op of that name, but the synapse's scalar is always there; rho [P], p,
 * p_s (of the synapse) and gamma may be NULL, and gamma[1] too: [C] of each
 * norm. */
void ref_neuron_scalars(double scalars[SURGE_SCALAR_COUNT], double *width,
                        const surge_neuron_spec *spec, const double *rho,
                        const double *p, const double *p_s,
                        const double *const gamma[2], double progress,
                        int32_t C);

size_t ref_neurons(const ref_neuron *n);            /* M */
int32_t ref_channel(const ref_neuron *n, size_t i); /* of 0 <= i < M */
double ref_width_at(const ref_neuron *n, int32_t t, size_t i);

ref_trace ref_neuron_forward(const ref_neuron *n);
void ref_trace_free(ref_trace *trace);

/* Fills pda [P] (coefficients times `scale`); returns D, mean over P. */
double ref_neuron_pda(ref_pda *pda, const ref_neuron *n, const ref_trace *trace,
                      double scale);
/* q = dL/du of PDA at step t, element i. */
double ref_pda_gradient(const ref_neuron *n, const ref_pda *pda, int32_t t,
                        size_t i, double u);

/* Statistics of each step [T], and the histogram over all; overwritten. */
void ref_neuron_statistics(surge_neuron_statistics *statistics,
                           const ref_neuron *n, const ref_trace *trace);
void ref_neuron_histogram(uint64_t *bins, const ref_neuron *n,
                          const ref_trace *trace);

ref_gradient ref_neuron_backward(const ref_neuron *n, const ref_trace *trace,
                                 const ref_upstream *up);
void ref_gradient_free(ref_gradient *gradient);

/* y[t] = d*y[t-1] + x[t], and its adjoint; [T, M]. `rounded` as above. */
void ref_integrator_forward(double *y, const double *x, double d, int32_t T,
                            size_t M, bool rounded);
void ref_integrator_backward(double *dx, const double *dy, double d, int32_t T,
                             size_t M, bool rounded);

#endif
