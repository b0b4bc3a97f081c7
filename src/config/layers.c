/* layers.c - model.layers: words and one-key mappings -> layer specs.
 *
 *     layers:
 *       - conv: {out: 32, kernel: 3}
 *       - norm
 *       - neuron: {tau: 2, family: arctan}
 *       - avgpool: 2
 *       - linear: {out: classes}
 *
 * What needs the shapes of maps (groups that divide the channels, windows that
 * fit) is for the network to check. */
#include "src/config/layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/config/read.h"
#include "src/config/value.h"

/* The item being read, and what is known of those before it. */
typedef struct layer_reader {
  surge_draft *draft;
  const surge_source *source;
  int32_t index;
  int32_t running[SURGE_LAYER_ADD + 1]; /* layers of each kind so far */
  bool bias_given[SURGE_MAX_LAYERS];    /* by each item so far       */
  surge_place place;                    /* of the item                     */
  char where[SURGE_MAX_WHERE];          /* "model.layers[2].conv"          */
  const char *word;                     /* "conv"                          */
  surge_place given[SURGE_LAYER_KEY_COUNT]; /* by this item */
} layer_reader;

static size_t layer_key_index(const char *section, const char *name) {
  size_t i = 0;
  while (!surge_key_in(&surge_layer_keys[i], section) ||
         strcmp(surge_key_name(&surge_layer_keys[i]), name) != 0)
    i++;
  return i;
}

static const surge_place *given_place(const layer_reader *reader,
                                      const char *name) {
  return &reader->given[layer_key_index(reader->word, name)];
}

static bool given(const layer_reader *reader, const char *name) {
  return given_place(reader, name)->source != NULL;
}

static surge_status refuse(const layer_reader *reader, const surge_place *place,
                           const char *name, const char *wanted,
                           const char *found) {
  char full[SURGE_MAX_WHERE];
  surge_full_name(reader->where, name, full);
  return surge_refuse(place, full, wanted, found);
}

static surge_layer_spec *spec_of(const layer_reader *reader) {
  return &reader->draft->recipe.model.layers[reader->index];
}

/* ======================================================================== *
 *  The item: its kind and the node with its fields
 * ======================================================================== */

static surge_status refuse_kind(const layer_reader *reader, const char *text,
                                const char *found) {
  char wanted[SURGE_MAX_PHRASE], hint[SURGE_MAX_WHERE];
  char what[SURGE_MAX_FOUND + SURGE_MAX_WHERE];
  static const surge_key kinds = {.type = SURGE_KEY_WORD,
                                  .words = surge_layer_words};
  surge_nearest nearest = surge_nearest_to(text);
  for (const surge_word *w = surge_layer_words; w->text; w++)
    surge_nearest_try(&nearest, w->text);
  surge_nearest_hint(&nearest, hint);
  if (strcmp(text, "flatten") == 0)
    snprintf(hint, sizeof hint, "; linear flattens by itself");
  snprintf(what, sizeof what, "%s%s", found, hint);
  surge_value_wanted(&kinds, wanted);
  return surge_refuse(&reader->place, reader->where, wanted, what);
}

/* `*body` is NULL where the item is a plain word. */
static surge_status read_kind(layer_reader *reader, yaml_node_t *item,
                              yaml_node_t **body) {
  yaml_document_t *document = (yaml_document_t *)&reader->source->document;
  yaml_node_t *name = item;
  char found[SURGE_MAX_FOUND];
  *body = NULL;
  if (item->type == YAML_MAPPING_NODE) {
    const yaml_node_pair_t *pair = item->data.mapping.pairs.start;
    ptrdiff_t count = item->data.mapping.pairs.top - pair;
    snprintf(found, sizeof found, "%td keys", count);
    if (count != 1)
      return surge_refuse(&reader->place, reader->where,
                          "one layer an item: `kind` or `kind: {...}`", found);
    name = yaml_document_get_node(document, pair->key);
    *body = yaml_document_get_node(document, pair->value);
  }
  const char *text = surge_node_text(name);
  surge_node_found(name, found);
  for (const surge_word *w = surge_layer_words; text && w->text; w++)
    if (strcmp(w->text, text) == 0) {
      spec_of(reader)->kind = (surge_layer_kind)w->value;
      reader->word = w->text;
      return SURGE_OK;
    }
  return refuse_kind(reader, text ? text : "", found);
}

/* ======================================================================== *
 *  Its fields
 * ======================================================================== */

/* `avgpool: 2`, `dropout: 0.5` and `add: conv1` give one field without naming
 * it. */
