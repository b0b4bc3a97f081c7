/* test_neuron.c - does a backend's neuron op compute what the reference says?
 *
 * Hard spikes, membranes and currents are compared to the bit: all of them are
 * sums and products, correctly rounded, and the reference rounds alike.
 * Gradients are then compared on those same membranes, so that no flipped
 * spike can hide or excuse a difference, within bounds that ref64/
 * neuron_bound.c derives. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/neuron_compare.h"
#include "tests/support/pairwise.h"
#include "tests/support/values.h"

/* ======================================================================== *
 *  Scalars
 * ======================================================================== */

/* Computed in double and rounded once: within half a unit. */
static void check_scalars(problem *p) {
  result r = problem_run(p, 1, NULL);
  double scalars[SURGE_SCALAR_COUNT], width[2 * 16], rho[16], logit, synapse;
  double *gamma[2] = {NULL};
  int32_t C = p->map.c;
  int32_t P = p->spec.granularity == SURGE_PER_CHANNEL ? C : 1;
  for (int j = 0; j < 2; j++)
    if (p->gamma[j]) gamma[j] = test_widened(p->gamma[j], (size_t)C);
  for (int32_t c = 0; p->rho && c < P; c++) rho[c] = (double)p->rho[c];
  if (p->decay_logit) logit = (double)*p->decay_logit;
  if (p->synapse_logit) synapse = (double)*p->synapse_logit;
  ref_neuron_scalars(
      scalars, width, &p->spec, p->rho ? rho : NULL,
      p->decay_logit ? &logit : NULL, p->synapse_logit ? &synapse : NULL,
      gamma[0] ? (const double *const *)gamma : NULL, (double)p->schedule, C);
  expect_near(r.out[OUT_SCALARS], scalars, NULL, r.words[OUT_SCALARS], p->name,
              "scalars");
  expect_near(r.out[OUT_WIDTH], width, NULL, 2 * (size_t)P, p->name, "width");
  free(gamma[0]);
  free(gamma[1]);
  result_free(&r);
  problem_free(p);
}

Test(neuron, scalars_are_rounded_once) {
  uint64_t seed = 0;
  for (int rule = 0; rule <= SURGE_WIDTH_SCHEDULE; rule++)
    for (surge_family f = 0; f < SURGE_FAMILY_COUNT; f++)
      for (int flags = 0; flags < 32; flags++) {
        surge_neuron_spec spec = default_spec();
        spec.synapse_decay = flags % 3 ? 0.8f : 0;
        spec.synapse_learned = flags % 3 == 2;
        spec.width_rule = (surge_width_rule)rule;
        spec.family = f;
        spec.v_threshold = 0.7f;
        spec.granularity = flags & 1 ? SURGE_PER_CHANNEL : SURGE_PER_LAYER;
        spec.decay_learned = flags & 2;
        spec.decay_input = flags & 4;
        spec.pda_std = flags & 8 ? 0.3f : 0;
        spec.pda_mean = 0.1f;
        problem p =
            problem_create(&spec, map_of(1, 1, 5, 0), 1, 1, flags & 16 ? 2 : 1,
                           FEED_NORMALISED, FEED_NORMALISED, seed += 100);
        snprintf(p.name, sizeof p.name, "%s, rule %d, flags %d", family_name[f],
                 rule, flags);
        check_scalars(&p);
      }
}

/* What a second norm must not change where it says the same as the first. */
Test(neuron, two_equal_norms_have_the_width_of_one) {
  surge_neuron_spec spec = default_spec();
  spec.width_rule = SURGE_WIDTH_NORM;
  for (int32_t C = 1; C <= 600; C += 37) {
    problem p = problem_create(&spec, map_of(1, 1, C, 0), 1, 1, 2,
                               FEED_NORMALISED, FEED_NORMALISED, (uint64_t)C);
    size_t bytes = (size_t)C * sizeof(float);
    memcpy(p.gamma[1], p.gamma[0], bytes);
    result two = problem_run(&p, 1, NULL);
    free(p.gamma[1]);
    p.gamma[1] = NULL;
    result one = problem_run(&p, 1, NULL);
    cr_expect_eq(
        memcmp(one.out[OUT_WIDTH], two.out[OUT_WIDTH], 2 * sizeof(float)), 0,
        "C %d: %.9g, %.9g", C, (double)one.out[OUT_WIDTH][0],
        (double)two.out[OUT_WIDTH][0]);
    result_free(&one);
    result_free(&two);
    problem_free(&p);
  }
}

