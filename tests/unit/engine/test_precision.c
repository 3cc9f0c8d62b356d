/*
 * Precisions bf16 and auto: what bf16 may cost, that every node with float
 * products takes it where the CPU has it, and what auto decides from.
 */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/cpu.h"
#include "kernels/gemm_bf16.h"
#include "support/net.h"
#include "tensor/compare.h"

/* Nets whose results do not hang on the last bits of their products. */
static const char *const nets[] = {
    "x f32[N,77]; y = Gemm(x, f32[50,77]~0.2, f32[50]~1) transB=1; -> y",
    "x f32[N,40]; y = Gemm(x, f32[40,50]~0.2, f32[50]~1) alpha=0.5 beta=2.0; "
    "-> y",
    "x f32[N,3,21]; m = MatMul(x, f32[21,40]~0.2); y = Tanh(m); -> y",
    "x f32[N,30]; a = MatMul(x, f32[30,30]~0.2); y = Add(a, x); -> y",
    /* attention: the right side is packed in every run */
    "x f32[N,5,24]; q = MatMul(x, f32[24,24]~0.2); "
    "k = MatMul(x, f32[24,24]~0.2); t = Transpose(k) perm=[0,2,1]; "
    "s = MatMul(q, t); p = Softmax(s); y = MatMul(p, x); -> y",
    /* the right side is shared by the batch */
    "x f32[N,7,24]; z f32[1,24,33]; y = MatMul(x, z); -> y",
    "x f32[N,20,9,7]; a = Conv(x, f32[40,20,3,3]~0.1, f32[40]~1) "
    "pads=[1,1,1,1]; b = Relu(a); c = Conv(b, f32[40,40,1,1]~0.2); "
    "d = Add(c, b); e = Conv(d, f32[24,40,3,3]~0.1) strides=[2,2] "
    "dilations=[1,2] pads=[1,1,1,2]; y = Sigmoid(e); -> y",
};

static double norm_of_difference(const md_tensor *a, const md_tensor *b)
{
    double diff = 0, all = 0;

    for (int64_t i = 0; i < md_tensor_n(b); i++) {
        const double x = md_tensor_get_f64(b, i);
        const double d = md_tensor_get_f64(a, i) - x;

        diff += d * d, all += x * x;
    }
    return sqrt(diff / all);
}

static md_session *open(const char *net, md_precision p)
{
    md_session_opts o = MD_SESSION_OPTS_INIT;

    o.precision = p;
    return net_open(net, &o);
}

static void run(const char *net, md_precision p, md_tensor *got, double *error)
{
    md_session *s = open(net, p);
    md_error err = MD_ERROR_INIT;
    md_tensor in[NET_IO_MAX], want[NET_IO_MAX];

    net_inputs(in, md_session_model(s)->graph, 5, 3);
    net_expect(want, net, in);
    assert_md_ok(md_session_run(s, in, got, md_alloc_default(), &err), &err);
    *error = norm_of_difference(got, want);
    net_release(in, md_session_n_inputs(s));
    net_release(want, 1);
    md_session_free(s);
}

/* Whether this build, on this CPU, has a kernel with instructions for it. */
static bool can_bf16(void)
{
    return md_gemm_bf16_select(md_cpu_flags())->required != MD_CPU_NONE;
}

/* Operands have 8 bits, an error of 2^-9 each; sums of random signs average
 * it.  Exactly fp32 it is not, or bf16 was not used. */
static void test_precision__bf16_error(void **state)
{
    const bool has = can_bf16();

    (void)state;
    if (!has)
        print_message("skipped: bf16 products (not on this CPU)\n");
    for (size_t i = 0; i < MD_COUNT(nets); i++) {
        md_tensor got;
        double error;

        run(nets[i], MD_PRECISION_BF16, &got, &error);
        if (!(error < 0x1p-7) || (has && error < 1e-6))
            fail_msg("error %g in\n%s", error, nets[i]);
        net_release(&got, 1);
    }
}

