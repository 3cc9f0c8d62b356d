/* Stored arrays as inputs want them: shapes, colors, pixels, types. */
#include "support/test.h"

#include <string.h>

#include "data/dataset.h"
#include "support/net.h"

/* Element i of the stored array is i; want[k] is stored element number k of
 * the first sample, times scale and less shift[channel of k]. */
static void test_array__shapes_that_fit(void **state)
{
    static const struct {
        const char *net;
        int rank;
        int64_t dim[5];
        int64_t want[12];
    } cases[] = {
        { "x f32[B,2,3]; y = Relu(x); -> y", 3, { 2, 2, 3 }, { 0, 1, 2, 3 } },
        { "x f32[B,1,2,3]; y = Relu(x); -> y", 3, { 2, 2, 3 }, { 0, 1, 2, 3 } },
        { "x f32[B,2,3]; y = Relu(x); -> y",
          5,
          { 2, 2, 1, 3, 1 },
          { 0, 1, 2, 3 } },
        { "x f32[B,6]; y = Relu(x); -> y", 3, { 2, 2, 3 }, { 0, 1, 2, 3 } },
        { "x f32[B,H,W]; y = Relu(x); -> y", 3, { 2, 2, 3 }, { 0, 1, 2, 3 } },
        { "x f32[B,3,2,1]; y = Relu(x); -> y",
          4,
          { 2, 2, 1, 3 },
          { 0, 3, 1, 4, 2, 5 } },
        { "x f32[B,2,1,3]; y = Relu(x); -> y",
          4,
          { 2, 3, 2, 1 },
          { 0, 2, 4, 1, 3, 5 } },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_model *m = net_parse(cases[i].net);
        md_error err = MD_ERROR_INIT;
        float stored[12], got[12];
        md_tensor x = { .dtype = MD_DTYPE_F32,
                        .shape = { .rank = cases[i].rank },
                        .data = stored };
        md_tensor t = { .dtype = MD_DTYPE_F32, .data = got };
        md_dataset d;

        memcpy(x.shape.dim, cases[i].dim, sizeof(cases[i].dim));
        for (int k = 0; k < 12; k++)
            stored[k] = (float)k;
        assert_md_ok(
            md_dataset_of_tensors(&d, m, &x, NULL, md_alloc_default(), &err),
            &err);
        t.shape = md_dataset_shape(&d, 0, 2);
        assert_int_equal(md_shape_n(&t.shape), 12);
        assert_md_ok(md_dataset_read(&d, 0, NULL, 0, 2, &t, NULL, &err), &err);
        for (int k = 0; k < 4; k++) {
            assert_true(got[k] == (float)cases[i].want[k]);
            assert_true(got[6 + k] == (float)cases[i].want[k] + 6);
        }
        md_dataset_release(&d);
        md_model_free(m);
    }
}

