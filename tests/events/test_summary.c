/* test_summary.c - what is counted of a file's events, in bounded memory. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "src/events/summary.h"
#include "tests/support/recording.h"

/* Of events in an AEDAT 4 file, which states 640 x 480. */
static surge_summary summary_of(const test_event *events, size_t count,
                                surge_map_counts *map) {
  test_bytes file = {0};
  surge_events_file *opened;
  surge_events chunk = {0};
  surge_summary summary;
  test_aedat4_begin(&file, 0, -1, test_aedat4_xml);
  test_aedat4_packet(&file, 0, 0, events, count);
  cr_assert_eq(surge_events_open_memory(&opened, file.at, file.size, "file"),
               SURGE_OK);
  cr_assert_eq(surge_events_reserve(&chunk, 3), SURGE_OK);
  cr_assert_eq(surge_summary_read(&summary, map, opened, &chunk), SURGE_OK);
  surge_events_close(opened);
  surge_events_free(&chunk);
  test_bytes_free(&file);
  return summary;
}

static uint64_t rate_total(const surge_rate *rate) {
  uint64_t total = 0;
  for (int i = 0; i < SURGE_RATE_BINS; i++) total += rate->counts[i];
  return total;
}

Test(summary, counts_and_ranges) {
  static const test_event events[] = {
      {1000, 3, 4, 1},   {999, 639, 479, 0}, {999, 640, 0, 1},
      {2000, 0, 480, 1}, {1500, 0, 0, 0},
  };
  surge_summary s = summary_of(events, 5, NULL);
  cr_expect(s.events == 5 && s.on == 3 && s.outside == 2 && s.back == 2);
  cr_expect(s.first == 999 && s.last == 2000 && s.duration == 1001);
  cr_expect(s.width == 641 && s.height == 481);
  s = summary_of(events, 0, NULL);
  cr_expect(s.events == 0 && s.duration == 0 && s.width == 0);
  int begin, end;
  surge_rate_range(&s.rate, &begin, &end);
  cr_expect_eq(begin, end);
}

/* Bins double as the time grows, in either direction, and lose no event. */
Test(summary, rate) {
  int begin, end;
  enum { COUNT = 1000 };
  test_event events[COUNT];
  for (int i = 0; i < COUNT; i++) /* 0 to 1998 and back to -2000 */
    events[i] = (test_event){i < 500 ? 4 * i : 4 * (499 - i), 0, 0, 1};
  surge_summary s = summary_of(events, COUNT, NULL);
  cr_expect_eq(s.rate.shift, 6); /* 4000 us in at most 64 bins */
  cr_expect_eq(rate_total(&s.rate), COUNT);
  surge_rate_range(&s.rate, &begin, &end);
  cr_expect(end - begin > SURGE_RATE_BINS / 2);
  for (int i = begin; i < end; i++) {
    uint64_t wanted = 0;
    for (int k = 0; k < COUNT; k++)
      wanted += events[k].t >> 6 == s.rate.start + i;
    cr_expect_eq(s.rate.counts[i], wanted, "bin %d", i);
  }
}

Test(summary, times_at_both_ends) {
  static const test_event events[] = {
      {0, 0, 0, 1}, {INT64_MAX, 0, 0, 1}, {INT64_MIN, 0, 0, 1}};
  surge_summary s = summary_of(events, 3, NULL);
  cr_expect_eq(s.rate.shift, 58);
  cr_expect_eq(rate_total(&s.rate), 3);
  cr_expect_eq(s.duration, UINT64_MAX);
}

/* Cells double where the sensor is larger than the map; what is outside the
 * sensor is in none. */
Test(summary, map) {
  surge_map_counts *map = calloc(1, sizeof *map);
  surge_events_file *opened;
  surge_events chunk = {0};
  surge_summary s;
  static const test_event events[] = {
      {0, 0, 0, 1},     {0, 639, 479, 1}, {0, 639, 479, 1},
      {0, 638, 479, 1}, {0, 640, 0, 1},
  };
  static const char xml[] =
      "<dv><node name=\"outInfo\"><node name=\"0\">"
      "<attr key=\"typeIdentifier\">EVTS</attr></node></node></dv>";
  cr_assert(map != NULL);
  s = summary_of(events, 5, map);
  cr_expect_eq(map->shift, 0);
  cr_expect(map->counts[0][0] == 1 && map->counts[479][639] == 2 &&
            map->counts[479][638] == 1);
  test_bytes file = {0};
  test_aedat4_begin(&file, 0, -1, xml); /* no size */
  test_aedat4_packet(&file, 0, 0, events, 5);
  cr_assert_eq(surge_events_open_memory(&opened, file.at, file.size, "file"),
               SURGE_OK);
  cr_assert_eq(surge_events_reserve(&chunk, 3), SURGE_OK);
  cr_assert_eq(surge_summary_read(&s, map, opened, &chunk), SURGE_OK);
  cr_expect(map->shift == 1 && s.outside == 0);
  cr_expect(map->counts[0][0] == 1 && map->counts[239][319] == 3 &&
            map->counts[0][320] == 1 && map->counts[479][639] == 0);
  surge_events_close(opened);
  surge_events_free(&chunk);
  test_bytes_free(&file);
  free(map);
}
