/* fault.h - a step's fault, set from many threads (see kernels/shared/fault.h).
 * The value left does not depend on their order. */
#ifndef SURGE_KERNELS_CUDA_FAULT_H
#define SURGE_KERNELS_CUDA_FAULT_H

#include "kernels/cuda/launch.h"
#include "kernels/shared/fault.h"

/* Marks `layer` as not finite. */
static __device__ __forceinline__ void surge_cuda_fault(surge_fault *fault,
                                                        uint32_t layer) {
  surge_fault found = 0, seen;
  do {
    seen = found;
    found = atomicCAS(fault, seen, surge_fault_first(seen, layer));
  } while (found != seen);
}

#endif
