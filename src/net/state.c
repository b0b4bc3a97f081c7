/* state.c - a network's tensors to and from named lists: checkpoints, and the
 * one-step dump of `surge grad`. */
#include <stdlib.h>
#include <string.h>

#include "kernels/shared/element.h"
#include "src/net/net.h"

/* --- lists ---------------------------------------------------------------- */

void surge_tensor_list_free(surge_tensor_list *list) {
  for (size_t i = 0; i < list->count; i++) {
    free((void *)(uintptr_t)list->tensors[i].name);
    free((void *)(uintptr_t)list->tensors[i].data);
  }
  free(list->tensors);
  *list = (surge_tensor_list){0};
}

static surge_status grow(surge_tensor_list *list) {
  if (list->count < list->capacity) return SURGE_OK;
  size_t capacity = list->capacity ? 2 * list->capacity : 64;
  surge_named_tensor *grown = realloc(list->tensors, capacity * sizeof *grown);
  if (!grown)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for a tensor list");
  list->tensors = grown;
  list->capacity = capacity;
  return SURGE_OK;
}

/* Adds "<prefix><name of t>" with `bytes` of its own memory to fill. */
static surge_status list_add(surge_tensor_list *list, const char *prefix,
                             const surge_tensor *t, void **data) {
  SURGE_TRY(grow(list));
  size_t length = strlen(prefix) + strlen(t->name) + 1;
  char *name = malloc(length);
  *data = malloc(t->bytes + 1);
  surge_named_tensor *added = &list->tensors[list->count++];
  *added = (surge_named_tensor){
      .name = name, .dtype = t->dtype, .rank = t->rank, .data = *data};
  memcpy(added->shape, t->shape, sizeof added->shape);
  if (!name || !*data)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory to save %s", t->name);
  snprintf(name, length, "%s%s", prefix, t->name);
  return SURGE_OK;
}

/* Downloads `device`, which has the shape of t, into the list. */
static surge_status save_as(surge_net *net, surge_tensor_list *list,
                            const char *prefix, const surge_tensor *t,
                            const void *device) {
  void *data;
  SURGE_TRY(list_add(list, prefix, t, &data));
  return net->backend->download(net->context, data, device, t->bytes);
}

/* --- checkpoints ---------------------------------------------------------- */

/* A tensor of a checkpoint: where it lies, under which prefix. */
typedef surge_status visit(surge_net *net, void *user, const char *prefix,
                           const surge_tensor *t, void *device);

#define AVERAGE "average."

/* A parameter or a running statistic: what is evaluated, which is the average
 * where there is one; with `state` also what is trained, which has the name. */
static surge_status visit_learned(surge_net *net, bool state, visit *f,
                                  void *user, int32_t i) {
  const surge_tensor *t = &net->table.tensors[i];
  bool averages = surge_net_averages(net);
  if (state || !averages) SURGE_TRY(f(net, user, "", t, surge_at(net, i)));
  if (!averages) return SURGE_OK;
  return f(net, user, state ? AVERAGE : "", t, surge_average_at(net, i));
}

/* Calls `f` for every tensor that training state consists of; the one list
 * that saving and restoring share. */
static surge_status for_each_state(surge_net *net, bool state, visit *f,
                                   void *user) {
  for (int32_t i = 0; i < net->table.count; i++) {
    const surge_tensor *t = &net->table.tensors[i];
    bool parameter = t->role == SURGE_ROLE_PARAMETER;
    if (parameter || t->role == SURGE_ROLE_BUFFER)
      SURGE_TRY(visit_learned(net, state, f, user, i));
    if (state && t->resumed)
      SURGE_TRY(f(net, user, "state.", t, surge_at(net, i)));
    if (!parameter || !state) continue;
    char *moments = net->arena[SURGE_ROLE_OPTIMIZER];
    size_t v_first = net->v_first * sizeof(float);
    SURGE_TRY(f(net, user, "optim.m.", t, moments + t->offset));
    if (t->offset >= v_first)
      SURGE_TRY(f(net, user, "optim.v.", t,
                  moments + net->table.bytes[SURGE_ROLE_PARAMETER] + t->offset -
                      v_first));
    if (net->recipe->train.accumulate > 1)
      SURGE_TRY(f(net, user, "grad.", t, surge_gradient_at(net, i)));
  }
  return SURGE_OK;
}

static surge_status save_one(surge_net *net, void *user, const char *prefix,
                             const surge_tensor *t, void *device) {
  return save_as(net, user, prefix, t, device);
}

