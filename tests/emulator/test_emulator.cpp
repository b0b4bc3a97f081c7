/* test_emulator.cpp - the emulator finds what it is there to find: each fault
 * below is planted, and must show; its right twin must not. */
#include <criterion/criterion.h>
#include <cublas_v2.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/emulator/internal.h"

#define SEEDS 32
#define THREADS 128

/* --- what the tests share ------------------------------------------------------ */

static cudaStream_t new_stream(void) {
  cudaStream_t stream = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  return stream;
}

template <class T>
static T *device_array(size_t count) {
  T *memory = nullptr;
  cr_assert_eq(cudaMalloc(&memory, count * sizeof(T)), cudaSuccess);
  return memory;
}

static float pinned_value(cudaStream_t stream, const float *device) {
  float value;
  cudaMemcpyAsync(&value, device, sizeof value, cudaMemcpyDeviceToHost, stream);
  return value;
}

/* Runs `fault` in a process of its own, which must die and print one of the two
 * texts (the second: what AddressSanitizer says first, where it runs). */
static void expect_death(const char *name, void (*fault)(void),
                         const char *text, const char *sanitizer_text) {
  int ends[2], status;
  cr_assert_eq(pipe(ends), 0);
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    fault();
    _exit(0);
  }
  close(ends[1]);
  std::string said;
  char part[512];
  for (ssize_t n; (n = read(ends[0], part, sizeof part)) > 0;)
    said.append(part, (size_t)n);
  close(ends[0]);
  waitpid(child, &status, 0);
  bool dead = !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  bool told = said.find(text) != std::string::npos ||
              (sanitizer_text != nullptr &&
               said.find(sanitizer_text) != std::string::npos);
  cr_expect(dead && told, "%s: status %x, said: %s", name, (unsigned)status,
            said.c_str());
}
#define EXPECT_DEATH(fault, text) expect_death(#fault, fault, text, nullptr)

/* --- blocks --------------------------------------------------------------------- */

template <bool barrier>
__global__ void sum_kernel(float *sum, float value) {
  SURGE_SHARED float part[THREADS];
  part[threadIdx.x] = value * (float)threadIdx.x;
  if (barrier) __syncthreads();
  if (threadIdx.x != 0) return;
  float total = 0;
  for (unsigned i = 0; i < blockDim.x; i++) total += part[i];
  sum[blockIdx.x] = total;
}

/* Seeds at which all of 3 blocks have the right sum. */
template <bool barrier>
static int seeds_right(void) {
  cudaStream_t stream = new_stream();
  float *sum = device_array<float>(3), host[3];
  int right = 0;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    surge_emulator::seed(seed);
    SURGE_LAUNCH((sum_kernel<barrier>), 3, THREADS, 0, stream, sum, 2);
    cudaMemcpyAsync(host, sum, sizeof host, cudaMemcpyDeviceToHost, stream);
    bool all = true;
    for (float h : host) all = all && h == THREADS * (THREADS - 1.0f);
    right += all;
  }
  return right;
}

Test(emulator, a_block_sums_at_every_seed) {
  cr_expect_eq(seeds_right<true>(), SEEDS);
}

Test(emulator, a_barrier_left_out_shows) {
  cr_expect_eq(seeds_right<false>(), 0);
}

__global__ void warp_kernel(int *out) {
  int v = (int)threadIdx.x;
  for (int step = 16; step > 0; step /= 2)
    v += __shfl_down_sync(0xffffffffu, v, (unsigned)step);
  v = __shfl_sync(0xffffffffu, v, 0);
  unsigned odd = __ballot_sync(0xffffffffu, (int)threadIdx.x & 1);
  int above = __shfl_up_sync(0xffffffffu, (int)threadIdx.x, 1, 8);
  int pair = __shfl_xor_sync(0xffffffffu, (int)threadIdx.x, 1);
  out[threadIdx.x] = v + (odd == 0xaaaaaaaau ? 1000 : 0) + above + pair;
}

