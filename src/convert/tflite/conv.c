/*
 * Convolutions, pools, resizing and what else looks at pictures.
 *
 * Kernels: CONV_2D has [out, h, w, in], ONNX [out, in, h, w]; a depthwise one
 * [1, h, w, c * m] becomes [c * m, 1, h, w]; TRANSPOSE_CONV [out, h, w, in]
 * becomes [in, out, h, w].
 */
#include <string.h>

#include "base/size.h"
#include "convert/tflite/build.h"

enum {
    AXES_MAX = 3,
    SAME = 0 /* Padding of the schema */
};

/* The window of an operator, per spatial axis. */
typedef struct window {
    int n; /* spatial axes */
    int64_t kernel[AXES_MAX], stride[AXES_MAX], dilation[AXES_MAX];
    int64_t pad[2 * AXES_MAX]; /* all begins, then all ends */
    bool same;
    bool auto_same; /* the input's size is free: pads at run time */
} window;

static bool check_window(md_tfl_build *b, window *w)
{
    for (int i = 0; i < w->n; i++) {
        int64_t span = 0;

        if (w->kernel[i] < 1 || w->stride[i] < 1 || w->dilation[i] < 1 ||
            !md_mul_i64(&span, w->kernel[i], w->dilation[i]) ||
            span > INT32_MAX) {
            md_emit_fail(&b->e, MD_CORRUPT,
                         "kernel %lld, stride %lld, dilation %lld on axis %d",
                         (long long)w->kernel[i], (long long)w->stride[i],
                         (long long)w->dilation[i], i);
            return false;
        }
    }
    return b->e.status == MD_OK;
}

/* Extent of a dilated kernel. */
static int64_t reach(const window *w, int i)
{
    return w->dilation[i] * (w->kernel[i] - 1) + 1;
}

