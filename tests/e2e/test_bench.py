"""`modeld bench`: what it tells of single nodes, and the traces that it
writes."""
import collections
import json
import os
import pathlib
import subprocess
import sys

import pytest

MODELD = os.path.abspath(os.environ.get("MODELD", "build/modeld"))
FASHION = pathlib.Path(__file__).parents[2] / "examples" / "fashion"
FIELDS = {"node", "op", "kernel", "min_us", "p50_us", "share", "macs",
          "gflops", "bytes", "roof_share"}


def modeld(*words, rc=0):
    p = subprocess.run([MODELD, *map(str, words)], text=True, timeout=120,
                       capture_output=True)
    assert p.returncode == rc, p.stderr
    assert bool(p.stderr) == bool(rc), p.stderr
    return p.stdout if rc == 0 else p.stderr


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    modeld("convert", FASHION / "seed_cnn.keras", "-o", path)
    return path


def test_nodes(net):
    got = json.loads(modeld("bench", net, "--seconds", 0, "--nodes", "--json"))
    nodes = got["nodes"]
    assert got["node_runs"] >= 20
    assert sum(n["macs"] for n in nodes) == got["macs"]
    assert sum(n["share"] for n in nodes) == pytest.approx(1, abs=1e-4)
    assert sum(n["p50_us"] for n in nodes) == pytest.approx(
        got["nodes_us"], rel=1e-4)
    for n in nodes:
        assert set(n) == FIELDS
        assert 0 <= n["min_us"] <= n["p50_us"]
        assert n["bytes"] > 0 and n["kernel"] and n["op"]
        assert n["gflops"] == pytest.approx(
            2e-3 * n["macs"] / n["p50_us"] if n["p50_us"] else 0, rel=1e-3)
    # Every step that explain names, but for views, in its order.
    steps = [(s["node"], s["kernel"])
             for s in json.loads(modeld("explain", net, "--json"))
             if s["kernel"] != "view"]
    assert [(n["node"], n["kernel"]) for n in nodes] == steps


def test_nodes_as_a_table(net):
    text = modeld("bench", net, "--seconds", 0, "--nodes")
    rows = text[text.index("min us"):].splitlines()
    assert "roof %" in rows[0] and "kernel" in rows[0]
    times = [float(row.split()[1]) for row in rows[1:]]
    assert times == sorted(times, reverse=True) and len(times) > 3
    assert "min us" not in modeld("bench", net, "--seconds", 0)


@pytest.mark.parametrize("threads", [1, 3])
def test_trace(net, tmp_path, threads):
    path = tmp_path / "trace.json"
    text = modeld("bench", net, "--seconds", 0, "--threads", threads,
                  "--batch", 64, "--trace", path)
    assert "left out" not in text
    events = json.loads(path.read_text())["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["ph"] == "M"}
    assert names == {0: "caller", **{i: f"worker {i}"
                                     for i in range(1, threads)}}
    slices = [e for e in events if e["ph"] == "X"]
    assert min(e["ts"] for e in slices) == 0
    runs = [e for e in slices if e["cat"] == "run"]
    chunks = [e for e in slices if e["cat"] == "chunk"]
    steps = [e for e in slices if e not in runs and e not in chunks]
    assert len(runs) == 5
    # Each node once a run, within it, on the thread that executes; its chunks,
    # all of them, within the node.
    assert set(collections.Counter(
        (e["name"], e["args"]["kernel"]) for e in steps).values()) == {5}
    for e in steps:
        assert e["tid"] == 0 and e["args"]["bytes"] > 0
        assert sum(inside(e, r) for r in runs) == 1
    of_step = collections.defaultdict(list)
    for c in chunks:
        home = [i for i, e in enumerate(steps) if inside(c, e)]
        assert len(home) == 1 and c["tid"] < threads
        of_step[home[0]].append(c["args"]["chunk"])
    for i, e in enumerate(steps):
        assert sorted(of_step[i]) == list(range(len(of_step[i]))), e


def inside(a, b):
    """Microseconds with three digits may lose half a nanosecond."""
    return b["ts"] - 1e-3 <= a["ts"] and \
        a["ts"] + a["dur"] <= b["ts"] + b["dur"] + 2e-3


def test_trace_that_cannot_be_written(net, tmp_path):
    assert str(tmp_path / "no") in modeld(
        "bench", net, "--seconds", 0, "--trace", tmp_path / "no" / "x.json",
        rc=1)


def test_compare_needs_a_python(net):
    for program, text in (("/no/such/python", "cannot run '/no/such/python'"),
                          ("false", "'false' ended with status 1"),
                          ("echo", "'echo' answers '-c ")):
        err = modeld("bench", net, "--seconds", 0, "--compare", "onnxruntime",
                     "--python", program, rc=1)
        assert err.startswith("modeld bench: --compare: ") and text in err
        assert err.count("\n") == 1


@pytest.mark.parametrize("peers", ["", "torch", "onnxruntime,", "openvino,x",
                                   ",openvino"])
def test_compare_knows_its_peers(peers):
    err = modeld("bench", "m", "--compare", peers, rc=2)
    assert f"--compare: '{peers}' given, expected some of" in err
    assert "there twice" in modeld("bench", "m", "--compare",
                                   "openvino,openvino", rc=2)


# A Python that has neither, and engines that do not load or run the model.
FAKES = [
    ("raise ImportError('none')", "cannot import onnxruntime: none"),
    ("__version__ = '1 2'", "onnxruntime: module 'onnxruntime' has no"),
    ("__version__ = '1'\nimport os\nos._exit(7)", "ended with status 7"),
    ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
     "ended by signal 9"),
]


