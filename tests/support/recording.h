/* recording.h - recordings in containers that tests write themselves, and
 * comparisons of what is read.
 *
 * Writers share no code with the readers. What they write is malloc'ed. */
#ifndef SURGE_TESTS_RECORDING_H
#define SURGE_TESTS_RECORDING_H

#include <stdbool.h>
#include <surge/events.h>

typedef struct test_event {
  int64_t t;
  int x, y, p;
} test_event;

/* Bytes that grow. */
typedef struct test_bytes {
  uint8_t *at;
  size_t size, capacity;
} test_bytes;

void test_put(test_bytes *bytes, const void *from, size_t size);
void test_put_number(test_bytes *bytes, uint64_t value, size_t size);
void test_bytes_free(test_bytes *bytes);

/* --- AEDAT 4 -- compression as the format counts: 0, 1 (LZ4) or 3 (Zstd) --- */

/* The beginning of a file with streams as XML; `table` is -1 or the place of the
 * data table. */
void test_aedat4_begin(test_bytes *file, int compression, int64_t table,
                       const char *xml);

/* A packet of events; and one of any content. */
void test_aedat4_packet(test_bytes *file, int compression, uint32_t stream,
                        const test_event *events, size_t count);
void test_aedat4_put(test_bytes *file, int compression, uint32_t stream,
                     const void *content, size_t size);

/* XML of one stream of events, number 0, of a sensor of 640 x 480 pixels. */
extern const char test_aedat4_xml[];

/* --- .npz: a zip of members, stored or deflated --------------------------- */

/* numpy's type, like "<i8", elements as they are stored. NULL: no .npy. */
typedef struct test_member {
  const char *name, *type;
  const void *elements;
  size_t count, bytes; /* of an element */
} test_member;

void test_npz(test_bytes *file, const test_member *members, size_t count,
              int npy_version, bool deflate);

/* --- comparing ------------------------------------------------------------ */

/* Fails the test unless the bytes are the events, read in chunks of 1, of 2, and
 * all at once. */
void test_expect_events(const uint8_t *bytes, size_t size, const char *name,
                        const test_event *wanted, size_t count);

/* Fails the test unless opening or reading the bytes is an error that has both
 * texts, behind `good` events, in chunks of 1 and of many. */
void test_expect_fault(const uint8_t *bytes, size_t size, const char *name,
                       size_t good, const char *place, const char *text);

/* Count, first and last event and sums of a file below SURGE_TEST_DATA, as an
 * independent reader found them; skips the test where that is not set. */
typedef struct test_sums {
  size_t count;
  test_event first, last;
  int64_t x, y, p;
} test_sums;
void test_expect_sums(const char *name, const test_sums *wanted);

#endif
