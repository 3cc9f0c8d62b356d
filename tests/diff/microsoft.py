"""How cases of onnxruntime's own operators that optimizers write are drawn:
fused layers, attention and what goes with it.  See operators.py."""
import numpy as np

from operators import draws, picture, window

F32 = np.dtype("float32")
F64 = np.dtype("float64")
I32 = np.dtype("int32")
I64 = np.dtype("int64")
F16 = np.dtype("float16")


def tame(c, *shape, dtype=F32):
    return c.values(dtype, list(shape), "tame")


def maybe(c, p, make):
    """An optional input."""
    c.feed(make() if c.chance(p) else None)


@draws("com.microsoft.BiasGelu", "com.microsoft.FastGelu")
def bias_gelu(c):
    shape = c.shape(c.rng.randint(1, 4))
    c.feed(tame(c, *shape))
    n = shape[-1] + (1 if c.op.endswith("BiasGelu") and c.bad() else 0)
    if c.op.endswith("BiasGelu") or c.chance(0.6):
        c.feed(tame(c, n))
    c.scale = 4.0


@draws("com.microsoft.QuickGelu")
def quick_gelu(c):
    c.attr(alpha=c.pick(None, 1.0, 1.702, -0.5, 0.0))
    c.feed(tame(c, *c.shape()))
    c.scale = 4.0


ACTIVATIONS = {None: [], "Relu": [], "Tanh": [], "Sigmoid": [],
               "LeakyRelu": [0.2], "Clip": [-1.0, 2.0],
               "HardSigmoid": [0.3, 0.4]}


@draws("com.microsoft.FusedConv")
def fused_conv(c):
    spatial = picture(c, c.pick(1, 2, 2, 2))
    kernel = window(c, spatial)
    group = c.pick(1, 1, 2)
    per, out = c.rng.randint(1, 9), group * c.rng.randint(1, 9)
    act = c.pick(*ACTIVATIONS)
    c.attr(group=group, activation=act)
    if act and ACTIVATIONS[act]:
        c.attr(activation_params=ACTIVATIONS[act])
    c.feed(tame(c, 1, per * group, *spatial))
    c.feed(tame(c, out, per, *kernel))
    with_z = c.chance(0.3)
    if with_z or c.chance(0.6):
        c.feed(tame(c, out))
    if with_z:  # of the output's shape: only where it is easy to tell
        for name in ("pads", "strides", "dilations", "auto_pad"):
            c.attrs.pop(name, None)
        c.feed(tame(c, 1, out, *(max(d - k + 1, 1)
                                 for d, k in zip(spatial, kernel))))
    c.scale = 16.0 * per * np.prod(kernel)


@draws("com.microsoft.FusedGemm")
def fused_gemm(c):
    m, k, n = (c.rng.randint(1, 33) for _ in range(3))
    ta, tb = c.pick(0, 0, 1), c.pick(0, 1)
    act = c.pick("Relu", "Tanh", "Sigmoid", "LeakyRelu", "Softplus",
                 "Softsign", "Elu", "HardSigmoid", "ThresholdedRelu")
    c.attr(transA=ta, transB=tb, alpha=c.pick(None, 0.5), activation=act,
           beta=c.pick(None, 2.0))
    if act in ("LeakyRelu", "Elu", "HardSigmoid", "ThresholdedRelu"):
        c.attr(activation_alpha=0.25)
    if act == "HardSigmoid":
        c.attr(activation_beta=0.5)
    c.feed(tame(c, *((k, m) if ta else (m, k))))
    c.feed(tame(c, *((n, k) if tb else (k, n))))
    if c.chance(0.7):
        c.feed(tame(c, *c.pick((n,), (1, n), (m, n), (m, 1))))
    c.scale = 16.0 * k + 16


