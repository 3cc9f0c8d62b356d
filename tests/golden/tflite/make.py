"""Makes the models and expected numbers of this folder.

    python -m venv /tmp/tf; /tmp/tf/bin/pip install tensorflow-cpu==2.21.0
    /tmp/tf/bin/python make.py

Each model is a function of TensorFlow, converted; each .npz has its inputs and
what TensorFlow Lite's interpreter answered with its reference kernels (built-in
ones where an operator has no other), under the tensors' names.  All of it is
this project's own: the numbers come from seeds.
"""
import os
import pathlib
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf

HERE = pathlib.Path(__file__).parent
R = np.random.RandomState(7)
F = tf.float32
OPS = tf.lite.experimental.OpResolverType
BUILT_IN = (OPS.BUILTIN_WITHOUT_DEFAULT_DELEGATES,)


def spec(*shape, dtype=F, name=None):
    return tf.TensorSpec(shape, dtype, name)


def const(*shape):
    return tf.constant(R.standard_normal(shape).astype(np.float32))


def unary(x):
    y = tf.abs(x) + 0.5
    return [tf.abs(x), tf.math.ceil(x), tf.cos(x), tf.exp(x), tf.floor(x),
            tf.math.log(y), -x, tf.round(x * 4) / 4, tf.math.rsqrt(y), tf.sin(x),
            tf.sqrt(y), tf.square(x), tf.logical_not(x > 0), tf.nn.relu(x),
            tf.nn.relu6(x * 4), tf.clip_by_value(x, -1, 1), tf.tanh(x),
            tf.sigmoid(x), tf.nn.elu(x), x * tf.nn.relu6(x + 3) / 6,
            tf.nn.leaky_relu(x, 0.1),
            tf.sign(x), tf.zeros_like(x), tf.cast(x * 3, tf.int32),
            tf.cast(x > 0, F), tf.math.log_sigmoid(x), tf.nn.softplus(x)]


def binary(x, y, i, j):
    z = tf.abs(y) + 0.5
    return [x + y, x - y, x * y, x / z, tf.maximum(x, y), tf.minimum(x, y),
            tf.math.squared_difference(x, y), tf.pow(z, x), tf.math.floordiv(x, z),
            tf.math.floormod(x, z), tf.math.floormod(x, -z), tf.math.atan2(x, y),
            x < y, x <= y, x > y, x >= y, tf.equal(i, j), tf.not_equal(i, j),
            tf.logical_and(x > 0, y > 0), tf.logical_or(x > 0, y > 0),
            i + j, i - j, i * j, tf.math.floordiv(i, tf.abs(j) + 1),
            tf.math.floordiv(i, -tf.abs(j) - 1), tf.math.floormod(i, tf.abs(j) + 1),
            tf.bitwise.bitwise_xor(i, j), tf.bitwise.right_shift(i, tf.abs(j) % 5),
            tf.where(x > y, x, y), tf.where(x[:, :1] > 0, x, y),
            tf.add_n([x, y, x]), tf.nn.relu(x + y), x + y[0], x * 3.0]


def reduce(x):
    return [tf.reduce_mean(x, [1, 2]), tf.reduce_mean(x, [1, 2], keepdims=True),
            tf.reduce_sum(x, -1), tf.reduce_prod(x, 2), tf.reduce_max(x, [0, 3]),
            tf.reduce_min(x, 1), tf.reduce_any(x > 1, 1), tf.reduce_all(x > -1, 2),
            tf.argmax(x, 1), tf.argmin(x, 3, output_type=tf.int32),
            tf.cumsum(x, 2), tf.cumsum(x, 1, exclusive=True, reverse=True),
            tf.nn.softmax(x), tf.nn.log_softmax(x), tf.math.l2_normalize(x, -1),
            *tf.math.top_k(x, 3), tf.reduce_logsumexp(x, -1)]


def norm(x):
    """The reference kernel's window ends one channel early."""
    return [tf.nn.local_response_normalization(x, 2, 1.0, 0.1, 0.75)]


