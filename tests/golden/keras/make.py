"""Makes the files beside it: models of many layers with one output for each
setting, and what Keras makes of an input.  Made with TensorFlow 2.21.0 and
Keras 3.15.1:

    python3 -m venv tf && tf/bin/pip install tensorflow-cpu==2.21.0
    tf/bin/python tests/golden/keras/make.py tests/golden/keras

X.keras or X.h5 is the model, X.npz holds its input `x` and, by output, what
Keras answers.  Outputs are called after their layers.  X.weights.h5 and X.json
are a model in two files."""
import json
import os
import shutil
import sys
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import h5py  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers as L  # noqa: E402

FOLDER = sys.argv[1]
rng = np.random.default_rng(1)


def image(x):
    """Channels first in ONNX, where x is as Keras has it."""
    return L.Conv2D(4, 1)(x)


def spatial(cls, x, **more):
    for padding in "valid", "same":
        for s in 1, 2, 3:
            yield cls(padding=padding, strides=s,
                      name=f"{more.get('tag', 'a')}_{padding}_{s}",
                      **{k: v for k, v in more.items() if k != "tag"})(x)


def conv():
    x = keras.Input((7, 8, 4), name="x")
    bias = {"bias_initializer": "normal"}
    y = list(spatial(L.Conv2D, x, filters=3, kernel_size=(3, 2),
                     activation="relu", tag="conv", **bias))
    y += spatial(L.DepthwiseConv2D, x, kernel_size=3, depth_multiplier=2,
                 tag="depthwise", **bias)
    y += spatial(L.SeparableConv2D, x, filters=3, kernel_size=3,
                 depth_multiplier=2, activation="tanh", tag="separable")
    for p in "valid", "same":
        y += [L.Conv2D(3, (3, 2), dilation_rate=(2, 3), padding=p,
                       name=f"dilated_{p}")(x),
              L.DepthwiseConv2D(3, dilation_rate=2, padding=p,
                                name=f"dw_dilated_{p}")(x),
              L.Conv2D(6, 3, groups=2, padding=p, use_bias=False,
                       name=f"groups_{p}")(x)]
    for p in "same", "valid":
        y.append(L.Conv2D(3, 3, strides=2, padding=p, name=f"padded_{p}")(
            L.ZeroPadding2D(((1, 2), (3, 0)))(x)))
    y.append(L.Conv2D(3, 3, name="padded_twice")(
        L.ZeroPadding2D(1)(L.ZeroPadding2D(1)(x))))
    return x, y


def transposed():
    x = keras.Input((4, 5, 3), name="x")
    y = list(spatial(L.Conv2DTranspose, x, filters=2, kernel_size=(3, 2),
                     bias_initializer="normal", tag="odd"))
    y += spatial(L.Conv2DTranspose, x, filters=2, kernel_size=(4, 5),
                 tag="even")
    for p in "valid", "same":
        y += [L.Conv2DTranspose(2, 3, dilation_rate=2, padding=p,
                                name=f"dilated_{p}")(x),
              L.Conv2DTranspose(2, (3, 2), strides=2, output_padding=1,
                                padding=p, name=f"output_padding_{p}")(x)]
    y.append(L.Conv2DTranspose(2, 3, name="padded")(L.ZeroPadding2D(1)(x)))
    return x, y


def line():
    """One spatial axis, and three."""
    x = keras.Input((8, 6), name="x")
    y = list(spatial(L.Conv1D, x, filters=3, kernel_size=3, tag="conv"))
    y += spatial(L.Conv1DTranspose, x, filters=2, kernel_size=4, tag="back")
    y += spatial(L.AveragePooling1D, x, pool_size=3, tag="mean")
    y += [L.Conv1D(3, 3, dilation_rate=2, padding="causal", name="causal")(x),
          L.Conv1D(3, 3, strides=2, padding="causal", name="causal_2")(x),
          L.DepthwiseConv1D(3, depth_multiplier=2, name="depthwise")(x),
          L.SeparableConv1D(3, 3, padding="same", name="separable")(x),
          L.ZeroPadding1D((1, 2), name="pad")(x),
          L.Cropping1D((0, 2), name="crop")(x),
          L.UpSampling1D(3, name="up")(x),
          L.GlobalAveragePooling1D(name="mean_of_all")(x)]
    v = L.Reshape((4, 3, 2, 2))(x)
    y += spatial(L.Conv3D, v, filters=2, kernel_size=(2, 3, 2), tag="solid")
    y += spatial(L.Conv3DTranspose, v, filters=1, kernel_size=2,
                 tag="solid_back")
    y += [L.ZeroPadding3D(((1, 0), (0, 2), (1, 1)), name="pad3")(v),
          L.Cropping3D(((1, 0), (0, 2), (1, 0)), name="crop3")(v),
          L.UpSampling3D((1, 2, 3), name="up3")(v),
          L.AveragePooling3D(2, padding="same", name="mean3")(v),
          L.GlobalMaxPooling3D(keepdims=True, name="max_of_all")(v)]
    return x, y


