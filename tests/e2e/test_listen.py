"""Where a server listens, and what may come before HTTP."""
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import stat
import struct
import subprocess
import time

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc

import certs
import serving

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
READY = b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return serving.convert(tmp_path_factory.mktemp("net") / "net.onnx")


@contextlib.contextmanager
def server(model, *words, n=1, **popen):
    """A server that tells n addresses: yields what it told, and the
    process."""
    p = subprocess.Popen([serving.MODELD, "serve", model, *map(str, words)],
                         text=True, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, **popen)
    try:
        lines = [p.stdout.readline().rstrip("\n") for _ in range(n)]
        assert all(line.startswith("serving ") for line in lines), \
            p.stderr.read()
        yield lines, p
    finally:
        p.kill()
        p.communicate()


def curl(*words):
    return subprocess.run(["curl", "-s", "-S", "--max-time", "20",
                           *map(str, words)], capture_output=True)


def ask(address, before=b"", pieces=1, context=None):
    """The reply to a GET behind the bytes `before`."""
    host, port = address.rsplit("/", 1)[-1].rsplit(":", 1)
    s = socket.create_connection((host, int(port)), timeout=20)
    with contextlib.closing(s):
        step = -(-len(before) // pieces) or 1
        for i in range(0, len(before), step):
            s.sendall(before[i:i + step])
            if pieces > 1:
                time.sleep(0.01)
        if context:
            s = context.wrap_socket(s, server_hostname="127.0.0.1")
        with contextlib.suppress(ConnectionError), contextlib.closing(s):
            s.sendall(READY)
            return serving.receive_all(s)
    return b""


def last_peer(p, text='msg=request '):
    while text not in (line := p.stderr.readline()):
        assert line
    return re.search(r"peer=(\S+)", line)[1]


# ---- Unix sockets, several addresses ----

def test_a_unix_socket(model, tmp_path):
    path = tmp_path / "s"
    with server(model, "--listen", f"unix:{path}") as (lines, p):
        assert lines == [f"serving on unix:{path}"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        for version in ("--http1.1", "--http2-prior-knowledge"):
            r = curl(version, "--unix-socket", path, "http://x/v2")
            assert json.loads(r.stdout)["name"] == "modeld"
            assert last_peer(p) == "unix:"
        with contextlib.closing(triton_grpc.InferenceServerClient(
                f"unix:{path}")) as c:
            assert c.is_server_ready()
        p.terminate()
        assert p.wait(10) == 0
        assert not path.exists()


@pytest.mark.parametrize("mode", ["600", "660", "666"])
def test_permissions_of_a_unix_socket(model, tmp_path, mode):
    path = tmp_path / "s"
    with server(model, "--listen", f"unix:{path}", "--socket-mode", mode):
        assert stat.S_IMODE(path.stat().st_mode) == int(mode, 8)


def test_what_a_killed_server_left_is_replaced(model, tmp_path):
    path = tmp_path / "s"
    with server(model, "--listen", f"unix:{path}") as (_, p):
        p.kill()
        p.wait()
    assert path.exists()
    with server(model, "--listen", f"unix:{path}") as (_, p):
        assert curl("--unix-socket", path, "http://x/v2").returncode == 0
        r = subprocess.run([serving.MODELD, "serve", model, "--listen",
                            f"unix:{path}"], capture_output=True, text=True)
        assert r.returncode == 1 and "it is taken" in r.stderr
        assert curl("--unix-socket", path, "http://x/v2").returncode == 0


def test_a_file_is_not_replaced(model, tmp_path):
    path = tmp_path / "s"
    path.write_text("mine")
    r = subprocess.run([serving.MODELD, "serve", model, "--listen",
                        f"unix:{path}"], capture_output=True, text=True)
    assert r.returncode == 1 and str(path) in r.stderr
    assert path.read_text() == "mine"


def test_several_addresses(model, tmp_path):
    listen = f"127.0.0.1:0, 127.0.0.1:0,unix:{tmp_path}/s"
    with server(model, "--listen", listen, n=3) as (lines, _):
        first, second, _ = lines
        assert first != second
        for line in (first, second):
            assert b"200 OK" in ask(line)
        assert curl("--unix-socket", tmp_path / "s",
                    "http://x/v2").returncode == 0


def test_tls_is_not_for_unix_sockets(model, tmp_path):
    cert, key = certs.Authority(tmp_path).sign("server")
    with server(model, "--listen", f"127.0.0.1:0,unix:{tmp_path}/s",
                "--tls-cert", cert, "--tls-key", key, n=2) as (lines, _):
        assert lines[0].startswith("serving on https://")
        r = curl("--unix-socket", tmp_path / "s", "http://x/v2")
        assert r.stdout.startswith(b'{"name"')


@pytest.mark.parametrize("listen, text", [
    ("", "listen address"), ("nonsense", "HOST:PORT or [IPV6]:PORT"),
    ("127.0.0.1:0,", "listen address"), ("unix:", "path of 0 bytes"),
    ("unix:" + "a" * 108, "path of 108 bytes given, 1 to 107"),
    ("a" * 300 + ":1", "300"), (",".join(["127.0.0.1:0"] * 33), "more than 32"),
])
def test_addresses_that_are_refused(model, listen, text):
    r = subprocess.run([serving.MODELD, "serve", model, "--listen", listen],
                       capture_output=True, text=True)
    assert r.returncode == 1 and text in r.stderr or text == "300"


# ---- a port for gRPC alone ----

def test_a_port_for_grpc_alone(model):
    with server(model, "--listen", "127.0.0.1:0", "--grpc-listen",
                "127.0.0.1:0", n=2) as (lines, _):
        http, grpc = (line.split("/")[-1] for line in lines)
        assert lines[1] == f"serving gRPC on http://{grpc}"
        for address in (http, grpc):
            with contextlib.closing(
                    triton_grpc.InferenceServerClient(address)) as c:
                assert c.is_server_ready()
                x = triton_grpc.InferInput("input_1", [1, 1], "FP32")
                x.set_data_from_numpy(np.zeros((1, 1), np.float32))
                with pytest.raises(Exception, match="input"):
                    c.infer("net", [x])
        for version in ("--http1.1", "--http2-prior-knowledge"):
            for more in ([], ["-d", "{}"], ["-d", "{}", "-H", "Expect: 100-"
                                            "continue"]):
                r = curl(version, "-w", " %{http_code}", *more,
                         f"http://{grpc}/v2")
                assert r.stdout == (b'{"error":"this port takes gRPC alone"}'
                                    b" 415")
                r = curl(version, "-w", " %{http_code}", f"http://{http}/v2")
                assert r.stdout.endswith(b" 200")


# ---- PROXY ----

def header(source=("10.1.2.3", 12345), command=0x21):
    return (SIGNATURE + bytes([command, 0x11]) + struct.pack(">H", 12) +
            socket.inet_aton(source[0]) + socket.inet_aton("10.0.0.1") +
            struct.pack(">HH", source[1], 80))


V6 = (SIGNATURE + b"\x21\x21\0\x24" + socket.inet_pton(socket.AF_INET6,
      "2001:db8::7") + bytes(16) + struct.pack(">HH", 443, 80))


@pytest.fixture(scope="module")
def proxied(model):
    with server(model, "--listen", "127.0.0.1:0", "--proxy-from",
                "10.0.0.0/8,127.0.0.1/32", "--handshake-timeout",
                "500ms") as (lines, p):
        yield lines[0], p


@pytest.mark.parametrize("pieces", [1, 2, 28])
@pytest.mark.parametrize("before, peer", [
    (header(), "10.1.2.3:12345"), (V6, "[2001:db8::7]:443"),
    (header(command=0x20), None), (SIGNATURE + b"\x21\0\0\0", None)])
def test_the_client_is_the_one_the_proxy_tells(proxied, before, peer, pieces):
    assert b"200 OK" in ask(proxied[0], before, pieces)
    seen = last_peer(proxied[1])
    assert seen == peer if peer else seen.startswith("127.0.0.1:")


@pytest.mark.parametrize("before", [
    b"", b"PROXY TCP4 10.1.2.3 10.0.0.1 1 2\r\n", header()[:-1] + b"\0\0",
    SIGNATURE + b"\x21\x11\xff\xff", SIGNATURE[:-1], b"\x16\x03\x01\0\x05" * 9],
    ids=range(6))
def test_a_proxy_that_tells_nothing_sound_is_cut(proxied, before):
    assert b"200 OK" not in ask(proxied[0], before)
    assert b"200 OK" in ask(proxied[0], header())


def test_a_proxy_that_is_slow_is_cut(proxied):
    host, port = proxied[0].split("/")[-1].split(":")
    with socket.create_connection((host, int(port)), timeout=20) as s:
        s.sendall(header()[:13])
        assert serving.receive_all(s) == b""


def test_who_is_not_trusted_tells_nothing(model):
    with server(model, "--listen", "127.0.0.1:0", "--proxy-from",
                "127.0.0.2") as (lines, _):
        assert b" 400 " in ask(lines[0], header())
        assert b" 200 " in ask(lines[0])


def test_tls_behind_a_proxy(model, tmp_path):
    ca = certs.Authority(tmp_path)
    cert, key = ca.sign("server")
    context = ssl.create_default_context(cafile=ca.cert)
    with server(model, "--listen", "127.0.0.1:0", "--proxy-from", "127.0.0.1",
                "--tls-cert", cert, "--tls-key", key) as (lines, p):
        assert b"200 OK" in ask(lines[0], header(), context=context)
        assert last_peer(p) == "10.1.2.3:12345"
        r = curl("--haproxy-protocol", "--cacert", cert, lines[0].split()[-1])
        assert r.returncode != 0  # curl has version 1


def test_a_wrong_list_of_proxies_is_refused(model):
    r = subprocess.run([serving.MODELD, "serve", model, "--proxy-from",
                        "10.0.0.0/99"], capture_output=True, text=True)
    assert r.returncode == 1
    assert "proxy_from: trusted address '10.0.0.0/99'" in r.stderr


# ---- the service manager ----

def activated(model, sockets, names, *words, **popen):
    """A server started with sockets in its place from 3 on."""
    def place():
        for i, s in enumerate(sockets):
            os.dup2(s.fileno(), 3 + i)

    for i, s in enumerate(sockets):
        # Out of the way of the numbers that they get.
        assert s.fileno() > 3 + len(sockets)
    return subprocess.Popen(
        ["sh", "-c", 'export LISTEN_PID=$$; exec "$@"', "sh", serving.MODELD,
         "serve", str(model), *words], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, preexec_fn=place, close_fds=False,
        env=dict(os.environ, LISTEN_FDS=str(len(sockets)),
                 LISTEN_FDNAMES=names), **popen)


def test_sockets_of_the_service_manager(model, tmp_path):
    spare = [open(os.devnull) for _ in range(8)]
    with contextlib.ExitStack() as stack:
        for f in spare:
            stack.enter_context(f)
        tcp, grpc = (stack.enter_context(socket.create_server(
            ("127.0.0.1", 0))) for _ in range(2))
        local = stack.enter_context(socket.socket(socket.AF_UNIX))
        local.bind(str(tmp_path / "s"))
        local.listen()
        p = activated(model, [tcp, grpc, local], "web:grpc:x")
        try:
            lines = [p.stdout.readline().strip() for _ in range(3)]
            assert lines == [
                f"serving on http://127.0.0.1:{tcp.getsockname()[1]}",
                f"serving gRPC on http://127.0.0.1:{grpc.getsockname()[1]}",
                f"serving on unix:{tmp_path}/s"], p.stderr.read()
            assert b"200 OK" in ask(lines[0])
            assert b" 415 " in ask(lines[1])
            assert curl("--unix-socket", tmp_path / "s",
                        "http://x/v2").returncode == 0
            p.terminate()
            assert p.wait(10) == 0
            # The manager's sockets stay the manager's.
            assert (tmp_path / "s").exists()
        finally:
            p.kill()
            p.communicate()


def test_sockets_that_are_none_are_refused(model):
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(open(os.devnull))
        pipe = stack.enter_context(socket.socket(socket.AF_INET,
                                                 socket.SOCK_DGRAM))
        p = activated(model, [pipe], "x")
        _, said = p.communicate(timeout=30)
        assert p.returncode == 1
        assert "descriptor 3 is no listening stream socket" in said


def test_the_service_manager_is_told(model, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        env = dict(os.environ, NOTIFY_SOCKET=str(tmp_path / "notify"))
        with server(model, "--listen", "127.0.0.1:0", env=env) as (lines, p):
            assert manager.recv(100) == b"READY=1"
            assert b"200 OK" in ask(lines[0])
            p.send_signal(signal.SIGTERM)
            assert manager.recv(100) == b"STOPPING=1"
            assert p.wait(10) == 0