def move(x, i):
    b = tf.shape(x)[0]
    return [tf.reshape(x, [b, -1]), tf.transpose(x, [0, 3, 1, 2]),
            tf.transpose(x, [2, 0, 3, 1]), x[:, 1:3, ::2, :2], x[:, 1], x[..., -1],
            x[:, tf.newaxis, 2], x[:, ::-1], tf.slice(x, [0, 1, 0, 1], [-1, 2, -1, 2]),
            *tf.split(x, 2, 3), *tf.split(x, [1, 2, 1], 1), tf.concat([x, x * 2], 3),
            tf.stack([x, -x], 1), *tf.unstack(x, axis=1), tf.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]]),
            tf.pad(x, [[0, 0], [1, 0], [0, 0], [2, 1]], constant_values=3.5),
            tf.pad(x, [[0, 0], [1, 2], [2, 1], [0, 0]], "REFLECT"),
            tf.pad(x, [[0, 0], [1, 2], [2, 1], [0, 0]], "SYMMETRIC"),
            tf.tile(x, [1, 2, 1, 3]), tf.gather(x, [2, 0, 1], axis=1),
            tf.gather(x, i, axis=1, batch_dims=1), tf.gather_nd(x, [[0, 1], [1, 2]]),
            tf.scatter_nd([[1], [3], [1]], x[0, :3, 0], [5, 4]),
            tf.broadcast_to(x[:, :1], tf.shape(x)), tf.shape(x), tf.rank(x),
            tf.fill([2, 3], 4.0), tf.range(0, b * 3, 2), tf.reverse(x, [1, 2]), tf.reverse(x, [3]),
            tf.one_hot(i, 4, 2.0, -1.0), tf.one_hot(i, 4, axis=1), tf.expand_dims(x, 2),
            tf.squeeze(x[:, :1, :, :1], [1, 3]), tf.nn.space_to_depth(x, 2),
            tf.nn.depth_to_space(x, 2), tf.space_to_batch(x, [2, 2], [[0, 0], [1, 1]]),
            tf.batch_to_space(tf.tile(x, [4, 1, 1, 1]), [2, 2], [[0, 1], [1, 0]]),
            tf.where(i > 0), tf.linalg.diag(x[:, 0, 0]), tf.linalg.set_diag(x[:, 0], x[:, 1, 0]),
            tf.reverse_sequence(x, i[:, 0] + 1, seq_axis=1, batch_axis=0),
            tf.unique(i[0])[0], tf.unique(i[0])[1], tf.math.segment_sum(x[0, :, 0], [0, 0, 1, 2]),
            tf.math.unsorted_segment_max(x[0, :, 0], [2, 0, 2, 1], 4),
            tf.math.unsorted_segment_prod(x[0, :, 0], [2, 0, 2, 1], 3),
            tf.math.unsorted_segment_min(x[0, :, 0], [1, 0, 1, 1], 2),
            tf.math.unsorted_segment_sum(x[0, :, 0], [1, 0, -1, 1], 2),
            tf.raw_ops.Bucketize(input=x, boundaries=[-1.0, 0.0, 0.5]),
            tf.tensor_scatter_nd_update(x[0, :, 0], [[1]], x[1, :1, 1])]


W = {n: const(*s) for n, s in {
    "a": (3, 3, 4, 8), "d": (3, 3, 8, 2), "p": (1, 1, 16, 6), "g": (3, 3, 2, 8),
    "t": (3, 3, 5, 6), "u": (2, 2, 3, 5), "f": (3 * 5 * 4 * 6, 10), "b": (8,)}.items()}


def picture(x):
    y = tf.nn.relu6(tf.nn.conv2d(x, W["a"], 2, "SAME") + W["b"])
    y = tf.nn.depthwise_conv2d(y, W["d"], [1, 1, 1, 1], "SAME")
    y = tf.nn.conv2d(y, W["p"], 1, "VALID")
    y = tf.nn.leaky_relu(y, 0.2)
    s = tf.sigmoid(tf.reduce_mean(y, [1, 2], keepdims=True))
    y = y * s
    m = tf.nn.max_pool2d(y, 3, 1, "SAME")
    a = tf.nn.avg_pool2d(y, 3, 2, "SAME")
    z = tf.nn.conv2d(y, const(3, 3, 6, 6), 1, "SAME", dilations=2)
    n = tf.shape(x)[0]
    t = tf.nn.conv2d_transpose(a, W["t"], [n, 6, 10, 5], 2, "SAME")
    u = tf.nn.conv2d_transpose(t[..., :3 * 2 - 1][..., :5], W["u"], [n, 12, 20, 3], 2, "VALID")
    r = tf.image.resize(a, [7, 9], "bilinear")
    q = tf.image.resize(a, [7, 9], "nearest")
    g = tf.nn.conv2d(x, W["g"], 1, "VALID")
    flat = tf.reshape(tf.concat([a, a], 3), [n, -1])[:, :360]
    return [y, m, a, z, t, u, r, q, g,
            tf.compat.v1.image.resize_bilinear(a, [7, 9], align_corners=True),
            tf.compat.v1.image.resize_nearest_neighbor(a, [7, 9], align_corners=True),
            tf.compat.v1.image.resize_bilinear(a, [6, 4]),
            tf.reshape(a, [n, -1]), flat]


