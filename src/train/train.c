/* train.c - the training loop, on one screen, and what an epoch ends with. */
#include <stdarg.h>
#include <stdlib.h>

#include "src/train/folder.h"
#include "src/train/position.h"
#include "src/train/schedule.h"

typedef struct run {
  surge_session session;
  const surge_recipe *recipe;
  const surge_train_options *options;
  surge_folder folder;
  surge_position position;
  int32_t batches;         /* of an epoch */
  int64_t steps_per_epoch; /* optimizer steps */
  double started;          /* clock at the epoch's (re)start */
  double reported;         /* clock at the last progress report */
  int32_t first_batch;     /* of the epoch's part that this process trained */
} run;

/* --- the loop ------------------------------------------------------------- */

static surge_status check_fault(run *r);
static surge_status report_progress(run *r);
static surge_status save_last(run *r);

/* An optimizer step follows every `accumulate` batches and the epoch's last. */
static bool ends_step(const run *r) {
  return r->position.batch % r->recipe->train.accumulate == 0 ||
         r->position.batch == r->batches;
}

/* Stops where the data cannot be read; what was trained so far is kept. */
static surge_status stop_and_save(run *r, surge_status status) {
  char text[2048];
  snprintf(text, sizeof text, "%s", surge_last_error());
  SURGE_TRY(save_last(r));
  return SURGE_FAIL(status, "%s (saved in %s, resumable)", text,
                    r->folder.path);
}

static surge_status train_batch(run *r, const surge_batch *batch) {
  surge_net *net = r->session.net;
  surge_position *at = &r->position;
  bool logged = at->step % r->recipe->train.log_every == 0;
  surge_step step =
      surge_step_at(r->recipe, at->epoch, at->step, r->steps_per_epoch, logged);
  SURGE_TRY(surge_net_load(net, batch, &step));
  bool first = at->epoch == 0 && at->batch == 0;
  at->batch++;
  bool update = ends_step(r);
  SURGE_TRY(surge_net_train(net, logged, update));
  at->step += update;
  if (first) /* what training starts from: widths are those of the forward */
    SURGE_TRY(surge_folder_layers(&r->folder, net, 0, "train"));
  return logged || !r->session.backend->queues ? check_fault(r) : SURGE_OK;
}

static surge_status train_epoch(run *r) {
  const struct surge_train_recipe *train = &r->recipe->train;
  surge_data_pass pass = {.train = true,
                          .seed = (uint64_t)r->recipe->seed,
                          .epoch = (uint32_t)r->position.epoch};
  SURGE_TRY(
      surge_loader_start(r->session.train_loader, &pass, r->position.batch));
  for (;;) {
    surge_batch batch;
    surge_status status = surge_loader_next(r->session.train_loader, &batch);
    if (status != SURGE_OK) return stop_and_save(r, status);
    if (batch.n == 0) return SURGE_OK;
    SURGE_TRY(train_batch(r, &batch));
    SURGE_TRY(report_progress(r));
    if (r->options->interrupted && *r->options->interrupted) {
      SURGE_TRY(save_last(r));
      return SURGE_FAIL(SURGE_INTERRUPTED,
                        "interrupted in epoch %d after batch "
                        "%d; saved in %s",
                        r->position.epoch + 1, r->position.batch,
                        r->folder.path);
    }
    if (train->checkpoint_every > 0 && ends_step(r) &&
        r->position.step % train->checkpoint_every == 0)
      SURGE_TRY(save_last(r));
  }
}

/* --- telling -------------------------------------------------------------- */

