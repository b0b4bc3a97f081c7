/* policy.c - what AutoAugment and TrivialAugment draw (see policy.h). */
#include "src/data/policy.h"

#include <math.h>

#include "kernels/shared/philox.h"

/* One operation of a sub-policy: with which probability, how strongly. */
typedef struct sub_step {
  surge_pixel_op op;
  float probability;
  int32_t bin; /* of the magnitudes; 0 where it has none */
} sub_step;

#define INVERT SURGE_PIXELS_INVERT
#define CONTRAST SURGE_PIXELS_CONTRAST
#define ROTATE SURGE_PIXELS_ROTATE
#define TRANSLATE_X SURGE_PIXELS_TRANSLATE_X
#define TRANSLATE_Y SURGE_PIXELS_TRANSLATE_Y
#define SHARPNESS SURGE_PIXELS_SHARPNESS
#define SHEAR_Y SURGE_PIXELS_SHEAR_Y
#define AUTOCONTRAST SURGE_PIXELS_AUTOCONTRAST
#define EQUALIZE SURGE_PIXELS_EQUALIZE
#define POSTERIZE SURGE_PIXELS_POSTERIZE
#define COLOR SURGE_PIXELS_COLOR
#define BRIGHTNESS SURGE_PIXELS_BRIGHTNESS
#define SOLARIZE SURGE_PIXELS_SOLARIZE

/* CIFAR-10's policy (Cubuk et al. 2019, table 7 of arXiv 1805.09501). */
static const sub_step cifar10[][SURGE_POLICY_STEPS] = {
    {{INVERT, .1f}, {CONTRAST, .2f, 6}},
    {{ROTATE, .7f, 2}, {TRANSLATE_X, .3f, 9}},
    {{SHARPNESS, .8f, 1}, {SHARPNESS, .9f, 3}},
    {{SHEAR_Y, .5f, 8}, {TRANSLATE_Y, .7f, 9}},
    {{AUTOCONTRAST, .5f}, {EQUALIZE, .9f}},
    {{SHEAR_Y, .2f, 7}, {POSTERIZE, .3f, 7}},
    {{COLOR, .4f, 3}, {BRIGHTNESS, .6f, 7}},
    {{SHARPNESS, .3f, 9}, {BRIGHTNESS, .7f, 9}},
    {{EQUALIZE, .6f}, {EQUALIZE, .5f}},
    {{CONTRAST, .6f, 7}, {SHARPNESS, .6f, 5}},
    {{COLOR, .7f, 7}, {TRANSLATE_X, .5f, 8}},
    {{EQUALIZE, .3f}, {AUTOCONTRAST, .4f}},
    {{TRANSLATE_Y, .4f, 3}, {SHARPNESS, .2f, 6}},
    {{BRIGHTNESS, .9f, 6}, {COLOR, .2f, 8}},
    {{SOLARIZE, .5f, 2}, {INVERT, 0}},
    {{EQUALIZE, .2f}, {AUTOCONTRAST, .6f}},
    {{EQUALIZE, .2f}, {EQUALIZE, .6f}},
    {{COLOR, .9f, 9}, {EQUALIZE, .6f}},
    {{AUTOCONTRAST, .8f}, {SOLARIZE, .2f, 8}},
    {{BRIGHTNESS, .1f, 3}, {COLOR, .7f, 0}},
    {{SOLARIZE, .4f, 5}, {AUTOCONTRAST, .9f}},
    {{TRANSLATE_Y, .9f, 9}, {TRANSLATE_Y, .7f, 9}},
    {{AUTOCONTRAST, .9f}, {SOLARIZE, .8f, 3}},
    {{EQUALIZE, .8f}, {INVERT, .1f}},
    {{TRANSLATE_Y, .7f, 9}, {AUTOCONTRAST, .9f}},
};

enum {
  SUB_POLICIES = sizeof cifar10 / sizeof *cifar10,
  AUTO_BINS = 10,
  TRIVIAL_OPS = SURGE_PIXELS_INVERT, /* those before it */
  TRIVIAL_BINS = 31
};

/* --- magnitudes ----------------------------------------------------------- */

/* Evenly spaced from `low` to `high`, in single precision from either end, as
 * torch.linspace does it by fused multiply-adds: the last bit decides what
 * 200 * 0.2 is when its fraction is dropped. */
static double spaced(float low, float high, int32_t bin, int32_t bins) {
  float step = (high - low) / (float)(bins - 1);
  return (double)(bin < bins / 2 ? fmaf(step, (float)bin, low)
                                 : fmaf(-step, (float)(bins - 1 - bin), high));
}

