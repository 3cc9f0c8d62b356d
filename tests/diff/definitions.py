"""What neither onnxruntime on a CPU nor the standard's reference computes, in
numpy, for the reference to use: operators of com.microsoft as its
ContribOperators.md describes them, and the standard's newest."""
import math

import numpy as np
import onnxruntime
from onnx import helper
from onnx.reference.op_run import OpRun

DEFINED = []
erf = np.vectorize(math.erf, otypes=[float])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def wide(x):
    return x.astype(np.float64)


def defined(name, domain="com.microsoft"):
    """Makes an operator of a function of the inputs and attributes, which
    gives one array or a tuple."""
    def add(f):
        def _run(self, *inputs, **attrs):
            y = f(*inputs, **attrs)
            return y if isinstance(y, tuple) else (y,)
        DEFINED.append(type(name, (OpRun,), {"op_domain": domain,
                                             "_run": _run}))
        return f
    return add


@defined("BiasAdd")
def bias_add(x, bias, skip):
    assert x.ndim == 3 and bias.shape == x.shape[2:] and skip.shape == x.shape
    return (wide(x) + wide(bias) + wide(skip)).astype(x.dtype)


@defined("BiasSoftmax")
def bias_softmax(x, bias, axis=1, is_inner_broadcast=0):
    s = wide(x) + wide(bias)
    axes = tuple(range(axis % x.ndim, x.ndim))
    e = np.exp(s - s.max(axes, keepdims=True))
    return (e / e.sum(axes, keepdims=True)).astype(x.dtype)


@defined("BiasSplitGelu")
def bias_split_gelu(x, bias):
    assert bias.shape == x.shape[-1:]
    left, right = np.split(wide(x) + wide(bias), 2, -1)
    return (left * right * 0.5 * (1 + erf(right / math.sqrt(2)))).astype(
        x.dtype)


def normalized(x, gamma, beta, groups, epsilon, activation, channels_last):
    """Of [N, ..., C] or [N, C, ...] in double."""
    assert activation in (0, 1)
    if channels_last:
        x = np.moveaxis(x, -1, 1)
    rows = x.reshape(x.shape[0], groups, -1)
    rows = rows - rows.mean(-1, keepdims=True)
    rows /= np.sqrt((rows**2).mean(-1, keepdims=True) + epsilon)
    to = [1, -1] + [1] * (x.ndim - 2)
    assert gamma.shape == beta.shape == (x.shape[1],)
    y = rows.reshape(x.shape) * gamma.reshape(to) + beta.reshape(to)
    y = y * sigmoid(y) if activation else y
    return np.moveaxis(y, 1, -1) if channels_last else y


@defined("GroupNorm")
def group_norm(x, gamma, beta, groups=1, epsilon=1e-5, activation=0,
               channels_last=1):
    return normalized(wide(x), gamma, beta, groups, epsilon, activation,
                      channels_last).astype(x.dtype)


@defined("SkipGroupNorm")
def skip_group_norm(x, gamma, beta, skip, bias=None, groups=1, epsilon=1e-5,
                    activation=0, channels_last=1):
    n, channels = x.shape[0], x.shape[-1 if channels_last else 1]
    if skip.shape != x.shape:
        assert channels_last
        skip = skip.reshape(n, 1, 1, channels)
    s = wide(x) + wide(skip)
    if bias is not None:
        s = s + (wide(bias) if channels_last else
                 wide(bias).reshape(-1, 1, 1))
    s = s.astype(x.dtype)
    y = normalized(wide(s), gamma, beta, groups, epsilon, activation,
                   channels_last).astype(x.dtype)
    return y, s


@defined("GatedRelativePositionBias")
def gated_bias(query, query_bias, rel_pos, weight, bias, eco_a,
               token_offset=None, num_heads=1):
    batch, length, width = query.shape
    assert query_bias.shape == (width,)
    q = (wide(query) + wide(query_bias)).reshape(
        batch, length, num_heads, -1).transpose(0, 2, 1, 3)
    rows = q @ wide(weight) + wide(bias)
    gates = sigmoid(rows.reshape(*rows.shape[:-1], 2, -1).sum(-1))
    u, r = gates[..., 0:1], gates[..., 1:2]
    return (wide(rel_pos) * (u * (r * wide(eco_a) - 1) + 2)).astype(
        query.dtype)


