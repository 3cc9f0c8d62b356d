/*
 * Operators that multiply, each form of each lowering: results as by the
 * definition on every CPU level, the same bits with and without threads, and
 * in precision strict those of a request that runs alone.  Then lookups that
 * are normalized.
 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "base/pool.h"
#include "support/net.h"
#include "tensor/compare.h"

/* Not one falls back to the definition. */
static const char *const nets[] = {
    /* Conv along one, two and three axes, in rows */
    "x f32[N,4,9]; y = Conv(x, f32[6,4,3]~1); -> y",
    "x f32[N,4,60]; y = Conv(x, f32[7,4,3]~1, f32[7]~1) pads=[1,2]; -> y",
    "x f32[N,4,61]; y = Conv(x, f32[7,4,5]~1) strides=[3] dilations=[2] "
    "auto_pad=\"SAME_LOWER\"; -> y",
    /* a channel to a group: several outputs of it, far taps, pads that reach
     * beyond the input, an activation; a residual */
    "x f32[N,6,61]; y = Conv(x, f32[18,1,7]~1, f32[18]~1) group=6 "
    "dilations=[9] pads=[70,3]; -> y",
    "x f32[N,3,1700]; y = Conv(x, f32[3,1,31]~1) group=3 pads=[30,0]; -> y",
    "x f32[N,6,61]; w f32[6,1,4]; b f32[6]; a = Conv(x, w, b) group=6; "
    "y = Sigmoid(a); -> y",
    "x f32[N,6,61]; a = Conv(x, f32[6,1,5]~1, f32[6]~1) group=6 pads=[2,2]; "
    "b = Add(a, x); y = Relu(b); -> y",
    "x f32[N,64,200]; y = Conv(x, f32[64,64,3]~0.1) pads=[1,1]; -> y",
    "x f32[N,3,4,5,6]; y = Conv(x, f32[5,3,3,2,3]~1, f32[5]~1) "
    "pads=[1,0,1,0,1,2]; -> y",
    "x f32[N,4,5,6,7]; y = Conv(x, f32[6,2,2,2,3]~1) group=2 "
    "strides=[1,2,2] dilations=[2,1,3]; -> y",
    "x f32[N,4,5,5]; w f32[6,4,3,3]; y = Conv(x, w); -> y",
    "x f32[N,4,5,5]; w f32[6,4,3,3]; b f32[6]; y = Conv(x, w, b) "
    "pads=[1,1,1,1]; -> y",
    "x f32[N,4,5,5]; b f32[6]; y = Conv(x, f32[6,4,3,3]~1, b); -> y",
    "x f32[N,4,5,5]; y = Conv(x, f32[6,2,3,3]~1) group=2; -> y",
    "x f32[N,24,20,20]; y = Conv(x, f32[24,8,3,3]~0.2) group=3 "
    "pads=[1,1,1,1]; -> y",
    /* a past with room: only the keys that count are packed */
    "q f32[2,1,48]; k f32[2,1,48]; v f32[2,1,48]; a f32[2,1,70,48]; "
    "b f32[2,1,70,48]; y, pk, pv = com.microsoft.GroupQueryAttention(q, k, v, "
    "a, b, i32[2]{9 20}, i32[1]{21}) num_heads=1 kv_num_heads=1; -> y, pk, pv",
    "q f32[2,3,64]; k f32[2,3,32]; v f32[2,3,32]; a f32[2,2,40,16]; "
    "b f32[2,2,40,16]; y, pk, pv = com.microsoft.GroupQueryAttention(q, k, v, "
    "a, b, i32[2]{-1 2}, i32[1]{3}, _, _, _, f32[1,1,3,3]~1) num_heads=4 "
    "kv_num_heads=2; -> y, pk, pv",
    "x f32[N,3,0]; y = Conv(x, f32[5,3,1]~1); -> y",
    "x f32[N,0,9]; y = Conv(x, f32[5,0,3]~1, f32[5]~1); -> y",
    /* a scale without a zero point leaves the result float32 */
    "x u8[N,3]; y = com.microsoft.QGemm(x, f32[]{0.02}, u8[]{3}, i8[3,4]~100, "
    "f32[]{0.01}, i8[]{0}, _, f32[]{0.05}); -> y",
    /* ConvTranspose */
    "x f32[N,4,9]; y = ConvTranspose(x, f32[4,3,3]~1); -> y",
    "x f32[N,4,30]; y = ConvTranspose(x, f32[4,3,4]~1, f32[3]~1) "
    "strides=[2]; -> y",
    "x f32[N,4,30]; y = ConvTranspose(x, f32[4,3,2]~1, f32[3]~1) "
    "strides=[3] output_padding=[2]; -> y",
    "x f32[N,4,5,6]; y = ConvTranspose(x, f32[4,3,2,2]~1) strides=[2,2]; -> y",
    "x f32[N,4,5,6]; y = ConvTranspose(x, f32[4,3,4,4]~1, f32[3]~1) "
    "strides=[2,2] pads=[1,1,1,1]; -> y",
    "x f32[N,4,5,6]; y = ConvTranspose(x, f32[4,3,3,2]~1, f32[6]~1) group=2 "
    "strides=[1,3] dilations=[2,2] pads=[0,1,1,0]; -> y",
    "x f32[N,4,5,6]; y = ConvTranspose(x, f32[4,3,3,3]~1) strides=[2,2] "
    "output_shape=[10,12]; -> y",
    "x f32[N,4,5,6]; y = ConvTranspose(x, f32[4,3,3,3]~1) strides=[2,3] "
    "auto_pad=\"SAME_UPPER\"; -> y",
    "x f32[N,4,3,4,5]; y = ConvTranspose(x, f32[4,2,2,3,2]~1, f32[2]~1) "
    "strides=[2,1,2]; -> y",
    "x f32[N,4,7]; w f32[4,3,3]; y = ConvTranspose(x, w) strides=[2]; -> y",
    "x f32[N,4,7]; w f32[4,3,3]; b f32[3]; y = ConvTranspose(x, w, b) "
    "strides=[2] pads=[1,1]; -> y",
    "x f32[N,64,28,28]; y = ConvTranspose(x, f32[64,32,2,2]~0.1) "
    "strides=[2,2]; -> y",
    /* recurrent nets: the batch first, so that N is the first dimension */
    "x f32[N,7,5]; y, h, c = LSTM(x, f32[1,12,5]~0.4, f32[1,12,3]~0.4, "
    "f32[1,24]~0.3) layout=1 hidden_size=3; -> y, h, c",
    "x f32[N,70,20]; y, h, c = LSTM(x, f32[2,256,20]~0.1, f32[2,256,64]~0.1, "
    "f32[2,512]~0.3) layout=1 direction=\"bidirectional\"; -> y, h, c",
    "x f32[N,6,5]; h0 f32[N,1,3]; c0 f32[N,1,3]; _, h, c = LSTM(x, "
    "f32[1,12,5]~0.4, f32[1,12,3]~0.4, _, _, h0, c0, f32[1,9]~0.5) layout=1 "
    "input_forget=1 clip=0.5 direction=\"reverse\"; -> h, c",
    "x f32[N,7,5]; y, h = GRU(x, f32[1,9,5]~0.4, f32[1,9,3]~0.4, "
    "f32[1,18]~0.3) layout=1; -> y, h",
    "x f32[N,7,5]; y, h = GRU(x, f32[2,57,5]~0.4, f32[2,57,19]~0.4, "
    "f32[2,114]~0.3) layout=1 linear_before_reset=1 "
    "direction=\"bidirectional\" activations=[\"Sigmoid\",\"Softsign\","
    "\"HardSigmoid\",\"ScaledTanh\"] activation_alpha=[0.3,1.5] "
    "activation_beta=[0.4,0.7]; -> y, h",
    "x f32[N,7,5]; y, h = RNN(x, f32[1,9,5]~0.4, f32[1,9,9]~0.4) layout=1 "
    "activations=[\"Elu\"]; -> y, h",
    "x f32[N,9,5]; y = RNN(x, f32[2,9,5]~0.4, f32[2,9,9]~0.4, f32[2,18]~0.2) "
    "layout=1 direction=\"bidirectional\" activations=[\"Affine\","
    "\"ThresholdedRelu\"] activation_alpha=[0.5,0.1]; -> y",
    "x f32[N,4,5]; w f32[1,12,5]; r f32[1,12,3]; b f32[1,24]; "
    "y = LSTM(x, w, r, b) layout=1; -> y",
    "x f32[N,4,0]; y = GRU(x, f32[1,9,0]~1, f32[1,9,3]~0.4) layout=1; -> y",
    /* Gemm, MatMul and Einsum of what is no constant */
    "x f32[N,3]; w f32[3,4]; y = Gemm(x, w); -> y",
    "x f32[3,N]; y = Gemm(x, f32[3,4]~1) transA=1; -> y",
    "x f32[70,N]; w f32[50,70]; y = Gemm(x, w) transA=1 transB=1 alpha=0.5; "
    "-> y",
    "x f32[N,3]; c f32[4]; y = Gemm(x, f32[3,4]~1, c) beta=0.25; -> y",
    "x f32[N,3]; c f32[N,1]; y = Gemm(x, f32[3,4]~1, c) alpha=2.0; -> y",
    "x f32[N,4]; c f32[N,4]; a = Gemm(x, f32[4,4]~1, c); b = Add(a, x); "
    "y = Gelu(b); -> y",
    "x f32[N,3]; c f32[]; y = Gemm(x, f32[3,4]~1, c); -> y",
    "x f32[N,1,3,5]; y f32[4,5,7]; z = MatMul(x, y); -> z",
    "x f32[N,300,200]; y f32[N,200,70]; z = MatMul(x, y); -> z",
    "x f32[N,70]; y f32[70,130]; z = MatMul(x, y); -> z",
    "x f32[N,30,6,6]; y f32[N,30,6,6]; z = MatMul(x, y); -> z",
    "x f32[N,0]; y f32[0,7]; z = MatMul(x, y); -> z",
    "x f32[N,300]; z = MatMul(x, f32[300,170]~0.1); -> z",
    "x f32[N,3,30]; z = MatMul(x, f32[30,17]~0.1); -> z",
    "x f32[N,30]; z = Gemm(x, f32[17,30]~0.1, f32[17]~1) transB=1; -> z",
    "x f32[2,N,3,30]; z = MatMul(x, f32[1,1,30,17]~0.1); -> z",
    "x f32[N,4,5]; y f32[N,5,6]; z = Einsum(x, y) equation=\"bij,bjk->bik\"; "
    "-> z",
    "x f32[N,4,3,5]; y f32[N,6,3,5]; z = Einsum(x, y) "
    "equation=\"bqhd,bkhd->bhqk\"; -> z",
    "x f32[N,4,5]; y f32[N,5,6]; z = Einsum(x, y) equation=\"bij,bjk->kbi\"; "
    "-> z",
    "x f32[N,4,5,2]; y f32[5,3,4]; z = Einsum(x, y) "
    "equation=\"n i j a, j b i -> n b a\"; -> z",
    "x f32[N,4]; y f32[5]; z = Einsum(x, y) equation=\"ni,j\"; -> z",
    "x f32[N,4]; y f32[4]; z = Einsum(x, y) equation=\"ni,i\"; -> z",
    "x f32[N,4,3]; y f32[N,3]; z = Einsum(x, y) equation=\"nij,nk->n\"; -> z",
    "x f32[N,1,4,3]; y f32[2,3,7]; z = Einsum(x, y) "
    "equation=\"...ij,...jk->...ki\"; -> z",
    "x f32[3,N,3]; y f32[3]; z = Einsum(x, y) equation=\"ini,i->n\"; -> z",
    "x f32[N,0]; y f32[0,3]; z = Einsum(x, y) equation=\"ij,jk\"; -> z",
    "x f32[N,70,3]; z = Einsum(x) equation=\"nij->jni\"; -> z",
    "x f32[N,4,4]; z = Einsum(x) equation=\"nii->ni\"; -> z",
    "x f32[N,4,4]; z = Einsum(x) equation=\"nii->n\"; -> z",
    "x f32[N,4,5]; z = Einsum(x) equation=\"nij->\"; -> z",
    "x f32[N,4,5]; z = Einsum(x) equation=\"nij->jn\"; -> z",
    /* products of 8-bit matrices */
    "x u8[N,70]; y = MatMulInteger(x, i8[70,50]~100); -> y",
    "x i8[N,3,70]; z i8[]; y = MatMulInteger(x, i8[70,50]~100, z); -> y",
    "x u8[N,9]; z u8[N]; w u8[]; y = MatMulInteger(x, u8[9,17]~200, z, w); "
    "-> y",
    "x u8[N,9]; y = MatMulInteger(x, u8[9,17]~200, u8[]{7}, u8[17]~90); -> y",
    "x i8[N,9]; y = MatMulInteger(x, u8[9,17]~200, i8[1]{7}, u8[]{128}); -> y",
    "x u8[N,3,9]; b i8[N,9,20]; y = MatMulInteger(x, b, u8[]{7}); -> y",
    "x u8[N,1,3,9]; b u8[4,9,20]; z u8[20]; "
    "y = MatMulInteger(x, b, u8[]{7}, z); -> y",
    "x u8[N,0]; y = MatMulInteger(x, i8[0,17]~100); -> y",
    "x u8[N,40]; s f32[]; a = Abs(s); y = com.microsoft.MatMulIntegerToFloat("
    "x, i8[40,19]~100, a, f32[19]{=0.01}, u8[]{9}, i8[]{0}, f32[19]~1); -> y",
    "x i8[N,40]; y = com.microsoft.MatMulIntegerToFloat(x, u8[40,19]~200, "
    "f32[]{0.02}, f32[]{0.03}, i8[]{9}, u8[19]~200); -> y",
    "x f32[N,64]; y = com.microsoft.DynamicQuantizeMatMul(x, i8[64,33]~100, "
    "f32[33]{=0.01}); -> y",
    "x f32[N,64]; y = com.microsoft.DynamicQuantizeMatMul(x, u8[64,33]~200, "
    "f32[]{0.01}, u8[33]~200, f32[33]~1); -> y",
    "x f32[N,3,8]; b u8[N,8,7]; y = com.microsoft.DynamicQuantizeMatMul(x, b, "
    "f32[7]{=0.01}); -> y",
    "x f32[N,999]; q, s, z = DynamicQuantizeLinear(x); -> q, s, z",
    "x f32[N,0]; q, s, z = DynamicQuantizeLinear(x); -> q, s, z",
    /* ConvInteger */
    "x u8[N,3,9]; y = ConvInteger(x, i8[5,3,3]~100); -> y",
    "x u8[N,4,6,7]; z u8[]; y = ConvInteger(x, i8[20,4,3,3]~100, z) "
    "pads=[1,1,1,1]; -> y",
    "x i8[N,4,6,7]; y = ConvInteger(x, u8[6,2,3,2]~200, i8[]{5}, u8[6]~200) "
    "group=2 strides=[2,1] dilations=[1,2] pads=[0,1,2,1]; -> y",
    "x u8[N,24,20,20]; z u8[]; w u8[]; "
    "y = ConvInteger(x, u8[33,24,3,3]~200, z, w) auto_pad=\"SAME_UPPER\"; -> y",
    "x u8[N,3,4,5,6]; y = ConvInteger(x, i8[2,3,2,2,2]~100, u8[]{9}) "
    "pads=[1,1,1,0,0,0]; -> y",
    /* a filter for each channel */
    "x u8[N,19,9]; y = ConvInteger(x, i8[19,1,3]~100) group=19; -> y",
    "x u8[N,20,8,9]; z u8[]; y = ConvInteger(x, u8[20,1,3,3]~200, z, "
    "u8[20]~200) group=20 pads=[1,1,1,1]; -> y",
    "x i8[N,6,11,13]; y = ConvInteger(x, i8[6,1,3,5]~100, i8[]{-5}, i8[]{9}) "
    "group=6 strides=[2,3] dilations=[2,1] pads=[1,0,2,4]; -> y",
    "x u8[N,3,5,6,7]; y = ConvInteger(x, i8[3,1,2,3,2]~100, u8[]{9}) group=3 "
    "strides=[1,2,2] auto_pad=\"SAME_LOWER\"; -> y",
    /* pools in rows */
    "x f32[N,4,90]; y = MaxPool(x) kernel_shape=[4] strides=[4]; -> y",
    "x f32[N,4,91]; y = MaxPool(x) kernel_shape=[5] strides=[3] pads=[2,1] "
    "dilations=[2] ceil_mode=1; -> y",
    "x f32[N,4,7]; y = MaxPool(x) kernel_shape=[2] strides=[9]; -> y",
    "x f32[N,4,7]; y = AveragePool(x) kernel_shape=[3] strides=[2] pads=[1,1] "
    "count_include_pad=1 ceil_mode=1; -> y",
    "x f32[N,3,8,9,10]; y = AveragePool(x) kernel_shape=[2,3,2] "
    "strides=[2,1,2] pads=[1,1,0,0,1,1]; -> y",
    "x f32[N,3,8,9,10]; y = MaxPool(x) kernel_shape=[3,2,3] strides=[1,2,2] "
    "auto_pad=\"SAME_LOWER\"; -> y",
    "x f32[N,3,37,41]; y = MaxPool(x) kernel_shape=[3,3] strides=[2,2] "
    "pads=[1,1,1,1]; -> y",
    "x f32[N,3,38,40]; y = AveragePool(x) kernel_shape=[2,2] strides=[2,2]; "
    "-> y",
    "x f32[N,3,9,50]; y = AveragePool(x) kernel_shape=[3,3] strides=[1,3] "
    "pads=[1,1,1,1] count_include_pad=1 ceil_mode=1; -> y",
    "x f32[N,3,6,7]; y = MaxPool(x) kernel_shape=[1,2] dilations=[50,4] "
    "strides=[60,70]; -> y",
    "x f32[N,4,5]; y = GlobalMaxPool(x); -> y",
    "x f32[N,4,5,6,7]; y = GlobalAveragePool(x); -> y",
    "x f32[N,4,0]; y = GlobalAveragePool(x); -> y",
    /* time first */
    "x f32[3,N,4]; y, h = RNN(x, f32[1,6,4]~0.4, f32[1,6,6]~0.4); -> y, h",
    "x f32[3,N,4]; y, h, c = LSTM(x, f32[1,24,4]~0.4, f32[1,24,6]~0.4, _, "
    "i32[9]{1 0 3 2 1 3 0 2 3}) direction=\"reverse\"; -> y, h, c",
    /* so many hidden units that threads share them */
    "x f32[N,2,20]; h0 f32[1,2,100]; c0 f32[1,2,100]; y, h, c = LSTM(x, "
    "f32[1,400,20]~0.1, f32[1,400,100]~0.1, f32[1,800]~0.3, i32[2]{9 4}, h0, "
    "c0, f32[1,300]~0.5) direction=\"reverse\"; -> y, h, c",
    "x f32[30,3,20]; y, h, c = LSTM(x, f32[2,400,20]~0.1, f32[2,400,100]~0.1) "
    "direction=\"bidirectional\"; -> y, h, c",
    "x f32[2,40,9]; h0 f32[2,1,130]; y, h = GRU(x, f32[1,390,9]~0.1, "
    "f32[1,390,130]~0.1, f32[1,780]~0.3, i32[2]{17 40}, h0) layout=1; -> y, h",
    "x f32[40,2,9]; y, h = GRU(x, f32[1,390,9]~0.1, f32[1,390,130]~0.1, "
    "f32[1,780]~0.3) linear_before_reset=1 direction=\"reverse\"; -> y, h",
    "x f32[N,5,9]; y, h = RNN(x, f32[1,130,9]~0.1, f32[1,130,130]~0.1, "
    "f32[1,260]~0.3); -> y, h",
    "x f32[40,2,20]; y, h, c = com.microsoft.DynamicQuantizeLSTM(x, "
    "i8[1,20,400]~100, i8[1,100,400]~100, f32[1,800]~0.3, _, _, _, _, "
    "f32[1]{0.003}, i8[1]{0}, f32[1]{0.002}, i8[1]{3}) hidden_size=100; "
    "-> y, h, c",
    "x f32[40,3,20]; y, h, c = com.microsoft.DynamicQuantizeLSTM(x, "
    "u8[1,20,400]~200, u8[1,100,400]~200, _, _, _, _, f32[1,300]~0.5, "
    "f32[1,400]~0.003, u8[1,400]~200, f32[1,400]~0.002, u8[1,400]~200) "
    "hidden_size=100; -> y, h, c",
};

