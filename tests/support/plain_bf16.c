/* plain_bf16.c - each op is the CPU's; then what it wrote is rounded (see
 * plain_bf16.h). */
#include "tests/support/plain_bf16.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/support.h"

/* An array that an op may not have been asked for. */
static surge_status rounded(void *map, size_t count) {
  if (map) test_round(map, count, SURGE_BF16);
  return SURGE_OK;
}

static size_t maps(const surge_map *map, size_t images) {
  return images * surge_map_elements(map);
}

/* Maps over the steps that one of static inputs does not have. */
static size_t steps(const surge_map *map, bool is_static, int32_t T,
                    int32_t N) {
  return maps(map, (size_t)(is_static ? 1 : T) * (size_t)N);
}

static float *rounded_weights(const void *w, size_t count) {
  float *copy = malloc(count * sizeof *copy);
  cr_assert_not_null(copy);
  memcpy(copy, w, count * sizeof *copy);
  test_round(copy, count, SURGE_BF16);
  return copy;
}

/* An op that writes one map. */
#define ROUND(op, arguments, map, count)                                       \
  static surge_status op(surge_context *context, const arguments *a) {         \
    SURGE_TRY(surge_cpu.op(context, a));                                       \
    return rounded(a->map, count);                                             \
  }

/* --- convolutions --------------------------------------------------------- */

struct surge_conv2d_plan {
  surge_conv2d_plan *cpu;
  surge_conv2d_shape shape;
};

static size_t filters(const surge_conv2d_shape *s) {
  return (size_t)s->out.c * (size_t)(s->in.c / s->groups) * (size_t)s->kernel *
         (size_t)s->kernel;
}

/* A bias would be added after the rounding: no tested net has one here. */
static surge_status conv2d_plan(surge_context *context,
                                surge_conv2d_plan **plan,
                                const surge_conv2d_shape *shape) {
  cr_assert_not(shape->bias, "plain bf16 has no bias in convolutions");
  *plan = malloc(sizeof **plan);
  cr_assert_not_null(*plan);
  (*plan)->shape = *shape;
  return surge_cpu.conv2d_plan(context, &(*plan)->cpu, shape);
}

static void conv2d_release(surge_conv2d_plan *plan) {
  surge_cpu.conv2d_release(plan->cpu);
  free(plan);
}

static size_t conv2d_workspace(const surge_conv2d_plan *plan, size_t images) {
  return surge_cpu.conv2d_workspace(plan->cpu, images);
}

static surge_status conv2d_forward(surge_context *context,
                                   const surge_conv2d_plan *plan,
                                   const surge_conv2d_forward *a) {
  float *w = rounded_weights(a->w, filters(&plan->shape));
  surge_conv2d_forward b = *a;
  b.w = w;
  surge_status status = surge_cpu.conv2d_forward(context, plan->cpu, &b);
  free(w);
  SURGE_TRY(status);
  return rounded(a->y, maps(&plan->shape.out, a->images));
}

static surge_status conv2d_backward_data(surge_context *context,
                                         const surge_conv2d_plan *plan,
                                         const surge_conv2d_backward_data *a) {
  float *w = rounded_weights(a->w, filters(&plan->shape));
  surge_conv2d_backward_data b = *a;
  b.w = w;
  surge_status status = surge_cpu.conv2d_backward_data(context, plan->cpu, &b);
  free(w);
  SURGE_TRY(status);
  return rounded(a->dx, maps(&plan->shape.in, a->images));
}

/* dw += what one call sums, rounded. */
static surge_status conv2d_backward_weights(
    surge_context *context, const surge_conv2d_plan *plan,
    const surge_conv2d_backward_weights *a) {
  size_t count = filters(&plan->shape);
  float *dw = calloc(count, sizeof *dw);
  cr_assert_not_null(dw);
  surge_conv2d_backward_weights b = *a;
  b.dw = dw;
  surge_status status =
      surge_cpu.conv2d_backward_weights(context, plan->cpu, &b);
  test_round(dw, count, SURGE_BF16);
  for (size_t i = 0; i < count; i++) a->dw[i] += dw[i];
  free(dw);
  return status;
}

/* --- products ------------------------------------------------------------- */

static float *linear_weights(const surge_linear *a) {
  return rounded_weights(a->w, maps(&a->in, (size_t)a->out));
}

