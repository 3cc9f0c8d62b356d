/*
 * torch.export archives (.pt2): a program as JSON, weights beside it.
 *
 * Read are archives of PyTorch 2.8 and later (models/NAME.json) and those
 * before (serialized_exported_program.json, state dicts as archives in the
 * archive); schema version 8.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convert/torch/flow.h"
#include "convert/torch/program.h"
#include "convert/torch/weights.h"

enum {
    JSON_MAX = 256 << 20, /* bytes of a program */
    NODES_MAX = 1 << 20,
    NAME_SIZE = 256
};

/* One graph's names. */
typedef struct env {
    json_t *index; /* name to place in v */
    md_tv *v;
    uint32_t n, cap;
    struct env *parent;
} env;

typedef struct pt2 {
    md_torch b;
    md_torch_file file;
    json_t *program, *weights, *constants; /* owned */
    const char *folder;                    /* of the weights */
    md_torch_weights old[2]; /* state dict and constants before 2.8 */
    bool has_old[2];
    json_t *symbols; /* a free size's expression to its place in sizes */
    md_dim *sizes;
    uint32_t n_sizes, cap_sizes;
    env *e;
    uint32_t n_nodes;
} pt2;

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static void corrupt(pt2 *p, const char *what, const char *name)
{
    md_emit_fail(&p->b.e, MD_CORRUPT, "program: %s '%.80s'", what, name);
}

/* --- names --- */

static void define(pt2 *p, const char *name, md_tv v)
{
    env *e = p->e;

    if (!md_emit_ok(&p->b.e, md_arena_grow(p->b.e.arena, &e->v, &e->cap, e->n,
                                           sizeof(*e->v), p->b.e.err)))
        return;
    if (!e->v || json_object_set_new(e->index, name, json_integer(e->n)) != 0) {
        corrupt(p, "cannot define", name);
        return;
    }
    e->v[e->n++] = v;
    if (v.kind == MD_TV_TENSOR && p->b.e.status == MD_OK)
        md_emit_stem(&p->b.e, v.v.t->id, name);
}

static md_tv look_up(pt2 *p, const char *name)
{
    for (const env *e = p->e; e; e = e->parent) {
        const json_t *at = json_object_get(e->index, name);

        if (at && e->v)
            return e->v[json_integer_value(at)];
    }
    corrupt(p, "nobody makes", name);
    return md_tv_none();
}

/* --- arguments --- */

/* Numbers of types in this schema, as PyTorch's own. */
static int64_t scalar_type(int64_t v)
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
static md_tv symbolic(pt2 *p, const json_t *v)
{
    const json_t *name = json_object_get(v, "as_name");

    if (name)
        return look_up(p,
                       json_string_value(name) ? json_string_value(name) : "");
    v = json_object_iter_value(json_object_iter((json_t *)(uintptr_t)v));
    return number_of(v);
}

static md_tv one_argument(pt2 *p, const char *kind, const json_t *v);

static md_tv list_of(pt2 *p, const char *kind, const json_t *v)
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

static md_tv one_argument(pt2 *p, const char *kind, const json_t *v)
{
    if (strcmp(kind, "as_none") == 0)
        return md_tv_none();
    if (strcmp(kind, "as_tensor") == 0)
        return look_up(p, text_of(v, "name"));
    if (strcmp(kind, "as_optional_tensor") == 0) {
        void *it = json_object_iter((json_t *)(uintptr_t)v);

        return it ? one_argument(p, json_object_iter_key(it),
                                 json_object_iter_value(it))
                  : md_tv_none();
    }
    if (strcmp(kind, "as_scalar_type") == 0)
        return md_tv_int(scalar_type(json_integer_value(v)));
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

static md_tv argument(pt2 *p, const json_t *arg)
{
    void *it = json_object_iter((json_t *)(uintptr_t)arg);

    if (it && json_object_size(arg) == 1)
        return one_argument(p, json_object_iter_key(it),
                            json_object_iter_value(it));
    corrupt(p, "malformed argument", "");
    return md_tv_none();
}

/* --- results --- */

static const md_tv *result_at(const md_tv *v, size_t i, size_t n)
{
    if (md_tv_is_list(v))
        return i < v->v.list->n ? &v->v.list->item[i] : NULL;
    return i == 0 && n == 1 ? v : NULL;
}

static void define_result(pt2 *p, const json_t *out, const md_tv *v)
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

            define(p, text_of(json_array_get(o, i), "name"), x ? *x : missing);
        }
        return;
    }
    define(p,
           json_object_get(o, "name") ? text_of(o, "name")
                                      : text_of(o, "as_name"),
           v ? *v : missing);
}

