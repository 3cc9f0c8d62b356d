"""Whether the answers to a case agree, and if not, who is right."""
import itertools
import math

import numpy as np

from case import unchanged
from engines import Refused
from rules import RULES

# Results that the standard or IEEE 754 gives to the last bit: elements are
# moved, compared or chosen, whole numbers are computed, or one correctly
# rounded operation is done.
EXACT = set("""
Abs Add And ArgMax ArgMin BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor
Cast CastLike Ceil Clip Compress Concat ConstantOfShape DepthToSpace Div Dropout
Equal Expand EyeLike Flatten Floor Gather GatherElements GatherND GlobalMaxPool
Greater GreaterOrEqual Hardmax Identity IsInf IsNaN Less LessOrEqual
MatMulInteger Max MaxPool MaxRoiPool MaxUnpool Min Mul Neg NonMaxSuppression
NonZero Not OneHot Or Pad ReduceMax
ReduceMin Relu Reshape ReverseSequence Round ScatterElements ScatterND Shape
Sign Size Slice SpaceToDepth Split Sqrt Squeeze Sub TensorScatter Tile TopK
Transpose Trilu Unique Unsqueeze Where Xor
""".split())

# The standard's own tolerance for its cases, of everything else.  Half of the
# 10 or 7 bits of float16 and bfloat16 may be lost in the steps between.
RTOL = {"float32": 1e-3, "float64": 1e-3, "float16": 4e-3, "bfloat16": 3e-2}
ATOL = {"float32": 1e-7, "float64": 1e-7, "float16": 1e-4, "bfloat16": 1e-2}
EPS = {"float32": 2**-23, "float64": 2**-52, "float16": 2**-10,
       "bfloat16": 2**-7}

# Of random numbers.
SEEDED = {"Bernoulli", "RandomNormal", "RandomNormalLike", "RandomUniform",
          "RandomUniformLike"}

# Types to ask onnxruntime in where it lacks the case's own, by turns: for
# floats, for integers.
WIDER = [("float32", "int64"), ("float32", "int32"), ("float32", "float32")]
# Their result depends on the width of the type.
OF_ONE_TYPE = {"Cast", "CastLike", "BitShift", "BitwiseNot", "Size"}


def differ(case, ours, theirs):
    """Words about the first difference, or None."""
    if len(ours) != len(theirs):
        return f"{len(ours)} outputs, {len(theirs)} expected"
    for i, (a, b) in enumerate(zip(ours, theirs)):
        if a.dtype != b.dtype:
            if not (a.dtype == object and b.dtype.kind in "US"):
                return f"output {i}: type {a.dtype}, {b.dtype} expected"
        if a.shape != b.shape:
            return f"output {i}: shape {a.shape}, {b.shape} expected"
        at = unequal(case, a, b)
        if at is not None:
            return (f"output {i}[{at}]: {a.ravel()[at]!r}, "
                    f"{b.ravel()[at]!r} expected")
    return None


def left_open(case):
    """Whether an attribute was changed so that nothing tells the values:
    NaN or infinite, or no seed that the reference takes."""
    values = itertools.chain.from_iterable(
        v if isinstance(v, list) else [v] for v in case.attrs.values())
    if any(isinstance(v, float) and not math.isfinite(v) for v in values):
        return bool(case.changed)
    return case.changed and case.name in SEEDED and \
        not 0 <= case.attrs.get("seed", -1) < 2**32


def unequal(case, a, b):
    """The index of the first element that is not as expected."""
    if left_open(case):
        return None
    kind = str(a.dtype)
    if case.step and a.dtype.kind in "iu":
        bad = np.abs(a.astype(np.int64) - b.astype(np.int64)) > case.step
    elif kind not in RTOL:
        bad = a != b
    else:
        x, y = a.astype(np.float64), b.astype(np.float64)
        with np.errstate(all="ignore"):
            near = np.abs(x - y) <= allowed(case, kind, y)
        bad = ~(near | (x == y) | (np.isnan(x) & np.isnan(y)))
    at = np.flatnonzero(bad)
    return int(at[0]) if at.size else None


def allowed(case, kind, expected):
    if case.op in EXACT:
        return 0.0
    if case.name == "FlexAttention":  # probabilities have the type of queries
        kind = max([kind] + [str(a.dtype) for _, a, _ in case.tensors],
                   key=lambda k: RTOL.get(k, 0))
    # A sum is off by a few roundings of its largest partial sum, whatever is
    # left of it after terms cancel.
    return (ATOL[kind] + RTOL[kind] * np.abs(expected)
            + 8 * EPS[kind] * case.scale)


