"""Folders of models for tests of the model repository."""
import contextlib
import functools
import json
import math
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import onnx
from onnx import TensorProto, helper

from serving import MODELD, server


def scale(path, factor, width=4, batch="N", slow_ms=0):
    """A model y = factor * x at `path`, which appears at once; before it, x is
    multiplied by one for `slow_ms` milliseconds of this machine's time."""
    trips = math.ceil(slow_ms * trips_per_ms()) if slow_ms else 0
    put(path, scale_model(factor, width, batch, trips))


def scale_model(factor, width, batch, trips):
    given = [helper.make_tensor("k", TensorProto.FLOAT, [], [factor])]
    nodes = [helper.make_node("Mul", ["h" if trips else "x", "k"], ["y"])]

    def rows(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT,
                                             [batch, width])

    if trips:
        one = [float(i % (width + 1) == 0) for i in range(width * width)]
        given += [
            helper.make_tensor("one", TensorProto.FLOAT, [width, width], one),
            helper.make_tensor("trips", TensorProto.INT64, [], [trips]),
            helper.make_tensor("on", TensorProto.BOOL, [], [True])]
        flags = [helper.make_tensor_value_info(n, t, []) for n, t in (
            ("i", TensorProto.INT64), ("on_in", TensorProto.BOOL),
            ("on_out", TensorProto.BOOL))]
        body = helper.make_graph(
            [helper.make_node("MatMul", ["h_in", "one"], ["h_out"]),
             helper.make_node("Identity", ["on_in"], ["on_out"])], "body",
            [*flags[:2], rows("h_in")], [flags[2], rows("h_out")])
        nodes.insert(0, helper.make_node("Loop", ["trips", "on", "x"], ["h"],
                                         body=body))
    graph = helper.make_graph(nodes, "scale", [rows("x")], [rows("y")], given)
    return helper.make_model(graph, ir_version=9, opset_imports=[
        helper.make_opsetid("", 17)]).SerializeToString()


@functools.cache
def trips_per_ms():
    """How often a row of 256 is multiplied in a millisecond here: a fixed
    number would be slow on one CPU and over at once on the next."""
    trips = 2000
    with tempfile.NamedTemporaryFile(suffix=".onnx") as f:
        f.write(scale_model(1, 256, 1, trips))
        f.flush()
        told = subprocess.run(
            [MODELD, "bench", f.name, "--threads", "1", "--seconds", "0.1",
             "--json"], check=True, capture_output=True, text=True).stdout
    return trips / json.loads(told)["min_ms"]


def put(path, data):
    """The file appears under its name when it is complete."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name("." + path.name + ".new")
    new.write_bytes(data if isinstance(data, bytes) else data.encode())
    os.replace(new, path)


def put_version(model, number, factor, **more):
    """A version's folder appears with its model in it."""
    new = pathlib.Path(model) / f".{number}.new"
    shutil.rmtree(new, ignore_errors=True)
    scale(new / "model.onnx", factor, **more)
    os.rename(new, pathlib.Path(model) / str(number))


def wait(true, seconds=30):
    """Until true() is."""
    end = time.monotonic() + seconds
    while not (got := true()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return got


@contextlib.contextmanager
def serving(repo, *words):
    """Yields the URL of a server of the folder."""
    with server("--models", repo, "--listen", "127.0.0.1:0", "--log-level",
                "error", *words) as (url, p):
        yield url
        assert p.poll() is None


def explicit(repo, *words):
    return serving(repo, "--model-control", "explicit", *words)
