/*
 * Convolutions of 1, 2 and 3 spatial axes.
 *
 * Kernels: Keras has [spatial..., in, out], ONNX [out, in, spatial...]; a
 * depthwise one [spatial..., c, m] becomes [c*m, 1, spatial...], output
 * channel c*m + j.  A transposed one has [spatial..., out, in] and ONNX wants
 * [in, out, spatial...]: the same permutation.
 */
#include <string.h>

#include "base/size.h"
#include "convert/keras/layer.h"

enum {
    AXES_MAX = 3 /* spatial */
};

/* The window of a convolution, per spatial axis. */
typedef struct window {
    int n; /* spatial axes */
    int64_t kernel[AXES_MAX], stride[AXES_MAX], dilation[AXES_MAX];
    int64_t pad[2 * AXES_MAX];   /* all begins, then all ends */
    int64_t extra[2 * AXES_MAX]; /* of a ZeroPadding in front */
    bool auto_same; /* the input's size is free: pads at run time */
} window;

static md_status read_window(window *w, const md_keras_build *b,
                             const md_keras_value *x, md_error *err)
{
    md_keras_layer *l = b->layer;

    *w = (window){ .n = x->rank - 2 };
    if (w->n < 1 || w->n > AXES_MAX)
        return md_keras_fail(b, err, MD_CORRUPT, "input of rank %d", x->rank);
    MD_TRY(md_keras_ints(w->kernel, (uint32_t)w->n, l, "kernel_size", 0, err));
    MD_TRY(md_keras_ints(w->stride, (uint32_t)w->n, l, "strides", 1, err));
    MD_TRY(
        md_keras_ints(w->dilation, (uint32_t)w->n, l, "dilation_rate", 1, err));
    for (int i = 0; i < w->n; i++) {
        int64_t span;

        if (w->kernel[i] < 1 || w->stride[i] < 1 || w->dilation[i] < 1 ||
            w->stride[i] > INT32_MAX ||
            !md_mul_i64(&span, w->kernel[i], w->dilation[i]) ||
            span > INT32_MAX)
            return md_keras_fail(b, err, MD_CORRUPT,
                                 "kernel %lld, stride %lld, dilation %lld on "
                                 "axis %d",
                                 (long long)w->kernel[i],
                                 (long long)w->stride[i],
                                 (long long)w->dilation[i], i);
    }
    return MD_OK;
}

/* Extent of a dilated kernel. */
static int64_t reach(const window *w, int i)
{
    return w->dilation[i] * (w->kernel[i] - 1) + 1;
}

/* TensorFlow's SAME: ceil(in / stride) outputs, the odd pad at the end. */
static void pad_same(window *w, const md_keras_value *x)
{
    for (int i = 0; i < w->n; i++) {
        int64_t in = x->dim[i + 1];
        int64_t total;

        if (in < 0) {
            w->auto_same = true;
            continue;
        }
        total =
            (md_div_up(in, w->stride[i]) - 1) * w->stride[i] + reach(w, i) - in;
        if (total > 0) {
            w->pad[i] = total / 2;
            w->pad[w->n + i] = total - total / 2;
        }
    }
}

static md_status read_padding(window *w, const md_keras_build *b,
                              const md_keras_value *x, md_error *err)
{
    const char *kind = md_keras_text(b->layer->config, "padding", "valid");

    if (strcmp(kind, "same") == 0) {
        pad_same(w, x);
    } else if (strcmp(kind, "causal") == 0) {
        for (int i = 0; i < w->n; i++)
            w->pad[i] = reach(w, i) - 1;
    } else if (strcmp(kind, "valid") != 0) {
        return md_keras_fail(b, err, MD_UNSUPPORTED, "padding '%s'", kind);
    }
    return MD_OK;
}