enum {
    BATCH = 9 /* one more than the rows of a tile */
};

static void run(md_session *s, const md_tensor *in, md_tensor *out)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_session_run(s, in, out, md_alloc_default(), &err), &err);
}

/* As by the definition, and no node by it. */
static void check_results(const char *text, double tolerance)
{
    md_session *s = net_open(text, NULL);
    char *explained = net_explain(s);

    if (strstr(explained, " reference "))
        fail_msg("a reference in\n%s\nof\n%s", explained, text);
    md_free(md_alloc_default(), explained);
    md_session_free(s);
    net_check(text, NULL, BATCH, tolerance, 0);
}

/* The net in float64, when it has kernels for that. */
static bool in_f64(char *out, size_t size, const char *text)
{
    bool product = strstr(text, " Gemm(") || strstr(text, " MatMul(") ||
                   strstr(text, " Einsum(");

    if (!product || strstr(text, "Add("))
        return false;
    snprintf(out, size, "%s", text);
    for (char *at = strstr(out, "f32"); at; at = strstr(at, "f32"))
        memcpy(at, "f64", 3);
    return true;
}

static void test_products__as_defined(void **state)
{
    static const uint32_t masks[] = { MD_CPU_NONE, MD_CPU_AVX2, MD_CPU_ALL };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(masks) * MD_COUNT(nets); i++) {
        const char *text = nets[i / MD_COUNT(masks)];
        char f64[400];

        md_cpu_set_mask(masks[i % MD_COUNT(masks)]);
        /* sums of up to some hundred products of about normal numbers */
        check_results(text, 2e-5);
        if (in_f64(f64, sizeof(f64), text))
            check_results(f64, 1e-13);
    }
    md_cpu_set_mask(MD_CPU_ALL);
}

