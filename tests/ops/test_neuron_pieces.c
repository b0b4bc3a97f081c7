/* test_neuron_pieces.c - what only shows where a backend cuts its work: widths
 * that differ by step, pieces of unequal length, sums over several pieces,
 * moments far from zero. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "tests/support/neuron_compare.h"
#include "tests/support/neuron_problem.h"

/* Under the rule `norm` the first step has a width of its own; it must not
 * reach the steps that are taken together with it. */
NEURON_TEST(neuron_pieces, width_of_the_first_step) {
  for (int f = 0; f < SURGE_FAMILY_COUNT; f++)
    for (int32_t T = 1; T <= 9; T++) {
      surge_neuron_spec spec = default_spec();
      spec.family = (surge_family)f;
      spec.width_rule = SURGE_WIDTH_NORM;
      spec.decay = 0.9f;
      problem p = problem_create(&spec, map_of(3, 5, 8, SURGE_BLOCKED8), T, 2,
                                 1, FEED_NORMALISED, 0, (uint64_t)(100 * T));
      snprintf(p.name, sizeof p.name, "%s, T %d", family_name[f], T);
      problem_check(&p);
    }
}

/* The method's golden vector of that rule: d .2, theta .5, gamma 1. */
Test(neuron_pieces, golden_norm_rule) {
  const float a[] = {.4f, .6f, .9f, .1f};
  const double s[] = {0, 1, 1, 0};
  const double da[] = {1.104747, .872893, .807504, .980581};
  surge_neuron_spec spec = default_spec();
  spec.width_rule = SURGE_WIDTH_NORM;
  spec.decay = .2f;
  spec.v_threshold = .5f;
  spec.detach_reset = false;
  problem p = problem_create(&spec, map_of(1, 1, 1, SURGE_CHANNELS_LAST), 4, 1,
                             1, FEED_PLAIN, 0, 1);
  p.gamma[0][0] = 1;
  for (int t = 0; t < 4; t++) {
    p.input[0].z[t] = a[t];
    p.gs[t] = 1;
  }
  result r = problem_run(&p, 1, NULL);
  for (int t = 0; t < 4; t++) {
    cr_expect((double)r.out[OUT_S][t] == s[t], "s[%d]", t);
    cr_expect(fabs((double)r.out[OUT_DA0][t] - da[t]) <= 1e-6,
              "da[%d]: wanted %g, found %.7g", t, da[t],
              (double)r.out[OUT_DA0][t]);
  }
  result_free(&r);
  problem_free(&p);
}

/* 7*7*8 and 5*5*13 elements do not fill their last pieces, and with so many
 * images a group of pieces also starts with a short one. */
NEURON_TEST(neuron_pieces, unequal_lengths) {
  const struct {
    surge_map map;
    int32_t N;
  } sizes[] = {{{7, 7, 8, SURGE_BLOCKED8}, 48},
               {{9, 9, 16, SURGE_BLOCKED8}, 33},
               {{5, 5, 13, SURGE_CHANNELS_LAST}, 67},
               {{1, 1, 300, SURGE_CHANNELS_LAST}, 48}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    for (int channel = 0; channel < 2; channel++)
      for (int32_t T = 1; T <= 20; T += T == 1 ? 3 : 16) {
        surge_neuron_spec spec = default_spec();
        spec.granularity = channel ? SURGE_PER_CHANNEL : SURGE_PER_LAYER;
        spec.family = SURGE_FAST_SIGMOID;
        problem p = problem_create(&spec, sizes[i].map, T, sizes[i].N, 1,
                                   FEED_NORMALISED, 0, 7 * i + 1);
        snprintf(p.name, sizeof p.name, "size %zu, T %d, per %s", i, T,
                 channel ? "channel" : "layer");
        problem_check(&p);
      }
}

/* Two inputs without any other option, which a backend may take another way
 * than with; both gradients, or one that serves both. */
NEURON_TEST(neuron_pieces, two_inputs_and_nothing_else) {
  static const int32_t steps[] = {1, 2, 3, 4, 7, 8, 16, 17};
  for (size_t k = 0; k < sizeof steps / sizeof *steps; k++)
    for (int how = 0; how < 6; how++) {
      surge_neuron_spec spec = default_spec();
      spec.family = (surge_family)how;
      spec.granularity = how & 1 ? SURGE_PER_CHANNEL : SURGE_PER_LAYER;
      spec.reset = how & 2 ? SURGE_RESET_SOFT : SURGE_RESET_HARD;
      spec.detach_reset = how & 4;
      problem p = problem_create(&spec, map_of(5, 7, 8, SURGE_BLOCKED8),
                                 steps[k], 3, 2, FEED_NORMALISED,
                                 how & 1 ? FEED_NORMALISED : FEED_PLAIN,
                                 (uint64_t)(100 * k));
      p.want_da[1] = how < 3;
      p.mode[0] = how & 2 ? SURGE_ADD : SURGE_WRITE;
      snprintf(p.name, sizeof p.name, "two inputs, T %d, case %d", steps[k],
               how);
      problem_check(&p);
    }
}

/* u = 500 + uniform in [-1, 1): the mean is 900 times the deviation, so sums
 * of squares in fp32 would have no digit of the variance left, where sums of
 * deviations keep (depth + 2) u of it, twice for centre and square. */
NEURON_TEST(neuron_pieces, moments_far_from_zero) {
  for (int channel = 0; channel < 2; channel++) {
    surge_neuron_spec spec = default_spec();
    spec.decay = 0;
    spec.pda = SURGE_PDA_MOMENT;
    spec.pda_granularity = channel ? SURGE_PER_CHANNEL : SURGE_PER_LAYER;
    problem p = problem_create(&spec, map_of(7, 7, 8, SURGE_BLOCKED8), 4, 48, 1,
                               FEED_PLAIN, 0, 5);
    size_t count = 4 * problem_neurons(&p);
    for (size_t i = 0; i < count; i++)
      p.input[0].z[i] = test_uniform(9, i, 499, 501);
    result r = problem_run(&p, 2, NULL);
    reference ref = problem_reference(&p, &r);
    double found = result_metrics(&r)->pda / p.N;
    cr_expect(fabs(found / ref.D - 1) <= test_bound(2 * problem_depth(&p), 2),
              "per %s: wanted D %.9g, found %.9g",
              channel ? "channel" : "layer", ref.D, found);
    reference_free(&ref);
    result_free(&r);
    problem_free(&p);
  }
}
