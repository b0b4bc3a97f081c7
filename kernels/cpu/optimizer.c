/* optimizer.c - the gradient's norm, and the updates of all groups. */
#include "kernels/cpu/cpu.h"
#include "kernels/shared/fault.h"
#include "kernels/shared/optimizer.h"
#include "src/backend/checks.h"

/* --- gradient norm ------------------------------------------------------- */

#define LANES 16   /* running sums, so that the loop fills vectors            */
#define BLOCK 4096 /* elements that are worth a group of their own            */

static double sum_of_squares(const float *x, size_t count) {
  double lane[LANES] = {0}, sum = 0;
  size_t i = 0;
  for (; i + LANES <= count; i += LANES)
    for (size_t l = 0; l < LANES; l++)
      lane[l] += (double)x[i + l] * (double)x[i + l];
  for (; i < count; i++) lane[i % LANES] += (double)x[i] * (double)x[i];
  for (size_t l = 0; l < LANES; l++) sum += lane[l];
  return sum;
}

size_t surge_cpu_gradient_norm_workspace(size_t count) {
  (void)count;
  return SURGE_CPU_GROUPS * sizeof(double);
}

surge_status surge_cpu_gradient_norm(surge_context *context,
                                     const surge_gradient_norm *a) {
  SURGE_TRY(surge_check_gradient_norm(a));
  size_t blocks = (a->count + BLOCK - 1) / BLOCK;
  size_t groups = blocks < SURGE_CPU_GROUPS ? blocks : SURGE_CPU_GROUPS;
  double *partial = a->workspace, sum = 0;
#pragma omp parallel for num_threads(context->threads) schedule(static)
  for (size_t g = 0; g < groups; g++) {
    size_t first = surge_cpu_first(a->count, groups, g);
    size_t end = surge_cpu_first(a->count, groups, g + 1);
    partial[g] = sum_of_squares(a->g + first, end - first);
  }
  for (size_t g = 0; g < groups; g++) sum += partial[g];
  if (!surge_gradient_norm_finish(a, sum))
    *a->fault = surge_fault_first(*a->fault, a->layer);
  *a->fault_step =
      surge_fault_since(*a->fault, *a->fault_step, a->step->number);
  return SURGE_OK;
}

/* --- updates ------------------------------------------------------------- */

static void update_by_sgd(const surge_context *context, const surge_optimize *a,
                          int group) {
  const surge_update *u = &a->update[group];
  surge_sgd_scalars k = surge_sgd_prepare(a, group);
  float *w = u->w, *m = u->m;
  const float *g = u->g;
#pragma omp parallel for simd num_threads(context->threads) schedule(static)
  for (size_t i = 0; i < u->count; i++) surge_sgd_update(&w[i], &m[i], g[i], k);
}

static void update_by_adam(const surge_context *context,
                           const surge_optimize *a, int group) {
  const surge_update *u = &a->update[group];
  surge_adam_scalars k = surge_adam_prepare(a, group);
  float *w = u->w, *m = u->m, *v = u->v;
  const float *g = u->g;
#pragma omp parallel for simd num_threads(context->threads) schedule(static)
  for (size_t i = 0; i < u->count; i++)
    surge_adam_update(&w[i], &m[i], &v[i], g[i], k);
}

surge_status surge_cpu_optimize(surge_context *context,
                                const surge_optimize *a) {
  SURGE_TRY(surge_check_optimize(a));
  if (*a->fault) return SURGE_OK;
  for (int group = 0; group < SURGE_GROUP_COUNT; group++) {
    const surge_update *u = &a->update[group];
    if (u->count == 0) continue;
    if (u->kind == SURGE_SGD)
      update_by_sgd(context, a, group);
    else
      update_by_adam(context, a, group);
    surge_cast cast = {u->rounded, u->w, u->count};
    if (u->rounded) SURGE_TRY(surge_cpu_cast(context, &cast));
  }
  return SURGE_OK;
}
