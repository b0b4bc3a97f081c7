/* test_surrogate.c - the families of kernels/shared/surrogate.h: S_w is a
 * distribution function of width w, h_w its density, and both are finite. */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>

#include "kernels/shared/surrogate.h"

#define UNIT 0x1p-24 /* unit roundoff of fp32 */

static const char *const names[] = {
#define NAME(NAME, word, half) #word,
    SURGE_FAMILY_LIST(NAME)
#undef NAME
};

static const float widths[] = {0.2f, 0.5f, 1, 1.019804f, 2.5f, 10};
#define WIDTHS (sizeof widths / sizeof *widths)

static double S(surge_family family, double x, double w) {
  return (double)surge_soft_spike(family, (float)x, 1 / (float)w);
}

static double h(surge_family family, double x, double w) {
  return (double)surge_surrogate(family, (float)x, (float)w, 1 / (float)w);
}

/* Calls `check` for each family and width. */
static void for_each(void (*check)(surge_family f, double w)) {
  for (int f = 0; f < SURGE_FAMILY_COUNT; f++)
    for (size_t i = 0; i < WIDTHS; i++)
      check((surge_family)f, (double)widths[i]);
}

/* S and h have a few roundings and an exp, atan or erf of 2 ulp: 16 units of
 * their size. */
#define FUNCTION_ERROR (16 * UNIT)

static void check_bounds(surge_family f, double w) {
  const float far[] = {0, 0x1p-149f, 1e-6f, 0.5f, 1, 5, 87, 103, 1e3f, 1e4f};
  for (size_t i = 0; i < 2 * sizeof far / sizeof *far; i++) {
    double x = (i % 2 ? -1.0 : 1.0) * (double)far[i / 2];
    double s = S(f, x, w), density = h(f, x, w);
    cr_expect(s >= 0 && s <= 1, "%s, w %g: S(%g) = %g", names[f], w, x, s);
    cr_expect(density >= 0 && density <= (1 + FUNCTION_ERROR) / w,
              "%s, w %g: h(%g) = %g", names[f], w, x, density);
  }
}

Test(surrogate, finite_and_within_bounds) { for_each(check_bounds); }

/* S(x) + S(-x) = 1, h(x) = h(-x), S never falls. */
static void check_symmetry(surge_family f, double w) {
  double before = 0;
  for (int i = -400; i <= 400; i++) {
    double x = w * i / 64, s = S(f, x, w), mirror = S(f, -x, w);
    cr_expect(fabs(s + mirror - 1) <= 2 * FUNCTION_ERROR,
              "%s, w %g: S(%g) = %g, S(%g) = %g", names[f], w, x, s, -x,
              mirror);
    cr_expect(h(f, x, w) == h(f, -x, w), "%s, w %g: h(+-%g)", names[f], w, x);
    cr_expect(s >= before - FUNCTION_ERROR, "%s, w %g: S falls at %g", names[f],
              w, x);
    before = s;
  }
}

Test(surrogate, symmetric_and_rising) { for_each(check_symmetry); }

/* Area of h over |x| <= reach by the midpoint rule, whose error is bounded
 * where h has a second derivative by reach^3/(12 n^2) max|h''|; a kink or a
 * jump costs at most one cell's height. */
static double area(surge_family family, double w, double reach, int n) {
  double sum = 0, dx = 2 * reach / n;
  for (int i = 0; i < n; i++) sum += h(family, -reach + (i + 0.5) * dx, w);
  return sum * dx;
}

/* What lies beyond |x| = 100 w: 2 (1 - S), by the family's own formula. */
static double tails(surge_family family) {
  if (family == SURGE_ARCTAN) return 2 * atan(1 / (50 * M_PI)) / M_PI;
  if (family == SURGE_FAST_SIGMOID) return 1.0 / 101;
  return 0;
}

static void check_area(surge_family f, double w) {
  int n = 1 << 16;
  double cell = 200.0 / n; /* in widths; h is at most 1/w */
  double error = area(f, w, 100 * w, n) + tails(f) - 1;
  cr_expect(fabs(error) <= cell + FUNCTION_ERROR, "%s, w %g: area off by %g",
            names[f], w, error);
}

Test(surrogate, area_is_1) { for_each(check_area); }

