#include "ops/common/integer_product.h"

#include <stdio.h>

/* One for each row or column of every matrix of the batch: like t, but 1 on
 * the axis that is summed over. */
static md_status check_batch(const md_infer *c, const md_type *p,
                             const md_type *t, int summed, const char *what,
                             md_error *err)
{
    char dim[48];

    if (p->rank != t->rank)
        return md_fail(err, MD_INVALID, "%s has rank %d, 0, 1 or %d expected",
                       what, p->rank, t->rank);
    snprintf(dim, sizeof(dim), "a dimension of %s", what);
    for (int i = 0; i < t->rank; i++)
        MD_TRY(md_infer__must_equal(
            c, p->dim[i], i == summed ? MD_DIM(1) : t->dim[i], dim, err));
    return MD_OK;
}

md_status md_integer_product__check(const md_infer *c, uint32_t param,
                                    uint32_t i, bool left, const char *what,
                                    md_error *err)
{
    const md_type *t = c->in[i], *p;
    md_dim n = MD_DIM(1);

    if (!md_infer_has(c, param))
        return MD_OK;
    p = c->in[param];
    if (!p->has_rank || !t->has_rank || t->rank == 0)
        return MD_OK;
    if (p->rank > 1)
        return check_batch(c, p, t, t->rank - (left ? 1 : 2), what, err);
    if (t->rank > 1) /* a vector is one row, or one column */
        n = t->dim[t->rank - (left ? 2 : 1)];
    return md_infer__one_or(c, p, n, what, err);
}

md_status md_integer_product__check_b(const md_infer *c, uint32_t b,
                                      uint32_t scale, uint32_t zero,
                                      uint32_t bias, md_error *err)
{
    const md_type *t = c->in[b];

    MD_TRY(md_integer_product__check(c, scale, b, false, "scale of b", err));
    MD_TRY(
        md_integer_product__check(c, zero, b, false, "zero point of b", err));
    if (!md_infer_has(c, bias) || !t->has_rank || t->rank == 0)
        return MD_OK;
    return md_infer__length(c, c->in[bias],
                            t->rank > 1 ? t->dim[t->rank - 1] : MD_DIM(1),
                            "bias", err);
}

/* All elements of q minus their zero points. */
static md_status centre(int32_t **out, const md_tensor *q,
                        const md_tensor *zero, bool left, md_arena *ar,
                        md_error *err)
{
    int64_t index[MD_RANK_MAX] = { 0 }, stride[MD_RANK_MAX];
    int64_t n = md_tensor_n(q);
    md_shape s;

    MD_TRY(md_exec__scratch(out, ar, n, sizeof(**out), err));
    md_load_i32(*out, q, 0, n);
    if (!zero || n == 0)
        return MD_OK;
    s = zero->shape;
    if (left && s.rank == 1 && q->shape.rank > 1)
        s = (md_shape){ 2, { s.dim[0], 1 } };
    md_shape_broadcast_strides(stride, &s, &q->shape);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = 0;

        for (int d = 0; d < q->shape.rank; d++)
            at += index[d] * stride[d];
        (*out)[i] -= (int32_t)md_tensor_get_i64(zero, at);
        (void)md_step_index(index, q->shape.dim, q->shape.rank);
    }
    return MD_OK;
}

md_status md_integer_product__sums(const md_integer_product *p, int32_t *out,
                                   md_arena *ar, md_error *err)
{
    int32_t *a, *b;
    md_matmul m;

    md_matmul__sizes(&m, &p->a->shape, &p->b->shape);
    MD_TRY(centre(&a, p->a, p->a_zero, true, ar, err));
    MD_TRY(centre(&b, p->b, p->b_zero, false, ar, err));
    for (int64_t i = 0; i < m.n_batch; i++) {
        int64_t at_a, at_b;

        md_matmul__at(&m, i, &at_a, &at_b);
        md_product__i32(&m.one, out + i * m.one.m * m.one.n, a + at_a,
                        b + at_b);
    }
    return MD_OK;
}

md_status md_integer_product__scaled(const md_integer_product *p,
                                     md_tensor *out, md_arena *ar,
                                     md_error *err)
{
    const float *scale, *bias = NULL;
    bool one = md_tensor_n(p->b_scale) == 1;
    int32_t *sums;
    md_matmul m;

    MD_TRY(md_exec__scratch(&sums, ar, md_tensor_n(out), sizeof(*sums), err));
    MD_TRY(md_integer_product__sums(p, sums, ar, err));
    MD_TRY(md_exec__as_f32(&scale, p->b_scale, ar, err));
    if (p->bias)
        MD_TRY(md_exec__as_f32(&bias, p->bias, ar, err));
    md_matmul__sizes(&m, &p->a->shape, &p->b->shape);
    m.one.k = 1; /* offsets are now those of the scales */
    for (int64_t i = 0; i < md_tensor_n(out); i++) {
        int64_t column = i % m.one.n, at_a, at_b = 0;
        float v;

        if (p->b_scale->shape.rank > 1)
            md_matmul__at(&m, i / m.one.n / m.one.m, &at_a, &at_b);
        v = p->a_scale * scale[one ? 0 : at_b + column];
        v = (float)sums[i] * v;
        if (bias)
            v += bias[column];
        md_store_f32(out, i, &v, 1);
    }
    return MD_OK;
}
