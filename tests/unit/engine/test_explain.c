/*
 * Why a node has no kernel: each reason that a lowering gives, in the text
 * for people and in the JSON, beside results that are those of the
 * definition.  A near miss of each rule, with a shape or a value that a
 * kernel would get wrong.
 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "support/net.h"

#define X8(dims)                                                               \
    "x f32[" dims "]; q = QuantizeLinear(x, f32[]{0.02}, u8[]{121}); "         \
    "d = DequantizeLinear(q, f32[]{0.02}, u8[]{121}); "
#define ADD(b, b_zero)                                                         \
    "y = com.microsoft.QLinearAdd(x, f32[]{0.1}, u8[]{3}, " b                  \
    ", f32[]{0.2}, " b_zero ", f32[]{0.3}, u8[]{100}); -> y"
#define CONV(w, scale, zero, rest)                                             \
    "x u8[N,4,5,5]; y = QLinearConv(x, f32[]{0.02}, u8[]{3}, " w ", " scale    \
    ", " zero ", f32[]{0.05}, u8[]{100}" rest "; -> y"
#define GEMM(rest)                                                             \
    "x u8[4,3]; y = com.microsoft.QGemm(x, f32[]{0.02}, u8[]{3}, " rest "; "   \
    "-> y"

/* The operator that has no kernel, and the words that say why. */
static const struct reason {
    const char *text, *op, *why;
} reasons[] = {
    /* products */
    { "x i32[N,3]; y = Gemm(x, i32[3,4]~9); -> y", "Gemm",
      "needs float32 or float64" },
    { "x f32[N,4,3]; y = MatMul(x, f32[3]~1); -> y", "MatMul",
      "needs float32 or float64 operands of rank 2 or more" },
    { "x f32[3]; y = MatMul(x, f32[3,2]~1); -> y", "MatMul",
      "needs float32 or float64 operands of rank 2 or more" },
    /* convolutions */
    { "x f64[N,4,9]; y = Conv(x, f64[6,4,3]~1); -> y", "Conv",
      "needs float32" },
    { "x f64[N,4,9]; y = ConvTranspose(x, f64[4,3,3]~1); -> y", "ConvTranspose",
      "needs float32" },
    { "x f32[N,1,9]; y = ConvTranspose(x, f32[1,1,3]~1) strides=[1025]; -> y",
      "ConvTranspose", "the strides are too long" },
    { "x f64[3,N,4]; y = RNN(x, f64[1,6,4]~0.4, f64[1,6,6]~0.4); -> y", "RNN",
      "needs float32" },
    /* windows */
    { "x f32[N,4,5,5]; y, i = MaxPool(x) kernel_shape=[3,3]; -> y, i",
      "MaxPool", "indices are read" },
    { "x f64[N,4,5,5]; y = MaxPool(x) kernel_shape=[3,3]; -> y", "MaxPool",
      "needs 2-D float32 or 8 bits" },
    { "x f64[N,4,5,5]; y = GlobalAveragePool(x); -> y", "GlobalAveragePool",
      "needs float32 or 2-D 8 bits" },
    { "x f64[N,4,5]; y = MaxPool(x) kernel_shape=[2]; -> y", "MaxPool",
      "needs float32 or 2-D 8 bits" },
    { "x u8[N,4,5,5]; s f32[]; y = com.microsoft.QLinearGlobalAveragePool(x, "
      "s, u8[]{1}, f32[]{0.5}, u8[]{3}); -> y",
      "QLinearGlobalAveragePool",
      "needs 8 bits, constant scales, channels first" },
    /* rows */
    { "x f64[N,4]; y = Softmax(x); -> y", "Softmax", "needs float32" },
    { "opset 10; x f32[N]; y = Softmax(x); -> y", "Softmax",
      "rows of one element" },
    { "x f64[N,4,5]; s f64[4]; y = InstanceNormalization(x, s, s); -> y",
      "InstanceNormalization", "needs float32" },
    { "x f64[N,4,5]; s f64[4]; y = GroupNormalization(x, s, s) num_groups=2; "
      "-> y",
      "GroupNormalization", "needs float32" },
    { "x f32[N]; p f32[1]; y = BatchNormalization(x, p, p, p, f32[1]{=1}); "
      "-> y",
      "BatchNormalization", "needs the channels' given statistics" },
    { "x f32[N]; p f32[1]; y = BatchNormalization(x, p, p, p, f32[1]{=1}) "
      "training_mode=1; -> y",
      "BatchNormalization", "needs channels" },
    { "x f64[N,4]; y = LpNormalization(x); -> y", "LpNormalization",
      "needs float32" },
    { "x f32[N,4]; y = LpNormalization(x) axis=0; -> y", "LpNormalization",
      "the axis is not the last" },
    { "x f64[N,4]; y = ArgMax(x); -> y", "ArgMax", "needs float32" },
    { "x f64[N,4]; y = ReduceSum(x); -> y", "ReduceSum", "needs float32" },
    { "x f32[N,4]; a i64[1]; y = ReduceSum(x, a); -> y", "ReduceSum",
      "the axes are not constant" },
    { "x f32[N,4]; y = ReduceSum(x) noop_with_empty_axes=1; -> y", "ReduceSum",
      "no axis is reduced" },
    { "x f32[N,2,2,2,2]; y = ReduceMax(x, i64[3]{0 2 4}); -> y", "ReduceMax",
      "more than two axes lie apart" },
    { "x f32[N,4]; s f32[4]; y = LayerNormalization(x, s); -> y",
      "LayerNormalization", "needs float32 with constant scale and bias" },
    { "x f32[N,4]; y, m = LayerNormalization(x, f32[4]~1); -> y, m",
      "LayerNormalization", "mean or variance is read" },
    { "x f32[N,3,4]; y = LayerNormalization(x, f32[4]~1) axis=1; -> y",
      "LayerNormalization", "scale or bias is not of a row's shape" },
    { "x f32[N,4]; y = LayerNormalization(x, f32[4]~1, f32[1]{3}); -> y",
      "LayerNormalization", "scale or bias is not of a row's shape" },
    /* the row's size is not known: neither is one of two such */
    { "x f32[2,N]; y = LayerNormalization(x, f32[1]{2}); -> y",
      "LayerNormalization", "scale or bias is not of a row's shape" },
    { "x f32[2,N,M]; y = LayerNormalization(x, f32[1]{2}) axis=1; -> y",
      "LayerNormalization", "scale or bias is not of a row's shape" },
    /* elements */
    { "x f64[N,4]; y = Sigmoid(x); -> y", "Sigmoid",
      "needs float32, float16, bfloat16" },
    { "x f32[N,4]; lo f32[]; y = Clip(x, lo); -> y", "Clip",
      "no kernel for these parameters" },
    { "x i64[N,4]; y = Add(x, x); -> y", "Add", "needs two float32 operands" },
    { "x f32[N,4]; y = Max(x, x, x); -> y", "Max",
      "needs two float32 operands" },
    /* moves */
    { "x f32[N,4]; y, _ = Split(x, i64[2]{1 3}) axis=1; -> y", "Split",
      "a part is absent" },
    { "x f32[N,4,3,3]; y = Resize(x, _, f32[4]{1 1 1.5 2}) "
      "nearest_mode=\"floor\" coordinate_transformation_mode=\"asymmetric\"; "
      "-> y",
      "Resize", "needs nearest pixels and whole factors" },
    { "x f32[N,4,3,3]; y = Resize(x, _, f32[4]{1 1 2 2}) mode=\"linear\"; "
      "-> y",
      "Resize", "needs nearest pixels and whole factors" },
    /* codes */
    { "x f32[N,4]; s f32[]; t = Abs(s); y = QuantizeLinear(x, t, u8[]{3}); "
      "-> y",
      "QuantizeLinear", "needs 8 bits and constant scales without blocks" },
    { "x f32[N,4]; y = QuantizeLinear(x, f32[]{0.1}, i16[]{3}); -> y",
      "QuantizeLinear", "needs 8 bits and constant scales without blocks" },
    { "x f32[N,4]; z u8[]; y = QuantizeLinear(x, f32[]{0.1}, z); -> y",
      "QuantizeLinear", "the zero point is no constant" },
    { "x u8[2,3]; b u8[3]; " ADD("b", "u8[]{9}"), "QLinearAdd",
      "needs 8-bit operands of one shape" },
    { "x u8[2,3]; " ADD("u8[2,3]~200", "u8[]{9}"), "QLinearAdd",
      "needs 8-bit operands of one shape" },
    { "x u8[2,3]; b u8[2,3]; z u8[]; " ADD("b", "z"), "QLinearAdd",
      "scales are no constants" },
    { CONV("i8[6,4,3,3]~100", "f32[]{0.01}", "i8[]{1}", ")"), "QLinearConv",
      "weights have a zero point" },
    { CONV("i8[6,4,3,3]~100", "f32[6]{=0.01}", "i8[6]{0 0 0 0 0 1}", ")"),
      "QLinearConv", "weights have a zero point" },
    { CONV("i8[6,2,3,3]~100", "f32[]{0.01}", "i8[]{0}", ") group=2"),
      "QLinearConv", "groups" },
    { CONV("u8[6,4,3,3]~100", "f32[]{0.01}", "u8[]{9}", ")"), "QLinearConv",
      "needs 2-D and constant int8 weights" },
    { "w i8[6,4,3,3]; " CONV("w", "f32[]{0.01}", "i8[]{0}", ")"), "QLinearConv",
      "needs 2-D and constant int8 weights" },
    { "s f32[]; t = Abs(s); " CONV("i8[6,4,3,3]~100", "t", "i8[]{0}", ")"),
      "QLinearConv", "scales are no constants" },
    { "b i32[6]; " CONV("i8[6,4,3,3]~100", "f32[]{0.01}", "i8[]{0}", ", b)"),
      "QLinearConv", "the bias is no int32 constant" },
    { GEMM("i8[3,4]~100, f32[]{0.01}, i8[]{2}, _, f32[]{0.05}, u8[]{9})"),
      "QGemm", "weights have a zero point" },
    { "z i8[]; " GEMM("i8[3,4]~100, f32[]{0.01}, z, _, f32[]{0.05}, u8[]{9})"),
      "QGemm", "the weights' zero point is no int8 constant" },
    { GEMM("u8[3,4]~100, f32[]{0.01}, u8[]{2}, _, f32[]{0.05}, u8[]{9})"),
      "QGemm", "needs constant int8 weights" },
    { GEMM("i8[3,4]~100, f32[]{0.01}, i8[]{0}) alpha=0.5"), "QGemm",
      "transA or alpha" },
    { GEMM("i8[4,5]~100, f32[]{0.01}, i8[]{0}) transA=1"), "QGemm",
      "transA or alpha" },
    { "b i32[4]; " GEMM("i8[3,4]~100, f32[]{0.01}, i8[]{0}, b)"), "QGemm",
      "the bias is no int32 constant" },
    { GEMM("i8[3,4]~100, f32[]{0.01}, i8[]{0}, i32[1]{500})"), "QGemm",
      "the bias is no row" },
    { GEMM("i8[3,4]~100, f32[]{0.01}, i8[]{0}, i32[4,1]~900)"), "QGemm",
      "the bias is no row" },
    { GEMM("i8[3,2]~100, f32[]{0.01}, i8[]{0}, i32[4,1]~900)"), "QGemm",
      "the bias is no row" },
    { "s f32[]; t = Abs(s); " GEMM("i8[3,4]~100, f32[]{0.01}, i8[]{0}, _, t, "
                                   "u8[]{9})"),
      "QGemm", "the output scale is no constant" },
    { "s f32[]; t = Abs(s); " GEMM("i8[3,4]~100, t, i8[]{0})"), "QGemm",
      "scales are no constants" },
    /* operators without any kernel */
    { "x f32[N,4]; y = CumSum(x, i64[]{1}); -> y", "CumSum", "no kernel yet" },
};

