"""Many connections, few descriptors, sudden ends; the counters of all that."""
import collections
import concurrent.futures
import contextlib
import http.client
import json
import os
import re
import resource
import signal
import socket
import struct
import time

import pytest

from serving import (FASHION, address, connect, convert, exchange,
                     is_sanitized, receive_all, server)

BOOT = (FASHION / "boot.json").read_bytes()
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: t\r\n\r\n"
QUIET = ("--listen", "127.0.0.1:0", "--log-level", "error")


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return convert(tmp_path_factory.mktemp("net") / "fashion.onnx")


@pytest.fixture(autouse=True)
def descriptors():
    """Room for the clients' side of a thousand connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 3000:
        pytest.skip(f"at most {hard} open files, 3000 expected")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def call(c, method, path, body=None, headers={}):
    c.request(method, path, body, headers)
    r = c.getresponse()
    return r.status, r.read()


def metrics(url):
    """Every sample: {'name{labels}': value}; the scrape's own connection is
    closed behind it."""
    reply = exchange(url, b"GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n")
    text = reply.split(b"\r\n\r\n", 1)[1].decode()
    lines = (line.rsplit(" ", 1) for line in text.splitlines()
             if not line.startswith("#"))
    return collections.Counter({k: float(v) for k, v in lines})


def await_metric(url, name, want):
    for _ in range(200):
        if (got := metrics(url)[name]) == want:
            return
        time.sleep(0.02)
    assert got == want, name


def rss_kb(p):
    status = open(f"/proc/{p.pid}/status", encoding="ascii").read()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])


def cpu_s(p):
    fields = open(f"/proc/{p.pid}/stat", encoding="ascii").read().split()
    return sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")


# ---- counters ----

REQUESTS = 'modeld_serve_requests_total{route="%s",code="%d"}'


def test_counters_count(net):
    """A known sequence on one connection, and what each counter says."""
    sequence = [
        ("GET", "/v2", None, 200, "v2_server"),
        ("HEAD", "/v2", None, 200, "v2_server"),
        ("GET", "/v2/health/live", None, 200, "v2_live"),
        ("GET", "/v2/health/ready", None, 200, "v2_ready"),
        ("GET", "/v2/models", None, 200, "v2_models"),
        ("GET", "/v2/models/fashion", None, 200, "v2_model"),
        ("GET", "/v2/models/nope", None, 404, "v2_model"),
        ("GET", "/v2/models/fashion/ready", None, 200, "v2_model_ready"),
        ("GET", "/", None, 200, "console"),
        ("GET", "/openapi.json", None, 200, "openapi"),
        ("GET", "/nope", None, 404, "none"),
        ("DELETE", "/v2", None, 405, "none"),
        ("POST", "/predict", BOOT, 200, "predict"),
        ("POST", "/predict", b"{", 400, "predict"),
        ("POST", "/predict/nope", BOOT, 404, "predict"),
        ("POST", "/v2/models/fashion/infer", b"{}", 400, "v2_infer"),
        ("POST", "/v2/models/nope/infer", b"{}", 404, "v2_infer"),
    ] * 3
    want = collections.Counter(REQUESTS % (route, status)
                               for *_, status, route in sequence)
    computed = [s for s in sequence if s[4] in ("predict", "v2_infer")]
    with server(net, *QUIET) as (url, _):
        before = metrics(url)
        c = http.client.HTTPConnection(*address(url), timeout=30)
        for method, path, body, status, _ in sequence:
            assert call(c, method, path, body)[0] == status
        c.close()
        # a worker puts its pen down a moment after the answer
        await_metric(url, "modeld_serve_workers_busy", 0)
        after = metrics(url)
    assert not [k for k in before if before[k] > after[k] and "_total" in k]
    seen = {k: after[k] - before[k] for k in after}
    for name, n in want.items():
        assert seen.pop(name) == n, name
    scrapes = seen.pop(REQUESTS % ("metrics", 200))
    assert not [k for k, n in seen.items()
                if k.startswith("modeld_serve_requests_total") and n]
    assert seen["modeld_net_requests_total"] == len(sequence) + scrapes
    assert seen["modeld_net_accepted_total"] == 1 + scrapes
    assert seen["modeld_net_rejected_total"] == 0
    assert seen["modeld_net_timeouts_total"] == 0
    assert seen["modeld_net_abandoned_total"] == 0
    assert seen["modeld_serve_queue_duration_seconds_count"] == len(computed)
    duration = "modeld_serve_request_duration_seconds_count"
    for route in ("predict", "v2_infer"):
        # a request for an unknown model belongs to none
        n = sum(s[4] == route and s[3] != 404 for s in computed)
        assert seen[duration + f'{{model="fashion",route="{route}"}}'] == n
    assert after["modeld_serve_models"] == 1
    assert after["modeld_serve_workers_busy"] == 0
    assert after["modeld_serve_queue_depth"] == 0


def test_bytes_are_counted_exactly(net):
    with server(net, *QUIET) as (url, _):
        before = metrics(url)
        sent = 5 * LIVE + b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"
        got = exchange(url, sent)
        after = metrics(url)
        scrape = len(b"GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n")
        seen = {k: after[k] - before[k] for k in after}
        assert seen["modeld_net_received_bytes_total"] == len(sent) + scrape
        # the first scrape's own reply was not yet sent when it was made
        first = seen["modeld_net_sent_bytes_total"] - len(got)
        assert 1000 < first < 100000
        assert seen["modeld_net_requests_total"] == 7


def test_histograms_add_up(net):
    with server(net, *QUIET) as (url, _):
        c = http.client.HTTPConnection(*address(url), timeout=30)
        for _ in range(20):
            assert call(c, "POST", "/predict", BOOT)[0] == 200
        m = metrics(url)
    name = "modeld_serve_request_duration_seconds"
    labels = 'model="fashion",route="predict"'
    buckets = [m[k] for k in m if k.startswith(f"{name}_bucket{{{labels},le=")]
    assert len(buckets) == 16 and buckets == sorted(buckets)
    assert m[f'{name}_bucket{{{labels},le="+Inf"}}'] == 20
    assert m[f"{name}_count{{{labels}}}"] == 20
    assert 0 < m[f"{name}_sum{{{labels}}}"] < 20


def test_refusals_are_counted(net):
    with server(net, *QUIET, "--head-timeout", "200ms") as (url, _):
        for bad in (b"x\r\n", b"GET / HTTP/3.0\r\n", b"GET / HTTP/1.1\r\n\r\n"):
            exchange(url, bad)
        with connect(url) as s:
            s.sendall(b"GET /")
            assert receive_all(s).startswith(b"HTTP/1.1 408 ")
        m = metrics(url)
        assert m["modeld_net_rejected_total"] == 3
        assert m["modeld_net_timeouts_total"] == 1


# ---- connections ----

def test_a_thousand_idle_connections(net):
    with server(net, *QUIET) as (url, p), contextlib.ExitStack() as stack:
        c = http.client.HTTPConnection(*address(url), timeout=30)
        assert call(c, "POST", "/predict", BOOT)[0] == 200
        before = rss_kb(p)
        idle = [stack.enter_context(connect(url)) for _ in range(1000)]
        for s in idle:
            s.sendall(LIVE)
        for s in idle:
            assert s.recv(1000).startswith(b"HTTP/1.1 200 ")
        # Connection, 100 fields, one read's worth of input: 16 KiB are plenty.
        assert is_sanitized() or rss_kb(p) - before < 1000 * 16
        used = cpu_s(p)
        time.sleep(0.5)
        assert cpu_s(p) - used <= 0.05  # idle means idle
        assert call(c, "POST", "/predict", BOOT)[0] == 200
        m = metrics(url)
        assert m["modeld_net_connections"] == 1002
        for s in idle[::2]:  # half of them go on
            s.sendall(LIVE)
            assert s.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_the_longest_idle_makes_room(net):
    with server(net, *QUIET, "--connections-max", "10") as (url, _):
        with contextlib.ExitStack() as stack:
            conns = [stack.enter_context(connect(url)) for _ in range(30)]
            for s in conns:
                s.sendall(LIVE)
                assert s.recv(1000).startswith(b"HTTP/1.1 200 ")
            closed = [s for s in conns[:20] if s.recv(10) == b""]
            assert len(closed) == 20
            conns[-1].sendall(LIVE)
            assert conns[-1].recv(1000).startswith(b"HTTP/1.1 200 ")
        await_metric(url, "modeld_net_connections", 1)
        assert metrics(url)["modeld_net_evicted_total"] == 20


def open_files(soft, hard):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_takes_the_descriptors_it_may_have(net):
    """A shell's usual soft limit does not keep connections out."""
    with server(net, "--listen", "127.0.0.1:0", "--log-level", "warn",
                "--connections-max", "400",
                preexec_fn=open_files(64, 1000)) as (url, p):
        with contextlib.ExitStack() as stack:
            conns = [stack.enter_context(connect(url)) for _ in range(300)]
            for s in conns:
                s.sendall(LIVE)
                assert s.recv(1000).startswith(b"HTTP/1.1 200 ")
            m = metrics(url)
            assert m["modeld_net_connections"] == 301
            assert m["modeld_net_accept_failures_total"] == 0
        p.send_signal(signal.SIGTERM)
        assert p.wait(30) == 0
        assert p.stderr.read() == ""
    with server(net, "--listen", "127.0.0.1:0", "--log-level", "warn",
                preexec_fn=open_files(40, 40)) as (url, p):
        p.send_signal(signal.SIGTERM)
        assert p.wait(30) == 0
        assert re.search(r'level=warn .* open_files=40 connections_max=1024\n$',
                         p.stderr.read())


