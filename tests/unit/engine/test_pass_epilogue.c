/* Bias, residual and activation become part of Conv, Gemm and MatMul when
 * nothing else sees what is between; else nothing changes. */
#include "support/test.h"

#include "support/net.h"

#define CONV "x f32[N,4,6,5]; c = Conv(x, f32[8,4,3,3]~0.2, f32[8]~0.2); "
#define GEMM "x f32[N,6]; c = Gemm(x, f32[6,9]~0.3, f32[9]~0.2); "
#define MATMUL "x f32[N,3,6]; c = MatMul(x, f32[6,9]~0.3); "

static const net_row activations[] = {
    { CONV "y = Relu(c); -> y", "Conv +relu", "Relu" },
    { GEMM "y = Relu(c); -> y", "Gemm +relu", "Relu" },
    { MATMUL "y = Relu(c); -> y", "MatMul +relu", "Relu" },
    { GEMM "y = Sigmoid(c); -> y", "+sigmoid", "Sigmoid" },
    { GEMM "y = Tanh(c); -> y", "+tanh", "Tanh" },
    { GEMM "y = LeakyRelu(c); -> y", "+leaky_relu", "LeakyRelu" },
    { GEMM "y = LeakyRelu(c) alpha=0.3; -> y", "+leaky_relu", "LeakyRelu" },
    { GEMM "y = HardSigmoid(c) alpha=0.3 beta=0.4; -> y", "+hard_sigmoid",
      "HardSigmoid" },
    { GEMM "y = HardSwish(c); -> y", "+hard_swish", "HardSwish" },
    { GEMM "y = Gelu(c); -> y", "+gelu", "Gelu" },
    { GEMM "y = Gelu(c) approximate=\"tanh\"; -> y", "+gelu_tanh", "Gelu" },
    { GEMM "y = Clip(c, f32[]{-0.5}, f32[]{0.5}); -> y", "+clip", "Clip" },
    { GEMM "y = Clip(c, _, f32[]{0.5}); -> y", "+clip", "Clip" },
    { GEMM "y = Clip(c, f32[]{-0.5}); -> y", "+clip", "Clip" },
    { GEMM "y = Clip(c); -> y", "+clip", "Clip" },
    { "opset 10; " GEMM "y = Clip(c) min=-0.5 max=0.25; -> y", "+clip",
      "Clip" },
    /* A bound that is no constant, or an activation with no kernel. */
    { "lo f32[]; " GEMM "y = Clip(c, lo); -> y", "Gemm Clip", "+clip" },
    { GEMM "y = Elu(c); -> y", "Gemm Elu", "" },
    { "opset 24; " GEMM "y = Swish(c) alpha=0.5; -> y", "Gemm Swish", "+silu" },
    { GEMM "y = PRelu(c, f32[9]~0.3); -> y", "Gemm PRelu", "" },
    /* One activation only. */
    { GEMM "a = Relu(c); y = Tanh(a); -> y", "+relu Tanh", "Relu +tanh" },
    /* Seen by others: another node, an output, twice by one node. */
    { GEMM "y = Relu(c); z = Neg(c); -> y, z", "Relu Neg", "+relu" },
    { GEMM "y = Relu(c); -> y, c", "Relu", "+relu" },
    { GEMM "y = Mul(c, c); -> y", "Mul", "" },
    /* No such host: other type, weights that are computed. */
    { "x f64[N,6]; c = MatMul(x, f64[6,9]~0.3); y = Relu(c); -> y",
      "MatMul Relu", "+relu" },
    { "x f32[N,6]; w f32[6,9]; c = MatMul(x, w); y = Relu(c); -> y",
      "MatMul Relu", "+relu" },
    { "x f32[N,2,6]; c = MatMul(x, f32[1,6,9]~0.3); y = Relu(c); -> y",
      "MatMul Relu", "+relu" },
};

