#!/usr/bin/env bash
# Every lint, each with a line; all run even when one fails.
set -uo pipefail
cd "$(dirname "$0")/../.."
failed=""

check() {
    local name=$1 out rc=0
    shift
    out=$("$@" 2>&1 </dev/null) || rc=$?
    if [ "$rc" -eq 0 ]; then
        echo "ok   $name"
    else
        echo "FAIL $name"
        echo "$out" | tail -n 60
        failed+=" $name"
    fi
}

sources() {
    git ls-files --cached --others --exclude-standard '*.c' '*.h'
}

format() {
    sources | xargs clang-format-14 --dry-run --Werror
}

# Only what the last clean run has not seen: a file counts as seen when it, and
# every header and list of the tree, are as they were.
tidy() {
    local seen=build/dev/tidy common files=()
    mkdir -p "$seen"
    common=$(cat .clang-tidy src/LAYERS $(git ls-files '*.h' '*.def') |
        sha256sum | cut -d' ' -f1)
    while read -r f; do
        [ -e "$seen/$(cat "$f" <(echo "$f $common") | sha256sum |
            cut -d' ' -f1)" ] || files+=("$f")
    done < <(sources | grep -E '^(src|include|fuzz|tests)/.*\.c$')
    [ ${#files[@]} -gt 0 ] || return 0
    printf '%s\0' "${files[@]}" | xargs -0 -n 4 -P "${JOBS:-$(nproc)}" \
        clang-tidy-14 -p build/dev --quiet >build/dev/tidy.log 2>&1 ||
        { grep -E 'error:|warning:' build/dev/tidy.log | sort -u; return 1; }
    rm -f "$seen"/*
    while read -r f; do
        : >"$seen/$(cat "$f" <(echo "$f $common") | sha256sum | cut -d' ' -f1)"
    done < <(sources | grep -E '^(src|include|fuzz|tests)/.*\.c$')
}

# conversion.md is what `make conversion` found.
reference() {
    local out=build/dev/reference
    build/dev/tools/gen/mkref "$out" && diff -ru -x conversion.md docs/reference "$out"
}

check layers python3 tools/lint/layers.py
check lists python3 tools/lint/lists.py
check spaces python3 tools/lint/spaces.py
check format format
check build tools/build.sh dev
check symbols tools/lint/symbols.sh build/dev
check reference reference
check tidy tidy
python3 tools/lint/budget.py
[ -z "$failed" ] || { echo "lint: failed:$failed"; exit 1; }
echo "lint: clean"
