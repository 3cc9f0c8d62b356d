#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "graph/graph.h"

static md_model *new_model(void)
{
    md_model *m = NULL;
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_model_new(&m, md_alloc_default(), 0, &err), &err);
    return m;
}

static md_value_id value(md_graph *g, const char *name)
{
    md_error err = MD_ERROR_INIT;
    md_value_id id = MD_VALUE_NONE;

    assert_md_ok(md_graph_add_value(&id, g, name, &err), &err);
    return id;
}

static md_node *node(md_graph *g, const char *op, md_value_id in,
                     md_value_id out)
{
    md_error err = MD_ERROR_INIT;
    md_node *n = NULL;

    assert_md_ok(
        md_graph_add_node(&n, g, &(md_node_spec){ "", op, op, &in, 1, &out, 1 },
                          &err),
        &err);
    return n;
}

static void test_graph__names_are_found_and_unique(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_value_id id;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        char name[16];

        snprintf(name, sizeof(name), "v%d", i);
        assert_int_equal(value(m->graph, name), i);
    }
    assert_int_equal(md_graph_find(m->graph, "v4999"), 4999);
    assert_int_equal(md_graph_find(m->graph, "v5000"), MD_VALUE_NONE);
    assert_md_fails(md_graph_add_value(&id, m->graph, "v7", &err), MD_CORRUPT,
                    &err, "'v7' is defined twice");
    assert_md_ok(md_graph_add_unique(&id, m->graph, "v7", &err), &err);
    assert_true(id == 5000);
    md_model_free(m);
}

static void test_graph__sort_orders_and_finds_cycles(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_graph *g = m->graph;
    md_value_id a = value(g, "a"), b = value(g, "b"), c = value(g, "c");
    md_value_id x = value(g, "x"), y = value(g, "y");

    (void)state;
    assert_md_ok(md_graph_add_input(g, a, &err), &err);
    node(g, "Second", b, c);
    node(g, "First", a, b);
    assert_md_ok(md_graph_add_output(g, c, &err), &err);
    assert_md_ok(md_graph_verify(g, &err), &err);
    assert_string_equal(g->nodes[0]->op, "First");
    node(g, "LoopA", x, y);
    node(g, "LoopB", y, x);
    assert_md_fails(md_graph_verify(g, &err), MD_CORRUPT, &err, "cycle");
    md_model_free(m);
}

static void test_graph__undefined_values_are_named(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_value_id a = value(m->graph, "a"), b = value(m->graph, "b");

    (void)state;
    node(m->graph, "Relu", a, b);
    assert_md_fails(md_graph_verify(m->graph, &err), MD_CORRUPT, &err,
                    "reads 'a', which nothing produces");
    md_model_free(m);
}

static void test_graph__a_value_has_one_producer(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_value_id a = value(m->graph, "a"), b = value(m->graph, "b");

    (void)state;
    node(m->graph, "Relu", a, b);
    assert_md_fails(
        md_graph_add_node(NULL, m->graph,
                          &(md_node_spec){ "", "Abs", "", &a, 1, &b, 1 }, &err),
        MD_CORRUPT, &err, "'b' is produced more than once");
    md_model_free(m);
}

/* A node that is refused defines nothing, also not its other results. */
static void test_graph__a_refused_node_leaves_no_trace(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_graph *g = m->graph;
    md_value_id a = value(g, "a"), taken = value(g, "taken");
    md_value_id fresh = value(g, "fresh");
    const md_value_id cases[][3] = { { fresh, MD_VALUE_NONE, taken },
                                     { fresh, MD_VALUE_NONE, fresh } };

    (void)state;
    assert_md_ok(md_graph_add_input(g, a, &err), &err);
    node(g, "Relu", a, taken);
    for (int i = 0; i < 2; i++) {
        assert_md_fails(md_graph_add_node(NULL, g,
                                          &(md_node_spec){ "", "Split", "", &a,
                                                           1, cases[i], 3 },
                                          &err),
                        MD_CORRUPT, &err, "is produced more than once");
        assert_null(g->values[fresh].def);
        assert_int_equal(g->n_nodes, 1);
    }
    node(g, "Abs", a, fresh);
    assert_int_equal(g->n_nodes, 2);
    md_model_free(m);
}

/* Every call fails once for want of memory, then succeeds; names from before
 * are found whatever it was that could not grow. */
