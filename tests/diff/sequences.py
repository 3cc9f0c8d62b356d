"""How cases of operators on sequences and optionals are drawn, and of those
that hold graphs.  Their values cannot be a model's outputs in every engine, so
each case is a small net: what makes a sequence, the operator, and what takes
tensors out again.  Nets in nets are flow.py's.  See operators.py."""
import numpy as np
from onnx import TensorProto, helper

from case import code_of, tensor_of
from operators import I64, draws, ints

F32 = np.dtype("float32")


class Chain:
    """The nodes of a case, one behind the other."""

    def __init__(self, case):
        self.c, self.n = case, 0

    def tensor(self, array, constant=None):
        array = np.asarray(array)
        name = f"x{len(self.c.tensors)}"
        self.c.declare(name, array, self.c.chance(0.3) if constant is None
                       else constant)
        return name

    def add(self, op, inputs, n_out=1, **attrs):
        outs = [f"v{self.n + i}" for i in range(n_out)]
        self.n += n_out
        self.c.nodes.append(helper.make_node(
            op, inputs, outs, **{k: v for k, v in attrs.items()
                                 if v is not None}))
        return outs[0] if n_out == 1 else outs

    def give(self, *names):
        self.c.outputs = list(names)


def type_of(c):
    """An element type of sequences; onnxruntime lacks some in some versions."""
    return np.dtype(c.pick("float32", "float32", "int64", "float64", "bool",
                           "int32", "uint8", "object"))


def opset(c):
    if c.opset < 11:
        c.opset = 11


def members(g, dtype, n, shape=None):
    """n tensors of one rank, now and then of several."""
    c = g.c
    rank = c.rng.randint(0, 3) if shape is None else len(shape)
    return [g.tensor(c.values(dtype, shape or [
        c.rng.randint(0 if c.chance(0.1) else 1, 4) for _ in range(rank)],
        "small")) for _ in range(n)]


def position(g, n, more=0):
    """Where in a sequence of n; seldom outside of it."""
    c = g.c
    if c.bad() or n + more < 1:
        c.wrong = True
        at = c.pick(n + more, -n - 1 - more, 2**31, -2**63)
    else:
        at = c.rng.randrange(-n, n + more)
    dtype = c.pick(np.int64, np.int32) if abs(at) < 2**31 else np.int64
    return g.tensor(np.array(at, dtype))


def see(g, s, n):
    """What is in a sequence of n (as far as known): its length and members."""
    c = g.c
    outs = [g.add("SequenceLength", [s])]
    for i in sorted(c.rng.sample(range(n), min(n, c.rng.randint(1, 3)))
                    if n else []):
        outs.append(g.add("SequenceAt", [s, g.tensor(np.array(i, I64), True)]))
    g.give(*outs)


@draws("SequenceConstruct")
def construct(c):
    g = Chain(c)
    n = c.rng.randint(1, 5)
    made = members(g, type_of(c), n)
    if c.bad():
        made.append(g.tensor(c.values(np.dtype("int16"), [2], "small")))
        n += 1
    see(g, g.add("SequenceConstruct", made), n)


@draws("SequenceAt")
def at(c):
    g, n = Chain(c), c.rng.randint(1, 5)
    s = g.add("SequenceConstruct", members(g, type_of(c), n))
    g.give(g.add("SequenceAt", [s, position(g, n)]))


@draws("SequenceLength")
def length(c):
    g, n = Chain(c), c.rng.randint(1, 5)
    s = g.add("SequenceConstruct", members(g, type_of(c), n))
    for _ in range(c.rng.randint(0, min(n, 2))):
        s = g.add("SequenceErase", [s])
    g.give(g.add("SequenceLength", [s]))


@draws("SequenceEmpty")
def empty(c):
    g = Chain(c)
    # The first member decides nothing: its type has to be the sequence's.
    dtype = type_of(c)
    code = 99 if c.bad() else code_of(np.zeros(0, dtype))
    if c.bad():
        code = 7 if code != 7 else 1
    given = None if dtype == F32 and c.chance(0.5) else code
    s, n = g.add("SequenceEmpty", [], dtype=given), c.rng.randint(0, 3)
    for x in members(g, dtype, n):
        s = g.add("SequenceInsert", [s, x])
    see(g, s, n)


