/* test_tensorboard.c - can TensorBoard read what is written?
 *
 * The file is taken apart by a reader of its own: TFRecord framing, a CRC-32C
 * bit by bit, and protobuf's wire format with the field numbers of
 * TensorFlow's event.proto and summary.proto. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "src/train/tensorboard.h"
#include "tests/support/folder.h"

TestSuite(tensorboard, .init = test_folder_make, .fini = test_folder_remove);

/* --- the reader ----------------------------------------------------------- */

static uint32_t crc32c(const uint8_t *bytes, size_t size) {
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t i = 0; i < size; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++)
      crc = crc & 1 ? crc >> 1 ^ 0x82F63B78u : crc >> 1;
  }
  return crc ^ 0xFFFFFFFFu;
}

static uint32_t unmask(uint32_t masked) {
  uint32_t rotated = masked - 0xA282EAD8u;
  return rotated >> 17 | rotated << 15;
}

typedef struct span {
  const uint8_t *at, *end;
} span;

static void take(span *from, void *value, size_t size) {
  cr_assert_geq((size_t)(from->end - from->at), size, "the file is cut off");
  memcpy(value, from->at, size);
  from->at += size;
}

/* The next record's bytes, both checks compared. */
static span take_record(span *file) {
  uint64_t length;
  uint32_t check;
  const uint8_t *start = file->at;
  take(file, &length, sizeof length);
  take(file, &check, sizeof check);
  cr_assert_eq(unmask(check), crc32c(start, 8), "check of the length");
  cr_assert_leq(length, (uint64_t)(file->end - file->at));
  span record = {file->at, file->at + length};
  file->at += length;
  take(file, &check, sizeof check);
  cr_assert_eq(unmask(check), crc32c(record.at, length), "check of the bytes");
  return record;
}

static uint64_t take_varint(span *from) {
  uint64_t value = 0;
  uint8_t byte = 0x80;
  for (int shift = 0; byte & 0x80; shift += 7) {
    cr_assert_lt(shift, 70);
    take(from, &byte, 1);
    value |= (uint64_t)(byte & 0x7F) << shift;
  }
  return value;
}

/* A field of a message: wire type 0 in `number`, 1 and 5 in `bits` as they are,
 * 2 in `bytes`. */
typedef struct field {
  uint32_t number;
  uint64_t bits;
  span bytes;
} field;

static field take_field(span *message) {
  uint64_t key = take_varint(message);
  field f = {.number = (uint32_t)(key >> 3)};
  switch (key & 7) {
    case 0: f.bits = take_varint(message); break;
    case 1: take(message, &f.bits, 8); break;
    case 5: take(message, &f.bits, 4); break;
    case 2: {
      uint64_t length = take_varint(message);
      cr_assert_leq(length, (uint64_t)(message->end - message->at));
      f.bytes = (span){message->at, message->at + length};
      message->at += length;
      break;
    }
    default: cr_assert_fail("wire type %d", (int)(key & 7));
  }
  return f;
}

static bool find(span message, uint32_t number, field *found) {
  while (message.at < message.end) {
    *found = take_field(&message);
    if (found->number == number) return true;
  }
  return false;
}

/* The field of that number; fails where it is absent. */
static field get(span message, uint32_t number) {
  field found = {0};
  cr_assert(find(message, number, &found), "field %u is missing", number);
  return found;
}

static double as_double(uint64_t bits) {
  double value;
  memcpy(&value, &bits, 8);
  return value;
}

static void expect_text(field f, const char *text) {
  size_t length = (size_t)(f.bytes.end - f.bytes.at);
  cr_expect_eq(length, strlen(text), "%s", text);
  if (length) cr_expect_arr_eq(f.bytes.at, text, strlen(text), "%s", text);
}

/* Packed doubles. */
static void expect_doubles(field f, const double *values, size_t count) {
  cr_assert_eq((size_t)(f.bytes.end - f.bytes.at), count * sizeof *values);
  cr_expect_arr_eq(f.bytes.at, values, count * sizeof *values);
}