static void check_threads(const char *text, md_pool *pool)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_tensor in[NET_IO_MAX], alone[NET_IO_MAX] = { 0 };
    md_tensor shared[NET_IO_MAX] = { 0 };
    md_session *s = net_open(text, NULL), *p;
    uint32_t n_in = md_session_n_inputs(s), n_out = md_session_n_outputs(s);

    opts.pool = pool;
    p = net_open(text, &opts);
    net_inputs(in, md_session_model(s)->graph, BATCH, 5);
    run(s, in, alone);
    run(p, in, shared);
    for (uint32_t i = 0; i < n_out; i++) {
        size_t size = md_tensor_size(&alone[i]);

        if (size > 0 && memcmp(alone[i].data, shared[i].data, size) != 0)
            fail_msg("threads change output %u of\n%s", (unsigned)i, text);
    }
    net_release(in, n_in);
    net_release(alone, n_out);
    net_release(shared, n_out);
    md_session_free(s);
    md_session_free(p);
}

static void test_products__same_with_threads(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_pool *pool = NULL;

    (void)state;
    assert_md_ok(md_pool_new(&pool, 3, md_alloc_default(), &err), &err);
    for (size_t i = 0; i < MD_COUNT(nets); i++) {
        char f64[400];

        check_threads(nets[i], pool);
        if (in_f64(f64, sizeof(f64), nets[i]))
            check_threads(f64, pool);
    }
    md_pool_free(pool);
}

