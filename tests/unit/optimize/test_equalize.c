/* Scales of channels moved through a net: it computes the same, both sides of a
 * place agree, and one scale for all channels loses less. */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "optimize/equalize.h"
#include "optimize/quantize.h"
#include "support/data.h"
#include "support/fail_alloc.h"
#include "support/net.h"
#include "train/runner.h"

enum {
    N = 32
};

typedef struct net_case {
    const char *text;
    uint32_t places;
} net_case;

/* A convolution, a depthwise one and another behind it, the last one's channels
 * fixed by what adds them; products with biases. */
static const net_case cases[] = {
    { "x f32[N,3,6,6]; w = f32[8,3,3,3]~0.3; b = f32[8]~0.2; a = Conv(x, w, b);"
      " r = Relu(a); w2 = f32[8,1,3,3]~0.3; b2 = f32[8]~0.1; c = Conv(r, w2, b2)"
      " group=8 pads=[1,1,1,1]; m = MaxPool(c) kernel_shape=[2,2]; w3 = "
      "f32[4,8,1,1]~0.3; y = Conv(m, w3); -> y",
      2 },
    { "x f32[N,6]; w = f32[12,6]~0.4; b = f32[12]~0.2; a = Gemm(x, w, b) "
      "transB=1; r = LeakyRelu(a); w2 = f32[12,5]~0.3; c = MatMul(r, w2); b2 = "
      "f32[5]~0.3; d = Add(b2, c); e = Relu(d); w3 = f32[5,4]~0.3; w4 = "
      "f32[5,3]~0.3; f = MatMul(e, w3); g = MatMul(e, w4); y = Concat(f, g) "
      "axis=1; -> y",
      2 },
    { "x f32[N,5,8]; s = f32[8]~1; b = f32[8]~0.5; a = LayerNormalization(x, s,"
      " b); w = f32[8,6]~0.3; y = MatMul(a, w); -> y",
      1 },
    { "x f32[N,5,8]; s = f32[8]~1; b = f32[8]~0.5; c = Softmax(x); d = Mul(c, "
      "s); a = Add(d, b); w = f32[8,6]~0.3; y = MatMul(a, w); -> y",
      1 },
    /* What is read elsewhere, or goes through something else, stays. */
    { "x f32[N,6]; w = f32[6,6]~0.4; a = MatMul(x, w); r = Relu(a); t = "
      "MatMul(r, w); u = Sigmoid(t); v = MatMul(u, w); y = Add(v, r); -> y",
      0 },
    { "x f32[N,6]; w = f32[6,6]~0.4; a = MatMul(x, w); b = MatMul(a, w); -> b, "
      "a",
      0 },
    { "x f32[N,6]; w = f32[6,32]~0.4; a = MatMul(x, w); b = MatMul(a, a); -> b",
      0 },
    { "x f32[N,4,5,5]; w = f32[4,4,1,1]~0.4; a = Conv(x, w); w2 = "
      "f32[8,2,1,1]~0.4; y = Conv(a, w2) group=2; -> y",
      0 },
};

static void run(md_tensor *y, const md_model *m, const md_tensor *x)
{
    md_error err = MD_ERROR_INIT;
    md_model *copy = NULL;
    md_session *s = NULL;

    assert_md_ok(md_model_copy(&copy, m, &err), &err);
    assert_md_ok(md_session_new(&s, copy, NULL, &err), &err);
    assert_md_ok(md_session_run(s, x, y, md_alloc_default(), &err), &err);
    md_session_free(s);
}

/* |a - b| / |a| */
static double distance(const md_tensor *a, const md_tensor *b)
{
    double e = 0.0, sum = 0.0;

    for (int64_t i = 0; i < md_tensor_n(a); i++) {
        const double x = md_tensor_get_f64(a, i), y = md_tensor_get_f64(b, i);

        e += (x - y) * (x - y);
        sum += x * x;
    }
    return sqrt(e / sum);
}