surge_status surge_net_save(surge_net *net, surge_tensor_list *list,
                            bool state) {
  *list = (surge_tensor_list){0};
  return for_each_state(net, state, save_one, list);
}

typedef struct source {
  const surge_safetensors *file;
  const char *path;
  bool averaged; /* averages of the file, if any, go before what was trained */
} source;

static surge_status restore_one(surge_net *net, void *user, const char *prefix,
                                const surge_tensor *t, void *device) {
  const source *from = user;
  char name[SURGE_TENSOR_NAME + 16];
  const surge_named_tensor *found = NULL;
  if (from->averaged) {
    snprintf(name, sizeof name, AVERAGE "%s", t->name);
    found = surge_safetensors_find(from->file, name);
  }
  if (!found) {
    snprintf(name, sizeof name, "%s%s", prefix, t->name);
    found = surge_safetensors_find(from->file, name);
  }
  if (!found)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted a tensor %s, found none",
                      from->path, name);
  if (found->dtype != t->dtype || surge_named_tensor_bytes(found) != t->bytes ||
      found->rank != t->rank ||
      memcmp(found->shape, t->shape, (size_t)t->rank * sizeof *t->shape))
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: tensor %s: wanted %zu bytes in the "
                      "network's shape, found %zu bytes or another shape",
                      from->path, name, t->bytes,
                      surge_named_tensor_bytes(found));
  return net->backend->upload(net->context, device, found->data, t->bytes);
}

surge_status surge_net_restore(surge_net *net, const surge_safetensors *file,
                               const char *path, bool state) {
  source from = {file, path, !state && net->recipe->optim.ema_decay > 0};
  SURGE_TRY(for_each_state(net, state, restore_one, &from));
  if (!state) SURGE_TRY(surge_net_adopt_averages(net));
  return surge_net_round_weights(net);
}

/* --- the one-step dump ---------------------------------------------------- */

/* From the layout and type of `images` maps to logical order and fp32. */
static void to_logical(float *logical, const void *physical,
                       const surge_map *map, size_t images) {
  size_t elements = surge_map_elements(map);
  for (size_t n = 0; n < images; n++)
    for (int32_t y = 0; y < map->h; y++)
      for (int32_t x = 0; x < map->w; x++)
        for (int32_t c = 0; c < map->c; c++)
          *logical++ = surge_load(physical, map->type,
                                  n * elements + surge_offset_of(map, y, x, c));
}

/* The first `images` of an activation's maps, in logical order. */
static surge_status read_activation(surge_net *net, int32_t id, size_t images,
                                    float *logical) {
  const surge_map *map = &net->table.tensors[id].map;
  size_t bytes =
      images * surge_map_elements(map) * surge_dtype_bytes(map->type);
  void *physical = malloc(bytes + 1);
  if (!physical)
    return SURGE_FAIL(
        SURGE_ERROR_DEVICE,
        "wanted memory for %zu bytes of an activation, found less", bytes);
  surge_status status =
      net->backend->download(net->context, physical, surge_at(net, id), bytes);
  if (status == SURGE_OK) to_logical(logical, physical, map, images);
  free(physical);
  return status;
}

/* Saves the loaded batch's part of an activation [steps, N] of a map. */
static surge_status dump_activation(surge_net *net, surge_tensor_list *list,
                                    int32_t id, const char *name) {
  surge_tensor t = net->table.tensors[id];
  snprintf(t.name, sizeof t.name, "%s", name);
  t.shape[1] = net->n;
  size_t images = (size_t)(t.shape[0] * t.shape[1]);
  t.dtype = SURGE_F32;
  t.bytes = images * surge_map_elements(&t.map) * sizeof(float);
  void *logical;
  SURGE_TRY(list_add(list, "", &t, &logical));
  return read_activation(net, id, images, logical);
}

/* Makes the tensor added last a view of fewer dimensions. */
static void reshape_last(surge_tensor_list *list, int32_t rank,
                         const int64_t *shape) {
  surge_named_tensor *last = &list->tensors[list->count - 1];
  last->rank = rank;
  memcpy(last->shape, shape, (size_t)rank * sizeof *shape);
}

static surge_status dump_labels(surge_net *net, surge_tensor_list *list) {
  surge_tensor t = net->table.tensors[net->labels];
  t.shape[0] = net->n;
  t.bytes = (size_t)net->n * sizeof(int32_t);
  if (!net->mirrored)
    return save_as(net, list, "", &t, surge_at(net, net->labels));
  void *data;
  SURGE_TRY(list_add(list, "", &t, &data));
  int32_t *labels = data; /* first the places in the set, then what is there */
  SURGE_TRY(net->backend->download(net->context, labels,
                                   surge_at(net, net->sample), t.bytes));
  for (int32_t n = 0; n < net->n; n++)
    labels[n] = net->mirrored->labels[labels[n]];
  return SURGE_OK;
}

