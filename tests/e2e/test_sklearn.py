"""Classifiers as skl2onnx writes them, served: labels, probabilities, and
tensors in place of ZipMap's maps."""
import json
import pathlib
import subprocess
import urllib.request

import pytest
from serving import MODELD, server

np = pytest.importorskip("numpy")
onnx = pytest.importorskip("onnx")
from onnx import TensorProto as T, helper  # noqa: E402

# By scikit-learn and skl2onnx; make.py there tells how.
REAL = pathlib.Path(__file__).parents[1] / "golden" / "sklearn"
ROWS = [[1.0, 0.0], [0.0, 2.0], [-3.0, -1.0]]
NUMBERS = [7, -1, 0]
TEXTS = ["ant", "bee", "é"]


def scores():
    """What LinearClassifier gives for ROWS."""
    x = np.float32(ROWS)
    z = x @ np.float32([[1, 0, -1], [0, 1, -1]]) + np.float32([0, 0, .5])
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def classifier(path, labels, zip_map=True):
    """The shape of what skl2onnx makes: a classifier, casts, ZipMap."""
    texts = isinstance(labels[0], str)
    key = "classlabels_strings" if texts else "classlabels_int64s"
    kind = T.STRING if texts else T.INT64
    nodes = [
        helper.make_node("LinearClassifier", ["X"], ["label", "table"],
                         domain="ai.onnx.ml",
                         coefficients=[1., 0, 0, 1, -1, -1],
                         intercepts=[0., 0, .5], post_transform="SOFTMAX",
                         **{"classlabels_strings" if texts
                            else "classlabels_ints": labels}),
        helper.make_node("Identity", ["label"], ["output_label"])]
    maps = helper.make_value_info("output_probability", (
        helper.make_sequence_type_proto(helper.make_map_type_proto(
            kind, helper.make_tensor_type_proto(T.FLOAT, None)))))
    if zip_map:
        nodes.append(helper.make_node(
            "ZipMap", ["table"], ["output_probability"], domain="ai.onnx.ml",
            **{key: labels}))
    else:
        nodes.append(helper.make_node("SequenceConstruct", ["table"],
                                      ["output_probability"]))
        maps = helper.make_tensor_sequence_value_info(
            "output_probability", T.FLOAT, None)
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("X", T.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("output_label", kind, [None]), maps])
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 3)]),
        path)
    return path


def fetch(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


@pytest.mark.parametrize("labels", [NUMBERS, TEXTS], ids=["int64", "string"])
def test_predict(tmp_path, labels):
    want = scores()
    best = [labels[i] for i in want.argmax(axis=1)]
    path = classifier(tmp_path / "net.onnx", labels)
    with server(path, "--listen", "127.0.0.1:0") as (url, _):
        reply = fetch(url + "/predict", {"input_data": ROWS})
        assert reply["output"]["output_label"] == best
        # here and below: shares of 1 in float32, some roundings
        assert np.allclose(reply["output"]["output_probability"], want,
                           atol=1e-6)
        assert reply["class"] == best
        assert reply["class_index"] == want.argmax(axis=1).tolist()
        assert np.allclose(reply["probability"], want.max(axis=1), atol=1e-6)
        one = fetch(url + "/predict", {"input_data": ROWS[1]})
        assert one["class"] == best[1]
        assert np.allclose(one["output"]["output_probability"], want[1],
                           atol=1e-6)


def test_v2(tmp_path):
    want = scores()
    path = classifier(tmp_path / "net.onnx", TEXTS)
    with server(path, "--listen", "127.0.0.1:0") as (url, _):
        meta = fetch(url + "/v2/models/net")
        assert meta["outputs"] == [
            {"name": "output_label", "datatype": "BYTES", "shape": [-1]},
            {"name": "output_probability", "datatype": "FP32",
             "shape": [-1, 3]}]
        request = {"inputs": [{"name": "X", "datatype": "FP32",
                               "shape": [3, 2], "data": ROWS}]}
        reply = fetch(url + "/v2/models/net/infer", request)
        outputs = {o["name"]: o for o in reply["outputs"]}
        assert outputs["output_probability"]["shape"] == [3, 3]
        assert np.allclose(outputs["output_probability"]["data"],
                           want.ravel(), atol=1e-6)
        request["outputs"] = [{"name": "output_probability",
                               "parameters": {"classification": 1}}]
        reply = fetch(url + "/v2/models/net/infer", request)
        assert [text.split(":")[1:] for text in reply["outputs"][0]["data"]
                ] == [[str(i), TEXTS[i]] for i in want.argmax(axis=1)]


def test_other_sequences_are_refused(tmp_path):
    path = classifier(tmp_path / "net.onnx", TEXTS, zip_map=False)
    p = subprocess.run([MODELD, "serve", path, "--listen", "127.0.0.1:0"],
                       capture_output=True, text=True, timeout=60)
    assert p.returncode != 0
    assert "output 'output_probability'" in p.stderr
    assert "sequence" in p.stderr


@pytest.mark.parametrize("name", [
    "iris_logistic", "cancer_boosting", "digits_forest", "iris_svm"])
def test_of_scikit_learn(name):
    """Labels and probabilities are those that scikit-learn gives."""
    want = json.loads((REAL / "answers.json").read_text())[name]
    with server(REAL / f"{name}.onnx", "--listen", "127.0.0.1:0") as (url, _):
        reply = fetch(url + "/predict", {"input_data": want["rows"]})
    assert reply["output"]["output_label"] == want["labels"]
    # float32 here, double there
    assert np.allclose(reply["output"]["output_probability"],
                       want["probabilities"], atol=2e-5)
    best = np.argmax(want["probabilities"], axis=1)
    assert reply["class"] == [want["classes"][i] for i in best]
    assert np.allclose(reply["probability"],
                       np.max(want["probabilities"], axis=1), atol=2e-5)
