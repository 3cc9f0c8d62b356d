/*
 * Keras models end to end: the committed ones and, where MODELD_TF_MODELS
 * names a folder, all of tf-models, against the outputs that Keras gave; and
 * layers built here, against values worked out by hand.
 */
#include "support/test.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convert/convert.h"
#include "engine/session.h"
#include "formats/npy.h"
#include "ops/eval.h"
#include "support/fail_alloc.h"
#include "support/h5_build.h"
#include "tensor/compare.h"

static uint32_t count_ops(const md_model *m, const char *op)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < m->graph->n_nodes; i++)
        n += strcmp(m->graph->nodes[i]->op, op) == 0;
    return n;
}

/* Set N of the vectors beside a committed model, run by the engine. */
static void check_set(md_session *s, const char *folder, int set)
{
    md_tensor t[3] = { MD_TENSOR_INIT, MD_TENSOR_INIT, MD_TENSOR_INIT };
    static const char *const name[] = { "input_0", "output_0" };
    md_error err = MD_ERROR_INIT;
    char path[512];

    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path),
                 MD_EXAMPLES_DIR "/fashion/%s/test_data_set_%d/%s.npy", folder,
                 set, name[i]);
        assert_md_ok(md_npy_load(&t[i], path, md_alloc_default(), &err), &err);
    }
    assert_md_ok(md_session_run(s, &t[0], &t[2], md_alloc_default(), &err),
                 &err);
    assert_md_ok(md_tensor_compare(NULL, &t[2], &t[1], 1e-5, 0, &err), &err);
    for (int i = 0; i < 3; i++)
        md_tensor_release(&t[i]);
}

static void test_keras__committed_models(void **state)
{
    static const struct {
        const char *file, *vectors, *input, *output;
        uint32_t n_layers;
    } cases[] = {
        { "seed_cnn.keras", "seed_cnn.vectors", "input_layer", "dense_1", 8 },
        { "seed_cnn.h5", "seed_cnn.vectors", "input_layer", "dense_1", 8 },
        { "fmnist_bn.keras", "fmnist_bn.vectors", "image", "label", 17 },
        { "fmnist_bn.h5", "fmnist_bn.vectors", "image", "label", 17 },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_convert_report report;
        char path[512];
        md_session *s = NULL;
        md_model *m = NULL;

        snprintf(path, sizeof(path), MD_EXAMPLES_DIR "/fashion/%s",
                 cases[i].file);
        assert_md_ok(
            md_convert(&m, path, NULL, &report, md_alloc_default(), &err),
            &err);
        assert_string_equal(report.format, "keras");
        assert_int_equal(report.n_layers, cases[i].n_layers);
        assert_true(report.ran);
        /* One at the NHWC input, none inside. */
        assert_int_equal(count_ops(m, "Transpose"), 1);
        assert_int_equal(report.n_transposes, 1);
        assert_int_equal(md_model_opset(m, ""), 21);
        assert_string_equal(md_model_meta(m, "modeld.source"), "keras");
        assert_string_equal(md_model_meta(m, "modeld.source_version"),
                            report.version);
        assert_md_ok(md_session_new(&s, m, NULL, &err), &err);
        assert_string_equal(md_session_input(s, 0)->name, cases[i].input);
        assert_string_equal(md_session_output(s, 0)->name, cases[i].output);
        for (int set = 0; set < 2; set++)
            check_set(s, cases[i].vectors, set);
        md_session_free(s);
    }
}

static void test_keras__labels_are_recorded(void **state)
{
    static const char source[] = MD_EXAMPLES_DIR "/fashion/seed_cnn.keras";
    md_convert_opts opts = MD_CONVERT_OPTS_INIT;
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;

    (void)state;
    opts.no_self_check = true;
    opts.labels = MD_EXAMPLES_DIR "/fashion/labels.txt";
    assert_md_ok(md_convert(&m, source, &opts, NULL, md_alloc_default(), &err),
                 &err);
    assert_non_null(strstr(md_model_meta(m, "modeld.labels"), "Ankle boot"));
    md_model_free(m);
    opts.labels = MD_EXAMPLES_DIR "/fashion/nowhere.txt";
    assert_md_fails(
        md_convert(&m, source, &opts, NULL, md_alloc_default(), &err),
        MD_NOT_FOUND, &err, "nowhere.txt");
    opts.labels = "/dev/null";
    assert_md_fails(
        md_convert(&m, source, &opts, NULL, md_alloc_default(), &err),
        MD_INVALID, &err, "are empty");
}

/* A file of the shared models with its vectors. */
static md_status load_shared(md_tensor *out, const char *path, md_error *err)
{
    return md_npy_load(out, path, md_alloc_default(), err);
}

/* Where tf-models.tar.xz is unpacked, if the environment says so. */
static const char *shared_models(void)
{
    const char *dir = getenv("MODELD_TF_MODELS");

    return dir && access(dir, R_OK) == 0 ? dir : NULL;
}

