/* The passes that look at a few nodes: identity, pad, bn_conv, gelu, silu. */
#include "support/test.h"

#include "support/net.h"

static const net_row identities[] = {
    { "x f32[N,4]; a = Relu(x); b = Identity(a); y = Neg(b); -> y", "Relu Neg",
      "Identity" },
    { "x f32[N,4]; a = Identity(x); b = Identity(a); y = Neg(b); -> y", "Neg",
      "Identity" },
    { "x f32[N,4]; b = Dropout(x); y = Neg(b); -> y", "Neg", "Dropout" },
    { "x f32[N,4]; b = Dropout(x, f32[]{0.5}); y = Neg(b); -> y", "Neg",
      "Dropout" },
    { "opset 7; x f32[N,4]; b = Dropout(x) ratio=0.5; y = Neg(b); -> y", "Neg",
      "Dropout" },
    /* Outputs keep their nodes, and so their names. */
    { "x f32[N,4]; a = Relu(x); b = Identity(a); -> a, b", "Relu Identity",
      "" },
    { "x f32[N,4]; b = Identity(x); y = Neg(b); -> y, b", "Neg Identity", "" },
    /* Its mask is wanted; it is told whether it trains. */
    { "x f32[N,4]; b, m = Dropout(x); y = Neg(b); -> y, m", "Dropout Neg", "" },
    { "x f32[N,4]; b = Dropout(x, _, bool[]{0}); y = Neg(b); -> y",
      "Dropout Neg", "" },
};

#define P "x f32[N,4,6,5]; "
#define W "f32[8,4,3,3]~0.2"

static const net_row paddings[] = {
    { P "p = Pad(x, i64[8]{0 0 1 2 0 0 3 0}); y = Conv(p, " W "); -> y", "Conv",
      "Pad" },
    { P "p = Pad(x, i64[8]{0 0 0 0 0 0 1 1}, f32[]{0}); "
        "y = Conv(p, " W ") strides=[2,2]; -> y",
      "Conv", "Pad" },
    { P "p = Pad(x, i64[8]{0 0 1 1 0 0 1 1}); "
        "y = Conv(p, " W ") pads=[1,0,2,1]; -> y",
      "Conv", "Pad" },
    { P "p = Pad(x, i64[8]{0 0 1 1 0 0 1 1}); "
        "y = Conv(p, " W ") auto_pad=\"VALID\"; -> y",
      "Conv", "Pad" },
    { "opset 18; " P "p = Pad(x, i64[4]{1 2 3 0}, _, i64[2]{-1 2}); "
      "y = Conv(p, " W "); -> y",
      "Conv", "Pad" },
    { "opset 10; " P "p = Pad(x) pads=[0,0,1,1,0,0,1,1]; y = Conv(p, " W "); "
      "-> y",
      "Conv", "Pad" },
    { "x f32[N,4,6]; p = Pad(x, i64[6]{0 0 2 0 0 1}); "
      "y = Conv(p, f32[8,4,3]~0.2); -> y",
      "Conv", "Pad" },
    /* More than the window is long. */
    { P "p = Pad(x, i64[8]{0 0 9 9 0 0 7 7}); y = Conv(p, " W "); -> y", "Conv",
      "Pad" },
    /* Others read what it gives. */
    { P "p = Pad(x, i64[8]{0 0 1 1 0 0 1 1}); y = Conv(p, " W "); z = Neg(p); "
        "-> y, z",
      "Pad Conv Neg", "" },
    /* Not zeros, not of the pixels only, or less than nothing. */
    { P "p = Pad(x, i64[8]{0 0 1 1 0 0 1 1}, f32[]{1}); y = Conv(p, " W "); "
        "-> y",
      "Pad Conv", "" },
    { P "p = Pad(x, i64[8]{0 0 1 1 0 0 1 1}) mode=\"edge\"; "
        "y = Conv(p, " W "); -> y",
      "Pad Conv", "" },
    { P "p = Pad(x, i64[8]{1 0 1 1 0 0 1 1}); y = Conv(p, " W "); -> y",
      "Pad Conv", "" },
    { P "p = Pad(x, i64[8]{0 1 1 1 0 0 1 1}); "
        "y = Conv(p, f32[8,5,3,3]~0.2); -> y",
      "Pad Conv", "" },
    { P "p = Pad(x, i64[8]{0 0 -1 1 0 0 1 1}); y = Conv(p, " W "); -> y",
      "Pad Conv", "" },
    /* What it pads by follows from the size. */
    { P "p = Pad(x, i64[8]{0 0 1 1 0 0 1 1}); "
        "y = Conv(p, " W ") auto_pad=\"SAME_UPPER\"; -> y",
      "Pad Conv", "" },
};

#define X "x f32[N,4,6,5]; "
#define C X "c = Conv(x, f32[8,4,3,3]~0.2); "
#define STATS "f32[8]~1, f32[8]~1, f32[8]~1, f32[8]{1 2 3 4 5 6 7 8}"

