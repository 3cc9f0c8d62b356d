"""Packed weights in a file that processes share: what it costs and saves, who
may have written it, and processes that are killed in between."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from serving import is_sanitized, server

MODELD = os.path.abspath(os.environ.get("MODELD", "build/modeld"))
WIDTH, LAYERS = 1024, 5  # 20 MiB of weights
TICK_S = 0.1             # longer than a file system's clock stands still


def save_net(path, seed):
    rng = np.random.default_rng(seed)
    nodes, constants, x = [], [], "x"
    for i in range(LAYERS):
        w = rng.standard_normal((WIDTH, WIDTH), dtype=np.float32) / WIDTH
        constants.append(numpy_helper.from_array(w, f"w{i}"))
        nodes.append(helper.make_node("MatMul", [x, f"w{i}"], [f"h{i}"]))
        nodes.append(helper.make_node("Relu", [f"h{i}"], [f"y{i}"]))
        x = f"y{i}"
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["n", WIDTH])],
        constants)
    onnx.save(helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    time.sleep(TICK_S)


@pytest.fixture
def net(tmp_path):
    save_net(tmp_path / "net.onnx", 1)
    np.save(tmp_path / "x.npy", np.ones((2, WIDTH), np.float32))
    return tmp_path / "net.onnx"


def start(*words, env=(), **popen):
    env = {k: v for k, v in os.environ.items() if k != "MODELD_WEIGHT_CACHE"
           } | dict(env)
    return subprocess.Popen([MODELD, *map(str, words)], env=env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            **popen)


def modeld(*words, env=(), **popen):
    p = start(*words, env=env, **popen)
    out, err = p.communicate(timeout=120)
    assert p.returncode == 0, err
    return out, err


def predict(net, cache, **more):
    """The output's bytes, and what was logged."""
    out = net.parent / "out"
    _, err = modeld("predict", net, "--input", f"x={net.parent / 'x.npy'}",
                    "--output", out, "--weight-cache", cache, **more)
    return (out / f"y{LAYERS - 1}.npy").read_bytes(), err


def files(cache):
    return sorted(cache.iterdir()) if cache.exists() else []


def is_mapped(net, cache, **more):
    out, _ = modeld("inspect", net, "--json", "--weight-cache", cache, **more)
    return json.loads(out)["packed_mapped"]


def test_written_once_and_mapped(net, tmp_path):
    cache = tmp_path / "deep" / "cache"
    want, err = predict(net, "off")
    assert not err and not files(cache)
    assert predict(net, cache) == (want, "")
    [file] = files(cache)
    assert file.stat().st_mode & 0o7777 == 0o600
    assert cache.stat().st_mode & 0o7777 == 0o700
    assert file.stat().st_size >= LAYERS * WIDTH * WIDTH * 4
    inode = file.stat().st_ino
    assert predict(net, cache) == (want, "")
    assert is_mapped(net, cache)
    assert files(cache) == [file] and file.stat().st_ino == inode
    text, _ = modeld("inspect", net, "--weight-cache", cache)
    assert f"mapped from {file}" in text
    text, _ = modeld("explain", net, "--weight-cache", cache)
    assert f"mapped from {file}" in text.splitlines()[-1]
    text, _ = modeld("bench", net, "--weight-cache", cache, "--seconds", 0)
    assert "packed weights from a file" in text
    file.unlink()
    text, _ = modeld("explain", net, "--weight-cache", cache)
    assert "packed by this process" in text.splitlines()[-1]


def test_where_it_lies(net, tmp_path):
    """The user's caches, unless the option or its variable say otherwise."""
    def written(env, **more):
        before = set(tmp_path.rglob("*.packed"))
        modeld("inspect", net, env=env, **more)
        return [p.parent.relative_to(tmp_path)
                for p in set(tmp_path.rglob("*.packed")) - before]

    home, xdg = tmp_path / "home", tmp_path / "xdg"
    home.mkdir()
    nowhere = {"HOME": "", "XDG_CACHE_HOME": ""}
    assert written(nowhere) == []
    assert written(nowhere | {"XDG_CACHE_HOME": "xdg"}, cwd=tmp_path) == []
    assert written({"HOME": home, "XDG_CACHE_HOME": ""}) == [
        pathlib.Path("home/.cache/modeld")]
    assert written({"HOME": home, "XDG_CACHE_HOME": xdg}) == [
        pathlib.Path("xdg/modeld")]
    assert written({"HOME": home, "XDG_CACHE_HOME": xdg,
                    "MODELD_WEIGHT_CACHE": tmp_path / "own"}) == [
        pathlib.Path("own")]
    assert written({"HOME": tmp_path / "new",
                    "MODELD_WEIGHT_CACHE": "off"}) == []


def test_masks_have_files_of_their_own(net, tmp_path):
    cache = tmp_path / "cache"
    want = {}
    for mask in ("none", "all"):
        want[mask], _ = predict(net, "off", env={"MODELD_CPU": mask})
        assert not is_mapped(net, cache, env={"MODELD_CPU": mask})
    assert len(files(cache)) == 2
    for mask in ("none", "all"):
        assert is_mapped(net, cache, env={"MODELD_CPU": mask})
        assert predict(net, cache, env={"MODELD_CPU": mask})[0] == want[mask]
    assert len(files(cache)) == 2


