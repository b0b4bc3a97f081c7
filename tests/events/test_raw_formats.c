/* test_raw_formats.c - each raw format, written here byte by byte: the same events
 * in chunks of any size, from memory and from a file; what is damaged is refused
 * by file and byte. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <surge/events.h>
#include <unistd.h>

/* --- a file that a test writes ------------------------------------------------ */

static struct {
  uint8_t bytes[1 << 21];
  size_t size;
} file;

static void begin(void) { file.size = 0; }

static void put(unsigned byte) {
  cr_assert_lt(file.size, sizeof file.bytes);
  file.bytes[file.size++] = (uint8_t)byte;
}

static void put_text(const char *format, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  for (const char *c = text; *c; c++) put((unsigned char)*c);
}

static void put_little(uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) put((uint32_t)(value >> 8 * i & 255));
}

static void put_big(uint32_t value, int bytes) {
  for (int i = bytes; i-- > 0;) put(value >> 8 * i & 255);
}

/* --- what is expected of it ------------------------------------------------------ */

typedef struct event {
  int64_t t;
  unsigned x, y, p;
} event;

static void expect_event(const surge_events *all, size_t i, event wanted,
                         const char *how) {
  cr_expect(all->t[i] == wanted.t && all->x[i] == wanted.x &&
                all->y[i] == wanted.y && all->p[i] == wanted.p,
            "%s: event %zu: wanted %lld %u %u %u, found %lld %u %u %u", how, i,
            (long long)wanted.t, wanted.x, wanted.y, wanted.p,
            (long long)all->t[i], all->x[i], all->y[i], all->p[i]);
}

/* The events in chunks of `capacity`, one after the other. */
static surge_status read_chunks(surge_events_file *reader, size_t capacity,
                                surge_events *all) {
  surge_events chunk = {0};
  surge_status status;
  cr_assert_eq(surge_events_reserve(&chunk, capacity), SURGE_OK);
  all->count = 0;
  do {
    status = surge_events_next(reader, &chunk);
    cr_assert_leq(chunk.count, capacity);
    for (size_t i = 0; i < chunk.count; i++) {
      if (all->count == all->capacity)
        cr_assert_eq(surge_events_reserve(all, 2 * all->capacity + 16),
                     SURGE_OK);
      all->t[all->count] = chunk.t[i];
      all->x[all->count] = chunk.x[i];
      all->y[all->count] = chunk.y[i];
      all->p[all->count++] = chunk.p[i];
    }
  } while (status == SURGE_OK && chunk.count > 0);
  surge_events_free(&chunk);
  return status;
}

static void read_from_memory(size_t capacity, surge_events *all,
                             surge_events_info *info) {
  surge_events_file *reader;
  cr_assert_eq(surge_events_open_memory(&reader, file.bytes, file.size, "made"),
               SURGE_OK, "%s", surge_last_error());
  *info = *surge_events_file_info(reader);
  cr_expect_eq(read_chunks(reader, capacity, all), SURGE_OK, "%s",
               surge_last_error());
  surge_events_close(reader);
}

static void read_from_folder(surge_events *all, surge_events_info *info) {
  char path[] = "/tmp/surge_events_XXXXXX";
  int fd = mkstemp(path);
  cr_assert(fd >= 0);
  cr_assert_eq(write(fd, file.bytes, file.size), (ssize_t)file.size);
  close(fd);
  surge_status status = surge_events_read(all, info, path);
  unlink(path);
  cr_expect_eq(status, SURGE_OK, "%s", surge_last_error());
}

static const size_t capacities[] = {1, 2, 3, 1000};

