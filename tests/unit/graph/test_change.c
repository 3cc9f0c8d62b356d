/* Changing graphs: order, uses, slots; large ones; memory that runs out. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "graph/graph.h"

static md_model *m;
static md_graph *g;

static int setup(void **state)
{
    md_error err = MD_ERROR_INIT;

    (void)state;
    if (md_model_new(&m, md_alloc_default(), 0, &err) != MD_OK)
        return -1;
    g = m->graph;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    md_model_free(m);
    return 0;
}

static md_value_id value(md_graph *in, const char *name)
{
    md_error err = MD_ERROR_INIT;
    md_value_id id = md_graph_find(in, name);

    if (id == MD_VALUE_NONE)
        assert_md_ok(md_graph_add_value(&id, in, name, &err), &err);
    return id;
}

static md_node *node(md_graph *in, const char *op, md_value_id from,
                     md_value_id to)
{
    md_error err = MD_ERROR_INIT;
    md_node *n = NULL;

    assert_md_ok(
        md_graph_add_node(
            &n, in, &(md_node_spec){ "", op, NULL, &from, 1, &to, 1 }, &err),
        &err);
    return n;
}

static void test_change__insert_at_a_place(void **state)
{
    static const struct {
        uint32_t at;
        const char *order; /* one letter an operator */
    } cases[] = {
        { 0, "A" }, { 0, "BA" }, { 2, "BAC" }, { 1, "BDAC" }, { 4, "BDACE" }
    };
    md_error err = MD_ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        char op[2] = { (char)('A' + i), '\0' };
        md_node *n = NULL;

        assert_md_ok(md_graph_insert_node(
                         &n, g, cases[i].at,
                         &(md_node_spec){ NULL, op, "", NULL, 0, NULL, 0 },
                         &err),
                     &err);
        assert_string_equal(n->domain, "");
        assert_string_equal(n->name, "");
        assert_int_equal(g->n_nodes, strlen(cases[i].order));
        for (uint32_t k = 0; k < g->n_nodes; k++)
            assert_int_equal(g->nodes[k]->op[0], cases[i].order[k]);
    }
}

/* Nodes are many and their pointers are kept: they never move. */
static void test_change__nodes_stay_where_they_are(void **state)
{
    md_value_id x = value(g, "x");
    md_node *first = node(g, "First", x, value(g, "y"));

    (void)state;
    for (int i = 0; i < 1000; i++) {
        char name[16];

        snprintf(name, sizeof(name), "v%d", i);
        node(g, "Op", x, value(g, name));
    }
    assert_ptr_equal(g->nodes[0], first);
    assert_ptr_equal(g->values[value(g, "y")].def, first);
    assert_string_equal(first->op, "First");
}

static void test_change__input_slots_grow(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_value_id x = value(g, "x"), z = value(g, "z");
    md_node *n = node(g, "Op", x, value(g, "y"));

    (void)state;
    assert_md_ok(md_node_set_input(g, n, 0, z, &err), &err);
    assert_int_equal(n->n_in, 1);
    assert_int_equal(n->in[0], z);
    assert_md_ok(md_node_set_input(g, n, 3, x, &err), &err);
    assert_int_equal(n->n_in, 4);
    assert_int_equal(n->in[0], z);
    assert_int_equal(n->in[1], MD_VALUE_NONE);
    assert_int_equal(n->in[2], MD_VALUE_NONE);
    assert_int_equal(n->in[3], x);
    assert_md_ok(md_node_set_input(g, n, 1, z, &err), &err);
    assert_int_equal(n->n_in, 4);
    assert_int_equal(n->in[1], z);
    m->arena.limit = m->arena.used;
    assert_md_fails(md_node_set_input(g, n, 9, x, &err), MD_NOMEM, &err,
                    "out of memory: 40 bytes wanted");
    assert_int_equal(n->n_in, 4);
}

/* One by one they take no more than twice what they take at once. */
static void test_change__input_slots_one_by_one(void **state)
{
    enum {
        N = 50000
    };
    md_error err = MD_ERROR_INIT;
    md_value_id x = value(g, "x");
    md_node *n = node(g, "Op", x, value(g, "y"));

    (void)state;
    m->arena.limit = m->arena.used + 4 * N * sizeof(x);
    for (uint32_t i = 0; i < N; i++)
        assert_md_ok(md_node_set_input(g, n, i, x, &err), &err);
    assert_int_equal(n->n_in, N);
    assert_int_equal(md_graph_count_uses(g, x), N);
}

static void test_change__replace_uses(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_value_id a = value(g, "a"), b = value(g, "b"), c = value(g, "c");
    md_value_id both[] = { a, a }, out = value(g, "out");
    md_node *twice;

    (void)state;
    assert_md_ok(md_graph_add_node(
                     &twice, g,
                     &(md_node_spec){ "", "Add", "", both, 2, &out, 1 }, &err),
                 &err);
    node(g, "Neg", c, value(g, "d"));
    assert_md_ok(md_graph_add_output(g, a, &err), &err);
    assert_md_ok(md_graph_add_output(g, c, &err), &err);
    assert_int_equal(md_graph_count_uses(g, a), 3);
    md_graph_replace_uses(g, a, b);
    assert_int_equal(md_graph_count_uses(g, a), 0);
    assert_int_equal(md_graph_count_uses(g, b), 3);
    assert_int_equal(md_graph_count_uses(g, c), 2);
    assert_int_equal(twice->in[0], b);
    assert_int_equal(twice->in[1], b);
    assert_int_equal(g->outputs[0], b);
    assert_false(g->values[a].is_output);
    assert_true(g->values[b].is_output);
    assert_true(g->values[c].is_output);
}

