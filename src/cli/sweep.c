/* sweep.c - `surge sweep`: many runs of one recipe. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "src/cli/cli.h"
#include "src/sweep/run.h"
#include "src/sweep/slurm.h"

static volatile sig_atomic_t stop;

/* A second SIGINT ends the runs at once; a second SIGTERM does not (train.c). */
static void on_signal(int signal_number) {
  if (stop == 0)
    stop = 1;
  else if (signal_number == SIGINT)
    stop = 2;
}

/* --- telling -------------------------------------------------------------- */

enum { VIEW_ROWS = 12 };
static int view_lines; /* of the table on the terminal */

static void clear_view(void) {
  if (view_lines) printf("\033[%dA\033[J", view_lines);
  view_lines = 0;
}

static surge_status print_line(void *user, const char *line) {
  (void)user;
  clear_view();
  printf("%s\n", line);
  if (fflush(stdout) == 0) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA, "standard output: could not be written");
}

static surge_status print_complaint(void *user, const char *line) {
  (void)user;
  fprintf(stderr, "surge: %s\n", line);
  return SURGE_OK;
}

/* The table in place of the one before; lines are cut at the terminal's edge. */
static void print_view(void *user, const surge_sweep_view *view) {
  char *text = NULL;
  size_t size;
  struct winsize window;
  FILE *file = open_memstream(&text, &size);
  (void)user;
  if (!file) return;
  surge_sweep_print(view, VIEW_ROWS, file);
  fclose(file);
  int width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col
                  ? window.ws_col
                  : 80;
  clear_view();
  for (char *left = text, *line; (line = strsep(&left, "\n")) && left;) {
    printf("%.*s\n", width, line);
    view_lines++;
  }
  fflush(stdout);
  free(text);
}

static void print_bytes(double bytes, char text[32]) {
  snprintf(text, 32, bytes < 1e9 ? "%.1f MB" : "%.2f GB",
           bytes < 1e9 ? bytes / 1e6 : bytes / 1e9);
}

/* --- the plan ------------------------------------------------------------- */

static void print_points(const surge_plan *plan,
                         const surge_estimate *estimate) {
  char time[32], bytes[32];
  printf("%5s %10s %10s  %s\n", "index", "arenas", "time", "run");
  for (size_t p = 0; p < plan->count; p++) {
    const surge_point *point = &plan->points[p];
    double seconds = estimate ? estimate->seconds[point->network] : 0;
    print_bytes((double)point->bytes, bytes);
    surge_print_time(seconds, time);
    printf("%5zu %10s %10s  %s\n", p, bytes, seconds > 0 ? time : "?",
           point->name);
  }
}

/* What is left of it. Jobs at once need at most the memory of the largest. */
static void print_totals(const surge_plan *plan, const char *folder,
                         const surge_estimate *estimate, int jobs) {
  double seconds = 0, largest = 0;
  char time[32], bytes[32];
  size_t done = 0;
  bool known = estimate != NULL;
  for (size_t p = 0; p < plan->count; p++) {
    const surge_point *point = &plan->points[p];
    surge_run run;
    surge_run_look(folder, point->name, &run);
    done += run.state == SURGE_RUN_DONE;
    if (run.state == SURGE_RUN_DONE) continue;
    double whole = estimate ? estimate->seconds[point->network] : 0;
    seconds += whole * (1 - (double)run.epoch / point->epochs);
    known = known && whole > 0;
    if ((double)point->bytes > largest) largest = (double)point->bytes;
  }
  surge_print_time(seconds / jobs, time);
  print_bytes(largest * jobs, bytes);
  printf("%zu runs in %s, %zu done; %d at once: %s in arenas at most, %s left",
         plan->count, folder, done, jobs, bytes, known ? time : "unknown time");
  if (estimate)
    printf(
        " (of %zu networks %zu from runs that have ended, %zu from timed steps)",
        estimate->networks, estimate->measured, estimate->timed);
  printf("\n");
}

/* What a user runs elsewhere, a line a run: for parallel, xargs, ssh. A dry run
 * has not made the folder. */
