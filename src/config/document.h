/* document.h - YAML text as a libyaml document, the places in it, and the one
 * form of every complaint: "FILE:LINE:COLUMN: key: wanted ..., found ...". */
#ifndef SURGE_CONFIG_DOCUMENT_H
#define SURGE_CONFIG_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <surge/status.h>
#include <yaml.h>

/* A recipe's file, or the value of one override. */
typedef struct surge_source {
  const char *name;    /* stands where a file name would                  */
  const char *subject; /* named where the YAML itself is at fault         */
  bool is_override;    /* its place is the name alone                     */
  yaml_document_t document; /* zeroed where nothing was loaded */
} surge_source;

/* Where something stands. */
typedef struct surge_place {
  const surge_source *source; /* NULL: nowhere */
  size_t line, column; /* from 1                                        */
  yaml_node_t *value;  /* of a key: what was given to it                */
} surge_place;

#define SURGE_MAX_PLACE 640 /* bytes of "FILE:LINE:COLUMN" */
#define SURGE_MAX_FOUND 64  /* bytes of "found ..."  */

/* Reads a whole file of YAML; `wanted` says what it is in messages ("a recipe").
 * One longer than SURGE_MAX_RECIPE is cut a byte behind that: its reader sees
 * it. The text must be freed in either case. */
surge_status surge_read_text(const char *path, const char *wanted, char **text,
                             size_t *size);

/* The path of a file that a source names, seen from the source's folder; false:
 * too long for path[SURGE_PATH]. */
bool surge_source_beside(const surge_source *source, const char *name,
                         char *path);

/* Parses all of text as one document. */
surge_status surge_source_load(surge_source *source, const char *text,
                               size_t size);
void surge_source_close(surge_source *source);

surge_place surge_place_of(const surge_source *source, const yaml_node_t *node);
void surge_place_print(const surge_place *place, char text[SURGE_MAX_PLACE]);

/* The text of a scalar; NULL of anything else, of a tagged one, and of one
 * that holds a zero byte. */
const char *surge_node_text(const yaml_node_t *node);
bool surge_node_is_plain(const yaml_node_t *node);

/* What a node is, in a few words on one line: 0.5, "a text", a list. */
void surge_node_found(const yaml_node_t *node, char found[SURGE_MAX_FOUND]);

/* SURGE_ERROR_RECIPE: "place: key: wanted ..., found ...". */
surge_status surge_refuse(const surge_place *place, const char *key,
                          const char *wanted, const char *found);

#endif
