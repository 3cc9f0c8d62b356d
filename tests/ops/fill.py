#!/usr/bin/env python3
"""Fill in operator cases from the standard's own reference, and those of
com.microsoft from onnxruntime.

Reads lines in the manner of tests/support/opeval.h whose outputs are `?` (one
for each output) and prints them with what ONNX's reference evaluator computes:

    build/venv/bin/python tests/ops/fill.py <draft >>tests/ops/NAME.case

`?~1e-5` keeps the tolerance; every other line is copied as it is.
"""
import math
import re
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

TYPES = {
    "f32": "FLOAT", "f64": "DOUBLE", "f16": "FLOAT16", "bf16": "BFLOAT16",
    "i8": "INT8", "u8": "UINT8", "i16": "INT16", "u16": "UINT16",
    "i32": "INT32", "u32": "UINT32", "i64": "INT64", "u64": "UINT64",
    "bool": "BOOL", "str": "STRING", "i4": "INT4", "u4": "UINT4",
    "i2": "INT2", "u2": "UINT2", "e4m3fn": "FLOAT8E4M3FN",
    "e4m3fnuz": "FLOAT8E4M3FNUZ", "e5m2": "FLOAT8E5M2",
    "e5m2fnuz": "FLOAT8E5M2FNUZ", "e8m0": "FLOAT8E8M0", "f4": "FLOAT4E2M1",
}
# What is quoted may hold anything but quotes.
WORD = re.compile(r'(?:[^\s"{\[]|"[^"]*"|\{(?:"[^"]*"|[^}"])*\}'
                  r'|\[(?:"[^"]*"|[^\]"])*\])+')
ITEM = re.compile(r'"[^"]*"|[^\s,]+')
TENSOR = re.compile(r"(\w+)\[([\d,]*)\]\{(.*)\}$")


def np_type(short):
    return helper.tensor_dtype_to_np_dtype(getattr(TensorProto, TYPES[short]))


def scalar(text, dtype):
    if dtype.kind in "iub":
        return int(text)
    return float(text)


def tensor(word):
    short, dims, body = TENSOR.match(word).groups()
    shape = [int(d) for d in dims.split(",") if d]
    n = math.prod(shape)
    dtype = np_type(short)
    if short == "str":
        flat = [w.strip('"') for w in re.findall(r'"[^"]*"|\S+', body)]
        return np.array(flat, dtype=object).reshape(shape)
    if body.startswith("="):
        flat = [scalar(body[1:], dtype)] * n
    elif body.endswith(".."):
        flat = [float(body[:-2]) + i for i in range(n)]
    else:
        flat = [scalar(w, dtype) for w in body.split()]
    assert len(flat) == n, word
    return np.array(flat).astype(dtype).reshape(shape)


def attribute(text):
    if text.startswith("["):
        items = ITEM.findall(text[1:-1])
        if items and items[0].startswith('"'):
            return [w.strip('"') for w in items]
        return [float(w) if "." in text else int(w) for w in items]
    if text.startswith('"'):
        return text.strip('"')
    return float(text) if "." in text else int(text)


def show(value):
    value = np.asarray(value)
    if value.dtype == object or value.dtype.kind in "US":
        short = "str"
        body = " ".join(f'"{v}"' if " " in str(v) or not v else str(v)
                        for v in value.ravel())
    else:
        code = helper.np_dtype_to_tensor_dtype(value.dtype)
        name = TensorProto.DataType.Name(code)
        short = next(k for k, v in TYPES.items() if v == name)
        wide = value.ravel()
        if value.dtype.kind == "b":
            wide = wide.astype(int)
        elif name in ("FLOAT", "DOUBLE"):
            pass
        elif value.dtype.kind not in "iu":
            wide = wide.astype(np.float32)
            if "INT" in name:
                wide = wide.astype(int)
        body = " ".join(re.sub(r"\.0$", "", str(v)) for v in wide)
    dims = ",".join(str(d) for d in value.shape)
    return f"{short}[{dims}]{{{body}}}"


def by_onnx(model, feeds):
    return ReferenceEvaluator(model).run(None, feeds)


def by_ort(model, feeds):
    """Inputs are constants: some kernels refuse others."""
    for name, value in feeds.items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    del model.graph.input[:]
    for out in model.graph.output:  # their types follow from the operator
        out.ClearField("type")
    model.opset_import.append(helper.make_opsetid("", 21))
    model.ir_version = 10
    opts = onnxruntime.SessionOptions()
    opts.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), opts,
        providers=["CPUExecutionProvider"]).run(None, {})


def fill(line):
    left, right = line.split(" -> ")
    head, *words = WORD.findall(left)
    name, version = head.rsplit("-", 1)
    domain, _, op = name.rpartition(".")
    attrs, inputs, feeds = {}, [], {}
    for word in words:
        if m := re.match(r"(\w+)=(.*)", word):
            attrs[m[1]] = attribute(m[2])
        elif word == "_":
            inputs.append("")
        else:
            inputs.append(f"x{len(inputs)}")
            feeds[inputs[-1]] = tensor(word)
    wants = right.split()
    outputs = ["" if w == "_" else f"y{i}" for i, w in enumerate(wants)]
    node = helper.make_node(op, inputs, outputs, domain=domain, **attrs)
    opset = [helper.make_opsetid(domain, int(version))]
    model = helper.make_model(helper.make_graph(
        [node], "g",
        [helper.make_tensor_value_info(
            k, helper.np_dtype_to_tensor_dtype(v.dtype)
            if v.dtype != object else TensorProto.STRING, v.shape)
         for k, v in feeds.items()],
        [helper.make_tensor_value_info(o, TensorProto.UNDEFINED, None)
         for o in outputs if o]), opset_imports=opset)
    ours = domain == "com.microsoft"
    got = iter((by_ort if ours else by_onnx)(model, feeds))
    shown = [w if w == "_" else show(next(got)) + w[1:] for w in wants]
    return f"{left} -> {' '.join(shown)}"


def main():
    for line in sys.stdin:
        line = line.rstrip("\n")
        if not line.startswith("#") and re.search(r" -> [?_]", line):
            line = fill(line)
        print(line)


if __name__ == "__main__":
    main()
