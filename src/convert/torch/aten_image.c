/* Windows and sizes of pictures: pooling, resizing, unfolding. */
#include <math.h>
#include <string.h>

#include "convert/torch/build.h"

enum {
    AXES_MAX = 3 /* spatial ones */
};

/* Argument 0 with axes of batch and channels in front of n others; *alone
 * when it came without the batch's. */
static md_value_id picture(md_torch_call *c, int n, bool *alone)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);

    if (c->e->status == MD_OK && rank != n + 2 &&
        (rank != n + 1 || c->b->wants_batch))
        md_emit_fail(c->e, MD_INVALID, "input of rank %d, %d expected", rank,
                     n + 2);
    if (c->e->status == MD_OK && !md_dtype_is_float(md_torch_dtype_of(c, x)))
        md_emit_fail(c->e, MD_INVALID, "input of %s",
                     md_dtype_name(md_torch_dtype_of(c, x)));
    *alone = rank == n + 1;
    return *alone ? md_emit_unsqueeze(c->e, x, 0) : x;
}

static void ret_picture(md_torch_call *c, md_value_id y, bool alone)
{
    md_torch_ret(c, alone ? md_emit_squeeze(c->e, y, 0) : y);
}

static int n_axes(const md_torch_call *c)
{
    return c->row->onnx[0] - '0';
}

/* --- pooling --- */

typedef struct window {
    int64_t kernel[AXES_MAX], stride[AXES_MAX], pads[2 * AXES_MAX];
} window;

static window read_window(md_torch_call *c, int n)
{
    window w;
    int64_t pad[AXES_MAX] = { 0 };

    md_torch_spatial(c, 1, w.kernel, n);
    if (md_tv_is_list(&c->arg[2]) && md_torch_n(c, 2) == 0)
        memcpy(w.stride, w.kernel, sizeof(w.stride));
    else
        md_torch_spatial(c, 2, w.stride, n);
    md_torch_spatial(c, 3, pad, n);
    for (int i = 0; i < n; i++)
        w.pads[i] = w.pads[n + i] = pad[i];
    return w;
}

void md_torch_emit_max_pool(md_torch_call *c)
{
    int n = n_axes(c);
    bool alone;
    md_value_id x = picture(c, n, &alone);
    window w = read_window(c, n);
    int64_t dilation[AXES_MAX];
    md_tv out;

    md_torch_spatial(c, 4, dilation, n);
    x = md_emit_op(c->e, "MaxPool", &x, 1,
                   EMIT_ATTRS(EMIT_IS("kernel_shape", w.kernel, n),
                              EMIT_IS("strides", w.stride, n),
                              EMIT_IS("pads", w.pads, 2 * n),
                              EMIT_IS("dilations", dilation, n),
                              EMIT_I("ceil_mode", md_torch_b(c, 5))));
    ret_picture(c, x, alone);
    if (!c->row->onnx[1])
        return;
    out = md_tv_list(c->b, MD_TV_TUPLE, 2);
    if (out.kind == MD_TV_TUPLE) {
        md_tv_append(c->b, out.v.list, c->out);
        md_tv_append(
            c->b, out.v.list,
            (md_tv){ .kind = MD_TV_LOST, .v.s = "of max_pool's indices" });
    }
    c->out = out;
}

void md_torch_emit_avg_pool(md_torch_call *c)
{
    int n = n_axes(c);
    bool alone;
    md_value_id x = picture(c, n, &alone);
    window w = read_window(c, n);
    int64_t cells = 1;
    bool own = n > 1 && md_torch_given(c, 6);

    x = md_emit_op(
        c->e, "AveragePool", &x, 1,
        EMIT_ATTRS(EMIT_IS("kernel_shape", w.kernel, n),
                   EMIT_IS("strides", w.stride, n),
                   EMIT_IS("pads", w.pads, 2 * n),
                   EMIT_I("ceil_mode", md_torch_b(c, 4)),
                   EMIT_I("count_include_pad", own || md_torch_b(c, 5))));
    for (int i = 0; i < n; i++)
        cells *= w.kernel[i];
    if (own) /* a sum divided by another number than the cells' */
        x = md_emit_op2(c->e, "Mul", x,
                        md_emit_number(c->e, md_torch_dtype_of(c, x),
                                       (double)cells / md_torch_f(c, 6)));
    ret_picture(c, x, alone);
}

