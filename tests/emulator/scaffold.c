/* scaffold.c - until every op of the device is written: weak twins that say so,
 * and a weak table. To be deleted with the last op. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/cuda.h"
#include "src/backend/checks.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#define WEAK __attribute__((weak))

WEAK surge_status surge_cuda_check(const char *call, cudaError_t error) {
  if (error == cudaSuccess) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "cuda: %s: %s", call,
                    cudaGetErrorString(error));
}
WEAK surge_status surge_cuda_launched(surge_context *context, const char *op) {
  cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess && context->wait)
    error = cudaStreamSynchronize(context->stream);
  return surge_cuda_check(op, error);
}

#define MISSING(name, args)                                                    \
  WEAK SURGE_CUDA_OP(name, args) {                                             \
    (void)context, (void)a;                                                    \
    return SURGE_FAIL(SURGE_ERROR_DEVICE, #name ": not written yet");          \
  }
MISSING(linear_forward, surge_linear)
MISSING(linear_backward_data, surge_linear)
MISSING(linear_backward_weights, surge_linear)
MISSING(avgpool_forward, surge_pool)
MISSING(avgpool_backward, surge_pool)
MISSING(maxpool_forward, surge_pool)
MISSING(maxpool_backward, surge_pool)
MISSING(norm_forward, surge_norm_forward)
MISSING(norm_backward, surge_norm_backward)
MISSING(neuron_scalars, surge_neuron_scalars)
MISSING(neuron_forward, surge_neuron_forward)
MISSING(neuron_backward, surge_neuron_backward)
MISSING(integrator_forward, surge_integrator)
MISSING(integrator_backward, surge_integrator)
MISSING(augment, surge_augment)
MISSING(poisson, surge_poisson)
MISSING(dropout, surge_dropout)
MISSING(loss, surge_loss)
MISSING(gradient_norm, surge_gradient_norm)
MISSING(sgd, surge_sgd)
MISSING(adam, surge_adam)
MISSING(count_nonzero, surge_count_nonzero)

WEAK size_t surge_cuda_linear_workspace(surge_context *c,
                                        const surge_linear *a) {
  (void)c, (void)a;
  return 0;
}
WEAK size_t surge_cuda_norm_workspace(surge_context *c,
                                      const surge_norm_forward *a) {
  (void)c, (void)a;
  return 0;
}
WEAK size_t surge_cuda_neuron_workspace(surge_context *c,
                                        const surge_neuron *a) {
  (void)c, (void)a;
  return 0;
}
WEAK size_t surge_cuda_gradient_norm_workspace(size_t count) {
  (void)count;
  return 0;
}
WEAK surge_status surge_cuda_conv2d_plan(surge_context *c,
                                         surge_conv2d_plan **plan,
                                         const surge_conv2d_shape *shape) {
  (void)c, (void)plan, (void)shape;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "conv2d: not written yet");
}
WEAK void surge_cuda_conv2d_release(surge_conv2d_plan *plan) { (void)plan; }
WEAK size_t surge_cuda_conv2d_workspace(const surge_conv2d_plan *plan,
                                        size_t images) {
  (void)plan, (void)images;
  return 0;
}
#define MISSING_CONV(name)                                                     \
  WEAK surge_status surge_cuda_##name(surge_context *c,                        \
                                      const surge_conv2d_plan *plan,           \
                                      const surge_##name *a) {                 \
    (void)c, (void)plan, (void)a;                                              \
    return SURGE_FAIL(SURGE_ERROR_DEVICE, #name ": not written yet");          \
  }
MISSING_CONV(conv2d_forward)
MISSING_CONV(conv2d_backward_data)
MISSING_CONV(conv2d_backward_weights)

static surge_status scaffold_open(surge_context **context,
                                  const surge_context_options *options) {
  surge_context *c = *context = calloc(1, sizeof *c);
  c->options = *options;
  c->wait = true;
  return surge_cuda_check(
      "cudaStreamCreateWithFlags",
      cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking));
}
static void scaffold_close(surge_context *context) {
  if (context) cudaStreamDestroy(context->stream);
  free(context);
}
static surge_status scaffold_allocate(surge_context *c, void **memory,
                                      size_t bytes) {
  (void)c;
  return surge_cuda_check("cudaMalloc", cudaMalloc(memory, bytes ? bytes : 1));
}
static void scaffold_release(surge_context *c, void *memory) {
  (void)c;
  cudaFree(memory);
}
static surge_status scaffold_upload(surge_context *c, void *device,
                                    const void *host, size_t bytes) {
  return surge_cuda_check(
      "cudaMemcpyAsync", cudaMemcpyAsync(device, host, bytes,
                                         cudaMemcpyHostToDevice, c->stream));
}
static surge_status scaffold_download(surge_context *c, void *host,
                                      const void *device, size_t bytes) {
  return surge_cuda_check(
      "cudaMemcpyAsync", cudaMemcpyAsync(host, device, bytes,
                                         cudaMemcpyDeviceToHost, c->stream));
}
static surge_status scaffold_zero(surge_context *c, void *device,
                                  size_t bytes) {
  return surge_cuda_check("cudaMemsetAsync",
                          cudaMemsetAsync(device, 0, bytes, c->stream));
}
static surge_status scaffold_sync(surge_context *c) {
  return surge_cuda_check("cudaStreamSynchronize",
                          cudaStreamSynchronize(c->stream));
}
static surge_layout scaffold_layout(int32_t c) {
  (void)c;
  return SURGE_CHANNELS_LAST;
}

extern const surge_backend surge_cuda;
WEAK const surge_backend surge_cuda = {
    .name = "cuda",
    .open = scaffold_open,
    .close = scaffold_close,
    .allocate = scaffold_allocate,
    .release = scaffold_release,
    .upload = scaffold_upload,
    .download = scaffold_download,
    .zero = scaffold_zero,
    .sync = scaffold_sync,
    .layout = scaffold_layout,
#define OP(name) .name = surge_cuda_##name
    OP(conv2d_plan),
    OP(conv2d_release),
    OP(conv2d_workspace),
    OP(conv2d_forward),
    OP(conv2d_backward_data),
    OP(conv2d_backward_weights),
    OP(linear_workspace),
    OP(linear_forward),
    OP(linear_backward_data),
    OP(linear_backward_weights),
    OP(avgpool_forward),
    OP(avgpool_backward),
    OP(maxpool_forward),
    OP(maxpool_backward),
    OP(norm_workspace),
    OP(norm_forward),
    OP(norm_backward),
    OP(neuron_scalars),
    OP(neuron_workspace),
    OP(neuron_forward),
    OP(neuron_backward),
    OP(integrator_forward),
    OP(integrator_backward),
    OP(augment),
    OP(poisson),
    OP(dropout),
    OP(loss),
    OP(gradient_norm_workspace),
    OP(gradient_norm),
    OP(sgd),
    OP(adam),
    OP(count_nonzero),
};
