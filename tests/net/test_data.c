/* test_data.c - are data files read right, and refused with the right words?
 *
 * Sets of a few samples are written into a temporary folder; the real sets
 * are read where they are installed and skipped by name where they are not. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/data/readers.h"
#include "tests/support/folder.h"

TestSuite(data, .init = test_folder_make, .fini = test_folder_remove);

/* --- what a failed read must look like ------------------------------------ */

static void expect_refused(surge_status status, surge_status wanted,
                           const char *word, const char *other,
                           const char *name) {
  cr_expect_eq(status, wanted, "%s: status %d", name, (int)status);
  const char *text = surge_last_error();
  cr_expect(strstr(text, word) != NULL, "%s: '%s' is not in: %s", name, word,
            text);
  cr_expect(strstr(text, other) != NULL, "%s: '%s' is not in: %s", name, other,
            text);
}

static void expect_empty(const surge_dataset *set, const char *name) {
  cr_expect(!set->images && !set->labels && set->count == 0,
            "%s: a refused set is not empty", name);
}

/* --- IDX ------------------------------------------------------------------ */

enum { TRAIN = 7, TEST = 4, H = 3, W = 5, PIXELS = H * W };
enum { IMAGE_FILE = 16 + TRAIN * PIXELS, LABEL_FILE = 8 + TRAIN };

static const surge_dataset_info tiny = {.name = "tiny",
                                        .h = H,
                                        .w = W,
                                        .c = 1,
                                        .classes = 10,
                                        .train_count = TRAIN,
                                        .test_count = TEST,
                                        .default_path = "",
                                        .install_hint = "make it yourself"};

static uint8_t pixel_of(int sample, int i) {
  return (uint8_t)(sample * 31 + i * 7 + 1);
}
static uint8_t label_of(int sample) { return (uint8_t)(9 - sample); }

/* `count` samples as the two files of IDX; arrays of the sizes above. (Inlined,
 * GCC 12 warns of its own vectorised loop.) */
__attribute__((noinline)) static void idx_bytes(uint8_t *images,
                                                uint8_t *labels, int count) {
  const uint8_t head[] = {0, 0, 8, 3, 0, 0, 0, (uint8_t)count,
                          0, 0, 0, H, 0, 0, 0, W};
  memcpy(images, head, sizeof head);
  memcpy(labels, head, 8);
  labels[3] = 1;
  for (int s = 0; s < count; s++) {
    labels[8 + s] = label_of(s);
    for (int i = 0; i < PIXELS; i++)
      images[16 + s * PIXELS + i] = pixel_of(s, i);
  }
}

static void expect_samples(const surge_dataset *set, int count,
                           const char *name) {
  cr_assert_eq(set->count, count, "%s: count", name);
  for (int s = 0; s < count; s++) {
    cr_expect_eq(set->labels[s], label_of(s), "%s: label %d", name, s);
    for (int i = 0; i < PIXELS; i++)
      cr_expect_eq(set->images[s * PIXELS + i], pixel_of(s, i),
                   "%s: sample %d pixel %d", name, s, i);
  }
}

typedef void write_file(const char *path, const void *bytes, size_t size);

