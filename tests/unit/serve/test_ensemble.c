/* Ensembles of models that need no engine: made, run, made anew, let go, and
 * without memory. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "serve/ensembles.h"
#include "support/fail_alloc.h"
#include "support/fake_serve.h"

static const char CONFIG[] =
    "max_batch_size: 4\n"
    "input { name: 'in' data_type: TYPE_FP32 dims: 3 }\n"
    "output { name: 'out' data_type: TYPE_FP32 dims: 3 }\n"
    "ensemble_scheduling {\n"
    "  step { model_name: 'b' input_map { key: 'x' value: 'mid' }\n"
    "         output_map { key: 'y' value: 'out' } }\n"
    "  step { model_name: 'a' input_map { key: 'x' value: 'in' }\n"
    "         output_map { key: 'y' value: 'mid' } } }";

static void install(md_models *ms, const char *name, int64_t dim,
                    fake_gate *gate)
{
    const md_serve_io x = { "x", MD_DTYPE_F32, { 2, { -1, dim } }, true };
    md_serve_model *m = fake_model(name, &x, 1, NULL, 0, gate);
    md_models_new_one one = { .number = 1 };
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_served_new(&one.served, ms, m, &err), &err);
    assert_md_ok(md_models_begin(ms, name, 1, &err), &err);
    md_models_install(ms, name, &one, 1, false);
}

static md_models *make_models(fake_gate *gate)
{
    md_error err = MD_ERROR_INIT;
    md_models *ms = NULL;

    assert_md_ok(md_models_new(&ms, NULL, NULL, 16, md_alloc_default(), &err),
                 &err);
    install(ms, "a", 3, NULL);
    install(ms, "b", 3, gate);
    return ms;
}

static md_status make(md_serve_model **out, md_models *ms,
                      const md_alloc *alloc, md_error *err)
{
    const md_repo_model from = { .name = "e",
                                 .config_text = CONFIG,
                                 .config_size = strlen(CONFIG) };

    *out = NULL;
    return md_ensemble_new(out, ms, &from, 7, "one\ntwo", alloc, err);
}

static md_served *find(md_models *ms, const char *name)
{
    md_error err = MD_ERROR_INIT;
    md_served *v = NULL;

    assert_md_ok(md_models_find(ms, &v, name, NULL, &err), &err);
    return v;
}

/* One run of two rows; its status. */
static md_status run(const md_serve_model *m, md_error *err)
{
    const float x[6] = { 1, 2, 3, 4, 5, 6 };
    const md_shape shape = { 2, { 2, 3 } };
    const md_tensor *y;
    void *r = NULL;
    md_status s;

    MD_TRY(m->engine->acquire(m->ctx, &r, &shape, err));
    m->engine->bind(r, 0, x);
    s = m->engine->execute(r, 1, err);
    m->engine->ran(r, 3);
    if (s == MD_OK) {
        y = m->engine->output(r, 0);
        assert_int_equal(y->shape.dim[0], 2);
        assert_memory_equal(y->data, x, sizeof(x));
    }
    m->engine->release(r);
    return s;
}

static void test_ensemble__runs_and_counts(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_serve_model *m;
    fake_gate gate;
    md_models *ms;
    md_served *a;
    md_served *b;

    (void)state;
    fake_gate_init(&gate);
    ms = make_models(&gate);
    assert_md_ok(make(&m, ms, md_alloc_default(), &err), &err);
    assert_true(md_ensemble_is(m));
    assert_string_equal(m->version, "7");
    assert_string_equal(m->platform, "ensemble");
    assert_int_equal(m->n_labels, 2);
    assert_int_equal(m->max_batch, 4);
    assert_md_ok(run(m, &err), &err);
    gate.status = MD_BUSY;
    assert_md_fails(run(m, &err), MD_BUSY, &err, "step 'b': ");
    a = find(ms, "a");
    b = find(ms, "b");
    assert_int_equal(a->stats.executions, 2);
    assert_int_equal(a->stats.success.n, 6);
    assert_int_equal(b->stats.executions, 1);
    assert_int_equal(b->stats.success.n, 3);
    assert_int_equal(b->stats.fail.n, 3);
    md_served_unref(a);
    md_served_unref(b);
    md_serve_model_free(m);
    md_models_free(ms);
}

static void put_in_service(md_models *ms)
{
    md_models_new_one one = { .number = 7 };
    md_error err = MD_ERROR_INIT;
    md_serve_model *m;

    assert_md_ok(make(&m, ms, md_alloc_default(), &err), &err);
    assert_md_ok(md_served_new(&one.served, ms, m, &err), &err);
    assert_md_ok(md_models_begin(ms, "e", 7, &err), &err);
    md_models_install(ms, "e", &one, 1, false);
}

static uint64_t id_of(md_models *ms, const char *name)
{
    md_served *v = find(ms, name);
    const uint64_t id = v->id;

    md_served_unref(v);
    return id;
}

static void keep_reason(void *ctx, const md_model_row *row)
{
    (void)snprintf(ctx, 100, "%s", row->reason);
}

static void test_ensemble__follows_its_steps(void **state)
{
    md_models *ms = make_models(NULL);
    char reason[100];
    uint64_t id;
    md_served *v;

    (void)state;
    put_in_service(ms);
    id = id_of(ms, "e");
    md_ensembles_follow(ms, true);
    assert_int_equal(id_of(ms, "e"), id); /* nothing has changed */
    install(ms, "a", 3, NULL);
    md_ensembles_follow(ms, false);
    assert_int_equal(id_of(ms, "e"), id);
    md_ensembles_follow(ms, true);
    assert_int_not_equal(id_of(ms, "e"), id);
    id = id_of(ms, "e");
    install(ms, "b", 4, NULL); /* which does not fit */
    md_ensembles_follow(ms, true);
    assert_int_equal(id_of(ms, "e"), id);
    md_models_each(ms, "e", keep_reason, reason);
    assert_non_null(strstr(reason, "tensor 'mid' is FP32"));
    assert_true(md_models_retire(ms, "b"));
    md_ensembles_follow(ms, false);
    assert_int_equal(md_models_find(ms, &v, "e", NULL, NULL), MD_NOT_FOUND);
    md_models_reap(ms);
    md_models_free(ms);
}

static void test_ensemble__out_of_memory(void **state)
{
    md_models *ms = make_models(NULL);
    bool done = false;

    (void)state;
    for (int i = 0; i < 1000 && !done; i++) {
        md_error err = MD_ERROR_INIT;
        md_serve_model *m;
        fail_alloc fa;
        md_status s;

        fail_alloc_init(&fa);
        fail_alloc_arm(&fa, i);
        s = make(&m, ms, &fa.alloc, &err);
        if (s == MD_OK)
            s = run(m, &err);
        done = !fail_alloc_disarm(&fa);
        assert_int_equal(s, done ? MD_OK : MD_NOMEM);
        md_serve_model_free(m);
        assert_int_equal(fa.n_live, 0);
    }
    assert_true(done);
    md_models_free(ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ensemble__runs_and_counts),
        cmocka_unit_test(test_ensemble__follows_its_steps),
        cmocka_unit_test(test_ensemble__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
