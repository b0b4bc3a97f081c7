/* session.c - opening and closing what a command runs on (see session.h). */
#include "src/train/session.h"

#include <stdlib.h>

surge_status surge_session_info(const surge_recipe *recipe,
                                const surge_dataset_info **info) {
  *info = surge_dataset_find(recipe->data.set);
  if (*info) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_RECIPE,
                    "data.set: wanted a known data set, "
                    "found %s",
                    recipe->data.set);
}

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

surge_status surge_session_open(surge_session *session,
                                const surge_recipe *recipe,
                                const surge_net_options *options) {
  *session = (surge_session){.recipe = recipe};
  SURGE_TRY(surge_session_info(recipe, &session->info));
  SURGE_TRY(surge_session_device(session, false));
  SURGE_TRY(surge_net_create(&session->net, session->backend, session->context,
                             recipe, session->info, options));
  return surge_net_allocate(session->net);
}

/* Reads a split and lets the ops read it where it is, if it fits there. */
static surge_status open_split(surge_session *session, surge_dataset *set,
                               surge_split split) {
  SURGE_TRY(surge_dataset_open(set, &session->recipe->data, split));
  const surge_backend *b = session->backend;
  size_t count = (size_t)set->count;
  size_t pixels = (size_t)(set->info->h * set->info->w * set->info->c);
  const void *images, *labels = NULL;
  SURGE_TRY(b->mirror(session->context, &images, set->images, count * pixels));
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

surge_status surge_session_open_train(surge_session *session) {
  const surge_recipe *recipe = session->recipe;
  SURGE_TRY(open_split(session, &session->train, SURGE_TRAIN));
  SURGE_TRY(surge_dataset_split(
      &session->train, &recipe->data, (uint64_t)recipe->seed,
      &session->train_samples, &session->train_count,
      &session->validation_samples, &session->validation_count));
  SURGE_TRY(surge_loader_create(&session->train_loader, &session->train,
                                session->train_samples, session->train_count,
                                recipe->train.batch));
  if (session->validation_count == 0) return SURGE_OK;
  return surge_loader_create(&session->validation_loader, &session->train,
                             session->validation_samples,
                             session->validation_count, recipe->train.batch);
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
  return surge_loader_create(&session->test_loader, &session->test,
                             session->test_samples, count,
                             session->recipe->train.batch);
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
