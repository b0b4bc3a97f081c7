/* page.c - the HTML file (see page.h). */
#include "src/report/page.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* gnuplot draws text in black, and axes and what is written at them in the grey
 * of plot.c: rules for both make them follow the page, in the dark too. */
static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<style>\n"
    ":root{color-scheme:light dark;--page:#f7f7f5;--card:#ffffff;--ink:#1d1d1b;"
    "--soft:#5c5c58;--line:#dddcd7}\n"
    "@media (prefers-color-scheme:dark){:root{--page:#161615;--card:#1f1f1e;"
    "--ink:#eceae4;--soft:#a9a79f;--line:#3a3a37}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--page);color:var(--ink);"
    "font:16px/1.5 system-ui,sans-serif}\n"
    "main{max-width:1120px;margin:0 auto;padding:24px 16px 64px}\n"
    "h1{font-size:28px;line-height:1.2;margin:0;overflow-wrap:anywhere}\n"
    "h2{font-size:20px;margin:40px 0 12px}\n"
    "p{margin:8px 0;max-width:75ch;overflow-wrap:anywhere}\n"
    ".soft,figcaption{color:var(--soft)}\n"
    ".figures{display:grid;gap:16px;grid-template-columns:"
    "repeat(auto-fill,minmax(min(100%,460px),1fr))}\n"
    "figure{margin:0;padding:12px;background:var(--card);"
    "border:1px solid var(--line);border-radius:8px;min-width:0}\n"
    "figure svg{display:block;width:100%;height:auto;overflow:hidden}\n"
    "figure svg [font-family]{font-family:system-ui,sans-serif}\n"
    "figure svg [stroke=black]{stroke:var(--ink)}\n"
    "figure svg [fill=black]{fill:var(--ink)}\n"
    "figure svg [color=black]{color:var(--ink)}\n"
    "figure svg [fill=\"rgb(102,102,102)\"]{fill:var(--soft)}\n"
    "figure svg [stroke=\"rgb(102, 102, 102)\"]{stroke:var(--soft)}\n"
    "figcaption{font-size:13px;line-height:1.4;margin-top:8px;"
    "overflow-wrap:anywhere}\n"
    ".table{overflow-x:auto;background:var(--card);border:1px solid "
    "var(--line);"
    "border-radius:8px}\n"
    "table{border-collapse:collapse;width:100%;font-size:14px;"
    "font-variant-numeric:tabular-nums}\n"
    "th,td{padding:6px 12px;text-align:left;border-top:1px solid var(--line);"
    "vertical-align:top}\n"
    "tr:first-child th{border-top:0}\n"
    "th{color:var(--soft);font-weight:600}\n"
    ".tiles{display:flex;flex-wrap:wrap;gap:12px 40px;margin-top:20px}\n"
    ".tiles b{display:block;font-size:24px;line-height:1.2}\n"
    ".tiles span{font-size:13px;color:var(--soft)}\n"
    "td{overflow-wrap:anywhere;min-width:2.5em}\n"
    "th{vertical-align:bottom}\n"
    ".number{text-align:right}\n"
    "td.number{white-space:nowrap}\n"
    "pre{margin:8px 0;padding:12px;background:var(--card);border:1px solid "
    "var(--line);border-radius:8px;white-space:pre-wrap;overflow-wrap:anywhere;"
    "font-size:13px}\n"
    "</style>\n";

surge_status surge_page_begin(surge_page *page, const surge_plot *plot,
                              const char *title, const char *subtitle) {
  *page = (surge_page){.plot = plot};
  snprintf(page->path, sizeof page->path, "%.*s/index.html", SURGE_PATH - 32,
           plot->folder);
  char part[SURGE_PATH + 8];
  snprintf(part, sizeof part, "%s.new", page->path);
  page->file = fopen(part, "w");
  if (!page->file)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted to write it, found: %s",
                      part, strerror(errno));
  fputs(head, page->file);
  fputs("<title>", page->file);
  surge_page_text(page, title);
  fputs("</title>\n</head>\n<body>\n<main>\n<h1>", page->file);
  surge_page_text(page, title);
  fputs("</h1>\n<p class=\"soft\">", page->file);
  surge_page_text(page, subtitle);
  fputs("</p>\n", page->file);
  return SURGE_OK;
}

surge_status surge_page_end(surge_page *page) {
  char part[SURGE_PATH + 8];
  snprintf(part, sizeof part, "%s.new", page->path);
  fputs("</main>\n</body>\n</html>\n", page->file);
  bool written = fflush(page->file) == 0 && !ferror(page->file);
  written = fclose(page->file) == 0 && written;
  page->file = NULL;
  if (written && rename(part, page->path) == 0) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted to write it, found: %s",
                    page->path, strerror(errno));
}

void surge_page_close(surge_page *page) {
  if (page->file) fclose(page->file);
  *page = (surge_page){0};
}

/* --- text ----------------------------------------------------------------- */

void surge_page_text(surge_page *page, const char *text) {
  for (; *text; text++) {
    if (*text == '<')
      fputs("&lt;", page->file);
    else if (*text == '>')
      fputs("&gt;", page->file);
    else if (*text == '&')
      fputs("&amp;", page->file);
    else if (*text == '"')
      fputs("&quot;", page->file);
    else
      fputc(*text, page->file);
  }
}

