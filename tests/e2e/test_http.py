"""The interface through clients that were not written for it."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

np = pytest.importorskip("numpy")
triton = pytest.importorskip("tritonclient.http")

MODELD = os.environ.get("MODELD", "build/modeld")
FASHION = pathlib.Path(__file__).parents[2] / "examples" / "fashion"
VECTORS = FASHION / "seed_cnn.vectors" / "test_data_set_0"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A server of the demo net, called "fashion"."""
    net = tmp_path_factory.mktemp("net") / "net.onnx"
    subprocess.run([MODELD, "convert", FASHION / "seed_cnn.keras", "-o", net,
                    "--labels", FASHION / "labels.txt"], check=True,
                   capture_output=True)
    p = subprocess.Popen([MODELD, "serve", f"fashion={net}", "--listen",
                          "127.0.0.1:0", "--log-level", "error",
                          "--model-control", "explicit"], text=True,
                         stdout=subprocess.PIPE)
    try:
        yield p.stdout.readline().split("//")[1].strip()
    finally:
        p.send_signal(signal.SIGTERM)
        assert p.wait(60) == 0
        p.stdout.close()


@pytest.fixture
def client(address):
    with triton.InferenceServerClient(address) as c:
        yield c


@pytest.fixture(scope="module")
def vectors():
    return (np.load(VECTORS / "input_0.npy"), np.load(VECTORS / "output_0.npy"))


def ask(address, path, data=None, kind="application/json"):
    """Status, type and body of one call."""
    r = urllib.request.Request(f"http://{address}{path}", data,
                               {"Content-Type": kind})
    try:
        with urllib.request.urlopen(r, timeout=30) as reply:
            return reply.status, reply.headers["Content-Type"], reply.read()
    except urllib.error.HTTPError as e:
        with e:
            return e.code, e.headers["Content-Type"], e.read()


# ---- Open Inference Protocol, by tritonclient ----

