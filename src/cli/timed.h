/* timed.h - what the benchmarks time: a session's next batch goes in, the network
 * runs, the device is waited for; epochs without end. */
#ifndef SURGE_CLI_TIMED_H
#define SURGE_CLI_TIMED_H

#include "src/train/session.h"

typedef struct timed {
  surge_session *session;
  surge_loader *loader;
  bool train; /* a whole training step, or an inference */
} timed;

surge_status timed_start(const timed *t, int32_t epoch);
surge_status timed_step(const timed *t, int32_t index, bool statistics);

#endif
