/* check.c - what is in files of events, told line by line (see events.h).
 *
 * A file is read in chunks, so memory does not grow with it. */
#include "src/data/check.h"

#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK ((size_t)1 << 16) /* events */

typedef struct check {
  surge_tell *tell;
  void *user;
  const char *picture;
  surge_events chunk;
  surge_map_counts *map; /* NULL: no picture */
  surge_check_sheet sheet;
  uint64_t files, unreadable, recordings, events, on, outside, back;
} check;

/* --- lines ---------------------------------------------------------------- */

static double percent(uint64_t part, uint64_t whole) {
  return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

/* "N of many, the first is read" where the reader chose, N recordings where
 * there are several. */
static void put_many(char *text, size_t size, const surge_events_info *info) {
  text[0] = 0;
  if (info->recordings != 1)
    snprintf(text, size, ", %zu recordings", info->recordings);
  if (info->streams != 1)
    snprintf(text, size, ", first of %d streams of events", info->streams);
}

static surge_status tell_contents(check *c, const char *path,
                                  const surge_summary *s) {
  char line[4096 + 512], many[64];
  bool stated = s->info.width > 0 && s->info.height > 0;
  double seconds = (double)s->duration * 1e-6;
  put_many(many, sizeof many, &s->info);
  snprintf(line, sizeof line,
           "%.4096s: %s, %" PRIu64
           " events%s, %.6f to %.6f s, sensor %dx%d "
           "%s, %.1f %% ON, %" PRIu64 " outside, %" PRIu64
           " steps back, %.1f events/s",
           path, s->info.format, s->events, many, (double)s->first * 1e-6,
           (double)s->last * 1e-6, stated ? s->info.width : s->width,
           stated ? s->info.height : s->height, stated ? "stated" : "seen",
           percent(s->on, s->events), s->outside, s->back,
           seconds > 0 ? (double)s->events / seconds : 0);
  return c->tell(c->user, line);
}

/* A bin's bar, in eighths of a line; without events a blank. */
static surge_status tell_rate(check *c, const surge_rate *rate) {
  static const char *const bars[] = {" ", "▁", "▂", "▃", "▄",
                                     "▅", "▆", "▇", "█"};
  char line[4 * SURGE_RATE_BINS + 128] = "  |";
  uint64_t most = 0;
  int begin, end;
  surge_rate_range(rate, &begin, &end);
  for (int i = begin; i < end; i++)
    if (rate->counts[i] > most) most = rate->counts[i];
  for (int i = begin; i < end; i++)
    strcat(line, bars[(rate->counts[i] * 8 + most - 1) / most]);
  size_t length = strlen(line);
  snprintf(line + length, sizeof line - length,
           "| %d bins of %.3f ms, at most %" PRIu64 " events", end - begin,
           (double)((uint64_t)1 << rate->shift) * 1e-3, most);
  return c->tell(c->user, line);
}

static surge_status tell_totals(check *c) {
  char line[512];
  snprintf(line, sizeof line,
           "%" PRIu64 " files, %" PRIu64 " recordings, %" PRIu64
           " events, %.1f %% ON, %" PRIu64 " outside, %" PRIu64
           " steps back; %" PRIu64 " files could not be read",
           c->files, c->recordings, c->events, percent(c->on, c->events),
           c->outside, c->back, c->unreadable);
  return c->tell(c->user, line);
}

/* --- a file --------------------------------------------------------------- */

static surge_status refuse(check *c, const char *fault) {
  c->unreadable++;
  return c->tell(c->user, fault);
}

static surge_status report(check *c, const char *path, const surge_summary *s) {
  c->recordings += s->info.recordings;
  c->events += s->events;
  c->on += s->on;
  c->outside += s->outside;
  c->back += s->back;
  SURGE_TRY(tell_contents(c, path, s));
  SURGE_TRY(tell_rate(c, &s->rate));
  if (c->map && c->sheet.rows < SURGE_CHECK_ROWS)
    return surge_check_paint(&c->sheet, s);
  return SURGE_OK;
}

/* Only a fault of the data is the file's own: the others go on. */
static surge_status check_file(check *c, const char *path) {
  surge_events_file *file = NULL;
  surge_summary summary;
  c->files++;
  surge_status status = surge_events_open(&file, path);
  if (status == SURGE_OK)
    status = surge_summary_read(&summary, c->map, file, &c->chunk);
  surge_events_close(file);
  if (status == SURGE_ERROR_DATA) return refuse(c, surge_last_error());
  return status == SURGE_OK ? report(c, path, &summary) : status;
}

/* --- files and folders ---------------------------------------------------- */

static int by_name(const FTSENT **a, const FTSENT **b) {
  return strcmp((*a)->fts_name, (*b)->fts_name);
}

static surge_status visit(check *c, FTS *tree, FTSENT *entry) {
  char line[4096 + 128];
  if (entry->fts_level > 0 && entry->fts_name[0] == '.') {
    fts_set(tree, entry, FTS_SKIP);
    return SURGE_OK;
  }
  switch (entry->fts_info) {
    case FTS_D:
    case FTS_DP:
    case FTS_DC: /* a link to a folder around it */ return SURGE_OK;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
      c->files++;
      snprintf(line, sizeof line, "%.4096s: %s", entry->fts_path,
               strerror(entry->fts_errno));
      return refuse(c, line);
    default: return check_file(c, entry->fts_path);
  }
}

static surge_status walk(check *c, const char *const *paths) {
  FTS *tree =
      fts_open((char *const *)paths, FTS_LOGICAL | FTS_NOCHDIR, by_name);
  if (!tree)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s", paths[0], strerror(errno));
  surge_status status = SURGE_OK;
  FTSENT *entry = NULL;
  do {
    errno = 0; /* fts_read clears it where there is no more */
    if ((entry = fts_read(tree)) != NULL)
      status = visit(c, tree, entry);
    else if (errno != 0)
      status =
          SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s", paths[0], strerror(errno));
  } while (status == SURGE_OK && entry);
  fts_close(tree);
  return status;
}

static surge_status run(check *c, const char *const *paths) {
  SURGE_TRY(surge_events_reserve(&c->chunk, CHUNK));
  if (c->picture && !(c->map = malloc(sizeof *c->map)))
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory", c->picture);
  SURGE_TRY(walk(c, paths));
  SURGE_TRY(tell_totals(c));
  if (c->picture) SURGE_TRY(surge_check_write(&c->sheet, c->picture));
  if (c->unreadable == 0) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "wanted %" PRIu64 " files of events, found %" PRIu64
                    " that cannot be read",
                    c->files, c->unreadable);
}

surge_status surge_events_check(const char *const *paths, const char *picture,
                                surge_tell *tell, void *user) {
  check c = {.tell = tell, .user = user, .picture = picture};
  surge_status status = run(&c, paths);
  surge_events_free(&c.chunk);
  free(c.map);
  free(c.sheet.rgb);
  return status;
}
