/* Before opset 6: tiles and axis, two numbers of the input's type. */
#include <string.h>

#include "ops/common/data.h"
#include "ops/common/util.h"
#include "ops/grad.h"

enum {
    SMALL = 1 << 20, /* bytes of an output for which one thread is enough */
    SHORT = 256      /* bytes of a row that is not worth a move of its own */
};

/* One number, by which only its one axis is repeated. */
static md_status old_repeats(const md_infer *c, md_ints *out, md_error *err)
{
    int axis, rank = c->in[0]->rank;

    *out = (md_ints){ .n = -1 };
    for (uint32_t i = 1; i < 3; i++) {
        MD_TRY(md_infer__need(c, i, MD_TYPES_NUMBER, err));
        MD_TRY(md_infer__length(c, c->in[i], MD_DIM(1),
                                i == 1 ? "tiles" : "axis", err));
    }
    if (!c->cin[1] || !c->cin[2] || !c->in[0]->has_rank)
        return MD_OK;
    MD_TRY(
        md_axis_normalize(&axis, md_tensor_get_i64(c->cin[2], 0), rank, err));
    *out = (md_ints){ .given = true, .known = true, .n = rank };
    for (int i = 0; i < rank; i++)
        out->v[i] = i == axis ? md_tensor_get_i64(c->cin[1], 0) : 1;
    return MD_OK;
}

static md_status find_repeats(const md_infer *c, md_dims *out, md_error *err)
{
    md_ints old;

    if (c->opset < 6) {
        MD_TRY(old_repeats(c, &old, err));
        *out = (md_dims){ old.given, old.known, old.n, { { 0 } } };
        for (int i = 0; i < old.n; i++)
            out->v[i] = MD_DIM(old.v[i]);
        return MD_OK;
    }
    if (c->node->n_in > 2)
        return md_fail(err, MD_INVALID, "Tile has %u inputs, 2 expected",
                       (unsigned)c->node->n_in);
    MD_TRY(md_infer__need(c, 1, MD_T(I64), err));
    return md_infer__input_dims(c, 1, out, err);
}

static md_status infer(const md_infer *c, md_error *err)
{
    md_dims repeats;
    md_dim unused;
    md_type t;

    MD_TRY(md_infer__need(c, 0, MD_TYPES_ANY, err));
    MD_TRY(find_repeats(c, &repeats, err));
    t = *c->in[0];
    if (t.has_rank && repeats.n >= 0 && repeats.n != t.rank)
        return md_fail(err, MD_INVALID, "%d repeats for rank %d", repeats.n,
                       t.rank);
    for (int i = 0; t.has_rank && i < t.rank; i++) {
        if (!repeats.known)
            MD_TRY(md_infer__fresh(c, &t.dim[i], err));
        else if (md_dim_is_const(repeats.v[i]) && repeats.v[i].k < 0)
            return md_fail(err, MD_INVALID, "a repeat is %lld",
                           (long long)repeats.v[i].k);
        else
            MD_TRY(md_dim__mul(c, &t.dim[i], repeats.v[i], t.dim[i], err));
        if (repeats.known)
            MD_TRY(md_dim__derive(c, &unused, MD_EXPR_AT_LEAST, repeats.v[i],
                                  MD_DIM(0), err));
    }
    md_infer__give(c, 0, &t);
    return MD_OK;
}

/* One copy of the input at each place of the grid. */
static void copy_each(md_exec *x, md_place *to, const md_place *from,
                      const int64_t *times)
{
    const md_shape *in = &x->in[0]->shape;
    int64_t index[MD_RANK_MAX] = { 0 };

    do {
        to->at = 0;
        for (int d = 0; d < in->rank; d++)
            to->at += index[d] * in->dim[d] * to->stride[d];
        md_exec__move(x, to, from, in);
    } while (md_step_index(index, times, in->rank));
}

/* Axes of which there are n copies are two: the copies, of stride 0 in the
 * input, and what is copied.  False when that makes too many. */
