/* recipe.c - the public calls: a file or text, overrides, defaults.
 *
 * The order: defaults; the file; the overrides; what keys demand of one
 * another; the layers, whose defaults are all of the above. */
#include <errno.h>
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

static surge_status unknown_override(const surge_source *source,
                                     const char *name) {
  const surge_place place = {.source = source};
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
  return surge_refuse(&place, name, "a known key", found);
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
  size_t i = 0;
  while (i < SURGE_KEY_COUNT && strcmp(surge_keys[i].path, name) != 0) i++;
  if (i == SURGE_KEY_COUNT) return unknown_override(source, name);

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
 *  Reading
 * ======================================================================== */

static surge_status read_all(surge_draft *draft, surge_source *sources,
                             const char *name, const char *text, size_t size,
                             const char *const *overrides) {
  surge_place given[SURGE_KEY_COUNT] = {{0}};
  const surge_part top = {surge_keys, SURGE_KEY_COUNT, "", draft, given};
  const surge_mapping whole = {&sources[0], "", &top, 1};
  const surge_scope scope = {NULL, draft, given};
  sources[0].name = name;
  sources[0].subject = "YAML";
  SURGE_TRY(surge_source_load(&sources[0], text, size));
  yaml_node_t *root = yaml_document_get_root_node(&sources[0].document);
  if (!root) {
    const surge_place start = {.source = &sources[0], .line = 1, .column = 1};
    return surge_refuse(&start, "recipe", "a mapping of keys", "nothing");
  }
  SURGE_TRY(surge_read_mapping(&whole, root));
  for (size_t i = 0; overrides && overrides[i]; i++) {
    surge_source *source = &sources[1 + i];
    source->name = "--set";
    source->is_override = true;
    SURGE_TRY(apply_override(&top, source, overrides[i]));
  }
  SURGE_TRY(surge_settle_neuron(&scope));
  SURGE_TRY(surge_settle_recipe(&scope));
  return surge_read_layers(&scope);
}

surge_status surge_recipe_parse(surge_recipe *recipe, const char *name,
                                const char *text, size_t size,
                                const char *const *overrides) {
  surge_draft draft;
  size_t count = 1;
  while (overrides && overrides[count - 1]) count++;
  surge_recipe_defaults(recipe);
  if (size > SURGE_MAX_RECIPE)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "%s: wanted a recipe of at most %d bytes, found more",
                      name, SURGE_MAX_RECIPE);
  surge_source *sources = calloc(count, sizeof *sources);
  if (!sources)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory for %zu overrides",
                      name, count - 1);
  surge_numbers numbers = surge_numbers_begin();
  draft_defaults(&draft);
  surge_status status = read_all(&draft, sources, name, text, size, overrides);
  for (size_t i = 0; i < count; i++) surge_source_close(&sources[i]);
  free(sources);
  surge_numbers_end(&numbers);
  if (status == SURGE_OK)
    *recipe = draft.recipe;
  else
    surge_recipe_free(&draft.recipe);
  return status;
}

surge_status surge_recipe_read(surge_recipe *recipe, const char *path,
                               const char *const *overrides) {
  surge_recipe_defaults(recipe);
  FILE *file = fopen(path, "rb");
  if (!file)
    return SURGE_FAIL(SURGE_ERROR_RECIPE, "%s: wanted a recipe, found: %s",
                      path, strerror(errno));
  char *text = malloc(SURGE_MAX_RECIPE + 1); /* one more: too long is seen */
  surge_status status = SURGE_OK;
  if (!text)
    status = SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory to read it", path);
  size_t size = text ? fread(text, 1, SURGE_MAX_RECIPE + 1, file) : 0;
  if (text && ferror(file))
    status = SURGE_FAIL(SURGE_ERROR_RECIPE, "%s: wanted a recipe, found: %s",
                        path, strerror(errno));
  fclose(file);
  if (status == SURGE_OK)
    status = surge_recipe_parse(recipe, path, text, size, overrides);
  free(text);
  return status;
}

const char *surge_recipe_word(const char *key, int32_t value) {
  return surge_word_of(surge_keys[surge_key_index(key)].words, value);
}

const char *surge_layer_word(surge_layer_kind kind) {
  if (kind == SURGE_LAYER_INTEGRATOR) return "integrator";
  return surge_word_of(surge_layer_words, kind);
}
