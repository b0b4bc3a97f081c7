/* page.h - index.html: everything in one file, no script, no network. */
#ifndef SURGE_REPORT_PAGE_H
#define SURGE_REPORT_PAGE_H

#include "src/report/figures.h"

#define SURGE_MARKED 64 /* columns of a table that can be known as numbers */
typedef struct surge_page {
  FILE *file;
  char path[SURGE_PATH];
  const surge_plot *plot;
  uint64_t numbers; /* bits: the columns of the table that are numbers */
} surge_page;

/* Begins folder/index.html. surge_page_end puts it in its place, whole. */
surge_status surge_page_begin(surge_page *page, const surge_plot *plot,
                              const char *title, const char *subtitle);
surge_status surge_page_end(surge_page *page);
void surge_page_close(surge_page *page);

/* Text with <, > and & as they are meant. */
void surge_page_text(surge_page *page, const char *text);

/* A heading and the figures of that section, in the order they were drawn in.
 * Nothing where it has none and `always` is not set. */
surge_status surge_page_section(surge_page *page, const char *section,
                                bool always);
void surge_page_heading(surge_page *page, const char *heading);
void surge_page_paragraph(surge_page *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A table: headers and cells are texts with tabs between; a column whose header
 * begins with > is one of numbers, at the right (of the first SURGE_MARKED). */
void surge_page_table(surge_page *page, const char *headers);
void surge_page_row(surge_page *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void surge_page_end_table(surge_page *page);

/* The numbers that a page begins with, large, each over what it is. */
void surge_page_tiles(surge_page *page);
void surge_page_tile(surge_page *page, const char *what, const char *format,
                     ...) __attribute__((format(printf, 3, 4)));
void surge_page_end_tiles(surge_page *page);

/* A command line. */
void surge_page_command(surge_page *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
