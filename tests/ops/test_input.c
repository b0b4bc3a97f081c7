/* test_input.c - Philox's known answers, random crops and erased rectangles,
 * Poisson spikes: who is drawn depends on seed, epoch and sample alone. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <surge/data.h>

#include "kernels/shared/philox.h"
#include "tests/ref64/train.h"
#include "tests/support/support.h"
#include "tests/support/refused.h"
#include "tests/support/values.h"

#define LAST SURGE_CHANNELS_LAST
#define BLOCK SURGE_BLOCKED8

/* Random123, kat_vectors: philox4x32 10. */
Test(philox, known_answers) {
  static const struct {
    uint32_t counter[4], key[2], answer[4];
  } known[] = {
      {{0}, {0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < 3; i++) {
    surge_philox4 counter;
    memcpy(counter.x, known[i].counter, sizeof counter.x);
    surge_philox4 draw =
        surge_philox_rounds(counter, known[i].key[0], known[i].key[1]);
    for (size_t k = 0; k < 4; k++)
      cr_expect_eq(draw.x[k], known[i].answer[k], "vector %zu: [%zu] = %08x", i,
                   k, draw.x[k]);
  }
}

/* --- augment ------------------------------------------------------------------ */

static const float mean[] = {.25f, .5f, .125f, .75f, .1f, .2f, .3f, .4f};
static const float std[] = {.5f, .25f, .2f, .3f, .4f, .6f, .7f, .8f};

typedef struct augment_case {
  const char *name;
  surge_map map;
  int32_t N, crop_pad;
  bool flip, training;
  int32_t cutout;
  float random_erasing;
  bool mix; /* as `mixed` below */
  surge_mix mixed;
  int32_t T; /* of frames of counts; 0: images */
} augment_case;

static size_t steps_of(const augment_case *c) {
  return c->T ? (size_t)c->T : 1;
}
static float unit_of(const augment_case *c) { return c->T ? 1 : 255; }

static const augment_case augments[] = {
    {"one pixel", {1, 1, 1, LAST}, 1, 0, false, true},
    {"one pixel, cropped", {1, 1, 1, LAST}, 9, 1, true, true},
    {"evaluation", {7, 5, 3, LAST}, 5, 4, true, false},
    {"crop", {28, 28, 1, LAST}, 64, 4, false, true},
    {"flip", {7, 5, 3, LAST}, 33, 0, true, true},
    {"crop, flip", {32, 32, 3, LAST}, 65, 4, true, true},
    {"blocked", {6, 5, 8, BLOCK}, 17, 2, true, true},
    {"pad larger than the image", {3, 3, 2, LAST}, 20, 7, true, true},
    {"cutout", {32, 32, 3, LAST}, 65, 0, false, true, 16},
    {"cutout of a pixel", {4, 9, 3, LAST}, 40, 0, false, true, 1},
    {"cutout, odd", {9, 4, 1, LAST}, 40, 0, false, true, 7},
    {"cutout that can hide all", {5, 6, 2, LAST}, 40, 0, false, true, 10},
    {"cutout of an evaluation", {8, 8, 3, LAST}, 9, 2, true, false, 4, 1},
    {"erasing", {32, 32, 3, LAST}, 65, 0, false, true, 0, 1},
    {"erasing, half", {28, 28, 1, LAST}, 65, 0, false, true, 0, .5f},
    {"erasing, flat", {4, 30, 2, LAST}, 65, 0, false, true, 0, 1},
    {"erasing a pixel", {1, 1, 3, LAST}, 20, 1, true, true, 0, 1},
    {"blocked, all", {6, 5, 8, BLOCK}, 17, 2, true, true, 3, 1},
    {"mixup", {7, 5, 3, LAST}, 9, 0, false, true, 0, 0, true, {.3f}},
    {"mixup of two", {8, 8, 1, LAST}, 2, 2, true, true, 0, 0, true, {.75f}},
    {"mixup of one", {8, 8, 1, LAST}, 1, 2, true, true, 0, 0, true, {.75f}},
    {"mixup by nothing", {8, 8, 3, LAST}, 5, 2, true, true, 0, 0, true, {1}},
    {"mixup, all", {32, 32, 3, LAST}, 33, 4, true, true, 8, .5f, true, {.9f}},
    {"mixup, blocked", {6, 5, 8, BLOCK}, 17, 2, true, true, 3, 1, true, {.4f}},
    {"cutmix",
     {7, 5, 3, LAST},
     9,
     0,
     false,
     true,
     0,
     0,
     true,
     {.8f, {2, 1, 3, 2}}},
    {"cutmix to the border",
     {28, 28, 1, LAST},
     9,
     2,
     true,
     true,
     0,
     0,
     true,
     {.5f, {14, 0, 14, 28}}},
    {"cutmix of no columns",
     {8, 8, 3, LAST},
     9,
     2,
     true,
     true,
     0,
     0,
     true,
     {1, {3, 2, 4, 0}}},
    {"cutmix, all",
     {32, 32, 3, LAST},
     33,
     4,
     true,
     true,
     8,
     .5f,
     true,
     {.9f, {3, 20, 10, 9}}},
    {"frames", {7, 5, 2, LAST}, 9, 2, true, true, .T = 3},
    {"frames of an evaluation", {1, 30, 1, LAST}, 4, 0, false, false, .T = 5},
    {"frames, blocked", {6, 5, 8, BLOCK}, 17, 2, true, true, 3, 1, .T = 2},
    {"frames, mixed",
     {8, 8, 2, LAST},
     5,
     2,
     true,
     true,
     3,
     1,
     true,
     {.4f},
     .T = 4},
    {"all but mixing", {32, 32, 3, LAST}, 65, 4, true, true, 8, .5f},
};
#define AUGMENTS (sizeof augments / sizeof *augments)
#define SEED 77

static uint8_t *random_images(size_t count) {
  uint8_t *images = malloc((count + 3) / 4 * 4);
  for (size_t i = 0; i < (count + 3) / 4 * 4; i++)
    images[i] = (uint8_t)test_uniform(61, i, 1, 256); /* never 0, the border */
  return images;
}

/* Where a batch comes from: its own images, or with `gather` a whole set of
 * `count` of them. */
typedef struct augment_source {
  const uint8_t *images;
  size_t count;
  const uint32_t *sample; /* [N] */
  bool gather;
} augment_source;

static test_buffer run_source(surge_context *context, const augment_case *c,
                              const augment_source *from, uint32_t epoch) {
  size_t elements = surge_map_elements(&c->map) * steps_of(c);
  size_t bytes = from->count * elements;
  surge_step step = test_step(SEED, epoch);
  step.mix = c->mixed;
  test_buffer x =
      test_poisoned_as(context, (size_t)c->N * elements, c->map.type);
  test_buffer image = test_object(context, from->images, (bytes + 3) / 4 * 4);
  test_buffer samples = test_object(context, from->sample, (size_t)c->N * 4);
  test_buffer block = test_object(context, &step, sizeof step);
  surge_augment a = {.x = x.device,
                     .images = TEST_AS(image, uint8_t),
                     .sample = TEST_AS(samples, uint32_t),
                     .step = TEST_AS(block, surge_step),
                     .map = test_map(c->map),
                     .T = (int32_t)steps_of(c),
                     .N = c->N,
                     .unit = unit_of(c),
                     .mean = mean,
                     .std = std,
                     .crop_pad = c->crop_pad,
                     .cutout = c->cutout,
                     .random_erasing = c->random_erasing,
                     .flip = c->flip,
                     .mix = c->mix,
                     .training = c->training,
                     .gather = from->gather};
  cr_assert_eq(test_backend()->augment(context, &a), SURGE_OK, "%s",
               surge_last_error());
  test_release(&image);
  test_release(&samples);
  test_release(&block);
  return x;
}

/* Runs the op on samples first, first + 1, ... */
static test_buffer run_augment(surge_context *context, const augment_case *c,
                               const uint8_t *images, uint32_t first,
                               uint32_t epoch) {
  uint32_t *sample = malloc((size_t)c->N * sizeof *sample);
  for (int32_t n = 0; n < c->N; n++) sample[n] = first + (uint32_t)n;
  augment_source from = {images, (size_t)c->N, sample, false};
  test_buffer x = run_source(context, c, &from, epoch);
  free(sample);
  return x;
}

/* A device takes the channels of an image, not more. */
static bool too_wide(const surge_map *map) {
  return test_backend() != &surge_cpu && map->c > SURGE_MAX_CHANNELS;
}

/* --- against the reference ------------------------------------------------- */

/* What the reference draws for a sample. */
typedef struct expected {
  int32_t dy, dx;
  bool flip, tied; /* tied: single precision may round a side the other way */
  ref_rectangle cutout, erased;
} expected;

/* Block `block` of a sample's numbers; as a place among few, 32 bits of each
 * count, as a share 24. */
static surge_philox4 drawn(uint32_t epoch, uint32_t sample, uint32_t block) {
  return surge_philox(SEED, epoch, SURGE_RANDOM_AUGMENT, sample, block);
}

static double uniform32(uint32_t bits) { return bits * 0x1p-32; }
static double uniform24(uint32_t bits) { return (bits >> 8) * 0x1p-24; }

/* A side is 10 roundings of 2^-24 off: the area 3, its square root 3, the
 * ratio's logarithm and its exponential 3, the product 1. */
#define SIDE_ROUNDINGS (10 * 0x1p-24)

static ref_rectangle expected_erasing(const augment_case *c, uint32_t epoch,
                                      uint32_t sample, bool *tied) {
  double u[10][4], tie;
  for (uint32_t i = 0; i < 10; i++) {
    surge_philox4 draw = drawn(epoch, sample, 2 + i);
    for (int k = 0; k < 2; k++) u[i][k] = uniform24(draw.x[k]);
    for (int k = 2; k < 4; k++) u[i][k] = uniform32(draw.x[k]);
  }
  ref_rectangle r = ref_erasing(c->map.h, c->map.w, u, &tie);
  *tied = tie < SIDE_ROUNDINGS;
  return r;
}

static expected expect_of(const augment_case *c, uint32_t epoch,
                          uint32_t sample) {
  expected e = {0};
  if (!c->training) return e;
  surge_philox4 crop = drawn(epoch, sample, 0), erase = drawn(epoch, sample, 1);
  double centre[] = {uniform32(erase.x[0]), uniform32(erase.x[1])};
  int32_t places = 2 * c->crop_pad + 1;
  e.dy = (int32_t)floor(uniform32(crop.x[0]) * places) - c->crop_pad;
  e.dx = (int32_t)floor(uniform32(crop.x[1]) * places) - c->crop_pad;
  e.flip = c->flip && uniform32(crop.x[2]) >= .5;
  e.cutout = ref_cutout(c->map.h, c->map.w, c->cutout, centre);
  if (uniform24(erase.x[2]) < (double)c->random_erasing)
    e.erased = expected_erasing(c, epoch, sample, &e.tied);
  return e;
}

static bool inside(const ref_rectangle *r, int32_t y, int32_t x) {
  return y >= r->top && y < r->top + r->h && x >= r->left && x < r->left + r->w;
}

/* Element (row, column, k) of the image cropped at (dy, dx) of its padded self,
 * then mirrored, then zero within the rectangles. */
static float wanted_of(const augment_case *c, const uint8_t *image,
                       const expected *e, int32_t row, int32_t column,
                       int32_t k) {
  const surge_map *map = &c->map;
  int32_t y = row + e->dy, at = e->flip ? map->w - 1 - column : column;
  int32_t x = at + e->dx, value = 0;
  if (inside(&e->cutout, row, column) || inside(&e->erased, row, column))
    return 0;
  if (y >= 0 && y < map->h && x >= 0 && x < map->w)
    value = image[(y * map->w + x) * map->c + k];
  return ((float)value / unit_of(c) - mean[k]) / std[k];
}

/* torchvision's RandomMixup and RandomCutmix: the batch rolled by one. */
static float mixed_of(const augment_case *c, float own, float rolled,
                      int32_t row, int32_t column) {
  const surge_rectangle *r = &c->mixed.pasted;
  const ref_rectangle pasted = {r->top, r->left, r->h, r->w};
  if (!c->mix) return own;
  if (r->h > 0) return inside(&pasted, row, column) ? rolled : own;
  float a = own * c->mixed.share, b = rolled * (1 - c->mixed.share);
  return a + b;
}

/* Is x at step t image n of the batch as the reference has it? To the bit. */
static bool shows_at(const augment_case *c, const float *x,
                     const uint8_t *images, size_t t, size_t n,
                     const expected *own, const expected *rolled) {
  const surge_map map = test_map(c->map);
  size_t elements = surge_map_elements(&map),
         before = n ? n - 1 : (size_t)c->N - 1;
  const uint8_t *image = images + (n * steps_of(c) + t) * elements;
  const uint8_t *other = images + (before * steps_of(c) + t) * elements;
  x += (t * (size_t)c->N + n) * elements;
  for (int32_t row = 0; row < map.h; row++)
    for (int32_t column = 0; column < map.w; column++)
      for (int32_t k = 0; k < map.c; k++) {
        float wanted =
            mixed_of(c, wanted_of(c, image, own, row, column, k),
                     wanted_of(c, other, rolled, row, column, k), row, column);
        test_round(&wanted, 1, map.type);
        float found = x[surge_offset_of(&map, row, column, k)];
        if (memcmp(&found, &wanted, sizeof found)) return false;
      }
  return true;
}

static bool shows(const augment_case *c, const float *x, const uint8_t *images,
                  size_t n, const expected *own, const expected *rolled) {
  for (size_t t = 0; t < steps_of(c); t++)
    if (!shows_at(c, x, images, t, n, own, rolled)) return false;
  return true;
}

/* Every image is as the reference draws it, at all steps alike: crop and flip from the first three
 * numbers of block 0, whatever else is drawn. */
Test(augment, each_image_is_as_drawn) {
  for (size_t i = 0; i < AUGMENTS * (size_t)test_types(); i++) {
    augment_case typed = augments[i % AUGMENTS];
    const augment_case *c = &typed;
    if (too_wide(&c->map)) continue;
    typed.map.type = test_type[i / AUGMENTS];
    surge_context *context = test_context(2);
    size_t elements = surge_map_elements(&c->map) * steps_of(c);
    uint8_t *images = random_images((size_t)c->N * elements);
    test_buffer out = run_augment(context, c, images, 0, 1);
    float *x = test_download(&out, "x");
    int tied = 0;
    for (size_t n = 0; n < (size_t)c->N; n++) {
      uint32_t before = (uint32_t)(n ? n : (size_t)c->N) - 1;
      expected own = expect_of(c, 1, (uint32_t)n);
      expected rolled = expect_of(c, 1, before);
      tied += own.tied;
      cr_expect(own.tied || (c->mix && rolled.tied) ||
                    shows(c, x, images, n, &own, &rolled),
                "%s: image %zu is another", c->name, n);
    }
    cr_expect_leq(tied, 1, "%s: %d ties", c->name, tied);
    free(x);
    free(images);
    test_release(&out);
    test_backend()->close(context);
  }
}

/* Shifts and flips are spread evenly and independently: counts of all their
 * combinations within 5 sigma. Each image is a
 * map of its own coordinates, so that the shift can be read off its middle. */
Test(augment, crops_and_flips_are_evenly_drawn) {
  enum { N = 9000, PAD = 2, SIDE = 9, PLACES = 2 * PAD + 1 };
  const augment_case c = {
      "even", {SIDE, SIDE, 2, SURGE_CHANNELS_LAST}, N, PAD, true, true};
  size_t elements = SIDE * SIDE * 2;
  uint8_t *images = malloc(N * elements);
  for (size_t i = 0; i < N * elements; i++) {
    size_t pixel = i % elements / 2;
    images[i] = (uint8_t)(1 + (i % 2 ? pixel % SIDE : pixel / SIDE));
  }
  surge_context *context = test_context(2);
  test_buffer out = run_augment(context, &c, images, 0, 1);
  float *x = test_download(&out, "x");
  int seen[2 * PLACES * PLACES] = {0};
  for (size_t n = 0; n < N; n++) {
    const float *middle = x + n * elements + (4 * SIDE + 4) * 2;
    float right = middle[3] * std[1] + mean[1];
    float left = middle[1] * std[1] + mean[1];
    int row = (int)lroundf((middle[0] * std[0] + mean[0]) * 255) - 1;
    int column = (int)lroundf(left * 255) - 1;
    int place = (row - 4 + PAD) * PLACES + column - 4 + PAD;
    seen[2 * place + (right < left)]++;
  }
  double share = 1.0 / (2 * PLACES * PLACES);
  for (int i = 0; i < 2 * PLACES * PLACES; i++)
    cr_expect(fabs(seen[i] - N * share) < 5 * sqrt(N * share * (1 - share)),
              "place %d, flip %d: drawn %d times", i / 2, i % 2, seen[i]);
  free(x);
  free(images);
  test_release(&out);
  test_backend()->close(context);
}

/* --- distributions of erased rectangles ------------------------------------ */

/* Every pixel is the centre equally often: counts of the squares' places, cut
 * off at the border or not, within 5 sigma. */
Test(augment, cutouts_are_evenly_drawn) {
  enum { N = 9000, H = 5, W = 4, PLACES = H * W };
  const augment_case c = {
      "even", {H, W, 1, SURGE_CHANNELS_LAST}, N, 0, false, true, 3};
  uint8_t *images = random_images(N * PLACES);
  surge_context *context = test_context(2);
  test_buffer out = run_augment(context, &c, images, 0, 1);
  float *x = test_download(&out, "x");
  int seen[PLACES] = {0}, known = 0;
  for (size_t n = 0; n < N; n++)
    for (int p = 0; p < PLACES; p++) {
      bool here = true;
      for (int i = 0; i < PLACES; i++) {
        bool near = abs(i / W - p / W) <= 1 && abs(i % W - p % W) <= 1;
        here = here && near == (x[n * PLACES + (size_t)i] == 0);
      }
      seen[p] += here;
      known += here;
    }
  cr_expect_eq(known, N, "%d of %d images show a square", known, N);
  double p = 1.0 / PLACES;
  for (int i = 0; i < PLACES; i++)
    cr_expect(fabs(seen[i] - N * p) < 5 * sqrt(N * p * (1 - p)),
              "centre %d: drawn %d times", i, seen[i]);
  free(x);
  free(images);
  test_release(&out);
  test_backend()->close(context);
}

/* What is known of an erased rectangle, each with mean and variance; where it
 * lies as a share of the places that it could have. */
enum { HEIGHT, WIDTH, AREA, TOP, LEFT, KNOWN };
static const char *const known_as[] = {"height", "width", "area", "top",
                                       "left"};
typedef struct known {
  double count, sum[KNOWN], squares[KNOWN];
} known;

static void know(known *k, const double *value) {
  k->count++;
  for (int i = 0; i < KNOWN; i++) {
    k->sum[i] += value[i];
    k->squares[i] += value[i] * value[i];
  }
}

/* The zeros of an image, which must be a full rectangle. */
static ref_rectangle zeros_of(const float *x, int32_t H, int32_t W) {
  int32_t bottom = -1, right = -1, count = 0;
  ref_rectangle r = {H, W, 0, 0};
  for (int32_t i = 0; i < H * W; i++) {
    if (x[i] != 0) continue;
    count++;
    r.top = i / W < r.top ? i / W : r.top;
    r.left = i % W < r.left ? i % W : r.left;
    bottom = i / W > bottom ? i / W : bottom;
    right = i % W > right ? i % W : right;
  }
  if (count == 0) return (ref_rectangle){0};
  r.h = bottom - r.top + 1;
  r.w = right - r.left + 1;
  cr_expect_eq(count, r.h * r.w, "%d zeros are no rectangle", count);
  return r;
}

/* Sides of the rectangles that fit, over a grid of areas and ratios; returns
 * the share that fits. Positions are uniform in [0, 1), whatever the sides. */
static double know_by_grid(known *k, int32_t H, int32_t W, int grid) {
  for (int i = 0; i < grid; i++)
    for (int j = 0; j < grid; j++) {
      double h, w;
      ref_erasing_sides(H, W, (i + .5) / grid, (j + .5) / grid, &h, &w);
      h = rint(h);
      w = rint(w);
      if (h < H && w < W) know(k, (double[]){h, w, h * w, .5, .5});
    }
  double fits = k->count / ((double)grid * grid);
  for (int i = TOP; i <= LEFT; i++) k->squares[i] = k->count / 3;
  return fits;
}

/* Erased as often as asked, with the sizes that the formulas give, anywhere
 * that it fits: within 5 sigma. A grid of G x G is off by the cells that a
 * rounding's boundary crosses, at most 2G each, with what jumps there: side by
 * 1, area by a side; where a side stops to fit, by all of it, and so is the
 * share that fits. */
Test(augment, erasings_have_their_distribution) {
  enum { N = 8000, H = 12, W = 20, G = 2000 };
  const double largest[KNOWN] = {H, W, .33 * H * W + H + W, 0, 0};
  const double jump[KNOWN] = {1, 1, W, 0, 0};
  const augment_case c = {
      "erased", {H, W, 1, SURGE_CHANNELS_LAST}, N, 0, false, true, 0, .75f};
  uint8_t *images = random_images(N * H * W);
  surge_context *context = test_context(2);
  test_buffer out = run_augment(context, &c, images, 0, 1);
  float *x = test_download(&out, "x");
  known found = {0}, wanted = {0};
  double fits = know_by_grid(&wanted, H, W, G);
  for (size_t n = 0; n < N; n++) {
    ref_rectangle r = zeros_of(x + n * H * W, H, W);
    double at[] = {r.h, r.w, r.h * r.w, (r.top + .5) / (H - r.h + 1),
                   (r.left + .5) / (W - r.w + 1)};
    if (r.h) know(&found, at);
  }
  double p = .75 * (1 - pow(1 - fits, 10));
  cr_expect(fabs(found.count - N * p) < 5 * sqrt(N * p * (1 - p)),
            "erased %g times, wanted %g", found.count, N * p);
  for (int i = 0; i < KNOWN; i++) {
    double mean_of = wanted.sum[i] / wanted.count;
    double sigma = sqrt(wanted.squares[i] / wanted.count - mean_of * mean_of);
    double grid = 2.0 / G * ((H + W) * jump[i] + 4 * largest[i]) / fits;
    cr_expect(fabs(found.sum[i] / found.count - mean_of) <
                  5 * sigma / sqrt(found.count) + grid,
              "%s: mean %g, wanted %g", known_as[i], found.sum[i] / found.count,
              mean_of);
  }
  free(x);
  free(images);
  test_release(&out);
  test_backend()->close(context);
}

/* --- who is drawn ---------------------------------------------------------- */

/* A sample's crop is its own: in another place of another batch, with other
 * threads, it is the same; in another epoch it is drawn anew. */
Test(augment, depends_on_seed_epoch_and_sample_alone) {
  const augment_case whole = augments[AUGMENTS - 1]; /* no other in it */
  augment_case part = whole;
  part.N = 20;
  size_t elements = surge_map_elements(&whole.map), skip = 11;
  uint8_t *images = random_images((size_t)whole.N * elements);
  surge_context *one = test_context(1), *two = test_context(2);
  test_buffer a = run_augment(two, &whole, images, 0, 1);
  test_buffer b = run_augment(one, &part, images + skip * elements, 11, 1);
  test_buffer other = run_augment(two, &whole, images, 0, 2);
  float *x = test_download(&a, "x"), *y = test_download(&b, "x");
  float *z = test_download(&other, "x");
  cr_expect(!memcmp(x + skip * elements, y, b.count * sizeof *y));
  cr_expect(memcmp(x, z, a.count * sizeof *x));
  free(x);
  free(y);
  free(z);
  free(images);
  test_release(&a);
  test_release(&b);
  test_release(&other);
  test_backend()->close(one);
  test_backend()->close(two);
}

/* Images read in place from the whole set are those of a batch that was put
 * together beforehand: same crops, same bits. */
Test(augment, gathers_from_the_whole_set) {
  enum { SET = 40 };
  for (size_t i = 0; i < AUGMENTS; i++) {
    const augment_case *c = &augments[i];
    if (too_wide(&c->map)) continue;
    size_t elements = surge_map_elements(&c->map) * steps_of(c);
    size_t N = (size_t)c->N;
    uint8_t *set = random_images(SET * elements);
    uint8_t *images = random_images(N * elements);
    uint32_t *sample = malloc(N * sizeof *sample);
    for (size_t n = 0; n < N; n++) { /* some twice, none in order */
      sample[n] = (uint32_t)((n * 27 + 31) % SET);
      memcpy(images + n * elements, set + sample[n] * elements, elements);
    }
    surge_context *context = test_context(2);
    augment_source whole = {set, SET, sample, true};
    augment_source batch = {images, N, sample, false};
    test_buffer x = run_source(context, c, &whole, 1);
    test_buffer y = run_source(context, c, &batch, 1);
    test_expect_same(c->name, "x", &x, &y);
    test_release(&x);
    test_release(&y);
    test_backend()->close(context);
    free(set);
    free(images);
    free(sample);
  }
}

/* --- poisson ------------------------------------------------------------------- */

static test_buffer run_poisson(surge_context *context, surge_map map, int32_t T,
                               int32_t N, const float *x, uint32_t first,
                               uint32_t epoch) {
  size_t M = (size_t)N * surge_map_elements(&map);
  uint32_t *sample = malloc((size_t)N * sizeof *sample);
  for (int32_t n = 0; n < N; n++) sample[n] = first + (uint32_t)n;
  surge_step step = test_step(78, epoch);
  test_buffer s = test_poisoned_as(context, (size_t)T * M, map.type);
  test_buffer rates = test_copied_as(context, x, M, map.type);
  test_buffer samples = test_object(context, sample, (size_t)N * 4);
  test_buffer block = test_object(context, &step, sizeof step);
  surge_poisson a = {s.device,
                     rates.device,
                     TEST_AS(samples, uint32_t),
                     TEST_AS(block, surge_step),
                     map,
                     T,
                     N};
  cr_assert_eq(test_backend()->poisson(context, &a), SURGE_OK, "%s",
               surge_last_error());
  free(sample);
  test_release(&rates);
  test_release(&samples);
  test_release(&block);
  return s;
}

/* Rates 0 and 1 are certain; others are met within 5 sigma, in each of T, N
 * and the four numbers of a block. */
Test(poisson, fires_at_the_rate) {
  static const float rates[] = {0, .05f, .5f, .9f, 1};
  enum { T = 8, N = 16, SIDE = 10, C = 3, ALL = T * N * SIDE * SIDE * C };
  surge_map map = {SIDE, SIDE, C, SURGE_CHANNELS_LAST};
  enum { RATES = sizeof rates / sizeof *rates };
  for (size_t i = 0; i < RATES * (size_t)test_types(); i++) {
    surge_context *context = test_context(2);
    float *x = malloc(ALL / T * sizeof *x), rate = rates[i % RATES];
    map.type = test_type[i / RATES];
    test_round(&rate, 1, map.type);
    for (size_t k = 0; k < ALL / T; k++) x[k] = rate;
    test_buffer out = run_poisson(context, map, T, N, x, 100, 0);
    float *s = test_download(&out, "s");
    double step[T] = {0}, sample[N] = {0}, lane[4] = {0}, p = (double)rate;
    for (size_t k = 0; k < ALL; k++) {
      cr_assert(s[k] == 0 || s[k] == 1);
      step[k / (ALL / T)] += (double)s[k];
      sample[k % (ALL / T) / (SIDE * SIDE * C)] += (double)s[k];
      lane[k % 4] += (double)s[k];
    }
    double *sums[] = {step, sample, lane};
    size_t lengths[] = {T, N, 4};
    for (size_t j = 0; j < 3; j++)
      for (size_t k = 0; k < lengths[j]; k++) {
        double n = (double)ALL / (double)lengths[j];
        cr_expect(fabs(sums[j][k] - n * p) <= 5 * sqrt(n * p * (1 - p)),
                  "rate %g: sum %zu[%zu] = %g of %g", p, j, k, sums[j][k], n);
      }
    free(x);
    free(s);
    test_release(&out);
    test_backend()->close(context);
  }
}

/* A spike where the number is below x, not where it equals x; step t of a map
 * of E elements reads the numbers from t*E on, four a Philox block. */
Test(poisson, fires_strictly_below_x) {
  enum { T = 3, E = 40 };
  surge_map map = {1, 1, E, SURGE_CHANNELS_LAST};
  surge_context *context = test_context(1);
  for (uint32_t t = 0; t < T; t++)
    for (int above = 0; above < 2; above++) {
      float x[E];
      for (uint32_t e = 0; e < E; e++) {
        surge_philox4 draw =
            surge_philox(78, 5, SURGE_RANDOM_POISSON, 9, (t * E + e) / 4);
        x[e] = surge_uniform(draw.x[e % 4]);
        if (above) x[e] = nextafterf(x[e], 2);
      }
      test_buffer out = run_poisson(context, map, T, 1, x, 9, 5);
      float *s = test_download(&out, "s");
      for (uint32_t e = 0; e < E; e++)
        cr_expect_eq(s[t * E + e], (float)above, "step %u: [%u]", t, e);
      free(s);
      test_release(&out);
    }
  test_backend()->close(context);
}

/* Step against step and sample against sample, spikes of rate .5 agree in half
 * of the elements: no numbers are drawn twice. */
Test(poisson, steps_and_samples_are_independent) {
  enum { T = 3, N = 3, E = 4001 };
  surge_map map = {1, 1, E, SURGE_CHANNELS_LAST};
  surge_context *context = test_context(2);
  float *x = malloc(N * E * sizeof *x);
  for (size_t k = 0; k < N * E; k++) x[k] = .5f;
  test_buffer out = run_poisson(context, map, T, N, x, 0, 0);
  float *s = test_download(&out, "s");
  for (size_t a = 0; a < T * N; a++)
    for (size_t b = 0; b < a; b++) {
      int same = 0;
      for (size_t k = 0; k < E; k++) same += s[a * E + k] == s[b * E + k];
      cr_expect(fabs(same - E / 2.0) < 5 * sqrt(E / 4.0),
                "maps %zu and %zu agree in %d of %d", a, b, same, E);
    }
  free(x);
  free(s);
  test_release(&out);
  test_backend()->close(context);
}

/* Another layout, another batch, other threads: the same spikes. */
Test(poisson, depends_on_seed_epoch_and_sample_alone) {
  enum { T = 3, N = 7, H = 5, W = 3, C = 16, E = H * W * C };
  surge_map last = {H, W, C, SURGE_CHANNELS_LAST};
  surge_map blocked = test_map((surge_map){H, W, C, SURGE_BLOCKED8});
  float *x = test_random(81, N * E, 0, 1), *y = malloc(N * E * sizeof *y);
  for (int32_t e = 0; e < N * E; e++)
    y[e / E * E + (int32_t)surge_offset_of(&blocked, e % E / (W * C), e / C % W,
                                           e % C)] = x[e];
  surge_context *one = test_context(1), *two = test_context(2);
  test_buffer a = run_poisson(two, last, T, N, x, 0, 1);
  test_buffer b = run_poisson(one, blocked, T, N - 2, y + 2 * E, 2, 1);
  float *s = test_download(&a, "s"), *r = test_download(&b, "s");
  size_t different = 0;
  for (int32_t t = 0; t < T; t++)
    for (int32_t e = 2 * E; e < N * E; e++) {
      size_t at = surge_offset_of(&blocked, e % E / (W * C), e / C % W, e % C);
      size_t image = (size_t)(t * (N - 2) + e / E - 2);
      different += s[t * N * E + e] != r[image * E + at];
    }
  cr_expect_eq(different, 0, "%zu elements differ", different);
  test_buffer other = run_poisson(two, last, T, N, x, 0, 2);
  float *z = test_download(&other, "s");
  cr_expect(memcmp(s, z, a.count * sizeof *s), "epochs draw the same");
  free(x);
  free(y);
  free(s);
  free(r);
  free(z);
  test_release(&a);
  test_release(&b);
  test_release(&other);
  test_backend()->close(one);
  test_backend()->close(two);
}

/* --- refused calls --------------------------------------------------------------- */

Test(augment, wrong_arguments_are_refused_by_name) {
  surge_context *context = test_context(1);
  float x[4] = {0}, zero[] = {0};
  uint8_t image[4] = {0};
  const surge_augment good = {.x = x,
                              .images = image,
                              .map = {1, 1, 1, SURGE_CHANNELS_LAST},
                              .T = 1,
                              .N = 1,
                              .unit = 255,
                              .mean = mean,
                              .std = std};
  surge_augment bad[] = {good, good, good, good, good, good,
                         good, good, good, good, good, good};
  bad[0].images = NULL;
  bad[1].std = zero;
  bad[2].crop_pad = -1;
  bad[3].training = true;
  bad[4].gather = true;
  bad[5].cutout = -1;
  bad[6].random_erasing = 1.001f;
  bad[7].random_erasing = NAN;
  bad[8].mix = true;
  bad[9].mix = true;
  const surge_step step = {0};
  bad[9].step = &step;
  bad[10].T = 0;
  bad[11].unit = 0;
  const char *const word[] = {"images:",
                              "std[c]:",
                              "crop_pad:",
                              "sample:",
                              "sample:",
                              "cutout:",
                              "random_erasing:",
                              "random_erasing:",
                              "step:",
                              "mix:",
                              "T:",
                              "unit:"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    cr_expect_eq(test_backend()->augment(context, &bad[i]),
                 SURGE_ERROR_INTERNAL, "%s", word[i]);
    cr_expect(strstr(surge_last_error(), word[i]), "%s: said '%s'", word[i],
              surge_last_error());
  }
  test_backend()->close(context);
}

/* What the device alone does not take, it says. */
Test(augment, a_device_refuses_other_layouts_and_many_channels) {
  if (test_backend() == &surge_cpu) return;
  surge_context *context = test_context(1);
  float x[8] = {0};
  uint8_t image[8] = {0};
  surge_augment a = {.x = x,
                     .images = image,
                     .map = {1, 1, 8, SURGE_BLOCKED8},
                     .T = 1,
                     .N = 1,
                     .unit = 255,
                     .mean = mean,
                     .std = std};
  test_expect_refused(test_backend()->augment(context, &a), "augment",
                      "wanted channels last");
  a.map.layout = SURGE_CHANNELS_LAST;
  test_expect_refused(test_backend()->augment(context, &a), "augment",
                      "wanted at most 4 channels, found 8");
  test_backend()->close(context);
}
