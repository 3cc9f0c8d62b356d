/*
 * Gradient of ai.onnx.preview.training: the tensors xs, zs and y, by name, are
 * a function; the node's inputs are where its gradient is taken.  What is named
 * as y may be computed by another Gradient, which is expanded first.
 */
#include "engine/gradient.h"

#include <string.h>

#include "engine/pass.h"
#include "ops/op.h"

enum {
    NODES_MAX = 1 << 18 /* gradients of gradients could make any number */
};

typedef struct expansion {
    md_graph *g;
    md_arena *ar;
    md_node *n;
    md_value_id y, *xs, *zs; /* xs and zs are one array */
    uint32_t n_xs, n_zs;
} expansion;

static bool is_gradient(const md_node *n)
{
    return !n->dead && strcmp(n->op, "Gradient") == 0 &&
           strcmp(n->domain, "ai.onnx.preview.training") == 0;
}

static md_status find_name(md_value_id *out, const md_graph *g,
                           const char *what, md_str name, md_arena *ar,
                           md_error *err)
{
    char *text = md_arena_calloc(ar, name.n + 1, 1);

    if (!text)
        return md_fail_nomem(err, name.n + 1);
    memcpy(text, name.p, name.n);
    *out = md_graph_find(g, text);
    if (*out == MD_VALUE_NONE)
        return md_fail(err, MD_INVALID,
                       "%s names '%s', which is no value of its graph", what,
                       text);
    return MD_OK;
}

static md_status find_names(expansion *e, md_error *err)
{
    const md_attr *xs = md_node_attr(e->n, "xs"), *y = md_node_attr(e->n, "y"),
                  *zs = md_node_attr(e->n, "zs");
    uint32_t n_xs = xs ? xs->n : 0, n_zs = zs ? zs->n : 0;

    if (n_xs == 0 || !y)
        return md_fail(err, MD_INVALID, "%s is missing", y ? "xs" : "y");
    if (e->n->n_in != (uint64_t)n_xs + n_zs || e->n->n_out > n_xs)
        return md_fail(err, MD_INVALID,
                       "%u inputs and %u outputs given, %llu (xs and zs) and "
                       "at most %u (xs) expected",
                       e->n->n_in, e->n->n_out, (unsigned long long)n_xs + n_zs,
                       n_xs);
    e->xs = md_arena_calloc(e->ar, e->n->n_in, sizeof(*e->xs));
    if (!e->xs)
        return md_fail_nomem(err, e->n->n_in * sizeof(*e->xs));
    e->zs = e->xs + n_xs;
    e->n_xs = n_xs;
    e->n_zs = n_zs;
    for (uint32_t i = 0; i < e->n->n_in; i++) {
        md_str name = i < n_xs ? xs->v.ss[i] : zs->v.ss[i - n_xs];

        if (e->n->in[i] == MD_VALUE_NONE)
            return md_fail(err, MD_INVALID, "input %u is missing", i);
        MD_TRY(find_name(&e->xs[i], e->g, i < n_xs ? "xs" : "zs", name, e->ar,
                         err));
    }
    return find_name(&e->y, e->g, "y", y->v.s, e->ar, err);
}

/* --- the function at other values ------------------------------------------ */

/* mark[id]: y depends on it, and nothing of xs and zs is in between. */
static md_status find_cone(const expansion *e, bool **out, md_error *err)
{
    const md_graph *g = e->g;
    bool *mark = md_arena_calloc(e->ar, g->n_values + 1u, sizeof(*mark));
    bool *cut = md_arena_calloc(e->ar, g->n_values + 1u, sizeof(*cut));

    if (!mark || !cut)
        return md_fail_nomem(err, g->n_values);
    for (uint32_t i = 0; i < e->n_xs + e->n_zs; i++)
        cut[e->xs[i]] = true;
    mark[e->y] = !cut[e->y];
    for (uint32_t i = g->n_nodes; i-- > 0;) {
        const md_node *n = g->nodes[i];
        bool in_cone = false;

        for (uint32_t k = 0; k < n->n_out && !n->dead; k++)
            in_cone |= n->out[k] != MD_VALUE_NONE && mark[n->out[k]];
        for (uint32_t k = 0; k < n->n_in && in_cone; k++) {
            if (n->in[k] != MD_VALUE_NONE)
                mark[n->in[k]] = !cut[n->in[k]];
        }
    }
    *out = mark;
    return MD_OK;
}

