/* neuron_problem.c - one layer on a backend and in the reference. */
#include "tests/support/neuron_problem.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WORDS(type) (sizeof(type) / (sizeof(float)))

static const char *const output_name[] = {
#define NAME(NAME, word) #word,
    PROBLEM_OUTPUT_LIST(NAME)
#undef NAME
};

static size_t channels(surge_granularity granularity, const surge_map *map) {
  return granularity == SURGE_PER_CHANNEL ? (size_t)map->c : 1;
}

size_t problem_neurons(const problem *p) {
  return (size_t)p->N * surge_map_elements(&p->map);
}

/* ======================================================================== *
 *  Posing a problem
 * ======================================================================== */

static void input_create(problem *p, int which, int how, uint64_t seed) {
  problem_input *in = &p->input[which];
  size_t C = (size_t)p->map.c, T = (size_t)p->T;
  in->is_static = how & FEED_STATIC;
  in->per_step = (how & 3) == FEED_PER_STEP;
  in->z = test_random(seed, (in->is_static ? 1 : T) * problem_neurons(p), -1.5f,
                      2.5f);
  if ((how & 3) == FEED_PLAIN) return;
  size_t steps = in->per_step ? T : 1;
  in->scale = test_random(seed + 1, steps * C, 0.6f, 1.2f);
  in->shift = test_random(seed + 2, steps * C, -0.3f, 0.3f);
  in->mean = test_random(seed + 3, C, -0.4f, 0.8f);
  in->rstd = test_random(seed + 4, C, 0.5f, 1.5f);
  if (in->per_step) in->step_scale = test_random(seed + 5, T, 0.5f, 1.5f);
}

problem problem_create(const surge_neuron_spec *spec, surge_map map, int32_t T,
                       int32_t N, int inputs, int feed0, int feed1,
                       uint64_t seed) {
  problem p = {.spec = *spec, .map = map, .T = T, .N = N, .inputs = inputs,
               .layer = 3, .schedule = 0.4f, .pda_scale = 0.5f,
               .want_da = {true, inputs == 2}};
  size_t M = problem_neurons(&p), C = (size_t)map.c;
  input_create(&p, 0, feed0, seed);
  if (inputs == 2) input_create(&p, 1, feed1, seed + 10);
  p.gs = test_random(seed + 20, (size_t)T * M, -1, 1);
  if (spec->width_rule == SURGE_WIDTH_LEARNED)
    p.rho = test_random(seed + 21, channels(spec->granularity, &map), -0.3f,
                        0.6f);
  if (spec->width_rule == SURGE_WIDTH_NORM)
    p.gamma = test_random(seed + 22, C, 0.5f, 1.5f);
  if (spec->decay_learned) p.decay_logit = test_random(seed + 23, 1, -1, 1);
  return p;
}

void problem_free(problem *p) {
  for (int j = 0; j < 2; j++) {
    problem_input *in = &p->input[j];
    free(in->z);
    free(in->scale);
    free(in->shift);
    free(in->mean);
    free(in->rstd);
    free(in->step_scale);
  }
  float *all[] = {p->v_in, p->gs,          p->gv_out, p->g_current,
                  p->rho,  p->decay_logit, p->gamma};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
  *p = (problem){0};
}

/* Words of an output; 0 where the problem does not ask for it. */
static size_t words_of(const problem *p, problem_output which) {
  size_t M = problem_neurons(p), T = (size_t)p->T, C = (size_t)p->map.c;
  switch (which) {
    case OUT_SCALARS: return SURGE_SCALAR_COUNT;
    case OUT_WIDTH: return 2 * channels(p->spec.granularity, &p->map);
    case OUT_S: case OUT_CURRENT: return T * M;
    case OUT_V_OUT: case OUT_DV_IN: return M;
    case OUT_PDA:
      return p->spec.pda ? channels(p->spec.pda_granularity, &p->map) *
                               WORDS(surge_pda_coefficients) : 0;
    case OUT_METRICS: return p->spec.pda ? WORDS(surge_metrics) : 0;
    case OUT_STATISTICS:
      return p->statistics ? T * WORDS(surge_neuron_statistics) : 0;
    case OUT_HISTOGRAM: return p->statistics ? WORDS(surge_histogram) : 0;
    case OUT_FAULT: return 1;
    case OUT_DA0: case OUT_DA1: {
      int j = which == OUT_DA1;
      return p->want_da[j] ? (p->input[j].is_static ? 1 : T) * M : 0;
    }
    case OUT_SUMS0: case OUT_SUMS1: {
      const problem_input *in = &p->input[which == OUT_SUMS1];
      return in->scale ? (in->per_step ? T : 1) * 2 * C : 0;
    }
    case OUT_DRHO: return p->rho ? channels(p->spec.granularity, &p->map) : 0;
    case OUT_DDECAY_LOGIT: return p->decay_logit ? 1 : 0;
    case OUT_COUNT: break;
  }
  return 0;
}

