/*
 * Plans: what shares memory with what, and what is known while planning.
 */
#include "support/test.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan__residual_is_the_input),
        cmocka_unit_test(test_plan__known_values_by_packed_weights),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
