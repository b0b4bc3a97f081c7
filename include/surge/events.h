/* events.h - recordings of event cameras and spike data, whatever their format.
 *
 * A recording is a list of events in the order of its file: time in us, place
 * and polarity. One in-memory form serves all formats, a structure of arrays. A
 * format is recognised by a file's content, never by its name. */
#ifndef SURGE_EVENTS_H
#define SURGE_EVENTS_H

#include <stddef.h>
#include <stdint.h>
#include <surge/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `count` events of at most `capacity`; one allocation, owned. */
typedef struct surge_events {
  int64_t
      *t; /* us; as the file counts, wraps undone, so it may start anywhere */
  uint16_t *x; /* from the left */
  uint16_t *y; /* from the top */
  uint8_t *p;  /* 1: ON, 0: OFF */
  size_t count, capacity;
} surge_events;

/* Room for `capacity` events; those that are there stay. SURGE_ERROR_DEVICE:
 * there is no memory, and `events` is as it was. */
surge_status surge_events_reserve(surge_events *events, size_t capacity);
void surge_events_free(surge_events *events);

/* What a file says of itself. */
typedef struct surge_events_info {
  const char *format;    /* its name in the list of formats, "nmnist" */
  int32_t width, height; /* of the sensor; 0: the file does not say it */
  int32_t streams;       /* of events, of which the first is read; AEDAT 4's */
  size_t recordings;     /* in the file: 1, but in those of SHD and SSC */
} surge_events_info;

typedef struct surge_events_file surge_events_file;

/* Opens a recording. SURGE_ERROR_DATA: it cannot be read, no format knows it, or
 * its header is wrong; names the file, the byte, what was wanted and found. */
surge_status surge_events_open(surge_events_file **file, const char *path);

/* The same of bytes in memory, which must outlive `file`; `name` stands for the
 * path in errors. */
surge_status surge_events_open_memory(surge_events_file **file,
                                      const uint8_t *bytes, size_t size,
                                      const char *name);
void surge_events_close(surge_events_file *file);

const surge_events_info *surge_events_file_info(const surge_events_file *file);

/* The next events, at most chunk->capacity, in place of those in `chunk`; none
 * at the end. Memory is bounded by the chunk. SURGE_ERROR_DATA: a record that is
 * cut off or wrong; chunk->count events before it are good. */
surge_status surge_events_next(surge_events_file *file, surge_events *chunk);

/* Goes to the first event of recording `index`; a file opens at recording 0.
 * SURGE_ERROR_DATA: there is none, or it cannot be read. */
surge_status surge_events_select(surge_events_file *file, size_t index);

/* The class that the file states for recording `index`, -1 where it states none. */
surge_status surge_events_label(surge_events_file *file, size_t index,
                                int32_t *label);

/* The rest of the recording, in place of what is in `events`. */
surge_status surge_events_rest(surge_events_file *file, surge_events *events);

/* A whole recording, the file's first, in place of what is in `events`; `info` may be NULL. */
surge_status surge_events_read(surge_events *events, surge_events_info *info,
                               const char *path);

/* --- frames --------------------------------------------------------------- */

/* How events are cut into T frames, N events from t[0] to t[N-1]; the first two
 * are SpikingJelly's (cal_fixed_frames_number_segment_index).
 *   number    frame j has the events j*(N/T) to (j+1)*(N/T) - 1, the last all
 *             that are left; N/T is rounded down
 *   time      frame j has those of t[0] + j*dt <= t < t[0] + (j+1)*dt, the last
 *             all that are left; dt = (t[N-1] - t[0])/T, rounded down, at least
 *             0. An interval without events, on which SpikingJelly stops, is a
 *             frame of zeros
 *   duration  the same with dt = duration_us; what comes after frame T-1 is
 *             left out, and frames behind the last event are zeros
 * Of events out of order an interval has, as SpikingJelly's, all from its first
 * in the file to its last. */
typedef enum surge_frames_by {
  SURGE_FRAMES_BY_NUMBER,
  SURGE_FRAMES_BY_TIME,
  SURGE_FRAMES_BY_DURATION
} surge_frames_by;

/* An event at (x, y) of the sensor counts in the frame's pixel
 * (left + x*w/width, top + y*h/height), quotients rounded down: sums, not
 * interpolation. */
typedef struct surge_framing {
  surge_frames_by by;
  int32_t T;             /* at least 1                                        */
  int64_t duration_us;   /* of a frame by duration: at least 1                */
  int32_t width, height; /* of the sensor: 1 to 65536                         */
  int32_t w, h;          /* of the scaled sensor                              */
  int32_t left, top;     /* where that lies in the frame, as a whole          */
  int32_t frame_w, frame_h;
  int32_t c; /* 2: OFF, ON; 1: both in one                        */
} surge_framing;

/* SURGE_ERROR_DATA: a time of 2^61 us (73,000 years) or more, before or after 0:
 * differences of such are no int64. */
surge_status surge_events_check_times(const surge_events *events,
                                      const char *name);

/* Counts events: frames[T, frame_h, frame_w, c], overwritten. SURGE_ERROR_DATA:
 * an event outside the sensor; names `name`, the first and how many there are;
 * or surge_events_check_times.
 * SURGE_ERROR_DEVICE: no memory; SURGE_ERROR_INTERNAL: a framing out of range. */
surge_status surge_events_frame(int32_t *frames, const surge_events *events,
                                const surge_framing *framing, const char *name);

/* Counts as bytes; above `most`: `most`, 1 for whether there are any. */
void surge_frames_bytes(uint8_t *bytes, const int32_t *frames, size_t count,
                        uint8_t most);

/* Reads every file of `paths` (NULL behind the last), folders with all that is in them (but names that
 * begin with a dot), in chunks. `tell` gets two lines on each file: what is in
 * it, and its rate over time; then totals. Where `picture` is not NULL it is a
 * PNG of the first SURGE_CHECK_ROWS files: rate, and events a pixel.
 * SURGE_ERROR_DATA: files that cannot be read; each had its line, and the others
 * were checked. */
#define SURGE_CHECK_ROWS 16
surge_status surge_events_check(const char *const *paths, const char *picture,
                                surge_tell *tell, void *user);

/* Writes a recording as SpikingJelly keeps them: a compressed .npz of t (int64,
 * us), x, y (uint16) and p (uint8). SURGE_ERROR_DATA: it cannot be written, and
 * what was at `path` is as it was. */
surge_status surge_events_write_npz(const surge_events *events,
                                    const char *path);

/* Writes frames[T, frame_h, frame_w, c] as SpikingJelly keeps them: a compressed
 * .npz of `frames` (int32), [T, c, frame_h, frame_w]. Errors likewise. */
surge_status surge_frames_write_npz(const int32_t *frames,
                                    const surge_framing *framing,
                                    const char *path);

#ifdef __cplusplus
}
#endif
#endif