static md_status new_node(expansion *e, const char *op, const md_node *like,
                          const md_value_id *in, uint32_t n_in,
                          const md_value_id *out, md_node **node, md_error *err)
{
    return md_graph_add_node(node, e->g,
                             &(md_node_spec){ like ? like->domain : "", op,
                                              like ? like->name : e->n->name,
                                              in, n_in, out,
                                              like ? like->n_out : 1 },
                             err);
}

static md_status copy_node(expansion *e, const md_node *n, md_value_id *map,
                           md_error *err)
{
    size_t size = sizeof(md_value_id);
    md_value_id *in = md_arena_calloc(e->ar, n->n_in + 1u, size);
    md_value_id *out = md_arena_calloc(e->ar, n->n_out + 1u, size);
    md_node *copy;

    if (!in || !out)
        return md_fail_nomem(err, (n->n_in + n->n_out) * size);
    if (md_pass__has_subgraph(n))
        return md_fail(err, MD_UNSUPPORTED,
                       "node '%s' (%s) holds a graph, which is not evaluated "
                       "at other values",
                       n->name, n->op);
    for (uint32_t k = 0; k < n->n_in; k++)
        in[k] = n->in[k] == MD_VALUE_NONE ? MD_VALUE_NONE : map[n->in[k]];
    for (uint32_t k = 0; k < n->n_out; k++) {
        out[k] = MD_VALUE_NONE;
        if (n->out[k] == MD_VALUE_NONE)
            continue;
        MD_TRY(md_graph_add_value(&out[k], e->g, "", err));
        /* One of xs that is computed stays what is given for it. */
        if (map[n->out[k]] == n->out[k])
            map[n->out[k]] = out[k];
    }
    MD_TRY(new_node(e, n->op, n, in, n->n_in, out, &copy, err));
    for (uint32_t i = 0; i < n->n_attr; i++)
        MD_TRY(md_node_add_attr(e->g, copy, &n->attr[i], err));
    copy->opset = n->opset;
    copy->impl = n->impl;
    return MD_OK;
}

/* Copy what y is computed by, with the node's inputs for xs and zs; these and
 * y become those of the copy. */
static md_status move_function(expansion *e, md_error *err)
{
    md_graph *g = e->g;
    uint32_t n_nodes = g->n_nodes, n_values = g->n_values;
    md_value_id *map = md_arena_calloc(e->ar, n_values + 1u, sizeof(*map));
    bool *mark;

    if (!map)
        return md_fail_nomem(err, n_values * sizeof(*map));
    MD_TRY(find_cone(e, &mark, err));
    for (uint32_t i = 0; i < n_values; i++)
        map[i] = i;
    for (uint32_t i = 0; i < e->n->n_in; i++) {
        md_value_id id;
        md_node *n;

        /* One tensor may be given for two of them. */
        MD_TRY(md_graph_add_value(&id, g, "", err));
        MD_TRY(new_node(e, "Identity", NULL, &e->n->in[i], 1, &id, &n, err));
        n->opset = 1;
        MD_TRY(md_pass__resolve(g, n, err));
        map[e->xs[i]] = id;
        e->xs[i] = id;
    }
    for (uint32_t i = 0; i < n_nodes; i++) {
        const md_node *n = g->nodes[i];
        bool in_cone = false;

        for (uint32_t k = 0; k < n->n_out && !n->dead; k++)
            in_cone |= n->out[k] != MD_VALUE_NONE && mark[n->out[k]];
        if (in_cone)
            MD_TRY(copy_node(e, n, map, err));
    }
    e->y = map[e->y];
    return MD_OK;
}

static bool at_its_own(const expansion *e)
{
    for (uint32_t i = 0; i < e->n->n_in; i++) {
        if (e->n->in[i] != e->xs[i])
            return false;
    }
    return true;
}

/* --- expansion --------------------------------------------------------------- */

