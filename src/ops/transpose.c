#include "ops/common/data.h"
#include "ops/common/util.h"
#include "ops/grad.h"
#include "ops/lower.h"

/* perm, by default the reverse; MD_INVALID when it is not a permutation.  Here
 * no axis counts from the end. */
static md_status permutation(md_ints *perm, const md_node *n, int rank,
                             md_error *err)
{
    MD_TRY(md_infer__attr_ints(n, "perm", perm, err));
    if (!perm->given) {
        perm->n = rank;
        for (int i = 0; i < rank; i++)
            perm->v[i] = rank - 1 - i;
    }
    if (perm->n != rank)
        return md_fail(err, MD_INVALID, "perm has %d axes, %d expected",
                       perm->n, rank);
    for (int i = 0; i < rank; i++) {
        if (perm->v[i] < 0 || perm->v[i] >= rank)
            return md_fail(err, MD_INVALID, "perm names axis %lld of rank %d",
                           (long long)perm->v[i], rank);
    }
    return md_infer__axes(perm, rank, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *in = c->in[0];
    md_type t;
    md_ints perm;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    t = *in;
    if (in->has_rank) {
        MD_TRY(permutation(&perm, c->node, in->rank, err));
        for (int i = 0; i < in->rank; i++)
            t.dim[i] = in->dim[perm.v[i]];
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    md_place to = { .t = out }, from = { .t = (md_tensor *)x->in[0] };
    int64_t stride[MD_RANK_MAX];
    md_ints perm;

    (void)ar;
    MD_TRY(permutation(&perm, x->node, out->shape.rank, err));
    md_shape_strides(stride, &x->in[0]->shape);
    for (int i = 0; i < out->shape.rank; i++)
        from.stride[i] = stride[perm.v[i]];
    md_shape_strides(to.stride, &out->shape);
    md_exec__move(x, &to, &from, &out->shape);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

static void grad(md_grad *g)
{
    uint32_t n;
    const int64_t *perm = md_node_attr_is(g->m.node, "perm", &n);
    md_part dy = md_grad_of(g, 0);
    int64_t back[MD_RANK_MAX] = { 0 };

    if (!perm || n > MD_RANK_MAX) { /* reversed, so is the way back */
        md_grad_give(g, 0, md_grad_1(g, "Transpose", dy));
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (perm[i] < 0 || perm[i] >= n) { /* of a rank that is not known */
            md_grad_refuse(g, "perm has the value %lld", (long long)perm[i]);
            return;
        }
        back[perm[i]] = i;
    }
    md_grad_give(g, 0, md_grad_transpose(g, dy, back, (int)n));
}

const md_op md_op_transpose = {
    .domain = "",
    .name = "Transpose",
    .since = 1,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__moves_0,
    .fast = &md_fast_transpose,
    .grad = grad,
};