/* SAME: ceil(in / stride) outputs, the odd pad at the end. */
static void pad_same(md_tfl_build *b, window *w, const md_tfl_value *x)
{
    for (int i = 0; w->same && i < w->n; i++) {
        int64_t in = md_tfl_size(b, x, i + 1);
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

/* Between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: what it is without them. */
static void dilate(const md_tfl_build *b, window *w)
{
    const md_tfl_dilated *d = md_tfl_dilated_find(b, b->op);

    for (int i = 0; d && i < 2; i++) {
        w->dilation[i] = d->block[i];
        w->pad[i] = d->begin[i];
        w->pad[2 + i] = d->end[i];
    }
}

/* Attributes of the window; at[] is where they go, its end is set. */
static uint32_t window_attrs(md_emit_attr *at, const window *w, bool dilated)
{
    uint32_t n = 0;

    at[n++] = (md_emit_attr)EMIT_IS("kernel_shape", w->kernel, w->n);
    at[n++] = (md_emit_attr)EMIT_IS("strides", w->stride, w->n);
    if (dilated)
        at[n++] = (md_emit_attr)EMIT_IS("dilations", w->dilation, w->n);
    if (w->auto_same)
        at[n++] = (md_emit_attr)EMIT_S("auto_pad", "SAME_UPPER");
    else
        at[n++] = (md_emit_attr)EMIT_IS("pads", w->pad, 2 * w->n);
    at[n] = (md_emit_attr)EMIT_END;
    return n;
}

/* Rank n + 2 and a fixed number of channels. */
static int64_t channels(md_tfl_build *b, const md_tfl_value *x, int n)
{
    int64_t c = x ? md_tfl_size(b, x, n + 1) : -1;

    if (!x || md_tfl_rank(b, x) != n + 2)
        md_emit_fail(&b->e, MD_CORRUPT, "its input is no tensor of rank %d",
                     n + 2);
    else if (c < 1)
        md_emit_fail(&b->e, MD_UNSUPPORTED, "the number of channels is free");
    return c;
}

/* Sizes of a constant or computed kernel of rank n. */
static bool kernel_size(md_tfl_build *b, int64_t *dim, int n, uint32_t i)
{
    const md_tfl_value *w = md_tfl_in(b, i);

    if (!w || md_tfl_rank(b, w) != n) {
        md_emit_fail(&b->e, MD_CORRUPT, "its kernel is no tensor of rank %d",
                     n);
        return false;
    }
    for (int k = 0; k < n; k++) {
        dim[k] = md_tfl_size(b, w, k);
        if (dim[k] < 1)
            md_emit_fail(&b->e, MD_UNSUPPORTED, "its kernel has no fixed size");
    }
    return b->e.status == MD_OK;
}

static void finish(md_tfl_build *b, md_value_id y, int activation)
{
    md_tfl_set(b, 0, md_tfl_activate(b, y, activation), MD_TFL_FIRST);
}

/* Conv of input 0 with the weights in in[1] and the bias, input `bias`. */
static md_value_id convolve(md_tfl_build *b, const window *w, md_value_id wt,
                            uint32_t bias, int64_t groups)
{
    md_value_id in[] = { md_tfl_real(b, md_tfl_in(b, 0), MD_TFL_FIRST), wt,
                         md_tfl_bias(b, md_tfl_in(b, bias)) };
    md_emit_attr attrs[8];
    uint32_t n = window_attrs(attrs, w, true);

    attrs[n++] = (md_emit_attr)EMIT_I("group", groups);
    attrs[n] = (md_emit_attr)EMIT_END;
    return md_emit_op(&b->e, "Conv", in, in[2] == MD_VALUE_NONE ? 2 : 3, attrs);
}

/* The sizes k of the kernel, the spatial ones from k[at] on, and the pads of the
 * window that they make. */
static bool open_window(md_tfl_build *b, window *w, int64_t *k, int at)
{
    if (!kernel_size(b, k, w->n + 2, 1))
        return false;
    memcpy(w->kernel, k + at, (size_t)w->n * sizeof(*k));
    if (!check_window(b, w))
        return false;
    pad_same(b, w, md_tfl_in(b, 0));
    dilate(b, w);
    return true;
}

/* The result, of the kernel in the order `perm`; `fits`: it is for that many
 * channels. */
static void give(md_tfl_build *b, const window *w, const int *perm,
                 int64_t groups, bool fits, int activation)
{
    md_tfl_value *x = md_tfl_in(b, 0), *kernel = md_tfl_in(b, 1);

    if (!fits) {
        md_emit_fail(&b->e, MD_CORRUPT, "%lld channels, a kernel for %lld",
                     (long long)md_tfl_size(b, x, w->n + 1),
                     (long long)md_tfl_size(b, kernel, 3));
        return;
    }
    finish(b, convolve(b, w, md_tfl_weight(b, kernel, perm, NULL), 2, groups),
           activation);
}

void md_tfl_emit_conv(md_tfl_build *b)
{
    static const int perm[] = { 0, 3, 1, 2 };
    const md_fb_table *o = &b->op->options;
    int64_t c = channels(b, md_tfl_in(b, 0), 2), groups, k[4];
    window w = { .n = 2,
                 .same = md_fb_i8(o, 0, 0) == SAME,
                 .stride = { md_fb_i32(o, 2, 0), md_fb_i32(o, 1, 0) },
                 .dilation = { md_fb_i32(o, 5, 1), md_fb_i32(o, 4, 1) } };

    if (!open_window(b, &w, k, 1))
        return;
    groups = c / k[3];
    give(b, &w, perm, groups, c % k[3] == 0 && k[0] % groups == 0,
         md_fb_i8(o, 3, 0));
}

void md_tfl_emit_depthwise(md_tfl_build *b)
{
    static const int perm[] = { 3, 0, 1, 2 };
    const md_fb_table *o = &b->op->options;
    int64_t c = channels(b, md_tfl_in(b, 0), 2), k[4];
    window w = { .n = 2,
                 .same = md_fb_i8(o, 0, 0) == SAME,
                 .stride = { md_fb_i32(o, 2, 0), md_fb_i32(o, 1, 0) },
                 .dilation = { md_fb_i32(o, 6, 1), md_fb_i32(o, 5, 1) } };

    if (!open_window(b, &w, k, 1))
        return;
    give(b, &w, perm, c, k[0] == 1 && k[3] % c == 0, md_fb_i8(o, 4, 0));
}

void md_tfl_emit_conv_3d(md_tfl_build *b)
{
    static const int perm[] = { 4, 3, 0, 1, 2 };
    const md_fb_table *o = &b->op->options;
    int64_t c = channels(b, md_tfl_in(b, 0), 3), k[5];
    window w = { .n = 3,
                 .same = md_fb_i8(o, 0, 0) == SAME,
                 .stride = { md_fb_i32(o, 1, 0), md_fb_i32(o, 3, 0),
                             md_fb_i32(o, 2, 0) },
                 .dilation = { md_fb_i32(o, 5, 1), md_fb_i32(o, 7, 1),
                               md_fb_i32(o, 6, 1) } };

    if (open_window(b, &w, k, 0))
        give(b, &w, perm, 1, k[3] == c, md_fb_i8(o, 4, 0));
}

/*
 * Pads of a transposed convolution: those that the forward one would have over
 * its output (o elements), the odd one at the end; what is left of the full
 * (i - 1) * s + k elements falls away there, or is added.
 */
static bool transpose_pads(md_tfl_build *b, window *w, const md_tfl_value *x,
                           const int64_t *size, int64_t *extra)
{
    for (int i = 0; i < w->n; i++) {
        int64_t in = md_tfl_size(b, x, i + 1);
        int64_t k = reach(w, i);
        int64_t o = size[i];
        int64_t total;
        int64_t end;

        if (in < 0 || o < 0) {
            /* What the operator gives without being told. */
            total = k - w->stride[i];
            w->pad[i] = w->same && total > 0 ? total / 2 : 0;
            end = w->same ? total - w->pad[i] : total < 0 ? total : 0;
        } else {
            total = (md_div_up(o, w->stride[i]) - 1) * w->stride[i] + k - o;
            w->pad[i] = w->same && total > 0 ? total / 2 : 0;
            end = (in - 1) * w->stride[i] + k - w->pad[i] - o;
        }
        extra[i] = end < 0 ? -end : 0;
        w->pad[w->n + i] = end > 0 ? end : 0;
        if (extra[i] >= w->stride[i] && extra[i] >= w->dilation[i]) {
            md_emit_fail(&b->e, MD_UNSUPPORTED,
                         "%lld outputs behind the last kernel on axis %d",
                         (long long)extra[i], i);
            return false;
        }
    }
    return true;
}

static md_value_id deconvolve(md_tfl_build *b, const window *w, md_value_id x,
                              md_value_id wt, md_value_id bias,
                              const int64_t *extra)
{
    md_value_id in[] = { x, wt, bias };
    md_emit_attr attrs[8];
    uint32_t n = window_attrs(attrs, w, true);

    attrs[n++] = (md_emit_attr)EMIT_IS("output_padding", extra, w->n);
    attrs[n] = (md_emit_attr)EMIT_END;
    return md_emit_op(&b->e, "ConvTranspose", in, bias == MD_VALUE_NONE ? 2 : 3,
                      attrs);
}

/* Spatial sizes in input 0, a shape; -1 where they are not known. */
static void wanted_size(md_tfl_build *b, int64_t *size, int n)
{
    md_dim dim[MD_RANK_MAX];
    uint32_t got = 0;

    for (int i = 0; i < n; i++)
        size[i] = -1;
    if (!md_tfl_read_dims(b, 0, dim, MD_RANK_MAX, &got) ||
        got != (uint32_t)n + 2)
        return;
    for (int i = 0; i < n; i++) {
        if (md_dim_is_const(dim[i + 1]) && dim[i + 1].k > 0)
            size[i] = dim[i + 1].k;
    }
}

/* Inputs: shape, kernel, picture, bias. */
static void transposed(md_tfl_build *b, window *w, const int *perm,
                       int activation)
{
    md_tfl_value *x = md_tfl_in(b, 2);
    int64_t size[AXES_MAX];
    int64_t extra[AXES_MAX];
    md_value_id y;

    (void)channels(b, x, w->n);
    if (!check_window(b, w))
        return;
    wanted_size(b, size, w->n);
    if (!transpose_pads(b, w, x, size, extra))
        return;
    y = deconvolve(b, w, md_tfl_real(b, x, MD_TFL_FIRST),
                   md_tfl_weight(b, md_tfl_in(b, 1), perm, NULL),
                   md_tfl_bias(b, md_tfl_in(b, 3)), extra);
    finish(b, y, activation);
}

void md_tfl_emit_transpose_conv(md_tfl_build *b)
{
    static const int perm[] = { 3, 0, 1, 2 };
    const md_fb_table *o = &b->op->options;
    int64_t k[4];
    window w = { .n = 2,
                 .same = md_fb_i8(o, 0, 0) == SAME,
                 .stride = { md_fb_i32(o, 2, 0), md_fb_i32(o, 1, 0) },
                 .dilation = { 1, 1 } };

    if (!kernel_size(b, k, 4, 1))
        return;
    w.kernel[0] = k[1];
    w.kernel[1] = k[2];
    transposed(b, &w, perm, md_fb_i8(o, 3, 0));
}

void md_tfl_emit_conv_3d_transpose(md_tfl_build *b)
{
    static const int perm[] = { 4, 3, 0, 1, 2 };
    const md_fb_table *o = &b->op->options;
    int64_t k[5];
    window w = { .n = 3,
                 .same = md_fb_i8(o, 0, 0) == SAME,
                 .stride = { md_fb_i32(o, 1, 0), md_fb_i32(o, 3, 0),
                             md_fb_i32(o, 2, 0) },
                 .dilation = { md_fb_i32(o, 5, 1), md_fb_i32(o, 7, 1),
                               md_fb_i32(o, 6, 1) } };

    if (!kernel_size(b, k, 5, 1))
        return;
    memcpy(w.kernel, k, 3 * sizeof(*k));
    transposed(b, &w, perm, md_fb_i8(o, 4, 0));
}

/* A C struct in the custom options: int32 number i. */
static int32_t raw_i32(const md_tfl_build *b, uint32_t i)
{
    const md_fb_vector *v = &b->op->custom_options;

    return i < v->n / 4 ? md_fb_vec_i32(v, i) : 0;
}

/* MediaPipe: inputs picture, kernel, bias; TfLiteTransposeConvParams {padding
 * (1 SAME, 2 VALID), stride width, height, ...}. */
void md_tfl_emit_custom_transpose_conv(md_tfl_build *b)
{
    static const int perm[] = { 3, 0, 1, 2 };
    static const int64_t unknown[] = { -1, -1 };
    md_tfl_value *x = md_tfl_in(b, 0);
    int64_t extra[AXES_MAX];
    int64_t k[4];
    window w = { .n = 2,
                 .same = raw_i32(b, 0) == 1,
                 .stride = { raw_i32(b, 2), raw_i32(b, 1) },
                 .dilation = { 1, 1 } };

    (void)channels(b, x, 2);
    if (!kernel_size(b, k, 4, 1))
        return;
    w.kernel[0] = k[1];
    w.kernel[1] = k[2];
    if (!check_window(b, &w) || !transpose_pads(b, &w, x, unknown, extra))
        return;
    finish(b,
           deconvolve(b, &w, md_tfl_real(b, x, MD_TFL_FIRST),
                      md_tfl_weight(b, md_tfl_in(b, 1), perm, NULL),
                      md_tfl_bias(b, md_tfl_in(b, 2)), extra),
           0);
}

/* --- pools --- */

void md_tfl_emit_pool(md_tfl_build *b)
{
    const md_fb_table *o = &b->op->options;
    const char *op = md_tfl_row_now(b)->onnx;
    md_tfl_value *x = md_tfl_in(b, 0);
    window w = { .n = 2,
                 .same = md_fb_i8(o, 0, 0) == SAME,
                 .stride = { md_fb_i32(o, 2, 0), md_fb_i32(o, 1, 0) },
                 .kernel = { md_fb_i32(o, 4, 0), md_fb_i32(o, 3, 0) },
                 .dilation = { 1, 1 } };
    bool codes =
        op[0] == 'M' && md_tfl_same_codes(b, 0) && md_fb_i8(o, 5, 0) == 0;
    md_emit_attr attrs[8];
    md_value_id v;

    (void)channels(b, x, 2);
    if (!check_window(b, &w))
        return;
    pad_same(b, &w, x);
    (void)window_attrs(attrs, &w, false);
    /* The largest code is that of the largest number. */
    v = codes ? md_tfl_code(b, x, MD_TFL_FIRST)
              : md_tfl_real(b, x, MD_TFL_FIRST);
    if (codes && md_emit_type(&b->e, v)->dtype == MD_DTYPE_I16) {
        codes = false; /* MaxPool has none */
        v = md_tfl_real(b, x, MD_TFL_FIRST);
    }
    if (!op[0]) { /* L2: the root of the mean of squares */
        v = md_emit_op2(&b->e, "Mul", v, v);
        v = md_emit_op(&b->e, "AveragePool", &v, 1, attrs);
        v = md_emit_op1(&b->e, "Sqrt", v);
    } else {
        v = md_emit_op(&b->e, op, &v, 1, attrs);
    }
    if (codes)
        md_tfl_set_code(b, 0, v, MD_TFL_FIRST);
    else
        finish(b, v, md_fb_i8(o, 5, 0));
}

/* MediaPipe's TfLitePoolParams {padding, stride width, height, filter width,
 * height, ...}. */
static window raw_pool(const md_tfl_build *b)
{
    return (window){ .n = 2,
                     .same = raw_i32(b, 0) == 1,
                     .stride = { raw_i32(b, 2), raw_i32(b, 1) },
                     .kernel = { raw_i32(b, 4), raw_i32(b, 3) },
                     .dilation = { 1, 1 } };
}

/*
 * Beside the largest value, where it was in its window: x + y * filter width,
 * as a float.  ONNX gives the place in the whole tensor, [n, c, h, w] counted
 * through; the window's corner is known from the output's place.
 */
void md_tfl_emit_custom_argmax_pool(md_tfl_build *b)
{
    md_tfl_value *x = md_tfl_in(b, 0);
    window w = raw_pool(b);
    int64_t h = x ? md_tfl_size(b, x, 1) : -1;
    int64_t wide = x ? md_tfl_size(b, x, 2) : -1;
    md_emit_attr attrs[8];
    md_value_id out[2];
    md_value_id at[2]; /* row and column in the picture */
    md_value_id v;

    (void)channels(b, x, 2);
    if (!check_window(b, &w))
        return;
    if (h < 0 || wide < 0) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "a picture of any size");
        return;
    }
    pad_same(b, &w, x);
    (void)window_attrs(attrs, &w, false);
    v = md_tfl_real(b, x, MD_TFL_FIRST);
    md_emit_op_n(&b->e, out, 2, "MaxPool", &v, 1, attrs);
    at[1] = md_emit_op2(&b->e, "Mod", out[1], md_emit_int(&b->e, wide));
    at[0] = md_emit_op2(&b->e, "Div", out[1], md_emit_int(&b->e, wide));
    at[0] = md_emit_op2(&b->e, "Mod", at[0], md_emit_int(&b->e, h));
    for (int i = 0; i < 2; i++) {
        int64_t in = i == 0 ? h : wide;
        int64_t n = w.same ? md_div_up(in, w.stride[i])
                           : (in - w.kernel[i]) / w.stride[i] + 1;
        md_tensor corner = MD_TENSOR_INIT;
        md_shape shape = { 4 - (i + 2), { n, 1 } };

        if (b->e.status != MD_OK ||
            !md_emit_ok(&b->e, md_tensor_alloc(&corner, MD_DTYPE_I64, &shape,
                                               b->e.model->alloc, b->e.err)))
            return;
        for (int64_t k = 0; k < n; k++)
            ((int64_t *)corner.data)[k] = k * w.stride[i] - w.pad[i];
        at[i] = md_emit_op2(&b->e, "Sub", at[i], md_emit_const(&b->e, corner));
    }
    v = md_emit_op2(&b->e, "Mul", at[0], md_emit_int(&b->e, w.kernel[1]));
    v = md_emit_op2(&b->e, "Add", v, at[1]);
    md_tfl_set(b, 0, out[0], MD_TFL_FIRST);
    md_tfl_set(b, 1, v, MD_TFL_FIRST);
}

