/* clock.c - seconds that never step back (see clock.h). */
#include "src/backend/clock.h"

#include <time.h>

double surge_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
