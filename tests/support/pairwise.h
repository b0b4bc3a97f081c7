/* pairwise.h - a short table of cases in which every pair of levels of every
 * two factors meets at least once: most faults need two flags, not twelve. */
#ifndef SURGE_TESTS_PAIRWISE_H
#define SURGE_TESTS_PAIRWISE_H

#include <stddef.h>
#include <stdint.h>

#define PAIRWISE_FACTORS 24

typedef struct pairwise_case {
  int level[PAIRWISE_FACTORS];
} pairwise_case;

/* Chooses cases greedily, always the same, until all pairs are covered and at
 * least `minimum` cases stand; malloc'ed, their number in *count. */
pairwise_case *pairwise_table(const int *levels, int factors, size_t minimum,
                              size_t *count);

#endif
