/*
 * Sessions with the n-th allocation failing, for every n: out of memory is
 * MD_NOMEM, nothing is lost, and what is left works.
 */
#include "support/test.h"

#include <string.h>

#include "engine/session.h"
#include "support/fail_alloc.h"
#include "support/net.h"

enum {
    N_MAX = 5000,
    N_FREE = 2, /* sizes of the free dimension */
    THREADS_MAX = 2
};

typedef struct net {
    const char *name, *text;
} net;

static const net nets[] = {
#define NET(name, text) { #name, text },
#include "support/nets.def"
#undef NET
};

/* A model, its inputs and results for each size of the free dimension. */
typedef struct scene {
    const net *net;
    md_precision precision;
    fail_alloc fa;
    md_pool *pool;
    uint32_t n_in, n_out;
    md_tensor in[N_FREE][NET_IO_MAX], want[N_FREE][NET_IO_MAX];
} scene;

/* The results that count are those of a session that is let alone: they must
 * come out again to the bit. */
static void begin(scene *sc, const net *n, md_precision p, md_pool *pool)
{
    md_session_opts o = MD_SESSION_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_session *s;

    *sc = (scene){ .net = n, .precision = p, .pool = pool };
    fail_alloc_init(&sc->fa);
    o.pool = pool;
    o.precision = p;
    s = net_open(n->text, &o);
    sc->n_in = md_session_n_inputs(s);
    sc->n_out = md_session_n_outputs(s);
    for (int i = 0; i < N_FREE; i++) {
        net_inputs(sc->in[i], md_session_model(s)->graph, i + 1, 3);
        assert_md_ok(
            md_session_run(s, sc->in[i], sc->want[i], md_alloc_default(), &err),
            &err);
    }
    md_session_free(s);
}

static void end(scene *sc)
{
    for (int i = 0; i < N_FREE; i++) {
        net_release(sc->in[i], sc->n_in);
        net_release(sc->want[i], sc->n_out);
    }
    assert_int_equal(atomic_load(&sc->fa.n_live), 0);
}

static md_status open_session(md_session **s, scene *sc, int64_t fail_at,
                              md_error *err)
{
    md_session_opts o = MD_SESSION_OPTS_INIT;
    md_model *m = net_load(sc->net->text, &sc->fa.alloc);
    md_status st;

    o.alloc = &sc->fa.alloc;
    o.pool = sc->pool;
    o.precision = sc->precision;
    fail_alloc_arm(&sc->fa, fail_at);
    st = md_session_new(s, m, &o, err);
    if (st != MD_OK)
        md_model_free(m);
    return st;
}

static void check_same(const scene *sc, int64_t fail_at, const md_tensor *got,
                       int i)
{
    for (uint32_t k = 0; k < sc->n_out; k++) {
        const md_tensor *want = &sc->want[i][k];

        if (got[k].dtype != want->dtype ||
            !md_shape_equal(&got[k].shape, &want->shape) ||
            memcmp(got[k].data, want->data, md_tensor_size(want)) != 0)
            fail_msg("%s: output %u differs after allocation %d failed",
                     sc->net->name, k, (int)fail_at);
    }
}

/* Run once; true when an allocation failed, and then the status says so. */
static bool run(scene *sc, md_session *s, int i, int64_t fail_at)
{
    md_error err = MD_ERROR_INIT;
    md_tensor got[NET_IO_MAX];
    md_status st;
    bool failed;

    fail_alloc_arm(&sc->fa, fail_at);
    st = md_session_run(s, sc->in[i], got, &sc->fa.alloc, &err);
    failed = fail_alloc_disarm(&sc->fa);
    if (failed) {
        assert_md_fails(st, MD_NOMEM, &err, "");
        return true;
    }
    assert_md_ok(st, &err);
    check_same(sc, fail_at, got, i);
    net_release(got, sc->n_out);
    return false;
}

static void fail_creation(scene *sc)
{
    bool failed = true;

    for (int64_t n = 0; failed; n++) {
        md_error err = MD_ERROR_INIT;
        md_session *s = NULL;
        md_status st = open_session(&s, sc, n, &err);

        failed = fail_alloc_disarm(&sc->fa);
        assert_true(n < N_MAX && (failed || n > 0));
        if (failed) {
            assert_md_fails(st, MD_NOMEM, &err, "");
        } else {
            assert_md_ok(st, &err);
            (void)run(sc, s, 0, -1);
            md_session_free(s);
        }
        assert_int_equal(atomic_load(&sc->fa.n_live), 0);
    }
}

/* The first run fails; the same session then runs, for the other size and for
 * this one. */
static void fail_first_run(scene *sc)
{
    bool failed = true;

    for (int64_t n = 0; failed; n++) {
        md_error err = MD_ERROR_INIT;
        md_session *s = NULL;

        assert_true(n < N_MAX);
        assert_md_ok(open_session(&s, sc, -1, &err), &err);
        failed = run(sc, s, 0, n);
        assert_false(run(sc, s, 1, -1));
        assert_false(run(sc, s, 0, -1));
        md_session_free(s);
        assert_int_equal(atomic_load(&sc->fa.n_live), 0);
    }
}

/* One session that ran goes on while runs of both sizes fail. */
static void fail_later_runs(scene *sc)
{
    md_error err = MD_ERROR_INIT;
    md_session *s = NULL;
    bool failed = true;

    assert_md_ok(open_session(&s, sc, -1, &err), &err);
    assert_false(run(sc, s, 0, -1));
    for (int64_t n = 0; failed; n++) {
        assert_true(n < N_MAX);
        failed = run(sc, s, 1, n);
        failed |= run(sc, s, 0, n);
        assert_false(run(sc, s, 0, -1));
    }
    md_session_free(s);
}

static void every_net(md_precision p, void (*fn)(scene *sc))
{
    for (int width = 1; width <= THREADS_MAX; width++) {
        md_error err = MD_ERROR_INIT;
        md_pool *pool = NULL;

        assert_md_ok(md_pool_new(&pool, width, md_alloc_default(), &err), &err);
        for (size_t i = 0; i < MD_COUNT(nets); i++) {
            scene sc;

            begin(&sc, &nets[i], p, pool);
            fn(&sc);
            end(&sc);
        }
        md_pool_free(pool);
    }
}

static void test_session__creation_out_of_memory(void **state)
{
    (void)state;
    every_net(MD_PRECISION_FP32, fail_creation);
}

/* Lowering twice and running samples first, where the CPU gives a choice. */
static void test_session__choosing_out_of_memory(void **state)
{
    (void)state;
    every_net(MD_PRECISION_AUTO, fail_creation);
}

static void test_session__first_run_out_of_memory(void **state)
{
    (void)state;
    every_net(MD_PRECISION_FP32, fail_first_run);
}

static void test_session__later_runs_out_of_memory(void **state)
{
    (void)state;
    every_net(MD_PRECISION_FP32, fail_later_runs);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session__creation_out_of_memory),
        cmocka_unit_test(test_session__choosing_out_of_memory),
        cmocka_unit_test(test_session__first_run_out_of_memory),
        cmocka_unit_test(test_session__later_runs_out_of_memory),
    };

    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