static void expect(const char *format, int width, int height, size_t count,
                   const event *wanted) {
  surge_events all = {0};
  for (size_t c = 0; c <= 4; c++) {
    surge_events_info info;
    char how[64];
    snprintf(how, sizeof how, c < 4 ? "%s, chunks of %zu" : "%s, a file",
             format, c < 4 ? capacities[c] : 0);
    if (c < 4)
      read_from_memory(capacities[c], &all, &info);
    else
      read_from_folder(&all, &info);
    cr_expect_str_eq(info.format, format);
    cr_expect(info.width == width && info.height == height, "%s: size %dx%d",
              how, info.width, info.height);
    cr_expect_eq(all.count, count, "%s: wanted %zu events, found %zu", how,
                 count, all.count);
    for (size_t i = 0; i < all.count && i < count; i++)
      expect_event(&all, i, wanted[i], how);
  }
  surge_events_free(&all);
}

#define EXPECT(format, width, height, ...)                                     \
  expect(format, width, height,                                                \
         sizeof((event[]){__VA_ARGS__}) / sizeof(event),                       \
         (event[]){__VA_ARGS__})

/* The file fails, after `good` events, with this in its message. */
static void expect_refused(size_t good, const char *message) {
  surge_events all = {0};
  for (size_t c = 0; c < 4; c++) {
    surge_events_file *reader;
    all.count = 0;
    surge_status status =
        surge_events_open_memory(&reader, file.bytes, file.size, "made");
    if (status == SURGE_OK) status = read_chunks(reader, capacities[c], &all);
    surge_events_close(reader);
    cr_expect_eq(status, SURGE_ERROR_DATA, "wanted \"%s\", found no fault",
                 message);
    cr_expect_eq(all.count, good, "%s: %zu events", message, all.count);
    cr_expect(strstr(surge_last_error(), message),
              "wanted \"%s\", found \"%s\"", message, surge_last_error());
  }
  surge_events_free(&all);
}

/* --- N-MNIST ------------------------------------------------------------------------ */

static void put_nmnist(unsigned x, unsigned y, unsigned p, uint32_t t) {
  put(x);
  put(y);
  put_big(p << 23 | t, 3);
}

Test(nmnist, time_marks_shift_what_follows_by_8192) {
  begin();
  put_nmnist(1, 2, 1, 8000);
  put_nmnist(0, 240, 0, 0);
  put_nmnist(3, 4, 0, 10);
  put_nmnist(0, 240, 0, 0);
  put_nmnist(0, 240, 0, 0);
  put_nmnist(5, 6, 1, 20);
  EXPECT("nmnist", 0, 0, {8000, 1, 2, 1}, {8202, 3, 4, 0}, {24596, 5, 6, 1});
}

Test(nmnist, clock_wraps) {
  begin();
  put_nmnist(1, 2, 1, 0x7ffff0);
  put_nmnist(3, 4, 0, 5);
  EXPECT("nmnist", 0, 0, {0x7ffff0, 1, 2, 1}, {0x800005, 3, 4, 0});
}

Test(nmnist, not_of_its_times_or_size) {
  begin();
  put_nmnist(1, 2, 1, 100);
  put_nmnist(3, 4, 0, 50);
  expect_refused(0, "made: wanted a recording in one of the formats");
  begin();
  put_nmnist(1, 2, 1, 100);
  put(1);
  expect_refused(0, "made: wanted a recording in one of the formats");
}

/* --- AEDAT 2.0 ----------------------------------------------------------------------- */

static void put_aedat2(uint32_t address, uint32_t t) {
  put_big(address, 4);
  put_big(t, 4);
}

static uint32_t dvs128(unsigned x, unsigned y, unsigned off) {
  return y << 8 | x << 1 | off;
}

static uint32_t davis(unsigned x, unsigned y, unsigned on) {
  return y << 22 | x << 12 | on << 11;
}

Test(aedat2, dvs128_stands_upright) {
  begin();
  put_text("#!AER-DAT2.0\r\n# Timestamps tick is 1 us\r\n");
  put_aedat2(dvs128(0, 0, 0), 7);
  put_aedat2(1u << 15 | dvs128(1, 1, 0), 8); /* no pixel's */
  put_aedat2(dvs128(127, 5, 1), 9);
  EXPECT("aedat2", 128, 128, {7, 127, 127, 1}, {9, 0, 122, 0});
}

