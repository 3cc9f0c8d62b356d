/*
 * com.microsoft's MatMulNBits: a[..., K] times a weight of N rows of K codes
 * of 2, 4 or 8 bits, in blocks of block_size codes with a scale and a zero
 * point each:
 *
 *   w[n][k] = (code - zero[n][k / block_size]) * scale[n][k / block_size]
 *   y[..., n] = sum over k of a[..., k] * w[n][k], + bias[n]
 *
 * Codes lie low bits first.  The weight is float32, sums are double; what
 * accuracy_level would allow to be less exact is not.
 */
#include <stdio.h>

#include "ops/common/util.h"
#include "ops/lower.h"

enum { /* inputs */
    IN_A,
    IN_B,
    IN_SCALES,
    IN_ZEROS,
    IN_GROUPS, /* g_idx: the block of each k */
    IN_BIAS
};

#define TYPES (MD_T(F32) | MD_T(F16) | MD_T(BF16))

typedef struct weight {
    int64_t n, k, bits, block, n_blocks;
    int64_t blob; /* bytes of a block */
} weight;

static md_status find_weight(weight *w, const md_node *node, md_error *err)
{
    int64_t level = md_node_attr_i(node, "accuracy_level", 0);

    *w = (weight){ .n = md_node_attr_i(node, "N", 0),
                   .k = md_node_attr_i(node, "K", 0),
                   .bits = md_node_attr_i(node, "bits", 4),
                   .block = md_node_attr_i(node, "block_size", 0) };
    if (w->n < 1 || w->k < 1 || w->n > INT32_MAX || w->k > INT32_MAX)
        return md_fail(err, MD_INVALID,
                       "N is %lld and K %lld, 1 to %d expected",
                       (long long)w->n, (long long)w->k, INT32_MAX);
    if (w->bits != 2 && w->bits != 4 && w->bits != 8)
        return md_fail(err, MD_UNSUPPORTED, "bits is %lld, 2, 4 or 8 expected",
                       (long long)w->bits);
    if (w->block < 16 || w->block > INT32_MAX || (w->block & (w->block - 1)))
        return md_fail(err, MD_INVALID,
                       "block_size is %lld, a power of 2 of at least 16 "
                       "expected",
                       (long long)w->block);
    if (level < 0 || level > 4)
        return md_fail(err, MD_INVALID,
                       "accuracy_level is %lld, 0 to 4 expected",
                       (long long)level);
    if (md_node_attr_i(node, "weight_prepacked", 0))
        return md_fail(err, MD_UNSUPPORTED,
                       "weight_prepacked: a layout of one GPU's kernels");
    w->n_blocks = md_div_up(w->k, w->block);
    w->blob = w->block / 8 * w->bits;
    return MD_OK;
}

/* Input i is [rows, columns], or the same in one dimension. */
static md_status check_matrix(const md_infer *c, uint32_t i, int64_t rows,
                              int64_t columns, const char *what, md_error *err)
{
    const md_type *t = c->in[i];
    char dim[48];

    MD_TRY(md_infer__rank(c, i, 1, 2, err));
    if (!t->has_rank)
        return MD_OK;
    if (t->rank == 1)
        return md_infer__length(c, t, MD_DIM(rows * columns), what, err);
    snprintf(dim, sizeof(dim), "a dimension of %s", what);
    MD_TRY(md_infer__must_equal(c, t->dim[0], MD_DIM(rows), dim, err));
    return md_infer__must_equal(c, t->dim[1], MD_DIM(columns), dim, err);
}

/* The weight's codes are [n, n_blocks, blob]; a dimension of 0 stands for a
 * weight of zeros.  *whole: it is known not to be one of these. */
static md_status check_codes(const md_infer *c, const weight *w, bool *whole,
                             md_error *err)
{
    const int64_t want[3] = { w->n, w->n_blocks, w->blob };
    const md_type *b = c->in[IN_B];

    *whole = b->has_rank;
    MD_TRY(md_infer__rank(c, IN_B, 3, 3, err));
    for (int i = 0; b->has_rank && i < 3; i++) {
        if (!md_dim_is_const(b->dim[i]) || b->dim[i].k == 0)
            *whole = false;
        else
            MD_TRY(md_infer__must_equal(c, b->dim[i], MD_DIM(want[i]),
                                        "a dimension of B", err));
    }
    return MD_OK;
}

static md_status check_parameters(const md_infer *c, const weight *w,
                                  md_error *err)
{
    MD_TRY(check_matrix(c, IN_SCALES, w->n, w->n_blocks, "scales", err));
    if (md_infer_has(c, IN_ZEROS))
        MD_TRY(check_matrix(c, IN_ZEROS, w->n,
                            md_infer__dtype(c, IN_ZEROS) == MD_DTYPE_U8
                                ? md_div_up(w->n_blocks * w->bits, 8)
                                : w->n_blocks,
                            "zero_points", err));
    if (md_infer_has(c, IN_GROUPS) &&
        md_infer__length(c, c->in[IN_GROUPS], MD_DIM(w->n_blocks * w->block),
                         "", NULL) != MD_OK)
        MD_TRY(
            md_infer__length(c, c->in[IN_GROUPS], MD_DIM(w->k), "g_idx", err));
    return MD_OK;
}

