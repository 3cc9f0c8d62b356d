"""`modeld serve` as a process: start, answer, stop; what it refuses."""
import json
import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

from serving import FASHION, KERAS, MODELD, address, convert, server


def ask(url, data=None, kind="application/json"):
    request = urllib.request.Request(url, data, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def refused(*words, rc=1):
    p = subprocess.run([MODELD, "serve", *map(str, words)], text=True,
                       capture_output=True, timeout=60)
    assert p.returncode == rc, p.stderr
    assert p.stdout == ""
    return p.stderr


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return convert(tmp_path_factory.mktemp("net") / "net.onnx")


def test_answers_and_ends_cleanly(net):
    with server(f"fashion={net}", "--listen", "127.0.0.1:0") as (url, p):
        by_json = ask(url + "/predict", (FASHION / "boot.json").read_bytes())
        by_png = ask(url + "/predict", (FASHION / "boot.png").read_bytes(),
                     "image/png")
        assert by_json["class"] == by_png["class"] == "Ankle boot"
        assert ask(url + "/v2/models/fashion")["name"] == "fashion"
        p.send_signal(signal.SIGTERM)
        assert p.wait(30) == 0
        log = p.stderr.read()
    assert 'msg="model loaded" model=fashion' in log
    assert "msg=stopped clean=true" in log


def test_several_models_and_their_names(net, tmp_path):
    conf = tmp_path / "modeld.conf"
    conf.write_text(f"listen = 127.0.0.1:0\nmodels = b={KERAS}\n"
                    "log_format = json\n")
    with server(net, "--config", conf, "--width", 2) as (url, p):
        assert ask(url + "/v2/models/net/ready")["ready"] is True
        assert ask(url + "/v2/models/b")["name"] == "b"
        with pytest.raises(urllib.error.HTTPError) as e:
            ask(url + "/v2/models/c")
        assert e.value.code == 404
        p.send_signal(signal.SIGINT)
        assert p.wait(30) == 0
        for line in p.stderr.read().splitlines():
            json.loads(line)


@pytest.mark.parametrize("listen,shown", [
    ("[::1]:0", r"http://\[::1\]:\d+"), ("localhost:0", r"http://.+:\d+"),
    (":0", r"http://0\.0\.0\.0:\d+"),
    ("127.0.0.2:0", r"http://127\.0\.0\.2:\d+")])
def test_listens_where_it_is_told(net, listen, shown):
    if listen.startswith("["):
        with socket.socket(socket.AF_INET6) as s:
            try:
                s.bind(("::1", 0))
            except OSError:
                pytest.skip("this machine has no IPv6")
    with server(net, "--listen", listen) as (url, _):
        assert re.fullmatch(shown, url)
        url = url.replace("0.0.0.0", "127.0.0.1")
        assert ask(url + "/v2/health/live") == {"live": True}


def test_outlives_clients_that_go_away(net):
    with server(net, "--listen", "127.0.0.1:0") as (url, p):
        for body in (b"", b"GET / HT", b"POST /predict HTTP/1.1\r\nHost: x\r\n"
                     b"Content-Length: 1000\r\n\r\n[1,"):
            with socket.create_connection(address(url)) as s:
                s.sendall(body)
        assert ask(url + "/predict", (FASHION / "boot.json").read_bytes())
        assert p.poll() is None


def test_a_log_that_nobody_reads(net):
    read, write = os.pipe()
    os.close(read)
    p = subprocess.Popen([MODELD, "serve", net, "--listen", "127.0.0.1:0"],
                         text=True, stdout=subprocess.PIPE, stderr=write)
    os.close(write)
    url = p.stdout.readline().split()[-1]
    assert ask(url + "/v2/models/net")["name"] == "net"
    p.send_signal(signal.SIGTERM)
    assert p.wait(30) == 0
    p.stdout.close()


def test_a_port_that_is_taken(net):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        err = refused(net, "--listen", f"127.0.0.1:{s.getsockname()[1]}")
    assert err.startswith("modeld serve: ") and err.count("\n") == 1
    assert "the port is taken" in err


def test_what_it_refuses(net, tmp_path):
    assert "no model given" in refused("--listen", "127.0.0.1:0")
    free = ("--listen", "127.0.0.1:0")
    assert "No such file" in refused(tmp_path / "x.onnx", *free)
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"nonsense")
    assert "bad.onnx" in refused(bad, *free)
    assert "'a b'" in refused(f"a b={net}", *free)
    assert "expected 1 to 128" in refused(f"={net}", *free)
    assert "'net'" in refused(net, net, *free)
    assert "nowhere" in refused(net, "--listen", "nowhere.invalid:1")
    assert "did you mean '--listen'?" in refused(net, "--lisen", "x", rc=2)
    assert "expected a size" in refused(net, "--body-max", "1Q", rc=2)
