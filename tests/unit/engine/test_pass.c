/* What all passes share. */
#include "support/test.h"

#include "engine/pass.h"
#include "support/build.h"

/* Nodes that hold graphs, singly or in a list, are found, and go like others
 * when nobody reads them. */
static void test_pass__nodes_with_bodies(void **state)
{
    static const struct {
        md_attr_type type;
        uint32_t n_graphs;
        bool holds;
    } cases[] = { { MD_ATTR_INT, 0, false },    { MD_ATTR_GRAPH, 0, false },
                  { MD_ATTR_GRAPH, 1, true },   { MD_ATTR_GRAPHS, 0, false },
                  { MD_ATTR_GRAPHS, 1, true },  { MD_ATTR_GRAPHS, 2, true },
                  { MD_ATTR_TENSORS, 0, false } };
    const int64_t dims[] = { 2 };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = md_build_model(17);
        md_value_id x = md_build_input(m, "x", MD_DTYPE_F32, 1, dims);
        md_value_id y = md_build_node(m, "Relu", 1, &x);
        md_attr a = { .name = "body", .type = cases[i].type };
        md_graph *subs[2] = { NULL, NULL };
        md_node *n = md_build_def(m, y);

        for (uint32_t k = 0; k < cases[i].n_graphs; k++)
            assert_md_ok(md_graph_new(&subs[k], m, m->graph, "body", &err),
                         &err);
        if (a.type == MD_ATTR_GRAPH)
            a.v.g = subs[0];
        if (a.type == MD_ATTR_GRAPHS) {
            a.v.gs = subs;
            a.n = cases[i].n_graphs;
        }
        assert_md_ok(md_node_set_attr_i(m->graph, n, "first", 1, &err), &err);
        assert_md_ok(md_node_add_attr(m->graph, n, &a, &err), &err);
        assert_int_equal(md_pass__has_subgraph(n), cases[i].holds);
        assert_md_ok(md_pass__drop_unused(m->graph, &err), &err);
        assert_int_equal(m->graph->n_nodes, 0);
        md_model_free(m);
    }
}

static void test_pass__unused_chains_go(void **state)
{
    const int64_t dims[] = { 2 };
    md_error err = MD_ERROR_INIT;
    md_model *m = md_build_model(17);
    md_value_id x = md_build_input(m, "x", MD_DTYPE_F32, 1, dims);
    md_value_id y = md_build_node(m, "Relu", 1, &x);
    md_value_id z = md_build_node(m, "Neg", 1, &y);
    md_value_id last = md_build_node(m, "Abs", 1, &z);
    uint32_t *uses;

    (void)state;
    md_build_output(m, y);
    assert_md_ok(md_pass__uses(&uses, m->graph, &err), &err);
    assert_int_equal(uses[x], 1);
    assert_int_equal(uses[y], 2); /* Neg and the output */
    assert_int_equal(uses[z], 1);
    assert_int_equal(uses[last], 0);
    md_free(m->alloc, uses);
    assert_md_ok(md_pass__drop_unused(m->graph, &err), &err);
    assert_int_equal(m->graph->n_nodes, 1);
    assert_string_equal(m->graph->nodes[0]->op, "Relu");
    assert_null(m->graph->values[z].def);
    assert_null(m->graph->values[last].def);
    md_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pass__nodes_with_bodies),
        cmocka_unit_test(test_pass__unused_chains_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
