/* hdf5.c - HDF5, through libhdf5: event tables, and the spike trains of SHD and
 * SSC.
 *
 *   events, CD/events   a table with fields t, x, y, p, or a group of arrays t,
 *                       x, y, p (names below): one recording. events/t_offset
 *                       or t_offset, where there is one, is added to t (DSEC).
 *   spikes/times[i]     recording i's times, spikes/units[i] the neurons that
 *                       fired, labels[i] its class: x is the neuron, y 0, p 1.
 *
 * Times that are integers are us, floats are seconds. A table is read piece by
 * piece; memory is bounded by a stored chunk, which HDF5 unpacks as a whole. Of
 * spike trains the one that is selected is in memory.
 *
 * Debian's libhdf5 may be built without threads in mind, so one lock is around
 * all that asks it; and it prints no errors of its own. It trusts its files: a
 * damaged one can crash it. */
#define H5_USE_110_API /* also where it is newer */
#include <hdf5.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "src/events/column.h"
#include "src/events/format.h"
#include "src/events/number.h"

#define CHUNK_MOST ((uint64_t)1 << 28) /* bytes of a stored chunk, unpacked */

/* No filter makes of one byte more than so many: what a file claims to hold has
 * to lie in it. */
#define RATIO_MOST ((uint64_t)1 << 16)

#define RECORD_MOST 1024 /* bytes of a row of a table */

/* Where a column's numbers are in the rows of a dataset. */
typedef struct field {
  hid_t dataset, type;   /* 0: none; rows in memory, as they are stored */
  size_t offset, stride; /* bytes                                       */
  surge_number number;
} field;

typedef struct hdf5 {
  hid_t file;
  field fields[SURGE_COLUMNS]; /* of spikes: times, units            */
  hid_t labels;                /* 0: none                            */
  bool spikes;
  int64_t offset;  /* us                                 */
  uint64_t count;  /* of the recording's events          */
  hvl_t trains[2]; /* of spikes: times, units; doubles   */
  uint8_t rows[RECORD_MOST * SURGE_COLUMN_PIECE];
  surge_columns columns;
} hdf5;

/* --- libhdf5, one thread at a time, and quiet ----------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

typedef struct voice {
  H5E_auto2_t function;
  void *data;
} voice;

static voice enter(void) {
  voice before = {0};
  pthread_mutex_lock(&lock);
  H5Eget_auto2(H5E_DEFAULT, &before.function, &before.data);
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  return before;
}

static void leave(voice before) {
  H5Eset_auto2(H5E_DEFAULT, before.function, before.data);
  pthread_mutex_unlock(&lock);
}

/* Keeps the innermost message: the cause. */
static herr_t keep_cause(unsigned n, const H5E_error2_t *error, void *text) {
  if (n == 0 && error->desc) snprintf(text, 128, "%s", error->desc);
  return 0;
}

/* "file.h5: NAME: " and libhdf5's cause. */
static surge_status fail(const char *path, const char *name) {
  char cause[128] = "libhdf5 does not say why";
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_cause, cause);
  return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s: %s", path, name, cause);
}

static bool recognise(const surge_bytes *bytes) {
  static const char magic[] = "\x89HDF\r\n\x1a\n";
  if (bytes->size >= 8 && !memcmp(bytes->at, magic, 8)) return true;
  for (size_t at = 512; at + 8 <= bytes->size;
       at *= 2) /* behind a user block */
    if (!memcmp(bytes->at + at, magic, 8)) return true;
  return false;
}

/* --- datasets ------------------------------------------------------------- */

static bool exists(hid_t place, const char *name) {
  return H5Lexists(place, name, H5P_DEFAULT) > 0 &&
         H5Oexists_by_name(place, name, H5P_DEFAULT) > 0;
}

/* Bytes of a stored chunk, unpacked; 0: it is not stored in chunks. */
static uint64_t chunk_bytes(hid_t dataset, size_t element) {
  hsize_t size = 0;
  hid_t plan = H5Dget_create_plist(dataset);
  if (plan >= 0 && H5Pget_layout(plan) == H5D_CHUNKED &&
      H5Pget_chunk(plan, 1, &size) == 1)
    size = size > UINT64_MAX / element ? UINT64_MAX : size * element;
  H5Pclose(plan);
  return size;
}

