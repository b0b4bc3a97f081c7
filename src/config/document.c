/* document.c - YAML text -> document, and where things stand in it. */
#include "src/config/document.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/config/schema.h"

/* ======================================================================== *
 *  Places and complaints
 * ======================================================================== */

surge_place surge_place_of(const surge_source *source,
                           const yaml_node_t *node) {
  surge_place place = {.source = source,
                       .line = node->start_mark.line + 1,
                       .column = node->start_mark.column + 1};
  return place;
}

void surge_place_print(const surge_place *place, char text[SURGE_MAX_PLACE]) {
  if (!place->source)
    snprintf(text, SURGE_MAX_PLACE, "recipe");
  else if (place->source->is_override)
    snprintf(text, SURGE_MAX_PLACE, "%s", place->source->name);
  else
    snprintf(text, SURGE_MAX_PLACE, "%.580s:%zu:%zu", place->source->name,
             place->line, place->column);
}

surge_status surge_refuse(const surge_place *place, const char *key,
                          const char *wanted, const char *found) {
  char where[SURGE_MAX_PLACE];
  surge_place_print(place, where);
  return SURGE_FAIL(SURGE_ERROR_RECIPE, "%s: %s: wanted %s, found %s", where,
                    key, wanted, found);
}

/* ======================================================================== *
 *  Nodes
 * ======================================================================== */

const char *surge_node_text(const yaml_node_t *node) {
  if (node->type != YAML_SCALAR_NODE ||
      strcmp((const char *)node->tag, YAML_DEFAULT_SCALAR_TAG) != 0)
    return NULL;
  const char *text = (const char *)node->data.scalar.value;
  return strlen(text) == node->data.scalar.length ? text : NULL;
}

bool surge_node_is_plain(const yaml_node_t *node) {
  return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* Cuts at `limit` bytes, never within a UTF-8 character, and shows control
 * characters as ?: a message stays one line. */
static void one_line(char *out, const char *text, size_t limit) {
  size_t length = strlen(text), n = 0;
  bool cut = length > limit;
  if (cut) {
    length = limit - 3;
    while (length && ((unsigned char)text[length] & 0xC0) == 0x80) length--;
  }
  for (; n < length; n++)
    out[n] = iscntrl((unsigned char)text[n]) ? '?' : text[n];
  strcpy(out + n, cut ? "..." : "");
}

void surge_node_found(const yaml_node_t *node, char found[SURGE_MAX_FOUND]) {
  char line[SURGE_MAX_FOUND];
  const char *text = surge_node_text(node);
  if (node->type == YAML_SEQUENCE_NODE)
    snprintf(found, SURGE_MAX_FOUND, "a list");
  else if (node->type == YAML_MAPPING_NODE)
    snprintf(found, SURGE_MAX_FOUND, "a mapping");
  else if (!text)
    snprintf(found, SURGE_MAX_FOUND, "a tagged value or a zero byte");
  else if (!*text && surge_node_is_plain(node))
    snprintf(found, SURGE_MAX_FOUND, "nothing");
  else {
    one_line(line, text, SURGE_MAX_FOUND - 3);
    snprintf(found, SURGE_MAX_FOUND,
             surge_node_is_plain(node) ? "%s" : "\"%s\"", line);
  }
}

/* ======================================================================== *
 *  Files
 * ======================================================================== */

surge_status surge_read_text(const char *path, const char *wanted, char **text,
                             size_t *size) {
  *text = NULL;
  FILE *file = fopen(path, "rb");
  if (!file)
    return SURGE_FAIL(SURGE_ERROR_RECIPE, "%s: wanted %s, found: %s", path,
                      wanted, strerror(errno));
  surge_status status = SURGE_OK;
  *text = malloc(SURGE_MAX_RECIPE + 1); /* one more: too long is seen */
  if (!*text)
    status = SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory to read it", path);
  else
    *size = fread(*text, 1, SURGE_MAX_RECIPE + 1, file);
  if (*text && ferror(file))
    status = SURGE_FAIL(SURGE_ERROR_RECIPE, "%s: wanted %s, found: %s", path,
                        wanted, strerror(errno));
  fclose(file);
  return status;
}

bool surge_source_beside(const surge_source *source, const char *name,
                         char *path) {
  const char *slash = *name == '/' ? NULL : strrchr(source->name, '/');
  int folder = slash ? (int)(slash + 1 - source->name) : 0;
  return snprintf(path, SURGE_PATH, "%.*s%s", folder, source->name, name) <
         SURGE_PATH;
}

/* ======================================================================== *
 *  Loading
 * ======================================================================== */

/* Line and column of a byte, where libyaml's reader gives the byte alone. */
static void locate(surge_place *place, const char *text, size_t offset) {
  place->line = place->column = 1;
  for (size_t i = 0; i < offset; i++) {
    bool newline = text[i] == '\n';
    place->line += newline;
    place->column = newline ? 1 : place->column + 1;
  }
}

static surge_status syntax_error(const surge_source *source,
                                 const yaml_parser_t *parser, const char *text,
                                 size_t size) {
  char found[160];
  surge_place place = {.source = source,
                       .line = parser->problem_mark.line + 1,
                       .column = parser->problem_mark.column + 1};
  if (parser->error == YAML_MEMORY_ERROR)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory for %zu bytes of YAML",
                      source->name, size);
  if (parser->error == YAML_READER_ERROR && parser->problem_offset <= size)
    locate(&place, text, parser->problem_offset);
  snprintf(found, sizeof found, "a fault: %s%s%s",
           parser->problem ? parser->problem : "unknown",
           parser->context ? " " : "", parser->context ? parser->context : "");
  return surge_refuse(&place, source->subject, "valid YAML", found);
}

/* Nothing but the end may follow the document. */
static surge_status expect_end(const surge_source *source,
                               yaml_parser_t *parser, const char *text,
                               size_t size) {
  yaml_document_t second;
  if (!yaml_parser_load(parser, &second))
    return syntax_error(source, parser, text, size);
  const yaml_node_t *root = yaml_document_get_root_node(&second);
  surge_status status = SURGE_OK;
  if (root) {
    surge_place place = surge_place_of(source, root);
    status =
        surge_refuse(&place, source->subject, "one document", "a second one");
  }
  yaml_document_delete(&second);
  return status;
}

surge_status surge_source_load(surge_source *source, const char *text,
                               size_t size) {
  yaml_parser_t parser;
  if (!yaml_parser_initialize(&parser))
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory for a YAML parser",
                      source->name);
  yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
  surge_status status;
  if (yaml_parser_load(&parser, &source->document))
    status = yaml_document_get_root_node(&source->document)
                 ? expect_end(source, &parser, text, size)
                 : SURGE_OK; /* empty: the end has been read already */
  else
    status = syntax_error(source, &parser, text, size);
  yaml_parser_delete(&parser);
  return status;
}

void surge_source_close(surge_source *source) {
  yaml_document_delete(&source->document);
}
