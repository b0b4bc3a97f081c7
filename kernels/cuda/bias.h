/* bias.h - biases of convolutions and linear layers. Both see a matrix of rows
 * (pixels or images) and columns (channels or outputs), columns innermost. */
#ifndef SURGE_KERNELS_CUDA_BIAS_H
#define SURGE_KERNELS_CUDA_BIAS_H

#include "kernels/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y[r, c] += b[c], y of `type`; nothing where b is NULL. Queued; the op ends the
 * launch. */
void surge_cuda_bias_add(surge_context *context, void *y, surge_dtype type,
                         const float *b, size_t rows, size_t columns);

/* db[c] += sum over r of dy[r, c], dy of `type`; nothing where db is NULL.
 * Likewise. */
void surge_cuda_bias_sum(surge_context *context, float *db, const void *dy,
                         surge_dtype type, size_t rows, size_t columns,
                         void *workspace);

/* Bytes of workspace for up to `rows` rows. */
size_t surge_cuda_bias_workspace(size_t rows, size_t columns);

#ifdef __cplusplus
}
#endif
#endif