static const char *short_field(surge_layer_kind kind) {
  if (kind == SURGE_LAYER_AVGPOOL || kind == SURGE_LAYER_MAXPOOL)
    return "kernel";
  if (kind == SURGE_LAYER_ADD) return "add";
  return kind == SURGE_LAYER_DROPOUT ? "p" : NULL;
}

/* A neuron's keys are read into a draft that starts from the recipe's own. */
static surge_status read_fields(layer_reader *reader, yaml_node_t *body,
                                surge_draft *neuron,
                                surge_place *neuron_given) {
  surge_layer_spec *spec = spec_of(reader);
  const surge_part parts[] = {
      {surge_layer_keys, SURGE_LAYER_KEY_COUNT, reader->word, spec,
       reader->given},
      {surge_layer_keys, SURGE_LAYER_KEY_COUNT, "", spec, reader->given},
      {surge_keys, SURGE_KEY_COUNT, "neuron", neuron, neuron_given},
      {surge_keys, SURGE_KEY_COUNT, "surrogate", neuron, neuron_given}};
  const surge_mapping mapping = {reader->source, reader->where, parts,
                                 spec->kind == SURGE_LAYER_NEURON ? 4 : 2};
  const char *field = short_field(spec->kind);
  if (!body) return SURGE_OK;
  if (!field || body->type == YAML_MAPPING_NODE)
    return surge_read_mapping(&mapping, body);
  surge_place place = surge_place_of(reader->source, body);
  place.value = body;
  return surge_read_key(&mapping, parts, layer_key_index(reader->word, field),
                        &place);
}

static bool is_named(const char *names, const char *name) {
  size_t length = strlen(name);
  for (const char *at = names; at; at = strchr(at, ',')) {
    at += *at == ',';
    if (strncmp(at, name, length) == 0 && (at[length] == ',' || !at[length]))
      return true;
  }
  return false;
}

static surge_status settle_neuron(layer_reader *reader,
                                  const surge_scope *scope) {
  surge_layer_spec *spec = spec_of(reader);
  const surge_recipe *recipe = &reader->draft->recipe;
  bool all = strcmp(recipe->pda_layers, "all") == 0;
  bool named = all || is_named(recipe->pda_layers, spec->name);
  SURGE_TRY(surge_settle_neuron(scope));
  spec->neuron = scope->draft->recipe.neuron;
  if (!given(reader, "pda"))
    spec->pda = named;
  else if (!all && spec->pda != named)
    return refuse(reader, given_place(reader, "pda"), "pda",
                  named ? "true, as pda.layers names it"
                        : "false, as pda.layers does not name it",
                  spec->pda ? "true" : "false");
  if (!spec->pda) spec->neuron.pda = SURGE_PDA_OFF;
  return SURGE_OK;
}

/* ======================================================================== *
 *  Defaults that other keys give
 * ======================================================================== */

static surge_status require_out(const layer_reader *reader) {
  char wanted[SURGE_MAX_PHRASE];
  if (given(reader, "out")) return SURGE_OK;
  surge_value_wanted(&surge_layer_keys[layer_key_index(reader->word, "out")],
                     wanted);
  return refuse(reader, &reader->place, "out", wanted, "nothing");
}

static surge_status check_groups(layer_reader *reader) {
  const surge_layer_spec *spec = spec_of(reader);
  char wanted[48], found[16];
  if (spec->out % spec->groups == 0) return SURGE_OK;
  snprintf(wanted, sizeof wanted, "a divisor of out, %d", (int)spec->out);
  snprintf(found, sizeof found, "%d", (int)spec->groups);
  return refuse(reader, given_place(reader, "groups"), "groups", wanted, found);
}

/* Every window of a pool holds a pixel; a global one holds nothing else. */
static surge_status check_pad(layer_reader *reader) {
  const surge_layer_spec *spec = spec_of(reader);
  char wanted[48], found[16];
  if (spec->pad <= spec->kernel / 2) return SURGE_OK;
  snprintf(wanted, sizeof wanted, "at most %d, half the kernel",
           (int)spec->kernel / 2);
  snprintf(found, sizeof found, "%d", (int)spec->pad);
  return refuse(reader, given_place(reader, "pad"), "pad", wanted, found);
}

