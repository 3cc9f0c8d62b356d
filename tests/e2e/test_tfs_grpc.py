"""TensorFlow Serving's gRPC services, by stubs made of its messages."""
import pathlib
import sys

import numpy as np
import onnx
import pytest
from onnx import helper

import serving

grpc = pytest.importorskip("grpc")
protoc = pytest.importorskip("grpc_tools.protoc")
PROTOS = pathlib.Path(__file__).parent / "protos"
CODE = grpc.StatusCode

# Model, element type, numpy's, TensorFlow's, the typed list.
KINDS = [
    ("f32", "FLOAT", np.float32, "DT_FLOAT", "float_val"),
    ("f64", "DOUBLE", np.float64, "DT_DOUBLE", "double_val"),
    ("f16", "FLOAT16", np.float16, "DT_HALF", "half_val"),
    ("i8", "INT8", np.int8, "DT_INT8", "int_val"),
    ("u8", "UINT8", np.uint8, "DT_UINT8", "int_val"),
    ("i16", "INT16", np.int16, "DT_INT16", "int_val"),
    ("u16", "UINT16", np.uint16, "DT_UINT16", "int_val"),
    ("i32", "INT32", np.int32, "DT_INT32", "int_val"),
    ("u32", "UINT32", np.uint32, "DT_UINT32", "uint32_val"),
    ("i64", "INT64", np.int64, "DT_INT64", "int64_val"),
    ("u64", "UINT64", np.uint64, "DT_UINT64", "uint64_val"),
    ("flag", "BOOL", np.bool_, "DT_BOOL", "bool_val"),
]
IDS = [k[0] for k in KINDS]


@pytest.fixture(scope="module")
def pb(tmp_path_factory):
    """The two modules of messages and stubs."""
    out = tmp_path_factory.mktemp("protos")
    include = pathlib.Path(protoc.__file__).parent / "_proto"
    assert protoc.main(["protoc", f"-I{PROTOS}", f"-I{include}",
                        f"--python_out={out}", f"--grpc_python_out={out}",
                        "tensorflow.proto", "tensorflow_serving.proto"]) == 0
    sys.path.insert(0, str(out))
    try:
        import tensorflow_pb2
        import tensorflow_serving_pb2
        import tensorflow_serving_pb2_grpc
    finally:
        sys.path.remove(str(out))
    tensorflow_serving_pb2.tf = tensorflow_pb2
    tensorflow_serving_pb2.stubs = tensorflow_serving_pb2_grpc
    return tensorflow_serving_pb2


def net(path, nodes, inputs, outputs, **more):
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info(*i) for i in inputs],
        [helper.make_tensor_value_info(*o) for o in outputs], **more)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)],
                              ir_version=10)
    if path.stem == "labels":
        helper.set_model_props(model, {"modeld.labels": "one\ntwo\nthree"})
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    d = tmp_path_factory.mktemp("models")
    node = helper.make_node
    t = onnx.TensorProto
    f = t.FLOAT
    paths = [net(d / f"{name}.onnx", [node("Identity", ["x"], ["y"])],
                 [("x", getattr(t, kind), ["n", 3])],
                 [("y", getattr(t, kind), ["n", 3])])
             for name, kind, *_ in KINDS + [("text", "STRING")]]
    paths.append(net(d / "two.onnx",
                     [node("Add", ["a", "b"], ["sum"]),
                      node("Sub", ["a", "b"], ["difference"])],
                     [("a", f, ["n", 2]), ("b", f, ["n", 2])],
                     [("sum", f, ["n", 2]), ("difference", f, ["n", 2])]))
    paths.append(net(d / "labels.onnx", [node("Identity", ["x"], ["y"])],
                     [("x", f, ["n", 3])], [("y", f, ["n", 3])]))
    paths.append(net(d / "value.onnx",
                     [node("ReduceSum", ["x", "axes"], ["y"], keepdims=1)],
                     [("x", f, ["n", 3])], [("y", f, ["n", 1])],
                     initializer=[helper.make_tensor("axes", t.INT64, [1],
                                                     [1])]))
    paths.append(net(d / "scalar.onnx", [node("Neg", ["x"], ["y"])],
                     [("x", f, [])], [("y", f, [])]))
    return paths


@pytest.fixture(scope="module")
def channel(models):
    with serving.server(*models, "--listen", "127.0.0.1:0", "--log-level",
                        "error", "--body-max", "8M") as (url, p):
        with grpc.insecure_channel(url.removeprefix("http://")) as c:
            yield c
        assert p.poll() is None


