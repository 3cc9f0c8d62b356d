"""HTTP/2 by prior knowledge: curl's own, and frames as no client sends them."""
import json
import os
import signal
import socket
import struct
import subprocess
import time

import pytest

from serving import (FASHION, connect, convert, is_sanitized, receive_all,
                     server)

BOOT = FASHION / "boot.json"
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
DATA, HEADERS, PRIORITY, RST, SETTINGS, _, PING, GOAWAY, WINDOW, MORE = range(10)


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return convert(tmp_path_factory.mktemp("net") / "fashion.onnx")


@pytest.fixture(scope="module")
def url(net):
    with server(net, "--listen", "127.0.0.1:0", "--log-level", "error",
                "--head-timeout", "1s", "--body-timeout", "1s",
                "--write-timeout", "1s", "--log-level",
                "error", "--connections-max",
                "64") as (url, p):
        yield url
        assert p.poll() is None


def curl(*words, data=None, timeout=60):
    p = subprocess.run(["curl", "-sS", "--http2-prior-knowledge",
                        *map(str, words)], input=data, capture_output=True,
                       timeout=timeout)
    assert p.returncode == 0, p.stderr
    return p.stdout


# ---- curl ----

PATHS = ["/v2", "/v2/health/live", "/v2/health/ready", "/v2/models",
         "/v2/models/fashion", "/v2/models/fashion/ready", "/openapi.json",
         "/", "/nope", "/v2/models/nope"]


@pytest.mark.parametrize("path", PATHS)
def test_curl_gets_what_http1_gets(url, path):
    form = "\n%{http_code} %{content_type} %{size_download}"
    plain = subprocess.run(["curl", "-sS", "-w", form, url + path],
                           capture_output=True, check=True).stdout
    assert curl("-w", form, url + path) == plain
    head = curl("-I", url + path).decode()
    assert head.startswith("HTTP/2 ")
    assert "\ncontent-length: " + plain.split()[-1].decode() in head


@pytest.mark.parametrize("words", [
    [], ["-H", "Expect: 100-continue"], ["--limit-rate", "40k"],
    ["-H", "Content-Type: application/json"]], ids=" ".join)
def test_curl_predicts(url, words):
    text = curl(*words, "--data-binary", f"@{BOOT}", url + "/predict")
    assert json.loads(text)["class"] == "Ankle boot"


def test_curl_sends_a_picture(url):
    text = curl("--data-binary", f"@{FASHION / 'boot.png'}", "-H",
                "Content-Type: image/png", url + "/predict")
    assert json.loads(text)["class"] == "Ankle boot"


def test_curl_sends_too_much(url):
    text = curl("-w", " %{http_code}", "--data-binary", "@-", "-H",
                "Content-Type: application/json", "-H", "Expect:",
                url + "/predict", data=bytes(70 << 20))
    assert b"request body is larger than the limit" in text
    assert text.endswith(b" 413")


def test_curl_sends_and_gets_much(url):
    flat = json.loads(BOOT.read_bytes())["input_data"]
    rows = [flat[i:i + 3] for i in range(0, len(flat), 3)]
    one = [rows[i:i + 32] for i in range(0, len(rows), 32)]
    body = json.dumps({"input_data": [one] * 400}).encode()
    assert len(body) > 1 << 20
    text = curl("--data-binary", "@-", url + "/predict", data=body)
    plain = subprocess.run(["curl", "-sS", "--data-binary", "@-",
                            url + "/predict"], input=body, check=True,
                           capture_output=True).stdout
    assert text == plain and len(json.loads(text)["output"]) == 400


def test_many_streams_at_once(url):
    p = subprocess.run(["h2load", "-n", "2000", "-c", "4", "-m", "50", "-d",
                        BOOT, url + "/predict"], capture_output=True,
                       text=True, timeout=120)
    assert "2000 succeeded, 0 failed" in p.stdout, p.stdout
    assert "status codes: 2000 2xx" in p.stdout