static surge_status settle_fields(layer_reader *reader,
                                  const surge_scope *neuron) {
  surge_layer_spec *spec = spec_of(reader);
  const struct surge_model_recipe *model = &reader->draft->recipe.model;
  switch (spec->kind) {
    case SURGE_LAYER_CONV:
      SURGE_TRY(require_out(reader));
      if (!given(reader, "pad")) spec->pad = spec->kernel / 2;
      return check_groups(reader);
    case SURGE_LAYER_LINEAR: return require_out(reader);
    case SURGE_LAYER_NORM:
      if (!given(reader, "kind")) spec->norm = model->norm;
      if (!given(reader, "alpha")) spec->alpha = model->norm_alpha;
      break;
    case SURGE_LAYER_AVGPOOL:
    case SURGE_LAYER_MAXPOOL: /* a global window has no second place to go */
      if (!given(reader, "stride"))
        spec->stride = spec->kernel ? spec->kernel : 1;
      return check_pad(reader);
    case SURGE_LAYER_NEURON: return settle_neuron(reader, neuron);
    case SURGE_LAYER_DROPOUT:
    case SURGE_LAYER_ADD:
    case SURGE_LAYER_INTEGRATOR: /* no recipe names it */ break;
  }
  return SURGE_OK;
}

/* The index of the layer above that has a name, or -1. */
static int32_t find_above(const layer_reader *reader, const char *name) {
  const surge_layer_spec *layers = reader->draft->recipe.model.layers;
  for (int32_t i = 0; i < reader->index; i++)
    if (strcmp(layers[i].name, name) == 0) return i;
  return -1;
}

/* A convolution or linear layer that a norm reads needs no bias. */
static void settle_bias(layer_reader *reader) {
  surge_layer_spec *spec = spec_of(reader);
  if (spec->kind == SURGE_LAYER_CONV || spec->kind == SURGE_LAYER_LINEAR) {
    reader->bias_given[reader->index] = given(reader, "bias");
    if (!given(reader, "bias")) spec->bias = true;
  } else if (spec->kind == SURGE_LAYER_NORM) {
    int32_t source = find_above(reader, spec->from);
    if (source >= 0 && !reader->bias_given[source])
      reader->draft->recipe.model.layers[source].bias = false;
  }
}

/* Both names are of layers above, or say that there is none. */
static surge_status settle_sources(layer_reader *reader) {
  surge_layer_spec *spec = spec_of(reader);
  const surge_place *from = &reader->given[layer_key_index("", "from")];
  if (!from->source)
    snprintf(spec->from, sizeof spec->from, "%s",
             reader->index > 0 ? spec[-1].name : SURGE_FROM_IMAGE);
  else if (strcmp(spec->from, SURGE_FROM_IMAGE) != 0 &&
           find_above(reader, spec->from) < 0)
    return refuse(reader, from, "from", "a layer above it, or image",
                  spec->from);
  bool adds = spec->kind == SURGE_LAYER_NEURON || spec->kind == SURGE_LAYER_ADD;
  if (!adds)
    strcpy(spec->add, SURGE_NOTHING);
  else if (strcmp(spec->add, SURGE_NOTHING) != 0 &&
           find_above(reader, spec->add) < 0)
    return refuse(reader, given_place(reader, "add"), "add",
                  "a layer above it, or none", spec->add);
  return SURGE_OK;
}

static surge_status settle_name(layer_reader *reader) {
  surge_layer_spec *spec = spec_of(reader);
  int32_t number = ++reader->running[spec->kind];
  const surge_place *place = &reader->given[layer_key_index("", "name")];
  char found[SURGE_WORD + 48];
  if (!place->source) {
    place = &reader->place;
    snprintf(spec->name, sizeof spec->name, "%s%d", reader->word, number);
  }
  int32_t other = find_above(reader, spec->name);
  bool reserved = strcmp(spec->name, SURGE_FROM_IMAGE) == 0 ||
                  strcmp(spec->name, SURGE_NOTHING) == 0;
  if (other < 0 && !reserved) return SURGE_OK;
  if (reserved)
    snprintf(found, sizeof found, "%s, which has a meaning", spec->name);
  else
    snprintf(found, sizeof found, "%s, as model.layers[%d] has it", spec->name,
             other);
  return refuse(reader, place, "name", "a name of its own", found);
}

/* ======================================================================== *
 *  The list
 * ======================================================================== */

static surge_status read_layer(layer_reader *reader, yaml_node_t *item) {
  surge_draft neuron = *reader->draft;
  surge_place neuron_given[SURGE_KEY_COUNT] = {{0}};
  const surge_scope scope = {reader->where, &neuron, neuron_given};
  surge_layer_spec *spec = spec_of(reader);
  yaml_node_t *body;
  memset(reader->given, 0, sizeof reader->given);
  reader->place = surge_place_of(reader->source, item);
  if (!reader->source->is_override) {
    spec->line = (int32_t)reader->place.line;
    spec->column = (int32_t)reader->place.column;
  }
  snprintf(reader->where, sizeof reader->where, "model.layers[%d]",
           reader->index);
  SURGE_TRY(read_kind(reader, item, &body));
  snprintf(reader->where, sizeof reader->where, "model.layers[%d].%s",
           reader->index, reader->word);
  for (size_t i = 0; i < SURGE_LAYER_KEY_COUNT; i++)
    if (surge_key_in(&surge_layer_keys[i], reader->word))
      surge_value_reset(&surge_layer_keys[i], spec);
  SURGE_TRY(read_fields(reader, body, &neuron, neuron_given));
  SURGE_TRY(settle_name(reader));
  SURGE_TRY(settle_sources(reader));
  settle_bias(reader);
  return settle_fields(reader, &scope);
}

