/* recording.c - see recording.h. */
#include "src/data/recording.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/shared/philox.h"
#include "src/data/event_drop.h"
#include "src/data/frame_cache.h"

const surge_window surge_whole = {INT64_MIN, INT64_MAX, 0};

/* --- what a network is shown ---------------------------------------------- */

static int32_t scaled(int32_t side, int32_t longer, int32_t size) {
  int32_t s = (int32_t)((int64_t)side * size / longer);
  return s > 0 ? s : 1;
}

surge_status surge_recording_sensor(surge_dataset_info *info,
                                    const struct surge_data_recipe *recipe,
                                    const char *path) {
  surge_events_file *file;
  if (recipe->sensor_count == 2) {
    info->w = recipe->sensor[0];
    info->h = recipe->sensor[1];
    return SURGE_OK;
  }
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

void surge_recording_describe(surge_dataset_info *info,
                              const struct surge_data_recipe *recipe) {
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
}

/* --- from a file to frames ------------------------------------------------ */

static void keep_window(surge_events *events, const surge_window *window) {
  size_t kept = 0;
  for (size_t i = 0; i < events->count; i++)
    if (events->t[i] >= window->begin && events->t[i] < window->end)
      surge_event_keep(events, i, &kept);
  events->count = kept;
}

/* *frames: owned by the caller, in either case. */
static surge_status count_events(const surge_dataset_info *info,
                                 const surge_events *events, const char *path,
                                 int32_t **frames) {
  *frames = malloc(surge_sample_bytes(info) * sizeof **frames);
  if (!*frames)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory for %d frames", path,
                      info->framing.T);
  return surge_events_frame(*frames, events, &info->framing, path);
}

static surge_status frame_events(const surge_dataset_info *info,
                                 const surge_events *events, const char *path,
                                 uint8_t *out) {
  int32_t *frames;
  surge_status status = count_events(info, events, path, &frames);
  if (status == SURGE_OK)
    surge_frames_bytes(out, frames, surge_sample_bytes(info), info->most);
  free(frames);
  return status;
}

surge_status surge_recording_convert(const surge_events *events,
                                     const char *path,
                                     const surge_recipe *recipe,
                                     const char *out,
                                     surge_dataset_info *info) {
  int32_t *frames = NULL;
  *info = (surge_dataset_info){.c = 2, .steps = recipe->T};
  SURGE_TRY(surge_recording_sensor(info, &recipe->data, path));
  surge_recording_describe(info, &recipe->data);
  SURGE_TRY(surge_events_check_times(events, path));
  surge_status status = count_events(info, events, path, &frames);
  size_t count = surge_sample_bytes(info);
  for (size_t i = 0; status == SURGE_OK && info->most == 1 && i < count; i++)
    frames[i] = frames[i] > 0;
  if (status == SURGE_OK)
    status = surge_frames_write_npz(frames, &info->framing, out);
  free(frames);
  return status;
}

/* A camera that lay on its side (CIFAR10-DVS); no byte of the file says it, and
 * what others made of such files stands upright. */
static void set_upright(surge_events *events, const surge_dataset_info *info,
                        const surge_events_file *file) {
  bool raw = !strcmp(surge_events_file_info(file)->format, "aedat2");
  if (!info->on_side || !raw) return;
  uint16_t *x = events->x;
  events->x = events->y;
  events->y = x;
}

static surge_status read_window(surge_events *events,
                                const surge_dataset_info *info,
                                const char *path, const surge_window *window) {
  surge_events_file *file;
  SURGE_TRY(surge_events_open(&file, path));
  surge_status status = SURGE_OK;
  size_t recordings = surge_events_file_info(file)->recordings;
  if (window == &surge_whole && recordings != 1)
    status = SURGE_FAIL(SURGE_ERROR_DATA,
                        "%s: wanted a file of one recording, found %zu "
                        "(surge data convert --recording takes one out)",
                        path, recordings);
  if (status == SURGE_OK && window->recording > 0)
    status = surge_events_select(file, window->recording);
  if (status == SURGE_OK) status = surge_events_rest(file, events);
  if (status == SURGE_OK) set_upright(events, info, file);
  if (status == SURGE_OK) status = surge_events_check_times(events, path);
  surge_events_close(file);
  if (status == SURGE_OK && window != &surge_whole) keep_window(events, window);
  return status;
}