static void check_vector(const md_model *m, const char *dir, const json_t *v,
                         const char *file)
{
    const md_graph *g = m->graph;
    md_tensor in[4] = { { .dtype = 0 } };
    const md_tensor *in_ptr[4] = { NULL };
    md_tensor out[4] = { { .dtype = 0 } };
    md_error err = MD_ERROR_INIT;
    char path[512];
    md_status s;

    assert_true(g->n_inputs <= 4 && g->n_outputs <= 4);
    for (uint32_t i = 0; i < g->n_inputs; i++) {
        const char *name = md_graph_value(g, g->inputs[i])->name;

        snprintf(path, sizeof(path), "%s/%s", dir,
                 json_string_value(
                     json_object_get(json_object_get(v, "inputs"), name)));
        assert_md_ok(load_shared(&in[i], path, &err), &err);
        in_ptr[i] = &in[i];
    }
    s = md_graph_eval(out, g, in_ptr, md_alloc_default(), NULL, &err);
    if (s == MD_UNSUPPORTED) {
        print_message("%s not run: %s\n", file, err.msg);
    } else {
        assert_md_ok(s, &err);
    }
    for (uint32_t i = 0; s == MD_OK && i < g->n_outputs; i++) {
        const char *name = md_graph_value(g, g->outputs[i])->name;
        md_tensor want = MD_TENSOR_INIT;

        snprintf(path, sizeof(path), "%s/%s", dir,
                 json_string_value(
                     json_object_get(json_object_get(v, "outputs"), name)));
        assert_md_ok(load_shared(&want, path, &err), &err);
        assert_md_ok(md_tensor_compare(NULL, &out[i], &want, 1e-5, 0, &err),
                     &err);
        md_tensor_release(&want);
    }
    for (uint32_t i = 0; i < 4; i++) {
        md_tensor_release(&in[i]);
        md_tensor_release(&out[i]);
    }
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s);
    size_t m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

static bool is_keras(const char *file)
{
    return (ends_with(file, ".keras") || ends_with(file, ".h5")) &&
           !ends_with(file, ".weights.h5");
}

/* Every net converts, or is refused for layers that have no conversion. */
static void test_keras__shared_models(void **state)
{
    const char *dir = shared_models();
    md_error err = MD_ERROR_INIT;
    json_t *manifest;
    json_t *f;
    char path[512];
    size_t n_ok = 0;
    size_t i;

    (void)state;
    if (!dir)
        skip();
    snprintf(path, sizeof(path), "%s/manifest.json", dir);
    manifest = json_load_file(path, 0, NULL);
    assert_non_null(manifest);
    json_array_foreach(json_object_get(manifest, "files"), i, f)
    {
        const char *file = json_string_value(json_object_get(f, "file"));
        md_model *m = NULL;
        json_t *v;
        size_t k;
        md_status s;

        if (!is_keras(file))
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, file);
        s = md_convert(&m, path, NULL, NULL, md_alloc_default(), &err);
        if (s == MD_UNSUPPORTED) {
            assert_non_null(strstr(err.msg, "have no conversion"));
            continue;
        }
        assert_md_ok(s, &err);
        json_array_foreach(json_object_get(f, "vectors"), k, v)
            check_vector(m, dir, v, file);
        md_model_free(m);
        n_ok++;
    }
    json_decref(manifest);
    assert_true(n_ok >= 30);
}

/*
 * Nets of one layer: a Sequential of Keras 3 over an input of the given shape
 * (batch first), run on 0, 1, 2, ... scaled by a quarter and shifted.
 */
typedef struct layer_case {
    const char *name;
    const char *layer; /* "Class", then its config without the braces */
    const char *config;
    int rank;
    int64_t dim[5];
    float scale, shift; /* of the input */
    size_t n_weights;
    struct {
        int rank;
        hsize_t dim[4];
        float scale, shift;
    } w[4];
    int out_rank;
    int64_t out_dim[5];
    size_t n_want; /* leading elements that are compared */
    float want[12];
} layer_case;

static void ramp(float *v, int64_t n, float scale, float shift)
{
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)i * scale + shift;
}

static void make_case(md_buf *file, const layer_case *c, const char *version)
{
    char config[1024];
    char shape[128] = "null";
    size_t at = 4;
    keras_h5 k;

    for (int i = 1; i < c->rank; i++)
        at += (size_t)snprintf(shape + at, sizeof(shape) - at, ",%lld",
                               (long long)c->dim[i]);
    snprintf(config, sizeof(config),
             "{\"class_name\":\"Sequential\",\"config\":{\"name\":\"s\","
             "\"layers\":[{\"class_name\":\"InputLayer\",\"config\":{\"name\":"
             "\"x\",\"batch_shape\":[%s]}},{\"class_name\":\"%s\",\"config\":{"
             "\"name\":\"y\"%s%s}}]}}",
             shape, c->layer, c->config[0] ? "," : "", c->config);
    keras_h5_begin(&k, version, config);
    for (size_t i = 0; i < c->n_weights; i++) {
        float data[256];
        int64_t n = 1;
        char name[32];

        for (int d = 0; d < c->w[i].rank; d++)
            n *= (int64_t)c->w[i].dim[d];
        ramp(data, n, c->w[i].scale, c->w[i].shift);
        snprintf(name, sizeof(name), "w%zu", i);
        keras_h5_weight(&k, "y", name, c->w[i].rank, c->w[i].dim, data);
    }
    keras_h5_finish(&k, file);
}

