/* test_event_folder.c - recordings in folders of classes: listed, shared among
 * the splits, framed, rolled, dropped, through the loader; and what is wrong. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <surge/data.h>
#include <sys/stat.h>

#include "tests/support/folder.h"

TestSuite(event_folder, .init = test_folder_make, .fini = test_folder_remove);

enum { T = 2, W = 6, H = 4, CLASSES = 2, BYTES = T * H * W * 2 };
static const char *const classes[CLASSES] = {"left", "right"};

/* --- files that are made -------------------------------------------------- */

/* `count` events in .bin's records; recording (k, i) of class k. */
enum { EVENTS = 40 };
static void event_of(int k, int i, int e, uint8_t *x, uint8_t *y, uint8_t *p) {
  *x = (uint8_t)((3 * i + e * e + k) % W);
  *y = (uint8_t)((e / 3 + i) % H);
  *p = (uint8_t)((e + k) % 2);
}

static void write_recording(const char *path, int k, int i) {
  uint8_t bytes[EVENTS * 5];
  for (int e = 0; e < EVENTS; e++) {
    uint8_t *to = bytes + 5 * e, p;
    int t = 100 + e * e;
    event_of(k, i, e, to, to + 1, &p);
    to[2] = (uint8_t)(p << 7 | t >> 16);
    to[3] = (uint8_t)(t >> 8);
    to[4] = (uint8_t)t;
  }
  test_write_file(path, bytes, sizeof bytes);
}

static void make_class(const char *folder, int k, int first, int count) {
  char name[96];
  snprintf(name, sizeof name, "%s/%s", folder, classes[k]);
  mkdir(test_path(name), 0777);
  for (int i = first; i < first + count; i++) {
    snprintf(name, sizeof name, "%s/%s/%02d.bin", folder, classes[k], i);
    write_recording(test_path(name), k, i);
  }
}

static void make_splits(void) {
  mkdir(test_path("train"), 0777);
  mkdir(test_path("test"), 0777);
  for (int k = 0; k < CLASSES; k++) {
    make_class("train", k, 0, 5);
    make_class("test", k, 5, 2);
  }
}

/* --- CIFAR10-DVS --------------------------------------------------------- */

/* One ON event whose address has 3 in bits 1-7 and 10 in bits 8-14: SpikingJelly
 * (datasets/cifar10_dvs.py) has x = 127 - 10, y = 127 - 3. */
Test(event_folder, cifar10_dvs_stands_as_spikingjelly_has_it) {
  static const char bytes[] =
      "#!AER-DAT2.0\r\n\x00\x00\x0a\x06\x00\x00\x00\x07";
  surge_dataset_info dvs;
  surge_dataset set;
  const struct surge_data_recipe recipe = {.set = "cifar10_dvs", .split = .9f};
  const char *path = test_path("one.aedat");
  test_write_file(path, bytes, sizeof bytes - 1);
  cr_assert_eq(surge_dataset_describe(&dvs, &recipe, 1), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(surge_dataset_open_file(&set, &dvs, path), SURGE_OK, "%s",
               surge_last_error());
  for (int i = 0; i < 128 * 128 * 2; i++)
    cr_expect_eq(set.images[i], i == (124 * 128 + 117) * 2 + 1, "byte %d", i);
  surge_dataset_close(&set);
}

/* --- N-Caltech101 --------------------------------------------------------- */

static void make_caltech_class(int k) {
  char path[TEST_PATH];
  snprintf(path, sizeof path, "%s/class_%03d", test_folder(), k);
  mkdir(path, 0777);
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/class_%03d/%d.bin", test_folder(), k, i);
    write_recording(path, k, i);
  }
}

/* A hundred classes are refused; of 101 each shares its two recordings. */
Test(event_folder, ncaltech101_is_its_101_classes) {
  surge_dataset_info caltech;
  surge_dataset set;
  struct surge_data_recipe recipe = {.set = "ncaltech101", .split = .5f};
  snprintf(recipe.path, sizeof recipe.path, "%s", test_folder());
  for (int k = 0; k < 101; k++) {
    if (k == 100) {
      cr_expect_eq(surge_dataset_describe(&caltech, &recipe, T), SURGE_OK);
      cr_expect_eq(surge_dataset_open(&set, &caltech, &recipe, SURGE_TRAIN),
                   SURGE_ERROR_DATA);
      cr_expect(strstr(surge_last_error(), "101 "), "%s", surge_last_error());
    }
    make_caltech_class(k);
  }
  cr_assert_eq(surge_dataset_describe(&caltech, &recipe, T), SURGE_OK, "%s",
               surge_last_error());
  cr_expect(caltech.w == 240 && caltech.h == 180 && caltech.c == 2);
  for (int split = 0; split < 2; split++) {
    cr_assert_eq(
        surge_dataset_open(&set, &caltech, &recipe, (surge_split)split),
        SURGE_OK, "%s", surge_last_error());
    cr_assert_eq(set.count, 101);
    for (int i = 0; i < 101; i++) cr_expect_eq(set.labels[i], i);
    cr_expect_str_eq(surge_dataset_class(&set, 100), "class_100");
    surge_dataset_close(&set);
  }
}

