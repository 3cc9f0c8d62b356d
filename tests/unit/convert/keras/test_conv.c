/*
 * Convolutions and pools against their definition in TensorFlow's terms:
 * channels last, SAME and VALID, kernels as Keras keeps them.  Inputs and
 * weights are multiples of a half, so sums of products are exact; only means
 * are rounded.
 */
#include "support/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/keras_net.h"

enum {
    AXES = 3, /* spatial; those that a case lacks have size 1 */
    BATCH = 2
};

typedef struct window_case {
    const char *cls;
    int n; /* spatial axes */
    int64_t in[AXES], kernel[AXES], stride[AXES], dilation[AXES];
    int64_t channels, filters; /* depthwise: filters is the multiplier */
    int64_t groups;
    const char *padding;
    bool bias;
    int64_t mid;        /* separable: the depth multiplier */
    int64_t grow[AXES]; /* transposed: output_padding + 1, 0: null */
} window_case;

/* What one axis does: begin pad and size of the result. */
typedef struct extent {
    int64_t pad, out;
} extent;

static extent extent_of(const window_case *c, int i)
{
    int64_t reach = c->dilation[i] * (c->kernel[i] - 1) + 1;
    int64_t in = c->in[i];
    int64_t s = c->stride[i];
    extent e = { 0, (in - reach) / s + 1 };

    if (strcmp(c->padding, "same") == 0) {
        int64_t total;

        e.out = (in + s - 1) / s;
        total = (e.out - 1) * s + reach - in;
        e.pad = total > 0 ? total / 2 : 0;
    } else if (strcmp(c->padding, "causal") == 0) {
        e.pad = reach - 1;
        e.out = (in - 1) / s + 1;
    }
    return e;
}

/* Index of [b, a0, a1, a2, c] in [BATCH, size..., channels]. */
static size_t at(const int64_t size[AXES], int64_t channels, int64_t b,
                 const int64_t p[AXES], int64_t c)
{
    int64_t k = b;

    for (int i = 0; i < AXES; i++)
        k = k * size[i] + p[i];
    return (size_t)(k * channels + c);
}

/* The next position below `size`; false after the last. */
static bool step(int64_t p[AXES], const int64_t size[AXES])
{
    for (int i = AXES; i-- > 0;) {
        if (++p[i] < size[i])
            return true;
        p[i] = 0;
    }
    return false;
}

/* Where tap k of result o reads; false in the padding. */
static bool source(int64_t p[AXES], const window_case *c, const extent *e,
                   const int64_t o[AXES], const int64_t k[AXES])
{
    for (int i = 0; i < AXES; i++) {
        p[i] = o[i] * c->stride[i] + k[i] * c->dilation[i] - e[i].pad;
        if (p[i] < 0 || p[i] >= c->in[i])
            return false;
    }
    return true;
}

/* Kernel [spatial..., in per group, out]; the result starts at its bias. */
static void conv(float *y, const float *x, const float *w, const window_case *c,
                 const extent *e, const int64_t out[AXES], int64_t groups,
                 int64_t filters)
{
    int64_t each_in = c->channels / groups;
    int64_t each_out = filters / groups;

    for (int64_t b = 0; b < BATCH; b++) {
        int64_t o[AXES] = { 0 };

        do {
            int64_t k[AXES] = { 0 };
            int64_t p[AXES];

            do {
                if (!source(p, c, e, o, k))
                    continue;
                for (int64_t f = 0; f < filters; f++) {
                    for (int64_t i = 0; i < each_in; i++)
                        y[at(out, filters, b, o, f)] +=
                            x[at(c->in, c->channels, b, p,
                                 f / each_out * each_in + i)] *
                            w[((size_t)at(c->kernel, each_in, 0, k, i)) *
                                  (size_t)filters +
                              (size_t)f];
                }
            } while (step(k, c->kernel));
        } while (step(o, out));
    }
}

/* The forward convolution backwards: every input adds a kernel to the result.
 * Kernel [spatial..., out, in]. */
