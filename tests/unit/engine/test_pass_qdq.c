/* DequantizeLinear, operator, QuantizeLinear becomes an integer operator where
 * it computes the same; results may differ by one step of the last code. */
#include "support/test.h"

#include "support/net.h"

/* x quantized and back; u8 codes by one scale. */
#define X8(dims)                                                               \
    "x f32[" dims "]; q = QuantizeLinear(x, f32[]{0.02}, u8[]{121}); "         \
    "d = DequantizeLinear(q, f32[]{0.02}, u8[]{121}); "
#define CW                                                                     \
    "w = DequantizeLinear(i8[6,4,3,3]~127, f32[6]{=0.002}, i8[6]{=0}) "        \
    "axis=0; "
#define GW                                                                     \
    "w = DequantizeLinear(i8[9,5]~127, f32[5]{=0.003}, i8[5]{=0}) axis=1; "
#define Q(of) "y = QuantizeLinear(" of ", f32[]{0.05}, u8[]{100}); -> y"
#define IMG "N,4,6,5"
#define FLOAT "DequantizeLinear"

static const net_row convs[] = {
    { X8(IMG) CW "c = Conv(d, w); " Q("c"), "QLinearConv", FLOAT },
    { X8(IMG) CW "c = Conv(d, w, f32[6]~0.3); " Q("c"), "QLinearConv", FLOAT },
    { X8(IMG) CW "c = Conv(d, w); r = Relu(c); " Q("r"), "QLinearConv +relu",
      "Relu " FLOAT },
    { X8(IMG) CW "c = Conv(d, w); r = Clip(c, f32[]{0}, f32[]{1}); " Q("r"),
      "QLinearConv +clip", "Clip " FLOAT },
    /* Weights by one scale, with zero points, along any axis that is said. */
    { X8(IMG) "w = DequantizeLinear(i8[6,4,3,3]~127, f32[]{0.002}); "
              "c = Conv(d, w); " Q("c"),
      "QLinearConv", FLOAT },
    { X8(IMG) "w = DequantizeLinear(i8[6,4,3,3]~100, f32[6]{=0.002}, "
              "i8[6]{0 1 -2 3 -4 5}) axis=0; c = Conv(d, w); " Q("c"),
      "QLinearConv", FLOAT },
    /* A bias in integers by the product of the scales. */
    { X8(IMG) CW "b = DequantizeLinear(i32[6]~5000, f32[6]{=0.00004}) axis=0; "
                 "c = Conv(d, w, b); " Q("c"),
      "QLinearConv", FLOAT },
    { X8(IMG) CW "b = DequantizeLinear(i32[6]~50, f32[6]{=0.004}) axis=0; "
                 "c = Conv(d, w, b); " Q("c"),
      "Conv", "QLinearConv" },
    { X8(IMG) "w = DequantizeLinear(i8[6,4,3,3]~127, "
              "f32[6]{0.001 0.002 0.003 0.004 0.005 0.006}) axis=-4; "
              "c = Conv(d, w); " Q("c"),
      "QLinearConv", FLOAT },
    /* Near misses.  Per channel of the wrong axis. */
    { X8("N,6,6,5") "w = DequantizeLinear(i8[6,6,3,3]~127, f32[6]{=0.002}, "
                    "i8[6]{=0}) axis=1; c = Conv(d, w); " Q("c"),
      "Conv", "QLinearConv" },
    /* By blocks: a scale for every two output channels and each weight. */
    { X8(IMG) "w = DequantizeLinear(i8[6,4,1,1]~127, f32[3,4,1,1]~0.003) "
              "axis=0 block_size=2; c = Conv(d, w); " Q("c"),
      "Conv", "QLinearConv" },
    /* The product is read by others or is an output. */
    { X8(IMG) CW "c = Conv(d, w); z = Neg(c); "
                 "y = QuantizeLinear(c, f32[]{0.05}, u8[]{100}); -> y, z",
      "Conv", "QLinearConv" },
    { X8(IMG) CW "c = Conv(d, w); "
                 "y = QuantizeLinear(c, f32[]{0.05}, u8[]{100}); -> y, c",
      "Conv", "QLinearConv" },
    { X8(IMG) CW "c = Conv(d, w); r = Relu(c); "
                 "y = QuantizeLinear(r, f32[]{0.05}, u8[]{100}); -> y, r",
      "Conv", "QLinearConv" },
    /* The dequantized input is: it stays for them. */
    { X8(IMG) CW "c = Conv(d, w); z = Neg(d); "
                 "y = QuantizeLinear(c, f32[]{0.05}, u8[]{100}); -> y, z",
      "QLinearConv DequantizeLinear", "" },
    /* Scales that are computed. */
    { "s f32[]; " X8(IMG) CW "c = Conv(d, w); t = Abs(s); "
                             "y = QuantizeLinear(c, t, u8[]{100}); -> y",
      "Conv", "QLinearConv" },
    /* Results of 16 bits, per channel, without a zero point. */
    { X8(IMG) CW "c = Conv(d, w); "
                 "y = QuantizeLinear(c, f32[]{0.001}, i16[]{7}); -> y",
      "Conv", "QLinearConv" },
    { X8(IMG) CW "c = Conv(d, w); "
                 "y = QuantizeLinear(c, f32[6]{=0.05}, u8[6]{=100}) axis=1; "
                 "-> y",
      "Conv", "QLinearConv" },
    { X8(IMG) CW "c = Conv(d, w); y = QuantizeLinear(c, f32[]{0.05}); -> y",
      "Conv", "" },
    /* Activations of 16 bits, weights of 4. */
    { "x f32[N,4,6,5]; q = QuantizeLinear(x, f32[]{0.001}, u16[]{30000}); "
      "d = DequantizeLinear(q, f32[]{0.001}, u16[]{30000}); " CW
      "c = Conv(d, w); " Q("c"),
      "Conv", "QLinearConv" },
    { X8(IMG) "w = DequantizeLinear(i4[6,4,1,1]~7, f32[]{0.1}); "
              "c = Conv(d, w); " Q("c"),
      "Conv", "QLinearConv" },
};

