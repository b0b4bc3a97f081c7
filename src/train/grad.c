/* grad.c - the first step, or the first few, written with all that another
 * framework needs to check them. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "src/train/schedule.h"
#include "src/train/trajectory.h"

/* {"kind": ..., "label_smoothing": ..., ...} of the first step. */
static char *loss_json(const surge_session *session) {
  const surge_recipe *r = session->recipe;
  surge_mix mix =
      surge_mix_draw(&r->data, &session->info, (uint64_t)r->seed, 0, 0);
  cJSON *object = cJSON_CreateObject();
  cJSON_AddStringToObject(
      object, "kind", surge_recipe_word("loss.kind", (int32_t)r->loss.kind));
  cJSON_AddNumberToObject(object, "label_smoothing",
                          (double)r->loss.label_smoothing);
  cJSON_AddNumberToObject(object, "tet_lambda", (double)r->loss.tet_lambda);
  cJSON_AddNumberToObject(object, "tet_target", (double)r->neuron.v_threshold);
  cJSON_AddNumberToObject(object, "vote", r->model.vote);
  cJSON_AddNumberToObject(object, "classes", session->info.classes);
  cJSON_AddNumberToObject(object, "share", (double)mix.share);
  char *text = cJSON_PrintUnformatted(object);
  cJSON_Delete(object);
  return text;
}

/* "mean" and "std" of value/255, a channel, as the input is normalised by. */
static void add_normalization(cJSON *object, const surge_session *session) {
  const surge_dataset_info *info = &session->info;
  const float zeros[SURGE_MAX_CHANNELS] = {0}, ones[] = {1, 1, 1, 1};
  bool normalize = session->recipe->data.normalize;
  const float *mean = normalize ? info->mean : zeros;
  const float *std = normalize ? info->std : ones;
  cJSON_AddItemToObject(object, "mean", cJSON_CreateFloatArray(mean, info->c));
  cJSON_AddItemToObject(object, "std", cJSON_CreateFloatArray(std, info->c));
}

/* What the steps were made by: {"kind": ..., "lr": ..., ...}. */
static char *training_json(const surge_session *session) {
  const surge_recipe *r = session->recipe;
  const struct surge_optim_recipe *o = &r->optim;
  const struct {
    const char *name;
    double value;
  } numbers[] = {
      {"lr", (double)o->lr},
      {"momentum", (double)o->momentum},
      {"weight_decay", (double)o->weight_decay},
      {"beta1", (double)o->beta1},
      {"beta2", (double)o->beta2},
      {"eps", (double)o->eps},
      {"width_lr", (double)o->width_lr},
      {"width_min", (double)r->neuron.width_min},
      {"width_max", (double)r->neuron.width_max},
      {"decay_lr", (double)o->decay_lr},
      {"clip_norm", (double)o->clip_norm},
      {"warmup_epochs", (double)o->warmup_epochs},
      {"lr_min", (double)o->lr_min},
      {"gamma", (double)o->gamma},
      {"epochs", r->train.epochs},
      {"steps_per_epoch", surge_loader_batches(session->train_loader)}};
  cJSON *object = cJSON_CreateObject();
  cJSON_AddStringToObject(object, "kind",
                          surge_recipe_word("optim.kind", (int32_t)o->kind));
  cJSON_AddBoolToObject(object, "nesterov", o->nesterov);
  cJSON_AddStringToObject(
      object, "schedule",
      surge_recipe_word("schedule.kind", (int32_t)o->schedule));
  cJSON_AddItemToObject(
      object, "milestones",
      cJSON_CreateIntArray(o->milestones, o->milestone_count));
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    cJSON_AddNumberToObject(object, numbers[i].name, numbers[i].value);
  add_normalization(object, session);
  char *text = cJSON_PrintUnformatted(object);
  cJSON_Delete(object);
  return text;
}

/* Can the steps be followed from the images alone, each batch a step? */
static surge_status check_steps(const surge_session *session, int32_t steps) {
  const surge_recipe *r = session->recipe;
  int64_t most =
      (int64_t)surge_loader_batches(session->train_loader) * r->train.epochs;
  if (steps > most)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "--steps: wanted at most the %lld of the run, found %d",
                      (long long)most, steps);
  if (r->data.flip || r->data.crop_pad > 0 || r->data.cutout > 0 ||
      r->data.random_erasing > 0 || surge_data_mixes(&r->data) ||
      r->model.coding == SURGE_CODING_POISSON || r->train.accumulate > 1)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "--steps: wanted data.flip false, data.crop_pad, "
                      "data.cutout, data.random_erasing, data.mixup and "
                      "data.cutmix 0, model.coding direct and "
                      "train.accumulate 1 (steps that the images alone "
                      "determine), found another value");
  return SURGE_OK;
}

