/* Sizes are an attribute before opset 13, then an input; without them equal
 * parts, the last one smaller if need be (opset 18). */
#include "ops/common/data.h"
#include "ops/common/util.h"
#include "ops/grad.h"
#include "ops/lower.h"

/* Part i of n equal ones of a size that is not known yet. */
static md_status symbolic_part(const md_infer *c, md_dim whole, int64_t n,
                               int64_t i, md_dim *out, md_error *err)
{
    md_dim each, before, left;

    if (!c->model)
        return md_infer__fresh(c, out, err);
    if (c->opset < 18)
        return md_dim__derive(c, out, MD_EXPR_EXACT, whole, MD_DIM(n), err);
    MD_TRY(md_dim__derive(c, &each, MD_EXPR_ADD, whole, MD_DIM(n - 1), err));
    MD_TRY(md_dim__derive(c, &each, MD_EXPR_DIV, each, MD_DIM(n), err));
    MD_TRY(md_dim__derive(c, &before, MD_EXPR_MUL, each, MD_DIM(-i), err));
    MD_TRY(md_dim__derive(c, &left, MD_EXPR_ADD, whole, before, err));
    MD_TRY(md_dim__derive(c, &left, MD_EXPR_MIN, left, each, err));
    return md_dim__derive(c, out, MD_EXPR_MAX, left, MD_DIM(0), err);
}

static md_status part(const md_infer *c, const md_dims *sizes, md_dim whole,
                      uint32_t i, md_dim *out, md_error *err)
{
    int64_t n = c->node->n_out;
    int64_t num = md_node_attr_i(c->node, "num_outputs", n);
    int64_t each;

    if (sizes->given && sizes->known) {
        *out = sizes->v[i];
        return MD_OK;
    }
    if (num != n)
        return md_fail(err, MD_INVALID,
                       "num_outputs is %lld, the node has %lld", (long long)num,
                       (long long)n);
    if (sizes->given)
        return md_infer__fresh(c, out, err);
    if (!md_dim_is_const(whole) && whole.k % n == 0 && whole.scale % n == 0) {
        *out = (md_dim){ whole.k / n, whole.scale / n, whole.sym };
        return MD_OK;
    }
    if (!md_dim_is_const(whole))
        return symbolic_part(c, whole, n, i, out, err);
    if (whole.k % n != 0 && c->opset < 18)
        return md_fail(err, MD_INVALID, "%lld does not divide into %lld parts",
                       (long long)whole.k, (long long)n);
    each = whole.k / n + (whole.k % n != 0);
    *out = MD_DIM(whole.k - i * each < each ? whole.k - i * each : each);
    if (out->k < 0)
        *out = MD_DIM(0);
    return MD_OK;
}

static md_status check_sizes(const md_infer *c, const md_dims *sizes,
                             md_dim whole, md_error *err)
{
    md_dim sum = MD_DIM(0), unused;

    if (sizes->n >= 0 && (uint32_t)sizes->n != c->node->n_out)
        return md_fail(err, MD_INVALID, "%d sizes for %u outputs", sizes->n,
                       (unsigned)c->node->n_out);
    for (int i = 0; sizes->known && i < sizes->n; i++) {
        md_dim d = sizes->v[i];

        if (md_dim_is_const(d) && (d.k < 0 || d.k > INT64_MAX / MD_INTS_MAX))
            return md_fail(err, MD_INVALID, "a part's size is %lld",
                           (long long)d.k);
        MD_TRY(md_dim__derive(c, &unused, MD_EXPR_AT_LEAST, d, MD_DIM(0), err));
        MD_TRY(md_dim__derive(c, &sum, MD_EXPR_ADD, sum, d, err));
    }
    if (!sizes->known)
        return MD_OK;
    return md_infer__must_equal(c, sum, whole, "the sum of the parts", err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    const md_type *in = c->in[0];
    md_dims sizes;
    int axis = 0;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(md_infer__moved_dims(c, "split", 13, 1, &sizes, err));
    if (sizes.given && md_node_attr(c->node, "num_outputs"))
        return md_fail(err, MD_INVALID, "both split and num_outputs given");
    if (in->has_rank) {
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", 0),
                                 in->rank, err));
        if (sizes.given)
            MD_TRY(check_sizes(c, &sizes, in->dim[axis], err));
    }
    for (uint32_t i = 0; i < c->node->n_out; i++) {
        md_type t = *in;

        if (in->has_rank)
            MD_TRY(part(c, &sizes, in->dim[axis], i, &t.dim[axis], err));
        md_infer__give(c, i, &t);
    }
    return MD_OK;
}

static md_status split(md_exec *x, const md_infer *c, md_arena *ar,
                       md_error *err)
{
    md_place from = { .t = (md_tensor *)x->in[0] };
    md_tensor **out;
    int axis;

    MD_TRY(md_exec__all_outputs(x, infer, &out, ar, err));
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", 0),
                             x->in[0]->shape.rank, err));
    md_shape_strides(from.stride, &x->in[0]->shape);
    for (uint32_t i = 0; i < x->node->n_out; i++) {
        md_place to = { .t = out[i] };

        if (out[i]) {
            md_shape_strides(to.stride, &out[i]->shape);
            md_exec__move(x, &to, &from, &out[i]->shape);
        }
        from.at += c->out[i].dim[axis].k * from.stride[axis];
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__open(x, infer, split, err);
}

/* The parts one behind the other, nine at a time. */
static void grad(md_grad *g)
{
    const md_node *n = g->m.node;
    md_compose_step s = { .op = "Concat",
                          .attr = { MD_GIVE_I("axis",
                                              md_node_attr_i(n, "axis", 0)) },
                          .n_attr = 1 };

    for (uint32_t i = 0; i < n->n_out; i++) {
        md_part d = md_grad_of(g, i);

        if (d == MD_PART_NONE && md_grad_out(g, i) == MD_PART_NONE) {
            md_grad_refuse(g, "output %u is absent", i);
            return;
        }
        if (s.n_in == MD_COMPOSE_INPUTS) {
            s.in[0] = md_grad_step(g, &s);
            s.n_in = 1;
        }
        s.in[s.n_in++] =
            d == MD_PART_NONE ? md_grad_fill(g, md_grad_out(g, i), 0) : d;
    }
    md_grad_give(g, 0, md_grad_step(g, &s));
}

const md_op md_op_split = {
    .domain = "",
    .name = "Split",
    .since = 1,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = -1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__moves_0,
    .fast = &md_fast_split,
    .grad = grad,
};
