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

#include "tests/support/neuron_problem.h"
#include "tests/support/pairwise.h"

static const char *const family_name[] = {
#define NAME(NAME, word, half) #word,
    SURGE_FAMILY_LIST(NAME)
#undef NAME
};

/* The recipe's defaults (method, section 5). */
static surge_neuron_spec default_spec(void) {
  return (surge_neuron_spec){
      .decay = 0.25f, .v_threshold = 1, .detach_reset = true, .width = 1,
      .width_end = 0.5f, .width_min = 0.01f, .width_max = 100,
      .width_rule = SURGE_WIDTH_LEARNED, .pda_epsilon = 0.05f};
}

static surge_map map_of(int32_t h, int32_t w, int32_t c, surge_layout layout) {
  return (surge_map){h, w, c, layout};
}

/* Adds the optional arrays: membranes in and out, the current's gradient. */
static void add_v_in(problem *p, uint64_t seed) {
  p->v_in = test_random(seed + 30, problem_neurons(p), -0.5f, 0.9f);
}

static void add_gv_out(problem *p, uint64_t seed) {
  p->gv_out = test_random(seed + 31, problem_neurons(p), -1, 1);
}

static void add_current_gradient(problem *p, uint64_t seed) {
  size_t count = (size_t)p->T * problem_neurons(p);
  p->g_current = test_random(seed + 32, count, -1, 1);
}

/* Runs, compares with the reference, frees. */
static void check(problem *p) {
  result r = problem_run(p, 2, NULL);
  problem_expect(p, &r);
  result_free(&r);
  problem_free(p);
}

/* ======================================================================== *
 *  Scalars
 * ======================================================================== */

/* Computed in double and rounded once: within half a unit. */
static void check_scalars(problem *p) {
  result r = problem_run(p, 1, NULL);
  double scalars[SURGE_SCALAR_COUNT], width[2 * 16], rho[16], gamma[16], logit;
  int32_t C = p->map.c;
  int32_t P = p->spec.granularity == SURGE_PER_CHANNEL ? C : 1;
  for (int32_t c = 0; c < C; c++) gamma[c] = p->gamma ? (double)p->gamma[c] : 1;
  for (int32_t c = 0; p->rho && c < P; c++) rho[c] = (double)p->rho[c];
  if (p->decay_logit) logit = (double)*p->decay_logit;
  ref_neuron_scalars(scalars, width, &p->spec, p->rho ? rho : NULL,
                     p->decay_logit ? &logit : NULL, gamma,
                     (double)p->schedule, C);
  expect_near(r.out[OUT_SCALARS], scalars, NULL, SURGE_SCALAR_COUNT, p->name,
              "scalars");
  expect_near(r.out[OUT_WIDTH], width, NULL, 2 * (size_t)P, p->name, "width");
  result_free(&r);
  problem_free(p);
}

Test(neuron, scalars_are_rounded_once) {
  uint64_t seed = 0;
  for (int rule = 0; rule <= SURGE_WIDTH_SCHEDULE; rule++)
    for (surge_family f = 0; f < SURGE_FAMILY_COUNT; f++)
      for (int flags = 0; flags < 16; flags++) {
        surge_neuron_spec spec = default_spec();
        spec.width_rule = (surge_width_rule)rule;
        spec.family = f;
        spec.v_threshold = 0.7f;
        spec.granularity = flags & 1 ? SURGE_PER_CHANNEL : SURGE_PER_LAYER;
        spec.decay_learned = flags & 2;
        spec.decay_input = flags & 4;
        spec.pda_std = flags & 8 ? 0.3f : 0;
        spec.pda_mean = 0.1f;
        problem p = problem_create(&spec, map_of(1, 1, 5, 0), 1, 1, 1,
                                   FEED_NORMALISED, 0, seed += 100);
        snprintf(p.name, sizeof p.name, "%s, rule %d, flags %d", family_name[f],
                 rule, flags);
        check_scalars(&p);
      }
}

/* ======================================================================== *
 *  The pairwise table of flags
 * ======================================================================== */

