/* integrator.c - the membrane readout: a leaky sum that never fires. */
#include "kernels/cpu/neuron.h"
#include "src/backend/checks.h"

#define CHUNK 512 /* elements that a thread takes through all steps */

/* y[t] = d*y[before] + x[t], two roundings; t runs up or down. */
static void integrate_chunk(const surge_integrator *a, size_t start,
                            bool backward) {
  float d = a->scalars[SURGE_SCALAR_DECAY], sum[CHUNK] = {0};
  size_t rest = a->M - start, length = rest < CHUNK ? rest : CHUNK;
  for (size_t k = 0; k < (size_t)a->T; k++) {
    size_t t = backward ? (size_t)a->T - 1 - k : k;
    const float *x = surge_cpu_from(a->x, t * a->M + start);
    float *y = surge_cpu_to(a->y, t * a->M + start); /* may be x: by element */
#pragma omp simd
    for (size_t i = 0; i < length; i++)
      y[i] = sum[i] = surge_membrane(d, sum[i], x[i]);
  }
}

static void integrate(surge_context *context, const surge_integrator *a,
                      bool backward) {
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (size_t start = 0; start < a->M; start += CHUNK)
    integrate_chunk(a, start, backward);
}

surge_status surge_cpu_integrator_forward(surge_context *context,
                                          const surge_integrator *a) {
  SURGE_TRY(surge_check_integrator(a));
  integrate(context, a, false);
  return SURGE_OK;
}

surge_status surge_cpu_integrator_backward(surge_context *context,
                                           const surge_integrator *a) {
  SURGE_TRY(surge_check_integrator(a));
  integrate(context, a, true);
  return SURGE_OK;
}
