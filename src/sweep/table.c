/* table.c - where a sweep stands as text, and its results as sweep.csv. */
#include <string.h>

#include "src/sweep/run.h"
#include "src/train/replace.h"

void surge_print_time(double seconds, char text[32]) {
  long s = (long)(seconds + 0.5);
  if (s >= 3600)
    snprintf(text, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  else
    snprintf(text, 32, "%ld:%02ld", s / 60, s % 60);
}

/* --- progress ------------------------------------------------------------- */

static void print_run(const surge_plan *plan, size_t p, const surge_run *run,
                      FILE *file) {
  char epochs[24], accuracy[16] = "", rate[16] = "", left[32] = "";
  const surge_point *point = &plan->points[p];
  double last = run->validation >= 0 ? run->validation : run->test;
  snprintf(epochs, sizeof epochs, "%d/%d", run->epoch, point->epochs);
  if (last >= 0) snprintf(accuracy, sizeof accuracy, "%.2f %%", 100 * last);
  if (run->epoch && run->samples_per_s > 0) {
    snprintf(rate, sizeof rate, "%.0f", run->samples_per_s);
    if (run->state == SURGE_RUN_RUNNING && point->samples > 0)
      surge_print_time(point->samples * (point->epochs - run->epoch) /
                           (point->epochs * run->samples_per_s),
                       left);
  }
  fprintf(file, "%5zu  %-11s %7s %9s %10s %8s  %s%s%s\n", p,
          surge_run_words[run->state], epochs, accuracy, rate, left,
          point->name, run->note[0] ? "  " : "", run->note);
}

void surge_sweep_print(const surge_sweep_view *view, size_t rows, FILE *file) {
  static const surge_run_state order[SURGE_RUN_STATES] = {
      SURGE_RUN_RUNNING, SURGE_RUN_FAILED, SURGE_RUN_INTERRUPTED,
      SURGE_RUN_DONE, SURGE_RUN_PENDING};
  char time[32];
  size_t shown = 0;
  fprintf(file, "%5s  %-11s %7s %9s %10s %8s  %s\n", "index", "state", "epoch",
          "accuracy", "samples/s", "left", "run");
  for (int i = 0; i < SURGE_RUN_STATES; i++)
    for (size_t p = 0; p < view->plan->count && shown < rows; p++)
      if (view->runs[p].state == order[i]) {
        print_run(view->plan, p, &view->runs[p], file);
        shown++;
      }
  for (int i = SURGE_RUN_STATES - 1; i >= 0; i--)
    fprintf(file, "%zu %s%s", view->states[i], surge_run_words[i],
            i ? ", " : "");
  if (view->seconds_left >= 0) {
    surge_print_time(view->seconds_left, time);
    fprintf(file, "; about %s left", time);
  }
  fputc('\n', file);
}

/* --- sweep.csv ------------------------------------------------------------ */

static void print_share(double share, FILE *file) {
  if (share >= 0)
    fprintf(file, ",%.9g", share);
  else
    fputc(',', file);
}

static void print_row(const surge_plan *plan, size_t p, const surge_run *run,
                      FILE *file) {
  char value[SURGE_SWEEP_VALUE];
  surge_print_field(plan->points[p].name, file);
  for (size_t k = 0; k < plan->key_count; k++) {
    if (!plan->varies[k]) continue;
    fputc(',', file);
    if (!plan->points[p].value[k]) continue;
    surge_plan_value(plan, plan->points[p].value[k], value);
    surge_print_field(value, file);
  }
  fprintf(file, ",%s,%d", surge_run_words[run->state], run->epoch);
  print_share(run->train, file);
  print_share(run->validation, file);
  print_share(run->test, file);
  print_share(run->best, file);
  fprintf(file, ",%d,%.1f,%.1f\n", run->best_epoch, run->seconds, run->peak_mb);
}

static surge_status write_table(const void *what, FILE *file) {
  const surge_sweep_view *view = what;
  const surge_plan *plan = view->plan;
  fputs("run", file);
  for (size_t k = 0; k < plan->key_count; k++)
    if (plan->varies[k]) fprintf(file, ",%s", plan->keys[k]);
  fputs(
      ",state,epochs,train_acc,val_acc,test_acc,best_acc,best_epoch,seconds,"
      "peak_mb\n",
      file);
  for (size_t p = 0; p < plan->count; p++)
    print_row(plan, p, &view->runs[p], file);
  return SURGE_OK; /* an error shows as the file is flushed */
}

surge_status surge_sweep_write_table(const surge_sweep_view *view,
                                     const char *folder) {
  char path[SURGE_SWEEP_PATH];
  surge_sweep_path(path, folder, "", "sweep.csv", "");
  return surge_replace_file(path, write_table, view);
}
