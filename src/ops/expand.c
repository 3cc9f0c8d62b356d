#include "ops/common/data.h"
#include "ops/common/util.h"
#include "ops/grad.h"

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t = { .has_rank = true };
    md_dims dims;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__need(c, 1, MD_T(I64), err));
    MD_TRY(md_infer__shape_dims(c, 1, &dims, err));
    if (dims.n < 0 || !c->in[0]->has_rank) {
        t.has_rank = false;
    } else if (dims.known) {
        t.rank = dims.n;
        for (int i = 0; i < dims.n; i++)
            t.dim[i] = dims.v[i];
        MD_TRY(md_infer__broadcast(c, &t, c->in[0], &t, err));
    } else {
        int rank = dims.n > c->in[0]->rank ? dims.n : c->in[0]->rank;

        MD_TRY(md_infer__fresh_type(c, &t, MD_DTYPE_NONE, rank, err));
    }
    t.dtype = c->in[0]->dtype;
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_place to = { .t = out }, from = { .t = (md_tensor *)x->in[0] };

    (void)ar;
    (void)err;
    md_shape_strides(to.stride, &out->shape);
    md_shape_broadcast_strides(from.stride, &x->in[0]->shape, &out->shape);
    md_exec__move(x, &to, &from, &out->shape);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static void grad(md_grad *g)
{
    md_grad_give_sum(g, 0, md_grad_of(g, 0));
}

const md_op md_op_expand = {
    .domain = "",
    .name = "Expand",
    .since = 8,
    .in_min = 2,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__moves_0,
    .grad = grad,
};
