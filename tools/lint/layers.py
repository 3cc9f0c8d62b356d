#!/usr/bin/env python3
"""Fail if a file under src/ includes a module that its own may not see.

Reads src/LAYERS ("module: modules it may include"), whose order has to be
topological.  Includes are relative to src/ ("tensor/dtype.h"); one that names
no folder is found only by chance and is refused.
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')
GENERATED = {"gen"}  # headers the build makes, under build/<preset>/gen


def read_layers(path):
    allowed = {}
    for line in path.read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            module, _, deps = line.partition(":")
            allowed[module] = set(deps.split())
    return allowed


def order_faults(allowed):
    order = list(allowed)
    for module, deps in allowed.items():
        for dep in sorted(deps):
            if dep not in allowed:
                yield f"src/LAYERS: {module} names {dep}, which has no row"
            elif order.index(dep) >= order.index(module):
                yield f"src/LAYERS: {module} stands above {dep}, which it uses"


def include_faults(src, allowed):
    for path in sorted(src.rglob("*.[ch]")) + sorted(src.rglob("*.def")):
        name = path.relative_to(src.parent)
        module = path.relative_to(src).parts[0]
        if module not in allowed:
            yield f"{name}: {module} has no row in src/LAYERS"
            continue
        may = allowed[module] | {module} | GENERATED
        for n, line in enumerate(path.read_text().splitlines(), 1):
            m = INCLUDE.match(line)
            if not m or m.group(1) == "modeld.h":
                continue
            top, slash, _ = m.group(1).partition("/")
            if not slash:
                yield f"{name}:{n}: \"{m.group(1)}\" is not relative to src/"
            elif top not in may:
                yield f"{name}:{n}: {module} must not include {top}/"


def main():
    src = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "src"
    allowed = read_layers(src / "LAYERS")
    faults = [*order_faults(allowed), *include_faults(src, allowed)]
    print("\n".join(faults), end="\n" if faults else "")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
