/* png.c - PNG by libpng. Samples are taken as they are stored: its simplified
 * interface, which is good enough to write, would convert them by gAMA. Errors
 * come back by longjmp, with a message, and never end the program or print. */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "src/data/image.h"

typedef struct png_job {
  png_structp png;
  png_infop info;
  const uint8_t *bytes; /* that are still to be read */
  size_t left;
  jmp_buf back;
  char message[128];
} png_job;

static void stop(png_structp png, png_const_charp message) {
  png_job *job = png_get_error_ptr(png);
  snprintf(job->message, sizeof job->message, "%s", message);
  longjmp(job->back, 1);
}

/* What libpng only warns of concerns no pixel. */
static void pass_over(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

static void take_bytes(png_structp png, png_bytep out, size_t size) {
  png_job *job = png_get_io_ptr(png);
  if (size > job->left) png_error(png, "it ends early");
  memcpy(out, job->bytes, size);
  job->bytes += size;
  job->left -= size;
}

/* Whatever is stored becomes RGB of 8 bits: palettes and less than 8 bits by
 * png_set_expand, 16 bits rounded. */
static void want_rgb(const png_job *job) {
  png_set_expand(job->png);
  png_set_scale_16(job->png);
  png_set_gray_to_rgb(job->png);
  png_set_strip_alpha(job->png);
}

/* Everything that can longjmp, in a function of its own: no local of it changes
 * behind setjmp. The end mark is not asked for. */
static surge_status decode(png_job *job, surge_image *image, const char *path) {
  if (setjmp(job->back))
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: wanted a whole PNG image, found: %s", path,
                      job->message);
  job->png =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, job, stop, pass_over);
  if (job->png) job->info = png_create_info_struct(job->png);
  if (!job->info)
    return SURGE_FAIL(SURGE_ERROR_DEVICE,
                      "%s: wanted memory to read it, found less", path);
  png_set_read_fn(job->png, job, take_bytes);
  png_read_info(job->png, job->info);
  want_rgb(job);
  int passes = png_set_interlace_handling(job->png);
  png_read_update_info(job->png, job->info);
  SURGE_TRY(surge_image_allocate(image, path,
                                 png_get_image_height(job->png, job->info),
                                 png_get_image_width(job->png, job->info)));
  for (int pass = 0; pass < passes; pass++)
    for (size_t y = 0; y < (size_t)image->h; y++)
      png_read_row(job->png, image->rgb + y * (size_t)image->w * 3, NULL);
  return SURGE_OK;
}

surge_status surge_png_decode(surge_image *image, const char *path,
                              const uint8_t *bytes, size_t size) {
  png_job job = {.bytes = bytes, .left = size};
  surge_status status = decode(&job, image, path);
  png_destroy_read_struct(&job.png, &job.info, NULL);
  return status;
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
