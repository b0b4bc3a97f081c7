/* run.c - the runs of a sweep, some at once (see run.h). */
#include "src/sweep/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/backend/clock.h"
#include "src/sweep/child.h"

/* --- places --------------------------------------------------------------- */

int surge_place_cpus(const surge_places *places, int job, cpu_set_t *cpus) {
  cpu_set_t all;
  int at = 0;
  CPU_ZERO(cpus);
  if (sched_getaffinity(0, sizeof all, &all) != 0) return 0;
  int count = CPU_COUNT(&all);
  int first = job * count / places->jobs;
  int end = (job + 1) * count / places->jobs;
  if (end == first) end = first + 1; /* more jobs than cores: some share one */
  for (size_t cpu = 0; cpu < CPU_SETSIZE && at < end; cpu++)
    if (CPU_ISSET(cpu, &all) && at++ >= first) CPU_SET(cpu, cpus);
  return CPU_COUNT(cpus);
}

/* --- a sweep that runs ---------------------------------------------------- */

/* A process and its run. */
typedef struct job {
  pid_t pid; /* 0: none */
  size_t point;
  int lock;
  double started;
} job;

typedef struct sweep {
  const surge_plan *plan;
  const surge_sweep_options *options;
  job *jobs;
  size_t next; /* point that is looked at next  */
  size_t failures, interrupted;
  surge_status failure; /* of the first that failed */
  char first_failed[SURGE_SWEEP_NAME];
  surge_run *runs; /* as seen last                  */
  surge_sweep_view view;
  int told; /* signals that the processes have been sent */
} sweep;

