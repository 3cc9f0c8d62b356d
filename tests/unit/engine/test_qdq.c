/*
 * Quantized graphs: DequantizeLinear -> operator -> QuantizeLinear runs on
 * integers, the same on every CPU level and within one step of the operators'
 * definitions.
 */
#include "support/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "engine/session.h"
#include "support/build.h"
#include "tensor/compare.h"

static const uint32_t levels[] = { MD_CPU_NONE, MD_CPU_AVX2,
                                   MD_CPU_AVX2 | MD_CPU_AVX512, MD_CPU_ALL };

/* One quantized activation type. */
typedef struct qtype {
    md_dtype dtype;
    double zp;
} qtype;

static const qtype qtypes[] = { { MD_DTYPE_U8, 121 }, { MD_DTYPE_I8, -7 } };

static md_value_id node3(md_model *m, const char *op, md_value_id a,
                         md_value_id b, md_value_id c)
{
    return md_build_node(m, op, 3, (md_value_id[]){ a, b, c });
}

static md_value_id quantize(md_model *m, md_value_id x, qtype q, double scale)
{
    return node3(m, "QuantizeLinear", x,
                 md_build_scalar(m, MD_DTYPE_F32, scale),
                 md_build_scalar(m, q.dtype, q.zp));
}

static md_value_id dequantize(md_model *m, md_value_id x, qtype q, double scale)
{
    return node3(m, "DequantizeLinear", x,
                 md_build_scalar(m, MD_DTYPE_F32, scale),
                 md_build_scalar(m, q.dtype, q.zp));
}

static md_value_id qdq(md_model *m, md_value_id x, qtype q, double scale)
{
    return dequantize(m, quantize(m, x, q, scale), q, scale);
}

/* int8 weights by one scale per index of `axis`. */
static md_value_id weights(md_model *m, int rank, const int64_t *dims,
                           int64_t axis)
{
    md_error err = MD_ERROR_INIT;
    md_shape shape = { .rank = rank };
    md_tensor t = MD_TENSOR_INIT;
    md_value_id id, scale, y;
    uint32_t state = m->graph->n_values + 1u;
    float *s;
    char name[24];

    memcpy(shape.dim, dims, sizeof(dims[0]) * (size_t)rank);
    assert_md_ok(
        md_tensor_alloc(&t, MD_DTYPE_I8, &shape, md_alloc_default(), &err),
        &err);
    for (int64_t i = 0; i < md_tensor_n(&t); i++) {
        state = state * 1664525u + 1013904223u;
        ((int8_t *)t.data)[i] = (int8_t)((int)(state >> 24) % 255 - 127);
    }
    snprintf(name, sizeof(name), "w%u", m->graph->n_values);
    assert_md_ok(md_graph_add_const(&id, m->graph, name, t, &err), &err);
    scale = md_build_random(m, 1, &dims[axis], 0.0f, 1);
    s = m->graph->values[scale].cdata->data;
    for (int64_t i = 0; i < dims[axis]; i++)
        s[i] = 0.002f + 0.0003f * (float)(i % 7);
    y = md_build_node(m, "DequantizeLinear", 2, (md_value_id[]){ id, scale });
    md_build_attr_int(m, y, "axis", axis);
    return y;
}

static md_value_id conv(md_model *m, md_value_id x, int64_t ic, int64_t oc,
                        int64_t k, int64_t stride, int64_t group)
{
    const int64_t w[] = { oc, ic / group, k, k };
    const int64_t pads[] = { k / 2, k / 2, k / 2, k / 2 };
    const int64_t strides[] = { stride, stride };
    md_value_id y = node3(m, "Conv", x, weights(m, 4, w, 0),
                          md_build_random(m, 1, &oc, 0.2f, 9));

    md_build_attr_ints(m, y, "pads", 4, pads);
    md_build_attr_ints(m, y, "strides", 2, strides);
    md_build_attr_int(m, y, "group", group);
    return y;
}

static md_value_id unary(md_model *m, const char *op, md_value_id x)
{
    return md_build_node(m, op, 1, &x);
}

typedef md_value_id build_fn(md_model *m, md_value_id x, qtype q);

static md_value_id build_conv_relu(md_model *m, md_value_id x, qtype q)
{
    return quantize(m, unary(m, "Relu", conv(m, x, 8, 20, 3, 1, 1)), q, 0.03);
}

static md_value_id build_conv_stride(md_model *m, md_value_id x, qtype q)
{
    return quantize(m, conv(m, x, 8, 16, 3, 2, 1), q, 0.05);
}

