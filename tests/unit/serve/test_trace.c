/* Trace settings without a server: which call's turn it is, and memory. */
#include "support/test.h"

#include <string.h>

#include "serve/trace.h"
#include "support/fail_alloc.h"

static void put_all(void *ctx, const md_setting *s)
{
    char *text = ctx;

    strncat(text, s->texts[0], 20);
    strncat(text, " ", 2);
}

static void check(md_trace *t, const char *model, const char *want)
{
    char text[200] = "";

    md_trace_each(t, model, put_all, text);
    assert_string_equal(text, want);
}

static md_status set(md_trace *t, const char *model, const char *name,
                     const char *value, md_error *err)
{
    const md_setting s = { .name = name,
                           .kind = value ? MD_SETTING_TEXTS : MD_SETTING_CLEAR,
                           .texts = { value },
                           .n_texts = value != NULL };
    md_trace_change change = { .n = 0 };

    MD_TRY(md_trace_change_take(&change, &s, err));
    return md_trace_apply(t, model, &change, err);
}

static void test_trace__settings(void **state)
{
    md_trace_opts opts = MD_TRACE_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_trace *t = NULL;

    (void)state;
    opts.file = "t";
    assert_md_ok(md_trace_new(&t, &opts, md_alloc_default(), &err), &err);
    if (!t)
        return;
    check(t, NULL, "OFF 1000 -1 0 t triton ");
    assert_false(md_trace_is_on(t));
    assert_md_ok(set(t, "m", "trace_level", "TIMESTAMPS", &err), &err);
    assert_md_ok(set(t, NULL, "trace_rate", "7", &err), &err);
    assert_true(md_trace_is_on(t));
    check(t, NULL, "OFF 7 -1 0 t triton ");
    check(t, "m", "TIMESTAMPS 7 -1 0 t triton ");
    assert_md_ok(set(t, "m", "trace_rate", "9", &err), &err);
    assert_md_ok(set(t, NULL, "trace_rate", NULL, &err), &err);
    check(t, "m", "TIMESTAMPS 9 -1 0 t triton ");
    check(t, "n", "OFF 1000 -1 0 t triton ");
    assert_md_ok(set(t, "m", "trace_level", NULL, &err), &err);
    assert_false(md_trace_is_on(t));
    assert_md_fails(set(t, NULL, "trace_rate", "4294967296", &err), MD_INVALID,
                    &err, "from 1 to 4294967295");
    md_trace_free(t);
    opts = (md_trace_opts){ .on = true, .rate = 1 };
    assert_md_fails(md_trace_new(&t, &opts, md_alloc_default(), &err),
                    MD_INVALID, &err, "no trace_file");
}

static void test_trace__out_of_memory(void **state)
{
    bool done = false;

    (void)state;
    for (int i = 0; i < 100 && !done; i++) {
        md_trace_opts opts = MD_TRACE_OPTS_INIT;
        md_error err = MD_ERROR_INIT;
        md_trace *t = NULL;
        fail_alloc fa;
        md_status s;

        opts.file = "t";
        fail_alloc_init(&fa);
        fail_alloc_arm(&fa, i);
        s = md_trace_new(&t, &opts, &fa.alloc, &err);
        if (s == MD_OK)
            s = set(t, "m", "trace_level", "TIMESTAMPS", &err);
        done = !fail_alloc_disarm(&fa);
        assert_int_equal(s, done ? MD_OK : MD_NOMEM);
        md_trace_free(t);
        assert_int_equal(fa.n_live, 0);
    }
    assert_true(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace__settings),
        cmocka_unit_test(test_trace__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
