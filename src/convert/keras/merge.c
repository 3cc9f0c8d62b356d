/* Layers of several inputs. */
#include <string.h>

#include "base/size.h"
#include "convert/keras/layer.h"

/* The broadcast of two shapes; free sizes stay free. */
static md_status merge_dims(md_keras_value *out, const md_keras_build *b,
                            const md_keras_value *v, md_error *err)
{
    for (int i = 1; i < out->rank; i++) {
        int64_t x = out->dim[i];
        int64_t y = v->dim[i];

        if (x >= 0 && y >= 0 && x != y && x != 1 && y != 1)
            return md_keras_fail(b, err, MD_CORRUPT,
                                 "sizes %lld and %lld on axis %d", (long long)x,
                                 (long long)y, i);
        out->dim[i] = x == 1 ? y : y == 1 ? x : x < 0 ? y : x;
    }
    return MD_OK;
}

/* Keras puts axes of size 1 behind the batch of tensors of lower rank. */
static md_status lift(md_keras_value *v, md_keras_build *b, int rank,
                      md_error *err)
{
    int64_t axes[MD_RANK_MAX];
    int n = rank - v->rank;
    md_value_id in[2] = { v->id };

    if (n == 0)
        return MD_OK;
    for (int i = 0; i < n; i++)
        axes[i] = i + 1;
    MD_TRY(md_keras_const_ints(&in[1], b, "axes", axes, (uint32_t)n, err));
    MD_TRY(md_keras_op(&v->id, b, "Unsqueeze", in, 2, NULL, err));
    for (int i = rank - 1; i > 0; i--)
        v->dim[i] = i > n ? v->dim[i - n] : 1;
    v->rank = rank;
    return MD_OK;
}

/* A copy of the inputs with one layout and one rank. */
static md_status prepare(md_keras_value **out, md_keras_build *b,
                         const md_keras_value *in, uint32_t n, md_error *err)
{
    md_keras_value *v = md_arena_calloc(b->arena, n, sizeof(*v));
    int rank = 0;

    if (!v)
        return md_fail_nomem(err, n * sizeof(*v));
    memcpy(v, in, n * sizeof(*v));
    for (uint32_t i = 0; i < n; i++)
        rank = v[i].rank > rank ? v[i].rank : rank;
    MD_TRY(md_keras_unify(v, b, n, err));
    for (uint32_t i = 0; i < n; i++)
        MD_TRY(lift(&v[i], b, rank, err));
    *out = v;
    return MD_OK;
}

/* op over all inputs at once. */
static md_status all(md_keras_build *b, const md_keras_value *in, uint32_t n,
                     const char *op, md_keras_value *out, md_error *err)
{
    md_value_id *ids = md_arena_calloc(b->arena, n, sizeof(*ids));
    md_keras_value *v;

    if (!ids)
        return md_fail_nomem(err, n * sizeof(*ids));
    MD_TRY(prepare(&v, b, in, n, err));
    *out = v[0];
    for (uint32_t i = 0; i < n; i++) {
        ids[i] = v[i].id;
        MD_TRY(merge_dims(out, b, &v[i], err));
    }
    return md_keras_op(&out->id, b, op, ids, n, NULL, err);
}

/* op over the first two, then with each other. */
static md_status chain(md_keras_build *b, const md_keras_value *in, uint32_t n,
                       const char *op, md_keras_value *out, md_error *err)
{
    md_keras_value *v;

    MD_TRY(prepare(&v, b, in, n, err));
    *out = v[0];
    for (uint32_t i = 1; i < n; i++) {
        md_value_id pair[2] = { out->id, v[i].id };

        MD_TRY(merge_dims(out, b, &v[i], err));
        MD_TRY(md_keras_op(&out->id, b, op, pair, 2, NULL, err));
    }
    return MD_OK;
}

md_status md_keras_emit_add(md_keras_build *b, const md_keras_value *in,
                            uint32_t n_in, md_keras_value *out, md_error *err)
{
    return chain(b, in, n_in, "Add", out, err);
}

md_status md_keras_emit_subtract(md_keras_build *b, const md_keras_value *in,
                                 uint32_t n_in, md_keras_value *out,
                                 md_error *err)
{
    return chain(b, in, n_in, "Sub", out, err);
}

md_status md_keras_emit_multiply(md_keras_build *b, const md_keras_value *in,
                                 uint32_t n_in, md_keras_value *out,
                                 md_error *err)
{
    return chain(b, in, n_in, "Mul", out, err);
}

md_status md_keras_emit_average(md_keras_build *b, const md_keras_value *in,
                                uint32_t n_in, md_keras_value *out,
                                md_error *err)
{
    return all(b, in, n_in, "Mean", out, err);
}