static void compare_case(const layer_case *c, const md_tensor *got)
{
    assert_int_equal(got->shape.rank, c->out_rank);
    for (int i = 0; i < c->out_rank; i++)
        assert_int_equal(got->shape.dim[i], c->out_dim[i]);
    for (size_t i = 0; i < c->n_want; i++) {
        double v = md_tensor_get_f64(got, (int64_t)i);

        if (fabs(v - (double)c->want[i]) > 2e-5)
            fail_msg("%s[%zu]: %g given, %g expected", c->name, i, v,
                     (double)c->want[i]);
    }
}

static void run_case(const layer_case *c, const char *version)
{
    md_shape shape = { c->rank, { 0 } };
    md_tensor in = MD_TENSOR_INIT;
    md_tensor out = MD_TENSOR_INIT;
    const md_tensor *in_ptr = &in;
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;
    md_buf file;
    md_status s;

    md_buf_init(&file, md_alloc_default(), 1 << 20);
    make_case(&file, c, version);
    s = md_convert_bytes(&m, file.data, file.size, c->name, NULL, NULL,
                         md_alloc_default(), &err);
    assert_md_ok(s, &err);
    memcpy(shape.dim, c->dim, sizeof(c->dim));
    assert_md_ok(
        md_tensor_alloc(&in, MD_DTYPE_F32, &shape, md_alloc_default(), &err),
        &err);
    ramp(in.data, md_tensor_n(&in), c->scale, c->shift);
    s = md_graph_eval(&out, m->graph, &in_ptr, md_alloc_default(), NULL, &err);
    if (s != MD_OK)
        fail_msg("%s: %s", c->name, err.msg);
    compare_case(c, &out);
    md_tensor_release(&in);
    md_tensor_release(&out);
    md_model_free(m);
    md_buf_release(&file);
}

