/* test_aedat4.c - AEDAT 4: compressions, streams, and packets that lie. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/folder.h"
#include "tests/support/recording.h"

static const test_event events[] = {
    {-5, 0, 0, 1}, {3, 639, 479, 0}, {3, 7, 9, 1}, {INT64_MAX, 1, 2, 1}};

/* What scripts/make_event_seeds.py writes. */
static const test_event seed[] = {{100, 1, 2, 1},
                                  {200, 639, 479, 0},
                                  {200, 0, 0, 1},
                                  {350, 320, 240, 1},
                                  {1000000, 5, 7, 0}};

#define SEEDS SURGE_SOURCE_DIR "/tests/fuzz/seeds/aedat4/"

Test(aedat4, of_dv_processing) {
  static const char *const names[] = {"none", "lz4", "zstd"};
  for (int i = 0; i < 3; i++) {
    char path[TEST_PATH];
    size_t size;
    snprintf(path, sizeof path, SEEDS "%s.aedat4", names[i]);
    uint8_t *bytes = test_read_file(path, &size);
    test_expect_events(bytes, size, names[i], seed, 5);
    free(bytes);
  }
}

/* As the PyPI packages aedat 2.3.0 and dv-processing 2.0.4 read them, which
 * agree. */
Test(aedat4, real_dvxplorer) {
  test_expect_sums("formats/dvxplorer640x480_lz4high.aedat4",
                   &(test_sums){255283,
                                {1631717221674515, 185, 168, 0},
                                {1631717224374502, 183, 278, 1},
                                84147856,
                                62689836,
                                150816});
}

Test(aedat4, real_synthetic) {
  test_expect_sums(
      "formats/synthetic640x480_lz4.aedat4",
      &(test_sums){
          9408, {1, 64, 48, 1}, {1, 256, 191, 1}, 2709480, 2032104, 9408});
}

static test_bytes whole(int compression, int64_t table) {
  test_bytes file = {0};
  test_aedat4_begin(&file, compression, table, test_aedat4_xml);
  test_aedat4_packet(&file, compression, 0, events, 2);
  test_aedat4_put(&file, compression, 9, "another stream", 14);
  test_aedat4_packet(&file, compression, 0, events, 0);
  test_aedat4_packet(&file, compression, 0, events + 2, 2);
  return file;
}

Test(aedat4, compressions_and_other_streams) {
  static const int compressions[] = {0, 1, 3};
  for (int i = 0; i < 3; i++) {
    test_bytes file = whole(compressions[i], -1);
    test_expect_events(file.at, file.size, "whole", events, 4);
    surge_events_file *opened;
    cr_assert_eq(surge_events_open_memory(&opened, file.at, file.size, "whole"),
                 SURGE_OK);
    const surge_events_info *info = surge_events_file_info(opened);
    cr_expect_str_eq(info->format, "aedat4");
    cr_expect(info->width == 640 && info->height == 480);
    cr_expect(info->streams == 1 && info->recordings == 1);
    surge_events_close(opened);
    test_bytes_free(&file);
  }
}

/* What follows the packets is an index. */
Test(aedat4, ends_at_the_data_table) {
  test_bytes file = whole(1, -1);
  size_t end = file.size;
  test_bytes_free(&file);
  file = whole(1, (int64_t)end);
  cr_assert_eq(file.size, end);
  test_put(&file, "\xff\xff\xff\xff an index", 13);
  test_expect_events(file.at, file.size, "table", events, 4);
  test_bytes_free(&file);
}

/* A file of many rows is larger than one piece of it. */
Test(aedat4, large_packets) {
  enum { COUNT = 60000 };
  test_event *many = malloc(COUNT * sizeof *many);
  cr_assert(many != NULL);
  for (int i = 0; i < COUNT; i++)
    many[i] = (test_event){i * 7, i * 31 % 640, i * 17 % 480, i % 3 == 0};
  for (int compression = 0; compression <= 1; compression++) {
    test_bytes file = {0};
    test_aedat4_begin(&file, compression, -1, test_aedat4_xml);
    test_aedat4_packet(&file, compression, 0, many, COUNT);
    test_aedat4_packet(&file, compression, 0, many, 10);
    surge_events read = {0};
    surge_events_file *opened;
    cr_assert_eq(surge_events_open_memory(&opened, file.at, file.size, "many"),
                 SURGE_OK);
    cr_assert_eq(surge_events_rest(opened, &read), SURGE_OK);
    cr_assert_eq(read.count, COUNT + 10);
    for (int i = 0; i < COUNT + 10; i++) {
      const test_event *e = &many[i % COUNT];
      cr_assert(read.t[i] == e->t && read.x[i] == e->x && read.y[i] == e->y &&
                    read.p[i] == e->p,
                "event %d", i);
    }
    surge_events_close(opened);
    surge_events_free(&read);
    test_bytes_free(&file);
  }
  free(many);
}

