/* memory.cpp - the device's memory and pinned memory: two ranges of addresses,
 * closed with mprotect to whoever may not touch them now.
 *
 * Addresses are never given out twice and freed memory is closed for good, so
 * that a pointer used too late shows. Each allocation begins on a page and has
 * guard bytes up to the end of its last page. New memory is filled with NaN; of
 * what is larger than tests' own arrays, library workspaces above all, both ends
 * are, and the pages between exist only once they are used.
 *
 * Opening and closing costs time by the page that exists. So an allocation is
 * opened when one who may touch it does (on_fault), and what nobody touched is
 * neither closed nor looked at. */
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#include <algorithm>
#include <map>

#include "tests/emulator/internal.h"

namespace surge_emulator {

static const size_t page = 4096, guard_least = 256;
static const size_t reserved = (size_t)1 << 40;
static const unsigned char guard_byte = 0xA5;

struct arena {
  const char *name;
  size_t capacity; /* bytes that may be allocated at a time */
  size_t filled;   /* bytes of an allocation that NaN fills */
  char *base;
  size_t used;      /* of the addresses */
  size_t allocated; /* bytes alive */
  bool open;        /* to whoever runs now */
  std::map<char *, size_t> alive; /* begin -> bytes asked for */
  std::vector<char *> touched;    /* those that are open */
};

static arena device_memory = {"device memory", (size_t)8 << 30,
                              (size_t)4 << 20, nullptr, 0, 0, false, {}, {}};
static arena pinned_memory = {"pinned memory", (size_t)4 << 30,
                              (size_t)64 << 10, nullptr, 0, 0, true, {}, {}};

static size_t footprint(size_t bytes) {
  return (bytes + guard_least + page - 1) / page * page;
}

static bool holds(const arena &a, const void *at) {
  const char *p = (const char *)at;
  return a.base != nullptr && p >= a.base && p < a.base + reserved;
}

static void protect(char *at, size_t bytes, bool open) {
  if (mprotect(at, bytes, open ? PROT_READ | PROT_WRITE : PROT_NONE) != 0)
    fail("mprotect of %zu bytes failed", bytes);
}

static void set_open(arena &a, bool open) {
  if (!open)
    for (char *at : a.touched) protect(at, footprint(a.alive[at]), false);
  if (!open) a.touched.clear();
  a.open = open;
}

void allow(access who) {
  set_open(device_memory, who != access::host);
  set_open(pinned_memory, who != access::kernel);
}

/* --- what a fault means ------------------------------------------------------- */

/* The live allocation that holds `at`, guard bytes included, or the end of the
 * map. */
static std::map<char *, size_t>::const_iterator find(const arena &a,
                                                     const void *at) {
  auto next = a.alive.upper_bound((char *)at);
  if (next == a.alive.begin()) return a.alive.end();
  --next;
  return (const char *)at < next->first + footprint(next->second)
             ? next
             : a.alive.end();
}

static arena *arena_of(const void *at) {
  return holds(device_memory, at)   ? &device_memory
         : holds(pinned_memory, at) ? &pinned_memory
                                    : nullptr;
}

/* The first touch of a live allocation by one who may. */
static bool opens(const void *at) {
  arena *a = arena_of(at);
  if (a == nullptr || !a->open) return false;
  auto it = find(*a, at);
  if (it == a->alive.end()) return false;
  protect(it->first, footprint(it->second), true);
  a->touched.push_back(it->first);
  return true;
}

static void describe_fault(const siginfo_t *info, char *text, size_t size) {
  const void *at = info->si_addr;
  const char *who = running.empty() ? "host code" : "device code";
  const arena *a = arena_of(at);
  if (info->si_code == SI_KERNEL) { /* the processor gives no address */
    snprintf(text, size, "%s made a misaligned vector access, or used no address "
             "at all", who);
    return;
  }
  if (a == nullptr) {
    snprintf(text, size, "%s touched address %p", who, at);
    return;
  }
  auto it = find(*a, at);
  if (it == a->alive.end())
    snprintf(text, size, "%s touched %s outside any live allocation: %p", who,
             a->name, at);
  else
    snprintf(text, size, "%s touched %s: byte %zu of %zu at %p", who, a->name,
             (size_t)((const char *)at - it->first), it->second,
             (const void *)it->first);
}

static struct sigaction before;

/* Ours where an address of the emulator is concerned or an operation runs;
 * otherwise whoever was there before (AddressSanitizer, Criterion). */
static void on_fault(int signal, siginfo_t *info, void *context) {
  if (opens(info->si_addr)) return;
  bool ours = arena_of(info->si_addr) != nullptr || !running.empty();
  if (ours) {
    char text[256];
    describe_fault(info, text, sizeof text);
    fail("%s", text);
  }
  if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(signal, info, context);
    return;
  }
  sigaction(signal, &before, nullptr); /* the fault comes again */
}

