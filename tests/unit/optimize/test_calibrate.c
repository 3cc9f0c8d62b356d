/* Ranges over data, and the 8-bit parameters that come of them, by hand. */
#include "support/test.h"

#include <math.h>
#include <string.h>

#include "optimize/calibrate.h"
#include "support/build.h"
#include "support/data.h"

/* x -> Relu -> Mul 2, and samples given by the caller. */
static md_model *net(md_value_id ids[3], int64_t batch)
{
    const int64_t dims[] = { batch, 2 };
    md_model *m = md_build_model(21);

    ids[0] = md_build_input(m, "x", MD_DTYPE_F32, 2, dims);
    ids[1] = md_build_node(m, "Relu", 1, &ids[0]);
    ids[2] = md_build_node(
        m, "Mul", 2,
        (md_value_id[]){ ids[1], md_build_scalar(m, MD_DTYPE_F32, 2.0) });
    md_build_output(m, ids[2]);
    return m;
}

static md_dataset data_of(const md_model *m, md_tensor *t, float *v, int64_t n)
{
    *t = (md_tensor){ .dtype = MD_DTYPE_F32,
                      .shape = { 2, { n, 2 } },
                      .data = v };
    return data_make(m, t, NULL);
}

static uint64_t sum_of(const md_range *r)
{
    uint64_t n = 0;

    for (int i = 0; i < MD_CALIB_BINS; i++)
        n += r->bins[i];
    return n;
}

/* Inner values and the input, whatever batch the model was made for. */
static void test_calibrate__ranges_are_those_of_the_data(void **state)
{
    static const int64_t batches[] = { -1, 1 };
    static float v[34 * 2];

    (void)state;
    for (int i = 0; i < 34 * 2; i++)
        v[i] = (float)(i % 5) - 1.0f;
    v[33 * 2] = -8.0f; /* in the last, incomplete batch */
    v[33 * 2 + 1] = 6.0f;
    for (size_t i = 0; i < MD_COUNT(batches); i++) {
        static md_range r[3];
        md_error err = MD_ERROR_INIT;
        const char *names[3];
        md_value_id ids[3];
        md_model *m = net(ids, batches[i]);
        md_tensor t;
        md_dataset d = data_of(m, &t, v, 34);

        for (int k = 0; k < 3; k++)
            names[k] = m->graph->values[ids[k]].name;
        assert_md_ok(md_calibrate(r, m, names, 3, &d, NULL, &err), &err);
        assert_true(r[0].min == -8.0f && r[0].max == 6.0f);
        assert_true(r[1].min == 0.0f && r[1].max == 6.0f);
        assert_true(r[2].min == 0.0f && r[2].max == 12.0f);
        for (int k = 0; k < 3; k++)
            assert_int_equal(sum_of(&r[k]), 34 * 2);
        /* The extremes lie in the first and the last bin. */
        assert_int_equal(r[0].bins[0], 1);
        assert_int_equal(r[0].bins[MD_CALIB_BINS - 1], 1);
        /* The model was not changed. */
        assert_int_equal(m->graph->n_outputs, 1);
        md_dataset_release(&d);
        md_model_free(m);
    }
}

/* 0 belongs to every range, so that it has a code of its own. */
static void test_calibrate__zero_is_always_inside(void **state)
{
    static const struct {
        float from, min, max;
    } cases[] = { { 5.0f, 0.0f, 6.0f }, { -7.0f, -7.0f, 0.0f } };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        static md_range r;
        float v[2] = { cases[i].from, cases[i].from + 1.0f };
        md_error err = MD_ERROR_INIT;
        md_value_id ids[3];
        md_model *m = net(ids, -1);
        const char *name = "x";
        md_tensor t;
        md_dataset d = data_of(m, &t, v, 1);
        md_qparams p;

        assert_md_ok(md_calibrate(&r, m, &name, 1, &d, NULL, &err), &err);
        assert_true(r.min == cases[i].min && r.max == cases[i].max);
        p = md_range_params(&r, MD_CALIB_MINMAX);
        assert_int_equal(p.zero, cases[i].min < 0 ? 255 : 0);
        md_dataset_release(&d);
        md_model_free(m);
    }
}

