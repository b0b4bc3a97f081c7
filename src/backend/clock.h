/* clock.h - the one clock that durations are taken from, and what several of
 * them come to. */
#ifndef SURGE_BACKEND_CLOCK_H
#define SURGE_BACKEND_CLOCK_H

/* Seconds of the monotonic clock. */
double surge_seconds(void);

/* The median of count >= 1 values, which are sorted. */
double surge_median(double *values, int count);

#endif
