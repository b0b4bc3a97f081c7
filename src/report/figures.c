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
    SURGE_TRY(surge_figure_membrane(plot, run, surge_report_run_layer(run, i)));
  for (int i = 0; i < 2; i++) {
    SURGE_TRY(by_step(plot, run, column[i], what[i]));
    SURGE_TRY(by_epoch(plot, run, column[i], what[i]));
  }
  return SURGE_OK;
}