/* What float64 has vectors for in the definitions. */
static const char *const doubles[] = {
    "x f64[N,4,9]; y = Conv(x, f64[6,4,3]~1); -> y",
    "x f64[N,4,60]; y = Conv(x, f64[7,4,3]~1, f64[7]~1) pads=[1,2]; -> y",
    "x f64[N,4,61]; y = Conv(x, f64[7,4,5]~1) strides=[3] dilations=[2] "
    "auto_pad=\"SAME_LOWER\"; -> y",
    "x f64[N,6,21]; y = Conv(x, f64[6,1,5]~1, f64[6]~1) group=6 pads=[2,2]; "
    "-> y",
    "x f64[N,3,4,5,6]; y = Conv(x, f64[5,3,3,2,3]~1, f64[5]~1) "
    "pads=[1,0,1,0,1,2]; -> y",
    "x f64[N,4,5,6,7]; y = Conv(x, f64[6,2,2,2,3]~1) group=2 "
    "strides=[1,2,2] dilations=[2,1,3]; -> y",
    "x f64[1,60,50,70]; y = Conv(x, f64[9,60,3,3]~0.1, f64[9]~1) "
    "pads=[1,1,1,1] strides=[1,2]; -> y",
    "x f64[N,4,3,3]; y = Conv(x, f64[5,4,3,3]~1) pads=[4,5,6,7]; -> y",
    "x f64[N,3,9,8]; y = MaxPool(x) kernel_shape=[3,2] strides=[2,1] "
    "pads=[1,1,0,1]; -> y",
    "x f64[N,3,9,8]; y, i = MaxPool(x) kernel_shape=[2,3] dilations=[1,2] "
    "storage_order=1; -> y, i",
    "x f64[N,3,9]; y = BatchNormalization(x, f64[3]~1, f64[3]~1, f64[3]~1, "
    "f64[3]{1 2 3}); -> y",
    "x f64[N,3,70]; y = Softmax(x); -> y",
    "x f64[N,3,7]; y = Softmax(x) axis=1; -> y",
    "x f64[N,3,70]; y = LogSoftmax(x); -> y",
    "x f64[N,3,70]; y = LayerNormalization(x, f64[70]~1, f64[70]~1); -> y",
    "x f64[N,3,70]; y = LayerNormalization(x, f64[3,70]~1) axis=1; -> y",
    "x f64[N,3,70]; y, m, v = LayerNormalization(x, f64[70]~1); -> y, m, v",
    "opset 23; x f64[N,3,70]; y = RMSNormalization(x, f64[70]~1); -> y",
    "x f64[N,3,70]; a = Abs(x); b = Sqrt(a); c = Neg(b); d = Exp(c); "
    "e = Relu(x); f = Tanh(x); -> d, e, f",
    "x f64[N,3,70]; y = Pow(x, f64[]{2}); z = Pow(x, f64[1,1,1,1]{2}); "
    "a = Abs(x); w = Pow(a, f64[]{0.5}); -> y, z, w",
    "x f64[N,3,300]; y f64[N,29,300]; z = com.microsoft.FusedMatMul(x, y) "
    "transB=1 alpha=0.3; -> z",
    "x f64[N,300]; z = com.microsoft.FusedMatMul(x, f64[300,29]~1) alpha=0.3; "
    "-> z",
    "x f64[N,70]; v, i = TopK(x, i64[1]{9}); -> v, i",
    "x f64[N,70]; v, i = TopK(x, i64[1]{9}) largest=0; -> v, i",
    "x f64[N,700]; v, i = TopK(x, i64[1]{9}); w, j = TopK(x, i64[1]{9}) "
    "largest=0; a = ArgMax(x) axis=1; b = ArgMin(x) axis=1 "
    "select_last_index=1; -> v, i, w, j, a, b",
#define REDUCTIONS(op)                                                         \
    "x f64[N,5,6,70]; a = " op "(x, i64[1]{3}); b = " op                       \
    "(x, i64[1]{0}); c = " op "(x, i64[2]{0 3}); d = " op                      \
    "(x, i64[2]{1 2}); e = " op "(x); f = " op                                 \
    "(x, i64[1]{2}) keepdims=0; g = " op "(x, i64[2]{0 2}); "                  \
    "-> a, b, c, d, e, f, g"
    REDUCTIONS("ReduceSum"),
    REDUCTIONS("ReduceMean"),
    REDUCTIONS("ReduceMax"),
    REDUCTIONS("ReduceMin"),
    REDUCTIONS("ReduceL1"),
    REDUCTIONS("ReduceL2"),
    REDUCTIONS("ReduceSumSquare"),
    REDUCTIONS("ReduceLogSumExp"),
    "x f64[N,9,1]; y = ReduceProd(x, i64[1]{1}); z = ReduceProd(x, i64[1]{2}); "
    "-> y, z",
    "x f64[N,0,3]; y = ReduceSum(x, i64[1]{1}); z = ReduceMax(x, i64[1]{1}); "
    "-> y, z",
};