/* The inverse: each value to its place in its window, zeros elsewhere. */
void md_tfl_emit_custom_unpool(md_tfl_build *b)
{
    md_tfl_value *x = md_tfl_in(b, 0);
    window w = raw_pool(b);
    int64_t h = x ? md_tfl_size(b, x, 1) : -1;
    int64_t wide = x ? md_tfl_size(b, x, 2) : -1;
    int64_t c = channels(b, x, 2);
    int64_t n = x ? md_tfl_size(b, x, 0) : -1;
    int64_t to[2];
    md_value_id at;
    md_value_id v;
    md_tensor corner = MD_TENSOR_INIT;

    if (!check_window(b, &w))
        return;
    if (n < 1 || h < 1 || wide < 1) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "a picture of any size");
        return;
    }
    to[0] = w.same ? h * w.stride[0] : (h - 1) * w.stride[0] + w.kernel[0];
    to[1] =
        w.same ? wide * w.stride[1] : (wide - 1) * w.stride[1] + w.kernel[1];
    /* Index in the window to index in the whole [n, c, h, w]. */
    if (!md_emit_ok(&b->e, md_tensor_alloc(&corner, MD_DTYPE_I64,
                                           &(md_shape){ 4, { n, c, h, wide } },
                                           b->e.model->alloc, b->e.err)))
        return;
    for (int64_t i = 0; i < n * c * h * wide; i++) {
        int64_t plane = i / (h * wide);
        int64_t row = i / wide % h * w.stride[0];
        int64_t col = i % wide * w.stride[1];

        ((int64_t *)corner.data)[i] = (plane * to[0] + row) * to[1] + col;
    }
    at = md_emit_cast(&b->e, md_tfl_real(b, md_tfl_in(b, 1), MD_TFL_FIRST),
                      MD_DTYPE_I64);
    v = md_emit_op2(&b->e, "Div", at, md_emit_int(&b->e, w.kernel[1]));
    v = md_emit_op2(&b->e, "Mul", v, md_emit_int(&b->e, to[1]));
    at = md_emit_op2(&b->e, "Mod", at, md_emit_int(&b->e, w.kernel[1]));
    at = md_emit_op2(&b->e, "Add", md_emit_op2(&b->e, "Add", v, at),
                     md_emit_const(&b->e, corner));
    at = md_emit_reshape(&b->e, at, (const int64_t[]){ -1 }, 1);
    v = md_tfl_real(b, x, MD_TFL_FIRST);
    v = md_emit_reshape(&b->e, v, (const int64_t[]){ -1 }, 1);
    v = md_emit_op(
        &b->e, "ScatterElements",
        (md_value_id[]){
            md_emit_op2(&b->e, "Expand", md_emit_float(&b->e, 0),
                        md_emit_ints(&b->e,
                                     (const int64_t[]){ n * c * to[0] * to[1] },
                                     1)),
            at, v },
        3, NULL);
    v = md_emit_reshape(&b->e, v, (const int64_t[]){ n, c, to[0], to[1] }, 4);
    md_tfl_set(b, 0, v, MD_TFL_FIRST);
}