@draws("com.microsoft.FusedMatMul", "com.microsoft.TransposeMatMul")
def fused_mat_mul(c):
    dtype = F32 if c.op.endswith("TransposeMatMul") else c.pick(F32, F32, F64)
    m, k, n = (c.rng.randint(1, 33) for _ in range(3))
    batch = [c.rng.randint(1, 4) for _ in range(c.pick(0, 0, 1, 2))]
    ta, tb = c.pick(0, 0, 1), c.pick(0, 1)
    c.attr(transA=ta, transB=tb, alpha=c.pick(None, 0.5, -2.0))
    a = batch + ([k, m] if ta else [m, k])
    b = (batch if c.chance(0.6) else []) + ([n, k] if tb else [k, n])
    moves = c.op.endswith("FusedMatMul") and len(batch) > 0
    moves = moves and len(a) == len(b)
    if moves and c.chance(0.2):
        c.attr(transBatchA=1)
        a = [a[-2], *a[:-2], a[-1]]
    if moves and c.chance(0.2):
        c.attr(transBatchB=1)
        b = [b[-2], *b[:-2], b[-1]]
    c.feed(tame(c, *a, dtype=dtype))
    c.feed(tame(c, *b, dtype=dtype))
    c.scale = 32.0 * k


@draws("com.microsoft.SkipLayerNormalization",
       "com.microsoft.SkipSimplifiedLayerNormalization")
def skip_norm(c):
    simple = "Simplified" in c.op
    dtype = c.pick(F32, F32, F32, F64, F16)
    shape = [c.rng.randint(1, 4), c.rng.randint(1, 5), c.dim() or 1]
    if c.chance(0.2):
        shape = shape[1:]
    c.attr(epsilon=c.pick(None, 1e-5, 0.1))
    c.feed(tame(c, *shape, dtype=dtype))
    skip = shape
    if len(shape) == 3 and c.chance(0.3):
        skip = c.pick([1, *shape[1:]], shape[1:])
    c.feed(tame(c, *skip, dtype=dtype))
    c.feed(tame(c, shape[-1], dtype=dtype))
    if not simple:
        maybe(c, 0.7, lambda: tame(c, shape[-1], dtype=dtype))
    maybe(c, 0.5, lambda: tame(c, shape[-1], dtype=dtype))
    c.scale = 64.0
    return 1


@draws("com.microsoft.EmbedLayerNormalization")
def embed(c):
    batch, length, width = (c.rng.randint(1, n) for n in (4, 9, 33))
    rows = [c.rng.randint(1, 20), length + c.rng.randint(0, 3),
            c.rng.randint(1, 3)]
    segments = c.chance(0.7)

    def ids(n, *shape):
        high = n + (1 if c.bad() else 0)
        return c.bits.integers(0, high, shape).astype(np.int32)

    c.attr(epsilon=c.pick(None, 1e-5))
    c.feed(ids(rows[0], batch, length))
    c.feed(ids(rows[2], batch, length) if segments else None)
    # onnxruntime wants to know the tables' sizes at load.
    c.feed(tame(c, rows[0], width), True)
    c.feed(tame(c, rows[1], width), True)
    c.feed(tame(c, rows[2], width) if segments else None, True)
    c.feed(tame(c, width), True)
    c.feed(tame(c, width), True)
    mask = c.chance(0.5)
    c.feed(ids(2, batch, length) if mask else None)
    if c.chance(0.4):
        c.feed(ids(rows[1], c.pick(1, batch), length))
    c.scale = 64.0
    return 2


def mask_index(c, batch, length, total):
    """A mask in one of the forms that onnxruntime has on a CPU, or none."""
    form = c.pick(None, None, 1, 2, 3, "2b")

    def draw(low, high, *shape):
        return c.bits.integers(low, high, shape).astype(np.int32)

    if form == 1:
        return draw(1, total + 1, batch)
    if form == "2b":
        return np.concatenate([draw(1, total + 1, batch),
                               draw(0, total, batch)])
    if form == 2:
        return draw(0, 2, batch, total)
    if form == 3:
        return draw(0, 2, batch, length, total)
    return None


def masked(c):
    """Where all keys of a query are masked, onnxruntime rounds the differences
    of scores to those of floats near -10000."""
    c.scale = max(c.scale, 8000.0)


def attention_bias(c, batch, heads, length, total):
    return tame(c, c.pick(1, batch), c.pick(1, heads), length, total)


