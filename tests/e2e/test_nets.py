"""Five well-known architectures with random weights: the outputs that
onnxruntime gives for the same file and inputs.

The files are made by ../shared/prototypes/make_onnx_models.py; a clone without
that folder skips these tests.
"""
import os
import pathlib
import subprocess
import sys

import pytest

np = pytest.importorskip("numpy")
ort = pytest.importorskip("onnxruntime")

MODELD = os.environ.get("MODELD", "build/modeld")
ROOT = pathlib.Path(__file__).resolve().parents[2]
MAKER = ROOT.parent / "shared" / "prototypes" / "make_onnx_models.py"
NETS = ["resnet50", "mbv2", "yolov8n320", "bert", "minilm"]
# Sums of up to 4608 terms in float32, 50 layers deep, taken in other orders.
TOLERANCE = 1e-4

pytestmark = pytest.mark.skipif(not MAKER.exists(),
                                reason=f"{MAKER.name} is not there")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("nets")
    subprocess.run([sys.executable, str(MAKER), str(out)], check=True,
                   stdout=subprocess.DEVNULL)
    yield out
    for path in out.glob("*.onnx"):
        path.unlink()


def feeds(session, seed):
    """Numbers for every input: words of a vocabulary, masks, pixels."""
    rng = np.random.default_rng(seed)
    out = {}
    for x in session.get_inputs():
        shape = [d if isinstance(d, int) else 1 for d in x.shape]
        if x.type == "tensor(int64)":
            high = 30000 if "ids" in x.name and "type" not in x.name else 2
            out[x.name] = rng.integers(0, high, shape)
        else:
            assert x.type == "tensor(float)"
            out[x.name] = rng.standard_normal(shape).astype(np.float32)
    return out


def predict(model, given, to, *options):
    np.savez(to / "in.npz", **given)
    subprocess.run([MODELD, "predict", model, "--input", to / "in.npz",
                    "--output", to / "out", *options], check=True, timeout=300,
                   capture_output=True)
    return {p.stem: np.load(p) for p in (to / "out").glob("*.npy")}


@pytest.mark.parametrize("precision", ["fp32", "strict"])
@pytest.mark.parametrize("name", NETS)
def test_outputs_are_onnxruntime_s(folder, tmp_path, name, precision):
    model = folder / f"{name}.onnx"
    session = ort.InferenceSession(str(model),
                                   providers=["CPUExecutionProvider"])
    given = feeds(session, 7)
    names = [y.name for y in session.get_outputs()]
    want = dict(zip(names, session.run(names, given)))
    got = predict(model, given, tmp_path, "--precision", precision)
    assert sorted(got) == sorted(names)
    for y in names:
        assert got[y].shape == want[y].shape
        assert got[y].dtype == want[y].dtype
        worst = np.abs(got[y] - want[y]).max()
        assert worst <= TOLERANCE * np.abs(want[y]).max(), y


def norm(x):
    return np.sqrt((x.astype(np.float64) ** 2).sum())


@pytest.mark.parametrize("precision", ["bf16", "auto"])
@pytest.mark.parametrize("name", NETS)
def test_bf16_is_near_onnxruntime(folder, tmp_path, name, precision):
    """Operands of bf16 are off by 2^-9 of themselves at most, and sums of
    such errors with random signs by less; layers pass them on."""
    model = folder / f"{name}.onnx"
    session = ort.InferenceSession(str(model),
                                   providers=["CPUExecutionProvider"])
    given = feeds(session, 7)
    names = [y.name for y in session.get_outputs()]
    want = dict(zip(names, session.run(names, given)))
    got = predict(model, given, tmp_path, "--precision", precision)
    for y in names:
        assert norm(got[y] - want[y]) <= 2 ** -7 * norm(want[y]), y


def test_another_input_gives_another_output(folder, tmp_path):
    """The comparison above would not see outputs that ignore their inputs."""
    model = folder / "mbv2.onnx"
    session = ort.InferenceSession(str(model),
                                   providers=["CPUExecutionProvider"])
    one, two = (predict(model, feeds(session, seed), tmp_path)
                for seed in (1, 2))
    for y in one:
        assert np.abs(one[y] - two[y]).max() > 1e-3 * np.abs(one[y]).max()
