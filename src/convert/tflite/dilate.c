/*
 * Dilated convolutions as TensorFlow spells them: SPACE_TO_BATCH_ND, then
 * (EXPAND_DIMS,) a convolution without pads or strides (, SQUEEZE), then
 * BATCH_TO_SPACE_ND with the same blocks.  Together they are one convolution
 * that takes every block-th element; its pads are those that the first adds
 * and the last does not crop.
 */
#include <string.h>

#include "convert/tflite/build.h"

enum {
    CONV_2D = 3,
    DEPTHWISE_CONV_2D = 4,
    BATCH_TO_SPACE_ND = 37,
    SQUEEZE = 43,
    EXPAND_DIMS = 70,
    VALID = 1, /* Padding of the schema */
    FEW_MAX = 8,
    HOPS_MAX = 64
};

const md_tfl_dilated *md_tfl_dilated_find(const md_tfl_build *b,
                                          const md_tflite_op *op)
{
    for (uint32_t i = b->n_dilated; i-- > 0;) {
        const md_tfl_dilated *d = &b->dilated[i];

        if (d->before == op || d->conv == op || d->behind == op)
            return d;
    }
    return NULL;
}

/* The only operator behind `op` that takes its result, as its first input. */
static const md_tflite_op *only_user(const md_tfl_build *b,
                                     const md_tflite_op *op)
{
    const md_tflite_graph *g = md_tfl_now(b)->tg;
    const md_tflite_op *user = NULL;
    int32_t t = op->n_out == 1 ? op->out[0] : -1;

    for (uint32_t i = 0; i < g->n_outputs; i++) {
        if (g->outputs[i] == t)
            return NULL;
    }
    for (uint32_t i = 0; i < g->n_ops && t >= 0; i++) {
        const md_tflite_op *o = &g->ops[i];

        for (uint32_t k = 0; k < o->n_in; k++) {
            if (o->in[k] != t)
                continue;
            if (user || k != 0)
                return NULL;
            user = o;
        }
    }
    return user;
}

/* No pads, strides or dilation of its own. */
static bool is_plain(const md_tflite_op *op)
{
    const md_fb_table *o = &op->options;
    unsigned dilation = op->code == CONV_2D ? 4 : 5;

    return (op->code == CONV_2D || op->code == DEPTHWISE_CONV_2D) &&
           md_fb_i8(o, 0, 0) == VALID && md_fb_i32(o, 1, 0) == 1 &&
           md_fb_i32(o, 2, 0) == 1 && md_fb_i32(o, dilation, 1) == 1 &&
           md_fb_i32(o, dilation + 1, 1) == 1;
}

/* a - b, when that is a number of at least 0. */
static bool differ_by(int64_t *out, md_dim a, md_dim b)
{
    *out = a.k - b.k;
    return a.sym == b.sym && (a.sym == 0 || a.scale == b.scale) && *out >= 0 &&
           *out <= INT32_MAX;
}

/* Input i of another operator, as it lies; NULL when it is not there yet. */
static md_tfl_value *input_of(md_tfl_build *b, const md_tflite_op *op,
                              uint32_t i)
{
    const md_tflite_op *now = b->op;
    md_tfl_value *v;

    b->op = op;
    v = md_tfl_in(b, i);
    b->op = now;
    return v && (v->c || v->real[0] != MD_VALUE_NONE) ? v : NULL;
}

/* Sizes in constant or computed input i of another operator. */
static uint32_t sizes(md_tfl_build *b, const md_tflite_op *op, uint32_t i,
                      md_dim *dim, uint32_t max)
{
    const md_tflite_op *now = b->op;
    uint32_t n = 0;

    if (!input_of(b, op, i))
        return 0;
    b->op = op;
    if (!md_tfl_read_dims(b, i, dim, max, &n))
        n = 0;
    b->op = now;
    return n;
}