@pytest.fixture(scope="module")
def stub(channel, pb):
    return pb.stubs.PredictionServiceStub(channel)


def tensor(pb, dtype, shape, **values):
    t = pb.tf.TensorProto(dtype=dtype, **values)
    for n in shape:
        t.tensor_shape.dim.add(size=n)
    return t


def request(pb, model, **inputs):
    r = pb.PredictRequest()
    r.model_spec.name = model
    for name, t in inputs.items():
        r.inputs[name].CopyFrom(t)
    return r


def listed(x, field):
    """Values as the typed list has them."""
    if field == "half_val":
        return x.view(np.uint16).ravel().tolist()
    return x.ravel().tolist()


def sample(dtype):
    if dtype == np.bool_:
        return np.array([[True, False, True], [False, False, True]])
    if np.issubdtype(dtype, np.integer):
        i = np.iinfo(dtype)
        return np.array([[i.min, i.max, 7], [0, 1, i.max - 1]], dtype)
    return np.array([[1.5, -2, 0], [np.inf, 1e-4, -0.0]], dtype)


def is_answer(t, x, dtype, field):
    assert t.dtype == dtype
    assert [d.size for d in t.tensor_shape.dim] == list(x.shape)
    assert not t.tensor_content
    assert list(getattr(t, field)) == listed(x, field)


# ---- Predict ----

@pytest.mark.parametrize("model, onnx_type, kind, name, field", KINDS, ids=IDS)
def test_typed_lists_and_content(stub, pb, model, onnx_type, kind, name, field):
    x = sample(kind)
    dtype = pb.tf.DataType.Value(name)
    for values in ({field: listed(x, field)}, {"tensor_content": x.tobytes()}):
        r = stub.Predict(request(pb, model, x=tensor(pb, dtype, x.shape,
                                                     **values)))
        is_answer(r.outputs["y"], x, dtype, field)
        assert r.model_spec.name == model
        assert r.model_spec.version.value == 1
        assert r.model_spec.signature_name == "serving_default"


@pytest.mark.parametrize("model, onnx_type, kind, name, field", KINDS, ids=IDS)
def test_the_last_value_stands_for_the_rest(stub, pb, model, onnx_type, kind,
                                            name, field):
    x = np.array([[1, 0, 0], [0, 0, 0]], kind)
    dtype = pb.tf.DataType.Value(name)
    t = tensor(pb, dtype, x.shape, **{field: listed(x, field)[:2]})
    is_answer(stub.Predict(request(pb, model, x=t)).outputs["y"], x, dtype,
              field)
    t = tensor(pb, dtype, x.shape, **{field: listed(x, field)[:1]})
    is_answer(stub.Predict(request(pb, model, x=t)).outputs["y"],
              np.ones_like(x), dtype, field)
    t = tensor(pb, dtype, x.shape)
    is_answer(stub.Predict(request(pb, model, x=t)).outputs["y"],
              np.zeros_like(x), dtype, field)


def test_strings(stub, pb):
    words = [b"a", b"", b"\xff\x00b", b"long " * 100, b"e", b"f"]
    t = tensor(pb, pb.tf.DT_STRING, [2, 3], string_val=words)
    y = stub.Predict(request(pb, "text", x=t)).outputs["y"]
    assert list(y.string_val) == words
    t = tensor(pb, pb.tf.DT_STRING, [2, 3], string_val=[b"a", b"b"])
    y = stub.Predict(request(pb, "text", x=t)).outputs["y"]
    assert list(y.string_val) == [b"a"] + [b"b"] * 5


def test_empty_tensors_and_scalars(stub, pb):
    y = stub.Predict(request(pb, "f32", x=tensor(
        pb, pb.tf.DT_FLOAT, [0, 3]))).outputs["y"]
    assert [d.size for d in y.tensor_shape.dim] == [0, 3] and not y.float_val
    y = stub.Predict(request(pb, "scalar", x=tensor(
        pb, pb.tf.DT_FLOAT, [], float_val=[3]))).outputs["y"]
    assert list(y.float_val) == [-3] and not y.tensor_shape.dim