/* Dead nodes do not use anything; nodes of bodies do, by name. */
static void test_change__uses_are_counted(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_value_id x = value(g, "x"), nameless;
    md_node *dead = node(g, "Neg", x, value(g, "a"));
    md_node *with_body = node(g, "If", x, value(g, "b"));
    md_graph *sub = NULL, *inner = NULL;
    md_attr body = { .name = "body", .type = MD_ATTR_GRAPH };
    md_attr deeper = body;

    (void)state;
    assert_int_equal(md_graph_count_uses(g, x), 2);
    dead->dead = true;
    assert_int_equal(md_graph_count_uses(g, x), 1);
    assert_md_ok(md_graph_new(&sub, m, g, "body", &err), &err);
    assert_md_ok(md_graph_new(&inner, m, sub, "inner", &err), &err);
    value(sub, "x");
    value(inner, "x");
    body.v.g = sub;
    deeper.v.g = inner;
    assert_md_ok(md_node_add_attr(
                     sub, node(sub, "Loop", value(sub, "x"), value(sub, "r")),
                     &deeper, &err),
                 &err);
    assert_md_ok(md_node_add_attr(g, with_body, &body, &err), &err);
    assert_int_equal(md_graph_count_uses(g, x), 3);
    assert_md_ok(md_graph_add_value(&nameless, g, NULL, &err), &err);
    assert_int_equal(md_graph_count_uses(g, nameless), 0);
}

