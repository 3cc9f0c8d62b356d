#include "optimize/axes.h"

#include <string.h>

uint32_t md_axes_class(const md_axes *a, uint32_t place)
{
    while (a->parent[place] != place)
        place = a->parent[place];
    return place;
}

/* The same, and the way there is shorter next time. */
static uint32_t find(md_axes *a, uint32_t p)
{
    while (a->parent[p] != p) {
        a->parent[p] = a->parent[a->parent[p]];
        p = a->parent[p];
    }
    return p;
}

void md_axes__tie(md_axes *a, uint32_t p, uint32_t q)
{
    p = find(a, p);
    q = find(a, q);
    if (p == q)
        return;
    if (q < p) { /* the lowest place names the class */
        uint32_t t = p;

        p = q;
        q = t;
    }
    a->parent[q] = p;
    a->fixed[p] = a->fixed[p] || a->fixed[q];
}

void md_axes__fix(md_axes *a, uint32_t p)
{
    a->fixed[find(a, p)] = true;
}

bool md_axes_is(const md_node *n, const char *op)
{
    return (!n->domain[0] || strcmp(n->domain, "ai.onnx") == 0) &&
           strcmp(n->op, op) == 0;
}

int md_axes_ints(int64_t *out, int max, const md_axes *a, const md_node *n,
                 uint32_t input)
{
    const md_tensor *t;

    if (input >= n->n_in || n->in[input] == MD_VALUE_NONE)
        return -1;
    t = a->fact[n->in[input]].known;
    if (!t || (t->dtype != MD_DTYPE_I64 && t->dtype != MD_DTYPE_I32) ||
        md_tensor_n(t) > max)
        return -1;
    for (int i = 0; i < (int)md_tensor_n(t); i++)
        out[i] = md_tensor_get_i64(t, i);
    return (int)md_tensor_n(t);
}

bool md_axes_is_product(md_axes_product *p, const md_axes *a, const md_node *n)
{
    const bool is_conv = md_axes_is(n, "Conv");
    const bool is_back = md_axes_is(n, "ConvTranspose");
    const bool is_gemm = md_axes_is(n, "Gemm");
    const md_tensor *w;
    const md_type *x;
    bool turned;

    if (!is_conv && !is_back && !is_gemm && !md_axes_is(n, "MatMul"))
        return false;
    w = a->g->values[n->in[1]].cdata;
    x = &a->fact[n->in[0]].type;
    if (!w || w->dtype != MD_DTYPE_F32 || !x->has_rank || w->shape.rank < 2)
        return false;
    if (is_conv || is_back) {
        *p = (md_axes_product){ .axis = 1,
                                .w_axis = is_conv ? 1 : 0,
                                .out = 1,
                                .w_out = is_conv ? 0 : 1,
                                .groups = md_node_attr_i(n, "group", 1) };
        return p->groups > 0;
    }
    turned = is_gemm && md_node_attr_i(n, "transB", 0) != 0;
    if (w->shape.rank != 2 || x->rank < (is_gemm ? 2 : 1) ||
        (is_gemm && md_node_attr_i(n, "transA", 0) != 0) ||
        (!is_gemm && x->rank < 2))
        return false;
    *p = (md_axes_product){ .axis = x->rank - 1,
                            .w_axis = turned ? 1 : 0,
                            .out = x->rank - 1,
                            .w_out = turned ? 0 : 1,
                            .groups = 1 };
    return true;
}

