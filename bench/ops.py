#!/usr/bin/env python3
"""Single operators beside onnxruntime, in one process.

usage: bench/ops.py [--threads 1,2] [--rounds 4] [PATTERN ...]
    rows whose name has one of the patterns, or whose group is one (movements,
    images)

Each row is a model of one node (two where the operator alone cannot be
given), run by both with the outputs left where they are, through what lies
directly on their C interfaces: onnxruntime's session without its Python
wrapper, which takes longer than many an operator.  Before a row is timed its
outputs are compared.  The two run in turn
(A B A B), so that both meet the same state of the machine; the smallest and
the smallest median time of all rounds count.  ratio = onnxruntime / modeld:
above 1 modeld is faster.  The end tells the geometric mean of each thread
count and every row below SLOW.
"""

import argparse
import ctypes
import math
import statistics
import subprocess
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from peers import ROOT, cpu, cpu_name

LIBRARY = ROOT / "build" / "release" / "libmodeld.so"
OPSET = 21
MS = "com.microsoft"
ML = "ai.onnx.ml"
ROUNDS = 4
SECONDS = 0.03
SETTLE = 0.005  # steps in which threads are watched going to sleep
SLOW = 0.9
RANK_MAX = 8

rng = np.random.default_rng(7)


class Const:
    """An input that is part of the model."""

    def __init__(self, value):
        self.value = np.asarray(value)


def f32(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def weights(*shape):
    return Const(f32(*shape) / np.float32(math.sqrt(np.prod(shape[1:]))))


def ints(high, *shape, dtype=np.int64, low=0):
    return rng.integers(low, high, shape).astype(dtype)


def i64(*values):
    return Const(np.array(values, np.int64))


def i32(*values):
    return Const(np.array(values, np.int32))


class Case:
    def __init__(self, name, op, inputs, n_out=1, domain="", opset=OPSET,
                 **attrs):
        self.name, self.op, self.inputs = name, op, inputs
        self.n_out, self.domain, self.attrs = n_out, domain, attrs
        self.opset = opset

    def feeds(self):
        return {f"x{i}": x for i, x in enumerate(self.inputs)
                if isinstance(x, np.ndarray)}

    def model(self):
        names = ["" if x is None else f"x{i}"
                 for i, x in enumerate(self.inputs)]
        outs = [f"y{i}" for i in range(self.n_out)]
        node = helper.make_node(self.op, names, outs, domain=self.domain,
                                **self.attrs)
        given = [helper.make_tensor_value_info(
            k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
            for k, v in self.feeds().items()]
        held = [numpy_helper.from_array(x.value, f"x{i}")
                for i, x in enumerate(self.inputs) if isinstance(x, Const)]
        graph = helper.make_graph(
            [node], "g", given, [onnx.ValueInfoProto(name=o) for o in outs],
            held)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset),
                                  helper.make_opsetid(MS, 1),
                                  helper.make_opsetid(ML, 3)],
            ir_version=10)
        model = onnx.shape_inference.infer_shapes(model)
        return model.SerializeToString()


def elementwise():
    a = f32(8, 64, 56, 56)
    forms = {"same": f32(8, 64, 56, 56), "scalar": f32(1),
             "row": f32(56), "column": f32(56, 1), "middle": f32(64, 1, 1)}
    for form, b in forms.items():
        for op in ("Add", "Div"):
            yield Case(f"{op} {form}", op, [a, b])
    b = f32(8, 64, 56, 56)
    yield Case("Add outer", "Add", [f32(1024, 1), f32(1, 1024)])
    yield Case("Add int64", "Add", [ints(99, 1 << 18), ints(99, 1 << 18)])
    yield Case("Mul int32 row", "Mul",
               [ints(99, 512, 512, dtype=np.int32),
                ints(99, 512, dtype=np.int32)])
    yield Case("Sub", "Sub", [a, b])
    yield Case("Max 3", "Max", [a, b, f32(64, 1, 1)])
    yield Case("Sum 3", "Sum", [a, b, b])
    yield Case("Mean 3", "Mean", [a, b, b])
    yield Case("Pow 2", "Pow", [a, Const(np.float32(2))])
    yield Case("Pow same", "Pow", [np.abs(f32(64, 1024)), f32(64, 1024)])
    yield Case("Mod int64", "Mod", [ints(999, 1 << 16),
                                    ints(9, 1 << 16, low=1)])
    yield Case("PRelu", "PRelu", [a, Const(f32(64, 1, 1))])
    for op in ("Equal", "Greater", "LessOrEqual"):
        yield Case(op, op, [a, b])
    yield Case("Equal int64 scalar", "Equal", [ints(9, 1 << 18), i64(3)])
    for op in ("And", "Or"):
        yield Case(op, op, [f32(512, 512) > 0, f32(512, 512) > 0])
    yield Case("Not", "Not", [f32(512, 512) > 0])
    yield Case("Where same", "Where", [a > 0, a, b])
    yield Case("Where mask scalar", "Where",
               [f32(8, 1, 128, 128) > 0, f32(8, 12, 128, 128),
                Const(np.float32(-1e9))])


