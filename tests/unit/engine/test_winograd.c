/*
 * Which convolutions go through Winograd's transforms, what explain says of
 * them, and that their results are those of the definition in value and, where
 * inputs are not finite, in kind.
 */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/cpu.h"
#include "base/pool.h"
#include "kernels/winograd_f32.h"
#include "support/net.h"

#define CONV(w, rest)                                                          \
    "x f32[N,24,24,24]; y = Conv(x, " w ", f32[40]~1)" rest "; -> y"
#define SAME " pads=[1,1,1,1]"

typedef struct row {
    const char *text;
    md_precision precision;
    uint32_t cpu;
    const char *has, *lacks; /* in what explain prints */
} row;

static const row rows[] = {
    { CONV("f32[40,24,3,3]~0.1", SAME), MD_PRECISION_FP32,
      MD_CPU_AVX2 | MD_CPU_AVX512, "winograd_f32_4x4__avx512", "no winograd" },
    { CONV("f32[40,24,3,3]~0.1", ""), MD_PRECISION_FP32, MD_CPU_AVX2,
      "error 3 times a plain float sum's; not for strict", "conv_f32" },
    { "x f32[N,128,10,10]; y = Conv(x, f32[128,128,3,3]~0.02)" SAME "; -> y",
      MD_PRECISION_FP32, MD_CPU_AVX2,
      "error at most a plain float sum's; not for strict", "_4x4" },
    /* where the CPU has no bf16, bf16 is fp32 */
    { CONV("f32[40,24,3,3]~0.1", SAME), MD_PRECISION_BF16, MD_CPU_AVX2,
      "winograd_f32_4x4__avx2", "conv_f32" },
    /* where it has some that are twice as fast, most of them are no faster */
    { "x f32[N,64,24,24]; y = Conv(x, f32[64,64,3,3]~0.05)" SAME "; -> y",
      MD_PRECISION_BF16, MD_CPU_AVX2 | MD_CPU_AVX512 | MD_CPU_AVX512BF16,
      "winograd_f32_4x4__avx512", "gemm_bf16" },
    { "x f32[N,128,10,10]; y = Conv(x, f32[128,128,3,3]~0.02)" SAME "; -> y",
      MD_PRECISION_BF16, MD_CPU_AVX2 | MD_CPU_AVX512 | MD_CPU_AVX512BF16,
      "no winograd: not faster for this shape", "winograd_f32" },
    { CONV("f32[40,24,3,3]~0.1", SAME), MD_PRECISION_STRICT, MD_CPU_AVX2,
      "no winograd: precision is strict", "winograd_f32" },
    { CONV("f32[40,24,3,3]~0.1", SAME " strides=[1,2]"), MD_PRECISION_FP32,
      MD_CPU_AVX2, "no winograd: stride or dilation is not 1", "winograd_f32" },
    { CONV("f32[40,24,3,3]~0.1", " dilations=[2,1]"), MD_PRECISION_FP32,
      MD_CPU_AVX2, "no winograd: stride or dilation is not 1", "winograd_f32" },
    { "x f32[N,24,2,2]; y = Conv(x, f32[40,24,3,3]~0.1)" SAME "; -> y",
      MD_PRECISION_FP32, MD_CPU_AVX2, "no winograd: not faster for this shape",
      "winograd_f32" },
    { CONV("f32[40,24,3,3]{=inf}", SAME), MD_PRECISION_FP32, MD_CPU_AVX2,
      "no winograd: weights that are not finite, or nearly", "winograd_f32" },
    { CONV("f32[40,24,1,1]~0.1", ""), MD_PRECISION_FP32, MD_CPU_AVX2,
      "conv_f32__avx2", "winograd" },
    { "x f32[N,32,24,24]; y = Conv(x, f32[32,16,3,3]~0.1) group=2" SAME
      "; -> y",
      MD_PRECISION_FP32, MD_CPU_AVX2, "conv_f32__avx2", "winograd" },
    { CONV("f32[40,24,3,3]~0.1", SAME), MD_PRECISION_FP32, MD_CPU_NONE,
      "conv_f32__ref", "winograd" },
};

static void test_winograd__choice(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        md_session_opts opts = MD_SESSION_OPTS_INIT;
        md_session *s;
        char *text;

        /* Not of this CPU, or of a build without its kernels. */
        if (rows[i].cpu & ~md_cpu_flags() ||
            (rows[i].cpu &&
             md_winograd_f32_select(rows[i].cpu)->required == MD_CPU_NONE))
            continue;
        md_cpu_set_mask(rows[i].cpu);
        opts.precision = rows[i].precision;
        s = net_open(rows[i].text, &opts);
        text = net_explain(s);
        if (!strstr(text, rows[i].has) || strstr(text, rows[i].lacks))
            fail_msg("no '%s', or '%s' in\n%s", rows[i].has, rows[i].lacks,
                     text);
        md_free(md_alloc_default(), text);
        md_session_free(s);
        md_cpu_set_mask(MD_CPU_ALL);
    }
}

