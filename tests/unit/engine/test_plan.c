/*
 * Plans: what shares memory with what, and what is known while planning.
 */
#include "support/test.h"

#include <stdio.h>

#include "support/net.h"

/* A product whose residual is its own input may not write over it. */
static void test_plan__residual_is_the_input(void **state)
{
    (void)state;
    net_check("x f32[N,64]\n"
              "r = Relu(x)\n"
              "m = MatMul(r, f32[64,64]~0.2)\n"
              "y = Add(m, r)\n"
              "-> y",
              NULL, 17, 1e-5, 0);
    net_check("x f32[N,32,9,7]\n"
              "r = Conv(x, f32[32,32,1,1]~0.2)\n"
              "c = Conv(r, f32[32,32,3,3]~0.1) pads=[1,1,1,1]\n"
              "y = Add(r, c)\n"
              "z = Relu(y)\n"
              "-> z",
              NULL, 2, 1e-5, 0);
    net_check("x f32[N,32,9,7]\n"
              "r = Conv(x, f32[32,32,1,1]~0.2)\n"
              "c = Conv(r, f32[32,1,3,3]~0.3) pads=[1,1,1,1] group=32\n"
              "y = Add(r, c)\n"
              "-> y",
              NULL, 2, 1e-5, 0);
}

/* Values that depend on shapes alone are computed while planning, but not by
 * weights that were packed and freed. */
static void test_plan__known_values_by_packed_weights(void **state)
{
    (void)state;
    net_check("x f32[N,6]\n"
              "s = Shape(x)\n"
              "ones = ConstantOfShape(s)\n"
              "m = MatMul(ones, f32[6,5]~0.5)\n"
              "y = Add(m, f32[5]~1)\n"
              "-> y",
              NULL, 3, 1e-5, 0);
}

/* Such values in the layout that their users want. */
static void test_plan__known_values_in_blocks(void **state)
{
    (void)state;
    net_check("x f32[N,16,5,5]\n"
              "s = Shape(x)\n"
              "k = ConstantOfShape(s)\n"
              "a = Cos(k)\n"
              "c = Conv(x, f32[16,16,3,3]~0.2) pads=[1,1,1,1]\n"
              "y = Add(c, a)\n"
              "z = Conv(y, f32[16,16,1,1]~0.2)\n"
              "-> z",
              NULL, 1, 1e-5, 0);
    net_check("x f32[N,17,5,5]\n"
              "s = Shape(x)\n"
              "k = ConstantOfShape(s)\n"
              "c = Concat(k, x) axis=2\n"
              "m = MaxPool(c) kernel_shape=[3,3]\n"
              "y = GlobalAveragePool(k)\n"
              "-> m, y",
              NULL, 1, 1e-5, 0);
}

/* Constants stand in rows beside values in blocks. */
static void test_plan__constants_beside_blocks(void **state)
{
    (void)state;
    net_check("x f32[N,16,5,5]\n"
              "a = Conv(x, f32[16,16,3,3]~0.2) pads=[1,1,1,1]\n"
              "b = Add(a, f32[1,16,5,5]~1)\n"
              "c = Conv(b, f32[16,16,1,1]~0.2)\n"
              "d = Concat(f32[1,16,5,5]~1, c) axis=1\n"
              "e = Conv(d, f32[16,32,1,1]~0.2)\n"
              "f = Mul(e, f32[16,1,1]~1)\n"
              "g = Conv(f, f32[16,16,1,1]~0.2)\n"
              "-> g",
              NULL, 1, 1e-5, 0);
}

/* Lanes that fill the last block of channels up stay zero whatever is done
 * to the others: products of convolutions go over all lanes. */
static void test_plan__padding_lanes_stay_zero(void **state)
{
    static const char *const steps[] = {
        "m = Mul(a, f32[]{inf})",
        "m = Mul(f32[1]{inf}, a)",
        "m = Mul(a, f32[]{3})",
        "m = Div(a, f32[]{2})",
        "m = Add(a, f32[]{2})",
        "m = Sub(f32[1,1,1,1]{1}, a)",
        "m = Max(a, f32[]{1})",
        "m = Min(a, f32[]{-1})",
        "m = Sub(f32[20,1,1]~1, a)",
        "m = Mul(f32[20,1,1]{=inf}, a)",
        "m = Cos(a)",
        "m = Exp(a)",
        "m = Sigmoid(a)",
        "m = Softplus(a)",
        "m = Clip(a, f32[]{1}, f32[]{2})",
        "m = HardSigmoid(a)",
        "m = Reciprocal(a)",
        "b = Abs(a); m = Log(b)",
        "m = Pow(a, f32[]{0})",
        "m = Softmax(a) axis=1",
        "m = ReduceMax(a, i64[1]{2})",
        "m = GlobalAveragePool(a)",
        "b = Neg(a); m = Div(a, b)",
        "m = LeakyRelu(a)",
        "m = Concat(a, a) axis=2",
        "m = MaxPool(a) kernel_shape=[1,1]",
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(steps); i++) {
        char text[512];

        snprintf(text, sizeof(text),
                 "x f32[N,3,5,5]; p = Abs(x); a = Conv(p, "
                 "f32[20,3,3,3]{=0.5}); %s; y = Conv(m, "
                 "f32[16,20,1,1]{=0.05}); -> y",
                 steps[i]);
        net_check(text, NULL, 2, 1e-5, 0);
    }
}

/* Values without elements have an address that kernels may count from. */
static void test_plan__nothing_to_compute(void **state)
{
    (void)state;
    net_check("x f32[N,3,0]\na = Celu(x)\nb = Relu(a)\n-> b", NULL, 2, 0, 0);
    net_check("x f32[N,20,5,0]\n"
              "a = Conv(x, f32[16,20,1,1]~1)\n"
              "y = GlobalMaxPool(a)\n"
              "-> y, a",
              NULL, 1, 0, 0);
    net_check("x f32[N,0]\n"
              "y = MatMul(x, f32[0,5]{})\n"
              "z = Add(y, f32[5]~1)\n"
              "-> z",
              NULL, 2, 0, 0);
}

/* Before opset 11 the axis might be the rank: rows of one element. */
static void test_plan__softmax_of_single_elements(void **state)
{
    (void)state;
    net_check("opset 10; x f32[N]; y = Softmax(x); -> y", NULL, 3, 0, 0);
    net_check("opset 10; x f32[N]; y = LogSoftmax(x); -> y", NULL, 3, 0, 0);
    net_check("opset 10; x f32[N,2]; y = Softmax(x) axis=2; -> y", NULL, 3, 0,
              0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan__residual_is_the_input),
        cmocka_unit_test(test_plan__known_values_by_packed_weights),
        cmocka_unit_test(test_plan__known_values_in_blocks),
        cmocka_unit_test(test_plan__constants_beside_blocks),
        cmocka_unit_test(test_plan__padding_lanes_stay_zero),
        cmocka_unit_test(test_plan__nothing_to_compute),
        cmocka_unit_test(test_plan__softmax_of_single_elements),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