static const net_row biases[] = {
    { MATMUL "y = Add(c, f32[9]~1); -> y", "+bias", "Add" },
    { MATMUL "y = Add(f32[9]~1, c); -> y", "+bias", "Add" },
    { MATMUL "y = Add(c, f32[1,1,9]~1); -> y", "+bias", "Add" },
    { GEMM "y = Add(c, f32[1,9]~1); -> y", "+bias", "Add" },
    { MATMUL "b = Add(c, f32[9]~1); y = Relu(b); -> y", "+bias +relu",
      "Add Relu" },
    /* Before opset 7 a vector may stand for the rows. */
    { "opset 6; x f32[4,6]; c = MatMul(x, f32[6,4]~0.3); "
      "y = Add(c, f32[4]~1) broadcast=1; -> y",
      "+bias", "Add" },
    { "opset 6; x f32[4,6]; c = MatMul(x, f32[6,4]~0.3); "
      "y = Add(c, f32[4]~1) broadcast=1 axis=0; -> y",
      "MatMul Add", "+bias" },
    /* A vector as left side: one row without a row dimension. */
    { "x f32[6]; c = MatMul(x, f32[6,9]~0.3); y = Add(c, f32[9]~1); -> y",
      "+bias", "Add" },
    /* One number for all, one per row, more dimensions than the product, of
     * another value, per channel of a convolution. */
    { MATMUL "y = Add(c, f32[]{0.5}); -> y", "Add", "+bias" },
    { MATMUL "y = Add(c, f32[1]{0.5}); -> y", "Add", "+bias" },
    { MATMUL "y = Add(c, f32[3,1]~1); -> y", "Add", "+bias" },
    { MATMUL "y = Add(c, f32[3,9]~1); -> y", "Add", "+bias" },
    { MATMUL "y = Add(c, f32[1,1,1,9]~1); -> y", "Add", "+bias" },
    { MATMUL "y = Sub(c, f32[9]~1); -> y", "Sub", "+bias" },
    { CONV "y = Add(c, f32[8,1,1]~1); -> y", "Conv Add", "+bias" },
    { CONV "y = Add(c, f32[3]~1); -> y", "Conv Add", "+bias" },
    /* Two: the second stays. */
    { MATMUL "a = Add(c, f32[9]~1); y = Add(a, f32[9]~1); -> y", "+bias Add",
      "" },
    /* One column, where a bias per column is one number. */
    { "x f32[N,6]; c = MatMul(x, f32[6,1]~1); y = Add(c, f32[1]{2}); -> y",
      "+bias", "Add" },
    /* A product of one column that a bias makes wider. */
    { "x f32[N,6]; c = MatMul(x, f32[6,1]~1); y = Add(c, f32[4]~1); -> y",
      "Add", "+bias" },
};

static const net_row residuals[] = {
    { "r f32[N,3,9]; " MATMUL "y = Add(c, r); -> y", "+add", "Add" },
    { "r f32[N,3,9]; " MATMUL "y = Add(r, c); -> y", "+add", "Add" },
    { "r f32[N,9]; " GEMM "a = Add(c, r); y = Relu(a); -> y", "+add +relu",
      "Add Relu" },
    { "r f32[N,9]; x f32[N,6]; c = Gemm(x, f32[6,9]~1); y = Add(c, r); -> y",
      "+add", "Add" },
    { "r f32[N,8,4,3]; " CONV "a = Add(c, r); y = Relu(a); -> y", "+add +relu",
      "Add Relu" },
    { "r f32[N,3,9]; " MATMUL "b = Add(c, f32[9]~1); y = Add(b, r); -> y",
      "+bias +add", "Add" },
    { "x f32[N,8,5,5]; c = Conv(x, f32[8,1,3,3]~0.2) group=8 pads=[1,1,1,1]; "
      "y = Add(x, c); -> y",
      "+add", "Add" },
    /* The residual is computed behind the product: it would come too late. */
    { GEMM "r = Neg(x); s = MatMul(r, f32[6,9]~1); y = Add(c, s); -> y", "+add",
      "Add" },
    /* Broadcast, in either direction. */
    { "r f32[1,9]; " GEMM "y = Add(c, r); -> y", "Add", "+add" },
    { "r f32[N,1]; " GEMM "y = Add(c, r); -> y", "Add", "+add" },
    { "r f32[2,N,9]; " GEMM "y = Add(c, r); -> y", "Add", "+add" },
    { "r f32[M,9]; " GEMM "y = Add(c, r); -> y", "Add", "+add" },
    /* Constants are no residuals; the sum with itself is none. */
    { "x f32[2,6]; c = MatMul(x, f32[6,9]~1); y = Add(c, f32[2,9]~1); -> y",
      "Add", "+add" },
    { GEMM "y = Add(c, c); -> y", "Add", "+add" },
    /* Two: the second stays; an activation between ends it. */
    { "r f32[N,9]; s f32[N,9]; " GEMM "a = Add(c, r); y = Add(a, s); -> y",
      "+add Add", "" },
    { "r f32[N,9]; " GEMM "a = Relu(c); y = Add(a, r); -> y", "+relu Add",
      "+add" },
    /* What is added is an output as well. */
    { "r f32[N,9]; " GEMM "y = Add(c, r); z = Relu(y); -> z, y", "+add Relu",
      "+relu" },
    /* The same residual twice, and of two products. */
    { "x f32[N,9]; c = MatMul(x, f32[9,9]~0.3); y = Add(c, x); "
      "d = MatMul(y, f32[9,9]~0.3); z = Add(d, y); w = Add(z, x); -> w",
      "+add Add", "" },
};

static void test_pass_epilogue__activations(void **state)
{
    (void)state;
    net_check_rows(activations, MD_COUNT(activations), 0);
}

static void test_pass_epilogue__biases(void **state)
{
    (void)state;
    net_check_rows(biases, MD_COUNT(biases), 0);
}

static void test_pass_epilogue__residuals(void **state)
{
    (void)state;
    net_check_rows(residuals, MD_COUNT(residuals), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pass_epilogue__activations),
        cmocka_unit_test(test_pass_epilogue__biases),
        cmocka_unit_test(test_pass_epilogue__residuals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
