"""Model-local functions: models written as text and read by onnx.  What they
compute stands beside them: of the peers, onnxruntime 1.32 forgets that
functions have operator sets of their own, and onnx's evaluator does not pass
attributes on."""
import os
import subprocess

import pytest

np = pytest.importorskip("numpy")
onnx = pytest.importorskip("onnx")
from onnx import helper, parser  # noqa: E402

MODELD = os.environ.get("MODELD", "build/modeld")

HEAD = '<ir_version: 10, opset_import: ["" : 21, "my" : 1]>\n'



def softmax(x, axis=None):
    e = np.exp(x - x.max())
    return e / e.sum(axis=axis, keepdims=True)


def leak(x, slope):
    return np.where(x < 0, slope * x, x)


W = np.float32([[1, 2, 3, 4], [5, 6, 7, 8], [9, -1, -2, -3]])

# name: graph and functions, and what they make of x, a float[2,3].
MODELS = {
    "one call": ("""
        g (float[2,3] x) => (float[2,3] y) { y = my.twice(x) }
        <domain: "my", opset_import: ["" : 21]>
        twice (a) => (b) { b = Add(a, a) }""",
     lambda x: [2 * x]),
    "a call in a call, twice": ("""
        g (float[2,3] x) => (float[2,3] y) {
            u = my.quad(x)
            y = my.quad(u)
        }
        <domain: "my", opset_import: ["" : 21, "my" : 1]>
        quad (a) => (b) { t = my.twice(a)  b = my.twice(t) }
        <domain: "my", opset_import: ["" : 21]>
        twice (a) => (b) { b = Add(a, a) }""",
     lambda x: [16 * x]),
    "inner names that are the caller's too": ("""
        g (float[2,3] x) => (float[2,3] y) {
            t = Neg(x)
            b = my.f(t)
            y = Add(b, t)
        }
        <domain: "my", opset_import: ["" : 21]>
        f (x) => (y) { t = Exp(x)  b = Mul(t, x)  y = Sub(b, t) }""",
     lambda x: [-x * np.exp(-x) - np.exp(-x) - x]),
    "attributes given, by default, and left out": ("""
        g (float[2,3] x) => (float[2,3] y) {
            a = my.leak <alpha = 0.5> (x)
            b = my.leak (a)
            y = my.norm (b)
        }
        <domain: "my", opset_import: ["" : 21]>
        leak <alpha: float = 0.25> (x) => (y) {
            y = LeakyRelu <alpha: float = @alpha> (x)
        }
        <domain: "my", opset_import: ["" : 21]>
        norm <axis> (x) => (y) { y = Softmax <axis: int = @axis> (x) }""",
     lambda x: [softmax(leak(x, 0.125), -1)]),
    "an attribute passed on to another function": ("""
        g (float[2,3] x) => (float[2,3] y) { y = my.outer <slope = 0.75> (x) }
        <domain: "my", opset_import: ["" : 21, "my" : 1]>
        outer <slope> (x) => (y) {
            t = my.inner <alpha: float = @slope> (x)
            y = Neg(t)
        }
        <domain: "my", opset_import: ["" : 21]>
        inner <alpha> (x) => (y) { y = LeakyRelu <alpha: float = @alpha> (x) }""",
     lambda x: [-leak(x, 0.75)]),
    "several results, one of them not wanted": ("""
        g (float[2,3] x) => (float[2,3] y, float[2,3] z) {
            y, _, z = my.three(x)
        }
        <domain: "my", opset_import: ["" : 21]>
        three (x) => (a, b, c) { a = Exp(x)  b = Log(x)  c = Neg(a) }""",
     lambda x: [np.exp(x), -np.exp(x)]),
    "results that are arguments, and the same twice": ("""
        g (float[2,3] x) => (float[2,3] y, float[2,3] z, float[2,3] w) {
            y, z, w = my.pass(x)
        }
        <domain: "my", opset_import: ["" : 21]>
        pass (x) => (x, b, b) { b = Neg(x) }""",
     lambda x: [x, -x, -x]),
    "an argument left out": ("""
        g (float[2,3] x) => (float[2,3] y) { y = my.limit(x, "", l) }
        <domain: "my", opset_import: ["" : 21]>
        limit (x, lo, hi) => (y) { y = Clip(x, lo, hi) }""",
     lambda x: [np.minimum(x, 0.5)]),
    "its own opset": ("""
        g (float[2,3] x) => (float[2,3] y) {
            a = my.old(x)
            y = Softmax(a)
        }
        <domain: "my", opset_import: ["" : 11]>
        old (x) => (y) {
            t = Softmax <axis = 0> (x)
            u = Unsqueeze <axes = [0]> (t)
            y = Squeeze <axes = [0]> (u)
        }""",
     lambda x: [softmax(softmax(x), -1)]),
    "as a fused operator would be": ("""
        g (float[2,3] x) => (float[2,4] y) {
            w = Constant <value_floats = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0,
                8.0, 9.0, -1.0, -2.0, -3.0]> ()
            s = Constant <value_ints = [3, 4]> ()
            m = Reshape(w, s)
            y = my.dense(x, m)
        }
        <domain: "my", opset_import: ["" : 21]>
        dense (x, w) => (y) { t = MatMul(x, w)  y = Relu(t) }""",
     lambda x: [np.maximum(x @ W, 0)]),
}