/* clang-format off */
static const layer_case layer_cases[] = {
    { "dense", "Dense", "\"units\":2", 2, { 1, 3 }, 1, 1, 2,
      { { 2, { 3, 2 }, 1, 0 }, { 1, { 2 }, 1, 10 } },
      2, { 1, 2 }, 2, { 1*0+2*2+3*4+10, 1*1+2*3+3*5+11 } },
    { "dense on rank 3", "Dense", "\"units\":1,\"use_bias\":false",
      3, { 1, 2, 2 }, 1, 0, 1, { { 2, { 2, 1 }, 1, 1 } },
      3, { 1, 2, 1 }, 2, { 0*1+1*2, 2*1+3*2 } },
    { "conv valid", "Conv1D", "\"filters\":1,\"kernel_size\":[2]",
      3, { 1, 3, 1 }, 1, 1, 2, { { 3, { 2, 1, 1 }, 1, 1 }, { 1, { 1 }, 0, .5f } },
      3, { 1, 2, 1 }, 2, { 1*1+2*2+.5f, 2*1+3*2+.5f } },
    { "conv causal, dilated", "Conv1D",
      "\"filters\":1,\"kernel_size\":[2],\"padding\":\"causal\","
      "\"dilation_rate\":[2],\"use_bias\":false",
      3, { 1, 4, 1 }, 1, 1, 1, { { 3, { 2, 1, 1 }, 1, 1 } },
      3, { 1, 4, 1 }, 4, { 2, 4, 1+6, 2+8 } },
    { "conv same, odd pad at the end", "Conv2D",
      "\"filters\":1,\"kernel_size\":[2,2],\"padding\":\"same\","
      "\"use_bias\":false",
      4, { 1, 2, 2, 1 }, 1, 1, 1, { { 4, { 2, 2, 1, 1 }, 0, 1 } },
      4, { 1, 2, 2, 1 }, 4, { 10, 6, 7, 4 } },
    { "conv same, stride", "Conv1D",
      "\"filters\":1,\"kernel_size\":[3],\"strides\":[2],"
      "\"padding\":\"same\",\"use_bias\":false",
      3, { 1, 4, 1 }, 1, 1, 1, { { 3, { 3, 1, 1 }, 1, 1 } },
      3, { 1, 2, 1 }, 2, { 1*1+2*2+3*3, 3*1+4*2 } },
    { "depthwise, two outputs a channel", "DepthwiseConv2D",
      "\"kernel_size\":[1,1],\"depth_multiplier\":2,\"use_bias\":false",
      4, { 1, 1, 1, 2 }, 1, 1, 1, { { 4, { 1, 1, 2, 2 }, 1, 1 } },
      4, { 1, 1, 1, 4 }, 4, { 1, 2, 6, 8 } },
    { "transposed, valid", "Conv1DTranspose",
      "\"filters\":1,\"kernel_size\":[3],\"strides\":[2],"
      "\"use_bias\":false",
      3, { 1, 2, 1 }, 1, 1, 1, { { 3, { 3, 1, 1 }, 1, 1 } },
      3, { 1, 5, 1 }, 5, { 1, 2, 3+2, 4, 6 } },
    { "transposed, same", "Conv1DTranspose",
      "\"filters\":1,\"kernel_size\":[3],\"strides\":[2],"
      "\"padding\":\"same\",\"use_bias\":false",
      3, { 1, 2, 1 }, 1, 1, 1, { { 3, { 3, 1, 1 }, 1, 1 } },
      3, { 1, 4, 1 }, 4, { 1, 2, 5, 4 } },
    { "average pool ignores pads", "AveragePooling1D",
      "\"pool_size\":[2],\"strides\":[1],\"padding\":\"same\"",
      3, { 1, 3, 1 }, 1, 1, 0, { { 0, { 0 }, 0, 0 } },
      3, { 1, 3, 1 }, 3, { 1.5f, 2.5f, 3 } },
    { "max pool, stride of the window", "MaxPooling1D",
      "\"pool_size\":[2],\"strides\":null",
      3, { 1, 5, 1 }, -1, 0, 0, { { 0, { 0 }, 0, 0 } },
      3, { 1, 2, 1 }, 2, { 0, -2 } },
    { "batch norm", "BatchNormalization", "\"axis\":-1,\"epsilon\":0.0",
      2, { 1, 2 }, 1, 1, 4,
      { { 1, { 2 }, 1, 2 }, { 1, { 2 }, 0, 1 }, { 1, { 2 }, 0, .5f },
        { 1, { 2 }, 0, 4 } },
      2, { 1, 2 }, 2, { 2*(1-.5f)/2+1, 3*(2-.5f)/2+1 } },
    { "batch norm without scale", "BatchNormalization",
      "\"axis\":[1],\"epsilon\":0.0,\"scale\":false", 2, { 1, 2 }, 1, 1, 3,
      { { 1, { 2 }, 0, 1 }, { 1, { 2 }, 0, .5f }, { 1, { 2 }, 0, 4 } },
      2, { 1, 2 }, 2, { .25f+1, .75f+1 } },
    { "leaky relu of Keras 2", "LeakyReLU", "\"alpha\":0.5", 2, { 1, 2 },
      2, -1, 0, { { 0, { 0 }, 0, 0 } }, 2, { 1, 2 }, 2, { -.5f, 1 } },
    { "relu with maximum", "ReLU", "\"max_value\":1.5", 2, { 1, 3 }, 1, 0, 0,
      { { 0, { 0 }, 0, 0 } }, 2, { 1, 3 }, 3, { 0, 1, 1.5f } },
    { "relu with slope and maximum", "ReLU",
      "\"max_value\":1.5,\"negative_slope\":0.25", 2, { 1, 4 }, 2, -4, 0,
      { { 0, { 0 }, 0, 0 } }, 2, { 1, 4 }, 4, { -1, -.5f, 0, 1.5f } },
    { "relu with threshold", "ReLU", "\"threshold\":1.0", 2, { 1, 4 }, 1, 0, 0,
      { { 0, { 0 }, 0, 0 } }, 2, { 1, 4 }, 4, { 0, 0, 2, 3 } },
    { "prelu", "PReLU", "\"shared_axes\":null", 2, { 1, 2 }, 1, -2, 1,
      { { 1, { 2 }, 1, 2 } }, 2, { 1, 2 }, 2, { -4, -3 } },
    { "rescaling", "Rescaling", "\"scale\":0.5,\"offset\":[1.0,2.0]",
      2, { 1, 2 }, 1, 1, 0, { { 0, { 0 }, 0, 0 } },
      2, { 1, 2 }, 2, { 1.5f, 3 } },
    { "normalization", "Normalization",
      "\"axis\":[-1],\"mean\":[1.0,2.0],\"variance\":[4.0,16.0]",
      2, { 1, 2 }, 1, 5, 0, { { 0, { 0 }, 0, 0 } },
      2, { 1, 2 }, 2, { 2, 1 } },
    { "zero padding", "ZeroPadding1D", "\"padding\":[1,2]", 3, { 1, 2, 1 },
      1, 1, 0, { { 0, { 0 }, 0, 0 } }, 3, { 1, 5, 1 }, 5, { 0, 1, 2, 0, 0 } },
    { "cropping", "Cropping1D", "\"cropping\":[1,2]", 3, { 1, 5, 1 },
      1, 0, 0, { { 0, { 0 }, 0, 0 } }, 3, { 1, 2, 1 }, 2, { 1, 2 } },
    { "up sampling", "UpSampling1D", "\"size\":2", 3, { 1, 2, 1 }, 1, 1, 0,
      { { 0, { 0 }, 0, 0 } }, 3, { 1, 4, 1 }, 4, { 1, 1, 2, 2 } },
    { "permute", "Permute", "\"dims\":[2,1]", 3, { 1, 2, 3 }, 1, 0, 0,
      { { 0, { 0 }, 0, 0 } }, 3, { 1, 3, 2 }, 6, { 0, 3, 1, 4, 2, 5 } },
    { "reshape", "Reshape", "\"target_shape\":[-1,2]", 2, { 1, 6 }, 1, 0, 0,
      { { 0, { 0 }, 0, 0 } }, 3, { 1, 3, 2 }, 6, { 0, 1, 2, 3, 4, 5 } },
    { "repeat", "RepeatVector", "\"n\":2", 2, { 1, 2 }, 1, 1, 0,
      { { 0, { 0 }, 0, 0 } }, 3, { 1, 2, 2 }, 4, { 1, 2, 1, 2 } },
    { "global average", "GlobalAveragePooling1D", "", 3, { 1, 3, 2 }, 1, 0, 0,
      { { 0, { 0 }, 0, 0 } }, 2, { 1, 2 }, 2, { 2, 3 } },
    { "softmax", "Softmax", "\"axis\":-1", 2, { 1, 2 }, 1, 0, 0,
      { { 0, { 0 }, 0, 0 } }, 2, { 1, 2 }, 2, { .2689414f, .7310586f } },
    { "layer norm", "LayerNormalization",
      "\"axis\":[-1],\"epsilon\":0.0,\"scale\":false,\"center\":false",
      2, { 1, 2 }, 2, 1, 0, { { 0, { 0 }, 0, 0 } }, 2, { 1, 2 }, 2, { -1, 1 } },
    { "unit norm", "UnitNormalization", "\"axis\":-1", 2, { 1, 2 }, 1, 3, 0,
      { { 0, { 0 }, 0, 0 } }, 2, { 1, 2 }, 2, { .6f, .8f } },
    /* 1e-8 is far below the 1e-6 that Keras 2 divides by at least. */
    { "unit norm of little", "UnitNormalization", "\"axis\":-1", 2, { 1, 2 },
      1e-8f, 3e-8f, 0, { { 0, { 0 }, 0, 0 } }, 2, { 1, 2 }, 2, { .6f, .8f } },
    /* Centres of 5 pixels on 2: x = 2.5 * (i + .5) - .5 = .75, 3.25. */
    { "resizing down", "Resizing", "\"height\":1,\"width\":2",
      4, { 1, 1, 5, 1 }, 1, 0, 0, { { 0, { 0 }, 0, 0 } },
      4, { 1, 1, 2, 1 }, 2, { .75f, 3.25f } },
    /* 2 on 5: x = .4 * (i + .5) - .5 = -.3, .1, .5, .9, 1.3, clamped. */
    { "resizing up", "Resizing",
      "\"height\":1,\"width\":5,\"interpolation\":\"bilinear\"",
      4, { 1, 1, 2, 1 }, 1, 0, 0, { { 0, { 0 }, 0, 0 } },
      4, { 1, 1, 5, 1 }, 5, { 0, .1f, .5f, .9f, 1 } },
    { "booleans that are numbers", "Dense", "\"units\":1,\"use_bias\":0",
      2, { 1, 2 }, 1, 1, 1, { { 2, { 2, 1 }, 1, 1 } }, 2, { 1, 1 }, 1,
      { 1*1+2*2 } },
    { "global average that keeps its axes", "GlobalAveragePooling1D",
      "\"keepdims\":1", 3, { 1, 3, 2 }, 1, 0, 0, { { 0, { 0 }, 0, 0 } },
      3, { 1, 1, 2 }, 2, { 2, 3 } },
    { "dense on rank 3 with bias", "Dense", "\"units\":1", 3, { 1, 2, 2 }, 1, 0,
      2, { { 2, { 2, 1 }, 1, 1 }, { 1, { 1 }, 0, 10 } },
      3, { 1, 2, 1 }, 2, { 0*1+1*2+10, 2*1+3*2+10 } },
    { "embedding of float indices", "Embedding",
      "\"input_dim\":3,\"output_dim\":2", 2, { 1, 2 }, 1, 0, 1,
      { { 2, { 3, 2 }, 1, 5 } }, 3, { 1, 2, 2 }, 4, { 5, 6, 7, 8 } },
    { "layer norm with weights", "LayerNormalization",
      "\"axis\":-1,\"epsilon\":0.0", 2, { 1, 2 }, 2, 1, 2,
      { { 1, { 2 }, 1, 2 }, { 1, { 2 }, 1, 10 } },
      2, { 1, 2 }, 2, { -2+10, 3+11 } },
    { "normalization by weights", "Normalization", "\"axis\":-1", 2, { 1, 2 },
      1, 5, 2, { { 1, { 2 }, 1, 1 }, { 1, { 2 }, 0, 4 } },
      2, { 1, 2 }, 2, { 2, 2 } },
    { "normalization inverted", "Normalization",
      "\"axis\":-1,\"invert\":true,\"mean\":[1.0,2.0],"
      "\"variance\":[4.0,16.0]", 2, { 1, 2 }, 1, 1, 0, { { 0, { 0 }, 0, 0 } },
      2, { 1, 2 }, 2, { 1*2+1, 2*4+2 } },
    /* (4 - 2) / 2 and (8 - 2) / 2 */
    { "normalization of everything", "Normalization",
      "\"axis\":[],\"mean\":2.0,\"variance\":4.0", 3, { 1, 2, 1 }, 4, 4, 0,
      { { 0, { 0 }, 0, 0 } }, 3, { 1, 2, 1 }, 2, { 1, 3 } },
    { "normalization of everything by weights", "Normalization",
      "\"axis\":null", 2, { 1, 2 }, 4, 4, 2,
      { { 0, { 0 }, 1, 2 }, { 0, { 0 }, 1, 4 } },
      2, { 1, 2 }, 2, { 1, 3 } },
    { "identity", "Identity", "\"trainable\":true", 2, { 1, 2 }, 1, 3, 0,
      { { 0, { 0 }, 0, 0 } }, 2, { 1, 2 }, 2, { 3, 4 } },
};
/* clang-format on */

