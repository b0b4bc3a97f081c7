/* Are the report's statistics those of the books? */
#include <criterion/criterion.h>
#include <math.h>

#include "src/report/statistics.h"

static void near(double found, double wanted, double within, const char *what) {
  cr_expect(fabs(found - wanted) <= within, "%s: %.12g, wanted %.12g", what,
            found, wanted);
}

/* Critical values of every table of Student's t, to their three decimals. */
Test(statistics, table_of_student) {
  static const struct {
    int df;
    double alpha, t;
  } row[] = {{1, 0.05, 12.706},  {2, 0.05, 4.303},  {3, 0.05, 3.182},
             {5, 0.05, 2.571},   {10, 0.05, 2.228}, {30, 0.05, 2.042},
             {120, 0.05, 1.980}, {1, 0.01, 63.657}, {2, 0.01, 9.925},
             {4, 0.01, 4.604},   {9, 0.01, 3.250},  {30, 0.01, 2.750},
             {4, 0.10, 2.132},   {9, 0.001, 4.781}};
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    double above = surge_student_two_sided(row[i].t - 0.0005, row[i].df);
    double below = surge_student_two_sided(row[i].t + 0.0005, row[i].df);
    cr_expect(below <= row[i].alpha && row[i].alpha <= above,
              "df %d, alpha %g: p between %.9g and %.9g", row[i].df,
              row[i].alpha, below, above);
  }
}

/* One and two degrees of freedom have closed forms. */
Test(statistics, closed_forms) {
  for (double t = -40; t <= 40; t += 0.37) {
    double cauchy = 1 - 2 / acos(-1) * atan(fabs(t));
    near(surge_student_two_sided(t, 1), cauchy, 1e-13, "df 1");
    near(surge_student_two_sided(t, 2), 1 - fabs(t) / sqrt(2 + t * t), 1e-13,
         "df 2");
  }
  for (double x = 0; x <= 1; x += 1.0 / 64) {
    near(surge_incomplete_beta(1, 1, x), x, 1e-14, "I(1, 1)");
    near(surge_incomplete_beta(7, 1, x), pow(x, 7), 1e-14, "I(7, 1)");
    near(surge_incomplete_beta(2, 3, x), x * x * (6 - 8 * x + 3 * x * x), 1e-14,
         "I(2, 3)");
    near(surge_incomplete_beta(40, 0.5, x) +
             surge_incomplete_beta(0.5, 40, 1 - x),
         1, 1e-13, "both ends");
  }
}

/* Hours of sleep won by two drugs (Cushny and Peebles 1905), on which Student
 * showed his test in 1908: t = 4.0621 on 9 degrees of freedom, p = 0.002833. */
Test(statistics, sleep_of_student) {
  const double a[] = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
  const double b[] = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
  surge_paired test = surge_paired_test(a, b, 10);
  cr_expect_eq(test.difference.n, 10);
  near(test.difference.mean, 1.58, 1e-12, "mean");
  near(test.difference.deviation, 1.229995, 5e-7, "deviation");
  near(test.t, 4.0621, 5e-5, "t");
  near(test.p, 0.002833, 5e-7, "p");
  /* nine differences of one sign and a 0: 2 x 2 of 1024 ways are as extreme */
  near(test.p_exact, 4.0 / 1024, 0, "exact p");
  surge_paired back = surge_paired_test(b, a, 10);
  near(back.t, -test.t, 1e-12, "t of the pairs turned round");
  near(back.p, test.p, 1e-15, "p of the pairs turned round");
}

/* Sums by hand: differences 1, 2, -4; |sum| = 1; of the eight ways |7|, |5|,
 * |3| and |1| twice each. */
Test(statistics, exact_by_hand) {
  const double a[] = {0, 0, 0}, b[] = {1, 2, -4};
  near(surge_paired_test(a, b, 3).p_exact, 1, 0, "all ways are as extreme");
  const double c[] = {1, 2, 4};
  near(surge_paired_test(a, c, 3).p_exact, 2.0 / 8, 0, "two of eight");
  const double d[] = {-1, 2, 4}; /* sum 5: 7 and 5, twice each */
  near(surge_paired_test(a, d, 3).p_exact, 4.0 / 8, 0, "four of eight");
}

/* What cannot be said is not said: no 0 stands for it. */
Test(statistics, too_few) {
  const double a[] = {0.25, 0.5, 0.75}, b[] = {0.5, 0.75, 1};
  surge_spread one = surge_spread_of(a, 1);
  cr_expect(one.mean == 0.25 && isnan(one.deviation), "n = 1");
  cr_expect(isnan(surge_spread_of(a, 0).mean), "n = 0");
  surge_paired test = surge_paired_test(a, b, 1);
  cr_expect(isnan(test.t) && isnan(test.p) && isnan(test.p_exact), "n = 1");
  test = surge_paired_test(a, b, 3); /* equal differences: no spread, no t */
  cr_expect(isnan(test.t) && isnan(test.p));
  near(test.p_exact, 0.25, 0, "of equal differences");
  double x[11] = {0}, y[11];
  for (int i = 0; i < 11; i++) y[i] = i + 1;
  cr_expect(isnan(surge_paired_test(x, y, 11).p_exact), "n = 11");
  cr_expect(isfinite(surge_paired_test(x, y, 11).p));
}

/* Equal differences of numbers that have no exact binary form: their spread is
 * rounding, and a t of it would be of the order of 1e13. */
Test(statistics, rounding_is_no_spread) {
  static const int right[] = {9126, 9131, 9119, 9142, 9108}; /* of 10,000 */
  double a[5], b[5];
  for (int i = 0; i < 5; i++) a[i] = right[i] / 1e4;
  for (int more = 1; more <= 9; more++) {
    for (int i = 0; i < 5; i++) b[i] = (right[i] + more) / 1e4;
    surge_paired test = surge_paired_test(a, b, 5);
    near(test.difference.mean, 1e-4 * more, 1e-12, "mean");
    cr_expect(isnan(test.t) && isnan(test.p), "+%d: t = %g", more, test.t);
    near(test.p_exact, 2.0 / 32, 0, "of equal differences");
  }
  for (int i = 0; i < 5; i++) b[i] = (right[i] + 1 + (i == 4)) / 1e4;
  near(surge_paired_test(a, b, 5).t, 6, 1e-6, "a spread of one image");
}

/* A run without accuracy is in no pair; it makes no p of 0. */
Test(statistics, not_a_number) {
  const double a[] = {0, NAN, 0, 0, 0}, b[] = {1, 2, 2, NAN, -4};
  surge_paired test = surge_paired_test(a, b, 5);
  cr_expect_eq(test.difference.n, 3);
  near(test.difference.mean, -1.0 / 3, 1e-15, "mean");
  near(test.p_exact, 1, 0, "exact p");
  cr_expect(isfinite(test.p));
  test = surge_paired_test(a + 1, b + 1, 1);
  cr_expect(test.difference.n == 0 && isnan(test.t) && isnan(test.p_exact));
}