def pool(shape=(7, 8, 4)):
    x = keras.Input(shape, name="x")
    y = list(spatial(L.MaxPooling2D, x, pool_size=(3, 2), tag="max"))
    y += spatial(L.AveragePooling2D, x, pool_size=(3, 2), tag="mean")
    y += [L.MaxPooling2D(3, name="padded")(L.ZeroPadding2D(2)(x)),
          L.AveragePooling2D(2, name="default_strides")(x),
          L.GlobalAveragePooling2D(keepdims=True, name="keep")(image(x)),
          L.GlobalMaxPooling2D(name="all")(image(x)),
          L.GlobalMaxPooling2D(name="all_last")(x)]
    return x, y


def free():
    """Sizes known when it runs only."""
    x, y = pool((None, None, 4))
    y += spatial(L.Conv2D, x, filters=3, kernel_size=(3, 4), tag="conv")
    y += [L.Conv2D(3, 3, padding="same", strides=2, name="padded_conv")(
              L.ZeroPadding2D(1)(x)),
          L.Conv2DTranspose(2, 3, strides=2, padding="same", name="back")(x),
          L.UpSampling2D(2, name="up")(x)]
    return x, y


def norm():
    x = keras.Input((4, 5, 5), name="x")
    y = []
    for kind, v in ("last", x), ("first", L.Conv2D(5, 1)(x)):
        for a in -1, 1, 2:
            y += [L.BatchNormalization(axis=a, epsilon=0.01,
                                       name=f"batch_{kind}_{a % 4}")(v),
                  L.UnitNormalization(axis=a, name=f"unit_{kind}_{a % 4}")(v),
                  L.Concatenate(axis=a, name=f"cat_{kind}_{a % 4}")([v, x]),
                  L.Softmax(axis=a, name=f"softmax_{kind}_{a % 4}")(v)]
        y += [L.LayerNormalization(epsilon=0.01, name=f"layer_{kind}")(v),
              L.GroupNormalization(groups=-1, name=f"group_{kind}")(v),
              L.PReLU("normal", name=f"prelu_{kind}")(v),
              L.PReLU("normal", shared_axes=[1, 2],
                      name=f"prelu_shared_{kind}")(v),
              L.Dense(3, activation="gelu", name=f"dense_{kind}")(v),
              L.Flatten(name=f"flat_{kind}")(v),
              L.Dense(3, name=f"flat_dense_{kind}")(
                  L.BatchNormalization()(L.Flatten()(v))),
              L.Reshape((10, -1), name=f"reshape_{kind}")(v),
              L.Permute((3, 1, 2), name=f"permute_{kind}")(v)]
    y += [L.BatchNormalization(scale=False, name="batch_no_scale")(x),
          L.BatchNormalization(center=False, name="batch_no_center")(x),
          L.LayerNormalization(scale=False, name="layer_no_scale")(x),
          L.LayerNormalization(center=False, name="layer_no_center")(x),
          L.GroupNormalization(5, center=False, scale=False,
                               name="group_bare")(x),
          L.Normalization(mean=[1., 2, 3, 4, 5], variance=[1., 4, 9, 1, 2],
                          name="norm")(x),
          L.Normalization(mean=[1., 2, 3, 4, 5], variance=[1., 4, 9, 1, 2],
                          invert=True, name="norm_inverse")(x)]
    return x, y


