/* number.h - numbers as files store them, of any size and either byte order, as
 * int64. */
#ifndef SURGE_EVENTS_NUMBER_H
#define SURGE_EVENTS_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct surge_number {
  char kind;    /* 'i', 'u', 'f': signed, unsigned, IEEE 754 */
  size_t bytes; /* 1, 2, 4 or 8; of floats not 1             */
  bool big_endian;
} surge_number;

/* Is it one of those? */
bool surge_number_known(const surge_number *number);

/* `count` numbers, `stride` bytes apart; floats are multiplied by `scale` and
 * rounded, halves to the even neighbour. Returns `count`, or which of them is
 * the first that no int64 can hold. */
size_t surge_number_load(const surge_number *number, const uint8_t *at,
                         size_t stride, size_t count, double scale,
                         int64_t *out);

#endif
