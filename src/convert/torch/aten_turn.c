/* Elements in another order, the same ones, and more around them. */
#include <string.h>

#include "convert/torch/build.h"

/* --- turning around --- */

static md_value_id reversed(md_torch_call *c, md_value_id x,
                            const int64_t *axes, int n)
{
    int64_t start[MD_RANK_MAX], end[MD_RANK_MAX], step[MD_RANK_MAX];

    for (int i = 0; i < n; i++) {
        start[i] = INT64_MAX;
        end[i] = INT64_MIN + 1;
        step[i] = -1;
    }
    return md_emit_op(c->e, "Slice",
                      (md_value_id[]){ x, md_emit_ints(c->e, start, n),
                                       md_emit_ints(c->e, end, n),
                                       md_emit_ints(c->e, axes, n),
                                       md_emit_ints(c->e, step, n) },
                      5, NULL);
}

void md_torch_emit_flip(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int64_t axes[MD_RANK_MAX];
    int n = md_torch_ints(c, 1, axes, MD_RANK_MAX);

    for (int i = 0; i < n; i++)
        axes[i] = md_torch_axis(c, axes[i], md_torch_rank(c, x));
    md_torch_ret(c, n > 0 ? reversed(c, x, axes, n) : x);
}

void md_torch_emit_flip_axis(md_torch_call *c)
{
    md_torch_ret(c, reversed(c, md_torch_x(c, 0),
                             (int64_t[]){ c->row->onnx[0] - '0' }, 1));
}

/* The last `by` elements of the axis come first: [-by, end), [0, -by). */
static md_value_id rolled(md_torch_call *c, md_value_id x, int axis, int64_t by)
{
    int64_t size = md_torch_size(c, x, axis);
    md_value_id at;

    if (size > 0)
        by = (by % size + size) % size;
    if (by == 0)
        return x;
    at = MD_TORCH_INTS(c, -by);
    return md_torch_concat(
        c,
        (md_value_id[]){
            md_torch_cut(c, x, axis, at, MD_TORCH_INTS(c, INT64_MAX)),
            md_torch_cut(c, x, axis, MD_TORCH_INTS(c, 0), at) },
        2, axis);
}

void md_torch_emit_roll(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int64_t by[MD_RANK_MAX], axes[MD_RANK_MAX];
    int n = md_torch_ints(c, 1, by, MD_RANK_MAX);
    int n_axes = md_torch_ints(c, 2, axes, MD_RANK_MAX);

    if (n_axes == 0 && n == 1) {
        md_value_id flat = md_emit_reshape(c->e, x, (int64_t[]){ -1 }, 1);

        md_torch_ret(c, md_emit_op2(c->e, "Reshape", rolled(c, flat, 0, by[0]),
                                    md_emit_op1(c->e, "Shape", x)));
        return;
    }
    if (n != n_axes)
        md_emit_fail(c->e, MD_INVALID, "%d shifts along %d axes", n, n_axes);
    for (int i = 0; i < n && c->e->status == MD_OK; i++)
        x = rolled(c, x, md_torch_axis(c, axes[i], md_torch_rank(c, x)), by[i]);
    md_torch_ret(c, x);
}

void md_torch_emit_rot90(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int64_t k = (md_torch_i(c, 1) % 4 + 4) % 4;
    int64_t axes[MD_RANK_MAX] = { 0, 1 };
    int64_t perm[MD_RANK_MAX];
    int rank = md_torch_rank(c, x);
    int n = md_torch_ints(c, 2, axes, MD_RANK_MAX);

    if (n == 0) {
        axes[0] = 0;
        axes[1] = 1;
    }
    for (int i = 0; i < 2; i++)
        axes[i] = md_torch_axis(c, axes[i], rank);
    md_torch_identity(perm);
    perm[axes[0]] = axes[1];
    perm[axes[1]] = axes[0];
    if (k == 2)
        x = reversed(c, x, axes, 2);
    else if (k == 1)
        x = md_emit_transpose(c->e, reversed(c, x, axes + 1, 1), perm, rank);
    else if (k == 3)
        x = reversed(c, md_emit_transpose(c->e, x, perm, rank), axes + 1, 1);
    md_torch_ret(c, x);
}

