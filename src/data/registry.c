/* registry.c - the data sets that SURGE knows, and how each is read.
 *
 * To add a set: one entry below. To add a format: one reader (readers.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/data/files.h"
#include "src/data/frame_cache.h"
#include "src/data/readers.h"

/* --- the table ------------------------------------------------------------ */

typedef struct registered_set {
  surge_dataset_info info;
  const surge_reader *reader;
} registered_set;

static const char *const fashion_names[] = {
    "T-shirt", "trouser", "pullover", "dress", "coat",
    "sandal",  "shirt",   "sneaker",  "bag",   "ankle boot"};
static const char *const cifar10_names[] = {
    "airplane", "automobile", "bird",  "cat",  "deer",
    "dog",      "frog",       "horse", "ship", "truck"};
static const char *const gesture_names[] = {"hand clapping",
                                            "right hand wave",
                                            "left hand wave",
                                            "right arm clockwise",
                                            "right arm counter-clockwise",
                                            "left arm clockwise",
                                            "left arm counter-clockwise",
                                            "arm roll",
                                            "air drums",
                                            "air guitar",
                                            "other"};

/* Means and standard deviations are those of the training images / 255: the
 * published ones, of which the tests recompute all but CIFAR-100's and
 * ImageNet's (torchvision's, for image_folder). Counts of events stay as they
 * are. */
static const registered_set registry[] = {
    {{.name = "fashion_mnist",
      .h = 28,
      .w = 28,
      .c = 1,
      .classes = 10,
      .train_count = 60000,
      .test_count = 10000,
      .mean = {0.2860f},
      .std = {0.3530f},
      .default_path = "/usr/share/datasets/fashion-mnist",
      .install_hint = "install the Debian package dataset-fashion-mnist, or "
                      "name the folder of its four IDX files in data.path",
      .names = fashion_names},
     &surge_idx_reader},
    {{.name = "mnist",
      .h = 28,
      .w = 28,
      .c = 1,
      .classes = 10,
      .train_count = 60000,
      .test_count = 10000,
      .mean = {0.1307f},
      .std = {0.3081f},
      .default_path = "",
      .install_hint = "name the folder of MNIST's four IDX files in data.path"},
     &surge_idx_reader},
    {{.name = "cifar10",
      .h = 32,
      .w = 32,
      .c = 3,
      .classes = 10,
      .train_count = 50000,
      .test_count = 10000,
      .mean = {0.49139968f, 0.48215841f, 0.44653091f},
      .std = {0.24703223f, 0.24348513f, 0.26158784f},
      .default_path = "",
      .install_hint = "unpack cifar-10-binary.tar.gz and name the folder of "
                      "its .bin files in data.path",
      .names = cifar10_names},
     &surge_cifar10_reader},
    {{.name = "cifar100",
      .h = 32,
      .w = 32,
      .c = 3,
      .classes = 100,
      .train_count = 50000,
      .test_count = 10000,
      .mean = {0.50707516f, 0.48654887f, 0.44091784f},
      .std = {0.26733429f, 0.25643846f, 0.27615047f},
      .default_path = "",
      .install_hint = "unpack cifar-100-binary.tar.gz and name the folder of "
                      "train.bin and test.bin in data.path"},
     &surge_cifar100_reader},
    {{.name = "image_folder",
      .c = 3,
      .mean = {0.485f, 0.456f, 0.406f},
      .std = {0.229f, 0.224f, 0.225f},
      .default_path = "",
      .install_hint = "name in data.path the folder that holds train/<class>/ "
                      "and val/<class>/ with JPEG or PNG files"},
     &surge_folder_reader},
    {{.name = "nmnist",
      .w = 34,
      .h = 34,
      .c = 2,
      .classes = 10,
      .steps = 1,
      .train_count = 60000,
      .test_count = 10000,
      .mean = {0},
      .std = {1, 1},
      .default_path = "",
      .install_hint = "unpack N-MNIST's Train.zip and Test.zip and name the "
                      "folder of Train/ and Test/ in data.path"},
     &surge_event_reader},
    {{.name = "cifar10_dvs",
      .w = 128,
      .h = 128,
      .c = 2,
      .classes = 10,
      .steps = 1,
      .on_side = true,
      .mean = {0},
      .std = {1, 1},
      .default_path = "",
      .install_hint =
          "unpack CIFAR10-DVS's ten archives and name the folder of "
          "airplane/ to truck/ in data.path"},
     &surge_event_reader},
    {{.name = "ncaltech101",
      .w = 240,
      .h = 180,
      .c = 2,
      .classes = 101,
      .steps = 1,
      .mean = {0},
      .std = {1, 1},
      .default_path = "",
      .install_hint =
          "unpack N-Caltech101's Caltech101.zip and name its folder "
          "Caltech101, of 101 classes, in data.path"},
     &surge_event_reader},
    {{.name = "ncars",
      .w = 120,
      .h = 100,
      .c = 2,
      .classes = 2,
      .steps = 1,
      .train_count = 15422,
      .test_count = 8607,
      .mean = {0},
      .std = {1, 1},
      .default_path = "",
      .install_hint = "unpack N-CARS and name the folder of n-cars_train/ and "
                      "n-cars_test/ in data.path"},
     &surge_event_reader},
    {{.name = "dvs_gesture",
      .w = 128,
      .h = 128,
      .c = 2,
      .classes = 11,
      .steps = 1,
      .train_count = 1176,
      .test_count = 288,
      .mean = {0},
      .std = {1, 1},
      .default_path = "",
      .install_hint = "unpack DvsGesture.tar.gz and name the folder of "
                      "trials_to_train.txt and user01_led.aedat in data.path",
      .names = gesture_names},
     &surge_gesture_reader},
    {{.name = "shd",
      .w = 700,
      .h = 1,
      .c = 1,
      .classes = 20,
      .steps = 1,
      .train_count = 8156,
      .test_count = 2264,
      .mean = {0},
      .std = {1},
      .default_path = "",
      .install_hint = "name the folder of SHD's shd_train.h5 and shd_test.h5, "
                      "unpacked, in data.path"},
     &surge_shd_reader},
    {{.name = "ssc",
      .w = 700,
      .h = 1,
      .c = 1,
      .classes = 35,
      .steps = 1,
      .train_count = 75466,
      .test_count = 20382,
      .mean = {0},
      .std = {1},
      .default_path = "",
      .install_hint = "name the folder of SSC's ssc_train.h5 and ssc_test.h5, "
                      "unpacked, in data.path"},
     &surge_ssc_reader},
    {{.name = "event_folder",
      .c = 2,
      .steps = 1,
      .mean = {0},
      .std = {1, 1},
      .default_path = "",
      .install_hint = "name in data.path the folder that holds train/<class>/ "
                      "and test/<class>/, or <class>/, with recordings"},
     &surge_event_reader},
};