/* ======================================================================== *
 *  The pairwise table of flags
 * ======================================================================== */

enum {
  BY_FAMILY,
  BY_RESET,
  BY_DETACH,
  BY_SOFT,
  BY_RULE,
  BY_GRANULARITY,
  BY_DECAY,
  BY_DECAY_INPUT,
  BY_FEED0,
  BY_FEED1,
  BY_WANT,
  BY_MODE,
  BY_PDA,
  BY_STEPS,
  BY_MAP,
  BY_STATE,
  BY_CURRENT,
  BY_THETA,
  BY_ALIAS,
  BY_STATISTICS,
  BY_SYNAPSE,
  FACTORS
};
static const int levels[FACTORS] = {6, 2, 2, 2, 5, 2, 4, 2, 6, 7, /* 0: one */
                                    3, 4, 5, 6, 7, 4, 2, 2, 2, 2, 4};
static const int32_t step_levels[] = {1, 2, 5, 16, 17, 33};
static const struct {
  surge_map map;
  int32_t N;
} map_levels[] = {
    {{1, 1, 1, SURGE_CHANNELS_LAST}, 1},  {{3, 5, 7, SURGE_CHANNELS_LAST}, 2},
    {{2, 3, 8, SURGE_BLOCKED8}, 3},       {{3, 2, 24, SURGE_BLOCKED8}, 2},
    {{1, 1, 13, SURGE_CHANNELS_LAST}, 5}, {{1, 1, 16, SURGE_BLOCKED8}, 3},
    {{7, 11, 9, SURGE_CHANNELS_LAST}, 1}};

static surge_neuron_spec pairwise_spec(const int *level) {
  static const float decays[] = {0.25f, 0.5f, 0.9f, 0.5f};
  static const float synapses[] = {0, 0, 0.8f, 0.5f};
  static const surge_pda_kind kinds[] = {
      SURGE_PDA_OFF, SURGE_PDA_MOMENT, SURGE_PDA_MOMENT, SURGE_PDA_QUANTIZATION,
      SURGE_PDA_QUANTIZATION};
  surge_neuron_spec spec = default_spec();
  spec.family = (surge_family)level[BY_FAMILY];
  spec.reset = (surge_reset)level[BY_RESET];
  spec.detach_reset = level[BY_DETACH];
  spec.soft_forward = level[BY_SOFT];
  spec.width_rule = (surge_width_rule)level[BY_RULE];
  spec.granularity = (surge_granularity)level[BY_GRANULARITY];
  spec.decay = decays[level[BY_DECAY]];
  spec.decay_learned = level[BY_DECAY] == 3;
  spec.decay_input = level[BY_DECAY_INPUT];
  spec.synapse_decay = synapses[level[BY_SYNAPSE]];
  spec.synapse_learned = level[BY_SYNAPSE] == 3;
  spec.v_threshold = level[BY_THETA] ? 1 : 0.6f;
  spec.v_reset = level[BY_THETA] ? 0 : -0.2f;
  spec.pda = kinds[level[BY_PDA]];
  spec.pda_granularity =
      level[BY_PDA] % 2 ? SURGE_PER_LAYER : SURGE_PER_CHANNEL;
  spec.width = 1.3f;
  spec.width_end = 0.4f;
  return spec;
}

static problem pairwise_problem(const int *level, uint64_t seed) {
  surge_neuron_spec spec = pairwise_spec(level);
  int second = level[BY_FEED1];
  problem p =
      problem_create(&spec, map_levels[level[BY_MAP]].map,
                     step_levels[level[BY_STEPS]], map_levels[level[BY_MAP]].N,
                     1 + (second > 0), problem_feeds[level[BY_FEED0]],
                     second ? problem_feeds[second - 1] : 0, seed);
  if (level[BY_STATE] & 1) problem_add_v_in(&p, seed);
  if (level[BY_STATE] & 2) problem_add_gv_out(&p, seed);
  if (level[BY_CURRENT]) problem_add_current_gradient(&p, seed);
  p.want_da[0] = level[BY_WANT] != 1;
  p.want_da[1] = p.inputs == 2 && level[BY_WANT] != 2;
  p.mode[0] = level[BY_MODE] & 1 ? SURGE_ADD : SURGE_WRITE;
  p.mode[1] = level[BY_MODE] & 2 ? SURGE_ADD : SURGE_WRITE;
  p.alias = level[BY_ALIAS] && p.want_da[0] && p.mode[0] == SURGE_WRITE &&
            !p.input[0].is_static;
  p.statistics = level[BY_STATISTICS];
  return p;
}

