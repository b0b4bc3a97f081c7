/* model.c - shapes and checks of a layer list (see model.h). */
#include "src/net/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the list is walked with. */
typedef struct walk {
  surge_model *model;
  const surge_recipe *recipe;
  surge_layout (*layout)(int32_t c);
  const surge_layer_spec *specs;
  int32_t *place; /* of each spec: its layer's index; a norm's: NORM_UNREAD */
  int32_t index;  /* the spec that is being added                           */
  uint32_t dropouts;
} walk;

enum { NORM_UNREAD = -1, NORM_READ = -2 };

/* A map as this backend and this precision store it. */
static surge_map map_of(const walk *w, int32_t height, int32_t width,
                        int32_t c) {
  bool bf16 = w->recipe->precision == SURGE_PRECISION_BF16;
  return (surge_map){height, width, c, w->layout(c),
                     bf16 ? SURGE_BF16 : SURGE_F32};
}

/* "name (recipe line 12): " or "name: " for a layer of the zoo. */
#define LAYER_FAIL(spec, ...) layer_fail(__LINE__, (spec), __VA_ARGS__)

static surge_status layer_fail(int line, const surge_layer_spec *spec,
                               const char *wanted, ...)
    __attribute__((format(printf, 3, 4)));
static surge_status layer_fail(int line, const surge_layer_spec *spec,
                               const char *wanted, ...) {
  char text[512], place[64] = "";
  va_list args;
  va_start(args, wanted);
  vsnprintf(text, sizeof text, wanted, args);
  va_end(args);
  if (spec->line > 0)
    snprintf(place, sizeof place, " (line %d, column %d of the recipe)",
             spec->line, spec->column);
  return surge_fail_at(SURGE_ERROR_RECIPE, __FILE__, line,
                       "model: layer %s%s: %s", spec->name, place, text);
}

static surge_status shape_conv(walk *w, surge_layer *layer) {
  const surge_layer_spec *s = &layer->spec;
  surge_map in = layer->in;
  if (s->groups < 1 || in.c % s->groups || s->out % s->groups)
    return LAYER_FAIL(s,
                      "wanted groups that divide %d input and %d output "
                      "channels, found %d",
                      in.c, s->out, s->groups);
  int32_t h = in.h + 2 * s->pad - s->kernel, x = in.w + 2 * s->pad - s->kernel;
  if (h < 0 || x < 0)
    return LAYER_FAIL(s,
                      "wanted an image of at least %d x %d for a kernel of "
                      "%d with padding %d, found %d x %d",
                      s->kernel - 2 * s->pad, s->kernel - 2 * s->pad, s->kernel,
                      s->pad, in.h, in.w);
  layer->out = map_of(w, h / s->stride + 1, x / s->stride + 1, s->out);
  return SURGE_OK;
}

static surge_status shape_linear(walk *w, surge_layer *layer) {
  if (layer->spec.out == 0)
    layer->spec.out = w->model->classes * w->model->vote;
  layer->out = map_of(w, 1, 1, layer->spec.out);
  return SURGE_OK;
}

/* Layer i's source k, or NULL for the image. */
static const surge_layer *source_of(const walk *w, const surge_layer *layer,
                                    int32_t k) {
  int32_t from = layer->source[k].from;
  return from < 0 ? NULL : &w->model->layers[from];
}

/* Values k/levels, k up to `most`, are known to come back from a byte. */
static void set_levels(surge_layer *layer, int32_t levels, int32_t most) {
  if (most > UINT8_MAX) return;
  layer->levels = levels;
  layer->most = most;
}

/* Are k/levels exact floats, so that their sums are? */
static bool exact(int32_t levels) {
  return levels > 0 && (levels & (levels - 1)) == 0;
}

/* The maximum of spikes is a spike; their mean is one of area + 1 fractions. */
static void set_pooled_levels(const walk *w, surge_layer *layer) {
  const surge_layer *from = source_of(w, layer, 0);
  int32_t side = layer->spec.kernel;
  if (!from || from->levels == 0) return;
  if (layer->spec.kind == SURGE_LAYER_MAXPOOL)
    set_levels(layer, from->levels, from->most);
  else if (exact(from->levels) && side <= 16)
    set_levels(layer, from->levels * side * side, from->most * side * side);
}

/* Its norms take the threshold of the recipe's neurons. A norm with a scale for
 * each step moves. The sum of spikes is a small integer. */