/* What `stored` bytes can hold, unpacked: of chunks as many as are stored. */
static uint64_t most_bytes(hid_t dataset, uint64_t chunk, uint64_t stored) {
  hsize_t chunks = 0;
  if (chunk == 0) return stored;
  hid_t space = H5Dget_space(dataset); /* 1.10 does not take H5S_ALL */
  H5Dget_num_chunks(dataset, space, &chunks);
  H5Sclose(space);
  uint64_t packed =
      stored > UINT64_MAX / RATIO_MOST ? UINT64_MAX : stored * RATIO_MOST;
  uint64_t whole = chunks > UINT64_MAX / chunk ? UINT64_MAX : chunks * chunk;
  return packed < whole ? packed : whole;
}

/* The rows of a dataset of one dimension; what it claims is compared with what
 * lies in the file. */
static surge_status count_rows(hid_t dataset, const char *path,
                               const char *name, uint64_t *rows,
                               uint64_t *chunk) {
  hsize_t count = 0;
  hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
  bool flat = H5Sget_simple_extent_ndims(space) == 1 &&
              H5Sget_simple_extent_dims(space, &count, NULL) == 1;
  size_t element = type >= 0 ? H5Tget_size(type) : 0;
  H5Sclose(space);
  H5Tclose(type);
  if (!flat || element == 0)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: %s: wanted an array of one dimension, found another",
                      path, name);
  *chunk = chunk_bytes(dataset, element);
  uint64_t stored = H5Dget_storage_size(dataset);
  if (count > most_bytes(dataset, *chunk, stored) / element)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: %s: wanted %" PRIu64
                      " elements of %zu bytes, found "
                      "%" PRIu64 " bytes of the file for them",
                      path, name, (uint64_t)count, element, stored);
  *rows = count;
  if (*chunk <= CHUNK_MOST) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: %s: wanted chunks of at most %" PRIu64
                    " bytes, found %" PRIu64,
                    path, name, CHUNK_MOST, *chunk);
}

/* Opens a dataset so that the chunk read last stays unpacked. */
static surge_status open_dataset(hid_t place, const char *path,
                                 const char *name, hid_t *dataset,
                                 uint64_t *rows) {
  uint64_t chunk = 0;
  *dataset = H5Dopen2(place, name, H5P_DEFAULT);
  if (*dataset < 0) return fail(path, name);
  surge_status status = count_rows(*dataset, path, name, rows, &chunk);
  if (status == SURGE_OK &&
      chunk > 1 << 20) { /* what libhdf5 keeps by default */
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    H5Pset_chunk_cache(access, 11, chunk, 1);
    H5Dclose(*dataset);
    *dataset = H5Dopen2(place, name, access);
    H5Pclose(access);
    if (*dataset < 0) return fail(path, name);
  }
  return status;
}

/* Reads `count` rows of a dataset from `first` on. */
static herr_t read_rows(hid_t dataset, hid_t type, uint64_t first,
                        uint64_t count, hid_t transfer, void *out) {
  hsize_t start = first, size = count;
  hid_t space = H5Dget_space(dataset);
  hid_t memory = H5Screate_simple(1, &size, NULL);
  herr_t result =
      H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &size, NULL);
  if (result >= 0)
    result = H5Dread(dataset, type, memory, space, transfer, out);
  H5Sclose(memory);
  H5Sclose(space);
  return result;
}

/* Takes a stored type; false: it is no number. An enum is h5py's bool. */
static bool take_number(surge_number *number, hid_t type) {
  H5T_class_t kind = H5Tget_class(type);
  size_t bytes = H5Tget_size(type);
  *number = (surge_number){.kind = 'u', .bytes = bytes};
  number->big_endian = H5Tget_order(type) == H5T_ORDER_BE;
  if (kind == H5T_FLOAT) {
    size_t sign, exponent, exponents, fraction, fractions;
    number->kind = 'f';
    if (H5Tget_fields(type, &sign, &exponent, &exponents, &fraction,
                      &fractions) < 0 ||
        exponents != (bytes == 2   ? 5u
                      : bytes == 4 ? 8u
                                   : 11u))
      return false;
  } else if (kind == H5T_INTEGER) {
    if (H5Tget_sign(type) == H5T_SGN_2) number->kind = 'i';
  } else if (kind != H5T_ENUM) {
    return false;
  }
  return surge_number_known(number) && H5Tget_precision(type) == 8 * bytes;
}

