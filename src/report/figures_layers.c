/* figures_layers.c - widths and membrane potentials of layers, of one run and of
 * several (see figures.h). */
#include <math.h>
#include <string.h>

#include "src/report/figures.h"

/* --- membrane potential --------------------------------------------------- */

/* u and its density, a point a bin. */
static void density_block(surge_plot *plot, const surge_report_run *run,
                          const char *layer, int32_t epoch) {
  const surge_csv *csv = &run->histograms;
  const char *wanted = surge_report_run_split(run, epoch);
  int32_t name = surge_csv_column(csv, "layer");
  int32_t split = surge_csv_column(csv, "split");
  int32_t low = surge_csv_column(csv, "low");
  int32_t high = surge_csv_column(csv, "high");
  int32_t count = surge_csv_column(csv, "count");
  int32_t first = surge_report_run_first_row(csv, epoch);
  int32_t end = surge_report_run_first_row(csv, epoch + 1);
  double total = 0;
  surge_figure_block(plot);
  for (int pass = 0; pass < 2; pass++)
    for (int32_t row = first; row < end; row++) {
      if (strcmp(surge_csv_text(csv, row, name), layer) != 0 ||
          strcmp(surge_csv_text(csv, row, split), wanted) != 0)
        continue;
      double n = surge_csv_number(csv, row, count);
      double a = surge_csv_number(csv, row, low);
      double b = surge_csv_number(csv, row, high);
      if (pass == 0)
        total += n;
      else
        fprintf(plot->script, "%.6g %.6g\n", (a + b) / 2, n / total / (b - a));
    }
  surge_figure_end_block(plot);
}

/* Axes, and the threshold as a line. */
static void membrane_axes(surge_plot *plot, double theta) {
  fprintf(plot->script,
          "set xrange [%g:%g]\nset yrange [0:*]\nset xlabel 'membrane "
          "potential u'\nset ylabel 'density'\n"
          "set arrow from %g, graph 0 to %g, graph 1 nohead lw 2 dt 2 lc rgb "
          "'#d6568f' front\n",
          -4 * theta, 4 * theta, theta, theta);
}

/* The window |u - theta| < w/2 as a band behind all. */
static void window_band(surge_plot *plot, double theta, double width) {
  fprintf(plot->script,
          "set object rectangle from %g, graph 0 to %g, graph 1 behind "
          "fillcolor rgb '#b58900' fillstyle transparent solid 0.18 noborder\n",
          fmax(theta - width / 2, -4 * theta),
          fmin(theta + width / 2, 4 * theta));
}

surge_status surge_figure_membrane(surge_plot *plot,
                                   const surge_report_run *run,
                                   const char *layer) {
  char name[2 * SURGE_WORD];
  int32_t last = surge_report_run_last(run);
  const surge_neuron_spec *neuron = surge_report_run_neuron(run, layer);
  double theta = (double)neuron->v_threshold;
  double before = surge_report_run_layer_value(run, "width", layer, 0, -1);
  double after = surge_report_run_layer_value(run, "width", layer, last, -1);
  const int32_t epoch[2] = {0, last};
  static const char *const title[2] = {"before training", "after training"};
  snprintf(name, sizeof name, "membrane_%s", layer);
  SURGE_TRY(surge_figure_begin(
      plot, SURGE_SECTION_MEMBRANE, name,
      "%s: density of u in the first training batch before any update and, "
      "after epoch %d, on the %s images. Dashed: the threshold %g; shaded: the "
      "surrogate's window |u - %g| < w/2 after training, w = %.3g (before: "
      "%.3g)",
      layer, (int)last,
      !strcmp(surge_report_run_split(run, last), "test") ? "test" : "training",
      theta, theta, after, before));
  membrane_axes(plot, theta);
  window_band(plot, theta, after);
  for (int i = 0; i < 2; i++) {
    density_block(plot, run, layer, epoch[i]);
    surge_figure_series(plot, title[i],
                        "using 1:2 with histeps lw 2 lc rgb 0x%06x",
                        surge_plot_colour(1 - i, 2));
  }
  return surge_figure_end(plot);
}

static const surge_report_run *first_run(const surge_groups *g, int32_t group) {
  return &g->run[g->group[group].run[0]];
}

/* NULL where there are too many groups to name, or one. */
static const char *title_of(const surge_groups *g, int32_t group,
                            char title[SURGE_GROUP_LABEL]) {
  if (g->count > SURGE_MOST_NAMED || g->count == 1) return NULL;
  surge_group_label(g, group, NULL, title);
  return title;
}

