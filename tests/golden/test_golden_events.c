/* test_golden_events.c - frames as SpikingJelly counts them, to the last event;
 * and where SpikingJelly stops, what events.h says. */
#include <stdlib.h>
#include <surge/events.h>

#include "tests/golden/golden.h"

/* --- SpikingJelly's ------------------------------------------------------- */

static surge_events *read_events(const surge_safetensors *file,
                                 const char *name) {
  static surge_events events;
  char key[64];
  snprintf(key, sizeof key, "%s.t", name);
  size_t count = (size_t)surge_safetensors_find(file, key)->shape[0];
  const int64_t *t = golden_data(file, SURGE_I64, name, ".t");
  const int32_t *x = golden_data(file, SURGE_I32, name, ".x");
  const int32_t *y = golden_data(file, SURGE_I32, name, ".y");
  const int32_t *p = golden_data(file, SURGE_I32, name, ".p");
  cr_assert_eq(surge_events_reserve(&events, count), SURGE_OK);
  for (size_t i = 0; i < count; i++) {
    events.t[i] = t[i];
    events.x[i] = (uint16_t)x[i];
    events.y[i] = (uint16_t)y[i];
    events.p[i] = (uint8_t)p[i];
  }
  events.count = count;
  return &events;
}

static surge_framing framing_of(surge_frames_by by, int32_t T, int32_t width,
                                int32_t height) {
  return (surge_framing){.by = by,
                         .T = T,
                         .width = width,
                         .height = height,
                         .w = width,
                         .h = height,
                         .frame_w = width,
                         .frame_h = height,
                         .c = 2};
}

static void compare(const surge_safetensors *file, const char *name,
                    surge_frames_by by, int32_t T) {
  char key[64];
  snprintf(key, sizeof key, ".%s.%d",
           by == SURGE_FRAMES_BY_TIME ? "time" : "number", T);
  const int32_t *size = golden_data(file, SURGE_I32, name, ".size");
  const int32_t *want = golden_data(file, SURGE_I32, name, key);
  surge_framing framing = framing_of(by, T, size[0], size[1]);
  size_t count = (size_t)(T * size[0] * size[1] * 2), wrong = 0;
  int32_t *frames = malloc(count * sizeof *frames);
  cr_assert_eq(
      surge_events_frame(frames, read_events(file, name), &framing, name),
      SURGE_OK, "%s", surge_last_error());
  for (size_t i = 0; i < count; i++) wrong += frames[i] != want[i];
  cr_expect_eq(wrong, 0, "%s%s: %zu of %zu counts are wrong", name, key, wrong,
               count);
  free(frames);
}

Test(golden_events, frames_are_spikingjellys) {
  static const struct {
    const char *name;
    int32_t T[5];
  } cases[] = {{"plain", {10}},
               {"wide", {1, 3, 16}},
               {"boundaries", {1, 3, 7, 10}},
               {"jitter", {1, 4}},
               {"one pixel", {4}}};
  surge_safetensors file = golden_open("events");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (const int32_t *T = cases[i].T; *T; T++) {
      compare(&file, cases[i].name, SURGE_FRAMES_BY_NUMBER, *T);
      compare(&file, cases[i].name, SURGE_FRAMES_BY_TIME, *T);
    }
  surge_safetensors_free(&file);
}

/* N-MNIST's sample 1, of whose frames the golden file has sums. */
Test(golden_events, a_real_recording) {
  enum { T = 10, PIXELS = 34 * 34 * 2 };
  static int32_t frames[T * PIXELS];
  const char *folder = getenv("SURGE_TEST_DATA");
  char command[1200];
  uint8_t bytes[1 << 16];
  if (!folder) cr_skip("SURGE_TEST_DATA names no folder of data sets");
  snprintf(command, sizeof command,
           "tar -xJOf '%s/nmnist-small.tar.xz' nmnist-small/1.bin", folder);
  FILE *pipe = popen(command, "r");
  size_t size = fread(bytes, 1, sizeof bytes, pipe);
  cr_assert_eq(pclose(pipe), 0, "%s", command);
  surge_events events = {0};
  surge_events_file *reader;
  cr_assert_eq(surge_events_reserve(&events, sizeof bytes / 5), SURGE_OK);
  cr_assert_eq(surge_events_open_memory(&reader, bytes, size, "1.bin"),
               SURGE_OK);
  cr_assert_eq(surge_events_next(reader, &events), SURGE_OK);
  surge_events_close(reader);
  surge_safetensors file = golden_open("events");
  for (int by = SURGE_FRAMES_BY_NUMBER; by <= SURGE_FRAMES_BY_TIME; by++) {
    const char *key = by == SURGE_FRAMES_BY_TIME ? "time" : "number";
    const int64_t *want = golden_data(&file, SURGE_I64, "nmnist.", key);
    surge_framing framing = framing_of((surge_frames_by)by, T, 34, 34);
    cr_assert_eq(surge_events_frame(frames, &events, &framing, "1.bin"),
                 SURGE_OK);
    for (int64_t t = 0; t < T; t++) {
      int64_t sums[3] = {0};
      for (int64_t i = 0; i < PIXELS; i++)
        for (int64_t k = 0, power = 1; k < 3; k++, power *= i)
          sums[k] += power * frames[t * PIXELS + i];
      cr_expect(!memcmp(sums, want + 3 * t, sizeof sums), "by %s, frame %d",
                key, (int)t);
    }
  }
  surge_safetensors_free(&file);
  surge_events_free(&events);
}
