/* Structured pruning from end to end: goals, importance, what makes up for what
 * is cut, and what is refused. */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "formats/onnx.h"
#include "optimize/prune.h"
#include "support/data.h"
#include "support/fail_alloc.h"
#include "support/net.h"
#include "train/renorm.h"
#include "train/runner.h"

enum {
    N = 96
};

static const char net_text[] =
    "x f32[N,3,8,8]; w = f32[40,3,3,3]~0.3; a = Conv(x, w) pads=[1,1,1,1]; s ="
    " f32[40]~1; b = f32[40]~0.5; m = f32[40]{=0}; v = f32[40]{=2.5}; c = "
    "BatchNormalization(a, s, b, m, v); r = Relu(c); w2 = f32[12,40,3,3]~0.1; "
    "b2 = f32[12]~0.3; d = Conv(r, w2, b2) strides=[2,2]; e = Relu(d); f = "
    "Flatten(e); w3 = f32[108,4]~0.2; y = MatMul(f, w3); -> y";

typedef struct fixture {
    md_dataset d;
    float x[N * 192];
    int64_t y[N];
} fixture;

static void begin(fixture *f, bool labels)
{
    md_model *m = net_parse(net_text);
    md_rng r = md_rng_make(3, 0);
    md_tensor x = { .dtype = MD_DTYPE_F32,
                    .shape = { 4, { N, 3, 8, 8 } },
                    .data = f->x };
    md_tensor y = { .dtype = MD_DTYPE_I64,
                    .shape = { 1, { N } },
                    .data = f->y };

    for (int i = 0; i < N * 192; i++)
        f->x[i] = (float)(2.0 * md_rng_uniform(&r) - 0.8);
    for (int i = 0; i < N; i++)
        f->y[i] = i % 4;
    f->d = data_make(m, &x, labels ? &y : NULL);
    md_model_free(m);
}

static md_prune_opts options(const fixture *f)
{
    md_prune_opts o = MD_PRUNE_OPTS_INIT;

    o.amount = 0.25;
    o.data = f ? &f->d : NULL;
    return o;
}

/* |y - y of the whole net| / |y of the whole net|, whose statistics are the
 * data's, too. */
static double error_of(const md_model *small, fixture *f)
{
    md_error err = MD_ERROR_INIT;
    md_model *m[2] = { net_parse(net_text), NULL };
    const md_tensor x = { .dtype = MD_DTYPE_F32,
                          .shape = { 4, { N, 3, 8, 8 } },
                          .data = f->x };
    md_tensor y[2];
    double e = 0.0, sum = 0.0;
    uint32_t n_norms;

    assert_md_ok(md_renorm(m[0], &(md_sweep){ .data = &f->d, .batch = N },
                           &n_norms, &err),
                 &err);
    assert_md_ok(md_model_copy(&m[1], small, &err), &err);
    for (int i = 0; i < 2; i++) {
        md_session *s;

        assert_md_ok(md_session_new(&s, m[i], NULL, &err), &err);
        assert_md_ok(md_session_run(s, &x, &y[i], md_alloc_default(), &err),
                     &err);
        md_session_free(s);
    }
    for (int64_t i = 0; i < md_tensor_n(&y[0]); i++) {
        const double a = md_tensor_get_f64(&y[0], i);
        const double b = md_tensor_get_f64(&y[1], i);

        e += (a - b) * (a - b);
        sum += a * a;
    }
    md_tensor_release(&y[0]);
    md_tensor_release(&y[1]);
    return sqrt(e / sum);
}

static md_status prune(md_model **out, const md_prune_opts *o,
                       md_prune_report *r, md_error *err)
{
    md_model *m = net_parse(net_text);
    md_status s = md_prune(out, m, o, r, err);

    md_model_free(m);
    return s;
}

