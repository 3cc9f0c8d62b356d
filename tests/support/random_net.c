#include "support/random_net.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "support/guard.h"
#include "support/net.h"
#include "support/test.h"

enum {
    TEXT_SIZE = RANDOM_NET_SIZE,
    VALUES_MAX = 64,
    COUNT_MAX = 6000 /* elements of a value */
};

typedef struct value {
    char name[16];
    bool whole; /* int64, else float32 */
    int rank;
    int64_t dim[4];
    bool used;
} value;

typedef struct maker {
    char *text; /* [TEXT_SIZE] */
    size_t size;
    value v[VALUES_MAX];
    int n;
    uint32_t state;
    int opset;
} maker;

static int pick(maker *m, int n)
{
    return (int)(md_guard_random(&m->state) >> 8) % n;
}

static void MD_PRINTF(2, 3) put(maker *m, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    m->size +=
        (size_t)vsnprintf(m->text + m->size, TEXT_SIZE - m->size, fmt, ap);
    va_end(ap);
    assert_true(m->size < TEXT_SIZE);
}

static int64_t count(const value *v)
{
    int64_t n = 1;

    for (int i = 0; i < v->rank; i++)
        n *= v->dim[i];
    return n;
}

/* A new value like `like`, not yet in the list. */
static value fresh(const maker *m, const value *like)
{
    value v = *like;

    snprintf(v.name, sizeof(v.name), "v%d", m->n);
    v.used = false;
    return v;
}

static void add(maker *m, const value *v)
{
    m->v[m->n++] = *v;
}

/* A random value that fits, marked as used; NULL when five tries found none. */
static value *take(maker *m, bool whole, int rank)
{
    for (int i = 0; i < 5; i++) {
        value *v = &m->v[pick(m, m->n)];

        if (v->whole == whole && (rank < 0 || v->rank == rank)) {
            v->used = true;
            return v;
        }
    }
    return NULL;
}

static void put_unary(maker *m)
{
    static const char *const ops[] = {
        "Relu",    "Sigmoid",   "Tanh",        "Neg",      "Abs",  "Erf",
        "Gelu",    "HardSwish", "LeakyRelu",   "Softplus", "Elu",  "Identity",
        "Dropout", "Sin",       "HardSigmoid", "Softsign", "Mish", "Celu",
        "Selu",    "Cos",       "Atan"
    };
    static const char *const whole[] = { "Neg", "Abs", "Identity", "Sign" };
    bool w = pick(m, 8) == 0;
    const value *x = take(m, w, -1);
    const char *op = w ? whole[pick(m, 4)] : ops[pick(m, MD_COUNT(ops))];
    value y;

    if (!x || (m->opset < 14 && strcmp(op, "HardSwish") == 0) ||
        (m->opset < 18 && strcmp(op, "Mish") == 0) ||
        (m->opset < 20 && strcmp(op, "Gelu") == 0))
        return;
    y = fresh(m, x);
    put(m, "%s = %s(%s)\n", y.name, op, x->name);
    add(m, &y);
}

static void put_clip(maker *m)
{
    const value *x = take(m, false, -1);
    value y;

    if (!x)
        return;
    y = fresh(m, x);
    put(m, "%s = Clip(%s, f32[]{-0.75}, f32[]{%d})\n", y.name, x->name,
        pick(m, 3));
    add(m, &y);
}

/* Do the shapes broadcast, to at most COUNT_MAX elements?  The result's to
 * out. */
static bool broadcast(value *out, const value *a, const value *b)
{
    const value *wide = a->rank >= b->rank ? a : b;
    const value *low = wide == a ? b : a;

    *out = *wide;
    for (int i = 0; i < low->rank; i++) {
        int64_t p = low->dim[low->rank - 1 - i];
        int64_t *q = &out->dim[wide->rank - 1 - i];

        if (p != *q && p != 1 && *q != 1)
            return false;
        *q = *q == 1 ? p : *q;
    }
    return count(out) <= COUNT_MAX;
}

/* A constant beside x: a number, one per element of the last dimension, or
 * one per channel. */
static void put_constant(maker *m, const value *x)
{
    const char *type = x->whole ? "i64" : "f32";
    int kind = pick(m, 4);

    if (kind == 0 && x->rank >= 1)
        put(m, "%s[%d]~1", type, (int)x->dim[x->rank - 1]);
    else if (kind == 1 && x->rank == 4)
        put(m, "%s[%d,1,1]~1", type, (int)x->dim[1]);
    else if (kind == 2)
        put(m, "%s[1]{2}", type);
    else
        put(m, "%s[]{1}", type);
}