/* `pass` NULL: nothing is dropped. */
static surge_status frame_file(const surge_dataset_info *info, uint32_t sample,
                               const char *path, const surge_window *window,
                               const surge_data_pass *pass, uint8_t *out) {
  surge_events events = {0};
  surge_status status = read_window(&events, info, path, window);
  if (status == SURGE_OK) {
    if (pass)
      surge_event_drop(&events, info->framing.width, info->framing.height, pass,
                       sample);
    status = frame_events(info, &events, path, out);
  }
  surge_events_free(&events);
  return status;
}

static surge_status frame_cached(const surge_dataset *set, uint32_t sample,
                                 const char *path, const surge_window *window,
                                 uint8_t *out) {
  surge_frame_key key;
  SURGE_TRY(surge_frame_cache_key(set, sample, path, window, &key));
  if (surge_frame_cache_read(set, &key, out)) return SURGE_OK;
  SURGE_TRY(frame_file(set->info, sample, path, window, NULL, out));
  return surge_frame_cache_write(set, &key, out);
}

/* --- rolling -------------------------------------------------------------- */

/* Moves `count` elements of `size` bytes round by `by` places. */
static void turn(uint8_t *to, const uint8_t *from, int32_t count, int32_t by,
                 size_t size) {
  size_t first = (size_t)(((int64_t)by % count + count) % count) * size;
  size_t all = (size_t)count * size;
  memcpy(to + first, from, all - first);
  memcpy(to, from + all - first, first);
}

/* All frames of a sample alike. */
static surge_status roll(const surge_dataset *set, uint32_t sample,
                         const surge_data_pass *pass, uint8_t *frames) {
  const surge_dataset_info *info = set->info;
  surge_philox4 draw = surge_philox(
      pass->seed, pass->epoch, SURGE_RANDOM_EVENTS, sample, SURGE_BLOCK_ROLL);
  uint32_t places = 2 * (uint32_t)set->roll + 1;
  int32_t dx = surge_place(draw.x[0], places) - set->roll;
  int32_t dy = surge_place(draw.x[1], places) - set->roll;
  size_t pixel = (size_t)info->c, row = (size_t)info->w * pixel;
  size_t frame = (size_t)info->h * row;
  uint8_t *turned = malloc(frame);
  if (!turned) return SURGE_FAIL(SURGE_ERROR_DEVICE, "data.roll: no memory");
  for (int32_t t = 0; t < info->steps; t++, frames += frame) {
    turn(turned, frames, info->h, dy, row);
    for (size_t y = 0; y < (size_t)info->h; y++)
      turn(frames + y * row, turned + y * row, info->w, dx, pixel);
  }
  free(turned);
  return SURGE_OK;
}

/* --- a sample ------------------------------------------------------------- */

surge_status surge_recording_read(const surge_dataset *set, uint32_t sample,
                                  const char *path, const surge_window *window,
                                  const surge_data_pass *pass, uint8_t *out) {
  bool drops = pass->train && set->drop_event; /* other events every epoch */
  if (set->cache && !drops)
    SURGE_TRY(frame_cached(set, sample, path, window, out));
  else
    SURGE_TRY(
        frame_file(set->info, sample, path, window, drops ? pass : NULL, out));
  return pass->train && set->roll ? roll(set, sample, pass, out) : SURGE_OK;
}

surge_status surge_recording_open(const surge_reader *reader,
                                  surge_dataset *set, const char *path) {
  (void)reader;
  SURGE_TRY(surge_dataset_allocate(set, 1));
  return frame_file(set->info, 0, path, &surge_whole, NULL, set->images);
}
