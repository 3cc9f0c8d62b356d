/*
 * The smaller model: constants lose rows, nodes whose attributes or inputs hold
 * sizes get the new ones.
 */
#include <string.h>

#include "base/size.h"
#include "optimize/cut.h"
#include "train/runner.h"

/* The new model beside the old one. */
typedef struct cutter {
    const md_cut *c;
    md_model *m;
} cutter;

static md_value_id twin(const cutter *k, md_value_id id)
{
    return md_graph_find(k->m->graph, k->c->model->graph->values[id].name);
}

static md_status put_const(const cutter *k, md_value_id id, md_tensor t,
                           md_error *err)
{
    md_status s = md_graph_set_const(k->m->graph, id, t, err);

    if (s != MD_OK)
        md_tensor_release(&t);
    return s;
}

/* ---- constants ---- */

/* The places that are left on each axis of a constant, one list behind the
 * other; NULL when all are. */
static md_status list_left(int64_t **out, md_shape *left, const cutter *k,
                           md_value_id id, md_error *err)
{
    const md_shape *s = &k->c->model->graph->values[id].cdata->shape;
    size_t room = 0;
    int64_t *at;
    bool all = true;

    *left = *s;
    *out = NULL;
    for (int d = 0; d < s->rank; d++) {
        const int64_t n = md_cut_left(k->c, id, d);

        room += (size_t)s->dim[d];
        left->dim[d] = n < 0 ? s->dim[d] : n;
        all = all && left->dim[d] == s->dim[d];
    }
    if (all)
        return MD_OK;
    *out = at = md_calloc(k->m->alloc, room + 1, sizeof(*at));
    if (!at)
        return md_fail_nomem(err, room * sizeof(*at));
    for (int d = 0; d < s->rank; d++) {
        const uint32_t first = md_axes_first(&k->c->axes, id, d);

        for (int64_t i = 0; i < s->dim[d]; i++) {
            if (first == MD_AXES_NONE ||
                !md_cut_is_out(k->c, first + (uint32_t)i))
                *at++ = i;
        }
    }
    return MD_OK;
}

/* Copy what is left, `size` bytes an element. */
static void gather_left(char *to, const char *from, const int64_t *list,
                        const md_shape *left, const md_shape *whole,
                        size_t size)
{
    int64_t at[MD_RANK_MAX] = { 0 };
    const int64_t *axis[MD_RANK_MAX];
    int64_t stride[MD_RANK_MAX];

    md_shape_strides(stride, whole);
    for (int d = 0; d < left->rank; d++) {
        axis[d] = list;
        list += left->dim[d];
    }
    for (int64_t n = md_shape_n(left); n > 0; n--) {
        int64_t offset = 0;
        int d = left->rank - 1;

        for (int e = 0; e < left->rank; e++)
            offset += axis[e][at[e]] * stride[e];
        memcpy(to, from + (size_t)offset * size, size);
        to += size;
        while (d >= 0 && ++at[d] == left->dim[d])
            at[d--] = 0;
    }
}

static md_status cut_const(const cutter *k, md_value_id id, md_error *err)
{
    const md_tensor *old = k->c->model->graph->values[id].cdata;
    const md_value_id to = twin(k, id);
    int64_t *list;
    md_shape left;
    md_tensor t;
    md_status s;

    if (!old || to == MD_VALUE_NONE || !k->m->graph->values[to].cdata)
        return MD_OK;
    MD_TRY(list_left(&list, &left, k, id, err));
    if (!list)
        return MD_OK;
    s = md_tensor_alloc_unset(&t, old->dtype, &left, k->m->alloc, err);
    if (s == MD_OK) {
        gather_left(t.data, old->data, list, &left, &old->shape,
                    md_tensor_size(old) / (size_t)md_tensor_n(old));
        s = put_const(k, to, t, err);
    }
    md_free(k->m->alloc, list);
    return s;
}

/* ---- nodes ---- */

/* Input i of n becomes these integers. */
static md_status set_ints(const cutter *k, md_node *n, uint32_t i,
                          const int64_t *v, int count, md_error *err)
{
    md_graph *g = k->m->graph;
    md_value_id id;
    md_tensor t;

    MD_TRY(md_graph_add_unique(&id, g, "sizes", err));
    MD_TRY(md_tensor_alloc(&t, MD_DTYPE_I64, &(md_shape){ 1, { count } },
                           k->m->alloc, err));
    memcpy(t.data, v, (size_t)count * sizeof(*v));
    MD_TRY(put_const(k, id, t, err));
    return md_node_set_input(g, n, i, id, err);
}

