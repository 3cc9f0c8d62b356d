"""How cases of the rarer operators of com.microsoft are drawn; microsoft.py has
those of transformers, quantized.py those of codes.  What onnxruntime has for
GPUs only, definitions.py computes.  See operators.py."""
import math

import numpy as np

import numeric
from microsoft import maybe, tame
from operators import draws, ints, picture, window
from quantized import codes, quantized, scale_and_zero

F32 = np.dtype("float32")
F64 = np.dtype("float64")
F16 = np.dtype("float16")
I32 = np.dtype("int32")
I64 = np.dtype("int64")
U8 = np.dtype("uint8")


def off(c, n):
    """A size, seldom one that does not fit."""
    return n + (1 if c.bad() else 0)


@draws("com.microsoft.BiasAdd")
def bias_add(c):
    dtype = c.pick(F32, F32, F16)
    shape = [c.rng.randint(1, 3), c.dim(), c.dim() or 1]
    c.feed(tame(c, *shape, dtype=dtype))
    c.feed(tame(c, off(c, shape[-1]), dtype=dtype))
    c.feed(tame(c, *shape, dtype=dtype))
    c.scale = 8.0


@draws("com.microsoft.BiasSoftmax")
def bias_softmax(c):
    dtype = c.pick(F32, F32, F64, F16)
    shape = [c.rng.randint(1, 6) for _ in range(c.rng.randint(2, 5))]
    axis = c.rng.randrange(1, len(shape))
    inner = c.pick(0, 1)
    # The bias has one batch of the outer ones, or one of the inner.
    cut = c.rng.randint(0, axis)
    bias = [1] * cut + shape[cut:] if inner == 0 else \
        shape[:cut] + [1] * (axis - cut) + shape[axis:]
    c.attr(axis=c.pick(axis, axis - len(shape)), is_inner_broadcast=inner)
    c.feed(tame(c, *shape, dtype=dtype))
    c.feed(tame(c, *bias, dtype=dtype))
    c.scale = 8.0


@draws("com.microsoft.BiasSplitGelu")
def bias_split_gelu(c):
    dtype, n = c.pick(F32, F32, F16), 2 * c.rng.randint(1, 17)
    c.feed(tame(c, c.rng.randint(1, 3), c.dim(), off(c, n), dtype=dtype))
    c.feed(tame(c, n, dtype=dtype))
    c.scale = 16.0


@draws("com.microsoft.CDist")
def cdist(c):
    dtype, n = c.pick(F32, F64), c.rng.randint(1, 33)
    c.attr(metric=c.pick(None, "euclidean", "sqeuclidean"))
    c.feed(tame(c, c.dim() or 1, n, dtype=dtype))
    c.feed(tame(c, c.dim() or 1, off(c, n), dtype=dtype))
    # onnxruntime computes |a|^2 - 2 a b + |b|^2, of whose cancelling the
    # root makes half of the digits.
    c.scale = 1e4 * n if c.attrs.get("metric") == "euclidean" else 16.0 * n


@draws("com.microsoft.CropAndResize")
def crop_and_resize(c):
    dtype = c.pick(F32, F32, F64)
    batch, n = c.rng.randint(1, 3), c.rng.randint(1, 5)
    h, w = c.rng.randint(2, 9), c.rng.randint(2, 9)
    c.attr(mode=c.pick(None, "bilinear", "nearest", "some" if c.bad() else
                       "bilinear"), extrapolation_value=c.pick(None, 2.5))
    c.feed(tame(c, batch, c.rng.randint(1, 3), h, w, dtype=dtype))
    # Eighths and off them, so that no product is a tie.
    boxes = c.bits.integers(-2, 11, (n, 4)) / 8 + 0.013
    c.feed(boxes.astype(dtype))
    c.feed(c.bits.integers(0, off(c, batch), n).astype(np.int32))
    c.feed(np.array([c.pick(0, -1) if c.bad() else c.rng.randint(1, 6),
                     c.rng.randint(1, 6)], np.int32))
    c.scale = 64.0


@draws("com.microsoft.DecoderMaskedSelfAttention")
def decoder_self(c):
    dtype = c.pick(F32, F32, F16)
    batch, heads, size, width = (c.rng.randint(1, n) for n in (3, 3, 9, 9))
    past = c.rng.randint(1, 6)
    c.attr(num_heads=heads, scale=c.pick(None, 0.3))
    c.feed(tame(c, batch, 1, width, dtype=dtype))
    c.feed(tame(c, width, 3 * heads * size, dtype=dtype))
    c.feed(tame(c, off(c, 3 * heads * size), dtype=dtype))
    c.feed(None)
    c.feed(tame(c, 2, batch, heads, past, size, dtype=dtype))
    c.feed(tame(c, 1, heads, 1, past + 1, dtype=dtype) if c.chance(0.3)
           else None)
    c.feed(np.array([past], np.int32), True)
    c.scale = 64.0 * width * size
    return 2


