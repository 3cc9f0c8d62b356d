"""TLS with the clients that people have: curl, Python, Triton's, openssl."""
import concurrent.futures
import contextlib
import http.client
import json
import signal
import socket
import ssl
import subprocess
import threading
import time

import gevent.ssl
import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from onnx import helper

import certs
import serving

BIG = 3 << 20  # floats; more than socket buffers and many records


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def ca(folder):
    return certs.Authority(folder)


@pytest.fixture(scope="module")
def pair(ca):
    return ca.sign("server")


@pytest.fixture(scope="module")
def model(folder):
    """y = -x, of any length."""
    path = folder / "neg.onnx"
    f32 = onnx.TensorProto.FLOAT
    onnx.save(helper.make_model(
        helper.make_graph(
            [helper.make_node("Neg", ["x"], ["y"])], "neg",
            [helper.make_tensor_value_info("x", f32, ["n"])],
            [helper.make_tensor_value_info("y", f32, ["n"])]),
        opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


@contextlib.contextmanager
def server(model, pair, *words):
    with serving.server(model, "--listen", "127.0.0.1:0", "--tls-cert",
                        pair[0], "--tls-key", pair[1], *words) as (url, p):
        assert url.startswith("https://")
        yield url, p


@pytest.fixture(scope="module")
def url(model, pair):
    with server(model, pair) as (url, _):
        yield url


def curl(*words):
    return subprocess.run(["curl", "-s", "-S", "--max-time", "20", *words],
                          capture_output=True)


def trust(ca, **more):
    context = ssl.create_default_context(cafile=ca.cert)
    if "cert" in more:
        context.load_cert_chain(*more["cert"])
    if "alpn" in more:
        context.set_alpn_protocols(more["alpn"])
    return context


def connect(url, context):
    raw = socket.create_connection(serving.address(url), timeout=20)
    return context.wrap_socket(raw, server_hostname="127.0.0.1",
                               suppress_ragged_eofs=False)


def get(url, context, path="/v2/health/ready"):
    c = http.client.HTTPSConnection(*serving.address(url), context=context,
                                    timeout=20)
    with contextlib.closing(c):
        c.request("GET", path)
        return c.getresponse().status


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_curl(url, ca, version):
    r = curl(f"--http{version}", "--cacert", ca.cert, "-w",
             " %{http_code} %{http_version} %{ssl_verify_result}",
             f"{url}/v2/models/neg/infer", "-d",
             '{"inputs":[{"name":"x","datatype":"FP32","shape":[2],'
             '"data":[1,2]}]}')
    assert r.stdout.endswith(f" 200 {version} 0".encode()), r
    assert b"[-1,-2]" in r.stdout.replace(b".0", b"")


def test_who_does_not_trust_the_authority_stays_away(url):
    assert curl(f"{url}/v2").returncode == 60


@pytest.mark.parametrize("alpn, version", [
    (["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"),
    (["http/1.1", "h2"], "h2")])
def test_the_protocol_is_agreed_on(url, ca, alpn, version):
    with connect(url, trust(ca, alpn=alpn)) as s:
        assert s.selected_alpn_protocol() == version


def test_without_a_common_protocol_there_is_no_connection(url, ca):
    with pytest.raises(ssl.SSLError, match="no application protocol"):
        connect(url, trust(ca, alpn=["spdy/3"]))


@pytest.mark.parametrize("size", [1, 16384, 16385, BIG])
def test_triton_http(url, ca, size):
    x = np.random.default_rng(1).random(size, np.float32)
    i = triton_http.InferInput("x", x.shape, "FP32")
    i.set_data_from_numpy(x)
    with contextlib.closing(triton_http.InferenceServerClient(
            url.removeprefix("https://"), ssl=True, network_timeout=60,
            ssl_options={"ca_certs": str(ca.cert)},
            ssl_context_factory=gevent.ssl.create_default_context)) as c:
        for _ in range(3):
            y = c.infer("neg", [i]).as_numpy("y")
            assert np.array_equal(y, -x)


@pytest.mark.parametrize("size", [1, 16384, 16385, BIG])
def test_triton_grpc(url, ca, size):
    x = np.random.default_rng(1).random(size, np.float32)
    i = triton_grpc.InferInput("x", x.shape, "FP32")
    i.set_data_from_numpy(x)
    with contextlib.closing(triton_grpc.InferenceServerClient(
            url.removeprefix("https://"), ssl=True,
            root_certificates=str(ca.cert))) as c:
        for _ in range(3):
            y = c.infer("neg", [i]).as_numpy("y")
            assert np.array_equal(y, -x)


@pytest.mark.parametrize("option, protocol", [
    ("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2"), ("-tls1_1", None),
    ("-tls1", None)])
def test_versions(url, ca, option, protocol):
    r = subprocess.run(
        ["openssl", "s_client", "-connect", url.removeprefix("https://"),
         option, "-CAfile", ca.cert, "-cipher", "ALL:@SECLEVEL=0"],
        input=b"", capture_output=True, timeout=20)
    if protocol:
        assert f"New, {protocol}, Cipher is" in r.stdout.decode()
        assert "Verify return code: 0 (ok)" in r.stdout.decode()
    else:
        assert r.returncode == 1
        assert "protocol version" in r.stderr.decode()


@pytest.mark.parametrize("cipher", [
    "AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA",
    "DHE-RSA-AES128-GCM-SHA256"])
def test_weak_ciphers_of_tls_1_2_are_refused(url, cipher):
    r = subprocess.run(
        ["openssl", "s_client", "-connect", url.removeprefix("https://"),
         "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0"], input=b"",
        capture_output=True, timeout=20)
    assert r.returncode == 1 and "handshake failure" in r.stderr.decode()


def test_renegotiation_is_refused(url):
    p = subprocess.run(
        ["openssl", "s_client", "-connect", url.removeprefix("https://"),
         "-tls1_2"], input=b"R\n", capture_output=True, timeout=20)
    assert "no renegotiation" in p.stderr.decode()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2,
                                     ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_by_tickets(url, ca, version):
    context = trust(ca)
    context.minimum_version = context.maximum_version = version
    session = None
    for again in (False, True):
        raw = socket.create_connection(serving.address(url), timeout=20)
        with context.wrap_socket(raw, server_hostname="127.0.0.1",
                                 session=session) as s:
            s.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.recv(100).startswith(b"HTTP/1.1 200")
            assert s.session_reused == again
            session = s.session


def test_the_end_is_told(url, ca):
    """By close_notify: a cut connection would raise here."""
    with connect(url, trust(ca)) as s:
        s.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert serving.receive_all(s).startswith(b"HTTP/1.1 200")


def test_a_client_that_says_goodbye_is_let_go(url, ca):
    with connect(url, trust(ca)) as s:
        s.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(1000).startswith(b"HTTP/1.1 200")
        s.unwrap().close()  # waits for the server's close_notify


def test_requests_in_pieces_of_any_size(url, ca):
    """Several records for a head, and several requests in one record."""
    request = b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(url, trust(ca)) as s:
        for byte in request:
            s.sendall(bytes([byte]))
        s.sendall(request * 300)
        got = b""
        while got.count(b"HTTP/1.1 200 OK") < 301:
            part = s.recv(65536)
            assert part
            got += part


# ---- clients' certificates ----

@pytest.fixture(scope="module")
def mutual(model, pair, ca):
    with server(model, pair, "--tls-client-ca", ca.cert) as (url, p):
        yield url, p


def test_a_client_of_the_authority_is_let_in(mutual, ca):
    client = ca.sign("client")
    assert get(mutual[0], trust(ca, cert=client)) == 200
    r = curl("--cacert", ca.cert, "--cert", client[0], "--key", client[1],
             f"{mutual[0]}/v2")
    assert b"modeld" in r.stdout, r
    with contextlib.closing(triton_grpc.InferenceServerClient(
            mutual[0].removeprefix("https://"), ssl=True,
            root_certificates=str(ca.cert), private_key=str(client[1]),
            certificate_chain=str(client[0]))) as c:
        assert c.is_server_ready()


@pytest.mark.parametrize("kind", ["none", "other", "expired"])
def test_other_clients_are_not(mutual, ca, tmp_path, kind):
    if kind == "none":
        context = trust(ca)
    elif kind == "other":
        other = certs.Authority(tmp_path).sign("client")
        context = trust(ca, cert=other)
    else:
        context = trust(ca, cert=ca.sign("old", days=-1))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        get(mutual[0], context)
    assert get(mutual[0], trust(ca, cert=ca.sign("client"))) == 200


# ---- reload ----

def served(url):
    return ssl.get_server_certificate(serving.address(url))


def test_reload_under_load_drops_nothing(model, ca, tmp_path):
    pairs = [ca.sign("first"), ca.sign("second", "rsa:2048")]
    live = tmp_path / "cert.pem", tmp_path / "key.pem"

    def install(pair):
        for to, what in zip(live, pair):
            new = to.with_suffix(".new")
            new.write_bytes(what.read_bytes())
            new.rename(to)

    install(pairs[0])
    with server(model, live) as (url, p):
        ends = threading.Event()
        counts = [0, 0]
        body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32",
                                       "shape": [4000],
                                       "data": [0.5] * 4000}]})

        def keeps(context):
            c = http.client.HTTPSConnection(*serving.address(url),
                                            context=context, timeout=20)
            c.connect()
            own = c.sock
            while not ends.is_set():
                c.request("POST", "/v2/models/neg/infer", body)
                r = c.getresponse()
                assert r.status == 200 and b"-0.5" in r.read()
                assert c.sock is own
                counts[0] += 1

        def comes_and_goes(context):
            while not ends.is_set():
                assert get(url, context) == 200
                counts[1] += 1

        with concurrent.futures.ThreadPoolExecutor() as pool:
            jobs = [pool.submit(f, trust(ca))
                    for f in (keeps, keeps, comes_and_goes, comes_and_goes)]
            try:
                for i in range(1, 20):
                    install(pairs[i % 2])
                    p.send_signal(signal.SIGHUP)
                    want = ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(
                        pairs[i % 2][0].read_text()))
                    until = time.monotonic() + 10
                    while served(url) != want:
                        assert time.monotonic() < until
            finally:
                ends.set()
            for job in jobs:
                job.result()
        assert min(counts) > 20