Test(aedat2, davis_by_its_name_and_record_that_begins_as_a_line) {
  begin();
  put_text(
      "#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.Davis240C\r\n");
  put_text("#End Of ASCII Header\r\n");
  put_aedat2(0x23202020, 0x20200d0a); /* "#    \r\n": y 140, x 514, bit 11 0 */
  put_aedat2(davis(0, 0, 1), 0x30000000);
  put_aedat2(1u << 31 | davis(1, 1, 1), 0x30000001); /* a frame's */
  put_aedat2(1u << 10 | davis(1, 1, 1), 0x30000002); /* a trigger */
  put_aedat2(davis(239, 179, 0), 0x30000003);
  EXPECT("aedat2", 240, 180, {0x20200d0a, 65536 + 239 - 514, 179 - 140, 0},
         {0x30000000, 239, 179, 1}, {0x30000003, 0, 0, 0});
}

Test(aedat2, davis_by_its_addresses) {
  begin();
  put_text("#!AER-DAT2.0\r\n");
  put_aedat2(davis(3, 0x8c, 1), 5); /* its first byte is '#' */
  cr_assert_eq(file.bytes[file.size - 8], '#');
  EXPECT("aedat2", 240, 180, {5, 236, 179 - 0x8c, 1});
  put_aedat2(davis(345, 259, 0), 6);
  EXPECT("aedat2", 346, 260, {5, 342, 259 - 0x8c, 1}, {6, 0, 0, 0});
}

Test(aedat2, time) {
  begin();
  put_text("#!AER-DAT2.0\r\n");
  put_aedat2(dvs128(0, 0, 0), 0xfffffff0);
  put_aedat2(dvs128(0, 0, 0), 4);          /* wrapped           */
  put_aedat2(dvs128(0, 0, 0), 0xfffffff8); /* late, from before */
  put_aedat2(dvs128(0, 0, 0), 6);
  put_aedat2(dvs128(0, 0, 0), 2); /* out of order */
  EXPECT("aedat2", 128, 128, {0xfffffff0, 127, 127, 1},
         {0x100000004, 127, 127, 1}, {0xfffffff8, 127, 127, 1},
         {0x100000006, 127, 127, 1}, {0x100000002, 127, 127, 1});
}

Test(aedat2, refused) {
  begin();
  put_text("#!AER-DAT1.0\r\n");
  expect_refused(0,
                 "made: byte 0: wanted the line #!AER-DAT2.0, found "
                 "\"#!AER-DAT1.0\"");
  begin();
  put_text("#!AER-DAT2.0\r\n");
  put_aedat2(dvs128(0, 0, 0), 7);
  put_big(0, 3);
  expect_refused(1, "made: byte 22: wanted a record of 8 bytes, found 3");
}

Test(aedat2, a_header_alone_has_no_events) {
  begin();
  put_text("#!AER-DAT2.0\r\n");
  expect("aedat2", 128, 128, 0, NULL);
}

/* --- AEDAT 3.1 ------------------------------------------------------------------------ */

static void put_header3(void) {
  begin();
  put_text(
      "#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n"
      "#Start-Time: 2016-01-01 00:00:00 (TZ+0000)\r\n#!END-HEADER\r\n");
}

static void put_packet(unsigned type, uint32_t size, uint32_t overflows,
                       uint32_t capacity, uint32_t number) {
  put_little(type, 2);
  put_little(1, 2);
  put_little(size, 4);
  put_little(4, 4);
  put_little(overflows, 4);
  put_little(capacity, 4);
  put_little(number, 4);
  put_little(number, 4);
}

static void put_event3(unsigned x, unsigned y, unsigned p, unsigned valid,
                       uint32_t t) {
  put_little(x << 17 | y << 2 | p << 1 | valid, 4);
  put_little(t, 4);
}

