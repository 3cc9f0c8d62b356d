/* What a teacher says, and students that learn from it with and without
 * labels. */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "support/data.h"
#include "support/net.h"
#include "train/trainer.h"

enum {
    N = 120
};

static const char teacher_text[] =
    "x f32[N,2]; w = f32[2,3]{3 -3 0 0 0 5}; b = f32[3]{0 0 -1}; h = Gemm(x, "
    "w, b); y = Softmax(h); -> y";
static const char student_text[] =
    "x f32[N,2]; w = f32[2,8]~0.5; b = f32[8]{=0}; h = Gemm(x, w, b); r = "
    "Relu(h); w2 = f32[8,3]~0.5; b2 = f32[3]{=0}; g = Gemm(r, w2, b2); y = "
    "Softmax(g); -> y";

typedef struct fixture {
    md_model *teacher;
    md_dataset d;
    float x[2 * N];
    int64_t y[N];
} fixture;

/* Labels are what the teacher finds most likely. */
static void begin(fixture *f, bool labels)
{
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
        const float a = f->x[2 * i], b = f->x[2 * i + 1];

        f->y[i] = 5 * b - 1 > fabsf(3 * a) ? 2 : a < 0;
    }
    f->teacher = net_parse(teacher_text);
    f->d = data_make(f->teacher, &x, labels ? &y : NULL);
}

static void end(fixture *f)
{
    md_dataset_release(&f->d);
    md_model_free(f->teacher);
}

static void test_teacher__scores_are_those_before_softmax(void **state)
{
    static fixture f;
    md_error err = MD_ERROR_INIT;
    md_teacher t;
    float row[3];

    (void)state;
    begin(&f, false);
    assert_md_ok(md_teacher_make(&t, f.teacher, &f.d, NULL, &err), &err);
    assert_int_equal(t.n, N);
    assert_int_equal(t.width, 3);
    for (int i = 0; i < N; i += 17) {
        const double a = f.x[2 * i], b = f.x[2 * i + 1];
        const double z[3] = { 3 * a, -3 * a, 5 * b - 1 };
        double sum = 0.0;

        for (int c = 0; c < 3; c++) {
            assert_near((double)t.scores[3 * i + c], z[c], 1e-5);
            sum += exp(z[c] / 2.0);
        }
        md_teacher_row(&t, i, 2.0, row);
        for (int c = 0; c < 3; c++)
            assert_near((double)row[c], exp(z[c] / 2.0) / sum, 1e-6);
    }
    md_teacher_release(&t);
    end(&f);
}

/* Returns the student's accuracy against what the teacher says. */
static double learn(fixture *f, double alpha, md_train_report *r)
{
    md_error err = MD_ERROR_INIT;
    md_train_opts o = MD_TRAIN_OPTS_INIT;
    md_model *m = net_parse(student_text);
    md_teacher t;
    int64_t right = 0;
    md_teacher says;

    assert_md_ok(md_teacher_make(&t, f->teacher, &f->d, NULL, &err), &err);
    o.epochs = 30;
    o.batch = 12;
    o.optimizer.rate = 0.02;
    o.teacher = &t;
    o.temperature = 2.0;
    o.alpha = alpha;
    assert_md_ok(md_train(m, &f->d, &o, r, &err), &err);
    assert_non_null(
        strstr(md_model_meta(m, "modeld.recipe"), " temperature=2 alpha="));
    assert_md_ok(md_teacher_make(&says, m, &f->d, NULL, &err), &err);
    for (int i = 0; i < N; i++) {
        const float *z = says.scores + (ptrdiff_t)3 * i;
        int best = z[1] > z[0];

        best = z[2] > z[best] ? 2 : best;
        right += best == f->y[i];
    }
    md_teacher_release(&says);
    md_teacher_release(&t);
    md_model_free(m);
    return (double)right / N;
}

static void test_teacher__students_learn(void **state)
{
    static fixture f;
    md_train_report r;

    (void)state;
    begin(&f, true);
    assert_true(learn(&f, 0.3, &r) > 0.93);
    assert_true(r.last_accuracy > 0.9);
    end(&f);
    begin(&f, false); /* from what the teacher says alone */
    assert_true(learn(&f, 0.3, &r) > 0.93);
    assert_true(isnan(r.last_accuracy));
    assert_true(r.last_loss < r.first_loss);
    end(&f);
}

static void test_teacher__what_does_not_fit_is_said(void **state)
{
    static fixture f;
    md_error err = MD_ERROR_INIT;
    md_model *one = net_parse("x f32[N,2]; w = f32[2,1]~1; y = MatMul(x, w); "
                              "-> y");
    md_model *wide = net_parse("x f32[N,2]; w = f32[2,4]~1; y = MatMul(x, w); "
                               "-> y");
    md_model *bad = net_parse("x f32[N,2]; w = f32[2,3]~1; a = MatMul(x, w); b"
                              " = Log(a); y = Sqrt(b); -> y");
    md_model *m = net_parse(student_text);
    md_train_opts o = MD_TRAIN_OPTS_INIT;
    md_train_report r;
    md_teacher t;

    (void)state;
    begin(&f, true);
    assert_md_fails(md_teacher_make(&t, one, &f.d, NULL, &err), MD_INVALID,
                    &err, "the teacher gives 1 value for each sample");
    assert_md_fails(md_teacher_make(&t, bad, &f.d, NULL, &err), MD_INVALID,
                    &err, "the teacher's scores for sample");
    assert_md_ok(md_teacher_make(&t, wide, &f.d, NULL, &err), &err);
    o.teacher = &t;
    assert_md_fails(md_train(m, &f.d, &o, &r, &err), MD_INVALID, &err,
                    "the teacher gives 4 scores for 120 samples");
    md_teacher_release(&t);
    end(&f);
    md_model_free(one);
    md_model_free(wide);
    md_model_free(bad);
    md_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_teacher__scores_are_those_before_softmax),
        cmocka_unit_test(test_teacher__students_learn),
        cmocka_unit_test(test_teacher__what_does_not_fit_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
