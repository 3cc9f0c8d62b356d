/*
 * Functional graphs: layers of several inputs, shared layers, several inputs
 * and outputs, models in models; and what follows a convolution, whose value
 * lies channels first.
 */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/keras_net.h"

#define IN(name, shape)                                                        \
    "{\"class_name\":\"InputLayer\",\"name\":\"" name                          \
    "\",\"config\":{\"batch_shape\":" shape "},\"inbound_nodes\":[]},"
#define CALL(cls, config, on)                                                  \
    "{\"class_name\":\"" cls "\",\"name\":\"y\",\"config\":{" config           \
    "},\"inbound_nodes\":[[" on "]]}"
#define AB "[\"a\",0,0,{}],[\"b\",0,0,{}]"
#define NET(layers, in, out)                                                        \
    "{\"class_name\":\"Functional\",\"config\":{\"name\":\"m\",\"layers\":[" layers \
    "],\"input_layers\":[" in "],\"output_layers\":[" out "]}}"
#define ENDS_AB "[\"a\",0,0],[\"b\",0,0]"
#define TWO(shape_a, shape_b, cls, config)                                     \
    NET(IN("a", shape_a) IN("b", shape_b) CALL(cls, config, AB), ENDS_AB,      \
        "[\"y\",0,0]")

typedef struct merge_case {
    const char *config;
    int rank[2];
    int64_t dim[2][3];
    float a[6], b[6];
    int out_rank;
    int64_t out_dim[3];
    float want[8];
} merge_case;

/* clang-format off */
static const merge_case merges[] = {
    { TWO("[null,3]", "[null,3]", "Add", ""), { 2, 2 }, { { 1, 3 }, { 1, 3 } },
      { 1, 2, 3 }, { 10, 20, 30 }, 2, { 1, 3 }, { 11, 22, 33 } },
    { TWO("[null,3]", "[null,3]", "Subtract", ""), { 2, 2 },
      { { 1, 3 }, { 1, 3 } }, { 1, 2, 3 }, { 10, 20, 30 },
      2, { 1, 3 }, { -9, -18, -27 } },
    { TWO("[null,3]", "[null,3]", "Multiply", ""), { 2, 2 },
      { { 1, 3 }, { 1, 3 } }, { 1, 2, 3 }, { 10, 20, 30 },
      2, { 1, 3 }, { 10, 40, 90 } },
    { TWO("[null,3]", "[null,3]", "Average", ""), { 2, 2 },
      { { 1, 3 }, { 1, 3 } }, { 1, 2, 3 }, { 3, 6, 9 },
      2, { 1, 3 }, { 2, 4, 6 } },
    { TWO("[null,3]", "[null,3]", "Maximum", ""), { 2, 2 },
      { { 1, 3 }, { 1, 3 } }, { 1, 5, -3 }, { 2, 4, -4 },
      2, { 1, 3 }, { 2, 5, -3 } },
    { TWO("[null,3]", "[null,3]", "Minimum", ""), { 2, 2 },
      { { 1, 3 }, { 1, 3 } }, { 1, 5, -3 }, { 2, 4, -4 },
      2, { 1, 3 }, { 1, 4, -4 } },
    /* A tensor of lower rank gets axes behind the batch. */
    { TWO("[null,2,3]", "[null,3]", "Add", ""), { 3, 2 },
      { { 1, 2, 3 }, { 1, 3 } }, { 1, 2, 3, 4, 5, 6 }, { 10, 20, 30 },
      3, { 1, 2, 3 }, { 11, 22, 33, 14, 25, 36 } },
    { TWO("[null,1,3]", "[null,2,1]", "Multiply", ""), { 3, 3 },
      { { 1, 1, 3 }, { 1, 2, 1 } }, { 1, 2, 3 }, { 2, -1 },
      3, { 1, 2, 3 }, { 2, 4, 6, -1, -2, -3 } },
    { TWO("[null,2]", "[null,1]", "Concatenate", "\"axis\":-1"), { 2, 2 },
      { { 1, 2 }, { 1, 1 } }, { 1, 2 }, { 3 }, 2, { 1, 3 }, { 1, 2, 3 } },
    { TWO("[null,1,2]", "[null,2,2]", "Concatenate", "\"axis\":1"), { 3, 3 },
      { { 1, 1, 2 }, { 1, 2, 2 } }, { 1, 2 }, { 3, 4, 5, 6 },
      3, { 1, 3, 2 }, { 1, 2, 3, 4, 5, 6 } },
    { TWO("[null,3]", "[null,3]", "Dot", "\"axes\":1"), { 2, 2 },
      { { 1, 3 }, { 1, 3 } }, { 1, 2, 3 }, { 4, 5, 6 }, 2, { 1, 1 }, { 32 } },
    { TWO("[null,2]", "[null,2]", "Dot", "\"axes\":-1,\"normalize\":true"),
      { 2, 2 }, { { 1, 2 }, { 1, 2 } }, { 3, 4 }, { 4, 3 },
      2, { 1, 1 }, { .96f } },
    /* [1,2,3] by [1,2,3] over axis 2: rows with rows. */
    { TWO("[null,2,3]", "[null,2,3]", "Dot", "\"axes\":[2,2]"), { 3, 3 },
      { { 1, 2, 3 }, { 1, 2, 3 } }, { 1, 2, 3, 4, 5, 6 }, { 1, 0, 1, 0, 1, 0 },
      3, { 1, 2, 2 }, { 4, 2, 10, 5 } },
    /* Over axis 1 of the first: columns with columns. */
    { TWO("[null,2,3]", "[null,2,1]", "Dot", "\"axes\":[1,1]"), { 3, 3 },
      { { 1, 2, 3 }, { 1, 2, 1 } }, { 1, 2, 3, 4, 5, 6 }, { 1, 10 },
      3, { 1, 3, 1 }, { 41, 52, 63 } },
};
/* clang-format on */

