/*
 * Dilated convolutions as TensorFlow spells them: SPACE_TO_BATCH_ND, then
 * (EXPAND_DIMS,) a convolution without pads or strides (, SQUEEZE), then
 * BATCH_TO_SPACE_ND with the same blocks.  Together they are one convolution
 * that takes every block-th element; its pads are those that the first adds
 * and the last does not crop.
 */
#include "convert/tflite/build.h"

enum {
    CONV_2D = 3,
    DEPTHWISE_CONV_2D = 4,
    BATCH_TO_SPACE_ND = 37,
    SQUEEZE = 43,
    EXPAND_DIMS = 70,
    VALID = 1 /* Padding of the schema */
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
    const md_tflite_graph *g = b->s->tg;
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

/* Sizes in constant or computed input i of another operator. */
static uint32_t sizes(md_tfl_build *b, const md_tflite_op *op, uint32_t i,
                      md_dim *dim, uint32_t max)
{
    const md_tflite_op *now = b->op;
    md_tfl_value *v;
    uint32_t n = 0;

    b->op = op;
    v = md_tfl_in(b, i);
    if (!v || (!v->c && v->real[0] == MD_VALUE_NONE) ||
        !md_tfl_read_dims(b, i, dim, max, &n))
        n = 0;
    b->op = now;
    return n;
}

/* Blocks and pads of the two ends; false when they do not fit. */
static bool read_ends(md_tfl_build *b, md_tfl_dilated *d, uint32_t n, int at)
{
    md_dim block[2][2];
    md_dim pads[4] = { { .k = 0 } };
    md_dim crops[4] = { { .k = 0 } };
    /* What is cropped is what was added, whatever that is. */
    bool same = d->before->in[2] == d->behind->in[2];

    if (sizes(b, d->before, 1, block[0], 2) != n ||
        sizes(b, d->behind, 1, block[1], 2) != n ||
        (!same && (sizes(b, d->before, 2, pads, 4) != 2 * n ||
                   sizes(b, d->behind, 2, crops, 4) != 2 * n)))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = n == 1 ? (uint32_t)at : i;

        if (!md_dim_is_const(block[0][i]) || block[0][i].k < 1 ||
            block[0][i].k > INT32_MAX ||
            !md_dim_equal(block[0][i], block[1][i]) ||
            !differ_by(&d->begin[k], pads[(size_t)2 * i],
                       crops[(size_t)2 * i]) ||
            !differ_by(&d->end[k], pads[(size_t)2 * i + 1],
                       crops[(size_t)2 * i + 1]))
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
        !md_tfl_ok(b, md_arena_grow(b->arena, &b->dilated, &b->cap_dilated,
                                    b->n_dilated, sizeof(*b->dilated), b->err)))
        return false;
    b->dilated[b->n_dilated++] = d;
    return true;
}
