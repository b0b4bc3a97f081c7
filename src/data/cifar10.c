/* cifar10.c - the binary version of CIFAR-10.
 *
 * Files of 10,000 records: a label, then the red, the green and the blue plane,
 * each row-major. SURGE keeps channels innermost, so records are transposed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "src/data/file.h"
#include "src/data/readers.h"

#define CHANNELS 3
#define PLANE (32 * 32)
#define RECORD (1 + CHANNELS * PLANE)

#define TRAIN_FILES 5
#define SPELLINGS 2 /* data.path is the folder of the files, or its parent */
#define CIFAR_NAMES(name) \
  { name ".bin", "cifar-10-batches-bin/" name ".bin" }

static const char *const train_names[TRAIN_FILES][SPELLINGS] = {
    CIFAR_NAMES("data_batch_1"), CIFAR_NAMES("data_batch_2"),
    CIFAR_NAMES("data_batch_3"), CIFAR_NAMES("data_batch_4"),
    CIFAR_NAMES("data_batch_5")};
static const char *const test_names[SPELLINGS] = CIFAR_NAMES("test_batch");

/* Where one file's records go: samples first .. first + count - 1. */
typedef struct record_range {
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
  for (int32_t i = 0; i < range->count; i++) {
    uint8_t record[RECORD];
    char what[64];
    snprintf(what, sizeof what, "record %d of %d", (int)i + 1,
             (int)range->count);
    SURGE_TRY(surge_data_file_bytes(file, record, RECORD, what));
    SURGE_TRY(
        surge_check_label(set->info, surge_data_file_path(file), i, record[0]));
    int32_t sample = range->first + i;
    set->labels[sample] = record[0];
    transpose(set->images + (size_t)sample * CHANNELS * PLANE, record + 1);
  }
  return SURGE_OK;
}

static surge_status cifar_fill(const surge_dataset *set, const char *folder,
                               surge_split split) {
  bool train = split == SURGE_TRAIN;
  int32_t files = train ? TRAIN_FILES : 1, count = set->count / files;
  for (int32_t f = 0; f < files; f++) {
    char path[SURGE_DATA_PATH];
    record_range range = {set, f * count, count};
    SURGE_TRY(surge_data_file_find(path, set->info, folder,
                                   train ? train_names[f] : test_names,
                                   SPELLINGS));
    SURGE_TRY(surge_data_file_read(path, take_records, &range));
  }
  return SURGE_OK;
}

static surge_status cifar_probe(const surge_dataset_info *info,
                                const char *folder) {
  char path[SURGE_DATA_PATH];
  for (int32_t f = 0; f < TRAIN_FILES; f++)
    SURGE_TRY(
        surge_data_file_find(path, info, folder, train_names[f], SPELLINGS));
  return surge_data_file_find(path, info, folder, test_names, SPELLINGS);
}

/* A file's size says how many records it has. */
static surge_status cifar_open(surge_dataset *set, const char *path) {
  struct stat info;
  if (stat(path, &info) != 0)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s", path, strerror(errno));
  int64_t size = info.st_size, count = size / RECORD;
  if (size == 0 || size % RECORD || count > INT32_MAX)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: wanted records of %d bytes, found %lld bytes", path,
                      RECORD, (long long)size);
  SURGE_TRY(surge_dataset_allocate(set, (int32_t)count));
  record_range range = {set, 0, set->count};
  return surge_data_file_read(path, take_records, &range);
}

const surge_reader surge_cifar10_reader = {
    .probe = cifar_probe, .fill = cifar_fill, .open = cifar_open};