void md_torch_emit_triangle(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    md_dtype t = md_torch_dtype_of(c, x);
    md_value_id in[2] = { t == MD_DTYPE_BOOL
                              ? md_emit_cast(c->e, x, MD_DTYPE_I32)
                              : x,
                          md_tv_as(c->b, &c->arg[1], MD_DTYPE_I64) };

    x = md_emit_op(c->e, "Trilu", in, 2,
                   EMIT_ATTRS(EMIT_I("upper", c->row->onnx[0] == 'u')));
    md_torch_ret(c, md_emit_cast(c->e, x, t));
}

/* Elements [i, i + offset] of axes 0 and 1 by a flat index. */
void md_torch_emit_diagonal(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    int64_t offset = md_torch_i(c, 1);
    int64_t perm[MD_RANK_MAX], at[256];
    int a = md_torch_axis_at(c, 2, x), b = md_torch_axis_at(c, 3, x), n = 0,
        k = 0;
    int64_t rows = md_torch_size(c, x, a), columns = md_torch_size(c, x, b);

    for (int i = 0; i < rank; i++) {
        if (i != a && i != b)
            perm[k++] = i;
    }
    perm[k++] = a;
    perm[k++] = b;
    for (int64_t i = 0; i < rows; i++) {
        if (i + offset >= 0 && i + offset < columns && n < 256)
            at[n++] = i * columns + i + offset;
    }
    if (rows < 0 || columns < 0 || n == 256 || rank < 2) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "of axes of %lld and %lld",
                     (long long)rows, (long long)columns);
        return;
    }
    x = md_torch_merge(c, md_emit_transpose(c->e, x, perm, rank), rank - 2,
                       rank - 1);
    md_torch_ret(c, md_emit_op(c->e, "Gather",
                               (md_value_id[]){ x, md_emit_ints(c->e, at, n) },
                               2, EMIT_ATTRS(EMIT_I("axis", rank - 2))));
}

void md_torch_emit_meshgrid(md_torch_call *c)
{
    uint32_t n = md_torch_n(c, 0);
    bool xy = strcmp(md_torch_s(c, 1), "xy") == 0;
    md_tv out = md_tv_list(c->b, MD_TV_LIST, n);
    md_value_id shape[MD_RANK_MAX];

    if (n == 0 || n > MD_RANK_MAX || out.kind != MD_TV_LIST) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "%u axes", n);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t axis = xy && i < 2 && n > 1 ? 1 - i : i;

        shape[axis] = md_emit_op1(c->e, "Shape",
                                  md_emit_reshape(c->e, md_torch_item(c, 0, i),
                                                  (int64_t[]){ -1 }, 1));
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t axis = xy && i < 2 && n > 1 ? 1 - i : i;
        int64_t dim[MD_RANK_MAX] = { 1, 1, 1, 1, 1, 1, 1, 1 };
        md_value_id x;

        dim[axis] = -1;
        x = md_emit_reshape(c->e, md_torch_item(c, 0, i), dim, (int)n);
        x = md_emit_op2(c->e, "Expand", x, md_torch_concat(c, shape, n, 0));
        md_tv_append(c->b, out.v.list, md_tv_tensor(c->b, x));
    }
    c->out = out;
}

/* --- pixels --- */

/* DepthToSpace is of [n, c, h, w]; other ranks are brought to it. */
static void as_picture(md_torch_call *c, const char *op,
                       const md_emit_attr *attrs)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    md_value_id y = x;

    if (rank < 3) {
        md_emit_fail(c->e, MD_INVALID, "of rank %d", rank);
        return;
    }
    if (rank == 3)
        y = md_emit_unsqueeze(c->e, x, 0);
    else if (rank > 4)
        y = md_torch_merge(c, x, 0, rank - 4);
    y = md_emit_op(c->e, op, &y, 1, attrs);
    if (rank == 3)
        y = md_emit_squeeze(c->e, y, 0);
    else if (rank > 4)
        y = md_emit_op2(
            c->e, "Reshape", y,
            md_torch_concat(c,
                            (md_value_id[]){ md_torch_dims(c, x, 0, rank - 3),
                                             md_torch_dims(c, y, 1, 4) },
                            2, 0));
    md_torch_ret(c, y);
}

