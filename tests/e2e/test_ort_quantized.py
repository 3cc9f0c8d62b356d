"""Files that onnxruntime's quantizer and optimizer write, beside onnxruntime
itself."""
import pytest

np = pytest.importorskip("numpy")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnxruntime import quantization as quant  # noqa: E402
from test_quantize import Net, modeld, weights  # noqa: E402

LEVEL = ort.GraphOptimizationLevel


def perceptron():
    net = Net("batch", 12)
    net("MatMul", weights(1, 12, 20))
    net("Add", weights(2, 20))
    net("Relu")
    net("Gemm", weights(3, 7, 20), weights(4, 7), transB=1)
    return net


def convolutions():
    net = Net("batch", 3, 9, 7)
    a = net("Conv", weights(1, 8, 3, 3, 3), weights(2, 8), pads=[1] * 4)
    b = net("LeakyRelu", on=a, alpha=0.125)
    c = net("Conv", weights(3, 8, 8, 1, 1), weights(4, 8), on=b)
    d = net("Sigmoid", on=c)
    net("Concat", d, on=b, axis=1)
    net("Conv", weights(5, 6, 16, 2, 2), weights(6, 6), strides=[2, 2])
    net("GlobalAveragePool")
    net("Flatten")
    net("MatMul", weights(7, 6, 5))
    net("Softmax", axis=1)
    return net


NETS = [perceptron, convolutions]


class Reader(quant.CalibrationDataReader):
    def __init__(self, x):
        self.rows = iter([{"x": x[i:i + 4]} for i in range(0, len(x), 4)])

    def get_next(self):
        return next(self.rows, None)


def data_for(net, seed):
    return weights(seed, 8, *net.shape[1:], scale=1)


def save(net, folder):
    path = folder / "net.onnx"
    onnx.save(net.model(), path)
    return path


def save_ms(nodes, shape, constants, y, path):
    """A net with operators of which onnx's shape inference knows nothing."""
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(y, TensorProto.FLOAT, None)], constants)
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[
        helper.make_opsetid(domain, version) for domain, version in
        (("", 21), ("com.microsoft", 1), ("com.microsoft.nchwc", 1))]), path)


def run_ort(model, x, level=LEVEL.ORT_DISABLE_ALL, save_to=None):
    opts = ort.SessionOptions()
    opts.graph_optimization_level = level
    if save_to:
        opts.optimized_model_filepath = str(save_to)
    return ort.InferenceSession(model, opts, providers=[
        "CPUExecutionProvider"]).run(None, {"x": x})[0]


def run_modeld(model, x, folder):
    np.save(folder / "x.npy", x)
    modeld("predict", model, "--input", f"x={folder / 'x.npy'}", "--output",
           folder / "out")
    return np.load(next((folder / "out").glob("*.npy")))


def operators(path):
    return {n.op_type for n in onnx.load(path).graph.node}


def agree(got, want):
    """Sums of codes are exact here and some are rounded floats there: a value
    half way between two codes may fall to the other one."""
    assert got.shape == want.shape
    gap = np.abs(got - want)
    assert gap.max() <= np.abs(want).max() / 32
    assert (gap <= 1e-4 * np.abs(want).max()).mean() >= 0.9


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kind", ["QInt8", "QUInt8"])
def test_dynamic(kind, per_channel, tmp_path):
    """As written, and as the optimizer leaves it."""
    net = perceptron()
    out, best = tmp_path / "q.onnx", tmp_path / "best.onnx"
    quant.quantize_dynamic(save(net, tmp_path), out, per_channel=per_channel,
                           weight_type=getattr(quant.QuantType, kind))
    assert "MatMulInteger" in operators(out)
    x = data_for(net, 11)
    want = run_ort(out, x)
    # Integers decide; the floats are scaled in the same order.
    assert np.abs(run_modeld(out, x, tmp_path) - want).max() <= 1e-5
    want = run_ort(out, x, LEVEL.ORT_ENABLE_EXTENDED, best)
    assert operators(best) & {"DynamicQuantizeMatMul", "MatMulIntegerToFloat"}
    assert np.abs(run_modeld(best, x, tmp_path) - want).max() <= 1e-5