/* Take over the pads of a ZeroPadding in front, which then has no use. */
static void absorb_pad(window *w, md_keras_value *x, const md_keras_build *b)
{
    const md_node *pad = md_graph_value(b->g, x->id)->def;
    const int64_t *v;

    if (w->auto_same || !pad || strcmp(pad->op, "Pad") != 0)
        return;
    v = md_graph_value(b->g, pad->in[1])->cdata->data;
    for (int i = 0; i < w->n; i++) {
        w->extra[i] = v[2 + i];
        w->extra[w->n + i] = v[w->n + 4 + i];
    }
    x->id = pad->in[0];
}

static md_status set_window(md_keras_build *b, md_node *node, const window *w,
                            int64_t groups, md_error *err)
{
    uint32_t n = (uint32_t)w->n;
    int64_t pad[2 * AXES_MAX];

    for (int i = 0; i < 2 * AXES_MAX; i++)
        pad[i] = w->pad[i] + w->extra[i];
    MD_TRY(md_node_set_attr_is(b->g, node, "kernel_shape", w->kernel, n, err));
    MD_TRY(md_node_set_attr_is(b->g, node, "strides", w->stride, n, err));
    MD_TRY(md_node_set_attr_is(b->g, node, "dilations", w->dilation, n, err));
    MD_TRY(md_node_set_attr_i(b->g, node, "group", groups, err));
    if (w->auto_same)
        return md_node_set_attr_s(b->g, node, "auto_pad", "SAME_UPPER", err);
    return md_node_set_attr_is(b->g, node, "pads", pad, 2 * n, err);
}

/* Sizes after the window; a free axis stays free. */
static md_status set_dims(md_keras_value *out, const md_keras_build *b,
                          const window *w, int64_t channels, md_error *err)
{
    bool same =
        strcmp(md_keras_text(b->layer->config, "padding", ""), "same") == 0;

    out->dim[out->rank - 1] = channels;
    for (int i = 0; i < w->n; i++) {
        int64_t in = out->dim[i + 1];
        int64_t room = in + w->pad[i] + w->pad[w->n + i] - reach(w, i);

        if (in < 0)
            continue;
        if (!same && room < 0)
            return md_keras_fail(b, err, MD_CORRUPT,
                                 "kernel reaches over %lld of %lld elements",
                                 (long long)reach(w, i), (long long)in);
        out->dim[i + 1] =
            same ? md_div_up(in, w->stride[i]) : room / w->stride[i] + 1;
    }
    return MD_OK;
}

/* [spatial..., a, b] to [b, a, spatial...]. */
static void kernel_perm(int perm[MD_RANK_MAX], int n)
{
    perm[0] = n + 1;
    perm[1] = n;
    for (int i = 0; i < n; i++)
        perm[i + 2] = i;
}

static md_status check_kernel(const md_keras_build *b, uint32_t i,
                              const window *w, int64_t a, int64_t c,
                              md_error *err)
{
    int64_t dim[MD_RANK_MAX];
    const md_tensor *t;

    for (int k = 0; k < w->n; k++)
        dim[k] = w->kernel[k];
    dim[w->n] = a;
    dim[w->n + 1] = c;
    return md_keras_weight(&t, b, i, w->n + 2, dim, err);
}

/* The bias (weight i) as third input, when the layer has one. */
static md_status add_bias(md_value_id *in, uint32_t *n_in, md_keras_build *b,
                          uint32_t i, int64_t channels, md_error *err)
{
    const md_tensor *t;

    if (!md_keras_bool(b->layer->config, "use_bias", true))
        return md_keras_expect_weights(b, i, err);
    MD_TRY(md_keras_expect_weights(b, i + 1, err));
    MD_TRY(md_keras_weight(&t, b, i, 1, &channels, err));
    MD_TRY(md_keras_weight_const(&in[2], b, i, "bias", NULL, NULL, err));
    *n_in = 3;
    return MD_OK;
}

