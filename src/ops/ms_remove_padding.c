/* com.microsoft's RemovePadding: the tokens of all sequences behind each other;
 * where each came from, and how many there are up to each sequence. */
#include "ops/common/util.h"

enum { /* outputs */
    OUT_Y,
    OUT_OFFSETS,
    OUT_SUMS,
    OUT_MOST,
    OUT_N
};

static md_status check(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_T(F32) | MD_T(F16), err));
    MD_TRY(md_infer__need(c, 1, MD_T(I32), err));
    MD_TRY(md_infer__rank(c, 0, 3, 3, err));
    if (c->in[0]->has_rank)
        MD_TRY(md_infer__length(c, c->in[1], c->in[0]->dim[0],
                                "sequence_token_count", err));
    return MD_OK;
}

/* Tokens in all, where the counts are known; -1 else. */
static md_status count_all(const md_infer *c, int64_t *n, md_error *err)
{
    const md_tensor *t = c->cin[1];
    md_dim length = c->in[0]->dim[1];

    *n = -1;
    if (!t || !c->in[0]->has_rank || !md_dim_is_const(length))
        return MD_OK;
    *n = 0;
    for (int64_t i = 0; i < md_tensor_n(t); i++) {
        int64_t count = md_tensor_get_i64(t, i);

        if (count < 0 || count > length.k)
            return md_fail(err, MD_INVALID,
                           "sequence_token_count is %lld, 0 to %lld expected",
                           (long long)count, (long long)length.k);
        *n += count;
    }
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *x = c->in[0];
    md_type y = { .dtype = x->dtype }, offsets = { .dtype = MD_DTYPE_I32 };
    md_type sums = offsets, most = offsets;
    int64_t n;

    MD_TRY(check(c, err));
    MD_TRY(count_all(c, &n, err));
    MD_TRY(md_infer__fresh_type(c, &y, x->dtype, 2, err));
    if (n >= 0)
        y.dim[0] = MD_DIM(n);
    MD_TRY(md_infer__fresh_type(c, &offsets, MD_DTYPE_I32, 2, err));
    MD_TRY(md_infer__fresh_type(c, &sums, MD_DTYPE_I32, 1, err));
    most.has_rank = true;
    most.rank = 1;
    most.dim[0] = MD_DIM(1);
    if (x->has_rank) {
        y.dim[1] = x->dim[2];
        offsets.dim[0] = x->dim[0];
        offsets.dim[1] = x->dim[1];
        MD_TRY(md_dim__affine(&sums.dim[0], x->dim[0], 1, 1, err));
    }
    md_infer__give(c, OUT_Y, &y);
    md_infer__give(c, OUT_OFFSETS, &offsets);
    md_infer__give(c, OUT_SUMS, &sums);
    md_infer__give(c, OUT_MOST, &most);
    return MD_OK;
}

static void fill(const md_exec *x, md_tensor *const *out)
{
    const int64_t *d = x->in[0]->shape.dim;
    const int32_t *count = x->in[1]->data;
    int64_t token = 0, padding = 0, most = 0;

    for (int64_t b = 0; b < d[0]; b++)
        padding += count[b];
    for (int64_t b = 0; b < d[0]; b++) {
        if (out[OUT_SUMS])
            md_tensor_set_i64(out[OUT_SUMS], b, token);
        most = count[b] > most ? count[b] : most;
        for (int64_t i = 0; i < d[1]; i++) {
            bool real = i < count[b];
            md_place to = { .t = out[OUT_Y],
                            .at = token * d[2],
                            .stride = { 1 } };
            md_place from = { .t = (md_tensor *)x->in[0],
                              .at = (b * d[1] + i) * d[2],
                              .stride = { 1 } };

            if (out[OUT_OFFSETS])
                md_tensor_set_i64(out[OUT_OFFSETS], real ? token : padding,
                                  b * d[1] + i);
            if (real && out[OUT_Y])
                md_move(&to, &from, &(md_shape){ 1, { d[2] } });
            token += real;
            padding += !real;
        }
    }
    if (out[OUT_SUMS])
        md_tensor_set_i64(out[OUT_SUMS], d[0], token);
    if (out[OUT_MOST])
        md_tensor_set_i64(out[OUT_MOST], 0, most);
}

static md_status run(md_exec *x, md_error *err)
{
    md_tensor *out[OUT_N];

    MD_TRY(md_exec__outputs(x, infer, out, OUT_N, err));
    fill(x, out);
    return MD_OK;
}

const md_op md_op_ms_remove_padding = {
    .domain = "com.microsoft",
    .name = "RemovePadding",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 4,
    .infer = infer,
    .run = run,
};
