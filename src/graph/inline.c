/*
 * Model-local functions (onnx.proto FunctionProto) expanded where they are
 * called, so that everything behind sees operators only.
 *
 * A call becomes copies of the body's nodes in the caller's graph.  Values of
 * the body get names of their own there, led by the call's, since subgraphs of
 * the body read them by name.  Copies keep the operator versions that the
 * function imports (md_node_opset).
 *
 * FlexAttention, whose attributes are graphs that change what it computes on
 * the way, becomes its parts with those graphs between them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "graph/graph.h"

enum {
    NODES_MAX = 1 << 18, /* made by all calls: functions that call functions
                          * twice each could make any number */
    DEPTH_MAX = 64,      /* of calls in calls and graphs in graphs, together */
    PART_MAX = 100       /* bytes of each half of a name */
};

typedef struct inliner {
    md_model *model;
    const md_function **sorted; /* by domain, name and overload */
    md_arena scratch;
    uint32_t n_nodes; /* made */
} inliner;

/* One call, or one subgraph inside of it: values of `from` are those of `to`
 * under the ids in map (MD_VALUE_NONE: an absent argument, or not yet made). */
typedef struct scope {
    const struct scope *outer; /* NULL: the call itself */
    const md_graph *from;
    md_graph *to;
    md_value_id *map;
    const md_function *function;
    const md_node *call;
} scope;

static int compare_names(const char *a_domain, const char *a_name,
                         const char *a_overload, const md_function *b)
{
    int order = strcmp(a_domain, b->domain);

    if (order == 0)
        order = strcmp(a_name, b->name);
    return order ? order : strcmp(a_overload, b->overload);
}

static int compare_functions(const void *a, const void *b)
{
    const md_function *const *x = a;

    return compare_names((*x)->domain, (*x)->name, (*x)->overload,
                         *(const md_function *const *)b);
}

static int compare_call(const void *key, const void *element)
{
    const md_node *n = key;

    return compare_names(n->domain, n->op, n->overload,
                         *(const md_function *const *)element);
}

static md_status sort_functions(inliner *in, md_error *err)
{
    md_model *m = in->model;

    in->sorted =
        md_arena_calloc(&in->scratch, m->n_functions + 1u, sizeof(*in->sorted));
    if (!in->sorted)
        return md_fail_nomem(err, m->n_functions * sizeof(*in->sorted));
    for (uint32_t i = 0; i < m->n_functions; i++)
        in->sorted[i] = &m->functions[i];
    qsort((void *)in->sorted, m->n_functions, sizeof(*in->sorted),
          compare_functions);
    for (uint32_t i = 1; i < m->n_functions; i++) {
        if (compare_functions(&in->sorted[i - 1], &in->sorted[i]) == 0)
            return md_fail(err, MD_CORRUPT,
                           "function '%s%s%s' of domain '%s' is defined twice",
                           in->sorted[i]->name,
                           in->sorted[i]->overload[0] ? ":" : "",
                           in->sorted[i]->overload, in->sorted[i]->domain);
    }
    return MD_OK;
}

/* The function that n calls, NULL when n is an operator. */
static md_status find_function(const md_function **out, const inliner *in,
                               const md_node *n, md_error *err)
{
    const md_function **f =
        bsearch(n, (const void *)in->sorted, in->model->n_functions,
                sizeof(*in->sorted), compare_call);

    if (!f && n->overload[0])
        return md_fail(err, MD_CORRUPT,
                       "node '%s' (%s): the model has no function '%s' of "
                       "domain '%s' with overload '%s'",
                       n->name, n->op, n->op, n->domain, n->overload);
    *out = f ? *f : NULL;
    return MD_OK;
}

/* "call/name"; calls without a name go by their function's. */
static void join(char out[2 * PART_MAX + 2], const md_node *call,
                 const char *name)
{
    const char *first = call->name[0] ? call->name : call->op;
    size_t a = md_utf8_cut(first, strlen(first), PART_MAX);
    size_t b = md_utf8_cut(name, strlen(name), PART_MAX);

    snprintf(out, 2 * PART_MAX + 2, "%.*s/%.*s", (int)a, first, (int)b, name);
}

