"""Small graphs of TensorFlow with what TensorFlow answers, for
tests/e2e/test_tensorflow.py:

    python make.py FOLDER

NAME.pb is a GraphDef, NAME.npz has its inputs ("in:NAME") and outputs
("out:NAME").  Made with TensorFlow 2.21.0; nothing in the build needs it.
"""
import json
import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
raw = tf.raw_ops
RNG = np.random.default_rng(7)
MADE = {}


def group(build):
    MADE[build.__name__] = build
    return build


def data(*shape, low=-2.0, high=2.0, dtype=np.float32):
    return RNG.uniform(low, high, shape).astype(dtype)


def ints(*shape, low=0, high=5, dtype=np.int32):
    return RNG.integers(low, high, shape).astype(dtype)


@group
def unary(put):
    x = put("x", data(3, 4))
    small = put("small", data(5, low=-0.9, high=0.9))
    big = put("big", data(5, low=1.1, high=3))
    yield from (f(x) for f in (
        tf.abs, tf.sin, tf.cos, tf.tan, tf.exp, tf.tanh, tf.sigmoid, tf.square,
        tf.nn.relu, tf.nn.relu6, tf.nn.elu, tf.nn.selu, tf.nn.softplus,
        tf.nn.softsign, tf.nn.leaky_relu, tf.nn.softmax, tf.nn.log_softmax,
        tf.floor, tf.math.ceil, tf.round, tf.math.rint, tf.sign, tf.negative,
        tf.math.erf, tf.math.erfc, tf.math.expm1, tf.sinh, tf.cosh, tf.atan,
        tf.asinh, tf.zeros_like, tf.ones_like, tf.nn.l2_loss,
        tf.math.reciprocal, tf.math.is_finite, tf.math.is_nan, tf.nn.silu,
        tf.nn.gelu, tf.math.cumsum))
    yield from (f(small) for f in (tf.asin, tf.acos, tf.atanh, tf.math.log1p))
    yield from (f(big) for f in (tf.sqrt, tf.math.rsqrt, tf.math.log, tf.acosh))
    yield tf.cast(x, tf.int32)
    yield tf.cast(x > 0, tf.float32)
    yield tf.bitwise.invert(tf.cast(x, tf.int32))


@group
def binary(put):
    x, y = put("x", data(2, 1, 4)), put("y", data(3, 4, low=0.5))
    i, j = put("i", ints(6, low=-9, high=9)), put("j", ints(6, low=1, high=5))
    z = put("z", np.float32([0, 1, 2, 0]))
    yield from (f(x, y) for f in (
        tf.add, tf.subtract, tf.multiply, tf.divide, tf.maximum, tf.minimum,
        tf.math.squared_difference, tf.math.floordiv, tf.math.floormod,
        tf.math.atan2, tf.less, tf.less_equal, tf.greater, tf.greater_equal,
        tf.equal, tf.not_equal))
    yield tf.pow(y, x)
    yield from (f(i, j) for f in (
        tf.math.floordiv, tf.math.floormod, tf.truncatediv, tf.truncatemod,
        tf.bitwise.bitwise_and, tf.bitwise.bitwise_or, tf.bitwise.bitwise_xor,
        tf.bitwise.right_shift))
    yield tf.math.divide_no_nan(y, z)
    yield tf.math.multiply_no_nan(y, z)
    yield tf.math.xdivy(z, y)
    yield tf.math.xlogy(z, y)
    yield tf.math.xlog1py(z, y)
    yield tf.clip_by_value(x, -0.5, 0.5)
    yield raw.ClipByValue(t=y, clip_value_min=y * 0, clip_value_max=y * 0 + 1)
    yield tf.logical_and(x > 0, y > 0)
    yield tf.logical_or(x > 0, y > 0)
    yield tf.logical_not(x > 0)
    yield tf.where(x > y, x, y)
    yield v1.where(i > 0, i, j)
    yield tf.add_n([y, y, y])


