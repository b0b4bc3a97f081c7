/* child.c - see child.h. */
#include "src/sweep/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CANNOT_START = 127 }; /* a shell's exit code for it */

/* Between fork and exec; the parent may be gone before prctl is called. */
static void become(const surge_child *child, pid_t parent) {
  int nothing = open("/dev/null", O_RDONLY);
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  bool good = getppid() == parent && nothing >= 0 && dup2(nothing, 0) == 0 &&
              dup2(child->output, 1) == 1 && dup2(child->output, 2) == 2 &&
              (CPU_COUNT(child->cpus) == 0 ||
               sched_setaffinity(0, sizeof *child->cpus, child->cpus) == 0);
  if (good && child->kept >= 0) good = fcntl(child->kept, F_SETFD, 0) == 0;
  if (good && child->gpu) good = !setenv("CUDA_VISIBLE_DEVICES", child->gpu, 1);
  if (good) execv(child->arguments[0], child->arguments);
  dprintf(2, "surge: %s: wanted to start it, found: %s\n", child->arguments[0],
          strerror(errno));
  _exit(CANNOT_START);
}

surge_status surge_child_start(const surge_child *child, pid_t *pid) {
  pid_t parent = getpid();
  /* Where it is ignored, no child can be waited for. */
  signal(SIGCHLD, SIG_DFL);
  *pid = fork();
  if (*pid == 0) become(child, parent);
  if (*pid > 0) return SURGE_OK;
  return SURGE_FAIL(SURGE_ERROR_DEVICE, "wanted a further process, found: %s",
                    strerror(errno));
}

bool surge_child_ended(pid_t pid, surge_child_end *end) {
  int status;
  struct rusage usage;
  if (wait4(pid, &status, WNOHANG, &usage) != pid) return false;
  end->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  end->peak_mb = (double)usage.ru_maxrss / 1024;
  return true;
}