static void put_binary(maker *m)
{
    static const char *const ops[] = {
        "Add", "Add", "Sub", "Mul", "Max", "Min"
    };
    const char *op = ops[pick(m, MD_COUNT(ops))];
    bool whole = pick(m, 8) == 0;
    const value *a = take(m, whole, -1), *b = take(m, whole, -1);
    value y;

    if (!a || !b)
        return;
    if (pick(m, 3) == 0) {
        y = fresh(m, a);
        put(m, "%s = %s(%s, ", y.name, op, a->name);
        put_constant(m, a);
        put(m, ")\n");
    } else if (broadcast(&y, a, b)) {
        y = fresh(m, &y);
        put(m, "%s = %s(%s, %s)\n", y.name, op, a->name, b->name);
    } else {
        return;
    }
    add(m, &y);
}

/* Same size, and many candidates for sharing memory and fusing. */
static void put_residual(maker *m)
{
    const value *a = take(m, false, -1);

    if (!a)
        return;
    for (int i = 0; i < m->n; i++) {
        value *b = &m->v[i];
        value y;

        if (b == a || b->whole || b->rank != a->rank ||
            memcmp(a->dim, b->dim, sizeof(a->dim[0]) * (size_t)a->rank) != 0)
            continue;
        b->used = true;
        y = fresh(m, a);
        put(m, "%s = Add(%s, %s)\n", y.name, a->name, b->name);
        add(m, &y);
        return;
    }
}

static void put_conv(maker *m)
{
    static const int channels[] = { 1, 3, 8, 16, 20, 32 };
    const value *x = take(m, false, 4);
    int k = pick(m, 2) ? 3 : 1, stride = 1 + pick(m, 2), pad = k / 2;
    int dilation = k > 1 && pick(m, 4) == 0 ? 2 : 1, more = pick(m, 4) == 0;
    int reach = (k - 1) * dilation + 1;
    value y;
    int64_t group = 1, per;

    if (!x || x->dim[2] + 2 * pad < reach || x->dim[3] + 2 * pad < reach)
        return;
    y = fresh(m, x);
    per = x->dim[1];
    y.dim[1] = channels[pick(m, MD_COUNT(channels))];
    if (pick(m, 4) == 0) { /* depthwise */
        group = y.dim[1] = x->dim[1];
        per = 1;
    } else if (pick(m, 6) == 0 && per % 2 == 0 && y.dim[1] % 2 == 0) {
        group = 2;
        per /= 2;
    }
    y.dim[2] = (x->dim[2] + 2 * pad + more - reach) / stride + 1;
    y.dim[3] = (x->dim[3] + 2 * pad - reach) / stride + 1;
    put(m, "%s = Conv(%s, f32[%d,%d,%d,%d]~%g", y.name, x->name, (int)y.dim[1],
        (int)per, k, k, 0.5 / (double)per);
    if (pick(m, 2))
        put(m, ", f32[%d]~0.5", (int)y.dim[1]);
    put(m, ") pads=[%d,%d,%d,%d] strides=[%d,%d] group=%d dilations=[%d,%d]\n",
        pad, pad, pad + more, pad, stride, stride, (int)group, dilation,
        dilation);
    add(m, &y);
}

/* Twice as many pixels. */
static void put_conv_transpose(maker *m)
{
    const value *x = take(m, false, 4);
    value y;

    if (!x || count(x) / x->dim[1] * 4 * 5 > COUNT_MAX)
        return;
    y = fresh(m, x);
    y.dim[1] = 5;
    y.dim[2] *= 2;
    y.dim[3] *= 2;
    put(m, "%s = ConvTranspose(%s, f32[%d,5,2,2]~%g) strides=[2,2]\n", y.name,
        x->name, (int)x->dim[1], 0.5 / (double)x->dim[1]);
    add(m, &y);
}

/* What exporters write in several nodes and passes make one of. */
static void put_idiom(maker *m)
{
    const value *x = take(m, false, -1);
    value y;
    int c, last;

    if (!x)
        return;
    y = fresh(m, x);
    c = x->rank > 1 ? (int)x->dim[1] : 1;
    last = x->rank > 0 ? (int)x->dim[x->rank - 1] : 1;
    switch (pick(m, 4)) {
    case 0:
        put(m, "i%d = Sigmoid(%s)\n%s = Mul(%s, i%d)\n", m->n, x->name, y.name,
            x->name, m->n);
        break;
    case 1:
        put(m,
            "i%d = Div(%s, f32[]{1.4142135})\nj%d = Erf(i%d)\n"
            "k%d = Add(j%d, f32[]{1})\nl%d = Mul(%s, k%d)\n"
            "%s = Mul(l%d, f32[]{0.5})\n",
            m->n, x->name, m->n, m->n, m->n, m->n, m->n, x->name, m->n, y.name,
            m->n);
        break;
    case 2:
        if (x->rank != 4)
            return;
        put(m,
            "i%d = Conv(%s, f32[%d,%d,1,1]~%g)\n"
            "j%d = BatchNormalization(i%d, f32[%d]~1, f32[%d]~1, f32[%d]~1, "
            "f32[%d]{=2})\nk%d = Add(j%d, %s)\n%s = Relu(k%d)\n",
            m->n, x->name, c, c, 0.5 / c, m->n, m->n, c, c, c, c, m->n, m->n,
            x->name, y.name, m->n);
        break;
    default:
        if (x->rank < 2)
            return;
        put(m,
            "i%d = MatMul(%s, f32[%d,%d]~%g)\nj%d = Add(i%d, f32[%d]~1)\n"
            "k%d = Add(%s, j%d)\n%s = Tanh(k%d)\n",
            m->n, x->name, last, last, 0.5 / last, m->n, m->n, last, m->n,
            x->name, m->n, y.name, m->n);
        break;
    }
    add(m, &y);
}

