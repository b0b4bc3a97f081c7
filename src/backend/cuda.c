/* cuda.c - the CUDA backend: its context, and the table of its ops. It is part
 * of libsurge_cuda, not of libsurge.
 *
 * One device, the first that CUDA_VISIBLE_DEVICES leaves visible, and one
 * stream: all is done in the order in which it is queued. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nvtx3/nvToolsExt.h>

#include "kernels/cuda/libraries.h"

/* --- how calls report ----------------------------------------------------- */

surge_status surge_cuda_check(const char *call, cudaError_t error) {
  if (error == cudaSuccess) return SURGE_OK;
  (void)cudaGetLastError(); /* told here: no later op is blamed for it */
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "cuda: %s: %s", call,
                    cudaGetErrorString(error));
}

#define CUDA(function, ...)                                                    \
  SURGE_TRY(surge_cuda_check(#function, function(__VA_ARGS__)))

surge_status surge_cuda_dnn_check(const char *op, const char *call,
                                  cudnnStatus_t status) {
  if (status == CUDNN_STATUS_SUCCESS) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: %s: %s", op, call,
                    cudnnGetErrorString(status));
}

surge_status surge_cuda_blas_check(const char *op, const char *call,
                                   cublasStatus_t status) {
  if (status == CUBLAS_STATUS_SUCCESS) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: %s: %s", op, call,
                    cublasGetStatusString(status));
}

surge_status surge_cuda_launched(surge_context *context, const char *op) {
  cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess && context->wait && !context->capturing)
    error = cudaStreamSynchronize(context->stream);
  if (error == cudaSuccess) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "%s: %s", op,
                    cudaGetErrorString(error));
}

static surge_status refuse_capturing(surge_context *context, const char *call) {
  if (!context->capturing) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                    "cuda: wanted only ops between capture and captured, "
                    "found %s",
                    call);
}

/* --- the ring: pinned memory through which uploads go --------------------- */

/* The host's bytes are copied into a slot, so that the caller may change them
 * at once, and queued from there; a slot is reused after its event, which
 * follows its copy on the stream. */
#define RING_SLOTS 8
#define RING_BYTES ((size_t)1 << 20)

struct surge_cuda_ring {
  char *slot[RING_SLOTS];
  cudaEvent_t copied[RING_SLOTS];
  size_t next;
};

static surge_status ring_create(surge_cuda_ring **ring) {
  surge_cuda_ring *r = *ring = calloc(1, sizeof *r);
  if (!r) return SURGE_FAIL(SURGE_ERROR_DEVICE, "cuda: no memory for a ring");
  for (size_t i = 0; i < RING_SLOTS; i++) {
    CUDA(cudaMallocHost, (void **)&r->slot[i], RING_BYTES);
    CUDA(cudaEventCreateWithFlags, &r->copied[i], cudaEventDisableTiming);
  }
  return SURGE_OK;
}

static void ring_destroy(surge_cuda_ring *ring) {
  if (!ring) return;
  for (size_t i = 0; i < RING_SLOTS; i++) {
    if (ring->copied[i]) cudaEventDestroy(ring->copied[i]);
    if (ring->slot[i]) cudaFreeHost(ring->slot[i]);
  }
  free(ring);
}

/* Queues up to RING_BYTES. */
static surge_status ring_upload(surge_cuda_ring *ring, cudaStream_t stream,
                                void *device, const void *host, size_t bytes) {
  size_t i = ring->next;
  ring->next = (i + 1) % RING_SLOTS;
  CUDA(cudaEventSynchronize, ring->copied[i]);
  memcpy(ring->slot[i], host, bytes);
  CUDA(cudaMemcpyAsync, device, ring->slot[i], bytes, cudaMemcpyHostToDevice,
       stream);
  CUDA(cudaEventRecord, ring->copied[i], stream);
  return SURGE_OK;
}

/* --- the context ---------------------------------------------------------- */

#define BLAS_WORKSPACE ((size_t)32 << 20) /* what cuBLAS asks for on sm_90 */

