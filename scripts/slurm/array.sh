#!/bin/bash
# One run of a sweep a task: the task's index is the run's. Written by
# `surge sweep --slurm` from scripts/slurm/array.sh; `sbatch` takes it again.
#SBATCH --job-name=@NAME@
#SBATCH --array=@ARRAY@
#SBATCH --output=@FOLDER@/slurm-%A_%a.txt
#SBATCH --open-mode=append
#SBATCH --chdir=@DIRECTORY@
#SBATCH --requeue
#SBATCH --signal=B:USR1@60
@OPTIONS@
@SETUP@

# USR1 comes 60 seconds before the time limit: the run is saved, and the task
# queued again. TERM is scancel, preemption or an administrator: it is saved, and
# what becomes of the task is theirs to say. The signals reach this script alone
# or all its processes; each saves once.
requeue=no
trap 'requeue=yes; kill -TERM "$run"' USR1
trap 'kill -TERM "$run"' TERM

@SURGE@ sweep run @FOLDER@ --index "$SLURM_ARRAY_TASK_ID" &
run=$!
while kill -0 "$run" 2> /dev/null; do # a trap ends wait, not the run
  wait "$run"
done
wait "$run" # bash has kept its exit code
code=$?
if [ "$code" = 130 ] && [ "$requeue" = yes ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit "$code"
