/* event_folder.c - recordings of event cameras, one folder a class (files.h),
 * each in any format that surge/events.h reads, as T frames of counts. */
#include <stdlib.h>

#include "kernels/shared/philox.h"
#include "src/data/event_drop.h"
#include "src/data/files.h"

/* --- what a network is shown ---------------------------------------------- */

/* The sensor of a set that has none of its own. */
static surge_status find_sensor(const surge_reader *reader,
                                surge_dataset_info *info,
                                const struct surge_data_recipe *recipe,
                                const char *folder) {
  char path[SURGE_DATA_PATH];
  surge_events_file *file;
  if (recipe->sensor_count == 2) {
    info->w = recipe->sensor[0];
    info->h = recipe->sensor[1];
    return SURGE_OK;
  }
  SURGE_TRY(surge_files_first(path, reader, info, folder));
  SURGE_TRY(surge_events_open(&file, path));
  const surge_events_info *said = surge_events_file_info(file);
  info->w = said->width;
  info->h = said->height;
  surge_events_close(file);
  if (info->w > 0 && info->h > 0) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_RECIPE,
                    "data.sensor: wanted [width, height], as %s does not say "
                    "it, found []",
                    path);
}

static int32_t scaled(int32_t side, int32_t longer, int32_t size) {
  int32_t s = (int32_t)((int64_t)side * size / longer);
  return s > 0 ? s : 1;
}

/* Recordings are shown on their sensor, or on size x size pixels in whose middle
 * it lies. */
static surge_status event_describe(const surge_reader *reader,
                                   surge_dataset_info *info,
                                   const struct surge_data_recipe *recipe,
                                   const char *folder) {
  SURGE_TRY(surge_files_describe(reader, info, folder));
  if (info->w == 0) SURGE_TRY(find_sensor(reader, info, recipe, folder));
  surge_framing *f = &info->framing;
  *f = (surge_framing){.by = recipe->split_by,
                       .T = info->steps,
                       .duration_us = recipe->duration_us,
                       .width = info->w,
                       .height = info->h,
                       .w = info->w,
                       .h = info->h,
                       .c = info->c};
  if (recipe->size > 0) {
    int32_t longer = info->w > info->h ? info->w : info->h;
    f->w = scaled(info->w, longer, recipe->size);
    f->h = scaled(info->h, longer, recipe->size);
    info->w = info->h = recipe->size;
  }
  f->frame_w = info->w;
  f->frame_h = info->h;
  f->left = (info->w - f->w) / 2;
  f->top = (info->h - f->h) / 2;
  info->most = recipe->counts == SURGE_COUNTS_BINARY ? 1 : 255;
  return SURGE_OK;
}

/* --- one recording -------------------------------------------------------- */

static void roll(surge_framing *f, int32_t most, const surge_data_pass *pass,
                 uint32_t sample) {
  surge_philox4 draw = surge_philox(pass->seed, pass->epoch,
                                    SURGE_RANDOM_EVENTS, sample,
                                    SURGE_BLOCK_ROLL);
  uint32_t places = 2 * (uint32_t)most + 1;
  f->left += surge_place(draw.x[0], places) - most;
  f->top += surge_place(draw.x[1], places) - most;
}

static surge_status frame_events(const surge_dataset *set, uint32_t sample,
                                 surge_events *events, const char *path,
                                 const surge_data_pass *pass, uint8_t *out) {
  const surge_dataset_info *info = set->info;
  surge_framing framing = info->framing;
  size_t count = surge_sample_bytes(info);
  if (pass->train && set->drop_event)
    surge_event_drop(events, framing.width, framing.height, pass, sample);
  if (pass->train && set->roll) roll(&framing, set->roll, pass, sample);
  int32_t *frames = malloc(count * sizeof *frames);
  if (!frames)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory for %d frames", path,
                      framing.T);
  surge_status status = surge_events_frame(frames, events, &framing, path);
  if (status == SURGE_OK) surge_frames_bytes(out, frames, count, info->most);
  free(frames);
  return status;
}

static surge_status read_recording(const surge_dataset *set, uint32_t sample,
                                   const char *path,
                                   const surge_data_pass *pass, uint8_t *out) {
  surge_events events = {0};
  surge_status status = surge_events_read(&events, NULL, path);
  if (status == SURGE_OK)
    status = frame_events(set, sample, &events, path, pass, out);
  surge_events_free(&events);
  return status;
}

/* One recording as a set of one. */
static surge_status event_open(const surge_reader *reader, surge_dataset *set,
                               const char *path) {
  static const surge_data_pass pass = {.train = false};
  (void)reader;
  SURGE_TRY(surge_dataset_allocate(set, 1));
  return read_recording(set, 0, path, &pass, set->images);
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
                                         .list = surge_files_list,
                                         .open = event_open};
