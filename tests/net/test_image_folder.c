/* test_image_folder.c - does a folder of images become batches, the same ones
 * with any number of workers, and is what is wrong with it said by name? */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "src/data/image.h"
#include "src/data/readers.h"
#include "tests/support/folder.h"
#include "tests/support/images.h"

TestSuite(image_folder, .init = test_folder_make, .fini = test_folder_remove);

/* --- image files ---------------------------------------------------------- */

static void expect_error(surge_status status, surge_status wanted,
                         const char *word, const char *other,
                         const char *name) {
  cr_expect_eq(status, wanted, "%s: status %d", name, (int)status);
  cr_expect(strstr(surge_last_error(), word), "%s: '%s' is not in: %s", name,
            word, surge_last_error());
  cr_expect(strstr(surge_last_error(), other), "%s: '%s' is not in: %s", name,
            other, surge_last_error());
}

static void expect_unreadable(const char *path, const char *word,
                              const char *name) {
  surge_image image;
  expect_error(surge_image_read(&image, path), SURGE_ERROR_DATA, path, word,
               name);
  cr_expect(!image.rgb, "%s: a refused image is not empty", name);
}

/* A JPEG that ends early, at any byte, is refused; a PNG too, unless nothing
 * but its end mark is missing. */
Test(image_folder, refuses_images_that_are_cut_off) {
  static const uint8_t rgb[3] = {200, 100, 50};
  const char *jpeg = test_path("a.jpg"), *png = test_path("a.png");
  const char *part = test_path("part");
  test_write_jpeg(jpeg, 9, 33, rgb);
  test_write_png(png, 9, 33, rgb);
  for (int kind = 0; kind < 2; kind++) {
    size_t size;
    uint8_t *bytes = test_read_file(kind ? png : jpeg, &size);
    surge_image image;
    cr_assert_eq(surge_image_read(&image, kind ? png : jpeg), SURGE_OK, "%s",
                 surge_last_error());
    cr_expect(image.h == 9 && image.w == 33);
    surge_image_free(&image);
    for (size_t n = 0; n < size - (kind ? 16 : 0); n++) {
      test_write_file(part, bytes, n);
      expect_unreadable(part, "wanted ", kind ? "cut PNG" : "cut JPEG");
    }
    free(bytes);
  }
}

Test(image_folder, refuses_what_is_no_image) {
  static const uint8_t png[] =
      "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x40\0\0\0\x40\0\0\0\x08\2\0\0\0....";
  static const struct {
    const char *name, *bytes;
    size_t size;
    const char *word;
  } cases[] = {
      {"empty", "", 0, "wanted a JPEG or PNG image, found 0 bytes"},
      {"text", "hello", 5, "found 5 bytes that begin with 68 65 6c 6c 6f"},
      {"GIF", "GIF89a....", 10, "47 49 46 38 39 61 2e 2e"},
      {"JPEG of noise", "\xff\xd8\xff\xe0noise and more noise", 24,
       "wanted a whole JPEG image"},
      {"PNG of noise", "\x89PNG\r\n\x1a\nnoise and more noise", 28,
       "wanted a whole PNG image"},
      {"PNG of 2^60 pixels", (const char *)png, sizeof png - 1, "wanted "},
  };
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    test_write_file(test_path("x.jpg"), cases[k].bytes, cases[k].size);
    expect_unreadable(test_path("x.jpg"), cases[k].word, cases[k].name);
  }
  expect_unreadable(test_path("none.jpg"), "No such file", "missing");
  expect_unreadable(test_folder(), "directory", "a folder");
}

/* A byte between two segments is passed over, as every decoder does; an end
 * mark in the midst of the data is not. */
Test(image_folder, tells_harmless_warnings_from_damage) {
  static const uint8_t rgb[3] = {10, 100, 250};
  enum { JFIF_END = 2 + 2 + 16 }; /* start mark, mark, segment */
  size_t size;
  surge_image image;
  const char *path = test_path("a.jpg");
  test_write_jpeg(path, 16, 16, rgb);
  uint8_t *bytes = test_read_file(path, &size); /* one byte more than size */
  memmove(bytes + JFIF_END + 1, bytes + JFIF_END, size - JFIF_END);
  bytes[JFIF_END] = 0;
  test_write_file(path, bytes, size + 1);
  cr_expect_eq(surge_image_read(&image, path), SURGE_OK, "%s",
               surge_last_error());
  surge_image_free(&image);
  bytes[size - 4] = 0xff;
  bytes[size - 3] = 0xd9;
  test_write_file(path, bytes, size + 1);
  expect_unreadable(path, "wanted a whole JPEG image", "early end");
  free(bytes);
}

