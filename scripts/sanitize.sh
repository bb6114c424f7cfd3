#!/usr/bin/env bash
# Builds and runs tests under a sanitizer.
#
#   scripts/sanitize.sh asan        AddressSanitizer and UBSan, the tests labelled core
#   scripts/sanitize.sh asan all    the same for every test that is not a matter of minutes
#   scripts/sanitize.sh tsan        ThreadSanitizer, the tests labelled core (Debian's gRPC is not instrumented)
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${JOBS:-$(nproc)}
kind=${1:-}
case "$kind" in
  asan) sanitizer=address ;;
  tsan) sanitizer=thread ;;
  *)
    echo "usage: scripts/sanitize.sh asan [all] | tsan" >&2
    exit 2
    ;;
esac
if [ "${2:-core}" = all ]; then
  target=all
  select=(-LE long)
else
  target=core_tests
  select=(-L core)
fi
cmake -S . -B "build-$kind" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DCONCLAVE_SANITIZE=$sanitizer -DCONCLAVE_PEERS_DIR="$PWD/build/peers/usr/bin" > /dev/null
ninja -C "build-$kind" -j "$jobs" $target
cd "build-$kind"
ctest --output-on-failure --no-tests=error "${select[@]}" -j "$jobs"
