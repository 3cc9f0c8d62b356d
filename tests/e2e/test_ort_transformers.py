"""A transformer as an exporter writes it, and what onnxruntime's optimizers
and quantizers make of it, beside onnxruntime itself."""
import pytest

np = pytest.importorskip("numpy")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnxruntime import quantization as quant  # noqa: E402
from test_quantize import modeld, weights  # noqa: E402

LEVEL = ort.GraphOptimizationLevel
WORDS, LENGTH, WIDTH, HEADS = 50, 12, 32, 4


class Encoder:
    """Two layers in the words of PyTorch's exporter, for opset 12: no
    LayerNormalization, no Gelu."""

    def __init__(self):
        self.nodes, self.constants, self.n = [], [], 0

    def const(self, value):
        self.n += 1
        self.constants.append(numpy_helper.from_array(
            np.asarray(value), f"c{self.n}"))
        return f"c{self.n}"

    def op(self, name, *inputs, **attrs):
        self.n += 1
        self.nodes.append(helper.make_node(name, inputs, [f"v{self.n}"],
                                           f"n{self.n}", **attrs))
        return f"v{self.n}"

    def scalar(self, v):
        return self.const(np.float32(v))

    def linear(self, x, seed, n, m):
        w = self.const(weights(seed, n, m))
        return self.op("Add", self.op("MatMul", x, w),
                       self.const(weights(seed + 1, m)))

    def norm(self, x, seed):
        mean = self.op("ReduceMean", x, axes=[-1])
        apart = self.op("Sub", x, mean)
        square = self.op("Pow", apart, self.scalar(2))
        var = self.op("ReduceMean", square, axes=[-1])
        std = self.op("Sqrt", self.op("Add", var, self.scalar(1e-12)))
        y = self.op("Mul", self.op("Div", apart, std),
                    self.const(1 + weights(seed, WIDTH)))
        return self.op("Add", y, self.const(weights(seed + 1, WIDTH)))

    def gelu(self, x):
        e = self.op("Erf", self.op("Div", x, self.scalar(2 ** 0.5)))
        y = self.op("Mul", x, self.op("Add", e, self.scalar(1)))
        return self.op("Mul", y, self.scalar(0.5))

    def heads(self, x, perm):
        to = self.const(np.array([0, 0, HEADS, WIDTH // HEADS], np.int64))
        return self.op("Transpose", self.op("Reshape", x, to), perm=perm)

    def attend(self, x, mask, seed):
        q, k, v = (self.linear(x, seed + 2 * i, WIDTH, WIDTH)
                   for i in range(3))
        q = self.heads(q, [0, 2, 1, 3])
        k = self.heads(k, [0, 2, 3, 1])
        v = self.heads(v, [0, 2, 1, 3])
        s = self.op("Div", self.op("MatMul", q, k),
                    self.scalar((WIDTH // HEADS) ** 0.5))
        p = self.op("Softmax", self.op("Add", s, mask), axis=3)
        y = self.op("Transpose", self.op("MatMul", p, v), perm=[0, 2, 1, 3])
        y = self.op("Reshape", y, self.const(np.array([0, 0, WIDTH],
                                                      np.int64)))
        return self.linear(y, seed + 6, WIDTH, WIDTH)

    def layer(self, x, mask, seed):
        x = self.norm(self.op("Add", self.attend(x, mask, seed), x), seed + 10)
        y = self.gelu(self.linear(x, seed + 12, WIDTH, 2 * WIDTH))
        y = self.linear(y, seed + 14, 2 * WIDTH, WIDTH)
        return self.norm(self.op("Add", y, x), seed + 16)

    def mask(self):
        m = self.op("Unsqueeze", "mask", axes=[1])
        m = self.op("Cast", self.op("Unsqueeze", m, axes=[2]), to=1)
        return self.op("Mul", self.op("Sub", self.scalar(1), m),
                       self.scalar(-10000))

    def model(self):
        words = self.op("Gather", self.const(weights(1, WORDS, WIDTH)), "ids")
        kinds = self.op("Gather", self.const(weights(2, 2, WIDTH)), "kinds")
        places = self.const(weights(3, 1, LENGTH, WIDTH))
        x = self.op("Add", self.op("Add", words, kinds), places)
        x, mask = self.norm(x, 4), self.mask()
        for seed in (100, 200):
            x = self.layer(x, mask, seed)
        graph = helper.make_graph(
            self.nodes, "encoder",
            [helper.make_tensor_value_info(n, TensorProto.INT64,
                                           ["batch", LENGTH])
             for n in ("ids", "kinds", "mask")],
            [helper.make_tensor_value_info(x, TensorProto.FLOAT,
                                           ["batch", LENGTH, WIDTH])],
            self.constants)
        return helper.make_model(graph, ir_version=7, opset_imports=[
            helper.make_opsetid("", 12)])


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder") / "net.onnx"
    onnx.save(Encoder().model(), path)
    return path


def feeds():
    rng = np.random.default_rng(3)
    mask = np.ones((2, LENGTH), np.int64)
    mask[1, 7:] = 0
    return {"ids": rng.integers(0, WORDS, (2, LENGTH)),
            "kinds": rng.integers(0, 2, (2, LENGTH)), "mask": mask}


def run_ort(path, given, level=LEVEL.ORT_DISABLE_ALL, save_to=None):
    opts = ort.SessionOptions()
    opts.graph_optimization_level = level
    if save_to:
        opts.optimized_model_filepath = str(save_to)
    session = ort.InferenceSession(path, opts,
                                   providers=["CPUExecutionProvider"])
    wants = {i.name: {"tensor(int32)": np.int32}.get(i.type, np.int64)
             for i in session.get_inputs()}
    return session.run(None, {n: v.astype(wants[n])
                              for n, v in given.items() if n in wants})[0]


def run_modeld(path, given, folder):
    wants = {i.name: helper.tensor_dtype_to_np_dtype(
        i.type.tensor_type.elem_type) for i in onnx.load(path).graph.input}
    args = []
    for name, v in given.items():
        if name in wants:
            np.save(folder / f"{name}.npy", v.astype(wants[name]))
            args += ["--input", f"{name}={folder / name}.npy"]
    out = folder / f"out-{path.stem}"
    modeld("predict", path, *args, "--output", out)
    return np.load(next(out.glob("*.npy")))


def operators(path):
    return {n.op_type for n in onnx.load(path).graph.node}


def agree(path, folder, most=2e-5):
    want = run_ort(path, feeds())
    got = run_modeld(path, feeds(), folder)
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= most


def test_as_exported(net, tmp_path):
    agree(net, tmp_path)


def test_session_optimizer(net, tmp_path):
    best = tmp_path / "best.onnx"
    want = run_ort(net, feeds(), LEVEL.ORT_ENABLE_EXTENDED, best)
    assert {"Attention", "SkipLayerNormalization",
            "BiasGelu"} <= operators(best)
    assert np.abs(run_modeld(best, feeds(), tmp_path) - want).max() <= 2e-5


@pytest.mark.parametrize("gelu", ["BiasGelu", "FastGelu"])
def test_transformers_optimizer(net, gelu, tmp_path):
    pytest.importorskip("sympy")  # which the optimizer imports late
    optimizer = pytest.importorskip("onnxruntime.transformers.optimizer")
    fusion = pytest.importorskip("onnxruntime.transformers.fusion_options")
    options = fusion.FusionOptions("bert")
    options.enable_gelu_approximation = gelu == "FastGelu"
    made = optimizer.optimize_model(str(net), "bert", HEADS, WIDTH,
                                    optimization_options=options, opt_level=0)
    best = tmp_path / "best.onnx"
    made.save_model_to_file(str(best))
    assert {"Attention", "SkipLayerNormalization", gelu} <= operators(best)
    agree(best, tmp_path, 2e-5)


def test_dynamic_int8(net, tmp_path):
    """As written, and as the session's optimizer leaves it."""
    out, best = tmp_path / "q.onnx", tmp_path / "best.onnx"
    quant.quantize_dynamic(net, out, weight_type=quant.QuantType.QInt8)
    agree(out, tmp_path, 2e-2)
    want = run_ort(out, feeds(), LEVEL.ORT_ENABLE_EXTENDED, best)
    assert "DynamicQuantizeMatMul" in operators(best)
    # A sum of floats in another order may fall to the other code.
    assert np.abs(run_modeld(best, feeds(), tmp_path) - want).max() <= 5e-2


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("block", [16, 32])
def test_four_bits(net, block, symmetric, tmp_path):
    nbits = pytest.importorskip(
        "onnxruntime.quantization.matmul_nbits_quantizer")
    made = nbits.MatMulNBitsQuantizer(onnx.load(net), block_size=block,
                                      is_symmetric=symmetric)
    made.process()
    out = tmp_path / "q4.onnx"
    made.model.save_model_to_file(str(out))
    assert "MatMulNBits" in operators(out)
    agree(out, tmp_path, 2e-4)
