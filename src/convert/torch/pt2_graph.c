/* Graphs of torch.export: names, arguments, nodes and their results. */
#include <math.h>
#include <string.h>

#include "convert/torch/flow.h"
#include "convert/torch/pt2.h"

enum {
    NODES_MAX = 1 << 20
};

const char *md_pt2__text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

void md_pt2__corrupt(md_pt2 *p, const char *what, const char *name)
{
    md_emit_fail(&p->b.e, MD_CORRUPT, "program: %s '%.80s'", what, name);
}

/* --- names --- */

void md_pt2__define(md_pt2 *p, const char *name, md_tv v)
{
    md_pt2_env *e = p->e;

    if (!md_emit_ok(&p->b.e, md_arena_grow(p->b.e.arena, &e->v, &e->cap, e->n,
                                           sizeof(*e->v), p->b.e.err)))
        return;
    if (!e->v || json_object_set_new(e->index, name, json_integer(e->n)) != 0) {
        md_pt2__corrupt(p, "cannot define", name);
        return;
    }
    e->v[e->n++] = v;
    if (v.kind == MD_TV_TENSOR && p->b.e.status == MD_OK)
        md_emit_stem(&p->b.e, v.v.t->id, name);
}

static md_tv look_up(md_pt2 *p, const char *name)
{
    for (const md_pt2_env *e = p->e; e; e = e->parent) {
        const json_t *at = json_object_get(e->index, name);

        if (at && e->v)
            return e->v[json_integer_value(at)];
    }
    md_pt2__corrupt(p, "nobody makes", name);
    return md_tv_none();
}

/* --- arguments --- */

/* Numbers of types in this schema, as PyTorch's own. */
int64_t md_pt2__scalar_type(int64_t v)
{
    static const int8_t types[] = {
        -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15
    };

    if (v == 28)
        return 27;
    return v >= 0 && v < (int64_t)MD_COUNT(types) ? types[v] : -1;
}

static md_tv number_of(const json_t *v)
{
    if (json_is_boolean(v))
        return md_tv_bool(json_is_true(v));
    if (json_is_real(v))
        return md_tv_float(json_real_value(v));
    if (json_is_integer(v))
        return md_tv_int(json_integer_value(v));
    if (json_is_string(v)) {
        const char *s = json_string_value(v);

        if (strcmp(s, "Infinity") == 0)
            return md_tv_float((double)INFINITY);
        if (strcmp(s, "-Infinity") == 0)
            return md_tv_float(-(double)INFINITY);
        if (strcmp(s, "NaN") == 0)
            return md_tv_float((double)NAN);
        return md_tv_text(s);
    }
    return md_tv_none();
}

/* {"as_int": 3} or {"as_name": "x"} */
static md_tv symbolic(md_pt2 *p, const json_t *v)
{
    const json_t *name = json_object_get(v, "as_name");

    if (name)
        return look_up(p,
                       json_string_value(name) ? json_string_value(name) : "");
    v = json_object_iter_value(json_object_iter((json_t *)(uintptr_t)v));
    return number_of(v);
}

static md_tv one_argument(md_pt2 *p, const char *kind, const json_t *v);

static md_tv list_of(md_pt2 *p, const char *kind, const json_t *v)
{
    md_tv out = md_tv_list(&p->b, MD_TV_LIST, (uint32_t)json_array_size(v));
    const char *item = strcmp(kind, "as_tensors") == 0            ? "as_tensor"
                       : strcmp(kind, "as_optional_tensors") == 0 ? "any"
                       : strncmp(kind, "as_sym_", 7) == 0         ? "as_sym_int"
                       : strcmp(kind, "as_nested_tensors") == 0   ? "as_tensors"
                                                                  : "as_int";

    for (size_t i = 0; i < json_array_size(v) && out.kind == MD_TV_LIST; i++) {
        const json_t *x = json_array_get(v, i);

        if (strcmp(item, "any") == 0) {
            void *it = json_object_iter((json_t *)(uintptr_t)x);

            md_tv_append(&p->b, out.v.list,
                         it ? one_argument(p, json_object_iter_key(it),
                                           json_object_iter_value(it))
                            : md_tv_none());
        } else {
            md_tv_append(&p->b, out.v.list, one_argument(p, item, x));
        }
    }
    return out;
}

