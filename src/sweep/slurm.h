/* slurm.h - a sweep as an array job of Slurm. */
#ifndef SURGE_SWEEP_SLURM_H
#define SURGE_SWEEP_SLURM_H

#include "src/sweep/folder.h"

/* What a user may ask of Slurm, each NULL where not given. */
typedef struct surge_slurm_options {
  const char *partition, *account, *gres, *time;
  const char *setup; /* a file whose lines the job runs first */
  int at_once; /* tasks that run at once; 0: as many as there is room for */
} surge_slurm_options;

/* For the shell, and for #SBATCH lines, which have its quotes. */
void surge_print_quoted(const char *text, FILE *file);

/* Writes FOLDER/slurm.sh, of scripts/slurm/array.sh: a task a run that is
 * neither done nor running. Where there is none, `any` is false and nothing
 * written. */
surge_status surge_slurm_write(const surge_plan *plan, const char *folder,
                               const char *program,
                               const surge_slurm_options *options, bool *any);

/* Submits it; the job's number is kept in FOLDER/slurm.txt. */
surge_status surge_slurm_submit(const char *folder, char job[32]);

/* Hands `tell` a line on each task that squeue, or where it is there sacct, knows
 * of the folder's last job; nothing where there is no job or no Slurm. */
surge_status surge_slurm_tell(const char *folder, surge_tell *tell, void *user);

#endif
