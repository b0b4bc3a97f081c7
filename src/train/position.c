/* position.c - checkpoints: tensors of the net, position and recipe as text. */
#include "src/train/position.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The effective recipe as text; the caller frees it. */
static surge_status recipe_text(const surge_recipe *recipe, char **text) {
  size_t size;
  *text = NULL;
  FILE *file = open_memstream(text, &size);
  if (!file) return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for the recipe");
  surge_status status = surge_recipe_write(recipe, file);
  fclose(file);
  return status;
}

/* What the tensors called as the network's are. */
static void describe_weights(const surge_recipe *recipe, bool state, char *text,
                             size_t size) {
  double decay = (double)recipe->optim.ema_decay;
  if (decay == 0)
    snprintf(text, size, "as trained");
  else if (state)
    snprintf(text, size, "as trained; average.*: optim.ema_decay %g", decay);
  else
    snprintf(text, size, "averaged: optim.ema_decay %g", decay);
}

surge_status surge_position_save(surge_session *session,
                                 const surge_position *p, const char *path,
                                 bool state) {
  char epoch[16], batch[16], step[24], best[32], best_epoch[16], device[256],
      weights[96], *text;
  snprintf(epoch, sizeof epoch, "%d", p->epoch);
  snprintf(batch, sizeof batch, "%d", p->batch);
  snprintf(step, sizeof step, "%" PRId64, p->step);
  snprintf(best, sizeof best, "%.17g", p->best);
  snprintf(best_epoch, sizeof best_epoch, "%d", p->best_epoch);
  describe_weights(session->recipe, state, weights, sizeof weights);
  session->backend->describe(session->context, device, sizeof device);
  surge_tensor_list list = {0};
  surge_status status = recipe_text(session->recipe, &text);
  if (status == SURGE_OK) status = surge_net_save(session->net, &list, state);
  if (status == SURGE_OK) {
    const surge_text_pair metadata[] = {{"format", "surge 1"},
                                        {"surge_version", SURGE_VERSION},
                                        {"device", device},
                                        {"recipe", text},
                                        {"epoch", epoch},
                                        {"batch", batch},
                                        {"step", step},
                                        {"best_accuracy", best},
                                        {"best_epoch", best_epoch},
                                        {"state", state ? "true" : "false"},
                                        {"weights", weights}};
    status = surge_safetensors_write(path, list.tensors, list.count, metadata,
                                     sizeof metadata / sizeof *metadata);
  }
  surge_tensor_list_free(&list);
  free(text);
  return status;
}

/* A number of the metadata, or SURGE_ERROR_DATA. */
static surge_status number(const surge_safetensors *file, const char *path,
                           const char *key, double *value) {
  const char *text = surge_safetensors_text(file, key);
  char *end = NULL;
  if (text) *value = strtod(text, &end);
  if (text && end != text && *end == 0) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: metadata %s: wanted a number, found %s", path, key,
                    text ? text : "nothing");
}

static surge_status read_position(const surge_safetensors *file,
                                  const char *path, surge_position *p) {
  double epoch = 0, batch = 0, step = 0, best = 0, best_epoch = 0;
  SURGE_TRY(number(file, path, "epoch", &epoch));
  SURGE_TRY(number(file, path, "batch", &batch));
  SURGE_TRY(number(file, path, "step", &step));
  SURGE_TRY(number(file, path, "best_accuracy", &best));
  SURGE_TRY(number(file, path, "best_epoch", &best_epoch));
  *p = (surge_position){(int32_t)epoch, (int32_t)batch, (int64_t)step, best,
                        (int32_t)best_epoch};
  return SURGE_OK;
}

surge_status surge_position_restore(surge_session *session,
                                    surge_position *position,
                                    const char *path) {
  surge_safetensors file = {0};
  surge_status status = surge_safetensors_read(&file, path);
  if (status == SURGE_OK) status = read_position(&file, path, position);
  if (status == SURGE_OK)
    status = surge_net_restore(session->net, &file, path, true);
  surge_safetensors_free(&file);
  return status;
}

surge_status surge_checkpoint_recipe(surge_recipe *recipe, const char *path,
                                     const char *const *overrides, char *file,
                                     size_t size) {
  struct stat info;
  *recipe = (surge_recipe){0};
  bool folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
  snprintf(file, size, "%s%s", path,
           folder ? "/checkpoint_last.safetensors" : "");
  surge_safetensors checkpoint = {0};
  surge_status status = surge_safetensors_read(&checkpoint, file);
  const char *text = NULL;
  if (status == SURGE_OK) {
    text = surge_safetensors_text(&checkpoint, "recipe");
    if (!text)
      status = SURGE_FAIL(SURGE_ERROR_DATA,
                          "%s: wanted a recipe in the "
                          "metadata, found none",
                          file);
  }
  if (status == SURGE_OK)
    status = surge_recipe_parse(recipe, file, text, strlen(text), overrides);
  surge_safetensors_free(&checkpoint);
  return status;
}