def test_a_reload_that_fails_changes_nothing(model, ca, tmp_path):
    cert, key = ca.sign("kept")
    with server(model, (cert, key)) as (url, p):
        was = served(url)
        cert.write_text("nonsense")
        p.send_signal(signal.SIGHUP)
        while "certificate not reloaded" not in (line := p.stderr.readline()):
            assert line
        assert f"tls_cert '{cert}'" in line
        assert served(url) == was


# ---- what is no TLS, or does not go on ----

def test_plain_http_is_told_so(url, ca):
    r = curl("-w", " %{http_code}", url.replace("https:", "http:"))
    assert r.stdout == (b'{"error":"plain HTTP was sent to a port of HTTPS: '
                        b'use https://"} 400')
    r = curl("--http2-prior-knowledge", url.replace("https:", "http:"))
    assert r.returncode != 0
    assert get(url, trust(ca)) == 200


@pytest.mark.parametrize("junk", [
    b"\x16\x03\x01\xff\xff", b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\x03",
    b"\0" * 100, bytes(range(256)) * 100, b"\x80\x2e\x01\x00\x02",
    b"\x15\x03\x01\x00\x02\x02\x28"])
def test_garbage_ends_the_connection(url, ca, junk):
    with serving.connect(url) as s:
        s.sendall(junk)
        s.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            serving.receive_all(s)
    assert get(url, trust(ca)) == 200