/* Bin i of n covers [floor(i * size / n), ceil((i + 1) * size / n)). */
static void bin(int64_t i, int64_t n, int64_t size, int64_t *from, int64_t *to)
{
    *from = i * size / n;
    *to = ((i + 1) * size + n - 1) / n;
}

/* Means of bins of an axis as a product with a matrix [n, size]. */
static md_value_id mean_bins(md_torch_call *c, md_value_id x, int axis,
                             int64_t n)
{
    int64_t size = md_torch_size(c, x, axis);
    int rank = md_torch_rank(c, x);
    int64_t perm[MD_RANK_MAX];
    md_tensor t = MD_TENSOR_INIT;

    if (size < 0 || n < 1 || n * size > 1 << 24) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "%lld bins of an axis of free size",
                     (long long)n);
        return x;
    }
    if (!md_emit_ok(c->e, md_tensor_alloc(&t, md_torch_dtype_of(c, x),
                                          &(md_shape){ 2, { size, n } },
                                          c->e->model->alloc, c->e->err)))
        return x;
    for (int64_t i = 0; i < n; i++) {
        int64_t from, to;

        bin(i, n, size, &from, &to);
        for (int64_t k = from; k < to; k++)
            md_tensor_set_f64(&t, k * n + i, 1.0 / (double)(to - from));
    }
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    perm[axis] = rank - 1;
    perm[rank - 1] = axis;
    x = md_emit_transpose(c->e, x, perm, rank);
    x = md_emit_op2(c->e, "MatMul", x, md_emit_const(c->e, t));
    return md_emit_transpose(c->e, x, perm, rank);
}

/* Sizes wanted; None and the axis' own size leave it as it is (0). */
static void wanted_sizes(md_torch_call *c, md_value_id x, int n,
                         int64_t out[AXES_MAX])
{
    const md_tv *v = &c->arg[1];
    uint32_t given = md_tv_is_list(v) ? v->v.list->n : 1;

    for (int i = 0; i < n; i++) {
        const md_tv *s = !md_tv_is_list(v) ? v
                         : given == 1      ? &v->v.list->item[0]
                                           : &v->v.list->item[i];

        if (given != 1 && given != (uint32_t)n) {
            md_emit_fail(c->e, MD_INVALID, "%u sizes, %d expected", given, n);
            return;
        }
        out[i] = s->kind == MD_TV_NONE ? 0 : s->v.i;
        if (s->computed || (s->kind != MD_TV_NONE && s->kind != MD_TV_INT))
            md_emit_fail(c->e, MD_UNSUPPORTED,
                         "a size that only the data tells");
        if (out[i] == md_torch_size(c, x, 2 + i))
            out[i] = 0;
    }
}

static bool all_equal(const int64_t *v, int n, int64_t to)
{
    for (int i = 0; i < n; i++) {
        if (v[i] != to)
            return false;
    }
    return true;
}

/* Do windows of one size do? */
static bool divides(md_torch_call *c, md_value_id x, const int64_t *out, int n,
                    int64_t *kernel)
{
    for (int i = 0; i < n; i++) {
        int64_t size = md_torch_size(c, x, 2 + i);

        if (size <= 0 || (out[i] != 0 && size % out[i] != 0))
            return false;
        kernel[i] = out[i] == 0 ? 1 : size / out[i];
    }
    return true;
}

static md_value_id even_pool(md_torch_call *c, const char *op, md_value_id x,
                             const int64_t *kernel, int n)
{
    return md_emit_op(c->e, op, &x, 1,
                      EMIT_ATTRS(EMIT_IS("kernel_shape", kernel, n),
                                 EMIT_IS("strides", kernel, n)));
}

