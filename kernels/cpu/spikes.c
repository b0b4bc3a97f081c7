/* spikes.c - convolutions that skip the zeros of x (see spikes.h).
 *
 * Counted for one image with n values that are not 0, L = 8 lanes: forward and
 * gradient each do n kernel^2 K/L multiply-adds of a vector, where a dense
 * convolution does H W C kernel^2 K/L. Each reads one vector from the
 * first-level cache, all sums stay in registers. What is paid besides: a list
 * of the non-zeros, and for each run through a part of it a loop whose length
 * no processor can predict. `limit_of` weighs these against each other. */
#include "kernels/cpu/spikes.h"

#include <string.h>

#include "kernels/cpu/cpu.h"

#define LANES 8     /* floats of a vector                                     */
#define VECTORS 4   /* of a tile: 2 x 4 sums forward, 3 x 4 of a gradient fit */
#define COLUMNS 3   /* of the kernel that a gradient sums side by side        */
#define CACHE 24576 /* bytes of the first-level cache for weights, or for dy  */

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t pattern __attribute__((vector_size(LANES * sizeof(int32_t))));

/* Inlined with constant counts of vectors, so that sums become registers. */
#define TEMPLATE static inline __attribute__((always_inline)) void

/* A vector anywhere among floats, to read and to write. By pointer: without
 * AVX, compilers complain of vectors as arguments. */
typedef float loose
    __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));
static inline const loose *from(const float *x) { return (const loose *)x; }
static inline loose *to(float *x) { return (loose *)x; }

static const float zeros[LANES * VECTORS];

/* A vector of one value. */
#define SPLAT(x) ((x) - (vector){0})

static int32_t min(int32_t a, int32_t b) { return a < b ? a : b; }
static int32_t max(int32_t a, int32_t b) { return a > b ? a : b; }

/* Vectors of tile t. */
static int vectors_of(const surge_spikes *s, int32_t t) {
  return (min(s->tile, s->shape.out.c - t * s->tile)) / LANES;
}

/* --- lists ---------------------------------------------------------------- */

/* marks[i] = is x[i] not 0? Behind them 64 bytes that nobody asks for. */
static void mark(uint8_t *marks, const float *x, size_t count) {
  for (size_t i = 0; i < count; i++) marks[i] = x[i] != 0.0f;
  memset(marks + count, 0, 64);
}

/* Bit i is marks[i], i < count <= 64. The product moves byte i of eight to bit
 * 56 + i (little-endian). */
static uint64_t bits_of(const uint8_t *marks, int32_t count) {
  uint64_t bits = 0, eight;
  for (int32_t i = 0; i < count; i += 8) {
    memcpy(&eight, marks + i, sizeof eight);
    bits |= (eight * 0x0102040810204080u >> 56) << i;
  }
  return count < 64 ? bits & ((UINT64_C(1) << count) - 1) : bits;
}

/* The non-zeros of an image for the forward pass, in the order of x: value, and
 * where in a row of weights its weights begin, (column C + channel) tile. Those
 * of row y, column x are start[y (W + 1) + x] up to the next. */
typedef struct entries {
  uint32_t *start;
  int32_t *at;
  float *value;
  uint8_t *marks;
} entries;

static void list_entries(const surge_spikes *s, const entries *list,
                         const float *x) {
  int32_t W = s->shape.in.w, C = s->shape.in.c;
  uint32_t n = 0, *start = list->start;
  for (int32_t y = 0; y < s->shape.in.h; y++, x += W * C) {
    mark(list->marks, x, (size_t)(W * C));
    for (int32_t i = 0; i < W * C;) {
      int32_t end = i + C;
      *start++ = n;
      for (; i < end; i += min(64, end - i))
        for (uint64_t bits = bits_of(list->marks + i, min(64, end - i)); bits;
             bits &= bits - 1) {
          int32_t j = i + __builtin_ctzll(bits);
          list->at[n] = j * s->tile;
          list->value[n++] = x[j];
        }
    }
    *start++ = n;
  }
}

/* The non-zeros of a strip for the gradient, channel by channel: channel c has
 * count[c] of them from c * most on; value, and where in dy's strip their pixel
 * is. */
typedef struct pixels {
  int32_t *count, *at;
  float *value;
  uint8_t *marks;
  size_t most;
} pixels;

