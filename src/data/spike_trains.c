/* spike_trains.c - SHD and SSC (Cramer 2022): all recordings of a split in one
 * HDF5 file, spikes of 700 channels in a row. No cache:
 * each sample's key would hash the whole file. */
#include <stdio.h>

#include "src/data/files.h"
#include "src/data/recording.h"

static const char *const shd[2] = {"shd_train.h5", "shd_test.h5"};
static const char *const ssc[2] = {"ssc_train.h5", "ssc_test.h5"};

static surge_status find_file(char path[SURGE_DATA_PATH],
                              const surge_reader *reader,
                              const surge_dataset_info *info,
                              const char *folder, surge_split split) {
  const char *const *names = reader->layout;
  return surge_data_file_find(path, info, folder, &names[split], 1);
}

static surge_status trains_describe(const surge_reader *reader,
                                    surge_dataset_info *info,
                                    const struct surge_data_recipe *recipe,
                                    const char *folder) {
  (void)reader;
  (void)folder;
  if (recipe->size > 0)
    return SURGE_FAIL(SURGE_ERROR_RECIPE,
                      "data.size: wanted 0 for %s, whose channels are a row, "
                      "found %d",
                      info->name, (int)recipe->size);
  surge_recording_describe(info, recipe);
  return SURGE_OK;
}

static surge_status trains_probe(const surge_reader *reader,
                                 const surge_dataset_info *info,
                                 const char *folder) {
  char path[SURGE_DATA_PATH];
  for (int split = SURGE_TRAIN; split <= SURGE_TEST; split++)
    SURGE_TRY(find_file(path, reader, info, folder, (surge_split)split));
  return SURGE_OK;
}

/* --- a split -------------------------------------------------------------- */

/* The list's place is the file itself. */
static surge_status trains_path(const void *own, const char *file,
                                uint32_t sample, char path[SURGE_DATA_PATH]) {
  (void)own;
  (void)sample;
  snprintf(path, SURGE_DATA_PATH, "%s", file);
  return SURGE_OK;
}

static surge_status trains_read(const surge_dataset *set, uint32_t sample,
                                const char *path, const surge_data_pass *pass,
                                uint8_t *out) {
  const surge_window window = {INT64_MIN, INT64_MAX, sample};
  return surge_recording_read(set, sample, path, &window, pass, out);
}

static const surge_file_kind trains = {.path = trains_path,
                                       .read = trains_read};

static surge_status read_labels(surge_dataset *set, surge_events_file *file,
                                const char *path, int32_t wanted) {
  size_t count = surge_events_file_info(file)->recordings;
  if (count != (size_t)wanted)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted %d recordings, found %zu",
                      path, (int)wanted, count);
  SURGE_TRY(surge_files_allocate(set, wanted));
  for (int32_t i = 0; i < wanted; i++) {
    SURGE_TRY(surge_events_label(file, (size_t)i, &set->labels[i]));
    SURGE_TRY(surge_check_label(set->info, path, i, set->labels[i]));
  }
  return SURGE_OK;
}

static surge_status trains_list(const surge_reader *reader, surge_dataset *set,
                                const struct surge_data_recipe *recipe,
                                const char *folder, surge_split split) {
  const surge_dataset_info *info = set->info;
  char path[SURGE_DATA_PATH];
  surge_events_file *file;
  SURGE_TRY(find_file(path, reader, info, folder, split));
  SURGE_TRY(surge_files_create(set, &trains, recipe, path, NULL));
  SURGE_TRY(surge_events_open(&file, path));
  surge_status status =
      read_labels(set, file, path,
                  split == SURGE_TRAIN ? info->train_count : info->test_count);
  surge_events_close(file);
  return status;
}

const surge_reader surge_shd_reader = {.layout = shd,
                                       .describe = trains_describe,
                                       .probe = trains_probe,
                                       .list = trains_list,
                                       .open = surge_recording_open};

const surge_reader surge_ssc_reader = {.layout = ssc,
                                       .describe = trains_describe,
                                       .probe = trains_probe,
                                       .list = trains_list,
                                       .open = surge_recording_open};