static void put_norm(maker *m)
{
    const value *x = take(m, false, -1);
    int c, last;
    value y;

    if (!x || x->rank < 2)
        return;
    c = (int)x->dim[1];
    last = (int)x->dim[x->rank - 1];
    y = fresh(m, x);
    if (x->rank > 2 && pick(m, 4) == 0)
        put(m,
            "%s = InstanceNormalization(%s, f32[%d]~1, f32[%d]~1) "
            "epsilon=0.1\n",
            y.name, x->name, c, c);
    else if (m->opset < 17 || pick(m, 2))
        put(m,
            "%s = BatchNormalization(%s, f32[%d]~1, f32[%d]~1, f32[%d]~1, "
            "f32[%d]{=2})\n",
            y.name, x->name, c, c, c, c);
    else
        put(m, "%s = LayerNormalization(%s, f32[%d]~1) epsilon=0.1\n", y.name,
            x->name, last);
    add(m, &y);
}

static void put_pool(maker *m)
{
    static const char *const global[] = { "GlobalAveragePool",
                                          "GlobalMaxPool" };
    static const char *const window[] = { "AveragePool", "MaxPool" };
    static const char *const pads[] = { "pads=[1,1,1,1]",
                                        "auto_pad=\"SAME_UPPER\"",
                                        "auto_pad=\"SAME_LOWER\"" };
    const value *x = take(m, false, 4);
    int kind = pick(m, 2);
    value y;

    if (!x)
        return;
    y = fresh(m, x);
    if (pick(m, 3) == 0 || x->dim[2] < 3 || x->dim[3] < 3) {
        y.dim[2] = y.dim[3] = 1;
        put(m, "%s = %s(%s)\n", y.name, global[kind], x->name);
    } else {
        int padded = pick(m, 2);

        y.dim[2] = (x->dim[2] - 1) / 2 + 1;
        y.dim[3] = (x->dim[3] - 1) / 2 + 1;
        put(m, "%s = %s(%s) kernel_shape=[3,3] strides=[2,2] %s", y.name,
            window[kind], x->name, pads[pick(m, MD_COUNT(pads))]);
        put(m, kind == 0 && padded ? " count_include_pad=1\n" : "\n");
    }
    add(m, &y);
}

static void put_product(maker *m)
{
    static const int columns[] = { 1, 5, 16, 33, 48 };
    const value *x = take(m, false, -1);
    int n = columns[pick(m, MD_COUNT(columns))], k;
    value y;

    if (!x || x->rank < 2)
        return;
    k = (int)x->dim[x->rank - 1];
    y = fresh(m, x);
    y.dim[y.rank - 1] = pick(m, 2) ? n : k;
    n = (int)y.dim[y.rank - 1];
    if (count(&y) > COUNT_MAX)
        return;
    if (x->rank == 2 && pick(m, 3) == 0)
        put(m, "%s = Gemm(%s, f32[%d,%d]~%g, f32[%d]~1) alpha=0.5 beta=0.25\n",
            y.name, x->name, k, n, 1.0 / (1 + k), n);
    else if (x->rank == 2 && pick(m, 2))
        put(m, "%s = Gemm(%s, f32[%d,%d]~%g, f32[%d]~1) transB=1\n", y.name,
            x->name, n, k, 1.0 / (1 + k), n);
    else
        put(m, "%s = MatMul(%s, f32[%d,%d]~%g)\n", y.name, x->name, k, n,
            1.0 / (1 + k));
    add(m, &y);
}

/* softmax(x x^T) */
static void put_square(maker *m)
{
    const value *x = take(m, false, 3);
    value t, y;
    int64_t rows;

    if (!x || x->dim[1] * x->dim[1] * x->dim[0] > COUNT_MAX)
        return;
    rows = x->dim[1];
    t = fresh(m, x);
    t.dim[1] = x->dim[2];
    t.dim[2] = rows;
    put(m, "%s = Transpose(%s) perm=[0,2,1]\n", t.name, x->name);
    add(m, &t);
    y = fresh(m, x);
    y.dim[2] = rows;
    put(m, "p%d = MatMul(%s, %s)\n%s = Softmax(p%d) axis=-1\n", m->n, x->name,
        t.name, y.name, m->n);
    m->v[m->n - 1].used = true;
    add(m, &y);
}

