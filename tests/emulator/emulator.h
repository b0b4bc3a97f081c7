/* emulator.h - device code on the host: launches and shared memory. */
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
  auto stored =
      std::make_shared<std::tuple<typename std::decay<P>::type...>>(
          arguments...);
  queue_kernel({name, (const void *)body, grid, block, shared,
                [body, stored] { std::apply(body, *stored); }},
               stream);
}

} /* namespace surge_emulator */

#define SURGE_LAUNCH(kernel, blocks, threads, shared, stream, ...)             \
  surge_emulator::launch(#kernel, kernel, blocks, threads, shared, stream,     \
                         __VA_ARGS__)
#define SURGE_SHARED static __attribute__((section("surge_shared")))
#define SURGE_DYNAMIC_SHARED(type, name)                                       \
  type *name = (type *)surge_emulator::dynamic_shared()

#endif
