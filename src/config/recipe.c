/* recipe.c - the public calls: a file or text, overrides, defaults.
 *
 * The order: defaults; the file that the recipe starts from, if any; the recipe;
 * the overrides; what keys demand of one another; the layers, whose defaults
 * are all of the above. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/config/layers.h"
#include "src/config/read.h"
#include "src/config/rules.h"
#include "src/config/value.h"

/* ======================================================================== *
 *  Defaults
 * ======================================================================== */

static void draft_defaults(surge_draft *draft) {
  memset(draft, 0, sizeof *draft);
  for (size_t i = 0; i < SURGE_KEY_COUNT; i++)
    surge_value_reset(&surge_keys[i], draft);
  draft->recipe.neuron.decay = draft->decay;
  draft->recipe.model.norm = (surge_norm_kind)draft->norm;
  draft->recipe.model.norm_on = true;
  surge_network_defaults(&draft->recipe, true, true, false);
}

void surge_recipe_defaults(surge_recipe *recipe) {
  surge_draft draft;
  surge_numbers numbers = surge_numbers_begin();
  draft_defaults(&draft);
  surge_numbers_end(&numbers);
  *recipe = draft.recipe;
}

void surge_recipe_free(surge_recipe *recipe) {
  free(recipe->model.layers);
  recipe->model.layers = NULL;
  recipe->model.layer_count = 0;
}

/* ======================================================================== *
 *  Overrides
 * ======================================================================== */

static surge_status unknown_key(const surge_place *place, const char *name) {
  char hint[SURGE_MAX_WHERE], found[SURGE_MAX_FOUND + SURGE_MAX_WHERE];
  surge_nearest nearest = surge_nearest_to(name);
  for (size_t i = 0; i < SURGE_KEY_COUNT; i++)
    if (strcmp(surge_key_name(&surge_keys[i]), name) == 0)
      nearest.best = surge_keys[i].path;
  bool elsewhere = nearest.best != NULL;
  for (size_t i = 0; i < SURGE_KEY_COUNT && !elsewhere; i++)
    surge_nearest_try(&nearest, surge_keys[i].path);
  surge_nearest_hint(&nearest, hint);
  snprintf(found, sizeof found, "%s%s", name, hint);
  return surge_refuse(place, name, "a known key", found);
}

surge_status surge_find_key(const surge_place *place, const char *path,
                            size_t *index) {
  *index = 0;
  while (*index < SURGE_KEY_COUNT && strcmp(surge_keys[*index].path, path) != 0)
    ++*index;
  if (*index == SURGE_KEY_COUNT) return unknown_key(place, path);
  if (strcmp(path, "base") != 0) return SURGE_OK;
  return surge_refuse(place, path, "it in a recipe's file", "it here");
}

/* Reads "a.b=value"; an override may replace what the file or an earlier one
 * gave. */
static surge_status apply_override(const surge_part *top, surge_source *source,
                                   const char *text) {
  const char *equals = strchr(text, '=');
  const surge_place nowhere = {.source = source};
  char name[SURGE_WORD];
  size_t length = equals ? (size_t)(equals - text) : 0;
  if (length == 0 || length >= sizeof name) {
    snprintf(name, sizeof name, "%.40s", text);
    return surge_refuse(&nowhere, name, "KEY=VALUE", "no known key before a =");
  }
  memcpy(name, text, length);
  name[length] = 0;
  size_t i;
  SURGE_TRY(surge_find_key(&nowhere, name, &i));

  surge_part part = *top;
  surge_mapping mapping = {source, "", &part, 1};
  char section[SURGE_WORD] = "";
  const char *dot = strchr(name, '.');
  if (dot) memcpy(section, name, (size_t)(dot - name));
  section[dot ? dot - name : 0] = 0;
  part.section = mapping.where = section;
  source->subject = surge_keys[i].path;
  SURGE_TRY(surge_source_load(source, equals + 1, strlen(equals + 1)));
  surge_place place = {.source = source,
                       .value = yaml_document_get_root_node(&source->document)};
  if (!place.value) return surge_refuse(&nowhere, name, "a value", "nothing");
  return surge_read_key(&mapping, &part, i, &place);
}

/* ======================================================================== *
 *  Files, and those that they start from
 * ======================================================================== */

/* All that is read from: the recipe and its bases, then the overrides. */
typedef struct reading {
  surge_part top;
  surge_source *sources;
  size_t count;                            /* of sources so far               */
  char names[SURGE_MAX_BASES][SURGE_PATH]; /* of the bases                  */
  int bases;
} reading;

/* The value of the key `base`, or NULL. */
static const yaml_node_t *find_base(surge_source *source, yaml_node_t *root) {
  if (root->type != YAML_MAPPING_NODE) return NULL;
  const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
  for (; pair < root->data.mapping.pairs.top; pair++) {
    const char *key =
        surge_node_text(yaml_document_get_node(&source->document, pair->key));
    if (key && strcmp(key, "base") == 0)
      return yaml_document_get_node(&source->document, pair->value);
  }
  return NULL;
}

