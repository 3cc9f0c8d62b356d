#include "support/onnx_sample.h"

#include <string.h>

#include "support/test.h"

static void put_names(md_pb_writer *w, uint32_t number, const char *names)
{
    while (*names) {
        size_t n = strcspn(names, " ");
        bool absent = n == 1 && names[0] == '-';

        md_pb_put_bytes(w, number, names, absent ? 0 : n);
        names += n;
        names += *names == ' ';
    }
}

void md_test_put_node(md_pb_writer *w, uint32_t number, const char *op,
                      const char *in, const char *out)
{
    md_pb_mark node = md_pb_begin(w, number);

    put_names(w, 1, in);
    put_names(w, 2, out);
    md_pb_put_text(w, 4, op);
    md_pb_end(w, node);
}

void md_test_put_value(md_pb_writer *w, uint32_t number, const char *name,
                       int dtype, const int64_t *dims, size_t n_dims)
{
    md_pb_mark value = md_pb_begin(w, number);
    md_pb_mark type;
    md_pb_mark tensor;
    md_pb_mark shape;

    md_pb_put_text(w, 1, name);
    type = md_pb_begin(w, 2);
    tensor = md_pb_begin(w, 1);
    md_pb_put_int(w, 1, dtype);
    shape = md_pb_begin(w, 2);
    for (size_t i = 0; i < n_dims; i++) {
        md_pb_mark dim = md_pb_begin(w, 1);

        md_pb_put_int(w, 1, dims[i]);
        md_pb_end(w, dim);
    }
    md_pb_end(w, shape);
    md_pb_end(w, tensor);
    md_pb_end(w, type);
    md_pb_end(w, value);
}

void md_test_put_tensor(md_pb_writer *w, uint32_t number, const char *name,
                        int dtype, const int64_t *dims, size_t n_dims,
                        const void *raw, size_t size)
{
    md_pb_mark tensor = md_pb_begin(w, number);

    md_pb_put_ints(w, 1, dims, n_dims);
    md_pb_put_int(w, 2, dtype);
    md_pb_put_text(w, 8, name);
    if (raw)
        md_pb_put_bytes(w, 9, raw, size);
    md_pb_end(w, tensor);
}

md_pb_mark md_test_begin_model(md_pb_writer *w, int ir_version)
{
    md_pb_mark opset;

    md_pb_put_int(w, 1, ir_version);
    opset = md_pb_begin(w, 8);
    md_pb_put_text(w, 1, "");
    md_pb_put_int(w, 2, 17);
    md_pb_end(w, opset);
    return md_pb_begin(w, 7);
}

/* The sample, made with the graph's own functions. */

static md_value_id add(md_graph *g, const char *name)
{
    md_error err = MD_ERROR_INIT;
    md_value_id id;

    assert_md_ok(md_graph_add_value(&id, g, name, &err), &err);
    return id;
}

static md_node *add_node(md_graph *g, const char *domain, const char *op,
                         const md_value_id *in, uint32_t n_in, md_value_id out)
{
    md_error err = MD_ERROR_INIT;
    md_node *n;

    assert_md_ok(
        md_graph_add_node(
            &n, g, &(md_node_spec){ domain, op, op, in, n_in, &out, 1 }, &err),
        &err);
    return n;
}

static void add_attr(md_graph *g, md_node *n, md_attr a)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_node_add_attr(g, n, &a, &err), &err);
}

/* A subgraph that adds its constant to x of the graph above. */
static md_graph *make_branch(md_graph *parent, float v)
{
    static float data[2];
    md_error err = MD_ERROR_INIT;
    float *value = v > 0.0f ? &data[0] : &data[1];
    md_tensor t = { .dtype = MD_DTYPE_F32, .shape = { 0 }, .data = value };
    md_value_id in[2];
    md_value_id out;
    md_graph *g;

    *value = v;
    assert_md_ok(md_graph_new(&g, parent->model, parent, "branch", &err), &err);
    in[0] = add(g, "x");
    assert_md_ok(md_graph_add_const(&in[1], g, v > 0.0f ? "c1" : "c2", t, &err),
                 &err);
    out = add(g, v > 0.0f ? "y1" : "y2");
    add_node(g, "", "Add", in, 2, out);
    assert_md_ok(md_graph_add_output(g, out, &err), &err);
    return g;
}

static void add_function(md_model *m)
{
    static md_function f;
    static md_opset opset = { "", 17 };
    static const char *names[] = { "slope" };
    static md_attr defaults[1];
    md_error err = MD_ERROR_INIT;
    md_value_id in;
    md_value_id out;
    md_node *n;

    f = (md_function){ .name = "Leaky", .domain = "local", .overload = "" };
    assert_md_ok(md_graph_new(&f.body, m, NULL, "", &err), &err);
    in = add(f.body, "a");
    out = add(f.body, "b");
    assert_md_ok(md_graph_add_input(f.body, in, &err), &err);
    n = add_node(f.body, "", "LeakyRelu", &in, 1, out);
    add_attr(
        f.body, n,
        (md_attr){ .name = "alpha", .type = MD_ATTR_FLOAT, .ref = "slope" });
    assert_md_ok(md_graph_add_output(f.body, out, &err), &err);
    defaults[0] =
        (md_attr){ .name = "bias", .type = MD_ATTR_FLOAT, .v.f = 0.5f };
    f.attr_names = names;
    f.n_attrs = 1;
    f.attr_defaults = defaults;
    f.n_attr_defaults = 1;
    f.opsets = &opset;
    f.n_opsets = 1;
    m->functions = &f;
    m->n_functions = 1;
}

