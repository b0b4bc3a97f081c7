/* image.h - an image file on its way to the network's input.
 *
 *   image.c   a file's bytes, and which decoder they are for
 *   jpeg.c    libjpeg
 *   png.c     libpng
 *   part.c    which part of the image the network sees, and how large
 *   resize.c  that part, resampled */
#ifndef SURGE_DATA_IMAGE_H
#define SURGE_DATA_IMAGE_H

#include <stddef.h>
#include <surge/data.h>

typedef struct surge_image {
  int32_t h, w;
  uint8_t *rgb; /* [h, w, 3]; owned */
} surge_image;

/* Decodes a JPEG or PNG file, told apart by their first bytes. Grey becomes
 * RGB, CMYK is converted as Pillow does; of PNG, palettes are looked up, 16
 * bits rounded to 8, and alpha is dropped, not composited (as Pillow's
 * convert("RGB")). No gamma, no colour profile, no EXIF rotation is applied. SURGE_ERROR_DATA names the path and the
 * decoder's message: pixels that are not whole are an error. */
surge_status surge_image_read(surge_image *image, const char *path);
void surge_image_free(surge_image *image);

/* For the decoders: memory for h x w pixels. Refuses images too large to be
 * true. */
surge_status surge_image_allocate(surge_image *image, const char *path,
                                  uint32_t h, uint32_t w);
surge_status surge_jpeg_decode(surge_image *image, const char *path,
                               const uint8_t *bytes, size_t size);
surge_status surge_png_decode(surge_image *image, const char *path,
                              const uint8_t *bytes, size_t size);

/* Writes rgb [h, w, 3]; SURGE_ERROR_DATA: it cannot be, and there is no file. */
surge_status surge_png_write(const char *path, const uint8_t *rgb, int32_t h,
                             int32_t w);

/* A part of an image, resized to scaled_h x scaled_w, of which the network sees
 * the square of `size` pixels from (y, x) on. */
typedef struct surge_part {
  int32_t top, left, h, w; /* in the image */
  int32_t scaled_h, scaled_w;
  int32_t y, x, size;
} surge_part;

/* Shorter side to `resize` (>= size), longer in proportion, then the centre:
 * torchvision's Resize(resize) and CenterCrop(size). */
surge_part surge_part_centre(int32_t h, int32_t w, int32_t resize,
                             int32_t size);

/* torchvision's RandomResizedCrop(size): 8 % to all of the area at a ratio from
 * 3/4 to 4/3, ten tries, then the centre; a function of (h, w) and the pass's
 * seed and epoch and the sample alone. */
surge_part surge_part_random(int32_t h, int32_t w, int32_t size,
                             const surge_data_pass *pass, uint32_t sample);

/* out [size, size, 3] = the part. The filter is a triangle whose support grows
 * with the reduction (antialiased), first along rows, then along columns, each
 * rounded to 8 bits: Pillow's BILINEAR, to the bit. */
surge_status surge_image_resize(const surge_image *image,
                                const surge_part *part, uint8_t *out);

#endif