def functions():
    x = f32(64, 4096)
    for op in ("Relu", "Sigmoid", "Tanh", "Erf", "Gelu", "Exp", "Sqrt",
               "Abs", "Neg", "Floor", "Ceil", "Round", "Reciprocal",
               "Softplus", "Elu", "Selu", "LeakyRelu", "HardSigmoid",
               "HardSwish", "Mish", "Sin", "Cos", "Sign", "Softsign",
               "ThresholdedRelu", "Celu", "Identity", "IsNaN"):
        values = np.abs(x) if op == "Sqrt" else x
        yield Case(op, op, [values])
    yield Case("Log", "Log", [np.abs(x)])
    yield Case("Clip", "Clip", [x, Const(np.float32(-1)),
                                Const(np.float32(1))])
    yield Case("Clip int64", "Clip", [ints(99, 1 << 18), Const(np.int64(9)),
                                      Const(np.int64(50))])
    kinds = {"f32": np.float32, "f16": np.float16, "f64": np.float64,
             "i64": np.int64, "i32": np.int32, "u8": np.uint8,
             "bool": np.bool_}
    for pair in ("f32 f16", "f16 f32", "f32 i64", "i64 f32", "i32 i64",
                 "i64 i32", "u8 f32", "f32 u8", "f32 bool", "bool f32",
                 "f64 f32", "f32 f64", "i64 bool", "f32 i32", "i32 f32"):
        source, target = pair.split()
        values = ints(99, 1 << 19).astype(kinds[source])
        yield Case(f"Cast {pair}", "Cast", [values],
                   to=helper.np_dtype_to_tensor_dtype(
                       np.dtype(kinds[target])))
    yield Case("Cast f32 bf16", "Cast", [x], to=T.BFLOAT16)
    yield Case("Cast u8 f16", "Cast", [ints(255, 1 << 16, dtype=np.uint8)],
               to=T.FLOAT16)
    yield Case("IsInf", "IsInf", [x])
    yield Case("Atan", "Atan", [x])


def reductions():
    x = f32(32, 64, 32, 32)
    axes = {"first": (0,), "middle": (1,), "inner two": (2, 3), "last": (3,),
            "all": (0, 1, 2, 3), "outer and last": (0, 3)}
    for where, axis in axes.items():
        for op in ("ReduceSum", "ReduceMean", "ReduceMax"):
            yield Case(f"{op} {where}", op, [x, i64(*axis)])
    for op in ("ReduceMin", "ReduceL2", "ReduceProd", "ReduceLogSumExp",
               "ReduceSumSquare", "ReduceL1"):
        yield Case(f"{op} last", op, [f32(4096, 256), i64(1)])
    yield Case("ReduceSum int64", "ReduceSum", [ints(9, 1024, 256), i64(1)])
    for name, dtype in (("int32", np.int32), ("int64", np.int64)):
        yield Case(f"ReduceSum {name} first", "ReduceSum",
                   [ints(9, 513, 256, dtype=dtype), i64(0)])
        yield Case(f"ReduceSum {name} short", "ReduceSum",
                   [ints(9, 4096, 3, dtype=dtype), i64(1)])
        yield Case(f"ReduceMax {name} last", "ReduceMax",
                   [ints(999, 256, 513, dtype=dtype), i64(1)])
        yield Case(f"ReduceMean {name}", "ReduceMean",
                   [ints(99, 8, 32, 32, 16, dtype=dtype), i64(1, 2)])
        yield Case(f"TopK {name}", "TopK",
                   [ints(9999, 64, 5000, dtype=dtype), i64(1)], 2)
    yield Case("ReduceMax uint8", "ReduceMax",
               [ints(255, 256, 513, dtype=np.uint8), i64(1)])
    yield Case("ReduceSum columns", "ReduceSum", [f32(513, 256), i64(0)])
    yield Case("TopK 100 of 32000", "TopK", [f32(8, 32000), i64(100)], 2)
    yield Case("CumSum middle odd", "CumSum", [f32(16, 64, 65), i64(1)])
    yield Case("Softmax odd", "Softmax", [f32(32, 33, 65)], axis=1)
    yield Case("ArgMax last", "ArgMax", [f32(1024, 1000)], axis=-1)
    yield Case("ArgMax middle", "ArgMax", [f32(8, 21, 128, 128)], axis=1)
    yield Case("CumSum last", "CumSum", [f32(1024, 256), i64(1)])
    yield Case("CumSum first", "CumSum", [f32(1024, 256), i64(0)])
    yield Case("TopK 5 of 1000", "TopK", [f32(256, 1000), i64(5)], 2)
    yield Case("TopK 300 of 8400", "TopK", [f32(8, 8400), i64(300)], 2)
    yield Case("TopK middle", "TopK", [f32(16, 100, 64), i64(10)], 2, axis=1)
    yield Case("Softmax last", "Softmax", [f32(8, 12, 128, 128)])
    yield Case("Softmax middle", "Softmax", [f32(8, 21, 96, 96)], axis=1)
    yield Case("LogSoftmax last", "LogSoftmax", [f32(512, 1000)])
    scale, bias = Const(f32(768)), Const(f32(768))
    yield Case("LayerNormalization", "LayerNormalization",
               [f32(4, 128, 768), scale, bias])
    scale, bias = Const(f32(64)), Const(f32(64))
    yield Case("InstanceNormalization", "InstanceNormalization",
               [f32(4, 64, 64, 64), scale, bias])
    yield Case("GroupNormalization", "GroupNormalization",
               [f32(4, 64, 64, 64), scale, bias], num_groups=8)
    yield Case("BatchNormalization", "BatchNormalization",
               [f32(4, 64, 64, 64), scale, bias, Const(f32(64)),
                Const(np.abs(f32(64)) + 1)])
    yield Case("LpNormalization", "LpNormalization", [f32(1024, 512)])
    yield Case("LRN", "LRN", [f32(2, 64, 56, 56)], size=5)