@draws("com.microsoft.QuantizeLinear", "com.microsoft.DequantizeLinear")
def linear(c):
    real = c.pick(F32, F32, F16)
    kinds = ["int8", "uint8", "int16", "uint16"]
    back = c.op.endswith("DequantizeLinear")
    code = np.dtype(c.pick(*kinds, "int32") if back else c.pick(*kinds))
    shape = [max(d, 1) for d in c.shape(c.rng.randint(1, 4))]
    axis = c.rng.randrange(-len(shape), len(shape))
    to = []
    if c.chance(0.5):
        c.attr(axis=axis)
        to = [off(c, shape[axis])]
    c.feed(c.values(code, shape) if back else
           tame(c, *shape, dtype=real))
    c.feed(c.values(real, to, "positive"))
    if c.chance(0.8) or code != U8 and not back:
        zero = c.values(code, to, "small")
        c.feed(np.zeros_like(zero) if code == I32 else zero)
    c.step = 1
    c.scale = 1.0


@draws("com.microsoft.ExpandDims")
def expand_dims(c):
    shape = c.shape(c.rng.randint(0, 4))
    axis = c.pick(len(shape) + 1, -len(shape) - 2) if c.bad() else \
        c.rng.randint(-len(shape) - 1, len(shape))
    c.feed(c.values(c.pick(F32, F64, I64, np.dtype(object), np.dtype(bool)),
                    shape))
    c.feed(np.array(axis, np.int32), c.pick(True, True, False))


@draws("com.microsoft.GatedRelativePositionBias")
def gated_bias(c):
    dtype = c.pick(F32, F32, F16)
    batch, heads, length, size, d = (c.rng.randint(1, n)
                                     for n in (2, 3, 5, 8, 6))
    c.attr(num_heads=heads)
    c.feed(tame(c, batch, length, heads * size, dtype=dtype))
    c.feed(tame(c, off(c, heads * size), dtype=dtype))
    c.feed(tame(c, 1, heads, length, length, dtype=dtype))
    c.feed(tame(c, size, 2 * d, dtype=dtype))
    c.feed(tame(c, 2 * d, dtype=dtype))
    c.feed(tame(c, 1, heads, 1, 1, dtype=dtype))
    c.scale = 256.0


