"""Clients as they are, and bytes as no client should send them."""
import asyncio
import http.client
import json
import re
import shutil
import socket
import subprocess
import threading

import pytest

from serving import (FASHION, VECTORS, address, connect, convert, exchange,
                     receive_all, server)

np = pytest.importorskip("numpy")
BOOT = (FASHION / "boot.json").read_bytes()
PICTURE = (FASHION / "boot.png").read_bytes()
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: t\r\n"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    net = convert(tmp_path_factory.mktemp("net") / "fashion.onnx")
    with server(net, "--listen", "127.0.0.1:0", "--log-level", "error",
                "--head-timeout", "1s", "--body-timeout", "1s") as (url, p):
        yield url
        assert p.poll() is None


def statuses(reply):
    return [int(s) for s in re.findall(rb"HTTP/1\.1 (\d+) ", reply)]


# ---- curl ----

def curl(*words, data=None):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    p = subprocess.run(["curl", "-sS", "--max-time", "30", *map(str, words)],
                       input=data, capture_output=True, timeout=60)
    assert p.returncode == 0, p.stderr
    return p.stdout


@pytest.mark.parametrize("words", [
    [], ["--http1.0"], ["-H", "Transfer-Encoding: chunked"],
    ["-H", "Expect: 100-continue"], ["--http2"], ["-H", "Connection: close"],
    ["--limit-rate", "40k"], ["-H", "Content-Type: application/json"],
    ["-H", "Content-Type: application/json; charset=utf-8"],
], ids=" ".join)
def test_curl_predicts(url, words):
    text = curl(*words, "--data-binary", "@-", url + "/predict", data=BOOT)
    assert json.loads(text)["class"] == "Ankle boot"


def test_curl_sends_a_picture(url):
    text = curl("--data-binary", f"@{FASHION / 'boot.png'}", "-H",
                "Content-Type: image/png", url + "/predict")
    assert json.loads(text)["class"] == "Ankle boot"


def test_curl_tells_multipart_what_to_do(url):
    text = curl("-F", f"file=@{FASHION / 'boot.png'}", "-w", " %{http_code}",
                url + "/predict")
    assert b"send the picture itself as the body" in text
    assert text.endswith(b" 415")


def test_curl_keeps_the_connection(url):
    text = curl(url + "/v2", url + "/nope", url + "/v2/health/live", "-o",
                "/dev/null", "-o", "/dev/null", "-o", "/dev/null", "-w",
                "%{http_code} %{num_connects}\n")
    assert text.split() == [b"200", b"1", b"404", b"0", b"200", b"0"]


def test_curl_head(url):
    head = curl("-I", url + "/v2").decode().lower()
    body = curl(url + "/v2")
    assert head.startswith("http/1.1 200 ok\r\n")
    assert f"content-length: {len(body)}\r\n" in head


def test_curl_asks_for_compression(url):
    plain = curl(url + "/openapi.json")
    assert curl("--compressed", url + "/openapi.json") == plain


@pytest.mark.parametrize("encoding, code, text", [
    ("gzip", 422, "compressed bytes are malformed"),
    ("zstd", 422, "compressed bytes are malformed"),
    ("deflate", 422, "compressed bytes are malformed"),
    ("br", 415, "content encoding 'br' given, gzip, deflate, zstd or"),
    ("zstd, gzip", 415, "content encoding 'zstd, gzip' given, gzip,")])
def test_curl_sends_compressed(url, encoding, code, text):
    reply = curl("-i", "-H", f"Content-Encoding: {encoding}", "--data-binary",
                 "@-", url + "/predict", data=b"\x1f\x8b").decode()
    assert reply.startswith(f"HTTP/1.1 {code} ")
    told = "\r\nAccept-Encoding: gzip, deflate, zstd\r\n" in reply
    assert told == (code == 415)
    assert text in reply


def test_curl_of_the_whole_server(url):
    text = curl("-i", "-X", "OPTIONS", "--request-target", "*", url)
    assert text.startswith(b"HTTP/1.1 404 ")
    text = curl("-i", "-X", "OPTIONS", url + "/predict")
    assert text.startswith(b"HTTP/1.1 405 ") and b"\r\nAllow: POST\r\n" in text