ACTIVATIONS = """celu elu exponential gelu hard_shrink hard_sigmoid hard_silu
hard_tanh leaky_relu linear log_sigmoid log_softmax mish relu relu6 selu
sigmoid silu soft_shrink softmax softplus softsign sparse_sigmoid squareplus
tanh tanh_shrink""".split()


def activation():
    x = keras.Input((6,), name="x")
    y = [L.Activation(a, name=f"a_{a}")(x) for a in ACTIVATIONS]
    y += [L.ReLU(max_value=2., negative_slope=0.1, name="relu_all")(x),
          L.ReLU(threshold=0.5, name="relu_threshold")(x),
          L.ReLU(max_value=0.7, name="relu_max")(x),
          L.LeakyReLU(negative_slope=0.07, name="leaky")(x),
          L.ELU(alpha=0.3, name="elu")(x),
          L.Rescaling(0.5, offset=-1., name="rescale")(x),
          L.RepeatVector(3, name="repeat")(x),
          L.Dense(3, use_bias=False, name="dense")(x)]
    return x, y


def merge():
    x = keras.Input((4, 5, 4), name="x")
    y = []
    for kind, v in ("last", x), ("first", image(x)):
        w = L.Activation("tanh")(x)
        row = L.GlobalAveragePooling2D()(x)
        for op in (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum,
                   L.Minimum):
            y.append(op(name=f"{op.__name__.lower()}_{kind}")([v, w]))
        y += [L.Add(name=f"add_row_{kind}")([v, row]),
              L.Add(name=f"add_three_{kind}")([v, w, x])]
    s = L.Reshape((5, 16))(x)
    t = L.Activation("tanh")(s)
    y += [L.Dot(axes=(2, 2), name="dot")([s, t]),
          L.Dot(axes=(1, 1), name="dot_1")([s, t]),
          L.Dot(axes=(1, 1), normalize=True, name="cosine")([s, t]),
          L.Rescaling([1., 2, 3, 4], offset=[.1, .2, .3, .4],
                      name="rescale")(x),
          L.Resizing(3, 9, name="resize")(x),
          L.CenterCrop(2, 3, name="center")(x),
          L.Cropping2D(((1, 0), (0, 2)), name="crop")(image(x)),
          L.ZeroPadding2D(((1, 0), (0, 2)), name="pad")(image(x)),
          L.UpSampling2D((2, 3), name="up")(image(x)),
          L.UpSampling2D((2, 3), interpolation="bilinear", name="up_2")(x)]
    return x, y


def recurrent():
    x = keras.Input((5, 3), name="x")
    y = []
    for cls in L.LSTM, L.GRU, L.SimpleRNN:
        n = cls.__name__.lower()
        more = {"bias_initializer": "normal"}
        y += [cls(4, name=f"{n}", **more)(x),
              cls(4, return_sequences=True, name=f"{n}_steps", **more)(x),
              cls(4, go_backwards=True, return_sequences=True,
                  name=f"{n}_backwards", **more)(x),
              cls(4, go_backwards=True, name=f"{n}_backwards_last", **more)(x),
              cls(2, activation="relu", use_bias=False, name=f"{n}_relu")(x),
              L.Bidirectional(cls(4, **more), name=f"{n}_both")(x),
              L.Bidirectional(cls(4, return_sequences=True, **more),
                              name=f"{n}_both_steps")(x)]
        out = cls(4, return_state=True, return_sequences=True, **more)(x)
        y += [L.Identity(name=f"{n}_out_{i}")(v) for i, v in enumerate(out)]
        y.append(cls(4, name=f"{n}_from_state", **more)(
            x, initial_state=list(out[1:])))
        out = L.Bidirectional(cls(2, return_state=True, **more))(x)
        y += [L.Identity(name=f"{n}_both_out_{i}")(v)
              for i, v in enumerate(out)]
        y.append(L.Bidirectional(cls(2, **more), name=f"{n}_both_from_state")(
            x, initial_state=list(out[1:])))
    for mode in "sum", "mul", "ave":
        y += [L.Bidirectional(L.LSTM(2), merge_mode=mode, name=mode)(x),
              L.Bidirectional(L.LSTM(2, return_sequences=True),
                              merge_mode=mode, name=f"{mode}_steps")(x)]
    pair = L.Bidirectional(L.GRU(2, return_sequences=True),
                           merge_mode=None)(x)
    y += [L.Identity(name="forward")(pair[0]), L.Identity(name="back")(pair[1]),
          L.GRU(3, reset_after=False, bias_initializer="normal",
                name="reset_before")(x),
          L.Bidirectional(L.GRU(3, reset_after=False), name="both_reset")(x),
          L.LSTM(3, recurrent_activation="hard_sigmoid", activation="softsign",
                 name="hard")(x),
          L.Bidirectional(L.LSTM(3, recurrent_activation="hard_sigmoid",
                                 activation="elu"), name="both_hard")(x),
          L.TimeDistributed(L.Dense(2, activation="softmax"),
                            name="dense_each")(x),
          L.TimeDistributed(L.BatchNormalization(), name="norm_each")(x)]
    shared = L.LSTM(3)
    y.append(L.Add(name="shared")([shared(x), shared(L.Activation("tanh")(x))]))
    v = L.Reshape((5, 3, 1))(x)
    inner = keras.Sequential([keras.Input((3, 1)), L.Conv1D(2, 2), L.Flatten(),
                              L.Dense(2)])
    y += [L.TimeDistributed(L.Conv1D(2, 2, activation="relu"),
                            name="conv_each")(v),
          L.TimeDistributed(inner, name="net_each")(v),
          L.TimeDistributed(L.LSTM(2), name="lstm_each")(v)]
    return x, y