/* ======================================================================== *
 *  On the backend
 * ======================================================================== */

/* Buffers of one run: outputs by name, and the inputs uploaded so far. */
typedef struct run {
  const problem *p;
  surge_context *context;
  test_buffer out[OUT_COUNT];
  test_buffer in[32];
  int in_count;
  surge_neuron common;
} run;

float problem_start(problem_output which, size_t i) {
  return test_uniform(1000 + (uint64_t)which, i, -1, 1);
}

static bool starts_at_zero(problem_output which) {
  return which == OUT_METRICS || which == OUT_STATISTICS ||
         which == OUT_HISTOGRAM || which == OUT_FAULT;
}

static bool accumulates(const problem *p, problem_output which) {
  return which == OUT_DRHO || which == OUT_DDECAY_LOGIT ||
         (which == OUT_DA0 && p->mode[0] == SURGE_ADD) ||
         (which == OUT_DA1 && p->mode[1] == SURGE_ADD);
}

static void open_output(run *r, problem_output which, const result *before) {
  size_t words = words_of(r->p, which);
  if (!words) return;
  if (before && starts_at_zero(which)) {
    r->out[which] = test_copied(r->context, before->out[which], words);
  } else if (starts_at_zero(which)) {
    r->out[which] = test_filled(r->context, words, 0);
  } else if (accumulates(r->p, which)) {
    float *start = malloc(words * sizeof(float));
    for (size_t i = 0; i < words; i++) start[i] = problem_start(which, i);
    r->out[which] = test_copied(r->context, start, words);
    free(start);
  } else if (which == OUT_DA0 && r->p->alias) {
    r->out[which] = test_copied(r->context, r->p->gs, words);
  } else {
    r->out[which] = test_poisoned(r->context, words);
  }
}

/* Uploads an input; NULL stays NULL. */
static const float *given(run *r, const float *host, size_t count) {
  if (!host) return NULL;
  cr_assert_lt(r->in_count, (int)(sizeof r->in / sizeof *r->in));
  r->in[r->in_count] = test_copied(r->context, host, count);
  return r->in[r->in_count++].device;
}

static void *device(const run *r, problem_output which) {
  return r->out[which].device;
}

static surge_neuron_input given_input(run *r, const problem_input *in) {
  size_t T = (size_t)r->p->T, C = (size_t)r->p->map.c;
  size_t steps = in->per_step ? T : 1;
  return (surge_neuron_input){
      .z = given(r, in->z, (in->is_static ? 1 : T) * problem_neurons(r->p)),
      .scale = given(r, in->scale, steps * C),
      .shift = given(r, in->shift, steps * C),
      .mean = given(r, in->mean, C),
      .rstd = given(r, in->rstd, C),
      .step_scale = given(r, in->step_scale, T),
      .is_static = in->is_static,
      .per_step = in->per_step};
}

static void expect_ok(surge_status status, const problem *p, const char *op) {
  cr_assert_eq(status, SURGE_OK, "%s: %s: %s", p->name, op, surge_last_error());
}

static void run_scalars(run *r) {
  const problem *p = r->p;
  surge_step step = {.schedule = p->schedule};
  const void *words = &step;
  surge_neuron_scalars a = {
      .scalars = device(r, OUT_SCALARS), .width = device(r, OUT_WIDTH),
      .rho = given(r, p->rho, channels(p->spec.granularity, &p->map)),
      .decay_logit = given(r, p->decay_logit, 1),
      .gamma = given(r, p->gamma, (size_t)p->map.c),
      .spec = p->spec, .C = p->map.c};
  if (p->spec.width_rule == SURGE_WIDTH_SCHEDULE)
    a.step = (const void *)given(r, words, WORDS(surge_step));
  expect_ok(test_backend()->neuron_scalars(r->context, &a), p, "scalars");
}

