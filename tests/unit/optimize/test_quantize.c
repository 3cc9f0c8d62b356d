/*
 * Quantization of small graphs and, against labels, of the trained example
 * nets.
 */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convert/convert.h"
#include "optimize/quantize.h"
#include "support/build.h"
#include "support/data.h"
#include "support/fail_alloc.h"
#include "support/net.h"
#include "tensor/compare.h"
#include "train/evaluate.h"

/* Data of n samples for the only input. */
static md_dataset make_data(md_tensor *x, const md_model *m, int64_t n,
                            int rank, const int64_t *dims)
{
    md_error err = MD_ERROR_INIT;
    md_shape shape = { .rank = rank };

    memcpy(shape.dim, dims, sizeof(dims[0]) * (size_t)rank);
    shape.dim[0] = n;
    assert_md_ok(
        md_tensor_alloc(x, MD_DTYPE_F32, &shape, md_alloc_default(), &err),
        &err);
    md_build_fill(x->data, md_tensor_n(x), 1.0f, 3);
    return data_make(m, x, NULL);
}

static md_model *net(md_value_id *x, md_value_id *y)
{
    const int64_t in[] = { -1, 3, 8, 8 }, w[] = { 20, 3, 3, 3 }, oc = 20;
    const int64_t two[] = { 2, 2 }, fc[] = { 180, 7 };
    md_model *m = md_build_model(21);

    *x = md_build_input(m, "x", MD_DTYPE_F32, 4, in);
    *y = md_build_node(m, "Conv", 3,
                       (md_value_id[]){ *x, md_build_random(m, 4, w, 0.3f, 1),
                                        md_build_random(m, 1, &oc, 0.2f, 2) });
    *y = md_build_node(m, "Relu", 1, y);
    *y = md_build_node(m, "MaxPool", 1, y);
    md_build_attr_ints(m, *y, "kernel_shape", 2, two);
    md_build_attr_ints(m, *y, "strides", 2, two);
    *y = md_build_node(m, "Flatten", 1, y);
    *y = md_build_node(
        m, "MatMul", 2,
        (md_value_id[]){ *y, md_build_random(m, 2, fc, 0.1f, 4) });
    md_build_output(m, *y);
    return m;
}

static uint32_t count_op(const md_model *m, const char *op)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < m->graph->n_nodes; i++)
        n += strcmp(m->graph->nodes[i]->op, op) == 0;
    return n;
}

static void run_model(md_tensor *out, const md_model *m, const md_tensor *x)
{
    md_error err = MD_ERROR_INIT;
    md_model *copy;
    md_session *s;

    assert_md_ok(md_model_copy(&copy, m, &err), &err);
    assert_md_ok(md_session_new(&s, copy, NULL, &err), &err);
    assert_md_ok(md_session_run(s, x, out, md_alloc_default(), &err), &err);
    md_session_free(s);
}

static void test_quantize__a_chain_stays_integer(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_value_id x, y;
    md_model *m = net(&x, &y);
    md_tensor data;
    md_dataset d = make_data(&data, m, 12, 4, (const int64_t[]){ 12, 3, 8, 8 });
    md_quantize_report r;
    md_tensor before, after;
    md_diff diff;

    (void)state;
    run_model(&before, m, &data);
    assert_md_ok(md_quantize(m, &d, NULL, &r, &err), &err);
    assert_int_equal(r.n_nodes, 2);
    assert_int_equal(r.n_left, 0);
    /* The input, and one range for Relu, pool and Flatten together. */
    assert_int_equal(r.n_activations, 2);
    assert_int_equal(count_op(m, "QuantizeLinear"), 4);
    assert_true(r.weights_int * 3 < r.weights_float);
    run_model(&after, m, &data);
    (void)md_tensor_compare(&diff, &after, &before, 0, 0, NULL);
    assert_true(diff.cosine > 0.999);
    assert_true(diff.abs_max > 0.0);
    md_tensor_release(&before);
    md_tensor_release(&after);
    md_dataset_release(&d);
    md_tensor_release(&data);
    md_model_free(m);
}