static void put_concat(maker *m)
{
    const value *a = take(m, false, -1), *b = take(m, false, -1);
    int axis;
    value y;

    if (!a || !b || a->rank != b->rank || a->rank < 2)
        return;
    axis = 1 + pick(m, a->rank - 1);
    y = fresh(m, a);
    for (int i = 0; i < a->rank; i++) {
        if (i != axis && a->dim[i] != b->dim[i])
            return;
    }
    y.dim[axis] += b->dim[axis];
    if (count(&y) > COUNT_MAX)
        return;
    put(m, "%s = Concat(%s, %s) axis=%d\n", y.name, a->name, b->name, axis);
    add(m, &y);
}

static void put_split(maker *m)
{
    const value *x = take(m, false, -1);
    int axis;
    value y, z;

    if (!x || x->rank < 2)
        return;
    axis = 1 + pick(m, x->rank - 1);
    if (x->dim[axis] < 2)
        return;
    y = fresh(m, x);
    y.dim[axis] = 1 + pick(m, (int)x->dim[axis] - 1);
    put(m, "%s, v%d = Split(%s, i64[2]{%d %d}) axis=%d\n", y.name, m->n + 1,
        x->name, (int)y.dim[axis], (int)(x->dim[axis] - y.dim[axis]), axis);
    add(m, &y);
    z = fresh(m, &y);
    z.dim[axis] = x->dim[axis] - y.dim[axis];
    add(m, &z);
}

static void put_slice(maker *m)
{
    const value *x = take(m, false, -1);
    int axis, from;
    value y;

    if (!x || x->rank < 2)
        return;
    axis = 1 + pick(m, x->rank - 1);
    from = pick(m, (int)x->dim[axis]);
    y = fresh(m, x);
    y.dim[axis] -= from;
    put(m, "%s = Slice(%s, i64[1]{%d}, i64[1]{100000}, i64[1]{%d})\n", y.name,
        x->name, from, axis);
    add(m, &y);
}

static void put_transpose(maker *m)
{
    const value *x = take(m, pick(m, 8) == 0, -1);
    int perm[4] = { 0, 1, 2, 3 };
    value y;

    if (!x || x->rank < 3)
        return;
    for (int i = x->rank - 1; i > 1; i--) { /* the batch stays in front */
        int k = 1 + pick(m, i), t = perm[i];

        perm[i] = perm[k];
        perm[k] = t;
    }
    y = fresh(m, x);
    put(m, "%s = Transpose(%s) perm=[", y.name, x->name);
    for (int i = 0; i < x->rank; i++) {
        put(m, "%s%d", i ? "," : "", perm[i]);
        y.dim[i] = x->dim[perm[i]];
    }
    put(m, "]\n");
    add(m, &y);
}

static void put_reshape(maker *m)
{
    const value *x = take(m, pick(m, 8) == 0, -1);
    value y;

    if (!x || x->rank < 2)
        return;
    y = fresh(m, x);
    switch (pick(m, 4)) {
    case 0:
        y.rank = 2;
        y.dim[1] = count(x) / x->dim[0];
        put(m, "%s = Flatten(%s)\n", y.name, x->name);
        break;
    case 1:
        y.rank = 3;
        y.dim[2] = count(x) / x->dim[0] / x->dim[1];
        put(m, "%s = Reshape(%s, i64[3]{0 %d -1})\n", y.name, x->name,
            (int)x->dim[1]);
        break;
    case 2:
        if (x->rank == 4)
            return;
        y.rank++;
        memmove(&y.dim[2], &x->dim[1],
                sizeof(y.dim[0]) * (size_t)(x->rank - 1));
        y.dim[1] = 1;
        put(m, "%s = Unsqueeze(%s, i64[1]{1})\n", y.name, x->name);
        break;
    default:
        if (x->dim[1] != 1)
            return;
        y.rank--;
        memmove(&y.dim[1], &x->dim[2], sizeof(y.dim[0]) * (size_t)(y.rank - 1));
        put(m, "%s = Squeeze(%s, i64[1]{1})\n", y.name, x->name);
        break;
    }
    add(m, &y);
}

static void put_reduce(maker *m)
{
    static const char *const ops[] = { "ReduceMean", "ReduceMax", "ReduceMin",
                                       "ReduceLogSumExp" };
    const value *x = take(m, false, -1);
    const char *op = ops[pick(m, 4)];
    int axis, keep = pick(m, 2);
    value y;

    if (!x || x->rank < 2)
        return;
    axis = 1 + pick(m, x->rank - 1);
    keep |= x->rank == 2;
    y = fresh(m, x);
    y.dim[axis] = 1;
    put(m, m->opset < 18 ? "%s = %s(%s) axes=[%d]" : "%s = %s(%s, i64[1]{%d})",
        y.name, op, x->name, axis);
    put(m, " keepdims=%d\n", keep);
    if (!keep) {
        y.rank--;
        memmove(&y.dim[axis], &x->dim[axis + 1],
                sizeof(y.dim[0]) * (size_t)(y.rank - axis));
    }
    add(m, &y);
}

