/* test_frame_cache.c - data.cache: frames are kept, found again, and never those
 * of another file or another framing; DVS128 Gesture's windows, each of which is
 * an entry of its own. */
#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <surge/data.h>
#include <sys/stat.h>

#include "src/data/readers.h"
#include "tests/support/folder.h"

TestSuite(frame_cache, .init = test_folder_make, .fini = test_folder_remove);
TestSuite(dvs_gesture, .init = test_folder_make, .fini = test_folder_remove);

enum { T = 2, SIDE = 8, BYTES = T * SIDE * SIDE * 2 };

/* `count` events in .bin's records, one every 10 us from 0 on: the first at
 * (`x`, 0), the next one pixel below and so on. */
static void write_events(const char *name, int x, int count) {
  static uint8_t bytes[5 * 4096];
  for (int e = 0; e < count; e++) {
    int t = 10 * e;
    uint8_t *to = bytes + 5 * e;
    to[0] = (uint8_t)x;
    to[1] = (uint8_t)(e % SIDE);
    to[2] = (uint8_t)(t >> 16);
    to[3] = (uint8_t)(t >> 8);
    to[4] = (uint8_t)t;
  }
  test_write_file(test_path(name), bytes, (size_t)count * 5);
}

static surge_dataset_info info;

static struct surge_data_recipe recipe_of(const char *set) {
  struct surge_data_recipe recipe = {
      .split = .5f, .sensor = {SIDE, SIDE}, .sensor_count = 2};
  snprintf(recipe.set, sizeof recipe.set, "%s", set);
  snprintf(recipe.path, sizeof recipe.path, "%s", test_path("set"));
  snprintf(recipe.cache, sizeof recipe.cache, "%s", test_path("cache"));
  return recipe;
}

/* --- the cache ------------------------------------------------------------ */

static void make_set(void) {
  mkdir(test_path("set"), 0777);
  mkdir(test_path("set/a"), 0777);
  write_events("set/a/0.bin", 1, 40);
  write_events("set/a/1.bin", 2, 40);
}

