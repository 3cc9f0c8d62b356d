"""Differences of ai.onnx.ml that are explained; rows as in rules.py."""
import re

import numpy as np

ML = "ai.onnx.ml."
REGRESSORS = (ML + "LinearRegressor", ML + "SVMRegressor",
              ML + "TreeEnsembleRegressor")
CLASSIFIERS = (ML + "LinearClassifier", ML + "SVMClassifier",
               ML + "TreeEnsembleClassifier")


def transform(case):
    return case.attrs.get("post_transform", "NONE")


def single_score(case, *_):
    n = case.attrs.get("targets", case.attrs.get("n_targets", 1))
    return n == 1 and transform(case) != "NONE"


def one_score(case, *_):
    """Of two classes only one has scores."""
    a = case.attrs
    if transform(case) == "NONE":
        return False
    if case.op.endswith("SVMClassifier"):
        return len(a.get("rho", [])) == 1 and "prob_a" not in a
    if case.op.endswith("LinearClassifier"):
        row = case.tensors[0][1].shape[-1:]
        return len(a.get("coefficients", [])) == (*row, 1)[0]
    return len(set(a.get("class_ids", []))) == 1


def probit(case, *_):
    return transform(case) == "PROBIT"


def zero(case, got, no, want, theirs):
    """Scores that are 0 or nearly, under SOFTMAX_ZERO."""
    return transform(case) == "SOFTMAX_ZERO" and got and want and \
        (np.isnan(want[-1]).any() or (abs(want[-1]) < 1e-6).any())


def n_labels(attrs, ints):
    return len(attrs.get(ints, attrs.get("classlabels_strings", [])))


def linear_pair(case, *_):
    a = case.attrs
    return "vectors_per_class" not in a and n_labels(a, "classlabels_ints") == 2


def both_voted(case, *_):
    a = case.attrs
    return n_labels(a, "classlabels_int64s") == 2 \
        and (len(set(a.get("class_ids", []))) == 2 or "base_values" in a)


def no_reference(case, got, no, want, theirs):
    return got is not None and theirs is not None and theirs.missing


def double_target(case, got, no, want, theirs):
    """A leaf with several votes for one target."""
    a = case.attrs
    votes = list(zip(a.get("target_treeids", []), a.get("target_nodeids", [])))
    return len(set(votes)) < len(votes)


def half(case, *_):
    return case.tensors[0][1].dtype == np.float16


def lists_apart(case, got, no, want, theirs):
    """Lists that belong together, one of them changed."""
    return no and case.changed == "attribute" and re.search(
        r"has \d+ elements, .* expected|^.*: both of ", str(no))


ML_RULES = [
    (None, "lists of attributes that are not of one length, or two of which "
     "one excludes the other; the others read what there is", lists_apart),
    ((ML + "Scaler",), "one number may stand for all in one list only",
     lambda case, got, no, want, theirs: theirs
     and re.search(r"scale_.size\(\) == offset_.size|!scale_.empty|Either both",
                   str(theirs))),
    ((ML + "TreeEnsemble",), "of float16 there is the reference only, which "
     "takes sets of members as its walk meets them", half),
    ((ML + "TreeEnsemble",), "post_transform by the standard's numbers; "
     "onnxruntime has others for SOFTMAX and LOGISTIC, the reference none",
     lambda case, *_: case.attrs.get("post_transform", 0) != 0),
    (REGRESSORS, "a single score is transformed like any other; onnxruntime "
     "knows PROBIT only, the reference none", single_score),
    (CLASSIFIERS, "two classes by one score are transformed as two scores; "
     "onnxruntime does so for LOGISTIC and weights of both signs", one_score),
    ((ML + "Normalizer",), "the lowest whole number has a size; the others "
     "take it in its own type, where it has none",
     lambda case, *_: case.changed == "input_edge"
     and case.tensors[0][1].dtype.kind in "iu"),
    (REGRESSORS + CLASSIFIERS, "PROBIT of what is no probability", probit),
    (REGRESSORS + CLASSIFIERS, "scores that are all 0 under SOFTMAX_ZERO "
     "become 0.5, as in the reference; sums that cancel are 0 for one engine "
     "only", zero),
    ((ML + "SVMClassifier",), "two linear functions: the class of the higher "
     "one; onnxruntime takes the second if any is above 0", linear_pair),
    ((ML + "TreeEnsembleClassifier",), "two classes with votes for both, or "
     "base values: the class of the higher score; onnxruntime looks at one "
     "score only", both_voted),
    (REGRESSORS + CLASSIFIERS, "a type or version that neither other has",
     no_reference),
    ((ML + "TreeEnsembleRegressor",), "all votes of a leaf count; onnxruntime "
     "drops some where a target is voted for twice", double_target),
]
