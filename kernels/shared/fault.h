/* fault.h - which layer a step's fault names. */
#ifndef SURGE_SHARED_FAULT_H
#define SURGE_SHARED_FAULT_H

#include <surge/backend.h>

/* The fault after `layer` was found not finite: 1 + the index of the first
 * such layer, whatever the order in which they were found. */
SURGE_INLINE surge_fault surge_fault_first(surge_fault fault, uint32_t layer) {
  return fault != 0 && fault <= layer ? fault : layer + 1;
}

#endif