void md_torch_emit_adaptive_avg(md_torch_call *c)
{
    int n = n_axes(c);
    bool alone;
    md_value_id x = picture(c, n, &alone);
    int64_t out[AXES_MAX] = { 0 }, kernel[AXES_MAX];

    wanted_sizes(c, x, n, out);
    if (c->e->status != MD_OK)
        return;
    if (all_equal(out, n, 1)) {
        x = md_emit_op1(c->e, "GlobalAveragePool", x);
    } else if (divides(c, x, out, n, kernel)) {
        if (!all_equal(kernel, n, 1))
            x = even_pool(c, "AveragePool", x, kernel, n);
    } else {
        for (int i = 0; i < n; i++)
            x = out[i] == 0   ? x
                : out[i] == 1 ? md_emit_op2(c->e, "ReduceMean", x,
                                            MD_TORCH_INTS(c, 2 + i))
                              : mean_bins(c, x, 2 + i, out[i]);
    }
    ret_picture(c, x, alone);
}

/* Largest of bins of an axis, one Slice and ReduceMax each. */
static md_value_id max_bins(md_torch_call *c, md_value_id x, int axis,
                            int64_t n)
{
    int64_t size = md_torch_size(c, x, axis);
    md_value_id *part;

    if (size <= 0 || n < 1 || n > 256) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "%lld bins of an axis of free size",
                     (long long)n);
        return x;
    }
    part = md_emit_alloc(c->e, (size_t)n, sizeof(*part));
    for (int64_t i = 0; part && i < n; i++) {
        int64_t from, to;

        bin(i, n, size, &from, &to);
        part[i] = md_emit_op(c->e, "Slice",
                             (md_value_id[]){ x, MD_TORCH_INTS(c, from),
                                              MD_TORCH_INTS(c, to),
                                              MD_TORCH_INTS(c, axis) },
                             4, NULL);
        part[i] =
            md_emit_op2(c->e, "ReduceMax", part[i], MD_TORCH_INTS(c, axis));
    }
    if (!part)
        return x;
    return n == 1 ? part[0]
                  : md_emit_op(c->e, "Concat", part, (uint32_t)n,
                               EMIT_ATTRS(EMIT_I("axis", axis)));
}

void md_torch_emit_adaptive_max(md_torch_call *c)
{
    int n = n_axes(c);
    bool alone;
    md_value_id x = picture(c, n, &alone);
    int64_t out[AXES_MAX] = { 0 }, kernel[AXES_MAX];
    md_tv pair;

    wanted_sizes(c, x, n, out);
    if (c->e->status != MD_OK)
        return;
    if (all_equal(out, n, 1))
        x = md_emit_op1(c->e, "GlobalMaxPool", x);
    else if (divides(c, x, out, n, kernel))
        x = even_pool(c, "MaxPool", x, kernel, n);
    else
        for (int i = 0; i < n; i++)
            x = out[i] == 0 ? x : max_bins(c, x, 2 + i, out[i]);
    ret_picture(c, x, alone);
    pair = md_tv_list(c->b, MD_TV_TUPLE, 2);
    if (pair.kind == MD_TV_TUPLE) {
        md_tv_append(c->b, pair.v.list, c->out);
        md_tv_append(
            c->b, pair.v.list,
            (md_tv){ .kind = MD_TV_LOST, .v.s = "of max_pool's indices" });
    }
    c->out = pair;
}

/* --- resizing --- */

typedef struct resizing {
    const char *mode; /* of the row, without "aa " */
    bool aa, align;
    const md_tv *sizes;    /* a list, or NULL */
    md_tv scale[AXES_MAX]; /* NONE: out / in */
    int n;
} resizing;

static double lanczos(double x)
{
    double p = x * M_PI;

    x = fabs(x);
    if (x >= 3)
        return 0;
    return x < 1e-8 ? 1 : 3 * sin(p) * sin(p / 3) / (p * p);
}

