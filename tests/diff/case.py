"""A case: one model and its inputs, all of it drawn from a seed."""
import math
import random

import numpy as np
import onnx
from onnx import defs, helper

OLDEST, NEWEST = 7, defs.onnx_opset_version()
# Sizes around the widths of vectors and tiles.
DIMS = [1, 1, 1, 2, 2, 3, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33]
MOST = 4096  # elements, but for the few huge ones
HUGE = [65537, 100003, 262144]
NAMES = {
    "float": "float32", "double": "float64", "string": "object",
    **{t: t for t in ("float16", "bfloat16", "bool", "int8", "uint8", "int16",
                      "uint16", "int32", "uint32", "int64", "uint64")}}
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -2.5, math.inf, -math.inf,
           math.nan, 1e-40, -1e-6, 1e6, -65504.0, 3e38, 88.8, -104.0]
WORDS = ["", "a", "b", "ab", "\u00e9", "zz", "A"]


def unchanged(array):
    return array


def dtype_of(name):
    if name == "bfloat16":
        return np.dtype(helper.tensor_dtype_to_np_dtype(16))
    return np.dtype(name)


def versions(op, domain=""):
    """The opsets in which the operator changed, as far as modeld reads."""
    since = {s.since_version for s in defs.get_all_schemas_with_history()
             if s.name == op and s.domain == domain and not s.deprecated}
    if domain:
        return sorted(since)
    return sorted({max(v, OLDEST) for v in since
                   if v > OLDEST or v == max(u for u in since if u <= OLDEST)})