enum {
  BY_FAMILY, BY_RESET, BY_DETACH, BY_SOFT, BY_RULE, BY_GRANULARITY, BY_DECAY,
  BY_DECAY_INPUT, BY_INPUTS, BY_FEED0, BY_FEED1, BY_WANT, BY_MODE, BY_PDA,
  BY_STEPS, BY_MAP, BY_STATE, BY_CURRENT, BY_THETA, BY_ALIAS, BY_STATISTICS,
  FACTORS
};
static const int levels[FACTORS] = {6, 2, 2, 2, 5, 2, 4, 2, 2, 6, 6,
                                    3, 4, 5, 6, 7, 4, 2, 2, 2, 2};
static const int32_t step_levels[] = {1, 2, 5, 16, 17, 33};
static const int feed_levels[] = {
    FEED_PLAIN, FEED_NORMALISED, FEED_PER_STEP, FEED_PLAIN | FEED_STATIC,
    FEED_NORMALISED | FEED_STATIC, FEED_PER_STEP | FEED_STATIC};
static const struct {
  surge_map map;
  int32_t N;
} map_levels[] = {
    {{1, 1, 1, SURGE_CHANNELS_LAST}, 1}, {{3, 5, 7, SURGE_CHANNELS_LAST}, 2},
    {{2, 3, 8, SURGE_BLOCKED8}, 3},      {{3, 2, 24, SURGE_BLOCKED8}, 2},
    {{1, 1, 13, SURGE_CHANNELS_LAST}, 5}, {{1, 1, 16, SURGE_BLOCKED8}, 3},
    {{7, 11, 9, SURGE_CHANNELS_LAST}, 1}};

static surge_neuron_spec pairwise_spec(const int *level) {
  static const float decays[] = {0.25f, 0.5f, 0.9f, 0.5f};
  static const surge_pda_kind kinds[] = {
      SURGE_PDA_OFF, SURGE_PDA_MOMENT, SURGE_PDA_MOMENT,
      SURGE_PDA_QUANTIZATION, SURGE_PDA_QUANTIZATION};
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
  spec.v_threshold = level[BY_THETA] ? 1 : 0.6f;
  spec.v_reset = level[BY_THETA] ? 0 : -0.2f;
  spec.pda = kinds[level[BY_PDA]];
  spec.pda_granularity = level[BY_PDA] % 2 ? SURGE_PER_LAYER : SURGE_PER_CHANNEL;
  spec.width = 1.3f;
  spec.width_end = 0.4f;
  return spec;
}

static problem pairwise_problem(const int *level, uint64_t seed) {
  surge_neuron_spec spec = pairwise_spec(level);
  problem p = problem_create(
      &spec, map_levels[level[BY_MAP]].map, step_levels[level[BY_STEPS]],
      map_levels[level[BY_MAP]].N, 1 + level[BY_INPUTS],
      feed_levels[level[BY_FEED0]], feed_levels[level[BY_FEED1]], seed);
  if (level[BY_STATE] & 1) add_v_in(&p, seed);
  if (level[BY_STATE] & 2) add_gv_out(&p, seed);
  if (level[BY_CURRENT]) add_current_gradient(&p, seed);
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
  snprintf(p->name, sizeof p->name,
           "case %zu: %s %s %s%s, width rule %d per %s, decay %s%s, "
           "feeds %d %d of %d, pda %d, T %d, %dx%dx%dx%d, state %d, current %d, "
           "modes %d%d%s", number, family_name[s->family],
           s->reset ? "soft-reset" : "hard-reset",
           s->detach_reset ? "detached" : "attached",
           s->soft_forward ? " soft-forward" : "", s->width_rule,
           s->granularity ? "channel" : "layer",
           s->decay_learned ? "learned" : "fixed",
           s->decay_input ? " of input" : "", level[BY_FEED0], level[BY_FEED1],
           p->inputs, level[BY_PDA], p->T, p->N, p->map.h, p->map.w, p->map.c,
           level[BY_STATE], level[BY_CURRENT], p->mode[0], p->mode[1],
           p->alias ? ", gs is da" : "");
}

