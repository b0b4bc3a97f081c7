/* images.h - small image files that tests make. */
#ifndef SURGE_TESTS_IMAGES_H
#define SURGE_TESTS_IMAGES_H

#include <stdint.h>

/* An image of one colour, [h, w, 3]; PNG keeps it, JPEG nearly. */
void test_write_png(const char *path, int h, int w, const uint8_t rgb[3]);
void test_write_jpeg(const char *path, int h, int w, const uint8_t rgb[3]);

/* Reads a PNG file: *h, *w and rgb [h, w, 3], malloc'ed. */
uint8_t *test_read_png(const char *path, int *h, int *w);

/* Cuts a file to `size` bytes. */
void test_cut_file(const char *path, long size);

#endif
