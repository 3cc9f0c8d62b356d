/* Nodes, constants and layouts of the ONNX model under construction. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "convert/keras/layer.h"

/* A value and its transposed copy. */
typedef struct md_keras_turn {
    md_value_id from, to;
} md_keras_turn;

static const md_keras_row rows[] = {
#define LAYER(cls, fn, in_min, in_max)                                         \
    { #cls, md_keras_emit_##fn, in_min, in_max },
#include "convert/keras/layers.def"
#undef LAYER
};

const md_keras_row *md_keras_row_find(const char *cls)
{
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        if (strcmp(rows[i].cls, cls) == 0)
            return &rows[i];
    }
    return NULL;
}

md_status(md_keras_fail)(const md_keras_build *b, md_error *err, md_status s,
                         const char *fmt, ...)
{
    char text[MD_ERROR_MSG_SIZE];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return md_fail(err, s, "keras: layer '%.100s' (%s): %.300s", b->layer->path,
                   b->layer->cls, text);
}

md_status(md_keras_refuse)(const md_keras_build *b, md_error *err,
                           const char *key)
{
    char text[MD_KERAS_SHOWN];

    return md_keras_fail(
        b, err, MD_UNSUPPORTED, "%s %s has no conversion", key,
        md_keras_show(text, json_object_get(b->layer->config, key)));
}

int64_t md_keras_span(const md_keras_value *v, int from, int to)
{
    int64_t n = 1;

    for (int i = from; i < to; i++) {
        if (v->dim[i] < 0 || !md_mul_i64(&n, n, v->dim[i]))
            return -1;
    }
    return n;
}

md_status md_keras_stem(md_keras_build *b, md_value_id id, const char *name,
                        md_error *err)
{
    const char *stem =
        name ? md_arena_printf(b->arena, "%s/%s%s", b->layer->path,
                               b->inside ? "step/" : "", name)
             : b->layer->path;

    if (!stem)
        return md_fail_nomem(err, strlen(name));
    while (id >= b->cap_stems) {
        uint32_t n = b->cap_stems;

        MD_TRY(md_grow(b->arena->alloc, &b->stems, &b->cap_stems, n,
                       sizeof(*b->stems), err));
        memset(b->stems + n, 0, (b->cap_stems - n) * sizeof(*b->stems));
    }
    b->stems[id] = stem;
    return MD_OK;
}

md_status md_keras_op(md_value_id *out, md_keras_build *b, const char *op,
                      const md_value_id *in, uint32_t n_in, md_node **node,
                      md_error *err)
{
    md_value_id id;

    MD_TRY(md_graph_add_value(&id, b->g, NULL, err));
    MD_TRY(md_keras_stem(b, id, op, err));
    MD_TRY(md_graph_add_node(
        node, b->g, &(md_node_spec){ "", op, NULL, in, n_in, &id, 1 }, err));
    *out = id;
    return MD_OK;
}

md_status md_keras_const(md_value_id *out, md_keras_build *b, const char *stem,
                         md_tensor t, md_error *err)
{
    md_value_id id;
    md_status s = md_graph_add_const(&id, b->g, NULL, t, err);

    if (s != MD_OK) {
        md_tensor_release(&t);
        return s;
    }
    MD_TRY(md_keras_stem(b, id, stem, err));
    *out = id;
    return MD_OK;
}

md_status md_keras_const_ints(md_value_id *out, md_keras_build *b,
                              const char *stem, const int64_t *v, uint32_t n,
                              md_error *err)
{
    md_shape shape = { 1, { n } };
    md_tensor t = MD_TENSOR_INIT;

    MD_TRY(md_tensor_alloc(&t, MD_DTYPE_I64, &shape, b->model->alloc, err));
    memcpy(t.data, v, n * sizeof(*v));
    return md_keras_const(out, b, stem, t, err);
}

md_status md_keras_const_floats(md_value_id *out, md_keras_build *b,
                                const char *stem, const float *v,
                                const md_shape *shape, md_error *err)
{
    md_shape scalar = { 0, { 0 } };
    md_tensor t = MD_TENSOR_INIT;

    if (!shape)
        shape = &scalar;
    MD_TRY(md_tensor_alloc(&t, MD_DTYPE_F32, shape, b->model->alloc, err));
    memcpy(t.data, v, md_tensor_size(&t));
    return md_keras_const(out, b, stem, t, err);
}