static void conv_back(float *y, const float *x, const float *w,
                      const window_case *c, const int64_t pad[AXES],
                      const int64_t out[AXES])
{
    for (int64_t b = 0; b < BATCH; b++) {
        int64_t p[AXES] = { 0 };

        do {
            int64_t k[AXES] = { 0 };

            do {
                int64_t o[AXES];
                bool inside = true;

                for (int i = 0; i < AXES; i++) {
                    o[i] = p[i] * c->stride[i] + k[i] * c->dilation[i] - pad[i];
                    inside = inside && o[i] >= 0 && o[i] < out[i];
                }
                if (!inside)
                    continue;
                for (int64_t f = 0; f < c->filters; f++) {
                    for (int64_t i = 0; i < c->channels; i++)
                        y[at(out, c->filters, b, o, f)] +=
                            x[at(c->in, c->channels, b, p, i)] *
                            w[at(c->kernel, c->filters, 0, k, f) *
                                  (size_t)c->channels +
                              (size_t)i];
                }
            } while (step(k, c->kernel));
        } while (step(p, c->in));
    }
}

static void print_ints(char *buf, size_t size, const char *key, int n,
                       const int64_t *v, int64_t less)
{
    size_t k = (size_t)snprintf(buf, size, ",\"%s\":[", key);

    for (int i = 0; i < n; i++)
        k += (size_t)snprintf(buf + k, size - k, "%s%lld", i ? "," : "",
                              (long long)(v[i] - less));
    snprintf(buf + k, size - k, "]");
}

static const char *config_of(char buf[2048], const window_case *c)
{
    char layer[1024];
    char part[7][128] = { "" };
    bool is_pool = strstr(c->cls, "Pooling");
    bool depthwise = strncmp(c->cls, "Depthwise", 9) == 0;
    int64_t dim[KERAS_RANK] = { BATCH };

    memcpy(dim + 1, c->in, sizeof(c->in));
    dim[c->n + 1] = c->channels;
    print_ints(part[0], sizeof(part[0]), is_pool ? "pool_size" : "kernel_size",
               c->n, c->kernel, 0);
    print_ints(part[1], sizeof(part[1]), "strides", c->n, c->stride, 0);
    if (!is_pool)
        print_ints(part[2], sizeof(part[2]), "dilation_rate", c->n, c->dilation,
                   0);
    if (c->grow[0])
        print_ints(part[3], sizeof(part[3]), "output_padding", c->n, c->grow,
                   1);
    if (!is_pool)
        snprintf(part[4], sizeof(part[4]), ",\"use_bias\":%s,\"groups\":%lld",
                 c->bias ? "true" : "false", (long long)c->groups);
    if (!is_pool && !depthwise)
        snprintf(part[5], sizeof(part[5]), ",\"filters\":%lld",
                 (long long)c->filters);
    if (depthwise || c->mid)
        snprintf(part[6], sizeof(part[6]), ",\"depth_multiplier\":%lld",
                 (long long)(c->mid ? c->mid : c->filters));
    snprintf(layer, sizeof(layer),
             "{\"class_name\":\"%s\",\"config\":{\"name\":\"y\",\"padding\":"
             "\"%s\"%s%s%s%s%s%s%s}}",
             c->cls, c->padding, part[0], part[1], part[2], part[3], part[4],
             part[5], part[6]);
    return keras_sequential(buf, 2048, c->n + 2, dim, layer);
}

static keras_array input_of(const window_case *c)
{
    keras_array in = { .rank = c->n + 2, .seed = 7 };

    in.dim[0] = BATCH;
    memcpy(in.dim + 1, c->in, (size_t)c->n * sizeof(c->in[0]));
    in.dim[c->n + 1] = c->channels;
    return in;
}

/* A weight of layer y: the kernel's sizes, then a and b. */
static keras_array kernel_of(const window_case *c, int64_t a, int64_t b,
                             uint32_t seed)
{
    keras_array w = { .layer = "y", .rank = c->n + 2, .seed = seed };

    memcpy(w.dim, c->kernel, (size_t)c->n * sizeof(c->kernel[0]));
    w.dim[c->n] = a;
    w.dim[c->n + 1] = b;
    return w;
}

