/* groups.c - runs by what they have in common (see groups.h). */
#include "src/report/groups.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static surge_status no_memory(void) {
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "report: no memory for groups of runs");
}

/* --- keys that vary ------------------------------------------------------- */

/* data.path does change them, but as the seed does: see sample_order. */
static bool changes_results(const char *key) {
  static const char *const others[] = {
      "seed",      "name",         "threads",    "memory",
      "data.path", "data.workers", "data.cache", "train.checkpoint_every"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (!strcmp(key, others[i])) return false;
  return true;
}

static const char *value_of(const surge_report_run *run, const char *key) {
  const char *value = surge_keys_find(&run->keys, key);
  return value ? value : "-";
}

static bool varies(const surge_report_run *run, int32_t count,
                   const char *key) {
  for (int32_t i = 1; i < count; i++)
    if (strcmp(value_of(&run[i], key), value_of(run, key)) != 0) return true;
  return false;
}

/* Its place among the keys that vary, or -1. */
static int32_t place_of(const surge_groups *g, const char *key) {
  for (int32_t k = 0; k < g->keys; k++)
    if (!strcmp(g->key[k], key)) return k;
  return -1;
}

static bool has_key(const surge_report_run *run, int32_t count,
                    const char *key) {
  for (int32_t i = 0; i < count; i++)
    if (surge_keys_find(&run[i].keys, key)) return true;
  return false;
}

/* Adds what varies of the keys that run `i` is the first to have, each behind
 * the one that it follows in this run's recipe. */
static void add_keys(surge_groups *g, int32_t i, int32_t count) {
  const surge_keys *keys = &g->run[i].keys;
  int32_t at = 0;
  for (int32_t k = 0; k < keys->count; k++) {
    const char *key = keys->pair[k].key;
    int32_t place = place_of(g, key);
    if (place >= 0) at = place + 1;
    if (has_key(g->run, i, key) || !changes_results(key) ||
        !varies(g->run, count, key))
      continue;
    memmove(g->key + at + 1, g->key + at,
            (size_t)(g->keys++ - at) * sizeof *g->key);
    g->key[at++] = key;
  }
}

/* A recipe leaves out few keys (an IF neuron has no decay, a decay that is
 * not learned no start), and no run need have all that the others have. */
static surge_status find_keys(surge_groups *g, int32_t count) {
  size_t most = 0;
  for (int32_t i = 0; i < count; i++) most += (size_t)g->run[i].keys.count;
  g->key = calloc(most + 1, sizeof *g->key);
  if (!g->key) return no_memory();
  for (int32_t i = 0; i < count; i++) add_keys(g, i, count);
  return SURGE_OK;
}

/* --- groups --------------------------------------------------------------- */

static bool runs_alike(const surge_groups *g, int32_t a, int32_t b,
                       const char *but) {
  for (int32_t k = 0; k < g->keys; k++)
    if ((!but || strcmp(g->key[k], but) != 0) &&
        strcmp(value_of(&g->run[a], g->key[k]),
               value_of(&g->run[b], g->key[k])) != 0)
      return false;
  return true;
}

static bool number_of(const char *text, double *number) {
  char *end;
  *number = strtod(text, &end);
  return end != text && *end == 0;
}

/* Numbers by value, other texts as texts; what is no number comes last. */
static int value_order(const char *a, const char *b) {
  double x, y;
  bool number[2] = {number_of(a, &x), number_of(b, &y)};
  if (number[0] && number[1]) return (x > y) - (x < y);
  return number[0] != number[1] ? number[1] - number[0] : strcmp(a, b);
}

static bool comes_before(const surge_groups *g, int32_t a, int32_t b) {
  for (int32_t k = 0; k < g->keys; k++) {
    int order = value_order(value_of(&g->run[a], g->key[k]),
                            value_of(&g->run[b], g->key[k]));
    if (order != 0) return order < 0;
  }
  return false;
}

/* By rising values of the keys that vary. */
static void sort_groups(surge_groups *g) {
  for (int32_t i = 1; i < g->count; i++) {
    surge_report_run_group moved = g->group[i];
    int32_t at = i;
    for (; at > 0 && comes_before(g, moved.run[0], g->group[at - 1].run[0]);
         at--)
      g->group[at] = g->group[at - 1];
    g->group[at] = moved;
  }
}

static surge_report_run_group *group_of(surge_groups *g, int32_t run,
                                        int32_t runs) {
  for (int32_t i = 0; i < g->count; i++)
    if (runs_alike(g, g->group[i].run[0], run, NULL)) return &g->group[i];
  surge_report_run_group *group = &g->group[g->count];
  group->run = calloc((size_t)runs, sizeof *group->run);
  if (!group->run) return NULL;
  g->count++;
  return group;
}

/* Which sample of a group a run is: by its seed, then by its data's folder, as
 * folds of one seed differ in that alone. 0: the same. */
static int sample_order(const surge_report_run *a, const surge_report_run *b) {
  int64_t x = a->recipe.seed, y = b->recipe.seed;
  return x != y ? (x > y) - (x < y)
                : strcmp(a->recipe.data.path, b->recipe.data.path);
}

/* Puts a run in its place among the samples. */
static void insert(surge_groups *g, surge_report_run_group *group,
                   int32_t run) {
  const surge_report_run *new = &g->run[run];
  int32_t at = group->count;
  for (int32_t i = 0; i < group->count; i++)
    if (sample_order(&g->run[group->run[i]], new) == 0) {
      g->twins++;
      return;
    }
  for (; at > 0 && sample_order(&g->run[group->run[at - 1]], new) > 0; at--)
    group->run[at] = group->run[at - 1];
  group->run[at] = run;
  group->count++;
}

static surge_status summarize(const surge_groups *g,
                              surge_report_run_group *group) {
  double *accuracy = calloc((size_t)group->count, sizeof *accuracy);
  if (!accuracy) return no_memory();
  group->best = NAN;
  for (int32_t i = 0; i < group->count; i++) {
    const surge_report_run *run = &g->run[group->run[i]];
    accuracy[i] = surge_report_run_accuracy(run);
    group->best = fmax(group->best, surge_report_run_best(run));
    group->seconds += surge_report_run_seconds(run) / group->count;
  }
  group->accuracy = surge_spread_of(accuracy, group->count);
  free(accuracy);
  return SURGE_OK;
}

static bool knows_layer(const surge_groups *g, const char *name) {
  for (int32_t i = 0; i < g->layers; i++)
    if (!strcmp(g->layer[i], name)) return true;
  return false;
}

/* Of each group's first run, whose other runs have the same network. */
static surge_status find_layers(surge_groups *g) {
  for (int32_t i = 0; i < g->count; i++) {
    const surge_report_run *run = &g->run[g->group[i].run[0]];
    const char *name;
    for (int32_t l = 0; (name = surge_report_run_layer(run, l)); l++) {
      if (knows_layer(g, name)) continue;
      const char **more =
          realloc(g->layer, (size_t)(g->layers + 1) * sizeof *more);
      if (!more) return no_memory();
      g->layer = more;
      more[g->layers++] = name;
    }
  }
  return SURGE_OK;
}

surge_status surge_groups_of(surge_groups *groups, const surge_report_run *run,
                             int32_t count) {
  *groups = (surge_groups){.run = run};
  groups->group = calloc((size_t)count, sizeof *groups->group);
  if (!groups->group) return no_memory();
  SURGE_TRY(find_keys(groups, count));
  for (int32_t i = 0; i < count; i++) {
    surge_report_run_group *group = group_of(groups, i, count);
    if (!group) return no_memory();
    insert(groups, group, i);
  }
  sort_groups(groups);
  for (int32_t i = 0; i < groups->count; i++)
    SURGE_TRY(summarize(groups, &groups->group[i]));
  return find_layers(groups);
}

void surge_groups_free(surge_groups *groups) {
  for (int32_t i = 0; i < groups->count; i++) free(groups->group[i].run);
  free(groups->group);
  free(groups->key);
  free(groups->layer);
  *groups = (surge_groups){0};
}

/* --- what a group is called ----------------------------------------------- */

const char *surge_group_value(const surge_groups *groups, int32_t group,
                              const char *key) {
  return value_of(&groups->run[groups->group[group].run[0]], key);
}

void surge_group_label(const surge_groups *groups, int32_t group,
                       const char *but, char label[SURGE_GROUP_LABEL]) {
  size_t used = 0;
  *label = 0;
  for (int32_t k = 0; k < groups->keys && used < SURGE_GROUP_LABEL; k++) {
    const char *key = groups->key[k], *dot = strrchr(key, '.');
    if (but && !strcmp(key, but)) continue;
    used +=
        (size_t)snprintf(label + used, SURGE_GROUP_LABEL - used, "%s%s = %.40s",
                         used ? ", " : "", dot ? dot + 1 : key,
                         surge_group_value(groups, group, key));
  }
}

bool surge_groups_alike(const surge_groups *groups, int32_t a, int32_t b,
                        const char *but) {
  return runs_alike(groups, groups->group[a].run[0], groups->group[b].run[0],
                    but);
}

/* --- layers --------------------------------------------------------------- */

const char *const surge_layer_columns[] = {
    "width", "window", "rate", "quantization", "mean", "std", "decay", NULL};

double surge_group_layer(const surge_groups *groups, int32_t group,
                         const char *column, const char *layer) {
  const surge_report_run_group *of = &groups->group[group];
  double sum = 0;
  for (int32_t i = 0; i < of->count; i++) {
    const surge_report_run *run = &groups->run[of->run[i]];
    sum += surge_report_run_layer_value(run, column, layer,
                                        surge_report_run_last(run), -1);
  }
  return sum / of->count;
}

/* --- values --------------------------------------------------------------- */

bool surge_groups_numeric(const surge_groups *groups, const char *key) {
  double number;
  for (int32_t i = 0; i < groups->count; i++)
    if (!number_of(surge_group_value(groups, i, key), &number)) return false;
  return true;
}

bool surge_values_equal(const char *a, const char *b) {
  double x, y;
  if (number_of(a, &x) && number_of(b, &y))
    return fabs(x - y) <= 1e-6 * fabs(x); /* the recipe's are floats */
  return !strcmp(a, b);
}

/* --- contrasts ------------------------------------------------------------ */

/* Pairs up two groups by sample, both in rising order. */
static surge_status test_pair(const surge_groups *g, surge_contrast *c) {
  const surge_report_run_group *a = &g->group[c->a], *b = &g->group[c->b];
  double *x = calloc(2 * (size_t)a->count, sizeof *x), *y = x + a->count;
  int32_t n = 0;
  if (!x) return no_memory();
  for (int32_t i = 0, j = 0; i < a->count && j < b->count;) {
    const surge_report_run *p = &g->run[a->run[i]], *q = &g->run[b->run[j]];
    int order = sample_order(p, q);
    if (order == 0) {
      x[n] = surge_report_run_accuracy(p);
      y[n++] = surge_report_run_accuracy(q);
    }
    i += order <= 0;
    j += order >= 0;
  }
  c->test = surge_paired_test(x, y, n);
  free(x);
  return SURGE_OK;
}

/* "KEY=A,B"; commas within a list are A's or B's own. */
static surge_status parse(const char *against, char key[SURGE_WORD],
                          char value[2][SURGE_WORD]) {
  const char *equals = strchr(against, '='), *comma = NULL;
  int depth = 0;
  for (const char *p = equals; p && *p; p++) {
    depth += (*p == '[') - (*p == ']');
    if (*p == ',' && depth == 0 && !comma) comma = p;
  }
  if (!comma || equals == against || comma == equals + 1 || comma[1] == 0 ||
      strlen(against) >= SURGE_WORD)
    return SURGE_FAIL(SURGE_ERROR_RECIPE, "--against: wanted KEY=A,B, found %s",
                      against);
  snprintf(key, SURGE_WORD, "%.*s", (int)(equals - against), against);
  snprintf(value[0], SURGE_WORD, "%.*s", (int)(comma - equals - 1), equals + 1);
  snprintf(value[1], SURGE_WORD, "%s", comma + 1);
  return SURGE_OK;
}

/* Has a group before this one the same value? */
static bool seen_before(const surge_groups *g, int32_t group, const char *key) {
  for (int32_t i = 0; i < group; i++)
    if (!strcmp(surge_group_value(g, i, key), surge_group_value(g, group, key)))
      return true;
  return false;
}

/* Says what there would have been: keys, or the values of this one. */
static surge_status refuse(const surge_groups *g, const char *against,
                           const char *key) {
  char found[1024] = "";
  size_t used = 0;
  bool known = false;
  for (int32_t k = 0; k < g->keys; k++) known |= !strcmp(g->key[k], key);
  int32_t count = known ? g->count : g->keys;
  for (int32_t i = 0; i < count && used < sizeof found; i++)
    if (!known || !seen_before(g, i, key))
      used += (size_t)snprintf(
          found + used, sizeof found - used, "%s%s", i ? ", " : "",
          known ? surge_group_value(g, i, key) : g->key[i]);
  return SURGE_FAIL(SURGE_ERROR_RECIPE, "--against %s: wanted %s, found %s",
                    against,
                    known ? "two groups that differ in this key alone, with "
                            "these values"
                          : "a key that varies between these runs",
                    *found ? found : "none");
}

surge_status surge_groups_contrast(const surge_groups *groups,
                                   const char *against, char key[SURGE_WORD],
                                   surge_contrast **contrast, int32_t *count) {
  char value[2][SURGE_WORD];
  size_t n = (size_t)groups->count;
  *count = 0;
  *contrast = NULL;
  SURGE_TRY(parse(against, key, value));
  *contrast = calloc(n * n, sizeof **contrast);
  if (!*contrast) return no_memory();
  for (int32_t a = 0; a < groups->count; a++)
    for (int32_t b = 0; b < groups->count; b++) {
      if (a == b || !surge_groups_alike(groups, a, b, key) ||
          !surge_values_equal(value[0], surge_group_value(groups, a, key)) ||
          !surge_values_equal(value[1], surge_group_value(groups, b, key)))
        continue;
      (*contrast)[*count] = (surge_contrast){.a = a, .b = b};
      SURGE_TRY(test_pair(groups, &(*contrast)[(*count)++]));
    }
  return *count ? SURGE_OK : refuse(groups, against, key);
}
