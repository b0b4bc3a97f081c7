/* events.c - opening, reading and the list of formats.
 *
 * To add a format: one reader (format.h) and its line in `formats`. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "src/events/format.h"

/* Those that begin with words of their own first, those that can only be told by
 * their records last. */
static const surge_events_format *const formats[] = {
    &surge_events_aedat2, &surge_events_aedat3, &surge_events_aedat4,
    &surge_events_npz,    &surge_events_hdf5,   &surge_events_es,
    &surge_events_evt2,   &surge_events_evt3,   &surge_events_dat,
    &surge_events_text,   &surge_events_nmnist,
};

enum { FORMATS = sizeof formats / sizeof formats[0] };

/* --- the arrays ----------------------------------------------------------- */

enum { EVENT_BYTES = 8 + 2 + 2 + 1 };

#define HUGE_PAGE ((size_t)1 << 21)

/* Touching large arrays for the first time costs more than reading a file does,
 * unless the system gives them in huge pages. */
static void *allocate(size_t bytes) {
  if (bytes < 2 * HUGE_PAGE) return malloc(bytes);
  bytes = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
  void *memory = aligned_alloc(HUGE_PAGE, bytes);
  if (memory) madvise(memory, bytes, MADV_HUGEPAGE); /* a hint: may fail */
  return memory;
}

surge_status surge_events_reserve(surge_events *events, size_t capacity) {
  if (capacity <= events->capacity) return SURGE_OK;
  surge_events larger = {.count = events->count, .capacity = capacity};
  if (capacity <= (SIZE_MAX - HUGE_PAGE) / EVENT_BYTES)
    larger.t = allocate(capacity * EVENT_BYTES);
  if (!larger.t)
    return SURGE_FAIL(SURGE_ERROR_DEVICE,
                      "wanted memory for %zu events, found less", capacity);
  larger.x = (uint16_t *)(larger.t + capacity);
  larger.y = larger.x + capacity;
  larger.p = (uint8_t *)(larger.y + capacity);
  if (events->count > 0) {
    memcpy(larger.t, events->t, events->count * sizeof *larger.t);
    memcpy(larger.x, events->x, events->count * sizeof *larger.x);
    memcpy(larger.y, events->y, events->count * sizeof *larger.y);
    memcpy(larger.p, events->p, events->count * sizeof *larger.p);
  }
  free(events->t);
  *events = larger;
  return SURGE_OK;
}

void surge_events_free(surge_events *events) {
  free(events->t);
  *events = (surge_events){0};
}

/* --- a file --------------------------------------------------------------- */

surge_status surge_events_cut_off(const surge_bytes *bytes, size_t wanted) {
  return SURGE_EVENTS_FAIL(bytes,
                           "wanted a record of %zu bytes, found %zu before the "
                           "end of the file",
                           wanted, bytes->size);
}

surge_status surge_events_pass(surge_bytes *bytes, uint64_t count) {
  while (count > 0) {
    SURGE_TRY(surge_bytes_want(bytes, 1));
    if (bytes->size == 0)
      return SURGE_EVENTS_FAIL(
          bytes, "wanted %llu bytes more of a packet, found the file's end",
          (unsigned long long)count);
    size_t part = bytes->size < count ? bytes->size : (size_t)count;
    surge_bytes_take(bytes, part);
    count -= part;
  }
  return SURGE_OK;
}

static surge_status recognise(surge_events_file *file) {
  surge_bytes *bytes = &file->bytes;
  SURGE_TRY(surge_bytes_want(bytes, SURGE_EVENTS_HEAD));
  if (bytes->size == 0)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted events, found 0 bytes",
                      bytes->path);
  surge_bytes head = *bytes;
  if (head.size > SURGE_EVENTS_HEAD) head.size = SURGE_EVENTS_HEAD;
  for (size_t i = 0; i < FORMATS && !file->format; i++)
    if (formats[i]->recognise(&head)) file->format = formats[i];
  if (file->format) return SURGE_OK;
  char known[256] = "";
  for (size_t i = 0; i < FORMATS; i++) {
    if (i > 0) strncat(known, ", ", sizeof known - strlen(known) - 1);
    strncat(known, formats[i]->name, sizeof known - strlen(known) - 1);
  }
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: wanted a recording in one of the formats %s, found "
                    "none that its first bytes fit",
                    bytes->path, known);
}

static surge_status begin(surge_events_file *file) {
  SURGE_TRY(recognise(file));
  file->info = (surge_events_info){
      .format = file->format->name, .streams = 1, .recordings = 1};
  return file->format->open ? file->format->open(file) : SURGE_OK;
}

