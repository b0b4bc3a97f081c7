/* test_hdf5.c - HDF5: event tables, spike trains of many recordings, and files
 * that lack something. */
#include <criterion/criterion.h>
#include <hdf5.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/folder.h"
#include "tests/support/recording.h"

static const test_event seed[] = {{100, 1, 2, 1},
                                  {200, 639, 479, 0},
                                  {200, 0, 0, 1},
                                  {350, 320, 240, 1},
                                  {1000000, 5, 7, 0}};

#define SEEDS SURGE_SOURCE_DIR "/tests/fuzz/seeds/hdf5/"

/* A table, arrays behind a user block with times in seconds, and DSEC's. */
Test(hdf5, of_h5py) {
  static const char *const names[] = {"table", "arrays", "dsec"};
  for (int i = 0; i < 3; i++) {
    char path[TEST_PATH];
    size_t size;
    surge_events events = {0};
    snprintf(path, sizeof path, SEEDS "%s.h5", names[i]);
    uint8_t *bytes = test_read_file(path, &size);
    test_expect_events(bytes, size, names[i], seed, 5);
    free(bytes);
    cr_expect_eq(surge_events_read(&events, NULL, path), SURGE_OK);
    cr_expect_eq(events.count, 5);
    surge_events_free(&events);
  }
}

Test(hdf5, spikes_of_h5py) {
  static const test_event wanted[2][2] = {
      {{250000, 5, 0, 1}, {500000, 699, 0, 1}}, {{1000000, 0, 0, 1}}};
  static const size_t order[] = {1, 0, 0}, counts[] = {2, 1};
  static const int32_t labels[] = {4, 19};
  surge_events_file *file;
  surge_events events = {0};
  int32_t label;
  cr_assert_eq(surge_events_open(&file, SEEDS "shd.h5"), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(surge_events_file_info(file)->recordings, 2);
  for (int i = 0; i < 3; i++) {
    size_t k = order[i];
    cr_assert_eq(surge_events_select(file, k), SURGE_OK);
    cr_assert_eq(surge_events_rest(file, &events), SURGE_OK);
    cr_assert_eq(events.count, counts[k]);
    for (size_t j = 0; j < counts[k]; j++)
      cr_expect(events.t[j] == wanted[k][j].t &&
                events.x[j] == wanted[k][j].x && events.y[j] == 0 &&
                events.p[j] == 1);
    cr_assert_eq(surge_events_label(file, k, &label), SURGE_OK);
    cr_expect_eq(label, labels[k]);
  }
  cr_expect_eq(surge_events_select(file, 2), SURGE_ERROR_DATA);
  cr_expect(
      strstr(surge_last_error(), "wanted recording 2, found 2 recordings"));
  cr_expect_eq(surge_events_label(file, 2, &label), SURGE_ERROR_DATA);
  surge_events_close(file);
  surge_events_free(&events);
}

/* A loader's threads each open the file: one that closes it takes nothing away
 * from the others. */
static void *read_recordings(void *wrong) {
  surge_events_file *file;
  surge_events events = {0};
  for (int i = 0; i < 50; i++) {
    bool good = surge_events_open(&file, SEEDS "shd.h5") == SURGE_OK;
    for (size_t k = 0; good && k < 2; k++)
      good = surge_events_select(file, k) == SURGE_OK &&
             surge_events_rest(file, &events) == SURGE_OK &&
             events.count == 2 - k && events.x[0] == (k == 0 ? 5 : 0);
    *(int *)wrong += !good;
    surge_events_close(file);
  }
  surge_events_free(&events);
  return NULL;
}

Test(hdf5, many_threads) {
  enum { THREADS = 4 };
  pthread_t threads[THREADS];
  int wrong[THREADS] = {0};
  for (int i = 0; i < THREADS; i++)
    cr_assert_eq(pthread_create(&threads[i], NULL, read_recordings, &wrong[i]),
                 0);
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    cr_expect_eq(wrong[i], 0);
  }
}

/* --- files that the tests write ------------------------------------------- */

