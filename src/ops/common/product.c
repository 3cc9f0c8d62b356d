#include "ops/common/product.h"

#include "base/attr.h"
#include "base/size.h"

/* Row by row of b, so that the inner loop runs along rows of b and c. */
#define PRODUCT(scope, name, T)                                                \
    scope void name(const md_product *p, T *c, const T *a, const T *b)         \
    {                                                                          \
        for (int64_t i = 0; i < p->m; i++) {                                   \
            for (int64_t k = 0; k < p->k; k++) {                               \
                T v = a[i * p->a_row + k * p->a_col];                          \
                const T *row = b + k * p->b_row;                               \
                T *o = c + i * p->n;                                           \
                                                                               \
                if (p->b_col == 1) {                                           \
                    MD_SIMD                                                    \
                    for (int64_t j = 0; j < p->n; j++)                         \
                        o[j] += v * row[j];                                    \
                    continue;                                                  \
                }                                                              \
                for (int64_t j = 0; j < p->n; j++)                             \
                    o[j] += v * row[j * p->b_col];                             \
            }                                                                  \
        }                                                                      \
    }

PRODUCT(, md_product__f32, float)
PRODUCT(, md_product__f64, double)
PRODUCT(static, product_u32, uint32_t)
PRODUCT(static, product_u64, uint64_t)

void md_product__i32(const md_product *p, int32_t *c, const int32_t *a,
                     const int32_t *b)
{
    product_u32(p, (uint32_t *)c, (const uint32_t *)a, (const uint32_t *)b);
}

void md_product__i64(const md_product *p, int64_t *c, const int64_t *a,
                     const int64_t *b)
{
    product_u64(p, (uint64_t *)c, (const uint64_t *)a, (const uint64_t *)b);
}

/* A vector is a row on the left and a column on the right. */
static void as_matrix(md_type *t, bool left)
{
    if (t->rank != 1)
        return;
    t->rank = 2;
    t->dim[left ? 1 : 0] = t->dim[0];
    t->dim[left ? 0 : 1] = MD_DIM(1);
}

md_status md_matmul__infer(const md_infer *c, uint32_t ia, uint32_t ib,
                           md_dtype dtype, md_error *err)
{
    md_type a = *c->in[ia], b = *c->in[ib], t = { .dtype = dtype };
    bool row = a.rank > 1, col = b.rank > 1;
    md_dim m, n, k;

    MD_TRY(md_infer__rank(c, ia, 1, MD_RANK_MAX, err));
    MD_TRY(md_infer__rank(c, ib, 1, MD_RANK_MAX, err));
    if (!a.has_rank || !b.has_rank) {
        md_infer__give(c, 0, &t);
        return MD_OK;
    }
    as_matrix(&a, true);
    as_matrix(&b, false);
    k = a.dim[a.rank - 1];
    if (md_dim_is_const(k) && md_dim_is_const(b.dim[b.rank - 2]) &&
        k.k != b.dim[b.rank - 2].k)
        return md_fail(err, MD_INVALID,
                       "a has %lld columns and b %lld rows, the same number "
                       "expected",
                       (long long)k.k, (long long)b.dim[b.rank - 2].k);
    MD_TRY(
        md_infer__must_equal(c, k, b.dim[b.rank - 2], "the columns of a", err));
    m = a.dim[a.rank - 2];
    n = b.dim[b.rank - 1];
    a.rank -= 2;
    b.rank -= 2;
    MD_TRY(md_infer__broadcast(c, &t, &a, &b, err));
    if (row)
        t.dim[t.rank++] = m;
    if (col)
        t.dim[t.rank++] = n;
    md_infer__give(c, 0, &t);
    return MD_OK;
}

void md_matmul__sizes(md_matmul *out, const md_shape *a, const md_shape *b)
{
    md_shape ba = *a, bb = *b, batch = { 0 };
    md_matmul r = { .n_batch = 1 };

    r.one.k = a->dim[a->rank - 1];
    r.one.m = a->rank > 1 ? a->dim[a->rank - 2] : 1;
    r.one.n = b->rank > 1 ? b->dim[b->rank - 1] : 1;
    r.one.a_row = r.one.k;
    r.one.a_col = 1;
    r.one.b_row = r.one.n;
    r.one.b_col = 1;
    ba.rank = a->rank > 2 ? a->rank - 2 : 0;
    bb.rank = b->rank > 2 ? b->rank - 2 : 0;
    (void)md_shape_broadcast(&batch, &ba, &bb, NULL);
    r.rank = batch.rank;
    md_shape_broadcast_strides(r.a_stride, &ba, &batch);
    md_shape_broadcast_strides(r.b_stride, &bb, &batch);
    for (int i = 0; i < batch.rank; i++) {
        r.batch[i] = batch.dim[i];
        r.n_batch *= batch.dim[i];
    }
    *out = r;
}

void md_matmul__at(const md_matmul *m, int64_t i, int64_t *a, int64_t *b)
{
    *a = 0;
    *b = 0;
    for (int d = m->rank; d-- > 0; i /= m->batch[d]) {
        *a += i % m->batch[d] * m->a_stride[d];
        *b += i % m->batch[d] * m->b_stride[d];
    }
    *a *= m->one.m * m->one.k;
    *b *= m->one.k * m->one.n;
}

int64_t md_matmul__macs(const md_shape *a, const md_shape *out)
{
    int64_t macs;

    if (!md_mul_i64(&macs, md_shape_n(out), a->dim[a->rank - 1]))
        return INT64_MAX;
    return macs;
}
