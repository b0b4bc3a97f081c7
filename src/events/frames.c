/* frames.c - events are counted in frames (see events.h). */
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <surge/events.h>

#define SIDE 65536 /* the most that a u16 can tell apart */

/* Events begin .. end - 1. */
typedef struct segment {
  size_t begin, end;
} segment;

/* --- which events a frame has --------------------------------------------- */

static void cut_by_number(segment *segments, size_t T, size_t count) {
  for (size_t j = 0; j < T; j++)
    segments[j] = (segment){j * (count / T), (j + 1) * (count / T)};
  segments[T - 1].end = count;
}

/* One pass from the first event: most lie in the interval of the one before
 * them, so few are divided. An empty interval keeps begin = end. */
static void cut_by_time(segment *segments, int64_t T, int64_t dt,
                        const surge_events *events) {
  int64_t first = events->t[0], low = first, high = first;
  segment *now = NULL;
  memset(segments, 0, (size_t)T * sizeof *segments);
  for (size_t i = 0; i < events->count && dt > 0; i++) {
    int64_t t = events->t[i];
    if (t < low || t >= high) {
      int64_t j = t < first ? -1 : (t - first) / dt;
      now = j >= 0 && j < T ? &segments[j] : NULL;
      low = first + j * dt;
      high = low + dt;
      if (now && now->end == 0) now->begin = i;
    }
    if (now) now->end = i + 1;
  }
}

/* What is left belongs to the last: behind its interval there may be events
 * though there are none in it. */
static void take_rest(segment *last, int64_t from, const surge_events *events) {
  if (last->end == 0)
    while (last->begin < events->count && events->t[last->begin] < from)
      last->begin++;
  last->end = events->count;
}

static void cut(segment *segments, const surge_framing *f,
                const surge_events *events) {
  size_t T = (size_t)f->T;
  const int64_t *t = events->t;
  if (events->count == 0 || f->by == SURGE_FRAMES_BY_NUMBER) {
    cut_by_number(segments, T, events->count);
  } else if (f->by == SURGE_FRAMES_BY_DURATION) {
    cut_by_time(segments, f->T, f->duration_us, events);
  } else {
    int64_t dt = (t[events->count - 1] - t[0]) / f->T;
    if (dt < 0) dt = 0;
    cut_by_time(segments, f->T, dt, events);
    take_rest(&segments[T - 1], t[0] + dt * (f->T - 1), events);
  }
}

/* --- counting ------------------------------------------------------------- */

/* Of each column or row of the sensor, where in a frame it counts. */
static void place(uint32_t *places, int32_t sensor, int32_t scaled,
                  int32_t first, uint32_t stride) {
  for (int64_t i = 0; i < sensor; i++)
    places[i] = stride * (uint32_t)(first + i * scaled / sensor);
}

static void count_segment(int32_t *frame, const surge_events *events, segment s,
                          const uint32_t *columns, const uint32_t *rows,
                          bool polar) {
  for (size_t i = s.begin; i < s.end; i++)
    frame[rows[events->y[i]] + columns[events->x[i]] +
          (polar && events->p[i] != 0)]++;
}

/* --- what is refused ------------------------------------------------------ */

static surge_status check_framing(const surge_framing *f) {
  if (f->T >= 1 && (f->c == 1 || f->c == 2) && f->width >= 1 &&
      f->width <= SIDE && f->height >= 1 && f->height <= SIDE && f->w >= 1 &&
      f->h >= 1 && f->left >= 0 && f->left <= f->frame_w - f->w &&
      f->top >= 0 && f->top <= f->frame_h - f->h &&
      (f->by != SURGE_FRAMES_BY_DURATION || f->duration_us >= 1))
    return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                    "surge_events_frame: wanted T, duration, sides and "
                    "channels in their ranges, found T %d, %lld us, a sensor "
                    "of %d x %d as %d x %d at (%d, %d) of %d x %d x %d",
                    f->T, (long long)f->duration_us, f->width, f->height, f->w,
                    f->h, f->left, f->top, f->frame_w, f->frame_h, f->c);
}

static surge_status check_places(const surge_events *events,
                                 const surge_framing *f, const char *name) {
  size_t outside = 0, first = 0;
  for (size_t i = 0; i < events->count; i++)
    outside += (events->x[i] >= f->width) | (events->y[i] >= f->height);
  if (outside == 0) return SURGE_OK;
  while (events->x[first] < f->width && events->y[first] < f->height) first++;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: event %zu: wanted a place on a sensor of %d x %d, "
                    "found x %d, y %d; %zu of %zu events lie outside",
                    name, first, f->width, f->height, events->x[first],
                    events->y[first], outside, events->count);
}

/* --- the whole ------------------------------------------------------------ */

surge_status surge_events_check_times(const surge_events *events,
                                      const char *name) {
  const int64_t most = (int64_t)1 << 61;
  size_t i = 0;
  while (i < events->count && events->t[i] < most && events->t[i] > -most) i++;
  if (i == events->count) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: event %zu: wanted a time within 2^61 us of 0, found "
                    "%" PRId64,
                    name, i, events->t[i]);
}

surge_status surge_events_frame(int32_t *frames, const surge_events *events,
                                const surge_framing *f, const char *name) {
  SURGE_TRY(check_framing(f));
  SURGE_TRY(check_places(events, f, name));
  SURGE_TRY(surge_events_check_times(events, name));
  size_t T = (size_t)f->T;
  size_t elements = (size_t)f->frame_h * (size_t)f->frame_w * (size_t)f->c;
  segment *segments = malloc(T * sizeof *segments);
  uint32_t *columns =
      malloc(((size_t)f->width + (size_t)f->height) * sizeof *columns);
  if (segments && columns) {
    uint32_t *rows = columns + f->width, c = (uint32_t)f->c;
    place(columns, f->width, f->w, f->left, c);
    place(rows, f->height, f->h, f->top, c * (uint32_t)f->frame_w);
    cut(segments, f, events);
    memset(frames, 0, T * elements * sizeof *frames);
    for (size_t j = 0; j < T; j++)
      count_segment(frames + j * elements, events, segments[j], columns, rows,
                    f->c == 2);
  }
  bool made = segments && columns;
  free(segments);
  free(columns);
  if (made) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory for %d frames", name,
                    f->T);
}

void surge_frames_bytes(uint8_t *bytes, const int32_t *frames, size_t count,
                        uint8_t most) {
  for (size_t i = 0; i < count; i++)
    bytes[i] = frames[i] > most ? most : (uint8_t)frames[i];
}
