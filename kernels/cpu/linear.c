/* linear.c - linear layers: OpenBLAS multiplies, SURGE cuts.
 *
 * OpenBLAS gives other bits with other numbers of threads, so the result of a
 * product is cut into tiles by sizes alone, each a one-thread call within
 * SURGE's parallel loop that sums over everything. Where x is blocked, its
 * features lie in another order than the columns of w: then w is packed into
 * x's order (and dw out of it), because w is smaller than the activations. */
#include <cblas.h>
#include <string.h>
#undef I /* <complex.h>, which cblas.h includes, takes it */

#include "kernels/cpu/cpu.h"
#include "src/backend/checks.h"

/* A product has at least TILES tiles, unless their sides would be shorter than
 * TILE_SIDE; a thread sums BIAS_COLUMNS outputs of db at a time. */
#define TILES 32
#define TILE_SIDE 16
#define BIAS_COLUMNS 64

static size_t min(size_t a, size_t b) { return a < b ? a : b; }

static size_t inputs_of(const surge_linear *a) {
  return surge_map_elements(&a->in);
}

/* The tiles of a product of rows x columns: `height` x `width` and smaller ones
 * at the ends. */
typedef struct tiles {
  size_t rows, columns, height, width;
} tiles;

/* Sides are multiples of TILE_SIDE, or all. The longer side is halved until
 * there are TILES: square tiles read least. */
static tiles cut(size_t rows, size_t columns) {
  tiles t = {rows, columns, rows, columns};
  for (;;) {
    size_t down = (rows + t.height - 1) / t.height;
    size_t across = (columns + t.width - 1) / t.width;
    size_t *longer = t.height > t.width ? &t.height : &t.width;
    if (down * across >= TILES || *longer <= TILE_SIDE) return t;
    *longer = (*longer + 2 * TILE_SIDE - 1) / (2 * TILE_SIDE) * TILE_SIDE;
  }
}

/* --- the order of features ------------------------------------------------ */

/* Does x store its features in another order than w? */
static bool is_packed(const surge_map *map) {
  return map->layout == SURGE_BLOCKED8 && map->h * map->w > 1;
}

/* Logical column of the physical feature i, the first of eight neighbours. */
static size_t logical_column(const surge_map *map, size_t i) {
  size_t plane = (size_t)map->h * (size_t)map->w;
  return i / 8 % plane * (size_t)map->c + i / (8 * plane) * 8;
}

/* The weights in the order of x: themselves, or packed into the workspace. */
static const float *weights_for(const surge_context *context,
                                const surge_linear *a) {
  if (!is_packed(&a->in)) return a->w;
  size_t I = inputs_of(a), O = (size_t)a->out;
  float *packed = a->workspace;
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (size_t o = 0; o < O; o++)
    for (size_t i = 0; i < I; i += 8) {
      const float *from =
          surge_cpu_from(a->w, o * I + logical_column(&a->in, i));
      for (size_t lane = 0; lane < 8; lane++)
        packed[o * I + i + lane] = from[lane];
    }
  return packed;
}

static surge_status check_workspace(const char *op, const surge_linear *a) {
  if (!is_packed(&a->in)) return SURGE_OK;
  return surge_check_pointer(op, "workspace", a->workspace);
}

size_t surge_cpu_linear_workspace(surge_context *context,
                                  const surge_linear *a) {
  (void)context;
  if (!is_packed(&a->in)) return 0;
  return (size_t)a->out * inputs_of(a) * sizeof(float);
}

/* --- forward and gradient of the input ------------------------------------ */

/* y of images n.. and outputs o.. */
static void forward_tile(const surge_linear *a, const float *w, const tiles *t,
                         size_t n, size_t o) {
  size_t I = inputs_of(a), O = (size_t)a->out;
  size_t height = min(t->height, t->rows - n);
  size_t width = min(t->width, t->columns - o);
  float *y = surge_cpu_to(a->y, n * O + o);
  for (size_t row = 0; a->b && row < height; row++)
    memcpy(y + row * O, a->b + o, width * sizeof *y);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)height, (int)width,
              (int)I, 1, surge_cpu_from(a->x, n * I), (int)I, w + o * I, (int)I,
              a->b ? 1 : 0, y, (int)O);
}

