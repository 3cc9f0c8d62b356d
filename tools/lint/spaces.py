#!/usr/bin/env python3
"""Fail on stray white space, invisible characters and what a merge left behind
in tracked text files."""
import re
import subprocess
import sys

# Zero width, direction overrides, byte order mark, no-break and soft hyphen.
HIDDEN = re.compile("[\u00a0\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
MARKER = re.compile(r"(<{7}|[|]{7}|>{7})( |$)")  # of a conflict
TABS = {"Makefile"}


def faults(name):
    with open(name, "rb") as f:
        raw = f.read()
    if b"\0" in raw:
        return
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as e:
        yield f"{name}: not UTF-8 at byte {e.start}"
        return
    if text and not text.endswith("\n"):
        yield f"{name}: no newline at the end"
    if text.endswith("\n\n"):
        yield f"{name}: empty line at the end"
    for n, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            yield f"{name}:{n}: white space at the end"
        if "\t" in line and name.rsplit("/", 1)[-1] not in TABS:
            yield f"{name}:{n}: tab"
        if MARKER.match(line):
            yield f"{name}:{n}: marker of a merge conflict"
        if HIDDEN.search(line):
            yield f"{name}:{n}: invisible character"


def main():
    # Corpora, cases and golden files are data: their bytes are meant.
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--",
         ".", ":!fuzz/corpus", ":!tests/golden", ":!*.pb", ":!*.svg"],
        check=True, capture_output=True, text=True).stdout.split("\n")
    found = [f for name in names if name for f in faults(name)]
    print("\n".join(found), end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
