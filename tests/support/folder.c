/* folder.c - a temporary folder of a test (see folder.h). */
#include "tests/support/folder.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static char folder[TEST_PATH / 2];
static char *paths[256]; /* those handed out; NULL behind the last */

void test_folder_make(void) {
  const char *parent = getenv("TMPDIR");
  snprintf(folder, sizeof folder, "%s/surge-test-XXXXXX",
           parent && parent[0] ? parent : "/tmp");
  cr_assert(mkdtemp(folder) != NULL, "%s: no temporary folder", folder);
}

static int remove_entry(const char *path, const struct stat *about, int kind,
                        struct FTW *place) {
  (void)about, (void)kind, (void)place;
  return remove(path);
}

void test_folder_remove(void) {
  if (folder[0]) nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
  folder[0] = 0;
  for (size_t i = 0; paths[i]; i++) {
    free(paths[i]);
    paths[i] = NULL;
  }
}

const char *test_folder(void) { return folder; }

const char *test_path(const char *name) {
  char path[TEST_PATH];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  size_t i = 0;
  while (paths[i] && strcmp(paths[i], path) != 0) i++;
  cr_assert_lt(i + 1, sizeof paths / sizeof *paths, "too many paths");
  if (!paths[i]) paths[i] = strdup(path);
  return paths[i];
}

void test_write_file(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  cr_assert(file != NULL, "%s: not writable", path);
  if (size) cr_assert_eq(fwrite(bytes, 1, size, file), size, "%s", path);
  cr_assert_eq(fclose(file), 0, "%s", path);
}

void test_write_gzip(const char *path, const void *bytes, size_t size) {
  gzFile file = gzopen(path, "wb");
  cr_assert(file != NULL, "%s: not writable", path);
  if (size)
    cr_assert_eq(gzwrite(file, bytes, (unsigned)size), (int)size, "%s", path);
  cr_assert_eq(gzclose(file), Z_OK, "%s", path);
}

uint8_t *test_read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  cr_assert(file != NULL, "%s: not readable", path);
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  uint8_t *bytes = malloc(*size + 1);
  cr_assert_eq(fread(bytes, 1, *size, file), *size, "%s", path);
  bytes[*size] = 0;
  fclose(file);
  return bytes;
}
