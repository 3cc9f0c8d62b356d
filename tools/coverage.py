#!/usr/bin/env python3
"""Print the line coverage of src/ by module from the counts in BUILD.

gcov (of the compiler that built) gives the counts as JSON; a header's lines
are added up over the files that include it.  A file that no test links counts
with all its lines.  Left out are kernels for instruction sets that this CPU
lacks, and named.  Code that runs only in a sandboxed child (convert's HDF5
reader) cannot write its counts: it counts as missed unless a test runs it in
its own process.
"""
import collections
import concurrent.futures
import json
import os
import subprocess
import sys


def gcov(build, notes):
    """The parsed reports of one object's .gcno."""
    out = subprocess.run(
        ["gcov", "--json-format", "--stdout", os.path.relpath(notes, build)],
        cwd=build, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def objects(build):
    """.gcno of the program and its modules, not of the tests."""
    for top, _, names in os.walk(os.path.join(build, "CMakeFiles")):
        if "/src/" in top + "/":
            yield from (os.path.join(top, n) for n in names
                        if n.endswith(".gcno"))


def collect(build):
    """{file below src/: {line: count}}"""
    lines = collections.defaultdict(collections.Counter)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for reports in pool.map(lambda n: gcov(build, n), objects(build)):
            for report in reports:
                add(lines, report)
    return lines


def add(lines, report):
    root = os.getcwd() + "/"
    for f in report["files"]:
        name = os.path.normpath(
            os.path.join(report["current_working_directory"], f["file"]))
        if not name.startswith(root + "src/") or not os.path.isfile(name):
            continue
        for at in f["lines"]:
            lines[name[len(root):]][at["line_number"]] += at["count"]


def leave_out(build, lines):
    """Drop kernels that this CPU cannot run; their names."""
    with open("src/base/cpu_flags.def", encoding="utf-8") as f:
        known = {row.split('"')[1] for row in f if row.startswith("CPU(")}
    out = subprocess.run([os.path.join(build, "modeld"), "version", "--json"],
                         check=True, capture_output=True, text=True).stdout
    lacking = known - set(json.loads(out)["levels"].split(","))
    gone = [f for f in lines for isa in lacking
            if f.startswith("src/kernels/")
            and os.path.splitext(f)[0].endswith("_" + isa)]
    for f in gone:
        del lines[f]
    return sorted(gone)


def ranges(missed):
    """[3, 4, 5, 9] as "3-5 9"."""
    spans = []
    for n in sorted(missed):
        if spans and spans[-1][1] == n - 1:
            spans[-1][1] = n
        else:
            spans.append([n, n])
    return " ".join(f"{a}-{b}" if a < b else str(a) for a, b in spans)


def row(name, hit, total):
    return f"{name:32} {hit:6} of {total:6} lines  {100 * hit / total:5.1f} %"


def report(lines, path):
    modules = collections.defaultdict(lambda: [0, 0])
    with open(path, "w", encoding="utf-8") as out:
        for name in sorted(lines):
            missed = [n for n, count in lines[name].items() if count == 0]
            total = len(lines[name])
            for key in (name.split("/")[1], "total"):
                modules[key][0] += total - len(missed)
                modules[key][1] += total
            print(row(name, total - len(missed), total) + "  "
                  + ranges(missed), file=out)
    total = modules.pop("total")
    for name in sorted(modules):
        print(row(name, *modules[name]))
    print(row("total", *total))


def main():
    build = sys.argv[1]
    lines = collect(build)
    if not any(n for counts in lines.values() for n in counts.values()):
        sys.exit(f"coverage: no counts in {build}: run tools/coverage.sh")
    gone = leave_out(build, lines)
    missed = os.path.join(build, "missed.txt")
    report(lines, missed)
    print("left out, this CPU cannot run them:",
          " ".join(gone) if gone else "nothing")
    print("lines without a run:", missed)


if __name__ == "__main__":
    main()
