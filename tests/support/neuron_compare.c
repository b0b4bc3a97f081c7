/* neuron_compare.c - a problem in the reference, and the two compared. */
#include "tests/support/neuron_compare.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

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

/* The same of an activation, as the problem's type holds it. */
static const double *widened_map(reference *ref, const problem *p,
                                 const float *values, size_t count) {
  float *rounded = malloc(count * sizeof *rounded);
  for (size_t i = 0; i < count; i++) rounded[i] = problem_rounded(p, values[i]);
  const double *wide = widened(ref, rounded, count);
  free(rounded);
  return wide;
}

static ref_input widened_input(reference *ref, const problem *p, int which) {
  const problem_input *in = &p->input[which];
  size_t T = (size_t)p->T, C = (size_t)p->map.c, steps = in->per_step ? T : 1;
  return (ref_input){
      .z = widened_map(ref, p, in->z,
                       (in->is_static ? 1 : T) * problem_neurons(p)),
      .scale = widened(ref, in->scale, steps * C),
      .shift = widened(ref, in->shift, steps * C),
      .mean = widened(ref, in->mean, C),
      .rstd = widened(ref, in->rstd, C),
      .step_scale = widened(ref, in->step_scale, T),
      .is_static = in->is_static,
      .per_step = in->per_step};
}

/* backend.h: reductions are cut by sizes alone and end in double. In fp32 a
 * neuron's T steps are added one after the other, up to 32 terms where pieces
 * share them, then the neurons of a piece, 512 at most, in a tree: 9 levels. */
double problem_depth(const problem *p) { return fmax(p->T, 32) + 9; }

reference problem_reference(const problem *p, const result *r) {
  size_t M = problem_neurons(p), count = (size_t)p->T * M;
  size_t P = problem_channels(p->spec.pda_granularity, &p->map);
  reference ref = {.n = {.spec = p->spec,
                         .map = p->map,
                         .T = p->T,
                         .N = p->N,
                         .inputs = p->inputs,
                         .rounded = true}};
  for (int j = 0; j < p->inputs; j++)
    ref.n.input[j] = widened_input(&ref, p, j);
  for (size_t k = 0; k < r->words[OUT_SCALARS]; k++)
    ref.n.scalars[k] = (double)r->out[OUT_SCALARS][k];
  ref.n.width = widened(&ref, r->out[OUT_WIDTH], r->words[OUT_WIDTH]);
  ref.n.v_in = widened(&ref, p->v_in, M);
  ref.n.i_in = widened(&ref, p->i_in, M);
  ref.trace = ref_neuron_forward(&ref.n);
  ref.up = (ref_upstream){.gs = widened_map(&ref, p, p->gs, count),
                          .gv_out = widened(&ref, p->gv_out, M),
                          .gi_out = widened(&ref, p->gi_out, M),
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
  ref.bound =
      ref_neuron_bound(&ref.n, &ref.trace, &ref.up, &ref.g, problem_depth(p));
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

/* Rounding is monotone, so what lies within a limit is rounded to something
 * between its rounded ends. False on NaN. */
static bool is_near(surge_dtype type, double got, double wanted, double limit) {
  if (type == SURGE_F32) return fabs(got - wanted) <= limit;
  return got >= test_to_bf16(wanted - limit) &&
         got <= test_to_bf16(wanted + limit);
}

void expect_near(const float *got, const double *wanted, const double *bound,
                 size_t count, const char *name, const char *what) {
  expect_near_as(SURGE_F32, got, wanted, bound, count, name, what);
}

void expect_near_as(surge_dtype type, const float *got, const double *wanted,
                    const double *bound, size_t count, const char *name,
                    const char *what) {
  size_t wrong = 0, first = 0;
  for (size_t i = 0; i < count; i++) {
    double limit = (bound ? bound[i] : 0) + 0x1p-24 * fabs(wanted[i]);
    if (is_near(type, (double)got[i], wanted[i], limit)) continue;
    if (!wrong++) first = i;
  }
  cr_expect(!wrong,
            "%s: %s: %zu of %zu wrong, first [%zu]: wanted %.9g +- %.2g, "
            "found %.9g",
            name, what, wrong, count, first, wanted[first],
            bound ? bound[first] : 0, (double)got[first]);
}

static void expect_exact(const float *got, const double *wanted, size_t count,
                         const char *name, const char *what) {
  size_t wrong = 0, first = 0;
  for (size_t i = 0; i < count; i++)
    if (!((double)got[i] >= wanted[i] && (double)got[i] <= wanted[i]) &&
        !wrong++)
      first = i;
  cr_expect(!wrong,
            "%s: %s: %zu of %zu differ, first [%zu]: wanted %.9g, "
            "found %.9g",
            name, what, wrong, count, first, wanted[first], (double)got[first]);
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
    double start =
        problem_accumulates(p, which) ? (double)problem_start(p, which, i) : 0;
    sum[i] = start + wanted[i];
    limit[i] = bound[i] + 0x1p-24 * fabs(wanted[i]);
  }
  expect_near_as(problem_output_type(p, which), r->out[which], sum, limit,
                 count, p->name, problem_output_name[which]);
  free(sum);
  free(limit);
}

void problem_expect(const problem *p, const result *r) {
  reference ref = problem_reference(p, r);
  size_t M = problem_neurons(p), last = (size_t)(p->T - 1) * M;
  cr_expect_eq(result_fault(r), 0u, "%s: fault %u", p->name, result_fault(r));
  expect_exact(r->out[OUT_CURRENT], ref.trace.a, (size_t)p->T * M, p->name,
               "current");
  if (r->out[OUT_I_OUT])
    expect_exact(r->out[OUT_I_OUT], ref.trace.i + last, M, p->name, "i_out");
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
  expect_output(p, r, OUT_DI_IN, ref.g.di_in, ref.bound.di_in);
  expect_output(p, r, OUT_DRHO, ref.g.drho, ref.bound.drho);
  expect_output(p, r, OUT_DDECAY_LOGIT, &ref.g.decay_logit,
                &ref.bound.decay_logit);
  expect_output(p, r, OUT_DSYNAPSE_LOGIT, &ref.g.synapse_logit,
                &ref.bound.synapse_logit);
  reference_free(&ref);
}

/* A bound says something where it is small beside what it bounds. */
void problem_expect_meaningful(const problem *p, const result *r) {
  reference ref = problem_reference(p, r);
  double size = 0, bound = 0;
  for (size_t k = 0; k < (size_t)p->T * problem_neurons(p); k++) {
    size += fabs(ref.g.da[k]);
    bound += ref.bound.da[k];
  }
  cr_expect(bound <= 1e-2 * size + 1e-30, "%s: bounds %.3g of gradients %.3g",
            p->name, bound, size);
  reference_free(&ref);
}

void problem_expect_finite(const problem *p, const result *r) {
  for (int k = OUT_S; k < OUT_COUNT; k++) {
    if (k == OUT_METRICS || k == OUT_FAULT) continue;
    for (size_t i = 0; r->out[k] && i < r->words[k]; i++)
      cr_expect(isfinite(r->out[k][i]), "%s: output %d [%zu]", p->name, k, i);
  }
  cr_expect(!p->spec.pda || isfinite(result_metrics(r)->pda), "%s: D", p->name);
  cr_expect_eq(result_fault(r), 0u, "%s", p->name);
}

void problem_check(problem *p) {
  result r = problem_run(p, 2, NULL);
  problem_expect(p, &r);
  result_free(&r);
  problem_free(p);
}
