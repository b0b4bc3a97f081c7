/* moments.h - means and variances that can be combined.
 *
 * Count, mean and sum of squared deviations of disjoint sets give those of
 * their union (Chan, Golub and LeVeque, "Algorithms for computing the sample
 * variance", 1983). E[x^2] - mean^2 would lose every digit of the variance
 * once mean/deviation nears 1/sqrt(u), and 1 % of it at 500. */
#ifndef SURGE_SHARED_MOMENTS_H
#define SURGE_SHARED_MOMENTS_H

#include <surge/tensor.h>

typedef struct surge_moments {
  double n, mean, m2; /* elements; mean; sum of (x - mean)^2 */
} surge_moments;

/* Moments of the union of a and b; a may be empty (all zeros), b may not. */
SURGE_INLINE surge_moments surge_moments_merge(surge_moments a,
                                               surge_moments b) {
  double n = a.n + b.n, share = b.n / n, step = b.mean - a.mean;
  surge_moments both = {n, a.mean + step * share,
                        a.m2 + b.m2 + step * step * a.n * share};
  return both;
}

/* Moments of n values from sums of their deviations from any nearby centre:
 * the first sum takes out what rounding the centre left. Rounding may leave the
 * squares of a constant channel below 0: never so the result (NaN stays). */
SURGE_INLINE surge_moments surge_moments_about(double centre, double n,
                                               double sum, double squares) {
  double m2 = squares - sum * sum / n;
  surge_moments m = {n, centre + sum / n, m2 < 0 ? 0 : m2};
  return m;
}

#endif
