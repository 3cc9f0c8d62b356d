/*
 * com.microsoft's GatherBlockQuantized: slices of an axis by index, then
 * (code - zero point) * scale, with one scale for each block of another axis.
 *
 * uint8 data hold codes of 2, 4 or 8 bits, low bits first, along the last
 * axis.  An index outside the axis gives zeros.
 */
#include <stdio.h>

#include "ops/common/util.h"

enum { /* inputs */
    IN_DATA,
    IN_INDICES,
    IN_SCALES,
    IN_ZEROS
};

#define TYPES_SMALL_FLOAT (MD_TYPES_F8 | MD_T(F4E2M1))
#define TYPES_DATA (MD_T(I4) | MD_T(U4) | MD_T(U8) | TYPES_SMALL_FLOAT)
#define TYPES_SCALE (MD_T(F32) | MD_T(F16) | MD_T(BF16))

typedef struct plan {
    int gather, blocked; /* axes */
    int64_t bits;        /* of a code in uint8 data */
    int64_t per_byte;    /* codes in an element of data, 1 but in uint8 */
    int64_t block;       /* 0: all of the axis */
    bool real;           /* small floats: no zero points, scales broadcast */
} plan;

static md_status find_plan(plan *p, const md_node *n, md_dtype dtype, int rank,
                           md_error *err)
{
    *p = (plan){ .bits = md_node_attr_i(n, "bits", 4),
                 .per_byte = 1,
                 .block = md_node_attr_i(n, "block_size", 128),
                 .real = (TYPES_SMALL_FLOAT >> dtype & 1) != 0 };
    if (p->bits != 2 && p->bits != 4 && p->bits != 8)
        return md_fail(err, MD_INVALID, "bits is %lld, 2, 4 or 8 expected",
                       (long long)p->bits);
    if (!(p->real && p->block == 0) &&
        (p->block < 16 || p->block > INT32_MAX || (p->block & (p->block - 1))))
        return md_fail(err, MD_INVALID,
                       "block_size is %lld, a power of 2 of at least 16 "
                       "expected",
                       (long long)p->block);
    MD_TRY(md_axis_normalize(&p->gather, md_node_attr_i(n, "gather_axis", 0),
                             rank, err));
    MD_TRY(md_axis_normalize(&p->blocked, md_node_attr_i(n, "quantize_axis", 1),
                             rank, err));
    if (dtype != MD_DTYPE_U8)
        return MD_OK;
    p->per_byte = 8 / p->bits;
    if (p->gather != 0 || p->blocked != rank - 1 || rank < 2)
        return md_fail(err, MD_INVALID,
                       "gather_axis is %d and quantize_axis %d, the first and "
                       "the last expected for uint8",
                       p->gather, p->blocked);
    return MD_OK;
}

/* Parameter t has as many elements as there are blocks, `per_byte` in one. */
static md_status check_blocks(const plan *p, const md_type *data,
                              const md_type *t, int64_t per_byte,
                              const char *what, md_error *err)
{
    char dim[48];

    if (!t->has_rank)
        return MD_OK;
    if (t->rank != data->rank)
        return md_fail(err, MD_INVALID, "%s has rank %d, %d expected", what,
                       t->rank, data->rank);
    snprintf(dim, sizeof(dim), "a dimension of %s", what);
    for (int i = 0; i < t->rank; i++) {
        md_dim want = data->dim[i];

        if (!md_dim_is_const(want) ||
            (p->real && i != p->blocked && md_dim_is_const(t->dim[i]) &&
             t->dim[i].k == 1))
            continue;
        if (i == p->blocked && p->block == 0)
            want.k = 1;
        else if (i == p->blocked)
            want.k =
                md_div_up(md_div_up(want.k, p->block / p->per_byte), per_byte);
        MD_TRY(md_infer__same_dim(t->dim[i], want, dim, err));
    }
    return MD_OK;
}

