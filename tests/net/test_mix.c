/* test_mix.c - are batches mixed as Zhang 2018 and Yun 2019 say, and drawn by
 * (seed, epoch, batch) alone? */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <surge/data.h>

static const surge_dataset_info info = {.name = "any", .h = 28, .w = 32};

static surge_mix draw(float mixup, float cutmix, int32_t batch) {
  const struct surge_data_recipe recipe = {.mixup = mixup, .cutmix = cutmix};
  return surge_mix_draw(&recipe, &info, 7, 1, batch);
}

static int by_value(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* Distribution functions of Beta(a, a) where they have a short form. */
static double beta_half(double x) { return 2 / acos(-1) * asin(sqrt(x)); }
static double beta_one(double x) { return x; }
static double beta_two(double x) { return x * x * (3 - 2 * x); }

/* Kolmogorov and Smirnov: D sqrt(n) is above 1.95 once in a thousand times. */
Test(mix, mixup_shares_are_beta) {
  enum { N = 20000 };
  static const struct {
    float alpha;
    double (*below)(double x);
  } cases[] = {{.5f, beta_half}, {1, beta_one}, {2, beta_two}};
  static float share[N];
  for (size_t i = 0; i < 3; i++) {
    double furthest = 0;
    for (int32_t k = 0; k < N; k++) {
      surge_mix mix = draw(cases[i].alpha, 0, k);
      share[k] = mix.share;
      cr_assert_eq(mix.pasted.h, 0);
    }
    qsort(share, N, sizeof *share, by_value);
    for (int k = 0; k < N; k++) {
      double p = cases[i].below((double)share[k]);
      furthest = fmax(furthest, fmax(p - (double)k / N, (k + 1.0) / N - p));
    }
    cr_expect_lt(furthest * sqrt(N), 1.95, "alpha %g: %g",
                 (double)cases[i].alpha, furthest * sqrt(N));
  }
}

/* Mean 1/2, variance 1 / (4 (2 alpha + 1)), within 5 sigma of their estimates
 * (a fourth power is at most the square / 4), also where numbers of a Gamma
 * underflow or are huge. */
Test(mix, any_alpha_has_its_moments) {
  static const float alphas[] = {1e-30f, 1e-3f, .1f,  .2f,  .7f,
                                 5,      100,   1e6f, 1e30f};
  enum { N = 20000 };
  for (size_t i = 0; i < sizeof alphas / sizeof *alphas; i++) {
    double sum = 0, squares = 0;
    double variance = 1 / (4 * (2 * (double)alphas[i] + 1));
    for (int32_t k = 0; k < N; k++) {
      double off = (double)draw(alphas[i], 0, k).share - .5;
      cr_assert(off >= -.5 && off <= .5, "alpha %g: %g", (double)alphas[i],
                off + .5);
      sum += off;
      squares += off * off;
    }
    double rounding = 0x1p-24; /* of a share to single precision */
    cr_expect_leq(fabs(sum / N), 5 * sqrt(variance / N) + rounding, "alpha %g",
                  (double)alphas[i]);
    cr_expect_leq(fabs(squares / N - variance),
                  5 * sqrt(variance / 4 / N) + rounding, "alpha %g",
                  (double)alphas[i]);
  }
}

/* A rectangle within the image, whose area is what the share lacks. Around a
 * pixel, so with the ratio of the image wherever nothing is cut off. */
Test(mix, cutmix_pastes_what_the_share_lacks) {
  int whole = 0, kinds[2] = {0};
  for (int32_t k = 0; k < 3000; k++) {
    surge_mix mix = draw(0, 1, k);
    surge_rectangle r = mix.pasted;
    cr_assert(r.top >= 0 && r.left >= 0 && r.h >= 0 && r.w >= 0);
    cr_assert(r.top + r.h <= info.h && r.left + r.w <= info.w);
    double area = (double)(r.h * r.w) / (info.h * info.w);
    cr_expect_eq(mix.share, (float)(1 - area), "batch %d", k);
    kinds[r.h * r.w > 0]++;
    if (r.top > 0 && r.left > 0 && r.top + r.h < info.h &&
        r.left + r.w < info.w) {
      whole++; /* halves of each side: int(r W), int(r H) of the same r */
      cr_expect(r.h % 2 == 0 && r.w % 2 == 0);
      cr_expect_leq(abs(r.h * info.w - r.w * info.h), 2 * info.w);
    }
  }
  cr_expect_gt(whole, 300);
  cr_expect_gt(kinds[1], 2800);
}

/* With both on, half of the batches are cut. */
Test(mix, both_take_turns_by_chance) {
  enum { N = 4000 };
  int cut = 0;
  for (int32_t k = 0; k < N; k++) {
    surge_mix mix = draw(.2f, 1e6f, k); /* cutmix: a rectangle always */
    cut += mix.pasted.h > 0;
  }
  cr_expect(fabs(cut - N / 2.0) < 5 * sqrt(N / 4.0), "%d of %d", cut, N);
}

Test(mix, depends_on_seed_epoch_and_batch_alone) {
  const struct surge_data_recipe recipe = {.mixup = .4f, .cutmix = 1};
  const struct surge_data_recipe off = {0};
  surge_mix first = surge_mix_draw(&recipe, &info, 1, 2, 3);
  static const struct {
    uint64_t seed;
    uint32_t epoch;
    int32_t batch;
  } cases[] = {{1, 2, 4}, {1, 3, 3}, {2, 2, 3}, {1 + (1ull << 32), 2, 3}};
  for (size_t i = 0; i < 4; i++) {
    surge_mix other = surge_mix_draw(&recipe, &info, cases[i].seed,
                                     cases[i].epoch, cases[i].batch);
    cr_expect_neq(other.share, first.share, "case %zu", i);
  }
  surge_mix again = surge_mix_draw(&recipe, &info, 1, 2, 3);
  cr_expect(!memcmp(&again, &first, sizeof first));
  cr_expect_eq(surge_mix_draw(&off, &info, 1, 2, 3).share, 1);
  cr_expect_eq(surge_mix_draw(&off, &info, 1, 2, 3).pasted.h, 0);
  cr_expect(surge_data_mixes(&recipe) && !surge_data_mixes(&off));
}