def test_another_model_in_its_place(net, tmp_path):
    cache = tmp_path / "cache"
    first, _ = predict(net, cache)
    times = net.stat()
    data = bytearray(net.read_bytes())
    save_net(tmp_path / "other.onnx", 2)
    other = (tmp_path / "other.onnx").read_bytes()
    assert len(other) == len(data)
    with open(net, "r+b") as f:  # the same file, and its old times
        f.write(other)
    os.utime(net, ns=(times.st_atime_ns, times.st_mtime_ns))
    time.sleep(TICK_S)
    want, _ = predict(net, "off")
    got, err = predict(net, cache)
    assert got == want != first
    assert "stale" in err and "files have changed" in err
    assert predict(net, cache) == (want, "")
    assert len(files(cache)) == 1


@pytest.mark.parametrize("where", [0, 9, 13, 20, 30, 50, 60, 70, 80, 100,
                                   100000, 0.5, -1])
def test_damage(net, tmp_path, where):
    cache = tmp_path / "cache"
    want, _ = predict(net, cache)
    [file] = files(cache)
    size = file.stat().st_size
    at = int(size * where) if isinstance(where, float) else where % size
    with open(file, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1]))
    got, err = predict(net, cache)
    assert got == want and "packing again" in err
    assert predict(net, cache) == (want, "")


def test_truncated_foreign_and_not_ours(net, tmp_path):
    cache = tmp_path / "cache"
    want, _ = predict(net, cache)
    [file] = files(cache)
    good = file.read_bytes()
    for bad in (b"", good[:100], good[:-1], good + b"x", b"\0" * len(good),
                net.read_bytes()):
        file.write_bytes(bad)
        got, err = predict(net, cache)
        assert got == want and "packing again" in err
        assert predict(net, cache) == (want, "")
    file.chmod(0o666)
    got, err = predict(net, cache)
    assert got == want and "others may write it" in err
    assert predict(net, cache) == (want, "")
    file.rename(tmp_path / "moved")
    file.symlink_to(tmp_path / "moved")
    got, err = predict(net, cache)
    assert got == want and "symbolic link" in err
    if os.geteuid() == 0:
        file.unlink()
        file.write_bytes(good)
        file.chmod(0o600)
        os.chown(file, 12345, 12345)
        got, err = predict(net, cache)
        assert got == want and "belongs to user 12345" in err
        assert predict(net, cache) == (want, "")


def test_nowhere_to_write(net, tmp_path):
    want, _ = predict(net, "off")
    (tmp_path / "file").write_text("x")
    for cache in (tmp_path / "file", tmp_path / "file" / "x", "/proc/self/x",
                  "/dev/null"):
        got, err = predict(net, cache)
        assert got == want
        assert "packed weights not written" in err


def test_full_disk(net, tmp_path):
    """As the limit for files says it; a real one answers in the same place."""
    want, _ = predict(net, "off")
    cache = tmp_path / "cache"
    def limit():
        import resource
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    got, err = predict(net, cache, preexec_fn=limit)
    assert got == want and "packed weights not written" in err
    assert not files(cache)


def test_killed_while_writing(net, tmp_path):
    want, _ = predict(net, "off")
    cache = tmp_path / "cache"
    for delay in (0.01, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5):
        p = start("inspect", net, "--weight-cache", cache)
        time.sleep(delay)
        p.kill()
        p.communicate()
        got, err = predict(net, cache)
        assert got == want and not err
        for file in files(cache):
            assert file.suffix == ".packed"
            file.unlink()


def test_several_at_once(net, tmp_path):
    cache = tmp_path / "cache"
    ps = [start("inspect", net, "--json", "--weight-cache", cache)
          for _ in range(4)]
    for p in ps:
        _, err = p.communicate(timeout=120)
        assert p.returncode == 0 and not err
    assert len(files(cache)) == 1
    assert is_mapped(net, cache)


def private_bytes(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    kib = dict(re.findall(r"^(Private_\w+): +(\d+) kB", text, re.M))
    return 1024 * (int(kib["Private_Clean"]) + int(kib["Private_Dirty"]))


@pytest.mark.skipif(is_sanitized(), reason="has memory of the sanitizer's")
def test_private_memory_of_the_second_process(net, tmp_path):
    cache = tmp_path / "cache"
    modeld("inspect", net, "--weight-cache", cache)
    words = (net, "--listen", "127.0.0.1:0", "--weight-cache", cache)
    with server(*words) as (_, first), server(*words) as (_, second):
        for p in (first, second):
            assert private_bytes(p.pid) <= 12 << 20
    with server(net, "--listen", "127.0.0.1:0",
                "--weight-cache", "off") as (_, alone):
        assert private_bytes(alone.pid) >= 20 << 20