def movements():
    x = f32(8, 64, 56, 56)
    for perm in ((0, 2, 3, 1), (0, 1, 3, 2), (1, 0, 2, 3), (3, 2, 1, 0),
                 (0, 2, 1, 3)):
        yield Case("Transpose " + "".join(map(str, perm)), "Transpose", [x],
                   perm=perm)
    yield Case("Transpose 2-D int64", "Transpose", [ints(9, 1000, 512)])
    yield Case("Transpose 2-D uint8", "Transpose",
               [ints(9, 1024, 1024, dtype=np.uint8)])
    for axis in (0, 1, 3):
        yield Case(f"Concat axis {axis}", "Concat",
                   [f32(8, 32, 56, 56), f32(8, 32, 56, 56)], axis=axis)
        yield Case(f"Split axis {axis}", "Split", [x], 2, axis=axis,
                   num_outputs=2)
    yield Case("Slice rows", "Slice",
               [x, i64(4), i64(52), i64(2), i64(1)])
    yield Case("Slice last", "Slice",
               [x, i64(4), i64(52), i64(3), i64(1)])
    yield Case("Slice steps", "Slice",
               [x, i64(0, 1), i64(56, 56), i64(2, 3), i64(2, 2)])
    yield Case("Slice backwards", "Slice",
               [x, i64(-1), i64(-1000), i64(3), i64(-1)])
    for mode in ("constant", "reflect", "edge", "wrap"):
        yield Case(f"Pad {mode}", "Pad",
                   [x, i64(0, 0, 1, 2, 0, 0, 1, 2)], mode=mode)
    yield Case("Gather rows", "Gather",
               [Const(f32(30000, 384)), ints(30000, 8, 128)])
    yield Case("Gather last", "Gather", [f32(1024, 512), ints(512, 200)],
               axis=1)
    yield Case("GatherND", "GatherND",
               [f32(64, 128, 32), ints(64, 2000, 2)])
    yield Case("GatherElements last", "GatherElements",
               [f32(512, 1000), ints(1000, 512, 500)], axis=1)
    yield Case("GatherElements first", "GatherElements",
               [f32(512, 500), ints(512, 512, 500)], axis=0)
    at = np.stack([rng.permutation(1024)[:256]], axis=-1).astype(np.int64)
    yield Case("ScatterND", "ScatterND", [f32(1024, 256), at, f32(256, 256)])
    at = np.argsort(f32(512, 512), axis=1).astype(np.int64)
    yield Case("ScatterElements", "ScatterElements",
               [f32(512, 512), at, f32(512, 512)], axis=1)
    yield Case("Expand last", "Expand", [f32(1024, 1), i64(1024, 256)])
    yield Case("Expand middle", "Expand",
               [f32(8, 4, 1, 128, 64), i64(8, 4, 4, 128, 64)])
    yield Case("Tile", "Tile", [f32(64, 128), i64(8, 8)])
    yield Case("Tile last", "Tile", [f32(4096, 1), i64(1, 100)])
    yield Case("Tile short rows", "Tile", [f32(10, 7), i64(20, 30)])
    yield Case("OneHot", "OneHot",
               [ints(1000, 512), i64(1000), Const(np.float32([0, 1]))])
    yield Case("NonZero", "NonZero", [(f32(512, 512) > 1)])
    yield Case("Trilu", "Trilu", [f32(8, 256, 256)])
    yield Case("Range", "Range", [np.array(0, np.int64),
                                  np.array(1 << 17, np.int64),
                                  np.array(1, np.int64)])
    yield Case("ConstantOfShape", "ConstantOfShape",
               [np.array([512, 512], np.int64)])
    yield Case("DepthToSpace", "DepthToSpace", [f32(4, 64, 64, 64)],
               blocksize=2)
    yield Case("SpaceToDepth", "SpaceToDepth", [f32(4, 16, 128, 128)],
               blocksize=2)
    yield Case("SpaceToDepth 4", "SpaceToDepth", [f32(1, 3, 224, 224)],
               blocksize=4)
    yield Case("DepthToSpace 4", "DepthToSpace", [f32(1, 48, 56, 56)],
               blocksize=4)
    yield Case("ReverseSequence", "ReverseSequence",
               [f32(64, 32, 128), ints(64, 32, low=1)])
    yield Case("Compress", "Compress", [f32(1024, 256), f32(1024) > 0],
               axis=0)


