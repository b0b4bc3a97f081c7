/* plain_bf16.h - what maps of bf16 cost, by the plainest program that has them:
 * the measure of a device's. */
#ifndef SURGE_TESTS_PLAIN_BF16_H
#define SURGE_TESTS_PLAIN_BF16_H

#include <surge/backend.h>

/* The CPU's backend in fp32, but whatever an op writes as a map holds values of
 * bf16, and convolutions and products read rounded weights: backend.h's `types`,
 * op by op. Its recipes ask for fp32. */
const surge_backend *test_plain_bf16(void);

#endif
