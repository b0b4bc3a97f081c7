/* test_events.c - recordings: recognised, read in chunks of any size, refused. */
#include <criterion/criterion.h>
#include <string.h>
#include <surge/events.h>

/* The first event of N-MNIST's sample 1, and two more. */
static const uint8_t nmnist[] = {0x12, 0x10, 0x80, 0x03, 0x7d, 0x00, 0x21, 0x00,
                                 0x03, 0x7d, 0x21, 0x00, 0xff, 0xff, 0xff};

Test(events, nmnist_in_chunks) {
  const int64_t t[] = {893, 893, 0x7fffff};
  const uint16_t x[] = {18, 0, 33}, y[] = {16, 33, 0};
  const uint8_t p[] = {1, 0, 1};
  for (size_t capacity = 1; capacity <= 4; capacity++) {
    surge_events_file *file;
    surge_events chunk = {0};
    size_t seen = 0;
    cr_assert_eq(
        surge_events_open_memory(&file, nmnist, sizeof nmnist, "three"),
        SURGE_OK);
    cr_assert_eq(surge_events_reserve(&chunk, capacity), SURGE_OK);
    for (;;) {
      cr_assert_eq(surge_events_next(file, &chunk), SURGE_OK);
      if (chunk.count == 0) break;
      for (size_t i = 0; i < chunk.count; i++, seen++)
        cr_expect(chunk.t[i] == t[seen] && chunk.x[i] == x[seen] &&
                      chunk.y[i] == y[seen] && chunk.p[i] == p[seen],
                  "event %zu, chunks of %zu", seen, capacity);
    }
    cr_expect_eq(seen, 3, "chunks of %zu", capacity);
    surge_events_free(&chunk);
    surge_events_close(file);
  }
}

Test(events, refused) {
  surge_events_file *file;
  cr_expect_eq(surge_events_open_memory(&file, nmnist, 0, "empty"),
               SURGE_ERROR_DATA);
  cr_expect(strstr(surge_last_error(), "empty: wanted events, found 0 bytes"));
  cr_expect_eq(surge_events_open_memory(&file, nmnist, 14, "odd"),
               SURGE_ERROR_DATA);
  cr_expect(strstr(surge_last_error(), "odd: wanted a recording"));
  cr_expect_eq(surge_events_open(&file, "/nowhere"), SURGE_ERROR_DATA);
  cr_expect(strstr(surge_last_error(), "/nowhere: No such file"));
}