def build(text):
    model = parser.parse_model(HEAD + text)
    if '""' in text and ", l)" in text:  # a name that is a constant
        model.graph.initializer.append(
            helper.make_tensor("l", onnx.TensorProto.FLOAT, [], [0.5]))
    for node in model.graph.node:  # "" is an absent argument
        for i, name in enumerate(node.output):
            if name == "_":
                node.output[i] = ""
    return model


def modeld(*words, rc=0):
    p = subprocess.run([MODELD, *map(str, words)], text=True, timeout=60,
                       capture_output=True)
    assert p.returncode == rc, f"{words}: {p.returncode}\n{p.stdout}{p.stderr}"
    return p.stdout + p.stderr


@pytest.mark.parametrize("name", MODELS)
def test_results(tmp_path, name):
    text, expected = MODELS[name]
    model = build(text)
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    x = np.random.default_rng(3).uniform(-2, 2, (2, 3)).astype(np.float32)
    names = [y.name for y in model.graph.output]
    np.save(tmp_path / "x.npy", x)
    modeld("predict", path, "--input", tmp_path / "x.npy", "--output",
           tmp_path / "out")
    for y, w in zip(names, expected(x), strict=True):
        got = np.load(tmp_path / "out" / f"{y}.npy")
        np.testing.assert_allclose(got, w, rtol=1e-5, atol=1e-6)


OVERLOADS = """
    g (float[2,3] x) => (float[2,3] y) { t = my.f(x)  y = my.f(t) }
    <domain: "my", opset_import: ["" : 21]>
    f (a) => (b) { b = Neg(a) }
    <domain: "my", opset_import: ["" : 21]>
    f (a) => (b) { b = Exp(a) }"""


def test_overloads(tmp_path):
    """y = exp(-x)."""
    model = parser.parse_model(HEAD + OVERLOADS)
    model.functions[1].overload = model.graph.node[1].overload = "exp"
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    x = np.float32([[1, 2, 3], [-1, -2, 0]])
    np.save(tmp_path / "x.npy", x)
    modeld("predict", path, "--input", tmp_path / "x.npy", "--output",
           tmp_path / "out")
    np.testing.assert_allclose(np.load(tmp_path / "out" / "y.npy"),
                               np.exp(-x), rtol=1e-6)
    model.graph.node[0].overload = "no such"
    path.write_bytes(model.SerializeToString())
    assert "with overload 'no such'" in modeld("explain", path, rc=1)


