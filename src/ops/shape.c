#include "ops/common/data.h"
#include "ops/common/util.h"

/* start and end clamped to [0, rank]. */
static void range(const md_node *n, int rank, int *from, int *to)
{
    int64_t a = md_node_attr_i(n, "start", 0);
    int64_t b = md_node_attr_i(n, "end", rank);

    a = a < 0 ? a + rank : a;
    b = b < 0 ? b + rank : b;
    *from = (int)(a < 0 ? 0 : a > rank ? rank : a);
    *to = (int)(b < 0 ? 0 : b > rank ? rank : b);
    if (*to < *from)
        *to = *from;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .dtype = MD_DTYPE_I64, .has_rank = true, .rank = 1 };
    int from, to;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    if (c->in[0]->has_rank) {
        range(c->node, c->in[0]->rank, &from, &to);
        t.dim[0] = MD_DIM(to - from);
    } else {
        MD_TRY(md_infer__fresh(c, &t.dim[0], err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    int from, to;

    (void)ar;
    (void)err;
    range(x->node, x->in[0]->shape.rank, &from, &to);
    md_store_i64(out, 0, x->in[0]->shape.dim + from, to - from);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_shape = {
    .domain = "",
    .name = "Shape",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__shape,
};
