/* trajectory.c - the steps of a short run as tensors (see trajectory.h). */
#include "src/train/trajectory.h"

#include <stdlib.h>
#include <string.h>

/* The tensors' places in the list; then widths, one a spiking layer, and the
 * state. */
enum { IMAGES, LABELS, BATCH, LEARNING_RATE, LOSS, PDA, WIDTHS };

/* Appends a tensor that is named <prefix><name> and takes over its data. */
static surge_status append(surge_tensor_list *list, const char *prefix,
                           const char *name, surge_named_tensor tensor) {
  size_t length = strlen(prefix) + strlen(name) + 1;
  surge_named_tensor *grown =
      realloc(list->tensors, (list->count + 1) * sizeof *grown);
  char *text = malloc(length);
  if (grown) list->tensors = grown;
  if (!grown || !text || !tensor.data) {
    free(text);
    free((void *)(uintptr_t)tensor.data);
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory to record %s", name);
  }
  snprintf(text, length, "%s%s", prefix, name);
  tensor.name = text;
  list->tensors[list->count++] = tensor;
  list->capacity = list->count;
  return SURGE_OK;
}

/* --- while the steps are made --------------------------------------------- */

/* Room for `rows` rows, each of the type and shape of `row`. */
static surge_status reserve(surge_trajectory *trajectory, const char *prefix,
                            const char *name, int64_t rows,
                            surge_named_tensor row) {
  memmove(row.shape + 1, row.shape, (size_t)row.rank * sizeof *row.shape);
  row.shape[0] = rows;
  row.rank++;
  row.data = calloc(surge_named_tensor_bytes(&row), 1);
  return append(&trajectory->list, prefix, name, row);
}

static surge_status reserve_numbers(surge_trajectory *trajectory,
                                    const surge_session *session,
                                    int32_t steps) {
  const surge_dataset_info *info = &session->info;
  int64_t images = (int64_t)steps * session->recipe->train.batch;
  surge_named_tensor sample = {
      .dtype = SURGE_U8, .rank = 3, .shape = {info->h, info->w, info->c}};
  if (info->steps)
    sample =
        (surge_named_tensor){.dtype = SURGE_U8,
                             .rank = 4,
                             .shape = {info->steps, info->h, info->w, info->c}};
  const struct {
    const char *name;
    int64_t rows;
    surge_named_tensor row;
  } numbers[] = {[IMAGES] = {"images", images, sample},
                 [LABELS] = {"labels", images, {.dtype = SURGE_I32}},
                 [BATCH] = {"batch", steps, {.dtype = SURGE_I32}},
                 [LEARNING_RATE] = {"learning_rate",
                                    steps,
                                    {.dtype = SURGE_F32,
                                     .rank = 1,
                                     .shape = {SURGE_GROUP_COUNT}}},
                 [LOSS] = {"loss", steps, {.dtype = SURGE_F64}},
                 [PDA] = {"pda", steps, {.dtype = SURGE_F64}}};
  for (size_t i = 0; i < WIDTHS; i++)
    SURGE_TRY(reserve(trajectory, "steps.", numbers[i].name, numbers[i].rows,
                      numbers[i].row));
  return SURGE_OK;
}

static surge_status reserve_widths(surge_trajectory *trajectory, surge_net *net,
                                   int32_t steps) {
  surge_layer_report report;
  for (int32_t i = 0; surge_net_spiking_layer(net, i); i++) {
    SURGE_TRY(surge_net_layer_report(net, i, &report));
    surge_named_tensor row = {
        .dtype = SURGE_F32, .rank = 1, .shape = {report.widths}};
    SURGE_TRY(reserve(trajectory, "steps.width.", report.name, steps, row));
  }
  return SURGE_OK;
}

static surge_status reserve_state(surge_trajectory *trajectory, surge_net *net,
                                  int32_t steps) {
  surge_tensor_list state = {0};
  surge_status status = surge_net_save(net, &state, false);
  trajectory->state = trajectory->list.count;
  for (size_t i = 0; status == SURGE_OK && i < state.count; i++)
    status = reserve(trajectory, "steps.state.", state.tensors[i].name, steps,
                     state.tensors[i]);
  surge_tensor_list_free(&state);
  return status;
}

