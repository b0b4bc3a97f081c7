/* neuron_problem.h - one spiking layer as a test poses it: its inputs on the
 * host, and what a backend made of them (what the reference says:
 * neuron_compare.h).
 *
 *     problem = problem_create(...);     inputs, drawn from a seed
 *     result = problem_run(&problem, threads, NULL);
 *     problem_expect(&problem, &result); spikes to the bit, gradients within
 *                                        the derived bounds
 */
#ifndef SURGE_TESTS_NEURON_PROBLEM_H
#define SURGE_TESTS_NEURON_PROBLEM_H

#include "tests/support/support.h"

/* A test of the neuron op, for maps of fp32 and once more, as `<name>_bf16`, of
 * bf16 where the backend has it: problem_create poses in problem_type. */
extern surge_dtype problem_type;
#define NEURON_TEST(suite, name)                                               \
  static void suite##_##name(void);                                            \
  Test(suite, name) { suite##_##name(); }                                      \
  Test(suite, name##_bf16) {                                                   \
    problem_type = SURGE_BF16;                                                 \
    if (test_backend()->bf16) suite##_##name();                                \
  }                                                                            \
  static void suite##_##name(void)

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
  float *v_in, *gs, *gv_out, *g_current;    /* NULL: not given; gs always is */
  float *i_in, *gi_out;                     /* likewise, of a synapse */
  float *rho, *decay_logit, *synapse_logit; /* by the spec, else NULL */
  float *gamma[2]; /* likewise: of as many norms as inputs */
  float schedule, pda_scale;
  bool want_da[2], alias; /* alias: gs is da[0] */
  surge_mode mode[2];
  bool statistics; /* statistics and histogram are wanted */
} problem;

/* Everything the three calls write, in 4-byte words; elements of maps as the
 * floats they stand for. */
/* clang-format off */
#define PROBLEM_OUTPUT_LIST(X)                                                 \
  X(SCALARS, scalars) X(WIDTH, width)                                          \
  X(S, s) X(V_OUT, v_out) X(I_OUT, i_out) X(CURRENT, current) X(PDA, pda)      \
  X(METRICS, metrics)                                                          \
  X(STATISTICS, statistics) X(HISTOGRAM, histogram) X(FAULT, fault)            \
  X(DA0, da0) X(DA1, da1) X(SUMS0, sums0) X(SUMS1, sums1) X(DV_IN, dv_in)      \
  X(DI_IN, di_in) X(DRHO, drho) X(DDECAY_LOGIT, ddecay_logit)                  \
  X(DSYNAPSE_LOGIT, dsynapse_logit)
/* clang-format on */
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

extern const char *const problem_output_name[]; /* by problem_output */

size_t problem_neurons(const problem *p); /* M */
size_t problem_channels(surge_granularity granularity, const surge_map *map);
/* What a value of an activation is in the problem's type. */
float problem_rounded(const problem *p, float value);
/* The type of an output: that of maps, or fp32. */
surge_dtype problem_output_type(const problem *p, problem_output which);
/* Is this output added to what it was? */
bool problem_accumulates(const problem *p, problem_output which);

problem problem_create(const surge_neuron_spec *spec, surge_map map, int32_t T,
                       int32_t N, int inputs, int feed0, int feed1,
                       uint64_t seed);
void problem_free(problem *p);

/* Scalars, forward and backward on the backend under test. Outputs start
 * poisoned; what is accumulated starts at problem_start(), or, metrics,
 * statistics, histogram and fault, as `before` left them. */
result problem_run(const problem *p, int threads, const result *before);
void result_free(result *r);
float problem_start(const problem *p, problem_output which, size_t i);

/* The structs that lie in the words. */
const surge_metrics *result_metrics(const result *r);
const surge_neuron_statistics *result_statistics(const result *r);
const uint64_t *result_histogram(const result *r);
const surge_pda_coefficients *result_pda(const result *r);
surge_fault result_fault(const result *r);

/* Are all outputs the same bits? */
void result_expect_same(const result *a, const result *b, const char *name);

/* ---- usual problems ---- */

extern const char *const family_name[]; /* by surge_family */

surge_map map_of(int32_t h, int32_t w, int32_t c, surge_layout layout);

/* Every way to feed an input. */
#define PROBLEM_FEEDS 6
extern const int problem_feeds[PROBLEM_FEEDS];

/* The recipe's defaults (method, section 5). */
surge_neuron_spec default_spec(void);

/* Adds the optional arrays: membranes (and where there is a synapse its
 * currents) in, their gradients, the current's. */
void problem_add_v_in(problem *p, uint64_t seed);
void problem_add_gv_out(problem *p, uint64_t seed);
void problem_add_current_gradient(problem *p, uint64_t seed);

/* Everything on: two inputs, widths a channel, states, statistics; the rest
 * by seed. */
problem problem_rich(surge_map map, int32_t T, int32_t N, uint64_t seed);

/* One neuron, odd and prime channels, blocks, around 256 and 512, several
 * pieces. */
#define PROBLEM_SIZES 14
typedef struct problem_size {
  surge_map map;
  int32_t N;
} problem_size;
extern const problem_size problem_sizes[PROBLEM_SIZES];

#endif
