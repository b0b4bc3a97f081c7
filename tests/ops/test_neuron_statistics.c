/* test_neuron_statistics.c - by-products of the neuron's forward: PDA with its
 * coefficients, statistics a step, and the histogram of the membrane. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/neuron_compare.h"
#include "tests/support/neuron_problem.h"

/* ======================================================================== *
 *  PDA
 * ======================================================================== */

/* Bounds of one entry of the moment kind, by the derivatives of its formulas
 * with respect to m and s^2 (method, section 3). */
static void expect_moments(const problem *p, const reference *ref,
                           const surge_pda_coefficients *got, int c,
                           double mean_abs, double *D_bound) {
  const ref_pda *want = &ref->pda[c];
  double u = 0x1p-24, depth = problem_depth(p),
         theta = (double)p->spec.v_threshold;
  double v0 = pow(ref->n.scalars[SURGE_SCALAR_PDA_STD], 2);
  double e = fabs(want->m - ref->n.scalars[SURGE_SCALAR_PDA_MEAN]);
  double v = want->variance + 1e-5 * theta * theta;
  double elements = (double)p->T * (double)problem_neurons(p);
  double k = (double)p->pda_scale / elements / 2;
  double dm = (depth + 2) * u * mean_abs;
  double dv = (depth + 2) * u * (v + 2 * mean_abs * sqrt(v)) + 4 * u * v;
  double c0 =
      k * ((1 / v0 + 1 / v) * dm + e / (v * v) * dv) + 4 * u * fabs(want->c0);
  double c1 = k * (2 * e / (v * v) * dm + 2 * (v0 + e * e) / pow(v, 3) * dv +
                   4 * u * (1 / v0 + (v0 + e * e) / (v * v)));
  expect_near(&got->m, &want->m, &dm, 1, p->name, "m");
  expect_near(&got->c0, &want->c0, &c0, 1, p->name, "c0");
  expect_near(&got->c1, &want->c1, &c1, 1, p->name, "c1");
  *D_bound += (2 * e * (1 / v0 + 1 / v) * dm +
               fabs(1 / v0 - (v0 + e * e) / (v * v)) * dv +
               4 * u * ((v + e * e) / v0 + (v0 + e * e) / v)) /
              4;
}

static double mean_abs_of(const problem *p, const reference *ref) {
  size_t count = (size_t)p->T * problem_neurons(p);
  double sum = 0;
  for (size_t k = 0; k < count; k++) sum += fabs(ref->trace.u[k]);
  return sum / (double)count;
}

/* With eps .05, |dD/dp| <= (5.9 + .9/.0475)/2 < 12.5 and |logit| < 2.95; p is
 * off by at most 16 + 4 max|x h| < 18 roundings. */
static double quantization_bound(const problem *p, double D) {
  double u = 0x1p-24;
  return (12.5 * 18 + 8 * 0.9 * 5.9) * u + (problem_depth(p) + 2) * u * D;
}

static void check_pda(problem *p) {
  result r = problem_run(p, 2, NULL), twice = problem_run(p, 2, &r);
  reference ref = problem_reference(p, &r);
  int P = p->spec.pda_granularity == SURGE_PER_CHANNEL ? p->map.c : 1;
  double bound = 0, N = (double)p->N;
  /* a channel's mean |u| may exceed the layer's, by P at most */
  double mean_abs = P * mean_abs_of(p, &ref);
  for (int c = 0; c < P; c++) {
    const surge_pda_coefficients *got = &result_pda(&r)[c];
    if (p->spec.pda == SURGE_PDA_MOMENT) {
      expect_moments(p, &ref, got, c, mean_abs, &bound);
    } else {
      expect_near(&got->c0, &ref.pda[c].c0, NULL, 1, p->name, "c0");
      cr_expect(fabsf(got->c1) + fabsf(got->m) <= 0, "%s: c1, m", p->name);
    }
  }
  bound = p->spec.pda == SURGE_PDA_MOMENT ? bound / P
                                          : quantization_bound(p, ref.D);
  double once = result_metrics(&r)->pda, both = result_metrics(&twice)->pda;
  cr_expect(fabs(once - N * ref.D) <= N * bound,
            "%s: wanted D %.9g +- %.2g, found %.9g", p->name, ref.D, bound,
            once / N);
  cr_expect(fabs(both - 2 * once) <= 1e-12 * once, "%s: added", p->name);
  reference_free(&ref);
  result_free(&r);
  result_free(&twice);
  problem_free(p);
}

