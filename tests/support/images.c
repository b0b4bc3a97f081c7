/* images.c - small image files that tests make (see images.h). */
#include "tests/support/images.h"

#include <criterion/criterion.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jpeglib.h>

static uint8_t *fill(int h, int w, const uint8_t rgb[3]) {
  uint8_t *pixels = malloc((size_t)(h * w) * 3);
  cr_assert_not_null(pixels);
  for (int i = 0; i < h * w; i++) memcpy(pixels + 3 * i, rgb, 3);
  return pixels;
}

void test_write_png(const char *path, int h, int w, const uint8_t rgb[3]) {
  png_image png = {.version = PNG_IMAGE_VERSION,
                   .height = (png_uint_32)h,
                   .width = (png_uint_32)w,
                   .format = PNG_FORMAT_RGB};
  uint8_t *pixels = fill(h, w, rgb);
  cr_assert(png_image_write_to_file(&png, path, 0, pixels, 0, NULL), "%s: %s",
            path, png.message);
  free(pixels);
}

uint8_t *test_read_png(const char *path, int *h, int *w) {
  png_image png = {.version = PNG_IMAGE_VERSION};
  cr_assert(png_image_begin_read_from_file(&png, path), "%s: %s", path,
            png.message);
  png.format = PNG_FORMAT_RGB;
  *h = (int)png.height;
  *w = (int)png.width;
  uint8_t *rgb = malloc(PNG_IMAGE_SIZE(png));
  cr_assert(png_image_finish_read(&png, NULL, rgb, 0, NULL), "%s: %s", path,
            png.message);
  return rgb;
}

void test_write_jpeg(const char *path, int h, int w, const uint8_t rgb[3]) {
  struct jpeg_error_mgr errors;
  struct jpeg_compress_struct jpeg = {.err = jpeg_std_error(&errors)};
  uint8_t *row = fill(1, w, rgb);
  FILE *file = fopen(path, "wb");
  cr_assert_not_null(file, "%s", path);
  jpeg_create_compress(&jpeg);
  jpeg_stdio_dest(&jpeg, file);
  jpeg.image_height = (JDIMENSION)h;
  jpeg.image_width = (JDIMENSION)w;
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  for (int y = 0; y < h; y++) jpeg_write_scanlines(&jpeg, &row, 1);
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  fclose(file);
  free(row);
}

void test_cut_file(const char *path, long size) {
  cr_assert_eq(truncate(path, size), 0, "%s", path);
}
