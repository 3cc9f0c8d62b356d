"""How a case of each operator is drawn.  A row of OPERATORS is the operator's
name and a function that gives a Case its attributes and inputs, and may give
back the number of outputs (1 else).

What the standard leaves open is not drawn: conversions of numbers that the
target cannot hold, sums of infinities in an order of the engine's choice.
"""
import math

import numpy as np

OPERATORS = {}
I64 = np.dtype("int64")


def draws(*ops):
    def add(f):
        for op in ops:
            OPERATORS[op] = f
        return f
    return add


def ints(*values):
    return np.array(values, I64)


# One input, element by element.

@draws("Abs", "Neg", "Sign", "Floor", "Ceil", "Round", "Relu", "Not",
       "BitwiseNot", "IsNaN", "Identity", "Shape", "Size", "NonZero",
       "Reciprocal", "Sqrt", "Exp", "Log", "Erf", "Sigmoid", "Tanh",
       "Softplus", "Softsign", "HardSwish", "Mish")
def unary(c):
    dtype = c.type()
    c.feed(c.values(dtype, c.shape()))


@draws("Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh",
       "Acosh", "Atanh")
def trigonometry(c):
    c.feed(c.values(c.type(), c.shape(), "tame"))


@draws("Elu", "LeakyRelu", "Selu", "HardSigmoid", "Celu", "ThresholdedRelu",
       "Swish")
def activation(c):
    for name in ("alpha", "beta", "gamma"):
        if c.chance(0.5):
            c.attr(**{name: c.pick(0.01, 0.5, 1.0, 1.7, 3.0)})
    c.feed(c.values(c.type(), c.shape(), c.pick("any", "tame")))


@draws("Gelu")
def gelu(c):
    if c.chance(0.5):
        c.attr(approximate="some" if c.bad() else c.pick("none", "tanh"))
    c.feed(c.values(c.type(), c.shape(), "tame"))
    c.scale = 1.0  # 1 + erf cancels


@draws("Shrink")
def shrink(c):
    if c.chance(0.7):
        c.attr(lambd=c.pick(0.0, 0.5, 1.5), bias=c.pick(0.0, 0.5, -1.0, 2.0))
    dtype = c.type()
    # Integers that meet a fraction or wrap: left open by the standard.
    if dtype.kind in "iu":
        c.attr(bias=c.pick(0.0, 1.0, 2.0))
    c.feed(c.values(dtype, c.shape(),
                    "any" if dtype.kind == "f" else "positive"))


@draws("IsInf")
def is_inf(c):
    for name in ("detect_negative", "detect_positive"):
        if c.chance(0.5):
            c.attr(**{name: c.pick(0, 1)})
    c.feed(c.values(c.type(), c.shape()))


@draws("Cast", "CastLike")
def cast(c):
    names = ["float32", "float64", "float16", "bool", "int8", "uint8",
             "int16", "uint16", "int32", "uint32", "int64", "uint64"]
    to = np.dtype(c.rng.choice(names))
    dtype = np.dtype(c.rng.choice(names))
    whole = to.kind in "iu"
    if dtype.kind == "f":
        x = c.values(dtype, c.shape(), "tame" if whole else "any")
        if to.kind == "u":
            x = np.abs(x)
    else:
        x = c.values(dtype, c.shape())
    c.feed(x)
    if c.op == "CastLike":
        c.feed(c.values(to, c.shape(), "tame"))
    else:
        from onnx import helper
        c.attr(to=c.pick(0, 99, -1) if c.bad()
               else helper.np_dtype_to_tensor_dtype(to))


@draws("Clip")
def clip(c):
    dtype = c.type()
    kind = "any" if dtype.kind == "f" else "small"
    x = c.values(dtype, c.shape(), kind)
    if c.opset < 11:
        if c.chance(0.5):
            c.attr(min=c.pick(-1.5, 0.0, 2.0))
        if c.chance(0.5):
            c.attr(max=c.pick(0.0, 2.5, 6.0))
        c.feed(x)
        return
    c.feed(x)
    for _ in range(2):
        if c.chance(0.3):
            c.feed(None)
        else:
            shape = [1] if c.bad() else []
            c.feed(c.values(dtype, shape, "positive"))