/* --- sets ----------------------------------------------------------------- */

static struct surge_data_recipe recipe_of(void) {
  struct surge_data_recipe recipe = {.set = "event_folder",
                                     .split = .9f,
                                     .sensor = {W, H},
                                     .sensor_count = 2,
                                     .duration_us = 1000};
  snprintf(recipe.path, sizeof recipe.path, "%s", test_folder());
  return recipe;
}

static surge_dataset_info info;

static surge_dataset open_set(const struct surge_data_recipe *recipe,
                              surge_split split) {
  surge_dataset set;
  cr_assert_eq(surge_dataset_describe(&info, recipe, T), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(surge_dataset_open(&set, &info, recipe, split), SURGE_OK, "%s",
               surge_last_error());
  return set;
}

/* Recording (k, i) by number, as the loops say it, shifted round by (dx, dy). */
static void count_events(int k, int i, int dx, int dy, uint8_t *want) {
  memset(want, 0, BYTES);
  for (int e = 0; e < EVENTS; e++) {
    uint8_t x, y, p;
    event_of(k, i, e, &x, &y, &p);
    int column = (x + dx + 8 * W) % W, row = (y + dy + 8 * H) % H;
    want[((e / (EVENTS / T) * H + row) * W + column) * 2 + p]++;
  }
}

static const surge_data_pass still = {.train = false};

static void expect_frames(const surge_dataset *set, uint32_t sample, int k,
                          int i) {
  uint8_t frames[BYTES], want[BYTES];
  count_events(k, i, 0, 0, want);
  cr_assert_eq(set->labels[sample], k, "sample %u: label", sample);
  cr_assert_eq(surge_dataset_image(set, sample, &still, frames), SURGE_OK, "%s",
               surge_last_error());
  cr_expect(!memcmp(frames, want, BYTES), "sample %u is another", sample);
}

Test(event_folder, both_splits_are_listed_and_framed) {
  struct surge_data_recipe recipe = recipe_of();
  make_splits();
  for (int split = 0; split < 2; split++) {
    surge_dataset set = open_set(&recipe, (surge_split)split);
    cr_expect(info.w == W && info.h == H && info.c == 2 && info.steps == T);
    cr_expect_eq(surge_sample_bytes(&info), BYTES);
    cr_assert_eq(set.count, split ? 4 : 10);
    for (uint32_t s = 0; s < (uint32_t)set.count; s++)
      expect_frames(&set, s, (int)s % 2, (split ? 5 : 0) + (int)s / 2);
    cr_expect_str_eq(surge_dataset_class(&set, 1), "right");
    surge_dataset_close(&set);
  }
  cr_expect_eq(surge_dataset_probe(&recipe), SURGE_OK, "%s",
               surge_last_error());
}

/* 5 and 7 recordings at 0.7: the first 3.5 and 4.9, rounded up. */
Test(event_folder, without_splits_they_share_each_class) {
  struct surge_data_recipe recipe = recipe_of();
  recipe.split = .7f;
  make_class(".", 0, 0, 5);
  make_class(".", 1, 0, 7);
  surge_dataset set = open_set(&recipe, SURGE_TRAIN);
  cr_assert_eq(set.count, 4 + 5);
  for (uint32_t s = 0; s < 8; s++)
    expect_frames(&set, s, (int)s % 2, (int)s / 2);
  expect_frames(&set, 8, 1, 4);
  surge_dataset_close(&set);
  set = open_set(&recipe, SURGE_TEST);
  cr_assert_eq(set.count, 1 + 2);
  expect_frames(&set, 0, 0, 4);
  expect_frames(&set, 1, 1, 5);
  expect_frames(&set, 2, 1, 6);
  surge_dataset_close(&set);
  cr_expect_eq(surge_dataset_probe(&recipe), SURGE_OK);
}

/* 6 x 4 on 3 x 3 pixels is 3 x 2 at the top; a shorter side of 0.5 is centred. */
Test(event_folder, a_size_sums_and_centres) {
  struct surge_data_recipe recipe = recipe_of();
  recipe.size = 3;
  recipe.counts = SURGE_COUNTS_BINARY;
  make_splits();
  surge_dataset set = open_set(&recipe, SURGE_TRAIN);
  uint8_t frames[T * 3 * 3 * 2], want[sizeof frames] = {0};
  cr_expect(info.w == 3 && info.h == 3);
  cr_assert_eq(surge_dataset_image(&set, 3, &still, frames), SURGE_OK);
  for (int e = 0; e < EVENTS; e++) {
    uint8_t x, y, p;
    event_of(1, 1, e, &x, &y, &p);
    want[((e / (EVENTS / T) * 3 + y / 2) * 3 + x / 2) * 2 + p] = 1;
  }
  cr_expect(!memcmp(frames, want, sizeof want));
  surge_dataset_close(&set);
}

Test(event_folder, one_file_is_a_set) {
  struct surge_data_recipe recipe = recipe_of();
  uint8_t want[BYTES];
  surge_dataset set;
  make_splits();
  cr_assert_eq(surge_dataset_describe(&info, &recipe, T), SURGE_OK);
  cr_assert_eq(
      surge_dataset_open_file(&set, &info, test_path("test/right/06.bin")),
      SURGE_OK, "%s", surge_last_error());
  count_events(1, 6, 0, 0, want);
  cr_expect(set.count == 1 && !memcmp(set.images, want, BYTES));
  surge_dataset_close(&set);
}

/* --- in training ---------------------------------------------------------- */

/* Each shift of up to one pixel is drawn, another every epoch, and the frames
 * are those of the shift: the two frames alike. */
Test(event_folder, rolls_are_circular_shifts) {
  struct surge_data_recipe recipe = recipe_of();
  int seen[3][3] = {{0}}, epochs = 200;
  recipe.roll = 1;
  make_splits();
  surge_dataset set = open_set(&recipe, SURGE_TRAIN);
  for (int epoch = 0; epoch < epochs; epoch++) {
    uint8_t frames[BYTES], want[BYTES];
    surge_data_pass pass = {.train = true, .seed = 4, .epoch = (uint32_t)epoch};
    int found = 0;
    cr_assert_eq(surge_dataset_image(&set, 2, &pass, frames), SURGE_OK);
    for (int dy = -1; dy <= 1; dy++)
      for (int dx = -1; dx <= 1; dx++) {
        count_events(0, 1, dx, dy, want);
        if (memcmp(frames, want, BYTES)) continue;
        found++;
        seen[dy + 1][dx + 1]++;
      }
    cr_expect_eq(found, 1, "epoch %d: %d shifts fit", epoch, found);
  }
  for (int i = 0; i < 9; i++) /* 5 sigma around 200/9 */
    cr_expect(abs(seen[i / 3][i % 3] - 22) <= 22, "shift %d: %d times", i,
              seen[i / 3][i % 3]);
  expect_frames(&set, 2, 0, 1); /* none in an evaluation */
  surge_dataset_close(&set);
}

/* What is left is part of what was, and of a quarter of samples all. */
Test(event_folder, dropped_events_are_gone) {
  struct surge_data_recipe recipe = recipe_of();
  enum { EPOCHS = 400 };
  int whole = 0;
  recipe.drop_event = true;
  recipe.split_by = SURGE_FRAMES_BY_DURATION; /* bounds that stay */
  recipe.duration_us = 1 << 20;
  make_splits();
  surge_dataset set = open_set(&recipe, SURGE_TRAIN);
  uint8_t all[BYTES], left[BYTES];
  cr_assert_eq(surge_dataset_image(&set, 0, &still, all), SURGE_OK);
  for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
    surge_data_pass pass = {.train = true, .seed = 4, .epoch = epoch};
    int count = 0, more = 0;
    cr_assert_eq(surge_dataset_image(&set, 0, &pass, left), SURGE_OK);
    for (int i = 0; i < BYTES; i++) {
      count += left[i];
      more += left[i] > all[i];
    }
    cr_expect_eq(more, 0, "epoch %u: %d counts are larger", epoch, more);
    cr_expect_gt(count, 0, "epoch %u: nothing is left", epoch);
    whole += count == EVENTS;
  }
  /* a time or an area may have no events: at least the quarter, within 5 sigma */
  cr_expect(whole > EPOCHS / 4 - 43 && whole < EPOCHS / 2, "%d of %d are whole",
            whole, EPOCHS);
  surge_dataset_close(&set);
}