@draws("SequenceInsert")
def insert(c):
    g, n, dtype = Chain(c), c.rng.randint(1, 4), type_of(c)
    s = g.add("SequenceConstruct", members(g, dtype, n))
    if c.bad():
        dtype = np.dtype("int16")
    where = [position(g, n, 1)] if c.chance(0.7) else []
    see(g, g.add("SequenceInsert", [s, *members(g, dtype, 1), *where]), n + 1)


@draws("SequenceErase")
def erase(c):
    g, n = Chain(c), c.rng.randint(1, 5)
    s = g.add("SequenceConstruct", members(g, type_of(c), n))
    where = [position(g, n)] if c.chance(0.7) else []
    see(g, g.add("SequenceErase", [s, *where]), n - 1)


@draws("ConcatFromSequence")
def concat(c):
    g, dtype, n = Chain(c), type_of(c), c.rng.randint(1, 4)
    rank = c.rng.randint(0, 3)
    shape = [c.rng.randint(1, 4) for _ in range(rank)]
    new = c.pick(None, 0, 1, 1, 2 if c.bad() else 0)
    ranks = rank + (new == 1)
    axis = c.axis(ranks)
    made = []
    for _ in range(n):
        part = list(shape)
        if not new and -rank <= axis < rank:
            part[axis] = c.rng.randint(0, 4)
        if part and c.bad():
            part[c.rng.randrange(rank)] += 1
        made += members(g, dtype, 1, part) if part else [
            g.tensor(c.values(dtype, [], "small"))]
    s = g.add("SequenceConstruct", made)
    g.give(g.add("ConcatFromSequence", [s], axis=axis, new_axis=new))