static const net_row norms[] = {
    { C "y = BatchNormalization(c, " STATS "); -> y", "Conv",
      "BatchNormalization" },
    { C "y = BatchNormalization(c, " STATS ") epsilon=0.5; -> y", "Conv",
      "BatchNormalization" },
    { X "c = Conv(x, f32[8,4,3,3]~0.2, f32[8]~1); "
        "y = BatchNormalization(c, " STATS "); -> y",
      "Conv", "BatchNormalization" },
    { X "c = Conv(x, f32[8,1,3,3]~0.2) group=4; "
        "y = BatchNormalization(c, " STATS "); -> y",
      "Conv", "BatchNormalization" },
    /* Weights of two convolutions, of which one is normalized. */
    { X "w = f32[8,4,3,3]~0.2; c = Conv(x, w); d = Conv(x, w); "
        "y = BatchNormalization(c, " STATS "); z = Add(y, d); -> z",
      "Conv", "BatchNormalization" },
    /* A bias of two convolutions. */
    { X "b = f32[8]~1; c = Conv(x, f32[8,4,3,3]~0.2, b); "
        "d = Conv(x, f32[8,4,3,3]~0.2, b); "
        "y = BatchNormalization(c, " STATS "); z = Add(y, d); -> z",
      "Conv", "BatchNormalization" },
    { C "y = BatchNormalization(c, " STATS "); z = Neg(c); -> y, z",
      "BatchNormalization Neg", "" },
    { C "y = BatchNormalization(c, " STATS "); -> y, c", "BatchNormalization",
      "" },
    { X "w f32[8,4,3,3]; c = Conv(x, w); "
        "y = BatchNormalization(c, " STATS "); -> y",
      "BatchNormalization", "" },
    { X "b f32[8]; c = Conv(x, f32[8,4,3,3]~0.2, b); "
        "y = BatchNormalization(c, " STATS "); -> y",
      "BatchNormalization", "" },
    { C "s f32[8]; y = BatchNormalization(c, s, f32[8]~1, f32[8]~1, "
        "f32[8]{=2}); -> y",
      "BatchNormalization", "" },
    /* Before opset 7 it is told that it does not train, before opset 9 that
     * its statistics are not those of each pixel. */
    { "opset 6; " C "y = BatchNormalization(c, " STATS ") is_test=1; -> y",
      "Conv", "BatchNormalization" },
    { "opset 6; " C "y = BatchNormalization(c, " STATS "); -> y",
      "BatchNormalization", "" },
    { "opset 8; " X "c = Conv(x, f32[1,4,6,5]~0.2); "
      "y = BatchNormalization(c, f32[1,1,1]~1, f32[1,1,1]~1, f32[1,1,1]~1, "
      "f32[1,1,1]{2}) spatial=0; -> y",
      "BatchNormalization", "" },
    { C "r = Relu(c); y = BatchNormalization(r, " STATS "); -> y",
      "BatchNormalization +relu", "" },
    { "x f64[N,4,6,5]; c = Conv(x, f64[8,4,3,3]~0.2); y = BatchNormalization"
      "(c, f64[8]~1, f64[8]~1, f64[8]~1, f64[8]{=2}); -> y",
      "BatchNormalization", "" },
};

#define E "x f32[N,7]; d = Div(x, f32[]{1.4142135}); e = Erf(d); "

