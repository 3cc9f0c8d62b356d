"""What commands do when a file or a standard stream does not take what they
write: closed, a full disk, a limit, a reader that has gone."""
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess

import pytest

MODELD = os.environ.get("MODELD", "build/modeld")
FASHION = pathlib.Path(__file__).parents[2] / "examples" / "fashion"
KERAS = FASHION / "seed_cnn.keras"
FULL = pathlib.Path("/dev/full")


def run(*words, **more):
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.run([MODELD, *map(str, words)], text=True, timeout=60,
                          **more)


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    assert run("convert", KERAS, "-o", path).returncode == 0
    return path


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
@pytest.mark.parametrize("words", [
    ["help"], ["predict", "--help"], ["version"], ["config", "--json"],
    ["inspect", KERAS], ["inspect", KERAS, "--json"], ["explain", KERAS],
    ["check", KERAS, FASHION / "seed_cnn.vectors"],
    ["predict", KERAS, "-i", FASHION / "boot.png", "--json"],
])
def test_output_that_cannot_be_written(words):
    with FULL.open("w") as full:
        p = run(*words, stdout=full)
    assert p.returncode == 1
    assert p.stderr == f"modeld {words[0]}: cannot write the output\n"


def test_reader_that_has_gone(net):
    r, w = os.pipe()
    os.close(r)
    p = run("inspect", net, stdout=w)
    os.close(w)
    assert p.returncode == -signal.SIGPIPE and p.stderr == ""
    r, w = os.pipe()
    os.close(r)
    p = run("inspect", net, stdout=w, restore_signals=False)  # ignored
    os.close(w)
    assert p.returncode == 1 and "cannot write the output" in p.stderr


def without_streams(*fds):
    def close():
        for fd in fds:
            os.close(fd)
    return close


def test_closed_streams(net, tmp_path):
    """What is printed ends up in no file that took the stream's place."""
    out = tmp_path / "out.onnx"
    for fds in ((0,), (0, 1), (1, 2), (0, 1, 2)):
        p = run("convert", KERAS, "-o", out, "--labels",
                FASHION / "labels.txt", preexec_fn=without_streams(*fds))
        assert p.returncode == (1 if 1 in fds else 0), fds
        assert ("cannot write the output" in p.stderr) == (fds == (0, 1))
        assert out.read_bytes()[:2] == b"\x08\x0a"
        assert run("inspect", out).returncode == 0
        out.unlink()


def ends_in_order(pid):
    """SIGTERM has a handler: before, it simply kills."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    caught = int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16)
    return caught >> (signal.SIGTERM - 1) & 1


def test_server_without_streams(net):
    p = subprocess.Popen([MODELD, "serve", net, "--listen", "127.0.0.1:0",
                          "--log-level", "debug"],
                         preexec_fn=without_streams(0, 1, 2))
    try:
        fds = pathlib.Path(f"/proc/{p.pid}/fd")
        deadline = 300
        while deadline and not ends_in_order(p.pid):
            deadline -= 1
            subprocess.run(["sleep", "0.02"], check=True)
        assert "socket:" in str([os.readlink(f) for f in fds.iterdir()])
        assert [os.readlink(fds / n) for n in "012"] == ["/dev/null"] * 3
    finally:
        p.terminate()
        assert p.wait(30) == 1  # its address could not be told


def test_file_size_limit(net, tmp_path, tmp_path_factory):
    """The signal that it raises kills nothing; what was there stays."""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
    # Counters of lines that ran are longer than the limit: not ours to test.
    env = {**os.environ, "GCOV_PREFIX": str(tmp_path_factory.mktemp("gcov")),
           "GCOV_ERROR_FILE": os.devnull}
    out = tmp_path / "out.onnx"
    out.write_text("old")
    for words in (["convert", KERAS], ["quantize", net, "--data",
                                       FASHION / "seed_cnn.calib.npz"]):
        p = run(*words, "-o", out, preexec_fn=limit, env=env)
        assert p.returncode == 1
        assert p.stderr == (f"modeld {words[0]}: cannot write '{out}': "
                            "File too large\n")
        assert os.listdir(tmp_path) == ["out.onnx"]
        assert out.read_text() == "old"


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"),
                    reason="only root mounts")
def test_full_disk(net, tmp_path):
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none",
                       tmp_path], capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed")
    try:
        out = tmp_path / "out.onnx"
        out.write_text("old")
        p = run("convert", KERAS, "-o", out)
        assert p.returncode == 1
        assert f"cannot write '{out}': No space left on device" in p.stderr
        assert os.listdir(tmp_path) == ["out.onnx"]
        assert out.read_text() == "old"
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_interrupted(net):
    """SIGINT ends a command that takes long at once, by that signal."""
    p = subprocess.Popen([MODELD, "bench", net, "--seconds", "60"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        p.wait(0.3)
    p.send_signal(signal.SIGINT)
    assert p.communicate(timeout=10) == (b"", b"")
    assert p.returncode == -signal.SIGINT