Test(aedat3, packets) {
  put_header3();
  put_packet(1, 8, 0, 3, 2);
  put_event3(1, 2, 1, 1, 10);
  put_event3(3, 4, 0, 0, 11); /* not valid       */
  put_event3(9, 9, 1, 1, 12); /* past the number */
  put_packet(0, 5, 0, 2, 2);  /* another type    */
  for (int i = 0; i < 10; i++) put(0xff);
  put_packet(1, 8, 0, 0, 0);
  put_packet(1, 8, 1, 2, 2);
  put_event3(127, 0, 0, 1, 0);
  put_event3(0, 127, 1, 1, 5);
  EXPECT("aedat3", 128, 128, {10, 1, 2, 1}, {0x80000000, 127, 0, 0},
         {0x80000005, 0, 127, 1});
}

Test(aedat3, refused) {
  begin();
  put_text("#!AER-DAT3.0\r\n#!END-HEADER\r\n");
  expect_refused(0, "wanted the line #!AER-DAT3.1, found \"#!AER-DAT3.0\"");
  begin();
  put_text("#!AER-DAT3.1\r\n#Format: SerializedTS\r\n#!END-HEADER\r\n");
  expect_refused(0, "wanted a line \"#Format: RAW\" before it");
  begin();
  put_text("#!AER-DAT3.1\r\n#Format: RAW\r\n");
  expect_refused(0, "byte 28: wanted the line #!END-HEADER");
  put_header3();
  put_little(1, 2);
  expect_refused(0, "wanted a record of 28 bytes, found 2");
  put_header3();
  put_packet(1, 8, 0, 1, 2);
  expect_refused(0, "wanted a packet, found one of type 1");
  put_header3();
  put_packet(1, 9, 0, 1, 1);
  expect_refused(0,
                 "wanted polarity events of 8 bytes with time at 4, found 9");
  put_header3();
  put_packet(1, 8, 0, 2, 2);
  put_event3(1, 2, 1, 1, 10);
  put(7);
  expect_refused(1, "wanted a record of 8 bytes, found 1");
  put_header3();
  put_packet(0, 100, 0, 2, 2);
  put(7);
  expect_refused(0, "wanted 199 bytes more of a packet");
}

/* --- .dat ---------------------------------------------------------------------------- */

static void put_dat(uint32_t t, uint32_t place) {
  put_little(t, 4);
  put_little(place, 4);
}

Test(dat, version_2) {
  begin();
  put_text(
      "%% Data file containing CD events.\n%% Version 2\n%% Width 304\n"
      "%% Height 240\n%% end\n");
  put(12);
  put(8);
  put_dat(0xffffffff, 303 | 239 << 14 | 1 << 28);
  put_dat(3, 0x3fff | 0x3fff << 14);
  put_dat(1, 5 | 6 << 14 | 1 << 28);
  EXPECT("dat", 304, 240, {0xffffffff, 303, 239, 1},
         {0x100000003, 0x3fff, 0x3fff, 0}, {0x100000001, 5, 6, 1});
}

Test(dat, version_1) {
  begin();
  put_text("%% Version 1\n");
  put(0);
  put(8);
  put_dat(1, 303 | 239 << 9 | 1 << 17);
  put_dat(2, 1 | 255 << 9);
  EXPECT("dat", 0, 0, {1, 303, 239, 1}, {2, 1, 255, 0});
}

Test(dat, refused) {
  begin();
  put_text("%% Version 3\n");
  put(0);
  put(8);
  expect_refused(0, "wanted version 1 or 2 before it, found 3");
  begin();
  put_text("%% Version 2\n");
  put(14);
  put(8);
  expect_refused(0,
                 "byte 12: wanted event type 0 or 12 and 8 bytes an event, "
                 "found 14 and 8");
  begin();
  put_text("%% Version 2\n");
  expect_refused(0, "byte 12: wanted a record of 2 bytes, found 0");
  put(0);
  put(8);
  put_dat(1, 1);
  put_little(0, 7);
  expect_refused(1, "byte 22: wanted a record of 8 bytes, found 7");
}

/* --- EVT2 ----------------------------------------------------------------------------- */

