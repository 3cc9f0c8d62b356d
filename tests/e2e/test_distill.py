"""modeld distill: students from files and derived ones, with and without
labels; validation decides."""
import json

import pytest

import training
from training import modeld

np = pytest.importorskip("numpy")
onnx = pytest.importorskip("onnx")

DATA, TEST = training.IMAGES_500, training.IMAGES_300


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return training.converted(tmp_path_factory.mktemp("distill"))


def test_derived_students(teacher, tmp_path):
    out = tmp_path / "student.onnx"
    words = ["derive:0.5", "--teacher", teacher, "--data", DATA, "--test",
             TEST, "--epochs", 2, "--batch", 20, "--quiet", "--json"]
    got = json.loads(modeld("distill", *words, "-o", out))
    assert got["size_after"] < 0.35 * got["size_teacher"]
    assert got["held"] + got["samples"] == 500 and 20 < got["held"] < 90
    best = max(got["held_accuracy_with_teacher"], got["held_accuracy_without"])
    kept = ("held_accuracy_with_teacher" if got["kept_with_teacher"]
            else "held_accuracy_without")
    assert got[kept] == best
    assert got["accuracy_after"] > 0.75 > got["accuracy_before"] - 0.1
    onnx.checker.check_model(onnx.load(out), full_check=True)
    meta = {p.key: p.value for p in onnx.load(out).metadata_props}
    assert meta["modeld.recipe"].startswith("prune channels=0.5")
    assert "; train loss=cross-entropy" in meta["modeld.recipe"]
    again = tmp_path / "again.onnx"
    modeld("distill", *words, "-o", again, "-t", 1)
    assert again.read_bytes() == out.read_bytes()


def test_without_labels_the_teacher_alone(teacher, tmp_path):
    data = tmp_path / "x.npz"
    np.savez(data, x=np.load(DATA)["x"])
    out = tmp_path / "student.onnx"
    got = json.loads(modeld(
        "distill", "derive:0.75", "--teacher", teacher, "--data", data,
        "--test", TEST, "-o", out, "--epochs", 2, "--batch", 20, "--quiet",
        "--json"))
    assert got["held"] == 0 and got["kept_with_teacher"]
    assert got["samples"] == 500
    assert got["accuracy_after"] > 0.8


def test_students_from_files(teacher, tmp_path):
    student, out = tmp_path / "student.onnx", tmp_path / "out.onnx"
    modeld("prune", teacher, "-o", student, "--channels", 0.5)
    before = student.read_bytes()
    text = modeld("distill", student, "--teacher", teacher, "--data", DATA,
                  "-o", out, "--epochs", 1, "--from-random", "--alpha", 0.5)
    assert student.read_bytes() == before
    assert "training without the teacher\n" in text
    assert "training with the teacher\n" in text
    assert "samples held back" in text


def test_what_is_wrong_is_said(teacher, tmp_path):
    out = tmp_path / "out.onnx"

    def fails(*words, rc=1):
        text = modeld("distill", *words, "-o", out, "--quiet", rc=rc)
        assert not out.exists()
        return text

    for bad in ("derive:", "derive:1.5", "derive:x", "derive:0"):
        assert "derive:W with W between 0 and 1 expected" in fails(
            bad, "--teacher", teacher, "--data", DATA, rc=2)
    assert "nosuch" in fails("nosuch.onnx", "--teacher", teacher, "--data",
                             DATA)
    assert "cannot open 'nosuch.onnx'" in fails(teacher, "--teacher",
                                            "nosuch.onnx", "--data", DATA)
    few = tmp_path / "few.npz"
    np.savez(few, x=np.zeros((1, 28, 28, 1), np.uint8), y=[1])
    assert "held back to decide by" in fails(teacher, "--teacher", teacher,
                                             "--data", few)
