/* integrator.cu - membrane readout on the device; see backend.h.
 *
 * u[t] = d*u[t-1] + x[t] and its adjoint dx[t] = g[t] + d*dx[t+1]: the same
 * recurrence, walked forward or backward in time. One thread a neuron: the
 * membrane stays in a register, neighbours read neighbouring addresses. */
#include "kernels/cuda/launch.h"

template <bool forward>
__global__ void integrator_kernel(float *y, const float *x, const float *scalars,
                                  int T, size_t M) {
  size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
  if (i >= M) return;
  float d = scalars[SURGE_SCALAR_DECAY], u = 0.0f;
  for (int k = 0; k < T; k++) {
    size_t at = (size_t)(forward ? k : T - 1 - k) * M + i;
    u = __fadd_rn(__fmul_rn(d, u), x[at]); /* two roundings, as on the host */
    y[at] = u;
  }
}

static unsigned blocks_for(size_t M) {
  return (unsigned)((M + SURGE_CUDA_BLOCK - 1) / SURGE_CUDA_BLOCK);
}

cudaError_t surge_cuda_integrator_forward(cudaStream_t stream,
                                          const surge_integrator *a) {
  SURGE_LAUNCH(integrator_kernel<true>, blocks_for(a->M), stream, a->y, a->x,
               a->scalars, a->T, a->M);
  return cudaGetLastError();
}

cudaError_t surge_cuda_integrator_backward(cudaStream_t stream,
                                           const surge_integrator *a) {
  SURGE_LAUNCH(integrator_kernel<false>, blocks_for(a->M), stream, a->y, a->x,
               a->scalars, a->T, a->M);
  return cudaGetLastError();
}