static void put_evt2(unsigned type, unsigned low, unsigned x, unsigned y) {
  put_little(type << 28 | low << 22 | x << 11 | y, 4);
}

Test(evt2, words) {
  begin();
  put_text("%% evt 2.0\n%% geometry 1280x720\n");
  put_evt2(1, 5, 1, 1); /* has no time yet */
  put_little(8u << 28 | 3, 4);
  put_evt2(1, 5, 1279, 719);
  put_little(10u << 28 | 77, 4); /* a trigger */
  put_evt2(0, 63, 2, 3);
  put_evt2(0, 62, 2047, 2047);         /* out of order, off the sensor */
  put_little(8u << 28 | 0xfffffff, 4); /* the last tick, ...           */
  put_evt2(1, 1, 7, 8);
  put_little(8u << 28 | 0, 4); /* ... a wrap */
  put_evt2(1, 1, 7, 8);
  EXPECT("evt2", 1280, 720, {3 * 64 + 5, 1279, 719, 1}, {3 * 64 + 63, 2, 3, 0},
         {3 * 64 + 62, 2047, 2047, 0}, {0x3ffffffc1, 7, 8, 1},
         {0x400000001, 7, 8, 1});
}

Test(evt2, refused) {
  begin();
  put_text("%% evt 2.1\n");
  put_little(0, 4);
  expect_refused(0, "wanted EVT 2.0 or 3.0 in the header, found 2.1");
  begin();
  put_text("%% format EVT2;height=240;width=304\n%% end\n");
  put_little(8u << 28, 4);
  put_evt2(1, 5, 1, 1);
  put(1);
  expect_refused(1, "byte 49: wanted a record of 4 bytes, found 1");
}

/* --- EVT3 ----------------------------------------------------------------------------- */

static void put_evt3(unsigned type, unsigned value) {
  put_little(type << 12 | value, 2);
}

Test(evt3, words) {
  begin();
  put_text("%% format EVT3;height=720;width=1280\n%% end\n");
  put_evt3(2, 4); /* has no time yet */
  put_evt3(4, 0xfff);
  put_evt3(8, 1);
  put_evt3(0, 10);
  put_evt3(2, 1 << 11 | 4); /* TIME_LOW has not come: 0 */
  put_evt3(6, 100);
  put_evt3(2, 5);
  put_evt3(6, 99); /* a step back is none of a wrap */
  put_evt3(3, 1 << 11 | 20);
  put_evt3(4, 0x801);
  put_evt3(10, 1); /* a trigger */
  put_evt3(5, 0x82);
  put_evt3(4, 1);
  put_evt3(6, 4095);
  put_evt3(8, 2);
  put_evt3(0, 11);
  put_evt3(2, 6);
  EXPECT("evt3", 1280, 720, {4096, 4, 10, 1}, {4196, 5, 10, 0},
         {4195, 20, 10, 1}, {4195, 31, 10, 1}, {4195, 33, 10, 1},
         {4195, 39, 10, 1}, {4195, 40, 10, 1}, {8192, 6, 11, 0});
}

Test(evt3, clock_wraps_and_the_last_vector_comes_out) {
  begin();
  put_text("%% evt 3.0\n");
  put_evt3(8, 4095);
  put_evt3(6, 4095);
  put_evt3(2, 1);
  put_evt3(8, 0);
  put_evt3(6, 1);
  put_evt3(3, 0);
  put_evt3(5, 0xff);
  EXPECT("evt3", 0, 0, {0xffffff, 1, 0, 0}, {0x1000001, 0, 0, 0},
         {0x1000001, 1, 0, 0}, {0x1000001, 2, 0, 0}, {0x1000001, 3, 0, 0},
         {0x1000001, 4, 0, 0}, {0x1000001, 5, 0, 0}, {0x1000001, 6, 0, 0},
         {0x1000001, 7, 0, 0});
  put(1);
  expect_refused(9, "byte 24: wanted a record of 2 bytes, found 1");
}

/* --- Event Stream ---------------------------------------------------------------------- */