surge_status surge_trajectory_open(surge_trajectory *trajectory,
                                   surge_session *session, int32_t steps) {
  *trajectory = (surge_trajectory){0};
  SURGE_TRY(reserve_numbers(trajectory, session, steps));
  SURGE_TRY(reserve_widths(trajectory, session->net, steps));
  return reserve_state(trajectory, session->net, steps);
}

/* Copies `rows` rows to row `first` of a tensor. */
static void put(surge_trajectory *trajectory, size_t tensor, int64_t first,
                int64_t rows, const void *data) {
  const surge_named_tensor *t = &trajectory->list.tensors[tensor];
  size_t row = surge_named_tensor_bytes(t) / (size_t)t->shape[0];
  memcpy((char *)(uintptr_t)t->data + (size_t)first * row, data,
         (size_t)rows * row);
}

/* The batch's images: its own, or of a mirrored set those that lie there. */
static void put_batch(surge_trajectory *trajectory, const surge_batch *batch) {
  const surge_dataset *set = batch->set;
  size_t bytes = surge_sample_bytes(set->info);
  for (int32_t n = 0; n < batch->n; n++, trajectory->images++) {
    uint32_t sample = batch->sample[n];
    put(trajectory, IMAGES, trajectory->images, 1,
        batch->images ? batch->images + (size_t)n * bytes
                      : set->images + sample * bytes);
    put(trajectory, LABELS, trajectory->images, 1, &set->labels[sample]);
  }
}

static surge_status put_state(surge_trajectory *trajectory, surge_net *net,
                              int64_t at) {
  surge_tensor_list state = {0};
  surge_status status = surge_net_save(net, &state, false);
  for (size_t i = 0; status == SURGE_OK && i < state.count; i++)
    put(trajectory, trajectory->state + i, at, 1, state.tensors[i].data);
  surge_tensor_list_free(&state);
  return status;
}

surge_status surge_trajectory_step(surge_trajectory *trajectory,
                                   surge_session *session,
                                   const surge_batch *batch,
                                   const surge_step *step) {
  surge_metrics metrics;
  surge_layer_report report;
  int32_t at = trajectory->steps++;
  SURGE_TRY(surge_net_metrics(session->net, &metrics));
  double loss = metrics.loss / (double)metrics.samples;
  double pda = metrics.pda / (double)metrics.samples;
  put_batch(trajectory, batch);
  put(trajectory, BATCH, at, 1, &batch->n);
  put(trajectory, LEARNING_RATE, at, 1, step->learning_rate);
  put(trajectory, LOSS, at, 1, &loss);
  put(trajectory, PDA, at, 1, &pda);
  for (int32_t i = 0; surge_net_spiking_layer(session->net, i); i++) {
    SURGE_TRY(surge_net_layer_report(session->net, i, &report));
    put(trajectory, (size_t)(WIDTHS + i), at, 1, report.width);
  }
  return put_state(trajectory, session->net, at);
}

/* --- afterwards ----------------------------------------------------------- */

/* Moves all tensors of `from` behind those of `to`. */
static surge_status move_all(surge_tensor_list *to, surge_tensor_list *from,
                             const char *prefix) {
  for (size_t i = 0; i < from->count; i++) {
    surge_named_tensor taken = from->tensors[i];
    from->tensors[i].data = NULL;
    SURGE_TRY(append(to, prefix, taken.name, taken));
  }
  return SURGE_OK;
}

surge_status surge_trajectory_finish(surge_trajectory *trajectory,
                                     surge_session *session,
                                     surge_tensor_list *list) {
  surge_tensor_list after = {0};
  trajectory->list.tensors[IMAGES].shape[0] = trajectory->images;
  trajectory->list.tensors[LABELS].shape[0] = trajectory->images;
  surge_status status = surge_net_save(session->net, &after, false);
  if (status == SURGE_OK) status = move_all(list, &trajectory->list, "");
  if (status == SURGE_OK) status = move_all(list, &after, "after.");
  surge_tensor_list_free(&after);
  return status;
}

void surge_trajectory_close(surge_trajectory *trajectory) {
  surge_tensor_list_free(&trajectory->list);
}
