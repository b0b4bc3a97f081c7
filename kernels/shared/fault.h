/* fault.h - which layer a step's fault names. */
#ifndef SURGE_SHARED_FAULT_H
#define SURGE_SHARED_FAULT_H

#include <surge/backend.h>

/* The fault after `layer` was found not finite: 1 + the index of the first
 * such layer, whatever the order in which they were found. */
SURGE_INLINE surge_fault surge_fault_first(surge_fault fault, uint32_t layer) {
  return fault != 0 && fault <= layer ? fault : layer + 1;
}

/* The number of the first step that saw a fault, 0 where none has. */
SURGE_INLINE uint64_t surge_fault_since(surge_fault fault, uint64_t since,
                                        uint64_t step) {
  return fault != 0 && since == 0 ? step : since;
}

#endif