@group
def reduce(put):
    x, b = put("x", data(2, 3, 4)), put("b", data(2, 3) > 0)
    for f in (tf.reduce_sum, tf.reduce_mean, tf.reduce_max, tf.reduce_min,
              tf.reduce_prod, tf.math.reduce_euclidean_norm):
        yield f(x, axis=1)
        yield f(x, axis=[0, 2], keepdims=True)
    yield tf.reduce_any(b, axis=1)
    yield tf.reduce_all(b, axis=0)
    yield tf.reduce_sum(x)
    yield tf.argmax(x, axis=2)
    yield tf.argmin(x, axis=0, output_type=tf.int32)
    yield tf.math.cumsum(x, axis=1, exclusive=True, reverse=True)
    yield tf.math.cumprod(x, axis=1)
    yield tf.math.cumprod(x, axis=-1, exclusive=True, reverse=True)
    yield from tf.math.top_k(x, 2)
    yield tf.math.segment_sum(x, [0, 1])
    yield tf.math.unsorted_segment_max(x, [1, 0], 3)[:2]
    yield tf.math.bincount(tf.constant([1, 2, 2, 5]), minlength=6, maxlength=6)
    yield tf.math.in_top_k([1, 0], x[0, :2], k=2)
    yield tf.nn.moments(x, axes=[1])[1]
    yield tf.nn.l2_normalize(x, axis=-1)
    yield tf.math.reduce_logsumexp(x, axis=1)
    yield tf.norm(x, axis=2)


@group
def move(put):
    x, n = put("x", data(2, 3, 4)), put("n", np.int32([1]))
    yield tf.reshape(x, [4, -1])
    yield tf.transpose(x, [2, 0, 1])
    yield tf.expand_dims(x, 1)
    yield tf.squeeze(tf.expand_dims(x, -1))
    yield tf.concat([x, x * 2], axis=-1)
    yield tf.stack([x, x], axis=1)
    yield from tf.unstack(x, axis=1)
    yield from tf.split(x, 2, axis=2)
    yield from tf.split(x, [1, 3], axis=2)
    yield x[:, 1:, ::2]
    yield x[..., -1]
    yield x[:, tf.newaxis, ::-1]
    yield x[1, 0:2]
    yield tf.slice(x, [0, 1, 0], [-1, 2, 3])
    yield tf.slice(x, tf.concat([[0], n, [0]], 0), [2, 2, -1])
    yield tf.pad(x, [[0, 1], [2, 0], [1, 1]], constant_values=3.0)
    yield tf.pad(x, [[0, 0], [1, 1], [2, 1]], mode="REFLECT")
    yield tf.pad(x, [[0, 0], [1, 1], [2, 1]], mode="SYMMETRIC")
    yield tf.tile(x, [1, 2, 1])
    yield tf.reverse(x, [1, 2])
    yield tf.roll(x, [1, -2], [0, 2])
    yield tf.reverse_sequence(x, [2, 3], seq_axis=1, batch_axis=0)
    yield tf.broadcast_to(x[:, :1], [2, 5, 4])
    yield tf.shape(x)
    yield tf.size(x)
    yield tf.rank(x)
    yield tf.fill([2, 3], x[0, 0, 0])
    yield tf.range(0.0, 3.0, 0.5) + x[0, 0, 0]
    yield tf.linspace(x[0, 0, 0], 5.0, 4)
    yield tf.meshgrid(x[0, 0], x[0, 1])[0]
    yield tf.space_to_batch_nd(tf.pad(x, [[0, 0], [0, 1], [0, 0]]), [2], [[0, 0]])
    yield tf.nn.space_to_depth(tf.reshape(x, [1, 4, 6, 1]), 2)
    yield tf.nn.depth_to_space(tf.reshape(x, [1, 1, 6, 4]), 2)
    yield from raw.ShapeN(input=[x, x[0]])
    yield tf.identity_n([x, x + 1])[1]


@group
def index(put):
    x, i = put("x", data(4, 5)), put("i", ints(3, high=4))
    b = put("b", data(2, 3, 4))
    yield tf.gather(x, i)
    yield tf.gather(x, i, axis=1)
    yield tf.gather(b, [[0, 2], [3, 1]], axis=2, batch_dims=1)[:, 0]
    yield tf.gather(b, [[0, 2], [2, 1]], axis=1, batch_dims=1)
    yield tf.gather_nd(x, [[0, 1], [3, 4]])
    yield tf.one_hot(i, 4)
    yield tf.one_hot(i, 4, on_value=2.0, off_value=-1.0, axis=0)
    yield tf.scatter_nd([[1], [3]], x[:2], [4, 5])
    yield tf.tensor_scatter_nd_update(x, [[0], [2]], x[2:])
    yield tf.tensor_scatter_nd_add(x, [[0], [0]], x[2:])
    yield tf.tensor_scatter_nd_sub(x, [[0], [1]], x[2:])
    yield tf.tensor_scatter_nd_max(x, [[0], [1]], x[2:])
    yield tf.where(x > 0)
    yield from tf.unique(i)
    yield tf.math.invert_permutation([2, 0, 1, 3])[:2] + i[:2]
    yield raw.Bucketize(input=x, boundaries=[-1.0, 0.0, 1.0])
    yield tf.boolean_mask(x, [True, False, True, True])


