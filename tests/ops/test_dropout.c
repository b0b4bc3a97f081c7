/* test_dropout.c - one mask for all steps, the right share, and the same mask
 * for a sample whatever the batch, the layout and the threads. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"
#include "tests/support/values.h"

typedef struct dropout_case {
  const char *name;
  surge_map map;
  int32_t T, N;
  float p;
} dropout_case;

static const dropout_case cases[] = {
    {"one element", {1, 1, 1, SURGE_CHANNELS_LAST}, 1, 1, .5f},
    {"nothing dropped", {3, 3, 5, SURGE_CHANNELS_LAST}, 2, 3, 0},
    {"odd", {3, 5, 7, SURGE_CHANNELS_LAST}, 5, 3, .3f},
    {"blocked", {5, 3, 16, SURGE_BLOCKED8}, 3, 7, .5f},
    {"several chunks", {1, 1, 3137, SURGE_CHANNELS_LAST}, 4, 5, .9f},
};
#define CASES (sizeof cases / sizeof *cases)

typedef struct dropout_call {
  surge_map map;
  int32_t T, N, threads;
  float p;
  uint32_t first, index, epoch; /* samples first, first + 1, ... */
  bool in_place;
} dropout_call;

/* y [T, N] of map, malloc'ed. */
static float *run_dropout(const dropout_call *c, const float *x) {
  surge_context *context = test_context(c->threads);
  size_t count = (size_t)c->T * (size_t)c->N * surge_map_elements(&c->map);
  uint32_t *sample = malloc((size_t)c->N * sizeof *sample);
  for (int32_t n = 0; n < c->N; n++) sample[n] = c->first + (uint32_t)n;
  surge_step step = test_step(79, c->epoch);
  test_buffer in = test_copied_as(context, x, count, c->map.type);
  test_buffer out = test_poisoned_as(context, count, c->map.type);
  test_buffer samples = test_object(context, sample, (size_t)c->N * 4);
  test_buffer block = test_object(context, &step, sizeof step);
  surge_dropout a = {c->in_place ? in.device : out.device,
                     in.device,
                     TEST_AS(samples, uint32_t),
                     TEST_AS(block, surge_step),
                     c->map,
                     c->T,
                     c->N,
                     c->index,
                     c->p};
  cr_assert_eq(test_backend()->dropout(context, &a), SURGE_OK, "%s",
               surge_last_error());
  float *y = test_download(c->in_place ? &in : &out, "y");
  free(sample);
  test_release(&in);
  test_release(&out);
  test_release(&samples);
  test_release(&block);
  test_backend()->close(context);
  return y;
}

static float *ones(size_t count) {
  float *x = malloc(count * sizeof *x);
  for (size_t i = 0; i < count; i++) x[i] = 1;
  return x;
}

/* The mask is read off ones; the same call with a gradient is the backward. */
Test(dropout, one_mask_serves_all_steps_and_the_gradient) {
  for (size_t i = 0; i < CASES * (size_t)test_types(); i++) {
    const dropout_case *c = &cases[i % CASES];
    size_t M = (size_t)c->N * surge_map_elements(&c->map);
    size_t count = (size_t)c->T * M;
    dropout_call call = {
        test_map(c->map), c->T, c->N, 2, c->p, 40, 0, 1, false};
    call.map.type = test_type[i / CASES];
    float *all = ones(count), *dy = test_random(91, count, -2, 2);
    test_round(dy, count, call.map.type);
    float *mask = run_dropout(&call, all), *dx = run_dropout(&call, dy);
    call.in_place = true;
    call.threads = 1;
    float *again = run_dropout(&call, dy);
    float kept = 1.0f / (1.0f - c->p), factor = kept; /* as 1 times it reads */
    test_round(&factor, 1, call.map.type);
    for (size_t k = 0; k < count; k++) {
      float wanted = mask[k] == 0 ? 0 * dy[k] : kept * dy[k];
      test_round(&wanted, 1, call.map.type);
      cr_assert(mask[k] == 0 || mask[k] == factor, "%s: [%zu] = %g", c->name, k,
                (double)mask[k]);
      cr_assert(mask[k] == mask[k % M], "%s: other mask at [%zu]", c->name, k);
      cr_assert(dx[k] == wanted, "%s: dx[%zu]", c->name, k);
    }
    cr_expect(!memcmp(dx, again, count * sizeof *dx),
              "%s: in place, one thread: other bits", c->name);
    float *lists[] = {all, dy, mask, dx, again};
    for (size_t k = 0; k < 5; k++) free(lists[k]);
  }
}

