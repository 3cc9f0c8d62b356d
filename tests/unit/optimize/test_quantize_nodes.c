/*
 * What quantization writes, node by node, against its own description: which
 * axis has the scales, which codes the weights get, how far results may lie
 * from those of the float model; and values that do not fit.
 */
#include "support/test.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "ops/eval.h"
#include "optimize/quantize.h"
#include "support/data.h"
#include "support/net.h"
#include "train/runner.h"

enum {
    SAMPLES = 6
};

/* A quantized net and the data that it was calibrated on. */
typedef struct fixture {
    md_model *plain, *m;
    md_dataset d;
    md_tensor x;
    md_quantize_report r;
} fixture;

static md_status quantize(fixture *f, const char *text, md_error *err)
{
    static const md_quantize_opts minmax = { .method = MD_CALIB_MINMAX };

    f->plain = net_parse(text);
    f->m = net_parse(text);
    if (!f->x.data)
        net_inputs(&f->x, f->m->graph, SAMPLES, 5);
    f->d = data_make(f->m, &f->x, NULL);
    return md_quantize(f->m, &f->d, &minmax, &f->r, err);
}

static void begin(fixture *f, const char *text)
{
    md_error err = MD_ERROR_INIT;

    memset(f, 0, sizeof(*f));
    assert_md_ok(quantize(f, text, &err), &err);
}

static void end(fixture *f)
{
    md_dataset_release(&f->d);
    md_tensor_release(&f->x);
    md_model_free(f->plain);
    md_model_free(f->m);
}

static const md_node *find(const md_model *m, const char *op)
{
    for (uint32_t i = 0; i < m->graph->n_nodes; i++) {
        if (strcmp(m->graph->nodes[i]->op, op) == 0)
            return m->graph->nodes[i];
    }
    fail_msg("no %s", op);
    return NULL;
}

/* The DequantizeLinear that gives input k of a node. */
static const md_node *source(const md_model *m, const md_node *n, uint32_t k)
{
    const md_node *dq = m->graph->values[n->in[k]].def;

    assert_non_null(dq);
    assert_string_equal(dq->op, "DequantizeLinear");
    return dq;
}

static const md_tensor *constant(const md_model *m, const md_node *n,
                                 uint32_t k)
{
    const md_tensor *t = m->graph->values[n->in[k]].cdata;

    assert_non_null(t);
    return t;
}

static float at(const md_tensor *t, int64_t i)
{
    return ((const float *)t->data)[i];
}

/* Input codes are uint8 over [min, max] of the samples and 0. */
static void check_activation(const fixture *f, const md_node *dq)
{
    const md_tensor *scale = constant(f->m, dq, 1);
    const md_tensor *zero = constant(f->m, dq, 2);
    float min = 0;
    float max = 0;

    for (int64_t i = 0; i < md_tensor_n(&f->x); i++) {
        min = fminf(min, at(&f->x, i));
        max = fmaxf(max, at(&f->x, i));
    }
    assert_int_equal(zero->dtype, MD_DTYPE_U8);
    assert_int_equal(scale->shape.rank, 0);
    /* One division of one difference. */
    assert_true(fabsf(at(scale, 0) * 255.0f - (max - min)) <=
                4 * FLT_EPSILON * (max - min));
    assert_true(fabsf((float)*(const uint8_t *)zero->data * at(scale, 0) +
                      min) <= at(scale, 0) * 0.5001f);
}

/* int8 codes whose largest per channel is 127, zero point 0. */
static void check_weights(const fixture *f, const md_node *dq,
                          const md_tensor *w, int64_t axis)
{
    const md_tensor *codes = constant(f->m, dq, 0);
    const md_tensor *scale = constant(f->m, dq, 1);
    const md_tensor *zero = constant(f->m, dq, 2);
    int64_t n = w->shape.dim[axis];
    int64_t inner = md_shape_span(&w->shape, (int)axis + 1, w->shape.rank);

    assert_int_equal(md_node_attr_i(dq, "axis", 1), axis);
    assert_int_equal(codes->dtype, MD_DTYPE_I8);
    assert_true(md_shape_equal(&codes->shape, &w->shape));
    assert_int_equal(md_tensor_n(scale), n);
    assert_int_equal(md_tensor_n(zero), n);
    for (int64_t c = 0; c < n; c++) {
        float most = 0;
        int top = 0;

        for (int64_t i = 0; i < md_tensor_n(w); i++) {
            if (i / inner % n == c)
                most = fmaxf(most, fabsf(at(w, i)));
        }
        assert_int_equal(((const int8_t *)zero->data)[c], 0);
        assert_true(at(scale, c) == most / 127.0f);
        for (int64_t i = 0; i < md_tensor_n(w); i++) {
            int code = (int)md_tensor_get_i64(codes, i);

            if (i / inner % n != c)
                continue;
            top = code > top ? code : -code > top ? -code : top;
            /* Half a step, and the rounding of the quotient. */
            assert_true(fabsf((float)code * at(scale, c) - at(w, i)) <=
                        at(scale, c) * 0.50001f);
        }
        assert_int_equal(top, 127);
    }
}