def conv_lstm():
    x = keras.Input((4, 5, 6), name="x")
    more = {"bias_initializer": "normal"}
    v = L.Reshape((4, 5, 3, 2))(x)
    y = [L.ConvLSTM2D(3, 3, padding="same", name="same", **more)(v),
         L.ConvLSTM2D(3, (2, 3), name="valid", activation="relu",
                      recurrent_activation="hard_sigmoid", **more)(v),
         L.ConvLSTM2D(2, 2, strides=2, padding="same", use_bias=False,
                      return_sequences=True, name="steps")(v),
         L.ConvLSTM2D(2, 2, dilation_rate=2, padding="same",
                      go_backwards=True, return_sequences=True,
                      name="backwards")(v),
         L.ConvLSTM1D(3, 3, padding="same", return_sequences=True,
                      name="line", **more)(x),
         L.ConvLSTM3D(2, 2, padding="same", name="solid")(
             L.Reshape((4, 5, 3, 2, 1))(x)),
         L.Flatten(name="stacked")(L.ConvLSTM2D(2, 2)(L.BatchNormalization()(
             L.ConvLSTM2D(3, 2, return_sequences=True)(v)))),
         L.Conv3D(2, 2, name="solid_of_steps")(
             L.ConvLSTM2D(3, 2, padding="same", return_sequences=True)(v)),
         L.TimeDistributed(L.Conv2D(2, 2), name="conv_each")(
             L.ConvLSTM2D(3, 2, padding="same", return_sequences=True)(v)),
         L.Bidirectional(L.ConvLSTM2D(2, 2, **more), name="both")(v),
         L.Bidirectional(L.ConvLSTM2D(2, 2, return_sequences=True),
                         merge_mode="sum", name="both_steps")(v)]
    out = L.ConvLSTM2D(3, 2, padding="same", return_state=True,
                       return_sequences=True)(v)
    y += [L.Identity(name=f"out_{i}")(t) for i, t in enumerate(out)]
    y.append(L.ConvLSTM2D(3, 2, padding="same", name="from_state")(
        v, initial_state=list(out[1:])))
    shared = L.ConvLSTM2D(2, 2)
    y.append(L.Add(name="shared")([shared(v), shared(L.Activation("tanh")(v))]))
    return x, y


def adapted(layer, data):
    """What is learnt goes into a file of its own."""
    layer.adapt(np.array(data))
    return layer