/* As by the definitions without vectors. */
static void check_doubles(const char *text, uint32_t mask)
{
    md_tensor in[NET_IO_MAX], want[NET_IO_MAX] = { 0 };
    md_tensor got[NET_IO_MAX] = { 0 };
    md_error err = MD_ERROR_INIT;
    uint32_t n_in, n_out;
    md_session *s;

    md_cpu_set_mask(mask);
    s = net_open(text, NULL);
    n_in = md_session_n_inputs(s);
    n_out = md_session_n_outputs(s);
    net_inputs(in, md_session_model(s)->graph, BATCH, 7);
    run(s, in, got);
    md_cpu_set_mask(MD_CPU_NONE);
    net_expect(want, text, in);
    md_cpu_set_mask(MD_CPU_ALL);
    for (uint32_t i = 0; i < n_out; i++) {
        bool whole = !md_dtype_is_float(want[i].dtype);

        /* sums of up to some thousand numbers, in another order */
        if (md_tensor_compare(NULL, &got[i], &want[i], whole ? 0 : 1e-12,
                              whole ? 0 : 1e-12, &err) != MD_OK)
            fail_msg("output %u: %s\nof\n%s", (unsigned)i, err.msg, text);
    }
    net_release(in, n_in);
    net_release(want, n_out);
    net_release(got, n_out);
    md_session_free(s);
}