static void pairwise_name(problem *p, size_t number, const int *level) {
  const surge_neuron_spec *s = &p->spec;
  snprintf(
      p->name, sizeof p->name,
      "case %zu: %s %s %s%s, width rule %d per %s, decay %s%s, synapse %d, "
      "feeds %d %d of %d, pda %d, T %d, %dx%dx%dx%d, state %d, current %d, "
      "modes %d%d%s",
      number, family_name[s->family], s->reset ? "soft-reset" : "hard-reset",
      s->detach_reset ? "detached" : "attached",
      s->soft_forward ? " soft-forward" : "", s->width_rule,
      s->granularity ? "channel" : "layer",
      s->decay_learned ? "learned" : "fixed", s->decay_input ? " of input" : "",
      level[BY_SYNAPSE], level[BY_FEED0], level[BY_FEED1], p->inputs,
      level[BY_PDA], p->T, p->N, p->map.h, p->map.w, p->map.c, level[BY_STATE],
      level[BY_CURRENT], p->mode[0], p->mode[1], p->alias ? ", gs is da" : "");
}

/* The variance of one element is 0, and PDA's gradient that of rounding. */
static bool one_moment(const problem *p) {
  return p->spec.pda == SURGE_PDA_MOMENT && p->T == 1 &&
         problem_neurons(p) == 1;
}

NEURON_TEST(neuron, gradients_within_bounds_for_every_pair_of_flags) {
  size_t count;
  pairwise_case *cases = pairwise_table(levels, FACTORS, 160, &count);
  for (size_t k = 0; k < count; k++) {
    problem p = pairwise_problem(cases[k].level, 1000 * k);
    pairwise_name(&p, k, cases[k].level);
    result r = problem_run(&p, 2, NULL);
    problem_expect(&p, &r);
    if (!one_moment(&p)) problem_expect_meaningful(&p, &r);
    result_free(&r);
    problem_free(&p);
  }
  free(cases);
}

/* ======================================================================== *
 *  Sizes
 * ======================================================================== */

NEURON_TEST(neuron, every_size) {
  for (size_t k = 0; k < PROBLEM_SIZES; k++) {
    problem p =
        problem_rich(problem_sizes[k].map, 3, problem_sizes[k].N, k + 1);
    problem_check(&p);
  }
}

/* In one piece and in several, also where a long T makes pieces short. */
NEURON_TEST(neuron, every_number_of_steps) {
  static const int32_t steps[] = {1,  2,  3,  4,  5,  7,  8,   9,   15,
                                  16, 17, 31, 32, 33, 64, 100, 101, 250};
  for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
    problem one =
        problem_rich(map_of(3, 3, 5, SURGE_CHANNELS_LAST), steps[k], 2, k + 1);
    problem_check(&one);
    problem last =
        problem_rich(map_of(7, 11, 9, SURGE_CHANNELS_LAST), steps[k], 2, k + 2);
    problem_check(&last);
    problem blocked =
        problem_rich(map_of(5, 13, 8, SURGE_BLOCKED8), steps[k], 2, k + 3);
    problem_check(&blocked);
  }
}

/* Many pieces for each of the groups that a reduction is cut into. */
NEURON_TEST(neuron, many_pieces) {
  problem last = problem_rich(map_of(33, 31, 17, SURGE_CHANNELS_LAST), 2, 5, 7);
  problem_check(&last);
  problem blocked = problem_rich(map_of(32, 32, 16, SURGE_BLOCKED8), 2, 5, 8);
  problem_check(&blocked);
}

/* So many that a device's thread takes several rows, one channel of each or
 * several. */
NEURON_TEST(neuron, many_rows) {
  problem odd = problem_rich(map_of(29, 29, 129, SURGE_CHANNELS_LAST), 2, 2, 7);
  problem_check(&odd);
  problem even =
      problem_rich(map_of(59, 59, 260, SURGE_CHANNELS_LAST), 2, 1, 9);
  problem_check(&even);
}

