/* Attributes: each type, how they are read, replaced and copied. */
#include "support/test.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"
#include "support/build.h"

static md_model *m;
static md_graph *g;
static md_node *n;

static int setup(void **state)
{
    const int64_t dims[] = { 1 };
    md_value_id x;

    (void)state;
    m = md_build_model(17);
    g = m->graph;
    x = md_build_input(m, "x", MD_DTYPE_F32, 1, dims);
    n = md_build_def(m, md_build_node(m, "Op", 1, &x));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    md_model_free(m);
    return 0;
}

static const int64_t some_ints[] = { 3, -4, INT64_MAX };
static const float some_floats[] = { 0.5f, -FLT_MAX };
static const md_str some_strings[] = { { "a", 1 }, { "b\0c", 3 } };
static const md_tensor some_tensor = { .dtype = MD_DTYPE_F32,
                                       .shape = { 0, { 0 } } };
static const md_tensor *const some_tensors[] = { &some_tensor, &some_tensor };
static const md_type some_type = { .dtype = MD_DTYPE_I64 };

/* One of each type that AttributeProto has. */
static const md_attr samples[] = {
    { .name = "float", .type = MD_ATTR_FLOAT, .v.f = 0.25f },
    { .name = "int", .type = MD_ATTR_INT, .v.i = INT64_MIN },
    { .name = "string", .type = MD_ATTR_STRING, .v.s = { "text", 4 } },
    { .name = "tensor", .type = MD_ATTR_TENSOR, .v.t = &some_tensor },
    { .name = "graph", .type = MD_ATTR_GRAPH },
    { .name = "floats", .type = MD_ATTR_FLOATS, .n = 2, .v.fs = some_floats },
    { .name = "ints", .type = MD_ATTR_INTS, .n = 3, .v.is = some_ints },
    { .name = "strings",
      .type = MD_ATTR_STRINGS,
      .n = 2,
      .v.ss = some_strings },
    { .name = "tensors",
      .type = MD_ATTR_TENSORS,
      .n = 2,
      .v.ts = some_tensors },
    { .name = "graphs", .type = MD_ATTR_GRAPHS },
    { .name = "sparse", .type = MD_ATTR_SPARSE_TENSOR },
    { .name = "sparses", .type = MD_ATTR_SPARSE_TENSORS },
    { .name = "type", .type = MD_ATTR_TYPE_PROTO, .v.type_proto = &some_type },
    { .name = "types", .type = MD_ATTR_TYPE_PROTOS },
    { .name = "ref", .type = MD_ATTR_INT, .ref = "outer" },
};

static void add_samples(void)
{
    md_error err = MD_ERROR_INIT;

    for (size_t i = 0; i < MD_COUNT(samples); i++)
        assert_md_ok(md_node_add_attr(g, n, &samples[i], &err), &err);
}

static void test_attr__each_type_is_kept(void **state)
{
    (void)state;
    add_samples();
    assert_int_equal(n->n_attr, MD_COUNT(samples));
    for (size_t i = 0; i < MD_COUNT(samples); i++) {
        const md_attr *a = md_node_attr(n, samples[i].name);

        assert_non_null(a);
        assert_int_equal(a->type, samples[i].type);
        assert_int_equal(a->n, samples[i].n);
        assert_ptr_equal(a->ref, samples[i].ref);
        assert_memory_equal(&a->v, &samples[i].v, sizeof(a->v));
        assert_string_equal(a->name, samples[i].name);
        assert_ptr_not_equal(a->name, samples[i].name); /* a copy */
    }
    assert_null(md_node_attr(n, "Float"));
    assert_null(md_node_attr(n, ""));
    assert_null(md_node_attr(n, "floatx"));
}

/* A getter answers for its own type only. */
static void test_attr__getters_by_type(void **state)
{
    (void)state;
    add_samples();
    for (size_t i = 0; i < MD_COUNT(samples); i++) {
        const md_attr *a = &samples[i];
        uint32_t n_ints = 9, n_floats = 9;
        const int64_t *is = md_node_attr_is(n, a->name, &n_ints);
        const float *fs = md_node_attr_fs(n, a->name, &n_floats);
        const char *s = md_node_attr_s(n, a->name, "otherwise");

        assert_int_equal(md_node_attr_i(n, a->name, 77),
                         a->type == MD_ATTR_INT ? a->v.i : 77);
        assert_true(md_node_attr_f(n, a->name, 7.5f) ==
                    (a->type == MD_ATTR_FLOAT ? 0.25f : 7.5f));
        assert_string_equal(s,
                            a->type == MD_ATTR_STRING ? "text" : "otherwise");
        assert_int_equal(n_ints, a->type == MD_ATTR_INTS ? 3 : 0);
        assert_ptr_equal(is, a->type == MD_ATTR_INTS ? some_ints : NULL);
        assert_int_equal(n_floats, a->type == MD_ATTR_FLOATS ? 2 : 0);
        assert_ptr_equal(fs, a->type == MD_ATTR_FLOATS ? some_floats : NULL);
    }
    assert_int_equal(md_node_attr_i(n, "absent", -3), -3);
    assert_true(md_node_attr_f(n, "absent", 0.5f) == 0.5f);
    assert_null(md_node_attr_s(n, "absent", NULL));
}

