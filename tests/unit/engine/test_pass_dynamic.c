/* Products quantized while a model runs become one node where nothing else
 * sees what is between; the results are the same to the bit but for what
 * activations and residuals differ anyway. */
#include "support/test.h"

#include "support/net.h"

#define Q "q, xs, xz = DynamicQuantizeLinear(x); "
#define X "x f32[N,3,12]; " Q
#define W "i8[12,20]~100"
#define IMG "x f32[N,4,6,5]; " Q
#define FUSED "DynamicQuantizeMatMul"
#define SCALED "MatMulIntegerToFloat"
#define CONV "ConvIntegerToFloat"
#define SPELLED "MatMulInteger Cast Mul"

static const net_row products[] = {
    { X "m = MatMulInteger(q, " W ", xz); f = Cast(m) to=1; "
        "s = Mul(xs, f32[]{0.01}); y = Mul(f, s); -> y",
      FUSED, "DynamicQuantizeLinear " SPELLED },
    /* Operands the other way round; a scale and a zero point per column. */
    { X "m = MatMulInteger(q, u8[12,20]~200, xz, u8[20]~200); "
        "f = Cast(m) to=1; s = Mul(f32[20]{=0.01}, xs); y = Mul(s, f); -> y",
      FUSED, "DynamicQuantizeLinear " SPELLED },
    /* Bias, residual, activation. */
    { X "m = MatMulInteger(q, i8[12,12]~100, xz, i8[]{3}); f = Cast(m) to=1; "
        "s = Mul(xs, f32[]{0.01}); t = Mul(f, s); b = Add(f32[12]~1, t); "
        "r = Add(b, x); y = Gelu(r); -> y",
      FUSED " +bias +add +gelu", "Add Gelu " SPELLED },
    /* Of x, several: one quantizes. */
    { X "m = MatMulInteger(q, " W ", xz); f = Cast(m) to=1; "
        "s = Mul(xs, f32[]{0.01}); y = Mul(f, s); "
        "n = MatMulInteger(q, i8[12,7]~100, xz); g = Cast(n) to=1; "
        "t = Mul(xs, f32[7]~0.01); u = Mul(g, t); z = Relu(u); -> y, z",
      "DynamicQuantizeLinear " SCALED " +relu", FUSED " Relu " SPELLED },
    { X "m = MatMulInteger(q, " W ", xz); f = Cast(m) to=1; "
        "s = Mul(xs, f32[]{0.01}); y = Mul(f, s); -> y, q",
      "DynamicQuantizeLinear " SCALED, FUSED " " SPELLED },
    { X "m = MatMulInteger(q, " W ", xz); f = Cast(m) to=1; "
        "s = Mul(xs, f32[]{0.01}); y = Mul(f, s); -> y, s",
      "DynamicQuantizeLinear " SCALED, FUSED " MatMulInteger Cast" },
    /* A scale of other making, computed behind the product. */
    { "x u8[N,9]; v f32[]; m = MatMulInteger(x, i8[9,5]~100, u8[]{7}); "
      "f = Cast(m) to=1; s = Abs(v); y = Mul(f, s); -> y",
      SCALED, SPELLED },
    /* Matrices that are no constants. */
    { X "w u8[N,12,7]; m = MatMulInteger(q, w, xz); f = Cast(m) to=1; "
        "s = Mul(xs, f32[7]~0.01); t = Mul(f, s); y = Relu(t); -> y",
      FUSED " Relu", "+relu " SPELLED },
    /* Near misses: other types, sums or floats that are read by others. */
    { X "m = MatMulInteger(q, " W ", xz); f = Cast(m) to=11; "
        "s = Cast(xs) to=11; y = Mul(f, s); -> y",
      "MatMulInteger", SCALED },
    { X "m = MatMulInteger(q, " W ", xz); f = Cast(m) to=1; "
        "s = Mul(xs, f32[]{0.01}); y = Mul(f, s); -> y, m",
      SPELLED, SCALED },
    { X "m = MatMulInteger(q, " W ", xz); f = Cast(m) to=1; "
        "s = Mul(xs, f32[]{0.01}); y = Mul(f, s); z = Neg(f); -> y, z",
      SPELLED, SCALED },
    { X "m = MatMulInteger(q, " W ", xz); f = Cast(m) to=1; "
        "y = Mul(f, f32[3,1]~0.01); -> y",
      SPELLED, SCALED },
    { X "m = MatMulInteger(q, " W ", xz); f = Cast(m) to=1; "
        "s = Mul(xs, f32[1,1,1,1]{0.01}); y = Mul(f, s); -> y",
      SPELLED, SCALED },
    /* A zero point for each row. */
    { "x u8[9,4]; v f32[]; z u8[9]; m = MatMulInteger(x, i8[4,5]~100, z); "
      "f = Cast(m) to=1; y = Mul(f, v); -> y",
      SPELLED, SCALED },
};

