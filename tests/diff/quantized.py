"""How cases of quantized operators are drawn, those of onnxruntime's own
domain com.microsoft too.  See operators.py.

A result may be one step beside the other's: the standard leaves open in which
precision the exact sum is scaled before it is rounded.
"""
import numpy as np

from operators import draws, picture, window

F32 = np.dtype("float32")


def codes(c):
    c.step = 1
    return np.dtype(c.pick(np.uint8, np.int8))


def scale_and_zero(c, dtype, n=None):
    to = [] if n is None else [n]
    c.feed(c.bits.uniform(0.01, 0.2, to).astype(F32))
    c.feed(c.values(dtype, to, "small"))


def quantized(c, dtype, shape, may_lack=False):
    """Codes, their scale and zero point; the last may be left out where the
    operator lets it."""
    c.feed(c.values(dtype, shape))
    scale_and_zero(c, dtype)
    if may_lack and c.chance(0.2):
        c.tensors.pop()
        c.names[-1] = ""


@draws("QLinearMatMul")
def qlinear_mat_mul(c):
    x, y = codes(c), codes(c)
    m, k, n = (c.rng.randint(1, 20) for _ in range(3))
    quantized(c, x, [m, k])
    quantized(c, y, [k, n])
    scale_and_zero(c, x)


@draws("QLinearConv", "ConvInteger")
def conv(c):
    spatial = picture(c, 2)
    kernel = window(c, spatial)
    x, w = codes(c), codes(c)
    if x == np.int8:  # onnxruntime has no other pair
        w = x
    per, out = c.rng.randint(1, 5), c.rng.randint(1, 9)
    c.attr(group=1)
    shapes = [1, per, *spatial], [out, per, *kernel]
    if c.op == "ConvInteger":
        for dtype, shape in zip((x, w), shapes):
            c.feed(c.values(dtype, shape))
        for dtype in (x, w):
            c.feed(c.values(dtype, [], "small"))
        return
    quantized(c, x, shapes[0])
    c.feed(c.values(w, shapes[1]))
    scale_and_zero(c, w, out if c.chance(0.3) else None)
    scale_and_zero(c, x)
    if c.chance(0.5):
        c.feed(c.values(np.dtype(np.int32), [out], "small"))


@draws("com.microsoft.QLinearAdd", "com.microsoft.QLinearMul")
def qlinear_binary(c):
    dtype = codes(c)
    for shape in c.broadcasting(2):
        quantized(c, dtype, shape, True)
    scale_and_zero(c, dtype)


@draws("com.microsoft.QLinearSigmoid", "com.microsoft.QLinearLeakyRelu")
def qlinear_unary(c):
    dtype = codes(c)
    if c.op.endswith("Relu"):
        c.attr(alpha=c.pick(None, 0.2))
    quantized(c, dtype, c.shape(), True)
    scale_and_zero(c, dtype)


@draws("com.microsoft.QLinearGlobalAveragePool")
def qlinear_global_pool(c):
    dtype = codes(c)
    c.attr(channels_last=c.pick(0, 1))
    quantized(c, dtype, [2, 3, *picture(c, 2)])
    scale_and_zero(c, dtype)


@draws("com.microsoft.QLinearConcat")
def qlinear_concat(c):
    dtype = codes(c)
    shape = [c.rng.randint(1, 5) for _ in range(3)]
    scale_and_zero(c, dtype)
    for _ in range(c.rng.randint(1, 4)):
        quantized(c, dtype, shape)
    c.attr(axis=c.rng.randint(-3, 2))


@draws("com.microsoft.MatMulIntegerToFloat")
def mat_mul_integer_to_float(c):
    m, k, n = (c.rng.randint(1, 20) for _ in range(3))
    a, b = codes(c), codes(c)
    c.feed(c.values(a, [m, k]))
    c.feed(c.values(b, [k, n]))
    for to in ([], c.pick([], [n])):
        c.feed(c.bits.uniform(0.01, 0.2, to).astype(F32))
    c.feed(c.values(a, [], "small"))
    c.feed(c.values(b, [], "small"))
    c.scale = 600.0 * k


@draws("com.microsoft.DynamicQuantizeMatMul")
def dynamic_quantize_mat_mul(c):
    m, k, n = (c.rng.randint(1, 20) for _ in range(3))
    b = codes(c)
    c.feed(c.values(F32, [m, k], "tame"))
    c.feed(c.values(b, [k, n]))
    c.feed(c.bits.uniform(0.01, 0.2, []).astype(F32))
    c.feed(c.values(b, [], "small"))
    c.scale = 600.0 * k


@draws("com.microsoft.MatMulNBits")
def mat_mul_n_bits(c):
    m, n, block = c.rng.randint(1, 5), c.rng.randint(1, 9), c.pick(16, 32, 64)
    k = c.rng.randint(1, 100)
    blocks = -(-k // block)
    bits = c.pick(4, 4, 8)
    c.attr(K=k, N=n, bits=bits, block_size=block)
    c.feed(c.values(F32, [m, k], "tame"))
    c.feed(c.values(np.dtype(np.uint8), [n, blocks, block * bits // 8]), True)
    c.feed(c.bits.uniform(0.01, 0.2, [n * blocks]).astype(F32), True)
    c.scale = 600.0 * k


@draws("com.microsoft.Gelu")
def gelu(c):
    c.feed(c.values(F32, c.shape(), "tame"))
    c.scale = 1.0
