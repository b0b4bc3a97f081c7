/* neuron_problem.h - one spiking layer as a test poses it: its inputs on the
 * host, what a backend made of them, and what the reference says.
 *
 *     problem = problem_create(...);     inputs, drawn from a seed
 *     result = problem_run(&problem, threads, NULL);
 *     problem_expect(&problem, &result); spikes to the bit, gradients within
 *                                        the derived bounds
 */
#ifndef SURGE_TESTS_NEURON_PROBLEM_H
#define SURGE_TESTS_NEURON_PROBLEM_H

#include "tests/ref64/neuron_bound.h"
#include "tests/support/support.h"

/* How an input is fed; + FEED_STATIC where z is shown at every step. */
typedef enum feed {
  FEED_PLAIN,
  FEED_NORMALISED,
  FEED_PER_STEP, /* normalised, scale and shift a step: TEBN */
  FEED_STATIC = 4
} feed;

typedef struct problem_input {
  float *z, *scale, *shift, *mean, *rstd, *step_scale;
  bool is_static, per_step;
} problem_input;

typedef struct problem {
  char name[256];
  surge_neuron_spec spec;
  surge_map map;
  int32_t T, N, inputs;
  uint32_t layer;
  problem_input input[2];
  float *v_in, *gs, *gv_out, *g_current; /* NULL: not given; gs always is    */
  float *rho, *decay_logit, *gamma;      /* by the spec, else NULL           */
  float schedule, pda_scale;
  bool want_da[2], alias;     /* alias: gs is da[0]                          */
  surge_mode mode[2];
  bool statistics;            /* statistics and histogram are wanted         */
} problem;

/* Everything the three calls write, in 4-byte words. */
#define PROBLEM_OUTPUT_LIST(X)                                                 \
  X(SCALARS, scalars) X(WIDTH, width)                                          \
  X(S, s) X(V_OUT, v_out) X(CURRENT, current) X(PDA, pda) X(METRICS, metrics)  \
  X(STATISTICS, statistics) X(HISTOGRAM, histogram) X(FAULT, fault)            \
  X(DA0, da0) X(DA1, da1) X(SUMS0, sums0) X(SUMS1, sums1) X(DV_IN, dv_in)      \
  X(DRHO, drho) X(DDECAY_LOGIT, ddecay_logit)
typedef enum problem_output {
#define OUTPUT_ENUM(NAME, word) OUT_##NAME,
  PROBLEM_OUTPUT_LIST(OUTPUT_ENUM)
#undef OUTPUT_ENUM
  OUT_COUNT
} problem_output;

typedef struct result {
  float *out[OUT_COUNT]; /* NULL where not asked for */
  size_t words[OUT_COUNT];
} result;

size_t problem_neurons(const problem *p); /* M */

problem problem_create(const surge_neuron_spec *spec, surge_map map, int32_t T,
                       int32_t N, int inputs, int feed0, int feed1,
                       uint64_t seed);
void problem_free(problem *p);

/* Scalars, forward and backward on the backend under test. Outputs start
 * poisoned; what is accumulated starts at problem_start(), or, metrics,
 * statistics, histogram and fault, as `before` left them. */
result problem_run(const problem *p, int threads, const result *before);
void result_free(result *r);
float problem_start(problem_output which, size_t i);

/* The structs that lie in the words. */
const surge_metrics *result_metrics(const result *r);
const surge_neuron_statistics *result_statistics(const result *r);
const uint64_t *result_histogram(const result *r);
const surge_pda_coefficients *result_pda(const result *r);
surge_fault result_fault(const result *r);

/* Are all outputs the same bits? */
void result_expect_same(const result *a, const result *b, const char *name);

/* The reference of a problem, on the scalars, widths and PDA coefficients that
 * the backend computed. */
typedef struct reference {
  ref_neuron n;
  ref_trace trace;
  ref_upstream up;
  ref_gradient g;
  ref_bound bound;
  double D;
  ref_pda *pda;  /* [P], the reference's own */
  double *owned[32];
  int owned_count;
} reference;
reference problem_reference(const problem *p, const result *r);
void reference_free(reference *ref);

/* Longest chain of fp32 additions in the op's reductions: see below. */
double problem_depth(const problem *p);

/* |got - wanted| <= bound + half a unit of the fp32 that holds it. */
void expect_near(const float *got, const double *wanted, const double *bound,
                 size_t count, const char *name, const char *what);

void problem_expect(const problem *p, const result *r);

#endif