/* A node with each kind of attribute that is not a graph. */
static void add_attrs(md_graph *g, md_node *n)
{
    static const float floats[] = { 0.5f, -1.0f };
    static const int64_t ints[] = { -1, 0, 7 };
    static const md_str strings[] = { { "one", 3 }, { "", 0 } };
    static int64_t data[] = { 3, 4 };
    static const md_tensor t = { .dtype = MD_DTYPE_I64,
                                 .shape = { 1, { 2 } },
                                 .data = data };
    static const md_tensor *const tensors[] = { &t, &t };
    static const md_type type = { .dtype = MD_DTYPE_F16, .has_rank = true };

    add_attr(g, n, (md_attr){ .name = "f", .type = MD_ATTR_FLOAT, .v.f = 2.f });
    add_attr(g, n, (md_attr){ .name = "i", .type = MD_ATTR_INT, .v.i = -3 });
    add_attr(
        g, n,
        (md_attr){ .name = "s", .type = MD_ATTR_STRING, .v.s = { "text", 4 } });
    add_attr(g, n, (md_attr){ .name = "t", .type = MD_ATTR_TENSOR, .v.t = &t });
    add_attr(
        g, n,
        (md_attr){
            .name = "fs", .type = MD_ATTR_FLOATS, .n = 2, .v.fs = floats });
    add_attr(
        g, n,
        (md_attr){ .name = "is", .type = MD_ATTR_INTS, .n = 3, .v.is = ints });
    add_attr(
        g, n,
        (md_attr){
            .name = "ss", .type = MD_ATTR_STRINGS, .n = 2, .v.ss = strings });
    add_attr(
        g, n,
        (md_attr){
            .name = "ts", .type = MD_ATTR_TENSORS, .n = 2, .v.ts = tensors });
    add_attr(g, n,
             (md_attr){ .name = "tp",
                        .type = MD_ATTR_TYPE_PROTO,
                        .v.type_proto = &type });
}

static md_type type_of_input(md_model *m)
{
    md_type t = { .dtype = MD_DTYPE_F32, .has_rank = true, .rank = 3 };
    md_error err = MD_ERROR_INIT;

    t.dim[0].scale = t.dim[2].scale = 1;
    assert_md_ok(md_model_symbol(&t.dim[0].sym, m, "batch", &err), &err);
    t.dim[1] = MD_DIM(3);
    assert_md_ok(md_model_symbol(&t.dim[2].sym, m, NULL, &err), &err);
    return t;
}

static void fill_graph(md_graph *g)
{
    static const md_str words[] = { { "a", 1 }, { "\xc3\xa9", 2 } };
    static float weight[6] = { 1, 2, 3, 4, 5, 6 };
    md_tensor text = { .dtype = MD_DTYPE_STRING,
                       .shape = { 1, { 2 } },
                       .data = (void *)words };
    md_tensor w = { .dtype = MD_DTYPE_F32,
                    .shape = { 2, { 3, 2 } },
                    .data = weight };
    md_error err = MD_ERROR_INIT;
    md_value_id x = add(g, "x");
    md_value_id cond = add(g, "cond");
    md_value_id in[3] = { x, MD_VALUE_NONE, MD_VALUE_NONE };
    md_value_id id;
    md_node *n;

    md_graph_value(g, x)->type = type_of_input(g->model);
    md_graph_value(g, cond)->type =
        (md_type){ .dtype = MD_DTYPE_BOOL, .has_rank = true };
    assert_md_ok(md_graph_add_input(g, x, &err), &err);
    assert_md_ok(md_graph_add_input(g, cond, &err), &err);
    assert_md_ok(md_graph_add_const(&in[2], g, "w", w, &err), &err);
    id = add(g, "custom");
    n = add_node(g, "com.example", "Everything", in, 3, id);
    add_attrs(g, n);
    assert_md_ok(md_graph_add_const(&in[1], g, "words", text, &err), &err);
    in[0] = id;
    id = add(g, "called");
    add_node(g, "local", "Leaky", in, 2, id);
    md_graph_value(g, id)->type = (md_type){ .kind = MD_KIND_OPTIONAL,
                                             .of = MD_KIND_SEQUENCE,
                                             .dtype = MD_DTYPE_F32 };
    assert_md_ok(md_graph_add_output(g, id, &err), &err);
    id = add(g, "chosen");
    n = add_node(g, "", "If", &cond, 1, id);
    add_attr(g, n,
             (md_attr){ .name = "then_branch",
                        .type = MD_ATTR_GRAPH,
                        .v.g = make_branch(g, 1.0f) });
    add_attr(g, n,
             (md_attr){ .name = "else_branch",
                        .type = MD_ATTR_GRAPH,
                        .v.g = make_branch(g, -1.0f) });
    md_graph_value(g, id)->type = type_of_input(g->model);
    assert_md_ok(md_graph_add_output(g, id, &err), &err);
}

md_model *md_test_sample(void)
{
    md_error err = MD_ERROR_INIT;
    md_model *m;

    assert_md_ok(md_model_new(&m, md_alloc_default(), 0, &err), &err);
    m->ir_version = 8;
    m->producer_name = "modeld tests";
    m->producer_version = "1";
    m->domain = "example";
    m->model_version = 3;
    m->doc = "one of everything";
    assert_md_ok(md_model_set_opset(m, "", 17, &err), &err);
    assert_md_ok(md_model_set_opset(m, "local", 1, &err), &err);
    assert_md_ok(md_model_set_opset(m, "com.example", 2, &err), &err);
    assert_md_ok(md_model_set_meta(m, "key", "value", &err), &err);
    fill_graph(m->graph);
    add_function(m);
    return m;
}
