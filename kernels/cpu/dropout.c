/* dropout.c - one mask for all steps, drawn a chunk at a time: each number is
 * drawn once and read T times. */
#include "kernels/cpu/cpu.h"
#include "kernels/shared/input.h"
#include "src/backend/checks.h"

#define CHUNK 1024 /* elements of a mask: it stays in the nearest cache */

/* mask/(1-p) of elements [first, first + length) of sample n. */
static void draw_factors(const surge_dropout *a, size_t n, size_t first,
                         size_t length, float *factor) {
  float kept = 1.0f / (1.0f - a->p);
  for (size_t i = 0; i < length; i += 4) {
    size_t place = surge_logical_quad(&a->map, (first + i) / 4);
    surge_philox4 draw = surge_philox(a->step->seed, a->step->epoch,
                                      SURGE_RANDOM_DROPOUT + a->index,
                                      a->sample[n], (uint32_t)place);
    for (size_t k = 0; k < 4; k++) /* at most 3 behind the end, unused */
      factor[i + k] = surge_uniform(draw.x[k]) < a->p ? 0.0f : kept;
  }
}

surge_status surge_cpu_dropout(surge_context *context, const surge_dropout *a) {
  SURGE_TRY(surge_check_dropout(a));
  size_t elements = surge_map_elements(&a->map);
  size_t N = (size_t)a->N, chunks = (elements + CHUNK - 1) / CHUNK;
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (size_t piece = 0; piece < N * chunks; piece++) {
    float factor[CHUNK];
    size_t n = piece / chunks, first = piece % chunks * CHUNK;
    size_t length = elements - first < CHUNK ? elements - first : CHUNK;
    draw_factors(a, n, first, length, factor);
    for (size_t t = 0; t < (size_t)a->T; t++) {
      size_t start = (t * N + n) * elements + first;
      for (size_t i = 0; i < length; i++)
        *surge_cpu_to(a->y, start + i) =
            *surge_cpu_from(a->x, start + i) * factor[i];
    }
  }
  return SURGE_OK;
}
