"""How tests/ops/fill.py reads the lines of operator cases."""
import pathlib
import sys

import pytest

pytest.importorskip("onnxruntime")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "ops"))
import fill  # noqa: E402


@pytest.mark.parametrize("text, value", [
    ("[1,2]", [1, 2]),
    ("[1, 2.5]", [1.0, 2.5]),
    ("[]", []),
    ("-3", -3),
    ('"a b"', "a b"),
    ('["a,b","c"]', ["a,b", "c"]),
    ('["a, b", "", "c]"]', ["a, b", "", "c]"]),
])
def test_attributes(text, value):
    assert fill.attribute(text) == value


def test_words_end_outside_of_quotes_and_brackets():
    line = 'Op-1 a=["x ] y","z"] b="p q" str[2]{"} {" b} f32[2]{1 2}'
    assert fill.WORD.findall(line) == [
        "Op-1", 'a=["x ] y","z"]', 'b="p q"', 'str[2]{"} {" b}', "f32[2]{1 2}"]


def test_a_separator_with_a_comma_reaches_the_operator():
    line = ('com.microsoft.Tokenizer-1 mark=0 mincharnum=1 pad_value="#" '
            'separators=[", ","x"] str[1]{"a, bxc"} -> ?')
    assert fill.fill(line).endswith("-> str[1,3]{a b c}")