static void test_prune__data_make_up_for_what_is_cut(void **state)
{
    static const md_importance by[] = { MD_IMPORTANCE_WEIGHTS,
                                        MD_IMPORTANCE_TAYLOR,
                                        MD_IMPORTANCE_AUTO };
    static fixture f;
    double error[3];

    (void)state;
    begin(&f, true);
    for (size_t i = 0; i < MD_COUNT(by); i++) {
        md_error err = MD_ERROR_INIT;
        md_prune_opts o = options(&f);
        md_prune_report r;
        md_model *m;

        o.importance = by[i];
        assert_md_ok(prune(&m, &o, &r, &err), &err);
        assert_int_equal(r.n_rows, 2);
        assert_string_equal(r.row[0].name, "w");
        assert_int_equal(r.row[0].before, 40);
        assert_int_equal(r.row[0].after, 30);
        assert_int_equal(r.row[1].after, 9);
        assert_int_equal(r.n_norms, 1);
        assert_int_equal(r.params_before,
                         40 * 27 + 160 + 12 * 360 + 12 + 108 * 4);
        assert_int_equal(r.params_after, 30 * 27 + 120 + 9 * 270 + 9 + 81 * 4);
        assert_int_equal(r.macs_before, 64 * 1080 + 9 * 4320 + 432);
        assert_int_equal(r.macs_after, 64 * 810 + 9 * 2430 + 324);
        assert_int_equal(r.importance,
                         i < 2 ? by[i] : MD_IMPORTANCE_RECONSTRUCT);
        error[i] = error_of(m, &f);
        md_prune_report_release(&r);
        md_model_free(m);
    }
    /* Least squares against none. */
    assert_true(error[2] < 0.75 * error[0]);
    assert_true(error[2] < error[1]);
    md_dataset_release(&f.d);
}

/* A channel that two others make up together costs nothing. */
static void test_prune__what_follows_from_others_goes_first(void **state)
{
    static const char text[] =
        "x f32[N,2]; w = f32[2,3]{1 0 1 0 1 1}; h = MatMul(x, w); i = "
        "Identity(h); w2 = f32[3,2]{1 2 3 4 5 6}; b2 = f32[2]{0 0}; y = "
        "Gemm(i, w2, b2); -> y";
    md_error err = MD_ERROR_INIT;
    md_prune_opts o = MD_PRUNE_OPTS_INIT;
    md_model *m = net_parse(text), *small;
    md_prune_report r;
    md_dataset d;
    float x[64];
    const float ask[2] = { 0.5f, -2.0f };
    md_tensor t = { .dtype = MD_DTYPE_F32,
                    .shape = { 2, { 32, 2 } },
                    .data = x };
    md_tensor y;
    md_session *s;

    (void)state;
    for (int i = 0; i < 64; i++)
        x[i] = (float)((i * 7 % 13) - 6) + (float)(i % 2);
    d = data_make(m, &t, NULL);
    o.amount = 0.34;
    o.data = &d;
    assert_md_ok(md_prune(&small, m, &o, &r, &err), &err);
    assert_int_equal(r.row[0].after, 2);
    assert_md_ok(md_session_new(&s, small, NULL, &err), &err);
    t.shape.dim[0] = 1;
    t.data = (void *)ask;
    assert_md_ok(md_session_run(s, &t, &y, md_alloc_default(), &err), &err);
    /* [0.5, -2, -1.5] W2; a thousandth of damping. */
    assert_near(md_tensor_get_f64(&y, 0), 0.5 - 6.0 - 7.5, 0.05);
    assert_near(md_tensor_get_f64(&y, 1), 1.0 - 8.0 - 9.0, 0.05);
    md_tensor_release(&y);
    md_session_free(s);
    md_prune_report_release(&r);
    md_dataset_release(&d);
    md_model_free(m);
}

static void test_prune__costs_are_goals(void **state)
{
    static fixture f;
    md_error err = MD_ERROR_INIT;
    md_prune_opts o;
    md_prune_report r;
    md_model *m;

    (void)state;
    begin(&f, false);
    o = options(&f);
    o.goal = MD_PRUNE_MACS;
    o.amount = 0.5;
    assert_md_ok(prune(&m, &o, &r, &err), &err);
    assert_true(2 * r.macs_after <= r.macs_before);
    assert_true(2.4 * (double)r.macs_after > (double)r.macs_before);
    assert_int_equal(r.row[0].after % 8, 0);
    md_prune_report_release(&r);
    md_model_free(m);
    o.amount = 0.001;
    assert_md_fails(prune(&m, &o, &r, &err), MD_INVALID, &err,
                    "multiply-accumulates: a share of 0.001 asked for");
    md_dataset_release(&f.d);
}

