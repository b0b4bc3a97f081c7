/* test_fuzz_seeds.c - every input that fuzzers start from or have found, read as
 * they read it; and each with its end cut off anywhere. */
#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <surge/events.h>

#include "tests/fuzz/fuzz_events.h"

enum { MOST = 1 << 16 };

static uint8_t bytes[MOST];

static size_t read_input(const char *path) {
  FILE *file = fopen(path, "rb");
  cr_assert(file, "%s", path);
  size_t size = fread(bytes, 1, MOST, file);
  cr_assert(feof(file), "%s has more than %d bytes", path, MOST);
  fclose(file);
  return size;
}

/* A copy of its own size, so that sanitizers see a step past its end. */
static void read_first(size_t size) {
  uint8_t *copy = malloc(size + !size);
  cr_assert(copy);
  memcpy(copy, bytes, size);
  LLVMFuzzerTestOneInput(copy, size);
  free(copy);
}

static uint64_t sum_of(surge_events_file *file, const char *path) {
  surge_events all = {0};
  uint64_t sum = 0;
  cr_expect_eq(surge_events_rest(file, &all), SURGE_OK, "%s: %s", path,
               surge_last_error());
  for (size_t i = 0; i < all.count; i++)
    sum = 31 * sum + (uint64_t)all.t[i] + all.x[i] + all.y[i] + all.p[i];
  surge_events_free(&all);
  return sum;
}

/* A file, not memory: what a reader took before is gone from its window. */
Test(fuzz, seeds_read_twice_are_the_same) {
  static const char *const good[] = {"aedat4/none.aedat4", "aedat4/lz4.aedat4",
                                     "aedat4/zstd.aedat4", "npz/stored.npz",
                                     "npz/deflated.npz",   "hdf5/table.h5",
                                     "hdf5/arrays.h5"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    char path[512];
    surge_events_file *file;
    snprintf(path, sizeof path, SURGE_SOURCE_DIR "/tests/fuzz/seeds/%s",
             good[i]);
    cr_assert_eq(surge_events_open(&file, path), SURGE_OK, "%s",
                 surge_last_error());
    uint64_t first = sum_of(file, path);
    cr_expect_eq(surge_events_select(file, 0), SURGE_OK, "%s",
                 surge_last_error());
    cr_expect(first != 0 && sum_of(file, path) == first, "%s", path);
    surge_events_close(file);
  }
}

Test(fuzz, seeds) {
  glob_t found;
  cr_assert_eq(glob(SURGE_SOURCE_DIR "/tests/fuzz/seeds/*/*", 0, NULL, &found),
               0);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    size_t size = read_input(found.gl_pathv[i]);
    read_first(size);
    for (size_t cut = 0; cut < size && size <= 512; cut++) read_first(cut);
  }
  globfree(&found);
}
