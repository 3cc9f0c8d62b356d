#!/usr/bin/env python3
"""Count the single tests inside a ctest JUnit report.

A ctest entry is a program: its cmocka or pytest closing lines say how many
tests it ran.  An entry without such lines (a fuzz replay, a script) is one
test.  An entry that failed counts at least one failure, however it ended; what
failed is told once more at the end, where the record of a long run is read.
"""
import os
import re
import sys
import xml.etree.ElementTree as ET

CMOCKA = re.compile(r"^\[  (PASSED|FAILED|SKIPPED) +\] (\d+) test", re.M)
PYTEST = re.compile(r"^=*.*?\b\d+ (?:passed|failed|skipped|error).* in [\d.]+s",
                    re.M)
FAILED = re.compile(r"^(?:FAILED|ERROR|E  |\[  (?:ERROR|FAILED)).*|^.*: error:.*"
                    r"|^.*(?:AddressSanitizer|ThreadSanitizer|runtime error).*",
                    re.M)
PYTEST_PART = re.compile(r"(\d+) (passed|failed|skipped|error)")


def count(case):
    """(passed, failed, skipped) of one ctest entry."""
    text = case.findtext("system-out") or ""
    status = case.get("status")
    n = {"passed": 0, "failed": 0, "skipped": 0}
    for what, k in CMOCKA.findall(text):
        n[what.lower()] += int(k)
    for line in PYTEST.findall(text):
        for k, what in PYTEST_PART.findall(line):
            n["failed" if what == "error" else what] += int(k)
    if status == "fail":
        n["failed"] = max(n["failed"], 1)
    elif sum(n.values()) == 0:
        n["passed" if status == "run" else "skipped"] = 1
    return n["passed"], n["failed"], n["skipped"]


def failures(case):
    """The lines that say what failed in an entry, and why."""
    text = case.findtext("system-out") or ""
    lines = FAILED.findall(text) or text.splitlines()[-5:]
    return [f"{case.get('name')}: {line.strip()[:200]}" for line in lines[:20]]


def main():
    report, label = sys.argv[1], sys.argv[2]
    cases = ET.parse(report).getroot().findall("testcase")
    total = [sum(x) for x in zip(*map(count, cases))] or [0, 0, 0]
    told = [line for case in cases if case.get("status") == "fail"
            for line in failures(case)]
    print(*told, sep="\n", end="\n" if told else "")
    if os.environ.get("MODELD_COUNTS"):
        with open(os.environ["MODELD_COUNTS"], "a", encoding="utf-8") as f:
            print(label, *total, file=f)
        with open(os.environ["MODELD_COUNTS"] + ".failed", "a",
                  encoding="utf-8") as f:
            f.writelines(f"{label}: {line}\n" for line in told)
    print("%d passed, %d failed, %d skipped" % tuple(total))
    return total[1] > 0 or total[0] == 0


if __name__ == "__main__":
    sys.exit(main())