Test(neuron, gradients_within_bounds_for_every_pair_of_flags) {
  size_t count;
  pairwise_case *cases = pairwise_table(levels, FACTORS, 160, &count);
  for (size_t k = 0; k < count; k++) {
    problem p = pairwise_problem(cases[k].level, 1000 * k);
    pairwise_name(&p, k, cases[k].level);
    check(&p);
  }
  free(cases);
}

/* ======================================================================== *
 *  Sizes
 * ======================================================================== */

/* Everything on: two inputs, widths a channel, states, statistics. */
static problem rich_problem(surge_map map, int32_t T, int32_t N,
                            uint64_t seed) {
  surge_neuron_spec spec = default_spec();
  spec.family = (surge_family)(seed % SURGE_FAMILY_COUNT);
  spec.reset = seed % 2 ? SURGE_RESET_SOFT : SURGE_RESET_HARD;
  spec.detach_reset = seed % 3;
  spec.granularity = seed % 4 ? SURGE_PER_CHANNEL : SURGE_PER_LAYER;
  spec.decay_learned = true;
  spec.pda = seed % 5 ? SURGE_PDA_MOMENT : SURGE_PDA_QUANTIZATION;
  spec.pda_granularity = seed % 3 ? SURGE_PER_LAYER : SURGE_PER_CHANNEL;
  problem p = problem_create(&spec, map, T, N, 2, FEED_NORMALISED,
                             FEED_PER_STEP, 1000 * seed);
  add_v_in(&p, 1000 * seed);
  add_gv_out(&p, 1000 * seed);
  p.statistics = true;
  snprintf(p.name, sizeof p.name, "T %d, [%d, %d, %d, %d] layout %d, %s, %s", T,
           N, map.h, map.w, map.c, map.layout, family_name[spec.family],
           spec.reset ? "soft" : "hard");
  return p;
}

static const struct {
  surge_map map;
  int32_t N;
} sizes[] = {
    {{1, 1, 1, SURGE_CHANNELS_LAST}, 1},    {{1, 1, 511, SURGE_CHANNELS_LAST}, 1},
    {{1, 1, 512, SURGE_BLOCKED8}, 1},       {{1, 1, 513, SURGE_CHANNELS_LAST}, 1},
    {{19, 27, 1, SURGE_CHANNELS_LAST}, 1},  {{8, 8, 8, SURGE_BLOCKED8}, 1},
    {{5, 13, 8, SURGE_BLOCKED8}, 2},        {{9, 9, 24, SURGE_BLOCKED8}, 3},
    {{7, 5, 13, SURGE_CHANNELS_LAST}, 4},   {{1, 1, 1031, SURGE_CHANNELS_LAST}, 3},
    {{17, 16, 16, SURGE_CHANNELS_LAST}, 2}, {{1, 1, 40, SURGE_BLOCKED8}, 37}};
#define SIZES (sizeof sizes / sizeof *sizes)

Test(neuron, every_size) {
  for (size_t k = 0; k < SIZES; k++) {
    problem p = rich_problem(sizes[k].map, 3, sizes[k].N, k + 1);
    check(&p);
  }
}

Test(neuron, every_number_of_steps) {
  static const int32_t steps[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32,
                                  33, 64, 100};
  for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
    problem p = rich_problem(map_of(3, 3, 5, SURGE_CHANNELS_LAST), steps[k], 2,
                             k + 1);
    check(&p);
  }
}

/* Many pieces for each of the groups that a reduction is cut into. */
Test(neuron, many_pieces) {
  problem last = rich_problem(map_of(33, 31, 17, SURGE_CHANNELS_LAST), 2, 5, 7);
  check(&last);
  problem blocked = rich_problem(map_of(32, 32, 16, SURGE_BLOCKED8), 2, 5, 8);
  check(&blocked);
}

Test(neuron, a_million_elements) {
  problem p = rich_problem(map_of(32, 32, 64, SURGE_BLOCKED8), 4, 4, 2);
  check(&p);
}

/* ======================================================================== *
 *  Decisions, to the bit
 * ======================================================================== */

/* problem_expect compares s, v_out and current to the bit. Families, widths
 * and gradients have no part here; inputs of every kind do. */