static surge_status not_numbers(const char *path, const char *name) {
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: %s: wanted integers or floats, found another type",
                    path, name);
}

/* --- tables --------------------------------------------------------------- */

enum { NAMES = 4 };

/* Names of fields and arrays, the first that is there is taken: tonic's, DSEC's
 * and Metavision's, those of rpg_e2vid, others. */
static const char *const field_names[SURGE_COLUMNS][NAMES] = {
    {"t", "ts", "timestamp", "timestamps"},
    {"x", "xs"},
    {"y", "ys"},
    {"p", "ps", "pol", "polarity"},
};

static surge_status no_field(const char *path, const char *name, int c) {
  return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s: wanted a field %s, found none",
                    path, name, surge_column_names[c]);
}

/* Column c of a table whose rows are of a compound type. */
static surge_status take_field(hdf5 *h, int c, hid_t table, hid_t type,
                               const char *path, const char *name) {
  field *f = &h->fields[c];
  int index = -1;
  for (int i = 0; i < NAMES && field_names[c][i] && index < 0; i++)
    index = H5Tget_member_index(type, field_names[c][i]);
  if (index < 0) return no_field(path, name, c);
  hid_t member = H5Tget_member_type(type, (unsigned)index);
  bool known = take_number(&f->number, member);
  H5Tclose(member);
  if (!known) return not_numbers(path, name);
  f->offset = H5Tget_member_offset(type, (unsigned)index);
  f->stride = H5Tget_size(type);
  if (f->offset > f->stride || f->number.bytes > f->stride - f->offset)
    return not_numbers(path, name);
  f->type = H5Tcopy(type);
  f->dataset = table;
  H5Iinc_ref(table);
  return SURGE_OK;
}

/* Rows are read as they are stored, so none of their fields may be a pointer in
 * memory, and a row is no larger than there is room for. */
static surge_status expect_rows(hid_t type, const char *path,
                                const char *name) {
  if (H5Tget_class(type) != H5T_COMPOUND)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: %s: wanted a table with fields t, x, y and p, "
                      "found an array without fields",
                      path, name);
  if (H5Tget_size(type) > RECORD_MOST)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: %s: wanted rows of at most %d bytes, found %zu",
                      path, name, RECORD_MOST, H5Tget_size(type));
  for (int i = 0; i < H5Tget_nmembers(type); i++) {
    H5T_class_t kind = H5Tget_member_class(type, (unsigned)i);
    if (kind != H5T_INTEGER && kind != H5T_FLOAT && kind != H5T_ENUM)
      return not_numbers(path, name);
  }
  return SURGE_OK;
}

static surge_status open_table(hdf5 *h, const char *path, const char *name) {
  hid_t table;
  SURGE_TRY(open_dataset(h->file, path, name, &table, &h->count));
  hid_t type = H5Dget_type(table);
  surge_status status = expect_rows(type, path, name);
  for (int c = 0; c < SURGE_COLUMNS && status == SURGE_OK; c++)
    status = take_field(h, c, table, type, path, name);
  H5Tclose(type);
  H5Dclose(table);
  return status;
}

/* Array c of a group. */
static surge_status open_array(hdf5 *h, int c, hid_t group, const char *path,
                               const char *name) {
  field *f = &h->fields[c];
  char full[64];
  uint64_t rows;
  int i = 0;
  while (i < NAMES && field_names[c][i] && !exists(group, field_names[c][i]))
    i++;
  if (i == NAMES || !field_names[c][i]) return no_field(path, name, c);
  snprintf(full, sizeof full, "%s/%s", name, field_names[c][i]);
  SURGE_TRY(open_dataset(h->file, path, full, &f->dataset, &rows));
  f->type = H5Dget_type(f->dataset);
  if (!take_number(&f->number, f->type)) return not_numbers(path, full);
  f->stride = f->number.bytes;
  if (c == 0) h->count = rows;
  if (rows == h->count) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: %s: wanted %" PRIu64
                    " elements as in %s/t, found "
                    "%" PRIu64,
                    path, full, h->count, name, rows);
}

