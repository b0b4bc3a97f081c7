/* pixels.c - the operations of AutoAugment (see policy.h), as Pillow's
 * ImageOps, ImageEnhance and Image.transform do them. */
#include <math.h>
#include <string.h>

#include "src/data/policy.h"

static const double pi = 3.14159265358979323846;

static size_t byte_count(const surge_pixels *p) {
  return (size_t)p->h * (size_t)p->w * (size_t)p->c;
}

/* --- geometry ------------------------------------------------------------- */

/* Output pixel (x, y), its middle, shows what lies at (ax*x + bx*y + cx,
 * ay*x + by*y + cy). */
typedef struct affine {
  double ax, bx, cx, ay, by, cy;
} affine;

/* 16 bits of fraction, rounded. */
static int64_t fixed(double x) { return (int64_t)floor(x * 65536 + 0.5); }

/* Pillow's affine_fixed: coordinates are sums in 16.16 fixed point, and the
 * pixel in which they lie is the nearest. */
static void transform(const surge_pixels *p, const affine *m) {
  memcpy(p->scratch, p->bytes, byte_count(p));
  size_t c = (size_t)p->c;
  uint8_t *out = p->bytes;
  int64_t ax = fixed(m->ax), ay = fixed(m->ay);
  int64_t first_x = fixed(m->cx + m->ax * 0.5 + m->bx * 0.5);
  int64_t first_y = fixed(m->cy + m->ay * 0.5 + m->by * 0.5);
  for (int32_t y = 0; y < p->h; y++) {
    int64_t at_x = first_x + y * fixed(m->bx);
    int64_t at_y = first_y + y * fixed(m->by);
    for (int32_t x = 0; x < p->w; x++, out += c, at_x += ax, at_y += ay) {
      int64_t from_x = at_x >> 16, from_y = at_y >> 16;
      bool inside =
          from_x >= 0 && from_x < p->w && from_y >= 0 && from_y < p->h;
      if (inside)
        memcpy(out, p->scratch + (size_t)(from_y * p->w + from_x) * c, c);
      else
        memset(out, 0, c);
    }
  }
}

/* Around the middle of the image. */
static affine rotation(const surge_pixels *p, double degrees) {
  double angle = -degrees * pi / 180, x = p->w / 2.0, y = p->h / 2.0;
  double cosine = cos(angle), sine = sin(angle);
  return (affine){.ax = cosine,
                  .bx = sine,
                  .cx = cosine * -x + sine * -y + x,
                  .ay = -sine,
                  .by = cosine,
                  .cy = -sine * -x + cosine * -y + y};
}

/* --- values --------------------------------------------------------------- */

/* Image.blend: from a (factor 0) over b (factor 1) and on, cut off at 0 and
 * 255, fractions dropped; in single precision, as it rounds there. */
static uint8_t blend(int32_t a, int32_t b, float factor) {
  float value = (float)a + factor * (float)(b - a);
  return value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)value;
}

/* What a value becomes, a channel. */
typedef uint8_t value_table[256];

static void look_up(const surge_pixels *p, int32_t channel,
                    const value_table table) {
  for (size_t i = (size_t)channel; i < byte_count(p); i += (size_t)p->c)
    p->bytes[i] = table[p->bytes[i]];
}

static void look_up_all(const surge_pixels *p, const value_table table) {
  for (int32_t c = 0; c < p->c; c++) look_up(p, c, table);
}

static void posterize(const surge_pixels *p, int32_t bits) {
  value_table table;
  for (int32_t v = 0; v < 256; v++)
    table[v] = (uint8_t)(v & ~((1 << (8 - bits)) - 1));
  look_up_all(p, table);
}

static void solarize(const surge_pixels *p, double threshold) {
  value_table table;
  for (int32_t v = 0; v < 256; v++)
    table[v] = (uint8_t)(v < threshold ? v : 255 - v);
  look_up_all(p, table);
}

/* --- by a histogram ------------------------------------------------------- */

typedef int64_t histogram[256];

static void count_values(const surge_pixels *p, int32_t channel, histogram h) {
  memset(h, 0, sizeof(histogram));
  for (size_t i = (size_t)channel; i < byte_count(p); i += (size_t)p->c)
    h[p->bytes[i]]++;
}

/* Values that occur, from the least to the greatest. */
static void find_range(const histogram h, int32_t *low, int32_t *high) {
  *low = 0;
  *high = 255;
  while (h[*low] == 0) ++*low;
  while (h[*high] == 0) --*high;
}

/* The range of values is stretched over all. */
static void autocontrast(const surge_pixels *p, int32_t channel) {
  histogram h;
  value_table table;
  int32_t low, high;
  count_values(p, channel, h);
  find_range(h, &low, &high);
  if (low == high) return;
  double scale = 255.0 / (high - low), offset = -low * scale;
  for (int32_t v = 0; v < 256; v++) {
    double value = v * scale + offset;
    table[v] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
  }
  look_up(p, channel, table);
}

