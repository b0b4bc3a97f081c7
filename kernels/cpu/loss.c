/* loss.c - losses over a batch; the formulas are in kernels/shared/loss.h. */
#include "kernels/cpu/cpu.h"
#include "kernels/shared/fault.h"
#include "kernels/shared/loss.h"
#include "src/backend/checks.h"

surge_status surge_cpu_loss(surge_context *context, const surge_loss *a) {
  SURGE_TRY(surge_check_loss(a));
  double loss[SURGE_CPU_GROUPS] = {0}, total = 0;
  uint64_t correct[SURGE_CPU_GROUPS] = {0};
  size_t N = (size_t)a->N;
  size_t groups = N < SURGE_CPU_GROUPS ? N : SURGE_CPU_GROUPS;
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (size_t g = 0; g < groups; g++)
    for (size_t n = surge_cpu_first(N, groups, g);
         n < surge_cpu_first(N, groups, g + 1); n++) {
      bool hit;
      loss[g] += surge_loss_sample(a, (int32_t)n, &hit);
      correct[g] += hit;
    }
  for (size_t g = 0; g < groups; g++) {
    total += loss[g];
    a->metrics->correct += correct[g];
  }
  a->metrics->loss += total;
  a->metrics->samples += N;
  if (!isfinite(total)) *a->fault = surge_fault_first(*a->fault, a->layer);
  return SURGE_OK;
}