/* DSEC's t_offset: one integer, beside the group or in it. */
static surge_status take_offset(hdf5 *h, hid_t place, const char *path) {
  if (!exists(place, "t_offset")) return SURGE_OK;
  hid_t offset = H5Dopen2(place, "t_offset", H5P_DEFAULT);
  hid_t space = H5Dget_space(offset);
  bool one = H5Sget_simple_extent_npoints(space) == 1;
  herr_t result = one ? H5Dread(offset, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL,
                                H5P_DEFAULT, &h->offset)
                      : -1;
  H5Sclose(space);
  H5Dclose(offset);
  if (one && result < 0) return fail(path, "t_offset");
  if (one) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: t_offset: wanted one number, found "
                    "none or more",
                    path);
}

static surge_status open_group(hdf5 *h, const char *path, const char *name) {
  hid_t group = H5Gopen2(h->file, name, H5P_DEFAULT);
  if (group < 0) return fail(path, name);
  surge_status status = SURGE_OK;
  for (int c = 0; c < SURGE_COLUMNS && status == SURGE_OK; c++)
    status = open_array(h, c, group, path, name);
  if (status == SURGE_OK) status = take_offset(h, group, path);
  if (status == SURGE_OK) status = take_offset(h, h->file, path);
  H5Gclose(group);
  return status;
}

/* --- spike trains --------------------------------------------------------- */

/* spikes/<name>: an array of arrays, as doubles. */
static surge_status open_trains(hdf5 *h, int c, const char *path,
                                const char *name, uint64_t *rows) {
  field *f = &h->fields[c];
  if (!exists(h->file, name))
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted %s, found none", path,
                      name);
  SURGE_TRY(open_dataset(h->file, path, name, &f->dataset, rows));
  hid_t stored = H5Dget_type(f->dataset);
  bool trains = H5Tget_class(stored) == H5T_VLEN;
  hid_t base = trains ? H5Tget_super(stored) : H5I_INVALID_HID;
  trains = trains && take_number(&f->number, base);
  H5Tclose(base);
  H5Tclose(stored);
  f->type = H5Tvlen_create(H5T_NATIVE_DOUBLE);
  if (trains) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: %s: wanted arrays of numbers, of any length, found "
                    "another type",
                    path, name);
}

static surge_status same_rows(const char *path, const char *name,
                              uint64_t wanted, uint64_t found) {
  if (wanted == found) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: %s: wanted %" PRIu64
                    " recordings as in spikes/times, "
                    "found %" PRIu64,
                    path, name, wanted, found);
}

static void free_trains(hdf5 *h) {
  for (int c = 0; c < 2; c++) free(h->trains[c].p);
  memset(h->trains, 0, sizeof h->trains);
}

/* Trains are stored as they are, so all of a file's bytes, widened to doubles,
 * is the most that one can be. */
static void *allocate_train(size_t size, void *most) {
  return size > *(size_t *)most ? NULL : malloc(size);
}

static void free_train(void *train, void *nothing) {
  (void)nothing;
  free(train);
}

static surge_status select_recording(surge_events_file *file, size_t index) {
  static const char *const names[] = {"spikes/times", "spikes/units"};
  hdf5 *h = file->state;
  h->columns.first = h->columns.count = h->columns.given = 0;
  if (!h->spikes) return SURGE_OK; /* a table: back to its start */
  h->count = 0;
  free_trains(h);
  size_t most = (size_t)file->bytes.total * sizeof(double);
  hid_t transfer = H5Pcreate(H5P_DATASET_XFER);
  H5Pset_vlen_mem_manager(transfer, allocate_train, &most, free_train, NULL);
  surge_status status = SURGE_OK;
  for (int c = 0; c < 2 && status == SURGE_OK; c++)
    if (read_rows(h->fields[c].dataset, h->fields[c].type, index, 1, transfer,
                  &h->trains[c]) < 0)
      status = fail(file->path, names[c]);
  H5Pclose(transfer);
  SURGE_TRY(status);
  if (h->trains[0].len != h->trains[1].len)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: recording %zu: wanted as many units as times, %zu, "
                      "found %zu",
                      file->path, index, h->trains[0].len, h->trains[1].len);
  h->count = h->trains[0].len;
  return SURGE_OK;
}

