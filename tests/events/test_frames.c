/* test_frames.c - frames where SpikingJelly gives none: no events, empty
 * intervals, fixed durations, other sizes; and what is refused. (What it does
 * give: tests/golden/test_golden_events.c.) */
#include <criterion/criterion.h>
#include <string.h>
#include <surge/events.h>

enum { MOST = 64 };

/* Events at these times, at (i, i + 1), ON where i is odd. */
static const surge_events *events_at(const int64_t *t, size_t count) {
  static surge_events events;
  cr_assert_eq(surge_events_reserve(&events, MOST), SURGE_OK);
  for (size_t i = 0; i < count; i++) {
    events.t[i] = t[i];
    events.x[i] = (uint16_t)(i % 8);
    events.y[i] = (uint16_t)(i % 8 + 1);
    events.p[i] = i % 2;
  }
  events.count = count;
  return &events;
}

static surge_framing on_one_pixel(surge_frames_by by, int32_t T) {
  return (surge_framing){.by = by,
                         .T = T,
                         .duration_us = 10,
                         .width = 8,
                         .height = 9,
                         .w = 1,
                         .h = 1,
                         .frame_w = 1,
                         .frame_h = 1,
                         .c = 1};
}

/* How many events each frame has. */
static void expect_counts(surge_frames_by by, int32_t T, const int64_t *t,
                          size_t count, const int32_t *want) {
  int32_t frames[MOST];
  surge_framing framing = on_one_pixel(by, T);
  cr_assert_eq(surge_events_frame(frames, events_at(t, count), &framing, "e"),
               SURGE_OK, "%s", surge_last_error());
  for (int32_t j = 0; j < T; j++)
    cr_expect_eq(frames[j], want[j], "by %d, %zu events, frame %d: %d, not %d",
                 (int)by, count, j, frames[j], want[j]);
}

#define EXPECT(by, T, times, ...)                                              \
  expect_counts(SURGE_FRAMES_BY_##by, T, (const int64_t[])times,               \
                sizeof((const int64_t[])times) / sizeof(int64_t),              \
                (const int32_t[]){__VA_ARGS__})
#define AT(...)                                                                \
  { __VA_ARGS__ }

Test(frames, empty_intervals_are_zeros) {
  EXPECT(TIME, 4, AT(100, 101, 130, 139, 140), 2, 0, 0, 3);
  EXPECT(TIME, 4, AT(100, 111, 140), 1, 1, 0, 1); /* all behind the last */
  EXPECT(TIME, 3, AT(7), 0, 0, 1);                /* dt = 0              */
  EXPECT(TIME, 3, AT(7, 7, 8), 0, 0, 3);
  EXPECT(TIME, 2, AT(9, 5, 3), 0, 3);         /* from last to first   */
  EXPECT(NUMBER, 4, AT(1, 2, 3), 0, 0, 0, 3); /* N/T = 0             */
  expect_counts(SURGE_FRAMES_BY_TIME, 2, NULL, 0, (const int32_t[]){0, 0});
  expect_counts(SURGE_FRAMES_BY_NUMBER, 2, NULL, 0, (const int32_t[]){0, 0});
  expect_counts(SURGE_FRAMES_BY_DURATION, 2, NULL, 0, (const int32_t[]){0, 0});
}

Test(frames, by_duration_the_rest_is_left_out) {
  EXPECT(DURATION, 3, AT(5, 14, 15, 24, 34, 35, 99), 2, 2, 1);
  EXPECT(DURATION, 3, AT(5, 6, 27), 2, 0, 1);
  EXPECT(DURATION, 3, AT(5), 1, 0, 0);
  /* out of order: an interval has all between its first and last */
  EXPECT(DURATION, 2, AT(5, 16, 6, 17), 3, 3);
  EXPECT(DURATION, 2, AT(5, 4, 15), 1, 1); /* before the first: nowhere */
}

/* 8 x 9 counts as 4 x 3 at (1, 1) of 5 x 4. */
Test(frames, sums_are_scaled_and_placed) {
  enum { H = 4, W = 5 };
  const int64_t t[8] = {0};
  const surge_framing framing = {.by = SURGE_FRAMES_BY_NUMBER,
                                 .T = 1,
                                 .width = 8,
                                 .height = 9,
                                 .w = 4,
                                 .h = 3,
                                 .left = 1,
                                 .top = 1,
                                 .frame_w = W,
                                 .frame_h = H,
                                 .c = 2};
  int32_t frames[H][W][2], want[H][W][2] = {0};
  memset(frames, -1, sizeof frames);
  cr_assert_eq(
      surge_events_frame(&frames[0][0][0], events_at(t, 8), &framing, "e"),
      SURGE_OK);
  for (int i = 0; i < 8; i++) want[(i + 1) * 3 / 9 + 1][i * 4 / 8 + 1][i % 2]++;
  cr_expect(!memcmp(frames, want, sizeof want));
}

Test(frames, bytes_saturate) {
  const int32_t counts[] = {0, 1, 255, 256, 70000};
  const uint8_t want[] = {0, 1, 255, 255, 255}, any[] = {0, 1, 1, 1, 1};
  uint8_t bytes[5];
  surge_frames_bytes(bytes, counts, 5, 255);
  cr_expect(!memcmp(bytes, want, sizeof want));
  surge_frames_bytes(bytes, counts, 5, 1);
  cr_expect(!memcmp(bytes, any, sizeof any));
}

Test(frames, events_outside_are_refused) {
  const int64_t t[9] = {0};
  int32_t frames[MOST];
  surge_framing framing = on_one_pixel(SURGE_FRAMES_BY_NUMBER, 1);
  framing.height = 8; /* event 7 lies at (7, 8) */
  cr_expect_eq(surge_events_frame(frames, events_at(t, 8), &framing, "a.bin"),
               SURGE_ERROR_DATA);
  cr_expect_str_eq(surge_last_error(),
                   "a.bin: event 7: wanted a place on a sensor of 8 x 8, found "
                   "x 7, y 8; 1 of 8 events lie outside");
  framing.width = 3;
  cr_expect_eq(surge_events_frame(frames, events_at(t, 8), &framing, "a.bin"),
               SURGE_ERROR_DATA);
  cr_expect(strstr(surge_last_error(), "event 3: wanted"));
  cr_expect(strstr(surge_last_error(), "5 of 8 events"));
}

Test(frames, framings_out_of_range_are_refused) {
  int32_t frames[MOST];
  const surge_framing good = on_one_pixel(SURGE_FRAMES_BY_DURATION, 1);
  surge_framing bad[] = {good, good, good, good, good, good, good, good};
  bad[0].T = 0;
  bad[1].c = 3;
  bad[2].width = 65537;
  bad[3].w = 2;
  bad[4].h = 0;
  bad[5].duration_us = 0;
  bad[6].left = 1;
  bad[7].top = -1;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    cr_expect_eq(surge_events_frame(frames, events_at(NULL, 0), &bad[i], "e"),
                 SURGE_ERROR_INTERNAL, "%zu", i);
}