/* --- the rest --- */

/* ResizeBilinear: fields 0 and 1 are gone, align_corners 2, half_pixel 3;
 * nearest: 0 and 1. */
void md_tfl_emit_resize(md_tfl_build *b)
{
    const char *mode = md_tfl_row_now(b)->onnx;
    bool linear = mode[0] == 'l';
    bool align = md_fb_bool(&b->op->options, linear ? 2 : 0, false);
    bool half = md_fb_bool(&b->op->options, linear ? 3 : 1, false);
    static const int64_t axes[] = { 2, 3 };
    const char *nearest = align ? "round_prefer_ceil" : "floor";
    md_value_id in[4] = { md_tfl_real(b, md_tfl_in(b, 0), MD_TFL_FIRST),
                          MD_VALUE_NONE, MD_VALUE_NONE,
                          md_emit_cast(&b->e, md_tfl_x(b, 1), MD_DTYPE_I64) };
    const char *where = align  ? "align_corners"
                        : half ? "half_pixel"
                               : "asymmetric";

    if (md_tfl_in(b, 0) && md_tfl_rank(b, md_tfl_in(b, 0)) != 4)
        md_emit_fail(&b->e, MD_CORRUPT, "its input is no tensor of rank 4");
    /* Half pixels and the floor of them are the nearest, ties upward. */
    if (half && !align)
        nearest = "round_prefer_ceil";
    md_tfl_set(
        b, 0,
        md_emit_op(&b->e, "Resize", in, 4,
                   EMIT_ATTRS(EMIT_S("mode", mode),
                              EMIT_S("coordinate_transformation_mode", where),
                              EMIT_S("nearest_mode", nearest),
                              EMIT_IS("axes", axes, 2))),
        MD_TFL_FIRST);
}

