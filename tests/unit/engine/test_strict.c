/*
 * Precision strict: what a request gets does not depend on what it is batched
 * with.  The rows of one run over N requests are those of N runs, to the bit,
 * on every CPU level and for every width.
 */
#include "support/test.h"

#include <string.h>

#include "base/cpu.h"
#include "base/pool.h"
#include "support/net.h"
#include "tensor/compare.h"

enum {
    BATCH = 13 /* more than a tile of any row has, and a rest */
};

static const char *const nets[] = {
    "x f32[N,77]; y = Gemm(x, f32[50,77]~0.2, f32[50]~1) transB=1; -> y",
    "x f32[N,900]; a = Gemm(x, f32[900,19]~0.05); b = Relu(a); "
    "y = MatMul(b, f32[19,3]~0.3); -> y",
    "x f32[N,30]; a = MatMul(x, f32[30,30]~0.2); b = Add(a, x); "
    "c = Gelu(b); y = Softmax(c); -> y",
    "x f32[N,3,21]; m = MatMul(x, f32[21,40]~0.2); y = Tanh(m); -> y",
    /* attention: the right side is packed in every run */
    "x f32[N,5,24]; q = MatMul(x, f32[24,24]~0.2); "
    "k = MatMul(x, f32[24,24]~0.2); t = Transpose(k) perm=[0,2,1]; "
    "s = MatMul(q, t); p = Softmax(s); a = MatMul(p, x); "
    "y = LayerNormalization(a, f32[24]~1); -> y",
    "x f32[N,3,9,7]; a = Conv(x, f32[24,3,3,3]~0.2) pads=[1,1,1,1]; "
    "b = Relu(a); c = Conv(b, f32[24,1,3,3]~0.3) group=24 pads=[1,1,1,1]; "
    "d = Conv(c, f32[40,24,1,1]~0.2); e = Conv(d, f32[40,40,3,3]~0.1) "
    "pads=[1,1,1,1]; f = Add(d, e); g = GlobalAveragePool(f); "
    "h = Flatten(g); y = Gemm(h, f32[40,10]~0.3, f32[10]~1); -> y",
    "x f32[N,5,30]; a = Conv(x, f32[12,5,3]~0.3, f32[12]~1) pads=[1,1]; "
    "b = Conv(a, f32[12,4,3]~0.3) group=3; "
    "y = ConvTranspose(b, f32[12,5,4]~0.3) strides=[2]; -> y",
    "x f32[N,6,30]; a = LSTM(x, f32[1,80,30]~0.2, f32[1,80,20]~0.2, "
    "f32[1,160]~0.3) layout=1; b = Reshape(a, i64[3]{0 6 20}); "
    "c = GRU(b, f32[2,60,20]~0.2, f32[2,60,20]~0.2) layout=1 "
    "direction=\"bidirectional\"; d = Reshape(c, i64[3]{0 6 40}); "
    "y = RNN(d, f32[1,9,40]~0.2, f32[1,9,9]~0.2) layout=1; -> y",
    "x f32[N,16,6,6]; a = AveragePool(x) kernel_shape=[3,3]; "
    "b = ReduceMean(a, i64[1]{2}); c = ReduceSum(b, i64[1]{3}); "
    "d = Flatten(c); y = Gemm(d, f32[16,17]~0.3); -> y",
};

static void run(md_session *s, const md_tensor *in, md_tensor *out)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_session_run(s, in, out, md_alloc_default(), &err), &err);
}

static void check_net(const char *text, md_pool *pool)
{
    md_session_opts opts = MD_SESSION_OPTS_INIT;
    md_tensor in, all, one, want;
    md_session *s;
    size_t in_size, out_size;

    opts.precision = MD_PRECISION_STRICT;
    opts.pool = pool;
    s = net_open(text, &opts);
    net_inputs(&in, md_session_model(s)->graph, BATCH, 3);
    net_expect(&want, text, &in);
    run(s, &in, &all);
    in_size = md_tensor_size(&in) / BATCH;
    out_size = md_tensor_size(&all) / BATCH;
    for (int64_t i = 0; i < BATCH; i++) {
        md_tensor row = in;
        const char *part = (const char *)all.data + (size_t)i * out_size;

        row.shape.dim[0] = 1;
        row.data = (char *)in.data + (size_t)i * in_size;
        run(s, &row, &one);
        if (memcmp(one.data, part, out_size) != 0)
            fail_msg("request %d of %d differs in\n%s", (int)i, BATCH, text);
        md_tensor_release(&one);
    }
    {
        md_error err = MD_ERROR_INIT;

        /* sums of at most 900 products of about normal numbers */
        assert_md_ok(md_tensor_compare(NULL, &all, &want, 1e-5, 1e-5, &err),
                     &err);
    }
    net_release(&in, 1);
    net_release(&all, 1);
    net_release(&want, 1);
    md_session_free(s);
}

static void check_levels(md_pool *pool)
{
    static const uint32_t masks[] = { MD_CPU_NONE, MD_CPU_AVX2, MD_CPU_ALL };

    for (size_t i = 0; i < MD_COUNT(masks) * MD_COUNT(nets); i++) {
        md_cpu_set_mask(masks[i % MD_COUNT(masks)]);
        check_net(nets[i / MD_COUNT(masks)], pool);
    }
    md_cpu_set_mask(MD_CPU_ALL);
}

static void test_strict__batched_as_single(void **state)
{
    (void)state;
    check_levels(NULL);
}

static void test_strict__batched_as_single_on_threads(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_pool *pool = NULL;

    (void)state;
    assert_md_ok(md_pool_new(&pool, 3, md_alloc_default(), &err), &err);
    check_levels(pool);
    md_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strict__batched_as_single),
        cmocka_unit_test(test_strict__batched_as_single_on_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
