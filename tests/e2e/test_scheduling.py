"""Requests that are run together, wait for each other, and are refused."""
import concurrent.futures
import contextlib
import json
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

import onnx
from onnx import TensorProto, helper

from repository import put, scale, serving, wait
from serving import MODELD, connect, server

np = pytest.importorskip("numpy")
http = pytest.importorskip("tritonclient.http")
grpc = pytest.importorskip("tritonclient.grpc")
ERRORS = (http.InferenceServerException,)

BATCHING = """max_batch_size: 8
dynamic_batching { max_queue_delay_microseconds: 200000 %s }"""


def module(kind):
    return {"http": http, "grpc": grpc}[kind]


def infer(url, kind, x, name="scale", **more):
    """The output of one request on a connection of its own."""
    kind = module(kind)
    c = kind.InferenceServerClient(url.removeprefix("http://"))
    given = kind.InferInput("x", list(x.shape), "FP32")
    given.set_data_from_numpy(x)
    with contextlib.closing(c):
        return c.infer(name, [given], **more).as_numpy("y")


def stats(url, name="scale"):
    with urllib.request.urlopen(f"{url}/v2/models/{name}/stats") as r:
        return json.load(r)["model_stats"][0]


def sizes(url, name="scale"):
    """{rows: runs}"""
    return {b["batch_size"]: b["compute_infer"]["count"]
            for b in stats(url, name)["batch_stats"]}


def told(url, want, name="scale"):
    """Statistics are told soon after the answer, not before it."""
    return wait(lambda: want(sizes(url, name)))


def metric(url, name):
    with urllib.request.urlopen(url + "/metrics") as r:
        for line in r.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
    return 0


def all_at_once(*calls):
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [f.result() for f in [pool.submit(*c) for c in calls]]


def rows(n, first=0):
    return np.arange(first, first + 4 * n, dtype=np.float32).reshape(n, 4)


def batched(path, more=""):
    scale(path / "scale/1/model.onnx", 3)
    put(path / "scale/config.pbtxt", BATCHING % more)
    return path


@pytest.fixture(params=["http", "grpc"])
def kind(request):
    return request.param


def test_requests_are_run_together(tmp_path, kind):
    with serving(batched(tmp_path)) as url:
        given = [rows(n, 10 * n) for n in (1, 2, 1, 3, 1)]  # 8 rows
        start = time.monotonic()
        got = all_at_once(*[(infer, url, kind, x) for x in given])
        for x, y in zip(given, got):
            assert (y == 3 * x).all()
        told(url, lambda got: sum(k * n for k, n in got.items()) == 8)
        of = stats(url)
        assert of["inference_count"] == 8
        assert of["execution_count"] < 5
        wait(lambda: stats(url)["inference_stats"]["success"]["count"] == 5)
        assert time.monotonic() - start < 5
        c = grpc.InferenceServerClient(url.removeprefix("http://"))
        by_grpc = c.get_inference_statistics(as_json=True)["model_stats"][0]
        assert int(by_grpc["inference_count"]) == 8
        assert {int(b["batch_size"]) for b in by_grpc["batch_stats"]} == set(
            sizes(url))
        assert metric(url, 'modeld_serve_batch_rows_sum{model="scale"}') == 8


def test_all_ways_in_share_a_batch(tmp_path):
    def post(url, path, body):
        with urllib.request.urlopen(url + path, json.dumps(body).encode()) as r:
            return json.load(r)

    with serving(batched(tmp_path, "preferred_batch_size: [ 4 ]")) as url:
        got = all_at_once(
            (infer, url, "http", rows(1)), (infer, url, "grpc", rows(1)),
            (post, url, "/predict", {"input_data": [1, 1, 1, 1]}),
            (post, url, "/v1/models/scale:predict",
             {"instances": [[2, 2, 2, 2]]}))
        assert (got[0] == 3 * rows(1)).all() and (got[1] == got[0]).all()
        assert got[2]["output"] == [3, 3, 3, 3]
        assert got[3]["predictions"] == [[6, 6, 6, 6]]
        told(url, lambda got: got == {4: 1})


def test_one_that_waits_alone_is_run_alone(tmp_path, kind):
    with serving(batched(tmp_path)) as url:
        start = time.monotonic()
        assert (infer(url, kind, rows(1)) == 3 * rows(1)).all()
        assert time.monotonic() - start >= 0.2
        told(url, lambda got: got == {1: 1})
        start = time.monotonic()
        assert (infer(url, kind, rows(8)) == 3 * rows(8)).all()
        assert time.monotonic() - start < 0.2  # full: it does not wait
        with pytest.raises(ERRORS, match="batch-size must be <= 8"):
            infer(url, kind, rows(9))


