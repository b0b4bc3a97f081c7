/* image_folder.c - a folder of images, one folder a class, as ImageNet lies.
 *
 *     PATH/train/<class>/<image>    PATH/val/<class>/<image>, or PATH/test/...
 *
 * Classes are numbered in the order of their names' bytes, and are the same in
 * both splits; one that is not used need not be there. Images are decoded when they are asked for. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "src/data/file.h"
#include "src/data/image.h"
#include "src/data/readers.h"

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

static int is_visible(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

static int is_image(const struct dirent *entry) {
  const char *dot = strrchr(entry->d_name, '.');
  return is_visible(entry) && dot &&
         (!strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg") ||
          !strcasecmp(dot, ".png"));
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

static surge_status join(char path[SURGE_DATA_PATH], const char *folder,
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

/* The folder of a split. A folder `test` is read where there is no `val`, for
 * ImageNet's has no labels. */
static surge_status find_split(char path[SURGE_DATA_PATH],
                               const surge_dataset_info *info,
                               const char *folder, surge_split split) {
  static const char *const names[2][2] = {
      [SURGE_TRAIN] = {"train", "train"}, [SURGE_TEST] = {"val", "test"}};
  for (int i = 0; i < 2; i++) {
    bool found;
    SURGE_TRY(join(path, folder, names[split][i]));
    if (check_folder(path, &found) == SURGE_OK && found) return SURGE_OK;
  }
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: %s: wanted a folder %s, found none; %s", info->name,
                    folder, split == SURGE_TRAIN ? "train" : "val or test",
                    info->install_hint);
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
      status = join(path, split, names->entries[i]->d_name);
    if (status == SURGE_OK) status = check_folder(path, &is_folder);
    if (is_folder)
      names->entries[names->count++] = names->entries[i];
    else
      free(names->entries[i]);
  }
  return status;
}

static surge_status list_classes(name_list *classes, const char *folder) {
  SURGE_TRY(list_names(classes, folder, is_visible));
  surge_status status = keep_folders(classes, folder);
  if (status == SURGE_OK && classes->count == 0)
    status = SURGE_FAIL(SURGE_ERROR_DATA,
                        "%s: wanted a folder of images for each class, found "
                        "none",
                        folder);
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

static surge_status folder_probe(const surge_reader *reader,
                                 const surge_dataset_info *info,
                                 const char *folder) {
  char paths[2][SURGE_DATA_PATH];
  int32_t count;
  (void)reader;
  for (int split = SURGE_TRAIN; split <= SURGE_TEST; split++)
    SURGE_TRY(find_split(paths[split], info, folder, (surge_split)split));
  return count_in_both(paths, &count);
}

/* One split is enough: an evaluation does without the training images, and who
 * opens a split that is missing is told so. */
static surge_status folder_describe(const surge_reader *reader,
                                    surge_dataset_info *info,
                                    const struct surge_data_recipe *recipe,
                                    const char *folder) {
  char paths[2][SURGE_DATA_PATH];
  (void)reader;
  info->h = info->w = recipe->size;
  info->resize = recipe->resize ? recipe->resize : recipe->size * 256 / 224;
  bool test =
      find_split(paths[SURGE_TEST], info, folder, SURGE_TEST) == SURGE_OK;
  surge_status train =
      find_split(paths[SURGE_TRAIN], info, folder, SURGE_TRAIN);
  if (train == SURGE_OK && test) return count_in_both(paths, &info->classes);
  if (test) return count_in_one(paths[SURGE_TEST], &info->classes);
  SURGE_TRY(train);
  return count_in_one(paths[SURGE_TRAIN], &info->classes);
}

/* --- a split's files ------------------------------------------------------ */

/* What became of an image that could not be read. */
typedef struct image_fault {
  char *text; /* or NULL: it could be, as far as is known */
  bool told;
} image_fault;

struct surge_image_files {
  char folder[SURGE_DATA_PATH]; /* of the split */
  name_list classes;
  name_list *names; /* [classes.count] */
  struct image_place {
    int32_t label, rank; /* names[label].entries[rank] */
  } * places;            /* [count] */
  int32_t count;
  bool skip;
  pthread_mutex_t mutex; /* guards what follows */
  image_fault *faults;   /* [count] */
  int32_t skipped;
};

void surge_image_files_free(struct surge_image_files *files) {
  if (!files) return;
  for (int32_t i = 0; files->names && i < files->classes.count; i++)
    free_names(&files->names[i]);
  for (int32_t i = 0; files->faults && i < files->count; i++)
    free(files->faults[i].text);
  free_names(&files->classes);
  free(files->names);
  free(files->places);
  free(files->faults);
  pthread_mutex_destroy(&files->mutex);
  free(files);
}

const char *surge_image_files_class(const struct surge_image_files *files,
                                    int32_t label) {
  return files->classes.entries[label]->d_name;
}

static surge_status list_files(struct surge_image_files *files) {
  int64_t count = 0;
  for (int i = 0; i < files->classes.count; i++) {
    char path[SURGE_DATA_PATH];
    SURGE_TRY(join(path, files->folder, files->classes.entries[i]->d_name));
    SURGE_TRY(list_names(&files->names[i], path, is_image));
    if (files->names[i].count == 0)
      return SURGE_FAIL(SURGE_ERROR_DATA,
                        "%s: wanted at least one .jpg, .jpeg or .png file, "
                        "found none",
                        path);
    count += files->names[i].count;
  }
  if (count > INT32_MAX)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: wanted at most %d images, found %lld", files->folder,
                      INT32_MAX, (long long)count);
  files->count = (int32_t)count;
  return SURGE_OK;
}

