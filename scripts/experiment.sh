#!/usr/bin/env bash
# The first experiments: does the learned width make the starting width
# irrelevant, and what does PDA do? A run a point, in runs/first; points that
# are done are kept, one that was interrupted goes on where it was: call it
# again until all are there. What is there so far is summed up each time.
# Usage: scripts/experiment.sh width_lr|width_start|pda [JOBS] (one thread each)
#        JOBS 0 sums up only.
set -euo pipefail
cd "$(dirname "$0")/.."
name=${1:?wanted width_lr, width_start or pda}
jobs=${2:-$(nproc)}
export surge=${SURGE:-build/surge} runs=runs/first
recipe=benchmarks/recipes/width_start.yaml
[ -x "$surge" ] || { echo "$surge: wanted the built program, found none" >&2; exit 1; }

# --- the points: a name and the keys that make it, most telling first --------

point() { # family width rule pda weight seed
  local text="$1 w=$2 $3 pda=$4/$5 seed=$6"
  echo "${text//[ \/]/_} --set surrogate.family=$1 --set surrogate.width=$2" \
    "--set surrogate.width_rule=$3 --set pda.kind=${4/off/moment}" \
    "--set pda.weight=$5 --seed $6"
}

# decay and norm do not read surrogate.width: one run stands for every start.
points_of_width_start() {
  local seed width rule
  for seed in 1 2 3; do
    for width in 5 0.2 1 10 0.5 2.5; do
      for rule in learned fixed; do
        point rectangular $width $rule off 0 $seed
      done
    done
    point rectangular 1 decay off 0 $seed
    point rectangular 1 norm off 0 $seed
  done
  for seed in 1 2 3; do
    for width in 0.2 1 5; do
      for rule in learned fixed; do
        point arctan $width $rule off 0 $seed
      done
    done
  done
}

points_of_pda() {
  local seed width kind weight
  for seed in 1 2 3; do
    for width in 1 5; do
      point rectangular $width learned off 0 $seed
      for weight in 0.1 1 0.01; do
        for kind in moment quantization; do
          point rectangular $width learned $kind $weight $seed
        done
      done
    done
  done
}

# The one setting that was chosen, and how: seed 0, 20,000 images, 3 epochs,
# judged on 5000 others that were held out; the test set is not looked at.
points_of_width_lr() {
  local width lr
  for width in 0.2 5; do
    for lr in 0.01 0.03 0.1; do
      echo "lr=${lr}_w=$width --set optim.width_lr=$lr --set surrogate.width=$width" \
        "--seed 0 --epochs 3 --set data.limit=25000 --set data.validation=5000"
    done
  done
}

# --- running them ---------------------------------------------------------------

run_point() { # recipe name keys...
  local recipe=$1 folder=$runs/$2
  shift 2
  [ -e "$folder/done" ] && return
  mkdir -p "$folder"
  if [ -e "$folder/checkpoint_last.safetensors" ]; then
    "$surge" train --resume "$folder" --threads 1
  else
    "$surge" train "$recipe" "$@" --threads 1 --out "$folder" --force \
      --set train.checkpoint_every=100
  fi >> "$folder.out" 2>&1 || { echo "$folder: see $folder.out" >&2; return 1; }
  mv "$folder.out" "$folder/done"
  echo "$folder: $(tail -n 2 "$folder/log.txt" | grep epoch)"
}
export -f run_point

mkdir -p "$runs"
points=$("points_of_$name")
if [ "$jobs" != 0 ]; then
  echo "$points" | xargs -P "$jobs" -I{} bash -c "run_point $recipe {}"
fi
