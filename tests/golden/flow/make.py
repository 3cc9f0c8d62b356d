"""Makes the models of this folder, with inputs and onnxruntime's outputs.

    build/venv/bin/python tests/golden/flow/make.py
"""
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper, parser

HERE = pathlib.Path(__file__).parent
HEAD = '<ir_version: 8, opset_import: ["" : %d]>\n'
F, I, B = np.float32, np.int64, np.bool_
rng = np.random.default_rng(1)


def normal(*shape):
    return rng.standard_normal(shape).astype(F)


# name: (opset, text, inputs of each data set)
MODELS = {
    # Values of every graph above are read at every depth.
    "captures": (16, """
g (float[N] x, int64 m, bool up) => (float[N] y, float[K, N] all) {
  one = Constant <value = float[1] {1.0}> ()
  two = Mul (x, x)
  y, all = Loop (m, , x) <body = b (int64 i, bool c, float[N] h)
    => (bool again, float[N] next, float[N] kept) {
    again = Identity (c)
    next = If (up) <then_branch = t () => (float[N] t1) {
      t0 = If (c) <then_branch = tt () => (float[N] t2) {
        t3 = Add (h, two)
        t2 = Add (t3, one)
      }, else_branch = te () => (float[N] t4) { t4 = Neg (h) }>
      t1 = Mul (t0, one)
    }, else_branch = e () => (float[N] e1) { e1 = Sub (h, x) }>
    kept = Add (next, h)
  }>
}""", [[normal(5), I(4), B(True)], [normal(3), I(2), B(False)],
       [normal(5), I(0), B(True)]]),
    # A carried value of another shape each trip.
    "growing": (16, """
g (float[N] x, int64 m) => (float[K] y, float[T, 1] ends) {
  zero = Constant <value = int64[1] {0}> ()
  one = Constant <value = int64[1] {1}> ()
  y, ends = Loop (m, , x) <body = b (int64 i, bool c, h)
    => (bool again, next, float[1] end) {
    again = Identity (c)
    twice = Add (h, h)
    next = Concat <axis = 0> (h, twice)
    end = Slice (next, zero, one)
  }>
}""", [[normal(2), I(5)], [normal(1), I(1)]]),
    # No trip count: the body says when to stop.
    "until": (13, """
g (float[2, 2] a, float limit) => (float[2, 2] y, int64 n) {
  zero = Constant <value = int64 {0}> ()
  one = Constant <value = int64 {1}> ()
  yes = Constant <value = bool {1}> ()
  y, n = Loop (, yes, a, zero) <body = b (int64 i, bool c, float[2, 2] h, int64 k)
    => (bool again, float[2, 2] next, int64 more) {
    next = Add (h, h)
    size = ReduceL1 <keepdims = 0> (next)
    again = Less (size, limit)
    more = Add (k, one)
  }>
}""", [[normal(2, 2), F(100)], [normal(2, 2), F(0)]]),
    # Weights captured by a body, whose state is large enough to be bound.
    "weights": (17, """
g (float[T, 80, 64] x, float[80, 64] h0) => (float[80, 64] h, float[T, 80, 64] all) {
  w = Constant <value = float[1] {0.02}> ()
  shape = Constant <value = int64[2] {64, 64}> ()
  full = Expand (w, shape)
  eye = EyeLike (full)
  mat = Add (full, eye)
  h, all = Scan <num_scan_inputs = 1, body = b (float[80, 64] s, float[80, 64] e)
    => (float[80, 64] next, float[80, 64] out) {
    p = MatMul (s, mat)
    q = Add (p, e)
    next = Tanh (q)
    out = Relu (q)
  }> (h0, x)
}""", [[normal(3, 80, 64), normal(80, 64)], [normal(1, 80, 64), normal(80, 64)]]),
    # Axes from the end, both directions.
    "directions": (11, """
g (float[2, T, 3] a, float[T] b) => (float[2, 3] s, float[2, 3, T] up, float[T, 2, 3] down) {
  zero = Constant <value = float[1] {0.0}> ()
  shape = Constant <value = int64[2] {2, 3}> ()
  s0 = Expand (zero, shape)
  s, up, down = Scan <num_scan_inputs = 2, scan_input_axes = [-2, 0],
    scan_input_directions = [0, 1], scan_output_axes = [-1, 0],
    scan_output_directions = [0, 1],
    body = c (float[2, 3] s1, float[2, 3] x, float y)
    => (float[2, 3] s2, float[2, 3] o1, float[2, 3] o2) {
    p = Mul (x, y)
    s2 = Add (s1, p)
    o1 = Identity (s2)
    o2 = Sub (s2, x)
  }> (s0, a, b)
}""", [[normal(2, 4, 3), normal(4)], [normal(2, 1, 3), normal(1)]]),
    # Branches that differ in rank.
    "ranks": (16, """
g (float[N, M] x) => (y, float[A] flat) {
  zero = Constant <value = int64 {0}> ()
  two = Constant <value = int64 {2}> ()
  minus = Constant <value = int64[1] {-1}> ()
  shape = Shape (x)
  n = Gather (shape, zero)
  c = Equal (n, two)
  y = If (c) <then_branch = t () => (t1) {
    axis = Constant <value = int64[1] {0}> ()
    t1 = Unsqueeze (x, axis)
  }, else_branch = e () => (e1) { 
    axes = Constant <value = int64[1] {1}> ()
    e1 = ReduceSum <keepdims = 0> (x, axes)
  }>
  flat = Reshape (y, minus)
}""", [[normal(2, 3)], [normal(4, 3)]]),
    # A condition known at load, around a loop that reads from everywhere.
    "known": (16, """
g (float[N] x, int64 m) => (float[N] y) {
  yes = Constant <value = bool {1}> ()
  no = Not (yes)
  two = Constant <value = float {2.0}> ()
  y = If (yes) <then_branch = t () => (float[N] t1) {
    h = Mul (x, two)
    t1 = Loop (m, yes, h) <body = b (int64 i, bool c, float[N] s)
      => (bool again, float[N] next) {
      again = Identity (yes)
      u = If (no) <then_branch = a () => (float[N] a1) { a1 = Sub (s, h) },
        else_branch = e () => (float[N] e1) { e1 = Add (s, x) }>
      next = Mul (u, two)
    }>
  }, else_branch = f () => (float[N] f1) { f1 = Neg (x) }>
}""", [[normal(4), I(3)], [normal(2), I(0)]]),
    # Sequences through loops and branches.
    "sequences": (17, """
g (float[N, 2] x, int64 m, bool keep) => (float[K, 2] y, int64 n) {
  one = Constant <value = int64 {1}> ()
  s0 = SplitToSequence <axis = 0> (x)
  s1 = Loop (m, , s0) <body = b (int64 i, bool c, seq(float[A, 2]) s)
    => (bool again, seq(float[A, 2]) next) {
    again = Identity (c)
    zero = Constant <value = int64 {0}> ()
    first = SequenceAt (s, zero)
    twice = Add (first, first)
    next = SequenceInsert (s, twice, one)
  }>
  s2 = If (keep) <then_branch = t () => (seq(float[A, 2]) t1) { t1 = Identity (s1) },
    else_branch = e () => (seq(float[A, 2]) e1) { e1 = SequenceErase (s1) }>
  n = SequenceLength (s2)
  y = ConcatFromSequence <axis = 0> (s2)
}""", [[normal(3, 2), I(4), B(True)], [normal(1, 2), I(1), B(False)]]),
    # Text that is made in one trip and read in the next.
    "text": (16, """
g (string[2] x, int64 m) => (string[N] y, string[T, 2] all) {
  y, all = Loop (m, , x) <body = b (int64 i, bool c, string[A] s)
    => (bool again, string[B] next, string[2] kept) {
    again = Identity (c)
    next = Concat <axis = 0> (s, x)
    kept = Identity (x)
  }>
}""", [[np.array(["alpha", "\u00df"], object), I(3)]]),
    # As text is generated: all that came before is kept and looked at.
    "cache": (17, """
g (float[1, 8] x, float[P, 8] k0, float[P, 8] v0, int64 m)
  => (float[1, 8] y, float[K, 8] k, float[V, 8] v, float[T, 1, 8] all) {
  zero = Constant <value = int64 {0}> ()
  one = Constant <value = int64 {1}> ()
  tenth = Constant <value = float[1] {0.1}> ()
  shape = Constant <value = int64[2] {8, 8}> ()
  full = Expand (tenth, shape)
  eye = EyeLike (full)
  w = Add (full, eye)
  y, k, v, all = Loop (m, , x, k0, v0)
    <body = b (int64 i, bool c, float[1, 8] h, float[A, 8] ka, float[B, 8] va)
    => (bool again, float[1, 8] next, float[C, 8] kb, float[D, 8] vb,
        float[1, 8] out) {
    again = Identity (c)
    q = MatMul (h, w)
    kb = Concat <axis = 0> (ka, q)
    turned = Tanh (q)
    vb = Concat <axis = 0> (va, turned)
    flipped = Transpose <perm = [1, 0]> (kb)
    scores = MatMul (h, flipped)
    p = Softmax <axis = 1> (scores)
    mixed = MatMul (p, vb)
    next = Add (mixed, turned)
    size = Shape (vb)
    n = Gather <axis = 0> (size, zero)
    rows = Range (zero, n, one)
    sum = ReduceSum <keepdims = 0> (rows)
    f = Cast <to = 1> (sum)
    out = Mul (next, f)
  }>
}""", [[normal(1, 8), normal(2, 8), normal(2, 8), I(6)],
       [normal(1, 8), normal(0, 8), normal(0, 8), I(3)]]),
    # What is left over becomes fewer in each trip, by what it is.
    "fewer": (17, """
g (float[N, 2] x, float limit) => (float[M, 2] rest, float[T, 1, 2] best) {
  zero = Constant <value = int64[1] {0}> ()
  one = Constant <value = int64[1] {1}> ()
  two = Constant <value = int64[1] {2}> ()
  rest, best = Loop (, , x) <body = b (int64 i, bool c, float[A, 2] h)
    => (bool again, float[B, 2] next, float[1, 2] first) {
    first = Slice (h, zero, one)
    d = Sub (h, first)
    e = Abs (d)
    far = ReduceSum <keepdims = 0> (e, one)
    keep = Less (limit, far)
    some = Compress <axis = 0> (h, keep)
    next = Neg (some)
    size = Shape (next)
    n = Slice (size, zero, one)
    more = Less (two, n)
    again = Squeeze (more)
  }>
}""", [[normal(24, 2), F(0.2)], [normal(3, 2), F(9)]]),
    # A rank that sizes decide, in front of what takes but one.
    "squeezed": (16, """
g (float[N, C, T] x) => (float[T1, D, N1, H] y, float[A, B, E] z) {
  zero = Constant <value = int64[1] {0}> ()
  one = Constant <value = int64 {1}> ()
  two = Constant <value = int64[1] {2}> ()
  tenth = Constant <value = float[1] {0.1}> ()
  sizes_w = Constant <value = int64[3] {1, 8, 3}> ()
  sizes_r = Constant <value = int64[3] {1, 8, 2}> ()
  sizes_k = Constant <value = int64[3] {2, 3, 1}> ()
  w = Expand (tenth, sizes_w)
  r = Expand (tenth, sizes_r)
  k = Expand (tenth, sizes_k)
  shape = Shape (x)
  last = Gather <axis = 0> (shape, two)
  single = Equal (last, one)
  flat = If (single) <then_branch = t () => (t1) { t1 = Squeeze (x, two) },
    else_branch = e () => (e1) { e1 = Identity (x) }>
  rank = Shape (flat)
  n = Size (rank)
  axis = Constant <value = int64 {2}> ()
  dropped = Equal (n, axis)
  s = If (dropped) <then_branch = a () => (a1) { a1 = Unsqueeze (flat, zero) },
    else_branch = b () => (b1) { b1 = Transpose <perm = [2, 0, 1]> (flat) }>
  c = Relu (s)
  d = Concat <axis = 0> (c, s)
  y, h = LSTM <hidden_size = 2> (d, w, r)
  turned = Transpose <perm = [1, 2, 0]> (x)
  back = If (single) <then_branch = f () => (f1) {
    f0 = Squeeze (x, two)
    f1 = Unsqueeze (f0, two)
  }, else_branch = g1 () => (g2) { g2 = Neg (x) }>
  z = Conv (back, k)
}""", [[normal(2, 3, 1)], [normal(2, 3, 4)]]),
}


def save(path, value, name):
    if isinstance(value, np.ndarray) and value.dtype == object:
        value = value.astype(str).astype(object)
    path.write_bytes(numpy_helper.from_array(
        np.asarray(value), name).SerializeToString())


def main():
    for name, (opset, text, sets) in MODELS.items():
        model = parser.parse_model(HEAD % opset + text)
        folder = HERE / name
        folder.mkdir(exist_ok=True)
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        session = onnxruntime.InferenceSession(model.SerializeToString())
        for k, values in enumerate(sets):
            names = [i.name for i in session.get_inputs()]
            feeds = {n: np.asarray(v) for n, v in zip(names, values)}
            data = folder / f"test_data_set_{k}"
            data.mkdir(exist_ok=True)
            for i, (n, v) in enumerate(feeds.items()):
                save(data / f"input_{i}.pb", v, n)
            outputs = session.run(None, feeds)
            if name == "text":  # onnxruntime fills the first slice only
                outputs[1] = np.stack([feeds["x"]] * int(feeds["m"]))
            for i, y in enumerate(outputs):
                save(data / f"output_{i}.pb", y, session.get_outputs()[i].name)


main()
