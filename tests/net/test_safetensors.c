/* test_safetensors.c - does a checkpoint come back as it was, does a damaged
 * one get refused, and does a failed write leave the old file whole? */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <surge/checkpoint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/folder.h"
#include "tests/support/support.h"

TestSuite(safetensors, .init = test_folder_make, .fini = test_folder_remove);

/* --- a file with every type, odd sizes and awkward names ------------------ */

static const uint8_t bytes_3[3] = {1, 2, 255};
static const float floats_6[6] = {1, -2.5f, 0, 3e38f, -0.f, 1e-45f};
static const double doubles_2[2] = {1e308, -1e-308};
static const int32_t ints_1[1] = {INT32_MIN};
static const int64_t longs_2[2] = {INT64_MIN, INT64_MAX};
static const uint32_t words_5[5] = {0, 1, 2, 3, UINT32_MAX};
static const uint64_t wide_1[1] = {UINT64_MAX};

static const surge_named_tensor all_types[] = {
    {"u8", SURGE_U8, 1, {3}, bytes_3},
    {"conv1.weight", SURGE_F32, 2, {2, 3}, floats_6},
    {"f64", SURGE_F64, 1, {2}, doubles_2},
    {"scalar", SURGE_I32, 0, {0}, ints_1},
    {"empty", SURGE_F64, 3, {4, 0, 2}, NULL},
    {"i64", SURGE_I64, 6, {1, 1, 2, 1, 1, 1}, longs_2},
    {"u32", SURGE_U32, 1, {5}, words_5},
    {"quote \" slash \\ tab \t umlaut \xc3\xbc", SURGE_U64, 1, {1}, wide_1},
};
enum { TENSORS = sizeof all_types / sizeof all_types[0] };

static const surge_text_pair texts[] = {
    {"recipe", "T: 4\nname: \"x\"\n"}, {"", ""}, {"epoch", "7"}};
enum { TEXTS = sizeof texts / sizeof texts[0] };

static void write_all_types(const char *path) {
  cr_assert_eq(surge_safetensors_write(path, all_types, TENSORS, texts, TEXTS),
               SURGE_OK, "%s", surge_last_error());
}

static void expect_all_types(const char *path, const char *name) {
  surge_safetensors file;
  cr_assert_eq(surge_safetensors_read(&file, path), SURGE_OK, "%s: %s", name,
               surge_last_error());
  cr_assert_eq(file.tensor_count, TENSORS, "%s", name);
  for (size_t i = 0; i < TENSORS; i++) {
    const surge_named_tensor *a = &all_types[i], *b = &file.tensors[i];
    size_t bytes = surge_named_tensor_bytes(a);
    cr_expect_str_eq(b->name, a->name, "%s", name);
    cr_expect_eq(b->dtype, a->dtype, "%s: %s", name, a->name);
    cr_assert_eq(b->rank, a->rank, "%s: %s", name, a->name);
    cr_expect_arr_eq(b->shape, a->shape, (size_t)a->rank * sizeof(int64_t));
    cr_assert_eq(surge_named_tensor_bytes(b), bytes, "%s: %s", name, a->name);
    if (bytes) cr_expect_arr_eq(b->data, a->data, bytes, "%s", a->name);
    cr_expect(surge_safetensors_find(&file, a->name) == b, "%s", a->name);
  }
  cr_assert_eq(file.metadata_count, TEXTS, "%s", name);
  for (size_t i = 0; i < TEXTS; i++) {
    cr_expect_str_eq(file.metadata[i].key, texts[i].key);
    cr_expect_str_eq(surge_safetensors_text(&file, texts[i].key),
                     texts[i].value);
  }
  cr_expect(surge_safetensors_find(&file, "conv1") == NULL);
  cr_expect(surge_safetensors_text(&file, "Epoch") == NULL);
  surge_safetensors_free(&file);
  cr_expect(!file.tensors && !file.metadata && !file.bytes);
}

Test(safetensors, comes_back_as_it_was) {
  const char *path = test_path("all.safetensors");
  for (int again = 0; again < 2; again++) { /* also over an older file */
    write_all_types(path);
    expect_all_types(path, "all types");
    cr_expect(access(test_path("all.safetensors.tmp"), F_OK) != 0,
              "the file beside was left");
  }
  cr_assert_eq(surge_safetensors_write(path, NULL, 0, NULL, 0), SURGE_OK);
  surge_safetensors file;
  cr_assert_eq(surge_safetensors_read(&file, path), SURGE_OK, "%s",
               surge_last_error());
  cr_expect(file.tensor_count == 0 && file.metadata_count == 0);
  surge_safetensors_free(&file);
}

