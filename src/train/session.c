/* session.c - opening and closing what a command runs on (see session.h). */
#include "src/train/session.h"

#include <omp.h>
#include <stdlib.h>

surge_status surge_session_device(surge_session *session, bool plan_only) {
  const surge_recipe *recipe = session->recipe;
  surge_context_options options = {
      .threads = recipe->threads,
      .deterministic = recipe->deterministic,
      .workspace = (size_t)recipe->workspace_mb << 20,
      .tf32 = recipe->precision == SURGE_PRECISION_TF32,
      .plan_only = plan_only};
  return surge_backend_open(&session->backend, &session->context,
                            recipe->device, &options, session->note);
}

surge_status surge_session_plan(surge_session *session,
                                const surge_recipe *recipe) {
  *session = (surge_session){.recipe = recipe};
  SURGE_TRY(surge_dataset_describe(&session->info, &recipe->data, recipe->T));
  return surge_session_device(session, recipe->device == SURGE_DEVICE_CUDA);
}

surge_status surge_session_open(surge_session *session,
                                const surge_recipe *recipe,
                                const surge_net_options *options) {
  *session = (surge_session){.recipe = recipe};
  SURGE_TRY(surge_dataset_describe(&session->info, &recipe->data,
                                   options->T ? options->T : recipe->T));
  SURGE_TRY(surge_session_device(session, false));
  SURGE_TRY(surge_net_create(&session->net, session->backend, session->context,
                             recipe, &session->info, options));
  return surge_net_allocate(session->net);
}

/* Reads a split and lets the ops read it where it is, if it fits there; image
 * files stay where they are, and images with a policy change every epoch. */
static surge_status open_split(surge_session *session, surge_dataset *set,
                               surge_split split) {
  SURGE_TRY(
      surge_dataset_open(set, &session->info, &session->recipe->data, split));
  if (!set->images || set->policy) return SURGE_OK;
  const surge_backend *b = session->backend;
  size_t count = (size_t)set->count;
  size_t bytes = surge_sample_bytes(set->info);
  const void *images, *labels = NULL;
  SURGE_TRY(b->mirror(session->context, &images, set->images, count * bytes));
  if (images)
    SURGE_TRY(b->mirror(session->context, &labels, set->labels,
                        count * sizeof *set->labels));
  set->mirror_images = labels ? images : NULL;
  set->mirror_labels = labels;
  if (images && !labels) b->mirror_release(session->context, images);
  return SURGE_OK;
}

static void close_split(surge_session *session, surge_dataset *set) {
  if (set->mirror_images) {
    session->backend->mirror_release(session->context, set->mirror_images);
    session->backend->mirror_release(session->context, set->mirror_labels);
  }
  surge_dataset_close(set);
}

/* As many workers as threads compute, or the recipe's number, where images are
 * decoded or changed; one to copy them. */
static surge_status open_loader(const surge_session *session,
                                surge_loader **loader, const surge_dataset *set,
                                const uint32_t *samples, int32_t count) {
  const surge_recipe *recipe = session->recipe;
  int32_t workers = 1;
  if (set->files || set->policy) {
    workers = recipe->data.workers ? recipe->data.workers : recipe->threads;
    if (workers == 0) workers = omp_get_num_procs();
  }
  return surge_loader_create(loader, set, samples, count, recipe->train.batch,
                             workers);
}

surge_status surge_session_open_train(surge_session *session) {
  const surge_recipe *recipe = session->recipe;
  SURGE_TRY(open_split(session, &session->train, SURGE_TRAIN));
  SURGE_TRY(surge_dataset_split(
      &session->train, &recipe->data, (uint64_t)recipe->seed,
      &session->train_samples, &session->train_count,
      &session->validation_samples, &session->validation_count));
  SURGE_TRY(open_loader(session, &session->train_loader, &session->train,
                        session->train_samples, session->train_count));
  if (session->validation_count == 0) return SURGE_OK;
  return open_loader(session, &session->validation_loader, &session->train,
                     session->validation_samples, session->validation_count);
}

surge_status surge_session_open_test(surge_session *session) {
  const struct surge_data_recipe *data = &session->recipe->data;
  SURGE_TRY(open_split(session, &session->test, SURGE_TEST));
  int32_t count = session->test.count;
  if (data->test_limit > 0 && data->test_limit < count)
    count = data->test_limit;
  session->test_count = count;
  session->test_samples = malloc((size_t)count * sizeof(uint32_t));
  if (!session->test_samples)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for %d indices", count);
  for (int32_t i = 0; i < count; i++) session->test_samples[i] = (uint32_t)i;
  return open_loader(session, &session->test_loader, &session->test,
                     session->test_samples, count);
}

static surge_status tell_skipped(const surge_dataset *set, const char *split,
                                 surge_tell *tell, void *user) {
  char text[2048 + 16];
  const char *line;
  bool any = false;
  for (uint32_t sample = 0; (line = surge_dataset_next_skipped(set, &sample));
       any = true) {
    snprintf(text, sizeof text, "skipped: %s", line);
    SURGE_TRY(tell(user, text));
  }
  if (!any) return SURGE_OK;
  snprintf(
      text, sizeof text,
      "%d of %d images in the files of the %s set could not be read so far",
      surge_dataset_skipped(set), set->count, split);
  return tell(user, text);
}

surge_status surge_session_tell_skipped(surge_session *session,
                                        surge_tell *tell, void *user) {
  SURGE_TRY(tell_skipped(&session->train, "training", tell, user));
  return tell_skipped(&session->test, "test", tell, user);
}

surge_status surge_session_restore(surge_session *session, const char *path,
                                   bool state) {
  surge_safetensors file = {0};
  surge_status status = surge_safetensors_read(&file, path);
  if (status == SURGE_OK)
    status = surge_net_restore(session->net, &file, path, state);
  surge_safetensors_free(&file);
  return status;
}

void surge_session_close(surge_session *session) {
  if (session->train_loader) surge_loader_destroy(session->train_loader);
  if (session->validation_loader)
    surge_loader_destroy(session->validation_loader);
  if (session->test_loader) surge_loader_destroy(session->test_loader);
  free(session->train_samples);
  free(session->validation_samples);
  free(session->test_samples);
  close_split(session, &session->train);
  close_split(session, &session->test);
  surge_net_destroy(session->net);
  if (session->context) session->backend->close(session->context);
  *session = (surge_session){0};
}