NEURON_TEST(neuron_statistics, pda_and_its_coefficients) {
  for (size_t k = 0; k <= PROBLEM_SIZES; k++)
    for (int flags = 0; flags < (k < 3 ? 16 : 4); flags++) { /* 4, 8: target */
      surge_neuron_spec spec = default_spec();
      surge_map large = map_of(24, 24, 16, SURGE_BLOCKED8);
      spec.pda = flags & 1 ? SURGE_PDA_MOMENT : SURGE_PDA_QUANTIZATION;
      spec.pda_granularity = flags & 2 ? SURGE_PER_CHANNEL : SURGE_PER_LAYER;
      spec.soft_forward = false;
      spec.family = (surge_family)((k + (size_t)flags) % SURGE_FAMILY_COUNT);
      spec.pda_mean = flags & 4 ? 0.25f : 0;
      spec.pda_std = flags & 8 ? 0.8f : 0;
      problem p = problem_create(
          &spec, k < PROBLEM_SIZES ? problem_sizes[k].map : large,
          k % 2 ? 17 : 4, k < PROBLEM_SIZES ? problem_sizes[k].N : 9, 1,
          FEED_NORMALISED, 0, 100 * k);
      snprintf(p.name, sizeof p.name, "%s, size %zu, pda %d, flags %d",
               family_name[spec.family], k, spec.pda, flags);
      check_pda(&p);
    }
}

/* A silent layer has variance 0: D stays finite (s^2 = 1e-5 theta^2). */
NEURON_TEST(neuron_statistics, pda_of_a_silent_layer) {
  surge_neuron_spec spec = default_spec();
  spec.pda = SURGE_PDA_MOMENT;
  spec.v_threshold = 0.5f;
  problem p = problem_create(&spec, map_of(4, 4, 8, SURGE_BLOCKED8), 4, 2, 1,
                             FEED_PLAIN, 0, 1);
  for (size_t k = 0; k < 4 * 256; k++) p.input[0].z[k] = 0;
  snprintf(p.name, sizeof p.name, "silent");
  result r = problem_run(&p, 1, NULL);
  /* e = 0: D = (s2/v0 + v0/s2 - 2)/4, v0 = theta^2 (1 + d^2) */
  double s2 = 1e-5 * 0.25, v0 = 0.25 * 1.0625, D = (s2 / v0 + v0 / s2 - 2) / 4;
  problem_expect_finite(&p, &r);
  cr_expect(fabs(result_metrics(&r)->pda / 2 - D) < 1e-5 * D, "D = %g, not %g",
            result_metrics(&r)->pda / 2, D);
  result_free(&r);
  problem_free(&p);
}

/* ======================================================================== *
 *  Statistics
 * ======================================================================== */

/* What was seen in two runs, as one (Chan). */
static surge_neuron_statistics merged(surge_neuron_statistics a,
                                      surge_neuron_statistics b) {
  double n = a.count + b.count, apart = b.mean - a.mean;
  return (surge_neuron_statistics){
      .count = n,
      .mean = (a.count * a.mean + b.count * b.mean) / n,
      .m2 = a.m2 + b.m2 + apart * apart * a.count * b.count / n,
      .window = a.window + b.window,
      .spikes = a.spikes + b.spikes,
      .quantization = a.quantization + b.quantization};
}

/* Elements of step t whose window decision is within rounding; none where u,
 * theta and width are short binary fractions. */
static double undecided(const ref_neuron *n, const ref_trace *trace,
                        int32_t t) {
  size_t M = ref_neurons(n);
  double count = 0;
  if (n->spec.width_rule == SURGE_WIDTH_FIXED) return 0;
  for (size_t i = 0; i < M; i++) {
    double x = trace->u[(size_t)t * M + i] - (double)n->spec.v_threshold;
    double half = ref_window(n->spec.family, ref_width_at(n, t, i));
    count += fabs(fabs(x) - half) <= 0x1p-22 * (fabs(x) + half);
  }
  return count;
}