static const net_row products[] = {
    { X8("N,9") GW "c = Gemm(d, w, f32[5]~0.3); " Q("c"), "QGemm", FLOAT },
    { X8("N,9") "w = DequantizeLinear(i8[5,9]~127, f32[5]{=0.003}) axis=0; "
                "c = Gemm(d, w) transB=1; r = Relu(c); " Q("r"),
      "QGemm +relu", FLOAT },
    { X8("N,9") GW "c = MatMul(d, w); " Q("c"), "QLinearMatMul", FLOAT },
    { X8("N,3,9") GW "c = MatMul(d, w); " Q("c"), "QLinearMatMul", FLOAT },
    /* Without a QuantizeLinear behind it the result is float; its bias is a
     * multiple of the sum's step, 0.02 * 0.003. */
    { X8("N,9") GW "y = Gemm(d, w); -> y", "QGemm", FLOAT },
    { X8("N,9") GW "y = Gemm(d, w, f32[1,5]{0.6 0 -0.12 0.3 1.2}); -> y",
      "QGemm", FLOAT },
    { X8("5,9") "w = DequantizeLinear(i8[9,5]~127, f32[]{0.003}); "
                "c = Gemm(d, w, f32[5,1]~1); " Q("c"),
      "Gemm", "QGemm" },
    /* Attributes that integers have no place for. */
    { X8("N,9") GW "c = Gemm(d, w) alpha=0.5; " Q("c"), "Gemm", "QGemm" },
    { X8("N,9") GW "c = Gemm(d, w, f32[5]~1) beta=0.5; " Q("c"), "Gemm",
      "QGemm" },
    { X8("9,N") GW "c = Gemm(d, w) transA=1; " Q("c"), "Gemm", "QGemm" },
    /* Per row in place of per column. */
    { X8("N,9") "w = DequantizeLinear(i8[9,5]~127, f32[9]{=0.003}) axis=0; "
                "c = Gemm(d, w); " Q("c"),
      "Gemm", "QGemm" },
    { X8("N,9") "w = DequantizeLinear(i8[9,5]~127, f32[9]{=0.003}) axis=0; "
                "c = MatMul(d, w); " Q("c"),
      "MatMul", "QLinearMatMul" },
    /* By blocks of columns. */
    { X8("N,8") "w = DequantizeLinear(i8[8,4]~127, f32[8,2]~0.003) axis=1 "
                "block_size=2; c = MatMul(d, w); " Q("c"),
      "MatMul", "QLinearMatMul" },
    { X8("N,8") "w = DequantizeLinear(i8[8,4]~127, f32[8,2]~0.003) axis=1 "
                "block_size=2; c = Gemm(d, w); " Q("c"),
      "Gemm", "QGemm" },
    /* A bias for all, per row, a matrix. */
    { X8("N,9") GW "c = Gemm(d, w, f32[]{0.7}); " Q("c"), "Gemm", "QGemm" },
    { X8("2,9") GW "c = Gemm(d, w, f32[2,1]~1); " Q("c"), "Gemm", "QGemm" },
    { X8("2,9") GW "c = Gemm(d, w, f32[2,5]~1); " Q("c"), "Gemm", "QGemm" },
    { X8("5,9") GW "c = Gemm(d, w, f32[5,1]~1); " Q("c"), "Gemm", "QGemm" },
    /* 16 bits behind it. */
    { X8("N,9") GW "c = Gemm(d, w); "
                   "y = QuantizeLinear(c, f32[]{0.001}, i16[]{7}); -> y",
      "QGemm QuantizeLinear", "" },
    { X8("N,9") GW "c = MatMul(d, w); "
                   "y = QuantizeLinear(c, f32[]{0.001}, i16[]{7}); -> y",
      "MatMul", "QLinearMatMul" },
    /* A stack of weights: one scale for all, but not per row of each, which
     * QLinearMatMul would take for columns. */
    { X8("2,3,4") "w = DequantizeLinear(i8[2,4,5]~127, f32[]{0.003}); "
                  "c = MatMul(d, w); " Q("c"),
      "QLinearMatMul", FLOAT },
    { X8("2,3,4") "w = DequantizeLinear(i8[2,4,4]~127, "
                  "f32[4]{0.001 0.01 0.03 0.002}) axis=1; "
                  "c = MatMul(d, w); " Q("c"),
      "MatMul", "QLinearMatMul" },
    { X8("2,3,4") "w = DequantizeLinear(i8[2,4,4]~127, "
                  "f32[4]{0.001 0.01 0.03 0.002}) axis=2; "
                  "c = MatMul(d, w); " Q("c"),
      "MatMul", "QLinearMatMul" },
    /* Axes that count from the end. */
    { X8("N,9") "w = DequantizeLinear(i8[9,5]~127, f32[5]{=0.003}) axis=-1; "
                "c = MatMul(d, w); " Q("c"),
      "QLinearMatMul", FLOAT },
    { X8("N,9") "w = DequantizeLinear(i8[9,5]~127, f32[5]{=0.003}) axis=-1; "
                "c = Gemm(d, w); " Q("c"),
      "QGemm", FLOAT },
    { X8("N,5") "w = DequantizeLinear(i8[5,5]~127, f32[5]~0.003) axis=-2; "
                "c = MatMul(d, w); " Q("c"),
      "MatMul", "QLinearMatMul" },
    /* A vector as left side. */
    { X8("9") GW "c = MatMul(d, w); " Q("c"), "QLinearMatMul", "" },
};