/* Lanczos of width 3 along an axis of known sizes: a product with its
 * weights, normalized, [in, out]. */
static md_value_id lanczos_axis(md_torch_call *c, md_value_id x, int axis,
                                int64_t out, double scale)
{
    int64_t in = md_torch_size(c, x, axis);
    int rank = md_torch_rank(c, x);
    double step = scale > 0 ? 1 / scale : (double)in / (double)out;
    double wide = step > 1 ? step : 1;
    int64_t perm[MD_RANK_MAX];
    md_tensor t = MD_TENSOR_INIT;

    if (in <= 0 || out <= 0 || in * out > 1 << 24) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "lanczos of axes of free size");
        return x;
    }
    if (!md_emit_ok(c->e, md_tensor_alloc(&t, md_torch_dtype_of(c, x),
                                          &(md_shape){ 2, { in, out } },
                                          c->e->model->alloc, c->e->err)))
        return x;
    for (int64_t i = 0; i < out; i++) {
        double center = ((double)i + 0.5) * step, sum = 0;
        int64_t from = (int64_t)fmax(center - 3 * wide + 0.5, 0);
        int64_t to = (int64_t)fmin(center + 3 * wide + 0.5, (double)in);

        for (int64_t k = from; k < to; k++)
            sum += lanczos(((double)k - center + 0.5) / wide);
        for (int64_t k = from; k < to; k++)
            md_tensor_set_f64(&t, k * out + i,
                              lanczos(((double)k - center + 0.5) / wide) / sum);
    }
    for (int i = 0; i < rank; i++)
        perm[i] = i;
    perm[axis] = rank - 1;
    perm[rank - 1] = axis;
    x = md_emit_transpose(c->e, x, perm, rank);
    x = md_emit_op2(c->e, "MatMul", x, md_emit_const(c->e, t));
    return md_emit_transpose(c->e, x, perm, rank);
}

static void resize_lanczos(md_torch_call *c, const resizing *r)
{
    md_value_id x = md_torch_x(c, 0);

    for (int i = r->n; i-- > 0;) {
        const md_tv *s = &r->scale[i];
        int64_t in = md_torch_size(c, x, 2 + i);
        int64_t out = r->sizes ? r->sizes->v.list->item[i].v.i
                               : (int64_t)floor((double)in * s->v.f);

        if (r->sizes && r->sizes->v.list->item[i].computed)
            out = -1;
        x = lanczos_axis(c, x, 2 + i, out,
                         s->kind == MD_TV_FLOAT && !s->computed ? s->v.f : 0);
    }
    md_torch_ret(c, x);
}

static const char *coordinates(const resizing *r)
{
    if (strcmp(r->mode, "nearest") == 0)
        return "asymmetric";
    return r->align ? "align_corners" : "half_pixel";
}

static md_value_id scales_of(md_torch_call *c, const resizing *r)
{
    md_tensor t = MD_TENSOR_INIT;

    if (!md_emit_ok(c->e, md_tensor_alloc(&t, MD_DTYPE_F32,
                                          &(md_shape){ 1, { r->n } },
                                          c->e->model->alloc, c->e->err)))
        return MD_VALUE_NONE;
    for (int i = 0; i < r->n; i++)
        md_tensor_set_f64(&t, i,
                          r->scale[i].kind == MD_TV_FLOAT
                              ? r->scale[i].v.f
                              : (double)r->scale[i].v.i);
    return md_emit_const(c->e, t);
}

static bool has_scales(const resizing *r)
{
    for (int i = 0; i < r->n; i++) {
        if (r->scale[i].kind == MD_TV_NONE || r->scale[i].computed)
            return false;
    }
    return true;
}