static void list_pixels(const surge_spikes *s, const pixels *list,
                        const float *x, int32_t rows) {
  int32_t W = s->shape.in.w, C = s->shape.in.c;
  int32_t width = W + s->shape.kernel - 1;
  memset(list->count, 0, (size_t)C * sizeof *list->count);
  for (int32_t y = 0; y < rows; y++, x += W * C) {
    mark(list->marks, x, (size_t)(W * C));
    for (int32_t column = 0; column < W; column++)
      for (int32_t i = 0; i < C; i += 64) {
        const uint8_t *marks = list->marks + column * C + i;
        for (uint64_t bits = bits_of(marks, min(64, C - i)); bits;
             bits &= bits - 1) {
          int32_t c = i + __builtin_ctzll(bits);
          size_t n = (size_t)c * list->most + (size_t)list->count[c]++;
          list->at[n] = (y * width + column) * s->tile;
          list->value[n] = x[column * C + c];
        }
      }
  }
}

/* --- forward -------------------------------------------------------------- */

/* The sums of a pixel, as two to be added, because two entries at a time hide
 * the latency of adding. */
typedef struct sums {
  vector a[VECTORS], b[VECTORS];
} sums;

/* sum += value[i] w[at[i] - left ..]. An odd last entry is paired with itself,
 * all bits of both factors cleared (0 times a factor may be NaN): a branch that
 * asks would be guessed wrong every other time. */
TEMPLATE add_entries(sums *sum, int vectors, const float *w, int32_t left,
                     const int32_t *at, const float *value, size_t count) {
  static const int32_t keep[2] = {0, -1};
  for (size_t i = 0; i < count; i += 2) {
    size_t next = i + 1 < count;
    const float *p = w + (at[i] - left), *q = w + (at[i + next] - left);
    pattern kept = keep[next] - (pattern){0};
    vector v = SPLAT(value[i]);
    vector u = (vector)((pattern)SPLAT(value[i + next]) & kept);
    for (int k = 0; k < vectors; k++) sum->a[k] += v * *from(p + LANES * k);
    for (int k = 0; k < vectors; k++)
      sum->b[k] += u * (vector)((pattern)*from(q + LANES * k) & kept);
  }
}

/* One tile of y: adds the kernel's rows `first` to `last`, to `b` if they are
 * the first ones. An output pixel's columns of a row of x are one run of the
 * list. */
TEMPLATE forward_tile(const surge_spikes *s, int vectors, float *y,
                      const float *w, const float *b, const entries *list,
                      int32_t first, int32_t last) {
  const surge_conv2d_shape *c = &s->shape;
  int32_t W = c->in.w, column = c->in.c * s->tile;
  for (int32_t row = 0; row < c->out.h; row++)
    for (int32_t x = 0; x < c->out.w; x++, y += c->out.c) {
      sums sum = {0};
      const float *before = first ? y : b;
      int32_t left = x - c->pad, right = left + c->kernel;
      for (int k = 0; k < vectors; k++) sum.a[k] = *from(before + LANES * k);
      for (int32_t ky = first; ky < last; ky++) {
        int32_t in_row = row - c->pad + ky;
        if (in_row < 0 || in_row >= c->in.h) continue;
        const uint32_t *start = list->start + in_row * (W + 1);
        uint32_t begin = start[max(left, 0)], end = start[min(right, W)];
        add_entries(&sum, vectors, w + ky * c->kernel * column, left * column,
                    list->at + begin, list->value + begin, end - begin);
      }
      for (int k = 0; k < vectors; k++)
        *to(y + LANES * k) = sum.a[k] + sum.b[k];
    }
}

static void forward_rows(const surge_spikes *s, int vectors, float *y,
                         const float *w, const float *b, const entries *list,
                         int32_t first, int32_t last) {
  switch (vectors) {
    case 1: forward_tile(s, 1, y, w, b, list, first, last); break;
    case 2: forward_tile(s, 2, y, w, b, list, first, last); break;
    case 3: forward_tile(s, 3, y, w, b, list, first, last); break;
    default: forward_tile(s, 4, y, w, b, list, first, last);
  }
}

static size_t row_elements(const surge_spikes *s) {
  return (size_t)s->shape.in.w * (size_t)s->shape.in.c;
}

static entries take_entries(const surge_spikes *s, surge_cpu_scratch *scratch) {
  size_t rows = (size_t)s->shape.in.h, most = rows * row_elements(s);
  entries list;
  list.start = surge_cpu_take(
      scratch, rows * (size_t)(s->shape.in.w + 1) * sizeof *list.start);
  list.at = surge_cpu_take(scratch, most * sizeof *list.at);
  list.value = surge_cpu_take(scratch, most * sizeof *list.value);
  list.marks = surge_cpu_take(scratch, row_elements(s) + 64);
  return list;
}