/* Is there a device? If not, says what is missing. */
static surge_status find_device(void) {
  int count = 0, driver = 0, runtime = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return SURGE_OK;
  (void)cudaGetLastError();
  (void)cudaDriverGetVersion(&driver); /* 0 where there is none */
  (void)cudaRuntimeGetVersion(&runtime);
  if (driver == 0)
    return SURGE_FAIL(SURGE_ERROR_DEVICE,
                      "cuda: wanted an NVIDIA driver, found none");
  if (error == cudaErrorInsufficientDriver)
    return SURGE_FAIL(SURGE_ERROR_DEVICE,
                      "cuda: wanted an NVIDIA driver for CUDA %d.%d, found one "
                      "for CUDA %d.%d",
                      runtime / 1000, runtime % 1000 / 10, driver / 1000,
                      driver % 1000 / 10);
  if (error != cudaSuccess && error != cudaErrorNoDevice)
    return surge_cuda_check("cudaGetDeviceCount", error);
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "cuda: wanted a device, found none%s%s",
                    visible ? " with CUDA_VISIBLE_DEVICES=" : "",
                    visible ? visible : "");
}

/* What cuBLAS computes in is said by each call; where one is summed in parts,
 * these are not rounded to the output's type. Its workspace is set after the
 * stream, which resets it. */
static surge_status open_libraries(surge_context *c) {
  const char *op = "cuda";
  SURGE_DNN(op, cudnnCreate, &c->dnn);
  SURGE_DNN(op, cudnnSetStream, c->dnn, c->stream);
  SURGE_BLAS(op, cublasCreate, &c->blas);
  SURGE_BLAS(op, cublasSetStream, c->blas, c->stream);
  SURGE_BLAS(op, cublasSetMathMode, c->blas,
             CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION);
  CUDA(cudaMalloc, &c->blas_workspace, BLAS_WORKSPACE);
  SURGE_BLAS(op, cublasSetWorkspace, c->blas, c->blas_workspace,
             BLAS_WORKSPACE);
  return SURGE_OK;
}

static surge_status open_device(surge_context *c) {
  SURGE_TRY(find_device());
  CUDA(cudaSetDevice, c->device);
  CUDA(cudaStreamCreateWithFlags, &c->stream, cudaStreamNonBlocking);
  SURGE_TRY(ring_create(&c->ring));
  return open_libraries(c);
}

static void cuda_close(surge_context *context) {
  if (!context) return;
  if (context->stream) cudaStreamSynchronize(context->stream);
  if (context->dnn) cudnnDestroy(context->dnn);
  if (context->blas) cublasDestroy(context->blas);
  if (context->blas_workspace) cudaFree(context->blas_workspace);
  ring_destroy(context->ring);
  if (context->stream) cudaStreamDestroy(context->stream);
  free(context);
}

static surge_status cuda_open(surge_context **context,
                              const surge_context_options *options) {
  const char *wait = getenv("SURGE_SYNC");
  surge_context *c = calloc(1, sizeof *c);
  *context = NULL;
  if (!c)
    return SURGE_FAIL(SURGE_ERROR_DEVICE, "cuda: no memory for a context");
  c->options = *options;
  c->wait = wait && !strcmp(wait, "1");
  surge_status status = options->plan_only ? SURGE_OK : open_device(c);
  if (status == SURGE_OK)
    *context = c;
  else
    cuda_close(c);
  return status;
}

static void cuda_describe(surge_context *context, char *text, size_t size) {
  struct cudaDeviceProp device;
  int driver = 0, runtime = 0, dnn = (int)cudnnGetVersion(), blas = 0;
  if (context->options.plan_only) {
    snprintf(text, size, "cuda: plans alone, no device opened");
    return;
  }
  if (cudaGetDeviceProperties(&device, context->device) != cudaSuccess) {
    snprintf(text, size, "cuda: a device that does not answer");
    return;
  }
  (void)cudaDriverGetVersion(&driver);
  (void)cudaRuntimeGetVersion(&runtime);
  (void)cublasGetVersion(context->blas, &blas);
  snprintf(text, size,
           "cuda: %s, compute %d.%d, %zu MiB, driver for CUDA %d.%d, runtime "
           "%d.%d, cuDNN %d.%d.%d, cuBLAS %d.%d.%d",
           device.name, device.major, device.minor, device.totalGlobalMem >> 20,
           driver / 1000, driver % 1000 / 10, runtime / 1000,
           runtime % 1000 / 10, dnn / 10000, dnn / 100 % 100, dnn % 100,
           blas / 10000, blas / 100 % 100, blas % 100);
}

