/*
 * Subgraphs: the models of tests/golden/flow, made and answered by others,
 * through the interpreter and through sessions; then what only shows inside.
 */
#include "support/test.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/size.h"
#include "engine/run_impl.h"
#include "formats/onnx.h"
#include "formats/value_pb.h"
#include "support/build.h"
#include "support/fail_alloc.h"
#include "support/node_case.h"
#include "tensor/compare.h"

#define FOLDER MD_TEST_DIR "/golden/flow"

enum {
    IO_MAX = 8,
    PATH_SIZE = 1024
};

/* A session of a model of FOLDER, and a data set. */
typedef struct scene {
    md_session *s;
    md_tensor in[IO_MAX], want[IO_MAX];
} scene;

static md_status open_scene(scene *sc, const char *name,
                            const md_session_opts *opts, md_error *err)
{
    char path[PATH_SIZE];
    md_model *m;
    md_status s;

    snprintf(path, sizeof(path), FOLDER "/%s/model.onnx", name);
    MD_TRY(md_onnx_load(&m, path,
                        opts->alloc ? opts->alloc : md_alloc_default(), err));
    s = md_session_new(&sc->s, m, opts, err);
    if (s != MD_OK)
        md_model_free(m);
    return s;
}

static bool load_set(scene *sc, const char *name, int set)
{
    md_error err = MD_ERROR_INIT;
    char path[PATH_SIZE];

    snprintf(path, sizeof(path), FOLDER "/%s/test_data_set_%d", name, set);
    if (access(path, R_OK) != 0)
        return false;
    for (uint32_t i = 0; i < md_session_n_inputs(sc->s); i++) {
        snprintf(path, sizeof(path), FOLDER "/%s/test_data_set_%d/input_%u.pb",
                 name, set, i);
        assert_md_ok(md_value_pb_load(&sc->in[i],
                                      &md_session_input(sc->s, i)->type, path,
                                      md_alloc_default(), &err),
                     &err);
    }
    for (uint32_t i = 0; i < md_session_n_outputs(sc->s); i++) {
        snprintf(path, sizeof(path), FOLDER "/%s/test_data_set_%d/output_%u.pb",
                 name, set, i);
        assert_md_ok(md_value_pb_load(&sc->want[i],
                                      &md_session_output(sc->s, i)->type, path,
                                      md_alloc_default(), &err),
                     &err);
    }
    return true;
}

static void release(md_tensor *t)
{
    for (int i = 0; i < IO_MAX; i++)
        md_tensor_release(&t[i]);
}

static void check_run(scene *sc, const char *name)
{
    md_tensor got[IO_MAX] = { 0 };
    md_error err = MD_ERROR_INIT;

    if (md_session_run(sc->s, sc->in, got, md_alloc_default(), &err) != MD_OK)
        fail_msg("%s: %s", name, err.msg);
    for (uint32_t i = 0; i < md_session_n_outputs(sc->s); i++) {
        if (md_tensor_compare(NULL, &got[i], &sc->want[i], 1e-5, 1e-5, &err) !=
            MD_OK)
            fail_msg("%s, output %u: %s", name, i, err.msg);
    }
    release(got);
}

/* Every set twice over, so that runs meet other shapes and the same again. */
static void check_session(const char *name, bool reference)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    scene sc = { 0 };

    opts.reference = reference;
    if (open_scene(&sc, name, &opts, &err) != MD_OK)
        fail_msg("%s: %s", name, err.msg);
    for (int round = 0; round < 2; round++) {
        for (int set = 0; load_set(&sc, name, set); set++) {
            check_run(&sc, name);
            check_run(&sc, name);
            release(sc.in);
            release(sc.want);
        }
    }
    md_session_free(sc.s);
}

typedef void each_fn(const char *name);

static void for_each(each_fn *fn)
{
    DIR *d = opendir(FOLDER);
    int n = 0;

    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        char path[PATH_SIZE];

        snprintf(path, sizeof(path), FOLDER "/%s/model.onnx", e->d_name);
        if (e->d_name[0] == '.' || access(path, R_OK) != 0)
            continue;
        fn(e->d_name);
        n++;
    }
    closedir(d);
    assert_true(n >= 9);
}

