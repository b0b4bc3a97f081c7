/* cifar.c - the binary versions of CIFAR-10 and CIFAR-100.
 *
 * Files of records of one size: a label (CIFAR-100: the coarse one, which is
 * passed over, and the fine one), then the red, the green and the blue plane,
 * each row-major. SURGE keeps channels innermost, so records are transposed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "src/data/file.h"
#include "src/data/readers.h"

#define CHANNELS 3
#define PLANE (32 * 32)
#define MOST_LABELS 2
#define MOST_RECORD (MOST_LABELS + CHANNELS * PLANE)

#define MOST_FILES 5
#define SPELLINGS 2 /* data.path is the folder of the files, or its parent */
#define CIFAR_NAMES(folder, name)                                              \
  { name ".bin", folder "/" name ".bin" }

/* What distinguishes the two versions. */
typedef struct cifar_layout {
  int32_t labels; /* bytes before the planes; the last is the class */
  int32_t train_files;
  const char *train[MOST_FILES][SPELLINGS], *test[SPELLINGS];
} cifar_layout;

#define CIFAR10(name) CIFAR_NAMES("cifar-10-batches-bin", name)
#define CIFAR100(name) CIFAR_NAMES("cifar-100-binary", name)

static const cifar_layout cifar10 = {
    .labels = 1,
    .train_files = 5,
    .train = {CIFAR10("data_batch_1"), CIFAR10("data_batch_2"),
              CIFAR10("data_batch_3"), CIFAR10("data_batch_4"),
              CIFAR10("data_batch_5")},
    .test = CIFAR10("test_batch")};
static const cifar_layout cifar100 = {.labels = 2,
                                      .train_files = 1,
                                      .train = {CIFAR100("train")},
                                      .test = CIFAR100("test")};

static size_t record_bytes(const cifar_layout *layout) {
  return (size_t)layout->labels + CHANNELS * PLANE;
}

/* Where one file's records go: samples first .. first + count - 1. */
typedef struct record_range {
  const cifar_layout *layout;
  const surge_dataset *set;
  int32_t first, count;
} record_range;

/* [C, H, W] to [H, W, C]. */
static void transpose(uint8_t *image, const uint8_t *planes) {
  for (size_t i = 0; i < PLANE; i++)
    for (size_t c = 0; c < CHANNELS; c++)
      image[i * CHANNELS + c] = planes[c * PLANE + i];
}

static surge_status take_records(surge_data_file *file, void *target) {
  const record_range *range = target;
  const surge_dataset *set = range->set;
  size_t bytes = record_bytes(range->layout);
  for (int32_t i = 0; i < range->count; i++) {
    uint8_t record[MOST_RECORD];
    const uint8_t *planes = record + range->layout->labels;
    char what[64];
    snprintf(what, sizeof what, "record %d of %d", (int)i + 1,
             (int)range->count);
    SURGE_TRY(surge_data_file_bytes(file, record, bytes, what));
    SURGE_TRY(surge_check_label(set->info, surge_data_file_path(file), i,
                                planes[-1]));
    int32_t sample = range->first + i;
    set->labels[sample] = planes[-1];
    transpose(set->images + (size_t)sample * CHANNELS * PLANE, planes);
  }
  return SURGE_OK;
}

static surge_status cifar_fill(const surge_reader *reader,
                               const surge_dataset *set, const char *folder,
                               surge_split split) {
  const cifar_layout *layout = reader->layout;
  bool train = split == SURGE_TRAIN;
  int32_t files = train ? layout->train_files : 1, count = set->count / files;
  for (int32_t f = 0; f < files; f++) {
    char path[SURGE_DATA_PATH];
    record_range range = {layout, set, f * count, count};
    SURGE_TRY(surge_data_file_find(path, set->info, folder,
                                   train ? layout->train[f] : layout->test,
                                   SPELLINGS));
    SURGE_TRY(surge_data_file_read(path, take_records, &range));
  }
  return SURGE_OK;
}

static surge_status cifar_probe(const surge_reader *reader,
                                const surge_dataset_info *info,
                                const char *folder) {
  const cifar_layout *layout = reader->layout;
  char path[SURGE_DATA_PATH];
  for (int32_t f = 0; f < layout->train_files; f++)
    SURGE_TRY(
        surge_data_file_find(path, info, folder, layout->train[f], SPELLINGS));
  return surge_data_file_find(path, info, folder, layout->test, SPELLINGS);
}

/* A file's size says how many records it has. */
static surge_status cifar_open(const surge_reader *reader, surge_dataset *set,
                               const char *path) {
  const cifar_layout *layout = reader->layout;
  int64_t bytes = (int64_t)record_bytes(layout);
  struct stat info;
  if (stat(path, &info) != 0)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s", path, strerror(errno));
  int64_t size = info.st_size, count = size / bytes;
  if (size == 0 || size % bytes || count > INT32_MAX)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: wanted records of %lld bytes, found %lld bytes",
                      path, (long long)bytes, (long long)size);
  SURGE_TRY(surge_dataset_allocate(set, (int32_t)count));
  record_range range = {layout, set, 0, set->count};
  return surge_data_file_read(path, take_records, &range);
}

const surge_reader surge_cifar10_reader = {.layout = &cifar10,
                                           .probe = cifar_probe,
                                           .fill = cifar_fill,
                                           .open = cifar_open};
const surge_reader surge_cifar100_reader = {.layout = &cifar100,
                                            .probe = cifar_probe,
                                            .fill = cifar_fill,
                                            .open = cifar_open};