static void run_forward(run *r) {
  surge_neuron_forward a = {
      .common = r->common,
      .s = device(r, OUT_S), .v_out = device(r, OUT_V_OUT),
      .current = device(r, OUT_CURRENT), .pda = device(r, OUT_PDA),
      .pda_scale = r->p->pda_scale, .metrics = device(r, OUT_METRICS),
      .statistics = device(r, OUT_STATISTICS),
      .histogram = device(r, OUT_HISTOGRAM), .fault = device(r, OUT_FAULT)};
  expect_ok(test_backend()->neuron_forward(r->context, &a), r->p, "forward");
}

static void run_backward(run *r) {
  const problem *p = r->p;
  size_t M = problem_neurons(p), count = (size_t)p->T * M;
  surge_neuron_backward a = {
      .common = r->common,
      .da = {device(r, OUT_DA0), device(r, OUT_DA1)},
      .mode = {p->mode[0], p->mode[1]},
      .sums = {device(r, OUT_SUMS0), device(r, OUT_SUMS1)},
      .dv_in = device(r, OUT_DV_IN), .drho = device(r, OUT_DRHO),
      .ddecay_logit = device(r, OUT_DDECAY_LOGIT),
      .gs = p->alias ? device(r, OUT_DA0) : given(r, p->gs, count),
      .gv_out = given(r, p->gv_out, M),
      .g_current = given(r, p->g_current, count),
      .pda = device(r, OUT_PDA)};
  expect_ok(test_backend()->neuron_backward(r->context, &a), p, "backward");
}

/* Downloads the outputs and checks that no input was written. */
static result close_run(run *r) {
  result done = {0};
  for (int k = 0; k < OUT_COUNT; k++) {
    done.words[k] = r->out[k].count;
    if (!r->out[k].block) continue;
    done.out[k] = test_download(&r->out[k], output_name[k]);
    test_release(&r->out[k]);
  }
  for (int k = 0; k < r->in_count; k++) {
    free(test_download(&r->in[k], r->p->name));
    test_release(&r->in[k]);
  }
  test_backend()->close(r->context);
  return done;
}

result problem_run(const problem *p, int threads, const result *before) {
  const surge_backend *backend = test_backend();
  run r = {.p = p, .context = test_context(threads)};
  for (int k = 0; k < OUT_COUNT; k++)
    open_output(&r, (problem_output)k, before);
  r.common = (surge_neuron){
      .spec = p->spec, .map = p->map, .T = p->T, .N = p->N,
      .inputs = p->inputs, .layer = p->layer,
      .scalars = device(&r, OUT_SCALARS), .width = device(&r, OUT_WIDTH),
      .v_in = given(&r, p->v_in, problem_neurons(p))};
  for (int j = 0; j < p->inputs; j++)
    r.common.input[j] = given_input(&r, &p->input[j]);
  size_t bytes = backend->neuron_workspace(r.context, &r.common);
  test_buffer workspace = test_poisoned(r.context, bytes / sizeof(float) + 1);
  r.common.workspace = workspace.device;
  run_scalars(&r);
  run_forward(&r);
  run_backward(&r);
  free(test_download(&workspace, "workspace"));
  test_release(&workspace);
  return close_run(&r);
}

void result_free(result *r) {
  for (int k = 0; k < OUT_COUNT; k++) free(r->out[k]);
  *r = (result){0};
}

const surge_metrics *result_metrics(const result *r) {
  return (const void *)r->out[OUT_METRICS];
}

const surge_neuron_statistics *result_statistics(const result *r) {
  return (const void *)r->out[OUT_STATISTICS];
}

const uint64_t *result_histogram(const result *r) {
  return (const void *)r->out[OUT_HISTOGRAM];
}

const surge_pda_coefficients *result_pda(const result *r) {
  return (const void *)r->out[OUT_PDA];
}

surge_fault result_fault(const result *r) {
  surge_fault fault;
  memcpy(&fault, r->out[OUT_FAULT], sizeof fault);
  return fault;
}