static md_status finish(md_keras_value *out, md_keras_build *b, md_error *err)
{
    md_keras_value y = *out;

    return md_keras_activate(out, b, &y, md_keras_activation(b->layer->config),
                             err);
}

/* Channels and rank of the input, channels first. */
static md_status begin(md_keras_value *out, int64_t *channels,
                       md_keras_build *b, const md_keras_value *x,
                       md_error *err)
{
    if (x->rank < 3)
        return md_keras_fail(b, err, MD_CORRUPT, "input of rank %d", x->rank);
    *channels = x->dim[x->rank - 1];
    if (*channels < 1)
        return md_keras_fail(b, err, MD_CORRUPT,
                             "number of input channels is not fixed");
    return md_keras_first(out, b, x, err);
}

/* Keras 2 writes groups for layers that do not look at them. */
static md_status expect_one_group(const md_keras_build *b, md_error *err)
{
    int64_t groups = md_keras_int(b->layer->config, "groups", 1);

    if (groups == 1)
        return MD_OK;
    return md_keras_fail(b, err, MD_UNSUPPORTED, "groups %lld, 1 expected",
                         (long long)groups);
}

static md_status filters(int64_t *out, const md_keras_build *b, int64_t groups,
                         md_error *err)
{
    *out = md_keras_int(b->layer->config, "filters", 0);
    if (*out < 1 || *out > INT32_MAX || groups < 1 || *out % groups != 0)
        return md_keras_fail(b, err, MD_CORRUPT, "%lld filters in %lld groups",
                             (long long)*out, (long long)groups);
    return MD_OK;
}

md_status md_keras_convolve(md_keras_value *out, md_keras_build *b,
                            const md_keras_value *x, int64_t n, int64_t groups,
                            uint32_t bias, md_error *err)
{
    md_value_id in[3];
    int perm[MD_RANK_MAX];
    uint32_t n_in = 2;
    int64_t c = 0;
    md_node *node;
    window w;

    MD_TRY(begin(out, &c, b, x, err));
    MD_TRY(read_window(&w, b, x, err));
    MD_TRY(read_padding(&w, b, x, err));
    if (c % groups != 0)
        return md_keras_fail(b, err, MD_CORRUPT, "%lld channels in %lld groups",
                             (long long)c, (long long)groups);
    MD_TRY(check_kernel(b, 0, &w, c / groups, n, err));
    kernel_perm(perm, w.n);
    absorb_pad(&w, out, b);
    in[0] = out->id;
    MD_TRY(md_keras_weight_const(&in[1], b, 0, "kernel", perm, NULL, err));
    MD_TRY(add_bias(in, &n_in, b, bias, n, err));
    MD_TRY(md_keras_op(&out->id, b, "Conv", in, n_in, &node, err));
    MD_TRY(set_window(b, node, &w, groups, err));
    return set_dims(out, b, &w, n, err);
}

md_status md_keras_emit_conv(md_keras_build *b, const md_keras_value *x,
                             uint32_t n_x, md_keras_value *out, md_error *err)
{
    int64_t groups = md_keras_int(b->layer->config, "groups", 1);
    int64_t n = 0;

    (void)n_x;
    MD_TRY(filters(&n, b, groups, err));
    MD_TRY(md_keras_convolve(out, b, x, n, groups, 1, err));
    return finish(out, b, err);
}

/* The depthwise step: weight 0, without bias. */
static md_status depthwise(md_keras_value *out, md_value_id *in, window *w,
                           md_keras_build *b, int64_t c, int64_t *channels,
                           md_error *err)
{
    int64_t m = md_keras_int(b->layer->config, "depth_multiplier", 1);
    md_shape shape = { w->n + 2, { 0 } };
    int perm[MD_RANK_MAX];

    if (m < 1 || !md_mul_i64(channels, c, m) || *channels > INT32_MAX)
        return md_keras_fail(b, err, MD_CORRUPT, "depth_multiplier %lld",
                             (long long)m);
    MD_TRY(check_kernel(b, 0, w, c, m, err));
    perm[0] = w->n;
    perm[1] = w->n + 1;
    shape.dim[0] = *channels;
    shape.dim[1] = 1;
    for (int i = 0; i < w->n; i++) {
        perm[i + 2] = i;
        shape.dim[i + 2] = w->kernel[i];
    }
    absorb_pad(w, out, b);
    in[0] = out->id;
    return md_keras_weight_const(&in[1], b, 0, "depthwise_kernel", perm, &shape,
                                 err);
}

