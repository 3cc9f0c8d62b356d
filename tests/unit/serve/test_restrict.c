/* What is read of restrictions, and what is refused. */
#include "support/test.h"

#include <string.h>

#include "serve/restrict.h"
#include "support/fail_alloc.h"

static const char GOOD[] = "model-repository,trace:X-Admin=a=b;logging:k=v;";

static void test_restrict__rules(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_restrict r;
    md_arena ar;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 0);
    assert_md_ok(md_restrict_parse(&r, GOOD, &ar, &err), &err);
    for (int i = 0; i < MD_N_APIS; i++)
        assert_int_equal(r.rule[i].field != NULL,
                         i == MD_API_MODEL_REPOSITORY || i == MD_API_TRACE ||
                             i == MD_API_LOGGING);
    assert_string_equal(r.rule[MD_API_TRACE].field, "x-admin");
    assert_string_equal(r.rule[MD_API_TRACE].grpc_field,
                        "triton-grpc-protocol-x-admin");
    assert_string_equal(r.rule[MD_API_TRACE].value, "a=b");
    assert_string_equal(r.rule[MD_API_LOGGING].value, "v");
    assert_md_ok(md_restrict_parse(&r, "", &ar, &err), &err);
    assert_null(r.rule[MD_API_LOGGING].field);
    md_arena_release(&ar);
}

static void test_restrict__refusals(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        { "logging", "API,...:FIELD=VALUE expected" },
        { "logging:k", "API,...:FIELD=VALUE expected" },
        { ";", "API,...:FIELD=VALUE expected" },
        { "logging:=v", "the name of a field" },
        { "logging:k=", "the name of a field" },
        { "logging:k x=v", "'k x': the name of a field" },
        { "log:k=v", "unknown API 'log', expected health" },
        { ":k=v", "unknown API ''" },
        { "logging,:k=v", "unknown API ''" },
        { "logging,,trace:k=v", "unknown API ''" },
        { "logging:k=v;logging:k=w", "'logging' is restricted twice" },
    };
    md_restrict r;
    md_arena ar;

    (void)state;
    md_arena_init(&ar, md_alloc_default(), 0);
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;

        assert_md_fails(md_restrict_parse(&r, cases[i].text, &ar, &err),
                        MD_INVALID, &err, cases[i].why);
    }
    md_arena_release(&ar);
}

static void test_restrict__out_of_memory(void **state)
{
    bool done = false;

    (void)state;
    for (int i = 0; i < 100 && !done; i++) {
        md_error err = MD_ERROR_INIT;
        fail_alloc fa;
        md_restrict r;
        md_arena ar;
        md_status s;

        fail_alloc_init(&fa);
        fail_alloc_arm(&fa, i);
        md_arena_init(&ar, &fa.alloc, 0);
        s = md_restrict_parse(&r, GOOD, &ar, &err);
        done = s == MD_OK;
        if (!done)
            assert_int_equal(s, MD_NOMEM);
        md_arena_release(&ar);
        assert_int_equal(fa.n_live, 0);
    }
    assert_true(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restrict__rules),
        cmocka_unit_test(test_restrict__refusals),
        cmocka_unit_test(test_restrict__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
