/* report.c - from paths to a page (see report.h). */
#include "src/report/report.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/train/folder.h"

/* Of a comparison: one run of each group is evaluated on so many images. */
#define COST_IMAGES 1000

typedef struct report {
  const surge_report_options *options;
  char folder[SURGE_PATH];
  char **path; /* [paths] of runs; owned */
  int32_t paths;
  surge_report_run *run; /* [runs] that have ended; owned */
  int32_t runs;
  char *unfinished; /* their names; owned */
  surge_plot plot;
  surge_page page;
} report;

static surge_status no_memory(void) {
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "report: no memory");
}

/* --- runs ----------------------------------------------------------------- */

static surge_status add_path(report *r, const char *path) {
  char **more = realloc(r->path, (size_t)(r->paths + 1) * sizeof *more);
  if (!more) return no_memory();
  r->path = more;
  more[r->paths] = strdup(path);
  return more[r->paths++] ? SURGE_OK : no_memory();
}

/* A run, or the runs of a folder by name. */
static surge_status find_runs(report *r, const char *path) {
  struct dirent **entry;
  int32_t before = r->paths;
  if (surge_is_run(path)) return add_path(r, path);
  int count = scandir(path, &entry, NULL, alphasort);
  if (count < 0)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: wanted a run or a folder of runs, found: %s", path,
                      strerror(errno));
  surge_status status = SURGE_OK;
  for (int i = 0; i < count; i++) {
    char inner[SURGE_PATH];
    snprintf(inner, sizeof inner, "%.*s/%.255s", SURGE_PATH - 260, path,
             entry[i]->d_name);
    bool hidden = entry[i]->d_name[0] == '.';
    if (!hidden && status == SURGE_OK && surge_is_run(inner))
      status = add_path(r, inner);
    free(entry[i]);
  }
  free(entry);
  if (status != SURGE_OK || r->paths > before) return status;
  return SURGE_FAIL(
      SURGE_ERROR_DATA,
      "%s: wanted a run (recipe.yaml, metrics.csv) or a folder of runs, found "
      "neither",
      path);
}

/* Of several, those that have not ended are named and left. */
static surge_status read_runs(report *r) {
  size_t size;
  FILE *names = open_memstream(&r->unfinished, &size);
  r->run = calloc((size_t)r->paths, sizeof *r->run);
  surge_status status = names && r->run ? SURGE_OK : no_memory();
  for (int32_t i = 0; i < r->paths && status == SURGE_OK; i++) {
    surge_report_run *run = &r->run[r->runs++];
    status = surge_report_run_open(run, r->path[i]);
    if (status == SURGE_OK && (r->paths == 1 || surge_report_run_finished(run)))
      status = surge_report_run_read(run);
    if (status != SURGE_OK || r->paths == 1 || surge_report_run_finished(run))
      continue;
    fprintf(names, "%s%s (%d of %d epochs)", ftell(names) ? ", " : "",
            run->name, (int)surge_report_run_epochs(run),
            (int)run->recipe.train.epochs);
    surge_report_run_free(run);
    r->runs--;
  }
  if (names) fclose(names);
  if (status != SURGE_OK || r->runs > 0) return status;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: wanted a run that has ended, found none: %s",
                    r->options->path[0], r->unfinished);
}

/* --- one run -------------------------------------------------------------- */

static surge_status report_run(report *r) {
  surge_measured measured = {0};
  const surge_report_run *run = &r->run[0];
  if (r->options->no_eval)
    strcpy(measured.why_not, "--no-eval was given");
  else
    surge_measure(&measured, run->path, r->options->overrides);
  surge_status status = surge_figures_run(&r->plot, run);
  if (status == SURGE_OK && !*measured.why_not)
    status = surge_figures_measured(&r->plot, &measured);
  if (status == SURGE_OK) status = surge_plot_draw(&r->plot);
  if (status == SURGE_OK)
    status = surge_page_begin(&r->page, &r->plot, run->name, run->path);
  if (status == SURGE_OK) status = surge_page_of_run(&r->page, run, &measured);
  surge_measured_free(&measured);
  return status;
}

/* --- several -------------------------------------------------------------- */

/* Milliseconds of one image at T steps, of the tradeoff.csv (`surge bench
 * tradeoff`) that lies in a folder of runs; NAN where none does. */