static void expect(const window_case *c, const md_tensor *got,
                   const int64_t out[AXES], int64_t channels, const float *want,
                   double tolerance)
{
    assert_int_equal(got->shape.rank, c->n + 2);
    assert_int_equal(got->shape.dim[0], BATCH);
    assert_int_equal(got->shape.dim[c->n + 1], channels);
    for (int i = 0; i < c->n; i++)
        assert_int_equal(got->shape.dim[i + 1], out[i]);
    for (int64_t i = 0; i < md_tensor_n(got); i++) {
        double v = md_tensor_get_f64(got, i);

        if (!(fabs(v - (double)want[i]) <= tolerance))
            fail_msg("%s, %s, %lld: %g given, %g expected", c->cls, c->padding,
                     (long long)i, v, (double)want[i]);
    }
}

/* A result of `out` filled with the bias, or zeros. */
static float *start(const int64_t out[AXES], int64_t channels,
                    const keras_array *bias)
{
    size_t n = (size_t)(BATCH * out[0] * out[1] * out[2] * channels);
    float *y = test_calloc(n, sizeof(*y));

    if (bias) {
        float *b = keras_values(bias);

        for (size_t i = 0; i < n; i++)
            y[i] = b[i % (size_t)channels];
        test_free(b);
    }
    return y;
}

static void sizes(int64_t out[AXES], extent e[AXES], const window_case *c)
{
    for (int i = 0; i < AXES; i++) {
        e[i] = extent_of(c, i);
        out[i] = e[i].out;
    }
}

static void run(md_tensor *got, const window_case *c, const keras_array *w,
                size_t n_w)
{
    char config[2048];
    keras_net_def net = { .config = config_of(config, c), .w = w, .n_w = n_w };
    keras_array in = input_of(c);

    keras_net_run(got, 1, &net, &in, 1);
}

static void check_conv(const window_case *c)
{
    bool depthwise = strncmp(c->cls, "Depthwise", 9) == 0;
    int64_t n_out = depthwise ? c->channels * c->filters : c->filters;
    int64_t groups = depthwise ? c->channels : c->groups;
    keras_array w[2] = {
        depthwise ? kernel_of(c, c->channels, c->filters, 1)
                  : kernel_of(c, c->channels / c->groups, c->filters, 1),
        { .layer = "y", .rank = 1, .dim = { n_out }, .seed = 2 }
    };
    keras_array in = input_of(c);
    float *x = keras_values(&in);
    float *k = keras_values(&w[0]);
    md_tensor got = MD_TENSOR_INIT;
    int64_t out[AXES];
    extent e[AXES];
    float *y;

    sizes(out, e, c);
    y = start(out, n_out, c->bias ? &w[1] : NULL);
    /* [spatial..., c, m] is [spatial..., 1, c * m] over c groups. */
    conv(y, x, k, c, e, out, groups, n_out);
    run(&got, c, w, c->bias ? 2 : 1);
    expect(c, &got, out, n_out, y, 0);
    md_tensor_release(&got);
    test_free(x);
    test_free(k);
    test_free(y);
}

/* Sizes, strides and dilations of 1 where an axis is not there. */
#define ONES                                                                   \
    {                                                                          \
        1, 1, 1                                                                \
    }

