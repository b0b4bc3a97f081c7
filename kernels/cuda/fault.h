/* fault.h - a step's fault, set from many threads (see kernels/shared/fault.h).
 * The value left does not depend on their order. */
#ifndef SURGE_KERNELS_CUDA_FAULT_H
#define SURGE_KERNELS_CUDA_FAULT_H

#include "kernels/cuda/launch.h"
#include "kernels/shared/fault.h"

/* Marks `layer` as not finite. Where all threads find the same fault, few of
 * them write. */
static __device__ __forceinline__ void surge_cuda_fault(surge_fault *fault,
                                                        uint32_t layer) {
  surge_fault seen = *(volatile surge_fault *)fault;
  for (;;) {
    surge_fault first = surge_fault_first(seen, layer);
    if (first == seen) return;
    surge_fault found = atomicCAS(fault, seen, first);
    if (found == seen) return;
    seen = found;
  }
}

#endif