Test(data, idx_reads_every_spelling) {
  static const struct {
    const char *name, *images, *labels;
    write_file *write;
    surge_split split;
    int count;
  } cases[] = {
      {"plain", "train-images-idx3-ubyte", "train-labels-idx1-ubyte",
       test_write_file, SURGE_TRAIN, TRAIN},
      {"gzip", "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
       test_write_gzip, SURGE_TRAIN, TRAIN},
      {"dots", "train-images.idx3-ubyte", "train-labels.idx1-ubyte",
       test_write_file, SURGE_TRAIN, TRAIN},
      {"dots, gzip", "train-images.idx3-ubyte.gz", "train-labels.idx1-ubyte.gz",
       test_write_gzip, SURGE_TRAIN, TRAIN},
      {"plain, named .gz", "train-images-idx3-ubyte.gz",
       "train-labels-idx1-ubyte", test_write_file, SURGE_TRAIN, TRAIN},
      {"test split", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
       test_write_file, SURGE_TEST, TEST},
  };
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    uint8_t images[IMAGE_FILE], labels[LABEL_FILE];
    idx_bytes(images, labels, cases[k].count);
    size_t count = (size_t)cases[k].count;
    const char *image_path = test_path(cases[k].images);
    const char *label_path = test_path(cases[k].labels);
    cases[k].write(image_path, images, 16 + count * PIXELS);
    cases[k].write(label_path, labels, 8 + count);
    surge_dataset set;
    surge_status status = surge_dataset_read(&set, &tiny, &surge_idx_reader,
                                             test_folder(), cases[k].split);
    cr_assert_eq(status, SURGE_OK, "%s: %s", cases[k].name, surge_last_error());
    expect_samples(&set, cases[k].count, cases[k].name);
    surge_dataset_close(&set);
    remove(image_path);
    remove(label_path);
  }
}

/* Writes the two training files and reads them. */
static surge_status read_idx(surge_dataset *set, write_file *write,
                             const void *images, size_t image_bytes,
                             const void *labels, size_t label_bytes) {
  write(test_path("train-images-idx3-ubyte.gz"), images, image_bytes);
  write(test_path("train-labels-idx1-ubyte.gz"), labels, label_bytes);
  return surge_dataset_read(set, &tiny, &surge_idx_reader, test_folder(),
                            SURGE_TRAIN);
}

Test(data, idx_refuses_wrong_bytes) {
  static const struct {
    const char *name;
    bool in_labels;
    size_t offset;
    uint8_t value;
    const char *found;
  } cases[] = {
      {"images: magic", false, 2, 9, "wanted 0x00000803, found 0x00000903"},
      {"labels where images are wanted", false, 3, 1,
       "wanted 0x00000803, found 0x00000801 (a file of labels)"},
      {"images where labels are wanted", true, 3, 3,
       "wanted 0x00000801, found 0x00000803 (a file of images)"},
      {"labels: magic", true, 0, 1, "wanted 0x00000801, found 0x01000801"},
      {"number of images", false, 7, 6, "number of images: wanted 7, found 6"},
      {"number of labels", true, 4, 1,
       "number of labels: wanted 7, found 16777223"},
      {"height", false, 11, 4, "height of an image: wanted 3, found 4"},
      {"width", false, 15, 0, "width of an image: wanted 5, found 0"},
      {"first label", true, 8, 10,
       "label of sample 0: wanted 0 to 9, found 10"},
      {"last label", true, LABEL_FILE - 1, 255,
       "label of sample 6: wanted 0 to 9, found 255"},
  };
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    uint8_t images[IMAGE_FILE], labels[LABEL_FILE];
    idx_bytes(images, labels, TRAIN);
    (cases[k].in_labels ? labels : images)[cases[k].offset] = cases[k].value;
    surge_dataset set;
    surge_status status = read_idx(&set, test_write_file, images, sizeof images,
                                   labels, sizeof labels);
    expect_refused(status, SURGE_ERROR_DATA, cases[k].found,
                   cases[k].in_labels ? "train-labels-idx1-ubyte.gz: "
                                      : "train-images-idx3-ubyte.gz: ",
                   cases[k].name);
    expect_empty(&set, cases[k].name);
  }
}

/* Every length but the right one is refused: plain and gzip, images and
 * labels; the file that is wrong is named. */