static md_status new_value(md_value_id *out, const scope *s, const char *name,
                           md_error *err)
{
    char stem[2 * PART_MAX + 2];

    join(stem, s->call, name);
    return md_graph_add_unique(out, s->to, stem, err);
}

/* What the attribute refers to: the call's, the function's default, or NULL
 * when neither gives it. */
static const md_attr *referred(const scope *s, const char *name)
{
    const md_attr *a = md_node_attr(s->call, name);

    for (uint32_t i = 0; !a && i < s->function->n_attr_defaults; i++) {
        if (strcmp(s->function->attr_defaults[i].name, name) == 0)
            a = &s->function->attr_defaults[i];
    }
    return a;
}

static md_status copy_node(inliner *in, const scope *s, const md_node *n,
                           int depth, md_error *err);
static md_status expand(inliner *in, md_graph *g, md_node *call,
                        const md_function *f, int depth, md_error *err);

/* The id in s->to of what `name` captures: the nearest scope that has it. */
static md_status capture(md_value_id *out, const scope *s, const char *name,
                         md_error *err)
{
    for (const scope *o = s->outer; o; o = o->outer) {
        md_value_id id = md_graph_find(o->from, name);
        const md_value *v;

        if (id == MD_VALUE_NONE)
            continue;
        v = md_graph_value(o->to, o->map[id]);
        if (!v)
            return md_fail(err, MD_UNSUPPORTED,
                           "function '%s': a subgraph reads '%s', which the "
                           "call leaves out",
                           s->function->name, name);
        *out = md_graph_find(s->to, v->name);
        return *out != MD_VALUE_NONE
                   ? MD_OK
                   : md_graph_add_value(out, s->to, v->name, err);
    }
    return md_fail(err, MD_CORRUPT, "function '%s': nothing produces '%s'",
                   s->function->name, name);
}

/* A graph that is an attribute of the node in whose place it is copied: what
 * it reads from outside, it reads from there. */
static bool is_attribute(const scope *s)
{
    return !s->outer && s->from->parent;
}

/* Make or find in s->to what value id of s->from is.  Its type is inferred
 * anew: symbols of a function are not those of the model. */
static md_status map_value(const scope *s, md_value_id id, md_error *err)
{
    const md_value *v = &s->from->values[id];
    bool read = !v->cdata && !v->def && !v->is_input;
    md_tensor t;

    if (s->outer && read)
        return capture(&s->map[id], s, v->name, err);
    if (is_attribute(s) && read) {
        s->map[id] = md_graph_find(s->to, v->name);
        return s->map[id] != MD_VALUE_NONE
                   ? MD_OK
                   : md_graph_add_value(&s->map[id], s->to, v->name, err);
    }
    MD_TRY(new_value(&s->map[id], s, v->name, err));
    if (!v->cdata)
        return MD_OK;
    t = *v->cdata;
    t.owner = NULL; /* borrowed: both live as long as the model */
    return md_graph_set_const(s->to, s->map[id], t, err);
}