md_status md_keras_emit_maximum(md_keras_build *b, const md_keras_value *in,
                                uint32_t n_in, md_keras_value *out,
                                md_error *err)
{
    return all(b, in, n_in, "Max", out, err);
}

md_status md_keras_emit_minimum(md_keras_build *b, const md_keras_value *in,
                                uint32_t n_in, md_keras_value *out,
                                md_error *err)
{
    return all(b, in, n_in, "Min", out, err);
}

md_status md_keras_emit_concatenate(md_keras_build *b, const md_keras_value *in,
                                    uint32_t n_in, md_keras_value *out,
                                    md_error *err)
{
    md_value_id *ids = md_arena_calloc(b->arena, n_in, sizeof(*ids));
    md_keras_value *v;
    md_node *node;
    int axis;

    if (!ids)
        return md_fail_nomem(err, n_in * sizeof(*ids));
    MD_TRY(md_keras_norm_axis(&axis, b, in,
                              md_keras_int(b->layer->config, "axis", -1), err));
    MD_TRY(prepare(&v, b, in, n_in, err));
    *out = v[0];
    ids[0] = v[0].id;
    for (uint32_t i = 1; i < n_in; i++) {
        if (in[i].rank != in[0].rank)
            return md_keras_fail(b, err, MD_CORRUPT, "inputs of rank %d and %d",
                                 in[0].rank, in[i].rank);
        ids[i] = v[i].id;
        if (out->dim[axis] < 0 || v[i].dim[axis] < 0)
            out->dim[axis] = -1;
        else if (!md_add_i64(&out->dim[axis], out->dim[axis], v[i].dim[axis]))
            return md_keras_fail(b, err, MD_TOO_LARGE, "size of axis %d", axis);
    }
    MD_TRY(md_keras_op(&out->id, b, "Concat", ids, n_in, &node, err));
    return md_node_set_attr_i(b->g, node, "axis", md_keras_axis(out, axis),
                              err);
}

/* Rank 3 with the last two axes swapped. */
static md_status swap(md_value_id *id, md_keras_build *b, md_error *err)
{
    static const int64_t perm[] = { 0, 2, 1 };

    return md_keras_transpose(id, b, *id, perm, 3, err);
}

/* Rank 2: sum of products; rank 3: a matrix product per sample. */
static md_status dot(md_keras_value *out, md_keras_build *b,
                     md_value_id pair[2], const int axis[2], md_error *err)
{
    static const int64_t last = 1;

    if (out->rank == 3) {
        if (axis[0] == 1)
            MD_TRY(swap(&pair[0], b, err));
        if (axis[1] == 2)
            MD_TRY(swap(&pair[1], b, err));
        return md_keras_op(&out->id, b, "MatMul", pair, 2, NULL, err);
    }
    MD_TRY(md_keras_op(&pair[0], b, "Mul", pair, 2, NULL, err));
    MD_TRY(md_keras_const_ints(&pair[1], b, "axes", &last, 1, err));
    return md_keras_op(&out->id, b, "ReduceSum", pair, 2, NULL, err);
}

md_status md_keras_emit_dot(md_keras_build *b, const md_keras_value *in,
                            uint32_t n_in, md_keras_value *out, md_error *err)
{
    md_keras_value v[2];
    md_value_id pair[2];
    int64_t want[2];
    int axis[2];

    (void)n_in;
    MD_TRY(md_keras_ints(want, 2, b->layer, "axes", -1, err));
    for (int i = 0; i < 2; i++) {
        MD_TRY(md_keras_last(&v[i], b, &in[i], err));
        MD_TRY(md_keras_norm_axis(&axis[i], b, &v[i], want[i], err));
        pair[i] = v[i].id;
        if (md_keras_bool(b->layer->config, "normalize", false))
            MD_TRY(md_keras_unit(&pair[i], b, pair[i], axis[i], err));
    }
    if (v[0].rank != v[1].rank || v[0].rank > 3 ||
        v[0].dim[axis[0]] != v[1].dim[axis[1]])
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "product of ranks %d and %d over sizes %lld and "
                             "%lld",
                             v[0].rank, v[1].rank, (long long)v[0].dim[axis[0]],
                             (long long)v[1].dim[axis[1]]);
    *out = v[0];
    MD_TRY(dot(out, b, pair, axis, err));
    if (out->rank == 3) {
        out->dim[1] = v[0].dim[3 - axis[0]];
        out->dim[2] = v[1].dim[3 - axis[1]];
    } else {
        out->dim[1] = 1;
    }
    return MD_OK;
}