surge_status surge_cpu_linear_forward(surge_context *context,
                                      const surge_linear *a) {
  SURGE_TRY(surge_check_linear_forward(a));
  SURGE_TRY(check_workspace("linear_forward", a));
  const float *w = weights_for(context, a);
  tiles t = cut(a->images, (size_t)a->out);
#pragma omp parallel for collapse(2) num_threads(context->threads)             \
    schedule(dynamic)
  for (size_t n = 0; n < t.rows; n += t.height)
    for (size_t o = 0; o < t.columns; o += t.width)
      forward_tile(a, w, &t, n, o);
  return SURGE_OK;
}

/* dx of images n.. and features i.. */
static void data_tile(const surge_linear *a, const float *w, const tiles *t,
                      size_t n, size_t i) {
  size_t I = inputs_of(a), O = (size_t)a->out;
  cblas_sgemm(
      CblasRowMajor, CblasNoTrans, CblasNoTrans,
      (int)min(t->height, t->rows - n), (int)min(t->width, t->columns - i),
      (int)O, 1, surge_cpu_from(a->dy, n * O), (int)O, w + i, (int)I,
      a->mode == SURGE_ADD ? 1 : 0, surge_cpu_to(a->dx, n * I + i), (int)I);
}

surge_status surge_cpu_linear_backward_data(surge_context *context,
                                            const surge_linear *a) {
  SURGE_TRY(surge_check_linear_backward_data(a));
  SURGE_TRY(check_workspace("linear_backward_data", a));
  const float *w = weights_for(context, a);
  tiles t = cut(a->images, inputs_of(a));
#pragma omp parallel for collapse(2) num_threads(context->threads)             \
    schedule(dynamic)
  for (size_t n = 0; n < t.rows; n += t.height)
    for (size_t i = 0; i < t.columns; i += t.width) data_tile(a, w, &t, n, i);
  return SURGE_OK;
}

/* --- gradient of weights and bias ----------------------------------------- */

/* Adds a tile whose columns lie in x's order to dw, where they belong. A tile's
 * columns begin and end between blocks of eight channels. */
static void add_tile(const surge_linear *a, size_t o, size_t height, size_t i,
                     size_t width) {
  size_t I = inputs_of(a);
  const float *tile = a->workspace;
  for (size_t row = o; row < o + height; row++)
    for (size_t column = i; column < i + width; column += 8) {
      float *to = a->dw + row * I + logical_column(&a->in, column);
      for (size_t lane = 0; lane < 8; lane++)
        to[lane] += tile[row * I + column + lane];
    }
}

/* dw of outputs o.. and features i.. */
static void weights_tile(const surge_linear *a, const tiles *t, size_t o,
                         size_t i) {
  size_t I = inputs_of(a), O = (size_t)a->out;
  size_t height = min(t->height, t->rows - o);
  size_t width = min(t->width, t->columns - i);
  bool packed = is_packed(&a->in);
  float *to = packed ? a->workspace : a->dw;
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)height, (int)width,
              (int)a->images, 1, surge_cpu_from(a->dy, o), (int)O,
              surge_cpu_from(a->x, i), (int)I, packed ? 0 : 1, to + o * I + i,
              (int)I);
  if (packed) add_tile(a, o, height, i, width);
}

/* db of outputs o..: a column of dy is summed in double. */
static void bias_columns(const surge_linear *a, size_t o) {
  size_t O = (size_t)a->out, columns = min(BIAS_COLUMNS, O - o);
  double sum[BIAS_COLUMNS] = {0};
  for (size_t n = 0; n < a->images; n++)
    for (size_t c = 0; c < columns; c++)
      sum[c] += (double)*surge_cpu_from(a->dy, n * O + o + c);
  for (size_t c = 0; c < columns; c++)
    a->db[o + c] = (float)((double)a->db[o + c] + sum[c]);
}

surge_status surge_cpu_linear_backward_weights(surge_context *context,
                                               const surge_linear *a) {
  SURGE_TRY(surge_check_linear_backward_weights(a));
  SURGE_TRY(check_workspace("linear_backward_weights", a));
  tiles t = cut((size_t)a->out, inputs_of(a));
#pragma omp parallel for collapse(2) num_threads(context->threads)             \
    schedule(dynamic)
  for (size_t o = 0; o < t.rows; o += t.height)
    for (size_t i = 0; i < t.columns; i += t.width) weights_tile(a, &t, o, i);
  if (!a->db) return SURGE_OK;
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (size_t o = 0; o < t.rows; o += BIAS_COLUMNS) bias_columns(a, o);
  return SURGE_OK;
}