static void interpret(const char *name)
{
    char path[PATH_SIZE], why[512];

    snprintf(path, sizeof(path), FOLDER "/%s", name);
    if (node_case_run(path, why, sizeof(why)) != NODE_PASS)
        fail_msg("%s: %s", name, why);
}

static void run_sessions(const char *name)
{
    check_session(name, false);
    check_session(name, true);
}

static void test_body__interpreted(void **state)
{
    (void)state;
    for_each(interpret);
}

static void test_body__in_sessions(void **state)
{
    (void)state;
    for_each(run_sessions);
}

/* With shapes that stay, nothing is allocated. */
static void check_steady(const char *name)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_shape shapes[IO_MAX];
    scene sc = { 0 };
    fail_alloc fa;
    md_run *r;

    fail_alloc_init(&fa);
    opts.alloc = &fa.alloc;
    assert_md_ok(open_scene(&sc, name, &opts, &err), &err);
    assert_true(load_set(&sc, name, 0));
    for (uint32_t i = 0; i < md_session_n_inputs(sc.s); i++)
        shapes[i] = sc.in[i].shape;
    assert_md_ok(md_run_acquire(&r, sc.s, shapes, &err), &err);
    for (uint32_t i = 0; i < md_session_n_inputs(sc.s); i++)
        md_run_bind_input(r, i, sc.in[i].data);
    for (int k = 0; k < 5; k++) {
        if (k == 2)
            fail_alloc_arm(&fa, 0); /* the next one would fail */
        if (md_run_execute(r, 0, &err) != MD_OK)
            fail_msg("%s, execution %d: %s", name, k, err.msg);
        assert_md_ok(md_tensor_compare(NULL, md_run_output(r, 0), &sc.want[0],
                                       1e-5, 1e-5, &err),
                     &err);
    }
    assert_false(fail_alloc_disarm(&fa));
    assert_true(md_run_memory(r) > 0);
    md_run_release(r);
    md_session_free(sc.s);
    if (atomic_load(&fa.n_live) != 0)
        fail_msg("%s: %lld blocks are left", name,
                 (long long)atomic_load(&fa.n_live));
    release(sc.in);
    release(sc.want);
}

static void test_body__steady_loops_allocate_nothing(void **state)
{
    (void)state;
    check_steady("captures");
    check_steady("weights");
    check_steady("until");
    check_steady("directions");
    check_steady("known");
    check_steady("cache");
    check_steady("growing");
    check_steady("fewer");
}

/* Values of another shape in each trip: one run of the body takes all, by
 * putting sizes into what was found at load.  "fewer" tells them only while it
 * runs. */
static void check_one_run(const char *name)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    scene sc = { 0 };
    const md_session *body;

    assert_md_ok(open_scene(&sc, name, &opts, &err), &err);
    assert_non_null(sc.s);
    if (!sc.s) /* for the analyser */
        return;
    body = sc.s->bodies;
    for (int set = 0; load_set(&sc, name, set); set++) {
        md_shape shapes[IO_MAX];
        md_run *r;

        for (uint32_t i = 0; i < md_session_n_inputs(sc.s); i++)
            shapes[i] = sc.in[i].shape;
        assert_md_ok(md_run__new(&r, sc.s, shapes, NULL, &err), &err);
        for (uint32_t i = 0; i < md_session_n_inputs(sc.s); i++)
            md_run_bind_input(r, i, sc.in[i].data);
        assert_md_ok(md_run_execute(r, 0, &err), &err);
        md_run__free(r); /* and gives the body's back */
        release(sc.in);
        release(sc.want);
        if (!body->form)
            fail_msg("%s: the body has no form", name);
        /* at most another to begin with */
        assert_in_range(body->n_idle, 1, set + 1);
        assert_ptr_equal(body->idle->form, body->form);
        assert_int_equal(body->idle->n_inferred, 0);
    }
    md_session_free(sc.s);
}

