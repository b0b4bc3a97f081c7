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

/* From the start again, whole; then as frames, times of any size. */
static void read_again(const uint8_t *bytes, size_t size) {
  surge_events_file *file;
  surge_events all = {0};
  int32_t frames[3 * 2];
  surge_framing framing = {.T = 3,
                           .duration_us = 1000,
                           .width = 65536,
                           .height = 65536,
                           .w = 1,
                           .h = 1,
                           .frame_w = 1,
                           .frame_h = 1,
                           .c = 2};
  if (surge_events_open_memory(&file, bytes, size, "fuzz") != SURGE_OK) return;
  surge_status status = surge_events_select(file, 0);
  if (status == SURGE_OK) status = surge_events_rest(file, &all);
  for (int by = 0; status == SURGE_OK && by < 3; by++) {
    framing.by = (surge_frames_by)by;
    status = surge_events_frame(frames, &all, &framing, "fuzz");
  }
  surge_events_free(&all);
  surge_events_close(file);
}

/* Chunks of any size must hold the same events. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (read_in_chunks(bytes, size, FEW) != read_in_chunks(bytes, size, MANY))
    abort();
  read_again(bytes, size);
  return 0;
}
