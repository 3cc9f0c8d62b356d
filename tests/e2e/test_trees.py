"""Models of XGBoost and LightGBM against what these answered:
tests/golden/trees, whose make.py tells how; damaged ones and those that would
not mean the same are refused in words."""
import json
import os
import pathlib
import subprocess

import pytest

np = pytest.importorskip("numpy")

MODELD = os.environ.get("MODELD", "build/modeld")
GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "trees"
MODELS = sorted(p for p in GOLDEN.iterdir()
                if p.suffix in (".json", ".ubj", ".txt"))

# LightGBM adds in double precision, and both make their functions of doubles
# or floats of their own: measured 3e-7.
TOLERANCE = 2e-6


def run(*words):
    return subprocess.run([MODELD, *map(str, words)], capture_output=True,
                          text=True, errors="replace", timeout=60)


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.name)
def test_answers(path, tmp_path):
    known = dict(np.load(path.with_suffix(".npz")))
    np.save(tmp_path / "x.npy", known.pop("x"))
    done = run("convert", path, "-o", tmp_path / "x.onnx")
    assert done.returncode == 0, done.stderr
    assert "as the file's own graph" in done.stdout
    for model in (path, tmp_path / "x.onnx"):
        done = run("predict", model, "--input", tmp_path / "x.npy", "--output",
                   tmp_path / "out")
        assert done.returncode == 0, done.stderr
        got = {p.stem: np.load(p) for p in (tmp_path / "out").iterdir()}
        assert sorted(got) == sorted(known)
        for name, want in known.items():
            assert got[name].shape == want.shape, name
            assert got[name].dtype == want.dtype, name
            error = np.abs(got[name] - want).max() / max(1, np.abs(want).max())
            assert error <= TOLERANCE, (name, error)


def test_other_engine(tmp_path):
    """What is written is ONNX that others run."""
    ort = pytest.importorskip("onnxruntime")
    for name in ("xgb_classes.json", "lgb_binary.txt"):
        run("convert", GOLDEN / name, "-o", tmp_path / "x.onnx")
        known = dict(np.load((GOLDEN / name).with_suffix(".npz")))
        got = ort.InferenceSession(str(tmp_path / "x.onnx")).run(
            ["label", "probabilities"], {"input": known["x"]})
        assert (got[0] == known["label"]).all()
        # float32 sums of leaves, and exp of them.
        assert np.allclose(got[1], known["probabilities"], atol=1e-6)


@pytest.mark.parametrize("name, what", [
    ("categories.txt", "asks for categories"),
    ("categories.json", "asks for categories"),
    ("linear.txt", "linear leaves"), ("linear.json", "booster 'gblinear'"),
    ("leaves.json", "multi_output_tree")])
def test_refused(name, what, tmp_path):
    done = run("convert", GOLDEN / "refused" / name, "-o", tmp_path / "x.onnx")
    assert done.returncode == 1 and what in done.stderr, done.stderr


def change(path, *keys):
    """The file with one value of its JSON replaced."""
    model = json.loads((GOLDEN / "xgb_binary.json").read_text())
    at = model["learner"]
    for key in keys[:-2]:
        at = at[key]
    at[keys[-2]] = keys[-1]
    path.write_text(json.dumps(model))


TREE = ("gradient_booster", "model", "trees", 0)


@pytest.mark.parametrize("keys, what", [
    ((*TREE, "left_children", 0, 0), "has a child that is none"),
    ((*TREE, "left_children", 0, 99), "has a child that is none"),
    ((*TREE, "split_indices", 0, 5), "looks at a feature"),
    ((*TREE, "split_conditions", []), "as many nodes"),
    ((*TREE, "left_children", {}), "as many nodes"),
    (("gradient_booster", "model", "tree_info", 0, 1), "target 1"),
    (("gradient_booster", "model", "trees", 3), "no trees"),
    (("objective", "name", "mine"), "objective 'mine'"),
    (("learner_model_param", "base_score", "2"), "base_score '2'"),
    (("learner_model_param", "base_score", None), "base_score"),
    (("learner_model_param", "num_feature", "x"), "0 features"),
    (("learner_model_param", "num_class", "99999999"), "99999999 targets")])
def test_damaged(keys, what, tmp_path):
    change(tmp_path / "x.json", *keys)
    done = run("convert", tmp_path / "x.json", "-o", tmp_path / "x.onnx")
    assert done.returncode == 1 and what in done.stderr, done.stderr


def test_zeros_that_are_missing(tmp_path):
    """Where 0 goes another way than what lies around it."""
    text = (GOLDEN / "lgb_zeros.txt").read_bytes()
    turned = text.replace(b"decision_type=6", b"decision_type=4", 1)
    if turned == text:
        turned = text.replace(b"decision_type=4", b"decision_type=6", 1)
    (tmp_path / "x.txt").write_bytes(turned)
    done = run("convert", tmp_path / "x.txt", "-o", tmp_path / "x.onnx")
    assert done.returncode == 1 and "zero_as_missing" in done.stderr


@pytest.mark.parametrize("a, b, what", [
    (b"num_leaves=6", b"num_leaves=7", "fewer"),
    (b"left_child=", b"left_child=0 ", "has a child that is none"),
    (b"split_feature=", b"split_feature=9 ", "looks at a feature"),
    (b"max_feature_idx=4", b"max_feature_idx=-1", "0 features"),
    (b"end of trees", b"", "the file ends"),
    (b"objective=binary", b"objective=other", "objective 'other"),
    (b"sigmoid:1", b"sigmoid:0", "objective 'binary sigmoid:0'"),
    (b"num_tree_per_iteration=1", b"num_tree_per_iteration=0", "0 trees")])
def test_damaged_text(a, b, what, tmp_path):
    text = (GOLDEN / "lgb_binary.txt").read_bytes()
    assert a in text
    (tmp_path / "x.txt").write_bytes(text.replace(a, b, 1))
    done = run("convert", tmp_path / "x.txt", "-o", tmp_path / "x.onnx")
    assert done.returncode == 1 and what in done.stderr, done.stderr