@group
def matrix(put):
    a, b = put("a", data(3, 4)), put("b", data(4, 2))
    c, d = put("c", data(2, 3, 4)), put("d", data(2, 5, 4))
    yield tf.matmul(a, b)
    yield tf.matmul(a, a, transpose_b=True)
    yield tf.matmul(a, a, transpose_a=True)
    yield tf.matmul(c, d, transpose_b=True)
    yield tf.nn.bias_add(tf.matmul(a, b), [1.0, 2.0])
    yield tf.einsum("abc,adc->abd", c, d)
    yield tf.einsum("...c,cd->...d", c, b)
    yield tf.tensordot(c, b, axes=[[2], [0]])
    yield tf.linalg.band_part(c, 1, 0)
    yield tf.linalg.band_part(c, -1, 1)
    yield tf.linalg.diag(a)
    yield tf.linalg.diag_part(c)
    yield tf.linalg.det(tf.matmul(c, c, transpose_b=True))
    yield raw.Diag(diagonal=a[0])


@group
def picture(put):
    x = put("x", data(1, 8, 10, 3))
    k, m = tf.constant(data(3, 3, 3, 4)), tf.constant(data(3, 2, 3, 2))
    y = tf.nn.conv2d(x, k, 2, "SAME")
    yield tf.nn.relu(tf.nn.bias_add(y, [1.0, -1.0, 0.5, 0.0]))
    yield tf.nn.conv2d(x, k, 1, "VALID", dilations=2)
    yield tf.nn.conv2d(x, k, 1, [[0, 0], [1, 0], [2, 1], [0, 0]])
    yield tf.nn.depthwise_conv2d(x, m, [1, 1, 1, 1], "SAME")
    yield tf.nn.conv2d_transpose(y, k, [1, 8, 10, 3], 2, "SAME")
    yield tf.nn.max_pool2d(x, 3, 2, "SAME")
    yield tf.nn.avg_pool2d(x, [2, 3], [1, 2], "VALID")
    yield tf.nn.local_response_normalization(x, 1, 1.0, 0.5, 0.75)
    yield tf.image.resize(x, [5, 7])
    yield tf.image.resize(x, [11, 20], method="nearest")
    yield v1.image.resize_bilinear(x, [13, 9], align_corners=True)
    yield v1.image.resize_nearest_neighbor(x, [16, 20])
    yield v1.nn.fused_batch_norm(x, [1.0, 2.0, 3.0], [0.1, 0.2, 0.3],
                                 mean=[0.5, 0.0, -0.5], variance=[1.0, 2.0, 0.5],
                                 is_training=False)[0]
    yield tf.image.extract_patches(x, [1, 2, 3, 1], [1, 2, 2, 1], [1, 1, 1, 1],
                                   "VALID")
    yield tf.image.adjust_contrast(x, 1.5)
    yield tf.image.flip_left_right(x)
    yield tf.reduce_mean(y, [1, 2])
    yield tf.matmul(tf.reshape(y, [1, 80]), tf.constant(data(80, 3)))
    yield raw.FakeQuantWithMinMaxVars(inputs=x, min=-1.0, max=1.5)


@group
def affine(put):
    """Scales and shifts behind convolutions; `twice` is needed as it is."""
    x = put("x", data(1, 5, 6, 3))
    k, m = tf.constant(data(3, 3, 3, 4)), tf.constant(data(3, 3, 3, 2))
    y = tf.nn.conv2d(x, k, 1, "SAME") * data(4) + data(4)
    yield tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(tf.nn.relu(y), tf.constant(
        data(1, 1, 4, 5)), 1, "SAME"), data(5)) * data(1, 1, 1, 5))
    yield tf.nn.relu(tf.nn.depthwise_conv2d(x, m, [1, 1, 1, 1], "VALID") * 0.5)
    twice = tf.nn.conv2d(x, k, 2, "SAME")
    yield tf.nn.relu(twice * 3.0)
    yield tf.nn.relu(twice + data(4))


@group
def cubic(put):
    x = put("x", data(1, 6, 7, 2))
    yield tf.image.resize(x, [9, 14], method="bicubic")
    yield v1.image.resize_bicubic(x, [4, 11])


