"""Quantized models: what onnxruntime and modeld make of the same file."""
import json
import os
import re
import subprocess

import pytest

np = pytest.importorskip("numpy")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

MODELD = os.environ.get("MODELD", "build/modeld")
SAMPLES = 24


def modeld(*words, rc=0):
    p = subprocess.run([MODELD, *map(str, words)], text=True, timeout=300,
                       capture_output=True)
    assert p.returncode == rc, f"{words}: {p.returncode}\n{p.stdout}{p.stderr}"
    return p.stdout + p.stderr


def weights(seed, *shape, scale=0.3):
    rng = np.random.default_rng(seed)
    return rng.normal(0, scale, shape).astype(np.float32)


class Net:
    """An ONNX net written down node by node."""

    def __init__(self, *shape):
        self.nodes, self.constants, self.n = [], [], 0
        self.shape = shape
        self.y = "x"

    def const(self, value, name=None):
        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def __call__(self, op, *more, on=None, **attrs):
        ins = [on or self.y]
        ins += [m if isinstance(m, str) else self.const(m) for m in more]
        self.n += 1
        self.y = f"v{self.n}"
        self.nodes.append(helper.make_node(op, ins, [self.y], f"n{self.n}",
                                           **attrs))
        return self.y

    def model(self, opset=21):
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)
        y = helper.make_tensor_value_info(self.y, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "net", [x], [y], self.constants)
        model = helper.make_model(graph, ir_version=10, opset_imports=[
            helper.make_opsetid("", opset)])
        return onnx.shape_inference.infer_shapes(model)


