/* block.cpp - a grid, block by block; the threads of a block, each until it
 * waits; barriers and warp operations.
 *
 * A fiber takes the block's threads one after another. One that meets a barrier
 * keeps its fiber and waits, and another fiber goes on with those not begun: a
 * kernel without barriers runs on one fiber, as plain calls. Which thread goes
 * next is drawn among those that can. */
#include <stdio.h>

#include "tests/emulator/fiber.h"
#include "tests/emulator/internal.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

extern char __start_surge_shared[], __stop_surge_shared[]; /* shared.ld */

namespace surge_emulator {

static const unsigned warp_lanes = 32;
static const char *const warp_op_names[] = {
    "__syncwarp",      "__shfl_sync",   "__shfl_down_sync", "__shfl_up_sync",
    "__shfl_xor_sync", "__ballot_sync", "__all_sync",       "__any_sync"};

enum class state { unborn, runs, at_barrier, at_warp, ready, exited };

struct thread {
  state is;
  fiber *on;
  const char *file; /* where it waits */
  int line;
  int predicate; /* of a block barrier */
  warp_op op;    /* and of a warp operation */
  unsigned mask, operand;
  int width;
  uint64_t value; /* brought, then taken away */
};

/* The block that runs. */
static const kernel *launched;
static std::vector<thread> threads;
static std::vector<uint32_t> births; /* order in which threads begin */
static std::vector<uint32_t> ready;
static uint32_t begun, alive, at_barrier, self;
static int barrier_count;
static std::vector<char> dynamic;

void *dynamic_shared(void) {
  if (launched->shared == 0)
    fail("dynamic shared memory is used, but the launch asks for 0 bytes");
  return dynamic.data();
}

static uint32_t thread_count(const dim3 &d) { return d.x * d.y * d.z; }

static std::string name_of(uint32_t t) {
  char text[128];
  snprintf(text, sizeof text, "block (%u,%u,%u) thread %u", blockIdx.x,
           blockIdx.y, blockIdx.z, t);
  return text;
}

static void become(uint32_t t) {
  self = t;
  threads[t].is = state::runs;
  threadIdx.x = t % blockDim.x;
  threadIdx.y = t / blockDim.x % blockDim.y;
  threadIdx.z = t / blockDim.x / blockDim.y;
}

static void make_ready(uint32_t t) {
  threads[t].is = state::ready;
  ready.push_back(t);
}

static void wait(state how, const char *file, int line) {
  threads[self].is = how;
  threads[self].file = file;
  threads[self].line = line;
}

/* --- __syncthreads ----------------------------------------------------------- */

/* All threads that have not exited are at the barrier: they may go on. */
static void release_barrier(void) {
  const thread *first = nullptr;
  barrier_count = 0;
  for (uint32_t t = 0; t < threads.size(); t++) {
    thread &each = threads[t];
    if (each.is != state::at_barrier) continue;
    if (first == nullptr) first = &each;
    if (each.line != first->line || strcmp(each.file, first->file) != 0)
      fail("%s waits at __syncthreads of %s:%d while others wait at %s:%d",
           name_of(t).c_str(), each.file, each.line, first->file, first->line);
    barrier_count += each.predicate != 0;
    make_ready(t);
  }
  at_barrier = 0;
}

static void barrier_if_complete(void) {
  if (at_barrier > 0 && at_barrier == alive) release_barrier();
}

int block_count(int predicate, const char *file, int line) {
  threads[self].predicate = predicate;
  wait(state::at_barrier, file, line);
  at_barrier++;
  barrier_if_complete();
  fiber_leave(); /* until the scheduler draws this thread */
  return barrier_count;
}

void block_barrier(const char *file, int line) { block_count(0, file, line); }

/* --- warp operations --------------------------------------------------------- */

/* The lane that a shuffle of `lane` reads; itself where it would leave its
 * segment of `width` lanes. */
static unsigned source_lane(const thread &t, unsigned lane) {
  unsigned width = (unsigned)t.width, start = lane / width * width;
  switch (t.op) {
    case warp_op::shfl:
      return start + t.operand % width;
    case warp_op::shfl_down:
      return lane - start + t.operand < width ? lane + t.operand : lane;
    case warp_op::shfl_up:
      return lane - start >= t.operand ? lane - t.operand : lane;
    case warp_op::shfl_xor: {
      unsigned other = lane ^ t.operand;
      return other < start + width ? other : lane;
    }
    default:
      return lane;
  }
}

/* All lanes of the mask wait at one operation: each gets its value. */
static void complete_warp(uint32_t base, unsigned mask) {
  uint64_t brought[warp_lanes];
  unsigned votes = 0;
  for (unsigned lane = 0; lane < warp_lanes; lane++)
    if (mask >> lane & 1u) {
      brought[lane] = threads[base + lane].value;
      votes |= (brought[lane] != 0 ? 1u : 0u) << lane;
    }
  for (unsigned lane = 0; lane < warp_lanes; lane++) {
    if (!(mask >> lane & 1u)) continue;
    thread &t = threads[base + lane];
    unsigned from = source_lane(t, lane);
    if (!(mask >> from & 1u))
      fail("%s: %s (%s:%d) reads lane %u, which mask %08x leaves out",
           name_of(base + lane).c_str(), warp_op_names[(int)t.op], t.file,
           t.line, from, mask);
    t.value = t.op == warp_op::ballot ? votes
              : t.op == warp_op::all  ? votes == mask
              : t.op == warp_op::any  ? votes != 0
                                      : brought[from];
    make_ready(base + lane);
  }
}

static bool warp_complete(uint32_t base, unsigned mask, warp_op op) {
  for (unsigned lane = 0; lane < warp_lanes; lane++) {
    if (!(mask >> lane & 1u)) continue;
    if (base + lane >= threads.size()) return false;
    const thread &t = threads[base + lane];
    if (t.is != state::at_warp || t.mask != mask || t.op != op) return false;
  }
  return true;
}

uint64_t warp(warp_op op, unsigned mask, uint64_t value, unsigned operand,
              int width, const char *file, int line) {
  thread &t = threads[self];
  uint32_t mine = self, base = self / warp_lanes * warp_lanes;
  const char *name = warp_op_names[(int)op];
  if (!(mask >> (self - base) & 1u))
    fail("%s: %s (%s:%d) with mask %08x, which leaves out the caller",
         name_of(self).c_str(), name, file, line, mask);
  if (width < 1 || width > 32 || (width & (width - 1)) != 0)
    fail("%s (%s:%d): width %d is no power of two up to 32", name, file, line,
         width);
  t.op = op;
  t.mask = mask;
  t.value = value;
  t.operand = operand;
  t.width = width;
  wait(state::at_warp, file, line);
  if (warp_complete(base, mask, op)) complete_warp(base, mask);
  fiber_leave(); /* until the scheduler draws this thread */
  return threads[mine].value;
}

/* --- the scheduler ----------------------------------------------------------- */

static void exit_thread(void) {
  threads[self].is = state::exited;
  alive--;
  barrier_if_complete();
}

/* A fiber's body: begins threads until one could go on instead. */
static void begin_threads(void) {
  while (begun < births.size() && ready.empty()) {
    uint32_t t = births[begun++];
    become(t);
    threads[t].on = fiber_current();
    launched->thread();
    exit_thread();
  }
}

static std::string where(uint32_t t) {
  if (t >= threads.size()) return "which the block does not have";
  const thread &it = threads[t];
  if (it.is == state::exited) return "which has exited";
  char text[512];
  snprintf(text, sizeof text, "which waits at %s (%s:%d)",
           it.is == state::at_barrier ? "__syncthreads"
                                      : warp_op_names[(int)it.op],
           it.file, it.line);
  return text;
}

/* Nobody can go on: says for whom the first thread waits. */
[[noreturn]] static void stuck(void) {
  for (uint32_t t = 0; t < threads.size(); t++) {
    const thread &it = threads[t];
    uint32_t base = t / warp_lanes * warp_lanes;
    if (it.is != state::at_warp) continue;
    for (unsigned lane = 0; lane < warp_lanes; lane++) {
      if (!(it.mask >> lane & 1u)) continue;
      uint32_t other = base + lane;
      bool met = other < threads.size() &&
                 threads[other].is == state::at_warp &&
                 threads[other].op == it.op && threads[other].mask == it.mask;
      if (!met)
        fail("%s waits at %s (%s:%d), mask %08x, for thread %u, %s",
             name_of(t).c_str(), warp_op_names[(int)it.op], it.file, it.line,
             it.mask, other, where(other).c_str());
    }
  }
  fail("block (%u,%u,%u): its threads wait for each other", blockIdx.x,
       blockIdx.y, blockIdx.z);
}

static void enter(fiber *f) {
  if (fiber_enter(f)) fiber_give_back(f);
}

static void resume_one(void) {
  size_t at = draw(ready.size());
  uint32_t t = ready[at];
  ready[at] = ready.back();
  ready.pop_back();
  become(t);
  enter(threads[t].on);
}

/* Threads that are ready already go on waiting meanwhile. */
static void begin_some(void) {
  std::vector<uint32_t> others;
  others.swap(ready);
  enter(fiber_take(begin_threads));
  ready.insert(ready.end(), others.begin(), others.end());
}

/* One turn: a thread that is ready, or those not begun. */
static void turn(void) {
  bool can_begin = begun < births.size();
  if (ready.empty() && !can_begin) stuck();
  if (ready.empty() || (can_begin && draw(2)))
    begin_some();
  else
    resume_one();
}

/* Shared memory holds nothing when a block begins: NaN, and huge integers. The
 * static part has ASan's gaps between its arrays: no memset, which it checks, but
 * word by word, as all kernels' arrays are poisoned for each block. */
__attribute__((no_sanitize("address"))) static void poison_shared(void) {
  typedef volatile uint64_t __attribute__((may_alias)) word;
  volatile char *p = __start_surge_shared;
  while (p < __stop_surge_shared && (uintptr_t)p % sizeof(word) != 0)
    *p++ = (char)0xff;
  for (; p + sizeof(word) <= __stop_surge_shared; p += sizeof(word))
    *(word *)p = ~(uint64_t)0;
  while (p < __stop_surge_shared) *p++ = (char)0xff;
  if (!dynamic.empty()) memset(dynamic.data(), 0xff, dynamic.size());
}

static void run_block(void) {
  uint32_t count = thread_count(blockDim);
  order(births, count);
  threads.assign(count, thread());
  begun = at_barrier = 0;
  alive = count;
  poison_shared();
  while (alive > 0) turn();
}

void run_grid(const kernel &k) {
  static std::vector<uint32_t> blocks;
  launched = &k;
  gridDim = k.grid;
  blockDim = k.block;
  std::vector<char>(k.shared).swap(dynamic);
  order(blocks, thread_count(k.grid));
  for (uint32_t b : blocks) {
    blockIdx.x = b % k.grid.x;
    blockIdx.y = b / k.grid.x % k.grid.y;
    blockIdx.z = b / k.grid.x / k.grid.y;
    run_block();
  }
}

} /* namespace surge_emulator */