static void test_calibrate__only_finite_floats(void **state)
{
    static md_range r;
    float v[2] = { 1.0f, NAN };
    md_error err = MD_ERROR_INIT;
    md_value_id ids[3], shape;
    md_model *m = net(ids, -1);
    const char *name = "x";
    md_tensor t;
    md_dataset d = data_of(m, &t, v, 1);

    (void)state;
    assert_md_fails(md_calibrate(&r, m, &name, 1, &d, NULL, &err), MD_INVALID,
                    &err, "data for 'x': sample 0 holds NaN or infinity");
    v[1] = 3e38f;
    name = m->graph->values[ids[2]].name;
    assert_md_fails(md_calibrate(&r, m, &name, 1, &d, NULL, &err), MD_INVALID,
                    &err, "becomes inf on the calibration data");
    name = "nothing";
    assert_md_fails(md_calibrate(&r, m, &name, 1, &d, NULL, &err), MD_INTERNAL,
                    &err, "no value 'nothing'");
    v[1] = 1.0f;
    shape = md_build_node(m, "Shape", 1, &ids[0]);
    name = m->graph->values[shape].name;
    assert_md_fails(md_calibrate(&r, m, &name, 1, &d, NULL, &err),
                    MD_UNSUPPORTED, &err, "of int64, a tensor of float32");
    md_dataset_release(&d);
    md_model_free(m);
}