TestSuite(hdf5_made, .init = test_folder_make, .fini = test_folder_remove);

static hid_t new_file(const char *name) {
  hid_t file =
      H5Fcreate(test_path(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  cr_assert_geq(file, 0);
  return file;
}

/* An array of one dimension; NULL: nothing is written to it. */
static void put(hid_t file, const char *name, hid_t type, hsize_t count,
                const void *elements) {
  hid_t links = H5Pcreate(H5P_LINK_CREATE);
  H5Pset_create_intermediate_group(links, 1);
  hid_t space = H5Screate_simple(1, &count, NULL);
  hid_t set =
      H5Dcreate2(file, name, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
  cr_assert_geq(set, 0, "%s", name);
  if (elements)
    cr_assert_geq(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, elements),
                  0);
  H5Dclose(set);
  H5Sclose(space);
  H5Pclose(links);
}

static void put_trains(hid_t file, const char *name, hid_t base, hsize_t count,
                       const hvl_t *trains) {
  hid_t type = H5Tvlen_create(base);
  put(file, name, type, count, trains);
  H5Tclose(type);
}

/* The file, closed, its path and its bytes. */
static void expect_fault(hid_t file, const char *name, size_t good,
                         const char *place, const char *text) {
  size_t size;
  H5Fclose(file);
  uint8_t *bytes = test_read_file(test_path(name), &size);
  test_expect_fault(bytes, size, name, good, place, text);
  free(bytes);
}

static const int64_t t[] = {5, 6}, large[] = {5, 70000};
static const int32_t x[] = {1, 2}, three[] = {1, 2, 3};

Test(hdf5_made, more_than_a_piece) {
  enum { COUNT = 10001 };
  static double times[COUNT];
  static float places[COUNT];
  surge_events events = {0};
  hid_t file = new_file("many.h5");
  for (int i = 0; i < COUNT; i++) {
    times[i] = i * 1e-6 + 3600;
    places[i] = (float)(i % 640);
  }
  put(file, "events/timestamps", H5T_NATIVE_DOUBLE, COUNT, times);
  put(file, "events/x", H5T_NATIVE_FLOAT, COUNT, places);
  put(file, "events/y", H5T_NATIVE_FLOAT, COUNT, places);
  put(file, "events/polarity", H5T_NATIVE_FLOAT, COUNT, places);
  H5Fclose(file);
  cr_assert_eq(surge_events_read(&events, NULL, test_path("many.h5")), SURGE_OK,
               "%s", surge_last_error());
  cr_assert_eq(events.count, COUNT);
  for (int i = 0; i < COUNT; i++)
    cr_assert(events.t[i] == 3600000000 + i && events.x[i] == i % 640 &&
                  events.y[i] == i % 640 && events.p[i] == (i % 640 > 0),
              "event %d", i);
  surge_events_free(&events);
}

Test(hdf5_made, no_and_one_event) {
  for (hsize_t count = 0; count < 2; count++) {
    const test_event wanted = {5, 1, 1, 1};
    size_t size;
    hid_t file = new_file("few.h5");
    put(file, "events/t", H5T_NATIVE_INT64, count, t);
    put(file, "events/x", H5T_NATIVE_INT32, count, x);
    put(file, "events/y", H5T_NATIVE_INT32, count, x);
    put(file, "events/p", H5T_NATIVE_INT32, count, x);
    H5Fclose(file);
    uint8_t *bytes = test_read_file(test_path("few.h5"), &size);
    test_expect_events(bytes, size, "few", &wanted, count);
    free(bytes);
  }
}

Test(hdf5_made, no_and_empty_recordings) {
  surge_events_file *opened;
  surge_events events = {0};
  int32_t label;
  const hvl_t empty[] = {{0, NULL}};
  for (hsize_t count = 0; count < 2; count++) {
    hid_t file = new_file("none.h5");
    put_trains(file, "spikes/times", H5T_NATIVE_FLOAT, count, empty);
    put_trains(file, "spikes/units", H5T_NATIVE_INT32, count, empty);
    H5Fclose(file);
    cr_assert_eq(surge_events_open(&opened, test_path("none.h5")), SURGE_OK,
                 "%s", surge_last_error());
    cr_expect_eq(surge_events_file_info(opened)->recordings, count);
    cr_expect_eq(surge_events_rest(opened, &events), SURGE_OK);
    cr_expect_eq(events.count, 0);
    if (count == 1) { /* without labels there are none */
      cr_expect_eq(surge_events_label(opened, 0, &label), SURGE_OK);
      cr_expect_eq(label, -1);
    }
    surge_events_close(opened);
  }
  surge_events_free(&events);
}

/* Times that are integers are us, in spike trains too. */
Test(hdf5_made, spikes_in_us) {
  int64_t times[] = {7, 1000000};
  int32_t units[] = {3, 4};
  const hvl_t whens = {2, times}, who = {2, units};
  const test_event wanted[] = {{7, 3, 0, 1}, {1000000, 4, 0, 1}};
  size_t size;
  hid_t file = new_file("us.h5");
  put_trains(file, "spikes/times", H5T_NATIVE_INT64, 1, &whens);
  put_trains(file, "spikes/units", H5T_NATIVE_INT32, 1, &who);
  H5Fclose(file);
  uint8_t *bytes = test_read_file(test_path("us.h5"), &size);
  test_expect_events(bytes, size, "us", wanted, 2);
  free(bytes);
}

/* --- what is refused ------------------------------------------------------ */

Test(hdf5_made, without_a_group) {
  hid_t file = new_file("bare.h5");
  put(file, "others", H5T_NATIVE_INT32, 2, x);
  expect_fault(file, "bare.h5", 0,
               "bare.h5: ", "wanted a group spikes, or events or CD/events");
  file = new_file("nounits.h5");
  put_trains(file, "spikes/times", H5T_NATIVE_FLOAT, 0, NULL);
  expect_fault(file, "nounits.h5", 0, "wanted spikes/units", "found none");
}

Test(hdf5_made, without_a_field) {
  hid_t file = new_file("not.h5");
  put(file, "events/t", H5T_NATIVE_INT64, 2, t);
  put(file, "events/x", H5T_NATIVE_INT32, 2, x);
  put(file, "events/p", H5T_NATIVE_INT32, 2, x);
  expect_fault(file, "not.h5", 0, "not.h5: events: ", "wanted a field y");
  file = new_file("plain.h5");
  put(file, "CD/events", H5T_NATIVE_INT32, 2, x);
  expect_fault(file, "plain.h5", 0, "plain.h5: CD/events: ", "without fields");
}

Test(hdf5_made, lengths_that_disagree) {
  float times[] = {1, 2};
  const hvl_t two[] = {{2, times}, {1, times}},
              units[] = {{2, times}, {2, times}};
  hid_t file = new_file("three.h5");
  put(file, "events/t", H5T_NATIVE_INT64, 2, t);
  put(file, "events/x", H5T_NATIVE_INT32, 3, three);
  expect_fault(file, "three.h5", 0,
               "events/x: ", "wanted 2 elements as in events/t, found 3");
  file = new_file("one.h5");
  put_trains(file, "spikes/times", H5T_NATIVE_FLOAT, 2, two);
  put_trains(file, "spikes/units", H5T_NATIVE_FLOAT, 1, units);
  expect_fault(file, "one.h5", 0, "spikes/units: ", "wanted 2 recordings");
  file = new_file("labels.h5");
  put_trains(file, "spikes/times", H5T_NATIVE_FLOAT, 2, two);
  put_trains(file, "spikes/units", H5T_NATIVE_FLOAT, 2, units);
  put(file, "labels", H5T_NATIVE_INT32, 3, three);
  expect_fault(file, "labels.h5", 0, "labels: ", "wanted 2 recordings");
  file = new_file("train.h5");
  put_trains(file, "spikes/times", H5T_NATIVE_FLOAT, 1, two + 1);
  put_trains(file, "spikes/units", H5T_NATIVE_FLOAT, 1, units + 1);
  expect_fault(file, "train.h5", 0,
               "recording 0: ", "wanted as many units as times, 1, found 2");
}

Test(hdf5_made, numbers_that_fit_nowhere) {
  float infinite[] = {1, INFINITY}, units[] = {1, 2};
  const hvl_t times = {2, infinite}, fine = {2, units};
  hid_t file = new_file("inf.h5");
  put_trains(file, "spikes/times", H5T_NATIVE_FLOAT, 1, &times);
  put_trains(file, "spikes/units", H5T_NATIVE_FLOAT, 1, &fine);
  expect_fault(file, "inf.h5", 0,
               "t: element 1: ", "wanted a number of 64 bits");
  file = new_file("large.h5");
  put(file, "events/t", H5T_NATIVE_INT64, 2, t);
  put(file, "events/x", H5T_NATIVE_INT64, 2, large);
  put(file, "events/y", H5T_NATIVE_INT32, 2, x);
  put(file, "events/p", H5T_NATIVE_INT32, 2, x);
  expect_fault(file, "large.h5", 1, "event 1: ", "found 70000, 2");
  file = new_file("text.h5");
  put(file, "events/t", H5T_C_S1, 2, "ab");
  expect_fault(file, "text.h5", 0, "events/t: ", "wanted integers or floats");
}

/* Elements that a file claims and does not hold: not to be waited for. */
Test(hdf5_made, a_length_that_lies) {
  const hsize_t count = (hsize_t)1 << 40;
  hid_t file = new_file("huge.h5");
  put(file, "events/t", H5T_NATIVE_INT64, count, NULL);
  expect_fault(file, "huge.h5", 0, "events/t: ",
               "wanted 1099511627776 elements of 8 bytes, found 0 bytes");
}

/* Nor chunks of which one is stored. */
Test(hdf5_made, chunks_that_are_not_there) {
  const hsize_t count = 1000, chunk = 10, first = 0;
  hid_t file = new_file("sparse.h5");
  hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
  hid_t space = H5Screate_simple(1, &count, NULL);
  hid_t memory = H5Screate_simple(1, &chunk, NULL);
  static const int64_t few[10];
  H5Pset_chunk(plan, 1, &chunk);
  H5Gclose(H5Gcreate2(file, "events", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  hid_t set = H5Dcreate2(file, "events/t", H5T_NATIVE_INT64, space, H5P_DEFAULT,
                         plan, H5P_DEFAULT);
  H5Sselect_hyperslab(space, H5S_SELECT_SET, &first, NULL, &chunk, NULL);
  cr_assert_geq(
      H5Dwrite(set, H5T_NATIVE_INT64, memory, space, H5P_DEFAULT, few), 0);
  H5Dclose(set);
  H5Sclose(memory);
  H5Sclose(space);
  H5Pclose(plan);
  expect_fault(file, "sparse.h5", 0,
               "events/t: ", "wanted 1000 elements of 8 bytes, found 80 bytes");
}

Test(hdf5_made, cut_off) {
  size_t size;
  uint8_t *bytes = test_read_file(SEEDS "table.h5", &size);
  test_expect_fault(bytes, size - 1, "cut.h5", 0, "HDF5: ", "");
  test_expect_fault(bytes, 100, "cut.h5", 0, "HDF5: ", "");
  free(bytes);
}

/* libhdf5's own printing of errors is as it was, for those who want it, and is
 * not heard. */
static herr_t printer(hid_t stack, void *nothing) {
  (void)stack, (void)nothing;
  cr_assert_fail("libhdf5 printed");
  return 0;
}

Test(hdf5_made, quiet) {
  H5E_auto2_t function;
  void *data;
  size_t size;
  uint8_t *bytes = test_read_file(SEEDS "table.h5", &size);
  H5Eset_auto2(H5E_DEFAULT, printer, NULL);
  test_expect_fault(bytes, 100, "cut.h5", 0, "HDF5: ", "");
  H5Eget_auto2(H5E_DEFAULT, &function, &data);
  cr_expect(function == printer);
  free(bytes);
}
