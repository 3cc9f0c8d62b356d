"""Compressed bodies, both ways, of clients as they are."""
import contextlib
import ctypes
import gzip
import http.client
import json
import re
import subprocess
import time
import zlib

import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from onnx import helper

import serving

LIMIT = 4 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """y = -x, of any length."""
    path = tmp_path_factory.mktemp("net") / "neg.onnx"
    f32 = onnx.TensorProto.FLOAT
    onnx.save(helper.make_model(
        helper.make_graph(
            [helper.make_node("Neg", ["x"], ["y"])], "neg",
            [helper.make_tensor_value_info("x", f32, ["n"])],
            [helper.make_tensor_value_info("y", f32, ["n"])]),
        opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    with serving.server(path, "--listen", "127.0.0.1:0", "--body-max",
                        LIMIT) as (url, p):
        yield url, p


@pytest.fixture(scope="module")
def url(server):
    return server[0]


def post(url, path, body, **fields):
    c = http.client.HTTPConnection(*serving.address(url), timeout=30)
    with contextlib.closing(c):
        c.request("POST", path, body,
                  {k.replace("_", "-"): v for k, v in fields.items()})
        r = c.getresponse()
        return r.status, r.headers, r.read()


def infer_body(n):
    return json.dumps({"inputs": [{"name": "x", "datatype": "FP32",
                                   "shape": [n], "data": [0.5] * n}]}).encode()


class Zstd:
    """The library's two functions for what is in memory."""
    lib = ctypes.CDLL("libzstd.so.1")
    for name in ("ZSTD_compress", "ZSTD_compressBound", "ZSTD_decompress"):
        getattr(lib, name).restype = ctypes.c_size_t

    @classmethod
    def compress(cls, data):
        n = cls.lib.ZSTD_compressBound(ctypes.c_size_t(len(data)))
        out = ctypes.create_string_buffer(n)
        n = cls.lib.ZSTD_compress(out, ctypes.c_size_t(n), data,
                                  ctypes.c_size_t(len(data)), 3)
        return out.raw[:n]

    @classmethod
    def decompress(cls, data):
        out = ctypes.create_string_buffer(1 << 20)
        n = cls.lib.ZSTD_decompress(out, ctypes.c_size_t(len(out)), data,
                                    ctypes.c_size_t(len(data)))
        assert n <= len(out)
        return out.raw[:n]


CODECS = {"gzip": (gzip.compress, gzip.decompress),
          "deflate": (zlib.compress, zlib.decompress),
          "zstd": (Zstd.compress, Zstd.decompress)}


@pytest.mark.parametrize("out", [None, "gzip", "deflate"])
@pytest.mark.parametrize("sent", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_triton_http(url, sent, out, binary):
    x = np.arange(5000, dtype=np.float32) % 17
    i = triton_http.InferInput("x", x.shape, "FP32")
    i.set_data_from_numpy(x, binary_data=binary)
    o = triton_http.InferRequestedOutput("y", binary_data=binary)
    with contextlib.closing(triton_http.InferenceServerClient(
            url.removeprefix("http://"))) as c:
        r = c.infer("neg", [i], outputs=[o], request_compression_algorithm=sent,
                    response_compression_algorithm=out)
        assert np.array_equal(r.as_numpy("y"), -x)


@pytest.mark.parametrize("coding", [None, "gzip", "deflate"])
def test_triton_grpc(url, coding):
    x = np.arange(5000, dtype=np.float32) % 17
    i = triton_grpc.InferInput("x", x.shape, "FP32")
    i.set_data_from_numpy(x)
    with contextlib.closing(triton_grpc.InferenceServerClient(
            url.removeprefix("http://"))) as c:
        r = c.infer("neg", [i], compression_algorithm=coding)
        assert np.array_equal(r.as_numpy("y"), -x)


@pytest.mark.parametrize("coding", CODECS)
def test_the_answer_is_as_the_client_asks(url, coding):
    plain = post(url, "/v2/models/neg/infer", infer_body(2000))
    assert plain[1]["Content-Encoding"] is None
    assert plain[1]["Vary"] == "Accept-Encoding"
    status, fields, body = post(url, "/v2/models/neg/infer", infer_body(2000),
                                Accept_Encoding=coding)
    assert status == 200 and fields["Content-Encoding"] == coding
    assert fields["Vary"] == "Accept-Encoding"
    assert int(fields["Content-Length"]) == len(body) < len(plain[2]) / 4
    assert CODECS[coding][1](body) == plain[2]


def test_zstd_is_liked_best_by_who_names_it(url):
    for accept, want in (("gzip, deflate, br, zstd", "zstd"), ("*", "gzip"),
                         ("gzip, zstd;q=0.5", "gzip")):
        fields = post(url, "/v2/models/neg/infer", infer_body(2000),
                      Accept_Encoding=accept)[1]
        assert fields["Content-Encoding"] == want


@pytest.mark.parametrize("accept", ["br", "gzip;q=0", "identity", "*;q=0",
                                    "gzip;q=0.1,identity;q=0.2"])
def test_or_it_is_plain(url, accept):
    fields = post(url, "/v2/models/neg/infer", infer_body(2000),
                  Accept_Encoding=accept)[1]
    assert fields["Content-Encoding"] is None


def test_what_is_short_is_plain(url):
    fields = post(url, "/v2/models/neg/infer", infer_body(2),
                  Accept_Encoding="gzip")[1]
    assert fields["Content-Encoding"] is None and fields["Vary"] is None


def test_what_does_not_become_smaller_is_plain(url):
    x = np.random.default_rng(1).integers(0, 2**31, 4000, np.int64)
    x = x.astype(np.uint32).view(np.float32)
    head = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape":
                                   [len(x)], "parameters": {
                                       "binary_data_size": x.nbytes}}],
                       "parameters": {"binary_data_output": True}}).encode()
    _, fields, body = post(url, "/v2/models/neg/infer", head + x.tobytes(),
                           Accept_Encoding="deflate;q=1",
                           Inference_Header_Content_Length=str(len(head)))
    if fields["Content-Encoding"]:
        assert len(zlib.decompress(body)) > len(body)
    else:
        assert len(body) > x.nbytes


