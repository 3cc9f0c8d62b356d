"""A server as a process, for the tests that talk to it."""
import contextlib
import os
import pathlib
import re
import socket
import subprocess

MODELD = os.environ.get("MODELD", "build/modeld")
FASHION = pathlib.Path(__file__).parents[2] / "examples" / "fashion"
KERAS = FASHION / "seed_cnn.keras"
VECTORS = FASHION / "seed_cnn.vectors" / "test_data_set_0"


def is_sanitized():
    """Then its memory is the sanitizer's as well, which keeps what is
    freed."""
    program = pathlib.Path(MODELD).read_bytes()
    return b"__asan_init" in program or b"__tsan_init" in program


def convert(path, labels=FASHION / "labels.txt"):
    """The demo net as ONNX, with labels."""
    subprocess.run([MODELD, "convert", KERAS, "-o", path, "--labels", labels],
                   check=True, capture_output=True)
    return path


@contextlib.contextmanager
def server(*words, **popen):
    """A running server: yields its URL and the process.  It is killed at the
    end, unless it has ended."""
    p = subprocess.Popen([MODELD, "serve", *map(str, words)], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         **popen)
    try:
        line = p.stdout.readline()
        assert re.match("serving on https?://", line), p.stderr.read()
        yield line.split()[-1], p
    finally:
        p.kill()
        p.communicate()


def address(url):
    """(host, port) of a URL."""
    host, port = re.match(r"https?://(.*):(\d+)", url).groups()
    return host, int(port)


def connect(url):
    return socket.create_connection(address(url), timeout=30)


def receive_all(s):
    """What comes until the peer closes."""
    parts = []
    while part := s.recv(65536):
        parts.append(part)
    return b"".join(parts)


def exchange(url, *pieces):
    """Send pieces on a connection, then read until the server closes it."""
    with connect(url) as s:
        for piece in pieces:
            s.sendall(piece)
        s.shutdown(socket.SHUT_WR)
        return receive_all(s)