static void test_keras__layers(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(layer_cases); i++)
        run_case(&layer_cases[i], "3.5.0");
}

/* Every size comes out as asked, whatever the quotient rounds to. */
static void test_keras__resizing_to_any_size(void **state)
{
    (void)state;
    for (int64_t in = 1; in <= 12; in++) {
        for (int64_t out = 1; out <= 60; out += 1 + out / 12) {
            layer_case c = { .name = "resizing",
                             .layer = "Resizing",
                             .rank = 4,
                             .dim = { 1, in, 2, 1 },
                             .out_rank = 4,
                             .out_dim = { 1, out, 3, 1 } };
            char config[64];

            snprintf(config, sizeof(config), "\"height\":%lld,\"width\":3",
                     (long long)out);
            c.config = config;
            run_case(&c, "3.5.0");
        }
    }
}

/* Keras 2 bounds the sum of squares by 1e-12, Keras 3 the norm. */
static void test_keras__unit_norm_of_keras_2(void **state)
{
    const layer_case c = { "unit norm of little",
                           "UnitNormalization",
                           "\"axis\":-1",
                           2,
                           { 1, 2 },
                           1e-8f,
                           3e-8f,
                           .out_rank = 2,
                           .out_dim = { 1, 2 },
                           .n_want = 2,
                           .want = { .03f, .04f } };

    (void)state;
    run_case(&c, "2.15.0");
}

