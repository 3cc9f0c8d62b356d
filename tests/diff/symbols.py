"""Random nets whose inputs have free sizes and whose shapes are computed by
their own nodes, run at several sizes: what one session plans for one size
must not stay behind for the next.

A vector or number of integers is kept as its value for each of the sizes, a
float tensor as its shape for each, so that most nets fit for all sizes; now
and then one does not, which all have to notice.
"""
import math

import numpy as np
from onnx import helper

OPSET = 17
RUNS = 3
MOST = 4096


class Ints:
    def __init__(self, name, values):
        self.name, self.values = name, [np.asarray(v, np.int64) for v in values]

    def natural(self, low=0, high=64):
        return all((v >= low).all() and (v <= high).all()
                   for v in self.values)


class Floats:
    def __init__(self, name, shapes):
        self.name, self.shapes = name, [tuple(int(d) for d in s)
                                        for s in shapes]
        self.rank = len(self.shapes[0])


class Net:
    def __init__(self, case):
        self.c, self.ints, self.floats, self.n = case, [], [], 0

    def constant(self, values, dtype=np.int64):
        name = f"k{len(self.c.tensors)}"
        self.c.declare(name, np.array(values, dtype), True)
        return name

    def add(self, op, inputs, **attrs):
        self.n += 1
        name = f"v{self.n}"
        self.c.nodes.append(helper.make_node(op, inputs, [name], name, **attrs))
        return name

    def keep_ints(self, name, values):
        if all(np.abs(np.asarray(v)).max(initial=0) < 2**20 for v in values):
            self.ints.append(Ints(name, values))

    def keep_floats(self, name, shapes):
        if all(math.prod(s) <= MOST for s in shapes):
            self.floats.append(Floats(name, shapes))
            return True
        self.c.nodes.pop()
        return False

    def vector(self, **want):
        fit = [v for v in self.ints if v.values[0].ndim == 1
               and v.natural(**want)]
        return self.c.rng.choice(fit) if fit else None


def shape(g):
    x = g.c.rng.choice(g.floats)
    if x.rank:
        g.keep_ints(g.add("Shape", [x.name]), x.shapes)


def size(g):
    x = g.c.rng.choice(g.floats)
    g.keep_ints(g.add("Unsqueeze", [g.add("Size", [x.name]), g.constant([0])]),
                [[math.prod(s)] for s in x.shapes])


def pick_one(g):
    v = g.vector()
    if v is None or not len(v.values[0]):
        return
    i = g.c.rng.randrange(-len(v.values[0]), len(v.values[0]))
    one = g.add("Gather", [v.name, g.constant(i)], axis=0)
    g.keep_ints(g.add("Unsqueeze", [one, g.constant([0])]),
                [[w[i]] for w in v.values])


def cut(g):
    v = g.vector()
    if v is None:
        return
    a, b = g.c.rng.randint(-3, 3), g.c.pick(1, 2, -1, 2**31 - 1)
    g.keep_ints(g.add("Slice", [v.name, g.constant([a]), g.constant([b])]),
                [w[a:b] for w in v.values])


def join(g):
    vs = [v for v in (g.vector() for _ in range(g.c.rng.randint(2, 3))) if v]
    if vs and sum(len(v.values[0]) for v in vs) <= 6:
        g.keep_ints(g.add("Concat", [v.name for v in vs], axis=0),
                    [np.concatenate(w) for w in zip(*(v.values for v in vs))])


def arithmetic(g):
    v = g.vector()
    if v is None:
        return
    same = [w for w in g.ints if w.values[0].shape == v.values[0].shape]
    w = g.c.rng.choice(same)
    if g.c.chance(0.6):
        k = g.c.pick(1, 2, 3, 4, 7)
        w = Ints(g.constant([k]), [[k]] * RUNS)
    op, f = g.c.pick(("Add", np.add), ("Sub", np.subtract),
                     ("Mul", np.multiply), ("Min", np.minimum),
                     ("Max", np.maximum), ("Div", np.floor_divide),
                     ("Mod", np.mod))
    if op in ("Div", "Mod") and not w.natural(low=1, high=2**20):
        return
    g.keep_ints(g.add(op, [v.name, w.name]),
                [f(a, b) for a, b in zip(v.values, w.values)])


