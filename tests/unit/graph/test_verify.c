/* Order and structure with subgraphs: what bodies capture is an input too. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "graph/graph.h"

static md_model *new_model(void)
{
    md_model *m = NULL;
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_model_new(&m, md_alloc_default(), 0, &err), &err);
    return m;
}

/* The value of this name, made when it is new. */
static md_value_id value(md_graph *g, const char *name)
{
    md_error err = MD_ERROR_INIT;
    md_value_id id = md_graph_find(g, name);

    if (id == MD_VALUE_NONE)
        assert_md_ok(md_graph_add_value(&id, g, name, &err), &err);
    return id;
}

static void input(md_graph *g, const char *name)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_graph_add_input(g, value(g, name), &err), &err);
}

static void output(md_graph *g, const char *name)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_graph_add_output(g, value(g, name), &err), &err);
}

/* out = op(in); in may be NULL. */
static md_node *node(md_graph *g, const char *op, const char *in,
                     const char *out)
{
    md_error err = MD_ERROR_INIT;
    md_node *n = NULL;
    md_value_id from = in ? value(g, in) : MD_VALUE_NONE;
    md_value_id to = value(g, out);

    assert_md_ok(md_graph_add_node(
                     &n, g,
                     &(md_node_spec){ "", op, op, &from, in != NULL, &to, 1 },
                     &err),
                 &err);
    return n;
}

/* A body of g that returns Abs(reads), called `name` inside. */
static md_graph *body(md_graph *g, const char *reads, const char *name)
{
    md_error err = MD_ERROR_INIT;
    md_graph *sub = NULL;

    assert_md_ok(md_graph_new(&sub, g->model, g, "body", &err), &err);
    node(sub, "Abs", reads, name);
    output(sub, name);
    return sub;
}

static void attach(md_graph *g, md_node *n, md_graph *sub)
{
    md_error err = MD_ERROR_INIT;
    md_attr a = { .name = "body", .type = MD_ATTR_GRAPH, .v.g = sub };

    assert_md_ok(md_node_add_attr(g, n, &a, &err), &err);
}

/* The same as one list; `subs` lives as long as the model is used. */
static void attach_list(md_graph *g, md_node *n, md_graph *const *subs,
                        uint32_t n_subs)
{
    md_error err = MD_ERROR_INIT;
    md_attr a = {
        .name = "bodies", .type = MD_ATTR_GRAPHS, .n = n_subs, .v.gs = subs
    };

    assert_md_ok(md_node_add_attr(g, n, &a, &err), &err);
}

static void test_verify__a_capture_is_computed_first(void **state)
{
    (void)state;
    for (int list = 0; list < 2; list++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = new_model();
        md_graph *g = m->graph;
        md_node *n;
        md_graph *subs[2];

        input(g, "x");
        n = node(g, "If", "x", "y");
        subs[0] = body(g, "x", "p");
        subs[1] = body(g, "late", "q");
        if (list)
            attach_list(g, n, subs, 2);
        else
            attach(g, n, subs[1]);
        node(g, "Neg", "x", "late");
        output(g, "y");
        assert_md_ok(md_graph_verify(g, &err), &err);
        assert_string_equal(g->nodes[0]->op, "Neg");
        assert_string_equal(g->nodes[1]->op, "If");
        md_model_free(m);
    }
}

static void test_verify__captures_of_nested_bodies_count(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_graph *g = m->graph;
    md_graph *outer, *inner;

    (void)state;
    input(g, "x");
    outer = body(g, "x", "p");
    inner = body(outer, "late", "q");
    attach_list(outer, outer->nodes[0], &inner, 1);
    attach_list(g, node(g, "Loop", "x", "y"), &outer, 1);
    node(g, "Neg", "x", "late");
    output(g, "y");
    assert_md_ok(md_graph_verify(g, &err), &err);
    assert_string_equal(g->nodes[0]->op, "Neg");
    assert_int_equal(md_graph_count_uses(g, md_graph_find(g, "late")), 1);
    md_model_free(m);
}

