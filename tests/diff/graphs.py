"""Random graphs of 5..40 nodes with valid types.

Each value knows its shape, a bound of its magnitude and whether it is exact
(whole numbers that float32 holds): operators that jump (Greater, Floor, …)
take exact values only, since a last bit before the jump is a step after it.
It knows also of what magnitude the last bits were that got lost on the way to
it: Tanh of a sum of thousands that cancel is off by as much as the sum.
"""
import math

import numpy as np
from onnx import helper

OPSET = 17
F32 = np.dtype("float32")
EXACT = 2.0**20  # bound up to which sums and products stay whole
LOST = 2.0**12  # behind larger sums differences would hide what is wrong


class Value:
    def __init__(self, name, shape, bound, exact, lost=0.0):
        self.name, self.shape = name, list(shape)
        self.bound, self.exact = bound, exact
        self.lost = lost if exact else max(lost, min(bound, LOST))


class Graph:
    def __init__(self, case):
        self.c, self.values, self.used = case, [], set()
        for _ in range(case.rng.randint(1, 3)):
            self.source([case.rng.randint(1, 9) for _ in range(
                case.rng.randint(2, 4))], constant=False)

    def source(self, shape, constant=True, bound=8.0):
        name = f"x{len(self.c.tensors)}"
        array = np.clip(self.c.values(F32, shape, "small"), -bound, bound)
        self.c.declare(name, array, constant)
        value = Value(name, shape, bound, True)
        self.values.append(value)
        return value

    def node(self, op, inputs, shape, bound, exact, **attrs):
        name = f"v{len(self.c.nodes)}"
        self.c.nodes.append(helper.make_node(
            op, [getattr(i, "name", i) for i in inputs], [name], **attrs))
        self.used.update(getattr(i, "name", i) for i in inputs)
        value = Value(name, shape, bound, exact and bound <= EXACT,
                      max(getattr(i, "lost", 0.0) for i in inputs))
        self.values.append(value)
        return value

    def constant(self, array):
        name = f"x{len(self.c.tensors)}"
        self.c.declare(name, np.array(array, np.int64), True)
        return name

    def any(self, **want):
        fit = [v for v in self.values if
               (not want.get("exact") or v.exact)
               and len(v.shape) >= want.get("rank", 0)
               and len(v.shape) == want.get("ranks", len(v.shape))]
        # The newest half more often, so that the graph grows deep.
        if fit and self.c.chance(0.6):
            fit = fit[len(fit) // 2:]
        return self.c.rng.choice(fit) if fit else None


def unary(g):
    op, bound = g.c.pick(("Sigmoid", 1.0), ("Tanh", 1.0), ("Softsign", 1.0),
                         ("Erf", 1.0), ("Relu", 0), ("Neg", 0), ("Abs", 0),
                         ("LeakyRelu", 0), ("HardSigmoid", 1.0), ("Elu", 0))
    x = g.any()
    exact = x.exact and op in ("Relu", "Neg", "Abs")
    g.node(op, [x], x.shape, bound or x.bound, exact)


def rounding(g):
    x = g.any(exact=True)
    half = g.node("Mul", [x, g.source([], bound=2.0)], x.shape,
                  x.bound * 2, True)
    g.node(g.c.pick("Floor", "Ceil", "Round", "Sign"), [half], half.shape,
           half.bound, True)


def binary(g):
    x = g.any()
    same = [v for v in g.values if v.shape == x.shape]
    y = g.c.rng.choice(same)
    if g.c.chance(0.5):
        cut = g.c.rng.randint(0, len(x.shape))
        y = g.source([1 if g.c.chance(0.3) else d for d in x.shape[cut:]])
    op = g.c.pick("Add", "Sub", "Mul", "Max", "Min")
    if op == "Mul" and x.bound * y.bound > 1e6:
        op = "Max"
    bound = {"Mul": x.bound * y.bound, "Add": x.bound + y.bound,
             "Sub": x.bound + y.bound}.get(op, max(x.bound, y.bound))
    pair = [x, y] if g.c.chance(0.7) else [y, x]
    g.node(op, pair, x.shape, bound, x.exact and y.exact)


def choice(g):
    x = g.any(exact=True)
    y = g.source(x.shape)
    flag = g.node(g.c.pick("Greater", "Less", "Equal"), [x, y], x.shape, 1,
                  True)
    g.values.remove(flag)  # not of type float
    g.node("Where", [flag, x, y], x.shape, max(x.bound, y.bound), True)


def cast(g):
    x = g.any(exact=True)
    whole = g.node("Cast", [x], x.shape, x.bound, True, to=g.c.pick(6, 7))
    g.values.remove(whole)
    g.node("Cast", [whole], x.shape, x.bound, True, to=1)


def transpose(g):
    x = g.any(rank=1)
    perm = g.c.rng.sample(range(len(x.shape)), len(x.shape))
    g.node("Transpose", [x], [x.shape[p] for p in perm], x.bound, x.exact,
           perm=perm)


def reshape(g):
    x = g.any()
    n = math.prod(x.shape)
    fit = [d for d in range(1, min(n, 50) + 1) if n % d == 0] or [1]
    d = g.c.rng.choice(fit)
    g.node("Reshape", [x, g.constant([d, n // d])], [d, n // d], x.bound,
           x.exact)


def ones(g):
    x = g.any()
    if 1 in x.shape:
        at = x.shape.index(1)
        g.node("Squeeze", [x, g.constant([at])],
               x.shape[:at] + x.shape[at + 1:], x.bound, x.exact)
    elif len(x.shape) < 5:
        at = g.c.rng.randint(0, len(x.shape))
        g.node("Unsqueeze", [x, g.constant([at])],
               x.shape[:at] + [1] + x.shape[at:], x.bound, x.exact)


def concat(g):
    x = g.any(rank=1)
    parts = [x] + [v for v in g.values if v.shape == x.shape][:2]
    axis = g.c.rng.randrange(len(x.shape))
    shape = list(x.shape)
    shape[axis] *= len(parts)
    if math.prod(shape) <= 8192:
        g.node("Concat", parts, shape, max(p.bound for p in parts),
               all(p.exact for p in parts), axis=axis)


def slices(g):
    x = g.any(rank=1)
    axis = g.c.rng.randrange(len(x.shape))
    d = x.shape[axis]
    start, step = g.c.rng.randrange(max(d, 1)), g.c.pick(1, 2)
    end = g.c.rng.randint(start, d)
    shape = list(x.shape)
    shape[axis] = len(range(start, end, step))
    if shape[axis]:
        g.node("Slice", [x, *(g.constant([v]) for v in
                              (start, end, axis, step))], shape, x.bound,
               x.exact)


def pad(g):
    x = g.any(rank=1)
    pads = [g.c.pick(0, 1, 2) for _ in x.shape * 2]
    n = len(x.shape)
    shape = [d + pads[i] + pads[i + n] for i, d in enumerate(x.shape)]
    if math.prod(shape) <= 8192:
        g.node("Pad", [x, g.constant(pads)], shape, x.bound, x.exact)


def gather(g):
    x = g.any(rank=1)
    axis = g.c.rng.randrange(len(x.shape))
    d = x.shape[axis]
    at = [g.c.rng.randrange(-d, d) for _ in range(g.c.rng.randint(1, 4))]
    shape = list(x.shape)
    shape[axis] = len(at)
    g.node("Gather", [x, g.constant(at)], shape, x.bound, x.exact, axis=axis)


def reduction(g):
    x = g.any(rank=1)
    axis = g.c.rng.randrange(len(x.shape))
    keep = g.c.pick(0, 1)
    shape = [1 if i == axis else d for i, d in enumerate(x.shape)
             if i != axis or keep]
    op = g.c.pick("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1")
    bound = x.bound * (x.shape[axis] if op == "ReduceL1" else 1)
    g.node(op, [x], shape, bound, x.exact and op != "ReduceMean",
           axes=[axis], keepdims=keep)


def softmax(g):
    x = g.any(rank=1)
    g.node("Softmax", [x], x.shape, 1.0, False,
           axis=g.c.rng.randrange(-len(x.shape), len(x.shape)))


def product(g):
    x = g.any(rank=2)
    k, n = x.shape[-1], g.c.rng.randint(1, 20)
    y = g.source([k, n], bound=2.0)
    g.node("MatMul", [x, y], x.shape[:-1] + [n], x.bound * 2 * k, x.exact)


def gemm(g):
    x = g.any(ranks=2)
    if x is None:
        return
    n, flip = g.c.rng.randint(1, 20), g.c.pick(0, 1)
    k = x.shape[1]
    y = g.source([n, k] if flip else [k, n], bound=2.0)
    z = g.source([n])
    g.node("Gemm", [x, y, z], [x.shape[0], n], x.bound * 2 * k + 8, x.exact,
           transB=flip)


def image(g):
    """A convolution as exporters write it, with what follows."""
    x = g.any(ranks=4)
    if x is None:
        x = g.source([1, g.c.rng.randint(1, 5), 6, 7], constant=False)
    n, ch, h, w = x.shape
    k, out = g.c.pick(1, 3), g.c.rng.randint(1, 9)
    y = g.source([out, ch, k, k], bound=2.0)
    z = g.source([out])
    # Not exact: Winograd's way to compute it has fractions.
    v = g.node("Conv", [x, y, z], [n, out, h, w],
               x.bound * 2 * ch * k * k + 8, False, kernel_shape=[k, k],
               pads=[k // 2] * 4)
    if g.c.chance(0.4):
        ps = [g.source([out], bound=2.0) for _ in range(3)]
        name = f"x{len(g.c.tensors)}"
        g.c.declare(name, np.full(out, 2, F32), True)
        v = g.node("BatchNormalization", [v, *ps, name], v.shape,
                   (v.bound + 2) * 2 + 2, False)
    if g.c.chance(0.5):
        v = g.node("Relu", [v], v.shape, v.bound, v.exact)
    if g.c.chance(0.4) and h > 1 and w > 1:
        g.node(g.c.pick("MaxPool", "AveragePool"), [v],
               [n, out, h // 2, w // 2], v.bound, False, kernel_shape=[2, 2],
               strides=[2, 2])


STEPS = [unary, unary, rounding, binary, binary, binary, choice, cast,
         transpose, reshape, ones, concat, slices, pad, gather, reduction,
         softmax, product, gemm, image, image]


def draw(c):
    """Fill case `c`."""
    c.opset = OPSET
    g = Graph(c)
    n = c.rng.randint(5, 40)
    for _ in range(4 * n):
        if len(c.nodes) >= n:
            break
        step = c.rng.choice(STEPS)
        step(g)
        # What grows beyond reason is brought back.
        last = g.values[-1]
        if last.bound > 1e6:
            g.node("Tanh", [last], last.shape, 1.0, False)
    made = {y for node in c.nodes for y in node.output}
    values = {v.name: v for v in g.values}
    c.outputs = [y for node in c.nodes for y in node.output if y in values and
                 (y not in g.used or c.chance(0.1)) and y in made]
    c.scale = max(max(values[y].bound, values[y].lost) for y in c.outputs)