def chain():
    net = Net("batch", 3, 8, 8)
    net("Conv", weights(1, 20, 3, 3, 3), weights(2, 20), pads=[1] * 4)
    net("Relu")
    net("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    net("Flatten")
    net("Gemm", weights(3, 7, 320), weights(4, 7), transB=1)
    return net


def residual():
    net = Net("batch", 4, 6, 6)
    a = net("Conv", weights(1, 8, 4, 1, 1), weights(2, 8))
    net("Relu")
    net("Conv", weights(3, 8, 8, 3, 3), weights(4, 8), pads=[1] * 4)
    net("Add", a)
    net("GlobalAveragePool")
    net("Flatten")
    net("MatMul", weights(5, 8, 5))
    return net


def depthwise():
    net = Net("batch", 6, 7, 5)
    net("Conv", weights(1, 6, 1, 3, 3), weights(2, 6), group=6, strides=[2, 2],
        pads=[0, 0, 1, 1])
    net("Clip", np.float32(0), np.float32(6))
    net("Conv", weights(3, 9, 6, 1, 1))
    return net


def normalized():
    """BatchNormalization goes into the convolution before it."""
    net = Net("batch", 2, 5, 5)
    net("Conv", weights(1, 4, 2, 3, 3))
    net("BatchNormalization", weights(2, 4) + 1, weights(3, 4), weights(4, 4),
        np.abs(weights(5, 4)) + 0.5)
    net("Relu")
    net("Conv", weights(6, 3, 4, 2, 2), weights(7, 3))
    return net


def shared():
    """One weight under two products."""
    net = Net("batch", 6)
    w = net.const(weights(1, 6, 6), "w")
    net("MatMul", w)
    net("Relu")
    net("MatMul", w)
    return net


def fixed_batch():
    net = Net(1, 3, 4, 4)
    net("Conv", weights(1, 4, 3, 2, 2), weights(2, 4))
    net("Relu")
    net("Conv", weights(3, 2, 4, 2, 2), weights(4, 2))
    return net


def dead_channel():
    """A channel of zeros still has a scale."""
    w = weights(1, 4, 5)
    w[2] = 0
    net = Net("batch", 5)
    net("Gemm", w, weights(2, 4), transB=1)
    return net


NETS = [chain, residual, depthwise, normalized, shared, fixed_batch,
        dead_channel]


def data_for(net, seed, n=SAMPLES):
    shape = [d if isinstance(d, int) else n for d in net.shape]
    return weights(seed, n, *shape[1:], scale=1)


def run_ort(model, x):
    # Fusions keep values in more precision: without them QDQ is the formula.
    opts = ort.SessionOptions()
    opts.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    s = ort.InferenceSession(model, opts, providers=["CPUExecutionProvider"])
    if s.get_inputs()[0].shape[0] == 1:
        return np.concatenate([s.run(None, {"x": row[None]})[0] for row in x])
    return s.run(None, {"x": x})[0]


def run_modeld(model, x, folder):
    rows = [x]
    if onnx.load(model).graph.input[0].type.tensor_type.shape.dim[0].dim_value:
        rows = [row[None] for row in x]
    got = []
    for row in rows:
        np.save(folder / "x.npy", row)
        modeld("predict", model, "--input", f"x={folder / 'x.npy'}",
               "--output", folder / "out")
        got.append(np.load(next((folder / "out").glob("*.npy"))))
    return np.concatenate(got)


def quantize(net, folder, *more):
    source, out = folder / "net.onnx", folder / "q.onnx"
    onnx.save(net.model(), source)
    np.savez(folder / "calib.npz", x=data_for(net, 10))
    report = json.loads(modeld("quantize", source, "-o", out, "--data",
                               folder / "calib.npz", "--json", *more))
    onnx.checker.check_model(onnx.load(out), full_check=True)
    return source, out, report


def constants(path):
    """By name, without the number that makes it unique."""
    return {re.sub(r"_\d+$", "", t.name): numpy_helper.to_array(t)
            for t in onnx.load(path).graph.initializer}


@pytest.mark.parametrize("method", ["percentile", "minmax", "mse", "entropy"])
@pytest.mark.parametrize("make", NETS, ids=lambda f: f.__name__)
def test_same_answers_as_onnxruntime(make, method, tmp_path):
    net = make()
    source, out, report = quantize(net, tmp_path, "--method", method)
    x = data_for(net, 11)
    want = run_ort(out, x)
    got = run_modeld(out, x, tmp_path)
    # Sums of codes are exact here and rounded floats there: a value half way
    # between two codes may fall to the other one, and reach few outputs.
    step = np.abs(want).max() / 64
    assert np.abs(got - want).max() <= step
    assert (np.abs(got - want) <= 1e-4 * np.abs(want).max()).mean() >= 0.97
    # And what int8 loses on the data it was calibrated for is small.
    x = data_for(net, 10)
    exact = run_ort(source, x)
    lost = np.linalg.norm(run_modeld(out, x, tmp_path) - exact)
    lost /= np.linalg.norm(exact)
    assert lost < 0.05
    products = sum(n.op_type in ("Conv", "Gemm", "MatMul") for n in net.nodes)
    assert report["operators_int8"] == products
    assert report["operators_float"] == 0
    assert report["samples"] == SAMPLES


def test_weights_are_symmetric_per_channel(tmp_path):
    w = np.float32([[1, -2, 0.5], [0.1, 0.2, -0.05], [0, 0, 0]])
    b = np.float32([1, -1, 0.25])
    net = Net("batch", 3)
    net("Gemm", w, b, transB=1)
    _, out, _ = quantize(net, tmp_path, "--method", "minmax")
    c = constants(out)
    scale = c["c0_scale"]
    # A channel of zeros counts as one whose largest weight is 1.
    assert np.array_equal(scale, np.float32([2, 0.2, 1]) / np.float32(127))
    assert np.array_equal(c["c0_int8"], [[64, -127, 32], [64, 127, -32],
                                         [0, 0, 0]])
    assert not c["c0_zero"].any() and c["c0_zero"].dtype == np.int8
    # The bias is exact at the scale of the sum.
    x = data_for(net, 10)
    lo, hi = min(x.min(), 0), max(x.max(), 0)
    assert c["x_scale"] == np.float32(np.float32(hi - lo) / np.float32(255))
    assert c["x_zero"] == np.rint(-lo / c["x_scale"])
    assert np.array_equal(c["c1_scale"], c["x_scale"] * scale)
    assert np.array_equal(c["c1_int32"],
                          np.rint(b.astype(np.float64) / c["c1_scale"]))


def test_products_that_cannot_are_left(tmp_path):
    net = Net("batch", 4)
    a = net("MatMul", weights(1, 4, 4))
    net("Gemm", weights(2, 4, 4), alpha=0.5)        # scaled product
    net("Gemm", weights(3, 4, 4), weights(4, 1, 4))  # bias that is no row
    net("Add", a)
    source, out, report = quantize(net, tmp_path)
    assert report["operators_int8"] == 1
    assert report["operators_float"] == 2
    x = data_for(net, 11)
    assert np.allclose(run_modeld(out, x, tmp_path), run_ort(out, x),
                       atol=np.abs(run_ort(source, x)).max() / 64)


def test_saturation_and_ties(tmp_path):
    """QuantizeLinear alone: z = round half to even(x / s) + b, saturated."""
    x = np.float32([-1e9, -128.5, -1.5, -0.5, 0.5, 1.5, 2.5, 126.5, 127.5,
                    1e9, 0, -0.0])
    for dtype, zero in ((np.uint8, 3), (np.int8, -5)):
        net = Net(len(x))
        net("QuantizeLinear", np.float32(1), np.asarray(zero, dtype))
        net("DequantizeLinear", np.float32(1), np.asarray(zero, dtype))
        onnx.save(net.model(), tmp_path / "q.onnx")
        np.save(tmp_path / "x.npy", x)
        modeld("predict", tmp_path / "q.onnx", "--input",
               f"x={tmp_path / 'x.npy'}", "--output", tmp_path / "out")
        got = np.load(tmp_path / "out" / "v2.npy")
        info = np.iinfo(dtype)
        want = np.clip(np.rint(x) + zero, info.min, info.max) - zero
        assert np.array_equal(got, want)


def test_layers_are_kept_told_and_corrected(tmp_path):
    net = residual()
    source, out, report = quantize(net, tmp_path, "--sensitivity",
                                   "--bias-correction")
    layers = report["sensitivity"]
    assert [s["name"] for s in layers] == ["v1", "v3", "v7"]
    assert all(20 < s["snr_db"] < 90 for s in layers)
    assert report["corrected"] == 2 and report["operators_int8"] == 3
    # The means of what the last layer gives are the float model's.
    other = chain()
    x = data_for(other, 10)
    lost = []
    for words in ((), ("--bias-correction",)):
        source, out, _ = quantize(other, tmp_path, *words)
        got = run_modeld(out, x, tmp_path)
        lost.append(np.abs((got - run_ort(source, x)).mean(0)).mean())
    assert lost[1] < 0.1 * lost[0]
    # By name of what it gives, of the node, of the weights.
    for name in ("v3", "n3", "c2"):
        _, out, report = quantize(net, tmp_path, "--keep", name, "--keep",
                                  "v7")
        assert report["operators_int8"] == 1
        assert report["operators_float"] == 2
        ops = [n.op_type for n in onnx.load(out).graph.node]
        assert ops.count("Conv") == 2
    said = modeld("quantize", source, "-o", out, "--data",
                  tmp_path / "calib.npz", "--keep", "nobody", rc=1)
    assert "no Conv, Gemm or MatMul is called 'nobody'" in said
    said = modeld("quantize", source, "-o", out, "--mode", "fp16", "--keep",
                  "v3", rc=2)
    assert "--keep is for --mode static" in said


def outliers():
    """Two channels of what LayerNormalization gives are far from the others."""
    scale = np.ones(16, np.float32)
    scale[[2, 11]] = 80, 60
    net = Net("batch", 5, 16)
    net("LayerNormalization", scale, weights(1, 16), axis=-1)
    net("MatMul", weights(2, 16, 12))
    net("Relu")
    net("MatMul", weights(3, 12, 6))
    return net


def test_channels_are_equalized(tmp_path):
    net = outliers()
    x = data_for(net, 10)
    lost = {}
    for words, n in ((), 0), (("--smooth", 0.5), 2), (("--equalize",), 2):
        source, out, report = quantize(net, tmp_path, *words)
        want = run_ort(source, x)
        got = run_ort(out, x)
        assert report["equalized"] == n
        lost[words] = np.linalg.norm(got - want) / np.linalg.norm(want)
    assert lost["--smooth", 0.5] < 0.6 * lost[()]
    said = modeld("quantize", source, "-o", out, "--mode", "fp16", "--smooth",
                  0.5, rc=2)
    assert "--smooth is for --mode static" in said


@pytest.mark.parametrize("words, recipe", [
    ((), f"quantize static method=percentile samples={SAMPLES} equalize=0 "
         "smooth=0 kept=0 bias-correction=0"),
    (("--method", "mse", "--keep", "v1", "--equalize", "--smooth", 0.25,
      "--bias-correction"),
     f"quantize static method=mse samples={SAMPLES} equalize=1 smooth=0.25 "
     "kept=1 bias-correction=1"),
    (("--mode", "dynamic"), "quantize dynamic"),
    (("--mode", "int4w", "--block", 16),
     f"quantize int4w block=16 samples={SAMPLES}"),
    (("--mode", "bf16"), "quantize bf16"),
])
def test_what_it_was_made_of_is_written(tmp_path, words, recipe):
    net = chain()
    metas = []
    for _ in range(2):
        _, out, _ = quantize(net, tmp_path, *words)
        metas.append({p.key: p.value for p in onnx.load(out).metadata_props})
    assert metas[0] == metas[1]
    assert metas[0]["modeld.recipe"] == recipe
    assert re.fullmatch("[0-9a-f]{16}", metas[0]["modeld.parent"])


def perceptron():
    """Gemm both ways, MatMul with a shared weight, K that fills no block."""
    net = Net("batch", 70)
    net("MatMul", weights(1, 70, 48))
    net("Add", weights(2, 48))
    net("Relu")
    w = net.const(weights(3, 48, 48), "w")
    net("MatMul", w)
    net("Tanh")
    net("MatMul", w)
    net("Gemm", weights(4, 40, 48), weights(5, 40), transB=1)
    net("Gemm", weights(6, 40, 8), weights(7, 1, 8))
    return net


def by_mode(net, folder, mode, *more):
    source, out = folder / "net.onnx", folder / "q.onnx"
    onnx.save(net.model(), source)
    report = json.loads(modeld("quantize", source, "-o", out, "--mode", mode,
                               "--json", *more))
    return source, out, report


# A block of 32 normal weights spans about 4.2 deviations: rounding to one of 255
# or 15 steps in it loses 0.5 % or 8 % of a product, five in a row 2.2 times as
# much; 11 and 8 bits of a float 0.03 % and 0.2 %.  Half as much again is let.
@pytest.mark.parametrize("mode, lost", [
    ("int8w", 0.017), ("int4w", 0.27), ("fp16", 0.001), ("bf16", 0.006),
    ("dynamic", 0.03)])
@pytest.mark.parametrize("make", [perceptron, chain, residual],
                         ids=lambda f: f.__name__)
def test_modes_without_data(make, mode, lost, tmp_path):
    net = make()
    source, out, report = by_mode(net, tmp_path, mode)
    assert report["mode"] == mode and report["changed"] > 0
    assert os.path.getsize(out) == report["size_after"]
    if mode != "dynamic" or make is perceptron:
        assert report["size_after"] < report["size_before"]
    x = data_for(net, 11)
    exact = run_ort(source, x)
    got = run_modeld(out, x, tmp_path)
    assert np.linalg.norm(got - exact) < lost * np.linalg.norm(exact)
    want = run_ort(out, x)
    scale = np.abs(want).max()
    if mode == "dynamic":
        # A code on the edge may fall to the other side of it.
        assert np.abs(got - want).max() <= scale / 64
    else:
        assert np.abs(got - want).max() <= 1e-4 * scale
    again = tmp_path / "again.onnx"
    modeld("quantize", source, "-o", again, "--mode", mode)
    assert again.read_bytes() == out.read_bytes()


def test_four_bits_lose_less_with_data(tmp_path):
    net = perceptron()
    rng = np.random.default_rng(3)
    mix = rng.normal(size=(8, 70))  # inputs that hang together
    x = (rng.normal(size=(300, 8)) @ mix).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x[:200])
    lost = []
    for words in ((), ("--data", tmp_path / "data.npz")):
        source, out, report = by_mode(net, tmp_path, "int4w", *words)
        assert report["corrected"] == (4 if words else 0)
        exact = run_ort(source, x[200:])
        got = run_modeld(out, x[200:], tmp_path)
        # The same codes in two engines that sum in their own order.
        assert np.allclose(got, run_ort(out, x[200:]),
                           atol=1e-4 * np.abs(exact).max())
        lost.append(np.linalg.norm(got - exact))
    assert lost[1] < 0.8 * lost[0]
    again = tmp_path / "again.onnx"
    modeld("quantize", source, "-o", again, "--mode", "int4w", *words, "-t", 1)
    assert again.read_bytes() == out.read_bytes()


