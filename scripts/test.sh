#!/usr/bin/env bash
# Installs what the tests need, builds with warnings as errors, runs all tests.
# SURGE_TEST_DATA=FOLDER lets those run that need more data sets than
# Fashion-MNIST; without it they are skipped by name.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

surge_install "${surge_build_packages[@]}" "${surge_test_packages[@]}"
cmake --preset cpu -DSURGE_TESTS=ON
cmake --build build-cpu
ctest --test-dir build-cpu --output-on-failure -j 2
