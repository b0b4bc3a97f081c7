/* folder.h - a sweep's folder, which is all that is known of it:
 *
 *   sweep.yaml          the points as planned
 *   recipes/NAME.yaml   the effective recipe of each
 *   locks/NAME          locked while a process works on the run; host and pid
 *   NAME.part/          a run that has begun
 *   NAME.part/failed.txt  and why it failed
 *   NAME/               a run that is complete: renamed in one step
 *   sweep.csv           results, a row a run
 *
 * Locks are open file description locks (fcntl): a run's process inherits its
 * lock, which is held until all that have it are gone, however they end. What
 * is assumed of a shared file system is that such locks hold between hosts (NFS
 * 4, NFS 3 with lockd, Lustre mounted with `flock`, GPFS, BeeGFS and Ceph with
 * locks turned on) and that rename(2) is one step. */
#ifndef SURGE_SWEEP_FOLDER_H
#define SURGE_SWEEP_FOLDER_H

#include "src/sweep/plan.h"

#define SURGE_SWEEP_PATH (SURGE_PATH + 256) /* bytes of a path within it */

typedef enum surge_run_state {
  SURGE_RUN_PENDING,
  SURGE_RUN_INTERRUPTED, /* begun, nobody works on it */
  SURGE_RUN_RUNNING,
  SURGE_RUN_FAILED,
  SURGE_RUN_DONE
} surge_run_state;
#define SURGE_RUN_STATES 5
extern const char *const surge_run_words[SURGE_RUN_STATES];

/* What a run's files say. Accuracies are shares; negative: none. */
typedef struct surge_run {
  surge_run_state state;
  int32_t epoch;                  /* that are done */
  double train, validation, test; /* accuracy of the last one */
  double
      best; /* on the validation images, where there are any, or the test's */
  int32_t best_epoch;
  double samples_per_s; /* of the last epoch */
  double seconds;       /* of all its processes that have ended */
  double peak_mb;       /* the largest memory of one */
  char note[160];       /* who runs it, or why it failed */
} surge_run;

/* Puts the plan into the folder, or finds there the same one. Another one is
 * SURGE_ERROR_RECIPE: the message says what differs. */
surge_status surge_sweep_begin(const surge_plan *plan, const char *folder);

/* Reads the plan of a folder. */
surge_status surge_sweep_open(surge_plan *plan, const char *folder);

/* FOLDER/NAME<suffix>, or with a kind FOLDER/kind/NAME<suffix>. */
void surge_sweep_path(char path[SURGE_SWEEP_PATH], const char *folder,
                      const char *kind, const char *name, const char *suffix);

/* What is known of a run. */
void surge_run_look(const char *folder, const char *name, surge_run *run);

/* Takes a run's lock; *lock is -1 where somebody else has it. Closing it gives
 * it back. */
surge_status surge_run_lock(const char *folder, const char *name, int *lock);

/* Waits for a lock that is held for a moment only, at most 10 seconds. */
surge_status surge_sweep_lock(const char *folder, const char *name, int *lock);

#endif
