/* file.h - a data file read once from front to back, gzip or plain.
 *
 * Every reader of files of samples goes through these four functions, so that
 * a missing, truncated, damaged or overlong file is refused in one place and in
 * the same words, and no reader can leave a file open. */
#ifndef SURGE_DATA_FILE_H
#define SURGE_DATA_FILE_H

#include <stddef.h>
#include <surge/data.h>

/* Longest path of a data file: a recipe's folder and a name in it. */
#define SURGE_DATA_PATH (SURGE_PATH + 64)

typedef struct surge_data_file surge_data_file;

/* Takes what it needs from `file` into `target`. */
typedef surge_status surge_data_take(surge_data_file *file, void *target);

/* Path of the first of `count` names (spellings of one file) that exists in
 * `folder`. SURGE_ERROR_DATA lists the names and the set's installation hint
 * where none does. */
surge_status surge_data_file_find(char path[SURGE_DATA_PATH],
                                  const surge_dataset_info *info,
                                  const char *folder, const char *const *names,
                                  size_t count);

/* Opens `path`, calls `take`, checks that the file ends there (of a gzip file
 * the check sum too) and closes it. */
surge_status surge_data_file_read(const char *path, surge_data_take *take,
                                  void *target);

/* For `take`: exactly `size` bytes; `what` names them in the error. */
surge_status surge_data_file_bytes(surge_data_file *file, void *bytes,
                                   size_t size, const char *what);

/* For `take`: the file's path, for its own errors. */
const char *surge_data_file_path(const surge_data_file *file);

#endif
