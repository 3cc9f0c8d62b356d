/*
 * Values without elements through every kind of kernel: batch, channels,
 * pixels, columns of 0.  Requests may have them wherever a model has symbols.
 */
#include "support/test.h"

#include "base/cpu.h"
#include "support/net.h"

#define X8(dims)                                                               \
    "x f32[" dims "]; q = QuantizeLinear(x, f32[]{0.02}, u8[]{121}); "         \
    "d = DequantizeLinear(q, f32[]{0.02}, u8[]{121}); "
#define Q(of) "y = QuantizeLinear(" of ", f32[]{0.05}, u8[]{100}); -> y"
#define CW(oc, ic, k)                                                          \
    "w = DequantizeLinear(i8[" #oc "," #ic "," #k "," #k "]~127, "             \
    "f32[]{0.002}); "

/* N is 0 in all of them. */
static const char *const nets[] = {
    /* no image, no rows of pixels, no columns of pixels */
    "x f32[N,3,5,5]; y = Conv(x, f32[20,3,3,3]~1); z = Relu(y); -> z",
    "x f32[2,3,N,5]; y = Conv(x, f32[20,3,3,3]~1) pads=[1,1,1,1]; -> y",
    "x f32[2,3,5,N]; y = Conv(x, f32[20,3,3,3]~1) pads=[1,1,1,1]; -> y",
    "x f32[N,32,5,5]; y = Conv(x, f32[20,32,1,1]~1); -> y",
    "x f32[2,32,N,5]; y = Conv(x, f32[20,32,1,1]~1); -> y",
    "x f32[2,32,5,N]; y = Conv(x, f32[20,32,3,3]~1) pads=[1,1,1,1]; -> y",
    "x f32[2,32,N,5]; y = Conv(x, f32[32,1,3,3]~1) pads=[1,1,1,1] group=32; "
    "-> y",
    "x f32[2,32,5,N]; y = Conv(x, f32[32,1,3,3]~1) pads=[1,1,1,1] group=32; "
    "-> y",
    "x f32[N,8]; y = Gemm(x, f32[8,20]~1, f32[20]~1); -> y",
    "x f32[N,4,8]; y = MatMul(x, f32[8,20]~1); -> y",
    "x f32[3,N,8]; z f32[3,8,N]; y = MatMul(x, z); -> y",
    "x f32[3,4,N]; z f32[3,N,5]; y = MatMul(x, z); -> y",
    "x f32[2,4,N]; y = Softmax(x); -> y",
    "x f32[N,4,7]; y = Softmax(x); z = LogSoftmax(y); -> z",
    "x f32[N,4,7]; y = LayerNormalization(x, f32[7]~1); -> y",
    "x f32[N,7]; y = ReduceSum(x, i64[1]{0}); -> y",
    "x f32[4,N]; y = ReduceSum(x, i64[1]{1}) keepdims=0; -> y",
    "x f32[N,16,6,6]; y = MaxPool(x) kernel_shape=[2,2]; "
    "z = AveragePool(y) kernel_shape=[2,2]; -> z",
    "x f32[N,16,6,6]; y = GlobalAveragePool(x); -> y",
    "x f32[2,16,N,6]; y = GlobalAveragePool(x); -> y",
    "x f32[2,16,N,6]; y = GlobalMaxPool(x); -> y",
    "x f32[2,16,N,6]; c = Conv(x, f32[16,16,1,1]~1); "
    "y = GlobalAveragePool(c); -> y",
    "x f32[2,16,N,6]; c = Conv(x, f32[16,16,1,1]~1); "
    "y = MaxPool(c) kernel_shape=[3,3] pads=[1,1,1,1]; -> y",
    "x f32[2,16,6,N]; y = AveragePool(x) kernel_shape=[3,3] pads=[1,1,1,1]; "
    "-> y",
    "x f32[N,5]; a = Exp(x); b = Mul(a, x); c = Clip(b, f32[]{0}); -> c",
    "x f32[N,5]; y = Concat(x, f32[0,5]{}) axis=0; z = Transpose(y); -> z",
    "x f32[N,3,4]; a, b = Split(x, i64[2]{1 2}) axis=1; -> b, a",
    "x f32[N,5]; y = Reshape(x, i64[2]{0 5}); z = Neg(y); -> z",
    "x f32[2,16,N,4]; y = Resize(x, _, f32[4]{1 1 2 2}) "
    "nearest_mode=\"floor\" coordinate_transformation_mode=\"asymmetric\"; "
    "-> y",
    /* what packs or arranges its weights in every run, before anything else */
    "x f32[N,3,5]; w f32[1,12,5]; r f32[1,12,3]; y, h, c = LSTM(x, w, r) "
    "layout=1; -> y, h, c",
    "x f32[N,3,5]; w f32[2,9,5]; r f32[2,9,3]; y, h = GRU(x, w, r) layout=1 "
    "direction=\"bidirectional\" linear_before_reset=1; -> y, h",
    "x f32[3,N,5]; w f32[1,4,5]; r f32[1,4,4]; y, h = RNN(x, w, r); -> y, h",
    "x f32[N,3,5]; y, h, c = LSTM(x, f32[1,12,5]~1, f32[1,12,3]~1) layout=1; "
    "-> y, h, c",
    "x f32[N,3,5]; y, h = com.microsoft.DynamicQuantizeLSTM(x, "
    "i8[1,5,12]~127, i8[1,3,12]~127, _, _, _, _, _, f32[1]{0.01}, i8[1]{0}, "
    "f32[1]{0.01}, i8[1]{0}) hidden_size=3; -> y",
    "x f32[N,3,5,5]; w f32[4,3,3,3]; b f32[4]; y = Conv(x, w, b); -> y",
    "x f32[N,3,5,5]; w f32[3,4,3,3]; b f32[4]; y = ConvTranspose(x, w, b) "
    "strides=[2,2]; -> y",
    "x f32[N,3,5,5]; y = ConvTranspose(x, f32[3,4,3,3]~1); -> y",
    "x f32[2,3,N,5]; y = ConvTranspose(x, f32[3,4,3,3]~1) pads=[1,1,1,1]; "
    "-> y",
    "x f32[N,4,3]; w f32[3,5]; y = MatMul(x, w); -> y",
    "x f32[N,3]; w f32[3,4]; c f32[4]; y = Gemm(x, w, c); -> y",
    "x f32[N,4,5]; z f32[N,5,6]; y = Einsum(x, z) "
    "equation=\"bij,bjk->bki\"; -> y",
    "opset 23; x f32[N,2,4,8]; k f32[N,2,6,8]; v f32[N,2,6,8]; y = Attention(x, k, v); "
    "-> y",
    "opset 23; x f32[2,2,N,8]; k f32[2,2,6,8]; v f32[2,2,6,8]; y = Attention(x, k, v); "
    "-> y",
    /* codes */
    X8("N,4,6,5") CW(6, 4, 3) "c = Conv(d, w); " Q("c"),
    X8("2,4,N,5") CW(6, 4, 3) "c = Conv(d, w) pads=[1,1,1,1]; " Q("c"),
    X8("2,4,5,N") CW(6, 4, 3) "c = Conv(d, w) pads=[1,1,1,1]; " Q("c"),
    X8("2,24,N,5") CW(6, 24, 1) "c = Conv(d, w); " Q("c"),
    X8("2,24,5,N") CW(6, 24, 3) "c = Conv(d, w) pads=[1,1,1,1]; " Q("c"),
    X8("2,24,N,5")
        CW(24, 1, 3) "c = Conv(d, w) pads=[1,1,1,1] group=24; " Q("c"),
    X8("2,24,5,N")
        CW(24, 1, 3) "c = Conv(d, w) pads=[1,1,1,1] group=24; " Q("c"),
    X8("N,9") "w = DequantizeLinear(i8[9,5]~127, f32[]{0.003}); "
              "c = Gemm(d, w); " Q("c"),
    X8("N,3,9") "w = DequantizeLinear(i8[9,5]~127, f32[]{0.003}); "
                "c = MatMul(d, w); " Q("c"),
    X8("N,5,4") "c = Add(d, d); " Q("c"),
    X8("N,16,3,3") "c = GlobalAveragePool(d); " Q("c"),
    X8("2,16,N,3") "c = MaxPool(d) kernel_shape=[3,3] pads=[1,1,1,1]; "
                   "y = QuantizeLinear(c, f32[]{0.02}, u8[]{121}); -> y",
};

