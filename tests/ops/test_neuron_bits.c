/* test_neuron_bits.c - the neuron op to the bit: the same decisions as the
 * reference, exact answers where arithmetic is exact, and the same bits by any
 * number of threads, at a second call and in two halves. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/neuron_compare.h"
#include "tests/support/neuron_problem.h"

/* ======================================================================== *
 *  Decisions, to the bit
 * ======================================================================== */

/* problem_expect compares s, v_out and current to the bit. Families, widths
 * and gradients have no part here; inputs of every kind do. */
NEURON_TEST(neuron_bits, spikes_equal_to_the_bit) {
  static const float decays[] = {0.25f, 0.5f, 0.77f, 1};
  static const int32_t steps[] = {1, 2, 5, 16, 17, 33};
  uint64_t seed = 0;
  for (size_t k = 0; k < 6; k++)
    for (int feeds = 0; feeds < 36; feeds += 7)
      for (int flags = 0; flags < 16; flags++) {
        surge_neuron_spec spec = default_spec();
        spec.reset = flags & 1 ? SURGE_RESET_SOFT : SURGE_RESET_HARD;
        spec.decay = decays[flags >> 2];
        spec.synapse_decay = ((size_t)feeds + k) % 2 ? 0.83f : 0;
        spec.decay_input = flags & 2 && spec.decay < 1;
        spec.v_reset = flags & 4 ? 0.1f : 0;
        spec.v_threshold = flags & 8 ? 0.3f : 1;
        problem p = problem_create(&spec, map_of(2, 3, 5, SURGE_CHANNELS_LAST),
                                   steps[k], 1, 2, problem_feeds[feeds % 6],
                                   problem_feeds[feeds / 6], seed += 100);
        problem_add_v_in(&p, seed);
        snprintf(p.name, sizeof p.name, "T %d, feeds %d, flags %d", steps[k],
                 feeds, flags);
        problem_check(&p);
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
  for (size_t i = 0; p->i_in && i < M; i++) {
    p->i_in[i] = floorf(p->i_in[i] * unit) / unit;
    p->gi_out[i] = floorf(p->gi_out[i] * 4);
  }
  if (p->decay_logit) *p->decay_logit = 0;
  if (p->synapse_logit) *p->synapse_logit = 0;
  for (int32_t c = 0; p->rho && c < p->map.c; c++) {
    p->rho[c] = 0;
    if (p->spec.granularity == SURGE_PER_LAYER) break;
  }
}

/* |got - (start + wanted)| within half a unit: nothing else is left. */
static void expect_exact_sum(const problem *p, const result *r,
                             problem_output which, const double *wanted) {
  bool start = which == OUT_DRHO || which == OUT_DDECAY_LOGIT ||
               which == OUT_DSYNAPSE_LOGIT;
  double *sum = malloc((r->words[which] + 1) * sizeof(double));
  for (size_t i = 0; i < r->words[which]; i++) {
    sum[i] = wanted[i] + (start ? (double)problem_start(p, which, i) : 0);
    cr_expect(fabs(wanted[i] - (double)(float)wanted[i]) <= 0,
              "%s: the case itself is not exact", p->name);
  }
  expect_near_as(problem_output_type(p, which), r->out[which], sum, NULL,
                 r->words[which], p->name, "exact sum or gradient");
  free(sum);
}

static void check_exact(problem *p, bool reductions) {
  result r = problem_run(p, 2, NULL);
  problem_expect(p, &r);
  reference ref = problem_reference(p, &r);
  expect_exact_sum(p, &r, OUT_DA0, ref.g.input[0]);
  expect_exact_sum(p, &r, OUT_DV_IN, ref.g.dv_in);
  expect_exact_sum(p, &r, OUT_DI_IN, ref.g.di_in);
  if (reductions) {
    expect_exact_sum(p, &r, OUT_SUMS0, ref.g.sums[0]);
    expect_exact_sum(p, &r, OUT_DRHO, ref.g.drho);
    expect_exact_sum(p, &r, OUT_DDECAY_LOGIT, &ref.g.decay_logit);
    expect_exact_sum(p, &r, OUT_DSYNAPSE_LOGIT, &ref.g.synapse_logit);
  }
  reference_free(&ref);
  result_free(&r);
  problem_free(p);
}

/* k/64, d = .5, T <= 16: spikes, membranes and gradients, all exact. */
NEURON_TEST(neuron_bits, dyadic_inputs_are_exact) {
  static const int32_t steps[] = {1, 2, 5, 8, 16};
  for (size_t k = 0; k < 5; k++)
    for (int flags = 0; flags < 4; flags++) {
      surge_neuron_spec spec = default_spec();
      spec.reset = flags & 1 ? SURGE_RESET_SOFT : SURGE_RESET_HARD;
      spec.decay_learned = true;
      problem p =
          problem_create(&spec, map_of(3, 5, 8, (surge_layout)(flags / 2)),
                         steps[k], 3, 1, FEED_NORMALISED, 0, 100 * k + 7);
      problem_add_v_in(&p, 100 * k);
      problem_add_gv_out(&p, 100 * k);
      make_dyadic(&p, 64);
      snprintf(p.name, sizeof p.name, "dyadic, T %d, flags %d", steps[k],
               flags);
      check_exact(&p, false);
    }
}

/* A bound of many roundings would hide a lost element: whole-numbered sums do
 * not. Every size, one width a layer and one a channel, with a synapse and
 * without. */
NEURON_TEST(neuron_bits, whole_numbered_reductions_are_exact) {
  for (size_t k = 0; k < PROBLEM_SIZES + 3; k++)
    for (int flags = 0; flags < 4; flags++) {
      surge_neuron_spec spec = default_spec();
      spec.reset = flags & 1 ? SURGE_RESET_SOFT : SURGE_RESET_HARD;
      spec.granularity = flags & 2 ? SURGE_PER_CHANNEL : SURGE_PER_LAYER;
      spec.decay_learned = true;
      spec.synapse_learned = ((size_t)flags / 2 + k) % 2;
      surge_map many = map_of(32, 32, 16, (surge_layout)(k % 2));
      if (k == PROBLEM_SIZES + 2)
        many = map_of(18, 19, 129, SURGE_CHANNELS_LAST);
      problem p =
          problem_create(&spec, k < PROBLEM_SIZES ? problem_sizes[k].map : many,
                         2, k < PROBLEM_SIZES ? problem_sizes[k].N : 5, 1,
                         FEED_NORMALISED, 0, 100 * k + 3);
      problem_add_v_in(&p, 100 * k);
      problem_add_gv_out(&p, 100 * k);
      make_dyadic(&p, 4);
      snprintf(p.name, sizeof p.name, "size %zu, flags %d", k, flags);
      check_exact(&p, true);
    }
}

/* With one wide rectangle h = 1/64 everywhere, gs = gv_out = 1 and a detached
 * hard reset, da[t] is 1/64 where the backward finds a spike, and more where
 * something is carried past it. */
static void expect_recomputed_spikes(problem *p) {
  size_t count = (size_t)p->T * problem_neurons(p), wrong = 0;
  for (size_t i = 0; i < count; i++) p->gs[i] = 1;
  for (size_t i = 0; i < problem_neurons(p); i++) p->gv_out[i] = 1;
  result r = problem_run(p, 2, NULL);
  for (size_t i = 0; i < count; i++)
    wrong += (r.out[OUT_DA0][i] > 0x1p-6f) != (r.out[OUT_S][i] < 0.5f);
  cr_expect_eq(wrong, 0u, "%s: %zu of %zu spikes differ", p->name, wrong,
               count);
  result_free(&r);
  problem_free(p);
}

NEURON_TEST(neuron_bits, recomputed_spikes_are_the_stored_ones) {
  static const int32_t steps[] = {1, 2, 4, 5, 8, 16, 17, 33};
  static const int32_t channels[] = {16, 12, 5};
  for (size_t k = 0; k < sizeof steps / sizeof *steps; k++)
    for (size_t c = 0; c < 3; c++)
      for (int feeds = 0; feeds < 3; feeds++) {
        surge_neuron_spec spec = default_spec();
        spec.width_rule = SURGE_WIDTH_FIXED;
        spec.width = 64;
        spec.decay = 0.77f;
        uint64_t seed = 1000 * k + 100 * c;
        problem p = problem_create(
            &spec, map_of(5, 7, channels[c], SURGE_CHANNELS_LAST), steps[k], 3,
            1 + (feeds > 0), FEED_NORMALISED,
            feeds == 2 ? FEED_PER_STEP : FEED_NORMALISED, seed);
        problem_add_gv_out(&p, seed);
        snprintf(p.name, sizeof p.name, "T %d, %d channels, feeds %d", steps[k],
                 channels[c], feeds);
        expect_recomputed_spikes(&p);
      }
}

/* ======================================================================== *
 *  The same bits
 * ======================================================================== */

NEURON_TEST(neuron_bits, threads_and_repetition_change_no_bit) {
  for (size_t k = 0; k <= PROBLEM_SIZES; k++)
    for (uint64_t seed = 1; seed < 4; seed++) {
      surge_map large = map_of(20, 20, 24, SURGE_BLOCKED8);
      problem p = problem_rich(
          k < PROBLEM_SIZES ? problem_sizes[k].map : large, seed == 2 ? 18 : 3,
          k < PROBLEM_SIZES ? problem_sizes[k].N : 6, seed + 3 * k);
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

/* gs may be da[0]: each element is read before it is written. */
NEURON_TEST(neuron_bits, gradient_in_place_of_its_cause) {
  for (size_t k = 0; k < PROBLEM_SIZES; k++)
    for (int32_t T = 3; T < 40; T += 15) {
      problem p =
          problem_rich(problem_sizes[k].map, T, problem_sizes[k].N, k + 1);
      result apart = problem_run(&p, 2, NULL);
      p.alias = true;
      result in_place = problem_run(&p, 2, NULL);
      result_expect_same(&apart, &in_place, p.name);
      result_free(&apart);
      result_free(&in_place);
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
  if (p.rho)
    p.rho = copied(p.rho, problem_channels(p.spec.granularity, &p.map));
  p.i_in = p.gi_out = NULL;
  if (p.decay_logit) p.decay_logit = copied(p.decay_logit, 1);
  if (p.synapse_logit) p.synapse_logit = copied(p.synapse_logit, 1);
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
  bool synaptic = surge_neuron_synaptic(&whole->spec);
  a.v_in = copied(whole->v_in, M);
  b.gv_out = copied(whole->gv_out, M);
  if (synaptic) {
    a.i_in = copied(whole->i_in, M);
    b.gi_out = copied(whole->gi_out, M);
  }
  result r = problem_run(whole, 2, NULL), forward = problem_run(&a, 2, NULL);
  b.v_in = copied(forward.out[OUT_V_OUT], M);
  if (synaptic) b.i_in = copied(forward.out[OUT_I_OUT], M);
  result second = problem_run(&b, 2, NULL);
  a.gv_out = copied(second.out[OUT_DV_IN], M);
  if (synaptic) a.gi_out = copied(second.out[OUT_DI_IN], M);
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
  if (synaptic) {
    expect_part(whole, r.out[OUT_I_OUT], second.out[OUT_I_OUT], 0, 1, "i_out");
    expect_part(whole, r.out[OUT_DI_IN], first.out[OUT_DI_IN], 0, 1, "di_in");
  }
  result *all[] = {&r, &forward, &first, &second};
  for (int k = 0; k < 4; k++) result_free(all[k]);
  problem_free(&a);
  problem_free(&b);
}

NEURON_TEST(neuron_bits, two_halves_are_the_whole) {
  static const struct {
    int32_t T, cut;
  } cuts[] = {{2, 1}, {4, 2}, {5, 3}, {16, 7}, {17, 16}, {33, 17}, {40, 5}};
  for (size_t k = 0; k < 7; k++)
    for (surge_family f = 0; f < SURGE_FAMILY_COUNT; f++)
      for (int flags = (int)(k + f) % 3; flags < 8; flags += 3) {
        surge_neuron_spec spec = default_spec();
        uint64_t seed = 100 * (uint64_t)(k + 10 * (size_t)f);
        spec.family = f;
        spec.reset = flags & 1 ? SURGE_RESET_SOFT : SURGE_RESET_HARD;
        spec.detach_reset = flags & 2;
        spec.soft_forward = flags & 4;
        spec.decay_learned = spec.decay_input = flags & 2;
        spec.granularity = flags & 1 ? SURGE_PER_CHANNEL : SURGE_PER_LAYER;
        spec.synapse_decay = (size_t)f % 3 == k % 3 ? 0 : 0.8f;
        spec.synapse_learned = (size_t)f % 3 == (k + 1) % 3;
        problem p = problem_create(
            &spec, map_of(2, 3, 7, SURGE_CHANNELS_LAST), cuts[k].T, 2, 2,
            flags & 1 ? FEED_PLAIN : FEED_NORMALISED, FEED_PER_STEP, seed);
        problem_add_v_in(&p, seed);
        problem_add_gv_out(&p, seed);
        problem_add_current_gradient(&p, seed);
        snprintf(p.name, sizeof p.name, "%s, T %d cut at %d, flags %d",
                 family_name[f], cuts[k].T, cuts[k].cut, flags);
        check_halves(&p, cuts[k].cut);
        problem_free(&p);
      }
}
