"""Models made of others (ensemble_scheduling), driven by Triton's clients as
they are."""
import concurrent.futures
import itertools
import json
import threading
import urllib.error
import urllib.request

import pytest

import onnx
from onnx import TensorProto, helper

from repository import explicit, put, put_version, scale, serving, wait
from serving import server

np = pytest.importorskip("numpy")
http = pytest.importorskip("tritonclient.http")
grpc = pytest.importorskip("tritonclient.grpc")
ERRORS = (http.InferenceServerException,)

IOS = """
input [ { name: "%s" data_type: TYPE_FP32 dims: [ %s ] } ]
output [ { name: "%s" data_type: TYPE_FP32 dims: [ %s ] } ]
"""


def step(model, x, y, version=-1, own=("x", "y")):
    return f"""step [ {{ model_name: "{model}" model_version: {version}
  input_map {{ key: "{own[0]}" value: "{x}" }}
  output_map {{ key: "{own[1]}" value: "{y}" }} }} ]
"""


def ensemble(path, *steps, dims="-1, 4", batch=0, x="in", y="out", more=""):
    text = f'platform: "ensemble" max_batch_size: {batch} {more}'
    text += IOS % (x, dims, y, dims)
    text += "ensemble_scheduling {\n" + "".join(steps) + "}\n"
    (path / "1").mkdir(parents=True, exist_ok=True)
    put(path / "config.pbtxt", text)


def pipe(repo, *order):
    """in * 2 * 3 * 5 through three models, written in that order."""
    for name, factor in (("two", 2), ("three", 3), ("five", 5)):
        scale(repo / name / "1/model.onnx", factor)
    steps = [step("two", "in", "a"), step("three", "a", "b"),
             step("five", "b", "out")]
    ensemble(repo / "pipe", *[steps[i] for i in order or (0, 1, 2)])
    return repo


@pytest.fixture(params=["http", "grpc"])
def kind(request):
    return {"http": http, "grpc": grpc}[request.param]


def client(url, kind=http, **more):
    return kind.InferenceServerClient(url.removeprefix("http://"), **more)


def infer(c, kind=http, name="pipe", rows=1, x="in", y="out", **more):
    given = kind.InferInput(x, [rows, 4], "FP32")
    values = np.arange(4 * rows, dtype=np.float32).reshape(rows, 4)
    given.set_data_from_numpy(values)
    got = c.infer(name, [given], **more).as_numpy(y)
    assert got.shape == values.shape
    return float(got[-1, -1] / values[-1, -1])


def stats(url, name):
    with urllib.request.urlopen(f"{url}/v2/models/{name}/stats") as r:
        return json.load(r)["model_stats"][0]


def index(url):
    return {m["name"]: (m.get("state"), m.get("reason", ""))
            for m in client(url).get_model_repository_index()}


def test_steps_run_in_the_order_of_their_tensors(tmp_path, kind):
    for order in itertools.permutations(range(3)):
        repo = pipe(tmp_path / "".join(map(str, order)), *order)
        with serving(repo) as url:
            c = client(url, kind)
            assert infer(c, kind) == 30
            assert infer(c, kind, rows=7) == 30


def test_what_is_told_of_it(tmp_path, kind):
    with serving(pipe(tmp_path)) as url:
        c = client(url, kind)
        infer(c, kind, rows=3)
        if kind is http:
            config, meta = c.get_model_config("pipe"), c.get_model_metadata(
                "pipe")
        else:
            config = c.get_model_config("pipe", as_json=True)["config"]
            meta = c.get_model_metadata("pipe", as_json=True)
        assert meta["platform"] == config["platform"] == "ensemble"
        steps = config["ensemble_scheduling"]["step"]
        assert [s["model_name"] for s in steps] == ["two", "three", "five"]
        assert [int(s["model_version"]) for s in steps] == [-1] * 3
        assert steps[1]["input_map"] == {"x": "a"}
        assert steps[1]["output_map"] == {"y": "b"}
        assert "dynamic_batching" not in config