enum { REGISTERED = sizeof registry / sizeof registry[0] };

static const registered_set *find_set(const char *name) {
  for (size_t i = 0; i < REGISTERED; i++)
    if (strcmp(registry[i].info.name, name) == 0) return &registry[i];
  return NULL;
}

const surge_dataset_info *surge_dataset_find(const char *name) {
  const registered_set *found = find_set(name);
  return found ? &found->info : NULL;
}

int32_t surge_sample_steps(const surge_dataset_info *info) {
  return info->steps ? info->steps : 1;
}

size_t surge_sample_bytes(const surge_dataset_info *info) {
  return (size_t)surge_sample_steps(info) * (size_t)info->h * (size_t)info->w *
         (size_t)info->c;
}

/* --- from a recipe to an entry and a folder ------------------------------- */

static surge_status fail_unknown(const char *name) {
  char known[256] = "";
  size_t length = 0;
  for (size_t i = 0; i < REGISTERED && length < sizeof known; i++)
    length += (size_t)snprintf(known + length, sizeof known - length, "%s%s",
                               i ? ", " : "", registry[i].info.name);
  return SURGE_FAIL(SURGE_ERROR_RECIPE,
                    "data.set: wanted one of %s, found '%s'", known, name);
}

static surge_status resolve(const struct surge_data_recipe *recipe,
                            const registered_set **entry, const char **folder) {
  *folder = recipe->path;
  *entry = find_set(recipe->set);
  if (!*entry) return fail_unknown(recipe->set);
  const surge_dataset_info *info = &(*entry)->info;
  if (!(*folder)[0]) *folder = info->default_path;
  if (!(*folder)[0])
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: data.path: wanted a folder, found none; %s",
                      info->name, info->install_hint);
  return SURGE_OK;
}

