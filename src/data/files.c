/* files.c - see files.h. */
#include "src/data/files.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* --- names in a folder ---------------------------------------------------- */

typedef struct name_list {
  struct dirent **entries; /* as scandir gives them */
  int count;
} name_list;

static void free_names(name_list *names) {
  for (int i = 0; i < names->count; i++) free(names->entries[i]);
  free(names->entries);
  *names = (name_list){0};
}

int surge_is_visible(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

/* In every locale the same. */
static int by_bytes(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

static surge_status list_names(name_list *names, const char *folder,
                               int (*wanted)(const struct dirent *)) {
  *names = (name_list){0};
  int count = scandir(folder, &names->entries, wanted, by_bytes);
  if (count < 0)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s", folder, strerror(errno));
  names->count = count;
  return SURGE_OK;
}

surge_status surge_path_join(char path[SURGE_DATA_PATH], const char *folder,
                             const char *name) {
  int length = snprintf(path, SURGE_DATA_PATH, "%s/%s", folder, name);
  if (length < SURGE_DATA_PATH) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: %s: wanted a path of less than %d bytes, found %d",
                    folder, name, SURGE_DATA_PATH, length);
}

static surge_status check_folder(const char *path, bool *is_folder) {
  struct stat info;
  *is_folder = false;
  if (stat(path, &info) != 0)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s", path, strerror(errno));
  *is_folder = S_ISDIR(info.st_mode);
  return SURGE_OK;
}

/* --- splits and classes --------------------------------------------------- */

static const surge_file_kind *kind_of(const surge_reader *reader) {
  return reader->layout;
}

static surge_status find_split(char path[SURGE_DATA_PATH],
                               const surge_file_kind *kind,
                               const surge_dataset_info *info,
                               const char *folder, surge_split split) {
  for (int i = 0; kind->splits[split][i]; i++) {
    bool found;
    SURGE_TRY(surge_path_join(path, folder, kind->splits[split][i]));
    if (check_folder(path, &found) == SURGE_OK && found) return SURGE_OK;
  }
  return SURGE_FAIL(
      SURGE_ERROR_DATA, "%s: %s: wanted a folder %s, found none; %s",
      info->name, folder,
      split == SURGE_TRAIN ? kind->splits[SURGE_TRAIN][0] : kind->splits_text,
      info->install_hint);
}

/* The folders of both splits, and whether each is there. Where none is, and the
 * kind allows it, both are PATH, whose classes the splits share. */
typedef struct split_folders {
  char path[2][SURGE_DATA_PATH];
  surge_status found[2];
  bool shared;
} split_folders;

static void find_splits(split_folders *at, const surge_file_kind *kind,
                        const surge_dataset_info *info, const char *folder) {
  for (int split = SURGE_TEST; split >= SURGE_TRAIN; split--)
    at->found[split] =
        find_split(at->path[split], kind, info, folder, (surge_split)split);
  at->shared = kind->shares && at->found[SURGE_TRAIN] != SURGE_OK &&
               at->found[SURGE_TEST] != SURGE_OK;
  for (int split = SURGE_TRAIN; at->shared && split <= SURGE_TEST; split++) {
    snprintf(at->path[split], sizeof at->path[split], "%s", folder);
    at->found[split] = SURGE_OK;
  }
}

/* Keeps of a split's names those of folders: lists of names and licences lie
 * beside them. What cannot be told is an error, for a class that is passed over
 * moves the labels of all behind it. */
static surge_status keep_folders(name_list *names, const char *split) {
  int count = names->count;
  surge_status status = SURGE_OK;
  names->count = 0;
  for (int i = 0; i < count; i++) {
    char path[SURGE_DATA_PATH];
    bool is_folder = false;
    if (status == SURGE_OK)
      status = surge_path_join(path, split, names->entries[i]->d_name);
    if (status == SURGE_OK) status = check_folder(path, &is_folder);
    if (is_folder)
      names->entries[names->count++] = names->entries[i];
    else
      free(names->entries[i]);
  }
  return status;
}

static surge_status list_classes(name_list *classes, const char *folder) {
  SURGE_TRY(list_names(classes, folder, surge_is_visible));
  surge_status status = keep_folders(classes, folder);
  if (status == SURGE_OK && classes->count == 0)
    status =
        SURGE_FAIL(SURGE_ERROR_DATA,
                   "%s: wanted a folder for each class, found none", folder);
  if (status != SURGE_OK) free_names(classes);
  return status;
}

/* Names the first class that one split has and the other has not. */
static surge_status compare_classes(const name_list classes[2],
                                    char paths[2][SURGE_DATA_PATH]) {
  for (int i = 0; i < classes[0].count || i < classes[1].count; i++) {
    const char *a = i < classes[0].count ? classes[0].entries[i]->d_name : NULL;
    const char *b = i < classes[1].count ? classes[1].entries[i]->d_name : NULL;
    int order = !a ? 1 : !b ? -1 : strcmp(a, b);
    if (order == 0) continue;
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: wanted the same classes as in %s, found no %s",
                      paths[order < 0], paths[order > 0], order < 0 ? a : b);
  }
  return SURGE_OK;
}