void md_tfl_emit_depth_space(md_tfl_build *b)
{
    int32_t block = md_fb_i32(&b->op->options, 0, 0);
    md_value_id x = md_tfl_real(b, md_tfl_in(b, 0), MD_TFL_FIRST);

    if (block < 1) {
        md_emit_fail(&b->e, MD_CORRUPT, "block size %d", (int)block);
        return;
    }
    md_tfl_set(b, 0,
               md_emit_op(&b->e, md_tfl_row_now(b)->onnx, &x, 1,
                          EMIT_ATTRS(EMIT_I("blocksize", block))),
               MD_TFL_FIRST);
}

/* radius 0, bias 1, alpha 2, beta 3; ONNX divides alpha by the size. */
void md_tfl_emit_lrn(md_tfl_build *b)
{
    const md_fb_table *o = &b->op->options;
    int64_t size = 2 * (int64_t)md_fb_i32(o, 0, 0) + 1;
    md_value_id x = md_tfl_real(b, md_tfl_in(b, 0), MD_TFL_FIRST);

    if (size < 1) {
        md_emit_fail(&b->e, MD_CORRUPT, "radius %d", (int)md_fb_i32(o, 0, 0));
        return;
    }
    md_tfl_set(
        b, 0,
        md_emit_op(&b->e, "LRN", &x, 1,
                   EMIT_ATTRS(EMIT_I("size", size),
                              EMIT_F("alpha", md_fb_f32(o, 2, 0) * (float)size),
                              EMIT_F("beta", md_fb_f32(o, 3, 0)),
                              EMIT_F("bias", md_fb_f32(o, 1, 0)))),
        MD_TFL_FIRST);
}

