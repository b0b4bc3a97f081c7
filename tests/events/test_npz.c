/* test_npz.c - SpikingJelly's .npz: numpy's types and versions, stored and
 * deflated, what is refused; written and read again. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "tests/support/folder.h"
#include "tests/support/recording.h"

static const test_event seed[] = {{100, 1, 2, 1},
                                  {200, 639, 479, 0},
                                  {200, 0, 0, 1},
                                  {350, 320, 240, 1},
                                  {1000000, 5, 7, 0}};

#define SEEDS SURGE_SOURCE_DIR "/tests/fuzz/seeds/npz/"

Test(npz, of_numpy) {
  static const char *const names[] = {"stored", "deflated"};
  for (int i = 0; i < 2; i++) {
    char path[TEST_PATH];
    size_t size;
    snprintf(path, sizeof path, SEEDS "%s.npz", names[i]);
    uint8_t *bytes = test_read_file(path, &size);
    test_expect_events(bytes, size, names[i], seed, 5);
    free(bytes);
  }
}

/* t, x, y, p of two events. */
static const int64_t t[] = {-3, (int64_t)1 << 40};
static const uint16_t x[] = {7, 65535}, y[] = {0, 9};
static const uint8_t p[] = {1, 0};
static const test_event two[] = {{-3, 7, 0, 1},
                                 {(int64_t)1 << 40, 65535, 9, 0}};

#define MEMBERS                                                                \
  {                                                                            \
    {"t.npy", "<i8", t, 2, 8}, {"x.npy", "<u2", x, 2, 2},                      \
        {"y.npy", "<u2", y, 2, 2}, {"p.npy", "|u1", p, 2, 1},                  \
  }

Test(npz, versions_stored_and_deflated) {
  const test_member members[] = MEMBERS;
  for (int version = 1; version <= 3; version++)
    for (int deflate = 0; deflate < 2; deflate++) {
      test_bytes file = {0};
      test_npz(&file, members, 4, version, deflate);
      test_expect_events(file.at, file.size, "two", two, 2);
      test_bytes_free(&file);
    }
}

/* The same two numbers in every type, 3 and 300 where they fit. */
Test(npz, every_type) {
  static const struct {
    const char *type, bytes[17];
    size_t size;
    int second;
  } types[] = {
      {"|u1", "\3\310", 1, 200},
      {"|i1", "\3\177", 1, 127},
      {"|b1", "\1\1", 1, 1},
      {"<u2", "\3\0\54\1", 2, 300},
      {">u2", "\0\3\1\54", 2, 300},
      {"<i2", "\3\0\54\1", 2, 300},
      {">i2", "\0\3\1\54", 2, 300},
      {"<i4", "\3\0\0\0\54\1\0\0", 4, 300},
      {">u4", "\0\0\0\3\0\0\1\54", 4, 300},
      {"<u8", "\3\0\0\0\0\0\0\0\54\1\0\0\0\0\0\0", 8, 300},
      {">i8", "\0\0\0\0\0\0\0\3\0\0\0\0\0\0\1\54", 8, 300},
      {"<f2", "\0\102\260\134", 2, 300},
      {">f2", "\102\0\134\260", 2, 300},
      {"<f4", "\0\0\100\100\0\0\226\103", 4, 300},
      {">f4", "\100\100\0\0\103\226\0\0", 4, 300},
      {"<f8", "\0\0\0\0\0\0\10\100\0\0\0\0\0\300\162\100", 8, 300},
      {">f8", "\100\10\0\0\0\0\0\0\100\162\300\0\0\0\0\0", 8, 300},
  };
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    int first = strchr(types[i].type, 'b') ? 1 : 3;
    test_member members[] = MEMBERS;
    for (int m = 0; m < 4; m++)
      members[m] = (test_member){members[m].name, types[i].type, types[i].bytes,
                                 2, types[i].size};
    test_bytes file = {0};
    int second = types[i].second;
    const test_event wanted[] = {{first, first, first, 1},
                                 {second, second, second, 1}};
    test_npz(&file, members, 4, 1, false);
    test_expect_events(file.at, file.size, types[i].type, wanted, 2);
    test_bytes_free(&file);
  }
}

/* -1 is OFF where somebody counts so; half numbers go to the even one. */
Test(npz, signs_and_halves) {
  static const float times[] = {-2.5f, 3.5f}, polarity[] = {-1, 1};
  test_member members[] = MEMBERS;
  members[0] = (test_member){"t.npy", "<f4", times, 2, 4};
  members[3] = (test_member){"p.npy", "<f4", polarity, 2, 4};
  const test_event wanted[] = {{-2, 7, 0, 0}, {4, 65535, 9, 1}};
  test_bytes file = {0};
  test_npz(&file, members, 4, 1, true);
  test_expect_events(file.at, file.size, "signs", wanted, 2);
  test_bytes_free(&file);
}