def through_floats(g):
    """What resizing exporters write: floor(n * scale)."""
    v = g.vector()
    if v is None:
        return
    scale = g.c.pick(2.0, 0.5, 1.5, 3.0)
    f = g.add("Cast", [v.name], to=1)
    f = g.add("Floor", [g.add("Mul", [f, g.constant([scale], np.float32)])])
    g.keep_ints(g.add("Cast", [f], to=7),
                [np.floor(w * scale) for w in v.values])


def all_of_them(g):
    v = g.vector(high=40)
    if v is None or not len(v.values[0]):
        return
    op, f = g.c.pick(("ReduceProd", np.prod), ("ReduceMax", np.max),
                     ("ReduceMin", np.min))
    g.keep_ints(g.add(op, [v.name], keepdims=1), [[f(w)] for w in v.values])


def guarded(g):
    """torch's Expand: 1 in place of -1."""
    v = g.vector()
    if v is None:
        return
    k = g.c.pick(-1, 0, 1, 3)
    flag = g.add("Equal", [v.name, g.constant([k])])
    g.keep_ints(g.add("Where", [flag, g.constant([1]), v.name]),
                [np.where(w == k, 1, w) for w in v.values])


def set_one(g):
    v, w = g.vector(), g.vector()
    if v is None or w is None or not len(v.values[0]) or \
            len(w.values[0]) != 1:
        return
    i = g.c.rng.randrange(len(v.values[0]))
    values = [a.copy() for a in v.values]
    for a, b in zip(values, w.values):
        a[i] = b[0]
    g.keep_ints(g.add("ScatterND", [v.name, g.constant([[i]]), w.name]),
                values)


def unary(g):
    x = g.c.rng.choice(g.floats)
    g.keep_floats(g.add(g.c.pick("Relu", "Neg", "Abs"), [x.name]), x.shapes)


def binary(g):
    x, y = g.c.rng.choice(g.floats), g.c.rng.choice(g.floats)
    try:
        shapes = [np.broadcast_shapes(a, b)
                  for a, b in zip(x.shapes, y.shapes)]
    except ValueError:
        if not g.c.chance(0.02):
            return
        shapes = x.shapes
    g.keep_floats(g.add(g.c.pick("Add", "Max", "Sub"), [x.name, y.name]),
                  shapes)


def turn(g):
    x = g.c.rng.choice(g.floats)
    if not x.rank:
        return
    perm = g.c.rng.sample(range(x.rank), x.rank)
    g.keep_floats(g.add("Transpose", [x.name], perm=perm),
                  [[s[p] for p in perm] for s in x.shapes])


