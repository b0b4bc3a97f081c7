/* pack.h - spikes in bits and sums of them in bytes, plain loops.
 *
 * Written from include/surge/backend.h, not from the kernels. */
#ifndef SURGE_TESTS_REF64_PACK_H
#define SURGE_TESTS_REF64_PACK_H

#include <stddef.h>
#include <stdint.h>

/* packed [surge_pack_bytes(count, bits)] of x [count], and back. */
void ref_pack(uint8_t *packed, const double *x, size_t count, int32_t bits,
              double scale);
void ref_unpack(double *x, const uint8_t *packed, size_t count, int32_t bits,
                double scale);

#endif