static void test_products__doubles(void **state)
{
    static const uint32_t masks[] = { MD_CPU_NONE, MD_CPU_AVX2, MD_CPU_ALL };
    md_error err = MD_ERROR_INIT;
    md_pool *pool = NULL;

    (void)state;
    assert_md_ok(md_pool_new(&pool, 3, md_alloc_default(), &err), &err);
    for (size_t i = 0; i < MD_COUNT(masks) * MD_COUNT(doubles); i++) {
        const char *text = doubles[i / MD_COUNT(masks)];

        check_doubles(text, masks[i % MD_COUNT(masks)]);
        check_threads(text, pool);
    }
    md_pool_free(pool);
}

/* What the values of an input make wrong is told before anything runs. */
static void test_products__refuses_lengths(void **state)
{
    static const char text[] =
        "x f32[3,2,4]; n i32[2]; y = RNN(x, f32[1,6,4]~0.4, f32[1,6,6]~0.4, "
        "_, n); -> y";
    md_session *s = net_open(text, NULL);
    md_error err = MD_ERROR_INIT;
    md_tensor in[NET_IO_MAX], out = MD_TENSOR_INIT;

    (void)state;
    net_inputs(in, md_session_model(s)->graph, 1, 1);
    ((int32_t *)in[1].data)[0] = 0;
    ((int32_t *)in[1].data)[1] = 4;
    assert_int_equal(md_session_run(s, in, &out, md_alloc_default(), &err),
                     MD_INVALID);
    assert_non_null(strstr(err.msg, "node 'y' (RNN): sequence 1 has length 4, "
                                    "0 to 3 expected"));
    ((int32_t *)in[1].data)[1] = 3;
    run(s, in, &out);
    net_release(in, 2);
    net_release(&out, 1);
    md_session_free(s);
}

