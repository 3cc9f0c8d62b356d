/* The models in service: looked up, swapped and let go by several threads. */
#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/models.h"
#include "support/fail_alloc.h"
#include "support/fake_serve.h"

/* An identity called "m", of that version. */
static md_served *make(md_models *ms, const char *version)
{
    const md_serve_io x = { "x", MD_DTYPE_F32, { 2, { -1, 4 } }, true };
    md_serve_model *m = fake_model("m", &x, 1, NULL, 0, NULL);
    md_error err = MD_ERROR_INIT;
    md_served *v = NULL;

    m->version = version;
    assert_md_ok(md_served_new(&v, ms, m, &err), &err);
    return v;
}

static void install(md_models *ms, int64_t number, const char *version,
                    bool only)
{
    md_models_new_one one = { number, make(ms, version) };
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_models_begin(ms, "m", number, &err), &err);
    md_models_install(ms, "m", &one, 1, only);
}

static md_served *find(md_models *ms, const char *name, const char *version)
{
    md_error err = MD_ERROR_INIT;
    md_served *v = NULL;

    assert_md_ok(md_models_find(ms, &v, name, version, &err), &err);
    return v;
}

static void check_found(md_models *ms, const char *version, const char *want)
{
    md_served *v = find(ms, "m", version);

    assert_string_equal(v->model->version, want);
    md_served_unref(v);
}

static void check_fails(md_models *ms, const char *name, const char *version,
                        const char *why)
{
    md_error err = MD_ERROR_INIT;
    md_served *v;

    assert_md_fails(md_models_find(ms, &v, name, version, &err), MD_NOT_FOUND,
                    &err, why);
}

static void count_wakes(void *ctx)
{
    atomic_fetch_add((_Atomic int *)ctx, 1);
}

/* "1:READY 2:UNAVAILABLE(why)" */
static void append_row(void *ctx, const md_model_row *row)
{
    char *text = ctx;
    const size_t n = strlen(text);

    (void)snprintf(text + n, 200 - n, "%s%s:%s%s%s%s", n ? " " : "",
                   row->version, md_model_state_name(row->state),
                   *row->reason ? "(" : "", row->reason,
                   *row->reason ? ")" : "");
}

static void check_rows(md_models *ms, const char *want)
{
    char text[200] = "";

    md_models_each(ms, "m", append_row, text);
    assert_string_equal(text, want);
}

static void test_models__the_highest_version_is_the_usual_one(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_models *ms = NULL;

    (void)state;
    assert_md_ok(md_models_new(&ms, NULL, NULL, 16, md_alloc_default(), &err),
                 &err);
    check_fails(ms, NULL, NULL, "no model is loaded");
    check_fails(ms, "m", NULL, "unknown model: 'm' is not found");
    install(ms, 10, "10", false);
    install(ms, 9, "9", false);
    check_found(ms, NULL, "10");
    check_found(ms, "", "10");
    check_found(ms, "9", "9");
    check_fails(ms, "m", "8", "'m' version 8 is not found");
    check_fails(ms, "l", NULL, "'l' is not found");
    assert_int_equal(md_models_n_ready(ms), 2);
    check_rows(ms, "9:READY 10:READY");
    md_models_free(ms);
}

static void test_models__who_holds_a_version_keeps_it(void **state)
{
    md_error err = MD_ERROR_INIT;
    _Atomic int wakes = 0;
    md_models *ms = NULL;
    md_served *held;

    (void)state;
    assert_md_ok(
        md_models_new(&ms, count_wakes, &wakes, 16, md_alloc_default(), &err),
        &err);
    install(ms, 1, "1", true);
    held = find(ms, "m", NULL);
    install(ms, 2, "2", true);
    check_found(ms, NULL, "2");
    check_fails(ms, "m", "1", "version 1 is not found");
    check_rows(ms, "1:UNLOADING 2:READY");
    md_models_reap(ms);
    check_rows(ms, "1:UNLOADING 2:READY");
    assert_string_equal(held->model->version, "1");
    assert_int_equal(wakes, 0);
    md_served_unref(held);
    assert_int_equal(wakes, 1);
    md_models_reap(ms);
    check_rows(ms, "1:UNAVAILABLE(unloaded) 2:READY");
    install(ms, 2, "2", true); /* the same number anew */
    check_rows(ms, "2:READY");
    md_models_free(ms);
}

