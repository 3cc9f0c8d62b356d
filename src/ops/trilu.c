#include "ops/common/util.h"

static md_status infer(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__need(c, 0, MD_TYPES_NUMBER | MD_T(BOOL), err));
    MD_TRY(md_infer__may(c, 1, MD_T(I64), err));
    MD_TRY(md_infer__rank(c, 0, 2, MD_RANK_MAX, err));
    if (md_infer_has(c, 1))
        MD_TRY(md_infer__length(c->in[1], MD_DIM(1), "k", err));
    md_infer__give(c, 0, c->in[0]);
    return MD_OK;
}

/* What is kept of a row: the columns [*from, *end). */
static void kept(int64_t *from, int64_t *end, bool upper, int64_t diagonal,
                 int64_t cols)
{
    int64_t at = upper ? diagonal : diagonal + 1;

    at = at < 0 ? 0 : at > cols ? cols : at;
    *from = upper ? at : 0;
    *end = upper ? cols : at;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    bool upper = md_node_attr_i(x->node, "upper", 1) != 0;
    int64_t k = md_exec_has(x, 1) ? md_tensor_get_i64(x->in[1], 0) : 0;
    const md_shape *s = &out->shape;
    int64_t rows = s->dim[s->rank - 2], cols = s->dim[s->rank - 1];
    md_place to = { .t = out, .stride = { 1 } };
    md_place from = { .t = (md_tensor *)x->in[0], .stride = { 1 } };
    md_shape run = { .rank = 1 };

    (void)ar;
    (void)err;
    k = k > cols ? cols : k < -rows ? -rows : k;
    md_exec__zero(out);
    for (int64_t row = 0; row < md_tensor_n(out) / cols; row++) {
        int64_t first, end;

        kept(&first, &end, upper, row % rows + k, cols);
        run.dim[0] = end - first;
        to.at = row * cols + first;
        from.at = to.at;
        md_move(&to, &from, &run);
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_trilu = {
    .domain = "",
    .name = "Trilu",
    .since = 14,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
