/* The model: what it owns besides graphs, and that it goes in one piece. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "graph/graph.h"
#include "support/fail_alloc.h"

static md_model *new_model(void)
{
    md_model *m = NULL;
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_model_new(&m, md_alloc_default(), 0, &err), &err);
    return m;
}

static void test_model__starts_empty(void **state)
{
    md_model *m = new_model();

    (void)state;
    assert_non_null(m->graph);
    assert_int_equal(m->graph->n_values, 0);
    assert_null(m->graph->parent);
    assert_int_equal(m->n_opsets, 0);
    assert_int_equal(m->n_symbols, 1); /* 0 is no symbol */
    assert_string_equal(m->symbols[0], "");
    assert_string_equal(m->producer_name, "");
    assert_string_equal(m->doc, "");
    assert_null(md_model_meta(m, "any"));
    assert_int_equal(md_model_opset(m, ""), 0);
    md_model_free(m);
    md_model_free(NULL);
}

static void test_model__opsets(void **state)
{
    static const struct {
        const char *domain;
        int64_t version;
        uint32_t n; /* of opsets, afterwards */
    } steps[] = {
        { "ai.onnx", 17, 1 },        { "", 18, 1 },
        { "com.microsoft", 1, 2 },   { "ai.onnx.ml", 3, 3 },
        { "ai.onnx", INT64_MAX, 3 }, { "com.microsoft", -1, 3 },
    };
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();

    (void)state;
    for (size_t i = 0; i < MD_COUNT(steps); i++) {
        assert_md_ok(
            md_model_set_opset(m, steps[i].domain, steps[i].version, &err),
            &err);
        assert_int_equal(m->n_opsets, steps[i].n);
        assert_int_equal(md_model_opset(m, steps[i].domain), steps[i].version);
    }
    assert_int_equal(md_model_opset(m, ""), INT64_MAX);
    assert_int_equal(md_model_opset(m, "ai.onnx"), INT64_MAX);
    assert_int_equal(md_model_opset(m, "ai.onnx.ml"), 3);
    assert_int_equal(md_model_opset(m, "AI.ONNX"), 0);
    assert_string_equal(m->opsets[0].domain, ""); /* the short spelling */
    md_model_free(m);
}

static void test_model__metadata(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    char key[] = "k", value[] = "1";

    (void)state;
    assert_md_ok(md_model_set_meta(m, key, value, &err), &err);
    key[0] = value[0] = '!'; /* both were copied */
    assert_string_equal(md_model_meta(m, "k"), "1");
    assert_md_ok(md_model_set_meta(m, "", "nameless", &err), &err);
    assert_md_ok(md_model_set_meta(m, "k", "2", &err), &err);
    assert_md_ok(md_model_set_meta(m, "K", "", &err), &err);
    assert_int_equal(m->n_metas, 3);
    assert_string_equal(md_model_meta(m, "k"), "2");
    assert_string_equal(md_model_meta(m, "K"), "");
    assert_string_equal(md_model_meta(m, ""), "nameless");
    assert_null(md_model_meta(m, "other"));
    /* in the order in which they came, for whoever writes them */
    assert_string_equal(m->metas[0].key, "k");
    assert_string_equal(m->metas[1].key, "");
    assert_string_equal(m->metas[2].key, "K");
    md_model_free(m);
}

static void test_model__symbols(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    uint32_t a, b, again, none, other;

    (void)state;
    assert_md_ok(md_model_symbol(&a, m, "batch", &err), &err);
    assert_md_ok(md_model_symbol(&none, m, NULL, &err), &err);
    assert_md_ok(md_model_symbol(&other, m, "", &err), &err);
    assert_md_ok(md_model_symbol(&b, m, "seq", &err), &err);
    assert_md_ok(md_model_symbol(&again, m, "batch", &err), &err);
    assert_int_equal(a, 1); /* 0 means constant */
    assert_int_equal(again, a);
    assert_int_equal(none, 2); /* nameless ones differ from each other */
    assert_int_equal(other, 3);
    assert_int_equal(b, 4);
    assert_string_equal(m->symbols[b], "seq");
    assert_string_equal(m->symbols[none], "");
    md_model_free(m);
}

/* Searching one by one would take some 10^10 comparisons here, and the test's
 * time would be over. */
