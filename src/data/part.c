/* part.c - which part of an image the network sees (see image.h).
 *
 * Formulas and roundings are those of torchvision.transforms: Resize,
 * CenterCrop and RandomResizedCrop with their defaults. */
#include <math.h>
#include <surge/backend.h>

#include "kernels/shared/philox.h"
#include "src/data/image.h"

#define LEAST_AREA 0.08
#define LEAST_RATIO (3.0 / 4)
#define MOST_RATIO (4.0 / 3)
#define TRIES 10

surge_part surge_part_centre(int32_t h, int32_t w, int32_t resize,
                             int32_t size) {
  int32_t shorter = h < w ? h : w, longer = h < w ? w : h;
  int64_t scaled = (int64_t)((double)((int64_t)resize * longer) / shorter);
  int32_t most = scaled < INT32_MAX ? (int32_t)scaled : INT32_MAX;
  surge_part part = {.h = h,
                     .w = w,
                     .scaled_h = h < w ? resize : most,
                     .scaled_w = h < w ? most : resize,
                     .size = size};
  /* halves to the even neighbour, as Python rounds */
  part.y = (int32_t)lrint((part.scaled_h - size) / 2.0);
  part.x = (int32_t)lrint((part.scaled_w - size) / 2.0);
  return part;
}

/* The largest part around the centre whose ratio is allowed. */
static void take_centre(surge_part *part, int32_t h, int32_t w) {
  double ratio = (double)w / h;
  part->h = ratio < LEAST_RATIO ? (int32_t)lrint(w / LEAST_RATIO) : h;
  part->w = ratio > MOST_RATIO ? (int32_t)lrint(h * MOST_RATIO) : w;
  part->top = (h - part->h) / 2;
  part->left = (w - part->w) / 2;
}

static double between(double low, double high, uint32_t bits) {
  return low + (high - low) * (bits * 0x1p-32);
}

surge_part surge_part_random(int32_t h, int32_t w, int32_t size,
                             const surge_data_pass *pass, uint32_t sample) {
  surge_part part = {.scaled_h = size, .scaled_w = size, .size = size};
  for (uint32_t i = 0; i < TRIES; i++) {
    surge_philox4 draw =
        surge_philox(pass->seed, pass->epoch, SURGE_RANDOM_VIEW, sample, i);
    double area = (double)h * w * between(LEAST_AREA, 1, draw.x[0]);
    double ratio = exp(between(log(LEAST_RATIO), log(MOST_RATIO), draw.x[1]));
    double wide = rint(sqrt(area * ratio)), high = rint(sqrt(area / ratio));
    if (wide < 1 || wide > w || high < 1 || high > h) continue;
    part.h = (int32_t)high;
    part.w = (int32_t)wide;
    part.top = surge_place(draw.x[2], (uint32_t)(h - part.h + 1));
    part.left = surge_place(draw.x[3], (uint32_t)(w - part.w + 1));
    return part;
  }
  take_centre(&part, h, w);
  return part;
}
