/*
 * One session under several threads: each asks for its own shapes again and
 * again, on a pool that all share, with a width of its own.  Everyone gets
 * the bits that it gets alone.  Worth most under ThreadSanitizer.
 */
#include "support/test.h"

#include <pthread.h>
#include <string.h>

#include "support/net.h"

enum {
    CALLERS = 4,
    ROUNDS = 6,
    SIZES = 3
};

static const int64_t sizes[SIZES] = { 1, 2, 5 };

/* What all callers share. */
typedef struct shared {
    md_session *s;
    md_tensor in[SIZES][NET_IO_MAX];
    md_tensor want[SIZES][NET_IO_MAX]; /* what a run alone gave */
    uint32_t n_in, n_out;
} shared;

typedef struct caller {
    const shared *all;
    int id;
    md_status status;
    int differs; /* runs whose bits were others */
    md_error err;
} caller;

static md_status run_once(caller *c, int size, int width)
{
    const shared *a = c->all;
    md_shape shapes[NET_IO_MAX];
    md_run *r = NULL;

    for (uint32_t i = 0; i < a->n_in; i++)
        shapes[i] = a->in[size][i].shape;
    MD_TRY(md_run_acquire(&r, a->s, shapes, &c->err));
    for (uint32_t i = 0; i < a->n_in; i++)
        memcpy(md_run_input(r, i)->data, a->in[size][i].data,
               md_tensor_size(&a->in[size][i]));
    c->status = md_run_execute(r, width, &c->err);
    for (uint32_t i = 0; i < a->n_out && c->status == MD_OK; i++) {
        const md_tensor *y = md_run_output(r, i), *want = &a->want[size][i];

        c->differs += !md_shape_equal(&y->shape, &want->shape) ||
                      memcmp(y->data, want->data, md_tensor_size(want)) != 0;
    }
    md_run_release(r);
    return c->status;
}

static void *call(void *ctx)
{
    caller *c = ctx;

    for (int i = 0; i < ROUNDS && c->status == MD_OK; i++)
        c->status = run_once(c, (c->id + i) % SIZES, (c->id * 3 + i) % 4);
    return NULL;
}

static void prepare(shared *a, const char *text, const md_session_opts *opts)
{
    md_session *alone = net_open(text, NULL);
    md_error err = MD_ERROR_INIT;

    *a = (shared){ .s = net_open(text, opts) };
    a->n_in = md_session_n_inputs(a->s);
    a->n_out = md_session_n_outputs(a->s);
    for (int i = 0; i < SIZES; i++) {
        net_inputs(a->in[i], md_session_model(alone)->graph, sizes[i],
                   (uint32_t)i);
        assert_md_ok(md_session_run(alone, a->in[i], a->want[i],
                                    md_alloc_default(), &err),
                     &err);
    }
    md_session_free(alone);
}

static void check_net(const char *text, const md_session_opts *opts)
{
    pthread_t threads[CALLERS];
    caller callers[CALLERS];
    shared a;

    prepare(&a, text, opts);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (caller){ .all = &a, .id = i };
        assert_int_equal(pthread_create(&threads[i], NULL, call, &callers[i]),
                         0);
    }
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < CALLERS; i++) {
        assert_md_ok(callers[i].status, &callers[i].err);
        if (callers[i].differs)
            fail_msg("caller %d: %d outputs differ in\n%s", i,
                     callers[i].differs, text);
    }
    for (int i = 0; i < SIZES; i++) {
        net_release(a.in[i], a.n_in);
        net_release(a.want[i], a.n_out);
    }
    md_session_free(a.s);
}

/* Large enough to be shared among threads; every kind of kernel. */
static const char *const nets[] = {
    "x f32[N,16,24,24]; a = Conv(x, f32[64,16,3,3]~0.1) pads=[1,1,1,1]; "
    "b = Conv(a, f32[64,64,1,1]~0.1); c = Add(a, b); d = Relu(c); "
    "e = Conv(d, f32[64,1,3,3]~0.2) group=64; f = GlobalAveragePool(e); "
    "g = Flatten(f); y = Gemm(g, f32[64,1000]~0.1, f32[1000]~1); -> y",
    "x f32[N,3,40,40]; a = Conv(x, f32[32,3,3,3]~0.2) strides=[2,2]; "
    "b = MaxPool(a) kernel_shape=[3,3]; y = Softmax(b) axis=1; -> y",
    "x f32[N,64,96]; q = MatMul(x, f32[96,96]~0.1); "
    "t = Transpose(q) perm=[0,2,1]; s = MatMul(x, t); p = Softmax(s); "
    "a = MatMul(p, x); b = Add(a, x); c = LayerNormalization(b, f32[96]~1); "
    "d = MatMul(c, f32[96,384]~0.1); e = Gelu(d); "
    "y = MatMul(e, f32[384,96]~0.05); -> y",
    "q u8[N,32,20,20]; d = DequantizeLinear(q, f32[]{0.02}, u8[]{99}); "
    "w = DequantizeLinear(i8[64,32,3,3]~127, f32[]{0.001}); "
    "c = Conv(d, w) pads=[1,1,1,1]; "
    "y = QuantizeLinear(c, f32[]{0.05}, u8[]{100}); -> y",
};

/* Values that are found while running: contents decide shapes. */
static const char *const dynamic[] = {
    "x f32[N,40]; s = Relu(x); z = NonZero(s); t = Transpose(z); "
    "u = Cast(t) to=1; y = ReduceMean(u, i64[1]{1}); -> y",
};

static void test_threads__one_session(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(nets); i++)
        check_net(nets[i], NULL);
    for (size_t i = 0; i < MD_COUNT(dynamic); i++)
        check_net(dynamic[i], NULL);
}

static void test_threads__one_session_on_a_pool(void **state)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_error err = MD_ERROR_INIT;

    (void)state;
    assert_md_ok(md_pool_new(&opts.pool, 3, md_alloc_default(), &err), &err);
    for (size_t i = 0; i < MD_COUNT(nets); i++)
        check_net(nets[i], &opts);
    for (size_t i = 0; i < MD_COUNT(dynamic); i++)
        check_net(dynamic[i], &opts);
    opts.runs_kept = 1; /* plans come and go */
    check_net(nets[0], &opts);
    md_pool_free(opts.pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads__one_session),
        cmocka_unit_test(test_threads__one_session_on_a_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