def test_slow_handshakes_are_cut(model, pair, ca):
    with server(model, pair, "--handshake-timeout", "300ms") as (url, _):
        for start in (b"", b"\x16\x03\x01\x02\x00\x01"):
            with serving.connect(url) as s:
                s.sendall(start)
                began = time.monotonic()
                assert serving.receive_all(s) == b""
                assert time.monotonic() - began < 5
        assert get(url, trust(ca)) == 200
        metrics = curl("--cacert", ca.cert, f"{url}/metrics").stdout.decode()
        assert "modeld_net_timeouts_total 2\n" in metrics


def test_drain_tells_the_end(model, pair, ca):
    with server(model, pair) as (url, p), connect(url, trust(ca)) as s:
        s.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(1000)
        p.terminate()
        assert serving.receive_all(s) == b""
        assert p.wait(10) == 0


def test_memory_of_idle_connections_is_bounded(model, pair, ca):
    if serving.is_sanitized():
        pytest.skip("its memory is the sanitizer's")
    with server(model, pair) as (url, p), contextlib.ExitStack() as stack:
        def resident():
            with open(f"/proc/{p.pid}/status") as f:
                return next(int(line.split()[1]) * 1024 for line in f
                            if line.startswith("VmRSS"))

        def open_some(n):
            for _ in range(n):
                s = stack.enter_context(connect(url, context))
                s.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n")
                assert s.recv(1000)

        context = trust(ca)
        open_some(50)
        before = resident()
        open_some(200)
        assert (resident() - before) / 200 < 64 * 1024


