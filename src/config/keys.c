/* keys.c - the effective recipe, flat (see keys.h). It is read off the text
 * that surge_recipe_write makes: that text is what a run's folder holds, and
 * there a key is a key whatever type its field has. */
#include "src/config/keys.h"

#include <stdlib.h>
#include <string.h>

/* One line: a section, a key, or more of the value of the key before it (the
 * layers of a network, which are indented further). */
static void take_line(surge_keys *keys, FILE *out, char section[SURGE_WORD],
                      char *line) {
  int indent = (int)strspn(line, " ");
  char *key = line + indent, *colon = strstr(key, ":");
  if (*key == 0 || *key == '#') return;
  if (indent > 2 || !colon) {
    fprintf(out, " %s", key);
    return;
  }
  *colon = 0;
  char *value = colon + 1 + strspn(colon + 1, " ");
  if (indent == 0) section[0] = 0;
  if (indent == 0 && *value == 0) {
    snprintf(section, SURGE_WORD, "%s", key);
    return;
  }
  if (keys->count++ > 0) fputc(0, out); /* ends the value before */
  fprintf(out, "%s%s%s%c%s", section, *section ? "." : "", key, 0, value);
}

/* Points the pairs into the text "key 0 value 0 key 0 value 0 ...". */
static surge_status index_pairs(surge_keys *keys) {
  keys->pair = calloc((size_t)keys->count, sizeof *keys->pair);
  if (!keys->pair)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for a recipe");
  const char *p = keys->text;
  for (int32_t i = 0; i < keys->count; i++) {
    keys->pair[i].key = p;
    keys->pair[i].value = p + strlen(p) + 1;
    p = keys->pair[i].value + strlen(keys->pair[i].value) + 1;
  }
  return SURGE_OK;
}

surge_status surge_keys_of(surge_keys *keys, const surge_recipe *recipe) {
  char *text = NULL, section[SURGE_WORD] = "";
  size_t size = 0;
  *keys = (surge_keys){0};
  surge_status status = surge_recipe_text(recipe, &text);
  FILE *out = open_memstream(&keys->text, &size);
  if (!out && status == SURGE_OK)
    status = SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for a recipe");
  char *rest = text;
  for (char *line; status == SURGE_OK && (line = strsep(&rest, "\n"));)
    take_line(keys, out, section, line);
  if (out) fclose(out);
  free(text);
  return status == SURGE_OK ? index_pairs(keys) : status;
}

void surge_keys_free(surge_keys *keys) {
  free(keys->pair);
  free(keys->text);
  *keys = (surge_keys){0};
}

const char *surge_keys_find(const surge_keys *keys, const char *key) {
  for (int32_t i = 0; i < keys->count; i++)
    if (!strcmp(keys->pair[i].key, key)) return keys->pair[i].value;
  return NULL;
}
