/* emulator.h - SURGE's device code on a machine without a device.
 *
 * The .cu files, conv2d.c, linear.c and cuda.c are compiled for the host against
 * tests/emulator/include, which declares of CUDA, cuDNN and cuBLAS just what
 * they use, and run by the files of this folder:
 *
 *   fiber.cpp    stacks to switch between        block.cpp   a grid's threads
 *   stream.cpp   streams, events, graphs         memory.cpp  allocations, copies
 *   device.cpp   the device, limits of a launch  order.cpp   the seeded choices
 *   cublas.cpp, cudnn.cpp   plain loops          report.cpp  how it complains
 *
 * It is there to find faults, so it does what CUDA is allowed to do:
 *   order    blocks of a grid, threads of a block up to each barrier, and
 *            streams take turns in an order drawn from SURGE_EMULATOR_SEED (1
 *            where it is not set); no two threads run at the same time.
 *   lateness what is queued runs when the host waits, not before; streams are
 *            bounded by events alone. A copy reads pinned memory when it runs,
 *            pageable memory when it is queued. Arguments are stored at the
 *            launch; a graph stores them at the capture.
 *   memory   fresh device and shared memory is NaN (of more than 4 MiB the two
 *            ends are). Device memory is closed to the host, pinned memory to
 *            kernels; freed memory to everybody, and its addresses do not come
 *            back. Guards behind each allocation are checked after each
 *            operation, and at once with ASan.
 *   checks   directions and ranges of copies, limits of a launch, lanes of a
 *            warp operation, threads at a barrier, calls forbidden during a
 *            capture, descriptors and pointers of library calls, the workspace
 *            (scribbled over with NaN); the null stream is refused.
 *
 * A violation prints one line and aborts:
 *     emulator: <kernel or call that ran>: <what was wrong>
 * without the first part where the host itself was at fault; a thread is named
 * by its block and its number in it. Run again with the same seed to see the
 * same, or with others to look for more:
 *     for s in 1 2 3 4; do SURGE_EMULATOR_SEED=$s ctest -L emulated; done
 * Under AddressSanitizer, ASAN_OPTIONS=detect_stack_use_after_return=0.
 *
 * Not emulated: time, threads at the same instant (two that write one word
 * without a barrier show only as far as order shows them), memory ordering, a
 * kernel that reads pageable host memory (on a device a fault, here it works),
 * the last bits of library calls (sums are in double), more than one device,
 * more than one host thread, textures, streams' priorities. */
#ifndef SURGE_TESTS_EMULATOR_H
#define SURGE_TESTS_EMULATOR_H

#include <cuda_runtime.h>

namespace surge_emulator {

/* A launch as it was asked for; `thread` runs the kernel's body once. */
struct kernel {
  const char *name;
  const void *address;
  dim3 grid, block;
  size_t shared;
  std::function<void()> thread;
};

void queue_kernel(const kernel &k, cudaStream_t stream);
void *dynamic_shared(void); /* of the launch that runs */

/* The arguments are converted to the kernel's own parameter types and stored
 * now; the kernel runs when its stream's turn has come. */
template <class... P, class... A>
void launch(const char *name, void (*body)(P...), dim3 grid, dim3 block,
            size_t shared, cudaStream_t stream, const A &...arguments) {
  auto stored = std::make_shared<std::tuple<typename std::decay<P>::type...>>(
      arguments...);
  queue_kernel({name, (const void *)body, grid, block, shared,
                [body, stored] { std::apply(body, *stored); }},
               stream);
}

} /* namespace surge_emulator */

#define SURGE_LAUNCH(kernel, blocks, threads, shared, stream, ...)             \
  surge_emulator::launch(#kernel, kernel, blocks, threads, shared, stream,     \
                         __VA_ARGS__)
#define SURGE_SHARED static /* shared.ld */
#define SURGE_DYNAMIC_SHARED(type, name)                                       \
  type *name = (type *)surge_emulator::dynamic_shared()

#endif