static surge_status tell(const sweep *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static surge_status tell(const sweep *s, const char *format, ...) {
  char line[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  return s->options->observer.message(s->options->observer.user, line);
}

static const char *name_of(const sweep *s, size_t point) {
  return s->plan->points[point].name;
}

/* FOLDER/NAME.part/file */
static void part_path(const sweep *s, size_t point, const char *file,
                      char path[SURGE_SWEEP_PATH + 64]) {
  char part[SURGE_SWEEP_PATH];
  surge_sweep_path(part, s->options->folder, "", name_of(s, point), ".part");
  snprintf(path, SURGE_SWEEP_PATH + 64, "%s%s%s", part, *file ? "/" : "", file);
}

static surge_status part_error(const char *path, const char *wanted) {
  return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted to %s it, found: %s", path,
                    wanted, strerror(errno));
}

/* --- a run begins --------------------------------------------------------- */

static surge_status start_process(sweep *s, int slot, size_t point, int lock,
                                  int output) {
  const surge_sweep_options *o = s->options;
  char recipe[SURGE_SWEEP_PATH], part[SURGE_SWEEP_PATH + 64];
  char checkpoint[SURGE_SWEEP_PATH + 64], threads[16];
  cpu_set_t cpus;
  int share = surge_place_cpus(&o->places, slot, &cpus);
  surge_sweep_path(recipe, o->folder, "recipes", name_of(s, point), ".yaml");
  part_path(s, point, "", part);
  part_path(s, point, "checkpoint_last.safetensors", checkpoint);
  if (s->plan->points[point].threads) share = s->plan->points[point].threads;
  snprintf(threads, sizeof threads, "%d", share);
  char *const anew[] = {(char *)o->program, "train",     recipe,  "--out", part,
                        "--force",          "--threads", threads, NULL};
  char *const resume[] = {(char *)o->program, "train", "--resume", part,
                          "--threads",        threads, NULL};
  surge_child child = {.arguments = access(checkpoint, F_OK) ? anew : resume,
                       .cpus = &cpus,
                       .output = output,
                       .kept = lock};
  if (o->places.gpu_count)
    child.gpu = o->places.gpus[slot % o->places.gpu_count];
  job *j = &s->jobs[slot];
  *j = (job){.point = point, .lock = lock, .started = surge_seconds()};
  return surge_child_start(&child, &j->pid);
}

/* With the run's lock, which is given back where it does not start. */
static surge_status start(sweep *s, int slot, size_t point, int lock) {
  char path[SURGE_SWEEP_PATH + 64];
  part_path(s, point, "", path);
  surge_status status = SURGE_OK;
  int output = -1;
  if (mkdir(path, 0777) != 0 && errno != EEXIST)
    status = part_error(path, "make");
  part_path(s, point, "failed.txt", path);
  unlink(path);
  part_path(s, point, "output.txt", path);
  if (status == SURGE_OK)
    output = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (status == SURGE_OK && output < 0) status = part_error(path, "open");
  if (status == SURGE_OK) status = start_process(s, slot, point, lock, output);
  if (output >= 0) close(output);
  if (status == SURGE_OK) return tell(s, "%s: started", name_of(s, point));
  s->jobs[slot].pid = 0;
  close(lock);
  return status;
}

static bool is_wanted(const sweep *s, size_t point) {
  surge_run run;
  surge_run_look(s->options->folder, name_of(s, point), &run);
  if (s->options->failed_only) return run.state == SURGE_RUN_FAILED;
  return run.state != SURGE_RUN_DONE;
}

/* A run that ended while its lock was waited for is done. */
static surge_status try_point(sweep *s, int slot, size_t point) {
  char done[SURGE_SWEEP_PATH];
  int lock;
  if (!is_wanted(s, point)) return SURGE_OK;
  SURGE_TRY(surge_run_lock(s->options->folder, name_of(s, point), &lock));
  if (lock < 0) {
    surge_run run;
    surge_run_look(s->options->folder, name_of(s, point), &run);
    return tell(s, "%s: left to another sweep (%s)", name_of(s, point),
                run.note);
  }
  surge_sweep_path(done, s->options->folder, "", name_of(s, point), "");
  if (access(done, F_OK) == 0) {
    close(lock);
    return SURGE_OK;
  }
  return start(s, slot, point, lock);
}

static surge_status fill_slots(sweep *s) {
  for (int slot = 0; slot < s->options->places.jobs; slot++)
    while (!s->jobs[slot].pid && s->next < s->plan->count) {
      size_t point = s->next++;
      if (s->options->only >= 0 && point != (size_t)s->options->only) continue;
      SURGE_TRY(try_point(s, slot, point));
    }
  return SURGE_OK;
}

/* --- a run ends ----------------------------------------------------------- */

static surge_status note_process(const sweep *s, const job *j,
                                 const surge_child_end *end) {
  char path[SURGE_SWEEP_PATH + 64], host[64] = "";
  struct stat info;
  part_path(s, j->point, "processes.csv", path);
  gethostname(host, sizeof host - 1);
  FILE *file = fopen(path, "a");
  if (!file) return part_error(path, "open");
  if (fstat(fileno(file), &info) == 0 && info.st_size == 0)
    fputs("host,pid,seconds,peak_mb,exit_code\n", file);
  fprintf(file, "%s,%d,%.3f,%.1f,%d\n", host, (int)j->pid,
          surge_seconds() - j->started, end->peak_mb, end->code);
  bool written = fflush(file) == 0;
  if (!written) part_error(path, "write");
  return fclose(file) == 0 && written ? SURGE_OK : SURGE_ERROR_DATA;
}

/* The end of what the process printed, from the start of a line; its last line
 * begins at *last. */
static void read_tail(const sweep *s, size_t point, char *text, size_t size,
                      const char **last) {
  char path[SURGE_SWEEP_PATH + 64];
  part_path(s, point, "output.txt", path);
  FILE *file = fopen(path, "r");
  size_t length = 0;
  if (file) {
    if (fseek(file, -(long)(size - 1), SEEK_END) != 0) rewind(file);
    length = fread(text, 1, size - 1, file);
    fclose(file);
  }
  while (length && text[length - 1] == '\n') length--;
  text[length] = 0;
  const char *newline = strrchr(text, '\n');
  *last = newline ? newline + 1 : text;
}

/* failed.txt: a line that says it all, then the end of the output. Where the
 * disk is full it stays out: the run is then seen as interrupted. */
static surge_status fail(sweep *s, size_t point, int code) {
  char path[SURGE_SWEEP_PATH + 64], tail[2048], why[64];
  const char *last;
  read_tail(s, point, tail, sizeof tail, &last);
  if (code > 128)
    snprintf(why, sizeof why, "ended by signal %d", code - 128);
  else
    snprintf(why, sizeof why, "exit code %d", code);
  if (s->failures++ == 0) {
    s->failure =
        code > 128 || code == 127 ? SURGE_ERROR_DEVICE : (surge_status)code;
    snprintf(s->first_failed, sizeof s->first_failed, "%s", name_of(s, point));
  }
  part_path(s, point, "failed.txt", path);
  FILE *file = fopen(path, "w");
  if (file) fprintf(file, "%s: %s\n\n%s\n", why, last, tail);
  bool written = file && fflush(file) == 0;
  int cause = errno;
  if (file) fclose(file);
  if (!written) unlink(path);
  SURGE_TRY(tell(s, "%s: failed: %s: %s", name_of(s, point), why, last));
  if (written) return SURGE_OK;
  return tell(s, "%s: wanted to write it, found: %s", path, strerror(cause));
}

static surge_status complete(sweep *s, size_t point) {
  char part[SURGE_SWEEP_PATH + 64], done[SURGE_SWEEP_PATH], time[32];
  surge_run run;
  part_path(s, point, "", part);
  surge_sweep_path(done, s->options->folder, "", name_of(s, point), "");
  if (rename(part, done) != 0) return part_error(part, "rename");
  surge_run_look(s->options->folder, name_of(s, point), &run);
  surge_print_time(run.seconds, time);
  return tell(
      s, "%s: done: accuracy %.2f %% after %d epochs, %s", name_of(s, point),
      100 * (run.validation >= 0 ? run.validation : run.test), run.epoch, time);
}

static surge_status end_job(sweep *s, job *j, const surge_child_end *end) {
  surge_status status = note_process(s, j, end);
  if (end->code == 0) {
    if (status == SURGE_OK) status = complete(s, j->point);
  } else if (end->code == SURGE_INTERRUPTED ||
             (s->told &&
              (end->code == 128 + SIGTERM || end->code == 128 + SIGKILL))) {
    s->interrupted++;
    status = tell(s, "%s: interrupted", name_of(s, j->point));
  } else
    status = fail(s, j->point, end->code);
  close(j->lock);
  j->pid = 0;
  return status;
}

/* How many are running still. */
static surge_status reap(sweep *s, int *running) {
  surge_status first = SURGE_OK;
  *running = 0;
  for (int slot = 0; slot < s->options->places.jobs; slot++) {
    job *j = &s->jobs[slot];
    surge_child_end end;
    if (j->pid && surge_child_ended(j->pid, &end)) {
      surge_status status = end_job(s, j, &end);
      if (first == SURGE_OK) first = status;
    }
    *running += j->pid != 0;
  }
  return first;
}

/* The first signal is passed on: runs save and end. A second one ends them. */
static void pass_on(sweep *s, int wanted) {
  if (wanted <= s->told) return;
  s->told = wanted;
  for (int slot = 0; slot < s->options->places.jobs; slot++)
    if (s->jobs[slot].pid)
      kill(s->jobs[slot].pid, wanted > 1 ? SIGKILL : SIGTERM);
}

/* --- watching ------------------------------------------------------------- */

void surge_sweep_look(const surge_plan *plan, const char *folder,
                      const surge_estimate *estimate, int jobs, surge_run *runs,
                      surge_sweep_view *view) {
  double left = 0;
  *view = (surge_sweep_view){.plan = plan, .runs = runs, .seconds_left = -1};
  for (size_t p = 0; p < plan->count; p++) {
    const surge_point *point = &plan->points[p];
    surge_run_look(folder, point->name, &runs[p]);
    view->states[runs[p].state]++;
    if (!estimate || runs[p].state == SURGE_RUN_DONE || left < 0) continue;
    double whole = estimate->seconds[point->network];
    left = whole > 0
               ? left + whole * (1 - (double)runs[p].epoch / point->epochs)
               : -1;
  }
  if (estimate) view->seconds_left = left < 0 ? left : left / jobs;
}

/* Says what is new of the runs of this process. */
static surge_status watch(sweep *s) {
  const surge_sweep_observer *observer = &s->options->observer;
  for (int slot = 0; slot < s->options->places.jobs; slot++) {
    const job *j = &s->jobs[slot];
    surge_run *before = &s->runs[j->point], now;
    if (!j->pid) continue;
    surge_run_look(s->options->folder, name_of(s, j->point), &now);
    bool news = now.epoch != before->epoch && now.epoch > 0;
    *before = now;
    if (!news) continue;
    double accuracy = now.validation >= 0 ? now.validation : now.test;
    if (accuracy < 0) accuracy = now.train;
    SURGE_TRY(tell(s, "%s: epoch %d/%d accuracy %.2f %% %.0f samples/s",
                   name_of(s, j->point), now.epoch,
                   s->plan->points[j->point].epochs, 100 * accuracy,
                   now.samples_per_s));
  }
  if (!observer->view) return SURGE_OK;
  surge_sweep_look(s->plan, s->options->folder, s->options->estimate,
                   s->options->places.jobs, s->runs, &s->view);
  observer->view(observer->user, &s->view);
  return SURGE_OK;
}

/* --- all of it ------------------------------------------------------------ */

enum { LOOK_EVERY = 10 }; /* turns of a tenth of a second between looks */

/* An error of the sweep itself stops it, as an interrupt does. */
static surge_status run_all(sweep *s) {
  surge_status status = SURGE_OK;
  int running = 0;
  for (int turn = 0;; turn++) {
    int wanted = *s->options->stop;
    if (status != SURGE_OK && wanted == 0) wanted = 1;
    if (wanted == 0) status = fill_slots(s);
    pass_on(s, wanted);
    surge_status ended = reap(s, &running);
    if (status == SURGE_OK) status = ended;
    if (running == 0 &&
        (*s->options->stop || status != SURGE_OK || s->next == s->plan->count))
      return status;
    if (turn % LOOK_EVERY == 0 && status == SURGE_OK) status = watch(s);
    usleep(100000);
  }
}

/* Locked from the look on: of two sweeps that end at once, the one that writes
 * last has also looked last. */
static surge_status write_table(sweep *s) {
  const char *folder = s->options->folder;
  int lock;
  SURGE_TRY(surge_sweep_lock(folder, ".table", &lock));
  surge_sweep_look(s->plan, folder, NULL, 1, s->runs, &s->view);
  surge_status status = surge_sweep_write_table(&s->view, folder);
  close(lock);
  return status;
}

static surge_status conclude(sweep *s) {
  const surge_sweep_options *o = s->options;
  if (o->only < 0)
    SURGE_TRY(write_table(s));
  else
    surge_sweep_look(s->plan, o->folder, NULL, 1, s->runs, &s->view);
  size_t done = s->view.states[SURGE_RUN_DONE];
  bool all = o->only < 0 ? done == s->plan->count
                         : s->runs[o->only].state == SURGE_RUN_DONE;
  if (all) return SURGE_OK;
  if (*o->stop)
    return SURGE_FAIL(
        SURGE_INTERRUPTED,
        "interrupted: %zu of %zu runs done, the others saved in %s", done,
        s->plan->count, o->folder);
  if (s->failures)
    return SURGE_FAIL(s->failure,
                      "%zu runs failed, the first one %s: see failed.txt in "
                      "%s/*.part (surge sweep retry %s)",
                      s->failures, s->first_failed, o->folder, o->folder);
  if (s->interrupted)
    return SURGE_FAIL(
        SURGE_INTERRUPTED,
        "%zu runs were interrupted, not by this sweep; saved in %s",
        s->interrupted, o->folder);
  if (o->failed_only) return SURGE_OK; /* what is pending is not asked for */
  if (o->only < 0)
    return SURGE_FAIL(SURGE_INTERRUPTED,
                      "%zu of %zu runs done, the others are another sweep's",
                      done, s->plan->count);
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: wanted to run it, found it run by %s",
                    name_of(s, (size_t)o->only), s->runs[o->only].note);
}

surge_status surge_sweep_run(const surge_plan *plan,
                             const surge_sweep_options *options) {
  sweep s = {.plan = plan, .options = options};
  s.jobs = calloc((size_t)options->places.jobs, sizeof *s.jobs);
  s.runs = calloc(plan->count, sizeof *s.runs);
  surge_status status = s.jobs && s.runs
                            ? SURGE_OK
                            : SURGE_FAIL(SURGE_ERROR_DEVICE,
                                         "no memory for %zu runs", plan->count);
  if (status == SURGE_OK) status = run_all(&s);
  if (status == SURGE_OK) status = conclude(&s);
  free(s.jobs);
  free(s.runs);
  return status;
}