@draws("com.microsoft.GatherBlockQuantized")
def gather_block(c):
    block, bits = c.pick(16, 32, 64), c.pick(4, 4, 8)
    per = 8 // bits
    rows, k = c.rng.randint(1, 9), block * c.rng.randint(1, 3)
    if c.chance(0.4):
        k += per * c.rng.randint(1, block // per - 1)
    blocks = -(-k // block)
    c.attr(bits=bits if bits != 4 or c.chance(0.5) else None,
           block_size=c.pick(17, 8, 0) if c.bad() else block,
           gather_axis=c.pick(None, 0), quantize_axis=c.pick(1, -1))
    c.feed(c.values(U8, [rows, k // per]), True)
    at = c.bits.integers(-rows, off(c, rows), c.shape(c.rng.randint(0, 2), 16))
    c.feed(at.astype(c.pick(np.int32, np.int64)))
    c.feed(c.bits.uniform(0.01, 0.2, (rows, off(c, blocks))).astype(F32), True)
    if c.chance(0.5):
        c.feed(c.values(U8, [rows, -(-blocks // per)]), True)
    c.scale = 16.0


@draws("com.microsoft.GatherND")
def gather_nd(c):
    shape = c.shape(c.rng.randint(1, 4), most=512)
    k = c.rng.randint(1, len(shape))
    c.feed(c.values(c.pick(F32, I64, np.dtype(object), F64), shape))
    rows = c.shape(c.rng.randint(1, 2), most=8)
    parts = [c.bits.integers(0, max(d, 1), rows) for d in shape[:k]]
    at = np.stack(parts, -1)
    if at.size and c.bad():
        at.ravel()[0] = c.pick(shape[0], -shape[0] - 1)
    c.feed(at.astype(c.pick(np.int32, np.int64)))


def norm_inputs(c, dtype, last=True):
    groups, per = c.rng.randint(1, 3), c.rng.randint(1, 4)
    ch, h, w = groups * per, c.rng.randint(1, 5), c.rng.randint(1, 5)
    batch = c.rng.randint(1, 2)
    c.attr(groups=groups, activation=c.pick(2 if c.bad() else 0, 0, 1),
           epsilon=c.pick(None, 1e-3), channels_last=None if last else 0)
    shape = [batch, h, w, ch] if last else [batch, ch, h, w]
    c.feed(tame(c, *shape, dtype=dtype))
    c.feed(tame(c, off(c, ch)))
    c.feed(tame(c, ch))
    c.scale = 64.0
    return shape, ch


@draws("com.microsoft.GroupNorm")
def group_norm(c):
    norm_inputs(c, c.pick(F32, F32, F16), c.chance(0.7))


@draws("com.microsoft.SkipGroupNorm")
def skip_group_norm(c):
    dtype, last = c.pick(F32, F32, F16), c.chance(0.7)
    shape, ch = norm_inputs(c, dtype, last)
    c.feed(tame(c, *c.pick(shape, shape, [shape[0], 1, 1, ch],
                           [shape[0], ch]) if last else shape, dtype=dtype))
    if c.chance(0.5):
        c.feed(tame(c, ch, dtype=dtype))
    return c.pick(1, 2)


@draws("com.microsoft.Inverse")
def inverse(c):
    n, dtype = c.rng.randint(1, 6), c.pick(F32, F64, F32)
    batch = c.shape(c.rng.randint(0, 2), 8)
    # Not far from the identity: others have inverses of any size.
    x = np.eye(n) * 4 + c.bits.uniform(-0.5, 0.5, [*batch, n, n])
    c.feed((x[..., :-1] if n > 1 and c.bad() else x).astype(dtype))
    c.scale = 16.0 * n


@draws("com.microsoft.LinearAttention")
def linear_attention(c):
    return numeric.linear_attention(c)


@draws("com.microsoft.MatMulBnb4")
def bnb4(c):
    m, n, block = c.rng.randint(1, 5), c.rng.randint(1, 9), c.pick(16, 32, 64)
    k = c.rng.randint(1, 100)
    k += k * n % 2  # whole bytes
    total = n * k
    c.attr(K=k, N=n, block_size=c.pick(8, 17) if c.bad() else block,
           quant_type=c.pick(0, 1, 2 if c.bad() else 1))
    c.feed(tame(c, m, k))
    c.feed(c.values(U8, [-(-total // 2)]), True)
    c.feed(c.bits.uniform(0.1, 2, -(-total // block)).astype(F32), True)
    c.scale = 64.0 * k


@draws("com.microsoft.MulInteger")
def mul_integer(c):
    a, b = c.broadcasting(2)
    dtype = c.pick(U8, np.dtype(np.int8))
    c.feed(c.values(dtype, a))
    maybe(c, 0.5, lambda: c.values(dtype, [], "small"))
    c.feed(c.values(dtype, b))
    if c.chance(0.5):
        c.feed(c.values(dtype, [], "small"))


@draws("com.microsoft.MurmurHash3")
def murmur(c):
    c.attr(seed=c.pick(None, 0, 42), positive=c.pick(None, 0, 1))
    dtype = np.dtype(c.pick("int32", "uint32", "int64", "uint64", "float32",
                            "float64", "object"))
    c.feed(c.values(dtype, c.shape()))


@draws("com.microsoft.NGramRepeatBlock")
def ngrams(c):
    batch, words = c.rng.randint(1, 3), c.rng.randint(1, 5)
    c.attr(ngram_size=c.pick(0, -1) if c.bad() else c.rng.randint(1, 5))
    c.feed(c.bits.integers(0, off(c, words), (batch, c.rng.randint(1, 12))))
    c.feed(tame(c, batch, words))


def nhwc(c, spatial, kernel, dtype):
    group = c.pick(1, 1, 2)
    per, out = c.rng.randint(1, 5), group * c.rng.randint(1, 5)
    c.attr(group=group)
    c.feed(tame(c, 1, *spatial, per * group, dtype=dtype))
    c.feed(tame(c, out, per, *kernel, dtype=dtype))
    if c.chance(0.5):
        c.feed(tame(c, out, dtype=dtype))
    c.scale = 16.0 * per * np.prod(kernel)
    return out


@draws("com.microsoft.NhwcConv", "com.microsoft.NhwcFusedConv")
def nhwc_conv(c):
    from microsoft import ACTIVATIONS
    spatial = picture(c, c.pick(1, 2, 2))
    kernel = window(c, spatial)
    if c.name == "NhwcFusedConv":
        act = c.pick(*ACTIVATIONS)
        c.attr(activation=act)
        if act and ACTIVATIONS[act]:
            c.attr(activation_params=ACTIVATIONS[act])
    nhwc(c, spatial, kernel, c.pick(F32, F32, F16) if c.name == "NhwcConv"
         else F32)


@draws("com.microsoft.NhwcMaxPool")
def nhwc_max_pool(c):
    spatial = picture(c, c.pick(1, 2, 2, 3))
    window(c, spatial)
    c.attr(ceil_mode=c.pick(None, 0, 1) if "auto_pad" not in c.attrs
           else None)
    dtype = codes(c)
    c.step = 0
    c.feed(c.values(dtype, [c.rng.randint(1, 2), *spatial,
                            c.rng.randint(1, 9)]))


def packing(c, batch, length):
    """Lengths of sequences, where their tokens lie, and their sums."""
    sizes = [c.rng.randint(1, length) for _ in range(batch)]
    if max(sizes) < length:
        sizes[0] = length
    real = [b * length + i for b, n in enumerate(sizes) for i in range(n)]
    rest = [i for i in range(batch * length) if i not in real]
    offsets = np.array(real + rest, np.int32).reshape(batch, length)
    return sum(sizes), offsets, np.array(
        [sum(sizes[:i]) for i in range(batch + 1)], np.int32)


@draws("com.microsoft.PackedAttention")
def packed_attention(c):
    batch, length, heads, size, width = (c.rng.randint(1, n)
                                         for n in (3, 5, 3, 6, 9))
    total, offsets, sums = packing(c, batch, length)
    c.attr(num_heads=heads, scale=c.pick(None, 0.3))
    c.feed(tame(c, total, width))
    c.feed(tame(c, width, off(c, 3 * heads * size)))
    c.feed(tame(c, 3 * heads * size))
    c.feed(offsets)
    c.feed(sums)
    if c.chance(0.4):
        c.feed(tame(c, c.pick(1, batch), heads, length, length))
    c.scale = 64.0 * width * size


@draws("com.microsoft.PackedMultiHeadAttention")
def packed_multi_head(c):
    batch, length, heads, size = (c.rng.randint(1, n) for n in (3, 5, 3, 6))
    total, offsets, sums = packing(c, batch, length)
    c.attr(num_heads=heads, scale=c.pick(None, 0.3))
    row = heads * size
    whole = c.chance(0.4)
    c.feed(tame(c, total, heads, 3, size) if whole else tame(c, total, row))
    for _ in range(2):
        c.feed(None if whole else tame(c, off(c, total), row))
    c.feed(tame(c, 3 * row) if c.chance(0.4) else None)
    c.feed(offsets)
    c.feed(sums)
    if c.chance(0.4):
        c.feed(tame(c, c.pick(1, batch), heads, length, length))
    c.scale = 64.0 * size


@draws("com.microsoft.RemovePadding")
def remove_padding(c):
    batch, length = c.rng.randint(1, 4), c.rng.randint(1, 6)
    c.feed(tame(c, batch, length, c.rng.randint(1, 9),
                dtype=c.pick(F32, F16)))
    c.feed(c.bits.integers(1, off(c, length) + 1, batch).astype(np.int32))
    return 4


@draws("com.microsoft.RestorePadding")
def restore_padding(c):
    batch, length = c.rng.randint(1, 4), c.rng.randint(1, 6)
    total, offsets, _ = packing(c, batch, length)
    if c.bad():
        offsets[0, 0] = c.pick(batch * length, -1)
    c.feed(tame(c, total, c.rng.randint(1, 9), dtype=c.pick(F32, F16)))
    c.feed(offsets)


@draws("com.microsoft.Pad")
def pad(c):
    shape = c.shape(c.rng.randint(1, 4), most=512)
    mode = c.pick(None, "constant", "reflect", "edge")
    dtype = c.pick(F32, F32, F64)
    c.attr(mode="some" if c.bad() else mode)
    most = [max(min(d - 1, 4), 0) if mode not in (None, "constant") else 4
            for d in shape]
    pads = [c.rng.randint(0, m) for m in most + most]
    if c.bad():
        pads.append(1)
    c.feed(tame(c, *shape, dtype=dtype))
    c.feed(ints(*pads) if c.chance(0.7) else ints(*pads).reshape(1, -1))
    maybe(c, 0.5, lambda: c.values(dtype, c.pick([1], []), "tame"))


@draws("com.microsoft.QEmbedLayerNormalization")
def q_embed(c):
    batch, length, width = (c.rng.randint(1, n) for n in (3, 6, 17))
    rows = [c.rng.randint(1, 9), length + c.rng.randint(0, 3),
            c.rng.randint(1, 3)]
    w = np.dtype(c.pick(np.uint8, np.int8))
    segments, mask = c.chance(0.7), c.chance(0.5)

    def ids(n):
        return c.bits.integers(0, off(c, n), (batch, length)).astype(np.int32)
    c.attr(epsilon=c.pick(None, 1e-5, 0.1))
    c.feed(ids(rows[0]))
    c.feed(ids(rows[2]) if segments else None)
    shapes = [[rows[0], width], [rows[1], width], [rows[2], width], [width],
              [width]]
    for i, shape in enumerate(shapes):
        c.feed(None if i == 2 and not segments else c.values(w, shape), True)
    c.feed(ids(2) if mask else None)
    for i in range(5):
        c.feed(None if i == 2 and not segments else
               np.array(c.rng.uniform(0.01, 0.1), np.float32), True)
    for i in range(5):
        c.feed(None if i == 2 and not segments else
               c.values(w, [], "small"), True)
    c.scale = 256.0
    return 2


@draws("com.microsoft.QGemm")
def q_gemm(c):
    m, k, n = (c.rng.randint(1, 33) for _ in range(3))
    ta, tb = c.pick(0, 0, 1), c.pick(0, 1)
    a, b = codes(c), codes(c)
    columns = [n] if c.chance(0.3) else []
    c.attr(transA=ta, transB=tb, alpha=c.pick(None, 1.0, 0.5))
    quantized(c, a, [k, m] if ta else [m, k])
    c.feed(c.values(b, [n, off(c, k)] if tb else [k, n]))
    c.feed(c.bits.uniform(0.01, 0.2, columns).astype(F32))
    c.feed(c.values(b, columns, "small"))
    third = c.pick([n], [1, n], [m, n], [m, 1], [], None)
    c.feed(None if third is None else c.values(I32, third, "small"))
    if c.chance(0.6):
        scale_and_zero(c, a)
    c.scale = 600.0 * k


@draws("com.microsoft.QLinearAveragePool")
def q_average_pool(c):
    spatial = picture(c, c.pick(1, 2, 2, 3))
    window(c, spatial)
    c.attrs.pop("dilations", None)
    dtype = codes(c)
    c.attr(count_include_pad=c.pick(None, 0, 1),
           channels_last=c.pick(None, 0))
    quantized(c, dtype, [c.rng.randint(1, 2), c.rng.randint(1, 9), *spatial],
              True)
    scale_and_zero(c, dtype)


@draws("com.microsoft.QLinearConv")
def q_conv(c):
    spatial = picture(c, 2)
    kernel = window(c, spatial)
    x = codes(c)
    w = x if x == np.int8 else codes(c)
    last = c.chance(0.4)
    group = c.pick(1, 1, 2)
    per, out = c.rng.randint(1, 5), group * c.rng.randint(1, 5)
    c.attr(group=group, channels_last=1 if last else c.pick(None, 0))
    quantized(c, x, [1, *spatial, per * group] if last else
              [1, per * group, *spatial])
    c.feed(c.values(w, [out, per, *kernel]), True)
    c.feed(c.bits.uniform(0.01, 0.2, [out] if c.chance(0.3) else []).astype(
        F32), True)
    c.feed(c.values(w, [], "small"), True)
    scale_and_zero(c, x)
    if c.chance(0.5):
        c.feed(c.values(I32, [out], "small"), True)


@draws("com.microsoft.QLinearReduceMean")
def q_reduce_mean(c):
    dtype = codes(c)
    shape = [c.rng.randint(1, 6) for _ in range(c.rng.randint(1, 4))]
    axes = c.rng.sample(range(len(shape)), c.rng.randint(1, len(shape)))
    c.attr(axes=[len(shape)] if c.bad() else
           [a - len(shape) if c.chance(0.3) else a for a in axes],
           keepdims=c.pick(0, 1))
    quantized(c, dtype, shape, True)
    scale_and_zero(c, dtype)


@draws("com.microsoft.QLinearSoftmax")
def q_softmax(c):
    dtype = codes(c)
    shape = [c.rng.randint(1, 9) for _ in range(c.rng.randint(1, 4))]
    axis = c.rng.randrange(-len(shape), len(shape))
    c.attr(axis=axis, opset=c.pick(12, 13))
    quantized(c, dtype, shape, True)
    # onnxruntime wants the zero point that makes full use of the codes.
    c.feed(np.array(1 / 256, np.float32))
    c.feed(np.array(0 if dtype == U8 else -128, dtype))


@draws("com.microsoft.QLinearWhere")
def q_where(c):
    dtype = codes(c)
    cond, a, b = c.broadcasting(3)
    c.feed(c.values(np.dtype(bool), cond))
    quantized(c, dtype, a)
    quantized(c, dtype, b)
    scale_and_zero(c, dtype)


@draws("com.microsoft.Range")
def numbers(c):
    dtype = np.dtype(c.pick("float32", "float64", "int16", "int32", "int64"))
    step = c.pick(1, 2, -1, -3, 0.5, 0 if c.bad() else 1)
    if dtype.kind == "i":
        step = int(step)
    values = [c.rng.randint(-9, 9), c.rng.randint(-9, 9)]
    if c.chance(0.7):
        values.append(step)
    for v in values:
        c.feed(np.array(v).astype(dtype))


@draws("com.microsoft.RelativePositionBias")
def position_bias(c):
    buckets = 2 * c.rng.randint(2, 16)
    c.attr(max_distance=c.pick(0, -1) if c.bad() else
           c.pick(buckets + 1, 64, 128), is_bidirectional=c.pick(None, 0, 1))
    c.feed(tame(c, buckets, c.rng.randint(1, 4), dtype=c.pick(F32, F16)))
    n = c.rng.randint(1, 40)
    c.feed(ints(n).reshape(c.pick([1], [])), True)
    c.feed(ints(off(c, n)).reshape(c.pick([1], [])), True)


@draws("com.microsoft.SampleOp")
def sample(c):
    c.feed(c.values(np.dtype(c.pick("float32", "float64", "int32", "int64",
                                    "uint32", "uint64")), c.shape()))


@draws("com.microsoft.TorchEmbedding")
def embedding(c):
    rows = c.rng.randint(1, 9)
    c.feed(c.values(np.dtype(c.pick("float32", "float64", "float16", "int64")),
                    [rows, c.dim() or 1], "tame"))
    c.feed(c.bits.integers(0, off(c, rows), c.shape(c.rng.randint(1, 3), 64)))


@draws("com.microsoft.Unique")
def unique(c):
    dtype = np.dtype(c.pick("float32", "float32", "float32", "int64"))
    c.feed(c.values(dtype, [c.dim()], "small"))
    return 3


@draws("com.microsoft.BifurcationDetector")
def bifurcation(c):
    source = c.bits.integers(0, 5, c.rng.randint(1, 12))
    now = c.bits.integers(0, 5, c.rng.randint(1, 6))
    at = c.rng.randint(0, len(source) - 1)
    c.attr(min_ngram_size=c.pick(None, 1, 2), max_ngram_size=c.pick(None, 3))
    c.feed(source)
    c.feed(now)
    c.feed(np.array(at, np.int64))
    if c.chance(0.7):  # one more than what was predicted
        n = len(source) + 1 - at - (1 if c.bad() else 0)
        c.feed(np.concatenate([source[at:], [7]])[:n] if c.chance(0.5) else
               c.bits.integers(0, 5, n))
    return 2


@draws("com.microsoft.BranchwiseRMSNorm")
def branchwise(c):
    n, h = c.rng.randint(1, 4), c.rng.randint(1, 9)
    c.attr(epsilon=c.pick(None, 1e-3))
    lead = [c.rng.randint(1, 3) for _ in range(c.rng.randint(1, 2))]
    packed = c.chance(0.5)
    if packed:
        c.attr(num_branches=n)
    c.feed(tame(c, *lead, n * off(c, h)) if packed else tame(c, *lead, n, h))
    if c.chance(0.7):
        c.feed(tame(c, *c.pick([h], [n, h]) if not packed else [n * h]))
    c.scale = 64.0


@draws("com.microsoft.ConvTransposeWithDynamicPads")
def dynamic_pads(c):
    spatial = [c.rng.randint(1, 6) for _ in range(2)]
    kernel = [c.rng.randint(2, 4) for _ in range(2)]
    group, per, out = c.pick(1, 1, 2), c.rng.randint(1, 3), c.rng.randint(1, 3)
    c.attr(group=group, strides=c.pick(None, [2, 2], [1, 2]),
           kernel_shape=c.pick(None, kernel))
    c.feed(tame(c, 1, per * group, *spatial))
    c.feed(tame(c, per * group, out, *kernel))
    c.feed(ints(*(c.rng.randint(0, 1) for _ in range(3 if c.bad() else 4))))
    if c.chance(0.5):
        c.feed(tame(c, out * group))
    c.scale = 16.0 * per * math.prod(kernel)


@draws("com.microsoft.DynamicTimeWarping")
def warping(c):
    shape = [c.rng.randint(1, 9), c.rng.randint(1, 9)]
    c.feed(tame(c, *(([1] if c.chance(0.5) else []) + shape)))


@draws("com.microsoft.GatedAdd")
def gated_add(c):
    rows, n = c.rng.randint(1, 9), c.dim() or 1
    c.feed(tame(c, rows, n))
    c.feed(tame(c, rows, off(c, n)))
    c.feed(tame(c, rows, 1))
    c.scale = 16.0


@draws("com.microsoft.GatedRMSNorm")
def gated_norm(c):
    rows, heads, n = c.rng.randint(1, 4), c.rng.randint(1, 3), c.rng.randint(
        1, 17)
    c.attr(activation="some" if c.bad() else
           c.pick(None, "silu", "swish", "sigmoid"),
           epsilon=c.pick(None, 1e-3))
    c.feed(tame(c, rows, heads * n))
    c.feed(tame(c, n))
    c.feed(tame(c, rows, heads * n))
    c.scale = 64.0


@draws("com.microsoft.LinearAttentionGate")
def attention_gate(c):
    shape = [c.rng.randint(1, 3), c.rng.randint(1, 5), c.rng.randint(1, 9)]
    c.feed(tame(c, *shape))
    c.feed(tame(c, off(c, shape[-1])))
    c.feed(tame(c, shape[-1]))
    if both := c.chance(0.5):
        c.feed(tame(c, *shape))
    c.scale = 8.0
    return 2 if both else 1


@draws("com.microsoft.MatMulInteger16")
def integer16(c):
    m, k, n = (c.rng.randint(1, 20) for _ in range(3))
    dtype = np.dtype(c.pick("int16", "uint16"))
    c.feed(c.values(dtype, [m, k]))
    c.feed(c.values(dtype, [off(c, k), n]))


@draws("com.microsoft.MaxpoolWithMask")
def masked_pool(c):
    spatial = picture(c, c.pick(1, 2, 2))
    kernel = [c.rng.randint(1, min(3, d)) for d in spatial]
    c.attr(kernel_shape=kernel, strides=c.pick(None, [2] * len(kernel)))
    if c.chance(0.5):
        c.attr(pads=[c.rng.randint(0, k - 1) for k in kernel * 2])
    # With a mask of several channels onnxruntime reads beside it.
    c.feed(tame(c, 1, c.rng.randint(1, 4), *spatial))
    c.feed(c.bits.integers(0, 2, (1, 1, *spatial)).astype(np.int32))


@draws("com.microsoft.ScaledSiLU")
def scaled_silu(c):
    shape = [c.rng.randint(1, 4), c.dim() or 1]
    c.attr(alpha=c.pick(None, 1.0, 0.5, -2.0))
    c.feed(tame(c, *shape))
    if c.chance(0.5):
        c.feed(tame(c, *c.pick([1], [shape[-1]], shape)))
    c.scale = 16.0


@draws("com.microsoft.Tokenizer")
def tokenizer(c):
    from text import words
    n = c.rng.randint(1, 5)
    c.attr(mark=c.pick(0, 1), mincharnum=c.pick(1, 2), pad_value="#")
    if c.chance(0.7):
        c.attr(separators=c.pick([" "], [","], [" ", ","], [""], ["a", "b"]))
    else:
        c.attr(tokenexp=c.pick(".", "[a-z]+", "\\w+", "a|ab"))
    c.feed(words(c, c.pick([n], [1, n], [2, n])), False)


@draws("com.microsoft.UnfoldTensor")
def unfold(c):
    shape = [c.rng.randint(1, 9) for _ in range(c.rng.randint(1, 4))]
    dim = c.rng.randrange(-len(shape), len(shape))
    c.attr(dim=c.axis(len(shape)) if c.bad() else dim,
           size=shape[dim] + 1 if c.bad() else c.rng.randint(1, shape[dim]),
           step=c.pick(None, 1, 2, 3))
    c.feed(c.values(np.dtype(c.pick("float32", "int64", "float64", "int8")),
                    shape))


def experts(c):
    """Rows, hidden and inner sizes, experts; and what chooses among them."""
    n, hidden, inner, count = (c.rng.randint(1, k) for k in (5, 9, 9, 4))
    c.attr(k=c.rng.randint(1, count) + (count if c.bad() else 0),
           activation_type="tanh" if c.bad() else
           c.pick(None, "relu", "gelu", "silu", "identity"),
           normalize_routing_weights=c.pick(None, 0, 1))
    return n, hidden, inner, count


def routed(c, n, hidden, count):
    """What goes in, and probabilities of which no two are the same."""
    c.feed(tame(c, n, hidden))
    order = np.stack([c.bits.permutation(count) for _ in range(n)])
    c.feed((order * 0.7 - 1).astype(F32))


@draws("com.microsoft.MoE")
def moe(c):
    n, hidden, inner, count = experts(c)
    routed(c, n, hidden, count)
    c.feed(tame(c, count, inner, off(c, hidden)))
    maybe(c, 0.5, lambda: tame(c, count, inner))
    c.feed(tame(c, count, hidden, inner))
    maybe(c, 0.5, lambda: tame(c, count, hidden))
    c.scale = 64.0 * hidden * inner


@draws("com.microsoft.QMoE")
def q_moe(c):
    bits = c.pick(4, 8)
    per = 8 // bits
    n, hidden, inner, count = experts(c)
    hidden, inner = per * hidden, per * inner
    c.attr(expert_weight_bits=bits)
    routed(c, n, hidden, count)
    for rows, columns in ((inner, hidden), (hidden, inner)):
        c.feed(c.values(U8, [count, off(c, rows), columns // per]), True)
        c.feed(c.bits.uniform(0.01, 0.1, [count, rows]).astype(F32), True)
        maybe(c, 0.5, lambda: tame(c, count, rows))
    c.scale = 64.0 * hidden * inner


@draws("com.microsoft.EngramGate")
def engram(c):
    batch, length, branches, n = (c.rng.randint(1, k) for k in (2, 3, 3, 9))
    c.attr(epsilon=c.pick(None, 1e-3))
    for _ in range(2):
        c.feed(tame(c, batch, length, branches, n))
    c.feed(tame(c, batch, length, off(c, n)))
    both = c.chance(0.5)
    for _ in range(3 if both else 2):
        c.feed(tame(c, branches, n))
    c.scale = 256.0
    return 2 if both else 1


@draws("com.microsoft.VarlenCausalConvWithState")
def causal_of_requests(c):
    dtype = c.pick(F32, F32, F16)
    sizes = [c.rng.randint(1, 6) for _ in range(c.rng.randint(1, 3))]
    channels, taps, dilation = (c.rng.randint(1, n) for n in (9, 4, 3))
    kept = c.pick(None, None, 1, 3, 8)
    c.attr(activation=c.pick(None, "none", "silu", "swish"),
           dilation=dilation if dilation > 1 else None,
           state_update_capacity=kept)

    def new(*shape):
        return tame(c, *shape, dtype=dtype)
    c.feed(new(sum(sizes), channels))
    c.feed(new(off(c, channels), 1, taps))
    c.feed(np.cumsum([0, *sizes]).astype(np.int32))
    c.feed(new(channels) if c.chance(0.5) else None)
    c.feed(new(len(sizes), channels, (taps - 1) * dilation))
    c.feed(c.bits.integers(-1, 9, len(sizes)).astype(np.int32)
           if kept else None)
    c.scale = 64.0
    return 3 if kept else 2


def ngrams(c, dtype):
    """Attributes and the inputs that tokens have in common: multipliers and
    sizes of tables; then offsets and the end of texts, or None."""
    most, heads = c.rng.randint(2, 4), c.rng.randint(1, 3)
    n = (most - 1) * heads
    c.attr(max_ngram_size=most, n_head_per_ngram=heads, pad_id=c.pick(0, 7),
           reset_on_eos=c.pick(None, 0, 1))
    many = c.bits.integers(*c.pick((-9, 9), (-2**31, 2**31)), most + c.pick(
        0, 0, 2), dtype=np.int64).astype(dtype)
    sizes = c.bits.integers(1, 999, off(c, n)).astype(dtype)
    if c.bad():
        sizes[0] = c.pick(0, -1)
    offsets = c.bits.integers(-5, 2**31 - 1, n).astype(dtype)
    return most - 1, many, sizes, offsets if c.chance(0.5) else None, \
        np.array(c.rng.randint(0, 5), dtype) if c.chance(0.6) else None


@draws("com.microsoft.NGramHashMapping")
def ngram_hashes(c):
    dtype = c.pick(I32, I64)
    batch, length = c.rng.randint(1, 3), c.rng.randint(1, 8)
    window, many, sizes, offsets, end = ngrams(c, dtype)

    def tokens(*shape):
        return c.bits.integers(0, 6, shape).astype(dtype)
    c.feed(tokens(batch, length))
    c.feed(many)
    c.feed(sizes)
    c.feed(tokens(batch, off(c, window)) if c.chance(0.5) else None)
    c.feed(offsets)
    c.feed(end)
    c.feed(np.sort(c.bits.integers(0, 3, (batch, length)), 1).astype(
        np.int32) if c.chance(0.4) else None)
    return 2


@draws("com.microsoft.VarlenNGramHashMapping")
def ngram_hashes_of_requests(c):
    dtype = c.pick(I32, I64)
    sizes = [c.rng.randint(0 if c.bad() else 1, 7)
             for _ in range(c.rng.randint(1, 3))]
    batch, total = len(sizes), sum(sizes)
    window, many, tables, offsets, end = ngrams(c, dtype)
    kept = c.pick(None, None, 1, 3, 8)
    c.attr(state_update_capacity=kept)

    def tokens(*shape):
        return c.bits.integers(0, 6, shape).astype(dtype)
    c.feed(tokens(total))
    c.feed(many)
    c.feed(tables)
    c.feed(np.cumsum([0, *sizes]).astype(np.int32))
    c.feed(tokens(batch, off(c, window)) if c.chance(0.5) else None)
    c.feed(offsets)
    c.feed(end)
    parts = c.chance(0.5)
    c.feed(c.bits.integers(0, 2, total).astype(np.int32) if parts else None)
    c.feed(c.bits.integers(0, 2, (batch, window)).astype(np.int32)
           if parts and c.chance(0.5) else None)
    c.feed(c.bits.integers(-1, 9, batch).astype(np.int32) if kept else None)
    return 4 if kept and parts else 3 if parts else 2


@draws("com.microsoft.GatedDeltaNet")
def delta_net(c):
    sizes = [c.rng.randint(1, 4) for _ in range(c.rng.randint(1, 3))]
    total, heads, group, k, v = sum(sizes), c.rng.randint(1, 2), c.rng.randint(
        1, 2), c.rng.randint(1, 5), c.rng.randint(1, 5)
    rule = c.pick("linear", "gated", "delta", "gated_delta")
    c.attr(update_rule=rule, scale=c.pick(None, 0.5))

    def small(*shape):
        return (tame(c, *shape) / 8).astype(F32)
    for _ in range(2):
        c.feed(small(total, heads, k))
    c.feed(small(total, heads * group, v))
    c.feed(np.cumsum([0, *sizes]).astype(np.int32))
    c.feed(-abs(small(total, heads * group)) if "gated" in rule else None)
    c.feed(abs(small(total, heads * group)) if "delta" in rule else None)
    c.feed(small(len(sizes), heads * group, v, k))
    c.scale = 16.0
    return 2


@draws("com.microsoft.HyperConnectionPostMix")
def post_mix(c):
    rows, n, width = c.rng.randint(1, 4), c.rng.randint(1, 4), c.rng.randint(
        1, 9)
    c.feed(tame(c, rows, n, width))
    c.feed(tame(c, rows, off(c, width)))
    c.feed(tame(c, rows, n))
    if c.chance(0.6):
        c.feed(tame(c, rows, n, n))
    c.scale = 64.0


@draws("com.microsoft.HyperConnectionPreMix")
def pre_mix(c):
    rows, n = c.rng.randint(1, 4), c.rng.randint(1, 4)
    c.attr(reduction_scale=c.pick(None, 0.5))
    c.feed(tame(c, rows, n, c.rng.randint(1, 9)))
    c.feed(tame(c, rows, off(c, n)))
    c.scale = 64.0


@draws("com.microsoft.Rfft", "com.microsoft.Irfft")
def real_fourier(c):
    axes = c.rng.randint(1, 2)
    shape = [c.rng.randint(1, 3) for _ in range(c.rng.randint(0, 1))] + [
        c.rng.randint(1, 6) for _ in range(axes - 1)]
    c.attr(signal_ndim=axes, onesided=1, normalized=0)
    x = tame(c, *shape, 2 * c.rng.randint(1, 8))
    if c.name == "Irfft":  # of what is symmetric; else it is left open
        y = np.fft.rfftn(x, axes=range(-axes, 0))
        x = np.stack([y.real, y.imag], -1).astype(F32)
    c.feed(x)
    c.scale = 256.0
