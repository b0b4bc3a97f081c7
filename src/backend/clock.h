/* clock.h - the one clock that durations are taken from. */
#ifndef SURGE_BACKEND_CLOCK_H
#define SURGE_BACKEND_CLOCK_H

/* Seconds of the monotonic clock. */
double surge_seconds(void);

#endif
