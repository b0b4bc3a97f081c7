/* record.c - see record.h. */
#include "src/events/record.h"

#include <stdlib.h>
#include <string.h>

surge_status surge_events_records(surge_events_file *file, surge_events *chunk,
                                  size_t record, surge_events_decode *decode) {
  surge_bytes *bytes = &file->bytes;
  while (chunk->count < chunk->capacity) {
    SURGE_TRY(surge_bytes_want(bytes, record));
    if (bytes->size == 0) return SURGE_OK;
    size_t count = bytes->size / record, room = chunk->capacity - chunk->count;
    if (count == 0) return surge_events_cut_off(bytes, record);
    if (count > room) count = room;
    decode(file, bytes->at, count, chunk);
    surge_bytes_take(bytes, count * record);
  }
  return SURGE_OK;
}

surge_status surge_events_new_state(surge_events_file *file, size_t bytes) {
  file->state = calloc(1, bytes);
  if (file->state) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory", file->path);
}

/* Bytes of the header line that begins the window, its end included; 0: none. */
static size_t line_length(const surge_bytes *bytes, char mark) {
  if (bytes->size == 0 || bytes->at[0] != (uint8_t)mark) return 0;
  for (size_t i = 1; i < bytes->size; i++) {
    uint8_t c = bytes->at[i];
    if (c == '\n') return i + 1;
    if (c < ' ' && c != '\t' && c != '\r') return 0;
  }
  return 0;
}

bool surge_events_header_line(surge_bytes *bytes, char mark,
                              char line[SURGE_EVENTS_LINE]) {
  if (surge_bytes_want(bytes, SURGE_EVENTS_HEAD) != SURGE_OK) return false;
  size_t length = line_length(bytes, mark), text = length;
  if (length == 0) return false;
  while (text > 0 &&
         (bytes->at[text - 1] == '\n' || bytes->at[text - 1] == '\r'))
    text--;
  if (text > SURGE_EVENTS_LINE - 1) text = SURGE_EVENTS_LINE - 1;
  memcpy(line, bytes->at, text);
  line[text] = '\0';
  surge_bytes_take(bytes, length);
  return true;
}

bool surge_events_sensor(surge_events_info *info, const char *text) {
  static const struct {
    const char *name;
    int32_t width, height;
  } sensors[] = {
      {"DVS128", 128, 128}, {"DAVIS240", 240, 180}, {"DAVIS346", 346, 260}};
  for (size_t i = 0; i < sizeof sensors / sizeof sensors[0]; i++)
    if (strcasestr(text, sensors[i].name)) {
      info->width = sensors[i].width;
      info->height = sensors[i].height;
      return true;
    }
  return false;
}