static void test_verify__a_body_that_captures_its_own_result(void **state)
{
    (void)state;
    for (int list = 0; list < 2; list++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = new_model();
        md_graph *g = m->graph;
        md_node *n;
        md_graph *sub;

        input(g, "x");
        n = node(g, "If", "x", "y");
        sub = body(g, "y", "p");
        if (list)
            attach_list(g, n, &sub, 1);
        else
            attach(g, n, sub);
        assert_md_fails(md_graph_verify(g, &err), MD_CORRUPT, &err,
                        "node 'If' (If) is on a cycle or behind one");
        md_model_free(m);
    }
}

/* "t" of the outer body hides "t" of the main graph from the inner one. */
static void test_verify__the_nearest_definition_is_meant(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_graph *g = m->graph;
    md_graph *outer;

    (void)state;
    input(g, "x");
    outer = body(g, "x", "t");
    attach(outer, node(outer, "If", "t", "u"), body(outer, "t", "q"));
    attach(g, node(g, "Loop", "x", "t"), outer);
    output(g, "t");
    assert_md_ok(md_graph_verify(g, &err), &err);
    md_model_free(m);
}

static void test_verify__bodies_are_checked(void **state)
{
    (void)state;
    for (int list = 0; list < 2; list++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = new_model();
        md_graph *g = m->graph;
        md_graph *sub = body(g, "nowhere", "p");
        md_node *n;

        input(g, "x");
        n = node(g, "If", "x", "y");
        if (list)
            attach_list(g, n, &sub, 1);
        else
            attach(g, n, sub);
        assert_md_fails(md_graph_verify(g, &err), MD_CORRUPT, &err,
                        "node 'Abs' reads 'nowhere', which nothing produces");
        md_model_free(m);
    }
}

/* A name that the parent knows but nothing there produces is no definition. */
static void test_verify__a_known_name_is_not_a_value(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_graph *g = m->graph;

    (void)state;
    input(g, "x");
    (void)value(g, "only_described");
    attach(g, node(g, "If", "x", "y"), body(g, "only_described", "p"));
    assert_md_fails(md_graph_verify(g, &err), MD_CORRUPT, &err,
                    "reads 'only_described', which nothing produces");
    md_model_free(m);
}

static void test_verify__outputs_and_ids(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_graph *g = m->graph;

    (void)state;
    input(g, "x");
    output(g, "y");
    assert_md_fails(md_graph_verify(g, &err), MD_CORRUPT, &err,
                    "graph output 'y' reads 'y', which nothing produces");
    node(g, "Relu", "x", "y")->in[0] = 77;
    assert_md_fails(md_graph_verify(g, &err), MD_CORRUPT, &err,
                    "node 'Relu' reads value 77 of 2");
    md_model_free(m);
}

/* Ids of no value, in each place that holds one. */
static void test_verify__ids_out_of_range(void **state)
{
    static const md_value_id ids[] = { 2, 3, 77, UINT32_MAX - 1, UINT32_MAX };
    static const struct {
        const char *where, *text;
        bool may_be_none;
    } cases[] = {
        { "in", "node 'Relu' reads value %u of 2", true },
        { "out", "node 'Relu' writes value %u of 2", true },
        { "inputs", "graph input 0 is value %u of 2", false },
        { "outputs", "graph output 0 is value %u of 2", false },
    };

    (void)state;
    for (size_t c = 0; c < MD_COUNT(cases); c++) {
        for (size_t i = 0; i < MD_COUNT(ids); i++) {
            md_error err = MD_ERROR_INIT;
            md_model *m = new_model();
            md_graph *g = m->graph;
            char text[80];
            md_node *n;

            input(g, "x");
            n = node(g, "Relu", "x", "y");
            output(g, "y");
            if (c == 0)
                n->in[0] = ids[i];
            else if (c == 1)
                n->out[0] = ids[i];
            else if (c == 2)
                g->inputs[0] = ids[i];
            else
                g->outputs[0] = ids[i];
            snprintf(text, sizeof(text), cases[c].text, ids[i]);
            if (ids[i] == MD_VALUE_NONE && cases[c].may_be_none)
                assert_md_ok(md_graph_verify(g, &err), &err);
            else
                assert_md_fails(md_graph_verify(g, &err), MD_CORRUPT, &err,
                                text);
            md_model_free(m);
        }
    }
}