/* Level by level: the kernel that is taken, or why there is none. */
static void test_precision__kernels_by_level(void **state)
{
    static const uint32_t masks[] = {
        MD_CPU_ALL,
        MD_CPU_ALL & ~(uint32_t)MD_CPU_AMX_BF16,
        MD_CPU_AVX512,
        MD_CPU_NONE,
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(masks) * MD_COUNT(nets); i++) {
        const char *net = nets[i / MD_COUNT(masks)];
        const char *says = "this CPU has no bf16 products";
        md_session *s;
        char *text;

        md_cpu_set_mask(masks[i % MD_COUNT(masks)]);
        if (can_bf16())
            says = md_gemm_bf16_select(md_cpu_flags())->name;
        s = open(net, MD_PRECISION_BF16);
        text = net_explain(s);
        if (!strstr(text, says))
            fail_msg("'%s' expected in\n%s", says, text);
        assert_int_equal(md_session_precision(s)->used, MD_PRECISION_BF16);
        assert_null(md_session_precision(s)->why);
        md_free(md_alloc_default(), text);
        md_session_free(s);
        md_cpu_set_mask(MD_CPU_ALL);
    }
}

/* Grouped, depthwise and first convolutions stay fp32 and say so or run. */
static void test_precision__what_stays_fp32(void **state)
{
    const char *net =
        "x f32[N,3,9,9]; a = Conv(x, f32[32,3,3,3]~0.2) pads=[1,1,1,1]; "
        "b = Conv(a, f32[32,1,3,3]~0.3) group=32 pads=[1,1,1,1]; "
        "y = Conv(b, f32[32,16,1,1]~0.2) group=2; -> y";
    md_tensor got;
    double error;

    (void)state;
    run(net, MD_PRECISION_BF16, &got, &error);
    assert_true(error < 1e-6);
    net_release(&got, 1);
}

/* ---- auto ---- */

static void check_choice(const char *net, md_precision used, const char *why)
{
    md_session *s = open(net, MD_PRECISION_AUTO);
    const md_precision_choice *c = md_session_precision(s);

    assert_int_equal(c->asked, MD_PRECISION_AUTO);
    if (c->used != used || !strstr(c->why, why))
        fail_msg("%s: '%s', expected %s, '%s' for\n%s",
                 md_precision_name(c->used), c->why, md_precision_name(used),
                 why, net);
    md_session_free(s);
}

/* The same bits as the precision that was chosen, each time. */
static void test_precision__auto_takes_bf16_where_it_does_no_harm(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(nets); i++) {
        md_tensor a, b;
        double error;

        if (!can_bf16())
            skip();
        check_choice(nets[i], MD_PRECISION_BF16, "auto is bf16: with bf16 the");
        run(nets[i], MD_PRECISION_AUTO, &a, &error);
        run(nets[i], MD_PRECISION_BF16, &b, &error);
        assert_int_equal(md_tensor_compare(NULL, &a, &b, 0, 0, NULL), MD_OK);
        net_release(&a, 1);
        net_release(&b, 1);
    }
}

static void test_precision__auto_keeps_fp32(void **state)
{
    static const struct {
        const char *net, *why;
    } rows[] = {
        /* 1 + 2^-10 is 1 in bf16: nothing is left of the difference */
        { "x f32[1,64]; a = MatMul(x, f32[64,8]{=1.0009765625}); "
          "b = MatMul(x, f32[64,8]{=1}); y = Sub(a, b); -> y",
          "with bf16 the error is 1 (at most 0.01 allowed)" },
        /* the second class wins by less than bf16 can tell */
        { "x f32[1,8]; y = MatMul(x, f32[8,2]{1 1.001 1 1.001 1 1.001 1 "
          "1.001 1 1.001 1 1.001 1 1.001 1 1.001}); -> y",
          "the same in 0 of 4 rows" },
        { "x f32[1,8]; m = MatMul(x, f32[8,2]{1 1.001 1 1.001 1 1.001 1 "
          "1.001 1 1.001 1 1.001 1 1.001 1 1.001}); y = ArgMax(m) "
          "axis=1; -> y",
          "the same in 0 of 4 rows" },
        /* a division by what bf16 takes for nothing */
        { "x f32[1,64]; a = MatMul(x, f32[64,8]{=1.0009765625}); "
          "b = MatMul(x, f32[64,8]{=1}); c = Sub(a, b); y = Reciprocal(c); -> y",
          "the error is inf" },
        /* open dims are made up, and do not fit here */
        { "x f32[N,M]; r = Reshape(x, i64[2]{-1 7}); "
          "y = MatMul(r, f32[7,7]~1); -> y",
          "auto is fp32: samples do not run: " },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        if (!can_bf16())
            skip();
        check_choice(rows[i].net, MD_PRECISION_FP32, rows[i].why);
    }
}

