/*
 * Sessions: the optimized program against the operators' definitions, over
 * the shapes, layouts and CPU levels that a model can meet.
 */
#include "support/test.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/cpu.h"
#include "engine/session.h"
#include "support/build.h"
#include "tensor/compare.h"

/* Every allocation of the process so far, all tags. */
static uint64_t count_allocs(void)
{
    uint64_t n = 0;

    for (int t = 0; t < MD_MEM_N_TAGS; t++)
        n += md_mem_stat_get((md_mem_tag)t).n_allocs;
    return n;
}

static md_value_id conv(md_model *m, md_value_id x, int64_t ic, int64_t oc,
                        int64_t k, int64_t stride, int64_t group)
{
    const int64_t w[] = { oc, ic / group, k, k };
    const int64_t pads[] = { k / 2, k / 2, k / 2, k / 2 };
    const int64_t strides[] = { stride, stride };
    const int64_t terms = ic / group * k * k; /* of a sum */
    uint32_t seed = m->graph->n_values;
    md_value_id y = md_build_node(
        m, "Conv", 3,
        (md_value_id[]){
            x, md_build_random(m, 4, w, 1.5f / sqrtf((float)terms), seed),
            md_build_random(m, 1, &oc, 0.1f, seed + 1) });

    md_build_attr_ints(m, y, "pads", 4, pads);
    md_build_attr_ints(m, y, "strides", 2, strides);
    md_build_attr_int(m, y, "group", group);
    return y;
}

static md_value_id batch_norm(md_model *m, md_value_id x, int64_t c)
{
    uint32_t seed = m->graph->n_values;
    md_value_id var = md_build_random(m, 1, &c, 1.0f, seed);
    float *v = m->graph->values[var].cdata->data;

    for (int64_t i = 0; i < c; i++)
        v[i] = fabsf(v[i]) + 0.1f;
    return md_build_node(
        m, "BatchNormalization", 5,
        (md_value_id[]){ x, md_build_random(m, 1, &c, 1.0f, seed + 1),
                         md_build_random(m, 1, &c, 0.5f, seed + 2),
                         md_build_random(m, 1, &c, 0.5f, seed + 3), var });
}

static md_value_id unary(md_model *m, const char *op, md_value_id x)
{
    return md_build_node(m, op, 1, &x);
}

static md_value_id add(md_model *m, md_value_id a, md_value_id b)
{
    return md_build_node(m, "Add", 2, (md_value_id[]){ a, b });
}

/* Stem, BN, SiLU, residual, depthwise, concat, pools, dense, softmax: with
 * channel counts that are no multiple of a block too. */
static md_model *small_net(int64_t channels)
{
    const int64_t in[] = { -1, 3, 13, 11 }, kernel[] = { 3, 3 };
    md_model *m = md_build_model(17);
    md_value_id x = md_build_input(m, "x", MD_DTYPE_F32, 4, in);
    md_value_id y, z, w, b;
    int64_t wide = 2 * channels, ten = 10;

    y = unary(m, "Relu",
              batch_norm(m, conv(m, x, 3, channels, 3, 2, 1), channels));
    z = conv(m, y, channels, channels, 3, 1, 1);
    z = md_build_node(m, "Mul", 2,
                      (md_value_id[]){ z, unary(m, "Sigmoid", z) });
    y = unary(m, "Relu", add(m, conv(m, z, channels, channels, 1, 1, 1), y));
    z = unary(m, "HardSwish", conv(m, y, channels, channels, 3, 1, channels));
    y = md_build_node(m, "Concat", 2, (md_value_id[]){ y, z });
    md_build_attr_int(m, y, "axis", 1);
    y = unary(m, "MaxPool", y);
    md_build_attr_ints(m, y, "kernel_shape", 2, kernel);
    y = unary(m, "Flatten", unary(m, "GlobalAveragePool", y));
    w = md_build_random(m, 2, (int64_t[]){ ten, wide }, 0.3f, 77);
    b = md_build_random(m, 1, &ten, 0.3f, 78);
    y = md_build_node(m, "Gemm", 3, (md_value_id[]){ y, w, b });
    md_build_attr_int(m, y, "transB", 1);
    md_build_output(m, unary(m, "Softmax", y));
    return m;
}

