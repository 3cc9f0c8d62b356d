"""The model repository, driven by the clients of Triton, KServe and
TensorFlow Serving as they are."""
import json
import shutil
import subprocess
import tarfile
import threading
import time
import urllib.error
import urllib.request

import pytest

import archives
from repository import explicit, put, put_version, scale, serving, wait
from serving import MODELD, VECTORS, server

np = pytest.importorskip("numpy")
http = pytest.importorskip("tritonclient.http")
grpc = pytest.importorskip("tritonclient.grpc")
ERRORS = (http.InferenceServerException,)


class Client:
    """tritonclient over REST or gRPC, with what both have."""

    def __init__(self, url, kind):
        self.kind = {"http": http, "grpc": grpc}[kind]
        self.c = self.kind.InferenceServerClient(url.removeprefix("http://"))

    def infer(self, name="scale", version="", rows=1):
        x = self.kind.InferInput("x", [rows, 4], "FP32")
        x.set_data_from_numpy(np.ones([rows, 4], np.float32))
        r = self.c.infer(name, [x], model_version=version)
        answer = r.get_response()
        told = (answer["model_version"] if isinstance(answer, dict)
                else answer.model_version)
        return float(r.as_numpy("y")[0, 0]), told

    def index(self):
        got = self.c.get_model_repository_index()
        if isinstance(got, list):
            return {(m["name"], m.get("version", "")):
                    (m.get("state", ""), m.get("reason", "")) for m in got}
        return {(m.name, m.version): (m.state, m.reason) for m in got.models}

    def config(self, name):
        if self.kind is http:
            return self.c.get_model_config(name)
        return self.c.get_model_config(name, as_json=True)["config"]

    def versions(self, name):
        got = self.c.get_model_metadata(name)
        return list(got["versions"] if isinstance(got, dict) else got.versions)


@pytest.fixture(params=["http", "grpc"])
def kind(request):
    return request.param


def get(url):
    with urllib.request.urlopen(url) as r:
        return json.load(r)


def post(url, body=b""):
    """(status, text) of a POST."""
    try:
        with urllib.request.urlopen(url, body) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


# ---- what is served from the start ----

def test_layouts_side_by_side(tmp_path, kind):
    scale(tmp_path / "triton/1/model.onnx", 1)
    scale(tmp_path / "triton/3/model.onnx", 3)
    scale(tmp_path / "lone.onnx", 5)
    scale(tmp_path / "named/7/other.onnx", 7)
    put(tmp_path / "named/7/notes.txt", "x")
    put(tmp_path / "named/config.pbtxt",
        'name: "named" default_model_filename: "other.onnx"')
    put(tmp_path / "README.md", "no model")
    with serving(tmp_path) as url:
        c = Client(url, kind)
        assert c.infer("triton") == (3, "3")
        assert c.infer("lone") == (5, "1")
        assert c.infer("named") == (7, "7")
        assert c.index() == {("triton", "3"): ("READY", ""),
                             ("lone", "1"): ("READY", ""),
                             ("named", "7"): ("READY", "")}
        with pytest.raises(ERRORS, match="version 1 is not found"):
            c.infer("triton", "1")
        with pytest.raises(ERRORS, match="model_control is 'none'"):
            c.c.load_model("triton")
        with pytest.raises(ERRORS, match="model_control is 'none'"):
            c.c.unload_model("triton")


@pytest.mark.parametrize("policy, versions", [
    ("latest { num_versions: 2 }", ["2", "10"]), ("all { }", ["1", "2", "10"]),
    ("specific { versions: [ 1, 2 ] }", ["1", "2"])])
def test_version_policies(tmp_path, kind, policy, versions):
    for k in 1, 2, 10:
        scale(tmp_path / f"scale/{k}/model.onnx", k)
    put(tmp_path / "scale/config.pbtxt", f"version_policy: {{ {policy} }}")
    with serving(tmp_path) as url:
        c = Client(url, kind)
        assert c.versions("scale") == versions
        for v in versions:
            assert c.infer("scale", v) == (float(v), v)
        assert c.infer("scale") == (float(versions[-1]), versions[-1])
        status = get(url + "/v1/models/scale")["model_version_status"]
        assert [s["version"] for s in status] == versions
        assert {s["state"] for s in status} == {"AVAILABLE"}