static bool is_cut(const md_cut *c, md_value_id id, int axis)
{
    const int64_t left = md_cut_left(c, id, axis);

    return left >= 0 && left != c->axes.fact[id].type.dim[axis].k;
}

static md_status fix_groups(const cutter *k, const md_node *old, md_node *n,
                            md_error *err)
{
    const int64_t groups = md_node_attr_i(old, "group", 1);
    const md_type *x = &k->c->axes.fact[old->in[0]].type;

    if (groups == 1 || !is_cut(k->c, old->in[0], 1) || x->dim[1].k != groups)
        return MD_OK;
    return md_node_set_attr_i(k->m->graph, n, "group",
                              md_cut_left(k->c, old->in[0], 1), err);
}

static md_status fix_norm(const cutter *k, const md_node *old, md_node *n,
                          md_error *err)
{
    const int64_t c = k->c->axes.fact[old->in[0]].type.dim[1].k;
    const int64_t groups = md_node_attr_i(old, "num_groups", 1);

    if (!is_cut(k->c, old->in[0], 1))
        return MD_OK;
    return md_node_set_attr_i(k->m->graph, n, "num_groups",
                              md_cut_left(k->c, old->in[0], 1) / (c / groups),
                              err);
}

static md_status fix_reshape(const cutter *k, const md_node *old, md_node *n,
                             md_error *err)
{
    const md_type *y = &k->c->axes.fact[old->out[0]].type;
    int64_t shape[MD_RANK_MAX];
    bool any = false;

    if (!md_axes_reshape(shape, &k->c->axes, old))
        return MD_OK;
    for (int d = 0; d < y->rank; d++) {
        const int64_t left = md_cut_left(k->c, old->out[0], d);

        if (!is_cut(k->c, old->out[0], d) &&
            !(shape[d] == 0 && is_cut(k->c, old->in[0], d)))
            continue;
        any = true;
        if (shape[d] > 0 ||
            (shape[d] == 0 && md_cut_left(k->c, old->in[0], d) != left))
            shape[d] = left;
    }
    return any ? set_ints(k, n, 1, shape, y->rank, err) : MD_OK;
}

static void drop_attr(md_node *n, const char *name)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < n->n_attr; i++) {
        if (strcmp(n->attr[i].name, name) != 0)
            n->attr[left++] = n->attr[i];
    }
    n->n_attr = left;
}

static md_status fix_split(const cutter *k, const md_node *old, md_node *n,
                           md_error *err)
{
    const md_cut *c = k->c;
    const int rank = c->axes.fact[old->in[0]].type.rank;
    const int64_t axis = md_node_attr_i(old, "axis", 0);
    const int d = (int)(axis < 0 ? axis + rank : axis);
    int64_t *sizes = md_calloc(k->m->alloc, old->n_out + 1u, sizeof(*sizes));
    md_status s = MD_OK;

    if (!sizes)
        return md_fail_nomem(err, old->n_out * sizeof(*sizes));
    for (uint32_t i = 0; i < old->n_out; i++)
        sizes[i] = md_cut_left(c, old->out[i], d);
    if (is_cut(c, old->in[0], d)) {
        drop_attr(n, "num_outputs");
        s = md_node_opset(c->model, old) >= 13
                ? set_ints(k, n, 1, sizes, (int)old->n_out, err)
                : md_node_set_attr_is(k->m->graph, n, "split", sizes,
                                      old->n_out, err);
    }
    md_free(k->m->alloc, sizes);
    return s;
}

/* Places left before place i of an axis. */
static int64_t left_before(const md_cut *c, md_value_id id, int axis, int64_t i)
{
    const uint32_t first = md_axes_first(&c->axes, id, axis);
    int64_t n = 0;

    for (int64_t p = 0; p < i; p++)
        n += !md_cut_is_out(c, first + (uint32_t)p);
    return n;
}

static md_status fix_slice(const cutter *k, const md_node *old, md_node *n,
                           md_error *err)
{
    const md_cut *c = k->c;
    const md_value_id x = old->in[0], y = old->out[0];
    const md_type *t = &c->axes.fact[x].type;
    int64_t from[MD_RANK_MAX], to[MD_RANK_MAX], axes[MD_RANK_MAX];
    const int count = md_axes_ints(from, MD_RANK_MAX, &c->axes, old, 1);
    bool any = false;

    if (count < 0 || md_axes_ints(to, MD_RANK_MAX, &c->axes, old, 2) != count ||
        md_axes_ints(axes, MD_RANK_MAX, &c->axes, old, 3) != count)
        return MD_OK;
    for (int i = 0; i < count; i++) {
        const int d = (int)(axes[i] < 0 ? axes[i] + t->rank : axes[i]);
        int64_t at = from[i] < 0 ? from[i] + t->dim[d].k : from[i];

        if (!is_cut(c, x, d))
            continue;
        any = true;
        from[i] = left_before(c, x, d, at < 0 ? 0 : at);
        to[i] = from[i] + md_cut_left(c, y, d);
    }
    if (!any)
        return MD_OK;
    MD_TRY(set_ints(k, n, 1, from, count, err));
    return set_ints(k, n, 2, to, count, err);
}

