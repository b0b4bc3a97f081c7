/* file.c - data files through zlib, which reads gzip and plain files alike. */
#include "src/data/file.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

struct surge_data_file {
  const char *path;
  gzFile gz;
  size_t position; /* bytes taken so far, after decompression */
};

const char *surge_data_file_path(const surge_data_file *file) {
  return file->path;
}

/* "a or b or c" of the names, cut off where `text` is full. */
static void join_names(char *text, size_t size, const char *const *names,
                       size_t count) {
  size_t length = 0;
  text[0] = 0;
  for (size_t i = 0; i < count && length < size; i++)
    length += (size_t)snprintf(text + length, size - length, "%s%s",
                               i ? " or " : "", names[i]);
}

surge_status surge_data_file_find(char path[SURGE_DATA_PATH],
                                  const surge_dataset_info *info,
                                  const char *folder, const char *const *names,
                                  size_t count) {
  for (size_t i = 0; i < count; i++) {
    int length = snprintf(path, SURGE_DATA_PATH, "%s/%s", folder, names[i]);
    if (length >= SURGE_DATA_PATH)
      return SURGE_FAIL(SURGE_ERROR_DATA,
                        "%s: %s: wanted a path of less than %d bytes, found %d",
                        info->name, folder, SURGE_DATA_PATH, length);
    if (access(path, R_OK) == 0) return SURGE_OK;
    if (errno != ENOENT && errno != ENOTDIR)
      return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s", path, strerror(errno));
  }
  char list[256];
  join_names(list, sizeof list, names, count);
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: %s: wanted a file %s, found none; %s", info->name,
                    folder, list, info->install_hint);
}

/* What zlib has to say of a read that gave fewer bytes than asked for: NULL
 * where the file just ended. */
static const char *gz_fault(surge_data_file *file) {
  int code = Z_OK;
  const char *text = gzerror(file->gz, &code);
  if (code == Z_OK || code == Z_STREAM_END) return NULL;
  if (code == Z_BUF_ERROR) return "the gzip stream is cut off";
  /* zlib puts its own copy of the path before the text. */
  size_t prefix = strlen(file->path);
  if (strncmp(text, file->path, prefix) == 0 && text[prefix] == ':')
    text += prefix + 2;
  return text;
}

surge_status surge_data_file_bytes(surge_data_file *file, void *bytes,
                                   size_t size, const char *what) {
  size_t have = 0;
  while (have < size) {
    size_t rest = size - have, most = 1u << 30; /* zlib counts in an int */
    int got = gzread(file->gz, (uint8_t *)bytes + have,
                     (unsigned)(rest < most ? rest : most));
    if (got <= 0) break;
    have += (size_t)got;
  }
  file->position += have;
  if (have == size) return SURGE_OK;
  const char *fault = gz_fault(file);
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: %s: wanted %zu bytes, found %zu before the end of "
                    "the file%s%s",
                    file->path, what, size, have, fault ? ": " : "",
                    fault ? fault : "");
}

/* Reading past the last byte also makes zlib compare the check sum. */
static surge_status expect_end(surge_data_file *file) {
  uint8_t extra;
  int got = gzread(file->gz, &extra, 1);
  if (got == 1)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted %zu bytes, found more",
                      file->path, file->position);
  const char *fault = gz_fault(file);
  if (!fault) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA, "%s: after %zu bytes: %s", file->path,
                    file->position, fault);
}

surge_status surge_data_file_read(const char *path, surge_data_take *take,
                                  void *target) {
  errno = 0; /* zlib leaves it alone where memory is short */
  surge_data_file file = {.path = path, .gz = gzopen(path, "rb")};
  if (!file.gz)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s", path,
                      strerror(errno ? errno : ENOMEM));
  surge_status status = take(&file, target);
  if (status == SURGE_OK) status = expect_end(&file);
  gzclose(file.gz);
  return status;
}