/* A copy of subgraph `from` of a body's node, below graph s->to. */
static md_status copy_graph(inliner *in, md_graph **out, const scope *s,
                            const md_graph *from, int depth, md_error *err)
{
    scope inner = { s, from, NULL, NULL, s->function, s->call };

    if (depth > DEPTH_MAX)
        return md_fail(err, MD_TOO_LARGE, "graphs nested deeper than %d",
                       DEPTH_MAX);
    MD_TRY(md_graph_new(&inner.to, in->model, s->to, from->name, err));
    inner.map = md_arena_alloc(&in->scratch,
                               (from->n_values + 1u) * sizeof(*inner.map));
    if (!inner.map)
        return md_fail_nomem(err, from->n_values * sizeof(*inner.map));
    for (uint32_t i = 0; i < from->n_values; i++)
        MD_TRY(map_value(&inner, i, err));
    for (uint32_t i = 0; i < from->n_inputs; i++)
        MD_TRY(md_graph_add_input(inner.to, inner.map[from->inputs[i]], err));
    for (uint32_t i = 0; i < from->n_nodes; i++)
        MD_TRY(copy_node(in, &inner, from->nodes[i], depth, err));
    for (uint32_t i = 0; i < from->n_outputs; i++)
        MD_TRY(md_graph_add_output(inner.to, inner.map[from->outputs[i]], err));
    md_graph_compact(inner.to);
    *out = inner.to;
    return md_graph_sort(inner.to, err);
}

static md_status copy_graphs(inliner *in, md_attr *a, const scope *s, int depth,
                             md_error *err)
{
    md_graph **list;

    if (a->type == MD_ATTR_GRAPH)
        return copy_graph(in, &a->v.g, s, a->v.g, depth + 1, err);
    list = md_arena_calloc(&in->model->arena, a->n + 1u, sizeof(*list));
    if (!list)
        return md_fail_nomem(err, a->n * sizeof(*list));
    for (uint32_t i = 0; i < a->n; i++)
        MD_TRY(copy_graph(in, &list[i], s, a->v.gs[i], depth + 1, err));
    a->v.gs = list;
    return MD_OK;
}

/* Gradient names values of its graph in its attributes. */
static bool names_values(const md_node *n, const md_attr *a)
{
    return strcmp(n->op, "Gradient") == 0 &&
           strcmp(n->domain, "ai.onnx.preview.training") == 0 &&
           (a->type == MD_ATTR_STRING || a->type == MD_ATTR_STRINGS);
}

static md_status map_name(const scope *s, md_str *name, md_error *err)
{
    const md_value *v = NULL;

    for (uint32_t i = 0; i < s->from->n_values && !v; i++) {
        const char *p = s->from->values[i].name;

        if (strlen(p) == name->n && memcmp(p, name->p, name->n) == 0)
            v = md_graph_value(s->to, s->map[i]);
    }
    if (!v)
        return md_fail(err, MD_INVALID,
                       "function '%s': nothing produces '%.*s', which a "
                       "Gradient names",
                       s->function->name, (int)name->n, name->p);
    *name = (md_str){ v->name, strlen(v->name) };
    return MD_OK;
}

static md_status map_names(const scope *s, md_attr *a, md_error *err)
{
    md_str *list;

    if (a->type == MD_ATTR_STRING)
        return map_name(s, &a->v.s, err);
    list = md_arena_calloc(&s->to->model->arena, a->n + 1u, sizeof(*list));
    if (!list)
        return md_fail_nomem(err, a->n * sizeof(*list));
    for (uint32_t i = 0; i < a->n; i++) {
        list[i] = a->v.ss[i];
        MD_TRY(map_name(s, &list[i], err));
    }
    a->v.ss = list;
    return MD_OK;
}

static md_status copy_attr(inliner *in, md_node *n, const scope *s,
                           const md_attr *from, int depth, md_error *err)
{
    md_attr a = *from;
    md_graph *const *graphs;

    if (a.ref) {
        const md_attr *given = referred(s, a.ref);

        if (!given)
            return MD_OK;
        if (a.type != MD_ATTR_NONE && a.type != given->type)
            return md_fail(err, MD_CORRUPT,
                           "function '%s': attribute '%s' is of type %s, %s "
                           "expected",
                           s->function->name, a.ref,
                           md_attr_type_name(given->type),
                           md_attr_type_name(a.type));
        a = *given;
        a.name = from->name;
    } else if (md_attr_graphs(&a, &graphs) > 0) {
        MD_TRY(copy_graphs(in, &a, s, depth, err));
    }
    if (names_values(n, &a))
        MD_TRY(map_names(s, &a, err));
    return md_node_add_attr(s->to, n, &a, err);
}