def test_a_folder_with_versions_is_a_model(tmp_path):
    scale(tmp_path / "net/1/model.onnx", 1)
    scale(tmp_path / "net/2/model.onnx", 2)
    with serving(tmp_path / "net") as url:
        assert Client(url, "http").infer("net") == (2, "2")
    with server(f"other={tmp_path}/net", "--listen", "127.0.0.1:0",
                "--log-level", "error") as (url, _):
        assert Client(url, "http").infer("other") == (2, "2")


def test_saved_models_of_tensorflow_serving(tmp_path):
    archive = archives.archive("tf-models")
    if not archive.exists():
        pytest.skip(f"{archive.name} is not there")
    inside = "./seed_cnn/seed_cnn.savedmodel/"
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "all", filter="data", members=[
            m for m in tar.getmembers() if m.name.startswith(inside)])
    shutil.move(tmp_path / "all" / inside, tmp_path / "models/net/00000123")
    x, y = (np.load(VECTORS / f"{n}_0.npy") for n in ("input", "output"))
    with serving(tmp_path / "models") as url:
        status = get(url + "/v1/models/net")["model_version_status"]
        assert [(s["version"], s["state"]) for s in status] == [
            ("123", "AVAILABLE")]
        body = json.dumps({"instances": x.tolist()}).encode()
        with urllib.request.urlopen(url + "/v1/models/net:predict", body) as r:
            got = json.load(r)["predictions"]
        # The same net as Keras', within what conversions are held to.
        assert np.abs(np.array(got) - y).max() <= 1e-5


def test_one_broken_model_does_not_keep_the_others_from_serving(tmp_path):
    scale(tmp_path / "good/1/model.onnx", 1)
    put(tmp_path / "bad/1/model.onnx", "this is no model")
    put(tmp_path / "typo/config.pbtxt", "max_batch: 4")
    scale(tmp_path / "typo/1/model.onnx", 1)
    with serving(tmp_path) as url:
        index = Client(url, "http").index()
        assert index[("good", "1")] == ("READY", "")
        state, reason = index[("bad", "1")]
        assert state == "UNAVAILABLE" and "is no model" in reason
        state, reason = index[("typo", "")]
        assert state == "UNAVAILABLE" and "'max_batch'" in reason


@pytest.mark.parametrize("make, why", [
    (lambda d: None, "has no model"),
    (lambda d: put(d / "bad/1/model.onnx", "x"), "is no model"),
    (lambda d: shutil.rmtree(d), "No such file")])
def test_nothing_to_serve_ends_the_start(tmp_path, make, why):
    repo = tmp_path / "repo"
    repo.mkdir()
    make(repo)
    p = subprocess.run([MODELD, "serve", "--models", repo, "--listen",
                        "127.0.0.1:0"], capture_output=True, text=True,
                       timeout=60)
    assert p.returncode != 0
    assert why in p.stderr


# ---- what the configuration says ----

CONFIG = """
name: "scale" platform: "onnxruntime_onnx" max_batch_size: 4
input [ { name: "x" data_type: TYPE_FP32 dims: [ 4 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 4 ]
           label_filename: "labels.txt" } ]
dynamic_batching { preferred_batch_size: [ 2, 4 ]
                   max_queue_delay_microseconds: 100 }
instance_group [ { count: 2 kind: KIND_CPU } ]
version_policy { latest { num_versions: 1 } }
"""


