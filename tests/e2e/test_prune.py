"""modeld prune: smaller files that other runtimes read, what is lost, goals."""
import json

import pytest

import training
from training import modeld

np = pytest.importorskip("numpy")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
from onnx import numpy_helper  # noqa: E402

DATA, TEST = training.IMAGES_300, training.IMAGES_500


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return training.converted(tmp_path_factory.mktemp("prune"))


def prune(net, out, *words):
    return json.loads(modeld("prune", net, "-o", out, "--test", TEST,
                             "--json", "--quiet", *words))


def ort_accuracy(path):
    data = np.load(TEST)
    s = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = (data["x"] / 255).astype(np.float32)
    scores = s.run(None, {s.get_inputs()[0].name: x})[0]
    return (scores.argmax(1) == data["y"]).mean()


def test_a_fifth_of_the_channels_without_gradients(net, tmp_path):
    out = tmp_path / "small.onnx"
    before = net.read_bytes()
    got = prune(net, out, "--channels", 0.2, "--data", DATA)
    assert net.read_bytes() == before
    onnx.checker.check_model(onnx.load(out), full_check=True)
    assert got["importance"] == "reconstruction"
    assert [g["after"] for g in got["groups"]] == [13, 26, 26, 51, 51]
    assert got["macs_after"] < 0.66 * got["macs_before"]
    assert got["size_after"] < 0.68 * got["size_before"]
    # 500 images: a standard error of 1.4 points.
    assert got["accuracy_after"] >= got["accuracy_before"] - 0.05
    assert ort_accuracy(out) == pytest.approx(got["accuracy_after"], abs=0.003)
    # By weights alone, and without data at all, much more is lost.
    plain = prune(net, out, "--channels", 0.2)
    assert plain["importance"] == "weights"
    assert plain["accuracy_after"] < got["accuracy_after"] - 0.1


def test_half_the_work_and_training_again(net, tmp_path):
    out = tmp_path / "small.onnx"
    words = ["--macs", 0.5, "--data", DATA, "--epochs", 3, "--batch", 25,
             "--lr", 0.0005]
    got = prune(net, out, *words)
    assert 0.3 * got["macs_before"] < got["macs_after"]
    assert got["macs_after"] <= 0.5 * got["macs_before"]
    assert got["accuracy_after"] > got["accuracy_pruned"] - 0.02
    assert got["accuracy_after"] > got["accuracy_before"] - 0.08
    meta = {p.key: p.value for p in onnx.load(out).metadata_props}
    assert meta["modeld.recipe"].startswith("prune macs=0.5 importance=")
    assert "; train loss=cross-entropy" in meta["modeld.recipe"]
    again = tmp_path / "again.onnx"
    prune(net, again, *words, "--threads", 1)
    assert again.read_bytes() == out.read_bytes()
    taught = prune(net, again, *words, "--teacher", net, "--alpha", 0.3)
    assert taught["accuracy_after"] > got["accuracy_before"] - 0.08
    meta = {p.key: p.value for p in onnx.load(again).metadata_props}
    assert "temperature=2 alpha=0.3" in meta["modeld.recipe"]


def test_latency_is_measured(net, tmp_path):
    out = tmp_path / "small.onnx"
    # Neighbours may be noisy: only that it asks, measures and obeys.
    got = json.loads(modeld("prune", net, "-o", out, "--latency", 0.8,
                            "--threads", 1, "--json"))
    assert 0 < got["ms_after"] <= 0.8 * got["ms_before"]
    assert got["macs_after"] < got["macs_before"]


