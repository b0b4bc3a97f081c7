/* input.c - images and rates become the network's input. */
#include "kernels/cpu/cpu.h"
#include "kernels/shared/input.h"
#include "src/backend/checks.h"

/* --- augment ------------------------------------------------------------- */

static void augment_image(const surge_augment *a, size_t t, size_t n) {
  const surge_map *map = &a->map;
  size_t N = (size_t)a->N;
  float *x = surge_cpu_to(a->x, (t * N + n) * surge_map_elements(map));
  surge_shown own = surge_show(a, t, n), other = own;
  if (a->mix) other = surge_show(a, t, surge_mix_partner(n, N));
  for (int32_t row = 0; row < map->h; row++)
    for (int32_t column = 0; column < map->w; column++)
      for (int32_t c = 0; c < map->c; c++) {
        float mean = a->mean[c], std = a->std[c];
        float value = surge_shown_value(&own, map, row, column, c, mean, std);
        if (a->mix)
          value = surge_mix_values(
              &a->step->mix, row, column, value,
              surge_shown_value(&other, map, row, column, c, mean, std));
        x[surge_offset_of(map, row, column, c)] = value;
      }
}

surge_status surge_cpu_augment(surge_context *context, const surge_augment *a) {
  SURGE_TRY(surge_check_augment(a));
  size_t T = (size_t)a->T, N = (size_t)a->N;
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (size_t i = 0; i < T * N; i++) augment_image(a, i / N, i % N);
  return SURGE_OK;
}

/* --- poisson ------------------------------------------------------------- */

/* Spikes of sample n at step t. */
static void poisson_map(const surge_poisson *a, size_t t, size_t n) {
  size_t elements = surge_map_elements(&a->map);
  size_t quads = surge_map_quads(&a->map);
  const float *x = surge_cpu_from(a->x, n * elements);
  float *s = surge_cpu_to(a->s, (t * (size_t)a->N + n) * elements);
  for (size_t q = 0; q < quads; q++) {
    size_t place = t * quads + surge_logical_quad(&a->map, q);
    surge_philox4 draw =
        surge_philox(a->step->seed, a->step->epoch, SURGE_RANDOM_POISSON,
                     a->sample[n], (uint32_t)place);
    for (size_t i = 4 * q; i < 4 * q + 4 && i < elements; i++)
      s[i] = surge_uniform(draw.x[i % 4]) < x[i] ? 1.0f : 0.0f;
  }
}

surge_status surge_cpu_poisson(surge_context *context, const surge_poisson *a) {
  SURGE_TRY(surge_check_poisson(a));
  size_t T = (size_t)a->T, N = (size_t)a->N;
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (size_t i = 0; i < T * N; i++) poisson_map(a, i / N, i % N);
  return SURGE_OK;
}
