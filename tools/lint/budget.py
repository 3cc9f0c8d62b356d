#!/usr/bin/env python3
"""Report sizes: source and test lines, and what is worth a second look.

Never fails: a function that reads better long stays long.
"""
import pathlib
import re
import sys

FILE_LINES = {".c": 900, ".h": 400}
FUNCTION_LINES = 100
KERNEL_LINES = 200
HEAD = re.compile(r"^[A-Za-z].*?(\w+)\(")


def functions(lines):
    """(name, lines) of each function: braces stand in column 0."""
    name = start = None
    for n, line in enumerate(lines, 1):
        m = HEAD.match(line)
        if m:
            name = m.group(1)
        if line == "{" and name:
            start = n
        elif line == "}" and start:
            yield name, n - start + 1
            name = start = None


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    n_lines = {"src": 0, "tests": 0}
    lengths = []
    for top in n_lines:
        for path in sorted((root / top).rglob("*.[ch]")):
            lines = path.read_text().splitlines()
            n_lines[top] += len(lines)
            name = path.relative_to(root)
            if len(lines) > FILE_LINES[path.suffix]:
                print(f"{name}: {len(lines)} lines")
            if top == "tests":
                continue
            limit = KERNEL_LINES if "kernels" in path.parts else FUNCTION_LINES
            for function, n in functions(lines):
                lengths.append(n)
                if n > limit:
                    print(f"{name}: {function}: {n} lines")
    for top in ("py", "case"):
        for path in (root / "tests").rglob(f"*.{top}"):
            n_lines["tests"] += len(path.read_text().splitlines())
    lengths.sort()
    if lengths:
        print(f"functions: {len(lengths)}, median {lengths[len(lengths) // 2]},"
              f" p90 {lengths[len(lengths) * 9 // 10]} lines")
    print(f"lines: src {n_lines['src']}, tests {n_lines['tests']}"
          f" ({n_lines['tests'] / max(n_lines['src'], 1):.2f})")


if __name__ == "__main__":
    main()