Test(data, idx_refuses_wrong_lengths) {
  uint8_t images[IMAGE_FILE + 1] = {0}, labels[LABEL_FILE + 1] = {0};
  idx_bytes(images, labels, TRAIN);
  surge_dataset set;
  for (int zipped = 0; zipped < 2; zipped++) {
    write_file *write = zipped ? test_write_gzip : test_write_file;
    for (size_t n = 0; n <= IMAGE_FILE + 1; n++) {
      if (n == IMAGE_FILE) continue;
      surge_status status =
          read_idx(&set, write, images, n, labels, LABEL_FILE);
      expect_refused(status, SURGE_ERROR_DATA, "train-images-idx3-ubyte.gz: ",
                     n > IMAGE_FILE ? "found more" : "before the end",
                     "images too short or long");
      expect_empty(&set, "images too short or long");
    }
    for (size_t n = 0; n <= LABEL_FILE + 1; n++) {
      if (n == LABEL_FILE) continue;
      surge_status status =
          read_idx(&set, write, images, IMAGE_FILE, labels, n);
      expect_refused(status, SURGE_ERROR_DATA, "train-labels-idx1-ubyte.gz: ",
                     n > LABEL_FILE ? "found more" : "before the end",
                     "labels too short or long");
      expect_empty(&set, "labels too short or long");
    }
  }
}

/* A gzip file cut at any byte is refused, the check sum at its end included;
 * so is every flipped byte but those of the gzip header that carry nothing
 * (flags, time, system), where the same samples come out. */
Test(data, idx_refuses_damaged_gzip) {
  uint8_t images[IMAGE_FILE], labels[LABEL_FILE];
  idx_bytes(images, labels, TRAIN);
  surge_dataset set;
  const char *path = test_path("whole.gz");
  test_write_gzip(path, images, sizeof images);
  size_t size;
  uint8_t *gzip = test_read_file(path, &size);
  for (size_t n = 0; n < size; n++) {
    surge_status status =
        read_idx(&set, test_write_file, gzip, n, labels, sizeof labels);
    expect_refused(status, SURGE_ERROR_DATA, "train-images-idx3-ubyte.gz: ", "",
                   "gzip cut off");
    expect_empty(&set, "gzip cut off");
  }
  for (size_t i = 0; i < size; i++) {
    gzip[i] ^= 0x41;
    if (read_idx(&set, test_write_file, gzip, size, labels, sizeof labels) ==
        SURGE_OK) {
      cr_expect(i >= 3 && i < 10, "gzip: flipped byte %zu is not noticed", i);
      expect_samples(&set, TRAIN, "gzip header");
    }
    surge_dataset_close(&set);
    gzip[i] ^= 0x41;
  }
  free(gzip);
}

Test(data, idx_names_what_is_missing) {
  uint8_t images[IMAGE_FILE], labels[LABEL_FILE];
  idx_bytes(images, labels, TRAIN);
  surge_dataset set;
  surge_status status = surge_dataset_read(&set, &tiny, &surge_idx_reader,
                                           test_path("none"), SURGE_TRAIN);
  expect_refused(status, SURGE_ERROR_DATA,
                 "/none: wanted a file train-images-idx3-ubyte or ",
                 "found none; make it yourself", "no folder");
  test_write_file(test_path("train-images-idx3-ubyte"), images, sizeof images);
  status = surge_dataset_read(&set, &tiny, &surge_idx_reader, test_folder(),
                              SURGE_TRAIN);
  expect_refused(status, SURGE_ERROR_DATA, " train-labels-idx1-ubyte or ",
                 "train-labels.idx1-ubyte.gz, found none", "no labels");
  mkdir(test_path("train-labels-idx1-ubyte"), 0777);
  status = surge_dataset_read(&set, &tiny, &surge_idx_reader, test_folder(),
                              SURGE_TRAIN);
  expect_refused(status, SURGE_ERROR_DATA,
                 "train-labels-idx1-ubyte: ", "directory",
                 "a folder in place of a file");
  expect_empty(&set, "a folder in place of a file");
}

/* --- CIFAR-10 and CIFAR-100 ----------------------------------------------- */

