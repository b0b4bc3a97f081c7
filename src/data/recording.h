/* recording.h - a recording of an event camera becomes a sample: T frames. */
#ifndef SURGE_DATA_RECORDING_H
#define SURGE_DATA_RECORDING_H

#include "src/data/readers.h"

/* Sets info's w and h to the sensor: data.sensor or, where that is [], what the
 * file `path` says. SURGE_ERROR_RECIPE: neither. */
surge_status surge_recording_sensor(surge_dataset_info *info,
                                    const struct surge_data_recipe *recipe,
                                    const char *path);

/* Sets info's framing and sides: recordings are shown on their sensor, of info's
 * w and h, or on size x size pixels in whose middle it lies. */
void surge_recording_describe(surge_dataset_info *info,
                              const struct surge_data_recipe *recipe);

/* The part of a file that is a sample: of one of its recordings the events of
 * begin <= t < end. */
typedef struct surge_window {
  int64_t begin, end; /* us */
  size_t recording;
} surge_window;

extern const surge_window surge_whole;

/* A sample of the file `path`: from the set's cache where that has it. In
 * training events are dropped and frames rolled as the set says. */
surge_status surge_recording_read(const surge_dataset *set, uint32_t sample,
                                  const char *path, const surge_window *window,
                                  const surge_data_pass *pass, uint8_t *out);

/* Events of `path` as the frames of OFF and ON that `recipe` asks for, written
 * as surge_frames_write_npz does; *info says which. Nothing is drawn at random,
 * and `sum` does not stop at 255. */
surge_status surge_recording_convert(const surge_events *events,
                                     const char *path,
                                     const surge_recipe *recipe,
                                     const char *out, surge_dataset_info *info);

/* A reader's `open`: the whole of one file as a set of one. */
surge_status surge_recording_open(const surge_reader *reader,
                                  surge_dataset *set, const char *path);

#endif