Test(neuron, spikes_equal_to_the_bit) {
  static const float decays[] = {0.25f, 0.5f, 0.77f, 1};
  static const int32_t steps[] = {1, 2, 5, 16, 17, 33};
  uint64_t seed = 0;
  for (size_t k = 0; k < 6; k++)
    for (int feeds = 0; feeds < 36; feeds += 5)
      for (int flags = 0; flags < 16; flags++) {
        surge_neuron_spec spec = default_spec();
        spec.reset = flags & 1 ? SURGE_RESET_SOFT : SURGE_RESET_HARD;
        spec.decay = decays[flags >> 2];
        spec.decay_input = flags & 2 && spec.decay < 1;
        spec.v_reset = flags & 4 ? 0.1f : 0;
        spec.v_threshold = flags & 8 ? 0.3f : 1;
        problem p = problem_create(
            &spec, map_of(2, 3, 5, SURGE_CHANNELS_LAST), steps[k], 1, 2,
            feed_levels[feeds % 6], feed_levels[feeds / 6], seed += 100);
        add_v_in(&p, seed);
        snprintf(p.name, sizeof p.name, "T %d, feeds %d, flags %d", steps[k],
                 feeds, flags);
        check(&p);
      }
}

/* Values k/unit, with whole-numbered gradients: then all arithmetic is exact
 * in fp32 and order does not matter. d = .5 and w = 1 come from their
 * logarithms, 0. */
static void make_dyadic(problem *p, float unit) {
  size_t M = problem_neurons(p), count = (size_t)p->T * M;
  for (int j = 0; j < p->inputs; j++) {
    problem_input *in = &p->input[j];
    size_t own = in->is_static ? M : count;
    for (size_t k = 0; k < own; k++) in->z[k] = floorf(in->z[k] * unit) / unit;
    for (int32_t c = 0; in->scale && c < p->map.c; c++) {
      in->scale[c] = 1;
      in->shift[c] = 0.25f;
      in->mean[c] = 0.5f;
      in->rstd[c] = 2;
    }
  }
  for (size_t k = 0; k < count; k++) p->gs[k] = floorf(p->gs[k] * 4);
  for (size_t i = 0; p->v_in && i < M; i++)
    p->v_in[i] = floorf(p->v_in[i] * unit) / unit;
  for (size_t i = 0; p->gv_out && i < M; i++)
    p->gv_out[i] = floorf(p->gv_out[i] * 4);
  if (p->decay_logit) *p->decay_logit = 0;
  for (int32_t c = 0; p->rho && c < p->map.c; c++) {
    p->rho[c] = 0;
    if (p->spec.granularity == SURGE_PER_LAYER) break;
  }
}

/* |got - (start + wanted)| within half a unit: nothing else is left. */
static void expect_exact_sum(const problem *p, const result *r,
                             problem_output which, const double *wanted) {
  bool start = which == OUT_DRHO || which == OUT_DDECAY_LOGIT;
  double *sum = malloc((r->words[which] + 1) * sizeof(double));
  for (size_t i = 0; i < r->words[which]; i++) {
    sum[i] = wanted[i] + (start ? (double)problem_start(which, i) : 0);
    cr_expect(fabs(wanted[i] - (double)(float)wanted[i]) <= 0,
              "%s: the case itself is not exact", p->name);
  }
  expect_near(r->out[which], sum, NULL, r->words[which], p->name,
              "exact sum or gradient");
  free(sum);
}

static void check_exact(problem *p, bool reductions) {
  result r = problem_run(p, 2, NULL);
  problem_expect(p, &r);
  reference ref = problem_reference(p, &r);
  expect_exact_sum(p, &r, OUT_DA0, ref.g.input[0]);
  expect_exact_sum(p, &r, OUT_DV_IN, ref.g.dv_in);
  if (reductions) {
    expect_exact_sum(p, &r, OUT_SUMS0, ref.g.sums[0]);
    expect_exact_sum(p, &r, OUT_DRHO, ref.g.drho);
    expect_exact_sum(p, &r, OUT_DDECAY_LOGIT, &ref.g.decay_logit);
  }
  reference_free(&ref);
  result_free(&r);
  problem_free(p);
}