/* Borders, channels that are no multiple of 16, a size that is open, batches;
 * a chain in which the errors of layers add up. */
static const char *const nets[] = {
    CONV("f32[40,24,3,3]~0.1", SAME),
    CONV("f32[40,24,3,3]~0.1", " pads=[0,2,1,0]"),
    "x f32[N,17,31,18]; a = Conv(x, f32[50,17,3,3]~0.1) auto_pad=\"SAME_UPPER\""
    "; b = Relu(a); c = Conv(b, f32[50,50,3,3]~0.06, f32[50]~1)" SAME
    "; d = Add(c, a); y = Relu(d); -> y",
    "x f32[1,20,N,N]; y = Conv(x, f32[30,20,3,3]~0.1)" SAME "; -> y",
};

static void test_winograd__results(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(nets); i++) {
        static const int64_t sizes[] = { 1, 3, 26 };

        /* 3 times the error of a sum of 450 products, each way */
        for (size_t k = 0; k < MD_COUNT(sizes); k++)
            net_check(nets[i], NULL, sizes[k], 1e-5, 0);
    }
}

static void run(md_session *s, const md_tensor *in, md_tensor *out)
{
    md_error err = MD_ERROR_INIT;

    assert_md_ok(md_session_run(s, in, out, md_alloc_default(), &err), &err);
}

/* Bits of one thread, of three, and of each image alone. */
static void test_winograd__same_bits(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_pool *pool = NULL;

    (void)state;
    assert_md_ok(md_pool_new(&pool, 3, md_alloc_default(), &err), &err);
    for (size_t i = 0; i + 1 < MD_COUNT(nets); i++) {
        md_session_opts opts = MD_SESSION_OPTS_INIT;
        md_session *one = net_open(nets[i], &opts), *three;
        md_tensor in, a, b, part;

        opts.pool = pool;
        three = net_open(nets[i], &opts);
        net_inputs(&in, md_session_model(one)->graph, 4, 5);
        run(one, &in, &a);
        run(three, &in, &b);
        assert_memory_equal(a.data, b.data, md_tensor_size(&a));
        for (size_t k = 0; k < 4; k++) {
            md_tensor image = in;

            image.shape.dim[0] = 1;
            image.data = (char *)in.data + k * md_tensor_size(&in) / 4;
            run(three, &image, &part);
            assert_memory_equal((char *)a.data + k * md_tensor_size(&part),
                                part.data, md_tensor_size(&part));
            net_release(&part, 1);
        }
        net_release(&in, 1);
        net_release(&a, 1);
        net_release(&b, 1);
        md_session_free(one);
        md_session_free(three);
    }
    md_pool_free(pool);
}

/* A pixel that is infinite or none reaches the outputs whose window it is in,
 * and no other one of its tile. */
static void test_winograd__not_finite(void **state)
{
    static const float bad[] = { INFINITY, -INFINITY, NAN };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(bad); i++) {
        md_session *s = net_open(nets[i], NULL);
        md_tensor in, want, got;
        const float *a, *b;
        int64_t n_bad = 0;

        net_inputs(&in, md_session_model(s)->graph, 2, 7);
        ((float *)in.data)[4321 + 100 * i] = bad[i];
        net_expect(&want, nets[i], &in);
        run(s, &in, &got);
        a = got.data, b = want.data;
        for (int64_t k = 0; k < md_tensor_n(&want); k++) {
            n_bad += !isfinite(b[k]);
            if (isnan(a[k]) != isnan(b[k]) ||
                (isinf(b[k]) ? a[k] != b[k]
                             : !isnan(b[k]) && !(fabsf(a[k] - b[k]) < 1e-4f)))
                fail_msg("net %zu, %d: %g, expected %g", i, (int)k,
                         (double)a[k], (double)b[k]);
        }
        assert_true(n_bad > 0 && n_bad < md_tensor_n(&want) / 2);
        net_release(&in, 1);
        net_release(&want, 1);
        net_release(&got, 1);
        md_session_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_winograd__choice),
        cmocka_unit_test(test_winograd__results),
        cmocka_unit_test(test_winograd__same_bits),
        cmocka_unit_test(test_winograd__not_finite),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