static void put_32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Samples are taken as they are stored, whatever gamma the file says: gAMA in
 * place of sRGB, which would count for more. */
Test(image_folder, does_not_apply_gamma) {
  static const uint8_t rgb[3] = {10, 100, 250};
  static const uint32_t gammas[] = {100000, 45455, 22222}; /* of 100000 */
  enum { HEAD = 8 + 25, SRGB = 12 + 1, GAMA = 12 + 4 };    /* HEAD: with IHDR */
  const char *path = test_path("a.png");
  size_t size;
  test_write_png(path, 5, 7, rgb);
  uint8_t *bytes = test_read_file(path, &size);
  uint8_t *with = malloc(size + GAMA), *gamma = with + HEAD;
  cr_assert_arr_eq(bytes + HEAD + 4, "sRGB", 4);
  memcpy(with, bytes, HEAD);
  memcpy(gamma + GAMA, bytes + HEAD + SRGB, size - HEAD - SRGB);
  for (size_t k = 0; k < sizeof gammas / sizeof *gammas; k++) {
    surge_image image;
    put_32(gamma, 4);
    memcpy(gamma + 4, "gAMA", 4);
    put_32(gamma + 8, gammas[k]);
    put_32(gamma + 12, (uint32_t)crc32(0, gamma + 4, 8));
    test_write_file(path, with, size - SRGB + GAMA);
    cr_assert_eq(surge_image_read(&image, path), SURGE_OK, "%s",
                 surge_last_error());
    int wrong = 0;
    for (int i = 0; i < 5 * 7 * 3; i++) wrong += image.rgb[i] != rgb[i % 3];
    cr_expect_eq(wrong, 0, "gamma %u: %d bytes are wrong", (unsigned)gammas[k],
                 wrong);
    surge_image_free(&image);
  }
  free(with);
  free(bytes);
}

/* --- folders -------------------------------------------------------------- */

/* Class k's image i has the colour (40 k + 5, 20 i + 5, 90 split), so that one
 * pixel tells the file. */
enum { CLASSES = 3, SIZE = 8, BYTES = SIZE * SIZE * 3 };
static const char *const classes[CLASSES] = {"ant", "bee", "cat"};
static const int images[2][CLASSES] = {{4, 2, 5}, {2, 1, 2}};
enum { TRAIN_COUNT = 11, TEST_COUNT = 5 };

static const char *file_name(int split, int k, int i) {
  char name[96];
  snprintf(name, sizeof name, "%s/%s/%02d.%s", split ? "val" : "train",
           classes[k], i, i % 2 ? "PNG" : "JPEG");
  return test_path(name);
}

static void make_folders(void) {
  mkdir(test_path("train"), 0777);
  mkdir(test_path("val"), 0777);
  for (int split = 0; split < 2; split++)
    for (int k = CLASSES - 1; k >= 0; k--) {
      char name[64];
      snprintf(name, sizeof name, "%s/%s", split ? "val" : "train", classes[k]);
      mkdir(test_path(name), 0777);
      for (int i = 0; i < images[split][k]; i++) {
        const uint8_t rgb[3] = {(uint8_t)(40 * k + 5), (uint8_t)(20 * i + 5),
                                (uint8_t)(split * 90)};
        (i % 2 ? test_write_png : test_write_jpeg)(file_name(split, k, i),
                                                   10 + k, 9 + 3 * i, rgb);
      }
    }
}

static struct surge_data_recipe recipe_of(surge_on_error on_error) {
  struct surge_data_recipe recipe = {
      .set = "image_folder", .size = SIZE, .on_error = on_error};
  snprintf(recipe.path, sizeof recipe.path, "%s", test_folder());
  return recipe;
}

static surge_dataset_info info;

