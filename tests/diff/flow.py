"""Random nets with If, Loop, Scan and sequences in each other.

Values are vectors of whole numbers of one element type (float32 or int64), so
engines agree to the bit; a net is a list of statements, some of which hold nets
that may read whatever is visible.  See graphs.py.
"""
import numpy as np
from onnx import TensorProto, helper

F32, I64 = np.dtype("float32"), np.dtype("int64")
OPSETS = (11, 13, 16, 17, 21)
TYPE = {F32: TensorProto.FLOAT, I64: TensorProto.INT64}
DEPTH = 3
SMALL = 64.0  # bound that values are brought below, so that loops stay exact


class Net:
    """One graph being drawn; `visible` are the vectors of this and of the
    graphs around it, all of one length `n`."""

    def __init__(self, case, dtype, n, visible, depth):
        self.c, self.dtype, self.n, self.depth = case, dtype, n, depth
        self.nodes, self.visible, self.own = [], list(visible), []

    def name(self, stem="v"):
        self.c.n_names += 1
        return f"{stem}{self.c.n_names}"

    def add(self, op, inputs, n_out=1, **attrs):
        outs = [self.name() for _ in range(n_out)]
        self.nodes.append(helper.make_node(op, inputs, outs, **attrs))
        return outs if n_out > 1 else outs[0]

    def const(self, array):
        array = np.asarray(array)
        return self.add("Constant", [], value=helper.make_tensor(
            self.name("c"), helper.np_dtype_to_tensor_dtype(array.dtype),
            array.shape, array.ravel().tolist()))

    def vector(self):
        pool = self.own if self.own and self.c.chance(0.6) else self.visible
        return self.c.rng.choice(pool)

    def keep(self, name):
        """Bring a vector back to small numbers and let others read it."""
        top = self.const(np.array(SMALL, self.dtype))
        if self.dtype == F32:
            name = self.add("Mod", [name, top], fmod=1)
        else:
            name = self.add("Mod", [name, top])
        self.own.append(name)
        self.visible.append(name)
        return name

    def condition(self):
        kind = self.c.pick("input", "sum", "known")
        if kind == "known":
            return self.const(np.array(self.c.chance(0.5)))
        if kind == "input" and self.c.flags:
            return self.c.rng.choice(self.c.flags)
        total = self.add("ReduceMax", [self.vector()], keepdims=0)
        return self.add("Less", [total, self.const(
            np.array(self.c.rng.randint(-4, 8), self.dtype))])

    def info(self, name, shape=None):
        return helper.make_tensor_value_info(name, TYPE[self.dtype], shape)

    def inner(self, own=()):
        net = Net(self.c, self.dtype, self.n, self.visible, self.depth + 1)
        net.own += own
        net.visible += own
        return net


def arithmetic(net):
    op = net.c.pick("Add", "Sub", "Mul", "Neg", "Max", "Abs", "Identity")
    many = op in ("Add", "Sub", "Mul", "Max")
    if op == "Max" and net.dtype == I64 and net.c.opset < 12:
        op = "Add"
    net.keep(net.add(op, [net.vector() for _ in range(1 + many)]))


def constant(net):
    net.keep(net.const(net.c.values(net.dtype, [net.n], "small")))


def branch(net):
    n_out = net.c.rng.randint(1, 2)
    bodies = []
    for _ in range(2):
        inner = net.inner()
        fill(inner, 3)
        # What a branch gives is made in it.
        outs = [inner.add("Identity", [inner.vector()]) for _ in range(n_out)]
        bodies.append(helper.make_graph(inner.nodes, net.name("b"), [],
                                        [net.info(o) for o in outs]))
    outs = [net.name() for _ in range(n_out)]
    net.nodes.append(helper.make_node("If", [net.condition()], outs,
                                      then_branch=bodies[0],
                                      else_branch=bodies[1]))
    for out in outs:
        net.keep(out)


def loop(net):
    n_carried, n_scan = net.c.rng.randint(0, 2), net.c.rng.randint(0, 2)
    n_carried += not n_carried and not n_scan
    i, cond = net.name("i"), net.name("k")
    carried = [net.name("h") for _ in range(n_carried)]
    inner = net.inner(carried)
    fill(inner, 3)
    if net.c.chance(0.3):
        step = inner.add("Cast", [i], to=TYPE[net.dtype])
        inner.keep(inner.add("Add", [inner.vector(), step]))
    again = inner.add("Identity", [cond])
    if net.c.chance(0.3):
        total = inner.add("ReduceMin", [inner.vector()], keepdims=0)
        again = inner.add("Less", [inner.const(
            np.array(net.c.rng.randint(-20, 4), net.dtype)), total])
    outs = [inner.add("Identity", [inner.vector()])
            for _ in range(n_carried + n_scan)]
    open_ = net.c.chance(0.3)
    body = helper.make_graph(
        inner.nodes, net.name("b"),
        [helper.make_tensor_value_info(i, TensorProto.INT64, []),
         helper.make_tensor_value_info(cond, TensorProto.BOOL, [])]
        + [net.info(h, None if open_ else [net.n]) for h in carried],
        [helper.make_tensor_value_info(again, TensorProto.BOOL, [])]
        # Of no trips onnxruntime knows what is declared.
        + [net.info(o, None if open_ and k < n_carried else [net.n])
           for k, o in enumerate(outs)])
    trips = net.c.rng.choice(net.c.counts) if net.c.chance(0.4) else \
        net.const(np.array(net.c.rng.randint(0, 4), I64))
    first = "" if net.c.chance(0.4) else net.condition()
    made = [net.name() for _ in outs]
    net.nodes.append(helper.make_node(
        "Loop", [trips, first] + [net.vector() for _ in carried], made,
        body=body))
    for out in made[:n_carried]:
        net.keep(out)
    for out in made[n_carried:]:  # [trips, n]
        net.keep(net.add("ReduceSum", [out] + (
            [net.const(np.array([0], I64))] if net.c.opset >= 13 else []),
            keepdims=0, **({} if net.c.opset >= 13 else {"axes": [0]})))


