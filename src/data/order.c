/* order.c - Fisher-Yates driven by Philox. */
#include "src/data/order.h"

#include <surge/backend.h>

#include "kernels/shared/philox.h"

void surge_shuffle(uint32_t *order, int32_t count, uint64_t seed,
                   uint32_t epoch, surge_order_use use) {
  for (uint32_t i = (uint32_t)count; i-- > 1;) {
    surge_philox4 draw = surge_philox(seed, epoch, SURGE_RANDOM_ORDER, use, i);
    /* 64 bits modulo i + 1: biased by less than 2^-32 for any count. */
    uint64_t bits = (uint64_t)draw.x[0] << 32 | draw.x[1];
    uint32_t j = (uint32_t)(bits % ((uint64_t)i + 1));
    uint32_t kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
}
