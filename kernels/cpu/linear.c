/* linear.c - products by OpenBLAS, cut so that threads cannot change bits.
 *
 * Each product is a one-thread sgemm inside SURGE's own loop over parts of the
 * output, cut by sizes alone, so that no sum is ever split. Features of a
 * blocked map lie in another order than the weights' columns: then the weights
 * are permuted, never the activations. */
#include <cblas.h>

#include "kernels/cpu/cpu.h"
#include "src/backend/checks.h"

#define IMAGES_A_PART 64
#define ROWS_A_PART 128     /* of dw: outputs  */
#define COLUMNS_A_PART 256  /* of dw: features */

static size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }
static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Do the features lie in another order than the weights' columns? */
static bool permuted(const surge_linear *a) {
  return a->in.layout == SURGE_BLOCKED8 && a->in.h * a->in.w > 1;
}

static size_t weight_count(const surge_linear *a) {
  return surge_map_elements(&a->in) * (size_t)a->out;
}

size_t surge_cpu_linear_workspace(surge_context *context, const surge_linear *a) {
  (void)context;
  return permuted(a) ? weight_count(a) * sizeof(float) : 0;
}

/* One row of weights from logical [H,W,C] to the map's own order, or back,
 * adding. */
static void to_physical(float *physical, const float *logical, const surge_map *m) {
  for (int32_t y = 0; y < m->h; y++)
    for (int32_t x = 0; x < m->w; x++)
      for (int32_t c = 0; c < m->c; c++)
        physical[surge_offset_of(m, y, x, c)] = *logical++;
}

static void add_logical(float *logical, const float *physical, const surge_map *m) {
  for (int32_t y = 0; y < m->h; y++)
    for (int32_t x = 0; x < m->w; x++)
      for (int32_t c = 0; c < m->c; c++, logical++)
        *logical = *logical + physical[surge_offset_of(m, y, x, c)];
}

/* The weights in the order of the features. */
static const float *weights_of(surge_context *context, const surge_linear *a) {
  if (!permuted(a)) return a->w;
  size_t features = surge_map_elements(&a->in);
  float *packed = a->workspace;
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (int32_t o = 0; o < a->out; o++)
    to_physical(packed + (size_t)o * features, a->w + (size_t)o * features, &a->in);
  return packed;
}

surge_status surge_cpu_linear_forward(surge_context *context,
                                      const surge_linear *a) {
  SURGE_TRY(surge_check_linear_forward(a));
  const float *w = weights_of(context, a);
  size_t features = surge_map_elements(&a->in), outputs = (size_t)a->out;
  size_t parts = ceil_div(a->images, IMAGES_A_PART);
#pragma omp parallel for num_threads(context->threads) schedule(dynamic)
  for (size_t p = 0; p < parts; p++) {
    size_t first = p * IMAGES_A_PART, n = least(IMAGES_A_PART, a->images - first);
    float *y = a->y + first * outputs;
    for (size_t i = 0; i < n * outputs; i++) y[i] = a->b ? a->b[i % outputs] : 0.0f;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)outputs, (int)features, 1.0f,
                a->x + first * features, (int)features, w, (int)features, 1.0f, y, (int)outputs);
  }
  return SURGE_OK;
}

surge_status surge_cpu_linear_backward_data(surge_context *context,
                                            const surge_linear *a) {
  SURGE_TRY(surge_check_linear_backward_data(a));
  const float *w = weights_of(context, a);
  size_t features = surge_map_elements(&a->in), outputs = (size_t)a->out;
  size_t parts = ceil_div(a->images, IMAGES_A_PART);
  float beta = a->mode == SURGE_ADD ? 1.0f : 0.0f;
#pragma omp parallel for num_threads(context->threads) schedule(dynamic)
  for (size_t p = 0; p < parts; p++) {
    size_t first = p * IMAGES_A_PART, n = least(IMAGES_A_PART, a->images - first);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)features, (int)outputs,
                1.0f, a->dy + first * outputs, (int)outputs, w, (int)features, beta,
                a->dx + first * features, (int)features);
  }
  return SURGE_OK;
}

/* A part of dw: rows x columns of dy^T x, over all images. */
static void weights_part(const surge_linear *a, float *dw, float beta, size_t p) {
  size_t features = surge_map_elements(&a->in), outputs = (size_t)a->out;
  size_t across = ceil_div(features, COLUMNS_A_PART);
  size_t row = p / across * ROWS_A_PART, column = p % across * COLUMNS_A_PART;
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans,
              (int)least(ROWS_A_PART, outputs - row),
              (int)least(COLUMNS_A_PART, features - column), (int)a->images, 1.0f,
              a->dy + row, (int)outputs, a->x + column, (int)features, beta,
              dw + row * features + column, (int)features);
}

static void bias_gradient(const surge_linear *a) {
  for (int32_t o = 0; o < a->out; o++) {
    double sum = (double)a->db[o];
    for (size_t n = 0; n < a->images; n++)
      sum += (double)a->dy[n * (size_t)a->out + (size_t)o];
    a->db[o] = (float)sum;
  }
}

surge_status surge_cpu_linear_backward_weights(surge_context *context,
                                               const surge_linear *a) {
  SURGE_TRY(surge_check_linear_backward_weights(a));
  size_t features = surge_map_elements(&a->in), outputs = (size_t)a->out;
  size_t parts = ceil_div(features, COLUMNS_A_PART) * ceil_div(outputs, ROWS_A_PART);
  bool pack = permuted(a);
  float *dw = pack ? a->workspace : a->dw;
#pragma omp parallel for num_threads(context->threads) schedule(dynamic)
  for (size_t p = 0; p < parts; p++) weights_part(a, dw, pack ? 0.0f : 1.0f, p);
  if (pack) {
#pragma omp parallel for num_threads(context->threads) schedule(static)
    for (size_t o = 0; o < outputs; o++) add_logical(a->dw + o * features, dw + o * features, &a->in);
  }
  if (a->db) bias_gradient(a);
  return SURGE_OK;
}