/* The only training sample, of a set opened anew. */
static surge_status read_sample(const struct surge_data_recipe *recipe,
                                const surge_data_pass *pass, uint8_t *frames) {
  surge_dataset set;
  cr_assert_eq(surge_dataset_describe(&info, recipe, T), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(surge_dataset_open(&set, &info, recipe, SURGE_TRAIN), SURGE_OK,
               "%s", surge_last_error());
  surge_status status = surge_dataset_image(&set, 0, pass, frames);
  surge_dataset_close(&set);
  return status;
}

static const surge_data_pass still = {.train = false};

/* Reads it with and without the cache, which must have `entries` after. */
static void expect_same(const struct surge_data_recipe *recipe,
                        const surge_data_pass *pass, size_t entries) {
  struct surge_data_recipe plain = *recipe;
  uint8_t with[BYTES], without[BYTES];
  glob_t found;
  plain.cache[0] = 0;
  cr_assert_eq(read_sample(&plain, pass, without), SURGE_OK);
  cr_assert_eq(read_sample(recipe, pass, with), SURGE_OK, "%s",
               surge_last_error());
  cr_expect(!memcmp(with, without, BYTES));
  size_t count =
      glob(test_path("cache/*"), 0, NULL, &found) == 0 ? found.gl_pathc : 0;
  cr_expect_eq(count, entries, "%zu entries, not %zu", count, entries);
  globfree(&found);
}

Test(frame_cache, keeps_frames_by_content_and_framing) {
  struct surge_data_recipe recipe = recipe_of("event_folder");
  surge_data_pass pass = {.train = true, .seed = 3, .epoch = 5};
  make_set();
  expect_same(&recipe, &still, 1);
  expect_same(&recipe, &still, 1); /* found */
  recipe.roll = 3;
  expect_same(&recipe, &pass, 1); /* rolled afterwards */
  recipe.split_by = SURGE_FRAMES_BY_TIME;
  expect_same(&recipe, &still, 2);
  recipe.counts = SURGE_COUNTS_BINARY;
  expect_same(&recipe, &still, 3);
  write_events("set/a/0.bin", 5, 40); /* as long as before */
  expect_same(&recipe, &still, 4);
  recipe.drop_event = true; /* other events every epoch: not kept */
  expect_same(&recipe, &pass, 4);
}

/* An entry with a byte changed, cut off or longer is made again. */
Test(frame_cache, damaged_entries_are_made_again) {
  struct surge_data_recipe recipe = recipe_of("event_folder");
  glob_t found;
  size_t size;
  make_set();
  expect_same(&recipe, &still, 1);
  cr_assert_eq(glob(test_path("cache/*.frames"), 0, NULL, &found), 0);
  for (int damage = 0; damage < 3; damage++) {
    uint8_t *bytes = test_read_file(found.gl_pathv[0], &size);
    if (damage == 0) bytes[size / 2] ^= 1;
    size_t left = damage == 1 ? size - 9 : damage == 2 ? size + 1 : size;
    test_write_file(found.gl_pathv[0], bytes, left);
    free(bytes);
    expect_same(&recipe, &still, 1);
    bytes = test_read_file(found.gl_pathv[0], &left);
    cr_expect_eq(left, size, "damage %d: not made again", damage);
    free(bytes);
  }
  globfree(&found);
}

Test(frame_cache, a_folder_that_cannot_be_is_an_error) {
  struct surge_data_recipe recipe = recipe_of("event_folder");
  surge_dataset set;
  uint8_t frames[BYTES];
  make_set();
  snprintf(recipe.cache, sizeof recipe.cache, "%s", test_path("no/cache"));
  cr_assert_eq(surge_dataset_describe(&info, &recipe, T), SURGE_OK);
  cr_expect_eq(surge_dataset_open(&set, &info, &recipe, SURGE_TRAIN),
               SURGE_ERROR_DATA);
  cr_expect(strstr(surge_last_error(), "data.cache: "));
  /* a file where the folder should be: what cannot be kept stops the run */
  test_write_file(test_path("file"), "x", 1);
  snprintf(recipe.cache, sizeof recipe.cache, "%s", test_path("file"));
  recipe.on_error = SURGE_ON_ERROR_SKIP;
  cr_expect_eq(read_sample(&recipe, &still, frames), SURGE_ERROR_DEVICE);
  cr_expect(strstr(surge_last_error(), "data.cache: "));
}

/* --- DVS128 Gesture ------------------------------------------------------- */

/* As many windows as the set has, in two recordings a split: window w of a
 * recording has the events of 100 w .. 100 w + 79 us, eight of them. */
static void make_gestures(const char *list, const char *name, int count) {
  char path[64], *text = malloc(1 << 16);
  size_t size = 0;
  for (int file = 0; file < 2; file++)
    size += (size_t)sprintf(text + size, "%s%d.aedat\r\n", name, file);
  snprintf(path, sizeof path, "set/%s", list);
  test_write_file(test_path(path), text, size);
  for (int file = 0; file < 2; file++) {
    int windows = file ? count - count / 2 : count / 2;
    size = (size_t)sprintf(text, "class,startTime_usec,endTime_usec\n");
    for (int w = 0; w < windows; w++)
      size += (size_t)sprintf(text + size, "%d,%d,%d\n", 1 + w % 11, 100 * w,
                              100 * w + 80);
    snprintf(path, sizeof path, "set/%s%d_labels.csv", name, file);
    test_write_file(test_path(path), text, size);
    snprintf(path, sizeof path, "set/%s%d.aedat", name, file);
    write_events(path, 2 + file, 300);
  }
  free(text);
}

static void make_gesture_set(void) {
  mkdir(test_path("set"), 0777);
  make_gestures("trials_to_train.txt", "one", 1176);
  make_gestures("trials_to_test.txt", "two", 288);
}

Test(dvs_gesture, windows_of_recordings_are_samples) {
  struct surge_data_recipe recipe = recipe_of("dvs_gesture");
  static uint8_t frames[T * 128 * 128 * 2];
  surge_dataset set;
  make_gesture_set();
  for (int split = 0; split < 2; split++) {
    cr_assert_eq(surge_dataset_describe(&info, &recipe, T), SURGE_OK);
    cr_assert_eq(surge_dataset_open(&set, &info, &recipe, (surge_split)split),
                 SURGE_OK, "%s", surge_last_error());
    int half = split ? 144 : 588;
    cr_assert_eq(set.count, 2 * half);
    cr_expect_eq(set.labels[half + 12], 1);
    cr_expect_str_eq(surge_dataset_class(&set, 1), "right hand wave");
    for (uint32_t w = 0; w < 3; w++) { /* of the second recording */
      int at_x = 0, all = 0;
      cr_assert_eq(
          surge_dataset_image(&set, (uint32_t)half + w, &still, frames),
          SURGE_OK, "%s", surge_last_error());
      for (int i = 0; i < (int)sizeof frames; i++) {
        all += frames[i];
        if (i / 2 % 128 == 3) at_x += frames[i];
      }
      cr_expect(all == 8 && at_x == 8, "window %u: %d events", w, all);
      /* events 10 w .. 10 w + 3 in the first frame, of rows e % 8 */
      for (int e = 0; e < 8; e++) {
        size_t row = (10 * w + (size_t)e) % SIDE;
        size_t at = (((size_t)e / 4 * 128 + row) * 128 + 3) * 2;
        cr_expect_eq(frames[at], 1, "window %u: event %d", w, e);
      }
    }
    surge_dataset_close(&set);
  }
  cr_expect_eq(surge_dataset_probe(&recipe), SURGE_OK);
}

Test(dvs_gesture, says_what_is_wrong) {
  static const struct {
    const char *file, *text, *words;
  } cases[] = {
      {"set/trials_to_train.txt", "one0.aedat\nnotes.txt\n",
       "trials_to_train.txt:2: wanted the name of an .aedat file, found notes"},
      {"set/trials_to_train.txt", "gone.aedat\n",
       "gone_labels.csv: No such file"},
      {"set/trials_to_train.txt", "one0.aedat\n",
       "wanted 1176 windows, found 588"},
      {"set/one1_labels.csv", "class,a,b\n12,0,5\n",
       "one1_labels.csv:2: wanted a class from 1 to 11"},
      {"set/one1_labels.csv", "class,a,b\n1,5,5\n", "a later end, found 1,5,5"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct surge_data_recipe recipe = recipe_of("dvs_gesture");
    surge_dataset set;
    make_gesture_set();
    test_write_file(test_path(cases[i].file), cases[i].text,
                    strlen(cases[i].text));
    cr_assert_eq(surge_dataset_describe(&info, &recipe, T), SURGE_OK);
    cr_expect_eq(surge_dataset_open(&set, &info, &recipe, SURGE_TRAIN),
                 SURGE_ERROR_DATA, "%zu", i);
    cr_expect(strstr(surge_last_error(), cases[i].words), "said '%s', not '%s'",
              surge_last_error(), cases[i].words);
  }
}
