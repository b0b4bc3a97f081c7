/* groups.h - runs that differ in seed and data.path alone are one group. */
#ifndef SURGE_REPORT_GROUPS_H
#define SURGE_REPORT_GROUPS_H

#include "src/report/run.h"
#include "src/report/statistics.h"

#define SURGE_GROUP_LABEL 512

typedef struct surge_report_run_group {
  int32_t *run; /* [count] by rising seed and path; owned */
  int32_t count;
  surge_spread accuracy; /* final, on the test images */
  double best;           /* of any epoch of any of its runs */
  double seconds;        /* of training, mean */
} surge_report_run_group;

typedef struct surge_groups {
  const surge_report_run *run;
  surge_report_run_group *group; /* [count]; owned */
  int32_t count;
  const char **key; /* [keys] that vary, in the recipe's order; owned */
  int32_t keys;
  const char **layer; /* [layers] spiking ones, of all networks; owned */
  int32_t layers;
  int32_t twins; /* runs that have group, seed and path of one before */
} surge_groups;

/* Groups runs by their effective recipes, in the order of their values of the
 * keys that vary. Keys that change no result (seed,
 * name, threads, how often something is saved) make no group, nor does
 * data.path: folds of one seed are samples of one group, as seeds are. A run
 * that has recipe, seed and path of one before it is no second sample: it is
 * left out and counted. `run` must outlive the groups, which must be freed in
 * either case. */
surge_status surge_groups_of(surge_groups *groups, const surge_report_run *run,
                             int32_t count);
void surge_groups_free(surge_groups *groups);

/* A group's value of a key: text as the recipe has it, "-" where it has
 * none. */
const char *surge_group_value(const surge_groups *groups, int32_t group,
                              const char *key);

/* "T = 4, width_rule = learned": the keys that vary, but for `but` (or
 * NULL). */
void surge_group_label(const surge_groups *groups, int32_t group,
                       const char *but, char label[SURGE_GROUP_LABEL]);

/* The columns of layers.csv that are compared, NULL behind the last. */
extern const char *const surge_layer_columns[];

/* A column of layers.csv after training, mean over the group's runs and the
 * steps (see surge_report_run_layer_value); NAN where it has no such layer. */
double surge_group_layer(const surge_groups *groups, int32_t group,
                         const char *column, const char *layer);

/* Do two groups have the same value of every key that varies but `but`? */
bool surge_groups_alike(const surge_groups *groups, int32_t a, int32_t b,
                        const char *but);

/* Does the key have two values or more, all of them numbers? */
bool surge_groups_numeric(const surge_groups *groups, const char *key);

/* Are two values of a recipe's key the same, as numbers or else as texts? */
bool surge_values_equal(const char *a, const char *b);

/* What two groups that differ in `key` alone, `a` and `b`, say of it. */
typedef struct surge_contrast {
  int32_t a, b;
  surge_paired test; /* of b - a, a pair a seed and path of both */
} surge_contrast;

/* `against` is "KEY=A,B": each pair of groups that have these values and agree
 * in all else. SURGE_ERROR_RECIPE where there is none: says which keys vary, or
 * which values the key has. The caller frees *contrast. */
surge_status surge_groups_contrast(const surge_groups *groups,
                                   const char *against, char key[SURGE_WORD],
                                   surge_contrast **contrast, int32_t *count);

#endif