/* Every activation at -2, -1, 0, 1, 2, by its formula; hard_sigmoid by both. */
static void test_keras__activations(void **state)
{
    static const struct {
        const char *name, *version;
        float want[5];
    } cases[] = {
        { "linear", "3.5.0", { -2, -1, 0, 1, 2 } },
        { "relu", "3.5.0", { 0, 0, 0, 1, 2 } },
        { "relu6", "3.5.0", { 0, 0, 0, 1, 2 } },
        { "leaky_relu", "3.5.0", { -.4f, -.2f, 0, 1, 2 } },
        { "elu", "3.5.0", { -.8646647f, -.6321206f, 0, 1, 2 } },
        { "celu", "3.5.0", { -.8646647f, -.6321206f, 0, 1, 2 } },
        { "selu",
          "3.5.0",
          { -1.5201665f, -1.1113307f, 0, 1.050701f, 2.101402f } },
        { "sigmoid",
          "3.5.0",
          { .1192029f, .2689414f, .5f, .7310586f, .8807971f } },
        { "tanh",
          "3.5.0",
          { -.9640276f, -.7615942f, 0, .7615942f, .9640276f } },
        { "softplus",
          "3.5.0",
          { .126928f, .3132617f, .6931472f, 1.3132617f, 2.126928f } },
        { "softsign", "3.5.0", { -.6666667f, -.5f, 0, .5f, .6666667f } },
        { "exponential",
          "3.5.0",
          { .1353353f, .3678794f, 1, 2.7182818f, 7.389056f } },
        { "hard_sigmoid", "2.15.0", { .1f, .3f, .5f, .7f, .9f } },
        { "hard_sigmoid",
          "3.5.0",
          { .1666667f, .3333333f, .5f, .6666667f, .8333333f } },
        { "hard_silu",
          "3.5.0",
          { -.3333333f, -.3333333f, 0, .6666667f, 1.6666667f } },
        { "silu",
          "3.5.0",
          { -.2384058f, -.2689414f, 0, .7310586f, 1.7615942f } },
        { "swish",
          "2.15.0",
          { -.2384058f, -.2689414f, 0, .7310586f, 1.7615942f } },
        { "gelu",
          "3.5.0",
          { -.0455003f, -.1586553f, 0, .8413447f, 1.9544997f } },
        { "mish",
          "3.5.0",
          { -.2525015f, -.3034015f, 0, .8650984f, 1.9439589f } },
        { "hard_tanh", "3.5.0", { -1, -1, 0, 1, 1 } },
        { "tanh_shrink",
          "3.5.0",
          { -1.0359724f, -.2384058f, 0, .2384058f, 1.0359724f } },
        { "soft_shrink", "3.5.0", { -1.5f, -.5f, 0, .5f, 1.5f } },
        { "hard_shrink", "3.5.0", { -2, -1, 0, 1, 2 } },
        { "log_sigmoid",
          "3.5.0",
          { -2.126928f, -1.3132617f, -.6931472f, -.3132617f, -.126928f } },
        { "squareplus",
          "3.5.0",
          { .4142136f, .618034f, 1, 1.618034f, 2.4142136f } },
        { "sparse_sigmoid", "3.5.0", { 0, 0, .5f, 1, 1 } },
        { "softmax",
          "3.5.0",
          { .0116562f, .0316849f, .0861285f, .2341217f, .6364087f } },
        { "log_softmax",
          "3.5.0",
          { -4.4519144f, -3.4519144f, -2.4519144f, -1.4519144f, -.4519144f } },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        layer_case c = { .name = cases[i].name,
                         .layer = "Activation",
                         .rank = 2,
                         .dim = { 1, 5 },
                         .scale = 1,
                         .shift = -2,
                         .out_rank = 2,
                         .out_dim = { 1, 5 },
                         .n_want = 5 };
        char config[64];

        snprintf(config, sizeof(config), "\"activation\":\"%s\"",
                 cases[i].name);
        c.config = config;
        memcpy(c.want, cases[i].want, sizeof(cases[i].want));
        run_case(&c, cases[i].version);
    }
}

