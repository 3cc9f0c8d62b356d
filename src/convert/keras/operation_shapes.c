/* Operations of keras.ops along axes, and those that change shapes. */
#include <string.h>

#include "base/size.h"
#include "convert/keras/operation.h"

/* A setting that is an axis of a tensor of `rank`. */
md_status md_keras_op__axis_setting(int *out, const md_keras_build *b,
                                    const json_t *v, int rank, md_error *err)
{
    char text[MD_KERAS_SHOWN];
    json_int_t a = json_integer_value(v);

    if (!json_is_integer(v) || a < -rank || a >= rank)
        return md_keras_fail(b, err, MD_CORRUPT,
                             "axis %s of a tensor of rank %d",
                             md_keras_show(text, v), rank);
    *out = (int)(a < 0 ? a + rank : a);
    return MD_OK;
}

/* `axis`: a number, a list, or all where it is null. */
md_status md_keras_op__axes_setting(bool axes[MD_RANK_MAX],
                                    const md_keras_build *b, int rank,
                                    md_error *err)
{
    const json_t *v = json_object_get(b->layer->config, "axis");
    const json_t *one = v;
    size_t n = json_is_array(v) ? json_array_size(v) : 1;

    memset(axes, 0, MD_RANK_MAX * sizeof(*axes));
    for (size_t i = 0; v && !json_is_null(v) && i < n; i++) {
        int axis = 0;

        if (json_is_array(v))
            one = json_array_get(v, i);
        MD_TRY(md_keras_op__axis_setting(&axis, b, one, rank, err));
        axes[axis] = true;
    }
    for (int i = 0; (!v || json_is_null(v)) && i < rank; i++)
        axes[i] = true;
    return MD_OK;
}

static md_status reduce_by(md_keras_value *out, md_keras_build *b,
                           const char *op, bool keep, md_error *err)
{
    int64_t list[MD_RANK_MAX];
    bool axes[MD_RANK_MAX] = { false };
    md_value_id in[2] = { out->id };
    uint32_t n = 0;
    md_node *node;
    int rank = 0;

    MD_TRY(md_keras_op__axes_setting(axes, b, out->rank, err));
    for (int i = 0; i < out->rank; i++) {
        if (axes[i])
            list[n++] = i;
        if (!axes[i] || keep)
            out->dim[rank++] = axes[i] ? 1 : out->dim[i];
    }
    out->rank = rank;
    MD_TRY(md_keras_const_ints(&in[1], b, "axes", list, n, err));
    MD_TRY(md_keras_op(&out->id, b, op, in, 2, &node, err));
    return md_node_set_attr_i(b->g, node, "keepdims", keep, err);
}

/* any() and all() are the largest and the smallest of numbers. */
md_status md_keras_emit_op_reduce(md_keras_build *b, const md_keras_value *in,
                                  uint32_t n_in, md_keras_value *out,
                                  md_error *err)
{
    const char *op = b->layer->operation->op;
    const bool any = strcmp(op, "Any") == 0, all = strcmp(op, "All") == 0;
    const json_t *initial = json_object_get(b->layer->config, "initial");

    MD_TRY(md_keras_op__operand(out, b, in, n_in, 0, err));
    if (initial && !json_is_null(initial))
        return md_keras_refuse(b, err, "initial");
    if (any || all) {
        MD_TRY(md_keras_op__cast(out, b, MD_DTYPE_BOOL, err));
        MD_TRY(md_keras_op__cast(out, b, MD_DTYPE_I32, err));
        op = any ? "ReduceMax" : "ReduceMin";
    } else if (out->dtype == MD_DTYPE_BOOL) {
        MD_TRY(md_keras_op__cast(out, b, MD_DTYPE_I32, err));
    }
    if (strcmp(op, "ReduceMean") == 0)
        MD_TRY(md_keras_op__cast(out, b, MD_DTYPE_F32, err));
    MD_TRY(reduce_by(out, b, op,
                     md_keras_bool(b->layer->config, "keepdims", false), err));
    return any || all ? md_keras_op__cast(out, b, MD_DTYPE_BOOL, err) : MD_OK;
}