static md_session *open_session(md_model *m, bool reference, md_pool *pool)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_session *s = NULL;

    opts.reference = reference;
    opts.pool = pool;
    assert_md_ok(md_graph_verify(m->graph, &err), &err);
    assert_md_ok(md_session_new(&s, m, &opts, &err), &err);
    return s;
}

/* Run both and compare their only outputs. */
static void compare_sessions(md_session *a, md_session *b,
                             const md_shape *shape, double tolerance)
{
    md_error err = MD_ERROR_INIT;
    md_tensor x, ya, yb;

    assert_md_ok(
        md_tensor_alloc(&x, MD_DTYPE_F32, shape, md_alloc_default(), &err),
        &err);
    md_build_fill(x.data, md_tensor_n(&x), 1.0f, 5);
    assert_md_ok(md_session_run(a, &x, &ya, md_alloc_default(), &err), &err);
    assert_md_ok(md_session_run(b, &x, &yb, md_alloc_default(), &err), &err);
    assert_md_ok(md_tensor_compare(NULL, &ya, &yb, tolerance, tolerance, &err),
                 &err);
    md_tensor_release(&x);
    md_tensor_release(&ya);
    md_tensor_release(&yb);
}

static const uint32_t levels[] = { MD_CPU_NONE, MD_CPU_AVX2,
                                   MD_CPU_AVX2 | MD_CPU_AVX512, MD_CPU_ALL };

static void test_session__levels_equal_the_definition(void **state)
{
    static const int64_t channels[] = { 16, 20, 32 };

    (void)state;
    for (size_t c = 0; c < MD_COUNT(channels); c++) {
        md_session *ref = open_session(small_net(channels[c]), true, NULL);

        for (size_t i = 0; i < MD_COUNT(levels); i++) {
            md_session *s;

            md_cpu_set_mask(levels[i]);
            s = open_session(small_net(channels[c]), false, NULL);
            for (int64_t n = 1; n <= 3; n++)
                compare_sessions(s, ref, &(md_shape){ 4, { n, 3, 13, 11 } },
                                 1e-5);
            md_session_free(s);
        }
        md_cpu_set_mask(MD_CPU_ALL);
        md_session_free(ref);
    }
}

static void test_session__fuses_and_explains(void **state)
{
    md_session *s = open_session(small_net(32), false, NULL);
    md_error err = MD_ERROR_INIT;
    md_buf text;

    (void)state;
    md_buf_init(&text, md_alloc_default(), 1 << 20);
    assert_md_ok(md_session_explain(s, false, &text, &err), &err);
    assert_null(strstr((char *)text.data, "BatchNormalization"));
    assert_null(strstr((char *)text.data, "Sigmoid "));
    assert_non_null(strstr((char *)text.data, "+silu"));
    assert_non_null(strstr((char *)text.data, "+add +relu"));
    assert_null(strstr((char *)text.data, "reference"));
    md_buf_reset(&text);
    assert_md_ok(md_session_explain(s, true, &text, &err), &err);
    assert_int_equal(text.data[0], '[');
    md_buf_release(&text);
    md_session_free(s);
}

static void test_session__running_allocates_nothing(void **state)
{
    md_session *s = open_session(small_net(32), false, NULL);
    const md_shape shape = { 4, { 2, 3, 13, 11 } };
    md_error err = MD_ERROR_INIT;
    uint64_t before = 0;

    (void)state;
    for (int i = 0; i < 5; i++) {
        md_run *r;

        if (i == 1)
            before = count_allocs();
        assert_md_ok(md_run_acquire(&r, s, &shape, &err), &err);
        md_build_fill(md_run_input(r, 0)->data, 2 * 3 * 13 * 11, 1.0f, 1);
        assert_md_ok(md_run_execute(r, 0, &err), &err);
        assert_int_equal(md_run_output(r, 0)->shape.dim[0], 2);
        md_run_release(r);
    }
    assert_int_equal(count_allocs(), before);
    md_session_free(s);
}