void result_expect_same(const result *a, const result *b, const char *name) {
  for (int k = 0; k < OUT_COUNT; k++) {
    cr_expect_eq(a->words[k], b->words[k]);
    if (!a->out[k] || !b->out[k]) continue;
    cr_expect(!memcmp(a->out[k], b->out[k], a->words[k] * sizeof(float)),
              "%s: %s: other bits", name, output_name[k]);
  }
}

/* ======================================================================== *
 *  In the reference
 * ======================================================================== */

/* A copy in double that the reference owns; NULL stays NULL. */
static const double *widened(reference *ref, const float *values,
                             size_t count) {
  if (!values) return NULL;
  cr_assert_lt(ref->owned_count, (int)(sizeof ref->owned / sizeof *ref->owned));
  double *wide = malloc(count * sizeof(double));
  for (size_t i = 0; i < count; i++) wide[i] = (double)values[i];
  ref->owned[ref->owned_count++] = wide;
  return wide;
}

static ref_input widened_input(reference *ref, const problem *p, int which) {
  const problem_input *in = &p->input[which];
  size_t T = (size_t)p->T, C = (size_t)p->map.c, steps = in->per_step ? T : 1;
  return (ref_input){
      .z = widened(ref, in->z, (in->is_static ? 1 : T) * problem_neurons(p)),
      .scale = widened(ref, in->scale, steps * C),
      .shift = widened(ref, in->shift, steps * C),
      .mean = widened(ref, in->mean, C),
      .rstd = widened(ref, in->rstd, C),
      .step_scale = widened(ref, in->step_scale, T),
      .is_static = in->is_static,
      .per_step = in->per_step};
}

/* The longest chain of fp32 additions. backend.h: reductions are cut by sizes
 * and end in double; a group's partial may be in fp32 over one piece of at
 * most 512 neurons and the T steps of each. */
double problem_depth(const problem *p) {
  double M = (double)problem_neurons(p);
  return fmin(M, 512) + p->T;
}

reference problem_reference(const problem *p, const result *r) {
  size_t M = problem_neurons(p), count = (size_t)p->T * M;
  size_t P = channels(p->spec.pda_granularity, &p->map);
  reference ref = {.n = {.spec = p->spec, .map = p->map, .T = p->T, .N = p->N,
                         .inputs = p->inputs, .rounded = true}};
  for (int j = 0; j < p->inputs; j++)
    ref.n.input[j] = widened_input(&ref, p, j);
  for (int k = 0; k < SURGE_SCALAR_COUNT; k++)
    ref.n.scalars[k] = (double)r->out[OUT_SCALARS][k];
  ref.n.width = widened(&ref, r->out[OUT_WIDTH], r->words[OUT_WIDTH]);
  ref.n.v_in = widened(&ref, p->v_in, M);
  ref.trace = ref_neuron_forward(&ref.n);
  ref.up = (ref_upstream){.gs = widened(&ref, p->gs, count),
                          .gv_out = widened(&ref, p->gv_out, M),
                          .g_current = widened(&ref, p->g_current, count)};
  ref_pda *used = calloc(P, sizeof *used);
  if (p->spec.pda) {
    ref.pda = calloc(P, sizeof *ref.pda);
    ref.D = ref_neuron_pda(ref.pda, &ref.n, &ref.trace, (double)p->pda_scale);
    for (size_t c = 0; c < P; c++)
      used[c] = (ref_pda){.m = (double)result_pda(r)[c].m,
                          .c0 = (double)result_pda(r)[c].c0,
                          .c1 = (double)result_pda(r)[c].c1};
    ref.up.pda = used;
  }
  ref.g = ref_neuron_backward(&ref.n, &ref.trace, &ref.up);
  ref.bound = ref_neuron_bound(&ref.n, &ref.trace, &ref.up, &ref.g,
                               problem_depth(p));
  ref.up.pda = NULL;
  free(used);
  return ref;
}

void reference_free(reference *ref) {
  for (int k = 0; k < ref->owned_count; k++) free(ref->owned[k]);
  ref_trace_free(&ref->trace);
  ref_gradient_free(&ref->g);
  ref_bound_free(&ref->bound);
  free(ref->pda);
  *ref = (reference){0};
}