@draws("Dropout")
def dropout(c):
    dtype = c.type()
    c.feed(c.values(dtype, c.shape()))
    if c.opset >= 12:
        if c.chance(0.5):
            c.feed(np.array(0.5, np.float32))
            if c.chance(0.5):
                c.feed(np.array(False))
    elif c.chance(0.5):
        c.attr(ratio=0.3)


# Two and more, with broadcasting.

@draws("Add", "Sub", "Mul", "Equal", "Less", "Greater", "LessOrEqual",
       "GreaterOrEqual", "And", "Or", "Xor", "BitwiseAnd", "BitwiseOr",
       "BitwiseXor")
def binary(c):
    a, b = c.broadcasting(2)
    dtype = c.type()
    c.feed(c.values(dtype, a))
    c.feed(c.values(c.type(1) if c.bad() else dtype, b))


@draws("Div")
def div(c):
    a, b = c.broadcasting(2)
    dtype = c.type()
    c.feed(c.values(dtype, a, "any" if dtype.kind == "f" else "small"))
    c.feed(c.values(dtype, b, "any" if dtype.kind == "f" else "positive"))


@draws("Mod")
def mod(c):
    a, b = c.broadcasting(2)
    dtype = c.type()
    if dtype.kind == "f" or c.chance(0.3):
        c.attr(fmod=0 if c.bad() else 1)
    x = c.values(dtype, a, "tame")
    y = c.values(dtype, b, "positive")
    if dtype.kind in "if" and c.chance(0.5):
        y = -y
    c.feed(x)
    c.feed(y)


@draws("Pow")
def power(c):
    a, b = c.broadcasting(2)
    base = c.type()
    if base.kind == "f":
        c.feed(c.values(base, a))
    else:
        c.feed(c.values(base, a, "small"))
    exponent = c.type(1) if c.opset >= 12 else base
    if base.kind != "f":  # a fraction or what wraps is left open
        c.feed(np.abs(c.values(exponent, b, "small")) % 6 if
               exponent.kind in "iuf" else c.values(exponent, b))
    else:
        c.feed(c.values(exponent, b, "small" if exponent.kind in "iu"
                        else "any"))


@draws("BitShift")
def bit_shift(c):
    a, b = c.broadcasting(2)
    dtype = c.type()
    c.attr(direction=c.pick("", "UP") if c.bad() else c.pick("LEFT", "RIGHT"))
    c.feed(c.values(dtype, a))
    c.feed(c.values(dtype, b, "positive"))


@draws("PRelu")
def prelu(c):
    x = c.shape()
    slope = [1 if c.chance(0.3) else d for d in
             x[c.rng.randint(0, len(x)):]]
    dtype = c.type()
    kind = "any" if dtype.kind == "f" else "small"
    c.feed(c.values(dtype, x, kind))
    c.feed(c.values(dtype, slope, kind))


@draws("Max", "Min", "Sum", "Mean")
def variadic(c):
    dtype = c.type()
    sums = c.op in ("Sum", "Mean")
    shapes = c.broadcasting(c.rng.randint(1, 5))
    for shape in shapes:
        c.feed(c.values(dtype, shape, "tame" if sums else "any"))
    c.scale = 4.0 * len(shapes)


@draws("Where")
def where(c):
    cond, a, b = c.broadcasting(3)
    dtype = c.type(1)
    c.feed(c.values(np.dtype(bool), cond))
    c.feed(c.values(dtype, a))
    c.feed(c.values(dtype, b))


# Reductions.

@draws("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd",
       "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp",
       "ReduceSumSquare")
def reduction(c):
    dtype = c.type()
    shape = c.shape()
    kind = {"ReduceLogSum": "positive", "ReduceMax": "any",
            "ReduceMin": "any"}.get(c.op, "tame")
    if c.op == "ReduceProd":  # else most are out of range
        shape = c.shape(most=256)
        kind = "positive"
    c.feed(c.values(dtype, shape, kind))
    c.scale = 16.0 * max(math.prod(shape), 1)
    if c.chance(0.6):
        c.attr(keepdims=c.pick(0, 1))
    axes = None
    if c.chance(0.8) and shape:
        axes = c.rng.sample(range(len(shape)), c.rng.randint(1, len(shape)))
        axes = [a - len(shape) if c.opset >= 11 and c.chance(0.5) else a
                for a in axes]
    elif c.bad():
        axes = [c.axis(len(shape))]
    by_input = c.opset >= (13 if c.op == "ReduceSum" else 18)
    if by_input:
        if axes is None and c.chance(0.3):
            axes = []
        c.feed(None if axes is None else ints(*axes))
        if c.chance(0.4):
            c.attr(noop_with_empty_axes=c.pick(0, 1))
    else:
        c.attr(axes=axes)