/* Coordinates are by the scales where these were given, else by the sizes. */
static void emit_resize(md_torch_call *c, const resizing *r)
{
    md_value_id in[4] = { md_torch_x(c, 0), MD_VALUE_NONE, MD_VALUE_NONE,
                          MD_VALUE_NONE };
    int64_t axes[AXES_MAX] = { 2, 3, 4 };
    bool nearest = r->mode[0] == 'n' || r->mode[0] == 'e';
    bool by_scale = has_scales(r);

    if (c->e->status == MD_OK &&
        (r->n < 1 || r->n > AXES_MAX || md_torch_rank(c, in[0]) != r->n + 2)) {
        md_emit_fail(c->e, MD_INVALID, "%d sizes of a tensor of rank %d", r->n,
                     md_torch_rank(c, in[0]));
        return;
    }
    if (strcmp(r->mode, "lanczos") == 0) {
        resize_lanczos(c, r);
        return;
    }
    if (by_scale)
        in[2] = scales_of(c, r);
    else if (r->sizes)
        in[3] = md_torch_list_id(c->b, r->sizes->v.list);
    else
        md_emit_fail(c->e, MD_UNSUPPORTED, "neither sizes nor scales known");
    md_torch_ret(
        c, md_emit_op(
               c->e, "Resize", in, by_scale ? 3 : 4,
               EMIT_ATTRS(
                   EMIT_S("mode", nearest ? "nearest" : r->mode),
                   EMIT_S("coordinate_transformation_mode", coordinates(r)),
                   EMIT_S("nearest_mode",
                          r->mode[0] == 'n' ? "floor" : "round_prefer_ceil"),
                   EMIT_F("cubic_coeff_a", r->aa ? -0.5f : -0.75f),
                   EMIT_I("antialias", r->aa), EMIT_IS("axes", axes, r->n))));
}

static void begin_resize(md_torch_call *c, resizing *r)
{
    r->mode = c->row->onnx;
    r->aa = strncmp(r->mode, "aa ", 3) == 0;
    r->mode += r->aa ? 3 : 0;
    if (md_tv_is_list(&c->arg[1])) {
        r->sizes = &c->arg[1];
        r->n = (int)md_torch_n(c, 1);
    }
}

static bool has_align(const md_torch_call *c)
{
    return strstr(c->row->args, "align_corners") != NULL;
}

void md_torch_emit_resize(md_torch_call *c)
{
    resizing r = { .n = 0 };
    uint32_t at = has_align(c) ? 3 : 2;

    begin_resize(c, &r);
    r.align = has_align(c) && md_torch_b(c, 2);
    for (int i = 0; i < r.n && i < AXES_MAX; i++)
        r.scale[i] = c->arg[at + (uint32_t)i];
    emit_resize(c, &r);
}

void md_torch_emit_resize_vec(md_torch_call *c)
{
    resizing r = { .n = 0 };
    uint32_t at = has_align(c) ? 3 : 2;

    begin_resize(c, &r);
    r.align = has_align(c) && md_torch_b(c, 2);
    if (md_torch_given(c, at)) {
        r.n = (int)md_torch_n(c, at);
        for (int i = 0; i < r.n && i < AXES_MAX; i++)
            r.scale[i] = c->arg[at].v.list->item[i];
    }
    emit_resize(c, &r);
}

void md_torch_emit_grid_sample(md_torch_call *c)
{
    static const char *const modes[] = { "linear", "nearest", "cubic" };
    static const char *const paddings[] = { "zeros", "border", "reflection" };
    int64_t mode = md_torch_i(c, 2), padding = md_torch_i(c, 3);

    if (mode < 0 || mode > 2 || padding < 0 || padding > 2) {
        md_emit_fail(c->e, MD_INVALID, "mode %lld, padding %lld",
                     (long long)mode, (long long)padding);
        return;
    }
    md_torch_ret(
        c, md_emit_op(c->e, "GridSample",
                      (md_value_id[]){ md_torch_x(c, 0), md_torch_x(c, 1) }, 2,
                      EMIT_ATTRS(EMIT_S("mode", modes[mode]),
                                 EMIT_S("padding_mode", paddings[padding]),
                                 EMIT_I("align_corners", md_torch_b(c, 4)))));
}