def test_out_of_descriptors(net):
    """Neither dead nor spinning, and back when there are some again."""
    with server(net, *QUIET, preexec_fn=open_files(40, 40)) as (url, p):
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(connect(url))
            conns = [stack.enter_context(connect(url)) for _ in range(100)]
            for s in conns:
                s.sendall(b"GET /v2 HT")  # busy: must not be closed for others
            time.sleep(0.3)
            used = cpu_s(p)
            time.sleep(0.5)
            assert cpu_s(p) - used <= 0.1
            first.sendall(LIVE)
            assert first.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert exchange(url, LIVE).startswith(b"HTTP/1.1 200 ")
        assert metrics(url)["modeld_net_accept_failures_total"] > 0
        assert p.poll() is None


def test_a_full_queue_answers_at_once(net):
    """Far more calls than may wait: each is answered, by 200 or 503."""
    with server(net, *QUIET, "--queue-max", "1", "--threads", "1") as (url, _):
        def run(_):
            c = http.client.HTTPConnection(*address(url), timeout=60)
            got = [call(c, "POST", "/predict", BOOT) for _ in range(20)]
            c.close()
            return got

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            replies = [r for rs in pool.map(run, range(16)) for r in rs]
        codes = collections.Counter(status for status, _ in replies)
        assert set(codes) <= {200, 503} and codes[200] > 0
        assert len({body for status, body in replies if status == 200}) == 1
        m = metrics(url)
        assert m[REQUESTS % ("predict", 200)] == codes[200]
        assert m[REQUESTS % ("predict", 503)] == codes[503]
        rejects = m['modeld_serve_rejects_total{reason="queue_full"}']
        assert rejects == codes[503]