def images():
    x = f32(1, 32, 64, 64)
    scales = Const(np.float32([1, 1, 2, 2]))
    yield Case("Resize nearest", "Resize", [x, None, scales], mode="nearest",
               coordinate_transformation_mode="asymmetric",
               nearest_mode="floor")
    yield Case("Resize linear", "Resize", [x, None, scales], mode="linear")
    yield Case("Resize cubic", "Resize", [f32(1, 3, 64, 64), None, scales],
               mode="cubic")
    yield Case("Resize to sizes", "Resize",
               [x, None, None, i64(1, 32, 100, 100)], mode="linear",
               coordinate_transformation_mode="align_corners")
    yield Case("Resize nearest sizes", "Resize",
               [x, None, None, i64(1, 32, 100, 100)], mode="nearest")
    yield Case("Resize antialias", "Resize",
               [f32(1, 3, 224, 224), None, None, i64(1, 3, 96, 96)],
               mode="linear", antialias=1)
    yield Case("Resize 3-D", "Resize",
               [f32(1, 8, 16, 16, 16), None,
                Const(np.float32([1, 1, 2, 2, 2]))], mode="linear")
    yield Case("Resize uint8", "Resize",
               [ints(255, 1, 3, 224, 224, dtype=np.uint8), None,
                Const(np.float32([1, 1, .5, .5]))], mode="linear")
    yield Case("Upsample", "Upsample", [x, scales], mode="linear", opset=9)
    yield Case("GridSample nearest", "GridSample",
               [f32(1, 16, 64, 64), np.tanh(f32(1, 64, 64, 2))],
               mode="nearest", opset=20)
    yield Case("GridSample cubic", "GridSample",
               [f32(1, 16, 64, 64), np.tanh(f32(1, 64, 64, 2))],
               mode="cubic", opset=20)
    yield Case("AffineGrid", "AffineGrid",
               [f32(4, 2, 3), i64(4, 1, 64, 64)], opset=20)
    yield Case("Col2Im", "Col2Im",
               [f32(1, 16 * 9, 64 * 64), i64(64, 64), i64(3, 3)],
               pads=[1, 1, 1, 1])
    yield Case("Resize down", "Resize",
               [x, None, Const(np.float32([1, 1, .5, .5]))], mode="linear")
    yield Case("GridSample", "GridSample",
               [f32(1, 16, 64, 64), np.tanh(f32(1, 64, 64, 2))])
    yield Case("MaxPool", "MaxPool", [x], kernel_shape=[3, 3],
               strides=[2, 2], pads=[1, 1, 1, 1])
    yield Case("MaxPool 1-D", "MaxPool", [f32(4, 64, 4096)],
               kernel_shape=[4], strides=[4])
    yield Case("AveragePool", "AveragePool", [x], kernel_shape=[2, 2],
               strides=[2, 2])
    yield Case("AveragePool 3-D", "AveragePool", [f32(1, 16, 32, 32, 32)],
               kernel_shape=[2, 2, 2], strides=[2, 2, 2])
    yield Case("GlobalAveragePool", "GlobalAveragePool",
               [f32(8, 512, 7, 7)])
    yield Case("GlobalMaxPool", "GlobalMaxPool", [f32(8, 256, 14, 14)])
    yield Case("Conv 3x3", "Conv", [f32(1, 64, 56, 56),
                                    weights(64, 64, 3, 3)],
               pads=[1, 1, 1, 1])
    yield Case("Conv 1x1", "Conv", [f32(1, 128, 28, 28),
                                    weights(256, 128, 1, 1)])
    yield Case("Conv 1-D", "Conv", [f32(1, 64, 1000), weights(64, 64, 3)],
               pads=[1, 1])
    yield Case("Conv 3-D", "Conv", [f32(1, 8, 16, 32, 32),
                                    weights(16, 8, 3, 3, 3)],
               pads=[1] * 6)
    yield Case("Conv grouped", "Conv", [f32(1, 64, 56, 56),
                                        weights(64, 8, 3, 3)],
               pads=[1, 1, 1, 1], group=8)
    yield Case("Conv depthwise", "Conv", [f32(1, 96, 56, 56),
                                          weights(96, 1, 3, 3)],
               pads=[1, 1, 1, 1], group=96)
    yield Case("Conv dilated", "Conv", [f32(1, 32, 56, 56),
                                        weights(32, 32, 3, 3)],
               pads=[2, 2, 2, 2], dilations=[2, 2])
    yield Case("Conv 1-D depthwise", "Conv", [f32(1, 256, 500),
                                              weights(256, 1, 31)],
               pads=[15, 15], group=256)
    yield Case("Conv 3-D depthwise", "Conv", [f32(1, 32, 8, 28, 28),
                                              weights(32, 1, 3, 3, 3)],
               pads=[1] * 6, group=32)
    yield Case("Conv multiplier", "Conv", [f32(1, 32, 28, 28),
                                           weights(64, 1, 3, 3)],
               pads=[1, 1, 1, 1], group=32)
    yield Case("ConvTranspose depthwise", "ConvTranspose",
               [f32(1, 32, 28, 28), weights(32, 1, 4, 4)], strides=[2, 2],
               pads=[1, 1, 1, 1], group=32)
    yield Case("MaxPool 2x2", "MaxPool", [f32(1, 32, 56, 56)],
               kernel_shape=[2, 2], strides=[2, 2])
    yield Case("ConvTranspose 2x2", "ConvTranspose",
               [f32(1, 64, 28, 28), weights(64, 32, 2, 2)], strides=[2, 2])
    yield Case("ConvTranspose 4x4", "ConvTranspose",
               [f32(1, 32, 28, 28), weights(32, 16, 4, 4)], strides=[2, 2],
               pads=[1, 1, 1, 1])
    yield Case("ConvTranspose 1-D", "ConvTranspose",
               [f32(1, 64, 256), weights(64, 32, 4)], strides=[2])


def detections():
    boxes = np.abs(f32(1, 8400, 4)) * np.float32([640, 640, 60, 60])
    scores = rng.random((1, 80, 8400)).astype(np.float32)
    for name, values in (("YOLO", scores ** 24), ("dense", scores[:, :8])):
        yield Case(f"NonMaxSuppression {name}", "NonMaxSuppression",
                   [boxes, values, i64(100), Const(np.float32([.5])),
                    Const(np.float32([.25]))], center_point_box=1)
    x = f32(1, 256, 50, 68)
    at = rng.random((100, 2)) * 700
    rois = np.hstack([at, at + 20 + rng.random((100, 2)) * 300])
    rois, zeros = rois.astype(np.float32), np.zeros(100, np.int64)
    for ratio in (0, 2):
        yield Case(f"RoiAlign {ratio}", "RoiAlign", [x, rois, zeros],
                   output_height=7, output_width=7, sampling_ratio=ratio,
                   spatial_scale=1 / 16)
    yield Case("RoiAlign max", "RoiAlign", [x, rois, zeros], mode="max",
               output_height=7, output_width=7, sampling_ratio=2,
               spatial_scale=1 / 16)
    yield Case("MaxRoiPool", "MaxRoiPool",
               [x, np.hstack([zeros[:, None], rois]).astype(np.float32)],
               pooled_shape=[7, 7], spatial_scale=1 / 16)
    at = np.arange(32 * 64 * 64).reshape(1, 32, 64, 32, 2)
    at = np.ascontiguousarray(at[..., 0][:, :, ::2])
    yield Case("MaxUnpool", "MaxUnpool", [f32(1, 32, 32, 32), at],
               kernel_shape=[2, 2], strides=[2, 2])
    yield Case("DeformConv", "DeformConv",
               [f32(1, 64, 28, 28), weights(64, 64, 3, 3),
                f32(1, 18, 28, 28), Const(f32(64)),
                rng.random((1, 9, 28, 28)).astype(np.float32)],
               pads=[1, 1, 1, 1])