@defined("RelativePositionBias")
def position_bias(table, query_length, key_length, max_distance=128,
                  is_bidirectional=0):
    assert max_distance > 0
    (q,), (k,) = query_length.ravel(), key_length.ravel()
    buckets, heads = table.shape
    away = np.arange(k)[None] - np.arange(q)[:, None]  # key - query
    first = 0
    n = buckets
    if is_bidirectional:
        n //= 2
        first = np.where(away > 0, n, 0)
        away = abs(away)
    else:
        away = np.maximum(-away, 0)
    exact = n // 2
    far = exact + (np.log(np.maximum(away, 1).astype(np.float32) / exact)
                   / np.float32(math.log(max_distance / exact))
                   * np.float32(n - exact)).astype(np.int64)
    at = first + np.where(away < exact, away, np.minimum(far, n - 1))
    return table.reshape(heads, buckets)[:, at][None]


@defined("MulInteger")
def mul_integer(a, a_zero=None, b=None, b_zero=None):
    def less(x, zero):
        return x.astype(np.int32) - (0 if zero is None
                                     else zero.ravel()[0].astype(np.int32))
    return less(a, a_zero) * less(b, b_zero)


def attend(q, k, v, scale, bias=None):
    """[N, L, E], [N, S, E], [N, S, V] in double."""
    s = q @ k.transpose(0, 2, 1) * scale
    s = s if bias is None else s + bias
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) @ v