static md_value_id build_depthwise(md_model *m, md_value_id x, qtype q)
{
    return quantize(m, conv(m, x, 8, 8, 3, 1, 8), q, 0.03);
}

static md_value_id add(md_model *m, md_value_id a, md_value_id b)
{
    return md_build_node(m, "Add", 2, (md_value_id[]){ a, b });
}

static md_value_id build_add(md_model *m, md_value_id x, qtype q)
{
    return quantize(m, add(m, x, x), q, 0.04);
}

static md_value_id build_conv_add(md_model *m, md_value_id x, qtype q)
{
    md_value_id y = qdq(m, conv(m, x, 8, 8, 1, 1, 1), q, 0.03);

    return quantize(m, unary(m, "Relu", add(m, x, y)), q, 0.04);
}

/* The codes have limits before the sum; 20 channels end in a half block. */
static md_value_id build_relu_add(md_model *m, md_value_id x, qtype q)
{
    md_value_id a = qdq(m, conv(m, x, 8, 20, 3, 1, 1), q, 0.05);
    md_value_id b =
        qdq(m, unary(m, "Relu", conv(m, x, 8, 20, 1, 1, 1)), q, 0.02);

    return quantize(m, add(m, b, a), q, 0.04);
}

static md_value_id build_depthwise_add(md_model *m, md_value_id x, qtype q)
{
    return quantize(m, add(m, qdq(m, conv(m, x, 8, 8, 3, 1, 8), q, 0.03), x), q,
                    0.04);
}

static md_value_id build_max_pool(md_model *m, md_value_id x, qtype q)
{
    md_value_id y = unary(m, "MaxPool", x);

    md_build_attr_ints(m, y, "kernel_shape", 2, (int64_t[]){ 3, 3 });
    md_build_attr_ints(m, y, "pads", 4, (int64_t[]){ 1, 1, 1, 1 });
    return quantize(m, y, q, 0.02);
}

static md_value_id build_conv_pool(md_model *m, md_value_id x, qtype q)
{
    md_value_id y = unary(m, "Relu", conv(m, x, 8, 20, 3, 2, 1));

    y = unary(m, "MaxPool", y);
    md_build_attr_ints(m, y, "kernel_shape", 2, (int64_t[]){ 3, 3 });
    md_build_attr_ints(m, y, "pads", 4, (int64_t[]){ 1, 1, 1, 1 });
    md_build_attr_ints(m, y, "strides", 2, (int64_t[]){ 2, 2 });
    return quantize(m, y, q, 0.03);
}

static md_value_id build_gap_flatten(md_model *m, md_value_id x, qtype q)
{
    md_value_id y = qdq(m, unary(m, "GlobalAveragePool", x), q, 0.005);

    return quantize(m, unary(m, "Flatten", y), q, 0.005);
}

static md_value_id gemm(md_model *m, md_value_id x)
{
    const int64_t w[] = { 13, 8 * 9 * 7 }, n = 13;
    md_value_id y = node3(m, "Gemm", x, weights(m, 2, w, 0),
                          md_build_random(m, 1, &n, 0.2f, 3));

    md_build_attr_int(m, y, "transB", 1);
    return y;
}

static md_value_id build_gemm(md_model *m, md_value_id x, qtype q)
{
    x = qdq(m, unary(m, "Flatten", x), q, 0.02);
    return quantize(m, gemm(m, x), q, 0.1);
}

static md_value_id build_gemm_float(md_model *m, md_value_id x, qtype q)
{
    return gemm(m, qdq(m, unary(m, "Flatten", x), q, 0.02));
}

static md_value_id build_mat_mul(md_model *m, md_value_id x, qtype q)
{
    const int64_t w[] = { 7, 19 };
    md_value_id y = md_build_node(m, "MatMul", 2,
                                  (md_value_id[]){ x, weights(m, 2, w, 1) });

    return quantize(m, y, q, 0.03);
}

/* Through floats, between codes. */
static md_value_id build_mat_mul_bias(md_model *m, md_value_id x, qtype q)
{
    const int64_t n = 19;
    md_value_id y = dequantize(m, build_mat_mul(m, x, q), q, 0.03);

    y = unary(m, "Relu", add(m, y, md_build_random(m, 1, &n, 0.2f, 3)));
    return quantize(m, y, q, 0.04);
}