static void test_models__a_failure_changes_nothing_that_serves(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_models *ms = NULL;

    (void)state;
    assert_md_ok(md_models_new(&ms, NULL, NULL, 16, md_alloc_default(), &err),
                 &err);
    install(ms, 1, "1", true);
    assert_md_ok(md_models_begin(ms, "m", 2, &err), &err);
    check_rows(ms, "1:READY 2:LOADING");
    md_models_fail(ms, "m", 2, "no");
    md_models_fail(ms, "m", 1, "not replaced");
    check_rows(ms, "1:READY(not replaced) 2:UNAVAILABLE(no)");
    check_found(ms, NULL, "1");
    assert_md_ok(md_models_begin(ms, "m", MD_MODEL_WHOLE, &err), &err);
    md_models_fail(ms, "m", MD_MODEL_WHOLE, "all");
    check_rows(ms, ":UNAVAILABLE(all) 1:READY(not replaced) "
                   "2:UNAVAILABLE(no)");
    assert_true(md_models_retire(ms, "m"));
    assert_false(md_models_retire(ms, "l"));
    check_fails(ms, "m", NULL, "'m' has no available versions");
    md_models_free(ms);
}

static void test_models__stamps(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_models *ms = NULL;
    bool ready = true;

    (void)state;
    assert_md_ok(md_models_new(&ms, NULL, NULL, 16, md_alloc_default(), &err),
                 &err);
    assert_false(md_models_has_stamp(ms, "m", 1, 7, &ready));
    assert_false(ready);
    install(ms, 1, "1", true);
    assert_false(md_models_has_stamp(ms, "m", 1, 0, &ready));
    md_models_set_stamp(ms, "m", 1, 7);
    assert_true(md_models_has_stamp(ms, "m", 1, 7, &ready));
    assert_true(ready);
    assert_false(md_models_has_stamp(ms, "m", 1, 8, &ready));
    assert_true(md_models_retire(ms, "m"));
    assert_false(md_models_has_stamp(ms, "m", 1, 7, &ready));
    md_models_free(ms);
}

/* ---- several threads ---- */

typedef struct reader {
    md_models *ms;
    _Atomic bool *stop;
    uint64_t n;
    bool backwards; /* an older version was found after a newer one */
} reader;

static void *look_up(void *arg)
{
    reader *r = arg;
    long last = 0;

    while (!atomic_load(r->stop)) {
        md_served *v;
        long now;

        if (md_models_find(r->ms, &v, "m", NULL, NULL) != MD_OK)
            continue;
        now = strtol(v->model->version, NULL, 10);
        r->backwards |= now < last;
        last = now;
        r->n++;
        md_served_unref(v);
    }
    return NULL;
}

static void test_models__swapped_under_readers(void **state)
{
    static char texts[200][12];
    md_error err = MD_ERROR_INIT;
    _Atomic bool stop = false;
    md_models *ms = NULL;
    pthread_t threads[3];
    reader readers[3];

    (void)state;
    assert_md_ok(md_models_new(&ms, NULL, NULL, 16, md_alloc_default(), &err),
                 &err);
    install(ms, 0, "0", true);
    for (size_t i = 0; i < MD_COUNT(threads); i++) {
        readers[i] = (reader){ .ms = ms, .stop = &stop };
        assert_int_equal(
            pthread_create(&threads[i], NULL, look_up, &readers[i]), 0);
    }
    for (int i = 0; i < 200; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "%d", i + 1);
        install(ms, i + 1, texts[i], true);
        md_models_reap(ms);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < MD_COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
        assert_false(readers[i].backwards);
    }
    md_models_reap(ms);
    assert_int_equal(md_models_n_ready(ms), 1);
    md_models_free(ms);
}

static void test_models__out_of_memory(void **state)
{
    bool done = false;

    (void)state;
    for (int64_t i = 0; i < 100 && !done; i++) {
        md_error err = MD_ERROR_INIT;
        md_models *ms = NULL;
        fail_alloc fa;
        md_status s;

        fail_alloc_init(&fa);
        fail_alloc_arm(&fa, i);
        s = md_models_new(&ms, NULL, NULL, 16, &fa.alloc, &err);
        for (int64_t k = 0; s == MD_OK && k < 20; k++)
            s = md_models_begin(ms, k % 2 ? "a" : "b", k, &err);
        done = s == MD_OK;
        assert_true(done || s == MD_NOMEM);
        md_models_free(ms);
        assert_int_equal(fa.n_live, 0);
    }
    assert_true(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models__the_highest_version_is_the_usual_one),
        cmocka_unit_test(test_models__who_holds_a_version_keeps_it),
        cmocka_unit_test(test_models__a_failure_changes_nothing_that_serves),
        cmocka_unit_test(test_models__stamps),
        cmocka_unit_test(test_models__swapped_under_readers),
        cmocka_unit_test(test_models__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