def dense(x, y):
    w = const(6, 7)
    return [tf.matmul(x, w) + const(7), tf.matmul(x, y, transpose_b=True),
            tf.einsum("bij,bkj->bik", x, y), tf.nn.relu(tf.tensordot(x, w, 1)),
            tf.linalg.matmul(x, y, transpose_a=True)]


def flatten(x):
    y = tf.nn.conv2d(x, const(3, 3, 3, 4), 1, "VALID")
    y = tf.nn.max_pool2d(y, 2, 2, "VALID")
    y = tf.reshape(y, [tf.shape(x)[0], 3 * 3 * 4])
    y = tf.nn.relu(tf.matmul(y, const(36, 12)) + const(12))
    return [tf.nn.softmax(tf.matmul(y, const(12, 5)))]


def spectrum(x):
    s = tf.signal.rfft(x)
    return [tf.abs(s), tf.math.real(s), tf.math.imag(s)]


def flow(x, n):
    y = tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2, lambda: x - 1)
    def body(i, v, s):
        return i + 1, v * 0.5 + x, s + tf.reduce_sum(v)
    i, v, s = tf.while_loop(lambda i, v, s: i < n, body, [0, y, 0.0])
    return [y, i, v, s]


def volume(x):
    y = tf.nn.conv3d(x, const(2, 3, 2, 3, 4), [1, 1, 2, 1, 1], "SAME")
    return [y, tf.nn.conv3d_transpose(y, const(2, 2, 2, 3, 4), [1, 8, 6, 5, 3],
                                      [1, 2, 2, 1, 1], "SAME")]


def boxes(b, s):
    i, n = tf.image.non_max_suppression_padded(b, s, 4, 0.5, 0.2, pad_to_max_output_size=True)
    j, t = tf.image.non_max_suppression_with_scores(b, s, 4, 0.5, 0.2)
    return [i, n]


def stripes(x):
    y = tf.nn.conv1d(x, const(3, 4, 6), 1, "SAME", dilations=2)
    return [y, tf.nn.conv1d(x, const(3, 4, 6), 2, "VALID")]


class Counter(tf.Module):
    """Two functions of one model, and a variable."""

    def __init__(self):
        self.total = tf.Variable(tf.zeros([3]), name="total")

    @tf.function(input_signature=[spec(3, name="x")])
    def add(self, x):
        self.total.assign_add(x)
        return {"sum": self.total + 0.0}

    @tf.function(input_signature=[spec(2, name="y")])
    def double(self, y):
        return {"twice": y * 2}


MODELS = {
    "unary": (unary, [spec(2, 3, 5)]),
    "binary": (binary, [spec(3, 4), spec(3, 4), spec(3, 4, dtype=tf.int32), spec(3, 4, dtype=tf.int32)]),
    "reduce": (reduce, [spec(2, 3, 4, 5)]),
    "norm": (norm, [spec(2, 3, 4, 5)]),
    "move": (move, [spec(2, 4, 4, 4), spec(2, 3, dtype=tf.int32)]),
    "picture": (picture, [spec(None, 9, 15, 4)]),
    "dense": (dense, [spec(2, 3, 6), spec(2, 3, 6)]),
    "flatten": (flatten, [spec(None, 8, 8, 3)]),
    "spectrum": (spectrum, [spec(2, 16)]),
    "flow": (flow, [spec(4), spec(dtype=tf.int32)]),
    "volume": (volume, [spec(1, 4, 6, 5, 3)]),
    "boxes": (boxes, [spec(6, 4), spec(6)]),
    "stripes": (stripes, [spec(None, None, 4)]),
}