/* The one event file in the folder. */
static void find_event_file(char path[TEST_PATH]) {
  DIR *folder = opendir(test_folder());
  int found = 0;
  for (struct dirent *entry; (entry = readdir(folder));) {
    if (entry->d_name[0] == '.') continue;
    snprintf(path, TEST_PATH, "%s", test_path(entry->d_name));
    found++;
  }
  closedir(folder);
  cr_assert_eq(found, 1, "%d files in the folder", found);
}

/* --- questions ------------------------------------------------------------ */

Test(tensorboard, check_is_crc32c) {
  cr_expect_eq(crc32c((const uint8_t *)"123456789", 9), 0xE3069283u);
}

Test(tensorboard, events_come_back) {
  static const double edges[3] = {-1.5, 0, 2e300}, counts[3] = {4, 0, 3};
  surge_tensorboard *board;
  time_t before = time(NULL);
  cr_assert_eq(surge_tensorboard_open(&board, test_folder()), SURGE_OK, "%s",
               surge_last_error());
  char tag[300];
  memset(tag, 'x', sizeof tag - 1);
  tag[sizeof tag - 1] = 0;
  const struct {
    const char *tag;
    int64_t step;
    double value;
  } scalars[] = {{"train/loss", 0, 2.302585},
                 {"", 1, 0.0},
                 {tag, 1ll << 40, -1e-30},
                 {"rate/neuron1", 3, (double)NAN}};
  enum { SCALARS = sizeof scalars / sizeof *scalars };
  for (size_t k = 0; k < SCALARS; k++)
    cr_assert_eq(surge_tensorboard_scalar(board, scalars[k].tag,
                                          scalars[k].step, scalars[k].value),
                 SURGE_OK);
  cr_assert_eq(surge_tensorboard_histogram(board, "u/neuron1", 9, 3, edges,
                                           counts, -2, 1e300, 5.5, 0.25),
               SURGE_OK);
  cr_assert_eq(surge_tensorboard_flush(board), SURGE_OK);

  char path[TEST_PATH]; /* read before it is closed: TensorBoard does, too */
  size_t size;
  find_event_file(path);
  uint8_t *bytes = test_read_file(path, &size);
  span file = {bytes, bytes + size};
  span event = take_record(&file);
  expect_text(get(event, 3), "brain.Event:2");
  double time_of_event = as_double(get(event, 1).bits);
  cr_expect(time_of_event >= (double)before &&
            time_of_event <= (double)time(NULL) + 1);
  for (size_t k = 0; k < SCALARS; k++) {
    event = take_record(&file);
    cr_expect_geq(as_double(get(event, 1).bits), time_of_event);
    if (scalars[k].step)
      cr_expect_eq((int64_t)get(event, 2).bits, scalars[k].step);
    else
      cr_expect(!find(event, 2, &(field){0}), "an absent step means 0");
    span value = get(get(event, 5).bytes, 1).bytes;
    if (scalars[k].tag[0]) expect_text(get(value, 1), scalars[k].tag);
    uint32_t found = (uint32_t)get(value, 2).bits, wanted;
    float single = (float)scalars[k].value;
    memcpy(&wanted, &single, 4);
    cr_expect_eq(found, wanted, "scalar %zu", k);
  }
  event = take_record(&file);
  cr_expect_eq(get(event, 2).bits, 9);
  span value = get(get(event, 5).bytes, 1).bytes;
  expect_text(get(value, 1), "u/neuron1");
  span histogram = get(value, 5).bytes;
  const double wanted[] = {-2, 1e300, 7, 5.5, 0.25};
  for (uint32_t k = 0; k < 5; k++)
    cr_expect_eq(as_double(get(histogram, k + 1).bits), wanted[k], "field %u",
                 k + 1);
  expect_doubles(get(histogram, 6), edges, 3);
  expect_doubles(get(histogram, 7), counts, 3);
  cr_expect(file.at == file.end, "more was written");
  free(bytes);
  surge_tensorboard_close(board);
}

