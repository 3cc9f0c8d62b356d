#include "ops/common/window.h"

#include <string.h>

#include "base/size.h"

/* Attribute `name` into v[n], each value in [min, 2^31). */
static md_status parse_list(int64_t *v, const md_node *node, const char *name,
                            int n, int64_t min, int64_t otherwise,
                            md_error *err)
{
    md_ints list;

    MD_TRY(md_infer__attr_ints(node, name, &list, err));
    if (list.given && list.n != n)
        return md_fail(err, MD_INVALID, "%s has %d values, %d expected", name,
                       list.n, n);
    for (int i = 0; i < n; i++) {
        v[i] = list.given ? list.v[i] : otherwise;
        if (v[i] < min || v[i] > INT32_MAX)
            return md_fail(err, MD_INVALID,
                           "%s has the value %lld, %lld to %d expected", name,
                           (long long)v[i], (long long)min, INT32_MAX);
    }
    return MD_OK;
}

static md_status parse_auto_pad(md_window *w, const md_node *node,
                                md_error *err)
{
    const char *s = md_node_attr_s(node, "auto_pad", "NOTSET");

    if (strcmp(s, "NOTSET") == 0 || s[0] == '\0')
        w->auto_pad = MD_PAD_GIVEN;
    else if (strcmp(s, "SAME_UPPER") == 0)
        w->auto_pad = MD_PAD_SAME_UPPER;
    else if (strcmp(s, "SAME_LOWER") == 0)
        w->auto_pad = MD_PAD_SAME_LOWER;
    else if (strcmp(s, "VALID") == 0)
        w->auto_pad = MD_PAD_VALID;
    else
        return md_fail(err, MD_INVALID,
                       "auto_pad is '%s', NOTSET, SAME_UPPER, "
                       "SAME_LOWER or VALID expected",
                       s);
    return MD_OK;
}

md_status md_window__parse(md_window *out, const md_node *n, int n_axes,
                           const int64_t *kernel, md_error *err)
{
    md_window w = { .n = n_axes };
    int64_t pads[2 * MD_SPATIAL_MAX];

    if (n_axes < 1 || n_axes > MD_SPATIAL_MAX)
        return md_fail(err, MD_UNSUPPORTED,
                       "%s over %d spatial axes, 1 to %d are implemented",
                       n->op, n_axes, MD_SPATIAL_MAX);
    if (!kernel && !md_node_attr(n, "kernel_shape"))
        return md_fail(err, MD_INVALID, "%s lacks kernel_shape", n->op);
    MD_TRY(parse_list(w.kernel, n, "kernel_shape", n_axes, 1, 1, err));
    for (int i = 0; kernel && i < n_axes; i++) {
        if (md_node_attr(n, "kernel_shape") && w.kernel[i] != kernel[i])
            return md_fail(err, MD_INVALID,
                           "kernel_shape is %lld along axis %d, the weight "
                           "has %lld",
                           (long long)w.kernel[i], i, (long long)kernel[i]);
        w.kernel[i] = kernel[i];
    }
    MD_TRY(parse_list(w.stride, n, "strides", n_axes, 1, 1, err));
    MD_TRY(parse_list(w.dilation, n, "dilations", n_axes, 1, 1, err));
    MD_TRY(parse_list(pads, n, "pads", 2 * n_axes, 0, 0, err));
    MD_TRY(parse_auto_pad(&w, n, err));
    w.ceil = md_node_attr_i(n, "ceil_mode", 0) != 0;
    for (int i = 0; i < n_axes && w.auto_pad == MD_PAD_GIVEN; i++) {
        w.lo[i] = pads[i];
        w.hi[i] = pads[n_axes + i];
    }
    *out = w;
    return MD_OK;
}

/* Padding that makes ceil(in / stride) outputs. */
static void pad_same(md_window *w, int i, int64_t in, int64_t out, int64_t span)
{
    int64_t pad = (out - 1) * w->stride[i] + span - in;

    if (pad < 0)
        pad = 0;
    w->lo[i] = w->auto_pad == MD_PAD_SAME_UPPER ? pad / 2 : pad - pad / 2;
    w->hi[i] = pad - w->lo[i];
}