void md_torch_emit_pixel_shuffle(md_torch_call *c)
{
    as_picture(c, "DepthToSpace",
               EMIT_ATTRS(EMIT_I("blocksize", md_torch_i(c, 1)),
                          EMIT_S("mode", "CRD")));
}

/* [.., c, h, w] to [.., c, h/r, r, w/r, r] to [.., c * r * r, h/r, w/r]:
 * SpaceToDepth has another order. */
void md_torch_emit_pixel_unshuffle(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    int64_t r = md_torch_i(c, 1);
    int64_t h = md_torch_size(c, x, rank - 2),
            w = md_torch_size(c, x, rank - 1);
    int64_t channels = md_torch_size(c, x, rank - 3);

    if (rank != 4 || h < 0 || w < 0 || channels < 0 || r < 1) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "of rank %d and free sizes", rank);
        return;
    }
    x = md_emit_reshape(c->e, x, (int64_t[]){ 0, channels, h / r, r, w / r, r },
                        6);
    x = md_emit_transpose(c->e, x, (int64_t[]){ 0, 1, 3, 5, 2, 4 }, 6);
    md_torch_ret(
        c, md_emit_reshape(
               c->e, x, (int64_t[]){ 0, channels * r * r, h / r, w / r }, 4));
}

/* [n, g, c/g, ...] with axes 1 and 2 exchanged. */
void md_torch_emit_channel_shuffle(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    int64_t g = md_torch_i(c, 1);
    int64_t channels = md_torch_size(c, x, 1);
    int64_t perm[MD_RANK_MAX];
    md_value_id y;

    if (rank < 3 || rank == MD_RANK_MAX || channels < 0 || g < 1) {
        md_emit_fail(c->e, MD_UNSUPPORTED, "of rank %d", rank);
        return;
    }
    y = md_emit_op2(
        c->e, "Reshape", x,
        md_torch_concat(c,
                        (md_value_id[]){ MD_TORCH_INTS(c, 0, g, channels / g),
                                         md_torch_dims(c, x, 2, rank) },
                        2, 0));
    md_torch_identity(perm);
    perm[1] = 2;
    perm[2] = 1;
    y = md_emit_transpose(c->e, y, perm, rank + 1);
    md_torch_ret(c, md_torch_merge(c, y, 1, 2));
}

/* --- the same elements --- */

void md_torch_emit_same(md_torch_call *c)
{
    md_torch_ret(c, md_torch_x(c, 0));
}

void md_torch_emit_same_place(md_torch_call *c)
{
    c->out = c->arg[0];
}

/* Written in place by copy_. */
void md_torch_emit_copy_tensor(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    md_value_id y =
        md_emit_cast(c->e, md_torch_x(c, 1), md_torch_dtype_of(c, x));

    md_torch_ret(c,
                 md_emit_op2(c->e, "Expand", y, md_emit_op1(c->e, "Shape", x)));
}

/* A tensor of that type already is itself. */
static void ret_cast(md_torch_call *c, md_value_id y)
{
    if (y == md_torch_x(c, 0))
        c->out = c->arg[0];
    else
        md_torch_ret(c, y);
}

void md_torch_emit_to_dtype(md_torch_call *c)
{
    ret_cast(c, md_torch_to_arg(c, md_torch_x(c, 0), 1));
}

void md_torch_emit_to(md_torch_call *c)
{
    ret_cast(c, md_torch_to_arg(c, md_torch_x(c, 0),
                                (uint32_t)(c->row->onnx[0] - '0')));
}

void md_torch_emit_type_as(md_torch_call *c)
{
    ret_cast(c, md_emit_cast(c->e, md_torch_x(c, 0),
                             md_torch_dtype_of(c, md_torch_x(c, 1))));
}

