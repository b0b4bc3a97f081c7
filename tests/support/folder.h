/* folder.h - a temporary folder of a test, and small files in it. */
#ifndef SURGE_TESTS_FOLDER_H
#define SURGE_TESTS_FOLDER_H

#include <stddef.h>
#include <stdint.h>

#define TEST_PATH 512

/* Makes an empty folder below $TMPDIR or /tmp and keeps its name: one at a time
 * in a process. For a suite's .init and .fini; Criterion runs no .fini of a
 * test that is skipped, so that one removes the folder first. */
void test_folder_make(void);
void test_folder_remove(void);

/* Path of that folder, and of a name in it; valid until it is removed. */
const char *test_folder(void);
const char *test_path(const char *name);

/* Writes a file, as it is or compressed by gzip; reads one, malloc'ed and with
 * a 0 byte behind its end. */
void test_write_file(const char *path, const void *bytes, size_t size);
void test_write_gzip(const char *path, const void *bytes, size_t size);
uint8_t *test_read_file(const char *path, size_t *size);

#endif
