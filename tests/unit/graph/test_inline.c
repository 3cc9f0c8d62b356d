/* Functions expanded: subgraphs of their bodies, and memory that ends.  What
 * expanded models compute, and which are refused, is tests/e2e's. */
#include "support/test.h"

#include <string.h>

#include "graph/graph.h"
#include "support/fail_alloc.h"

enum {
    N_MAX = 2000
};

static md_value_id value(md_graph *g, const char *name)
{
    md_value_id id = md_graph_find(g, name);
    md_error err = MD_ERROR_INIT;

    if (id == MD_VALUE_NONE)
        assert_md_ok(md_graph_add_value(&id, g, name, &err), &err);
    return id;
}

static md_node *node(md_graph *g, const char *domain, const char *op,
                     const char *in, const char *out)
{
    md_value_id i = value(g, in), o = value(g, out);
    md_error err = MD_ERROR_INIT;
    md_node *n = NULL;

    assert_md_ok(
        md_graph_add_node(
            &n, g, &(md_node_spec){ domain, op, out, &i, 1, &o, 1 }, &err),
        &err);
    return n;
}

static md_graph *branch(md_graph *parent, md_node *n, const char *name)
{
    md_attr a = { .name = name, .type = MD_ATTR_GRAPH };
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_graph_new(&a.v.g, parent->model, parent, name, &err), &err);
    assert_md_ok(md_node_add_attr(parent, n, &a, &err), &err);
    return a.v.g;
}

static void output(md_graph *g, const char *name)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_graph_add_output(g, value(g, name), &err), &err);
}

/* The i-th function of m: "my".name(a) -> (b), body to be filled. */
static md_graph *function(md_model *m, uint32_t i, const char *name)
{
    md_function *f = &m->functions[i];
    md_error err = MD_ERROR_INIT;

    *f = (md_function){ .name = name, .domain = "my", .overload = "" };
    assert_md_ok(md_graph_new(&f->body, m, NULL, name, &err), &err);
    assert_md_ok(md_graph_add_input(f->body, value(f->body, "a"), &err), &err);
    return f->body;
}

/*
 * y = outer(x), where
 *   outer(a): t = Neg(a); b = Choose(t) with a branch
 *     { u = inner(a); w = Choose(t) with a branch { v = Add(u, t, a) } -> v }
 *   inner(a): b = Exp(a)
 */
static md_model *build(const md_alloc *alloc)
{
    md_error err = MD_ERROR_INIT;
    md_graph *body, *then, *deep;
    md_value_id three[3], v;
    md_model *m = NULL;

    assert_md_ok(md_model_new(&m, alloc, 0, &err), &err);
    m->functions = md_arena_calloc(&m->arena, 2, sizeof(*m->functions));
    assert_non_null(m->functions);
    m->n_functions = m->cap_functions = 2;
    body = function(m, 0, "outer");
    node(body, "", "Neg", "a", "t");
    then = branch(body, node(body, "", "Choose", "t", "b"), "then");
    output(body, "b");
    node(then, "my", "inner", "a", "u");
    deep = branch(then, node(then, "", "Choose", "t", "w"), "deep");
    output(then, "w");
    three[0] = value(deep, "u");
    three[1] = value(deep, "t");
    three[2] = value(deep, "a");
    v = value(deep, "v");
    assert_md_ok(md_graph_add_node(
                     NULL, deep,
                     &(md_node_spec){ "", "Add", "v", three, 3, &v, 1 }, &err),
                 &err);
    output(deep, "v");
    assert_md_ok(md_graph_verify(body, &err), &err);
    body = function(m, 1, "inner");
    node(body, "", "Exp", "a", "b");
    output(body, "b");
    assert_md_ok(md_graph_add_input(m->graph, value(m->graph, "x"), &err),
                 &err);
    node(m->graph, "my", "outer", "x", "y");
    output(m->graph, "y");
    assert_md_ok(md_graph_verify(m->graph, &err), &err);
    return m;
}

/* The value's name in g, which must also be what the parent calls it when g
 * does not define it. */
static const char *name_of(const md_graph *g, md_value_id id)
{
    return md_graph_value(g, id)->name;
}

static const md_graph *branch_of(const md_node *n)
{
    md_graph *const *list;

    assert_int_equal(n->n_attr, 1);
    assert_int_equal(md_attr_graphs(&n->attr[0], &list), 1);
    return list[0];
}

static void check_expanded(const md_model *m)
{
    const md_graph *g = m->graph, *then, *deep;
    const md_node *neg, *choose, *add;
    const char *t;

    assert_int_equal(m->n_functions, 0);
    assert_int_equal(g->n_nodes, 2);
    neg = g->nodes[0];
    choose = g->nodes[1];
    assert_string_equal(neg->op, "Neg");
    assert_string_equal(neg->name, "y/t");
    assert_string_equal(name_of(g, neg->in[0]), "x");
    t = name_of(g, neg->out[0]);
    assert_string_equal(name_of(g, choose->out[0]), "y");
    /* Inside: inner's Exp reads the caller's x. */
    then = branch_of(choose);
    assert_ptr_equal(then->parent, g);
    assert_int_equal(then->n_nodes, 2);
    assert_string_equal(then->nodes[0]->op, "Exp");
    assert_string_equal(name_of(then, then->nodes[0]->in[0]), "x");
    /* And the Add inside of that what the branch, the body and the caller
     * have. */
    deep = branch_of(then->nodes[1]);
    assert_ptr_equal(deep->parent, then);
    add = deep->nodes[0];
    assert_string_equal(name_of(deep, add->in[0]),
                        name_of(then, then->nodes[0]->out[0]));
    assert_string_equal(name_of(deep, add->in[1]), t);
    assert_string_equal(name_of(deep, add->in[2]), "x");
}