/* The version of n's operator when the function imports another one than the
 * model, else 0. */
static int64_t opset_of(const scope *s, const md_node *n)
{
    if (s->function->n_opsets == 0)
        return n->opset;
    for (uint32_t i = 0; i < s->function->n_opsets; i++) {
        const md_opset *o = &s->function->opsets[i];
        const char *domain = strcmp(o->domain, "ai.onnx") == 0 ? "" : o->domain;

        if (strcmp(domain, n->domain) == 0)
            return o->version == md_model_opset(s->to->model, domain)
                       ? 0
                       : o->version;
    }
    return 0;
}

static md_status map_ids(inliner *in, md_value_id **out, const scope *s,
                         const md_value_id *ids, uint32_t n, md_error *err)
{
    *out = md_arena_alloc(&in->scratch, (n + 1u) * sizeof(**out));
    if (!*out)
        return md_fail_nomem(err, n * sizeof(**out));
    for (uint32_t i = 0; i < n; i++)
        (*out)[i] = ids[i] == MD_VALUE_NONE ? MD_VALUE_NONE : s->map[ids[i]];
    return MD_OK;
}

static md_status count_node(inliner *in, md_error *err)
{
    if (++in->n_nodes > NODES_MAX)
        return md_fail(err, MD_TOO_LARGE,
                       "calls of functions make more than %d nodes", NODES_MAX);
    return MD_OK;
}

static md_status copy_node(inliner *in, const scope *s, const md_node *n,
                           int depth, md_error *err)
{
    char name[2 * PART_MAX + 2];
    md_value_id *ins, *outs;
    const md_function *f;
    md_node *copy;

    MD_TRY(count_node(in, err));
    MD_TRY(map_ids(in, &ins, s, n->in, n->n_in, err));
    MD_TRY(map_ids(in, &outs, s, n->out, n->n_out, err));
    join(name, s->call, n->name);
    MD_TRY(md_graph_add_node(
        &copy, s->to,
        &(md_node_spec){ n->domain, n->op, name, ins, n->n_in, outs, n->n_out },
        err));
    copy->opset = opset_of(s, n);
    copy->overload = n->overload;
    for (uint32_t i = 0; i < n->n_attr; i++)
        MD_TRY(copy_attr(in, copy, s, &n->attr[i], depth, err));
    MD_TRY(find_function(&f, in, copy, err));
    return f ? expand(in, s->to, copy, f, depth + 1, err) : MD_OK;
}

static md_status check_call(const scope *s, md_error *err)
{
    const md_graph *body = s->function->body;
    const md_node *n = s->call;

    if (n->n_in > body->n_inputs || n->n_out > body->n_outputs)
        return md_fail(err, MD_CORRUPT,
                       "node '%s' (%s): %u inputs and %u outputs given, the "
                       "function has %u and %u",
                       n->name, n->op, n->n_in, n->n_out, body->n_inputs,
                       body->n_outputs);
    return MD_OK;
}

/* Arguments and results of the call get their places in the map. */
static md_status bind(const scope *s, const md_value_id *results, bool *direct,
                      md_error *err)
{
    const md_graph *body = s->from;
    const md_node *n = s->call;

    for (uint32_t i = 0; i < body->n_inputs; i++)
        s->map[body->inputs[i]] = i < n->n_in ? n->in[i] : MD_VALUE_NONE;
    for (uint32_t i = 0; i < n->n_out; i++) {
        md_value_id id = body->outputs[i];

        /* What is no node's, or is a result already, is copied at the end. */
        direct[i] = body->values[id].def && s->map[id] == MD_VALUE_NONE;
        if (direct[i])
            s->map[id] = results[i];
    }
    for (uint32_t i = 0; i < body->n_values; i++) {
        if (s->map[i] == MD_VALUE_NONE && !body->values[i].is_input)
            MD_TRY(map_value(s, i, err));
    }
    return MD_OK;
}

