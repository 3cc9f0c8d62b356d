"""Layers of Keras with their settings, against what Keras itself answered:
tests/golden/keras, whose make.py tells how."""
import os
import pathlib
import subprocess

import pytest

np = pytest.importorskip("numpy")

MODELD = os.environ.get("MODELD", "build/modeld")
GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "keras"
MODELS = sorted(p for p in GOLDEN.iterdir() if p.suffix in (".keras", ".h5"))

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
        error = np.abs(got[name] - y).max() / max(1, np.abs(y).max())
        if not error <= TOLERANCE:
            missed[name] = error
    assert not missed
