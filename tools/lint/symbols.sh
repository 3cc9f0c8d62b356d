#!/usr/bin/env bash
# Fail if an archive of the given build folder defines a global symbol that
# begins neither md_ nor modeld_.
set -euo pipefail
build=${1:-build/dev}
bad=$(nm -A -g --defined-only "$build"/libmd_*.a 2>/dev/null |
    awk '$3 !~ /^(md_|modeld_|__(asan|tsan|odr_asan|llvm|gcov))/ && NF == 3')
[ -z "$bad" ] || { echo "$bad"; exit 1; }