static md_status copy_results(inliner *in, const scope *s,
                              const md_value_id *results, const bool *direct,
                              md_error *err)
{
    for (uint32_t i = 0; i < s->call->n_out; i++) {
        md_value_id from = s->map[s->from->outputs[i]];

        if (direct[i] || results[i] == MD_VALUE_NONE)
            continue;
        if (from == MD_VALUE_NONE)
            return md_fail(err, MD_CORRUPT,
                           "node '%s' (%s): result %u is argument '%s', which "
                           "the call leaves out",
                           s->call->name, s->call->op, i,
                           s->from->values[s->from->outputs[i]].name);
        MD_TRY(count_node(in, err));
        MD_TRY(md_graph_add_node(NULL, s->to,
                                 &(md_node_spec){ "", "Identity", s->call->name,
                                                  &from, 1, &results[i], 1 },
                                 err));
    }
    return MD_OK;
}

/* Copy the body of f for `call`, a node of g that is dead afterwards. */
static md_status expand(inliner *in, md_graph *g, md_node *call,
                        const md_function *f, int depth, md_error *err)
{
    uint32_t n_values = f->body->n_values;
    scope s = { NULL, f->body, g, NULL, f, call };
    bool *direct =
        md_arena_calloc(&in->scratch, call->n_out + 1u, sizeof(*direct));

    if (depth > DEPTH_MAX)
        return md_fail(err, MD_TOO_LARGE,
                       "function '%s' is called more than %d calls deep, or by "
                       "itself",
                       f->name, DEPTH_MAX);
    MD_TRY(check_call(&s, err));
    s.map = md_arena_alloc(&in->scratch, (n_values + 1u) * sizeof(*s.map));
    if (!direct || !s.map)
        return md_fail_nomem(err, n_values * sizeof(*s.map));
    memset(s.map, 0xff, n_values * sizeof(*s.map));
    for (uint32_t i = 0; i < call->n_out; i++) {
        if (call->out[i] != MD_VALUE_NONE)
            g->values[call->out[i]].def = NULL;
    }
    call->dead = true;
    MD_TRY(bind(&s, call->out, direct, err));
    for (uint32_t i = 0; i < f->body->n_nodes; i++)
        MD_TRY(copy_node(in, &s, f->body->nodes[i], depth, err));
    return copy_results(in, &s, call->out, direct, err);
}

/* --- operators whose attributes are graphs ------------------------------ */

static bool is_flex(const md_node *n)
{
    return strcmp(n->op, "FlexAttention") == 0 &&
           strcmp(n->domain, "ai.onnx.preview") == 0 &&
           (md_node_attr(n, "score_mod") || md_node_attr(n, "prob_mod"));
}

/* A node in front of or behind the graphs of `call`, of part's operator and
 * inputs; *out is new unless it is given. */
static md_status add_part(inliner *in, md_graph *g, md_node *call,
                          md_node_spec part, md_node **node, md_value_id *out,
                          md_error *err)
{
    char stem[2 * PART_MAX + 2];

    MD_TRY(count_node(in, err));
    join(stem, call, part.op);
    if (*out == MD_VALUE_NONE)
        MD_TRY(md_graph_add_unique(out, g, stem, err));
    part.name = stem;
    part.out = out;
    part.n_out = 1;
    return md_graph_add_node(node, g, &part, err);
}

/* The graph under `name`, if there is one, applied to *value. */
static md_status apply_graph(inliner *in, md_graph *g, md_node *call,
                             const char *name, md_value_id *value,
                             md_error *err)
{
    const md_attr *a = md_node_attr(call, name);
    md_function f = { .name = name, .domain = "", .overload = "" };
    md_node stand_in = *call; /* a call of f */
    md_value_id result;

    if (!a)
        return MD_OK;
    if (a->type != MD_ATTR_GRAPH || a->v.g->n_inputs != 1 ||
        a->v.g->n_outputs != 1)
        return md_fail(err, MD_INVALID,
                       "node '%s' (%s): %s is no graph of one input and one "
                       "output",
                       call->name, call->op, name);
    MD_TRY(md_graph_add_unique(&result, g, name, err));
    f.body = a->v.g;
    stand_in.in = value;
    stand_in.out = &result;
    stand_in.n_in = stand_in.n_out = 1;
    MD_TRY(expand(in, g, &stand_in, &f, 0, err));
    *value = result;
    return MD_OK;
}

