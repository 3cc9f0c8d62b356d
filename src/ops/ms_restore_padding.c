/* com.microsoft's RestorePadding: tokens back where token_offset says that they
 * came from, zeros elsewhere. */
#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *x = c->in[0], *offsets = c->in[1];
    md_type y;

    MD_TRY(md_infer__need(c, 0, MD_T(F32) | MD_T(F16), err));
    MD_TRY(md_infer__need(c, 1, MD_T(I32), err));
    MD_TRY(md_infer__rank(c, 0, 2, 2, err));
    MD_TRY(md_infer__rank(c, 1, 2, 2, err));
    MD_TRY(md_infer__fresh_type(c, &y, x->dtype, 3, err));
    if (offsets->has_rank) {
        y.dim[0] = offsets->dim[0];
        y.dim[1] = offsets->dim[1];
    }
    if (x->has_rank)
        y.dim[2] = x->dim[1];
    md_infer__give(c, 0, &y);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const int64_t *d = x->in[0]->shape.dim;
    int64_t places = md_tensor_n(x->in[1]);

    (void)ar;
    md_exec__zero(out);
    if (d[0] > places)
        return md_fail(err, MD_INVALID, "%lld tokens for %lld places",
                       (long long)d[0], (long long)places);
    for (int64_t i = 0; i < d[0]; i++) {
        int64_t at = md_tensor_get_i64(x->in[1], i);
        md_place to = { .t = out, .at = at * d[1], .stride = { 1 } };
        md_place from = { .t = (md_tensor *)x->in[0],
                          .at = i * d[1],
                          .stride = { 1 } };

        if (at < 0 || at >= places)
            return md_fail(err, MD_INVALID,
                           "token_offset is %lld, 0 to %lld expected",
                           (long long)at, (long long)places - 1);
        md_move(&to, &from, &(md_shape){ 1, { d[1] } });
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_restore_padding = {
    .domain = "com.microsoft",
    .name = "RestorePadding",
    .since = 1,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
