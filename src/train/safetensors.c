/* safetensors.c - checkpoints: named tensors in one file, whole or not at all.
 *
 * u64 header size, JSON header {"name": {"dtype", "shape", "data_offsets"}},
 * data. All numbers are little-endian, as on every machine that SURGE runs on.
 * The data of wide types comes first, so that each tensor is aligned in the
 * file and in memory; the header keeps the order given. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <surge/checkpoint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "safetensors.c writes memory as it is");

#define METADATA "__metadata__"
#define HEADER_MOST 100000000u /* bytes; the limit of other readers, too */
#define ALIGNMENT 8            /* of the data in the file */

typedef struct dtype_entry {
  const char *word;
  size_t bytes;
} dtype_entry;

static const dtype_entry dtypes[] = {
#define ENTRY(NAME, bytes) {#NAME, bytes},
    SURGE_DTYPE_LIST(ENTRY)
#undef ENTRY
};
enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };

size_t surge_named_tensor_bytes(const surge_named_tensor *tensor) {
  size_t bytes = dtypes[tensor->dtype].bytes;
  for (int32_t i = 0; i < tensor->rank; i++) bytes *= (size_t)tensor->shape[i];
  return bytes;
}

/* === writing ============================================================== */

/* What would make a file that no reader takes is a fault of the caller. */
static surge_status check_tensor(const surge_named_tensor *tensors, size_t i) {
  const surge_named_tensor *t = &tensors[i];
  if ((size_t)t->dtype >= DTYPES || t->rank < 0 || t->rank > SURGE_MAX_RANK)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                      "safetensors: %s: wanted a dtype below %d and a rank of "
                      "0 to %d, found %d and %d",
                      t->name, DTYPES, SURGE_MAX_RANK, (int)t->dtype,
                      (int)t->rank);
  for (int32_t k = 0; k < t->rank; k++)
    if (t->shape[k] < 0)
      return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                        "safetensors: %s: shape[%d]: wanted at least 0, found "
                        "%lld",
                        t->name, (int)k, (long long)t->shape[k]);
  bool taken = strcmp(t->name, METADATA) == 0;
  for (size_t k = 0; k < i; k++)
    taken = taken || strcmp(t->name, tensors[k].name) == 0;
  if (taken)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                      "safetensors: wanted a name of its own for each tensor, "
                      "found '%s' again",
                      t->name);
  return SURGE_OK;
}

/* Calls `visit` for every tensor in the order of its data in the file: types of
 * 8 bytes first, then 4, then 1, each in the order given. */
typedef bool visit_tensor(void *state, const surge_named_tensor *tensor,
                          size_t i);

static bool in_data_order(const surge_named_tensor *tensors, size_t count,
                          visit_tensor *visit, void *state) {
  for (size_t width = 8; width >= 1; width /= 2)
    for (size_t i = 0; i < count; i++)
      if (dtypes[tensors[i].dtype].bytes == width &&
          !visit(state, &tensors[i], i))
        return false;
  return true;
}

typedef struct offset_state {
  size_t *begin; /* [tensor_count] */
  size_t end;
} offset_state;

static bool note_offset(void *state, const surge_named_tensor *tensor,
                        size_t i) {
  offset_state *offsets = state;
  offsets->begin[i] = offsets->end;
  offsets->end += surge_named_tensor_bytes(tensor);
  return true;
}

/* Adds `value` to an array; false where memory is short. */
static bool append_number(cJSON *array, double value) {
  return cJSON_AddItemToArray(array, cJSON_CreateNumber(value));
}

static bool describe_tensor(cJSON *header, const surge_named_tensor *tensor,
                            size_t begin) {
  cJSON *entry = cJSON_AddObjectToObject(header, tensor->name);
  if (!entry ||
      !cJSON_AddStringToObject(entry, "dtype", dtypes[tensor->dtype].word))
    return false;
  cJSON *shape = cJSON_AddArrayToObject(entry, "shape");
  bool ok = shape != NULL;
  for (int32_t i = 0; ok && i < tensor->rank; i++)
    ok = append_number(shape, (double)tensor->shape[i]);
  cJSON *offsets = ok ? cJSON_AddArrayToObject(entry, "data_offsets") : NULL;
  size_t end = begin + surge_named_tensor_bytes(tensor);
  return offsets && append_number(offsets, (double)begin) &&
         append_number(offsets, (double)end);
}

