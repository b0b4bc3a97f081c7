/* test_pack.c - do spikes and sums of them lie packed as the contract says, and
 * do they come back to the bit? */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/shared/math.h"
#include "tests/ref64/pack.h"
#include "tests/support/refused.h"
#include "tests/support/values.h"

#define UNTOUCHED 0xA5 /* bytes around the packed ones */

/* --- one call ------------------------------------------------------------- */

typedef struct pack_call {
  size_t count;
  size_t skip, skip_x; /* bytes, elements before the first: 1 is unaligned */
  int32_t bits;
  float scale;
  int32_t most; /* the largest k */
  surge_dtype type;
  int threads;
} pack_call;

static size_t bytes_of(const pack_call *c) {
  return surge_pack_bytes(c->count, c->bits);
}

/* Bytes before, of and behind a packed array, in whole words; filled. */
static size_t guarded_of(const pack_call *c) {
  return (c->skip + bytes_of(c) + 7) / 4 * 4;
}

static surge_pack arguments(const pack_call *c, const test_buffer *packed,
                            const test_buffer *x) {
  uint8_t *elements = TEST_AS(*x, uint8_t);
  return (surge_pack){.packed = TEST_AS(*packed, uint8_t) + c->skip,
                      .x = elements + c->skip_x * surge_dtype_bytes(c->type),
                      .type = c->type,
                      .bits = c->bits,
                      .scale = c->bits == 8 ? c->scale : NAN, /* not read */
                      .count = c->count};
}

/* The packed bytes of x [count], malloc'ed; nothing around them is written. */
static uint8_t *run_pack(const pack_call *c, const float *x) {
  surge_context *context = test_context(c->threads);
  size_t guarded = guarded_of(c), bytes = bytes_of(c);
  uint8_t *image = malloc(guarded);
  float *shifted = calloc(c->skip_x + c->count, sizeof *shifted);
  memset(image, UNTOUCHED, guarded);
  memcpy(shifted + c->skip_x, x, c->count * sizeof *x);
  test_buffer in =
      test_copied_as(context, shifted, c->skip_x + c->count, c->type);
  test_buffer packed = test_object(context, image, guarded);
  surge_pack a = arguments(c, &packed, &in);
  cr_assert_eq(test_backend()->pack(context, &a), SURGE_OK, "%s",
               surge_last_error());
  test_object_back(&packed, image, "packed");
  for (size_t i = 0; i < guarded; i++)
    if (i < c->skip || i >= c->skip + bytes)
      cr_assert_eq(image[i], UNTOUCHED, "%zu in %d bits: byte %zu written",
                   c->count, c->bits, i);
  memmove(image, image + c->skip, bytes);
  free(shifted);
  test_release(&in);
  test_release(&packed);
  test_backend()->close(context);
  return image;
}

/* x [count] of the packed bytes, malloc'ed. */
static float *run_unpack(const pack_call *c, const uint8_t *bytes) {
  surge_context *context = test_context(c->threads);
  size_t guarded = guarded_of(c);
  uint8_t *image = malloc(guarded);
  memset(image, UNTOUCHED, guarded);
  memcpy(image + c->skip, bytes, bytes_of(c));
  test_buffer packed = test_object(context, image, guarded);
  test_buffer out = test_poisoned_as(context, c->skip_x + c->count, c->type);
  surge_pack a = arguments(c, &packed, &out);
  cr_assert_eq(test_backend()->unpack(context, &a), SURGE_OK, "%s",
               surge_last_error());
  float *x = test_download(&out, "x");
  if (c->skip_x) cr_assert(isnan(x[0]), "x: written before its start");
  memmove(x, x + c->skip_x, c->count * sizeof *x);
  free(image);
  test_release(&packed);
  test_release(&out);
  test_backend()->close(context);
  return x;
}

