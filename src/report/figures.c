/* figures.c - the figures of one run, from its tables (see figures.h). */
#include "src/report/figures.h"

#include <math.h>
#include <string.h>

static int32_t layer_count(const surge_report_run *run) {
  int32_t count = 0;
  while (surge_report_run_layer(run, count)) count++;
  return count;
}

/* --- learning curves ------------------------------------------------------ */

/* Epoch and `scale` times a column; rows without a number are left out. True:
 * there was one. */
static bool metric_block(surge_plot *plot, const surge_csv *csv,
                         const char *column, double scale) {
  int32_t epoch = surge_csv_column(csv, "epoch");
  int32_t value = surge_csv_column(csv, column);
  bool any = false;
  surge_figure_block(plot);
  for (int32_t row = 0; row < csv->rows; row++) {
    double y = surge_csv_number(csv, row, value);
    if (!isfinite(y)) continue;
    fprintf(plot->script, "%g %.9g\n", surge_csv_number(csv, row, epoch),
            scale * y);
    any = true;
  }
  surge_figure_end_block(plot);
  return any;
}

static surge_status curve(surge_plot *plot, const surge_report_run *run,
                          const char *what, const char *label, double scale) {
  static const char *const prefix[] = {"train", "val", "test"};
  static const char *const title[] = {"training", "validation", "test"};
  SURGE_TRY(surge_figure_begin(plot, SURGE_SECTION_CURVES, label,
                               "%s after each epoch; of the training images "
                               "while they were trained on",
                               scale == 1 ? "Mean loss" : "Accuracy"));
  surge_plot_epochs(plot, 1, surge_report_run_epochs(run));
  fprintf(plot->script, "set ylabel '%s%s'\n", label, scale == 1 ? "" : ", %");
  for (int i = 0; i < 3; i++) {
    char column[SURGE_WORD];
    snprintf(column, sizeof column, "%s_%s", prefix[i], what);
    if (metric_block(plot, &run->metrics, column, scale))
      surge_figure_series(plot, title[i],
                          "using 1:2 with linespoints lw 2 ps 0.6 pt %d lc rgb "
                          "0x%06x",
                          surge_plot_point(i), surge_plot_colour(i, 3));
  }
  return surge_figure_end(plot);
}

/* --- layers over time ----------------------------------------------------- */

/* Columns of layers.csv, means over the steps, over the epochs that were
 * evaluated, from the first batch on. */
static void layer_block(surge_plot *plot, const surge_report_run *run,
                        const char *layer, const char *const column[3]) {
  surge_figure_block(plot);
  for (int32_t epoch = 0; epoch <= surge_report_run_epochs(run); epoch++) {
    if (epoch > 0 && strcmp(surge_report_run_split(run, epoch), "test") != 0 &&
        surge_report_run_last(run) != epoch)
      continue; /* training's numbers are not those of the evaluations */
    double y = surge_report_run_layer_value(run, column[0], layer, epoch, -1);
    if (!isfinite(y)) continue;
    fprintf(plot->script, "%d %.9g", (int)epoch, y);
    for (int k = 1; k < 3 && column[k]; k++)
      fprintf(plot->script, " %.9g",
              surge_report_run_layer_value(run, column[k], layer, epoch, -1));
    fputc('\n', plot->script);
  }
  surge_figure_end_block(plot);
}

static void layer_lines(surge_plot *plot, const surge_report_run *run,
                        const char *const column[3]) {
  int32_t count = layer_count(run);
  surge_plot_epochs(plot, 0, surge_report_run_epochs(run));
  for (int32_t i = 0; i < count; i++) {
    unsigned colour = surge_plot_colour(i, count);
    layer_block(plot, run, surge_report_run_layer(run, i), column);
    if (column[1])
      surge_figure_series(plot, NULL,
                          "using 1:3:4 with filledcurves fs transparent solid "
                          "0.15 noborder lc rgb 0x%06x",
                          colour);
    surge_figure_series(plot, surge_report_run_layer(run, i),
                        "using 1:2 with linespoints lw 2 ps 0.6 pt %d lc rgb "
                        "0x%06x",
                        surge_plot_point(i), colour);
  }
}

static surge_status widths(surge_plot *plot, const surge_report_run *run) {
  static const char *const width[3] = {"width", "width_min", "width_max"};
  static const char *const decay[3] = {"decay"};
  bool channels = run->recipe.neuron.granularity == SURGE_PER_CHANNEL;
  SURGE_TRY(surge_figure_begin(
      plot, SURGE_SECTION_WIDTHS, "width",
      "Width w of the surrogate gradient (rule: %s), on a logarithmic axis%s",
      surge_recipe_word("surrogate.width_rule",
                        (int32_t)run->recipe.neuron.width_rule),
      channels ? "; geometric mean over channels, shaded from the smallest to "
                 "the largest"
               : ""));
  fputs("set logscale y 2\nset ylabel 'width w'\n", plot->script);
  layer_lines(plot, run, width);
  SURGE_TRY(surge_figure_end(plot));
  SURGE_TRY(surge_figure_begin(
      plot, SURGE_SECTION_WIDTHS, "decay",
      "Decay d of the membrane from step to step%s",
      run->recipe.neuron.decay_learned ? ", learned" : ", a constant"));
  fputs("set yrange [0:1]\nset ylabel 'decay d'\n", plot->script);
  layer_lines(plot, run, decay);
  return surge_figure_end(plot);
}