@draws("ArgMax", "ArgMin")
def arg(c):
    shape = c.shape(c.rng.randint(1, 4))
    c.feed(c.values(c.type(), shape, c.pick("small", "tame")))
    if c.chance(0.8):
        c.attr(axis=c.axis(len(shape)) if c.opset >= 11
               else c.rng.randrange(len(shape)))
    if c.chance(0.5):
        c.attr(keepdims=c.pick(0, 1))
    if c.chance(0.5):
        c.attr(select_last_index=c.pick(0, 1))


@draws("Softmax", "LogSoftmax", "Hardmax")
def softmax(c):
    shape = c.shape(c.rng.randint(1, 4))
    c.feed(c.values(c.type(), shape, "tame"))
    if c.chance(0.8):
        c.attr(axis=c.axis(len(shape)) if c.opset >= 11
               else c.rng.randrange(len(shape)))
    c.scale = 16.0


@draws("CumSum", "CumProd")
def cumulative(c):
    shape = c.shape(c.rng.randint(1, 4), most=512)
    c.feed(c.values(c.type(), shape, "tame" if c.op == "CumSum"
                    else "positive"))
    axis = ints(0, 0) if c.bad() else \
        np.array(np.clip(c.axis(len(shape)), -2**31, 2**31 - 1))
    c.feed(axis.astype(c.pick(np.int32, np.int64)))
    c.attr(exclusive=c.pick(0, 1), reverse=c.pick(0, 1))
    c.scale = 4.0 * math.prod(shape)


@draws("TopK")
def top_k(c):
    shape = c.shape(c.rng.randint(1, 4))
    axis = c.rng.randrange(len(shape))
    k = c.rng.randint(0, shape[axis]) if not c.bad() else \
        c.pick(-1, shape[axis] + 1)
    dtype = c.type()
    # All different, so that the order has one answer.
    x = c.bits.permutation(math.prod(shape)).reshape(shape)
    small = dtype.kind in "iu" and dtype.itemsize == 1
    c.feed((x % 100 if small and x.size <= 100 else x).astype(dtype))
    if c.chance(0.8) or axis != len(shape) - 1:
        c.attr(axis=c.axis(len(shape)) if c.bad() else axis)
    if c.opset >= 10:
        c.feed(ints(k))
    else:
        c.attr(k=k)
    if c.opset >= 11:
        c.attr(largest=c.pick(0, 1))
    return 2


# Moving elements about.

@draws("Transpose")
def transpose(c):
    shape = c.shape()
    c.feed(c.values(c.type(), shape))
    if c.chance(0.8) and shape:
        perm = c.rng.sample(range(len(shape)), len(shape))
        if c.bad():
            perm[0] = c.pick(-1, len(shape), perm[-1])
        c.attr(perm=perm)


@draws("Reshape")
def reshape(c):
    shape = c.shape()
    c.feed(c.values(c.type(), shape))
    to, left = [], math.prod(shape)
    while left > 1 and c.chance(0.7):
        d = c.rng.choice([d for d in range(1, min(left, 40) + 1)
                          if left % d == 0])
        to.append(d)
        left //= d
    to.append(left)
    if c.chance(0.4):
        to[c.rng.randrange(len(to))] = -1
    if c.chance(0.2):
        to[c.rng.randrange(len(to))] = 0
    if c.bad():
        to.append(c.pick(2, -1, -2, 2**40))
    if c.chance(0.3):
        c.attr(allowzero=c.pick(0, 1))
    c.feed(ints(*to))


@draws("Flatten")
def flatten(c):
    shape = c.shape()
    c.feed(c.values(c.type(), shape))
    if c.chance(0.8):
        low = -len(shape) if c.opset >= 11 else 0
        c.attr(axis=c.axis(len(shape)) if c.bad()
               else c.rng.randint(low, len(shape)))