#define TWO                                                                    \
    X8("N,5,4")                                                                \
    "r = QuantizeLinear(x, f32[]{0.03}, u8[]{90}); "                           \
    "e = DequantizeLinear(r, f32[]{0.03}, u8[]{90}); "

static const net_row others[] = {
    { TWO "c = Add(d, e); " Q("c"), "QLinearAdd", FLOAT },
    { TWO "c = Add(d, e); s = Relu(c); " Q("s"), "QLinearAdd +relu", FLOAT },
    { X8("N,5,4") "c = Add(d, d); " Q("c"), "QLinearAdd", FLOAT },
    /* The types differ. */
    { X8("N,5,4") "r = QuantizeLinear(x, f32[]{0.03}, i8[]{9}); "
                  "e = DequantizeLinear(r, f32[]{0.03}, i8[]{9}); "
                  "c = Add(d, e); " Q("c"),
      "Add", "QLinearAdd" },
    { TWO "c = Add(d, e); y = QuantizeLinear(c, f32[]{0.05}, i8[]{1}); -> y",
      "Add", "QLinearAdd" },
    { TWO "c = Sub(d, e); " Q("c"), "Sub", "QLinearAdd" },
    { X8("N,5,4") "c = Add(d, f32[4]~1); " Q("c"), "Add", "QLinearAdd" },
    { X8(IMG) "c = GlobalAveragePool(d); " Q("c"), "QLinearGlobalAveragePool",
      FLOAT },
    { X8(IMG) "c = GlobalAveragePool(d); r = Relu(c); " Q("r"), FLOAT,
      "QLinearGlobalAveragePool" },
/* Data movement by the same codes on both sides. */
#define SAME(of) "y = QuantizeLinear(" of ", f32[]{0.02}, u8[]{121}); -> y"
    { X8(IMG) "c = MaxPool(d) kernel_shape=[2,2]; " SAME("c"), "MaxPool",
      FLOAT },
    { X8(IMG) "c = MaxPool(d) kernel_shape=[3,3] pads=[1,1,1,1]; " SAME("c"),
      "MaxPool", FLOAT },
    { X8(IMG) "c = Flatten(d); " SAME("c"), "Flatten", FLOAT },
    { X8(IMG) "c = Reshape(d, i64[2]{0 -1}); " SAME("c"), "Reshape", FLOAT },
    { X8(IMG) "c = Transpose(d) perm=[0,2,3,1]; " SAME("c"), "Transpose",
      FLOAT },
    { X8("N,1,5") "c = Squeeze(d, i64[1]{1}); " SAME("c"), "Squeeze", FLOAT },
    { X8("N,5") "c = Unsqueeze(d, i64[1]{1}); " SAME("c"), "Unsqueeze", FLOAT },
    { X8(IMG) "c = MaxPool(d) kernel_shape=[2,2]; "
              "y = QuantizeLinear(c, f32[]{0.03}, u8[]{121}); -> y",
      FLOAT, "" },
    { X8(IMG) "c = MaxPool(d) kernel_shape=[2,2]; "
              "y = QuantizeLinear(c, f32[]{0.02}, u8[]{120}); -> y",
      FLOAT, "" },
    { X8(IMG) "c = Flatten(d); y = QuantizeLinear(c, f32[]{0.02}, u8[]{121}); "
              "-> y, c",
      FLOAT, "" },
    { X8(IMG) "c = AveragePool(d) kernel_shape=[2,2]; " SAME("c"),
      "AveragePool " FLOAT, "" },
    /* There and back again is nothing, unless it is another scale or type. */
    { X8("N,5") "e = QuantizeLinear(d, f32[]{0.02}, u8[]{121}); "
                "y = DequantizeLinear(e, f32[]{0.02}, u8[]{121}); -> y",
      "QuantizeLinear DequantizeLinear", "" },
    { X8("N,5") "e = QuantizeLinear(d, f32[]{0.03}, u8[]{121}); "
                "y = DequantizeLinear(e, f32[]{0.03}, u8[]{121}); -> y",
      FLOAT, "" },
    { X8("N,5") "e = QuantizeLinear(d, f32[]{0.02}, i8[]{0}); "
                "y = DequantizeLinear(e, f32[]{0.02}, i8[]{0}); -> y",
      FLOAT, "" },
};

