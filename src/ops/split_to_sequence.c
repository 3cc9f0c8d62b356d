/*
 * SplitToSequence: parts of a tensor along an axis: of 1, of one size but for
 * the last, or of given sizes (ONNX operators, versions 11 and 24).
 */
#include "ops/common/sequence.h"

static md_status check_split(const md_infer *c, md_error *err)
{
    MD_TRY(md_infer__may(c, 1, MD_TYPES_INDEX, err));
    return md_infer__rank(c, 1, 0, 1, err);
}

/* Without sizes, parts of 1 may lose the axis. */
static bool drops_axis(const md_node *n)
{
    bool given = n->n_in > 1 && n->in[1] != MD_VALUE_NONE;

    return !given && md_node_attr_i(n, "keepdims", 1) == 0;
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_type t;
    int axis;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(check_split(c, err));
    t = *c->in[0];
    if (t.has_rank) {
        MD_TRY(md_axis_normalize(&axis, md_node_attr_i(c->node, "axis", 0),
                                 t.rank, err));
        if (drops_axis(c->node)) {
            for (int d = axis; d + 1 < t.rank; d++)
                t.dim[d] = t.dim[d + 1];
            t.rank--;
        } else if (!md_infer_has(c, 1)) {
            t.dim[axis] = MD_DIM(1);
        } else {
            MD_TRY(md_infer__fresh(c, &t.dim[axis], err));
        }
    }
    t = md_sequence__of(MD_KIND_SEQUENCE, &t);
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* The number of parts; the sizes are sound. */
static md_status count_parts(int64_t *n, const md_tensor *sizes, int64_t whole,
                             md_error *err)
{
    int64_t sum = 0, n_sizes = sizes ? md_tensor_n(sizes) : 1;
    bool listed = sizes && sizes->shape.rank == 1;

    for (int64_t i = 0; i < n_sizes && sizes; i++) {
        int64_t v = md_tensor_get_i64(sizes, i);

        if (v < !listed || (listed && v > whole - sum))
            return md_fail(err, MD_INVALID,
                           "split has %lld, parts of %lld expected",
                           (long long)v, (long long)whole);
        sum += v;
    }
    if (listed && sum != whole)
        return md_fail(err, MD_INVALID, "split adds up to %lld, %lld expected",
                       (long long)sum, (long long)whole);
    *n = listed ? n_sizes : whole;
    if (!listed && sum > 0)
        *n = whole / sum + (whole % sum != 0);
    return MD_OK;
}

/* Elements [from, from + size) of t along the axis. */
static md_status take_part(md_tensor *out, const md_tensor *t, int axis,
                           int64_t from, int64_t size, bool drop,
                           const md_alloc *alloc, md_error *err)
{
    md_place to, of = { .t = (md_tensor *)(uintptr_t)t };
    md_shape shape = t->shape;
    md_tensor part;
    int64_t a = 1, b = 1;

    shape.dim[axis] = size;
    MD_TRY(md_tensor_alloc_unset(&part, t->dtype, &shape, alloc, err));
    to = (md_place){ .t = &part };
    for (int d = shape.rank; d-- > 0;) {
        to.stride[d] = a;
        of.stride[d] = b;
        a *= shape.dim[d];
        b *= t->shape.dim[d];
    }
    of.at = from * of.stride[axis];
    if (md_tensor_n(&part) > 0)
        md_move(&to, &of, &shape);
    for (int d = axis; drop && d + 1 < shape.rank; d++)
        part.shape.dim[d] = shape.dim[d + 1];
    part.shape.rank -= drop;
    *out = part;
    return md_tensor_own_text(out, err);
}

static md_status fill(md_tensor *list, const md_exec *x, int axis,
                      md_error *err)
{
    const md_tensor *t = x->in[0], *sizes = md_exec_has(x, 1) ? x->in[1] : NULL;
    int64_t whole = t->shape.dim[axis], from = 0;

    for (int64_t i = 0; i < md_tensor_n(list); i++) {
        int64_t size = 1;
        md_tensor part = MD_TENSOR_INIT;
        md_status s;

        if (sizes)
            size = md_tensor_get_i64(sizes, sizes->shape.rank ? i : 0);
        size = size < whole - from ? size : whole - from;
        s = take_part(&part, t, axis, from, size, drops_axis(x->node), x->alloc,
                      err);
        if (s == MD_OK)
            s = md_container_give(list, i, &part, err);
        md_tensor_release(&part);
        MD_TRY(s);
        from += size;
    }
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    md_tensor like = { .kind = MD_KIND_SEQUENCE };
    const md_tensor *sizes = md_exec_has(x, 1) ? x->in[1] : NULL;
    md_tensor list;
    md_status s;
    int64_t n = 0;
    int axis;

    if (!md_exec_has(x, 0) || x->in[0]->kind != MD_KIND_TENSOR ||
        (sizes && sizes->shape.rank > 1))
        return md_fail(err, MD_INVALID,
                       "a tensor and sizes of rank 0 or 1 expected");
    MD_TRY(md_axis_normalize(&axis, md_node_attr_i(x->node, "axis", 0),
                             x->in[0]->shape.rank, err));
    MD_TRY(count_parts(&n, sizes, x->in[0]->shape.dim[axis], err));
    like.dtype = x->in[0]->dtype;
    MD_TRY(md_container_alloc(&list, &like, n, x->alloc, err));
    s = fill(&list, x, axis, err);
    if (s == MD_OK)
        return md_exec_give(x, 0, &list, err);
    md_tensor_release(&list);
    return s;
}

const md_op md_op_split_to_sequence = {
    .domain = "",
    .name = "SplitToSequence",
    .since = 11,
    .in_min = 1,
    .in_max = 2,
    .out_min = 1,
    .out_max = 1,
    .infer = infer,
    .run = run,
};
