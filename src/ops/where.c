#include "ops/common/elementwise.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { 0 };

    MD_TRY(md_infer__need(c, 0, MD_T(BOOL), err));
    MD_TRY(md_infer__need(c, 1, MD_TYPES_ANY, err));
    MD_TRY(md_infer__need(c, 2, MD_TYPES_ANY, err));
    MD_TRY(md_infer__same_dtype(c, 1, 2, err));
    MD_TRY(md_infer__broadcast(c, &t, c->in[0], c->in[1], err));
    MD_TRY(md_infer__broadcast(c, &t, &t, c->in[2], err));
    t.dtype = c->in[1]->dtype ? c->in[1]->dtype : c->in[2]->dtype;
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const uint8_t *cond = x->in[0]->data;
    md_shape one = { 0 };
    md_place to = { .t = out };
    md_rows r;

    (void)ar;
    (void)err;
    md_rows__begin(&r, &out->shape, 3, x->in);
    while (md_rows__next(&r)) {
        for (int64_t i = 0; i < r.n; i++) {
            int k = cond[r.at[0] + i * r.step[0]] ? 1 : 2;
            md_place from = { .t = (md_tensor *)x->in[k],
                              .at = r.at[k] + i * r.step[k] };

            to.at = r.row * r.n + i;
            md_move(&to, &from, &one);
        }
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_where = {
    .domain = "",
    .name = "Where",
    .since = 9,
    .in_min = 3,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