static void test_conv__forward_is_tensorflow_s(void **state)
{
    static const window_case cases[] = {
        { "Conv1D",
          1,
          { 7, 1, 1 },
          { 3, 1, 1 },
          ONES,
          ONES,
          2,
          3,
          1,
          "valid",
          true,
          0,
          { 0 } },
        { "Conv1D",
          1,
          { 8, 1, 1 },
          { 4, 1, 1 },
          { 3, 1, 1 },
          ONES,
          2,
          3,
          1,
          "same",
          true,
          0,
          { 0 } },
        { "Conv1D",
          1,
          { 9, 1, 1 },
          { 3, 1, 1 },
          ONES,
          { 2, 1, 1 },
          1,
          2,
          1,
          "causal",
          false,
          0,
          { 0 } },
        { "Conv1D",
          1,
          { 9, 1, 1 },
          { 3, 1, 1 },
          { 2, 1, 1 },
          ONES,
          1,
          2,
          1,
          "causal",
          true,
          0,
          { 0 } },
        { "Conv2D",
          2,
          { 5, 6, 1 },
          { 3, 2, 1 },
          { 2, 1, 1 },
          ONES,
          3,
          4,
          1,
          "same",
          true,
          0,
          { 0 } },
        { "Conv2D",
          2,
          { 6, 5, 1 },
          { 2, 3, 1 },
          ONES,
          { 2, 1, 1 },
          4,
          6,
          2,
          "valid",
          true,
          0,
          { 0 } },
        { "Conv2D",
          2,
          { 6, 5, 1 },
          { 3, 3, 1 },
          { 3, 2, 1 },
          ONES,
          4,
          4,
          4,
          "same",
          false,
          0,
          { 0 } },
        { "Conv2D",
          2,
          { 4, 4, 1 },
          { 1, 1, 1 },
          { 3, 3, 1 },
          ONES,
          2,
          2,
          1,
          "same",
          false,
          0,
          { 0 } },
        { "Conv3D",
          3,
          { 4, 3, 5 },
          { 2, 3, 2 },
          { 1, 2, 2 },
          ONES,
          2,
          2,
          1,
          "same",
          true,
          0,
          { 0 } },
        { "Conv3D",
          3,
          { 4, 3, 5 },
          { 2, 2, 3 },
          { 2, 1, 1 },
          ONES,
          1,
          3,
          1,
          "valid",
          true,
          0,
          { 0 } },
        { "DepthwiseConv1D",
          1,
          { 6, 1, 1 },
          { 3, 1, 1 },
          ONES,
          ONES,
          3,
          2,
          1,
          "same",
          true,
          0,
          { 0 } },
        { "DepthwiseConv2D",
          2,
          { 5, 4, 1 },
          { 3, 3, 1 },
          { 2, 2, 1 },
          ONES,
          3,
          1,
          1,
          "same",
          true,
          0,
          { 0 } },
        { "DepthwiseConv2D",
          2,
          { 6, 6, 1 },
          { 2, 3, 1 },
          ONES,
          { 2, 2, 1 },
          2,
          3,
          1,
          "valid",
          false,
          0,
          { 0 } },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        check_conv(&cases[i]);
}

static void check_separable(const window_case *c)
{
    keras_array w[3] = {
        kernel_of(c, c->channels, c->mid, 1),
        { .layer = "y", .rank = c->n + 2, .seed = 2 },
        { .layer = "y", .rank = 1, .dim = { c->filters }, .seed = 3 },
    };
    int64_t n_mid = c->channels * c->mid;
    keras_array in = input_of(c);
    window_case point = *c;
    float *v[4] = { keras_values(&in), keras_values(&w[0]), NULL, NULL };
    md_tensor got = MD_TENSOR_INIT;
    int64_t out[AXES];
    extent e[AXES];
    extent none[AXES] = { { 0, 0 }, { 0, 0 }, { 0, 0 } };
    float *y;

    for (int i = 0; i < AXES; i++) {
        w[1].dim[i] = 1;
        point.kernel[i] = point.stride[i] = point.dilation[i] = 1;
    }
    w[1].dim[c->n] = n_mid;
    w[1].dim[c->n + 1] = c->filters;
    sizes(out, e, c);
    v[2] = start(out, n_mid, NULL);
    conv(v[2], v[0], v[1], c, e, out, c->channels, n_mid);
    v[3] = keras_values(&w[1]);
    y = start(out, c->filters, c->bias ? &w[2] : NULL);
    memcpy(point.in, out, sizeof(out));
    point.channels = n_mid;
    conv(y, v[2], v[3], &point, none, out, 1, c->filters);
    run(&got, c, w, c->bias ? 3 : 2);
    expect(c, &got, out, c->filters, y, 0);
    md_tensor_release(&got);
    for (int i = 0; i < 4; i++)
        test_free(v[i]);
    test_free(y);
}

static void test_conv__separable_is_depthwise_and_pointwise(void **state)
{
    static const window_case cases[] = {
        { "SeparableConv1D",
          1,
          { 7, 1, 1 },
          { 3, 1, 1 },
          { 2, 1, 1 },
          ONES,
          2,
          3,
          1,
          "same",
          true,
          2,
          { 0 } },
        { "SeparableConv2D",
          2,
          { 5, 6, 1 },
          { 2, 3, 1 },
          ONES,
          ONES,
          3,
          2,
          1,
          "valid",
          true,
          1,
          { 0 } },
        { "SeparableConv2D",
          2,
          { 5, 6, 1 },
          { 3, 3, 1 },
          ONES,
          { 2, 1, 1 },
          2,
          4,
          1,
          "same",
          false,
          2,
          { 0 } },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        check_separable(&cases[i]);
}

/* Keras' deconv_output_length, and where the scatter begins. */
static void transposed_sizes(int64_t out[AXES], int64_t pad[AXES],
                             const window_case *c)
{
    bool same = strcmp(c->padding, "same") == 0;

    for (int i = 0; i < AXES; i++) {
        int64_t reach = c->dilation[i] * (c->kernel[i] - 1) + 1;
        int64_t s = c->stride[i];
        int64_t total = 0;

        if (c->grow[i])
            out[i] = (c->in[i] - 1) * s + reach - (same ? reach / 2 * 2 : 0) +
                     c->grow[i] - 1;
        else
            out[i] = c->in[i] * s + (!same && reach > s ? reach - s : 0);
        /* The pads that a forward convolution has over `out`. */
        if (same || c->grow[i])
            total = (c->in[i] - 1) * s + reach - out[i];
        pad[i] = total > 0 ? total / 2 : 0;
    }
}

static void check_transposed(const window_case *c)
{
    keras_array w[2] = {
        kernel_of(c, c->filters, c->channels, 1),
        { .layer = "y", .rank = 1, .dim = { c->filters }, .seed = 2 }
    };
    keras_array in = input_of(c);
    float *x = keras_values(&in);
    float *k = keras_values(&w[0]);
    md_tensor got = MD_TENSOR_INIT;
    int64_t out[AXES];
    int64_t pad[AXES];
    float *y;

    transposed_sizes(out, pad, c);
    y = start(out, c->filters, c->bias ? &w[1] : NULL);
    conv_back(y, x, k, c, pad, out);
    run(&got, c, w, c->bias ? 2 : 1);
    expect(c, &got, out, c->filters, y, 0);
    md_tensor_release(&got);
    test_free(x);
    test_free(k);
    test_free(y);
}

static void test_conv__transposed_runs_backwards(void **state)
{
    static const window_case cases[] = {
        { "Conv1DTranspose",
          1,
          { 4, 1, 1 },
          { 3, 1, 1 },
          { 2, 1, 1 },
          ONES,
          2,
          3,
          1,
          "valid",
          true,
          0,
          { 0 } },
        { "Conv1DTranspose",
          1,
          { 4, 1, 1 },
          { 2, 1, 1 },
          { 3, 1, 1 },
          ONES,
          2,
          1,
          1,
          "valid",
          true,
          0,
          { 0 } },
        { "Conv1DTranspose",
          1,
          { 4, 1, 1 },
          { 2, 1, 1 },
          { 3, 1, 1 },
          ONES,
          1,
          1,
          1,
          "same",
          false,
          0,
          { 0 } },
        { "Conv1DTranspose",
          1,
          { 5, 1, 1 },
          { 3, 1, 1 },
          ONES,
          { 2, 1, 1 },
          1,
          2,
          1,
          "valid",
          true,
          0,
          { 0 } },
        { "Conv2DTranspose",
          2,
          { 3, 4, 1 },
          { 3, 2, 1 },
          { 2, 2, 1 },
          ONES,
          3,
          2,
          1,
          "same",
          true,
          0,
          { 0 } },
        { "Conv2DTranspose",
          2,
          { 3, 4, 1 },
          { 4, 3, 1 },
          { 2, 1, 1 },
          ONES,
          2,
          2,
          1,
          "same",
          true,
          0,
          { 0 } },
        { "Conv2DTranspose",
          2,
          { 3, 3, 1 },
          { 3, 3, 1 },
          { 2, 2, 1 },
          ONES,
          1,
          2,
          1,
          "valid",
          false,
          0,
          { 2, 2, 0 } },
        { "Conv2DTranspose",
          2,
          { 3, 3, 1 },
          { 3, 3, 1 },
          { 2, 2, 1 },
          ONES,
          2,
          1,
          1,
          "same",
          false,
          0,
          { 2, 2, 0 } },
        { "Conv3DTranspose",
          3,
          { 2, 3, 2 },
          { 2, 3, 3 },
          { 2, 1, 2 },
          ONES,
          2,
          2,
          1,
          "same",
          true,
          0,
          { 0 } },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++)
        check_transposed(&cases[i]);
}

static void pool(float *y, const float *x, const window_case *c,
                 const extent *e, const int64_t out[AXES], bool max)
{
    for (int64_t b = 0; b < BATCH; b++) {
        int64_t o[AXES] = { 0 };

        do {
            for (int64_t ch = 0; ch < c->channels; ch++) {
                int64_t k[AXES] = { 0 };
                float best = -INFINITY;
                float sum = 0;
                int64_t p[AXES];
                int n = 0;

                do {
                    if (!source(p, c, e, o, k))
                        continue;
                    best = fmaxf(best, x[at(c->in, c->channels, b, p, ch)]);
                    sum += x[at(c->in, c->channels, b, p, ch)];
                    n++;
                } while (step(k, c->kernel));
                y[at(out, c->channels, b, o, ch)] = max ? best : sum / (float)n;
            }
        } while (step(o, out));
    }
}

static void test_conv__pools_ignore_what_is_padded(void **state)
{
    static const window_case cases[] = {
        { "MaxPooling1D",
          1,
          { 7, 1, 1 },
          { 3, 1, 1 },
          { 2, 1, 1 },
          ONES,
          2,
          0,
          1,
          "same",
          false,
          0,
          { 0 } },
        { "MaxPooling2D",
          2,
          { 5, 6, 1 },
          { 2, 3, 1 },
          { 2, 1, 1 },
          ONES,
          3,
          0,
          1,
          "valid",
          false,
          0,
          { 0 } },
        { "MaxPooling2D",
          2,
          { 5, 6, 1 },
          { 3, 3, 1 },
          { 2, 2, 1 },
          ONES,
          2,
          0,
          1,
          "same",
          false,
          0,
          { 0 } },
        { "MaxPooling3D",
          3,
          { 4, 3, 5 },
          { 2, 2, 2 },
          { 2, 1, 2 },
          ONES,
          2,
          0,
          1,
          "same",
          false,
          0,
          { 0 } },
        { "AveragePooling1D",
          1,
          { 7, 1, 1 },
          { 3, 1, 1 },
          { 2, 1, 1 },
          ONES,
          2,
          0,
          1,
          "same",
          false,
          0,
          { 0 } },
        { "AveragePooling2D",
          2,
          { 6, 5, 1 },
          { 3, 2, 1 },
          { 2, 2, 1 },
          ONES,
          2,
          0,
          1,
          "same",
          false,
          0,
          { 0 } },
        { "AveragePooling2D",
          2,
          { 6, 5, 1 },
          { 3, 2, 1 },
          { 3, 1, 1 },
          ONES,
          2,
          0,
          1,
          "valid",
          false,
          0,
          { 0 } },
        { "AveragePooling3D",
          3,
          { 4, 3, 4 },
          { 2, 3, 2 },
          { 1, 2, 2 },
          ONES,
          1,
          0,
          1,
          "same",
          false,
          0,
          { 0 } },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        const window_case *c = &cases[i];
        keras_array in = input_of(c);
        float *x = keras_values(&in);
        md_tensor got = MD_TENSOR_INIT;
        int64_t out[AXES];
        extent e[AXES];
        float *y;

        sizes(out, e, c);
        y = start(out, c->channels, NULL);
        pool(y, x, c, e, out, c->cls[0] == 'M');
        run(&got, c, NULL, 0);
        /* A mean is one rounded division; its sum may be scaled first. */
        expect(c, &got, out, c->channels, y, c->cls[0] == 'M' ? 0 : 1e-6);
        md_tensor_release(&got);
        test_free(x);
        test_free(y);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv__forward_is_tensorflow_s),
        cmocka_unit_test(test_conv__separable_is_depthwise_and_pointwise),
        cmocka_unit_test(test_conv__transposed_runs_backwards),
        cmocka_unit_test(test_conv__pools_ignore_what_is_padded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
