#!/usr/bin/env bash
# Do the tests on the emulator see faults of device code? Three are planted, one
# after the other, in a copy of the sources: each must make its test fail, and
# without them all must pass. About 3 minutes.
# Usage: scripts/seeded_faults.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git ls-files -z | xargs -0 tar c | tar x -C "$work"
cd "$work"

# what; file; text; what it becomes; the test that must see it
faults() {
  cat <<'LIST'
off by one|count_nonzero.cu|i < whole;|i + 1 < whole;|test_optimizer
missing barrier|reduce.h|  __syncthreads();$||test_optimizer
wrong stride|integrator.cu|\* a.M + i;|* (a.M + 1) + i;|test_integrator
LIST
}

run_test() { # name: builds and runs it, quietly
  cmake --build build --target "$1_emulated" > build.log 2>&1 ||
    { tail -n 20 build.log; exit 2; }
  (ulimit -c 0; ctest --test-dir build -R "^$1_emulated\$" > test.log 2>&1)
}

cmake -B build -G Ninja -DSURGE_CUDA=OFF > /dev/null
while IFS='|' read -r _ _ _ _ test; do
  run_test "$test" || { echo "$test fails without a fault"; exit 1; }
done < <(faults)

bad=0
while IFS='|' read -r what file text becomes test; do
  cp "kernels/cuda/$file" kept
  sed -i "s/$text/$becomes/" "kernels/cuda/$file"
  if cmp -s kept "kernels/cuda/$file"; then
    echo "$what: $file no longer has the text that it replaces"
    bad=1
  elif run_test "$test"; then
    echo "$what in $file: NOT SEEN by $test"
    bad=1
  else
    echo "$what in $file: seen by $test"
  fi
  cp kept "kernels/cuda/$file"
done < <(faults)
exit "$bad"