/* Floats of a packed tile. */
static size_t tile_count(const surge_spikes *s) {
  size_t kernel = (size_t)s->shape.kernel;
  return kernel * kernel * (size_t)s->shape.in.c * (size_t)s->tile;
}

void surge_spikes_forward(const surge_spikes *s, float *y, const float *x,
                          const float *packed, const float *b, void *scratch) {
  surge_cpu_scratch rest = {scratch, 0};
  entries list = take_entries(s, &rest);
  int32_t kernel = s->shape.kernel;
  list_entries(s, &list, x);
  for (int32_t t = 0; t < s->tiles; t++)
    for (int32_t ky = 0; ky < kernel; ky += s->kernel_rows)
      forward_rows(s, vectors_of(s, t), y + t * s->tile,
                   packed + (size_t)t * tile_count(s),
                   b ? b + t * s->tile : zeros, &list, ky,
                   min(ky + s->kernel_rows, kernel));
}

/* --- gradient of weights and bias ----------------------------------------- */

/* w[k] += value[i] dy[at[i] + (columns - 1 - k) tile ..] for `columns` columns
 * k of the kernel, `stride` floats apart. */
TEMPLATE add_pixels(const surge_spikes *s, int vectors, int columns, float *w,
                    const float *dy, const int32_t *at, const float *value,
                    int32_t count) {
  vector sum[COLUMNS][VECTORS];
  size_t tile = (size_t)s->tile, stride = (size_t)s->shape.in.c * tile;
  size_t last = (size_t)columns - 1;
  for (int k = 0; k < columns; k++)
    for (int l = 0; l < vectors; l++)
      sum[k][l] = *from(w + (size_t)k * stride + LANES * l);
  for (int32_t i = 0; i < count; i++) {
    const float *p = dy + at[i];
    vector v = SPLAT(value[i]);
    for (int k = 0; k < columns; k++)
      for (int l = 0; l < vectors; l++)
        sum[k][l] += v * *from(p + (last - (size_t)k) * tile + LANES * l);
  }
  for (int k = 0; k < columns; k++)
    for (int l = 0; l < vectors; l++)
      *to(w + (size_t)k * stride + LANES * l) = sum[k][l];
}

/* All channels for some columns of one row of the kernel. */
TEMPLATE gradient_columns(const surge_spikes *s, int vectors, int columns,
                          float *w, const float *dy, const pixels *list) {
  for (int32_t c = 0; c < s->shape.in.c; c++, w += s->tile) {
    size_t first = (size_t)c * list->most;
    add_pixels(s, vectors, columns, w, dy, list->at + first,
               list->value + first, list->count[c]);
  }
}

TEMPLATE gradient_vectors(const surge_spikes *s, int vectors, int columns,
                          float *w, const float *dy, const pixels *list) {
  switch (columns) {
    case 1: gradient_columns(s, vectors, 1, w, dy, list); break;
    case 2: gradient_columns(s, vectors, 2, w, dy, list); break;
    default: gradient_columns(s, vectors, 3, w, dy, list);
  }
}

static void gradient_run(const surge_spikes *s, int vectors, int columns,
                         float *w, const float *dy, const pixels *list) {
  switch (vectors) {
    case 1: gradient_vectors(s, 1, columns, w, dy, list); break;
    case 2: gradient_vectors(s, 2, columns, w, dy, list); break;
    case 3: gradient_vectors(s, 3, columns, w, dy, list); break;
    default: gradient_vectors(s, 4, columns, w, dy, list);
  }
}

/* Columns and rows of dy's strip: beyond dy's edges, where a kernel reaches,
 * there are zeros. */
static int32_t halo_width(const surge_spikes *s) {
  return s->shape.in.w + s->shape.kernel - 1;
}
static int32_t halo_height(const surge_spikes *s) {
  return s->strip + s->shape.kernel - 1;
}

