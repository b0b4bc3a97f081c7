/* cpu.h - what the CPU kernels share: the context and the one way to cut work.
 *
 * Work is cut by sizes alone, never by the number of threads: a reduction runs
 * over SURGE_CPU_GROUPS groups (fewer where there are fewer pieces), each
 * group's partial result is stored, and the partials are combined in order. */
#ifndef SURGE_KERNELS_CPU_H
#define SURGE_KERNELS_CPU_H

#include <surge/backend.h>

struct surge_context {
  int threads; /* OpenMP threads of every parallel region */
};

/* Element i of a map: to read, to write. The CPU's maps are fp32. */
static inline const float *surge_cpu_from(const void *map, size_t i) {
  return (const float *)map + i;
}
static inline float *surge_cpu_to(void *map, size_t i) {
  return (float *)map + i;
}

#define SURGE_CPU_GROUPS 64

/* First item of group g when `count` items are dealt to `groups` groups. */
static inline size_t surge_cpu_first(size_t count, size_t groups, size_t g) {
  return count * g / groups;
}

/* A piece of the N maps of one step: a contiguous run whose element i has
 * channel `channel + i % period`. At most `limit` elements. */
typedef struct surge_cpu_piece {
  size_t offset; /* within [N] of map */
  size_t length;
  int32_t channel, period;
} surge_cpu_piece;

/* How the N maps are cut: strips of `strip` elements (a channel block of an
 * image; a pixel's channels; or everything), each into `per_strip` pieces of
 * `step` elements. */
typedef struct surge_cpu_cut {
  size_t count; /* pieces in all */
  size_t strip, per_strip, step;
  int32_t strips_per_image, period, channel_step;
} surge_cpu_cut;

surge_cpu_cut surge_cpu_cut_maps(const surge_map *map, int32_t N, size_t limit);
surge_cpu_piece surge_cpu_piece_at(const surge_cpu_cut *cut, size_t p);

/* Workspace handed out in order; without a base it only counts. */
typedef struct surge_cpu_scratch {
  uint8_t *base;
  size_t used;
} surge_cpu_scratch;

void *surge_cpu_take(surge_cpu_scratch *scratch, size_t bytes);

/* How many of x[count] are not 0, by the calling thread. */
size_t surge_cpu_nonzeros(const float *x, size_t count);

#define SURGE_CPU_OP(name, args)                                               \
  surge_status surge_cpu_##name(surge_context *context, const args *a)
SURGE_CPU_OP(linear_forward, surge_linear);
SURGE_CPU_OP(linear_backward_data, surge_linear);
SURGE_CPU_OP(linear_backward_weights, surge_linear);
SURGE_CPU_OP(avgpool_forward, surge_pool);
SURGE_CPU_OP(avgpool_backward, surge_pool);
SURGE_CPU_OP(maxpool_forward, surge_pool);
SURGE_CPU_OP(maxpool_backward, surge_pool);
SURGE_CPU_OP(norm_forward, surge_norm_forward);
SURGE_CPU_OP(norm_backward, surge_norm_backward);
SURGE_CPU_OP(neuron_scalars, surge_neuron_scalars);
SURGE_CPU_OP(neuron_forward, surge_neuron_forward);
SURGE_CPU_OP(neuron_backward, surge_neuron_backward);
SURGE_CPU_OP(add_forward, surge_add);
SURGE_CPU_OP(add_backward, surge_add);
SURGE_CPU_OP(integrator_forward, surge_integrator);
SURGE_CPU_OP(integrator_backward, surge_integrator);
SURGE_CPU_OP(augment, surge_augment);
SURGE_CPU_OP(poisson, surge_poisson);
SURGE_CPU_OP(dropout, surge_dropout);
SURGE_CPU_OP(loss, surge_loss);
SURGE_CPU_OP(gradient_norm, surge_gradient_norm);
SURGE_CPU_OP(optimize, surge_optimize);
SURGE_CPU_OP(average, surge_average);
SURGE_CPU_OP(count_nonzero, surge_count_nonzero);
SURGE_CPU_OP(cast, surge_cast);
SURGE_CPU_OP(pack, surge_pack);
SURGE_CPU_OP(unpack, surge_pack);

surge_status surge_cpu_conv2d_plan(surge_context *context,
                                   surge_conv2d_plan **plan,
                                   const surge_conv2d_shape *shape);
void surge_cpu_conv2d_release(surge_conv2d_plan *plan);
size_t surge_cpu_conv2d_workspace(const surge_conv2d_plan *plan, size_t images);
surge_status surge_cpu_conv2d_forward(surge_context *context,
                                      const surge_conv2d_plan *plan,
                                      const surge_conv2d_forward *a);
surge_status surge_cpu_conv2d_backward_data(
    surge_context *context, const surge_conv2d_plan *plan,
    const surge_conv2d_backward_data *a);
surge_status surge_cpu_conv2d_backward_weights(
    surge_context *context, const surge_conv2d_plan *plan,
    const surge_conv2d_backward_weights *a);
size_t surge_cpu_linear_workspace(surge_context *context,
                                  const surge_linear *a);
size_t surge_cpu_norm_workspace(surge_context *context,
                                const surge_norm_forward *a);
size_t surge_cpu_neuron_workspace(surge_context *context,
                                  const surge_neuron *a);
size_t surge_cpu_add_workspace(surge_context *context, const surge_add *a);
size_t surge_cpu_gradient_norm_workspace(size_t count);

#endif