/* A convolution's codes, and a residual's of the same shape. */
#define RES                                                                    \
    "u f32[N,6,4,3]; qu = QuantizeLinear(u, f32[]{0.03}, u8[]{90}); "          \
    "du = DequantizeLinear(qu, f32[]{0.03}, u8[]{90}); "
#define CQ(of)                                                                 \
    "qc = QuantizeLinear(" of ", f32[]{0.04}, u8[]{77}); "                     \
    "dc = DequantizeLinear(qc, f32[]{0.04}, u8[]{77}); "
#define CONV X8(IMG) CW "c = Conv(d, w); "

static const net_row sums[] = {
    { RES CONV CQ("c") "s = Add(dc, du); " Q("s"), "QLinearConv +add",
      "QLinearAdd " FLOAT },
    { RES CONV CQ("c") "s = Add(du, dc); " Q("s"), "QLinearConv +add",
      "QLinearAdd " FLOAT },
    { RES CONV CQ("c") "s = Add(dc, du); r = Relu(s); " Q("r"),
      "QLinearConv +add", "QLinearAdd " FLOAT },
    { RES CONV "r = Relu(c); " CQ("r") "s = Add(dc, du); " Q("s"),
      "QLinearConv +relu +add", "QLinearAdd " FLOAT },
    /* The later one of two convolutions. */
    { CONV CQ("c") "v = DequantizeLinear(i8[6,4,3,3]~90, f32[6]{=0.003}, "
                   "i8[6]{=0}) axis=0; e = Conv(d, v); "
                   "qe = QuantizeLinear(e, f32[]{0.05}, u8[]{99}); "
                   "de = DequantizeLinear(qe, f32[]{0.05}, u8[]{99}); "
                   "s = Add(dc, de); " Q("s"),
      "QLinearConv +add", "QLinearAdd " FLOAT },
    /* One per channel. */
    { "u f32[N,4,6,5]; qu = QuantizeLinear(u, f32[]{0.03}, u8[]{90}); "
      "du = DequantizeLinear(qu, f32[]{0.03}, u8[]{90}); " X8(
          IMG) "w = DequantizeLinear(i8[4,1,3,3]~127, f32[4]{=0.01}, i8[4]{=0}) "
               "axis=0; c = Conv(d, w) group=4 pads=[1,1,1,1]; " CQ(
                   "c") "s = Add(dc, du); " Q("s"),
      "QLinearConv +add", "QLinearAdd " FLOAT },
    /* A second residual. */
    { RES CONV CQ("c") "s = Add(dc, du); qs = QuantizeLinear(s, f32[]{0.05}, "
                       "u8[]{100}); ds = DequantizeLinear(qs, f32[]{0.05}, "
                       "u8[]{100}); t = Add(ds, du); " Q("t"),
      "QLinearConv +add QLinearAdd", FLOAT },
    /* Near misses.  The codes are read by others or are an output. */
    { RES CONV CQ("c") "s = Add(dc, du); z = Neg(dc); "
                       "y = QuantizeLinear(s, f32[]{0.05}, u8[]{100}); "
                       "-> y, z",
      "QLinearAdd", "+add" },
    { RES CONV CQ("c") "s = Add(dc, du); "
                       "y = QuantizeLinear(s, f32[]{0.05}, u8[]{100}); "
                       "-> y, qc",
      "QLinearAdd", "+add" },
    /* The residual is computed later. */
    { CONV CQ("c") RES "s = Add(dc, du); " Q("s"), "QLinearAdd", "+add" },
    /* Its shape is another one, or may be for some sizes. */
    { "u f32[N,6,4,1]; qu = QuantizeLinear(u, f32[]{0.03}, u8[]{90}); "
      "du = DequantizeLinear(qu, f32[]{0.03}, u8[]{90}); " CONV CQ(
          "c") "s = Add(dc, du); " Q("s"),
      "QLinearAdd", "+add" },
    /* What is dequantized is not what was quantized. */
    { RES CONV "qc = QuantizeLinear(c, f32[]{0.04}, u8[]{77}); "
               "dc = DequantizeLinear(qc, f32[]{0.04}, u8[]{78}); "
               "s = Add(dc, du); " Q("s"),
      "QLinearAdd", "+add" },
};