@group
def channels_first(put):
    """No kernel of the CPU takes this layout: the answers are those of the
    same numbers channels last."""
    x = put("x", data(2, 3, 8, 6))
    k = tf.constant(data(3, 3, 3, 4))
    y = raw.Conv2D(input=x, filter=k, strides=[1, 1, 2, 1], padding="SAME",
                   data_format="NCHW", name="conv")
    y = raw.BiasAdd(value=y, bias=[1.0, 2.0, 3.0, 4.0], data_format="NCHW")
    y = raw.FusedBatchNormV3(x=y, scale=[1.0, 2.0, 3.0, 4.0], offset=[0.0] * 4,
                             mean=[0.1] * 4, variance=[2.0] * 4,
                             is_training=False, data_format="NCHW")[0]
    yield raw.MaxPool(input=y, ksize=[1, 1, 2, 2], strides=[1, 1, 2, 2],
                      padding="VALID", data_format="NCHW")


@group
def boxes(put):
    at = data(1, 12, 2, low=0, high=1)
    box = put("box", np.concatenate([at, at + 0.3], -1).astype(np.float32))
    score = put("score", data(1, 12, 3, low=0, high=1))
    yield tf.image.non_max_suppression(box[0], score[0, :, 0], 5, 0.4)
    yield tf.image.non_max_suppression(box[0], score[0, :, 1], 9, 0.3, 0.5)
    yield from tf.image.combined_non_max_suppression(
        tf.expand_dims(box, 2), score, 4, 8, 0.4, 0.3)
    yield from raw.NonMaxSuppressionV4(
        boxes=box[0], scores=score[0, :, 2], max_output_size=6,
        iou_threshold=0.4, score_threshold=0.1, pad_to_max_output_size=True)


@group
def spectrum(put):
    x = put("x", data(2, 16))
    f = tf.signal.rfft(x)
    yield tf.abs(f)
    yield tf.math.real(f)
    yield tf.math.imag(f)
    yield tf.abs(tf.signal.rfft2d(tf.reshape(x, [1, 4, 8])))


@group
def text(put):
    words = put("words", np.array([["one", "Two"], ["three", "x"]], dtype="S8"))
    yield tf.strings.lower(words)
    yield tf.strings.upper(words)
    yield tf.strings.join([words, words], separator="-")
    yield tf.strings.regex_full_match(words, "[a-z]+")


@group
def branches(put):
    """Switch and Merge, as TensorFlow 1 wrote them."""
    v1.disable_control_flow_v2()
    x, c = put("x", data(4)), put("c", np.array(True))
    yield v1.cond(c, lambda: x + 1, lambda: x * 2)
    yield v1.cond(tf.reduce_sum(x) > 100, lambda: x - 1, lambda: tf.exp(x))
    v1.enable_control_flow_v2()


def run(build, folder):
    given = {}

    def put(name, value):
        p = v1.placeholder(tf.as_dtype(tf.string if value.dtype.kind == "S" else
                                       value.dtype),
                           value.shape, name)
        given[p] = value
        return p

    with tf.Graph().as_default() as graph, v1.Session() as session:
        # A graph's ends are what depends on something.
        outputs = [tf.identity(y, f"y{i:02d}") for i, y in enumerate(build(put))
                   if y.op.type != "Const"]
        if build is channels_first:
            known = last(session, outputs, graph, given)
        else:
            known = session.run(outputs, given)
        graph_def = graph.as_graph_def()
    for node in graph_def.node:
        node.attr.pop("_output_shapes", None)
    name = build.__name__
    (folder / f"{name}.pb").write_bytes(graph_def.SerializeToString(
        deterministic=True))
    arrays = {f"in:{p.name}": v for p, v in given.items()}
    for p, y in zip(outputs, known):
        y = np.asarray(y)
        arrays[f"out:{p.name}"] = y.astype("S") if y.dtype.kind == "O" else y
    np.savez_compressed(folder / f"{name}.npz", **arrays)
    print(name, len(outputs))


def last(session, outputs, graph, given):
    """What channels_first computes, channels last."""
    (x,) = given.values()
    k = session.run(graph.get_operation_by_name("conv").inputs[1])
    with tf.Graph().as_default(), v1.Session() as other:
        y = tf.nn.conv2d(x.transpose(0, 2, 3, 1), k, [1, 2, 1, 1], "SAME")
        y = y + [1.0, 2.0, 3.0, 4.0]
        y = (y - 0.1) / np.sqrt(np.float32(2.0 + 1e-4)) * [1.0, 2.0, 3.0, 4.0]
        y = tf.nn.max_pool2d(y, 2, 2, "VALID")
        return [other.run(y).transpose(0, 3, 1, 2)]


