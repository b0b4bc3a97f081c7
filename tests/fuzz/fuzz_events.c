/* fuzz_events.c - any bytes as a recording: opened, and read to its end or its
 * first fault. Linked with libFuzzer (scripts/fuzz.sh) and with test_fuzz_seeds, which
 * reads every kept input again. */
#include "tests/fuzz/fuzz_events.h"

#include <stdlib.h>
#include <surge/events.h>

enum { FEW = 7, MANY = 4096 };

/* Sums of all events, so that their bytes are looked at; aborts where a chunk has
 * more than there is room for. */
static uint64_t read_in_chunks(const uint8_t *bytes, size_t size,
                               size_t capacity) {
  surge_events_file *file;
  surge_events chunk = {0};
  uint64_t sum = 0;
  if (surge_events_open_memory(&file, bytes, size, "fuzz") != SURGE_OK)
    return 0;
  surge_status status = surge_events_reserve(&chunk, capacity);
  do {
    if (status == SURGE_OK) status = surge_events_next(file, &chunk);
    if (chunk.count > capacity) abort();
    for (size_t i = 0; i < chunk.count; i++)
      sum = 31 * sum + (uint64_t)chunk.t[i] + chunk.x[i] + chunk.y[i] +
            chunk.p[i];
  } while (status == SURGE_OK && chunk.count > 0);
  surge_events_free(&chunk);
  surge_events_close(file);
  return sum;
}

/* Chunks of any size must hold the same events. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (read_in_chunks(bytes, size, FEW) != read_in_chunks(bytes, size, MANY))
    abort();
  return 0;
}
