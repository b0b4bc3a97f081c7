/* policy.h - AutoAugment and TrivialAugment on bytes: which operations an image
 * goes through, and how strongly.
 *
 *   policy.c   what is drawn
 *   pixels.c   the operations
 *
 * They come before crop and flip, which run on the device; in torchvision's
 * recipe they come behind. It hardly matters: a flip turns the signs of shears,
 * translations and rotations, which are as likely either way, and operations on
 * values do not ask where a pixel is. What differs is the crop's padding: here
 * it is black, counts in no histogram and hides what a translation leaves. */
#ifndef SURGE_DATA_POLICY_H
#define SURGE_DATA_POLICY_H

#include <surge/data.h>

/* The operations; TrivialAugment's are all but the last. */
typedef enum surge_pixel_op {
  SURGE_PIXELS_IDENTITY,
  SURGE_PIXELS_SHEAR_X, /* magnitude: pixels a pixel                     */
  SURGE_PIXELS_SHEAR_Y,
  SURGE_PIXELS_TRANSLATE_X, /* whole pixels                                  */
  SURGE_PIXELS_TRANSLATE_Y,
  SURGE_PIXELS_ROTATE,     /* degrees, counter-clockwise                    */
  SURGE_PIXELS_BRIGHTNESS, /* these four: a factor less 1                   */
  SURGE_PIXELS_COLOR,
  SURGE_PIXELS_CONTRAST,
  SURGE_PIXELS_SHARPNESS,
  SURGE_PIXELS_POSTERIZE,    /* bits that are kept                            */
  SURGE_PIXELS_SOLARIZE,     /* the least value that is inverted              */
  SURGE_PIXELS_AUTOCONTRAST, /* these three: none                             */
  SURGE_PIXELS_EQUALIZE,
  SURGE_PIXELS_INVERT,
  SURGE_PIXELS_COUNT
} surge_pixel_op;

/* An image [h, w, c], channels last, c 1 or 3 (surge_loader_create sees to
 * it); `scratch` is as large. */
typedef struct surge_pixels {
  uint8_t *bytes, *scratch;
  int32_t h, w, c;
} surge_pixels;

/* What torchvision.transforms.functional makes of a Pillow image, to the byte:
 * geometry by the nearest pixel, black where there is none. */
void surge_pixels_apply(const surge_pixels *image, surge_pixel_op op,
                        double magnitude);

/* Magnitude `bin` of an operation's 10 (AutoAugment) or 31 (TrivialAugment),
 * without a sign, for images h x w; `is_signed`: half of the time it is
 * negative. */
double surge_policy_magnitude(surge_policy policy, surge_pixel_op op,
                              int32_t bin, int32_t h, int32_t w,
                              bool *is_signed);

typedef struct surge_policy_step {
  surge_pixel_op op;
  double magnitude;
} surge_policy_step;
#define SURGE_POLICY_STEPS 2

/* What (seed, epoch, sample) alone draw: so many steps, one after the other. */
int32_t surge_policy_draw(surge_policy policy, int32_t h, int32_t w,
                          const surge_data_pass *pass, uint32_t sample,
                          surge_policy_step steps[SURGE_POLICY_STEPS]);

/* Puts an image through what is drawn for it. */
void surge_policy_apply(surge_policy policy, const surge_pixels *image,
                        const surge_data_pass *pass, uint32_t sample);

#endif