static void test_session__bound_input_is_read_in_place(void **state)
{
    md_session *s = open_session(small_net(16), false, NULL);
    const md_shape shape = { 4, { 1, 3, 13, 11 } };
    float x[3 * 13 * 11], first[10];
    md_error err = MD_ERROR_INIT;
    md_run *r;

    (void)state;
    md_build_fill(x, 3 * 13 * 11, 1.0f, 9);
    assert_md_ok(md_run_acquire(&r, s, &shape, &err), &err);
    memcpy(md_run_input(r, 0)->data, x, sizeof(x));
    assert_md_ok(md_run_execute(r, 0, &err), &err);
    memcpy(first, md_run_output(r, 0)->data, sizeof(first));
    memset(md_run_input(r, 0)->data, 0, sizeof(x));
    md_run_bind_input(r, 0, x);
    assert_md_ok(md_run_execute(r, 0, &err), &err);
    assert_memory_equal(first, md_run_output(r, 0)->data, sizeof(first));
    md_run_release(r);
    /* Released, the binding is forgotten. */
    assert_md_ok(md_run_acquire(&r, s, &shape, &err), &err);
    assert_md_ok(md_run_execute(r, 0, &err), &err);
    assert_memory_not_equal(first, md_run_output(r, 0)->data, sizeof(first));
    md_run_release(r);
    md_session_free(s);
}

/* a: planned; b: a view of it; c: planned, twice; x: an input; a constant. */
static void test_session__bound_outputs_are_written_in_place(void **state)
{
    enum {
        N = 4
    };
    const int64_t dims[] = { N };
    const md_shape shape = { 1, { N } };
    const float want[] = { -2, 2, -6, 4 };
    const bool own[] = { true, false, true, false, false, false };
    md_model *m = md_build_model(17);
    md_value_id x = md_build_input(m, "x", MD_DTYPE_F32, 1, dims);
    md_value_id a = unary(m, "Neg", add(m, x, x)), c = unary(m, "Relu", a);
    const md_value_id outputs[] = {
        a, unary(m, "Identity", a), c,
        c, unary(m, "Identity", x), md_build_scalar(m, MD_DTYPE_F32, 4.0)
    };
    float in[N] = { 1, -1, 3, -2 }, room[MD_COUNT(own)][N];
    md_error err = MD_ERROR_INIT;
    md_session *s;
    md_run *r;

    (void)state;
    for (size_t i = 0; i < MD_COUNT(outputs); i++)
        md_build_output(m, outputs[i]);
    s = open_session(m, false, NULL);
    assert_md_ok(md_run_acquire(&r, s, &shape, &err), &err);
    md_run_bind_input(r, 0, in);
    for (uint32_t i = 0; i < MD_COUNT(own); i++)
        assert_int_equal(md_run_bind_output(r, i, room[i]), own[i]);
    assert_md_ok(md_run_execute(r, 0, &err), &err);
    for (uint32_t i = 0; i < MD_COUNT(own); i++)
        assert_true((md_run_output(r, i)->data == room[i]) == own[i]);
    assert_memory_equal(room[0], want, sizeof(want));
    assert_memory_equal(md_run_output(r, 1)->data, want, sizeof(want));
    assert_ptr_equal(md_run_output(r, 3)->data, room[2]);
    assert_ptr_equal(md_run_output(r, 4)->data, in);
    memset(room, 0, sizeof(room));
    assert_true(md_run_bind_output(r, 0, NULL)); /* c stays bound */
    assert_md_ok(md_run_execute(r, 0, &err), &err);
    assert_memory_equal(md_run_output(r, 0)->data, want, sizeof(want));
    assert_float_equal(room[0][3], 0, 0);
    assert_float_equal(room[2][3], 4, 0);
    md_run_release(r);
    /* Released, bindings are forgotten. */
    memset(room, 0, sizeof(room));
    assert_md_ok(md_run_acquire(&r, s, &shape, &err), &err);
    memcpy(md_run_input(r, 0)->data, in, sizeof(in));
    assert_md_ok(md_run_execute(r, 0, &err), &err);
    assert_memory_equal(md_run_output(r, 0)->data, want, sizeof(want));
    assert_float_equal(room[2][3], 0, 0);
    md_run_release(r);
    md_session_free(s);
}

