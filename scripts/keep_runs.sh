#!/usr/bin/env bash
# Keeps the tables of a sweep's runs that have ended, without weights, in
# benchmarks/results: enough for `surge report`, and to go on elsewhere.
#
#   scripts/keep_runs.sh runs/width_start           # to benchmarks/results/width_start
#   scripts/keep_runs.sh --back runs/width_start    # from there: the sweep sees them as done
#
# Of the histograms, which are long, it keeps those of the first batch and of the
# last epoch. A run that is there already is left alone.
set -euo pipefail
[ "${1-}" = --back ] && back=1 && shift || back=
[ $# = 1 ] || { echo "usage: scripts/keep_runs.sh [--back] runs/NAME" >&2; exit 2; }
sweep=${1%/}
kept=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/benchmarks/results/$(basename "$sweep")
if [ "$back" ]; then from=$kept; to=$sweep; else from=$sweep; to=$kept; fi
[ -d "$from" ] || { echo "$from: wanted a folder of runs, found none" >&2; exit 3; }
if [ "$back" ] && [ ! -f "$to/sweep.yaml" ]; then
  echo "$to: wanted a sweep's folder, found none (surge sweep FILE --print-commands makes it)" >&2
  exit 3
fi

ends() { # the rows of a histograms.csv that are kept
  awk -F, 'NR == FNR { last = $1; next }
           FNR == 1 || $1 == 0 || ($1 == last && $2 != "train")' "$1" "$1"
}

new=0
for run in "$from"/*/; do
  name=$(basename "$run")
  [[ $name == *.part ]] && continue
  [ -f "$run/metrics.csv" ] && [ -f "$run/recipe.yaml" ] || continue
  [ -e "$to/$name" ] && continue
  rm -rf "$to/$name.new"
  mkdir -p "$to/$name.new"
  cp "$run"/{recipe.yaml,metrics.csv,layers.csv} "$to/$name.new"
  ends "$run/histograms.csv" > "$to/$name.new/histograms.csv"
  mv "$to/$name.new" "$to/$name"
  new=$((new + 1))
done
echo "$to: $new new runs"
