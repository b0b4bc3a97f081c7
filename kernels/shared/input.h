/* input.h - augmentation, Poisson spikes and dropout: who draws which number.
 *
 * A draw is addressed by the sample and the element's place in logical
 * (channels-last) order, so that a run gives the same images, spikes and masks
 * on every backend, whatever layout it prefers and however a batch is made. */
#ifndef SURGE_SHARED_INPUT_H
#define SURGE_SHARED_INPUT_H

#include <surge/backend.h>

#include "kernels/shared/math.h"
#include "kernels/shared/mix.h"
#include "kernels/shared/philox.h"

/* --- augment ------------------------------------------------------------- */

/* Blocks of a sample's stream. Each draw has numbers of its own: what one key
 * of the recipe asks for moves no other's. */
enum {
  SURGE_BLOCK_CROP,
  SURGE_BLOCK_ERASE, /* the cutout's centre, the chance of an erasing */
  SURGE_BLOCK_TRIES  /* and on: one try of an erasing each            */
};
#define SURGE_ERASING_TRIES 10

/* Output pixel (y, x) shows image pixel (y + dy, x' + dx), x' = x or, mirrored,
 * W-1-x: a crop of the padded image, then a flip, as torchvision orders them. */
typedef struct surge_crop {
  int32_t dy, dx; /* -pad..pad pixels, each equally likely */
  bool flip;
} surge_crop;

SURGE_INLINE surge_crop surge_crop_draw(const surge_step *step, uint32_t sample,
                                        int32_t pad, bool flip) {
  surge_philox4 draw = surge_philox(
      step->seed, step->epoch, SURGE_RANDOM_AUGMENT, sample, SURGE_BLOCK_CROP);
  uint32_t places = 2 * (uint32_t)pad + 1;
  surge_crop crop = {surge_place(draw.x[0], places) - pad,
                     surge_place(draw.x[1], places) - pad,
                     flip && draw.x[2] >> 31};
  return crop;
}

/* A square around a pixel of the image, each equally likely (DeVries & Taylor
 * 2017); around (y, x) rows y - size/2 .. y - size/2 + size-1, where the
 * authors' code leaves out the last of an odd size. */
SURGE_INLINE surge_rectangle surge_cutout_draw(const surge_map *map,
                                               int32_t size,
                                               surge_philox4 draw) {
  surge_rectangle r = {surge_place(draw.x[0], (uint32_t)map->h) - size / 2,
                       surge_place(draw.x[1], (uint32_t)map->w) - size / 2,
                       size, size};
  return r;
}

/* Zhong 2017 as torchvision.transforms.RandomErasing has it: share of the area
 * uniform in (0.02, 0.33), height/width log-uniform in (0.3, 3.3), sides
 * rounded, a half to even; tried again where the rectangle is not smaller than the
 * image both ways, up to ten times, then nothing is erased. The sides are
 * sqrt(area) times and over sqrt(ratio) = e^(ln ratio / 2). They are the same
 * integers on every backend: surge_expf is built of IEEE operations alone, and
 * + - * / sqrt and rint are rounded as IEEE says by both compilers. */
SURGE_INLINE surge_rectangle surge_erasing_draw(const surge_step *step,
                                                uint32_t sample,
                                                const surge_map *map) {
  const float ln_low = -1.2039728f, ln_high = 1.1939225f; /* ln 0.3, ln 3.3 */
  surge_rectangle r = {0, 0, 0, 0};
  for (uint32_t i = 0; i < SURGE_ERASING_TRIES; i++) {
    surge_philox4 draw =
        surge_philox(step->seed, step->epoch, SURGE_RANDOM_AUGMENT, sample,
                     SURGE_BLOCK_TRIES + i);
    float share = 0.02f + surge_uniform(draw.x[0]) * (0.33f - 0.02f);
    float ln_ratio = ln_low + surge_uniform(draw.x[1]) * (ln_high - ln_low);
    float side = sqrtf((float)map->h * (float)map->w * share);
    float root = surge_expf(0.5f * ln_ratio);
    int32_t h = (int32_t)rintf(side * root), w = (int32_t)rintf(side / root);
    if (h >= map->h || w >= map->w) continue;
    r.top = surge_place(draw.x[2], (uint32_t)(map->h - h + 1));
    r.left = surge_place(draw.x[3], (uint32_t)(map->w - w + 1));
    r.h = h;
    r.w = w;
    break;
  }
  return r;
}

