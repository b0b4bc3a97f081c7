/* figures_groups.c - the figures of several runs (see figures.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/report/figures.h"

/* So many groups have names in a key; of more, it would fill the page. */
#define MOST_NAMED 12

static double number(const surge_groups *g, int32_t group, const char *key) {
  return strtod(surge_group_value(g, group, key), NULL);
}

/* --- the front ------------------------------------------------------------ */

static double cost_of(const surge_groups *g, const surge_cost *cost,
                      int32_t group) {
  double joules = cost[group].joules, latency = cost[group].latency;
  for (int32_t i = 0; i < g->count; i++) { /* one measure for all */
    if (!isfinite(cost[i].joules)) joules = NAN;
    if (!isfinite(cost[i].latency)) latency = NAN;
  }
  if (isfinite(joules)) return joules;
  if (isfinite(latency)) return latency;
  return g->run[g->group[group].run[0]].recipe.T;
}

bool surge_on_front(const surge_groups *groups, const surge_cost *cost,
                    int32_t group) {
  double accuracy = groups->group[group].accuracy.mean;
  double price = cost_of(groups, cost, group);
  for (int32_t i = 0; i < groups->count; i++) {
    double other = groups->group[i].accuracy.mean;
    double others = cost_of(groups, cost, i);
    if (other >= accuracy && others <= price &&
        (other > accuracy || others < price))
      return false;
  }
  return isfinite(accuracy);
}

/* --- lines: the groups that differ in one key alone -------------------------- */

/* Number of the line that a group is on; its first group is the line's name. */
static int32_t line_of(const surge_groups *g, int32_t group, const char *key,
                       int32_t *first) {
  int32_t lines = 0;
  for (int32_t i = 0; i <= group; i++) {
    bool is_first = true;
    for (int32_t k = 0; k < i && is_first; k++)
      is_first = !surge_groups_alike(g, k, i, key);
    if (is_first && surge_groups_alike(g, i, group, key)) {
      *first = i;
      return lines;
    }
    lines += is_first;
  }
  return lines; /* not reached: a group is alike itself */
}

static int32_t line_count(const surge_groups *g, const char *key) {
  int32_t most = 0, first;
  for (int32_t i = 0; i < g->count; i++) {
    int32_t line = line_of(g, i, key, &first);
    if (line + 1 > most) most = line + 1;
  }
  return most;
}

/* The groups of one line by rising value; their number. */
static int32_t groups_of_line(const surge_groups *g, const char *key,
                              int32_t line, int32_t *group) {
  int32_t count = 0, first;
  for (int32_t i = 0; i < g->count; i++) {
    if (line_of(g, i, key, &first) != line) continue;
    int32_t at = count++;
    for (; at > 0 && number(g, group[at - 1], key) > number(g, i, key); at--)
      group[at] = group[at - 1];
    group[at] = i;
  }
  return count;
}

static void line_title(const surge_groups *g, int32_t group, const char *key,
                       char title[SURGE_GROUP_LABEL]) {
  surge_group_label(g, group, key, title);
  if (!*title) snprintf(title, SURGE_GROUP_LABEL, "accuracy");
}

/* What the groups span of a numeric key; `log` where that is wide. */
typedef struct span {
  double low, high;
  bool log;
} span;

static span span_of(const surge_groups *g, const char *key) {
  span s = {INFINITY, -INFINITY, false};
  for (int32_t i = 0; i < g->count; i++) {
    s.low = fmin(s.low, number(g, i, key));
    s.high = fmax(s.high, number(g, i, key));
  }
  s.log = s.low > 0 && s.high / s.low >= 4;
  return s;
}

/* `share` of the way along the span from a value. */
static double along(const span *s, double value, double share) {
  return s->log ? value * pow(s->high / s->low, share)
                : value + share * (s->high - s->low);
}

/* Value, accuracy, deviation of a group, and the second axis. Lines stand a
 * little beside one another, so that their bars can be seen. */
static void group_row(surge_plot *plot, const surge_groups *g, int32_t group,
                      const char *key, double second) {
  int32_t first;
  const surge_spread *a = &g->group[group].accuracy;
  span s = span_of(g, key);
  double middle = (line_count(g, key) - 1) / 2.0;
  double beside = 0.03 * (line_of(g, group, key, &first) - middle) /
                  fmax(1, middle);
  fprintf(plot->script, "%.9g %.9g %.9g %.9g\n",
          along(&s, number(g, group, key), beside), 100 * a->mean,
          a->n > 1 ? 100 * a->deviation : 0, second);
}