bool md_axes_reshape(int64_t out[MD_RANK_MAX], const md_axes *a,
                     const md_node *n)
{
    const md_axes_fact *shape = &a->fact[n->in[1]];
    const md_type *x = &a->fact[n->in[0]].type;
    const md_type *y = &a->fact[n->out[0]].type;
    int open = 0;

    if (md_axes_ints(out, MD_RANK_MAX, a, n, 1) == y->rank)
        return md_node_attr_i(n, "allowzero", 0) == 0;
    if (!shape->data || !y->has_rank || md_node_attr_i(n, "allowzero", 0) != 0)
        return false;
    for (int d = 0; d < y->rank; d++) {
        const md_dim dim = shape->data[d];

        out[d] = dim.k;
        if (!dim.sym)
            continue;
        if (x->has_rank && d < x->rank && md_dim_equal(x->dim[d], dim))
            out[d] = 0;
        else if (open++ == 0)
            out[d] = -1;
        else
            return false;
    }
    return true;
}

/* Number the places of all axes of known size. */
static md_status number(md_axes *a, md_error *err)
{
    uint64_t n = 0;

    for (uint32_t v = 0; v < a->g->n_values; v++) {
        const md_type *t = &a->fact[v].type;

        for (int d = 0; d < MD_RANK_MAX; d++) {
            uint32_t *first = &a->first[(size_t)v * MD_RANK_MAX + (size_t)d];

            *first = MD_AXES_NONE;
            if (t->kind != MD_KIND_TENSOR || !t->has_rank || d >= t->rank ||
                t->dim[d].sym || t->dim[d].k < 1)
                continue;
            *first = (uint32_t)n;
            n += (uint64_t)t->dim[d].k;
            if (n >= MD_AXES_NONE)
                return md_fail(err, MD_TOO_LARGE,
                               "axes of more than %u places in all",
                               MD_AXES_NONE);
        }
    }
    a->n = (uint32_t)n;
    return MD_OK;
}

static void fix_value(md_axes *a, md_value_id id)
{
    const md_type *t = &a->fact[id].type;

    for (int d = 0; t->has_rank && d < t->rank; d++) {
        uint32_t p = md_axes_first(a, id, d);

        for (int64_t i = 0; p != MD_AXES_NONE && i < t->dim[d].k; i++)
            md_axes__fix(a, p + (uint32_t)i);
    }
}

/* What subgraphs read by name stays as it is. */
static void fix_captures(md_axes *a, const md_node *n)
{
    for (uint32_t i = 0; i < n->n_attr; i++) {
        md_graph *const *subs;
        const uint32_t n_subs = md_attr_graphs(&n->attr[i], &subs);

        for (uint32_t k = 0; k < n_subs; k++) {
            for (uint32_t v = 0; v < subs[k]->n_values; v++) {
                md_value_id id = md_graph_find(a->g, subs[k]->values[v].name);

                if (id != MD_VALUE_NONE)
                    fix_value(a, id);
            }
            for (uint32_t j = 0; j < subs[k]->n_nodes; j++)
                fix_captures(a, subs[k]->nodes[j]);
        }
    }
}

md_status md_axes_make(md_axes *out, const md_graph *g,
                       const md_axes_fact *facts, md_arena *ar, md_error *err)
{
    md_axes a = { .g = g, .fact = facts };

    a.first = md_arena_calloc(ar, (size_t)g->n_values + 1,
                              MD_RANK_MAX * sizeof(*a.first));
    if (!a.first)
        return md_fail_nomem(err, g->n_values * sizeof(*a.first));
    MD_TRY(number(&a, err));
    a.parent = md_arena_calloc(ar, (size_t)a.n + 1, sizeof(*a.parent));
    a.fixed = md_arena_calloc(ar, (size_t)a.n + 1, sizeof(*a.fixed));
    if (!a.parent || !a.fixed)
        return md_fail_nomem(err, a.n * sizeof(*a.parent));
    for (uint32_t i = 0; i < a.n; i++)
        a.parent[i] = i;
    for (uint32_t i = 0; i < g->n_inputs; i++)
        fix_value(&a, g->inputs[i]);
    for (uint32_t i = 0; i < g->n_outputs; i++)
        fix_value(&a, g->outputs[i]);
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        md_axes__apply(&a, g->nodes[i]);
        fix_captures(&a, g->nodes[i]);
    }
    *out = a;
    return MD_OK;
}
