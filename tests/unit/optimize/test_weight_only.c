/* Modes without data: what they make of small nets, and running out of
 * memory.  Values are compared with onnxruntime's in tests/e2e. */
#include "support/test.h"

#include <string.h>

#include "base/rng.h"
#include "engine/session.h"
#include "optimize/weight_only.h"
#include "support/data.h"
#include "support/fail_alloc.h"
#include "support/net.h"

static const char net_text[] =
    "x f32[N,40]; w = f32[40,24]~0.5; a = MatMul(x, w); w2 = f32[12,24]~0.5; b"
    " = f32[12]~1; c = Gemm(a, w2, b) transB=1; d = MatMul(x, w); w3 = "
    "f32[24,12]~0.5; e = MatMul(d, w3); y = Add(c, e); -> y";

/* 0 to 3: md_weight_mode; 4: dynamic. */
static md_status apply(md_model *m, int mode, md_quantize_report *r,
                       md_error *err)
{
    const md_weights_opts o = { .mode = (md_weight_mode)mode,
                                .block = MD_WEIGHTS_BLOCK };

    return mode < 4 ? md_quantize_weights(m, &o, r, err)
                    : md_quantize_dynamic(m, r, err);
}

static uint32_t count_op(const md_model *m, const char *op)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < m->graph->n_nodes; i++)
        n += strcmp(m->graph->nodes[i]->op, op) == 0;
    return n;
}

static void test_weight_only__shared_things_are_made_once(void **state)
{
    static const struct {
        const char *op;
        uint32_t n, changed,
            codes; /* nodes; report; constants that hold them */
    } rows[] = {
        { "MatMulNBits", 4, 4, 3 },   { "MatMulNBits", 4, 4, 3 },
        { "Cast", 3, 3, 3 },          { "Cast", 3, 3, 3 },
        { "MatMulInteger", 4, 4, 4 },
    };

    (void)state;
    for (int mode = 0; mode < 5; mode++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = net_parse(net_text);
        uint32_t small = 0;
        md_quantize_report r;

        assert_md_ok(apply(m, mode, &r, &err), &err);
        assert_int_equal(count_op(m, rows[mode].op), rows[mode].n);
        assert_int_equal(r.n_nodes, rows[mode].changed);
        assert_int_equal(r.n_left, 0);
        for (uint32_t i = 0; i < m->graph->n_values; i++) {
            const md_tensor *t = m->graph->values[i].cdata;

            small += t && md_dtype_bits(t->dtype) < 32 && t->shape.rank > 1;
        }
        assert_int_equal(small, rows[mode].codes);
        assert_true(r.weights_int < r.weights_float);
        if (mode == 4) /* x, a, d */
            assert_int_equal(count_op(m, "DynamicQuantizeLinear"), 3);
        md_model_free(m);
    }
}

static void test_weight_only__what_grows_is_left(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse("x f32[N,3]; w = f32[3,50]~1; a = MatMul(x, w); w2"
                            " = f32[50,20]~1; y = MatMul(a, w2); -> y");
    md_quantize_report r;

    (void)state;
    assert_md_ok(apply(m, MD_WEIGHTS_INT4, &r, &err), &err);
    assert_int_equal(r.n_nodes, 1);
    assert_int_equal(r.n_left, 1);
    md_model_free(m);
}

enum {
    N = 200,
    K = 40
};

/* Inputs that hang together: three numbers make 40, and some noise. */
static void fill_inputs(float *x)
{
    md_rng r = md_rng_make(7, 0);

    for (int i = 0; i < N; i++) {
        float z[3];

        for (int c = 0; c < 3; c++)
            z[c] = (float)(2.0 * md_rng_uniform(&r) - 1.0);
        for (int k = 0; k < K; k++)
            x[i * K + k] = z[k % 3] + 0.5f * z[(k + 1) % 3] +
                           0.2f * (float)md_rng_uniform(&r);
    }
}

static void run_model(md_tensor *y, md_model *m, const md_tensor *x)
{
    md_error err = MD_ERROR_INIT;
    md_session *s;

    assert_md_ok(md_session_new(&s, m, NULL, &err), &err);
    assert_md_ok(md_session_run(s, x, y, md_alloc_default(), &err), &err);
    md_session_free(s);
}

/* Rounding by data loses less of what is computed than each weight alone. */
static void test_weight_only__data_make_up_for_rounding(void **state)
{
    static const char text[] =
        "x f32[N,40]; w = f32[40,24]~0.5; b = f32[24]~1; h = Gemm(x, w, b); r ="
        " Relu(h); w2 = f32[6,24]~0.5; b2 = f32[6]~1; y = Gemm(r, w2, b2) "
        "transB=1; -> y";
    static float x[N * K];
    md_tensor t = { .dtype = MD_DTYPE_F32,
                    .shape = { 2, { N, K } },
                    .data = x };
    double lost[2] = { 0.0, 0.0 };
    md_tensor want;

    (void)state;
    fill_inputs(x);
    run_model(&want, net_parse(text), &t);
    for (int with = 0; with < 2; with++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = net_parse(text);
        md_dataset d = data_make(m, &t, NULL);
        const md_weights_opts o = { .mode = MD_WEIGHTS_INT4,
                                    .block = 16,
                                    .data = with ? &d : NULL };
        md_quantize_report r;
        md_tensor got;

        assert_md_ok(md_quantize_weights(m, &o, &r, &err), &err);
        assert_int_equal(r.n_corrected, with ? 2 : 0);
        assert_int_equal(r.n_samples, with ? N : 0);
        run_model(&got, m, &t);
        for (int64_t i = 0; i < md_tensor_n(&got); i++) {
            const double e =
                md_tensor_get_f64(&got, i) - md_tensor_get_f64(&want, i);

            lost[with] += e * e;
        }
        md_tensor_release(&got);
        md_dataset_release(&d);
    }
    assert_true(lost[1] < 0.3 * lost[0]);
    md_tensor_release(&want);
}

static void test_weight_only__out_of_memory(void **state)
{
    (void)state;
    for (int mode = 0; mode < 5; mode++) {
        md_error err = MD_ERROR_INIT;
        md_status s = MD_NOMEM;

        for (int64_t n = 0; s != MD_OK; n++) {
            md_quantize_report r;
            fail_alloc f;
            md_model *m;

            fail_alloc_init(&f);
            m = net_load(net_text, &f.alloc);
            fail_alloc_arm(&f, n);
            s = apply(m, mode, &r, &err);
            if (fail_alloc_disarm(&f))
                assert_int_equal(s, MD_NOMEM);
            else
                assert_md_ok(s, &err);
            md_model_free(m);
            assert_int_equal(f.n_live, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weight_only__shared_things_are_made_once),
        cmocka_unit_test(test_weight_only__what_grows_is_left),
        cmocka_unit_test(test_weight_only__data_make_up_for_rounding),
        cmocka_unit_test(test_weight_only__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
