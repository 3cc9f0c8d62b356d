"""Every operator of the standard is there, in every version."""
import pathlib
import re

import pytest

defs = pytest.importorskip("onnx.defs")

OPERATORS = pathlib.Path(__file__).parents[2] / "docs/reference/operators.md"
ROW = re.compile(r"^\| ([\w.]+) \| (\w+) \| (\d+)(?: to (\d+)| and later)? \|",
                 re.M)
DOMAINS = ("", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training")

def ours():
    """Versions by domain and operator."""
    out = {}
    for domain, op, first, last in ROW.findall(OPERATORS.read_text()):
        domain = "" if domain == "ai.onnx" else domain
        end = int(last) if last else 10**6
        out.setdefault((domain, op), []).append((int(first), end))
    return out


def test_each_schema_has_an_operator():
    rows = ours()
    missing = []
    for s in defs.get_all_schemas_with_history():
        if s.deprecated:
            continue
        assert s.domain in DOMAINS, f"{s.domain}: a domain that nobody knows"
        if not any(a <= s.since_version <= b
                   for a, b in rows.get((s.domain, s.name), [])):
            missing.append((s.domain, s.name, s.since_version))
    assert missing == []
