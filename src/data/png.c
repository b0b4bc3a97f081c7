/* png.c - PNG by libpng's simplified interface. */
#include <png.h>
#include <stdio.h>

#include "src/data/image.h"

static surge_status fail(png_image *png, const char *path) {
  surge_status status =
      SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted a whole PNG image, found: %s",
                 path, png->message);
  png_image_free(png);
  return status;
}

/* Alpha is read, so that libpng composites nothing, and dropped. Without the
 * flag 16-bit samples would be taken for linear light. */
surge_status surge_png_decode(surge_image *image, const char *path,
                              const uint8_t *bytes, size_t size) {
  png_image png = {.version = PNG_IMAGE_VERSION};
  if (!png_image_begin_read_from_memory(&png, bytes, size))
    return fail(&png, path);
  png.format = PNG_FORMAT_RGBA;
  png.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  surge_status status =
      surge_image_allocate(image, path, png.height, png.width, 4);
  if (status != SURGE_OK) {
    png_image_free(&png);
    return status;
  }
  if (!png_image_finish_read(&png, NULL, image->rgb, 0, NULL))
    return fail(&png, path);
  size_t pixels = (size_t)image->h * (size_t)image->w;
  for (size_t i = 0; i < pixels; i++) /* in place: 3i <= 4i */
    for (size_t c = 0; c < 3; c++)
      image->rgb[3 * i + c] = image->rgb[4 * i + c];
  return SURGE_OK;
}

surge_status surge_png_write(const char *path, const uint8_t *rgb, int32_t h,
                             int32_t w) {
  png_image png = {.version = PNG_IMAGE_VERSION,
                   .format = PNG_FORMAT_RGB,
                   .height = (png_uint_32)h,
                   .width = (png_uint_32)w};
  if (png_image_write_to_file(&png, path, 0, rgb, 0, NULL)) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA, "%s: wanted to write it, found: %s", path,
                    png.message);
}
