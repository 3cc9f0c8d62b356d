"""Differences from onnxruntime that are explained, each with its reason.

A row: the operators (None: all), the reason, and when it applies, given the
case, modeld's outputs and refusal, and onnxruntime's.  A rule is for what the
standard decides against both others, and for what it leaves open; where only
onnxruntime is at odds with it, the reference decides and no rule is needed.
"""
import re

import numpy as np

from ml_rules import ML_RULES


def refused(words):
    """modeld refuses with these words."""
    return lambda case, got, no, want, theirs: no and words in str(no)


def theirs_refused(words):
    return lambda case, got, no, want, theirs: theirs and words in str(theirs)


def one_off(case, got, no, want, theirs):
    """Integers that are apart by one at most, or that only modeld gives, or
    of which the other's is out of range."""
    if got is None or got[0].dtype.kind not in "iu":
        return False
    if theirs is not None:
        return True
    ours, other = (y[0].astype(object) for y in (got, want))
    low = np.iinfo(got[0].dtype).min
    return ours.shape == other.shape and np.all(
        (np.abs(ours - other) <= 1) | (other == low))


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


def at_limit(case, got, no, want, theirs):
    """0 where the others have NaN, for an input of -inf."""
    x = input_of(case, 0)
    return got is not None and x.shape == got[0].shape and \
        np.isneginf(x).any() and not got[0][np.isneginf(x)].any()


def padded_by_less(case, *_):
    return case.attrs.get("auto_pad", "").startswith("SAME") and any(
        s > k for s, k in zip(case.attrs.get("strides", []),
                              case.attrs.get("kernel_shape", [])))


def whole_power(case, *_):
    """Integers to a power that is a fraction, or below 0."""
    x, y = input_of(case, 0), input_of(case, 1)
    return x.dtype.kind in "iu" and y.dtype.kind not in "u"


def wraps_and_cuts(case, *_):
    pads = input_of(case, 1)
    mode = case.attrs.get("mode")
    return mode in ("wrap", "reflect") and pads is not None and \
        (pads < 0).any()


def strings(case, got, no, want, theirs):
    return theirs is not None and input_of(case, 0).dtype == object


def copies(case, got, no, want, theirs):
    return want is not None and np.array_equal(want[0], input_of(case, 0))


def padding_alone(case, got, *_):
    return got is not None and got[0].dtype.kind == "f" and \
        np.isneginf(got[0]).any() and \
        not np.isneginf(input_of(case, 0)).any()


def only_its_shape(case, got, no, want, theirs):
    """Is the node that onnxruntime refuses read by Shape and Size alone, be it
    by way of others?"""
    named = re.search(r"Name:'(v[0-9]+)'", str(theirs))
    if case.op != "Symbols" or not named:
        return False
    front = {named[1]}
    while front:
        if front & set(case.outputs):
            return False
        front = {y for n in case.nodes if front & set(n.input)
                 and n.op_type not in ("Shape", "Size") for y in n.output}
    return True


def any_order(case, got, no, want, theirs):
    return case.attrs.get("sorted") == 0 and got and want and all(
        a.shape == b.shape for a, b in zip(got, want)) and np.array_equal(
            np.sort(got[0], case.attrs.get("axis", -1)),
            np.sort(want[0], case.attrs.get("axis", -1)))


def beyond_integers(case, got, no, want, theirs):
    """Integers whose sums and products leave their type."""
    return case.changed == "input_edge" and got is not None and \
        got[0].dtype.kind in "iu"


def numbers(case):
    """All that the attributes hold."""
    for a in case.attrs.values():
        yield from a if isinstance(a, list) else [a]


def cut(case, *_):
    """A number that onnxruntime keeps in 32 bits."""
    return case.changed == "attribute" and any(
        type(v) is int and not -2**31 <= v < 2**31 for v in numbers(case))


def extreme(case, *_):
    """A number was made so large that its powers overflow."""
    if case.changed == "input_edge":
        x = input_of(case, 0)
        return x.dtype.kind in "iu" and (
            np.abs(x.astype(np.float64)) >= 2**31 - 1).any()
    return case.changed == "attribute" and any(
        isinstance(v, float) and abs(v) >= 1e30 for v in numbers(case))


