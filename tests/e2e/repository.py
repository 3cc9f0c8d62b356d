"""Folders of models for tests of the model repository."""
import os
import pathlib
import shutil
import time

import onnx
from onnx import TensorProto, helper


def scale(path, factor, width=4, batch="N", slow=0):
    """A model y = factor * x at `path`, which appears at once; `slow` is a
    number of multiplications by one before it."""
    k = helper.make_tensor("k", TensorProto.FLOAT, [], [factor])
    nodes = [helper.make_node("Mul", ["x", "k"], ["y"])]
    ones = []
    if slow:
        ones = [helper.make_tensor("one", TensorProto.FLOAT, [width, width],
                                   [float(i % (width + 1) == 0)
                                    for i in range(width * width)])]
        names = ["x"] + [f"x{i}" for i in range(slow)]
        nodes = [helper.make_node("MatMul", [a, "one"], [b])
                 for a, b in zip(names, names[1:])]
        nodes.append(helper.make_node("Mul", [names[-1], "k"], ["y"]))
    graph = helper.make_graph(
        nodes, "scale",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT,
                                       [batch, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT,
                                       [batch, width])], [k, *ones])
    model = helper.make_model(graph, ir_version=9,
                              opset_imports=[helper.make_opsetid("", 17)])
    put(path, model.SerializeToString())


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