/* The bytes of a small file, written out by hand from the format's text: the
 * wide type's data first, the header padded by spaces to a multiple of 8. */
Test(safetensors, has_the_published_layout) {
  static const char header[] =
      "{\"__metadata__\":{\"k\":\"v\"},"
      "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[8,9]},"
      "\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]}}";
  static const float a[2] = {1, -2};
  static const uint8_t b = 77;
  static const uint8_t data[] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 77};
  const surge_named_tensor tensors[] = {{"b", SURGE_U8, 1, {1}, &b},
                                        {"a", SURGE_F32, 2, {2, 1}, a}};
  const surge_text_pair pair = {"k", "v"};
  const char *path = test_path("x");
  cr_assert_eq(surge_safetensors_write(path, tensors, 2, &pair, 1), SURGE_OK,
               "%s", surge_last_error());
  size_t size, length = sizeof header - 1, padded = (length + 7) / 8 * 8;
  uint8_t *bytes = test_read_file(path, &size);
  cr_assert_eq(size, 8 + padded + sizeof data);
  cr_expect_eq(bytes[0], padded);
  for (int i = 1; i < 8; i++) cr_expect_eq(bytes[i], 0);
  cr_expect_arr_eq(bytes + 8, header, length, "%.*s", (int)padded, bytes + 8);
  for (size_t i = length; i < padded; i++) cr_expect_eq(bytes[8 + i], ' ');
  cr_expect_arr_eq(bytes + 8 + padded, data, sizeof data);
  free(bytes);
}

/* --- damage --------------------------------------------------------------- */

/* Writes a file of this header and so many bytes of data. */
static void write_raw(const char *path, uint64_t header_size,
                      const char *header, size_t length, size_t data) {
  uint8_t *bytes = calloc(1, 8 + length + data + 1);
  memcpy(bytes, &header_size, 8);
  memcpy(bytes + 8, header, length);
  test_write_file(path, bytes, 8 + length + data);
  free(bytes);
}

static void expect_refused(const char *path, const char *found,
                           const char *name) {
  surge_safetensors file;
  surge_status status = surge_safetensors_read(&file, path);
  const char *text = surge_last_error();
  cr_assert_eq(status, SURGE_ERROR_DATA, "%s: status %d: %s", name, (int)status,
               text);
  cr_expect(strstr(text, path) == text, "%s: no path in: %s", name, text);
  cr_expect(strstr(text, found) != NULL, "%s: '%s' is not in: %s", name, found,
            text);
  cr_expect(!file.tensors && !file.metadata && !file.bytes,
            "%s: a refused file is not empty", name);
}

#define F32_2(name, from, to)                                                  \
  "\"" name                                                                    \
  "\":{\"dtype\":\"F32\",\"shape\":[2],"                                       \
  "\"data_offsets\":[" #from "," #to "]}"
#define T(dtype, shape, offsets)                                               \
  "{\"t\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets  \
  "}}"

