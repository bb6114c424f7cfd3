#!/usr/bin/env bash
# Builds and runs the tests under a sanitizer: asan (with UBSan, all tests that ctest labels neither long nor
# process-only) or tsan (the rooms without gRPC: Debian's gRPC is not instrumented).
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${JOBS:-$(nproc)}
case "${1:-}" in
  asan)
    cmake -S . -B build-asan -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCONCLAVE_SANITIZE=address \
      -DCONCLAVE_PEERS_DIR="$PWD/build/peers/usr/bin" > /dev/null
    ninja -C build-asan -j "$jobs"
    cd build-asan && ctest --output-on-failure --no-tests=error -LE 'long|processes' -j "$jobs"
    ;;
  tsan)
    cmake -S . -B build-tsan -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCONCLAVE_SANITIZE=thread \
      -DCONCLAVE_PEERS_DIR="$PWD/build/peers/usr/bin" > /dev/null
    ninja -C build-tsan -j "$jobs" tsan_tests
    cd build-tsan && ctest --output-on-failure --no-tests=error -L tsan -j "$jobs"
    ;;
  *)
    echo "usage: scripts/sanitize.sh asan|tsan" >&2
    exit 2
    ;;
esac
