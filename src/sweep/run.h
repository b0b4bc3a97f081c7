/* run.h - the runs of a sweep: processes of this program, some at once. */
#ifndef SURGE_SWEEP_RUN_H
#define SURGE_SWEEP_RUN_H

#include <sched.h>
#include <signal.h>

#include "src/sweep/folder.h"

#define SURGE_SWEEP_GPUS 64

/* Where each job computes: a share of the cores that this process may use, and
 * one of the GPUs in turn. */
typedef struct surge_places {
  int jobs;
  const char *gpus[SURGE_SWEEP_GPUS]; /* as CUDA_VISIBLE_DEVICES names them */
  int gpu_count;
} surge_places;

/* Cores of a job; returns how many. 0, and none: this process's are not known
 * (more than a cpu_set_t holds). */
int surge_place_cpus(const surge_places *places, int job, cpu_set_t *cpus);

/* Seconds of a run of each network (surge_point.network); 0: not known. */
typedef struct surge_estimate {
  double seconds[SURGE_SWEEP_POINTS];
  size_t networks, measured, timed; /* all; from runs that ended; by steps */
} surge_estimate;

/* Where the whole sweep stands. */
typedef struct surge_sweep_view {
  const surge_plan *plan;
  const surge_run *runs;           /* [plan->count] */
  size_t states[SURGE_RUN_STATES]; /* how many runs are in each */
  double seconds_left;             /* of all; negative: not known */
} surge_sweep_view;

typedef struct surge_sweep_observer {
  void *user;
  surge_tell *message; /* a line on each change                */
  void (*view)(void *user, const surge_sweep_view *view); /* or NULL */
} surge_sweep_observer;

typedef struct surge_sweep_options {
  const char *folder, *program; /* this program's path                     */
  surge_places places;
  int only;         /* the one point that is run; negative: all            */
  bool failed_only; /* runs that failed, no others                         */
  const surge_estimate *estimate; /* or NULL */
  surge_sweep_observer observer;
  const volatile sig_atomic_t *stop; /* 1: save and stop; 2: stop at once  */
} surge_sweep_options;

/* Runs what is pending, interrupted or failed and not locked by another sweep,
 * then writes sweep.csv. SURGE_INTERRUPTED: all is saved, resumable,
 * or not done as another sweep is at it. Where runs failed: as the first of them
 * did. */
surge_status surge_sweep_run(const surge_plan *plan,
                             const surge_sweep_options *options);

/* How long a run takes: of runs that have ended, or of steps timed by `surge
 * bench train`, at most a minute of them in all. */
surge_status surge_sweep_estimate(const surge_plan *plan,
                                  const surge_sweep_options *options,
                                  surge_estimate *estimate);

/* Looks at all runs; runs[plan->count]. */
void surge_sweep_look(const surge_plan *plan, const char *folder,
                      const surge_estimate *estimate, int jobs, surge_run *runs,
                      surge_sweep_view *view);

/* Rows of runs, those that are running first and at most `rows`, and a line on
 * all of them (table.c). */
void surge_sweep_print(const surge_sweep_view *view, size_t rows, FILE *file);

/* "1:02:03" */
void surge_print_time(double seconds, char text[32]);

/* FOLDER/sweep.csv (table.c). */
surge_status surge_sweep_write_table(const surge_sweep_view *view,
                                     const char *folder);

#endif