/* Values are spread so that all are about equally frequent. */
static void equalize(const surge_pixels *p, int32_t channel) {
  histogram h;
  value_table table;
  int32_t low, high;
  count_values(p, channel, h);
  find_range(h, &low, &high);
  int64_t step = ((int64_t)p->h * p->w - h[high]) / 255, sum = step / 2;
  if (low == high || step == 0) return;
  for (int32_t v = 0; v < 256; sum += h[v++])
    table[v] = (uint8_t)(sum / step > 255 ? 255 : sum / step);
  look_up(p, channel, table);
}

/* --- enhanced ------------------------------------------------------------- */

/* A pixel's grey value: Image.convert("L"). */
static int32_t grey(const surge_pixels *p, const uint8_t *pixel) {
  if (p->c == 1) return pixel[0];
  return (pixel[0] * 19595 + pixel[1] * 38470 + pixel[2] * 7471 + 0x8000) >> 16;
}

/* Blends every value with one. */
static void blend_with(const surge_pixels *p, int32_t value, float factor) {
  value_table table;
  for (int32_t v = 0; v < 256; v++) table[v] = blend(value, v, factor);
  look_up_all(p, table);
}

static void color(const surge_pixels *p, float factor) {
  uint8_t *end = p->bytes + byte_count(p);
  for (uint8_t *pixel = p->bytes; pixel < end; pixel += p->c) {
    int32_t value = grey(p, pixel);
    for (int32_t c = 0; c < p->c; c++)
      pixel[c] = blend(value, pixel[c], factor);
  }
}

static void contrast(const surge_pixels *p, float factor) {
  int64_t sum = 0;
  const uint8_t *end = p->bytes + byte_count(p);
  for (const uint8_t *pixel = p->bytes; pixel < end; pixel += p->c)
    sum += grey(p, pixel);
  double mean = (double)sum / ((double)p->h * p->w);
  blend_with(p, (int32_t)(mean + 0.5), factor);
}

/* ImageFilter.SMOOTH of a value within the border: the middle 5 times and its
 * neighbours, over 13, rounded. */
static int32_t smooth(const surge_pixels *p, size_t at) {
  size_t side = (size_t)p->c, row = (size_t)p->w * side;
  int32_t sum = 4 * p->scratch[at];
  for (size_t y = at - row; y <= at + row; y += row)
    for (size_t x = y - side; x <= y + side; x += side) sum += p->scratch[x];
  return (2 * sum + 13) / 26;
}

/* The border stays as it is. */
static void sharpness(const surge_pixels *p, float factor) {
  size_t side = (size_t)p->c, row = (size_t)p->w * side;
  memcpy(p->scratch, p->bytes, byte_count(p));
  for (int32_t y = 1; y < p->h - 1; y++)
    for (size_t i = side; i < row - side; i++) {
      size_t at = (size_t)y * row + i;
      p->bytes[at] = blend(smooth(p, at), p->bytes[at], factor);
    }
}

/* --- all of them ---------------------------------------------------------- */

void surge_pixels_apply(const surge_pixels *p, surge_pixel_op op,
                        double magnitude) {
  float factor = (float)(1 + magnitude);
  affine m = {.ax = 1, .by = 1};
  switch (op) {
    case SURGE_PIXELS_SHEAR_X: m.bx = magnitude; break;
    case SURGE_PIXELS_SHEAR_Y: m.ay = magnitude; break;
    case SURGE_PIXELS_TRANSLATE_X: m.cx = -magnitude; break;
    case SURGE_PIXELS_TRANSLATE_Y: m.cy = -magnitude; break;
    case SURGE_PIXELS_ROTATE: m = rotation(p, magnitude); break;
    case SURGE_PIXELS_BRIGHTNESS: blend_with(p, 0, factor); return;
    case SURGE_PIXELS_COLOR: color(p, factor); return;
    case SURGE_PIXELS_CONTRAST: contrast(p, factor); return;
    case SURGE_PIXELS_SHARPNESS: sharpness(p, factor); return;
    case SURGE_PIXELS_POSTERIZE: posterize(p, (int32_t)magnitude); return;
    case SURGE_PIXELS_SOLARIZE: solarize(p, magnitude); return;
    case SURGE_PIXELS_INVERT: solarize(p, 0); return;
    case SURGE_PIXELS_AUTOCONTRAST:
      for (int32_t c = 0; c < p->c; c++) autocontrast(p, c);
      return;
    case SURGE_PIXELS_EQUALIZE:
      for (int32_t c = 0; c < p->c; c++) equalize(p, c);
      return;
    default: return;
  }
  transform(p, &m);
}