def scan(net):
    n_carried, n_scan = net.c.rng.randint(0, 2), net.c.rng.randint(1, 2)
    steps = net.c.rng.randint(1, 4)
    axis, out_axis = net.c.pick(0, 1, -1, -2), net.c.pick(0, 1, -1, -2)
    shape = [steps, net.n] if axis in (0, -2) else [net.n, steps]
    table = net.const(net.c.values(net.dtype, shape, "small"))
    carried = [net.name("h") for _ in range(n_carried)]
    piece = net.name("e")
    inner = net.inner(carried + [piece])
    fill(inner, 3)
    outs = [inner.add("Identity", [inner.vector()])
            for _ in range(n_carried + n_scan)]
    body = helper.make_graph(
        inner.nodes, net.name("b"),
        [net.info(h, [net.n]) for h in carried + [piece]],
        [net.info(o, [net.n]) for o in outs])
    made = [net.name() for _ in outs]
    net.nodes.append(helper.make_node(
        "Scan", [net.vector() for _ in carried] + [table], made, body=body,
        num_scan_inputs=1, scan_input_axes=[axis],
        scan_input_directions=[net.c.pick(0, 1)],
        scan_output_axes=[out_axis] * n_scan,
        scan_output_directions=[net.c.pick(0, 1) for _ in range(n_scan)]))
    for out in made[:n_carried]:
        net.keep(out)
    for out in made[n_carried:]:
        along = [0 if out_axis in (0, -2) else 1]
        at = net.const(np.array([net.c.rng.randrange(steps)], I64))
        one = net.add("Gather", [out, at], axis=along[0])
        net.keep(net.add("Reshape", [one, net.const(np.array([net.n], I64))]))


def sequence(net):
    made = [net.vector() for _ in range(net.c.rng.randint(1, 3))]
    s, n = net.add("SequenceConstruct", made), len(made)
    for _ in range(net.c.rng.randint(0, 3)):
        at = net.c.rng.randrange(-n, n)
        where = [net.const(np.array(at, I64))] if net.c.chance(0.6) else []
        if net.c.chance(0.6):
            s, n = net.add("SequenceInsert", [s, net.vector()] + where), n + 1
        elif n > 1:
            s, n = net.add("SequenceErase", [s] + where), n - 1
    if net.c.chance(0.5):
        at = net.const(np.array(net.c.rng.randrange(-n, n), I64))
        net.keep(net.add("SequenceAt", [s, at]))
    else:
        rows = net.add("ConcatFromSequence", [s], axis=0, new_axis=1)
        net.keep(net.add("ReduceMax", [rows] if net.c.opset < 18 else
                         [rows, net.const(np.array([0], I64))], keepdims=0,
                         **({"axes": [0]} if net.c.opset < 18 else {})))


def grow(net):
    """A sequence that a loop fills."""
    i, cond, s = net.name("i"), net.name("k"), net.name("s")
    inner = net.inner()
    fill(inner, 2)
    again = inner.add("Identity", [cond])
    longer = inner.add("SequenceInsert", [s, inner.vector()])
    kind = helper.make_tensor_sequence_value_info
    body = helper.make_graph(
        inner.nodes, net.name("b"),
        [helper.make_tensor_value_info(i, TensorProto.INT64, []),
         helper.make_tensor_value_info(cond, TensorProto.BOOL, []),
         kind(s, TYPE[net.dtype], None)],
        [helper.make_tensor_value_info(again, TensorProto.BOOL, []),
         kind(longer, TYPE[net.dtype], None)])
    empty = net.add("SequenceEmpty", [], dtype=TYPE[net.dtype])
    trips = net.const(np.array(net.c.rng.randint(1, 4), I64))
    full = net.name()
    net.nodes.append(helper.make_node("Loop", [trips, "", empty], [full],
                                      body=body))
    rows = net.add("ConcatFromSequence", [full], axis=0)
    net.keep(net.add("Slice", [rows, net.const(np.array([0], I64)),
                               net.const(np.array([net.n], I64))]))


FLAT = [arithmetic, arithmetic, arithmetic, constant, sequence]
DEEP = [branch, branch, loop, loop, scan, grow]


def fill(net, most):
    for _ in range(net.c.rng.randint(1, most)):
        deep = net.depth < DEPTH and net.c.chance(0.5)
        kinds = DEEP if deep else FLAT
        if net.c.opset < 13:  # sequences are not carried yet
            kinds = [k for k in kinds if k is not grow]
        net.c.rng.choice(kinds)(net)


def draw(c):
    """Fill case `c`."""
    c.opset, c.n_names = c.pick(*OPSETS), 0
    dtype, n = c.pick(F32, F32, I64), c.rng.randint(1, 9)
    c.flags, c.counts = [], []
    vectors = []
    for k in range(c.rng.randint(1, 3)):
        vectors.append(f"x{k}")
        c.declare(f"x{k}", c.values(dtype, [n], "small"), False)
    if c.chance(0.7):
        c.flags.append("flag")
        c.declare("flag", np.array(c.chance(0.5)), False)
    c.counts.append("count")
    c.declare("count", np.array(c.rng.randint(0, 4), I64), c.chance(0.3))
    net = Net(c, dtype, n, vectors, 0)
    fill(net, 6)
    c.rng.choice(DEEP[:-1])(net)
    c.nodes = net.nodes
    c.outputs = net.own[-3:]
