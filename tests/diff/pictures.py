"""How cases of ImageDecoder are drawn, whole pictures and damaged ones: PNG
with every filter, BMP and PNM, which lose nothing.  Here is what writes them
and what reads them back; files of lossy formats are tests/unit/image's."""
import struct
import zlib

import numpy as np

from definitions import defined
from operators import draws

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of PNG's kinds of color


def chunk(kind, data):
    return (struct.pack(">I", len(data)) + kind + data
            + struct.pack(">I", zlib.crc32(kind + data)))


def predicted(kind, left, up, corner):
    """What a PNG filter subtracts from a byte."""
    if kind == 3:
        return (left + up) // 2
    if kind == 4:
        p = left + up - corner
        return min((left, up, corner), key=lambda v: abs(p - v))
    return (0, left, up)[kind]


def filtered(rows, kinds, step, sign):
    """Rows of bytes with the filters' predictions taken off (-1), or those of
    a file with them added (1)."""
    out, above = [], [0] * len(rows[0])
    for kind, row in zip(kinds, rows):
        made, plain = [], list(row) if sign < 0 else []
        for i, v in enumerate(row):
            source = plain if sign < 0 else made
            left = source[i - step] if i >= step else 0
            corner = above[i - step] if i >= step else 0
            made.append((v + sign * predicted(kind, left, above[i], corner))
                        % 256)
        out.append(made)
        above = plain if sign < 0 else made
    return out


def png(c, w, h):
    color = c.pick(*CHANNELS)
    n = CHANNELS[color]
    palette = c.bits.integers(0, 256, 3 * c.rng.randint(1, 9)).tolist()
    top = len(palette) // 3 if color == 3 else 256
    rows = c.bits.integers(0, top, (h, w * n)).tolist()
    kinds = [c.rng.randrange(5) for _ in rows]
    data = b"".join(bytes([k, *r]) for k, r in zip(
        kinds, filtered(rows, kinds, n, -1)))
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(
        ">IIBBBBB", w, h, 8, color, 0, 0, 0))
    if color == 3:
        out += chunk(b"PLTE", bytes(palette))
    packed = zlib.compress(data)
    cut = c.rng.randint(0, len(packed))
    return out + chunk(b"IDAT", packed[:cut]) + chunk(
        b"IDAT", packed[cut:]) + chunk(b"IEND", b"")


def read_png(b):
    at, data, palette = 8, b"", None
    w, h, depth, color = struct.unpack(">IIBB", b[16:26])
    assert depth == 8
    while at < len(b):
        size, kind = struct.unpack(">I4s", b[at:at + 8])
        body = b[at + 8:at + 8 + size]
        data += body if kind == b"IDAT" else b""
        palette = body if kind == b"PLTE" else palette
        at += 12 + size
    n, row = CHANNELS[color], 1 + w * CHANNELS[color]
    lines = list(zlib.decompress(data))
    lines = [lines[i * row:(i + 1) * row] for i in range(h)]
    x = np.array(filtered([r[1:] for r in lines], [r[0] for r in lines], n, 1),
                 np.uint8).reshape(h, w, n)
    if color == 3:
        return np.frombuffer(palette, np.uint8).reshape(-1, 3)[x[..., 0]]
    return np.repeat(x[..., :1], 3, -1) if n < 3 else x[..., :3]


def bmp(c, w, h):
    pad = b"\0" * (-3 * w % 4)
    down = c.chance(0.3)
    body = b"".join(c.bits.bytes(3 * w) + pad for _ in range(h))
    return struct.pack("<2sIIIIiiHHIIiiII", b"BM", 54 + len(body), 0, 54, 40,
                       w, -h if down else h, 1, 24, 0, len(body), 0, 0, 0,
                       0) + body


def read_bmp(b):
    w, h = struct.unpack("<ii", b[18:26])
    row = 3 * w + -3 * w % 4
    x = np.frombuffer(b, np.uint8, row * abs(h), 54).reshape(abs(h), row)
    x = x[:, :3 * w].reshape(abs(h), w, 3)[..., ::-1]
    return x if h < 0 else x[::-1]


def pnm(c, w, h):
    gray = c.chance(0.4)
    return (b"P5" if gray else b"P6") + b"\n%d %d\n255\n" % (w, h) + \
        c.bits.bytes(w * h * (1 if gray else 3))


def read_pnm(b):
    kind, size, _, body = b.split(b"\n", 3)
    w, h = map(int, size.split())
    x = np.frombuffer(body, np.uint8).reshape(h, w, -1)
    return np.repeat(x, 3, -1) if kind == b"P5" else x


@draws("ImageDecoder")
def image_decoder(c):
    w, h = (c.pick(1, 2, 3, 7, 16, 17, 40) for _ in range(2))
    data = bytearray(c.pick(png, png, bmp, pnm)(c, w, h))
    c.attr(pixel_format="some" if c.bad() else
           c.pick(None, "RGB", "BGR", "Grayscale"))
    if c.chance(0.15):  # damaged: anything but a crash
        c.wrong = True
        for _ in range(c.rng.randint(1, 4)):
            data[c.rng.randrange(len(data))] = c.rng.randrange(256)
        if c.chance(0.5):
            del data[c.rng.randrange(len(data)):]
    c.feed(np.frombuffer(bytes(data), np.uint8))
    if c.attrs.get("pixel_format") == "Grayscale":
        c.step = 1  # how the sum of the colors is rounded


@defined("ImageDecoder", "")
def decode(x, pixel_format="RGB"):
    b = x.tobytes()
    read = {b"\x89P": read_png, b"BM": read_bmp}.get(b[:2], read_pnm)
    y = read(b)
    if pixel_format == "Grayscale":
        return np.rint(y @ [0.299, 0.587, 0.114]).astype(np.uint8)[..., None]
    return y[..., ::-1] if pixel_format == "BGR" else \
        {"RGB": y}[pixel_format]