def test_batches_by_option(tmp_path, kind):
    scale(tmp_path / "scale.onnx", 3)
    scale(tmp_path / "fixed.onnx", 3, batch=1)
    with serving(tmp_path, "--batch-max", "4", "--batch-delay-us",
                 "200000") as url:
        got = all_at_once(*[(infer, url, kind, rows(1, k)) for k in range(4)])
        for k in range(4):
            assert (got[k] == 3 * rows(1, k)).all()
        told(url, lambda got: sum(k * n for k, n in got.items()) == 4)
        assert max(sizes(url)) > 1
        start = time.monotonic()
        infer(url, kind, rows(1), "fixed")
        assert time.monotonic() - start < 0.2


def test_streams_are_batched_across(tmp_path):
    """Answers of a stream come in order, and their ids are its own."""
    def stream(url, first):
        c = grpc.InferenceServerClient(url.removeprefix("http://"))
        got = []
        c.start_stream(lambda result, error: got.append((result, error)))
        for k in range(5):
            x = grpc.InferInput("x", [1, 4], "FP32")
            x.set_data_from_numpy(rows(1, first + k))
            c.async_stream_infer("scale", [x], request_id=f"{first}-{k}")
        c.stop_stream()
        assert [e for _, e in got] == [None] * 5
        assert [r.get_response().id for r, _ in got] == [
            f"{first}-{k}" for k in range(5)]
        for k, (r, _) in enumerate(got):
            assert (r.as_numpy("y") == 3 * rows(1, first + k)).all()

    repo = batched(tmp_path, "preferred_batch_size: [ 4 ]")
    with serving(repo) as url:
        all_at_once(*[(stream, url, 100 * k) for k in range(4)])
        assert stats(url)["inference_count"] == 20
        assert stats(url)["execution_count"] < 20


# ---- faults are their caller's alone ----

def gather(path):
    """y = table[i]: an index out of range fails the run."""
    table = helper.make_tensor("t", TensorProto.FLOAT, [4],
                               [0.0, 10.0, 20.0, 30.0])
    graph = helper.make_graph(
        [helper.make_node("Gather", ["t", "x"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["N", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])],
        [table])
    model = helper.make_model(graph, ir_version=9,
                              opset_imports=[helper.make_opsetid("", 17)])
    put(path, model.SerializeToString())


def test_a_bad_request_does_not_fail_those_beside_it(tmp_path, kind):
    gather(tmp_path / "pick/1/model.onnx")
    put(tmp_path / "pick/config.pbtxt", BATCHING % "")
    kind = module(kind)

    def pick(url, i):
        c = kind.InferenceServerClient(url.removeprefix("http://"))
        x = kind.InferInput("x", [1, 1], "INT64")
        x.set_data_from_numpy(np.array([[i]], np.int64))
        try:
            return float(c.infer("pick", [x]).as_numpy("y")[0, 0])
        except ERRORS as e:
            return str(e)

    with serving(tmp_path) as url:
        got = all_at_once(*[(pick, url, i) for i in (1, 9, 2, 3)])
        assert [got[0], got[2], got[3]] == [10, 20, 30]
        assert isinstance(got[1], str)


def test_a_model_whose_rows_are_not_its_batch(tmp_path, kind):
    """Only rows that begin above zero come out: whose they are, nobody can
    tell, so such calls are run apart."""
    graph = helper.make_graph(
        [helper.make_node("Slice", ["x", "zero", "one", "one"], ["c"]),
         helper.make_node("Greater", ["c", "nil"], ["g"]),
         helper.make_node("Squeeze", ["g", "one"], ["keep"]),
         helper.make_node("Compress", ["x", "keep"], ["y"], axis=0)], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["M", 4])],
        [helper.make_tensor("zero", TensorProto.INT64, [1], [0]),
         helper.make_tensor("one", TensorProto.INT64, [1], [1]),
         helper.make_tensor("nil", TensorProto.FLOAT, [], [0.0])])
    # Slice along axis 1 takes its axes from `one`.
    model = helper.make_model(graph, ir_version=9,
                              opset_imports=[helper.make_opsetid("", 17)])
    put(tmp_path / "scale/1/model.onnx", model.SerializeToString())
    put(tmp_path / "scale/config.pbtxt", BATCHING % "")
    with serving(tmp_path) as url:
        got = all_at_once(*[(infer, url, kind, rows(1, k)) for k in range(3)])
        assert got[0].shape == (0, 4)
        for k in 1, 2:
            assert (got[k] == rows(1, k)).all()
        told(url, lambda got: got == {1: 3})


