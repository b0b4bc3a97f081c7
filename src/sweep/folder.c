/* folder.c - the files of a sweep (see folder.h). */
#include "src/sweep/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/train/folder.h"
#include "src/train/replace.h"

const char *const surge_run_words[SURGE_RUN_STATES] = {
    "pending", "interrupted", "running", "failed", "done"};

/* --- paths and files ------------------------------------------------------ */

static surge_status file_error(const char *path, const char *wanted) {
  return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted to %s it, found: %s", path,
                    wanted, strerror(errno));
}

void surge_sweep_path(char path[SURGE_SWEEP_PATH], const char *folder,
                      const char *kind, const char *name, const char *suffix) {
  snprintf(path, SURGE_SWEEP_PATH, "%.*s/%s%s%s%s", SURGE_PATH - 1, folder,
           kind, *kind ? "/" : "", name, suffix);
}

static bool exists(const char *path) {
  struct stat info;
  return stat(path, &info) == 0;
}

/* --- locks ---------------------------------------------------------------- */

static surge_status say_holder(int lock, const char *path) {
  char text[128] = "", host[64] = "";
  gethostname(host, sizeof host - 1);
  int length = snprintf(text, sizeof text, "%s %d\n", host, (int)getpid());
  if (ftruncate(lock, 0) == 0 &&
      pwrite(lock, text, (size_t)length, 0) == length)
    return SURGE_OK;
  return file_error(path, "write");
}

surge_status surge_run_lock(const char *folder, const char *name, int *lock) {
  char path[SURGE_SWEEP_PATH];
  struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  surge_sweep_path(path, folder, "locks", name, "");
  *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (*lock < 0) return file_error(path, "open");
  surge_status status = SURGE_OK;
  bool ours = fcntl(*lock, F_OFD_SETLK, &all) == 0;
  if (ours)
    status = say_holder(*lock, path);
  else if (errno != EAGAIN && errno != EACCES)
    status = file_error(path, "lock");
  if (ours && status == SURGE_OK) return SURGE_OK;
  close(*lock);
  *lock = -1;
  return status;
}

surge_status surge_sweep_lock(const char *folder, const char *name, int *lock) {
  for (int tries = 0; tries < 100; tries++) {
    SURGE_TRY(surge_run_lock(folder, name, lock));
    if (*lock >= 0) return SURGE_OK;
    usleep(100000);
  }
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s/locks/%s: wanted it free, found it locked for 10 "
                    "seconds",
                    folder, name);
}

/* Is a run locked? Looks without taking it; `holder` says by whom. */
static bool is_locked(const char *folder, const char *name, char *holder,
                      size_t size) {
  char path[SURGE_SWEEP_PATH];
  struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  surge_sweep_path(path, folder, "locks", name, "");
  int lock = open(path, O_RDONLY | O_CLOEXEC);
  if (lock < 0) return false;
  bool locked = fcntl(lock, F_OFD_GETLK, &all) == 0 && all.l_type != F_UNLCK;
  ssize_t length = locked ? pread(lock, holder, size - 1, 0) : 0;
  holder[length > 0 ? length : 0] = 0;
  holder[strcspn(holder, "\n")] = 0;
  close(lock);
  return locked;
}

/* --- the plan in the folder ----------------------------------------------- */

static surge_status write_plan(const void *what, FILE *file) {
  return surge_plan_write(what, file);
}

static surge_status write_text(const void *what, FILE *file) {
  fputs(what, file);
  return SURGE_OK; /* an error shows as the file is flushed */
}

/* A stored recipe, written anew: a key that has come since has its default. */
static surge_status stored_recipe(const char *folder, const char *name,
                                  surge_recipe *recipe, char **text) {
  char path[SURGE_SWEEP_PATH];
  surge_sweep_path(path, folder, "recipes", name, ".yaml");
  *text = NULL;
  surge_status status = surge_recipe_read(recipe, path, NULL);
  if (status == SURGE_OK) status = surge_recipe_text(recipe, text);
  surge_recipe_free(recipe);
  return status;
}

