/* average.c - weights and statistics averaged over the steps of training. */
#include "kernels/cpu/cpu.h"
#include "kernels/shared/optimizer.h"
#include "src/backend/checks.h"

surge_status surge_cpu_average(surge_context *context, const surge_average *a) {
  SURGE_TRY(surge_check_average(a));
  if (*a->fault) return SURGE_OK;
  float *e = a->e, share = 1.0f - a->decay;
  const float *w = a->w;
#pragma omp parallel for simd num_threads(context->threads) schedule(static)
  for (size_t i = 0; i < a->count; i++)
    e[i] = surge_average_update(e[i], w[i], share);
  return SURGE_OK;
}
