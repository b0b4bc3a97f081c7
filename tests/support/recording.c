/* recording.c - see recording.h. */
#include "tests/support/recording.h"

#include <criterion/criterion.h>
#include <lz4frame.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "tests/support/folder.h"

/* --- bytes ---------------------------------------------------------------- */

void test_put(test_bytes *bytes, const void *from, size_t size) {
  if (bytes->size + size >= bytes->capacity) {
    bytes->capacity = 2 * (bytes->size + size) + 64;
    bytes->at = realloc(bytes->at, bytes->capacity);
    cr_assert(bytes->at != NULL);
  }
  if (size > 0) memcpy(bytes->at + bytes->size, from, size);
  bytes->size += size;
}

void test_put_number(test_bytes *bytes, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; i++) {
    uint8_t byte = (uint8_t)(i < 8 ? value >> (8 * i) : 0);
    test_put(bytes, &byte, 1);
  }
}

void test_bytes_free(test_bytes *bytes) {
  free(bytes->at);
  *bytes = (test_bytes){0};
}

/* --- AEDAT 4 -------------------------------------------------------------- */

const char test_aedat4_xml[] =
    "<dv version=\"2.0\">\n <node name=\"outInfo\" path=\"/outInfo/\">\n"
    "  <node name=\"0\" path=\"/outInfo/0/\">\n"
    "   <attr key=\"typeIdentifier\" type=\"string\">EVTS</attr>\n"
    "   <node name=\"info\" path=\"/outInfo/0/info/\">\n"
    "    <attr key=\"sizeX\" type=\"int\">640</attr>\n"
    "    <attr key=\"sizeY\" type=\"int\">480</attr>\n"
    "   </node>\n  </node>\n </node>\n</dv>\n";

/* Root offset, name, vtable of `fields` places, table. */
static void put_root(test_bytes *b, const char *name, uint32_t root,
                     uint32_t bytes, const uint8_t *places, size_t fields) {
  test_put_number(b, root, 4);
  test_put(b, name, 4);
  test_put_number(b, 4 + 2 * fields, 2);
  test_put_number(b, bytes, 2);
  for (size_t i = 0; i < fields; i++) test_put_number(b, places[i], 2);
  test_put_number(b, 0, root - 8 - 4 - 2 * fields);
  test_put_number(b, root - 8, 4); /* back to the vtable */
}

void test_aedat4_begin(test_bytes *file, int compression, int64_t table,
                       const char *xml) {
  static const uint8_t places[] = {4, 8, 16};
  test_bytes header = {0};
  put_root(&header, "IOHE", 20, 20, places, 3);
  test_put_number(&header, (uint64_t)compression, 4);
  test_put_number(&header, (uint64_t)table, 8);
  test_put_number(&header, 4, 4);
  test_put_number(&header, strlen(xml), 4);
  test_put(&header, xml, strlen(xml) + 1);
  test_put(file, "#!AER-DAT4.0\r\n", 14);
  test_put_number(file, header.size, 4);
  test_put(file, header.at, header.size);
  test_bytes_free(&header);
}

void test_aedat4_put(test_bytes *file, int compression, uint32_t stream,
                     const void *content, size_t size) {
  size_t most = LZ4F_compressFrameBound(size, NULL) + ZSTD_compressBound(size);
  uint8_t *packed = malloc(most);
  cr_assert(packed != NULL);
  size_t length = size;
  if (compression == 0) memcpy(packed, content, size);
  if (compression == 1)
    length = LZ4F_compressFrame(packed, most, content, size, NULL);
  if (compression == 3) length = ZSTD_compress(packed, most, content, size, 1);
  test_put_number(file, stream, 4);
  test_put_number(file, length, 4);
  test_put(file, packed, length);
  free(packed);
}