/* Step `index` of the run, up to its gradients. */
static surge_status run_batch(surge_session *session, int32_t index,
                              surge_batch *batch, surge_step *step) {
  const surge_recipe *recipe = session->recipe;
  surge_loader *loader = session->train_loader;
  int32_t batches = surge_loader_batches(loader), epoch = index / batches;
  *step = surge_step_at(recipe, epoch, index, batches, index == 0);
  surge_data_pass pass = {
      .train = true, .seed = step->seed, .epoch = step->epoch};
  if (index % batches == 0) SURGE_TRY(surge_loader_start(loader, &pass, 0));
  SURGE_TRY(surge_loader_next(loader, batch));
  SURGE_TRY(surge_net_load(session->net, batch, step));
  SURGE_TRY(surge_net_reset_metrics(session->net));
  SURGE_TRY(surge_net_forward(session->net, SURGE_PASS_TRAIN, step->logged));
  return surge_net_backward(session->net);
}

/* Trains; `list` gets the first step before its update, then the trajectory. */
static surge_status run_steps(surge_session *session, int32_t steps,
                              surge_trajectory *trajectory,
                              surge_tensor_list *list) {
  surge_batch batch;
  surge_step step;
  SURGE_TRY(run_batch(session, 0, &batch, &step));
  SURGE_TRY(surge_net_dump(session->net, list));
  if (steps == 1) return SURGE_OK;
  SURGE_TRY(surge_trajectory_open(trajectory, session, steps));
  for (;;) {
    SURGE_TRY(surge_trajectory_step(trajectory, session, &batch, &step));
    SURGE_TRY(surge_net_update(session->net));
    if (trajectory->steps == steps) break;
    SURGE_TRY(run_batch(session, trajectory->steps, &batch, &step));
  }
  return surge_trajectory_finish(trajectory, session, list);
}

static surge_status write_dump(surge_session *session,
                               const surge_tensor_list *list, bool soft,
                               bool trained, const char *out) {
  const surge_recipe *recipe = session->recipe;
  char T[16], weight[32], pda_layers[16], *layers = NULL, *loss = NULL,
                                          *text = NULL, *training = NULL;
  size_t size;
  snprintf(T, sizeof T, "%d", recipe->T);
  snprintf(weight, sizeof weight, "%.9g", (double)recipe->pda_weight);
  snprintf(pda_layers, sizeof pda_layers, "%d",
           surge_net_pda_layers(session->net));
  surge_status status = surge_net_layers_json(session->net, &layers);
  FILE *memory = open_memstream(&text, &size);
  loss = loss_json(session);
  training = training_json(session);
  if (!memory || !loss || !training)
    status = SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for metadata");
  if (memory && status == SURGE_OK) status = surge_recipe_write(recipe, memory);
  if (memory) fclose(memory);
  if (status == SURGE_OK) {
    const surge_text_pair metadata[] = {{"format", "surge grad 1"},
                                        {"surge_version", SURGE_VERSION},
                                        {"recipe", text},
                                        {"soft", soft ? "true" : "false"},
                                        {"T", T},
                                        {"loss", loss},
                                        {"pda_weight", weight},
                                        {"pda_layers", pda_layers},
                                        {"layers", layers},
                                        {"training", training}};
    size_t pairs = sizeof metadata / sizeof *metadata;
    status = surge_safetensors_write(out, list->tensors, list->count, metadata,
                                     trained ? pairs : pairs - 1);
  }
  free(layers);
  free(loss);
  free(text);
  free(training);
  return status;
}

surge_status surge_gradient_dump(const surge_recipe *original, const char *from,
                                 bool soft, int32_t steps, const char *out) {
  surge_session session;
  surge_trajectory trajectory = {0};
  surge_tensor_list list = {0};
  surge_recipe recipe = *original;
  recipe.optim.ema_decay = 0; /* what is trained, which no average changes */
  if (steps == 1) recipe.train.accumulate = 1; /* its gradient, not a share */
  surge_net_options options = {
      .training = true, .soft = soft, .keep_currents = true};
  surge_status status = surge_session_open(&session, &recipe, &options);
  if (status == SURGE_OK) status = surge_session_open_train(&session);
  if (status == SURGE_OK && steps > 1) status = check_steps(&session, steps);
  if (status == SURGE_OK && from)
    status = surge_session_restore(&session, from, false);
  if (status == SURGE_OK)
    status = run_steps(&session, steps, &trajectory, &list);
  if (status == SURGE_OK)
    status = write_dump(&session, &list, soft, steps > 1, out);
  surge_tensor_list_free(&list);
  surge_trajectory_close(&trajectory);
  surge_session_close(&session);
  return status;
}