/* The header's text, malloc'ed; NULL where memory is short. */
static char *header_text(const surge_named_tensor *tensors, size_t tensor_count,
                         const surge_text_pair *metadata,
                         size_t metadata_count) {
  char *text = NULL;
  size_t *begin = malloc((tensor_count + 1) * sizeof *begin);
  cJSON *header = cJSON_CreateObject();
  bool ok = begin && header;
  if (ok && metadata_count) {
    cJSON *pairs = cJSON_AddObjectToObject(header, METADATA);
    ok = pairs != NULL;
    for (size_t i = 0; ok && i < metadata_count; i++)
      ok = cJSON_AddStringToObject(pairs, metadata[i].key, metadata[i].value);
  }
  if (ok) {
    offset_state offsets = {.begin = begin};
    in_data_order(tensors, tensor_count, note_offset, &offsets);
    for (size_t i = 0; ok && i < tensor_count; i++)
      ok = describe_tensor(header, &tensors[i], begin[i]);
  }
  if (ok) text = cJSON_PrintUnformatted(header);
  cJSON_Delete(header);
  free(begin);
  return text;
}

/* fwrite of nothing is no failure. */
static bool put(FILE *file, const void *bytes, size_t size) {
  return size == 0 || fwrite(bytes, 1, size, file) == size;
}

static bool put_tensor(void *state, const surge_named_tensor *tensor,
                       size_t i) {
  (void)i;
  return put(state, tensor->data, surge_named_tensor_bytes(tensor));
}

/* Size, header, spaces up to the alignment, data; then to the disk. */
static bool put_file(FILE *file, const char *header,
                     const surge_named_tensor *tensors, size_t tensor_count) {
  static const char spaces[ALIGNMENT] = "        ";
  size_t length = strlen(header);
  size_t padding = (ALIGNMENT - length % ALIGNMENT) % ALIGNMENT;
  uint64_t size = length + padding;
  return put(file, &size, sizeof size) && put(file, header, length) &&
         put(file, spaces, padding) &&
         in_data_order(tensors, tensor_count, put_tensor, file) &&
         fflush(file) == 0 && fsync(fileno(file)) == 0;
}

/* A new name is safe once its folder is on the disk. Some file systems have no
 * such call for folders (EINVAL): then there is nothing to wait for. */
static bool sync_folder_of(const char *path) {
  char *folder = strdup(path);
  if (!folder) return false;
  char *slash = strrchr(folder, '/');
  if (slash) slash[slash == folder] = 0; /* "/x" lies in "/" */
  int descriptor = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY);
  free(folder);
  if (descriptor < 0) return false;
  bool ok = fsync(descriptor) == 0 || errno == EINVAL;
  int fault = errno;
  close(descriptor);
  errno = fault;
  return ok;
}

/* Writes `beside` and gives it the name `path`. On failure errno says why and
 * `path` is as it was; of `beside` nothing is left. */
static bool write_and_rename(const char *path, const char *beside,
                             const char *header,
                             const surge_named_tensor *tensors,
                             size_t tensor_count) {
  FILE *file = fopen(beside, "wb");
  if (!file) return false;
  bool ok = put_file(file, header, tensors, tensor_count);
  int fault = errno;
  if (fclose(file) != 0 && ok) {
    ok = false;
    fault = errno;
  }
  if (ok && rename(beside, path) != 0) {
    ok = false;
    fault = errno;
  }
  if (!ok) {
    unlink(beside);
    errno = fault;
    return false;
  }
  return sync_folder_of(path);
}

surge_status surge_safetensors_write(const char *path,
                                     const surge_named_tensor *tensors,
                                     size_t tensor_count,
                                     const surge_text_pair *metadata,
                                     size_t metadata_count) {
  for (size_t i = 0; i < tensor_count; i++) SURGE_TRY(check_tensor(tensors, i));
  size_t room = strlen(path) + sizeof ".tmp";
  char *beside = malloc(room);
  char *header = header_text(tensors, tensor_count, metadata, metadata_count);
  surge_status status = SURGE_OK;
  if (!beside || !header) {
    status =
        SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory for the header", path);
  } else {
    snprintf(beside, room, "%s.tmp", path);
    if (!write_and_rename(path, beside, header, tensors, tensor_count))
      status = SURGE_FAIL(SURGE_ERROR_DATA, "%s: not written: %s", path,
                          strerror(errno));
  }
  cJSON_free(header);
  free(beside);
  return status;
}