def signals():
    for n in (512, 1000, 1009):
        yield Case(f"DFT {n}", "DFT", [f32(32, n, 2) / 64], axis=1, opset=17)
    yield Case("DFT real", "DFT", [f32(32, 512, 1)], axis=1, opset=17)
    yield Case("DFT one-sided", "DFT", [f32(32, 512, 1)], axis=1, onesided=1,
               opset=17)
    yield Case("DFT long", "DFT", [f32(1, 1 << 16, 1) / 64], axis=1,
               opset=17)
    yield Case("STFT", "STFT",
               [f32(1, 16000, 1), Const(np.int64(160)),
                Const(np.hanning(400).astype(np.float32))])
    yield Case("MelWeightMatrix", "MelWeightMatrix",
               [np.array(80), np.array(400), np.array(16000),
                np.array(0, np.float32), np.array(8000, np.float32)])
    yield Case("MeanVarianceNormalization", "MeanVarianceNormalization",
               [f32(4, 64, 64, 64)])
    yield Case("Unique", "Unique", [ints(1000, 1 << 16)], 4)
    yield Case("Unique float", "Unique", [f32(1 << 16)], 4)
    yield Case("Unique rows", "Unique", [ints(3, 1024, 8)], 4, axis=0)
    for layout in (0, 1):
        yield Case("RotaryEmbedding" + " interleaved" * layout,
                   "RotaryEmbedding",
                   [f32(1, 32, 256, 64), Const(f32(512, 32)),
                    Const(f32(512, 32)), ints(512, 1, 256)],
                   interleaved=layout, opset=23)
    yield Case("TensorScatter", "TensorScatter",
               [f32(2, 8, 1024, 64), f32(2, 8, 1, 64), i64(7, 900)],
               opset=24)
    yield Case("LinearAttention", "LinearAttention",
               [f32(1, 64, 512), f32(1, 64, 512) / 8, f32(1, 64, 512), None,
                -np.abs(f32(1, 64, 8)), np.abs(f32(1, 64, 8)) / 9], 2,
               q_num_heads=8, kv_num_heads=8, opset=27)


def products():
    yield Case("MatMul", "MatMul", [f32(256, 512), f32(512, 256)])
    yield Case("MatMul weights", "MatMul", [f32(128, 768),
                                            weights(768, 768)])
    yield Case("MatMul batched", "MatMul", [f32(8, 12, 64, 64),
                                            f32(8, 12, 64, 64)])
    yield Case("MatMul broadcast", "MatMul", [f32(8, 64, 256),
                                              f32(256, 128)])
    yield Case("MatMul vector", "MatMul", [f32(1, 1024), weights(1024, 1024)])
    yield Case("MatMul rank 1", "MatMul", [f32(512), f32(512, 512)])
    yield Case("MatMul vectors", "MatMul", [f32(64, 1, 128),
                                            f32(64, 128, 65)])
    yield Case("Gemm", "Gemm", [f32(64, 512), weights(512, 512),
                                Const(f32(512))], transB=1)
    yield Case("Einsum bij,bjk", "Einsum", [f32(16, 64, 64),
                                            f32(16, 64, 64)],
               equation="bij,bjk->bik")
    yield Case("Einsum attention", "Einsum",
               [f32(2, 64, 8, 32), f32(2, 64, 8, 32)],
               equation="bqhd,bkhd->bhqk")
    yield Case("Einsum transpose", "Einsum", [f32(256, 512)],
               equation="ij->ji")
    for op, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        yield Case(op, op, [f32(32, 4, 64), weights(1, gates * 128, 64),
                            weights(1, gates * 128, 128),
                            Const(f32(1, gates * 256))], hidden_size=128)
    scale = Const(np.float32(0.05))
    zero = Const(np.uint8(128))
    yield Case("QuantizeLinear", "QuantizeLinear",
               [f32(64, 4096), scale, zero])
    yield Case("QuantizeLinear axis", "QuantizeLinear",
               [f32(8, 64, 32, 32), Const(np.abs(f32(64)) + 0.1),
                Const(np.zeros(64, np.int8))], axis=1)
    yield Case("DequantizeLinear", "DequantizeLinear",
               [ints(255, 64, 4096, dtype=np.uint8), scale, zero])
    yield Case("DequantizeLinear axis", "DequantizeLinear",
               [ints(127, 8, 64, 32, 32, dtype=np.int8),
                Const(np.abs(f32(64)) + 0.1), Const(np.zeros(64, np.int8))],
               axis=1)
    yield Case("DynamicQuantizeLinear", "DynamicQuantizeLinear",
               [f32(64, 1024)], 3)
    yield Case("MatMulInteger", "MatMulInteger",
               [ints(255, 128, 512, dtype=np.uint8),
                Const(ints(127, 512, 512, dtype=np.int8))])
    image = ints(255, 1, 64, 28, 28, dtype=np.uint8)
    zero = np.array(120, np.uint8)
    codes = Const(ints(255, 64, 64, 3, 3, dtype=np.uint8))
    yield Case("ConvInteger 3x3", "ConvInteger",
               [image, codes, zero, Const(np.uint8(128))], pads=[1] * 4)
    yield Case("ConvInteger 3x3 zero point", "ConvInteger",
               [image, codes, zero, Const(np.uint8(99))], pads=[1] * 4)
    yield Case("ConvInteger depthwise", "ConvInteger",
               [image, Const(ints(255, 64, 1, 3, 3, dtype=np.uint8)), zero,
                Const(np.uint8(99))], pads=[1] * 4, group=64)
    yield Case("ConvInteger 1-D", "ConvInteger",
               [ints(255, 1, 64, 400, dtype=np.uint8),
                Const(ints(255, 64, 64, 3, dtype=np.uint8)), zero,
                Const(np.uint8(128))], pads=[1] * 2)