/* Copies a tile of the rows of dy that rows first .. first + rows of x meet. */
static void copy_strip(const surge_spikes *s, int vectors, float *halo,
                       const float *dy, int32_t first, int32_t rows) {
  const surge_map *out = &s->shape.out;
  int32_t edge = s->shape.kernel - 1 - s->shape.pad, width = halo_width(s);
  for (int32_t i = 0; i < rows + s->shape.kernel - 1; i++) {
    int32_t row = first - edge + i;
    bool inside = row >= 0 && row < out->h;
    for (int32_t j = 0; j < width; j++, halo += s->tile) {
      int32_t column = j - edge;
      bool there = inside && column >= 0 && column < out->w;
      const float *pixel =
          there ? dy + (row * out->w + column) * out->c : zeros;
      for (int k = 0; k < vectors; k++)
        *to(halo + LANES * k) = *from(pixel + LANES * k);
    }
  }
}

static pixels take_pixels(const surge_spikes *s, surge_cpu_scratch *scratch) {
  size_t C = (size_t)s->shape.in.c;
  pixels list = {.most = (size_t)s->strip * (size_t)s->shape.in.w};
  list.count = surge_cpu_take(scratch, C * sizeof *list.count);
  list.at = surge_cpu_take(scratch, C * list.most * sizeof *list.at);
  list.value = surge_cpu_take(scratch, C * list.most * sizeof *list.value);
  list.marks = surge_cpu_take(scratch, row_elements(s) + 64);
  return list;
}

static float *take_halo(const surge_spikes *s, surge_cpu_scratch *scratch) {
  size_t count = (size_t)halo_height(s) * (size_t)halo_width(s);
  return surge_cpu_take(scratch, count * (size_t)s->tile * sizeof(float));
}

/* packed += the gradient by one tile of a strip. */
static void gradient_tile(const surge_spikes *s, int vectors, float *packed,
                          const float *halo, const pixels *list) {
  int32_t kernel = s->shape.kernel, C = s->shape.in.c;
  for (int32_t ky = 0; ky < kernel; ky++)
    for (int32_t kx = 0; kx < kernel; kx += COLUMNS) {
      int32_t columns = min(COLUMNS, kernel - kx);
      int32_t row = kernel - 1 - ky, column = kernel - kx - columns;
      gradient_run(s, vectors, columns,
                   packed + (ky * kernel + kx) * C * s->tile,
                   halo + (row * halo_width(s) + column) * s->tile, list);
    }
}

static void add_bias(const surge_map *out, float *restrict db,
                     const float *restrict dy) {
  for (int32_t pixel = 0; pixel < out->h * out->w; pixel++, dy += out->c)
    for (int32_t k = 0; k < out->c; k++) db[k] += dy[k];
}

void surge_spikes_gradient(const surge_spikes *s, float *packed, float *db,
                           const float *dy, const float *x, void *scratch) {
  surge_cpu_scratch rest = {scratch, 0};
  pixels list = take_pixels(s, &rest);
  float *halo = take_halo(s, &rest);
  for (int32_t first = 0; first < s->shape.in.h; first += s->strip) {
    int32_t rows = min(s->strip, s->shape.in.h - first);
    list_pixels(s, &list, x + (size_t)first * row_elements(s), rows);
    for (int32_t t = 0; t < s->tiles; t++) {
      int vectors = vectors_of(s, t);
      copy_strip(s, vectors, halo, dy + t * s->tile, first, rows);
      gradient_tile(s, vectors, packed + (size_t)t * tile_count(s), halo,
                    &list);
    }
  }
  if (db) add_bias(&s->shape.out, db, dy);
}

/* --- packed weights ------------------------------------------------------- */

/* Element of [K, kernel^2, C] as packed. */
static size_t packed_at(const surge_spikes *s, size_t k, size_t tap, size_t c) {
  size_t tile = (size_t)s->tile, C = (size_t)s->shape.in.c;
  return k / tile * tile_count(s) + (tap * C + c) * tile + k % tile;
}

static size_t taps_of(const surge_spikes *s) {
  return (size_t)s->shape.kernel * (size_t)s->shape.kernel;
}

void surge_spikes_pack(const surge_spikes *s, float *packed, const float *w) {
  for (size_t k = 0; k < (size_t)s->shape.out.c; k++)
    for (size_t tap = 0; tap < taps_of(s); tap++)
      for (size_t c = 0; c < (size_t)s->shape.in.c; c++)
        packed[packed_at(s, k, tap, c)] = *w++;
}

void surge_spikes_unpack(const surge_spikes *s, float *dw,
                         const float *packed) {
  for (size_t k = 0; k < (size_t)s->shape.out.c; k++)
    for (size_t tap = 0; tap < taps_of(s); tap++)
      for (size_t c = 0; c < (size_t)s->shape.in.c; c++)
        *dw++ += packed[packed_at(s, k, tap, c)];
}