def packed(q, k, v, offsets, sums, bias, heads, scale):
    """Rows of all tokens, those of a sequence behind each other."""
    def split(x, a, b):
        return x[a:b].reshape(b - a, heads, -1).transpose(1, 0, 2)
    assert sums[-1] == len(q) == len(k) == len(v)
    scale = scale or 1 / math.sqrt(q.shape[1] // heads)
    out = []
    for i, (a, b) in enumerate(zip(sums, sums[1:])):
        n = b - a
        own = None if bias is None else bias[min(i, len(bias) - 1), :, :n, :n]
        out.append(attend(split(q, a, b), split(k, a, b), split(v, a, b),
                          scale, own).transpose(1, 0, 2).reshape(n, -1))
    return np.concatenate(out)


def turned(x, cos, sin, at, interleaved):
    """Rows [n, H] at positions from `at` on, turned by their angles."""
    n, half = len(x), cos.shape[1]
    c, s = cos[at:at + n], sin[at:at + n]
    pairs = x[:, :2 * half]
    a, b = (pairs[:, ::2], pairs[:, 1::2]) if interleaved else \
        (pairs[:, :half], pairs[:, half:])
    y = x.copy()
    parts = a * c - b * s, b * c + a * s
    y[:, :2 * half] = np.stack(parts, -1).reshape(n, -1) if interleaved else \
        np.concatenate(parts, 1)
    return y


@defined("SparseAttention")
def sparse_attention(q, k, v, past_k, past_v, rows, columns, total, lengths,
                     cos=None, sin=None, num_heads=1, kv_num_heads=1,
                     sparse_block_size=16, scale=0.0, do_rotary=0,
                     rotary_interleaved=0):
    batch, length = q.shape[:2]
    size, room = past_k.shape[3], past_k.shape[2]
    group = num_heads // kv_num_heads
    assert 0 < total.item() <= room and not do_rotary or cos is not None
    if k is None:
        q, k, v = np.split(q, [num_heads * size,
                               (num_heads + kv_num_heads) * size], -1)
    heads = [wide(x).reshape(batch, length, -1, size) for x in (q, k, v)]
    y = np.zeros(heads[0].shape)
    for b, h, i in np.ndindex(batch, num_heads, length):
        n = int(lengths[b])
        assert (1 if length == total.item() else length) <= n <= total.item()
        past, g = max(n - length, 0), h // group
        if past + i >= n:
            continue  # of a row that is padding
        x, new = heads[0][b, i:i + 1, h], heads[1][b, :, g]
        if do_rotary:
            x = turned(x, wide(cos), wide(sin), past + i, rotary_interleaved)
            new = turned(new, wide(cos), wide(sin), past, rotary_interleaved)
        keys = np.concatenate([wide(past_k[b, g, :past]), new])
        values = np.concatenate([wide(past_v[b, g, :past]), heads[2][b, :, g]])
        which, row = h % len(rows), (past + i) // sparse_block_size
        blocks = columns[which][rows[which][row]:rows[which][row + 1]]
        sees = [j for j in range(past + i + 1)
                if j // sparse_block_size in blocks]
        s = keys[sees] @ x[0] * (scale or 1 / math.sqrt(size))
        e = np.exp(s - s.max())
        y[b, i, h] = e / e.sum() @ values[sees]
    return y.reshape(batch, length, -1).astype(q.dtype), past_k, past_v


@defined("PackedAttention")
def packed_attention(x, weights, bias, offsets, sums, attention_bias=None,
                     num_heads=1, scale=0.0, qkv_hidden_sizes=None):
    rows = wide(x) @ wide(weights) + wide(bias)
    q, k, v = np.split(rows, 3, 1)
    return packed(q, k, v, offsets, sums, attention_bias, num_heads,
                  scale).astype(x.dtype)


@defined("PackedMultiHeadAttention")
def packed_multi_head(q, k=None, v=None, bias=None, offsets=None, sums=None,
                      attention_bias=None, num_heads=1, scale=0.0,
                      mask_filter_value=0):
    dtype = q.dtype
    if q.ndim == 4:
        q, k, v = (q[:, :, i].reshape(len(q), -1) for i in range(3))
    parts = [wide(x) for x in (q, k, v)]
    if bias is not None:
        parts = [x + b for x, b in zip(parts, np.split(wide(bias), 3))]
    return packed(*parts, offsets, sums, attention_bias, num_heads,
                  scale).astype(dtype)


@defined("RemovePadding")
def remove_padding(x, counts):
    batch, length = x.shape[:2]
    assert (counts <= length).all()
    real = [b * length + i for b, n in enumerate(counts) for i in range(n)]
    rest = [i for i in range(batch * length) if i not in real]
    return (x.reshape(batch * length, -1)[real],
            np.array(real + rest, np.int32).reshape(batch, length),
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
            np.array([max(counts)], np.int32))


@defined("RestorePadding")
def restore_padding(x, offsets):
    assert offsets.min() >= 0
    y = np.zeros((offsets.size, x.shape[1]), x.dtype)
    y[offsets.ravel()[:len(x)]] = x
    return y.reshape(*offsets.shape, -1)


@defined("QLinearReduceMean")
def q_reduce_mean(x, scale, zero, y_scale, y_zero=None, *, axes, keepdims=1):
    zero = x.dtype.type(0) if zero is None else zero
    y_zero = x.dtype.type(0) if y_zero is None else y_zero
    mean = (wide(x) - wide(zero)).mean(tuple(axes), keepdims=bool(keepdims))
    return quantized(mean * wide(scale), y_scale, y_zero)


@defined("TorchEmbedding")
def embedding(table, at, padding=None, by_frequency=None):
    assert at.size == 0 or at.min() >= 0
    return table[at]


@defined("SwiGLU", "")
def swi_glu(a, b, alpha=1.0):
    assert a.shape == b.shape
    x = wide(a)
    return (x * sigmoid(alpha * x) * wide(b)).astype(a.dtype)


@defined("DecoderMaskedSelfAttention")
def decoder_self(x, weights, bias, mask, past, attention_bias=None,
                 past_length=None, beams=None, indirection=None, num_heads=1,
                 scale=0.0, past_present_share_buffer=0):
    batch = len(x)
    rows = wide(x) @ wide(weights) + wide(bias)
    q, k, v = (r.reshape(batch, 1, num_heads, -1).transpose(0, 2, 1, 3)
               for r in np.split(rows, 3, -1))
    k, v = (np.concatenate([wide(p), n], 2) for p, n in zip(past, (k, v)))
    size = q.shape[-1]
    y = [attend(q[i], k[i], v[i], scale or 1 / math.sqrt(size),
                None if attention_bias is None else wide(attention_bias[0]))
         for i in range(batch)]
    return (np.stack(y).transpose(0, 2, 1, 3).reshape(batch, 1, -1).astype(
        x.dtype), np.stack([k, v]).astype(x.dtype))


def conv(x, w, b, attrs):
    """By onnxruntime's Conv, in float32 or wider, with channels last."""
    names = ["x", "w", "b"][:2 if b is None else 3]
    given = [a.astype(np.float64 if a.dtype == np.float64 else np.float32)
             for a in (np.moveaxis(x, -1, 1), w, b) if a is not None]
    code = helper.np_dtype_to_tensor_dtype(given[0].dtype)
    graph = helper.make_graph(
        [helper.make_node("Conv", names, ["y"], **attrs)], "conv",
        [helper.make_tensor_value_info(n, code, a.shape)
         for n, a in zip(names, given)],
        [helper.make_tensor_value_info("y", code, None)])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8).SerializeToString(), options)
    y, = session.run(None, dict(zip(names, given)))
    return np.moveaxis(y, 1, -1).astype(x.dtype)


@defined("NhwcConv")
def nhwc_conv(x, w, b=None, **attrs):
    return conv(x, w, b, attrs)