@draws("com.microsoft.Attention")
def attention(c):
    batch, length, heads, size, width = (
        c.rng.randint(1, n) for n in (3, 9, 4, 20, 33))
    v_size = size
    past = c.rng.randint(1, 9) if c.chance(0.3) else 0
    c.attr(num_heads=heads, scale=c.pick(None, 0.3),
           unidirectional=c.pick(0, 0, 1))
    if not past and c.chance(0.3):
        v_size = c.rng.randint(1, 20)
        c.attr(qkv_hidden_sizes=[heads * size, heads * size, heads * v_size])
    row = heads * (2 * size + v_size)
    c.feed(tame(c, batch, length, width))
    c.feed(tame(c, width, row))
    c.feed(tame(c, row))
    total = length + past
    c.feed(mask_index(c, batch, length, total))
    c.feed(tame(c, 2, batch, heads, past, size) if past else None)
    if not past and c.chance(0.4):
        c.feed(attention_bias(c, batch, heads, length, total))
    c.scale = 16.0 * width * size * 4
    masked(c)
    return 2 if past or (v_size == size and c.chance(0.2)) else 1


@draws("com.microsoft.QAttention")
def qattention(c):
    batch, length, heads, size, width = (
        c.rng.randint(1, n) for n in (3, 9, 4, 20, 33))
    past = c.rng.randint(1, 9) if c.chance(0.3) else 0
    row = 3 * heads * size
    w = np.dtype(c.pick(np.uint8, np.int8))
    n = row if c.chance(0.4) else None
    c.attr(num_heads=heads, unidirectional=c.pick(0, 0, 1))
    c.feed(c.values(np.dtype(np.uint8), [batch, length, width]))
    c.feed(c.values(w, [width, row]), True)
    c.feed(tame(c, row))
    c.feed(np.array(0.02, F32))
    c.feed(c.bits.uniform(0.005, 0.02, [n] if n else []).astype(F32))
    c.feed(mask_index(c, batch, length, length + past))
    c.feed(c.values(np.dtype(np.uint8), [], "small"))
    c.feed(c.values(w, [], "small"))
    if past:
        c.feed(tame(c, 2, batch, heads, past, size))
    c.scale = 1000.0
    return 2 if past else 1


@draws("com.microsoft.MultiHeadAttention")
def multi_head(c):
    batch, length, heads, size = (c.rng.randint(1, n) for n in (3, 9, 4, 20))
    form = c.pick("apart", "apart", "apart", "cross")
    new = c.rng.randint(1, 12)
    # With other numbers of keys than of queries onnxruntime lets the last
    # query see all of them.
    causal = c.pick(0, 0, 1)
    if causal:
        new = length
    v_size = c.rng.randint(1, 20) if form == "apart" and c.chance(0.3) else size
    past = c.rng.randint(1, 9) if form == "apart" and v_size == size and \
        c.chance(0.4) else 0
    c.attr(num_heads=heads, scale=c.pick(None, 0.3), unidirectional=causal)
    rest = {"apart": [(batch, new, heads * size), (batch, new, heads * v_size)],
            "cross": [(batch, heads, new, size), (batch, heads, new, v_size)]}
    c.feed(tame(c, batch, length, heads * size))
    for shape in rest[form]:
        c.feed(tame(c, *shape))
    maybe(c, 0.4 * (form == "apart"),
          lambda: tame(c, heads * (2 * size + v_size)))
    total = past + new
    c.feed(c.pick(None, None,
                  c.bits.integers(0, 2, (batch, total)).astype(np.int32),
                  c.bits.integers(1, total + 1, batch).astype(np.int32),
                  c.bits.integers(0, 2, (batch, length, total)).astype(
                      np.int32)))
    c.feed(attention_bias(c, batch, heads, length, total)
           if c.chance(0.3) else None)
    if past:
        c.feed(tame(c, batch, heads, past, size))
        c.feed(tame(c, batch, heads, past, v_size))
    c.scale = 64.0 * size
    masked(c)
    return 3 if past else 1