def words():
    x = keras.Input((4,), dtype="string", name="x")
    v = {"vocabulary": ["the", "a", "cat", "dog", "über", "ran"]}
    index = L.StringLookup(**v, name="index")(x)
    some = [L.StringLookup(**v, mask_token="sat", name="masked"),
            L.StringLookup(**v, output_mode="multi_hot", name="multi_hot"),
            L.StringLookup(**v, mask_token="", output_mode="count",
                           name="count"),
            L.StringLookup(**v, max_tokens=12, pad_to_max_tokens=True,
                           output_mode="one_hot", name="one_hot"),
            L.StringLookup(**v, idf_weights=[1., 2, 3, 4, 5, 6],
                           output_mode="tf_idf", name="tf_idf"),
            L.StringLookup(vocabulary=["", "[UNK]"] + v["vocabulary"],
                           mask_token="", name="special"),
            adapted(L.StringLookup(name="adapted"), ["sat", "dog", "dog"])]
    return x, [index, L.Embedding(8, 3, name="embedded")(index),
               L.StringLookup(**v, invert=True, name="back")(index),
               *[f(x) for f in some]]


def numbers():
    x = keras.Input((4,), dtype="int64", name="x")
    v = {"vocabulary": [10, 12, 7, 30]}
    bins = {"bin_boundaries": [3., 10., 20.]}
    index = L.IntegerLookup(**v, name="index")(x)
    one = L.Cropping1D((0, 3))(L.Reshape((4, 1))(x))
    some = [L.IntegerLookup(**v, mask_token=0, name="masked"),
            L.IntegerLookup(**v, num_oov_indices=3, name="unknown"),
            L.IntegerLookup(**v, output_mode="multi_hot", name="multi_hot"),
            L.IntegerLookup(**v, output_mode="count", name="count"),
            L.IntegerLookup(**v, output_mode="one_hot", name="one_hot"),
            adapted(L.IntegerLookup(name="adapted"), [[4], [4], [7]]),
            L.CategoryEncoding(40, name="encoded"),
            L.CategoryEncoding(40, output_mode="count", name="counted"),
            L.CategoryEncoding(40, output_mode="one_hot", name="each"),
            L.Discretization(**bins, name="bins"),
            L.Discretization(**bins, output_mode="one_hot", name="bins_each"),
            L.Discretization(**bins, output_mode="count", name="bins_counted")]
    return x, [index, L.IntegerLookup(**v, invert=True, name="back")(index),
               L.CategoryEncoding(40, output_mode="one_hot", name="one")(one),
               *[f(x) for f in some]]


WORDS = [["the", "cat", "sat", ""], ["dog", "über", "x y", "[UNK]"],
         ["cat", "cat", "a", "ran"]]
NUMBERS = [[10, 12, 0, 3], [7, 7, 30, 20], [1, 2, 3, 4]]


def masked():
    """Steps that do not count, at the end, in front and between."""
    x = keras.Input((7,), dtype="int32", name="x")
    e = L.Embedding(5, 4, mask_zero=True)(x)

    def other():
        return L.Dense(4)(e)

    y = []
    for cls in L.LSTM, L.GRU, L.SimpleRNN:
        n = cls.__name__.lower()
        y += [cls(3, name=n)(e),
              cls(3, return_sequences=True, name=f"{n}_steps")(e),
              cls(3, go_backwards=True, name=f"{n}_backwards")(e),
              cls(3, go_backwards=True, return_sequences=True,
                  name=f"{n}_backwards_steps")(e),
              L.Bidirectional(cls(3), name=f"{n}_both")(e),
              L.Bidirectional(cls(3, return_sequences=True),
                              name=f"{n}_both_steps")(e)]
    d = L.Dropout(0.5)(L.Dense(4, activation="relu")(e))
    y += [L.GlobalAveragePooling1D(name="mean")(e),
          L.GlobalMaxPooling1D(name="max")(e),
          L.GlobalAveragePooling1D(name="mean_of_conv")(L.Conv1D(3, 2)(e)),
          L.GlobalAveragePooling1D(keepdims=True, name="mean_kept")(
              L.LayerNormalization()(d)),
          L.GRU(2, name="stacked")(L.GRU(3, return_sequences=True)(d)),
          L.LSTM(2, name="added")(L.Add()([e, d])),
          L.LSTM(2, name="joined")(L.Concatenate()([e, d])),
          L.LSTM(2, name="by_step")(L.TimeDistributed(L.Dense(3))(e)),
          L.LSTM(2, name="by_value")(
              L.Masking(0.)(L.Activation("relu")(L.Dense(2)(e)))),
          L.GlobalAveragePooling1D(name="attention_mean")(
              L.MultiHeadAttention(2, 3)(d, other()))]
    # Keras takes the mask off the tensors that attention was given: each call
    # has its own.
    v = other()
    y.append(L.MultiHeadAttention(2, 3, name="attention")(v, v))
    v = other()
    y.append(L.MultiHeadAttention(2, 3, name="attention_causal")(
        v, v, use_causal_mask=True))
    return x, y