static void watch_faults(void) {
  static char stack[64 * 1024]; /* the fault may be a stack's end */
  stack_t alternative = {};
  alternative.ss_sp = stack;
  alternative.ss_size = sizeof stack;
  sigaltstack(&alternative, nullptr);
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, &before);
}

/* --- allocation ---------------------------------------------------------------- */

static void reserve(arena &a) {
  static bool watched = false;
  if (!watched) watch_faults();
  watched = true;
  void *base = mmap(nullptr, reserved, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) fail("no addresses for %s", a.name);
  a.base = (char *)base;
}

static void *allocate(arena &a, size_t bytes) {
  if (a.base == nullptr) reserve(a);
  size_t pages = footprint(bytes);
  if (bytes > a.capacity - a.allocated || pages > reserved - a.used)
    return nullptr;
  char *at = a.base + a.used;
  a.used += pages;
  a.allocated += bytes;
  a.alive[at] = bytes;
  protect(at, pages, true);
  size_t first = bytes < a.filled ? bytes : a.filled / 2;
  size_t last = bytes < a.filled ? 0 : a.filled / 2;
  memset(at, 0xff, first);
  memset(at + bytes - last, 0xff, last);
  memset(at + bytes, guard_byte, pages - bytes);
  ASAN_POISON_MEMORY_REGION(at + bytes, pages - bytes);
  protect(at, pages, false);
  return at;
}

static void release(arena &a, void *memory, const char *call) {
  auto it = a.alive.find((char *)memory);
  if (it == a.alive.end())
    fail("%s of %p, which is no live allocation of %s", call, memory, a.name);
  size_t pages = footprint(it->second);
  a.allocated -= it->second;
  a.alive.erase(it);
  auto touched = std::find(a.touched.begin(), a.touched.end(), memory);
  if (touched != a.touched.end()) a.touched.erase(touched);
  ASAN_UNPOISON_MEMORY_REGION(memory, pages);
  protect((char *)memory, pages, false);
  madvise(memory, pages, MADV_DONTNEED);
}

/* --- checks --------------------------------------------------------------------- */

__attribute__((no_sanitize("address"))) static bool intact(const char *at,
                                                           size_t bytes) {
  for (size_t i = 0; i < bytes; i++)
    if ((unsigned char)at[i] != guard_byte) return false;
  return true;
}

void check_guards(void) {
  for (char *at : device_memory.touched) {
    size_t bytes = device_memory.alive[at];
    if (!intact(at + bytes, footprint(bytes) - bytes))
      fail("wrote behind the end of an allocation of %zu bytes (%p), or before "
           "the next",
           bytes, (void *)at);
  }
}

place place_of(const void *at) {
  const arena *a = arena_of(at);
  return a == &device_memory   ? place::device
         : a == &pinned_memory ? place::pinned
                               : place::pageable;
}

static void check_within(const arena &a, const char *what, const void *at,
                         size_t bytes) {
  if (bytes == 0) return;
  auto it = find(a, at);
  if (it == a.alive.end())
    fail("%s: %p lies in no live allocation of %s", what, at, a.name);
  size_t offset = (size_t)((const char *)at - it->first);
  if (offset > it->second || bytes > it->second - offset)
    fail("%s: %zu bytes from byte %zu of an allocation of %zu", what, bytes,
         offset, it->second);
}

void check_device(const char *what, const void *at, size_t bytes,
                  size_t align) {
  if (bytes > 0 && place_of(at) != place::device)
    fail("%s: %p is no address of the device", what, at);
  check_within(device_memory, what, at, bytes);
  if ((uintptr_t)at % align != 0)
    fail("%s: %p is not aligned to %zu bytes", what, at, align);
}