static void test_attr__graphs_by_type(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_graph *subs[2] = { NULL, NULL };
    md_graph *const *list;

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_md_ok(md_graph_new(&subs[i], m, g, "body", &err), &err);
    for (size_t i = 0; i < MD_COUNT(samples); i++) {
        md_attr a = samples[i];
        uint32_t want = 0;

        if (a.type == MD_ATTR_GRAPH) {
            assert_int_equal(md_attr_graphs(&a, &list), 0); /* NULL yet */
            a.v.g = subs[0];
            want = 1;
        } else if (a.type == MD_ATTR_GRAPHS) {
            a.v.gs = subs;
            a.n = want = 2;
        }
        assert_int_equal(md_attr_graphs(&a, &list), want);
        for (uint32_t k = 0; k < want; k++)
            assert_ptr_equal(list[k], subs[k]);
    }
}

static void test_attr__set_copies(void **state)
{
    md_error err = MD_ERROR_INIT;
    char name[] = "ints", text[] = "SAME_UPPER";
    int64_t v[] = { 1, 2, 3 };
    uint32_t n_v;

    (void)state;
    assert_md_ok(md_node_set_attr_is(g, n, name, v, 3, &err), &err);
    v[0] = 9;
    name[0] = 'X';
    assert_int_equal(md_node_attr_is(n, "ints", &n_v)[0], 1);
    assert_md_ok(md_node_set_attr_s(g, n, "pad", text, &err), &err);
    text[0] = 'X';
    assert_string_equal(md_node_attr_s(n, "pad", ""), "SAME_UPPER");
    assert_int_equal(md_node_attr(n, "pad")->v.s.n, 10);
    assert_md_ok(md_node_set_attr_f(g, n, "alpha", NAN, &err), &err);
    assert_true(isnan(md_node_attr_f(n, "alpha", 0)));
    assert_md_ok(md_node_set_attr_is(g, n, "none", NULL, 0, &err), &err);
    assert_null(md_node_attr_is(n, "none", &n_v));
    assert_int_equal(n_v, 0);
    assert_int_equal(md_node_attr(n, "none")->type, MD_ATTR_INTS);
    assert_md_ok(md_node_set_attr_s(g, n, "empty", "", &err), &err);
    assert_string_equal(md_node_attr_s(n, "empty", "x"), "");
}

/* The last one given counts, in the place of the first. */
static void test_attr__replacing(void **state)
{
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_md_ok(md_node_set_attr_i(g, n, "a", 1, &err), &err);
    assert_md_ok(md_node_set_attr_i(g, n, "b", 2, &err), &err);
    assert_md_ok(md_node_set_attr_s(g, n, "a", "now text", &err), &err);
    assert_int_equal(n->n_attr, 2);
    assert_string_equal(n->attr[0].name, "a");
    assert_string_equal(md_node_attr_s(n, "a", ""), "now text");
    assert_int_equal(md_node_attr_i(n, "a", -1), -1);
    assert_int_equal(md_node_attr_i(n, "b", -1), 2);
}

static void test_attr__many(void **state)
{
    enum {
        N = 100
    };
    md_error err = MD_ERROR_INIT;
    char name[16];

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "a%d", i);
        assert_md_ok(md_node_set_attr_i(g, n, name, i, &err), &err);
    }
    assert_int_equal(n->n_attr, N);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "a%d", i);
        assert_string_equal(n->attr[i].name, name); /* in order */
        assert_int_equal(md_node_attr_i(n, name, -1), i);
    }
}

/* Without memory nothing is added, and what is there stays readable. */
static void test_attr__out_of_memory(void **state)
{
    const int64_t v[] = { 1, 2 };
    md_error err = MD_ERROR_INIT;

    (void)state;
    for (int i = 0; i < 9; i++) { /* the first array holds eight */
        char name[16];

        snprintf(name, sizeof(name), "n%d", i);
        m->arena.limit = m->arena.used;
        assert_md_fails(md_node_set_attr_i(g, n, name, i, &err), MD_NOMEM, &err,
                        "out of memory");
        assert_md_fails(md_node_set_attr_s(g, n, name, "text", &err), MD_NOMEM,
                        &err, "out of memory: 4 bytes wanted");
        assert_md_fails(md_node_set_attr_is(g, n, name, v, 2, &err), MD_NOMEM,
                        &err, "out of memory: 16 bytes wanted");
        assert_int_equal(n->n_attr, i);
        assert_null(md_node_attr(n, name));
        m->arena.limit = 0;
        assert_md_ok(md_node_set_attr_i(g, n, name, i, &err), &err);
        /* to change a number in place needs none */
        m->arena.limit = m->arena.used;
        assert_md_ok(md_node_set_attr_i(g, n, name, i + 1, &err), &err);
        assert_int_equal(md_node_attr_i(n, "n0", -1), 1);
    }
    m->arena.limit = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_attr__each_type_is_kept, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_attr__getters_by_type, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_attr__graphs_by_type, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_attr__set_copies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attr__replacing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attr__many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_attr__out_of_memory, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
