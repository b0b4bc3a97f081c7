/* layers_json.c - the planned layers as JSON: what another framework needs to
 * rebuild the network (scripts/compare_torch.py reads it). */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "src/net/net.h"

/* An enum as the recipe's word for it. */
static void add_word(cJSON *object, const char *name, const char *key,
                     int32_t value) {
  cJSON_AddStringToObject(object, name, surge_recipe_word(key, value));
}

static void add_number(cJSON *object, const char *key, double value) {
  cJSON_AddNumberToObject(object, key, value);
}

static void add_map(cJSON *object, const char *key, const surge_map *map) {
  const int dims[3] = {map->h, map->w, map->c};
  cJSON_AddItemToObject(object, key, cJSON_CreateIntArray(dims, 3));
}

/* The layer starts with what it reads: the name in `from`. */
static cJSON *add_layer(cJSON *list, const char *kind, const char *name,
                        const char *from, const surge_map *in,
                        const surge_map *out) {
  cJSON *object = cJSON_CreateObject();
  cJSON_AddStringToObject(object, "kind", kind);
  cJSON_AddStringToObject(object, "name", name);
  cJSON_AddStringToObject(object, "from", from);
  add_map(object, "in", in);
  add_map(object, "out", out);
  cJSON_AddItemToArray(list, object);
  return object;
}

static void add_neuron(cJSON *object, const surge_neuron_spec *n) {
  cJSON *neuron = cJSON_AddObjectToObject(object, "neuron");
  add_number(neuron, "decay", (double)n->decay);
  cJSON_AddBoolToObject(neuron, "decay_learned", n->decay_learned);
  cJSON_AddBoolToObject(neuron, "decay_input", n->decay_input);
  add_number(neuron, "synapse_decay", (double)n->synapse_decay);
  cJSON_AddBoolToObject(neuron, "synapse_learned", n->synapse_learned);
  add_number(neuron, "v_threshold", (double)n->v_threshold);
  add_number(neuron, "v_reset", (double)n->v_reset);
  add_word(neuron, "reset", "neuron.reset", (int32_t)n->reset);
  cJSON_AddBoolToObject(neuron, "detach_reset", n->detach_reset);
  add_word(neuron, "family", "surrogate.family", (int32_t)n->family);
  add_word(neuron, "width_rule", "surrogate.width_rule",
           (int32_t)n->width_rule);
  add_word(neuron, "granularity", "surrogate.granularity",
           (int32_t)n->granularity);
  add_number(neuron, "width", (double)n->width);
  add_number(neuron, "width_end", (double)n->width_end);
  if (n->pda == SURGE_PDA_OFF)
    cJSON_AddStringToObject(neuron, "pda", "off");
  else
    add_word(neuron, "pda", "pda.kind", (int32_t)n->pda);
  add_word(neuron, "pda_granularity", "pda.granularity",
           (int32_t)n->pda_granularity);
  add_number(neuron, "pda_mean", (double)n->pda_mean);
  add_number(neuron, "pda_std", (double)n->pda_std);
  add_number(neuron, "pda_epsilon", (double)n->pda_epsilon);
}

static void add_norm(cJSON *list, const surge_layer *layer,
                     const surge_source *source) {
  const surge_layer_spec *norm = &source->norm;
  cJSON *object =
      add_layer(list, "norm", norm->name, norm->from, &layer->in, &layer->in);
  add_word(object, "norm", "model.norm", (int32_t)norm->norm);
  add_number(object, "alpha_theta",
             (double)surge_source_alpha_theta(layer, source));
  add_number(object, "eps", SURGE_NORM_EPS);
}

surge_status surge_net_layers_json(const surge_net *net, char **text) {
  cJSON *list = cJSON_CreateArray();
  for (int32_t i = 0; i < net->model.count; i++) {
    const surge_layer *layer = &net->model.layers[i];
    const surge_layer_spec *s = &layer->spec;
    for (int32_t k = 0; k < layer->sources; k++)
      if (layer->source[k].has_norm) add_norm(list, layer, &layer->source[k]);
    cJSON *object = add_layer(list, surge_layer_word(s->kind), s->name, s->from,
                              &layer->in, &layer->out);
    cJSON_AddStringToObject(object, "add", s->add);
    add_number(object, "kernel", s->kernel);
    add_number(object, "stride", s->stride);
    add_number(object, "pad", s->pad);
    add_number(object, "groups", s->groups);
    add_number(object, "p", (double)s->p);
    if (s->kind == SURGE_LAYER_NEURON || s->kind == SURGE_LAYER_INTEGRATOR)
      add_neuron(object, &s->neuron);
  }
  *text = cJSON_PrintUnformatted(list);
  cJSON_Delete(list);
  if (*text) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory to describe the layers");
}