def test_the_configuration_is_told_and_holds(tmp_path, kind):
    scale(tmp_path / "scale/1/model.onnx", 3)
    put(tmp_path / "scale/config.pbtxt", CONFIG)
    put(tmp_path / "scale/labels.txt", "a\nb\nc\nd\n")
    with serving(tmp_path) as url:
        c = Client(url, kind)
        got = c.config("scale")
        assert got["max_batch_size"] == 4
        assert got["platform"] == "onnxruntime_onnx"
        assert [int(d) for d in got["input"][0]["dims"]] == [4]
        assert got["dynamic_batching"]["preferred_batch_size"] == [2, 4]
        assert int(got["dynamic_batching"]
                   ["max_queue_delay_microseconds"]) == 100
        assert got["instance_group"][0]["count"] == 2
        assert got["version_policy"]["latest"]["num_versions"] == 1
        assert c.infer(rows=4)[0] == 3
        with pytest.raises(ERRORS, match="batch-size must be <= 4"):
            c.infer(rows=5)
        out = c.kind.InferRequestedOutput("y", class_count=1)
        x = c.kind.InferInput("x", [1, 4], "FP32")
        x.set_data_from_numpy(np.array([[1, 9, 2, 3]], np.float32))
        label = c.c.infer("scale", [x], outputs=[out]).as_numpy("y")
        label = label.reshape(-1)[0]
        if isinstance(label, bytes):  # as the client has it
            label = label.decode()
        assert label.endswith(":1:b")


@pytest.mark.parametrize("config, why", [
    ('input { name: "z" }', "the model has no input 'z'"),
    ('input { name: "x" data_type: TYPE_INT64 }', "data type int64 given"),
    ('input { name: "x" dims: [ 5 ] }', "shape [5] given"),
    ('input { name: "x" dims: [ -1, 5 ] }', "shape [-1,5] given"),
    ('max_batch_size: 2 input { name: "x" dims: [ 5 ] }',
     "batch dimension included"),
    ('sequence_batching { }', "'sequence_batching' is not supported"),
    ('name: "other"', "that of 'other'"),
    ('output { name: "y" label_filename: "no.txt" }', "no.txt"),
    ('default_model_filename: "no.onnx"', "has no file 'no.onnx'")])
def test_a_configuration_that_does_not_fit(tmp_path, kind, config, why):
    scale(tmp_path / "scale/1/model.onnx", 3)
    put(tmp_path / "scale/config.pbtxt", config)
    with explicit(tmp_path) as url:
        c = Client(url, kind)
        with pytest.raises(ERRORS) as e:
            c.c.load_model("scale")
        assert "failed to load 'scale'" in str(e.value)
        assert why in str(e.value)
        assert not c.c.is_model_ready("scale") or kind == "http"
        (state, reason), = c.index().values()
        assert state == "UNAVAILABLE" and why in reason


# ---- explicit control ----

def test_load_and_unload(tmp_path, kind):
    scale(tmp_path / "scale/1/model.onnx", 1)
    scale(tmp_path / "other.onnx", 2)
    with explicit(tmp_path) as url:
        c = Client(url, kind)
        assert c.index() == {("scale", ""): ("", ""), ("other", ""): ("", "")}
        with pytest.raises(ERRORS, match="'scale' is not found"):
            c.infer()
        c.c.load_model("scale")
        assert c.infer() == (1, "1")
        c.c.load_model("scale")  # nothing has changed
        put_version(tmp_path / "scale", 2, 2)
        assert c.infer() == (1, "1")
        c.c.load_model("scale")
        assert c.infer() == (2, "2")
        scale(tmp_path / "scale/2/model.onnx", 20)
        c.c.load_model("scale")  # the same number, another file
        assert c.infer() == (20, "2")
        c.c.unload_model("scale", unload_dependents=True)
        with pytest.raises(ERRORS, match="no available versions"):
            c.infer()
        assert wait(lambda: c.index()[("scale", "2")] == ("UNAVAILABLE",
                                                          "unloaded"))
        c.c.load_model("scale")
        assert c.infer() == (20, "2")
        c.c.unload_model("other")  # never loaded
        for name in "nope", "../other", "..", "a b":
            with pytest.raises(ERRORS, match="nope|model name|no route"):
                c.c.load_model(name)
            with pytest.raises(ERRORS, match="nope|model name|no route"):
                c.c.unload_model(name)