/* All that is drawn for one image. */
typedef struct surge_view {
  surge_crop crop;
  surge_rectangle cutout, erased;
} surge_view;

/* Of image n of the batch; an evaluation draws nothing. */
SURGE_INLINE surge_view surge_view_draw(const surge_augment *a, size_t n) {
  surge_view view = {{0, 0, false}, {0, 0, 0, 0}, {0, 0, 0, 0}};
  if (!a->training) return view;
  uint32_t sample = a->sample[n];
  view.crop = surge_crop_draw(a->step, sample, a->crop_pad, a->flip);
  if (a->cutout == 0 && a->random_erasing <= 0) return view;
  surge_philox4 draw =
      surge_philox(a->step->seed, a->step->epoch, SURGE_RANDOM_AUGMENT, sample,
                   SURGE_BLOCK_ERASE);
  view.cutout = surge_cutout_draw(&a->map, a->cutout, draw);
  if (surge_uniform(draw.x[2]) < a->random_erasing)
    view.erased = surge_erasing_draw(a->step, sample, &a->map);
  return view;
}

/* Output pixels that are 0 after normalisation. */
SURGE_INLINE bool surge_view_hides(const surge_view *view, int32_t y,
                                   int32_t x) {
  return surge_holds(&view->cutout, y, x) || surge_holds(&view->erased, y, x);
}

/* Image n of the batch at step t. */
SURGE_INLINE const uint8_t *surge_augment_image(const surge_augment *a,
                                                size_t t, size_t n) {
  size_t image = (a->gather ? a->sample[n] : n) * (size_t)a->T + t;
  return a->images + image * surge_map_elements(&a->map);
}

/* Element (y, x, c) of one channels-last image, cropped; with unit 255
 * torchvision's ToTensor and Normalize to the bit. Outside the image a pixel is 0 before
 * normalisation. */
SURGE_INLINE float surge_crop_value(const uint8_t *image, const surge_map *map,
                                    surge_crop crop, int32_t y, int32_t x,
                                    int32_t c, float unit, float mean,
                                    float std) {
  int32_t from_y = y + crop.dy;
  int32_t from_x = (crop.flip ? map->w - 1 - x : x) + crop.dx;
  bool inside =
      from_y >= 0 && from_y < map->h && from_x >= 0 && from_x < map->w;
  size_t pixel = inside ? (size_t)from_y * (size_t)map->w + (size_t)from_x : 0;
  uint8_t value = inside ? image[pixel * (size_t)map->c + (size_t)c] : 0;
  return ((float)value / unit - mean) / std;
}

/* An image of the batch and what is drawn for it. */
typedef struct surge_shown {
  const uint8_t *image;
  float unit;
  surge_view view;
} surge_shown;

SURGE_INLINE surge_shown surge_show(const surge_augment *a, size_t t,
                                    size_t n) {
  surge_shown shown = {surge_augment_image(a, t, n), a->unit,
                       surge_view_draw(a, n)};
  return shown;
}

/* Output element (y, x, c) of an image, before it is mixed. */
SURGE_INLINE float surge_shown_value(const surge_shown *s, const surge_map *map,
                                     int32_t y, int32_t x, int32_t c,
                                     float mean, float std) {
  if (surge_view_hides(&s->view, y, x)) return 0;
  return surge_crop_value(s->image, map, s->view.crop, y, x, c, s->unit, mean,
                          std);
}

/* --- one uniform number an element: Poisson, dropout ----------------------- */

/* Four elements at physical index 4*quad.. share a Philox block: they are
 * neighbours in logical order too, as a channel block is a multiple of 4. */
SURGE_INLINE size_t surge_map_quads(const surge_map *map) {
  return (surge_map_elements(map) + 3) / 4;
}

/* Place of physical quad `quad` in logical order, 0..quads-1. */
SURGE_INLINE size_t surge_logical_quad(const surge_map *map, size_t quad) {
  if (map->layout == SURGE_CHANNELS_LAST) return quad;
  size_t plane = (size_t)map->h * (size_t)map->w; /* two quads a pixel */
  size_t block = quad / (2 * plane), pixel = quad / 2 % plane;
  return (pixel * (size_t)map->c + block * 8) / 4 + quad % 2;
}

#endif