def attention():
    x = keras.Input((5, 6), name="x")
    v = L.Dense(4, activation="tanh")(L.Cropping1D((1, 0))(x))
    y = [L.MultiHeadAttention(2, 3, name="self", bias_initializer="normal")(
             x, x),
         L.MultiHeadAttention(2, 3, name="causal")(x, x, use_causal_mask=True),
         L.MultiHeadAttention(3, 2, value_dim=5, output_shape=7,
                              name="cross")(x, v),
         L.MultiHeadAttention(1, 2, use_bias=False, name="key")(
             x, v, key=L.Activation("relu")(v)),
         L.MultiHeadAttention(1, 2, name="causal_cross")(
             x, v, use_causal_mask=True),
         L.GroupQueryAttention(4, 4, 2, name="grouped")(x, x),
         L.Attention(name="dot")([L.Dense(4)(x), v]),
         L.Attention(use_scale=True, name="dot_scaled")(
             [L.Dense(4)(x), v, L.Activation("relu")(v)])]
    return x, y


def weights(model):
    for v in model.weights:
        w = rng.normal(size=v.shape) * 0.5
        v.assign(np.abs(w) + 0.1 if "variance" in v.path else w)


def pack(path):
    """The same archive, packed."""
    with zipfile.ZipFile(path) as z:
        parts = [(i, z.read(i)) for i in z.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for name, data in parts:
            z.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def make(fn, ending, shape=None, data=None):
    keras.utils.clear_session()
    x, y = fn()
    model = keras.Model(x, y)
    weights(model)
    if data is not None:
        answer(fn, ending, model, np.array(data))
        return
    data = (rng.normal(size=shape) * 2).astype(np.float32)
    if model.inputs[0].dtype == "int32":
        data = rng.integers(0, 3, size=shape).astype(np.int32)
    answer(fn, ending, model, data)


def answer(fn, ending, model, data):
    path = f"{FOLDER}/{fn.__name__}"
    model.save(path + ending)
    if ending == ".keras":
        pack(path + ending)
    answers = dict(zip(model.output_names, model(tf.constant(data),
                                                 training=False)))
    answers = {k: np.asarray(v) for k, v in answers.items()}
    np.savez_compressed(path + ".npz", x=data,
                        **{k: np.char.decode(v.astype(bytes), "utf-8")
                           if v.dtype == object else v
                           for k, v in answers.items()})


make(activation, ".h5", (2, 6))
make(conv, ".keras", (2, 7, 8, 4))
make(free, ".keras", (2, 7, 8, 4))
make(line, ".keras", (2, 8, 6))
make(merge, ".h5", (2, 4, 5, 4))
make(norm, ".keras", (2, 4, 5, 5))
make(pool, ".keras", (2, 7, 8, 4))
make(transposed, ".keras", (2, 4, 5, 3))
make(attention, ".keras", (2, 5, 6))
make(masked, ".keras", (4, 7))
make(recurrent, ".keras", (2, 5, 3))
make(conv_lstm, ".keras", (2, 4, 5, 6))
make(words, ".keras", data=WORDS)
make(numbers, ".keras", data=NUMBERS)


def alone(whole, name):
    """Weights as Keras 2 saves them alone, of a file of the whole model; the
    answers are the same."""
    with h5py.File(f"{FOLDER}/{whole}.h5") as f, \
            h5py.File(f"{FOLDER}/{name}.weights.h5", "w") as to:
        for layer in f["model_weights"]:
            f.copy(f"model_weights/{layer}", to)
        for key, v in f["model_weights"].attrs.items():
            to.attrs[key] = v
        config = json.loads(f.attrs["model_config"])
    with open(f"{FOLDER}/{name}.json", "w") as f:
        json.dump({**config, "keras_version": keras.__version__}, f)
    shutil.copy(f"{FOLDER}/{whole}.npz", f"{FOLDER}/{name}.npz")


alone("activation", "alone")