/* A second producer can only be written into the arrays: adding it fails. */
static void test_verify__a_value_has_one_producer(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_graph *g = m->graph;

    (void)state;
    input(g, "x");
    node(g, "Relu", "x", "y");
    node(g, "Abs", "x", "z")->out[0] = value(g, "y");
    assert_md_fails(md_graph_verify(g, &err), MD_CORRUPT, &err,
                    "node 'Abs' writes 'y', which something else produces");
    g->nodes[1]->out[0] = value(g, "x");
    assert_md_fails(md_graph_verify(g, &err), MD_CORRUPT, &err,
                    "node 'Abs' writes 'x', which something else produces");
    md_model_free(m);
}

static void test_verify__a_sorted_list_keeps_its_order(void **state)
{
    static const char *const names[] = { "a", "b", "c", "d" };
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_graph *g = m->graph;

    (void)state;
    input(g, "x");
    for (int i = 0; i < 4; i++) /* independent of each other */
        node(g, names[i], "x", names[i]);
    assert_md_ok(md_graph_verify(g, &err), &err);
    for (int i = 0; i < 4; i++)
        assert_string_equal(g->nodes[i]->op, names[i]);
    md_model_free(m);
}

static void test_verify__prints_the_listing(void **state)
{
    static const char want[] =
        "graph '' (%0 'x' unknown)\n"
        "  %1 'y' unknown = com.x.Op(%0 'x' unknown, -, %2 'w' int64[2] "
        "const)\n"
        "  return %1 'y' unknown\n";
    const int64_t data[] = { 1, 2 };
    md_tensor w = { .dtype = MD_DTYPE_I64,
                    .shape = { 1, { 2 } },
                    .data = (void *)(uintptr_t)data };
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_graph *g = m->graph;
    md_value_id in[3] = { 0, MD_VALUE_NONE, 2 };
    md_value_id out;
    md_buf buf;

    (void)state;
    input(g, "x");
    out = value(g, "y");
    assert_md_ok(md_graph_add_const(&in[2], g, "w", w, &err), &err);
    assert_md_ok(md_graph_add_node(
                     NULL, g,
                     &(md_node_spec){ "com.x", "Op", NULL, in, 3, &out, 1 },
                     &err),
                 &err);
    output(g, "y");
    md_buf_init(&buf, md_alloc_default(), 4096);
    assert_md_ok(md_graph_print(g, &buf, &err), &err);
    assert_string_equal((char *)buf.data, want);
    md_buf_release(&buf);
    md_buf_init(&buf, md_alloc_default(), sizeof(want) - 2);
    assert_md_fails(md_graph_print(g, &buf, &err), MD_TOO_LARGE, &err, "limit");
    md_buf_release(&buf);
    md_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify__a_capture_is_computed_first),
        cmocka_unit_test(test_verify__captures_of_nested_bodies_count),
        cmocka_unit_test(test_verify__a_body_that_captures_its_own_result),
        cmocka_unit_test(test_verify__the_nearest_definition_is_meant),
        cmocka_unit_test(test_verify__bodies_are_checked),
        cmocka_unit_test(test_verify__a_known_name_is_not_a_value),
        cmocka_unit_test(test_verify__outputs_and_ids),
        cmocka_unit_test(test_verify__ids_out_of_range),
        cmocka_unit_test(test_verify__a_value_has_one_producer),
        cmocka_unit_test(test_verify__a_sorted_list_keeps_its_order),
        cmocka_unit_test(test_verify__prints_the_listing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
