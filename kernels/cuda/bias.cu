/* bias.cu - biases of convolutions and linear layers on the device; see bias.h.
 *
 * cuDNN's and cuBLAS's own calls would do for some of this; one pair of kernels
 * serves both layers, and its sums keep the house's rule: blocks of rows that
 * sizes alone cut, then one thread a column that adds them in order, all in
 * double. */
#include "kernels/cuda/bias.h"
#include "kernels/cuda/launch.h"

#define ROWS_AT_LEAST 256 /* of a group, which one block sums             */
#define GROUPS_AT_MOST 256
#define LANES (SURGE_CUDA_BLOCK / SURGE_WARP) /* threads a column of a block */

__global__ void bias_add_kernel(float *y, const float *b, size_t count,
                                size_t columns) {
  size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
  if (i < count) y[i] += b[i % columns];
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
__global__ void bias_partial_kernel(double *partial, const float *dy,
                                    size_t rows, size_t columns,
                                    size_t per_group) {
  SURGE_SHARED double lanes[LANES][SURGE_WARP];
  unsigned column = threadIdx.x % SURGE_WARP, lane = threadIdx.x / SURGE_WARP;
  size_t c = blockIdx.x * (size_t)SURGE_WARP + column, group = blockIdx.y;
  size_t end = (group + 1) * per_group < rows ? (group + 1) * per_group : rows;
  double sum = 0;
  if (c < columns)
    for (size_t r = group * per_group + lane; r < end; r += LANES)
      sum += (double)dy[r * columns + c];
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

void surge_cuda_bias_add(surge_context *context, float *y, const float *b,
                         size_t rows, size_t columns) {
  if (!b) return;
  SURGE_LAUNCH(
      (bias_add_kernel), surge_cuda_blocks(rows * columns, SURGE_CUDA_BLOCK),
      SURGE_CUDA_BLOCK, 0, context->stream, y, b, rows * columns, columns);
}

void surge_cuda_bias_sum(surge_context *context, float *db, const float *dy,
                         size_t rows, size_t columns, void *workspace) {
  if (!db) return;
  double *partial = (double *)workspace;
  size_t groups = group_count(rows);
  SURGE_LAUNCH((bias_partial_kernel),
               dim3(surge_cuda_blocks(columns, SURGE_WARP), (unsigned)groups),
               SURGE_CUDA_BLOCK, 0, context->stream, partial, dy, rows, columns,
               group_rows(rows));
  SURGE_LAUNCH((bias_combine_kernel),
               surge_cuda_blocks(columns, SURGE_CUDA_BLOCK), SURGE_CUDA_BLOCK,
               0, context->stream, db, (const double *)partial, groups,
               columns);
}

size_t surge_cuda_bias_workspace(size_t rows, size_t columns) {
  return group_count(rows) * columns * sizeof(double);
}
