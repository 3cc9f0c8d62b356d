"""modeld evaluate: figures beside those that numpy counts."""
import json
import os
import pathlib
import subprocess

import pytest

np = pytest.importorskip("numpy")

MODELD = os.environ.get("MODELD", "build/modeld")
FASHION = pathlib.Path(__file__).parents[2] / "examples" / "fashion"


def modeld(*words, rc=0):
    p = subprocess.run([MODELD, *map(str, words)], text=True, timeout=300,
                       capture_output=True)
    assert p.returncode == rc, f"{words}: {p.returncode}\n{p.stdout}{p.stderr}"
    return p.stdout + p.stderr


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The example's net, in float and in int8."""
    folder = tmp_path_factory.mktemp("evaluate")
    plain, small = folder / "plain.onnx", folder / "int8.onnx"
    modeld("convert", FASHION / "fmnist_bn.keras", "-o", plain)
    modeld("quantize", plain, "-o", small, "--data",
           FASHION / "fmnist_bn.calib.npz")
    return plain, small


def predictions(model, images, folder):
    np.save(folder / "x.npy", images)
    out = json.loads(modeld("predict", model, "--input", folder / "x.npy",
                            "--json"))
    return np.array(out["outputs"][0]["data"]).reshape(len(images), -1)


def test_figures_are_those_of_numpy(pair, tmp_path):
    data = np.load(FASHION / "fmnist_bn.test.npz")
    scores = predictions(pair[0], (data["x"] / 255).astype(np.float32), tmp_path)
    right = scores.argmax(1) == data["y"]
    got = json.loads(modeld("evaluate", pair[0], "--data",
                            FASHION / "fmnist_bn.test.npz", "--json"))
    assert got["n"] == 500 and got["n_classes"] == 10
    figure = got["metrics"]["accuracy"]
    assert figure["value"] == pytest.approx(right.mean())
    low, high = figure["interval"]
    assert low < figure["value"] < high < low + 0.06
    top5 = np.argsort(-scores, 1, kind="stable")[:, :5] == data["y"][:, None]
    assert got["metrics"]["top_5"]["value"] == pytest.approx(top5.any(1).mean())
    by_class = [right[data["y"] == c].mean() for c in range(10)]
    worst = got["worst_class"]
    assert worst["class"] == int(np.argmin(by_class))
    assert worst["right"] / worst["n"] == pytest.approx(min(by_class))


def test_two_models_are_paired(pair, tmp_path):
    report = tmp_path / "report.json"
    text = modeld("evaluate", pair[1], "--data", FASHION / "fmnist_bn.test.npz",
                  "--against", pair[0], "--report", report, "--seed", 3)
    got = json.loads(report.read_text())
    assert "McNemar" in text and "agreement" in text
    pairs = got["comparison"]
    assert 0.98 < pairs["agreement"] <= 1
    assert 0 <= pairs["kl"] < 0.01
    figure = got["metrics"]["accuracy"]
    assert figure["difference"] == pytest.approx(
        (pairs["only_model_right"] - pairs["only_original_right"]) / 500)
    again = modeld("evaluate", pair[1], "--data", FASHION / "fmnist_bn.test.npz",
                   "--against", pair[0], "--seed", 3, "--threads", 1)
    assert again == text


def test_no_labels_are_needed_for_a_comparison(pair, tmp_path):
    data = np.load(FASHION / "fmnist_bn.test.npz")
    np.save(tmp_path / "images.npy", data["x"][:100])
    got = json.loads(modeld("evaluate", pair[1], "--data",
                            tmp_path / "images.npy", "--against", pair[0],
                            "--json"))
    assert got["task"] == "none" and got["metrics"] == {}
    assert got["comparison"]["agreement"] > 0.95
    text = modeld("evaluate", pair[1], "--data", tmp_path / "images.npy", rc=1)
    assert "no labels 'y' and there is no other model" in text


@pytest.mark.parametrize("y,message", [
    ([0, 1, 10], "labels 'y': 10 given for sample 2, 0 to 9 expected"),
    ([4, 4, 4], "all 3 samples are of class 4, two classes or more expected"),
])
def test_bad_labels_are_named(pair, tmp_path, y, message):
    np.savez(tmp_path / "bad.npz", x=np.zeros((3, 28, 28, 1), np.uint8), y=y)
    text = modeld("evaluate", pair[0], "--data", tmp_path / "bad.npz", rc=1)
    assert message in text


def test_bad_numbers_are_named(pair, tmp_path):
    x = np.zeros((3, 28, 28, 1), np.float32)
    x[1, 2, 3] = np.nan
    np.savez(tmp_path / "bad.npz", x=x, y=[0, 1, 2])
    text = modeld("evaluate", pair[0], "--data", tmp_path / "bad.npz", rc=1)
    assert "sample 1 holds NaN or infinity" in text
