/* tables.c - the numbers of a comparison, for whoever goes on from them: groups.csv
 * and layers.csv beside the page. */
#include <math.h>

#include "src/report/report.h"
#include "src/train/replace.h"

static void key_names(const surge_groups *g, FILE *file) {
  fputs("group", file);
  for (int32_t k = 0; k < g->keys; k++) {
    fputc(',', file);
    surge_print_field(g->key[k], file);
  }
}

static void key_values(const surge_groups *g, int32_t group, FILE *file) {
  fprintf(file, "%d", (int)group + 1);
  for (int32_t k = 0; k < g->keys; k++) {
    fputc(',', file);
    surge_print_field(surge_group_value(g, group, g->key[k]), file);
  }
}

/* Nothing where there is no number. */
static void number(double value, FILE *file) {
  fputc(',', file);
  if (isfinite(value)) fprintf(file, "%.6g", value);
}

static surge_status write_groups(const void *what, FILE *file) {
  const surge_comparison *c = what;
  key_names(c->groups, file);
  fputs(
      ",accuracy,deviation,n,best,seconds,joules,operations,latency_ms,front\n",
      file);
  for (int32_t i = 0; i < c->groups->count; i++) {
    const surge_report_run_group *group = &c->groups->group[i];
    key_values(c->groups, i, file);
    number(group->accuracy.mean, file);
    number(group->accuracy.deviation, file);
    number(group->accuracy.n, file);
    number(group->best, file);
    number(group->seconds, file);
    number(c->cost[i].joules, file);
    number(c->cost[i].operations, file);
    number(c->cost[i].latency, file);
    fprintf(file, ",%d\n", surge_on_front(c->groups, c->cost, i));
  }
  return SURGE_OK; /* an error shows as the file is flushed */
}

static surge_status write_layers(const void *what, FILE *file) {
  const surge_groups *g = what;
  key_names(g, file);
  fputs(",layer", file);
  for (int k = 0; surge_layer_columns[k]; k++)
    fprintf(file, ",%s", surge_layer_columns[k]);
  fputc('\n', file);
  for (int32_t i = 0; i < g->count; i++)
    for (int32_t l = 0; l < g->layers; l++) {
      const char *layer = g->layer[l];
      if (!isfinite(surge_group_layer(g, i, "width", layer))) continue;
      key_values(g, i, file);
      fprintf(file, ",%s", layer);
      for (int k = 0; surge_layer_columns[k]; k++)
        number(surge_group_layer(g, i, surge_layer_columns[k], layer), file);
      fputc('\n', file);
    }
  return SURGE_OK;
}

surge_status surge_tables_write(const char *folder,
                                const surge_comparison *comparison) {
  char path[SURGE_PATH];
  snprintf(path, sizeof path, "%.*s/groups.csv", SURGE_PATH - 16, folder);
  SURGE_TRY(surge_replace_file(path, write_groups, comparison));
  snprintf(path, sizeof path, "%.*s/layers.csv", SURGE_PATH - 16, folder);
  return surge_replace_file(path, write_layers, comparison->groups);
}