static void test_quantize__old_or_unfit_models_are_refused(void **state)
{
    const int64_t in[] = { -1, 4 };
    md_error err = MD_ERROR_INIT;
    md_value_id x, y;
    md_model *m = net(&x, &y);
    md_tensor data;
    md_dataset d = make_data(&data, m, 2, 4, (const int64_t[]){ 2, 3, 8, 8 });

    (void)state;
    assert_md_ok(md_model_set_opset(m, "", 12, &err), &err);
    assert_md_fails(md_quantize(m, &d, NULL, NULL, &err), MD_UNSUPPORTED, &err,
                    "imports opset 12, 13 or later expected");
    md_dataset_release(&d);
    md_tensor_release(&data);
    md_model_free(m);
    m = md_build_model(21);
    x = md_build_input(m, "x", MD_DTYPE_F32, 2, in);
    md_build_output(m, md_build_node(m, "Relu", 1, &x));
    d = make_data(&data, m, 2, 2, (const int64_t[]){ 2, 4 });
    assert_md_fails(md_quantize(m, &d, NULL, NULL, &err), MD_UNSUPPORTED, &err,
                    "no Conv, Gemm or MatMul");
    md_dataset_release(&d);
    md_tensor_release(&data);
    md_model_free(m);
}

static void test_quantize__infinite_values_are_named(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_value_id x, y;
    md_model *m = net(&x, &y);
    md_tensor data;
    md_dataset d = make_data(&data, m, 2, 4, (const int64_t[]){ 2, 3, 8, 8 });

    (void)state;
    for (int64_t i = 0; i < md_tensor_n(&data); i++)
        ((float *)data.data)[i] = 3e38f;
    assert_md_fails(md_quantize(m, &d, NULL, NULL, &err), MD_INVALID, &err,
                    "inf on the calibration data");
    md_dataset_release(&d);
    md_tensor_release(&data);
    md_model_free(m);
}

static void test_quantize__ranges_become_parameters(void **state)
{
    md_range r = { .min = -1.0f, .max = 4.1f };
    md_qparams p;

    (void)state;
    p = md_range_params(&r, MD_CALIB_MINMAX);
    assert_float_equal(p.scale, 0.02f, 1e-6);
    assert_int_equal(p.zero, 50);
    /* Nothing but zeros: any scale will do, but it must be one. */
    r = (md_range){ 0 };
    p = md_range_params(&r, MD_CALIB_MINMAX);
    assert_float_equal(p.scale, 1.0f, 0);
    /* One value far out is cut off. */
    r = (md_range){ .min = 0.0f, .max = 100.0f };
    r.bins[0] = r.bins[20] = 1000000;
    r.bins[MD_CALIB_BINS - 1] = 1;
    p = md_range_params(&r, MD_CALIB_PERCENTILE);
    assert_true(p.scale < 1.1f / 255.0f);
    assert_true(md_range_params(&r, MD_CALIB_MSE).scale <= 100.0f / 255.0f);
}

static md_model *convert_example(const char *name, md_dataset *calib,
                                 md_dataset *test)
{
    md_error err = MD_ERROR_INIT;
    md_model *m;
    char path[512];

    snprintf(path, sizeof(path), "%s/fashion/%s.keras", MD_EXAMPLES_DIR, name);
    assert_md_ok(md_convert(&m, path, NULL, NULL, md_alloc_default(), &err),
                 &err);
    snprintf(path, sizeof(path), "%s/fashion/%s.calib.npz", MD_EXAMPLES_DIR,
             name);
    assert_md_ok(md_dataset_open(calib, path, m, NULL, &err), &err);
    snprintf(path, sizeof(path), "%s/fashion/%s.test.npz", MD_EXAMPLES_DIR,
             name);
    assert_md_ok(md_dataset_open(test, path, m, NULL, &err), &err);
    return m;
}