/* --- windows as columns --- */

/* Indices [kernel, windows] along an axis of known, padded size. */
static md_value_id window_indices(md_torch_call *c, int64_t size,
                                  int64_t kernel, int64_t dilation,
                                  int64_t stride, int64_t *n)
{
    md_tensor t = MD_TENSOR_INIT;

    if (size < 0 || kernel < 1 || dilation < 1 || stride < 1 ||
        (kernel - 1) * dilation + 1 > size || size > 1 << 20) {
        md_emit_fail(c->e, MD_UNSUPPORTED,
                     "windows of %lld along an axis of %lld", (long long)kernel,
                     (long long)size);
        return MD_VALUE_NONE;
    }
    *n = (size - (kernel - 1) * dilation - 1) / stride + 1;
    if (!md_emit_ok(c->e, md_tensor_alloc(&t, MD_DTYPE_I64,
                                          &(md_shape){ 2, { kernel, *n } },
                                          c->e->model->alloc, c->e->err)))
        return MD_VALUE_NONE;
    for (int64_t i = 0; i < kernel * *n; i++)
        md_tensor_set_i64(&t, i, i / *n * dilation + i % *n * stride);
    return md_emit_const(c->e, t);
}

/* [n, c, h, w] to [n, c * kh * kw, windows], by Gather along each axis. */
void md_torch_emit_im2col(md_torch_call *c)
{
    md_emit *e = c->e;
    int64_t kernel[2], dilation[2], pad[2], stride[2], n[2] = { 0, 0 };
    bool alone;
    md_value_id x = picture(c, 2, &alone);

    md_torch_spatial(c, 1, kernel, 2);
    md_torch_spatial(c, 2, dilation, 2);
    md_torch_spatial(c, 3, pad, 2);
    md_torch_spatial(c, 4, stride, 2);
    if (c->e->status != MD_OK)
        return;
    if (pad[0] || pad[1])
        x = md_emit_op2(
            e, "Pad", x,
            MD_TORCH_INTS(c, 0, 0, pad[0], pad[1], 0, 0, pad[0], pad[1]));
    for (int i = 0; i < 2; i++)
        x = md_emit_op(
            e, "Gather",
            (md_value_id[]){
                x, window_indices(c, md_torch_size(c, x, 2 + 2 * i), kernel[i],
                                  dilation[i], stride[i], &n[i]) },
            2, EMIT_ATTRS(EMIT_I("axis", 2 + 2 * i)));
    x = md_emit_transpose(e, x, (int64_t[]){ 0, 1, 2, 4, 3, 5 }, 6);
    x = md_emit_op2(
        e, "Reshape", x,
        md_torch_concat(c,
                        (md_value_id[]){ md_torch_dims(c, x, 0, 1),
                                         MD_TORCH_INTS(c, -1, n[0] * n[1]) },
                        2, 0));
    ret_picture(c, x, alone);
}

void md_torch_emit_col2im(md_torch_call *c)
{
    int64_t kernel[2], dilation[2], pad[2], stride[2], pads[4];
    md_value_id in[3] = { md_torch_x(c, 0), md_torch_sizes(c, 1),
                          MD_VALUE_NONE };

    md_torch_spatial(c, 2, kernel, 2);
    md_torch_spatial(c, 3, dilation, 2);
    md_torch_spatial(c, 4, pad, 2);
    md_torch_spatial(c, 5, stride, 2);
    for (int i = 0; i < 4; i++)
        pads[i] = pad[i % 2];
    in[2] = md_emit_ints(c->e, kernel, 2);
    md_torch_ret(c, md_emit_op(c->e, "Col2Im", in, 3,
                               EMIT_ATTRS(EMIT_IS("dilations", dilation, 2),
                                          EMIT_IS("pads", pads, 4),
                                          EMIT_IS("strides", stride, 2))));
}