@draws("Squeeze")
def squeeze(c):
    shape = [1 if c.chance(0.5) else d for d in c.shape()]
    c.feed(c.values(c.type(), shape))
    ones = [i for i, d in enumerate(shape) if d == 1]
    axes = None
    if ones and c.chance(0.7):
        axes = c.rng.sample(ones, c.rng.randint(1, len(ones)))
        if c.opset >= 11:
            axes = [a - len(shape) if c.chance(0.5) else a for a in axes]
    if c.bad():
        axes = [c.axis(len(shape))]
    if c.opset >= 13:
        c.feed(None if axes is None else ints(*axes))
    else:
        c.attr(axes=axes)


@draws("Unsqueeze")
def unsqueeze(c):
    shape = c.shape(c.rng.randint(0, 4))
    c.feed(c.values(c.type(), shape))
    n = c.rng.randint(1, 3)
    axes = c.rng.sample(range(len(shape) + n), n)
    if c.opset >= 11:
        axes = [a - len(shape) - n if c.chance(0.5) else a for a in axes]
    if c.bad():
        axes[0] = c.pick(axes[-1], len(shape) + n, -20)
    if c.opset >= 13:
        c.feed(ints(*axes))
    else:
        c.attr(axes=axes)


@draws("Expand")
def expand(c):
    a, b = c.broadcasting(2)
    c.feed(c.values(c.type(), a))
    if c.bad():
        b = [2**40] + b
    c.feed(ints(*b))


@draws("Tile")
def tile(c):
    shape = c.shape(most=512)
    c.feed(c.values(c.type(), shape))
    repeats = [c.pick(0, 1, 1, 2, 3) for _ in shape]
    if c.bad():
        repeats += [c.pick(-1, 2)]
    c.feed(ints(*repeats))


@draws("Concat")
def concat(c):
    shape = c.shape(c.rng.randint(1, 4), most=1024)
    axis = c.rng.randrange(len(shape))
    dtype = c.type()
    for _ in range(c.rng.randint(1, 5)):
        part = list(shape)
        part[axis] = c.dim()
        if c.bad():
            part[c.rng.randrange(len(part))] += 1
        c.feed(c.values(dtype, part))
    c.attr(axis=c.axis(len(shape)) if c.bad() else
           axis - len(shape) if c.opset >= 11 and c.chance(0.4) else axis)


@draws("Split")
def split(c):
    shape = c.shape(c.rng.randint(1, 4))
    axis = c.rng.randrange(len(shape))
    c.feed(c.values(c.type(), shape))
    if c.chance(0.8) or axis:
        c.attr(axis=c.axis(len(shape)) if c.bad() else axis)
    n = c.rng.randint(1, 4)
    cuts = sorted(c.rng.randint(0, shape[axis]) for _ in range(n - 1))
    sizes = [b - a for a, b in zip([0] + cuts, cuts + [shape[axis]])]
    if c.bad():
        sizes[0] += c.pick(1, -1)
    if c.chance(0.6):
        if c.opset >= 13:
            c.feed(ints(*sizes))
        else:
            c.attr(split=sizes)
    elif c.opset >= 18:
        c.attr(num_outputs=n)
    elif shape[axis] % n:
        c.wrong = True  # equal parts only
    return n


@draws("Slice")
def slices(c):
    shape = c.shape(c.rng.randint(1, 4))
    axes = c.rng.sample(range(len(shape)), c.rng.randint(1, len(shape)))
    c.feed(c.values(c.type(), shape))
    starts, ends, steps = [], [], []
    for a in axes:
        d = shape[a]
        starts.append(c.pick(0, c.rng.randint(-d - 2, d + 2), -2**63, 2**40))
        ends.append(c.pick(c.rng.randint(-d - 2, d + 2), d, 2**63 - 1, -2**63))
        steps.append(c.pick(1, 1, 2, 3, -1, -1, -2, 2**62, -2**63))
    if c.bad():
        steps[0] = 0
    if c.opset < 10:
        c.attr(starts=starts, ends=ends, axes=axes)
        return
    axes = [a - len(shape) if c.chance(0.4) else a for a in axes]
    if c.bad():
        axes[0] = c.pick(axes[-1], len(shape), -len(shape) - 1)
    c.feed(ints(*starts))
    c.feed(ints(*ends))
    c.feed(ints(*axes))
    if c.chance(0.8):
        c.feed(ints(*steps))