@draws("com.microsoft.DecoderMaskedMultiHeadAttention")
def decoder_multi_head(c):
    batch, heads, size = (c.rng.randint(1, n) for n in (3, 4, 20))
    cross = c.chance(0.3)
    past = 0 if cross else c.rng.randint(0, 9)
    most = past + 1 + c.rng.randint(0, 3)
    new = c.rng.randint(1, 9) if cross else 1
    total = past + new
    c.attr(num_heads=heads, scale=c.pick(None, 0.3),
           past_present_share_buffer=int(not cross))
    c.feed(tame(c, batch, 1, heads * size))
    for _ in range(2):
        c.feed(tame(c, batch, heads, new, size) if cross
               else tame(c, batch, 1, heads * size))
    c.feed(c.bits.integers(0, 2, (batch, total)).astype(np.int32)
           if c.chance(0.4) else None)
    c.feed(attention_bias(c, batch, heads, 1, total)
           if c.chance(0.3) and not cross else None)
    for _ in range(2):
        c.feed(None if cross else tame(c, batch, heads, most, size))
    c.feed(None if cross else np.array([past], np.int32), True)
    c.feed(None)
    c.feed(None)
    if not cross and c.chance(0.4):
        c.feed(tame(c, 3 * heads * size))
    c.scale = 64.0 * size
    masked(c)
    return 1 if cross else 3


