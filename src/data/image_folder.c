/* image_folder.c - a folder of images, one folder a class, as ImageNet lies:
 * PATH/train/<class>/<image> and PATH/val/<class>/<image>, or PATH/test/...
 * (files.h). */
#include <string.h>
#include <strings.h>

#include "src/data/files.h"
#include "src/data/image.h"

static int is_image(const struct dirent *entry) {
  const char *dot = strrchr(entry->d_name, '.');
  return surge_is_visible(entry) && dot &&
         (!strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg") ||
          !strcasecmp(dot, ".png"));
}

static surge_status folder_describe(const surge_reader *reader,
                                    surge_dataset_info *info,
                                    const struct surge_data_recipe *recipe,
                                    const char *folder) {
  int32_t size = recipe->size ? recipe->size : SURGE_IMAGE_SIZE;
  info->h = info->w = size;
  info->resize = recipe->resize ? recipe->resize : size * 256 / 224;
  return surge_files_describe(reader, info, folder);
}

static surge_status read_part(const surge_dataset_info *info, const char *path,
                              const surge_data_pass *pass, uint32_t sample,
                              uint8_t *out) {
  surge_image image;
  SURGE_TRY(surge_image_read(&image, path));
  surge_part part =
      pass->train ? surge_part_random(image.h, image.w, info->h, pass, sample)
                  : surge_part_centre(image.h, image.w, info->resize, info->h);
  surge_status status = surge_image_resize(&image, &part, out);
  surge_image_free(&image);
  return status;
}

static surge_status read_image(const surge_dataset *set, uint32_t sample,
                               const char *path, const surge_data_pass *pass,
                               uint8_t *out) {
  return read_part(set->info, path, pass, sample, out);
}

/* One image file as a set of one, its centre. */
static surge_status folder_open(const surge_reader *reader, surge_dataset *set,
                                const char *path) {
  static const surge_data_pass pass = {.train = false};
  (void)reader;
  SURGE_TRY(surge_dataset_allocate(set, 1));
  return read_part(set->info, path, &pass, 0, set->images);
}

/* A folder `test` is read where there is no `val`, for ImageNet's has no
 * labels. */
static const surge_file_kind images = {
    .splits = {[SURGE_TRAIN] = {"train"}, [SURGE_TEST] = {"val", "test"}},
    .splits_text = "val or test",
    .wanted = is_image,
    .wanted_text = ".jpg, .jpeg or .png file",
    .read = read_image};

const surge_reader surge_folder_reader = {.layout = &images,
                                          .describe = folder_describe,
                                          .probe = surge_files_probe,
                                          .list = surge_files_list,
                                          .open = folder_open};
