/* csv.h - a table that SURGE wrote, read back whole and checked whole: after
 * surge_csv_read no cell can surprise its reader. No quotes: no cell of these
 * tables has a comma. */
#ifndef SURGE_REPORT_CSV_H
#define SURGE_REPORT_CSV_H

#include <stdbool.h>
#include <surge/recipe.h>

typedef struct surge_csv {
  char path[SURGE_PATH];
  int32_t rows, columns; /* rows without the header                           */
  const char **cell;     /* [1 + rows, columns], the header first; owned      */
  char *text;            /* what the cells point into; owned                  */
} surge_csv;

/* Reads a table, which may have no row yet. `wanted`: the columns that are
 * needed, with spaces between; one that ends with $ holds words, the others
 * numbers or nothing; columns of other names are left alone. SURGE_ERROR_DATA
 * names the file and the line. The table must be freed in either case. */
surge_status surge_csv_read(surge_csv *csv, const char *path,
                            const char *wanted);
void surge_csv_free(surge_csv *csv);

/* Number of a column that surge_csv_read has seen. */
int32_t surge_csv_column(const surge_csv *csv, const char *name);

/* A cell as text, and as a number: NAN where it is empty. */
const char *surge_csv_text(const surge_csv *csv, int32_t row, int32_t column);
double surge_csv_number(const surge_csv *csv, int32_t row, int32_t column);

/* A file's text with a 0 behind it; `size` may be NULL. The caller frees it. */
surge_status surge_read_whole(const char *path, char **text, size_t *size);

#endif
