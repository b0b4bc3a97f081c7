/* fuzz_events.h - libFuzzer's name of a target. */
#ifndef SURGE_FUZZ_EVENTS_H
#define SURGE_FUZZ_EVENTS_H

#include <stddef.h>
#include <stdint.h>

/* Reads `bytes` as a recording; aborts where a reader breaks its word. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif
