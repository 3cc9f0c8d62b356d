"""How cases of whole layers are drawn: recurrent nets, attention, resampling,
losses and the like.  See operators.py."""
import math

import numpy as np

from operators import draws, ints, picture

F32 = np.dtype("float32")
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


@draws("RNN", "GRU", "LSTM")
def recurrent(c):
    gates, dtype = GATES[c.op], c.type()
    steps, batch, n_in, n = (c.rng.randint(1, k) for k in (5, 4, 9, 9))
    way = c.pick("forward", "reverse", "bidirectional")
    d = 2 if way == "bidirectional" else 1
    layout = c.pick(0, 0, 0, 1) if c.opset >= 14 else 0
    c.attr(hidden_size=n, direction="up" if c.bad() else way,
           layout=layout or None, clip=c.pick(None, None, 0.8))
    if c.op == "GRU":
        c.attr(linear_before_reset=c.pick(None, 0, 1))
    c.feed(c.values(dtype, [batch, steps, n_in] if layout else
                    [steps, batch, n_in], "tame"))
    c.feed(c.values(dtype, [d, gates * n, n_in], "tame"))
    c.feed(c.values(dtype, [d, gates * n, n], "tame"))
    c.feed(c.values(dtype, [d, 2 * gates * n], "tame")
           if c.chance(0.6) else None)
    # What the last state of an empty sequence is, is left open.
    c.feed(c.bits.integers(1, steps + 1, batch).astype(np.int32)
           if c.chance(0.4) else None)
    state = [batch, d, n] if layout else [d, batch, n]
    for _ in range(2 if c.op == "LSTM" else 1):
        c.feed(c.values(dtype, state, "tame") if c.chance(0.5) else None)
    if c.op == "LSTM" and c.chance(0.3):
        c.feed(c.values(dtype, [d, 3 * n], "tame"))
    c.scale = 64.0
    return 3 if c.op == "LSTM" else 2


@draws("Einsum")
def einsum(c):
    equation = c.pick(
        "ij,jk->ik", "bij,bjk->bik", "ii->i", "ij->ji", "i,j->ij", "ij->",
        "ij,ij->i", "bhid,bhjd->bhij", "...ij,...jk->...ik", "...i->...",
        "ijk,kl,lm->ijm", "ij,kj->ki", "abc->cab", "i,i->", "ij,jk", "ba")
    sizes = {k: c.rng.randint(1, 5) for k in "abcdhijklm"}
    dtype = c.type()
    for term in equation.split("->")[0].split(","):
        head = [2, 3] if term.startswith("...") else []
        shape = head + [sizes[k] for k in term.strip(".")]
        if shape and c.bad():
            shape[-1] += 1
        c.feed(c.values(dtype, shape, "tame"))
    c.attr(equation=equation)
    c.scale = 4096.0


@draws("Resize")
def resize(c):
    mode = c.pick("nearest", "nearest", "linear", "cubic")
    shape = [c.rng.randint(1, 2), c.rng.randint(1, 3), c.rng.randint(1, 9),
             c.rng.randint(1, 9)]
    # Quarters and whole factors, so that halves are halves in every engine.
    if c.chance(0.5):
        scales = np.array([1, 1, c.rng.randint(2, 9), c.rng.randint(2, 9)],
                          np.float32) / [1, 1, 4, 4]
    else:
        scales = np.array([1, 1, c.rng.randint(1, 3), c.rng.randint(1, 3)])
    scales = scales.astype(np.float32)
    out = [int(d * s) for d, s in zip(shape, scales)]
    if any(d * s != o for d, s, o in zip(shape, scales, out)):
        by_size = False
    else:
        by_size = c.chance(0.5)
    if c.opset < 11:
        mode = "linear" if mode == "cubic" else mode
    c.attr(mode=mode)
    dtype = c.type()
    if dtype.kind in "iu" and mode != "nearest":
        c.step = 1  # how a fraction becomes an integer is left open
    c.feed(c.values(dtype, shape, "tame"))
    c.scale = 16.0
    if c.opset == 10:
        c.feed(np.maximum(scales, 1))
        return
    ways = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
    if c.opset >= 19:
        ways.append("half_pixel_symmetric")
    c.attr(coordinate_transformation_mode=c.rng.choice(ways))
    if mode == "nearest":
        c.attr(nearest_mode=c.pick("round_prefer_floor", "floor", "ceil",
                                   "round_prefer_ceil"))
    if mode == "cubic":
        c.attr(cubic_coeff_a=c.pick(None, -0.5),
               exclude_outside=c.pick(None, 0, 1))
    c.feed(None if c.opset >= 13 else np.zeros(0, np.float32))
    if not by_size:
        c.feed(scales)
    else:
        c.feed(None if c.opset >= 13 else np.zeros(0, np.float32))
        c.feed(ints(*out))


@draws("GridSample")
def grid_sample(c):
    h, w, ho, wo = (c.rng.randint(1, 7) for _ in range(4))
    names = ("linear", "nearest", "cubic") if c.opset >= 20 else \
        ("bilinear", "nearest", "bicubic")
    c.attr(mode="some" if c.bad() else c.rng.choice(names),
           padding_mode=c.pick(None, "zeros", "border", "reflection"),
           align_corners=c.pick(None, 0, 1))
    c.feed(c.values(c.type(), [2, 3, h, w], "tame"))
    c.feed(c.bits.uniform(-1.3, 1.3, [2, ho, wo, 2]).astype(np.float32))
    c.scale = 64.0


