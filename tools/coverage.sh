#!/usr/bin/env bash
# tools/coverage.sh [ctest arguments]: build the coverage preset, run every
# test, print the line coverage of src/ by module; what no test ran is listed
# in build/coverage/missed.txt.  Then lines of tests against lines of source.
set -euo pipefail
cd "$(dirname "$0")/.."
rc=0
# Counts of an earlier run would be added to.
mkdir -p build/coverage
find build/coverage -name '*.gcda' -delete
tools/test.sh coverage "$@" || rc=$?
python3 tools/coverage.py build/coverage || rc=1
python3 tools/lines.py || rc=1
exit "$rc"