ACTIVATIONS = {
    "Relu": lambda x: np.maximum(x, 0),
    "Tanh": np.tanh,
    "Sigmoid": sigmoid,
    "LeakyRelu": lambda x, a=0.01: np.where(x < 0, a * x, x),
    "Clip": lambda x, low=-math.inf, high=math.inf: np.clip(x, low, high),
    "HardSigmoid": lambda x, a=0.2, b=0.5: np.clip(a * x + b, 0, 1)}


@defined("NhwcFusedConv")
def nhwc_fused_conv(x, w, b=None, z=None, activation="",
                    activation_params=(), **attrs):
    y = conv(x, w, b, attrs)
    y = y if z is None else y + z
    if activation:
        y = ACTIVATIONS[activation](y, *activation_params)
    return y.astype(x.dtype)


def quantized(x, scale, zero):
    top = np.iinfo(zero.dtype)
    return np.clip(np.rint(x / wide(scale)) + wide(zero), top.min,
                   top.max).astype(zero.dtype)


@defined("QGemm")
def q_gemm(a, a_scale, a_zero, b, b_scale, b_zero, third=None, y_scale=None,
           y_zero=None, transA=0, transB=0, alpha=1.0):
    a, b = wide(a) - wide(a_zero), wide(b).T if transB else wide(b)
    b = b - (wide(b_zero) if b_zero.size > 1 else wide(b_zero).ravel())
    y = (a.T if transA else a) @ b
    scale = wide(a_scale) * wide(b_scale).ravel() * alpha
    y = (y + (0 if third is None else wide(third))) * scale
    return y.astype(np.float32) if y_scale is None else \
        quantized(y, y_scale, y_zero)


@defined("SampleOp")
def sample(x):
    return x


@defined("Multinomial", "")
def certain(x, dtype=6, sample_size=1, seed=None):
    """Where one outcome of each row is certain."""
    assert dtype in (6, 7) and sample_size > 0
    return np.repeat(x.argmax(1)[:, None], sample_size, 1).astype(
        np.int32 if dtype == 6 else np.int64)


# The standard's words take the rest of the division of all indices, that of
# the batch too, which only the last of them can mean; so does the reference.

@defined("TensorScatter", "")
def tensor_scatter(past, update, write_indices=None, mode="linear", axis=-2):
    assert mode in ("linear", "circular")
    axis = range(past.ndim)[axis]
    assert axis > 0 and past.ndim == update.ndim
    room, n = past.shape[axis], update.shape[axis]
    assert n <= room and all(
        a == b for i, (a, b) in enumerate(zip(past.shape, update.shape))
        if i != axis)
    y = past.copy()
    for b in range(len(past)):
        at = 0 if write_indices is None else int(write_indices[b])
        assert mode == "circular" or 0 <= at <= room - n
        for i in range(n):
            to, of = ([b] + [slice(None)] * (axis - 1) + [k]
                      for k in ((at + i) % room, i))
            y[tuple(to)] = update[tuple(of)]
    return y


# Strings.  The reference takes accents off and words out of elements.

@defined("StringNormalizer", "")
def string_normalizer(x, case_change_action="NONE", is_case_sensitive=0,
                      locale=None, stopwords=()):
    assert x.ndim == 1 or x.ndim == 2 and len(x) == 1
    assert case_change_action in ("NONE", "LOWER", "UPPER")
    fold = str if is_case_sensitive else str.lower
    stops = {fold(w) for w in stopwords or ()}
    words = [str(w) for w in x.ravel() if fold(str(w)) not in stops] or [""]
    change = {"NONE": str, "LOWER": str.lower, "UPPER": str.upper}
    words = [change[case_change_action](w) for w in words]
    return np.array(words, object).reshape([1] * (x.ndim - 1) + [-1])


# Training: the standard's functions, in the type of what is trained.  The
# reference's results have the type of the rate, where that is wider.

def steps(kept):
    """An optimizer of one tensor, of lists of them."""
    def over(f):
        def run(rate, t, *inputs, **attrs):
            n = len(inputs) // (2 + kept)
            assert len(inputs) == n * (2 + kept)
            groups = [inputs[i * n:(i + 1) * n] for i in range(2 + kept)]
            made = []
            for parts in zip(*groups):
                assert all(p.shape == parts[0].shape for p in parts)
                made.append([y.astype(parts[0].dtype) for y in f(
                    float(rate.ravel()[0]), int(t.ravel()[0]),
                    *map(wide, parts), **attrs)])
            return tuple(y for group in zip(*made) for y in group)
        return run
    return over


TRAINING = "ai.onnx.preview.training"