/* The value of a hyper-parameter, a google.protobuf.Value. */
static span hparam(span session, const char *key) {
  while (session.at < session.end) {
    field entry = take_field(&session), name = get(entry.bytes, 1);
    cr_assert_eq(entry.number, 1);
    size_t length = (size_t)(name.bytes.end - name.bytes.at);
    if (length == strlen(key) && !memcmp(name.bytes.at, key, length))
      return get(entry.bytes, 2).bytes;
  }
  cr_assert_fail("%s is missing", key);
  return session;
}

Test(tensorboard, recipe_comes_back) {
  surge_tensorboard *board;
  surge_recipe recipe;
  char path[TEST_PATH];
  size_t size;
  surge_recipe_defaults(&recipe);
  recipe.T = 6;
  recipe.optim.lr = 0.0625f;
  cr_assert_eq(surge_tensorboard_open(&board, test_folder()), SURGE_OK);
  cr_assert_eq(surge_tensorboard_recipe(board, &recipe), SURGE_OK, "%s",
               surge_last_error());
  surge_tensorboard_close(board);
  find_event_file(path);
  uint8_t *bytes = test_read_file(path, &size);
  span file = {bytes, bytes + size};
  take_record(&file);
  span value = get(get(take_record(&file), 5).bytes, 1).bytes;
  expect_text(get(value, 1), "_hparams_/session_start_info");
  span plugin = get(get(value, 9).bytes, 1).bytes;
  expect_text(get(plugin, 1), "hparams");
  span session = get(get(plugin, 2).bytes, 3).bytes;
  cr_expect_eq(as_double(get(hparam(session, "T"), 2).bits), 6);
  cr_expect_eq(as_double(get(hparam(session, "optim.lr"), 2).bits), 0.0625);
  cr_expect_eq(as_double(get(hparam(session, "pda.weight"), 2).bits), 0,
               "a 0 is written, too");
  cr_expect_eq(get(hparam(session, "neuron.detach_reset"), 4).bits, 1);
  cr_expect_eq(get(hparam(session, "data.flip"), 4).bits, 0);
  expect_text(get(hparam(session, "surrogate.family"), 3), "rectangular");
  expect_text(get(hparam(session, "data.path"), 3), "\"\""); /* as in YAML */
  free(bytes);
  surge_recipe_free(&recipe);
}

/* events.out.tfevents.<seconds>.<host> */
Test(tensorboard, file_has_the_name_that_is_looked_for) {
  surge_tensorboard *board;
  long long before = (long long)time(NULL), seconds = 0;
  cr_assert_eq(surge_tensorboard_open(&board, test_folder()), SURGE_OK);
  surge_tensorboard_close(board);
  char path[TEST_PATH], host[256] = "", named[256] = "";
  find_event_file(path);
  gethostname(host, sizeof host - 1);
  cr_assert_eq(sscanf(strrchr(path, '/'), "/events.out.tfevents.%lld.%255s",
                      &seconds, named),
               2, "%s", path);
  cr_expect(seconds >= before && seconds <= before + 60, "%lld", seconds);
  cr_expect_str_eq(named, host);
}

Test(tensorboard, names_places_it_cannot_write_to) {
  surge_tensorboard *board;
  cr_expect_eq(surge_tensorboard_open(&board, test_path("none")),
               SURGE_ERROR_DATA);
  cr_expect(board == NULL);
  cr_expect(strstr(surge_last_error(), "/none/events.out.tfevents.") &&
                strstr(surge_last_error(), strerror(ENOENT)),
            "%s", surge_last_error());
  surge_tensorboard_close(NULL);

  struct rlimit old, small;
  char path[TEST_PATH];
  cr_assert_eq(surge_tensorboard_open(&board, test_folder()), SURGE_OK);
  find_event_file(path);
  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &old);
  small = (struct rlimit){.rlim_cur = 20, .rlim_max = old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  cr_expect_eq(surge_tensorboard_flush(board), SURGE_ERROR_DATA);
  setrlimit(RLIMIT_FSIZE, &old);
  cr_expect(strstr(surge_last_error(), path) &&
                strstr(surge_last_error(), strerror(EFBIG)),
            "%s", surge_last_error());
  surge_tensorboard_close(board);
}
