/* read.c - a mapping of a document -> the fields that rows describe. */
#include "src/config/read.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "src/config/value.h"

void surge_full_name(const char *where, const char *name,
                     char full[SURGE_MAX_WHERE]) {
  snprintf(full, SURGE_MAX_WHERE, "%.60s%s%.60s", where, *where ? "." : "",
           name);
}

/* ======================================================================== *
 *  Did you mean
 * ======================================================================== */

/* Levenshtein's distance without regard to case; b is a name of a table. */
static size_t edit_distance(const char *a, const char *b) {
  size_t row[SURGE_WORD], width = strlen(b);
  for (size_t j = 0; j <= width; j++) row[j] = j;
  for (size_t i = 1; *a; a++, i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= width; j++) {
      bool same =
          tolower((unsigned char)*a) == tolower((unsigned char)b[j - 1]);
      size_t best = diagonal + !same;
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[width];
}

/* A third of the letters may differ; longer texts are no names at all. */
surge_nearest surge_nearest_to(const char *unknown) {
  surge_nearest nearest = {.unknown = unknown};
  size_t length = strlen(unknown);
  nearest.distance = length < SURGE_WORD ? length / 3 + 2 : 0;
  if (length < 3 && nearest.distance) nearest.distance = length;
  return nearest;
}

void surge_nearest_try(surge_nearest *nearest, const char *candidate) {
  if (nearest->distance == 0) return;
  size_t distance = edit_distance(nearest->unknown, candidate);
  if (distance >= nearest->distance) return;
  nearest->distance = distance;
  nearest->best = candidate;
}

void surge_nearest_hint(const surge_nearest *nearest,
                        char hint[SURGE_MAX_WHERE]) {
  hint[0] = 0;
  if (nearest->best)
    snprintf(hint, SURGE_MAX_WHERE, "; did you mean %s?", nearest->best);
}

/* Names of the mapping first; then a key of that very name elsewhere. */
static surge_status refuse_key(const surge_mapping *mapping,
                               const surge_place *place,
                               const yaml_node_t *node) {
  char found[SURGE_MAX_FOUND], full[SURGE_MAX_WHERE], hint[SURGE_MAX_WHERE];
  char text[SURGE_MAX_FOUND + SURGE_MAX_WHERE];
  surge_node_found(node, found);
  surge_nearest nearest = surge_nearest_to(surge_node_text(node));
  for (size_t p = 0; p < mapping->part_count; p++) {
    const surge_part *part = &mapping->parts[p];
    for (size_t i = 0; i < part->count; i++)
      if (surge_key_in(&part->keys[i], part->section))
        surge_nearest_try(&nearest, surge_key_name(&part->keys[i]));
  }
  for (size_t i = 0; i < SURGE_KEY_COUNT && !nearest.best; i++)
    if (strcmp(surge_key_name(&surge_keys[i]), nearest.unknown) == 0)
      nearest.best = surge_keys[i].path;
  surge_nearest_hint(&nearest, hint);
  surge_full_name(mapping->where, found, full);
  snprintf(text, sizeof text, "%s%s", found, hint);
  return surge_refuse(place, full, "a known key", text);
}

/* ======================================================================== *
 *  Values
 * ======================================================================== */

static surge_status refuse_value(const surge_mapping *mapping,
                                 const surge_key *key,
                                 const yaml_node_t *node) {
  char full[SURGE_MAX_WHERE], wanted[SURGE_MAX_PHRASE], found[SURGE_MAX_FOUND];
  char hint[SURGE_MAX_WHERE], text[SURGE_MAX_FOUND + SURGE_MAX_WHERE];
  surge_place place = surge_place_of(mapping->source, node);
  const char *word = surge_node_text(node);
  surge_nearest nearest = surge_nearest_to(word ? word : "");
  for (const surge_word *w = key->words; w && w->text; w++)
    surge_nearest_try(&nearest, w->text);
  surge_nearest_hint(&nearest, hint);
  surge_full_name(mapping->where, surge_key_name(key), full);
  surge_value_wanted(key, wanted);
  surge_node_found(node, found);
  snprintf(text, sizeof text, "%s%s", found, hint);
  return surge_refuse(&place, full, wanted, text);
}

static surge_status read_list(const surge_mapping *mapping,
                              const surge_key *key, void *base,
                              yaml_node_t *node) {
  yaml_document_t *document = (yaml_document_t *)&mapping->source->document;
  const yaml_node_item_t *first = node->data.sequence.items.start;
  ptrdiff_t count = node->data.sequence.items.top - first;
  if (key->type != SURGE_KEY_NAMES && count > key->capacity) {
    char full[SURGE_MAX_WHERE], wanted[SURGE_MAX_PHRASE], found[32];
    surge_place place = surge_place_of(mapping->source, node);
    surge_full_name(mapping->where, surge_key_name(key), full);
    surge_value_wanted(key, wanted);
    snprintf(found, sizeof found, "%td", count);
    return surge_refuse(&place, full, wanted, found);
  }
  if (key->type == SURGE_KEY_NAMES && count == 0)
    return refuse_value(mapping, key, node);
  for (ptrdiff_t i = 0; i < count; i++) {
    const yaml_node_t *item = yaml_document_get_node(document, first[i]);
    const char *text = surge_node_text(item);
    if (!text || !surge_value_read(key, base, (int32_t)i, text,
                                   surge_node_is_plain(item)))
      return refuse_value(mapping, key, item);
  }
  surge_value_end_list(key, base, (int32_t)count);
  return SURGE_OK;
}

/* A list is a sequence; the one list that may be a word is NAMES, `all`. */
static surge_status read_value(const surge_mapping *mapping,
                               const surge_key *key, void *base,
                               yaml_node_t *node) {
  const char *text = surge_node_text(node);
  if (surge_value_is_list(key) && node->type == YAML_SEQUENCE_NODE)
    return read_list(mapping, key, base, node);
  bool good =
      text && surge_value_read(key, base, 0, text, surge_node_is_plain(node));
  if (key->type == SURGE_KEY_NAMES) good = good && strcmp(text, "all") == 0;
  if (key->type == SURGE_KEY_INTS || key->type == SURGE_KEY_BOOLS) good = false;
  return good ? SURGE_OK : refuse_value(mapping, key, node);
}

surge_status surge_read_key(const surge_mapping *mapping,
                            const surge_part *part, size_t i,
                            const surge_place *place) {
  const surge_key *key = &part->keys[i];
  part->given[i] = *place;
  if (key->type == SURGE_KEY_LAYERS) return SURGE_OK; /* layers.c, at the end */
  if (key->type != SURGE_KEY_SECTION)
    return read_value(mapping, key, part->base, place->value);
  surge_part inner = *part;
  surge_mapping section = {mapping->source, key->path, &inner, 1};
  inner.section = key->path;
  return surge_read_mapping(&section, place->value);
}

/* ======================================================================== *
 *  Keys
 * ======================================================================== */

static surge_status read_pair(const surge_mapping *mapping,
                              const yaml_node_t *name, yaml_node_t *value) {
  char full[SURGE_MAX_WHERE], before[SURGE_MAX_PLACE + 16];
  surge_place place = surge_place_of(mapping->source, name);
  place.value = value;
  const char *text = surge_node_text(name);
  if (!text) {
    char found[SURGE_MAX_FOUND];
    surge_node_found(name, found);
    return surge_refuse(&place, *mapping->where ? mapping->where : "recipe",
                        "a key", found);
  }
  for (size_t p = 0; p < mapping->part_count; p++) {
    const surge_part *part = &mapping->parts[p];
    for (size_t i = 0; i < part->count; i++) {
      if (!surge_key_in(&part->keys[i], part->section) ||
          strcmp(surge_key_name(&part->keys[i]), text) != 0)
        continue;
      if (part->given[i].source != mapping->source)
        return surge_read_key(mapping, part, i, &place);
      surge_full_name(mapping->where, text, full);
      strcpy(before, "it again, after ");
      surge_place_print(&part->given[i], before + strlen(before));
      return surge_refuse(&place, full, "each key once", before);
    }
  }
  return refuse_key(mapping, &place, name);
}

surge_status surge_read_mapping(const surge_mapping *mapping,
                                yaml_node_t *node) {
  yaml_document_t *document = (yaml_document_t *)&mapping->source->document;
  if (node->type != YAML_MAPPING_NODE) {
    char found[SURGE_MAX_FOUND];
    surge_place place = surge_place_of(mapping->source, node);
    surge_node_found(node, found);
    return surge_refuse(&place, *mapping->where ? mapping->where : "recipe",
                        "a mapping of keys", found);
  }
  for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
       pair < node->data.mapping.pairs.top; pair++)
    SURGE_TRY(read_pair(mapping, yaml_document_get_node(document, pair->key),
                        yaml_document_get_node(document, pair->value)));
  return SURGE_OK;
}