static void test_session__wrong_shapes_are_named(void **state)
{
    md_session *s = open_session(small_net(16), false, NULL);
    md_error err = MD_ERROR_INIT;
    md_run *r;

    (void)state;
    assert_md_fails(
        md_run_acquire(&r, s, &(md_shape){ 3, { 3, 13, 11 } }, &err),
        MD_INVALID, &err,
        "input 'x': shape [3,13,11] given, float32[batch,3,13,11] expected");
    assert_md_fails(
        md_run_acquire(&r, s, &(md_shape){ 4, { 1, 4, 13, 11 } }, &err),
        MD_INVALID, &err, "[1,4,13,11]");
    assert_md_fails(
        md_run_acquire(&r, s, &(md_shape){ 4, { -1, 3, 13, 11 } }, &err),
        MD_INVALID, &err, "[-1,3,13,11]");
    assert_md_fails(
        md_run_acquire(&r, s, &(md_shape){ 4, { INT64_MAX, 3, 13, 11 } }, &err),
        MD_TOO_LARGE, &err, "2^63");
    /* 2^55 images: the count fits, the bytes do not come to be. */
    assert_true(
        md_run_acquire(&r, s, &(md_shape){ 4, { INT64_C(1) << 50, 3, 13, 11 } },
                       &err) != MD_OK);
    md_session_free(s);
}

static void test_session__an_empty_batch_runs(void **state)
{
    md_session *s = open_session(small_net(16), false, NULL);
    md_error err = MD_ERROR_INIT;
    md_run *r;

    (void)state;
    assert_md_ok(
        md_run_acquire(&r, s, &(md_shape){ 4, { 0, 3, 13, 11 } }, &err), &err);
    assert_md_ok(md_run_execute(r, 0, &err), &err);
    assert_int_equal(md_run_output(r, 0)->shape.dim[0], 0);
    md_run_release(r);
    md_session_free(s);
}

static void test_session__missing_operators_are_listed_once(void **state)
{
    const int64_t dims[] = { 2 };
    md_model *m = md_build_model(17);
    md_error err = MD_ERROR_INIT;
    md_session *s;
    md_value_id x = md_build_input(m, "x", MD_DTYPE_F32, 1, dims);

    (void)state;
    x = unary(m, "Frobnicate", x);
    x = unary(m, "Frobnicate", x);
    md_build_output(m, unary(m, "Twist", x));
    assert_md_fails(md_session_new(&s, m, NULL, &err), MD_UNSUPPORTED, &err,
                    "not supported: Frobnicate (opset 17), Twist (opset 17)");
    md_model_free(m);
}

static void test_session__a_bad_node_is_named(void **state)
{
    const int64_t dims[] = { 1, 3, 8, 8 }, w[] = { 4, 5, 3, 3 };
    md_model *m = md_build_model(17);
    md_error err = MD_ERROR_INIT;
    md_session *s;
    md_value_id x = md_build_input(m, "x", MD_DTYPE_F32, 4, dims);
    md_value_id y = md_build_node(
        m, "Conv", 2, (md_value_id[]){ x, md_build_random(m, 4, w, 1, 1) });

    (void)state;
    md_build_output(m, y);
    assert_true(md_session_new(&s, m, NULL, &err) != MD_OK);
    assert_non_null(strstr(err.msg, "node 'Conv_"));
    md_model_free(m);
}