@pytest.mark.parametrize("text,said", FAKES)
def test_compare_with_an_engine_that_fails(net, tmp_path, text, said):
    pytest.importorskip("numpy")
    (tmp_path / "onnxruntime.py").write_text(text)
    p = subprocess.run([MODELD, "bench", net, "--seconds", "0", "--compare",
                        "onnxruntime", "--python", sys.executable],
                       capture_output=True, text=True, timeout=60,
                       env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert p.returncode == 1 and said in p.stderr, p.stderr
    assert p.stderr.count("\n") == 1 and p.stdout == ""


# What peers.py asks of openvino, by a clock: 20 ms a run.
OPENVINO = '''
import time

import numpy as np
__version__ = "2030.1 build"
Tensor = np.array


class Core:
    def read_model(self, path):
        assert path.endswith("net.onnx")
        return self

    def reshape(self, shapes):
        assert shapes == {"input_layer": [2, 32, 32, 3]}, shapes

    def compile_model(self, model, device, hints):
        assert device == "CPU" and hints == {
            "INFERENCE_NUM_THREADS": 2, "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16"}, hints
        return self

    def create_infer_request(self):
        return self

    def set_tensor(self, name, x):
        assert name == "input_layer" and x.dtype == np.float32
        assert x.shape == (2, 32, 32, 3) and 0 <= x.min() < x.max() < 1

    def start_async(self):
        print("chatter", file=__import__("sys").stderr)

    def wait(self):
        time.sleep(0.02)
'''


def test_compare(net, tmp_path):
    pytest.importorskip("numpy")
    (tmp_path / "openvino.py").write_text(OPENVINO)
    words = ["bench", net, "--seconds", "0", "--threads", "2", "--batch", "2",
             "--precision", "bf16", "--compare", "openvino", "--python",
             sys.executable]
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    p = subprocess.run([MODELD, *words, "--json"], capture_output=True,
                       text=True, timeout=60, env=env)
    assert p.returncode == 0 and p.stderr == "", p.stderr
    row, = json.loads(p.stdout)["compare"]
    assert row["peer"] == "openvino" and row["version"] == "2030.1build"
    assert 20 <= row["min_ms"] <= row["p50_ms"] < 2000
    assert 0 < row["own_min_ms"] <= row["own_p50_ms"]
    assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
    assert row["ratio_min"] == pytest.approx(
        row["min_ms"] / row["own_min_ms"], rel=1e-4)
    p = subprocess.run([MODELD, *words], capture_output=True, text=True,
                       timeout=60, env=env)
    assert p.returncode == 0 and "openvino    2030.1" in p.stdout, p.stdout


def test_compare_with_onnxruntime(net):
    pytest.importorskip("onnxruntime")
    got = json.loads(modeld("bench", net, "--seconds", 0.1, "--compare",
                            "onnxruntime", "--python", sys.executable,
                            "--json"))
    row, = got["compare"]
    assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
    assert row["version"][0].isdigit()
