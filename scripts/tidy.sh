#!/usr/bin/env bash
# clang-format and clang-tidy over every source file; fails on the first kind of finding.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
git ls-files '*.cc' '*.h' | xargs clang-format --dry-run --Werror
git ls-files '*.cc' | xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p "$build"