/* Ids are made of bools, so that the tables have them. */
#define EMBED(i, rest)                                                         \
    i "; i = Cast(ib) to=6; s = Cast(sb) to=6; "                               \
      "y, c, z = com.microsoft.EmbedLayerNormalization(i, " rest               \
      "; -> y, c, z"

static const char *const lookups[] = {
    EMBED("ib bool[N,5]; sb bool[N,5]",
          "s, f32[9,25]~1, f32[7,25]~1, f32[2,25]~1, f32[25]~1, f32[25]~1)"),
    EMBED("ib bool[N,5]; sb bool[1,5]",
          "_, f32[2,7]~1, f32[5,7]~1, _, f32[7]~1, f32[7]~1, i, s) "
          "epsilon=0.1"),
    EMBED("ib bool[N,60]; sb bool[N,60]; w f32[5,130]",
          "_, w, f32[2,130]~1, _, f32[130]~1, f32[130]~1, s, s)"),
    EMBED("ib bool[N,0]; sb bool[N,0]",
          "_, f32[2,7]~1, f32[2,7]~1, _, f32[7]~1, f32[7]~1, s)"),
};

static void test_products__looks_up(void **state)
{
    static const uint32_t masks[] = { MD_CPU_NONE, MD_CPU_AVX2, MD_CPU_ALL };
    md_error err = MD_ERROR_INIT;
    md_pool *pool = NULL;

    (void)state;
    assert_md_ok(md_pool_new(&pool, 3, md_alloc_default(), &err), &err);
    for (size_t i = 0; i < MD_COUNT(lookups); i++) {
        md_session *s = net_open(lookups[i], NULL);
        char *explained = net_explain(s);

        assert_non_null(strstr(explained, "norm_f32__"));
        md_free(md_alloc_default(), explained);
        md_session_free(s);
        for (size_t k = 0; k < MD_COUNT(masks); k++) {
            md_cpu_set_mask(masks[k]);
            /* a row's mean and variance taken in float */
            net_check(lookups[i], NULL, BATCH, 1e-5, 0);
        }
        check_threads(lookups[i], pool);
    }
    md_pool_free(pool);
}