static surge_status print_commands(const surge_plan *plan, const char *program,
                                   const char *folder) {
  char whole[2 * SURGE_PATH], directory[SURGE_PATH] = "";
  if (*folder != '/' && !getcwd(directory, sizeof directory))
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "wanted the working directory's path, found: %s",
                      strerror(errno));
  snprintf(whole, sizeof whole, "%s%s%s", directory, *directory ? "/" : "",
           folder);
  for (size_t p = 0; p < plan->count; p++) {
    surge_print_quoted(program, stdout);
    printf(" sweep run ");
    surge_print_quoted(whole, stdout);
    printf(" --index %zu\n", p);
  }
  return SURGE_OK;
}

/* --- options -------------------------------------------------------------- */

static surge_status read_places(surge_places *places, char *gpus, int jobs) {
  *places = (surge_places){.jobs = jobs};
  for (char *gpu; gpus && (gpu = strsep(&gpus, ","));) {
    if (!*gpu || places->gpu_count == SURGE_SWEEP_GPUS)
      return SURGE_FAIL(SURGE_ERROR_RECIPE,
                        "--gpus: wanted at most %d names with commas between, "
                        "as in 0,1",
                        SURGE_SWEEP_GPUS);
    places->gpus[places->gpu_count++] = gpu;
  }
  if (jobs == CLI_UNSET)
    places->jobs = places->gpu_count ? places->gpu_count : 1;
  if (places->jobs >= 1 && places->jobs <= 1024) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_RECIPE, "--jobs: wanted 1 to 1024, found %d",
                    places->jobs);
}

/* An option that would do nothing beside the others is refused. */
static surge_status check_options(const cli_options *o) {
  bool here = !o->print_commands;
  const struct {
    bool given, used;
    const char *name, *wanted;
  } options[] = {{o->slurm, here, "slurm", "no --print-commands"},
                 {o->partition, o->slurm, "partition", "--slurm"},
                 {o->account, o->slurm, "account", "--slurm"},
                 {o->gres, o->slurm, "gres", "--slurm"},
                 {o->time, o->slurm, "time", "--slurm"},
                 {o->setup, o->slurm, "setup", "--slurm"},
                 {o->jobs != CLI_UNSET, here, "jobs", "no --print-commands"},
                 {o->gpus, here, "gpus", "no --print-commands"},
                 {o->gpus, !o->slurm, "gpus", "no --slurm, which has --gres"}};
  for (size_t i = 0; i < sizeof options / sizeof *options; i++)
    if (options[i].given && !options[i].used)
      return SURGE_FAIL(SURGE_ERROR_RECIPE,
                        "surge sweep: --%s: wanted with it %s", options[i].name,
                        options[i].wanted);
  return SURGE_OK;
}

typedef struct request {
  const cli_options *cli;
  char program[SURGE_PATH], folder[SURGE_PATH];
  char *gpus; /* the text that places.gpus points into */
  surge_sweep_options run;
} request;

static surge_status open_request(request *r, const cli_options *o) {
  *r = (request){.cli = o};
  ssize_t length =
      readlink("/proc/self/exe", r->program, sizeof r->program - 1);
  if (length <= 0)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "/proc/self/exe: wanted this program's path, found: %s",
                      strerror(errno));
  if (o->gpus) r->gpus = strdup(o->gpus);
  r->run = (surge_sweep_options){
      .folder = r->folder,
      .program = r->program,
      .only = -1,
      .observer = {.message = print_line,
                   .view = isatty(STDOUT_FILENO) ? print_view : NULL},
      .stop = &stop};
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  return read_places(&r->run.places, r->gpus, o->jobs);
}

/* All that is wanted; the table is whole once every run is done. */
static surge_status run_runs(const surge_plan *plan, const request *r) {
  SURGE_TRY(surge_sweep_run(plan, &r->run));
  if (r->run.only < 0) printf("results: %s/sweep.csv\n", r->folder);
  return SURGE_OK;
}

/* --- surge sweep SWEEP.yaml ----------------------------------------------- */

static surge_status submit(const surge_plan *plan, const request *r) {
  const cli_options *o = r->cli;
  char job[32];
  bool any;
  const surge_slurm_options options = {
      .partition = o->partition,
      .account = o->account,
      .gres = o->gres,
      .time = o->time,
      .setup = o->setup,
      .at_once = o->jobs == CLI_UNSET ? 0 : o->jobs};
  SURGE_TRY(surge_slurm_write(plan, r->folder, r->program, &options, &any));
  if (!any) {
    printf("nothing to submit: every run is done or running\n");
    return SURGE_OK;
  }
  SURGE_TRY(surge_slurm_submit(r->folder, job));
  printf("job %s: %s/slurm.sh; surge sweep status %s\n", job, r->folder,
         r->folder);
  return SURGE_OK;
}

