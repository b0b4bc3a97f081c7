/* csv.c - tables, checked when they are read (see csv.h). */
#include "src/report/csv.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

surge_status surge_read_whole(const char *path, char **text, size_t *size) {
  struct stat info;
  *text = NULL;
  FILE *file = fopen(path, "rb");
  if (!file || fstat(fileno(file), &info) != 0 || S_ISDIR(info.st_mode)) {
    const char *found = file ? "a folder" : strerror(errno);
    if (file) fclose(file);
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted a file to read, found: %s",
                      path, found);
  }
  size_t bytes = (size_t)info.st_size;
  *text = malloc(bytes + 1);
  size_t read = *text ? fread(*text, 1, bytes, file) : 0;
  fclose(file);
  if (*text) (*text)[read] = 0;
  if (size) *size = read;
  if (*text && read == bytes) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted %zu bytes, read %zu", path,
                    bytes, read);
}

/* --- cells ---------------------------------------------------------------- */

static int32_t count_of(const char *text, char c) {
  int32_t count = 0;
  for (; *text; text++) count += *text == c;
  return count;
}

/* Cuts a line, whose end is a 0 by now, into the cells of its row. */
static surge_status cut_line(surge_csv *csv, char *line, int32_t row) {
  int32_t found = 1 + count_of(line, ',');
  if (found != csv->columns)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s:%d: wanted %d cells, found %d",
                      csv->path, row + 1, csv->columns, found);
  for (int32_t i = 0; i < csv->columns; i++)
    csv->cell[row * csv->columns + i] = strsep(&line, ",");
  return SURGE_OK;
}

static surge_status cut(surge_csv *csv, size_t size) {
  int32_t lines = count_of(csv->text, '\n');
  if (strlen(csv->text) != size || size == 0)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted a table, found %s",
                      csv->path, size ? "a byte 0" : "nothing");
  if (csv->text[size - 1] != '\n')
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s:%d: wanted the end of a line, found the end of the "
                      "file",
                      csv->path, lines + 1);
  char *rest = csv->text, *line = strsep(&rest, "\n");
  csv->rows = lines - 1;
  csv->columns = 1 + count_of(line, ',');
  csv->cell = calloc((size_t)lines * (size_t)csv->columns, sizeof *csv->cell);
  if (!csv->cell)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory for it", csv->path);
  for (int32_t row = 0; row < lines; row++, line = strsep(&rest, "\n"))
    SURGE_TRY(cut_line(csv, line, row));
  return SURGE_OK;
}

/* --- what is wanted of them ----------------------------------------------- */

static bool is_number(const char *text) {
  char *end;
  strtod(text, &end);
  return *end == 0 && (end != text || *text == 0);
}

static surge_status check_column(const surge_csv *csv, const char *name,
                                 bool words) {
  int32_t column = surge_csv_column(csv, name);
  if (column < 0)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s:1: wanted a column %s, found none of that name",
                      csv->path, name);
  for (int32_t row = 0; row < csv->rows; row++) {
    const char *text = surge_csv_text(csv, row, column);
    if (words ? *text == 0 : !is_number(text))
      return SURGE_FAIL(SURGE_ERROR_DATA, "%s:%d: %s: wanted a %s, found %s",
                        csv->path, row + 2, name, words ? "word" : "number",
                        *text ? text : "nothing");
  }
  return SURGE_OK;
}

static surge_status check_columns(const surge_csv *csv, const char *wanted) {
  while (*wanted) {
    char name[SURGE_WORD];
    size_t length = strcspn(wanted, " ");
    bool words = wanted[length - 1] == '$';
    snprintf(name, sizeof name, "%.*s", (int)(length - words), wanted);
    SURGE_TRY(check_column(csv, name, words));
    wanted += length;
    wanted += strspn(wanted, " ");
  }
  return SURGE_OK;
}

/* --- the table ------------------------------------------------------------ */

surge_status surge_csv_read(surge_csv *csv, const char *path,
                            const char *wanted) {
  size_t size;
  *csv = (surge_csv){0};
  snprintf(csv->path, sizeof csv->path, "%s", path);
  SURGE_TRY(surge_read_whole(path, &csv->text, &size));
  SURGE_TRY(cut(csv, size));
  return check_columns(csv, wanted);
}

void surge_csv_free(surge_csv *csv) {
  free(csv->cell);
  free(csv->text);
  *csv = (surge_csv){0};
}

int32_t surge_csv_column(const surge_csv *csv, const char *name) {
  for (int32_t i = 0; i < csv->columns; i++)
    if (!strcmp(csv->cell[i], name)) return i;
  return -1;
}

const char *surge_csv_text(const surge_csv *csv, int32_t row, int32_t column) {
  return csv->cell[(row + 1) * csv->columns + column];
}

double surge_csv_number(const surge_csv *csv, int32_t row, int32_t column) {
  const char *text = surge_csv_text(csv, row, column);
  return *text ? strtod(text, NULL) : (double)NAN;
}
