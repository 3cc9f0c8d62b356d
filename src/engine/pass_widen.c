/*
 * float16 and bfloat16 are what a model stores; it is computed in float32,
 * which has the kernels (ADR 0021).  widen.def says which operators.
 *
 * A value of half a float has at most one companion of float32: constants are
 * converted here, what is computed in float32 comes out as the companion, and
 * for all else a Cast makes it.  Who computes in float32 reads the companion;
 * everybody else, the outputs of the graph and its subgraphs too, reads the
 * value itself, which a Cast rounds.  So chains of nodes round at their end
 * only.  In strict precision companions are made of the rounded values alone.
 */
#include <string.h>

#include "base/size.h"
#include "engine/pass.h"
#include "kernels/vcast.h"

typedef enum how {
    NATIVE,
    ALWAYS,
    ANY,
    ALL,
    ROUNDED,
} how;

typedef struct rule {
    how how;
    const char *domain, *op;
} rule;

static const rule rules[] = {
#define WIDEN(how, domain, op) { how, domain, #op },
#include "engine/widen.def"
#undef WIDEN
};

/* What is known of a value of half a float. */
typedef struct half {
    md_value_id wide;  /* the companion, or MD_VALUE_NONE */
    md_value_id exact; /* the value itself in float32, or MD_VALUE_NONE */
    bool computed;     /* the companion has not been rounded */
    bool cast;         /* the model itself rounds a float32 there */
} half;

typedef struct widener {
    md_graph *g;
    bool chains; /* companions may be what was not rounded */
    half *of;    /* by id; n_values of them, of before */
    uint32_t n_values;
    md_node **order; /* the new order of the nodes */
    uint32_t n_order;
} widener;

static bool is_half(const md_graph *g, md_value_id id)
{
    const md_value *v = md_graph_value(g, id);

    return v && v->type.kind == MD_KIND_TENSOR &&
           (v->type.dtype == MD_DTYPE_F16 || v->type.dtype == MD_DTYPE_BF16);
}

static bool has_half(const md_graph *g, const md_value_id *ids, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (is_half(g, ids[i]))
            return true;
    }
    return false;
}

/* Does an attribute ask for a result or a quotient of half a float? */
static bool names_type(const md_node *n)
{
    int64_t result = md_node_attr_i(n, "output_dtype", MD_DTYPE_NONE);

    return result == MD_DTYPE_F16 || result == MD_DTYPE_BF16 ||
           md_node_attr_i(n, "precision", MD_DTYPE_NONE) != MD_DTYPE_NONE;
}

/* Do the inputs that are computed in float32 suffice for `h`? */
static bool follows(const widener *w, const md_node *n, how h)
{
    uint32_t n_computed = 0, n_others = 0;

    for (uint32_t i = 0; i < n->n_in; i++) {
        if (!is_half(w->g, n->in[i]) || w->g->values[n->in[i]].cdata)
            continue;
        n_computed += w->of[n->in[i]].computed;
        n_others += !w->of[n->in[i]].computed;
    }
    return n_computed > 0 && (h == ANY || n_others == 0);
}

/* What is done with n. */
static how choose(const widener *w, const md_node *n)
{
    if (!has_half(w->g, n->in, n->n_in) || names_type(n) ||
        md_pass__has_subgraph(n))
        return NATIVE;
    for (size_t i = 0; i < MD_COUNT(rules); i++) {
        const rule *r = &rules[i];

        if (strcmp(r->op, n->op) != 0 || strcmp(r->domain, n->domain) != 0)
            continue;
        if ((r->how == ANY || r->how == ALL) && !follows(w, n, r->how))
            return NATIVE;
        return r->how;
    }
    return NATIVE;
}

/* Constant t in float32.  It may lie at any address. */
static md_status convert(md_tensor *out, const md_tensor *t,
                         const md_alloc *alloc, md_error *err)
{
    enum {
        BLOCK = 4096
    };
    md_vcast_fn *widen =
        md_vcast_select(md_cpu_flags())->find(MD_DTYPE_F32, t->dtype);
    const char *from = t->data;
    int64_t n = md_tensor_n(t);
    uint16_t block[BLOCK];

    MD_TRY(md_tensor_alloc_unset(out, MD_DTYPE_F32, &t->shape, alloc, err));
    for (int64_t i = 0; i < n; i += BLOCK) {
        size_t m = (size_t)md_min_i64(BLOCK, n - i);

        memcpy(block, from + (size_t)i * sizeof(*block), m * sizeof(*block));
        widen((float *)out->data + i, block, m);
    }
    return MD_OK;
}

/* A value like `id` of another element type. */
static md_status add_like(md_value_id *out, md_graph *g, md_value_id id,
                          md_dtype dtype, md_error *err)
{
    MD_TRY(md_graph_add_value(out, g, "", err));
    g->values[*out].type = g->values[id].type;
    g->values[*out].type.dtype = dtype;
    return MD_OK;
}

/* Let a Cast make `to` out of `from`; it is named as n is. */
static md_status add_cast(widener *w, const md_node *n, md_value_id from,
                          md_value_id to, md_error *err)
{
    md_node *cast;

    MD_TRY(md_graph_add_node(&cast, w->g,
                             &(md_node_spec){ .domain = "",
                                              .op = "Cast",
                                              .name = n->name,
                                              .in = &from,
                                              .n_in = 1,
                                              .out = &to,
                                              .n_out = 1 },
                             err));
    MD_TRY(
        md_node_set_attr_i(w->g, cast, "to", w->g->values[to].type.dtype, err));
    cast->opset = 13; /* the first one that has bfloat16 */
    w->order[w->n_order++] = cast;
    return md_pass__resolve(w->g, cast, err);
}

