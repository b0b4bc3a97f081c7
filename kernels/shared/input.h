/* input.h - random crops, Poisson spikes and dropout: who draws which number.
 *
 * A draw is addressed by the sample and the element's place in logical
 * (channels-last) order, so that a run gives the same images, spikes and masks
 * on every backend, whatever layout it prefers and however a batch is made. */
#ifndef SURGE_SHARED_INPUT_H
#define SURGE_SHARED_INPUT_H

#include <surge/backend.h>

#include "kernels/shared/philox.h"

/* --- augment ------------------------------------------------------------- */

/* Output pixel (y, x) shows image pixel (y + dy, x' + dx), x' = x or, mirrored,
 * W-1-x: a crop of the padded image, then a flip, as torchvision orders them. */
typedef struct surge_crop {
  int32_t dy, dx; /* -pad..pad pixels, each equally likely */
  bool flip;
} surge_crop;

SURGE_INLINE surge_crop surge_crop_draw(const surge_step *step, uint32_t sample,
                                        int32_t pad, bool flip) {
  surge_philox4 draw =
      surge_philox(step->seed, step->epoch, SURGE_RANDOM_AUGMENT, sample, 0);
  /* The high half of a product maps 32 bits onto 2*pad + 1 places. */
  uint64_t places = 2 * (uint64_t)pad + 1;
  surge_crop crop = {(int32_t)(draw.x[0] * places >> 32) - pad,
                     (int32_t)(draw.x[1] * places >> 32) - pad,
                     flip && draw.x[2] >> 31};
  return crop;
}

/* Image n of the batch. */
SURGE_INLINE const uint8_t *surge_augment_image(const surge_augment *a,
                                                size_t n) {
  return a->images +
         (a->gather ? a->sample[n] : n) * surge_map_elements(&a->map);
}

/* Value of output element (y, x, c) of one channels-last image; torchvision's
 * ToTensor and Normalize to the bit. Outside the image a pixel is 0. */
SURGE_INLINE float surge_crop_value(const uint8_t *image, const surge_map *map,
                                    surge_crop crop, int32_t y, int32_t x,
                                    int32_t c, float mean, float std) {
  int32_t from_y = y + crop.dy;
  int32_t from_x = (crop.flip ? map->w - 1 - x : x) + crop.dx;
  bool inside =
      from_y >= 0 && from_y < map->h && from_x >= 0 && from_x < map->w;
  size_t pixel = inside ? (size_t)from_y * (size_t)map->w + (size_t)from_x : 0;
  uint8_t value = inside ? image[pixel * (size_t)map->c + (size_t)c] : 0;
  return ((float)value / 255.0f - mean) / std;
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
