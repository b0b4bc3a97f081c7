/* integrator.c - membrane readout: one recurrence, walked forward or backward
 * in time. */
#include "kernels/cpu/cpu.h"
#include "kernels/shared/neuron.h"
#include "src/backend/checks.h"

/* y[t] = d*y[before] + x[t]; `before` is nothing at the start. */
static void step(float *y, const float *before, const float *x, float d,
                 size_t M) {
  for (size_t i = 0; i < M; i++)
    y[i] = surge_membrane(d, before ? before[i] : 0.0f, x[i]);
}

surge_status surge_cpu_integrator_forward(surge_context *context,
                                          const surge_integrator *a) {
  (void)context;
  SURGE_TRY(surge_check_integrator(a));
  for (size_t t = 0, M = a->M; t < (size_t)a->T; t++)
    step(a->y + t * M, t ? a->y + (t - 1) * M : NULL, a->x + t * M,
         a->scalars[SURGE_SCALAR_DECAY], M);
  return SURGE_OK;
}

surge_status surge_cpu_integrator_backward(surge_context *context,
                                           const surge_integrator *a) {
  (void)context;
  SURGE_TRY(surge_check_integrator(a));
  for (size_t k = (size_t)a->T, M = a->M; k-- > 0;)
    step(a->y + k * M, k + 1 < (size_t)a->T ? a->y + (k + 1) * M : NULL,
         a->x + k * M, a->scalars[SURGE_SCALAR_DECAY], M);
  return SURGE_OK;
}
