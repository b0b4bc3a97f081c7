/* support.c - guarded buffers and the like (see support.h). */
#include "tests/support/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/shared/element.h"
#include "kernels/shared/philox.h"

#define CANARY_BYTES 64
static const uint8_t canary = 0xA5;

#ifdef SURGE_TEST_CUDA
const surge_backend *test_backend(void) { return &surge_cuda; }
#else
const surge_backend *test_backend(void) { return &surge_cpu; }
#endif

surge_map test_map(surge_map map) {
  if (test_backend() != &surge_cpu) map.layout = SURGE_CHANNELS_LAST;
  return map;
}

surge_context *test_context(int threads) {
  surge_context *context = NULL;
  surge_context_options options = {
      .threads = threads, .deterministic = true, .workspace = (size_t)16 << 20};
  cr_assert_eq(test_backend()->open(&context, &options), SURGE_OK, "%s",
               surge_last_error());
  return context;
}

/* --- types ---------------------------------------------------------------- */

const surge_dtype test_type[2] = {SURGE_F32, SURGE_BF16};

int test_types(void) { return test_backend()->bf16 ? 2 : 1; }

void test_round(float *values, size_t count, surge_dtype type) {
  if (type == SURGE_F32) return;
  for (size_t i = 0; i < count; i++)
    values[i] = surge_bf16_to_float(surge_float_to_bf16(values[i]));
}

double test_half_ulp(double x) {
  int exponent;
  (void)frexp(x, &exponent);
  return ldexp(1, exponent - 9); /* of eight bits */
}

double test_to_bf16(double x) {
  if (x == 0 || !isfinite(x)) return x;
  double ulp = 2 * test_half_ulp(x);
  return rint(x / ulp) * ulp;
}

/* --- buffers -------------------------------------------------------------- */

test_buffer test_copied_as(surge_context *context, const float *host,
                           size_t count, surge_dtype type) {
  const surge_backend *backend = test_backend();
  size_t bytes = count * surge_dtype_bytes(type);
  test_buffer buffer = {.count = count, .type = type, .context = context};
  uint8_t *image = malloc(bytes + 2 * CANARY_BYTES);
  memset(image, canary, bytes + 2 * CANARY_BYTES);
  if (type == SURGE_F32) /* any bits, not floats alone */
    memcpy(image + CANARY_BYTES, host, bytes);
  else
    for (size_t i = 0; i < count; i++)
      surge_store(image + CANARY_BYTES, type, i, host[i]);
  cr_assert_eq(
      backend->allocate(context, &buffer.block, bytes + 2 * CANARY_BYTES),
      SURGE_OK, "%s", surge_last_error());
  cr_assert_eq(
      backend->upload(context, buffer.block, image, bytes + 2 * CANARY_BYTES),
      SURGE_OK);
  free(image);
  buffer.device = (float *)(void *)((uint8_t *)buffer.block + CANARY_BYTES);
  return buffer;
}

test_buffer test_filled_as(surge_context *context, size_t count, float value,
                           surge_dtype type) {
  float *host = malloc(count * sizeof(float) + 1);
  for (size_t i = 0; i < count; i++) host[i] = value;
  test_buffer buffer = test_copied_as(context, host, count, type);
  free(host);
  return buffer;
}

test_buffer test_poisoned_as(surge_context *context, size_t count,
                             surge_dtype type) {
  return test_filled_as(context, count, NAN, type);
}

test_buffer test_copied(surge_context *context, const float *host,
                        size_t count) {
  return test_copied_as(context, host, count, SURGE_F32);
}

test_buffer test_filled(surge_context *context, size_t count, float value) {
  return test_filled_as(context, count, value, SURGE_F32);
}

test_buffer test_poisoned(surge_context *context, size_t count) {
  return test_poisoned_as(context, count, SURGE_F32);
}

/* Elements as floats, in the same memory or new. */
static float *as_floats(void *elements, size_t count, surge_dtype type) {
  if (type == SURGE_F32) return elements;
  float *values = malloc(count * sizeof(float) + 1);
  for (size_t i = 0; i < count; i++) values[i] = surge_load(elements, type, i);
  free(elements);
  return values;
}

float *test_download(const test_buffer *buffer, const char *what) {
  size_t bytes = buffer->count * surge_dtype_bytes(buffer->type);
  uint8_t *image = malloc(bytes + 2 * CANARY_BYTES);
  cr_assert_eq(test_backend()->download(buffer->context, image, buffer->block,
                                        bytes + 2 * CANARY_BYTES),
               SURGE_OK);
  for (size_t i = 0; i < CANARY_BYTES; i++) {
    cr_assert_eq(image[i], canary, "%s: written before its start", what);
    cr_assert_eq(image[CANARY_BYTES + bytes + i], canary,
                 "%s: written behind its end", what);
  }
  memmove(image, image + CANARY_BYTES, bytes);
  return as_floats(image, buffer->count, buffer->type);
}

void test_release(test_buffer *buffer) {
  test_backend()->release(buffer->context, buffer->block);
  *buffer = (test_buffer){0};
}

float test_uniform(uint64_t seed, size_t i, float low, float high) {
  surge_philox4 draw =
      surge_philox(seed, 0, 0, (uint32_t)(i >> 32), (uint32_t)i);
  return low + (high - low) * surge_uniform(draw.x[0]);
}

float *test_random(uint64_t seed, size_t count, float low, float high) {
  float *values = malloc(count * sizeof(float) + 1);
  for (size_t i = 0; i < count; i++)
    values[i] = test_uniform(seed, i, low, high);
  return values;
}

double test_bound(double depth, double sum_abs) {
  return (depth + 2) * 0x1p-24 * sum_abs;
}