/* The number of classes, where both splits have the same. */
static surge_status count_in_both(char paths[2][SURGE_DATA_PATH],
                                  int32_t *count) {
  name_list classes[2] = {{0}};
  surge_status status = SURGE_OK;
  for (int split = SURGE_TRAIN; split <= SURGE_TEST && status == SURGE_OK;
       split++)
    status = list_classes(&classes[split], paths[split]);
  if (status == SURGE_OK) status = compare_classes(classes, paths);
  *count = classes[SURGE_TRAIN].count;
  for (int split = SURGE_TRAIN; split <= SURGE_TEST; split++)
    free_names(&classes[split]);
  return status;
}

static surge_status count_in_one(const char *path, int32_t *count) {
  name_list classes;
  SURGE_TRY(list_classes(&classes, path));
  *count = classes.count;
  free_names(&classes);
  return SURGE_OK;
}

surge_status surge_files_probe(const surge_reader *reader,
                               const surge_dataset_info *info,
                               const char *folder) {
  split_folders at;
  int32_t count;
  find_splits(&at, kind_of(reader), info, folder);
  for (int split = SURGE_TRAIN; split <= SURGE_TEST; split++)
    if (at.found[split] != SURGE_OK) /* for its words */
      return find_split(at.path[split], kind_of(reader), info, folder,
                        (surge_split)split);
  return count_in_both(at.path, &count);
}

/* One split is enough: an evaluation does without the training samples, and who
 * opens a split that is missing is told so. */
surge_status surge_files_describe(const surge_reader *reader,
                                  surge_dataset_info *info,
                                  const char *folder) {
  int32_t *count = &info->classes;
  split_folders at;
  find_splits(&at, kind_of(reader), info, folder);
  bool test = at.found[SURGE_TEST] == SURGE_OK;
  if (at.found[SURGE_TRAIN] == SURGE_OK)
    return test ? count_in_both(at.path, count)
                : count_in_one(at.path[SURGE_TRAIN], count);
  if (test) return count_in_one(at.path[SURGE_TEST], count);
  return find_split(at.path[SURGE_TRAIN], kind_of(reader), info, folder,
                    SURGE_TRAIN);
}

/* --- a split's files ------------------------------------------------------ */

/* What became of a file that could not be read. */
typedef struct file_fault {
  char *text; /* or NULL: it could be, as far as is known */
  bool told;
} file_fault;

struct surge_files {
  const surge_file_kind *kind;
  char folder[SURGE_DATA_PATH]; /* of the split */
  name_list classes;
  name_list *names; /* [classes.count] */
  struct file_place {
    int32_t label, rank; /* names[label].entries[rank] */
  } * places;            /* [count] */
  int32_t count;
  void *own; /* of a kind that lists its files itself; owned */
  bool skip;
  pthread_mutex_t mutex; /* guards what follows */
  file_fault *faults;    /* [count] */
  int32_t skipped;
};

void surge_files_free(struct surge_files *files) {
  if (!files) return;
  for (int32_t i = 0; files->names && i < files->classes.count; i++)
    free_names(&files->names[i]);
  for (int32_t i = 0; files->faults && i < files->count; i++)
    free(files->faults[i].text);
  free_names(&files->classes);
  free(files->names);
  free(files->places);
  free(files->faults);
  free(files->own);
  pthread_mutex_destroy(&files->mutex);
  free(files);
}