static void test_calibrate__minmax_by_the_formula(void **state)
{
    static const struct {
        float min, max, scale;
        int zero;
    } cases[] = {
        { 0.0f, 255.0f, 1.0f, 0 },
        { -255.0f, 0.0f, 1.0f, 255 },
        { -128.0f, 127.0f, 1.0f, 128 },
        /* Ties go to the even code. */
        { -0.5f, 254.5f, 1.0f, 0 },
        { -1.5f, 253.5f, 1.0f, 2 },
        { -2.5f, 252.5f, 1.0f, 2 },
        /* 1 / scale is just below 127.5 in float32. */
        { -1.0f, 1.0f, 2.0f / 255.0f, 127 },
        { 0.0f, 0.0f, 1.0f, 0 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_range r = { .min = cases[i].min, .max = cases[i].max };
        md_qparams p = md_range_params(&r, MD_CALIB_MINMAX);

        assert_true(p.scale == cases[i].scale);
        assert_int_equal(p.zero, cases[i].zero);
    }
}

/* Bins are one wide here: bin i is about i + 0.5. */
static md_range unit_bins(void)
{
    return (md_range){ .min = 0.0f, .max = (float)MD_CALIB_BINS };
}

/* One sample in ten thousand may be cut off at either end, no more. */
static void test_calibrate__percentile_cuts_the_tails(void **state)
{
    static const struct {
        uint64_t low, body, high;
        float top; /* that the range keeps */
    } cases[] = {
        { 0, 10000, 1, 100.5f },    /* 1 of 10001 */
        { 0, 9998, 1, 2047.5f },    /* 1 of 9999 is more */
        { 0, 30000, 3, 100.5f },    /* 3 of 30003 */
        { 0, 30000, 4, 2047.5f },   /* 4 are more */
        { 20000, 10000, 3, 100.5f } /* counted over all */
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_range r = unit_bins();
        md_qparams p;

        r.bins[0] = cases[i].low;
        r.bins[100] = cases[i].body;
        r.bins[MD_CALIB_BINS - 1] = cases[i].high;
        p = md_range_params(&r, MD_CALIB_PERCENTILE);
        assert_true(p.scale == cases[i].top / 255.0f);
        assert_int_equal(p.zero, 0); /* 0 stays, though nothing is there */
    }
}

static void test_calibrate__percentile_cuts_below_zero_too(void **state)
{
    md_range r = { .min = -1024.0f, .max = 1024.0f };
    md_qparams p;

    (void)state;
    r.bins[0] = r.bins[MD_CALIB_BINS - 1] = 1;
    r.bins[1024 - 10] = 50000; /* -9.5 */
    r.bins[1024 + 30] = 50000; /* 30.5 */
    p = md_range_params(&r, MD_CALIB_PERCENTILE);
    assert_true(p.scale == 40.0f / 255.0f);
    assert_int_equal(p.zero, 61); /* 9.5 * 255 / 40 = 60.56 */
}

/* The error of a range over the histogram, as the definition says. */
static double error_of(const md_range *r, float min, float max)
{
    double scale = ((double)max - (double)min) / 255.0;
    double zero = nearbyint(-(double)min / scale);
    double width = ((double)r->max - (double)r->min) / MD_CALIB_BINS;
    double sum = 0;

    for (int i = 0; i < MD_CALIB_BINS; i++) {
        double x = (double)r->min + (i + 0.5) * width;
        double q = fmin(fmax(nearbyint(x / scale) + zero, 0), 255);

        sum += (double)r->bins[i] * pow(x - (q - zero) * scale, 2);
    }
    return sum;
}

static void test_calibrate__mse_has_the_least_error(void **state)
{
    md_range r = unit_bins();
    md_qparams p;
    double least;

    (void)state;
    /* Many small values and few large: cutting pays. */
    for (int i = 0; i < 900; i++)
        r.bins[i] = 1000;
    r.bins[MD_CALIB_BINS - 1] = 1;
    p = md_range_params(&r, MD_CALIB_MSE);
    least = error_of(&r, 0, 255.0f * p.scale);
    assert_true(p.scale < 0.7f * (float)MD_CALIB_BINS / 255.0f);
    for (int percent = 40; percent <= 100; percent++) {
        float k = (float)percent / 100.0f * (float)MD_CALIB_BINS;

        /* Float against double: a code may fall to the other side. */
        assert_true(least <= error_of(&r, 0, k) * 1.001);
    }
    /* Evenly spread to the end: nothing to gain. */
    for (int i = 0; i < MD_CALIB_BINS; i++)
        r.bins[i] = 1000;
    p = md_range_params(&r, MD_CALIB_MSE);
    assert_true(p.scale > 0.97f * (float)MD_CALIB_BINS / 255.0f);
}

/* Relu's zeros, a bell over [0, 2), and one value far out. */
static void test_calibrate__entropy_clips_what_is_rare(void **state)
{
    static md_range r;
    md_qparams p;

    (void)state;
    r = (md_range){ .min = 0.0f, .max = 16.0f };
    r.bins[0] = 1000000;
    for (int i = 0; i < 256; i++)
        r.bins[i] += (uint64_t)(10000.0 * exp(-0.0005 * (i - 128) * (i - 128)));
    r.bins[MD_CALIB_BINS - 1] = 1;
    p = md_range_params(&r, MD_CALIB_ENTROPY);
    assert_int_equal(p.zero, 0);
    assert_true(p.scale * 255.0f < 6.0f);
    assert_true(p.scale * 255.0f >= 2.0f);
    /* Even numbers: nothing to clip. */
    for (int i = 0; i < MD_CALIB_BINS; i++)
        r.bins[i] = 100;
    p = md_range_params(&r, MD_CALIB_ENTROPY);
    assert_near((double)p.scale * 255.0, 16.0, 0.01);
    r = (md_range){ .min = 0.0f, .max = 0.0f };
    assert_true(md_range_params(&r, MD_CALIB_ENTROPY).scale == 1.0f);
    for (int i = 0; i <= MD_CALIB_ENTROPY; i++)
        assert_true(strlen(md_calib_method_name((md_calib_method)i)) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calibrate__ranges_are_those_of_the_data),
        cmocka_unit_test(test_calibrate__zero_is_always_inside),
        cmocka_unit_test(test_calibrate__only_finite_floats),
        cmocka_unit_test(test_calibrate__minmax_by_the_formula),
        cmocka_unit_test(test_calibrate__percentile_cuts_the_tails),
        cmocka_unit_test(test_calibrate__percentile_cuts_below_zero_too),
        cmocka_unit_test(test_calibrate__mse_has_the_least_error),
        cmocka_unit_test(test_calibrate__entropy_clips_what_is_rare),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
