/* resize.c - a part of an image, resampled (see image.h).
 *
 * Output pixel i of n, over m input pixels, is centred at c = (i + 1/2) m/n and
 * weighs input pixel j by max(0, 1 - |j + 1/2 - c| / r) with r = max(1, m/n),
 * over the sum of the weights. Pillow's fixed point: 22 bits of fraction. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/data/image.h"

#define CHANNELS 3
#define FRACTION 22

/* How the pixels of the window along one axis come from those of the part. */
typedef struct resize_axis {
  int32_t *first, *count; /* [size]: inputs first .. first + count - 1  */
  int32_t *weight;        /* [size, taps]                               */
  double *exact;          /* [taps], scratch                            */
  int32_t taps;           /* most inputs of an output                   */
} resize_axis;

static void free_axis(resize_axis *axis) {
  free(axis->first);
  free(axis->count);
  free(axis->weight);
  free(axis->exact);
}

/* Inputs and weights of output `i`, stored at `at`. Each is rounded as Pillow
 * does it, from weights in double. */
static void weigh(resize_axis *axis, int32_t at, double centre, double radius,
                  int32_t inputs) {
  int32_t from = (int32_t)(centre - radius + 0.5);
  int32_t to = (int32_t)(centre + radius + 0.5);
  from = from < 0 ? 0 : from;
  to = to > inputs ? inputs : to;
  double sum = 0, inverse = 1 / radius;
  for (int32_t j = from; j < to; j++) {
    double weight = 1 - fabs((j - centre + 0.5) * inverse);
    axis->exact[j - from] = weight > 0 ? weight : 0;
    sum += axis->exact[j - from];
  }
  axis->first[at] = from;
  axis->count[at] = to - from;
  for (int32_t k = 0; k < to - from; k++)
    axis->weight[at * axis->taps + k] =
        (int32_t)(0.5 + axis->exact[k] / sum * (1 << FRACTION));
}

static bool make_axis(resize_axis *axis, int32_t inputs, int32_t outputs,
                      int32_t offset, int32_t size) {
  double step = (double)inputs / outputs, radius = step > 1 ? step : 1;
  size_t n = (size_t)size;
  axis->taps = (int32_t)ceil(radius) * 2 + 1;
  axis->first = malloc(n * sizeof *axis->first);
  axis->count = malloc(n * sizeof *axis->count);
  axis->weight = malloc(n * (size_t)axis->taps * sizeof *axis->weight);
  axis->exact = malloc((size_t)axis->taps * sizeof *axis->exact);
  if (!axis->first || !axis->count || !axis->weight || !axis->exact)
    return false;
  for (int32_t i = 0; i < size; i++)
    weigh(axis, i, (offset + i + 0.5) * step, radius, inputs);
  return true;
}

/* One output pixel: `in` is its first input, whose neighbours lie `stride`
 * bytes apart. */
static void sum_pixel(uint8_t *out, const uint8_t *in, size_t stride,
                      const int32_t *weight, int32_t count) {
  int32_t sum[CHANNELS];
  for (int c = 0; c < CHANNELS; c++) sum[c] = 1 << (FRACTION - 1);
  for (int32_t k = 0; k < count; k++, in += stride)
    for (int c = 0; c < CHANNELS; c++) sum[c] += in[c] * weight[k];
  for (int c = 0; c < CHANNELS; c++) {
    int32_t value = sum[c] >> FRACTION;
    out[c] = (uint8_t)(value > 255 ? 255 : value);
  }
}

/* rows [count, size, 3] = input rows `first` .. of the part, each resampled. */
static void resample_rows(const surge_image *image, const surge_part *part,
                          const resize_axis *x, int32_t first, int32_t count,
                          uint8_t *rows) {
  size_t width = (size_t)image->w * CHANNELS;
  for (int32_t j = 0; j < count; j++) {
    const uint8_t *row = image->rgb + (size_t)(part->top + first + j) * width +
                         (size_t)part->left * CHANNELS;
    for (int32_t i = 0; i < part->size; i++, rows += CHANNELS)
      sum_pixel(rows, row + (size_t)x->first[i] * CHANNELS, CHANNELS,
                x->weight + i * x->taps, x->count[i]);
  }
}

static void resample_columns(const uint8_t *rows, const resize_axis *y,
                             int32_t first, int32_t size, uint8_t *out) {
  size_t width = (size_t)size * CHANNELS;
  for (int32_t i = 0; i < size; i++) {
    const uint8_t *from = rows + (size_t)(y->first[i] - first) * width;
    for (int32_t j = 0; j < size; j++, out += CHANNELS)
      sum_pixel(out, from + j * CHANNELS, width, y->weight + i * y->taps,
                y->count[i]);
  }
}

surge_status surge_image_resize(const surge_image *image,
                                const surge_part *part, uint8_t *out) {
  resize_axis x = {0}, y = {0};
  uint8_t *rows = NULL;
  int32_t size = part->size, first = 0, count = 0;
  bool made = make_axis(&x, part->w, part->scaled_w, part->x, size) &&
              make_axis(&y, part->h, part->scaled_h, part->y, size);
  if (made) {
    first = y.first[0];
    count = y.first[size - 1] + y.count[size - 1] - first;
    rows = malloc((size_t)count * (size_t)size * CHANNELS);
  }
  if (rows) {
    resample_rows(image, part, &x, first, count, rows);
    resample_columns(rows, &y, first, size, out);
  }
  bool done = rows != NULL;
  free(rows);
  free_axis(&x);
  free_axis(&y);
  if (done) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE,
                    "wanted memory to resize an image of %d x %d, found less",
                    (int)image->h, (int)image->w);
}