enum { CIFAR_TRAIN = 10, CIFAR_TEST = 2, MOST_RECORD = 2 + 3072 };

/* `labels` bytes before the planes, the last of them the class; training
 * samples in `files` files. */
static const struct cifar_version {
  surge_dataset_info info;
  const surge_reader *reader;
  int labels, files;
  const char *folder, *names[6]; /* the test file is the last */
  const char *broken;            /* the training file that tests damage */
} versions[] = {
    {{.name = "tiny",
      .h = 32,
      .w = 32,
      .c = 3,
      .classes = 10,
      .train_count = CIFAR_TRAIN,
      .test_count = CIFAR_TEST,
      .default_path = "",
      .install_hint = "make it yourself"},
     &surge_cifar10_reader,
     1,
     5,
     "cifar-10-batches-bin",
     {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
      "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"},
     "data_batch_3.bin"},
    {{.name = "tiny",
      .h = 32,
      .w = 32,
      .c = 3,
      .classes = 100,
      .train_count = CIFAR_TRAIN,
      .test_count = CIFAR_TEST,
      .default_path = "",
      .install_hint = "make it yourself"},
     &surge_cifar100_reader,
     2,
     1,
     "cifar-100-binary",
     {"train.bin", "test.bin"},
     "train.bin"},
};
enum { VERSIONS = sizeof versions / sizeof *versions };

/* The value at channel c, row y, column x; all three show in it. */
static uint8_t cifar_pixel(int sample, int c, int y, int x) {
  return (uint8_t)(sample + c * 85 + y * 3 + x * 7);
}

/* CIFAR-100 has classes that CIFAR-10 has not. */
static uint8_t cifar_label(const struct cifar_version *v, int sample) {
  return (uint8_t)(v->info.classes - 1 - sample % 10);
}

static size_t record_size(const struct cifar_version *v) {
  return (size_t)v->labels + 3072;
}

/* The coarse label is no class: read as one, it is refused. */
static void cifar_records(const struct cifar_version *v, uint8_t *records,
                          int first, int count) {
  for (int s = first; s < first + count; s++) {
    if (v->labels == 2) *records++ = 255;
    *records++ = cifar_label(v, s);
    for (int c = 0; c < 3; c++)
      for (int y = 0; y < 32; y++)
        for (int x = 0; x < 32; x++) *records++ = cifar_pixel(s, c, y, x);
  }
}

/* All files under `prefix` in the temporary folder. */
static void write_cifar(const struct cifar_version *v, const char *prefix) {
  int count = CIFAR_TRAIN / v->files;
  for (int f = 0; f <= v->files; f++) {
    static uint8_t records[CIFAR_TRAIN * MOST_RECORD];
    char name[64];
    int here = f < v->files ? count : CIFAR_TEST;
    cifar_records(v, records, f * count, here);
    snprintf(name, sizeof name, "%s%s", prefix, v->names[f]);
    test_write_file(test_path(name), records, (size_t)here * record_size(v));
  }
}

static surge_status read_cifar(const struct cifar_version *v,
                               surge_dataset *set, surge_split split) {
  return surge_dataset_read(set, &v->info, v->reader, test_folder(), split);
}

/* The samples of `set` are those written from `first` on, channels last. */
static void expect_cifar(const struct cifar_version *v,
                         const surge_dataset *set, int first, int count) {
  cr_assert_eq(set->count, count, "%s: count", v->folder);
  const uint8_t *image = set->images;
  int wrong = 0;
  for (int s = first; s < first + count; s++) {
    cr_expect_eq(set->labels[s - first], cifar_label(v, s), "%s: label",
                 v->folder);
    for (int y = 0; y < 32; y++)
      for (int x = 0; x < 32; x++)
        for (int c = 0; c < 3; c++)
          wrong += *image++ != cifar_pixel(s, c, y, x);
  }
  cr_expect_eq(wrong, 0, "%s: %d pixels are wrong", v->folder, wrong);
}