static const net_row gelus[] = {
    { E "a = Add(e, f32[]{1}); m = Mul(x, a); y = Mul(m, f32[]{0.5}); -> y",
      "Gelu", "Erf Div Mul" },
    { E "a = Add(f32[]{1}, e); m = Mul(a, x); y = Mul(f32[]{0.5}, m); -> y",
      "Gelu", "Erf Div Mul" },
    { E "a = Add(e, f32[1]{1}); h = Mul(x, f32[]{0.5}); y = Mul(h, a); -> y",
      "Gelu", "Erf Div Mul" },
    { E "a = Add(e, f32[]{1}); h = Mul(f32[]{0.5}, a); y = Mul(x, h); -> y",
      "Gelu", "Erf Div Mul" },
    { "x f32[N,7]; d = Mul(x, f32[]{0.70710678}); e = Erf(d); "
      "a = Add(e, f32[]{1}); m = Mul(x, a); y = Mul(m, f32[]{0.5}); -> y",
      "Gelu", "Erf Mul" },
    /* What is between may be seen by others: it stays for them. */
    { E "a = Add(e, f32[]{1}); m = Mul(x, a); y = Mul(m, f32[]{0.5}); -> y, e",
      "Gelu Erf", "Mul" },
    { E "a = Add(e, f32[]{1}); m = Mul(x, a); y = Mul(m, f32[]{0.5}); -> m, y",
      "Gelu Erf Mul", "" },
    /* Other numbers, other inputs, other types. */
    { E "a = Add(e, f32[]{1}); m = Mul(x, a); y = Mul(m, f32[]{0.51}); -> y",
      "Erf", "Gelu" },
    { E "a = Add(e, f32[]{1.1}); m = Mul(x, a); y = Mul(m, f32[]{0.5}); -> y",
      "Erf", "Gelu" },
    { "x f32[N,7]; d = Div(x, f32[]{1.5}); e = Erf(d); a = Add(e, f32[]{1}); "
      "m = Mul(x, a); y = Mul(m, f32[]{0.5}); -> y",
      "Erf", "Gelu" },
    { "x f32[N,7]; d = Div(f32[]{1.4142135}, x); e = Erf(d); "
      "a = Add(e, f32[]{1}); m = Mul(x, a); y = Mul(m, f32[]{0.5}); -> y",
      "Erf", "Gelu" },
    { "z f32[N,7]; " E "a = Add(e, f32[]{1}); m = Mul(z, a); "
      "y = Mul(m, f32[]{0.5}); -> y",
      "Erf", "Gelu" },
    { E "a = Sub(e, f32[]{1}); m = Mul(x, a); y = Mul(m, f32[]{0.5}); -> y",
      "Erf", "Gelu" },
    { E "a = Add(e, f32[7]{=1}); m = Mul(x, a); y = Mul(m, f32[]{0.5}); -> y",
      "Erf", "Gelu" },
    { "x f64[N,7]; d = Div(x, f64[]{1.4142135623730951}); e = Erf(d); "
      "a = Add(e, f64[]{1}); m = Mul(x, a); y = Mul(m, f64[]{0.5}); -> y",
      "Erf", "Gelu" },
    /* A number of higher rank than x makes the result one of that rank. */
    { E "a = Add(e, f32[]{1}); m = Mul(x, a); y = Mul(m, f32[1,1,1]{0.5}); "
        "-> y",
      "Erf", "Gelu" },
    { E "a = Add(e, f32[1,1,1]{1}); m = Mul(x, a); y = Mul(m, f32[]{0.5}); "
        "-> y",
      "Erf", "Gelu" },
    { "x f32[7]; d = Div(x, f32[1,1]{1.4142135}); e = Erf(d); "
      "a = Add(e, f32[]{1}); m = Mul(x, a); y = Mul(m, f32[]{0.5}); -> y",
      "Erf", "Gelu" },
};

static const net_row silus[] = {
    { "x f32[N,7]; s = Sigmoid(x); y = Mul(x, s); -> y", "Swish",
      "Sigmoid Mul" },
    { "x f32[N,7]; s = Sigmoid(x); y = Mul(s, x); -> y", "Swish",
      "Sigmoid Mul" },
    { "x f32[N,7]; s = HardSigmoid(x) alpha=0.16666667 beta=0.5; "
      "y = Mul(s, x); -> y",
      "HardSwish", "HardSigmoid Mul" },
    { "x f32[N,7]; s = Sigmoid(x); y = Mul(x, s); -> y, s", "Swish Sigmoid",
      "Mul" },
    { "x f32[N,7]; s = Sigmoid(x); y = Mul(s, s); -> y", "Sigmoid Mul",
      "Swish" },
    { "x f32[N,7]; z f32[N,7]; s = Sigmoid(x); y = Mul(z, s); -> y",
      "Sigmoid Mul", "Swish" },
    { "x f32[N,7]; s = Sigmoid(x); y = Add(x, s); -> y", "Sigmoid Add",
      "Swish" },
    { "x f32[N,7]; s = HardSigmoid(x); y = Mul(s, x); -> y", "HardSigmoid Mul",
      "HardSwish" },
    { "x f32[N,7]; s = HardSigmoid(x) alpha=0.16666667 beta=0.4; "
      "y = Mul(s, x); -> y",
      "HardSigmoid Mul", "HardSwish" },
    { "x f64[N,7]; s = Sigmoid(x); y = Mul(x, s); -> y", "Sigmoid Mul",
      "Swish" },
};

static void test_pass_identity__rows(void **state)
{
    (void)state;
    net_check_rows(identities, MD_COUNT(identities), 0);
}

static void test_pass_pad__rows(void **state)
{
    (void)state;
    net_check_rows(paddings, MD_COUNT(paddings), 0);
}

static void test_pass_bn_conv__rows(void **state)
{
    (void)state;
    net_check_rows(norms, MD_COUNT(norms), 0);
}

static void test_pass_gelu__rows(void **state)
{
    (void)state;
    net_check_rows(gelus, MD_COUNT(gelus), 0);
}

static void test_pass_silu__rows(void **state)
{
    (void)state;
    net_check_rows(silus, MD_COUNT(silus), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pass_identity__rows),
        cmocka_unit_test(test_pass_pad__rows),
        cmocka_unit_test(test_pass_bn_conv__rows),
        cmocka_unit_test(test_pass_gelu__rows),
        cmocka_unit_test(test_pass_silu__rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