/* Four wide groups that a share would take a multiple from all at once. */
static void test_prune__rounding_is_given_back(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_prune_opts o = options(NULL);
    md_prune_report r;
    md_model *m = NULL;
    md_model *net = net_parse(
        "x f32[N,3,8,8]; w = f32[32,3,3,3]~0.3; a = Conv(x, w); b = Relu(a); "
        "w2 = f32[32,32,3,3]~0.1; c = Conv(b, w2); d = Relu(c); w3 = "
        "f32[32,32,3,3]~0.1; e = Conv(d, w3) pads=[1,1,1,1]; f = Relu(e); w4 = "
        "f32[32,32,1,1]~0.1; g = Conv(f, w4); h = GlobalAveragePool(g); i = "
        "Flatten(h); w5 = f32[32,4]~0.2; y = MatMul(i, w5); -> y");

    (void)state;
    o.goal = MD_PRUNE_MACS;
    for (o.amount = 0.3; o.amount < 0.95; o.amount += 0.1) {
        double left;

        assert_md_ok(md_prune(&m, net, &o, &r, &err), &err);
        left = (double)r.macs_after / (double)r.macs_before;
        /* The dearest multiple is the second layer's: a sixth of all. */
        assert_true(left <= o.amount);
        assert_true(left > o.amount - 0.17);
        for (uint32_t i = 0; i < r.n_rows; i++)
            assert_int_equal(r.row[i].after % 8, 0);
        md_prune_report_release(&r);
        md_model_free(m);
    }
    md_model_free(net);
}

/* Time by the number of weights. */
static md_status fake_time(void *ctx, double *a, double *b, const md_model *x,
                           const md_model *y, md_error *err)
{
    const md_model *m[2] = { x, y };
    double sum[2] = { 0.0, 0.0 };

    (void)err;
    ++*(int *)ctx;
    for (int i = 0; i < 2; i++) {
        for (uint32_t k = 0; k < m[i]->graph->n_values; k++) {
            const md_tensor *t = m[i]->graph->values[k].cdata;

            sum[i] += t ? (double)md_tensor_n(t) : 0.0;
        }
    }
    *a = sum[0];
    *b = sum[1];
    return MD_OK;
}

static void test_prune__latency_is_measured(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_prune_opts o = options(NULL);
    int n = 0;
    md_prune_report r;
    md_model *m;

    (void)state;
    o.goal = MD_PRUNE_LATENCY;
    o.amount = 0.6;
    o.time = fake_time;
    o.ctx = &n;
    assert_md_ok(prune(&m, &o, &r, &err), &err);
    assert_true(n > 3);
    assert_true(r.time_after <= 0.6 * r.time_before);
    assert_true(r.time_after > 0.3 * r.time_before);
    md_prune_report_release(&r);
    md_model_free(m);
    o.time = NULL; /* by a stopwatch: something comes out */
    o.amount = 0.95;
    if (prune(&m, &o, &r, &err) == MD_OK) {
        assert_true(r.time_before > 0.0 && r.time_after > 0.0);
        md_prune_report_release(&r);
        md_model_free(m);
    } else {
        assert_non_null(strstr(err.msg, "latency: a share of 0.95 asked for"));
    }
}