md_status md_keras_expect_weights(const md_keras_build *b, uint32_t n,
                                  md_error *err)
{
    if (b->layer->n_w == n)
        return MD_OK;
    return md_keras_fail(b, err, MD_CORRUPT,
                         "%u weights in the file, %u expected", b->layer->n_w,
                         n);
}

md_status md_keras_weight(const md_tensor **out, const md_keras_build *b,
                          uint32_t i, int rank, const int64_t *dim,
                          md_error *err)
{
    char got[MD_SHAPE_TEXT];
    char want[MD_SHAPE_TEXT];
    md_shape expected = { rank, { 0 } };
    const md_tensor *w;
    bool fits;

    if (i >= b->layer->n_w)
        return md_keras_fail(b, err, MD_CORRUPT, "weight %u is missing", i);
    w = b->layer->w[i];
    fits = w->shape.rank == rank;
    for (int k = 0; k < rank; k++) {
        expected.dim[k] = dim[k];
        fits = fits && (dim[k] < 0 || dim[k] == w->shape.dim[k]);
    }
    if (!fits)
        return md_keras_fail(b, err, MD_CORRUPT,
                             "weight %u has shape %s, %s expected", i,
                             md_shape_format(got, sizeof(got), &w->shape),
                             md_shape_format(want, sizeof(want), &expected));
    if (!md_dtype_is_float(w->dtype))
        return md_keras_fail(b, err, MD_UNSUPPORTED,
                             "weight %u is of type %s, floats expected", i,
                             md_dtype_name(w->dtype));
    *out = w;
    return MD_OK;
}

md_status md_keras_weight_copy(md_tensor *out, const md_keras_build *b,
                               const md_tensor *w, const int *perm,
                               md_error *err)
{
    int64_t stride[MD_RANK_MAX];
    int64_t at[MD_RANK_MAX] = { 0 };
    md_shape shape = w->shape;
    md_tensor t = MD_TENSOR_INIT;
    int rank = w->shape.rank;
    int64_t from = 0;
    int64_t n;

    md_shape_strides(stride, &w->shape);
    for (int i = 0; perm && i < rank; i++)
        shape.dim[i] = w->shape.dim[perm[i]];
    MD_TRY(md_tensor_alloc(&t, MD_DTYPE_F32, &shape, b->model->alloc, err));
    n = md_tensor_n(&t);
    if (!perm && w->dtype == MD_DTYPE_F32 && n > 0)
        memcpy(t.data, w->data, md_tensor_size(&t));
    else
        for (int64_t i = 0; i < n; i++) {
            ((float *)t.data)[i] = w->dtype == MD_DTYPE_F32
                                       ? ((const float *)w->data)[from]
                                       : (float)md_tensor_get_f64(w, from);
            /* One step of an odometer over the new shape. */
            for (int k = rank - 1; k >= 0; k--) {
                int64_t step = stride[perm ? perm[k] : k];

                from += step;
                if (++at[k] < shape.dim[k])
                    break;
                from -= step * shape.dim[k];
                at[k] = 0;
            }
        }
    *out = t;
    return MD_OK;
}

/* The order of a weight's axes in one number, 0 for as they are. */
static uint32_t order_of(const md_tensor *w, const int *perm)
{
    uint32_t order = 0;

    for (int i = 0; perm && i < w->shape.rank; i++)
        order = order << 4 | (uint32_t)(perm[i] ^ i);
    return order;
}

/* The weight as the file has it, turned by nodes. */
static md_status plain_weight(md_value_id *out, md_keras_build *b, uint32_t i,
                              const char *stem, const int *perm,
                              const md_shape *as, md_error *err)
{
    const md_tensor *w = b->layer->w[i];
    int64_t order[MD_RANK_MAX];
    md_tensor t = MD_TENSOR_INIT;

    MD_TRY(md_keras_weight_copy(&t, b, w, NULL, err));
    MD_TRY(md_keras_const(out, b, stem, t, err));
    for (int k = 0; perm && k < w->shape.rank; k++)
        order[k] = perm[k];
    if (perm)
        MD_TRY(md_keras_transpose(out, b, *out, order, (uint32_t)w->shape.rank,
                                  err));
    return as ? md_keras_reshape(out, b, *out, as->dim, (uint32_t)as->rank, err)
              : MD_OK;
}