/* Moving elements about: a part of them, some twice. */
static void put_gather(maker *m)
{
    const value *x = take(m, pick(m, 8) == 0, -1);
    int axis, n = 1 + pick(m, 4);
    value y;

    if (!x || x->rank < 2)
        return;
    axis = 1 + pick(m, x->rank - 1);
    y = fresh(m, x);
    y.dim[axis] = n;
    if (count(&y) > COUNT_MAX)
        return;
    put(m, "%s = Gather(%s, i64[%d]{", y.name, x->name, n);
    for (int i = 0; i < n; i++)
        put(m, "%s%d", i ? " " : "", pick(m, (int)x->dim[axis]));
    put(m, "}) axis=%d\n", axis);
    add(m, &y);
}

static void put_pad(maker *m)
{
    static const char *const modes[] = { "constant", "edge" };
    const value *x = take(m, false, -1);
    int before[4] = { 0 }, after[4] = { 0 };
    value y;

    if (!x || x->rank < 2)
        return;
    y = fresh(m, x);
    for (int i = 1; i < x->rank; i++) {
        before[i] = pick(m, 3);
        after[i] = pick(m, 2);
        y.dim[i] += before[i] + after[i];
    }
    if (count(&y) > COUNT_MAX)
        return;
    put(m, "%s = Pad(%s, i64[%d]{", y.name, x->name, 2 * x->rank);
    for (int i = 0; i < 2 * x->rank; i++)
        put(m, "%s%d", i ? " " : "",
            i < x->rank ? before[i] : after[i - x->rank]);
    put(m, "}) mode=\"%s\"\n", modes[pick(m, 2)]);
    add(m, &y);
}

static void put_tile(maker *m)
{
    const value *x = take(m, pick(m, 8) == 0, -1);
    int axis;
    value y;

    if (!x || x->rank < 2 || 2 * count(x) > COUNT_MAX)
        return;
    axis = 1 + pick(m, x->rank - 1);
    y = fresh(m, x);
    y.dim[axis] *= 2;
    put(m, "%s = Tile(%s, i64[%d]{", y.name, x->name, x->rank);
    for (int i = 0; i < x->rank; i++)
        put(m, "%s%d", i ? " " : "", i == axis ? 2 : 1);
    put(m, "})\n");
    add(m, &y);
}

/* Channels to pixels and back. */
static void put_space(maker *m)
{
    const value *x = take(m, false, 4);
    value y;

    if (!x)
        return;
    y = fresh(m, x);
    if (x->dim[1] % 4 == 0) {
        y.dim[1] /= 4;
        y.dim[2] *= 2;
        y.dim[3] *= 2;
        put(m, "%s = DepthToSpace(%s) blocksize=2 mode=\"%s\"\n", y.name,
            x->name, pick(m, 2) ? "CRD" : "DCR");
    } else if (x->dim[2] % 2 == 0 && x->dim[3] % 2 == 0) {
        y.dim[1] *= 4;
        y.dim[2] /= 2;
        y.dim[3] /= 2;
        put(m, "%s = SpaceToDepth(%s) blocksize=2\n", y.name, x->name);
    } else {
        return;
    }
    add(m, &y);
}

/* Integers that stay small. */
static void put_whole(maker *m)
{
    const value *x = take(m, true, -1);
    int axis;
    value y;

    if (!x || x->rank < 2)
        return;
    y = fresh(m, x);
    axis = 1 + pick(m, x->rank - 1);
    switch (pick(m, 3)) {
    case 0:
        put(m, "%s = Mod(%s, i64[]{3})\n", y.name, x->name);
        break;
    case 1:
        y.dim[axis] = 1;
        put(m, "%s = ArgMax(%s) axis=%d\n", y.name, x->name, axis);
        break;
    default:
        put(m,
            "e%d = Equal(%s, i64[]{0})\nn%d = Not(e%d)\n"
            "%s = Cast(n%d) to=7\n",
            m->n, x->name, m->n, m->n, y.name, m->n);
        break;
    }
    add(m, &y);
}

/* Another type for a while: no kernel takes it. */
static void put_double(maker *m)
{
    const value *x = take(m, false, -1);
    value y;

    if (!x)
        return;
    y = fresh(m, x);
    put(m,
        "f%d = Cast(%s) to=11\ng%d = Tanh(f%d)\nh%d = Add(g%d, f%d)\n"
        "%s = Cast(h%d) to=1\n",
        m->n, x->name, m->n, m->n, m->n, m->n, m->n, y.name, m->n);
    add(m, &y);
}

