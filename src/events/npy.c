/* npy.c - see npy.h. */
#include "src/events/npy.h"

#include <stdlib.h>
#include <string.h>

size_t surge_npy_header_bytes(const uint8_t head[SURGE_NPY_HEAD],
                              size_t *head_bytes) {
  if (memcmp(head, "\x93NUMPY", 6) || head[6] < 1 || head[6] > 3) return 0;
  size_t low = (size_t)head[8] | (size_t)head[9] << 8;
  *head_bytes = head[6] == 1 ? 10 : 12;
  return head[6] == 1 ? low
                      : low | (size_t)head[10] << 16 | (size_t)head[11] << 24;
}

/* What stands behind 'key': in the header's dictionary, or NULL. */
static const char *value_of(const char *text, const char *key) {
  const char *at = strstr(text, key);
  if (!at) return NULL;
  at += strlen(key);
  return at + strspn(at, " ");
}

/* A type like '<i8', '|b1', '>f4', between either kind of quotes. */
static bool parse_type(surge_number *number, const char *text) {
  if (*text != '\'' && *text != '"') return false;
  char quote = *text++;
  if (strspn(text, "<>|=") != 1 || strspn(text + 1, "iufb") != 1) return false;
  number->big_endian = text[0] == '>';
  number->kind = text[1] == 'b' ? 'u' : text[1];
  number->bytes = (size_t)(text[2] - '0');
  return surge_number_known(number) && text[3] == quote &&
         (text[1] != 'b' || number->bytes == 1);
}

/* (count,): one dimension. */
static bool parse_shape(surge_npy *npy, const char *text) {
  char *end;
  if (*text++ != '(' || *text < '0' || *text > '9') return false;
  npy->count = strtoull(text, &end, 10);
  return npy->count < (uint64_t)INT64_MAX && end[0] == ',' &&
         end[1 + strspn(end + 1, " ")] == ')';
}

const char *surge_npy_parse(surge_npy *npy, const char *text) {
  const char *type = value_of(text, "'descr':");
  const char *shape = value_of(text, "'shape':");
  if (!type || !parse_type(&npy->number, type))
    return "a type of integers, floats or bool";
  if (!shape || !parse_shape(npy, shape)) return "a shape of one dimension";
  return NULL;
}