def test_blocks_are_those_of_the_definition(tmp_path):
    """15 steps between the ends of a block, and 0 among them."""
    w = np.zeros((32, 2), np.float32)
    w[:, 0] = np.linspace(-0.5, 1, 32)
    w[:16, 1] = 3
    net = Net("batch", 32)
    net("MatMul", w)
    _, out, report = by_mode(net, tmp_path, "int8w", "--block", 16)
    c = constants(out)
    assert report["changed"] == 1
    assert c["c0_codes"].shape == (2, 2, 16)
    s, z = c["c0_scales"].reshape(2, 2), c["c0_zeros"].reshape(2, 2)
    for n in range(2):
        for b in range(2):
            block = w[b * 16:b * 16 + 16, n]
            lo, hi = min(block.min(), 0), max(block.max(), 0)
            step = np.float32(hi - lo) / np.float32(255) or np.float32(1)
            assert s[n, b] == pytest.approx(step)
            assert z[n, b] == np.rint(-lo / s[n, b])
            real = (c["c0_codes"][n, b].astype(np.float32) - z[n, b]) * s[n, b]
            assert np.abs(real - block).max() <= 0.51 * s[n, b]
    attrs = {a.name: a.i for a in onnx.load(out).graph.node[0].attribute}
    assert attrs == {"K": 32, "N": 2, "bits": 8, "block_size": 16}


