#!/usr/bin/env bash
# tools/deps.sh SET...: install what a set of tasks needs and the system lacks.
#   build  compiler, CMake, libraries
#   test   cmocka, load and metrics tools, a browser without windows, Python
#          packages in build/venv
#   lint   clang 14 with format, tidy and the fuzzing runtime
#   bench  what test has, and the engines to compare with
# Does nothing, quickly, when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

build="gcc libc6-dev cmake ninja-build pkg-config curl zlib1g-dev libzstd-dev libpng-dev
 libjpeg62-turbo-dev libwebp-dev libpcre2-dev libhdf5-dev libjansson-dev
 libseccomp-dev libnghttp2-dev libssl-dev"
test="libcmocka-dev g++ python3 python3-venv wrk prometheus
 chromium-headless-shell nghttp2-client mandoc openssl strace"
lint="clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev python3"

die() {
    echo "modeld: $*" >&2
    exit 1
}

# The packages among $@ that dpkg does not have installed.
missing() {
    local have
    have=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" \
        2>/dev/null | sed -n 's/^installed //p' || true)
    printf '%s\n' "$@" | grep -vxF "$have" || true
}

install_packages() {
    local want sudo=""
    if ! command -v dpkg-query >/dev/null; then
        local tools=(cmake ninja pkg-config cc)
        for tool in "${tools[@]}"; do
            command -v "$tool" >/dev/null || die "$tool is missing and this is" \
                "not Debian: install the counterparts of:" "$@"
        done
        return
    fi
    want=$(missing "$@")
    [ -n "$want" ] || return 0
    want=$(echo $want)
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "not root and no sudo; as root run:" \
            "apt-get update && apt-get install $want"
        sudo="sudo"
    fi
    echo "modeld: installing $want"
    local log
    log=$(mktemp)
    # $want is a list of package names: splitting is meant.
    # Lists that cannot be fetched are a failure here, not a warning: install
    # would fail on them later, with less to say.
    if ! { $sudo apt-get -o APT::Update::Error-Mode=any update &&
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install \
            -y --no-install-recommends $want; } >"$log" 2>&1 </dev/null; then
        local why
        why=$(grep -E '^(E|sudo): ' "$log" | head -n 1 || true)
        rm -f "$log"
        die "apt-get failed (${why:-no network?}); when it works again run:" \
            "apt-get update && apt-get install $want"
    fi
    rm -f "$log"
}

# The Python packages of tools/$1; a copy in build/venv says that they are there.
install_venv() {
    cmp -s "tools/$1" "build/venv/$1" && return
    echo "modeld: installing Python packages into build/venv:" \
        "$(grep -v '^#' "tools/$1" | tr '\n' ' ')"
    if ! mkdir -p build 2>/dev/null || [ ! -w build ]; then
        die "cannot write to $PWD/build: run as the owner of the checkout"
    fi
    # A link to another tree's is used as it is: --clear would empty that.
    [ "$1" != requirements.txt ] || [ -L build/venv ] ||
        python3 -m venv --clear build/venv ||
        die "cannot make build/venv: apt-get install python3-venv"
    build/venv/bin/pip install -q --disable-pip-version-check \
        -r "tools/$1" 2>build/venv/pip.log ||
        die "pip failed (is there a network?); try again: make deps"
    cp "tools/$1" "build/venv/$1"
}

packages=""
for set in "$@"; do
    case $set in
    build) packages+=" $build" ;;
    test) packages+=" $build $test" ;;
    lint) packages+=" $build $test $lint" ;;
    bench) packages+=" $build $test" ;;
    *) die "deps.sh: unknown set '$set': build, test, lint or bench" ;;
    esac
done
install_packages $(printf '%s\n' $packages | sort -u)
case " $* " in
*" test "* | *" lint "* | *" bench "*) install_venv requirements.txt ;;
esac
case " $* " in
*" bench "*) install_venv requirements-bench.txt ;;
esac
