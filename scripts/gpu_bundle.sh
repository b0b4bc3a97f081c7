#!/usr/bin/env bash
# Builds SURGE with device code and packs what a bare machine with a GPU needs to
# prove and measure it: programs, tests, the libraries that they link, recipes,
# golden files, Fashion-MNIST; other data in parts of their own, OUT-mnist.tar.xz
# and OUT-cifar10-1.tar.xz to -3. None is larger than 60 MB. There: unpack all in one
# place, then scripts/gpu_check.sh.
# Usage: scripts/gpu_bundle.sh [OUT.tar.zst|OUT.tar.xz|OUT.tar.gz]
#   SURGE_CUDA_ARCHITECTURES   default 80-real;90-real
#   SURGE_TEST_DATA            a folder whose mnist/ goes along
#   SURGE_CIFAR10              a folder of CIFAR-10's .bin files, which go along
#   JOBS                       compilers at once, default 1: nvcc wants memory
# SpikingJelly goes along as well where pip can fetch it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=$(realpath -m "${1:-build-gpu/surge-gpu.tar.zst}")
build="build-gpu"
limit=60000000 # bytes
fashion=/usr/share/datasets/fashion-mnist # of the Debian package
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
to=$stage/surge-gpu

fail() { echo "gpu_bundle: $*" >&2; exit 1; }

# --- building -------------------------------------------------------------------

# Test programs of a label, but for those of files and processes alone, in which a
# device has no part; test_cli, besides, changes folders, and a bundle's tests find
# their files from where they are started.
tests_of() { # label
  ctest --test-dir $build -N -L "^$1\$" | sed -n 's/^ *Test *#[0-9]*: //p' |
    grep -vxFf <(basename -s .c -a tests/{cli,sweep,report,events}/test_*.c)
}

build_all() {
  PATH=$PATH:/usr/local/cuda/bin
  cmake -G Ninja -B $build -DCMAKE_BUILD_TYPE=Release -DSURGE_CUDA=ON \
    -DSURGE_TESTS=ON -DSURGE_NATIVE=OFF -DSURGE_TEST_ROOT=. \
    -DSURGE_CUDA_ARCHITECTURES="${SURGE_CUDA_ARCHITECTURES:-80-real;90-real}"
  mapfile -t tests < <(tests_of cpu; tests_of cuda)
  cmake --build $build -j "${JOBS:-1}" --target surge bench_ops "${tests[@]}"
}

# --- collecting -----------------------------------------------------------------

copy_programs() {
  local test
  install -D -t "$to/$build" $build/surge $build/bench_ops
  for test in "${tests[@]}"; do
    install -D -t "$to/$build/tests" "$build/tests/$test"
  done
  strip --strip-debug "$to/$build"/surge "$to/$build"/bench_ops "$to/$build"/tests/*
}

# What every glibc system has, and NVIDIA's libraries, which come with the driver,
# the toolkit or PyTorch.
theirs='^(linux-vdso|ld-linux.*|libc|libm|libdl|librt|libpthread|libresolv|libstdc\+\+|libgcc_s|libcuda|libcudart|libcudnn.*|libcublas.*|libnv.*)\.so'

copy_libraries() {
  local name path
  mkdir -p "$to/$build/lib"
  ldd "$to/$build"/surge "$to/$build"/tests/* | sed -n 's/^\t\(.*\) => \(\/.*\) (.*/\1 \2/p' |
    sort -u | grep -vE "$theirs" > "$stage/libraries"
  while read -r name path; do
    cp -L "$path" "$to/$build/lib/$name"
  done < "$stage/libraries"
}

copy_files() {
  git ls-files scripts benchmarks tests/golden LICENSE README.md |
    xargs cp --parents -t "$to"
  [ -d $fashion ] || fail "wanted $fashion: install dataset-fashion-mnist"
  mkdir -p "$to/data"
  cp -rL $fashion "$to/data/fashion_mnist"
  find "$to/data" -name '*.gz' -exec gunzip {} + # the bundle packs them tighter
}

# The newest, which wants a recent PyTorch, and the last before it.
fetch_spikingjelly() {
  local fetch="python3 -m pip install -q --no-deps --no-compile --root-user-action=ignore"
  if ! { $fetch --target "$to/python/newest" spikingjelly loguru &&
    $fetch --target "$to/python/0.0.0.0.14" spikingjelly==0.0.0.0.14; }; then
    echo "gpu_bundle: SpikingJelly is not complete: the peers' script does without" >&2
  fi
}

# The newest symbol of glibc that anything in the bundle asks for.
glibc_needed() {
  find "$to/$build" -type f -exec objdump -T {} + 2>/dev/null |
    grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1 | cut -d_ -f2
}

write_manifest() {
  {
    echo "commit: $(git describe --always --dirty --abbrev=12)"
    echo "architectures: ${SURGE_CUDA_ARCHITECTURES:-80-real;90-real}"
    echo "nvcc: $(PATH=$PATH:/usr/local/cuda/bin nvcc --version | sed -n 's/.*release //p')"
    echo "glibc built with: $(ldd --version | sed -n '1s/.* //p')"
    echo "glibc needed: $(glibc_needed)"
    ldd "$to/$build/surge" | sed -n 's/^\t\(lib\(cudnn\|cublas\|cudart\)[^ ]*\).*/wanted there: \1/p'
  } > "$to/MANIFEST"
  cat "$to/MANIFEST"
}

# --- packing --------------------------------------------------------------------

case $out in
  *.tar.zst) compressor='zstd -q -19 --long=27 -T0' ;;
  *.tar.xz) compressor='xz -9' ;;
  *.tar.gz) compressor='gzip -9' ;;
  *) fail "wanted OUT.tar.zst, .tar.xz or .tar.gz, found $out" ;;
esac

pack() { # archive, the folder that surge-gpu lies in
  local bytes
  tar -C "$2" --sort=name --owner=0 --group=0 -I "$compressor" -cf "$1" surge-gpu
  bytes=$(stat -c %s "$1")
  echo "$1: $bytes bytes, $(du -sm "$2/surge-gpu" | cut -f1) MiB unpacked"
  [ "$bytes" -le $limit ] || fail "$1: wanted at most $limit bytes, found $bytes"
}

# A part of its own, which unpacks into the same folder.
pack_data() { # name, data set, files...
  local part=$stage/parts/$1 folder=$stage/parts/$1/surge-gpu/data/$2
  mkdir -p "$folder"
  cp -L "${@:3}" "$folder"
  find "$folder" -name '*.gz' -exec gunzip {} +
  pack "${out%.tar.*}-$1.tar.${out##*.tar.}" "$part"
}

pack_all() {
  pack "$out" "$stage"
  if [ -d "${SURGE_TEST_DATA:-}/mnist" ]; then
    pack_data mnist mnist "$SURGE_TEST_DATA"/mnist/*
  fi
  [ -n "${SURGE_CIFAR10:-}" ] || return 0
  local cifar=$SURGE_CIFAR10
  if [ -d "$cifar/cifar-10-batches-bin" ]; then cifar+=/cifar-10-batches-bin; fi
  pack_data cifar10-1 cifar10 "$cifar"/data_batch_[12].bin
  pack_data cifar10-2 cifar10 "$cifar"/data_batch_[34].bin
  pack_data cifar10-3 cifar10 "$cifar"/{data_batch_5,test_batch}.bin
}

build_all
copy_programs
copy_libraries
copy_files
fetch_spikingjelly
write_manifest
pack_all