static void expect_statistics(const problem *p, int32_t t,
                              const surge_neuron_statistics *got,
                              const surge_neuron_statistics *want,
                              double slack) {
  double rounding = (problem_depth(p) + 2) * 0x1p-24, n = want->count;
  double size = sqrt(want->mean * want->mean + want->m2 / n); /* rms of u */
  cr_expect(fabs(got->count - n) <= 0, "%s: count[%d]", p->name, t);
  cr_expect(fabs(got->spikes - want->spikes) <= 0, "%s: spikes[%d]", p->name,
            t);
  cr_expect(fabs(got->window - want->window) <= slack,
            "%s: window[%d]: wanted %g +- %g, found %g", p->name, t,
            want->window, slack, got->window);
  cr_expect(fabs(got->mean - want->mean) <= rounding * size, "%s: mean[%d]",
            p->name, t);
  cr_expect(
      fabs(got->m2 - want->m2) <=
          rounding * (want->m2 + 2 * size * sqrt(want->m2 * n)) + 1e-12 * n,
      "%s: m2[%d]: wanted %.9g, found %.9g", p->name, t, want->m2, got->m2);
  cr_expect(fabs(got->quantization - want->quantization) <=
                rounding * want->quantization +
                    4 * 0x1p-24 * n * (size + 1) * (size + 1),
            "%s: quantization[%d]: wanted %.9g, found %.9g", p->name, t,
            want->quantization, got->quantization);
}

/* Two different batches, one after the other, into the same statistics. */
static void check_statistics(problem *a, problem *b) {
  result first = problem_run(a, 2, NULL), both = problem_run(b, 2, &first);
  reference ra = problem_reference(a, &first), rb = problem_reference(b, &both);
  size_t T = (size_t)a->T;
  surge_neuron_statistics *sa = malloc(T * sizeof *sa),
                          *sb = malloc(T * sizeof *sb);
  uint64_t ha[SURGE_HISTOGRAM_BINS + 2], hb[SURGE_HISTOGRAM_BINS + 2];
  ref_neuron_statistics(sa, &ra.n, &ra.trace);
  ref_neuron_statistics(sb, &rb.n, &rb.trace);
  ref_neuron_histogram(ha, &ra.n, &ra.trace);
  ref_neuron_histogram(hb, &rb.n, &rb.trace);
  for (int32_t t = 0; t < a->T; t++) {
    surge_neuron_statistics sum = merged(sa[t], sb[t]);
    double slack = undecided(&ra.n, &ra.trace, t);
    expect_statistics(a, t, &result_statistics(&first)[t], &sa[t], slack);
    slack += undecided(&rb.n, &rb.trace, t);
    expect_statistics(a, t, &result_statistics(&both)[t], &sum, slack);
  }
  for (int bin = 0; bin < SURGE_HISTOGRAM_BINS + 2; bin++) {
    cr_expect_eq(result_histogram(&first)[bin], ha[bin], "%s: bin %d", a->name,
                 bin);
    cr_expect_eq(result_histogram(&both)[bin], ha[bin] + hb[bin],
                 "%s: bin %d of both", a->name, bin);
  }
  free(sa);
  free(sb);
  reference_free(&ra);
  reference_free(&rb);
  result_free(&first);
  result_free(&both);
  problem_free(a);
  problem_free(b);
}

/* theta is a power of two and currents are k/64, so that u meets the edges of
 * bins and windows exactly; z reaches beyond both ends of the histogram. */
static problem statistics_problem(surge_family family, size_t k,
                                  uint64_t seed) {
  surge_neuron_spec spec = default_spec();
  spec.family = family;
  if (family == SURGE_RECTANGULAR || family == SURGE_TRIANGULAR)
    spec.width_rule = SURGE_WIDTH_FIXED; /* u meets the window's very edge */
  spec.granularity = k % 2 ? SURGE_PER_CHANNEL : SURGE_PER_LAYER;
  spec.reset = k % 3 ? SURGE_RESET_SOFT : SURGE_RESET_HARD;
  spec.v_threshold = k % 2 ? 0.5f : 1;
  spec.decay = 0.5f;
  problem p =
      problem_create(&spec, problem_sizes[k].map, k % 4 ? 5 : 17,
                     problem_sizes[k].N, 1, FEED_PLAIN, 0, 1000 * seed + k);
  for (size_t i = 0; i < (size_t)p.T * problem_neurons(&p); i++)
    p.input[0].z[i] = floorf(p.input[0].z[i] * 192) / 64;
  p.statistics = true;
  snprintf(p.name, sizeof p.name, "%s, size %zu", family_name[family], k);
  return p;
}

NEURON_TEST(neuron_statistics, statistics_and_histogram) {
  for (size_t k = 0; k < PROBLEM_SIZES; k++)
    for (surge_family f = 0; f < SURGE_FAMILY_COUNT; f++) {
      problem a = statistics_problem(f, k, 1), b = statistics_problem(f, k, 2);
      check_statistics(&a, &b);
    }
}