/* A larger shift could show padding alone. */
static surge_status check_crop(const surge_dataset_info *info,
                               const struct surge_data_recipe *recipe) {
  int32_t side = info->h < info->w ? info->h : info->w;
  if (recipe->crop_pad < side) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_RECIPE,
                    "data.crop_pad: wanted less than the shorter side of an "
                    "image of %s, %d, found %d",
                    info->name, (int)side, (int)recipe->crop_pad);
}

surge_status surge_dataset_describe(surge_dataset_info *info,
                                    const struct surge_data_recipe *recipe,
                                    int32_t T) {
  const registered_set *entry = find_set(recipe->set);
  const char *folder;
  if (!entry) return fail_unknown(recipe->set);
  *info = entry->info;
  if (info->steps) info->steps = T;
  if (entry->reader->describe) {
    folder = "";
    if (info->classes == 0) SURGE_TRY(resolve(recipe, &entry, &folder));
    SURGE_TRY(entry->reader->describe(entry->reader, info, recipe, folder));
  }
  return check_crop(info, recipe);
}

surge_status surge_dataset_probe(const struct surge_data_recipe *recipe) {
  const registered_set *entry;
  const char *folder;
  SURGE_TRY(resolve(recipe, &entry, &folder));
  return entry->reader->probe(entry->reader, &entry->info, folder);
}

/* --- reading -------------------------------------------------------------- */

surge_status surge_check_label(const surge_dataset_info *info, const char *path,
                               int32_t i, int32_t label) {
  if (label >= 0 && label < info->classes) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: label of sample %d: wanted 0 to %d, found %d", path,
                    (int)i, (int)info->classes - 1, (int)label);
}

surge_status surge_dataset_allocate(surge_dataset *set, int32_t count) {
  const surge_dataset_info *info = set->info;
  size_t bytes = surge_sample_bytes(info);
  set->count = count;
  set->images = malloc((size_t)count * bytes + 1);
  set->labels = calloc((size_t)count + 1, sizeof *set->labels);
  if (set->images && set->labels) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE,
                    "%s: wanted memory for %d samples of %zu bytes, found less",
                    info->name, (int)count, bytes);
}

surge_status surge_dataset_read(surge_dataset *set,
                                const surge_dataset_info *info,
                                const surge_reader *reader, const char *folder,
                                surge_split split) {
  *set = (surge_dataset){.info = info};
  surge_status status = surge_dataset_allocate(
      set, split == SURGE_TRAIN ? info->train_count : info->test_count);
  if (status == SURGE_OK) status = reader->fill(reader, set, folder, split);
  if (status != SURGE_OK) surge_dataset_close(set);
  return status;
}

surge_status surge_dataset_open_file(surge_dataset *set,
                                     const surge_dataset_info *info,
                                     const char *path) {
  *set = (surge_dataset){.info = info};
  const surge_reader *reader = find_set(info->name)->reader;
  surge_status status = reader->open(reader, set, path);
  if (status != SURGE_OK) surge_dataset_close(set);
  return status;
}

surge_status surge_dataset_open(surge_dataset *set,
                                const surge_dataset_info *info,
                                const struct surge_data_recipe *recipe,
                                surge_split split) {
  const registered_set *entry;
  const char *folder;
  *set = (surge_dataset){0};
  SURGE_TRY(resolve(recipe, &entry, &folder));
  const surge_reader *reader = entry->reader;
  surge_status status = SURGE_OK;
  if (reader->list) {
    set->info = info;
    status = reader->list(reader, set, recipe, folder, split);
  } else {
    status = surge_dataset_read(set, info, reader, folder, split);
  }
  if (split == SURGE_TRAIN) {
    set->policy = recipe->policy;
    set->roll = recipe->roll;
    set->drop_event = recipe->drop_event;
  }
  if (status != SURGE_OK) surge_dataset_close(set);
  return status;
}

void surge_dataset_close(surge_dataset *set) {
  surge_files_free(set->files);
  surge_frame_cache_free(set->cache);
  free(set->images);
  free(set->labels);
  *set = (surge_dataset){0};
}

surge_status surge_dataset_image(const surge_dataset *set, uint32_t sample,
                                 const surge_data_pass *pass, uint8_t *image) {
  if (set->files) return surge_files_read(set, sample, pass, image);
  size_t bytes = surge_sample_bytes(set->info);
  memcpy(image, set->images + sample * bytes, bytes);
  return SURGE_OK;
}

const char *surge_dataset_class(const surge_dataset *set, int32_t label) {
  if (set->info->names) return set->info->names[label];
  return set->files ? surge_files_class(set->files, label) : NULL;
}