class Case:
    def __init__(self, op, seed):
        # "Op+form": another way to draw it.
        name, _, self.form = op.partition("+")
        self.domain, _, self.name = name.rpartition(".")
        self.op, self.seed = name, seed
        self.rng = random.Random(f"{op}/{seed}")
        self.bits = np.random.Generator(
            np.random.PCG64(self.rng.getrandbits(63)))
        self.nodes, self.outputs, self.names = [], [], []
        self.tensors = []  # (name, array, dims; None for a constant)
        self.attrs, self.scale, self.opset = {}, 0.0, NEWEST
        self.wrong = False  # on purpose
        self.changed = None  # what mutate.py did
        self.maps = None  # (name, dict, key's type, value's), of maps.py
        self.runs = None  # inputs of each run, when there are several
        self.step = 0  # that integers may be apart
        self.skipped = 0  # outputs in front that nobody wants
        self.compared = None  # how many outputs are; None: all
        self.schema, self.version = None, 1  # of another domain
        if defs.has(self.op):
            self.opset = self.rng.choice(versions(self.op))
            if not defs.get_schema(self.op).deprecated:
                self.schema = defs.get_schema(self.op, self.opset, "")
        elif self.domain.startswith("ai.onnx"):
            self.version = self.rng.choice(versions(self.name, self.domain))
            self.schema = defs.get_schema(self.name, self.version, self.domain)

    # Chances.
    def chance(self, p):
        return self.rng.random() < p

    def bad(self):
        """Now and then something that the standard forbids."""
        if self.chance(0.02):
            self.wrong = True
            return True
        return False

    def pick(self, *choices):
        return self.rng.choice(choices)

    # Shapes.
    def dim(self):
        return 0 if self.chance(0.03) else self.rng.choice(DIMS)

    def shape(self, rank=None, most=MOST):
        if rank is None:
            rank = self.pick(0, 1, 1, 2, 2, 2, 3, 3, 4, 5)
        if rank and self.chance(0.01):
            shape = [1] * rank
            shape[self.rng.randrange(rank)] = self.rng.choice(HUGE)
            return shape
        while True:
            shape = [self.dim() for _ in range(rank)]
            if math.prod(shape) <= most:
                return shape

    def broadcasting(self, n):
        """n shapes that broadcast to one; seldom, that do not."""
        whole = self.shape()
        shapes = []
        for _ in range(n):
            cut = 0
            if self.chance(0.4):
                cut = self.rng.randint(0, len(whole))
            shape = [1 if self.chance(0.2) else d for d in whole[cut:]]
            if shape and self.bad():
                shape[self.rng.randrange(len(shape))] += 1
            shapes.append(shape)
        return shapes

    def axis(self, rank):
        if self.bad() or not rank:
            return self.pick(-rank - 1, rank, rank + 1, 2**40, -2**63)
        return self.rng.randrange(-rank, rank)

    # Types and values.
    def types(self, index):
        """What the standard allows for input `index`."""
        inputs = self.schema.inputs
        param = inputs[min(index, len(inputs) - 1)].type_str
        for c in self.schema.type_constraints:
            if c.type_param_str == param:
                allowed = c.allowed_type_strs
                break
        else:
            allowed = [param]
        names = [NAMES[a[7:-1]] for a in allowed
                 if a.startswith("tensor(") and a[7:-1] in NAMES]
        return names or ["float32"]

    def type(self, index=0):
        """One type of input `index`: float32 more often than others."""
        allowed = self.types(index)
        if self.bad():
            return dtype_of(self.rng.choice(sorted(set(NAMES.values()))))
        if "float32" in allowed and self.chance(0.35):
            return dtype_of("float32")
        return dtype_of(self.rng.choice(sorted(allowed)))

    def values(self, dtype, shape, kind="any"):
        """kind: any (specials, extremes), tame (-4..4), positive (0.1..4),
        small (integers -8..8)."""
        n = math.prod(shape)
        if dtype == object:
            flat = np.array([self.rng.choice(WORDS) for _ in range(n)], object)
        elif dtype == bool:
            flat = self.bits.integers(0, 2, n).astype(bool)
        elif dtype.kind in "iu":
            flat = self.integers(dtype, n, kind)
        else:
            flat = self.floats(n, kind).astype(dtype)
        return flat.reshape(shape)

    def integers(self, dtype, n, kind):
        top = np.iinfo(dtype)
        if kind == "any" and self.chance(0.3):
            return self.bits.integers(top.min, top.max, n, dtype, True)
        low = 0 if dtype.kind == "u" else -8
        if kind == "positive":
            low = 1
        flat = self.bits.integers(low, 9, n).astype(dtype)
        if kind == "any" and n and self.chance(0.3):
            flat[self.bits.integers(0, n)] = self.pick(top.min, top.max)
        return flat

    def floats(self, n, kind):
        if kind == "small":
            return self.bits.integers(-8, 9, n).astype(np.float64)
        if kind == "positive":
            return self.bits.uniform(0.1, 4, n)
        flat = self.bits.uniform(-4, 4, n)
        if kind == "any" and n and self.chance(0.5):
            for _ in range(self.rng.randint(1, 4)):
                flat[self.bits.integers(0, n)] = self.rng.choice(SPECIAL)
        return flat

    # The model.
    def feed(self, array, constant=None):
        """An input: constant, or given at run time with its shape declared
        or left open.  None: an optional input that is absent."""
        if array is None:
            self.names.append("")
            return
        array = np.asarray(array)
        name = f"x{len(self.names)}"
        self.names.append(name)
        self.declare(name, array,
                     self.chance(0.3) if constant is None else constant)

    def declare(self, name, array, constant):
        dims = None
        if not constant:
            dims = list(array.shape)
            if self.chance(0.25):
                dims = [f"{name}_{i}" if self.chance(0.5) else d
                        for i, d in enumerate(dims)]
        self.tensors.append((name, array, dims))

    def feeds(self, to=unchanged):
        return [to(x) for _, x, dims in self.tensors if dims is not None]

    def all_feeds(self, to=unchanged):
        """The inputs of each run of the model."""
        if self.runs is None:
            return [self.feeds(to)]
        return [[to(x) for x in run] for run in self.runs]

    def attr(self, **attrs):
        for name, value in attrs.items():
            if value is not None and (self.schema is None
                                      or name in self.schema.attributes):
                self.attrs[name] = value

    def node(self, n_outputs):
        """The single node of an operator's case, unless it has drawn a net."""
        if self.nodes:
            return
        names = list(self.names)
        while names and not names[-1]:
            names.pop()
        made = ["" if i < self.skipped else f"y{i}" for i in range(n_outputs)]
        self.outputs = made[self.skipped:self.compared]
        self.nodes = [helper.make_node(self.name, names, made,
                                       domain=self.domain, **self.attrs)]

    def model(self, to=unchanged):
        """Serialized, with its arrays as `to` changes them."""
        graph = onnx.GraphProto(name="g")
        graph.node.extend(self.nodes)
        for name, array, dims in self.tensors:
            if dims is None:
                graph.initializer.append(tensor_of(name, to(array)))
            else:
                graph.input.append(helper.make_tensor_value_info(
                    name, code_of(to(array)), dims))
        for name, _, key, value in self.maps or []:
            graph.input.append(helper.make_value_info(
                name, helper.make_map_type_proto(
                    key, helper.make_tensor_type_proto(value, []))))
        # Types of outputs are for each engine to infer.
        graph.output.extend(onnx.ValueInfoProto(name=y) for y in self.outputs)
        sets = [helper.make_opsetid("", self.opset)]
        if self.domain:
            sets.append(helper.make_opsetid(self.domain, self.version))
        return helper.make_model(
            graph, ir_version=10, producer_name="diff",
            opset_imports=sets).SerializeToString()


def code_of(array):
    if array.dtype == object:
        return 8
    return helper.np_dtype_to_tensor_dtype(array.dtype)


def tensor_of(name, array):
    if array.dtype == object:
        return helper.make_tensor(name, 8, array.shape,
                                  [w.encode() for w in array.ravel()])
    return helper.make_tensor(name, code_of(array), array.shape,
                              np.ascontiguousarray(array).tobytes(), raw=True)