def test_statistics_of_the_steps(tmp_path, kind):
    """As Triton: each request is one of each model, and one of its own."""
    repo = pipe(tmp_path)
    put(repo / "two/config.pbtxt", "max_batch_size: 8")
    with serving(repo) as url:
        c = client(url, kind)
        for rows in (1, 3, 3):
            infer(c, kind, rows=rows)
        infer(c, kind, name="two", x="x", y="y", rows=2)
        wait(lambda: stats(url, "two")["inference_stats"]["success"]["count"]
             == 4)
        two, five, whole = (stats(url, n) for n in ("two", "five", "pipe"))
        assert two["inference_count"] == 9 and two["execution_count"] == 4
        assert {b["batch_size"]: b["compute_infer"]["count"]
                for b in two["batch_stats"]} == {1: 1, 2: 1, 3: 2}
        assert five["execution_count"] == 3
        for st in (five, whole):
            assert st["inference_stats"]["success"]["count"] == 3
            assert st["inference_stats"]["compute_infer"]["ns"] > 0
        assert two["last_inference"] > 0
        with pytest.raises(ERRORS, match="step 'two': input 'x' of 'two': a "
                           "batch of 9 given, .* at most 8"):
            infer(c, kind, rows=9)
        wait(lambda: stats(url, "two")["inference_stats"]["fail"]["count"])
        assert stats(url, "three")["inference_stats"]["fail"]["count"] == 0


def test_requests_are_run_together(tmp_path, kind):
    repo = pipe(tmp_path)
    for name in ("two", "three", "five"):
        put(repo / name / "config.pbtxt", "max_batch_size: 8 dynamic_batching "
            "{ max_queue_delay_microseconds: 200000 }")
    ensemble(repo / "pipe", step("two", "in", "a"), step("three", "a", "b"),
             step("five", "b", "out"), dims="4", batch=8)
    with serving(repo) as url, concurrent.futures.ThreadPoolExecutor(8) as pool:
        one = lambda rows: infer(client(url, kind), kind, rows=rows)
        assert list(pool.map(one, [1, 2, 1, 3, 1])) == [30] * 5
        wait(lambda: stats(url, "pipe")["inference_stats"]["success"]["count"]
             == 5)
        five = stats(url, "five")
        assert five["inference_count"] == 8
        assert five["execution_count"] < 5
        assert five["inference_stats"]["success"]["count"] == 5
        with pytest.raises(ERRORS, match="batch-size must be <= 8"):
            one(9)


