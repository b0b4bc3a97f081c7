/* test_math.c - exp, log, atan and erf of kernels/shared/math.h: their errors
 * against double, their limits, and that none makes a NaN of a number. */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>

#include "kernels/shared/element.h"

static float apply_exp(float x) { return surge_expf(x); }
static float apply_log(float x) { return surge_logf(x); }
static float apply_atan(float x) { return surge_atanf(x); }
static float apply_erf(float x) { return surge_erff(x); }

typedef struct function {
  const char *name;
  float (*got)(float x);
  double (*want)(double x);
  float low, high; /* where the error is promised                           */
  double ulp;      /* the promise of math.h                                 */
} function;

static const function functions[] = {
    {"exp", apply_exp, exp, -87.3f, 88.7f, 1.1},
    {"log", apply_log, log, FLT_MIN, FLT_MAX, 0.9},
    {"atan", apply_atan, atan, -FLT_MAX, FLT_MAX, 2.1},
    {"erf", apply_erf, erf, -FLT_MAX, FLT_MAX, 1.4},
};
#define FUNCTIONS (sizeof functions / sizeof *functions)

/* |got - want| in units of the last place of a float next to want. */
static double error_in_ulp(float got, double want) {
  int exponent;
  (void)frexp(want, &exponent);
  if (exponent < -125) exponent = -125; /* subnormal */
  return fabs((double)got - want) / ldexp(1, exponent - 24);
}

/* Largest error over every `stride`-th float of the promised range. */
static double largest_error(const function *f, uint32_t stride, float *where) {
  double largest = 0;
  *where = 0;
  for (uint32_t bits = 0; bits < 0x7f800000u; bits += stride)
    for (uint32_t sign = 0; sign < 2; sign++) {
      float x = surge_float_of(bits | sign << 31);
      if (x < f->low || x > f->high) continue;
      double error = error_in_ulp(f->got(x), f->want((double)x));
      if (error <= largest) continue;
      largest = error;
      *where = x;
    }
  return largest;
}

Test(math, error_is_as_promised) {
  for (size_t i = 0; i < FUNCTIONS; i++) {
    float where;
    double error = largest_error(&functions[i], 499, &where);
    cr_expect_leq(error, functions[i].ulp, "%s: %g ulp at %a",
                  functions[i].name, error, (double)where);
  }
}

/* The ends of ranges, between the strides of the test above. */
Test(math, error_at_the_seams) {
  const struct {
    const function *f;
    float at;
  } seams[] = {{&functions[0], 0.346573591f},
               {&functions[0], -0.346573591f},
               {&functions[1], 1},
               {&functions[1], 0.707106769f},
               {&functions[2], 0.414213568f},
               {&functions[2], 2.41421366f},
               {&functions[3], 1},
               {&functions[3], 4}};
  for (size_t i = 0; i < sizeof seams / sizeof *seams; i++)
    for (int step = -500; step <= 500; step++) {
      const function *f = seams[i].f;
      uint32_t bits = surge_bits_of(seams[i].at) + (uint32_t)step;
      float x = surge_float_of(bits);
      double error = error_in_ulp(f->got(x), f->want((double)x));
      cr_expect_leq(error, f->ulp, "%s: %g ulp at %a", f->name, error,
                    (double)x);
    }
}

Test(math, limits) {
  const struct {
    const char *name;
    float got, want;
  } cases[] = {
      {"exp 0", surge_expf(0), 1},
      {"exp -inf", surge_expf(-INFINITY), 0},
      {"exp -1e4", surge_expf(-1e4f), 0},
      {"exp inf is the largest", surge_expf(INFINITY), surge_expf(88.72f)},
      {"log 1", surge_logf(1), 0},
      {"atan 0", surge_atanf(0), 0},
      {"atan inf", surge_atanf(INFINITY), 1.57079637f},
      {"atan -inf", surge_atanf(-INFINITY), -1.57079637f},
      {"erf 0", surge_erff(0), 0},
      {"erf 4", surge_erff(4), 1},
      {"erf -1e4", surge_erff(-1e4f), -1},
      {"erf inf", surge_erff(INFINITY), 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    cr_expect(cases[i].got == cases[i].want, "%s: wanted %a, found %a",
              cases[i].name, (double)cases[i].want, (double)cases[i].got);
}

Test(math, finite_for_numbers_and_nan_for_nan) {
  for (size_t i = 0; i < FUNCTIONS; i++) {
    const function *f = &functions[i];
    float low = f->got == apply_log ? FLT_MIN : -1e4f;
    for (int k = 0; k <= 20000; k++) {
      float x = fmaxf(low, -1e4f + (float)k);
      cr_expect(isfinite(f->got(x)), "%s of %g", f->name, (double)x);
    }
    if (f->got != apply_log)
      cr_expect(isnan(f->got(NAN)), "%s of NaN", f->name);
  }
}

/* Subnormal results come in two steps of scaling, each rounded at most once. */
Test(math, exp_below_the_normal_range) {
  for (float x = -103.9f; x < -87.3f; x += 0.013f) {
    double error = error_in_ulp(surge_expf(x), exp((double)x));
    cr_expect_leq(error, 1.1, "exp of %g: %g ulp", (double)x, error);
  }
}

/* bf16: every one of its numbers survives the way there and back, and floats in
 * between go to the nearest, ties to the even one. */
Test(element, bf16_rounds_to_nearest_even) {
  for (uint32_t bits = 0; bits < 0x10000; bits++) {
    float x = surge_bf16_to_float((uint16_t)bits);
    if (isnan(x))
      cr_expect(isnan(surge_bf16_to_float(surge_float_to_bf16(x))));
    else
      cr_expect_eq(surge_float_to_bf16(x), bits, "%08x", bits << 16);
    if (!isfinite(x) || !isfinite(surge_bf16_to_float((uint16_t)(bits + 1))))
      continue;
    uint32_t lower = bits << 16;
    uint32_t even = bits & 1 ? bits + 1 : bits;
    cr_expect_eq(surge_float_to_bf16(surge_float_of(lower | 0x7FFF)), bits);
    cr_expect_eq(surge_float_to_bf16(surge_float_of(lower | 0x8000)), even);
    cr_expect_eq(surge_float_to_bf16(surge_float_of(lower | 0x8001)), bits + 1);
  }
}