# ---- bit by bit ----

@pytest.mark.parametrize("net", ["mlp", "conv"])
def test_batched_answers_are_those_of_one(tmp_path, net):
    """fp32 strict: the same bits alone and in a batch of any size."""
    rng = np.random.default_rng(7)

    def const(name, *shape):
        data = rng.standard_normal(shape).astype(np.float32)
        return helper.make_tensor(name, TensorProto.FLOAT, shape,
                                  data.tobytes(), raw=True)

    if net == "mlp":
        shape, out = [37], [19]
        nodes = [helper.make_node("Gemm", ["x", "a", "b"], ["h"]),
                 helper.make_node("Gelu", ["h"], ["g"], domain="com.microsoft"),
                 helper.make_node("MatMul", ["g", "c"], ["l"]),
                 helper.make_node("Softmax", ["l"], ["y"])]
        consts = [const("a", 37, 45), const("b", 45), const("c", 45, 19)]
    else:
        shape, out = [3, 12, 13], [8, 6, 7]
        nodes = [helper.make_node("Conv", ["x", "a", "b"], ["h"],
                                  pads=[1, 1, 1, 1], strides=[2, 2]),
                 helper.make_node("Relu", ["h"], ["r"]),
                 helper.make_node("Conv", ["r", "c"], ["y"],
                                  pads=[1, 1, 1, 1])]
        consts = [const("a", 8, 3, 3, 3), const("b", 8), const("c", 8, 8, 3, 3)]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", *out])],
        consts)
    model = helper.make_model(graph, ir_version=9, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)])
    put(tmp_path / "scale/1/model.onnx", model.SerializeToString())
    put(tmp_path / "scale/config.pbtxt", BATCHING.replace("200000", "20000") %
        "")
    x = rng.standard_normal((8, *shape)).astype(np.float32)
    with serving(tmp_path, "--precision", "strict") as url:
        alone = [infer(url, "grpc", x[k:k + 1]) for k in range(8)]
        told(url, lambda got: got == {1: 8})
        for n in range(2, 9):
            together = infer(url, "grpc", x[:n])
            for k in range(n):
                assert together[k].tobytes() == alone[k][0].tobytes(), (n, k)
        beside = all_at_once(*[(infer, url, "grpc", x[k:k + 1])
                               for k in range(8)])
        for k in range(8):
            assert beside[k].tobytes() == alone[k].tobytes(), k


# ---- bounds, timeouts, priorities, instances ----

def slow(path, more, ms=50):
    scale(path / "scale/1/model.onnx", 3, width=256, slow_ms=ms)
    put(path / "scale/config.pbtxt", more)
    return path


def wide(value=1):
    return np.full([1, 256], value, np.float32)


def wait_for_a_run(url):
    wait(lambda: metric(url, "modeld_serve_workers_busy") >= 1)


def outcome(url, kind, **more):
    """(the answer or the error's text, seconds)"""
    start = time.monotonic()
    try:
        got = float(infer(url, kind, wide(), **more)[0, 0])
    except ERRORS as e:
        got = str(e)
    return got, time.monotonic() - start


def test_a_full_lane_refuses_at_once(tmp_path, kind):
    repo = slow(tmp_path, """max_batch_size: 1 instance_group { count: 1 }
        dynamic_batching { default_queue_policy { max_queue_size: 2 } }""")
    with serving(repo, "--threads", "2") as url:
        one = outcome(url, kind)[1]
        got = all_at_once(*[(outcome, url, kind)] * 12)
        refused = [t for g, t in got if isinstance(g, str)]
        assert all("overloaded" in g for g, _ in got if isinstance(g, str))
        assert all(g == 3 for g, _ in got if not isinstance(g, str))
        assert 1 <= len(refused) <= 10
        assert metric(url, 'modeld_serve_rejects_total{reason='
                      '"model_queue_full"}') == len(refused)
        assert outcome(url, kind)[0] == 3
        assert one < 5