Test(safetensors, refuses_wrong_headers) {
  static const struct {
    const char *header;
    size_t data;
    const char *found;
  } cases[] = {
      {"", 0, "header: wanted a JSON object"},
      {"[]", 0, "header: wanted a JSON object"},
      {"{", 0, "header: wanted a JSON object"},
      {"{}x", 0, "header: wanted a JSON object"},
      {"{} {}", 0, "header: wanted a JSON object"},
      {"{\"a\":1e}", 0, "header: wanted a JSON object"},
      {"{}", 1, "wanted 0 bytes of data, as its tensors need, found 1"},
      {"{\"t\":3}", 0, "tensor 't': wanted an object"},
      {"{\"t\":[]}", 0, "tensor 't': wanted an object"},
      {"{\"t\":{}}", 0, "tensor 't': dtype: wanted a text"},
      {T("3", "[2]", "[0,8]"), 8, "tensor 't': dtype: wanted a text"},
      {T("\"F16\"", "[4]", "[0,8]"), 8,
       "dtype: wanted one of F32 F64 I32 I64 U8 U32 U64 BF16, found 'F16'"},
      {T("\"f32\"", "[2]", "[0,8]"), 8, "found 'f32'"},
      {T("\"F32\"", "2", "[0,8]"), 8, "shape: wanted a list of at most 6"},
      {T("\"F32\"", "[1,1,1,1,1,1,2]", "[0,8]"), 8, "list of at most 6"},
      {T("\"F32\"", "[1,-2]", "[0,8]"), 8, "shape[1]: wanted a whole number"},
      {T("\"F32\"", "[2.5]", "[0,8]"), 8, "shape[0]: wanted a whole number"},
      {T("\"F32\"", "[1e300]", "[0,8]"), 8, "shape[0]: wanted a whole number"},
      {T("\"F32\"", "[1e999]", "[0,8]"), 8, "shape[0]: wanted a whole number"},
      {T("\"F32\"", "[\"2\"]", "[0,8]"), 8, "shape[0]: wanted a whole number"},
      {T("\"F32\"", "[4503599627370496,4503599627370496,2]", "[0,8]"), 8,
       "wanted the bytes of its shape and type, found 8"},
      {T("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0,
       "wanted the bytes of its shape and type, found 0"},
      {T("\"F32\"", "[3]", "[0,8]"), 8, "its shape and type, found 8"},
      {T("\"F32\"", "[2]", "8"), 8, "data_offsets: wanted two whole"},
      {T("\"F32\"", "[2]", "[0]"), 8, "data_offsets: wanted two whole"},
      {T("\"F32\"", "[2]", "[0,8,8]"), 8, "data_offsets: wanted two whole"},
      {T("\"F32\"", "[2]", "[-8,0]"), 8, "data_offsets: wanted two whole"},
      {T("\"F32\"", "[2]", "[0,8]"), 7,
       "within the 7 bytes of data, found 0 to 8"},
      {T("\"F32\"", "[2]", "[8,0]"), 8,
       "within the 8 bytes of data, found 8 to 0"},
      {T("\"F32\"", "[2]", "[9007199254740984,9007199254740992]"), 8,
       "within the 8 bytes of data"},
      {T("\"F32\"", "[2]", "[2,10]"), 10, "wanted a multiple of 4, found 2"},
      {T("\"F32\"", "[2]", "[0,8]"), 9, "wanted 8 bytes of data, as its"},
      {T("\"F32\"", "[2]", "[4,12]"), 12,
       "wanted its data at byte 0, right behind the tensor before, found"},
      {"{" F32_2("a", 0, 8) "," F32_2("b", 4, 12) "}", 12,
       "tensor 'b': wanted its data at byte 8"},
      {"{" F32_2("a", 0, 8) "," F32_2("b", 0, 8) "}", 8,
       "wanted its data at byte 8"},
      {"{" F32_2("a", 0, 8) "," F32_2("b", 12, 20) "}", 20,
       "tensor 'b': wanted its data at byte 8"},
      {"{" F32_2("a", 0, 8) "," F32_2("a", 8, 16) "}", 16,
       "tensor 'a' stands in the header twice"},
      {"{" F32_2("a", 0, 8) "," F32_2("b", 8, 16) "," F32_2("a", 16, 24) "}",
       24, "tensor 'a' stands in the header twice"},
      {"{\"__metadata__\":3}", 0, "__metadata__: wanted one object"},
      {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "wanted one object"},
      {"{\"__metadata__\":{\"k\":1}}", 0, "__metadata__: 'k': wanted a text"},
  };
  const char *path = test_path("x.safetensors");
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    const char *header = cases[k].header;
    write_raw(path, strlen(header), header, strlen(header), cases[k].data);
    expect_refused(path, cases[k].found, header);
    expect_refused(path, ": damaged checkpoint: ", header);
  }
  write_raw(path, 5, "{\0} \0", 5, 0);
  expect_refused(path, "header: wanted a JSON object", "a 0 in the header");
}

/* Files of others may name data in any order and need not pad their header. */
Test(safetensors, reads_what_others_write) {
  static const char header[] =
      " {" F32_2("b", 8, 16) "," F32_2("a", 0, 8) ","
      "\"e\":{\"data_offsets\":[8,8],\"shape\":[0],\"dtype\":\"I64\"}}\n ";
  const char *path = test_path("x.safetensors");
  write_raw(path, sizeof header - 1, header, sizeof header - 1, 16);
  surge_safetensors file;
  cr_assert_eq(surge_safetensors_read(&file, path), SURGE_OK, "%s",
               surge_last_error());
  cr_assert_eq(file.tensor_count, 3);
  cr_expect_str_eq(file.tensors[0].name, "b");
  cr_expect((const uint8_t *)file.tensors[0].data -
                (const uint8_t *)file.tensors[1].data ==
            8);
  surge_safetensors_free(&file);
}

