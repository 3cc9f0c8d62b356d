"""Differences from onnxruntime that are explained, each with its reason.

A row: the operators (None: all), the reason, and when it applies, given the
case, modeld's outputs and refusal, and onnxruntime's.  A rule is for what the
standard decides against both others, and for what it leaves open; where only
onnxruntime is at odds with it, the reference decides and no rule is needed.
"""
import numpy as np


def refused(words):
    """modeld refuses with these words."""
    return lambda case, got, no, want, theirs: no and words in str(no)


def theirs_refused(words):
    return lambda case, got, no, want, theirs: theirs and words in str(theirs)


def one_off(case, got, no, want, theirs):
    """Integers that are apart by one at most, or that only modeld gives."""
    if got is None or got[0].dtype.kind not in "iu":
        return False
    return theirs is not None or got[0].shape == want[0].shape and np.all(
        np.abs(got[0].astype(object) - want[0].astype(object)) <= 1)


def input_of(case, i):
    """The array of input i of an operator's case, or None."""
    for name, array, _ in case.tensors:
        if i < len(case.names) and name == case.names[i]:
            return array
    return None


def negative_classes(case, got, no, want, theirs):
    return case.opset < 11 and (input_of(case, 0) < 0).any()


def scalar(case, *_):
    return input_of(case, 0).ndim == 0


def axis_behind_last(case, *_):
    return case.opset < 13 and \
        case.attrs.get("axis", 1) == input_of(case, 0).ndim


def no_step(case, *_):
    return (input_of(case, 2) == 0).all()


def empty(case, got, no, want, theirs):
    return got is not None and got[0].size == 0


POOLS = ("MaxPool", "AveragePool", "LpPool")
SCATTERS = ("ScatterElements", "ScatterND")

RULES = [
    # What the standard says, and neither other does.
    (("OneHot",), "before opset 11 an index below 0 is outside [0, depth) and "
     "gives off values only; the others count it from the end",
     negative_classes),
    (("NonZero",), "of a scalar the indices have shape (0, N); onnxruntime "
     "gives (1, N), numpy and so the reference none", scalar),
    (("Softmax", "LogSoftmax", "Hardmax"), "before opset 13 the input is "
     "coerced to 2 dimensions, the first of them those before the axis, which "
     "by default is 1: of a vector each element is a row; onnxruntime refuses,"
     " the reference computes opset 13", axis_behind_last),
    (("Mod",), "fmod has to be 1 for floats; the reference takes them for "
     "integers", refused("fmod is 0, 1 expected")),
    (SCATTERS, "reductions by max and min came with opset 18; the others know "
     "no versions", refused("none, add, mul expected")),

    # Where modeld has a limit.
    (None, "tensors have 8 dimensions at most", refused("at most 8 expected")),

    # What it leaves open.
    (POOLS, "a window that does not fit gives an extent below 1: refused; the "
     "others round it to 0 or 1", refused("does not fit into the padded")),
    (("ConvTranspose",), "pads that leave nothing: an empty result, others "
     "refuse", empty),
    (("AveragePool", "MaxPool", "LpPool"), "a stride larger than the window "
     "under auto_pad: the padding is 0; others compute a negative one and "
     "refuse", theirs_refused("padding values must be non-negative")),
    (("Range",), "a step of 0: the number of elements is max(ceil(-inf), 0); "
     "others refuse", no_step),
    (("OneHot",), "an index that is a scalar: one row; the others' inference "
     "wants a rank", theirs_refused("must have rank >= 1")),
    (("Erf", "ReduceLogSumExp", "ReduceLogSum", "ReduceL2", "ReduceMean",
      "Mean", "Sqrt", "Exp", "Log"), "how a fraction becomes an integer",
     one_off),
    (SCATTERS, "a sum of strings: refused; the others append",
     refused("of string")),
    (("Trilu", "NonZero"), "what the zero of strings is: refused",
     refused("element type string")),
]