static surge_status run_plan(surge_plan *plan, request *r) {
  const cli_options *o = r->cli;
  surge_estimate *estimate = NULL;
  SURGE_TRY(surge_plan_recipes(plan, o->keep_going, print_complaint, NULL));
  if (o->out)
    snprintf(r->folder, sizeof r->folder, "%s", o->out);
  else /* the name's characters have been checked as a recipe's */
    snprintf(r->folder, sizeof r->folder, "runs/%s",
             surge_node_text(plan->name));
  if (!o->dry_run) SURGE_TRY(surge_sweep_begin(plan, r->folder));
  if (o->print_commands) return print_commands(plan, r->program, r->folder);
  surge_status status = SURGE_OK;
  if (!o->slurm && !(estimate = malloc(sizeof *estimate)))
    status = SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for estimates");
  if (estimate) status = surge_sweep_estimate(plan, &r->run, estimate);
  if (status == SURGE_OK) {
    print_points(plan, estimate);
    print_totals(plan, r->folder, estimate, r->run.places.jobs);
    fflush(stdout);
  }
  r->run.estimate = estimate;
  if (status == SURGE_OK && !o->dry_run)
    status = o->slurm ? submit(plan, r) : run_runs(plan, r);
  free(estimate);
  return status;
}

/* --- surge sweep status|retry|run FOLDER ---------------------------------- */

static surge_status print_status(const surge_plan *plan, const char *folder) {
  surge_sweep_view view;
  surge_run *runs = calloc(plan->count, sizeof *runs);
  if (!runs)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for %zu runs",
                      plan->count);
  surge_sweep_look(plan, folder, NULL, 1, runs, &view);
  surge_sweep_print(&view, plan->count, stdout);
  free(runs);
  return surge_slurm_tell(folder, print_line, NULL);
}

static surge_status run_index(const surge_plan *plan, request *r) {
  if (r->cli->index < 0 || (size_t)r->cli->index >= plan->count)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "surge sweep run: wanted --index 0 to %zu, found %s",
                      plan->count - 1,
                      r->cli->index < 0 ? "none" : "a larger one");
  r->run.only = r->cli->index;
  return run_runs(plan, r);
}

static surge_status in_folder(request *r, const char *what) {
  surge_plan plan;
  snprintf(r->folder, sizeof r->folder, "%s", r->cli->positional[1]);
  surge_status status = surge_sweep_open(&plan, r->folder);
  r->run.failed_only = !strcmp(what, "retry");
  if (status == SURGE_OK)
    status = !strcmp(what, "status") ? print_status(&plan, r->folder)
             : !strcmp(what, "run")  ? run_index(&plan, r)
                                     : run_runs(&plan, r);
  surge_plan_free(&plan);
  return status;
}

static surge_status sweep_file(request *r) {
  surge_plan plan;
  surge_status status = surge_plan_read(&plan, r->cli->positional[0]);
  if (status == SURGE_OK) status = run_plan(&plan, r);
  surge_plan_free(&plan);
  return status;
}

surge_status cli_sweep(int argc, char **argv) {
  static const struct {
    const char *word, *options;
  } verbs[] = {{"status", ""}, {"retry", "jobs gpus"}, {"run", "index gpus"}};
  cli_options o;
  request r;
  const char *verb = NULL;
  const char *allowed =
      "out jobs gpus dry-run keep-going slurm partition account "
      "gres time setup print-commands";
  for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof *verbs; i++)
    if (!strcmp(argv[1], verbs[i].word)) {
      verb = verbs[i].word;
      allowed = verbs[i].options;
    }
  SURGE_TRY(cli_parse(&o, argc, argv, allowed, verb ? 2 : 1, verb ? 2 : 1));
  SURGE_TRY(check_options(&o));
  surge_status status = open_request(&r, &o);
  if (status == SURGE_OK) status = verb ? in_folder(&r, verb) : sweep_file(&r);
  free(r.gpus);
  return status;
}
