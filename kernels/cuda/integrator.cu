/* integrator.cu - membrane readout on the device; see backend.h.
 *
 * u[t] = d*u[t-1] + x[t] and its adjoint dx[t] = g[t] + d*dx[t+1]: the same
 * recurrence, walked forward or backward in time. One thread a neuron: the
 * membrane stays in a register, neighbours read neighbouring addresses. */
#include "kernels/cuda/launch.h"

template <bool forward>
__global__ void integrator_kernel(surge_integrator a) {
  size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
  if (i >= a.M) return;
  float d = a.scalars[SURGE_SCALAR_DECAY], u = 0.0f;
  for (int k = 0; k < a.T; k++) {
    size_t at = (size_t)(forward ? k : a.T - 1 - k) * a.M + i;
    u = d * u + a.x[at]; /* two roundings, as on the host: --fmad=false */
    a.y[at] = u;
  }
}

surge_status surge_cuda_integrator_forward(surge_context *context,
                                           const surge_integrator *a) {
  SURGE_TRY(surge_check_integrator(a));
  SURGE_LAUNCH((integrator_kernel<true>),
               surge_cuda_blocks(a->M, SURGE_CUDA_BLOCK), SURGE_CUDA_BLOCK, 0,
               context->stream, *a);
  return surge_cuda_launched(context, "integrator_forward");
}

surge_status surge_cuda_integrator_backward(surge_context *context,
                                            const surge_integrator *a) {
  SURGE_TRY(surge_check_integrator(a));
  SURGE_LAUNCH((integrator_kernel<false>),
               surge_cuda_blocks(a->M, SURGE_CUDA_BLOCK), SURGE_CUDA_BLOCK, 0,
               context->stream, *a);
  return surge_cuda_launched(context, "integrator_backward");
}