static void test_graph__goes_on_after_a_failed_allocation(void **state)
{
    enum {
        N_VALUES = 600
    };
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_graph *g = m->graph;
    md_value_id id, last = 0;

    (void)state;
    for (uint32_t i = 0; i < N_VALUES; i++) {
        char name[16];

        snprintf(name, sizeof(name), "v%u", i);
        m->arena.limit = m->arena.used;
        assert_md_fails(md_graph_add_value(&id, g, name, &err), MD_NOMEM, &err,
                        "out of memory");
        assert_int_equal(g->n_values, i);
        assert_int_equal(md_graph_find(g, name), MD_VALUE_NONE);
        assert_int_equal(md_graph_find(g, "v0"), i ? 0 : MD_VALUE_NONE);
        m->arena.limit = 0;
        assert_int_equal(value(g, name), i);
        if (i == 0)
            continue;
        m->arena.limit = m->arena.used;
        assert_md_fails(md_graph_add_node(
                            NULL, g,
                            &(md_node_spec){ "", "Op", name, &last, 1, &i, 1 },
                            &err),
                        MD_NOMEM, &err, "out of memory");
        m->arena.limit = 0;
        node(g, "Op", last, i);
        last = i;
    }
    assert_int_equal(g->n_nodes, N_VALUES - 1);
    assert_int_equal(md_graph_find(g, "v599"), 599);
    assert_md_fails(md_graph_add_value(&id, g, "v31", &err), MD_CORRUPT, &err,
                    "'v31' is defined twice");
    md_model_free(m);
}

static void test_graph__unique_names(void **state)
{
    static const char *const wanted[] = { "x_0", "x_3", "_4", "x_5" };
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_graph *g = m->graph;
    md_value_id id;

    (void)state;
    assert_md_ok(md_graph_add_unique(&id, g, "x", &err), &err);
    assert_string_equal(g->values[id].name, wanted[0]);
    value(g, "x_2");
    value(g, "_3");
    assert_md_ok(md_graph_add_unique(&id, g, "x", &err), &err);
    assert_string_equal(g->values[id].name, wanted[1]);
    assert_md_ok(md_graph_add_unique(&id, g, "", &err), &err);
    assert_string_equal(g->values[id].name, wanted[2]);
    assert_md_ok(md_graph_add_unique(&id, g, "x", &err), &err);
    assert_string_equal(g->values[id].name, wanted[3]);
    md_model_free(m);
}

/* Long stems are cut where a character ends, at every length around 120. */
static void test_graph__unique_names_split_no_character(void **state)
{
    static const char *const runes[] = { "y", "\xc3\xa4", "\xe4\xb8\xad",
                                         "\xf0\x9f\x98\x80" };
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();

    (void)state;
    for (size_t r = 0; r < MD_COUNT(runes); r++) {
        for (int pad = 0; pad < 4; pad++) {
            size_t n = strlen(runes[r]);
            char stem[400] = "";
            md_value_id id;
            const char *name;

            memset(stem, 'p', (size_t)pad);
            for (int i = 0; i < 90; i++)
                memcpy(stem + (size_t)pad + (size_t)i * n, runes[r], n);
            assert_md_ok(md_graph_add_unique(&id, m->graph, stem, &err), &err);
            name = m->graph->values[id].name;
            assert_true(md_utf8_valid(name, strlen(name)));
            /* as much as fits */
            n = (size_t)pad +
                (120 - (size_t)pad) / n * n; /* not all stems are that long */
            if (n > strlen(stem))
                n = strlen(stem);
            assert_memory_equal(name, stem, n);
            assert_int_equal(name[n], '_');
        }
    }
    md_model_free(m);
}

/* Names that are taken in advance are passed once, not once for each call. */
static void test_graph__unique_names_in_linear_time(void **state)
{
    enum {
        N = 100000
    };
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    char name[24];

    (void)state;
    for (uint32_t i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "x_%u", i + N);
        value(m->graph, name);
    }
    for (uint32_t i = 0; i < N; i++) {
        md_value_id id;

        assert_md_ok(md_graph_add_unique(&id, m->graph, "x", &err), &err);
        assert_int_equal(id, i + N);
    }
    md_model_free(m);
}