Test(data, cifar_reads_both_places) {
  for (int k = 0; k < 2 * VERSIONS; k++) {
    const struct cifar_version *v = &versions[k / 2];
    char prefix[64] = "";
    if (k % 2 == 0) {
      mkdir(test_path(v->folder), 0777);
      snprintf(prefix, sizeof prefix, "%s/", v->folder);
    }
    write_cifar(v, prefix);
    surge_dataset set;
    cr_assert_eq(read_cifar(v, &set, SURGE_TRAIN), SURGE_OK, "%s",
                 surge_last_error());
    expect_cifar(v, &set, 0, CIFAR_TRAIN);
    surge_dataset_close(&set);
    cr_assert_eq(read_cifar(v, &set, SURGE_TEST), SURGE_OK, "%s",
                 surge_last_error());
    expect_cifar(v, &set, CIFAR_TRAIN, CIFAR_TEST);
    surge_dataset_close(&set);
    cr_expect_eq(v->reader->probe(v->reader, &v->info, test_folder()),
                 SURGE_OK);
    if (k % 2 == 0) continue;
    set.info = &v->info;
    cr_assert_eq(
        v->reader->open(v->reader, &set, test_path(v->names[v->files])),
        SURGE_OK, "%s", surge_last_error());
    expect_cifar(v, &set, CIFAR_TRAIN, CIFAR_TEST);
    surge_dataset_close(&set);
  }
}

/* What is said of the file `v->broken` after a test wrote it anew. */
static void expect_broken(const struct cifar_version *v, const char *found,
                          const char *name) {
  surge_dataset set;
  char file[64];
  snprintf(file, sizeof file, "%s: ", v->broken);
  expect_refused(read_cifar(v, &set, SURGE_TRAIN), SURGE_ERROR_DATA, file,
                 found, name);
  expect_empty(&set, name);
}

Test(data, cifar_refuses_wrong_files) {
  for (int k = 0; k < VERSIONS; k++) {
    const struct cifar_version *v = &versions[k];
    static uint8_t records[CIFAR_TRAIN * MOST_RECORD + 1];
    char path[TEST_PATH], found[128];
    int count = CIFAR_TRAIN / v->files;
    size_t record = record_size(v), whole = (size_t)count * record;
    snprintf(path, sizeof path, "%s", test_path(v->broken));
    write_cifar(v, "");
    cifar_records(v, records, 0, count);

    test_write_file(path, records, whole + 1);
    snprintf(found, sizeof found, "wanted %zu bytes, found more", whole);
    expect_broken(v, found, "long");
    for (size_t n = 0; n < whole; n += 512) {
      snprintf(found, sizeof found,
               "record %zu of %d: wanted %zu bytes, found %zu before",
               n / record + 1, count, record, n % record);
      test_write_file(path, records, n);
      expect_broken(v, found, "short");
    }
    uint8_t *label = records + record + v->labels - 1, kept = *label;
    *label = (uint8_t)v->info.classes;
    test_write_file(path, records, whole);
    snprintf(found, sizeof found, "sample 1: wanted 0 to %d, found %d",
             v->info.classes - 1, v->info.classes);
    expect_broken(v, found, "label");
    *label = kept;
    remove(path);
    surge_dataset set;
    snprintf(found, sizeof found, "wanted a file %s or %s/", v->broken,
             v->folder);
    expect_refused(read_cifar(v, &set, SURGE_TRAIN), SURGE_ERROR_DATA, found,
                   "found none; make it yourself", "missing");
    expect_refused(v->reader->probe(v->reader, &v->info, test_folder()),
                   SURGE_ERROR_DATA, v->broken, "found none", "probe");
  }
}

/* --- the registry --------------------------------------------------------- */

static struct surge_data_recipe recipe_of(const char *set, const char *path) {
  struct surge_data_recipe recipe = {.limit = 0};
  snprintf(recipe.set, sizeof recipe.set, "%s", set);
  snprintf(recipe.path, sizeof recipe.path, "%s", path);
  return recipe;
}

