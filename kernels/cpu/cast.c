/* cast.c - weights rounded to bf16. */
#include "kernels/cpu/cpu.h"
#include "kernels/shared/element.h"
#include "src/backend/checks.h"

surge_status surge_cpu_cast(surge_context *context, const surge_cast *a) {
  SURGE_TRY(surge_check_cast(a));
  uint16_t *to = a->to;
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (size_t i = 0; i < a->count; i++) to[i] = surge_float_to_bf16(a->from[i]);
  return SURGE_OK;
}
