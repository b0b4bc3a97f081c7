/* integrator.cu - membrane readout on the device; see backend.h.
 *
 * u[t] = d*u[t-1] + x[t] and its adjoint dx[t] = g[t] + d*dx[t+1]: the same
 * recurrence, walked forward or backward in time. One thread a neuron: the
 * membrane stays in a register (in fp32 whatever the map is; a step's rounding
 * does not reach the next), neighbours read neighbouring addresses. */
#include "kernels/cuda/launch.h"
#include "kernels/cuda/vector.h"

template <typename E, bool forward>
__global__ void integrator_kernel(surge_integrator a) {
  size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
  if (i >= a.M) return;
  float d = a.scalars[SURGE_SCALAR_DECAY], u = 0.0f;
  for (int k = 0; k < a.T; k++) {
    size_t at = (size_t)(forward ? k : a.T - 1 - k) * a.M + i;
    /* two roundings, as on the host: --fmad=false */
    u = d * u + (float)((const E *)a.x)[at];
    ((E *)a.y)[at] = (E)u;
  }
}

template <typename E>
static void queue(surge_context *context, const surge_integrator *a,
                  bool forward) {
  SURGE_LAUNCH(
      (forward ? integrator_kernel<E, true> : integrator_kernel<E, false>),
      surge_cuda_blocks(a->M, SURGE_CUDA_BLOCK), SURGE_CUDA_BLOCK, 0,
      context->stream, *a);
}

surge_status surge_cuda_integrator_forward(surge_context *context,
                                           const surge_integrator *a) {
  SURGE_TRY(surge_check_integrator(a));
  SURGE_BY_TYPE(a->type, queue, context, a, true);
  return surge_cuda_launched(context, "integrator_forward");
}

surge_status surge_cuda_integrator_backward(surge_context *context,
                                            const surge_integrator *a) {
  SURGE_TRY(surge_check_integrator(a));
  SURGE_BY_TYPE(a->type, queue, context, a, false);
  return surge_cuda_launched(context, "integrator_backward");
}