/* Pixels of three channels in both layouts, stored in both. */
static void test_array__pixels_as_recorded(void **state)
{
    static const struct {
        const char *net;
        int64_t dim[4];
        bool stored_last, wanted_last;
    } cases[] = {
        { "x f32[B,3,4,5]; y = Relu(x); -> y", { 1, 3, 4, 5 }, false, false },
        { "x f32[B,3,4,5]; y = Relu(x); -> y", { 1, 4, 5, 3 }, true, false },
        { "x f32[B,4,5,3]; y = Relu(x); -> y", { 1, 3, 4, 5 }, false, true },
        { "x f32[B,4,5,3]; y = Relu(x); -> y", { 1, 4, 5, 3 }, true, true },
    };
    static const float mean[] = { 1, 2, 3 }, deviation[] = { 2, 4, 8 };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_model *m = net_parse(cases[i].net);
        md_error err = MD_ERROR_INIT;
        uint8_t stored[60];
        float got[60];
        md_tensor x = { .dtype = MD_DTYPE_U8,
                        .shape = { .rank = 4 },
                        .data = stored };
        md_tensor t = { .dtype = MD_DTYPE_F32, .data = got };
        md_dataset d;

        memcpy(x.shape.dim, cases[i].dim, sizeof(cases[i].dim));
        for (int k = 0; k < 60; k++)
            stored[k] = (uint8_t)(4 * k);
        assert_md_ok(md_model_set_meta(m, "modeld.image.scale", "0.5", &err),
                     &err);
        assert_md_ok(md_model_set_meta(m, "modeld.image.mean", "1,2,3", &err),
                     &err);
        assert_md_ok(md_model_set_meta(m, "modeld.image.std", "2,4,8", &err),
                     &err);
        assert_md_ok(
            md_dataset_of_tensors(&d, m, &x, NULL, md_alloc_default(), &err),
            &err);
        t.shape = md_dataset_shape(&d, 0, 1);
        assert_md_ok(md_dataset_read(&d, 0, NULL, 0, 1, &t, NULL, &err), &err);
        for (int c = 0; c < 3; c++) {
            for (int p = 0; p < 20; p++) {
                int from = cases[i].stored_last ? p * 3 + c : c * 20 + p;
                int to = cases[i].wanted_last ? p * 3 + c : c * 20 + p;

                assert_float_equal(got[to],
                                   ((float)stored[from] * 0.5f - mean[c]) /
                                       deviation[c],
                                   1e-5);
            }
        }
        md_dataset_release(&d);
        md_model_free(m);
    }
}

static void test_array__integers_of_another_width_must_fit(void **state)
{
    md_model *m = net_parse("x i32[B,2]; y = Identity(x); -> y");
    md_error err = MD_ERROR_INIT;
    int64_t stored[] = { 1, -2, 3, INT64_C(1) << 31 };
    int32_t got[4];
    md_tensor x = { .dtype = MD_DTYPE_I64,
                    .shape = { 2, { 2, 2 } },
                    .data = stored };
    md_tensor t = { .dtype = MD_DTYPE_I32,
                    .shape = { 2, { 1, 2 } },
                    .data = got };
    md_dataset d;

    (void)state;
    assert_md_ok(
        md_dataset_of_tensors(&d, m, &x, NULL, md_alloc_default(), &err), &err);
    assert_md_ok(md_dataset_read(&d, 0, NULL, 0, 1, &t, NULL, &err), &err);
    assert_true(got[0] == 1 && got[1] == -2);
    assert_md_fails(md_dataset_read(&d, 0, NULL, 1, 1, &t, NULL, &err),
                    MD_INVALID, &err,
                    "data for 'x': 2147483648 in sample 1 does not fit int32");
    md_dataset_release(&d);
    md_model_free(m);
}

/* The first of the batch is named, with any number of threads. */
static void test_array__what_is_not_finite_is_named(void **state)
{
    enum {
        N = 100
    };
    md_model *m = net_parse("x f32[B,2]; y = Relu(x); -> y");
    md_error err = MD_ERROR_INIT;
    float stored[N * 2] = { 0 }, got[N * 2];
    md_tensor x = { .dtype = MD_DTYPE_F32,
                    .shape = { 2, { N, 2 } },
                    .data = stored };
    md_tensor t = { .dtype = MD_DTYPE_F32,
                    .shape = { 2, { N, 2 } },
                    .data = got };
    md_pool *pool;
    md_dataset d;

    (void)state;
    stored[31 * 2] = __builtin_nanf("");
    stored[90 * 2 + 1] = __builtin_inff();
    assert_md_ok(md_pool_new(&pool, 3, md_alloc_default(), &err), &err);
    assert_md_ok(
        md_dataset_of_tensors(&d, m, &x, NULL, md_alloc_default(), &err), &err);
    for (int i = 0; i < 2; i++)
        assert_md_fails(
            md_dataset_read(&d, 0, NULL, 0, N, &t, i ? pool : NULL, &err),
            MD_INVALID, &err, "sample 31 holds NaN or infinity");
    md_dataset_release(&d);
    md_pool_free(pool);
    md_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_array__shapes_that_fit),
        cmocka_unit_test(test_array__pixels_as_recorded),
        cmocka_unit_test(test_array__integers_of_another_width_must_fit),
        cmocka_unit_test(test_array__what_is_not_finite_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
