/* model.h - a recipe and a data set become a list of layers with shapes.
 *
 * Layers run in order; each reads one or two of those before it and knows its
 * maps. A norm is not a layer of its own: it lives in the neuron (or add) that
 * reads it, whose op applies it. The three residual wirings:
 *
 *     before the neuron (ResNet-19)   neuron {from: norm2, add: norm_short}
 *     after it (SEW-ResNet)           add {from: neuron2, add: neuron0}
 *     membrane shortcut (MS-ResNet)   add {from: norm2, add: add0}            */
#ifndef SURGE_NET_MODEL_H
#define SURGE_NET_MODEL_H

#include <surge/backend.h>
#include <surge/data.h>
#include <surge/recipe.h>

#define SURGE_NORM_EPS 1e-5 /* of every norm, as PyTorch */

#define SURGE_IMAGE (-1) /* a source: the network's (coded) input */

/* What a layer reads. */
typedef struct surge_source {
  int32_t from;   /* index of the layer, or SURGE_IMAGE               */
  bool is_static; /* the same at every step: computed once            */
  bool binary;    /* spikes, 0 or 1                                   */
  bool has_norm;  /* neuron, add: `norm` is applied to it             */
  surge_layer_spec norm;
} surge_source;

typedef struct surge_layer {
  surge_layer_spec spec;
  surge_source source[2];
  int32_t sources;   /* 1, or 2: a neuron or add of two inputs       */
  surge_map in, out; /* in: of each source                           */
  bool static_out;
  int32_t levels,
      most;        /* its values are 0/levels, 1/levels, ... most/levels:  */
                   /* 1 and 1 are spikes; levels 0: any values            */
  bool trained;    /* a parameter stands in it, or before it          */
  int32_t readers; /* layers that read it, twice where one does twice  */
  uint32_t dropout_index; /* dropout: its number                              */
} surge_layer;

typedef struct surge_model {
  surge_layer *layers;
  int32_t count;
  surge_map input;
  int32_t classes, vote;
  bool poisson;
  bool input_steps;   /* the input has its own map at every step */
  int32_t pda_layers; /* spiking layers that take part in PDA             */
} surge_model;

/* Builds the list. SURGE_ERROR_RECIPE where layers do not fit the image or
 * each other: names the layer, its place, what was wanted and found; or where
 * data.cutout leaves nothing of the image. */
surge_status surge_model_build(surge_model *model, const surge_recipe *recipe,
                               const surge_dataset_info *data,
                               surge_layout (*layout)(int32_t c));
void surge_model_free(surge_model *model);

/* The zoo: appends the layer specs of recipe->model.arch; the caller frees
 * *specs. Sizes that do not fit are found later, by surge_model_build. */
surge_status surge_zoo_expand(const surge_recipe *recipe,
                              surge_layer_spec **specs, int32_t *count);

/* Does it make spikes, 0 or 1? */
static inline bool surge_layer_spikes(const surge_layer *layer) {
  return layer->levels == 1 && layer->most == 1;
}

/* Multiply-accumulates of one application of a conv or linear layer, else 0. */
double surge_layer_macs(const surge_layer *layer);

/* Elements of one application's input and output maps. */
static inline size_t surge_layer_in(const surge_layer *layer) {
  return surge_map_elements(&layer->in);
}
static inline size_t surge_layer_out(const surge_layer *layer) {
  return surge_map_elements(&layer->out);
}

/* Does a source's norm hold a learnable scale a step (TEBN)? */
static inline bool surge_source_tebn(const surge_source *source) {
  return source->has_norm && source->norm.norm == SURGE_NORM_TEBN;
}

/* alpha*theta of a source's norm: 1 for plain bn. */
static inline float surge_source_alpha_theta(const surge_layer *layer,
                                             const surge_source *source) {
  return source->norm.norm == SURGE_NORM_BN
             ? 1.0f
             : source->norm.alpha * layer->spec.neuron.v_threshold;
}

/* Width entries P of a spiking layer. */
static inline int32_t surge_layer_widths(const surge_layer *layer) {
  return layer->spec.neuron.granularity == SURGE_PER_CHANNEL ? layer->in.c : 1;
}

/* PDA moment entries P of a spiking layer. */
static inline int32_t surge_layer_pda_count(const surge_layer *layer) {
  return layer->spec.neuron.pda_granularity == SURGE_PER_CHANNEL ? layer->in.c
                                                                 : 1;
}

#endif