/* The first line in which two recipes differ. */
static surge_status refuse_recipe(const char *folder, const char *name,
                                  const char *planned, const char *stored) {
  const char *a = planned, *b = stored;
  for (const char *p = planned, *q = stored; *p && *p == *q; p++, q++)
    if (*p == '\n') {
      a = p + 1;
      b = q + 1;
    }
  a += strspn(a, " ");
  b += strspn(b, " ");
  return SURGE_FAIL(
      SURGE_ERROR_RECIPE,
      "%s: wanted the sweep that was begun there, with \"%.*s\" in "
      "%s, found \"%.*s\"",
      folder, (int)strcspn(b, "\n"), b, name, (int)strcspn(a, "\n"), a);
}

static bool has_point(const surge_plan *plan, const char *name) {
  for (size_t p = 0; p < plan->count; p++)
    if (!strcmp(plan->points[p].name, name)) return true;
  return false;
}

static surge_status refuse_point(const char *folder, const char *name,
                                 const char *what) {
  return SURGE_FAIL(SURGE_ERROR_RECIPE,
                    "%s: wanted the sweep that was begun there, found one %s "
                    "the point %s",
                    folder, what, name);
}

static surge_status compare(const surge_plan *plan, const surge_plan *stored,
                            const char *folder) {
  for (size_t p = 0; p < stored->count; p++)
    if (!has_point(plan, stored->points[p].name))
      return refuse_point(folder, stored->points[p].name, "without");
  for (size_t p = 0; p < plan->count; p++) {
    const surge_point *point = &plan->points[p];
    surge_recipe recipe;
    char *text;
    if (!has_point(stored, point->name))
      return refuse_point(folder, point->name, "with");
    surge_status status = stored_recipe(folder, point->name, &recipe, &text);
    if (status == SURGE_OK && strcmp(text, point->recipe) != 0)
      status = refuse_recipe(folder, point->name, point->recipe, text);
    free(text);
    SURGE_TRY(status);
  }
  return SURGE_OK;
}

/* sweep.yaml last: where it is, all is. */
static surge_status store(const surge_plan *plan, const char *folder) {
  char path[SURGE_SWEEP_PATH];
  surge_sweep_path(path, folder, "recipes", "", "");
  SURGE_TRY(surge_folder_make(path));
  for (size_t p = 0; p < plan->count; p++) {
    surge_sweep_path(path, folder, "recipes", plan->points[p].name, ".yaml");
    SURGE_TRY(surge_replace_file(path, write_text, plan->points[p].recipe));
  }
  surge_sweep_path(path, folder, "", "sweep.yaml", "");
  return surge_replace_file(path, write_plan, plan);
}

static surge_status begin_locked(const surge_plan *plan, const char *folder) {
  char path[SURGE_SWEEP_PATH];
  surge_plan stored;
  surge_sweep_path(path, folder, "", "sweep.yaml", "");
  if (!exists(path)) return store(plan, folder);
  surge_status status = surge_plan_read(&stored, path);
  if (status == SURGE_OK) status = compare(plan, &stored, folder);
  surge_plan_free(&stored);
  return status;
}

surge_status surge_sweep_begin(const surge_plan *plan, const char *folder) {
  char path[SURGE_SWEEP_PATH];
  int lock = -1;
  surge_sweep_path(path, folder, "locks", "", "");
  /* Asked twice: another sweep may just have made it. */
  if (!exists(path) && !surge_folder_is_empty(folder) && !exists(path))
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "%s: wanted a new folder or that of a sweep, found files "
                      "of something else",
                      folder);
  SURGE_TRY(surge_folder_make(path));
  SURGE_TRY(surge_sweep_lock(folder, ".plan", &lock));
  surge_status status = begin_locked(plan, folder);
  close(lock);
  return status;
}