static surge_status dump_input(surge_net *net, surge_tensor_list *list) {
  bool coded = net->coded >= 0, steps = coded || net->model.input_steps;
  SURGE_TRY(
      dump_activation(net, list, coded ? net->coded : net->input, "input"));
  const surge_map *m = &net->model.input;
  const int64_t image[4] = {net->n, m->h, m->w, m->c};
  if (!steps) reshape_last(list, 4, image);
  return dump_labels(net, list);
}

static surge_status dump_current(surge_net *net, surge_tensor_list *list,
                                 int32_t i) {
  char name[SURGE_TENSOR_NAME];
  snprintf(name, sizeof name, "%s.current", net->model.layers[i].spec.name);
  return dump_activation(net, list, net->ids[i].current, name);
}

surge_status surge_net_currents(surge_net *net, surge_tensor_list *list) {
  for (int32_t i = 0; i < net->model.count; i++)
    if (net->ids[i].statistics >= 0) SURGE_TRY(dump_current(net, list, i));
  return SURGE_OK;
}

static surge_status dump_layers(surge_net *net, surge_tensor_list *list) {
  for (int32_t i = 0; i < net->model.count; i++) {
    const surge_layer_ids *ids = &net->ids[i];
    if (ids->statistics < 0) continue;
    SURGE_TRY(dump_current(net, list, i));
    SURGE_TRY(save_as(net, list, "", &net->table.tensors[ids->statistics],
                      surge_at(net, ids->statistics)));
  }
  SURGE_TRY(
      dump_activation(net, list, net->ids[net->model.count - 1].out, "logits"));
  const int64_t logits[3] = {net->options.T, net->n,
                             net->model.classes * net->model.vote};
  reshape_last(list, 3, logits);
  return SURGE_OK;
}

static surge_status dump_losses(surge_net *net, surge_tensor_list *list) {
  surge_metrics metrics;
  SURGE_TRY(surge_net_metrics(net, &metrics));
  const double samples = (double)metrics.samples;
  const double values[2] = {metrics.loss / samples, metrics.pda / samples};
  static const char *const names[2] = {"loss", "pda"};
  for (int k = 0; k < 2; k++) {
    surge_tensor t = {
        .dtype = SURGE_F64, .rank = 1, .shape = {1}, .bytes = sizeof(double)};
    snprintf(t.name, sizeof t.name, "%s", names[k]);
    void *data;
    SURGE_TRY(list_add(list, "", &t, &data));
    memcpy(data, &values[k], sizeof(double));
  }
  return SURGE_OK;
}

int32_t surge_net_steps(const surge_net *net) { return net->options.T; }

surge_status surge_net_logits(surge_net *net, float *logits) {
  int32_t id = net->ids[net->model.count - 1].out, vote = net->model.vote;
  size_t images = (size_t)net->options.T * (size_t)net->n;
  size_t count = images * (size_t)net->model.classes;
  float *votes = malloc(count * (size_t)vote * sizeof *votes);
  if (!votes)
    return SURGE_FAIL(SURGE_ERROR_DEVICE,
                      "wanted memory for %zu logits, found less",
                      count * (size_t)vote);
  surge_status status = read_activation(net, id, images, votes);
  for (size_t i = 0; status == SURGE_OK && i < count; i++) {
    double sum = 0;
    for (int32_t v = 0; v < vote; v++)
      sum += (double)votes[i * (size_t)vote + (size_t)v];
    logits[i] = (float)(sum / vote);
  }
  free(votes);
  return status;
}

surge_status surge_net_dump(surge_net *net, surge_tensor_list *list) {
  *list = (surge_tensor_list){0};
  SURGE_TRY(dump_input(net, list));
  for (int32_t i = 0; i < net->table.count; i++) {
    const surge_tensor *t = &net->table.tensors[i];
    if (t->role == SURGE_ROLE_PARAMETER)
      SURGE_TRY(save_as(net, list, "grad.", t, surge_gradient_at(net, i)));
    if (t->role == SURGE_ROLE_PARAMETER || t->role == SURGE_ROLE_BUFFER)
      SURGE_TRY(save_as(net, list, "", t, surge_at(net, i)));
  }
  SURGE_TRY(dump_layers(net, list));
  return dump_losses(net, list);
}
