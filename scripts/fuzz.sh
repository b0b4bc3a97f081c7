#!/usr/bin/env bash
# Fuzzes the readers of recordings with libFuzzer (clang), address and undefined-
# behaviour sanitizers on.
#
#     scripts/fuzz.sh [SECONDS] [FORMAT...]
#
# SECONDS a format (60); formats are the folders of tests/fuzz/seeds, all by
# default. Work lies in build-fuzz/. An input that fails is left in
# tests/fuzz/seeds/FORMAT, where test_fuzz_seeds reads it from then on: keep it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-60}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- $(ls tests/fuzz/seeds)

mkdir -p build-fuzz
clang -std=c11 -D_GNU_SOURCE -I. -Iinclude -O1 -g -fno-omit-frame-pointer \
  -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
  tests/fuzz/fuzz_events.c src/events/*.c src/backend/status.c \
  $(pkg-config --cflags --libs zlib liblz4 libzstd libzip hdf5) -lm -o build-fuzz/fuzz_events

for format in "$@"; do
  mkdir -p "build-fuzz/corpus/$format"
  echo "$format: $seconds s"
  nice -n 15 build-fuzz/fuzz_events -max_total_time="$seconds" -max_len=8192 \
    -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0 \
    -artifact_prefix="tests/fuzz/seeds/$format/found-" \
    "build-fuzz/corpus/$format" "tests/fuzz/seeds/$format" 2>&1 |
    tee "build-fuzz/$format.log" | grep -E "ERROR|SUMMARY|executed_units|runtime error" || true
  grep -q "number_of_executed_units" "build-fuzz/$format.log" &&
    ! grep -qE "ERROR|runtime error" "build-fuzz/$format.log" || {
    echo "$format: failed, see build-fuzz/$format.log" >&2
    exit 1
  }
done