static void check_bias(const fixture *f, const md_node *n, const md_tensor *b)
{
    const md_node *dq = source(f->m, n, 2);
    const md_tensor *codes = constant(f->m, dq, 0);
    const md_tensor *scale = constant(f->m, dq, 1);
    const md_tensor *zero = constant(f->m, dq, 2);
    float x = at(constant(f->m, source(f->m, n, 0), 1), 0);
    const md_tensor *w = constant(f->m, source(f->m, n, 1), 1);

    assert_int_equal(codes->dtype, MD_DTYPE_I32);
    for (int64_t c = 0; c < md_tensor_n(b); c++) {
        double code = ((const int32_t *)codes->data)[c];

        assert_int_equal(((const int32_t *)zero->data)[c], 0);
        assert_true(at(scale, c) == x * at(w, c));
        assert_true(fabs(code * (double)at(scale, c) - (double)at(b, c)) <=
                    (double)at(scale, c) * 0.50001);
    }
}

static void test_quantize__every_product_by_its_own_axis(void **state)
{
    static const struct {
        const char *text, *op;
        int64_t axis; /* of the output channels in the weights */
    } cases[] = {
        { "x f32[N,3,6,6]; w = f32[4,3,3,3]~0.3; b = f32[4]~0.5;"
          "y = Conv(x, w, b); -> y",
          "Conv", 0 },
        { "x f32[N,3,6,6]; w = f32[4,3,1,1]~0.3; y = Conv(x, w); -> y", "Conv",
          0 },
        { "x f32[N,4,6,6]; w = f32[4,1,3,3]~0.3; b = f32[4]~0.5;"
          "y = Conv(x, w, b) group=4; -> y",
          "Conv", 0 },
        { "x f32[N,4,6,6]; w = f32[8,2,3,3]~0.3;"
          "y = Conv(x, w) group=2 strides=[2,2] pads=[1,1,1,1]; -> y",
          "Conv", 0 },
        { "x f32[N,5]; w = f32[5,3]~0.3; b = f32[3]~0.5; y = Gemm(x, w, b);"
          "-> y",
          "Gemm", 1 },
        { "x f32[N,5]; w = f32[3,5]~0.3; b = f32[3]~0.5;"
          "y = Gemm(x, w, b) transB=1; -> y",
          "Gemm", 0 },
        /* As many rows as columns: only transB tells. */
        { "x f32[N,4]; w = f32[4,4]~0.3; y = Gemm(x, w) transB=1; -> y", "Gemm",
          0 },
        { "x f32[N,4]; w = f32[4,4]~0.3; y = Gemm(x, w); -> y", "Gemm", 1 },
        { "x f32[N,2,5]; w = f32[5,3]~0.3; y = MatMul(x, w); -> y", "MatMul",
          1 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        const md_node *n;
        const md_node *was;
        fixture f;

        begin(&f, cases[i].text);
        n = find(f.m, cases[i].op);
        was = find(f.plain, cases[i].op);
        assert_int_equal(f.r.n_nodes, 1);
        assert_int_equal(f.r.n_left, 0);
        check_activation(&f, source(f.m, n, 0));
        check_weights(&f, source(f.m, n, 1), constant(f.plain, was, 1),
                      cases[i].axis);
        if (was->n_in > 2)
            check_bias(&f, n, constant(f.plain, was, 2));
        end(&f);
    }
}

/*
 * |y' - y| <= sum over k of |w'| s_x/2 + |x| s_w/2, and half a step of the
 * bias: nothing saturates, since the range is that of these very samples.
 */
static void test_quantize__results_within_the_steps(void **state)
{
    enum {
        K = 37,
        N = 9
    };
    static const char text[] = "x f32[N,37]; w = f32[37,9]~0.4; b = f32[9]~2;"
                               "y = Gemm(x, w, b); -> y";
    md_error err = MD_ERROR_INIT;
    md_tensor want = MD_TENSOR_INIT;
    md_tensor got = MD_TENSOR_INIT;
    const md_tensor *in;
    const md_tensor *w;
    const md_tensor *scale;
    double total = 0;
    fixture f;
    float x;

    (void)state;
    begin(&f, text);
    in = &f.x;
    assert_md_ok(md_graph_eval(&want, f.plain->graph, &in, md_alloc_default(),
                               NULL, &err),
                 &err);
    assert_md_ok(
        md_graph_eval(&got, f.m->graph, &in, md_alloc_default(), NULL, &err),
        &err);
    w = constant(f.plain, find(f.plain, "Gemm"), 1);
    scale = constant(f.m, source(f.m, find(f.m, "Gemm"), 1), 1);
    x = at(constant(f.m, source(f.m, find(f.m, "Gemm"), 0), 1), 0);
    for (int64_t i = 0; i < SAMPLES; i++) {
        for (int64_t c = 0; c < N; c++) {
            double s = (double)at(scale, c);
            double bound = (double)x * s / 2;
            double d = fabs((double)at(&got, i * N + c) -
                            (double)at(&want, i * N + c));

            for (int64_t k = 0; k < K; k++)
                bound +=
                    (fabs((double)at(w, k * N + c)) + s / 2) * (double)x / 2 +
                    fabs((double)at(in, i * K + k)) * s / 2;
            /* And roundings of some hundred sums of values below 16. */
            assert_true(d <= bound + 1e-4);
            total += d;
        }
    }
    assert_true(total > 0); /* something was rounded */
    md_tensor_release(&want);
    md_tensor_release(&got);
    end(&f);
}

/* Where weights are next to nothing, the bias has to keep its value: codes at
 * scale_x * scale_w would not fit 32 bits. */
static void test_quantize__a_bias_beside_tiny_weights(void **state)
{
    static const char *const texts[] = {
        "x f32[N,3]; w = f32[2,3]{1e-12 -2e-12 1e-12 1 2 3};"
        "b = f32[2]{5 -7}; y = Gemm(x, w, b) transB=1; -> y",
        "x f32[N,3]; w = f32[2,3]{1e-40 0 0 1 2 3};"
        "b = f32[2]{5 -7}; y = Gemm(x, w, b) transB=1; -> y",
        "x f32[N,3]; w = f32[2,3]{0 0 0 1 2 3};"
        "b = f32[2]{5 -7}; y = Gemm(x, w, b) transB=1; -> y",
        "x f32[N,1,2,2]; w = f32[2,1,1,1]{1e-20 1}; b = f32[2]{5 -7};"
        "y = Conv(x, w, b); -> y",
        "x f32[N,3]; w = f32[2,3]{1e-12 0 0 1 2 3};"
        "b = f32[2]{0 -7}; y = Gemm(x, w, b) transB=1; -> y",
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(texts); i++) {
        md_error err = MD_ERROR_INIT;
        md_tensor want = MD_TENSOR_INIT;
        md_tensor got = MD_TENSOR_INIT;
        const md_tensor *in;
        fixture f;

        begin(&f, texts[i]);
        in = &f.x;
        assert_md_ok(md_graph_eval(&want, f.plain->graph, &in,
                                   md_alloc_default(), NULL, &err),
                     &err);
        assert_md_ok(md_graph_eval(&got, f.m->graph, &in, md_alloc_default(),
                                   NULL, &err),
                     &err);
        assert_int_equal(f.r.n_nodes, 1);
        /* Three products, each half a step of x (of about 6 / 255) times 3. */
        for (int64_t k = 0; k < md_tensor_n(&want); k++) {
            if (!(fabsf(at(&got, k) - at(&want, k)) <= 0.15f))
                fail_msg("%s: [%lld]: %g given, %g expected", texts[i],
                         (long long)k, (double)at(&got, k),
                         (double)at(&want, k));
        }
        md_tensor_release(&want);
        md_tensor_release(&got);
        end(&f);
    }
}

/* Weights that are no numbers have no codes. */
static void test_quantize__weights_that_are_not_finite(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "x f32[N,2]; w = f32[2,2]{1 nan 2 3}; y = MatMul(x, w); -> y",
          "weights 'w' hold nan" },
        { "x f32[N,2]; w = f32[2,2]{1 2 -inf 3}; y = Gemm(x, w); -> y",
          "weights 'w' hold -inf" },
        { "x f32[N,2]; w = f32[2,2]{1 2 3 4}; b = f32[2]{0 inf};"
          "y = Gemm(x, w, b); -> y",
          "'b' hold inf" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        fixture f = { .plain = NULL };

        f.x = (md_tensor){ .dtype = MD_DTYPE_F32, .shape = { 2, { 1, 2 } } };
        assert_md_ok(md_tensor_alloc(&f.x, MD_DTYPE_F32,
                                     &(md_shape){ 2, { 1, 2 } },
                                     md_alloc_default(), &err),
                     &err);
        ((float *)f.x.data)[0] = 1;
        ((float *)f.x.data)[1] = -1;
        assert_md_fails(quantize(&f, cases[i].text, &err), MD_INVALID, &err,
                        cases[i].message);
        end(&f);
    }
}