static void test_prune__seeds_name_results(void **state)
{
    static fixture f;
    md_error err = MD_ERROR_INIT;
    md_buf bytes[2];

    (void)state;
    begin(&f, false);
    for (int i = 0; i < 2; i++) {
        md_prune_opts o = options(&f);
        md_prune_report r;
        md_model *m;

        o.n_samples = 50;
        assert_md_ok(prune(&m, &o, &r, &err), &err);
        assert_non_null(strstr(md_model_meta(m, "modeld.recipe"),
                               "prune channels=0.25 importance=reconstruction "
                               "samples=50 seed=1"));
        md_buf_init(&bytes[i], md_alloc_default(), 1 << 20);
        assert_md_ok(md_onnx_write(m, &bytes[i], &err), &err);
        md_prune_report_release(&r);
        md_model_free(m);
    }
    assert_int_equal(bytes[0].size, bytes[1].size);
    assert_memory_equal(bytes[0].data, bytes[1].data, bytes[0].size);
    md_buf_release(&bytes[0]);
    md_buf_release(&bytes[1]);
    md_dataset_release(&f.d);
}

static void test_prune__what_cannot_be_is_said(void **state)
{
    static fixture f;
    md_error err = MD_ERROR_INIT;
    md_prune_opts o = options(NULL);
    md_prune_report r;
    md_model *m, *flat = net_parse("x f32[N,3]; y = Relu(x); -> y");

    (void)state;
    assert_md_fails(md_prune(&m, flat, &o, &r, &err), MD_UNSUPPORTED, &err,
                    "nothing in the model can be cut");
    md_model_free(flat);
    o.importance = MD_IMPORTANCE_RECONSTRUCT;
    assert_md_fails(prune(&m, &o, &r, &err), MD_INVALID, &err,
                    "importance reconstruction needs data");
    o = options(NULL);
    o.amount = 1.0;
    assert_md_fails(prune(&m, &o, &r, &err), MD_INVALID, &err,
                    "a share of 1 given, between 0 and 1 expected");
    begin(&f, false);
    o = options(&f);
    o.importance = MD_IMPORTANCE_TAYLOR;
    assert_md_fails(prune(&m, &o, &r, &err), MD_INVALID, &err,
                    "the data has no labels");
    md_dataset_release(&f.d);
    begin(&f, true);
    f.y[0] = 4;
    md_dataset_release(&f.d);
}

static void test_prune__out_of_memory(void **state)
{
    static const char text[] =
        "x f32[N,3]; w = f32[3,4]~0.5; a = MatMul(x, w); r = Relu(a); w2 = "
        "f32[4,2]~0.5; b = f32[2]~1; y = Gemm(r, w2, b); -> y";
    float x[12] = { 1, 2, 3, -1, 0, 1, 2, 2, 1, 0, 1, 1 };
    const md_tensor t = { .dtype = MD_DTYPE_F32,
                          .shape = { 2, { 4, 3 } },
                          .data = x };
    md_error err = MD_ERROR_INIT;
    md_status s = MD_NOMEM;

    (void)state;
    for (int64_t n = 0; s != MD_OK; n++) {
        fail_alloc f;
        md_model *m, *small = NULL;
        md_prune_opts o = MD_PRUNE_OPTS_INIT;
        md_prune_report r;
        md_dataset d;

        fail_alloc_init(&f);
        m = net_load(text, &f.alloc);
        d = data_make(m, &t, NULL);
        o.amount = 0.5;
        o.data = &d;
        fail_alloc_arm(&f, n);
        s = md_prune(&small, m, &o, &r, &err);
        if (s == MD_OK)
            md_prune_report_release(&r);
        if (fail_alloc_disarm(&f))
            assert_int_equal(s, MD_NOMEM);
        else
            assert_md_ok(s, &err);
        md_dataset_release(&d);
        md_model_free(small);
        md_model_free(m);
        assert_int_equal(f.n_live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prune__data_make_up_for_what_is_cut),
        cmocka_unit_test(test_prune__what_follows_from_others_goes_first),
        cmocka_unit_test(test_prune__costs_are_goals),
        cmocka_unit_test(test_prune__rounding_is_given_back),
        cmocka_unit_test(test_prune__latency_is_measured),
        cmocka_unit_test(test_prune__seeds_name_results),
        cmocka_unit_test(test_prune__what_cannot_be_is_said),
        cmocka_unit_test(test_prune__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