def shorten(graph_def, kept):
    """Other names for nodes, functions and their arguments: files stay small."""
    short = {}

    def of(name):
        head, colon, rest = name.lstrip("^").partition(":")
        if head not in kept:
            head = short.setdefault(head, f"n{len(short)}")
        return ("^" if name[0] == "^" else "") + head + colon + rest

    functions = {f.signature.name: f"f{i}"
                 for i, f in enumerate(graph_def.library.function)}
    for f in graph_def.library.function:
        f.signature.name = functions[f.signature.name]
        for arg in [*f.signature.input_arg, *f.signature.output_arg]:
            arg.name = of(arg.name)
        ret = {of(k): of(v) for k, v in f.ret.items()}
        control = list(f.control_ret)
        for k in control:
            del f.control_ret[k]
        del f.signature.control_output[:]
        f.ret.clear()
        f.ret.update(ret)
    for node in [*graph_def.node] + [n for f in graph_def.library.function
                                     for n in f.node_def]:
        node.name = of(node.name)
        inputs = [of(i) for i in node.input]
        del node.input[:]
        node.input.extend(inputs)
        for value in node.attr.values():
            if value.HasField("func"):
                value.func.name = functions[value.func.name]


def recurrent(folder):
    """Keras's layers, which are loops in a graph, frozen."""
    from tensorflow.python.framework import convert_to_constants
    keras = tf.keras
    keras.utils.set_random_seed(3)
    x = keras.Input((None, 3), name="x")
    layers = keras.layers
    a = layers.LSTM(4, return_sequences=True, name="a")(x)
    outputs = [
        layers.LSTM(3, name="b")(a),
        layers.GRU(3, return_sequences=True, name="c")(a),
        layers.GRU(2, reset_after=False, go_backwards=True, name="d")(a),
        layers.SimpleRNN(2, name="e")(a)]
    model = keras.Model(x, outputs, name="m")
    for w in model.weights:
        w.assign(data(*w.shape, low=-0.7, high=0.7))
    given = data(2, 6, 3)
    function = tf.function(model).get_concrete_function(
        tf.TensorSpec([None, None, 3], name="x"))
    frozen = convert_to_constants.convert_variables_to_constants_v2(
        function, lower_control_flow=False)
    graph_def = frozen.graph.as_graph_def()
    for f in graph_def.library.function:
        for part in (f.attr, f.arg_attr, f.resource_arg_unique_id):
            part.clear()
    for node in [*graph_def.node] + [n for f in graph_def.library.function
                                     for n in f.node_def]:
        for key in [*node.attr]:
            if key[0] == "_" or key in ("config_proto", "output_shapes",
                                        "parallel_iterations", "executor_type"):
                del node.attr[key]
    shorten(graph_def, {"x"} | {t.op.name for t in frozen.outputs})
    (folder / "recurrent.pb").write_bytes(graph_def.SerializeToString(
        deterministic=True))
    known = [y.numpy() for y in model(given)]
    np.savez_compressed(folder / "recurrent.npz", **{"in:x:0": given}, **{
        f"out:{t.name}": y for t, y in zip(frozen.outputs, known)})
    print("recurrent", len(known))


