/* replace.c - see replace.h. */
#include "src/train/replace.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static surge_status cannot_write(const char *path) {
  return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted to write it, found: %s", path,
                    strerror(errno));
}

static surge_status write_beside(const char *part, const char *path,
                                 surge_write_file *write, const void *what) {
  FILE *file = fopen(part, "w");
  if (!file) return cannot_write(path);
  surge_status status = write(what, file);
  bool written = fflush(file) == 0 && !ferror(file) && fsync(fileno(file)) == 0;
  int cause = errno;
  written = fclose(file) == 0 && written;
  if (status == SURGE_OK && written && rename(part, path) == 0) return SURGE_OK;
  if (status == SURGE_OK) {
    if (!written) errno = cause;
    status = cannot_write(path);
  }
  unlink(part);
  return status;
}

surge_status surge_replace_file(const char *path, surge_write_file *write,
                                const void *what) {
  char *part, host[32] = "";
  gethostname(host, sizeof host - 1);
  if (asprintf(&part, "%s.%s-%d", path, host, (int)getpid()) < 0)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory", path);
  surge_status status = write_beside(part, path, write, what);
  free(part);
  return status;
}

void surge_print_field(const char *text, FILE *file) {
  bool quote = strpbrk(text, ",\"\n");
  if (quote) fputc('"', file);
  for (; *text; text++) fprintf(file, *text == '"' ? "\"\"" : "%c", *text);
  if (quote) fputc('"', file);
}