def test_many_values(stub, pb):
    for model, kind, name, field in (("f32", np.float32, "DT_FLOAT",
                                      "float_val"),
                                     ("i64", np.int64, "DT_INT64",
                                      "int64_val")):
        x = (np.arange(300000) * 7919 % 100003 - 50000).astype(kind)
        x = x.reshape(-1, 3)
        r = stub.Predict(request(pb, model, x=tensor(
            pb, pb.tf.DataType.Value(name), x.shape,
            tensor_content=x.tobytes())))
        assert list(getattr(r.outputs["y"], field)) == x.ravel().tolist()


def two(pb):
    f = pb.tf.DT_FLOAT
    return request(pb, "two", a=tensor(pb, f, [1, 2], float_val=[5, 7]),
                   b=tensor(pb, f, [1, 2], float_val=[1, 2]))


def test_outputs_can_be_filtered(stub, pb):
    r = two(pb)
    assert set(stub.Predict(r).outputs) == {"sum", "difference"}
    r.output_filter.append("difference")
    y = stub.Predict(r).outputs
    assert set(y) == {"difference"}
    assert list(y["difference"].float_val) == [4, 5]
    for bad, text in (("nope", "no output 'nope'"),
                      ("difference", "given twice")):
        again = pb.PredictRequest.FromString(r.SerializeToString())
        again.output_filter.append(bad)
        fails(lambda: stub.Predict(again), CODE.INVALID_ARGUMENT, text)


def fails(call, code, text):
    with pytest.raises(grpc.RpcError) as e:
        call()
    assert text in e.value.details(), e.value.details()
    assert e.value.code() == code


def test_versions_and_signatures(stub, pb):
    r = two(pb)
    r.model_spec.version.value = 1
    r.model_spec.signature_name = "serving_default"
    assert stub.Predict(r).outputs
    for change, code, text in [
            (lambda s: s.ClearField("name"), CODE.INVALID_ARGUMENT,
             "model_spec has no name"),
            (lambda s: setattr(s, "name", "x"), CODE.NOT_FOUND, "'x'"),
            (lambda s: setattr(s.version, "value", 2), CODE.NOT_FOUND,
             "version 2"),
            (lambda s: setattr(s.version, "value", -1), CODE.NOT_FOUND,
             "version -1"),
            (lambda s: setattr(s, "version_label", "stable"), CODE.NOT_FOUND,
             "label 'stable'"),
            (lambda s: setattr(s, "signature_name", "other"),
             CODE.INVALID_ARGUMENT, "'serving_default' expected")]:
        bad = two(pb)
        change(bad.model_spec)
        fails(lambda: stub.Predict(bad), code, text)
    fails(lambda: stub.Predict(pb.PredictRequest()), CODE.INVALID_ARGUMENT,
          "no name")


@pytest.mark.parametrize("values, code, text", [
    (dict(dtype=3, shape=[1, 3], int_val=[1]), "INVALID_ARGUMENT",
     "DT_INT32 given, DT_FLOAT expected"),
    (dict(dtype=1, shape=[1, 3], float_val=[1, 2, 3, 4]), "INVALID_ARGUMENT",
     "lists more"),
    (dict(dtype=1, shape=[1, 3], tensor_content=b"12345"), "INVALID_ARGUMENT",
     "5 bytes, 12 expected"),
    (dict(dtype=1, shape=[1, 4], float_val=[1]), "INVALID_ARGUMENT", "[1,4]"),
    (dict(dtype=1, shape=[3], float_val=[1]), "INVALID_ARGUMENT", "[3]"),
    (dict(dtype=1, shape=[-1, 3], float_val=[1]), "INVALID_ARGUMENT",
     "without a size"),
    (dict(dtype=1, shape=[-5, 3], float_val=[1]), "INVALID_ARGUMENT", "-5"),
    (dict(dtype=1, shape=[1] * 9, float_val=[1]), "UNIMPLEMENTED", "rank"),
    (dict(dtype=1, shape=[1 << 40, 3], float_val=[1]), "RESOURCE_EXHAUSTED",
     "at most 8388608"),
    (dict(dtype=1, shape=[1 << 62, 3], float_val=[1]), None, ""),
    (dict(dtype=7, shape=[1 << 30, 3], string_val=[b"x"]), None, ""),
    (dict(dtype=0, shape=[1, 3]), "UNIMPLEMENTED", "type 0"),
    (dict(dtype=99, shape=[1, 3]), "UNIMPLEMENTED", "type 99"),
], ids=range(13))
def test_tensors_that_are_none(stub, pb, values, code, text):
    shape = values.pop("shape")
    t = tensor(pb, values.pop("dtype"), shape, **values)
    with pytest.raises(grpc.RpcError) as e:
        stub.Predict(request(pb, "f32", x=t))
    assert text in e.value.details(), e.value.details()
    if code:
        assert e.value.code() == CODE[code], e.value.details()