static const net_row pools[] = {
    { CONV "p = MaxPool(c) kernel_shape=[2,2]; " Q("p"), "QLinearConv MaxPool",
      FLOAT },
    { CONV "r = Relu(c); p = MaxPool(r) kernel_shape=[3,3] pads=[1,1,1,1] "
           "strides=[2,2]; " Q("p"),
      "QLinearConv +relu MaxPool", FLOAT },
    { CONV "r = Clip(c, f32[]{0}, f32[]{1}); p = MaxPool(r) kernel_shape=[2,2] "
           "ceil_mode=1 strides=[2,2]; " Q("p"),
      "QLinearConv +clip MaxPool", FLOAT },
    /* Near misses.  What was not quantized may hold NaN. */
    { "x f32[N,4,6,5]; c = Conv(x, f32[6,4,3,3]~0.2); "
      "p = MaxPool(c) kernel_shape=[2,2]; " Q("p"),
      "Conv MaxPool", "QLinearConv" },
    /* Where they were, indices, no codes of 8 bits. */
    { CONV "p, i = MaxPool(c) kernel_shape=[2,2]; "
           "y = QuantizeLinear(p, f32[]{0.05}, u8[]{100}); -> y, i",
      "Conv MaxPool", "QLinearConv" },
    { CONV "p = MaxPool(c) kernel_shape=[2,2]; "
           "y = QuantizeLinear(p, f32[]{0.001}, i16[]{7}); -> y",
      "Conv MaxPool", "QLinearConv" },
    { CONV "p = MaxPool(c) kernel_shape=[2,2]; z = Neg(p); "
           "y = QuantizeLinear(p, f32[]{0.05}, u8[]{100}); -> y, z",
      "Conv MaxPool", "QLinearConv" },
    { CONV "p = MaxPool(c) kernel_shape=[2,2]; z = Neg(c); "
           "y = QuantizeLinear(p, f32[]{0.05}, u8[]{100}); -> y, z",
      "Conv MaxPool", "QLinearConv" },
};

static void test_pass_qdq__sums(void **state)
{
    (void)state;
    net_check_rows(sums, MD_COUNT(sums), 1);
}

static void test_pass_qdq__pools(void **state)
{
    (void)state;
    net_check_rows(pools, MD_COUNT(pools), 1);
}

static void test_pass_qdq__convolutions(void **state)
{
    (void)state;
    net_check_rows(convs, MD_COUNT(convs), 1);
}

static void test_pass_qdq__products(void **state)
{
    (void)state;
    net_check_rows(products, MD_COUNT(products), 1);
}

static void test_pass_qdq__other_operators(void **state)
{
    (void)state;
    net_check_rows(others, MD_COUNT(others), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pass_qdq__convolutions),
        cmocka_unit_test(test_pass_qdq__products),
        cmocka_unit_test(test_pass_qdq__other_operators),
        cmocka_unit_test(test_pass_qdq__sums),
        cmocka_unit_test(test_pass_qdq__pools),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