Test(aedat4, no_and_one_event) {
  test_bytes file = {0};
  test_aedat4_begin(&file, 1, -1, test_aedat4_xml);
  test_expect_events(file.at, file.size, "none", events, 0);
  test_aedat4_packet(&file, 1, 0, events + 1, 1);
  test_expect_events(file.at, file.size, "one", events + 1, 1);
  test_bytes_free(&file);
}

/* Of two streams of events the first is read, and the file says that there are
 * two; a node that is empty hides none. */
Test(aedat4, two_streams_of_events) {
  static const char xml[] =
      "<dv><node name=\"outInfo\"><node name=\"9\"/><node name=\"4\">"
      "<attr key=\"typeIdentifier\">FRME</attr></node><node name=\"5\">"
      "<attr key=\"typeIdentifier\">EVTS</attr><node name=\"info\">"
      "<attr key=\"sizeX\">34</attr><attr key=\"sizeY\">35</attr></node></node>"
      "<node name=\"6\"><attr key=\"typeIdentifier\">EVTS</attr></node></node>";
  test_bytes file = {0};
  surge_events_file *opened;
  test_aedat4_begin(&file, 0, -1, xml);
  test_aedat4_packet(&file, 0, 6, events, 1);
  test_aedat4_packet(&file, 0, 5, events + 1, 1);
  test_expect_events(file.at, file.size, "two", events + 1, 1);
  cr_assert_eq(surge_events_open_memory(&opened, file.at, file.size, "two"),
               SURGE_OK);
  const surge_events_info *info = surge_events_file_info(opened);
  cr_expect(info->streams == 2 && info->width == 34 && info->height == 35);
  surge_events_close(opened);
  test_bytes_free(&file);
}

/* A file may be opened at its start again, and any number of times. */
Test(aedat4, selected_again) {
  test_bytes file = whole(1, -1);
  surge_events_file *opened;
  surge_events read = {0};
  int32_t label = 7;
  cr_assert_eq(surge_events_open_memory(&opened, file.at, file.size, "again"),
               SURGE_OK);
  for (int i = 0; i < 3; i++) {
    cr_assert_eq(surge_events_rest(opened, &read), SURGE_OK);
    cr_expect(read.count == 4 && read.t[0] == -5);
    cr_assert_eq(surge_events_select(opened, 0), SURGE_OK);
  }
  cr_expect_eq(surge_events_select(opened, 1), SURGE_ERROR_DATA);
  cr_expect(strstr(surge_last_error(),
                   "again: wanted recording 1, found 1 recordings"));
  cr_expect_eq(surge_events_label(opened, 0, &label), SURGE_OK);
  cr_expect_eq(label, -1);
  surge_events_close(opened);
  surge_events_free(&read);
  test_bytes_free(&file);
}

/* --- what is refused ------------------------------------------------------ */

static void expect_fault(const test_bytes *file, const char *name, size_t good,
                         const char *text) {
  test_expect_fault(file->at, file->size, name, good, ": byte ", text);
}

Test(aedat4, wrong_header) {
  test_bytes file = {0};
  test_aedat4_begin(&file, 5, -1, test_aedat4_xml);
  expect_fault(&file, "five", 0, "wanted compression 0 to 4, found 5");
  test_bytes_free(&file);
  test_aedat4_begin(&file, 1, 3, test_aedat4_xml);
  expect_fault(&file, "table", 0, "found one at 3");
  test_bytes_free(&file);
  test_aedat4_begin(&file, 1, -1, "<dv></dv>");
  expect_fault(&file, "xml", 0, "wanted a stream of events (EVTS)");
  test_bytes_free(&file);
  test_aedat4_begin(&file, 1, -1, test_aedat4_xml);
  memcpy(file.at + 22, "IOHF", 4);
  expect_fault(&file, "name", 0, "wanted a header IOHE");
  memcpy(file.at + 22, "IOHE", 4);
  memset(file.at + 14 + 4 + 36, 0xff, 4); /* the string's offset */
  expect_fault(&file, "string", 0, "wanted a list of streams");
  file.at[14 + 4 + 16] = 0; /* the string is left out */
  expect_fault(&file, "no string", 0, "found 0 streams of other kinds");
  memset(file.at + 14, 0xff, 4); /* the header's bytes */
  expect_fault(&file, "absurd", 0, "found 4294967295");
  test_bytes_free(&file);
}