def test_load_with_another_configuration(tmp_path, kind):
    scale(tmp_path / "scale/1/model.onnx", 1)
    scale(tmp_path / "scale/2/model.onnx", 2)
    with explicit(tmp_path) as url:
        c = Client(url, kind)
        c.c.load_model("scale", config=json.dumps(
            {"max_batch_size": 2, "version_policy": {"specific":
                                                     {"versions": [1]}}}))
        assert c.infer() == (1, "1")
        assert c.config("scale")["max_batch_size"] == 2
        for config, why in [("{", "JSON"), ('{"max_batchsize":1}', "nearest"),
                            ('{"name":"b"}', "that of 'b'")]:
            with pytest.raises(ERRORS, match=why):
                c.c.load_model("scale", config=config)
        assert c.infer() == (1, "1")
        with pytest.raises(ERRORS, match="unknown load parameter 'file"):
            c.c.load_model("scale", config="{}", files={"file:1/m": b"x"})
        c.c.load_model("scale")
        assert c.infer() == (2, "2")


def test_a_broken_version_leaves_the_old_one(tmp_path, kind):
    scale(tmp_path / "scale/1/model.onnx", 1)
    with explicit(tmp_path, "--load-model", "scale") as url:
        c = Client(url, kind)
        assert c.infer() == (1, "1")
        put(tmp_path / "scale/2/model.onnx", "broken")
        with pytest.raises(ERRORS, match="version 2: .* is no model"):
            c.c.load_model("scale")
        assert c.infer() == (1, "1")
        index = c.index()
        assert index[("scale", "1")] == ("READY", "")
        assert index[("scale", "2")][0] == "UNAVAILABLE"
        assert "is no model" in index[("scale", "2")][1]
        status = get(url + "/v1/models/scale/versions/2")
        status, = status["model_version_status"]
        assert status["state"] == "END"
        assert "is no model" in status["status"]["error_message"]
        put(tmp_path / "scale/1/model.onnx", "broken, too")
        shutil.rmtree(tmp_path / "scale/2")
        with pytest.raises(ERRORS, match="version 1: "):
            c.c.load_model("scale")
        assert c.infer() == (1, "1")
        put_version(tmp_path / "scale", 3, 3)
        c.c.load_model("scale")
        assert c.infer() == (3, "3")
        assert {k: v for k, v in c.index().items() if v[0] != "UNLOADING"
                and v[1] != "unloaded"} == {("scale", "3"): ("READY", "")}


@pytest.mark.parametrize("words, ready", [
    ([], []), (["--load-model", "a,c"], ["a", "c"]),
    (["--load-model", "*"], ["a", "b", "c"])])
def test_what_explicit_control_loads_at_the_start(tmp_path, words, ready):
    for k, name in enumerate("abc"):
        scale(tmp_path / f"{name}.onnx", k)
    with explicit(tmp_path, *words) as url:
        assert get(url + "/v2/models")["models"] == ready


def test_bad_bodies(tmp_path):
    scale(tmp_path / "scale.onnx", 1)
    with explicit(tmp_path) as url:
        load = url + "/v2/repository/models/scale/load"
        for body, status in [(b"", 200), (b"{}", 200), (b"[]", 400),
                             (b"{", 400), (b'{"parameters":[]}', 400),
                             (b'{"parameters":{"config":1}}', 400),
                             (b'{"parameters":{"x":"y"}}', 400)]:
            assert post(load, body)[0] == status, body
        unload = url + "/v2/repository/models/scale/unload"
        assert post(unload, b"[]")[0] == 400
        assert post(unload, b'{"parameters":{"unload_dependents":true}}'
                    )[0] == 200
        index = url + "/v2/repository/index"
        assert json.loads(post(index, b'{"ready":true}')[1]) == []
        assert post(index, b'{"ready":1}')[0] == 400
        for path in "..%2fscale", "%2e%2e", "a%20b", "%2e%2e%2fscale.onnx":
            code, text = post(f"{url}/v2/repository/models/{path}/load")
            assert code == 400 and "model name" in text
        assert post(url + "/v2/repository/models/../scale/load")[0] == 404


# ---- polling ----

