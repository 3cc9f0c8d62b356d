"""Weights that Constant nodes give are weights: what trains, quantizes and
prunes makes of them what it makes of initializers."""
import json

import pytest

import training
from training import modeld

np = pytest.importorskip("numpy")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

DATA, TEST = training.IMAGES_500, training.IMAGES_300
DATA_TEST = ("--data", DATA, "--test", TEST)
TRAINED = ("--epochs", 1, "--batch", 50, "--quiet")


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    """The net, and the same with a Constant for each initializer."""
    folder = tmp_path_factory.mktemp("constants")
    plain, nodes = training.converted(folder), folder / "nodes.onnx"
    m = onnx.load(plain)
    given = [onnx.helper.make_node("Constant", [], [t.name], value=t)
             for t in m.graph.initializer]
    given += m.graph.node
    del m.graph.initializer[:], m.graph.node[:]
    m.graph.node.extend(given)
    onnx.save(m, nodes)
    return plain, nodes


def answers(path):
    x = np.load(TEST)["x"].astype(np.float32) / 255
    s = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return s.run(None, {s.get_inputs()[0].name: x})[0]


@pytest.mark.parametrize("words", [
    ("train", *DATA_TEST, *TRAINED),
    ("train", *DATA_TEST, *TRAINED, "--from-random"),
    ("quantize", *DATA_TEST),
    ("quantize", "--test", TEST, "--mode", "dynamic"),
    ("quantize", "--test", TEST, "--mode", "int8w"),
    ("quantize", "--test", TEST, "--mode", "fp16"),
    ("prune", *DATA_TEST, "--channels", 0.25),
    ("prune", *DATA_TEST, "--sparsity", 0.5),
], ids=lambda w: "-".join(str(x).strip("-") for x in w if "/" not in str(x)))
def test_equal_to_initializers(nets, tmp_path, words):
    out = [tmp_path / "plain.onnx", tmp_path / "nodes.onnx"]
    told = [json.loads(modeld(words[0], net, *words[1:], "-o", dst, "--json"))
            for net, dst in zip(nets, out)]
    for key, value in told[0].items():
        if key.startswith(("accuracy", "parameters", "operators", "changed",
                           "zeros", "macs")):
            assert told[1][key] == value, key
    np.testing.assert_array_equal(answers(out[1]), answers(out[0]))


def test_distilled(nets, tmp_path):
    out = tmp_path / "student.onnx"
    got = json.loads(modeld(
        "distill", nets[1], "--teacher", nets[0], *DATA_TEST, *TRAINED,
        "--from-random", "-o", out, "--json"))
    right = (answers(out).argmax(1) == np.load(TEST)["y"]).mean()
    assert right == pytest.approx(got["accuracy_after"], abs=0.01)
    assert right != pytest.approx(got["accuracy_before"], abs=0.02)