/* Batches hold the same bytes on one thread and on three. */
Test(event_folder, batches_do_not_depend_on_workers) {
  struct surge_data_recipe recipe = recipe_of();
  static uint8_t images[2][10 * BYTES];
  const uint32_t samples[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  recipe.roll = 2;
  recipe.drop_event = true;
  make_splits();
  for (int run = 0; run < 2; run++) {
    surge_dataset set = open_set(&recipe, SURGE_TRAIN);
    surge_loader *loader;
    surge_batch batch;
    uint8_t *to = images[run];
    surge_data_pass pass = {.train = true, .seed = 9, .epoch = 3};
    cr_assert_eq(
        surge_loader_create(&loader, &set, samples, 10, 4, run ? 3 : 1),
        SURGE_OK);
    cr_assert_eq(surge_loader_start(loader, &pass, 0), SURGE_OK);
    for (;;) {
      cr_assert_eq(surge_loader_next(loader, &batch), SURGE_OK, "%s",
                   surge_last_error());
      if (batch.n == 0) break;
      memcpy(to, batch.images, (size_t)batch.n * BYTES);
      to += batch.n * BYTES;
    }
    cr_assert_eq(to - images[run], 10 * BYTES);
    surge_loader_destroy(loader);
    surge_dataset_close(&set);
  }
  cr_expect(!memcmp(images[0], images[1], sizeof images[0]));
}

/* --- refused -------------------------------------------------------------- */

static void expect_error(surge_status found, surge_status status,
                         const char *words) {
  cr_expect_eq(found, status, "%s", words);
  cr_expect(strstr(surge_last_error(), words), "said '%s', not '%s'",
            surge_last_error(), words);
}

Test(event_folder, says_what_is_wrong) {
  struct surge_data_recipe recipe = recipe_of();
  uint8_t frames[BYTES];
  expect_error(surge_dataset_describe(&info, &recipe, T), SURGE_ERROR_DATA,
               "wanted a folder for each class, found none");
  make_splits();
  recipe.sensor_count = 0;
  expect_error(surge_dataset_describe(&info, &recipe, T), SURGE_ERROR_RECIPE,
               "data.sensor: wanted [width, height], as ");
  recipe = recipe_of();
  recipe.sensor[1] = H - 1;
  surge_dataset set = open_set(&recipe, SURGE_TRAIN);
  expect_error(surge_dataset_image(&set, 0, &still, frames), SURGE_ERROR_DATA,
               "train/left/00.bin: event");
  surge_dataset_close(&set);
  snprintf(recipe.set, sizeof recipe.set, "nmnist");
  cr_assert_eq(surge_dataset_describe(&info, &recipe, T), SURGE_OK);
  expect_error(surge_dataset_open(&set, &info, &recipe, SURGE_TEST),
               SURGE_ERROR_DATA, "wanted 10 classes, found 2");
  snprintf(recipe.set, sizeof recipe.set, "ncars");
  cr_assert_eq(surge_dataset_describe(&info, &recipe, T), SURGE_OK);
  expect_error(surge_dataset_open(&set, &info, &recipe, SURGE_TEST),
               SURGE_ERROR_DATA, "wanted 8607 files, found 4");
}

/* A recording that cannot be read is left out of an evaluation, and named. */
Test(event_folder, unreadable_recordings_are_skipped) {
  struct surge_data_recipe recipe = recipe_of();
  const uint32_t samples[4] = {0, 1, 2, 3};
  recipe.on_error = SURGE_ON_ERROR_SKIP;
  make_splits();
  test_write_file(test_path("test/right/05.bin"), "12", 2);
  surge_dataset set = open_set(&recipe, SURGE_TEST);
  surge_loader *loader;
  surge_batch batch;
  uint32_t next = 0;
  cr_assert_eq(surge_loader_create(&loader, &set, samples, 4, 4, 2), SURGE_OK);
  cr_assert_eq(surge_loader_start(loader, &still, 0), SURGE_OK);
  cr_assert_eq(surge_loader_next(loader, &batch), SURGE_OK);
  cr_expect_eq(batch.n, 3);
  cr_expect_eq(surge_dataset_skipped(&set), 1);
  const char *line = surge_dataset_next_skipped(&set, &next);
  cr_expect(line && strstr(line, "test/right/05.bin"));
  surge_loader_destroy(loader);
  surge_dataset_close(&set);
}