def test_polling_follows_the_disk(tmp_path, kind):
    scale(tmp_path / "scale/1/model.onnx", 1)
    with serving(tmp_path, "--model-control", "poll", "--poll-seconds",
                 "1") as url:
        c = Client(url, kind)
        assert c.infer() == (1, "1")
        put_version(tmp_path / "scale", 2, 2)
        scale(tmp_path / "more.onnx", 7)
        wait(lambda: c.infer() == (2, "2"))
        wait(lambda: ("more", "1") in c.index())
        assert c.infer("more") == (7, "1")
        put(tmp_path / "scale/3/model.onnx", "broken")
        wait(lambda: c.index().get(("scale", "3"), "")[:1] == ("UNAVAILABLE",))
        assert c.infer() == (2, "2")
        scale(tmp_path / "scale/3/model.onnx", 3)
        wait(lambda: c.infer() == (3, "3"))
        (tmp_path / "more.onnx").unlink()
        wait(lambda: c.index().get(("more", "1")) == ("UNAVAILABLE",
                                                      "unloaded"))
        with pytest.raises(ERRORS, match="model_control is 'poll'"):
            c.c.load_model("scale")
        put(tmp_path / "scale/config.pbtxt", "max_batch: 3")
        wait(lambda: "'max_batch'" in c.index().get(("scale", ""), ("", ""))[1])
        assert c.infer() == (3, "3")
        put(tmp_path / "scale/config.pbtxt", "max_batch_size: 3")
        wait(lambda: c.config("scale").get("max_batch_size") == 3)
        assert ("scale", "") not in c.index()


# ---- under load ----

class Load(threading.Thread):
    """Asks without a pause; an answer must be that of the version it names,
    and of no version below what was acknowledged before it was asked."""

    def __init__(self, url, kind, floor):
        super().__init__()
        self.url, self.kind, self.floor = url, kind, floor
        self.n, self.wrong, self.stop = 0, [], threading.Event()

    def run(self):
        c = Client(self.url, self.kind)
        while not self.stop.is_set() and len(self.wrong) < 5:
            floor = self.floor[0]
            try:
                value, version = c.infer()
                if value != float(version) or int(version) < floor:
                    self.wrong.append((value, version, floor))
            except Exception as e:  # noqa: BLE001: none may fail
                self.wrong.append(repr(e))
            self.n += 1


def test_swapped_under_load(tmp_path):
    """Each cycle brings a new version and takes the old one away."""
    repo = tmp_path / "repo"
    put_version(repo / "scale", 1, 1)
    floor = [1]
    with explicit(repo, "--load-model", "*", "--threads", "2") as url:
        threads = [Load(url, kind, floor) for kind in ("http", "grpc") * 2]
        for t in threads:
            t.start()
        admin = Client(url, "http")
        for k in range(2, 42):
            put_version(repo / "scale", k, k)
            admin.c.load_model("scale")
            floor[0] = k
            shutil.rmtree(repo / "scale" / str(k - 1))
            if k % 5 == 0:  # a broken one in between
                put(repo / f"scale/{k + 1}/model.onnx", "broken")
                with pytest.raises(ERRORS):
                    admin.c.load_model("scale")
                shutil.rmtree(repo / f"scale/{k + 1}")
            time.sleep(0.02)
        for t in threads:
            t.stop.set()
        for t in threads:
            t.join()
        assert [t.wrong for t in threads] == [[]] * 4
        assert min(t.n for t in threads) > 40
        wait(lambda: [v for v in admin.index().values() if v[0] == "READY"] ==
             [("READY", "")])
        text = urllib.request.urlopen(url + "/metrics").read().decode()
        assert "\nmodeld_serve_models 1\n" in text


def test_unloaded_under_load(tmp_path):
    """Requests are answered right, or told that there is no model."""
    scale(tmp_path / "scale.onnx", 1)
    scale(tmp_path / "other.onnx", 1)
    with explicit(tmp_path, "--load-model", "*", "--threads", "2") as url:
        stop = threading.Event()
        bad = []

        def ask(kind):
            c = Client(url, kind)
            while not stop.is_set():
                try:
                    if c.infer() != (1, "1"):
                        bad.append("wrong")
                except ERRORS as e:
                    if "unknown model" not in str(e):
                        bad.append(str(e))

        threads = [threading.Thread(target=ask, args=(k,))
                   for k in ("http", "grpc") * 2]
        for t in threads:
            t.start()
        admin = Client(url, "grpc")
        for _ in range(40):
            admin.c.unload_model("scale")
            admin.c.load_model("scale")
            assert admin.infer("other") == (1, "1")
        stop.set()
        for t in threads:
            t.join()
        assert bad == []
