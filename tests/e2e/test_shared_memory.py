"""System shared memory with Triton's client, over HTTP and gRPC."""
import contextlib
import json
import os
import urllib.error
import urllib.request

import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
import tritonclient.utils.shared_memory as shm
from onnx import helper
from tritonclient.utils import InferenceServerException, serialize_byte_tensor

import serving

PREFIX = f"modeld-e2e-{os.getpid()}-"


def net(path, kind, op="Identity"):
    onnx.save(helper.make_model(
        helper.make_graph(
            [helper.make_node(op, [f"x{i}"], [f"y{i}"]) for i in range(2)],
            "net",
            [helper.make_tensor_value_info(f"x{i}", kind, ["n", 16])
             for i in range(2)],
            [helper.make_tensor_value_info(f"y{i}", kind, ["n", 16])
             for i in range(2)]),
        opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    d = tmp_path_factory.mktemp("nets")
    t = onnx.TensorProto
    return [net(d / "neg.onnx", t.FLOAT, "Neg"),
            net(d / "text.onnx", t.STRING), net(d / "flag.onnx", t.BOOL)]


@pytest.fixture(scope="module")
def url(models):
    with serving.server(*models, "--listen", "127.0.0.1:0", "--shm-prefix",
                        PREFIX, "--body-max", "16M") as (url, p):
        yield url.removeprefix("http://")
        assert p.poll() is None


@pytest.fixture(params=["http", "grpc"])
def client(request, url):
    triton = triton_http if request.param == "http" else triton_grpc
    with contextlib.closing(triton.InferenceServerClient(url)) as c:
        c.triton = triton
        c.unregister_system_shared_memory()
        yield c
        c.unregister_system_shared_memory()


@contextlib.contextmanager
def region(name, size, values=()):
    h = shm.create_shared_memory_region(name, f"/{PREFIX}{name}", size)
    try:
        if len(values):
            shm.set_shared_memory_region(h, values)
        yield h
    finally:
        shm.destroy_shared_memory_region(h)


def statuses(client):
    s = client.get_system_shared_memory_status()
    if isinstance(s, list):
        return {r["name"]: (r["key"], r["offset"], r["byte_size"]) for r in s}
    return {n: (r.key, r.offset, r.byte_size) for n, r in s.regions.items()}


def test_the_example_of_triton(client):
    """As simple_http_shm_client.py and simple_grpc_shm_client.py go."""
    client.unregister_system_shared_memory()
    client.unregister_cuda_shared_memory()
    a = np.arange(32, dtype=np.float32).reshape(2, 16)
    b = np.full((2, 16), 0.5, np.float32)
    size = a.nbytes
    with region("in", 2 * size, [a, b]) as _, region("out", 2 * size) as out:
        client.register_system_shared_memory("in", f"/{PREFIX}in", 2 * size)
        client.register_system_shared_memory("out", f"/{PREFIX}out", 2 * size)
        assert statuses(client) == {
            "in": (f"/{PREFIX}in", 0, 2 * size),
            "out": (f"/{PREFIX}out", 0, 2 * size)}
        inputs = [client.triton.InferInput(f"x{i}", [2, 16], "FP32")
                  for i in range(2)]
        inputs[0].set_shared_memory("in", size)
        inputs[1].set_shared_memory("in", size, offset=size)
        outputs = [client.triton.InferRequestedOutput(f"y{i}")
                   for i in range(2)]
        outputs[0].set_shared_memory("out", size)
        outputs[1].set_shared_memory("out", size, offset=size)
        r = client.infer("neg", inputs, outputs=outputs)
        for i, want in enumerate([-a, -b]):
            o = r.get_output(f"y{i}")
            told = o if isinstance(o, dict) else {
                "datatype": o.datatype, "shape": list(o.shape)}
            assert told["datatype"] == "FP32" and told["shape"] == [2, 16]
            got = shm.get_contents_as_numpy(out, np.float32, [2, 16], i * size)
            assert np.array_equal(got, want)
        client.unregister_system_shared_memory("in")
        assert list(statuses(client)) == ["out"]
        with pytest.raises(InferenceServerException, match="'in'"):
            client.get_system_shared_memory_status("in")


def test_one_output_in_the_answer(client):
    """Outputs that are not shared come as ever, in their order."""
    a = np.arange(16, dtype=np.float32).reshape(1, 16)
    with region("in", a.nbytes, [a]), region("out", a.nbytes) as out:
        for name in ("in", "out"):
            client.register_system_shared_memory(name, f"/{PREFIX}{name}",
                                                 a.nbytes)
        inputs = [client.triton.InferInput(f"x{i}", [1, 16], "FP32")
                  for i in range(2)]
        inputs[0].set_shared_memory("in", a.nbytes)
        inputs[1].set_data_from_numpy(a + 1)
        outputs = [client.triton.InferRequestedOutput(f"y{i}")
                   for i in range(2)]
        outputs[0].set_shared_memory("out", a.nbytes)
        r = client.infer("neg", inputs, outputs=outputs)
        assert np.array_equal(r.as_numpy("y1"), -a - 1)
        assert np.array_equal(
            shm.get_contents_as_numpy(out, np.float32, [1, 16]), -a)


def test_strings(client):
    a = np.array([f"text {i}".encode() for i in range(16)], object)
    raw = serialize_byte_tensor(a.reshape(1, 16))
    size = len(raw.item())
    with region("in", size, [raw]), region("out", size + 100) as out:
        client.register_system_shared_memory("in", f"/{PREFIX}in", size)
        client.register_system_shared_memory("out", f"/{PREFIX}out", size + 100)
        inputs = [client.triton.InferInput(f"x{i}", [1, 16], "BYTES")
                  for i in range(2)]
        outputs = [client.triton.InferRequestedOutput(f"y{i}")
                   for i in range(2)]
        for i in inputs:
            i.set_shared_memory("in", size)
        outputs[0].set_shared_memory("out", size + 100)
        r = client.infer("text", inputs, outputs=outputs)
        assert list(r.as_numpy("y1").ravel()) == list(a)
        got = shm.get_contents_as_numpy(out, np.object_, [16])
        assert list(got) == list(a)


def test_booleans_are_made_sound(client):
    with region("in", 16, [np.arange(16, dtype=np.uint8)]):
        client.register_system_shared_memory("in", f"/{PREFIX}in", 16)
        inputs = [client.triton.InferInput(f"x{i}", [1, 16], "BOOL")
                  for i in range(2)]
        for i in inputs:
            i.set_shared_memory("in", 16)
        y = client.infer("flag", inputs).as_numpy("y0")
        assert y.ravel().tolist() == [False] + [True] * 15


def fails(client, change, match):
    inputs = [client.triton.InferInput(f"x{i}", [1, 16], "FP32")
              for i in range(2)]
    outputs = [client.triton.InferRequestedOutput("y0")]
    for i in inputs:
        i.set_shared_memory("in", 64)
    outputs[0].set_shared_memory("out", 64)
    change(inputs, outputs)
    with pytest.raises(InferenceServerException, match=match):
        client.infer("neg", inputs, outputs=outputs)


def test_what_is_outside_is_refused(client):
    with region("in", 128), region("out", 100):
        client.register_system_shared_memory("in", f"/{PREFIX}in", 100,
                                             offset=28)
        client.register_system_shared_memory("out", f"/{PREFIX}out", 64)
        for change, match in [
                (lambda i, o: i[0].set_shared_memory("none", 64), "'none'"),
                (lambda i, o: i[0].set_shared_memory("in", 60),
                 "60 bytes given, 64 expected"),
                (lambda i, o: i[0].set_shared_memory("in", 64, 37),
                 "offset 37 and 64 bytes given, the region has 100"),
                (lambda i, o: i[0].set_shared_memory("in", 64, 2**63 - 1),
                 "the region has 100"),
                (lambda i, o: i[0].set_shared_memory("in", 2**40),
                 "at most 16777216"),
                (lambda i, o: o[0].set_shared_memory("none", 64), "'none'"),
                (lambda i, o: o[0].set_shared_memory("out", 63),
                 "63 bytes given for an output, at least 64"),
                (lambda i, o: o[0].set_shared_memory("out", 64, 1),
                 "offset 1 and 64 bytes given")]:
            fails(client, change, match)
        # A segment that its owner cuts short is an error to its owner.
        os.truncate(f"/dev/shm/{PREFIX}in", 40)
        fails(client, lambda i, o: None, "has become shorter")
        os.truncate(f"/dev/shm/{PREFIX}in", 128)
        os.truncate(f"/dev/shm/{PREFIX}out", 10)
        fails(client, lambda i, o: None, "has become shorter")
        assert os.path.getsize(f"/dev/shm/{PREFIX}out") == 10


def test_what_may_not_be_registered(client):
    with region("in", 128):
        for name, key, size, offset, match in [
                ("r", "/other", 1, 0, f"begins with '/{PREFIX}'"),
                ("r", f"/{PREFIX}none", 1, 0, "unable to open"),
                ("r", f"/{PREFIX}/../in", 1, 0, "without another slash"),
                ("r", "/../../etc/passwd", 1, 0, "without another slash"),
                ("r", f"/{PREFIX}in", 129, 0, "segment has 128 bytes"),
                ("r", f"/{PREFIX}in", 128, 1, "segment has 128 bytes"),
                ("r", f"/{PREFIX}in", 0, 0, "segment has 128 bytes")]:
            with pytest.raises(InferenceServerException, match=match):
                client.register_system_shared_memory(name, key, size, offset)
        client.register_system_shared_memory("r", f"/{PREFIX}in", 128)
        with pytest.raises(InferenceServerException, match="already"):
            client.register_system_shared_memory("r", f"/{PREFIX}in", 128)
        client.unregister_system_shared_memory("nobody")
        assert list(statuses(client)) == ["r"]


def test_there_is_no_cuda(client):
    s = client.get_cuda_shared_memory_status()
    assert s == [] or not s.ByteSize()
    client.unregister_cuda_shared_memory("x")
    with pytest.raises(InferenceServerException, match="GPUs are not"):
        client.register_cuda_shared_memory("x", b"aGFuZGxl", 0, 16)


def test_the_extension_is_told(client, url):
    m = client.get_server_metadata()
    names = m["extensions"] if isinstance(m, dict) else m.extensions
    assert "system_shared_memory" in names


def test_it_is_off_unless_asked_for(models):
    with serving.server(models[0], "--listen", "127.0.0.1:0") as (url, _):
        with contextlib.closing(triton_http.InferenceServerClient(
                url.removeprefix("http://"))) as c:
            assert "system_shared_memory" not in \
                c.get_server_metadata()["extensions"]
            for call in (c.get_system_shared_memory_status,
                         c.unregister_system_shared_memory,
                         lambda: c.register_system_shared_memory("r", "/r",
                                                                 1)):
                with pytest.raises(InferenceServerException, match="is off"):
                    call()


def test_a_prefix_of_any(models):
    with serving.server(models[0], "--listen", "127.0.0.1:0", "--shm-prefix",
                        "/") as (url, _), region("any", 64):
        with contextlib.closing(triton_http.InferenceServerClient(
                url.removeprefix("http://"))) as c:
            c.register_system_shared_memory("r", f"{PREFIX}any", 64)


@pytest.mark.parametrize("body, status", [
    (b"", 400), (b"[]", 400), (b"{}", 400), (b'{"key":"/x"}', 400),
    (b'{"key":7,"byte_size":1}', 400), (b'{"key":"/x","byte_size":-1}', 400),
    (b'{"key":"/x","byte_size":1}', 403), (b'{"key":"/x","byte_size":1}x', 400),
    (b'{"key":"/x","byte_size":18446744073709551616}', 400)], ids=range(9))
def test_registrations_that_are_none(url, body, status):
    r = urllib.request.Request(
        f"http://{url}/v2/systemsharedmemory/region/r/register", body)
    with pytest.raises(urllib.error.HTTPError) as e:
        urllib.request.urlopen(r)
    assert e.value.code == status and "error" in json.load(e.value)