static surge_status open_spikes(surge_events_file *file) {
  hdf5 *h = file->state;
  const char *path = file->path;
  uint64_t rows, others;
  h->spikes = true;
  SURGE_TRY(open_trains(h, 0, path, "spikes/times", &rows));
  SURGE_TRY(open_trains(h, 1, path, "spikes/units", &others));
  SURGE_TRY(same_rows(path, "spikes/units", rows, others));
  if (exists(h->file, "labels")) {
    SURGE_TRY(open_dataset(h->file, path, "labels", &h->labels, &others));
    SURGE_TRY(same_rows(path, "labels", rows, others));
  }
  file->info.recordings = (size_t)rows;
  return rows > 0 ? select_recording(file, 0) : SURGE_OK;
}

static surge_status read_label(surge_events_file *file, size_t index,
                               int32_t *label) {
  hdf5 *h = file->state;
  int64_t value;
  if (h->labels <= 0) return SURGE_OK;
  if (read_rows(h->labels, H5T_NATIVE_INT64, index, 1, H5P_DEFAULT, &value) < 0)
    return fail(file->path, "labels");
  if (value < 0 || value > INT32_MAX)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: labels: recording %zu: wanted a class from 0 on, "
                      "found %" PRId64,
                      file->path, index, value);
  *label = (int32_t)value;
  return SURGE_OK;
}

/* --- opening -------------------------------------------------------------- */

static surge_status open_hdf5(hdf5 *h, const surge_bytes *bytes) {
  hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  H5Pset_file_locking(access, false, true); /* many may read it at once */
  if (bytes->fd < 0) {
    H5Pset_fapl_core(access, 1 << 16, false);
    H5Pset_file_image(access, (void *)bytes->at, bytes->size); /* is copied */
  }
  h->file = H5Fopen(bytes->path, H5F_ACC_RDONLY, access);
  surge_status status = h->file < 0 ? fail(bytes->path, "HDF5") : SURGE_OK;
  H5Pclose(access);
  return status;
}

static surge_status open_file(surge_events_file *file) {
  static const char *const tables[] = {"events", "CD/events"};
  hdf5 *h = file->state = calloc(1, sizeof *h);
  if (!h) return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: no memory", file->path);
  SURGE_TRY(open_hdf5(h, &file->bytes));
  if (exists(h->file, "spikes")) return open_spikes(file);
  for (int i = 0; i < 2; i++) {
    if (i == 1 && !exists(h->file, "CD")) continue;
    if (!exists(h->file, tables[i])) continue;
    H5O_info_t about;
    if (H5Oget_info_by_name(h->file, tables[i], &about, H5P_DEFAULT) < 0)
      return fail(file->path, tables[i]);
    return about.type == H5O_TYPE_GROUP ? open_group(h, file->path, tables[i])
                                        : open_table(h, file->path, tables[i]);
  }
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: wanted a group spikes, or events or CD/events, found "
                    "none of them",
                    file->path);
}

static void close_file(surge_events_file *file) {
  hdf5 *h = file->state;
  if (!h) return;
  for (int c = 0; c < SURGE_COLUMNS; c++) {
    if (h->fields[c].type > 0) H5Tclose(h->fields[c].type);
    if (h->fields[c].dataset > 0) H5Dclose(h->fields[c].dataset);
  }
  if (h->labels > 0) H5Dclose(h->labels);
  if (h->file > 0) H5Fclose(h->file);
  free_trains(h);
  free(h);
}

/* --- events --------------------------------------------------------------- */

static surge_status no_integer(const char *path, int c, uint64_t element) {
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: %s: element %" PRIu64
                    ": wanted a number of 64 bits, "
                    "found none",
                    path, surge_column_names[c], element);
}

