/* fiber.h - stacks to switch between: one for each thread that waits. */
#ifndef SURGE_TESTS_EMULATOR_FIBER_H
#define SURGE_TESTS_EMULATOR_FIBER_H

#include <stddef.h>

namespace surge_emulator {

struct fiber;

/* A fiber from the pool; it calls body() again and again, each time until
 * body returns or leaves with fiber_leave. */
fiber *fiber_take(void (*body)(void));
void fiber_give_back(fiber *f);

/* From outside: runs f until it leaves. True when its body returned. */
bool fiber_enter(fiber *f);
/* From within a fiber: back to the one that entered it. */
void fiber_leave(void);
fiber *fiber_current(void);

} /* namespace surge_emulator */

#endif
