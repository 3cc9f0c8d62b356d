"""Settings that clients change while the server runs: the log's and those of
traces, by Triton's clients as they are."""
import contextlib
import json
import re
import signal
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

from repository import scale, wait
from serving import MODELD, server

np = pytest.importorskip("numpy")
http = pytest.importorskip("tritonclient.http")
grpc = pytest.importorskip("tritonclient.grpc")
RpcError = pytest.importorskip("grpc").RpcError
ERRORS = (http.InferenceServerException,)


@contextlib.contextmanager
def serving(path, *words):
    """Yields (url, the lines of the log so far)."""
    model = path / "scale.onnx"
    if not model.exists():
        scale(model, 3)
    lines = []
    with server(f"scale={model}", f"other={model}", "--listen", "127.0.0.1:0",
                *words) as (url, p):
        reader = threading.Thread(
            target=lambda: lines.extend(iter(p.stderr.readline, "")))
        reader.start()
        yield url, lines
        assert p.poll() is None
        p.terminate()
        reader.join()


@pytest.fixture(params=["http", "grpc"])
def kind(request):
    return {"http": http, "grpc": grpc}[request.param]


def client(url, kind):
    return kind.InferenceServerClient(url.removeprefix("http://"))


def infer(c, kind, name="scale", **more):
    x = kind.InferInput("x", [1, 4], "FP32")
    x.set_data_from_numpy(np.ones([1, 4], np.float32))
    return c.infer(name, [x], **more)


def log_settings(c, changes=None):
    got = (c.update_log_settings(changes) if changes is not None
           else c.get_log_settings())
    if isinstance(got, dict):
        return got
    return {k: getattr(v, v.WhichOneof("parameter_choice"))
            for k, v in got.settings.items()}


def trace_settings(c, changes=None, model=None):
    got = (c.update_trace_settings(model, changes) if changes is not None
           else c.get_trace_settings(model))
    if isinstance(got, dict):
        return got
    got = {k: list(v.value) for k, v in got.settings.items()}
    return {k: v if k == "trace_level" else v[0] for k, v in got.items()}


# ---- the log ----

DEFAULTS = {"log_file": "", "log_info": True, "log_warning": True,
            "log_error": True, "log_verbose_level": 0,
            "log_format": "default"}


def test_levels_have_effect(tmp_path, kind):
    with serving(tmp_path) as (url, lines):
        c = client(url, kind)
        assert log_settings(c) == DEFAULTS
        infer(c, kind)
        wait(lambda: any("msg=request" in x for x in lines))
        assert log_settings(c, {"log_info": False})["log_info"] is False
        n = len(lines)
        infer(c, kind)
        got = log_settings(c, {"log_info": True, "log_verbose_level": 3})
        assert got["log_info"] is True and got["log_verbose_level"] == 3
        infer(c, kind)
        wait(lambda: len(lines) > n)
        assert log_settings(c, {"log_verbose_level": 0,
                                "log_error": False}) == DEFAULTS | {
                                    "log_error": False}


def test_what_the_option_says_is_told(tmp_path, kind):
    with serving(tmp_path, "--log-level", "error") as (url, lines):
        c = client(url, kind)
        assert log_settings(c) == DEFAULTS | {"log_info": False,
                                              "log_warning": False}
        log_settings(c, {"log_info": True})
        infer(c, kind)
        wait(lambda: any("msg=request" in x for x in lines))
    with serving(tmp_path, "--log-level", "debug") as (url, lines):
        assert log_settings(client(url, kind))["log_verbose_level"] == 1


def test_format_changes_the_lines(tmp_path, kind):
    with serving(tmp_path) as (url, lines):
        c = client(url, kind)
        for form, begin in (("json", '{"time":"'), ("ISO8601", "time=2"),
                            ("json", '{"time":"'), ("default", "time=2")):
            assert log_settings(c, {"log_format": form})["log_format"] == form
            n = len(lines)
            infer(c, kind)
            told = wait(lambda: [x for x in lines[n:]
                                 if re.search("/infer|ModelInfer", x)])
            assert told[-1].startswith(begin)


