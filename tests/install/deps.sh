#!/usr/bin/env bash
# deps.sh SOURCE: what tools/deps.sh says when it cannot install.  apt-get,
# dpkg-query, id and sudo are stand-ins in a folder that is all of PATH, and
# the scripts are copies, so nothing of this machine is asked or changed.
set -euo pipefail
source=$1
root=$(mktemp -d)
trap 'chmod -R u+w "$root"; rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/tree/tools"
cp "$source/tools/deps.sh" "$source/tools/build.sh" \
    "$source/tools/requirements.txt" "$root/tree/tools"
for tool in bash cat cmp cp dirname env grep head mkdir mktemp rm sed sort tail tr; do
    ln -s "$(command -v "$tool")" "$root/bin/$tool"
done
bad=0

# stand_in NAME: stdin becomes the program NAME.
stand_in() {
    { echo "#!$(command -v bash)"; cat; } >"$root/bin/$1"
    chmod +x "$root/bin/$1"
}

# says WHAT TEXT SCRIPT...: SCRIPT fails, and its last line, the only one of
# stderr, is TEXT.
says() {
    local what=$1 text=$2 rc=0
    shift 2
    (cd "$root/tree" && PATH=$root/bin "$@") >"$root/out" 2>"$root/err" || rc=$?
    if [ "$rc" -ne 1 ] || [ "$(cat "$root/err")" != "modeld: $text" ]; then
        echo "FAILED $what: status $rc, expected 1 and: modeld: $text"
        cat "$root/out" "$root/err"
        bad=1
    fi
}

# All but two packages are there; one of those two was removed again.
stand_in dpkg-query <<'EOS'
for p in "$@"; do
    case $p in
    -* | *Status*) ;;
    gcc) echo "config-files $p" ;;
    cmake) ;;
    *) echo "installed $p" ;;
    esac
done
exit 1
EOS
want="apt-get update && apt-get install cmake gcc"

stand_in id <<<'echo 1000'
says "neither root nor sudo" "not root and no sudo; as root run: $want" \
    tools/deps.sh build

stand_in sudo <<<'echo "sudo: a password is required" >&2; exit 1'
says "sudo refuses" "apt-get failed (sudo: a password is required); when it \
works again run: $want" tools/deps.sh build

stand_in id <<<'echo 0'
rm "$root/bin/sudo"
stand_in apt-get <<'EOS'
echo "E: Failed to fetch http://x/InRelease  Temporary failure resolving 'x'"
echo "E: Some index files failed to download."
exit 100
EOS
says "no network" "apt-get failed (E: Failed to fetch http://x/InRelease  \
Temporary failure resolving 'x'); when it works again run: $want" \
    tools/deps.sh build

stand_in apt-get <<<'exit 100'
says "no reason given" "apt-get failed (no network?); when it works again run: \
$want" tools/deps.sh build

says "a set that is none" "deps.sh: unknown set 'docs': build, test, lint or bench" \
    tools/deps.sh docs

# Lists that cannot be fetched have to end it, and only what is missing is
# installed: apt-get fails when it is asked in any other way.
stand_in apt-get <<'EOS'
case "$*" in
"-o APT::Update::Error-Mode=any update") ;;
"install -y --no-install-recommends cmake gcc") echo "$*" >installed ;;
*) exit 100 ;;
esac
EOS
(cd "$root/tree" && PATH=$root/bin tools/deps.sh build) >"$root/out"
grep -qx "modeld: installing cmake gcc" "$root/out" &&
    [ -f "$root/tree/installed" ] || { echo "FAILED install"; bad=1; }

# Packages are all there from here on.
stand_in dpkg-query <<'EOS'
for p in "${@:4}"; do echo "installed $p"; done
EOS
stand_in python3 <<<'exit 1'
says "no venv module" "cannot make build/venv: apt-get install python3-venv" \
    tools/deps.sh test
rmdir "$root/tree/build"
stand_in python3 <<'EOS'
mkdir -p build/venv/bin
printf '#!/bin/sh\nexit 1\n' >build/venv/bin/pip
PATH=/usr/bin:/bin chmod +x build/venv/bin/pip
EOS
says "no network for pip" "pip failed (is there a network?); try again: \
make deps" tools/deps.sh test

# Root writes everywhere, so a file stands where the folder has to be.
rm -rf "$root/tree/build"
: >"$root/tree/build"
here=$(cd "$root/tree" && pwd)
says "no folder for Python packages" \
    "cannot write to $here/build: run as the owner of the checkout" \
    tools/deps.sh test
says "no folder to build in" \
    "cannot write to $here/build: run as the owner of the checkout" \
    tools/build.sh release

rm "$root/bin/dpkg-query"
says "not Debian" "cmake is missing and this is not Debian: install the \
counterparts of: $(sed -n '/^build="/,/"$/p' "$source/tools/deps.sh" |
    tr -d '"' | sed 's/^build=//' | tr -s ' \n' '\n\n' | sort -u |
    tr '\n' ' ' | sed 's/^ *//; s/ *$//')" tools/deps.sh build
exit "$bad"