def test_refusals_say_when_to_come_back(tmp_path):
    repo = slow(tmp_path, "")
    body = json.dumps({"inputs": [{"name": "x", "shape": [1, 256], "datatype":
                                   "FP32", "data": [1.0] * 256}]}).encode()

    def post(url):
        try:
            with urllib.request.urlopen(url + "/v2/models/scale/infer",
                                        body) as r:
                return r.status, None
        except urllib.error.HTTPError as e:
            return e.code, e.headers["Retry-After"]

    with serving(repo, "--threads", "1", "--queue-max", "1") as url:
        got = all_at_once(*[(post, url)] * 8)
        assert set(got) == {(200, None), (503, "1")}


def test_timeouts_count_in_the_lane(tmp_path, kind):
    repo = slow(tmp_path, """max_batch_size: 1 instance_group { count: 1 }
        dynamic_batching { default_queue_policy {
          timeout_action: REJECT allow_timeout_override: true } }""")
    with serving(repo, "--threads", "2") as url:
        first = threading.Thread(target=outcome, args=(url, kind))
        first.start()
        wait_for_a_run(url)
        got = all_at_once(*[(lambda: outcome(url, kind, timeout=1000),)] * 2,
                          (outcome, url, kind))
        first.join()
        late = [g for g, _ in got if isinstance(g, str)]
        assert late and all("waited" in g for g in late)
        assert got[2][0] == 3
        assert metric(url, 'modeld_serve_rejects_total{reason="timeout"}'
                      ) == len(late)


def test_priorities_go_first(tmp_path, kind):
    repo = slow(tmp_path, """max_batch_size: 1 instance_group { count: 1 }
        dynamic_batching { priority_levels: 2 default_priority_level: 2 }""")
    order = []
    given = [2] * 8 + [1]
    connected = threading.Barrier(len(given))

    def ask(url, i):
        c = module(kind).InferenceServerClient(url.removeprefix("http://"))
        x = module(kind).InferInput("x", [1, 256], "FP32")
        x.set_data_from_numpy(wide())
        with contextlib.closing(c):
            assert c.is_server_live()
            connected.wait()
            time.sleep(0.004 * i)  # the one that is urgent comes last
            c.infer("scale", [x], priority=given[i])
        order.append(given[i])

    with serving(repo, "--threads", "2") as url:
        all_at_once(*[(ask, url, i) for i in range(len(given))])
        assert order.index(1) < 8, order


def test_a_model_that_is_busy_leaves_room_for_others(tmp_path, kind):
    repo = slow(tmp_path, "instance_group { count: 1 }")
    scale(tmp_path / "quick.onnx", 3)
    with serving(repo, "--threads", "2") as url:
        busy = [threading.Thread(target=outcome, args=(url, kind))
                for _ in range(6)]
        for t in busy:
            t.start()
        wait_for_a_run(url)
        start = time.monotonic()
        assert (infer(url, kind, rows(1), "quick") == 3 * rows(1)).all()
        quick = time.monotonic() - start
        for t in busy:
            t.join()
        assert quick < (time.monotonic() - start) / 2


def test_those_who_left_are_not_run(tmp_path):
    repo = slow(tmp_path, """max_batch_size: 1 instance_group { count: 1 }
        dynamic_batching { }""")
    body = json.dumps({"input_data": [[1.0] * 256]}).encode()
    request = (b"POST /predict HTTP/1.1\r\nHost: t\r\nContent-Length: %d"
               b"\r\n\r\n" % len(body)) + body
    with serving(repo, "--threads", "2") as url:
        infer(url, "grpc", wide())
        with contextlib.ExitStack() as stack:
            for _ in range(6):
                s = stack.enter_context(connect(url))
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))  # end by a reset
                s.sendall(request)
            wait(lambda: metric(url, "modeld_serve_queue_depth") >= 4)
        infer(url, "grpc", wide())
        gone = metric(url, 'modeld_serve_rejects_total{reason="abandoned"}')
        assert gone >= 3
        assert stats(url)["execution_count"] <= 8 - gone


# ---- swaps ----

def test_swapped_while_batches_wait(tmp_path):
    """What waits is answered by the version it was read for."""
    repo = batched(tmp_path, "preferred_batch_size: [ 4 ]")
    with serving(repo, "--model-control", "explicit", "--load-model",
                 "*") as url:
        stop = threading.Event()
        wrong = []

        def ask(kind):
            kind = module(kind)
            c = kind.InferenceServerClient(url.removeprefix("http://"))
            x = kind.InferInput("x", [1, 4], "FP32")
            x.set_data_from_numpy(np.ones([1, 4], np.float32))
            while not stop.is_set():
                try:
                    r = c.infer("scale", [x])
                    told = r.get_response()
                    told = (told["model_version"] if isinstance(told, dict)
                            else told.model_version)
                    want = 3 if told == "1" else float(told)
                    if r.as_numpy("y")[0, 0] != want:
                        wrong.append((told, r.as_numpy("y")[0, 0]))
                except ERRORS as e:
                    wrong.append(str(e))

        threads = [threading.Thread(target=ask, args=(k,))
                   for k in ("http", "grpc") * 3]
        for t in threads:
            t.start()
        admin = http.InferenceServerClient(url.removeprefix("http://"))
        for k in range(2, 22):
            scale(tmp_path / f"scale/{k}/model.onnx", k)
            admin.load_model("scale")
        stop.set()
        for t in threads:
            t.join()
        assert wrong == []
        many = 'modeld_serve_batch_rows_%s{model="scale"}'
        assert metric(url, many % "sum") > metric(url, many % "count")


