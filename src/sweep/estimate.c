/* estimate.c - how long the runs of a sweep take (see run.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/backend/clock.h"
#include "src/sweep/child.h"
#include "src/sweep/run.h"

enum { MOST_SECONDS = 60 }; /* spent on timing */

/* The mean of the network's runs that have ended, or 0. */
static double of_ended_runs(const surge_plan *plan, const char *folder,
                            size_t network) {
  double seconds = 0;
  int count = 0;
  for (size_t p = 0; p < plan->count; p++) {
    surge_run run;
    if (plan->points[p].network != network) continue;
    surge_run_look(folder, plan->points[p].name, &run);
    if (run.state != SURGE_RUN_DONE || run.seconds <= 0) continue;
    seconds += run.seconds;
    count++;
  }
  return count ? seconds / count : 0;
}

/* The samples_per_s of `surge bench train`'s table: column 9 of its last line. */
static double read_rate(int output) {
  char text[4096], *row = text;
  ssize_t length = pread(output, text, sizeof text - 1, 0);
  text[length > 0 ? length : 0] = 0;
  char *end = strrchr(text, '\n');
  if (!end) return 0;
  *end = 0;
  if ((end = strrchr(text, '\n'))) row = end + 1;
  for (int i = 0; i < 8; i++) {
    if (!(row = strchr(row, ','))) return 0;
    row++;
  }
  return atof(row);
}

/* Waits for the process; a signal for this one ends it. */
static int wait_for(pid_t pid, const volatile sig_atomic_t *stop,
                    double until) {
  surge_child_end end;
  bool killed = false;
  while (!surge_child_ended(pid, &end)) {
    if (!killed && (*stop || surge_seconds() > until)) {
      kill(pid, SIGKILL);
      killed = true;
    }
    usleep(20000);
  }
  return end.code;
}

/* Samples a second of a few steps, by a process where a run would be; 0: not
 * to be had. */
static surge_status time_steps(const surge_sweep_options *o,
                               const surge_point *point, FILE *recipe,
                               FILE *output, double until, double *rate) {
  char path[64], threads[16];
  cpu_set_t cpus;
  pid_t pid;
  int share = surge_place_cpus(&o->places, 0, &cpus);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(recipe));
  snprintf(threads, sizeof threads, "%d",
           point->threads ? point->threads : share);
  char *const arguments[] = {(char *)o->program, "bench", "train",    path,
                             "--steps",          "3",     "--warmup", "1",
                             "--threads",        threads, NULL};
  surge_child child = {.arguments = arguments,
                       .cpus = &cpus,
                       .gpu = o->places.gpu_count ? o->places.gpus[0] : NULL,
                       .output = fileno(output),
                       .kept = fileno(recipe)};
  SURGE_TRY(surge_child_start(&child, &pid));
  *rate = wait_for(pid, o->stop, until) == 0 ? read_rate(fileno(output)) : 0;
  if (*o->stop)
    return SURGE_FAIL(SURGE_INTERRUPTED, "interrupted; no run was begun");
  return SURGE_OK;
}

/* The recipe need not be in the sweep's folder: a dry run makes none. */
static surge_status time_point(const surge_sweep_options *o,
                               const surge_point *point, double until,
                               double *rate) {
  FILE *recipe = tmpfile(), *output = tmpfile();
  bool good = recipe && output && fputs(point->recipe, recipe) >= 0 &&
              fflush(recipe) == 0;
  surge_status status =
      good ? time_steps(o, point, recipe, output, until, rate)
           : SURGE_FAIL(SURGE_ERROR_DATA,
                        "wanted two temporary files, found: %s",
                        strerror(errno));
  if (recipe) fclose(recipe);
  if (output) fclose(output);
  return status;
}

surge_status surge_sweep_estimate(const surge_plan *plan,
                                  const surge_sweep_options *o,
                                  surge_estimate *estimate) {
  double until = surge_seconds() + MOST_SECONDS;
  *estimate = (surge_estimate){.networks = 0};
  for (size_t p = 0; p < plan->count; p++) {
    const surge_point *point = &plan->points[p];
    double rate, *seconds = &estimate->seconds[p];
    if (point->network != p) continue;
    estimate->networks++;
    *seconds = of_ended_runs(plan, o->folder, p);
    estimate->measured += *seconds > 0;
    if (*seconds > 0 || point->samples == 0 || surge_seconds() > until)
      continue;
    SURGE_TRY(time_point(o, point, until, &rate));
    if (rate > 0) *seconds = point->samples / rate;
    estimate->timed += rate > 0;
  }
  return SURGE_OK;
}