NEURON_TEST(neuron, a_million_elements) {
  problem p = problem_rich(map_of(32, 32, 64, SURGE_BLOCKED8), 4, 4, 2);
  problem_check(&p);
}

/* ======================================================================== *
 *  One neuron: traces by hand
 * ======================================================================== */

/* T steps of constant input z into one neuron with decay d. */
static problem one_neuron(float z, int32_t T, float d, surge_reset reset,
                          bool decay_input) {
  surge_neuron_spec spec = default_spec();
  spec.width_rule = SURGE_WIDTH_FIXED;
  spec.decay = d;
  spec.reset = reset;
  spec.decay_input = decay_input;
  problem p = problem_create(&spec, map_of(1, 1, 1, SURGE_CHANNELS_LAST), T, 1,
                             1, FEED_PLAIN, 0, 1);
  for (int32_t t = 0; t < T; t++) p.input[0].z[t] = z;
  snprintf(p.name, sizeof p.name, "constant %g, d %g, %s", (double)z, (double)d,
           reset ? "soft" : "hard");
  return p;
}

/* Spikes as a string of 0 and 1, and the last membrane. */
static void expect_spikes(problem p, const char *spikes, double v_out) {
  result r = problem_run(&p, 1, NULL);
  for (int32_t t = 0; t < p.T; t++)
    cr_expect((r.out[OUT_S][t] > 0.5f) == (spikes[t] == '1'), "%s: s[%d] = %g",
              p.name, t, (double)r.out[OUT_S][t]);
  cr_expect(fabs((double)r.out[OUT_V_OUT][0] - v_out) < 1e-6,
            "%s: wanted v_out %.8g, found %.8g", p.name, v_out,
            (double)r.out[OUT_V_OUT][0]);
  result_free(&r);
  problem_free(&p);
}

/* tau 2 with decay_input halves the input. Hard: 1.25 fires at once; .65, .975,
 * 1.1375. Soft: each spike takes theta away: 1.25, 1.375, 1.4375; and .65,
 * .975, 1.1375, .71875, 1.009375, .6546875. */
Test(neuron, traces_of_constant_input) {
  expect_spikes(one_neuron(2.5f, 6, 0.5f, SURGE_RESET_HARD, true), "111111", 0);
  expect_spikes(one_neuron(1.3f, 7, 0.5f, SURGE_RESET_HARD, true), "0010010",
                0.65);
  expect_spikes(one_neuron(2.5f, 3, 0.5f, SURGE_RESET_SOFT, true), "111",
                0.4375);
  expect_spikes(one_neuron(1.3f, 6, 0.5f, SURGE_RESET_SOFT, true), "001010",
                0.6546875);
}

/* A synapse with tau 2 keeps half of the current: i of constant .5 is .5, .75,
 * .875, .9375, .96875. With d .5 u is .5, 1 (fires), .875, 1.375 (fires),
 * .96875; and with decay_input half of all that, .25, .5, .6875, .8125, .890625,
 * .9375 below theta. */
Test(neuron, traces_through_a_synapse) {
  problem fast = one_neuron(0.5f, 5, 0.5f, SURGE_RESET_HARD, false);
  fast.spec.synapse_decay = 0.5f;
  expect_spikes(fast, "01010", 0.96875);
  problem slow = one_neuron(0.5f, 6, 0.5f, SURGE_RESET_HARD, true);
  slow.spec.synapse_decay = 0.5f;
  expect_spikes(slow, "000000", 0.9375);
}

/* Method, section 7: constant .21 at d .8 climbs as 1.05 (1 - .8^k) and fires
 * at the 14th step. */
Test(neuron, trace_of_soft_reset) {
  static const double u[] = {0.21,   0.378,  0.5124, 0.6199, 0.7059,
                             0.7747, 0.8298, 0.8738, 0.9091, 0.9373};
  for (int32_t T = 1; T <= 10; T++) {
    problem p = one_neuron(0.21f, T, 0.8f, SURGE_RESET_SOFT, false);
    result r = problem_run(&p, 1, NULL);
    cr_expect(fabs((double)r.out[OUT_V_OUT][0] - u[T - 1]) < 5.1e-5, "u[%d]",
              T - 1);
    result_free(&r);
    problem_free(&p);
  }
  expect_spikes(one_neuron(0.21f, 14, 0.8f, SURGE_RESET_SOFT, false),
                "00000000000001", 1.05 * (1 - pow(0.8, 14)) - 1);
}

