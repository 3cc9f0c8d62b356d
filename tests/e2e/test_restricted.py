"""Parts of the interface that only some clients may use, by Triton's clients
as they are."""
import subprocess

import pytest

from repository import scale
from serving import MODELD, server

np = pytest.importorskip("numpy")
http = pytest.importorskip("tritonclient.http")
grpc = pytest.importorskip("tritonclient.grpc")
ERRORS = (http.InferenceServerException,)
RULES = "model-repository,trace:X-Admin=one two;logging,inference:key=b"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    repo = tmp_path_factory.mktemp("models")
    scale(repo / "scale/1/model.onnx", 3)
    with server("--models", repo, "--model-control", "explicit", "--load-model",
                "scale", "--listen", "127.0.0.1:0", "--restricted-api",
                RULES) as (url, _):
        yield url


@pytest.fixture(params=["http", "grpc"])
def side(request, url):
    """(a client, what its fields begin with, its module)"""
    kind = {"http": http, "grpc": grpc}[request.param]
    c = kind.InferenceServerClient(url.removeprefix("http://"))
    yield c, "triton-grpc-protocol-" if kind is grpc else "", kind


def infer(c, kind, headers):
    x = kind.InferInput("x", [1, 4], "FP32")
    x.set_data_from_numpy(np.ones([1, 4], np.float32))
    return c.infer("scale", [x], headers=headers)


CALLS = {
    "load": lambda c, kind, h: c.load_model("scale", headers=h),
    "unload": lambda c, kind, h: c.unload_model("nope2", headers=h),
    "index": lambda c, kind, h: c.get_model_repository_index(headers=h),
    "trace": lambda c, kind, h: c.get_trace_settings(headers=h),
    "trace set": lambda c, kind, h: c.update_trace_settings(
        settings={"trace_rate": "5"}, headers=h),
    "log": lambda c, kind, h: c.get_log_settings(headers=h),
    "log set": lambda c, kind, h: c.update_log_settings(
        {"log_verbose_level": 0}, headers=h),
    "infer": infer,
}


@pytest.mark.parametrize("what", CALLS)
def test_only_with_the_word(side, what):
    c, before, kind = side
    field, value = (("key", "b") if what in ("log", "log set", "infer")
                    else ("x-admin", "one two"))
    for headers in ({}, {before + field: value + "x"},
                    {before + field: value[:-1]}, {"other": value},
                    {before + field: "Z" * len(value)}):
        with pytest.raises(ERRORS) as e:
            CALLS[what](c, kind, headers)
        assert f"is restricted, expecting header '{before}{field}'" in str(
            e.value)
        assert e.value.status() == ("403" if kind is http
                                    else "StatusCode.PERMISSION_DENIED")
    if what == "unload":
        with pytest.raises(ERRORS, match="nope2"):  # it got that far
            CALLS[what](c, kind, {before + field: value})
    else:
        CALLS[what](c, kind, {before + field: value})


def test_the_rest_is_free(side):
    c = side[0]
    assert c.is_server_ready() and c.is_model_ready("scale")
    c.get_model_metadata("scale")
    c.get_model_config("scale")
    c.get_inference_statistics("scale")


def test_streams(url):
    import queue
    got = queue.Queue()
    x = grpc.InferInput("x", [1, 4], "FP32")
    x.set_data_from_numpy(np.ones([1, 4], np.float32))
    for headers, right in ((None, False),
                           ({"triton-grpc-protocol-key": "b"}, True)):
        c = grpc.InferenceServerClient(url.removeprefix("http://"))
        c.start_stream(lambda result, error: got.put((result, error)),
                       headers=headers)
        c.async_stream_infer("scale", [x])
        result, error = got.get(timeout=30)
        c.stop_stream()
        assert (error is None) is right, error
        if not right:
            assert "is restricted" in str(error)


@pytest.mark.parametrize("rules, why", [
    ("repository:k=v", "restricted_api: unknown API 'repository'"),
    ("logging:secret", "restricted_api: API,...:FIELD=VALUE expected"),
])
def test_bad_rules(tmp_path, rules, why):
    scale(tmp_path / "m.onnx", 3)
    p = subprocess.run([MODELD, "serve", tmp_path / "m.onnx",
                        "--restricted-api", rules], text=True,
                       capture_output=True, timeout=60)
    assert p.returncode and why in p.stderr
    assert "secret" not in p.stderr
