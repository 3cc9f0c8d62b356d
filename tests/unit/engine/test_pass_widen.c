/* float16 and bfloat16 computed in float32: where values are rounded, and
 * what comes out. */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "engine/pass.h"
#include "engine/program.h"
#include "support/net.h"

typedef struct widen_row {
    const char *text;
    int n_casts, n_strict; /* Casts left, in precision strict too */
} widen_row;

#define X "x f16[N,8]; "
#define W "f16[8,8]~0.3"

static const widen_row rows[] = {
    { X "y = MatMul(x, " W "); -> y", 2, 2 },
    { "opset 7; " X "y = MatMul(x, " W "); -> y", 2, 2 },
    { "x bf16[N,8]; y = MatMul(x, bf16[8,8]~0.3); -> y", 2, 2 },
    /* A chain is rounded at its end; strictly, wherever it leaves float32. */
    { X "a = MatMul(x, " W "); b = Relu(a); y = Softmax(b); -> y", 2, 4 },
    { "x bf16[N,8]; a = MatMul(x, bf16[8,8]~0.3); b = Sigmoid(a); "
      "y = Softmax(b); -> y",
      2, 4 },
    /* One companion for all who read it. */
    { X "a = MatMul(x, " W "); b = Softmax(x); y = Add(a, b); -> y", 2, 3 },
    /* What has loops of its own stays as it is, unless it is in a chain. */
    { X "a = Relu(x); y = Add(a, x); -> y", 0, 0 },
    { X "a = Softmax(x); y = Add(a, x); -> y", 2, 2 },
    { X "t = Transpose(x) perm=[1,0]; y = MatMul(t, x); -> y", 3, 3 },
    { X "a = Softmax(x); t = Transpose(a) perm=[1,0]; y = MatMul(a, t); -> y",
      2, 5 },
    { X "p f16[N,8]; a = Softmax(x); y = Concat(p, a) axis=1; -> y", 2, 2 },
    { X "a = Softmax(x); y = Concat(a, f16[1,8]~1) axis=0; -> y", 2, 2 },
    { "t f16[9,8]; i i64[N]; a = Gather(t, i); y = Softmax(a); -> y", 2, 2 },
    /* Outputs are rounded, also those that a chain goes on from. */
    { X "a = Softmax(x); b = Relu(a); -> a, b", 3, 2 },
    { X "y, m, v = LayerNormalization(x, f16[8]~1, f16[8]~1); -> y, m, v", 2,
      2 },
    /* What jumps sees rounded values. */
    { X "a = Softmax(x); i = ArgMax(a) axis=1; -> i", 3, 3 },
    { X "a = Softmax(x); v, i = TopK(a, i64[1]{3}); y = Softmax(v); -> y, i", 4,
      4 },
    { X "a = Softmax(x); y = Greater(a, f16[]{0.1}); -> y", 2, 2 },
    { X "a = Softmax(x); y = Cast(a) to=6; -> y", 3, 3 },
    /* Casts of the model: those around a computation are not needed, one
     * that only rounds is what the model asks for. */
    { "x f32[N,8]; a = Cast(x) to=10; b = MatMul(a, " W "); y = Cast(b) to=1; "
      "-> y",
      0, 4 },
    { X "a = Cast(x) to=1; b = Softmax(a); y = MatMul(x, " W "); -> y, b", 2,
      2 },
    { "x f32[N,8]; a = Cast(x) to=10; y = Cast(a) to=1; -> y", 2, 2 },
    { "x f32[N,8]; a = Cast(x) to=10; b = Reshape(a, i64[2]{0 8}); "
      "y = Cast(b) to=1; -> y",
      2, 2 },
    { "x f64[N,8]; a = Cast(x) to=10; y = MatMul(a, " W "); -> y", 3, 3 },
    /* A type that an attribute names. */
    { "opset 23; x u8[N,4]; y = DequantizeLinear(x, f16[]{0.5}, u8[]{3}); -> y",
      1, 1 },
    { "opset 23; x u8[N,4]; y = DequantizeLinear(x, f16[]{0.5}, u8[]{3}) "
      "output_dtype=10; -> y",
      0, 0 },
    /* Nothing to do. */
    { "x f32[N,8]; y = Softmax(x); -> y", 0, 0 },
};

static int count(const md_graph *g, const char *op)
{
    int n = 0;

    for (uint32_t i = 0; i < g->n_nodes; i++)
        n += strcmp(g->nodes[i]->op, op) == 0;
    return n;
}

/* Values are at most about 4, of which float16 has steps of 2^-9 and bfloat16
 * of 2^-6; definitions round every node to half of that, so a few nodes are
 * one step apart. */