static void shape_add(const walk *w, surge_layer *layer) {
  layer->spec.neuron = w->recipe->neuron;
  if (surge_source_tebn(&layer->source[0]) ||
      surge_source_tebn(&layer->source[1]))
    layer->static_out = false;
  if (layer->sources < 2 || layer->source[0].has_norm ||
      layer->source[1].has_norm)
    return;
  const surge_layer *a = source_of(w, layer, 0), *b = source_of(w, layer, 1);
  if (a && b && a->levels == b->levels && exact(a->levels))
    set_levels(layer, a->levels, a->most + b->most);
}

static surge_status shape_pool(const walk *w, surge_layer *layer) {
  surge_layer_spec *s = &layer->spec;
  surge_map in = layer->in;
  if (s->kernel == 0) { /* global */
    if (in.h != in.w)
      return LAYER_FAIL(s,
                        "wanted a square image for global pooling, found "
                        "%d x %d",
                        in.h, in.w);
    s->kernel = s->stride = in.h;
  }
  int32_t h = in.h + 2 * s->pad - s->kernel, x = in.w + 2 * s->pad - s->kernel;
  if (h < 0 || x < 0)
    return LAYER_FAIL(s, "wanted an image of at least %d x %d, found %d x %d",
                      s->kernel - 2 * s->pad, s->kernel - 2 * s->pad, in.h,
                      in.w);
  layer->out = in;
  layer->out.h = h / s->stride + 1;
  layer->out.w = x / s->stride + 1;
  set_pooled_levels(w, layer);
  return SURGE_OK;
}

static surge_status shape_neuron(walk *w, surge_layer *layer) {
  surge_neuron_spec *n = &layer->spec.neuron;
  bool normalised = layer->source[0].has_norm || layer->source[1].has_norm;
  if (n->width_rule == SURGE_WIDTH_NORM && !normalised)
    return LAYER_FAIL(&layer->spec,
                      "wanted a norm before it with width_rule: norm, found "
                      "none");
  if (!layer->spec.pda) n->pda = SURGE_PDA_OFF;
  if (n->pda != SURGE_PDA_OFF) w->model->pda_layers++;
  layer->static_out = false;
  layer->levels = layer->most = 1;
  return SURGE_OK;
}

static bool has_parameters(const surge_layer *layer) {
  const surge_neuron_spec *n = &layer->spec.neuron;
  switch (layer->spec.kind) {
    case SURGE_LAYER_CONV:
    case SURGE_LAYER_LINEAR: return true;
    case SURGE_LAYER_NEURON:
      if (n->decay_learned || n->synapse_learned ||
          n->width_rule == SURGE_WIDTH_LEARNED)
        return true;
      break;
    default: break;
  }
  return layer->source[0].has_norm || layer->source[1].has_norm;
}

/* Map and kind of what a layer makes, from its sources. */
static surge_status shape_layer(walk *w, surge_layer *layer) {
  layer->out = layer->in;
  layer->static_out =
      layer->source[0].is_static && layer->source[layer->sources - 1].is_static;
  switch (layer->spec.kind) {
    case SURGE_LAYER_CONV: return shape_conv(w, layer);
    case SURGE_LAYER_LINEAR: return shape_linear(w, layer);
    case SURGE_LAYER_NEURON: return shape_neuron(w, layer);
    case SURGE_LAYER_AVGPOOL:
    case SURGE_LAYER_MAXPOOL: return shape_pool(w, layer);
    case SURGE_LAYER_DROPOUT: layer->dropout_index = w->dropouts++; break;
    case SURGE_LAYER_ADD: shape_add(w, layer); break;
    case SURGE_LAYER_INTEGRATOR:
    case SURGE_LAYER_NORM: break;
  }
  return SURGE_OK;
}

/* --- what a layer reads --------------------------------------------------- */

static bool adds(const surge_layer_spec *spec) {
  return spec->kind == SURGE_LAYER_NEURON || spec->kind == SURGE_LAYER_ADD;
}

/* The spec above that has a name, or -1 for the image. */
static int32_t find_above(const walk *w, const char *name) {
  int32_t i = w->index - 1;
  while (i >= 0 && strcmp(w->specs[i].name, name) != 0) i--;
  return i;
}

/* A norm stands for what it reads; one neuron or add reads it. */
static surge_status read_norm(walk *w, const surge_layer_spec *reader,
                              int32_t *i, surge_source *source) {
  const surge_layer_spec *norm = &w->specs[*i];
  if (!adds(reader))
    return LAYER_FAIL(norm, "wanted a neuron or add that reads it, found %s",
                      reader->name);
  if (w->place[*i] == NORM_READ)
    return LAYER_FAIL(norm, "wanted one layer that reads it, found %s besides",
                      reader->name);
  w->place[*i] = NORM_READ;
  source->has_norm = true;
  source->norm = *norm;
  *i = find_above(w, norm->from);
  if (*i >= 0 && w->specs[*i].kind == SURGE_LAYER_NORM)
    return LAYER_FAIL(norm, "wanted a layer that is no norm above it, found %s",
                      norm->from);
  return SURGE_OK;
}

