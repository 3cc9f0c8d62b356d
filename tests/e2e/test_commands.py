"""What commands tell about a model, against the model's own text; where the
values of options come from; names that are no text."""
import itertools
import json
import os
import pathlib
import subprocess

import pytest

np = pytest.importorskip("numpy")
onnx = pytest.importorskip("onnx")
from onnx import numpy_helper  # noqa: E402

MODELD = os.path.abspath(os.environ.get("MODELD", "build/modeld"))
FASHION = pathlib.Path(__file__).parents[2] / "examples" / "fashion"
KERAS = FASHION / "seed_cnn.keras"
CALIB = FASHION / "seed_cnn.calib.npz"
TEST = FASHION / "seed_cnn.test.npz"


def modeld(*words, env=None, cwd=None):
    p = subprocess.run([MODELD, *words], capture_output=True, timeout=60,
                       cwd=cwd, env={**os.environ, **(env or {})})
    assert p.returncode == 0 and p.stderr == b"", p.stderr
    return p.stdout.decode()


def facts(*words, **more):
    return json.loads(modeld(*words, "--json", **more))


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    return path, facts("convert", KERAS, "-o", path)


def parameters(model):
    return [numpy_helper.to_array(i) for i in model.graph.initializer]


def macs(model):
    """Of the convolutions and matrix products of one sample."""
    model = onnx.shape_inference.infer_shapes(model)
    shape = {v.name: [d.dim_value or 1 for d in v.type.tensor_type.shape.dim]
             for v in (*model.graph.value_info, *model.graph.output)}
    weights = {i.name: list(i.dims) for i in model.graph.initializer}
    total = 0
    for n in model.graph.node:
        if n.op_type == "Conv":  # output elements times a filter's
            total += np.prod(shape[n.output[0]]) * np.prod(
                weights[n.input[1]][1:])
        elif n.op_type in ("Gemm", "MatMul"):
            total += np.prod(weights[n.input[1]])
    return total


def test_inspect_agrees_with_onnx(net):
    model = onnx.load(net[0])
    onnx.checker.check_model(model, full_check=True)
    got = facts("inspect", net[0])
    assert got["ir_version"] == model.ir_version
    assert got["opsets"] == {o.domain or "ai.onnx": o.version
                             for o in model.opset_import}
    assert got["producer"] == model.producer_name
    assert [i["name"] for i in got["inputs"]] == ["input_layer"]
    assert got["outputs"] == [{"name": "dense_1", "type": "float32",
                               "shape": [-1, 10]}]
    assert got["nodes"] == len(model.graph.node)
    for op, n in got["operators"].items():
        assert n == sum(x.op_type == op for x in model.graph.node), op
    assert sum(got["operators"].values()) == got["nodes"]
    held = parameters(model)
    assert got["parameters"] == sum(a.size for a in held)
    assert got["parameter_bytes"] == sum(a.nbytes for a in held)
    assert got["macs"] == macs(model) > 0


def test_convert_agrees_with_onnx(net):
    path, got = net
    model = onnx.load(path)
    ops = [n.op_type for n in model.graph.node]
    assert got["model"] == str(path) and got["format"] == "keras"
    assert got["nodes"] == len(ops)
    assert got["transposes"] == ops.count("Transpose")
    assert got["self_check_ran"] is True


def test_quantize_agrees_with_onnx(net, tmp_path):
    """The accuracies are those of `predict` on the same images."""
    int8 = tmp_path / "int8.onnx"
    got = facts("quantize", net[0], "-o", int8, "--data", CALIB, "--test", TEST)
    assert got["size_before"] == net[0].stat().st_size
    assert got["size_after"] == int8.stat().st_size
    assert got["samples"] == len(next(iter(np.load(CALIB).values())))
    model = onnx.load(int8)
    onnx.checker.check_model(model, full_check=True)
    assert {a.dtype for a in parameters(model) if a.ndim == 4} == {
        np.dtype("int8")}
    data = np.load(TEST)
    np.save(tmp_path / "x.npy", data["x"].astype("f4") / 255)
    for path, key in ((net[0], "accuracy_float"), (int8, "accuracy_int8")):
        modeld("predict", path, "-i", tmp_path / "x.npy", "-o", tmp_path)
        y = np.load(tmp_path / "dense_1.npy")
        assert got[key] == pytest.approx(np.mean(y.argmax(1) == data["y"]))