def test_large_bodies_share_a_limit(net):
    """Uploads beyond --buffers-max are refused while others are held, and
    memory comes back."""
    head = (b"POST /predict HTTP/1.1\r\nHost: t\r\n"
            b"Content-Length: %d\r\n\r\n" % (8 << 20))
    with server(net, *QUIET, "--buffers-max", "16M") as (url, p):
        before = rss_kb(p)
        with contextlib.ExitStack() as stack:
            refused = 0
            for _ in range(10):
                s = stack.enter_context(connect(url))
                s.sendall(head)
                with contextlib.suppress(ConnectionError):
                    s.sendall(b" " * (7 << 20))
                    s.setblocking(False)
                    time.sleep(0.05)
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    refused += s.recv(1000).startswith(b"HTTP/1.1 503 ")
            assert refused >= 6
            assert is_sanitized() or rss_kb(p) - before < 40 << 10
            assert metrics(url)["modeld_net_buffered_bytes"] <= 40 << 20
        await_metric(url, "modeld_net_connections", 1)
        assert exchange(url, b"POST /predict HTTP/1.1\r\nHost: t\r\n"
                        b"Content-Length: %d\r\n\r\n" % len(BOOT) + BOOT
                        ).startswith(b"HTTP/1.1 200 ")


# ---- ends ----

