/* count_nonzero.c - how many elements are not 0: the rate of spikes. */
#include "kernels/cpu/cpu.h"
#include "src/backend/checks.h"

#define BLOCK 4096 /* counted in 32 bits, eight at a time */

static uint32_t count_block(const float *x, size_t count) {
  uint32_t nonzero = 0;
  for (size_t i = 0; i < count; i++) nonzero += x[i] != 0.0f;
  return nonzero;
}

size_t surge_cpu_nonzeros(const float *x, size_t count) {
  size_t nonzero = 0;
  for (size_t i = 0; i < count; i += BLOCK)
    nonzero += count_block(x + i, count - i < BLOCK ? count - i : BLOCK);
  return nonzero;
}

surge_status surge_cpu_count_nonzero(surge_context *context,
                                     const surge_count_nonzero *a) {
  SURGE_TRY(surge_check_count_nonzero(a));
  uint64_t nonzero = 0; /* integers: the order of adding changes nothing */
#pragma omp parallel for num_threads(context->threads) schedule(static)        \
    reduction(+ : nonzero)
  for (size_t g = 0; g < SURGE_CPU_GROUPS; g++) {
    size_t first = surge_cpu_first(a->count, SURGE_CPU_GROUPS, g);
    size_t end = surge_cpu_first(a->count, SURGE_CPU_GROUPS, g + 1);
    nonzero += surge_cpu_nonzeros(surge_cpu_from(a->x, first), end - first);
  }
  *a->nonzero += nonzero;
  return SURGE_OK;
}
