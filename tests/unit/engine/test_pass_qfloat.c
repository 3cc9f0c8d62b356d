/*
 * What the codes of a product stand for is its result where nothing else reads
 * the codes.  Scales are powers of two: sums and what is quantized are exact,
 * so that the definition has the same codes.
 */
#include "support/test.h"

#include "support/net.h"

#define X8                                                                     \
    "x f32[N,3,9]; q = QuantizeLinear(x, f32[]{0.015625}, u8[]{121}); "        \
    "d = DequantizeLinear(q, f32[]{0.015625}, u8[]{121}); "
#define W                                                                      \
    "w = DequantizeLinear(i8[9,20]~127, f32[20]{=0.00390625}, i8[20]{=0}) "    \
    "axis=1; "
#define QD(of)                                                                 \
    "p = QuantizeLinear(" of ", f32[]{0.0625}, u8[]{100}); "                   \
    "f = DequantizeLinear(p, f32[]{0.0625}, u8[]{100}); "
#define PRODUCT X8 W "m = MatMul(d, w); " QD("m")
#define TO_FLOAT "QLinearMatMulToFloat"
#define CODES "QLinearMatMul DequantizeLinear"

static const net_row rows[] = {
    { PRODUCT "y = Identity(f); -> y", TO_FLOAT, CODES },
    { PRODUCT "y = Add(f, f32[20]~1); -> y", TO_FLOAT " +bias", "Add " CODES },
    { PRODUCT "y = Relu(f); -> y", TO_FLOAT " +relu", "Relu " CODES },
    { "r f32[N,3,20]; " PRODUCT "b = Add(f32[20]~1, f); s = Add(b, r); "
      "y = Gelu(s); -> y",
      TO_FLOAT " +bias +add +gelu", "Add Gelu " CODES },
    /* int8, in blocks that are not full, to limits. */
    { "x f32[N,9]; q = QuantizeLinear(x, f32[]{0.0078125}, i8[]{-3}); "
      "d = DequantizeLinear(q, f32[]{0.0078125}, i8[]{-3}); "
      "w = DequantizeLinear(i8[9,5]~127, f32[5]{1 0.5 0.25 0.125 2}, "
      "i8[5]{=0}) axis=1; m = MatMul(d, w); "
      "p = QuantizeLinear(m, f32[]{0.25}, i8[]{9}); "
      "f = DequantizeLinear(p, f32[]{0.25}, i8[]{9}); "
      "y = Add(f, f32[5]~1); -> y",
      TO_FLOAT " +bias", "Add " CODES },
    /* Equal scales and zero points of another rank. */
    { X8 W "m = MatMul(d, w); "
           "p = QuantizeLinear(m, f32[]{0.0625}, u8[]{100}); "
           "f = DequantizeLinear(p, f32[1]{0.0625}, u8[1]{100}); "
           "y = Add(f, f32[20]~1); -> y",
      TO_FLOAT " +bias", CODES },
    /* Near misses: codes that are read by others or clamped; another scale or
     * zero point; another type. */
    { PRODUCT "y = Add(f, f32[20]~1); -> y, p", "QLinearMatMul", TO_FLOAT },
    { PRODUCT "y = Add(f, f32[20]~1); "
              "g = DequantizeLinear(p, f32[]{0.0625}, u8[]{100}); -> y, g",
      "QLinearMatMul", TO_FLOAT },
    { X8 W "m = MatMul(d, w); r = Relu(m); " QD("r") "y = Neg(f); -> y",
      "QLinearMatMul +relu", TO_FLOAT },
    { X8 W "m = MatMul(d, w); p = QuantizeLinear(m, f32[]{0.0625}, u8[]{100}); "
           "y = DequantizeLinear(p, f32[]{0.125}, u8[]{100}); -> y",
      "QLinearMatMul", TO_FLOAT },
    { X8 W "m = MatMul(d, w); p = QuantizeLinear(m, f32[]{0.0625}, u8[]{100}); "
           "y = DequantizeLinear(p, f32[]{0.0625}, u8[]{99}); -> y",
      "QLinearMatMul", TO_FLOAT },
};

static void test_pass_qfloat__rows(void **state)
{
    (void)state;
    net_check_rows(rows, MD_COUNT(rows), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pass_qfloat__rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
