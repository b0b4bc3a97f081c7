/* npy.h - numpy's .npy: a header with the type and shape of one array, then its
 * elements. */
#ifndef SURGE_EVENTS_NPY_H
#define SURGE_EVENTS_NPY_H

#include "src/events/number.h"

#define SURGE_NPY_HEADER_MOST 65536 /* bytes; longer ones are refused */

typedef struct surge_npy {
  surge_number number; /* bool is 'u' of 1 byte    */
  uint64_t count;      /* of them, in one dimension */
} surge_npy;

/* The first bytes: how many the header has behind them; 0: this is no .npy of
 * version 1, 2 or 3. */
#define SURGE_NPY_HEAD 12
size_t surge_npy_header_bytes(const uint8_t head[SURGE_NPY_HEAD],
                              size_t *head_bytes);

/* Reads the header's text. NULL, or what was wanted of it. */
const char *surge_npy_parse(surge_npy *npy, const char *text);

#endif
