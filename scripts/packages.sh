# shellcheck shell=bash disable=SC2034
# packages.sh - what SURGE needs from Debian 12/13 or Ubuntu 24.04; sourced by
# the other scripts, so that the list stands once.
#
#   surge_install "${surge_build_packages[@]}"    installs what is missing

surge_build_packages=(
  build-essential cmake ninja-build pkg-config
  libdnnl-dev libopenblas-dev          # convolutions, products
  libyaml-dev libcjson-dev             # recipes, safetensors headers
  zlib1g-dev                           # IDX files as they are published
  libjpeg-dev libpng-dev               # folders of images
  libxxhash-dev                        # frames of recordings that are kept
  libprotobuf-c-dev protobuf-c-compiler  # TensorBoard's event files
  liblz4-dev libzstd-dev               # AEDAT 4
  libzip-dev libhdf5-dev               # .npz, HDF5
  dataset-fashion-mnist
)
surge_test_packages=(
  libcriterion-dev
  gnuplot-nox                          # figures of `surge report`
)
surge_torch_packages=(python3-torch python3-numpy python3-pil)  # golden files, comparison
surge_browser_packages=(chromium)    # looks at a report, in CI
grep -qs '^ID=ubuntu' /etc/os-release && surge_browser_packages=()  # a snap alone

surge_slurm_packages=(slurm-wlm munge procps)  # tests/slurm

surge_missing() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      printf '%s\n' "$package"
  done
}

# apt-get as root, through sudo, or not at all.
surge_apt_get() {
  if [ "$(id -u)" = 0 ]; then
    DEBIAN_FRONTEND=noninteractive apt-get "$@"
  else
    sudo env DEBIAN_FRONTEND=noninteractive apt-get "$@"
  fi
}

surge_install() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "wanted a Debian or Ubuntu system (apt-get); elsewhere install by hand: $*" >&2
    return 1
  fi
  local missing
  mapfile -t missing < <(surge_missing "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    echo "wanted root or sudo, to run: apt-get install ${missing[*]}" >&2
    return 1
  fi
  echo "installing: ${missing[*]}"
  surge_apt_get update -qq &&
    surge_apt_get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null &&
    return 0
  echo "apt-get could not install: ${missing[*]}" >&2
  if grep -qs '^ID=ubuntu' /etc/os-release; then
    echo "on Ubuntu some of them are in universe: sudo add-apt-repository universe" >&2
  fi
  return 1
}