md_status md_keras_emit_op_arg(md_keras_build *b, const md_keras_value *in,
                               uint32_t n_in, md_keras_value *out,
                               md_error *err)
{
    const bool keep = md_keras_bool(b->layer->config, "keepdims", false);
    md_node *node;
    int axis = 0;

    MD_TRY(md_keras_op__operand(out, b, in, n_in, 0, err));
    MD_TRY(md_keras_op__axis_setting(
        &axis, b, json_object_get(b->layer->config, "axis"), out->rank, err));
    MD_TRY(md_keras_op(&out->id, b, b->layer->operation->op, &out->id, 1, &node,
                       err));
    MD_TRY(md_node_set_attr_i(b->g, node, "axis", axis, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "keepdims", keep, err));
    out->dtype = MD_DTYPE_I64;
    out->dim[axis] = 1;
    if (!keep) {
        out->rank--;
        memmove(&out->dim[axis], &out->dim[axis + 1],
                (size_t)(out->rank - axis) * sizeof(*out->dim));
    }
    return md_keras_op__cast(out, b, MD_DTYPE_I32, err);
}

md_status md_keras_emit_op_softmax(md_keras_build *b, const md_keras_value *in,
                                   uint32_t n_in, md_keras_value *out,
                                   md_error *err)
{
    const json_t *v = json_object_get(b->layer->config, "axis");
    md_node *node;
    int axis = 0;

    MD_TRY(md_keras_op__operand(out, b, in, n_in, 0, err));
    MD_TRY(md_keras_op__cast(out, b, MD_DTYPE_F32, err));
    axis = out->rank - 1;
    if (v)
        MD_TRY(md_keras_op__axis_setting(&axis, b, v, out->rank, err));
    MD_TRY(md_keras_op(&out->id, b, b->layer->operation->op, &out->id, 1, &node,
                       err));
    return md_node_set_attr_i(b->g, node, "axis", axis, err);
}

md_status md_keras_emit_op_cumsum(md_keras_build *b, const md_keras_value *in,
                                  uint32_t n_in, md_keras_value *out,
                                  md_error *err)
{
    md_value_id pair[2];
    int64_t at;
    int axis = 0;

    MD_TRY(md_keras_op__operand(out, b, in, n_in, 0, err));
    MD_TRY(md_keras_op__refuse_bool(b, out, err));
    MD_TRY(md_keras_op__axis_setting(
        &axis, b, json_object_get(b->layer->config, "axis"), out->rank, err));
    at = axis;
    pair[0] = out->id;
    MD_TRY(md_keras_const_ints(&pair[1], b, "axis", &at, 1, err));
    MD_TRY(md_keras_squeeze(&pair[1], b, "Squeeze", pair[1], 0, err));
    return md_keras_op(&out->id, b, "CumSum", pair, 2, NULL, err);
}

/* --- shapes --- */

md_status md_keras_emit_op_transpose(md_keras_build *b,
                                     const md_keras_value *in, uint32_t n_in,
                                     md_keras_value *out, md_error *err)
{
    const json_t *v = json_object_get(b->layer->config, "axes");
    int64_t perm[MD_RANK_MAX];
    unsigned seen = 0;
    md_keras_value x = { 0 };

    MD_TRY(md_keras_op__operand(&x, b, in, n_in, 0, err));
    *out = x;
    if (json_is_array(v) && json_array_size(v) != (size_t)x.rank)
        return md_keras_refuse(b, err, "axes");
    for (int i = 0; i < x.rank; i++) {
        int axis = x.rank - 1 - i;

        if (json_is_array(v))
            MD_TRY(md_keras_op__axis_setting(
                &axis, b, json_array_get(v, (size_t)i), x.rank, err));
        seen |= 1u << axis;
        perm[i] = axis;
        out->dim[i] = x.dim[axis];
    }
    if (seen + 1 != 1u << x.rank)
        return md_keras_refuse(b, err, "axes");
    return md_keras_transpose(&out->id, b, x.id, perm, (uint32_t)x.rank, err);
}

md_status md_keras_emit_op_swap_axes(md_keras_build *b,
                                     const md_keras_value *in, uint32_t n_in,
                                     md_keras_value *out, md_error *err)
{
    static const char *const key[] = { "axis1", "axis2" };
    int64_t perm[MD_RANK_MAX], dim;
    int axis[2] = { 0 };

    MD_TRY(md_keras_op__operand(out, b, in, n_in, 0, err));
    for (int i = 0; i < 2; i++)
        MD_TRY(md_keras_op__axis_setting(
            &axis[i], b, json_object_get(b->layer->config, key[i]), out->rank,
            err));
    for (int i = 0; i < out->rank; i++)
        perm[i] = i == axis[0] ? axis[1] : i == axis[1] ? axis[0] : i;
    dim = out->dim[axis[0]];
    out->dim[axis[0]] = out->dim[axis[1]];
    out->dim[axis[1]] = dim;
    return md_keras_transpose(&out->id, b, out->id, perm, (uint32_t)out->rank,
                              err);
}