static void accuracy_line(surge_plot *plot, const surge_groups *g,
                          const char *key, int32_t line, int32_t lines,
                          const double *second) {
  char title[SURGE_GROUP_LABEL];
  int32_t *group = calloc((size_t)g->count, sizeof *group);
  if (!group) return;
  int32_t count = groups_of_line(g, key, line, group);
  unsigned colour = surge_plot_colour(line, lines);
  surge_figure_block(plot);
  for (int32_t i = 0; i < count; i++)
    group_row(plot, g, group[i], key, second ? second[group[i]] : (double)NAN);
  surge_figure_end_block(plot);
  line_title(g, group[0], key, title);
  surge_figure_series(plot, lines <= MOST_NAMED ? title : NULL,
                      "using 1:2:3 with yerrorlines lw 2 pt %d ps 0.8 lc rgb "
                      "0x%06x",
                      surge_plot_point(line), colour);
  if (second)
    surge_figure_series(plot, NULL,
                        "using 1:4 axes x1y2 with linespoints dt 3 lw 2 pt 1 lc "
                        "rgb 0x%06x",
                        colour);
  free(group);
}

static void key_axis(surge_plot *plot, const surge_groups *g, const char *key) {
  span s = span_of(g, key);
  if (s.log) fputs("set logscale x\n", plot->script);
  fprintf(plot->script, "set xrange [%g:%g]\nset xlabel '%s'\nset xtics (",
          along(&s, s.low, -0.08), along(&s, s.high, 0.08), key);
  for (int32_t i = 0; i < g->count; i++) /* gnuplot draws twins once */
    fprintf(plot->script, "%s'%g' %g", i ? ", " : "", number(g, i, key),
            number(g, i, key));
  fputs(")\nset ylabel 'test accuracy, %'\nset offsets 0, 0, graph 0.05, graph "
        "0.05\n",
        plot->script);
}

static bool is_single(const surge_groups *g) {
  for (int32_t i = 0; i < g->count; i++)
    if (g->group[i].count > 1) return false;
  return true;
}

static const char *bars(const surge_groups *g) {
  return is_single(g) ? "one seed a point, so that its spread is not known"
                      : "bars: standard deviation over seeds, none where n = 1";
}

static surge_status against_key(surge_plot *plot, const surge_groups *g,
                                const char *key) {
  char name[2 * SURGE_WORD];
  int32_t lines = line_count(g, key);
  snprintf(name, sizeof name, "accuracy_%.100s", key);
  SURGE_TRY(surge_figure_begin(plot, SURGE_SECTION_NUMBERS, name,
                               "Test accuracy after the last epoch against %s; "
                               "%s",
                               key, bars(g)));
  key_axis(plot, g, key);
  for (int32_t line = 0; line < lines; line++)
    accuracy_line(plot, g, key, line, lines, NULL);
  return surge_figure_end(plot);
}

/* --- accuracy against T --------------------------------------------------- */

static void mark_front(surge_plot *plot, const surge_groups *g,
                       const surge_cost *cost) {
  surge_figure_block(plot);
  for (int32_t i = 0; i < g->count; i++)
    if (surge_on_front(g, cost, i)) group_row(plot, g, i, "T", NAN);
  surge_figure_end_block(plot);
  surge_figure_series(plot, "Pareto front",
                      "using 1:2 with points pt 6 ps 2.2 lw 1.5 lc rgb '#888888'");
}

/* `second` may be NULL: no second axis. */
static surge_status against_T(surge_plot *plot, const surge_groups *g,
                              const surge_cost *cost, const char *name,
                              const char *what, const double *second) {
  int32_t lines = line_count(g, "T");
  SURGE_TRY(surge_figure_begin(
      plot, SURGE_SECTION_TRADEOFF, name,
      "Test accuracy after the last epoch against the number of steps T (left "
      "axis; %s)%s%s. Rings: the Pareto front, where no other group is as "
      "accurate at a lower cost",
      bars(g), second ? "; dotted: " : "", second ? what : ""));
  key_axis(plot, g, "T");
  if (second)
    fprintf(plot->script,
            "set border 11\nset y2tics\nset y2range [0:*]\nset y2label '%s'\n",
            what);
  for (int32_t line = 0; line < lines; line++)
    accuracy_line(plot, g, "T", line, lines, second);
  mark_front(plot, g, cost);
  return surge_figure_end(plot);
}

static surge_status tradeoff(surge_plot *plot, const surge_groups *g,
                             const surge_cost *cost) {
  static const char *const name[] = {"T_energy", "T_operations", "T_latency"};
  static const char *const what[] = {"energy of an inference, uJ",
                                     "operations of an inference, millions",
                                     "latency of one image, ms"};
  double *second = calloc((size_t)g->count, sizeof *second);
  bool any = false;
  if (!second)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "report: no memory for a figure");
  surge_status status = SURGE_OK;
  for (int k = 0; k < 3 && status == SURGE_OK; k++) {
    bool known = false;
    for (int32_t i = 0; i < g->count; i++) {
      second[i] = k == 0   ? 1e6 * cost[i].joules
                  : k == 1 ? 1e-6 * cost[i].operations
                           : cost[i].latency;
      known |= isfinite(second[i]);
    }
    any |= known;
    if (known) status = against_T(plot, g, cost, name[k], what[k], second);
  }
  if (status == SURGE_OK && !any)
    status = against_T(plot, g, cost, "T_accuracy", "", NULL);
  free(second);
  return status;
}