@draws("Attention")
def attention(c):
    dtype = c.type()
    b, heads, group, q, kv, d, dv = (c.rng.randint(1, 4) for _ in range(7))
    flat = c.chance(0.4)
    for n, s, e in ((heads * group, q, d), (heads, kv, d), (heads, kv, dv)):
        c.feed(c.values(dtype, [b, s, n * e] if flat else [b, n, s, e],
                        "tame"))
    if flat:
        c.attr(q_num_heads=heads * group, kv_num_heads=heads)
    c.attr(is_causal=c.pick(None, 0, 1), scale=c.pick(None, 0.3),
           softcap=c.pick(None, None, 2.0))
    if c.chance(0.4):
        mask = c.pick([q, kv], [1, 1, q, kv], [b, 1, q, kv])
        c.feed(c.values(np.dtype(bool), mask) if c.chance(0.3)
               else c.values(dtype, mask, "tame"))
        if c.tensors[-1][1].dtype == bool:  # a row of none is left open
            c.tensors[-1][1][...] = True
    c.scale = 16.0


@draws("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def loss(c):
    n, k = c.rng.randint(1, 4), c.rng.randint(1, 6)
    rest = [c.rng.randint(1, 4) for _ in range(c.rng.randint(0, 2))]
    dtype = c.type()
    c.attr(reduction="some" if c.bad() else c.pick(None, "none", "mean",
                                                   "sum"))
    to = c.bits.integers(0, k, [n, *rest])
    if c.chance(0.4):
        c.attr(ignore_index=c.pick(0, -1, 255))
        if c.attrs["ignore_index"] and to.size > 1:
            to.ravel()[0] = c.attrs["ignore_index"]
    if to.size and c.bad():
        to.ravel()[-1] = k
    c.feed(c.values(dtype, [n, k, *rest], "tame"))
    c.feed(to.astype(c.pick(np.int32, np.int64)))
    if c.chance(0.5):
        c.feed(c.values(dtype, [k], "positive"))
    c.scale = 64.0
    return 2 if c.op[0] == "S" and c.chance(0.5) else 1


@draws("GroupNormalization")
def group_normalization(c):
    groups, per = c.rng.randint(1, 3), c.rng.randint(1, 3)
    dtype = c.type()
    c.attr(num_groups=groups, epsilon=c.pick(None, 1e-3))
    c.feed(c.values(dtype, [2, groups * per, *picture(c, 2)], "tame"))
    for _ in range(2):
        c.feed(c.values(dtype, [groups if c.opset < 21 else groups * per],
                        "tame"))
    c.scale = 64.0


@draws("LpNormalization")
def lp_normalization(c):
    shape = [max(d, 1) for d in c.shape(c.rng.randint(1, 4))]
    c.attr(axis=c.axis(len(shape)), p=c.pick(None, 1, 2))
    c.feed(c.values(c.type(), shape, "positive"))


@draws("GlobalLpPool")
def global_lp_pool(c):
    c.attr(p=c.pick(None, 1, 2, 3))
    c.feed(c.values(c.type(), [2, 3, *picture(c, c.rng.randint(1, 3))],
                    "tame"))
    c.scale = 64.0


@draws("Det")
def det(c):
    n = c.rng.randint(1, 5)
    c.feed(c.values(c.type(), c.shape(c.rng.randint(0, 2), 16) + [n, n],
                    "tame"))
    c.scale = 4.0**n


@draws("HannWindow", "HammingWindow", "BlackmanWindow")
def taper(c):
    c.attr(periodic=c.pick(None, 0, 1))
    c.feed(np.array(c.rng.randint(1, 40), c.pick(np.int32, np.int64)))
    c.scale = 4.0


@draws("CenterCropPad")
def center_crop_pad(c):
    shape = c.shape(c.rng.randint(1, 4), most=512)
    axes = c.rng.sample(range(len(shape)), c.rng.randint(1, len(shape)))
    c.attr(axes=axes)
    c.feed(c.values(c.type(), shape))
    c.feed(ints(*(c.rng.randint(1, 9) for _ in axes)))


@draws("Col2Im")
def col2im(c):
    image = [c.rng.randint(3, 8) for _ in range(2)]
    block = [c.rng.randint(1, 3) for _ in range(2)]
    n = math.prod(i - b + 1 for i, b in zip(image, block))
    c.feed(c.values(F32 if c.chance(0.7) else c.type(),
                    [2, 3 * math.prod(block), n], "small"))
    c.feed(ints(*image))
    c.feed(ints(*block))


@draws("AffineGrid")
def affine_grid(c):
    dims = c.pick(2, 3)
    c.attr(align_corners=c.pick(None, 0, 1))
    c.feed(c.values(c.type(), [2, dims, dims + 1], "tame"))
    c.feed(ints(2, 3, *(c.rng.randint(2, 6) for _ in range(dims))))
    c.scale = 16.0