md_status md_keras_emit_op_expand_dims(md_keras_build *b,
                                       const md_keras_value *in, uint32_t n_in,
                                       md_keras_value *out, md_error *err)
{
    const json_t *v = json_object_get(b->layer->config, "axis");
    int axis = 0;

    MD_TRY(md_keras_op__operand(out, b, in, n_in, 0, err));
    if (json_is_array(v) && json_array_size(v) == 1)
        v = json_array_get(v, 0);
    if (out->rank == MD_RANK_MAX)
        return md_keras_refuse(b, err, "axis");
    MD_TRY(md_keras_op__axis_setting(&axis, b, v, out->rank + 1, err));
    memmove(&out->dim[axis + 1], &out->dim[axis],
            (size_t)(out->rank - axis) * sizeof(*out->dim));
    out->dim[axis] = 1;
    out->rank++;
    return md_keras_squeeze(&out->id, b, "Unsqueeze", out->id, axis, err);
}

md_status md_keras_emit_op_squeeze(md_keras_build *b, const md_keras_value *in,
                                   uint32_t n_in, md_keras_value *out,
                                   md_error *err)
{
    const json_t *v = json_object_get(b->layer->config, "axis");
    int axis = 0;

    MD_TRY(md_keras_op__operand(out, b, in, n_in, 0, err));
    if (json_is_array(v) && json_array_size(v) == 1)
        v = json_array_get(v, 0);
    MD_TRY(md_keras_op__axis_setting(&axis, b, v, out->rank, err));
    out->rank--;
    memmove(&out->dim[axis], &out->dim[axis + 1],
            (size_t)(out->rank - axis) * sizeof(*out->dim));
    return md_keras_squeeze(&out->id, b, "Squeeze", out->id, axis, err);
}

/* A list of sizes, one of which may be -1. */
static md_status sizes(int64_t *dim, int *rank, const md_keras_build *b,
                       const char *key, md_error *err)
{
    const json_t *v = json_object_get(b->layer->config, key);

    if (!json_is_array(v) || json_array_size(v) > MD_RANK_MAX)
        return md_keras_refuse(b, err, key);
    *rank = (int)json_array_size(v);
    for (int i = 0; i < *rank; i++) {
        const json_t *e = json_array_get(v, (size_t)i);

        dim[i] = json_is_null(e) ? -1 : json_integer_value(e);
        if ((!json_is_integer(e) && !json_is_null(e)) || dim[i] < -1)
            return md_keras_refuse(b, err, key);
    }
    return MD_OK;
}

md_status md_keras_emit_op_reshape(md_keras_build *b, const md_keras_value *in,
                                   uint32_t n_in, md_keras_value *out,
                                   md_error *err)
{
    int64_t dim[MD_RANK_MAX] = { 0 }, known = 1, total;
    int rank = 0, open = -1;

    MD_TRY(md_keras_op__operand(out, b, in, n_in, 0, err));
    MD_TRY(sizes(dim, &rank, b, "newshape", err));
    total = md_keras_span(out, 0, out->rank);
    for (int i = 0; i < rank; i++) {
        if (dim[i] == -1 && open >= 0)
            return md_keras_refuse(b, err, "newshape");
        if (dim[i] == -1)
            open = i;
        else if (!md_mul_i64(&known, known, dim[i]))
            return md_keras_refuse(b, err, "newshape");
    }
    MD_TRY(md_keras_reshape(&out->id, b, out->id, dim, (uint32_t)rank, err));
    if (open >= 0 && total >= 0 && known > 0)
        dim[open] = total / known;
    out->rank = rank;
    memcpy(out->dim, dim, (size_t)rank * sizeof(*dim));
    return MD_OK;
}

md_status md_keras_emit_op_broadcast_to(md_keras_build *b,
                                        const md_keras_value *in, uint32_t n_in,
                                        md_keras_value *out, md_error *err)
{
    int64_t dim[MD_RANK_MAX] = { 0 };
    md_value_id pair[2];
    int rank = 0;

    MD_TRY(md_keras_op__operand(out, b, in, n_in, 0, err));
    MD_TRY(sizes(dim, &rank, b, "shape", err));
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 0)
            return md_keras_refuse(b, err, "shape");
    }
    pair[0] = out->id;
    MD_TRY(md_keras_const_ints(&pair[1], b, "shape", dim, (uint32_t)rank, err));
    out->rank = rank;
    memcpy(out->dim, dim, (size_t)rank * sizeof(*dim));
    return md_keras_op(&out->id, b, "Expand", pair, 2, NULL, err);
}