static void test_equalize__computes_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * MD_COUNT(cases); i++) {
        const net_case *c = &cases[i / 2];
        md_error err = MD_ERROR_INIT;
        md_model *m = net_parse(c->text);
        md_tensor x[NET_IO_MAX], y[2][2];
        md_dataset d;
        uint32_t n = 99;

        net_inputs(x, m->graph, N, 7);
        d = data_make(m, x, NULL);
        run(y[0], m, x);
        if (i % 2)
            assert_md_ok(md_equalize_smooth(m, &d, 0.5, NULL, &n, &err), &err);
        else
            assert_md_ok(md_equalize_weights(m, &n, &err), &err);
        assert_int_equal(n, c->places);
        run(y[1], m, x);
        /* Factors round once each, and sums of a few floats. */
        assert_true(distance(&y[0][0], &y[1][0]) < 1e-5);
        for (uint32_t k = 0; k < m->graph->n_outputs; k++) {
            md_tensor_release(&y[0][k]);
            md_tensor_release(&y[1][k]);
        }
        md_dataset_release(&d);
        net_release(x, 1);
        md_model_free(m);
    }
}

/* Largest magnitude of channel c along an axis of a matrix of 4-D weights. */
static float largest(const md_graph *g, const char *op, int which, int axis,
                     int64_t c)
{
    const md_tensor *w = NULL;
    float max = 0.0f;
    int64_t inner;

    for (uint32_t i = 0; i < g->n_nodes; i++) {
        if (strcmp(g->nodes[i]->op, op) == 0 && which-- == 0)
            w = g->values[g->nodes[i]->in[1]].cdata;
    }
    assert_non_null(w);
    if (!w)
        return NAN;
    inner = md_shape_span(&w->shape, axis + 1, w->shape.rank);
    for (int64_t i = 0; i < md_tensor_n(w); i++) {
        if (i / inner % w->shape.dim[axis] == c)
            max = fmaxf(max, fabsf((float)md_tensor_get_f64(w, i)));
    }
    return max;
}

/* What the paper asks for: at the end both sides of each place agree. */
static void test_equalize__both_sides_agree(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(cases[0].text);
    uint32_t n;

    (void)state;
    assert_md_ok(md_equalize_weights(m, &n, &err), &err);
    for (int64_t c = 0; c < 8; c++) {
        for (int k = 0; k < 2; k++) {
            const float a = largest(m->graph, "Conv", k, 0, c);
            const float b = largest(m->graph, "Conv", k + 1, k, c);

            assert_true(fabsf(a - b) < 0.01f * a);
        }
    }
    md_model_free(m);
}

/* Error of a net in int8. */
static double int8_error(md_model *m, const md_quantize_opts *o)
{
    md_error err = MD_ERROR_INIT;
    md_tensor x[NET_IO_MAX], y[2];
    md_dataset d;
    double e;

    net_inputs(x, m->graph, N, 7);
    d = data_make(m, x, NULL);
    run(&y[0], m, x);
    assert_md_ok(md_quantize(m, &d, o, NULL, &err), &err);
    run(&y[1], m, x);
    e = distance(&y[0], &y[1]);
    md_tensor_release(&y[0]);
    md_tensor_release(&y[1]);
    md_dataset_release(&d);
    net_release(x, 1);
    md_model_free(m);
    return e;
}

/* Two convolutions, the six channels between them times these: the same net. */
static md_model *uneven(const float by[6])
{
    md_model *m = net_parse(
        "x f32[N,3,6,6]; w = f32[6,3,3,3]~0.3; a = Conv(x, w); r = Relu(a); v ="
        " f32[4,6,1,1]~0.3; y = Conv(r, v); -> y");
    const md_graph *g = m->graph;
    float *w = g->values[md_graph_find(g, "w")].cdata->data;
    float *v = g->values[md_graph_find(g, "v")].cdata->data;

    for (int i = 0; i < 6 * 27; i++)
        w[i] *= by[i / 27];
    for (int i = 0; i < 4 * 6; i++)
        v[i] /= by[i % 6];
    return m;
}

