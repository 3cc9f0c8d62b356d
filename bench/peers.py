#!/usr/bin/env python3
"""Whole models beside onnxruntime and OpenVINO, in one run.

Each row is `modeld bench --compare`: the engines run the same file on the same
inputs in twelve rounds in turn, so that all meet the same state of the
machine.  ratio = the peer's time / modeld's: above 1 modeld is faster.  It is
told for the minimum and for the median.  onnxruntime has no bf16 on CPUs: rows
with bf16 have its fp32 beside them; OpenVINO computes in bf16 there.

The time of loading is that of later starts: the first of three may leave packed
weights where --weight-cache says (auto), which the others map.

The models come from ../shared/prototypes/make_onnx_models.py and have random
weights; without that folder only the example nets are measured.  Those with
_f16 are the same in float16.

The table is printed and kept in bench/results/, in a file named after the CPU.
"""

import argparse
import collections
import csv
import datetime
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import numpy_helper

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELD = ROOT / "build" / "modeld"
MAKER = ROOT.parent / "shared" / "prototypes" / "make_onnx_models.py"
RESULTS = ROOT / "bench" / "results"
PEERS = ["onnxruntime", "openvino"]

CNNS = ["resnet50", "mbv2", "yolov8n320"]
TRANSFORMERS = ["bert", "minilm"]
SMALL = ["mlp", "lenet", "cifar"]
HALF = CNNS + ["minilm"]
QUANTIZED = [name + "_q" for name in CNNS + TRANSFORMERS]

COLUMNS = ["group", "model", "precision", "mask", "threads", "min_ms", "p50_ms",
           "load_ms", "rss_mb"] + [
               f"{peer}_{what}" for peer in PEERS
               for what in ("min_ms", "p50_ms", "ratio_min", "ratio_p50",
                            "ratio_low", "ratio_high")]

Job = collections.namedtuple("Job", "group path precision mask")


def cpu():
    """What /proc/cpuinfo says of the first CPU."""
    found = {}
    for line in open("/proc/cpuinfo"):
        key, colon, value = line.partition(":")
        if not colon:
            break
        found[key.strip()] = value.strip()
    return found


def cpu_name(of):
    """Two generations may have the same name: the numbers tell them apart."""
    name = of.get("model name", "unknown CPU")
    if "cpu family" in of:
        name += f" family {of['cpu family']} model {of['model']}"
    return name


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
            array = numpy_helper.to_array(held).astype("float16")
            held.CopyFrom(numpy_helper.from_array(array, held.name))
    for node in graph.node:
        for attr in node.attribute:
            if node.op_type == "Cast" and attr.i == T.FLOAT:
                attr.i = T.FLOAT16
    del graph.value_info[:]
    out = path.with_name(path.stem + "_f16.onnx")
    onnx.save(model, out)
    return out


def distinct(path):
    """Weights of one shape are the same numbers in what MAKER writes.  OpenVINO
    finds that out and computes the products with them once, which no trained
    model allows: each gets its numbers in an order of its own."""
    model = onnx.load(path)
    for i, held in enumerate(model.graph.initializer):
        array = numpy_helper.to_array(held)
        if array.ndim > 1:
            array = np.roll(array.reshape(-1), 17 * i + 1).reshape(array.shape)
            held.CopyFrom(numpy_helper.from_array(array, held.name))
    onnx.save(model, path)


def made(folder):
    """The rows over the models that MAKER writes into `folder`."""
    subprocess.run([sys.executable, str(MAKER), folder], check=True,
                   stdout=subprocess.DEVNULL)
    for path in pathlib.Path(folder).glob("*.onnx"):
        distinct(path)

    def path(name):
        return pathlib.Path(folder) / f"{name}.onnx"

    for group, names in (("CNN", CNNS), ("transformer", TRANSFORMERS)):
        for name in names:
            yield Job(group, path(name), "fp32", "")
            yield Job(group + " bf16", path(name), "bf16", "")
    for name in QUANTIZED:
        yield Job("int8", path(name), "fp32", "")
    for name in SMALL:
        yield Job("small", path(name), "fp32", "")
    for name in HALF:
        yield Job("float16", halved(path(name)), "fp32", "")
    for name in CNNS + TRANSFORMERS:
        yield Job("AVX2", path(name), "fp32", "avx2")


def examples():
    for path in sorted((ROOT / "build" / "demo").glob("*.onnx")):
        yield Job("example", path, "fp32", "")


def present(peers):
    """Those of `peers` that this Python has; says which it lacks."""
    have = []
    for peer in peers:
        try:
            __import__(peer)
            have.append(peer)
        except ImportError as e:
            print(f"without {peer}: {e}")
    return have


