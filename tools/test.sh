#!/usr/bin/env bash
# tools/test.sh PRESET [ctest arguments]: build everything, run the tests, print
# the count of single tests as the last line.  With MODELD_COUNTS set, the
# counts are added to that file as well.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
shift
tools/build.sh "$preset" --target help >/dev/null
cmake "build/$preset" -DMODELD_TESTS=ON >/dev/null
tools/build.sh "$preset"
report=build/$preset/junit.xml
rm -f "$report"
rc=0
ctest --preset "$preset" -j "${JOBS:-$(nproc)}" --no-tests=error \
    --test-output-size-passed 1000000 --test-output-size-failed 1000000 \
    --output-junit "$PWD/$report" "$@" || rc=$?
python3 tools/test_summary.py "$report" "$preset" || rc=1
exit "$rc"
