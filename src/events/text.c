/* text.c - a line an event: x y t p, with spaces, tabs or commas between them.
 *
 * x, y   0 to 65535
 * t      us where it is an integer; with a decimal point seconds, rounded to us
 * p      1: ON; 0 or -1: OFF
 *
 * A line of nothing or of a comment, from '#' on, is passed over; the first other
 * line may name the columns: "x y t p", in this order and no other. Times neither
 * wrap nor are ordered; there is no sensor's size. All else fails, and names the
 * line; so does a last line that lacks a column. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/events/record.h"

enum { LINE = 1024, NUMBER = 64 /* characters */ };

typedef struct text_state {
  uint64_t line; /* lines taken */
  bool begun;    /* the first line that is no comment was seen */
} text_state;

typedef struct span {
  const char *at, *end;
} span;

static bool separates(char c) {
  return c == ' ' || c == '\t' || c == ',' || c == '\r';
}

static void pass_separators(span *line) {
  while (line->at < line->end && separates(*line->at)) line->at++;
}

/* The next column; of no characters at the line's end. */
static span take_column(span *line) {
  pass_separators(line);
  span column = {line->at, line->at};
  while (column.end < line->end && !separates(*column.end)) column.end++;
  line->at = column.end;
  return column;
}

/* Digits with or without a '-', whose value has at most 18. */
static bool integer(span column, int64_t *value) {
  bool minus = column.at < column.end && *column.at == '-';
  const char *c = column.at + minus;
  int64_t sum = 0;
  if (c == column.end || column.end - c > 18) return false;
  for (; c < column.end; c++) {
    unsigned digit = (unsigned)*c - '0';
    if (digit > 9) return false;
    sum = 10 * sum + digit;
  }
  *value = minus ? -sum : sum;
  return true;
}

static bool seconds(span column, int64_t *us) {
  char number[NUMBER + 1], *end;
  size_t length = (size_t)(column.end - column.at);
  if (length > NUMBER || !memchr(column.at, '.', length)) return false;
  memcpy(number, column.at, length);
  number[length] = '\0';
  if (strspn(number, "+-.0123456789eE") != length) return false;
  double value = strtod(number, &end);
  if (*end || !(fabs(value) < 9e12)) return false;
  *us = llround(value * 1e6);
  return true;
}

/* One event of a line into place k; false: it is none. */
static bool event(span line, surge_events *chunk, size_t k) {
  int64_t x, y, p;
  if (!integer(take_column(&line), &x) || x < 0 || x > UINT16_MAX) return false;
  if (!integer(take_column(&line), &y) || y < 0 || y > UINT16_MAX) return false;
  span time = take_column(&line);
  if (!integer(time, &chunk->t[k]) && !seconds(time, &chunk->t[k]))
    return false;
  if (!integer(take_column(&line), &p) || p < -1 || p > 1) return false;
  pass_separators(&line);
  chunk->x[k] = (uint16_t)x;
  chunk->y[k] = (uint16_t)y;
  chunk->p[k] = p == 1;
  return line.at == line.end;
}

/* "x y t p" */
static bool names_columns(span line) {
  for (const char *name = "xytp"; *name; name++) {
    span column = take_column(&line);
    if (column.end - column.at != 1 || (*column.at | ' ') != *name)
      return false;
  }
  pass_separators(&line);
  return line.at == line.end;
}

/* A line without its end and its comment. */
static span content(const uint8_t *at, size_t length) {
  const char *c = (const char *)at, *comment = memchr(c, '#', length);
  span line = {c, comment ? comment : c + length};
  pass_separators(&line);
  return line;
}

/* Of the file whose start is there: text, of which the first line that says
 * something is an event, or begins with a name of columns. */
static bool recognise(const surge_bytes *bytes) {
  const uint8_t *at = bytes->at, *end = at + bytes->size;
  for (const uint8_t *c = at; c < end; c++)
    if ((*c < ' ' && *c != '\t' && *c != '\n' && *c != '\r') || *c > '~')
      return false;
  while (at < end) {
    const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
    span line = content(at, (size_t)((newline ? newline : end) - at));
    if (line.at < line.end) return strchr("xytpXYTP-0123456789", *line.at);
    at = newline ? newline + 1 : end;
  }
  return false;
}

static surge_status open(surge_events_file *file) {
  return surge_events_new_state(file, sizeof(text_state));
}

/* The length of the line at the window's front, its end included; all that is
 * left where it is the last; 0 where it is too long. */
static surge_status measure_line(surge_bytes *bytes, size_t *length) {
  const uint8_t *end = memchr(bytes->at, '\n', bytes->size);
  if (!end) {
    SURGE_TRY(surge_bytes_want(bytes, LINE));
    end = memchr(bytes->at, '\n', bytes->size);
  }
  if (end)
    *length = (size_t)(end - bytes->at) + 1;
  else
    *length = bytes->size < LINE ? bytes->size : 0;
  return SURGE_OK;
}

static surge_status wrong_line(const surge_bytes *bytes, const text_state *text,
                               span line) {
  int shown = line.end - line.at < 40 ? (int)(line.end - line.at) : 40;
  return SURGE_EVENTS_FAIL(bytes, "line %llu: wanted x y t p, found \"%.*s\"",
                           (unsigned long long)text->line + 1, shown, line.at);
}

static surge_status next(surge_events_file *file, surge_events *chunk) {
  surge_bytes *bytes = &file->bytes;
  text_state *text = file->state;
  while (chunk->count < chunk->capacity) {
    size_t length;
    SURGE_TRY(surge_bytes_want(bytes, 1));
    if (bytes->size == 0) return SURGE_OK;
    SURGE_TRY(measure_line(bytes, &length));
    if (length == 0)
      return SURGE_EVENTS_FAIL(
          bytes, "line %llu: wanted x y t p, found more than %d characters",
          (unsigned long long)text->line + 1, LINE);
    bool ended = bytes->at[length - 1] == '\n';
    span line = content(bytes->at, length - ended);
    if (line.at < line.end) {
      if (event(line, chunk, chunk->count))
        chunk->count++;
      else if (text->begun || !names_columns(line))
        return wrong_line(bytes, text, line);
      text->begun = true;
    }
    surge_bytes_take(bytes, length);
    text->line++;
  }
  return SURGE_OK;
}

const surge_events_format surge_events_text = {
    .name = "text", .recognise = recognise, .open = open, .next = next};
