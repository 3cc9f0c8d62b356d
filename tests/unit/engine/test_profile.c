/*
 * What a run tells of its steps: those that explain lists, each begun and
 * ended once in an execution, with multiply-accumulates and bytes counted by
 * hand.
 */
#include "support/test.h"

#include <string.h>

#include "engine/profile.h"
#include "support/net.h"

enum {
    N_STEPS_MAX = 8
};

typedef struct log {
    int n_begun[N_STEPS_MAX], n_ended[N_STEPS_MAX];
    int64_t open; /* the step that runs; -1: none */
    bool wrong;
} log;

static void begin(void *ctx, uint32_t step)
{
    log *l = ctx;

    l->wrong |= l->open != -1 || step >= N_STEPS_MAX;
    l->open = step;
    l->n_begun[step % N_STEPS_MAX]++;
}

static void end(void *ctx, uint32_t step)
{
    log *l = ctx;

    l->wrong |= l->open != step;
    l->open = -1;
    l->n_ended[step % N_STEPS_MAX]++;
}

static md_run *acquire(md_session *s, const md_tensor *in)
{
    md_shape shapes[NET_IO_MAX];
    md_error err = MD_ERROR_INIT;
    md_run *r = NULL;

    for (uint32_t i = 0; i < md_session_n_inputs(s); i++)
        shapes[i] = in[i].shape;
    assert_md_ok(md_run_acquire(&r, s, shapes, &err), &err);
    for (uint32_t i = 0; i < md_session_n_inputs(s); i++)
        memcpy(md_run_input(r, i)->data, in[i].data, md_tensor_size(&in[i]));
    return r;
}

typedef struct row {
    const char *op;
    int64_t macs, bytes;
} row;

/* Run `text` twice watched and once not, with free dimensions of n. */
static void check(const char *text, int64_t n, const row *rows, uint32_t n_rows)
{
    md_session *s = net_open(text, NULL);
    log l = { .open = -1 };
    const md_run_watch watch = { begin, end, &l };
    md_tensor in[NET_IO_MAX];
    md_error err = MD_ERROR_INIT;
    md_run *r;

    net_inputs(in, md_session_model(s)->graph, n, 5);
    r = acquire(s, in);
    md_run_set_watch(r, &watch);
    assert_md_ok(md_run_execute(r, 0, &err), &err);
    assert_md_ok(md_run_execute(r, 0, &err), &err);
    assert_int_equal(md_run_n_steps(r), n_rows);
    for (uint32_t i = 0; i < n_rows; i++) {
        const md_step_facts f = md_run_step_facts(r, i);

        assert_string_equal(f.op, rows[i].op);
        assert_non_null(f.node);
        assert_true(f.kernel && f.kernel[0]);
        assert_int_equal(f.macs, rows[i].macs);
        assert_int_equal(f.bytes, rows[i].bytes);
        assert_int_equal(l.n_begun[i], 2);
        assert_int_equal(l.n_ended[i], 2);
    }
    md_run_release(r); /* and with it the watch */
    r = acquire(s, in);
    assert_md_ok(md_run_execute(r, 0, &err), &err);
    assert_int_equal(l.n_begun[0], 2);
    assert_false(l.wrong);
    assert_int_equal(l.open, -1);
    md_run_release(r);
    net_release(in, md_session_n_inputs(s));
    md_session_free(s);
}

static void test_profile__planned_steps(void **state)
{
    /* [5,8] by [8,3] and its bias; then Softmax of [5,3]. */
    static const row rows[] = {
        { "Gemm", 5 * 8 * 3, 4 * (5 * 8 + 8 * 3 + 3 + 5 * 3) },
        { "Softmax", 0, 4 * 2 * 5 * 3 },
    };

    (void)state;
    check("x f32[N,8]; a = Gemm(x, f32[8,3]~1, f32[3]~1); "
          "y = Softmax(a) axis=-1; -> y",
          5, rows, MD_COUNT(rows));
}

/* Channels come in blocks of 16, and are put in rows at the end. */
static void test_profile__blocks_and_reorders(void **state)
{
    static const row rows[] = {
        { "Conv", 16 * 16 * 9 * 36, 4 * (16 * 64 + 16 * 16 * 9 + 16 * 36) },
        { "MaxPool", 0, 4 * (16 * 36 + 16 * 9) },
        { "Reorder", 0, 4 * (16 * 9 + 16 * 9) },
    };
    static const row plain[] = {
        { "Conv", 16 * 16 * 9 * 36, 4 * (16 * 64 + 16 * 16 * 9 + 16 * 36) },
        { "MaxPool", 0, 4 * (16 * 36 + 16 * 9) },
    };
    static const char text[] =
        "x f32[1,16,8,8]; a = Conv(x, f32[16,16,3,3]~1); "
        "y = MaxPool(a) kernel_shape=[2,2] strides=[2,2]; -> y";
    md_session *s = net_open(text, NULL);
    char *told = net_explain(s);
    bool blocked = strstr(told, "Reorder") != NULL;
    bool first = blocked && strstr(told, "Reorder") < strstr(told, "Conv");

    (void)state;
    md_free(md_alloc_default(), told);
    md_session_free(s);
    if (first)
        skip(); /* a CPU whose convolutions want their input in blocks too */
    check(text, 1, blocked ? rows : plain,
          blocked ? MD_COUNT(rows) : MD_COUNT(plain));
}

/* Three elements of four are not 0, which running tells. */
static void test_profile__sizes_that_running_tells(void **state)
{
    static const row rows[] = {
        { "NonZero", 0, 4 * 4 + 8 * 3 },
        { "Cast", 0, 8 * 3 + 4 * 3 },
    };
    md_session *s = net_open("x f32[4]; i = NonZero(x); "
                             "y = Cast(i) to=1; -> y",
                             NULL);
    static const float x[4] = { 1, 0, 2, 3 };
    const md_shape shape = { .rank = 1, .dim = { 4 } };
    md_error err = MD_ERROR_INIT;
    md_run *r = NULL;

    (void)state;
    assert_md_ok(md_run_acquire(&r, s, &shape, &err), &err);
    if (!r)
        return;
    for (uint32_t i = 0; i < MD_COUNT(rows); i++) /* it has not run */
        assert_int_equal(md_run_step_facts(r, i).macs, 0);
    memcpy(md_run_input(r, 0)->data, x, sizeof(x));
    assert_md_ok(md_run_execute(r, 0, &err), &err);
    assert_int_equal(md_run_n_steps(r), MD_COUNT(rows));
    for (uint32_t i = 0; i < MD_COUNT(rows); i++) {
        const md_step_facts f = md_run_step_facts(r, i);

        assert_string_equal(f.op, rows[i].op);
        assert_int_equal(f.bytes, rows[i].bytes);
    }
    md_run_release(r);
    md_session_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_profile__planned_steps),
        cmocka_unit_test(test_profile__blocks_and_reorders),
        cmocka_unit_test(test_profile__sizes_that_running_tells),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
