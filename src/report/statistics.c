/* statistics.c - see statistics.h. */
#include "src/report/statistics.h"

#include <math.h>
#include <stdlib.h>

surge_spread surge_spread_of(const double *x, int32_t n) {
  double sum = 0, squares = 0;
  for (int32_t i = 0; i < n; i++) sum += x[i];
  double mean = sum / n;
  for (int32_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
  return (surge_spread){n, n > 0 ? mean : (double)NAN,
                        n > 1 ? sqrt(squares / (n - 1)) : (double)NAN};
}

/* --- Student's t ---------------------------------------------------------- */

static double not_zero(double x) { return fabs(x) < 1e-300 ? 1e-300 : x; }

/* The fraction's value; it converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x) {
  double c = 1, d = 1 / not_zero(1 - (a + b) * x / (a + 1)), h = d;
  for (int m = 1; m <= 1000; m++) {
    double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / not_zero(1 + even * d);
    c = not_zero(1 + even / c);
    h *= d * c;
    d = 1 / not_zero(1 + odd * d);
    c = not_zero(1 + odd / c);
    h *= d * c;
    if (fabs(d * c - 1) < 1e-15) break;
  }
  return h;
}

double surge_incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  double front =
      exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double surge_student_two_sided(double x, double df) {
  return surge_incomplete_beta(df / 2, 0.5, df / (df + x * x));
}

/* --- pairs ---------------------------------------------------------------- */

/* A table's numbers have nine digits (%.9g): what is smaller than this share of
 * the largest of them is rounding. */
#define ROUNDING 1e-8

/* Sums that are equal but for `rounding` count as equal. */
static double exact(const double *d, int32_t n, double rounding) {
  double found = 0;
  for (int32_t i = 0; i < n; i++) found += d[i];
  int64_t ways = (int64_t)1 << n, extreme = 0;
  for (int64_t signs = 0; signs < ways; signs++) {
    double sum = 0;
    for (int32_t i = 0; i < n; i++) sum += signs >> i & 1 ? -d[i] : d[i];
    extreme += fabs(sum) >= fabs(found) - rounding;
  }
  return (double)extreme / (double)ways;
}

surge_paired surge_paired_test(const double *a, const double *b, int32_t n) {
  surge_paired test = {.t = NAN, .p = NAN, .p_exact = NAN};
  double largest = 0;
  int32_t pairs = 0;
  double *d = calloc((size_t)n + 1, sizeof *d);
  if (!d) return test;
  for (int32_t i = 0; i < n; i++) {
    if (!isfinite(a[i]) || !isfinite(b[i])) continue;
    d[pairs++] = b[i] - a[i];
    largest = fmax(largest, fmax(fabs(a[i]), fabs(b[i])));
  }
  test.difference = surge_spread_of(d, pairs);
  if (test.difference.deviation > ROUNDING * largest) {
    test.t = test.difference.mean / (test.difference.deviation / sqrt(pairs));
    test.p = surge_student_two_sided(test.t, pairs - 1);
  }
  if (pairs >= 2 && pairs <= SURGE_MOST_EXACT)
    test.p_exact = exact(d, pairs, ROUNDING * largest);
  free(d);
  return test;
}