static surge_status tell(run *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static surge_status tell(run *r, const char *format, ...) {
  char line[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  const surge_observer *o = &r->options->observer;
  if (o->message) o->message(o->user, line);
  return surge_folder_log(&r->folder, line);
}

static surge_status tell_line(void *user, const char *line) {
  return tell(user, "%s", line);
}

/* How many samples each class has, of sets that are folders: the fewest and the
 * most. */
static surge_status tell_classes(run *r, const surge_dataset *set,
                                 const char *split) {
  int32_t classes = set->info->classes, least = INT32_MAX, most = 0;
  if (!set->files) return SURGE_OK;
  int32_t *count = calloc((size_t)classes, sizeof *count);
  if (!count) return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for counts");
  for (int32_t i = 0; i < set->count; i++) count[set->labels[i]]++;
  for (int32_t k = 0; k < classes; k++) {
    least = count[k] < least ? count[k] : least;
    most = count[k] > most ? count[k] : most;
  }
  free(count);
  return tell(r, "%s set: %d samples of %d classes, %d to %d each", split,
              set->count, classes, least, most);
}

/* A device is asked on logged steps alone, as it would have to be waited for,
 * but keeps in mind which step it was. Where no update has seen the fault, it is
 * that of the next one (a part of an accumulated batch), or shows what the last
 * one did (an evaluation). */
static surge_status check_fault(run *r) {
  const char *layer;
  uint64_t step;
  SURGE_TRY(surge_net_fault(r->session.net, &layer, &step));
  if (!layer) return SURGE_OK;
  if (step == 0) step = (uint64_t)r->position.step + (r->position.batch > 0);
  SURGE_TRY(tell(r, "diverged: layer %s was not finite at step %llu", layer,
                 (unsigned long long)step));
  return SURGE_FAIL(SURGE_ERROR_DIVERGED,
                    "layer %s was not finite at step %llu "
                    "(%lld steps an epoch); nothing was updated since, "
                    "and the checkpoints in %s are those before it (a smaller "
                    "optim.lr or optim.clip_norm may help)",
                    layer, (unsigned long long)step,
                    (long long)r->steps_per_epoch, r->folder.path);
}

static surge_status report_progress(run *r) {
  const surge_observer *o = &r->options->observer;
  double now = surge_seconds();
  if (!o->progress || now - r->reported < 0.2) return SURGE_OK;
  r->reported = now;
  surge_evaluation so_far;
  SURGE_TRY(surge_evaluation_of(r->session.net, now - r->started, &so_far));
  double here = r->position.batch - r->first_batch;
  double left =
      (r->recipe->train.epochs - r->position.epoch) * (double)r->batches -
      r->position.batch;
  surge_progress progress = {
      .epoch = r->position.epoch,
      .epochs = r->recipe->train.epochs,
      .batch = r->position.batch,
      .batches = r->batches,
      .loss = so_far.loss,
      .accuracy = so_far.accuracy,
      .samples_per_s = here * r->recipe->train.batch / so_far.seconds,
      .seconds_left = left * so_far.seconds / here};
  o->progress(o->user, &progress);
  return SURGE_OK;
}

/* " test loss 0.31 acc 89.2 % (averaged)", or nothing where there was no
 * evaluation. */
static void describe_evaluation(char *text, size_t size, const char *split,
                                const surge_evaluation *e, bool averaged) {
  if (e->samples > 0)
    snprintf(text, size, "  %s loss %.4f acc %.2f %%%s", split, e->loss,
             100 * e->accuracy, averaged ? " (averaged)" : "");
}

static surge_status tell_epoch(run *r, const surge_epoch_result *e) {
  char train[96] = "", validation[96] = "", test[96] = "";
  bool averaged = r->recipe->optim.ema_decay > 0;
  describe_evaluation(train, sizeof train, "train", &e->train, false);
  describe_evaluation(validation, sizeof validation, "validation",
                      &e->validation, averaged);
  describe_evaluation(test, sizeof test, "test", &e->test, averaged);
  return tell(r, "epoch %d/%d%s%s%s  %.0f samples/s %.1f s%s", e->epoch,
              e->epochs, train, validation, test, e->samples_per_s,
              e->train.seconds, e->best ? "  best" : "");
}

/* A layer that never or always fires learns nothing: name it. */
static surge_status warn_of_silence(run *r) {
  for (int32_t i = 0; surge_net_spiking_layer(r->session.net, i); i++) {
    surge_layer_report report;
    SURGE_TRY(surge_net_layer_report(r->session.net, i, &report));
    double count = 0, spikes = 0;
    for (int32_t t = 0; t < report.T; t++) {
      count += report.statistics[t].count;
      spikes += report.statistics[t].spikes;
    }
    if (spikes == 0)
      SURGE_TRY(tell(r,
                     "warning: layer %s is silent: no spike in the whole "
                     "evaluation",
                     report.name));
    else if (spikes > 0.9 * count)
      SURGE_TRY(tell(r, "warning: layer %s is saturated: rate %.3f",
                     report.name, spikes / count));
  }
  return SURGE_OK;
}

/* --- the end of an epoch -------------------------------------------------- */

static surge_status save_as(run *r, const char *name, bool state) {
  char path[SURGE_PATH + 64];
  snprintf(path, sizeof path, "%s/%s", r->folder.path, name);
  return surge_position_save(&r->session, &r->position, path, state);
}

static surge_status save_last(run *r) {
  return save_as(r, "checkpoint_last.safetensors", true);
}

/* The numbers that the last update was made with. */
static surge_step last_step(const run *r) {
  return surge_step_at(r->recipe, r->position.epoch, r->position.step - 1,
                       r->steps_per_epoch, true);
}

static surge_status evaluate_on(run *r, surge_loader *loader, const char *split,
                                surge_evaluation *result) {
  *result = (surge_evaluation){0};
  if (!loader) return SURGE_OK;
  surge_step last = last_step(r);
  SURGE_TRY(surge_evaluate(r->session.net, loader, &last, result));
  return surge_folder_layers(&r->folder, r->session.net, r->position.epoch,
                             split);
}

/* The epoch's numbers; training statistics are read before the evaluations
 * begin theirs. */
static surge_status measure(run *r, surge_epoch_result *result) {
  surge_session *s = &r->session;
  int32_t epoch = r->position.epoch;
  double seconds = surge_seconds() - r->started;
  float norm;
  SURGE_TRY(surge_evaluation_of(s->net, seconds, &result->train));
  SURGE_TRY(surge_net_gradient_norm(s->net, &norm));
  SURGE_TRY(surge_folder_layers(&r->folder, s->net, epoch, "train"));
  result->epoch = epoch;
  result->epochs = r->recipe->train.epochs;
  result->gradient_norm = (double)norm;
  result->samples_per_s =
      (double)(r->batches - r->first_batch) * r->recipe->train.batch / seconds;
  if (r->first_batch == 0)
    result->samples_per_s = (double)result->train.samples / seconds;
  result->wait_share = surge_loader_waited(s->train_loader) / seconds;
  result->learning_rate =
      (double)last_step(r).learning_rate[SURGE_GROUP_WEIGHT];
  bool due =
      epoch % r->recipe->train.eval_every == 0 || epoch == result->epochs;
  if (!due) return SURGE_OK;
  SURGE_TRY(
      evaluate_on(r, s->validation_loader, "validation", &result->validation));
  SURGE_TRY(evaluate_on(r, s->test_loader, "test", &result->test));
  return warn_of_silence(r);
}

static surge_status end_epoch(run *r) {
  surge_epoch_result result = {0};
  if (r->session.test.files) /* one of which the evaluation may fail to read */
    SURGE_TRY(save_last(r));
  r->position.epoch++;
  r->position.batch = 0;
  SURGE_TRY(measure(r, &result));
  SURGE_TRY(surge_session_tell_skipped(&r->session, tell_line, r));
  SURGE_TRY(check_fault(r)); /* the last update may show in the evaluation */
  const surge_evaluation *judge =
      r->session.validation_loader ? &result.validation : &result.test;
  if (judge->samples > 0 && judge->accuracy > r->position.best) {
    result.best = true;
    r->position.best = judge->accuracy;
    r->position.best_epoch = r->position.epoch;
  }
  SURGE_TRY(surge_folder_epoch(&r->folder, &result));
  SURGE_TRY(surge_net_reset_metrics(r->session.net));
  SURGE_TRY(surge_net_reset_statistics(r->session.net));
  if (result.best) SURGE_TRY(save_as(r, "checkpoint_best.safetensors", false));
  SURGE_TRY(save_last(r));
  return tell_epoch(r, &result);
}

/* --- a run ---------------------------------------------------------------- */

static surge_status open_folder(run *r) {
  const surge_train_options *o = r->options;
  if (!o->resume)
    return surge_folder_create(&r->folder, o->folder, r->recipe, o->force);
  char path[SURGE_PATH + 64];
  snprintf(path, sizeof path, "%s/checkpoint_last.safetensors", o->folder);
  SURGE_TRY(surge_position_restore(&r->session, &r->position, path));
  SURGE_TRY(
      surge_folder_resume(&r->folder, o->folder, r->recipe, r->position.epoch));
  return tell(r, "resumed after %d epochs and %d batches", r->position.epoch,
              r->position.batch);
}

static surge_status open_run(run *r) {
  surge_net_options options = {.training = true,
                               .no_graph = r->options->no_graph};
  int32_t accumulate = r->recipe->train.accumulate;
  SURGE_TRY(surge_session_open(&r->session, r->recipe, &options));
  SURGE_TRY(surge_session_open_train(&r->session));
  SURGE_TRY(surge_session_open_test(&r->session));
  r->batches = surge_loader_batches(r->session.train_loader);
  r->steps_per_epoch = (r->batches + accumulate - 1) / accumulate;
  SURGE_TRY(open_folder(r));
  char device[256];
  r->session.backend->describe(r->session.context, device, sizeof device);
  if (r->session.note[0]) SURGE_TRY(tell(r, "%s", r->session.note));
  SURGE_TRY(tell(r, "surge %s on %s", SURGE_VERSION, device));
  SURGE_TRY(tell_classes(r, &r->session.train, "training"));
  SURGE_TRY(tell_classes(r, &r->session.test, "test"));
  return tell(r,
              "%s: %d training, %d validation, %d test %s; %zu trained "
              "values; best is chosen on the %s set",
              r->recipe->data.set, r->session.train_count,
              r->session.validation_count, r->session.test_count,
              r->session.info.steps ? "recordings" : "images",
              surge_net_parameter_count(r->session.net),
              r->session.validation_loader ? "validation" : "test");
}

static surge_status run_epochs(run *r) {
  while (r->position.epoch < r->recipe->train.epochs) {
    r->started = r->reported = surge_seconds();
    r->first_batch = r->position.batch;
    SURGE_TRY(train_epoch(r));
    SURGE_TRY(end_epoch(r));
  }
  return SURGE_OK;
}

surge_status surge_train(const surge_recipe *recipe,
                         const surge_train_options *options) {
  run r = {.recipe = recipe, .options = options, .position = {.best = -1}};
  surge_status status = open_run(&r);
  if (status == SURGE_OK) status = run_epochs(&r);
  surge_folder_close(&r.folder);
  surge_session_close(&r.session);
  return status;
}
