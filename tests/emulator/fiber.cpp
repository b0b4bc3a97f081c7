/* fiber.cpp - context switches: a few lines of assembler on x86-64, ucontext
 * elsewhere. A stack is 64 KiB above a guard page (more with ASan, whose frames
 * are larger). */
#include "tests/emulator/fiber.h"

#include <stdint.h>
#include <sys/mman.h>

#include <vector>

#include "tests/emulator/internal.h"

#ifndef __x86_64__
#include <ucontext.h>
#endif
#if EMULATOR_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace surge_emulator {

static const size_t guard_bytes = 4096;
static const size_t stack_bytes = (EMULATOR_ASAN ? 512 : 64) * (size_t)1024;

#ifdef __x86_64__
/* Saves what a call preserves and the stack's top in *from; takes up `to`. */
extern "C" void surge_emulator_switch(void **from, void *to);
asm(R"(
  .text
  .globl surge_emulator_switch
  .type surge_emulator_switch, @function
surge_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size surge_emulator_switch, . - surge_emulator_switch
)");
#endif

struct fiber {
  char *stack;
  void (*body)(void);
  bool finished;
#ifdef __x86_64__
  void *top;
#else
  ucontext_t context;
#endif
};

static fiber *current = nullptr; /* NULL: the host's own stack */
static std::vector<fiber *> pool;
#ifdef __x86_64__
static void *host_top;
#else
static ucontext_t host_context;
#endif
#if EMULATOR_ASAN
static const void *host_stack;
static size_t host_stack_bytes;
#endif

fiber *fiber_current(void) { return current; }

void fiber_leave(void) {
  fiber *self = current;
  current = nullptr;
#if EMULATOR_ASAN
  void *fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, host_stack, host_stack_bytes);
#endif
#ifdef __x86_64__
  surge_emulator_switch(&self->top, host_top);
#else
  swapcontext(&self->context, &host_context);
#endif
#if EMULATOR_ASAN
  __sanitizer_finish_switch_fiber(fake, &host_stack, &host_stack_bytes);
#endif
}

static void live(void) {
#if EMULATOR_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &host_stack, &host_stack_bytes);
#endif
  for (;;) {
    current->finished = false;
    current->body();
    current->finished = true;
    fiber_leave();
  }
}

bool fiber_enter(fiber *f) {
  current = f;
#if EMULATOR_ASAN
  void *fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, f->stack, stack_bytes);
#endif
#ifdef __x86_64__
  surge_emulator_switch(&host_top, f->top);
#else
  swapcontext(&host_context, &f->context);
#endif
#if EMULATOR_ASAN
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
  return f->finished;
}

static fiber *fiber_new(void) {
  char *memory = (char *)mmap(nullptr, guard_bytes + stack_bytes,
                              PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                              0);
  if (memory == MAP_FAILED || mprotect(memory, guard_bytes, PROT_NONE) != 0)
    fail("no memory for a thread's stack");
  fiber *f = new fiber();
  f->stack = memory + guard_bytes;
#ifdef __x86_64__
  /* What surge_emulator_switch takes up: six registers and `live` to return to,
   * below the slot of a caller's address that a function finds on entry. */
  void **top = (void **)(void *)(f->stack + stack_bytes) - 1;
  *--top = (void *)live;
  for (int i = 0; i < 6; i++) *--top = nullptr;
  f->top = top;
#else
  getcontext(&f->context);
  f->context.uc_stack.ss_sp = f->stack;
  f->context.uc_stack.ss_size = stack_bytes;
  makecontext(&f->context, live, 0);
#endif
  return f;
}

fiber *fiber_take(void (*body)(void)) {
  if (pool.empty()) pool.push_back(fiber_new());
  fiber *f = pool.back();
  pool.pop_back();
  f->body = body;
  return f;
}

void fiber_give_back(fiber *f) { pool.push_back(f); }

} /* namespace surge_emulator */