/* --- membrane potential --------------------------------------------------- */

/* u and its density, a point a bin. */
static void density_block(surge_plot *plot, const surge_csv *csv,
                          const char *layer, int32_t epoch,
                          const char *wanted) {
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

/* Threshold as a line, the window |u - theta| < w/2 as a band behind all. */
static void window_band(surge_plot *plot, double theta, double width) {
  fprintf(plot->script,
          "set object rectangle from %g, graph 0 to %g, graph 1 behind "
          "fillcolor rgb '#b58900' fillstyle transparent solid 0.18 noborder\n"
          "set arrow from %g, graph 0 to %g, graph 1 nohead lw 2 dt 2 lc rgb "
          "'#d6568f' front\n",
          fmax(theta - width / 2, -4 * theta),
          fmin(theta + width / 2, 4 * theta), theta, theta);
}

static surge_status membrane(surge_plot *plot, const surge_report_run *run,
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
  fprintf(plot->script,
          "set xrange [%g:%g]\nset yrange [0:*]\nset xlabel 'membrane "
          "potential u'\nset ylabel 'density'\n",
          -4 * theta, 4 * theta);
  window_band(plot, theta, after);
  for (int i = 0; i < 2; i++) {
    density_block(plot, &run->histograms, layer, epoch[i],
                  surge_report_run_split(run, epoch[i]));
    surge_figure_series(plot, title[i],
                        "using 1:2 with histeps lw 2 lc rgb 0x%06x",
                        surge_plot_colour(1 - i, 2));
  }
  return surge_figure_end(plot);
}

/* --- rate and window ------------------------------------------------------ */

static surge_status by_epoch(surge_plot *plot, const surge_report_run *run,
                             const char *column, const char *what) {
  const char *const columns[3] = {column};
  char name[SURGE_WORD];
  snprintf(name, sizeof name, "%s_epochs", column);
  SURGE_TRY(surge_figure_begin(plot, SURGE_SECTION_RATES, name,
                               "%s, mean over the steps, after each epoch; "
                               "epoch 0 is the first training batch",
                               what));
  fprintf(plot->script, "set ylabel '%s'\nset yrange [0:*]\n", column);
  layer_lines(plot, run, columns);
  return surge_figure_end(plot);
}

static surge_status by_step(surge_plot *plot, const surge_report_run *run,
                            const char *column, const char *what) {
  char name[SURGE_WORD];
  int32_t last = surge_report_run_last(run), count = layer_count(run);
  int32_t T = run->recipe.T;
  snprintf(name, sizeof name, "%s_steps", column);
  SURGE_TRY(surge_figure_begin(plot, SURGE_SECTION_RATES, name,
                               "%s at each step, after epoch %d", what,
                               (int)last));
  fprintf(plot->script,
          "set ylabel '%s'\nset yrange [0:*]\nset xlabel 'step t'\nset xrange "
          "[0.8:%g]\nset xtics %d\n",
          column, T + 0.2, T > 10 ? (int)(T + 9) / 10 : 1);
  for (int32_t i = 0; i < count; i++) {
    const char *layer = surge_report_run_layer(run, i);
    surge_figure_block(plot);
    for (int32_t t = 0; t < T; t++)
      fprintf(plot->script, "%d %.9g\n", (int)t + 1,
              surge_report_run_layer_value(run, column, layer, last, t));
    surge_figure_end_block(plot);
    surge_figure_series(plot, layer,
                        "using 1:2 with linespoints lw 2 pt %d lc rgb 0x%06x",
                        surge_plot_point(i), surge_plot_colour(i, count));
  }
  return surge_figure_end(plot);
}

surge_status surge_figures_run(surge_plot *plot, const surge_report_run *run) {
  static const char *const column[2] = {"rate", "window"};
  static const char *const what[2] = {
      "Share of neurons that fire",
      "Share of potentials inside the surrogate's window |u - theta| < w/2"};
  SURGE_TRY(curve(plot, run, "loss", "loss", 1));
  SURGE_TRY(curve(plot, run, "acc", "accuracy", 100));
  SURGE_TRY(widths(plot, run));
  for (int32_t i = 0; surge_report_run_layer(run, i); i++)
    SURGE_TRY(membrane(plot, run, surge_report_run_layer(run, i)));
  for (int i = 0; i < 2; i++) {
    SURGE_TRY(by_step(plot, run, column[i], what[i]));
    SURGE_TRY(by_epoch(plot, run, column[i], what[i]));
  }
  return SURGE_OK;
}
