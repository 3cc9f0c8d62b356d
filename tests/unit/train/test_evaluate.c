/* Evaluation by the labels' kind, alone and beside another model. */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "support/data.h"
#include "support/fail_alloc.h"
#include "support/net.h"
#include "train/evaluate.h"

/* A net, its data of n samples of `width` numbers, and its session. */
typedef struct fixture {
    md_dataset d;
    md_eval_side side;
} fixture;

static void begin(fixture *f, const char *text, const float *x, int64_t n,
                  int64_t width, const md_tensor *y)
{
    md_tensor t = { .dtype = MD_DTYPE_F32,
                    .shape = { 2, { n, width } },
                    .data = (void *)(uintptr_t)x };
    md_model *m = net_parse(text);

    f->d = data_make(m, &t, y);
    md_model_free(m);
    f->side = (md_eval_side){ net_open(text, NULL), &f->d };
}

static void end(fixture *f)
{
    md_session_free(f->side.session);
    md_dataset_release(&f->d);
}

static md_tensor classes(int64_t *v, int64_t n)
{
    return (
        md_tensor){ .dtype = MD_DTYPE_I64, .shape = { 1, { n } }, .data = v };
}

static const md_figure *figure(const md_evaluation *e, const char *name)
{
    for (int i = 0; i < e->n_figures; i++) {
        if (strcmp(e->figure[i].name, name) == 0)
            return &e->figure[i];
    }
    fail_msg("no figure %s", name);
    return NULL;
}

static void test_evaluate__classes(void **state)
{
    static const float x[] = { 3, 2, 1, 1, 3, 2, 1, 2, 3, 3, 1, 2 };
    int64_t y[] = { 0, 1, 0, 2 };
    md_tensor labels = classes(y, 4);
    md_eval_opts opts = MD_EVAL_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_evaluation e;
    fixture f;

    (void)state;
    opts.top_k = 2;
    begin(&f, "x f32[B,3]; y = Identity(x); -> y", x, 4, 3, &labels);
    assert_md_ok(md_evaluate(&e, &f.side, NULL, &opts, &err), &err);
    assert_int_equal(e.task, MD_TASK_CLASSES);
    assert_int_equal(e.n, 4);
    assert_int_equal(e.n_classes, 3);
    assert_near(figure(&e, "accuracy")->value, 0.5, 1e-12);
    assert_near(figure(&e, "top_k")->value, 0.75, 1e-12);
    assert_true(figure(&e, "accuracy")->interval.low < 0.5);
    assert_true(figure(&e, "accuracy")->interval.high > 0.5);
    assert_int_equal(e.worst.label, 2);
    end(&f);
}

/* One score: a probability or a logit, as the scores show. */
static void test_evaluate__one_score(void **state)
{
    static const float sure[] = { 0.2f, 0.7f, 0.4f, 0.9f },
                       logit[] = { -2.0f, 0.3f, -0.1f, 5.0f };

    (void)state;
    for (int i = 0; i < 2; i++) {
        int64_t y[] = { 0, 1, 1, 1 };
        md_tensor labels = classes(y, 4);
        md_eval_opts opts = MD_EVAL_OPTS_INIT;
        md_error err = MD_ERROR_INIT;
        md_evaluation e;
        fixture f;

        begin(&f, "x f32[B,1]; y = Identity(x); -> y", i ? logit : sure, 4, 1,
              &labels);
        assert_md_ok(md_evaluate(&e, &f.side, NULL, &opts, &err), &err);
        assert_int_equal(e.n_classes, 2);
        assert_near(figure(&e, "accuracy")->value, 0.75, 1e-12);
        assert_near(figure(&e, "auc")->value, 1.0, 1e-12);
        end(&f);
    }
}

static void test_evaluate__numbers(void **state)
{
    static const float x[] = { 1, 2, 3, 4 };
    float y[] = { 1, 0, 3, 5 };
    md_tensor labels = { .dtype = MD_DTYPE_F32,
                         .shape = { 2, { 2, 2 } },
                         .data = y };
    md_eval_opts opts = MD_EVAL_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_evaluation e;
    fixture f;

    (void)state;
    begin(&f, "x f32[B,2]; y = Identity(x); -> y", x, 2, 2, &labels);
    assert_md_ok(md_evaluate(&e, &f.side, NULL, &opts, &err), &err);
    assert_int_equal(e.task, MD_TASK_NUMBERS);
    assert_near(figure(&e, "mse")->value, 5.0 / 4.0, 1e-12);
    assert_near(figure(&e, "mae")->value, 3.0 / 4.0, 1e-12);
    end(&f);
}

static void test_evaluate__beside_another_model(void **state)
{
    static const float x[] = { 3, 2, 1, 3, 1, 3, 3, 2 };
    int64_t y[] = { 0, 1, 1, 0 };
    md_tensor labels = classes(y, 4);
    md_eval_opts opts = MD_EVAL_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_evaluation e;
    fixture a, b;

    (void)state;
    begin(&a, "x f32[B,2]; y = Softmax(x); -> y", x, 4, 2, &labels);
    begin(&b, "x f32[B,2]; y = Neg(x); -> y", x, 4, 2, &labels);
    assert_md_ok(md_evaluate(&e, &a.side, &b.side, &opts, &err), &err);
    assert_true(e.compared);
    assert_near(figure(&e, "accuracy")->value, 1.0, 1e-12);
    assert_near(figure(&e, "accuracy")->original, 0.0, 1e-12);
    assert_near(figure(&e, "accuracy")->difference, 1.0, 1e-12);
    assert_near(figure(&e, "accuracy")->difference_interval.low, 1.0, 1e-12);
    assert_int_equal(e.only_this, 4);
    assert_int_equal(e.only_original, 0);
    assert_near(e.p_exact, 2.0 / 16.0, 1e-12);
    assert_int_equal(e.n_same, 0);
    assert_true(e.divergence > 0.1);
    end(&b);
    end(&a);
    /* Without labels, and with the same function in another form. */
    begin(&a, "x f32[B,2]; y = Softmax(x); -> y", x, 4, 2, NULL);
    begin(&b, "x f32[B,2]; y = Identity(x); -> y", x, 4, 2, NULL);
    assert_md_ok(md_evaluate(&e, &a.side, &b.side, &opts, &err), &err);
    assert_int_equal(e.task, MD_TASK_NONE);
    assert_int_equal(e.n_same, 4);
    assert_near(e.divergence, 0.0, 1e-9);
    assert_int_equal(e.n_figures, 0);
    end(&b);
    end(&a);
}