# ---- frames ----

def frame(kind, flags, stream, payload=b""):
    return (struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) +
            struct.pack(">I", stream) + payload)


def field(name, value):
    return (b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value)


def head(stream, method=b"POST", path=b"/predict", flags=4, extra=b""):
    return frame(HEADERS, flags, stream,
                 field(b":method", method) + field(b":path", path) +
                 field(b":scheme", b"http") + field(b":authority", b"t") +
                 extra)


def frames(data):
    while data:
        size = int.from_bytes(data[:3], "big")
        yield (data[3], data[4], int.from_bytes(data[5:9], "big"),
               data[9:9 + size])
        data = data[9 + size:]


def goaway_of(data):
    return [int.from_bytes(p[4:8], "big") for kind, _, _, p in frames(data)
            if kind == GOAWAY]


def metric(url, name):
    text = subprocess.run(["curl", "-sS", url + "/metrics"], check=True,
                          capture_output=True, text=True).stdout
    return float(text.split(f"\n{name} ")[1].split()[0])


def is_well(url):
    return json.loads(curl(url + "/v2/health/live"))["live"]


def test_preface_in_single_bytes(url):
    with connect(url) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in HELLO + head(1, b"GET", b"/v2", flags=5):
            s.sendall(bytes([byte]))
        got = b""
        while b"modeld" not in got:
            got += s.recv(1000)


@pytest.mark.parametrize("start", [
    HELLO[:1], HELLO[:20], HELLO[:30], HELLO + head(1)[:20],
    HELLO + frame(HEADERS, 0, 1, field(b":method", b"GET"))],
    ids=range(5))
def test_what_stops_is_given_up(url, start):
    with connect(url) as s:
        s.settimeout(10)
        s.sendall(start)
        began = time.monotonic()
        receive_all(s)
        assert time.monotonic() - began < 5


def test_a_body_that_stops_is_given_up(url):
    with connect(url) as s:
        s.settimeout(10)
        s.sendall(HELLO + head(1) + frame(DATA, 0, 1, b"x") +
                  head(3, b"GET", b"/v2", flags=5))
        got = b""
        while b"request did not come in time" not in got:
            part = s.recv(10000)
            assert part
            got += part
        # Only that stream: the connection goes on.
        s.sendall(head(5, b"GET", b"/v2/health/live", flags=5))
        while b'"live":true' not in got:
            part = s.recv(10000)
            assert part
            got += part


def test_a_window_that_never_opens_is_given_up(url):
    before = metric(url, "modeld_net_timeouts_total")
    with connect(url) as s:
        s.settimeout(10)
        s.sendall(HELLO[:24] + frame(SETTINGS, 0, 0, b"\0\4\0\0\0\1") +
                  head(1, b"GET", b"/v2", flags=5))
        got = b""
        while not [f for f in frames(got) if f[0] == RST]:
            part = s.recv(10000)
            assert part
            got += part
    assert metric(url, "modeld_net_timeouts_total") > before


def test_who_does_not_read_is_given_up(url):
    with connect(url) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(20)
        s.sendall(HELLO + frame(WINDOW, 0, 0, struct.pack(">I", 1 << 30)))
        try:
            for i in range(1, 40001, 2):
                s.sendall(head(i, b"GET", b"/openapi.json", flags=5))
                time.sleep(0 if i < 1000 else 0.01)
        except OSError:
            pass
        else:
            pytest.fail("still sending")
    assert is_well(url)


