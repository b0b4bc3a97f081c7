/* order.h - random orders of samples, fixed by their address alone. */
#ifndef SURGE_DATA_ORDER_H
#define SURGE_DATA_ORDER_H

#include <stdint.h>

/* What an order is for: the `sample` word of Philox's address. */
typedef enum surge_order_use {
  SURGE_ORDER_EPOCH, /* training order of one epoch                        */
  SURGE_ORDER_SPLIT  /* which images are held out; epoch 0                 */
} surge_order_use;

/* Shuffles order[0 .. count-1] in place, a function of (seed, epoch, use)
 * alone. A checkpoint resumes within an epoch only while this never changes. */
void surge_shuffle(uint32_t *order, int32_t count, uint64_t seed,
                   uint32_t epoch, surge_order_use use);

#endif