static void test_change__compact_keeps_order(void **state)
{
    static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
    md_value_id x = value(g, "x");

    (void)state;
    for (int i = 0; i < 6; i++)
        node(g, names[i], x, value(g, names[i]))->dead = i % 2 == 0;
    md_graph_compact(g);
    assert_int_equal(g->n_nodes, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(g->nodes[i]->op, names[2 * i + 1]);
    for (int i = 0; i < 6; i++)
        assert_int_equal(g->values[value(g, names[i])].def == NULL, i % 2 == 0);
    md_graph_compact(g);
    assert_int_equal(g->n_nodes, 3);
}

static void test_change__names_later(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_value_id a, b;

    (void)state;
    assert_md_ok(md_graph_add_value(&a, g, NULL, &err), &err);
    assert_md_ok(md_graph_add_value(&b, g, "", &err), &err);
    assert_int_equal(md_graph_find(g, ""), MD_VALUE_NONE);
    assert_md_ok(md_graph_name_value(g, a, "late", &err), &err);
    assert_int_equal(md_graph_find(g, "late"), a);
    assert_md_fails(md_graph_name_value(g, b, "late", &err), MD_CORRUPT, &err,
                    "name 'late' given to '' is in use");
    assert_md_fails(md_graph_name_value(g, a, "again", &err), MD_CORRUPT, &err,
                    "name 'again' given to 'late' is in use");
    assert_int_equal(md_graph_find(g, "again"), MD_VALUE_NONE);
    assert_md_ok(md_graph_name_value(g, b, "", &err), &err); /* stays unnamed */
    assert_string_equal(g->values[b].name, "");
    assert_null(md_graph_value(g, 2));
    assert_null(md_graph_value(g, MD_VALUE_NONE));
}

/* --- large --- */

enum {
    LARGE = 200000
};

/* A chain written last node first: the sort turns it round.  Anything that
 * looks at all nodes for each of them would not end in time. */
static void test_change__a_long_chain_backwards(void **state)
{
    md_error err = MD_ERROR_INIT;
    char name[24];

    (void)state;
    for (uint32_t i = 0; i <= LARGE; i++) {
        snprintf(name, sizeof(name), "value_%u", i);
        value(g, name);
    }
    assert_md_ok(md_graph_add_input(g, 0, &err), &err);
    assert_md_ok(md_graph_add_output(g, LARGE, &err), &err);
    for (uint32_t i = LARGE; i > 0; i--)
        node(g, "Op", i - 1, i);
    assert_int_equal(g->nodes[0]->out[0], LARGE);
    assert_md_ok(md_graph_verify(g, &err), &err);
    for (uint32_t i = 0; i < LARGE; i++)
        assert_int_equal(g->nodes[i]->out[0], i + 1);
}

/* One value that all read, one node that reads all. */
static void test_change__wide_fans(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_value_id x = value(g, "x"), y;
    md_node *sum;

    (void)state;
    assert_md_ok(md_graph_add_input(g, x, &err), &err);
    assert_md_ok(md_graph_add_value(&y, g, "sum", &err), &err);
    assert_md_ok(
        md_graph_add_node(
            &sum, g, &(md_node_spec){ "", "Sum", "", NULL, 0, &y, 1 }, &err),
        &err);
    assert_md_ok(md_node_set_input(g, sum, LARGE - 1, x, &err), &err);
    for (uint32_t i = 0; i < LARGE; i++) {
        md_value_id v;

        assert_md_ok(md_graph_add_value(&v, g, NULL, &err), &err);
        node(g, "Neg", x, v);
        assert_md_ok(md_node_set_input(g, sum, i, v, &err), &err);
    }
    assert_md_ok(md_graph_add_output(g, y, &err), &err);
    assert_md_ok(md_graph_verify(g, &err), &err);
    assert_ptr_equal(g->nodes[LARGE], sum); /* it was the first */
    assert_int_equal(md_graph_count_uses(g, x), LARGE);
}

/* Bodies in bodies, each reading the outermost input by name. */
static void test_change__deep_bodies(void **state)
{
    enum {
        DEPTH = 50
    };
    md_error err = MD_ERROR_INIT;
    md_graph *at = g;

    (void)state;
    assert_md_ok(md_graph_add_input(g, value(g, "x"), &err), &err);
    for (int i = 0; i < DEPTH; i++) {
        md_attr body = { .name = "body", .type = MD_ATTR_GRAPH };
        md_node *n = node(at, "If", value(at, "x"), value(at, "y"));

        assert_md_ok(md_graph_new(&body.v.g, m, at, "body", &err), &err);
        assert_md_ok(md_node_add_attr(at, n, &body, &err), &err);
        assert_md_ok(md_graph_add_output(at, value(at, "y"), &err), &err);
        at = body.v.g;
    }
    node(at, "Neg", value(at, "x"), value(at, "y"));
    assert_md_ok(md_graph_verify(g, &err), &err);
    assert_int_equal(md_graph_count_uses(g, value(g, "x")), 1 + DEPTH);
    value(at, "nowhere");
    at->nodes[0]->in[0] = value(at, "nowhere");
    assert_md_fails(md_graph_verify(g, &err), MD_CORRUPT, &err,
                    "node 'y' reads 'nowhere', which nothing produces");
}

/* --- memory that runs out --- */

static md_status build(md_graph *to, md_error *err)
{
    static const int64_t ints[] = { 1, 2, 3 };
    md_value_id last = MD_VALUE_NONE;
    char name[24];

    for (int i = 0; i < 20; i++) {
        md_value_id out;
        md_node *n;

        snprintf(name, sizeof(name), "v%d", i);
        MD_TRY(md_graph_add_value(&out, to, name, err));
        if (i == 0) {
            MD_TRY(md_graph_add_input(to, out, err));
        } else {
            MD_TRY(md_graph_add_node(
                &n, to, &(md_node_spec){ "dom", "Op", name, &last, 1, &out, 1 },
                err));
            MD_TRY(md_node_set_attr_i(to, n, "i", i, err));
            MD_TRY(md_node_set_attr_s(to, n, "s", name, err));
            MD_TRY(md_node_set_attr_is(to, n, "is", ints, 3, err));
            MD_TRY(md_node_set_input(to, n, 2, last, err));
        }
        last = out;
    }
    MD_TRY(md_graph_add_unique(&last, to, "extra", err));
    return md_graph_add_output(to, 19, err);
}

/* With room for ever more bytes: a status, and a graph that holds together. */
static void test_change__every_amount_of_memory(void **state)
{
    size_t limit = 1;
    md_status s = MD_NOMEM;
    int n_failures = 0;

    (void)state;
    for (; s != MD_OK; limit += 24) {
        md_error err = MD_ERROR_INIT;
        md_model *small = NULL;

        s = md_model_new(&small, md_alloc_default(), limit, &err);
        if (s == MD_OK)
            s = build(small->graph, &err);
        if (s != MD_OK) {
            n_failures++;
            assert_md_fails(s, MD_NOMEM, &err, "out of memory: ");
        }
        if (small) {
            const md_graph *sg = small->graph;

            assert_true(small->arena.used <= limit);
            for (uint32_t i = 0; i < sg->n_values; i++)
                assert_int_equal(md_graph_find(sg, sg->values[i].name), i);
            for (uint32_t i = 0; i < sg->n_nodes; i++)
                assert_ptr_equal(sg->values[sg->nodes[i]->out[0]].def,
                                 sg->nodes[i]);
            small->arena.limit = 0; /* sorting needs none of it */
            s = s == MD_OK ? md_graph_verify(small->graph, &err) : s;
        }
        md_model_free(small);
    }
    assert_true(n_failures > 100);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_change__insert_at_a_place),
        TEST(test_change__nodes_stay_where_they_are),
        TEST(test_change__input_slots_grow),
        TEST(test_change__input_slots_one_by_one),
        TEST(test_change__replace_uses),
        TEST(test_change__uses_are_counted),
        TEST(test_change__compact_keeps_order),
        TEST(test_change__names_later),
        TEST(test_change__a_long_chain_backwards),
        TEST(test_change__wide_fans),
        TEST(test_change__deep_bodies),
        TEST(test_change__every_amount_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
