"""TensorFlow's SavedModels, frozen graphs, checkpoints and graph models of
TensorFlow.js against what
TensorFlow answered: those in tests/golden/tensorflow, whose make.py tells how,
those of ../shared/data/tf-models.tar.xz within the tolerances of its manifest,
and basic-pitch's of real-models.tar.xz.

A clone without the archives skips theirs.
"""
import json
import os
import pathlib
import re
import subprocess
import tarfile
import urllib.request

import pytest

import serving

np = pytest.importorskip("numpy")

MODELD = os.environ.get("MODELD", "build/modeld")
GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "tensorflow"
DATA = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"
ARCHIVES = {"tf": DATA / "tf-models.tar.xz", "real": DATA / "real-models.tar.xz"}
# Sums in another order, functions to the last bits: measured 4e-6 of the
# largest element.  TensorFlow's cubic kernel is a table of 1,024 steps.
TOLERANCE, CUBIC = 2e-5, 2e-3
FORMATS = ("savedmodel", "tf-graphdef-frozen")


def file_of(name):
    return re.sub(r"[^A-Za-z0-9._-]", "_", name) + ".npy"


def predict(model, inputs, to, *more):
    command = [MODELD, "predict", str(model), "--output", str(to), *more]
    for name, path in inputs.items():
        command += ["--input", f"{name}={path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return {p.name: np.load(p) for p in to.glob("*.npy")}


def signature(entry):
    name = entry.get("signature")
    return ("--signature", name) if name else ()


def model_of(path):
    """NAME.pb, the folder NAME, NAME.SIGNATURE, a checkpoint's graph."""
    name, _, wanted = path.stem.partition(".")
    for model in (GOLDEN / f"{name}.pb", GOLDEN / name / "model.meta",
                  GOLDEN / name):
        if model.exists():
            return model, ("--signature", wanted) if wanted else ()
    raise FileNotFoundError(name)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.npz")),
                         ids=lambda p: p.stem)
def test_golden(path, tmp_path):
    known = dict(np.load(path))
    model, more = model_of(path)
    limit = CUBIC if path.stem == "cubic" else TOLERANCE
    given = {}
    for name, x in known.items():
        if name.startswith("in:"):
            given[name[3:]] = tmp_path / file_of("in_" + name[3:])
            np.save(given[name[3:]], x)
    (tmp_path / "out").mkdir()
    got = predict(model, given, tmp_path / "out", *more)
    missed = {}
    for name, y in known.items():
        if not name.startswith("out:"):
            continue
        mine = got[file_of(name[4:])]
        assert mine.shape == y.shape, name
        if y.dtype.kind == "S":
            assert (mine.astype(str) == y.astype(str)).all(), name
            continue
        assert mine.dtype == y.dtype, name
        error = np.abs(mine.astype(float) - y.astype(float)).max(initial=0)
        if not error <= limit * max(1, np.abs(y.astype(float)).max(initial=0)):
            missed[name] = error
    assert not missed


@pytest.mark.parametrize("name", ["recurrent.pb", "functions", "browser",
                                  "checkpoint/model.meta"])
def test_every_command_takes_it(name, tmp_path):
    """A folder or a file, as it is."""
    for command in (["inspect"], ["explain"], ["bench", "--seconds", "1"]):
        done = subprocess.run([MODELD, *command, str(GOLDEN / name)], text=True,
                              capture_output=True, timeout=300)
        assert done.returncode == 0, (command, done.stderr)


def test_served(tmp_path):
    """A folder is served like a file."""
    known = dict(np.load(GOLDEN / "functions.npz"))
    x = known["in:image"]
    request = {"inputs": [{"name": "image", "datatype": "FP32",
                           "shape": list(x.shape),
                           "data": x.flatten().tolist()}]}
    with serving.server(f"f={GOLDEN / 'functions'}", "--listen",
                        "127.0.0.1:0") as (url, _):
        call = urllib.request.Request(
            f"{url}/v2/models/f/infer", json.dumps(request).encode(),
            {"Content-Type": "application/json"})
        with urllib.request.urlopen(call, timeout=60) as answer:
            got = json.load(answer)
    # As TOLERANCE in test_tflite.py: functions as they are given, not tables.
    for y in got["outputs"]:
        want = known["out:" + y["name"]]
        assert np.allclose(np.array(y["data"]).reshape(y["shape"]), want,
                           atol=1e-5), y["name"]


