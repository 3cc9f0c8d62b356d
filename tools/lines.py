#!/usr/bin/env python3
"""Print how many lines of tests stand against how many of source, by module.

Lines are what wc -l counts.  Source: *.c, *.h and *.def below src/ and
include/.  Tests: *.c, *.h and *.def below tests/ and fuzz/, the cases
(*.case) and the scripts (*.py, *.sh).  Corpora, models, pictures and recorded
outputs count as neither.  Tests that belong to no single module (support,
end to end, out of memory, fuzz) stand in a row of their own.  A line of a case is a
whole test and as long as that takes: the last row compares characters.
"""
import collections
import os

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
AIM = 0.8
CODE = (".c", ".h", ".def")
TEST = CODE + (".case", ".py", ".sh")
# Folders of tests that are one module's, beside tests/unit/<module>.
FOLDERS = {"kernels": "kernels", "ops": "ops"}


def count(top, endings):
    """{path below the root: (lines, characters)}"""
    sizes = {}
    for folder, _, names in os.walk(os.path.join(ROOT, top)):
        for name in names:
            if name.endswith(endings):
                path = os.path.join(folder, name)
                with open(path, "rb") as f:
                    data = f.read()
                sizes[os.path.relpath(path, ROOT)] = (data.count(b"\n"),
                                                      len(data))
    return sizes


def source_module(path):
    """src/base/json.c: base; include/modeld.h: api"""
    parts = path.split(os.sep)
    return parts[1] if parts[0] == "src" and len(parts) > 2 else "api"


def test_module(path, modules):
    """tests/unit/base/test_json.c: base; "" for what serves several."""
    parts = path.split(os.sep)
    if parts[0] != "tests" or len(parts) < 3:
        return ""
    name = parts[2] if parts[1] == "unit" else FOLDERS.get(parts[1], "")
    return name if name in modules else ""


def row(name, n_test, n_source):
    ratio = f"{n_test / n_source:5.2f}" if n_source else "    -"
    return f"{name:16} {n_test:7} of tests {n_source:7} of source {ratio}"


def main():
    source, test = collections.Counter(), collections.Counter()
    characters = collections.Counter()
    for top in ("src", "include"):
        for path, (n, size) in count(top, CODE).items():
            source[source_module(path)] += n
            characters["source"] += size
    for top in ("tests", "fuzz"):
        for path, (n, size) in count(top, TEST).items():
            test[test_module(path, source)] += n
            characters["test"] += size
    for name in sorted(source):
        print(row(name, test[name], source[name]))
    print(row("several", test[""], 0))
    print(row("lines", sum(test.values()), sum(source.values()))
          + f", aim {AIM}")
    print(row("characters", characters["test"], characters["source"]))


if __name__ == "__main__":
    main()
