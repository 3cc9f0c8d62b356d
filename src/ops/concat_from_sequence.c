/* ConcatFromSequence: the tensors of a sequence one behind the other along an
 * axis, or along a new one (ONNX operators, version 11). */
#include "ops/common/sequence.h"

static bool is_new(const md_node *n)
{
    return md_node_attr_i(n, "new_axis", 0) != 0;
}

static md_status check_attrs(const md_node *n, md_error *err)
{
    if (!md_node_attr(n, "axis"))
        return md_fail(err, MD_INVALID, "ConcatFromSequence lacks axis");
    return MD_OK;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t;
    int axis;

    MD_TRY(check_attrs(c->node, err));
    MD_TRY(md_sequence__need(c, 0, err));
    t = md_sequence__item(c->in[0]);
    if (t.has_rank && t.rank + is_new(c->node) > MD_RANK_MAX)
        return md_fail(err, MD_UNSUPPORTED, "rank %d, at most %d supported",
                       t.rank + 1, MD_RANK_MAX);
    if (t.has_rank) {
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", 0),
                                 t.rank + is_new(c->node), err));
        if (is_new(c->node)) {
            for (int d = t.rank++; d > axis; d--)
                t.dim[d] = t.dim[d - 1];
        }
        MD_TRY(md_infer__fresh(c, &t.dim[axis], err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* Tensor i, with the new axis if there is one. */
static md_tensor part_of(const md_exec *x, int64_t i, int axis)
{
    md_tensor t = *md_container_item(x->in[0], i);

    if (!is_new(x->node))
        return t;
    for (int d = t.shape.rank++; d > axis; d--)
        t.shape.dim[d] = t.shape.dim[d - 1];
    t.shape.dim[axis] = 1;
    return t;
}

static md_status measure(md_shape *out, const md_exec *x, int axis,
                         md_error *err)
{
    md_shape whole = part_of(x, 0, axis).shape;
    char a[MD_SHAPE_TEXT], b[MD_SHAPE_TEXT];

    for (int64_t i = 1; i < md_tensor_n(x->in[0]); i++) {
        md_shape shape = part_of(x, i, axis).shape;
        bool fits = shape.rank == whole.rank;

        for (int d = 0; fits && d < shape.rank; d++)
            fits = d == axis || shape.dim[d] == whole.dim[d];
        if (!fits)
            return md_fail(err, MD_INVALID,
                           "tensor %lld has shape %s behind %s", (long long)i,
                           md_shape_format(a, sizeof(a), &shape),
                           md_shape_format(b, sizeof(b), &whole));
        if (!md_add_i64(&whole.dim[axis], whole.dim[axis], shape.dim[axis]))
            return md_fail(err, MD_TOO_LARGE, "the sum of dims overflows");
    }
    *out = whole;
    return MD_OK;
}

static void join(md_tensor *out, const md_exec *x, int axis)
{
    md_place to = { .t = out };
    int64_t n = 1;

    for (int d = out->shape.rank; d-- > 0;) {
        to.stride[d] = n;
        n *= out->shape.dim[d];
    }
    for (int64_t i = 0; i < md_tensor_n(x->in[0]); i++) {
        md_tensor part = part_of(x, i, axis);
        md_place from = { .t = &part };

        n = 1;
        for (int d = part.shape.rank; d-- > 0;) {
            from.stride[d] = n;
            n *= part.shape.dim[d];
        }
        if (md_tensor_n(&part) > 0)
            md_move(&to, &from, &part.shape);
        to.at += part.shape.dim[axis] * to.stride[axis];
    }
}

static md_status run(md_exec *x, md_error *err)
{
    const md_tensor *seq = x->in[0];
    md_shape shape;
    md_tensor out;
    md_status s;
    int axis, rank;

    MD_TRY(check_attrs(x->node, err));
    if (!seq || seq->kind != MD_KIND_SEQUENCE || md_tensor_n(seq) == 0)
        return md_fail(err, MD_INVALID,
                       "a sequence of one or more tensors "
                       "expected");
    rank = md_container_item(seq, 0)->shape.rank + is_new(x->node);
    if (rank > MD_RANK_MAX)
        return md_fail(err, MD_UNSUPPORTED, "rank %d, at most %d supported",
                       rank, MD_RANK_MAX);
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", 0), rank,
                             err));
    MD_TRY(measure(&shape, x, axis, err));
    MD_TRY(md_tensor_alloc(&out, seq->dtype, &shape, x->alloc, err));
    join(&out, x, axis);
    s = md_tensor_own_text(&out, err);
    if (s == MD_OK)
        return md_exec_give(x, 0, &out, err);
    md_tensor_release(&out);
    return s;
}

const md_op md_op_concat_from_sequence = {
    .domain = "",
    .name = "ConcatFromSequence",
    .since = 11,
    .in_min = 1,
    .in_max = 1,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
