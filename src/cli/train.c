/* train.c - `surge train`. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/cli/cli.h"
#include "src/train/session.h"

static volatile sig_atomic_t interrupted;

/* A second SIGINT is a user who does not want to wait. A second SIGTERM is not:
 * a batch system sends one to every process of a job, and a sweep another to its
 * runs. */
static void on_interrupt(int signal_number) {
  if (interrupted && signal_number == SIGINT)
    _exit(surge_exit_code(SURGE_INTERRUPTED));
  interrupted = 1;
}

/* --- telling -------------------------------------------------------------- */

#define BAR 24

static void print_progress(void *user, const surge_progress *p) {
  (void)user;
  char bar[BAR + 1];
  int filled = p->batches > 0 ? p->batch * BAR / p->batches : 0;
  for (int i = 0; i < BAR; i++) bar[i] = i < filled ? '#' : '.';
  bar[BAR] = 0;
  int left = (int)(p->seconds_left + 0.5);
  fprintf(stderr,
          "\r\033[Kepoch %d/%d [%s] loss %.4f acc %.2f %%  %.0f samples/s  "
          "%d:%02d left",
          p->epoch + 1, p->epochs, bar, p->loss, 100 * p->accuracy,
          p->samples_per_s, left / 60, left % 60);
}

static void print_message(void *user, const char *line) {
  const bool *terminal = user;
  if (*terminal) fputs("\r\033[K", stderr);
  printf("%s\n", line);
  fflush(stdout);
}

/* --- what is asked for ---------------------------------------------------- */

/* Bytes of the arenas at T steps, 0 where the plan fails. */
static size_t bytes_at(const surge_session *s, int32_t T) {
  surge_net *net;
  surge_net_options options = {.T = T, .training = true};
  if (surge_net_create(&net, s->backend, s->context, s->recipe, &s->info,
                       &options) != SURGE_OK)
    return 0;
  size_t bytes = surge_net_bytes(net);
  surge_net_destroy(net);
  return bytes;
}

/* Layers, bytes, and what a further step costs; then whether the data is there. */
static surge_status describe(const surge_session *s) {
  surge_net *net;
  const surge_recipe *recipe = s->recipe;
  surge_net_options options = {.training = true};
  SURGE_TRY(surge_net_create(&net, s->backend, s->context, recipe, &s->info,
                             &options));
  surge_net_describe(net, stdout);
  size_t bytes = surge_net_bytes(net);
  surge_net_destroy(net);
  size_t more = bytes_at(s, recipe->T + 1);
  if (more > bytes)
    printf("%14zu bytes more for each further step of T\n", more - bytes);
  if (surge_dataset_probe(&recipe->data) == SURGE_OK)
    printf("data: %s is there\n", recipe->data.set);
  else
    printf("data: missing: %s\n", surge_last_error());
  return SURGE_OK;
}

static surge_status dry_run(const surge_recipe *recipe) {
  surge_session session;
  surge_status status = surge_session_plan(&session, recipe);
  if (status == SURGE_OK && session.note[0]) printf("%s\n", session.note);
  if (status == SURGE_OK) status = describe(&session);
  surge_session_close(&session);
  return status;
}

/* Two recipes are one run if they differ in nothing but how long it goes on, on
 * what it runs, and what it does about an image that cannot be read. */
static surge_status check_same(const surge_recipe *given,
                               const surge_recipe *found, const char *folder) {
  char *text[2] = {NULL, NULL};
  surge_status status = SURGE_OK;
  const surge_recipe *both[2] = {given, found};
  for (int i = 0; i < 2 && status == SURGE_OK; i++) {
    surge_recipe copy = *both[i];
    copy.threads = copy.data.workers = 0;
    copy.device = SURGE_DEVICE_AUTO;
    copy.memory = SURGE_MEMORY_NORMAL;
    copy.data.cache[0] = 0;
    copy.data.on_error = SURGE_ON_ERROR_STOP;
    copy.train.epochs = 1;
    status = surge_recipe_text(&copy, &text[i]);
  }
  if (status == SURGE_OK && strcmp(text[0], text[1]) != 0)
    status =
        SURGE_FAIL(SURGE_ERROR_RECIPE,
                   "--resume %s: wanted the recipe that "
                   "the run was started with (%s/recipe.yaml), found another",
                   folder, folder);
  free(text[0]);
  free(text[1]);
  return status;
}

/* The recipe of a run that is resumed: what it was started with, and what the
 * command line changes of it. */
static surge_status read_resumed(surge_recipe *recipe, const cli_options *o) {
  char path[SURGE_PATH];
  surge_recipe original, given;
  snprintf(path, sizeof path, "%.1000s/recipe.yaml", o->resume);
  SURGE_TRY(surge_recipe_read(recipe, path, o->overrides));
  surge_status status = surge_recipe_read(&original, path, NULL);
  if (status == SURGE_OK) status = check_same(recipe, &original, o->resume);
  if (status == SURGE_OK && o->positionals > 0) {
    status = surge_recipe_read(&given, o->positional[0], o->overrides);
    if (status == SURGE_OK) status = check_same(&given, &original, o->resume);
    surge_recipe_free(&given);
  }
  surge_recipe_free(&original);
  return status;
}

/* runs/<name>, or the first of runs/<name>-2, -3, ... that is not there. */
static void default_folder(char *folder, size_t size, const char *name) {
  struct stat info;
  snprintf(folder, size, "runs/%s", name);
  for (int i = 2; stat(folder, &info) == 0; i++)
    snprintf(folder, size, "runs/%s-%d", name, i);
}

static surge_status run(const surge_recipe *recipe, const cli_options *o) {
  char folder[SURGE_PATH];
  bool terminal = isatty(STDERR_FILENO) && isatty(STDOUT_FILENO);
  default_folder(folder, sizeof folder, recipe->name);
  surge_train_options options = {
      .folder = o->resume ? o->resume
                : o->out  ? o->out
                          : folder,
      .resume = o->resume != NULL,
      .force = o->force,
      .no_graph = o->no_graph,
      .observer = {.user = &terminal,
                   .message = print_message,
                   .progress = terminal ? print_progress : NULL},
      .interrupted = &interrupted};
  struct sigaction action = {.sa_handler = on_interrupt};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  surge_status status = surge_train(recipe, &options);
  if (terminal) fputs("\r\033[K", stderr);
  if (status == SURGE_OK) printf("results: %s\n", options.folder);
  return status;
}

surge_status cli_train(int argc, char **argv) {
  cli_options o;
  surge_recipe recipe = {0};
  SURGE_TRY(cli_parse(
      &o, argc, argv,
      "set out device resume force dry-run no-graph T seed epochs threads", 0,
      1));
  if (o.positionals == 0 && !o.resume)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "surge train: wanted a recipe, found "
                      "none (see surge help train)");
  if (o.resume && (o.out || o.force))
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "surge train: wanted --resume, or --out "
                      "and --force, found both");
  surge_status status =
      o.resume ? read_resumed(&recipe, &o)
               : surge_recipe_read(&recipe, o.positional[0], o.overrides);
  if (status == SURGE_OK)
    status = o.dry_run ? dry_run(&recipe) : run(&recipe, &o);
  surge_recipe_free(&recipe);
  return status;
}
