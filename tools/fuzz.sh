#!/usr/bin/env bash
# tools/fuzz.sh: run each fuzz target for FUZZ_SECONDS.  New inputs stay in
# build/fuzz/corpus; a crash leaves its input in build/fuzz and fails.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset fuzz -DMODELD_TESTS=OFF >/dev/null
tools/build.sh fuzz
for src in fuzz/fuzz_*.c; do
    [ -e "$src" ] || { echo "no fuzz targets"; exit 0; }
    exe=$(basename "$src" .c)
    name=${exe#fuzz_}
    mkdir -p "build/fuzz/corpus/$name"
    dict=()
    [ ! -f "fuzz/dict/$name.dict" ] || dict=("-dict=fuzz/dict/$name.dict")
    echo "== $name"
    "build/fuzz/fuzz/$exe" -max_total_time="${FUZZ_SECONDS:-30}" -timeout=10 \
        -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 "${dict[@]}" \
        -artifact_prefix="build/fuzz/$name-" \
        "build/fuzz/corpus/$name" "fuzz/corpus/$name" 2>"build/fuzz/$name.log" ||
        { tail -n 40 "build/fuzz/$name.log"; exit 1; }
    grep -E 'stat::(number_of_executed_units|new_units_added)' \
        "build/fuzz/$name.log"
done
