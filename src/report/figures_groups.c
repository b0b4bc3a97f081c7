/* figures_groups.c - the figures of several runs (see figures.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/report/figures.h"

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

/* --- a numeric key as an axis, and lines of groups along it --------------- */

typedef struct axis {
  const surge_groups *g;
  const char *key;
  double low, high; /* the groups' values                                     */
  bool log;         /* where that is wide                                     */
  int32_t *line;    /* [groups] groups that differ in this key alone are on   */
  int32_t lines;    /* one line                                               */
} axis;

static surge_status axis_open(axis *x, const surge_groups *g, const char *key) {
  *x = (axis){.g = g, .key = key, .low = INFINITY, .high = -INFINITY};
  x->line = calloc((size_t)g->count, sizeof *x->line);
  if (!x->line)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "report: no memory for a figure");
  for (int32_t i = 0; i < g->count; i++) {
    x->low = fmin(x->low, number(g, i, key));
    x->high = fmax(x->high, number(g, i, key));
    int32_t like = 0;
    while (like < i && !surge_groups_alike(g, like, i, key)) like++;
    x->line[i] = like < i ? x->line[like] : x->lines++;
  }
  x->log = x->low > 0 && x->high / x->low >= 4;
  return SURGE_OK;
}

static void axis_close(axis *x) { free(x->line); }

/* `share` of the way along the axis from a value. */
static double along(const axis *x, double value, double share) {
  return x->log ? value * pow(x->high / x->low, share)
                : value + share * (x->high - x->low);
}

/* The groups of one line by rising value; their number. */
static int32_t groups_of_line(const axis *x, int32_t line, int32_t *group) {
  int32_t count = 0;
  for (int32_t i = 0; i < x->g->count; i++) {
    if (x->line[i] != line) continue;
    int32_t at = count++;
    double value = number(x->g, i, x->key);
    for (; at > 0 && number(x->g, group[at - 1], x->key) > value; at--)
      group[at] = group[at - 1];
    group[at] = i;
  }
  return count;
}

/* Value, accuracy, deviation of a group, and the second axis. Lines stand a
 * little beside one another, so that their bars can be seen. */
static void group_row(surge_plot *plot, const axis *x, int32_t group,
                      double second) {
  const surge_spread *a = &x->g->group[group].accuracy;
  double middle = (x->lines - 1) / 2.0;
  double beside = 0.03 * (x->line[group] - middle) / fmax(1, middle);
  fprintf(plot->script, "%.9g %.9g %.9g %.9g\n",
          along(x, number(x->g, group, x->key), beside), 100 * a->mean,
          a->n > 1 ? 100 * a->deviation : 0, second);
}

static void draw_line(surge_plot *plot, const axis *x, int32_t line,
                      int32_t *group, const double *second) {
  char title[SURGE_GROUP_LABEL];
  int32_t count = groups_of_line(x, line, group);
  unsigned colour = surge_plot_colour(line, x->lines);
  surge_figure_block(plot);
  for (int32_t i = 0; i < count; i++)
    group_row(plot, x, group[i], second ? second[group[i]] : (double)NAN);
  surge_figure_end_block(plot);
  surge_group_label(x->g, group[0], x->key, title);
  if (!*title) strcpy(title, "accuracy");
  surge_figure_series(
      plot, x->lines <= SURGE_MOST_NAMED ? title : NULL,
      "using 1:2:3 with yerrorlines lw 2 pt %d ps 0.8 lc rgb 0x%06x",
      surge_plot_point(line), colour);
  if (second)
    surge_figure_series(
        plot, NULL,
        "using 1:4 axes x1y2 with linespoints dt 3 lw 2 pt 1 lc rgb 0x%06x",
        colour);
}

static surge_status draw_lines(surge_plot *plot, const axis *x,
                               const double *second) {
  int32_t *group = calloc((size_t)x->g->count, sizeof *group);
  if (!group)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "report: no memory for a figure");
  for (int32_t line = 0; line < x->lines; line++)
    draw_line(plot, x, line, group, second);
  free(group);
  return SURGE_OK;
}