static surge_dataset open_set(surge_split split, surge_on_error on_error) {
  struct surge_data_recipe recipe = recipe_of(on_error);
  surge_dataset set;
  cr_assert_eq(surge_dataset_describe(&info, &recipe, 4), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(surge_dataset_open(&set, &info, &recipe, split), SURGE_OK, "%s",
               surge_last_error());
  return set;
}

/* Class and number in the class of sample s: the first of each class, then the
 * second of each, ... */
static void place_of(int split, uint32_t s, int *k, int *i) {
  uint32_t at = 0;
  for (*i = 0;; ++*i)
    for (*k = 0; *k < CLASSES; ++*k)
      if (*i < images[split][*k] && at++ == s) return;
}

/* The colour comes through JPEG within 3. */
static void expect_image(const uint8_t *image, int split, uint32_t sample) {
  int k, i, wrong = 0;
  place_of(split, sample, &k, &i);
  const int rgb[3] = {40 * k + 5, 20 * i + 5, 90 * split};
  for (int p = 0; p < BYTES; p++) wrong += abs(image[p] - rgb[p % 3]) > 3;
  cr_expect_eq(wrong, 0, "sample %u: %d bytes are wrong", sample, wrong);
}

Test(image_folder, lists_and_decodes) {
  make_folders();
  test_write_file(test_path("train/words.txt"), "ant\n", 4);
  test_write_file(test_path("train/ant/notes.txt"), "x", 1);
  test_write_file(test_path("train/ant/.hidden.png"), "x", 1);
  for (int split = 0; split < 2; split++) {
    surge_dataset set = open_set((surge_split)split, SURGE_ON_ERROR_STOP);
    cr_expect(info.h == SIZE && info.w == SIZE && info.c == 3);
    cr_expect_eq(info.classes, CLASSES);
    cr_expect_eq(info.resize, 9, "8 * 256 / 224, found %d", info.resize);
    cr_assert_eq(set.count, split ? TEST_COUNT : TRAIN_COUNT);
    for (uint32_t s = 0; s < (uint32_t)set.count; s++) {
      uint8_t image[BYTES];
      int k, i;
      place_of(split, s, &k, &i);
      cr_expect_eq(set.labels[s], k, "label of sample %u", s);
      surge_data_pass pass = {.train = s % 2, .seed = 3};
      cr_assert_eq(surge_dataset_image(&set, s, &pass, image), SURGE_OK, "%s",
                   surge_last_error());
      expect_image(image, split, s);
    }
    surge_dataset_close(&set);
  }
  surge_dataset one;
  cr_assert_eq(surge_dataset_open_file(&one, &info, file_name(1, 2, 1)),
               SURGE_OK);
  cr_expect_eq(one.count, 1);
  expect_image(one.images, 1, 4);
  surge_dataset_close(&one);
}

static void rename_folder(const char *from, const char *to) {
  char old[TEST_PATH], new[TEST_PATH];
  snprintf(old, sizeof old, "%s", test_path(from));
  snprintf(new, sizeof new, "%s", test_path(to));
  cr_assert_eq(rename(old, new), 0);
}

/* `test` is read where there is no `val`. */
Test(image_folder, reads_test_where_there_is_no_val) {
  make_folders();
  rename_folder("val", "test");
  surge_dataset set = open_set(SURGE_TEST, SURGE_ON_ERROR_STOP);
  cr_expect_eq(set.count, TEST_COUNT);
  surge_dataset_close(&set);
}

#define REFUSED(status, word, other)                                           \
  expect_error(surge_dataset_describe(&found, &recipe, 4), status, word,       \
               other, word)

Test(image_folder, says_what_is_wrong_with_folders) {
  struct surge_data_recipe recipe = recipe_of(SURGE_ON_ERROR_STOP);
  surge_dataset_info found;
  surge_dataset set;
  REFUSED(SURGE_ERROR_DATA, test_folder(), "wanted a folder train, found none");
  mkdir(test_path("train"), 0777);
  mkdir(test_path("val"), 0777);
  REFUSED(SURGE_ERROR_DATA, test_path("train"),
          "wanted a folder for each class, found none");
  make_folders();
  cr_assert_eq(surge_dataset_describe(&found, &recipe, 4), SURGE_OK);
  mkdir(test_path("train/bear"), 0777);
  REFUSED(SURGE_ERROR_DATA, test_path("val"), "found no bear");
  expect_error(surge_dataset_probe(&recipe), SURGE_ERROR_DATA, test_path("val"),
               "found no bear", "probe");
  mkdir(test_path("val/bear"), 0777);
  cr_assert_eq(surge_dataset_describe(&found, &recipe, 4), SURGE_OK);
  expect_error(surge_dataset_open(&set, &found, &recipe, SURGE_TRAIN),
               SURGE_ERROR_DATA, test_path("train/bear"),
               "wanted at least one .jpg, .jpeg or .png file", "empty class");
  cr_expect(!set.files && !set.labels && set.count == 0);
  rmdir(test_path("train/bear"));
  REFUSED(SURGE_ERROR_DATA, test_path("train"), "found no bear");
  rmdir(test_path("val/bear"));
  mkdir(test_path("val/zebra"), 0777); /* behind the last */
  REFUSED(SURGE_ERROR_DATA, test_path("train"), "found no zebra");
  rmdir(test_path("val/zebra"));
  recipe.crop_pad = SIZE;
  REFUSED(SURGE_ERROR_RECIPE, "data.crop_pad: wanted less than",
          "of image_folder, 8, found 8");
  recipe.crop_pad = SIZE - 1;
  cr_assert_eq(surge_dataset_describe(&found, &recipe, 4), SURGE_OK);
  recipe.path[0] = 0;
  REFUSED(SURGE_ERROR_DATA, "image_folder: data.path: wanted a folder", "val/");
}

/* Who evaluates need not have the training images; the probe wants both. */
Test(image_folder, opens_the_split_that_is_there) {
  static const char *const names[2] = {"train", "val"};
  static const char *const missing[2] = {"wanted a folder train, found none",
                                         "wanted a folder val or test, found "
                                         "none"};
  static const int32_t count[2] = {TRAIN_COUNT, TEST_COUNT};
  struct surge_data_recipe recipe = recipe_of(SURGE_ON_ERROR_STOP);
  make_folders();
  for (int gone = 0; gone < 2; gone++) {
    rename_folder(names[gone], "elsewhere");
    surge_dataset set = open_set((surge_split)!gone, SURGE_ON_ERROR_STOP);
    cr_expect_eq(info.classes, CLASSES);
    cr_expect_eq(set.count, count[!gone]);
    surge_dataset_close(&set);
    expect_error(surge_dataset_open(&set, &info, &recipe, (surge_split)gone),
                 SURGE_ERROR_DATA, missing[gone], "name in", "open");
    expect_error(surge_dataset_probe(&recipe), SURGE_ERROR_DATA, missing[gone],
                 "name in", "probe");
    rename_folder("elsewhere", names[gone]);
  }
}

/* A class that is passed over would move the labels of those behind it. */
Test(image_folder, refuses_a_class_that_leads_nowhere) {
  struct surge_data_recipe recipe = recipe_of(SURGE_ON_ERROR_STOP);
  surge_dataset_info found;
  make_folders();
  for (int split = 0; split < 2; split++) {
    const char *link = test_path(split ? "val/ball" : "train/ball");
    cr_assert_eq(symlink("nowhere", link), 0);
    REFUSED(SURGE_ERROR_DATA, link, "No such file");
    unlink(link);
  }
  /* a link to a folder is one */
  cr_assert_eq(symlink("ant", test_path("train/ball")), 0);
  cr_assert_eq(symlink("ant", test_path("val/ball")), 0);
  cr_assert_eq(surge_dataset_describe(&found, &recipe, 4), SURGE_OK, "%s",
               surge_last_error());
  cr_expect_eq(found.classes, CLASSES + 1);
}

/* --- batches -------------------------------------------------------------- */

/* Everything that an epoch of batches of 4 gives, one after another. */
typedef struct epoch {
  uint8_t images[TRAIN_COUNT * BYTES];
  uint32_t samples[TRAIN_COUNT];
  int32_t labels[TRAIN_COUNT], n[4], count, batches;
} epoch;

static surge_loader *make_loader(const surge_dataset *set, int32_t workers) {
  uint32_t samples[TRAIN_COUNT];
  surge_loader *loader;
  for (uint32_t s = 0; s < TRAIN_COUNT; s++) samples[s] = s;
  cr_assert_eq(
      surge_loader_create(&loader, set, samples, set->count, 4, workers),
      SURGE_OK, "%s", surge_last_error());
  return loader;
}

static surge_status read_epoch(surge_loader *loader, epoch *e, bool train,
                               uint32_t number) {
  surge_data_pass pass = {.train = train, .seed = 5, .epoch = number};
  memset(e, 0, sizeof *e);
  cr_assert_eq(surge_loader_start(loader, &pass, 0), SURGE_OK);
  for (;;) {
    surge_batch batch;
    SURGE_TRY(surge_loader_next(loader, &batch));
    if (batch.n == 0) return SURGE_OK;
    size_t n = (size_t)batch.n;
    memcpy(e->images + e->count * BYTES, batch.images, n * BYTES);
    memcpy(e->samples + e->count, batch.sample, n * sizeof *batch.sample);
    memcpy(e->labels + e->count, batch.labels, n * sizeof *batch.labels);
    e->n[e->batches++] = batch.n;
    e->count += batch.n;
  }
}

Test(image_folder, batches_do_not_depend_on_workers) {
  make_folders();
  surge_dataset set = open_set(SURGE_TRAIN, SURGE_ON_ERROR_STOP);
  static epoch want[4], got;
  for (int32_t workers = 1; workers <= 5; workers += 2) {
    surge_loader *loader = make_loader(&set, workers);
    for (int pass = 0; pass < 4; pass++) { /* epochs 0, 1, 2, and the centre */
      epoch *e = workers == 1 ? &want[pass] : &got;
      cr_assert_eq(read_epoch(loader, e, pass < 3, (uint32_t)pass), SURGE_OK);
      cr_expect_eq(e->count, TRAIN_COUNT);
      cr_expect_eq(memcmp(e, &want[pass], sizeof *e), 0, "%d workers, pass %d",
                   workers, pass);
      for (int32_t i = 0; i < e->count; i++)
        expect_image(e->images + i * BYTES, 0, e->samples[i]);
    }
    surge_loader_destroy(loader);
  }
  surge_dataset_close(&set);
}

/* A ramp shows which part is seen: another one in another
 * epoch and for another sample, the same one again. */
Test(image_folder, parts_are_drawn_by_seed_epoch_and_sample) {
  surge_image image = {.h = 64, .w = 64, .rgb = malloc(64 * 64 * 3)};
  for (int i = 0; i < 64 * 64 * 3; i++)
    image.rgb[i] = (uint8_t)(i / 3 % 64 * 4);
  uint8_t out[5][BYTES];
  const struct {
    uint64_t seed;
    uint32_t epoch, sample;
  } cases[5] = {{1, 0, 0}, {1, 0, 0}, {2, 0, 0}, {1, 1, 0}, {1, 0, 1}};
  for (int k = 0; k < 5; k++) {
    surge_data_pass pass = {true, cases[k].seed, cases[k].epoch};
    surge_part part = surge_part_random(64, 64, SIZE, &pass, cases[k].sample);
    cr_assert_eq(surge_image_resize(&image, &part, out[k]), SURGE_OK);
    cr_expect_eq(memcmp(out[k], out[0], BYTES) == 0, k < 2, "case %d", k);
  }
  surge_image_free(&image);
}

/* --- images that cannot be read ------------------------------------------- */

static void damage(int split, int k, int i) {
  test_cut_file(file_name(split, k, i), 60);
}

/* The first in the batch's order is named, whichever worker comes first; the
 * next call says the same; the loader ends and begins anew. */
Test(image_folder, stops_at_an_image_that_cannot_be_read) {
  make_folders();
  damage(0, 2, 0); /* sample 2 */
  damage(0, 0, 1); /* sample 3, of the same batch */
  damage(0, 2, 3);
  surge_dataset set = open_set(SURGE_TRAIN, SURGE_ON_ERROR_STOP);
  for (int32_t workers = 1; workers <= 3; workers++) {
    surge_loader *loader = make_loader(&set, workers);
    for (int again = 0; again < 3; again++) {
      epoch e;
      surge_batch batch;
      expect_error(read_epoch(loader, &e, false, 0), SURGE_ERROR_DATA,
                   file_name(0, 2, 0),
                   "wanted a whole JPEG image, found: ", "stop");
      cr_expect_eq(e.count, 0);
      expect_error(surge_loader_next(loader, &batch), SURGE_ERROR_DATA,
                   file_name(0, 2, 0), "", "once more");
      cr_expect_eq(batch.n, 0);
    }
    surge_loader_destroy(loader);
  }
  cr_expect_eq(surge_dataset_skipped(&set), 0, "nothing is counted");
  surge_dataset_close(&set);
}

/* In training the next of the epoch's order stands in, at the end the first. */
Test(image_folder, training_goes_on_with_the_next_image) {
  make_folders();
  surge_dataset whole = open_set(SURGE_TRAIN, SURGE_ON_ERROR_STOP);
  surge_loader *loader = make_loader(&whole, 1);
  static epoch order, got;
  cr_assert_eq(read_epoch(loader, &order, true, 0), SURGE_OK);
  surge_loader_destroy(loader);
  surge_dataset_close(&whole);
  const int bad[] = {3, 4, TRAIN_COUNT - 1}; /* places in the order */
  const int stand_in[] = {5, 5, 0};
  for (int b = 0; b < 3; b++) {
    int k, i;
    place_of(0, order.samples[bad[b]], &k, &i);
    damage(0, k, i);
  }
  surge_dataset set = open_set(SURGE_TRAIN, SURGE_ON_ERROR_SKIP);
  cr_expect(surge_dataset_skips(&set));
  for (int32_t workers = 1; workers <= 3; workers += 2) {
    loader = make_loader(&set, workers);
    cr_assert_eq(read_epoch(loader, &got, true, 0), SURGE_OK, "%s",
                 surge_last_error());
    cr_expect(got.n[0] == 4 && got.n[1] == 4 && got.n[2] == 3,
              "sizes are kept");
    for (int p = 0; p < TRAIN_COUNT; p++) {
      int from = p;
      for (int b = 0; b < 3; b++)
        if (bad[b] == p) from = stand_in[b];
      cr_expect_eq(got.samples[p], order.samples[from], "place %d", p);
      cr_expect_eq(got.labels[p], order.labels[from], "label %d", p);
      cr_expect_arr_eq(got.images + p * BYTES, order.images + from * BYTES,
                       BYTES, "image %d", p);
    }
    surge_loader_destroy(loader);
  }
  cr_expect_eq(surge_dataset_skipped(&set), 3, "each is counted once");
  surge_dataset_close(&set);
}

/* Elsewhere they are left out, and a batch of none is passed over. */
Test(image_folder, evaluation_leaves_images_out) {
  make_folders();
  for (int s = 4; s < 10; s++) { /* batch 1 whole, two of batch 2 */
    int k, i;
    place_of(0, (uint32_t)s, &k, &i);
    damage(0, k, i);
  }
  damage(0, 1, 0); /* sample 1 */
  surge_dataset set = open_set(SURGE_TRAIN, SURGE_ON_ERROR_SKIP);
  static const uint32_t left[] = {0, 2, 3, 10};
  for (int32_t workers = 1; workers <= 3; workers += 2) {
    surge_loader *loader = make_loader(&set, workers);
    static epoch e;
    cr_assert_eq(read_epoch(loader, &e, false, 0), SURGE_OK);
    cr_expect(e.batches == 2 && e.n[0] == 3 && e.n[1] == 1, "%d batches",
              e.batches);
    cr_expect_arr_eq(e.samples, left, sizeof left);
    for (int32_t i = 0; i < e.count; i++) {
      expect_image(e.images + i * BYTES, 0, left[i]);
      cr_expect_eq(e.labels[i], set.labels[left[i]]);
    }
    surge_loader_destroy(loader);
  }
  /* each is named once, in the set's order */
  static const uint32_t bad[] = {1, 4, 5, 6, 7, 8, 9};
  uint32_t sample = 0;
  for (int b = 0; b < 7; b++) {
    int k, i;
    const char *line = surge_dataset_next_skipped(&set, &sample);
    place_of(0, bad[b], &k, &i);
    cr_assert_not_null(line);
    cr_expect_not_null(strstr(line, file_name(0, k, i)), "%s", line);
    cr_expect_eq(sample, bad[b] + 1);
  }
  for (sample = 0; sample < TRAIN_COUNT; sample++)
    cr_expect_null(surge_dataset_next_skipped(&set, &sample));
  cr_expect_eq(surge_dataset_skipped(&set), 7);
  surge_dataset_close(&set);
}

/* Where none can be read there is nothing to train on. */
Test(image_folder, refuses_a_set_of_which_nothing_can_be_read) {
  make_folders();
  for (uint32_t s = 0; s < TRAIN_COUNT; s++) {
    int k, i;
    place_of(0, s, &k, &i);
    damage(0, k, i);
  }
  surge_dataset set = open_set(SURGE_TRAIN, SURGE_ON_ERROR_SKIP);
  surge_loader *loader = make_loader(&set, 2);
  static epoch e;
  expect_error(read_epoch(loader, &e, true, 0), SURGE_ERROR_DATA,
               "wanted a training image that can be read", "none of 11", "all");
  cr_expect_eq(read_epoch(loader, &e, false, 0), SURGE_OK);
  cr_expect_eq(e.batches, 0);
  surge_loader_destroy(loader);
  surge_dataset_close(&set);
}