static void put_softmax(maker *m)
{
    const value *x = take(m, false, -1);
    value y;

    if (!x || x->rank < 2)
        return;
    y = fresh(m, x);
    put(m, "%s = Softmax(%s) axis=%d\n", y.name, x->name,
        1 + pick(m, x->rank - 1));
    add(m, &y);
}

static void put_resize(maker *m)
{
    const value *x = take(m, false, 4);
    value y;

    if (!x || count(x) * 4 > COUNT_MAX)
        return;
    y = fresh(m, x);
    y.dim[2] *= 2;
    y.dim[3] *= 2;
    put(m,
        "%s = Resize(%s, _, f32[4]{1 1 2 2}) nearest_mode=\"floor\" "
        "coordinate_transformation_mode=\"asymmetric\"\n",
        y.name, x->name);
    add(m, &y);
}

/* What is known from the shape alone. */
static void put_known(maker *m)
{
    const value *x = take(m, false, -1);
    value y;

    if (!x)
        return;
    y = fresh(m, x);
    put(m, "s%d = Shape(%s)\n", m->n, x->name);
    put(m, "%s = ConstantOfShape(s%d)\n", y.name, m->n);
    add(m, &y);
}

static void put_cast(maker *m)
{
    const value *x = take(m, true, -1);
    value y;

    if (!x)
        return;
    y = fresh(m, x);
    y.whole = false;
    put(m, "c%d = Cast(%s) to=1\n%s = Tanh(c%d)\n", m->n, x->name, y.name,
        m->n);
    add(m, &y);
}

static void put_where(maker *m)
{
    const value *c = take(m, true, -1), *a = take(m, false, -1);
    const value *b = take(m, false, -1);
    value y, t;

    if (!a || !b || !c || !broadcast(&t, a, b) || !broadcast(&y, &t, c))
        return;
    y = fresh(m, &y);
    y.whole = false;
    put(m, "g%d = Greater(%s, i64[]{0})\n%s = Where(g%d, %s, %s)\n", m->n,
        c->name, y.name, m->n, a->name, b->name);
    add(m, &y);
}

typedef void put_fn(maker *m);

static put_fn *const steps[] = {
    put_unary,    put_unary,     put_clip,    put_binary,         put_binary,
    put_residual, put_conv,      put_conv,    put_norm,           put_pool,
    put_product,  put_product,   put_square,  put_concat,         put_split,
    put_slice,    put_transpose, put_reshape, put_reduce,         put_softmax,
    put_resize,   put_known,     put_cast,    put_where,          put_residual,
    put_gather,   put_pad,       put_tile,    put_space,          put_whole,
    put_double,   put_idiom,     put_idiom,   put_conv_transpose,
};

static void put_input(maker *m, bool whole, int rank)
{
    static const int64_t sizes[] = { 1, 3, 4, 7, 8, 16 };
    value v = { .whole = whole, .rank = rank, .dim = { RANDOM_NET_BATCH } };

    v = fresh(m, &v);
    put(m, "%s %s[N", v.name, whole ? "i64" : "f32");
    for (int i = 1; i < rank; i++) {
        v.dim[i] = sizes[pick(m, MD_COUNT(sizes))];
        put(m, ",%d", (int)v.dim[i]);
    }
    put(m, "]\n");
    add(m, &v);
}

void random_net_make(char *text, uint32_t seed)
{
    static const int opsets[] = { 21, 13, 14, 17, 18, 20, 22 };
    int want = 5 + (int)(seed % 36), n_out = 0;
    maker m = { .text = text, .state = seed * 2654435761u + 1 };

    m.opset = opsets[pick(&m, MD_COUNT(opsets))];
    put(&m, "opset %d\n", m.opset);
    put_input(&m, false, 4);
    put_input(&m, false, 2 + pick(&m, 2));
    put_input(&m, true, 2 + pick(&m, 3));
    for (int i = 0; i < want && m.n < VALUES_MAX - 4; i++)
        steps[pick(&m, MD_COUNT(steps))](&m);
    put(&m, "-> ");
    for (int i = 3; i < m.n && n_out < NET_IO_MAX; i++) {
        if (!m.v[i].used || pick(&m, 12) == 0 || i == m.n - 1)
            put(&m, "%s%s", n_out++ ? ", " : "", m.v[i].name);
    }
    if (n_out == 0)
        put(&m, "v0");
}

/* ---- codes ---- */

/* 8-bit codes; maker.v has their names and sizes. */
typedef struct code {
    bool is_signed;
    int zero;
    double scale;
    double off; /* codes that it may differ by from exact arithmetic */
} code;

typedef struct code_maker {
    maker m;
    code q[VALUES_MAX]; /* beside m.v */
} code_maker;

