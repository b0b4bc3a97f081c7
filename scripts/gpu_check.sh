#!/usr/bin/env bash
# Proves and measures SURGE's device code on this machine, without a network, in
# at most 9 minutes: run it in an unpacked bundle of scripts/gpu_bundle.sh, or in
# a checkout with build-gpu. Results in OUT: summary.md, logs, and tables with
# the card's name. Leaves with 0 where a GPU was found and every test passed;
# benchmarks never decide.
# Usage: scripts/gpu_check.sh [OUT [STAGE]]   (OUT default build-gpu/check; one
#        STAGE of the table below alone, after a whole run: it appends to OUT)
# shellcheck disable=SC2317 # stages are called by name
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/sbin:/sbin # ldconfig
out=$(realpath -m "${1:-build-gpu/check}")
build=$PWD/build-gpu
minutes=9

# stage: seconds at most, does it decide?, what it asks
stages='
libraries    20 yes are cuDNN, cuBLAS and a new enough glibc here?
tests       170 yes do ops, golden files and runs pass on the device?
graph        40 yes are 20 steps the same bits with a graph, without, and again?
fashion      40 no  what does one epoch of Fashion-MNIST give?
bench_ops    40 no  how fast do the memory-bound ops move memory?
bench_train  40 no  how long is a training step, with a graph and without?
peers       110 no  how long is it for SpikingJelly and PyTorch?
sanitizers   70 yes does compute-sanitizer find fault with the ops?
host         60 yes do the tests of the CPU backend pass here?
'

# --- small things -----------------------------------------------------------------

note() { printf '%s\n' "$*" >> "$out/$stage.md"; }

# Seconds left to this stage, at most $1.
left() {
  local rest=$((deadline - $(date +%s)))
  echo $((rest < $1 ? rest : $1))
}

card_name() {
  nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null |
    head -n 1 | tr -s ' /' '__' || true
}

# The data that a bundle brings, or the Debian package's.
fashion_folder() {
  if [ -d data/fashion_mnist ]; then echo data/fashion_mnist
  else echo /usr/share/datasets/fashion-mnist; fi
}

# Runs a program of SURGE with the libraries that were found.
surge_run() { LD_LIBRARY_PATH=$(cat "$out/library_path" 2>/dev/null) "$@"; }

# Appends CSV to a table of this card, its header once: table < csv
append() {
  local table=$out/$1_$card.csv first=1
  [ ! -s "$table" ] || first=2
  tail -n "+$first" >> "$table"
}

as_markdown() { # < csv
  sed -e 's/,/ | /g; s/^/| /; s/$/ |/' |
    awk 'NR == 1 { rule = $0; gsub(/[^|]+/, " --- ", rule); print; print rule; next } 1'
}

# --- the machine --------------------------------------------------------------------

describe_machine() {
  {
    date -u; uname -a; lscpu || true; free -h || true; ldd --version | head -n 1
    [ ! -e MANIFEST ] || cat MANIFEST
    nvidia-smi; nvidia-smi -q -d CLOCK,ECC,POWER,PERFORMANCE,MEMORY
    python3 -c 'import torch; print("torch", torch.__version__, torch.version.cuda)'
  } > "$out/machine.txt" 2>&1 || true
  note "$(nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.mem,ecc.mode.current --format=csv 2>/dev/null || true)"
  note "CPU: $(lscpu | sed -n 's/^Model name: *//p' | head -n 1), $(nproc) threads"
}

# --- stage: libraries ---------------------------------------------------------------