def test_dynamic_convolutions(tmp_path):
    net = convolutions()
    out = tmp_path / "q.onnx"
    quant.quantize_dynamic(save(net, tmp_path), out,
                           weight_type=quant.QuantType.QUInt8)
    assert {"ConvInteger", "DynamicQuantizeLinear"} <= operators(out)
    x = data_for(net, 12)
    agree(run_modeld(out, x, tmp_path), run_ort(out, x))


STATIC = {
    "qdq-u8": dict(),
    "qdq-s8-channels": dict(activation_type="QInt8", per_channel=True),
    "qdq-s16": dict(activation_type="QInt16"),
    "qdq-u16-u8": dict(activation_type="QUInt16", weight_type="QUInt8"),
    "qop-u8": dict(quant_format="QOperator"),
    "qop-s8-channels": dict(quant_format="QOperator", per_channel=True,
                            activation_type="QInt8"),
    "qop-u8-u8": dict(quant_format="QOperator", weight_type="QUInt8"),
}


@pytest.mark.parametrize("how", STATIC.values(), ids=STATIC)
@pytest.mark.parametrize("make", NETS, ids=lambda f: f.__name__)
def test_static(make, how, tmp_path):
    net, out = make(), tmp_path / "q.onnx"
    best = tmp_path / "best.onnx"
    how = dict(quant_format="QDQ", activation_type="QUInt8",
               weight_type="QInt8") | how
    quant.quantize_static(
        save(net, tmp_path), out, Reader(data_for(net, 10)),
        quant_format=getattr(quant.QuantFormat, how["quant_format"]),
        activation_type=getattr(quant.QuantType, how["activation_type"]),
        weight_type=getattr(quant.QuantType, how["weight_type"]),
        per_channel=how.get("per_channel", False))
    x = data_for(net, 11)
    want = run_ort(out, x)
    agree(run_modeld(out, x, tmp_path), want)
    # What the optimizer makes of it gives the same here.  Its own kernels for
    # that are less exact: MatMulNBits takes int8 inputs, Softmax is a table.
    run_ort(out, x, LEVEL.ORT_ENABLE_EXTENDED, best)
    agree(run_modeld(best, x, tmp_path), want)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("bits,block", [(2, 16), (4, 32), (4, 128), (8, 64)])
def test_weights_of_few_bits(bits, block, zeros, tmp_path):
    k, n = 200, 24
    blocks = -(-k // block)
    rng = np.random.default_rng(bits)
    net = Net("batch", k)
    inputs = [rng.integers(0, 256, (n, blocks, block * bits // 8), np.uint8),
              np.abs(weights(2, n, blocks, scale=0.1))]
    if zeros:
        inputs += [rng.integers(0, 256, (n, -(-blocks * bits // 8)), np.uint8)]
    net("MatMulNBits", *inputs, domain="com.microsoft", K=k, N=n, bits=bits,
        block_size=block)
    out = tmp_path / "q.onnx"
    save_ms(net.nodes, ["batch", k], net.constants, net.y, out)
    x = data_for(net, 13)
    want = run_ort(out, x)
    # The weights are the same floats; sums of 200 are rounded in another order.
    assert (np.abs(run_modeld(out, x, tmp_path) - want).max()
            <= 1e-5 * np.abs(want).max())


def test_onnxruntimes_own_layout_is_refused(tmp_path):
    node = helper.make_node("Conv", ["x", "w"], ["y"], "first",
                            domain="com.microsoft.nchwc")
    w = numpy_helper.from_array(weights(1, 8, 8, 1, 1), "w")
    save_ms([node], [1, 8, 4, 4], [w], "y", tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", weights(2, 1, 8, 4, 4))
    said = modeld("predict", tmp_path / "m.onnx", "--input",
                  f"x={tmp_path / 'x.npy'}", rc=1)
    assert ("node 'first': operator com.microsoft.nchwc.Conv is of a layout "
            "that onnxruntime chose for one CPU, a model saved with at most "
            "its extended optimizations expected") in said