/* What reads an attribute of another type would take its default. */
static void test_session__attributes_have_their_types(void **state)
{
    const int64_t dims[] = { 2, 3 };
    md_model *m = md_build_model(17);
    md_value_id x = md_build_input(m, "x", MD_DTYPE_F32, 2, dims);
    md_value_id y = unary(m, "Softmax", x);
    md_error err = MD_ERROR_INIT;
    md_session *s;

    (void)state;
    md_build_attr_ints(m, y, "axis", 1, (int64_t[]){ 0 });
    md_build_output(m, y);
    assert_md_fails(md_session_new(&s, m, NULL, &err), MD_INVALID, &err,
                    "(Softmax): attribute 'axis' has type INTS, INT expected");
    md_model_free(m);
}

/* Max takes int8 since opset 12 only. */
static void test_session__types_are_those_of_the_opset(void **state)
{
    const int64_t dims[] = { 2 };
    md_model *m = md_build_model(11);
    md_value_id x = md_build_input(m, "x", MD_DTYPE_I8, 1, dims);
    md_error err = MD_ERROR_INIT;
    md_session *s;

    (void)state;
    md_build_output(m, unary(m, "Max", x));
    assert_md_fails(md_session_new(&s, m, NULL, &err), MD_INVALID, &err,
                    "(Max): input 0 has element type int8, which Max does not "
                    "take in opset 11, float32, float16, float64 expected");
    md_model_free(m);
}

/* An input that is an output too, a constant output, an unused input. */
static void test_session__degenerate_graphs(void **state)
{
    const int64_t dims[] = { 3 };
    const md_shape shapes[2] = { { 1, { 3 } }, { 1, { 3 } } };
    md_model *m = md_build_model(17);
    md_value_id x = md_build_input(m, "x", MD_DTYPE_F32, 1, dims);
    md_value_id c = md_build_scalar(m, MD_DTYPE_F32, 4.0);
    md_error err = MD_ERROR_INIT;
    md_session *s;
    md_run *r;

    (void)state;
    md_build_input(m, "unused", MD_DTYPE_I64, 1, dims);
    md_build_output(m, x);
    md_build_output(m, c);
    md_build_output(m, unary(m, "Identity", x));
    s = open_session(m, false, NULL);
    assert_md_ok(md_run_acquire(&r, s, shapes, &err), &err);
    memcpy(md_run_input(r, 0)->data, (float[]){ 1, 2, 3 }, 12);
    assert_md_ok(md_run_execute(r, 0, &err), &err);
    assert_float_equal(((float *)md_run_output(r, 0)->data)[2], 3, 0);
    assert_float_equal(((float *)md_run_output(r, 1)->data)[0], 4, 0);
    assert_float_equal(((float *)md_run_output(r, 2)->data)[1], 2, 0);
    md_run_release(r);
    md_session_free(s);
}

/* Shape -> Gather-like arithmetic in front of a Reshape costs no step. */
static void test_session__shape_arithmetic_is_planned(void **state)
{
    const int64_t dims[] = { -1, 6 };
    md_model *m = md_build_model(17);
    md_value_id x = md_build_input(m, "x", MD_DTYPE_F32, 2, dims);
    md_value_id shape = unary(m, "Shape", x);
    md_value_id twice = md_build_node(
        m, "Mul", 2,
        (md_value_id[]){ shape, md_build_ints(m, 2, (int64_t[]){ 2, 1 }) });
    md_value_id half = md_build_node(
        m, "Div", 2,
        (md_value_id[]){ twice, md_build_ints(m, 2, (int64_t[]){ 1, 2 }) });
    md_error err = MD_ERROR_INIT;
    md_session *s;
    md_run *r;

    (void)state;
    md_build_output(
        m, unary(m, "Relu",
                 md_build_node(m, "Reshape", 2, (md_value_id[]){ x, half })));
    s = open_session(m, false, NULL);
    for (int64_t n = 1; n < 5; n++) {
        assert_md_ok(md_run_acquire(&r, s, &(md_shape){ 2, { n, 6 } }, &err),
                     &err);
        assert_md_ok(md_run_execute(r, 0, &err), &err);
        assert_int_equal(md_run_output(r, 0)->shape.dim[0], 2 * n);
        assert_int_equal(md_run_output(r, 0)->shape.dim[1], 3);
        md_run_release(r);
    }
    md_session_free(s);
}