/* The bias is added to the rounded product, and rounded again. */
static surge_status linear_forward(surge_context *context,
                                   const surge_linear *a) {
  size_t O = (size_t)a->out, count = a->images * O;
  float *w = linear_weights(a), *y = a->y;
  surge_linear b = *a;
  b.w = w;
  b.b = NULL;
  surge_status status = surge_cpu.linear_forward(context, &b);
  free(w);
  SURGE_TRY(status);
  SURGE_TRY(rounded(y, count));
  for (size_t i = 0; a->b && i < count; i++) y[i] += a->b[i % O];
  return rounded(y, count);
}

static surge_status linear_backward_data(surge_context *context,
                                         const surge_linear *a) {
  float *w = linear_weights(a);
  surge_linear b = *a;
  b.w = w;
  surge_status status = surge_cpu.linear_backward_data(context, &b);
  free(w);
  SURGE_TRY(status);
  return rounded(a->dx, maps(&a->in, a->images));
}

/* --- the others: op, then round ------------------------------------------- */

ROUND(avgpool_forward, surge_pool, y, maps(&a->out, a->images))
ROUND(avgpool_backward, surge_pool, dx, maps(&a->in, a->images))
ROUND(maxpool_forward, surge_pool, y, maps(&a->out, a->images))
ROUND(maxpool_backward, surge_pool, dx, maps(&a->in, a->images))
ROUND(norm_backward, surge_norm_backward, dz,
      steps(&a->map, a->is_static, a->T, a->N))
ROUND(neuron_forward, surge_neuron_forward, s,
      steps(&a->common.map, false, a->common.T, a->common.N))
ROUND(integrator_forward, surge_integrator, y, (size_t)a->T * a->M)
ROUND(integrator_backward, surge_integrator, y, (size_t)a->T * a->M)
ROUND(augment, surge_augment, x, steps(&a->map, false, a->T, a->N))
ROUND(dropout, surge_dropout, y, steps(&a->map, false, a->T, a->N))
ROUND(loss, surge_loss, dlogits,
      (size_t)a->T *(size_t)a->N *(size_t)(a->classes * a->vote))
ROUND(unpack, surge_pack, x, a->count)

static surge_status neuron_backward(surge_context *context,
                                    const surge_neuron_backward *a) {
  const surge_neuron *n = &a->common;
  SURGE_TRY(surge_cpu.neuron_backward(context, a));
  for (int k = 0; k < n->inputs; k++)
    SURGE_TRY(
        rounded(a->da[k], steps(&n->map, n->input[k].is_static, n->T, n->N)));
  return SURGE_OK;
}

static surge_status add_forward(surge_context *context, const surge_add *a) {
  bool is_static = true;
  SURGE_TRY(surge_cpu.add_forward(context, a));
  for (int k = 0; k < a->inputs; k++)
    is_static &=
        a->input[k].is_static && !(a->input[k].scale && a->input[k].per_step);
  return rounded(a->y, steps(&a->map, is_static, a->T, a->N));
}

static surge_status add_backward(surge_context *context, const surge_add *a) {
  SURGE_TRY(surge_cpu.add_backward(context, a));
  for (int k = 0; k < a->inputs; k++)
    SURGE_TRY(
        rounded(a->da[k], steps(&a->map, a->input[k].is_static, a->T, a->N)));
  return SURGE_OK;
}

const surge_backend *test_plain_bf16(void) {
  static surge_backend b;
  b = surge_cpu;
  b.name = "plain bf16";
  b.conv2d_plan = conv2d_plan;
  b.conv2d_release = conv2d_release;
  b.conv2d_workspace = conv2d_workspace;
  b.conv2d_forward = conv2d_forward;
  b.conv2d_backward_data = conv2d_backward_data;
  b.conv2d_backward_weights = conv2d_backward_weights;
  b.linear_forward = linear_forward;
  b.linear_backward_data = linear_backward_data;
  b.avgpool_forward = avgpool_forward;
  b.avgpool_backward = avgpool_backward;
  b.maxpool_forward = maxpool_forward;
  b.maxpool_backward = maxpool_backward;
  b.norm_backward = norm_backward;
  b.neuron_forward = neuron_forward;
  b.neuron_backward = neuron_backward;
  b.add_forward = add_forward;
  b.add_backward = add_backward;
  b.integrator_forward = integrator_forward;
  b.integrator_backward = integrator_backward;
  b.augment = augment;
  b.dropout = dropout;
  b.loss = loss;
  b.unpack = unpack;
  return &b;
}
