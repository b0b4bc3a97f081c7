/* nvToolsExt.h - ranges for a profiler: nothing on the emulator. */
#ifndef SURGE_EMULATOR_NVTX_H
#define SURGE_EMULATOR_NVTX_H

static inline int nvtxRangePushA(const char *name) { return (void)name, 0; }
static inline int nvtxRangePop(void) { return 0; }

#endif
