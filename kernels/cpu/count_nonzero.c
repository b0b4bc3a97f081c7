/* count_nonzero.c - how many elements are not 0: the rate of spikes. */
#include "kernels/cpu/cpu.h"
#include "src/backend/checks.h"

#define BLOCK 4096 /* counted in 32 bits, eight at a time */

static uint32_t count_block(const float *x, size_t count) {
  uint32_t nonzero = 0;
  for (size_t i = 0; i < count; i++) nonzero += x[i] != 0.0f;
  return nonzero;
}

surge_status surge_cpu_count_nonzero(surge_context *context,
                                     const surge_count_nonzero *a) {
  SURGE_TRY(surge_check_count_nonzero(a));
  size_t blocks = (a->count + BLOCK - 1) / BLOCK;
  uint64_t nonzero = 0; /* integers: the order of adding changes nothing */
#pragma omp parallel for num_threads(context->threads) schedule(static)        \
    reduction(+ : nonzero)
  for (size_t b = 0; b < blocks; b++) {
    size_t first = b * BLOCK, rest = a->count - first;
    nonzero += count_block(surge_cpu_from(a->x, first),
                           rest < BLOCK ? rest : BLOCK);
  }
  *a->nonzero += nonzero;
  return SURGE_OK;
}
