#!/usr/bin/env python3
"""Writes the broken files of this folder (expected.txt says how each fails)."""
import io
import os
import pathlib
import struct
import zipfile
import zlib

import numpy as np
from onnx import TensorProto, helper

HERE = pathlib.Path(__file__).parent


def write(name, data):
    (HERE / name).write_bytes(data)


def model(nodes=None, constants=(), inputs=("x",), outputs=("y",), **more):
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2])
            for n in (*inputs, *outputs)]
    nodes = nodes or [helper.make_node("Relu", ["x"], ["y"], "relu")]
    graph = helper.make_graph(nodes, "g", info[:len(inputs)],
                              info[len(inputs):], list(constants))
    return helper.make_model(graph, ir_version=10, **more)


def constant(raw=b"\0" * 8, dims=(2,), dtype=1, name="w", location=None):
    t = TensorProto(name=name, data_type=dtype, dims=dims)
    if location is None:
        t.raw_data = raw
    else:
        t.data_location = TensorProto.EXTERNAL
        t.external_data.add(key="location", value=location)
    return t


def onnx_files():
    node = helper.make_node
    whole = model().SerializeToString()
    write("truncated.onnx", whole[:-3])
    write("length_lies.onnx", whole[:2] + b"\x3a\xff\xff\x7f" + whole[2:])
    write("size_of_initializer.onnx",
          model(constants=[constant(raw=b"1234567")]).SerializeToString())
    write("unknown_type.onnx",
          model(constants=[constant(dtype=77)]).SerializeToString())
    write("shape_overflow.onnx",
          model(constants=[constant(dims=[1 << 40] * 3)]).SerializeToString())
    write("names_twice.onnx", model(
        constants=[constant(), constant()]).SerializeToString())
    write("cycle.onnx", model(
        [node("Add", ["x", "b"], ["a"], "first"),
         node("Relu", ["a"], ["b"], "second"),
         node("Relu", ["b"], ["y"])]).SerializeToString())
    write("produced_twice.onnx", model(
        [node("Relu", ["x"], ["y"]), node("Abs", ["x"], ["y"])]
    ).SerializeToString())
    for name, place in (("external_up", "../w.bin"),
                        ("external_absolute", "/etc/passwd"),
                        ("external_missing", "none.bin"),
                        ("external_folder", "."),):
        write(name + ".onnx", model(
            constants=[constant(location=place)]).SerializeToString())


def npy(header, data=b""):
    h = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(h)) + h + data


def npy_files():
    good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"
    write("code.npy", npy("__import__('os').system('id')"))
    write("call.npy", npy(good.replace("(2,)", "(len('ab'),)"), b"\0" * 8))
    write("object.npy", npy(good.replace("<f4", "|O"), b"\0" * 8))
    write("negative.npy", npy(good.replace("2", "-2"), b"\0" * 8))
    write("huge.npy", npy(good.replace("(2,)", "(4294967296, 4294967296, 9)")))
    write("short.npy", npy(good, b"\0" * 7))
    write("escape.npy", npy(good.replace("<f4", "<\\x664"), b"\0" * 8))
    write("twice.npy", npy(good.replace(", }", ", 'shape': (2,), }"),
                           b"\0" * 8))


def archive(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in members.items():
            z.writestr(zipfile.ZipInfo(name.replace("__", ".")), data,
                       zipfile.ZIP_DEFLATED)
    return out.getvalue()


def archive_files():
    buf = io.BytesIO()
    np.save(buf, np.zeros(1000, np.float32))
    good = bytearray(archive(x__npy=buf.getvalue()))
    entry = good.index(b"PK\1\2")
    bad = good[:]
    bad[entry + 16] ^= 1
    write("checksum.npz", bytes(bad))
    bad = good[:]
    bad[entry + 24:entry + 28] = struct.pack("<I", 1 << 30)
    write("bomb.npz", bytes(bad))
    bad = good[:]
    bad[entry + 24:entry + 28] = struct.pack("<I", 4000)
    write("more_than_announced.npz", bytes(bad))
    bad = good[:]
    bad[entry + 42:entry + 46] = struct.pack("<I", 1 << 20)
    write("outside.npz", bytes(bad))
    bad = good[:]
    bad[entry + 8] |= 1
    write("encrypted.npz", bytes(bad))
    write("truncated.npz", bytes(good[:-1]))
    write("no_weights.keras", archive(config__json="{}", metadata__json="{}"))
    write("no_json.keras", archive(config__json="{", metadata__json="{}"))


def chunk(kind, data):
    return (struct.pack(">I", len(data)) + kind + data +
            struct.pack(">I", zlib.crc32(kind + data)))


def png(width, height, pixels, *more):
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(more) +
            chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b""))


def picture_files():
    good = png(2, 2, b"\0\1\2" * 2)
    write("bomb.png", png(50000, 50000, b"\0" * 1000))
    write("zero.png", png(0, 2, b""))
    bad = bytearray(good)
    bad[good.index(b"IDAT") + 6] ^= 0xff
    write("chunk.png", bytes(bad))
    write("pixels_missing.png", png(2, 2, b"\0\1\2"))
    write("chunk_length.png", good[:8] + b"\xff" + good[9:])
    write("empty.jpg", b"\xff\xd8\xff")
    frame = struct.pack(">BHHB", 8, 60000, 60000, 1) + b"\1\x11\0"
    write("bomb.jpg", b"\xff\xd8\xff\xc0" + struct.pack(">H", 2 + len(frame)) +
          frame + b"\xff\xda\0\x08\1\1\0\0\x3f\0\xff\xd9")


def hdf5_files():
    """The smallest file, broken in its superblock and its root group."""
    good = (HERE.parents[2] / "fuzz/corpus/hdf5/plain.h5").read_bytes()
    write("signature_only.h5", good[:8])
    write("superblock_version.h5", good[:8] + b"\x63" + good[9:])
    write("half.h5", good[:len(good) // 2])
    for mark in (b"TREE", b"HEAP", b"SNOD"):
        at = good.index(mark)
        write(f"{mark.decode().lower()}.h5",
              good[:at] + b"XXXX" + good[at + 4:])


if __name__ == "__main__":
    os.umask(0o022)
    onnx_files()
    npy_files()
    archive_files()
    picture_files()
    hdf5_files()
