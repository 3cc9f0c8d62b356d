/*
 * com.microsoft's QMoE: MoE with weights of codes of 2, 4 or 8 bits, low bits
 * first, with a scale and a zero point for each row or each block of one:
 *
 *   w[e][n][k] = (code - zero[e][n][k / block]) * scale[e][n][k / block]
 *
 * Zero points of rows lie packed along the rows, those of blocks along the
 * blocks; absent ones are half of the range.  Sums are double; what
 * accuracy_level would allow to be less exact is not.
 */
#include <string.h>

#include "ops/common/experts.h"

enum { /* inputs, three layers of each; router_weights is 14 */
    IN_X,
    IN_PROBS,
    IN_WEIGHT,
    IN_SCALE,
    IN_BIAS,
    IN_ZERO = 11,
    IN_ROUTER = 14,
    IN_GLOBAL = 15
};

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

static const md_expert_inputs inputs = { { 2, 5, 8 }, { 4, 7, 10 }, IN_ROUTER };

typedef struct codes {
    int64_t bits[MD_EXPERT_LAYERS], per_byte[MD_EXPERT_LAYERS];
    int64_t block; /* 0: a whole row */
} codes;

static md_status read_codes(codes *out, const md_node *n, md_error *err)
{
    static const char *const names[] = { "fc1_expert_weight_bits",
                                         "fc2_expert_weight_bits",
                                         "fc3_expert_weight_bits" };
    int64_t all = md_node_attr_i(n, "expert_weight_bits", 4);
    const char *type = md_node_attr_s(n, "quant_type", "int");

    out->block = md_node_attr_i(n, "block_size", 0);
    if (strcmp(type, "int") != 0)
        return md_fail(err, MD_UNSUPPORTED, "quant_type is '%s', int expected",
                       type);
    if (md_node_attr_i(n, "weights_prepacked", -1) == 1)
        return md_fail(err, MD_UNSUPPORTED,
                       "weights_prepacked: a layout of one device's kernels");
    if (out->block < 0 || out->block > INT32_MAX ||
        (out->block && (out->block < 16 || (out->block & (out->block - 1)))))
        return md_fail(err, MD_INVALID,
                       "block_size is %lld, 0 or a power of 2 of at least 16 "
                       "expected",
                       (long long)out->block);
    for (int l = 0; l < MD_EXPERT_LAYERS; l++) {
        int64_t bits = md_node_attr_i(n, names[l], all);

        if (bits != 2 && bits != 4 && bits != 8)
            return md_fail(err, MD_UNSUPPORTED,
                           "weights of %lld bits, 2, 4 or 8 expected",
                           (long long)bits);
        out->bits[l] = bits;
        out->per_byte[l] = 8 / bits;
    }
    return MD_OK;
}

static md_status check_types(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, IN_X, TYPES, err));
    MD_TRY(md_infer__need(c, IN_PROBS, TYPES, err));
    MD_TRY(md_infer__may(c, IN_ROUTER, TYPES, err));
    for (uint32_t l = 0; l < MD_EXPERT_LAYERS; l++) {
        MD_TRY(md_infer__may(c, IN_WEIGHT + 3 * l, MD_T(U8), err));
        MD_TRY(md_infer__may(c, IN_SCALE + 3 * l, TYPES, err));
        MD_TRY(md_infer__may(c, IN_BIAS + 3 * l, TYPES, err));
        MD_TRY(md_infer__may(c, IN_ZERO + l, MD_T(U8), err));
        if (md_infer_has(c, IN_WEIGHT + 3 * l) &&
            !md_infer_has(c, IN_SCALE + 3 * l))
            return md_fail(err, MD_INVALID, "fc%u has no scales", l + 1);
    }
    for (uint32_t i = IN_GLOBAL; i < c->node->n_in; i++) {
        if (md_infer_has(c, i))
            return md_fail(err, MD_UNSUPPORTED,
                           "input %u, which is of floating-point codes", i);
    }
    return MD_OK;
}

/* Scales or zero points are [E, rows, n] or (n 0) [E, rows]. */
static md_status check_beside(const md_infer *c, uint32_t i, const md_type *w,
                              md_dim rows, int64_t n, md_error *err)
{
    const md_type *t = md_infer_has(c, i) ? c->in[i] : NULL;

    if (!t)
        return MD_OK;
    MD_TRY(md_infer__rank(c, i, 2 + (n > 0), 2 + (n > 0), err));
    if (!t->has_rank)
        return MD_OK;
    MD_TRY(md_infer__must_equal(c, t->dim[0], w->dim[0], "experts", err));
    MD_TRY(md_infer__must_equal(c, t->dim[1], rows, "rows of scales or zeros",
                                err));
    return n ? md_infer__must_equal(c, t->dim[2], MD_DIM(n), "blocks", err)
             : MD_OK;
}