Test(emulator, warp_operations) {
  cudaStream_t stream = new_stream();
  int *out = device_array<int>(64), host[64];
  SURGE_LAUNCH(warp_kernel, 1, 64, 0, stream, out);
  cudaMemcpyAsync(host, out, sizeof host, cudaMemcpyDeviceToHost, stream);
  for (int i = 0; i < 64; i++) {
    int sum = i < 32 ? 31 * 16 : 31 * 16 + 32 * 32;
    int above = i % 8 == 0 ? i : i - 1;
    cr_expect_eq(host[i], sum + 1000 + above + (i ^ 1), "thread %d", i);
  }
}

__global__ void dynamic_kernel(float *out, unsigned bytes) {
  SURGE_DYNAMIC_SHARED(float, part);
  part[threadIdx.x] = 1;
  __syncthreads();
  if (threadIdx.x == 0) out[0] = part[bytes / sizeof(float) - 1];
}

Test(emulator, dynamic_shared_memory) {
  cudaStream_t stream = new_stream();
  float *out = device_array<float>(1);
  SURGE_LAUNCH(dynamic_kernel, 1, 8, 8 * sizeof(float), stream, out, 32u);
  cr_expect_eq(pinned_value(stream, out), 1.0f);
}

enum wrong { LANE_EXITS, LANES_DIVERGE, TWO_BARRIERS, MASK_LEAVES_OUT };

template <wrong how>
__global__ void wrong_kernel(int *out) {
  unsigned lane = threadIdx.x;
  int v = 1;
  if (how == LANE_EXITS && lane == 3) return;
  if (how == LANES_DIVERGE && lane == 3) __syncthreads();
  if (how == TWO_BARRIERS && lane < 16) {
    __syncthreads();
  } else if (how == TWO_BARRIERS) {
    __syncthreads();
  }
  if (how != TWO_BARRIERS)
    v = __shfl_xor_sync(how == MASK_LEAVES_OUT ? 0xffffu : 0xffffffffu, v, 1);
  out[lane] = v;
}

template <wrong how>
static void run_wrong(void) {
  cudaStream_t stream = new_stream();
  SURGE_LAUNCH((wrong_kernel<how>), 1, 32, 0, stream, device_array<int>(32));
  cudaStreamSynchronize(stream);
}

Test(emulator, threads_that_do_not_meet) {
  EXPECT_DEATH(run_wrong<LANE_EXITS>, "thread 3, which has exited");
  EXPECT_DEATH(run_wrong<LANES_DIVERGE>, "thread 3, which waits at __syncth");
  EXPECT_DEATH(run_wrong<TWO_BARRIERS>, "while others wait at");
  EXPECT_DEATH(run_wrong<MASK_LEAVES_OUT>, "which leaves out the caller");
}

/* --- launches --------------------------------------------------------------------- */

__global__ void fill_kernel(float *out, float value, unsigned count) {
  unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) out[i] = value;
}

static void fill(cudaStream_t stream, float *out, float value, unsigned count) {
  SURGE_LAUNCH(fill_kernel, (count + 63) / 64, 64, 0, stream, out, value,
               count);
}

static void launch(dim3 grid, dim3 block, size_t shared, bool on_null) {
  cudaStream_t stream = new_stream();
  SURGE_LAUNCH(fill_kernel, grid, block, shared, on_null ? nullptr : stream,
               (float *)nullptr, 0, 0);
}

Test(emulator, launches_out_of_bounds) {
  EXPECT_DEATH([] { launch(0, 32, 0, false); }, "a grid of 0 x 1 x 1");
  EXPECT_DEATH([] { launch(dim3(1, 65536), 32, 0, false); }, "a grid of 1 x 6");
  EXPECT_DEATH([] { launch(1, 1025, 0, false); }, "blocks of 1025 x 1 x 1");
  EXPECT_DEATH([] { launch(1, dim3(32, 33), 0, false); }, "blocks of 32 x 33");
  EXPECT_DEATH([] { launch(1, 32, 49153, false); }, "bytes of shared memory");
  EXPECT_DEATH([] { launch(1, 32, 0, true); }, "null stream");
}

