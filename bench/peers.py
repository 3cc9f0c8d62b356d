#!/usr/bin/env python3
"""Whole models beside onnxruntime, in one run.

For each model and thread count the two are run in turn (A B A B), so that
both meet the same state of the machine; the smallest and the median latency
of all rounds count, and the smallest time of loading (files are in memory by
then).  ratio = onnxruntime / modeld: above 1 modeld is faster.
The models come from ../shared/prototypes/make_onnx_models.py and have random
weights; without that folder only the example nets are measured.  Those with
_f16 are the same in float16, inputs and outputs too.  onnxruntime has no bf16
on CPUs: rows with bf16 have its fp32 beside them.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import numpy_helper

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELD = ROOT / "build" / "modeld"
MAKER = ROOT.parent / "shared" / "prototypes" / "make_onnx_models.py"
FLOAT_NETS = ["resnet50", "mbv2", "yolov8n320", "bert", "minilm"]
HALF_NETS = ["resnet50", "mbv2", "yolov8n320", "minilm"]
NETS = FLOAT_NETS + ["resnet50_q", "mbv2_q", "minilm_q"]
ROUNDS = 3
SECONDS = 1.0


def cpu_name():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown CPU"


def feeds(session):
    rng = np.random.default_rng(1)
    types = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
    out = {}
    for x in session.get_inputs():
        shape = [d if isinstance(d, int) else 1 for d in x.shape]
        if x.type == "tensor(int64)":
            high = 30000 if "ids" in x.name else 2
            out[x.name] = rng.integers(0, high, shape)
        else:
            out[x.name] = rng.standard_normal(shape).astype(types[x.type])
    return out


def halved(path):
    """The model in float16, beside it."""
    model = onnx.load(path)
    graph = model.graph
    scales = {n.input[2] for n in graph.node
              if n.op_type == "Resize" and len(n.input) > 2}
    for value in list(graph.input) + list(graph.output):
        if value.type.tensor_type.elem_type == T.FLOAT:
            value.type.tensor_type.elem_type = T.FLOAT16
    for held in graph.initializer:
        if held.data_type == T.FLOAT and held.name not in scales:
            array = numpy_helper.to_array(held).astype(np.float16)
            held.CopyFrom(numpy_helper.from_array(array, held.name))
    for node in graph.node:
        for attr in node.attribute:
            if node.op_type == "Cast" and attr.i == T.FLOAT:
                attr.i = T.FLOAT16
    del graph.value_info[:]
    out = path.with_name(path.stem + "_f16.onnx")
    onnx.save(model, out)
    return out


class Peer:
    """onnxruntime with the same number of threads."""

    def __init__(self, path, threads):
        opts = ort.SessionOptions()
        opts.intra_op_num_threads = threads
        opts.inter_op_num_threads = 1
        self.path, self.opts = path, opts
        self.load_ms = float("inf")
        self.load()
        self.feed = feeds(self.session)

    def load(self):
        start = time.perf_counter()
        self.session = ort.InferenceSession(
            str(self.path), self.opts, providers=["CPUExecutionProvider"])
        took = (time.perf_counter() - start) * 1e3
        self.load_ms = min(self.load_ms, took)

    def measure(self):
        times = []
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            start = time.perf_counter()
            self.session.run(None, self.feed)
            times.append((time.perf_counter() - start) * 1e3)
        time.sleep(0.1)  # let its threads go to sleep
        return min(times), statistics.median(times)


def ours(path, threads, precision):
    text = subprocess.run(
        [MODELD, "bench", str(path), "--threads", str(threads), "--seconds",
         str(int(SECONDS)), "--precision", precision, "--json"],
        check=True, capture_output=True, text=True).stdout
    return json.loads(text)


def compare(path, threads, precision="fp32"):
    peer = Peer(path, threads)
    mine, theirs = [], []
    load_ms = float("inf")
    last = None
    for _ in range(ROUNDS):
        peer.load()
        theirs.append(peer.measure())
        last = ours(path, threads, precision)
        load_ms = min(load_ms, last["load_ms"])
        mine.append((last["min_ms"], last["p50_ms"]))
    my_min, my_p50 = min(m[0] for m in mine), min(m[1] for m in mine)
    its_min, its_p50 = min(t[0] for t in theirs), min(t[1] for t in theirs)
    name = path.stem + (" " + precision if precision != "fp32" else "")
    print(f"{name:<16}{threads:>3}{my_min:>10.3f}{its_min:>10.3f}"
          f"{its_min / my_min:>8.2f}{its_p50 / my_p50:>8.2f}"
          f"{load_ms:>9.1f}{peer.load_ms:>9.1f}"
          f"{last['rss_mb']:>8.0f}{path.stat().st_size / 1e6:>9.0f}",
          flush=True)


def main():
    print(f"{cpu_name()}; onnxruntime {ort.__version__}; ms, batch 1")
    print(f"{'model':<16}{'thr':>3}{'modeld':>10}{'ort':>10}{'ratio':>8}"
          f"{'(p50)':>8}{'load':>9}{'ort load':>9}{'rss MB':>8}{'file MB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        models = []
        if MAKER.exists():
            subprocess.run([sys.executable, str(MAKER), folder], check=True,
                           stdout=subprocess.DEVNULL)
            models = [pathlib.Path(folder) / f"{n}.onnx" for n in NETS]
            models += [halved(pathlib.Path(folder) / f"{n}.onnx")
                       for n in HALF_NETS]
        else:
            print(f"skipped: {os.path.relpath(MAKER, ROOT)} is not there")
        demo = ROOT / "build" / "demo"
        models += [m for m in sorted(demo.glob("*.onnx"))]
        for path in models:
            for threads in (1, 2):
                compare(path, threads)
                if path.stem in FLOAT_NETS:
                    compare(path, threads, "bf16")


if __name__ == "__main__":
    main()