static md_status check_types(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, IN_DATA, TYPES_DATA, err));
    MD_TRY(md_infer__need(c, IN_INDICES, MD_TYPES_INDEX, err));
    MD_TRY(md_infer__need(c, IN_SCALES, TYPES_SCALE, err));
    MD_TRY(md_infer__may(c, IN_ZEROS, TYPES_DATA & ~TYPES_SMALL_FLOAT, err));
    MD_TRY(md_infer__same_dtype(c, IN_ZEROS, IN_DATA, err));
    return md_infer__rank(c, IN_DATA, 1, MD_RANK_MAX, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *in = c->in[IN_DATA], *at = c->in[IN_INDICES];
    md_type t = { 0 };
    plan p;

    MD_TRY(check_types(c, err));
    t.dtype = c->in[IN_SCALES]->dtype;
    md_infer__give(c, 0, &t);
    if (!in->has_rank || in->dtype == MD_DTYPE_NONE)
        return MD_OK;
    MD_TRY(find_plan(&p, c->node, in->dtype, in->rank, err));
    MD_TRY(check_blocks(&p, in, c->in[IN_SCALES], 1, "scales", err));
    if (md_infer_has(c, IN_ZEROS))
        MD_TRY(check_blocks(&p, in, c->in[IN_ZEROS], p.per_byte, "zero_points",
                            err));
    if (!at->has_rank)
        return MD_OK;
    if (in->rank + at->rank - 1 > MD_RANK_MAX)
        return md_fail(err, MD_UNSUPPORTED, "rank %d, at most %d expected",
                       in->rank + at->rank - 1, MD_RANK_MAX);
    t.has_rank = true;
    for (int i = 0; i < p.gather; i++)
        t.dim[t.rank++] = in->dim[i];
    for (int i = 0; i < at->rank; i++)
        t.dim[t.rank++] = at->dim[i];
    for (int i = p.gather + 1; i < in->rank; i++)
        t.dim[t.rank++] = in->dim[i];
    if (p.per_byte > 1)
        MD_TRY(md_dim__affine(&t.dim[t.rank - 1], t.dim[t.rank - 1], p.per_byte,
                              0, err));
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static int64_t code(const md_tensor *t, int64_t i, const plan *p)
{
    int64_t byte;

    if (t->dtype != MD_DTYPE_U8)
        return md_tensor_get_i64(t, i);
    byte = ((const uint8_t *)t->data)[i / p->per_byte];
    return byte >> (i % p->per_byte * p->bits) & ((1 << p->bits) - 1);
}

/* Element i of data (counted in codes), whose shape in codes is `whole`. */
static float decode(const md_exec *x, const plan *p, const md_shape *whole,
                    int64_t i)
{
    const md_tensor *data = x->in[IN_DATA], *scales = x->in[IN_SCALES];
    const md_tensor *z = md_exec_has(x, IN_ZEROS) ? x->in[IN_ZEROS] : NULL;
    int64_t left = i, at = 0, step = 1, zero_at = 0, zero_step = 1, zero;
    float scale;

    for (int d = whole->rank; d-- > 0; left /= whole->dim[d]) {
        int64_t k = left % whole->dim[d], n = scales->shape.dim[d];

        if (d == p->blocked)
            k = p->block ? k / p->block : 0;
        k = n == 1 ? 0 : k;
        at += k * step;
        step *= n;
        zero_at += k * zero_step;
        zero_step *=
            z ? z->shape.dim[d] * (d == p->blocked ? p->per_byte : 1) : 1;
    }
    scale = (float)md_tensor_get_f64(scales, at);
    if (p->real)
        return (float)md_tensor_get_f64(data, i) * scale;
    zero = data->dtype == MD_DTYPE_U8 ? INT64_C(1) << (p->bits - 1) : 0;
    if (z)
        zero = code(z, zero_at, p);
    return (float)(code(data, i, p) - zero) * scale;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_shape whole = x->in[IN_DATA]->shape;
    int64_t n = md_tensor_n(x->in[IN_INDICES]), size, inner;
    plan p;

    (void)ar;
    MD_TRY(find_plan(&p, x->node, x->in[IN_DATA]->dtype, whole.rank, err));
    whole.dim[whole.rank - 1] *= p.per_byte;
    size = whole.dim[p.gather];
    inner = md_shape_span(&whole, p.gather + 1, whole.rank);
    for (int64_t i = 0; i < md_tensor_n(out); i++) {
        int64_t row = md_tensor_get_i64(x->in[IN_INDICES], i / inner % n);
        float v = 0.0f;

        row += row < 0 ? size : 0;
        if (row >= 0 && row < size)
            v = decode(x, &p, &whole,
                       (i / inner / n * size + row) * inner + i % inner);
        md_store_f32(out, i, &v, 1);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_gather_block_quantized = {
    .domain = "com.microsoft",
    .name = "GatherBlockQuantized",
    .since = 1,
    .in_min = 3,
    .in_max = 4,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
