/* cuda.h - what the device's ops share: the context, and how an op ends.
 *
 * An op `surge_cuda_<op>` stands in kernels/cuda/<file>.cu (kernels) or .c
 * (libraries). It checks its arguments with src/backend/checks.h, queues its
 * kernels on the context's stream, and returns surge_cuda_launched. It never
 * allocates, never waits, reads nothing of the device on the host, and passes
 * kernels their arguments by value, so that it can be captured into a graph.
 *
 * Reductions have two stages in a fixed order: blocks write partial sums to the
 * workspace, one block combines them in double. How work is cut depends on
 * sizes alone, never on the number of multiprocessors. No float atomics. */
#ifndef SURGE_KERNELS_CUDA_CUDA_H
#define SURGE_KERNELS_CUDA_CUDA_H

#include <cuda_runtime_api.h>

#include <surge/backend.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct surge_cuda_ring surge_cuda_ring; /* pinned memory of uploads */

struct surge_context {
  int device;
  cudaStream_t stream;
  surge_context_options options;
  bool wait; /* SURGE_SYNC=1: each op waits for its end      */
  bool capturing;
  surge_cuda_ring *ring;
  struct cudnnContext *dnn;   /* a cudnnHandle_t, bound to the stream         */
  struct cublasContext *blas; /* a cublasHandle_t, likewise                   */
  void *blas_workspace; /* a fixed one: same bits, none in a captured op */
};

/* Ends an op: SURGE_ERROR_DEVICE, naming it, where its launch failed, or with
 * SURGE_SYNC=1 where anything queued before it did. */
surge_status surge_cuda_launched(surge_context *context, const char *op);

/* SURGE_ERROR_DEVICE, naming what was called, where a runtime call failed. */
surge_status surge_cuda_check(const char *call, cudaError_t error);

#define SURGE_CUDA_OP(name, args)                                              \
  surge_status surge_cuda_##name(surge_context *context, const args *a)
SURGE_CUDA_OP(linear_forward, surge_linear);
SURGE_CUDA_OP(linear_backward_data, surge_linear);
SURGE_CUDA_OP(linear_backward_weights, surge_linear);
SURGE_CUDA_OP(avgpool_forward, surge_pool);
SURGE_CUDA_OP(avgpool_backward, surge_pool);
SURGE_CUDA_OP(maxpool_forward, surge_pool);
SURGE_CUDA_OP(maxpool_backward, surge_pool);
SURGE_CUDA_OP(norm_forward, surge_norm_forward);
SURGE_CUDA_OP(norm_backward, surge_norm_backward);
SURGE_CUDA_OP(neuron_scalars, surge_neuron_scalars);
SURGE_CUDA_OP(neuron_forward, surge_neuron_forward);
SURGE_CUDA_OP(neuron_backward, surge_neuron_backward);
SURGE_CUDA_OP(add_forward, surge_add);
SURGE_CUDA_OP(add_backward, surge_add);
SURGE_CUDA_OP(integrator_forward, surge_integrator);
SURGE_CUDA_OP(integrator_backward, surge_integrator);
SURGE_CUDA_OP(augment, surge_augment);
SURGE_CUDA_OP(poisson, surge_poisson);
SURGE_CUDA_OP(dropout, surge_dropout);
SURGE_CUDA_OP(loss, surge_loss);
SURGE_CUDA_OP(gradient_norm, surge_gradient_norm);
SURGE_CUDA_OP(optimize, surge_optimize);
SURGE_CUDA_OP(average, surge_average);
SURGE_CUDA_OP(count_nonzero, surge_count_nonzero);
SURGE_CUDA_OP(cast, surge_cast);
SURGE_CUDA_OP(pack, surge_pack);
SURGE_CUDA_OP(unpack, surge_pack);

surge_status surge_cuda_conv2d_plan(surge_context *context,
                                    surge_conv2d_plan **plan,
                                    const surge_conv2d_shape *shape);
void surge_cuda_conv2d_release(surge_conv2d_plan *plan);
size_t surge_cuda_conv2d_workspace(const surge_conv2d_plan *plan,
                                   size_t images);
surge_status surge_cuda_conv2d_forward(surge_context *context,
                                       const surge_conv2d_plan *plan,
                                       const surge_conv2d_forward *a);
surge_status surge_cuda_conv2d_backward_data(
    surge_context *context, const surge_conv2d_plan *plan,
    const surge_conv2d_backward_data *a);
surge_status surge_cuda_conv2d_backward_weights(
    surge_context *context, const surge_conv2d_plan *plan,
    const surge_conv2d_backward_weights *a);
size_t surge_cuda_linear_workspace(surge_context *context,
                                   const surge_linear *a);
size_t surge_cuda_norm_workspace(surge_context *context,
                                 const surge_norm_forward *a);
size_t surge_cuda_neuron_workspace(surge_context *context,
                                   const surge_neuron *a);
size_t surge_cuda_add_workspace(surge_context *context, const surge_add *a);
size_t surge_cuda_gradient_norm_workspace(size_t count);

#ifdef __cplusplus
}
#endif
#endif