/* === reading ============================================================== */

/* A file while it is read. Memory is one block: the data, so that it is
 * aligned, then the header. Once parsed, the header's text is replaced by the
 * strings found in it; each is shorter than its quoted form, so they fit. */
typedef struct reading {
  const char *path;
  surge_safetensors *file;
  size_t data_bytes, header_bytes;
  char *header;  /* header_bytes and a final 0 */
  char *strings; /* where the next string goes */
} reading;

#define DAMAGED(r, format, ...)                                                \
  SURGE_FAIL(SURGE_ERROR_DATA, "%s: damaged checkpoint: " format, (r)->path,   \
             __VA_ARGS__)

static const char *keep_string(reading *r, const char *text) {
  size_t bytes = strlen(text) + 1;
  char *kept = memcpy(r->strings, text, bytes);
  r->strings += bytes;
  return kept;
}

/* --- bytes ---------------------------------------------------------------- */

static surge_status fail_read(const reading *r, FILE *stream) {
  if (ferror(stream))
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s", r->path, strerror(errno));
  return DAMAGED(r, "it became shorter while it was read, below %zu bytes",
                 sizeof(uint64_t) + r->header_bytes + r->data_bytes);
}

/* Reads all of the file once its size and the header's fit together. */
static surge_status take_bytes(reading *r, FILE *stream) {
  struct stat about;
  uint64_t header;
  if (fstat(fileno(stream), &about) != 0)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s", r->path, strerror(errno));
  if (!S_ISREG(about.st_mode))
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: wanted a file, found a folder "
                      "or a device",
                      r->path);
  size_t size = (size_t)about.st_size;
  if (size < sizeof header)
    return DAMAGED(r, "wanted at least %zu bytes, found %zu", sizeof header,
                   size);
  if (fread(&header, sizeof header, 1, stream) != 1)
    return fail_read(r, stream);
  size -= sizeof header;
  if (header > HEADER_MOST || header > size)
    return DAMAGED(r, "header size: wanted at most %zu bytes, found %llu",
                   size < HEADER_MOST ? size : (size_t)HEADER_MOST,
                   (unsigned long long)header);
  r->header_bytes = (size_t)header;
  r->data_bytes = size - r->header_bytes;
  r->file->bytes = malloc(size + 1);
  if (!r->file->bytes)
    return SURGE_FAIL(SURGE_ERROR_DEVICE,
                      "%s: wanted memory for %zu bytes, "
                      "found less",
                      r->path, size);
  r->strings = r->header = (char *)r->file->bytes + r->data_bytes;
  r->header[r->header_bytes] = 0;
  if (fread(r->header, 1, r->header_bytes, stream) != r->header_bytes ||
      fread(r->file->bytes, 1, r->data_bytes, stream) != r->data_bytes)
    return fail_read(r, stream);
  return SURGE_OK;
}

/* --- one entry of the header ---------------------------------------------- */

/* JSON's numbers are doubles here: whole ones up to 2^53 are exact. */
static bool whole_number(const cJSON *item, int64_t *value) {
  double number = item->valuedouble;
  if (!cJSON_IsNumber(item) || !(number >= 0 && number <= 0x1p53)) return false;
  *value = (int64_t)number;
  return (double)*value == number;
}

static surge_status read_dtype(const reading *r, const cJSON *entry,
                               surge_named_tensor *tensor) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(entry, "dtype");
  if (!cJSON_IsString(item))
    return DAMAGED(r, "tensor '%s': dtype: wanted a text", tensor->name);
  for (size_t i = 0; i < DTYPES; i++)
    if (strcmp(dtypes[i].word, item->valuestring) == 0) {
      tensor->dtype = (surge_dtype)i;
      return SURGE_OK;
    }
  return DAMAGED(r,
                 "tensor '%s': dtype: wanted one of F32 F64 I32 I64 U8 U32 "
                 "U64 BF16, found '%.32s'",
                 tensor->name, item->valuestring);
}

