/* figures_measured.c - the figures of one run's evaluation (see figures.h). */
#include <math.h>
#include <string.h>

#include "src/report/figures.h"

/* --- classes -------------------------------------------------------------- */

#define NAMED 20   /* so many classes have their names at the axis */
#define COUNTED 12 /* so many have numbers in their cells */

static void class_tics(surge_plot *plot, const surge_measured *m,
                       const char *axis) {
  if (m->classes > NAMED) return;
  fprintf(plot->script, "set %stics (", axis);
  for (int32_t c = 0; c < m->classes; c++) {
    const char *name = m->class_name[c];
    fprintf(plot->script, "%s'", c ? ", " : "");
    for (; *name; name++)
      fprintf(plot->script, *name == '\'' ? "''" : "%c", *name);
    fprintf(plot->script, "' %d", (int)c);
  }
  fputs(") scale 0\n", plot->script);
}

/* Share of a class's images that are taken for another. */
static double share_of(const surge_measured *m, int32_t label, int32_t said) {
  double all = 0;
  for (int32_t c = 0; c < m->classes; c++)
    all += (double)m->confusion[label * m->classes + c];
  double part = (double)m->confusion[label * m->classes + said];
  return all > 0 ? part / all : (double)NAN;
}

static surge_status confusion(surge_plot *plot, const surge_measured *m) {
  SURGE_TRY(surge_figure_begin(
      plot, SURGE_SECTION_CLASSES, "confusion",
      "Confusion matrix of the test images: of a class's images (row), the %% "
      "taken for each class (column)"));
  plot->height = 420;
  fprintf(plot->script,
          "unset grid\nset xrange [-0.5:%g]\nset yrange [%g:-0.5]\n"
          "set cbrange [0:100]\nunset colorbox\nset xlabel 'taken for'\n"
          "set ylabel 'class'\nset xtics rotate by 45 right\n"
          "set palette defined (0 '#f4f7fb', 30 '#8db7e8', 100 '#174a8c')\n",
          m->classes - 0.5, m->classes - 0.5);
  class_tics(plot, m, "x");
  class_tics(plot, m, "y");
  surge_figure_block(plot);
  for (int32_t i = 0; i < m->classes; i++)
    for (int32_t j = 0; j < m->classes; j++) {
      double percent = 100 * share_of(m, i, j);
      fprintf(plot->script, "%d %d %.4g %u ", (int)j, (int)i, percent,
              percent > 45 ? 0xffffffu : 0x222222u);
      fprintf(plot->script, percent > 0.5 ? "%.0f\n" : "\"\"\n", percent);
    }
  surge_figure_end_block(plot);
  surge_figure_series(
      plot, NULL,
      "using 1:2:(0.5):(0.5):3 with boxxyerror fs solid noborder lc palette");
  if (m->classes <= COUNTED)
    surge_figure_series(plot, NULL,
                        "using 1:2:5:4 with labels font ',10' tc rgb variable");
  return surge_figure_end(plot);
}

static surge_status per_class(surge_plot *plot, const surge_measured *m) {
  SURGE_TRY(surge_figure_begin(plot, SURGE_SECTION_CLASSES, "classes",
                               "Accuracy of each class of the test images"));
  plot->height = m->classes > NAMED ? 420 : 120 + 24 * (int)m->classes;
  fprintf(plot->script,
          "set yrange [%g:-0.6]\nset xrange [0:100]\nset xlabel 'accuracy, "
          "%%'\nset grid noytics xtics\n",
          m->classes - 0.4);
  class_tics(plot, m, "y");
  surge_figure_block(plot);
  for (int32_t c = 0; c < m->classes; c++)
    fprintf(plot->script, "%d %.6g\n", (int)c, 100 * share_of(m, c, c));
  surge_figure_end_block(plot);
  surge_figure_series(plot, NULL,
                      "using ($2/2):1:($2/2):(0.36) with boxxyerror fs solid "
                      "noborder lc rgb 0x%06x",
                      surge_plot_colour(0, 1));
  if (m->classes <= NAMED)
    surge_figure_series(plot, NULL,
                        "using (2):1:(sprintf('%%.1f', $2)) with labels left "
                        "font ',11' tc rgb '#ffffff'");
  return surge_figure_end(plot);
}

/* --- steps ---------------------------------------------------------------- */

static surge_status anytime(surge_plot *plot, const surge_measured *m) {
  const surge_anytime *a = &m->anytime;
  double samples = (double)a->samples;
  SURGE_TRY(surge_figure_begin(plot, SURGE_SECTION_ANYTIME, "anytime",
                               "Test accuracy of one pass after each step, and "
                               "with early exit as soon as the largest softmax "
                               "of the mean logits so far reaches a threshold "
                               "(%g to %g), against the mean number of steps "
                               "taken",
                               a->exit[0].threshold,
                               a->exit[SURGE_EXITS - 1].threshold));
  fprintf(plot->script,
          "set xlabel 'steps'\nset ylabel 'accuracy, %%'\nset xrange "
          "[0.9:%g]\nset xtics %d\n",
          a->T + 0.1, a->T > 10 ? (int)(a->T + 9) / 10 : 1);
  surge_figure_block(plot);
  for (int32_t t = 0; t < a->T; t++)
    fprintf(plot->script, "%d %.6g\n", (int)t + 1,
            100 * (double)a->correct[t] / samples);
  surge_figure_end_block(plot);
  surge_figure_series(plot, "after each step",
                      "using 1:2 with linespoints lw 2 pt 7 lc rgb 0x%06x",
                      surge_plot_colour(0, 2));
  surge_figure_block(plot);
  for (int i = 0; i < SURGE_EXITS; i++)
    fprintf(plot->script, "%.6g %.6g\n", (double)a->exit[i].steps / samples,
            100 * (double)a->exit[i].correct / samples);
  surge_figure_end_block(plot);
  surge_figure_series(
      plot, "early exit",
      "using 1:2 with linespoints lw 2 pt 5 ps 0.8 lc rgb 0x%06x",
      surge_plot_colour(1, 2));
  return surge_figure_end(plot);
}