static const char *type_of(const code *q)
{
    return q->is_signed ? "i8" : "u8";
}

static code code_random(maker *m)
{
    code q = { .is_signed = pick(m, 2), .scale = 0.01 + 0.002 * pick(m, 10) };

    q.zero = pick(m, 256) - (q.is_signed ? 128 : 0);
    return q;
}

static void put_dequantize(code_maker *c, const char *name, const value *x)
{
    const code *q = &c->q[x - c->m.v];

    put(&c->m, "%s%d = DequantizeLinear(%s, f32[]{%.9g}, %s[]{%d})\n", name,
        c->m.n, x->name, q->scale, type_of(q), q->zero);
}

/* What x may differ by, in steps of q. */
static double in_steps(const code_maker *c, const value *x, const code *q)
{
    const code *from = &c->q[x - c->m.v];

    return from->off * from->scale / q->scale;
}

/* y = codes of `name`, perhaps after an activation. */
static void put_quantize(code_maker *c, const char *name, const value *y,
                         const code *q, bool activate)
{
    maker *m = &c->m;
    int act = activate ? pick(m, 3) : 0;

    if (act == 1)
        put(m, "r%d = Relu(%s%d)\n", m->n, name, m->n);
    if (act == 2)
        put(m, "r%d = Clip(%s%d, f32[]{-0.5}, f32[]{%d})\n", m->n, name, m->n,
            pick(m, 3));
    put(m, "%s = QuantizeLinear(%s%d, f32[]{%.9g}, %s[]{%d})\n", y->name,
        act ? "r" : name, m->n, q->scale, type_of(q), q->zero);
    c->q[m->n] = *q;
    add(m, y);
}

/* Magnitudes of the weights of a sum add up to no more than this. */
static const double gain = 127 * 0.015;

static void put_code_weights(maker *m, int n_out, int fan_in, const char *dims,
                             int axis)
{
    put(m, "w%d = DequantizeLinear(i8[%s]~127, f32", m->n, dims);
    if (pick(m, 2)) {
        put(m, "[%d]{=%.9g}) axis=%d\n", n_out, 0.012 / fan_in, axis);
        return;
    }
    put(m, "[]{%.9g})\n", 0.015 / fan_in);
}

static void put_code_conv(code_maker *c)
{
    static const int channels[] = { 1, 3, 4, 8, 16, 20, 33 };
    maker *m = &c->m;
    const value *x = take(m, false, 4);
    int k = pick(m, 2) ? 3 : 1, stride = 1 + pick(m, 2), pad = k / 2;
    int group = 1, per;
    code q = code_random(m);
    char dims[48];
    value y;

    if (!x || x->dim[2] + 2 * pad < k || x->dim[3] + 2 * pad < k)
        return;
    y = fresh(m, x);
    per = (int)x->dim[1];
    y.dim[1] = channels[pick(m, MD_COUNT(channels))];
    if (pick(m, 3) == 0) {
        group = per;
        y.dim[1] = per;
        per = 1;
    }
    y.dim[2] = (x->dim[2] + 2 * pad - k) / stride + 1;
    y.dim[3] = (x->dim[3] + 2 * pad - k) / stride + 1;
    snprintf(dims, sizeof(dims), "%d,%d,%d,%d", (int)y.dim[1], per, k, k);
    put_dequantize(c, "d", x);
    put_code_weights(m, (int)y.dim[1], per * k * k, dims, 0);
    put(m, "c%d = Conv(d%d, w%d) pads=[%d,%d,%d,%d] strides=[%d,%d] group=%d\n",
        m->n, m->n, m->n, pad, pad, pad, pad, stride, stride, group);
    q.off = 1 + gain * in_steps(c, x, &q);
    put_quantize(c, "c", &y, &q, true);
}

static void put_code_product(code_maker *c)
{
    static const int columns[] = { 1, 5, 16, 33, 48 };
    maker *m = &c->m;
    const value *x = take(m, false, -1);
    code q = code_random(m);
    int k, n = columns[pick(m, MD_COUNT(columns))];
    char dims[32];
    value y;

    if (!x || x->rank < 2)
        return;
    k = (int)x->dim[x->rank - 1];
    y = fresh(m, x);
    y.dim[y.rank - 1] = n;
    if (count(&y) > COUNT_MAX)
        return;
    snprintf(dims, sizeof(dims), "%d,%d", k, n);
    put_dequantize(c, "d", x);
    put_code_weights(m, n, k, dims, 1);
    put(m, "c%d = %s(d%d, w%d)\n", m->n,
        x->rank == 2 && pick(m, 2) ? "Gemm" : "MatMul", m->n, m->n);
    q.off = 1 + gain * in_steps(c, x, &q);
    put_quantize(c, "c", &y, &q, true);
}

