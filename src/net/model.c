/* model.c - shapes and checks of a layer list (see model.h). */
#include "src/net/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the list is walked with: the map that the next layer sees. */
typedef struct walk {
  surge_model *model;
  const surge_recipe *recipe;
  surge_layout (*layout)(int32_t c);
  surge_map map;
  bool is_static, binary;
  uint32_t dropouts;
  const surge_layer_spec *norm; /* waits for its neuron */
} walk;

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
  w->binary = false;
  return SURGE_OK;
}

static surge_status shape_linear(walk *w, surge_layer *layer) {
  if (layer->spec.out == 0)
    layer->spec.out = w->model->classes * w->model->vote;
  layer->out = map_of(w, 1, 1, layer->spec.out);
  w->binary = false;
  return SURGE_OK;
}

static surge_status shape_pool(walk *w, surge_layer *layer) {
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
  if (s->kernel > in.h || s->kernel > in.w)
    return LAYER_FAIL(s, "wanted an image of at least %d x %d, found %d x %d",
                      s->kernel, s->kernel, in.h, in.w);
  layer->out = in;
  layer->out.h = (in.h - s->kernel) / s->stride + 1;
  layer->out.w = (in.w - s->kernel) / s->stride + 1;
  /* The maximum of spikes is a spike; their mean is not. */
  w->binary = w->binary && s->kind == SURGE_LAYER_MAXPOOL;
  return SURGE_OK;
}

static void shape_neuron(walk *w, surge_layer *layer) {
  surge_neuron_spec *n = &layer->spec.neuron;
  if (w->norm) {
    layer->has_norm = true;
    layer->norm = *w->norm;
    w->norm = NULL;
  }
  if (!layer->spec.pda) n->pda = SURGE_PDA_OFF;
  if (n->pda != SURGE_PDA_OFF) w->model->pda_layers++;
  w->is_static = false;
  w->binary = true;
}

static surge_status shape_layer(walk *w, surge_layer *layer) {
  switch (layer->spec.kind) {
    case SURGE_LAYER_CONV: return shape_conv(w, layer);
    case SURGE_LAYER_LINEAR: return shape_linear(w, layer);
    case SURGE_LAYER_NEURON: shape_neuron(w, layer); break;
    case SURGE_LAYER_AVGPOOL:
    case SURGE_LAYER_MAXPOOL: return shape_pool(w, layer);
    case SURGE_LAYER_DROPOUT: layer->dropout_index = w->dropouts++; break;
    case SURGE_LAYER_INTEGRATOR: w->binary = false; break;
    case SURGE_LAYER_NORM: break;
  }
  layer->out = layer->in;
  return SURGE_OK;
}

static surge_status add_layer(walk *w, const surge_layer_spec *spec) {
  if (w->norm && spec->kind != SURGE_LAYER_NEURON)
    return LAYER_FAIL(w->norm, "wanted a neuron directly behind it, found %s",
                      spec->name);
  if (spec->kind == SURGE_LAYER_NORM) {
    w->norm = spec;
    return SURGE_OK;
  }
  surge_layer *layer = &w->model->layers[w->model->count];
  *layer = (surge_layer){.spec = *spec,
                         .in = w->map,
                         .static_in = w->is_static,
                         .binary_in = w->binary};
  SURGE_TRY(shape_layer(w, layer));
  layer->static_out = w->is_static;
  w->map = layer->out;
  w->model->count++;
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

static surge_status check_readout(const walk *w, const surge_layer_spec *last) {
  const surge_model *model = w->model;
  if (w->norm)
    return LAYER_FAIL(w->norm, "wanted a neuron behind it, found the end");
  if (w->map.h != 1 || w->map.w != 1 ||
      w->map.c != model->classes * model->vote)
    return LAYER_FAIL(last,
                      "as the last layer: wanted an output of 1 x 1 x %d "
                      "(classes x vote), found %d x %d x %d",
                      model->classes * model->vote, w->map.h, w->map.w,
                      w->map.c);
  if (w->is_static && !model->poisson)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "model: wanted at least one neuron, "
                      "found none");
  return SURGE_OK;
}

static surge_status walk_list(walk *w, surge_layer_spec *specs, int32_t count) {
  if (count == 0)
    return SURGE_FAIL(SURGE_ERROR_RECIPE, "model: wanted layers, found none");
  w->model->layers = calloc((size_t)count, sizeof *w->model->layers);
  if (!w->model->layers)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for %d layers", count);
  for (int32_t i = 0; i < count; i++) {
    specs[i].pda = specs[i].pda && named(w->recipe->pda_layers, specs[i].name);
    SURGE_TRY(add_layer(w, &specs[i]));
  }
  SURGE_TRY(check_pda_layers(w->model, w->recipe->pda_layers));
  return check_readout(w, &specs[count - 1]);
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

surge_status surge_model_build(surge_model *model, const surge_recipe *recipe,
                               const surge_dataset_info *data,
                               surge_layout (*layout)(int32_t c)) {
  *model = (surge_model){
      .classes = data->classes,
      .vote = recipe->model.vote,
      .poisson = recipe->model.coding == SURGE_CODING_POISSON,
  };
  walk w = {.model = model,
            .recipe = recipe,
            .layout = layout,
            .is_static = !model->poisson,
            .binary = model->poisson};
  w.map = model->input = map_of(&w, data->h, data->w, data->c);
  surge_layer_spec *specs;
  int32_t count;
  SURGE_TRY(check_cutout(recipe, data));
  SURGE_TRY(surge_zoo_expand(recipe, &specs, &count));
  surge_status status = walk_list(&w, specs, count);
  free(specs);
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
