/* Running statistics anew, against those of numbers in the test. */
#include "support/test.h"

#include <math.h>

#include "support/data.h"
#include "support/net.h"
#include "train/renorm.h"

enum {
    N = 10
};

static const char net_text[] =
    "x f32[N,2]; s = f32[2]{2 1}; b = f32[2]{0 1}; m = f32[2]{9 9}; v = "
    "f32[2]{5 5}; y = BatchNormalization(x, s, b, m, v); r = Relu(y); m2 = "
    "f32[2]{9 9}; v2 = f32[2]{5 5}; z = BatchNormalization(r, s, b, m2, v2); "
    "-> z";

static double value(const md_model *m, const char *name, int64_t i)
{
    return md_tensor_get_f64(
        m->graph->values[md_graph_find(m->graph, name)].cdata, i);
}

static void test_renorm__statistics_are_the_data_s(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse(net_text);
    float x[2 * N];
    md_tensor t = { .dtype = MD_DTYPE_F32,
                    .shape = { 2, { N, 2 } },
                    .data = x };
    double mean = 0.0, var = 0.0, mean2 = 0.0;
    md_dataset d;
    uint32_t n;

    (void)state;
    for (int i = 0; i < N; i++) {
        x[2 * i] = (float)(i * i % 7);
        x[2 * i + 1] = 3.0f;
        mean += x[2 * i] / N;
    }
    for (int i = 0; i < N; i++)
        var += (x[2 * i] - mean) * (x[2 * i] - mean) / N;
    for (int i = 0; i < N; i++)
        mean2 += fmax(2.0 * (x[2 * i] - mean) / sqrt(var + 1e-5), 0.0) / N;
    d = data_make(m, &t, NULL);
    /* All at once: exact; in two batches the total is the same for the first
     * one. */
    for (int64_t batch = N; batch >= N / 2; batch -= N / 2) {
        const md_sweep sweep = { .data = &d, .batch = batch };

        assert_md_ok(md_renorm(m, &sweep, &n, &err), &err);
        assert_int_equal(n, 2);
        assert_near(value(m, "m", 0), mean, 1e-5);
        assert_near(value(m, "v", 0), var, 1e-4);
        assert_near(value(m, "m", 1), 3.0, 1e-6);
        assert_near(value(m, "v", 1), 0.0, 1e-6);
        if (batch == N)
            assert_near(value(m, "m2", 0), mean2, 1e-4);
        assert_near(value(m, "m2", 1), 1.0, 1e-2);
    }
    md_dataset_release(&d);
    md_model_free(m);
}

static void test_renorm__without_any_nothing_happens(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = net_parse("x f32[N,2]; y = Relu(x); -> y");
    float x[2] = { 1, 2 };
    md_tensor t = { .dtype = MD_DTYPE_F32,
                    .shape = { 2, { 1, 2 } },
                    .data = x };
    md_dataset d = data_make(m, &t, NULL);
    const md_sweep sweep = { .data = &d, .batch = 4 };
    uint32_t n = 7;

    (void)state;
    assert_md_ok(md_renorm(m, &sweep, &n, &err), &err);
    assert_int_equal(n, 0);
    md_dataset_release(&d);
    md_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renorm__statistics_are_the_data_s),
        cmocka_unit_test(test_renorm__without_any_nothing_happens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