static void test_quantize__trained_nets_keep_their_accuracy(void **state)
{
    static const struct {
        const char *name;
        double accuracy; /* of the original on these images, README-tf.md */
    } nets[] = { { "seed_cnn", 0.920 }, { "fmnist_bn", 0.908 } };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(nets); i++) {
        md_error err = MD_ERROR_INIT;
        double before, after;
        md_dataset calib, test;
        md_model *m = convert_example(nets[i].name, &calib, &test);

        assert_md_ok(md_accuracy(&before, m, &test, NULL, &err), &err);
        assert_float_equal(before, nets[i].accuracy, 1e-6);
        assert_md_ok(md_quantize(m, &calib, NULL, NULL, &err), &err);
        assert_md_ok(md_accuracy(&after, m, &test, NULL, &err), &err);
        assert_true(fabs(after - before) <= 0.003 + 1e-9);
        md_dataset_release(&calib);
        md_dataset_release(&test);
        md_model_free(m);
    }
}

static void test_quantize__data_that_does_not_fit_is_named(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_value_id x, y;
    md_model *m = net(&x, &y);
    md_dataset d;

    (void)state;
    assert_md_fails(
        md_dataset_open(&d, MD_EXAMPLES_DIR "/fashion/seed_cnn.test.npz", m,
                        NULL, &err),
        MD_INVALID, &err, "data for 'x': [500,32,32,3] given");
    assert_true(md_dataset_open(&d, "/nonexistent.npz", m, NULL, &err) !=
                MD_OK);
    assert_md_fails(md_dataset_open(&d, MD_EXAMPLES_DIR "/fashion/README.md", m,
                                    NULL, &err),
                    MD_UNSUPPORTED, &err, "is no data");
    md_model_free(m);
}

static void test_quantize__out_of_memory_with_corrections(void **state)
{
    static const char text[] =
        "x f32[N,1,4,4]; w = f32[3,1,3,3]~0.4; b = f32[3]~1; a = Conv(x, w, b);"
        " r = Relu(a); f = Flatten(r); w2 = f32[12,2]~0.4; b2 = f32[2]~1; y = "
        "Gemm(f, w2, b2); -> y";
    float x[32];
    const md_tensor t = { .dtype = MD_DTYPE_F32,
                          .shape = { 4, { 2, 1, 4, 4 } },
                          .data = x };
    const md_quantize_opts o = { .method = MD_CALIB_MINMAX,
                                 .correct_bias = true };
    md_error err = MD_ERROR_INIT;
    md_status s = MD_NOMEM;

    (void)state;
    for (int i = 0; i < 32; i++)
        x[i] = (float)(i % 7) - 2.0f;
    for (int64_t n = 0; s != MD_OK; n += 3) {
        md_sensitivity *layer;
        md_quantize_report r;
        uint32_t n_layers;
        fail_alloc f;
        md_dataset d;
        md_model *m;
        md_arena ar;

        fail_alloc_init(&f);
        m = net_load(text, &f.alloc);
        d = data_make(m, &t, NULL);
        md_arena_init(&ar, &f.alloc, 0);
        fail_alloc_arm(&f, n);
        s = md_quantize_sensitivity(&layer, &n_layers, m, &d, &o, &ar, &err);
        if (s == MD_OK)
            s = md_quantize(m, &d, &o, &r, &err);
        if (fail_alloc_disarm(&f)) {
            assert_int_equal(s, MD_NOMEM);
        } else {
            assert_md_ok(s, &err);
            assert_int_equal(n_layers, 2);
            assert_int_equal(r.n_corrected, 2);
            assert_true(layer[0].snr > 10.0 && layer[1].snr > 10.0);
        }
        md_arena_release(&ar);
        md_dataset_release(&d);
        md_model_free(m);
        assert_int_equal(f.n_live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantize__a_chain_stays_integer),
        cmocka_unit_test(test_quantize__old_or_unfit_models_are_refused),
        cmocka_unit_test(test_quantize__infinite_values_are_named),
        cmocka_unit_test(test_quantize__ranges_become_parameters),
        cmocka_unit_test(test_quantize__trained_nets_keep_their_accuracy),
        cmocka_unit_test(test_quantize__data_that_does_not_fit_is_named),
        cmocka_unit_test(test_quantize__out_of_memory_with_corrections),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
