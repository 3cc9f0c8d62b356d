"""`modeld predict`: every kind of input on models that show which element went
where, and what it writes."""
import json
import os
import subprocess

import pytest

np = pytest.importorskip("numpy")
onnx = pytest.importorskip("onnx")
from onnx import TensorProto as T, helper  # noqa: E402

MODELD = os.environ.get("MODELD", "build/modeld")

# name: nodes (operator, inputs, outputs, attributes), inputs.
MODELS = {
    "two": ([("Sub", ["a", "b"], ["y"], {})],
            [("a", T.FLOAT, [None, 2]), ("b", T.FLOAT, [None, 2])]),
    "odd": ([("Sub", ["a/x=1", "b"], ["y"], {})],
            [("a/x=1", T.FLOAT, [2]), ("b", T.FLOAT, [2])]),
    "clash": ([("Neg", ["x"], ["a/b"], {}), ("Exp", ["x"], ["a:b"], {})],
              [("x", T.FLOAT, [2])]),
    "string": ([("Identity", ["x"], ["y"], {})], [("x", T.STRING, [None])]),
    "bool": ([("Not", ["x"], ["y"], {})], [("x", T.BOOL, [None])]),
    "uint8": ([("Identity", ["x"], ["y"], {})], [("x", T.UINT8, [None])]),
    "int64": ([("Identity", ["x"], ["y"], {})], [("x", T.INT64, [None])]),
    "uint64": ([("Identity", ["x"], ["y"], {})], [("x", T.UINT64, [None])]),
    "casts": ([("Cast", ["x"], [name], {"to": to}) for name, to in (
        ("bf/16:0", T.BFLOAT16), ("f8 e4", T.FLOAT8E4M3FN), ("i4", T.INT4),
        ("f16", T.FLOAT16), ("é", T.DOUBLE), ("b", T.BOOL), ("u", T.UINT64),
        ("f4", T.FLOAT4E2M1))], [("x", T.FLOAT, [None, 3])]),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The models as files NAME.onnx."""
    folder = tmp_path_factory.mktemp("models")
    for name, (nodes, inputs) in MODELS.items():
        outputs = [(o, a.get("to", inputs[0][1]), None)
                   for _, _, out, a in nodes for o in out]
        graph = helper.make_graph(
            [helper.make_node(op, i, o, **a) for op, i, o, a in nodes], "g",
            [helper.make_tensor_value_info(*i) for i in inputs],
            [helper.make_tensor_value_info(*o) for o in outputs])
        opset = helper.make_opsetid("", 23)
        onnx.save(helper.make_model(graph, opset_imports=[opset],
                                    ir_version=11), folder / f"{name}.onnx")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Files that the tests name."""
    folder = tmp_path_factory.mktemp("data")
    a, b = np.float32([[1, 2], [3, 4]]), np.float32([[10, 20], [30, 50]])
    np.save(folder / "a.npy", a)
    np.save(folder / "b.npy", b)
    np.save(folder / "row.npy", a[0])
    np.save(folder / "fortran.npy", np.asfortranarray(a))
    np.save(folder / "big-endian.npy", a.astype(">f4"))
    np.save(folder / "double.npy", a.astype("f8"))
    np.save(folder / "half.npy", a.astype("f2"))
    np.save(folder / "300.npy", np.int64([1, 300]))
    np.save(folder / "-1.npy", np.int8([-1]))
    np.save(folder / "2^63.npy", np.uint64([1 << 63]))
    np.save(folder / "text.npy", np.array(["a", "é中", ""]))
    np.save(folder / "3.npy", np.float32([[1.5, -2, 300]]))
    np.savez(folder / "ab.npz", a=a, b=b)
    np.savez_compressed(folder / "ba.npz", b=b, a=a)
    np.savez(folder / "abc.npz", a=a, b=b, c=b)
    (folder / "ab.json").write_text(
        json.dumps({"b": b.tolist(), "a": a.ravel().tolist()}))
    with open(folder / "a.pb", "wb") as f:
        f.write(onnx.numpy_helper.from_array(a).SerializeToString())
    for name, text in (("yes-no", "[true, false]"), ("1-0", "[1, 0]"),
                       ("300", "[1, 300]"), ("-1", "[-1]"), ("255", "[255]"),
                       ("2^63", "[9223372036854775808]"), ("none", "[]"),
                       ("2^63-1", "[9223372036854775807]"),
                       ("2^64-1", "[18446744073709551615]"),
                       ("fraction", "[1.5]"), ("string", '["a"]')):
        (folder / f"{name}.json").write_text(text)
    return folder


def predict(folder, models, name, *inputs, rc=0, more=()):
    words = [w for i in inputs for w in ("--input", i)]
    p = subprocess.run([os.path.abspath(MODELD), "predict",
                        models / f"{name}.onnx", *words, *more], cwd=folder,
                       text=True, capture_output=True, timeout=60)
    assert p.returncode == rc, f"{inputs}: {p.returncode}\n{p.stdout}{p.stderr}"
    if rc == 0:
        return p.stdout
    assert p.stdout == "" and p.stderr.count("\n") == 1
    return p.stderr


@pytest.mark.parametrize("inputs", [
    ["a=a.npy", "b=b.npy"],
    ["b=b.npy", "a=a.npy"],
    ["ab.npz"],
    ["ba.npz"],
    ["a=ab.npz", "b=b.npy"],
    ["ab.json"],
    ["a=a.pb", "b=b.npy"],
    ["a=fortran.npy", "b=b.npy"],
    ["a=big-endian.npy", "b=b.npy"],
    ["a=double.npy", "b=ab.npz"],
    ["a=half.npy", "b=./b.npy"],
])
def test_two_inputs(data, models, inputs):
    out = predict(data, models, "two", *inputs)
    assert out == "y float32[2,2] -9 -18 -27 -46\n"


@pytest.mark.parametrize("inputs,text", [
    (["a=a.npy"], "input 'b' is missing, expected float32["),
    (["a.npy"], "2 inputs, expected NAME=FILE with one of 'a', 'b'"),
    (["a=a.npy", "a=ab.npz"], "input 'a' is given twice"),
    (["ab.npz", "b=b.npy"], "input 'b' is given twice"),
    (["c=a.npy"], "no input 'c', expected one of 'a', 'b'"),
    (["c=abc.npz"], "no input 'c', expected one of 'a', 'b'"),
    (["abc.npz"], "'abc.npz': the model has no input 'c'"),
    (["=a.npy"], "no input ''"),
    (["a="], "cannot open ''"),
    (["a=row.npz"], "cannot open 'row.npz'"),
])
def test_two_inputs_refused(data, models, inputs, text):
    assert text in predict(data, models, "two", *inputs, rc=1)


def test_npz_lacks_the_array(data, models, tmp_path):
    np.savez(tmp_path / "b.npz", b=np.zeros((1, 2), "f"))
    err = predict(tmp_path, models, "two", "a=b.npz", rc=1)
    assert "file 'b.npz': no array is called 'a'" in err


def test_names_with_equals_and_slash(data, models):
    """The name of an input may hold what separates it from the file."""
    out = predict(data, models, "odd", "a/x=1=row.npy", "b=row.npy")
    assert out == "y float32[2] 0 0\n"
    err = predict(data, models, "odd", "a/x=2=row.npy", rc=1)
    assert "'a/x=2=row.npy'" in err


@pytest.mark.parametrize("model,file,out", [
    ("bool", "yes-no.json", "y bool[2] 0 1"),
    ("uint8", "255.json", "y uint8[1] 255"),
    ("int64", "300.npy", "y int64[2] 1 300"),
    ("int64", "-1.npy", "y int64[1] -1"),
    ("int64", "none.json", "y int64[0]"),
    ("int64", "2^63-1.json", "y int64[1] 9223372036854775807"),
    ("uint64", "2^63.npy", "y uint64[1] 9223372036854775808"),
    ("uint64", "2^64-1.json", "y uint64[1] 18446744073709551615"),
    ("string", "text.npy", 'y string[3] "a" "é中" ""'),
])
def test_element_types(data, models, model, file, out):
    assert predict(data, models, model, file) == out + "\n"


@pytest.mark.parametrize("model,file,text", [
    ("bool", "1-0.json", "expected true or false"),
    ("uint8", "300.json", "input 'x': 300 given, which does not fit uint8"),
    ("uint8", "300.npy", "input 'x': 300 given, which does not fit uint8"),
    ("uint8", "-1.json", "input 'x': -1 given, which does not fit uint8"),
    ("uint64", "-1.npy", "input 'x': -1 given, which does not fit uint64"),
    ("int64", "2^63.npy", "9223372036854775808 given, which does not fit int64"),
    ("int64", "2^63.json", "9223372036854775808 does not fit int64"),
    ("int64", "fraction.json", "expected an integer"),
    ("int64", "a.npy", "float32 given, expected int64"),
    ("string", "string.json", "strings are not read from JSON"),
    ("string", "a.npy", "float32 given, expected string"),
])
def test_values_that_do_not_fit(data, models, model, file, text):
    err = predict(data, models, model, file, rc=1)
    assert text in err and f"'{file}'" in err


def test_files_written(data, models, tmp_path):
    """Names, types and bits of what NumPy has no type for."""
    out = tmp_path / "out"
    predict(data, models, "casts", "3.npy", more=["-o", out])
    got = {p.name: np.load(p) for p in out.iterdir()}
    want = {
        "bf_16_0.npy": np.uint16([0x3fc0, 0xc000, 0x4396]),
        "f8_e4.npy": np.uint8([0x3c, 0xc0, 0x79]),  # 288 is nearest to 300
        "f16.npy": np.float16([1.5, -2, 300]),
        "__.npy": np.float64([1.5, -2, 300]),  # two bytes of UTF-8
        "b.npy": np.bool_([1, 1, 1]),
    }
    for name, values in want.items():
        assert got[name].dtype == values.dtype, name
        np.testing.assert_array_equal(got[name], [values], name)
    assert got["i4.npy"].dtype == got["f4.npy"].dtype == np.uint8
    assert got["i4.npy"][0, 0] & 15 == 1 and got["i4.npy"][0, 1] & 15 == 14
    assert got["u.npy"].dtype == np.uint64 and got["u.npy"][0, 2] == 300
    assert len(got) == len(MODELS["casts"][0])


def test_strings_written(data, models, tmp_path):
    predict(data, models, "string", "text.npy", more=["-o", tmp_path])
    got = np.load(tmp_path / "y.npy")
    assert got.dtype.kind == "U" and got.tolist() == ["a", "é中", ""]


def test_two_outputs_for_one_file(data, models, tmp_path):
    out = tmp_path / "out"
    err = predict(data, models, "clash", "row.npy", more=["-o", out], rc=1)
    assert "outputs 'a/b' and 'a:b' would both be written to" in err
    assert not out.exists()
    answer = json.loads(predict(data, models, "clash", "row.npy",
                                more=["--json"]))
    assert [o["name"] for o in answer["outputs"]] == ["a/b", "a:b"]
    assert answer["outputs"][0]["data"] == [-1, -2]


@pytest.mark.parametrize("folder,text", [
    ("no/such", "cannot make folder 'no/such': No such file"),
    ("", "cannot make folder ''"),
    ("a.npy", "cannot write 'a.npy/y.npy': Not a directory"),
])
def test_folders_that_cannot_be(data, models, folder, text):
    err = predict(data, models, "two", "ab.npz", more=["-o", folder], rc=1)
    assert text in err