/* The line of the node that computes y. */
static const char *line_of(const char *text, const char *op)
{
    for (const char *at = strchr(text, '\n'); at && at[1];
         at = strchr(at + 1, '\n')) {
        const char *name = strchr(at + 1, ' ');

        name += strspn(name, " ");
        if (strncmp(name, op, strlen(op)) == 0 && name[strlen(op)] == ' ')
            return at + 1;
    }
    return NULL;
}

static void check_text(const struct reason *r, const char *text)
{
    const char *line = line_of(text, r->op);
    char want[128];

    if (!line) {
        fail_msg("no %s in\n%sof\n%s", r->op, text, r->text);
        return;
    }
    snprintf(want, sizeof(want), " %s\n", r->why);
    if (!strstr(line, " reference ") || !strstr(line, want) ||
        strchr(line, '\n') != strchr(strstr(line, want), '\n'))
        fail_msg("'%s' expected for %s in\n%sof\n%s", r->why, r->op, text,
                 r->text);
}

static void test_explain__every_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(reasons); i++) {
        const struct reason *r = &reasons[i];
        md_session *s = net_open(r->text, NULL);
        char *text = net_explain(s);

        check_text(r, text);
        md_free(md_alloc_default(), text);
        md_session_free(s);
        net_check(r->text, NULL, 2, 1e-5, 0);
    }
}