md_status md_keras_weight_const(md_value_id *out, md_keras_build *b, uint32_t i,
                                const char *stem, const int *perm,
                                const md_shape *as, md_error *err)
{
    uint32_t order = order_of(b->layer->w[i], perm);
    md_tensor t = MD_TENSOR_INIT;

    if (b->plain)
        return plain_weight(out, b, i, stem, perm, as, err);
    if (b->layer->made[i] != 0 && b->layer->made_order[i] == order) {
        *out = b->layer->made[i] - 1;
        return MD_OK;
    }
    MD_TRY(md_keras_weight_copy(&t, b, b->layer->w[i], perm, err));
    if (b->layer->made[i] == 0)
        b->n_parameters += (uint64_t)md_tensor_n(&t);
    if (as)
        t.shape = *as;
    MD_TRY(md_keras_const(out, b, stem, t, err));
    b->layer->made[i] = *out + 1;
    b->layer->made_order[i] = order;
    return MD_OK;
}

bool md_keras_made(md_value_id *out, const md_keras_build *b, uint32_t i)
{
    if (b->layer->made[i] == 0)
        return false;
    *out = b->layer->made[i] - 1;
    return true;
}

md_status md_keras_make(md_value_id *out, md_keras_build *b, uint32_t i,
                        const char *stem, md_tensor t, md_error *err)
{
    b->n_parameters += (uint64_t)md_tensor_n(&t);
    MD_TRY(md_keras_const(out, b, stem, t, err));
    b->layer->made[i] = *out + 1;
    return MD_OK;
}

md_status md_keras_reshape(md_value_id *out, md_keras_build *b, md_value_id x,
                           const int64_t *dim, uint32_t n, md_error *err)
{
    md_value_id in[2] = { x };

    MD_TRY(md_keras_const_ints(&in[1], b, "shape", dim, n, err));
    return md_keras_op(out, b, "Reshape", in, 2, NULL, err);
}

md_status md_keras_squeeze(md_value_id *out, md_keras_build *b, const char *op,
                           md_value_id x, int64_t axis, md_error *err)
{
    md_value_id in[2] = { x };

    MD_TRY(md_keras_const_ints(&in[1], b, "axes", &axis, 1, err));
    return md_keras_op(out, b, op, in, 2, NULL, err);
}

md_status md_keras_transpose(md_value_id *out, md_keras_build *b, md_value_id x,
                             const int64_t *perm, uint32_t n, md_error *err)
{
    md_node *node;

    MD_TRY(md_keras_op(out, b, "Transpose", &x, 1, &node, err));
    return md_node_set_attr_is(b->g, node, "perm", perm, n, err);
}

md_value_id md_keras_turned(const md_keras_build *b, md_value_id x,
                            const int64_t *perm, uint32_t n)
{
    const md_node *node = md_graph_value(b->g, x)->def;
    uint32_t n_perm = 0;
    const int64_t *p;

    if (!node || strcmp(node->op, "Transpose") != 0)
        return MD_VALUE_NONE;
    p = md_node_attr_is(node, "perm", &n_perm);
    return n_perm == n && memcmp(p, perm, n * sizeof(*p)) == 0 ? node->in[0]
                                                               : MD_VALUE_NONE;
}

/* A Transpose, made once per value. */
static md_status turn(md_value_id *out, md_keras_build *b, md_value_id id,
                      const int64_t *perm, int rank, md_error *err)
{
    for (uint32_t i = 0; i < b->n_turns; i++) {
        if (b->turns[i].from == id) {
            *out = b->turns[i].to;
            return MD_OK;
        }
    }
    MD_TRY(md_keras_transpose(out, b, id, perm, (uint32_t)rank, err));
    MD_TRY(md_grow(b->arena->alloc, &b->turns, &b->cap_turns, b->n_turns,
                   sizeof(*b->turns), err));
    b->turns[b->n_turns++] = (md_keras_turn){ id, *out };
    return MD_OK;
}

