/* Running over data: batches, and the share of samples that are right. */
#include "support/test.h"

#include <string.h>

#include "support/data.h"
#include "support/net.h"
#include "train/evaluate.h"

/* Scores are the inputs: the largest of three is the class. */
static const char scores[] = "x f32[N,3]; y = Identity(x); -> y";

typedef struct fixture {
    md_model *m;
    md_tensor x, y;
    md_dataset d;
} fixture;

static void begin(fixture *f, const char *text, float *x, int64_t n, int64_t *y)
{
    f->m = net_parse(text);
    f->x = (md_tensor){ .dtype = MD_DTYPE_F32,
                        .shape = { 2, { n, 3 } },
                        .data = x };
    f->y =
        (md_tensor){ .dtype = MD_DTYPE_I64, .shape = { 1, { n } }, .data = y };
    f->d = data_make(f->m, &f->x, y ? &f->y : NULL);
}

static void end(fixture *f)
{
    md_dataset_release(&f->d);
    md_model_free(f->m);
}

/* Ties go to the first class, as numpy's argmax has it. */
static void test_runner__accuracy_counts_the_largest(void **state)
{
    static float x[5 * 3] = { 1, 2, 3, 3, 2, 1, 0, 5, 5, -1, -2, -3, 0, 0, 0 };
    static const struct {
        int64_t y[5];
        double accuracy;
    } cases[] = {
        { { 2, 0, 1, 0, 0 }, 1.0 },
        { { 2, 0, 2, 0, 0 }, 0.8 },
        { { 0, 1, 2, 2, 1 }, 0.0 },
        { { 2, 0, 0, 1, 1 }, 0.4 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        int64_t y[5];
        double got = -1;
        fixture f;

        memcpy(y, cases[i].y, sizeof(y));
        begin(&f, scores, x, 5, y);
        assert_md_ok(md_accuracy(&got, f.m, &f.d, NULL, &err), &err);
        assert_float_equal(got, cases[i].accuracy, 1e-12);
        end(&f);
    }
}

/* A label that is no class would only make the accuracy small. */
static void test_runner__labels_are_classes(void **state)
{
    static float x[2 * 3];
    static const struct {
        int64_t y[2];
        const char *text;
    } cases[] = {
        { { 0, 3 }, "labels 'y': 3 given for sample 1, 0 to 2 expected" },
        { { -1, 0 }, "labels 'y': -1 given for sample 0, 0 to 2 expected" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        int64_t y[2] = { cases[i].y[0], cases[i].y[1] };
        double got;
        fixture f;

        begin(&f, scores, x, 2, y);
        assert_md_fails(md_accuracy(&got, f.m, &f.d, NULL, &err), MD_INVALID,
                        &err, cases[i].text);
        end(&f);
        begin(&f, scores, x, 2, NULL);
        assert_md_fails(md_accuracy(&got, f.m, &f.d, NULL, &err), MD_INVALID,
                        &err, "the data has no labels 'y'");
        end(&f);
    }
}

/* Which samples each execution had, and how many. */
typedef struct seen {
    int64_t from[8], n[8];
    int count;
} seen;

static md_status note(void *ctx, const md_run *r, int64_t from, int64_t n,
                      md_error *err)
{
    seen *s = ctx;
    const float *y = md_run_output(r, 0)->data;

    (void)err;
    assert_true(s->count < 8);
    for (int64_t i = 0; i < n * 3; i++)
        assert_true(y[i] == (float)(from * 3 + i));
    s->from[s->count] = from;
    s->n[s->count++] = n;
    return MD_OK;
}

static void test_runner__batches_cover_all_samples_once(void **state)
{
    static const struct {
        const char *text;
        int64_t n, batch;
        int count;
        int64_t last; /* samples of the last execution */
    } cases[] = {
        { scores, 10, 4, 3, 2 },
        { scores, 8, 4, 2, 4 },
        { scores, 3, 16, 1, 3 },
        { "x f32[1,3]; y = Identity(x); -> y", 5, 4, 5, 1 },
        { "x f32[5,3]; y = Identity(x); -> y", 10, 4, 2, 5 },
    };
    static float x[10 * 3];

    (void)state;
    for (int i = 0; i < 30; i++)
        x[i] = (float)i;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_session *s = net_open(cases[i].text, NULL);
        md_error err = MD_ERROR_INIT;
        seen got = { .count = 0 };
        fixture f;

        begin(&f, cases[i].text, x, cases[i].n, NULL);
        assert_md_ok(
            md_run_over(s, &(md_sweep){ .data = &f.d, .batch = cases[i].batch },
                        note, &got, &err),
            &err);
        assert_int_equal(got.count, cases[i].count);
        assert_int_equal(got.n[got.count - 1], cases[i].last);
        assert_int_equal(got.from[got.count - 1] + got.n[got.count - 1],
                         cases[i].n);
        md_session_free(s);
        end(&f);
    }
}

static void test_runner__a_fixed_batch_divides_the_samples(void **state)
{
    static const char text[] = "x f32[4,3]; y = Identity(x); -> y";
    static float x[10 * 3];
    md_session *s = net_open(text, NULL);
    md_error err = MD_ERROR_INIT;
    seen got = { .count = 0 };
    fixture f;

    (void)state;
    begin(&f, text, x, 10, NULL);
    assert_md_fails(md_run_over(s, &(md_sweep){ .data = &f.d, .batch = 16 },
                                note, &got, &err),
                    MD_INVALID, &err,
                    "data for 'x': 10 samples given, a multiple of the model's "
                    "batch of 4 expected");
    assert_int_equal(got.count, 0); /* before anything ran */
    md_session_free(s);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runner__accuracy_counts_the_largest),
        cmocka_unit_test(test_runner__labels_are_classes),
        cmocka_unit_test(test_runner__batches_cover_all_samples_once),
        cmocka_unit_test(test_runner__a_fixed_batch_divides_the_samples),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