/* Channels whose scales lie four decades apart, which the next layer makes up
 * for: with one scale for all, the small ones have no codes left. */
static void test_equalize__rescues_small_channels(void **state)
{
    static const float even[6] = { 1, 1, 1, 1, 1, 1 };
    static const float odd[6] = { 100, 1, 0.01f, 0.1f, 10, 0.01f };
    md_quantize_opts o = MD_QUANTIZE_OPTS_INIT;
    const double want = int8_error(uneven(even), &o);

    (void)state;
    assert_true(int8_error(uneven(odd), &o) > 10.0 * want);
    o.equalize = true;
    assert_true(int8_error(uneven(odd), &o) < 1.5 * want);
    o.equalize = false;
    o.smooth = 0.5;
    assert_true(int8_error(uneven(odd), &o) < 1.5 * want);
}

/* Outliers in two channels of what LayerNormalization gives, as transformers
 * have them. */
static void test_equalize__smooths_outliers(void **state)
{
    static const char net[] =
        "x f32[N,5,16]; s = f32[16]{1 1 80 1 1 1 1 1 1 1 1 60 1 1 1 1}; a = "
        "LayerNormalization(x, s); w = f32[16,12]~0.3; b = MatMul(a, w); r = "
        "Relu(b); w2 = f32[12,6]~0.3; y = MatMul(r, w2); -> y";
    md_quantize_opts o = { .method = MD_CALIB_MINMAX };
    const double without = int8_error(net_parse(net), &o);

    (void)state;
    o.smooth = 0.5;
    assert_true(int8_error(net_parse(net), &o) < 0.5 * without);
}

static void test_equalize__a_share_is_a_share(void **state)
{
    static const double bad[] = { 0.0, -1.0, 1.5, NAN };
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(cases[1].text);
    md_tensor x[NET_IO_MAX];
    md_dataset d;
    uint32_t n;

    (void)state;
    net_inputs(x, m->graph, N, 7);
    d = data_make(m, x, NULL);
    for (size_t i = 0; i < MD_COUNT(bad); i++)
        assert_md_fails(md_equalize_smooth(m, &d, bad[i], NULL, &n, &err),
                        MD_INVALID, &err, "above 0 and up to 1 expected");
    md_dataset_release(&d);
    net_release(x, 1);
    md_model_free(m);
}

static void test_equalize__out_of_memory(void **state)
{
    bool failed = true;

    (void)state;
    for (int64_t i = 0; failed; i++) {
        md_error err = MD_ERROR_INIT;
        fail_alloc f;
        md_tensor x[NET_IO_MAX];
        md_dataset d;
        md_model *m;
        uint32_t n;
        md_status s;

        fail_alloc_init(&f);
        m = net_load(cases[1].text, &f.alloc);
        net_inputs(x, m->graph, N, 7);
        d = data_make(m, x, NULL);
        fail_alloc_arm(&f, i);
        s = md_equalize_weights(m, &n, &err);
        if (s == MD_OK)
            s = md_equalize_smooth(m, &d, 0.5, NULL, &n, &err);
        failed = fail_alloc_disarm(&f);
        assert_int_equal(s, failed ? MD_NOMEM : MD_OK);
        md_dataset_release(&d);
        net_release(x, 1);
        md_model_free(m);
        assert_int_equal(f.n_live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equalize__computes_the_same),
        cmocka_unit_test(test_equalize__both_sides_agree),
        cmocka_unit_test(test_equalize__rescues_small_channels),
        cmocka_unit_test(test_equalize__smooths_outliers),
        cmocka_unit_test(test_equalize__a_share_is_a_share),
        cmocka_unit_test(test_equalize__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