static surge_events_file *new_file(const char *path) {
  size_t length = strlen(path) + 1;
  surge_events_file *file = calloc(1, sizeof *file + length);
  if (file) memcpy(file->path, path, length);
  return file;
}

/* Of a file where `memory` is NULL. */
static surge_status open_bytes(surge_events_file **file, const uint8_t *memory,
                               size_t size, const char *path) {
  *file = NULL;
  surge_events_file *made = new_file(path);
  if (!made) return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory", path);
  surge_status status = SURGE_OK;
  if (memory)
    surge_bytes_memory(&made->bytes, memory, size, made->path);
  else
    status = surge_bytes_open(&made->bytes, made->path);
  if (status == SURGE_OK) status = begin(made);
  if (status == SURGE_OK)
    *file = made;
  else
    surge_events_close(made);
  return status;
}

surge_status surge_events_open(surge_events_file **file, const char *path) {
  return open_bytes(file, NULL, 0, path);
}

surge_status surge_events_open_memory(surge_events_file **file,
                                      const uint8_t *bytes, size_t size,
                                      const char *name) {
  return open_bytes(file, bytes, size, name);
}

static void close_state(surge_events_file *file) {
  if (file->format && file->format->close)
    file->format->close(file);
  else
    free(file->state);
  file->state = NULL;
}

void surge_events_close(surge_events_file *file) {
  if (!file) return;
  close_state(file);
  surge_bytes_close(&file->bytes);
  free(file);
}

const surge_events_info *surge_events_file_info(const surge_events_file *file) {
  return &file->info;
}

surge_status surge_events_next(surge_events_file *file, surge_events *chunk) {
  chunk->count = 0;
  return file->format->next(file, chunk);
}

/* --- a recording of many -------------------------------------------------- */

static surge_status expect_recording(const surge_events_file *file,
                                     size_t index) {
  if (index < file->info.recordings) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: wanted recording %zu, found %zu recordings",
                    file->path, index, file->info.recordings);
}

/* A file of one recording is opened anew. */
static surge_status rewind_file(surge_events_file *file) {
  close_state(file);
  surge_bytes_rewind(&file->bytes);
  return file->format->open ? file->format->open(file) : SURGE_OK;
}

surge_status surge_events_select(surge_events_file *file, size_t index) {
  SURGE_TRY(expect_recording(file, index));
  if (file->format->select) return file->format->select(file, index);
  return rewind_file(file);
}

surge_status surge_events_label(surge_events_file *file, size_t index,
                                int32_t *label) {
  *label = -1;
  SURGE_TRY(expect_recording(file, index));
  if (!file->format->label) return SURGE_OK;
  return file->format->label(file, index, label);
}

/* --- a whole recording ---------------------------------------------------- */

#define FIRST_CAPACITY ((size_t)1 << 14)

/* How many events the whole file has if it goes on as it began, and a sixteenth
 * more; 0 where the reader does not take bytes from the front. */
static double expected_count(const surge_events_file *file, size_t count) {
  double taken = (double)file->bytes.offset, total = (double)file->bytes.total;
  return taken > 0 ? 1.0625 * (double)count * total / taken : 0;
}

/* Room for what is expected, so that most recordings grow once; a file that
 * begins denser than it goes on may expect more than there is memory for. */
static surge_status grow(surge_events *events, double expected) {
  size_t twice = 2 * events->capacity;
  if (events->capacity < FIRST_CAPACITY) twice = FIRST_CAPACITY;
  if (expected > (double)twice && expected < 1e12 &&
      surge_events_reserve(events, (size_t)expected) == SURGE_OK)
    return SURGE_OK;
  return surge_events_reserve(events, twice);
}

/* The reader appends, so the events so far stay where they are. */
surge_status surge_events_rest(surge_events_file *file, surge_events *events) {
  size_t before;
  events->count = 0;
  do {
    if (events->count == events->capacity)
      SURGE_TRY(grow(events, expected_count(file, events->count)));
    before = events->count;
    SURGE_TRY(file->format->next(file, events));
  } while (events->count > before);
  return SURGE_OK;
}

surge_status surge_events_read(surge_events *events, surge_events_info *info,
                               const char *path) {
  surge_events_file *file;
  events->count = 0;
  SURGE_TRY(surge_events_open(&file, path));
  if (info) *info = file->info;
  surge_status status = surge_events_rest(file, events);
  surge_events_close(file);
  return status;
}