/* Every name in pda.layers is that of a neuron layer. */
static surge_status check_pda_layers(const surge_scope *scope) {
  const surge_recipe *recipe = &scope->draft->recipe;
  char names[SURGE_PATH], *rest = names, found[SURGE_PATH];
  if (strcmp(recipe->pda_layers, "all") == 0) return SURGE_OK;
  strcpy(names, recipe->pda_layers);
  for (char *name; (name = strtok_r(rest, ",", &rest));) {
    bool found_it = false;
    for (int32_t i = 0; i < recipe->model.layer_count; i++) {
      const surge_layer_spec *spec = &recipe->model.layers[i];
      found_it = found_it || (spec->kind == SURGE_LAYER_NEURON &&
                              strcmp(spec->name, name) == 0);
    }
    snprintf(found, sizeof found, "%s", name);
    SURGE_TRY(surge_rule(scope, !found_it, "pda.layers", "model.layers",
                         "names of neuron layers", found));
  }
  return SURGE_OK;
}

/* `out: classes` is for the last linear layer alone. */
static surge_status check_classes(const surge_scope *scope,
                                  const surge_source *source) {
  const struct surge_model_recipe *model = &scope->draft->recipe.model;
  bool last = true;
  for (int32_t i = model->layer_count - 1; i >= 0; i--) {
    const surge_layer_spec *spec = &model->layers[i];
    char full[SURGE_MAX_WHERE];
    surge_place place = {.source = source,
                         .line = (size_t)spec->line,
                         .column = (size_t)spec->column};
    if (spec->kind != SURGE_LAYER_LINEAR) continue;
    snprintf(full, sizeof full, "model.layers[%d].linear.out", i);
    if (spec->out == 0 && !last)
      return surge_refuse(&place, full, "a number before the last linear layer",
                          "classes");
    last = false;
  }
  return SURGE_OK;
}

surge_status surge_read_layers(const surge_scope *scope) {
  surge_draft *draft = scope->draft;
  struct surge_model_recipe *model = &draft->recipe.model;
  const surge_place *key = &scope->given[surge_key_index("model.layers")];
  layer_reader reader = {.draft = draft, .source = key->source};
  ptrdiff_t count = 0;
  if (key->source) {
    char wanted[SURGE_MAX_PHRASE], found[SURGE_MAX_FOUND];
    bool list = key->value->type == YAML_SEQUENCE_NODE;
    surge_place place = surge_place_of(key->source, key->value);
    if (list)
      count = key->value->data.sequence.items.top -
              key->value->data.sequence.items.start;
    surge_value_wanted(&surge_keys[surge_key_index("model.layers")], wanted);
    surge_node_found(key->value, found);
    if (list) snprintf(found, sizeof found, "%td", count);
    if (!list || count > SURGE_MAX_LAYERS)
      return surge_refuse(&place, "model.layers", wanted, found);
  }
  /* A list of layers says that the architecture is the list. */
  if (count > 0 && !scope->given[surge_key_index("model.arch")].source)
    model->arch = SURGE_ARCH_LAYERS;
  bool wanted = model->arch == SURGE_ARCH_LAYERS;
  SURGE_TRY(surge_rule(scope, wanted != (count > 0), "model.layers",
                       "model.arch",
                       wanted ? "at least one layer with arch: layers"
                              : "arch: layers with a list of layers",
                       wanted ? "none" : "another arch"));
  if (count == 0) return SURGE_OK;
  model->layers = calloc((size_t)count, sizeof *model->layers);
  if (!model->layers)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for %td layers", count);
  for (; reader.index < count; reader.index++) {
    yaml_document_t *document = (yaml_document_t *)&key->source->document;
    const yaml_node_item_t *items = key->value->data.sequence.items.start;
    model->layer_count = reader.index + 1;
    SURGE_TRY(read_layer(
        &reader, yaml_document_get_node(document, items[reader.index])));
  }
  SURGE_TRY(check_pda_layers(scope));
  return check_classes(scope, key->source);
}