/* Tensors of a list, all of them as Keras has them and of one type. */
static md_status list(md_keras_value **out, md_keras_build *b,
                      const md_keras_value *in, uint32_t n_in, md_error *err)
{
    md_keras_value *v = md_arena_calloc(b->arena, n_in, sizeof(*v));
    md_dtype t;

    if (!v)
        return md_fail_nomem(err, n_in * sizeof(*v));
    if (json_array_size(json_array_get(b->call->given, 0)) != n_in)
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "a list that is not of tensors alone");
    for (uint32_t i = 0; i < n_in; i++)
        MD_TRY(md_keras_last(&v[i], b, &in[i], err));
    t = md_keras_op__common_type(b, v, n_in, 0);
    for (uint32_t i = 0; i < n_in; i++) {
        MD_TRY(md_keras_op__cast(&v[i], b, t, err));
        if (v[i].rank != v[0].rank)
            return md_keras_fail(b, err, MD_CORRUPT, "inputs of rank %d and %d",
                                 v[0].rank, v[i].rank);
    }
    *out = v;
    return MD_OK;
}

static md_status concat(md_keras_value *out, md_keras_build *b,
                        const md_keras_value *v, uint32_t n, int axis,
                        md_error *err)
{
    md_value_id *id = md_arena_calloc(b->arena, n, sizeof(*id));
    md_node *node;

    if (!id)
        return md_fail_nomem(err, n * sizeof(*id));
    *out = v[0];
    for (uint32_t i = 0; i < n; i++) {
        id[i] = v[i].id;
        if (i == 0)
            continue;
        if (out->dim[axis] < 0 || v[i].dim[axis] < 0)
            out->dim[axis] = -1;
        else if (!md_add_i64(&out->dim[axis], out->dim[axis], v[i].dim[axis]))
            return md_keras_fail(b, err, MD_TOO_LARGE, "size of axis %d", axis);
    }
    MD_TRY(md_keras_op(&out->id, b, "Concat", id, n, &node, err));
    return md_node_set_attr_i(b->g, node, "axis", axis, err);
}

md_status md_keras_emit_op_join(md_keras_build *b, const md_keras_value *in,
                                uint32_t n_in, md_keras_value *out,
                                md_error *err)
{
    md_keras_value *v = NULL;
    int axis = 0;

    MD_TRY(list(&v, b, in, n_in, err));
    MD_TRY(md_keras_op__axis_setting(
        &axis, b, json_object_get(b->layer->config, "axis"), v[0].rank, err));
    return concat(out, b, v, n_in, axis, err);
}

md_status md_keras_emit_op_stack(md_keras_build *b, const md_keras_value *in,
                                 uint32_t n_in, md_keras_value *out,
                                 md_error *err)
{
    md_keras_value *v = NULL;
    int axis = 0;

    MD_TRY(list(&v, b, in, n_in, err));
    if (v[0].rank == MD_RANK_MAX)
        return md_keras_refuse(b, err, "axis");
    MD_TRY(md_keras_op__axis_setting(&axis, b,
                                     json_object_get(b->layer->config, "axis"),
                                     v[0].rank + 1, err));
    for (uint32_t i = 0; i < n_in; i++) {
        MD_TRY(md_keras_squeeze(&v[i].id, b, "Unsqueeze", v[i].id, axis, err));
        memmove(&v[i].dim[axis + 1], &v[i].dim[axis],
                (size_t)(v[i].rank - axis) * sizeof(*v[i].dim));
        v[i].dim[axis] = 1;
        v[i].rank++;
    }
    return concat(out, b, v, n_in, axis, err);
}

/* --- slices --- */

/* What x[...] takes of each axis: starts, ends, steps; and the axes that a
 * plain index takes away or None makes new, in the result's order. */
typedef struct slices {
    int64_t start[MD_RANK_MAX], end[MD_RANK_MAX], step[MD_RANK_MAX];
    bool whole[MD_RANK_MAX], index[MD_RANK_MAX];
} slices;

static md_status emit_slices(md_keras_value *out, md_keras_build *b,
                             const slices *s, md_error *err)
{
    int64_t list[4][MD_RANK_MAX];
    md_value_id in[5] = { out->id };
    uint32_t n = 0;

    for (int i = 0; i < out->rank; i++) {
        if (s->whole[i])
            continue;
        list[0][n] = s->start[i];
        list[1][n] = s->end[i];
        list[2][n] = i;
        list[3][n++] = s->step[i];
    }
    if (n == 0)
        return MD_OK;
    for (int i = 0; i < 4; i++)
        MD_TRY(md_keras_const_ints(&in[i + 1], b, "slice", list[i], n, err));
    return md_keras_op(&out->id, b, "Slice", in, 5, NULL, err);
}