Test(data, registry_refuses_by_name) {
  char folder[SURGE_PATH], long_path[SURGE_PATH];
  snprintf(folder, sizeof folder, "%s", test_folder());
  memset(long_path, 'x', sizeof long_path - 1);
  long_path[sizeof long_path - 1] = 0;
  const struct {
    const char *name, *set, *path;
    surge_status status;
    const char *word, *other;
  } cases[] = {
      {"unknown set", "emnist", "", SURGE_ERROR_RECIPE, "found 'emnist'",
       "fashion_mnist, mnist, cifar10, cifar100, image_folder"},
      {"no folder", "mnist", "", SURGE_ERROR_DATA, "mnist: data.path: wanted",
       "in data.path"},
      {"no folder", "cifar10", "", SURGE_ERROR_DATA,
       "cifar10: data.path: wanted", "cifar-10-binary.tar.gz"},
      {"empty folder", "mnist", folder, SURGE_ERROR_DATA, folder,
       "train-images-idx3-ubyte"},
      {"empty folder", "fashion_mnist", folder, SURGE_ERROR_DATA, folder,
       "dataset-fashion-mnist"},
      {"empty folder", "cifar10", folder, SURGE_ERROR_DATA, folder,
       "cifar-10-batches-bin/"},
      {"empty folder", "cifar100", folder, SURGE_ERROR_DATA, folder,
       "cifar-100-binary/train.bin"},
      {"long path", "mnist", long_path, SURGE_ERROR_DATA, "xxx", ""},
  };
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    struct surge_data_recipe recipe = recipe_of(cases[k].set, cases[k].path);
    expect_refused(surge_dataset_probe(&recipe), cases[k].status, cases[k].word,
                   cases[k].other, cases[k].name);
    surge_dataset set;
    const surge_dataset_info *info = surge_dataset_find(cases[k].set);
    expect_refused(surge_dataset_open(&set, info, &recipe, SURGE_TRAIN),
                   cases[k].status, cases[k].word, cases[k].other,
                   cases[k].name);
    expect_empty(&set, cases[k].name);
    surge_dataset_close(&set);
  }
  cr_expect(surge_dataset_find("emnist") == NULL);
}