void test_aedat4_packet(test_bytes *file, int compression, uint32_t stream,
                        const test_event *events, size_t count) {
  static const uint8_t places[] = {4};
  test_bytes table = {0}, content = {0};
  put_root(&table, "EVTS", 16, 8, places, 1);
  test_put_number(&table, 4, 4);
  test_put_number(&table, count, 4);
  for (size_t i = 0; i < count; i++) {
    test_put_number(&table, (uint64_t)events[i].t, 8);
    test_put_number(&table, (uint64_t)events[i].x, 2);
    test_put_number(&table, (uint64_t)events[i].y, 2);
    test_put_number(&table, (uint64_t)events[i].p, 4);
  }
  test_put_number(&content, table.size, 4);
  test_put(&content, table.at, table.size);
  test_aedat4_put(file, compression, stream, content.at, content.size);
  test_bytes_free(&table);
  test_bytes_free(&content);
}

/* --- .npz ----------------------------------------------------------------- */

static void put_npy(test_bytes *b, const test_member *m, int version) {
  char text[128];
  int length = snprintf(text, sizeof text,
                        "{'descr': '%s', 'fortran_order': False, 'shape': "
                        "(%zu,), }   \n",
                        m->type, m->count);
  test_put(b, "\x93NUMPY", 6);
  test_put_number(b, (uint64_t)version, 2);
  test_put_number(b, (uint64_t)length, version == 1 ? 2 : 4);
  test_put(b, text, (size_t)length);
  test_put(b, m->elements, m->count * m->bytes);
}

static void deflate_bytes(test_bytes *out, const test_bytes *in) {
  z_stream z = {.next_in = in->at, .avail_in = (uInt)in->size};
  uint8_t packed[1 << 14];
  z.next_out = packed;
  z.avail_out = sizeof packed;
  cr_assert_eq(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, 0), Z_OK);
  cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END, "more than the test has");
  test_put(out, packed, sizeof packed - z.avail_out);
  deflateEnd(&z);
}

/* What a member's local header and its entry in the directory have in common. */
static void put_facts(test_bytes *b, const test_bytes *whole,
                      const test_bytes *packed, bool deflate,
                      const char *name) {
  test_put_number(b, 20, 2);              /* version needed */
  test_put_number(b, 0, 2);               /* flags          */
  test_put_number(b, deflate ? 8 : 0, 2); /* method         */
  test_put_number(b, 0x210000, 4);        /* 1980-01-01     */
  test_put_number(b, crc32(0, whole->at, (uInt)whole->size), 4);
  test_put_number(b, packed->size, 4);
  test_put_number(b, whole->size, 4);
  test_put_number(b, strlen(name), 2);
  test_put_number(b, 0, 2); /* extra field */
}

void test_npz(test_bytes *file, const test_member *members, size_t count,
              int npy_version, bool deflate) {
  test_bytes directory = {0};
  for (size_t i = 0; i < count; i++) {
    const test_member *m = &members[i];
    test_bytes whole = {0}, packed = {0};
    size_t place = file->size;
    if (m->type)
      put_npy(&whole, m, npy_version);
    else
      test_put(&whole, m->elements, m->count * m->bytes);
    if (deflate)
      deflate_bytes(&packed, &whole);
    else
      test_put(&packed, whole.at, whole.size);
    test_put(file, "PK\3\4", 4);
    put_facts(file, &whole, &packed, deflate, m->name);
    test_put(file, m->name, strlen(m->name));
    test_put(file, packed.at, packed.size);
    test_put(&directory, "PK\1\2\24\0", 6);
    put_facts(&directory, &whole, &packed, deflate, m->name);
    test_put_number(&directory, 0, 10); /* comment, disk, attributes */
    test_put_number(&directory, place, 4);
    test_put(&directory, m->name, strlen(m->name));
    test_bytes_free(&whole);
    test_bytes_free(&packed);
  }
  size_t place = file->size;
  test_put(file, directory.at, directory.size);
  test_put(file, "PK\5\6\0\0\0\0", 8);
  test_put_number(file, count, 2);
  test_put_number(file, count, 2);
  test_put_number(file, directory.size, 4);
  test_put_number(file, place, 4);
  test_put_number(file, 0, 2);
  test_bytes_free(&directory);
}