def bench(job, threads, seconds, *more):
    env = dict(os.environ)
    if job.mask:
        env["MODELD_CPU"] = job.mask
    done = subprocess.run(
        [MODELD, "bench", job.path, "--threads", str(threads), "--seconds",
         str(seconds), "--precision", job.precision, *more, "--json"],
        capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(f"peers.py: {job.path.name}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure(job, threads, peers, seconds):
    """The comparison; the least of three times of loading, the file in memory."""
    loads = [bench(job, threads, 0.1) for _ in range(3)]
    got = bench(job, threads, seconds, "--compare", ",".join(peers),
                "--python", sys.executable)
    got["load_ms"] = min(x["load_ms"] for x in loads)
    got["rss_mb"] = loads[-1]["rss_mb"]
    return got


def row_of(job, threads, got):
    row = dict.fromkeys(COLUMNS, "")
    row.update(group=job.group, model=job.path.stem, precision=job.precision,
               mask=job.mask, threads=threads,
               min_ms=min(p["own_min_ms"] for p in got["compare"]),
               p50_ms=min(p["own_p50_ms"] for p in got["compare"]),
               load_ms=round(got["load_ms"], 2), rss_mb=round(got["rss_mb"], 1))
    for p in got["compare"]:
        row.update({f"{p['peer']}_min_ms": p["min_ms"],
                    f"{p['peer']}_p50_ms": p["p50_ms"],
                    f"{p['peer']}_ratio_min": round(p["ratio_min"], 3),
                    f"{p['peer']}_ratio_p50": round(p["ratio"], 3),
                    f"{p['peer']}_ratio_low": round(p["ratio_low"], 3),
                    f"{p['peer']}_ratio_high": round(p["ratio_high"], 3)})
    return row


def head(peers):
    return f"{'model':<16}{'':>5}{'thr':>4}{'modeld':>9}{'load':>7}" + \
        f"{'rss MB':>8}" + "".join(
            f"{peer[:11]:>13}{'ratio':>7}{'(p50)':>7}" for peer in peers)


def shown(row, peers):
    text = (f"{row['model']:<16}{row['mask'] or row['precision']:>5}"
            f"{row['threads']:>4}{row['min_ms']:>9.3f}{row['load_ms']:>7.1f}"
            f"{row['rss_mb']:>8.0f}")
    for peer in peers:
        text += (f"{row[peer + '_min_ms']:>13.3f}"
                 f"{row[peer + '_ratio_min']:>7.2f}"
                 f"{row[peer + '_ratio_p50']:>7.2f}")
    return text


def means(rows, peers):
    """The geometric mean of each group at each number of threads."""
    groups = {}
    for row in rows:
        groups.setdefault((row["group"], row["threads"]), []).append(row)
    for (group, threads), held in groups.items():
        text = f"{group:<21}{threads:>4}{'':>24}"
        for peer in peers:
            for what in ("min", "p50"):
                logs = [math.log(r[f"{peer}_ratio_{what}"]) for r in held]
                mean = math.exp(sum(logs) / len(logs))
                text += f"{mean:>{20 if what == 'min' else 7}.2f}"
        yield text


def keep(rows, of):
    RESULTS.mkdir(exist_ok=True)
    name = re.sub(r"[^a-z0-9]+", "-", cpu_name(of).lower()).strip("-")
    path = RESULTS / f"{name}.csv"
    with open(path, "w", newline="") as f:
        print(f"# {cpu_name(of)}, {os.cpu_count()} CPUs, "
              f"{datetime.date.today()}, batch 1, "
              + ", ".join(sorted({r["versions"] for r in rows})), file=f)
        out = csv.DictWriter(f, COLUMNS, extrasaction="ignore",
                             lineterminator="\n")
        out.writeheader()
        out.writerows(rows)
    print(f"kept in {path.relative_to(ROOT)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", default="", help="groups or models, as "
                        "a regular expression; nothing is kept then")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--peers", default=",".join(PEERS))
    args = parser.parse_args()
    peers = present(args.peers.split(","))
    if not peers:
        sys.exit("peers.py: no peer to compare with")
    of = cpu()
    print(f"{cpu_name(of)}; ms, batch 1, minimum; ratio of minimum and median")
    print(head(peers))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        jobs = list(examples())
        if MAKER.exists():
            jobs += made(folder)
        else:
            print(f"skipped: {os.path.relpath(MAKER, ROOT)} is not there")
        for job in jobs:
            if not re.search(args.only, f"{job.group} {job.path.stem}"):
                continue
            for threads in map(int, args.threads.split(",")):
                got = measure(job, threads, peers, args.seconds)
                row = row_of(job, threads, got)
                row["versions"] = " ".join(f"{p['peer']} {p['version']}"
                                           for p in got["compare"])
                rows.append(row)
                print(shown(row, peers), flush=True)
    print("geometric means")
    for line in means(rows, peers):
        print(line)
    if not args.only and rows:
        keep(rows, of)


if __name__ == "__main__":
    main()
