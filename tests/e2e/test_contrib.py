"""Every operator of com.microsoft that onnxruntime runs on a CPU is there or has
its reason here."""
import pathlib
import re

import pytest

state = pytest.importorskip("onnxruntime.capi.onnxruntime_pybind11_state")

OPERATORS = pathlib.Path(__file__).parents[2] / "docs/reference/operators.md"
ROW = re.compile(r"^\| com\.microsoft \| (\w+) \|", re.M)

LOOP = "a loop of text generation: its decoder is to be a model of its own"
OLD = "of models of one kind, and no other, some years ago"
NEW = "not built: of models newer than those that were looked at"

# What is not there, by operator.
REASONS = {
    "AttnLSTM": OLD,
    "BeamSearch": LOOP,
    "GatherPacked": NEW,
    "GreedySearch": LOOP,
    "MatMulFpQ4": "weights as one version of onnxruntime packed them",
    "Sampling": LOOP,
    "SparseToDenseMatMul": "takes a sparse tensor as an input",
    "WhisperBeamSearch": LOOP,
    "WordConvEmbedding": OLD,
}


def theirs():
    return {k.op_name for k in state.get_all_opkernel_def()
            if k.domain == "com.microsoft"
            and k.provider == "CPUExecutionProvider"}


def test_each_operator_is_there_or_has_a_reason():
    ours = set(ROW.findall(OPERATORS.read_text()))
    assert theirs() - ours - set(REASONS) == set()


def test_reasons_are_of_what_is_not_there():
    ours = set(ROW.findall(OPERATORS.read_text()))
    assert set(REASONS) & ours == set()