FLOODS = {
    "ping": lambda i: frame(PING, 0, 0, bytes(8)),
    "settings": lambda i: frame(SETTINGS, 0, 0),
    "window": lambda i: frame(WINDOW, 0, 0, b"\0\0\0\1"),
    "priority": lambda i: frame(PRIORITY, 0, 2 * i + 1, b"\0\0\0\0\1"),
    "rapid reset": lambda i: (head(2 * i + 1) +
                              frame(RST, 0, 2 * i + 1, b"\0\0\0\x08")),
    "reset of calls": lambda i: (
        head(2 * i + 1) + frame(DATA, 1, 2 * i + 1, BOOT.read_bytes()[:99]) +
        frame(RST, 0, 2 * i + 1, b"\0\0\0\x08")),
    "provoked reset": lambda i: (head(2 * i + 1, b"GET", flags=5) +
                                 frame(WINDOW, 0, 2 * i + 1, bytes(4))),
    "continuation": lambda i: (head(1, flags=0) if i == 0 else
                               frame(MORE, 0, 1)),
    "empty data": lambda i: (head(1) if i == 0 else frame(DATA, 0, 1)),
}


@pytest.mark.parametrize("name", FLOODS)
def test_flood(url, name):
    before = metric(url, "modeld_net_floods_total")
    resident = metric(url, "modeld_memory_bytes{part=\"net\"}")
    began = time.monotonic()
    got = b""
    with connect(url) as s:
        s.settimeout(20)
        s.sendall(HELLO)
        try:
            for i in range(0, 20000, 100):
                s.sendall(b"".join(FLOODS[name](k)
                                   for k in range(i, i + 100)))
            while part := s.recv(65536):
                got += part
            assert goaway_of(got) == [1 if name == "provoked reset" else 11]
        except ConnectionError:
            pass
    assert time.monotonic() - began < 10
    assert is_well(url)
    assert (metric(url, "modeld_net_floods_total") ==
            before + (name != "provoked reset"))
    assert (metric(url, "modeld_memory_bytes{part=\"net\"}") <
            resident + (4 << 20))


def test_connections_make_room(url):
    """Idle ones are closed, with a word, when there are too many."""
    sockets = []
    for _ in range(100):
        s = connect(url)
        s.sendall(HELLO + head(1, b"GET", b"/v2", flags=5))
        got = b""
        while b"modeld" not in got:
            got += s.recv(10000)
        sockets.append(s)
    assert goaway_of(receive_all(sockets[0])) == [0]
    for s in sockets:
        s.close()


# ---- ends ----

def test_drain(net):
    with server(net, "--listen", "127.0.0.1:0", "--log-level",
                "error") as (url, p):
        with connect(url) as idle, connect(url) as busy:
            for s in (idle, busy):
                s.settimeout(10)
                s.sendall(HELLO + head(1, b"GET", b"/v2", flags=5))
                got = b""
                while b"modeld" not in got:
                    got += s.recv(10000)
            body = BOOT.read_bytes()
            busy.sendall(head(3) + frame(DATA, 0, 3, body[:9000]))
            time.sleep(0.2)
            os.kill(p.pid, signal.SIGTERM)
            assert goaway_of(receive_all(idle)) == [0]
            busy.sendall(b"".join(frame(DATA, 0, 3, body[i:i + 16384])
                                  for i in range(9000, len(body), 16384)))
            busy.sendall(frame(DATA, 1, 3))
            got = receive_all(busy)
        assert b'"class":"Ankle boot"' in got
        assert goaway_of(got) == [0, 0]
        assert p.wait(timeout=10) == 0


def test_idle_connections_are_small(net):
    if is_sanitized():
        pytest.skip("a sanitizer's memory is not ours")
    with server(net, "--listen", "127.0.0.1:0", "--log-level",
                "error", "--connections-max",
                "1000") as (url, p):
        before = metric(url, "modeld_memory_bytes{part=\"net\"}")
        sockets = [connect(url) for _ in range(500)]
        for s in sockets:
            s.sendall(HELLO + head(1, b"GET", b"/v2", flags=5))
        for s in sockets:
            got = b""
            while b"modeld" not in got:
                got += s.recv(10000)
        used = metric(url, "modeld_memory_bytes{part=\"net\"}") - before
        for s in sockets:
            s.close()
        assert used / 500 < 64 * 1024
