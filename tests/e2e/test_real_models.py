"""Models that people use, with the outputs recorded from onnxruntime: those of
../shared/data/real-models.tar.xz, and the ONNX exports of torch-models.tar.xz.

A clone without those archives skips these tests; tests/golden/flow holds small
models of the same constructs.
"""
import json
import os
import pathlib
import re
import subprocess
import tarfile

import pytest

np = pytest.importorskip("numpy")

MODELD = os.environ.get("MODELD", "build/modeld")
DATA = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"
ARCHIVES = {"real": DATA / "real-models.tar.xz",
            "torch": DATA / "torch-models.tar.xz"}


def manifest(which):
    if not ARCHIVES[which].exists():
        return None
    with tarfile.open(ARCHIVES[which]) as tar:
        name = next(n for n in tar.getnames() if n.endswith("manifest.json"))
        return json.load(tar.extractfile(name))


def cases(which):
    listed = manifest(which)
    if listed is None:
        return [pytest.param(None, None, id=f"no-{which}-archive",
                             marks=pytest.mark.skip(
                                 reason=f"{ARCHIVES[which]} is not there"))]
    entries = [e for e in listed.get("entries", listed.get("files"))
               if e["file"].endswith(".onnx")]
    return [pytest.param(e, v, id=f"{pathlib.Path(e['file']).stem}-{v['case']}")
            for e in entries for v in e["vectors"]]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    made = {}

    def get(which):
        if which not in made:
            made[which] = tmp_path_factory.mktemp(which)
            with tarfile.open(ARCHIVES[which]) as tar:
                tar.extractall(made[which], filter="data")
        return made[which]

    return get


def predict(model, inputs, to):
    command = [MODELD, "predict", str(model), "--output", str(to)]
    for name, path in inputs.items():
        command += ["--input", f"{name}={path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return {p.name: np.load(p) for p in to.glob("*.npy")}


def file_of(name):
    return re.sub(r"[^A-Za-z0-9._-]", "_", name) + ".npy"


@pytest.mark.parametrize("entry, case", cases("real"))
def test_recorded_outputs(entry, case, unpacked, tmp_path):
    root = unpacked("real")
    got = predict(root / entry["file"],
                  {k: root / v for k, v in case["inputs"].items()}, tmp_path)
    limits = entry["tolerance"]
    for name, path in case["outputs"].items():
        want, mine = np.load(root / path), got[file_of(name)]
        assert mine.shape == want.shape, name
        scale = max(1.0, np.abs(want).max(initial=0))
        allowed = limits["atol"] * scale + limits["rtol"] * np.abs(want)
        assert (np.abs(mine - want) <= allowed).all(), name


def names(model, what):
    """Of a model's inputs or outputs, in order: exports rename them."""
    done = subprocess.run([MODELD, "inspect", str(model), "--json"], check=True,
                          capture_output=True, text=True, timeout=300)
    return [v["name"] for v in json.loads(done.stdout)[what]]


@pytest.mark.parametrize("entry, case", cases("torch"))
def test_exports_of_torch(entry, case, unpacked, tmp_path):
    root = unpacked("torch")
    model = root / entry["file"]
    given = [root / v for v in case["inputs"].values()]
    got = predict(model, dict(zip(names(model, "inputs"), given)), tmp_path)
    limits = entry["tolerance"]
    outputs = names(model, "outputs")
    assert len(outputs) == len(case["outputs"])
    for name, path in zip(outputs, case["outputs"].values()):
        want, mine = np.load(root / path), got[file_of(name)]
        assert mine.shape == want.shape, name
        assert np.allclose(mine, want, limits["rel"], limits["abs"]), name