/* The same words in JSON, which reads as one array of objects. */
static void test_explain__json(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(reasons); i++) {
        md_session *s = net_open(reasons[i].text, NULL);
        md_error err = MD_ERROR_INIT;
        char want[200];
        md_buf out;

        md_buf_init(&out, md_alloc_default(), 1 << 20);
        assert_md_ok(md_session_explain(s, true, &out, &err), &err);
        assert_md_ok(md_buf_putc(&out, '\0', &err), &err);
        snprintf(want, sizeof(want), "\"op\":\"%s\",\"kernel\":\"reference\"",
                 reasons[i].op);
        assert_non_null(strstr((const char *)out.data, want));
        snprintf(want, sizeof(want), "\"why\":\"%s\"", reasons[i].why);
        if (!strstr((const char *)out.data, want))
            fail_msg("%s missing in\n%s", want, (const char *)out.data);
        md_buf_release(&out);
        md_session_free(s);
    }
}

/* Names from a file are escaped, in JSON, and cut, in the table. */
static void test_explain__odd_names(void **state)
{
    md_model *m = net_parse("x f32[N,4]; y = Relu(x); -> y");
    md_error err = MD_ERROR_INIT;
    md_session *s = NULL;
    md_buf out;

    (void)state;
    m->graph->nodes[0]->name = "a\"b\\c\n\x01 and so on and on for long";
    assert_md_ok(md_session_new(&s, m, NULL, &err), &err);
    md_buf_init(&out, md_alloc_default(), 1 << 20);
    assert_md_ok(md_session_explain(s, true, &out, &err), &err);
    assert_md_ok(md_buf_putc(&out, '\0', &err), &err);
    assert_non_null(
        strstr((const char *)out.data,
               "\"node\":\"a\\u0022b\\u005cc\\u000a\\u0001 and so on"));
    md_buf_release(&out);
    md_session_free(s);
}

/* A reference session gives its own reason; a full buffer is an answer. */
static void test_explain__reference_and_limits(void **state)
{
    const char *net = "x f32[N,4]; y = Relu(x); -> y";
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_session *s;
    md_buf out;
    char *text;

    (void)state;
    opts.reference = true;
    s = net_open(net, &opts);
    text = net_explain(s);
    assert_non_null(strstr(text, "reference mode"));
    md_free(md_alloc_default(), text);
    for (int json = 0; json < 2; json++) {
        size_t size;

        md_buf_init(&out, md_alloc_default(), 1 << 20);
        assert_md_ok(md_session_explain(s, json, &out, &err), &err);
        size = out.size;
        md_buf_release(&out);
        for (size_t limit = 0; limit < size; limit++) {
            md_buf_init(&out, md_alloc_default(), limit);
            assert_md_fails(md_session_explain(s, json, &out, &err),
                            MD_TOO_LARGE, &err, "");
            md_buf_release(&out);
        }
    }
    md_session_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_explain__every_reason),
        cmocka_unit_test(test_explain__json),
        cmocka_unit_test(test_explain__odd_names),
        cmocka_unit_test(test_explain__reference_and_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
