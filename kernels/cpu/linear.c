/* linear.c - linear layers: OpenBLAS multiplies, SURGE cuts.
 *
 * OpenBLAS gives other bits with other numbers of threads, so each product is
 * cut by sizes alone into one-thread calls within SURGE's parallel loop: y and
 * dx by images, dw into tiles that each see all images. Where x is blocked, its
 * features lie in another order than the columns of w: then w is packed into
 * x's order (and dw out of it), because w is smaller than the activations. */
#include <cblas.h>
#undef I /* <complex.h>, which cblas.h includes, takes it */

#include "kernels/cpu/cpu.h"
#include "src/backend/checks.h"

#define LEAST_ROWS 8    /* images of a slice: at least                         */
#define MOST_ROWS 64    /* and at most                                         */
#define SLICES 16       /* as many slices as this, where rows allow            */
#define TILE_OUT 128    /* a tile of dw: outputs,                              */
#define TILE_IN 256     /* and features                                        */
#define BIAS_COLUMNS 64 /* outputs of db that a thread sums at a time          */

static size_t min(size_t a, size_t b) { return a < b ? a : b; }

static size_t inputs_of(const surge_linear *a) {
  return surge_map_elements(&a->in);
}

/* Images of a slice of y or dx. */
static size_t slice_rows(size_t images) {
  size_t rows = (images + SLICES - 1) / SLICES;
  return rows < LEAST_ROWS ? LEAST_ROWS : min(rows, MOST_ROWS);
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
      const float *from = a->w + o * I + logical_column(&a->in, i);
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

surge_status surge_cpu_linear_forward(surge_context *context,
                                      const surge_linear *a) {
  SURGE_TRY(surge_check_linear_forward(a));
  SURGE_TRY(check_workspace("linear_forward", a));
  const float *w = weights_for(context, a);
  size_t I = inputs_of(a), O = (size_t)a->out, rows = slice_rows(a->images);
#pragma omp parallel for num_threads(context->threads) schedule(dynamic)
  for (size_t n = 0; n < a->images; n += rows) {
    size_t here = min(rows, a->images - n);
    float *y = a->y + n * O;
    for (size_t i = 0; a->b && i < here * O; i++) y[i] = a->b[i % O];
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)here, (int)O,
                (int)I, 1, a->x + n * I, (int)I, w, (int)I, a->b ? 1 : 0, y,
                (int)O);
  }
  return SURGE_OK;
}

surge_status surge_cpu_linear_backward_data(surge_context *context,
                                            const surge_linear *a) {
  SURGE_TRY(surge_check_linear_backward_data(a));
  SURGE_TRY(check_workspace("linear_backward_data", a));
  const float *w = weights_for(context, a);
  size_t I = inputs_of(a), O = (size_t)a->out, rows = slice_rows(a->images);
  float beta = a->mode == SURGE_ADD ? 1 : 0;
#pragma omp parallel for num_threads(context->threads) schedule(dynamic)
  for (size_t n = 0; n < a->images; n += rows)
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans,
                (int)min(rows, a->images - n), (int)I, (int)O, 1,
                a->dy + n * O, (int)O, w, (int)I, beta, a->dx + n * I, (int)I);
  return SURGE_OK;
}

/* --- gradient of weights and bias ----------------------------------------- */

/* dw of a tile whose columns lie in x's order: computed in the workspace, then
 * added where they belong. */
static void add_tile(const surge_linear *a, size_t o, size_t outs, size_t i,
                     size_t ins) {
  size_t I = inputs_of(a);
  const float *tile = a->workspace;
  for (size_t row = o; row < o + outs; row++)
    for (size_t column = i; column < i + ins; column += 8) {
      float *to = a->dw + row * I + logical_column(&a->in, column);
      for (size_t lane = 0; lane < 8; lane++)
        to[lane] += tile[row * I + column + lane];
    }
}

/* dw of outputs o.. and features i..: dy^T x over all images. */
static void weights_tile(const surge_linear *a, size_t o, size_t i) {
  size_t I = inputs_of(a), O = (size_t)a->out;
  size_t outs = min(TILE_OUT, O - o), ins = min(TILE_IN, I - i);
  bool packed = is_packed(&a->in);
  float *to = (packed ? a->workspace : a->dw);
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)outs, (int)ins,
              (int)a->images, 1, a->dy + o, (int)O, a->x + i, (int)I,
              packed ? 0 : 1, to + o * I + i, (int)I);
  if (packed) add_tile(a, o, outs, i, ins);
}

/* db of outputs o..: a column of dy is summed in double. */
static void bias_columns(const surge_linear *a, size_t o) {
  size_t O = (size_t)a->out, columns = min(BIAS_COLUMNS, O - o);
  double sum[BIAS_COLUMNS] = {0};
  for (size_t n = 0; n < a->images; n++)
    for (size_t c = 0; c < columns; c++)
      sum[c] += (double)a->dy[n * O + o + c];
  for (size_t c = 0; c < columns; c++)
    a->db[o + c] = (float)((double)a->db[o + c] + sum[c]);
}

surge_status surge_cpu_linear_backward_weights(surge_context *context,
                                               const surge_linear *a) {
  SURGE_TRY(surge_check_linear_backward_weights(a));
  SURGE_TRY(check_workspace("linear_backward_weights", a));
  size_t I = inputs_of(a), O = (size_t)a->out;
#pragma omp parallel for collapse(2) num_threads(context->threads) \
    schedule(dynamic)
  for (size_t o = 0; o < O; o += TILE_OUT)
    for (size_t i = 0; i < I; i += TILE_IN) weights_tile(a, o, i);
  if (!a->db) return SURGE_OK;
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (size_t o = 0; o < O; o += BIAS_COLUMNS) bias_columns(a, o);
  return SURGE_OK;
}