Test(neuron, equality_fires) {
  static const float thresholds[] = {1, 0.7f, 0.3333f, 1e-3f};
  for (int k = 0; k < 4; k++)
    for (int below = 0; below < 2; below++) {
      float theta = thresholds[k];
      float z = below ? nextafterf(theta, 0) : theta;
      problem p = one_neuron(z, 1, 0.5f, SURGE_RESET_HARD, false);
      p.spec.v_threshold = theta;
      expect_spikes(p, below ? "0" : "1", below ? (double)z : 0);
    }
}

/* ======================================================================== *
 *  Extremes and faults
 * ======================================================================== */

/* A known fault elsewhere: sigmoid of slope 25 at x = -5 is NaN. */
NEURON_TEST(neuron, every_family_is_finite_far_out) {
  static const float currents[] = {1e4f, -1e4f, 100, -100, 5, -5, 0, 1};
  for (surge_family f = 0; f < SURGE_FAMILY_COUNT; f++)
    for (int flags = 0; flags < 12; flags++) {
      surge_neuron_spec spec = default_spec();
      spec.family = f;
      spec.soft_forward = flags & 1;
      spec.reset = flags & 2 ? SURGE_RESET_SOFT : SURGE_RESET_HARD;
      spec.pda = (surge_pda_kind)(flags / 4);
      spec.width_rule = SURGE_WIDTH_FIXED;
      spec.width = 0.04f;
      problem p = problem_create(&spec, map_of(1, 1, 8, SURGE_CHANNELS_LAST), 3,
                                 1, 1, FEED_PLAIN, 0, 5);
      for (size_t k = 0; k < 24; k++)
        p.input[0].z[k] = currents[(k + k / 8) % 8];
      snprintf(p.name, sizeof p.name, "%s, flags %d", family_name[f], flags);
      result r = problem_run(&p, 1, NULL);
      problem_expect_finite(&p, &r);
      result_free(&r);
      problem_free(&p);
    }
}

/* One bad number in the current, wherever it stands, marks the layer, also
 * where a hard reset would take it away in the same step. */
NEURON_TEST(neuron, fault_names_the_layer) {
  static const float bad[] = {NAN, INFINITY, -INFINITY};
  static const int32_t steps[] = {1, 5, 17};
  for (int k = 0; k < 3; k++)
    for (int b = 0; b < 3; b++)
      for (int where = 0; where < 4; where++) {
        surge_neuron_spec spec = default_spec();
        problem p = problem_create(&spec, map_of(5, 7, 23, SURGE_CHANNELS_LAST),
                                   steps[k], 2, 1, FEED_NORMALISED, 0, 9);
        size_t count = (size_t)p.T * problem_neurons(&p);
        size_t at = where == 3 ? count - 1 : count * (size_t)where / 3;
        p.input[0].z[at] = bad[b];
        p.layer = 6;
        result r = problem_run(&p, 2, NULL);
        cr_expect_eq(result_fault(&r), 7u, "T %d, %g at %zu: fault %u",
                     steps[k], (double)bad[b], at, result_fault(&r));
        p.layer = 11; /* a later layer does not take the fault over */
        result later = problem_run(&p, 2, &r);
        cr_expect_eq(result_fault(&later), 7u);
        result_free(&later);
        result_free(&r);
        problem_free(&p);
      }
}

/* ======================================================================== *
 *  Refusals
 * ======================================================================== */

/* Arrays of one element stand for every pointer: nothing is to be read. */
typedef struct refusal {
  surge_context *context;
  test_buffer one;
  surge_neuron_scalars scalars;
  surge_neuron_forward forward;
  surge_neuron_backward backward;
} refusal;

