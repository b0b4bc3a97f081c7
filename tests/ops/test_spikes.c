/* test_spikes.c - is a convolution that skips zeros the convolution, whatever
 * share of its input is 0? Straight at the kernel: the op takes it only where
 * it is faster, and on a processor with the vectors for it. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/spikes.h"
#include "tests/ref64/layers.h"
#include "tests/support/values.h"

#define LAST SURGE_CHANNELS_LAST
#define BEFORE .75f /* what gradients hold before a call */

typedef struct spikes_case {
  const char *name;
  int32_t h, w, c, k, kernel, pad;
} spikes_case;

static const spikes_case cases[] = {
    {"one pixel", 1, 1, 1, 8, 1, 0},
    {"one channel", 5, 7, 1, 8, 3, 1},
    {"one row", 1, 9, 5, 16, 3, 1},
    {"one column", 9, 1, 5, 16, 3, 1},
    {"no pad", 6, 5, 9, 24, 3, 0},
    {"wide pad", 4, 5, 9, 24, 3, 2},
    {"1x1", 5, 4, 65, 32, 1, 0},
    {"2x2", 5, 4, 7, 16, 2, 1},
    {"5x5", 7, 8, 13, 48, 5, 2},
    {"7x7", 7, 7, 3, 8, 7, 3},
    {"a tile and one vector", 5, 5, 16, 40, 3, 1},
    {"tiles of three", 5, 5, 12, 72, 3, 1},
    {"64 channels and more", 3, 3, 130, 64, 3, 1},
    {"several strips", 40, 28, 3, 32, 3, 1},
    {"strips of a wide map", 9, 130, 2, 32, 3, 1},
    {"rows of weights apart", 5, 5, 80, 32, 3, 1},
};
#define CASES (sizeof cases / sizeof *cases)

/* Shares of x that are not 0; ONE: a single element. */
#define ONE -1
static const float share[] = {0, ONE, .1f, .5f, 1};
#define SHARES (sizeof share / sizeof *share)

static surge_spikes spikes_of(const spikes_case *c) {
  int32_t grow = 2 * c->pad - c->kernel + 1;
  return surge_spikes_of(
      &(surge_conv2d_shape){.in = {c->h, c->w, c->c, LAST},
                            .out = {c->h + grow, c->w + grow, c->k, LAST},
                            .kernel = c->kernel,
                            .stride = 1,
                            .pad = c->pad,
                            .groups = 1,
                            .bias = true});
}

static bool kept(float of, size_t i, size_t count) {
  return of < 0 ? i == count / 2 : test_uniform(99, i, 0, 1) < of;
}

/* One image. */
enum { X, W, B, DY, INPUTS };
typedef struct problem {
  size_t count[INPUTS];
  float *input[INPUTS];
  double *wide[INPUTS];
} problem;

static problem problem_create(const surge_spikes *s, float of, bool integers) {
  problem p = {.count = {surge_map_elements(&s->shape.in),
                         ref_conv2d_weights(&s->shape), (size_t)s->shape.out.c,
                         surge_map_elements(&s->shape.out)}};
  for (size_t i = 0; i < INPUTS; i++) {
    p.input[i] = ref_values(i + 1, p.count[i], integers);
    for (size_t j = 0; i == X && j < p.count[X]; j++)
      if (!kept(of, j, p.count[X])) p.input[X][j] = 0;
    p.wide[i] = test_widened(p.input[i], p.count[i]);
  }
  return p;
}

static void problem_free(problem *p) { test_free(p->input, p->wide, INPUTS); }

/* Scratch and packed weights are no longer than was asked for, and hold NaN. */
static void compare(surge_context *context, const spikes_case *c, float of,
                    bool integers) {
  surge_spikes s = spikes_of(c);
  problem p = problem_create(&s, of, integers);
  test_buffer scratch = test_poisoned(context, s.scratch / sizeof(float));
  test_buffer packed = test_poisoned(context, s.packed);
  test_buffer y = test_poisoned(context, p.count[DY]);
  test_buffer dw = test_filled(context, p.count[W], BEFORE);
  test_buffer db = test_filled(context, p.count[B], BEFORE);
  surge_spikes_pack(&s, packed.device, p.input[W]);
  surge_spikes_forward(&s, y.device, p.input[X], packed.device, p.input[B],
                       scratch.device);
  memset(packed.device, 0, s.packed * sizeof(float));
  surge_spikes_gradient(&s, packed.device, db.device, p.input[DY], p.input[X],
                        scratch.device);
  surge_spikes_unpack(&s, dw.device, packed.device);

  ref_sum want_y =
      ref_conv2d_forward(&s.shape, 1, p.wide[X], p.wide[W], p.wide[B]);
  ref_sum want_dw =
      ref_conv2d_backward_weights(&s.shape, 1, p.wide[DY], p.wide[X]);
  ref_sum want_db = ref_bias(&s.shape.out, 1, p.wide[DY]);
  double taps = (double)(c->kernel * c->kernel * c->c);
  double pixels = (double)s.shape.out.h * s.shape.out.w;
  ref_expect(c->name, "y", &y, &want_y, (ref_tolerance){taps + 1, 0, integers});
  ref_tolerance t = {pixels + 1, BEFORE, integers};
  ref_expect(c->name, "dw", &dw, &want_dw, t);
  ref_expect(c->name, "db", &db, &want_db, t);
  free(test_download(&scratch, "scratch"));
  free(test_download(&packed, "packed"));
  ref_sum_free(&want_y);
  ref_sum_free(&want_dw);
  ref_sum_free(&want_db);
  test_buffer *all[] = {&scratch, &packed, &y, &dw, &db};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) test_release(all[i]);
  problem_free(&p);
}