/* The first image of each class, then the second of each, ...: so that the
 * first few (data.test_limit) are of all classes. */
static void place_files(struct surge_image_files *files, int32_t *labels) {
  for (int32_t rank = 0, k = 0; k < files->count; rank++)
    for (int32_t label = 0; label < files->classes.count; label++)
      if (rank < files->names[label].count) {
        files->places[k] = (struct image_place){label, rank};
        labels[k++] = label;
      }
}

static surge_status no_memory(const char *what) {
  return SURGE_FAIL(SURGE_ERROR_DEVICE,
                    "%s: wanted memory for the names of its images, found less",
                    what);
}

static surge_status fill_files(struct surge_image_files *files,
                               surge_dataset *set, const char *folder,
                               surge_split split) {
  SURGE_TRY(find_split(files->folder, set->info, folder, split));
  SURGE_TRY(list_classes(&files->classes, files->folder));
  if (files->classes.count != set->info->classes)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted %d classes, found %d",
                      files->folder, (int)set->info->classes,
                      files->classes.count);
  files->names = calloc((size_t)files->classes.count, sizeof *files->names);
  if (!files->names) return no_memory(files->folder);
  SURGE_TRY(list_files(files));
  size_t count = (size_t)files->count;
  set->count = files->count;
  set->labels = malloc(count * sizeof *set->labels);
  files->places = malloc(count * sizeof *files->places);
  files->faults = calloc(count, sizeof *files->faults);
  if (!set->labels || !files->places || !files->faults)
    return no_memory(files->folder);
  place_files(files, set->labels);
  return SURGE_OK;
}

static surge_status folder_list(const surge_reader *reader, surge_dataset *set,
                                const struct surge_data_recipe *recipe,
                                const char *folder, surge_split split) {
  (void)reader;
  set->files = calloc(1, sizeof *set->files);
  if (!set->files) return no_memory(folder);
  pthread_mutex_init(&set->files->mutex, NULL);
  set->files->skip = recipe->on_error == SURGE_ON_ERROR_SKIP;
  return fill_files(set->files, set, folder, split);
}

/* --- one image ------------------------------------------------------------ */

static surge_status read_part(const surge_dataset_info *info, const char *path,
                              const surge_data_pass *pass, uint32_t sample,
                              uint8_t *out) {
  surge_image image;
  SURGE_TRY(surge_image_read(&image, path));
  surge_part part =
      pass->train ? surge_part_random(image.h, image.w, info->h, pass, sample)
                  : surge_part_centre(image.h, image.w, info->resize, info->h);
  surge_status status = surge_image_resize(&image, &part, out);
  surge_image_free(&image);
  return status;
}

static surge_status read_file(const surge_dataset *set, uint32_t sample,
                              const surge_data_pass *pass, uint8_t *out) {
  const struct surge_image_files *files = set->files;
  struct image_place at = files->places[sample];
  char folder[SURGE_DATA_PATH], path[SURGE_DATA_PATH];
  SURGE_TRY(
      join(folder, files->folder, files->classes.entries[at.label]->d_name));
  SURGE_TRY(
      join(path, folder, files->names[at.label].entries[at.rank]->d_name));
  return read_part(set->info, path, pass, sample, out);
}

/* Keeps what the calling thread's last error says of an image. */
static void keep_fault(struct surge_image_files *files, uint32_t sample) {
  pthread_mutex_lock(&files->mutex);
  image_fault *fault = &files->faults[sample];
  if (!fault->text && (fault->text = strdup(surge_last_error())))
    files->skipped++;
  pthread_mutex_unlock(&files->mutex);
}

surge_status surge_image_files_read(const surge_dataset *set, uint32_t sample,
                                    const surge_data_pass *pass,
                                    uint8_t *image) {
  surge_status status = read_file(set, sample, pass, image);
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
  struct surge_image_files *files = set->files;
  const char *text = NULL;
  if (!files) return NULL;
  pthread_mutex_lock(&files->mutex);
  for (; !text && *sample < (uint32_t)files->count; ++*sample) {
    image_fault *fault = &files->faults[*sample];
    if (!fault->text || fault->told) continue;
    fault->told = true;
    text = fault->text;
  }
  pthread_mutex_unlock(&files->mutex);
  return text;
}

/* One image file as a set of one, its centre. */
static surge_status folder_open(const surge_reader *reader, surge_dataset *set,
                                const char *path) {
  static const surge_data_pass pass = {.train = false};
  (void)reader;
  SURGE_TRY(surge_dataset_allocate(set, 1));
  return read_part(set->info, path, &pass, 0, set->images);
}

const surge_reader surge_folder_reader = {.describe = folder_describe,
                                          .probe = folder_probe,
                                          .list = folder_list,
                                          .open = folder_open};