def transformers():
    """What onnxruntime's optimizers make of transformers."""
    x = f32(1, 128, 768)
    row = Const(f32(768))
    yield Case("FusedMatMul transB", "FusedMatMul",
               [f32(12, 128, 64), f32(12, 128, 64)], domain=MS, transB=1,
               alpha=0.125)
    yield Case("FusedMatMul weights", "FusedMatMul", [x, weights(768, 768)],
               domain=MS, transB=1)
    yield Case("FusedGemm Relu", "FusedGemm",
               [f32(64, 512), weights(512, 512), Const(f32(512))], domain=MS,
               activation="Relu")
    yield Case("FusedConv Relu", "FusedConv",
               [f32(1, 64, 56, 56), weights(64, 64, 3, 3), Const(f32(64))],
               domain=MS, activation="Relu", pads=[1, 1, 1, 1])
    yield Case("BiasGelu", "BiasGelu", [f32(1, 128, 3072),
                                        Const(f32(3072))], domain=MS)
    yield Case("FastGelu", "FastGelu", [f32(1, 128, 3072),
                                        Const(f32(3072))], domain=MS)
    yield Case("QuickGelu", "QuickGelu", [f32(1, 128, 3072)], domain=MS)
    yield Case("SkipLayerNormalization", "SkipLayerNormalization",
               [x, f32(1, 128, 768), row, row, row], domain=MS)
    yield Case("SkipSimplifiedLayerNormalization",
               "SkipSimplifiedLayerNormalization",
               [x, f32(1, 128, 768), row], domain=MS)
    yield Case("EmbedLayerNormalization", "EmbedLayerNormalization",
               [ints(30000, 1, 128, dtype=np.int32),
                ints(2, 1, 128, dtype=np.int32), Const(f32(30000, 768)),
                Const(f32(512, 768)), Const(f32(2, 768)), row, row],
               n_out=2, domain=MS)
    yield Case("Attention", "Attention",
               [x, weights(768, 2304), Const(f32(2304)),
                np.ones((1, 128), np.int32)], domain=MS, num_heads=12)
    q, k, v = f32(1, 128, 768), f32(1, 128, 768), f32(1, 128, 768)
    yield Case("MultiHeadAttention", "MultiHeadAttention", [q, k, v],
               domain=MS, num_heads=12)
    yield Case("MultiHeadAttention 512", "MultiHeadAttention",
               [f32(1, 512, 768), f32(1, 512, 768), f32(1, 512, 768)],
               domain=MS, num_heads=12)
    yield Case("MultiHeadAttention decode", "MultiHeadAttention",
               [f32(1, 1, 768), f32(1, 1, 768), f32(1, 1, 768), None, None,
                None, f32(1, 12, 511, 64), f32(1, 12, 511, 64)], n_out=3,
               domain=MS, num_heads=12)
    total = i32(128)
    yield Case("GroupQueryAttention prompt", "GroupQueryAttention",
               [f32(1, 128, 1024), f32(1, 128, 256), f32(1, 128, 256), None,
                None, Const(np.array([127], np.int32)), total], n_out=3,
               domain=MS, num_heads=16, kv_num_heads=4)
    yield Case("GroupQueryAttention decode", "GroupQueryAttention",
               [f32(1, 1, 1024), f32(1, 1, 256), f32(1, 1, 256),
                f32(1, 4, 511, 64), f32(1, 4, 511, 64),
                Const(np.array([511], np.int32)), i32(512)], n_out=3,
               domain=MS, num_heads=16, kv_num_heads=4)
    yield Case("RotaryEmbedding heads", "RotaryEmbedding",
               [f32(1, 128, 1024), ints(1, 1), Const(f32(256, 32)),
                Const(f32(256, 32))], domain=MS, num_heads=16)
    codes, scale = Const(ints(255, 768, 768, dtype=np.int8, low=-127)), 0.01
    params = [codes, Const(np.float32(scale)), Const(np.int8(0))]
    yield Case("DynamicQuantizeMatMul", "DynamicQuantizeMatMul",
               [x, *params], domain=MS)
    yield Case("DynamicQuantizeMatMul zero points", "DynamicQuantizeMatMul",
               [x, Const(ints(255, 768, 768, dtype=np.uint8)),
                Const(np.full(768, scale, np.float32)),
                Const(ints(255, 768, dtype=np.uint8)), row], domain=MS)
    yield Case("DynamicQuantizeMatMul vector", "DynamicQuantizeMatMul",
               [f32(1, 1, 768), *params], domain=MS)
    for steps, batch, units in ((1, 1, 128), (64, 1, 128), (32, 1, 512)):
        gates = [Const(ints(255, 1, units, 4 * units, dtype=np.int8,
                            low=-127)) for _ in range(2)]
        small = [Const(np.full(1, 1 / 1024, np.float32)),
                 Const(np.zeros(1, np.int8))]
        yield Case(f"DynamicQuantizeLSTM {steps} x {units}",
                   "DynamicQuantizeLSTM",
                   [f32(steps, batch, units), *gates,
                    Const(f32(1, 8 * units)), None, None, None, None, *small,
                    *small], n_out=3, domain=MS, hidden_size=units)
    yield Case("MatMulIntegerToFloat", "MatMulIntegerToFloat",
               [ints(255, 1, 128, 768, dtype=np.uint8), codes,
                np.array(scale, np.float32), Const(np.float32(scale)),
                np.array(120, np.uint8), Const(np.int8(0)), row], domain=MS)
    yield Case("QAttention", "QAttention",
               [ints(255, 1, 128, 768, dtype=np.uint8),
                Const(ints(255, 768, 2304, dtype=np.int8, low=-127)),
                Const(f32(2304)), np.array(scale, np.float32),
                Const(np.float32(scale)), np.ones((1, 128), np.int32),
                np.array(120, np.uint8), Const(np.int8(0))], domain=MS,
               num_heads=12)
    for name, rows in (("vector", 1), ("matrix", 128)):
        yield Case(f"MatMulNBits {name}", "MatMulNBits",
                   [f32(rows, 2048),
                    Const(ints(255, 2048, 64, 16, dtype=np.uint8)),
                    Const(f32(2048 * 64))], domain=MS, K=2048, N=2048, bits=4,
                   block_size=32)


