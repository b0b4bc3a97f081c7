/* npz.c - SpikingJelly's .npz: a zip of t.npy (us), x.npy, y.npy and p.npy, of
 * one length each, stored or deflated. Read through libzip; the
 * four members are read side by side, a piece of each at a time. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "src/events/column.h"
#include "src/events/format.h"
#include "src/events/npy.h"

typedef struct member {
  zip_file_t *file;
  surge_npy npy;
} member;

typedef struct npz {
  zip_t *zip;
  member members[SURGE_COLUMNS];
  uint64_t count; /* of events */
  uint8_t raw[8 * SURGE_COLUMN_PIECE];
  surge_columns columns;
} npz;

/* "recording.npz: t.npy" for errors. */
#define FAIL(path, c, format, ...)                                             \
  SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s.npy: " format, path,                    \
             surge_column_names[c], __VA_ARGS__)

static bool recognise(const surge_bytes *bytes) {
  return bytes->size >= 4 && (!memcmp(bytes->at, "PK\3\4", 4) ||
                              !memcmp(bytes->at, "PK\5\6", 4)); /* empty */
}

/* --- opening -------------------------------------------------------------- */

/* The source is the archive's once it is open. */
static surge_status open_zip(npz *n, const surge_bytes *bytes) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t *source =
      bytes->fd < 0
          ? zip_source_buffer_create(bytes->at, bytes->size, 0, &error)
          : zip_source_file_create(bytes->path, 0, -1, &error);
  if (source) n->zip = zip_open_from_source(source, ZIP_RDONLY, &error);
  surge_status status = SURGE_OK;
  if (!n->zip)
    status = SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted a zip archive, found: %s",
                        bytes->path, zip_error_strerror(&error));
  if (!n->zip && source) zip_source_free(source);
  zip_error_fini(&error);
  return status;
}

static surge_status take_bytes(const npz *n, int c, const char *path,
                               void *bytes, size_t size) {
  zip_int64_t got = zip_fread(n->members[c].file, bytes, size);
  if (got == (zip_int64_t)size) return SURGE_OK;
  if (got >= 0)
    return FAIL(path, c, "wanted %zu bytes, found %" PRId64, size,
                (int64_t)got);
  return FAIL(path, c, "%s", zip_file_strerror(n->members[c].file));
}

static surge_status take_header(npz *n, int c, const char *path,
                                uint64_t size) {
  uint8_t head[SURGE_NPY_HEAD];
  surge_npy *npy = &n->members[c].npy;
  size_t head_bytes = 0, length;
  SURGE_TRY(take_bytes(n, c, path, head, sizeof head));
  length = surge_npy_header_bytes(head, &head_bytes);
  if (length <= sizeof head - head_bytes || length > SURGE_NPY_HEADER_MOST)
    return FAIL(path, c,
                "wanted a .npy array with a header of at most %d "
                "bytes, found none",
                SURGE_NPY_HEADER_MOST);
  char *text = calloc(1, length + 1);
  if (!text) return FAIL(path, c, "%s", "no memory");
  size_t seen = sizeof head - head_bytes;
  memcpy(text, head + head_bytes, seen);
  surge_status status = take_bytes(n, c, path, text + seen, length - seen);
  const char *wanted = status == SURGE_OK ? surge_npy_parse(npy, text) : NULL;
  if (wanted) status = FAIL(path, c, "wanted %s, found %.120s", wanted, text);
  free(text);
  SURGE_TRY(status);
  uint64_t rest = size - head_bytes - length;
  if (size < head_bytes + length || rest % npy->number.bytes ||
      rest / npy->number.bytes != npy->count)
    return FAIL(path, c,
                "wanted %" PRIu64
                " elements of %zu bytes, found a "
                "member of %" PRIu64 " bytes",
                npy->count, npy->number.bytes, size);
  return SURGE_OK;
}

static surge_status open_member(npz *n, int c, const char *path) {
  char name[16];
  zip_stat_t about;
  snprintf(name, sizeof name, "%s.npy", surge_column_names[c]);
  if (zip_stat(n->zip, name, 0, &about) != 0)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: wanted t.npy, x.npy, y.npy and p.npy, found no %s",
                      path, name);
  if (!(about.valid & ZIP_STAT_SIZE))
    return FAIL(path, c, "wanted a member of known %s, found one without",
                "size");
  n->members[c].file = zip_fopen_index(n->zip, about.index, 0);
  if (!n->members[c].file) return FAIL(path, c, "%s", zip_strerror(n->zip));
  SURGE_TRY(take_header(n, c, path, about.size));
  uint64_t count = n->members[c].npy.count;
  if (c == 0) n->count = count;
  if (count != n->count)
    return FAIL(path, c,
                "wanted %" PRIu64
                " elements as in t.npy, found "
                "%" PRIu64,
                n->count, count);
  return SURGE_OK;
}

static surge_status open(surge_events_file *file) {
  npz *n = file->state = calloc(1, sizeof *n);
  if (!n) return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory", file->path);
  SURGE_TRY(open_zip(n, &file->bytes));
  for (int c = 0; c < SURGE_COLUMNS; c++)
    SURGE_TRY(open_member(n, c, file->path));
  return SURGE_OK;
}

static void close(surge_events_file *file) {
  npz *n = file->state;
  for (int c = 0; n && c < SURGE_COLUMNS; c++)
    if (n->members[c].file) zip_fclose(n->members[c].file);
  if (n && n->zip) zip_discard(n->zip);
  free(n);
}

/* --- reading -------------------------------------------------------------- */

/* Reading past the last byte makes libzip compare the check sum. */
static surge_status check_sums(npz *n, const char *path) {
  uint8_t extra;
  for (int c = 0; c < SURGE_COLUMNS; c++)
    if (zip_fread(n->members[c].file, &extra, 1) != 0)
      return FAIL(path, c, "%s", zip_file_strerror(n->members[c].file));
  return SURGE_OK;
}

/* The next piece of every member. */
static surge_status load(npz *n, const char *path) {
  size_t count = surge_columns_begin(&n->columns, n->count);
  uint64_t first = n->columns.first;
  n->columns.count = 0; /* until all of it is good */
  for (int c = 0; c < SURGE_COLUMNS; c++) {
    const surge_number *number = &n->members[c].npy.number;
    size_t bytes = number->bytes;
    SURGE_TRY(take_bytes(n, c, path, n->raw, count * bytes));
    size_t good =
        surge_number_load(number, n->raw, bytes, count, 1, n->columns.of[c]);
    if (good < count)
      return FAIL(path, c,
                  "element %" PRIu64
                  ": wanted a whole number of 64 "
                  "bits, found none",
                  first + good);
  }
  if (first + count == n->count) SURGE_TRY(check_sums(n, path));
  n->columns.count = count;
  return SURGE_OK;
}

static surge_status next(surge_events_file *file, surge_events *chunk) {
  npz *n = file->state;
  surge_columns *columns = &n->columns;
  while (chunk->count < chunk->capacity) {
    if (columns->given == columns->count) SURGE_TRY(load(n, file->path));
    if (columns->count == 0) return SURGE_OK;
    SURGE_TRY(surge_columns_give(columns, chunk, file->path));
  }
  return SURGE_OK;
}

const surge_events_format surge_events_npz = {.name = "npz",
                                              .recognise = recognise,
                                              .open = open,
                                              .next = next,
                                              .close = close};