static void reset_refusal(refusal *f) {
  float *one = f->one.device;
  surge_neuron_spec spec = default_spec();
  surge_neuron common = {.spec = spec,
                         .map = map_of(1, 1, 1, 0),
                         .T = 1,
                         .N = 1,
                         .inputs = 1,
                         .input = {{.z = one}},
                         .scalars = one,
                         .width = one,
                         .workspace = one};
  f->scalars = (surge_neuron_scalars){
      .scalars = one, .width = one, .rho = one, .spec = spec, .C = 1};
  f->forward =
      (surge_neuron_forward){.common = common, .s = one, .fault = (void *)one};
  f->backward = (surge_neuron_backward){
      .common = common, .da = {one}, .drho = one, .gs = one};
}

static void expect_refused(surge_status status, const char *op,
                           const char *what) {
  const char *text = surge_last_error();
  cr_expect_eq(status, SURGE_ERROR_INTERNAL, "%s: %s: status %d", op, what,
               status);
  cr_expect(strstr(text, op) && strstr(text, "wanted") && strstr(text, "found"),
            "%s: %s: says '%s'", op, what, text);
}

/* Breaks one argument, expects a refusal, mends it. */
#define REFUSED(f, op, change)                                                 \
  do {                                                                         \
    reset_refusal(f);                                                          \
    (f)->op.change;                                                            \
    expect_refused(test_backend()->neuron_##op((f)->context, &(f)->op),        \
                   "neuron_" #op, #change);                                    \
  } while (0)

/* Another than channels-last, also where support.h makes one word of both. */
static const surge_layout other_layout =
    (surge_layout)(SURGE_CHANNELS_LAST + 1);

/* Blocks of channels are the CPU's alone. */
static void refuse_blocks(refusal *f) {
  surge_map blocked = map_of(1, 1, 8, other_layout);
  REFUSED(f, forward, common.map = blocked);
  REFUSED(f, backward, common.map = blocked);
}

static void refuse_common(refusal *f) {
  REFUSED(f, forward, common.T = 0);
  REFUSED(f, forward, common.N = 0);
  REFUSED(f, forward, common.inputs = 0);
  REFUSED(f, forward, common.inputs = 3);
  REFUSED(f, forward, common.map.c = 0);
  REFUSED(f, forward, common.map.layout = other_layout);
  REFUSED(f, forward, common.input[0].z = NULL);
  REFUSED(f, forward, common.input[0].scale = f->one.device);
  REFUSED(f, forward, common.scalars = NULL);
  REFUSED(f, forward, common.width = NULL);
  REFUSED(f, backward, common.T = 0);
  REFUSED(f, backward, common.N = 0);
  REFUSED(f, backward, common.inputs = 3);
  REFUSED(f, backward, common.map.h = 0);
  REFUSED(f, backward, common.input[0].z = NULL);
  REFUSED(f, backward, common.scalars = NULL);
  REFUSED(f, backward, common.width = NULL);
}

/* What a neuron without a synapse has no use for. */
static void refuse_synapse(refusal *f) {
  REFUSED(f, scalars, spec.synapse_learned = true);
  REFUSED(f, forward, common.i_in = f->one.device);
  REFUSED(f, forward, i_out = f->one.device);
  REFUSED(f, backward, common.i_in = f->one.device);
  REFUSED(f, backward, di_in = f->one.device);
  REFUSED(f, backward, gi_out = f->one.device);
  REFUSED(f, backward, dsynapse_logit = f->one.device);
}

Test(neuron, wrong_arguments_are_refused) {
  refusal f = {.context = test_context(1)};
  f.one = test_poisoned(f.context, 16);
  REFUSED(&f, scalars, scalars = NULL);
  REFUSED(&f, scalars, width = NULL);
  REFUSED(&f, scalars, rho = NULL);
  REFUSED(&f, scalars, C = 0);
  REFUSED(&f, scalars, spec.decay_learned = true);
  REFUSED(&f, scalars, spec.width_rule = SURGE_WIDTH_NORM);
  REFUSED(&f, scalars, spec.width_rule = SURGE_WIDTH_SCHEDULE);
  REFUSED(&f, forward, s = NULL);
  REFUSED(&f, forward, fault = NULL);
  REFUSED(&f, backward, gs = NULL);
  refuse_common(&f);
  refuse_synapse(&f);
  if (test_backend() != &surge_cpu) refuse_blocks(&f);
  float *untouched = test_download(&f.one, "arguments");
  for (int k = 0; k < 16; k++)
    cr_expect(isnan(untouched[k]), "a refused call wrote");
  free(untouched);
  test_release(&f.one);
  test_backend()->close(f.context);
}