static double tolerance(const char *text)
{
    return strstr(text, "bf16") ? 0x1p-6 : 0x1p-9;
}

static void check_row(const widen_row *row, md_precision precision)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    const int want =
        precision == MD_PRECISION_STRICT ? row->n_strict : row->n_casts;
    md_session *s;
    int got;

    opts.precision = precision;
    s = net_open(row->text, &opts);
    got = count(md_session_model(s)->graph, "Cast");
    if (got != want)
        fail_msg("%d casts, %d expected, in %s of %s", got, want,
                 md_precision_name(precision), row->text);
    md_session_free(s);
    net_check(row->text, &opts, 3, tolerance(row->text), 0);
}

static void test_pass_widen__casts(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        check_row(&rows[i], MD_PRECISION_FP32);
        check_row(&rows[i], MD_PRECISION_STRICT);
    }
}

/* y[0] of a net whose only input is one number of float16. */
static double run_one(const char *text, md_precision precision, double x)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_tensor in = MD_TENSOR_INIT, out = MD_TENSOR_INIT;
    md_shape one = { .rank = 2, .dim = { 1, 1 } };
    md_session *s;
    double y;

    opts.precision = precision;
    s = net_open(text, &opts);
    assert_md_ok(
        md_tensor_alloc(&in, MD_DTYPE_F16, &one, md_alloc_default(), &err),
        &err);
    md_tensor_set_f64(&in, 0, x);
    assert_md_ok(md_session_run(s, &in, &out, md_alloc_default(), &err), &err);
    assert_int_equal(out.dtype, MD_DTYPE_F16);
    y = md_tensor_get_f64(&out, 0);
    md_tensor_release(&in);
    md_tensor_release(&out);
    md_session_free(s);
    return y;
}

/* 300 * 300 is more than float16 has, half of it is not. */
static void test_pass_widen__strict_rounds_every_node(void **state)
{
    static const char net[] = "x f16[1,1]; a = MatMul(x, f16[1,1]{300}); "
                              "y = MatMul(a, f16[1,1]{0.5}); -> y";

    (void)state;
    assert_true(run_one(net, MD_PRECISION_FP32, 300) == 44992);
    assert_true(isinf(run_one(net, MD_PRECISION_STRICT, 300)));
}

/* One node is rounded once: 1 + 2^-11 is halfway and goes to even, a bit more
 * goes up. */
static void test_pass_widen__rounds_once(void **state)
{
    static const char tie[] = "x f16[1,1]; y = Gemm(x, f16[1,1]{1}, "
                              "f16[1,1]{0.00048828125}); -> y";
    static const char above[] = "x f16[1,1]; y = Gemm(x, f16[1,1]{1}, "
                                "f16[1,1]{0.00048852}); -> y";

    (void)state;
    assert_true(run_one(tie, MD_PRECISION_FP32, 1) == 1);
    assert_true(run_one(above, MD_PRECISION_FP32, 1) == 1 + 0x1p-10);
    assert_true(run_one(tie, MD_PRECISION_STRICT, 1) == 1);
    assert_true(run_one(above, MD_PRECISION_STRICT, 1) == 1 + 0x1p-10);
}

/* The other passes find what they look for. */
static void test_pass_widen__passes_come_after(void **state)
{
    static const net_row nets[] = {
        { "x f16[1,4,6,6]; a = Conv(x, f16[8,4,3,3]~0.2, f16[8]~1); "
          "b = BatchNormalization(a, f16[8]~1, f16[8]~1, f16[8]~1, "
          "f16[8]{=2}); y = Relu(b); -> y",
          "Conv +relu", "BatchNormalization Relu" },
        { "x f16[N,8]; m = MatMul(x, f16[8,8]~0.3); "
          "d = Div(m, f16[]{1.4142135}); e = Erf(d); a = Add(e, f16[]{1}); "
          "b = Mul(m, a); y = Mul(b, f16[]{0.5}); -> y",
          "+gelu", "Erf Gelu" },
        { "x bf16[N,8]; m = MatMul(x, bf16[8,8]~0.3); "
          "d = Div(m, bf16[]{1.4142135}); e = Erf(d); a = Add(e, bf16[]{1}); "
          "b = Mul(m, a); y = Mul(b, bf16[]{0.5}); -> y",
          "+gelu", "Erf Gelu" },
    };

    (void)state;
    net_check_words(nets, MD_COUNT(nets));
    for (size_t i = 0; i < MD_COUNT(nets); i++)
        net_check(nets[i].text, NULL, 3, tolerance(nets[i].text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pass_widen__casts),
        cmocka_unit_test(test_pass_widen__strict_rounds_every_node),
        cmocka_unit_test(test_pass_widen__rounds_once),
        cmocka_unit_test(test_pass_widen__passes_come_after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