static void check_host(const char *what, const void *at, size_t bytes) {
  if (bytes > 0 && place_of(at) == place::device)
    fail("%s: %p is an address of the device", what, at);
  if (place_of(at) == place::pinned) check_within(pinned_memory, what, at, bytes);
}

static void check_copy(const char *call, void *to, const void *from,
                       size_t bytes, cudaMemcpyKind kind) {
  std::string target = std::string(call) + " target";
  std::string source = std::string(call) + " source";
  if (kind == cudaMemcpyDefault)
    fail("%s: cudaMemcpyDefault; say the direction", call);
  bool to_device =
      kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  bool from_device =
      kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (to_device)
    check_device(target.c_str(), to, bytes, 1);
  else
    check_host(target.c_str(), to, bytes);
  if (from_device)
    check_device(source.c_str(), from, bytes, 1);
  else
    check_host(source.c_str(), from, bytes);
}

static operation copying(const char *call, void *to, const void *from,
                         size_t bytes) {
  return {call, access::copy, [=] { memcpy(to, from, bytes); }};
}

} /* namespace surge_emulator */

using namespace surge_emulator;

static cudaError_t take(arena &a, const char *call, void **memory,
                        size_t bytes) {
  if (capturing()) return refuse_in_capture(call);
  *memory = bytes > 0 ? allocate(a, bytes) : nullptr;
  return *memory == nullptr && bytes > 0 ? failed(cudaErrorMemoryAllocation)
                                         : cudaSuccess;
}

static cudaError_t give_back(arena &a, const char *call, void *memory) {
  if (memory == nullptr) return cudaSuccess;
  if (capturing()) return refuse_in_capture(call);
  finish_all();
  release(a, memory, call);
  return cudaSuccess;
}

cudaError_t cudaMalloc(void **memory, size_t bytes) {
  return take(device_memory, "cudaMalloc", memory, bytes);
}

cudaError_t cudaFree(void *memory) {
  return give_back(device_memory, "cudaFree", memory);
}

cudaError_t cudaMallocHost(void **memory, size_t bytes) {
  return take(pinned_memory, "cudaMallocHost", memory, bytes);
}

cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned) {
  return take(pinned_memory, "cudaHostAlloc", memory, bytes);
}

cudaError_t cudaFreeHost(void *memory) {
  return give_back(pinned_memory, "cudaFreeHost", memory);
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total) {
  *total = device_memory.capacity;
  *available = device_memory.capacity - device_memory.allocated;
  return cudaSuccess;
}

/* Pinned bytes are read when the copy runs, pageable ones now: CUDA stages
 * those. To pageable memory it is synchronous. */
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes,
                            cudaMemcpyKind kind, cudaStream_t stream) {
  const char *call = "cudaMemcpyAsync";
  check_copy(call, to, from, bytes, kind);
  bool staged = place_of(from) == place::pageable;
  bool waits = place_of(to) == place::pageable;
  if ((staged || waits) && captures(stream))
    fail("%s with pageable memory while the stream is captured", call);
  if (!staged) {
    cudaError_t error = queue(stream, copying(call, to, from, bytes));
    if (error == cudaSuccess && waits) return cudaStreamSynchronize(stream);
    return error;
  }
  auto stage = std::make_shared<std::vector<char>>((const char *)from,
                                                   (const char *)from + bytes);
  return queue(stream, {call, access::copy,
                        [=] { memcpy(to, stage->data(), stage->size()); }});
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes,
                       cudaMemcpyKind kind) {
  if (capturing()) return refuse_in_capture("cudaMemcpy");
  check_copy("cudaMemcpy", to, from, bytes, kind);
  finish_blocking();
  allow(access::copy);
  memcpy(to, from, bytes);
  allow(access::host);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes,
                            cudaStream_t stream) {
  check_device("cudaMemsetAsync", memory, bytes, 1);
  return queue(stream, {"cudaMemsetAsync", access::copy,
                        [=] { memset(memory, value, bytes); }});
}

cudaError_t cudaMemset(void *memory, int value, size_t bytes) {
  if (capturing()) return refuse_in_capture("cudaMemset");
  check_device("cudaMemset", memory, bytes, 1);
  finish_blocking();
  allow(access::copy);
  memset(memory, value, bytes);
  allow(access::host);
  return cudaSuccess;
}
