/* mix.h - mixup and cutmix: whose pixels, whose label.
 *
 * All is drawn on the host, once a batch (src/data/mix.c), and lies in the
 * surge_step; here it is only carried out. */
#ifndef SURGE_SHARED_MIX_H
#define SURGE_SHARED_MIX_H

#include <surge/backend.h>

/* The image of the batch with which image n of N is mixed. */
SURGE_INLINE size_t surge_mix_partner(size_t n, size_t N) {
  return (n + N - 1) % N;
}

/* Is the pixel in the rectangle, which may reach over the border? */
SURGE_INLINE bool surge_holds(const surge_rectangle *r, int32_t y, int32_t x) {
  return (uint32_t)(y - r->top) < (uint32_t)r->h && /* negative: huge */
         (uint32_t)(x - r->left) < (uint32_t)r->w;
}

/* A pixel's value of an image and of its partner, mixed: by cutmix where the
 * rectangle has a height. */
SURGE_INLINE float surge_mix_values(const surge_mix *mix, int32_t y, int32_t x,
                                    float own, float other) {
  if (mix->pasted.h > 0) return surge_holds(&mix->pasted, y, x) ? other : own;
  return mix->share * own + (1 - mix->share) * other;
}

#endif
