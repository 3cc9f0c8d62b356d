#!/usr/bin/env bash
# check.sh BUILD CC CFLAGS EXAMPLES: install the library into an empty folder
# and use it from there as others do: CMake package, pkg-config, both kinds of
# library.  libmodeld.so may export modeld_* only.
set -euo pipefail
build=$1 cc=$2 cflags=$3 examples=$4
here=$(cd "$(dirname "$0")" && pwd)
model=$examples/fashion/seed_cnn.keras
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

cmake --install "$build" --prefix "$root/usr" --component library >/dev/null
lib=$(dirname "$(find "$root/usr" -name libmodeld.so)")

foreign=$(nm -D --defined-only "$lib/libmodeld.so" |
    awk '$3 !~ /^modeld_/ { print $3 }')
[ -z "$foreign" ] || { echo "exported: $foreign"; exit 1; }
declared=$(grep -oE 'modeld_[a-z_]+\(' "$root/usr/include/modeld.h" |
    tr -d '(' | sort -u)
exported=$(nm -D --defined-only "$lib/libmodeld.so" | awk '{ print $3 }' |
    sort -u)
[ "$declared" = "$exported" ] ||
    { diff <(echo "$declared") <(echo "$exported"); exit 1; }

answers() {
    "$@" "$model" | tee "$root/answer"
    grep -q ': 10 numbers, the first ' "$root/answer"
}

echo "CMake package"
cmake -G Ninja -S "$here/app" -B "$root/app" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_C_FLAGS="$cflags" -DCMAKE_PREFIX_PATH="$root/usr" \
    -DEXAMPLES="$examples" >/dev/null
cmake --build "$root/app" >/dev/null
answers "$root/app/app"

export PKG_CONFIG_PATH=$lib/pkgconfig
use=(pkg-config "--define-variable=prefix=$root/usr")
echo "pkg-config, shared"
# shellcheck disable=SC2046,SC2086 # lists of flags
"$cc" $cflags "$examples/embed/embed.c" -o "$root/shared" \
    $("${use[@]}" --cflags --libs modeld)
LD_LIBRARY_PATH=$lib answers "$root/shared"

echo "pkg-config, static"
# shellcheck disable=SC2046,SC2086
"$cc" $cflags "$examples/embed/embed.c" -o "$root/static" \
    $("${use[@]}" --static --cflags --libs modeld |
        sed 's/-lmodeld/-l:libmodeld.a/')
answers "$root/static"