typedef struct worker {
    md_session *s;
    float want[10];
    int failures;
} worker;

/* Sums of one row and of two are taken in different orders. */
static bool close_to(const float *got, const float *want, int n)
{
    for (int i = 0; i < n; i++) {
        if (!(fabsf(got[i] - want[i]) <= 1e-6f))
            return false;
    }
    return true;
}

static void *work(void *arg)
{
    worker *w = arg;
    md_error err = MD_ERROR_INIT;

    for (int i = 0; i < 20; i++) {
        const md_shape shape = { 4, { 1 + i % 2, 3, 13, 11 } };
        md_run *r;

        if (md_run_acquire(&r, w->s, &shape, &err) != MD_OK) {
            w->failures++;
            continue;
        }
        md_build_fill(md_run_input(r, 0)->data, shape.dim[0] * 3 * 13 * 11,
                      1.0f, 3);
        if (md_run_execute(r, 0, &err) != MD_OK ||
            !close_to(md_run_output(r, 0)->data, w->want, 10))
            w->failures++;
        md_run_release(r);
    }
    return NULL;
}

static void test_session__threads_share_a_session(void **state)
{
    enum {
        N = 4
    };
    const md_shape shape = { 4, { 1, 3, 13, 11 } };
    md_error err = MD_ERROR_INIT;
    md_pool *pool = NULL;
    md_session *s;
    worker w[N];
    pthread_t t[N];
    md_run *r;

    (void)state;
    assert_md_ok(md_pool_new(&pool, 2, md_alloc_default(), &err), &err);
    s = open_session(small_net(32), false, pool);
    assert_md_ok(md_run_acquire(&r, s, &shape, &err), &err);
    md_build_fill(md_run_input(r, 0)->data, 3 * 13 * 11, 1.0f, 3);
    assert_md_ok(md_run_execute(r, 1, &err), &err);
    for (int i = 0; i < N; i++) {
        w[i] = (worker){ .s = s };
        memcpy(w[i].want, md_run_output(r, 0)->data, sizeof(w[i].want));
    }
    md_run_release(r);
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&t[i], NULL, work, &w[i]), 0);
    for (int i = 0; i < N; i++) {
        pthread_join(t[i], NULL);
        assert_int_equal(w[i].failures, 0);
    }
    md_session_free(s);
    md_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session__levels_equal_the_definition),
        cmocka_unit_test(test_session__fuses_and_explains),
        cmocka_unit_test(test_session__running_allocates_nothing),
        cmocka_unit_test(test_session__bound_input_is_read_in_place),
        cmocka_unit_test(test_session__bound_outputs_are_written_in_place),
        cmocka_unit_test(test_session__wrong_shapes_are_named),
        cmocka_unit_test(test_session__an_empty_batch_runs),
        cmocka_unit_test(test_session__missing_operators_are_listed_once),
        cmocka_unit_test(test_session__a_bad_node_is_named),
        cmocka_unit_test(test_session__attributes_have_their_types),
        cmocka_unit_test(test_session__types_are_those_of_the_opset),
        cmocka_unit_test(test_session__degenerate_graphs),
        cmocka_unit_test(test_session__shape_arithmetic_is_planned),
        cmocka_unit_test(test_session__threads_share_a_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