static keras_array array_of(int rank, const int64_t *dim, const float *data)
{
    keras_array a = { .rank = rank, .data = data };

    memcpy(a.dim, dim, (size_t)rank * sizeof(*dim));
    return a;
}

static void expect(const md_tensor *got, const char *what, int rank,
                   const int64_t *dim, const float *want)
{
    int64_t n = 1;

    assert_int_equal(got->shape.rank, rank);
    for (int i = 0; i < rank; i++) {
        assert_int_equal(got->shape.dim[i], dim[i]);
        n *= dim[i];
    }
    for (int64_t i = 0; i < n; i++) {
        double v = md_tensor_get_f64(got, i);

        /* A few roundings of values below 128. */
        if (!(fabs(v - (double)want[i]) <= 2e-5))
            fail_msg("%.400s\n[%lld]: %g given, %g expected", what,
                     (long long)i, v, (double)want[i]);
    }
}

static void test_merge__two_inputs(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(merges); i++) {
        const merge_case *c = &merges[i];
        keras_net_def net = { .config = c->config };
        keras_array in[2] = { array_of(c->rank[0], c->dim[0], c->a),
                              array_of(c->rank[1], c->dim[1], c->b) };
        md_tensor out = MD_TENSOR_INIT;

        keras_net_run(&out, 1, &net, in, 2);
        expect(&out, c->config, c->out_rank, c->out_dim, c->want);
        md_tensor_release(&out);
    }
}