/* --- plan ----------------------------------------------------------------- */

/* Bytes of a row of a tile's kernel. */
static int32_t row_bytes(const surge_spikes *s) {
  return s->shape.kernel * s->shape.in.c * s->tile * (int32_t)sizeof(float);
}

/* Rows of x whose dy fits the cache, and so many at least that less than half
 * of it is copied again with the next strip. */
static int32_t strip_of(const surge_spikes *s) {
  int32_t bytes = halo_width(s) * s->tile * (int32_t)sizeof(float);
  int32_t rows = CACHE / bytes - (s->shape.kernel - 1);
  return min(s->shape.in.h, max(s->shape.kernel, rows));
}

/* Costs, in multiply-adds of a vector by oneDNN's forward pass, as measured on a
 * Zen 3 core, whose vectors have 256 bits. With vectors twice as wide oneDNN is
 * taken to be twice as fast. Without any, this file's code is not the equal of
 * oneDNN's, which looks for them when it runs. */
#if defined __AVX512F__
#define DENSE .5
#elif defined __AVX2__
#define DENSE 1.
#else
#define DENSE 0.
#endif
#define GRADIENT 1.3 /* oneDNN's gradient of the weights, times DENSE */
#define NEAR 1.25    /* one here that reads the first-level cache */
#define FAR 2.       /* one here that reads the second */
#define LISTED 16.   /* a non-zero, listed */
#define ELEMENT 5.   /* an element of x, looked at */
#define RUN 50.      /* a run through a part of a list */
#define COPY 1.      /* a vector of dy, copied */

/* Non-zeros of an image at which skipping costs what oneDNN does. `each`: of
 * a multiply-add; `fixed`: what does not depend on their number. */
static size_t limit_of(const surge_spikes *s, double dense, double each,
                       double fixed) {
  const surge_map *in = &s->shape.in, *out = &s->shape.out;
  double products = (double)(taps_of(s) * (size_t)out->c / LANES);
  double all = (double)out->h * out->w * in->c * products * dense;
  fixed += (double)surge_map_elements(in) * ELEMENT;
  double limit = (all - fixed) / (products * each + LISTED);
  return limit > 0 ? (size_t)limit : 0;
}

static void set_limits(surge_spikes *s) {
  const surge_map *in = &s->shape.in, *out = &s->shape.out;
  double rows = (double)s->shape.kernel * s->tiles, area = out->h * out->w;
  double strips = (in->h + s->strip - 1) / s->strip;
  double columns = (s->shape.kernel + COLUMNS - 1) / COLUMNS;
  double gradient_runs = rows * columns * strips * in->c;
  s->forward_limit =
      limit_of(s, DENSE, row_bytes(s) <= CACHE ? NEAR : FAR, rows * area * RUN);
  s->gradient_limit =
      limit_of(s, GRADIENT * DENSE, NEAR,
               gradient_runs * RUN + area * out->c / LANES * COPY);
}

/* Offsets must fit 32 bits. */
static bool fits(const surge_conv2d_shape *s) {
  bool simple = s->groups == 1 && s->stride == 1 && s->pad < s->kernel;
  bool last = s->in.layout == SURGE_CHANNELS_LAST &&
              s->out.layout == SURGE_CHANNELS_LAST;
  double area = (double)(s->in.h + s->kernel) * (s->in.w + s->kernel);
  bool small =
      area * s->in.c * LANES * VECTORS < 0x1p31 && area * s->out.c < 0x1p31;
  return simple && last && small && s->out.c % LANES == 0;
}

surge_spikes surge_spikes_of(const surge_conv2d_shape *shape) {
  surge_spikes s = {.shape = *shape};
  if (!fits(shape)) return s;
  int32_t vectors = shape->out.c / LANES;
  s.tiles = (vectors + VECTORS - 1) / VECTORS;
  s.tile = (vectors + s.tiles - 1) / s.tiles * LANES;
  s.packed = (size_t)s.tiles * tile_count(&s);
  s.kernel_rows = max(1, CACHE / row_bytes(&s));
  s.strip = strip_of(&s);
  surge_cpu_scratch forward = {NULL, 0}, gradient = {NULL, 0};
  take_entries(&s, &forward);
  take_pixels(&s, &gradient);
  take_halo(&s, &gradient);
  s.scratch = forward.used > gradient.used ? forward.used : gradient.used;
  set_limits(&s);
  return s;
}
