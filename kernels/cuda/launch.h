/* launch.h - what the CUDA kernels share: the one macro through which every
 * launch goes, so that the same sources can be run by an emulator. */
#ifndef SURGE_KERNELS_CUDA_LAUNCH_H
#define SURGE_KERNELS_CUDA_LAUNCH_H

#include <cuda_runtime.h>
#include <surge/backend.h>

#define SURGE_CUDA_BLOCK 256 /* threads a block of the element kernels */

#define SURGE_LAUNCH(kernel, blocks, stream, ...)                              \
  kernel<<<(blocks), SURGE_CUDA_BLOCK, 0, (stream)>>>(__VA_ARGS__)

cudaError_t surge_cuda_integrator_forward(cudaStream_t stream,
                                          const surge_integrator *a);
cudaError_t surge_cuda_integrator_backward(cudaStream_t stream,
                                           const surge_integrator *a);

#endif
