"""Gradient of ai.onnx.preview.training in models as onnx writes them: by name,
through functions, and where it is refused."""
import os
import subprocess

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import parser  # noqa: E402

MODELD = os.environ.get("MODELD", "build/modeld")
HEAD = ('<ir_version: 10, opset_import: ["" : 21, "my" : 1, '
        '"ai.onnx.preview.training" : 1]>\n')
X = np.float32([[0.5, -1, 2], [3, -0.25, 1]])


def run(tmp_path, text, rc=0):
    onnx.save(parser.parse_model(HEAD + text), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", X)
    p = subprocess.run([MODELD, "predict", str(tmp_path / "m.onnx"), "--input",
                        str(tmp_path / "x.npy"), "--output",
                        str(tmp_path / "out")],
                       text=True, timeout=60, capture_output=True)
    assert p.returncode == rc, p.stderr
    return p.stderr if rc else np.load(tmp_path / "out/y.npy")


def test_of_what_nothing_else_reads(tmp_path):
    y = run(tmp_path, """
        g (float[2,3] x) => (float[2,3] y) {
            e = Exp(x)
            l = ReduceSum(e)
            y = ai.onnx.preview.training.Gradient <xs = ["x"], y = "l"> (x)
        }""")
    # exp of float32 here, numpy's there: a few roundings apart
    np.testing.assert_allclose(y, np.exp(X), rtol=1e-5)


def test_names_of_a_function_are_its_own(tmp_path):
    y = run(tmp_path, """
        g (float[2,3] x) => (float[2,3] y) {
            t = Neg(x)
            l = Exp(t)
            y = my.slope(t)
        }
        <domain: "my", opset_import: ["" : 21, "ai.onnx.preview.training" : 1]>
        slope (x) => (d) {
            l = Mul(x, x)
            d = ai.onnx.preview.training.Gradient <xs = ["x"], y = "l"> (x)
        }""")
    # sums of two products: some roundings of float32
    np.testing.assert_allclose(y, -2 * X, rtol=1e-6)


def test_through_a_function(tmp_path):
    y = run(tmp_path, """
        g (float[2,3] x) => (float[2,3] y) {
            l = my.square(x)
            y = ai.onnx.preview.training.Gradient <xs = ["x"], y = "l"> (x)
        }
        <domain: "my", opset_import: ["" : 21]>
        square (a) => (b) { b = Mul(a, a) }""")
    # as above
    np.testing.assert_allclose(y, 2 * X, rtol=1e-6)


def test_a_branch_is_refused(tmp_path):
    said = run(tmp_path, """
        g (float[2,3] x) => (float[2,3] y) {
            s = ReduceSum <keepdims = 0> (x)
            z = Cast <to = 9> (s)
            y = If (z) <
                then_branch = t () => (float[2,3] a) {
                    l = Exp(x)
                    a = ai.onnx.preview.training.Gradient
                        <xs = ["x"], y = "l"> (x)
                },
                else_branch = e () => (float[2,3] b) { b = Neg(x) }
            >
        }""", rc=1)
    assert "a Gradient in a graph of a node" in said


def test_a_name_that_is_not_there(tmp_path):
    said = run(tmp_path, """
        g (float[2,3] x) => (float[2,3] y) { y = my.slope(x) }
        <domain: "my", opset_import: ["" : 21, "ai.onnx.preview.training" : 1]>
        slope (x) => (d) {
            l = Mul(x, x)
            d = ai.onnx.preview.training.Gradient <xs = ["x"], y = "q"> (x)
        }""", rc=1)
    assert "function 'slope': nothing produces 'q', which a Gradient" in said
