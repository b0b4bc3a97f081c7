#!/usr/bin/env bash
# Bytes, and with --times milliseconds, of a training step of
# benchmarks/recipes/step.yaml on the CPU at each `memory` and T:
# benchmarks/results/memory_<machine>.csv.
# Usage: benchmarks/memory.sh [--times]     SURGE=build/surge THREADS=2
# Bytes are those of the plan, exact before anything runs (workspaces are a
# thread's, so THREADS moves them a little). Times want a machine
# on which nothing else does, about 5 minutes on two cores; each T is timed for
# all three in turn, so that they see the same machine. Without --times the
# column is empty.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
surge=${SURGE:-build/surge}
threads=${THREADS:-2}
recipe=benchmarks/recipes/step.yaml
times=false
case "$#,${1:-}" in
  0,) ;;
  1,--times) times=true ;;
  *) echo "benchmarks/memory.sh: wanted --times or nothing, found $*" >&2; exit 2 ;;
esac
[ -x "$surge" ] || { echo "$surge: wanted the built program, found none" >&2; exit 1; }

machine=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
machine=${machine:-$(uname -m)}
out=benchmarks/results/memory_$(tr -cs 'A-Za-z0-9\n' _ <<< "$machine").csv
part=$(mktemp)
trap 'rm -f "$part"' EXIT

# Of one step: the bytes of all arenas; the median of the milliseconds.
bytes_of() { # memory, T
  "$surge" train "$recipe" --dry-run --device cpu --threads "$threads" \
    --set memory="$1" -T "$2" |
    awk '/bytes in all/ { print $1; found = 1 } END { exit !found }'
}
ms_of() { # memory, T
  "$surge" bench train "$recipe" --device cpu --threads "$threads" \
    --set memory="$1" -T "$2" --steps 5 |
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i }
             NR == 2 { print $column["median_ms"]; found = 1 }
             END { exit !found }'
}

echo "machine,threads,recipe,memory,T,bytes,median_ms" > "$part"
for T in 1 2 4 8 16; do
  for memory in normal packed recompute; do
    bytes=$(bytes_of "$memory" "$T")
    ms=
    if $times; then ms=$(ms_of "$memory" "$T"); fi
    echo "$machine,$threads,step,$memory,$T,$bytes,$ms" >> "$part"
  done
done
cp "$part" "$out"
echo "$out"