/* --- what is refused ------------------------------------------------------ */

static void expect_fault(const test_member *members, size_t count, size_t good,
                         const char *place, const char *text) {
  test_bytes file = {0};
  test_npz(&file, members, count, 1, true);
  test_expect_fault(file.at, file.size, "bad.npz", good, place, text);
  test_bytes_free(&file);
}

Test(npz, members_that_are_missing_or_wrong) {
  test_member members[] = MEMBERS;
  expect_fault(members + 1, 3, 0, "bad.npz: ", "found no t.npy");
  expect_fault(members, 3, 0, "bad.npz: ", "found no p.npy");
  expect_fault(members, 0, 0, "bad.npz: ", "found no t.npy");
  members[2].count = 1;
  expect_fault(members, 4, 0, "y.npy",
               "wanted 2 elements as in t.npy, found 1");
  members[2].count = 2;
  members[1].type = "<c8";
  expect_fault(members, 4, 0, "x.npy", "a type of integers, floats or bool");
  members[1] =
      (test_member){"x.npy", NULL, "no array, whatever its name", 1, 27};
  expect_fault(members, 4, 0, "x.npy", "wanted a .npy array");
  members[1] = (test_member){"x.npy", NULL, "\x93NUMPY", 1, 6};
  expect_fault(members, 4, 0, "x.npy", "wanted 12 bytes, found 6");
}

Test(npz, shapes_that_are_wrong) {
  static const char head[] =
      "\x93NUMPY\1\0\66\0{'descr': '<u2', 'fortran_order': False, "
      "'shape': ";
  static const char *const shapes[] = {
      "(2, 1)", "()", "(-2,)", "2", "(2,", "(99999999999999999999,)"};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    test_member members[] = MEMBERS;
    char text[128];
    int length = snprintf(text, sizeof text, "%s%s, }", head + 10, shapes[i]);
    char whole[160];
    memcpy(whole, head, 10);
    whole[8] = (char)length;
    memcpy(whole + 10, text, (size_t)length);
    members[1] = (test_member){"x.npy", NULL, whole, 1, 10 + (size_t)length};
    expect_fault(members, 4, 0, "x.npy", "a shape of one dimension");
  }
}

/* A header that ends in its type, or before it. */
Test(npz, types_that_are_cut_off) {
  static const char *const heads[] = {
      "\x93NUMPY\1\0\12\0{'descr': ", "\x93NUMPY\1\0\13\0{'descr': '",
      "\x93NUMPY\1\0\14\0{'descr': '<", "\x93NUMPY\1\0\15\0{'descr': '<i"};
  for (size_t i = 0; i < 4; i++) {
    test_member members[] = MEMBERS;
    members[1] = (test_member){"x.npy", NULL, heads[i], 1, 20 + i};
    expect_fault(members, 4, 0, "x.npy", "a type of integers, floats or bool");
  }
}

/* A length that is not there is refused before anything is read of it. */
Test(npz, a_shape_that_lies) {
  test_member members[] = MEMBERS;
  static const char text[] =
      "\x93NUMPY\1\0\106\0{'descr': '<u2', 'fortran_order': False, "
      "'shape': (999999999999,), }   1234";
  members[1] = (test_member){"x.npy", NULL, text, 1, sizeof text - 1};
  expect_fault(members, 4, 0, "x.npy", "wanted 999999999999 elements");
}

Test(npz, numbers_that_fit_nowhere) {
  static const double infinite[] = {0, INFINITY}, none[] = {NAN, 0};
  static const int32_t negative[] = {3, -1};
  static const uint64_t large[] = {1, UINT64_MAX};
  test_member members[] = MEMBERS;
  members[0] = (test_member){"t.npy", "<f8", infinite, 2, 8};
  expect_fault(members, 4, 0, "t.npy", "element 1: wanted a whole number");
  members[0] = (test_member){"t.npy", "<f8", none, 2, 8};
  expect_fault(members, 4, 0, "t.npy", "element 0: wanted a whole number");
  members[0] = (test_member){"t.npy", "<u8", large, 2, 8};
  expect_fault(members, 4, 0, "t.npy", "element 1: wanted a whole number");
  members[0] = (test_member){"t.npy", "<i8", t, 2, 8};
  members[1] = (test_member){"x.npy", "<i4", negative, 2, 4};
  expect_fault(members, 4, 1, "event 1", "wanted x and y from 0 to 65535");
}

/* Cut anywhere, and with every byte changed: never a crash, never other events
 * without an error, but where the byte means nothing. */