static bool add_copies(md_place *to, md_place *from, md_shape *dims,
                       const md_shape *in, const int64_t *times)
{
    md_place t = *to, f = *from;
    int n = 0;

    for (int i = 0; i < in->rank; i++) {
        if (times[i] > 1) {
            if (n == MD_RANK_MAX)
                return false;
            dims->dim[n] = times[i];
            f.stride[n] = 0;
            t.stride[n++] = in->dim[i] * to->stride[i];
        }
        if (in->dim[i] == 1)
            continue;
        if (n == MD_RANK_MAX)
            return false;
        dims->dim[n] = in->dim[i];
        f.stride[n] = from->stride[i];
        t.stride[n++] = to->stride[i];
    }
    dims->rank = n;
    *to = t;
    *from = f;
    return true;
}

/* What copies by doubling need: of each axis its elements and copies, and the
 * bytes of one of its elements in the input and the output. */
typedef struct tiling {
    const int64_t *dim, *times;
    int rank;
    size_t in[MD_RANK_MAX], out[MD_RANK_MAX];
} tiling;

/* The n bytes at y, `times` in all behind each other. */
static void repeat(char *y, size_t n, int64_t times)
{
    const size_t all = n * (size_t)times;

    for (size_t done = n, m; done < all; done += m) {
        m = done < all - done ? done : all - done;
        memcpy(y + done, y, m);
    }
}

/* All copies of axis d and those behind it: short rows are repeated where they
 * lie, then what they are rows of. */
static void tile(const tiling *t, int d, char *y, const char *x)
{
    const size_t n = (size_t)t->dim[d];

    if (d == t->rank - 1)
        memcpy(y, x, n * t->in[d]);
    else
        for (size_t i = 0; i < n; i++)
            tile(t, d + 1, y + i * t->out[d], x + i * t->in[d]);
    repeat(y, n * t->out[d], t->times[d]);
}

/* Small outputs of short rows; false for others. */
static bool tile_small(md_tensor *out, const md_tensor *in,
                       const int64_t *times)
{
    const md_shape *s = &in->shape;
    tiling t = { .dim = s->dim, .times = times, .rank = s->rank };
    const unsigned bits = md_dtype_bits(in->dtype);
    size_t from = bits / 8, to = from;

    if (s->rank == 0 || bits % 8 != 0 || in->dtype == MD_DTYPE_STRING ||
        md_tensor_size(out) > SMALL ||
        (size_t)s->dim[s->rank - 1] * from > SHORT)
        return false;
    for (int d = s->rank; d-- > 0;) {
        t.in[d] = from;
        t.out[d] = to;
        from *= (size_t)s->dim[d];
        to *= (size_t)(s->dim[d] * times[d]);
    }
    tile(&t, 0, out->data, in->data);
    return true;
}

static md_status compute(md_exec *x, md_tensor *out, md_arena *ar,
                         md_error *err)
{
    const md_shape *in = &x->in[0]->shape;
    int64_t times[MD_RANK_MAX] = { 0 };
    md_place to = { .t = out }, from = { .t = (md_tensor *)x->in[0] };
    md_shape dims;

    (void)ar;
    (void)err;
    md_shape_strides(to.stride, &out->shape);
    md_shape_strides(from.stride, in);
    for (int i = 0; i < in->rank; i++)
        times[i] = out->shape.dim[i] / in->dim[i];
    if (tile_small(out, x->in[0], times))
        return MD_OK;
    if (add_copies(&to, &from, &dims, in, times))
        md_exec__move(x, &to, &from, &dims);
    else
        copy_each(x, &to, &from, times);
    return MD_OK;
}

static md_status run(md_exec *x, md_error *err)
{
    return md_exec__single(x, infer, compute, err);
}

const md_op md_op_tile = {
    .domain = "",
    .name = "Tile",
    .since = 1,
    .in_min = 2,
    .in_max = 3,
    .out_min = 1,
    .out_max = 1,
    .flags = MD_OP_SYMBOLIC,
    .infer = infer,
    .run = run,
    .data = md_data__moves_0,
    .grad = md_grad_moved,
};
