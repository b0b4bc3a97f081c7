/* math.h - exp, log, atan and erf of float, the same bits on every backend.
 *
 * Two libraries' expf differ in the last bit, and with it a spike. These are
 * made of + - * /, selects and bit operations alone, each rounded once (the
 * build contracts nothing), without a branch, so that a loop over them fills
 * vectors. Polynomials: Moshier, Cephes (single precision). tests/ops/test_math.c
 * holds them to a few units in the last place of the library's double. */
#ifndef SURGE_SHARED_MATH_H
#define SURGE_SHARED_MATH_H

#include <surge/tensor.h>

SURGE_INLINE float surge_float_of_bits(int32_t bits) {
  union { int32_t i; float f; } both;
  both.i = bits;
  return both.f;
}

SURGE_INLINE int32_t surge_bits_of_float(float x) {
  union { int32_t i; float f; } both;
  both.f = x;
  return both.i;
}

SURGE_INLINE float surge_absf(float x) {
  return surge_float_of_bits(surge_bits_of_float(x) & 0x7FFFFFFF);
}

/* e^x, x held in [-87, 88]: never 0, never infinite. */
SURGE_INLINE float surge_expf(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  float n = x * 1.44269504f + 12582912.0f; /* rounds to an integer */
  int32_t k = surge_bits_of_float(n) - 0x4B400000;
  n = n - 12582912.0f;
  float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = (p * (r * r) + r) + 1.0f;
  return p * surge_float_of_bits((k + 127) * (1 << 23));
}

/* ln x for normal x > 0. */
SURGE_INLINE float surge_logf(float x) {
  int32_t bits = surge_bits_of_float(x);
  int32_t e = (bits >> 23) - 126;
  float m = surge_float_of_bits((bits & 0x007FFFFF) | 0x3F000000); /* [.5, 1) */
  int32_t low = m < 0.707106781f;
  float y = low ? m + m - 1.0f : m - 1.0f, n = (float)(e - low), z = y * y;
  float p = 7.0376836292e-2f;
  p = p * y - 1.1514610310e-1f;
  p = p * y + 1.1676998740e-1f;
  p = p * y - 1.2420140846e-1f;
  p = p * y + 1.4249322787e-1f;
  p = p * y - 1.6668057665e-1f;
  p = p * y + 2.0000714765e-1f;
  p = p * y - 2.4999993993e-1f;
  p = p * y + 3.3333331174e-1f;
  p = p * y * z + n * -2.12194440e-4f - 0.5f * z;
  return (y + p) + n * 0.693359375f;
}

/* arctan x. */
SURGE_INLINE float surge_atanf(float x) {
  float a = surge_absf(x);
  int32_t large = a > 2.414213562f, middle = a > 0.4142135624f;
  float above = large ? -1.0f : middle ? a - 1.0f : a;
  float below = large ? a : middle ? a + 1.0f : 1.0f;
  float base = large ? 1.570796327f : middle ? 0.7853981634f : 0.0f;
  float r = above / below, z = r * r;
  float p = 8.05374449538e-2f;
  p = p * z - 1.38776856032e-1f;
  p = p * z + 1.99777106478e-1f;
  p = p * z - 3.33329491539e-1f;
  float y = base + (p * z * r + r);
  return x < 0.0f ? -y : y;
}

/* erf x: Cephes' ndtrf, near 0 a polynomial, else 1 - erfc. */
SURGE_INLINE float surge_erff(float x) {
  float a = surge_absf(x), z = x * x;
  float p = 7.853861353153693e-5f;
  p = p * z - 8.010193625184903e-4f;
  p = p * z + 5.188327685732524e-3f;
  p = p * z - 2.685381193529856e-2f;
  p = p * z + 1.128358514861418e-1f;
  p = p * z - 3.761262582423300e-1f;
  p = p * z + 1.128379165726710f;
  float q = 1.0f / (a < 1.0f ? 1.0f : a), y = q * q;
  float m = 2.326819970068386e-2f; /* 1 <= a < 2 */
  m = m * y - 1.387039388740657e-1f;
  m = m * y + 3.687424674597105e-1f;
  m = m * y - 5.824733027278666e-1f;
  m = m * y + 6.210004621745983e-1f;
  m = m * y - 4.944515323274145e-1f;
  m = m * y + 3.404879937665872e-1f;
  m = m * y - 2.741127028184656e-1f;
  m = m * y + 5.638259427386472e-1f;
  float f = -1.047766399936249e+1f; /* 2 <= a */
  f = f * y + 1.297719955372516e+1f;
  f = f * y - 7.495518717768503f;
  f = f * y + 2.921019019210786f;
  f = f * y - 1.015265279202700f;
  f = f * y + 4.218463358204948e-1f;
  f = f * y - 2.820767439740514e-1f;
  f = f * y + 5.641895067754075e-1f;
  float far = 1.0f - surge_expf(-z) * q * (a < 2.0f ? m : f);
  far = x < 0.0f ? -far : far;
  return a < 1.0f ? x * p : far;
}

#endif
