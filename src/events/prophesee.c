/* prophesee.c - see prophesee.h. */
#include "src/events/prophesee.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void take_size(surge_prophesee_header *header, int width, int height) {
  if (width > 0 && width <= UINT16_MAX) header->width = width;
  if (height > 0 && height <= UINT16_MAX) header->height = height;
}

/* "EVT3;height=720;width=1280" */
static void take_format(surge_prophesee_header *header, const char *value) {
  const char *width = strstr(value, "width="),
             *height = strstr(value, "height=");
  sscanf(value, "EVT%15[0-9.]", header->encoding);
  take_size(header, width ? atoi(width + 6) : 0, height ? atoi(height + 7) : 0);
}

static void take_line(surge_prophesee_header *header, const char *line) {
  char key[32], value[SURGE_EVENTS_LINE];
  int width = 0, height = 0;
  if (sscanf(line, "%% %31s %255s", key, value) != 2) return;
  if (!strcasecmp(key, "evt"))
    snprintf(header->encoding, sizeof header->encoding, "%.15s", value);
  else if (!strcasecmp(key, "format"))
    take_format(header, value);
  else if (!strcasecmp(key, "version"))
    header->version = atoi(value);
  else if (!strcasecmp(key, "width"))
    take_size(header, atoi(value), 0);
  else if (!strcasecmp(key, "height"))
    take_size(header, 0, atoi(value));
  else if (!strcasecmp(key, "geometry") &&
           sscanf(value, "%dx%d", &width, &height) == 2)
    take_size(header, width, height);
}

bool surge_prophesee_header_take(surge_bytes *bytes,
                                 surge_prophesee_header *header) {
  char line[SURGE_EVENTS_LINE];
  uint64_t start = bytes->offset;
  *header = (surge_prophesee_header){.version = 2};
  while (surge_events_header_line(bytes, '%', line)) {
    if (!strcasecmp(line, "% end")) return true;
    take_line(header, line);
  }
  return bytes->offset > start;
}

bool surge_prophesee_header_peek(const surge_bytes *bytes,
                                 surge_prophesee_header *header) {
  surge_bytes head;
  surge_bytes_memory(&head, bytes->at, bytes->size, bytes->path);
  return surge_prophesee_header_take(&head, header);
}