/* --- memory --------------------------------------------------------------- */

static surge_status cuda_allocate(surge_context *context, void **memory,
                                  size_t bytes) {
  size_t found = 0, total = 0;
  *memory = NULL;
  if (context->options.plan_only)
    return SURGE_FAIL(SURGE_ERROR_INTERNAL,
                      "cuda: wanted a device to allocate on, found a context "
                      "for plans alone");
  if (cudaMalloc(memory, bytes ? bytes : 1) == cudaSuccess) return SURGE_OK;
  (void)cudaGetLastError();
  (void)cudaMemGetInfo(&found, &total);
  return SURGE_FAIL(SURGE_ERROR_DEVICE,
                    "cuda: wanted %zu bytes of memory, found %zu of %zu free",
                    bytes, found, total);
}

static void cuda_release(surge_context *context, void *memory) {
  (void)context;
  cudaFree(memory); /* waits for what is queued */
}

static surge_status cuda_upload(surge_context *context, void *device,
                                const void *host, size_t bytes) {
  SURGE_TRY(refuse_capturing(context, "upload"));
  for (size_t at = 0; at < bytes; at += RING_BYTES) {
    size_t left = bytes - at;
    SURGE_TRY(ring_upload(context->ring, context->stream, (char *)device + at,
                          (const char *)host + at,
                          left < RING_BYTES ? left : RING_BYTES));
  }
  return surge_cuda_launched(context, "upload");
}

/* The driver stages what is not pinned itself: downloads are few, and wait. */
static surge_status cuda_download(surge_context *context, void *host,
                                  const void *device, size_t bytes) {
  SURGE_TRY(refuse_capturing(context, "download"));
  CUDA(cudaMemcpyAsync, host, device, bytes, cudaMemcpyDeviceToHost,
       context->stream);
  CUDA(cudaStreamSynchronize, context->stream);
  return SURGE_OK;
}

static surge_status cuda_zero(surge_context *context, void *device,
                              size_t bytes) {
  CUDA(cudaMemsetAsync, device, 0, bytes, context->stream);
  return surge_cuda_launched(context, "zero");
}

static surge_status cuda_copy(surge_context *context, void *to,
                              const void *from, size_t bytes) {
  CUDA(cudaMemcpyAsync, to, from, bytes, cudaMemcpyDeviceToDevice,
       context->stream);
  return surge_cuda_launched(context, "copy");
}

static surge_status cuda_sync(surge_context *context) {
  SURGE_TRY(refuse_capturing(context, "sync"));
  CUDA(cudaStreamSynchronize, context->stream);
  return SURGE_OK;
}

static void cuda_mark(surge_context *context, const char *name) {
  (void)context;
  if (name)
    nvtxRangePushA(name);
  else
    nvtxRangePop();
}

static surge_status cuda_mirror(surge_context *context, const void **mirror,
                                const void *host, size_t bytes) {
  size_t found, total;
  void *copy;
  *mirror = NULL;
  CUDA(cudaMemGetInfo, &found, &total);
  if (bytes > found / 2) return SURGE_OK;
  SURGE_TRY(cuda_allocate(context, &copy, bytes));
  *mirror = copy;
  return cuda_upload(context, copy, host, bytes);
}

static void cuda_mirror_release(surge_context *context, const void *mirror) {
  cuda_release(context, (void *)(uintptr_t)mirror); /* allocated above */
}

/* --- a step as one graph -------------------------------------------------- */

struct surge_graph {
  cudaGraphExec_t step;
};

static surge_status cuda_capture(surge_context *context) {
  SURGE_TRY(refuse_capturing(context, "capture"));
  CUDA(cudaStreamBeginCapture, context->stream,
       cudaStreamCaptureModeThreadLocal);
  context->capturing = true;
  return SURGE_OK;
}

