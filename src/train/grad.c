/* grad.c - one forward and backward on the first batch, written with all that
 * another framework needs to check it. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "src/train/schedule.h"
#include "src/train/session.h"

/* {"kind": ..., "label_smoothing": ..., ...} */
static char *loss_json(const surge_session *session) {
  const surge_recipe *r = session->recipe;
  cJSON *object = cJSON_CreateObject();
  cJSON_AddStringToObject(
      object, "kind", surge_recipe_word("loss.kind", (int32_t)r->loss.kind));
  cJSON_AddNumberToObject(object, "label_smoothing",
                          (double)r->loss.label_smoothing);
  cJSON_AddNumberToObject(object, "tet_lambda", (double)r->loss.tet_lambda);
  cJSON_AddNumberToObject(object, "tet_target", (double)r->neuron.v_threshold);
  cJSON_AddNumberToObject(object, "vote", r->model.vote);
  cJSON_AddNumberToObject(object, "classes", session->info->classes);
  char *text = cJSON_PrintUnformatted(object);
  cJSON_Delete(object);
  return text;
}

static surge_status run_step(surge_session *session) {
  surge_batch batch;
  const surge_recipe *recipe = session->recipe;
  surge_step step = surge_step_at(recipe, 0, 0, 1, true);
  SURGE_TRY(surge_loader_start(session->train_loader, step.seed, 0, 0, true));
  SURGE_TRY(surge_loader_next(session->train_loader, &batch));
  SURGE_TRY(surge_net_load(session->net, &batch, &step));
  SURGE_TRY(surge_net_forward(session->net, SURGE_PASS_TRAIN, true));
  return surge_net_backward(session->net);
}

static surge_status write_dump(surge_session *session, bool soft,
                               const char *out) {
  const surge_recipe *recipe = session->recipe;
  char T[16], weight[32], pda_layers[16], *layers = NULL, *loss = NULL,
                                          *text = NULL;
  size_t size;
  surge_tensor_list list = {0};
  snprintf(T, sizeof T, "%d", recipe->T);
  snprintf(weight, sizeof weight, "%.9g", (double)recipe->pda_weight);
  snprintf(pda_layers, sizeof pda_layers, "%d",
           surge_net_pda_layers(session->net));
  surge_status status = surge_net_dump(session->net, &list);
  if (status == SURGE_OK) status = surge_net_layers_json(session->net, &layers);
  FILE *memory = open_memstream(&text, &size);
  loss = loss_json(session);
  if (!memory || !loss)
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
                                        {"layers", layers}};
    status = surge_safetensors_write(out, list.tensors, list.count, metadata,
                                     sizeof metadata / sizeof *metadata);
  }
  surge_tensor_list_free(&list);
  free(layers);
  free(loss);
  free(text);
  return status;
}

surge_status surge_gradient_dump(const surge_recipe *original, const char *from,
                                 bool soft, const char *out) {
  surge_session session;
  surge_recipe one_batch = *original; /* its gradient, not a share of a step */
  const surge_recipe *recipe = &one_batch;
  one_batch.train.accumulate = 1;
  surge_net_options options = {
      .training = true, .soft = soft, .keep_currents = true};
  surge_status status = surge_session_open(&session, recipe, &options);
  if (status == SURGE_OK) status = surge_session_open_train(&session);
  if (status == SURGE_OK && from)
    status = surge_session_restore(&session, from, false);
  if (status == SURGE_OK) status = run_step(&session);
  if (status == SURGE_OK) status = write_dump(&session, soft, out);
  surge_session_close(&session);
  return status;
}
