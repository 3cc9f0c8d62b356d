"""TensorFlow Lite files against what its interpreter answered: those in
tests/golden/tflite, whose make.py tells how, those of
../shared/data/tf-models.tar.xz within the tolerances of its manifest, and
basic-pitch's of real-models.tar.xz.

A clone without the archives skips theirs.
"""
import json
import os
import pathlib
import subprocess

import pytest

np = pytest.importorskip("numpy")
import archives  # noqa: E402
from archives import file_of  # noqa: E402

MODELD = os.environ.get("MODELD", "build/modeld")
GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "tflite"
ARCHIVES = {"tf": "tf-models", "real": "real-models"}

# Functions as they are given and not as float32 tables of the interpreter:
# measured 2e-6 of the largest element of an output.
TOLERANCE = 1e-5
# The interpreter rounds a product of integers twice, at 31 bits and at the
# result; its own kernels differ by as much from each other.
STEPS = 2


def predict(model, inputs, to, *more):
    command = [MODELD, "predict", str(model), "--output", str(to), *more]
    for name, path in inputs.items():
        command += ["--input", f"{name}={path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return {p.name: np.load(p) for p in to.glob("*.npy")}


def golden():
    return sorted(p for p in GOLDEN.glob("*.tflite")
                  if p.with_suffix(".npz").exists())


@pytest.mark.parametrize("path", golden(), ids=lambda p: p.stem)
def test_golden(path, tmp_path):
    known = dict(np.load(path.with_suffix(".npz")))
    given = {}
    for name, x in known.items():
        if name.startswith("in:"):
            given[name[3:]] = tmp_path / file_of(name)
            np.save(given[name[3:]], x)
    (tmp_path / "out").mkdir()
    got = predict(path, given, tmp_path / "out")
    missed = {}
    for name, y in known.items():
        if not name.startswith("out:"):
            continue
        mine = got[file_of(name[4:])]
        assert mine.shape == y.shape and mine.dtype == y.dtype, name
        error = np.abs(mine.astype(float) - y.astype(float)).max(initial=0)
        limit = (TOLERANCE * max(1, np.abs(y).max(initial=0))
                 if y.dtype == np.float32 else STEPS if y.dtype == np.int8 else 0)
        if "16x8" in path.stem:
            limit = STEPS / 32768
        if not error <= limit:
            missed[name] = error
    assert not missed


def test_signatures(tmp_path):
    model = GOLDEN / "counter.tflite"
    np.save(tmp_path / "y.npy", np.float32([1, -2]))
    done = subprocess.run([MODELD, "inspect", str(model), "--signature", "double",
                           "--json"], capture_output=True, text=True, check=True)
    io = json.loads(done.stdout)
    got = predict(model, {io["inputs"][0]["name"]: tmp_path / "y.npy"}, tmp_path,
                  "--signature", "double")
    assert (got[file_of(io["outputs"][0]["name"])] == [2, -4]).all()


def test_variables_become_inputs_and_outputs(tmp_path):
    model = GOLDEN / "counter.tflite"
    done = subprocess.run([MODELD, "inspect", str(model), "--signature", "add",
                           "--json"], capture_output=True, text=True, check=True)
    io = json.loads(done.stdout)
    assert len(io["inputs"]) == 2 and len(io["outputs"]) == 2
    np.save(tmp_path / "x.npy", np.float32([1, 2, 3]))
    np.save(tmp_path / "s.npy", np.float32([10, 20, 30]))
    names = [i["name"] for i in io["inputs"]]
    (tmp_path / "out").mkdir()
    got = predict(model, {names[0]: tmp_path / "x.npy",
                          names[1]: tmp_path / "s.npy"}, tmp_path / "out",
                  "--signature", "add")
    assert len(got) == 2
    for y in got.values():
        assert (y == [11, 22, 33]).all()


def entries(which):
    listed = archives.entries(ARCHIVES[which])
    return listed and [e for e in listed if e["file"].endswith(".tflite")]


def cases(which):
    listed = entries(which)
    if listed is None:
        return [pytest.param(None, None, id=f"no-{which}-archive",
                             marks=pytest.mark.skip(
                                 reason=f"no archive {ARCHIVES[which]}"))]
    return [pytest.param(e, v, id=f"{pathlib.Path(e['file']).stem}-{v['case']}")
            for e in listed for v in e["vectors"]]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    made = {}

    def get(which):
        if which not in made:
            made[which] = archives.unpack(ARCHIVES[which],
                                          tmp_path_factory.mktemp(which))
        return made[which]

    return get


@pytest.mark.parametrize("which", ["tf", "real"])
def test_self_checks(which, unpacked, tmp_path):
    """Every file of the archives converts and is found to be itself."""
    if entries(which) is None:
        pytest.skip(f"no archive {ARCHIVES[which]}")
    for e in entries(which):
        done = subprocess.run([MODELD, "convert", unpacked(which) / e["file"],
                               "-o", tmp_path / "x.onnx"], text=True,
                              capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert "self-check: as the file's own graph" in done.stdout, e["file"]


def run_case(which, entry, case, unpacked, tmp_path):
    root = unpacked(which)
    got = predict(root / entry["file"],
                  {k: root / v for k, v in case["inputs"].items()}, tmp_path)
    for name, path in case["outputs"].items():
        assert not archives.differs(entry, name, np.load(root / path),
                                    got[file_of(name)])


@pytest.mark.parametrize("entry, case", cases("tf"))
def test_archive(entry, case, unpacked, tmp_path):
    run_case("tf", entry, case, unpacked, tmp_path)


@pytest.mark.parametrize("entry, case", cases("real"))
def test_real(entry, case, unpacked, tmp_path):
    run_case("real", entry, case, unpacked, tmp_path)