@pytest.mark.parametrize("changes, why", [
    ({"log_info": 1}, "'log_info': true or false expected"),
    ({"log_verbose_level": True}, "'log_verbose_level': a number from 0"),
    ({"log_format": "xml"}, "'log_format': default, ISO8601 or json"),
    ({"log_file": "/tmp/x"}, "log file location can not be updated"),
    ({"log_warnings": True}, "unknown log setting 'log_warnings'"),
])
def test_bad_log_settings(tmp_path, kind, changes, why):
    with serving(tmp_path) as (url, _):
        c = client(url, kind)
        if kind is grpc:
            # The client would make values right by the names of settings.
            request = grpc.service_pb2.LogSettingsRequest()
            for name, v in ({"log_error": False} | changes).items():
                member = {bool: "bool_param", int: "uint32_param",
                          str: "string_param"}[type(v)]
                setattr(request.settings[name], member, v)
            with pytest.raises(RpcError, match=why):
                c._client_stub.LogSettings(request)
        else:
            with pytest.raises(ERRORS, match=why):
                log_settings(c, {"log_error": False} | changes)
        assert log_settings(c) == DEFAULTS  # all of it, or nothing


def post(url, body):
    try:
        with urllib.request.urlopen(url, body) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


@pytest.mark.parametrize("path", ["/v2/logging", "/v2/trace/setting"])
@pytest.mark.parametrize("body", [
    b"", b"[]", b"{", b'{"log_info"}', b'{"log_info":{}}', b"{} x",
    b'{"log_format":["a","b","c","d","e"]}', b'{"trace_rate":[1]}',
    b'{"trace_rate":1e3}', b'{"trace_rate":99999999999999999999}'])
def test_bad_bodies(tmp_path, path, body):
    with serving(tmp_path) as (url, _):
        status, text = post(url + path, body)
        assert status == 400 and json.loads(text)["error"]
        assert post(url + path, b"{}")[0] == 200


# ---- SIGHUP ----

def test_options_are_read_again(tmp_path):
    """Those that need no restart; the others are named, and what is wrong
    changes nothing."""
    conf = tmp_path / "conf"
    conf.write_text("log_level = warn\n")
    scale(tmp_path / "m.onnx", 3)
    lines = []
    with server(tmp_path / "m.onnx", "--listen", "127.0.0.1:0", "--config",
                conf) as (url, p):
        reader = threading.Thread(
            target=lambda: lines.extend(iter(p.stderr.readline, "")))
        reader.start()

        def reread(text, want):
            n = len(lines)
            conf.write_text(text)
            p.send_signal(signal.SIGHUP)
            wait(lambda: [x for x in lines[n:] if want in x])
            return lines[n:]

        c = client(url, http)
        assert log_settings(c)["log_info"] is False
        got = reread("log_level = info\nlog_format = json\nqueue_max = 7\n",
                     "configuration reloaded")
        assert got[-1].startswith("{")
        assert any('"option":"queue_max"' in x and "restart" in x
                   for x in got)
        assert log_settings(c)["log_info"] is True
        log_settings(c, {"log_info": False})
        reread("log_level = info\n", "configuration reloaded")
        assert log_settings(c) == DEFAULTS
        for bad, why in (("log_level = loud", "'loud' is unknown"),
                         ("log_form = json", "log_form"),
                         ("nonsense", "conf:1")):
            got = reread(bad, "configuration not reloaded")
            assert any(why in x for x in got)
            assert log_settings(c) == DEFAULTS
        conf.unlink()
        n = len(lines)
        p.send_signal(signal.SIGHUP)
        wait(lambda: any("not reloaded" in x for x in lines[n:]))
        assert p.poll() is None
        p.terminate()
        reader.join()


