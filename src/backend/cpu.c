/* cpu.c - the CPU backend: its context, and the table of its ops. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cblas.h>

#include "kernels/cpu/cpu.h"

static surge_status cpu_open(surge_context **context,
                             const surge_context_options *options) {
  int threads = options->threads;
  *context = calloc(1, sizeof **context);
  if (!*context)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "cpu: no memory for a context");
  (*context)->threads = threads > 0 ? threads : omp_get_num_procs();
  /* SURGE cuts the work itself; a library's own threads would change bits. */
  openblas_set_num_threads(1);
  return SURGE_OK;
}

static void cpu_close(surge_context *context) { free(context); }

static void cpu_describe(surge_context *context, char *text, size_t size) {
  snprintf(text, size, "cpu: %d thread%s, oneDNN and %s", context->threads,
           context->threads == 1 ? "" : "s", openblas_get_config());
}

static surge_status cpu_allocate(surge_context *context, void **memory,
                                 size_t bytes) {
  (void)context;
  size_t rounded = (bytes + 63) / 64 * 64;
  *memory = aligned_alloc(64, rounded ? rounded : 64);
  if (*memory) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE,
                    "cpu: wanted %zu bytes of memory, "
                    "found less",
                    bytes);
}

static void cpu_release(surge_context *context, void *memory) {
  (void)context;
  free(memory);
}

static surge_status cpu_copy(surge_context *context, void *to, const void *from,
                             size_t bytes) {
  (void)context;
  memcpy(to, from, bytes);
  return SURGE_OK;
}

static surge_status cpu_zero(surge_context *context, void *memory,
                             size_t bytes) {
  (void)context;
  memset(memory, 0, bytes);
  return SURGE_OK;
}

static surge_status cpu_sync(surge_context *context) {
  (void)context;
  return SURGE_OK;
}

static void cpu_mark(surge_context *context, const char *name) {
  (void)context, (void)name;
}

static surge_status cpu_mirror(surge_context *context, const void **mirror,
                               const void *host, size_t bytes) {
  (void)context, (void)bytes;
  *mirror = host;
  return SURGE_OK;
}

static void cpu_mirror_release(surge_context *context, const void *mirror) {
  (void)context, (void)mirror;
}

/* No graphs: what is called has been done. */
static surge_status cpu_captured(surge_context *context, surge_graph **graph) {
  (void)context;
  *graph = NULL;
  return SURGE_OK;
}

static surge_status cpu_replay(surge_context *context, surge_graph *graph) {
  (void)context, (void)graph;
  return SURGE_FAIL(SURGE_ERROR_INTERNAL, "cpu: wanted no replay, found one");
}

static void cpu_graph_release(surge_graph *graph) { (void)graph; }

static surge_layout cpu_layout(int32_t c) {
  (void)c;
  return SURGE_CHANNELS_LAST;
}

const surge_backend surge_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .describe = cpu_describe,
    .allocate = cpu_allocate,
    .release = cpu_release,
    .upload = cpu_copy,
    .download = cpu_copy,
    .zero = cpu_zero,
    .copy = cpu_copy,
    .sync = cpu_sync,
    .mark = cpu_mark,
    .mirror = cpu_mirror,
    .mirror_release = cpu_mirror_release,
    .capture = cpu_sync,
    .captured = cpu_captured,
    .replay = cpu_replay,
    .graph_release = cpu_graph_release,
    .layout = cpu_layout,
    .conv2d_plan = surge_cpu_conv2d_plan,
    .conv2d_release = surge_cpu_conv2d_release,
    .conv2d_workspace = surge_cpu_conv2d_workspace,
    .conv2d_forward = surge_cpu_conv2d_forward,
    .conv2d_backward_data = surge_cpu_conv2d_backward_data,
    .conv2d_backward_weights = surge_cpu_conv2d_backward_weights,
    .linear_workspace = surge_cpu_linear_workspace,
    .linear_forward = surge_cpu_linear_forward,
    .linear_backward_data = surge_cpu_linear_backward_data,
    .linear_backward_weights = surge_cpu_linear_backward_weights,
    .avgpool_forward = surge_cpu_avgpool_forward,
    .avgpool_backward = surge_cpu_avgpool_backward,
    .maxpool_forward = surge_cpu_maxpool_forward,
    .maxpool_backward = surge_cpu_maxpool_backward,
    .norm_workspace = surge_cpu_norm_workspace,
    .norm_forward = surge_cpu_norm_forward,
    .norm_backward = surge_cpu_norm_backward,
    .neuron_scalars = surge_cpu_neuron_scalars,
    .neuron_workspace = surge_cpu_neuron_workspace,
    .neuron_forward = surge_cpu_neuron_forward,
    .neuron_backward = surge_cpu_neuron_backward,
    .add_workspace = surge_cpu_add_workspace,
    .add_forward = surge_cpu_add_forward,
    .add_backward = surge_cpu_add_backward,
    .integrator_forward = surge_cpu_integrator_forward,
    .integrator_backward = surge_cpu_integrator_backward,
    .augment = surge_cpu_augment,
    .poisson = surge_cpu_poisson,
    .dropout = surge_cpu_dropout,
    .loss = surge_cpu_loss,
    .gradient_norm_workspace = surge_cpu_gradient_norm_workspace,
    .gradient_norm = surge_cpu_gradient_norm,
    .optimize = surge_cpu_optimize,
    .average = surge_cpu_average,
    .count_nonzero = surge_cpu_count_nonzero,
    .cast = surge_cpu_cast,
    .pack = surge_cpu_pack,
    .unpack = surge_cpu_unpack,
};
