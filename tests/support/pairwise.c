/* pairwise.c - greedy choice: of some random candidates, each of which holds
 * one pair that is still missing, the one that covers most missing pairs. */
#include "tests/support/pairwise.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

#define LEVELS 8 /* at most, a factor */
#define CANDIDATES 20

typedef struct table {
  const int *levels;
  int factors;
  bool seen[PAIRWISE_FACTORS][PAIRWISE_FACTORS][LEVELS][LEVELS];
  size_t draws;
} table;

static int draw(table *t, int below) {
  int level = (int)test_uniform(99, t->draws++, 0, (float)below);
  return level < below ? level : below - 1;
}

static bool *pair(table *t, const pairwise_case *c, int a, int b) {
  return &t->seen[a][b][c->level[a]][c->level[b]];
}

static int gain(table *t, const pairwise_case *c) {
  int missing = 0;
  for (int a = 0; a < t->factors; a++)
    for (int b = a + 1; b < t->factors; b++) missing += !*pair(t, c, a, b);
  return missing;
}

/* Puts the first missing pair into c; false where none is missing. */
static bool force_missing(table *t, pairwise_case *c) {
  for (int a = 0; a < t->factors; a++)
    for (int b = a + 1; b < t->factors; b++)
      for (int i = 0; i < t->levels[a]; i++)
        for (int j = 0; j < t->levels[b]; j++)
          if (!t->seen[a][b][i][j]) {
            c->level[a] = i;
            c->level[b] = j;
            return true;
          }
  return false;
}

/* The best of some candidates; *more says whether a pair was missing. */
static pairwise_case choose(table *t, bool *more) {
  pairwise_case best = {{0}};
  int best_gain = -1;
  for (int k = 0; k < CANDIDATES; k++) {
    pairwise_case c = {{0}};
    for (int f = 0; f < t->factors; f++) c.level[f] = draw(t, t->levels[f]);
    *more = force_missing(t, &c);
    int own = gain(t, &c);
    if (own <= best_gain) continue;
    best_gain = own;
    best = c;
  }
  return best;
}

pairwise_case *pairwise_table(const int *levels, int factors, size_t minimum,
                              size_t *count) {
  table t = {.levels = levels, .factors = factors};
  pairwise_case *cases = NULL;
  for (*count = 0;; ++*count) {
    bool more;
    pairwise_case next = choose(&t, &more);
    if (!more && *count >= minimum) return cases;
    cases = realloc(cases, (*count + 1) * sizeof *cases);
    cases[*count] = next;
    for (int a = 0; a < factors; a++)
      for (int b = a + 1; b < factors; b++) *pair(&t, &next, a, b) = true;
  }
}