/* --- memory ------------------------------------------------------------------------- */

static void overrun(void) {
  cudaStream_t stream = new_stream();
  fill(stream, device_array<float>(8), 1, 9);
  cudaStreamSynchronize(stream);
}

static void use_after_free(void) {
  cudaStream_t stream = new_stream();
  float *out = device_array<float>(8);
  cudaFree(out);
  fill(stream, out, 1, 8);
  cudaStreamSynchronize(stream);
}

static void pinned_in_kernel(void) {
  cudaStream_t stream = new_stream();
  void *pinned;
  cudaMallocHost(&pinned, 32);
  fill(stream, (float *)pinned, 1, 8);
  cudaStreamSynchronize(stream);
}

static void host_reads_device(void) {
  volatile float *out = device_array<float>(8);
  float value = out[2];
  (void)value;
}

static void copies_wrong_way(void) {
  float host[8];
  cudaMemcpyAsync(device_array<float>(8), host, sizeof host,
                  cudaMemcpyDeviceToHost, new_stream());
}

static void copies_too_much(void) {
  float host[9] = {};
  cudaMemcpyAsync(device_array<float>(8), host, sizeof host,
                  cudaMemcpyHostToDevice, new_stream());
}

Test(emulator, memory_touched_by_the_wrong_one) {
  expect_death("overrun", overrun, "behind the end", "use-after-poison");
  EXPECT_DEATH(use_after_free, "device code touched device memory outside");
  EXPECT_DEATH(pinned_in_kernel, "device code touched pinned memory");
  EXPECT_DEATH(host_reads_device, "host code touched device memory: byte 8");
  EXPECT_DEATH(copies_wrong_way, "target: ");
  EXPECT_DEATH(copies_too_much, "36 bytes from byte 0 of an allocation of 32");
}

Test(emulator, fresh_memory_is_nan_and_too_much_is_refused) {
  float *device = device_array<float>(1);
  float value = pinned_value(new_stream(), device);
  cr_expect(value != value);
  void *memory;
  cr_expect_eq(cudaMalloc(&memory, (size_t)1 << 50),
               cudaErrorMemoryAllocation);
  cr_expect_eq(cudaGetLastError(), cudaErrorMemoryAllocation);
  cr_expect_eq(cudaGetLastError(), cudaSuccess);
}

/* --- streams --------------------------------------------------------------------------- */

Test(emulator, a_pinned_buffer_overwritten_too_early_shows) {
  cudaStream_t stream = new_stream();
  float *device = device_array<float>(1), *pinned, pageable = 1;
  cudaMallocHost((void **)&pinned, sizeof *pinned);
  *pinned = 1;
  cudaMemcpyAsync(device, pinned, 4, cudaMemcpyHostToDevice, stream);
  *pinned = 2;
  cr_expect_eq(pinned_value(stream, device), 2.0f);
  cudaMemcpyAsync(device, &pageable, 4, cudaMemcpyHostToDevice, stream);
  pageable = 2;
  cr_expect_eq(pinned_value(stream, device), 1.0f);
}

/* Seeds at which a second stream reads what the first wrote. */
static int seeds_in_order(bool waits) {
  cudaStream_t first = new_stream(), second = new_stream();
  float *a = device_array<float>(1), *b = device_array<float>(1);
  cudaEvent_t written;
  cudaEventCreateWithFlags(&written, cudaEventDisableTiming);
  int right = 0;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    surge_emulator::seed(seed);
    fill(first, a, (float)seed, 1);
    cudaEventRecord(written, first);
    if (waits) cudaStreamWaitEvent(second, written, 0);
    cudaMemcpyAsync(b, a, 4, cudaMemcpyDeviceToDevice, second);
    right += pinned_value(second, b) == (float)seed;
    cudaDeviceSynchronize();
  }
  return right;
}

Test(emulator, a_missing_wait_shows) {
  cr_expect_eq(seeds_in_order(true), SEEDS);
  cr_expect_lt(seeds_in_order(false), SEEDS / 2);
}

