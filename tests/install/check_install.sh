#!/usr/bin/env bash
# Installs the build into a fresh prefix, builds a user's project against it (with the README's C++ example in
# it, word for word) and runs it.
set -euo pipefail
build=$1
source=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cmake --install "$build" --prefix "$scratch/prefix" > "$scratch/install.log"
cp -r "$source/tests/install/consumer" "$scratch/consumer"
awk '/^```cpp$/ {inside = 1; next} /^```$/ {inside = 0} inside' "$source/README.md" \
  > "$scratch/consumer/readme_example.h"
grep -q 'Mutex mutex' "$scratch/consumer/readme_example.h" || {
  echo "the README has lost its C++ example" >&2
  exit 1
}
cmake -S "$scratch/consumer" -B "$scratch/build" -G Ninja -DCMAKE_PREFIX_PATH="$scratch/prefix" \
  > "$scratch/configure.log" || { cat "$scratch/configure.log"; exit 1; }
ninja -C "$scratch/build"
"$scratch/build/consumer" "$scratch/data"