def test_bench_agrees_with_inspect(net):
    got = facts("bench", net[0], "--seconds", "0.1", "--batch", "3",
                "--threads", "2", "--precision", "strict")
    want = facts("inspect", net[0], "--shape", "input_layer=3,32,32,3")
    assert got["macs"] == want["macs"]
    assert got["threads"] == 2 and got["precision"] == "strict"
    # 2 operations for a MAC, in the time of the median run.
    assert got["gflops"] == pytest.approx(
        2e-6 * got["macs"] / got["p50_ms"], rel=1e-5)
    assert got["peak_share"] == pytest.approx(
        got["gflops"] / got["peak_gflops"], rel=1e-5)


def test_explain_names_every_step(net):
    steps = facts("explain", net[0])
    text = modeld("explain", net[0])
    assert len(steps) <= facts("inspect", net[0])["nodes"]
    assert len(text.splitlines()) >= len(steps) + 1


# In the order in which they win.
SOURCES = ["command line", "environment", "file", "default"]


@pytest.mark.parametrize("given", [
    s for n in range(4) for s in itertools.combinations(SOURCES[:3], n)])
def test_source_of_an_option(tmp_path, given):
    """Every set of sources: the first of them counts."""
    (tmp_path / "conf").write_text("# none\nqueue_max = 5\n")
    words = ["--config", "conf"] if "file" in given else []
    words += ["--queue-max", "7"] if "command line" in given else []
    env = {"MODELD_QUEUE_MAX": "6"} if "environment" in given else {}
    winner = next(s for s in SOURCES if s in (*given, "default"))
    got = facts("config", *words, cwd=tmp_path, env=env)["queue_max"]
    assert got["source"] == winner
    assert got["value"] == {"command line": 7, "environment": 6, "file": 5,
                            "default": 256}[winner]
    assert got["default"] == "256"
    if winner == "file":
        assert got["where"] == "conf:2"


def test_options_reach_the_commands(net):
    """A command's own flag goes before the environment, that before the
    default."""
    assert facts("bench", net[0], "--seconds", "0",
                 env={"MODELD_THREADS": "3"})["threads"] == 3
    assert facts("bench", net[0], "--seconds", "0", "--threads", "1",
                 env={"MODELD_THREADS": "3"})["threads"] == 1
    assert facts("bench", net[0], "--seconds", "0",
                 env={"MODELD_PRECISION": "strict"})["precision"] == "strict"


def test_names_that_are_no_text(net, tmp_path):
    """Any bytes name a file; in JSON what is no UTF-8 becomes U+FFFD."""
    name = os.fsencode(tmp_path) + b"/b\xff\xfe\nd.onnx"
    got = facts("convert", os.fsencode(KERAS), "-o", name)
    assert got["model"].endswith("/b\ufffd\ufffd\nd.onnx")
    with open(name, "rb") as f:
        assert f.read() == net[0].read_bytes()
    assert facts("inspect", name) == facts("inspect", net[0])
    p = subprocess.run([MODELD, "inspect", name + b"\x1b[2J"],
                       capture_output=True, timeout=60)
    assert p.returncode == 1
    assert p.stderr.count(b"\n") == 1 and b"\x1b" not in p.stderr


HOSTILE = "a\x1b[31m\rb\x9b2J\nfake line"


def test_names_of_a_model_do_not_command_the_terminal(tmp_path):
    helper = onnx.helper
    x, y = "x" + HOSTILE, "y" + HOSTILE
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Relu", [x], [y], name=HOSTILE)], "g",
        [helper.make_tensor_value_info(x, kind, [2])],
        [helper.make_tensor_value_info(y, kind, [2])])
    model = helper.make_model(
        graph, producer_name=HOSTILE, producer_version=HOSTILE,
        ir_version=9, opset_imports=[helper.make_opsetid("", 20),
                                     helper.make_opsetid(HOSTILE, 1)])
    path, stored = tmp_path / "net.onnx", tmp_path / "v" / "test_data_set_0"
    onnx.save(model, path)
    stored.mkdir(parents=True)
    for kind, values in ("input", [-1, 2]), ("output", [0, 2]):
        tensor = numpy_helper.from_array(np.array(values, np.float32))
        (stored / f"{kind}_0.pb").write_bytes(tensor.SerializeToString())
    (tmp_path / "x.json").write_text("[-1, 2]")
    for words in (["inspect"], ["explain"], ["check", tmp_path / "v"],
                  ["predict", "--input", tmp_path / "x.json"]):
        done = subprocess.run([MODELD, words[0], path, *words[1:]],
                              capture_output=True)
        assert done.returncode == 0, done.stderr
        said = done.stdout.decode("utf-8")
        assert "\nfake" not in said and "fake" in said
        assert not [c for c in said
                    if c != "\n" and (c < " " or "\x7f" <= c < "\xa0")]