md_status md_keras_emit_depthwise(md_keras_build *b, const md_keras_value *x,
                                  uint32_t n_x, md_keras_value *out,
                                  md_error *err)
{
    md_value_id in[3];
    uint32_t n_in = 2;
    int64_t c = 0;
    int64_t n = 0;
    md_node *node;
    window w;

    (void)n_x;
    MD_TRY(expect_one_group(b, err));
    MD_TRY(begin(out, &c, b, x, err));
    MD_TRY(read_window(&w, b, x, err));
    MD_TRY(read_padding(&w, b, x, err));
    MD_TRY(depthwise(out, in, &w, b, c, &n, err));
    MD_TRY(add_bias(in, &n_in, b, 1, n, err));
    MD_TRY(md_keras_op(&out->id, b, "Conv", in, n_in, &node, err));
    MD_TRY(set_window(b, node, &w, c, err));
    MD_TRY(set_dims(out, b, &w, n, err));
    return finish(out, b, err);
}

/* 1 x 1 from `mid` channels to n: weight 1, bias 2. */
static md_status pointwise(md_keras_value *out, md_keras_build *b, int axes,
                           int64_t mid, int64_t n, md_error *err)
{
    window one = { .n = axes };
    md_value_id in[3] = { out->id };
    int perm[MD_RANK_MAX];
    uint32_t n_in = 2;
    md_node *node;

    for (int i = 0; i < axes; i++)
        one.kernel[i] = one.stride[i] = one.dilation[i] = 1;
    MD_TRY(check_kernel(b, 1, &one, mid, n, err));
    kernel_perm(perm, axes);
    MD_TRY(md_keras_weight_const(&in[1], b, 1, "pointwise_kernel", perm, NULL,
                                 err));
    MD_TRY(add_bias(in, &n_in, b, 2, n, err));
    MD_TRY(md_keras_op(&out->id, b, "Conv", in, n_in, &node, err));
    return set_window(b, node, &one, 1, err);
}

/* Depthwise, then 1 x 1 with bias and activation. */
md_status md_keras_emit_separable(md_keras_build *b, const md_keras_value *x,
                                  uint32_t n_x, md_keras_value *out,
                                  md_error *err)
{
    md_value_id in[2];
    int64_t c = 0;
    int64_t mid = 0;
    int64_t n = 0;
    md_node *node;
    window w;

    (void)n_x;
    MD_TRY(expect_one_group(b, err));
    MD_TRY(begin(out, &c, b, x, err));
    MD_TRY(read_window(&w, b, x, err));
    MD_TRY(read_padding(&w, b, x, err));
    MD_TRY(filters(&n, b, 1, err));
    MD_TRY(depthwise(out, in, &w, b, c, &mid, err));
    MD_TRY(md_keras_op(&out->id, b, "Conv", in, 2, &node, err));
    MD_TRY(set_window(b, node, &w, c, err));
    MD_TRY(pointwise(out, b, w.n, mid, n, err));
    MD_TRY(set_dims(out, b, &w, n, err));
    return finish(out, b, err);
}

/*
 * Pads and extra output of a transposed convolution.  TensorFlow runs the
 * forward convolution backwards: with o outputs wanted, the pads are those
 * the forward one would have over o, total = (i-1)*s + k - o, the odd one at
 * the end; when that is negative, o has elements that no kernel reaches.
 */