/* --- spikes --------------------------------------------------------------- */

/* Images side by side, each T steps wide, lines between them. */
static void raster_axes(surge_plot *plot, const surge_raster *r) {
  fprintf(plot->script,
          "unset grid\nset xrange [0:%d]\nset yrange [-1:%d]\nset ylabel "
          "'neuron'\nset xlabel 'image, %d step%s each'\nset xtics scale 0 (",
          (int)(r->images * r->T), (int)r->neurons, (int)r->T,
          r->T > 1 ? "s" : "");
  for (int32_t n = 0; n < r->images; n++)
    fprintf(plot->script, "%s'%d' %g", n ? ", " : "", (int)n, (n + 0.5) * r->T);
  fputs(")\n", plot->script);
  for (int32_t n = 1; n < r->images; n++)
    fprintf(plot->script,
            "set arrow from %d, graph 0 to %d, graph 1 nohead lc rgb "
            "'#888888'\n",
            (int)(n * r->T), (int)(n * r->T));
}

/* A point a spike: step, from the first image's first on, and neuron. */
static void raster_block(surge_plot *plot, const surge_raster *r) {
  surge_figure_block(plot);
  fputs("-9 -9\n", plot->script); /* a silent layer is a figure too */
  for (int32_t i = 0; i < r->images * r->T; i++)
    for (int32_t k = 0; k < r->neurons; k++)
      if (r->spike[i * r->neurons + k])
        fprintf(plot->script, "%g %d\n", i + 0.5, (int)k);
  surge_figure_end_block(plot);
}

static surge_status raster(surge_plot *plot, const surge_raster *r) {
  char name[2 * SURGE_WORD];
  snprintf(name, sizeof name, "raster_%s", r->name);
  SURGE_TRY(surge_figure_begin(
      plot, SURGE_SECTION_RASTER, name,
      "%s: spikes of %d of its %d neurons over %d steps for the first %d test "
      "images",
      r->name, (int)r->neurons, (int)r->of, (int)r->T, (int)r->images));
  raster_axes(plot, r);
  raster_block(plot, r);
  surge_figure_series(
      plot, NULL,
      "using 1:2:(%g):(0.38) with boxxyerror fs solid noborder lc rgb 0x%06x",
      r->T > 16 ? 0.45 : 0.3, surge_plot_colour(0, 1));
  return surge_figure_end(plot);
}

/* --- energy --------------------------------------------------------------- */

static surge_status energy(surge_plot *plot, const surge_measured *m) {
  SURGE_TRY(surge_figure_begin(
      plot, SURGE_SECTION_ENERGY, "energy",
      "Energy of an inference by layer, 45 nm: %.1f pJ a multiply-accumulate, "
      "%.1f pJ a synaptic operation (Horowitz 2014)",
      SURGE_JOULE_MAC * 1e12, SURGE_JOULE_AC * 1e12));
  plot->height = 120 + 24 * (int)m->works;
  fprintf(plot->script,
          "set yrange [%g:-0.6]\nset xrange [0:*]\nset xlabel 'energy, uJ'\n"
          "set grid noytics xtics\n",
          m->works - 0.4);
  fputs("set ytics scale 0 (", plot->script);
  for (int32_t i = 0; i < m->works; i++)
    fprintf(plot->script, "%s'%s' %d", i ? ", " : "", m->work[i].name, (int)i);
  fputs(")\n", plot->script);
  for (int binary = 0; binary < 2; binary++) {
    int32_t bars = 0;
    surge_figure_block(plot);
    for (int32_t i = 0; i < m->works; i++) {
      if (m->work[i].binary != binary) continue;
      fprintf(plot->script, "%d %.6g\n", (int)i,
              1e6 * m->work[i].energy.joules);
      bars++;
    }
    surge_figure_end_block(plot);
    if (bars > 0)
      surge_figure_series(
          plot, binary ? "synaptic operations" : "multiply-accumulates",
          "using ($2/2):1:($2/2):(0.36) with boxxyerror fs solid noborder lc "
          "rgb 0x%06x",
          surge_plot_colour(1 - binary, 2));
  }
  return surge_figure_end(plot);
}

surge_status surge_figures_measured(surge_plot *plot,
                                    const surge_measured *measured) {
  SURGE_TRY(confusion(plot, measured));
  SURGE_TRY(per_class(plot, measured));
  SURGE_TRY(anytime(plot, measured));
  for (int32_t i = 0; i < measured->rasters; i++)
    SURGE_TRY(raster(plot, &measured->raster[i]));
  return energy(plot, measured);
}
