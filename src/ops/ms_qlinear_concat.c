/* com.microsoft's QLinearConcat: tensors with a scale and a zero point each,
 * brought to those of the result. */
#include "ops/common/concat.h"
#include "ops/common/quantize.h"

enum { /* inputs */
    IN_SCALE,
    IN_ZERO,
    IN_FIRST, /* tensor, scale, zero point; and so on */
    STEP = 3
};

static md_status infer(const md_infer *c, md_error *err)
{
    uint32_t n = c->node->n_in;

    if ((n - IN_FIRST) % STEP)
        return md_fail(err, MD_INVALID,
                       "%u inputs behind the first 2, triples of a tensor, "
                       "its scale and its zero point expected",
                       (unsigned)(n - IN_FIRST));
    MD_TRY(md_infer__need(c, IN_ZERO, MD_TYPES_Q8, err));
    for (uint32_t i = IN_FIRST; i < n; i += STEP) {
        MD_TRY(md_infer__need(c, i, MD_TYPES_Q8, err));
        MD_TRY(md_infer__same_dtype(c, IN_FIRST, i, err));
        MD_TRY(md_qlinear__check(c, i + 1, i + 2, i, err));
    }
    MD_TRY(md_qlinear__check(c, IN_SCALE, IN_ZERO, IN_FIRST, err));
    for (uint32_t i = 0; i < n; i++) {
        if ((i < IN_FIRST || (i - IN_FIRST) % STEP) && md_infer_has(c, i))
            MD_TRY(md_infer__length(c, c->in[i], MD_DIM(1),
                                    "scale or zero point", err));
    }
    if (!md_node_attr(c->node, "axis"))
        return md_fail(err, MD_INVALID, "QLinearConcat lacks axis");
    return md_concat__infer(c, IN_FIRST, STEP, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    float out_scale = (float)md_exec__scalar(x, IN_SCALE, 1.0);
    int64_t out_zero = (int64_t)md_exec__scalar(x, IN_ZERO, 0.0);
    int64_t row, at = 0;
    int axis;

    (void)ar;
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", 0),
                             out->shape.rank, err));
    row = md_shape_span(&out->shape, axis, out->shape.rank);
    for (uint32_t k = IN_FIRST; k < x->node->n_in; k += STEP) {
        const md_tensor *in = x->in[k];
        float scale = (float)md_exec__scalar(x, k + 1, 1.0);
        int64_t zero = (int64_t)md_exec__scalar(x, k + 2, 0.0);
        int64_t part = md_shape_span(&in->shape, axis, in->shape.rank);

        for (int64_t i = 0; i < md_tensor_n(in); i++)
            md_quantize__set(out, i / part * row + at + i % part,
                             scale * (float)(md_tensor_get_i64(in, i) - zero),
                             out_scale, out_zero, true);
        at += part;
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_ms_qlinear_concat = {
    .domain = "com.microsoft",
    .name = "QLinearConcat",
    .since = 1,
    .in_min = 5,
    .in_max = -1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
};