static surge_status instantiate(surge_graph **graph, cudaGraph_t recorded) {
  surge_graph *g = calloc(1, sizeof *g);
  if (!g) return SURGE_FAIL(SURGE_ERROR_DEVICE, "cuda: no memory for a graph");
  surge_status status =
      surge_cuda_check("cudaGraphInstantiateWithFlags",
                       cudaGraphInstantiateWithFlags(&g->step, recorded, 0));
  if (status == SURGE_OK)
    *graph = g;
  else
    free(g);
  return status;
}

static surge_status cuda_captured(surge_context *context, surge_graph **graph) {
  cudaGraph_t recorded = NULL;
  *graph = NULL;
  context->capturing = false;
  CUDA(cudaStreamEndCapture, context->stream, &recorded);
  surge_status status = instantiate(graph, recorded);
  cudaGraphDestroy(recorded);
  return status;
}

static surge_status cuda_replay(surge_context *context, surge_graph *graph) {
  SURGE_TRY(refuse_capturing(context, "replay"));
  CUDA(cudaGraphLaunch, graph->step, context->stream);
  return surge_cuda_launched(context, "replay");
}

static void cuda_graph_release(surge_graph *graph) {
  if (!graph) return;
  cudaGraphExecDestroy(graph->step);
  free(graph);
}

/* --- the table ------------------------------------------------------------ */

static surge_layout cuda_layout(int32_t c) {
  (void)c;
  return SURGE_CHANNELS_LAST;
}

const surge_backend surge_cuda = {
    .name = "cuda",
    .queues = true,
    .bf16 = true,
    .open = cuda_open,
    .close = cuda_close,
    .describe = cuda_describe,
    .allocate = cuda_allocate,
    .release = cuda_release,
    .upload = cuda_upload,
    .download = cuda_download,
    .zero = cuda_zero,
    .copy = cuda_copy,
    .sync = cuda_sync,
    .mark = cuda_mark,
    .mirror = cuda_mirror,
    .mirror_release = cuda_mirror_release,
    .capture = cuda_capture,
    .captured = cuda_captured,
    .replay = cuda_replay,
    .graph_release = cuda_graph_release,
    .layout = cuda_layout,
    .conv2d_plan = surge_cuda_conv2d_plan,
    .conv2d_release = surge_cuda_conv2d_release,
    .conv2d_workspace = surge_cuda_conv2d_workspace,
    .conv2d_forward = surge_cuda_conv2d_forward,
    .conv2d_backward_data = surge_cuda_conv2d_backward_data,
    .conv2d_backward_weights = surge_cuda_conv2d_backward_weights,
    .linear_workspace = surge_cuda_linear_workspace,
    .linear_forward = surge_cuda_linear_forward,
    .linear_backward_data = surge_cuda_linear_backward_data,
    .linear_backward_weights = surge_cuda_linear_backward_weights,
    .avgpool_forward = surge_cuda_avgpool_forward,
    .avgpool_backward = surge_cuda_avgpool_backward,
    .maxpool_forward = surge_cuda_maxpool_forward,
    .maxpool_backward = surge_cuda_maxpool_backward,
    .norm_workspace = surge_cuda_norm_workspace,
    .norm_forward = surge_cuda_norm_forward,
    .norm_backward = surge_cuda_norm_backward,
    .neuron_scalars = surge_cuda_neuron_scalars,
    .neuron_workspace = surge_cuda_neuron_workspace,
    .neuron_forward = surge_cuda_neuron_forward,
    .neuron_backward = surge_cuda_neuron_backward,
    .add_workspace = surge_cuda_add_workspace,
    .add_forward = surge_cuda_add_forward,
    .add_backward = surge_cuda_add_backward,
    .integrator_forward = surge_cuda_integrator_forward,
    .integrator_backward = surge_cuda_integrator_backward,
    .augment = surge_cuda_augment,
    .poisson = surge_cuda_poisson,
    .dropout = surge_cuda_dropout,
    .loss = surge_cuda_loss,
    .gradient_norm_workspace = surge_cuda_gradient_norm_workspace,
    .gradient_norm = surge_cuda_gradient_norm,
    .optimize = surge_cuda_optimize,
    .average = surge_cuda_average,
    .count_nonzero = surge_cuda_count_nonzero,
    .cast = surge_cuda_cast,
    .pack = surge_cuda_pack,
    .unpack = surge_cuda_unpack,
};