def test_inputs_that_are_none(stub, pb):
    r = two(pb)
    r.inputs["c"].CopyFrom(r.inputs["a"])
    fails(lambda: stub.Predict(r), CODE.INVALID_ARGUMENT,
          "unexpected input 'c'")
    r = two(pb)
    del r.inputs["b"]
    fails(lambda: stub.Predict(r), CODE.INVALID_ARGUMENT, "input 'b'")


def test_bytes_that_are_none(channel):
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    for junk in (b"\xff", b"\x0a\x7f", b"\x0a\x02\x08\x01", b"\x12\x02\x12\x09",
                 b"\x0a\x05\x0a\x03f32\x12\x06\x0a\x01x\x12\x03\x08\x01\x2a"):
        with pytest.raises(grpc.RpcError) as e:
            call(junk)
        assert e.value.code() == CODE.INVALID_ARGUMENT


# ---- Classify, Regress, MultiInference ----

def example(pb, **features):
    e = pb.tf.Example()
    for name, value in features.items():
        f = e.features.feature[name]
        if isinstance(value[0], bytes):
            f.bytes_list.value.extend(value)
        elif isinstance(value[0], int):
            f.int64_list.value.extend(value)
        else:
            f.float_list.value.extend(value)
    return e


def of_examples(kind, pb, model, *examples, context=None):
    r = kind()
    r.model_spec.name = model
    if context:
        r.input.example_list_with_context.examples.extend(examples)
        r.input.example_list_with_context.context.CopyFrom(context)
    else:
        r.input.example_list.examples.extend(examples)
    return r


def test_classify(stub, pb):
    r = stub.Classify(of_examples(
        pb.ClassificationRequest, pb, "labels", example(pb, x=[.5, .25, .125]),
        example(pb, x=[1, 2, 3], unused=[b"z"])))
    got = [[(c.label, c.score) for c in row.classes]
           for row in r.result.classifications]
    assert got == [[("one", .5), ("two", .25), ("three", .125)],
                   [("one", 1), ("two", 2), ("three", 3)]]
    assert r.model_spec.name == "labels"


def test_regress(stub, pb):
    r = stub.Regress(of_examples(
        pb.RegressionRequest, pb, "value", example(pb, x=[1., 2., 3.]),
        example(pb, x=[-1., 0., .5])))
    assert [v.value for v in r.result.regressions] == [6, -.5]


def test_a_context_is_for_all(stub, pb):
    r = stub.Regress(of_examples(
        pb.RegressionRequest, pb, "value", example(pb), example(pb, x=[1.] * 3),
        example(pb), context=example(pb, x=[1., 2., 3.])))
    assert [v.value for v in r.result.regressions] == [6, 3, 6]


def test_multi_inference(stub, pb):
    r = pb.MultiInferenceRequest()
    for method in ("classify", "classify"):
        t = r.tasks.add(method_name=f"tensorflow/serving/{method}")
        t.model_spec.name = "labels"
    r.input.example_list.examples.append(example(pb, x=[.5, .25, 0.]))
    got = stub.MultiInference(r)
    assert len(got.results) == 2
    for result in got.results:
        assert result.model_spec.name == "labels"
        classes = result.classification_result.classifications[0].classes
        assert [c.label for c in classes] == ["one", "two", "three"]
    r.ClearField("tasks")
    r.tasks.add(method_name="tensorflow/serving/regress").model_spec.name = \
        "value"
    got = stub.MultiInference(r)
    assert got.results[0].regression_result.regressions[0].value == .75
    r.tasks.add(method_name="tensorflow/serving/regress").model_spec.name = \
        "labels"
    fails(lambda: stub.MultiInference(r), CODE.INVALID_ARGUMENT,
          "one model expected")
    r.tasks.pop()
    r.tasks[0].method_name = "tensorflow/serving/predict"
    fails(lambda: stub.MultiInference(r), CODE.UNIMPLEMENTED, "method_name")
    r.ClearField("tasks")
    fails(lambda: stub.MultiInference(r), CODE.INVALID_ARGUMENT, "no task")