static void test_model__many_names_take_linear_time(void **state)
{
    enum {
        N = 200000
    };
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();
    char name[40];

    (void)state;
    for (uint32_t i = 1; i <= N; i++) {
        uint32_t id;

        snprintf(name, sizeof(name), "a_rather_long_name_%u", i);
        assert_md_ok(md_model_symbol(&id, m, name, &err), &err);
        assert_int_equal(id, i);
        assert_md_ok(md_model_set_meta(m, name, name + 12, &err), &err);
    }
    for (uint32_t i = N; i >= 1; i--) {
        uint32_t id;

        snprintf(name, sizeof(name), "a_rather_long_name_%u", i);
        assert_md_ok(md_model_symbol(&id, m, name, &err), &err);
        assert_int_equal(id, i);
        assert_string_equal(md_model_meta(m, name), name + 12);
    }
    assert_int_equal(m->n_symbols, N + 1);
    assert_int_equal(m->n_metas, N);
    md_model_free(m);
}

static char order[8];
static size_t n_order;

static void note(void *ctx)
{
    assert_true(n_order < sizeof(order) - 1);
    order[n_order++] = *(const char *)ctx;
}

static void test_model__cleanups_run_backwards(void **state)
{
    char a[] = "a", b[] = "b", c[] = "c", d[] = "d", e[] = "e";
    md_error err = MD_ERROR_INIT;
    md_model *m = new_model();

    (void)state;
    n_order = 0;
    assert_md_ok(md_model_on_free(m, note, a, &err), &err);
    assert_md_ok(md_model_on_free(m, note, b, &err), &err);
    assert_md_ok(md_model_on_free(m, note, c, &err), &err);
    assert_md_ok(md_model_on_free(m, note, d, &err), &err);
    assert_md_fails(md_model_on_free(m, note, e, &err), MD_TOO_LARGE, &err,
                    "model keeps more than 4 resources");
    assert_int_equal(n_order, 0);
    md_model_free(m);
    assert_string_equal(order, "dcba");
}

static void test_model__limit_of_its_memory(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;
    char key[64];
    uint32_t n = 0;
    md_status s = MD_OK;

    (void)state;
    assert_md_ok(md_model_new(&m, md_alloc_default(), 20000, &err), &err);
    while (s == MD_OK) {
        snprintf(key, sizeof(key), "key number %u", n);
        s = md_model_set_meta(m, key, "some value", &err);
        n += s == MD_OK;
        assert_true(n < 20000 / 20); /* more than its names do not fit */
    }
    assert_md_fails(s, MD_NOMEM, &err, "out of memory");
    assert_true(m->arena.used <= 20000);
    assert_true(n > 20);
    assert_string_equal(md_model_meta(m, "key number 7"), "some value");
    md_model_free(m);
}

/* Everything of a model, as far as memory lasts. */
static md_status fill(md_model *m, md_error *err)
{
    char name[40];
    uint32_t id;

    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "name %d", i);
        MD_TRY(md_model_symbol(&id, m, name, err));
        MD_TRY(md_model_symbol(&id, m, NULL, err));
        MD_TRY(md_model_set_meta(m, name, "value", err));
        MD_TRY(md_model_set_meta(m, name, name, err));
        MD_TRY(md_model_set_opset(m, name, i, err));
    }
    return MD_OK;
}

/* With each allocation failing in turn: a status, what was there before is
 * whole, and the same goes on afterwards. */
static void test_model__every_allocation_may_fail(void **state)
{
    fail_alloc f;
    int64_t n = 0;
    bool failed = true;

    (void)state;
    fail_alloc_init(&f);
    for (; failed; n++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;
        md_status s;

        fail_alloc_arm(&f, n);
        s = md_model_new(&m, &f.alloc, 0, &err);
        if (s == MD_OK)
            s = fill(m, &err);
        failed = fail_alloc_disarm(&f);
        assert_int_equal(s, failed ? MD_NOMEM : MD_OK);
        if (m) {
            for (uint32_t i = 0; i < m->n_metas; i++)
                assert_string_equal(md_model_meta(m, m->metas[i].key),
                                    m->metas[i].value);
            assert_md_ok(fill(m, &err), &err);
            assert_int_equal(m->n_metas, 40);
            assert_int_equal(m->n_opsets, 40);
            assert_string_equal(md_model_meta(m, "name 39"), "name 39");
        }
        md_model_free(m);
        assert_int_equal(f.n_live, 0);
    }
    assert_true(n > 2); /* the model itself and its arena's blocks */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model__starts_empty),
        cmocka_unit_test(test_model__opsets),
        cmocka_unit_test(test_model__metadata),
        cmocka_unit_test(test_model__symbols),
        cmocka_unit_test(test_model__many_names_take_linear_time),
        cmocka_unit_test(test_model__cleanups_run_backwards),
        cmocka_unit_test(test_model__limit_of_its_memory),
        cmocka_unit_test(test_model__every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