def test_the_command_line_stays_when_the_file_is_read_again(tmp_path):
    conf = tmp_path / "conf"
    conf.write_text("log_level = error\n")
    scale(tmp_path / "m.onnx", 3)
    with server(tmp_path / "m.onnx", "--listen", "127.0.0.1:0", "--log-level",
                "info", "--config", conf) as (url, p):
        p.send_signal(signal.SIGHUP)
        while "configuration reloaded" not in (line := p.stderr.readline()):
            assert line
        assert log_settings(client(url, http)) == DEFAULTS


# ---- traces ----

OFF = {"trace_level": ["OFF"], "trace_rate": "1000", "trace_count": "-1",
       "log_frequency": "0", "trace_mode": "triton"}
NAMES = ["REQUEST_START", "QUEUE_START", "COMPUTE_START", "COMPUTE_INPUT_END",
         "COMPUTE_OUTPUT_START", "COMPUTE_END", "REQUEST_END"]


def traces(path):
    """{id: both objects in one}"""
    got = {}
    for part in json.loads(path.read_text()) if path.exists() else []:
        got.setdefault(part["id"], {}).update(part)
    return got


def test_traces_are_written(tmp_path, kind):
    file = tmp_path / "trace.json"
    with serving(tmp_path, "--trace-file", file) as (url, _):
        c = client(url, kind)
        off = OFF | {"trace_file": str(file)}
        assert trace_settings(c) == off
        infer(c, kind)
        got = trace_settings(c, {"trace_level": ["TIMESTAMPS"],
                                 "trace_rate": "2", "trace_count": "3"})
        assert got == off | {"trace_level": ["TIMESTAMPS"], "trace_rate": "2",
                             "trace_count": "3"}
        for i in range(10):
            infer(c, kind, headers={"x-request-id": f"r{i}"})
        wait(lambda: len(traces(file)) == 3)
        all_of = traces(file)
        assert [t["request_id"] for t in all_of.values()] == ["r1", "r3", "r5"]
        for t in all_of.values():
            assert t["model_name"] == "scale" and t["model_version"] == "1"
            assert [x["name"] for x in t["timestamps"]] == NAMES
            times = [x["ns"] for x in t["timestamps"]]
            assert times == sorted(times) and times[-1] > times[0]
            assert re.fullmatch("[0-9a-f]{32}", t["trace_id"])
        assert trace_settings(c)["trace_count"] == "0"
        # null: as it began
        assert trace_settings(c, {"trace_level": None, "trace_rate": None,
                                  "trace_count": None}) == off


def test_settings_of_a_model(tmp_path, kind):
    file = tmp_path / "trace.json"
    with serving(tmp_path, "--trace-file", file, "--trace-rate",
                 "5") as (url, _):
        c = client(url, kind)
        got = trace_settings(c, {"trace_level": ["TIMESTAMPS"],
                                 "trace_rate": "1"}, "other")
        assert got["trace_level"] == ["TIMESTAMPS"]
        assert got["trace_rate"] == "1"
        assert trace_settings(c, model="scale")["trace_level"] == ["OFF"]
        for name in ("scale", "other", "other"):
            infer(c, kind, name)
        wait(lambda: len(traces(file)) == 2)
        assert {t["model_name"] for t in traces(file).values()} == {"other"}
        assert trace_settings(c, {"trace_rate": None},
                              "other")["trace_rate"] == "5"
        assert trace_settings(c, {"trace_level": None},
                              "other")["trace_level"] == ["OFF"]
        with pytest.raises(ERRORS, match="unknown model: 'nope'"):
            trace_settings(c, {"trace_rate": "1"}, "nope")


def test_files_by_number(tmp_path, kind):
    file = tmp_path / "trace.json"
    with serving(tmp_path, "--trace-file", file, "--trace-level",
                 "timestamps", "--trace-rate", "1") as (url, _):
        c = client(url, kind)
        trace_settings(c, {"log_frequency": "2"})
        for _ in range(5):
            infer(c, kind)
        wait(lambda: [len(traces(tmp_path / f"trace.json.{i}"))
                      for i in range(3)] == [2, 2, 1])