/* A piece of column c. Columns of a table come with the same rows. */
static surge_status read_column(surge_events_file *file, int c, size_t count) {
  hdf5 *h = file->state;
  const field *f = &h->fields[c];
  uint64_t first = h->columns.first;
  if (c == 0 || f->dataset != h->fields[c - 1].dataset)
    if (read_rows(f->dataset, f->type, first, count, H5P_DEFAULT, h->rows) < 0)
      return fail(file->path, surge_column_names[c]);
  double scale = c == 0 ? 1e6 : 1; /* of floats: s to us */
  size_t good = surge_number_load(&f->number, h->rows + f->offset, f->stride,
                                  count, scale, h->columns.of[c]);
  return good == count ? SURGE_OK : no_integer(file->path, c, first + good);
}

/* A piece of a spike train, which is there, as doubles. */
static surge_status take_train(surge_events_file *file, int c, size_t count) {
  static const surge_number number = {.kind = 'f', .bytes = sizeof(double)};
  hdf5 *h = file->state;
  double scale = c == 0 && h->fields[0].number.kind == 'f' ? 1e6 : 1;
  const double *from = (const double *)h->trains[c].p + h->columns.first;
  size_t good = surge_number_load(&number, (const uint8_t *)from, sizeof *from,
                                  count, scale, h->columns.of[c]);
  return good == count ? SURGE_OK
                       : no_integer(file->path, c, h->columns.first + good);
}

static surge_status read_spikes(surge_events_file *file, size_t count) {
  hdf5 *h = file->state;
  for (int c = 0; c < 2; c++) SURGE_TRY(take_train(file, c, count));
  for (size_t i = 0; i < count; i++) {
    h->columns.of[2][i] = 0;
    h->columns.of[3][i] = 1;
  }
  return SURGE_OK;
}

static surge_status read_table(surge_events_file *file, size_t count) {
  hdf5 *h = file->state;
  for (int c = 0; c < SURGE_COLUMNS; c++)
    SURGE_TRY(read_column(file, c, count));
  for (size_t i = 0; i < count && h->offset != 0; i++)
    h->columns.of[0][i] =
        (int64_t)((uint64_t)h->columns.of[0][i] + (uint64_t)h->offset);
  return SURGE_OK;
}

/* The next piece. */
static surge_status load(surge_events_file *file) {
  hdf5 *h = file->state;
  size_t count = surge_columns_begin(&h->columns, h->count);
  if (count == 0) return SURGE_OK;
  h->columns.count = 0; /* until all of it is good */
  SURGE_TRY(h->spikes ? read_spikes(file, count) : read_table(file, count));
  h->columns.count = count;
  return SURGE_OK;
}

static surge_status read_events(surge_events_file *file, surge_events *chunk) {
  hdf5 *h = file->state;
  surge_columns *columns = &h->columns;
  while (chunk->count < chunk->capacity) {
    if (columns->given == columns->count) SURGE_TRY(load(file));
    if (columns->count == 0) return SURGE_OK;
    SURGE_TRY(surge_columns_give(columns, chunk, file->path));
  }
  return SURGE_OK;
}

/* --- the format ----------------------------------------------------------- */

static surge_status open(surge_events_file *file) {
  voice before = enter();
  surge_status status = open_file(file);
  leave(before);
  return status;
}

static surge_status next(surge_events_file *file, surge_events *chunk) {
  voice before = enter();
  surge_status status = read_events(file, chunk);
  leave(before);
  return status;
}

static surge_status go_to(surge_events_file *file, size_t index) {
  voice before = enter();
  surge_status status = select_recording(file, index);
  leave(before);
  return status;
}

static surge_status label(surge_events_file *file, size_t index,
                          int32_t *value) {
  voice before = enter();
  surge_status status = read_label(file, index, value);
  leave(before);
  return status;
}

static void close(surge_events_file *file) {
  voice before = enter();
  close_file(file);
  leave(before);
}

const surge_events_format surge_events_hdf5 = {.name = "hdf5",
                                               .recognise = recognise,
                                               .open = open,
                                               .next = next,
                                               .select = go_to,
                                               .label = label,
                                               .close = close};
