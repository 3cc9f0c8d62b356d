#!/usr/bin/env python3
"""Write the images of this folder from Fashion-MNIST.

    apt-get install dataset-fashion-mnist    # Debian; MIT licence, Zalando SE
    ./make_data.py /usr/share/datasets/fashion-mnist

The first 300 training images are for calibration, the first 500 test images
for accuracy.  fmnist_bn takes 28x28x1; seed_cnn takes 32x32x3, made by two
pixels of zeros on each side and the one channel three times.  Pixels stay
bytes here: a net's input is byte / 255.
"""
import gzip
import json
import pathlib
import struct
import sys
import zlib

import numpy as np

HERE = pathlib.Path(__file__).parent
SHAPE_OF = {"seed_cnn": (32, 32, 3), "fmnist_bn": (28, 28, 1)}


def read_idx(path):
    """An IDX file of bytes: magic 0x0000 08 rank, big-endian sizes, data."""
    raw = gzip.open(path).read()
    rank = raw[3]
    shape = struct.unpack(f">{rank}I", raw[4:4 + 4 * rank])
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def shaped(images, shape):
    """[n, 28, 28] as the [n, *shape] that a net takes."""
    pad = (shape[0] - 28) // 2
    images = np.pad(images, ((0, 0), (pad, pad), (pad, pad)))
    return np.repeat(images[..., None], shape[2], axis=3)


def png(image):
    """An 8-bit RGB PNG of [h, w, 3]."""
    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    h, w, _ = image.shape
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def main():
    source = pathlib.Path(sys.argv[1])
    sets = {"calib": ("train", 300), "test": ("t10k", 500)}
    for part, (stem, n) in sets.items():
        x = read_idx(source / f"{stem}-images-idx3-ubyte.gz")[:n]
        y = read_idx(source / f"{stem}-labels-idx1-ubyte.gz")[:n]
        for net, shape in SHAPE_OF.items():
            np.savez_compressed(HERE / f"{net}.{part}.npz",
                                x=shaped(x, shape), y=y.astype(np.int64))
    with np.load(HERE / "seed_cnn.test.npz") as data:
        boot = data["x"][0]
    (HERE / "boot.png").write_bytes(png(boot))
    flat = [round(v / 255, 4) for v in boot.ravel().tolist()]
    (HERE / "boot.json").write_text(
        json.dumps({"input_data": flat}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
