"""How cases of detection, spectra, random numbers and the like are drawn.  See
operators.py.  Of random numbers onnxruntime has others, so the reference
decides: it draws those of a seed as modeld does."""
import math

import numpy as np

from operators import draws, ints

F32 = np.dtype("float32")


def real(c):
    """A type of numbers: what is drawn is computed with first."""
    if c.schema is None:
        return c.pick(F32, F32, np.dtype("float16"))
    dtype = c.type()
    return F32 if dtype == object else dtype


def seeded(c):
    c.attr(seed=float(c.rng.randrange(1000)))


@draws("RandomNormal", "RandomUniform")
def random(c):
    seeded(c)
    shape = c.shape(c.rng.randint(1, 4), 512)
    c.attr(shape=[-2] if c.bad() else shape,
           dtype=c.pick(None, 1, 11, 10, 0 if c.bad() else 1))
    moments(c)


@draws("RandomNormalLike", "RandomUniformLike")
def random_like(c):
    seeded(c)
    c.attr(dtype=c.pick(1, 11, 10))
    moments(c)
    c.feed(c.values(real(c), c.shape(c.rng.randint(1, 4), 512)))


def moments(c):
    c.attr(mean=c.pick(None, 1.0, -2.5), scale=c.pick(None, 0.5, 3.0),
           low=c.pick(None, -1.0, -2.5), high=c.pick(None, 1.5, 3.0))
    c.scale = 8.0


@draws("Bernoulli")
def bernoulli(c):
    seeded(c)
    c.attr(dtype=c.pick(None, 1, 6, 7, 9, 11))
    # The reference forgets to draw for a probability of 0.
    p = c.bits.uniform(0.01, 1, c.shape(c.rng.randint(1, 4), 512))
    c.feed(p.astype(real(c)))


@draws("NonMaxSuppression")
def suppression(c):
    batch, classes = c.rng.randint(1, 3), c.rng.randint(0, 4)
    n = c.rng.randint(0, 40)
    center = c.pick(None, 0, 1, 2 if c.bad() else 0)
    c.attr(center_point_box=center)
    # Quarters, so that overlaps are often equal and exactly so.
    boxes = c.bits.integers(0, 16, (batch, n, 4)) / 4
    if not center:
        boxes[..., 2:] += boxes[..., :2] * c.pick(0, 1)
    c.feed(boxes.astype(F32))
    c.feed((c.bits.integers(0, 8, (batch, classes, n)) / 8).astype(F32))
    limits = [ints(c.pick(0, 1, 3, 10, 100)), F32.type(
        c.pick(0, 0.25, 0.5, 1, 1.5 if c.bad() else 0.75)),
        F32.type(c.pick(0, 0.25, 0.5))]
    for limit in limits[:c.pick(1, 2, 3, 3)]:
        c.feed(np.asarray(limit).reshape(c.pick([], [1])))


@draws("RoiAlign")
def roi_align(c):
    batch, channels, h, w = (c.rng.randint(1, k) for k in (3, 5, 12, 12))
    n, dtype = c.rng.randint(0, 6), real(c)
    # Thirds, and off by a little: at the edges a rounding decides.
    rois = c.bits.uniform(-3, 14, (n, 4))
    rois[:, 2:] = rois[:, :2] + c.bits.uniform(0.1, 9, (n, 2))
    c.attr(mode=c.pick(None, "avg", "max", "min" if c.bad() else "avg"),
           output_height=c.pick(None, 1, 2, 5, 0 if c.bad() else 7),
           output_width=c.pick(None, 1, 3, 7),
           sampling_ratio=c.pick(None, 0, 1, 2, 3),
           spatial_scale=c.pick(None, 1.0, 0.5, 0.9),
           coordinate_transformation_mode=c.pick(
               None, "half_pixel", "output_half_pixel"))
    c.feed(c.values(dtype, [batch, channels, h, w], "tame"))
    c.feed(rois.astype(dtype))
    c.feed(c.bits.integers(0, batch + (1 if c.bad() else 0), n))
    c.scale = 4.0


@draws("MaxRoiPool")
def roi_pool(c):
    batch, channels, h, w = (c.rng.randint(1, k) for k in (3, 4, 12, 12))
    n, dtype = c.rng.randint(1, 6), real(c)
    rois = c.bits.integers(0, 12, (n, 5)).astype(np.float64)
    rois[:, 3:] += rois[:, 1:3] * c.pick(0, 1)
    rois[:, 0] = c.bits.integers(0, batch + (1 if c.bad() else 0), n)
    c.attr(pooled_shape=[c.rng.randint(1, 5)] * (1 if c.bad() else 2),
           spatial_scale=c.pick(None, 1.0, 0.5, 0.25))
    c.feed(c.values(dtype, [batch, channels, h, w], "tame"))
    c.feed(rois.astype(dtype))