static md_tv one_argument(md_pt2 *p, const char *kind, const json_t *v)
{
    if (strcmp(kind, "as_none") == 0)
        return md_tv_none();
    if (strcmp(kind, "as_tensor") == 0)
        return look_up(p, md_pt2__text(v, "name"));
    if (strcmp(kind, "as_optional_tensor") == 0) {
        void *it = json_object_iter((json_t *)(uintptr_t)v);

        return it ? one_argument(p, json_object_iter_key(it),
                                 json_object_iter_value(it))
                  : md_tv_none();
    }
    if (strcmp(kind, "as_scalar_type") == 0)
        return md_tv_int(md_pt2__scalar_type(json_integer_value(v)));
    if (strcmp(kind, "as_device") == 0)
        return md_tv_text("cpu");
    if (strcmp(kind, "as_sym_int") == 0 || strcmp(kind, "as_sym_bool") == 0 ||
        strcmp(kind, "as_sym_float") == 0)
        return symbolic(p, v);
    if (strcmp(kind, "as_graph") == 0)
        return (md_tv){ .kind = MD_TV_FUNCTION, .v.function = v };
    if (json_is_array(v))
        return list_of(p, kind, v);
    if (strcmp(kind, "as_layout") == 0 || strcmp(kind, "as_memory_format") == 0)
        return md_tv_int(json_integer_value(v));
    if (strcmp(kind, "as_int") == 0 || strcmp(kind, "as_float") == 0 ||
        strcmp(kind, "as_bool") == 0 || strcmp(kind, "as_string") == 0) {
        md_tv n = number_of(v);

        if (strcmp(kind, "as_float") == 0 && n.kind == MD_TV_INT)
            n = md_tv_float((double)n.v.i);
        return n;
    }
    md_emit_fail(&p->b.e, MD_UNSUPPORTED, "program: an argument '%.40s'", kind);
    return md_tv_none();
}

md_tv md_pt2__argument(md_pt2 *p, const json_t *arg)
{
    void *it = json_object_iter((json_t *)(uintptr_t)arg);

    if (it && json_object_size(arg) == 1)
        return one_argument(p, json_object_iter_key(it),
                            json_object_iter_value(it));
    md_pt2__corrupt(p, "malformed argument", "");
    return md_tv_none();
}

/* --- results --- */

static const md_tv *result_at(const md_tv *v, size_t i, size_t n)
{
    if (md_tv_is_list(v))
        return i < v->v.list->n ? &v->v.list->item[i] : NULL;
    return i == 0 && n == 1 ? v : NULL;
}

static void define_result(md_pt2 *p, const json_t *out, const md_tv *v)
{
    static const md_tv missing = { .kind = MD_TV_LOST,
                                   .v.s = "that the operator does not give" };
    void *it = json_object_iter((json_t *)(uintptr_t)out);
    const char *kind = it ? json_object_iter_key(it) : "";
    const json_t *o = it ? json_object_iter_value(it) : NULL;

    if (strcmp(kind, "as_none") == 0)
        return;
    if (json_is_array(o)) {
        for (size_t i = 0; i < json_array_size(o); i++) {
            const md_tv *x = v ? result_at(v, i, json_array_size(o)) : NULL;

            md_pt2__define(p, md_pt2__text(json_array_get(o, i), "name"),
                           x ? *x : missing);
        }
        return;
    }
    md_pt2__define(p,
                   json_object_get(o, "name") ? md_pt2__text(o, "name")
                                              : md_pt2__text(o, "as_name"),
                   v ? *v : missing);
}

static void define_results(md_pt2 *p, const json_t *outputs, const md_tv *v)
{
    size_t n = json_array_size(outputs);
    const json_t *first = json_array_get(outputs, 0);

    if (n == 1 && json_is_array(json_object_get(first, "as_tensors"))) {
        define_result(p, first, v);
        return;
    }
    for (size_t i = 0; i < n && p->b.e.status == MD_OK; i++)
        define_result(p, json_array_get(outputs, i),
                      v->kind == MD_TV_LOST ? v : result_at(v, i, n));
}

/* --- nodes --- */