def test_trace_context(tmp_path, kind):
    """Who asks for a trace gets it, in a trace of the caller's."""
    file = tmp_path / "trace.json"
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    ask = lambda c, text: infer(c, kind, headers={"traceparent": text})
    with serving(tmp_path, "--trace-file", file, "--trace-level",
                 "timestamps") as (url, _):
        c = client(url, kind)
        bad = [f"00-{trace}-{span}-00", f"ff-{trace}-{span}-01",
               f"00-{'0' * 32}-{span}-01", f"00-{trace}-{'0' * 16}-01",
               f"00-{trace.upper()}-{span}-01", f"00-{trace}-{span}-01-x",
               f"00-{trace}-{span}", "", "x" * 55, f"00-{trace}-{span}-0g"]
        for text in bad:  # not asked for: the rate decides
            ask(c, text)
        ask(c, f"00-{trace}-{span}-01")
        ask(c, f"cc-{trace}-{span}-03-later")
        wait(lambda: len(traces(file)) == 2)
        for t in traces(file).values():
            assert t["trace_id"] == trace and t["parent_span_id"] == span
            assert re.fullmatch("[0-9a-f]{16}", t["span_id"])
            assert t["span_id"] != span
        body = json.dumps({"inputs": [{"name": "x", "shape": [1, 4],
                                       "datatype": "FP32",
                                       "data": [1, 2, 3, 4]}]}).encode()
        r = urllib.request.Request(
            f"{url}/v2/models/scale/infer", body,
            {"traceparent": f"00-{trace}-{span}-01"})
        with urllib.request.urlopen(r) as answer:
            told = answer.headers["traceparent"]
        wait(lambda: len(traces(file)) == 3)
        assert told == f"00-{trace}-{traces(file)[3]['span_id']}-01"


@pytest.mark.parametrize("changes, why", [
    ({"trace_level": ["LOUD"]}, "'trace_level': a list of OFF or TIMESTAMPS"),
    ({"trace_level": ["TENSORS"]}, "'TENSORS' is not supported"),
    ({"trace_rate": "0"}, "'trace_rate': a number from 1 to"),
    ({"trace_rate": "x"}, "'trace_rate': a number from 1 to"),
    ({"trace_count": "-2"}, "'trace_count': a number from -1 to"),
    ({"log_frequency": "-1"}, "'log_frequency': a number from 0 to"),
    ({"trace_file": "/etc/passwd"}, "trace_file can not be updated"),
    ({"trace_mode": "opentelemetry"}, "trace_mode can not be updated"),
    ({"trace_rates": "1"}, "unknown trace setting 'trace_rates'"),
])
def test_bad_trace_settings(tmp_path, kind, changes, why):
    with serving(tmp_path, "--trace-file", tmp_path / "t") as (url, _):
        c = client(url, kind)
        with pytest.raises(ERRORS, match=why):
            trace_settings(c, {"trace_count": "5"} | changes)
        assert trace_settings(c)["trace_count"] == "-1"


def test_traces_without_a_file(tmp_path, kind):
    with serving(tmp_path) as (url, _):
        c = client(url, kind)
        with pytest.raises(ERRORS, match="trace_file is not set"):
            trace_settings(c, {"trace_level": ["TIMESTAMPS"]})
        infer(c, kind)
    with serving(tmp_path, "--trace-file", tmp_path / "no/where",
                 "--trace-level", "timestamps", "--trace-rate",
                 "1") as (url, lines):
        for _ in range(3):  # answered, and the loss logged once
            infer(client(url, kind), kind)
        wait(lambda: any("traces are lost" in x for x in lines))
    assert sum("traces are lost" in x for x in lines) == 1


def test_level_without_a_file_is_refused_at_the_start(tmp_path):
    scale(tmp_path / "m.onnx", 3)
    p = subprocess.run([MODELD, "serve", tmp_path / "m.onnx",
                        "--trace-level", "timestamps"], text=True,
                       capture_output=True, timeout=60)
    assert p.returncode and "no trace_file" in p.stderr
