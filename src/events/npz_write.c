/* npz_write.c - arrays as numpy keeps several of them: deflated .npy files in a
 * zip archive. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <surge/events.h>
#include <zip.h>

#include "src/events/column.h"

enum { HEADER = 192 }; /* of a .npy, version 1: a multiple of 64 */

typedef struct member {
  const char *name, *type; /* "t", "<i8" */
  char shape[64];          /* "5," */
  const void *elements;
  size_t bytes; /* of all */
  char header[HEADER];
} member;

static void make_header(member *m) {
  static const uint8_t head[] = {0x93, 'N', 'U', 'M',         'P',
                                 'Y',  1,   0,   HEADER - 10, 0};
  memcpy(m->header, head, sizeof head);
  int length = snprintf(m->header + sizeof head, HEADER - sizeof head,
                        "{'descr': '%s', 'fortran_order': False, 'shape': "
                        "(%s), }",
                        m->type, m->shape);
  size_t end = sizeof head + (size_t)length;
  memset(m->header + end, ' ', HEADER - end);
  m->header[HEADER - 1] = '\n';
}

/* Header and elements stay where they are until the archive is closed. */
static bool add_member(zip_t *zip, member *m) {
  char name[16];
  make_header(m);
  zip_buffer_fragment_t parts[] = {{(zip_uint8_t *)m->header, HEADER},
                                   {(zip_uint8_t *)m->elements, m->bytes}};
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t *source = zip_source_buffer_fragment_create(parts, 2, 0, &error);
  zip_error_fini(&error);
  if (!source) return false;
  snprintf(name, sizeof name, "%s.npy", m->name);
  zip_int64_t index = zip_file_add(zip, name, source, 0);
  if (index < 0) {
    zip_source_free(source);
    return false;
  }
  /* no clock: the same arrays give the same bytes; 1980-01-01 */
  return zip_file_set_dostime(zip, (zip_uint64_t)index, 0, 0x21, 0) == 0 &&
         zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_DEFLATE,
                                  0) == 0;
}

static surge_status write_members(member *members, int count,
                                  const char *path) {
  int code = 0;
  zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
  if (!zip) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    surge_status status =
        SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted to write it, found: %s", path,
                   zip_error_strerror(&error));
    zip_error_fini(&error);
    return status;
  }
  bool good = true;
  for (int i = 0; i < count && good; i++) good = add_member(zip, &members[i]);
  if (good && zip_close(zip) == 0) return SURGE_OK;
  surge_status status =
      SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted to write it, found: %s", path,
                 zip_strerror(zip));
  zip_discard(zip);
  return status;
}

surge_status surge_events_write_npz(const surge_events *events,
                                    const char *path) {
  static const char *const types[] = {"<i8", "<u2", "<u2", "|u1"};
  static const size_t bytes[] = {8, 2, 2, 1};
  const void *arrays[] = {events->t, events->x, events->y, events->p};
  member members[SURGE_COLUMNS];
  for (int c = 0; c < SURGE_COLUMNS; c++) {
    members[c] = (member){.name = surge_column_names[c],
                          .type = types[c],
                          .elements = arrays[c],
                          .bytes = bytes[c] * events->count};
    snprintf(members[c].shape, sizeof members[c].shape, "%zu,", events->count);
  }
  return write_members(members, SURGE_COLUMNS, path);
}

surge_status surge_frames_write_npz(const int32_t *frames,
                                    const surge_framing *f, const char *path) {
  size_t pixels = (size_t)f->frame_h * (size_t)f->frame_w, c = (size_t)f->c;
  size_t count = (size_t)f->T * pixels * c;
  int32_t *planes = malloc(count * sizeof *planes);
  if (!planes)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory for %d frames", path,
                      f->T);
  for (size_t t = 0; t < (size_t)f->T; t++)
    for (size_t i = 0; i < pixels; i++)
      for (size_t k = 0; k < c; k++)
        planes[(t * c + k) * pixels + i] = frames[(t * pixels + i) * c + k];
  member all = {.name = "frames",
                .type = "<i4",
                .elements = planes,
                .bytes = count * sizeof *planes};
  snprintf(all.shape, sizeof all.shape, "%d, %d, %d, %d", f->T, f->c,
           f->frame_h, f->frame_w);
  surge_status status = write_members(&all, 1, path);
  free(planes);
  return status;
}