static void test_zero__nothing_to_compute(void **state)
{
    static const uint32_t masks[] = { MD_CPU_NONE, MD_CPU_AVX2, MD_CPU_ALL };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(nets) * MD_COUNT(masks); i++) {
        md_cpu_set_mask(masks[i % MD_COUNT(masks)]);
        net_check(nets[i / MD_COUNT(masks)], NULL, 0, 0, 0);
    }
    md_cpu_set_mask(MD_CPU_ALL);
}

/* Sums of no products: what is left is the bias. */
static const char *const sums[] = {
    "x f32[N,0,5,5]; y = Conv(x, f32[20,0,3,3]{}, f32[20]~1); -> y",
    "x f32[N,0,5,5]; y = Conv(x, f32[20,0,1,1]{}, f32[20]~1); z = Relu(y); "
    "-> z",
    "x f32[N,0]; y = Gemm(x, f32[0,20]{}, f32[20]~1); z = Tanh(y); -> z",
    "x f32[N,3,0]; z f32[N,0,5]; y = MatMul(x, z); -> y",
    "x f32[N,3,0]; y = ReduceSum(x, i64[1]{2}) keepdims=0; -> y",
    "x f32[N,0,4]; y = ReduceL1(x, i64[1]{1}); -> y",
    X8("N,0,6,5") "w = DequantizeLinear(i8[6,0,3,3]{}, f32[]{0.002}); "
                  "c = Conv(d, w, f32[6]{=0.0004}); " Q("c"),
    X8("N,0") "w = DequantizeLinear(i8[0,5]{}, f32[]{0.003}); "
              "c = Gemm(d, w); " Q("c"),
    "x f32[N,0]; y = Concat(x, f32[2,3]~1) axis=1; -> y",
    /* windows that see nothing but padding */
    "x f32[N,16,1,1]; y = Conv(x, f32[16,16,1,1]~1, f32[16]~1) "
    "pads=[2,2,2,2]; z = Relu(y); -> z",
    "x f32[N,3,1,1]; y = Conv(x, f32[16,3,1,1]~1, f32[16]~1) pads=[2,2,2,2]; "
    "-> y",
    "x f32[N,16,1,1]; y = Conv(x, f32[16,1,1,1]~1, f32[16]~1) pads=[2,2,2,2] "
    "group=16; -> y",
};

