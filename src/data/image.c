/* image.c - a file's bytes, and which decoder they are for (see image.h). */
#include "src/data/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Beyond these a header is damaged rather than an image large. */
#define MOST_FILE_BYTES (1u << 30)
#define MOST_PIXELS (1u << 28)

surge_status surge_image_allocate(surge_image *image, const char *path,
                                  uint32_t h, uint32_t w) {
  if (h < 1 || w < 1 || (uint64_t)h * w > MOST_PIXELS)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: wanted an image of 1 to %u pixels, found %u x %u",
                      path, MOST_PIXELS, (unsigned)h, (unsigned)w);
  *image = (surge_image){.h = (int32_t)h, .w = (int32_t)w};
  image->rgb = malloc((size_t)h * w * 3);
  if (image->rgb) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE,
                    "%s: wanted memory for %u x %u pixels, found less", path,
                    (unsigned)h, (unsigned)w);
}

void surge_image_free(surge_image *image) {
  free(image->rgb);
  *image = (surge_image){0};
}

static surge_status read_whole(FILE *file, const char *path, uint8_t **bytes,
                               size_t *size) {
  struct stat info;
  errno = 0;
  if (fstat(fileno(file), &info) != 0 || S_ISDIR(info.st_mode))
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s", path,
                      strerror(errno ? errno : EISDIR));
  if (info.st_size > MOST_FILE_BYTES)
    return SURGE_FAIL(SURGE_ERROR_DATA,
                      "%s: wanted at most %u bytes, found %lld", path,
                      MOST_FILE_BYTES, (long long)info.st_size);
  *size = (size_t)info.st_size;
  *bytes = malloc(*size + 1);
  if (!*bytes)
    return SURGE_FAIL(SURGE_ERROR_DEVICE,
                      "%s: wanted memory for %zu bytes, found less", path,
                      *size);
  if (fread(*bytes, 1, *size, file) == *size) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s", path,
                    ferror(file) ? strerror(errno) : "it became shorter");
}

static surge_status decode(surge_image *image, const char *path,
                           const uint8_t *bytes, size_t size) {
  static const uint8_t jpeg[] = {0xff, 0xd8, 0xff},
                       png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  if (size >= sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0)
    return surge_jpeg_decode(image, path, bytes, size);
  if (size >= sizeof png && memcmp(bytes, png, sizeof png) == 0)
    return surge_png_decode(image, path, bytes, size);
  char found[3 * sizeof png + 1] = "";
  for (size_t i = 0; i < size && i < sizeof png; i++)
    snprintf(found + 3 * i, 4, " %02x", bytes[i]);
  return SURGE_FAIL(SURGE_ERROR_DATA,
                    "%s: wanted a JPEG or PNG image, found %zu bytes%s%s", path,
                    size, size ? " that begin with" : "", found);
}

surge_status surge_image_read(surge_image *image, const char *path) {
  uint8_t *bytes = NULL;
  size_t size = 0;
  *image = (surge_image){0};
  FILE *file = fopen(path, "rb");
  if (!file)
    return SURGE_FAIL(SURGE_ERROR_DATA, "%s: %s", path, strerror(errno));
  surge_status status = read_whole(file, path, &bytes, &size);
  fclose(file);
  if (status == SURGE_OK) status = decode(image, path, bytes, size);
  free(bytes);
  if (status != SURGE_OK) surge_image_free(image);
  return status;
}