/* A number that is computed: element `at` of a value, plus k. */
typedef struct term {
    md_value_id id; /* MD_VALUE_NONE: k alone */
    int64_t at, k;
} term;

/* Is x a constant of few integers? */
static const md_tensor *few(const md_tfl_build *b, md_value_id x)
{
    const md_tensor *t = md_emit_cdata(&b->e, x);

    return t && md_dtype_is_integer(t->dtype) && md_tensor_n(t) <= FEW_MAX
               ? t
               : NULL;
}

/* Elements of a value, when that is known. */
static int64_t count_of(const md_tfl_build *b, md_value_id x)
{
    md_shape shape;

    return md_type_static(md_emit_type(&b->e, x), &shape) ? md_shape_n(&shape)
                                                          : -1;
}

/* The input of a Concat along axis 0 that has the element, which *at becomes
 * one of; MD_VALUE_NONE when that is not known. */
static md_value_id part_of(const md_tfl_build *b, const md_node *n, int64_t *at)
{
    for (uint32_t i = 0; i < n->n_in; i++) {
        int64_t size = count_of(b, n->in[i]);

        if (size < 0)
            break;
        if (*at < size)
            return n->in[i];
        *at -= size;
    }
    return MD_VALUE_NONE;
}

/* Where a Slice along axis 0, forwards and one by one, begins: in elements; -1
 * for others. */
static int64_t begin_of(const md_tfl_build *b, const md_node *n)
{
    const md_tensor *from = few(b, n->in[1]);
    const md_tensor *axis = n->n_in > 3 ? few(b, n->in[3]) : NULL;
    const md_type *t = md_emit_type(&b->e, n->in[0]);
    int64_t all = count_of(b, n->in[0]);

    if (n->n_in > 4 || !from || !axis || md_tensor_n(from) != 1 ||
        md_tensor_get_i64(axis, 0) != 0 || all < 1 ||
        md_tensor_get_i64(from, 0) < 0)
        return -1;
    return md_tensor_get_i64(from, 0) * (all / t->dim[0].k);
}

/* One step from t to what it is made of; false at its end. */
static bool follow(const md_tfl_build *b, term *t)
{
    static const char *const same[] = { "Squeeze", "Unsqueeze", "Reshape",
                                        "Identity", "Cast" };
    const md_node *n = md_graph_value(b->e.s->g, t->id)->def;
    const md_tensor *c = few(b, t->id);

    if (c && t->at < md_tensor_n(c)) {
        t->k += md_tensor_get_i64(c, t->at);
        t->id = MD_VALUE_NONE;
        return false;
    }
    for (size_t i = 0; n && i < sizeof(same) / sizeof(same[0]); i++) {
        if (strcmp(n->op, same[i]) == 0) {
            t->id = n->in[0];
            return true;
        }
    }
    if (n && strcmp(n->op, "Concat") == 0 &&
        md_node_attr_i(n, "axis", 0) == 0) {
        int64_t at = t->at;
        md_value_id id = part_of(b, n, &at);

        if (id != MD_VALUE_NONE)
            *t = (term){ id, at, t->k };
        return id != MD_VALUE_NONE;
    }
    if (n && strcmp(n->op, "Slice") == 0 && begin_of(b, n) >= 0) {
        t->at += begin_of(b, n);
        t->id = n->in[0];
        return true;
    }
    for (uint32_t i = 0; n && strcmp(n->op, "Add") == 0 && i < 2; i++) {
        c = few(b, n->in[i]);
        if (!c || md_tensor_n(c) != 1 || count_of(b, t->id) != 1)
            continue;
        t->k += md_tensor_get_i64(c, 0);
        t->id = n->in[1 - i];
        return true;
    }
    return false;
}

