/* dvs_gesture.c - DVS128 Gesture (Amir 2017): a recording in AEDAT 3.1 has many
 * samples, the windows that its table of labels names.
 *
 *     PATH/trials_to_train.txt, trials_to_test.txt   names of recordings
 *     PATH/<name>.aedat, PATH/<name>_labels.csv      class, begin, end (us)
 *
 * Classes are 1 to 11 in the tables, 0 to 10 here. As in SpikingJelly a window
 * has the events of begin <= t < end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/data/files.h"
#include "src/data/frame_cache.h"
#include "src/data/recording.h"

#define NAME 128 /* longest name of a recording, with its final 0 */

static const char *const lists[2] = {"trials_to_train.txt",
                                     "trials_to_test.txt"};

typedef struct gesture {
  char name[NAME];
  surge_window window;
  int32_t label;
} gesture;

typedef struct gestures {
  gesture *at;
  int32_t count, capacity;
} gestures;

static surge_status add(gestures *found, const gesture *one) {
  if (found->count == found->capacity) {
    int32_t capacity = found->capacity ? 2 * found->capacity : 256;
    gesture *larger = realloc(found->at, (size_t)capacity * sizeof *larger);
    if (!larger) return SURGE_FAIL(SURGE_ERROR_DEVICE, "no memory for windows");
    found->at = larger;
    found->capacity = capacity;
  }
  found->at[found->count++] = *one;
  return SURGE_OK;
}

/* --- the two texts -------------------------------------------------------- */

/* Calls `take` with every line of a text but its end. */
typedef surge_status take_line(void *target, const char *path, int line,
                               const char *text);

static surge_status each_line(const char *path, take_line *take, void *target) {
  char text[2 * NAME];
  FILE *file = fopen(path, "r");
  surge_status status = SURGE_OK;
  if (!file)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s", path, strerror(errno));
  for (int line = 1; status == SURGE_OK && fgets(text, sizeof text, file);
       line++) {
    text[strcspn(text, "\r\n")] = 0;
    if (text[0]) status = take(target, path, line, text);
  }
  fclose(file);
  return status;
}

typedef struct table {
  gestures *found;
  const char *folder, *name; /* of the recording */
  const surge_dataset_info *info;
} table;

/* "class,startTime_usec,endTime_usec" stands in the first line. */
static surge_status take_window(void *target, const char *path, int line,
                                const char *text) {
  table *t = target;
  gesture one = {0};
  int label;
  long long begin, end;
  if (line == 1 && strncmp(text, "class", 5) == 0) return SURGE_OK;
  if (sscanf(text, "%d,%lld,%lld", &label, &begin, &end) != 3 || label < 1 ||
      label > t->info->classes || begin >= end)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s:%d: wanted a class from 1 to %d, begin and a later "
                      "end, found %s",
                      path, line, (int)t->info->classes, text);
  snprintf(one.name, sizeof one.name, "%s", t->name);
  one.window = (surge_window){begin, end, 0};
  one.label = label - 1;
  return add(t->found, &one);
}

static surge_status take_trial(void *target, const char *path, int line,
                               const char *text) {
  table *t = target;
  char labels[2 * NAME], csv[SURGE_DATA_PATH];
  size_t length = strlen(text), end = strlen(".aedat");
  if (length >= NAME || length <= end || strcmp(text + length - end, ".aedat"))
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s:%d: wanted the name of an .aedat file, found %s",
                      path, line, text);
  snprintf(labels, sizeof labels, "%.*s_labels.csv", (int)(length - end), text);
  SURGE_TRY(surge_path_join(csv, t->folder, labels));
  t->name = text;
  return each_line(csv, take_window, t);
}

/* --- the reader ----------------------------------------------------------- */

static surge_status gesture_describe(const surge_reader *reader,
                                     surge_dataset_info *info,
                                     const struct surge_data_recipe *recipe,
                                     const char *folder) {
  (void)reader;
  (void)folder;
  surge_recording_describe(info, recipe);
  return SURGE_OK;
}

static surge_status gesture_probe(const surge_reader *reader,
                                  const surge_dataset_info *info,
                                  const char *folder) {
  char path[SURGE_DATA_PATH];
  (void)reader;
  for (int split = SURGE_TRAIN; split <= SURGE_TEST; split++)
    SURGE_TRY(surge_data_file_find(path, info, folder, &lists[split], 1));
  return SURGE_OK;
}

static surge_status gesture_path(const void *own, const char *folder,
                                 uint32_t sample, char path[SURGE_DATA_PATH]) {
  return surge_path_join(path, folder, ((const gesture *)own)[sample].name);
}

static surge_status gesture_read(const surge_dataset *set, uint32_t sample,
                                 const char *path, const surge_data_pass *pass,
                                 uint8_t *out) {
  const gesture *all = surge_files_own(set->files);
  return surge_recording_read(set, sample, path, &all[sample].window, pass,
                              out);
}

static const surge_file_kind windows = {.path = gesture_path,
                                        .read = gesture_read};

static surge_status gesture_list(const surge_reader *reader, surge_dataset *set,
                                 const struct surge_data_recipe *recipe,
                                 const char *folder, surge_split split) {
  const surge_dataset_info *info = set->info;
  gestures found = {0};
  table t = {.found = &found, .folder = folder, .info = info};
  int32_t wanted = split == SURGE_TRAIN ? info->train_count : info->test_count;
  char path[SURGE_DATA_PATH];
  (void)reader;
  SURGE_TRY(surge_data_file_find(path, info, folder, &lists[split], 1));
  surge_status status = each_line(path, take_trial, &t);
  if (status == SURGE_OK && found.count != wanted)
    status = SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted %d windows, found %d",
                        path, (int)wanted, (int)found.count);
  if (status != SURGE_OK) {
    free(found.at);
    return status;
  }
  SURGE_TRY(surge_files_create(set, &windows, recipe, folder, found.at));
  SURGE_TRY(surge_files_allocate(set, found.count));
  for (int32_t i = 0; i < found.count; i++) set->labels[i] = found.at[i].label;
  return surge_frame_cache_open(set, recipe);
}

const surge_reader surge_gesture_reader = {.describe = gesture_describe,
                                           .probe = gesture_probe,
                                           .list = gesture_list,
                                           .open = surge_recording_open};