const char *surge_files_class(const struct surge_files *files, int32_t label) {
  return label < files->classes.count ? files->classes.entries[label]->d_name
                                      : NULL;
}

/* Keeps the part of a class that a split has, rounded up to whole files as
 * SpikingJelly's split_to_train_test_set does; a thousandth is for the share,
 * which is a float. */
static void keep_share(name_list *names, float share, surge_split split) {
  int first = (int)ceil(names->count * (double)share - 1e-3), kept = 0;
  for (int i = 0; i < names->count; i++)
    if ((i < first) == (split == SURGE_TRAIN))
      names->entries[kept++] = names->entries[i];
    else
      free(names->entries[i]);
  names->count = kept;
}

/* `share` 0: the files of a class are all the split's. */
static surge_status list_files(struct surge_files *files, float share,
                               surge_split split) {
  int64_t count = 0;
  for (int i = 0; i < files->classes.count; i++) {
    char path[SURGE_DATA_PATH];
    SURGE_TRY(surge_path_join(path, files->folder,
                              files->classes.entries[i]->d_name));
    SURGE_TRY(list_names(&files->names[i], path, files->kind->wanted));
    if (share > 0) keep_share(&files->names[i], share, split);
    if (files->names[i].count == 0)
      return SURGE_FAIL(SURGE_ERROR_DATA,
                        "%s: wanted at least one %s, found "
                        "none%s",
                        path, files->kind->wanted_text,
                        share > 0 ? " in data.split's share" : "");
    count += files->names[i].count;
  }
  if (count > INT32_MAX)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: wanted at most %d files, found %lld", files->folder,
                      INT32_MAX, (long long)count);
  files->count = (int32_t)count;
  return SURGE_OK;
}

/* The first file of each class, then the second of each, ...: so that the
 * first few (data.test_limit) are of all classes. */
static void place_files(struct surge_files *files, int32_t *labels) {
  for (int32_t rank = 0, k = 0; k < files->count; rank++)
    for (int32_t label = 0; label < files->classes.count; label++)
      if (rank < files->names[label].count) {
        files->places[k] = (struct file_place){label, rank};
        labels[k++] = label;
      }
}

static surge_status no_memory(const char *what) {
  return SURGE_FAIL(SURGE_ERROR_DEVICE,
                    "%s: wanted memory for the names of its files, found less",
                    what);
}

/* A set of known size: `shared` splits have it together. */
static surge_status check_count(const struct surge_files *files,
                                const surge_dataset_info *info, bool shared,
                                surge_split split) {
  int32_t wanted = split == SURGE_TRAIN ? info->train_count : info->test_count;
  if (shared || wanted == 0 || wanted == files->count) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s: wanted %d files, found %d",
                    info->name, files->folder, (int)wanted, (int)files->count);
}

surge_status surge_files_create(surge_dataset *set, const surge_file_kind *kind,
                                const struct surge_data_recipe *recipe,
                                const char *folder, void *own) {
  set->files = calloc(1, sizeof *set->files);
  if (!set->files) {
    free(own);
    return no_memory(folder);
  }
  set->files->kind = kind;
  set->files->own = own;
  set->files->skip = recipe->on_error == SURGE_ON_ERROR_SKIP;
  snprintf(set->files->folder, sizeof set->files->folder, "%s", folder);
  pthread_mutex_init(&set->files->mutex, NULL);
  return SURGE_OK;
}

surge_status surge_files_allocate(surge_dataset *set, int32_t count) {
  struct surge_files *files = set->files;
  set->count = files->count = count;
  set->labels = malloc((size_t)count * sizeof *set->labels);
  files->faults = calloc((size_t)count, sizeof *files->faults);
  return set->labels && files->faults ? SURGE_OK : no_memory(files->folder);
}

const void *surge_files_own(const struct surge_files *files) {
  return files->own;
}