def entries():
    if not ARCHIVES["tf"].exists():
        return []
    with tarfile.open(ARCHIVES["tf"]) as tar:
        name = next(n for n in tar.getnames() if n.endswith("manifest.json"))
        listed = json.load(tar.extractfile(name))
    return [e for e in listed["files"] if e["format"] in FORMATS]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    made = {}

    def get(which):
        if not ARCHIVES[which].exists():
            pytest.skip(f"{ARCHIVES[which]} is not there")
        if which not in made:
            made[which] = tmp_path_factory.mktemp(which)
            with tarfile.open(ARCHIVES[which]) as tar:
                tar.extractall(made[which], filter="data")
        return made[which]

    return get


@pytest.mark.parametrize("entry", [None, *entries()], ids=lambda e: "golden"
                         if e is None else pathlib.Path(e["file"]).name + "-" +
                         str(e.get("signature")))
def test_onnx_takes_it(entry, unpacked, tmp_path):
    """ONNX's own checker and shape inference find nothing."""
    onnx = pytest.importorskip("onnx")
    if entry is None:
        models = [model_of(p) for p in sorted(GOLDEN.glob("*.npz"))]
    else:
        models = [(unpacked("tf") / entry["file"], signature(entry))]
    for model, more in models:
        done = subprocess.run([MODELD, "convert", model, "-o",
                               tmp_path / "x.onnx", "--no-self-check", *more],
                              text=True, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr
        onnx.checker.check_model(str(tmp_path / "x.onnx"), full_check=True)


@pytest.mark.parametrize("entry", entries(), ids=lambda e: pathlib.Path(
    e["file"]).name + "-" + str(e.get("signature")))
def test_archive(entry, unpacked, tmp_path):
    """It converts, is found to be itself, and meets its vectors."""
    root = unpacked("tf")
    done = subprocess.run([MODELD, "convert", root / entry["file"], "-o",
                           tmp_path / "x.onnx", *signature(entry)], text=True,
                          capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "self-check: as the file's own graph" in done.stdout
    for case in entry["vectors"]:
        got = predict(root / entry["file"],
                      {k: root / v for k, v in case["inputs"].items()},
                      tmp_path, *signature(entry))
        for name, path in case["outputs"].items():
            want, mine = np.load(root / path), got[file_of(name)]
            assert mine.shape == want.shape, name
            if want.dtype.kind == "S":
                assert (mine.astype(str) == want.astype(str)).all(), name
                continue
            assert mine.dtype == want.dtype, name
            error = np.abs(mine.astype(float) - want.astype(float))
            limit = entry["tolerance"]
            assert (error <= limit["abs"] +
                    limit["rel"] * np.abs(want)).all(), name


def test_archive_is_there():
    if not ARCHIVES["tf"].exists():
        pytest.skip(f"{ARCHIVES['tf']} is not there")
    assert len(entries()) >= 24


@pytest.mark.parametrize("case", ["static", "dynamic"])
def test_basic_pitch(case, unpacked, tmp_path):
    """Equal to its answers, and to what its ONNX twin gives."""
    root = unpacked("real")
    vectors = root / "basic_pitch_savedmodel" / "vectors" / case
    x = vectors / "input.input_2.npy"
    got = predict(root / "basic_pitch_savedmodel" / "nmp", {"input_2": x},
                  tmp_path)
    for name in ("contour", "note", "onset"):
        want = np.load(vectors / f"output.{name}.npy")
        # Sums of some hundred products in another order.
        assert np.abs(got[name + ".npy"] - want).max() < 1e-5, name
