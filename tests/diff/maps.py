"""Operators on maps, which the library's interface has not: modeld's program
checks what onnxruntime gives, as `modeld check` does with the standard's own
cases.  See operators.py for how cases are drawn."""
import os
import pathlib
import subprocess
import tempfile

import numpy as np
import onnx
from onnx import helper, numpy_helper

from engines import Refused
from operators import draws

ML = "ai.onnx.ml."
WORDS = ["", "a", "b", "ab", "\u00e9", "zz", "A", "cat"]
TYPES = {"string": 8, "int64": 7, "float": 1}  # ONNX's
SECONDS = 10


def keys(c, kind, n):
    if kind == "string":
        return c.rng.sample(WORDS, n)
    return c.rng.sample(range(0, 12), n)


def values(c, n):
    return c.values(np.dtype("float32"), [n], "tame").tolist()


@draws(ML + "ZipMap")
def zip_map(c):
    n = c.rng.randint(1, 5)
    text = c.chance(0.5)
    c.attr(**{"classlabels_strings" if text else "classlabels_int64s":
              keys(c, "string" if text else "int64", n + (1 if c.bad() else 0))
              })
    c.maps = []
    c.feed(c.values(np.dtype("float32"),
                    [n] if c.chance(0.2) else [c.pick(0, 1, 2, 5), n],
                    c.pick("any", "tame")), False)


@draws(ML + "DictVectorizer")
def dict_vectorizer(c):
    # Of floats: all that onnxruntime's Python interface makes of a dict.
    key = c.pick("string", "int64")
    n = c.rng.randint(1, 5)
    made = dict(zip(keys(c, key, n), values(c, n)))
    words = keys(c, key if not c.bad() else
                 "int64" if key == "string" else "string", c.rng.randint(1, 6))
    c.attr(**{("string" if isinstance(words[0], str) else "int64")
              + "_vocabulary": words})
    c.maps = [("m", made, TYPES[key], TYPES["float"])]
    c.names.append("m")


@draws(ML + "CastMap")
def cast_map(c):
    n = c.rng.randint(1, 6)
    made = dict(zip(keys(c, "int64", n), values(c, n)))
    sparse = c.chance(0.5)
    c.attr(cast_to="TO_SOME" if c.bad() else
           c.pick(None, "TO_FLOAT", "TO_INT64"),
           map_form="SPARSE" if sparse else c.pick(None, "DENSE"),
           max_map=(c.pick(1, -1) if c.bad() else 12) if sparse else None)
    c.maps = [("m", made, TYPES["int64"], TYPES["float"])]
    c.names.append("m")


def tensor_proto(array, code):
    flat = np.asarray(array)
    if code == 8:
        return helper.make_tensor("", 8, flat.shape,
                                  [str(v).encode() for v in flat.ravel()])
    return numpy_helper.from_array(flat.astype(
        helper.tensor_dtype_to_np_dtype(code)))


def map_proto(made, key, value):
    out = onnx.MapProto(key_type=key)
    if key == 8:
        out.string_keys.extend(k.encode() for k in made)
    else:
        out.keys.extend(made)
    out.values.elem_type = onnx.SequenceProto.TENSOR
    out.values.tensor_values.extend(tensor_proto(np.array(v), value)
                                    for v in made.values())
    return out


def sequence_proto(maps, order):
    """A map has no order, a file has: that of the labels."""
    out = onnx.SequenceProto(elem_type=onnx.SequenceProto.MAP)
    for m in maps:
        made = {k: m[k] for k in order if k in m}
        assert len(made) == len(m)
        out.map_values.append(map_proto(
            made, 8 if isinstance(order[0], str) else 7, 1))
    return out


def proto(y, order=()):
    """What onnxruntime gave, as a file has it."""
    if isinstance(y, list):
        return sequence_proto(y, order)
    y = np.asarray(y)
    return tensor_proto(y, 8 if y.dtype.kind in "OU" else
                        helper.np_dtype_to_tensor_dtype(y.dtype))


def check(program, case, given, wanted):
    """What `modeld check` says of the case: None when all is as wanted."""
    with tempfile.TemporaryDirectory() as top:
        folder = pathlib.Path(top, "test_data_set_0")
        folder.mkdir()
        pathlib.Path(top, "model.onnx").write_bytes(case.model())
        for kind, protos in (("input", given), ("output", wanted)):
            for i, p in enumerate(protos):
                (folder / f"{kind}_{i}.pb").write_bytes(p.SerializeToString())
        done = subprocess.run(
            [program, "check", os.path.join(top, "model.onnx"), top],
            capture_output=True, timeout=SECONDS, check=False)
    if done.returncode < 0:
        raise OSError(f"signal {-done.returncode}")
    return None if done.returncode == 0 else \
        (done.stdout + done.stderr).decode().strip()


def judge(case, program, onnxruntime):
    """As judge.judge gives it."""
    given = [proto(x) for x in case.feeds()] + [
        map_proto(m, k, v) for _, m, k, v in case.maps]
    try:
        wanted = onnxruntime.run_raw(case.model(), case.feeds() + [
            m for _, m, _, _ in case.maps])
    except Refused as e:
        words = check(program, case, given, [])
        return ("refused", "") if "no output_0" not in (words or "") else \
            ("unexplained", f"onnxruntime: {e}; modeld: {words}")
    order = case.attrs.get("classlabels_strings",
                           case.attrs.get("classlabels_int64s", ()))
    words = check(program, case, given, [proto(y, order) for y in wanted])
    if words is None:
        return "same", ""
    if "(" in words and (case.wrong or case.changed):
        return "stricter", words
    return "unexplained", words