/* Cut anywhere: never more than is there, and an error but at a packet's end. */
Test(aedat4, cut_off_anywhere) {
  test_bytes file = whole(1, -1);
  size_t faults = 0;
  for (size_t size = 14; size < file.size; size++) {
    uint8_t *cut = malloc(size); /* so that a sanitizer sees its end */
    surge_events_file *opened = NULL;
    surge_events read = {0};
    memcpy(cut, file.at, size);
    surge_status status = surge_events_open_memory(&opened, cut, size, "cut");
    if (status == SURGE_OK) status = surge_events_rest(opened, &read);
    cr_expect(status == SURGE_OK || status == SURGE_ERROR_DATA);
    cr_expect(read.count == 0 || read.count == 2, "%zu events", read.count);
    faults += status != SURGE_OK;
    surge_events_close(opened);
    surge_events_free(&read);
    free(cut);
  }
  cr_expect_eq(faults, file.size - 14 - 4, "it could end at 4 places");
  test_bytes_free(&file);
}

/* Sizes that a packet claims are compared before memory is asked for. */
Test(aedat4, packets_that_lie) {
  test_bytes file = {0};
  test_aedat4_begin(&file, 1, -1, test_aedat4_xml);
  size_t begin = file.size;
  test_aedat4_packet(&file, 1, 0, events, 4);
  memset(file.at + begin + 4, 0xff, 4);
  expect_fault(&file, "size", 0, "wanted a packet of 4294967303 bytes");
  file.size = begin;
  test_aedat4_put(&file, 1, 0, "\xff\xff\xff\x7f\0\0\0\0EVTS\0\0\0\0", 16);
  expect_fault(&file, "prefix", 0, "wanted a packet as long as it says");
  file.size = begin;
  test_aedat4_put(&file, 1, 0, "\x0c\0\0\0\0\0\0\0IMUS\0\0\0\0", 16);
  expect_fault(&file, "kind", 0, "wanted a packet EVTS");
  test_bytes_free(&file);
}

Test(aedat4, events_outside_their_packet) {
  test_bytes file = {0};
  test_aedat4_begin(&file, 0, -1, test_aedat4_xml);
  size_t begin = file.size;
  test_aedat4_packet(&file, 0, 0, events, 2);
  file.at[begin + 8 + 4 + 24] = 3; /* of two that are there */
  expect_fault(&file, "three", 0, "found some outside");
  test_bytes_free(&file);
}

Test(aedat4, damaged_frames) {
  for (int compression = 1; compression <= 3; compression += 2) {
    test_bytes file = {0};
    test_aedat4_begin(&file, compression, -1, test_aedat4_xml);
    test_aedat4_packet(&file, compression, 0, events, 2);
    size_t begin = file.size;
    char place[32];
    test_aedat4_packet(&file, compression, 0, events, 4);
    snprintf(place, sizeof place, ": byte %zu: a packet: ", begin);
    file.at[begin + 8] ^= 0xff;
    test_expect_fault(file.at, file.size, "magic", 2, place, "");
    file.at[begin + 8] ^= 0xff;
    file.at[begin + 4] -= 6; /* the frame's end is missing */
    test_expect_fault(file.at, file.size - 6, "end", 2, place, "cut off");
    test_bytes_free(&file);
  }
}

/* A small frame that unpacks to more than the limit is given up on the way. */
Test(aedat4, more_than_the_limit) {
  size_t size = (size_t)268435456 + 1;
  uint8_t *zeros = calloc(1, size);
  test_bytes file = {0};
  cr_assert(zeros != NULL);
  test_aedat4_begin(&file, 3, -1, test_aedat4_xml);
  test_aedat4_put(&file, 3, 0, zeros, size);
  free(zeros);
  cr_assert_lt(file.size, 1 << 20);
  expect_fault(&file, "bomb", 0, "wanted at most 268435456 bytes unpacked");
  test_bytes_free(&file);
}