def test_attention_and_feed_forward_shrink(tmp_path):
    """Two heads of four, half of a feed-forward layer."""
    from onnx import TensorProto, helper

    rng = np.random.default_rng(1)
    inits, nodes = [], []

    def w(name, *shape):
        inits.append(numpy_helper.from_array(
            rng.normal(0, 0.4, shape).astype(np.float32), name))
        return name

    inits.append(numpy_helper.from_array(np.int64([0, 0, 4, 4]), "heads"))
    inits.append(numpy_helper.from_array(np.int64([0, 0, 16]), "flat"))
    for k in "qkv":
        nodes.append(helper.make_node("MatMul", ["x", w("w" + k, 16, 16)],
                                      [k + "0"]))
        nodes.append(helper.make_node("Reshape", [k + "0", "heads"],
                                      [k + "1"]))
        nodes.append(helper.make_node(
            "Transpose", [k + "1"], [k],
            perm=[0, 2, 3, 1] if k == "k" else [0, 2, 1, 3]))
    nodes += [helper.make_node("MatMul", ["q", "k"], ["s"]),
              helper.make_node("Softmax", ["s"], ["p"]),
              helper.make_node("MatMul", ["p", "v"], ["o"]),
              helper.make_node("Transpose", ["o"], ["o1"], perm=[0, 2, 1, 3]),
              helper.make_node("Reshape", ["o1", "flat"], ["o2"]),
              helper.make_node("MatMul", ["o2", w("wo", 16, 16)], ["o3"]),
              helper.make_node("Add", ["o3", "x"], ["r"]),
              helper.make_node("MatMul", ["r", w("w1", 16, 40)], ["f"]),
              helper.make_node("Relu", ["f"], ["g"]),
              helper.make_node("MatMul", ["g", w("w2", 40, 16)], ["y"])]
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT,
                                       ["batch", "words", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT,
                                       ["batch", "words", 16])], inits)
    net, out = tmp_path / "net.onnx", tmp_path / "out.onnx"
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[
        helper.make_opsetid("", 21)]), net)
    got = json.loads(modeld("prune", net, "-o", out, "--channels", 0.5,
                            "--json"))
    assert [(g["before"], g["after"]) for g in got["groups"]] == [(4, 2),
                                                                 (40, 20)]
    onnx.checker.check_model(onnx.load(out), full_check=True)
    x = rng.normal(size=(2, 5, 16)).astype(np.float32)
    y = ort.InferenceSession(out, providers=["CPUExecutionProvider"]).run(
        None, {"x": x})[0]
    np.save(tmp_path / "x.npy", x)
    modeld("predict", out, "--input", f"x={tmp_path / 'x.npy'}", "--output",
           tmp_path / "y")
    mine = np.load(next((tmp_path / "y").glob("*.npy")))
    # Two engines that sum in their own order.
    assert np.allclose(mine, y, atol=1e-4)


def kernels(path):
    return [numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer
            if len(t.dims) > 1]


def sparse_to_dense(path):
    """onnx's own helpers do not read sparse initializers."""
    out = {}
    for t in onnx.load(path).graph.sparse_initializer:
        dense = np.zeros(np.prod(t.dims), np.float32)
        dense[numpy_helper.to_array(t.indices)] = numpy_helper.to_array(
            t.values)
        out[t.values.name] = dense.reshape(t.dims)
    return out


def test_zeros_stay_and_are_stored_as_such(net, tmp_path):
    out = tmp_path / "sparse.onnx"
    words = ["--sparsity", 0.8, "--data", DATA, "--epochs", 6, "--batch", 25]
    got = prune(net, out, *words)
    assert got["zeros"] == int(0.8 * got["weights"])
    assert got["size_after"] < 0.65 * got["size_before"]
    assert got["accuracy_after"] > got["accuracy_pruned"] + 0.1
    dense = sparse_to_dense(out)
    assert len(dense) >= 2  # the large ones
    n = sum((w == 0).sum() for w in [*dense.values(), *kernels(out)])
    assert n == got["zeros"]
    # Both readers make the same of the file.
    assert ort_accuracy(out) == pytest.approx(got["accuracy_after"], abs=0.003)
    again = tmp_path / "again.onnx"
    prune(net, again, *words, "-t", 1)
    assert again.read_bytes() == out.read_bytes()


def test_two_of_four(net, tmp_path):
    out = tmp_path / "sparse.onnx"
    got = prune(net, out, "--nm", "2:4", "--data", DATA, "--epochs", 1)
    assert 0.49 < got["zeros"] / got["weights"] < 0.5
    for w in kernels(out):
        c = w.shape[1] // 4 * 4
        four = np.moveaxis(w, 1, -1)[..., :c].reshape(-1, 4)
        assert ((four != 0).sum(1) <= 2).all()
    assert got["accuracy_after"] > 0.7


def test_what_is_wrong_is_said(net, tmp_path):
    out = tmp_path / "out.onnx"

    def fails(*words, rc=1):
        text = modeld("prune", net, "-o", out, *words, rc=rc)
        assert not out.exists()
        return text

    assert "0 goals given" in fails(rc=2)
    assert "2 goals given" in fails("--macs", 0.5, "--channels", 0.5, rc=2)
    assert "--epochs and --teacher need --data" in fails(
        "--macs", 0.5, "--epochs", 1, rc=2)
    assert "between 0 and 1 expected" in fails("--channels", 0)
    assert "between 0 and 1 expected" in fails("--sparsity", 1)
    for bad in ("4:2", "2", "0:4", "2:4x", "a:b"):
        assert f"'{bad}' given, N:M" in fails("--nm", bad, rc=2)
    assert "is the least that can be left" in fails("--macs", 0.0001)
    assert "needs data" in fails("--macs", 0.5, "--importance", "taylor")
    bad = tmp_path / "bad.npz"
    x = np.zeros((4, 28, 28, 1), np.float32)
    x[2, 3] = np.nan
    np.savez(bad, x=x, y=[0, 1, 2, 3])
    assert "sample 2" in fails("--macs", 0.5, "--data", bad)
    small = tmp_path / "int8.onnx"
    modeld("quantize", net, "-o", small, "--data", DATA)
    text = modeld("prune", small, "-o", out, "--macs", 0.5, rc=1)
    assert "nothing in the model can be cut" in text