/* k/64, d = .5, T <= 16: spikes, membranes and gradients, all exact. */
Test(neuron, dyadic_inputs_are_exact) {
  static const int32_t steps[] = {1, 2, 5, 8, 16};
  for (size_t k = 0; k < 5; k++)
    for (int flags = 0; flags < 4; flags++) {
      surge_neuron_spec spec = default_spec();
      spec.reset = flags & 1 ? SURGE_RESET_SOFT : SURGE_RESET_HARD;
      spec.decay_learned = true;
      problem p = problem_create(&spec, map_of(3, 5, 8, (surge_layout)(flags / 2)),
                                 steps[k], 3, 1, FEED_NORMALISED, 0,
                                 100 * k + 7);
      add_v_in(&p, 100 * k);
      add_gv_out(&p, 100 * k);
      make_dyadic(&p, 64);
      snprintf(p.name, sizeof p.name, "dyadic, T %d, flags %d", steps[k], flags);
      check_exact(&p, false);
    }
}

/* A bound of many roundings would hide a lost element: whole-numbered sums do
 * not. Every size, one width a layer and one a channel. */
Test(neuron, whole_numbered_reductions_are_exact) {
  for (size_t k = 0; k < SIZES + 2; k++)
    for (int flags = 0; flags < 4; flags++) {
      surge_neuron_spec spec = default_spec();
      spec.reset = flags & 1 ? SURGE_RESET_SOFT : SURGE_RESET_HARD;
      spec.granularity = flags & 2 ? SURGE_PER_CHANNEL : SURGE_PER_LAYER;
      spec.decay_learned = true;
      surge_map many = map_of(32, 32, 16, (surge_layout)(k % 2));
      problem p = problem_create(&spec, k < SIZES ? sizes[k].map : many, 2,
                                 k < SIZES ? sizes[k].N : 5, 1, FEED_NORMALISED,
                                 0, 100 * k + 3);
      add_v_in(&p, 100 * k);
      add_gv_out(&p, 100 * k);
      make_dyadic(&p, 4);
      snprintf(p.name, sizeof p.name, "size %zu, flags %d", k, flags);
      check_exact(&p, true);
    }
}

/* ======================================================================== *
 *  The same bits
 * ======================================================================== */

Test(neuron, threads_and_repetition_change_no_bit) {
  for (size_t k = 0; k <= SIZES; k++)
    for (uint64_t seed = 1; seed < 4; seed++) {
      surge_map large = map_of(20, 20, 24, SURGE_BLOCKED8);
      problem p = rich_problem(k < SIZES ? sizes[k].map : large,
                               seed == 2 ? 18 : 3, k < SIZES ? sizes[k].N : 6,
                               seed + 3 * k);
      result one = problem_run(&p, 1, NULL), two = problem_run(&p, 2, NULL);
      result again = problem_run(&p, 2, NULL);
      result_expect_same(&one, &two, p.name);
      result_expect_same(&two, &again, p.name);
      result_free(&one);
      result_free(&two);
      result_free(&again);
      problem_free(&p);
    }
}

static float *copied(const float *values, size_t count) {
  float *copy = malloc(count * sizeof(float));
  memcpy(copy, values, count * sizeof(float));
  return copy;
}

/* Steps first..first+T-1 of a problem; states are left to the caller. */
static problem part_of(const problem *whole, int32_t first, int32_t T) {
  problem p = *whole;
  size_t M = problem_neurons(whole), C = (size_t)whole->map.c;
  size_t start = (size_t)first, steps = (size_t)T;
  p.T = T;
  p.v_in = p.gv_out = NULL;
  p.gs = copied(whole->gs + start * M, steps * M);
  p.g_current = copied(whole->g_current + start * M, steps * M);
  if (p.rho) p.rho = copied(p.rho, C);
  if (p.decay_logit) p.decay_logit = copied(p.decay_logit, 1);
  for (int j = 0; j < p.inputs; j++) {
    problem_input *in = &p.input[j];
    size_t skip = in->per_step ? start : 0, own = in->per_step ? steps : 1;
    in->z = copied(in->z + start * M, steps * M);
    if (!in->scale) continue;
    in->scale = copied(in->scale + skip * C, own * C);
    in->shift = copied(in->shift + skip * C, own * C);
    in->mean = copied(in->mean, C);
    in->rstd = copied(in->rstd, C);
    if (in->per_step) in->step_scale = copied(in->step_scale + skip, own);
  }
  return p;
}