/* "torch.ops.aten.conv2d.default" to "conv2d", "_operator.mul" to "mul". */
static const char *op_name(md_pt2 *p, const char *target)
{
    static const char *const prefixes[] = { "torch.ops.", "aten.", "_operator.",
                                            "torch.sym_" };
    bool is_op = strncmp(target, "torch.ops.", 10) == 0;
    const char *name = target;
    const char *dot;

    for (size_t i = 0; i < MD_COUNT(prefixes); i++) {
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            name += strlen(prefixes[i]) - (i == 3 ? 4 : 0);
    }
    if (strncmp(target, "math.", 5) == 0)
        name = target + 5;
    dot = strrchr(name, '.');
    if (is_op && dot)
        name = md_arena_strndup(p->b.e.arena, name, (size_t)(dot - name));
    return name ? name : "";
}

static void run_graph(md_pt2 *p, const json_t *graph, const md_tv *in,
                      uint32_t n, md_tv *out, uint32_t n_out);

/* A graph of a cond is read where the branch is. */
typedef struct branches {
    md_pt2 *p;
    const json_t *graph[2];
    const md_tv *in;
    uint32_t n;
} branches;

static void run_branch(md_torch *b, void *ctx, int which, md_tv *out,
                       uint32_t n)
{
    branches *x = ctx;

    (void)b;
    run_graph(x->p, x->graph[which], x->in, x->n, out, n);
}

/* Operands come as one list, or each by itself. */
static const md_tv *operands(const md_tv *args, uint32_t n, uint32_t from,
                             uint32_t *count)
{
    if (n == from + 1 && md_tv_is_list(&args[from])) {
        *count = args[from].v.list->n;
        return args[from].v.list->item;
    }
    *count = n > from ? n - from : 0;
    return args + from;
}

static const json_t *graph_of(md_pt2 *p, const md_tv *v)
{
    const json_t *g = v->kind == MD_TV_FUNCTION
                          ? json_object_get(v->v.function, "graph")
                          : NULL;

    if (!json_is_object(g))
        md_pt2__corrupt(p, "a graph expected", "");
    return g;
}

static md_tv emit_cond(md_pt2 *p, const md_tv *args, uint32_t n, uint32_t n_out)
{
    md_tv out = md_tv_list(&p->b, MD_TV_TUPLE, n_out);
    md_tv c;
    branches x = { .p = p };

    if (n < 3 || out.kind != MD_TV_TUPLE) {
        md_pt2__corrupt(p, "malformed node", "cond");
        return md_tv_none();
    }
    c = md_torch_call_op(&p->b, "bool", args, 1, NULL, NULL, 0);
    x.graph[0] = graph_of(p, &args[1]);
    x.graph[1] = graph_of(p, &args[2]);
    x.in = operands(args, n, 3, &x.n);
    if (p->b.e.status != MD_OK)
        return md_tv_none();
    out.v.list->n = n_out;
    if (c.computed)
        md_torch_if(&p->b, &c, run_branch, &x, out.v.list->item, n_out);
    else
        run_branch(&p->b, &x, c.v.i == 0, out.v.list->item, n_out);
    return out;
}

/* What only sets a mode around a graph: the graph alone. */
static md_tv emit_wrapped(md_pt2 *p, const md_tv *args, uint32_t n,
                          uint32_t n_out)
{
    md_tv out = md_tv_list(&p->b, MD_TV_TUPLE, n_out);
    uint32_t at = 0, count;
    const json_t *g;
    const md_tv *in;

    while (at < n && args[at].kind != MD_TV_FUNCTION)
        at++;
    g = at < n ? graph_of(p, &args[at]) : NULL;
    if (!g || out.kind != MD_TV_TUPLE)
        return md_tv_none();
    in = operands(args, n, at + 1, &count);
    out.v.list->n = n_out;
    run_graph(p, g, in, count, out.v.list->item, n_out);
    return out;
}

static uint32_t count_results(const json_t *outputs)
{
    uint32_t n = 0;

    for (size_t i = 0; i < json_array_size(outputs); i++) {
        const json_t *o = json_array_get(outputs, i);
        const json_t *l = json_object_get(o, "as_tensors");

        n += l ? (uint32_t)json_array_size(l) : 1;
    }
    return n;
}