Test(emulator, an_event_is_done_once_its_record_has_run) {
  cudaStream_t stream = new_stream();
  cudaEvent_t event;
  cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  cr_expect_eq(cudaEventQuery(event), cudaSuccess, "never recorded");
  float *device = device_array<float>(1);
  for (int i = 0; i < 4; i++) fill(stream, device, 1, 1);
  cudaEventRecord(event, stream);
  int asked = 0;
  while (cudaEventQuery(event) == cudaErrorNotReady) asked++;
  cr_expect_gt(asked, 0);
}

/* --- graphs ------------------------------------------------------------------------------- */

Test(emulator, a_graph_keeps_its_arguments) {
  cudaStream_t stream = new_stream();
  float *device = device_array<float>(1), value = 1;
  cudaGraph_t graph;
  cudaGraphExec_t step;
  cudaMemsetAsync(device, 0, 4, stream);
  cudaStreamSynchronize(stream);
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
  fill(stream, device, value, 1);
  cr_assert_eq(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  value = 2;
  cr_expect_eq(pinned_value(stream, device), 0.0f, "run while captured");
  cr_assert_eq(cudaGraphInstantiate(&step, graph, 0), cudaSuccess);
  cudaGraphDestroy(graph);
  cudaGraphLaunch(step, stream);
  cr_expect_eq(pinned_value(stream, device), 1.0f);
}

Test(emulator, a_capture_forks_and_joins_by_events) {
  cudaStream_t first = new_stream(), second = new_stream();
  float *device = device_array<float>(1);
  cudaEvent_t event;
  cudaGraph_t graph;
  cudaGraphExec_t step;
  cudaEventCreate(&event);
  cudaStreamBeginCapture(first, cudaStreamCaptureModeThreadLocal);
  fill(first, device, 1, 1);
  cudaEventRecord(event, first);
  cudaStreamWaitEvent(second, event, 0);
  fill(second, device, 2, 1);
  cudaEventRecord(event, second);
  cudaStreamWaitEvent(first, event, 0);
  cr_assert_eq(cudaStreamEndCapture(first, &graph), cudaSuccess);
  cudaGraphInstantiate(&step, graph, 0);
  for (int i = 0; i < SEEDS; i++) {
    cudaGraphLaunch(step, first);
    cr_expect_eq(pinned_value(first, device), 2.0f);
  }
}

Test(emulator, what_a_capture_forbids_invalidates_it) {
  cudaStream_t stream = new_stream();
  void *memory;
  cudaGraph_t graph;
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
  cr_expect_eq(cudaMalloc(&memory, 4), cudaErrorStreamCaptureUnsupported);
  cr_expect_eq(cudaStreamEndCapture(stream, &graph),
               cudaErrorStreamCaptureInvalidated);
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
  cr_expect_eq(cudaStreamSynchronize(stream),
               cudaErrorStreamCaptureUnsupported);
  cr_expect_eq(cudaStreamEndCapture(stream, &graph),
               cudaErrorStreamCaptureInvalidated);
}

/* --- libraries ------------------------------------------------------------------------------ */

/* C = A B + C of 2 x 2, all of C's memory. */
static cublasStatus_t multiply_2x2(cublasHandle_t handle, const float *a,
                                   int lda, float *b) {
  const float one = 1;
  return cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, a,
                      CUDA_R_32F, lda, b, CUDA_R_32F, 2, &one, b, CUDA_R_32F, 2,
                      CUBLAS_COMPUTE_32F_PEDANTIC, CUBLAS_GEMM_DEFAULT);
}

static void product_of_host_memory(void) {
  cublasHandle_t handle;
  const float host[4] = {};
  float *device = device_array<float>(4);
  cublasCreate(&handle);
  cublasSetStream(handle, new_stream());
  multiply_2x2(handle, host, 2, device);
}

Test(emulator, products_check_what_they_are_given) {
  cublasHandle_t handle;
  float *device = device_array<float>(4);
  cublasCreate(&handle);
  cr_expect_eq(multiply_2x2(handle, device, 1, device),
               CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_DEATH(product_of_host_memory, "is no address of the device");
}
