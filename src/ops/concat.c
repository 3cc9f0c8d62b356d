/* Before opset 4 the axis may be left out: 1. */
#include "ops/common/concat.h"
#include "ops/common/data.h"
#include "ops/grad.h"
#include "ops/lower.h"

static md_status infer(const md_infer *c, md_error *err)
{
    for (uint32_t i = 0; i < c->node->n_in; i++) {
        MD_TRY(md_infer__need(c, i, MD_TYPES_ANY, err));
        MD_TRY(md_infer__same_dtype(c, 0, i, err));
    }
    return md_concat__infer(c, 0, 1, err);
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_place to = { .t = out };
    int axis;

    (void)ar;
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", 1),
                             out->shape.rank, err));
    md_shape_strides(to.stride, &out->shape);
    for (uint32_t i = 0; i < x->node->n_in; i++) {
        md_place from = { .t = (md_tensor *)x->in[i] };

        md_shape_strides(from.stride, &x->in[i]->shape);
        md_exec__move(x, &to, &from, &x->in[i]->shape);
        to.at += x->in[i]->shape.dim[axis] * to.stride[axis];
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

/* Each input's part of dy along the axis. */
static void grad(md_grad *g)
{
    int rank = md_grad_rank(g, md_grad_in(g, 0));
    int64_t axis = md_node_attr_i(g->m.node, "axis", 1), zero = 0;
    md_part at = md_grad_ints(g, &zero, 1), axes, end;
    int d;

    if (md_axis_normalize(&d, axis, rank, NULL) != MD_OK) {
        md_grad_refuse(g, "axis is %lld", (long long)axis);
        return;
    }
    axis = d;
    axes = md_grad_ints(g, &axis, 1);
    for (uint32_t i = 0; i < g->m.node->n_in; i++, at = end) {
        md_part size = md_grad_dims(g, md_grad_in(g, i), d, d + 1);

        end = md_grad_sum_ints(g, at, size);
        if (md_grad_wants(g, i))
            md_grad_give(g, i,
                         MD_GRAD_STEP(g, .op = "Slice",
                                      .in = { md_grad_of(g, 0), at, end, axes },
                                      .n_in = 4));
    }
}

const md_op md_op_concat = {
    .domain = "",
    .name = "Concat",
    .since = 1,
    .in_min = 1,
    .in_max = -1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__moves_all,
    .fast = &md_fast_concat,
    .grad = grad,
};