/* Blocks of input 1 on the axes from 1 on. */
static int blocks(md_tfl_build *b, int64_t *block, int64_t *ends)
{
    uint32_t n = 0;
    uint32_t n_ends = 0;

    if (!md_tfl_read_ints(b, 1, block, AXES_MAX, &n) ||
        !md_tfl_read_ints(b, 2, ends, 2 * AXES_MAX, &n_ends))
        return 0;
    if (n < 1 || n_ends != 2 * n ||
        md_tfl_rank(b, md_tfl_in(b, 0)) < (int)n + 1) {
        md_emit_fail(&b->e, MD_CORRUPT, "blocks on %u axes, %u ends of pads", n,
                     n_ends);
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (block[i] < 1 || ends[(size_t)i * 2] < 0 ||
            ends[(size_t)i * 2 + 1] < 0 || block[i] > INT32_MAX)
            md_emit_fail(&b->e, MD_CORRUPT, "a block of %lld",
                         (long long)block[i]);
    }
    return b->e.status == MD_OK ? (int)n : 0;
}

/* Sizes of input 0 but for the first; all must be known. */
static bool fixed_sizes(md_tfl_build *b, int64_t *dim, int rank)
{
    for (int i = 1; i < rank; i++) {
        dim[i] = md_tfl_size(b, md_tfl_in(b, 0), i);
        if (dim[i] < 0) {
            md_emit_fail(&b->e, MD_UNSUPPORTED, "sizes that are free");
            return false;
        }
    }
    return true;
}