static void compare_all(bool integers) {
  surge_context *context;
  surge_context_options options = {.threads = 1};
  cr_assert_eq(surge_cpu.open(&context, &options), SURGE_OK);
  for (size_t i = 0; i < CASES; i++)
    for (size_t k = 0; k < SHARES; k++)
      compare(context, &cases[i], share[k], integers);
  surge_cpu.close(context);
}

Test(spikes, equal_the_reference) { compare_all(false); }

Test(spikes, exact_on_integers) { compare_all(true); }

/* What is not 0 counts, be it as small as it may. */
Test(spikes, smallest_value_counts) {
  surge_spikes s = spikes_of(&cases[0]);
  float x = 0x1p-149f, y[8], dw[8] = {0}, packed[8], w[8], b[8] = {0}, dy[8];
  void *scratch = malloc(s.scratch);
  for (int i = 0; i < 8; i++) w[i] = dy[i] = (float)(i - 3) * 0x1p40f;
  surge_spikes_pack(&s, packed, w);
  surge_spikes_forward(&s, y, &x, packed, b, scratch);
  memset(packed, 0, sizeof packed);
  surge_spikes_gradient(&s, packed, NULL, dy, &x, scratch);
  surge_spikes_unpack(&s, dw, packed);
  for (int i = 0; i < 8; i++) {
    cr_expect_eq(y[i], w[i] * x, "y[%d]: wanted %g, found %g", i,
                 (double)(w[i] * x), (double)y[i]);
    cr_expect_eq(dw[i], y[i], "dw[%d]: wanted %g, found %g", i, (double)y[i],
                 (double)dw[i]);
  }
  free(scratch);
}

/* Of one entry or of more, y is infinite as the products are: what an odd last
 * entry is paired with adds nothing. */
static void expect_infinite(const spikes_case *c, float x, float w) {
  surge_spikes s = spikes_of(c);
  size_t in = surge_map_elements(&s.shape.in);
  size_t out = surge_map_elements(&s.shape.out);
  float *image = calloc(in, sizeof *image), *y = calloc(out, sizeof *y);
  float *packed = calloc(s.packed, sizeof *packed);
  void *scratch = malloc(s.scratch);
  for (size_t n = 0; n < in; n++) {
    image[n] = x;
    for (size_t i = 0; i < s.packed; i++) packed[i] = w;
    surge_spikes_forward(&s, y, image, packed, NULL, scratch);
    for (size_t i = 0; i < out; i++)
      cr_expect_eq(y[i], x * w, "%zu of %g by %g: wanted %g, found %g", n + 1,
                   (double)x, (double)w, (double)(x * w), (double)y[i]);
  }
  free(image);
  free(y);
  free(packed);
  free(scratch);
}

Test(spikes, infinite_values_stay_infinite) {
  spikes_case c = {"one pixel, four channels", 1, 1, 4, 32, 1, 0};
  const float pairs[][2] = {
      {1, INFINITY}, {1, -INFINITY}, {INFINITY, 2}, {-INFINITY, 2}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
    expect_infinite(&c, pairs[i][0], pairs[i][1]);
}

/* Strides, groups, blocks of channels and channels that fill no vector are left
 * to oneDNN. */
Test(spikes, leave_other_shapes) {
  surge_conv2d_shape shape = {.in = {8, 8, 16, LAST},
                              .out = {8, 8, 32, LAST},
                              .kernel = 3,
                              .stride = 1,
                              .pad = 1,
                              .groups = 1};
  cr_expect(surge_spikes_of(&shape).packed > 0);
  surge_conv2d_shape other[] = {shape, shape, shape, shape, shape};
  other[0].groups = 2;
  other[1].stride = 2;
  other[1].out.h = other[1].out.w = 4;
  other[2].out.c = 36;
  other[3].in.layout = SURGE_BLOCKED8;
  other[4].out.layout = SURGE_BLOCKED8;
  for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
    surge_spikes s = surge_spikes_of(&other[i]);
    cr_expect(!s.packed && !s.forward_limit && !s.gradient_limit,
              "shape %zu: wanted no code of this kind", i);
  }
}