static void test_zero__sums_of_nothing(void **state)
{
    static const uint32_t masks[] = { MD_CPU_NONE, MD_CPU_AVX2, MD_CPU_ALL };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(sums) * MD_COUNT(masks); i++) {
        md_cpu_set_mask(masks[i % MD_COUNT(masks)]);
        net_check(sums[i / MD_COUNT(masks)], NULL, 2, 1e-6, 0);
    }
    md_cpu_set_mask(MD_CPU_ALL);
}

/* A session that has run nothing runs something, and nothing again. */
static void test_zero__and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(nets); i++) {
        md_session *s = net_open(nets[i], NULL);
        md_error err = MD_ERROR_INIT;

        for (int64_t round = 0; round < 4; round++) {
            const int64_t n = round % 2 * 3;
            md_tensor in[NET_IO_MAX], out[NET_IO_MAX];

            net_inputs(in, md_session_model(s)->graph, n, 3);
            assert_md_ok(md_session_run(s, in, out, md_alloc_default(), &err),
                         &err);
            net_release(in, md_session_n_inputs(s));
            net_release(out, md_session_n_outputs(s));
        }
        md_session_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zero__nothing_to_compute),
        cmocka_unit_test(test_zero__sums_of_nothing),
        cmocka_unit_test(test_zero__and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
