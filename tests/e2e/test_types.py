"""Element types (src/ops/types.def) and versions are those of the standard."""
import pathlib
import re

import pytest

defs = pytest.importorskip("onnx.defs")

ROOT = pathlib.Path(__file__).parents[2]
LIST = ROOT / "src/ops/types.def"
OPERATORS = ROOT / "docs/reference/operators.md"
VERSIONS = re.compile(r"^\| ai\.onnx(\.ml|) \| (\w+) \| (\d+)(?: to (\d+)| and later)? \|",
                      re.M)
ROW = re.compile(
    r"^TYPES\((\w+), (\d+), 0x(\w+),\s+((?:T\(\w+\)|[^()])+)\)$", re.M)
NAMES = {
    "F32": "float", "F64": "double", "F16": "float16", "BF16": "bfloat16",
    "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64",
    "BOOL": "bool", "STRING": "string", "C64": "complex64",
    "C128": "complex128", "F8E4M3FN": "float8e4m3fn",
    "F8E4M3FNUZ": "float8e4m3fnuz", "F8E5M2": "float8e5m2",
    "F8E5M2FNUZ": "float8e5m2fnuz", "F8E8M0": "float8e8m0",
    "F4E2M1": "float4e2m1", "I4": "int4", "U4": "uint4", "I2": "int2",
    "U2": "uint2",
}
GROUPS = {
    "REAL": "F16 F32 F64", "SIGNED": "I8 I16 I32 I64",
    "UNSIGNED": "U8 U16 U32 U64", "WIDE": "I32 I64 U32 U64",
    "F8": "F8E4M3FN F8E4M3FNUZ F8E5M2 F8E5M2FNUZ", "INT4": "I4 U4",
    "INT2": "I2 U2",
}
GROUPS["INTS"] = GROUPS["SIGNED"] + " " + GROUPS["UNSIGNED"]
GROUPS["NUMBERS"] = GROUPS["REAL"] + " " + GROUPS["INTS"]
GROUPS["PLAIN"] = GROUPS["NUMBERS"] + " BOOL STRING C64 C128"


def types_of(text):
    out = set()
    for word in text.split("|"):
        word = word.strip()
        if word == "0":
            continue
        single = re.fullmatch(r"T\((\w+)\)", word)
        ids = [single[1]] if single else GROUPS[word].split()
        out |= {f"tensor({NAMES[i]})" for i in ids}
    return out


def table():
    """Of operator and input: version and types, in order."""
    out = {}
    for op, since, inputs, types in ROW.findall(LIST.read_text()):
        for i in range(32):
            if int(inputs, 16) >> i & 1:
                out.setdefault((op, i), []).append(
                    (int(since), types_of(types)))
    return out


def test_types_are_the_standards():
    rows = table()
    seen = 0
    for schema in defs.get_all_schemas_with_history():
        if schema.domain or schema.deprecated:
            continue
        allowed = {c.type_param_str: c.allowed_type_strs
                   for c in schema.type_constraints}
        for (op, i), versions in rows.items():
            if op == schema.name and i >= len(schema.inputs):
                last = [types for since, types in versions
                        if since <= schema.since_version][-1:]
                assert last in ([], [set()]), \
                    f"{op}-{schema.since_version} has no input {i}"
        for i, value in enumerate(schema.inputs):
            want = {t for t in allowed.get(value.type_str, [value.type_str])
                    if t.startswith("tensor(")}
            if not want:
                continue
            got = [types for since, types in rows[schema.name, i]
                   if since <= schema.since_version]
            assert got and got[-1] == want, \
                f"{schema.name}-{schema.since_version} input {i}"
            seen += 1
    assert seen > 1000


def test_rows_are_sorted():
    keys = [(op, int(since)) for op, since, _, _ in
            ROW.findall(LIST.read_text())]
    assert keys == sorted(keys)
    assert len(keys) == LIST.read_text().count("\nTYPES(")


def test_every_version_is_taken():
    """Of an operator that is there; a deprecated version ends it."""
    ours = {}
    for ml, op, first, last in VERSIONS.findall(OPERATORS.read_text()):
        end = int(last) if last else defs.onnx_opset_version()
        ours.setdefault((ml, op), set()).update(range(int(first), end + 1))
    refused = sorted((s.name, s.since_version)
                     for s in defs.get_all_schemas_with_history()
                     if s.domain in ("", "ai.onnx.ml") and
                     (s.domain[7:], s.name) in ours and not s.deprecated and
                     s.since_version not in ours[s.domain[7:], s.name])
    assert refused == []
    assert len(ours) > 150