static void test_inline__branches_read_what_they_read(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = build(md_alloc_default());

    (void)state;
    assert_md_ok(md_model_inline(m, &err), &err);
    check_expanded(m);
    assert_md_ok(md_graph_verify(m->graph, &err), &err);
    /* Nothing is left to do. */
    assert_md_ok(md_model_inline(m, &err), &err);
    check_expanded(m);
    md_model_free(m);
}

static void test_inline__arguments_left_out_are_not_read(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = build(md_alloc_default());

    (void)state;
    m->graph->nodes[0]->n_in = 0;
    assert_md_fails(md_model_inline(m, &err), MD_UNSUPPORTED, &err,
                    "function 'outer': a subgraph reads 'a', which the call "
                    "leaves out");
    md_model_free(m);
}

/* y = my.f:overload(x), where f:"" is Neg and f:"fast" is Exp. */
static md_model *build_overloads(const char *overload)
{
    static const char *const op[] = { "Neg", "Exp" };
    static const char *const overloads[] = { "", "fast" };
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;

    assert_md_ok(md_model_new(&m, md_alloc_default(), 0, &err), &err);
    m->functions = md_arena_calloc(&m->arena, 2, sizeof(*m->functions));
    assert_non_null(m->functions);
    m->n_functions = m->cap_functions = 2;
    for (uint32_t i = 0; i < 2; i++) {
        md_graph *body = function(m, i, "f");

        m->functions[i].overload = overloads[i];
        node(body, "", op[i], "a", "b");
        output(body, "b");
    }
    assert_md_ok(md_graph_add_input(m->graph, value(m->graph, "x"), &err),
                 &err);
    node(m->graph, "my", "f", "x", "y")->overload = overload;
    output(m->graph, "y");
    return m;
}

static void test_inline__overloads_are_functions_of_their_own(void **state)
{
    static const char *const cases[][2] = { { "", "Neg" }, { "fast", "Exp" } };
    md_error err = MD_ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_model *m = build_overloads(cases[i][0]);

        assert_md_ok(md_model_inline(m, &err), &err);
        assert_int_equal(m->graph->n_nodes, 1);
        assert_string_equal(m->graph->nodes[0]->op, cases[i][1]);
        md_model_free(m);
    }
}

static void test_inline__overloads_that_nobody_has(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = build_overloads("slow");

    (void)state;
    assert_md_fails(md_model_inline(m, &err), MD_CORRUPT, &err,
                    "node 'y' (f): the model has no function 'f' of domain "
                    "'my' with overload 'slow'");
    md_model_free(m);
    /* Not even one function: it is no operator either. */
    m = build_overloads("slow");
    m->n_functions = 0;
    assert_md_fails(md_model_inline(m, &err), MD_CORRUPT, &err,
                    "with overload 'slow'");
    md_model_free(m);
    m = build_overloads("");
    m->functions[0].overload = "fast";
    assert_md_fails(md_model_inline(m, &err), MD_CORRUPT, &err,
                    "function 'f:fast' of domain 'my' is defined twice");
    md_model_free(m);
}

static void test_inline__graphs_in_graphs_are_bounded(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = build(md_alloc_default());
    md_graph *g = m->functions[1].body;

    (void)state;
    for (int i = 0; i < 70; i++)
        g = branch(g, node(g, "", "Choose", "a", "n"), "more");
    assert_md_fails(md_model_inline(m, &err), MD_TOO_LARGE, &err,
                    "graphs nested deeper than 64");
    md_model_free(m);
}

static void test_inline__out_of_memory(void **state)
{
    bool failed = true;

    (void)state;
    for (int64_t n = 0; failed; n++) {
        md_error err = MD_ERROR_INIT;
        fail_alloc fa;
        md_model *m;
        md_status s;

        fail_alloc_init(&fa);
        m = build(&fa.alloc);
        fail_alloc_arm(&fa, n);
        s = md_model_inline(m, &err);
        failed = fail_alloc_disarm(&fa);
        assert_true(n < N_MAX);
        if (failed)
            assert_md_fails(s, MD_NOMEM, &err, "");
        else
            check_expanded(m);
        md_model_free(m);
        assert_int_equal(atomic_load(&fa.n_live), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inline__branches_read_what_they_read),
        cmocka_unit_test(test_inline__arguments_left_out_are_not_read),
        cmocka_unit_test(test_inline__overloads_are_functions_of_their_own),
        cmocka_unit_test(test_inline__overloads_that_nobody_has),
        cmocka_unit_test(test_inline__graphs_in_graphs_are_bounded),
        cmocka_unit_test(test_inline__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