/* --- padding --- */

/* Pairs from the last axis on, as PyTorch has them, to ONNX's begins and ends
 * of these axes. */
static void pad_with(md_torch_call *c, const char *mode, const md_tv *value)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    const md_torch_list *l = c->arg[1].v.list;
    md_tv pads = md_tv_list(c->b, MD_TV_LIST, 2 * MD_RANK_MAX);
    int n = md_tv_is_list(&c->arg[1]) ? (int)l->n / 2 : 0;
    int64_t axes[MD_RANK_MAX];
    md_value_id in[4];

    if (n == 0 || n > rank || pads.kind != MD_TV_LIST) {
        md_emit_fail(c->e, MD_INVALID, "%d axes of %d", n, rank);
        return;
    }
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < n; i++)
            md_tv_append(c->b, pads.v.list, l->item[2 * (n - 1 - i) + side]);
    }
    for (int i = 0; i < n; i++)
        axes[i] = rank - n + i;
    in[0] = x;
    in[1] = md_torch_list_id(c->b, pads.v.list);
    in[2] = value && value->kind != MD_TV_NONE
                ? md_tv_as(c->b, value, md_torch_dtype_of(c, x))
                : MD_VALUE_NONE;
    in[3] = md_emit_ints(c->e, axes, n);
    md_torch_ret(
        c, md_emit_op(c->e, "Pad", in, 4, EMIT_ATTRS(EMIT_S("mode", mode))));
}

void md_torch_emit_pad_constant(md_torch_call *c)
{
    pad_with(c, "constant", &c->arg[2]);
}

void md_torch_emit_pad_mode(md_torch_call *c)
{
    pad_with(c, c->row->onnx, NULL);
}

void md_torch_emit_pad(md_torch_call *c)
{
    static const char *const modes[][2] = { { "constant", "constant" },
                                            { "reflect", "reflect" },
                                            { "replicate", "edge" },
                                            { "circular", "wrap" } };

    for (size_t i = 0; i < MD_COUNT(modes); i++) {
        if (strcmp(md_torch_s(c, 2), modes[i][0]) == 0) {
            pad_with(c, modes[i][1], i == 0 ? &c->arg[3] : NULL);
            return;
        }
    }
    md_emit_fail(c->e, MD_UNSUPPORTED, "mode '%.40s'", md_torch_s(c, 2));
}

/* Windows along an axis, each as a new last axis: indices [n, size]. */
void md_torch_emit_unfold(md_torch_call *c)
{
    md_value_id x = md_torch_x(c, 0);
    int rank = md_torch_rank(c, x);
    int axis = md_torch_axis_at(c, 1, x);
    int64_t size = md_torch_i(c, 2), step = md_torch_i(c, 3);
    int64_t total = md_torch_size(c, x, axis);
    int64_t perm[MD_RANK_MAX];
    md_tensor t = MD_TENSOR_INIT;
    int64_t n;

    if (total < 0 || size < 1 || step < 1 || size > total ||
        rank == MD_RANK_MAX || total > 1 << 20) {
        md_emit_fail(c->e, MD_UNSUPPORTED,
                     "windows of %lld along an axis of %lld", (long long)size,
                     (long long)total);
        return;
    }
    n = (total - size) / step + 1;
    if (!md_emit_ok(c->e, md_tensor_alloc(&t, MD_DTYPE_I64,
                                          &(md_shape){ 2, { n, size } },
                                          c->e->model->alloc, c->e->err)))
        return;
    for (int64_t i = 0; i < n * size; i++)
        md_tensor_set_i64(&t, i, i / size * step + i % size);
    x = md_emit_op(c->e, "Gather", (md_value_id[]){ x, md_emit_const(c->e, t) },
                   2, EMIT_ATTRS(EMIT_I("axis", axis)));
    for (int i = 0; i <= rank; i++)
        perm[i] = i <= axis ? i : i == rank ? axis + 1 : i + 1;
    md_torch_ret(c, md_emit_transpose(c->e, x, perm, rank + 1));
}
