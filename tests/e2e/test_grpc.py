"""gRPC by the clients that people have: tritonclient, grpcio and its health
and reflection packages; and calls as no client makes them."""
import asyncio
import os
import queue
import signal
import threading
import time

import pytest

from repository import scale, wait
from serving import FASHION, VECTORS, convert, server

np = pytest.importorskip("numpy")
onnx = pytest.importorskip("onnx")
grpc = pytest.importorskip("grpc")
triton = pytest.importorskip("tritonclient.grpc")

SERVICE = "/inference.GRPCInferenceService/"
CODE = grpc.StatusCode


def identity(path, name, dtype, shape):
    """A model that gives back what it gets."""
    h = onnx.helper
    io = [h.make_tensor_value_info(n, dtype, shape) for n in "xy"]
    graph = h.make_graph([h.make_node("Identity", ["x"], ["y"])], name,
                         io[:1], io[1:])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)],
                         ir_version=9)
    onnx.save(model, path)
    return f"{name}={path}"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    d = tmp_path_factory.mktemp("models")
    t = onnx.TensorProto
    kinds = {"id": t.FLOAT, "text": t.STRING, "half": t.FLOAT16,
             "i8": t.INT8, "u8": t.UINT8, "i16": t.INT16, "u16": t.UINT16,
             "i32": t.INT32, "u32": t.UINT32, "i64": t.INT64, "u64": t.UINT64,
             "f64": t.DOUBLE, "bool": t.BOOL}
    return ([identity(d / f"{n}.onnx", n, kind, ["n", 4])
             for n, kind in kinds.items()] +
            [convert(d / "fashion.onnx")])


@pytest.fixture(scope="module")
def url(models):
    with server(*models, "--listen", "127.0.0.1:0", "--log-level", "error",
                "--body-timeout", "1s", "--body-max", "16M",
                "--reply-max", "32M") as (url, p):
        yield url.split("//")[1]
        assert p.poll() is None


@pytest.fixture(scope="module")
def client(url):
    with triton.InferenceServerClient(url) as c:
        yield c


@pytest.fixture(scope="module")
def channel(url):
    size = ("grpc.max_receive_message_length", 64 << 20)
    with grpc.insecure_channel(url, options=[size]) as c:
        yield c


def tensor(x, name="x"):
    t = triton.InferInput(name, list(x.shape), triton_type(x))
    t.set_data_from_numpy(x)
    return t


def triton_type(x):
    from tritonclient.utils import np_to_triton_dtype
    return np_to_triton_dtype(x.dtype)


def some(n=2, dtype=np.float32):
    return np.arange(4 * n).reshape(n, 4).astype(dtype)


# ---- tritonclient ----