@draws("MaxUnpool")
def unpool(c):
    axes = c.rng.randint(1, 3)
    kernel = [c.rng.randint(1, 3) for _ in range(axes)]
    strides = [c.rng.randint(1, 3) for _ in range(axes)]
    size = [c.rng.randint(1, 5) for _ in range(axes)]
    pads = [c.pick(0, 0, k - 1) for k in kernel] + [0] * axes
    out = [(d - 1) * s + k - p
           for d, s, k, p in zip(size, strides, kernel, pads)]
    if min(out) < 1:
        pads, out = [0] * 2 * axes, [
            (d - 1) * s + k for d, s, k in zip(size, strides, kernel)]
    shape = [c.rng.randint(1, 2), c.rng.randint(1, 3), *size]
    total = math.prod(shape[:2] + out)
    n = math.prod(shape)
    if total < n:
        out, total = size, n
        kernel, strides, pads = [1] * axes, [1] * axes, [0] * 2 * axes
    at = c.bits.permutation(total)[:n].reshape(shape)
    if c.bad():
        at = at + total
    c.attr(kernel_shape=kernel, strides=strides, pads=pads)
    c.feed(c.values(real(c), shape, "tame"))
    c.feed(at.astype(np.int64))
    if c.chance(0.3):
        c.feed(ints(*shape[:2], *out))


@draws("MeanVarianceNormalization")
def mvn(c):
    shape = [c.rng.randint(1, 6) for _ in range(4)]
    axes = c.rng.sample(range(4), c.rng.randint(1, 4))
    c.attr(axes=[4] if c.bad() else c.pick(None, sorted(axes)))
    c.feed(c.values(real(c), shape, "tame"))
    c.scale = 64.0


@draws("DFT")
def dft(c):
    rank = c.rng.randint(2, 4)
    shape = [c.rng.randint(1, 4) for _ in range(rank - 1)]
    axis = c.rng.randrange(rank - 1)
    shape[axis] = c.rng.randint(1, 40)
    way = c.pick((0, 0), (0, 0), (0, 1), (1, 0), (1, 1))
    inverse, one_sided = way
    parts = 1 if one_sided and not inverse else 2 if one_sided else \
        c.pick(1, 2)
    if one_sided and inverse and shape[axis] < 2:
        shape[axis] = 2
    if c.bad():
        parts = 3
    c.attr(inverse=inverse or None, onesided=one_sided or None)
    x = c.values(real(c), shape + [parts], "tame")
    length = None
    if c.chance(0.4):
        length = np.array(c.rng.randint(1, 50),
                          c.pick(np.int32, np.int64))
    if one_sided and inverse:
        # What is not symmetric there is left open.
        take = [slice(None)] * rank
        take[axis], take[-1] = [0, shape[axis] - 1], 1
        x[tuple(take)] = 0
        length = None
    given = axis - rank if c.chance(0.5) else axis
    if c.opset < 20:
        c.attr(axis=given)
        c.feed(x)
        c.feed(length, True) if length is not None else None
    else:
        c.feed(x)
        c.feed(length, True if length is not None else None)
        c.feed(np.array(given, np.int64), True)
    c.scale = 256.0


@draws("STFT")
def stft(c):
    dtype, n = real(c), c.rng.randint(1, 60)
    one_sided = c.pick(None, 0, 1)
    parts = c.pick(1, 2) if one_sided == 0 else 1
    size, step = c.rng.randint(1, n), c.rng.randint(1, 9)
    c.attr(onesided=one_sided)
    c.feed(c.values(dtype, [c.rng.randint(1, 3), n, parts], "tame"))
    whole = c.pick(np.int32, np.int64)
    c.feed(np.array(step, whole), True)
    way = c.pick("window", "length", "both")
    c.feed(c.values(dtype, [size], "tame") if way != "length" else None)
    c.feed(np.array(size, whole) if way != "window" else None, True)
    c.scale = 256.0


