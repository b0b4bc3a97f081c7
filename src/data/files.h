/* files.h - sets whose samples are files of their own, which lie in a folder a
 * class and are decoded when they are asked for.
 *
 *     PATH/<split>/<class>/<file>, or PATH/<class>/<file> with a share of each
 *
 * Classes are numbered in the order of their names' bytes, and are the same in
 * both splits; one that is not used need not be there. */
#ifndef SURGE_DATA_FILES_H
#define SURGE_DATA_FILES_H

#include <dirent.h>
#include <pthread.h>

#include "src/data/file.h"
#include "src/data/readers.h"

/* What the files of a set are, and where they lie. */
typedef struct surge_file_kind {
  const char *splits[2][4]; /* folders of training and test, the first found; */
                            /* NULL ends a list                               */
  const char *splits_text;  /* "val or test": those of the test set           */
  bool shares; /* where there is no split's folder, the first data.split of   */
               /* each class are trained on, the others are the test set      */
  int (*wanted)(const struct dirent *); /* is it such a file, by its name?    */
  const char *wanted_text; /* ".jpg, .jpeg or .png file"                     */
  /* Where sample i lies; NULL: in the folder of its class. */
  surge_status (*path)(const void *own, const char *folder, uint32_t sample,
                       char path[SURGE_DATA_PATH]);
  surge_status (*read)(const surge_dataset *set, uint32_t sample,
                       const char *path, const surge_data_pass *pass,
                       uint8_t *out);
} surge_file_kind;

int surge_is_visible(const struct dirent *entry);

/* Readers' `describe`, `probe` and `list` of a kind: layout is the kind. The
 * first sets info's classes alone. */
surge_status surge_files_describe(const surge_reader *reader,
                                  surge_dataset_info *info, const char *folder);
surge_status surge_files_probe(const surge_reader *reader,
                               const surge_dataset_info *info,
                               const char *folder);
surge_status surge_files_list(const surge_reader *reader, surge_dataset *set,
                              const struct surge_data_recipe *recipe,
                              const char *folder, surge_split split);

/* For a reader that lists its files itself: an empty list at `folder`, whose
 * `own`, from malloc, the kind's functions see; then as many samples as it has
 * found, whose labels are set->labels. */
surge_status surge_files_create(surge_dataset *set, const surge_file_kind *kind,
                                const struct surge_data_recipe *recipe,
                                const char *folder, void *own);
surge_status surge_files_allocate(surge_dataset *set, int32_t count);
const void *surge_files_own(const struct surge_files *files);

surge_status surge_path_join(char path[SURGE_DATA_PATH], const char *folder,
                             const char *name);

/* The path of some file of the set. */
surge_status surge_files_first(char path[SURGE_DATA_PATH],
                               const surge_reader *reader,
                               const surge_dataset_info *info,
                               const char *folder);

/* One sample. SURGE_ERROR_DATA is kept for surge_dataset_next_skipped where the
 * set skips. */
surge_status surge_files_read(const surge_dataset *set, uint32_t sample,
                              const surge_data_pass *pass, uint8_t *out);
/* NULL: its classes are no folders. */
const char *surge_files_class(const struct surge_files *files, int32_t label);
void surge_files_free(struct surge_files *files);

#endif