@pytest.mark.parametrize("model, kind, values", [
    ("f64", "Regress", [1., 2., 3.]), ("i64", "Regress", [1, 2, 3])])
def test_outputs_that_do_not_fit(stub, pb, model, kind, values):
    fails(lambda: stub.Regress(of_examples(pb.RegressionRequest, pb, model,
                                           example(pb, x=values))),
          CODE.INVALID_ARGUMENT, "no output of one number")
    fails(lambda: stub.Classify(of_examples(pb.ClassificationRequest, pb, model,
                                            example(pb, x=values))),
          CODE.INVALID_ARGUMENT, "no labels")


def test_examples_that_are_none(stub, pb):
    def regress(*examples, model="value", **more):
        return lambda: stub.Regress(of_examples(pb.RegressionRequest, pb, model,
                                                *examples, **more))

    bad = CODE.INVALID_ARGUMENT
    fails(regress(), bad, "no example given")
    fails(regress(example(pb)), bad, "example 0 has no feature 'x'")
    fails(regress(example(pb, x=[1.] * 3), example(pb, x=[1.] * 2)), bad,
          "example 1 has 2 values, the first has 3")
    fails(regress(example(pb, x=[1.] * 4)), bad, "[1,4]")
    fails(regress(example(pb, x=[b"a"] * 3)), bad, "another kind")
    fails(regress(example(pb, x=[1.] * 3), model="i64"), bad, "another kind")
    fails(regress(example(pb, x=[1, 2, 300]), model="u8"), bad,
          "does not fit uint8")
    # Many examples that all have the context's many values.
    fails(regress(*[example(pb)] * 100000,
                  context=example(pb, x=[1.] * 100000)),
          CODE.RESOURCE_EXHAUSTED, "bytes of values")


# ---- metadata and status ----

def test_metadata(stub, pb):
    r = pb.GetModelMetadataRequest(metadata_field=["signature_def"])
    r.model_spec.name = "two"
    got = stub.GetModelMetadata(r)
    assert got.model_spec.name == "two" and got.model_spec.version.value == 1
    defs = pb.SignatureDefMap()
    assert got.metadata["signature_def"].Unpack(defs)
    d = defs.signature_def["serving_default"]
    assert set(d.inputs) == {"a", "b"} and set(d.outputs) == {"sum",
                                                             "difference"}
    assert d.method_name == "tensorflow/serving/predict"
    a = d.inputs["a"]
    assert a.name == "a" and a.dtype == pb.tf.DT_FLOAT
    assert [x.size for x in a.tensor_shape.dim] == [-1, 2]
    for fields in ([], ["x"], ["signature_def", "x"]):
        bad = pb.GetModelMetadataRequest(metadata_field=fields)
        bad.model_spec.name = "two"
        fails(lambda: stub.GetModelMetadata(bad), CODE.INVALID_ARGUMENT,
              "'signature_def' expected")


def test_status(channel, pb):
    models = pb.stubs.ModelServiceStub(channel)
    r = pb.GetModelStatusRequest()
    r.model_spec.name = "two"
    got = models.GetModelStatus(r).model_version_status
    assert [(v.version, v.state, v.status.error_code) for v in got] == [
        (1, pb.ModelVersionStatus.AVAILABLE, 0)]
    r.model_spec.version.value = 7
    fails(lambda: models.GetModelStatus(r), CODE.NOT_FOUND, "version 7")


# ---- reflection: the messages are the ones of TensorFlow Serving ----

def test_reflection_tells_the_same(channel, pb):
    reflection = pytest.importorskip(
        "grpc_reflection.v1alpha.proto_reflection_descriptor_database")
    db = reflection.ProtoReflectionDescriptorDatabase(channel)
    assert {"tensorflow.serving.PredictionService",
            "tensorflow.serving.ModelService"} <= set(db.get_services())
    for name in ("tensorflow_serving.proto", "tensorflow.proto"):
        told = db.FindFileByName(name)
        ours = (pb if "serving" in name else pb.tf).DESCRIPTOR
        for message in told.message_type:
            mine = ours.message_types_by_name[message.name]
            for f in message.field:
                assert mine.fields_by_name[f.name].number == f.number
                assert mine.fields_by_name[f.name].type == f.type
    for name in ("google/protobuf/any.proto", "google/protobuf/wrappers.proto"):
        assert db.FindFileByName(name).package == "google.protobuf"
