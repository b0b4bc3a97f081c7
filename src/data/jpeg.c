/* jpeg.c - JPEG by libjpeg. Its errors come back by longjmp, with a message,
 * and never end the program or print. */
#include <setjmp.h>
#include <stdio.h> /* jpeglib.h wants FILE */

#include <jpeglib.h>
#include <jerror.h>

#include "src/data/image.h"

typedef struct jpeg_job {
  struct jpeg_error_mgr errors; /* first: libjpeg hands this pointer back */
  struct jpeg_decompress_struct jpeg;
  jmp_buf back;
  char message[JMSG_LENGTH_MAX];
} jpeg_job;

static void stop(j_common_ptr jpeg) {
  jpeg_job *job = (jpeg_job *)(void *)jpeg->err;
  jpeg->err->format_message(jpeg, job->message);
  longjmp(job->back, 1);
}

/* libjpeg fills up what is missing and warns. Pixels that are made up are an
 * error here; what lies between or before the data is not. */
static void take_message(j_common_ptr jpeg, int level) {
  int code = jpeg->err->msg_code;
  bool harmless = code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR ||
                  code == JWRN_ADOBE_XFORM;
  if (level < 0 && !harmless) stop(jpeg);
}

/* a*b/255, rounded, for 8-bit a and b. */
static uint8_t scale(int a, int b) {
  int product = a * b + 128;
  return (uint8_t)(((product >> 8) + product) >> 8);
}

/* Adobe's programs store CMYK inverted, and no others write it. */
static void take_cmyk(uint8_t *rgb, const uint8_t *cmyk, size_t w) {
  for (size_t x = 0; x < w; x++)
    for (size_t c = 0; c < 3; c++)
      rgb[3 * x + c] = (uint8_t)(cmyk[4 * x + 3] -
                                 scale(255 - cmyk[4 * x + c], cmyk[4 * x + 3]));
}

static void take_rows(struct jpeg_decompress_struct *jpeg, surge_image *image) {
  size_t w = (size_t)image->w;
  bool cmyk = jpeg->out_color_space == JCS_CMYK;
  JSAMPARRAY four = NULL;
  if (cmyk)
    four = jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE,
                                   4 * jpeg->output_width, 1);
  while (jpeg->output_scanline < jpeg->output_height) {
    uint8_t *row = image->rgb + jpeg->output_scanline * w * 3;
    jpeg_read_scanlines(jpeg, cmyk ? four : &row, 1);
    if (cmyk) take_cmyk(row, four[0], w);
  }
}

/* Everything that can longjmp, in a function of its own: no local of it changes
 * behind setjmp. */
static surge_status decode(jpeg_job *job, surge_image *image, const char *path,
                           const uint8_t *bytes, size_t size) {
  struct jpeg_decompress_struct *jpeg = &job->jpeg;
  if (setjmp(job->back))
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: wanted a whole JPEG image, found: %s", path,
                      job->message);
  jpeg_create_decompress(jpeg);
  jpeg_mem_src(jpeg, bytes, (unsigned long)size);
  jpeg_read_header(jpeg, TRUE);
  bool cmyk = jpeg->num_components == 4;
  jpeg->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  SURGE_TRY(
      surge_image_allocate(image, path, jpeg->image_height, jpeg->image_width));
  jpeg_start_decompress(jpeg);
  take_rows(jpeg, image);
  jpeg_finish_decompress(jpeg);
  return SURGE_OK;
}

surge_status surge_jpeg_decode(surge_image *image, const char *path,
                               const uint8_t *bytes, size_t size) {
  jpeg_job job = {.jpeg = {.err = &job.errors}};
  jpeg_std_error(&job.errors);
  job.errors.error_exit = stop;
  job.errors.emit_message = take_message;
  surge_status status = decode(&job, image, path, bytes, size);
  jpeg_destroy_decompress(&job.jpeg);
  return status;
}