def test_killed_and_started_again(net):
    """The port is free at once, also with connections open."""
    with server(net, *QUIET) as (url, p), connect(url) as s:
        host, port = address(url)
        s.sendall(LIVE)
        assert s.recv(1000).startswith(b"HTTP/1.1 200 ")
        s.sendall(b"POST /predict HTTP/1.1\r\nHost: t\r\nContent-Le")
        p.send_signal(signal.SIGKILL)
        assert p.wait(30) == -signal.SIGKILL
        with contextlib.suppress(ConnectionResetError):
            assert s.recv(1000) == b""
        with server(net, "--listen", f"{host}:{port}") as (again, _):
            assert again == url
            assert exchange(url, LIVE).startswith(b"HTTP/1.1 200 ")


def test_ends_when_the_last_request_is_answered(net):
    with server(net, *QUIET) as (url, p), connect(url) as s, \
            connect(url) as idle:
        idle.sendall(LIVE)
        assert idle.recv(1000).startswith(b"HTTP/1.1 200 ")
        s.sendall(b"POST /predict HTTP/1.1\r\nHost: t\r\nContent-Length: %d"
                  b"\r\n\r\n" % len(BOOT) + BOOT[:100])
        time.sleep(0.1)
        p.send_signal(signal.SIGTERM)
        assert idle.recv(10) == b""  # closed at once
        for _ in range(100):  # no new ones
            try:
                connect(url).close()
            except ConnectionRefusedError:
                break
            time.sleep(0.02)
        else:
            pytest.fail("still listening")
        assert p.poll() is None
        s.sendall(BOOT[100:])
        reply = receive_all(s)
        assert reply.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nConnection: close\r\n" in reply
        assert json.loads(reply.split(b"\r\n\r\n")[1])["class"] == "Ankle boot"
        assert p.wait(30) == 0


def test_a_drain_has_an_end(net):
    with server(net, *QUIET, "--drain-timeout", "300ms") as (url, p), \
            connect(url) as s:
        s.sendall(LIVE + b"GET / HT")
        assert s.recv(1000).startswith(b"HTTP/1.1 200 ")
        start = time.monotonic()
        p.send_signal(signal.SIGTERM)
        assert p.wait(30) == 0
        assert 0.2 < time.monotonic() - start < 10


def test_a_second_signal_does_not_wait(net):
    with server(net, *QUIET, "--drain-timeout", "1h") as (url, p), \
            connect(url) as s:
        s.sendall(LIVE + b"GET / HT")
        assert s.recv(1000).startswith(b"HTTP/1.1 200 ")
        p.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        assert p.poll() is None
        p.send_signal(signal.SIGTERM)
        assert p.wait(30) == 0


def test_resets_in_every_state(net):
    """Connections reset before, within and behind a request."""
    post = (b"POST /predict HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n"
            % len(BOOT) + BOOT)
    reset = struct.pack("ii", 1, 0)
    with server(net, *QUIET) as (url, p):
        for i in range(200):
            with connect(url) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                s.sendall(post * (i % 3) + post[:i * 37 % len(post)])
        await_metric(url, "modeld_net_connections", 1)
        # A worker is idle for a moment between two calls.
        await_metric(url, "modeld_serve_queue_depth", 0)
        await_metric(url, "modeld_serve_workers_busy", 0)
        assert exchange(url, LIVE).startswith(b"HTTP/1.1 200 ")
        assert p.poll() is None
