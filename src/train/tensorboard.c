/* tensorboard.c - an event file, record by record.
 *
 * A record of the TFRecord format is: u64 length, u32 check of the length, the
 * bytes, u32 check of the bytes; little-endian. A check is a CRC-32C, rotated
 * and offset ("masked") so that the check of a check is not trivial. */
#include "src/train/tensorboard.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "event.pb-c.h"
#include "src/config/keys.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "tensorboard.c writes numbers as they are in memory");

struct surge_tensorboard {
  FILE *file;
  char *path;
  uint8_t *record; /* scratch, grows to the longest event so far */
  size_t room;
  uint32_t crc_of_byte[256];
};

/* --- framing -------------------------------------------------------------- */

/* CRC-32C: Castagnoli's polynomial, bits reversed. */
static void fill_crc_table(uint32_t table[256]) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++)
      crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
    table[byte] = crc;
  }
}

static uint32_t masked_crc(const uint32_t table[256], const void *bytes,
                           size_t size) {
  const uint8_t *b = bytes;
  uint32_t crc = ~0u;
  for (size_t i = 0; i < size; i++) crc = table[(crc ^ b[i]) & 0xFF] ^ crc >> 8;
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

static surge_status fail_write(const surge_tensorboard *board) {
  return SURGE_FAIL(SURGE_ERROR_DATA, "%s: not written: %s", board->path,
                    strerror(errno));
}

static surge_status put_record(surge_tensorboard *board, const void *bytes,
                               size_t size) {
  uint64_t length = size;
  uint32_t length_check =
      masked_crc(board->crc_of_byte, &length, sizeof length);
  uint32_t check = masked_crc(board->crc_of_byte, bytes, size);
  bool ok = fwrite(&length, sizeof length, 1, board->file) == 1 &&
            fwrite(&length_check, sizeof length_check, 1, board->file) == 1 &&
            fwrite(bytes, 1, size, board->file) == size &&
            fwrite(&check, sizeof check, 1, board->file) == 1;
  return ok ? SURGE_OK : fail_write(board);
}

/* Stamps the event with the time of the clock, encodes and appends it. */
static surge_status put_event(surge_tensorboard *board,
                              SurgeEvent__Event *event) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  event->wall_time = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
  size_t size = surge_event__event__get_packed_size(event);
  if (size > board->room) {
    uint8_t *grown = realloc(board->record, size);
    if (!grown)
      return SURGE_FAIL(SURGE_ERROR_DEVICE,
                        "%s: wanted memory for an event of %zu bytes, found "
                        "less",
                        board->path, size);
    board->record = grown;
    board->room = size;
  }
  surge_event__event__pack(event, board->record);
  return put_record(board, board->record, size);
}

/* --- opening and closing -------------------------------------------------- */

/* "folder/events.out.tfevents.<seconds>.<host>", malloc'ed, or NULL. */
static char *event_path(const char *folder) {
  char host[256] = "";
  if (gethostname(host, sizeof host - 1) != 0 || !host[0])
    snprintf(host, sizeof host, "localhost");
  char *path = NULL;
  if (asprintf(&path, "%s/events.out.tfevents.%lld.%s", folder,
               (long long)time(NULL), host) < 0)
    return NULL;
  return path;
}

surge_status surge_tensorboard_open(surge_tensorboard **board,
                                    const char *folder) {
  *board = NULL;
  surge_tensorboard *made = calloc(1, sizeof *made);
  char *path = event_path(folder);
  if (!made || !path) {
    free(made);
    free(path);
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory", folder);
  }
  made->path = path;
  fill_crc_table(made->crc_of_byte);
  made->file = fopen(path, "ab");
  surge_status status;
  if (made->file) {
    char version[] = "brain.Event:2";
    SurgeEvent__Event event = SURGE_EVENT__EVENT__INIT;
    event.what_case = SURGE_EVENT__EVENT__WHAT_FILE_VERSION;
    event.file_version = version;
    status = put_event(made, &event);
  } else {
    status = fail_write(made);
  }
  if (status == SURGE_OK)
    *board = made;
  else
    surge_tensorboard_close(made);
  return status;
}

void surge_tensorboard_close(surge_tensorboard *board) {
  if (!board) return;
  if (board->file) fclose(board->file);
  free(board->record);
  free(board->path);
  free(board);
}

surge_status surge_tensorboard_flush(surge_tensorboard *board) {
  if (fflush(board->file) != 0 || fsync(fileno(board->file)) != 0)
    return fail_write(board);
  return SURGE_OK;
}

/* --- events --------------------------------------------------------------- */

/* An event of one value. protobuf-c's fields are not const, but it only reads
 * what it packs. */
static surge_status put_value(surge_tensorboard *board, const char *tag,
                              int64_t step, SurgeEvent__Value *value) {
  value->tag = (char *)tag;
  SurgeEvent__Summary summary = SURGE_EVENT__SUMMARY__INIT;
  summary.n_value = 1;
  summary.value = &value;
  SurgeEvent__Event event = SURGE_EVENT__EVENT__INIT;
  event.step = step;
  event.what_case = SURGE_EVENT__EVENT__WHAT_SUMMARY;
  event.summary = &summary;
  return put_event(board, &event);
}