@draws("com.microsoft.GroupQueryAttention")
def group_query(c):
    dtype = c.pick(F32, F32, F32, F16)
    kv = c.rng.randint(1, 3)
    heads, size = kv * c.rng.randint(1, 3), c.pick(16, 32)
    packed = c.chance(0.4)
    first = c.chance(0.5)
    batch = c.rng.randint(1, 3)
    length = c.rng.randint(1, 9) if first else 1
    room = 0 if first else c.rng.randint(1, 12)
    if not first and c.chance(0.3):
        batch, length = 1, c.rng.randint(2, 6)
    total = length if first else room + length
    # Rows behind the keys that count are whatever they are: where the buffer
    # has room for more, the present is not compared.
    spare = c.rng.randint(1, 40) if c.chance(0.4) else 0
    if spare:
        room, c.compared = total + spare, 1
    turns = c.chance(0.5)
    c.attr(num_heads=heads, kv_num_heads=kv, scale=c.pick(None, None, 0.2),
           softcap=c.pick(None, None, 0.7), do_rotary=int(turns),
           rotary_interleaved=c.pick(0, 1),
           local_window_size=c.pick(-1, -1, 1, 3),
           smooth_softmax=c.pick(None, None, 1))

    def new(*shape):
        return tame(c, *shape, dtype=dtype)

    if packed:
        c.feed(new(batch, length, (heads + 2 * kv) * size))
    else:
        c.feed(new(batch, length, heads * size))
    for _ in range(2):
        c.feed(None if packed else new(batch, length, kv * size))
    for _ in range(2):
        c.feed(new(batch, kv, room, size) if room else None)
    c.feed(np.full(batch, total - 1, np.int32))
    c.feed(np.array([total], np.int32), True)
    half = c.pick(8, size // 2)
    for f in (np.cos, np.sin):
        c.feed(f(tame(c, total + 3, half)).astype(dtype) if turns else None)
    c.feed(None)
    maybe(c, 0.3, lambda: new(c.pick(1, batch), c.pick(1, heads), length,
                              total))
    if not c.attrs.get("smooth_softmax"):
        maybe(c, 0.2, lambda: new(heads))
    c.scale = 64.0 * size
    return 3


@draws("com.microsoft.RotaryEmbedding")
def rotary(c):
    dtype = c.pick(F32, F32, F16)
    batch, length, heads = (c.rng.randint(1, n) for n in (3, 6, 4))
    size = 2 * c.rng.randint(1, 17)
    four = c.chance(0.4)
    turn = size if c.chance(0.6) else 2 * c.rng.randint(1, size // 2)
    if turn != size:
        c.attr(rotary_embedding_dim=turn, num_heads=heads)
    elif c.chance(0.5):
        c.attr(num_heads=heads)
    c.attr(interleaved=c.pick(0, 1))
    most = length + c.rng.randint(0, 5)
    c.feed(tame(c, batch, heads, length, size, dtype=dtype) if four
           else tame(c, batch, length, heads * size, dtype=dtype))
    c.feed(np.array([c.rng.randint(0, most - length)], np.int64)
           if c.chance(0.5) else
           c.bits.integers(0, most + c.bad(), (batch, length)))
    for f in (np.cos, np.sin):
        c.feed(f(tame(c, most, turn // 2)).astype(dtype))
    c.scale = 8.0


@draws("com.microsoft.SparseAttention")
def sparse_attention(c):
    """A cache with room, in blocks, of which a query sees some and its own.
    onnxruntime wants the cache for its result too, which a model cannot say:
    the definition in numpy judges."""
    dtype = c.pick(F32, F32, F16)
    kv = c.rng.randint(1, 2)
    layouts = c.rng.randint(1, 2)
    heads, size = kv * layouts * c.rng.randint(1, 2), c.pick(16, 32)
    block, batch = 16, c.rng.randint(1, 2)
    blocks = c.rng.randint(1, 4)
    room = blocks * block
    first = c.chance(0.5)
    length = c.rng.randint(1, room) if first else c.pick(1, 1, 2)
    lengths = [length if first else c.rng.randint(length + 1, room)
               for _ in range(batch)]
    rows = [[[j for j in range(i + 1) if j == i or c.chance(0.5)]
             for i in range(blocks)] for _ in range(layouts)]
    most = max(sum(map(len, r)) for r in rows)
    columns = [(sum(r, []) + [-1] * most)[:most] for r in rows]
    starts = [np.cumsum([0] + [len(x) for x in r]) for r in rows]
    if c.bad():
        columns[0][0] = c.pick(-1, blocks)
    turns = c.chance(0.5)
    c.attr(num_heads=heads, kv_num_heads=kv, sparse_block_size=block,
           scale=c.pick(None, 0.2), do_rotary=int(turns),
           rotary_interleaved=c.pick(None, 0, 1))
    packed = c.chance(0.3)
    c.feed(tame(c, batch, length, (heads + (2 * kv if packed else 0)) * size,
                dtype=dtype))
    for _ in range(2):
        c.feed(None if packed else tame(c, batch, length, kv * size,
                                        dtype=dtype))
    for _ in range(2):
        c.feed(tame(c, batch, kv, room, size, dtype=dtype))
    c.feed(np.array(starts, np.int32))
    c.feed(np.array(columns, np.int32))
    c.feed(np.array([max(lengths)], np.int32))
    c.feed(np.array(lengths, np.int32))
    for f in (np.cos, np.sin):
        c.feed(f(tame(c, room, size // 2)).astype(dtype) if turns else None)
    c.scale, c.compared = 64.0 * size, 1
    return 3


@draws("com.microsoft.MRotaryEmbedding")
def m_rotary(c):
    """Three positions for a token, each for some of the angles."""
    dtype = c.pick(F32, F32, F16)
    batch, length, heads = (c.rng.randint(1, n) for n in (3, 6, 4))
    half = c.rng.randint(1, 17)
    size = 2 * half + c.pick(0, 0, 2, 6)
    four = c.chance(0.4)
    if size > 2 * half:
        c.attr(rotary_embedding_dim=2 * half, num_heads=heads)
    elif not four or c.chance(0.5):
        c.attr(num_heads=heads)
    layout = c.pick(None, 0, 1)
    first = c.rng.randint(0, half)
    second = c.rng.randint(0, half - first)
    sections = [first, second, half - first - second]
    if layout:  # by turns there is a third for each
        third = half // 3
        sections = [half - 2 * third, third, third]
    if c.bad():
        sections[c.rng.randrange(3)] += c.pick(1, -1)
    c.attr(interleaved=c.pick(None, 0, 1), mrope_section=sections,
           mrope_layout=layout, scale=c.pick(None, 1.0, 0.5))
    most = length + c.rng.randint(0, 5)
    c.feed(tame(c, batch, heads, length, size, dtype=dtype) if four
           else tame(c, batch, length, heads * size, dtype=dtype))
    c.feed(c.bits.integers(0, most + c.bad(), (3, batch, length)))
    for f in (np.cos, np.sin):
        c.feed(f(tame(c, most, half)).astype(dtype))
    c.scale = 8.0


@draws("com.microsoft.MoEGroupRouter")
def group_router(c):
    groups, per = c.rng.randint(1, 4), c.rng.randint(1, 9)
    full = c.chance(0.3)
    if full:
        groups = 1
    taken = c.rng.randint(1, groups)
    c.attr(n_group=groups if groups > 1 or c.chance(0.5) else None,
           topk_group=taken if taken > 1 or c.chance(0.5) else None,
           group_topk=c.pick(None, 1, 2, 3, 99),
           top_k=c.rng.randint(1, taken * per) + (99 if c.bad() else 0),
           router_sentinel=c.pick(None, -5.0))
    experts = groups * per
    # Scores that are apart: the choice is certain.
    dtype = F32 if full else c.pick(F32, F32, F16)
    lead = c.shape(c.rng.randint(1, 3), most=64)
    width = 256 if full and c.chance(0.4) else experts
    if width > experts:
        lead = lead[:1]
    c.feed(tame(c, *lead, width, dtype=dtype))
    c.feed(tame(c, experts + c.bad()))
    if width > experts:
        c.feed(tame(c, experts, width) / 64)
    c.scale = 8.0
    if full:
        c.skipped = 1
        return 3
    return 1


@draws("com.microsoft.Trilu")
def trilu(c):
    shape = c.shape(c.pick(2, 2, 3))
    c.attr(upper=c.pick(None, 0, 1))
    c.feed(c.values(c.pick(F32, F64, I64), shape))
    maybe(c, 0.6, lambda: np.array(c.rng.randint(-4, 5), np.int64))


@draws("com.microsoft.GridSample")
def grid_sample(c):
    c.attr(mode=c.pick(None, "bilinear", "nearest", "bicubic"),
           padding_mode=c.pick(None, "zeros", "border", "reflection"),
           align_corners=c.pick(0, 1))
    c.feed(tame(c, 2, 2, c.rng.randint(1, 7), c.rng.randint(1, 7)))
    c.feed(c.bits.uniform(-1.2, 1.2, (2, 3, c.rng.randint(1, 5), 2)).astype(
        F32))
    c.scale = 64.0


@draws("com.microsoft.DynamicQuantizeLSTM")
def dynamic_lstm(c):
    length, n, hidden = (c.rng.randint(1, m) for m in (4, 20, 12))
    direction = c.pick("forward", "reverse", "bidirectional")
    dirs = 2 if direction == "bidirectional" else 1
    w = np.dtype(c.pick(np.uint8, np.int8))
    columns = c.chance(0.4)
    c.attr(hidden_size=hidden, direction=direction,
           input_forget=c.pick(None, 0, 1))
    # With one sequence: of several, onnxruntime rounds the states together or
    # apart, as its threads share them.
    c.feed(tame(c, length, 1, n))
    for rows in (n, hidden):
        c.feed(c.values(w, [dirs, rows, 4 * hidden]), True)
    maybe(c, 0.6, lambda: tame(c, dirs, 8 * hidden))
    c.feed(None)
    for _ in range(2):
        maybe(c, 0.4, lambda: c.bits.uniform(-1, 1, (dirs, 1, hidden)).astype(
            F32))
    maybe(c, 0.3, lambda: tame(c, dirs, 3 * hidden))
    to = [dirs, 4 * hidden] if columns else [dirs]
    for _ in range(2):
        c.feed(c.bits.uniform(0.001, 0.01, to).astype(F32), True)
        # onnxruntime wants columns without zero points.
        c.feed(np.zeros(to, w) if columns else np.full(
            to, 128 if w == np.uint8 else 0, w), True)
    c.scale = 400.0  # a code more or less of a state
    return 3