static void test_merge__what_does_not_fit_is_named(void **state)
{
    static const struct {
        const char *config;
        md_status status;
        const char *text;
    } cases[] = {
        { TWO("[null,3]", "[null,4]", "Add", ""), MD_CORRUPT,
          "layer 'y' (Add): sizes 3 and 4 on axis 1" },
        { TWO("[null,3]", "[null,4]", "Maximum", ""), MD_CORRUPT,
          "layer 'y' (Maximum): sizes 3 and 4 on axis 1" },
        { TWO("[null,3]", "[null,3]", "Concatenate", "\"axis\":5"), MD_CORRUPT,
          "axis 5 of a tensor of rank 2" },
        { TWO("[null,3]", "[null,2,3]", "Concatenate", "\"axis\":1"),
          MD_CORRUPT, "inputs of rank 2 and 3" },
        { TWO("[null,3]", "[null,4]", "Dot", "\"axes\":1"), MD_UNSUPPORTED,
          "product of ranks 2 and 2 over sizes 3 and 4" },
        { TWO("[null,3]", "[null,3]", "Dot", "\"axes\":\"x\""), MD_CORRUPT,
          "'axes' is not 2 numbers" },
        { TWO("[null,3]", "[null,3]", "Dense", "\"units\":1"), MD_UNSUPPORTED,
          "layer 'y' (Dense): called with 2 tensors" },
        { NET(IN("a", "[null,3]") CALL("Subtract", "", "[\"a\",0,0,{}]"),
              "[\"a\",0,0]", "[\"y\",0,0]"),
          MD_UNSUPPORTED, "layer 'y' (Subtract): called with 1 tensors" },
        { NET(IN("a", "[null,3]") CALL("ReLU", "", "[\"y\",0,0,{}]"),
              "[\"a\",0,0]", "[\"y\",0,0]"),
          MD_CORRUPT, "output 'y' depends on itself or on no input" },
        { NET(IN("a", "[null,0]") CALL("ReLU", "", "[\"a\",0,0,{}]"),
              "[\"a\",0,0]", "[\"y\",0,0]"),
          MD_CORRUPT,
          "input 'a' has a dimension that is neither null nor 1 to 2^31-1" },
        { NET(IN("a", "[null,2],\"dtype\":\"string\"")
                  CALL("ReLU", "", "[\"a\",0,0,{}]"),
              "[\"a\",0,0]", "[\"y\",0,0]"),
          MD_UNSUPPORTED, "layer 'y' (ReLU): text where numbers are expected" },
        { NET(IN("a", "7") CALL("ReLU", "", "[\"a\",0,0,{}]"), "[\"a\",0,0]",
              "[\"y\",0,0]"),
          MD_CORRUPT, "input 'a' has no shape of rank 1 to 8" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        keras_net_def net = { .config = cases[i].config };
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;

        assert_md_fails(keras_net_convert(&m, &net, &err), cases[i].status,
                        &err, cases[i].text);
        assert_null(m);
    }
}

/* One Dense called on both inputs; its weights are stored once. */
static void test_merge__a_shared_layer_has_one_set_of_weights(void **state)
{
    static const float w[] = { 1, 10 };
    static const float a[] = { 1, 2 };
    static const float b[] = { 3, 4 };
    static const int64_t dim[] = { 1, 2 };
    static const int64_t out_dim[] = { 1, 1 };
    keras_array weight = {
        .layer = "d", .rank = 2, .dim = { 2, 1 }, .data = w
    };
    keras_net_def net = {
        .config = NET(
            IN("a", "[null,2]") IN(
                "b",
                "[null,2]") "{\"class_name\":\"Dense\","
                            "\"name\":\"d\",\"config\":{\"units\":1,\"use_bias\":false},"
                            "\"inbound_nodes\":[{\"args\":[{\"class_name\":"
                            "\"__keras_tensor__\",\"config\":{\"keras_history\":[\"a\",0,0]}}]}"
                            ",[[\"b\",0,0,{}]]]},"
                            "{\"class_name\":\"ReLU\",\"name\":\"r\",\"config\":{},"
                            "\"inbound_nodes\":[[[\"d\",1,0,{}]]]}",
            ENDS_AB, "[\"d\",0,0],[\"r\",0,0]"),
        .w = &weight,
        .n_w = 1
    };
    keras_array in[2] = { array_of(2, dim, a), array_of(2, dim, b) };
    md_tensor out[2] = { MD_TENSOR_INIT, MD_TENSOR_INIT };
    md_error err = MD_ERROR_INIT;
    uint32_t n_constants = 0;
    md_model *m = NULL;

    (void)state;
    keras_net_run(out, 2, &net, in, 2);
    expect(&out[0], "first call", 2, out_dim, (const float[]){ 21 });
    expect(&out[1], "second call", 2, out_dim, (const float[]){ 43 });
    assert_md_ok(keras_net_convert(&m, &net, &err), &err);
    for (uint32_t i = 0; i < m->graph->n_values; i++)
        n_constants += m->graph->values[i].cdata != NULL;
    assert_int_equal(n_constants, 1);
    md_model_free(m);
    md_tensor_release(&out[0]);
    md_tensor_release(&out[1]);
}

/* A model of two outputs inside a model, called once. */
static void test_merge__models_nest(void **state)
{
    static const float a[] = { -1, 2 };
    static const int64_t dim[] = { 1, 2 };
    keras_net_def net = {
        .config = NET(
            IN("a",
               "[null,2]") "{\"class_name\":\"Functional\",\"name\":\"sub\",\"config\":{"
                           "\"name\":\"sub\",\"layers\":[" IN(
                               "i",
                               "[null,2]") "{\"class_name\":\"ReLU\",\"name\":\"r\",\"config\":{},"
                                           "\"inbound_nodes\":[[[\"i\",0,0,{}]]]},"
                                           "{\"class_name\":\"Rescaling\",\"name\":\"t\",\"config\":{"
                                           "\"scale\":10.0,\"offset\":1.0},"
                                           "\"inbound_nodes\":[[[\"i\",0,0,{}]]]}],"
                                           "\"input_layers\":[[\"i\",0,0]],"
                                           "\"output_layers\":[[\"r\",0,0],[\"t\",0,0]]},"
                                           "\"inbound_nodes\":[[[\"a\",0,0,{}]]]}," CALL(
                                               "Add", "",
                                               "[\"sub\",0,0,{}],[\"sub\",0,1,{}]"),
            "[\"a\",0,0]", "[\"y\",0,0]")
    };
    keras_array in = array_of(2, dim, a);
    md_tensor out = MD_TENSOR_INIT;

    (void)state;
    keras_net_run(&out, 1, &net, &in, 1);
    expect(&out, "nested", 2, dim, (const float[]){ 0 - 9, 2 + 21 });
    md_tensor_release(&out);
}

/* Behind a 1 x 1 convolution that changes nothing the value lies channels
 * first; each layer still has to see Keras' axes.  Input [1,2,2,2]: 1 to 8. */
#define SAME_CONV                                                              \
    "{\"class_name\":\"Conv2D\",\"config\":{\"name\":\"c\",\"filters\":2,"     \
    "\"kernel_size\":[1,1],\"use_bias\":false}},"
#define LAYER(cls, config)                                                     \
    "{\"class_name\":\"" cls "\",\"config\":{\"name\":\"y\"" config "}}"

typedef struct after_case {
    const char *layers;
    int rank;
    int64_t dim[4];
    size_t n_w; /* of layer y: one weight of n_w numbers */
    float w[8];
    float want[32];
} after_case;

/* clang-format off */
static const after_case after[] = {
    { SAME_CONV LAYER("Permute", ",\"dims\":[3,1,2]"), 4, { 1, 2, 2, 2 }, 0,
      { 0 }, { 1, 3, 5, 7, 2, 4, 6, 8 } },
    { SAME_CONV LAYER("Reshape", ",\"target_shape\":[4,2]"), 3, { 1, 4, 2 }, 0,
      { 0 }, { 1, 2, 3, 4, 5, 6, 7, 8 } },
    { SAME_CONV LAYER("Flatten", ""), 2, { 1, 8 }, 0,
      { 0 }, { 1, 2, 3, 4, 5, 6, 7, 8 } },
    { SAME_CONV "{\"class_name\":\"Flatten\",\"config\":{\"name\":\"f\"}},"
      LAYER("ReLU", ",\"max_value\":5.0"), 2, { 1, 8 }, 0,
      { 0 }, { 1, 2, 3, 4, 5, 5, 5, 5 } },
    { SAME_CONV "{\"class_name\":\"Flatten\",\"config\":{\"name\":\"f\"}},"
      LAYER("Dense", ",\"units\":1,\"use_bias\":false"), 2, { 1, 1 }, 8,
      { 1, 0, 0, 10, 0, 0, 100, 0 }, { 1 + 40 + 700 } },
    { SAME_CONV "{\"class_name\":\"Flatten\",\"config\":{\"name\":\"f\"}},"
      LAYER("RepeatVector", ",\"n\":2"), 3, { 1, 2, 8 }, 0,
      { 0 }, { 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8 } },
    { SAME_CONV LAYER("Dense", ",\"units\":1,\"use_bias\":false"),
      4, { 1, 2, 2, 1 }, 2, { 1, 10 }, { 21, 43, 65, 87 } },
    { SAME_CONV LAYER("GlobalMaxPooling2D", ",\"keepdims\":true"),
      4, { 1, 1, 1, 2 }, 0, { 0 }, { 7, 8 } },
    { SAME_CONV LAYER("GlobalAveragePooling2D", ""), 2, { 1, 2 }, 0,
      { 0 }, { 4, 5 } },
    { SAME_CONV LAYER("Softmax", ",\"axis\":-1"), 4, { 1, 2, 2, 2 }, 0, { 0 },
      { .2689414f, .7310586f, .2689414f, .7310586f, .2689414f, .7310586f,
        .2689414f, .7310586f } },
    { SAME_CONV LAYER("Softmax", ",\"axis\":[1]"), 4, { 1, 2, 2, 2 }, 0, { 0 },
      { .0179862f, .0179862f, .0179862f, .0179862f, .9820138f, .9820138f,
        .9820138f, .9820138f } },
    { SAME_CONV LAYER("PReLU", ",\"shared_axes\":[1,2]"), 4, { 1, 2, 2, 2 },
      2, { .5f, .25f }, { 1, 2, 3, 4, 5, 6, 7, 8 } },
    { SAME_CONV LAYER("Rescaling", ",\"scale\":[2.0,3.0],\"offset\":0"),
      4, { 1, 2, 2, 2 }, 0, { 0 }, { 2, 6, 6, 12, 10, 18, 14, 24 } },
    { SAME_CONV LAYER("LayerNormalization",
      ",\"axis\":[3],\"epsilon\":0.0,\"scale\":false,\"center\":false"),
      4, { 1, 2, 2, 2 }, 0, { 0 }, { -1, 1, -1, 1, -1, 1, -1, 1 } },
    { SAME_CONV LAYER("GroupNormalization",
      ",\"groups\":-1,\"epsilon\":0.0,\"scale\":false,\"center\":false"),
      4, { 1, 2, 2, 2 }, 0, { 0 },
      /* 1, 3, 5, 7 and 2, 4, 6, 8: deviation sqrt(5) */
      { -1.3416408f, -1.3416408f, -.4472136f, -.4472136f, .4472136f,
        .4472136f, 1.3416408f, 1.3416408f } },
    { SAME_CONV LAYER("UnitNormalization", ",\"axis\":1"), 4, { 1, 2, 2, 2 },
      0, { 0 },
      /* 1 with 5, 2 with 6, 3 with 7, 4 with 8 */
      { .1961161f, .3162278f, .3939193f, .4472136f, .9805807f, .9486833f,
        .9191450f, .8944272f } },
    { SAME_CONV LAYER("ZeroPadding2D", ",\"padding\":[[0,1],[0,0]]"),
      4, { 1, 3, 2, 2 }, 0, { 0 }, { 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0 } },
    { SAME_CONV LAYER("Cropping2D", ",\"cropping\":[[1,0],[0,1]]"),
      4, { 1, 1, 1, 2 }, 0, { 0 }, { 5, 6 } },
    { SAME_CONV LAYER("CenterCrop", ",\"height\":1,\"width\":1"),
      4, { 1, 1, 1, 2 }, 0, { 0 }, { 1, 2 } },
    { SAME_CONV LAYER("UpSampling2D", ",\"size\":[1,2]"), 4, { 1, 2, 4, 2 }, 0,
      { 0 }, { 1, 2, 1, 2, 3, 4, 3, 4, 5, 6, 5, 6, 7, 8, 7, 8 } },
    /* Half pixel centres: 1, 1.25, 1.75, 2 of the way, ends held. */
    { SAME_CONV LAYER("UpSampling2D",
      ",\"size\":[1,2],\"interpolation\":\"bilinear\""), 4, { 1, 2, 4, 2 }, 0,
      { 0 }, { 1, 2, 1.5f, 2.5f, 2.5f, 3.5f, 3, 4,
               5, 6, 5.5f, 6.5f, 6.5f, 7.5f, 7, 8 } },
    { SAME_CONV LAYER("Resizing", ",\"height\":2,\"width\":1"),
      4, { 1, 2, 1, 2 }, 0, { 0 }, { 2, 3, 6, 7 } },
    { SAME_CONV LAYER("ThresholdedReLU", ",\"theta\":4.0"), 4, { 1, 2, 2, 2 },
      0, { 0 }, { 0, 0, 0, 0, 5, 6, 7, 8 } },
    { SAME_CONV LAYER("ELU", ",\"alpha\":2.0"), 4, { 1, 2, 2, 2 }, 0, { 0 },
      { 1, 2, 3, 4, 5, 6, 7, 8 } },
    /* The pads go into the convolution. */
    { SAME_CONV "{\"class_name\":\"ZeroPadding2D\",\"config\":{\"name\":\"p\","
      "\"padding\":1}},"
      LAYER("DepthwiseConv2D", ",\"kernel_size\":[1,1],\"strides\":[2,2],"
            "\"use_bias\":false"), 4, { 1, 2, 2, 2 }, 2, { 2, 3 },
      { 0, 0, 0, 0, 0, 0, 14, 24 } },
};
/* clang-format on */

static void test_merge__channels_lie_first_behind_a_convolution(void **state)
{
    static const float ramp[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    static const float eye[] = { 1, 0, 0, 1 };
    static const int64_t dim[] = { 1, 2, 2, 2 };
    keras_array in = array_of(4, dim, ramp);

    (void)state;
    for (size_t i = 0; i < MD_COUNT(after); i++) {
        const after_case *c = &after[i];
        keras_array w[2] = {
            { .layer = "c", .rank = 4, .dim = { 1, 1, 2, 2 }, .data = eye },
            { .layer = "y",
              .rank = 2,
              .dim = { (int64_t)c->n_w, 1 },
              .data = c->w },
        };
        md_tensor out = MD_TENSOR_INIT;
        char config[2048];
        keras_net_def net = { .config = keras_sequential(config, sizeof(config),
                                                         4, dim, c->layers),
                              .w = w,
                              .n_w = c->n_w ? 2 : 1 };

        if (strstr(c->layers, "PReLU") || strstr(c->layers, "Depthwise"))
            w[1] = (keras_array){
                .layer = "y", .rank = 3, .dim = { 1, 1, 2 }, .data = c->w
            };
        if (strstr(c->layers, "Depthwise"))
            w[1] = (keras_array){
                .layer = "y", .rank = 4, .dim = { 1, 1, 2, 1 }, .data = c->w
            };
        keras_net_run(&out, 1, &net, &in, 1);
        expect(&out, c->layers, c->rank, c->dim, c->want);
        md_tensor_release(&out);
    }
}

#define IN3(name)                                                              \
    "{\"class_name\":\"InputLayer\",\"name\":\"" name                          \
    "\",\"config\":{\"batch_shape\":[null,2]},\"inbound_nodes\":[]},"
#define T3(layer, call, index)                                                 \
    "{\"class_name\":\"__keras_tensor__\",\"config\":{\"keras_history\":["     \
    "\"" layer "\"," call "," index "]}}"
#define LAYER3(cls, name, args, kwargs)                                        \
    "{\"class_name\":\"" cls "\",\"name\":\"" name "\",\"config\":{},"         \
    "\"inbound_nodes\":[{\"args\":[" args "],\"kwargs\":{" kwargs "}}]}"
/* zz - aa, by inputs that are counted as `in` says. */
#define INNER(in, out, call)                                                   \
    "{\"class_name\":\"Functional\",\"name\":\"inner\",\"config\":{\"name\":"  \
    "\"inner\",\"layers\":[" IN3("zz") IN3("aa")                               \
        LAYER3("Subtract", "sub",                                              \
               "[" T3("zz", "0", "0") "," T3("aa", "0", "0") "]",              \
               "") "],\"input_layers\":" in ",\"output_layers\":" out "},"     \
                   "\"inbound_nodes\":[{\"args\":[" call "],\"kwargs\":{}}]}"
#define OUTER(inner, out) NET(IN3("a") IN3("b") inner, ENDS_AB, out)
#define A3 T3("a", "0", "0")
#define B3 T3("b", "0", "0")
#define LIST3 "[[\"zz\",0,0],[\"aa\",0,0]]"
#define KEYS3 "{\"q\":[\"zz\",0,0],\"p\":[\"aa\",0,0]}"
#define SUB3 "[[\"sub\",0,0]]"

/*
 * a = 1 2, b = 10 20; the inner model takes zz - aa.  What Keras 3.15 gives:
 * names find inputs that have none of their own, keys count by their order,
 * and a model that ends a model has its own graph as call 0.
 */
static void test_merge__arguments_find_their_inputs(void **state)
{
    static const struct {
        const char *config;
        float want[2];
    } cases[] = {
        /* By place. */
        { OUTER(INNER(LIST3, SUB3, "[" A3 "," B3 "]"), "[\"inner\",1,0]"),
          { -9, -18 } },
        /* By name, in another order. */
        { OUTER(INNER(LIST3, SUB3, "{\"aa\":" A3 ",\"zz\":" B3 "}"),
                "[\"inner\",1,0]"),
          { 9, 18 } },
        { OUTER(INNER(LIST3, SUB3, "{\"zz\":" A3 ",\"aa\":" B3 "}"),
                "[\"inner\",1,0]"),
          { -9, -18 } },
        /* By key: p is aa, q is zz. */
        { OUTER(INNER(KEYS3, SUB3, "{\"q\":" A3 ",\"p\":" B3 "}"),
                "[\"inner\",1,0]"),
          { -9, -18 } },
        /* By place among the sorted keys: a is p, which is aa. */
        { OUTER(INNER(KEYS3, SUB3, "[" A3 "," B3 "]"), "[\"inner\",1,0]"),
          { 9, 18 } },
        /* The model's result inside the graph counts from 0. */
        { OUTER(INNER(LIST3, SUB3, "[" A3 "," B3 "]") "," LAYER3(
                    "ReLU", "r", T3("inner", "0", "0"), ""),
                "[\"r\",0,0]"),
          { 0, 0 } },
        /* Outputs with keys count in their order: 0 is aa, 1 is sub. */
        { OUTER(INNER(LIST3, "{\"s\":[\"sub\",0,0],\"i\":[\"aa\",0,0]}",
                      "[" A3 "," B3
                      "]") "," LAYER3("ReLU", "r", T3("inner", "0", "0"), ""),
                "[\"r\",0,0]"),
          { 10, 20 } },
        /* Preprocessing layers are called so, and do not mind. */
        { OUTER(LAYER3("ReLU", "r", A3, "\"training\":true"), "[\"r\",0,0]"),
          { 1, 2 } },
        /* Idle arguments are no arguments; inputs may be named. */
        { OUTER(LAYER3("Subtract", "s", "[" A3 "," B3 "],null",
                       "\"mask\":[null,null],\"training\":false"),
                "[\"s\",0,0]"),
          { -9, -18 } },
        { OUTER(LAYER3("Subtract", "s", "", "\"inputs\":[" A3 "," B3 "]"),
                "[\"s\",0,0]"),
          { -9, -18 } },
    };
    static const float a[] = { 1, 2 };
    static const float b[] = { 10, 20 };
    static const int64_t dim[] = { 1, 2 };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        keras_net_def net = { .config = cases[i].config };
        keras_array in[2] = { array_of(2, dim, a), array_of(2, dim, b) };
        md_tensor out = MD_TENSOR_INIT;

        keras_net_run(&out, 1, &net, in, 2);
        expect(&out, cases[i].config, 2, dim, cases[i].want);
        md_tensor_release(&out);
    }
}

/* What a call asks for beyond its tensors is refused, never left out. */
static void test_merge__arguments_that_change_the_result(void **state)
{
    static const struct {
        const char *version, *config;
        md_status status;
        const char *text;
    } cases[] = {
        { "3.5.0",
          OUTER(LAYER3("Dropout", "d", A3, "\"training\":true"), "[\"d\",0,0]"),
          MD_UNSUPPORTED, "Dropout with training true in a call ('d')" },
        { "3.5.0", OUTER(LAYER3("Dropout", "d", A3 ",true", ""), "[\"d\",0,0]"),
          MD_UNSUPPORTED, "Dropout with second argument true in a call" },
        { "2.15.0",
          NET(IN3("a") "{\"class_name\":\"Dropout\",\"name\":\"d\","
                       "\"config\":{},\"inbound_nodes\":[[[\"a\",0,0,{"
                       "\"training\":true}]]]}",
              "[\"a\",0,0]", "[\"d\",0,0]"),
          MD_UNSUPPORTED, "Dropout with training true in a call ('d')" },
        /* x + 1 is written like a layer, in .h5 without its module. */
        { "3.5.0", OUTER(LAYER3("Add", "s", A3 ",1", ""), "[\"s\",0,0]"),
          MD_UNSUPPORTED, "Add with second argument 1 in a call ('s')" },
        { "3.5.0", OUTER(LAYER3("Add", "s", A3 "," B3, ""), "[\"s\",0,0]"),
          MD_UNSUPPORTED, "Add with second argument {\"class_name\":\"" },
        { "3.5.0",
          OUTER(LAYER3("Softmax", "s", A3, "\"mask\":" B3), "[\"s\",0,0]"),
          MD_UNSUPPORTED, "Softmax with mask {\"class_name\":\"__keras_ten" },
        { "3.5.0",
          OUTER(LAYER3("Add", "s", "{\"x\":" A3 ",\"y\":" B3 "}", ""),
                "[\"s\",0,0]"),
          MD_UNSUPPORTED, "Add with a dictionary in a call ('s')" },
        { "3.5.0",
          OUTER(INNER(LIST3, SUB3, "{\"zz\":" A3 ",\"b\":" B3 "}"),
                "[\"inner\",1,0]"),
          MD_CORRUPT, "layer 'inner' is called without its input 'aa'" },
        { "3.5.0",
          OUTER(INNER(LIST3, SUB3, "[" A3 "," B3 "]"), "[\"inner\",2,0]"),
          MD_CORRUPT, "tensor 0 of call 1 of layer 'inner'" },
        /* Two reasons in one layer: one layer, both named. */
        { "3.5.0",
          OUTER(LAYER3("Dropout", "d", A3 ",3", "\"training\":true"),
                "[\"d\",0,0]"),
          MD_UNSUPPORTED,
          "keras: 1 layers have no conversion: Dropout with second argument 3 "
          "in a call ('d'), Dropout with training true in a call ('d')" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        keras_net_def net = { .version = cases[i].version,
                              .config = cases[i].config };
        md_error err = MD_ERROR_INIT;
        md_model *m = NULL;

        assert_md_fails(keras_net_convert(&m, &net, &err), cases[i].status,
                        &err, cases[i].text);
        assert_null(m);
    }
}

/* One kernel, as Gemm wants it for rank 2 and as MatMul does for rank 3. */
static void test_merge__a_shared_dense_of_two_ranks(void **state)
{
    static const float kernel[] = { 1, 2, 3, 4 }; /* not symmetric */
    static const float a[] = { 1, 10 };
    static const int64_t dim[2][3] = { { 1, 2 }, { 1, 1, 2 } };
    static const float want[] = { 31, 42 };
    const keras_array w = {
        .layer = "y", .rank = 2, .dim = { 2, 2 }, .data = kernel
    };
    keras_net_def net = {
        .version = "2.15.0",
        .w = &w,
        .n_w = 1,
        .config = NET(
            IN("a", "[null,2]") IN(
                "b",
                "[null,1,2]") "{\"class_name\":\"Dense\",\"name\":\"y\",\"config\":{"
                              "\"units\":2,\"use_bias\":false},\"inbound_nodes\":["
                              "[[\"a\",0,0,{}]],[[\"b\",0,0,{}]]]}",
            ENDS_AB, "[\"y\",0,0],[\"y\",1,0]")
    };
    keras_array in[2] = { array_of(2, dim[0], a), array_of(3, dim[1], a) };
    md_tensor out[2] = { MD_TENSOR_INIT, MD_TENSOR_INIT };

    (void)state;
    keras_net_run(out, 2, &net, in, 2);
    for (int i = 0; i < 2; i++) {
        expect(&out[i], "shared dense", 2 + i, dim[i], want);
        md_tensor_release(&out[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge__two_inputs),
        cmocka_unit_test(test_merge__what_does_not_fit_is_named),
        cmocka_unit_test(test_merge__a_shared_layer_has_one_set_of_weights),
        cmocka_unit_test(test_merge__arguments_find_their_inputs),
        cmocka_unit_test(test_merge__arguments_that_change_the_result),
        cmocka_unit_test(test_merge__a_shared_dense_of_two_ranks),
        cmocka_unit_test(test_merge__models_nest),
        cmocka_unit_test(test_merge__channels_lie_first_behind_a_convolution),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
