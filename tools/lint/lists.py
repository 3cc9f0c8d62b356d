#!/usr/bin/env python3
"""Fail if a list and the files it names are not the same.

OP(relu) in a .def needs `const md_op md_op_relu` in a file, and such a
definition needs its row: the macro's name in lower case is the type.  A
kernel list src/kernels/<family>.def names instruction sets by K rows; each needs
<family>_<isa>.c (ref/ for the portable one), each such file its row, unless
the family is a helper without a choice: a header and no list.
Every .def has to be included by some file.
Decisions in docs/adr/ are numbered 1, 2, 3 ... in names and titles, and each
has its row in docs/adr/README.md.
"""
import pathlib
import re
import sys

KINDS = {"op", "fast", "format", "converter", "pass", "route", "cmd",
         "collector", "grpc_method", "source"}
ROW = re.compile(r"^\s*([A-Z][A-Z0-9_]*)\((\w+)", re.M)
DEFINITION = re.compile(r"^const md_(\w+) md_(\w+) =", re.M)
COMMENT = re.compile(r"/\*.*?\*/", re.S)
ISA_FILE = re.compile(r"^(\w+?)_(ref|avx\w*|amx\w*|neon|dotprod|sve)$")


def rows(path):
    return ROW.findall(COMMENT.sub("", path.read_text()))


def object_faults(src):
    listed, defined = {}, {}
    for path in src.rglob("*.def"):
        for macro, name in rows(path):
            if macro.lower() in KINDS:
                listed[(macro.lower(), name)] = path
    for path in src.rglob("*.c"):
        for kind, full in DEFINITION.findall(path.read_text()):
            if kind in KINDS and full.startswith(kind + "_"):
                defined[(kind, full[len(kind) + 1:])] = path
    for kind, name in sorted(listed.keys() - defined.keys()):
        yield f"{listed[kind, name]}: {name} has no `const md_{kind} md_{kind}_{name}`"
    listed_kinds = {kind for kind, _ in listed}
    for kind, name in sorted(defined.keys() - listed.keys()):
        if kind in listed_kinds:
            yield f"{defined[kind, name]}: md_{kind}_{name} is in no list"


def kernel_faults(src):
    folder = src / "kernels"
    lists = {p.stem: {name for macro, name in rows(p) if macro == "K"}
             for p in folder.glob("*.def")}
    lists = {family: isas for family, isas in lists.items() if isas}
    found = {}
    for sub in ("ref", "x86", "arm"):
        for path in (folder / sub).glob("*.c"):
            m = ISA_FILE.match(path.stem)
            if not m:
                yield f"{path}: no instruction set at the end of the name"
                continue
            found[m.groups()] = path
    for family, isas in sorted(lists.items()):
        for isa in sorted(isas):
            if (family, isa) not in found:
                yield f"{folder / family}.def: {isa} has no {family}_{isa}.c"
    for (family, isa), path in sorted(found.items()):
        if family not in lists:
            if not (folder / f"{family}.h").exists():
                yield f"{path}: neither {family}.def nor {family}.h exists"
        elif isa not in lists[family]:
            yield f"{path}: {isa} is not in {family}.def"


def unused_faults(root):
    text = "".join(p.read_text(errors="replace")
                   for top in ("src", "tests", "bench", "tools", "include")
                   for p in (root / top).rglob("*")
                   if p.suffix in (".c", ".h", ".def"))
    for path in sorted((root / "src").rglob("*.def")):
        if f'"{path.relative_to(root / "src")}"' not in text:
            yield f"{path}: no file includes this list"


def decision_faults(folder):
    text = (folder / "README.md").read_text()
    paths = sorted(folder.glob("[0-9]*.md"))
    for number, path in enumerate(paths, 1):
        if not path.name.startswith(f"{number:04}-"):
            yield f"{path}: number {number:04} expected"
        if not path.read_text().startswith(f"# {number} "):
            yield f"{path}: its title does not begin with '# {number} '"
        if f"]({path.name})" not in text:
            yield f"{path}: no row in {folder / 'README.md'}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    src = root / "src"
    faults = [*object_faults(src), *kernel_faults(src), *unused_faults(root),
              *decision_faults(root / "docs" / "adr")]
    print("\n".join(faults), end="\n" if faults else "")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