static void expect_part(const problem *whole, const float *all,
                        const float *part, size_t first, size_t count,
                        const char *what) {
  size_t M = problem_neurons(whole);
  cr_expect(!memcmp(all + first * M, part, count * M * sizeof(float)),
            "%s: %s of the part from step %zu", whole->name, what, first);
}

static void check_halves(problem *whole, int32_t cut) {
  size_t M = problem_neurons(whole), rest = (size_t)(whole->T - cut);
  problem a = part_of(whole, 0, cut), b = part_of(whole, cut, whole->T - cut);
  a.v_in = copied(whole->v_in, M);
  b.gv_out = copied(whole->gv_out, M);
  result r = problem_run(whole, 2, NULL), forward = problem_run(&a, 2, NULL);
  b.v_in = copied(forward.out[OUT_V_OUT], M);
  result second = problem_run(&b, 2, NULL);
  a.gv_out = copied(second.out[OUT_DV_IN], M);
  result first = problem_run(&a, 2, NULL);
  static const problem_output parts[] = {OUT_S, OUT_CURRENT, OUT_DA0, OUT_DA1};
  for (int k = 0; k < 4; k++) {
    expect_part(whole, r.out[parts[k]], first.out[parts[k]], 0, (size_t)cut,
                "output");
    expect_part(whole, r.out[parts[k]], second.out[parts[k]], (size_t)cut, rest,
                "output");
  }
  expect_part(whole, r.out[OUT_V_OUT], second.out[OUT_V_OUT], 0, 1, "v_out");
  expect_part(whole, r.out[OUT_DV_IN], first.out[OUT_DV_IN], 0, 1, "dv_in");
  result *all[] = {&r, &forward, &first, &second};
  for (int k = 0; k < 4; k++) result_free(all[k]);
  problem_free(&a);
  problem_free(&b);
}

Test(neuron, two_halves_are_the_whole) {
  static const struct {
    int32_t T, cut;
  } cuts[] = {{2, 1}, {4, 2}, {5, 3}, {16, 7}, {17, 16}, {33, 17}, {40, 5}};
  for (size_t k = 0; k < 7; k++)
    for (surge_family f = 0; f < SURGE_FAMILY_COUNT; f++)
      for (int flags = 0; flags < 8; flags++) {
        surge_neuron_spec spec = default_spec();
        uint64_t seed = 100 * (uint64_t)(k + 10 * (size_t)f);
        spec.family = f;
        spec.reset = flags & 1 ? SURGE_RESET_SOFT : SURGE_RESET_HARD;
        spec.detach_reset = flags & 2;
        spec.soft_forward = flags & 4;
        spec.decay_learned = spec.decay_input = flags & 2;
        spec.granularity = flags & 1 ? SURGE_PER_CHANNEL : SURGE_PER_LAYER;
        problem p = problem_create(&spec, map_of(2, 3, 7, SURGE_CHANNELS_LAST),
                                   cuts[k].T, 2, 2,
                                   flags & 1 ? FEED_PLAIN : FEED_NORMALISED,
                                   FEED_PER_STEP, seed);
        add_v_in(&p, seed);
        add_gv_out(&p, seed);
        add_current_gradient(&p, seed);
        snprintf(p.name, sizeof p.name, "%s, T %d cut at %d, flags %d",
                 family_name[f], cuts[k].T, cuts[k].cut, flags);
        check_halves(&p, cuts[k].cut);
        problem_free(&p);
      }
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

static void expect_finite(const problem *p, const result *r) {
  for (int k = OUT_S; k < OUT_COUNT; k++) {
    if (k == OUT_METRICS || k == OUT_FAULT) continue;
    for (size_t i = 0; r->out[k] && i < r->words[k]; i++)
      cr_expect(isfinite(r->out[k][i]), "%s: output %d [%zu]", p->name, k, i);
  }
  cr_expect(!p->spec.pda || isfinite(result_metrics(r)->pda), "%s: D", p->name);
  cr_expect_eq(result_fault(r), 0u, "%s", p->name);
}

/* A known fault elsewhere: sigmoid of slope 25 at x = -5 is NaN. */
Test(neuron, every_family_is_finite_far_out) {
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
      expect_finite(&p, &r);
      result_free(&r);
      problem_free(&p);
    }
}

