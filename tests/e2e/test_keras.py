"""Layers of Keras with their settings, against what Keras itself answered:
tests/golden/keras, whose make.py tells how, and the models of
../shared/data/tf-models.tar.xz within the tolerances of its manifest.

A clone without the archive skips its models."""
import os
import pathlib
import subprocess

import pytest

np = pytest.importorskip("numpy")
import archives  # noqa: E402

MODELD = os.environ.get("MODELD", "build/modeld")
GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "keras"
MODELS = sorted(p for p in GOLDEN.iterdir() if p.suffix in (".keras", ".h5")
                and p.with_suffix(".npz").exists())

# Sums of at most 400 products in another order, of numbers about 1; measured
# 7e-7 of the largest result.
TOLERANCE = 5e-6


def modeld(*words):
    p = subprocess.run([MODELD, *map(str, words)], text=True, timeout=60,
                       capture_output=True)
    assert p.returncode == 0, f"{words}: {p.returncode}\n{p.stdout}{p.stderr}"


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_answers_of_keras(tmp_path, path):
    expected = dict(np.load(path.with_suffix(".npz")))
    np.save(tmp_path / "x.npy", expected.pop("x"))
    modeld("predict", path, "--input", tmp_path / "x.npy", "--output",
           tmp_path / "out")
    got = {p.stem: np.load(p) for p in (tmp_path / "out").iterdir()}
    assert sorted(got) == sorted(expected)
    missed = {}
    for name, y in expected.items():
        assert got[name].shape == y.shape, name
        assert got[name].dtype.kind == y.dtype.kind, name
        if y.dtype.kind == "U":
            assert (got[name] == y).all(), name
            continue
        error = np.abs(got[name] - y).max() / max(1, np.abs(y).max())
        if not error <= TOLERANCE:
            missed[name] = error
    assert not missed


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_checks_itself(tmp_path, path):
    """The result beside the net as Keras has it: channels last, kernels as
    they are stored, recurrent cells step by step."""
    p = subprocess.run([MODELD, "convert", path, "-o", tmp_path / "x.onnx"],
                       text=True, timeout=60, capture_output=True)
    assert p.returncode == 0, p.stderr
    assert "as the file's own graph" in p.stdout
    assert "argmax the same" in p.stdout


def test_weights_alone(tmp_path):
    """As Keras 2 saves them; the JSON beside the file, or named."""
    expected = dict(np.load(GOLDEN / "alone.npz"))
    np.save(tmp_path / "x.npy", expected.pop("x"))
    away = tmp_path / "away.h5"
    away.write_bytes((GOLDEN / "alone.weights.h5").read_bytes())
    p = subprocess.run([MODELD, "convert", away, "-o", tmp_path / "x.onnx"],
                       text=True, timeout=60, capture_output=True)
    assert p.returncode == 1 and "--architecture FILE" in p.stderr
    p = subprocess.run([MODELD, "convert", away, "-o", tmp_path / "x.onnx",
                        "--architecture", tmp_path / "none.json"],
                       text=True, timeout=60, capture_output=True)
    assert p.returncode == 1 and "none.json" in p.stderr
    modeld("convert", away, "-o", tmp_path / "x.onnx", "--architecture",
           GOLDEN / "alone.json")
    p = subprocess.run([MODELD, "inspect", tmp_path / "x.onnx",
                        "--architecture", GOLDEN / "alone.json"],
                       text=True, timeout=60, capture_output=True)
    assert p.returncode == 1 and "ONNX has no architecture" in p.stderr
    for model, *more in ((tmp_path / "x.onnx",),
                         (GOLDEN / "alone.weights.h5",),
                         (away, "--architecture", GOLDEN / "alone.json")):
        modeld("predict", model, "--input", tmp_path / "x.npy", "--output",
               tmp_path / "out", *more)
        for name, y in expected.items():
            got = np.load(tmp_path / "out" / f"{name}.npy")
            error = np.abs(got - y).max() / max(1, np.abs(y).max())
            assert error <= TOLERANCE, name


def cases():
    return [e for e in archives.entries("tf-models") or []
            if e["format"].startswith("keras-")]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    if not archives.archive("tf-models").exists():
        pytest.skip("no archive tf-models")
    return archives.unpack("tf-models", tmp_path_factory.mktemp("tf-models"))


def test_archive(models, tmp_path):
    listed = cases()
    assert listed
    missed = {}
    for e in listed:
        for case in e["vectors"]:
            given = []
            for key, path in case["inputs"].items():
                given += ["--input", f"{key}={models / path}"]
            modeld("predict", models / e["file"], *given, "--output",
                   tmp_path)
            for key, path in case["outputs"].items():
                got = np.load(tmp_path / archives.file_of(key))
                why = archives.differs(e, key, np.load(models / path), got)
                if why:
                    missed[e["file"]] = why
    assert not missed