/* Scores, score_mod, Softmax, prob_mod and the sum of values instead of one
 * node. */
static md_status expand_flex(inliner *in, md_graph *g, md_node *call,
                             md_error *err)
{
    md_value_id scores = MD_VALUE_NONE, p, softmax = MD_VALUE_NONE, last[3];
    md_node *n;

    if (call->n_in != 3 || call->n_out != 1)
        return md_fail(err, MD_INVALID,
                       "node '%s' (%s): %u inputs and %u outputs, 3 and 1 "
                       "expected",
                       call->name, call->op, (unsigned)call->n_in,
                       (unsigned)call->n_out);
    MD_TRY(add_part(in, g, call,
                    (md_node_spec){ .domain = call->domain,
                                    .op = "FlexAttentionScores",
                                    .in = call->in,
                                    .n_in = 3 },
                    &n, &scores, err));
    for (uint32_t i = 0; i < call->n_attr; i++) {
        if (call->attr[i].type != MD_ATTR_GRAPH)
            MD_TRY(md_node_add_attr(g, n, &call->attr[i], err));
    }
    n->opset = call->opset;
    p = scores;
    MD_TRY(apply_graph(in, g, call, "score_mod", &p, err));
    MD_TRY(add_part(
        in, g, call,
        (md_node_spec){ .domain = "", .op = "Softmax", .in = &p, .n_in = 1 },
        &n, &softmax, err));
    n->opset = 13; /* the first that has rows of the last axis */
    p = softmax;
    MD_TRY(apply_graph(in, g, call, "prob_mod", &p, err));
    last[0] = p;
    last[1] = call->in[2];
    last[2] = scores;
    if (call->out[0] != MD_VALUE_NONE)
        g->values[call->out[0]].def = NULL;
    call->dead = true;
    MD_TRY(add_part(in, g, call,
                    (md_node_spec){ .domain = call->domain,
                                    .op = "FlexAttentionValues",
                                    .in = last,
                                    .n_in = 3 },
                    &n, &call->out[0], err));
    n->opset = call->opset;
    return MD_OK;
}

/* Expand the calls in g and in its subgraphs; copies hold none any more. */
static md_status walk(inliner *in, md_graph *g, md_error *err)
{
    uint32_t n_nodes = g->n_nodes;

    for (uint32_t i = 0; i < n_nodes; i++) {
        md_node *n = g->nodes[i];
        const md_function *f;

        MD_TRY(find_function(&f, in, n, err));
        for (uint32_t k = 0; k < n->n_attr; k++) {
            md_graph *const *subs;
            uint32_t n_subs = md_attr_graphs(&n->attr[k], &subs);

            for (uint32_t j = 0; j < n_subs; j++)
                MD_TRY(walk(in, subs[j], err));
        }
        if (f)
            MD_TRY(expand(in, g, n, f, 0, err));
        else if (is_flex(n))
            MD_TRY(expand_flex(in, g, n, err));
    }
    md_graph_compact(g);
    return md_graph_sort(g, err);
}

md_status md_model_inline(md_model *m, md_error *err)
{
    inliner in = { .model = m };
    md_status s;

    md_arena_init(&in.scratch, m->alloc, 0);
    s = sort_functions(&in, err);
    if (s == MD_OK)
        s = walk(&in, m->graph, err);
    md_arena_release(&in.scratch);
    if (s == MD_OK)
        m->n_functions = 0;
    return s;
}