static void define_results(pt2 *p, const json_t *outputs, const md_tv *v)
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
static const char *op_name(pt2 *p, const char *target)
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

static void run_graph(pt2 *p, const json_t *graph, const md_tv *in, uint32_t n,
                      md_tv *out, uint32_t n_out);

/* A graph of a cond is read where the branch is. */
typedef struct branches {
    pt2 *p;
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

static const json_t *graph_of(pt2 *p, const md_tv *v)
{
    const json_t *g = v->kind == MD_TV_FUNCTION
                          ? json_object_get(v->v.function, "graph")
                          : NULL;

    if (!json_is_object(g))
        corrupt(p, "a graph expected", "");
    return g;
}

static md_tv emit_cond(pt2 *p, const md_tv *args, uint32_t n, uint32_t n_out)
{
    md_tv out = md_tv_list(&p->b, MD_TV_TUPLE, n_out);
    md_tv c;
    branches x = { .p = p };

    if (n < 3 || out.kind != MD_TV_TUPLE) {
        corrupt(p, "malformed node", "cond");
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
static md_tv emit_wrapped(pt2 *p, const md_tv *args, uint32_t n, uint32_t n_out)
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

static md_tv call_higher(pt2 *p, const char *op, const md_tv *args, uint32_t n,
                         const json_t *outputs)
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

static void emit_node(pt2 *p, const json_t *node)
{
    const char *target = text_of(node, "target");
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
        md_tv v = argument(p, json_object_get(in, "arg"));
        const json_t *kind = json_object_get(in, "kind");

        if (kind ? json_integer_value(kind) == 2 : n_named > 0) {
            names[n_named] = text_of(in, "name");
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
    p->b.where = text_of(node, "name");
    p->b.e.stem = p->b.where;
    if (strncmp(op, "higher_order.", 13) == 0)
        out = call_higher(p, op, args, n, outputs);
    else
        out = md_torch_call_op(&p->b, op, args, n, names, named, n_named);
    if (p->b.e.status == MD_OK)
        define_results(p, outputs, &out);
}

/* --- graphs --- */

static bool open_env(pt2 *p, env *e)
{
    *e = (env){ .index = json_object(), .parent = p->e };
    p->e = e;
    if (!e->index && p->b.e.status == MD_OK)
        p->b.e.status = md_fail_nomem(p->b.e.err, 1);
    return p->b.e.status == MD_OK;
}

static void close_env(pt2 *p, env *e)
{
    json_decref(e->index);
    p->e = e->parent;
}

static void emit_nodes(pt2 *p, const json_t *graph)
{
    const json_t *nodes = json_object_get(graph, "nodes");

    for (size_t i = 0; i < json_array_size(nodes) && p->b.e.status == MD_OK;
         i++)
        emit_node(p, json_array_get(nodes, i));
}

static void run_graph(pt2 *p, const json_t *graph, const md_tv *in, uint32_t n,
                      md_tv *out, uint32_t n_out)
{
    const json_t *inputs = json_object_get(graph, "inputs");
    const json_t *outputs = json_object_get(graph, "outputs");
    env e;

    if (json_array_size(inputs) != n || json_array_size(outputs) != n_out) {
        corrupt(p, "inputs or outputs of a graph do not fit", "");
        return;
    }
    if (open_env(p, &e)) {
        for (uint32_t i = 0; i < n; i++)
            define_result(p, json_array_get(inputs, i), &in[i]);
        emit_nodes(p, graph);
        for (uint32_t i = 0; i < n_out && p->b.e.status == MD_OK; i++)
            out[i] = argument(p, json_array_get(outputs, i));
    }
    close_env(p, &e);
}

/* --- weights --- */

static md_dtype dtype_of(const json_t *meta)
{
    return md_torch_dtype(
        scalar_type(json_integer_value(json_object_get(meta, "dtype"))));
}

/* A size that must be a number. */
static bool known_size(int64_t *out, const json_t *v)
{
    const json_t *i = json_object_get(v, "as_int");

    *out = json_integer_value(i);
    return json_is_integer(i);
}

static bool read_meta(pt2 *p, md_torch_view *v, const json_t *meta,
                      const char *name)
{
    const json_t *sizes = json_object_get(meta, "sizes");
    const json_t *strides = json_object_get(meta, "strides");
    size_t rank = json_array_size(sizes);
    bool ok = rank <= MD_RANK_MAX && json_array_size(strides) == rank;

    v->dtype = dtype_of(meta);
    v->shape.rank = ok ? (int)rank : 0;
    for (size_t i = 0; ok && i < rank; i++)
        ok = known_size(&v->shape.dim[i], json_array_get(sizes, i)) &&
             known_size(&v->stride[i], json_array_get(strides, i));
    ok = ok && known_size(&v->offset, json_object_get(meta, "storage_offset"));
    if (!ok || v->dtype == MD_DTYPE_NONE)
        md_emit_fail(&p->b.e, ok ? MD_UNSUPPORTED : MD_CORRUPT,
                     "tensor '%.80s': %s", name,
                     ok ? "a type that is not read" : "malformed record");
    return p->b.e.status == MD_OK;
}

static md_tv weight_in(pt2 *p, const json_t *config, const char *folder,
                       const char *name)
{
    const json_t *c = json_object_get(config, name);
    const char *path = text_of(c, "path_name");
    md_torch_view v = { 0 };
    char member[NAME_SIZE];

    if (!path[0] || strpbrk(path, "/\\") || strcmp(path, "..") == 0) {
        md_emit_fail(&p->b.e, MD_CORRUPT,
                     "tensor '%.80s': member '%.80s' of the archive, a plain "
                     "name expected",
                     name, path);
        return md_tv_none();
    }
    if (json_is_true(json_object_get(c, "use_pickle"))) {
        md_emit_fail(&p->b.e, MD_UNSUPPORTED,
                     "tensor '%.80s' is pickled by itself", name);
        return md_tv_none();
    }
    snprintf(member, sizeof(member), "%s%.200s", folder, path);
    if (!read_meta(p, &v, json_object_get(c, "tensor_meta"), name) ||
        !md_emit_ok(&p->b.e, md_torch_file_read(&v.storage, &p->file, member,
                                                p->b.e.err)) ||
        !md_emit_ok(&p->b.e, md_torch_view_check(&v, name, p->b.e.err)))
        return md_tv_none();
    return md_torch_constant(&p->b, &v, name);
}

static md_tv weight(pt2 *p, const char *name)
{
    for (int i = 0; i < 2; i++) {
        const md_torch_weight *w =
            p->has_old[i] ? md_torch_weights_find(&p->old[i], name) : NULL;

        if (w) {
            md_torch_view v = w->view;

            v.storage.in_file = false;
            return md_torch_constant(&p->b, &v, name);
        }
    }
    if (json_object_get(p->weights, name))
        return weight_in(p, p->weights, "data/weights/", name);
    if (json_object_get(p->constants, name))
        return weight_in(p, p->constants, "data/constants/", name);
    md_emit_fail(&p->b.e, MD_CORRUPT, "no tensor '%.80s' in the archive", name);
    return md_tv_none();
}

/* --- inputs --- */

/* Sizes that are the same expression are one; a plain symbol is named after
 * where it is first. */
static md_dim free_size(pt2 *p, const json_t *v, const char *input, int axis)
{
    const char *expr = text_of(json_object_get(v, "as_expr"), "expr_str");
    const json_t *at = json_object_get(p->symbols, expr);
    md_dim d;

    if (at)
        return p->sizes[json_integer_value(at)];
    d = md_torch_free_size(&p->b, input, axis);
    for (uint32_t i = 0; i < p->n_sizes; i++) {
        if (md_dim_equal(p->sizes[i], d)) { /* "batch" is another one */
            const char *name =
                md_arena_printf(p->b.e.arena, "%.100s_%d", input, axis);

            d = (md_dim){ .scale = 1 };
            if (name)
                md_emit_ok(&p->b.e, md_model_symbol(&d.sym, p->b.e.model, name,
                                                    p->b.e.err));
            break;
        }
    }
    if (md_emit_ok(&p->b.e,
                   md_arena_grow(p->b.e.arena, &p->sizes, &p->cap_sizes,
                                 p->n_sizes, sizeof(*p->sizes), p->b.e.err))) {
        (void)json_object_set_new(p->symbols, expr, json_integer(p->n_sizes));
        p->sizes[p->n_sizes++] = d;
    }
    return d;
}

static void add_input(pt2 *p, const json_t *graph, const char *name)
{
    const json_t *meta =
        json_object_get(json_object_get(graph, "tensor_values"), name);
    const json_t *sizes = json_object_get(meta, "sizes");
    size_t rank = json_array_size(sizes);
    md_type t = { .dtype = dtype_of(meta), .has_rank = true };

    if (!meta || rank > MD_RANK_MAX || t.dtype == MD_DTYPE_NONE) {
        md_emit_fail(&p->b.e, meta ? MD_UNSUPPORTED : MD_CORRUPT,
                     "input '%.80s': %s", name,
                     !meta                ? "nothing is said of it"
                     : rank > MD_RANK_MAX ? "more than 8 axes"
                                          : "a type that is not read");
        return;
    }
    t.rank = (int)rank;
    for (int i = 0; i < t.rank; i++) {
        const json_t *v = json_array_get(sizes, (size_t)i);
        int64_t size;

        if (known_size(&size, v) && size >= 0)
            t.dim[i] = MD_DIM(size);
        else
            t.dim[i] = free_size(p, v, name, i);
    }
    define(p, name, md_tv_tensor(&p->b, md_emit_input(&p->b.e, &t, name)));
}

static void add_number(pt2 *p, const char *name, const json_t *arg)
{
    bool is_bool = json_object_get(arg, "as_sym_bool") != NULL;
    bool is_float = json_object_get(arg, "as_sym_float") != NULL;
    md_type t = { .dtype = is_bool    ? MD_DTYPE_BOOL
                           : is_float ? MD_DTYPE_F64
                                      : MD_DTYPE_I64,
                  .has_rank = true };

    define(p, name,
           md_tv_computed(&p->b,
                          is_bool    ? MD_TV_BOOL
                          : is_float ? MD_TV_FLOAT
                                     : MD_TV_INT,
                          md_emit_input(&p->b.e, &t, name)));
}

/* An input that the program writes back is state. */
static bool is_mutated(const json_t *signature, const char *buffer)
{
    const json_t *specs = json_object_get(signature, "output_specs");

    for (size_t i = 0; i < json_array_size(specs); i++) {
        const json_t *m =
            json_object_get(json_array_get(specs, i), "buffer_mutation");

        if (m && strcmp(text_of(m, "buffer_name"), buffer) == 0)
            return true;
    }
    return false;
}

static void add_spec(pt2 *p, const json_t *graph, const json_t *signature,
                     const json_t *spec)
{
    static const char *const kinds[][2] = {
        { "parameter", "parameter_name" },
        { "buffer", "buffer_name" },
        { "tensor_constant", "tensor_constant_name" },
    };
    const json_t *user = json_object_get(spec, "user_input");
    const json_t *constant = json_object_get(spec, "constant_input");

    for (size_t i = 0; i < MD_COUNT(kinds); i++) {
        const json_t *s = json_object_get(spec, kinds[i][0]);
        const char *name = text_of(json_object_get(s, "arg"), "name");

        if (s && is_mutated(signature, text_of(s, kinds[i][1]))) {
            add_input(p, graph, name);
            return;
        }
        if (s) {
            define(p, name, weight(p, text_of(s, kinds[i][1])));
            return;
        }
    }
    if (user) {
        const json_t *arg = json_object_get(user, "arg");
        const json_t *t = json_object_get(arg, "as_tensor");
        void *it = json_object_iter((json_t *)(uintptr_t)arg);
        const json_t *v = it ? json_object_iter_value(it) : NULL;

        if (t)
            add_input(p, graph, text_of(t, "name"));
        else if (json_is_object(v) && json_object_get(v, "as_name"))
            add_number(p, text_of(v, "as_name"), arg);
        return; /* a number that was fixed when it was exported */
    }
    if (constant) {
        define(p, text_of(constant, "name"),
               argument(p, json_object_get(constant, "value")));
        return;
    }
    if (json_object_get(spec, "token") == NULL)
        md_emit_fail(&p->b.e, MD_UNSUPPORTED,
                     "program: an input that is no tensor");
}

/* --- outputs --- */

static void add_outputs(pt2 *p, const json_t *graph, const json_t *signature)
{
    const json_t *outputs = json_object_get(graph, "outputs");
    const json_t *specs = json_object_get(signature, "output_specs");
    uint32_t n = 0, users = 0;

    for (size_t i = 0; i < json_array_size(specs); i++)
        users +=
            json_object_get(json_array_get(specs, i), "user_output") != NULL;
    for (size_t i = 0; i < json_array_size(outputs) && p->b.e.status == MD_OK;
         i++) {
        const json_t *spec = json_array_get(specs, i);
        const json_t *state = json_object_get(spec, "buffer_mutation");
        md_tv v = argument(p, json_array_get(outputs, i));
        char name[NAME_SIZE];

        if (v.kind == MD_TV_NONE || json_object_get(spec, "token") ||
            json_object_get(spec, "user_input_mutation"))
            continue;
        if (state)
            snprintf(name, sizeof(name), "%.200s/out",
                     text_of(state, "buffer_name"));
        else if (users == 1)
            snprintf(name, sizeof(name), "output");
        else
            snprintf(name, sizeof(name), "output_%u", n++);
        md_torch_output(&p->b, &v, md_arena_strdup(p->b.e.arena, name));
    }
}

static void emit_program(pt2 *p)
{
    const json_t *module = json_object_get(p->program, "graph_module");
    const json_t *graph = json_object_get(module, "graph");
    const json_t *signature = json_object_get(module, "signature");
    const json_t *specs = json_object_get(signature, "input_specs");
    env e;

    if (!json_is_object(graph) || !json_is_object(signature)) {
        corrupt(p, "no", "graph_module");
        return;
    }
    if (open_env(p, &e)) {
        for (size_t i = 0; i < json_array_size(specs) && p->b.e.status == MD_OK;
             i++)
            add_spec(p, graph, signature, json_array_get(specs, i));
        emit_nodes(p, graph);
        add_outputs(p, graph, signature);
    }
    close_env(p, &e);
}

/* --- the archive --- */

static md_status read_json(json_t **out, const pt2 *p, const char *name,
                           md_error *err)
{
    md_torch_bytes b;
    json_error_t e;

    MD_TRY(md_torch_file_read(&b, &p->file, name, err));
    if (b.size > JSON_MAX)
        return md_fail(err, MD_TOO_LARGE,
                       "torch: '%.80s' of %zu bytes, at most %d expected", name,
                       b.size, JSON_MAX);
    *out = json_loadb((const char *)b.p, b.size, JSON_REJECT_DUPLICATES, &e);
    if (!*out)
        return md_fail(err, MD_CORRUPT, "torch: '%.80s': line %d: %s", name,
                       e.line, e.text);
    return MD_OK;
}

/* The program's member, and its name without folder and ending. */
static const char *find_program(const pt2 *p, char name[NAME_SIZE])
{
    size_t root = strlen(p->file.root);
    const char *found = NULL;

    for (uint32_t i = 0; i < p->file.zip.n_entries; i++) {
        const char *e = p->file.zip.entries[i].name + root;
        size_t n = strlen(e);

        if (strncmp(e, "models/", 7) != 0 || n < 13 ||
            strcmp(e + n - 5, ".json") != 0)
            continue;
        if (found && strcmp(e, "models/model.json") != 0)
            continue;
        found = e;
        snprintf(name, NAME_SIZE, "%.*s", (int)(n - 12), e + 7);
    }
    return found;
}

static md_status read_config(json_t **out, pt2 *p, const char *what,
                             const char *name, md_error *err)
{
    char member[2 * NAME_SIZE];
    json_t *all = NULL;

    snprintf(member, sizeof(member), "data/%s/%.200s_%s_config.json", what,
             name, what);
    if (!md_torch_file_has(&p->file, member))
        return MD_OK;
    MD_TRY(read_json(&all, p, member, err));
    *out = json_incref(json_object_get(all, "config"));
    json_decref(all);
    if (!json_is_object(*out))
        return md_fail(err, MD_CORRUPT, "torch: '%.80s' has no 'config'",
                       member);
    return MD_OK;
}

static md_status read_old(pt2 *p, const char *name, int i, md_arena *arena,
                          md_error *err)
{
    md_torch_bytes b;

    if (!md_torch_file_has(&p->file, name))
        return MD_OK;
    MD_TRY(md_torch_file_read(&b, &p->file, name, err));
    if (md_torch_weights_read(&p->old[i], b.p, b.size, arena, err) != MD_OK) {
        /* A model without constants has an empty one. */
        return i == 1 ? MD_OK : md_wrap(err, MD_CORRUPT, "'%s': ", name);
    }
    p->has_old[i] = true;
    return MD_OK;
}

static md_status read_archive(pt2 *p, md_arena *arena, md_error *err)
{
    char name[NAME_SIZE] = "model";
    const char *program = find_program(p, name);

    if (program) {
        MD_TRY(read_json(&p->program, p, program, err));
        MD_TRY(read_config(&p->weights, p, "weights", name, err));
        return read_config(&p->constants, p, "constants", name, err);
    }
    MD_TRY(read_json(&p->program, p, "serialized_exported_program.json", err));
    MD_TRY(read_old(p, "serialized_state_dict.pt", 0, arena, err));
    if (!p->has_old[0])
        MD_TRY(read_old(p, "serialized_state_dict.json", 0, arena, err));
    return read_old(p, "serialized_constants.pt", 1, arena, err);
}

static md_status check_version(const pt2 *p, md_error *err)
{
    const json_t *v = json_object_get(p->program, "schema_version");
    const json_t *major = json_object_get(v, "major");

    if (json_integer_value(major) == 8)
        return MD_OK;
    return md_fail(err, MD_UNSUPPORTED,
                   "torch: schema version %lld, 8 expected (PyTorch 2.5 or "
                   "later)",
                   (long long)json_integer_value(major));
}

static void release(pt2 *p)
{
    json_decref(p->program);
    json_decref(p->weights);
    json_decref(p->constants);
    json_decref(p->symbols);
    for (int i = 0; i < 2; i++) {
        if (p->has_old[i])
            md_torch_weights_release(&p->old[i]);
    }
    md_torch_file_release(&p->file);
}

md_status md_torch_export(const md_torch_task *t, md_error *err)
{
    md_status s;
    pt2 *p = md_arena_calloc(t->arena, 1, sizeof(*p));

    if (!p)
        return md_fail_nomem(err, sizeof(*p));
    MD_TRY(md_torch_file_open(&p->file, t->src->bytes, t->src->size, t->arena,
                              err));
    MD_GOTO(read_archive(p, t->arena, err));
    MD_GOTO(check_version(p, err));
    MD_GOTO(md_torch_begin(&p->b, t, t->model, err));
    p->symbols = json_object();
    emit_program(p);
    s = md_torch_end(&p->b, t, "torch.export",
                     text_of(p->program, "torch_version"));
out:
    release(p);
    return s;
}