/* Prints as text between two tags. */
static void print_between(surge_page *page, const char *before,
                          const char *after, const char *format,
                          va_list arguments) {
  char *text;
  if (vasprintf(&text, format, arguments) < 0) return;
  fputs(before, page->file);
  surge_page_text(page, text);
  fputs(after, page->file);
  free(text);
}

void surge_page_heading(surge_page *page, const char *heading) {
  fprintf(page->file, "<h2>%s</h2>\n", heading);
}

void surge_page_paragraph(surge_page *page, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_between(page, "<p>", "</p>\n", format, arguments);
  va_end(arguments);
}

void surge_page_command(surge_page *page, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  print_between(page, "<pre>", "</pre>\n", format, arguments);
  va_end(arguments);
}

/* --- tables --------------------------------------------------------------- */

static void print_cells(surge_page *page, char *cells, const char *tag) {
  fputs("<tr>", page->file);
  for (int column = 0; cells; column++) {
    bool number = column < SURGE_MARKED && page->numbers >> column & 1;
    fprintf(page->file, "<%s%s>", tag, number ? " class=\"number\"" : "");
    surge_page_text(page, strsep(&cells, "\t"));
    fprintf(page->file, "</%s>", tag);
  }
  fputs("</tr>\n", page->file);
}

/* Takes the marks out of the headers and keeps them in mind. */
static void mark_numbers(surge_page *page, char *headers) {
  char *out = headers;
  int column = 0;
  page->numbers = 0;
  for (bool first = true; *headers; headers++) {
    if (first && *headers == '>')
      page->numbers |= column < SURGE_MARKED ? (uint64_t)1 << column : 0;
    else
      *out++ = *headers;
    first = *headers == '\t';
    column += first;
  }
  *out = 0;
}

void surge_page_table(surge_page *page, const char *headers) {
  char *cells = strdup(headers);
  fputs("<div class=\"table\"><table>\n", page->file);
  if (cells) mark_numbers(page, cells);
  if (cells) print_cells(page, cells, "th");
  free(cells);
}

void surge_page_row(surge_page *page, const char *format, ...) {
  char *cells;
  va_list arguments;
  va_start(arguments, format);
  int length = vasprintf(&cells, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  print_cells(page, cells, "td");
  free(cells);
}

void surge_page_end_table(surge_page *page) {
  fputs("</table></div>\n", page->file);
}

void surge_page_tiles(surge_page *page) {
  fputs("<div class=\"tiles\">\n", page->file);
}

void surge_page_tile(surge_page *page, const char *what, const char *format,
                     ...) {
  va_list arguments;
  va_start(arguments, format);
  print_between(page, "<div><b>", "</b><span>", format, arguments);
  va_end(arguments);
  fprintf(page->file, "%s</span></div>\n", what);
}

void surge_page_end_tiles(surge_page *page) { fputs("</div>\n", page->file); }

/* --- figures -------------------------------------------------------------- */

/* Length of the tag `open` at p, or 0. */
static size_t starts(const char *p, const char *open) {
  size_t length = strlen(open);
  return strncmp(p, open, length) ? 0 : length;
}

/* An SVG file within the page: without its preamble and the titles that gnuplot
 * gives its plots, and with its ids made this figure's own. */
static void inline_svg(surge_page *page, const char *text, const char *name) {
  static const char *const ids[] = {"id='", "id=\"", "href='#", "url(#"};
  const char *p = strstr(text, "<svg");
  for (; p && *p; p++) {
    if (starts(p, "<title>")) {
      const char *end = strstr(p, "</title>");
      if (end) p = end + strlen("</title>");
    }
    for (int i = 0; i < 4; i++) {
      size_t length = starts(p, ids[i]);
      if (!length) continue;
      fprintf(page->file, "%s%s-", ids[i], name);
      p += length;
    }
    fputc(*p, page->file);
  }
}

static surge_status print_figure(surge_page *page, const surge_figure *figure) {
  char path[SURGE_PATH + 2 * SURGE_WORD + 8], *text;
  snprintf(path, sizeof path, "%s/%s.svg", page->plot->folder, figure->name);
  SURGE_TRY(surge_read_whole(path, &text, NULL));
  fprintf(page->file, "<figure id=\"%s\">\n", figure->name);
  inline_svg(page, text, figure->name);
  fputs("<figcaption>", page->file);
  surge_page_text(page, figure->caption);
  fputs("</figcaption>\n</figure>\n", page->file);
  free(text);
  return SURGE_OK;
}

surge_status surge_page_section(surge_page *page, const char *section,
                                bool always) {
  int32_t figures = 0;
  for (int32_t i = 0; i < page->plot->count; i++)
    figures += !strcmp(page->plot->figure[i].section, section);
  if (figures == 0 && !always) return SURGE_OK;
  surge_page_heading(page, section);
  if (figures == 0) return SURGE_OK;
  fputs("<div class=\"figures\">\n", page->file);
  for (int32_t i = 0; i < page->plot->count; i++)
    if (!strcmp(page->plot->figure[i].section, section))
      SURGE_TRY(print_figure(page, &page->plot->figure[i]));
  fputs("</div>\n", page->file);
  return SURGE_OK;
}
