#!/usr/bin/env bash
# The first 50 training steps of the experiment width_start in PyTorch: the
# smooth twin, widths learned and fixed, from three starting widths. Losses and
# widths of both go to benchmarks/results/compare_steps.csv. With one thread
# about 15 minutes.
# Usage: scripts/compare_steps.sh [SURGE] [STEPS] [FREE]
#        SURGE: build/surge; FREE (6): steps that PyTorch also runs freely
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
surge=${1:-build/surge} steps=${2:-50} free=${3:-6}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

files=()
for rule in learned fixed; do
  for width in 0.2 1 5; do
    file=$work/${rule}_$width.safetensors
    "$surge" grad benchmarks/recipes/width_start.yaml --soft --steps "$steps" \
      --set surrogate.width_rule=$rule --set surrogate.width=$width \
      --threads "$OMP_NUM_THREADS" --out "$file"
    files+=("$file")
  done
done
"${PYTHON:-/usr/bin/python3}" scripts/compare_torch.py --free "$free" \
  --csv benchmarks/results/compare_steps.csv "${files[@]}"