def answer(engine, case, to=unchanged):
    try:
        runs = engine.run(case.model(to), case.all_feeds(to))
    except Refused as e:
        return None, e
    if all(isinstance(run, Refused) for run in runs):
        return None, runs[0]
    # Of several runs some may be refused: by all, or that is a difference.
    return [y for run in runs for y in (
        run if isinstance(run, list) else [np.array(["refused"], object)])
        ], None


def converter(floats, integers):
    """Of arrays to the named types; OverflowError where one cannot hold what
    the other can."""
    def convert(array):
        kind = str(array.dtype)
        to = floats if kind in RTOL else integers
        if array.dtype.kind not in "iu" and kind not in RTOL or kind == to:
            return array
        with np.errstate(all="ignore"):
            wide = array.astype(to)
            if to == "float32" and kind != "float64" or to == integers:
                if not np.array_equal(wide.astype(kind), array, kind in RTOL):
                    raise OverflowError
        return wide
    return convert


def agrees_wider(case, ours, engine):
    """Whether the engine gives the like in other types: True, False, or None
    where it cannot tell."""
    if case.op in OF_ONE_TYPE:
        return None
    for types in WIDER:
        try:
            wide, no = answer(engine, case, converter(*types))
        except OverflowError:
            continue
        if no:
            continue
        with np.errstate(all="ignore"):
            pair = [alike(a, b) for a, b in zip(ours, wide)]
        return differ(case, [a for a, _ in pair], [b for _, b in pair]) is None
    return None


def alike(ours, wide):
    """Both in the narrower of their types."""
    if str(ours.dtype) == "float64":
        return ours.astype(wide.dtype), wide
    return ours, wide.astype(ours.dtype)


def narrowed(case, want, got):
    """The reference gives float32 where it computes halves in it, and the type
    of doubles for what ai.onnx.ml has as float32."""
    wide = {"float32": ("float16", "bfloat16")}
    if case.domain == "ai.onnx.ml":
        wide["float64"] = ("float32",)
    if len(got) != len(want):
        return want
    return [b.astype(a.dtype) if str(a.dtype) in wide.get(str(b.dtype), ())
            else b for a, b in zip(got, want)]


def judge(case, ours, theirs, onnxruntime, reference):
    """ours, theirs: (outputs, refusal).  Gives (verdict, words); verdicts:
    same, refused (by both), rule, reference, wider, stricter, unjudged,
    unexplained."""
    (got, no), (want, theirs_no) = ours, theirs
    if no and no.faulty:
        return "unexplained", f"modeld: {no}"
    if no and theirs_no and (case.wrong or case.changed
                             or not theirs_no.missing):
        return "refused", ""
    if (no or theirs_no) and left_open(case):
        return "rule", "an attribute that is NaN or infinite"
    words = differ(case, got, want) if not no and not theirs_no else \
        f"modeld: {no}" if no else f"onnxruntime: {theirs_no}"
    if words is None:
        return "same", ""
    for ops, why, fits in RULES:
        if (ops is None or case.op in ops) and \
                fits(case, got, no, want, theirs_no):
            return "rule", why
    theirs_gave = want
    want, third_no = answer(reference, case)
    if case.changed and no and not theirs_no:
        # Both others let much pass; that they give the like is no accident.
        agree = not third_no and differ(case, want, theirs_gave) is None
        return ("unexplained", words + "; the reference agrees") if agree \
            else ("stricter", words)
    if no and third_no and third_no.missing and not theirs_no:
        return "unexplained", words
    if no and third_no:
        return ("refused", "") if theirs_no else \
            ("unexplained", words) if no.missing else \
            ("reference", "refuses as modeld does")
    if not no and not third_no:
        third = differ(case, got, narrowed(case, want, got))
        if third is None:
            return "reference", "computes what modeld does"
        words += f"; reference: {third}"
    else:
        words += f"; reference: {third_no or 'accepts'}"
    if theirs_no and theirs_no.missing and not no:
        agrees = agrees_wider(case, got, onnxruntime)
        if agrees:
            return "wider", "onnxruntime gives the like in another type"
        if agrees is None and third_no:
            return "unjudged", words
    return "unexplained", words