Test(safetensors, refuses_wrong_sizes) {
  const char *path = test_path("x.safetensors");
  static const struct {
    uint64_t size;
    const char *found;
  } cases[] = {{3, "wanted at most 2 bytes, found 3"},
               {UINT64_MAX, "found 18446744073709551615"},
               {UINT64_MAX - 7, "wanted at most 2 bytes"},
               {100000001, "wanted at most 2 bytes, found 100000001"}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    write_raw(path, cases[k].size, "{}", 2, 0);
    expect_refused(path, cases[k].found, "header size");
  }
  /* A file as large as it says, of holes: the limit of 100 MB holds too. */
  write_raw(path, 100000001, "{}", 2, 0);
  cr_assert_eq(truncate(path, 200000000), 0);
  expect_refused(path, "wanted at most 100000000 bytes, found 100000001",
                 "header size");
  remove(path);
  expect_refused(path, "No such file", "missing");
  mkdir(path, 0777);
  expect_refused(path, "found a folder", "folder");
}

Test(safetensors, refuses_every_truncation) {
  const char *path = test_path("all.safetensors");
  size_t size;
  write_all_types(path);
  uint8_t *bytes = test_read_file(path, &size);
  for (size_t n = 0; n < size; n++) {
    test_write_file(path, bytes, n);
    expect_refused(path, ": damaged checkpoint: ", "truncated");
  }
  bytes = realloc(bytes, size + 1);
  bytes[size] = 0;
  test_write_file(path, bytes, size + 1);
  expect_refused(path, "bytes of data, as its tensors need", "too long");
  free(bytes);
}

/* Uses all that a reader gave: reads each byte and each string of it. */
static uint64_t touch(const surge_safetensors *file) {
  uint64_t sum = 0;
  for (size_t i = 0; i < file->tensor_count; i++) {
    const surge_named_tensor *t = &file->tensors[i];
    const uint8_t *data = t->data;
    sum += strlen(t->name);
    for (size_t k = 0; k < surge_named_tensor_bytes(t); k++) sum += data[k];
  }
  for (size_t i = 0; i < file->metadata_count; i++)
    sum += strlen(file->metadata[i].key) + strlen(file->metadata[i].value);
  return sum;
}

/* One to four bytes of the header changed, by Philox: refused as damaged, or
 * read and whole. Run under the sanitizers, this finds what the cases missed.
 */
Test(safetensors, survives_flipped_bytes) {
  enum { ROUNDS = 2000 };
  const char *path = test_path("all.safetensors");
  static const char likely[] = "{}[]\",:0123456789-+.eE\\u \0\xff";
  size_t size;
  write_all_types(path);
  uint8_t *bytes = test_read_file(path, &size);
  size_t end = 8 + bytes[0] + 256u * bytes[1];
  int read = 0;
  for (uint64_t round = 0; round < ROUNDS; round++) {
    uint8_t *changed = malloc(size);
    memcpy(changed, bytes, size);
    int flips = 1 + (int)test_uniform(round, 0, 0, 4);
    for (size_t k = 1; k <= 3 * (size_t)flips; k += 3) {
      size_t at = (size_t)test_uniform(round, k, 0, (float)end);
      bool any = test_uniform(round, k + 1, 0, 2) < 1;
      float pick = test_uniform(round, k + 2, 0, any ? 256 : sizeof likely);
      changed[at] = any ? (uint8_t)pick : (uint8_t)likely[(size_t)pick];
    }
    test_write_file(path, changed, size);
    free(changed);
    surge_safetensors file;
    surge_status status = surge_safetensors_read(&file, path);
    if (status == SURGE_OK) {
      cr_expect_gt(touch(&file), 0);
      read++;
    } else {
      cr_expect_eq(status, SURGE_ERROR_DATA);
      cr_expect(strstr(surge_last_error(), "damaged checkpoint") != NULL, "%s",
                surge_last_error());
    }
    surge_safetensors_free(&file);
  }
  cr_expect(read > 0 && read < ROUNDS / 2, "%d of the files were read", read);
  free(bytes);
}