static surge_status fill_files(struct surge_files *files, surge_dataset *set,
                               const struct surge_data_recipe *recipe,
                               const char *folder, surge_split split) {
  split_folders at;
  find_splits(&at, files->kind, set->info, folder);
  if (at.found[split] != SURGE_OK)
    return find_split(at.path[split], files->kind, set->info, folder, split);
  snprintf(files->folder, sizeof files->folder, "%s", at.path[split]);
  SURGE_TRY(list_classes(&files->classes, files->folder));
  if (files->classes.count != set->info->classes)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted %d classes, found %d",
                      files->folder, (int)set->info->classes,
                      files->classes.count);
  files->names = calloc((size_t)files->classes.count, sizeof *files->names);
  if (!files->names) return no_memory(files->folder);
  SURGE_TRY(list_files(files, at.shared ? recipe->split : 0, split));
  SURGE_TRY(check_count(files, set->info, at.shared, split));
  SURGE_TRY(surge_files_allocate(set, files->count));
  files->places = malloc((size_t)files->count * sizeof *files->places);
  if (!files->places) return no_memory(files->folder);
  place_files(files, set->labels);
  return SURGE_OK;
}

surge_status surge_files_list(const surge_reader *reader, surge_dataset *set,
                              const struct surge_data_recipe *recipe,
                              const char *folder, surge_split split) {
  SURGE_TRY(surge_files_create(set, kind_of(reader), recipe, folder, NULL));
  return fill_files(set->files, set, recipe, folder, split);
}

static surge_status path_of(const struct surge_files *files, uint32_t sample,
                            char path[SURGE_DATA_PATH]) {
  if (files->kind->path)
    return files->kind->path(files->own, files->folder, sample, path);
  struct file_place at = files->places[sample];
  char folder[SURGE_DATA_PATH];
  SURGE_TRY(surge_path_join(folder, files->folder,
                            files->classes.entries[at.label]->d_name));
  return surge_path_join(path, folder,
                         files->names[at.label].entries[at.rank]->d_name);
}

surge_status surge_files_first(char path[SURGE_DATA_PATH],
                               const surge_reader *reader,
                               const surge_dataset_info *info,
                               const char *folder) {
  static const struct surge_data_recipe recipe = {.split = 1};
  surge_dataset set = {.info = info};
  split_folders at;
  find_splits(&at, kind_of(reader), info, folder);
  surge_split split =
      at.found[SURGE_TRAIN] == SURGE_OK ? SURGE_TRAIN : SURGE_TEST;
  surge_status status = surge_files_list(reader, &set, &recipe, folder, split);
  if (status == SURGE_OK) status = path_of(set.files, 0, path);
  surge_dataset_close(&set);
  return status;
}

/* --- one file ------------------------------------------------------------- */

/* Keeps what the calling thread's last error says of a file. */
static void keep_fault(struct surge_files *files, uint32_t sample) {
  pthread_mutex_lock(&files->mutex);
  file_fault *fault = &files->faults[sample];
  if (!fault->text && (fault->text = strdup(surge_last_error())))
    files->skipped++;
  pthread_mutex_unlock(&files->mutex);
}

surge_status surge_files_read(const surge_dataset *set, uint32_t sample,
                              const surge_data_pass *pass, uint8_t *out) {
  char path[SURGE_DATA_PATH];
  SURGE_TRY(path_of(set->files, sample, path));
  surge_status status = set->files->kind->read(set, sample, path, pass, out);
  if (status == SURGE_ERROR_DATA && set->files->skip)
    keep_fault(set->files, sample);
  return status;
}

bool surge_dataset_skips(const surge_dataset *set) {
  return set->files && set->files->skip;
}

int32_t surge_dataset_skipped(const surge_dataset *set) {
  if (!set->files) return 0;
  pthread_mutex_lock(&set->files->mutex);
  int32_t skipped = set->files->skipped;
  pthread_mutex_unlock(&set->files->mutex);
  return skipped;
}

const char *surge_dataset_next_skipped(const surge_dataset *set,
                                       uint32_t *sample) {
  struct surge_files *files = set->files;
  const char *text = NULL;
  if (!files) return NULL;
  pthread_mutex_lock(&files->mutex);
  for (; !text && *sample < (uint32_t)files->count; ++*sample) {
    file_fault *fault = &files->faults[*sample];
    if (!fault->text || fault->told) continue;
    fault->told = true;
    text = fault->text;
  }
  pthread_mutex_unlock(&files->mutex);
  return text;
}
