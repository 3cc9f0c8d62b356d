/*
 * How many threads steps are given for what they were measured to take.
 */
#include "support/test.h"

#include "engine/widths.h"
#include "support/net.h"

enum {
    N_THREADS = 4,
    GEMM = 0 /* its step; what stands behind it is not shared */
};

static const char net[] = "x f32[64,256]\n"
                          "a = Gemm(x, f32[256,512]~0.05)\n"
                          "b = Slice(a, i64[1]{0}, i64[1]{1}, i64[1]{0})\n"
                          "y = Softmax(b) axis=-1\n"
                          "-> y";

typedef struct bench {
    md_pool *pool;
    md_session *s;
    md_run *r;
} bench;

static void setup(bench *b)
{
    const md_shape shape = { .rank = 2, .dim = { 64, 256 } };
    md_session_opts o = MD_SESSION_OPTS_INIT;
    md_error err = MD_ERROR_INIT;

    *b = (bench){ .pool = NULL };
    assert_md_ok(md_pool_new(&b->pool, N_THREADS, md_alloc_default(), &err),
                 &err);
    o.pool = b->pool;
    b->s = net_open(net, &o);
    assert_md_ok(md_run_acquire(&b->r, b->s, &shape, &err), &err);
    assert_non_null(b->r);
}

static void teardown(bench *b)
{
    md_run_release(b->r);
    md_session_free(b->s);
    md_pool_free(b->pool);
}

/* All timed executions of a plan whose steps take one thread work_ns, and the
 * first one ten times as long. */
static void time_all(md_run *r, int64_t work_ns)
{
    md_run__forget_widths(r);
    r->width = N_THREADS;
    for (int k = 0; k < MD_TIMED_RUNS; k++) {
        assert_true(md_run__is_timed(r));
        for (uint32_t i = 0; i < r->n_steps; i++) {
            md_run_step *st = &r->steps[i];
            int width;

            md_run__before_step(r, st);
            width = st->width < N_THREADS ? st->width : N_THREADS;
            if (i != GEMM)
                width = 1;
            md_run__after_step(r, st, (k ? work_ns : 10 * work_ns) / width);
        }
        md_run__after_timing(r);
    }
    assert_false(md_run__is_timed(r));
}

static void test_widths__by_work(void **state)
{
    static const struct {
        int64_t work_ns;
        int least, most; /* threads */
        bool is_short;
    } rows[] = { { 0, 1, 1, true },           { 2900, 1, 1, true },
                 { 3100, 2, 3, true },        { 6000, 4, 5, true },
                 { 79000, 4, 60, true },      { 81000, 4, 60, false },
                 { 10000000, 4, 8000, false } };
    bench b;

    (void)state;
    setup(&b);
    for (size_t i = 0; i < MD_COUNT(rows) && b.r; i++) {
        const md_run_step *st = &b.r->steps[GEMM];

        time_all(b.r, rows[i].work_ns);
        assert_true(st->st.n_chunks >= N_THREADS);
        assert_true(st->width >= rows[i].least && st->width <= rows[i].most);
        assert_int_equal(st->is_short, rows[i].is_short);
        assert_int_equal(b.r->shared_ns, st->width > 1 ? st->work_ns : 0);
        assert_true(st->work_ns <= rows[i].work_ns);
        assert_true(st->work_ns > rows[i].work_ns - N_THREADS);
    }
    teardown(&b);
}

/* What is short is tried on the caller alone, what is long never is. */
static void test_widths__tries(void **state)
{
    bench b;

    (void)state;
    setup(&b);
    for (int k = 0; k < 2 && b.r; k++) {
        const int64_t ns = k ? 10000000 : 10000;
        md_run_step *st = &b.r->steps[GEMM];

        md_run__forget_widths(b.r);
        b.r->width = N_THREADS;
        for (int i = 0; i < MD_TIMED_RUNS; i++) {
            md_run__before_step(b.r, st);
            assert_int_equal(st->width == 1, i >= 2 && k == 0);
            md_run__after_step(b.r, st, ns / (st->width == 1 ? 1 : 4));
            md_run__after_timing(b.r);
        }
    }
    teardown(&b);
}

/* It is settled by executing, and forgotten when sizes change. */
static void test_widths__of_a_run(void **state)
{
    const md_shape shapes[] = { { .rank = 2, .dim = { 64, 256 } },
                                { .rank = 2, .dim = { 65, 256 } } };
    md_session_opts o = MD_SESSION_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_pool *pool = NULL;
    md_run *r = NULL;
    md_session *s;

    (void)state;
    assert_md_ok(md_pool_new(&pool, N_THREADS, md_alloc_default(), &err), &err);
    o.pool = pool;
    o.runs_kept = 1;
    s = net_open("x f32[N,256]; a = Gemm(x, f32[256,512]~0.05); -> a", &o);
    for (size_t k = 0; k < MD_COUNT(shapes); k++) {
        md_tensor in;

        assert_md_ok(md_run_acquire(&r, s, &shapes[k], &err), &err);
        if (!r)
            return;
        md_session_sample(s, 0, 1, md_run_input(r, 0));
        for (int i = 0; i < MD_TIMED_RUNS; i++) {
            assert_true(md_run__is_timed(r));
            assert_md_ok(md_run_execute(r, 0, &err), &err);
        }
        assert_false(md_run__is_timed(r));
        assert_true(r->steps[0].work_ns > 0);
        assert_true(r->steps[0].work_ns < INT64_MAX);
        assert_md_ok(md_run_execute(r, 0, &err), &err);
        in = *md_run_output(r, 0);
        assert_int_equal(in.shape.dim[0], shapes[k].dim[0]);
        md_run_release(r);
    }
    md_session_free(s);
    md_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widths__by_work),
        cmocka_unit_test(test_widths__tries),
        cmocka_unit_test(test_widths__of_a_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