def test_halves_round_to_even_and_keep_what_does_not_fit(tmp_path):
    w = weights(1, 16, 16)
    w[0, :4] = [1 + 2 ** -11, 1 + 3 * 2 ** -11, 65504, 1e-7]
    big = weights(2, 16, 16)
    big[3, 3] = 1e5
    net = Net("batch", 16)
    net("MatMul", w)
    net("MatMul", big)
    source, out, report = by_mode(net, tmp_path, "fp16")
    assert report["changed"] == 1 and report["left"] == 1
    c = constants(out)
    assert np.array_equal(c["c0_float16"], w.astype(np.float16))
    assert np.array_equal(c["c1"], big)
    _, out, report = by_mode(net, tmp_path, "bf16")
    assert report["changed"] == 2 and report["left"] == 0


def test_modes_say_what_is_wrong(tmp_path):
    source, out = tmp_path / "net.onnx", tmp_path / "q.onnx"

    def fails(net, *words, rc=1, opset=21):
        onnx.save(net.model(opset), source)
        text = modeld("quantize", source, "-o", out, *words, rc=rc)
        assert not out.exists()
        return text

    assert "--mode static needs --data" in fails(chain(), rc=2)
    assert "a block of 48 given" in fails(chain(), "--mode", "int4w",
                                          "--block", 48)
    assert "imports opset 12" in fails(chain(), "--mode", "int8w", opset=12)
    relu = Net("batch", 4)
    relu("Relu")
    assert "no constant float32 weights" in fails(relu, "--mode", "fp16")
    assert "no MatMul or Gemm" in fails(relu, "--mode", "dynamic")
    bad = weights(1, 32, 16)
    bad[5, 5] = np.nan
    net = Net("batch", 32)
    net("MatMul", bad)
    for mode in ("int8w", "int4w", "fp16", "bf16", "dynamic"):
        assert "hold nan" in fails(net, "--mode", mode)


def test_old_models_are_refused(tmp_path):
    onnx.save(chain().model(opset=12), tmp_path / "old.onnx")
    np.savez(tmp_path / "calib.npz", x=data_for(chain(), 1))
    said = modeld("quantize", tmp_path / "old.onnx", "-o",
                  tmp_path / "q.onnx", "--data", tmp_path / "calib.npz", rc=1)
    assert "imports opset 12, 13 or later expected" in said
    assert not (tmp_path / "q.onnx").exists()