# ---- files ----

def fails(model, *words):
    r = subprocess.run([serving.MODELD, "serve", model, "--listen",
                        "127.0.0.1:0", *map(str, words)], text=True,
                       capture_output=True, timeout=30)
    assert r.returncode == 1
    return r.stderr


def test_wrong_files_are_named_with_the_reason(model, ca, pair, tmp_path):
    cert, key = pair
    rsa = ca.sign("rsa", "rsa:2048")
    other = ca.sign("another")
    old = ca.sign("expired", days=-1)
    locked = tmp_path / "locked.key"
    certs.openssl("ec", "-in", key, "-aes128", "-passout", "pass:x", "-out",
                  locked)
    cut = tmp_path / "cut.pem"
    cut.write_bytes(cert.read_bytes()[:200])
    cases = [
        ((cert, tmp_path / "none"),
         f"tls_key: cannot open '{tmp_path}/none': No such"),
        ((tmp_path / "none", key),
         f"tls_cert: cannot open '{tmp_path}/none': No such"),
        ((key, key), f"tls_cert '{key}': no start line, certificates in PEM "
                     "expected"),
        ((cut, key), f"tls_cert '{cut}': "),
        ((cert, cert), f"tls_key '{cert}': "),
        ((cert, other[1]), f"tls_key '{other[1]}': key of another certificate "
                           f"given, that of '{cert}' expected"),
        ((cert, rsa[1]), f"tls_key '{rsa[1]}': key of another certificate"),
        ((cert, locked), f"tls_key '{locked}': key is encrypted"),
        (old, f"tls_cert '{old[0]}': certificate expired on 20"),
        ((tmp_path, key), f"tls_cert: cannot read '{tmp_path}'"),
    ]
    for (c, k), text in cases:
        said = fails(model, "--tls-cert", c, "--tls-key", k)
        assert text in said, said
    for ca_file in (key, tmp_path / "none"):
        said = fails(model, "--tls-cert", cert, "--tls-key", key,
                     "--tls-client-ca", ca_file)
        assert f"tls_client_ca" in said and f"'{ca_file}'" in said


def test_half_of_the_options_is_refused(model, pair):
    assert "both tls_cert and tls_key expected" in fails(
        model, "--tls-cert", pair[0])
    assert "both tls_cert and tls_key expected" in fails(
        model, "--tls-key", pair[1])