static void draw_axis(surge_plot *plot, const axis *x) {
  if (x->log) fputs("set logscale x\n", plot->script);
  fprintf(plot->script, "set xrange [%g:%g]\nset xlabel '%s'\nset xtics (",
          along(x, x->low, -0.08), along(x, x->high, 0.08), x->key);
  for (int32_t i = 0; i < x->g->count; i++) /* gnuplot draws twins once */
    fprintf(plot->script, "%s'%g' %g", i ? ", " : "", number(x->g, i, x->key),
            number(x->g, i, x->key));
  fputs(
      ")\nset ylabel 'test accuracy, %'\nset offsets 0, 0, graph 0.05, graph "
      "0.05\n",
      plot->script);
}

static bool is_single(const surge_groups *g) {
  for (int32_t i = 0; i < g->count; i++)
    if (g->group[i].count > 1) return false;
  return true;
}

static const char *bars(const surge_groups *g) {
  return is_single(g) ? "one run a point, so that its spread is not known"
                      : "bars: standard deviation over runs, none where n = 1";
}

static surge_status against_key(surge_plot *plot, const axis *x) {
  char name[2 * SURGE_WORD];
  snprintf(name, sizeof name, "accuracy_%.100s", x->key);
  SURGE_TRY(surge_figure_begin(
      plot, SURGE_SECTION_NUMBERS, name,
      "Test accuracy after the last epoch against %s; %s", x->key, bars(x->g)));
  draw_axis(plot, x);
  SURGE_TRY(draw_lines(plot, x, NULL));
  return surge_figure_end(plot);
}

/* --- accuracy against T --------------------------------------------------- */

static void mark_front(surge_plot *plot, const axis *x,
                       const surge_cost *cost) {
  surge_figure_block(plot);
  for (int32_t i = 0; i < x->g->count; i++)
    if (surge_on_front(x->g, cost, i)) group_row(plot, x, i, NAN);
  surge_figure_end_block(plot);
  surge_figure_series(
      plot, "Pareto front",
      "using 1:2 with points pt 6 ps 2.2 lw 1.5 lc rgb '#888888'");
}

/* `second` may be NULL: no second axis. */
static surge_status against_T(surge_plot *plot, const axis *x,
                              const surge_cost *cost, const char *name,
                              const char *what, const double *second) {
  SURGE_TRY(surge_figure_begin(
      plot, SURGE_SECTION_TRADEOFF, name,
      "Test accuracy after the last epoch against the number of steps T (left "
      "axis; %s)%s%s. Rings: the Pareto front, where no other group is as "
      "accurate at a lower cost",
      bars(x->g), second ? "; dotted: " : "", second ? what : ""));
  draw_axis(plot, x);
  if (second)
    fprintf(plot->script,
            "set border 11\nset y2tics\nset y2range [0:*]\nset y2label '%s'\n",
            what);
  SURGE_TRY(draw_lines(plot, x, second));
  mark_front(plot, x, cost);
  return surge_figure_end(plot);
}

static surge_status tradeoff(surge_plot *plot, const axis *x,
                             const surge_cost *cost) {
  static const char *const name[] = {"T_energy", "T_operations", "T_latency"};
  static const char *const what[] = {"energy of an inference, uJ",
                                     "operations of an inference, millions",
                                     "latency of one image, ms"};
  double *second = calloc((size_t)x->g->count, sizeof *second);
  bool any = false;
  if (!second)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "report: no memory for a figure");
  surge_status status = SURGE_OK;
  for (int k = 0; k < 3 && status == SURGE_OK; k++) {
    bool known = false;
    for (int32_t i = 0; i < x->g->count; i++) {
      second[i] = k == 0   ? 1e6 * cost[i].joules
                  : k == 1 ? 1e-6 * cost[i].operations
                           : cost[i].latency;
      known |= isfinite(second[i]);
    }
    any |= known;
    if (known) status = against_T(plot, x, cost, name[k], what[k], second);
  }
  if (status == SURGE_OK && !any)
    status = against_T(plot, x, cost, "T_accuracy", "", NULL);
  free(second);
  return status;
}

