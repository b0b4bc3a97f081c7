/* npy.h - numpy's .npy: a header with the type and shape of one array, then its
 * elements. */
#ifndef SURGE_EVENTS_NPY_H
#define SURGE_EVENTS_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SURGE_NPY_HEADER_MOST 65536 /* bytes; longer ones are refused */

typedef struct surge_npy {
  char kind;    /* 'i', 'u', 'f' or 'b': signed, unsigned, float, bool */
  size_t bytes; /* of an element: 1, 2, 4 or 8                         */
  bool big_endian;
  uint64_t count; /* of elements, in one dimension */
} surge_npy;

/* The first bytes: how many the header has behind them; 0: this is no .npy of
 * version 1, 2 or 3. */
#define SURGE_NPY_HEAD 12
size_t surge_npy_header_bytes(const uint8_t head[SURGE_NPY_HEAD],
                              size_t *head_bytes);

/* Reads the header's text. NULL, or what was wanted of it. */
const char *surge_npy_parse(surge_npy *npy, const char *text);

/* `count` elements as integers, in place of what is in `out`; those of floats
 * are rounded. Returns `count`, or the first element that fits in no int64. */
size_t surge_npy_integers(const surge_npy *npy, const uint8_t *elements,
                          size_t count, int64_t *out);

#endif