static surge_status read_source(reading *r, const char *name, const char *text,
                                size_t size);

/* Reads what a recipe starts from, before the recipe itself. */
static surge_status read_base(reading *r, const surge_source *source,
                              const yaml_node_t *node) {
  const char *base = surge_node_text(node);
  surge_place place = surge_place_of(source, node);
  if (!base || !*base)
    return SURGE_OK; /* refused or empty as its key is read */
  if (r->bases == SURGE_MAX_BASES)
    return surge_refuse(&place, "base",
                        "a recipe that ends in one without base",
                        "a circle, or too long a chain");
  char *path = r->names[r->bases++], *text;
  size_t size = 0;
  if (!surge_source_beside(source, base, path))
    return surge_refuse(&place, "base", "a shorter path", base);
  surge_status status = surge_read_text(path, "a recipe", &text, &size);
  if (status == SURGE_ERROR_RECIPE)
    status = surge_refuse(&place, "base", "a recipe that can be read", path);
  if (status == SURGE_OK) status = read_source(r, path, text, size);
  free(text);
  return status;
}

static surge_status read_source(reading *r, const char *name, const char *text,
                                size_t size) {
  surge_source *source = &r->sources[r->count++];
  source->name = name;
  source->subject = "YAML";
  if (size > SURGE_MAX_RECIPE)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "%s: wanted a recipe of at most %d bytes, found more",
                      name, SURGE_MAX_RECIPE);
  SURGE_TRY(surge_source_load(source, text, size));
  yaml_node_t *root = yaml_document_get_root_node(&source->document);
  if (!root) {
    const surge_place start = {.source = source, .line = 1, .column = 1};
    return surge_refuse(&start, "recipe", "a mapping of keys", "nothing");
  }
  const yaml_node_t *base = find_base(source, root);
  if (base) SURGE_TRY(read_base(r, source, base));
  const surge_mapping whole = {source, "", &r->top, 1};
  return surge_read_mapping(&whole, root);
}

/* ======================================================================== *
 *  Reading
 * ======================================================================== */

/* `places` may be NULL, as may be its entries. */
static surge_status read_all(reading *r, const char *name, const char *text,
                             size_t size, const char *const *overrides,
                             const char *const *places) {
  const surge_scope scope = {NULL, r->top.base, r->top.given};
  SURGE_TRY(read_source(r, name, text, size));
  for (size_t i = 0; overrides && overrides[i]; i++) {
    surge_source *source = &r->sources[r->count++];
    source->name = places && places[i] ? places[i] : "--set";
    source->is_override = true;
    SURGE_TRY(apply_override(&r->top, source, overrides[i]));
  }
  SURGE_TRY(surge_settle_neuron(&scope));
  SURGE_TRY(surge_settle_recipe(&scope));
  return surge_read_layers(&scope);
}

static surge_status parse(surge_recipe *recipe, const char *name,
                          const char *text, size_t size,
                          const char *const *overrides,
                          const char *const *places) {
  surge_draft draft;
  surge_place given[SURGE_KEY_COUNT] = {{0}};
  reading r = {.top = {surge_keys, SURGE_KEY_COUNT, "", &draft, given}};
  size_t count = 0;
  while (overrides && overrides[count]) count++;
  surge_recipe_defaults(recipe);
  r.sources = calloc(1 + SURGE_MAX_BASES + count, sizeof *r.sources);
  if (!r.sources)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory for %zu overrides",
                      name, count);
  surge_numbers numbers = surge_numbers_begin();
  draft_defaults(&draft);
  surge_status status = read_all(&r, name, text, size, overrides, places);
  for (size_t i = 0; i < r.count; i++) surge_source_close(&r.sources[i]);
  free(r.sources);
  surge_numbers_end(&numbers);
  if (status == SURGE_OK)
    *recipe = draft.recipe;
  else
    surge_recipe_free(&draft.recipe);
  return status;
}

surge_status surge_recipe_parse(surge_recipe *recipe, const char *name,
                                const char *text, size_t size,
                                const char *const *overrides) {
  return parse(recipe, name, text, size, overrides, NULL);
}

surge_status surge_recipe_read_from(surge_recipe *recipe, const char *path,
                                    const char *const *overrides,
                                    const char *const *places) {
  char *text;
  size_t size = 0;
  surge_recipe_defaults(recipe);
  surge_status status = surge_read_text(path, "a recipe", &text, &size);
  if (status == SURGE_OK)
    status = parse(recipe, path, text, size, overrides, places);
  free(text);
  return status;
}

surge_status surge_recipe_read(surge_recipe *recipe, const char *path,
                               const char *const *overrides) {
  return surge_recipe_read_from(recipe, path, overrides, NULL);
}

const char *surge_recipe_word(const char *key, int32_t value) {
  return surge_word_of(surge_keys[surge_key_index(key)].words, value);
}

const char *surge_layer_word(surge_layer_kind kind) {
  if (kind == SURGE_LAYER_INTEGRATOR) return "integrator";
  return surge_word_of(surge_layer_words, kind);
}