/* Half the sum of two of one type: its scale is that of both together. */
static void put_code_add(code_maker *c)
{
    maker *m = &c->m;
    const value *a = take(m, false, -1), *b = take(m, false, -1);
    code q;
    value y;

    if (!a || !b || !broadcast(&y, a, b))
        return;
    if (c->q[a - m->v].is_signed != c->q[b - m->v].is_signed)
        return;
    y = fresh(m, &y);
    q = c->q[a - m->v];
    q.scale += c->q[b - m->v].scale;
    q.off = 1 + in_steps(c, a, &q) + in_steps(c, b, &q);
    put_dequantize(c, "d", a);
    put_dequantize(c, "e", b);
    put(m, "c%d = Add(d%d, e%d)\n", m->n, m->n, m->n);
    put_quantize(c, "c", &y, &q, true);
}

/* The mean of each channel, of one type on both sides. */
static void put_code_average(code_maker *c)
{
    maker *m = &c->m;
    const value *x = take(m, false, 4);
    code q = code_random(m);
    value y;

    if (!x)
        return;
    y = fresh(m, x);
    y.dim[2] = y.dim[3] = 1;
    if (q.is_signed != c->q[x - m->v].is_signed)
        q = c->q[x - m->v];
    q.off = 1 + in_steps(c, x, &q);
    put_dequantize(c, "d", x);
    put(m, "c%d = GlobalAveragePool(d%d)\n", m->n, m->n);
    put_quantize(c, "c", &y, &q, false);
}

/* Moves and maxima, which keep the codes. */
static void put_code_move(code_maker *c)
{
    maker *m = &c->m;
    const value *x = take(m, false, -1);
    value y;

    if (!x)
        return;
    y = fresh(m, x);
    put_dequantize(c, "d", x);
    if (x->rank == 4 && x->dim[2] >= 3 && x->dim[3] >= 3 && pick(m, 2)) {
        y.dim[2] = (x->dim[2] - 1) / 2 + 1;
        y.dim[3] = (x->dim[3] - 1) / 2 + 1;
        put(m,
            "c%d = MaxPool(d%d) kernel_shape=[3,3] strides=[2,2] "
            "pads=[1,1,1,1]\n",
            m->n, m->n);
    } else if (x->rank == 4 && pick(m, 2)) {
        y.dim[1] = x->dim[2];
        y.dim[2] = x->dim[3];
        y.dim[3] = x->dim[1];
        put(m, "c%d = Transpose(d%d) perm=[0,2,3,1]\n", m->n, m->n);
    } else if (pick(m, 2)) {
        y.rank = 2;
        y.dim[1] = count(x) / x->dim[0];
        put(m, "c%d = Flatten(d%d)\n", m->n, m->n);
    } else {
        y.rank = 3;
        y.dim[2] = count(x) / x->dim[0] / x->dim[1];
        put(m, "c%d = Reshape(d%d, i64[3]{0 %d -1})\n", m->n, m->n,
            (int)x->dim[1]);
    }
    put_quantize(c, "c", &y, &c->q[x - m->v], false);
}

typedef void put_code_fn(code_maker *c);

static put_code_fn *const code_steps[] = {
    put_code_conv, put_code_conv, put_code_conv,    put_code_product,
    put_code_add,  put_code_add,  put_code_average, put_code_move,
};

static void put_code_input(code_maker *c, int rank)
{
    static const int64_t sizes[] = { 1, 3, 4, 7, 16, 20 };
    maker *m = &c->m;
    value v = { .rank = rank, .dim = { RANDOM_NET_BATCH } };

    v = fresh(m, &v);
    c->q[m->n] = code_random(m);
    put(m, "%s %s[N", v.name, type_of(&c->q[m->n]));
    for (int i = 1; i < rank; i++) {
        v.dim[i] = sizes[pick(m, MD_COUNT(sizes))];
        put(m, ",%d", (int)v.dim[i]);
    }
    put(m, "]\n");
    add(m, &v);
}

double random_net_codes(char *text, uint32_t seed)
{
    const int want = 2 + (int)(seed % 12);
    code_maker c = { .m = { .text = text, .state = seed * 40503u + 7 } };
    double off = 0;
    int n_out = 0;

    put_code_input(&c, 4);
    put_code_input(&c, 2);
    for (int i = 0; i < 4 * want && c.m.n < want + 2; i++)
        code_steps[pick(&c.m, MD_COUNT(code_steps))](&c);
    put(&c.m, "-> ");
    for (int i = 2; i < c.m.n && n_out < NET_IO_MAX; i++) {
        if (!c.m.v[i].used || i == c.m.n - 1)
            put(&c.m, "%s%s", n_out++ ? ", " : "", c.m.v[i].name);
    }
    if (n_out == 0)
        put(&c.m, "v0");
    for (int i = 0; i < c.m.n; i++)
        off = c.q[i].off > off ? c.q[i].off : off;
    return off;
}
