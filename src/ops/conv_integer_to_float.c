/*
 * modeld's own: ConvInteger, then its sums scaled to floats, as
 * MatMulIntegerToFloat of com.microsoft does it to products: behind
 * ConvInteger's inputs the scale of x and that of w, one for all of it or one
 * for each output channel.
 */
#include "ops/common/integer_conv.h"
#include "ops/lower.h"

enum { /* inputs */
    IN_W = 1,
    IN_X_SCALE = 4,
    IN_W_SCALE
};

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *w = c->in[IN_W];

    MD_TRY(md_infer__need(c, IN_X_SCALE, MD_T(F32), err));
    MD_TRY(md_infer__need(c, IN_W_SCALE, MD_T(F32), err));
    MD_TRY(
        md_infer__length(c, c->in[IN_X_SCALE], MD_DIM(1), "scale of x", err));
    if (w->has_rank && w->rank > 0)
        MD_TRY(md_infer__one_or(c, c->in[IN_W_SCALE], w->dim[0], "scale of w",
                                err));
    return md_integer_conv__infer(c, MD_DTYPE_F32, err);
}

/* Sums * (x_scale * w_scale), both products rounded. */
static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_tensor *ws = x->in[IN_W_SCALE];
    const float xs = (float)md_exec__scalar(x, IN_X_SCALE, 1.0);
    const int64_t n = md_tensor_n(out);
    int32_t *sums;

    MD_TRY(md_exec__scratch(&sums, ar, n, sizeof(*sums), err));
    MD_TRY(md_integer_conv__sums(x, sums, n, ar, err));
    for (int64_t i = 0; i < n; i++) {
        const int64_t inner = md_shape_span(&out->shape, 2, out->shape.rank);
        const int64_t c = i / inner % out->shape.dim[1];
        const float scale =
            ((const float *)ws->data)[md_tensor_n(ws) == 1 ? 0 : c];

        ((float *)out->data)[i] = (float)sums[i] * (xs * scale);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_conv_integer_to_float = {
    .domain = "modeld",
    .name = "ConvIntegerToFloat",
    .since = 1,
    .in_min = 6,
    .in_max = 6,
    .out_min = 1,
    .out_max = 1,
    .may_lack = 1u << 2 | 1u << 3,
    .infer = infer,
    .run = run,
    .macs = md_integer_conv__macs,
    .flags = MD_OP_WEIGHTS,
    .fast = &md_fast_conv_integer,
};