def not_in_type(case, got, no, want, theirs):
    """Only numbers differ that the type cast to has not."""
    if got is None or want is None or got[0].dtype.kind not in "iu":
        return False
    x, top = input_of(case, 0), np.iinfo(got[0].dtype)
    if x.dtype.kind in "iub" or x.dtype == object:
        return False
    with np.errstate(all="ignore"):
        whole = np.trunc(x.astype(np.float64))
    return x.shape == got[0].shape == want[0].shape and np.all(
        (got[0] == want[0]) | ~((whole >= top.min) & (whole <= top.max)))


def no_steps(case, *_):
    time = 1 if case.attrs.get("layout") else 0
    return input_of(case, 0).ndim == 3 and input_of(case, 0).shape[time] == 0


def has_nothing(case, *_):
    return any(array.size == 0 for _, array, _ in case.tensors)


POOLS = ("MaxPool", "AveragePool", "LpPool")
GLOBAL_POOLS = ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
QLINEAR = tuple("com.microsoft." + op for op in (
    "QLinearAdd", "QLinearAveragePool", "QLinearMul", "QLinearReduceMean"))
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
    (("Sum", "Mean", "Max", "Min"), "before opset 8 there is no broadcasting; "
     "the others know no versions",
     lambda case, got, no, *_: case.opset < 8 and no),
    (SCATTERS, "reductions by max and min came with opset 18; the others know "
     "no versions", refused("none, add, mul expected")),

    (None, "what the standard forbids is refused; the others do not look",
     lambda case, got, no, *_: no and case.wrong),

    # Where onnxruntime has one, or is stricter than the standard.
    (("Affine", "Crop", "ImageScaler", "ParametricSoftplus", "Scale",
      "ScaledTanh", "ai.onnx.ml.FeatureVectorizer",
      "ai.onnx.ml.LinearClassifier", "ai.onnx.ml.LabelEncoder",
      "com.microsoft.FusedGemm", "com.microsoft.FusedConv"),
     "attributes of which onnxruntime has no default",
     lambda case, got, no, want, theirs: theirs
     and re.search("No attribute with|must be provided|must not be empty|"
                   "unknown kernel type|"
                   "GetFusedActivationAttr", str(theirs))),
    (("RNN", "GRU", "LSTM", "com.microsoft.DynamicQuantizeLSTM"),
     "hidden_size may be absent: the rows of R tell it",
     theirs_refused('GetAttr("hidden_size"')),
    (None, "an epsilon below 0", theirs_refused("epsilon_ >= 0 was false")),
    (("com.microsoft.UnfoldTensor",), "a step beyond everything",
     theirs_refused("SafeIntOnOverflow")),
    (("MaxRoiPool",), "a scale of 0 or below",
     theirs_refused("spatial_scale_ > 0 was false")),
    (("ai.onnx.ml.TreeEnsemble", "ai.onnx.ml.TreeEnsembleClassifier",
      "ai.onnx.ml.TreeEnsembleRegressor"), "a vector is one row",
     theirs_refused("expected to have rank 2 but has rank 1")),
    (("Concat",), "what has nothing along the axis adds nothing, whatever its "
     "other sizes are; onnxruntime says so where it does not see them before",
     lambda case, got, no, want, theirs: theirs and has_nothing(case)
     and "inferred and declared dimension" in str(theirs)),
    (("Attention",), "a mask is \"broadcastable to 4D\", a vector too; both "
     "others want two axes",
     theirs_refused("attn_mask must be 2D or 3D or 4D")),
    (("com.microsoft.NGramHashMapping",), "offsets below 0, and those that wrap "
     "round, as in VarlenNGramHashMapping, whose description says so",
     theirs_refused("Compute head_offsets ")),
    (("com.microsoft.RotaryEmbedding",), "heads of an input of four axes are "
     "told by it, num_heads is of three",
     theirs_refused("num_heads must be provided if rotary_embedding_dim")),
    (("com.microsoft.FusedMatMul",), "it \"behaves like numpy.matmul\": batches "
     "of other ranks broadcast, turned by transBatchA or not",
     theirs_refused("Two inputs should have same rank")),
    (("com.microsoft.FusedMatMul", "com.microsoft.TransposeMatMul"), "a vector "
     "times a turned matrix; onnxruntime reads the matrix as if it were not",
     lambda case, *_: case.attrs.get("transA") and input_of(case, 1).ndim == 1),
    (("DequantizeLinear", "com.microsoft.DequantizeLinear"), "of int32 the "
     "zero point is 0; what another one does beyond int32 is left open",
     lambda case, *_: case.changed == "input_edge"
     and input_of(case, 0).dtype == np.int32),
    (("LRN",), "of other ranks than 4",
     theirs_refused("X_shape.NumDimensions() == 4 was false")),
    (GLOBAL_POOLS + POOLS + ("com.microsoft.NhwcMaxPool",), "a picture of "
     "nothing, which onnxruntime refuses, and of which the reference pads "
     "another axis", lambda case, got, no, want, theirs: theirs
     and has_nothing(case)
     and ("input_shape.Size() > 0" in str(theirs) or theirs.missing)),
    (GLOBAL_POOLS, "a picture of no axes: each element is all that there is of "
     "its channel; the reference takes channels for a picture",
     theirs_refused("Input dimension cannot be less than 3")),
    (("DFT", "STFT", "HannWindow", "HammingWindow", "BlackmanWindow",
      "MelWeightMatrix"),
     "one element is as good as a scalar; onnxruntime computes with it too, "
     "where its inference sees no constant",
     lambda case, got, no, want, theirs: theirs
     and case.changed == "input_shape"
     and re.search("must be (a )?scalar", str(theirs))),
    (("Conv", "ConvTranspose", "ConvInteger", "QLinearConv",
      "com.microsoft.QLinearConv", "com.microsoft.FusedConv",
      "com.microsoft.NhwcConv", "com.microsoft.NhwcFusedConv"),
     "pads beside an auto_pad do not count, as in onnxruntime's pools; its "
     "convolutions refuse both",
     theirs_refused("has both 'auto_pad' and 'pads'")),
    (("com.microsoft.DecoderMaskedMultiHeadAttention",), "a buffer is shared "
     "where there is a past",
     theirs_refused("must not exceed max_sequence_length (0)")),
    (("com.microsoft.DynamicQuantizeLSTM",), "weights have any zero point",
     theirs_refused("Weight zero point must be zero")),
    (("QuantizeLinear", "DequantizeLinear"), "x and its scale may have two "
     "types from opset 23 on; they are taken before, too",
     theirs_refused("bound to different types")),
    (("QuantizeLinear", "DequantizeLinear"), "block_size is \"used only for "
     "blocked quantization\"", theirs_refused("quant_block_size == 0 was")),
    (("Attention",), "a scale of 0 or below is a factor like any other; the "
     "reference takes its root",
     theirs_refused("scale must be greater than 0")),
    (("Scan",), "of no elements nothing is scanned: no trips",
     theirs_refused("dim0_offset < dim0_size was false")),
    (POOLS + ("MaxUnpool",), "pads as wide as the window and wider",
     theirs_refused("Pad should be smaller than kernel")),
    (("com.microsoft.DecoderMaskedMultiHeadAttention",), "a length of one "
     "element, of whatever rank",
     lambda case, got, no, want, theirs: theirs
     and case.changed == "input_shape"
     and "past_sequence_length tensor must be of one" in str(theirs)),
    (("com.microsoft.GroupQueryAttention",), "rotated heads of any even size",
     theirs_refused("head_size shall be a multiple of")),
    (("com.microsoft.QLinearSoftmax",), "of a scalar: a share of 1",
     lambda case, got, no, want, theirs: theirs
     and input_of(case, 0).ndim == 0),
    (("TfIdfVectorizer",), "of no rows there are none",
     theirs_refused("[B,C] dimensions with B > 0")),
    (GLOBAL_POOLS, "of four axes and more all become 1; onnxruntime has code "
     "for three, and other types for none, the reference keeps one",
     lambda case, got, no, want, theirs: theirs
     and input_of(case, 0).ndim > 5),
    (QLINEAR, "a scale or zero point of shape [1] is the number that a scalar "
     "is, as the standard's QLinearMatMul and QLinearConv have it; onnxruntime "
     "computes with it too, where its inference sees no shape",
     lambda case, got, no, want, theirs: theirs and case.changed
     and re.search("must be (a )?scalar", str(theirs))),
    (("TopK",), "sorted is 0: the order is left open", any_order),
    (("com.microsoft.GroupQueryAttention",), "a number of keys that is not "
     "theirs: what lies behind those that count is left open",
     lambda case, *_: case.changed == "input_edge"),
    (QLINEAR, "a zero point that is absent is 0;"
     " onnxruntime's inference wants the type of what is not there",
     lambda case, got, no, want, theirs: theirs and "" in case.names[2:]
     and "Input data type does not match" in str(theirs)),
    (("Loop", "Scan", "SequenceMap"), "sizes that a body declares for its "
     "inputs are those that an exporter saw, and what a loop carries may change"
     " its size from trip to trip: it is run with what it is given",
     lambda case, got, no, want, theirs: theirs
     and case.changed == "input_shape"
     and "inferred and declared dimension" in str(theirs)),

    # Where modeld is, and the standard with it.
    (None, "a flag is 0 or 1; the others take what is neither for one or the "
     "other", refused("0 or 1 expected")),
    (None, "a word that the standard has not; the others take it for another",
     lambda case, got, no, *_: no
     and case.changed in ("attribute", "attribute_type") and any(
         isinstance(v, str) and f"'{v}'" in str(no)
         for v in case.attrs.values())),
    (("Attention",), "qk_matmul_output_mode is 0 to 3; the others look at it "
     "only where the products are asked for",
     refused("qk_matmul_output_mode is")),
    (("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"), "labels are 0 to "
     "C - 1, or ignore_index, and there are C weights; the others look at those "
     "they need", lambda case, got, no, *_: no and
     re.search("label |weights has", str(no))),
    (("Upsample", "Resize"), "scales are a vector; the others take their elements"
     " from any shape", refused("input 1 has rank")),
    (("ReverseSequence",), "batch_axis and time_axis are 0 and 1, or 1 and 0; "
     "the others look at neither", refused("batch_axis is")),
    (("LpPool", "GlobalLpPool"), "\"p value of the Lp norm\": below 1 there is no "
     "such norm; the others compute powers", refused("p is ")),
    (("STFT", "DFT"), "\"if the input or window tensors are complex, then "
     "onesided output is not possible\"", lambda case, got, no, *_: no and
     re.search("the signal is complex|the input has complex ones", str(no))),
    (("RoiAlign",), "a region of no pixels",
     refused("output_height and output_width are")),
    (("GroupNormalization",), "scale and bias are vectors; the others take "
     "their elements from any shape", refused("scale or bias has ")),
    (("RNN", "GRU", "LSTM"), "clip is above 0, as onnxruntime's GRU and LSTM "
     "have it; its RNN gives zeros or does not clip, the reference never does",
     refused("clip is ")),
    (("CenterCropPad",), "a size for each axis; the others leave axes without "
     "one alone", refused("one for each axis")),
    (None, "pads, strides, dilations and sizes of a window are one or two for "
     "each axis; the others take the first of more",
     lambda case, got, no, *_: no and case.changed == "attribute"
     and re.search("(pads|strides|dilations|kernel_shape) has [0-9]+ values",
                   str(no))),
    (("GatherND",), "the first batch_dims sizes of data and indices are equal; "
     "the others look at the first of them",
     refused("a batch dimension is")),
    (("Squeeze",), "an axis is named once; the others take it once",
     refused("is named twice")),
    (("Split",), "\"either input 'split' or the attribute 'num_outputs' should "
     "be specified, but not both\"",
     refused("both split and num_outputs given")),
    (("MelWeightMatrix",), "the lower edge is below the upper one; the others' "
     "triangles are upside down", refused("the edges are")),
    (("CausalConvWithState",), "the weight has the channels of x, which is as "
     "deep as the result; the others spread one channel over several",
     refused("axis 0 of the weight is")),
    (("CausalConvWithState",), "the past has k - 1 steps and the channels and "
     "batch of x; the others put together what they get",
     refused("a dimension of the past is")),
    (("Softmax", "LogSoftmax", "Hardmax"), "an axis that there is not; the "
     "others do not look at it where there is nothing to compute",
     lambda case, got, no, *_: no and " is outside [" in str(no)
     and has_nothing(case)),
    (None, "a vector or one number; the others take elements from any shape, "
     "and the first of several",
     lambda case, got, no, *_: no and case.changed in
     ("input_shape", "more_inputs", "swapped", "same_input") and
     re.search("has (rank [0-9]+, (0 to )?1|[0-9]+ elements, 1) expected",
               str(no))),
    (("PRelu",), "the slope broadcasts to x, x not to the slope",
     refused("the slope has ")),

    (("ImageDecoder",), "a damaged picture is none; what reads the cases back "
     "looks at no check sums",
     lambda case, got, *_: (case.wrong or case.changed) and got is not None
     and got[0].size == 0),

    (("Symbols",), "a node of which only the shape is read, and that is known "
     "at load, is not run: nobody looks at its other sizes", only_its_shape),

    # Where modeld has a limit.
    (None, "sizes of windows are int32",
     lambda case, got, no, *_: no and cut(case)
     and "to 2147483647 expected" in str(no)),
    (("MelWeightMatrix",), "sample rates are int32",
     refused("1 to 2147483647 expected")),
    (None, "tensors have 8 dimensions at most", refused("at most 8 expected")),

    # What it leaves open.
    (("HardSwish", "Swish"), "of -inf the limit, 0; the others compute -inf * "
     "0 and have NaN", at_limit),
    (("Pow",), "a whole number to a power that is a fraction, or below 0",
     whole_power),
    (("Pad",), "wrapping round or mirroring what is cut off as well: the rest "
     "is what wraps; the reference refuses, onnxruntime wraps what it has cut, "
     "and mirrors no more than there is",
     wraps_and_cuts),
    (("Pad", "CenterCropPad"), "strings are padded with none; the reference "
     "pads with 0",
     strings),
    (None, "the same of any operator: an index or a token out of range",
     lambda case, got, no, want, theirs: theirs and got
     and all(y.size == 0 for y in got)
     and re.search("out of (range|data bounds|bounds)", str(theirs))),
    (("Gather", "GatherND", "Scatter", "ScatterElements", "ScatterND",
      "ai.onnx.ml.ArrayFeatureExtractor"), "of nothing an index names nothing: "
     "an empty result; others refuse", empty),
    (None, "a type that the standard has not in this version is taken where "
     "there is code for it", theirs_refused("Type Error: Type 'tensor(")),
    (POOLS + ("Conv", "QLinearConv", "ConvInteger", "com.microsoft.NhwcConv",
              "com.microsoft.NhwcFusedConv", "com.microsoft.NhwcMaxPool",
              "com.microsoft.QLinearAveragePool"),
     "a window that does not fit gives an extent below 1: refused; the others "
     "round it to 0 or 1", refused("does not fit into the padded")),
    (("ConvTranspose", "com.microsoft.ConvTransposeWithDynamicPads"),
     "pads that leave nothing: an empty result, others "
     "refuse", empty),
    (("MaxPool",), "a window of padding alone: the lowest of all, -inf; the "
     "reference gives 0, onnxruntime the lowest finite number", padding_alone),
    (POOLS + ("Conv", "ConvInteger", "com.microsoft.NhwcMaxPool"),
     "a stride larger than the window under auto_pad: the padding is 0;"
     " others compute a negative one, refuse or begin inside", padded_by_less),
    (("Cast", "CastLike"), "\"fixed point: undefined if OOR\", out of range",
     not_in_type),
    (("ReduceMax",), "of no booleans the lowest, false, which onnxruntime "
     "refuses and the reference has wrong",
     lambda case, got, no, want, theirs: theirs
     and "empty set with bool type" in str(theirs)),
    (("Gemm", "com.microsoft.QGemm", "ReduceSumSquare", "Shrink", "Pow"),
     "whole numbers wrap round where they leave their type; the others compute "
     "floats, or in a wider type", beyond_integers),
    (("com.microsoft.GroupQueryAttention",), "a window is as long as it says; "
     "onnxruntime keeps 32 bits of it", cut),
    (("LRN",), "numbers below 0, which onnxruntime refuses; a base below 0 has "
     "no power, and near it roundings decide",
     lambda case, *_: any(case.attrs.get(name, 1) <= 0
                          for name in ("alpha", "beta", "bias"))),
    (("ai.onnx.preview.training.Adam",), "1 minus a power of a beta that is no "
     "share: 0, or below it and without a root",
     lambda case, *_: not all(0 < case.attrs.get(name, 0.5) < 1
                              for name in ("alpha", "beta"))),
    (("LRN",), "an even size, which onnxruntime refuses; the reference takes "
     "the batch for the channels",
     lambda case, *_: case.attrs.get("size", 1) % 2 == 0),
    (("LpPool", "GlobalLpPool"), "powers that float32 has not: they are scaled",
     lambda case, *_: case.attrs.get("p", 2) > 20),
    (("SplitToSequence",), "the axis stays where split is given; onnxruntime "
     "drops it where that is a scalar, or fails to",
     lambda case, *_: any(name == "x1" and array.ndim == 0
                          for name, array, _ in case.tensors)),
    (("ai.onnx.preview.FlexAttention", "ai.onnx.ml.SVMClassifier",
      "ai.onnx.ml.SVMRegressor", "Shrink"),
     "a number beyond what the steps between can hold in the others", extreme),
    (("ai.onnx.ml.Imputer",), "features are the last axis; onnxruntime takes "
     "the second, the reference wants two",
     lambda case, *_: input_of(case, 0).ndim > 2),
    (("RNN", "GRU", "LSTM"), "of no steps the last state is the first; "
     "onnxruntime leaves it unset", no_steps),
    (("com.microsoft.QGemm",), "y_scale without y_zero_point, whose type is "
     "the result's: float32 is no code, and has no scale; onnxruntime divides",
     lambda case, *_: len(case.names) == 8 or
     (len(case.names) > 8 and case.names[7] and not case.names[8])),
    (("Range", "com.microsoft.Range"), "a step of 0: the number of elements is max(ceil(-inf), 0); "
     "others refuse", no_step),
    (("OneHot",), "an index that is a scalar: one row; the others' inference "
     "wants a rank", theirs_refused("must have rank >= 1")),
    (("Erf", "ReduceLogSumExp", "ReduceLogSum", "ReduceL2", "ReduceMean",
      "Mean", "Sqrt", "Exp", "Log", "Resize", "Upsample", "GridSample"),
     "how a fraction becomes an integer",
     one_off),
    (SCATTERS, "a sum of strings: refused; the others append",
     refused("of string")),
    (("Trilu", "NonZero", "Col2Im", "GridSample"), "what zero and sums of "
     "strings and booleans are: refused", refused("has element type")),
    (("HannWindow", "HammingWindow", "BlackmanWindow"), "of one element, not "
     "periodic, 0 / 0: the middle, 1; the others have NaN",
     lambda case, *_: input_of(case, 0) == 1),
    (("Resize",), "onnxruntime copies where no size changes, whatever the "
     "scales are; opset 10 the reference has not", copies),
    (("GridSample", "com.microsoft.GridSample"), "of opset 16, bicubic at the border: the place is moved "
     "onto it before the neighbours are read, as the reference does for cubic "
     "of opset 20; onnxruntime moves the neighbours",
     lambda case, *_: case.attrs.get("mode") == "bicubic"
     and case.attrs.get("padding_mode") == "border"),
    (("RNN", "GRU", "LSTM"), "layout 1: onnxruntime has none, the reference "
     "mixes up batch and directions",
     lambda case, got, no, want, theirs: case.attrs.get("layout") and theirs),
    (("StringSplit",), "an empty string has one part where a delimiter is "
     "given, as in the reference, which has no scalars", scalar),
    (("com.microsoft.CDist",), "of rows that are the same 0; onnxruntime makes "
     "distances of squares, which cancel",
     lambda case, got, no, want, theirs: got and want
     and np.allclose(got[0], want[0], 1e-3, 1e-5)),
    (("com.microsoft.Tokenizer",), "of no strings there are no words, on an axis "
     "of their own; onnxruntime loses one", empty),
    (("com.microsoft.QLinearReduceMean",), "the mean of nothing is no number, "
     "what code it has is left open",
     lambda case, *_: input_of(case, 0).size == 0),
    (("Celu",), "alpha * (exp(x / alpha) - 1) of an alpha that loses x beside 1,"
     " or is 0: the exact value; the others round in between, or have 0 * inf",
     lambda case, *_: not 1e-6 < abs(case.attrs.get("alpha", 1)) < 1e6),
    (("ai.onnx.preview.FlexAttention",), "a scale below 0 is a factor of the "
     "products like any other; the reference takes its root",
     lambda case, *_: case.attrs.get("scale", 1) < 0),
    (("MeanVarianceNormalization",), "of another type than float32: the "
     "others' function has constants of float32",
     theirs_refused("bound to different types")),
    (("com.microsoft.QLinearGlobalAveragePool",
      "com.microsoft.QLinearAveragePool"), "channels_last is not "
     "supported", refused("channels_last")),
]
RULES += ML_RULES