/* The number of windows in an axis whose size is not known yet. */
static md_status symbolic_out(const md_infer *c, const md_window *w, int i,
                              md_dim in, md_dim *out, md_error *err)
{
    md_dim by = MD_DIM(w->stride[i]), room, most, unused;
    int64_t span = (w->kernel[i] - 1) * w->dilation[i] + 1;
    int64_t beyond = w->lo[i] + w->hi[i] - span;

    if (!c->model || (w->ceil && w->hi[i] >= span))
        return md_infer__fresh(c, out, err);
    if (w->auto_pad == MD_PAD_SAME_UPPER || w->auto_pad == MD_PAD_SAME_LOWER) {
        MD_TRY(md_dim__affine(&room, in, 1, by.k - 1, err));
        return md_dim__derive(c, out, MD_EXPR_DIV, room, by, err);
    }
    MD_TRY(md_dim__affine(&room, in, 1, beyond, err));
    MD_TRY(md_dim__derive(c, &unused, MD_EXPR_AT_LEAST, room, MD_DIM(0), err));
    MD_TRY(md_dim__affine(&room, room, 1, w->ceil ? 2 * by.k - 1 : by.k, err));
    MD_TRY(md_dim__derive(c, out, MD_EXPR_DIV, room, by, err));
    MD_TRY(md_dim__derive(c, out, MD_EXPR_MAX, *out, MD_DIM(0), err));
    if (!w->ceil || by.k == 1)
        return MD_OK;
    /* the last window must begin inside the input or its front padding */
    MD_TRY(md_dim__affine(&most, in, 1, w->lo[i] + by.k - 1, err));
    MD_TRY(md_dim__derive(c, &most, MD_EXPR_DIV, most, by, err));
    return md_dim__derive(c, out, MD_EXPR_MIN, *out, most, err);
}

md_status md_window__out(const md_infer *c, md_window *w, int i, md_dim in,
                         md_dim *out, md_error *err)
{
    int64_t stride = w->stride[i];
    int64_t span = (w->kernel[i] - 1) * w->dilation[i] + 1;
    bool same =
        w->auto_pad == MD_PAD_SAME_UPPER || w->auto_pad == MD_PAD_SAME_LOWER;
    int64_t room;

    if (!md_dim_is_const(in))
        return symbolic_out(c, w, i, in, out, err);
    if (same) /* ceil(in / stride) */
        room = stride - 1;
    else
        room = w->lo[i] + w->hi[i] - span + stride;
    if (!md_add_i64(&room, room, in.k))
        return md_fail(err, MD_TOO_LARGE, "the padded input is %lld too large",
                       (long long)in.k);
    if (in.k > 0 && room < stride && !same)
        return md_fail(err, MD_INVALID,
                       "a window of %lld does not fit into the padded input "
                       "of %lld along axis %d",
                       (long long)span, (long long)(room + span - stride), i);
    *out = MD_DIM(room >= 0 ? room / stride : 0);
    if (w->ceil && !same) {
        out->k = (room + stride - 1) / stride;
        /* the last window must begin inside the input or its front padding */
        if ((out->k - 1) * stride >= in.k + w->lo[i])
            out->k--;
        if (out->k < 0)
            out->k = 0;
    }
    if (same)
        pad_same(w, i, in.k, out->k, span);
    return MD_OK;
}

static void shift(int64_t *v, int n, int64_t fill)
{
    int by = MD_SPATIAL_MAX - n;

    for (int i = MD_SPATIAL_MAX; i-- > 0;)
        v[i] = i >= by ? v[i - by] : fill;
}

void md_window__widen(md_window *w)
{
    shift(w->kernel, w->n, 1);
    shift(w->stride, w->n, 1);
    shift(w->dilation, w->n, 1);
    shift(w->lo, w->n, 0);
    shift(w->hi, w->n, 0);
    w->n = MD_SPATIAL_MAX;
}

void md_window__sizes(int64_t out[MD_SPATIAL_MAX], const md_shape *s)
{
    int n = s->rank - 2;

    for (int i = 0; i < n; i++)
        out[i] = s->dim[2 + i];
    shift(out, n, 1);
}

void md_window__range(const md_window *w, int i, int64_t k, int64_t in,
                      int64_t out, int64_t *lo, int64_t *hi, int64_t *at)
{
    int64_t stride = w->stride[i];
    int64_t first = k * w->dilation[i] - w->lo[i];

    *at = first;
    *lo = first < 0 ? (-first + stride - 1) / stride : 0;
    *hi = first < in ? (in - 1 - first) / stride + 1 : 0;
    if (*hi > out)
        *hi = out;
    if (*lo > *hi)
        *lo = *hi;
}
