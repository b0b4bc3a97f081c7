/* bias.cu - biases of convolutions and linear layers on the device; see bias.h.
 *
 * cuDNN's and cuBLAS's own calls would do for some of this; one pair of kernels
 * serves both layers, and its sums keep the house's rule: blocks of rows that
 * sizes alone cut, then one thread a column that adds them in order, all in
 * double. */
#include "kernels/cuda/bias.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/vector.h"

#define ROWS_AT_LEAST 256 /* of a group, which one block sums             */
#define GROUPS_AT_MOST 256
#define LANES (SURGE_CUDA_BLOCK / SURGE_WARP) /* threads a column of a block */

template <typename E>
__global__ void bias_add_kernel(E *y, const float *b, size_t count,
                                size_t columns) {
  size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
  if (i < count) y[i] = (E)((float)y[i] + b[i % columns]);
}

/* Rows of a group, and how many groups there are. */
static size_t group_rows(size_t rows) {
  size_t share = (rows + GROUPS_AT_MOST - 1) / GROUPS_AT_MOST;
  return share > ROWS_AT_LEAST ? share : ROWS_AT_LEAST;
}

static size_t group_count(size_t rows) {
  return (rows + group_rows(rows) - 1) / group_rows(rows);
}

/* partial[group, c] = sum of dy over the rows of a group. A block has a warp of
 * columns and LANES rows: lane l adds the rows l, l + LANES, ... in order, then
 * the first lane adds the lanes. */
template <typename E>
__global__ void bias_partial_kernel(double *partial, const E *dy, size_t rows,
                                    size_t columns, size_t per_group) {
  SURGE_SHARED double lanes[LANES][SURGE_WARP];
  unsigned column = threadIdx.x % SURGE_WARP, lane = threadIdx.x / SURGE_WARP;
  size_t c = blockIdx.x * (size_t)SURGE_WARP + column, group = blockIdx.y;
  size_t end = (group + 1) * per_group < rows ? (group + 1) * per_group : rows;
  double sum = 0;
  if (c < columns)
    for (size_t r = group * per_group + lane; r < end; r += LANES)
      sum += (double)(float)dy[r * columns + c];
  lanes[lane][column] = sum;
  __syncthreads();
  if (lane > 0 || c >= columns) return;
  for (unsigned l = 1; l < LANES; l++) sum += lanes[l][column];
  partial[group * columns + c] = sum;
}

__global__ void bias_combine_kernel(float *db, const double *partial,
                                    size_t groups, size_t columns) {
  size_t c = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
  if (c >= columns) return;
  double sum = (double)db[c];
  for (size_t g = 0; g < groups; g++) sum += partial[g * columns + c];
  db[c] = (float)sum;
}

template <typename E>
static void queue_add(surge_context *context, void *y, const float *b,
                      size_t rows, size_t columns) {
  SURGE_LAUNCH(
      (bias_add_kernel<E>), surge_cuda_blocks(rows * columns, SURGE_CUDA_BLOCK),
      SURGE_CUDA_BLOCK, 0, context->stream, (E *)y, b, rows * columns, columns);
}

void surge_cuda_bias_add(surge_context *context, void *y, surge_dtype type,
                         const float *b, size_t rows, size_t columns) {
  if (b) SURGE_BY_TYPE(type, queue_add, context, y, b, rows, columns);
}

template <typename E>
static void queue_partial(surge_context *context, double *partial,
                          const void *dy, size_t rows, size_t columns) {
  dim3 blocks(surge_cuda_blocks(columns, SURGE_WARP),
              (unsigned)group_count(rows));
  SURGE_LAUNCH((bias_partial_kernel<E>), blocks, SURGE_CUDA_BLOCK, 0,
               context->stream, partial, (const E *)dy, rows, columns,
               group_rows(rows));
}

void surge_cuda_bias_sum(surge_context *context, float *db, const void *dy,
                         surge_dtype type, size_t rows, size_t columns,
                         void *workspace) {
  if (!db) return;
  double *partial = (double *)workspace;
  SURGE_BY_TYPE(type, queue_partial, context, partial, dy, rows, columns);
  SURGE_LAUNCH((bias_combine_kernel),
               surge_cuda_blocks(columns, SURGE_CUDA_BLOCK), SURGE_CUDA_BLOCK,
               0, context->stream, db, (const double *)partial,
               group_count(rows), columns);
}

size_t surge_cuda_bias_workspace(size_t rows, size_t columns) {
  return group_count(rows) * columns * sizeof(double);
}