def test_other_pages(url):
    for path in ("/openapi.json", "/metrics"):
        r = subprocess.run(["curl", "-s", "-i", "--compressed", url + path],
                           capture_output=True, check=True)
        assert re.search(b"Content-Encoding: (zstd|gzip|deflate)", r.stdout)


@pytest.mark.parametrize("coding", CODECS)
@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_both_versions_of_http(url, version, coding):
    r = subprocess.run(
        ["curl", "-s", version, "--compressed", "-H",
         f"Content-Encoding: {coding}", "--data-binary", "@-",
         url + "/v2/models/neg/infer"],
        input=CODECS[coding][0](infer_body(3000)), capture_output=True,
        check=True)
    assert json.loads(r.stdout)["outputs"][0]["data"] == [-0.5] * 3000


@pytest.mark.parametrize("coding", CODECS)
def test_bombs_are_refused_early(server, coding):
    url, p = server
    bomb = CODECS[coding][0](bytes(1 << 28))
    assert len(bomb) < LIMIT

    def peak():
        with open(f"/proc/{p.pid}/status") as f:
            return next(int(line.split()[1]) << 10 for line in f
                        if line.startswith("VmHWM"))

    before = peak()
    began = time.monotonic()
    status, _, body = post(url, "/v2/models/neg/infer", bomb,
                           Content_Encoding=coding)
    assert status == 413 and b"more than 4194304 when" in body
    assert time.monotonic() - began < 5
    if not serving.is_sanitized():
        assert peak() - before < 32 << 20
    # A route that the loop itself answers.
    status, _, body = post(url, "/v2/cudasharedmemory/unregister", bomb,
                           Content_Encoding=coding)
    assert status == 413 and b"more than 65536 when" in body


@pytest.mark.parametrize("coding, body, status", [
    ("gzip", infer_body(3), 422), ("gzip", b"", 400),
    ("gzip", gzip.compress(infer_body(3))[:-1], 422),
    ("gzip", gzip.compress(infer_body(3)) + b"x", 422),
    ("gzip", zlib.compress(infer_body(3)), 422),
    ("deflate", gzip.compress(infer_body(3)), 422),
    ("zstd", gzip.compress(infer_body(3)), 422),
    ("zstd", Zstd.compress(infer_body(3))[:-1], 422),
    ("zstd", Zstd.compress(infer_body(3)) + b"x", 422),
    ("zstd", Zstd.compress(infer_body(3)[:9]) + Zstd.compress(
        infer_body(3)[9:]), 200),
    ("gzip, gzip", infer_body(3), 415), ("br", infer_body(3), 415),
    ("identity", infer_body(3), 200), ("x-gzip",
                                       gzip.compress(infer_body(3)), 200)],
    ids=range(14))
def test_what_is_not_as_it_says(url, coding, body, status):
    assert post(url, "/v2/models/neg/infer", body,
                Content_Encoding=coding)[0] == status


def test_compression_can_be_off(tmp_path):
    net = serving.convert(tmp_path / "net.onnx")
    with serving.server(net, "--listen", "127.0.0.1:0", "--compress-min",
                        0) as (url, _):
        r = subprocess.run(["curl", "-s", "-i", "--compressed",
                            url + "/openapi.json"], capture_output=True)
        assert b"Content-Encoding" not in r.stdout