REFUSED = {
    "calls itself": ("""
        g (float[2,3] x) => (float[2,3] y) { y = my.f(x) }
        <domain: "my", opset_import: ["" : 21, "my" : 1]>
        f (x) => (y) { y = my.f(x) }""", "or by itself"),
    "call each other": ("""
        g (float[2,3] x) => (float[2,3] y) { y = my.f(x) }
        <domain: "my", opset_import: ["" : 21, "my" : 1]>
        f (x) => (y) { t = my.h(x)  y = my.h(t) }
        <domain: "my", opset_import: ["" : 21, "my" : 1]>
        h (x) => (y) { t = my.f(x)  y = my.f(t) }""", "or by itself"),
    "too many arguments": ("""
        g (float[2,3] x) => (float[2,3] y) { y = my.f(x, x) }
        <domain: "my", opset_import: ["" : 21]>
        f (x) => (y) { y = Neg(x) }""", "2 inputs and 1 outputs given, the "
                    "function has 1 and 1"),
    "a result that is left out": ("""
        g (float[2,3] x) => (float[2,3] y) { z, y = my.f(x) }
        <domain: "my", opset_import: ["" : 21]>
        f (x, a) => (z, a) { z = Neg(x) }""", "argument 'a'"),
    "defined twice": ("""
        g (float[2,3] x) => (float[2,3] y) { y = my.f(x) }
        <domain: "my", opset_import: ["" : 21]>
        f (x) => (y) { y = Neg(x) }
        <domain: "my", opset_import: ["" : 21]>
        f (x) => (y) { y = Exp(x) }""", "'f' of domain 'my' is defined twice"),
    "an attribute of another type": ("""
        g (float[2,3] x) => (float[2,3] y) { y = my.f <a = 3> (x) }
        <domain: "my", opset_import: ["" : 21]>
        f <a> (x) => (y) { y = LeakyRelu <alpha: float = @a> (x) }""",
                                     "attribute 'a'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path, name):
    text, words = REFUSED[name]
    path = tmp_path / "m.onnx"
    path.write_bytes(build(text).SerializeToString())
    said = modeld("explain", path, rc=1)
    assert words in said, said


def test_calls_that_double_are_bounded(tmp_path):
    """Thirty functions that each call the next twice: 2^30 nodes."""
    text = 'g (float[2,3] x) => (float[2,3] y) { y = my.f0(x) }\n'
    for i in range(30):
        body = f"t = my.f{i + 1}(x)  y = my.f{i + 1}(t)"
        text += ('<domain: "my", opset_import: ["" : 21, "my" : 1]>\n'
                 f"f{i} (x) => (y) {{ {body} }}\n")
    text += ('<domain: "my", opset_import: ["" : 21]>\n'
             "f30 (x) => (y) { y = Neg(x) }\n")
    path = tmp_path / "m.onnx"
    path.write_bytes(build(text).SerializeToString())
    assert "make more than" in modeld("explain", path, rc=1)


def test_graphs_of_flex_attention(tmp_path):
    """They may read what the model has outside of them."""
    model = parser.parse_model("""
        <ir_version: 10, opset_import: ["" : 21, "ai.onnx.preview" : 1]>
        g (float[1,1,2,3] x) => (float[1,1,2,3] y) {
            k = ReduceMax <keepdims = 0> (x)
            y = ai.onnx.preview.FlexAttention <
                score_mod : graph = m (float[b,h,l,s] u) => (float[b,h,l,s] w)
                    { w = Mul(u, k) },
                prob_mod : graph = n (float[b,h,l,s] u) => (float[b,h,l,s] v)
                    { w = Add(u, k)  v = Neg(w) }
            > (x, x, x)
        }""")
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    x = np.random.default_rng(3).uniform(-2, 2, (1, 1, 2, 3))
    x = x.astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    modeld("predict", path, "--input", tmp_path / "x.npy", "--output",
           tmp_path / "out")
    p = softmax(x[0, 0] @ x[0, 0].T / np.sqrt(3) * x.max(), -1)
    # Both in float32: what scores of up to 14 are rounded by, exp makes 14 times
    # as much of the result, 1e-6, of which the last sums may cancel nine tenths.
    np.testing.assert_allclose(np.load(tmp_path / "out" / "y.npy")[0, 0],
                               -(p + x.max()) @ x[0, 0], rtol=1e-4)