/* Each output becomes what was computed for it. */
static md_status hand_over(const expansion *e, const md_value_id *dx,
                           md_error *err)
{
    md_graph *g = e->g;

    for (uint32_t k = 0; k < e->n->n_out; k++) {
        md_value_id id = e->n->out[k];
        md_node *last = g->values[dx[k]].def; /* an Identity */

        if (id == MD_VALUE_NONE)
            continue;
        g->values[id].def = NULL;
        MD_TRY(md_node_set_output(g, last, 0, id, err));
        g->values[dx[k]].def = NULL;
    }
    e->n->dead = true;
    return MD_OK;
}

static md_status expand_with(expansion *e, md_error *err)
{
    md_gradient_spec spec;
    md_value_id *dx = md_arena_calloc(e->ar, e->n_xs + 1u, sizeof(*dx));

    if (!dx)
        return md_fail_nomem(err, e->n_xs * sizeof(*dx));
    if (!at_its_own(e)) {
        MD_TRY(move_function(e, err));
        MD_TRY(md_graph_sort(e->g, err));
    }
    spec = (md_gradient_spec){ e->y,    MD_VALUE_NONE, e->xs,
                               e->n_xs, e->zs,         e->n_zs };
    MD_TRY(md_gradient_append(dx, e->g, &spec, err));
    MD_TRY(hand_over(e, dx, err));
    md_graph_compact(e->g);
    return md_graph_sort(e->g, err);
}

/* The Gradient that y is computed by and that is still to be expanded, or
 * NULL. */
static md_status find_inner(const expansion *e, md_node **out, md_error *err)
{
    bool *mark;

    *out = NULL;
    MD_TRY(find_cone(e, &mark, err));
    for (uint32_t i = 0; i < e->g->n_nodes; i++) {
        md_node *n = e->g->nodes[i];

        for (uint32_t k = 0; k < n->n_out && is_gradient(n); k++) {
            if (n->out[k] != MD_VALUE_NONE && mark[n->out[k]])
                *out = n;
        }
    }
    return MD_OK;
}

static uint32_t count_gradients(const md_graph *g)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < g->n_nodes; i++)
        n += is_gradient(g->nodes[i]);
    return n;
}

/* Expand `n`, or the Gradient at the bottom of those that it waits for. */
static md_status expand_one(md_graph *g, md_node *n, md_error *err)
{
    md_arena ar;
    expansion e = { .g = g, .ar = &ar, .n = n };
    md_status s = MD_OK;
    uint32_t waiting = count_gradients(g);

    md_arena_init(&ar, g->model->alloc, 0);
    for (md_node *inner = n; inner && s == MD_OK;) {
        e.n = inner;
        s = find_names(&e, err);
        if (s == MD_OK)
            s = find_inner(&e, &inner, err);
        if (s == MD_OK && inner && --waiting == 0)
            s = md_fail(err, MD_CORRUPT, "y depends on its own gradient");
    }
    if (s == MD_OK)
        s = expand_with(&e, err);
    if (s != MD_OK)
        md_wrap(err, s, "node '%s' (%s): ", e.n->name, e.n->op);
    md_arena_release(&ar);
    return s;
}

/* A branch or a loop's body is its own graph, whose values have no types yet. */
static md_status refuse_inside(const md_graph *g, md_error *err)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const md_graph *sub;

        for (uint32_t k = 0; (sub = md_node_graph(g->nodes[i], k)); k++) {
            if (count_gradients(sub) > 0)
                return md_fail(err, MD_UNSUPPORTED,
                               "node '%s' (%s): a Gradient in a graph of a "
                               "node, the model's own graph expected",
                               g->nodes[i]->name, g->nodes[i]->op);
            MD_TRY(refuse_inside(sub, err));
        }
    }
    return MD_OK;
}

md_status md_gradient_expand(md_model *m, md_error *err)
{
    md_graph *g = m->graph;

    MD_TRY(refuse_inside(g, err));
    if (count_gradients(g) == 0)
        return MD_OK;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (!g->nodes[i]->impl)
            MD_TRY(md_pass__resolve(g, g->nodes[i], err));
    }
    for (uint32_t i = 0; i < g->n_nodes;) {
        if (is_gradient(g->nodes[i])) {
            MD_TRY(expand_one(g, g->nodes[i], err));
            if (g->n_nodes > NODES_MAX)
                return md_fail(err, MD_TOO_LARGE,
                               "gradients make more than %d nodes", NODES_MAX);
            i = 0; /* the order is a new one */
        } else {
            i++;
        }
    }
    return MD_OK;
}