static void test_body__one_run_for_all_trips(void **state)
{
    (void)state;
    check_one_run("growing");
    check_one_run("cache");
    check_one_run("fewer");
}

/* The n-th allocation fails, for every n: in loading, planning and running. */
static void check_out_of_memory(const char *name)
{
    md_error err = MD_ERROR_INIT;
    bool failed = true;

    for (int64_t n = 0; failed; n++) {
        md_session_opts opts = MD_SESSION_OPTS_INIT;
        md_tensor got[IO_MAX] = { 0 };
        scene sc = { 0 };
        fail_alloc fa;
        md_status s;

        fail_alloc_init(&fa);
        opts.alloc = &fa.alloc;
        fail_alloc_arm(&fa, n);
        s = open_scene(&sc, name, &opts, &err);
        if (s == MD_OK) {
            assert_true(load_set(&sc, name, 0));
            s = md_session_run(sc.s, sc.in, got, &fa.alloc, &err);
        }
        failed = fail_alloc_disarm(&fa);
        assert_int_equal(s, failed ? MD_NOMEM : MD_OK);
        if (sc.s && failed) /* what is left works */
            check_run(&sc, name);
        release(got);
        if (sc.s)
            md_session_free(sc.s);
        release(sc.in);
        release(sc.want);
        if (atomic_load(&fa.n_live) != 0)
            fail_msg("%s, allocation %lld: %lld blocks are left", name,
                     (long long)n, (long long)atomic_load(&fa.n_live));
    }
}

static void test_body__out_of_memory(void **state)
{
    (void)state;
    check_out_of_memory("captures");
    check_out_of_memory("known");
    check_out_of_memory("sequences");
    check_out_of_memory("text");
    check_out_of_memory("directions");
    check_out_of_memory("cache");
    check_out_of_memory("fewer");
}

/* explain tells of the subgraphs' kernels; an If with a known condition is
 * gone, its branch is not. */
static void test_body__known_branches_are_inlined(void **state)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    scene sc = { 0 };
    md_buf b;

    (void)state;
    assert_md_ok(open_scene(&sc, "known", &opts, &err), &err);
    md_buf_init(&b, md_alloc_default(), 1 << 20);
    assert_md_ok(md_session_explain(sc.s, false, &b, &err), &err);
    assert_md_ok(md_buf_putc(&b, '\0', &err), &err);
    assert_null(strstr((char *)b.data, " If "));
    assert_null(strstr((char *)b.data, " Neg "));
    assert_non_null(strstr((char *)b.data, " Loop "));
    assert_non_null(strstr((char *)b.data, "body/"));
    md_buf_release(&b);
    md_session_free(sc.s);
}

/* Behind branches of different ranks, kernels are chosen all the same. */
static void test_body__kernels_behind_ranks(void **state)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    scene sc = { 0 };

    (void)state;
    assert_md_ok(open_scene(&sc, "squeezed", &opts, &err), &err);
    assert_non_null(sc.s);
    if (!sc.s) /* for the analyser */
        return;
    for (uint32_t i = 0; i < sc.s->n_insts; i++) {
        const md_inst *inst = &sc.s->insts[i];
        const char *op = inst->node ? inst->node->op : "";

        if (strcmp(op, "LSTM") == 0 || strcmp(op, "Relu") == 0 ||
            strcmp(op, "Concat") == 0 || strcmp(op, "Conv") == 0)
            assert_int_equal(inst->kind, MD_INST_FAST);
    }
    md_session_free(sc.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body__interpreted),
        cmocka_unit_test(test_body__in_sessions),
        cmocka_unit_test(test_body__steady_loops_allocate_nothing),
        cmocka_unit_test(test_body__one_run_for_all_trips),
        cmocka_unit_test(test_body__out_of_memory),
        cmocka_unit_test(test_body__known_branches_are_inlined),
        cmocka_unit_test(test_body__kernels_behind_ranks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