surge_status surge_sweep_open(surge_plan *plan, const char *folder) {
  char path[SURGE_SWEEP_PATH];
  surge_sweep_path(path, folder, "", "sweep.yaml", "");
  SURGE_TRY(surge_plan_read(plan, path));
  for (size_t p = 0; p < plan->count; p++) {
    surge_point *point = &plan->points[p];
    surge_recipe recipe;
    SURGE_TRY(stored_recipe(folder, point->name, &recipe, &point->recipe));
    point->epochs = recipe.train.epochs;
    point->threads = recipe.threads;
    point->network = p;
  }
  return SURGE_OK;
}

/* --- runs ----------------------------------------------------------------- */

/* Column `name` of a row, or -1 where it is empty or not there. */
static double column(const char *header, const char *row, const char *name) {
  size_t length = strlen(name);
  for (;;) {
    size_t h = strcspn(header, ",\n"), r = strcspn(row, ",\n");
    if (h == length && !strncmp(header, name, h)) return r ? atof(row) : -1;
    if (!header[h] || !row[r]) return -1;
    header += h + 1;
    row += r + 1;
  }
}

/* A row that is still being written does not end in a newline. */
static void look_at_metrics(const char *path, surge_run *run) {
  char header[1024], row[1024];
  FILE *file = fopen(path, "r");
  if (!file) return;
  bool any = fgets(header, sizeof header, file);
  while (any && fgets(row, sizeof row, file) && strchr(row, '\n')) {
    run->epoch = (int32_t)column(header, row, "epoch");
    run->train = column(header, row, "train_acc");
    run->validation = column(header, row, "val_acc");
    run->test = column(header, row, "test_acc");
    run->samples_per_s = column(header, row, "samples_per_s");
    double judge = run->validation >= 0 ? run->validation : run->test;
    if (judge <= run->best) continue;
    run->best = judge;
    run->best_epoch = run->epoch;
  }
  fclose(file);
}

static void look_at_processes(const char *path, surge_run *run) {
  char header[256], row[256];
  FILE *file = fopen(path, "r");
  if (!file) return;
  bool any = fgets(header, sizeof header, file);
  while (any && fgets(row, sizeof row, file)) {
    double peak = column(header, row, "peak_mb");
    run->seconds += column(header, row, "seconds");
    if (peak > run->peak_mb) run->peak_mb = peak;
  }
  fclose(file);
}

static bool first_line(const char *path, char *text, size_t size) {
  FILE *file = fopen(path, "r");
  if (!file) return false;
  if (!fgets(text, (int)size, file)) text[0] = 0;
  text[strcspn(text, "\n")] = 0;
  fclose(file);
  return true;
}

void surge_run_look(const char *folder, const char *name, surge_run *run) {
  char path[SURGE_SWEEP_PATH], file[SURGE_SWEEP_PATH + 32];
  *run = (surge_run){.train = -1, .validation = -1, .test = -1, .best = -1};
  /* The lock first: a run that ends in between is then seen as done, not as one
   * that was left. */
  bool locked = is_locked(folder, name, run->note, sizeof run->note);
  surge_sweep_path(path, folder, "", name, "");
  if (exists(path)) {
    run->state = SURGE_RUN_DONE;
    run->note[0] = 0;
  } else {
    surge_sweep_path(path, folder, "", name, ".part");
    snprintf(file, sizeof file, "%s/failed.txt", path);
    if (locked)
      run->state = SURGE_RUN_RUNNING;
    else if (first_line(file, run->note, sizeof run->note))
      run->state = SURGE_RUN_FAILED;
    else if (exists(path))
      run->state = SURGE_RUN_INTERRUPTED;
  }
  snprintf(file, sizeof file, "%s/metrics.csv", path);
  look_at_metrics(file, run);
  snprintf(file, sizeof file, "%s/processes.csv", path);
  look_at_processes(file, run);
}