/* Packed as the reference packs, and unpacked to the bits of x. */
static void expect_exact(const pack_call *c, const float *x) {
  double *wide = test_widened(x, c->count);
  uint8_t *wanted = malloc(bytes_of(c)), *found = run_pack(c, x);
  ref_pack(wanted, wide, c->count, c->bits, (double)c->scale);
  cr_expect(!memcmp(found, wanted, bytes_of(c)),
            "%zu of type %d in %d bits, scale %g: packed otherwise", c->count,
            (int)c->type, c->bits, (double)c->scale);
  float *back = run_unpack(c, wanted);
  cr_expect(!memcmp(back, x, c->count * sizeof *x),
            "%zu of type %d in %d bits, scale %g: other bits come back",
            c->count, (int)c->type, c->bits, (double)c->scale);
  free(wide);
  free(wanted);
  free(found);
  free(back);
}

/* --- what is packed ------------------------------------------------------- */

typedef enum fill { ZEROS, MOSTS, MIXED, FILLS } fill;

/* k/scale for k = 0, the largest, or any of them, as a map holds it. */
static float *filled(const pack_call *c, fill how) {
  double scale = c->bits == 8 ? (double)c->scale : 1;
  float *x = malloc(c->count * sizeof *x);
  for (size_t i = 0; i < c->count; i++) {
    int any = (int)test_uniform(31, i, 0, (float)c->most + .5f);
    int k = how == ZEROS ? 0 : how == MOSTS ? c->most : any;
    x[i] = (float)(k / scale);
  }
  test_round(x, c->count, c->type);
  return x;
}

static void check(pack_call c) {
  for (fill how = ZEROS; how < FILLS; how++) {
    float *x = filled(&c, how);
    expect_exact(&c, x);
    free(x);
  }
}

/* Sums of spikes, pools of 2x2, 3x3 and 15x15, dropped spikes. */
static const struct {
  float scale;
  int32_t most;
} levels[] = {{1, 255}, {4, 255}, {9, 128}, {225, 225}, {.8f, 1}};
#define LEVELS (sizeof levels / sizeof *levels)

/* Every size, both encodings, every type. 4096 is a thread's share. */
Test(pack, comes_back_to_the_bit) {
  static const size_t sizes[] = {1,   7,   8,    9,    511,
                                 512, 513, 4095, 4097, 1 << 20};
  for (int type = 0; type < test_types(); type++)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      pack_call c = {sizes[i], 0, 0, 1, 1, 1, test_type[type], 2};
      check(c);
      c.bits = 8;
      c.scale = levels[i % LEVELS].scale;
      c.most = levels[i % LEVELS].most;
      check(c);
    }
}

/* Threads share no byte, and arrays may begin anywhere: bits are what they are
 * in the reference, whose one answer all of these have to give. */
Test(pack, with_any_threads_and_alignment) {
  static const size_t sizes[] = {13, 4097, 20011};
  for (int type = 0; type < test_types(); type++)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
      for (size_t how = 0; how < 4; how++) {
        pack_call c = {.count = sizes[i],
                       .skip = how % 2,
                       .skip_x = how / 2,
                       .bits = 1,
                       .most = 1,
                       .type = test_type[type],
                       .threads = 1 + (int)how % 3};
        check(c);
        c.bits = 8;
        c.most = 49;
        c.scale = 49;
        check(c);
      }
}

/* What the average pool makes of windows with k spikes, for every k. */
static float *pooled(int32_t kernel, surge_dtype type) {
  int32_t area = kernel * kernel;
  surge_context *context = test_context(1);
  surge_map in = {kernel, kernel, 1, SURGE_CHANNELS_LAST, type};
  size_t images = (size_t)area + 1, count = images * (size_t)area;
  float *spikes = calloc(count, sizeof *spikes);
  for (size_t k = 0; k < images; k++)
    for (size_t i = 0; i < k; i++) spikes[k * (size_t)area + i] = 1;
  test_buffer x = test_copied_as(context, spikes, count, type);
  test_buffer y = test_poisoned_as(context, images, type);
  surge_pool a = {.y = y.device,
                  .x = x.device,
                  .in = in,
                  .out = {1, 1, 1, SURGE_CHANNELS_LAST, type},
                  .kernel = kernel,
                  .stride = kernel,
                  .images = images};
  cr_assert_eq(test_backend()->avgpool_forward(context, &a), SURGE_OK, "%s",
               surge_last_error());
  float *means = test_download(&y, "y");
  free(spikes);
  test_release(&x);
  test_release(&y);
  test_backend()->close(context);
  return means;
}