def test_drains_what_waits(tmp_path):
    """SIGTERM answers those that wait for others."""
    with server("--models", batched(tmp_path), "--listen", "127.0.0.1:0",
                "--log-level", "error") as (url, p), \
            concurrent.futures.ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(infer, url, "http", rows(1)) for _ in range(3)]
        wait(lambda: metric(url, "modeld_serve_queue_depth") == 3)
        p.send_signal(signal.SIGTERM)
        for f in asked:
            assert (f.result() == 3 * rows(1)).all()
        assert p.wait(30) == 0


def test_the_configuration_is_bounded():
    p = subprocess.run([MODELD, "serve", "x.onnx", "--batch-max", "-1"],
                       capture_output=True, text=True, timeout=60)
    assert p.returncode != 0 and "batch" in p.stderr


# ---- the response cache ----

CACHED = "response_cache { enable: true }\n"


@pytest.mark.parametrize("more", ["", BATCHING.replace("200000", "100") % ""],
                         ids=["alone", "batched"])
def test_answers_are_kept(tmp_path, kind, more):
    scale(tmp_path / "scale/1/model.onnx", 3)
    put(tmp_path / "scale/config.pbtxt", CACHED + more)
    with serving(tmp_path, "--cache-size", "1M", "--model-control",
                 "explicit", "--load-model", "*") as url:
        for _ in range(3):
            for x in rows(2), rows(1, 5), rows(2).reshape(1, 8)[:, 4:]:
                assert (infer(url, kind, x) == 3 * x).all()
        told = stats(url)
        assert told["inference_stats"]["success"]["count"] == 9
        assert told["inference_stats"]["cache_hit"]["count"] == 6
        assert told["inference_stats"]["cache_miss"]["count"] == 3
        assert told["execution_count"] == 3
        assert metric(url, "modeld_serve_cache_hits_total") == 6
        assert metric(url, "modeld_serve_cache_entries") == 3
        # another form of the same question
        body = json.dumps({"instances": rows(2).tolist()}).encode()
        with urllib.request.urlopen(url + "/v1/models/scale:predict",
                                    body) as r:
            assert json.load(r)["predictions"] == (3 * rows(2)).tolist()
        assert metric(url, "modeld_serve_cache_hits_total") == 7
        # another version is another model
        scale(tmp_path / "scale/2/model.onnx", 4)
        http.InferenceServerClient(url.removeprefix("http://")).load_model(
            "scale")
        assert (infer(url, kind, rows(2)) == 4 * rows(2)).all()


def test_nothing_is_kept_unless_both_say_so(tmp_path, kind):
    scale(tmp_path / "scale/1/model.onnx", 3)
    scale(tmp_path / "plain.onnx", 3)
    put(tmp_path / "scale/config.pbtxt", CACHED)
    with serving(tmp_path) as url:
        for _ in range(2):
            infer(url, kind, rows(1))
        assert stats(url)["execution_count"] == 2
    with serving(tmp_path, "--cache-size", "1M") as url:
        for _ in range(2):
            infer(url, kind, rows(1), "plain")
        assert stats(url, "plain")["execution_count"] == 2
        assert metric(url, "modeld_serve_cache_entries") == 0


def test_the_cache_is_bounded(tmp_path, kind):
    scale(tmp_path / "scale/1/model.onnx", 3)
    put(tmp_path / "scale/config.pbtxt", CACHED)
    with serving(tmp_path, "--cache-size", "64k") as url:
        for k in range(40):
            x = rows(256, k)  # 4 KiB of answer
            assert (infer(url, kind, x) == 3 * x).all()
        assert 0 < metric(url, "modeld_serve_cache_bytes") <= 64 << 10
        assert metric(url, "modeld_serve_cache_evictions_total") >= 24