static const struct {
    const char *op;
    md_status (*fix)(const cutter *k, const md_node *old, md_node *n,
                     md_error *err);
} fixes[] = {
    { "Conv", fix_groups },
    { "ConvTranspose", fix_groups },
    { "GroupNormalization", fix_norm },
    { "Reshape", fix_reshape },
    { "Slice", fix_slice },
    { "Split", fix_split },
};

static md_status fix_node(const cutter *k, const md_node *old, md_error *err)
{
    const md_value_id y = twin(k, old->out[0]);
    md_node *n = y == MD_VALUE_NONE ? NULL : k->m->graph->values[y].def;

    for (size_t i = 0; n && i < MD_COUNT(fixes); i++) {
        if (md_axes_is(old, fixes[i].op))
            return fixes[i].fix(k, old, n, err);
    }
    return MD_OK;
}

/* ---- types ---- */

static void fix_type(const cutter *k, md_value_id id)
{
    const md_value_id to = twin(k, id);
    md_type *t;

    if (to == MD_VALUE_NONE)
        return;
    t = &k->m->graph->values[to].type;
    for (int d = 0; t->has_rank && d < t->rank; d++) {
        if (!t->dim[d].sym && is_cut(k->c, id, d))
            t->dim[d].k = md_cut_left(k->c, id, d);
    }
}

static md_status apply(const cutter *k, md_error *err)
{
    const md_graph *old = k->c->model->graph;

    for (uint32_t i = 0; i < old->n_values; i++) {
        MD_TRY(cut_const(k, i, err));
        fix_type(k, i);
    }
    for (uint32_t i = 0; i < old->n_nodes; i++)
        MD_TRY(fix_node(k, old->nodes[i], err));
    return md_graph_verify(k->m->graph, err);
}

md_status md_cut_apply(md_model **out, const md_cut *c, md_error *err)
{
    cutter k = { .c = c };
    md_status s;

    MD_TRY(md_model_copy(&k.m, c->model, err));
    s = apply(&k, err);
    if (s != MD_OK) {
        md_model_free(k.m);
        return s;
    }
    *out = k.m;
    return MD_OK;
}

/* ---- the mask ---- */

/* Zeros for the places of `axis` that are cut. */
static void mask_axis(const md_cut *c, md_value_id id, int axis, md_tensor *t)
{
    const int64_t n = t->shape.dim[axis], all = md_tensor_n(t);
    const uint32_t first = md_axes_first(&c->axes, id, axis);
    int64_t inner = 1;
    float *w = t->data;

    for (int d = axis + 1; d < t->shape.rank; d++)
        inner *= t->shape.dim[d];
    for (int64_t i = 0; i < all; i++) {
        if (md_cut_is_out(c, first + (uint32_t)(i / inner % n)))
            w[i] = 0.0f;
    }
}

static md_status mask_node(const cutter *k, const md_node *n, md_error *err)
{
    md_value_id to;
    md_axes_product p;
    md_tensor t;

    if (n->n_in < 2 || n->in[1] == MD_VALUE_NONE)
        return MD_OK;
    if (md_axes_is(n, "LSTM") || md_axes_is(n, "GRU") || md_axes_is(n, "RNN"))
        p = (md_axes_product){ .w_axis = 2 };
    else if (!md_axes_is_product(&p, &k->c->axes, n))
        return MD_OK;
    to = twin(k, n->in[1]);
    if (to == MD_VALUE_NONE || !k->m->graph->values[to].cdata)
        return MD_OK;
    MD_TRY(md_tensor_copy(&t, k->m->graph->values[to].cdata, k->m->alloc, err));
    mask_axis(k->c, n->in[1], p.w_axis, &t);
    return put_const(k, to, t, err);
}

md_status md_cut_mask(md_model **out, const md_cut *c, md_error *err)
{
    cutter k = { .c = c };
    md_status s;

    MD_TRY(md_model_copy(&k.m, c->model, err));
    s = MD_OK;
    for (uint32_t i = 0; i < c->model->graph->n_nodes && s == MD_OK; i++)
        s = mask_node(&k, c->model->graph->nodes[i], err);
    if (s != MD_OK) {
        md_model_free(k.m);
        return s;
    }
    *out = k.m;
    return MD_OK;
}
