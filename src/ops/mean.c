#include "ops/common/elementwise.h"

MD_ROW(row_sum, double, x + y)
MD_ROW(row_div, double, x / y)

static const md_binary binary = { .types = MD_TYPES_FLOAT, .f = row_sum };
static const md_binary divide = { .types = MD_TYPES_FLOAT, .f = row_div };

static md_status infer(const md_infer *c, md_error *err)
{
    return md_variadic__infer(c, &binary, err);
}

static md_status run(md_exec *x, md_error *err)
{
    double count = x->node->n_in;
    md_tensor n = { .dtype = MD_DTYPE_F64, .data = &count };
    md_tensor *out;

    MD_TRY(md_exec__outputs(x, infer, &out, 1, err));
    if (!out)
        return MD_OK;
    if (x->node->n_in == 1) {
        md_move_all(out, x->in[0]);
        return MD_OK;
    }
    md_binary__apply(out, x->in[0], x->in[1], &binary);
    for (uint32_t i = 2; i < x->node->n_in; i++)
        md_binary__apply(out, out, x->in[i], &binary);
    md_binary__apply(out, out, &n, &divide);
    return MD_OK;
}

const md_op md_op_mean = {
    .domain = "",
    .name = "Mean",
    .since = 1,
    .in_min = 1,
    .in_max = -1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
