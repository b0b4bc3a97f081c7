/* test_spike_trains.c - SHD and SSC: every recording of one HDF5 file is a sample. */
#include <criterion/criterion.h>
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include <surge/data.h>

#include "tests/support/folder.h"

TestSuite(spike_trains, .init = test_folder_make, .fini = test_folder_remove);

enum { COUNT = 2264, T = 4, UNITS = 700 };

/* Recording i fires in unit (i + 100 k) % `units` at k ms, k = 0 to 4, and is of
 * class i % classes. */
static void write_split(const char *name, int count, int units, int classes) {
  static double times[5] = {0, .001, .002, .003, .004};
  hsize_t rows = (hsize_t)count;
  hvl_t *when = malloc(rows * sizeof *when), *who = malloc(rows * sizeof *who);
  int64_t *unit = malloc(rows * 5 * sizeof *unit);
  int64_t *label = malloc(rows * sizeof *label);
  for (int i = 0; i < count; i++) {
    for (int k = 0; k < 5; k++) unit[5 * i + k] = (i + 100 * k) % units;
    when[i] = (hvl_t){5, times};
    who[i] = (hvl_t){5, unit + 5 * i};
    label[i] = i % classes;
  }
  hid_t file =
      H5Fcreate(test_path(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  hid_t group =
      H5Gcreate2(file, "spikes", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const struct {
    const char *name;
    hid_t type;
    const void *data;
  } sets[] = {{"spikes/times", H5Tvlen_create(H5T_NATIVE_DOUBLE), when},
              {"spikes/units", H5Tvlen_create(H5T_NATIVE_INT64), who},
              {"labels", H5T_NATIVE_INT64, label}};
  hid_t space = H5Screate_simple(1, &rows, NULL);
  for (int s = 0; s < 3; s++) {
    hid_t set = H5Dcreate2(file, sets[s].name, sets[s].type, space, H5P_DEFAULT,
                           H5P_DEFAULT, H5P_DEFAULT);
    cr_assert_geq(H5Dwrite(set, sets[s].type, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                           sets[s].data),
                  0);
    H5Dclose(set);
  }
  H5Sclose(space);
  H5Gclose(group);
  H5Fclose(file);
  free(when);
  free(who);
  free(unit);
  free(label);
}

static struct surge_data_recipe recipe_of(const char *set) {
  struct surge_data_recipe recipe = {.split_by = SURGE_FRAMES_BY_DURATION,
                                     .duration_us = 1000};
  snprintf(recipe.set, sizeof recipe.set, "%s", set);
  snprintf(recipe.path, sizeof recipe.path, "%s", test_folder());
  return recipe;
}

static surge_dataset_info info;

/* Frame k has spike k; the fifth comes after the last. */
static void expect_samples(const char *name, uint32_t count, int classes) {
  struct surge_data_recipe recipe = recipe_of(name);
  const surge_data_pass pass = {.train = false};
  const uint32_t samples[] = {0, 1, 699, count - 1};
  char file[32];
  surge_dataset set;
  snprintf(file, sizeof file, "%s_test.h5", name);
  write_split(file, (int)count, UNITS, classes);
  cr_assert_eq(surge_dataset_describe(&info, &recipe, T), SURGE_OK);
  cr_expect(info.w == UNITS && info.h == 1 && info.c == 1);
  cr_assert_eq(surge_dataset_open(&set, &info, &recipe, SURGE_TEST), SURGE_OK,
               "%s", surge_last_error());
  cr_assert_eq(set.count, (int32_t)count);
  cr_expect_null(surge_dataset_class(&set, 3));
  for (size_t s = 0; s < 4; s++) {
    uint8_t frames[T][UNITS], want[T][UNITS] = {{0}};
    uint32_t i = samples[s];
    for (uint32_t k = 0; k < T; k++) want[k][(i + 100 * k) % UNITS] = 1;
    cr_expect_eq(set.labels[i], (int32_t)i % classes);
    cr_assert_eq(surge_dataset_image(&set, i, &pass, &frames[0][0]), SURGE_OK,
                 "%s", surge_last_error());
    cr_expect(!memcmp(frames, want, sizeof want), "%s: recording %u", name, i);
  }
  surge_dataset_close(&set);
}

Test(spike_trains, recordings_of_one_file_are_samples) {
  expect_samples("shd", COUNT, 20);
  expect_samples("ssc", 20382, 35);
}

Test(spike_trains, says_what_is_wrong) {
  struct surge_data_recipe recipe = recipe_of("shd");
  const surge_data_pass pass = {.train = false};
  uint8_t frames[T * UNITS];
  surge_dataset set;
  recipe.size = 32;
  cr_expect_eq(surge_dataset_describe(&info, &recipe, T), SURGE_ERROR_RECIPE);
  cr_expect(strstr(surge_last_error(), "data.size: wanted 0 for shd"));
  recipe.size = 0;
  cr_assert_eq(surge_dataset_describe(&info, &recipe, T), SURGE_OK);
  cr_expect_eq(surge_dataset_open(&set, &info, &recipe, SURGE_TEST),
               SURGE_ERROR_DATA);
  cr_expect(strstr(surge_last_error(), "wanted a file shd_test.h5"));
  write_split("shd_test.h5", 20, UNITS, 20);
  cr_expect_eq(surge_dataset_open_file(&set, &info, test_path("shd_test.h5")),
               SURGE_ERROR_DATA); /* `surge predict` of one sample a file */
  cr_expect(strstr(surge_last_error(), "one recording, found 20"), "%s",
            surge_last_error());
  cr_expect_eq(surge_dataset_open(&set, &info, &recipe, SURGE_TEST),
               SURGE_ERROR_DATA);
  cr_expect(strstr(surge_last_error(), "wanted 2264 recordings, found 20"));
  write_split("shd_test.h5", COUNT, UNITS + 1, 20);
  cr_assert_eq(surge_dataset_open(&set, &info, &recipe, SURGE_TEST), SURGE_OK);
  cr_expect_eq(surge_dataset_image(&set, 700, &pass, frames), SURGE_ERROR_DATA);
  cr_expect(strstr(surge_last_error(),
                   "event 0: wanted a place on a sensor of "
                   "700 x 1, found x 700, y 0"),
            "%s", surge_last_error());
  surge_dataset_close(&set);
}
