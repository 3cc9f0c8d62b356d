#include "ops/common/product.h"
#include "ops/grad.h"
#include "ops/lower.h"

#define TYPES (MD_TYPES_FLOAT | MD_T(I32) | MD_T(I64) | MD_T(U32) | MD_T(U64))

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, TYPES, err));
    MD_TRY(md_infer__need(c, 1, TYPES, err));
    MD_TRY(md_infer__same_dtype(c, 0, 1, err));
    return md_matmul__infer(c, 0, 1, c->in[0]->dtype, err);
}

/* The products of one batch element type by type; narrow floats are float32
 * here. */
static void multiply(const md_matmul *m, md_dtype type, void *c, const void *a,
                     const void *b)
{
    int64_t n = m->one.m * m->one.n;

    for (int64_t i = 0; i < m->n_batch; i++) {
        int64_t at_a, at_b;

        md_matmul__at(m, i, &at_a, &at_b);
        switch (type) {
        case MD_DTYPE_F64:
            md_product__f64(&m->one, (double *)c + i * n,
                            (const double *)a + at_a, (const double *)b + at_b);
            break;
        case MD_DTYPE_I32:
        case MD_DTYPE_U32:
            md_product__i32(&m->one, (int32_t *)c + i * n,
                            (const int32_t *)a + at_a,
                            (const int32_t *)b + at_b);
            break;
        case MD_DTYPE_I64:
        case MD_DTYPE_U64:
            md_product__i64(&m->one, (int64_t *)c + i * n,
                            (const int64_t *)a + at_a,
                            (const int64_t *)b + at_b);
            break;
        default:
            md_product__f32(&m->one, (float *)c + i * n,
                            (const float *)a + at_a, (const float *)b + at_b);
            break;
        }
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *a = x->in[0], *b = x->in[1];
    md_matmul m;

    md_matmul__sizes(&m, &a->shape, &b->shape);
    if (md_dtype_bits(a->dtype) == 16) {
        const float *fa, *fb;
        float *fc;

        MD_TRY(md_exec__as_f32(&fa, a, ar, err));
        MD_TRY(md_exec__as_f32(&fb, b, ar, err));
        MD_TRY(md_exec__f32_of(&fc, out, ar, err));
        multiply(&m, MD_DTYPE_F32, fc, fa, fb);
        md_exec__from_f32(out, fc);
        return MD_OK;
    }
    md_exec__zero(out);
    multiply(&m, a->dtype, out->data, a->data, b->data);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static int64_t macs(const md_node *n, const md_shape *const *in,
                    const md_shape *const *out)
{
    (void)n;
    return md_matmul__macs(in[0], out[0]);
}

static md_part turned(md_grad *g, md_part p, int rank)
{
    int64_t perm[MD_RANK_MAX];

    for (int d = 0; d < rank; d++)
        perm[d] = d < rank - 2 ? d : 2 * rank - 3 - d;
    return md_grad_transpose(g, p, perm, rank);
}

/* da = dy * b^T, db = a^T * dy, summed over the batch axes that were spread;
 * a vector is a row in front, a column behind. */
static void grad(md_grad *g)
{
    static const int64_t row = -2, column = -1;
    md_part a = md_grad_in(g, 0), b = md_grad_in(g, 1), dy = md_grad_of(g, 0);
    md_part like_a = a, like_b = b;
    int rank_a = md_grad_rank(g, a), rank_b = md_grad_rank(g, b);

    if (rank_b == 1) {
        b = md_grad_unsqueeze(g, b, &column, 1);
        dy = md_grad_unsqueeze(g, dy, &column, 1);
        rank_b = 2;
        like_b = b;
    }
    if (rank_a == 1) {
        a = md_grad_unsqueeze(g, a, &row, 1);
        dy = md_grad_unsqueeze(g, dy, &row, 1);
        rank_a = 2;
        like_a = a;
    }
    if (md_grad_wants(g, 0)) {
        md_part d = md_grad_2(g, "MatMul", dy, turned(g, b, rank_b));

        d = md_grad_sum_to(g, d, like_a);
        md_grad_give(g, 0, md_grad_reshape(g, d, md_grad_in(g, 0)));
    }
    if (md_grad_wants(g, 1)) {
        md_part d = md_grad_2(g, "MatMul", turned(g, a, rank_a), dy);

        d = md_grad_sum_to(g, d, like_b);
        md_grad_give(g, 1, md_grad_reshape(g, d, md_grad_in(g, 1)));
    }
}

const md_op md_op_mat_mul = {
    .domain = "",
    .name = "MatMul",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .macs = macs,
    .flags = MD_OP_WEIGHTS | MD_OP_SYMBOLIC,
    .fast = &md_fast_matmul,
    .grad = grad,
};