static const net_row shared[] = {
    /* As onnxruntime's optimizer leaves them. */
    { "x f32[N,3,12]; a = com.microsoft.DynamicQuantizeMatMul(x, " W
      ", f32[]{0.01}); b = com.microsoft.DynamicQuantizeMatMul(x, u8[12,7]~200,"
      " f32[7]~0.01, u8[7]~200, f32[7]~1); -> a, b",
      "DynamicQuantizeLinear " SCALED, FUSED },
    { X "a = com.microsoft.DynamicQuantizeMatMul(x, " W ", f32[]{0.01}); "
        "-> a, q",
      "DynamicQuantizeLinear " SCALED, FUSED },
    { X "p, ps, pz = DynamicQuantizeLinear(x); y = MatMulInteger(q, " W
        ", xz); z = MatMulInteger(p, i8[12,4]~100, pz); -> y, z",
      "DynamicQuantizeLinear MatMulInteger", FUSED },
    { "x f32[N,12]; y = com.microsoft.DynamicQuantizeMatMul(x, " W
      ", f32[]{0.01}, _, f32[20]~1); z = Relu(y); -> z",
      FUSED " +relu", "DynamicQuantizeLinear Relu" },
};

static const net_row convolutions[] = {
    { IMG "m = ConvInteger(q, i8[20,4,3,3]~100, xz); f = Cast(m) to=1; "
          "s = Mul(xs, f32[]{0.01}); y = Mul(f, s); -> y",
      CONV, "ConvInteger Cast Mul" },
    { IMG "m = ConvInteger(q, u8[6,4,1,1]~200, xz, u8[6]~200); "
          "f = Cast(m) to=1; s = Mul(xs, f32[1,6,1,1]~0.01); t = Mul(f, s); "
          "b = Add(t, f32[1,6,1,1]~1); y = Relu(b); -> y",
      CONV " +bias +relu", "ConvInteger Cast Mul Add Relu" },
    { IMG "m = ConvInteger(q, i8[4,1,3,3]~100, xz) group=4 pads=[1,1,1,1]; "
          "f = Cast(m) to=1; s = Mul(xs, f32[4,1,1]~0.01); t = Mul(f, s); "
          "b = Add(t, f32[4,1,1]~1); r = Add(b, x); y = Clip(r, f32[]{0}, "
          "f32[]{6}); -> y",
      CONV " +bias +add +clip", "ConvInteger Cast Mul Add Clip" },
    { "x f32[N,8,30]; " Q "m = ConvInteger(q, i8[20,4,5]~100, xz) group=2 "
      "strides=[3]; f = Cast(m) to=1; s = Mul(xs, f32[20,1]~0.01); "
      "t = Mul(f, s); y = Add(t, f32[20,1]~1); -> y",
      CONV " +bias", "ConvInteger Cast Mul Add" },
    /* Along the wrong axis. */
    { "x f32[N,4,6,6]; " Q "m = ConvInteger(q, i8[6,4,1,1]~100, xz); "
      "f = Cast(m) to=1; s = Mul(xs, f32[6]~0.01); y = Mul(f, s); -> y",
      "ConvInteger Cast Mul", CONV },
    { "x f32[N,4,6,6]; " Q "m = ConvInteger(q, i8[6,4,1,1]~100, xz); "
      "f = Cast(m) to=1; s = Mul(xs, f32[]{0.01}); t = Mul(f, s); "
      "y = Add(t, f32[6]~1); -> y",
      CONV " Add", "+bias" },
};

static void test_pass_dynamic__products(void **state)
{
    (void)state;
    net_check_rows(products, MD_COUNT(products), 0);
}

static void test_pass_dynamic__one_quantizes_for_all(void **state)
{
    (void)state;
    net_check_rows(shared, MD_COUNT(shared), 0);
}

static void test_pass_dynamic__convolutions(void **state)
{
    (void)state;
    net_check_rows(convolutions, MD_COUNT(convolutions), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pass_dynamic__products),
        cmocka_unit_test(test_pass_dynamic__one_quantizes_for_all),
        cmocka_unit_test(test_pass_dynamic__convolutions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