static md_tv call_higher(md_pt2 *p, const char *op, const md_tv *args,
                         uint32_t n, const json_t *outputs)
{
    uint32_t n_out = count_results(outputs);

    if (strcmp(op, "higher_order.cond") == 0 || strcmp(op, "higher_order") == 0)
        return emit_cond(p, args, n, n_out);
    if (strncmp(op, "higher_order.wrap", 17) == 0 ||
        strcmp(op, "higher_order.invoke_subgraph") == 0)
        return emit_wrapped(p, args, n, n_out);
    md_torch_refuse(&p->b, op, "");
    return (md_tv){ .kind = MD_TV_LOST,
                    .v.s = "of an operator that is not supported" };
}

static void emit_node(md_pt2 *p, const json_t *node)
{
    const char *target = md_pt2__text(node, "target");
    const json_t *inputs = json_object_get(node, "inputs");
    const json_t *outputs = json_object_get(node, "outputs");
    uint32_t n_inputs = (uint32_t)json_array_size(inputs), n = 0, n_named = 0;
    md_tv *args = md_emit_alloc(&p->b.e, n_inputs, sizeof(*args));
    md_tv *named = md_emit_alloc(&p->b.e, n_inputs, sizeof(*named));
    const char **names = md_emit_alloc(&p->b.e, n_inputs, sizeof(*names));
    const char *op;
    md_tv out;

    if (!args || !named || !names)
        return;
    if (++p->n_nodes > NODES_MAX) {
        md_emit_fail(&p->b.e, MD_TOO_LARGE, "more than %d nodes", NODES_MAX);
        return;
    }
    for (uint32_t i = 0; i < n_inputs; i++) {
        const json_t *in = json_array_get(inputs, i);
        md_tv v = md_pt2__argument(p, json_object_get(in, "arg"));
        const json_t *kind = json_object_get(in, "kind");

        if (kind ? json_integer_value(kind) == 2 : n_named > 0) {
            names[n_named] = md_pt2__text(in, "name");
            named[n_named++] = v;
        } else {
            args[n++] = v;
        }
    }
    op = strcmp(target, "torch.ops.higher_order.cond") == 0
             ? "higher_order.cond"
         : strncmp(target, "torch.ops.higher_order.", 23) == 0
             ? target + 10
             : op_name(p, target);
    p->b.where = md_pt2__text(node, "name");
    p->b.e.stem = p->b.where;
    if (strncmp(op, "higher_order.", 13) == 0)
        out = call_higher(p, op, args, n, outputs);
    else
        out = md_torch_call_op(&p->b, op, args, n, names, named, n_named);
    if (p->b.e.status == MD_OK)
        define_results(p, outputs, &out);
}

/* --- graphs --- */

bool md_pt2__open(md_pt2 *p, md_pt2_env *e)
{
    *e = (md_pt2_env){ .index = json_object(), .parent = p->e };
    p->e = e;
    if (!e->index && p->b.e.status == MD_OK)
        p->b.e.status = md_fail_nomem(p->b.e.err, 1);
    return p->b.e.status == MD_OK;
}

void md_pt2__close(md_pt2 *p, md_pt2_env *e)
{
    json_decref(e->index);
    p->e = e->parent;
}

void md_pt2__emit_nodes(md_pt2 *p, const json_t *graph)
{
    const json_t *nodes = json_object_get(graph, "nodes");

    for (size_t i = 0; i < json_array_size(nodes) && p->b.e.status == MD_OK;
         i++)
        emit_node(p, json_array_get(nodes, i));
}

static void run_graph(md_pt2 *p, const json_t *graph, const md_tv *in,
                      uint32_t n, md_tv *out, uint32_t n_out)
{
    const json_t *inputs = json_object_get(graph, "inputs");
    const json_t *outputs = json_object_get(graph, "outputs");
    md_pt2_env e;

    if (json_array_size(inputs) != n || json_array_size(outputs) != n_out) {
        md_pt2__corrupt(p, "inputs or outputs of a graph do not fit", "");
        return;
    }
    if (md_pt2__open(p, &e)) {
        for (uint32_t i = 0; i < n; i++)
            define_result(p, json_array_get(inputs, i), &in[i]);
        md_pt2__emit_nodes(p, graph);
        for (uint32_t i = 0; i < n_out && p->b.e.status == MD_OK; i++)
            out[i] = md_pt2__argument(p, json_array_get(outputs, i));
    }
    md_pt2__close(p, &e);
}
