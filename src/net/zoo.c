/* zoo.c - named architectures, written as the layer lists they stand for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/net/model.h"

typedef struct list {
  const surge_recipe *recipe;
  surge_layer_spec *specs;
  int32_t count, capacity;
  int32_t number[SURGE_LAYER_INTEGRATOR + 1]; /* layers of each kind so far */
  bool failed;
} list;

static surge_layer_spec *append(list *l, surge_layer_kind kind) {
  static surge_layer_spec nowhere;
  if (l->count == l->capacity) {
    int32_t capacity = l->capacity ? 2 * l->capacity : 16;
    surge_layer_spec *grown =
        realloc(l->specs, (size_t)capacity * sizeof *grown);
    if (!grown) {
      l->failed = true;
      return &nowhere;
    }
    l->specs = grown;
    l->capacity = capacity;
  }
  surge_layer_spec *spec = &l->specs[l->count++];
  *spec = (surge_layer_spec){.kind = kind,
                             .stride = 1,
                             .groups = 1,
                             .alpha = 1.0f,
                             .add = SURGE_NOTHING};
  strcpy(spec->from, l->count > 1 ? spec[-1].name : SURGE_FROM_IMAGE);
  snprintf(spec->name, sizeof spec->name, "%s%d", surge_layer_word(kind),
           ++l->number[kind]);
  return spec;
}

static void add_neuron(list *l) {
  surge_layer_spec *spec = append(l, SURGE_LAYER_NEURON);
  spec->neuron = l->recipe->neuron;
  spec->pda = true;
}

static void add_norm_and_neuron(list *l) {
  const struct surge_model_recipe *m = &l->recipe->model;
  if (m->norm_on) {
    surge_layer_spec *spec = append(l, SURGE_LAYER_NORM);
    spec->norm = m->norm;
    spec->alpha = m->norm_alpha;
  }
  add_neuron(l);
}

static void add_conv_block(list *l, int32_t channels, int32_t kernel,
                           bool pool) {
  surge_layer_spec *conv = append(l, SURGE_LAYER_CONV);
  conv->out = channels;
  conv->kernel = kernel;
  conv->pad = kernel / 2;
  conv->bias = !l->recipe->model.norm_on;
  add_norm_and_neuron(l);
  if (pool) {
    surge_layer_spec *spec = append(l, l->recipe->model.pooling);
    spec->kernel = spec->stride = 2;
  }
}

static void add_hidden_block(list *l, int32_t features) {
  surge_layer_spec *linear = append(l, SURGE_LAYER_LINEAR);
  linear->out = features;
  linear->bias = !l->recipe->model.norm_on;
  add_norm_and_neuron(l);
}

static void add_classifier(list *l) {
  if (l->recipe->model.dropout > 0)
    append(l, SURGE_LAYER_DROPOUT)->p = l->recipe->model.dropout;
  surge_layer_spec *linear = append(l, SURGE_LAYER_LINEAR);
  linear->out = 0; /* the number of classes */
  linear->bias = true;
}

static void convnet(list *l) {
  const struct surge_model_recipe *m = &l->recipe->model;
  for (int32_t i = 0; i < m->channel_count; i++)
    add_conv_block(l, m->channels[i], m->kernel,
                   i < m->pool_count && m->pool[i]);
  add_classifier(l);
}

static void mlp(list *l) {
  const struct surge_model_recipe *m = &l->recipe->model;
  for (int32_t i = 0; i < m->hidden_count; i++)
    add_hidden_block(l, m->hidden[i]);
  add_classifier(l);
}

/* CIFARNet of Wu et al., "Direct training for spiking neural networks: faster,
 * larger, better" (AAAI 2019), table 2: five convolutions, two hidden layers. */
static void cifarnet(list *l) {
  const struct surge_model_recipe *m = &l->recipe->model;
  for (int32_t i = 0; i < m->channel_count; i++)
    add_conv_block(l, m->channels[i], 3, i == 1 || i == 2);
  for (int32_t i = 0; i < m->hidden_count; i++)
    add_hidden_block(l, m->hidden[i]);
  add_classifier(l);
}

/* Raises the number of the layer added last until no other has its name. */
static void make_unique(list *l) {
  surge_layer_spec *last = &l->specs[l->count - 1];
  for (int32_t i = 0; i < l->count - 1; i++) {
    if (strcmp(l->specs[i].name, last->name) != 0) continue;
    snprintf(last->name, sizeof last->name, "%s%d",
             surge_layer_word(last->kind), ++l->number[last->kind]);
    i = -1; /* from the start again */
  }
}

static void add_readout(list *l) {
  surge_readout readout = l->recipe->model.readout;
  if (readout == SURGE_READOUT_MEMBRANE) { /* it leaks, and that is all */
    surge_neuron_spec *neuron = &append(l, SURGE_LAYER_INTEGRATOR)->neuron;
    *neuron = l->recipe->neuron;
    neuron->decay_learned = false;
    neuron->width_rule = SURGE_WIDTH_FIXED;
    neuron->granularity = SURGE_PER_LAYER;
  } else if (readout == SURGE_READOUT_SPIKES)
    add_neuron(l);
  if (readout != SURGE_READOUT_LOGITS && !l->failed) make_unique(l);
}

/* The layers as the recipe lists them; their numbers go on in the readout. */
static void from_recipe(list *l) {
  const struct surge_model_recipe *m = &l->recipe->model;
  for (int32_t i = 0; i < m->layer_count; i++)
    *append(l, m->layers[i].kind) = m->layers[i];
}

surge_status surge_zoo_expand(const surge_recipe *recipe,
                              surge_layer_spec **specs, int32_t *count) {
  list l = {.recipe = recipe};
  switch (recipe->model.arch) {
    case SURGE_ARCH_CONVNET: convnet(&l); break;
    case SURGE_ARCH_MLP: mlp(&l); break;
    case SURGE_ARCH_CIFARNET: cifarnet(&l); break;
    case SURGE_ARCH_LAYERS: from_recipe(&l); break;
  }
  add_readout(&l);
  *specs = l.specs;
  *count = l.count;
  if (!l.failed) return SURGE_OK;
  free(l.specs);
  *specs = NULL;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for the layer list");
}