/* The value itself in float32, for n. */
static md_status widen_exactly(widener *w, const md_node *n, md_value_id id,
                               md_error *err)
{
    const md_tensor *t = w->g->values[id].cdata;
    half *h = &w->of[id];
    md_tensor wide = MD_TENSOR_INIT;

    if (h->exact != MD_VALUE_NONE)
        return MD_OK;
    if (t) {
        MD_TRY(convert(&wide, t, w->g->model->alloc, err));
        return md_pass__add_const(&h->exact, w->g, wide, err);
    }
    MD_TRY(add_like(&h->exact, w->g, id, MD_DTYPE_F32, err));
    return add_cast(w, n, id, h->exact, err);
}

/* Let n, which stands in the order behind what this adds, read companions. */
static md_status widen_inputs(widener *w, md_node *n, how chosen, md_error *err)
{
    for (uint32_t i = 0; i < n->n_in; i++) {
        md_value_id id = n->in[i];

        if (!is_half(w->g, id))
            continue;
        if (w->of[id].wide != MD_VALUE_NONE && chosen != ROUNDED) {
            n->in[i] = w->of[id].wide;
            continue;
        }
        MD_TRY(widen_exactly(w, n, id, err));
        n->in[i] = w->of[id].exact;
    }
    return MD_OK;
}

/* Did the model itself round what n moves? */
static bool moves_cast(const widener *w, const md_node *n)
{
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (is_half(w->g, n->in[i]) && w->of[n->in[i]].cast)
            return true;
    }
    return false;
}

static md_status widen_outputs(widener *w, md_node *n, how chosen, bool cast,
                               md_error *err)
{
    for (uint32_t i = 0; i < n->n_out; i++) {
        md_value_id id = n->out[i], wide;

        if (!is_half(w->g, id))
            continue;
        MD_TRY(add_like(&wide, w->g, id, MD_DTYPE_F32, err));
        w->g->values[id].def = NULL;
        w->g->values[wide].def = n;
        n->out[i] = wide;
        MD_TRY(add_cast(w, n, wide, id, err));
        if (chosen == ROUNDED) /* it is one of the inputs' elements */
            w->of[id].exact = wide;
        else if (w->chains)
            w->of[id] = (half){ wide, MD_VALUE_NONE, true, cast };
    }
    return MD_OK;
}

/* Casts between float32 and half of it are what this pass makes itself. */
static void look_at_cast(widener *w, md_node *n)
{
    md_value_id in = n->in[0], out = n->out[0];
    const md_type *from = &w->g->values[in].type;
    const md_type *to = &w->g->values[out].type;

    if (is_half(w->g, in) && to->dtype == MD_DTYPE_F32) {
        half *h = &w->of[in];

        if (h->computed && !h->cast) {
            n->op = "Identity";
            n->in[0] = h->wide;
            n->n_attr = 0;
        } else if (h->exact == MD_VALUE_NONE) {
            h->exact = out;
        }
    } else if (w->chains && is_half(w->g, out) &&
               from->kind == MD_KIND_TENSOR && from->dtype == MD_DTYPE_F32) {
        w->of[out] = (half){ in, MD_VALUE_NONE, true, true };
    }
}

static bool is_cast(const md_graph *g, const md_node *n)
{
    return strcmp(n->op, "Cast") == 0 && !n->domain[0] &&
           md_graph_value(g, n->in[0]) && md_graph_value(g, n->out[0]);
}

static md_status widen_node(widener *w, md_node *n, md_error *err)
{
    how chosen = choose(w, n);
    bool cast = chosen == ALL && moves_cast(w, n);

    if (is_cast(w->g, n)) {
        look_at_cast(w, n);
        MD_TRY(md_pass__resolve(w->g, n, err));
    }
    if (chosen == NATIVE) {
        w->order[w->n_order++] = n;
        return MD_OK;
    }
    MD_TRY(widen_inputs(w, n, chosen, err));
    w->order[w->n_order++] = n;
    return widen_outputs(w, n, chosen, cast, err);
}

static md_status widen_all(widener *w, md_arena *ar, md_error *err)
{
    md_graph *g = w->g;
    uint32_t n_nodes = g->n_nodes;
    size_t most = n_nodes;

    for (uint32_t i = 0; i < n_nodes; i++)
        most += (size_t)g->nodes[i]->n_in + g->nodes[i]->n_out;
    w->order = md_arena_calloc(ar, most + 1, sizeof(*w->order));
    w->of = md_arena_calloc(ar, w->n_values + 1u, sizeof(*w->of));
    if (!w->order || !w->of)
        return md_fail_nomem(err, most * sizeof(*w->order));
    for (uint32_t i = 0; i < w->n_values; i++)
        w->of[i].wide = w->of[i].exact = MD_VALUE_NONE;
    for (uint32_t i = 0; i < n_nodes; i++)
        MD_TRY(widen_node(w, g->nodes[i], err));
    memcpy(g->nodes, w->order, w->n_order * sizeof(*w->order));
    return MD_OK;
}

static md_status run(md_graph *g, md_precision precision, md_error *err)
{
    widener w = { .g = g,
                  .chains = precision != MD_PRECISION_STRICT,
                  .n_values = g->n_values };
    bool any = false;
    md_arena ar;
    md_status s;

    for (uint32_t i = 0; i < g->n_values && !any; i++)
        any = is_half(g, i);
    if (!any)
        return MD_OK;
    md_arena_init(&ar, g->model->alloc, 0);
    s = widen_all(&w, &ar, err);
    md_arena_release(&ar);
    return s;
}

const md_pass md_pass_widen = { "widen", "halves of floats to float32", run };