/* Settings and weights that do not fit: each is named. */
static void test_keras__bad_layers(void **state)
{
    static const struct {
        const char *layer, *config, *text;
        int rank;
        int64_t dim[5];
        int w_rank;
        hsize_t w[4];
    } cases[] = {
        { "Dense",
          "\"units\":2,\"use_bias\":false",
          "weight 0 has shape [3,3], [3,2] expected",
          2,
          { 1, 3 },
          2,
          { 3, 3 } },
        { "Dense",
          "\"units\":2",
          "1 weights in the file, 2 expected",
          2,
          { 1, 3 },
          2,
          { 3, 2 } },
        { "Dense",
          "\"units\":-1",
          "-1 units on 3 features",
          2,
          { 1, 3 },
          2,
          { 3, 2 } },
        { "Conv2D",
          "\"filters\":1,\"kernel_size\":[3,3],\"use_bias\":false",
          "weight 0 has shape [3,3,2,1], [3,3,1,1] expected",
          4,
          { 1, 4, 4, 1 },
          4,
          { 3, 3, 2, 1 } },
        { "Conv2D",
          "\"filters\":1,\"kernel_size\":[9,9],\"use_bias\":false",
          "kernel reaches over 9 of 4",
          4,
          { 1, 4, 4, 1 },
          4,
          { 9, 9, 1, 1 } },
        { "Conv2D",
          "\"filters\":1,\"kernel_size\":[0,1]",
          "kernel 0, stride 1",
          4,
          { 1, 4, 4, 1 },
          1,
          { 1 } },
        { "Conv2D",
          "\"filters\":1,\"kernel_size\":\"x\"",
          "'kernel_size' is not 2 numbers",
          4,
          { 1, 4, 4, 1 },
          1,
          { 1 } },
        { "Conv2D",
          "\"filters\":1,\"kernel_size\":[1,1],\"padding\":\"odd\"",
          "padding 'odd'",
          4,
          { 1, 4, 4, 1 },
          1,
          { 1 } },
        { "Conv2D",
          "\"filters\":3,\"groups\":2,\"kernel_size\":[1,1]",
          "3 filters in 2 groups",
          4,
          { 1, 4, 4, 2 },
          1,
          { 1 } },
        { "Conv2D",
          "\"filters\":1,\"kernel_size\":[1,1]",
          "input of rank 2",
          2,
          { 1, 4 },
          1,
          { 1 } },
        { "MaxPooling2D",
          "\"pool_size\":[9,1]",
          "window of 9 over 4",
          4,
          { 1, 4, 4, 1 },
          1,
          { 1 } },
        { "Reshape",
          "\"target_shape\":[5]",
          "4 elements do not fit",
          2,
          { 1, 4 },
          1,
          { 1 } },
        { "Reshape",
          "\"target_shape\":[-1,-1]",
          "target_shape[1] = -1",
          2,
          { 1, 4 },
          1,
          { 1 } },
        { "Permute",
          "\"dims\":[1,1]",
          "not a permutation",
          3,
          { 1, 4, 2 },
          1,
          { 1 } },
        { "Cropping1D",
          "\"cropping\":[2,2]",
          "nothing left",
          3,
          { 1, 4, 1 },
          1,
          { 1 } },
        { "ZeroPadding1D",
          "\"padding\":[-1,2]",
          "'padding' is not a pair",
          3,
          { 1, 4, 1 },
          1,
          { 1 } },
        { "UpSampling2D",
          "\"size\":[1,1],\"interpolation\":\"cubic\"",
          "(UpSampling2D): interpolation \"cubic\" has no conversion",
          4,
          { 1, 4, 4, 1 },
          1,
          { 1 } },
        { "BatchNormalization",
          "\"axis\":7",
          "axis 7 of a tensor of rank 2",
          2,
          { 1, 4 },
          1,
          { 1 } },
        { "BatchNormalization",
          "\"axis\":-1",
          "weight 0 has shape [1], [4]",
          2,
          { 1, 4 },
          1,
          { 1 } },
        { "Softmax",
          "\"axis\":[1,2]",
          "(Softmax): axis [1,2] has no conversion",
          3,
          { 1, 4, 4 },
          1,
          { 1 } },
        { "LayerNormalization",
          "\"axis\":[1,2]",
          "(LayerNormalization): axis [1,2] has no conversion",
          3,
          { 1, 4, 4 },
          1,
          { 1 } },
        { "LayerNormalization",
          "\"axis\":-1,\"rms_scaling\":true",
          "rms_scaling true has no conversion",
          2,
          { 1, 4 },
          1,
          { 1 } },
        { "Normalization",
          "\"axis\":null",
          "weight 0 has shape [1], [] expected",
          2,
          { 1, 4 },
          1,
          { 1 } },
        { "Resizing",
          "\"height\":2,\"width\":2,\"interpolation\":\"nearest\"",
          "interpolation \"nearest\" has no conversion",
          4,
          { 1, 4, 4, 1 },
          1,
          { 1 } },
        { "Resizing",
          "\"height\":2,\"width\":2,\"antialias\":true",
          "antialias true has no conversion",
          4,
          { 1, 4, 4, 1 },
          1,
          { 1 } },
        { "Resizing",
          "\"height\":2,\"width\":2,\"crop_to_aspect_ratio\":true",
          "crop_to_aspect_ratio true has no conversion",
          4,
          { 1, 4, 4, 1 },
          1,
          { 1 } },
        { "Resizing",
          "\"height\":2,\"width\":2,\"pad_to_aspect_ratio\":true",
          "pad_to_aspect_ratio true has no conversion",
          4,
          { 1, 4, 4, 1 },
          1,
          { 1 } },
        { "MaxPooling2D",
          "\"pool_size\":[2,2],\"padding\":\"full\"",
          "padding 'full'",
          4,
          { 1, 4, 4, 1 },
          1,
          { 1 } },
        { "DepthwiseConv2D",
          "\"kernel_size\":[1,1],\"groups\":2",
          "(DepthwiseConv2D): groups 2, 1 expected",
          4,
          { 1, 4, 4, 2 },
          1,
          { 1 } },
        { "Conv2DTranspose",
          "\"filters\":2,\"kernel_size\":[1,1],\"groups\":2",
          "(Conv2DTranspose): groups 2, 1 expected",
          4,
          { 1, 4, 4, 2 },
          1,
          { 1 } },
        { "SeparableConv1D",
          "\"filters\":2,\"kernel_size\":[1],\"groups\":0",
          "(SeparableConv1D): groups 0, 1 expected",
          3,
          { 1, 4, 2 },
          1,
          { 1 } },
        { "ZeroPadding2D",
          "\"padding\":[[1,1],[1,1],[1,1]]",
          "'padding' is not a pair per axis",
          4,
          { 1, 4, 4, 1 },
          1,
          { 1 } },
        { "Cropping2D",
          "\"cropping\":[[1,1,1],[1,1]]",
          "'cropping' is not a pair per axis",
          4,
          { 1, 4, 4, 1 },
          1,
          { 1 } },
        { "Rescaling",
          "\"scale\":\"x\"",
          "'scale' is not 1 numbers",
          2,
          { 1, 4 },
          1,
          { 1 } },
        { "Embedding",
          "\"input_dim\":-1,\"output_dim\":2",
          "input_dim -1 has no conversion",
          2,
          { 1, 4 },
          2,
          { 4, 2 } },
        { "RepeatVector",
          "\"n\":4611686018427387904",
          "4611686018427387904 copies of rank 2",
          2,
          { 1, 4 },
          1,
          { 1 } },
        { "Embedding",
          "\"input_dim\":4,\"output_dim\":2,\"mask_zero\":\"yes\"",
          "Embedding with mask_zero \"yes\" ('y')",
          2,
          { 1, 4 },
          1,
          { 1 } },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        layer_case c = { .name = "bad",
                         .layer = cases[i].layer,
                         .config = cases[i].config,
                         .rank = cases[i].rank,
                         .n_weights = 1 };
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;
        md_buf file;
        md_status s;

        memcpy(c.dim, cases[i].dim, sizeof(c.dim));
        memcpy(c.w[0].dim, cases[i].w, sizeof(cases[i].w));
        c.w[0].rank = cases[i].w_rank;
        md_buf_init(&file, md_alloc_default(), 1 << 20);
        make_case(&file, &c, "3.5.0");
        s = md_convert_bytes(&m, file.data, file.size, "bad", NULL, NULL,
                             md_alloc_default(), &err);
        assert_true(s == MD_CORRUPT || s == MD_UNSUPPORTED);
        assert_md_fails(s, s, &err, cases[i].text);
        md_buf_release(&file);
    }
}

