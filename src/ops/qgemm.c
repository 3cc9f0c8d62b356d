/* com.microsoft's QGemm: alpha * A' * B' + C in int32, then requantized, or
 * float32 when there is no output zero point, whose type is the result's; a
 * scale alone changes nothing. */
#include "ops/common/product.h"
#include "ops/common/quantize.h"
#include "ops/lower.h"

static md_status check_types(const md_infer *c, md_error *err)
{
    static const struct {
        uint32_t input;
        const char *what;
    } single[] = { { 1, "scale of a" },
                   { 2, "zero point of a" },
                   { 7, "scale of y" },
                   { 8, "zero point of y" } };

    MD_TRY(md_infer__need(c, 0, MD_TYPES_Q8, err));
    MD_TRY(md_infer__need(c, 3, MD_TYPES_Q8, err));
    MD_TRY(md_qlinear__check(c, 1, 2, 0, err));
    MD_TRY(md_qlinear__check(c, 4, 5, 3, err));
    MD_TRY(md_infer__may(c, 6, MD_T(I32), err));
    MD_TRY(md_infer__may(c, 7, MD_TYPES_FLOAT, err));
    MD_TRY(md_infer__may(c, 8, MD_TYPES_Q8, err));
    MD_TRY(md_infer__rank(c, 0, 2, 2, err));
    MD_TRY(md_infer__rank(c, 3, 2, 2, err));
    for (size_t i = 0; i < MD_COUNT(single); i++) {
        if (md_infer_has(c, single[i].input))
            MD_TRY(md_infer__length(c, c->in[single[i].input], MD_DIM(1),
                                    single[i].what, err));
    }
    return MD_OK;
}

/* Scale and zero point of b: one, or one for each column; c broadcasts to the
 * result. */
static md_status check_columns(const md_infer *c, const md_type *t,
                               md_error *err)
{
    md_type whole = { 0 };

    MD_TRY(md_infer__one_or(c, c->in[4], t->dim[1], "scale of b", err));
    if (md_infer_has(c, 5))
        MD_TRY(
            md_infer__one_or(c, c->in[5], t->dim[1], "zero point of b", err));
    if (!md_infer_has(c, 6))
        return MD_OK;
    MD_TRY(md_infer__rank(c, 6, 0, 2, err));
    MD_TRY(md_infer__broadcast(c, &whole, t, c->in[6], err));
    for (int i = 0; whole.has_rank && i < 2; i++)
        MD_TRY(md_infer__must_equal(c, whole.dim[i], t->dim[i],
                                    "c broadcasts to what", err));
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    bool ta = md_node_attr_i(c->node, "transA", 0) != 0;
    bool tb = md_node_attr_i(c->node, "transB", 0) != 0;
    const md_type *a = c->in[0], *b = c->in[3];
    md_type t;

    MD_TRY(check_types(c, err));
    MD_TRY(md_infer__fresh_type(c, &t, MD_DTYPE_F32, 2, err));
    if (md_infer_has(c, 8) && !md_infer_has(c, 7))
        return md_fail(err, MD_INVALID,
                       "y has a zero point and no scale, one expected");
    if (md_infer_has(c, 8))
        t.dtype = c->in[8]->dtype;
    if (a->has_rank)
        t.dim[0] = a->dim[ta];
    if (b->has_rank)
        t.dim[1] = b->dim[!tb];
    if (a->has_rank && b->has_rank)
        MD_TRY(md_infer__must_equal(c, b->dim[tb], a->dim[!ta],
                                    "inner dimension of input 3", err));
    MD_TRY(check_columns(c, &t, err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_product sizes(const md_exec *x, const md_shape *out)
{
    bool ta = md_node_attr_i(x->node, "transA", 0) != 0;
    bool tb = md_node_attr_i(x->node, "transB", 0) != 0;
    int64_t a_cols = x->in[0]->shape.dim[1], b_cols = x->in[3]->shape.dim[1];

    return (md_product){ .m = out->dim[0],
                         .n = out->dim[1],
                         .k = x->in[0]->shape.dim[!ta],
                         .a_row = ta ? 1 : a_cols,
                         .a_col = ta ? a_cols : 1,
                         .b_row = tb ? 1 : b_cols,
                         .b_col = tb ? b_cols : 1 };
}

static void preset(const md_exec *x, const md_shape *out, int32_t *acc)
{
    const md_tensor *c = x->in[6];
    int64_t stride[MD_RANK_MAX];

    md_shape_broadcast_strides(stride, &c->shape, out);
    for (int64_t i = 0; i < out->dim[0]; i++) {
        for (int64_t j = 0; j < out->dim[1]; j++)
            *acc++ = ((const int32_t *)c->data)[i * stride[0] + j * stride[1]];
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    float alpha = md_node_attr_f(x->node, "alpha", 1.0f);
    float xs = alpha * (float)md_exec__scalar(x, 1, 1.0);
    md_product p = sizes(x, &out->shape);
    bool tb = md_node_attr_i(x->node, "transB", 0) != 0;
    md_requantize r = { .mult_step = md_tensor_n(x->in[4]) > 1,
                        .zero = (int32_t)md_exec__scalar(x, 8, 0.0) };
    float y_scale =
        md_exec_has(x, 8) ? (float)md_exec__scalar(x, 7, 1.0) : 1.0f;
    int32_t *a, *b, *acc;
    float *mult;

    MD_TRY(md_quantize__centre(&a, x->in[0], x->in[2], 1, ar, err));
    MD_TRY(md_quantize__centre(&b, x->in[3], x->in[5], tb && p.k ? p.k : 1, ar,
                               err));
    MD_TRY(md_exec__scratch(&acc, ar, p.m * p.n, sizeof(*acc), err));
    MD_TRY(md_quantize__mult(&mult, xs, x->in[4], y_scale, ar, err));
    if (md_exec_has(x, 6))
        preset(x, &out->shape, acc);
    md_product__i32(&p, acc, a, b);
    r.mult = mult;
    if (out->dtype != MD_DTYPE_F32) {
        md_quantize__rows(out, 0, acc, p.m, p.n, &r);
        return MD_OK;
    }
    for (int64_t i = 0; i < p.m * p.n; i++)
        ((float *)out->data)[i] = (float)acc[i] * mult[i % p.n * r.mult_step];
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static int64_t macs(const md_node *n, const md_shape *const *in,
                    const md_shape *const *out)
{
    return md_macs__times(md_shape_n(out[0]),
                          in[0]->dim[md_node_attr_i(n, "transA", 0) ? 0 : 1]);
}

const md_op md_op_qgemm = {
    .domain = "com.microsoft",
    .name = "QGemm",
    .since = 1,
    .in_min = 6,
    .in_max = 9,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .macs = macs,
    .fast = &md_fast_qgemm,
};