/* Shares within 5 sigma, by the four numbers of a block, which are drawn
 * independently: neighbours share their fate in p^2 + (1-p)^2 of the cases. */
Test(dropout, drops_the_share) {
  static const float shares[] = {0, .1f, .5f, .9f};
  enum { N = 40, E = 2500, ALL = N * E };
  for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
    dropout_call call = {
        {1, 1, E, SURGE_CHANNELS_LAST}, 1, N, 2, shares[i], 0, 0, 0, false};
    float *x = ones(ALL), *y = run_dropout(&call, x);
    double lane[4] = {0}, p = (double)shares[i], n = ALL / 4.0;
    double alike = 0, q = p * p + (1 - p) * (1 - p);
    for (size_t k = 0; k < ALL; k++) {
      lane[k % 4] += y[k] == 0;
      if (k % 2) alike += y[k] == y[k - 1];
    }
    cr_expect(fabs(alike - 2 * n * q) <= 5 * sqrt(2 * n * q * (1 - q)),
              "p %g: %g of %g neighbours alike", p, alike, 2 * n);
    for (size_t k = 0; k < 4; k++)
      cr_expect(fabs(lane[k] - n * p) <= 5 * sqrt(n * p * (1 - p)),
                "p %g: %g of %g dropped in lane %zu", p, lane[k], n, k);
    free(x);
    free(y);
  }
}

/* A sample's mask depends neither on its place in the batch nor on the layout;
 * it differs between samples, layers and epochs. */
Test(dropout, a_mask_belongs_to_its_sample) {
  enum { N = 7, H = 5, W = 3, C = 16, E = H * W * C };
  surge_map blocked = test_map((surge_map){H, W, C, SURGE_BLOCKED8});
  dropout_call whole = {
      {H, W, C, SURGE_CHANNELS_LAST}, 1, N, 2, .5f, 0, 0, 0, false};
  dropout_call part = whole, layer = whole, epoch = whole;
  part.map = blocked;
  part.N = 3;
  part.first = 4;
  part.threads = 1;
  layer.index = 1;
  epoch.epoch = 1;
  float *x = ones(N * E), *y = run_dropout(&whole, x);
  float *z = run_dropout(&part, x);
  for (int32_t e = 0; e < 3 * E; e++) {
    size_t at = surge_offset_of(&blocked, e % E / (W * C), e / C % W, e % C);
    cr_assert_eq(y[4 * E + e], z[(size_t)(e / E * E) + at], "element %d", e);
  }
  float *other[] = {run_dropout(&layer, x), run_dropout(&epoch, x), y + E};
  const char *const word[] = {"layers", "epochs", "samples"};
  for (size_t i = 0; i < 3; i++) {
    int same = 0;
    for (size_t k = 0; k < E; k++) same += other[i][k] == y[k];
    cr_expect(fabs(same - E / 2.0) < 5 * sqrt(E / 4.0),
              "two %s agree in %d of %d", word[i], same, E);
  }
  free(x);
  free(y);
  free(z);
  free(other[0]);
  free(other[1]);
}

Test(dropout, a_share_outside_its_range_is_refused) {
  static const float wrong[] = {-.1f, 1, NAN};
  surge_context *context = test_context(1);
  float x[1] = {5};
  uint32_t sample = 0;
  surge_step step = test_step(1, 0);
  for (size_t i = 0; i < 3; i++) {
    surge_dropout a = {x, x, &sample, &step,   {1, 1, 1, SURGE_CHANNELS_LAST},
                       1, 1, 0,       wrong[i]};
    cr_expect_eq(test_backend()->dropout(context, &a), SURGE_ERROR_INTERNAL);
    cr_expect(strstr(surge_last_error(), "dropout: p:"), "said '%s'",
              surge_last_error());
    cr_expect_eq(x[0], 5, "written before the check");
  }
  test_backend()->close(context);
}