/* Classes said outright, as trees and scikit-learn's models do. */
static void test_evaluate__an_output_of_classes(void **state)
{
    static const float x[] = { 3, 2, 1, 3, 3, 2 };
    int64_t y[] = { 0, 1, 1 };
    md_tensor labels = classes(y, 3);
    md_eval_opts opts = MD_EVAL_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_evaluation e;
    fixture f;

    (void)state;
    begin(&f, "x f32[B,2]; y = ArgMax(x) axis=1 keepdims=0; -> y", x, 3, 2,
          &labels);
    assert_md_ok(md_evaluate(&e, &f.side, NULL, &opts, &err), &err);
    assert_near(figure(&e, "accuracy")->value, 2.0 / 3.0, 1e-12);
    end(&f);
}

static void test_evaluate__what_does_not_fit_is_named(void **state)
{
    static const float x[] = { 3, 2, 1, 3, 1, 3, 3, 2 };
    static const struct {
        const char *net;
        int64_t y[4];
        bool no_labels;
        md_task task;
        const char *text;
    } cases[] = {
        { "x f32[B,2]; y = Identity(x); -> y",
          { 0, 1, 2, 0 },
          false,
          MD_TASK_AUTO,
          "labels 'y': 2 given for sample 2, 0 to 1 expected" },
        { "x f32[B,2]; y = Identity(x); -> y",
          { 1, 1, 1, 1 },
          false,
          MD_TASK_AUTO,
          "all 4 samples are of class 1, two classes or more expected" },
        { "x f32[B,2]; y = Identity(x); -> y",
          { 0 },
          true,
          MD_TASK_AUTO,
          "no labels 'y' and there is no other model" },
        { "x f32[B,2]; y = Identity(x); -> y",
          { 0, 1, 1, 0 },
          false,
          MD_TASK_NUMBERS,
          "labels 'y': 1 numbers for each sample given, 2 expected" },
        { "x f32[B,2]; y = ReduceSum(x); -> y",
          { 0, 1, 1, 0 },
          false,
          MD_TASK_AUTO,
          "a row of numbers for each expected" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        int64_t y[4];
        md_tensor labels = classes(y, 4);
        md_eval_opts opts = MD_EVAL_OPTS_INIT;
        md_error err = MD_ERROR_INIT;
        md_evaluation e;
        fixture f;
        md_status s;

        memcpy(y, cases[i].y, sizeof(y));
        opts.task = cases[i].task;
        begin(&f, cases[i].net, x, 4, 2, cases[i].no_labels ? NULL : &labels);
        s = md_evaluate(&e, &f.side, NULL, &opts, &err);
        assert_true(s == MD_INVALID || s == MD_UNSUPPORTED);
        if (!strstr(err.msg, cases[i].text))
            fail_msg("case %zu: %s", i, err.msg);
        end(&f);
    }
}

static void test_evaluate__out_of_memory(void **state)
{
    static const float x[] = { 3, 2, 1, 3, 3, 2 };
    int64_t y[] = { 0, 1, 1 };
    md_tensor t = { .dtype = MD_DTYPE_F32,
                    .shape = { 2, { 3, 2 } },
                    .data = (void *)(uintptr_t)x };
    md_tensor labels = classes(y, 3);
    md_model *m = net_parse("x f32[B,2]; y = Identity(x); -> y");
    md_session *session = net_open("x f32[B,2]; y = Identity(x); -> y", NULL);
    md_status s = MD_NOMEM;

    (void)state;
    for (int64_t n = 0; s != MD_OK; n++) {
        md_eval_opts opts = MD_EVAL_OPTS_INIT;
        md_error err = MD_ERROR_INIT;
        md_evaluation e;
        fail_alloc f;
        md_dataset d;

        fail_alloc_init(&f);
        fail_alloc_arm(&f, n);
        s = md_dataset_of_tensors(&d, m, &t, &labels, &f.alloc, &err);
        if (s == MD_OK) {
            const md_eval_side side = { session, &d };

            s = md_evaluate(&e, &side, &side, &opts, &err);
            md_dataset_release(&d);
        }
        if (fail_alloc_disarm(&f))
            assert_int_equal(s, MD_NOMEM);
        else
            assert_md_ok(s, &err);
        assert_int_equal(f.n_live, 0);
    }
    md_session_free(session);
    md_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evaluate__classes),
        cmocka_unit_test(test_evaluate__one_score),
        cmocka_unit_test(test_evaluate__numbers),
        cmocka_unit_test(test_evaluate__beside_another_model),
        cmocka_unit_test(test_evaluate__an_output_of_classes),
        cmocka_unit_test(test_evaluate__what_does_not_fit_is_named),
        cmocka_unit_test(test_evaluate__out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
