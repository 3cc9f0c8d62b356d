/* alpha * A' * B' + beta * C, where ' is the transpose if asked for. */
#include <math.h>

#include "ops/common/elementwise.h"
#include "ops/common/product.h"
#include "ops/grad.h"
#include "ops/lower.h"

#define TYPES (MD_TYPES_FLOAT | MD_T(I32) | MD_T(I64) | MD_T(U32) | MD_T(U64))

static md_status must_spread(const md_infer *c, md_dim d, md_dim to,
                             md_error *err)
{
    md_dim both;

    MD_TRY(md_dim__derive(c, &both, MD_EXPR_BROADCAST, d, to, err));
    return md_infer__must_equal(c, both, to, "dimension of input 2", err);
}

/* C must broadcast to [m, n] and not beyond, before opset 7 only where it is
 * told to. */
static md_status check_c(const md_infer *c, const md_type *t, md_error *err)
{
    bool whole = c->opset < 7 && !md_node_attr_i(c->node, "broadcast", 0);
    const md_type *in = c->in[2];

    MD_TRY(md_infer__rank(c, 2, whole ? 2 : 0, 2, err));
    for (int i = 0; in->has_rank && i < in->rank; i++) {
        md_dim d = in->dim[i], to = t->dim[2 - in->rank + i];

        if (whole || (md_dim_is_const(d) && d.k != 1))
            MD_TRY(md_infer__must_equal(c, d, to, "dimension of input 2", err));
        else if (!md_dim_is_const(d)) /* 1, or what it is added to */
            MD_TRY(must_spread(c, d, to, err));
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    int ta = md_node_attr_i(c->node, "transA", 0) != 0;
    int tb = md_node_attr_i(c->node, "transB", 0) != 0;
    const md_type *a = c->in[0], *b = c->in[1];
    md_type t = { 0 };

    MD_TRY(md_infer__need(c, 0, TYPES, err));
    MD_TRY(md_infer__need(c, 1, TYPES, err));
    MD_TRY(md_infer__may(c, 2, TYPES, err));
    MD_TRY(md_infer__same_dtype(c, 0, 1, err));
    MD_TRY(md_infer__same_dtype(c, 0, 2, err));
    MD_TRY(md_infer__rank(c, 0, 2, 2, err));
    MD_TRY(md_infer__rank(c, 1, 2, 2, err));
    MD_TRY(md_infer__fresh_type(c, &t, a->dtype, 2, err));
    if (a->has_rank)
        t.dim[0] = a->dim[ta];
    if (b->has_rank)
        t.dim[1] = b->dim[1 - tb];
    if (a->has_rank && b->has_rank)
        MD_TRY(md_infer__must_equal(c, b->dim[tb], a->dim[1 - ta],
                                    "inner dimension of input 1", err));
    if (md_infer_has(c, 2))
        MD_TRY(check_c(c, &t, err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_product sizes(const md_exec *x, const md_tensor *out)
{
    bool ta = md_node_attr_i(x->node, "transA", 0) != 0;
    bool tb = md_node_attr_i(x->node, "transB", 0) != 0;
    int64_t a_cols = x->in[0]->shape.dim[1];
    int64_t b_cols = x->in[1]->shape.dim[1];

    return (md_product){ .m = out->shape.dim[0],
                         .n = out->shape.dim[1],
                         .k = x->in[0]->shape.dim[ta ? 0 : 1],
                         .a_row = ta ? 1 : a_cols,
                         .a_col = ta ? a_cols : 1,
                         .b_row = tb ? 1 : b_cols,
                         .b_col = tb ? b_cols : 1 };
}

/* y = alpha * y + beta * c, in the order of the formula. */
static void finish(const md_exec *x, const md_tensor *out, float *y)
{
    float alpha = md_node_attr_f(x->node, "alpha", 1.0f);
    float beta = md_node_attr_f(x->node, "beta", 1.0f);
    const md_tensor *c = md_exec_has(x, 2) ? x->in[2] : NULL;
    md_rows r;

    md_rows__begin(&r, &out->shape, c != NULL, &c);
    while (md_rows__next(&r)) {
        for (int64_t i = 0; i < r.n; i++) {
            float *o = &y[r.row * r.n + i];

            *o *= alpha;
            if (c)
                *o +=
                    beta * (float)md_tensor_get_f64(c, r.at[0] + i * r.step[0]);
        }
    }
}

static md_status compute_f32(md_exec *x, md_tensor *out, md_arena *ar,
                             md_error *err)
{
    md_product p = sizes(x, out);
    const float *a, *b;
    float *y;

    MD_TRY(md_exec__as_f32(&a, x->in[0], ar, err));
    MD_TRY(md_exec__as_f32(&b, x->in[1], ar, err));
    MD_TRY(md_exec__f32_of(&y, out, ar, err));
    md_product__f32(&p, y, a, b);
    finish(x, out, y);
    md_exec__from_f32(out, y);
    return MD_OK;
}

/* alpha * y + beta * c of integers: modulo 2^64 where both factors are whole,
 * else in double. */
static int64_t combine(double alpha, int64_t y, double beta, int64_t c)
{
    int64_t a = (int64_t)alpha, b = (int64_t)beta;

    if (fabs(alpha) < 1e18 && fabs(beta) < 1e18 && (double)a == alpha &&
        (double)b == beta)
        return (int64_t)((uint64_t)a * (uint64_t)y + (uint64_t)b * (uint64_t)c);
    alpha = alpha * (double)y + beta * (double)c;
    return fabs(alpha) < 9e18 ? (int64_t)alpha : 0;
}

static md_status compute_i64(md_exec *x, md_tensor *out, md_arena *ar,
                             md_error *err)
{
    md_product p = sizes(x, out);
    double alpha = md_node_attr_f(x->node, "alpha", 1.0f);
    double beta = md_node_attr_f(x->node, "beta", 1.0f);
    const md_tensor *c = md_exec_has(x, 2) ? x->in[2] : NULL;
    int64_t n[3] = { md_tensor_n(x->in[0]), md_tensor_n(x->in[1]),
                     md_tensor_n(out) };
    int64_t *a, *b, *y;
    md_rows r;

    MD_TRY(md_exec__scratch(&a, ar, n[0], sizeof(*a), err));
    MD_TRY(md_exec__scratch(&b, ar, n[1], sizeof(*b), err));
    MD_TRY(md_exec__scratch(&y, ar, n[2], sizeof(*y), err));
    md_load_i64(a, x->in[0], 0, n[0]);
    md_load_i64(b, x->in[1], 0, n[1]);
    md_product__i64(&p, y, a, b);
    md_rows__begin(&r, &out->shape, c != NULL, &c);
    while (md_rows__next(&r)) {
        for (int64_t i = 0; i < r.n; i++) {
            int64_t at = r.at[0] + i * r.step[0];

            md_tensor_set_i64(out, r.row * r.n + i,
                              combine(alpha, y[r.row * r.n + i], beta,
                                      c ? md_tensor_get_i64(c, at) : 0));
        }
    }
    return MD_OK;
}

static md_status compute_f64(md_exec *x, md_tensor *out, md_arena *ar,
                             md_error *err)
{
    md_product p = sizes(x, out);
    double alpha = md_node_attr_f(x->node, "alpha", 1.0f);
    double beta = md_node_attr_f(x->node, "beta", 1.0f);
    const md_tensor *c = md_exec_has(x, 2) ? x->in[2] : NULL;
    int64_t n[3] = { md_tensor_n(x->in[0]), md_tensor_n(x->in[1]),
                     md_tensor_n(out) };
    double *a, *b, *y;
    md_rows r;

    MD_TRY(md_exec__scratch(&a, ar, n[0], sizeof(*a), err));
    MD_TRY(md_exec__scratch(&b, ar, n[1], sizeof(*b), err));
    MD_TRY(md_exec__scratch(&y, ar, n[2], sizeof(*y), err));
    md_load_f64(a, x->in[0], 0, n[0]);
    md_load_f64(b, x->in[1], 0, n[1]);
    md_product__f64(&p, y, a, b);
    md_rows__begin(&r, &out->shape, c != NULL, &c);
    while (md_rows__next(&r)) {
        for (int64_t i = 0; i < r.n; i++) {
            double *o = &y[r.row * r.n + i];

            *o *= alpha;
            if (c)
                *o += beta * md_tensor_get_f64(c, r.at[0] + i * r.step[0]);
        }
    }
    md_store_f64(out, 0, y, n[2]);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    if (!md_dtype_is_float(out->dtype))
        return compute_i64(x, out, ar, err);
    if (out->dtype == MD_DTYPE_F64)
        return compute_f64(x, out, ar, err);
    return compute_f32(x, out, ar, err);
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static int64_t macs(const md_node *n, const md_shape *const *in,
                    const md_shape *const *out)
{
    int64_t k = in[0]->dim[md_node_attr_i(n, "transA", 0) ? 0 : 1];

    return md_macs__times(md_shape_n(out[0]), k);
}

static md_part product(md_grad *g, md_part a, bool trans_a, md_part b,
                       bool trans_b, float alpha)
{
    return MD_GRAD_STEP(g, .op = "Gemm", .in = { a, b }, .n_in = 2,
                        .attr = { MD_GIVE_F("alpha", alpha),
                                  MD_GIVE_I("transA", trans_a),
                                  MD_GIVE_I("transB", trans_b) },
                        .n_attr = 3);
}

/* y = alpha * A B + beta * C, where A and B are the inputs or their transposes:
 * dA = alpha * dy B^T, dB = alpha * A^T dy. */
static void grad(md_grad *g)
{
    const md_node *n = g->m.node;
    bool ta = md_node_attr_i(n, "transA", 0) != 0;
    bool tb = md_node_attr_i(n, "transB", 0) != 0;
    float alpha = md_node_attr_f(n, "alpha", 1.0f);
    md_part a = md_grad_in(g, 0), b = md_grad_in(g, 1), dy = md_grad_of(g, 0);

    if (md_grad_wants(g, 0))
        md_grad_give(g, 0,
                     ta ? product(g, b, tb, dy, true, alpha)
                        : product(g, dy, false, b, !tb, alpha));
    if (md_grad_wants(g, 1))
        md_grad_give(g, 1,
                     tb ? product(g, dy, true, a, ta, alpha)
                        : product(g, a, !ta, dy, false, alpha));
    if (md_grad_wants(g, 2))
        md_grad_give_sum(g, 2,
                         md_grad_scale(g, dy, md_node_attr_f(n, "beta", 1.0f)));
}

const md_op md_op_gemm = {
    .domain = "",
    .name = "Gemm",
    .since = 1,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .macs = macs,
    .flags = MD_OP_WEIGHTS | MD_OP_SYMBOLIC,
    .fast = &md_fast_gemm,
    .grad = grad,
};