static void check_half(surge_family f, double w) {
  double c = surge_central_half(f) * w;
  double mass = S(f, c, w) - S(f, -c, w);
  /* c itself is rounded to float: |x| h relative, below 1/2. */
  cr_expect(fabs(mass - 0.5) <= 2 * FUNCTION_ERROR + UNIT,
            "%s, w %g: mass %.9g", names[f], w, mass);
}

Test(surrogate, central_half_holds_half) { for_each(check_half); }

/* Whether h has a kink or a jump within `reach` of x. */
static bool kinked(surge_family family, double x, double w, double reach) {
  double a = fabs(x);
  if (family == SURGE_RECTANGULAR) return fabs(a - w / 2) <= reach;
  if (family == SURGE_TRIANGULAR) return a <= reach || fabs(a - w) <= reach;
  return family == SURGE_FAST_SIGMOID && a <= reach;
}

/* (S(x+e) - S(x-e))/2e = h, and the same over w = -y h with y = x/w. The step
 * e is w/64; the truncation error e^2/6 times the third derivative, that is
 * f''(y)/w^3 and (6 y f + 6 y^2 f' + y^3 f'')/w^3 with f, |f'| <= 1, |f''| <= 3
 * for every family. To it comes the rounding error of S over the step. */
static void check_derivatives(surge_family f, double w) {
  for (int i = -200; i <= 200; i++) {
    double x = w * (i + 0.37) / 50, step = 1.0 / 64, e = step * w;
    double y = fabs(x / w), noise = 2 * FUNCTION_ERROR / step;
    if (kinked(f, x, w, e * (1 + 2 * y))) continue;
    double dx = (S(f, x + e, w) - S(f, x - e, w)) / (2 * e);
    double dw = (S(f, x, w + e) - S(f, x, w - e)) / (2 * e);
    double density = h(f, x, w), square = step * step;
    cr_expect(fabs(dx - density) <= (square / 2 + noise) / w,
              "%s, w %g, x %g: %g for %g", names[f], w, x, density, dx);
    double bound = (square * y * (1 + y + y * y) + noise) / w;
    cr_expect(fabs(dw + x / w * density) <= bound,
              "%s, w %g, x %g: dS/dw %g for %g", names[f], w, x,
              -x / w * density, dw);
  }
}

Test(surrogate, derivatives_by_differences) { for_each(check_derivatives); }

/* Values of the method, to the digits given there. */
Test(surrogate, published_values) {
  const struct {
    surge_family family;
    double w, x, h, digit;
  } cases[] = {
      {SURGE_ARCTAN, .5, 1, .092, 1e-3},
      {SURGE_ARCTAN, .5, .5, .2884, 1e-4},
      {SURGE_ARCTAN, .5, .1, .91017, 1e-5},
      {SURGE_ARCTAN, .5, 0, 1, 1e-6},
      {SURGE_SIGMOID, .25, 1, .070651, 1e-6},
      {SURGE_SIGMOID, .25, .5, .419974, 1e-6},
      {SURGE_SIGMOID, .25, .1, .961043, 1e-6},
      {SURGE_SIGMOID, .25, 0, 1, 1e-6},
      {SURGE_TRIANGULAR, 1, 1, 0, 1e-6},
      {SURGE_TRIANGULAR, 1, .5, .5, 1e-6},
      {SURGE_TRIANGULAR, 1, .1, .9, 1e-6},
      {SURGE_TRIANGULAR, 1, 0, 1, 1e-6},
      {SURGE_RECTANGULAR, 2, .999, .5, 1e-6},
      {SURGE_RECTANGULAR, 2, 1, 0, 1e-6}, /* the window is open */
      {SURGE_GAUSSIAN, 1, 0, .398942, 1e-6},
      {SURGE_FAST_SIGMOID, .5, .5, .25, 1e-6},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int sign = -1; sign <= 1; sign += 2) {
      double got = h(cases[i].family, sign * cases[i].x, cases[i].w);
      cr_expect(fabs(got - cases[i].h) <= cases[i].digit / 2 + UNIT,
                "%s, w %g, x %g: wanted %g, found %.9g", names[cases[i].family],
                cases[i].w, sign * cases[i].x, cases[i].h, got);
    }
}