/* [n, h, ..] -> pad -> [n, h/b, b, ..] -> [b.., n, h/b, ..] -> [b*n, h/b, ..]
 */
static void space_to_batch(md_tfl_build *b)
{
    int64_t block[AXES_MAX];
    int64_t ends[2 * AXES_MAX];
    int64_t dim[MD_RANK_MAX] = { 0 };
    int64_t pads[2 * MD_RANK_MAX] = { 0 };
    int64_t split[2 * MD_RANK_MAX] = { 0 };
    int64_t perm[2 * MD_RANK_MAX];
    int n = blocks(b, block, ends);
    int rank = n > 0 ? md_tfl_rank(b, md_tfl_in(b, 0)) : 0;
    int at = 1;
    md_value_id x;

    if (b->e.status != MD_OK)
        return;
    if (n == 0 || !fixed_sizes(b, dim, rank) || rank + n > MD_RANK_MAX) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "rank %d", rank);
        return;
    }
    perm[n] = 0;
    for (int i = 0; i < n; i++) {
        pads[i + 1] = ends[(size_t)i * 2];
        pads[rank + i + 1] = ends[(size_t)i * 2 + 1];
        dim[i + 1] += ends[(size_t)i * 2] + ends[(size_t)i * 2 + 1];
        if (dim[i + 1] % block[i] != 0) {
            md_emit_fail(&b->e, MD_CORRUPT, "%lld elements in blocks of %lld",
                         (long long)dim[i + 1], (long long)block[i]);
            return;
        }
        dim[i + 1] /= block[i];
        split[at++] = dim[i + 1];
        split[at++] = block[i];
        perm[i] = 2 * i + 2;
        perm[n + 1 + i] = 2 * i + 1;
    }
    for (int i = n + 1; i < rank; i++) {
        perm[n + i] = at;
        split[at++] = dim[i];
    }
    x = md_emit_op2(&b->e, "Pad", md_tfl_x(b, 0),
                    md_emit_ints(&b->e, pads, (int64_t)2 * rank));
    x = md_emit_reshape(&b->e, x, split, rank + n);
    x = md_emit_transpose(&b->e, x, perm, rank + n);
    dim[0] = -1;
    md_tfl_set(b, 0, md_emit_reshape(&b->e, x, dim, rank), MD_TFL_LAST);
}