static surge_status read_shape(const reading *r, const cJSON *entry,
                               surge_named_tensor *tensor) {
  const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape"), *item;
  if (!cJSON_IsArray(shape) || cJSON_GetArraySize(shape) > SURGE_MAX_RANK)
    return DAMAGED(r, "tensor '%s': shape: wanted a list of at most %d sizes",
                   tensor->name, SURGE_MAX_RANK);
  cJSON_ArrayForEach(item, shape) {
    if (!whole_number(item, &tensor->shape[tensor->rank]))
      return DAMAGED(r, "tensor '%s': shape[%d]: wanted a whole number",
                     tensor->name, (int)tensor->rank);
    tensor->rank++;
  }
  return SURGE_OK;
}

/* Where the data lies; it must be as long as type and shape say. */
static surge_status read_offsets(const reading *r, const cJSON *entry,
                                 surge_named_tensor *tensor) {
  const cJSON *pair = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
  int64_t begin, end, bytes = (int64_t)dtypes[tensor->dtype].bytes;
  if (!cJSON_IsArray(pair) || cJSON_GetArraySize(pair) != 2 ||
      !whole_number(pair->child, &begin) ||
      !whole_number(pair->child->next, &end))
    return DAMAGED(r, "tensor '%s': data_offsets: wanted two whole numbers",
                   tensor->name);
  if (begin > end || (uint64_t)end > r->data_bytes)
    return DAMAGED(r,
                   "tensor '%s': data_offsets: wanted a range within the "
                   "%zu bytes of data, found %lld to %lld",
                   tensor->name, r->data_bytes, (long long)begin,
                   (long long)end);
  if (begin % bytes)
    return DAMAGED(r,
                   "tensor '%s': data_offsets: wanted a multiple of %lld, "
                   "found %lld",
                   tensor->name, (long long)bytes, (long long)begin);
  bool fits = true;
  for (int32_t i = 0; fits && i < tensor->rank; i++)
    fits = !__builtin_mul_overflow(bytes, tensor->shape[i], &bytes);
  if (!fits || bytes != end - begin)
    return DAMAGED(r,
                   "tensor '%s': wanted the bytes of its shape and type, "
                   "found %lld",
                   tensor->name, (long long)(end - begin));
  tensor->data = (const uint8_t *)r->file->bytes + begin;
  return SURGE_OK;
}

static surge_status read_tensor(reading *r, const cJSON *entry) {
  surge_named_tensor *tensor = &r->file->tensors[r->file->tensor_count++];
  tensor->name = keep_string(r, entry->string);
  if (!cJSON_IsObject(entry))
    return DAMAGED(r, "tensor '%s': wanted an object", tensor->name);
  SURGE_TRY(read_dtype(r, entry, tensor));
  SURGE_TRY(read_shape(r, entry, tensor));
  return read_offsets(r, entry, tensor);
}

static surge_status read_metadata(reading *r, const cJSON *pairs) {
  surge_safetensors *file = r->file;
  if (!cJSON_IsObject(pairs) || file->metadata)
    return DAMAGED(r, "%s: wanted one object", METADATA);
  size_t count = (size_t)cJSON_GetArraySize(pairs);
  file->metadata = calloc(count + 1, sizeof *file->metadata);
  if (!file->metadata)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory for %zu texts",
                      r->path, count);
  const cJSON *item;
  cJSON_ArrayForEach(item, pairs) {
    surge_text_pair *pair = &file->metadata[file->metadata_count++];
    pair->key = keep_string(r, item->string);
    if (!cJSON_IsString(item))
      return DAMAGED(r, "%s: '%s': wanted a text", METADATA, pair->key);
    pair->value = keep_string(r, item->valuestring);
  }
  return SURGE_OK;
}

/* --- all entries together ------------------------------------------------- */

static int by_name(const void *a, const void *b) {
  const surge_named_tensor *const *x = a, *const *y = b;
  return strcmp((*x)->name, (*y)->name);
}

/* By where the data ends, then begins: an empty tensor follows the one that it
 * stands behind. */
