/* npy.c - see npy.h. */
#include "src/events/npy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the header ----------------------------------------------------------- */

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
static bool parse_type(surge_npy *npy, const char *text) {
  if (*text != '\'' && *text != '"') return false;
  char quote = *text++;
  if (!strchr("<>|=", *text) || !strchr("iufb", text[1])) return false;
  npy->big_endian = text[0] == '>';
  npy->kind = text[1];
  npy->bytes = (size_t)(text[2] - '0');
  bool known = npy->kind == 'b'   ? npy->bytes == 1
               : npy->kind == 'f' ? npy->bytes == 2
                                  : npy->bytes == 1 || npy->bytes == 2;
  if (npy->kind != 'b') known = known || npy->bytes == 4 || npy->bytes == 8;
  return known && text[3] == quote;
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
  if (!type || !parse_type(npy, type))
    return "a type of integers, floats or bool";
  if (!shape || !parse_shape(npy, shape)) return "a shape of one dimension";
  return NULL;
}

/* --- the elements --------------------------------------------------------- */

static uint64_t bits_of(const surge_npy *npy, const uint8_t *element) {
  uint64_t bits = 0;
  for (size_t i = 0; i < npy->bytes; i++)
    bits = bits << 8 | element[npy->big_endian ? i : npy->bytes - 1 - i];
  return bits;
}

/* IEEE 754's binary16. */
static double from_half(uint64_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double value = ldexp(fraction, -24);
  if (exponent > 0) value = ldexp(1024 + fraction, exponent - 25);
  if (exponent == 31) value = HUGE_VAL; /* also what is not a number */
  return bits >> 15 ? -value : value;
}

static double real_of(const surge_npy *npy, uint64_t bits) {
  uint32_t low = (uint32_t)bits;
  float single;
  double value;
  memcpy(&single, &low, sizeof single);
  memcpy(&value, &bits, sizeof value);
  return npy->bytes == 2   ? from_half(bits)
         : npy->bytes == 4 ? (double)single
                           : value;
}

size_t surge_npy_integers(const surge_npy *npy, const uint8_t *elements,
                          size_t count, int64_t *out) {
  unsigned unused = 64 - 8 * (unsigned)npy->bytes;
  for (size_t i = 0; i < count; i++) {
    uint64_t bits = bits_of(npy, elements + i * npy->bytes);
    if (npy->kind == 'f') {
      double value = real_of(npy, bits);
      if (!(fabs(value) < 0x1p63)) return i; /* nor where it is no number */
      out[i] = llrint(value);
    } else if (npy->kind == 'i') {
      out[i] = (int64_t)(bits << unused) >> unused;
    } else {
      if (bits > INT64_MAX) return i;
      out[i] = (int64_t)bits;
    }
  }
  return count;
}
