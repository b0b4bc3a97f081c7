/* internal.h - what the emulator's files share (see emulator.h). */
#ifndef SURGE_TESTS_EMULATOR_INTERNAL_H
#define SURGE_TESTS_EMULATOR_INTERNAL_H

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/emulator/emulator.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define EMULATOR_ASAN 1
#else
#define EMULATOR_ASAN 0
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

namespace surge_emulator {

/* --- report.cpp: one line to stderr, then abort ----------------------------- */
[[noreturn]] void fail(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
/* The operation that runs now ("" between operations). */
extern std::string running;

/* --- order.cpp: every choice of order comes from SURGE_EMULATOR_SEED -------- */
void seed(uint64_t value);
uint64_t draw(uint64_t below);
void order(std::vector<uint32_t> &numbers, uint32_t count); /* a permutation */

/* --- memory.cpp --------------------------------------------------------------- */
enum class place { pageable, pinned, device };
place place_of(const void *at);
/* Fails unless [at, at + bytes) lies in one live allocation of the device and
 * is aligned; `what` names call and argument. */
void check_device(const char *what, const void *at, size_t bytes, size_t align);
/* Who may touch what: a kernel sees the device alone, a copy both, the host
 * pinned memory alone. */
enum class access { host, kernel, copy };
void allow(access who);
void check_guards(void); /* fails where one was overwritten */

/* --- block.cpp ------------------------------------------------------------------ */
void run_grid(const kernel &k);

/* --- stream.cpp ----------------------------------------------------------------- */
struct operation {
  std::string name;
  access who;
  std::function<void()> run;
};
/* Appends to a stream, or to the graph that it is captured into. */
cudaError_t queue(cudaStream_t stream, operation o);
bool capturing(void);                            /* some stream is */
cudaError_t refuse_in_capture(const char *call); /* and invalidates it */
bool captures(cudaStream_t stream);
void finish_all(void);                 /* runs all that is queued */
void finish_blocking(void);            /* all in streams that block stream 0 */
cudaError_t failed(cudaError_t error); /* remembers for cudaGetLastError */

} /* namespace surge_emulator */

#endif