def test_health_and_metadata(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("fashion")
    assert not client.is_model_ready("nope")
    assert not client.is_model_ready("fashion", "9")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    meta = client.get_model_metadata("fashion", "1")
    assert meta["inputs"][0]["shape"] == [-1, 32, 32, 3]
    assert meta["outputs"][0]["datatype"] == "FP32"


def names(client):
    meta = client.get_model_metadata("fashion")
    return meta["inputs"][0]["name"], meta["outputs"][0]["name"]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_infer(client, vectors, binary_in, binary_out):
    x, want = vectors
    name_in, name_out = names(client)
    t = triton.InferInput(name_in, list(x.shape), "FP32")
    t.set_data_from_numpy(x, binary_data=binary_in)
    outputs = None if binary_out is None else [
        triton.InferRequestedOutput(name_out, binary_data=binary_out)]
    r = client.infer("fashion", [t], outputs=outputs, request_id="q-7")
    assert r.get_response()["id"] == "q-7"
    assert np.abs(r.as_numpy(name_out) - want).max() <= 1e-5


def test_classification(client, vectors):
    x, want = vectors
    name_in, name_out = names(client)
    t = triton.InferInput(name_in, list(x.shape), "FP32")
    t.set_data_from_numpy(x)
    top = client.infer("fashion", [t], outputs=[
        triton.InferRequestedOutput(name_out, class_count=2)]
    ).as_numpy(name_out)
    labels = (FASHION / "labels.txt").read_text().split("\n")
    assert top.shape == (len(x), 2)
    for row, scores in zip(top, want):
        best = int(np.argmax(scores))
        value, index, label = str(row[0]).strip("b'").split(":")
        assert (int(index), label) == (best, labels[best])
        assert abs(float(value) - scores[best]) < 1e-4


def test_infer_errors(client):
    name_in, _ = names(client)
    t = triton.InferInput(name_in, [1, 5], "FP32")
    t.set_data_from_numpy(np.zeros((1, 5), np.float32))
    with pytest.raises(triton.InferenceServerException) as e:
        client.infer("fashion", [t])
    assert e.value.status() == "400"
    assert "[-1,32,32,3] expected, [1,5] given" in e.value.message()
    with pytest.raises(triton.InferenceServerException) as e:
        client.infer("nope", [t])
    assert e.value.status() == "404"


def test_many_clients_at_once(address, vectors):
    x, want = vectors
    worst = []

    def run():
        with triton.InferenceServerClient(address) as c:
            name_in, name_out = names(c)
            for i in range(20):
                t = triton.InferInput(name_in, [1, 32, 32, 3], "FP32")
                t.set_data_from_numpy(x[i % len(x):][:1])
                y = c.infer("fashion", [t]).as_numpy(name_out)
                worst.append(np.abs(y - want[i % len(x)]).max())

    threads = [threading.Thread(target=run) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(worst) == 160 and max(worst) <= 1e-5


# ---- /predict ----

def test_predict_forms(address, vectors):
    x, want = vectors

    def predict(data):
        status, _, body = ask(address, "/predict",
                              json.dumps({"input_data": data}).encode())
        assert status == 200, body
        return json.loads(body)

    one = predict(x[0].tolist())
    assert np.shape(one["output"]) == (10,)
    assert one["class_index"] == int(np.argmax(want[0]))
    flat = predict(x[0].ravel().tolist())
    assert flat == one
    batch = predict(x.tolist())
    assert np.abs(np.array(batch["output"]) - want).max() <= 1e-5
    assert batch["class_index"] == np.argmax(want, axis=1).tolist()
    status, _, body = ask(address, "/predict/fashion",
                          (FASHION / "boot.png").read_bytes(), "image/png")
    assert status == 200 and json.loads(body)["class"] == "Ankle boot"


BAD = [b"", b"{", b"null", b"\xff\xfe", b'{"input_data":[' + b"[" * 10000,
       b'{"input_data":[NaN]}', b'{"input_data":[1e999]}',
       b'{"input_data":["a"]}', b'{"input_data":[[1,2],[3]]}',
       b'{"input_data":[]}', b'{"input_data":{"no":1}}',
       b'{"input_data":' + b"9" * 5000 + b"}", b"\x89PNG\r\n\x1a\n" + b"\0" * 50,
       b"\xff\xd8\xff" + b"\0" * 50]


@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("path", ["/predict", "/v2/models/fashion/infer"])
def test_bad_bodies(address, path, body):
    status, kind, text = ask(address, path, body)
    assert 400 <= status < 500 and kind == "application/json"
    error = json.loads(text)["error"]
    assert not re.search(r"0x[0-9a-f]{6}|/tmp|/home|/work|\.c\b", error), error
    assert ask(address, "/v2/health/live")[0] == 200


def test_a_body_over_the_limit(address):
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as s:
        s.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\n"
                  b"Content-Length: 99999999999\r\n\r\n")
        reply = s.recv(65536)
    assert reply.startswith(b"HTTP/1.1 413 ")
    assert (b'{"error":"body is larger than the limit of 67108864 bytes"}'
            in reply)


# ---- documents ----

def test_metrics_please_promtool(address):
    status, kind, body = ask(address, "/metrics")
    assert status == 200 and kind.startswith("text/plain; version=0.0.4")
    assert b'modeld_serve_requests_total{route="' in body
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    p = subprocess.run([promtool, "check", "metrics"], input=body,
                       capture_output=True, timeout=60)
    assert p.returncode == 0, p.stderr + p.stdout


def test_openapi_is_valid(address):
    validator = pytest.importorskip("openapi_spec_validator")
    doc = json.loads(ask(address, "/openapi.json")[2])
    validator.OpenAPIV31SpecValidator(doc).validate()
    # and it would tell
    doc["paths"]["/v2/models/{model}"]["get"]["parameters"] = []
    with pytest.raises(Exception, match="model"):
        validator.OpenAPIV31SpecValidator(doc).validate()


def infer_body(address, dtype="FP32"):
    """A V2 request that the server can answer."""
    doc = json.loads(ask(address, "/v2/models/fashion")[2])["inputs"][0]
    shape = [max(n, 1) for n in doc["shape"]]
    data = np.zeros(shape).ravel().tolist()
    return {"id": "a", "inputs": [{"name": doc["name"], "shape": shape,
                                   "datatype": dtype, "data": data}]}


# One request for each operation, and one that each refuses where one can.
def requests_of(address):
    boot = json.loads((FASHION / "boot.json").read_bytes())
    good = infer_body(address)
    doc = good["inputs"][0]
    rows = np.zeros(doc["shape"]).tolist()
    examples = {"examples": [{doc["name"]: doc["data"]}]}
    return {"tfs_predict": [(200, {"instances": rows}),
                            (200, {"inputs": {doc["name"]: rows}}),
                            (400, {"instances": [1]})],
            "tfs_classify": [(200, examples), (400, {"examples": [{}]})],
            "tfs_regress": [(400, examples)],
            "v2_index": [(200, {"ready": True}), (400, [1])],
            "v2_load": [(200, {"parameters": {}}), (400, [1])],
            "v2_unload": [(200, {"parameters": {}}), (400, [1])],
            "v2_logging_set": [(200, {"log_error": True}),
                               (400, {"log_error": 1})],
            "v2_trace_set": [(200, {"trace_rate": None}),
                             (400, {"trace_rate": 0})],
            "v2_trace_model_set": [(200, {"trace_rate": 5}),
                                   (400, {"trace_rate": 0})],
            # What this server was not started for.
            "shm_status": [(501, None)],
            "shm_register": [(501, {"key": "/k", "byte_size": 1}),
                             (400, {})],
            "shm_unregister": [(501, {})],
            "cuda_shm_register": [(501, {})],
            "cuda_shm_unregister": [(200, {})],
            "predict": [(200, boot), (400, {}), (400, {"input_data": "x"})],
            "v2_infer": [(200, good), (400, {"inputs": []}),
                         (400, infer_body(address, "FP64"))]}


def test_openapi_tells_the_truth(address):
    jsonschema = pytest.importorskip("jsonschema")
    doc = json.loads(ask(address, "/openapi.json")[2])
    bodies = requests_of(address)
    ids = set()
    for path, methods in doc["paths"].items():
        for method, op in methods.items():
            assert op["operationId"] not in ids
            ids.add(op["operationId"])
            assert [p["name"] for p in op["parameters"]] == re.findall(
                r"{(\w+)}", path)
            urls = [path.format(model="fashion", version="1",
                                repository="r", region="r")]
            route = re.sub(r"_\d+$", "", op["operationId"])
            cases = bodies.get(route, [(200, None)] if method == "get" else [])
            assert cases, f"no request for {route} is known here"
            if "{model}" in path and cases[0][0] == 200:
                cases = cases + [(404, cases[0][1])]
                urls.append(path.format(model="nope", version="1",
                                        repository="r"))
            for want, body in cases:
                url = urls[1 if want == 404 else 0]
                if want == 200 and body:
                    given = op["requestBody"]["content"]["application/json"]
                    jsonschema.Draft202012Validator(given["schema"]).validate(
                        body)
                data = None if method == "get" else json.dumps(body).encode()
                status, kind, text = ask(address, url, data)
                assert status == want, (url, text)
                reply = op["responses"]["200" if want == 200 else "default"]
                kind = kind.split(";")[0]
                schema = reply["content"][kind]["schema"]
                if kind == "application/json":
                    jsonschema.Draft202012Validator(schema).validate(
                        json.loads(text))
            if route == "v2_unload":
                assert ask(address, "/v2/repository/models/fashion/load",
                           b"{}")[0] == 200


def test_the_page_needs_nothing_from_elsewhere(address):
    r = urllib.request.urlopen(f"http://{address}/", timeout=30)
    with r:
        page = r.read().decode()
        policy = r.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    assert "/v2/models" in page and "/predict/" in page
