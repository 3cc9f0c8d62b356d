"""Cases with one thing changed: what a broken exporter or an attacker writes,
and forms of a sound model that its operator's own drawing has not.  What is
changed is drawn from the case's name, so the case itself stays what it is.

modeld may refuse what is changed, unless both others compute the same."""
import math
import random

import numpy as np
from onnx import AttributeProto

from case import NAMES, dtype_of

A = AttributeProto
INTS = [0, 1, -1, 2, 3, 7, 100, 2**31 - 1, -2**31, 2**31, 2**40, 2**63 - 1,
        -2**63]
REALS = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, 1e30, math.inf, -math.inf, math.nan]
TEXTS = ["", "some", "NONE", "same", "\u00e9", "linear", "x" * 99]
OTHERS = [3, 0.5, "a", [1, 2], [0.5], ["a"]]


def schema_attrs(c):
    """Names and types of the attributes that the operator may have."""
    if c.schema is not None:
        return {name: int(a.type.value if hasattr(a.type, "value") else a.type)
                for name, a in c.schema.attributes.items()}
    kinds = {int: A.INT, float: A.FLOAT, str: A.STRING}
    out = {}
    for name, value in c.attrs.items():
        if isinstance(value, list) and value:
            out[name] = {int: A.INTS, float: A.FLOATS, str: A.STRINGS}.get(
                type(value[0]))
        else:
            out[name] = kinds.get(type(value))
    return out


def value_of(rng, kind, old):
    """Another value of an attribute's type; None where there is none."""
    if kind == A.INT:
        return rng.choice(INTS)
    if kind == A.FLOAT:
        return rng.choice(REALS)
    if kind == A.STRING:
        return rng.choice(TEXTS)
    if kind not in (A.INTS, A.FLOATS, A.STRINGS):
        return None
    pool = {A.INTS: INTS, A.FLOATS: REALS, A.STRINGS: TEXTS}[kind]
    new = list(old) if isinstance(old, (list, tuple)) else []
    way = rng.choice(["one", "longer", "shorter", "turned", "twice"])
    if way == "one" and new:
        new[rng.randrange(len(new))] = rng.choice(pool)
    elif way == "shorter" and new:
        new.pop(rng.randrange(len(new)))
    elif way == "turned":
        new.reverse()
    elif way == "twice":
        new += new
    else:
        new.insert(rng.randint(0, len(new)), rng.choice(pool))
    return new


def attribute(c, rng):
    names = sorted(n for n, kind in schema_attrs(c).items() if kind)
    if not names:
        return False
    name = rng.choice(names)
    new = value_of(rng, schema_attrs(c)[name], c.attrs.get(name))
    if new is None or new == []:
        return False
    c.attrs[name] = new
    return True


def no_attribute(c, rng):
    if not c.attrs:
        return False
    del c.attrs[rng.choice(sorted(c.attrs))]
    return True


def attribute_type(c, rng):
    if not c.attrs:
        return False
    c.attrs[rng.choice(sorted(c.attrs))] = rng.choice(OTHERS)
    return True


def no_input(c, rng):
    if not c.names:
        return False
    if rng.random() < 0.5:
        c.names.pop()
    else:
        c.names[rng.randrange(len(c.names))] = ""
    return True


def more_inputs(c, rng):
    if not c.names:
        return False
    c.names.append(rng.choice(c.names))
    return True


def same_input(c, rng):
    """One tensor for two inputs, which must not be computed in place."""
    if len(c.names) < 2:
        return False
    i, k = rng.sample(range(len(c.names)), 2)
    c.names[i] = c.names[k]
    return True


def swapped(c, rng):
    if len(c.names) < 2:
        return False
    i, k = rng.sample(range(len(c.names)), 2)
    c.names[i], c.names[k] = c.names[k], c.names[i]
    return True


def change(c, rng, how):
    """Replace the array of an input by what `how` makes of it."""
    if not c.tensors:
        return False
    at = rng.randrange(len(c.tensors))
    name, array, dims = c.tensors[at]
    new = how(np.asarray(array), rng)
    if new is None:
        return False
    # Of what has no axes numpy makes its own kind.
    new = np.array(new, object if array.dtype == object else new.dtype)
    c.tensors[at] = (name, new, None if dims is None else list(new.shape))
    return True


def to_type(array, rng):
    name = rng.choice(sorted(set(NAMES.values())))
    to = dtype_of(name)
    if to == array.dtype or to == object or array.dtype == object:
        return None
    with np.errstate(all="ignore"):
        return np.nan_to_num(array.astype(np.float64)).clip(0, 100).astype(to)


def to_shape(array, rng):
    shape = list(array.shape)
    way = rng.choice(["rank", "rank", "less", "zero", "more", "flat", "turn"])
    if way == "rank":
        shape.insert(rng.randint(0, len(shape)), 1)
        return array.reshape(shape)
    if way == "flat":
        return array.reshape(-1)
    if not shape:
        return np.stack([array] * rng.choice([1, 2]))
    axis = rng.randrange(len(shape))
    if way == "zero":
        return np.take(array, [], axis)
    if way == "turn":
        return np.ascontiguousarray(array.T)
    if array.size == 0:
        return None
    if way == "less":
        return np.ascontiguousarray(np.take(array, 0, axis))
    return np.concatenate([array, np.take(array, [0], axis)], axis)


def to_edge(array, rng):
    """Sizes, axes and indices at the limits of their type."""
    if array.dtype.kind not in "iu" or not array.size:
        return None
    new = array.copy()
    top = np.iinfo(array.dtype)
    new.flat[rng.randrange(new.size)] = rng.choice(
        [v for v in INTS if top.min <= v <= top.max] + [top.min, top.max])
    return new


def input_type(c, rng):
    return change(c, rng, to_type)


def input_shape(c, rng):
    return change(c, rng, to_shape)


def input_edge(c, rng):
    # 2^31 trips are as sound as they are long.
    return c.name != "Loop" and change(c, rng, to_edge)


def open_shapes(c, rng):
    """Nothing is known before the run."""
    c.tensors = [(n, a, None if dims is None else
                  [f"{n}_{i}" for i in range(a.ndim)])
                 for n, a, dims in c.tensors]
    return any(dims for _, _, dims in c.tensors)


def other_sources(c, rng):
    """Constants become inputs and inputs constants."""
    c.tensors = [(n, a, list(a.shape) if dims is None else
                  None if rng.random() < 0.5 else dims)
                 for n, a, dims in c.tensors]
    return bool(c.tensors)


def one_source(c, rng):
    """All but one are constants, as a node in a net has it."""
    if not c.tensors:
        return False
    at = rng.randrange(len(c.tensors))
    c.tensors = [(n, a, list(a.shape) if i == at else None)
                 for i, (n, a, _) in enumerate(c.tensors)]
    return True


CHANGES = [attribute] * 5 + [no_attribute, attribute_type, no_input,
                             more_inputs, same_input, swapped, input_type,
                             input_shape, input_shape, input_edge, input_edge,
                             open_shapes, other_sources, one_source, one_source,
                             one_source]


def mutate(c):
    """Change a case of one operator; its nodes are not made yet."""
    rng = random.Random(f"{c.op}/{c.seed}~")
    # Outcomes that are certain have to stay so.
    kept = CHANGES[:7] if c.name == "Multinomial" else CHANGES
    for _ in range(20):
        how = rng.choice(kept)
        if how(c, rng):
            c.changed = how.__name__
            return