static void put_es_header(unsigned version, unsigned type) {
  begin();
  put_text("Event Stream");
  put(version);
  put(0);
  put(0);
  put(type);
  put_little(320, 2);
  put_little(240, 2);
}

static void put_es(unsigned step, unsigned p, unsigned x, unsigned y) {
  put(step << 1 | p);
  put_little(x, 2);
  put_little(y, 2);
}

Test(es, events) {
  put_es_header(2, 1);
  put_es(3, 1, 0, 239);
  put(0xff);
  put(0xfe);
  put(0xff);
  put_es(126, 0, 319, 0);
  put_es(0, 1, 320, 240); /* off the sensor */
  put(0xff);
  EXPECT("es", 320, 240, {3, 0, 0, 1}, {3 + 254 + 126, 319, 239, 0},
         {3 + 254 + 126, 320, 65535, 1});
}

Test(es, refused) {
  put_es_header(1, 1);
  expect_refused(0, "byte 0: wanted Event Stream 2, found 1.0.0");
  put_es_header(2, 2);
  expect_refused(0, "wanted events of type 1 (DVS), found type 2 (ATIS)");
  put_es_header(2, 1);
  file.size--;
  expect_refused(0, "byte 0: wanted a record of 20 bytes, found 19");
  put_es_header(2, 1);
  put_es(1, 1, 1, 1);
  put(0xff);
  put_little(2, 4);
  expect_refused(1, "byte 26: wanted a record of 5 bytes, found 4");
}

/* --- text ------------------------------------------------------------------------------- */

Test(text, lines) {
  begin();
  put_text(
      "# x y t p\n\nX,y,t,p\r\n1 2 3 1 # an event\n65535,0\t-4,  -1\n"
      " 7 8 0.0000125 0\n9 9 12.5 1");
  EXPECT("text", 0, 0, {3, 1, 2, 1}, {-4, 65535, 0, 0}, {13, 7, 8, 0},
         {12500000, 9, 9, 1});
}

Test(text, refused) {
  begin();
  put_text("t x y p\n1 2 3 1\n");
  expect_refused(0, "byte 0: line 1: wanted x y t p, found \"t x y p\"");
  const char *wrong[] = {"1 2 3",       "1 2 3 1 0", "65536 2 3 1",
                         "1 2 3 2",     "1 2 3x 1",  "1 -2 3 1",
                         "1 2 1.2.3 1", "x y t p",   "1 2 9e30. 1"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    begin();
    put_text("# comment\n1 2 3 1\n%s\n", wrong[i]);
    expect_refused(1, "byte 18: line 3: wanted x y t p, found \"");
  }
  begin();
  put_text("1 2 3 1\n");
  for (int i = 0; i < 2000; i++) put('1');
  expect_refused(1, "line 2: wanted x y t p, found more than 1024 characters");
}

/* --- more than one window of bytes --------------------------------------------------------- */

enum { MANY = 70000 };

static event many(size_t i) {
  return (event){(int64_t)(5 * i), (unsigned)(i % 101), (unsigned)(i % 97),
                 i & 1};
}

/* A whole file, and its chunks of 1000, from 300 KB of records. */
static void expect_many(const char *format) {
  surge_events all = {0};
  surge_events_info info;
  cr_assert_gt(file.size, (size_t)300 << 10);
  for (int from_memory = 0; from_memory < 2; from_memory++) {
    if (from_memory)
      read_from_memory(1000, &all, &info);
    else
      read_from_folder(&all, &info);
    cr_expect_str_eq(info.format, format);
    cr_assert_eq(all.count, MANY);
    for (size_t i = 0; i < MANY; i++) {
      event e = many(i);
      cr_assert(all.t[i] == e.t && all.x[i] == e.x && all.y[i] == e.y &&
                    all.p[i] == e.p,
                "%s: event %zu", format, i);
    }
  }
  surge_events_free(&all);
}

Test(many, nmnist) {
  begin();
  for (size_t i = 0; i < MANY; i++) {
    event e = many(i);
    put_nmnist(e.x, e.y, e.p, (uint32_t)e.t);
  }
  expect_many("nmnist");
}

