"""Requests that were right once: thousands, each changed a little.  Whatever
comes of it is an answer, and the same server goes on."""
import collections
import http.client
import json
import random
import struct

import pytest

from serving import address, exchange, server

onnx = pytest.importorskip("onnx")

TYPES = {"FP32": onnx.TensorProto.FLOAT, "INT64": onnx.TensorProto.INT64,
         "BYTES": onnx.TensorProto.STRING, "BOOL": onnx.TensorProto.BOOL,
         "UINT8": onnx.TensorProto.UINT8, "FP16": onnx.TensorProto.FLOAT16}
GOOD = {"FP32": [1.5, -2.0, 0.0], "INT64": [1, -2, 3], "UINT8": [1, 2, 255],
        "BYTES": ["a", "", "\u00e9"], "BOOL": [True, False, True],
        "FP16": [1.0, 2.0, 3.0]}
# What stands in for a part of the JSON.
SPICE = ["", "0", "-1", "1e999", "1e-999", "NaN", "null", "true", "{}", "[]",
         "[[]]", '""', '"\\ud800"', '"\\u0000"', "9" * 40, "-0", "0.1e1", "{",
         "}", "[", "]", ",", ":", '"', "\\", "\0", "\x7f", "\u00ff",
         '"name"', '"shape"', '"data"', '"parameters"', '"binary_data_size"',
         '"binary_data_size":8,', "18446744073709551615", "[" * 50]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """One model for each type, which gives its input back."""
    folder = tmp_path_factory.mktemp("net")
    for name, kind in TYPES.items():
        def info(tensor):
            return onnx.helper.make_tensor_value_info(tensor, kind, ["N", 3])

        graph = onnx.helper.make_graph(
            [onnx.helper.make_node("Identity", ["x"], ["y"])], "g",
            [info("x")], [info("y")])
        onnx.save(onnx.helper.make_model(
            graph, ir_version=8,
            opset_imports=[onnx.helper.make_opsetid("", 17)]),
            folder / f"{name}.onnx")
    files = [folder / f"{name}.onnx" for name in TYPES]
    with server(*files, "--listen", "127.0.0.1:0", "--log-level", "error",
                "--head-timeout", "2s", "--body-timeout", "2s") as (url, p):
        yield url
        assert p.poll() is None
        p.kill()
        assert p.stderr.read() == ""  # no internal error, no complaint


def binary(dtype):
    if dtype == "BYTES":
        return b"".join(struct.pack("<I", len(s.encode())) + s.encode()
                        for s in GOOD[dtype])
    form = {"FP32": "<3f", "INT64": "<3q", "UINT8": "<3B", "BOOL": "<3?",
            "FP16": "<3e"}[dtype]
    return struct.pack(form, *GOOD[dtype])


def good_request(rng):
    """(path, JSON, tail) of a request that is answered with 200."""
    dtype = rng.choice(list(TYPES))
    if dtype != "FP16" and rng.random() < 0.3:
        return (f"/predict/{dtype}",
                json.dumps({"input_data": [GOOD[dtype]]}), None)
    x = {"name": "x", "shape": [1, 3], "datatype": dtype}
    doc = {"inputs": [x], "parameters": {"binary_data_output": True}}
    if rng.random() < 0.3:
        doc["outputs"] = [{"name": "y", "parameters": {"binary_data": True}}]
    if rng.random() < 0.3:
        doc["id"] = "a"
    tail = None
    if dtype == "FP16" or rng.random() < 0.5:
        tail = binary(dtype)
        x["parameters"] = {"binary_data_size": len(tail)}
    else:
        x["data"] = GOOD[dtype]
    return f"/v2/models/{dtype}/infer", json.dumps(doc), tail


def mutate(rng, text):
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(text) + 1)
        end = min(len(text), at + rng.choice([0, 0, 1, 1, 4, 20]))
        text = text[:at] + rng.choice(SPICE) + text[end:]
    return text


def test_good_requests_are_good(url):
    rng = random.Random(1)
    c = http.client.HTTPConnection(*address(url), timeout=30)
    for _ in range(200):
        path, text, tail = good_request(rng)
        status, body = send(c, path, text.encode(), tail, len(text))
        assert status == 200, (path, text, body)
    c.close()


def send(c, path, head, tail, length):
    fields = {} if tail is None else {
        "Inference-Header-Content-Length": str(length)}
    c.request("POST", path, head + (tail or b""), fields)
    r = c.getresponse()
    return r.status, r.read()


def test_bodies(url):
    rng = random.Random(2)
    codes = collections.Counter()
    c = http.client.HTTPConnection(*address(url), timeout=30)
    for _ in range(4000):
        path, text, tail = good_request(rng)
        if rng.random() < 0.8:
            text = mutate(rng, text)
        head = text.encode("utf-8", "surrogatepass")
        length = len(head)
        if tail is not None:
            if rng.random() < 0.3:
                length = max(0, length + rng.choice([-1, 1, 4, -4, 1000]))
            if rng.random() < 0.3:
                tail = tail[:rng.randrange(len(tail))]
            if rng.random() < 0.1:
                tail += b"\xff" * rng.randint(1, 9)
        status, body = send(c, path, head, tail, length)
        codes[status] += 1
        if status != 200:
            assert list(json.loads(body)) == ["error"], (path, text, body)
        elif tail is None and b"binary_data_size" not in body:
            json.loads(body)
    c.close()
    assert set(codes) <= {200, 400, 413}, codes
    assert codes[200] > 400 and codes[400] > 1000, codes


def test_heads(url):
    """Bytes of a head changed, among others into those that frame it."""
    rng = random.Random(3)
    good = (b"POST /predict/FP32 HTTP/1.1\r\nHost: t\r\nContent-Type: "
            b"application/json\r\nConnection: close\r\nContent-Length: 27"
            b"\r\n\r\n" + b'{"input_data": [[1, 2, 3]]}')
    assert exchange(url, good).startswith(b"HTTP/1.1 200 ")
    spice = b"\r\n \t:;,/\0\x7f\xff0919aZ"
    codes = collections.Counter()
    for _ in range(1500):
        text = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(good) - 27)
            what = rng.random()
            if what < 0.5:
                text[at] = rng.choice(spice)
            elif what < 0.8:
                text[at:at] = bytes([rng.choice(spice)])
            else:
                del text[at]
        reply = exchange(url, bytes(text))
        # a half-closed body that is too short is no request: no reply then
        codes[int(reply[9:12]) if reply else 0] += 1
        assert not reply or reply.startswith(b"HTTP/1.1 "), reply
    assert codes[400] > 500, codes
    assert set(codes) <= {0, 200, 400, 404, 405, 413, 414, 415, 417, 431, 501,
                          505}, codes
    assert exchange(url, good).startswith(b"HTTP/1.1 200 ")
