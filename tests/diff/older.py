"""How cases of operators are drawn that the standard no longer has, of those
newer than onnxruntime, and of training.  See operators.py; definitions.py
computes what nobody else does."""
import math

import numpy as np
from onnx import TensorProto, helper

from operators import draws, ints

F32 = np.dtype("float32")
REAL = ["float32", "float32", "float64", "float16"]


def a_float(c):
    return np.dtype(c.pick(*REAL))


# Experimental operators of before opset 10; onnxruntime has them in float32.

@draws("Affine", "ParametricSoftplus", "ScaledTanh", "Scale")
def old_unary(c):
    c.opset = c.pick(7, 8, 9)
    if c.name == "Scale":
        c.attr(scale=c.pick(None, 0.0, 0.5, -2.0))
    elif c.chance(0.8):
        # Both, since onnxruntime has no default for either.
        c.attr(alpha=c.pick(0.0, 1.0, 0.5, -2.0),
               beta=c.pick(0.0, 1.0, 0.5, -0.5))
    else:
        c.attr(alpha=1.0, beta=1.0)
    c.feed(c.values(F32, c.shape(), "tame"))
    c.scale = 8.0


@draws("ImageScaler")
def image_scaler(c):
    c.opset = c.pick(7, 8, 9)
    shape = [c.rng.randint(1, 3), c.rng.randint(1, 5), c.rng.randint(1, 6),
             c.rng.randint(1, 6)]
    n = shape[1] + (1 if c.bad() else 0)
    c.attr(scale=c.pick(None, 1.0, 0.5, -2.0),
           bias=[float(c.rng.randint(-4, 4)) for _ in range(n)])
    c.feed(c.values(F32, shape[1:] if c.bad() else shape, "tame"))
    c.scale = 8.0


@draws("Crop")
def crop(c):
    c.opset = c.pick(7, 8, 9)
    shape = [c.rng.randint(1, 2), c.rng.randint(1, 3), c.rng.randint(3, 9),
             c.rng.randint(3, 9)]
    border = [c.rng.randint(0, 1) for _ in range(4)]
    if c.bad():
        border[c.rng.randrange(4)] = c.pick(99, 2**62)
    c.attr(border=border[:3] if c.bad() else border)
    if c.chance(0.4):
        c.attr(scale=[c.rng.randint(1, shape[2] - border[1]) if
                      border[1] < shape[2] else 1,
                      c.rng.randint(1, shape[3] - border[0]) if
                      border[0] < shape[3] else 1])
    c.feed(c.values(F32, shape, "tame"))


@draws("Upsample")
def upsample(c):
    c.opset = c.pick(7, 8, 9)
    mode = c.pick(None, "nearest", "linear")
    rank = c.pick(1, 2, 3, 4, 4) if mode != "linear" else c.pick(2, 4)
    shape = [c.rng.randint(1, 6) for _ in range(rank)]
    scales = [float(c.pick(1, 1, 1.5, 2, 3)) for _ in range(rank)]
    if mode == "linear" and rank == 4:
        scales[:2] = [1.0, 1.0]
    if c.bad():
        scales[0] = c.pick(0.5, 0.0, -1.0, math.nan)
    if c.bad():
        scales.append(1.0)
    c.attr(mode="some" if c.bad() else mode)
    c.feed(c.values(np.dtype(c.pick("float32", "float32", "int32", "uint8"))
                    if mode != "linear" else F32, shape, "small"))
    if c.opset < 9:
        c.attr(scales=scales)
    else:
        c.feed(np.array(scales, np.float32))
    c.scale = 8.0


@draws("Scatter")
def scatter(c):
    c.opset = c.pick(9, 10)
    shape = c.shape(c.rng.randint(1, 3), most=256)
    axis = c.axis(len(shape))
    dtype = np.dtype(c.pick("float32", "float64", "int64", "int8", "bool",
                            "object", "float16"))
    to = [c.rng.randint(min(1, d), d) for d in shape]
    order = np.argsort(c.bits.random(to if math.prod(to) else [0] * len(to)),
                       axis if -len(shape) <= axis < len(shape) else 0)
    if order.size and c.bad():
        order.ravel()[0] = c.pick(10**6, -10**6)
    c.attr(axis=axis if axis or c.chance(0.5) else None)
    c.feed(c.values(dtype, shape, "small"))
    c.feed(order.astype(c.pick(np.int32, np.int64)))
    c.feed(c.values(dtype, order.shape, "small"))


@draws("SimplifiedLayerNormalization")
def simplified(c):
    c.opset = c.pick(7, 13, 17, 21)
    dtype = a_float(c)
    shape = [max(d, 1) for d in c.shape(c.rng.randint(1, 4), most=1024)]
    axis = c.rng.randrange(-len(shape), len(shape))
    c.attr(axis=axis if axis != -1 or c.chance(0.5) else None,
           epsilon=c.pick(None, 1e-3), stash_type=c.pick(None, 1))
    c.feed(c.values(dtype, shape, "tame"))
    c.feed(c.values(dtype, shape[axis:], "tame"))
    c.scale = 64.0


# Newer ones.

@draws("BitCast")
def bit_cast(c):
    widths = [["int8", "uint8"], ["float16", "int16", "uint16"],
              ["float32", "int32", "uint32"], ["float64", "int64", "uint64"]]
    pair = c.rng.choice(widths)
    to = c.rng.choice(c.rng.choice(widths) if c.bad() else pair)
    c.attr(to=c.pick(0, 8, 99, -1) if c.bad() else
           helper.np_dtype_to_tensor_dtype(np.dtype(to)))
    c.feed(c.values(np.dtype(c.rng.choice(pair)), c.shape()))