/* --- every group ---------------------------------------------------------- */

static void group_names(surge_plot *plot, const surge_groups *g) {
  fputs("set ytics scale 0 (", plot->script);
  for (int32_t i = 0; i < g->count; i++)
    fprintf(plot->script, "%s'%d' %d", i ? ", " : "", (int)i + 1, (int)i);
  fputs(")\n", plot->script);
}

/* Each run as a dot; each mean of several with its deviation. */
static void draw_groups(surge_plot *plot, const surge_groups *g) {
  surge_figure_block(plot);
  for (int32_t i = 0; i < g->count; i++)
    for (int32_t k = 0; k < g->group[i].count; k++)
      fprintf(plot->script, "%.9g %d\n",
              100 * surge_report_run_accuracy(&g->run[g->group[i].run[k]]),
              (int)i);
  surge_figure_end_block(plot);
  surge_figure_series(plot, "run",
                      "using 1:2 with points pt 7 ps 0.6 lc rgb 0x%06x",
                      surge_plot_colour(0, 2));
  if (is_single(g)) return;
  surge_figure_block(plot);
  for (int32_t i = 0; i < g->count; i++) {
    const surge_spread *a = &g->group[i].accuracy;
    if (a->n > 1)
      fprintf(plot->script, "%.9g %d %.9g\n", 100 * a->mean, (int)i,
              100 * a->deviation);
  }
  surge_figure_end_block(plot);
  surge_figure_series(
      plot, "mean",
      "using 1:2:3 with xerrorbars pt 12 ps 1.3 lw 1.5 lc rgb 0x%06x",
      surge_plot_colour(1, 2));
}

static surge_status every_group(surge_plot *plot, const surge_groups *g) {
  SURGE_TRY(surge_figure_begin(plot, SURGE_SECTION_GROUPS, "groups",
                               "Test accuracy after the last epoch by group "
                               "(numbers: rows of the table): dots are runs, "
                               "diamonds means; %s",
                               bars(g)));
  plot->height = 110 + 22 * (int)g->count;
  fprintf(
      plot->script,
      "set yrange [%g:-0.6]\nset xlabel 'test accuracy, %%'\nset ylabel "
      "'group'\nset grid noytics xtics\nset offsets graph 0.05, graph 0.05, "
      "0, 0\n",
      g->count - 0.4);
  group_names(plot, g);
  draw_groups(plot, g);
  return surge_figure_end(plot);
}

static surge_status against(surge_plot *plot, const surge_groups *g,
                            const surge_cost *cost, const char *key) {
  axis x;
  surge_status status = axis_open(&x, g, key);
  if (status == SURGE_OK)
    status = strcmp(key, "T") != 0 ? against_key(plot, &x)
                                   : tradeoff(plot, &x, cost);
  axis_close(&x);
  return status;
}

/* Was any run evaluated on test images? */
static bool has_accuracy(const surge_groups *g) {
  for (int32_t i = 0; i < g->count; i++)
    if (isfinite(g->group[i].accuracy.mean)) return true;
  return false;
}

surge_status surge_figures_groups(surge_plot *plot, const surge_groups *groups,
                                  const surge_cost *cost) {
  bool any = has_accuracy(groups);
  if (any) SURGE_TRY(every_group(plot, groups));
  for (int32_t k = 0; any && k < groups->keys; k++)
    if (surge_groups_numeric(groups, groups->key[k]))
      SURGE_TRY(against(plot, groups, cost, groups->key[k]));
  return surge_figures_layers(plot, groups);
}