# ---- Python's own ----

def test_http_client_goes_on_after_errors(url):
    c = http.client.HTTPConnection(*address(url), timeout=30)
    c.connect()
    first = c.sock
    for method, path, body, status in [
            ("POST", "/predict", b"{", 400), ("GET", "/nope", None, 404),
            ("POST", "/predict/nope", BOOT, 404), ("PUT", "/v2", b"x", 405),
            ("POST", "/predict", BOOT, 200), ("HEAD", "/metrics", None, 200)]:
        c.request(method, path, body)
        r = c.getresponse()
        text = r.read()
        assert r.status == status, text
        if status >= 400:
            assert list(json.loads(text)) == ["error"]
        assert c.sock is first and not r.will_close
    c.close()


def test_http_client_sends_chunks(url):
    c = http.client.HTTPConnection(*address(url), timeout=30)
    for step in (1, 7, 1000, 100000):
        pieces = [BOOT[i:i + step] for i in range(0, len(BOOT), step)]
        c.request("POST", "/predict", iter(pieces), encode_chunked=True,
                  headers={"Transfer-Encoding": "chunked"})
        assert json.loads(c.getresponse().read())["class"] == "Ankle boot"
    c.close()


def test_http_client_is_told_of_the_end(url):
    c = http.client.HTTPConnection(*address(url), timeout=30)
    c.request("GET", "/v2", headers={"Connection": "close"})
    r = c.getresponse()
    assert r.will_close and json.loads(r.read())["name"] == "modeld"
    c.close()


def test_requests(url):
    requests = pytest.importorskip("requests")
    data = json.loads(BOOT)
    with requests.Session() as s:
        for _ in range(3):
            r = s.post(url + "/predict", json=data, timeout=30)
            assert r.status_code == 200 and r.json()["class"] == "Ankle boot"
            assert r.headers["Content-Type"] == "application/json"
        stream = (BOOT[i:i + 999] for i in range(0, len(BOOT), 999))
        r = s.post(url + "/predict", data=stream, timeout=30)
        assert r.json()["class_index"] == 9
        r = s.post(url + "/predict", data=PICTURE, timeout=30)
        assert r.json()["class"] == "Ankle boot"
        r = s.post(url + "/predict", json={"input_data": "x"}, timeout=30)
        assert r.status_code == 400 and not r.ok
        assert "expected" in r.json()["error"]
        assert s.get(url + "/v2/models/a%2Fb", timeout=30).status_code == 404


def test_aiohttp_sixty_four_at_once(url):
    aiohttp = pytest.importorskip("aiohttp")

    async def run():
        async with aiohttp.ClientSession() as s:
            async def one():
                async with s.post(url + "/predict", data=BOOT) as r:
                    assert r.status == 200
                    return await r.read()
            return await asyncio.gather(*(one() for _ in range(64)))

    assert len(set(asyncio.run(run()))) == 1


def test_tritonclient_asyncio(url):
    triton = pytest.importorskip("tritonclient.http.aio")
    x = np.load(VECTORS / "input_0.npy")
    want = np.load(VECTORS / "output_0.npy")

    async def run():
        async with triton.InferenceServerClient(url.split("//")[1]) as c:
            meta = await c.get_model_metadata("fashion")

            async def one(i):
                t = triton.InferInput(meta["inputs"][0]["name"],
                                      [1, 32, 32, 3], "FP32")
                t.set_data_from_numpy(x[i:i + 1])
                r = await c.infer("fashion", [t], request_id=str(i))
                assert r.get_response()["id"] == str(i)
                return r.as_numpy(meta["outputs"][0]["name"])
            return await asyncio.gather(*(one(i) for i in range(len(x))))

    assert np.abs(np.concatenate(asyncio.run(run())) - want).max() <= 1e-5


# ---- many at once ----