static int by_place(const void *a, const void *b) {
  const surge_named_tensor *const *x = a, *const *y = b;
  const uint8_t *begin[] = {(*x)->data, (*y)->data};
  const uint8_t *end[] = {begin[0] + surge_named_tensor_bytes(*x),
                          begin[1] + surge_named_tensor_bytes(*y)};
  if (end[0] != end[1]) return end[0] < end[1] ? -1 : 1;
  return (begin[0] > begin[1]) - (begin[0] < begin[1]);
}

/* Names differ, and the data of all tensors is all of the data, once. */
static surge_status check_whole(const reading *r,
                                const surge_named_tensor **sorted) {
  size_t count = r->file->tensor_count;
  for (size_t i = 0; i < count; i++) sorted[i] = &r->file->tensors[i];
  qsort(sorted, count, sizeof(void *), by_name);
  for (size_t i = 1; i < count; i++)
    if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
      return DAMAGED(r, "tensor '%s' stands in the header twice",
                     sorted[i]->name);
  qsort(sorted, count, sizeof(void *), by_place);
  const uint8_t *base = r->file->bytes, *next = base;
  for (size_t i = 0; i < count; i++) {
    const uint8_t *data = sorted[i]->data;
    if (data != next)
      return DAMAGED(r,
                     "tensor '%s': wanted its data at byte %zu, right "
                     "behind the tensor before, found byte %zu",
                     sorted[i]->name, (size_t)(next - base),
                     (size_t)(data - base));
    next = data + surge_named_tensor_bytes(sorted[i]);
  }
  if ((size_t)(next - base) != r->data_bytes)
    return DAMAGED(r,
                   "wanted %zu bytes of data, as its tensors need, found "
                   "%zu",
                   (size_t)(next - base), r->data_bytes);
  return SURGE_OK;
}

static surge_status read_entries(reading *r, const cJSON *header) {
  size_t count = (size_t)cJSON_GetArraySize(header);
  r->file->tensors = calloc(count + 1, sizeof *r->file->tensors);
  const surge_named_tensor **sorted = malloc((count + 1) * sizeof *sorted);
  surge_status status = SURGE_OK;
  if (!r->file->tensors || !sorted)
    status = SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory for %zu tensors",
                        r->path, count);
  for (const cJSON *entry = header->child; entry && status == SURGE_OK;
       entry = entry->next)
    status = strcmp(entry->string, METADATA) == 0 ? read_metadata(r, entry)
                                                  : read_tensor(r, entry);
  if (status == SURGE_OK) status = check_whole(r, sorted);
  free(sorted);
  return status;
}

static surge_status parse_header(reading *r) {
  const char *end = r->header;
  cJSON *header = NULL;
  /* cJSON would take a 0 byte for a space. */
  if (strlen(r->header) == r->header_bytes)
    header =
        cJSON_ParseWithLengthOpts(r->header, r->header_bytes + 1, &end, true);
  surge_status status;
  if (cJSON_IsObject(header))
    status = read_entries(r, header);
  else
    status = DAMAGED(r,
                     "header: wanted a JSON object, found other text at "
                     "byte %zu of %zu",
                     (size_t)(end - r->header), r->header_bytes);
  cJSON_Delete(header);
  return status;
}

surge_status surge_safetensors_read(surge_safetensors *file, const char *path) {
  *file = (surge_safetensors){0};
  reading r = {.path = path, .file = file};
  FILE *stream = fopen(path, "rb");
  if (!stream)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s", path, strerror(errno));
  surge_status status = take_bytes(&r, stream);
  fclose(stream);
  if (status == SURGE_OK) status = parse_header(&r);
  if (status != SURGE_OK) surge_safetensors_free(file);
  return status;
}

void surge_safetensors_free(surge_safetensors *file) {
  free(file->tensors);
  free(file->metadata);
  free(file->bytes);
  *file = (surge_safetensors){0};
}

const surge_named_tensor *surge_safetensors_find(const surge_safetensors *file,
                                                 const char *name) {
  for (size_t i = 0; i < file->tensor_count; i++)
    if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
  return NULL;
}

const char *surge_safetensors_text(const surge_safetensors *file,
                                   const char *key) {
  for (size_t i = 0; i < file->metadata_count; i++)
    if (strcmp(file->metadata[i].key, key) == 0) return file->metadata[i].value;
  return NULL;
}
