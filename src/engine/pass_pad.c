/*
 * A Pad with zeros along the spatial axes in front of a Conv becomes part of
 * the Conv's own padding.  Keras and its converters write one before each
 * convolution with a stride.
 */
#include <string.h>

#include "base/size.h"
#include "engine/pass.h"
#include "tensor/shape.h"

enum {
    AMOUNTS_MAX = 2 * MD_RANK_MAX
};

typedef struct pads {
    int rank;
    int64_t lo[MD_RANK_MAX], hi[MD_RANK_MAX];
} pads;

static bool is_absent(const md_node *n, uint32_t i)
{
    return i >= n->n_in || n->in[i] == MD_VALUE_NONE;
}

/* Input i as integers: at most `max` of them in v, their number in *count. */
static bool read_ints(const md_graph *g, const md_node *n, uint32_t i,
                      int64_t *v, int64_t max, int64_t *count)
{
    const md_tensor *t = g->values[n->in[i]].cdata;

    if (!t || md_tensor_n(t) > max)
        return false;
    *count = md_tensor_n(t);
    for (int64_t k = 0; k < *count; k++)
        v[k] = md_tensor_get_i64(t, k);
    return true;
}

/* The amounts, of an input or, before opset 11, of an attribute. */
static bool read_amounts(const md_graph *g, const md_node *n,
                         int64_t v[AMOUNTS_MAX], int64_t *count)
{
    int64_t opset = md_node_opset(g->model, n);
    const int64_t *list;
    uint32_t n_list;

    if (opset >= 11)
        return read_ints(g, n, 1, v, AMOUNTS_MAX, count);
    list = md_node_attr_is(n, opset < 2 ? "paddings" : "pads", &n_list);
    *count = n_list;
    for (int64_t k = 0; k < *count && k < AMOUNTS_MAX; k++)
        v[k] = list[k];
    return *count <= AMOUNTS_MAX;
}

static bool fills_zeros(const md_graph *g, const md_node *n)
{
    const md_tensor *value;

    if (strcmp(md_node_attr_s(n, "mode", "constant"), "constant") != 0)
        return false;
    if (md_node_opset(g->model, n) < 11)
        return md_node_attr_f(n, "value", 0.0f) == 0.0f;
    if (is_absent(n, 2))
        return true;
    value = g->values[n->in[2]].cdata;
    return value && md_tensor_n(value) == 1 &&
           md_tensor_get_f64(value, 0) == 0.0;
}

static bool read_pad(pads *p, const md_graph *g, const md_node *n)
{
    const md_type *type = &g->values[n->in[0]].type;
    int64_t v[AMOUNTS_MAX] = { 0 }, axes[MD_RANK_MAX] = { 0 };
    int64_t count, n_axes;

    *p = (pads){ .rank = type->rank };
    n_axes = p->rank;
    for (int k = 0; k < p->rank; k++)
        axes[k] = k;
    if (!type->has_rank || p->rank < 3 || !fills_zeros(g, n) ||
        !read_amounts(g, n, v, &count) ||
        (!is_absent(n, 3) && !read_ints(g, n, 3, axes, p->rank, &n_axes)) ||
        count != 2 * n_axes)
        return false;
    for (int64_t k = 0; k < n_axes; k++) {
        int axis;

        if (md_axis_normalize(&axis, axes[k], p->rank, NULL) != MD_OK)
            return false;
        p->lo[axis] = v[k];
        p->hi[axis] = v[n_axes + k];
        if (v[k] < 0 || v[n_axes + k] < 0 || v[k] > INT32_MAX ||
            v[n_axes + k] > INT32_MAX || (axis < 2 && v[k] + v[n_axes + k] > 0))
            return false;
    }
    return true;
}

/* Does conv pad by numbers (none, too)?  "SAME" would depend on the size. */
static bool pads_by_numbers(const md_node *conv, int n_spatial)
{
    const char *how = md_node_attr_s(conv, "auto_pad", "NOTSET");
    uint32_t n;

    (void)md_node_attr_is(conv, "pads", &n);
    if (strcmp(how, "NOTSET") == 0)
        return n == 0 || n == 2 * (uint32_t)n_spatial;
    return strcmp(how, "VALID") == 0 && n == 0;
}

static md_status take_up(md_graph *g, md_node *conv, const md_node *pad,
                         const pads *p, md_error *err)
{
    int64_t v[AMOUNTS_MAX];
    int n_spatial = p->rank - 2;
    uint32_t n;
    const int64_t *own = md_node_attr_is(conv, "pads", &n);

    for (int k = 0; k < n_spatial; k++) {
        v[k] = p->lo[k + 2] + (own ? own[k] : 0);
        v[n_spatial + k] = p->hi[k + 2] + (own ? own[n_spatial + k] : 0);
    }
    MD_TRY(md_node_set_attr_s(g, conv, "auto_pad", "NOTSET", err));
    MD_TRY(
        md_node_set_attr_is(g, conv, "pads", v, 2 * (uint32_t)n_spatial, err));
    conv->in[0] = pad->in[0];
    return MD_OK;
}

static md_status run(md_graph *g, md_precision precision, md_error *err)
{
    (void)precision;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_node *conv = g->nodes[i], *pad;
        pads p;

        if (conv->dead || conv->domain[0] || strcmp(conv->op, "Conv") != 0)
            continue;
        pad = md_pass__def(g, conv->in[0], "Pad");
        if (!pad || !read_pad(&p, g, pad) || !pads_by_numbers(conv, p.rank - 2))
            continue;
        /* Others may go on reading what pad gives. */
        MD_TRY(take_up(g, conv, pad, &p, err));
    }
    return MD_OK;
}

const md_pass md_pass_pad = { "pad", "Pad with zeros into Conv's padding",
                              run };