/* Whole pixels of the farthest translation's bins. */
static double whole(double farthest, int32_t bin, int32_t bins) {
  return trunc(farthest * bin / (bins - 1));
}

double surge_policy_magnitude(surge_policy policy, surge_pixel_op op,
                              int32_t bin, int32_t h, int32_t w,
                              bool *is_signed) {
  bool wide = policy == SURGE_POLICY_TRIVIALAUGMENT;
  int32_t bins = wide ? TRIVIAL_BINS : AUTO_BINS;
  *is_signed = op >= SURGE_PIXELS_SHEAR_X && op <= SURGE_PIXELS_SHARPNESS;
  switch (op) {
    case SURGE_PIXELS_SHEAR_X:
    case SURGE_PIXELS_SHEAR_Y: return spaced(0, wide ? .99f : .3f, bin, bins);
    case SURGE_PIXELS_TRANSLATE_X:
      return whole(wide ? 32 : 150.0 / 331.0 * w, bin, bins);
    case SURGE_PIXELS_TRANSLATE_Y:
      return whole(wide ? 32 : 150.0 / 331.0 * h, bin, bins);
    case SURGE_PIXELS_ROTATE: return spaced(0, wide ? 135 : 30, bin, bins);
    case SURGE_PIXELS_BRIGHTNESS:
    case SURGE_PIXELS_COLOR:
    case SURGE_PIXELS_CONTRAST:
    case SURGE_PIXELS_SHARPNESS: return spaced(0, wide ? .99f : .9f, bin, bins);
    case SURGE_PIXELS_POSTERIZE:
      return 8 - rint(bin * (wide ? 6.0 : 4.0) / (bins - 1));
    case SURGE_PIXELS_SOLARIZE: return spaced(255, 0, bin, bins);
    default: return 0;
  }
}

/* --- draws ---------------------------------------------------------------- */

static surge_policy_step step_of(surge_policy policy, surge_pixel_op op,
                                 int32_t bin, bool negative, int32_t h,
                                 int32_t w) {
  bool is_signed;
  surge_policy_step step = {
      op, surge_policy_magnitude(policy, op, bin, h, w, &is_signed)};
  if (is_signed && negative) step.magnitude = -step.magnitude;
  return step;
}

/* A sub-policy's steps, each or not; signs are drawn for both. */
static int32_t draw_auto(int32_t h, int32_t w, surge_philox4 draw,
                         surge_policy_step steps[SURGE_POLICY_STEPS]) {
  const sub_step *sub = cifar10[surge_place(draw.x[0], SUB_POLICIES)];
  int32_t count = 0;
  for (int32_t i = 0; i < SURGE_POLICY_STEPS; i++)
    if (surge_uniform(draw.x[1 + i]) < sub[i].probability)
      steps[count++] = step_of(SURGE_POLICY_AUTOAUGMENT, sub[i].op, sub[i].bin,
                               draw.x[3] >> (31 - i) & 1, h, w);
  return count;
}

/* Any operation at any magnitude, all equally likely. */
static int32_t draw_trivial(int32_t h, int32_t w, surge_philox4 draw,
                            surge_policy_step *step) {
  surge_pixel_op op = (surge_pixel_op)surge_place(draw.x[0], TRIVIAL_OPS);
  *step = step_of(SURGE_POLICY_TRIVIALAUGMENT, op,
                  surge_place(draw.x[1], TRIVIAL_BINS), draw.x[2] >> 31, h, w);
  return 1;
}

int32_t surge_policy_draw(surge_policy policy, int32_t h, int32_t w,
                          const surge_data_pass *pass, uint32_t sample,
                          surge_policy_step steps[SURGE_POLICY_STEPS]) {
  if (policy == SURGE_POLICY_NONE) return 0;
  surge_philox4 draw =
      surge_philox(pass->seed, pass->epoch, SURGE_RANDOM_POLICY, sample, 0);
  return policy == SURGE_POLICY_AUTOAUGMENT ? draw_auto(h, w, draw, steps)
                                            : draw_trivial(h, w, draw, steps);
}

void surge_policy_apply(surge_policy policy, const surge_pixels *image,
                        const surge_data_pass *pass, uint32_t sample) {
  surge_policy_step steps[SURGE_POLICY_STEPS];
  int32_t count =
      surge_policy_draw(policy, image->h, image->w, pass, sample, steps);
  for (int32_t i = 0; i < count; i++)
    surge_pixels_apply(image, steps[i].op, steps[i].magnitude);
}