/* --- comparing ------------------------------------------------------------ */

static void expect_event(const surge_events *e, size_t i,
                         const test_event *wanted, const char *name) {
  cr_expect(e->t[i] == wanted->t && e->x[i] == wanted->x &&
                e->y[i] == wanted->y && e->p[i] == wanted->p,
            "%s: wanted %lld %d %d %d, found %lld %d %d %d", name,
            (long long)wanted->t, wanted->x, wanted->y, wanted->p,
            (long long)e->t[i], e->x[i], e->y[i], e->p[i]);
}

void test_expect_events(const uint8_t *bytes, size_t size, const char *name,
                        const test_event *wanted, size_t count) {
  const size_t capacities[] = {1, 2, count + 1};
  for (int k = 0; k < 3; k++) {
    surge_events_file *file = NULL;
    surge_events chunk = {0};
    size_t seen = 0;
    cr_assert_eq(surge_events_open_memory(&file, bytes, size, name), SURGE_OK,
                 "%s", surge_last_error());
    cr_assert_eq(surge_events_reserve(&chunk, capacities[k]), SURGE_OK);
    do {
      cr_assert_eq(surge_events_next(file, &chunk), SURGE_OK, "%s",
                   surge_last_error());
      cr_assert_leq(seen + chunk.count, count, "%s: too many", name);
      for (size_t i = 0; i < chunk.count; i++)
        expect_event(&chunk, i, &wanted[seen++], name);
    } while (chunk.count > 0);
    cr_expect_eq(seen, count, "%s: wanted %zu events, found %zu", name, count,
                 seen);
    surge_events_free(&chunk);
    surge_events_close(file);
  }
}

void test_expect_fault(const uint8_t *bytes, size_t size, const char *name,
                       size_t good, const char *place, const char *text) {
  for (size_t capacity = 1; capacity <= 4096; capacity *= 4096) {
    surge_events_file *file = NULL;
    surge_events chunk = {0};
    size_t seen = 0;
    cr_assert_eq(surge_events_reserve(&chunk, capacity), SURGE_OK);
    surge_status status = surge_events_open_memory(&file, bytes, size, name);
    while (status == SURGE_OK) {
      status = surge_events_next(file, &chunk);
      seen += chunk.count;
      if (chunk.count == 0) break;
    }
    const char *found = surge_last_error();
    cr_expect_eq(status, SURGE_ERROR_DATA, "%s: %s", name, text);
    cr_expect(
        strstr(found, name) && strstr(found, place) && strstr(found, text),
        "wanted %s: %s: %s, found %s", name, place, text, found);
    cr_expect_eq(seen, good, "%s, chunks of %zu: wanted %zu events, found %zu",
                 name, capacity, good, seen);
    surge_events_free(&chunk);
    surge_events_close(file);
  }
}

void test_expect_sums(const char *name, const test_sums *wanted) {
  const char *folder = getenv("SURGE_TEST_DATA");
  if (!folder) cr_skip("SURGE_TEST_DATA names no folder of data sets");
  char path[TEST_PATH];
  surge_events e = {0};
  int64_t x = 0, y = 0, p = 0;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  cr_assert_eq(surge_events_read(&e, NULL, path), SURGE_OK, "%s",
               surge_last_error());
  for (size_t i = 0; i < e.count; i++) {
    x += e.x[i];
    y += e.y[i];
    p += e.p[i];
  }
  cr_assert_eq(e.count, wanted->count, "%s: %zu events", name, e.count);
  expect_event(&e, 0, &wanted->first, name);
  expect_event(&e, e.count - 1, &wanted->last, name);
  cr_expect(x == wanted->x && y == wanted->y && p == wanted->p,
            "%s: sums %lld %lld %lld", name, (long long)x, (long long)y,
            (long long)p);
  surge_events_free(&e);
}
