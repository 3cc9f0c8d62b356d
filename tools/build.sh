#!/usr/bin/env bash
# tools/build.sh PRESET [cmake --build arguments]: configure when needed, build.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
shift
if ! mkdir -p "build/$preset" 2>/dev/null || [ ! -w "build/$preset" ]; then
    echo "modeld: cannot write to $PWD/build: run as the owner of the checkout" >&2
    exit 1
fi
if [ ! -f "build/$preset/build.ninja" ]; then
    cmake --preset "$preset" >"build/$preset/configure.log" 2>&1 ||
        { cat "build/$preset/configure.log" >&2; exit 1; }
fi
cmake --build --preset "$preset" -j "${JOBS:-$(nproc)}" "$@"