@draws("Pad")
def pad(c):
    shape = c.shape(c.rng.randint(1, 4), most=512)
    dtype = c.type()
    mode = c.pick("constant", "constant", "reflect", "edge")
    if c.opset >= 19 and c.chance(0.2):
        mode = "wrap"
    if c.chance(0.8) or mode != "constant":
        c.attr(mode="some" if c.bad() else mode)
    c.feed(c.values(dtype, shape))
    most = [max(min(d - 1, 4), 0) if mode != "constant" else 4 for d in shape]
    pads = [c.rng.randint(0, m) for m in most + most]
    if c.chance(0.2):
        i = c.rng.randrange(len(pads))
        pads[i] = -c.rng.randint(0, max(shape[i % len(shape)] // 2, 0))
    if c.bad():
        pads.append(1)
    if c.opset < 11:
        c.attr(pads=pads, value=c.pick(0.0, 1.5))
        return
    c.feed(ints(*pads))
    if c.chance(0.5):
        c.feed(c.values(dtype, [], "tame"))


def indices(c, limit, shape):
    """Valid ones, of either sign; seldom one that is not."""
    low = -limit if c.opset >= 11 else 0
    x = c.bits.integers(low, max(limit, low + 1), shape)
    if x.size and c.bad():
        x.ravel()[c.rng.randrange(x.size)] = c.pick(limit, -limit - 1)
    return x.astype(c.pick(np.int32, np.int64))


@draws("Gather")
def gather(c):
    shape = c.shape(c.rng.randint(1, 4), most=512)
    axis = c.axis(len(shape))
    c.feed(c.values(c.type(), shape))
    limit = shape[axis] if -len(shape) <= axis < len(shape) else 1
    c.feed(indices(c, limit, c.shape(c.rng.randint(0, 2), most=16)))
    if c.chance(0.8) or axis:
        c.attr(axis=axis)


@draws("GatherElements")
def gather_elements(c):
    shape = c.shape(c.rng.randint(1, 3), most=512)
    axis = c.rng.randrange(-len(shape), len(shape))
    to = [c.rng.randint(0 if c.chance(0.1) else min(1, d), d) for d in shape]
    to[axis] = c.dim()
    c.feed(c.values(c.type(), shape))
    c.feed(indices(c, shape[axis], to))
    c.attr(axis=axis)


@draws("GatherND")
def gather_nd(c):
    shape = c.shape(c.rng.randint(1, 4), most=512)
    k = c.rng.randint(1, len(shape))
    c.feed(c.values(c.type(), shape))
    c.feed(tuples(c, shape[:k]))


def tuples(c, dims):
    rows = c.shape(c.rng.randint(0, 2), most=8)
    parts = [c.bits.integers(-d if c.opset >= 12 else 0, max(d, 1), rows)
             for d in dims]
    x = np.stack(parts, -1).astype(np.int64)
    if x.size and c.bad():
        x.ravel()[0] = c.pick(dims[0], -dims[0] - 1)
    return x


@draws("ScatterElements")
def scatter_elements(c):
    shape = c.shape(c.rng.randint(1, 3), most=256)
    axis = c.rng.randrange(-len(shape), len(shape))
    dtype = c.type()
    to = [c.rng.randint(min(1, d), d) for d in shape]
    reduction = c.pick(None, "none", "add", "mul", "max", "min")
    if c.bad():
        reduction = "some"
    # Each element once, where the last of several would be left open.
    order = np.argsort(c.bits.random(to if math.prod(to) else [0] * len(to)),
                       axis)
    c.feed(c.values(dtype, shape, "small"))
    c.feed(order.astype(c.pick(np.int32, np.int64)), None)
    c.feed(c.values(dtype, order.shape, "small"))
    c.attr(axis=axis)
    if c.opset >= 16:
        c.attr(reduction=reduction)


@draws("ScatterND")
def scatter_nd(c):
    shape = c.shape(c.rng.randint(1, 3), most=256)
    dtype = c.type()
    k = c.rng.randint(1, len(shape))
    n = math.prod(shape[:k])
    m = c.rng.randint(0, min(n, 8))
    flat = c.rng.sample(range(n), m)
    at = np.stack(np.unravel_index(np.array(flat, np.int64), shape[:k]), -1) \
        if n else np.zeros((0, k))
    c.feed(c.values(dtype, shape, "small"))
    c.feed(at.astype(np.int64))
    c.feed(c.values(dtype, [m, *shape[k:]], "small"))
    if c.opset >= 16:
        c.attr(reduction=c.pick(None, "none", "add", "mul", "max", "min"))


@draws("OneHot")
def one_hot(c):
    depth = c.rng.randint(1, 6) if not c.bad() else c.pick(0, -1)
    shape = c.shape(c.rng.randint(0, 3), most=128)
    x = c.bits.integers(-8, 8, shape).astype(c.pick(np.int64, np.int32))
    c.feed(x)
    c.feed(np.array(depth, np.int64) if c.chance(0.5) else ints(depth))
    c.feed(c.values(c.type(2), [2], "tame"))
    if c.chance(0.7):
        c.attr(axis=c.rng.randint(-len(shape) - 1, len(shape)))


@draws("Compress")
def compress(c):
    shape = c.shape(c.rng.randint(1, 3))
    c.feed(c.values(c.type(), shape))
    n = math.prod(shape)
    if c.chance(0.7):
        axis = c.axis(len(shape))
        c.attr(axis=axis)
        if -len(shape) <= axis < len(shape):
            n = shape[axis]
    c.feed(c.values(np.dtype(bool), [c.rng.randint(0, min(n, 64))]))


@draws("Trilu")
def trilu(c):
    shape = c.shape(c.rng.randint(2, 4))
    c.feed(c.values(c.type(), shape))
    if c.chance(0.7):
        k = c.pick(c.rng.randint(-6, 6), 2**62, -2**63, 2**63 - 1)
        c.feed(np.array(k, np.int64))
    c.attr(upper=c.pick(0, 1))


@draws("EyeLike")
def eye_like(c):
    c.feed(c.values(c.type(), c.shape(2), "tame"))
    c.attr(k=c.pick(None, c.rng.randint(-6, 6)),
           dtype=c.pick(None, 1, 7, 11, 6))


@draws("Range")
def numbers(c):
    dtype = c.type()
    step = c.pick(1, 2, 3, -1, -2, 0.5, 0)
    if dtype.kind == "i":
        step = int(step)
    for v in (c.rng.randint(-9, 9), c.rng.randint(-9, 9), step):
        c.feed(np.array(v).astype(dtype))


@draws("ConstantOfShape")
def constant_of_shape(c):
    shape = c.shape()
    if c.bad():
        shape = [c.pick(-1, 2**62), 3]
    c.feed(ints(*shape))


@draws("DepthToSpace", "SpaceToDepth")
def blocks(c):
    b = c.rng.randint(1, 3)
    n, ch, h, w = (c.rng.randint(1, 4) for _ in range(4))
    if c.op == "DepthToSpace":
        shape = [n, ch * b * b, h, w]
    else:
        shape = [n, ch, h * b, w * b]
    if c.bad():
        shape[c.rng.randrange(1, 4)] += 1
    c.feed(c.values(c.type(), shape))
    c.attr(blocksize=c.pick(0, -1) if c.bad() else b)
    if c.opset >= 11:
        c.attr(mode=c.pick(None, "DCR", "CRD"))


@draws("ReverseSequence")
def reverse_sequence(c):
    shape = c.shape(c.rng.randint(2, 4))
    batch = c.pick(0, 1)
    c.attr(batch_axis=batch, time_axis=1 - batch)
    c.feed(c.values(c.type(), shape))
    t = shape[1 - batch]
    c.feed(c.bits.integers(min(t, 1), t + 1, shape[batch]))


# Products and windows.

@draws("MatMul")
def mat_mul(c):
    dtype = c.type()
    m, k, n = c.dim(), c.dim(), c.dim()
    left, right = c.broadcasting(2)
    left, right = left[-2:], right[-2:]
    if math.prod(left or [1]) * math.prod(right or [1]) > 64:
        left = right = []
    a, b = left + [m, k], right + [k, n]
    if c.chance(0.1):
        a = [k]
    if c.chance(0.1):
        b = [k]
    if c.bad():
        a[-1] += 1
    c.feed(c.values(dtype, a, "tame"))
    c.feed(c.values(dtype, b, "tame"))
    c.scale = 16.0 * k


@draws("Gemm")
def gemm(c):
    dtype = c.type()
    m, k, n = c.dim(), c.dim(), c.dim()
    ta, tb = c.pick(0, 1), c.pick(0, 1)
    alpha, beta = c.pick(1.0, 0.5, -2.0, 0.0), c.pick(1.0, 0.25, 0.0)
    c.attr(transA=ta, transB=tb)
    if c.chance(0.6):
        # Whole factors for whole numbers: others are left open.
        whole = dtype.kind in "iu"
        c.attr(alpha=1.0 if whole else alpha, beta=1.0 if whole else beta)
    c.feed(c.values(dtype, [k, m] if ta else [m, k], "tame"))
    c.feed(c.values(dtype, [n, k] if tb else [k, n], "tame"))
    if c.opset < 11 or c.chance(0.8):
        c.feed(c.values(dtype, c.pick([m, n], [1, n], [n], [m, 1], [1], []),
                        "tame"))
    c.scale = 32.0 * (k + 1)


def window(c, spatial):
    """Kernel, strides, dilations and pads that fit the spatial sizes."""
    rank = len(spatial)
    kernel = [c.rng.randint(1, 4) for _ in spatial]
    dilations = [c.pick(1, 1, 1, 2, 3) for _ in spatial]
    strides = [c.pick(1, 1, 2, 3) for _ in spatial]
    c.attr(kernel_shape=kernel)
    if c.chance(0.7):
        c.attr(strides=strides)
    if c.chance(0.3):
        c.attr(dilations=dilations)
    chance = c.rng.random()
    if chance < 0.25:
        c.attr(auto_pad=c.pick("SAME_UPPER", "SAME_LOWER", "VALID"))
        if c.attrs["auto_pad"] != "VALID":
            c.attrs.pop("dilations", None)
    elif chance < 0.8:
        c.attr(pads=[c.rng.randint(0, k - 1) for k in kernel + kernel])
    if c.bad():
        name = c.pick("kernel_shape", "strides", "pads")
        c.attr(**{name: [c.pick(0, -1)] * (2 * rank if name == "pads"
                                           else rank)})
    return kernel


def picture(c, rank):
    return [c.rng.randint(1, [0, 40, 14, 6][rank]) for _ in range(rank)]


@draws("Conv")
def conv(c):
    rank = c.pick(1, 2, 2, 2, 3)
    spatial = picture(c, rank)
    kernel = window(c, spatial)
    group = c.pick(1, 1, 2, 3)
    per, out = c.rng.randint(1, 9), group * c.rng.randint(1, 9)
    if c.chance(0.2):
        per, group = 1, c.rng.randint(2, 20)
        out = group
    dtype = c.type()
    c.attr(group=c.pick(0, -1, 7) if c.bad() else group)
    if c.chance(0.3) and not c.bad():
        c.attrs.pop("kernel_shape")
    c.feed(c.values(dtype, [c.rng.randint(1, 2), per * group, *spatial],
                    "tame"))
    c.feed(c.values(dtype, [out, per, *kernel], "tame"))
    if c.chance(0.6):
        c.feed(c.values(dtype, [out], "tame"))
    c.scale = 16.0 * (per * math.prod(kernel) + 1)


@draws("ConvTranspose")
def conv_transpose(c):
    rank = c.pick(1, 2, 2, 3)
    spatial = [min(d, 8) for d in picture(c, rank)]
    kernel = window(c, spatial)
    group = c.pick(1, 1, 2)
    per, out = c.rng.randint(1, 5), c.rng.randint(1, 5)
    dtype = c.type()
    c.attr(group=group)
    c.attrs.pop("auto_pad", None)
    c.feed(c.values(dtype, [1, per * group, *spatial], "tame"))
    c.feed(c.values(dtype, [per * group, out, *kernel], "tame"))
    if c.chance(0.5):
        c.feed(c.values(dtype, [out * group], "tame"))
    c.scale = 16.0 * (per * math.prod(kernel) + 1)


@draws("MaxPool", "AveragePool", "LpPool")
def pool(c):
    rank = c.pick(1, 2, 2, 2, 3)
    spatial = picture(c, rank)
    window(c, spatial)
    if c.op == "AveragePool":
        c.attr(count_include_pad=c.pick(None, 0, 1))
    if c.op == "LpPool":
        c.attr(p=c.pick(None, 1, 2, 3))
    if c.chance(0.4) and "auto_pad" not in c.attrs:
        c.attr(ceil_mode=c.pick(0, 1))
    c.feed(c.values(c.type(), [c.rng.randint(1, 2), c.rng.randint(1, 9),
                               *spatial], "tame"))
    c.scale = 4.0


@draws("GlobalAveragePool", "GlobalMaxPool")
def global_pool(c):
    c.feed(c.values(c.type(), [2, c.rng.randint(1, 9),
                               *picture(c, c.rng.randint(1, 3))], "tame"))
    c.scale = 4.0


@draws("LRN")
def lrn(c):
    c.attr(size=c.pick(1, 3, 5), alpha=c.pick(None, 0.01), beta=c.pick(
        None, 0.5), bias=c.pick(None, 2.0))
    c.feed(c.values(c.type(), [1, c.rng.randint(1, 9), 3, 4], "tame"))


@draws("BatchNormalization", "InstanceNormalization")
def normalization(c):
    dtype = c.type()
    ch = c.rng.randint(1, 9)
    spatial = picture(c, c.rng.randint(1, 3))
    c.attr(epsilon=c.pick(None, 1e-3))
    c.feed(c.values(dtype, [2, ch, *spatial], "tame"))
    n = 2 if c.op == "InstanceNormalization" else 4
    for i in range(n):
        size = ch + 1 if c.bad() else ch
        c.feed(c.values(dtype, [size], "positive" if i == 3 else "tame"))
    c.scale = 64.0


@draws("LayerNormalization", "RMSNormalization")
def layer_normalization(c):
    dtype = c.type()
    shape = [max(d, 1) for d in c.shape(c.rng.randint(1, 4), most=1024)]
    axis = c.rng.randrange(-len(shape), len(shape))
    c.attr(axis=axis, epsilon=c.pick(None, 1e-3))
    c.feed(c.values(dtype, shape, "tame"))
    c.feed(c.values(dtype, shape[axis:], "tame"))
    if c.op == "LayerNormalization" and c.chance(0.6):
        c.feed(c.values(dtype, shape[axis:], "tame"))
    c.scale = 64.0


@draws("QuantizeLinear")
def quantize(c):
    shape = [max(d, 1) for d in c.shape(c.rng.randint(1, 4))]
    code = np.dtype(c.pick(np.int8, np.uint8))
    c.feed(c.values(np.dtype("float32"), shape, "any"))
    scales(c, shape, code)


@draws("DequantizeLinear")
def dequantize(c):
    shape = [max(d, 1) for d in c.shape(c.rng.randint(1, 4))]
    code = np.dtype(c.pick(np.int8, np.uint8))
    c.feed(c.values(code, shape, "any"))
    scales(c, shape, code)


def scales(c, shape, code):
    to = []
    if c.opset >= 13 and c.chance(0.5):
        axis = c.rng.randrange(-len(shape), len(shape))
        c.attr(axis=axis)
        to = [shape[axis]]
    c.feed(c.values(np.dtype("float32"), to, "positive"))
    if c.chance(0.7):
        c.feed(c.values(code, to, "small"))
    elif c.op == "QuantizeLinear":
        pass


@draws("DynamicQuantizeLinear")
def dynamic_quantize(c):
    c.feed(c.values(np.dtype("float32"), c.shape(), "tame"))
    return 3


@draws("MatMulInteger")
def mat_mul_integer(c):
    a, b = (np.dtype(c.pick(np.int8, np.uint8)) for _ in range(2))
    m, k, n = (c.rng.randint(1, 20) for _ in range(3))
    c.feed(c.values(a, [m, k]))
    c.feed(c.values(b, [k, n]))
    if c.chance(0.6):
        c.feed(c.values(a, [], "small"))
        if c.chance(0.6):
            c.feed(c.values(b, c.pick([], [n]), "small"))