Test(many, aedat3) {
  put_header3();
  for (size_t i = 0; i < MANY; i++) {
    event e = many(i);
    if (i % 7000 == 0) put_packet(1, 8, 0, 7000, 7000);
    put_event3(e.x, e.y, e.p, 1, (uint32_t)e.t);
  }
  expect_many("aedat3");
}

Test(many, evt3) {
  begin();
  put_text("%% evt 3.0\n");
  for (size_t i = 0; i < MANY; i++) {
    event e = many(i);
    put_evt3(8, (unsigned)(e.t >> 12));
    put_evt3(6, (unsigned)(e.t & 0xfff));
    put_evt3(0, e.y);
    put_evt3(3, e.p << 11 | (e.x & ~7u));
    put_evt3(5, 1u << (e.x & 7));
  }
  expect_many("evt3");
}

Test(many, es) {
  put_es_header(2, 1);
  for (size_t i = 0; i < MANY; i++) {
    event e = many(i);
    put_es(i > 0 ? 5 : 0, e.p, e.x, 239 - e.y);
  }
  expect_many("es");
}

Test(many, text) {
  begin();
  for (size_t i = 0; i < MANY; i++) {
    event e = many(i);
    put_text("%u %u %lld %u\n", e.x, e.y, (long long)e.t, e.p);
  }
  expect_many("text");
}

/* --- real files --------------------------------------------------------------------------- */

typedef struct sums {
  size_t count;
  event first, last;
  int64_t t, x, y, p;
} sums;

static void expect_sums(const char *name, sums wanted) {
  const char *folder = getenv("SURGE_TEST_DATA");
  if (!folder || !folder[0])
    cr_skip("SURGE_TEST_DATA names no folder of data sets");
  char path[4096];
  surge_events all = {0};
  snprintf(path, sizeof path, "%s/formats/%s", folder, name);
  if (access(path, R_OK) != 0) cr_skip("%s is not there", path);
  cr_assert_eq(surge_events_read(&all, NULL, path), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(all.count, wanted.count, "%zu events", all.count);
  expect_event(&all, 0, wanted.first, "first");
  expect_event(&all, all.count - 1, wanted.last, "last");
  sums s = {0};
  for (size_t i = 0; i < all.count; i++) {
    s.t += all.t[i];
    s.x += all.x[i];
    s.y += all.y[i];
    s.p += all.p[i];
  }
  cr_expect(
      s.t == wanted.t && s.x == wanted.x && s.y == wanted.y && s.p == wanted.p,
      "sums %lld %lld %lld %lld", (long long)s.t, (long long)s.x,
      (long long)s.y, (long long)s.p);
  surge_events_free(&all);
}

/* The numbers of scripts/check_events.py, which prints them in this form. */

Test(real, nmnist_as_tonic_1_6_0) {
  expect_sums("sample_nmnist.bin", (sums){4325,
                                          {654, 7, 15, 1},
                                          {311175, 21, 14, 1},
                                          690487405,
                                          74457,
                                          71931,
                                          2145});
}

Test(real, dat_as_expelliarmus_1_1_12) {
  expect_sums("sample_ncars.dat", (sums){2009,
                                         {0, 25, 8, 0},
                                         {99952, 75, 28, 1},
                                         98196680,
                                         93457,
                                         40463,
                                         1350});
}

Test(real, evt2_as_expelliarmus_1_1_12) {
  expect_sums("gen3_640x480_evt2.raw", (sums){521252,
                                              {913716224, 35, 443, 1},
                                              {913812095, 12, 471, 0},
                                              476298094656969,
                                              128979953,
                                              216346680,
                                              185861});
}

Test(real, es_as_event_stream_1_6_3) {
  expect_sums("dvs320x240.es", (sums){473225,
                                      {0, 0, 0, 1},
                                      {999000, 38, 193, 1},
                                      200862071000,
                                      72946016,
                                      56007796,
                                      270001});
}
