/* com.microsoft's QLinearWhere: elements of x or y, requantized. */
#include "ops/common/elementwise.h"
#include "ops/common/quantize.h"

enum { /* inputs; a scale and a zero point follow each of x, y */
    IN_COND,
    IN_X,
    IN_Y = 4,
    IN_Z_SCALE = 7,
    IN_Z_ZERO
};

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { 0 };

    MD_TRY(md_infer__need(c, IN_COND, MD_T(BOOL), err));
    MD_TRY(md_infer__need(c, IN_X, MD_TYPES_Q8, err));
    MD_TRY(md_infer__need(c, IN_Y, MD_TYPES_Q8, err));
    MD_TRY(md_infer__same_dtype(c, IN_X, IN_Y, err));
    MD_TRY(md_qlinear__check(c, IN_X + 1, IN_X + 2, IN_X, err));
    MD_TRY(md_qlinear__check(c, IN_Y + 1, IN_Y + 2, IN_X, err));
    MD_TRY(md_qlinear__check(c, IN_Z_SCALE, IN_Z_ZERO, IN_X, err));
    for (uint32_t i = 1; i < c->node->n_in; i++) {
        if (i != IN_X && i != IN_Y && md_infer_has(c, i))
            MD_TRY(md_infer__length(c, c->in[i], MD_DIM(1),
                                    "scale or zero point", err));
    }
    MD_TRY(md_infer__broadcast(c, &t, c->in[IN_COND], c->in[IN_X], err));
    MD_TRY(md_infer__broadcast(c, &t, &t, c->in[IN_Y], err));
    t.dtype = c->in[IN_X]->dtype ? c->in[IN_X]->dtype : c->in[IN_Y]->dtype;
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *in[3] = { x->in[IN_COND], x->in[IN_X], x->in[IN_Y] };
    float scale[2] = { (float)md_exec__scalar(x, IN_X + 1, 1.0),
                       (float)md_exec__scalar(x, IN_Y + 1, 1.0) };
    int64_t zero[2] = { (int64_t)md_exec__scalar(x, IN_X + 2, 0.0),
                        (int64_t)md_exec__scalar(x, IN_Y + 2, 0.0) };
    float out_scale = (float)md_exec__scalar(x, IN_Z_SCALE, 1.0);
    int64_t out_zero = (int64_t)md_exec__scalar(x, IN_Z_ZERO, 0.0);
    const uint8_t *cond = in[0]->data;
    md_rows r;

    (void)ar;
    (void)err;
    md_rows__begin(&r, &out->shape, 3, in);
    while (md_rows__next(&r)) {
        for (int64_t i = 0; i < r.n; i++) {
            int k = cond[r.at[0] + i * r.step[0]] ? 0 : 1;
            int64_t q =
                md_tensor_get_i64(in[1 + k], r.at[1 + k] + i * r.step[1 + k]);

            md_quantize__set(out, r.row * r.n + i,
                             scale[k] * (float)(q - zero[k]), out_scale,
                             out_zero, true);
        }
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_qlinear_where = {
    .domain = "com.microsoft",
    .name = "QLinearWhere",
    .since = 1,
    .in_min = 9,
    .in_max = 9,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
