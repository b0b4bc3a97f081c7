/* run.h - a run's folder, read back. */
#ifndef SURGE_REPORT_RUN_H
#define SURGE_REPORT_RUN_H

#include "src/report/csv.h"
#include "src/config/keys.h"

typedef struct surge_report_run {
  char path[SURGE_PATH];
  const char *name; /* the last part of path */
  surge_recipe recipe;
  surge_keys keys;
  surge_csv metrics, layers, histograms;
  char *log; /* log.txt; "" where there is none */
} surge_report_run;

/* Reads recipe.yaml and metrics.csv, which tell how far it is; then the other
 * tables, for which an epoch must have ended: while a run goes on their last
 * rows may be half written. SURGE_ERROR_DATA or _RECIPE names the file that is
 * missing, cut off or not a run's. Must be freed in any case. */
surge_status surge_report_run_open(surge_report_run *run, const char *path);
surge_status surge_report_run_read(surge_report_run *run);
void surge_report_run_free(surge_report_run *run);

/* Is there a run in this folder, whole or not? */
bool surge_is_run(const char *path);

/* Epochs that the tables have; whether those are all of the recipe. */
int32_t surge_report_run_epochs(const surge_report_run *run);
bool surge_report_run_finished(const surge_report_run *run);

/* Test accuracy of the last evaluation, and the best of all; NAN: none. */
double surge_report_run_accuracy(const surge_report_run *run);
double surge_report_run_best(const surge_report_run *run);

/* Seconds of training in all. */
double surge_report_run_seconds(const surge_report_run *run);

/* Spiking layers by number, in the order of layers.csv; NULL behind the
 * last. */
const char *surge_report_run_layer(const surge_report_run *run, int32_t number);

/* The layer's constants, those of its own where the recipe lists layers. */
const surge_neuron_spec *surge_report_run_neuron(const surge_report_run *run,
                                                 const char *layer);

/* The first row of a table whose epoch is at least `epoch`. */
int32_t surge_report_run_first_row(const surge_csv *csv, int32_t epoch);

/* The split whose rows stand for epoch `epoch`: of the first batch the training
 * images, later the test images, or else the training images. */
const char *surge_report_run_split(const surge_report_run *run, int32_t epoch);

/* The last epoch with rows of the test images in layers.csv, or else the
 * last. */
int32_t surge_report_run_last(const surge_report_run *run);

/* A column of layers.csv at step t, or its mean over the steps (t = -1), of
 * that epoch and its split; NAN where there is no such row. */
double surge_report_run_layer_value(const surge_report_run *run,
                                    const char *column, const char *layer,
                                    int32_t epoch, int32_t t);

#endif
