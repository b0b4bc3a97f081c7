/* plot.h - figures: what gnuplot is told, one program run for all of them.
 *
 *     surge_figure_begin    name, section and caption
 *     surge_figure_block    a block of data follows: lines of numbers
 *     surge_figure_end_block
 *     surge_figure_series   how the last block is drawn, and its title
 *     surge_figure_end
 *     surge_plot_draw       NAME.svg and NAME.png of each, in the folder
 *
 * What goes between the calls goes to plot->script: `set` commands and data. */
#ifndef SURGE_REPORT_PLOT_H
#define SURGE_REPORT_PLOT_H

#include <stdio.h>
#include <surge/recipe.h>

#define SURGE_CAPTION 1024

typedef struct surge_figure {
  char name[2 * SURGE_WORD];
  const char *section; /* the page's; lives as long as the figure */
  char caption[SURGE_CAPTION];
} surge_figure;

typedef struct surge_plot {
  char folder[SURGE_PATH];
  char version[SURGE_WORD]; /* "gnuplot 5.4 patchlevel 4" */
  FILE *script;
  surge_figure *figure; /* [count]; owned */
  int32_t count;
  /* of the figure under way: */
  FILE *commands;                   /* what is plotted */
  char *command;                    /* the text behind `commands` */
  int32_t blocks;                   /* of data, of all figures */
  int32_t series, entries, longest; /* of them in the key; characters */
  int32_t height;
} surge_plot;

/* SURGE_ERROR_DATA where gnuplot is not installed: names the package. */
surge_status surge_plot_open(surge_plot *plot, const char *folder);
surge_status surge_plot_draw(surge_plot *plot);
void surge_plot_close(surge_plot *plot);

surge_status surge_figure_begin(surge_plot *plot, const char *section,
                                const char *name, const char *caption, ...)
    __attribute__((format(printf, 4, 5)));
void surge_figure_block(surge_plot *plot);
void surge_figure_end_block(surge_plot *plot);

/* `how` is what gnuplot wants behind the data: "using 1:2 with lines ...". The
 * title may be NULL: no entry in the key. */
void surge_figure_series(surge_plot *plot, const char *title, const char *how,
                         ...) __attribute__((format(printf, 3, 4)));
surge_status surge_figure_end(surge_plot *plot);

/* The horizontal axis of epochs, from 0 or 1 to the last. */
void surge_plot_epochs(surge_plot *plot, int32_t first, int32_t last);

/* Of number i of n: a colour that can be told from its neighbours on white and
 * on black, 0xrrggbb. Few are named by hue, many go from the first to the last;
 * and a shape of gnuplot's points. */
unsigned surge_plot_colour(int32_t i, int32_t n);
int surge_plot_point(int32_t i);

#endif