def test_several_tensors_and_ensembles_in_ensembles(tmp_path, kind):
    """out = 6 in + 2 in, by an ensemble that is a step and an Add."""
    repo = pipe(tmp_path)
    ensemble(repo / "six", step("two", "in", "t"), step("three", "t", "out"))
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["c"])], "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 4])
         for n in "ab"],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, ["N", 4])])
    put(repo / "add/1/model.onnx", helper.make_model(
        graph, ir_version=9,
        opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    ensemble(repo / "all", """step [ { model_name: "add"
          input_map [ { key: "a" value: "s" }, { key: "b" value: "d" } ]
          output_map { key: "c" value: "out" } } ]""",
             step("six", "in", "s", own=("in", "out")), step("two", "in", "d"))
    with serving(repo) as url:
        assert infer(client(url, kind), kind, name="all") == 8
        wait(lambda: stats(url, "two")["execution_count"] == 2)
        assert stats(url, "six")["execution_count"] == 1
        assert stats(url, "three")["execution_count"] == 1


BAD = {
    "no step": ("", "has no step"),
    "no model": (step("nope", "in", "out"),
                 "step 'nope': .*no model 'nope'"),
    "no version": (step("two", "in", "out", version=7),
                   "step 'two': .*version 7 is not found"),
    "no input of the model": (step("two", "in", "out", own=("q", "y")),
                              "step 'two': the model has no input 'q'"),
    "no output of the model": (step("two", "in", "out", own=("x", "q")),
                               "step 'two': the model has no output 'q'"),
    "missing tensor": (step("two", "t", "out"),
                       "tensor 't', which 'two' reads, is written by no step"),
    "missing output": (step("two", "in", "t") + step("three", "t", "u"),
                       "tensor 'out', which 'the ensemble's outputs' reads"),
    "unused": (step("two", "in", "out") + step("three", "in", "t"),
               "tensor 't' of 'three' is read by no step"),
    "unused input": (step("two", "out", "t") + step("three", "t", "out"),
                     "tensor 'in' of 'the ensemble's inputs' is read by no"),
    "written twice": (step("two", "in", "out") + step("three", "in", "out"),
                      "'out' is written by 'two' and by 'three'"),
    "writes an input": (step("two", "in", "in"),
                        "'in' is written by 'the ensemble's inputs' and by"),
    "cycle": (step("two", "in", "out") + step("three", "b", "a")
              + step("five", "a", "b"), "'three' waits .* form a cycle"),
    "itself": (step("pipe", "in", "out", own=("in", "out")),
               "step 'pipe': the ensembles form a cycle"),
    "shape": (step("wide", "in", "out"),
              r"tensor 'in' is FP32 \[-?\w+,4\] from .*'wide' takes FP32 "
              r"\[-?\w+,5\]"),
    "type": (step("whole", "in", "out"), "tensor 'in' is FP32 .* takes INT64"),
    "twice in a map": ("""step { model_name: "two"
        input_map [ { key: "x" value: "in" }, { key: "x" value: "in" } ]
        output_map { key: "y" value: "out" } }""", "'x' given twice"),
    "no map": ('step { model_name: "two" input_map { key: "x" value: "in" } }',
               "has no output_map"),
    "no name": ('step { input_map { key: "x" value: "in" } }',
                "has no model_name"),
    "no value": ("""step { model_name: "two" input_map { key: "x" }
        output_map { key: "y" value: "out" } }""", "'x' has no value"),
    "odd map": ('step { model_name: "two" input_map { kye: "x" } }',
                "unknown field 'kye' of a map"),
    "odd field": ('step { model: "two" }', "unknown field 'model'"),
}


@pytest.mark.parametrize("what", BAD)
def test_refusals(tmp_path, what):
    steps, why = BAD[what]
    repo = pipe(tmp_path)
    scale(repo / "wide/1/model.onnx", 1, width=5)
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, ["N", 4])])
    put(repo / "whole/1/model.onnx", helper.make_model(
        graph, ir_version=9,
        opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    ensemble(repo / "pipe", steps)
    with explicit(repo) as url:
        with pytest.raises(ERRORS, match=why):
            client(url, grpc).load_model("pipe")
        state, reason = index(url)["pipe"]
        assert state == "UNAVAILABLE" and reason


@pytest.mark.parametrize("text, why", [
    ('platform: "ensemble"', "no step of ensemble_scheduling"),
    ('platform: "onnxruntime_onnx" ensemble_scheduling { %s }',
     "'ensemble' expected"),
    ("ensemble_scheduling { %s } instance_group { count: 2 }",
     "instance_group is for"),
    ("max_batch_size: 4 ensemble_scheduling { %s } dynamic_batching { }",
     "dynamic_batching is for"),
    ("ensemble_scheduling { %s }", "the ensemble has no input"),
    ('ensemble_scheduling { %s } input { name: "in" dims: 4 }',
     "input 'in' of the ensemble has no data_type"),
])
def test_refusals_of_the_whole(tmp_path, text, why):
    repo = pipe(tmp_path)
    if "%s" in text:
        text %= step("two", "in", "out")
    put(repo / "pipe/config.pbtxt", text)
    with explicit(repo) as url:
        with pytest.raises(ERRORS, match=why):
            client(url).load_model("pipe")


def test_batches_that_a_step_does_not_take(tmp_path):
    repo = pipe(tmp_path)
    put(repo / "two/config.pbtxt", "max_batch_size: 4")
    ensemble(repo / "pipe", step("two", "in", "out"), dims="4", batch=8)
    with explicit(repo) as url:
        with pytest.raises(ERRORS, match="max_batch_size is 8, but step 'two' "
                           "takes batches of at most 4"):
            client(url).load_model("pipe")


def test_cycle_of_ensembles(tmp_path):
    own = ("in", "out")
    for a, b in (("a", "b"), ("b", "a")):
        ensemble(tmp_path / a, step(b, "in", "out", own=own))
    with explicit(tmp_path) as url:
        with pytest.raises(ERRORS, match="the ensembles form a cycle"):
            client(url).load_model("a")
    with server("--models", tmp_path, "--listen", "127.0.0.1:0",
                "--model-control", "poll") as (url, _):
        assert all(s == "UNAVAILABLE" for s, _ in index(url).values())


def test_loading_brings_the_steps_and_unloading_may_take_them(tmp_path, kind):
    with explicit(pipe(tmp_path)) as url:
        c = client(url, kind)
        c.load_model("pipe")
        assert {s for s, _ in index(url).values()} == {"READY"}
        assert infer(c, kind) == 30
        c.unload_model("pipe")
        assert infer(c, kind, name="two", x="x", y="y") == 2
        c.load_model("pipe")
        c.unload_model("pipe", unload_dependents=True)
        wait(lambda: {s for s, _ in index(url).values()} == {"UNAVAILABLE"})
        c.load_model("pipe")
        c.unload_model("three")  # in use: the ensemble goes with it
        with pytest.raises(ERRORS, match="'pipe' has no available versions"):
            infer(c, kind)
        assert infer(c, kind, name="two", x="x", y="y") == 2
        c.load_model("pipe")
        assert infer(c, kind) == 30


def test_versions_of_steps(tmp_path, kind):
    repo = pipe(tmp_path)
    put(repo / "two/config.pbtxt", "version_policy { all { } }")
    put_version(repo / "two", 2, 20)
    ensemble(repo / "first", step("two", "in", "out", version=1))
    ensemble(repo / "last", step("two", "in", "out"))
    with explicit(repo) as url:
        c = client(url, kind)
        c.load_model("first")
        c.load_model("last")
        assert infer(c, kind, name="first") == 2
        assert infer(c, kind, name="last") == 20
        put_version(repo / "two", 3, 200)
        c.load_model("two")
        assert infer(c, kind, name="first") == 2
        assert infer(c, kind, name="last") == 200
        # one whose shape the ensemble does not take: it goes on as it was
        put_version(repo / "two", 4, 7, width=5)
        c.load_model("two")
        assert infer(c, kind, name="last") == 200
        assert "tensor 'in'" in index(url)["last"][1]


def test_a_step_is_swapped_under_load(tmp_path, kind):
    """No request fails, and none sees a mix that never was."""
    repo = pipe(tmp_path)
    with serving(repo, "--model-control", "poll", "--poll-seconds",
                 "1") as url:
        stop = threading.Event()
        seen = []

        def go():
            c = client(url, kind)
            while not stop.is_set():
                seen.append(infer(c, kind))

        threads = [threading.Thread(target=go) for _ in range(3)]
        for t in threads:
            t.start()
        for number, factor in ((2, 4), (3, 8)):
            put_version(repo / "two", number, factor)
            wait(lambda: seen and seen[-1] == 15 * factor)
        stop.set()
        for t in threads:
            t.join()
        assert set(seen) == {30, 60, 120}


def test_polling_sees_steps_come_and_go(tmp_path):
    import shutil
    repo = pipe(tmp_path)
    shutil.move(repo / "three", tmp_path / ".three")
    with serving(repo, "--model-control", "poll", "--poll-seconds",
                 "1") as url:
        assert index(url)["pipe"][0] == "UNAVAILABLE"
        assert "three" in index(url)["pipe"][1]
        shutil.move(tmp_path / ".three", repo / "three")
        wait(lambda: index(url)["pipe"][0] == "READY")
        assert infer(client(url)) == 30
        shutil.move(repo / "three", tmp_path / ".three")
        wait(lambda: index(url)["pipe"][0] == "UNAVAILABLE")
        assert infer(client(url), name="two", x="x", y="y") == 2