# Rows that are measured in other types too, and the inputs that stay float32.
HALVES = """Add same|Add middle|Mul same|Sub|Sum 3|Pow 2|Where same|Relu|Sigmoid
Tanh|Erf|Gelu|Exp|Sqrt|HardSwish|Clip|Softplus|ReduceSum first|ReduceMean last
ReduceMax inner two|ReduceL2 last|ArgMax last|TopK 5 of 1000|Softmax last
LogSoftmax last|LayerNormalization|InstanceNormalization|GroupNormalization
BatchNormalization|LRN|Transpose 0231|Concat axis 1|Split axis 1|Slice last
Pad constant|Gather rows|GatherElements last|ScatterND|Expand middle
Resize nearest|Resize linear|GridSample|MaxPool|AveragePool|GlobalAveragePool
Conv 3x3|Conv 1x1|Conv 1-D|Conv grouped|Conv depthwise|ConvTranspose 4x4
MatMul|MatMul weights|MatMul batched|MatMul vector|Gemm|Einsum attention
LSTM|GRU|FusedMatMul transB|BiasGelu|FastGelu|QuickGelu|SkipLayerNormalization
Attention|MultiHeadAttention|GroupQueryAttention prompt
GroupQueryAttention decode|MatMulNBits vector|MatMulNBits matrix
ReduceSum middle|ReduceMean middle|CumSum first|LpNormalization|Resize to sizes
Resize down|AffineGrid|AveragePool 3-D|GlobalMaxPool
MeanVarianceNormalization"""
DOUBLES = """Add same|Add middle|Div same|Sub|Sum 3|Pow 2|Where same|Relu|Sigmoid
Tanh|Exp|Sqrt|Log|Abs|Clip|ReduceSum first|ReduceSum inner two|ReduceSum last
ReduceMean first|ReduceMean last|ReduceMax inner two|ReduceMax last
ReduceL2 last|ReduceProd last|ReduceLogSumExp last|ArgMax last|CumSum last
TopK 5 of 1000|Softmax last|Softmax middle|LogSoftmax last|LayerNormalization
BatchNormalization|Transpose 0231|Transpose 3210|Concat axis 1|Split axis 1
Slice last|Pad constant|Gather rows|GatherElements last|ScatterND|Expand middle
MaxPool|MatMul|MatMul weights|MatMul batched|MatMul broadcast|MatMul vector
Gemm|Einsum bij,bjk|Einsum attention|FusedMatMul transB|ReduceSum middle
ReduceMean middle|CumSum first|GroupNormalization|LpNormalization|GridSample
AffineGrid"""  # pools, Resize and the other norms are not in onnxruntime
FLOAT32 = {"Resize": {2}}


def retyped(case, dtype):
    """The case in another float type."""
    def convert(i, x):
        held = isinstance(x, Const)
        array = x.value if held else x
        if array is None or array.dtype != np.float32 or \
                i in FLOAT32.get(case.op, ()):
            return x
        return Const(array.astype(dtype)) if held else array.astype(dtype)

    name = {2: "f16", 8: "f64"}[np.dtype(dtype).itemsize]
    return Case(f"{case.name} {name}", case.op,
                [convert(i, x) for i, x in enumerate(case.inputs)],
                case.n_out, case.domain, case.opset, **case.attrs)


def other_types():
    for names, dtype in ((HALVES, np.float16), (DOUBLES, np.float64)):
        names = set(names.replace("\n", "|").split("|"))
        for group in (elementwise, functions, reductions, movements, images,
                      signals, products, transformers):
            for case in group():
                if case.name in names:
                    yield retyped(case, dtype)


def forest(n_trees, depth, n_features, n_classes=0):
    """Full trees that ask random features; votes of one class a tree."""
    inner, n = 2 ** depth - 1, 2 ** (depth + 1) - 1
    ids, trees = np.arange(n), np.repeat(np.arange(n_trees), n)
    leaves = ids[inner:]
    which = "class" if n_classes else "target"
    attrs = {
        "nodes_treeids": trees, "nodes_nodeids": np.tile(ids, n_trees),
        "nodes_truenodeids": np.tile(
            np.where(ids < inner, 2 * ids + 1, 0), n_trees),
        "nodes_falsenodeids": np.tile(
            np.where(ids < inner, 2 * ids + 2, 0), n_trees),
        "nodes_featureids": ints(n_features, n * n_trees),
        "nodes_values": f32(n * n_trees) * np.float32(0.7),
        "nodes_modes": (["BRANCH_LEQ"] * inner +
                        ["LEAF"] * len(leaves)) * n_trees,
        f"{which}_treeids": np.repeat(np.arange(n_trees), len(leaves)),
        f"{which}_nodeids": np.tile(leaves, n_trees),
        f"{which}_ids": np.repeat(np.arange(n_trees) % max(n_classes, 1),
                                  len(leaves)),
        f"{which}_weights": f32(len(leaves) * n_trees) / 100,
    }
    if n_classes:
        attrs["classlabels_int64s"] = np.arange(n_classes)
        attrs["post_transform"] = "SOFTMAX"
    else:
        attrs["n_targets"] = 1
    return {k: v.tolist() if isinstance(v, np.ndarray) else v
            for k, v in attrs.items()}


def forests():
    """What boosting libraries give."""
    for rows in (1, 8, 1000):
        yield Case(f"TreeEnsembleRegressor {rows}", "TreeEnsembleRegressor",
                   [f32(rows, 50)], domain=ML, **forest(500, 8, 50))
        yield Case(f"TreeEnsembleClassifier {rows}",
                   "TreeEnsembleClassifier", [f32(rows, 50)], n_out=2,
                   domain=ML, **forest(500, 8, 50, 5))


class Tensor(ctypes.Structure):
    """modeld_tensor of include/modeld.h."""

    _fields_ = [("type", ctypes.c_int), ("rank", ctypes.c_int),
                ("dim", ctypes.c_int64 * RANK_MAX),
                ("data", ctypes.c_void_p), ("size", ctypes.c_size_t),
                ("owner", ctypes.c_void_p)]


class Options(ctypes.Structure):
    """modeld_options."""

    _fields_ = [("size", ctypes.c_size_t), ("threads", ctypes.c_int),
                ("precision", ctypes.c_int)]


class Error(ctypes.Structure):
    """modeld_error."""

    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 512)]