Test(pack, every_average_of_spikes_up_to_15_x_15) {
  for (int32_t kernel = 2; kernel <= 15; kernel++)
    for (int type = 0; type < test_types(); type++) {
      int32_t area = kernel * kernel;
      pack_call c = {(size_t)area + 1, 0, 0, 8, (float)area, area,
                     test_type[type],  1};
      float *means = pooled(kernel, c.type);
      uint8_t *found = run_pack(&c, means);
      for (int32_t k = 0; k <= area; k++)
        cr_assert_eq(found[k], k, "window %d: wanted %d spikes, found %d",
                     kernel, k, found[k]);
      expect_exact(&c, means);
      cr_expect(surge_pack_exact(c.type, c.scale, c.most));
      free(means);
      free(found);
    }
}

/* 1/(1 - p), as the dropout op has it. */
Test(pack, dropped_spikes) {
  static const float shares[] = {.1f, .2f, .3f, .5f, .9f};
  enum { COUNT = 1000 };
  uint32_t sample = 3;
  surge_step step = test_step(11, 0);
  for (size_t i = 0; i < 5 * (size_t)test_types(); i++) {
    pack_call c = {COUNT, 0, 0, 8, 1 - shares[i % 5], 1, test_type[i / 5], 1};
    surge_context *context = test_context(1);
    test_buffer x = test_filled_as(context, COUNT, 1, c.type);
    test_buffer samples = test_object(context, &sample, sizeof sample);
    test_buffer block = test_object(context, &step, sizeof step);
    surge_dropout a = {.y = x.device,
                       .x = x.device,
                       .sample = TEST_AS(samples, uint32_t),
                       .step = TEST_AS(block, surge_step),
                       .map = {1, 1, COUNT, SURGE_CHANNELS_LAST, c.type},
                       .T = 1,
                       .N = 1,
                       .p = shares[i % 5]};
    cr_assert_eq(test_backend()->dropout(context, &a), SURGE_OK);
    float *dropped = test_download(&x, "dropped");
    expect_exact(&c, dropped);
    free(dropped);
    test_release(&x);
    test_release(&samples);
    test_release(&block);
    test_backend()->close(context);
  }
}

/* --- what comes back ------------------------------------------------------ */

/* The largest `most` of a whole scale, in double; -1 where k = 0 is lost. */
static int32_t most_of(surge_dtype type, int32_t scale) {
  for (int32_t k = 0; k <= 255; k++) {
    float x = (float)(k / (double)scale), back;
    double wide;
    uint8_t packed;
    test_round(&x, 1, type);
    wide = (double)x;
    ref_pack(&packed, &wide, 1, 8, scale);
    ref_unpack(&wide, &packed, 1, 8, scale);
    back = (float)wide;
    test_round(&back, 1, type);
    if (surge_bits_of(back) != surge_bits_of(x)) return k - 1;
  }
  return 255;
}

/* The largest `most` of which the contract says that it comes back. */
static int32_t promised(surge_dtype type, int32_t scale) {
  bool power = !(scale & (scale - 1));
  if (type == SURGE_F32 || power) return 255;
  return scale > 128 && scale <= 255 ? scale : 128;
}

Test(pack, says_what_comes_back) {
  for (int32_t n = 1; n <= 4096; n++)
    for (int type = 0; type < 2; type++) {
      int32_t most = most_of(test_type[type], n);
      cr_assert(most >= promised(test_type[type], n), "scale %d, type %d: %d",
                n, type, most);
      cr_assert(surge_pack_exact(test_type[type], (float)n, most) &&
                    !surge_pack_exact(test_type[type], (float)n, most + 1),
                "scale %d, type %d: wanted %d", n, type, most);
    }
  cr_expect_eq(most_of(SURGE_BF16, 7), 254, "255/7 lies behind a byte's end");
}

