/* statistics.h - what is reduced of the membrane beside the spikes: statistics
 * of disjoint sets are those of their union, and u has its bin. */
#ifndef SURGE_SHARED_STATISTICS_H
#define SURGE_SHARED_STATISTICS_H

#include <surge/backend.h>

#include "kernels/shared/moments.h"

/* Adds the statistics of a further set; either may be empty (all zeros). */
SURGE_INLINE void surge_statistics_add(surge_neuron_statistics *total,
                                       const surge_neuron_statistics *part) {
  if (!(part->count > 0)) return;
  surge_moments before = {total->count, total->mean, total->m2};
  surge_moments more = {part->count, part->mean, part->m2};
  surge_moments both = surge_moments_merge(before, more);
  total->count = both.n;
  total->mean = both.mean;
  total->m2 = both.m2;
  total->window += part->window;
  total->spikes += part->spikes;
  total->quantization += part->quantization;
}

/* Place of u in a surge_histogram: the bins of [-4 theta, 4 theta), then below,
 * then above (NaN too). */
SURGE_INLINE int surge_histogram_place(float u, float theta) {
  double place = ((double)u / (double)theta + 4) / 8 * SURGE_HISTOGRAM_BINS;
  if (place < 0) return SURGE_HISTOGRAM_BINS;
  return place < SURGE_HISTOGRAM_BINS ? (int)place : SURGE_HISTOGRAM_BINS + 1;
}

#endif
