/* math.h - exp, log, atan and erf of floats with the same bits everywhere.
 *
 * `expf` of two libraries differs in the last bit, and one such bit is enough
 * to make a spike differ. These are built of IEEE + - * /, selects and bit
 * operations alone (no fused multiply-add, no library), so that a CPU and a GPU
 * agree; and they are free of branches, so that a loop over elements becomes
 * vector code. All are finite for every finite argument and hand NaN on.
 *
 * Largest errors, as tests/ops/test_math.c measures them against double, in
 * units of the last place (of a result that is not subnormal):
 *     surge_expf   1.1    surge_logf   0.9
 *     surge_atanf  2.1    surge_erff   1.4
 * The kernels exp, log and atan follow Moshier's Cephes library (single
 * precision); erf is two Chebyshev fits of this project's own. */
#ifndef SURGE_SHARED_MATH_H
#define SURGE_SHARED_MATH_H

#include <math.h>
#include <string.h>
#include <surge/tensor.h>

SURGE_INLINE uint32_t surge_bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

SURGE_INLINE float surge_float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* x with the sign of `sign`, for x >= 0. */
SURGE_INLINE float surge_with_sign(float x, float sign) {
  return surge_float_of(surge_bits_of(x) | (surge_bits_of(sign) & 0x80000000u));
}

/* 2^k for -126 <= k <= 127. */
SURGE_INLINE float surge_power_of_two(int32_t k) {
  return surge_float_of((uint32_t)(k + 127) << 23);
}

SURGE_INLINE float surge_clamp(float x, float low, float high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

/* e^x; 0 below -104, the largest float's neighbourhood above 88.72 (never
 * infinite). x = n ln 2 + r, e^x = 2^n e^r. */
SURGE_INLINE float surge_expf(float x) {
  const float magic = 0x1.8p23f; /* adding it rounds to an integer */
  x = surge_clamp(x, -104.0f, 88.72f);
  float shifted = x * 1.44269504f + magic;
  float n = shifted - magic;
  float r = (x - n * 0.693359375f) + n * 2.12194440e-4f; /* ln 2 in two parts */
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  /* Two steps, since 2^n alone may lie outside the range of floats. */
  int32_t k = (int32_t)(surge_bits_of(shifted) - surge_bits_of(magic));
  int32_t half = k >> 1;
  return p * surge_power_of_two(half) * surge_power_of_two(k - half);
}

/* ln x for normal x > 0. x = 2^k m with m in [sqrt(1/2), sqrt(2)). */
SURGE_INLINE float surge_logf(float x) {
  const uint32_t sqrt_half = 0x3f3504f3u;
  uint32_t above = surge_bits_of(x) - sqrt_half;
  float k = (float)((int32_t)above >> 23);
  float f = surge_float_of((above & 0x007fffffu) + sqrt_half) - 1.0f;
  float p = 7.0376836292e-2f;
  p = p * f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  float square = f * f;
  float tail = p * f * square - k * 2.12194440e-4f - 0.5f * square;
  return (f + tail) + k * 0.693359375f;
}

/* atan x: reduced at tan(pi/8) and tan(3 pi/8) with one division. */
SURGE_INLINE float surge_atanf(float x) {
  float a = fabsf(x);
  bool middle = a > 0.414213562f, far = a > 2.41421356f;
  float above = far ? -1.0f : middle ? a - 1.0f : a;
  float below = far ? a : middle ? a + 1.0f : 1.0f;
  float base = far ? 1.57079637f : middle ? 0.785398185f : 0.0f;
  float rest = far ? -4.37113883e-8f : middle ? -2.18556941e-8f : 0.0f;
  float y = above / below, z = y * y;
  float p = 8.05374449538e-2f;
  p = p * z - 1.38776856032e-1f;
  p = p * z + 1.99777106478e-1f;
  p = p * z - 3.33329491539e-1f;
  return surge_with_sign(base + ((p * z * y + rest) + y), x);
}

/* erf x: an odd polynomial up to 1; then 1 - e^-q(x), whose q was fitted to
 * -ln erfc on [1, 4]; from 4 on it rounds to 1. */
SURGE_INLINE float surge_erff(float x) {
  float a = fabsf(x), z = a * a;
  float p = 7.88249381e-5f;
  p = p * z - 8.01885384e-4f;
  p = p * z + 5.18931169e-3f;
  p = p * z - 2.68543288e-2f;
  p = p * z + 1.12835973e-1f;
  p = p * z - 3.76126260e-1f;
  p = p * z + 1.28379166e-1f;
  float near = p * a + a;
  float b = a > 4.0f ? 4.0f : a;
  float q = -1.61468699e-6f;
  q = q * b + 4.56035887e-5f;
  q = q * b - 5.92884549e-4f;
  q = q * b + 4.74079093e-3f;
  q = q * b - 2.63664294e-2f;
  q = q * b + 1.09981455e-1f;
  q = q * b + 6.31933451e-1f;
  q = q * b + 1.13016891f;
  q = q * b - 3.03822395e-4f;
  float far = 1.0f - surge_expf(-q);
  return surge_with_sign(a < 1.0f ? near : far, x);
}

#endif