Test(npz, damaged_anywhere) {
  const test_member members[] = MEMBERS;
  test_bytes file = {0};
  test_npz(&file, members, 4, 1, true);
  for (size_t i = 4; i < 2 * file.size; i++) {
    surge_events_file *opened = NULL;
    surge_events read = {0};
    size_t size = i < file.size ? i : file.size;
    uint8_t *cut = malloc(size); /* so that a sanitizer sees its end */
    memcpy(cut, file.at, size);
    if (i >= file.size) cut[i - file.size] ^= 0x55;
    surge_status status = surge_events_open_memory(&opened, cut, size, "cut");
    if (status == SURGE_OK) status = surge_events_rest(opened, &read);
    cr_expect(status == SURGE_OK || status == SURGE_ERROR_DATA);
    cr_expect(i >= file.size || status != SURGE_OK, "cut at %zu", i);
    if (status == SURGE_OK)
      cr_expect(read.count == 2 && read.t[1] == t[1] && read.x[1] == x[1] &&
                    read.y[1] == y[1] && read.p[0] == p[0],
                "byte %zu", i - file.size);
    surge_events_close(opened);
    surge_events_free(&read);
    free(cut);
  }
  test_bytes_free(&file);
}

/* --- written -------------------------------------------------------------- */

TestSuite(npz_written, .init = test_folder_make, .fini = test_folder_remove);

/* What is written is numpy's: the header as numpy pads it, and read again. */
Test(npz_written, read_again) {
  for (size_t count = 0; count <= 10000; count = count ? 10000 * count : 1) {
    surge_events events = {0}, again = {0};
    cr_assert_eq(surge_events_reserve(&events, count), SURGE_OK);
    events.count = count;
    for (size_t i = 0; i < count; i++) {
      events.t[i] = (int64_t)i * 1000003 - 7;
      events.x[i] = (uint16_t)(i * 31);
      events.y[i] = (uint16_t)(i * 17);
      events.p[i] = i % 3 == 0;
    }
    const char *path = test_path("out.npz");
    cr_assert_eq(surge_events_write_npz(&events, path), SURGE_OK, "%s",
                 surge_last_error());
    cr_assert_eq(surge_events_read(&again, NULL, path), SURGE_OK, "%s",
                 surge_last_error());
    cr_assert_eq(again.count, count);
    if (count > 0) {
      cr_expect_arr_eq(again.t, events.t, count * sizeof *again.t);
      cr_expect_arr_eq(again.x, events.x, count * sizeof *again.x);
      cr_expect_arr_eq(again.y, events.y, count * sizeof *again.y);
      cr_expect_arr_eq(again.p, events.p, count);
    }
    surge_events_free(&events);
    surge_events_free(&again);
  }
}

/* Planes of OFF and ON, as SpikingJelly has them, under a header of numpy's. */
Test(npz_written, frames) {
  static const surge_framing framing = {
      .T = 2, .c = 2, .frame_w = 3, .frame_h = 1};
  static const int32_t frames[2][3][2] = {{{1, 2}, {3, 4}, {5, 6}},
                                          {{7, 8}, {9, 10}, {11, 1 << 20}}};
  static const int32_t planes[] = {1, 3, 5, 2, 4, 6, 7, 9, 11, 8, 10, 1 << 20};
  static const char wanted[] =
      "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 2, 1, 3), }";
  const char *path = test_path("frames.npz");
  cr_assert_eq(surge_frames_write_npz(&frames[0][0][0], &framing, path),
               SURGE_OK, "%s", surge_last_error());
  uint8_t bytes[512];
  zip_t *zip = zip_open(path, ZIP_RDONLY, NULL);
  cr_assert(zip && zip_get_num_entries(zip, 0) == 1);
  zip_file_t *file = zip_fopen(zip, "frames.npy", 0);
  cr_assert_not_null(file);
  size_t size = (size_t)zip_fread(file, bytes, sizeof bytes);
  size_t head = 10 + bytes[8] + 256 * (size_t)bytes[9];
  cr_expect_eq(head % 64, 0);
  cr_assert_eq(size, head + sizeof planes);
  cr_expect_arr_eq(bytes + 10, wanted, sizeof wanted - 1);
  cr_expect_eq(bytes[head - 1], '\n');
  cr_expect_arr_eq(bytes + head, planes, sizeof planes);
  zip_fclose(file);
  zip_discard(zip);
}

Test(npz_written, nowhere) {
  surge_events events = {0};
  const char *path = test_path("no/out.npz");
  cr_expect_eq(surge_events_write_npz(&events, path), SURGE_ERROR_DATA);
  cr_expect(strstr(surge_last_error(), "no/out.npz: wanted to write it"));
}
