/* test_average.c - an average that follows values over ten steps, against the
 * reference, and when it may not. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ref64/train.h"
#include "tests/support/values.h"

static const size_t sizes[] = {1, 3, 17, 1023, 1024, 1025, 4099, 100003};
#define SIZES (sizeof sizes / sizeof *sizes)
static const float decays[] = {0, .3f, .9f, .999f};
#define DECAYS (sizeof decays / sizeof *decays)
#define STEPS 10

/* One step of all but the first `skip` elements. */
static void run_average(surge_context *context, test_buffer *e,
                        const test_buffer *w, size_t skip, float decay,
                        surge_fault fault) {
  test_buffer state = test_object(context, &fault, sizeof fault);
  surge_average a = {.e = e->device + skip,
                     .w = w->device + skip,
                     .count = e->count - skip,
                     .decay = decay,
                     .fault = TEST_AS(state, surge_fault)};
  cr_assert_eq(test_backend()->average(context, &a), SURGE_OK, "%s",
               surge_last_error());
  test_object_back(&state, &fault, "fault");
  test_release(&state);
}

/* What is followed at step t, t = 0 being where the average starts. */
static float *values_of(int t, size_t count) {
  return test_random(60 + (uint64_t)t, count, -1, 1);
}

/* A step in double; *bound is what float may have lost: what it had, a rounding
 * of each of 1 - decay, w - e and their product, and one of the sum. */
static double expected_step(double decay, double e, double w, double *bound) {
  double next = ref_average_step(decay, e, w);
  *bound = decay * *bound +
           0x1.01p-24 * (3 * (1 - decay) * fabs(w - e) + fabs(next));
  return next;
}

static void expect_ten_steps(surge_context *context, size_t count,
                             float decay) {
  char name[64];
  float *w = values_of(0, count);
  double *wanted = test_widened(w, count),
         *bound = calloc(count, sizeof *bound);
  test_buffer e = test_copied(context, w, count);
  free(w);
  for (int t = 1; t <= STEPS; t++) {
    w = values_of(t, count);
    test_buffer followed = test_copied(context, w, count);
    run_average(context, &e, &followed, 0, decay, 0);
    for (size_t i = 0; i < count; i++)
      wanted[i] =
          expected_step((double)decay, wanted[i], (double)w[i], &bound[i]);
    test_release(&followed);
    free(w);
  }
  snprintf(name, sizeof name, "%zu, decay %g", count, (double)decay);
  test_expect_near(name, "e", &e, wanted, bound);
  test_release(&e);
  free(wanted);
  free(bound);
}

Test(average, ten_steps_give_the_reference) {
  surge_context *context = test_context(2);
  for (size_t i = 0; i < SIZES; i++)
    for (size_t d = 0; d < DECAYS; d++)
      expect_ten_steps(context, sizes[i], decays[d]);
  test_backend()->close(context);
}

/* The same bits, and the right ones, wherever the arrays begin, with 1 thread
 * and 2: a quarter of the way between multiples of 4. Not one before them. */
Test(average, of_integers_is_exact) {
  for (size_t i = 0; i < SIZES; i++)
    for (size_t skip = 0; skip < 2; skip++) {
      size_t count = sizes[i] + skip, wrong = 0;
      surge_context *context = test_context(1 + (int)skip);
      float *start = malloc(count * sizeof *start),
            *target = malloc(count * sizeof *target);
      for (size_t k = 0; k < count; k++) {
        start[k] = (float)(k % 7) - 3;
        target[k] = start[k] + 4 * ((float)(k % 5) - 2);
      }
      test_buffer e = test_copied(context, start, count),
                  w = test_copied(context, target, count);
      run_average(context, &e, &w, skip, .75f, 0);
      float *found = test_download(&e, "e");
      for (size_t k = 0; k < count; k++)
        wrong += found[k] != start[k] + (k < skip ? 0 : (float)(k % 5) - 2);
      cr_expect_eq(wrong, 0, "%zu + %zu: %zu are others", skip, sizes[i],
                   wrong);
      free(found);
      free(start);
      free(target);
      test_release(&e);
      test_release(&w);
      test_backend()->close(context);
    }
}

Test(average, a_fault_leaves_it_as_it_was) {
  surge_context *context = test_context(2);
  test_buffer e = test_filled(context, 4099, 2),
              w = test_poisoned(context, 4099),
              before = test_filled(context, 4099, 2);
  run_average(context, &e, &w, 0, .5f, 3);
  test_expect_same("fault 3", "e", &e, &before);
  test_release(&e);
  test_release(&w);
  test_release(&before);
  test_backend()->close(context);
}

/* A network without norms has no running statistics. */
Test(average, of_nothing_is_nothing) {
  surge_context *context = test_context(2);
  test_buffer e = test_filled(context, 1, 2), w = test_poisoned(context, 1);
  run_average(context, &e, &w, 1, .5f, 0);
  float *found = test_download(&e, "e");
  cr_expect_eq(found[0], 2);
  free(found);
  test_release(&e);
  test_release(&w);
  test_backend()->close(context);
}

Test(average, wrong_arguments_are_refused_by_name) {
  static const char *const word[] = {
      "average: e:",     "average: w:",     "average: fault:",
      "average: decay:", "average: decay:", "average: decay:"};
  enum { CASES = sizeof word / sizeof *word };
  surge_context *context = test_context(1);
  float x[1] = {0};
  surge_fault fault = 0;
  surge_average a[CASES];
  for (size_t i = 0; i < CASES; i++)
    a[i] = (surge_average){
        .e = x, .w = x, .count = 1, .decay = .5f, .fault = &fault};
  a[0].e = NULL;
  a[1].w = NULL;
  a[2].fault = NULL;
  a[3].decay = 1;
  a[4].decay = -.1f;
  a[5].decay = NAN;
  for (size_t i = 0; i < CASES; i++) {
    cr_expect_eq(test_backend()->average(context, &a[i]), SURGE_ERROR_INTERNAL,
                 "%s", word[i]);
    cr_expect(strstr(surge_last_error(), word[i]), "%s: said '%s'", word[i],
              surge_last_error());
  }
  test_backend()->close(context);
}