/* ======================================================================== *
 *  Comparing
 * ======================================================================== */

void expect_near(const float *got, const double *wanted, const double *bound,
                 size_t count, const char *name, const char *what) {
  size_t wrong = 0, first = 0;
  for (size_t i = 0; i < count; i++) {
    double limit = (bound ? bound[i] : 0) + 0x1p-24 * fabs(wanted[i]);
    if (fabs((double)got[i] - wanted[i]) <= limit) continue; /* false on NaN */
    if (!wrong++) first = i;
  }
  cr_expect(!wrong,
            "%s: %s: %zu of %zu wrong, first [%zu]: wanted %.9g +- %.2g, "
            "found %.9g", name, what, wrong, count, first, wanted[first],
            bound ? bound[first] : 0, (double)got[first]);
}

static void expect_exact(const float *got, const double *wanted, size_t count,
                         const char *name, const char *what) {
  size_t wrong = 0, first = 0;
  for (size_t i = 0; i < count; i++)
    if (!((double)got[i] >= wanted[i] && (double)got[i] <= wanted[i]) &&
        !wrong++)
      first = i;
  cr_expect(!wrong, "%s: %s: %zu of %zu differ, first [%zu]: wanted %.9g, "
            "found %.9g", name, what, wrong, count, first, wanted[first],
            (double)got[first]);
}

/* An output against the reference, with what it started from added. */
static void expect_output(const problem *p, const result *r,
                          problem_output which, const double *wanted,
                          const double *bound) {
  size_t count = r->words[which];
  if (!r->out[which]) return;
  double *sum = malloc(count * sizeof(double));
  double *limit = malloc(count * sizeof(double));
  for (size_t i = 0; i < count; i++) {
    double start = accumulates(p, which) ? (double)problem_start(which, i) : 0;
    sum[i] = start + wanted[i];
    limit[i] = bound[i] + 0x1p-24 * fabs(wanted[i]);
  }
  expect_near(r->out[which], sum, limit, count, p->name, output_name[which]);
  free(sum);
  free(limit);
}

/* A bound says something where it is small beside what it bounds. */
static void expect_meaningful(const problem *p, const reference *ref) {
  double size = 0, bound = 0;
  for (size_t k = 0; k < (size_t)p->T * problem_neurons(p); k++) {
    size += fabs(ref->g.da[k]);
    bound += ref->bound.da[k];
  }
  cr_expect(bound <= 1e-2 * size, "%s: bounds %.3g of gradients %.3g", p->name,
            bound, size);
}

void problem_expect(const problem *p, const result *r) {
  reference ref = problem_reference(p, r);
  size_t M = problem_neurons(p), last = (size_t)(p->T - 1) * M;
  cr_expect_eq(result_fault(r), 0u, "%s: fault %u", p->name, result_fault(r));
  expect_exact(r->out[OUT_CURRENT], ref.trace.a, (size_t)p->T * M, p->name,
               "current");
  if (p->spec.soft_forward) {
    expect_output(p, r, OUT_S, ref.trace.s, ref.bound.s);
    expect_output(p, r, OUT_V_OUT, ref.trace.v + last, ref.bound.v + last);
  } else {
    expect_exact(r->out[OUT_S], ref.trace.s, (size_t)p->T * M, p->name, "s");
    expect_exact(r->out[OUT_V_OUT], ref.trace.v + last, M, p->name, "v_out");
  }
  for (int j = 0; j < p->inputs; j++) {
    expect_output(p, r, j ? OUT_DA1 : OUT_DA0, ref.g.input[j],
                  ref.bound.input[j]);
    expect_output(p, r, j ? OUT_SUMS1 : OUT_SUMS0, ref.g.sums[j],
                  ref.bound.sums[j]);
  }
  expect_output(p, r, OUT_DV_IN, ref.g.dv_in, ref.bound.dv_in);
  expect_output(p, r, OUT_DRHO, ref.g.drho, ref.bound.drho);
  expect_output(p, r, OUT_DDECAY_LOGIT, &ref.g.decay_logit,
                &ref.bound.decay_logit);
  expect_meaningful(p, &ref);
  reference_free(&ref);
}