/* One bad number in the current, wherever it stands, marks the layer, also
 * where a hard reset would take it away in the same step. */
Test(neuron, fault_names_the_layer) {
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
 *  PDA
 * ======================================================================== */

/* Bounds of one entry of the moment kind, by the derivatives of its formulas
 * with respect to m and s^2 (method, section 3). */
static void expect_moments(const problem *p, const reference *ref,
                           const surge_pda_coefficients *got, int c,
                           double mean_abs, double *D_bound) {
  const ref_pda *want = &ref->pda[c];
  double u = 0x1p-24, depth = problem_depth(p), theta = (double)p->spec.v_threshold;
  double v0 = pow(ref->n.scalars[SURGE_SCALAR_PDA_STD], 2);
  double e = fabs(want->m - ref->n.scalars[SURGE_SCALAR_PDA_MEAN]);
  double v = want->variance + 1e-5 * theta * theta;
  double elements = (double)p->T * (double)problem_neurons(p);
  double k = (double)p->pda_scale / elements / 2;
  double dm = (depth + 2) * u * mean_abs;
  double dv = (depth + 2) * u * (v + 2 * mean_abs * sqrt(v)) + 4 * u * v;
  double c0 = k * ((1 / v0 + 1 / v) * dm + e / (v * v) * dv) +
              4 * u * fabs(want->c0);
  double c1 = k * (2 * e / (v * v) * dm + 2 * (v0 + e * e) / pow(v, 3) * dv +
                   4 * u * (1 / v0 + (v0 + e * e) / (v * v)));
  expect_near(&got->m, &want->m, &dm, 1, p->name, "m");
  expect_near(&got->c0, &want->c0, &c0, 1, p->name, "c0");
  expect_near(&got->c1, &want->c1, &c1, 1, p->name, "c1");
  *D_bound += (2 * e * (1 / v0 + 1 / v) * dm +
               fabs(1 / v0 - (v0 + e * e) / (v * v)) * dv +
               4 * u * ((v + e * e) / v0 + (v0 + e * e) / v)) / 4;
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

Test(neuron, pda_and_its_coefficients) {
  for (size_t k = 0; k <= SIZES; k++)
    for (int flags = 0; flags < 16; flags++) {
      surge_neuron_spec spec = default_spec();
      surge_map large = map_of(24, 24, 16, SURGE_BLOCKED8);
      spec.pda = flags & 1 ? SURGE_PDA_MOMENT : SURGE_PDA_QUANTIZATION;
      spec.pda_granularity = flags & 2 ? SURGE_PER_CHANNEL : SURGE_PER_LAYER;
      spec.soft_forward = false;
      spec.family = (surge_family)((k + (size_t)flags) % SURGE_FAMILY_COUNT);
      spec.pda_mean = flags & 4 ? 0.25f : 0;
      spec.pda_std = flags & 8 ? 0.8f : 0;
      problem p = problem_create(&spec, k < SIZES ? sizes[k].map : large,
                                 k % 2 ? 17 : 4, k < SIZES ? sizes[k].N : 9, 1,
                                 FEED_NORMALISED, 0, 100 * k);
      snprintf(p.name, sizeof p.name, "%s, size %zu, pda %d, flags %d",
               family_name[spec.family], k, spec.pda, flags);
      check_pda(&p);
    }
}

/* A silent layer has variance 0: D stays finite (s^2 = 1e-5 theta^2). */
Test(neuron, pda_of_a_silent_layer) {
  surge_neuron_spec spec = default_spec();
  spec.pda = SURGE_PDA_MOMENT;
  problem p = problem_create(&spec, map_of(4, 4, 8, SURGE_BLOCKED8), 4, 2, 1,
                             FEED_PLAIN, 0, 1);
  for (size_t k = 0; k < 4 * 256; k++) p.input[0].z[k] = 0;
  snprintf(p.name, sizeof p.name, "silent");
  result r = problem_run(&p, 1, NULL);
  /* e = 0: D = (s2/v0 + v0/s2 - 2)/4, v0 = 1 + d^2 */
  double v0 = 1.0625, D = (1e-5 / v0 + v0 / 1e-5 - 2) / 4;
  expect_finite(&p, &r);
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

/* Elements of step t whose window decision is within rounding. */
static double undecided(const ref_neuron *n, const ref_trace *trace, int32_t t) {
  size_t M = ref_neurons(n);
  double count = 0;
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
  cr_expect(fabs(got->spikes - want->spikes) <= 0, "%s: spikes[%d]", p->name, t);
  cr_expect(fabs(got->window - want->window) <= slack,
            "%s: window[%d]: wanted %g +- %g, found %g", p->name, t,
            want->window, slack, got->window);
  cr_expect(fabs(got->mean - want->mean) <= rounding * size, "%s: mean[%d]",
            p->name, t);
  cr_expect(fabs(got->m2 - want->m2) <=
                rounding * (want->m2 + 2 * size * sqrt(want->m2 * n)) +
                    1e-12 * n,
            "%s: m2[%d]: wanted %.9g, found %.9g", p->name, t, want->m2,
            got->m2);
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
  surge_neuron_statistics *sa = malloc(T * sizeof *sa), *sb = malloc(T * sizeof *sb);
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
static problem statistics_problem(surge_family family, size_t k, uint64_t seed) {
  surge_neuron_spec spec = default_spec();
  spec.family = family;
  spec.granularity = k % 2 ? SURGE_PER_CHANNEL : SURGE_PER_LAYER;
  spec.reset = k % 3 ? SURGE_RESET_SOFT : SURGE_RESET_HARD;
  spec.v_threshold = k % 2 ? 0.5f : 1;
  spec.decay = 0.5f;
  problem p = problem_create(&spec, sizes[k].map, k % 4 ? 5 : 17, sizes[k].N, 1,
                             FEED_PLAIN, 0, 1000 * seed + k);
  for (size_t i = 0; i < (size_t)p.T * problem_neurons(&p); i++)
    p.input[0].z[i] = floorf(p.input[0].z[i] * 192) / 64;
  p.statistics = true;
  snprintf(p.name, sizeof p.name, "%s, size %zu", family_name[family], k);
  return p;
}

Test(neuron, statistics_and_histogram) {
  for (size_t k = 0; k < SIZES; k++)
    for (surge_family f = 0; f < SURGE_FAMILY_COUNT; f++) {
      problem a = statistics_problem(f, k, 1), b = statistics_problem(f, k, 2);
      check_statistics(&a, &b);
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
  surge_neuron common = {.spec = spec, .map = map_of(1, 1, 1, 0), .T = 1,
                         .N = 1, .inputs = 1, .input = {{.z = one}},
                         .scalars = one, .width = one, .workspace = one};
  f->scalars = (surge_neuron_scalars){.scalars = one, .width = one, .rho = one,
                                      .spec = spec, .C = 1};
  f->forward = (surge_neuron_forward){.common = common, .s = one,
                                      .fault = (void *)one};
  f->backward = (surge_neuron_backward){.common = common, .da = {one},
                                        .drho = one, .gs = one};
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

static void refuse_common(refusal *f) {
  REFUSED(f, forward, common.T = 0);
  REFUSED(f, forward, common.N = 0);
  REFUSED(f, forward, common.inputs = 0);
  REFUSED(f, forward, common.inputs = 3);
  REFUSED(f, forward, common.map.c = 0);
  REFUSED(f, forward, common.map.layout = SURGE_BLOCKED8);
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
  float *untouched = test_download(&f.one, "arguments");
  for (int k = 0; k < 16; k++)
    cr_expect(isnan(untouched[k]), "a refused call wrote");
  free(untouched);
  test_release(&f.one);
  test_backend()->close(f.context);
}
