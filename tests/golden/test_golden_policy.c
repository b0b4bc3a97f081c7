/* test_golden_policy.c - are the operations of AutoAugment and TrivialAugment
 * those of torchvision on Pillow images, and drawn with the same odds? The golden
 * file holds checksums of what Pillow made. */
#include <string.h>
#include <zlib.h>

#include "src/data/policy.h"
#include "tests/golden/golden.h"

static const char *const images[] = {"square", "wide", "grey",
                                     "flat",   "thin", "pixel"};
#define IMAGES (sizeof images / sizeof *images)
static const struct {
  surge_policy policy;
  const char *name;
} policies[] = {{SURGE_POLICY_AUTOAUGMENT, "autoaugment"},
                {SURGE_POLICY_TRIVIALAUGMENT, "trivialaugment"}};

/* An image of the golden file that can be changed and made anew. */
typedef struct canvas {
  const surge_named_tensor *original;
  surge_pixels pixels;
} canvas;

static const surge_named_tensor *tensor_of(const surge_safetensors *file,
                                           const char *format, const char *a,
                                           const char *b) {
  char name[64];
  snprintf(name, sizeof name, format, a, b);
  const surge_named_tensor *tensor = surge_safetensors_find(file, name);
  cr_assert_not_null(tensor, "golden file: no %s", name);
  return tensor;
}

static canvas open_image(const surge_safetensors *file, const char *name) {
  const surge_named_tensor *t = tensor_of(file, "%s.image%s", name, "");
  size_t bytes = surge_named_tensor_bytes(t);
  return (canvas){t,
                  {malloc(bytes), malloc(bytes), (int32_t)t->shape[0],
                   (int32_t)t->shape[1], (int32_t)t->shape[2]}};
}

static void start(const canvas *c) {
  memcpy(c->pixels.bytes, c->original->data,
         surge_named_tensor_bytes(c->original));
}

static uint32_t checksum(const canvas *c) {
  return (uint32_t)crc32(0, c->pixels.bytes,
                         (uInt)surge_named_tensor_bytes(c->original));
}

static void close_image(canvas *c) {
  free(c->pixels.bytes);
  free(c->pixels.scratch);
}

/* Every operation at every magnitude of both policies, both signs. */
Test(policy, operations_as_pillow) {
  surge_safetensors file = golden_open("policy");
  int cases = 0;
  for (size_t i = 0; i < 2 * IMAGES; i++) {
    const char *name = images[i / 2], *kind = policies[i % 2].name;
    canvas c = open_image(&file, name);
    const surge_named_tensor *t = tensor_of(&file, "%s.%s", name, kind);
    const int32_t *wanted = t->data;
    cr_assert_eq(t->shape[0], SURGE_PIXELS_COUNT);
    for (int32_t k = 0; k < t->shape[0] * t->shape[1] * 2; k++) {
      int32_t op = k / 2 / (int32_t)t->shape[1];
      int32_t bin = k / 2 % (int32_t)t->shape[1];
      bool is_signed;
      double magnitude =
          surge_policy_magnitude(policies[i % 2].policy, (surge_pixel_op)op,
                                 bin, c.pixels.h, c.pixels.w, &is_signed);
      if (is_signed && k % 2) magnitude = -magnitude;
      start(&c);
      surge_pixels_apply(&c.pixels, (surge_pixel_op)op, magnitude);
      cr_expect_eq(checksum(&c), (uint32_t)wanted[k],
                   "%s, %s: operation %d by %g (bin %d) is another", name, kind,
                   op, magnitude, bin);
      cases++;
    }
    close_image(&c);
  }
  cr_expect_eq(cases, 6 * 15 * 2 * (10 + 31));
  surge_safetensors_free(&file);
}

/* What 300 samples of an epoch go through: choices, signs, order. */
Test(policy, draws_as_torchvision) {
  const surge_data_pass pass = {
      .train = true, .seed = 3 + (5ull << 32), .epoch = 2};
  surge_safetensors file = golden_open("policy");
  for (size_t i = 0; i < 2 * IMAGES; i++) {
    const char *name = images[i / 2], *kind = policies[i % 2].name;
    canvas c = open_image(&file, name);
    const surge_named_tensor *t = tensor_of(&file, "%s.%s.drawn", name, kind);
    const int32_t *wanted = t->data;
    int wrong = 0;
    cr_assert_eq(t->shape[0], 300);
    for (uint32_t sample = 0; sample < 300; sample++) {
      start(&c);
      surge_policy_apply(policies[i % 2].policy, &c.pixels, &pass, sample);
      wrong += checksum(&c) != (uint32_t)wanted[sample];
    }
    cr_expect_eq(wrong, 0, "%s, %s: %d of 300 are others", name, kind, wrong);
    close_image(&c);
  }
  surge_safetensors_free(&file);
}

/* No policy leaves an image alone. */
Test(policy, none_does_nothing) {
  surge_policy_step steps[SURGE_POLICY_STEPS];
  const surge_data_pass pass = {.train = true};
  for (uint32_t sample = 0; sample < 100; sample++)
    cr_expect_eq(
        surge_policy_draw(SURGE_POLICY_NONE, 32, 32, &pass, sample, steps), 0);
}
