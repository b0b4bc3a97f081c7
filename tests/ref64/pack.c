/* pack.c - packing, element by element (see pack.h). */
#include "tests/ref64/pack.h"

#include <math.h>

void ref_pack(uint8_t *packed, const double *x, size_t count, int32_t bits,
              double scale) {
  for (size_t i = 0; i < count; i++) {
    if (bits == 8) {
      packed[i] = (uint8_t)llrint(x[i] * scale);
      continue;
    }
    if (i % 8 == 0) packed[i / 8] = 0;
    if (x[i] != 0) packed[i / 8] |= (uint8_t)(1 << i % 8);
  }
}

void ref_unpack(double *x, const uint8_t *packed, size_t count, int32_t bits,
                double scale) {
  for (size_t i = 0; i < count; i++)
    x[i] = bits == 8 ? packed[i] / scale : packed[i / 8] >> i % 8 & 1;
}