# Folders that may hold NVIDIA's libraries.
candidates() {
  ldconfig -p 2>/dev/null | sed -nE 's#.* => (.*)/lib(cudnn|cublas)[^/]*$#\1#p' | sort -u
  printf '%s\n' "${CUDA_HOME:-/usr/local/cuda}"/lib64 /usr/local/cuda*/{lib64,targets/*/lib} \
    /opt/cuda*/lib64 /usr/lib/x86_64-linux-gnu
  python3 -c 'import glob, sys
for path in sys.path:
    print(*glob.glob(path + "/nvidia/*/lib") + glob.glob(path + "/torch/lib"), sep="\n")' 2>/dev/null || true
}

missing() { surge_run ldd "$build/surge" "$build"/tests/test_*_cuda | sed -n 's/^\t\(.*\) => not found.*/\1/p' | sort -u; }

# Adds folders until the loader finds everything; what is found needs more.
find_libraries() {
  local name folder path=$build/lib
  echo "$path" > "$out/library_path"
  for _ in 1 2 3 4; do
    for name in $(missing); do
      folder=$(candidates | while read -r f; do [ ! -e "$f/$name" ] || echo "$f"; done | head -n 1 || true)
      [ -z "$folder" ] || [[ ":$path:" == *":$folder:"* ]] || path+=:$folder
    done
    [ "$path" != "$(cat "$out/library_path")" ] || return 0
    echo "$path" > "$out/library_path"
  done
}

library_versions() {
  surge_run ldd "$build/surge" | grep -E 'cudnn|cublas|cudart|libcuda' || true
  surge_run python3 -c 'import ctypes
print("cuDNN", ctypes.CDLL("libcudnn.so.9").cudnnGetVersion())
import glob, os
for folder in os.environ["LD_LIBRARY_PATH"].split(":"):
    for path in glob.glob(folder + "/libcublas.so.*")[:1]:
        value, parts = ctypes.c_int(), []
        for part in range(3):
            ctypes.CDLL(path).cublasGetProperty(part, ctypes.byref(value))
            parts.append(str(value.value))
        print("cuBLAS", ".".join(parts), path)' || true
}

check_glibc() {
  local here needed
  here=$(ldd --version | sed -n '1s/.* //p')
  needed=$(sed -n 's/^glibc needed: //p' MANIFEST 2>/dev/null)
  [ -n "$needed" ] || return 0
  note "glibc $here here, $needed needed"
  [ "$(printf '%s\n' "$needed" "$here" | sort -V | tail -n 1)" = "$here" ] ||
    { note "**glibc is too old: build the bundle on a system with glibc $here or older**"; return 1; }
}

run_libraries() {
  check_glibc
  find_libraries
  library_versions 2>&1 | tee "$out/libraries.txt"
  note "$(sed 's/^/    /' "$out/libraries.txt")"
  [ -z "$(missing)" ] || { note "**not found: $(missing | tr '\n' ' ')**"; return 1; }
}

# --- stages: tests, host -------------------------------------------------------------

# One program: a row "program,tested,passing,failing,crashing,seconds,verdict".
run_test() { # program
  local name log seconds counts start=$SECONDS code=0 verdict=passed
  name=$(basename "$1")
  log=$out/tests/$name.log
  seconds=$(left 120)
  if ((seconds < 3)); then echo "$name,,,,,,not run"; return 1; fi
  SURGE_REQUIRE_GPU=1 SURGE_TEST_DATA=$PWD/data OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive \
    surge_run timeout -k 3 "$seconds" "$1" --jobs 6 > "$log" 2>&1 || code=$?
  counts=$(sed -n 's/.*Tested: \([0-9]*\) | Passing: \([0-9]*\) | Failing: \([0-9]*\) | Crashing: \([0-9]*\).*/\1,\2,\3,\4/p' "$log")
  if ((code == 124 || code == 137)); then verdict="stopped after $seconds s"
  elif ((code)) || [ -z "$counts" ] || [[ $counts == 0,* ]]; then verdict="FAILED ($code)"; fi
  echo "$name,${counts:-,,,},$((SECONDS - start)),$verdict"
  [ "$verdict" = passed ]
}

run_programs() { # programs...
  local program bad=0
  mkdir -p "$out/tests"
  echo "program,tested,passing,failing,crashing,seconds,verdict" > "$out/$stage.csv"
  for program in "$@"; do
    run_test "$program" | tee -a "$out/$stage.csv" || bad=$((bad + 1))
  done
  note "$(as_markdown < "$out/$stage.csv")"
  append "$stage" < "$out/$stage.csv"
  rm "$out/$stage.csv"
  ((bad == 0)) && return 0
  note "$(grep -hE '^\[(----|FAIL)\]|failed:|skipped:' "$out"/tests/*.log | head -n 40 | sed 's/^/    /')"
  return 1
}

run_tests() { run_programs "$build"/tests/test_*_cuda; }

# What a machine's time did not suffice for is no failure of the host's tests.
run_host() {
  local programs
  mapfile -t programs < <(find "$build/tests" -maxdepth 1 -name 'test_*' -type f -perm -u+x \
    ! -name '*_cuda' ! -name '*_emulated' ! -name test_cli | sort)
  run_programs "${programs[@]}" || ! grep -q 'FAILED' "$out/${stage}_$card.csv"
}

# --- stage: graph ---------------------------------------------------------------------

# 20 steps of a network with dropout, augmentation and learned widths.
twenty_steps() { # name, further options...
  local name=$1
  shift
  surge_run "$build/surge" train benchmarks/recipes/fashion_mnist.yaml --device cuda \
    --out "$out/graph/$name" --force --epochs 1 --set data.path="$(fashion_folder)" \
    --set data.validation=0 --set data.limit=2560 --set data.test_limit=256 \
    --set train.batch=128 "$@" > "$out/graph/$name.txt" 2>&1
}

run_graph() {
  local other bad=0
  mkdir -p "$out/graph"
  if ! { twenty_steps graph && twenty_steps no_graph --no-graph && twenty_steps again; }; then
    note "a run failed: $(tail -qn 1 "$out"/graph/*.txt)"
    return 1
  fi
  for other in no_graph again; do
    if cmp "$out"/graph/{graph,"$other"}/checkpoint_last.safetensors; then
      note "graph and $other: the same bits"
    else
      note "**graph and $other: other bits**"
      bad=1
    fi
  done
  rm -f "$out"/graph/*/*.safetensors
  return "$bad"
}

# --- stage: fashion -------------------------------------------------------------------

run_fashion() {
  surge_run "$build/surge" train benchmarks/recipes/fashion_mnist_quick.yaml --device cuda \
    --out "$out/fashion" --force --epochs 1 --set data.path="$(fashion_folder)"
  rm -f "$out"/fashion/*.safetensors
  append fashion < "$out/fashion/metrics.csv"
  note "$(cut -d, -f1-7 "$out/fashion/metrics.csv" | as_markdown)"
}

# --- stages: bench_ops, bench_train ---------------------------------------------------

run_bench_ops() {
  local type T N C S
  for type in fp32 bf16; do
    while read -r T N C S; do
      surge_run timeout "$(left 20)" "$build/bench_ops" --device cuda --type "$type" \
        -T "$T" -N "$N" -C "$C" -S "$S" | grep -v '^#' | append bench_ops
    done <<< $'4 64 128 32\n4 128 64 16\n1 128 128 32\n8 32 256 16\n16 16 128 32\n4 64 100 28'
  done
  note "$(grep -E "^op|,4,64,128,32," "$out/bench_ops_$card.csv" | as_markdown)"
}

# Random images in CIFAR-10's files, for timing alone.
make_images() { # folder
  local i name block=$1/block
  [ ! -e "$1/test_batch.bin" ] || return 0
  mkdir -p "$1"
  for i in {0..99}; do
    printf '%b' "\\x0$((i % 10))"
    head -c 3072 /dev/urandom
  done > "$block"
  for name in data_batch_{1..5} test_batch; do
    for i in {1..100}; do cat "$block"; done > "$1/$name.bin"
  done
}

bench_step() { # recipe, batch, folder of images, options...
  local recipe=$1 batch=$2 data=$3
  shift 3
  surge_run timeout "$(left 20)" "$build/surge" bench train "benchmarks/recipes/$recipe.yaml" \
    --device cuda -T 4 --set train.batch="$batch" --set data.path="$data" --warmup 10 \
    --steps 50 "$@" | sed "1s/^/options,/; 2s/^/${*:-graph},/" | append bench_train
}

run_bench_train() {
  local options
  make_images "$images"
  for options in "" --no-graph; do
    bench_step step_cifarnet 128 "$images" ${options:+"$options"}
    bench_step step 32 "$(fashion_folder)" ${options:+"$options"}
  done
  note "$(as_markdown < "$out/bench_train_$card.csv")"
}

# --- stage: peers ---------------------------------------------------------------------

# The newest SpikingJelly of the bundle that this PyTorch can load.
spikingjelly_folder() {
  local folder
  for folder in "$PWD"/python/{newest,0.0.0.0.14}; do
    if PYTHONPATH=$folder python3 -c \
      'from spikingjelly.activation_based import functional, layer, neuron, surrogate'; then
      echo "$folder"
      return
    fi
  done
}

run_peers() {
  if ! python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
    note "no PyTorch with CUDA here"
    return 0
  fi
  make_images "$images"
  printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$(cat "$out/library_path")" \
    "$build/surge" > "$images/surge"
  chmod +x "$images/surge"
  PYTHONPATH=$(spikingjelly_folder) python3 benchmarks/peers/step_gpu.py --surge "$images/surge" \
    --cifar "$images" --fashion "$(fashion_folder)" --seconds "$(left 105)" \
    --out "$out/step_gpu_$card.csv"
  note "$(as_markdown < "$out/step_gpu_$card.csv")"
}

# --- stage: sanitizers ----------------------------------------------------------------

find_sanitizer() {
  command -v compute-sanitizer ||
    find /usr/local/cuda*/bin /usr/local/cuda*/compute-sanitizer /opt/nvidia /opt/cuda \
      -name compute-sanitizer -type f -perm -u+x 2>/dev/null | head -n 1 || true
}

# Filters that leave out what runs long under a tool that slows each access down.
sanitized='
test_integrator_cuda integrator/impulse_decays
test_neuron_cuda neuron/@(traces_of_constant_input|every_number_of_steps)
test_neuron_statistics_cuda neuron_statistics/pda_of_a_silent_layer
test_add_cuda add/one_gradient_may_serve_both
test_norm_cuda norm/@(integer_moments_are_exact|constant_channels_have_variance_zero)
test_pool_cuda pool/maximum_keeps_nan
test_loss_cuda loss/the_first_maximum_wins
test_input_cuda poisson/fires_strictly_below_x
test_dropout_cuda dropout/drops_the_share
test_optimizer_cuda update/a_fault_leaves_everything_as_it_was
test_conv2d_cuda conv2d/plan_serves_fewer_images
test_linear_cuda linear/exact_on_integers
test_golden_neuron_cuda golden/pda
'

sanitize_one() { # tool, program, filter
  local log=$out/sanitizers/$1_$2.log code=0 verdict=clean seconds
  seconds=$(left 40)
  if ((seconds < 3)); then echo "$1,$2,$3,not run"; return; fi
  OMP_NUM_THREADS=1 surge_run timeout -k 3 "$seconds" "$sanitizer" --tool "$1" \
    --target-processes all --error-exitcode 99 "$build/tests/$2" --jobs 1 --filter "$3" \
    > "$log" 2>&1 || code=$?
  if ((code == 124 || code == 137)); then verdict="stopped after $seconds s"
  elif grep -qE 'Device not supported|nitialization failed' "$log"; then verdict="the tool does not run here"
  elif grep -qE 'ERROR SUMMARY: [1-9]|RACECHECK SUMMARY: [1-9]' "$log" || ((code)); then verdict="FAULTS ($code)"
  elif grep -q 'Tested: 0' "$log"; then verdict="FAULTS: no such test"
  elif ! grep -q 'SUMMARY: 0' "$log"; then verdict="no summary"; fi
  echo "$1,$2,$3,$verdict"
}

run_sanitizers() {
  sanitizer=$(find_sanitizer)
  [ -n "$sanitizer" ] || { note "compute-sanitizer is not here: not run"; return 0; }
  mkdir -p "$out/sanitizers"
  export sanitizer build out deadline
  export -f sanitize_one surge_run left
  echo "tool,program,filter,verdict" > "$out/sanitizers.csv"
  for tool in memcheck racecheck initcheck synccheck; do
    sed -n "s/^test/$tool &/p" <<< "$sanitized"
  done | xargs -P "$(($(nproc) / 2 + 1))" -L 1 bash -c 'sanitize_one "$@"' _ |
    sort >> "$out/sanitizers.csv"
  note "$(tr '|' '+' < "$out/sanitizers.csv" | as_markdown)"
  ! grep -q FAULTS "$out/sanitizers.csv"
}

# --- all of them ----------------------------------------------------------------------

# One stage in a process of its own, so that its time can be limited.
run_stage() { # name, seconds
  STAGE_DEADLINE=$(($(date +%s) + $2)) timeout -k 5 $(($2 + 5)) \
    bash "scripts/$(basename "${BASH_SOURCE[0]}")" "$out" "$1" < /dev/null > "$out/$1.log" 2>&1
}

verdicts="" failed=0
verdict() { # stage, decides, seconds, words
  printf '%-12s %s (%s s)\n' "$1" "$4" "$3"
  verdicts+="| $1 | $4 | $3 | $2 |"$'\n'
  [ "$2" = no ] || [ "$4" = passed ] || failed=1
}

# What came of a stage, in words.
outcome() { # stage, exit code
  case $2 in
    0) echo passed ;;
    124 | 137) echo "stopped: its time was over" ;;
    *) echo "FAILED: $(tail -n 1 "$out/$1.log")" ;;
  esac
}

