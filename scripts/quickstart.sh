#!/usr/bin/env bash
# Installs packages, builds SURGE, trains a small network on Fashion-MNIST.
# For Debian 12/13 and Ubuntu 24.04; needs a few minutes on two cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

surge_install "${surge_build_packages[@]}"
cmake --preset default -DSURGE_TESTS=OFF
cmake --build build

run=runs/quickstart
for ((n = 2; ; n++)); do
  [ -e "$run" ] || break
  run=runs/quickstart-$n
done
build/surge train benchmarks/recipes/fashion_mnist_quick.yaml --out "$run"

echo
echo "The run is in $run: metrics.csv, layers.csv, checkpoints, TensorBoard events."
head -n 1 "$run/metrics.csv"
tail -n 1 "$run/metrics.csv"
