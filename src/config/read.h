/* read.h - a mapping of a document -> the fields that rows describe. */
#ifndef SURGE_CONFIG_READ_H
#define SURGE_CONFIG_READ_H

#include "src/config/document.h"
#include "src/config/schema.h"

#define SURGE_MAX_WHERE                                                        \
  128 /* bytes of "model.layers[12].neuron.v_threshold" \
       */

/* Rows that may stand in a mapping: those of `section` in a table. */
typedef struct surge_part {
  const surge_key *keys;
  size_t count;
  const char *section;
  void *base; /* the struct that their offsets point into */
  surge_place
      *given; /* [count] where each was given; source NULL: it was not */
} surge_part;

/* A mapping and the parts that its keys may come from. */
typedef struct surge_mapping {
  const surge_source *source;
  const char *where; /* "optim", "model.layers[2].conv"; "" at the top */
  const surge_part *parts;
  size_t part_count;
} surge_mapping;

/* Reads all keys of the node; unknown ones, and ones given twice by the same
 * source, are refused. */
surge_status surge_read_mapping(const surge_mapping *mapping,
                                yaml_node_t *node);

/* Reads row i of a part from place.value, and notes the place. */
surge_status surge_read_key(const surge_mapping *mapping,
                            const surge_part *part, size_t i,
                            const surge_place *place);

/* The row of a key by its path, of those that an override may name (recipe.c). */
surge_status surge_find_key(const surge_place *place, const char *path,
                            size_t *index);

/* surge_recipe_read whose overrides stand somewhere: places[i], where it is not
 * NULL, is named in place of "--set" (recipe.c). */
surge_status surge_recipe_read_from(surge_recipe *recipe, const char *path,
                                    const char *const *overrides,
                                    const char *const *places);

/* "where.name", or the name alone at the top. */
void surge_full_name(const char *where, const char *name,
                     char full[SURGE_MAX_WHERE]);

/* Of several names the one most like `unknown`, if any is. */
typedef struct surge_nearest {
  const char *unknown, *best;
  size_t distance;
} surge_nearest;

surge_nearest surge_nearest_to(const char *unknown);
void surge_nearest_try(surge_nearest *nearest, const char *candidate);

/* "; did you mean lr?", or nothing. */
void surge_nearest_hint(const surge_nearest *nearest,
                        char hint[SURGE_MAX_WHERE]);

#endif