surge_status surge_tensorboard_scalar(surge_tensorboard *board, const char *tag,
                                      int64_t step, double scalar) {
  SurgeEvent__Value value = SURGE_EVENT__VALUE__INIT;
  value.value_case = SURGE_EVENT__VALUE__VALUE_SIMPLE_VALUE;
  value.simple_value = (float)scalar;
  return put_value(board, tag, step, &value);
}

surge_status surge_tensorboard_histogram(surge_tensorboard *board,
                                         const char *tag, int64_t step,
                                         size_t bins, const double *right_edge,
                                         const double *count, double min,
                                         double max, double sum,
                                         double sum_squares) {
  SurgeEvent__Histogram histogram = SURGE_EVENT__HISTOGRAM__INIT;
  histogram.min = min;
  histogram.max = max;
  for (size_t i = 0; i < bins; i++) histogram.num += count[i];
  histogram.sum = sum;
  histogram.sum_squares = sum_squares;
  histogram.n_bucket_limit = histogram.n_bucket = bins;
  histogram.bucket_limit = (double *)right_edge;
  histogram.bucket = (double *)count;
  SurgeEvent__Value value = SURGE_EVENT__VALUE__INIT;
  value.value_case = SURGE_EVENT__VALUE__VALUE_HISTO;
  value.histo = &histogram;
  return put_value(board, tag, step, &value);
}

/* --- hyper-parameters ----------------------------------------------------- */

typedef struct hparam {
  SurgeEvent__Hparam entry;
  SurgeEvent__HparamValue value;
} hparam;

static void set_hparam(hparam *h, const surge_pair *pair) {
  char *end;
  h->entry = (SurgeEvent__Hparam)SURGE_EVENT__HPARAM__INIT;
  h->value = (SurgeEvent__HparamValue)SURGE_EVENT__HPARAM_VALUE__INIT;
  h->entry.key = (char *)pair->key;
  h->entry.value = &h->value;
  h->value.kind_case = SURGE_EVENT__HPARAM_VALUE__KIND_NUMBER_VALUE;
  h->value.number_value = strtod(pair->value, &end);
  if (*pair->value && *end == 0) return;
  h->value.kind_case = SURGE_EVENT__HPARAM_VALUE__KIND_BOOL_VALUE;
  h->value.bool_value = !strcmp(pair->value, "true");
  if (h->value.bool_value || !strcmp(pair->value, "false")) return;
  h->value.kind_case = SURGE_EVENT__HPARAM_VALUE__KIND_STRING_VALUE;
  h->value.string_value = (char *)pair->value;
}

/* A value without a number, whose metadata hold a message of the plugin's. */
static surge_status put_session(surge_tensorboard *board,
                                SurgeEvent__SessionStartInfo *session) {
  char plugin[] = "hparams";
  SurgeEvent__HparamsPluginData data = SURGE_EVENT__HPARAMS_PLUGIN_DATA__INIT;
  SurgeEvent__PluginData plugin_data = SURGE_EVENT__PLUGIN_DATA__INIT;
  SurgeEvent__Metadata metadata = SURGE_EVENT__METADATA__INIT;
  SurgeEvent__Value value = SURGE_EVENT__VALUE__INIT;
  data.session_start_info = session;
  size_t size = surge_event__hparams_plugin_data__get_packed_size(&data);
  plugin_data.plugin_name = plugin;
  plugin_data.content.len = size;
  plugin_data.content.data = malloc(size);
  if (!plugin_data.content.data)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory", board->path);
  surge_event__hparams_plugin_data__pack(&data, plugin_data.content.data);
  metadata.plugin_data = &plugin_data;
  value.metadata = &metadata;
  surge_status status =
      put_value(board, "_hparams_/session_start_info", 0, &value);
  free(plugin_data.content.data);
  return status;
}

static surge_status put_keys(surge_tensorboard *board, const surge_keys *keys) {
  size_t n = (size_t)keys->count;
  SurgeEvent__SessionStartInfo session = SURGE_EVENT__SESSION_START_INFO__INIT;
  hparam *hparams = calloc(n, sizeof *hparams);
  SurgeEvent__Hparam **entry = calloc(n, sizeof *entry);
  surge_status status =
      hparams && entry
          ? SURGE_OK
          : SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory", board->path);
  for (size_t i = 0; status == SURGE_OK && i < n; i++) {
    set_hparam(&hparams[i], &keys->pair[i]);
    entry[i] = &hparams[i].entry;
  }
  session.n_hparams = n;
  session.hparams = entry;
  if (status == SURGE_OK) status = put_session(board, &session);
  free(hparams);
  free(entry);
  return status;
}

surge_status surge_tensorboard_recipe(surge_tensorboard *board,
                                      const surge_recipe *recipe) {
  surge_keys keys;
  surge_status status = surge_keys_of(&keys, recipe);
  if (status == SURGE_OK) status = put_keys(board, &keys);
  surge_keys_free(&keys);
  return status;
}
