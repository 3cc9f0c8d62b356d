"""modeld train: learns, repeats itself, survives kill -9, says what is wrong."""
import json
import pathlib
import signal
import subprocess
import time

import pytest

import training
from training import FASHION, MODELD, modeld

np = pytest.importorskip("numpy")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

DATA = training.IMAGES_500


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return training.converted(tmp_path_factory.mktemp("train"))


def test_it_learns_and_other_runtimes_agree(net, tmp_path):
    out = tmp_path / "out.onnx"
    before = net.read_bytes()
    text = modeld("train", net, "--data", DATA, "-o", out, "--epochs", 10,
                  "--from-random", "--lr", 0.003, "--batch", 25)
    assert "70330 parameters trained on 500 samples, 200 steps" in text
    assert "epoch 10/10, step 200/200: loss " in text
    assert net.read_bytes() == before
    onnx.checker.check_model(onnx.load(out), full_check=True)
    data = np.load(DATA)
    session = ort.InferenceSession(out, providers=["CPUExecutionProvider"])
    x = (data["x"] / 255).astype(np.float32)
    scores = session.run(None, {session.get_inputs()[0].name: x})[0]
    accuracy = (scores.argmax(1) == data["y"]).mean()
    assert accuracy > 0.75  # of its own 500 images, by chance 0.1
    got = json.loads(modeld("evaluate", out, "--data", DATA, "--json"))
    assert got["metrics"]["accuracy"]["value"] == pytest.approx(accuracy)


def test_fine_tuning_begins_with_the_weights(net, tmp_path):
    out = tmp_path / "out.onnx"
    got = json.loads(modeld(
        "train", net, "--data", DATA, "-o", out, "--lr", 0.0002, "--quiet",
        "--test", FASHION / "fmnist_bn.calib.npz", "--json",
        "--optimizer", "sgd", "--clip", 1, "--ema", 0.9, "--smoothing", 0.1))
    assert got["last_accuracy"] > 0.85 and got["test_accuracy"] > 0.85
    meta = {p.key: p.value for p in onnx.load(out).metadata_props}
    assert "optimizer=sgd" in meta["modeld.recipe"]
    assert len(meta["modeld.parent"]) == 16


def test_threads_do_not_matter_and_seeds_do(net, tmp_path):
    files = []
    for i, words in enumerate([("-t", 1), ("-t", 3), ("-t", 1, "--seed", 2)]):
        files.append(tmp_path / f"{i}.onnx")
        modeld("train", net, "--data", FASHION / "fmnist_bn.calib.npz", "-o",
               files[-1], "--from-random", "--quiet", *words)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes() != files[2].read_bytes()


def test_kill_and_resume_give_the_same_file(net, tmp_path):
    words = ["train", net, "--data", FASHION / "fmnist_bn.calib.npz",
             "--epochs", 12, "--from-random", "--quiet", "--batch", 20]
    whole, parts = tmp_path / "whole.onnx", tmp_path / "parts.onnx"
    state = tmp_path / "state"
    modeld(*words, "-o", whole)
    words += ["-o", parts, "--checkpoint", state, "--checkpoint-every", 10]
    kills = 0
    for _ in range(3):
        p = subprocess.Popen([MODELD, *map(str, words)],
                             stderr=subprocess.DEVNULL)
        seen = state.stat().st_mtime_ns if state.exists() else 0
        while p.poll() is None:  # until there is a new state
            if state.exists() and state.stat().st_mtime_ns != seen:
                p.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
        kills += p.wait() == -signal.SIGKILL
        assert kills == 0 or not parts.exists()
    assert kills > 0
    assert "resumed at step" in modeld(*words)
    assert parts.read_bytes() == whole.read_bytes()
    assert sorted(f.name for f in tmp_path.iterdir()) == ["parts.onnx",
                                                          "whole.onnx"]


def test_what_is_wrong_is_said(net, tmp_path):
    out = tmp_path / "out.onnx"

    def fails(*words):
        text = modeld("train", *words, "-o", out, "--quiet", rc=1)
        assert not out.exists()
        return text

    assert "training diverged" in fails(
        net, "--data", DATA, "--lr", 1000, "--optimizer", "sgd", "--warmup", 0)
    small = tmp_path / "int8.onnx"
    modeld("quantize", net, "-o", small, "--data",
           FASHION / "fmnist_bn.calib.npz")
    assert "has no float weights to train" in fails(small, "--data", DATA)
    np.savez(tmp_path / "bad.npz", x=np.zeros((3, 28, 28, 1), np.uint8),
             y=[0, 1, 11])
    assert "11 given for sample 2, 0 to 9 expected" in fails(
        net, "--data", tmp_path / "bad.npz")
    np.savez(tmp_path / "bad.npz", x=np.zeros((3, 27, 28, 1), np.uint8),
             y=[0, 1, 2])
    assert "[3,27,28,1] given" in fails(net, "--data", tmp_path / "bad.npz")
    np.savez(tmp_path / "bad.npz", x=np.zeros((0, 28, 28, 1), np.uint8), y=[])
    assert "no samples" in fails(net, "--data", tmp_path / "bad.npz")


def test_a_full_disk_leaves_nothing(net):
    """/dev/shm may be too small or missing: a limit on file sizes instead."""
    import resource
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out.onnx"

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))

        p = subprocess.run(
            [MODELD, "train", net, "--data", FASHION / "fmnist_bn.calib.npz",
             "-o", out, "--quiet"], text=True, capture_output=True,
            preexec_fn=limit, timeout=300)
        assert p.returncode == 1 and "out.onnx" in p.stderr, p.stderr
        assert list(pathlib.Path(folder).iterdir()) == []
