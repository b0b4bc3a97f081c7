/* program.h - what tests of the program itself share: it is run in a folder, by
 * a shell. SURGE_BINARY is each test program's own. */
#ifndef SURGE_TESTS_PROGRAM_H
#define SURGE_TESTS_PROGRAM_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Runs "surge <arguments>" in `folder`; its exit code, and what it printed. */
static inline int surge(const char *folder, const char *arguments, char *text,
                        size_t size) {
  char command[4096];
  snprintf(command, sizeof command, "cd %s && %s %s 2>&1", folder, SURGE_BINARY,
           arguments);
  FILE *pipe = popen(command, "r");
  cr_assert_not_null(pipe);
  size_t length = fread(text, 1, size - 1, pipe);
  text[length] = 0;
  int status = pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void write_file(const char *folder, const char *name,
                              const char *text, size_t size) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "wb");
  cr_assert_not_null(file);
  cr_assert_eq(fwrite(text, 1, size, file), size);
  fclose(file);
}

static inline bool exists(const char *folder, const char *name) {
  char path[256];
  struct stat info;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return stat(path, &info) == 0;
}

#endif
