/* check.h - what the device refuses beyond src/backend/checks.h. */
#ifndef SURGE_KERNELS_CUDA_CHECK_H
#define SURGE_KERNELS_CUDA_CHECK_H

#include "src/backend/checks.h"

/* The device's kernels know one layout. */
static inline surge_status surge_cuda_check_layout(const char *op,
                                                   const surge_map *map) {
  if (map->layout == SURGE_CHANNELS_LAST) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                    "%s: map: wanted channels last, found blocks of channels",
                    op);
}

#endif