def sample(d, n):
    shape = [s if s >= 0 else n for s in d["shape_signature"]]
    if d["dtype"] == np.int32:
        return R.randint(0, 4, shape).astype(np.int32)
    return R.standard_normal(shape).astype(np.float32)


def answers(data, inputs=None, kinds=(OPS.BUILTIN_REF,
                                      OPS.BUILTIN_WITHOUT_DEFAULT_DELEGATES)):
    for kind in kinds:
        try:
            run = tf.lite.Interpreter(model_content=data,
                                      experimental_op_resolver_type=kind)
            found = {}
            given = inputs or [sample(d, 3) for d in run.get_input_details()]
            for d, x in zip(run.get_input_details(), given):
                run.resize_tensor_input(d["index"], x.shape)
            run.allocate_tensors()
            for d, x in zip(run.get_input_details(), given):
                run.set_tensor(d["index"], x)
                found["in:" + d["name"]] = x
            run.invoke()
            for d in run.get_output_details():
                found["out:" + d["name"]] = run.get_tensor(d["index"])
            return found
        except (RuntimeError, ValueError) as e:
            print("  ", str(e)[:200])
    return None


def save(name, data, found):
    (HERE / f"{name}.tflite").write_bytes(data)
    np.savez_compressed(HERE / f"{name}.npz", **found)
    print(name, len(data), len(found), flush=True)


def convert(f, specs, tune=None):
    c = tf.lite.TFLiteConverter.from_concrete_functions(
        [tf.function(f).get_concrete_function(*specs)])
    c.experimental_enable_resource_variables = True
    if tune:
        tune(c)
    return c.convert()


def quantized(kind):
    def tune(c):
        c.optimizations = [tf.lite.Optimize.DEFAULT]
        if kind == "float16":
            c.target_spec.supported_types = [tf.float16]
        if kind in ("int8", "int16x8"):
            c.representative_dataset = lambda: (
                [R.standard_normal((1, 8, 8, 3)).astype(np.float32)] for _ in range(16))
        if kind == "int8":
            c.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            c.inference_input_type = c.inference_output_type = tf.int8
        if kind == "int16x8":
            c.target_spec.supported_ops = [
                tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]
    return tune


def convertible(f, specs, outputs):
    """Not all of TensorFlow has an operator in TensorFlow Lite."""
    try:
        convert(lambda *x: [f(*x)[k] for k in outputs], specs)
        return outputs
    except Exception:
        if len(outputs) == 1:
            print("  without output", outputs[0], "of", f.__name__, flush=True)
            return []
    half = len(outputs) // 2
    return (convertible(f, specs, outputs[:half]) +
            convertible(f, specs, outputs[half:]))


def make_counter():
    m = Counter()
    with tempfile.TemporaryDirectory() as path:
        tf.saved_model.save(m, path, {"add": m.add, "double": m.double})
        c = tf.lite.TFLiteConverter.from_saved_model(
            path, signature_keys=["add", "double"])
        c.experimental_enable_resource_variables = True
        data = c.convert()
    (HERE / "counter.tflite").write_bytes(data)


def main(names):
    """Those models, or all and the others below."""
    for name, (f, specs) in MODELS.items():
        if names and name not in names:
            continue
        n = len(tf.function(f).get_concrete_function(*specs).structured_outputs)
        kept = convertible(f, specs, list(range(n)))
        data = convert(lambda *x: [f(*x)[k] for k in kept], specs)
        found = answers(data, kinds=BUILT_IN) if name == "norm" else answers(data)
        if found:
            save(name, data, found)
    for kind in ("float16", "int8", "int16x8"):
        if names and f"flatten_{kind}" not in names:
            continue
        data = convert(flatten, MODELS["flatten"][1], quantized(kind))
        given = None
        if kind == "int8":
            given = [R.randint(-128, 128, (3, 8, 8, 3)).astype(np.int8)]
        save(f"flatten_{kind}", data, answers(data, given))
    if not names or "counter" in names:
        make_counter()


if __name__ == "__main__":
    main(sys.argv[1:])