def browser(folder):
    """A graph model of TensorFlow.js, written as its converter does: the graph
    as JSON, constants in files, here in two parts and partly quantized."""
    from google.protobuf import json_format
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 8, 8, 3], "x")
        y = tf.nn.relu(tf.nn.bias_add(
            tf.nn.conv2d(x, tf.constant(data(3, 3, 3, 4), name="kernel"), 2,
                         "SAME"), tf.constant(data(4), name="bias")))
        y = tf.matmul(tf.reshape(y, [-1, 64]),
                      tf.constant(data(64, 5), name="half"))
        y = tf.nn.softmax(y + tf.constant(data(5), name="codes"), name="y")
        graph_def = graph.as_graph_def()
        given = data(2, 8, 8, 3)
        consts = {n.name: tf.make_ndarray(n.attr["value"].tensor)
                  for n in graph_def.node if n.op == "Const"}
        listed, parts = [], []
        replaced = {}
        for name, value in consts.items():
            one = {"name": name, "shape": list(value.shape),
                   "dtype": str(value.dtype)}
            if name == "half":
                raw_bytes = value.astype(np.float16)
                one["quantization"] = {"dtype": "float16",
                                       "original_dtype": "float32"}
                replaced[name] = raw_bytes.astype(np.float32)
            elif name == "codes":
                low, scale = float(value.min()), float(np.ptp(value)) / 255
                raw_bytes = np.round((value - low) / scale).astype(np.uint8)
                one["quantization"] = {"dtype": "uint8", "min": low,
                                       "scale": scale,
                                       "original_dtype": "float32"}
                replaced[name] = (raw_bytes * scale + low).astype(np.float32)
            else:
                raw_bytes = value
            listed.append(one)
            parts.append(raw_bytes.tobytes())
        known = session.run("y:0", {x: given, **{
            f"{k}:0": v for k, v in replaced.items()}})
    for n in graph_def.node:
        n.attr.pop("_output_shapes", None)
        if n.op == "Const":
            n.attr["value"].tensor.ClearField("tensor_content")
            n.attr["value"].tensor.ClearField("float_val")
            n.attr["value"].tensor.ClearField("int_val")
    blob = b"".join(parts)
    to = folder / "browser"
    to.mkdir(exist_ok=True)
    (to / "group1-shard1of2.bin").write_bytes(blob[:200])
    (to / "group1-shard2of2.bin").write_bytes(blob[200:])
    (to / "model.json").write_text(json.dumps({
        "format": "graph-model", "generatedBy": tf.__version__,
        "convertedBy": "make.py",
        "modelTopology": json_format.MessageToDict(graph_def),
        "weightsManifest": [{"paths": ["group1-shard1of2.bin",
                                       "group1-shard2of2.bin"],
                             "weights": listed}]}))
    np.savez_compressed(folder / "browser.npz", **{"in:x:0": given,
                                                   "out:y:0": known})
    print("browser 1")


def grappler(folder):
    """Products with what Grappler fuses to them, put together by hand."""
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder(tf.float32, [2, 6, 6, 3], "x")
        k, b = tf.constant(data(3, 3, 3, 4)), tf.constant(data(4))
        m, c = tf.constant(data(144, 3)), tf.constant(data(3))
        y = tf.nn.conv2d(x, k, 1, "SAME", name="conv")
        y = tf.nn.relu(tf.nn.bias_add(y, b, name="conv_bias"), name="relu")
        tf.identity(y, "y")
        z = tf.matmul(tf.reshape(y, [2, 144]), m, name="product")
        z = tf.nn.elu(tf.nn.bias_add(z, c, name="product_bias"), name="z")
        given = data(2, 6, 6, 3)
        known = session.run([y, z], {x: given})
        graph_def = graph.as_graph_def()
    nodes = {n.name: n for n in graph_def.node}
    for of, bias, last, op in (("conv", "conv_bias", "relu", "_FusedConv2D"),
                               ("product", "product_bias", "z", "_FusedMatMul")):
        fused = nodes[of]
        fused.op = op
        fused.input.append(nodes[bias].input[1])
        fused.attr["fused_ops"].list.s.extend([b"BiasAdd",
                                               nodes[last].op.encode()])
        nodes[last].op = "Identity"
        nodes[last].input[0] = of
        graph_def.node.remove(nodes[bias])
    for n in graph_def.node:
        n.attr.pop("_output_shapes", None)
    (folder / "grappler.pb").write_bytes(graph_def.SerializeToString(
        deterministic=True))
    np.savez_compressed(folder / "grappler.npz", **{
        "in:x:0": given, "out:y:0": known[0], "out:z:0": known[1]})
    print("grappler 2")


def checkpoint(folder):
    """A graph beside its variables, as tf.train.Saver leaves them."""
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 3], "x")
        v1.disable_resource_variables()
        old = v1.get_variable("old", initializer=data(3, 4))
        new = v1.get_variable("new", initializer=data(4), use_resource=True)
        y = tf.identity(tf.nn.relu(tf.matmul(x, old) + new), "y")
        session.run(v1.global_variables_initializer())
        given = data(2, 3)
        v1.train.Saver().save(session, str(folder / "checkpoint" / "model"))
        known = session.run(y, {x: given})
    os.remove(folder / "checkpoint" / "checkpoint")
    np.savez_compressed(folder / "checkpoint.npz", **{"in:x:0": given,
                                                      "out:y:0": known})
    print("checkpoint 1")


if __name__ == "__main__":
    to = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    only = sys.argv[2:]
    for key, function in MADE.items():
        if not only or key in only:
            run(function, to)
    for function in (recurrent, browser, grappler, checkpoint):
        if not only or function.__name__ in only:
            function(to)
