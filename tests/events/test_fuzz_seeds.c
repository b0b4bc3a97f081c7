/* test_fuzz_seeds.c - every input that fuzzers start from or have found, read as
 * they read it; and each with its end cut off anywhere. */
#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