/* The probe names the first file that is missing and opens none of them. */
Test(data, probe_wants_all_four_files) {
  static const char *const names[] = {
      "train-images-idx3-ubyte", "train-labels-idx1-ubyte",
      "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
  struct surge_data_recipe recipe = recipe_of("mnist", test_folder());
  for (int k = 0; k < 4; k++) {
    expect_refused(surge_dataset_probe(&recipe), SURGE_ERROR_DATA, names[k],
                   "found none", names[k]);
    test_write_file(test_path(names[k]), "", 0);
  }
  cr_expect_eq(surge_dataset_probe(&recipe), SURGE_OK, "%s",
               surge_last_error());
}

/* --- split ---------------------------------------------------------------- */

enum { SPLIT = 101 };

static surge_status split_of(uint64_t seed, int32_t held, int32_t limit,
                             uint32_t **train, int32_t *train_count,
                             uint32_t **validation, int32_t *validation_count) {
  surge_dataset set = {.info = &tiny, .count = SPLIT};
  struct surge_data_recipe recipe = {.validation = held, .limit = limit};
  return surge_dataset_split(&set, &recipe, seed, train, train_count,
                             validation, validation_count);
}

Test(data, split_is_disjoint_and_whole) {
  static const struct {
    int32_t held, limit, trained;
  } cases[] = {{0, 0, SPLIT}, {10, 0, 91}, {10, 50, 50}, {0, 1, 1},
               {100, 0, 1},   {100, 1, 1}, {51, 50, 50}, {1, 100, 100}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    uint32_t *train, *validation;
    int32_t trained, held;
    int times[SPLIT] = {0};
    cr_assert_eq(split_of(3, cases[k].held, cases[k].limit, &train, &trained,
                          &validation, &held),
                 SURGE_OK, "%s", surge_last_error());
    cr_expect_eq(held, cases[k].held, "case %zu", k);
    cr_expect_eq(trained, cases[k].trained, "case %zu", k);
    for (int32_t i = 0; i < held; i++) times[validation[i]]++;
    for (int32_t i = 0; i < trained; i++) times[train[i]]++;
    int used = 0;
    for (int i = 0; i < SPLIT; i++) {
      cr_expect_leq(times[i], 1, "case %zu: image %d is used twice", k, i);
      used += times[i];
    }
    cr_expect_eq(used, held + trained, "case %zu", k);
    free(train);
    free(validation);
  }
}

/* The held-out images depend on the seed alone. */
Test(data, split_depends_on_the_seed_alone) {
  uint32_t *train[4], *held[4];
  int32_t trained[4], count[4];
  const struct {
    uint64_t seed;
    int32_t held, limit;
  } cases[4] = {{5, 20, 0}, {5, 20, 30}, {5, 40, 0}, {6, 20, 0}};
  for (int k = 0; k < 4; k++)
    cr_assert_eq(split_of(cases[k].seed, cases[k].held, cases[k].limit,
                          &train[k], &trained[k], &held[k], &count[k]),
                 SURGE_OK);
  size_t bytes = 20 * sizeof(uint32_t);
  cr_expect_arr_eq(held[0], held[1], bytes, "another limit");
  cr_expect_arr_eq(train[0], train[1], 30 * sizeof(uint32_t), "its start");
  cr_expect_arr_eq(held[0], held[2], bytes, "a larger validation set");
  cr_expect(memcmp(held[0], held[3], bytes) != 0, "another seed");
  for (int k = 0; k < 4; k++) {
    free(train[k]);
    free(held[k]);
  }
}

/* Golden, as in test_loader.c: another order would mix what a resumed run
 * trains on with what it holds out. */
Test(data, split_is_golden) {
  static const uint32_t order[12] = {10, 2, 8, 9, 11, 4, 7, 3, 6, 1, 0, 5};
  surge_dataset set = {.info = &tiny, .count = 12};
  struct surge_data_recipe recipe = {.validation = 3};
  uint32_t *train, *validation;
  int32_t trained, held;
  cr_assert_eq(surge_dataset_split(&set, &recipe, 1, &train, &trained,
                                   &validation, &held),
               SURGE_OK);
  cr_expect_arr_eq(validation, order, 3 * sizeof *order);
  cr_expect_arr_eq(train, order + 3, 9 * sizeof *order);
  free(train);
  free(validation);
}

Test(data, split_refuses_more_than_there_is) {
  static const struct {
    int32_t held, limit;
    const char *found;
  } cases[] = {{101, 0, "found 101 + 0"},
               {100, 2, "found 100 + 2"},
               {0, 102, "found 0 + 102"},
               {INT32_MAX, INT32_MAX, "found 2147483647 + 2147483647"},
               {-1, 5, "found -1 and 5"},
               {0, -3, "found 0 and -3"}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    uint32_t *train, *validation;
    int32_t trained, held;
    surge_status status = split_of(1, cases[k].held, cases[k].limit, &train,
                                   &trained, &validation, &held);
    expect_refused(status, SURGE_ERROR_RECIPE, "data.validation", "data.limit",
                   cases[k].found);
    expect_refused(status, SURGE_ERROR_RECIPE, cases[k].found, "", "numbers");
    cr_expect(!train && !validation && !trained && !held);
  }
}

/* --- the real sets -------------------------------------------------------- */

/* Half a unit of the last decimal that the registry gives, and of a float. */
static const double four_decimals = 5e-5 + 0x1p-25;
static const double eight_decimals = 5e-9 + 0x1p-25;

/* Mean and deviation of value / 255, by channel, from exact sums. */
static void expect_moments(const surge_dataset *set, double tolerance) {
  const surge_dataset_info *info = set->info;
  size_t c = (size_t)info->c;
  size_t pixels = (size_t)set->count * (size_t)(info->h * info->w);
  for (size_t channel = 0; channel < c; channel++) {
    uint64_t sum = 0, squares = 0;
    for (size_t i = 0; i < pixels; i++) {
      uint64_t value = set->images[i * c + channel];
      sum += value;
      squares += value * value;
    }
    double mean = (double)sum / (double)pixels / 255;
    double std =
        sqrt((double)squares / (double)pixels / (255 * 255) - mean * mean);
    cr_expect_float_eq((double)info->mean[channel], mean, tolerance,
                       "%s: mean of channel %zu is %.8f", info->name, channel,
                       mean);
    cr_expect_float_eq((double)info->std[channel], std, tolerance,
                       "%s: deviation of channel %zu is %.8f", info->name,
                       channel, std);
  }
}

/* Both splits: sizes, the first label of the training files (published), all
 * classes there, and the registry's moments. */
static void expect_real(const char *name, const char *path, int32_t first_label,
                        double tolerance) {
  struct surge_data_recipe recipe = recipe_of(name, path);
  for (int split = SURGE_TRAIN; split <= SURGE_TEST; split++) {
    surge_dataset set;
    const surge_dataset_info *info = surge_dataset_find(name);
    cr_assert_eq(surge_dataset_open(&set, info, &recipe, (surge_split)split),
                 SURGE_OK, "%s", surge_last_error());
    cr_expect(set.info == info);
    cr_expect_eq(set.count,
                 split == SURGE_TRAIN ? info->train_count : info->test_count);
    int32_t seen[10] = {0};
    for (int32_t i = 0; i < set.count; i++) seen[set.labels[i]]++;
    for (int32_t label = 0; label < info->classes; label++)
      cr_expect_gt(seen[label], set.count / 13, "%s: class %d", name, label);
    if (split == SURGE_TRAIN) {
      cr_expect_eq(set.labels[0], first_label, "%s: first label", name);
      expect_moments(&set, tolerance);
    }
    surge_dataset_close(&set);
  }
}

/* The folder of the development data. */
static const char *test_data(void) {
  const char *folder = getenv("SURGE_TEST_DATA");
  if (!folder || !folder[0])
    cr_skip("SURGE_TEST_DATA names no folder of data sets");
  return folder;
}

static void skip_where_absent(const char *name, const char *path) {
  struct surge_data_recipe recipe = recipe_of(name, path);
  if (surge_dataset_probe(&recipe) != SURGE_OK)
    cr_skip("%s", surge_last_error());
}

Test(real_data, fashion_mnist) {
  skip_where_absent("fashion_mnist", "");
  expect_real("fashion_mnist", "", 9, four_decimals);
}

Test(real_data, mnist) {
  char path[SURGE_PATH];
  snprintf(path, sizeof path, "%s/mnist", test_data());
  skip_where_absent("mnist", path);
  expect_real("mnist", path, 5, four_decimals);
}

/* The development data has CIFAR-10 as images, and a script that makes the
 * published files of them. (A skipped test's .fini is not run: the folder is
 * made here.) */
Test(real_data, cifar10, .timeout = 300) {
  const char *source = test_data();
  char command[3 * SURGE_PATH];
  test_folder_make();
  snprintf(command, sizeof command,
           "python3 '%s/unpack_cifar10.py' '%s' >/dev/null 2>&1", source,
           test_folder());
  if (system(command) != 0) {
    test_folder_remove();
    cr_skip("cifar10: failed: %s", command);
  }
  expect_real("cifar10", test_folder(), 6, eight_decimals);
  test_folder_remove();
}