@defined("Adagrad", TRAINING)
@steps(1)
def adagrad(rate, t, x, g, h, norm_coefficient=0.0, decay_factor=0.0,
            epsilon=1e-6):
    rate /= 1 + t * decay_factor
    g = norm_coefficient * x + g
    h = h + g * g
    return x - rate * g / (np.sqrt(h) + epsilon), h


@defined("Momentum", TRAINING)
@steps(1)
def momentum(rate, t, x, g, v, alpha, beta, mode, norm_coefficient):
    assert mode in ("standard", "nesterov")
    g = norm_coefficient * x + g
    v = alpha * v + (beta if t > 0 else 1) * g
    return x - rate * (g + alpha * v if mode == "nesterov" else v), v


@defined("Adam", TRAINING)
@steps(2)
def adam(rate, t, x, g, v, h, norm_coefficient=0.0, norm_coefficient_post=0.0,
         alpha=0.9, beta=0.999, epsilon=1e-6):
    g = norm_coefficient * x + g
    v = alpha * v + (1 - alpha) * g
    h = beta * h + (1 - beta) * g * g
    if t > 0:
        rate *= math.sqrt(1 - beta**t) / (1 - alpha**t)
    x = x - rate * v / (np.sqrt(h) + epsilon)
    return (1 - norm_coefficient_post) * x, v, h


# Fourier transforms, which onnxruntime has for GPUs.

@defined("Rfft")
def rfft(x, signal_ndim, onesided=1, normalized=0):
    assert (onesided, normalized) == (1, 0) and x.ndim >= signal_ndim > 0
    y = np.fft.rfftn(wide(x), axes=range(-signal_ndim, 0))
    return np.stack([y.real, y.imag], -1).astype(x.dtype)


@defined("Irfft")
def irfft(x, signal_ndim, onesided=1, normalized=0):
    assert (onesided, normalized) == (1, 0) and x.ndim > signal_ndim > 0
    y = wide(x[..., 0]) + 1j * wide(x[..., 1])
    return np.fft.irfftn(y, axes=range(-signal_ndim, 0)).astype(x.dtype)


@defined("MatMulInteger16")
def mat_mul_integer16(a, b):
    assert a.dtype == b.dtype and a.dtype in (np.int16, np.uint16)
    to = np.int32 if a.dtype == np.int16 else np.uint32
    return (a.astype(np.int64) @ b.astype(np.int64)).astype(to)


@defined("MatMulIntegerToFloat")
def mat_mul_integer_to_float(a, b, a_scale, b_scale, a_zero=None, b_zero=None,
                             bias=None):
    assert a.dtype.kind in "iu" and b.dtype.kind in "iu" and \
        (a_zero is None or a_zero.dtype == a.dtype) and \
        (b_zero is None or b_zero.dtype == b.dtype) and \
        a_scale.dtype == b_scale.dtype and a_scale.size == 1
    y = (wide(a) - (0 if a_zero is None else wide(a_zero))) @ (
        wide(b) - (0 if b_zero is None else wide(b_zero)))
    y = y * wide(a_scale) * wide(b_scale)
    return (y + (0 if bias is None else wide(bias))).astype(a_scale.dtype)


# Of opset 22 onnxruntime has neither.

@defined("GlobalLpPool", "")
def global_lp_pool(x, p=2):
    assert x.ndim >= 2 and p > 0
    axes = tuple(range(2, x.ndim))
    with np.errstate(all="ignore"):
        y = (abs(wide(x)) ** p).sum(axes, keepdims=True) ** (1 / p)
        return y.astype(x.dtype)


def bins(begin, end, n, size):
    """[from, to) of n parts of the pixels begin to end."""
    step = max(end - begin + 1, 1) / n
    return [(min(max(math.floor(i * step) + begin, 0), size),
             min(max(math.ceil((i + 1) * step) + begin, 0), size))
            for i in range(n)]


@defined("MaxRoiPool", "")
def max_roi_pool(x, rois, pooled_shape, spatial_scale=1.0):
    assert x.ndim == 4 and rois.ndim == 2 and rois.shape[1] == 5
    y = np.zeros((len(rois), x.shape[1], *pooled_shape), x.dtype)
    for r, roi in enumerate(wide(rois)):
        left, top, right, bottom = (
            math.floor(abs(v) + 0.5) * (1 if v >= 0 else -1)
            for v in roi[1:] * spatial_scale)
        rows = bins(top, bottom, pooled_shape[0], x.shape[2])
        cols = bins(left, right, pooled_shape[1], x.shape[3])
        for i, (a, b) in enumerate(rows):
            for j, (c, d) in enumerate(cols):
                if a < b and c < d:
                    y[r, :, i, j] = x[int(roi[0]), :, a:b, c:d].max((1, 2))
    return y
