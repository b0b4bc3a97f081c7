/* event_folder.c - recordings of event cameras, one folder a class (files.h),
 * each in any format that surge/events.h reads, as T frames of counts. */
#include "src/data/files.h"
#include "src/data/frame_cache.h"
#include "src/data/recording.h"

/* The sensor of a set that has none of its own: the recipe's, or that of the
 * first file. */
static surge_status find_sensor(const surge_reader *reader,
                                surge_dataset_info *info,
                                const struct surge_data_recipe *recipe,
                                const char *folder) {
  char path[SURGE_DATA_PATH] = "";
  if (recipe->sensor_count == 0)
    SURGE_TRY(surge_files_first(path, reader, info, folder));
  return surge_recording_sensor(info, recipe, path);
}

static surge_status event_describe(const surge_reader *reader,
                                   surge_dataset_info *info,
                                   const struct surge_data_recipe *recipe,
                                   const char *folder) {
  if (info->classes == 0) SURGE_TRY(surge_files_describe(reader, info, folder));
  if (info->w == 0) SURGE_TRY(find_sensor(reader, info, recipe, folder));
  surge_recording_describe(info, recipe);
  return SURGE_OK;
}

static surge_status event_list(const surge_reader *reader, surge_dataset *set,
                               const struct surge_data_recipe *recipe,
                               const char *folder, surge_split split) {
  SURGE_TRY(surge_files_list(reader, set, recipe, folder, split));
  return surge_frame_cache_open(set, recipe);
}

static surge_status read_recording(const surge_dataset *set, uint32_t sample,
                                   const char *path,
                                   const surge_data_pass *pass, uint8_t *out) {
  return surge_recording_read(set, sample, path, &surge_whole, pass, out);
}

static const surge_file_kind recordings = {
    .splits = {[SURGE_TRAIN] = {"train", "Train", "n-cars_train"},
               [SURGE_TEST] = {"test", "Test", "n-cars_test"}},
    .splits_text = "test",
    .shares = true,
    .wanted = surge_is_visible,
    .wanted_text = "recording",
    .read = read_recording};

const surge_reader surge_event_reader = {.layout = &recordings,
                                         .describe = event_describe,
                                         .probe = surge_files_probe,
                                         .list = event_list,
                                         .open = surge_recording_open};
