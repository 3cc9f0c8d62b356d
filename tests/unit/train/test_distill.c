/* Students are never worse for a bad teacher: samples held back decide. */
#include "support/test.h"

#include <string.h>

#include "base/rng.h"
#include "support/data.h"
#include "support/fail_alloc.h"
#include "support/net.h"
#include "train/distill.h"

enum {
    N = 240
};

static const char student_text[] =
    "x f32[N,2]; w = f32[2,6]~0.5; b = f32[6]{=0}; h = Gemm(x, w, b); r = "
    "Relu(h); w2 = f32[6,2]~0.5; b2 = f32[2]{=0}; y = Gemm(r, w2, b2); -> y";

typedef struct fixture {
    md_dataset d;
    md_teacher t;
    float x[2 * N], scores[2 * N];
    int64_t y[N];
} fixture;

/* The sign of x0 is the label; the teacher is sure of it, or of the
 * opposite. */
static void begin(fixture *f, bool is_right)
{
    md_model *m = net_parse(student_text);
    md_rng r = md_rng_make(5, 0);
    md_tensor x = { .dtype = MD_DTYPE_F32,
                    .shape = { 2, { N, 2 } },
                    .data = f->x };
    md_tensor y = { .dtype = MD_DTYPE_I64,
                    .shape = { 1, { N } },
                    .data = f->y };

    for (int i = 0; i < 2 * N; i++)
        f->x[i] = (float)(2.0 * md_rng_uniform(&r) - 1.0);
    for (int i = 0; i < N; i++) {
        f->y[i] = f->x[2 * i] > 0.0f;
        for (int c = 0; c < 2; c++)
            f->scores[2 * i + c] = (c == f->y[i]) == is_right ? 9.0f : -9.0f;
    }
    f->d = data_make(m, &x, &y);
    f->t = (md_teacher){ .scores = f->scores, .n = N, .width = 2 };
    md_model_free(m);
}

static md_distill_opts options(const fixture *f)
{
    md_distill_opts o = { .train = MD_TRAIN_OPTS_INIT, .held = 0.2 };

    o.train.teacher = &f->t;
    o.train.alpha = 0.05;
    o.train.epochs = 8;
    o.train.batch = 16;
    o.train.optimizer.rate = 0.03;
    return o;
}

static void test_distill__validation_decides(void **state)
{
    static fixture f;

    (void)state;
    for (int is_right = 0; is_right < 2; is_right++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = net_parse(student_text);
        md_distill_opts o;
        md_distill_report r;

        begin(&f, is_right);
        o = options(&f);
        assert_md_ok(md_distill(m, &f.d, &o, &r, &err), &err);
        assert_true(r.n_held > N / 8 && r.n_held < N / 3);
        assert_int_equal(r.training.n_samples + r.n_held, N);
        assert_true(r.accuracy_alone > 0.9);
        if (is_right)
            assert_true(r.accuracy_taught > 0.9);
        else
            assert_true(r.accuracy_taught < 0.3);
        assert_int_equal(r.taught, r.accuracy_taught >= r.accuracy_alone);
        assert_int_equal(
            strstr(md_model_meta(m, "modeld.recipe"), " teacher=") != NULL,
            r.taught);
        md_dataset_release(&f.d);
        md_model_free(m);
    }
}

static void test_distill__nothing_to_decide_by_is_said(void **state)
{
    static fixture f;
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(student_text);
    md_distill_report r;
    md_distill_opts o;

    (void)state;
    begin(&f, true);
    o = options(&f);
    o.held = 0.0;
    assert_md_fails(md_distill(m, &f.d, &o, &r, &err), MD_INVALID, &err,
                    "of 240 samples 0 are held back");
    o.held = 1.0;
    assert_md_fails(md_distill(m, &f.d, &o, &r, &err), MD_INVALID, &err,
                    "of 240 samples 240 are held back");
    md_dataset_release(&f.d);
    md_model_free(m);
}

static void test_distill__out_of_memory(void **state)
{
    static fixture f;
    md_error err = MD_ERROR_INIT;
    md_status s = MD_NOMEM;

    (void)state;
    begin(&f, true);
    for (int64_t n = 0; s != MD_OK; n += 7) {
        md_distill_opts o = options(&f);
        md_distill_report r;
        fail_alloc a;
        md_model *m;

        o.train.epochs = 1;
        fail_alloc_init(&a);
        m = net_load(student_text, &a.alloc);
        fail_alloc_arm(&a, n);
        s = md_distill(m, &f.d, &o, &r, &err);
        if (fail_alloc_disarm(&a))
            assert_int_equal(s, MD_NOMEM);
        else
            assert_md_ok(s, &err);
        md_model_free(m);
        assert_int_equal(a.n_live, 0);
    }
    md_dataset_release(&f.d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distill__validation_decides),
        cmocka_unit_test(test_distill__nothing_to_decide_by_is_said),
        cmocka_unit_test(test_distill__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