/* What stays in float is counted, for whatever reason it does. */
static void test_quantize__what_is_left_is_counted(void **state)
{
    static const struct {
        const char *text;
        uint32_t n_nodes, n_left;
    } cases[] = {
        /* A bias that the samples decide. */
        { "x f32[N,3]; w = f32[3,3]~1; b = Neg(x); v = f32[3,3]~1;"
          "a = Gemm(x, w, b); y = MatMul(a, v); -> y",
          1, 1 },
        /* alpha, transA, weights of rank 3, weights that are computed. */
        { "x f32[N,3]; w = f32[3,3]~1; v = f32[3,3]~1; a = MatMul(x, v);"
          "y = Gemm(a, w) alpha=0.5; -> y",
          1, 1 },
        { "x f32[3,3]; w = f32[3,3]~1; v = f32[3,3]~1; a = MatMul(x, v);"
          "y = Gemm(a, w) transA=1; -> y",
          1, 1 },
        { "x f32[N,3,3]; w = f32[2,3,2]~1; v = f32[3,3]~1; a = MatMul(x, v);"
          "y = Conv(a, w); -> y",
          1, 1 },
        { "x f32[N,3,3]; v = f32[3,3]~1; a = MatMul(x, v); y = MatMul(a, a);"
          "-> y",
          1, 1 },
        { "x f32[N,3,4,4]; w = f32[3,2,2,2]~1; v = f32[3,3,1,1]~1;"
          "a = Conv(x, v); y = ConvTranspose(a, w); -> y",
          1, 1 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        fixture f;

        begin(&f, cases[i].text);
        if (f.r.n_nodes != cases[i].n_nodes || f.r.n_left != cases[i].n_left)
            fail_msg("%s: %u and %u given, %u and %u expected", cases[i].text,
                     f.r.n_nodes, f.r.n_left, cases[i].n_nodes,
                     cases[i].n_left);
        end(&f);
    }
}

/* Only zeros, only one value, one side of 0: parameters all the same. */
static void test_quantize__ranges_without_width(void **state)
{
    static const struct {
        float x[4], scale;
        int zero;
    } cases[] = {
        { { 0, 0, 0, 0 }, 1, 0 },        { { -0.0f, 0, 0, 0 }, 1, 0 },
        { { 51, 51, 51, 51 }, .2f, 0 },  { { -51, -51, -51, -51 }, .2f, 255 },
        { { 25.5f, 51, 0, 0 }, .2f, 0 }, { { -17, 34, 0, 0 }, .2f, 85 },
    };
    static const char text[] =
        "x f32[N,2]; w = f32[2,2]{1 2 3 4}; y = MatMul(x, w); -> y";

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        fixture f = { .plain = NULL };
        const md_node *dq;

        assert_md_ok(md_tensor_alloc(&f.x, MD_DTYPE_F32,
                                     &(md_shape){ 2, { 2, 2 } },
                                     md_alloc_default(), &err),
                     &err);
        memcpy(f.x.data, cases[i].x, sizeof(cases[i].x));
        assert_md_ok(quantize(&f, text, &err), &err);
        dq = source(f.m, find(f.m, "MatMul"), 0);
        assert_true(at(constant(f.m, dq, 1), 0) == cases[i].scale);
        assert_int_equal(*(const uint8_t *)constant(f.m, dq, 2)->data,
                         cases[i].zero);
        end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantize__every_product_by_its_own_axis),
        cmocka_unit_test(test_quantize__results_within_the_steps),
        cmocka_unit_test(test_quantize__a_bias_beside_tiny_weights),
        cmocka_unit_test(test_quantize__weights_that_are_not_finite),
        cmocka_unit_test(test_quantize__what_is_left_is_counted),
        cmocka_unit_test(test_quantize__ranges_without_width),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