static surge_status latency_at(const report *r, int32_t T, double *ms) {
  *ms = NAN;
  for (int32_t i = 0; i < r->options->paths; i++) {
    char path[SURGE_PATH];
    surge_csv csv;
    snprintf(path, sizeof path, "%.*s/tradeoff.csv", SURGE_PATH - 32,
             r->options->path[i]);
    if (access(path, F_OK) != 0) continue;
    surge_status status = surge_csv_read(&csv, path, "T latency_ms_batch1");
    for (int32_t row = 0; status == SURGE_OK && row < csv.rows; row++)
      if ((int32_t)surge_csv_number(&csv, row, surge_csv_column(&csv, "T")) ==
          T)
        *ms = surge_csv_number(&csv, row,
                               surge_csv_column(&csv, "latency_ms_batch1"));
    surge_csv_free(&csv);
    if (status != SURGE_OK) return status;
  }
  return SURGE_OK;
}

static surge_status find_costs(const report *r, const surge_groups *groups,
                               surge_cost *cost, char why_not[2048]) {
  if (r->options->no_eval) strcpy(why_not, "--no-eval was given");
  for (int32_t i = 0; i < groups->count; i++) {
    const surge_report_run *run = &r->run[groups->group[i].run[0]];
    surge_measured measured;
    cost[i].joules = cost[i].operations = NAN;
    SURGE_TRY(latency_at(r, run->recipe.T, &cost[i].latency));
    if (r->options->no_eval) continue;
    surge_measure_work(&measured, run->path, r->options->overrides,
                       COST_IMAGES);
    surge_energy energy = surge_measured_energy(&measured);
    if (*measured.why_not)
      strcpy(why_not, measured.why_not);
    else
      cost[i] = (surge_cost){energy.joules, energy.macs + energy.acs,
                             cost[i].latency};
    surge_measured_free(&measured);
  }
  return SURGE_OK;
}

static surge_status compare(report *r, const surge_groups *groups,
                            surge_comparison *c, const surge_cost *cost) {
  char subtitle[SURGE_CAPTION], title[SURGE_PATH];
  SURGE_TRY(surge_tables_write(r->folder, c));
  SURGE_TRY(surge_figures_groups(&r->plot, groups, cost));
  SURGE_TRY(surge_plot_draw(&r->plot));
  snprintf(title, sizeof title, "%s", r->options->path[0]);
  if (r->options->paths > 1) strcpy(title, "Runs compared");
  snprintf(subtitle, sizeof subtitle, "%d runs in %d groups", (int)r->runs,
           (int)groups->count);
  SURGE_TRY(surge_page_begin(&r->page, &r->plot, title, subtitle));
  return surge_page_of_groups(&r->page, c);
}

static surge_status report_groups(report *r) {
  surge_groups groups;
  surge_contrast *contrast = NULL;
  char key[SURGE_WORD], why_not[2048] = "";
  surge_comparison c = {
      .groups = &groups, .unfinished = r->unfinished, .no_cost = why_not};
  surge_cost *cost = calloc((size_t)r->runs, sizeof *cost);
  surge_status status = surge_groups_of(&groups, r->run, r->runs);
  if (!cost) status = no_memory();
  if (status == SURGE_OK && r->options->against) {
    status = surge_groups_contrast(&groups, r->options->against, key, &contrast,
                                   &c.contrasts);
    c.key = key;
  }
  c.contrast = contrast;
  c.cost = cost;
  if (status == SURGE_OK) status = find_costs(r, &groups, cost, why_not);
  if (status == SURGE_OK) status = compare(r, &groups, &c, cost);
  surge_groups_free(&groups);
  free(contrast);
  free(cost);
  return status;
}

/* --- the report ----------------------------------------------------------- */

static surge_status make(report *r) {
  const surge_report_options *o = r->options;
  for (int32_t i = 0; i < o->paths; i++) SURGE_TRY(find_runs(r, o->path[i]));
  SURGE_TRY(read_runs(r));
  if (o->against && r->paths == 1)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "--against %s: wanted several runs, found one: %s",
                      o->against, r->path[0]);
  snprintf(r->folder, sizeof r->folder, "%.*s%s", SURGE_PATH - 16,
           o->out ? o->out : o->path[0], o->out ? "" : "/report");
  SURGE_TRY(surge_plot_open(&r->plot, r->folder));
  SURGE_TRY(surge_folder_make(r->folder));
  SURGE_TRY(r->paths == 1 ? report_run(r) : report_groups(r));
  return surge_page_end(&r->page);
}

surge_status surge_report(const surge_report_options *options,
                          char page[SURGE_PATH]) {
  report r = {.options = options};
  surge_status status = make(&r);
  snprintf(page, SURGE_PATH, "%s", r.page.path);
  for (int32_t i = 0; i < r.runs; i++) surge_report_run_free(&r.run[i]);
  for (int32_t i = 0; i < r.paths; i++) free(r.path[i]);
  free(r.run);
  free(r.path);
  free(r.unfinished);
  surge_plot_close(&r.plot);
  surge_page_close(&r.page);
  return status;
}