def test_each_client_gets_its_own_answer(url):
    x = np.load(VECTORS / "input_0.npy")
    bodies = [json.dumps({"input_data": one.tolist()}).encode() for one in x]

    def ask(c, body):
        c.request("POST", "/predict", body)
        return c.getresponse().read()

    c = http.client.HTTPConnection(*address(url), timeout=60)
    alone = [ask(c, body) for body in bodies]
    c.close()
    assert len(set(alone)) == len(alone)
    wrong = []

    def run(k):
        c = http.client.HTTPConnection(*address(url), timeout=60)
        for i in range(2 * len(bodies)):
            j = (k + i) % len(bodies)
            if ask(c, bodies[j]) != alone[j]:
                wrong.append(j)
        c.close()

    threads = [threading.Thread(target=run, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


# ---- bytes ----

def post(body, *fields, version=b"1.1", target=b"/predict"):
    lines = b"".join(f + b"\r\n" for f in fields)
    return (b"POST " + target + b" HTTP/" + version + b"\r\nHost: t\r\n" +
            lines + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def test_pipelined_requests_are_answered_in_order(url):
    paths = [b"/v2", b"/nope", b"/v2/models/fashion", b"/v2/health/live"] * 25
    reply = exchange(url, b"".join(b"GET " + p + b" HTTP/1.1\r\nHost: t\r\n\r\n"
                                   for p in paths))
    assert statuses(reply) == [200, 404, 200, 200] * 25


def test_pipelined_bodies(url):
    bad = b'{"input_data":[1]}'
    reply = exchange(url, (post(BOOT) + post(bad)) * 3)
    assert statuses(reply) == [200, 400] * 3
    assert reply.count(b'"class":"Ankle boot"') == 3


def test_one_byte_at_a_time(url):
    text = post(b'{"input_data":[1]}', b"Connection: close")
    with connect(url) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(text)):
            s.sendall(text[i:i + 1])
        reply = receive_all(s)
    assert statuses(reply) == [400] and b"[1] given" in reply


def test_http10(url):
    reply = exchange(url, b"GET /v2 HTTP/1.0\r\n\r\n" + LIVE + b"\r\n")
    assert statuses(reply) == [200]  # closed behind the first
    assert b"\r\nConnection: close\r\n" in reply
    reply = exchange(url, b"GET /v2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                     b"GET /v2 HTTP/1.0\r\n\r\n")
    assert statuses(reply) == [200, 200]
    assert b"\r\nConnection: keep-alive\r\n" in reply


def test_continue_comes_before_the_body(url):
    head, body = post(BOOT, b"Expect: 100-continue",
                      b"Connection: close").split(b"\r\n\r\n", 1)
    with connect(url) as s:
        s.sendall(head + b"\r\n\r\n")
        assert s.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(body)
        assert statuses(receive_all(s)) == [200]


def test_nothing_is_continued_that_will_be_refused(url):
    with connect(url) as s:
        s.sendall(b"POST /predict HTTP/1.1\r\nHost: t\r\n"
                  b"Expect: 100-continue\r\nContent-Length: 999999999\r\n\r\n")
        assert statuses(receive_all(s)) == [413]


# What two servers might take for two requests is no request for this one: the
# reply is one 4xx or 5xx, and what follows is never answered.
SMUGGLED = {
    "length and chunks": post(b"0\r\n\r\n", b"Transfer-Encoding: chunked"),
    "two lengths": post(b"abcde", b"Content-Length: 0"),
    "list of lengths": LIVE + b"Content-Length: 0, 5\r\n\r\nabcde",
    "signed length": LIVE + b"Content-Length: +5\r\n\r\nabcde",
    "length in hex": LIVE + b"Content-Length: 0x5\r\n\r\nabcde",
    "space before colon": LIVE + b"Content-Length : 5\r\n\r\nabcde",
    "folded length": LIVE + b"Content-Length:\r\n 5\r\n\r\nabcde",
    "folded encoding": LIVE + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "encoding with a tab": LIVE + b"Transfer-Encoding: \x0bchunked\r\n\r\n"
                                  b"0\r\n\r\n",
    "encodings": LIVE + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    "encoding twice": LIVE + b"Transfer-Encoding: chunked\r\n"
                             b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "quoted encoding": LIVE + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "unknown encoding": LIVE + b"Transfer-Encoding: chunke\r\n\r\n0\r\n\r\n",
    "encoding in 1.0": b"POST /predict HTTP/1.0\r\nTransfer-Encoding: chunked"
                       b"\r\n\r\n0\r\n\r\n",
    "bare newlines": b"GET /v2 HTTP/1.1\nHost: t\n\n",
    "bare return in a value": LIVE + b"X: a\rContent-Length: 5\r\n\r\nabcde",
    "zero in a value": LIVE + b"X: a\0b\r\n\r\n",
    "zero in a name": LIVE + b"X\0: b\r\n\r\n",
    "two hosts": LIVE + b"Host: u\r\n\r\n",
    "no host": b"GET /v2 HTTP/1.1\r\n\r\n",
    "host with a path": b"GET /v2 HTTP/1.1\r\nHost: t/x\r\n\r\n",
    "user in the target": b"GET http://u@t/v2 HTTP/1.1\r\nHost: t\r\n\r\n",
    "space in the target": b"GET /v2 /x HTTP/1.1\r\nHost: t\r\n\r\n",
    "chunk size with a plus": LIVE + b"Transfer-Encoding: chunked\r\n\r\n"
                                     b"+1\r\na\r\n0\r\n\r\n",
    "chunk size with 0x": LIVE + b"Transfer-Encoding: chunked\r\n\r\n"
                                 b"0x1\r\na\r\n0\r\n\r\n",
    "chunk size that wraps": LIVE + b"Transfer-Encoding: chunked\r\n\r\n"
                                    b"10000000000000001\r\na\r\n0\r\n\r\n",
    "chunk without its end": LIVE + b"Transfer-Encoding: chunked\r\n\r\n"
                                    b"1\r\nabc\r\n0\r\n\r\n",
    "newline in a chunk size": LIVE + b"Transfer-Encoding: chunked\r\n\r\n"
                                      b"1\na\r\n0\r\n\r\n",
    "return in an extension": LIVE + b"Transfer-Encoding: chunked\r\n\r\n"
                                     b"1;a\rb\r\na\r\n0\r\n\r\n",
    "half of http 2's preface": b"PRI * HTTP/2.0\r\n\r\n",
    "http 2 preface behind a line end": b"\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tls hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_smuggling(url, name):
    reply = exchange(url, SMUGGLED[name] + LIVE + b"X-Request-Id: second\r\n"
                     b"\r\n")
    status = statuses(reply)
    assert len(status) == 1 and 400 <= status[0] <= 505, reply
    assert b"\r\nConnection: close\r\n" in reply and b"second" not in reply
    head, body = reply.split(b"\r\n\r\n")
    assert list(json.loads(body)) == ["error"]


def test_a_name_of_a_header_is_not_case_sensitive(url):
    text = post(BOOT, b"cOnNeCtIoN: ClOsE").replace(b"Content-L", b"cONTENT-l")
    assert statuses(exchange(url, text)) == [200]


def test_limits_of_a_head(url):
    reply = exchange(url, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n")
    assert statuses(reply) == [414]
    reply = exchange(url, LIVE + b"X: " + b"a" * 40000)
    assert statuses(reply) == [431]
    reply = exchange(url, LIVE + b"X: a\r\n" * 200 + b"\r\n")
    assert statuses(reply) == [431]


# ---- slow ones ----

@pytest.mark.parametrize("start", [
    b"G", LIVE, LIVE + b"X: ",
    b"POST /predict HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n123",
    b"POST /predict HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nab"], ids=range(5))
def test_a_request_that_stops_is_given_up(url, start):
    with connect(url) as s:
        s.settimeout(10)
        s.sendall(start)
        assert statuses(receive_all(s)) == [408]


def test_dripping_does_not_prolong_it(url):
    with connect(url) as s:
        s.settimeout(0.2)
        s.sendall(LIVE)
        got = b""
        for _ in range(40):
            try:
                s.sendall(b"X: a\r\n")
                if part := s.recv(1000):
                    got += part
                    break
            except (TimeoutError, ConnectionError):
                pass
        assert statuses(got) == [408]


def test_a_client_that_closes_its_half_is_answered(url):
    assert statuses(exchange(url, post(BOOT))) == [200]


def test_clients_that_go_away_harm_nobody(url):
    for size in range(0, len(BOOT), 2999):
        with connect(url) as s:
            s.sendall(post(BOOT)[:size + 50])
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                         b"\1\0\0\0\0\0\0\0")  # a reset
    assert statuses(exchange(url, post(BOOT))) == [200]
