/* report.h - `surge report`: a run, or several compared, as one HTML file and
 * figures.
 *
 *   csv.c         a table that SURGE wrote, checked
 *   run.c         a run's folder
 *   groups.c      runs by recipe
 *   statistics.c  spreads and tests
 *   measure.c     evaluations
 *   plot.c        gnuplot
 *   page.c        HTML
 *   tables.c      numbers of groups as CSV
 *   figures*.c    what is drawn
 *   page_*.c      what is said
 *   report.c      which of it */
#ifndef SURGE_REPORT_REPORT_H
#define SURGE_REPORT_REPORT_H

#include "src/report/page.h"

typedef struct surge_report_options {
  const char *const *path; /* [paths] runs, or folders of runs               */
  int32_t paths;
  const char *out;     /* NULL: "report" in the first path               */
  const char *against; /* "KEY=A,B": two groups to test, or NULL         */
  const char *const
      *overrides; /* of evaluations (data.path), NULL-terminated */
  bool no_eval;   /* tables alone: nothing is evaluated             */
} surge_report_options;

/* Writes the report; *page gets the path of its index.html. SURGE_ERROR_DATA or
 * _RECIPE where a run cannot be read: names its file; nothing is written then.
 * Runs that have not ended are left out of a comparison, and named in it. */
surge_status surge_report(const surge_report_options *options,
                          char page[SURGE_PATH]);

/* The page of one run; of groups. */
surge_status surge_page_of_run(surge_page *page, const surge_report_run *run,
                               const surge_measured *measured);

typedef struct surge_comparison {
  const surge_groups *groups;
  const surge_cost *cost;         /* [groups]                                 */
  const char *unfinished;         /* names, "" where there are none           */
  const char *no_cost;            /* why no energy is known, or ""            */
  const char *key;                /* of the contrasts; NULL: none asked for   */
  const surge_contrast *contrast; /* [contrasts]                              */
  int32_t contrasts;
} surge_comparison;
surge_status surge_page_of_groups(surge_page *page,
                                  const surge_comparison *comparison);

/* Writes groups.csv (a row a group: keys that vary, accuracy, cost) and
 * layers.csv (a row a group and layer: surge_layer_columns after training, means
 * over runs and steps) into the folder. Shares, joules; empty: not known. */
surge_status surge_tables_write(const char *folder,
                                const surge_comparison *comparison);

/* Rows of the keys of a run that differ from the defaults, but for those of
 * `but` (NULL: none). */
surge_status surge_page_recipe(surge_page *page, const surge_report_run *run,
                               const surge_groups *but);

/* Versions, and where a run ran: the line of its log that says so. */
void surge_report_run_machine(const surge_report_run *run,
                              char line[SURGE_CAPTION]);

#endif