/* kernel: what explain must show; step: of the result, 0: it is float. */
static const struct net {
    build_fn *build;
    const char *op;
    double step;
} nets[] = {
    { build_conv_relu, "QLinearConv", 0.03 },
    { build_conv_stride, "QLinearConv", 0.05 },
    { build_depthwise, "QLinearConv", 0.03 },
    { build_add, "QLinearAdd", 0.04 },
    { build_conv_add, "+add", 0.04 },
    { build_relu_add, "+relu +add", 0.04 },
    { build_depthwise_add, "+add", 0.04 },
    { build_conv_pool, "QLinearConv", 0.03 },
    { build_max_pool, "MaxPool", 0.02 },
    { build_gap_flatten, "QLinearGlobalAveragePool", 0.005 },
    { build_gemm, "QGemm", 0.1 },
    { build_gemm_float, "QGemm", 0.0 },
    { build_mat_mul, "QLinearMatMul", 0.03 },
    { build_mat_mul_bias, "QLinearMatMulToFloat", 0.04 },
};

static md_session *open_net(const struct net *net, qtype q, bool reference)
{
    const int64_t dims[] = { -1, 8, 9, 7 };
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_model *m = md_build_model(17);
    md_value_id x = md_build_input(m, "x", MD_DTYPE_F32, 4, dims);
    md_session *s = NULL;

    md_build_output(m, net->build(m, qdq(m, x, q, 0.02), q));
    opts.reference = reference;
    assert_md_ok(md_session_new(&s, m, &opts, &err), &err);
    return s;
}

static void run_net(md_tensor *y, md_session *s, int64_t batch)
{
    const md_shape shape = { 4, { batch, 8, 9, 7 } };
    md_error err = MD_ERROR_INIT;
    md_tensor x;

    assert_md_ok(
        md_tensor_alloc(&x, MD_DTYPE_F32, &shape, md_alloc_default(), &err),
        &err);
    md_build_fill(x.data, md_tensor_n(&x), 1.0f, 5);
    assert_md_ok(md_session_run(s, &x, y, md_alloc_default(), &err), &err);
    md_tensor_release(&x);
}

/* Every level gives the bits of the first, which is near the definition: one
 * code for quantized results; a float one differs by the rounding of its bias
 * to a step of the sum and of the sum itself. */
static void check_net(const struct net *net, qtype q, int64_t batch)
{
    md_session *ref = open_net(net, q, true);
    md_tensor want, first = MD_TENSOR_INIT;
    md_error err = MD_ERROR_INIT;

    run_net(&want, ref, batch);
    md_session_free(ref);
    for (size_t i = 0; i < MD_COUNT(levels); i++) {
        md_session *s;
        md_tensor y;

        md_cpu_set_mask(levels[i]);
        s = open_net(net, q, false);
        run_net(&y, s, batch);
        md_session_free(s);
        if (i == 0) {
            first = y;
            assert_md_ok(md_tensor_compare(NULL, &y, &want,
                                           net->step > 0.0 ? 1.0 : 1e-4, 0.0,
                                           &err),
                         &err);
            continue;
        }
        assert_int_equal(y.dtype, first.dtype);
        assert_memory_equal(y.data, first.data, md_tensor_size(&first));
        md_tensor_release(&y);
    }
    md_cpu_set_mask(MD_CPU_ALL);
    md_tensor_release(&first);
    md_tensor_release(&want);
}

static void test_qdq__levels_agree_to_the_bit(void **state)
{
    (void)state;
    for (size_t n = 0; n < MD_COUNT(nets); n++) {
        for (size_t q = 0; q < MD_COUNT(qtypes); q++) {
            check_net(&nets[n], qtypes[q], 1);
            check_net(&nets[n], qtypes[q], 3);
        }
    }
}

static void test_qdq__runs_on_integers(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_buf text;

    (void)state;
    md_buf_init(&text, md_alloc_default(), 1 << 20);
    for (size_t n = 0; n < MD_COUNT(nets); n++) {
        for (size_t q = 0; q < MD_COUNT(qtypes); q++) {
            md_session *s = open_net(&nets[n], qtypes[q], false);

            md_buf_reset(&text);
            assert_md_ok(md_session_explain(s, false, &text, &err), &err);
            assert_md_ok(md_buf_putc(&text, '\0', &err), &err);
            if (!strstr((char *)text.data, nets[n].op) ||
                strstr((char *)text.data, "DequantizeLinear"))
                fail_msg("%s expected, no DequantizeLinear:\n%s", nets[n].op,
                         (char *)text.data);
            md_session_free(s);
        }
    }
    md_buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qdq__levels_agree_to_the_bit),
        cmocka_unit_test(test_qdq__runs_on_integers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
