"""Makes detection.tflite and detection_classes.tflite, one custom operator each
(TFLite_Detection_PostProcess, without and with suppression by class), and what
the interpreter answers.  Wants TensorFlow, as make.py does."""
import flatbuffers
import numpy as np
import tensorflow as tf
from flatbuffers import flexbuffers
from tensorflow.lite.python import schema_py_generated as schema

from make import HERE, save

R = np.random.RandomState(3)
N, CLASSES, MAX = 12, 3, 5


def tensor(m, name, shape, data=None):
    b = schema.BufferT()
    if data is not None:
        b.data = np.frombuffer(data.tobytes(), np.uint8)
    m.buffers.append(b)
    t = schema.TensorT()
    t.name, t.shape, t.type, t.buffer = name, shape, 0, len(m.buffers) - 1
    m.subgraphs[0].tensors.append(t)
    return len(m.subgraphs[0].tensors) - 1


def options(by_class):
    b = flexbuffers.Builder()
    with b.Map():
        for k, v in (("max_detections", MAX), ("max_classes_per_detection", 1),
                     ("detections_per_class", 4), ("num_classes", CLASSES)):
            b.Key(k)
            b.Int(v)
        for k, v in (("nms_score_threshold", 0.2), ("nms_iou_threshold", 0.5),
                     ("y_scale", 10.0), ("x_scale", 10.0), ("h_scale", 5.0),
                     ("w_scale", 5.0)):
            b.Key(k)
            b.Float(v)
        b.Key("use_regular_nms")
        b.Bool(by_class)
    return list(b.Finish())


def build(by_class):
    m = schema.ModelT()
    m.version, m.buffers, m.subgraphs = 3, [schema.BufferT()], [schema.SubGraphT()]
    g = m.subgraphs[0]
    g.tensors, g.name = [], b"main"
    anchors = np.float32(np.c_[R.rand(N, 2), 0.2 + 0.2 * R.rand(N, 2)])
    g.inputs = [tensor(m, b"boxes", [1, N, 4]),
                tensor(m, b"scores", [1, N, CLASSES + 1])]
    anchors = tensor(m, b"anchors", [N, 4], anchors)
    g.outputs = [tensor(m, n, s) for n, s in
                 ((b"places", [1, MAX, 4]), (b"classes", [1, MAX]),
                  (b"found", [1, MAX]), (b"count", [1]))]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = 32
    code.customCode = b"TFLite_Detection_PostProcess"
    m.operatorCodes = [code]
    op = schema.OperatorT()
    op.inputs, op.outputs = [*g.inputs, anchors], g.outputs
    op.customOptions = options(by_class)
    g.operators = [op]
    b = flatbuffers.Builder(1024)
    b.Finish(m.Pack(b), b"TFL3")
    return bytes(b.Output())


def main():
    for name, by_class in (("detection", False), ("detection_classes", True)):
        data = build(by_class)
        run = tf.lite.Interpreter(model_content=data)
        run.allocate_tensors()
        found = {}
        for d in run.get_input_details():
            x = R.rand(*d["shape"]).astype(np.float32)
            run.set_tensor(d["index"], x)
            found["in:" + d["name"]] = x
        run.invoke()
        for d in run.get_output_details():
            found["out:" + d["name"]] = run.get_tensor(d["index"])
        save(name, data, found)


if __name__ == "__main__":
    main()
