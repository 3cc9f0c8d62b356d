"""Pictures as bodies: of every kind, damaged, and far too large."""
import json
import random
import re
import struct
import subprocess
import time
import urllib.error
import urllib.request
import zlib

import pytest

from serving import FASHION, MODELD, convert, is_sanitized, server

BOOT = (FASHION / "boot.png").read_bytes()
MAGIC = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    net = convert(tmp_path_factory.mktemp("net") / "fashion.onnx")
    with server(net, "--listen", "127.0.0.1:0", "--log-level", "error") as (
            url, p):
        yield url, p, net
        assert p.poll() is None


def predict(url, body, kind="image/png"):
    r = urllib.request.Request(url + "/predict", body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(r, timeout=60) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as e:
        with e:
            return e.code, json.load(e)


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(
        ">I", zlib.crc32(body))


def png(width, height, depth, color, rows, extra=b"", interlace=0):
    """A PNG of raw rows, each with its filter byte."""
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    return (MAGIC + chunk(b"IHDR", head) + extra +
            chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def plain(width, height, depth, color, value=0, extra=b""):
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    size = (width * channels * depth + 7) // 8
    return png(width, height, depth, color,
               (b"\0" + bytes([value]) * size) * height, extra)


PALETTE = chunk(b"PLTE", bytes([0, 0, 0, 255, 255, 255]))
KINDS = [(depth, 0, b"") for depth in (1, 2, 4, 8, 16)]
KINDS += [(depth, 2, b"") for depth in (8, 16)]
KINDS += [(depth, 3, PALETTE) for depth in (1, 2, 4, 8)]
KINDS += [(depth, color, b"") for depth in (8, 16) for color in (4, 6)]


@pytest.mark.parametrize("depth,color,extra", KINDS)
def test_kinds_of_png(running, depth, color, extra):
    """Black is black in every depth: one answer for all of them."""
    url, _, _ = running
    _, want = predict(url, plain(32, 32, 8, 2))
    assert predict(url, plain(32, 32, depth, color, 0, extra)) == (200, want)


def other_kinds(pixels, width, height):
    """The same RGB rows as PPM and, from the bottom up in BGR, as BMP."""
    rows = [pixels[i:i + 3 * width] for i in range(0, len(pixels), 3 * width)]
    body = b"".join(bytes(r[i + c] for i in range(0, len(r), 3)
                          for c in (2, 1, 0)) for r in reversed(rows))
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(body),
                       2835, 2835, 0, 0)
    return {".ppm": b"P6\n%d %d\n255\n" % (width, height) + pixels,
            ".bmp": b"BM" + struct.pack("<IHHI", 54 + len(body), 0, 0, 54) +
                    head + body}


def test_other_kinds_hold_the_same_picture(running, tmp_path):
    pixels = random.Random(5).randbytes(32 * 32 * 3)
    want = predict(running[0], png(32, 32, 8, 2, b"".join(
        b"\0" + pixels[i:i + 96] for i in range(0, len(pixels), 96))))
    assert want[0] == 200
    for suffix, body in other_kinds(pixels, 32, 32).items():
        assert predict(running[0], body, "image/x") == want, suffix
        (tmp_path / ("picture" + suffix)).write_bytes(body)
        out = subprocess.run(
            [MODELD, "predict", running[2], "--input",
             tmp_path / ("picture" + suffix)], capture_output=True, text=True)
        assert want[1]["class"] in out.stdout, (suffix, out.stderr)


@pytest.mark.parametrize("size", [(1, 1), (1, 1000), (1000, 1), (31, 33),
                                  (4096, 4096)])
def test_sizes_are_fitted(running, size):
    url, _, _ = running
    _, want = predict(url, plain(32, 32, 8, 0))
    assert predict(url, plain(*size, 8, 0)) == (200, want)


@pytest.mark.parametrize("body", [
    plain(5000, 5000, 8, 0), plain(40000, 500, 8, 2),
    # a header's word alone
    png(30000, 30000, 8, 2, b"\0" * 100),
    png(2**31 - 1, 2**31 - 1, 16, 6, b"\0"),
    png(65500, 65500, 8, 0, b"\0" * 1000000),
], ids=range(5))
def test_bombs_cost_nothing(running, body):
    url, p, _ = running

    def peak_kb():
        status = open(f"/proc/{p.pid}/status", encoding="ascii").read()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])

    predict(url, plain(4096, 4096, 8, 2))  # the largest that is taken
    before, start = peak_kb(), time.monotonic()
    status, reply = predict(url, body)
    assert 400 <= status < 500
    assert re.search(r"pixels|larger|limit|picture", reply["error"]), reply
    assert time.monotonic() - start < 5
    assert is_sanitized() or peak_kb() - before < 4 << 10


NO_PICTURES = {
    "gif": b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\4\1\0\0\0\0,\0\0\0\0"
           b"\1\0\1\0\0\2\2D\1\0;",
    "tiff": b"II*\0\x08\0\0\0" + b"\0" * 20,
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "pdf": b"%PDF-1.4\n",
    "empty": b"",
    "json": b'{"input_data":[1]}',
    "half a magic": MAGIC[:4],
}


@pytest.mark.parametrize("name", NO_PICTURES)
def test_other_kinds_are_refused(running, name):
    status, reply = predict(running[0], NO_PICTURES[name])
    assert status == 415 and "PNG" in reply["error"]


@pytest.mark.parametrize("body", [
    b"BM" + b"\0" * 60, b"RIFF\x24\0\0\0WEBPVP8 " + b"\0" * 30,
    b"P6\n32 32\n255\n" + b"\0" * 30,
], ids=["bmp", "webp", "pnm"])
def test_heads_without_pictures_are_refused(running, body):
    status, reply = predict(running[0], body)
    assert status in (400, 415) and "picture" in reply["error"], reply


@pytest.mark.parametrize("body", [
    MAGIC, BOOT[:-30], BOOT[:len(BOOT) // 2], MAGIC + BOOT[20:],
    png(0, 32, 8, 0, b""), png(32, 0, 8, 0, b""),
    png(32, 32, 3, 0, b"\0" * 2000), png(32, 32, 8, 5, b"\0" * 9000),
    png(32, 32, 8, 2, b"\0" * 100),         # too few rows
    png(32, 32, 8, 2, (b"\7" + b"\0" * 96) * 32),  # no such filter
    png(32, 32, 8, 3, (b"\0" * 33) * 32),   # no palette
    png(32, 32, 8, 2, b"\0" * 97 * 32, interlace=9),
    MAGIC + chunk(b"IDAT", b"") + chunk(b"IEND", b""),
    MAGIC + struct.pack(">I", 2**31) + b"IHDR",
], ids=range(14))
def test_damaged_ones_are_refused(running, body):
    status, reply = predict(running[0], body)
    assert 400 <= status < 500 and "icture" in reply["error"], reply


def test_flipped_bits(running):
    """Whatever is broken, there is an answer."""
    url, _, _ = running
    rng = random.Random(7)
    codes = set()
    for _ in range(300):
        body = bytearray(BOOT)
        for _ in range(rng.randint(1, 4)):
            body[rng.randrange(8, len(body))] ^= 1 << rng.randrange(8)
        status, reply = predict(url, bytes(body))
        codes.add(status)
        assert status == 200 or list(reply) == ["error"]
    assert codes - {200}
    assert codes <= {200, 400, 413, 415, 422}
    assert predict(url, BOOT)[1]["class"] == "Ankle boot"
