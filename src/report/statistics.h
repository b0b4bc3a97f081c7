/* statistics.h - what may be said of a few numbers. */
#ifndef SURGE_REPORT_STATISTICS_H
#define SURGE_REPORT_STATISTICS_H

#include <stdint.h>

typedef struct surge_spread {
  int32_t n;
  double mean, deviation; /* of a sample (n - 1); NAN where n < 2 */
} surge_spread;
surge_spread surge_spread_of(const double *x, int32_t n);

/* I_x(a, b), the regularized incomplete beta function; a, b > 0, x in [0, 1].
 * Lentz's continued fraction (DLMF 8.17.22). */
double surge_incomplete_beta(double a, double b, double x);

/* P(|t| >= |x|) of Student's t with `df` degrees of freedom:
 * I_{df/(df + x^2)}(df/2, 1/2). */
double surge_student_two_sided(double x, double df);

/* Student's paired test of the differences d[i] = b[i] - a[i], and the exact
 * one that flips their signs in all 2^n ways: the share of ways in which
 * |sum| is at least the one found. A pair of which a number is not finite is
 * left out: difference.n counts the others. What cannot be said is NAN: t and
 * p where n < 2 or all differences are equal but for the rounding of nine
 * digits, p_exact where n < 2 or n > SURGE_MOST_EXACT. */
#define SURGE_MOST_EXACT 10
typedef struct surge_paired {
  surge_spread difference;
  double t, p, p_exact;
} surge_paired;
surge_paired surge_paired_test(const double *a, const double *b, int32_t n);

#endif