static md_status check_types(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, IN_A, TYPES, err));
    MD_TRY(md_infer__need(c, IN_B, MD_T(U8), err));
    MD_TRY(md_infer__need(c, IN_SCALES, TYPES, err));
    MD_TRY(md_infer__may(c, IN_ZEROS, TYPES | MD_T(U8), err));
    MD_TRY(md_infer__may(c, IN_GROUPS, MD_T(I32), err));
    MD_TRY(md_infer__may(c, IN_BIAS, TYPES, err));
    MD_TRY(md_infer__same_dtype(c, IN_SCALES, IN_A, err));
    MD_TRY(md_infer__same_dtype(c, IN_BIAS, IN_A, err));
    if (md_infer__dtype(c, IN_ZEROS) != MD_DTYPE_U8)
        MD_TRY(md_infer__same_dtype(c, IN_ZEROS, IN_A, err));
    return md_infer__rank(c, IN_A, 1, MD_RANK_MAX, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    bool whole;
    weight w;
    md_type t;

    MD_TRY(check_types(c, err));
    MD_TRY(find_weight(&w, c->node, err));
    MD_TRY(check_codes(c, &w, &whole, err));
    if (whole)
        MD_TRY(check_parameters(c, &w, err));
    if (md_infer_has(c, IN_BIAS))
        MD_TRY(md_infer__length(c, c->in[IN_BIAS], MD_DIM(w.n), "bias", err));
    t = *c->in[IN_A];
    if (t.has_rank) {
        MD_TRY(md_infer__must_equal(c, t.dim[t.rank - 1], MD_DIM(w.k),
                                    "the last dimension of A", err));
        t.dim[t.rank - 1] = MD_DIM(w.n);
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Code i of `bits` bits of bytes p. */
static int code(const uint8_t *p, int64_t i, int64_t bits)
{
    return p[i * bits / 8] >> (i * bits % 8) & ((1 << bits) - 1);
}

static float zero_point(const md_exec *x, const weight *w, int64_t row,
                        int64_t block)
{
    const md_tensor *z = md_exec_has(x, IN_ZEROS) ? x->in[IN_ZEROS] : NULL;

    if (!z)
        return (float)(1 << (w->bits - 1));
    if (z->dtype == MD_DTYPE_U8)
        return (float)code((const uint8_t *)z->data +
                               row * md_div_up(w->n_blocks * w->bits, 8),
                           block, w->bits);
    return (float)md_tensor_get_f64(z, row * w->n_blocks + block);
}

/* Row n of the weight, w->k floats. */
static md_status decode(float *out, const md_exec *x, const weight *w,
                        int64_t row, md_error *err)
{
    const md_tensor *g = md_exec_has(x, IN_GROUPS) ? x->in[IN_GROUPS] : NULL;
    const uint8_t *codes =
        (const uint8_t *)x->in[IN_B]->data + row * w->n_blocks * w->blob;

    for (int64_t k = 0; k < w->k; k++) {
        int64_t block = g ? md_tensor_get_i64(g, k) : k / w->block;
        float scale;

        if (block < 0 || block >= w->n_blocks)
            return md_fail(err, MD_INVALID,
                           "g_idx has block %lld, 0 to %lld expected",
                           (long long)block, (long long)w->n_blocks - 1);
        scale = (float)md_tensor_get_f64(x->in[IN_SCALES],
                                         row * w->n_blocks + block);
        out[k] =
            ((float)code(codes, k, w->bits) - zero_point(x, w, row, block)) *
            scale;
    }
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int64_t rows = md_shape_span(&out->shape, 0, out->shape.rank - 1);
    const float *a;
    float *row;
    weight w;

    MD_TRY(find_weight(&w, x->node, err));
    MD_TRY(md_exec__as_f32(&a, x->in[IN_A], ar, err));
    MD_TRY(md_exec__scratch(&row, ar, w.k, sizeof(*row), err));
    for (int64_t n = 0; n < w.n; n++) {
        double bias = md_exec_has(x, IN_BIAS)
                          ? md_tensor_get_f64(x->in[IN_BIAS], n)
                          : 0.0;

        if (md_tensor_n(x->in[IN_B]) > 0)
            MD_TRY(decode(row, x, &w, n, err));
        for (int64_t i = 0; i < rows; i++) {
            double sum = bias;

            for (int64_t k = 0; k < w.k; k++)
                sum += (double)a[i * w.k + k] * (double)row[k];
            md_tensor_set_f64(out, i * w.n + n, sum);
        }
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static int64_t macs(const md_node *n, const md_shape *const *in,
                    const md_shape *const *out)
{
    (void)in;
    return md_macs__times(md_shape_n(out[0]), md_node_attr_i(n, "K", 0));
}

const md_op md_op_ms_mat_mul_n_bits = {
    .domain = "com.microsoft",
    .name = "MatMulNBits",
    .since = 1,
    .in_min = 3,
    .in_max = 6,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_WEIGHTS,
    .infer = infer,
    .run = run,
    .macs = macs,
    .fast = &md_fast_nbits,
};