/* Every allocation fails once: a status, nothing left behind. */
static void test_keras__out_of_memory(void **state)
{
    const layer_case *c = &layer_cases[2]; /* Conv1D with bias */
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;
    md_buf file;
    md_status s = MD_NOMEM;

    (void)state;
    md_buf_init(&file, md_alloc_default(), 1 << 20);
    make_case(&file, c, "3.5.0");
    for (int64_t n = 0; s != MD_OK; n++) {
        fail_alloc f;

        fail_alloc_init(&f);
        fail_alloc_arm(&f, n);
        s = md_convert_bytes(&m, file.data, file.size, "net", NULL, NULL,
                             &f.alloc, &err);
        if (fail_alloc_disarm(&f))
            assert_int_equal(s, MD_NOMEM);
        if (s == MD_OK)
            md_model_free(m);
        assert_int_equal(f.n_live, 0);
    }
    md_buf_release(&file);
}

static void test_keras__not_a_model(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = NULL;

    (void)state;
    assert_md_fails(md_convert_bytes(&m, "hello", 5, "greeting", NULL, NULL,
                                     md_alloc_default(), &err),
                    MD_UNSUPPORTED, &err,
                    "'greeting' is nothing that can be converted, expected "
                    "Keras .keras and .h5");
    assert_md_fails(
        md_convert(&m, "/nowhere", NULL, NULL, md_alloc_default(), &err),
        MD_NOT_FOUND, &err, "/nowhere");
    assert_null(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keras__committed_models),
        cmocka_unit_test(test_keras__labels_are_recorded),
        cmocka_unit_test(test_keras__shared_models),
        cmocka_unit_test(test_keras__layers),
        cmocka_unit_test(test_keras__resizing_to_any_size),
        cmocka_unit_test(test_keras__unit_norm_of_keras_2),
        cmocka_unit_test(test_keras__activations),
        cmocka_unit_test(test_keras__bad_layers),
        cmocka_unit_test(test_keras__out_of_memory),
        cmocka_unit_test(test_keras__not_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