static const char *colours(const surge_groups *g) {
  return g->count > SURGE_MOST_NAMED
             ? "; colours go from blue, group 1 of the table, over pink to "
               "orange, the last"
             : "";
}

static bool has_layer(const surge_groups *g, int32_t group, const char *layer) {
  return isfinite(surge_group_layer(g, group, "width", layer));
}

/* The first group that has a layer, or -1: no row of any says a number. */
static int32_t first_with(const surge_groups *g, const char *layer) {
  for (int32_t i = 0; i < g->count; i++)
    if (has_layer(g, i, layer)) return i;
  return -1;
}

static surge_status membranes(surge_plot *plot, const surge_groups *g,
                              const char *layer, int32_t first) {
  char name[2 * SURGE_WORD], title[SURGE_GROUP_LABEL];
  const surge_report_run *before = first_run(g, first);
  double theta = (double)surge_report_run_neuron(before, layer)->v_threshold;
  snprintf(name, sizeof name, "membrane_%s", layer);
  SURGE_TRY(surge_figure_begin(
      plot, SURGE_SECTION_MEMBRANE, name,
      "%s: density of u after training, a line a group (its first run)%s. "
      "Grey: in the first batch of group %d, before any update; dashed: its "
      "threshold %g",
      layer, colours(g), (int)first + 1, theta));
  membrane_axes(plot, theta);
  density_block(plot, before, layer, 0);
  surge_figure_series(plot, "before training",
                      "using 1:2 with filledcurves y1=0 fs transparent solid "
                      "0.5 noborder lc rgb '#999999'");
  for (int32_t i = first; i < g->count; i++) {
    if (!has_layer(g, i, layer)) continue;
    const surge_report_run *run = first_run(g, i);
    density_block(plot, run, layer, surge_report_run_last(run));
    surge_figure_series(plot, title_of(g, i, title),
                        "using 1:2 with lines lw 2 lc rgb 0x%06x",
                        surge_plot_colour(i, g->count));
  }
  return surge_figure_end(plot);
}

/* --- widths --------------------------------------------------------------- */

static void run_widths(surge_plot *plot, const surge_report_run *run,
                       const char *layer) {
  surge_figure_block(plot);
  for (int32_t epoch = 0; epoch <= surge_report_run_epochs(run); epoch++) {
    double w = surge_report_run_layer_value(run, "width", layer, epoch, -1);
    if (isfinite(w)) fprintf(plot->script, "%d %.9g\n", (int)epoch, w);
  }
  surge_figure_end_block(plot);
}

static surge_status widths(surge_plot *plot, const surge_groups *g,
                           const char *layer) {
  char name[2 * SURGE_WORD], title[SURGE_GROUP_LABEL];
  int32_t last = 1;
  snprintf(name, sizeof name, "width_%s", layer);
  SURGE_TRY(surge_figure_begin(
      plot, SURGE_SECTION_WIDTHS, name,
      "%s: width w of the surrogate gradient after each epoch, a line a run, a "
      "colour a group%s",
      layer, colours(g)));
  for (int32_t i = 0; i < g->count; i++)
    if (surge_report_run_epochs(first_run(g, i)) > last)
      last = surge_report_run_epochs(first_run(g, i));
  surge_plot_epochs(plot, 0, last);
  fputs("set logscale y 2\nset ylabel 'width w'\n", plot->script);
  for (int32_t i = 0; i < g->count; i++) {
    if (!has_layer(g, i, layer)) continue;
    for (int32_t k = 0; k < g->group[i].count; k++) {
      run_widths(plot, &g->run[g->group[i].run[k]], layer);
      surge_figure_series(plot, k == 0 ? title_of(g, i, title) : NULL,
                          "using 1:2 with linespoints lw 2 ps 0.5 pt %d lc rgb "
                          "0x%06x",
                          surge_plot_point(i), surge_plot_colour(i, g->count));
    }
  }
  return surge_figure_end(plot);
}

surge_status surge_figures_layers(surge_plot *plot,
                                  const surge_groups *groups) {
  for (int32_t i = 0; i < groups->layers; i++) {
    const char *layer = groups->layer[i];
    int32_t first = first_with(groups, layer);
    if (first < 0) continue;
    SURGE_TRY(widths(plot, groups, layer));
    SURGE_TRY(membranes(plot, groups, layer, first));
  }
  return SURGE_OK;
}
