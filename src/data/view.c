/* view.c - which part of an image the network sees (see image.h).
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

surge_view surge_view_centre(int32_t h, int32_t w, int32_t resize,
                             int32_t size) {
  int32_t shorter = h < w ? h : w, longer = h < w ? w : h;
  int64_t scaled = (int64_t)((double)((int64_t)resize * longer) / shorter);
  int32_t most = scaled < INT32_MAX ? (int32_t)scaled : INT32_MAX;
  surge_view view = {.h = h,
                     .w = w,
                     .scaled_h = h < w ? resize : most,
                     .scaled_w = h < w ? most : resize,
                     .size = size};
  /* halves to the even neighbour, as Python rounds */
  view.y = (int32_t)lrint((view.scaled_h - size) / 2.0);
  view.x = (int32_t)lrint((view.scaled_w - size) / 2.0);
  return view;
}

/* The largest part around the centre whose ratio is allowed. */
static void take_centre(surge_view *view, int32_t h, int32_t w) {
  double ratio = (double)w / h;
  view->h = ratio < LEAST_RATIO ? (int32_t)lrint(w / LEAST_RATIO) : h;
  view->w = ratio > MOST_RATIO ? (int32_t)lrint(h * MOST_RATIO) : w;
  view->top = (h - view->h) / 2;
  view->left = (w - view->w) / 2;
}

static double between(double low, double high, uint32_t bits) {
  return low + (high - low) * (bits * 0x1p-32);
}

surge_view surge_view_random(int32_t h, int32_t w, int32_t size,
                             const surge_data_pass *pass, uint32_t sample) {
  surge_view view = {.scaled_h = size, .scaled_w = size, .size = size};
  for (uint32_t i = 0; i < TRIES; i++) {
    surge_philox4 draw =
        surge_philox(pass->seed, pass->epoch, SURGE_RANDOM_VIEW, sample, i);
    double area = (double)h * w * between(LEAST_AREA, 1, draw.x[0]);
    double ratio = exp(between(log(LEAST_RATIO), log(MOST_RATIO), draw.x[1]));
    double wide = rint(sqrt(area * ratio)), high = rint(sqrt(area / ratio));
    if (wide < 1 || wide > w || high < 1 || high > h) continue;
    view.h = (int32_t)high;
    view.w = (int32_t)wide;
    view.top = surge_place(draw.x[2], (uint32_t)(h - view.h + 1));
    view.left = surge_place(draw.x[3], (uint32_t)(w - view.w + 1));
    return view;
  }
  take_centre(&view, h, w);
  return view;
}
