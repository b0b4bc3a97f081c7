/* figures.h - the figures of a report, each a name, a section and a caption. */
#ifndef SURGE_REPORT_FIGURES_H
#define SURGE_REPORT_FIGURES_H

#include "src/report/groups.h"
#include "src/report/measure.h"
#include "src/report/plot.h"

/* Sections of a page, in their order: figures name theirs. */
#define SURGE_SECTION_CURVES "Learning curves"
#define SURGE_SECTION_WIDTHS "Width and decay of each layer"
#define SURGE_SECTION_MEMBRANE "Membrane potential before and after training"
#define SURGE_SECTION_RATES "Rate and share inside the window"
#define SURGE_SECTION_CLASSES "Classes"
#define SURGE_SECTION_ANYTIME "Accuracy after each step"
#define SURGE_SECTION_RASTER "Spikes"
#define SURGE_SECTION_ENERGY "Operations and energy"
#define SURGE_SECTION_GROUPS "Accuracy of each group"
#define SURGE_SECTION_TRADEOFF "Accuracy against T"
#define SURGE_SECTION_NUMBERS "Accuracy against other keys"

/* So many groups have names in a key; of more, it would fill the page. */
#define SURGE_MOST_NAMED 12

/* Of one run, from its tables, and from its evaluation. */
surge_status surge_figures_run(surge_plot *plot, const surge_report_run *run);
surge_status surge_figures_measured(surge_plot *plot,
                                    const surge_measured *measured);

/* Of a layer of one run: u before and after training, threshold, window. */
surge_status surge_figure_membrane(surge_plot *plot,
                                   const surge_report_run *run,
                                   const char *layer);

/* Of each layer of several: widths over time, u after training. */
surge_status surge_figures_layers(surge_plot *plot, const surge_groups *groups);

/* What an inference costs, NAN where it is not known. */
typedef struct surge_cost {
  double joules, operations; /* MAC and SOP */
  double latency;            /* ms of one image, as `surge bench tradeoff` */
} surge_cost;

/* Of several: `cost` is [groups]. */
surge_status surge_figures_groups(surge_plot *plot, const surge_groups *groups,
                                  const surge_cost *cost);

/* Is a group on the Pareto front of accuracy and cost (joules, or else latency,
 * or else T)? No other is as good in both and better in one. */
bool surge_on_front(const surge_groups *groups, const surge_cost *cost,
                    int32_t group);

#endif
