/* zoo.c - named architectures, written as the layer lists they stand for (see
 * zoo.h). */
#include "src/net/zoo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what networks are made of -------------------------------------------- */

surge_layer_spec *surge_zoo_append(surge_zoo *zoo, surge_layer_kind kind) {
  static surge_layer_spec nowhere;
  if (zoo->count == zoo->capacity) {
    int32_t capacity = zoo->capacity ? 2 * zoo->capacity : 16;
    surge_layer_spec *grown =
        realloc(zoo->specs, (size_t)capacity * sizeof *grown);
    if (!grown) {
      zoo->failed = true;
      return &nowhere;
    }
    zoo->specs = grown;
    zoo->capacity = capacity;
  }
  surge_layer_spec *spec = &zoo->specs[zoo->count];
  *spec = (surge_layer_spec){.kind = kind,
                             .stride = 1,
                             .groups = 1,
                             .alpha = 1.0f,
                             .add = SURGE_NOTHING,
                             .neuron = zoo->recipe->neuron};
  strcpy(spec->from,
         zoo->at >= 0 ? zoo->specs[zoo->at].name : SURGE_FROM_IMAGE);
  snprintf(spec->name, sizeof spec->name, "%s%d", surge_layer_word(kind),
           ++zoo->number[kind]);
  zoo->at = zoo->count++;
  return spec;
}

static void add_norm(surge_zoo *zoo) {
  const struct surge_model_recipe *m = &zoo->recipe->model;
  if (!m->norm_on) return;
  surge_layer_spec *norm = surge_zoo_append(zoo, SURGE_LAYER_NORM);
  norm->norm = m->norm;
  norm->alpha = m->norm_alpha;
}

void surge_zoo_neuron(surge_zoo *zoo) {
  surge_zoo_append(zoo, SURGE_LAYER_NEURON)->pda = true;
}

void surge_zoo_conv(surge_zoo *zoo, int32_t out, int32_t kernel,
                    int32_t stride) {
  surge_layer_spec *conv = surge_zoo_append(zoo, SURGE_LAYER_CONV);
  conv->out = out;
  conv->kernel = kernel;
  conv->stride = stride;
  conv->pad = kernel / 2;
  conv->bias = !zoo->recipe->model.norm_on;
  add_norm(zoo);
}

void surge_zoo_conv_neuron(surge_zoo *zoo, int32_t out, int32_t kernel,
                           int32_t stride) {
  surge_zoo_conv(zoo, out, kernel, stride);
  surge_zoo_neuron(zoo);
}

void surge_zoo_pool(surge_zoo *zoo) {
  surge_layer_spec *pool = surge_zoo_append(zoo, zoo->recipe->model.pooling);
  pool->kernel = pool->stride = 2;
}

void surge_zoo_dropout(surge_zoo *zoo) {
  float p = zoo->recipe->model.dropout;
  if (p > 0) surge_zoo_append(zoo, SURGE_LAYER_DROPOUT)->p = p;
}

void surge_zoo_hidden(surge_zoo *zoo) {
  const struct surge_model_recipe *m = &zoo->recipe->model;
  for (int32_t i = 0; i < m->hidden_count; i++) {
    surge_layer_spec *linear = surge_zoo_append(zoo, SURGE_LAYER_LINEAR);
    linear->out = m->hidden[i];
    linear->bias = !m->norm_on;
    add_norm(zoo);
    surge_zoo_neuron(zoo);
  }
}

void surge_zoo_classifier(surge_zoo *zoo, bool bias) {
  surge_zoo_dropout(zoo);
  surge_layer_spec *linear = surge_zoo_append(zoo, SURGE_LAYER_LINEAR);
  linear->out = 0; /* the number of classes */
  linear->bias = bias;
}

/* --- readout -------------------------------------------------------------- */

/* Raises the number of the layer added last until no other has its name. */
static void make_unique(surge_zoo *zoo) {
  surge_layer_spec *last = &zoo->specs[zoo->count - 1];
  for (int32_t i = 0; i < zoo->count - 1; i++) {
    if (strcmp(zoo->specs[i].name, last->name) != 0) continue;
    snprintf(last->name, sizeof last->name, "%s%d",
             surge_layer_word(last->kind), ++zoo->number[last->kind]);
    i = -1; /* from the start again */
  }
}

static void add_readout(surge_zoo *zoo) {
  surge_readout readout = zoo->recipe->model.readout;
  if (readout == SURGE_READOUT_MEMBRANE) { /* it leaks, and that is all */
    surge_neuron_spec *neuron =
        &surge_zoo_append(zoo, SURGE_LAYER_INTEGRATOR)->neuron;
    neuron->decay_learned = neuron->synapse_learned = false;
    neuron->synapse_decay = 0;
    neuron->width_rule = SURGE_WIDTH_FIXED;
    neuron->granularity = SURGE_PER_LAYER;
  } else if (readout == SURGE_READOUT_SPIKES)
    surge_zoo_neuron(zoo);
  if (readout != SURGE_READOUT_LOGITS && !zoo->failed) make_unique(zoo);
}

/* --- which function makes which ------------------------------------------- */

/* The layers as the recipe lists them; their numbers go on in the readout. */
static void from_recipe(surge_zoo *zoo) {
  const struct surge_model_recipe *m = &zoo->recipe->model;
  for (int32_t i = 0; i < m->layer_count; i++)
    *surge_zoo_append(zoo, m->layers[i].kind) = m->layers[i];
}

static void add_network(surge_zoo *zoo) {
  switch (zoo->recipe->model.arch) {
    case SURGE_ARCH_CONVNET: surge_zoo_convnet(zoo); break;
    case SURGE_ARCH_MLP: surge_zoo_mlp(zoo); break;
    case SURGE_ARCH_CIFARNET: surge_zoo_cifarnet(zoo); break;
    case SURGE_ARCH_VGG11: surge_zoo_vgg11(zoo); break;
    case SURGE_ARCH_VGG16: surge_zoo_vgg16(zoo); break;
    case SURGE_ARCH_VGGSNN: surge_zoo_vggsnn(zoo); break;
    case SURGE_ARCH_PLIF_NET: surge_zoo_plif_net(zoo); break;
    case SURGE_ARCH_RESNET19: surge_zoo_resnet19(zoo); break;
    case SURGE_ARCH_RESNET20: surge_zoo_resnet20(zoo); break;
    case SURGE_ARCH_SEW_RESNET18: surge_zoo_sew_resnet18(zoo); break;
    case SURGE_ARCH_SEW_RESNET34: surge_zoo_sew_resnet34(zoo); break;
    case SURGE_ARCH_SEW_RESNET50: surge_zoo_sew_resnet50(zoo); break;
    case SURGE_ARCH_MS_RESNET18: surge_zoo_ms_resnet18(zoo); break;
    case SURGE_ARCH_MS_RESNET34: surge_zoo_ms_resnet34(zoo); break;
    case SURGE_ARCH_LAYERS: from_recipe(zoo); break;
  }
}

surge_status surge_zoo_expand(const surge_recipe *recipe,
                              surge_layer_spec **specs, int32_t *count) {
  surge_zoo zoo = {.recipe = recipe, .at = SURGE_IMAGE};
  add_network(&zoo);
  add_readout(&zoo);
  *specs = zoo.specs;
  *count = zoo.count;
  if (!zoo.failed) return SURGE_OK;
  free(zoo.specs);
  *specs = NULL;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for the layer list");
}