/* How many of `n` elements a slice takes; -1 where n is free. */
static int64_t taken(int64_t n, int64_t start, int64_t end, int64_t step)
{
    if (n < 0)
        return -1;
    start = start < 0 ? start + n : start;
    end = end < -n - 1 ? -1 : end < 0 ? end + n : end;
    if (step > 0) {
        start = md_max_i64(0, md_min_i64(start, n));
        end = md_max_i64(0, md_min_i64(end, n));
        return end > start ? md_div_up(end - start, step) : 0;
    }
    start = md_max_i64(-1, md_min_i64(start, n - 1));
    end = md_max_i64(-1, md_min_i64(end, n - 1));
    return start > end ? md_div_up(start - end, -step) : 0;
}

md_status md_keras_emit_op_flip(md_keras_build *b, const md_keras_value *in,
                                uint32_t n_in, md_keras_value *out,
                                md_error *err)
{
    bool axes[MD_RANK_MAX] = { false };
    slices s = { .start = { 0 } };

    MD_TRY(md_keras_op__operand(out, b, in, n_in, 0, err));
    MD_TRY(md_keras_op__axes_setting(axes, b, out->rank, err));
    for (int i = 0; i < out->rank; i++) {
        s.whole[i] = !axes[i];
        s.start[i] = -1;
        s.end[i] = INT64_MIN;
        s.step[i] = -1;
    }
    return emit_slices(out, b, &s, err);
}

/* One element of the index: an integer or a slice with constant ends. */
static md_status read_slice(slices *s, int axis, const md_keras_build *b,
                            const json_t *v, md_error *err)
{
    const json_t *c = json_object_get(v, "config");
    char text[MD_KERAS_SHOWN];
    int64_t step = md_keras_int(c, "step", 1);

    if (json_is_integer(v)) {
        const json_int_t at = json_integer_value(v);

        s->start[axis] = at;
        s->end[axis] = at == -1 ? INT64_MAX : at + 1;
        s->step[axis] = 1;
        s->index[axis] = true;
        return MD_OK;
    }
    if (strcmp(md_keras_text(v, "class_name", ""), "__slice__") != 0 ||
        step == 0 || step == INT64_MIN)
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "index %s, integers and slices expected",
                             md_keras_show(text, v));
    s->start[axis] = md_keras_int(c, "start", step > 0 ? 0 : -1);
    s->end[axis] = md_keras_int(c, "stop", step > 0 ? INT64_MAX : INT64_MIN);
    s->step[axis] = step;
    s->whole[axis] =
        step == 1 && s->start[axis] == 0 && s->end[axis] == INT64_MAX;
    return MD_OK;
}

static md_status drop_indexed(md_keras_value *out, md_keras_build *b,
                              const slices *s, md_error *err)
{
    int64_t axes[MD_RANK_MAX];
    md_value_id in[2] = { out->id };
    uint32_t n = 0;
    int rank = 0;

    for (int i = 0; i < out->rank; i++) {
        if (s->index[i])
            axes[n++] = i;
        else
            out->dim[rank++] = out->dim[i];
    }
    out->rank = rank;
    if (n == 0)
        return MD_OK;
    MD_TRY(md_keras_const_ints(&in[1], b, "axes", axes, n, err));
    return md_keras_op(&out->id, b, "Squeeze", in, 2, NULL, err);
}

md_status md_keras_emit_op_get_item(md_keras_build *b, const md_keras_value *in,
                                    uint32_t n_in, md_keras_value *out,
                                    md_error *err)
{
    const json_t *index = json_array_get(b->call->given, 1);
    const size_t n = json_is_array(index) ? json_array_size(index) : 1;
    slices s = { .start = { 0 } };

    if (n_in != 1)
        return md_keras_fail(b, err, MD_UNSUPPORTED, "an index of tensors");
    MD_TRY(md_keras_op__operand(out, b, in, n_in, 0, err));
    if (n > (size_t)out->rank)
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "%zu indices of a tensor of rank %d", n,
                             out->rank);
    for (int i = 0; i < out->rank; i++) {
        const json_t *v =
            json_is_array(index) ? json_array_get(index, (size_t)i) : index;

        s.whole[i] = (size_t)i >= n;
        if (s.whole[i])
            continue;
        MD_TRY(read_slice(&s, i, b, v, err));
        if (!s.whole[i])
            out->dim[i] = taken(out->dim[i], s.start[i], s.end[i], s.step[i]);
    }
    MD_TRY(emit_slices(out, b, &s, err));
    return drop_indexed(out, b, &s, err);
}