@draws("SplitToSequence")
def split(c):
    g, dtype = Chain(c), type_of(c)
    shape = [c.rng.randint(0 if c.chance(0.05) else 1, 6)
             for _ in range(c.rng.randint(1, 3))]
    axis = c.axis(len(shape))
    d = shape[axis] if -len(shape) <= axis < len(shape) else 1
    x = g.tensor(c.values(dtype, shape, "small"))
    whole, form, inputs = c.pick(np.int64, np.int32), c.pick(0, 1, 2), [x]
    keep = c.pick(None, 0, 1)
    if form == 0:
        n = d
    elif form == 1:
        step = c.pick(0, -1) if c.bad() else c.rng.randint(1, 4)
        inputs.append(g.tensor(np.array(step, whole)))
        n = -(-d // step) if step > 0 else 0
    else:
        n = c.rng.randint(1, 4)
        cuts = sorted(c.rng.randint(0, d) for _ in range(n - 1))
        sizes = [b - a for a, b in zip([0] + cuts, cuts + [d])]
        if c.bad():
            sizes[0] += c.pick(1, -1)
        inputs.append(g.tensor(np.array(sizes, whole)))
    s = g.add("SplitToSequence", inputs,
              axis=None if axis == 0 and c.chance(0.5) else axis,
              keepdims=keep)
    see(g, s, n)


def info(name, dtype, shape=None):
    return helper.make_tensor_value_info(name, code_of(np.zeros(0, dtype)),
                                         shape)


@draws("SequenceMap")
def sequence_map(c):
    g, n = Chain(c), c.rng.randint(1, 4)
    if c.opset < 17:
        c.opset = 17
    shape = [c.rng.randint(1, 4) for _ in range(c.rng.randint(1, 2))]
    s = g.add("SequenceConstruct", members(g, F32, n, shape))
    more, body_in = [], [info("a", F32)]
    kind = c.pick("alone", "tensor", "sequence")
    if kind == "tensor":
        more = [g.tensor(c.values(F32, shape, "small"))]
    elif kind == "sequence":
        k = n + 1 if c.bad() else n
        more = [g.add("SequenceConstruct", members(g, F32, k, shape))]
    if more:
        body_in.append(info("b", F32))
    op = c.pick("Add", "Sub", "Mul")
    nodes = [helper.make_node(op, ["a", "b" if more else "a"], ["y0"])]
    outs, n_out = [info("y0", F32)], c.pick(1, 1, 2)
    if n_out == 2:
        nodes.append(helper.make_node("Shape", ["a"], ["y1"]))
        outs.append(info("y1", I64))
    body = helper.make_graph(nodes, "body", body_in, outs)
    made = g.add("SequenceMap", [s, *more], n_out, body=body)
    made = made if n_out > 1 else [made]
    at = g.tensor(np.array(c.rng.randrange(n), I64), True)
    g.give(*(g.add("SequenceAt", [m, at]) for m in made),
           g.add("SequenceLength", [made[0]]))


# Optionals.

def optional_opset(c):
    if c.opset < 15:
        c.opset = 15


@draws("Optional", "OptionalHasElement", "OptionalGetElement")
def optional(c):
    """With a tensor, a sequence or nothing in it."""
    optional_opset(c)
    g, dtype = Chain(c), type_of(c)
    kind = c.pick("tensor", "sequence", "none", "tensor")
    tensor = helper.make_tensor_type_proto(code_of(np.zeros(0, dtype)), None)
    if kind == "none":
        o = g.add("Optional", [], type=c.pick(
            tensor, helper.make_sequence_type_proto(tensor)))
    elif kind == "tensor":
        o = g.add("Optional", members(g, dtype, 1))
    else:
        s = g.add("SequenceConstruct", members(g, dtype, c.rng.randint(1, 3)))
        o = g.add("Optional", [s])
    outs = [g.add("OptionalHasElement", [o])]
    if c.name == "OptionalGetElement" and kind == "none" and c.chance(0.7):
        kind = "empty"
    elif kind != "none":
        y = g.add("OptionalGetElement", [o])
        outs.append(y if kind == "tensor" else
                    g.add("SequenceLength", [y]))
        kind = ""
    if kind == "empty":
        c.wrong = True  # there is nothing to get
        outs.append(g.add("OptionalGetElement", [o]))
    if c.opset >= 18 and c.name == "OptionalHasElement" and c.chance(0.5):
        outs.append(g.add("OptionalHasElement",
                          c.pick([], [""], members(g, dtype, 1))))
    g.give(*outs)


# Constants.

@draws("Constant")
def constant(c):
    g = Chain(c)
    dtype = np.dtype(c.pick("float32", "float64", "float16", "bool", "int8",
                            "uint8", "int16", "uint16", "int32", "uint32",
                            "int64", "uint64", "object"))
    form = c.pick("value", "value", "value_int", "value_ints", "value_float",
                  "value_floats", "value_string", "value_strings",
                  "sparse_value", "two" if c.bad() else "value",
                  "none" if c.bad() else "value")
    if form.startswith("value_") and c.opset < 12:
        c.opset = 12
    if form == "sparse_value" and c.opset < 11:
        c.opset = 11
    tensor = tensor_of("t", c.values(dtype, c.shape(), "any"))
    values = {"value": tensor, "value_int": c.pick(0, -1, 2**63 - 1, -2**63),
              "value_ints": [1, 2, -3], "value_float": c.pick(0.0, 1e-40, -2.5),
              "value_floats": [0.5, -1.5], "value_string": c.pick("", "ab"),
              "value_strings": ["a", "", "b"]}
    if form == "sparse_value":
        values[form] = sparse(c)
    attrs = {form: values[form]} if form in values else \
        {} if form == "none" else {"value": tensor, "value_int": 3}
    g.give(g.add("Constant", [], **attrs))


def sparse(c):
    dims = [c.rng.randint(1, 6) for _ in range(c.rng.randint(1, 3))]
    total = int(np.prod(dims))
    n = c.rng.randint(0, min(total, 5))
    flat = np.array(sorted(c.rng.sample(range(total), n)), np.int64)
    if n > 1 and c.bad():
        flat[0] = c.pick(total, -1, flat[1])
    at = flat if c.chance(0.5) or flat.size and not \
        0 <= flat[0] < total else np.stack(
            np.unravel_index(flat, dims), -1).reshape(n, len(dims))
    values = c.values(np.dtype(c.pick("float32", "int64", "float64")), [n],
                      "small")
    return helper.make_sparse_tensor(
        tensor_of("v", values), tensor_of("i", at.astype(np.int64)), dims)


# Graphs of graphs: one, of every form that flow.py does not draw.

@draws("If")
def branch(c):
    """Branches that give other shapes, types of their own and nothing but what
    is around them."""
    g, dtype = Chain(c), np.dtype(c.pick("float32", "int64", "object", "bool"))
    x = g.tensor(c.values(dtype, c.shape(c.rng.randint(0, 3), 64), "small"))
    shapes = [c.shape(c.rng.randint(0, 2), 64) for _ in range(2)]
    n_out, bodies = c.rng.randint(1, 3), []
    for which, shape in zip("te", shapes):
        nodes, outs = [], []
        for i in range(n_out):
            y = f"{which}{i}"
            if c.chance(0.5):
                nodes.append(helper.make_node("Identity", [x], [y]))
            else:
                nodes.append(helper.make_node(
                    "Constant", [], [y], value=tensor_of(
                        "t", c.values(dtype, shape, "small"))))
            outs.append(info(y, dtype))
        if c.bad():
            outs = outs[1:] or outs + [info(x, dtype)]
        bodies.append(helper.make_graph(nodes, which, [], outs))
    flag = g.tensor(np.array([c.chance(0.5)]) if c.chance(0.3) else
                    np.array(c.chance(0.5)))
    if c.bad():
        flag = g.tensor(np.array(c.pick([True, False], [1]), np.dtype(
            c.pick("bool", "int64"))))
    made = g.add("If", [flag], n_out, then_branch=bodies[0],
                 else_branch=bodies[1])
    g.give(*([made] if n_out == 1 else made))


@draws("Loop")
def loop(c):
    """Carried values whose shape grows, trips from none to many, a condition
    that is absent, constant or computed."""
    g, dtype = Chain(c), np.dtype(c.pick("float32", "int64"))
    opset(c)
    n = c.rng.randint(0, 3)
    x = g.tensor(c.values(dtype, [n], "small"))
    grows = c.chance(0.5)
    nodes = [helper.make_node("Concat", ["h", "h"] if grows else ["h"], ["h1"],
                              axis=0),
             helper.make_node("Identity", ["k"], ["k1"])]
    outs = [None, info("h1", dtype, [None])]
    n_scan = c.rng.randint(0, 2)
    if n_scan:
        nodes.append(helper.make_node("Cast", ["i"], ["s0"],
                                      to=code_of(np.zeros(0, dtype))))
        outs.append(info("s0", dtype, []))
    if n_scan > 1:
        nodes.append(helper.make_node("Identity", ["i"], ["s1"]))
        outs.append(info("s1", I64, []))
    shape = c.pick([], [], [1])  # of the condition; the body's is the same
    body = helper.make_graph(nodes, "body", [
        info("i", I64, []), info("k", np.dtype(bool), shape),
        info("h", dtype, [None])],
        [info("k1", np.dtype(bool), shape), *outs[1:]])
    trips = c.pick(0, 1, 2, 3, 5, -1, -2**63)
    first = c.pick("", True, True, False)
    made = g.add("Loop", [
        g.tensor(np.full(c.pick([], [1]), trips, np.int64)),
        "" if first == "" else g.tensor(np.full(shape, first)),
        x], 1 + n_scan, body=body)
    g.give(*([made] if not n_scan else made))


@draws("Scan")
def scan(c):
    """Several tables at once, of other ranks, and of no rows."""
    g = Chain(c)
    if c.opset < 9:
        c.opset = 9
    steps = c.rng.randint(1, 5)
    width = c.rng.randint(1, 3)
    n_in, n_carried = c.rng.randint(1, 2), c.rng.randint(0, 1)
    axes = [c.pick(0, 1, -1) if c.chance(0.6) else 0 for _ in range(n_in)]
    tables = []
    for k, axis in enumerate(axes):
        rows = steps + (1 if k and c.bad() else 0)
        tables.append(g.tensor(c.values(F32, [rows, width] if axis == 0 else
                                        [width, rows], "small")))
    carried = [g.tensor(c.values(F32, [width], "small"))
               for _ in range(n_carried)]
    names = [f"h{i}" for i in range(n_carried)] + [f"e{i}"
                                                   for i in range(n_in)]
    nodes = [helper.make_node("Add", [names[0], names[-1]], ["t"])]
    outs = []
    for i in range(n_carried):
        nodes.append(helper.make_node("Identity", ["t"], [f"g{i}"]))
        outs.append(f"g{i}")
    nodes.append(helper.make_node("Neg", ["t"], ["o"]))
    outs.append("o")
    body = helper.make_graph(nodes, "body", [info(x, F32, [width])
                                             for x in names],
                             [info(y, F32, [width]) for y in outs])
    where = 9 if c.bad() else c.pick(0, 1, -1)
    made = g.add("Scan", carried + tables, len(outs), body=body,
                 num_scan_inputs=n_in,
                 scan_input_axes=axes if any(axes) or c.chance(0.5) else None,
                 scan_input_directions=[c.pick(0, 1) for _ in range(n_in)]
                 if c.chance(0.5) else None,
                 scan_output_axes=[where] if c.chance(0.7) else None,
                 scan_output_directions=[c.pick(0, 1)]
                 if c.chance(0.5) else None)
    g.give(*([made] if len(outs) == 1 else made))
