"""The types of attributes in src/ops/attrs.def are those of the standard."""
import pathlib
import re

import pytest

defs = pytest.importorskip("onnx.defs")

LIST = pathlib.Path(__file__).parents[2] / "src/ops/attrs.def"
ROW = re.compile(
    r"^ATTR(?:_OF\((\w+), |\()(\w+), (\w+?)(?:, (\d+))?\)$", re.M)
FLAG = re.compile(r"^FLAG\((\w+)\)$", re.M)  # an INT that is 0 or 1
OLDEST, NEWEST = 1, defs.onnx_opset_version()


def rows_of():
    """(operator, name, type, last opset), in the order of the list."""
    return ROW.findall(FLAG.sub(r"ATTR(\1, INT)", LIST.read_text()))


def schemas():
    """Each operator as it is in some opset that modeld takes."""
    names = {(s.name, s.domain) for s in defs.get_all_schemas()
             if s.domain in ("", "ai.onnx.ml")}
    for name, domain in sorted(names):
        for version in range(OLDEST, NEWEST + 1):
            try:
                yield defs.get_schema(name, version, domain)
            except defs.SchemaError:
                continue


def test_types_are_the_standards():
    rows = rows_of()
    seen = 0
    for schema in schemas():
        for name, attr in schema.attributes.items():
            kind = next((kind for op, known, kind, until in rows
                         if known == name and op in ("", schema.name) and
                         (until in ("", "0") or
                          schema.since_version <= int(until))), None)
            want = str(attr.type).rsplit(".", 1)[-1]
            assert kind == want, f"{schema.name}: {name}"
            seen += 1
    assert seen > 1000


def test_rows_are_sorted_and_used():
    rows = rows_of()
    names = [name for _, name, _, _ in rows]
    assert names == sorted(names)
    general = [name for op, name, _, _ in rows if not op]
    assert len(general) == len(set(general))
    used = {name for s in schemas() for name in s.attributes}
    # Those of com.microsoft and of previews: whoever reads one names it.
    code = "".join(p.read_text() for p in LIST.parents[1].rglob("*.c"))
    used |= set(re.findall(r'"(\w+)"', code))
    assert set(names) <= used
