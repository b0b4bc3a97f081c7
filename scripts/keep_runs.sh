#!/usr/bin/env bash
# Keeps the tables of a sweep's runs that have ended, without weights, in
# benchmarks/results: enough for `surge report`, and to go on elsewhere.
#
#   scripts/keep_runs.sh runs/width_start           # to benchmarks/results/width_start
#   scripts/keep_runs.sh --back runs/width_start    # from there: the sweep sees them as done
#
# Of the histograms, which are long, it keeps those of the first batch and of the
# last epoch. A run that is there already is left alone. --back refuses a run
# whose recipe is not the sweep's any more.
set -euo pipefail
[ "${1-}" = --back ] && back=1 && shift || back=
[ $# = 1 ] || { echo "usage: scripts/keep_runs.sh [--back] runs/NAME" >&2; exit 2; }
sweep=${1%/}
kept=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/benchmarks/results/$(basename "$sweep")
if [ "$back" ]; then from=$kept; to=$sweep; else from=$sweep; to=$kept; fi
[ -f "$sweep/sweep.yaml" ] || {
  echo "$sweep: wanted a sweep's folder, found none (surge sweep FILE --print-commands makes it)" >&2
  exit 3
}
[ -d "$from" ] || { echo "$from: wanted a folder of runs, found none" >&2; exit 3; }

ends() { # the rows of a histograms.csv that are kept
  awk -F, 'NR == FNR { last = $1; next }
           FNR == 1 || $1 == 0 || ($1 == last && $2 != "train")' "$1" "$1"
}

settings() { # of a recipe: what changes results
  grep -vE '^(#|name:|threads:)|^  path:' "$1"
}

new=0
for run in "$from"/*/; do
  name=$(basename "$run")
  if [[ $name == *.part ]] || [ ! -f "$run/metrics.csv" ] || [ -e "$to/$name" ]; then
    continue
  fi
  if [ "$back" ] && ! diff <(settings "$run/recipe.yaml") <(settings "$sweep/recipes/$name.yaml") >&2; then
    echo "$run/recipe.yaml: wanted that of $sweep/recipes/$name.yaml, found the differences above" >&2
    exit 3
  fi
  rm -rf "$to/$name.new"
  mkdir -p "$to/$name.new"
  cp "$run"/{recipe.yaml,metrics.csv,layers.csv} "$to/$name.new"
  ends "$run/histograms.csv" > "$to/$name.new/histograms.csv"
  mv "$to/$name.new" "$to/$name"
  new=$((new + 1))
done
echo "$to: $new new runs"