static md_status transpose_pads(window *w, int64_t *extra, int64_t *grow,
                                const md_keras_build *b, md_error *err)
{
    const char *kind = md_keras_text(b->layer->config, "padding", "valid");
    bool same = strcmp(kind, "same") == 0;
    int64_t given[AXES_MAX] = { 0 };

    if (!same && strcmp(kind, "valid") != 0)
        return md_keras_fail(b, err, MD_UNSUPPORTED, "padding '%s'", kind);
    MD_TRY(md_keras_ints(given, (uint32_t)w->n, b->layer, "output_padding", -1,
                         err));
    for (int i = 0; i < w->n; i++) {
        int64_t over = reach(w, i) - w->stride[i]; /* k - s */
        int64_t total;

        if (given[i] > INT32_MAX)
            return md_keras_fail(b, err, MD_CORRUPT, "output_padding %lld",
                                 (long long)given[i]);
        if (given[i] >= 0)
            total = (same ? reach(w, i) / 2 * 2 : 0) - given[i];
        else
            total = same || over < 0 ? over : 0;
        grow[i] = over - total; /* o = i*s + this */
        extra[i] = total < 0 ? -total : 0;
        if (total > 0) {
            w->pad[i] = total / 2;
            w->pad[w->n + i] = total - total / 2;
        }
    }
    return MD_OK;
}

/* Sizes after a transposed convolution. */
static md_status set_grown(md_keras_value *out, const md_keras_build *b,
                           const window *w, const int64_t *grow, int64_t n,
                           md_error *err)
{
    out->dim[out->rank - 1] = n;
    for (int i = 0; i < w->n; i++) {
        int64_t *d = &out->dim[i + 1];

        if (*d >= 0 && (!md_mul_i64(d, *d, w->stride[i]) ||
                        !md_add_i64(d, *d, grow[i]) || *d < 1))
            return md_keras_fail(b, err, MD_CORRUPT, "output size on axis %d",
                                 i);
    }
    return MD_OK;
}

/* Kernel and bias behind the input in in[0]; n filters over c channels. */
static md_status transpose_weights(md_value_id in[3], uint32_t *n_in,
                                   int64_t *n, md_keras_build *b,
                                   const window *w, int64_t c, md_error *err)
{
    int perm[MD_RANK_MAX];

    *n_in = 2;
    MD_TRY(filters(n, b, 1, err));
    MD_TRY(check_kernel(b, 0, w, *n, c, err));
    kernel_perm(perm, w->n);
    MD_TRY(md_keras_weight_const(&in[1], b, 0, "kernel", perm, NULL, err));
    return add_bias(in, n_in, b, 1, *n, err);
}

md_status md_keras_emit_conv_transpose(md_keras_build *b,
                                       const md_keras_value *x, uint32_t n_x,
                                       md_keras_value *out, md_error *err)
{
    int64_t extra[AXES_MAX] = { 0 };
    int64_t grow[AXES_MAX] = { 0 };
    md_value_id in[3];
    uint32_t n_in;
    int64_t c = 0;
    int64_t n = 0;
    md_node *node;
    window w;

    (void)n_x;
    MD_TRY(expect_one_group(b, err));
    MD_TRY(begin(out, &c, b, x, err));
    MD_TRY(read_window(&w, b, x, err));
    MD_TRY(transpose_pads(&w, extra, grow, b, err));
    in[0] = out->id;
    MD_TRY(transpose_weights(in, &n_in, &n, b, &w, c, err));
    MD_TRY(md_keras_op(&out->id, b, "ConvTranspose", in, n_in, &node, err));
    MD_TRY(set_window(b, node, &w, 1, err));
    MD_TRY(md_node_set_attr_is(b->g, node, "output_padding", extra,
                               (uint32_t)w.n, err));
    MD_TRY(set_grown(out, b, &w, grow, n, err));
    return finish(out, b, err);
}
