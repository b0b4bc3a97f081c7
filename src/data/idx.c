/* idx.c - the IDX files of MNIST and its family.
 *
 * 00 00 08 nd, nd sizes as big-endian u32, then u8 data, row-major. A set is
 * four files, images (nd 3) and labels (nd 1) of two splits; the wild has two
 * spellings of their names, each with and without .gz. */
#include "src/data/file.h"
#include "src/data/readers.h"

#define IDX_SPELLINGS 4
#define IDX_NAMES(stem, nd)                                                    \
  {                                                                            \
    stem "-idx" #nd "-ubyte", stem "-idx" #nd "-ubyte.gz",                     \
        stem ".idx" #nd "-ubyte", stem ".idx" #nd "-ubyte.gz"                  \
  }

/* [split][images, labels] */
static const char *const idx_names[2][2][IDX_SPELLINGS] = {
    [SURGE_TRAIN] = {IDX_NAMES("train-images", 3),
                     IDX_NAMES("train-labels", 1)},
    [SURGE_TEST] = {IDX_NAMES("t10k-images", 3), IDX_NAMES("t10k-labels", 1)},
};

enum { IMAGES, LABELS };
static const uint32_t images_magic = 0x803, labels_magic = 0x801;

/* The next four bytes, a big-endian number. */
static surge_status take_u32(surge_data_file *file, uint32_t *value,
                             const char *what) {
  uint8_t b[4];
  SURGE_TRY(surge_data_file_bytes(file, b, sizeof b, what));
  *value = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 |
           (uint32_t)b[3];
  return SURGE_OK;
}

static surge_status take_magic(surge_data_file *file, uint32_t wanted) {
  uint32_t magic;
  SURGE_TRY(take_u32(file, &magic, "magic number"));
  if (magic == wanted) return SURGE_OK;
  const char *guess = magic == images_magic   ? " (a file of images)"
                      : magic == labels_magic ? " (a file of labels)"
                                              : "";
  return SURGE_FAIL(
      SURGE_ERROR_DATA, "%s: magic number: wanted 0x%08x, found 0x%08x%s",
      surge_data_file_path(file), (unsigned)wanted, (unsigned)magic, guess);
}

static surge_status take_size(surge_data_file *file, const char *what,
                              int32_t wanted) {
  uint32_t size;
  SURGE_TRY(take_u32(file, &size, what));
  if (size == (uint32_t)wanted) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s: wanted %d, found %u",
                    surge_data_file_path(file), what, (int)wanted,
                    (unsigned)size);
}

/* Sizes and pixels of set->count images, behind the number of images. */
static surge_status take_pixels(surge_data_file *file, surge_dataset *set) {
  const surge_dataset_info *info = set->info;
  SURGE_TRY(take_size(file, "height of an image", info->h));
  SURGE_TRY(take_size(file, "width of an image", info->w));
  size_t bytes = (size_t)set->count * (size_t)info->h * (size_t)info->w;
  return surge_data_file_bytes(file, set->images, bytes, "images");
}

static surge_status take_images(surge_data_file *file, void *target) {
  surge_dataset *set = target;
  SURGE_TRY(take_magic(file, images_magic));
  SURGE_TRY(take_size(file, "number of images", set->count));
  return take_pixels(file, set);
}

/* As many images as the header says. */
#define MOST_IMAGES 10000000
static surge_status take_any_images(surge_data_file *file, void *target) {
  surge_dataset *set = target;
  uint32_t count;
  SURGE_TRY(take_magic(file, images_magic));
  SURGE_TRY(take_u32(file, &count, "number of images"));
  if (count < 1 || count > MOST_IMAGES)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: number of images: wanted 1 to %d, found %u",
                      surge_data_file_path(file), MOST_IMAGES, (unsigned)count);
  SURGE_TRY(surge_dataset_allocate(set, (int32_t)count));
  return take_pixels(file, set);
}

static surge_status idx_open(const surge_reader *reader, surge_dataset *set,
                             const char *path) {
  (void)reader;
  return surge_data_file_read(path, take_any_images, set);
}

/* The bytes are read into the last quarter of the labels' own array and widened
 * from the front: label i covers bytes up to 4i+3 <= 3*count + i, so that no
 * byte is overwritten before it was used. */
static surge_status take_labels(surge_data_file *file, void *target) {
  const surge_dataset *set = target;
  SURGE_TRY(take_magic(file, labels_magic));
  SURGE_TRY(take_size(file, "number of labels", set->count));
  size_t count = (size_t)set->count;
  uint8_t *bytes = (uint8_t *)set->labels + 3 * count;
  SURGE_TRY(surge_data_file_bytes(file, bytes, count, "labels"));
  for (int32_t i = 0; i < set->count; i++) {
    uint8_t label = bytes[i];
    SURGE_TRY(
        surge_check_label(set->info, surge_data_file_path(file), i, label));
    set->labels[i] = label;
  }
  return SURGE_OK;
}

static surge_status idx_fill(const surge_reader *reader,
                             const surge_dataset *set, const char *folder,
                             surge_split split) {
  (void)reader;
  surge_data_take *take[2] = {[IMAGES] = take_images, [LABELS] = take_labels};
  for (int part = IMAGES; part <= LABELS; part++) {
    char path[SURGE_DATA_PATH];
    surge_dataset target = *set; /* the same arrays */
    SURGE_TRY(surge_data_file_find(path, set->info, folder,
                                   idx_names[split][part], IDX_SPELLINGS));
    SURGE_TRY(surge_data_file_read(path, take[part], &target));
  }
  return SURGE_OK;
}

static surge_status idx_probe(const surge_reader *reader,
                              const surge_dataset_info *info,
                              const char *folder) {
  (void)reader;
  char path[SURGE_DATA_PATH];
  for (int split = SURGE_TRAIN; split <= SURGE_TEST; split++)
    for (int part = IMAGES; part <= LABELS; part++)
      SURGE_TRY(surge_data_file_find(path, info, folder, idx_names[split][part],
                                     IDX_SPELLINGS));
  return SURGE_OK;
}

const surge_reader surge_idx_reader = {
    .probe = idx_probe, .fill = idx_fill, .open = idx_open};