static void test_precision__auto_without_bf16(void **state)
{
    md_session_opts o = MD_SESSION_OPTS_INIT;
    md_session *s;
    char *text;

    (void)state;
    md_cpu_set_mask(MD_CPU_AVX2);
    check_choice(nets[0], MD_PRECISION_FP32, "this CPU has no bf16 products");
    s = open(nets[0], MD_PRECISION_AUTO);
    text = net_explain(s); /* nodes say why, too */
    assert_non_null(strstr(text, "auto is fp32: this CPU has no"));
    assert_int_equal(md_session_precision(s)->n_samples, 0);
    md_free(md_alloc_default(), text);
    md_session_free(s);
    md_cpu_set_mask(MD_CPU_ALL);
    o.precision = MD_PRECISION_AUTO;
    o.reference = true;
    s = net_open(nets[0], &o);
    assert_string_equal(md_session_precision(s)->why,
                        "auto is fp32: reference mode");
    md_session_free(s);
}

/* A table's indices stay inside it; masks and the like are all ones. */
static void test_precision__samples(void **state)
{
    md_session *s = open("i i64[2,50]; m i64[2,50]; b u8[9]; f f32[9]; "
                         "e = Gather(f32[11,4]~1, i); c = Cast(m) to=1; "
                         "d = Cast(b) to=1; -> e, c, d, f",
                         MD_PRECISION_FP32);
    int64_t seen = 0;

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        const md_type *type = &md_session_input(s, i)->type;
        md_shape shape = { .rank = type->rank };
        md_error err = MD_ERROR_INIT;
        md_tensor t, again;

        for (int d = 0; d < shape.rank; d++)
            shape.dim[d] = type->dim[d].k;
        assert_md_ok(
            md_tensor_alloc(&t, type->dtype, &shape, md_alloc_default(), &err),
            &err);
        md_session_sample(s, i, 5, &t);
        assert_md_ok(md_tensor_copy(&again, &t, md_alloc_default(), &err),
                     &err);
        md_session_sample(s, i, 5, &again);
        assert_int_equal(md_tensor_compare(NULL, &t, &again, 0, 0, NULL),
                         MD_OK);
        for (int64_t k = 0; k < md_tensor_n(&t); k++) {
            const double v = md_tensor_get_f64(&t, k);
            static const double most[] = { 10, 1, 127, 1 };

            assert_true(v >= (i == 1) && v <= most[i]);
            if (i == 0)
                seen |= (int64_t)1 << (int)v;
        }
        md_tensor_release(&t);
        md_tensor_release(&again);
    }
    assert_int_equal(seen, (1 << 11) - 1); /* 100 draws of 11 rows */
    md_session_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precision__bf16_error),
        cmocka_unit_test(test_precision__kernels_by_level),
        cmocka_unit_test(test_precision__what_stays_fp32),
        cmocka_unit_test(test_precision__auto_takes_bf16_where_it_does_no_harm),
        cmocka_unit_test(test_precision__auto_keeps_fp32),
        cmocka_unit_test(test_precision__auto_without_bf16),
        cmocka_unit_test(test_precision__samples),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