/* Adds the layer (or the norm over it) called `name` to what `layer` reads. */
static surge_status add_source(walk *w, surge_layer *layer, const char *name) {
  const surge_layer_spec *spec = &layer->spec;
  surge_source *source = &layer->source[layer->sources++];
  int32_t i = find_above(w, name);
  surge_map map = w->model->input;
  *source =
      (surge_source){.from = SURGE_IMAGE,
                     .is_static = !w->model->poisson && !w->model->input_steps,
                     .binary = w->model->poisson};
  if (i >= 0 && w->specs[i].kind == SURGE_LAYER_NORM)
    SURGE_TRY(read_norm(w, spec, &i, source));
  if (i >= 0) {
    surge_layer *from = &w->model->layers[source->from = w->place[i]];
    source->is_static = from->static_out;
    source->binary = /* in an evaluation, where dropout is nothing */
        surge_layer_spikes(from) ||
        (from->spec.kind == SURGE_LAYER_DROPOUT && from->source[0].binary);
    map = from->out;
    from->readers++;
    layer->trained = layer->trained || from->trained;
  }
  surge_map *in = &layer->in;
  if (layer->sources == 1) {
    *in = map;
  } else if (in->h != map.h || in->w != map.w || in->c != map.c) {
    return LAYER_FAIL(
        spec, "add: wanted a map of %d x %d x %d, found %d x %d x %d of %s",
        in->h, in->w, in->c, map.h, map.w, map.c, name);
  } else if (source->from == layer->source[0].from) {
    return LAYER_FAIL(spec, "add: wanted another layer than it reads, found %s",
                      name);
  }
  return SURGE_OK;
}

static surge_status add_layer(walk *w) {
  const surge_layer_spec *spec = &w->specs[w->index];
  if (spec->kind == SURGE_LAYER_NORM) {
    w->place[w->index] = NORM_UNREAD;
    return SURGE_OK;
  }
  surge_layer *layer = &w->model->layers[w->model->count];
  *layer = (surge_layer){.spec = *spec};
  SURGE_TRY(add_source(w, layer, spec->from));
  if (adds(spec) && strcmp(spec->add, SURGE_NOTHING) != 0)
    SURGE_TRY(add_source(w, layer, spec->add));
  SURGE_TRY(shape_layer(w, layer));
  layer->trained = layer->trained || has_parameters(layer);
  w->place[w->index] = w->model->count++;
  return SURGE_OK;
}

/* Every norm and every layer but the last is read; and where the backward of
 * the reader turns the gradient in place, by it alone. */
static surge_status check_readers(const walk *w, int32_t count) {
  const surge_model *model = w->model;
  for (int32_t i = 0; i < count; i++)
    if (w->specs[i].kind == SURGE_LAYER_NORM && w->place[i] == NORM_UNREAD)
      return LAYER_FAIL(&w->specs[i],
                        "wanted a neuron or add that reads it, "
                        "found none");
  for (int32_t i = 0; i < model->count; i++) {
    const surge_layer *layer = &model->layers[i];
    const surge_source *source = layer->source;
    if (i < model->count - 1 && layer->readers == 0)
      return LAYER_FAIL(&layer->spec,
                        "wanted a layer that reads it, found none");
    bool in_place = layer->spec.kind == SURGE_LAYER_DROPOUT ||
                    layer->spec.kind == SURGE_LAYER_INTEGRATOR;
    for (int32_t k = 0; k < layer->sources; k++)
      if ((in_place || source[k].has_norm) && source[k].from >= 0 &&
          model->layers[source[k].from].readers > 1)
        return LAYER_FAIL(
            source[k].has_norm ? &source[k].norm : &layer->spec,
            "wanted to be the one that reads %s, found %d layers that do",
            model->layers[source[k].from].spec.name,
            model->layers[source[k].from].readers);
  }
  return SURGE_OK;
}

/* "all", or a comma-separated list of names. */
static bool named(const char *names, const char *name) {
  if (!strcmp(names, "all")) return true;
  size_t length = strlen(name);
  for (const char *p = names; (p = strstr(p, name)); p += length) {
    bool begins = p == names || p[-1] == ',';
    if (begins && (p[length] == ',' || p[length] == 0)) return true;
  }
  return false;
}

