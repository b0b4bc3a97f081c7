/* libraries.h - how calls of cuDNN and cuBLAS report, and the bias that neither
 * adds in one pass. */
#ifndef SURGE_KERNELS_CUDA_LIBRARIES_H
#define SURGE_KERNELS_CUDA_LIBRARIES_H

#include <cublas_v2.h>
#include <cudnn.h>

#include "kernels/cuda/bias.h"
#include "kernels/cuda/cuda.h"

/* SURGE_ERROR_DEVICE, naming op and call, where a library's call failed. */
surge_status surge_cuda_dnn_check(const char *op, const char *call,
                                  cudnnStatus_t status);
surge_status surge_cuda_blas_check(const char *op, const char *call,
                                   cublasStatus_t status);

/* Calls, and leaves the calling function where the call failed. */
#define SURGE_DNN(op, function, ...)                                           \
  SURGE_TRY(surge_cuda_dnn_check((op), #function, function(__VA_ARGS__)))
#define SURGE_BLAS(op, function, ...)                                          \
  SURGE_TRY(surge_cuda_blas_check((op), #function, function(__VA_ARGS__)))

#endif