/* What the tables do not have is refused by name; the next run is right. */
static void test_products__refuses_missing_rows(void **state)
{
    static const char *const text =
        "i i32[N,3]; s i32[N,3]; p i32[N,3]; y = "
        "com.microsoft.EmbedLayerNormalization(i, s, f32[5,4]~1, f32[6,4]~1, "
        "f32[7,4]~1, f32[4]~1, f32[4]~1, _, p); -> y";
    static const struct {
        int input;
        int32_t id;
        const char *message;
    } bad[] = {
        { 0, 5, "an id is 5, 0 to 4 expected by input 2" },
        { 1, 7, "an id is 7, 0 to 6 expected by input 4" },
        { 2, 6, "an id is 6, 0 to 5 expected by input 3" },
        { 2, -1, "an id is -1, 0 to 5 expected by input 3" },
    };
    md_session *s = net_open(text, NULL);
    md_tensor in[NET_IO_MAX], out = MD_TENSOR_INIT;
    md_error err = MD_ERROR_INIT;

    (void)state;
    net_inputs(in, md_session_model(s)->graph, 2, 5);
    for (int i = 0; i < 3; i++)
        memset(in[i].data, 0, md_tensor_size(&in[i]));
    for (size_t i = 0; i < MD_COUNT(bad); i++) {
        int32_t *id = (int32_t *)in[bad[i].input].data + 4;
        const int32_t good = *id;

        *id = bad[i].id;
        assert_md_fails(md_session_run(s, in, &out, md_alloc_default(), &err),
                        MD_INVALID, &err, bad[i].message);
        *id = good;
        run(s, in, &out);
        md_tensor_release(&out);
    }
    net_release(in, 3);
    md_session_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products__as_defined),
        cmocka_unit_test(test_products__same_with_threads),
        cmocka_unit_test(test_products__doubles),
        cmocka_unit_test(test_products__refuses_lengths),
        cmocka_unit_test(test_products__looks_up),
        cmocka_unit_test(test_products__refuses_missing_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