static md_status check_layer(const md_infer *c, const codes *o, uint32_t l,
                             md_error *err)
{
    const md_type *w =
        md_infer_has(c, IN_WEIGHT + 3 * l) ? c->in[IN_WEIGHT + 3 * l] : NULL;
    int64_t columns, blocks;
    md_dim rows;

    if (!w || !w->has_rank || !md_dim_is_const(w->dim[2]))
        return MD_OK;
    columns = w->dim[2].k * o->per_byte[l];
    blocks = o->block ? columns / o->block : 0;
    if (o->block && columns % o->block)
        return md_fail(err, MD_INVALID,
                       "fc%u: rows of %lld codes do not divide into blocks of "
                       "%lld",
                       l + 1, (long long)columns, (long long)o->block);
    MD_TRY(check_beside(c, IN_SCALE + 3 * l, w, w->dim[1], blocks, err));
    rows = w->dim[1];
    if (!blocks && md_dim_is_const(rows))
        rows.k = md_div_up(rows.k, o->per_byte[l]);
    if (!blocks && !md_dim_is_const(rows))
        return MD_OK;
    return check_beside(c, IN_ZERO + l, w, rows,
                        blocks ? md_div_up(blocks, o->per_byte[l]) : 0, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    codes o;

    MD_TRY(read_codes(&o, c->node, err));
    MD_TRY(check_types(c, err));
    MD_TRY(md_infer__rank(c, IN_ROUTER, 2, 2, err));
    MD_TRY(md_experts__infer(c, &inputs, o.per_byte, err));
    for (uint32_t l = 0; l < MD_EXPERT_LAYERS; l++)
        MD_TRY(check_layer(c, &o, l, err));
    if (!md_infer_has(c, IN_ROUTER) || !c->in[1]->has_rank ||
        !c->in[IN_ROUTER]->has_rank)
        return MD_OK;
    for (int d = 0; d < 2; d++)
        MD_TRY(md_infer__must_equal(c, c->in[IN_ROUTER]->dim[d],
                                    c->in[1]->dim[d], "router_weights", err));
    return MD_OK;
}

typedef struct packed {
    const md_exec *x;
    codes o;
} packed;

/* Code i of a string of them. */
static int code(const uint8_t *p, int64_t i, int64_t bits)
{
    int64_t per = 8 / bits;

    return p[i / per] >> (i % per * bits) & ((1 << bits) - 1);
}

static float zero_of(const packed *p, int l, int64_t e, int64_t row, int64_t b,
                     int64_t blocks)
{
    uint32_t i = IN_ZERO + (uint32_t)l;
    const md_shape *s;
    const uint8_t *z;

    if (!md_exec_has(p->x, i))
        return (float)(1 << (p->o.bits[l] - 1));
    s = &p->x->in[i]->shape;
    z = p->x->in[i]->data;
    if (!blocks)
        return (float)code(z + e * s->dim[1], row, p->o.bits[l]);
    return (float)code(z + (e * s->dim[1] + row) * s->dim[2], b, p->o.bits[l]);
}

static void load_row(const void *ctx, int l, int64_t e, int64_t row, float *out,
                     int64_t n)
{
    const packed *p = ctx;
    const md_tensor *w = p->x->in[inputs.weight[l]];
    const md_tensor *scales = p->x->in[inputs.weight[l] + 1];
    int64_t r = e * w->shape.dim[1] + row, block = p->o.block;
    const uint8_t *from = (const uint8_t *)w->data + r * w->shape.dim[2];
    int64_t blocks = block ? n / block : 0;

    for (int64_t b = 0, at = 0; at < n; b++) {
        float zero = zero_of(p, l, e, row, b, blocks), scale;
        int64_t end = block ? at + block : n;

        md_load_f32(&scale, scales, blocks ? r * blocks + b : r, 1);
        for (; at < end; at++)
            out[at] = ((float)code(from, at, p->o.bits[l]) - zero) * scale;
    }
}

/* The router's choice counts as a whole, unless weights are given. */
static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    packed p = { .x = x };
    md_experts o;

    MD_TRY(md_experts__attrs(&o, x->node, err));
    MD_TRY(read_codes(&p.o, x->node, err));
    if (!md_exec_has(x, IN_ROUTER))
        o.normalize = true;
    return md_experts__run(x, out, &o, &inputs, p.o.per_byte, load_row, &p, ar,
                           err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_qmoe = {
    .domain = "com.microsoft",
    .name = "QMoE",
    .since = 1,
    .in_min = 7,
    .in_max = 21,
    .out_min = 1,
    .out_max = 1,
    .may_lack = 1u << 3 | 1u << 4 | 1u << 6,
    .infer = infer,
    .run = run,
};