Test(pack, of_any_scale) {
  for (size_t i = 0; i <= 4096; i++) {
    float scale = exp2f(i < 4096 ? test_uniform(32, i, -100, 100) : 100);
    cr_assert(surge_pack_exact(SURGE_F32, scale, 255) &&
                  surge_pack_exact(SURGE_BF16, scale, 128),
              "scale %a", (double)scale);
  }
}

/* --- what the caller must not do, and what then happens ------------------- */

Test(pack, what_is_no_level_is_taken_for_one) {
  static const float x[8] = {256, 300, -1, 2.4f, 2.6f, 65535, -0.0f, .4f};
  static const uint8_t k[8] = {0, 44, 255, 2, 3, 255, 0, 0};
  pack_call bytes = {8, 0, 0, 8, 1, 0, SURGE_F32, 1};
  pack_call bits = {8, 0, 0, 1, 1, 0, SURGE_F32, 1};
  uint8_t *in_bytes = run_pack(&bytes, x), *in_bits = run_pack(&bits, x);
  for (int i = 0; i < 8; i++)
    cr_expect_eq(in_bytes[i], k[i], "%g: wanted %d, found %d", (double)x[i],
                 k[i], in_bytes[i]);
  cr_expect_eq(in_bits[0], 0xBF, "all but -0: found %x", in_bits[0]);
  float full = 1, *back; /* 16 x 16 spikes are one too many for a byte */
  bytes.count = 1;
  bytes.scale = 256;
  free(in_bytes);
  in_bytes = run_pack(&bytes, &full);
  back = run_unpack(&bytes, in_bytes);
  cr_expect_eq(back[0], 0, "found %g", (double)back[0]);
  free(in_bytes);
  free(in_bits);
  free(back);
}

/* A pool of a pool of 3 x 3 is rounded twice: its 1/81 is another. */
Test(pack, a_mean_that_is_rounded_twice_does_not_come_back) {
  float twice[1], once[1] = {1.0f / 81};
  int others = 0;
  pack_call c = {1, 0, 0, 8, 81, 0, SURGE_F32, 1};
  for (int k = 1; k <= 81; k++) {
    float sum = 0;
    for (int i = 0; i < 9; i++) sum += (float)(k / 9 + (i < k % 9)) / 9.0f;
    twice[0] = sum / 9.0f;
    once[0] = (float)k / 81.0f;
    uint8_t *packed = run_pack(&c, twice);
    float *back = run_unpack(&c, packed);
    cr_expect_eq(packed[0], k);
    cr_expect_eq(surge_bits_of(back[0]), surge_bits_of(once[0]));
    others += back[0] != twice[0];
    free(packed);
    free(back);
  }
  cr_expect(others > 0, "then the contract is too strict");
}

/* --- refusals ------------------------------------------------------------- */

#define REFUSED(field, value, text)                                            \
  do {                                                                         \
    surge_pack bad = good;                                                     \
    bad.field = (value);                                                       \
    test_expect_refused(b->pack(context, &bad), "pack: ", text);               \
    test_expect_refused(b->unpack(context, &bad), "unpack: ", text);           \
  } while (0)

Test(pack, refuses_arguments) {
  const surge_backend *b = test_backend();
  surge_context *context = test_context(1);
  uint8_t packed[8] = {UNTOUCHED};
  float x[8] = {5};
  surge_pack good = {packed, x, SURGE_F32, 8, 1, 8};
  REFUSED(packed, NULL, "packed:");
  REFUSED(x, NULL, "x:");
  REFUSED(type, SURGE_U8, "type: wanted fp32 or bf16");
  REFUSED(bits, 0, "bits: wanted 1 or 8, found 0");
  REFUSED(bits, 4, "bits: wanted 1 or 8, found 4");
  REFUSED(count, 0, "count:");
  REFUSED(scale, 0, "scale:");
  REFUSED(scale, -4, "scale:");
  REFUSED(scale, 0x1p101f, "scale:");
  REFUSED(scale, NAN, "scale:");
  cr_expect(packed[0] == UNTOUCHED && x[0] == 5, "written before the check");
  b->close(context);
}
