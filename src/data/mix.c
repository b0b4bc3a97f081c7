/* mix.c - mixup (Zhang 2018) and cutmix (Yun 2019), drawn once a batch.
 *
 * Both as in torchvision's references: lambda ~ Beta(alpha, alpha) a batch, and
 * where both are on, one of them with p = 1/2. */
#include <math.h>
#include <surge/data.h>

#include "kernels/shared/philox.h"

static const double pi = 3.14159265358979323846;

/* The blocks of a batch's numbers, one after the other. */
typedef struct batch_stream {
  uint64_t seed;
  uint32_t epoch, batch, block;
} batch_stream;

static surge_philox4 next_block(batch_stream *s) {
  return surge_philox(s->seed, s->epoch, SURGE_RANDOM_MIX, s->batch,
                      s->block++);
}

/* Uniform in (0, 1). */
static double inside(uint32_t bits) { return (bits + 0.5) * 0x1p-32; }

/* ln of a Gamma(alpha) number: Marsaglia & Tsang 2000 for alpha + 1, times
 * U^(1/alpha). A logarithm, as a small alpha's numbers underflow. */
static double draw_log_gamma(batch_stream *s, double alpha) {
  double d = alpha + 2.0 / 3, c = 1 / sqrt(9 * d);
  for (;;) {
    surge_philox4 draw = next_block(s);
    double radius = sqrt(-2 * log(inside(draw.x[0])));
    double normal = radius * cos(2 * pi * inside(draw.x[1]));
    double root = 1 + c * normal, cube = root * root * root;
    if (root > 0 && log(inside(draw.x[2])) <
                        0.5 * normal * normal + d * (1 - cube + log(cube)))
      return log(d * cube) + log(inside(draw.x[3])) / alpha;
  }
}

/* Beta(alpha, alpha): a Gamma number's share of two. */
static double draw_beta(batch_stream *s, double alpha) {
  double a = draw_log_gamma(s, alpha), b = draw_log_gamma(s, alpha);
  return 1 / (1 + exp(b - a));
}

static int32_t clipped(int32_t x, int32_t high) {
  return x < 0 ? 0 : x > high ? high : x;
}

/* A rectangle of 1 - lambda of the area around pixel (y, x), cut off at the
 * border; what is left of the image is its share. */
static surge_mix paste(int32_t h, int32_t w, double lambda, int32_t y,
                       int32_t x) {
  double r = 0.5 * sqrt(1 - lambda);
  int32_t half_h = (int32_t)(r * h), half_w = (int32_t)(r * w);
  surge_rectangle p = {.top = clipped(y - half_h, h),
                       .left = clipped(x - half_w, w)};
  p.h = clipped(y + half_h, h) - p.top;
  p.w = clipped(x + half_w, w) - p.left;
  double area = (double)p.h * p.w / ((double)h * w);
  return (surge_mix){.share = (float)(1 - area), .pasted = p};
}

bool surge_data_mixes(const struct surge_data_recipe *recipe) {
  return recipe->mixup > 0 || recipe->cutmix > 0;
}

surge_mix surge_mix_draw(const struct surge_data_recipe *recipe,
                         const surge_dataset_info *info, uint64_t seed,
                         uint32_t epoch, int32_t batch) {
  batch_stream s = {.seed = seed, .epoch = epoch, .batch = (uint32_t)batch};
  if (!surge_data_mixes(recipe)) return (surge_mix){.share = 1};
  surge_philox4 draw = next_block(&s);
  bool both = recipe->mixup > 0 && recipe->cutmix > 0;
  bool cut = both ? draw.x[0] >> 31 : recipe->cutmix > 0;
  double lambda = draw_beta(&s, (double)(cut ? recipe->cutmix : recipe->mixup));
  if (!cut) return (surge_mix){.share = (float)lambda};
  return paste(info->h, info->w, lambda,
               surge_place(draw.x[1], (uint32_t)info->h),
               surge_place(draw.x[2], (uint32_t)info->w));
}