run_all() {
  local name most decides asks rest start end=$((SECONDS + 60 * minutes)) code=0
  while read -r name most decides asks; do
    [ -n "$name" ] || continue
    rest=$((end - SECONDS - 8)) start=$SECONDS
    if ((rest < 10)); then
      verdict "$name" "$decides" 0 "not run: no time left"
    elif [ ! -e "$out/library_path" ] && [ "$name" != libraries ]; then
      verdict "$name" "$decides" 0 "not run: libraries are missing"
    else
      echo "$name: $asks" && code=0
      run_stage "$name" $((most < rest ? most : rest)) || code=$?
      verdict "$name" "$decides" $((SECONDS - start)) "$(outcome "$name" $code)"
      [ "$name" != libraries ] || [ $code = 0 ] || rm -f "$out/library_path"
    fi
  done <<< "$stages"
}

write_summary() { # verdict in words
  local file
  {
    echo "# SURGE on ${card:-a machine without a GPU}"
    printf '\n%s\n\n' "$1"
    [ -z "$verdicts" ] || printf '| stage | result | s | decides |\n| --- | --- | --- | --- |\n%s' "$verdicts"
    for file in machine $(awk '{ print $1 }' <<< "$stages"); do
      [ -e "$out/$file.md" ] || continue
      printf '\n## %s\n\n' "$file"
      cat "$out/$file.md"
    done
  } > "$out/summary.md"
  printf '\n%s\n%s\n' "$1" "results: $out/summary.md"
}

# --- start ----------------------------------------------------------------------------

card=$(card_name)
images=${TMPDIR:-/tmp}/surge-images-$UID
mkdir -p "$out"
stage=${2:-machine}
if [ -n "${2:-}" ]; then
  deadline=${STAGE_DEADLINE:-$(($(date +%s) + 60 * minutes))}
  rm -f "$out/$stage.md"
  "run_$stage"
  exit
fi
rm -f "$out"/*.md "$out"/*.csv "$out/library_path"
describe_machine
if [ -z "$card" ]; then
  write_summary "**no GPU**: $(nvidia-smi -L 2>/dev/null | head -n 1 | grep . || echo 'nvidia-smi is missing or names none'); nothing was run"
  exit 4
fi
[ -x "$build/surge" ] || { write_summary "wanted $build/surge, found none: scripts/gpu_bundle.sh builds it"; exit 2; }
run_all
rm -rf "$images"
if ((failed)); then write_summary "**FAILED** on $card"; else write_summary "every test passed on $card"; fi
exit $failed