def reshape(g):
    """To a computed shape that fits all sizes, or to what a -1 leaves."""
    x = g.c.rng.choice(g.floats)
    fit = [v for v in g.ints if v.values[0].ndim == 1 and v.natural(low=1)
           and all(math.prod(w.tolist()) == math.prod(s)
                   for w, s in zip(v.values, x.shapes))]
    if fit and g.c.chance(0.7):
        v = g.c.rng.choice(fit)
        g.keep_floats(g.add("Reshape", [x.name, v.name]), v.values)
        return
    v = g.vector(low=1)
    if v is None or (any(math.prod(s) % math.prod(w.tolist())
                         for w, s in zip(v.values, x.shapes))
                     and not g.c.chance(0.02)):
        return
    name = g.add("Concat", [v.name, g.constant([-1])], axis=0)
    g.keep_floats(g.add("Reshape", [x.name, name]),
                  [w.tolist() + [math.prod(s) // math.prod(w.tolist())]
                   for w, s in zip(v.values, x.shapes)])


def expand(g):
    x, v = g.c.rng.choice(g.floats), g.vector(high=20)
    if v is None:
        return
    try:
        shapes = [np.broadcast_shapes(s, tuple(w.tolist()))
                  for s, w in zip(x.shapes, v.values)]
    except ValueError:
        return
    g.keep_floats(g.add("Expand", [x.name, v.name]), shapes)


def fill(g):
    v = g.vector(high=20)
    if v is not None and len(v.values[0]) <= 4:
        value = helper.make_tensor("value", 1, [1], [0.5])
        g.keep_floats(g.add("ConstantOfShape", [v.name], value=value),
                      v.values)


def count(g):
    v = g.vector(high=200)
    if v is None or len(v.values[0]) != 1:
        return
    n = g.add("Squeeze", [v.name, g.constant([0])])
    step = g.c.pick(1, 2, 3)
    r = g.add("Range", [g.constant(0), n, g.constant(step)])
    g.keep_floats(g.add("Cast", [r], to=1),
                  [[-(-int(w[0]) // step)] for w in v.values])


def slice_to(g):
    x, v = g.c.rng.choice(g.floats), g.vector()
    if v is None or len(v.values[0]) != 1 or not x.rank:
        return
    axis, step = g.c.rng.randrange(x.rank), g.c.pick(1, 1, 2)
    start = g.c.pick(0, 0, 1, -2)
    shapes = [list(s) for s in x.shapes]
    for s, w in zip(shapes, v.values):
        s[axis] = len(range(s[axis])[start:int(w[0]):step])
    g.keep_floats(g.add("Slice", [x.name, g.constant([start]), v.name,
                                  g.constant([axis]), g.constant([step])]),
                  shapes)


def tile(g):
    x = g.c.rng.choice(g.floats)
    fit = [v for v in g.ints if v.values[0].shape == (x.rank,)
           and v.natural(high=4)]
    if fit:
        v = g.c.rng.choice(fit)
        g.keep_floats(g.add("Tile", [x.name, v.name]),
                      [np.multiply(s, w) for s, w in zip(x.shapes, v.values)])


def concat(g):
    x = g.c.rng.choice(g.floats)
    if not x.rank:
        return
    axis = g.c.rng.randrange(x.rank)
    fit = [y for y in g.floats if y.rank == x.rank and all(
        a[:axis] + a[axis + 1:] == b[:axis] + b[axis + 1:]
        for a, b in zip(x.shapes, y.shapes))]
    y = g.c.rng.choice(fit)
    g.keep_floats(g.add("Concat", [x.name, y.name], axis=axis),
                  [a[:axis] + (a[axis] + b[axis],) + a[axis + 1:]
                   for a, b in zip(x.shapes, y.shapes)])


def pad(g):
    x = g.c.rng.choice(g.floats)
    fit = [v for v in g.ints if v.values[0].shape == (x.rank,)
           and v.natural(high=5)]
    if not fit or not x.rank:
        return
    v = g.c.rng.choice(fit)
    pads = g.add("Concat", [v.name, v.name], axis=0)
    g.keep_floats(g.add("Pad", [x.name, pads]),
                  [np.add(s, 2 * w) for s, w in zip(x.shapes, v.values)])


def reduce(g):
    x = g.c.rng.choice(g.floats)
    if not x.rank or any(0 in s for s in x.shapes):
        return
    axis, keep = g.c.rng.randrange(x.rank), g.c.pick(0, 1)
    g.keep_floats(g.add("ReduceMax", [x.name], axes=[axis], keepdims=keep),
                  [s[:axis] + (1,) * keep + s[axis + 1:] for s in x.shapes])


STEPS = [shape, shape, size, pick_one, pick_one, cut, join, join, arithmetic,
         arithmetic, through_floats, all_of_them, guarded, set_one, unary,
         binary, binary, turn, reshape, reshape, reshape, expand, expand, fill,
         count, slice_to, slice_to, tile, concat, pad, reduce]


def draw(case):
    """Fills in the case; case.runs are the inputs of each run."""
    case.opset = OPSET
    g = Net(case)
    sizes = {s: [case.dim() if case.chance(0.3) else case.rng.randint(1, 8)
                 for _ in range(RUNS)] for s in "ab"}
    case.runs = [[] for _ in range(RUNS)]
    for i in range(case.rng.randint(1, 2)):
        dims = [case.pick("a", "b", 2, 3, 4)
                for _ in range(case.rng.randint(1, 3))]
        shapes = [[sizes[d][k] if d in sizes else d for d in dims]
                  for k in range(RUNS)]
        for k, s in enumerate(shapes):
            case.runs[k].append(
                case.values(np.dtype("float32"), s, "small"))
        case.tensors.append((f"x{i}", case.runs[0][i], dims))
        g.floats.append(Floats(f"x{i}", shapes))
    while g.n < 8 or g.n < 40 and case.chance(0.95):
        case.rng.choice(STEPS)(g)
    # All that nobody reads: what is not needed is not computed, nor refused.
    used = {x for n in case.nodes for x in n.input}
    case.outputs = [y for n in case.nodes for y in n.output if y not in used]
