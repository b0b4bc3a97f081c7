/* cast.h - from bf16 back to fp32. */
#ifndef SURGE_KERNELS_CUDA_CAST_H
#define SURGE_KERNELS_CUDA_CAST_H

#include "kernels/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

/* to[i] += rounded[i], bf16 [count]. Queued; the op ends the launch. */
void surge_cuda_add_rounded(surge_context *context, float *to,
                            const void *rounded, size_t count);

#ifdef __cplusplus
}
#endif
#endif