/* --- writing that fails --------------------------------------------------- */

static void expect_unwritten(const char *path, int fault, const char *name) {
  surge_status status =
      surge_safetensors_write(path, all_types, TENSORS, NULL, 0);
  const char *text = surge_last_error();
  cr_expect_eq(status, SURGE_ERROR_DATA, "%s: status %d", name, (int)status);
  cr_expect(strstr(text, path) == text, "%s: no path in: %s", name, text);
  cr_expect(strstr(text, strerror(fault)) != NULL, "%s: '%s' is not in: %s",
            name, strerror(fault), text);
}

Test(safetensors, names_places_it_cannot_write_to) {
  test_write_file(test_path("file"), "x", 1);
  mkdir(test_path("taken"), 0777);
  test_write_file(test_path("taken/x"), "x", 1);
  mkdir(test_path("beside.tmp"), 0777);
  expect_unwritten(test_path("none/x"), ENOENT, "no folder");
  expect_unwritten(test_path("file/x"), ENOTDIR, "a file as a folder");
  expect_unwritten(test_path("taken"), EISDIR, "the name of a folder");
  cr_expect(access(test_path("taken.tmp"), F_OK) != 0, "taken.tmp was left");
  expect_unwritten(test_path("beside"), EISDIR, "path.tmp is a folder");
}

Test(safetensors, names_a_folder_that_is_read_only) {
  mkdir(test_path("locked"), 0555);
  if (geteuid() == 0) { /* root may write anywhere: be another user */
    chmod(test_folder(), 0755);
    if (seteuid(65534) != 0) {
      test_folder_remove();
      cr_skip("root may write into any folder, and cannot be another user");
    }
  }
  expect_unwritten(test_path("locked/x"), EACCES, "read-only folder");
  cr_assert_eq(seteuid(getuid()), 0);
}

/* The disk is full (a device that always is, in the place of the file beside)
 * or the file grows beyond what is allowed: the old file stays whole. */
Test(safetensors, keeps_the_old_file_where_the_disk_is_full) {
  const char *path = test_path("x.safetensors");
  write_all_types(path);
  cr_assert_eq(symlink("/dev/full", test_path("x.safetensors.tmp")), 0);
  expect_unwritten(path, ENOSPC, "/dev/full");
  expect_all_types(path, "after /dev/full");
  cr_expect(access(test_path("x.safetensors.tmp"), F_OK) != 0,
            "a rest is left");

  struct rlimit old, small;
  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &old);
  for (rlim_t limit = 0; limit < 640; limit += 128) {
    small = (struct rlimit){.rlim_cur = limit, .rlim_max = old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    expect_unwritten(path, EFBIG, "file size limit");
    setrlimit(RLIMIT_FSIZE, &old);
    expect_all_types(path, "after the file size limit");
    cr_expect(access(test_path("x.safetensors.tmp"), F_OK) != 0,
              "a rest is left");
  }
}

/* The file beside is written to the end before the name changes hands: a rest
 * of a run that was killed does no harm. */
Test(safetensors, writes_over_a_rest) {
  const char *path = test_path("x.safetensors");
  uint8_t rest[4096] = {0};
  test_write_file(test_path("x.safetensors.tmp"), rest, sizeof rest);
  write_all_types(path);
  expect_all_types(path, "over a rest");
}

Test(safetensors, refuses_what_no_reader_takes) {
  const surge_named_tensor cases[][2] = {
      {{"a", SURGE_F32, 1, {2}, floats_6}, {"a", SURGE_U8, 1, {3}, bytes_3}},
      {{"a", SURGE_F32, 1, {2}, floats_6},
       {"__metadata__", SURGE_U8, 1, {3}, bytes_3}},
      {{"a", SURGE_F32, 1, {2}, floats_6}, {"b", SURGE_U8, 1, {-3}, bytes_3}},
      {{"a", SURGE_F32, 1, {2}, floats_6}, {"b", SURGE_U8, 7, {1}, bytes_3}},
      {{"a", SURGE_F32, 1, {2}, floats_6},
       {"b", (surge_dtype)8, 1, {1}, bytes_3}},
  };
  const char *path = test_path("x");
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    cr_expect_eq(surge_safetensors_write(path, cases[k], 2, NULL, 0),
                 SURGE_ERROR_INTERNAL, "case %zu", k);
    cr_expect(access(path, F_OK) != 0, "case %zu: something was written", k);
  }
}
