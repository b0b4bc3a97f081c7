/* child.h - a process of this program: where it computes, where it writes. */
#ifndef SURGE_SWEEP_CHILD_H
#define SURGE_SWEEP_CHILD_H

#include <sched.h>
#include <stdbool.h>
#include <surge/status.h>
#include <sys/types.h>

typedef struct surge_child {
  char *const *arguments; /* [0]: the program's path; NULL ends them */
  const cpu_set_t *cpus;  /* that it may use; none: as it is         */
  const char *gpu;        /* CUDA_VISIBLE_DEVICES, or NULL: as it is */
  int output;             /* file that gets what it prints           */
  int kept;               /* a file kept open for it, or -1          */
} surge_child;

/* How a process ended, and what it took. */
typedef struct surge_child_end {
  int code; /* its exit code; 128 + the signal that ended it */
  double peak_mb;
} surge_child_end;

/* Starts one in a process group of its own: a terminal's Ctrl-C is for its
 * parent, who tells it once. It is sent SIGTERM as its parent dies. */
surge_status surge_child_start(const surge_child *child, pid_t *pid);

/* Has it ended? Does not wait. */
bool surge_child_ended(pid_t pid, surge_child_end *end);

#endif