static void test_graph__owned_constants_are_freed(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_shape shape = { 1, { 4 } };
    md_value_id id;
    uint64_t before = md_mem_stat_get(MD_MEM_weights).bytes;

    (void)state;
    for (int i = 0; i < 10; i++) {
        md_tensor t;

        assert_md_ok(md_tensor_alloc(&t, MD_DTYPE_F32, &shape,
                                     md_alloc_tagged(MD_MEM_weights), &err),
                     &err);
        assert_md_ok(md_graph_add_const(&id, m->graph, "", t, &err), &err);
    }
    assert_true(md_mem_stat_get(MD_MEM_weights).bytes > before);
    assert_int_equal(m->graph->values[id].type.dim[0].k, 4);
    md_model_free(m);
    assert_int_equal(md_mem_stat_get(MD_MEM_weights).bytes, before);
}

static void test_graph__attributes(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_graph *g = m->graph;
    md_node *n = node(g, "Conv", value(g, "a"), value(g, "b"));
    const int64_t pads[] = { 1, 2, 3 };
    uint32_t n_pads;

    (void)state;
    assert_md_ok(md_node_set_attr_i(g, n, "group", 4, &err), &err);
    assert_md_ok(md_node_set_attr_i(g, n, "group", 5, &err), &err);
    assert_md_ok(md_node_set_attr_s(g, n, "auto_pad", "SAME_UPPER", &err),
                 &err);
    assert_md_ok(md_node_set_attr_f(g, n, "alpha", 0.5f, &err), &err);
    assert_md_ok(md_node_set_attr_is(g, n, "pads", pads, 3, &err), &err);
    assert_int_equal(n->n_attr, 4);
    assert_int_equal(md_node_attr_i(n, "group", 1), 5);
    assert_int_equal(md_node_attr_i(n, "auto_pad", 9), 9); /* other type */
    assert_string_equal(md_node_attr_s(n, "auto_pad", ""), "SAME_UPPER");
    assert_int_equal(md_node_attr_is(n, "pads", &n_pads)[2], 3);
    assert_int_equal(n_pads, 3);
    assert_null(md_node_attr_is(n, "none", &n_pads));
    md_model_free(m);
}

static void test_graph__prints_types_and_symbols(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_graph *g = m->graph;
    md_value_id a = value(g, "a");
    md_buf buf;
    uint32_t sym;

    (void)state;
    assert_md_ok(md_model_symbol(&sym, m, "batch", &err), &err);
    g->values[a].type = (md_type){ .dtype = MD_DTYPE_F32,
                                   .has_rank = true,
                                   .rank = 2,
                                   .dim = { { 1, 2, sym }, MD_DIM(3) } };
    assert_md_ok(md_graph_add_input(g, a, &err), &err);
    node(g, "Relu", a, value(g, "b"));
    md_buf_init(&buf, md_alloc_default(), 4096);
    assert_md_ok(md_graph_print(g, &buf, &err), &err);
    assert_non_null(strstr((char *)buf.data, "'a' float32[2*batch+1,3]"));
    assert_non_null(strstr((char *)buf.data, "= Relu("));
    md_buf_release(&buf);
    md_model_free(m);
}

static void test_graph__replace_and_compact(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    md_graph *g = m->graph;
    md_value_id a = value(g, "a"), b = value(g, "b"), c = value(g, "c");

    (void)state;
    assert_md_ok(md_graph_add_input(g, a, &err), &err);
    node(g, "Identity", a, b)->dead = true;
    node(g, "Relu", b, c);
    assert_md_ok(md_graph_add_output(g, c, &err), &err);
    md_graph_replace_uses(g, b, a);
    md_graph_compact(g);
    assert_int_equal(g->n_nodes, 1);
    assert_int_equal(g->nodes[0]->in[0], a);
    assert_null(g->values[b].def);
    assert_int_equal(md_graph_count_uses(g, a), 1);
    assert_int_equal(md_graph_count_uses(g, c), 1);
    md_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_graph__names_are_found_and_unique),
        cmocka_unit_test(test_graph__sort_orders_and_finds_cycles),
        cmocka_unit_test(test_graph__undefined_values_are_named),
        cmocka_unit_test(test_graph__a_value_has_one_producer),
        cmocka_unit_test(test_graph__a_refused_node_leaves_no_trace),
        cmocka_unit_test(test_graph__goes_on_after_a_failed_allocation),
        cmocka_unit_test(test_graph__unique_names),
        cmocka_unit_test(test_graph__unique_names_split_no_character),
        cmocka_unit_test(test_graph__unique_names_in_linear_time),
        cmocka_unit_test(test_graph__owned_constants_are_freed),
        cmocka_unit_test(test_graph__attributes),
        cmocka_unit_test(test_graph__prints_types_and_symbols),
        cmocka_unit_test(test_graph__replace_and_compact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