@draws("CausalConvWithState", "com.microsoft.CausalConvWithState")
def causal_conv(c):
    dtype = np.dtype(c.pick("float32", "float32", "float16"))
    batch, channels, n, k = (c.rng.randint(1, m) for m in (3, 9, 8, 5))
    last = c.domain and c.chance(0.3)
    if last:
        c.attr(channels_last=1)

    def shaped(length):
        return [batch, length, channels] if last else [batch, channels, length]
    c.attr(activation="some" if c.bad() else
           c.pick(None, "none", "silu", "swish"))
    c.feed(c.values(dtype, shaped(n), "tame"))
    c.feed(c.values(dtype, [channels, 1, k + (1 if c.bad() else 0)], "tame"))
    c.feed(c.values(dtype, [channels + (1 if c.bad() else 0)], "tame")
           if c.chance(0.5) else None)
    spread = c.pick(1, 1, 2, 3) if c.domain else 1
    if spread > 1:
        c.attr(dilation=spread)
    if c.chance(0.5):
        c.feed(c.values(dtype, shaped((k - 1) * spread), "tame"))
    c.scale = 16.0 * k
    return 2


@draws("SwiGLU")
def swi_glu(c):
    c.opset = 28
    dtype, shape = a_float(c), c.shape()
    c.attr(alpha=c.pick(None, 0.0, 1.0, 1.702, -1.0))
    c.feed(c.values(dtype, shape, "tame"))
    if shape and c.bad():
        shape = [shape[0] + 1, *shape[1:]]
    c.feed(c.values(dtype, shape, "tame"))
    c.scale = 8.0


@draws("Multinomial")
def multinomial(c):
    """Of one outcome or certain ones, since engines have other random
    numbers."""
    rows, n = c.rng.randint(1, 5), c.rng.randint(1, 9)
    x = np.full((rows, n), -400.0)
    x[np.arange(rows), c.bits.integers(0, n, rows)] = 0.0
    c.attr(sample_size=c.pick(None, 1, 3, 17, 0 if c.bad() else 2),
           dtype=c.pick(None, 6, 7, 1 if c.bad() else 6),
           seed=float(c.rng.randrange(99)))
    kind = c.type()
    c.feed((x.astype(str) if kind == object else x).astype(kind))


# Training.

OPTIMIZERS = "ai.onnx.preview.training."


@draws(OPTIMIZERS + "Adagrad", OPTIMIZERS + "Adam", OPTIMIZERS + "Momentum")
def optimizer(c):
    dtype = np.dtype(c.pick("float32", "float32", "float64"))
    kept = 2 if c.name == "Adam" else 1
    n = c.rng.randint(1, 3)
    c.feed(np.array(c.pick(0.1, 0.01), c.pick(np.float32, np.float64)))
    c.feed(np.array(c.pick(0, 1, 5), np.int64))
    shapes = [c.shape(c.rng.randint(0, 3), 64) for _ in range(n)]
    for group in range(2 + kept):
        # Squares of gradients are not negative.
        kind = "positive" if group >= 2 else "tame"
        for i, shape in enumerate(shapes):
            if shape and c.bad():
                shape = [shape[0] + 1, *shape[1:]]
            c.feed(c.values(dtype, shape, kind))
    if c.bad():
        c.feed(c.values(dtype, [2], "tame"))
    c.attr(norm_coefficient=c.pick(0.0, 0.01))
    if c.name == "Momentum":
        c.attr(alpha=c.pick(0.0, 0.9), beta=c.pick(1.0, 0.5),
               mode="some" if c.bad() else c.pick("standard", "nesterov"))
    elif c.name == "Adagrad":
        c.attr(decay_factor=c.pick(None, 0.1), epsilon=c.pick(None, 1e-3))
    else:
        c.attr(alpha=c.pick(None, 0.8), beta=c.pick(None, 0.95),
               epsilon=c.pick(None, 1e-3),
               norm_coefficient_post=c.pick(None, 0.0, 0.1))
    c.scale = 64.0
    return n * (1 + kept)


# Attention with graphs in it.

PREVIEW = "ai.onnx.preview."


def scored(c, dtype, rank=4):
    """A graph that changes scores, or probabilities."""
    info = helper.make_tensor_value_info
    code = helper.np_dtype_to_tensor_dtype(dtype)
    op = c.pick("Tanh", "Neg", "Mul")
    node = helper.make_node(op, ["s", "s"] if op == "Mul" else ["s"], ["z"])
    return helper.make_graph([node], "mod", [info("s", code, None)],
                             [info("z", code, None)])


@draws(PREVIEW + "FlexAttention")
def flex(c):
    dtype = np.dtype(c.pick("float32", "float32", "float64", "float16"))
    batch, kv, group, q, k, e, v = (c.rng.randint(1, n)
                                    for n in (2, 3, 2, 6, 6, 9, 9))
    c.attr(scale=c.pick(None, 0.3))
    if c.chance(0.4):
        c.attr(score_mod=scored(c, F32 if dtype == np.float16 else dtype))
    if c.chance(0.3):
        c.attr(prob_mod=scored(c, F32 if dtype == np.float16 else dtype))
    c.feed(c.values(dtype, [batch, kv * group, q, e], "tame"))
    c.feed(c.values(dtype, [batch, kv, k, e + (1 if c.bad() else 0)], "tame"))
    c.feed(c.values(dtype, [batch, kv, k, v], "tame"))
    c.scale = 64.0 * e
