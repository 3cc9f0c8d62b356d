"""Makes ../errors/*.tflite of flatten.tflite and flow.tflite: files that must be
refused.  Wants TensorFlow, as make.py does."""
import copy
import pathlib
import struct

import flatbuffers
from tensorflow.lite.python import schema_py_generated as schema

HERE = pathlib.Path(__file__).parent
OUT = HERE.parent / "errors"


def load(name):
    data = (HERE / f"{name}.tflite").read_bytes()
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))


def pack(model):
    b = flatbuffers.Builder(1024)
    b.Finish(model.Pack(b), b"TFL3")
    return bytes(b.Output())


def changed(change, name="flatten"):
    m = load(name)
    change(m)
    return pack(m)


def graph(m):
    return m.subgraphs[0]


def set_at(thing, field, at, value):
    v = list(getattr(thing, field))
    v[at] = value
    setattr(thing, field, v)


def custom(m):
    m.operatorCodes[0].builtinCode = 32
    m.operatorCodes[0].deprecatedBuiltinCode = 32
    m.operatorCodes[0].customCode = b"Nobody"


def circle(m):
    """The branch of an IF calls its own subgraph."""
    main = graph(m)
    branch = copy.deepcopy(main)
    m.subgraphs.append(branch)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = 118
    m.operatorCodes.append(code)
    yes = schema.TensorT()
    yes.shape, yes.type, yes.name = [], 6, b"yes"
    buffer = schema.BufferT()
    buffer.data = [1]
    m.buffers.append(buffer)
    yes.buffer = len(m.buffers) - 1
    for g in m.subgraphs:
        g.tensors.append(copy.deepcopy(yes))
        op = schema.OperatorT()
        op.opcodeIndex = len(m.operatorCodes) - 1
        op.inputs = [len(g.tensors) - 1, *g.inputs]
        op.outputs = list(g.outputs)
        op.builtinOptionsType = schema.BuiltinOptions.IfOptions
        op.builtinOptions = schema.IfOptionsT()
        op.builtinOptions.thenSubgraphIndex = 1
        op.builtinOptions.elseSubgraphIndex = 1
        g.operators = [op]


def weights(m):
    g = graph(m)
    return g.tensors[g.operators[0].inputs[1]]


def main():
    data = (HERE / "flatten.tflite").read_bytes()
    files = {
        "root": struct.pack("<I", 1 << 30) + data[4:],
        "truncated": data[:len(data) // 2],
        "version": changed(lambda m: setattr(m, "version", 2)),
        "no_graph": changed(lambda m: setattr(m, "subgraphs", [])),
        "tensor": changed(lambda m: set_at(graph(m).operators[0], "inputs", 0, 999)),
        "buffer": changed(lambda m: setattr(weights(m), "buffer", 999)),
        "opcode": changed(lambda m: setattr(graph(m).operators[0], "opcodeIndex", 99)),
        "shape": changed(lambda m: set_at(weights(m), "shape", 0, 5)),
        "huge": changed(lambda m: setattr(weights(m), "shape", [2**31 - 1] * 4)),
        "negative": changed(lambda m: set_at(weights(m), "shape", 1, -7)),
        "rank": changed(lambda m: setattr(weights(m), "shape", [1] * 9)),
        "type": changed(lambda m: setattr(weights(m), "type", 77)),
        "custom": changed(custom),
        "circle": changed(circle),
        "subgraph": changed(lambda m: setattr(m.signatureDefs[0], "subgraphIndex", 7)
                            if m.signatureDefs else setattr(graph(m), "outputs", [-1])),
        "unset": changed(lambda m: graph(m).operators.pop(0)),
        "stride": changed(lambda m: setattr(graph(m).operators[0].builtinOptions,
                                            "strideW", 0)),
    }
    # Two buffers that share some of their bytes: the vector of one is moved
    # into the other's.
    m = schema.Model.GetRootAsModel(data, 0)
    places = []
    for i in range(m.BuffersLength()):
        b = m.Buffers(i)
        if b.DataLength() > 100:
            o = b._tab.Offset(4) + b._tab.Pos
            places.append((o, o + struct.unpack_from("<I", data, o)[0]))
    (first, at), (second, _) = places[:2]
    broken = bytearray(data)
    struct.pack_into("<I", broken, at + 8, 16)
    if at + 8 > second:
        struct.pack_into("<I", broken, second, at + 8 - second)
        files["overlap"] = bytes(broken)
    for name, bytes_ in files.items():
        (OUT / f"tflite_{name}.tflite").write_bytes(bytes_)


if __name__ == "__main__":
    main()