@draws("MelWeightMatrix")
def mel(c):
    whole = c.pick(np.int32, np.int64)
    rate = c.pick(8000, 16000, 44100)
    low = c.pick(0, 20, 300)
    for v in (c.rng.randint(1, 40), c.rng.randint(2, 512), rate):
        c.feed(np.array(v, whole), True)
    for v in (low, c.rng.randint(low + 1, rate // 2)):
        c.feed(np.array(v, F32), True)


@draws("Unique")
def unique(c):
    dtype, shape = c.type(), c.shape()
    axis = None
    if shape and c.chance(0.5):
        axis = c.axis(len(shape))
    c.attr(axis=axis, sorted=c.pick(None, 0, 1))
    # No NaN and no signed zero: which of equals is given is left open.
    c.feed(c.values(dtype, shape, "small"))
    return 4


@draws("RotaryEmbedding")
def rotary(c):
    batch, heads, n = (c.rng.randint(1, k) for k in (3, 4, 6))
    size = 2 * c.rng.randint(1, 9)
    turned = c.pick(None, None, 2 * c.rng.randint(1, size // 2))
    half, dtype = (turned or size) // 2, real(c)
    packed = c.chance(0.5)
    c.attr(rotary_embedding_dim=turned, interleaved=c.pick(None, 0, 1),
           num_heads=heads if packed else None)
    c.feed(c.values(dtype, [batch, n, heads * size] if packed
                    else [batch, heads, n, size], "tame"))
    positions = c.chance(0.6)
    for _ in range(2):
        c.feed(c.values(dtype, [9, half] if positions else [batch, n, half],
                        "tame"))
    if positions:
        c.feed(c.bits.integers(0, 10 if c.bad() else 9, (batch, n)))
    c.scale = 16.0


@draws("TensorScatter")
def tensor_scatter(c):
    rank = c.rng.randint(2, 5)
    axis = c.rng.randrange(1, rank)
    shape = [c.rng.randint(0 if c.chance(0.05) else 1, 5)
             for _ in range(rank)]
    update = list(shape)
    update[axis] = c.rng.randint(min(shape[axis], 1), shape[axis])
    mode = c.pick(None, "linear", "circular")
    last = 20 if mode == "circular" else shape[axis] - update[axis]
    c.attr(mode="around" if c.bad() else mode,
           axis=c.pick(axis, axis - rank))
    dtype = c.type()
    c.feed(c.values(dtype, shape))
    c.feed(c.values(dtype, update))
    if c.chance(0.8):
        c.feed(c.bits.integers(0, last + 1, shape[0]) + (30 if c.bad() else 0))


@draws("DeformConv")
def deform(c):
    groups, each = c.pick((1, 1), (1, 2), (2, 1), (2, 2))
    moves = c.pick(1, groups * each if c.chance(0.5) else 1)
    kernel = [c.rng.randint(1, 3) for _ in range(2)]
    strides = [c.rng.randint(1, 2) for _ in range(2)]
    dilations = [c.rng.randint(1, 2) for _ in range(2)]
    pads = [c.rng.randint(0, 2) for _ in range(4)]
    size = [c.rng.randint(5, 9) for _ in range(2)]
    out = [(d + pads[i] + pads[i + 2] - (k - 1) * l - 1) // s + 1
           for i, (d, k, l, s) in enumerate(zip(size, kernel, dilations,
                                                strides))]
    batch, dtype, taps = c.rng.randint(1, 2), real(c), math.prod(kernel)
    c.attr(group=groups, offset_group=moves, strides=strides, pads=pads,
           dilations=dilations, kernel_shape=c.pick(None, kernel))
    c.feed(c.values(dtype, [batch, groups * each, *size], "tame"))
    c.feed(c.values(dtype, [groups * 2, each, *kernel], "tame"))
    c.feed(c.values(dtype, [batch, moves * taps * 2 + (2 if c.bad() else 0),
                            *out], "tame"))
    c.feed(c.values(dtype, [groups * 2], "tame") if c.chance(0.5) else None)
    if c.chance(0.5):
        c.feed(c.values(dtype, [batch, moves * taps, *out], "tame"))
    c.scale = 256.0


@draws("LinearAttention")
def linear_attention(c):
    batch, n, heads, group, key, value = (
        c.rng.randint(1, k) for k in (2, 5, 3, 3, 5, 5))
    rule = c.pick(None, "linear", "gated", "delta", "gated_delta")
    c.attr(update_rule=rule, kv_num_heads=heads, q_num_heads=heads * group,
           scale=c.pick(None, 0.0, 0.5))
    rule = rule or "gated_delta"
    dtype = real(c)

    def small(*shape, of=np.positive):
        return of(c.values(dtype, shape, "tame") / 8).astype(dtype)

    def below(x):
        return -abs(x)
    c.feed(small(batch, n, heads * group * key))
    c.feed(small(batch, n, heads * key))
    c.feed(small(batch, n, heads * value))
    c.feed(small(batch, heads, key, value) if c.chance(0.5) else None)
    c.feed(small(batch, n, heads * c.pick(1, key), of=below)
           if "gated" in rule else None)
    c.feed(small(batch, n, c.pick(1, heads), of=abs)
           if "delta" in rule else None)
    c.scale = 4.0
    return 2