class Ours:
    """The model in libmodeld."""

    def __init__(self, lib, case, model, threads):
        self.lib, self.n_out = lib, case.n_out
        self.arrays = [np.ascontiguousarray(x).reshape(x.shape)
                       for x in case.feeds().values()]
        self.given = (Tensor * len(self.arrays))(*map(self.tensor,
                                                      self.arrays))
        self.out = (Tensor * self.n_out)()
        self.model, self.error = ctypes.c_void_p(), Error()
        opts = Options(ctypes.sizeof(Options), threads, 0)
        self.must(lib.modeld_model_open_memory(
            ctypes.byref(self.model), model, ctypes.c_size_t(len(model)),
            ctypes.byref(opts), ctypes.byref(self.error)))
        self.call = (self.model, self.given,
                     ctypes.c_size_t(len(self.given)), self.out,
                     ctypes.c_size_t(self.n_out), ctypes.byref(self.error))
        self.results = [ctypes.byref(t) for t in self.out]

    @staticmethod
    def tensor(x):
        dims = (ctypes.c_int64 * RANK_MAX)(*x.shape)
        return Tensor(helper.np_dtype_to_tensor_dtype(x.dtype), x.ndim, dims,
                      x.ctypes.data, x.nbytes, None)

    def must(self, code):
        if code:
            raise RuntimeError(self.error.message.decode())

    def run(self):
        self.must(self.lib.modeld_model_run(*self.call))
        for t in self.results:
            self.lib.modeld_tensor_release(t)

    def outputs(self):
        self.must(self.lib.modeld_model_run(*self.call))
        for t in self.out:
            dtype = helper.tensor_dtype_to_np_dtype(t.type)
            yield np.frombuffer(ctypes.string_at(t.data, t.size),
                                dtype).reshape(t.dim[:t.rank])
            self.lib.modeld_tensor_release(ctypes.byref(t))

    def close(self):
        self.lib.modeld_model_close(self.model)


class Theirs:
    """The model in onnxruntime."""

    def __init__(self, case, model, threads):
        opts = ort.SessionOptions()
        opts.intra_op_num_threads = threads
        opts.inter_op_num_threads = 1
        opts.log_severity_level = 3
        self.session = ort.InferenceSession(
            model, opts, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        self.given = [ort.OrtValue.ortvalue_from_numpy(v)
                      for v in case.feeds().values()]
        for name, value in zip(case.feeds(), self.given):
            self.binding.bind_ortvalue_input(name, value)
        for output in self.session.get_outputs():
            self.binding.bind_output(output.name)
        self.options = ort.RunOptions()
        self.inner, self.bound = self.session._sess, self.binding._iobinding

    def run(self):
        self.inner.run_with_iobinding(self.bound, self.options)

    def outputs(self):
        self.run()
        for value in self.binding.get_outputs():
            if value.element_type() == T.BFLOAT16:
                yield None  # numpy has no such type
            else:
                yield value.numpy()


def settle():
    """Until no thread spins: onnxruntime's do so for 30 ms after a run, and
    would take a core from whoever is measured next."""
    for _ in range(100):
        before = time.process_time()
        time.sleep(SETTLE)
        if time.process_time() - before < SETTLE / 10:
            return


def measure(side):
    times = []
    end = time.perf_counter() + SECONDS
    while True:
        start = time.perf_counter()
        side.run()
        now = time.perf_counter()
        times.append((now - start) * 1e6)
        if now > end:
            settle()
            return min(times), statistics.median(times)


def check(name, ours, theirs):
    """Both compute the same; sums may be taken in another order."""
    for a, b in zip(ours.outputs(), theirs.outputs()):
        if b is not None and not np.allclose(a, b, rtol=2e-3, atol=2e-3,
                                             equal_nan=True):
            raise RuntimeError(f"{name}: outputs differ")


def compare(lib, case, threads, rounds):
    """The row's ratio; prints it."""
    model = case.model()
    theirs = Theirs(case, model, threads)
    ours = Ours(lib, case, model, threads)
    check(case.name, ours, theirs)
    settle()
    mine, its = [], []
    for _ in range(rounds):
        its.append(measure(theirs))
        mine.append(measure(ours))
    ours.close()
    (my_min, my_p50), (its_min, its_p50) = (map(min, zip(*rows))
                                            for rows in (mine, its))
    ratio = its_min / my_min
    print(f"{case.name:<28}{threads:>3}{my_min:>10.1f}{its_min:>10.1f}"
          f"{ratio:>8.2f}{its_p50 / my_p50:>8.2f}", flush=True)
    return ratio


def summary(rows):
    for threads in sorted({t for _, t in rows}):
        ratios = [r for (_, t), r in rows.items() if t == threads]
        print(f"{threads} thread{'s' * (threads > 1)}: geometric mean "
              f"{statistics.geometric_mean(ratios):.2f} of {len(ratios)}")
    slow = sorted((r, n, t) for (n, t), r in rows.items() if r < SLOW)
    print(f"{len(slow)} of {len(rows)} below {SLOW}:")
    for ratio, name, threads in slow:
        print(f"  {ratio:6.2f}  {name}, {threads} thread"
              f"{'s' * (threads > 1)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("wanted", nargs="*", metavar="PATTERN")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    args = parser.parse_args()
    subprocess.run([ROOT / "tools" / "build.sh", "release", "--target",
                    "modeld_shared"], check=True, stdout=subprocess.DEVNULL)
    lib = ctypes.CDLL(str(LIBRARY))
    lib.modeld_model_close.restype = None
    lib.modeld_tensor_release.restype = None
    print(f"{cpu_name(cpu())}; onnxruntime {ort.__version__}; microseconds")
    print(f"{'operator':<28}{'thr':>3}{'modeld':>10}{'ort':>10}{'ratio':>8}"
          f"{'(p50)':>8}")
    rows = {}
    for group in (elementwise, functions, reductions, movements, images,
                  detections, signals, products, transformers, forests,
                  other_types):
        for case in group():
            if args.wanted and not any(
                    w in case.name or w == group.__name__
                    for w in args.wanted):
                continue
            for threads in map(int, args.threads.split(",")):
                rows[case.name, threads] = compare(lib, case, threads,
                                                   args.rounds)
    if rows:
        summary(rows)


if __name__ == "__main__":
    main()