/* [b*n, h, ..] -> [b.., n, h, ..] -> [n, h, b, ..] -> [n, h*b, ..] -> crop */
static void batch_to_space(md_tfl_build *b)
{
    int64_t block[AXES_MAX];
    int64_t ends[2 * AXES_MAX];
    int64_t dim[MD_RANK_MAX] = { 0 };
    int64_t split[2 * MD_RANK_MAX];
    int64_t perm[2 * MD_RANK_MAX];
    int64_t axes[AXES_MAX], from[AXES_MAX], to[AXES_MAX];
    int n = blocks(b, block, ends);
    int rank = n > 0 ? md_tfl_rank(b, md_tfl_in(b, 0)) : 0;
    md_value_id x;

    if (n == 0 || !fixed_sizes(b, dim, rank) || rank + n > MD_RANK_MAX) {
        md_emit_fail(&b->e, MD_UNSUPPORTED, "rank %d", rank);
        return;
    }
    split[n] = -1;
    perm[0] = n;
    for (int i = 0; i < n; i++) {
        split[i] = block[i];
        perm[2 * i + 1] = n + 1 + i;
        perm[2 * i + 2] = i;
    }
    for (int i = 1; i < rank; i++) {
        split[n + i] = dim[i];
        if (i > n)
            perm[n + i] = n + i;
    }
    x = md_emit_reshape(&b->e, md_tfl_x(b, 0), split, rank + n);
    x = md_emit_transpose(&b->e, x, perm, rank + n);
    for (int i = 0; i < n; i++) {
        dim[i + 1] *= block[i];
        axes[i] = i + 1;
        from[i] = ends[(size_t)i * 2];
        to[i] = dim[i + 1] - ends[(size_t)i * 2 + 1];
    }
    dim[0] = -1;
    x = md_emit_reshape(&b->e, x, dim, rank);
    x = md_emit_op(&b->e, "Slice",
                   (md_value_id[]){ x, md_emit_ints(&b->e, from, n),
                                    md_emit_ints(&b->e, to, n),
                                    md_emit_ints(&b->e, axes, n) },
                   4, NULL);
    md_tfl_set(b, 0, x, MD_TFL_LAST);
}

void md_tfl_emit_space_to_batch(md_tfl_build *b)
{
    if (md_tfl_dilated_begin(b))
        md_tfl_share(b);
    else
        space_to_batch(b);
}

void md_tfl_emit_batch_to_space(md_tfl_build *b)
{
    if (md_tfl_dilated_find(b, b->op))
        md_tfl_share(b);
    else
        batch_to_space(b);
}