/* A flattened image in Keras' order: [n, c*hw] -> [n, c, hw] -> [n, hw, c]. */
static md_status unflatten(md_keras_value *out, md_keras_build *b,
                           const md_keras_value *v, md_error *err)
{
    static const int64_t perm[] = { 0, 2, 1 };
    int64_t split[] = { 0, v->flat_c, v->flat_hw };
    int64_t joined[] = { 0, -1 };
    md_value_id id;

    MD_TRY(md_keras_reshape(&id, b, v->id, split, 3, err));
    MD_TRY(turn(&id, b, id, perm, 3, err));
    MD_TRY(md_keras_reshape(&id, b, id, joined, 2, err));
    *out = *v;
    out->id = id;
    out->flat_c = out->flat_hw = 0;
    return MD_OK;
}

md_status md_keras_first(md_keras_value *out, md_keras_build *b,
                         const md_keras_value *v, md_error *err)
{
    int64_t perm[MD_RANK_MAX];
    md_value_id id;

    *out = *v;
    if (v->cf || v->rank < 3)
        return MD_OK;
    perm[0] = 0;
    perm[1] = v->rank - 1;
    for (int i = 2; i < v->rank; i++)
        perm[i] = i - 1;
    MD_TRY(turn(&id, b, v->id, perm, v->rank, err));
    out->id = id;
    out->cf = true;
    return MD_OK;
}

md_status md_keras_last(md_keras_value *out, md_keras_build *b,
                        const md_keras_value *v, md_error *err)
{
    int64_t perm[MD_RANK_MAX];
    md_value_id id;

    if (v->flat_c > 0)
        return unflatten(out, b, v, err);
    *out = *v;
    if (!v->cf)
        return MD_OK;
    perm[0] = 0;
    perm[v->rank - 1] = 1;
    for (int i = 1; i < v->rank - 1; i++)
        perm[i] = i + 1;
    MD_TRY(turn(&id, b, v->id, perm, v->rank, err));
    out->id = id;
    out->cf = false;
    return MD_OK;
}

md_status md_keras_unify(md_keras_value *v, md_keras_build *b, uint32_t n,
                         md_error *err)
{
    bool first = false;
    bool same_rank = true;

    for (uint32_t i = 0; i < n; i++) {
        first = first || v[i].cf;
        same_rank = same_rank && v[i].rank == v[0].rank;
    }
    for (uint32_t i = 0; i < n; i++) {
        md_keras_value from = v[i];

        if (first && same_rank)
            MD_TRY(md_keras_first(&v[i], b, &from, err));
        else
            MD_TRY(md_keras_last(&v[i], b, &from, err));
    }
    return MD_OK;
}

int md_keras_axis(const md_keras_value *v, int axis)
{
    if (!v->cf || axis == 0)
        return axis;
    return axis == v->rank - 1 ? 1 : axis + 1;
}

md_status md_keras_norm_axis(int *out, const md_keras_build *b,
                             const md_keras_value *v, int64_t axis,
                             md_error *err)
{
    int64_t a = axis < 0 ? axis + v->rank : axis;

    if (a < 1 || a >= v->rank)
        return md_keras_fail(b, err, MD_CORRUPT,
                             "axis %lld of a tensor of rank %d",
                             (long long)axis, v->rank);
    *out = (int)a;
    return MD_OK;
}

md_status md_keras_scale(md_keras_value *out, md_keras_build *b,
                         const md_keras_value *v, int axis, int64_t n,
                         const float *scale, const float *offset, md_error *err)
{
    static const char *const op[] = { "Mul", "Add" };
    const float *data[] = { scale, offset };
    md_shape shape = { 0, { 0 } };

    *out = *v;
    if (v->flat_c > 0) /* else no need to turn: the constant goes along */
        MD_TRY(md_keras_last(out, b, v, err));
    if (axis >= 0) {
        shape.rank = v->rank - md_keras_axis(out, axis);
        for (int i = 0; i < shape.rank; i++)
            shape.dim[i] = i == 0 ? n : 1;
    }
    for (int i = 0; i < 2; i++) {
        md_value_id c;

        if (!data[i])
            continue;
        MD_TRY(md_keras_const_floats(&c, b, i == 0 ? "scale" : "offset",
                                     data[i], &shape, err));
        MD_TRY(md_keras_op(&out->id, b, op[i], (md_value_id[]){ out->id, c }, 2,
                           NULL, err));
    }
    return MD_OK;
}