static term trace(md_tfl_build *b, const md_tflite_op *op, uint32_t i,
                  int64_t at)
{
    md_tfl_value *v = input_of(b, op, i);
    term t = { MD_VALUE_NONE, at, INT64_MIN };

    if (!v)
        return t;
    t = (term){ md_tfl_real(b, v, MD_TFL_LAST), at, 0 };
    for (int hop = 0; b->e.status == MD_OK && hop < HOPS_MAX; hop++) {
        if (!follow(b, &t))
            break;
    }
    return t;
}

/* What is padded at place i and not cropped again. */
static bool read_end(int64_t *out, md_tfl_build *b, const md_tfl_dilated *d,
                     uint32_t i, uint32_t n)
{
    md_dim pads[4];
    md_dim crops[4];
    term x;
    term y;

    /* What is cropped is what was added, whatever that is. */
    *out = 0;
    if (d->before->in[2] == d->behind->in[2])
        return true;
    if (sizes(b, d->before, 2, pads, 4) == 2 * n &&
        sizes(b, d->behind, 2, crops, 4) == 2 * n)
        return differ_by(out, pads[i], crops[i]);
    x = trace(b, d->before, 2, i);
    y = trace(b, d->behind, 2, i);
    if (x.id != y.id || x.k == INT64_MIN || y.k == INT64_MIN ||
        (x.id != MD_VALUE_NONE && x.at != y.at))
        return false;
    return differ_by(out, MD_DIM(x.k), MD_DIM(y.k));
}

/* Blocks and pads of the two ends; false when they do not fit. */
static bool read_ends(md_tfl_build *b, md_tfl_dilated *d, uint32_t n, int at)
{
    md_dim block[2][2];

    if (sizes(b, d->before, 1, block[0], 2) != n ||
        sizes(b, d->behind, 1, block[1], 2) != n)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = n == 1 ? (uint32_t)at : i;

        if (!md_dim_is_const(block[0][i]) || block[0][i].k < 1 ||
            block[0][i].k > INT32_MAX ||
            !md_dim_equal(block[0][i], block[1][i]) ||
            !read_end(&d->begin[k], b, d, 2 * i, n) ||
            !read_end(&d->end[k], b, d, 2 * i + 1, n))
            return false;
        d->block[k] = block[0][i].k;
    }
    return true;
}

/* Which spatial axis (0 height, 1 width) is the one of a sequence, -1: none. */
static int sequence_axis(md_tfl_build *b, const md_tflite_op *expand)
{
    md_dim axis;

    if (sizes(b, expand, 1, &axis, 1) != 1 || !md_dim_is_const(axis))
        return -1;
    if (axis.k == 1 || axis.k == -3)
        return 1;
    return axis.k == 2 || axis.k == -2 ? 0 : -1;
}

bool md_tfl_dilated_begin(md_tfl_build *b)
{
    md_tfl_dilated d = { .before = b->op, .block = { 1, 1 } };
    const md_tflite_op *op = only_user(b, b->op);
    int rank = md_tfl_in(b, 0) ? md_tfl_rank(b, md_tfl_in(b, 0)) : 0;
    int at = -1;

    if (!op)
        return false;
    if (rank == 3 && op->code == EXPAND_DIMS && op->n_in == 2) {
        at = sequence_axis(b, op);
        op = at >= 0 ? only_user(b, op) : NULL;
    } else if (rank != 4) {
        return false;
    }
    if (!op || !is_plain(op))
        return false;
    d.conv = op;
    op = only_user(b, op);
    if (op && rank == 3)
        op = op->code == SQUEEZE ? only_user(b, op) : NULL;
    if (!op || op->code != BATCH_TO_SPACE_ND || op->n_in != 3)
        return false;
    d.behind = op;
    if (!read_ends(b, &d, rank == 3 ? 1 : 2, at) ||
        !md_emit_ok(&b->e,
                    md_arena_grow(b->e.arena, &b->dilated, &b->cap_dilated,
                                  b->n_dilated, sizeof(*b->dilated), b->e.err)))
        return false;
    b->dilated[b->n_dilated++] = d;
    return true;
}