/* Every name of pda.layers must be that of a spiking layer. */
static surge_status check_pda_layers(const surge_model *model,
                                     const char *names) {
  char copy[SURGE_PATH];
  if (!strcmp(names, "all")) return SURGE_OK;
  snprintf(copy, sizeof copy, "%s", names);
  char *rest = copy;
  for (char *name; (name = strsep(&rest, ","));) {
    bool found = false;
    for (int32_t i = 0; i < model->count; i++)
      found = found || (model->layers[i].spec.kind == SURGE_LAYER_NEURON &&
                        !strcmp(model->layers[i].spec.name, name));
    if (!found)
      return SURGE_FAIL(SURGE_ERROR_RECIPE,
                        "pda.layers: wanted names of "
                        "spiking layers, found %s",
                        name);
  }
  return SURGE_OK;
}

static surge_status check_readout(const surge_model *model) {
  const surge_layer *last = &model->layers[model->count - 1];
  if (last->out.h != 1 || last->out.w != 1 ||
      last->out.c != model->classes * model->vote)
    return LAYER_FAIL(&last->spec,
                      "as the last layer: wanted an output of 1 x 1 x %d "
                      "(classes x vote), found %d x %d x %d",
                      model->classes * model->vote, last->out.h, last->out.w,
                      last->out.c);
  if (last->static_out)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "model: wanted at least one neuron, "
                      "found none");
  return SURGE_OK;
}

static surge_status walk_list(walk *w, surge_layer_spec *specs, int32_t count) {
  if (count == 0)
    return SURGE_FAIL(SURGE_ERROR_RECIPE, "model: wanted layers, found none");
  w->specs = specs;
  w->model->layers = calloc((size_t)count, sizeof *w->model->layers);
  w->place = calloc((size_t)count, sizeof *w->place);
  if (!w->model->layers || !w->place)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for %d layers", count);
  for (; w->index < count; w->index++) {
    surge_layer_spec *spec = &specs[w->index];
    spec->pda = spec->pda && named(w->recipe->pda_layers, spec->name);
    SURGE_TRY(add_layer(w));
  }
  SURGE_TRY(check_pda_layers(w->model, w->recipe->pda_layers));
  SURGE_TRY(check_readers(w, count));
  return check_readout(w->model);
}

/* A cutout must leave something of an image at least where its centre is a
 * corner: half of it, rounded up, below the longer side. */
static surge_status check_cutout(const surge_recipe *recipe,
                                 const surge_dataset_info *data) {
  int32_t side = data->h > data->w ? data->h : data->w, most = 2 * (side - 1);
  if (recipe->data.cutout <= most) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_RECIPE,
                    "data.cutout: wanted at most %d, above which nothing of "
                    "an image of %d x %d is left, found %d",
                    most, data->h, data->w, recipe->data.cutout);
}

/* Counts of events are no rates. */
static surge_status check_coding(const surge_recipe *recipe,
                                 const surge_dataset_info *data) {
  if (recipe->model.coding == SURGE_CODING_DIRECT || data->steps == 0)
    return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_RECIPE,
                    "model.coding: wanted direct for %s, whose samples have a "
                    "frame a step, found poisson",
                    data->name);
}

surge_status surge_model_build(surge_model *model, const surge_recipe *recipe,
                               const surge_dataset_info *data,
                               surge_layout (*layout)(int32_t c)) {
  *model = (surge_model){
      .classes = data->classes,
      .vote = recipe->model.vote,
      .poisson = recipe->model.coding == SURGE_CODING_POISSON,
      .input_steps = data->steps > 0,
  };
  walk w = {.model = model, .recipe = recipe, .layout = layout};
  model->input = map_of(&w, data->h, data->w, data->c);
  surge_layer_spec *specs;
  int32_t count;
  SURGE_TRY(check_cutout(recipe, data));
  SURGE_TRY(check_coding(recipe, data));
  SURGE_TRY(surge_zoo_expand(recipe, &specs, &count));
  surge_status status = walk_list(&w, specs, count);
  free(specs);
  free(w.place);
  return status;
}

void surge_model_free(surge_model *model) {
  free(model->layers);
  *model = (surge_model){0};
}

double surge_layer_macs(const surge_layer *layer) {
  const surge_layer_spec *s = &layer->spec;
  if (s->kind == SURGE_LAYER_LINEAR)
    return (double)surge_layer_in(layer) * s->out;
  if (s->kind == SURGE_LAYER_CONV)
    return (double)surge_layer_out(layer) * s->kernel * s->kernel *
           (layer->in.c / s->groups);
  return 0;
}
