/*
 * com.microsoft's MatMulBnb4: A times a weight [N, K] in 4-bit codes of the
 * types FP4 and NF4 of bitsandbytes (Dettmers et al. 2023).  Codes lie in the
 * order of the weight, the first of a byte in its high half; each block of
 * them has its largest absolute value.
 */
#include "ops/common/util.h"

enum { /* inputs */
    IN_A,
    IN_B,
    IN_ABSMAX
};

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

/* What code i stands for, in parts of the block's largest value: first FP4,
 * sign and then e2m1 with an order of its own, then NF4, the quantiles of a
 * normal distribution. */
static const float values[2][16] = {
    { 0.0f, 5.208333333e-03f, 0.66666667f, 1.0f, 0.33333333f, 0.5f, 0.16666667f,
      0.25f, -0.0f, -5.208333333e-03f, -0.66666667f, -1.0f, -0.33333333f, -0.5f,
      -0.16666667f, -0.25f },
    { -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
      -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
      0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f,
      0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f,
      0.7229568362236023f, 1.0f },
};

typedef struct weight {
    int64_t n, k, block, type;
    bool trans; /* A meets columns of K */
} weight;

static md_status find_weight(weight *w, const md_node *n, md_error *err)
{
    *w = (weight){ .n = md_node_attr_i(n, "N", 0),
                   .k = md_node_attr_i(n, "K", 0),
                   .block = md_node_attr_i(n, "block_size", 0),
                   .type = md_node_attr_i(n, "quant_type", -1),
                   .trans = md_node_attr_i(n, "transB", 1) != 0 };
    if (w->n < 1 || w->k < 1 || w->n > INT32_MAX || w->k > INT32_MAX)
        return md_fail(err, MD_INVALID,
                       "N is %lld and K %lld, 1 to 2147483647 expected",
                       (long long)w->n, (long long)w->k);
    if (w->block < 16 || w->block > INT32_MAX || (w->block & (w->block - 1)))
        return md_fail(err, MD_INVALID,
                       "block_size is %lld, a power of 2 of at least 16 "
                       "expected",
                       (long long)w->block);
    if (w->type < 0 || w->type > 1)
        return md_fail(err, MD_INVALID, "quant_type is %lld, 0 or 1 expected",
                       (long long)w->type);
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = *c->in[IN_A];
    int64_t all;
    weight w;

    MD_TRY(md_infer__need(c, IN_A, TYPES, err));
    MD_TRY(md_infer__need(c, IN_B, MD_T(U8), err));
    MD_TRY(md_infer__need(c, IN_ABSMAX, TYPES, err));
    MD_TRY(md_infer__same_dtype(c, IN_A, IN_ABSMAX, err));
    MD_TRY(md_infer__rank(c, IN_A, 1, MD_RANK_MAX, err));
    MD_TRY(find_weight(&w, c->node, err));
    all = w.n * w.k;
    MD_TRY(
        md_infer__length(c, c->in[IN_B], MD_DIM(md_div_up(all, 2)), "B", err));
    MD_TRY(md_infer__length(c, c->in[IN_ABSMAX],
                            MD_DIM(md_div_up(all, w.block)), "absmax", err));
    if (t.has_rank) {
        MD_TRY(md_infer__must_equal(c, t.dim[t.rank - 1],
                                    MD_DIM(w.trans ? w.k : w.n),
                                    "the last dimension of A", err));
        t.dim[t.rank - 1] = MD_DIM(w.trans ? w.n : w.k);
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Row i of the weight. */
static void decode(float *out, const md_exec *x, const weight *w, int64_t i)
{
    const uint8_t *codes = x->in[IN_B]->data;

    for (int64_t k = 0; k < w->k; k++) {
        int64_t at = i * w->k + k;
        int code = codes[at / 2] >> (at % 2 ? 0 : 4) & 15;

        out[k] = values[w->type][code] *
                 (float)md_tensor_get_f64(x->in[IN_ABSMAX], at / w->block);
    }
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int64_t rows = md_shape_span(&out->shape, 0, out->shape.rank - 1);
    double *sum;
    const float *a;
    float *row;
    weight w;

    MD_TRY(find_weight(&w, x->node, err));
    MD_TRY(md_exec__as_f32(&a, x->in[IN_A], ar, err));
    MD_TRY(md_exec__scratch(&row, ar, w.k, sizeof(*row), err));
    MD_TRY(md_exec__scratch(&sum, ar, md_tensor_n(out), sizeof(*sum), err));
    for (int64_t n = 0; n < w.n; n++) {
        decode(row, x, &w, n);
        for (int64_t i = 0; i < rows; i++) {
            for (int64_t k = 0; k < w.k; k++) {
                if (w.trans)
                    sum[i * w.n + n] += (double)a[i * w.k + k] * row[k];
                else
                    sum[i * w.k + k] += (double)a[i * w.n + n] * row[k];
            }
        }
    }
    md_store_f64(out, 0, sum, md_tensor_n(out));
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static int64_t macs(const md_node *n, const md_shape *const *in,
                    const md_shape *const *out)
{
    (void)out;
    return md_macs__times(
        md_shape_n(in[IN_A]),
        md_node_attr_i(n, md_node_attr_i(n, "transB", 1) ? "N" : "K", 0));
}

const md_op md_op_ms_mat_mul_bnb4 = {
    .domain = "com.microsoft",
    .name = "MatMulBnb4",
    .since = 1,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
    .macs = macs,
};
