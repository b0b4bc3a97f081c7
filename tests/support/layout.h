/* layout.h - which layout a case may ask for. */
#ifndef SURGE_TESTS_LAYOUT_H
#define SURGE_TESTS_LAYOUT_H

#include "tests/support/support.h"

/* Here a case names the layout it means, whatever support.h makes of it. */
#undef SURGE_BLOCKED8

/* The map as the backend under test can have it: blocks of channels are the
 * CPU's alone, a device takes the case channels-last. */
static inline surge_map test_map(surge_map map) {
  if (test_backend() != &surge_cpu) map.layout = SURGE_CHANNELS_LAST;
  return map;
}

#endif