def test_health_and_metadata(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("fashion")
    assert client.is_model_ready("fashion", "1")
    assert not client.is_model_ready("nope")
    assert not client.is_model_ready("fashion", "2")
    meta = client.get_server_metadata(as_json=True)
    assert meta["name"] == "modeld" and "statistics" in meta["extensions"]
    meta = client.get_model_metadata("fashion", as_json=True)
    assert meta["versions"] == ["1"]
    assert meta["inputs"][0]["shape"] == ["-1", "32", "32", "3"]


def test_metadata_is_that_of_rest(url, client):
    rest = pytest.importorskip("tritonclient.http")
    with rest.InferenceServerClient(url) as c:
        def plain(d):
            if isinstance(d, dict):
                return {k: plain(v) for k, v in d.items()}
            if isinstance(d, list):
                return [plain(v) for v in d]
            return str(d)
        assert (plain(client.get_server_metadata(as_json=True)) ==
                plain(c.get_server_metadata()))
        for model in ("fashion", "id", "text"):
            assert (plain(client.get_model_metadata(model, as_json=True)) ==
                    plain(c.get_model_metadata(model)))
            a = client.get_model_config(model, as_json=True)["config"]
            b = c.get_model_config(model)
            assert [a[k] for k in ("name", "platform", "backend")] == \
                [b[k] for k in ("name", "platform", "backend")]
            for side in ("input", "output"):
                assert plain(a[side]) == plain(b[side])
        index = client.get_model_repository_index(as_json=True)["models"]
        assert plain(index) == plain(c.get_model_repository_index())


def test_vectors(client):
    x = np.load(VECTORS / "input_0.npy")
    want = np.load(VECTORS / "output_0.npy")
    meta = client.get_model_metadata("fashion", as_json=True)
    r = client.infer("fashion", [tensor(x, meta["inputs"][0]["name"])],
                     request_id="seven")
    got = r.as_numpy(meta["outputs"][0]["name"])
    assert np.abs(got - want).max() <= 1e-5
    assert r.get_response().id == "seven"
    assert r.get_response().model_version == "1"


def test_rest_and_grpc_answer_the_same(url, client):
    rest = pytest.importorskip("tritonclient.http")
    x = np.load(VECTORS / "input_0.npy")
    meta = client.get_model_metadata("fashion", as_json=True)
    name, out = meta["inputs"][0]["name"], meta["outputs"][0]["name"]
    a = client.infer("fashion", [tensor(x, name)]).as_numpy(out)
    with rest.InferenceServerClient(url) as c:
        t = rest.InferInput(name, list(x.shape), "FP32")
        t.set_data_from_numpy(x)
        b = c.infer("fashion", [t]).as_numpy(out)
    assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("model,dtype", [
    ("id", np.float32), ("half", np.float16), ("f64", np.float64),
    ("i8", np.int8), ("u8", np.uint8), ("i16", np.int16), ("u16", np.uint16),
    ("i32", np.int32), ("u32", np.uint32), ("i64", np.int64),
    ("u64", np.uint64), ("bool", np.bool_)])
def test_types(client, model, dtype):
    for n in (0, 1, 3):
        x = some(n, dtype)
        if n and np.issubdtype(dtype, np.integer):
            x[0, 0], x[-1, -1] = np.iinfo(dtype).min, np.iinfo(dtype).max
        y = client.infer(model, [tensor(x)]).as_numpy("y")
        assert y.dtype == x.dtype and y.shape == x.shape
        assert y.tobytes() == x.tobytes()


def test_strings(client):
    x = np.array([["", "a", "日本", "x" * 1000]], dtype=np.object_)
    y = client.infer("text", [tensor(x)]).as_numpy("y")
    assert [s.decode() for s in y.ravel()] == list(x.ravel())


def test_classification(client):
    x = np.array([[1, 4, 2, 4], [0, -1, -2, -3]], np.float32)
    out = [triton.InferRequestedOutput("y", class_count=2)]
    y = client.infer("id", [tensor(x)], outputs=out).as_numpy("y")
    assert y.tolist() == [[b"4.000000:1", b"4.000000:3"],
                          [b"0.000000:0", b"-1.000000:1"]]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compression(client, coding):
    x = some(50000)
    for _ in range(3):
        y = client.infer("id", [tensor(x)], compression_algorithm=coding)
        assert y.as_numpy("y").tobytes() == x.tobytes()
    y = client.infer("id", [tensor(some())], compression_algorithm=coding)
    assert y.as_numpy("y").tobytes() == some().tobytes()


def test_large_tensors(client):
    x = np.random.default_rng(1).random((1000000, 4), np.float32)  # 16 MB
    x = x[:(16 << 20) // 16 - 100]
    for _ in range(3):
        y = client.infer("id", [tensor(x)]).as_numpy("y")
        assert y.tobytes() == x.tobytes()


@pytest.mark.parametrize("model,x,name,text,code", [
    ("nope", some(), "x", "'nope' is not found", "NOT_FOUND"),
    ("id", some(), "z", "unexpected inference input 'z'", "INVALID_ARGUMENT"),
    ("id", some(2, np.int32), "x", "data-type is 'INT32'", "INVALID_ARGUMENT"),
    ("id", some().reshape(4, 2), "x", "[?,4] expected, [4,2] given"
     .replace("?", "-1"), "INVALID_ARGUMENT")], ids=range(4))
def test_refusals(client, model, x, name, text, code):
    with pytest.raises(triton.InferenceServerException) as e:
        client.infer(model, [tensor(x, name)])
    assert text in e.value.message()
    assert e.value.status() == f"StatusCode.{code}"


def test_what_is_not_there(client):
    for call, text in [
            (lambda: client.load_model("x"), "cannot load 'x'"),
            (lambda: client.unload_model("x"), "cannot unload 'x'"),
            (client.get_system_shared_memory_status, "shared memory is off"),
            (lambda: client.update_trace_settings(
                settings={"trace_level": ["TIMESTAMPS"]}), "trace_file"),
            (lambda: client.update_log_settings({"log_file": "x"}),
             "log file location")]:
        with pytest.raises(triton.InferenceServerException) as e:
            call()
        assert text in e.value.message()
        assert e.value.status() == "StatusCode.UNIMPLEMENTED"
    for model, version in [("nope", ""), ("id", "9")]:
        for call in (client.get_model_metadata, client.get_model_config,
                     client.get_inference_statistics):
            with pytest.raises(triton.InferenceServerException) as e:
                call(model, version)
            assert e.value.status() == "StatusCode.NOT_FOUND"


def test_statistics(url, client):
    def count():
        s = client.get_inference_statistics("u16", as_json=True)
        s = s["model_stats"][0]
        return (int(s.get("inference_count", 0)),
                int(s["inference_stats"]["fail"].get("count", 0)))
    done, failed = count()
    for _ in range(5):
        client.infer("u16", [tensor(some(2, np.uint16))])
    with pytest.raises(triton.InferenceServerException):
        client.infer("u16", [tensor(some())])
    assert count() == (done + 5, failed + 1)
    all_of_them = client.get_inference_statistics(as_json=True)["model_stats"]
    assert len(all_of_them) == 14


def test_many_threads(url):
    wrong = []

    def run(k):
        with triton.InferenceServerClient(url) as c:
            for i in range(50):
                x = some() + 100 * k + i
                if c.infer("id", [tensor(x)]).as_numpy("y").tobytes() != \
                        x.tobytes():
                    wrong.append((k, i))

    threads = [threading.Thread(target=run, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


def test_async(client):
    answers = queue.Queue()
    for i in range(200):
        client.async_infer(
            "id", [tensor(some() + i)], request_id=str(i),
            callback=lambda result, error: answers.put((result, error)))
    for _ in range(200):
        result, error = answers.get(timeout=30)
        assert error is None
        i = int(result.get_response().id)
        assert (result.as_numpy("y") == some() + i).all()


def test_aio(url):
    aio = pytest.importorskip("tritonclient.grpc.aio")

    async def run():
        async with aio.InferenceServerClient(url) as c:
            assert await c.is_server_live()

            async def one(i):
                r = await c.infer("id", [tensor(some() + i)],
                                  request_id=str(i))
                assert (r.as_numpy("y") == some() + i).all()
            await asyncio.gather(*(one(i) for i in range(100)))

            async def requests():
                for i in range(20):
                    yield {"model_name": "id", "inputs": [tensor(some() + i)],
                           "request_id": str(i)}
            ids = []
            async for result, error in c.stream_infer(requests()):
                assert error is None
                ids.append(int(result.get_response().id))
            assert ids == list(range(20))
    asyncio.run(run())


# ---- streams ----

def test_stream(client):
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for i in range(100):
        model = "nope" if i % 10 == 3 else "id"
        client.async_stream_infer(model, [tensor(some() + i)],
                                  request_id=str(i))
    for i in range(100):
        result, error = answers.get(timeout=30)
        if i % 10 == 3:  # the stream goes on
            assert "'nope' is not found" in error.message()
        else:
            assert result.get_response().id == str(i)  # in order
            assert (result.as_numpy("y") == some() + i).all()
    client.stop_stream()


def test_stream_that_wants_statuses(url):
    answers = queue.Queue()
    with triton.InferenceServerClient(url) as c:
        c.start_stream(lambda result, error: answers.put((result, error)),
                       headers={"triton_grpc_error": "true"})
        c.async_stream_infer("id", [tensor(some())])
        assert answers.get(timeout=30)[1] is None
        c.async_stream_infer("nope", [tensor(some())])
        error = answers.get(timeout=30)[1]
        assert error.status() == "StatusCode.NOT_FOUND"
        c.stop_stream()


def test_messages_that_come_meanwhile_do_not_move_the_one_that_runs(tmp_path):
    """A stream's next messages arrive while the first one is run; its id is
    read from the request when it is answered."""
    scale(tmp_path / "scale.onnx", 3, width=256, slow_ms=50)
    with server(tmp_path / "scale.onnx", "--listen", "127.0.0.1:0",
                "--log-level", "error") as (url, p):
        c = triton.InferenceServerClient(url.removeprefix("http://"))
        got = []
        c.start_stream(lambda result, error: got.append((result, error)))
        x = triton.InferInput("x", [1, 256], "FP32")
        x.set_data_from_numpy(np.ones([1, 256], np.float32))
        ids = [f"{k:03d}" + "z" * 20000 for k in range(6)]
        for i in ids:
            c.async_stream_infer("scale", [x], request_id=i)
            time.sleep(0.02)
        wait(lambda: len(got) == len(ids) or p.poll() is not None or
             any(e for _, e in got))
        assert [e for _, e in got] == [None] * len(ids)
        assert [r.get_response().id for r, _ in got] == ids
        c.stop_stream()


def test_stream_of_large_messages(url):
    """More than the windows of stream and connection, both ways."""
    answers = queue.Queue()
    x = some(100000)  # 1.6 MB
    with triton.InferenceServerClient(url) as c:
        c.start_stream(lambda result, error: answers.put((result, error)))
        for i in range(12):
            c.async_stream_infer("id", [tensor(x + i)])
        for i in range(12):
            result, error = answers.get(timeout=60)
            assert error is None
            assert result.as_numpy("y").tobytes() == (x + i).tobytes()
        c.stop_stream()


# ---- grpcio: health, reflection ----

def test_health(channel):
    pb = pytest.importorskip("grpc_health.v1.health_pb2")
    from grpc_health.v1 import health_pb2_grpc
    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", "inference.GRPCInferenceService", "model/id",
                 "model/id/1"):
        r = health.Check(pb.HealthCheckRequest(service=name))
        assert r.status == pb.HealthCheckResponse.SERVING
    for name in ("x", "model/x", "model/id/2", "model/"):
        with pytest.raises(grpc.RpcError) as e:
            health.Check(pb.HealthCheckRequest(service=name))
        assert e.value.code() == CODE.NOT_FOUND
        w = health.Watch(pb.HealthCheckRequest(service=name))
        assert next(w).status == pb.HealthCheckResponse.SERVICE_UNKNOWN
        w.cancel()
    names = health.List(pb.HealthListRequest()).statuses
    assert {"", "inference.GRPCInferenceService",
            "grpc.health.v1.Health"} <= set(names)


def test_reflection(url, channel):
    db = pytest.importorskip(
        "grpc_reflection.v1alpha.proto_reflection_descriptor_database")
    from google.protobuf import descriptor_pool, message_factory
    db = db.ProtoReflectionDescriptorDatabase(channel)
    assert set(db.get_services()) == {
        "inference.GRPCInferenceService", "grpc.health.v1.Health",
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection"}
    pool = descriptor_pool.DescriptorPool(db)
    for service in db.get_services():
        for m in pool.FindServiceByName(service).methods:
            assert pool.FindMessageTypeByName(m.input_type.full_name)
            assert pool.FindMessageTypeByName(m.output_type.full_name)
    # As grpcurl calls: knowing nothing but what the server says.
    make = message_factory.GetMessageClass
    ask = make(pool.FindMessageTypeByName("inference.ModelReadyRequest"))
    answer = make(pool.FindMessageTypeByName("inference.ModelReadyResponse"))
    call = channel.unary_unary(SERVICE + "ModelReady", ask.SerializeToString,
                               answer.FromString)
    assert call(ask(name="id")).ready
    with pytest.raises(KeyError):
        pool.FindMessageTypeByName("inference.Nope")


def same_fields(ours, theirs):
    for f in ours.fields:
        t = theirs.fields_by_name[f.name]
        assert (f.number, f.type) == (t.number, t.type), f.full_name
        assert ((f.containing_oneof and f.containing_oneof.name) ==
                (t.containing_oneof and t.containing_oneof.name))
        assert bool(f.is_repeated) == bool(t.is_repeated), f.full_name
        for kind in ("message_type", "enum_type"):
            a, b = getattr(f, kind), getattr(t, kind)
            assert (a and a.full_name) == (b and b.full_name), f.full_name
    for n in ours.nested_types:
        same_fields(n, theirs.nested_types_by_name[n.name])
        assert n.GetOptions().map_entry == \
            theirs.nested_types_by_name[n.name].GetOptions().map_entry


def test_messages_are_those_of_the_clients(channel):
    """Every message, field, enum and method that is described is the same in
    the clients' own files."""
    db = pytest.importorskip(
        "grpc_reflection.v1alpha.proto_reflection_descriptor_database")
    from google.protobuf import descriptor_pool
    from grpc_health.v1 import health_pb2
    from grpc_reflection.v1alpha import reflection_pb2
    from tritonclient.grpc import model_config_pb2, service_pb2
    pool = descriptor_pool.DescriptorPool(
        db.ProtoReflectionDescriptorDatabase(channel))
    for name, theirs in [
            ("grpc_service.proto", service_pb2),
            ("model_config.proto", model_config_pb2),
            ("grpc/health/v1/health.proto", health_pb2),
            ("grpc/reflection/v1alpha/reflection.proto", reflection_pb2)]:
        ours, theirs = pool.FindFileByName(name), theirs.DESCRIPTOR
        for k, m in ours.message_types_by_name.items():
            same_fields(m, theirs.message_types_by_name[k])
        for k, e in ours.enum_types_by_name.items():
            assert ([(v.name, v.number) for v in e.values] ==
                    [(v.name, v.number)
                     for v in theirs.enum_types_by_name[k].values])
        for k, s in ours.services_by_name.items():
            for m in s.methods:
                t = theirs.services_by_name[k].methods_by_name[m.name]
                assert m.input_type.full_name == t.input_type.full_name
                assert m.output_type.full_name == t.output_type.full_name
                assert (m.client_streaming, m.server_streaming) == \
                    (t.client_streaming, t.server_streaming)


# ---- typed contents, and messages as no client makes them ----

def infer_call(channel):
    from tritonclient.grpc import service_pb2 as pb
    return channel.unary_unary(SERVICE + "ModelInfer",
                               pb.ModelInferRequest.SerializeToString,
                               pb.ModelInferResponse.FromString), pb


def typed(pb, model, datatype, shape=(1, 4), **contents):
    r = pb.ModelInferRequest(model_name=model)
    t = r.inputs.add(name="x", datatype=datatype, shape=shape)
    for k, v in contents.items():
        getattr(t.contents, k).extend(v)
    return r


@pytest.mark.parametrize("model,datatype,field,values", [
    ("id", "FP32", "fp32_contents", [1.5, -2, 0, 1e30]),
    ("f64", "FP64", "fp64_contents", [1.5, -2, 0, 1e300]),
    ("i8", "INT8", "int_contents", [-128, 127, 0, -1]),
    ("i16", "INT16", "int_contents", [-32768, 32767, 0, -1]),
    ("i32", "INT32", "int_contents", [-2**31, 2**31 - 1, 0, -1]),
    ("i64", "INT64", "int64_contents", [-2**63, 2**63 - 1, 0, -1]),
    ("u8", "UINT8", "uint_contents", [0, 255, 1, 2]),
    ("u16", "UINT16", "uint_contents", [0, 65535, 1, 2]),
    ("u32", "UINT32", "uint_contents", [0, 2**32 - 1, 1, 2]),
    ("u64", "UINT64", "uint64_contents", [0, 2**64 - 1, 1, 2]),
    ("bool", "BOOL", "bool_contents", [True, False, True, True]),
    ("text", "BYTES", "bytes_contents", [b"", b"\xff", b"a", b"abc"])])
def test_typed_contents(channel, client, model, datatype, field, values):
    call, pb = infer_call(channel)
    r = triton.InferResult(call(typed(pb, model, datatype, **{field: values})))
    assert r.as_numpy("y").ravel().tolist() == values or model == "id"
    if model == "id":
        assert (r.as_numpy("y").ravel() == np.float32(values)).all()


@pytest.mark.parametrize("change,text", [
    (lambda r: r.inputs[0].contents.fp32_contents.pop(), "3 values given"),
    (lambda r: r.inputs[0].contents.fp32_contents.append(1), "5 values given"),
    (lambda r: r.inputs[0].contents.int_contents.append(1), "another type"),
    (lambda r: r.raw_input_contents.append(bytes(16)), "raw_input_contents"),
    (lambda r: r.inputs[0].ClearField("contents"), "neither contents nor"),
    (lambda r: r.inputs.append(r.inputs[0]), "given twice"),
    (lambda r: r.inputs.pop(), "is missing"),
    (lambda r: r.inputs[0].shape.append(-1), "shape of input"),
    (lambda r: r.inputs[0].shape.extend([1] * 9), "shape of input"),
    (lambda r: r.outputs.add(name="q"), "unexpected inference output 'q'"),
    (lambda r: [r.outputs.add(name="y") for _ in "ab"], "asked for twice"),
    (lambda r: r.outputs.add(), "unexpected inference output ''"[:27]),
    (lambda r: setattr(r.inputs[0], "datatype", "FP99"), "invalid datatype"),
    (lambda r: r.ClearField("model_name"), "unknown model"),
    (lambda r: r.inputs[0].parameters["shared_memory_region"].MergeFrom(
        type(r.inputs[0].parameters["k"])(string_param="r")),
     "given beside shared memory")], ids=range(15))
def test_bad_requests(channel, change, text):
    call, pb = infer_call(channel)
    r = typed(pb, "id", "FP32", fp32_contents=[1, 2, 3, 4])
    change(r)
    with pytest.raises(grpc.RpcError) as e:
        call(r)
    assert text in e.value.details() or text == "unexpected inference output"
    assert e.value.code() in (CODE.INVALID_ARGUMENT, CODE.NOT_FOUND,
                              CODE.UNIMPLEMENTED)


@pytest.mark.parametrize("model,datatype,field,value", [
    ("i8", "INT8", "int_contents", 128), ("u8", "UINT8", "uint_contents", 256),
    ("i16", "INT16", "int_contents", -32769)])
def test_values_that_do_not_fit(channel, model, datatype, field, value):
    call, pb = infer_call(channel)
    with pytest.raises(grpc.RpcError) as e:
        call(typed(pb, model, datatype, **{field: [0, 0, 0, value]}))
    assert "a value does not fit" in e.value.details()


def test_halves_are_raw_only(channel):
    call, pb = infer_call(channel)
    with pytest.raises(grpc.RpcError) as e:
        call(typed(pb, "half", "FP16", fp32_contents=[0] * 4))
    assert "FP16 has no typed contents" in e.value.details()


def test_shapes_that_lie(channel):
    call, pb = infer_call(channel)
    for shape in [(1 << 40, 4), (1 << 62, 4), (3, 4), (0, 4)]:
        for raw in (False, True):
            r = typed(pb, "id", "FP32", shape, fp32_contents=[0] * 4)
            if raw:
                r.inputs[0].ClearField("contents")
                r.raw_input_contents.append(bytes(16))
            with pytest.raises(grpc.RpcError) as e:
                call(r)
            assert e.value.code() in (CODE.INVALID_ARGUMENT,
                                      CODE.RESOURCE_EXHAUSTED)


def raw_call(channel, data, method="ModelInfer", **kw):
    return channel.unary_unary(SERVICE + method)(data, timeout=20, **kw)


@pytest.mark.parametrize("data", [
    b"\xff", b"\x0a\xff", b"\x0a\x05id", b"\x2a\x03\x0a\x01",
    b"\x2b", b"\x07\x00", b"\x2a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"],
    ids=range(7))
def test_bytes_that_are_no_message(channel, data):
    with pytest.raises(grpc.RpcError) as e:
        raw_call(channel, data)
    assert e.value.code() == CODE.INVALID_ARGUMENT


def test_errors_are_text(channel):
    call, pb = infer_call(channel)
    with pytest.raises(grpc.RpcError) as e:
        call(pb.ModelInferRequest(model_name="ü %0A\n"))
    assert e.value.code() == CODE.NOT_FOUND
    assert "'ü %0A?' is not found" in e.value.details()


def test_unknown_methods(channel):
    for path in (SERVICE + "Nope", "/nope/ModelInfer", "/x"):
        with pytest.raises(grpc.RpcError) as e:
            channel.unary_unary(path)(b"")
        assert e.value.code() == CODE.UNIMPLEMENTED


# ---- limits and time ----

def test_too_large(url):
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(url, options=options) as c:
        with pytest.raises(grpc.RpcError) as e:
            raw_call(c, bytes(17 << 20))
        assert e.value.code() == CODE.RESOURCE_EXHAUSTED
        assert "at most 16777216 expected" in e.value.details()
        assert raw_call(c, b"", "ServerLive") == b"\x08\x01"


def test_too_large_when_decompressed(url):
    with grpc.insecure_channel(
            url, compression=grpc.Compression.Gzip,
            options=[("grpc.max_send_message_length", -1)]) as c:
        with pytest.raises(grpc.RpcError) as e:
            raw_call(c, bytes(64 << 20))
        assert e.value.code() == CODE.RESOURCE_EXHAUSTED
        assert "more than 16777216 when they are decoded" in e.value.details()


def test_drain(models):
    pb = pytest.importorskip("grpc_health.v1.health_pb2")
    from grpc_health.v1 import health_pb2_grpc
    answers = queue.Queue()
    with server(*models[:1], "--listen", "127.0.0.1:0", "--log-level",
                "error") as (url, p):
        url = url.split("//")[1]
        with triton.InferenceServerClient(url) as c, \
                grpc.insecure_channel(url) as channel:
            c.start_stream(lambda result, error: answers.put((result, error)))
            c.async_stream_infer("id", [tensor(some())])
            assert answers.get(timeout=30)[1] is None
            w = health_pb2_grpc.HealthStub(channel).Watch(
                pb.HealthCheckRequest())
            assert next(w).status == pb.HealthCheckResponse.SERVING
            os.kill(p.pid, signal.SIGTERM)
            assert next(w).status == pb.HealthCheckResponse.NOT_SERVING
            with pytest.raises(StopIteration):
                next(w)
            error = answers.get(timeout=30)[1]
            assert error.status() == "StatusCode.UNAVAILABLE"
            c.stop_stream()
            assert p.wait(timeout=10) == 0


def test_a_stream_may_be_silent(url):
    """Between messages there is no timeout: this takes longer than one."""
    answers = queue.Queue()
    with triton.InferenceServerClient(url) as c:
        c.start_stream(lambda result, error: answers.put((result, error)))
        for _ in range(2):
            c.async_stream_infer("id", [tensor(some())])
            assert answers.get(timeout=30)[1] is None
            time.sleep(2.5)
        c.stop_stream()