/* --- every group, and widths ----------------------------------------------- */

static void group_names(surge_plot *plot, const surge_groups *g) {
  fputs("set ytics scale 0 (", plot->script);
  for (int32_t i = 0; i < g->count; i++)
    fprintf(plot->script, "%s'%d' %d", i ? ", " : "", (int)i + 1, (int)i);
  fputs(")\n", plot->script);
}

static surge_status every_group(surge_plot *plot, const surge_groups *g) {
  SURGE_TRY(surge_figure_begin(plot, SURGE_SECTION_GROUPS, "groups",
                               "Test accuracy after the last epoch by group "
                               "(numbers: rows of the table): dots are runs, "
                               "diamonds means; %s",
                               bars(g)));
  plot->height = 110 + 22 * (int)g->count;
  fprintf(plot->script,
          "set yrange [%g:-0.6]\nset xlabel 'test accuracy, %%'\nset ylabel "
          "'group'\nset grid noytics xtics\nset offsets graph 0.05, graph 0.05, "
          "0, 0\n",
          g->count - 0.4);
  group_names(plot, g);
  surge_figure_block(plot);
  for (int32_t i = 0; i < g->count; i++)
    for (int32_t k = 0; k < g->group[i].count; k++)
      fprintf(plot->script, "%.9g %d\n",
              100 * surge_run_accuracy(&g->run[g->group[i].run[k]]), (int)i);
  surge_figure_end_block(plot);
  surge_figure_series(plot, "run", "using 1:2 with points pt 7 ps 0.6 lc rgb "
                      "0x%06x", surge_plot_colour(0, 2));
  surge_figure_block(plot);
  for (int32_t i = 0; i < g->count; i++) {
    const surge_spread *a = &g->group[i].accuracy;
    if (a->n > 1)
      fprintf(plot->script, "%.9g %d %.9g\n", 100 * a->mean, (int)i,
              100 * a->deviation);
  }
  surge_figure_end_block(plot);
  if (!is_single(g))
    surge_figure_series(plot, "mean",
                        "using 1:2:3 with xerrorbars pt 12 ps 1.3 lw 1.5 lc rgb "
                        "0x%06x",
                        surge_plot_colour(1, 2));
  return surge_figure_end(plot);
}

static void run_widths(surge_plot *plot, const surge_run *run,
                       const char *layer) {
  surge_figure_block(plot);
  for (int32_t epoch = 0; epoch <= surge_run_epochs(run); epoch++) {
    double w = surge_run_layer_value(run, "width", layer, epoch, -1);
    if (isfinite(w)) fprintf(plot->script, "%d %.9g\n", (int)epoch, w);
  }
  surge_figure_end_block(plot);
}

static surge_status layer_widths(surge_plot *plot, const surge_groups *g,
                                 const char *layer) {
  char name[2 * SURGE_WORD], title[SURGE_GROUP_LABEL];
  bool named = g->count <= MOST_NAMED && g->count > 1;
  snprintf(name, sizeof name, "width_%s", layer);
  SURGE_TRY(surge_figure_begin(plot, SURGE_SECTION_WIDTHS, name,
                               "%s: width w of the surrogate gradient after each "
                               "epoch, a line a run, a colour a group",
                               layer));
  int32_t last = 1;
  for (int32_t i = 0; i < g->count; i++)
    if (surge_run_epochs(&g->run[g->group[i].run[0]]) > last)
      last = surge_run_epochs(&g->run[g->group[i].run[0]]);
  surge_plot_epochs(plot, 0, last);
  fputs("set logscale y 2\nset ylabel 'width w'\n", plot->script);
  for (int32_t i = 0; i < g->count; i++) {
    surge_group_label(g, i, NULL, title);
    for (int32_t k = 0; k < g->group[i].count; k++) {
      run_widths(plot, &g->run[g->group[i].run[k]], layer);
      surge_figure_series(plot, named && k == 0 ? title : NULL,
                          "using 1:2 with linespoints lw 2 ps 0.5 pt %d lc rgb "
                          "0x%06x",
                          surge_plot_point(i), surge_plot_colour(i, g->count));
    }
  }
  return surge_figure_end(plot);
}

surge_status surge_figures_groups(surge_plot *plot, const surge_groups *groups,
                                  const surge_cost *cost) {
  SURGE_TRY(every_group(plot, groups));
  for (int32_t k = 0; k < groups->keys; k++) {
    const char *key = groups->key[k];
    if (!surge_groups_numeric(groups, key)) continue;
    if (strcmp(key, "T") != 0)
      SURGE_TRY(against_key(plot, groups, key));
    else
      SURGE_TRY(tradeoff(plot, groups, cost));
  }
  const surge_run *first = &groups->run[groups->group[0].run[0]];
  for (int32_t i = 0; surge_run_layer(first, i); i++)
    SURGE_TRY(layer_widths(plot, groups, surge_run_layer(first, i)));
  return SURGE_OK;
}
